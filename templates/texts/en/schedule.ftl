schedule-new = Plan a stream
schedule-edit = Edit schedule
schedule-search = Search stream
schedule-filter-coming = Coming
schedule-filter-paused = Paused
schedule-filter-past = Past
schedule-filter-all = All schedules
schedule-empty = Nothing planned
schedule-empty-text = Choose a stream and a time. The server starts it at the minute and stops it when you say.
schedule-needs-stream = A schedule says when a stream goes on air, so make a stream first.
schedule-count = { $count ->
    [one] 1 schedule
   *[other] { $count } schedules
  }
schedule-stream = Stream
schedule-choose-stream = Choose a stream
schedule-when = When
schedule-starts = Starts at
schedule-repeat = Repeats
repeat-once = Once
repeat-daily = Daily
repeat-weekdays = Weekdays
repeat-weekly = Weekly
repeat-custom = As set
schedule-until = Last day
schedule-end = When it ends
schedule-stop-at = Time of day
schedule-stop-at-hint = A time before the start means the next day.
schedule-stop-on = On the day
schedule-stop-on-hint = Only for what lasts several days: the day on which the first one ends.
schedule-preview = The next five
schedule-preview-first = Choose a date and a time to see when it will be on air.
schedule-until-time = until
schedule-and-so-on = … and so on.
schedule-no-occurrence = Never: nothing lies ahead.
schedule-now = Now
schedule-over = Over
schedule-paused = Paused
schedule-pause = Pause
schedule-resume = Resume
schedule-run-now = Run now
schedule-last = Last time:
schedule-delete = Delete this schedule
schedule-delete-loss = Nothing more is started by this schedule; an occurrence on air now runs to its end. Broadcasts that were made on YouTube for what is to come are deleted there too. The stream and the history stay.
# "Daily at 19:00, for 2 h": how a schedule is told in one line.
schedule-words-once = Once, { $when }
schedule-words-daily = { $every ->
    [1] Daily at { $time }
   *[other] Every { $every } days at { $time }
  }
schedule-words-weekdays = Monday to Friday at { $time }
schedule-words-weekly = { $every ->
    [1] Every { $day } at { $time }
   *[other] Every { $every } weeks on { $day } at { $time }
  }
schedule-words-custom = By its own rule, at { $time }
schedule-words-for = { $words }, for { $length }
schedule-words-to = { $words }, until { $time }
schedule-within = in { $time }
schedule-due = due now

schedule-zone-unknown = This time zone is not known. Choose one such as Asia/Jakarta.
schedule-start-far = Choose a start between 1970 and 2200.
schedule-start-past = This time has passed. Choose a later one.
schedule-rule-past = By this rule nothing comes any more. Choose a later end, or none.
schedule-two-ends = Choose a length or a stop time, not both.
schedule-duration-range = A stretch on air lasts from 1 second to 366 days.
schedule-stop-before = The stop time lies before the start. Choose a later one.
schedule-stop-form = Write the stop time as 21:00, or with its date as 2025-11-04T21:00.
schedule-grace-range = A missed start is made up for within a day at most.
schedule-skips-many = At most { $most } dates can be left out.
schedule-stream-unknown = This stream is not in your library any more. Choose another one.
schedule-rule-unreadable = The rule cannot be read. It looks like FREQ=WEEKLY;BYDAY=MO,WE.
schedule-rule-part = The rule's part “{ $part }” is not understood.
schedule-rule-frequency = A rule repeats daily, weekly, monthly or yearly, not more often.
schedule-rule-dense = By this rule the stream would start twice within a minute, or more than { $most } times a day.
schedule-start-old = A rule begins in { $year } or later; older dates have no effect on what is to come.
schedule-rule-count = A rule counts to { $most } at most. Leave the count out, or give the last day instead.
schedule-rule-never = By this rule the stream would never start.
schedule-rule-overlaps = Each time on air would last longer than until the next one. Choose a shorter length.
schedule-conflict = “{ $title }” is on air with the same stream key at that time ({ $at }, { $zone }). Choose another time or another key.
schedule-clash = At the same time as “{ $title }”, with the same stream key
schedule-clash-endless = “{ $title }” is on air with the same stream key, and nothing says when it ends
schedule-crowded-memory = At the same time as { $titles }: together { $needed } MiB, more memory than this server gives to streams
schedule-crowded-cpu = At the same time as { $titles }: with overlays, together { $needed } processor cores, more than this server gives to streams
schedule-crowded-uplink = At the same time as { $titles }: together { $needed } Mbit/s, more than this server can send
schedule-waiting = Waits for room on this server and is tried again every few seconds.
schedule-missed-over = The server was not running, or too busy, at that time; { $minutes } minutes later its time on air was over.
schedule-missed-late = The server was not running, or too busy, at that time; { $minutes } minutes later it was too late ({ $grace } minutes are allowed).
schedule-missed-overtaken = The server was not running, or too busy, at that time, and a later start came up meanwhile.
schedule-missed-busy = The stream was on air already.
schedule-missed-locked = Everybody of this library was disabled, so nothing was started.
schedule-saved = The schedule of { $title } is saved.
schedule-deleted = The schedule of { $title } is deleted.
schedule-now-paused = The schedule of { $title } is paused.
schedule-now-resumed = The schedule of { $title } goes on.
schedule-offset = Give { $field } without an offset, such as 2026-03-01T19:00: the zone stands in time_zone.
schedule-shift-gap = The clocks are put forward over this time; it begins that much later.
schedule-shift-fold = The clocks are put back, so this time comes twice; it begins the first time.
day-monday = Monday
day-tuesday = Tuesday
day-wednesday = Wednesday
day-thursday = Thursday
day-friday = Friday
day-saturday = Saturday
day-sunday = Sunday
schedule-many = You have { $most } schedules, and more are not kept. Delete those that are over.
schedule-times-many = At most { $most } further times of a day are possible.
schedule-times-twice = The rule names times of day itself. Leave out the further times, or BYHOUR and BYMINUTE.
occurrence-over = This one has begun or is over, and stays as it is.
occurrence-on-air = This one is on air. Only its own length can be changed; to end it now, stop the stream.
occurrence-end-past = By this length it would be over already. Choose a longer one, or stop the stream.
occurrence-by-form = The rule names its days or times itself, so it cannot be moved like this. Change the whole schedule instead.
occurrence-many = { $most } single dates of this schedule were changed by hand, and more are not kept. Change the schedule itself.
calendar-range = A calendar shows up to { $days } days, from an earlier to a later time.
repeat-monthly = Monthly
repeat-yearly = Yearly
weekday-mo = { day-monday }
weekday-tu = { day-tuesday }
weekday-we = { day-wednesday }
weekday-th = { day-thursday }
weekday-fr = { day-friday }
weekday-sa = { day-saturday }
weekday-su = { day-sunday }
weekday-mo-short = Mo
weekday-tu-short = Tu
weekday-we-short = We
weekday-th-short = Th
weekday-fr-short = Fr
weekday-sa-short = Sa
weekday-su-short = Su
nth-1 = first
nth-2 = second
nth-3 = third
nth-4 = fourth
nth-last = last
schedule-every = Every
schedule-every-hint = 1: each day, week, month or year. 2: every second one, and so on.
schedule-days = On these days
schedule-days-hint = None chosen: on the weekday of the first time.
schedule-month = In the month
schedule-month-by-day = On a day of the month
schedule-month-day = Day
schedule-month-day-own = As the first time
schedule-month-day-hint = A month without this day is left out; “last” is in every month.
schedule-month-by-weekday = On a weekday, such as the second Tuesday
schedule-month-nth = Which
schedule-month-weekday = Weekday
schedule-last-legend = Until when
schedule-last-never = Without an end
schedule-last-until = Up to a day
schedule-last-count = So many times
schedule-count-times = Times
schedule-times = Also at these times
schedule-times-hint = Further times on each of the days.
schedule-skips = Not on these dates
schedule-skips-hint = Holidays, for example.
schedule-grace = Minutes that it may start late
schedule-grace-hint = If the server was down or had no room: what is later than this is marked as missed.
schedule-preview-button = Show the next five
schedule-exceptions = Changed by hand
schedule-words-month-day = { $every ->
    [1] Monthly on day { $day } at { $time }
   *[other] Every { $every } months on day { $day } at { $time }
  }
