audit-export-format = Choose xlsx or csv.
audit-export-one = Choose one record: a tenant's name, or platform.
