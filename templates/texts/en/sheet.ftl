# Workbooks and CSV files: what a file may be
sheet-file-size = The file is larger than { $most } MiB. Leave out sheets and pictures that are not needed.
sheet-file-cells = The file has more than { $most } cells. Leave out what is not needed.
sheet-file-text = The file has more than { $most } MiB of text.
sheet-file-rows = A sheet has more than { $most } lines.
sheet-file-columns = A sheet has more than { $most } columns.
sheet-file-broken = This is no workbook (.xlsx, .xls, .ods) and no CSV file, or it is broken. Open it in a spreadsheet program and save it again.
sheet-file-password = The workbook is protected by a password. Save it without one.
sheet-file-empty = No sheet of the file has a line of headings.
sheet-bomb-entries = The workbook has too many parts. Open it in a spreadsheet program and save it again.
sheet-bomb-unpacked = The workbook becomes far too large when it is unpacked. It was not read.
sheet-bomb-cells = The workbook spreads out to far too many cells. It was not read.
sheet-bomb-links = The workbook takes data from other files or servers. Replace such cells by their values and save it again.
sheet-bomb-dtd = The workbook has a document type definition, which no spreadsheet program writes. It was not read.

# What stands in a cell
sheet-cell-fault = The cell has an error ({ $found }). Put in a value.
sheet-cell-flag = Yes or no is expected, not “{ $found }”.
sheet-cell-repeat = Expected is daily, weekdays, weekly, once, yes or no, not “{ $found }”.
sheet-cell-privacy = Expected is public, unlisted or private, not “{ $found }”.
sheet-cell-length = Expected is a length like 90 (minutes), 1:30 or 2h 30m, not “{ $found }”.
sheet-cell-time = Expected is a time of day like 20:00, not “{ $found }”.
sheet-cell-day = Expected is a date like 2027-01-04, not “{ $found }”.
sheet-cell-stop = Expected is a time like 21:00, or a date and a time like 2027-01-04 21:00, not “{ $found }”.
sheet-cell-id = “{ $found }” is not one of our ids. Leave the cell empty for a new line.
sheet-cell-zone = “{ $found }” is no time zone. Expected is a name like Asia/Jakarta, or WIB, WITA, WIT.
sheet-cell-order = Expected is listed or shuffled, not “{ $found }”.
sheet-moment-form = “{ $found }” is no date and time. Expected is something like 2027-01-04 20:00 or 4 Januari 2027 jam 20.00.
sheet-moment-order = “{ $found }” can be read as two dates. Say whether the day or the month comes first.
sheet-moment-no-time = The time of day is missing. Expected is something like 2027-01-04 20:00.
sheet-moment-no-date = The date is missing. Expected is something like 2027-01-04 20:00.
sheet-moment-zones = The time names the zone { $one }, its column { $other }.

# What rows mean in a library
import-table-unknown = The file has no such sheet.
import-many-rows = A sheet has more than { $most } rows. Split it.
import-platform-unknown = Expected is youtube, facebook, twitch, tiktok, instagram or custom.
import-row-cannot = Row { $row } cannot be taken: { $why }
import-row-changed = the library has changed since. Look at the rows again.
import-row-foreign = This row belongs to { $owner }. Only they can import it, with their own login.
import-row-done = The old program has had this on air already.
import-row-twice = Row { $row } says the same schedule.
import-stream-twice = Row { $row } says otherwise about the same stream.
import-start-missing = The start is missing. Expected is something like 2027-01-04 20:00.
import-title-missing = The title is missing.
import-video-unknown = There is no video called “{ $found }”. Upload it first, or write the title or file name of one that is there.
import-video-missing = No video is named, and the library has none. Upload one first.
import-key-none = There is no stream key called “{ $found }”. Write a key into the column stream_key, or set up a stream with it first.
import-key-missing = No stream key is named, and the library has none. Write a key into the column stream_key, or set up a stream with it first.
import-thumbnail-unknown = There is no thumbnail called “{ $found }”.
import-description-long = A description may have { $most } bytes.
import-exceptions-form = “{ $found }” is no changed occurrence. Expected is something like 2027-01-04T20:00 cancelled.
import-exception-unnamed = The rule has no occurrence at { $found }.
import-draft-large = The file takes too much room. Split it.
import-column-unknown = There is no column “{ $found }”.
import-day-order = Expected is day_first or month_first.
import-question-unknown = Expected is video, key, stream or thumbnail.

# The template
template-sheet = schedules
template-note-title = What the stream is called. Rows with the same title, videos and key are one stream.
template-note-videos = Title, file name or id of a video. Several: one a line (Alt+Enter), or set apart by ;
template-note-key = A stream key that a stream of yours has, as the list shows it; or the title of a stream that goes where this one shall go. For a new key add the columns platform and stream_key.
template-note-start = Date and time of the first start, like 2027-01-04 20:00 or 4 Januari 2027 jam 20.00.
template-note-zone = Zone of the times, like Asia/Jakarta, or WIB, WITA, WIT. Yours if empty.
template-note-repeat = once, daily, weekdays or weekly. For anything else add the column rule with an RRULE like FREQ=MONTHLY;BYMONTHDAY=1.
template-note-duration = How long it is on air, like 2:00 (hours:minutes) or 90 (minutes). Empty: until it is stopped.
template-note-stop = Instead of a length: when it ends, like 22:00 (also of the next day).
template-note-privacy = Who may see the broadcast: public, unlisted or private.
template-note-description = What viewers read below the broadcast.
template-note-thumbnail = Title or id of a thumbnail.
template-note-paused = yes: nothing starts until it is resumed.
