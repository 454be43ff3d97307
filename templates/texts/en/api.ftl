api-time-expected = A time in RFC 3339 is expected, such as 2026-03-01T12:00:00Z.
api-local-time-expected = A local date and time is expected, such as 2026-03-01T19:00.
api-dates-expected = A list of dates is expected, such as 2026-03-01.
api-stop-which = Say either all: true, or stream: the id of one.
api-times-expected = A list of times of day is expected, such as 12:00.
