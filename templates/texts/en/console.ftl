home-missing = There is no Jadwalstream home in { $home }. Name it with --home, or make one with “jadwalstream serve”.
console-refused = { $told }
console-not-confirmed = Nothing was deleted: the name was not typed.