schedule-words-month-last = { $every ->
    [1] Monthly on the last day at { $time }
   *[other] Every { $every } months on the last day at { $time }
  }
schedule-words-month-weekday = { $every ->
    [1] Monthly on the { $nth } { $day } at { $time }
   *[other] Every { $every } months on the { $nth } { $day } at { $time }
  }
schedule-words-yearly = { $every ->
    [1] Yearly from { $date } at { $time }
   *[other] Every { $every } years from { $date } at { $time }
  }
schedule-words-last = { $words }, up to { $date }
schedule-words-count = { $count ->
    [1] { $words }, once
   *[other] { $words }, { $count } times
  }
calendar = Calendar
calendar-to-list = Schedules
calendar-nav = Other days
calendar-today = Today
calendar-month = Month
calendar-week = Week
calendar-day = Day
calendar-list = List
calendar-prev = Earlier
calendar-next = Later
calendar-none = Nothing on these days
calendar-none-text = Plan a stream, or look at other days.
calendar-more = { $count } more
calendar-too-many = There is more than is shown. Look at fewer days.
calendar-planned = Planned
calendar-cancelled = Cancelled
calendar-colours = Colours
calendar-by-state = by state
calendar-by-platform = by platform
calendar-by-stream = by stream
calendar-key-planned = Planned
calendar-key-on_air = On air
calendar-key-completed = Was on air
calendar-key-paused = Paused or cancelled
calendar-key-trouble = Went wrong, or is about to
calendar-trouble = Will not go on air as planned
occurrence-planned = Planned
occurrence-by-rule = By the rule of the schedule: { $when }
occurrence-trouble = As things stand it will not go on air as planned:
occurrence-paused = The schedule is paused: nothing starts until it is resumed.
occurrence-change = Change it
occurrence-starts = Starts at ({ $zone })
occurrence-minutes-hint = Empty: as the schedule says.
occurrence-reach = What is to be changed?
occurrence-reach-hint = What has begun stays as it is.
occurrence-cancel = Leave out
occurrence-cancel-broadcast = Its broadcast on YouTube is deleted, and its link leads nowhere then.
occurrence-restore = As the rule says
occurrence-changed = changed by hand
occurrence-saved = { $title }: the calendar is changed.
occurrence-moved = The calendar is changed.
occurrence-move = “{ $title }” of { $from } will start on { $to }.
occurrence-stretch = “{ $title }” of { $from } will end on { $to }.
reach-this = Only this one
reach-following = This one and those after it
reach-all = All that are to come
schedule-public = Everybody can watch its broadcasts on YouTube. Choose who may under:
