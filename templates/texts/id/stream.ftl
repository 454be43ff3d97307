stream-new = Siaran baru
stream-edit = Ubah siaran
stream-search = Cari judul
stream-filter-all = Semua siaran
stream-filter-on-air = Sedang tayang
stream-filter-planned = Terjadwal
stream-filter-idle = Diam
stream-filter-failed = Gagal
stream-empty = Belum ada siaran
stream-empty-text = Siaran menentukan video mana dikirim ke mana. Buat satu, lalu mulai atau jadwalkan.
stream-count = { $count } siaran
stream-start = Mulai
stream-start-now = Mulai sekarang
stream-start-public = Ini langsung membuat acara di YouTube yang bisa dilihat semua orang. Ubah di Di YouTube, Siapa yang boleh menonton.
stream-start-end = Kapan berhenti?
stream-stop = Hentikan
stream-change-end = Ubah waktu selesai
stream-change-end-save = Ubah
stream-stop-confirm = Penonton langsung kehilangan gambar. Penayangan ini tersimpan di riwayat; Anda bisa memulainya lagi kapan saja.
stream-title-hint = Dengan kunci tersimpan dari kanal YouTube, ini juga menjadi judul siaran di sana. Di tempat lain hanya Anda yang melihatnya.
stream-videos = Video
stream-videos-hint = Diputar menurut urutan ini. Kosongkan satu baris untuk mengeluarkan videonya.
stream-needs-video = Siaran memutar video Anda sendiri, jadi unggah dulu satu video.
stream-video-number = Video { $number }
stream-video-none = — tidak ada —
stream-video-add = Tambah video
stream-order = Urutan
stream-order-listed = Sesuai daftar
stream-order-shuffled = Diacak tiap putaran
stream-loop = Ulang dari awal setelah video terakhir
stream-loop-hint = Jika mati: siaran berakhir setelah satu putaran.
stream-loops = berulang sampai dihentikan
stream-round = Satu putaran: { $length }
stream-targets = Tujuan
stream-targets-hint = Ke mana siaran dikirim: satu tempat, atau sampai empat sekaligus. Stream key disegel di server ini; halaman hanya menampilkan bagian akhirnya.
stream-target-number = Tujuan { $number }
stream-target-none = — tidak ada —
stream-target-url = Alamat server
stream-target-url-hint = Kosongkan untuk server platform yang biasa. Wajib untuk alamat sendiri dan jika platform menampilkan URL server di samping stream key.
stream-target-key = Stream key
stream-target-key-hint = Salin dari halaman siaran langsung di platform.
stream-target-key-again = Ketik stream key sekali lagi: demi keamanan halaman ini tidak pernah menampilkannya kembali.
stream-target-key-kept = Tersegel: { $masked }. Kosongkan jika tidak diganti.
stream-edit-on-air = Siaran ini sedang tayang. Perubahan berlaku saat dimulai berikutnya.
stream-delete = Hapus siaran ini
stream-delete-loss = Siaran ini dan stream key-nya hilang selamanya. { $schedules ->
    [0] Tidak ada jadwal yang bergantung padanya.
   *[other] { $schedules } jadwal ikut terhapus.
  } { $runs ->
    [0] Video Anda tetap ada.
   *[other] Video dan riwayat Anda tetap ada.
  }
stream-state = Keadaan siaran
stream-frame = Yang sedang dilihat penonton
stream-next = Mulai
stream-no-end = Berjalan terus sampai Anda menghentikannya.
stream-one-round = Berakhir setelah semua videonya diputar satu kali.
stream-bitrate = Bitrate
stream-no-graph = Grafik dimulai beberapa detik setelah data pertama terkirim.
stream-log = Log
stream-log-empty = Belum ada tulisan.
stream-no-schedule = Belum dijadwalkan. Siaran mulai hanya jika Anda memulainya.
stream-no-runs = Belum pernah tayang.
schedule-it = Jadwalkan
end-none = Sampai saya hentikan
end-after = Setelah sekian lama
end-minutes = Menit dari sekarang
end-at = Pada jam tertentu
end-time = Berhenti pada ({ $zone })
state-idle = Diam
state-scheduled = Terjadwal
state-starting = Memulai
state-sending = Mengirim
state-live = Langsung
state-retrying = Mencoba lagi
state-stopping = Menghentikan
state-ended = Selesai
state-failed = Gagal
words-idle = Tidak sedang tayang.
words-scheduled = Mulai { $when }.
words-starting = Memulai: sedang menyambung.
words-sending = Mengirim, { $bitrate }, sudah { $uptime }, { $restarts ->
    [0] tanpa mulai ulang
   *[other] { $restarts } kali mulai ulang
  }
