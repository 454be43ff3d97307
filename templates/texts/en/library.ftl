library-no-video = This is not a video that is taken here. Upload mp4, mov, mkv, webm, flv, ts or avi; the file’s content counts, not its name.
library-file-empty = The file is empty: nothing is in it. Choose another one.
library-uploaded-same = “{ $title }” was uploaded. The same file is already here as “{ $same }”.
library-file-too-large = This file is larger than { $mib } MiB, the largest that is taken here. Export it smaller.
library-upload-idle = Nothing arrived for a minute, so the upload was given up. Check the connection and upload it again.
library-disk-floor = The server’s disk is nearly full: { $floor } MiB are kept free for what is on air. Delete videos, or ask the admin for room.
library-no-file = No file was chosen. Choose one or more files and upload again.
library-upload-cut = The upload was cut off before its end. Check the connection and upload it again.
library-upload-form = The upload could not be read: { $cause }. Send files as multipart/form-data, in fields named “file”.
library-field-unknown = There is no field called “{ $field }”. Use file and title.
library-title-expected = Write a title of 1 to { $most } characters.
library-description-long = Use at most { $most } characters.
library-tags-many = Use at most { $most } tags of up to { $longest } characters each.
library-thumbnail-unknown = This thumbnail is not in your library any more. Choose another one.
library-seconds-expected = Write the second of the video as a number, such as 12.5.
library-video-scheduled = { $count ->
    [one] The stream { $streams } has a schedule that will want this video. Take the video out of the stream or delete the schedule first; or delete the video anyway.
   *[other] The streams { $streams } have schedules that will want this video. Take the video out of them or delete the schedules first; or delete the video anyway.
  }
library-uploaded = { $count ->
    [one] “{ $title }” is uploaded.
   *[other] { $count } files are uploaded.
  }
library-not-uploaded = { $name }: { $reason }
library-saved = Saved.
library-deleted = { $count ->
    [one] Deleted.
   *[other] { $count } videos are deleted.
  }
library-deleted-some = { $count ->
    [0] Nothing is deleted.
    [one] One video is deleted.
   *[other] { $count } videos are deleted.
  } { $kept ->
    [one] { $titles } stays: it is on air, or a schedule will want it. Its page says which stream, and deletes it.
   *[other] { $kept } stay: { $titles }. They are on air, or schedules will want them. Their pages say which streams, and delete them.
  }
library-video-on-air = { $count ->
    [one] The stream { $streams } plays this video right now. Stop it first, or wait for its end.
   *[other] The streams { $streams } play this video right now. Stop them first, or wait for their end.
  }
library-nothing-chosen = Nothing was chosen.
library-frame-taken = The picture is taken.
library-thumbnail-chosen = The picture is chosen.
library-thumbnail-deleted = The thumbnail is deleted.
library-video-changed = The video was given another file meanwhile. Look at it again before you go on.
library-thumbnail-logo = It is the logo of { $streams }. Take it off there first.
