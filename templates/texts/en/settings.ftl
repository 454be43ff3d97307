settings-profile = Profile
settings-zone-hint = All times on the pages are shown in this zone, and new schedules begin with it.
settings-password = Password
settings-password-current = Current password
settings-password-new = New password
settings-password-repeat = New password again
settings-password-change = Change the password
settings-password-effect = All other sessions end at once.
password-hint = At least 8 characters, at most 72 bytes. A few words in a row are easy to keep in mind.
settings-plan = Plan: { $plan }
settings-sessions = Where you are logged in
settings-session-this = This one
settings-session-seen = last seen
settings-session-end = Log out
settings-sessions-end-all = Log out everywhere
settings-sessions-end-all-loss = Every session ends, this one too. Streams go on.
settings-audit = Audit log
audit-own-text = Every change and every refusal in your library. The list cannot be changed, not even by the admin.
audit-all-text = Every change and every refusal on this server. The list cannot be changed.
audit-search = Search name, action, object
audit-actor = Who
audit-action = What
audit-object = On
audit-outcome = Outcome
audit-done = Done
audit-refused = Refused
audit-address = From
audit-count = { $count ->
    [one] 1 entry
   *[other] { $count } entries
  }
settings-saved = Your profile is saved.
password-differs = The two new passwords differ. Type the same one twice.
password-changed = Your password is changed; all other sessions ended.
session-ended = That session is logged out.
logged-out-everywhere = You are logged out everywhere.
audit-outcome-all = Done and refused
audit-tenant = Library or “platform”
