api-time-expected = Tulis waktu menurut RFC 3339, misalnya 2026-03-01T12:00:00Z.
api-local-time-expected = Tulis tanggal dan jam setempat, misalnya 2026-03-01T19:00.
api-dates-expected = Tulis daftar tanggal, misalnya 2026-03-01.
api-stop-which = Sebutkan all: true, atau stream: id salah satu siaran.
api-times-expected = Yang diharapkan daftar jam, misalnya 12:00.
