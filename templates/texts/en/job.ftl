job-original-title = { $title } (original)
job-many = { $most } jobs are waiting already. Wait until some are done, or cancel those you no longer want.
job-video-busy = This video is being optimised already. Wait for its end, or cancel it first.
job-over = This job is over; there is nothing to cancel.
job-video-gone = The video was deleted meanwhile.
job-failed-inside = Something went wrong on the server, not with your video. Try again; if it happens again, tell the admin.
job-fruitless = It was begun { $count } times and never came anywhere. Export the video again as a plain MP4 (H.264, AAC) and upload that.
job-odd-file = The video is not as long as it says, or its frames are not where it says. Export it again as a plain MP4 (H.264, AAC) and upload that.
job-profile-expected = Choose 720p30 or 1080p30.
job-ordered = The video will be optimised. You can go on meanwhile.
job-cancelled = Cancelled. The video stays as it was.
job-words-queued = { $ahead ->
    [0] Waits for its turn
    [one] Waits; one of yours comes first
   *[other] Waits; { $ahead } of yours come first
}
job-words-percent = { $percent } %
job-words-running = { $percent } %, about { $left } left
optimise = Optimise
optimise-how = Encode it once, for good
optimise-text = The video is encoded anew, behind everything else on the server: H.264 with a keyframe every 2 seconds, 30 even frames a second, upright, AAC sound as long as the picture. After that it goes on air as it is. Its title, picture and streams stay; what is on air now goes on with the old file until it ends.
optimise-cost = about { $size }, { $time } of work; { $needed } have to be free meanwhile
optimise-keep = Keep the original
optimise-keep-hint = As a video of its own, which takes its room on. Otherwise it goes.
optimise-start = Optimise
optimise-under-way = It is being optimised behind everything else on the server. You can leave this page; the video can be used meanwhile.
optimise-cancel = Cancel
optimise-cancel-confirm = What is done so far is thrown away. The video stays as it was.
optimise-failed = It could not be optimised.
optimise-done = Optimised
optimise-show = Show it
optimise-original = The original
profile-720p30 = 720p: at most 1280 × 720, or 720 × 1280 upright
profile-1080p30 = 1080p: at most 1920 × 1080, or 1080 × 1920 upright
jobs = Jobs
jobs-all = All jobs
jobs-kept = What the server does in the background for your videos, one after the other. The last 200 that are over stay here.
jobs-empty = No jobs yet
jobs-empty-text = Videos that would make trouble on air can be optimised on their page; that work is shown here.
job-video = Video
job-video-deleted = A deleted video
job-state = State
job-created = Asked for
job-progress = Progress
job-optimise = Optimise to { $profile }
job-is-open = Waiting or running
job-is-done = Done
job-is-failed = Failed
job-is-cancelled = Cancelled
job-count = { $count ->
    [one] { $count } job
   *[other] { $count } jobs
}
