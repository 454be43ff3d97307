history-kept = Kept for 90 days; what was moved in, for 90 days from the day that it came.
history-stream = Stream
history-all-streams = All streams
history-all-outcomes = Every outcome
history-outcome = Outcome
history-planned = Planned for
history-started = Started
history-ended = Ended
history-restarts = Restarts
history-sent = Sent
history-why = Why it ended
history-attempts = Attempts
history-to-stream = To the stream
history-empty = Nothing has been on air yet
history-empty-text = Each time a stream is on air, it is written down here: how long, how much, how it ended and why.
run-count = { $count ->
    [one] 1 run
   *[other] { $count } runs
  }
