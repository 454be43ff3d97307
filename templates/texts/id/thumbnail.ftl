thumbnail-drop = Jatuhkan gambar di mana saja di halaman ini, atau pilih berkasnya
thumbnail-kinds = png, jpg, atau webp; maksimal { $max } per berkas. 1280 × 720 cocok untuk semua platform.
thumbnail-search = Cari judul
thumbnail-empty = Belum ada thumbnail
thumbnail-empty-text = Pilih atau jatuhkan gambar di atas. Gambar dari video dibuat di halaman videonya.
thumbnail-count = { $count } thumbnail
thumbnail-used = { $count ->
    [0] Belum dipakai
   *[other] { $count } video
  }
thumbnail-change = Ubah
thumbnail-delete-loss = “{ $title }” dihapus selamanya. { $count ->
    [0] Tidak ada video yang memakainya.
   *[other] { $count } video yang memakainya kembali menampilkan gambar dari videonya sendiri.
  }
