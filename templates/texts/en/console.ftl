home-missing = There is no Jadwalstream home in { $home }. Name it with --home, or make one with “jadwalstream serve”.
console-refused = { $told }
console-not-confirmed = Nothing was deleted: the name was not typed.
console-no-user = There is no user called { $name }. “jadwalstream user list” shows all.
console-no-stream = No stream with the id { $id } is on air. “jadwalstream status” shows what is.
console-no-title = No stream called “{ $title }” is on air. “jadwalstream status” shows what is.
console-many-titles = More than one stream called “{ $title }” is on air. Name one by its id:{ $list }
console-file = { $file } cannot be read: { $why }
