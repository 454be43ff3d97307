# The page for moving in.
moving-intro = Brings the folder of the old program in: people, videos, pictures, keys, streams and schedules.
moving-new = Plan a move
moving-new-text = First you see what would become of everything. Nothing is changed by that.
moving-unset = No folder is allowed yet
moving-unset-text = Put the old program’s folder where the server can read it, name it in jadwalstream.toml (or JADWAL_MIGRATE_FROM) and restart the server. On the box itself, “jadwalstream migrate” reads any folder.
moving-folder = Folder
moving-folder-hint = Below { $root }.
moving-folder-other = nothing of the old program seen
moving-owner = Owner
moving-owner-hint = Whose becomes what names nobody.
moving-zone-hint = In which the old program wrote its times.
moving-only = Kinds
moving-only-hint = Choose none to take all.
moving-remove = Remove old files once they are here
moving-remove-hint = A video, picture or token of the old folder goes once its copy here was read again and compared. Databases stay.
moving-plan = Show what would happen
moving-told-plan = What would happen
moving-told-apply = What happened
moving-told-plan-back = What would be taken back
moving-told-take-back = What was taken back
moving-of = Folder { $folder }, asked for by { $by }
moving-disk = Needed on the disk: { $needed }. Free: { $free }.
moving-disk-short = The disk has not enough room. Make room first, or take fewer kinds.
moving-kind = Kind
moving-come-plan = To come
moving-come-apply = Came
moving-removed-plan-back = To go
moving-removed-take-back = Went
moving-present = Already here
moving-skipped = Skipped
moving-unneeded = Not needed
moving-size = Size
moving-kind-user = Users
moving-kind-thumbnail = Thumbnails
moving-kind-video = Videos
moving-kind-photo = Photos
moving-kind-generated = Clips and montages
moving-kind-collection = Collections
moving-kind-channel = Channels
moving-kind-stream_key = Stream keys
moving-kind-stream = Streams
moving-kind-schedule = Schedules
moving-kind-run = History
moving-kind-notice = Notices
moving-kind-sample = Demo samples
moving-kind-database = Databases
moving-kind-other = Other files
moving-apply-keeps = The old folder stays as it is.
moving-apply-removes = Old files are removed from their folder once they are here.
moving-apply = { $count ->
    [one] Move { $count } thing in
   *[other] Move { $count } things in
}
moving-plan-back = Show what taking back would remove
moving-back-loss = { $count ->
    [one] { $count } thing is deleted from the libraries here. What was changed since, or whose old file is gone, stays.
   *[other] { $count } things are deleted from the libraries here. What was changed since, or whose old file is gone, stays.
}
moving-take-back = Take back
moving-report = Report (JSON)
moving-remarks = To be known
moving-remarked = { $count ->
    [one] { $count } file or row.
   *[other] { $count } files and rows.
}
moving-remarks-first = The first 200 stand here, the report has all.
moving-what = What
moving-where = Where
moving-why = Why
moving-row = { $database }, row { $row }
moving-stays = skipped
moving-doing-plan = Looking at everything
moving-doing-apply = Moving in
moving-doing-plan-back = Looking at what came
moving-doing-take-back = Taking back
moving-progress = Progress
moving-goes-on = It goes on when you close this page.
moving-stop = Stop
moving-stop-confirm = What came stays. Begun again, it goes on where it was.
moving-words-plan = { $done } of { $of } files and rows looked at · { $come } to come · { $skipped } skipped
moving-words-apply = { $done } of { $of } files and rows dealt with · { $come } came · { $skipped } skipped
moving-words-plan-back = { $done } of { $of } things looked at · { $come } to go · { $skipped } stay
moving-words-take-back = { $done } of { $of } things dealt with · { $come } went · { $skipped } stay
moving-go-on = Go on
moving-list-plan = What would come
moving-list-apply = What came
moving-list-plan-back = What would go
moving-list-take-back = What went
moving-more = and { $count } more, which the report has
