quota-full = Ruang tidak cukup: tersisa { $left } MiB dari { $limit } MiB. Hapus video yang tidak diperlukan, atau minta tambahan ke admin.
quota-files = Pustaka ini berisi { $limit } berkas, sebanyak batasnya. Hapus yang tidak diperlukan.
config-bad = Pengaturan tidak bisa dipakai: { $cause }. Perbaiki jadwalstream.toml atau variabel JADWAL_…, lalu jalankan lagi.
tenant-exists = Pustaka { $name } sudah ada dan milik orang lain. Pilih nama lain, atau nyatakan bahwa pengguna ini bergabung dengan pustaka itu.
tenant-unknown = Tidak ada pustaka bernama { $name }. Kosongkan kolom ini untuk membuatkan pustaka baru bagi pengguna ini.
