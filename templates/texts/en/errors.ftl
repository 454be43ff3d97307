error-not-found = This does not exist, or it is not in your library. Go back and choose it from a list.
error-invalid = Some fields need another look: see the notes beside them.
error-stale = Somebody changed this in the meantime. Load it again, then repeat your change.
error-login-required = Please log in first.
error-too-many = Too many requests. Wait { $seconds } seconds, then try again.
error-internal = Something went wrong on our side; nothing of yours was lost. Try again, and tell the admin if it happens again.
error-disk-full = The disk is full. Delete videos you no longer need, or ask the admin for room.
home-two-filesystems = { $folder }/ lies on another filesystem than data/. Put both on the same one: a finished upload is moved into place, never copied.
