quota-full = There is not enough room: { $left } MiB of { $limit } MiB are left. Delete videos you no longer need, or ask the admin for more.
quota-files = This library holds { $limit } files, as many as it may. Delete what you no longer need.
config-bad = The settings cannot be used: { $cause }. Mend jadwalstream.toml or the JADWAL_… variable and start again.
tenant-exists = The library { $name } exists and belongs to others. Choose another name, or say that the user joins this library.
tenant-unknown = There is no library called { $name }. Leave the field empty to make one for this user.
