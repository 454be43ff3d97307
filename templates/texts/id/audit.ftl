audit-export-format = Pilih xlsx atau csv.
audit-export-one = Pilih satu catatan: nama pustaka, atau platform.
