user-new = New user
user-search = Search name
user-name = User name
user-name-hint = Small letters, digits, - and _; 2 to 32 characters. It names the user's folder and never changes.
user-first-password = First password
role-long-user = User: a library of their own
role-long-demo = Demo: looks, cannot change anything
role-long-admin = Admin: also runs this server
user-quota = Storage in GiB
user-quota-hint = Empty: as the plan says. Videos, pictures and everything made from them count. Less than what is used only stops new uploads.
user-create = Create the user
user-rights = Role and storage
user-disable = Disabled
user-disable-hint = Cannot log in; open sessions end at once. Streams on air go on; schedules start nothing while everybody of this library is disabled.
user-stop-streams = And take its streams off air
user-stop-streams-hint = { $count ->
    [one] One stream of this library is on air and stays there otherwise.
   *[other] { $count } streams of this library are on air and stay there otherwise.
  }
user-stop-only-disabled = Streams are taken off air here only together with disabling the user. Switch on both.
user-disabled-on-air = Saved. { $count ->
    [one] One stream of this library stays on air.
   *[other] { $count } streams of this library stay on air.
  } To take them off air too, switch that on below and save again.
user-disabled = Disabled
user-password = New password
user-password-effect = All sessions of this user end at once.
user-since = Since
user-last-seen = Last seen
user-delete = Delete this user
user-delete-self = This is you. Another admin can delete this account.
user-delete-loss = { $name } and everything of theirs is gone for good: { $videos ->
    [one] 1 video
   *[other] { $videos } videos
  }, { $streams ->
    [one] 1 stream
   *[other] { $streams } streams
  }, { $schedules ->
    [one] 1 schedule
   *[other] { $schedules } schedules
  }, { $size }. There is no way back.
user-delete-on-air = { $count ->
    [one] One stream is on air and is stopped first.
   *[other] { $count } streams are on air and are stopped first.
  }
user-delete-type = Type { $name } to confirm
user-count = { $count ->
    [one] 1 user
   *[other] { $count } users
  }
user-plan = Plan
plan-free = Free: 1 GiB
plan-premium = Premium: 100 GiB
plan-enterprise = Enterprise: 1,000 GiB
quota-expected = Type a number of GiB, such as 20 or 1.5, or leave the field empty.
user-created = { $name } can log in now.
user-changed = The changes are saved.
user-password-set = The new password is set; all sessions of this user ended.
user-delete-shared = { $name } can no longer log in. The library { $tenant } stays: others use it.
user-delete-differs = Type { $name } exactly as it stands here.
user-removed = { $name } is deleted: { $files ->
    [one] 1 file
   *[other] { $files } files
  }, { $size }.
