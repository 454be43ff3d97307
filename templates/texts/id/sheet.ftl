# Buku kerja dan berkas CSV: seperti apa berkasnya
sheet-file-size = Berkas lebih besar dari { $most } MiB. Hapus lembar dan gambar yang tidak perlu.
sheet-file-cells = Berkas berisi lebih dari { $most } sel. Hapus yang tidak perlu.
sheet-file-text = Berkas berisi lebih dari { $most } MiB teks.
sheet-file-rows = Ada lembar dengan lebih dari { $most } baris.
sheet-file-columns = Ada lembar dengan lebih dari { $most } kolom.
sheet-file-broken = Ini bukan buku kerja (.xlsx, .xls, .ods) atau berkas CSV, atau berkasnya rusak. Buka di program lembar kerja lalu simpan lagi.
sheet-file-password = Buku kerja dilindungi kata sandi. Simpan tanpa kata sandi.
sheet-file-empty = Tidak ada lembar yang punya baris judul kolom.
sheet-bomb-entries = Buku kerja punya terlalu banyak bagian. Buka di program lembar kerja lalu simpan lagi.
sheet-bomb-unpacked = Buku kerja menjadi terlalu besar saat dibuka. Berkas tidak dibaca.
sheet-bomb-cells = Buku kerja melebar menjadi terlalu banyak sel. Berkas tidak dibaca.
sheet-bomb-links = Buku kerja mengambil data dari berkas atau server lain. Ganti sel itu dengan nilainya lalu simpan lagi.
sheet-bomb-dtd = Buku kerja berisi definisi tipe dokumen, yang tidak pernah ditulis program lembar kerja. Berkas tidak dibaca.

# Isi sel
sheet-cell-fault = Sel berisi galat ({ $found }). Isi dengan nilai.
sheet-cell-flag = Isi dengan ya atau tidak, bukan “{ $found }”.
sheet-cell-repeat = Isi dengan harian, hari kerja, mingguan, sekali, ya atau tidak, bukan “{ $found }”.
sheet-cell-privacy = Isi dengan public, unlisted atau private, bukan “{ $found }”.
sheet-cell-length = Isi dengan lama seperti 90 (menit), 1:30 atau 2 jam 30 menit, bukan “{ $found }”.
sheet-cell-time = Isi dengan jam seperti 20:00, bukan “{ $found }”.
sheet-cell-day = Isi dengan tanggal seperti 2027-01-04, bukan “{ $found }”.
sheet-cell-stop = Isi dengan jam seperti 21:00, atau tanggal dan jam seperti 2027-01-04 21:00, bukan “{ $found }”.
sheet-cell-id = “{ $found }” bukan id kami. Kosongkan selnya untuk baris baru.
sheet-cell-zone = “{ $found }” bukan zona waktu. Isi dengan nama seperti Asia/Jakarta, atau WIB, WITA, WIT.
sheet-cell-order = Isi dengan urut atau acak, bukan “{ $found }”.
sheet-moment-form = “{ $found }” bukan tanggal dan jam. Isi seperti 2027-01-04 20:00 atau 4 Januari 2027 jam 20.00.
sheet-moment-order = “{ $found }” bisa dibaca sebagai dua tanggal. Tentukan apakah hari atau bulan yang di depan.
sheet-moment-no-time = Jamnya belum ada. Isi seperti 2027-01-04 20:00.
sheet-moment-no-date = Tanggalnya belum ada. Isi seperti 2027-01-04 20:00.
sheet-moment-zones = Waktunya menyebut zona { $one }, kolom zonanya { $other }.

# Arti baris di pustaka
import-table-unknown = Berkas tidak punya lembar itu.
import-many-rows = Ada lembar dengan lebih dari { $most } baris. Bagi menjadi beberapa berkas.
import-platform-unknown = Isi dengan youtube, facebook, twitch, tiktok, instagram atau custom.
import-row-cannot = Baris { $row } tidak bisa diambil: { $why }
import-row-changed = pustaka sudah berubah. Periksa lagi baris-barisnya.
import-row-foreign = Baris ini milik { $owner }. Hanya dia yang bisa mengimpornya, dengan login sendiri.
import-row-done = Program lama sudah menayangkan ini.
import-row-twice = Baris { $row } menyebut jadwal yang sama.
import-stream-twice = Baris { $row } menyebut hal lain tentang siaran yang sama.
import-start-missing = Waktu mulai belum ada. Isi seperti 2027-01-04 20:00.
import-title-missing = Judul belum ada.
import-video-unknown = Tidak ada video bernama “{ $found }”. Unggah dulu, atau tulis judul atau nama berkas video yang ada.
import-video-missing = Tidak ada video yang disebut, dan pustaka masih kosong. Unggah satu dulu.
import-key-none = Tidak ada kunci siaran bernama “{ $found }”. Tulis kuncinya di kolom stream_key, atau buat dulu siaran dengan kunci itu.
import-key-missing = Tidak ada kunci siaran yang disebut, dan pustaka belum punya. Tulis kuncinya di kolom stream_key, atau buat dulu siaran dengan kunci itu.
import-thumbnail-unknown = Tidak ada gambar mini bernama “{ $found }”.
import-description-long = Deskripsi paling panjang { $most } bita.
import-exceptions-form = “{ $found }” bukan tayangan yang diubah. Isi seperti 2027-01-04T20:00 cancelled.
import-exception-unnamed = Aturannya tidak punya tayangan pada { $found }.
import-draft-large = Berkas memakan terlalu banyak ruang. Bagi menjadi beberapa berkas.
import-column-unknown = Tidak ada kolom “{ $found }”.
import-day-order = Isi dengan day_first atau month_first.
import-question-unknown = Isi dengan video, key, stream atau thumbnail.

# Templat
template-sheet = jadwal
template-note-title = Nama siaran. Baris dengan judul, video dan kunci yang sama adalah satu siaran.
template-note-videos = Judul, nama berkas atau id video. Beberapa video: satu per baris (Alt+Enter), atau dipisah dengan ;
template-note-key = Kunci siaran milik salah satu siaran Anda, seperti di daftar; atau judul siaran yang tujuannya sama. Untuk kunci baru tambahkan kolom platform dan stream_key.
template-note-start = Tanggal dan jam mulai pertama, seperti 2027-01-04 20:00 atau 4 Januari 2027 jam 20.00.
template-note-zone = Zona waktu, seperti Asia/Jakarta, atau WIB, WITA, WIT. Kalau kosong, zona Anda.
template-note-repeat = sekali, harian, hari kerja atau mingguan. Untuk yang lain tambahkan kolom rule berisi RRULE seperti FREQ=MONTHLY;BYMONTHDAY=1.
template-note-duration = Lama tayang, seperti 2:00 (jam:menit) atau 90 (menit). Kalau kosong: sampai dihentikan.
template-note-stop = Sebagai ganti lama: jam selesai, seperti 22:00 (boleh hari berikutnya).
template-note-privacy = Siapa yang boleh menonton: public, unlisted atau private.
template-note-description = Teks yang dibaca penonton di bawah siaran.
template-note-thumbnail = Judul atau id gambar mini.
template-note-paused = ya: tidak ada yang mulai sampai dilanjutkan.
