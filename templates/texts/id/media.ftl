media-program-missing = { $program } tidak bisa dijalankan. Pasang ffmpeg (ffprobe sudah termasuk), atau sebutkan letak programnya lewat JADWAL_FFMPEG dan JADWAL_FFPROBE.
media-program-old = { $program } versi { $version }; dibutuhkan minimal versi { $oldest }. Pasang ffmpeg yang lebih baru.
media-no-samples = Klip contoh tidak bisa dibuat: ffmpeg ini tidak bisa menghasilkan H.264. Pasang ffmpeg yang lengkap, atau jalankan dengan --no-demo.

media-unreadable = File ini tidak bisa dibaca sebagai video. Mungkin rusak atau terpotong; ekspor atau unduh lagi.
media-too-demanding = Membaca file ini butuh waktu atau memori melebihi batas. Ekspor lagi sebagai MP4 biasa (H.264, AAC).
media-no-picture = Tidak ada gambar bergerak di file ini. Unggah video; suara saja tidak bisa disiarkan.
media-no-length = Durasi video ini tidak bisa diketahui. Ekspor lagi sebagai MP4 biasa.
media-too-many-pixels = Ukuran { $width }×{ $height } piksel melebihi batas di sini. Ekspor video dengan ukuran 3840×2160 atau lebih kecil.
media-no-frame = Video tidak punya gambar pada waktu itu. Pilih waktu yang lebih awal.

media-no-such-picture = Ini bukan gambar JPEG, PNG, atau WebP. Simpan dalam salah satu format itu, lalu unggah lagi.
media-picture-unreadable = Gambar ini tidak bisa dibaca. Mungkin rusak; simpan lagi sebagai JPEG atau PNG.
media-picture-too-large = Gambar ini lebih besar dari { $mib } MiB. Simpan dengan ukuran lebih kecil.
media-picture-too-many-pixels = Gambar ini lebih dari 50 juta piksel. Simpan dengan ukuran lebih kecil.
media-picture-too-deep = Gambar ini punya terlalu banyak piksel untuk 16 bit per warna. Simpan dengan 8 bit, atau lebih kecil.
media-picture-too-demanding = Membaca gambar ini butuh waktu atau memori melebihi batas. Simpan lebih kecil, atau sebagai JPEG yang tidak progresif.

media-finding-video-codec = Gambar video memakai { $codec }. Platform siaran langsung hanya menerima H.264, jadi video ini tidak bisa disiarkan apa adanya. Ekspor lagi sebagai H.264.
media-finding-pixel-format = Warna disimpan sebagai { $format }. Banyak penonton tidak akan melihat apa-apa atau warnanya salah. Ekspor lagi sebagai 8-bit 4:2:0 (yuv420p).
media-finding-colour-range = Warna memakai rentang penuh. Hitam dan putih bisa tampak pudar atau terlalu pekat di platform.
media-finding-keyframes = Jarak antar-keyframe sampai { $seconds } detik; platform mengeluh jika lebih dari 4, dan siaran bisa tersendat atau terputus. Ekspor lagi dengan keyframe setiap 2 detik.
media-finding-keyframes-wide = Jarak antar-keyframe sampai { $seconds } detik. Tetap bisa, tetapi platform meminta 2 detik: penonton menunggu gambar sedikit lebih lama.
media-finding-missing-times = Frame video tidak menyimpan waktu tampilnya, seperti banyak file AVI, jadi video ini tidak bisa disiarkan apa adanya. Ekspor lagi sebagai MP4.
media-finding-rotated = Video tersimpan miring dan meminta pemutar memutarnya { $degrees }°. Siaran langsung tidak bisa menyampaikan itu: penonton akan melihatnya miring. Ekspor lagi dalam posisi tegak.
media-finding-variable-frame-rate = Jarak antar-frame tidak rata, seperti hasil ponsel atau perekam layar. Di platform gambar bisa patah-patah, atau suara dan gambar makin tidak selaras.
media-finding-frame-rate = { $rate } frame per detik melebihi yang ditampilkan platform. Sebagian akan dibuang.
media-finding-interlaced = Gambar video interlaced. Tepi benda yang bergerak akan tampak bergerigi.
media-finding-resolution = Ukuran { $size } lebih besar dari yang ditampilkan platform. Bisa jadi ditolak; 3840×2160 sudah cukup.
media-finding-bitrate-high = { $mbit } Mbit/s melebihi kebutuhan ukuran ini ({ $low } sampai { $high } Mbit/s). Jalur unggah server terpakai tanpa membuat gambar lebih bagus.
media-finding-bitrate-low = { $mbit } Mbit/s terlalu sedikit untuk ukuran ini (biasanya { $low } sampai { $high } Mbit/s). Platform bisa memperingatkan bitrate rendah, dan gambar bisa tampak buram.
media-finding-silent = Video tidak bersuara. Saat siaran ditambahkan trek hening, karena platform mengeluh jika tidak ada suara.
media-finding-audio-codec = Suara memakai { $codec }. Platform siaran langsung hanya menerima AAC atau MP3, jadi video ini tidak bisa disiarkan apa adanya. Ekspor lagi dengan AAC.
media-finding-audio-sample-rate = Suara memakai { $rate } sampel per detik; platform meminta 44100 atau 48000. Ada platform yang bisa menolak atau merusak suaranya.
media-finding-mp3-sample-rate = Suara berupa MP3 dengan { $rate } sampel per detik, yang tidak bisa dibawa siaran langsung. Ekspor lagi dengan AAC.
media-finding-audio-channels = Suara punya { $channels } kanal. Platform meminta stereo; sebagian penonton bisa kehilangan beberapa bagian suara.
media-finding-audio-short = Suara berakhir { $seconds } detik sebelum gambar. Saat diulang, selalu ada jeda hening.
media-finding-audio-long = Gambar berakhir { $seconds } detik sebelum suara. Saat diulang, gambar selalu diam sejenak.

media-sample-dawn = Fajar perlahan
media-sample-sea = Senja di laut
media-sample-test-picture = Gambar uji dengan keyframe renggang
media-sample-evening = Langit senja
media-sample-forest = Cahaya hutan
