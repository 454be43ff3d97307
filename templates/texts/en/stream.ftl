stream-new = New stream
stream-edit = Edit stream
stream-search = Search title
stream-filter-all = All streams
stream-filter-on-air = On air
stream-filter-planned = Planned
stream-filter-idle = Idle
stream-filter-failed = Failed
stream-empty = No stream yet
stream-empty-text = A stream says which videos go where. Make one, then start it or plan it.
stream-count = { $count ->
    [one] 1 stream
   *[other] { $count } streams
  }
stream-start = Start
stream-start-now = Start now
stream-start-public = This makes a broadcast on YouTube at once that everybody can see. Choose otherwise under On YouTube, Who may watch.
stream-start-end = When should it stop?
stream-stop = Stop
stream-change-end = Change the end
stream-change-end-save = Change
stream-stop-confirm = Viewers lose the picture at once. The run is kept in the history; you can start again at any time.
stream-title-hint = With a kept key of a YouTube channel it is also the title of the broadcasts. Elsewhere only you see it.
stream-videos = Videos
stream-videos-hint = They play in this order. Leave a line empty to take a video out.
stream-needs-video = A stream plays your own videos, so upload one first.
stream-video-number = Video { $number }
stream-video-none = — none —
stream-video-add = Add a video
stream-order = Order
stream-order-listed = As listed
stream-order-shuffled = Shuffled each round
stream-loop = Again from the start after the last video
stream-loop-hint = Off: the stream ends after one round.
stream-loops = repeats until stopped
stream-round = One round: { $length }
stream-targets = Targets
stream-targets-hint = Where the stream goes: one place, or up to four at once. Stream keys are sealed on this server; pages show only their end.
stream-target-number = Target { $number }
stream-target-none = — none —
stream-target-url = Server address
stream-target-url-hint = Leave empty for the platform's usual server. Needed for an own address and where the platform shows a server URL beside the key.
stream-target-key = Stream key
stream-target-key-hint = Copy it from the platform's live page.
stream-target-key-again = Type the key again: for your safety the page never sends it back.
stream-target-key-kept = Sealed: { $masked }. Leave empty to keep it.
stream-edit-on-air = This stream is on air. Changes take effect at its next start.
stream-delete = Delete this stream
stream-delete-loss = The stream and its stream keys are gone for good. { $schedules ->
    [0] No schedule depends on it.
    [one] One schedule goes with it.
   *[other] { $schedules } schedules go with it.
  } { $runs ->
    [0] Your videos stay.
   *[other] Your videos and the history stay.
  }
stream-state = State of the stream
stream-frame = What viewers see now
stream-next = Starts
stream-no-end = Goes on until you stop it.
stream-one-round = Ends after one round of its videos.
stream-bitrate = Bitrate
stream-no-graph = The graph begins some seconds after the first bytes went out.
stream-log = Log
stream-log-empty = Nothing written yet.
stream-no-schedule = Not planned. It starts only when you start it.
stream-no-runs = Not on air so far.
schedule-it = Plan it
end-none = Until I stop it
end-after = After a while
end-minutes = Minutes from now
end-at = At a time
end-time = Stop at ({ $zone })
state-idle = Idle
state-scheduled = Planned
state-starting = Starting
state-sending = Sending
state-live = Live
state-retrying = Retrying
state-stopping = Stopping
state-ended = Ended
state-failed = Failed
# One honest sentence on what a stream does, for the pages and their events.
words-idle = Not on air.
words-scheduled = Starts { $when }.
words-starting = Starting: the connection is being made.
words-sending = Sending, { $bitrate }, up { $uptime }, { $restarts ->
    [0] no restart
    [one] 1 restart
   *[other] { $restarts } restarts
  }
words-measuring = Sending; the bitrate is being measured.
words-live = Live, { $bitrate }, up { $uptime }, { $restarts ->
    [0] no restart
    [one] 1 restart
   *[other] { $restarts } restarts
  }
words-retrying = Interrupted; trying again.
words-stopping = Stopping …
words-ended = Ended { $when }.
words-failed = Gave up { $when }.
outcome-running = On air
outcome-completed = Completed
outcome-stopped = Stopped
outcome-failed = Failed
outcome-missed = Missed
words-target-sending = { $bitrate }, up { $uptime }, { $restarts ->
    [0] no restart
    [one] 1 restart
   *[other] { $restarts } restarts
  }
stream-saved = { $title } is saved.
stream-deleted = { $title } is deleted.
stream-started = { $title } is going on air.
stream-end-changed = { $title } now ends { $when }; viewers noticed nothing.
stream-end-changed-open = { $title } now goes on until you stop it; viewers noticed nothing.
stream-stopping = { $title } is being taken off air.
stream-video-unknown = One of the chosen videos is not in your library any more. Choose another one.
stream-platform-missing = Choose where this goes, or empty the fields.
stream-delete-stop-first = It is on air: stop it first.
stream-apart = Not all of these videos were encoded alike. All of them are played, but each is sent by itself: between two, viewers may see a pause of a second or two.
stream-apart-mend = Open a marked video and optimise it: optimised videos of one size are sent in one piece.
stream-differs = Unlike the others: { $reasons }
stream-overlay = Over the picture
stream-overlay-on = Lay a logo, a text or a clock over the picture
stream-overlay-hint = Off, videos are sent as they are, which costs next to nothing. On, the picture is encoded again for as long as the stream is on air.
stream-overlay-what = Logo, text, clock and what it costs
stream-overlay-profile = Size of the picture
stream-overlay-price = { $size }: about { $cores } processor cores, { $memory } MiB of memory and { $bitrate } of uplink for each target
stream-overlay-limit = All streams with an overlay may use { $cores } cores of this server together. One that does not fit beside those on air is refused when it starts. A larger or faster video takes somewhat more.
stream-overlay-logo = Logo
stream-overlay-no-logo = No logo
stream-overlay-logo-hint = A picture from Thumbnails. A PNG keeps what is see-through.
stream-overlay-place = Place
stream-overlay-width = Width, in percent of the picture
stream-overlay-text = Text
stream-overlay-clock = Clock
stream-overlay-shown = with an overlay, at { $profile }
place-top_left = Top left
place-top = Top, middle
place-top_right = Top right
place-bottom_left = Bottom left
place-bottom = Bottom, middle
place-bottom_right = Bottom right
