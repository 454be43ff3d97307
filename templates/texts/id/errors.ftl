error-not-found = Ini tidak ada, atau bukan bagian dari pustaka Anda. Kembali dan pilih dari daftar.
error-invalid = Ada isian yang perlu diperiksa lagi: lihat catatan di sebelahnya.
error-stale = Data ini sudah diubah orang lain. Muat ulang, lalu ulangi perubahan Anda.
error-login-required = Silakan masuk dulu.
error-too-many = Terlalu banyak permintaan. Tunggu { $seconds } detik, lalu coba lagi.
error-internal = Terjadi kesalahan di pihak kami; tidak ada data Anda yang hilang. Coba lagi, dan beri tahu admin jika terulang.
error-disk-full = Disk penuh. Hapus video yang tidak diperlukan, atau minta ruang tambahan ke admin.
home-two-filesystems = { $folder }/ berada di filesystem yang berbeda dari data/. Letakkan keduanya di filesystem yang sama: unggahan yang selesai dipindahkan, tidak disalin.
