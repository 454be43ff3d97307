home-missing = Tidak ada folder Jadwalstream di { $home }. Sebutkan dengan --home, atau buat dengan “jadwalstream serve”.
console-refused = { $told }
console-not-confirmed = Tidak ada yang dihapus: nama tidak diketik.