words-measuring = Mengirim; bitrate sedang diukur.
words-live = Langsung, { $bitrate }, sudah { $uptime }, { $restarts ->
    [0] tanpa mulai ulang
   *[other] { $restarts } kali mulai ulang
  }
words-retrying = Terputus; mencoba lagi.
words-stopping = Menghentikan …
words-ended = Selesai { $when }.
words-failed = Menyerah { $when }.
outcome-running = Sedang tayang
outcome-completed = Tuntas
outcome-stopped = Dihentikan
outcome-failed = Gagal
outcome-missed = Terlewat
words-target-sending = { $bitrate }, sudah { $uptime }, { $restarts ->
    [0] tanpa mulai ulang
   *[other] { $restarts } kali mulai ulang
  }
stream-saved = { $title } tersimpan.
stream-deleted = { $title } dihapus.
stream-started = { $title } segera tayang.
stream-end-changed = { $title } sekarang berakhir { $when }; penonton tidak merasakan apa-apa.
stream-end-changed-open = { $title } sekarang terus tayang sampai Anda hentikan; penonton tidak merasakan apa-apa.
stream-stopping = { $title } sedang dihentikan.
stream-video-unknown = Salah satu video yang dipilih sudah tidak ada di pustaka Anda. Pilih video lain.
stream-platform-missing = Pilih tujuannya, atau kosongkan isiannya.
stream-delete-stop-first = Siaran ini sedang tayang: hentikan dulu.
stream-apart = Tidak semua video ini dikodekan dengan cara yang sama. Semuanya tetap diputar, tetapi dikirim satu per satu: di antara dua video, penonton mungkin melihat jeda satu dua detik.
stream-apart-mend = Buka video yang ditandai, lalu optimalkan: video optimal yang ukurannya sama dikirim tanpa putus.
stream-differs = Berbeda dari yang lain: { $reasons }
stream-overlay = Di atas gambar
stream-overlay-on = Tampilkan logo, teks, atau jam di atas gambar
stream-overlay-hint = Jika mati, video dikirim apa adanya dan hampir tanpa beban. Jika hidup, gambar dikodekan ulang selama siaran tayang.
stream-overlay-what = Logo, teks, jam, dan bebannya
stream-overlay-profile = Ukuran gambar
stream-overlay-price = { $size }: sekitar { $cores } inti prosesor, { $memory } MiB memori, dan { $bitrate } uplink untuk tiap tujuan
stream-overlay-limit = Semua siaran dengan tampilan tambahan boleh memakai { $cores } inti server ini bersama-sama. Yang tidak muat di samping siaran lain ditolak saat dimulai. Video yang lebih besar atau lebih cepat perlu sedikit lebih banyak.
stream-overlay-logo = Logo
stream-overlay-no-logo = Tanpa logo
stream-overlay-logo-hint = Gambar dari Thumbnail. PNG tetap tembus pandang di bagian yang tembus pandang.
stream-overlay-place = Tempat
stream-overlay-width = Lebar, dalam persen gambar
stream-overlay-text = Teks
stream-overlay-clock = Jam
stream-overlay-shown = dengan tampilan tambahan, { $profile }
place-top_left = Kiri atas
place-top = Tengah atas
place-top_right = Kanan atas
place-bottom_left = Kiri bawah
place-bottom = Tengah bawah
place-bottom_right = Kanan bawah
