video-upload = Upload videos
video-drop = Drop videos anywhere on this page, or choose them
video-kinds = mp4, mov, mkv, webm, flv, ts or avi; up to { $max } each; { $left } still fit.
video-kinds-disk = mp4, mov, mkv, webm, flv, ts or avi; up to { $max } each. Your quota allows more, but the disk of this server has room for { $left }.
video-kinds-full = mp4, mov, mkv, webm, flv, ts or avi; up to { $max } each. No room is left: delete videos, or ask the admin for more.
video-search = Title, tag, file name
video-filter-all = All videos
video-filter-ready = Ready for streaming
video-filter-trouble = With trouble
video-filter-unused = In no stream
video-empty = No video yet
video-empty-text = Choose or drop a file above. It is checked at once, and you are told what a platform would make of it.
video-count = { $count ->
    [one] 1 video
   *[other] { $count } videos
  }
video-delete-many-confirm = The chosen videos are deleted for good and their space becomes free. Streams that use them lose them. Videos that are on air now or that a schedule will want are kept.
video-to-stream = Make a stream of it
video-edit = Title and notes
video-description-hint = For yourself; platforms do not see it.
video-facts = Facts
video-thumbnail = Picture
video-frame-at = Take the picture from second
video-frame-hint = Pause the player where it looks best.
video-frame-take = Use this frame
video-frame-here = Where the player is
video-thumbnail-choose = Or one of your thumbnails
video-thumbnail-use = Use this thumbnail
video-used-by = Used by
video-unused = No stream plays this video yet.
video-delete = Delete this video
video-delete-loss = The video and its { $size } are gone for good. { $streams ->
    [0] No stream uses it.
    [one] One stream loses it: { $titles }.
   *[other] { $streams } streams lose it: { $titles }.
  }
video-delete-planned = { $schedules ->
    [one] One schedule to come would play it and goes on without it.
   *[other] { $schedules } schedules to come would play it and go on without it.
  }
video-delete-anyway = Delete it although it is planned
video-delete-stop-first = It is on air now: stop the stream first, or wait for its end.
verdict = Verdict
verdict-ready = Ready
verdict-trouble = Trouble
verdict-ready-long = Ready for streaming
verdict-ready-text = It goes out as it is, without work for the processor.
verdict-trouble-long = It can be sent, but expect trouble
fact-picture = Picture
fact-frame-rate = { $rate } frames a second
fact-bitrate = Bitrate
fact-video-codec = Video
fact-audio = Audio
fact-audio-rate = { $rate } Hz
fact-silent = None
fact-keyframes = Keyframes
fact-every = every { $seconds } s
fact-container = File format
fact-original-name = File name
fact-checksum = SHA-256
upload-button = Upload
upload-waiting = Waiting
upload-checking = Checking the file …
upload-done = Ready for streaming
upload-done-trouble = Uploaded, but with trouble
upload-failed = Not uploaded
upload-stopped = Stopped
upload-stop = Stop
upload-again = Try again
upload-same = The same file is already here as “{ $title }”.
upload-left = { $time } left
upload-speed = { $speed }/s
upload-leave = Uploads are still running. If you leave, they end.
upload-drop-anywhere = Let go to upload
upload-choose = Choose files
