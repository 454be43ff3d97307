library-no-video = Berkas ini bukan video yang dapat diterima. Unggah mp4, mov, mkv, webm, flv, ts, atau avi; yang dilihat isinya, bukan namanya.
library-file-empty = File ini kosong, tidak ada isinya. Pilih file lain.
library-uploaded-same = “{ $title }” sudah diunggah. File yang sama sudah ada di sini sebagai “{ $same }”.
library-file-too-large = Berkas ini lebih besar dari { $mib } MiB, batas terbesar di sini. Ekspor ulang dengan ukuran lebih kecil.
library-upload-idle = Selama satu menit tidak ada data yang masuk, jadi unggahan dihentikan. Periksa koneksi, lalu unggah lagi.
library-disk-floor = Disk server hampir penuh: { $floor } MiB disisakan untuk siaran yang sedang berjalan. Hapus beberapa video, atau minta ruang kepada admin.
library-no-file = Belum ada berkas yang dipilih. Pilih satu atau beberapa berkas, lalu unggah lagi.
library-upload-cut = Unggahan terputus sebelum selesai. Periksa koneksi, lalu unggah lagi.
library-upload-form = Unggahan tidak dapat dibaca: { $cause }. Kirim berkas sebagai multipart/form-data, di kolom bernama “file”.
library-field-unknown = Tidak ada kolom bernama “{ $field }”. Gunakan file dan title.
library-title-expected = Tulis judul sepanjang 1 sampai { $most } karakter.
library-description-long = Gunakan paling banyak { $most } karakter.
library-tags-many = Gunakan paling banyak { $most } tag, masing-masing sampai { $longest } karakter.
library-thumbnail-unknown = Thumbnail ini sudah tidak ada di pustaka Anda. Pilih yang lain.
library-seconds-expected = Tulis detik video sebagai angka, misalnya 12.5.
library-video-scheduled = { $count ->
    [one] Siaran { $streams } punya jadwal yang membutuhkan video ini. Keluarkan dulu videonya dari siaran atau hapus jadwalnya; atau tetap hapus videonya.
   *[other] Siaran-siaran { $streams } punya jadwal yang membutuhkan video ini. Keluarkan dulu videonya dari semua siaran itu atau hapus jadwalnya; atau tetap hapus videonya.
  }
library-uploaded = { $count ->
    [one] “{ $title }” sudah diunggah.
   *[other] { $count } berkas sudah diunggah.
  }
library-not-uploaded = { $name }: { $reason }
library-saved = Tersimpan.
library-deleted = { $count ->
    [one] Sudah dihapus.
   *[other] { $count } video sudah dihapus.
  }
library-deleted-some = { $count ->
    [0] Tidak ada yang dihapus.
   *[other] { $count } video sudah dihapus.
  } { $kept ->
    [one] { $titles } tetap disimpan: sedang tayang, atau dibutuhkan jadwal. Halamannya menunjukkan siaran mana, dan bisa menghapusnya.
   *[other] { $kept } tetap disimpan: { $titles }. Semuanya sedang tayang, atau dibutuhkan jadwal. Halaman masing-masing menunjukkan siaran mana, dan bisa menghapusnya.
  }
library-video-on-air = { $count ->
    [one] Siaran { $streams } sedang memutar video ini. Hentikan dulu, atau tunggu sampai selesai.
   *[other] Siaran-siaran { $streams } sedang memutar video ini. Hentikan dulu, atau tunggu sampai selesai.
  }
library-nothing-chosen = Belum ada yang dipilih.
library-frame-taken = Gambar sudah diambil.
library-thumbnail-chosen = Gambar sudah dipilih.
library-thumbnail-deleted = Thumbnail sudah dihapus.
library-video-changed = Sementara itu berkas videonya sudah diganti. Periksa lagi sebelum melanjutkan.
library-thumbnail-logo = Gambar ini menjadi logo siaran { $streams }. Lepas dulu di sana.
