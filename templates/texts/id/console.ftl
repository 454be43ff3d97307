home-missing = Tidak ada folder Jadwalstream di { $home }. Sebutkan dengan --home, atau buat dengan “jadwalstream serve”.
console-refused = { $told }
console-not-confirmed = Tidak ada yang dihapus: nama tidak diketik.
console-no-user = Tidak ada pengguna bernama { $name }. “jadwalstream user list” menampilkan semuanya.
console-no-stream = Tidak ada siaran dengan id { $id } yang sedang tayang. “jadwalstream status” menampilkan yang tayang.
console-no-title = Tidak ada siaran bernama “{ $title }” yang sedang tayang. “jadwalstream status” menampilkan yang tayang.
console-many-titles = Ada lebih dari satu siaran bernama “{ $title }” yang sedang tayang. Sebutkan id-nya:{ $list }
console-file = { $file } tidak bisa dibaca: { $why }
