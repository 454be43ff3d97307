notices = Notices
notices-text = What you want to hear about when you are not looking, and where.
notices-zone = Times in notices are in your zone, { $zone }, and texts in the language of your profile.
notices-empty = Nobody is told anything yet
notices-empty-text = Let a Telegram bot of yours write to you, or have a program of yours called, when a stream starts, struggles, ends or fails.
notice-via-telegram = Telegram
notice-via-webhook = Webhook
notice-new-telegram = New: Telegram
notice-new-webhook = New: webhook
notice-own-address = its own address
notice-where = Where
notice-what = What
notice-how-telegram = Make a bot with @BotFather in Telegram and copy its token here. Then write anything to your new bot: a bot may only write to those who wrote to it first. For a group, add the bot to it.
notice-how-webhook = Every notice is sent to your address as JSON, signed by the Standard Webhooks specification. The signing secret is shown once, when you save.
notice-name = Name
notice-name-hint = To tell several apart. May stay empty.
notice-name-length = A name has 1 to { $most } letters.
notice-token = Token of the bot
notice-token-hint = From @BotFather. It is kept sealed and never shown again.
notice-token-kept = { $masked } is kept sealed. Leave this empty to keep it.
notice-token-missing = The token is missing. @BotFather gives it to you when you make a bot.
notice-token-form = This is no token. It looks like 123456789:AA…, as @BotFather shows it.
notice-chat = Chat
notice-chat-hint = Your own number, which bots such as @userinfobot tell you, the number of a group, which begins with a minus, or @name of a channel.
notice-chat-missing = Say who is to be written to.
notice-chat-form = This is neither the number of a chat nor the @name of a channel.
notice-url = Address
notice-url-hint = It answers with a status from 200 to 299 within ten seconds. Redirects are not followed.
notice-url-missing = The address is missing.
notice-url-form = The address must begin with https:// or http:// and name a server.
notice-url-userinfo = Leave out the user name and password before the @. Check the signature instead.
notice-url-port = Webhooks may go to port 80, 443, or 1024 and above.
notice-field-other = This belongs to the other way. Leave it out.
notice-enabled = On
notice-enabled-hint = Nothing is sent while this is off, and what happens meanwhile is not made up for.
notice-off = Off
notice-kinds-none = Nothing is chosen
notice-kind-unknown = One of these is nothing that can be told. Load the page again.
notice-kind-operators = Only admins are told about the disk.
notice-kind-starts_soon = Starts soon
notice-kind-started = Started
notice-kind-retrying = In trouble
notice-kind-back = Back
notice-kind-ended = Ended
notice-kind-failed = Failed
notice-kind-missed = Missed
notice-kind-reconnect = Channel to connect again
notice-kind-broadcast = Broadcast in trouble
notice-kind-digest = Daily digest
notice-kind-disk_low = Disk almost full
notice-about-starts_soon = Some minutes before a planned stream.
notice-about-started = When the first bytes have gone out.
notice-about-retrying = When a platform has not been getting anything for a minute. At most once in half an hour.
notice-about-back = When it is getting it again.
notice-about-ended = When a stream is over, as planned or because somebody stopped it.
notice-about-failed = When a stream could not be kept on air.
notice-about-missed = When a planned stream did not go on air.
notice-about-reconnect = When a channel’s permission has ended, so that somebody has to connect it again.
notice-about-broadcast = When YouTube does not take a planned broadcast, or it will be late. The same trouble of a stream or channel once in twelve hours.
notice-about-digest = What was and what comes, once a day.
notice-about-disk_low = When little is free on the server's disk, once a day while it is so.
notice-lead = Minutes before the start
notice-lead-hint = For “Starts soon”.
notice-lead-range = A whole number of minutes from 1 to { $most }.
notice-hour = Hour of the digest
notice-hour-hint = In your zone, { $zone }.
notice-hour-range = An hour from 0 to 23.
notice-destinations-many = You have { $most } places already, or your library has no more room for any. Delete one that you no longer need.
notice-secret = Signing secret
notice-secret-title = The secret of “{ $name }”
notice-secret-text = Copy it now, it is not shown again. Your program checks with it that a notice is from here.
notice-secret-hint = Libraries that check it are listed at standardwebhooks.com.
notice-no-secret = Only webhooks have a signing secret.
notice-rotate = Make a new secret
notice-rotate-text = After a change the old secret signs beside the new one for a day, so that you can change over without losing a notice.
notice-rotate-previous = The old one signs until
notice-delete = Delete
notice-delete-loss = { $count ->
    [0] Nothing is sent there any more.
    [one] Nothing is sent there any more. One notice that still waits is lost.
   *[other] Nothing is sent there any more. { $count } notices that still wait are lost.
  }
notice-saved = “{ $name }” is saved. Send a test to be sure.
notice-deleted = “{ $name }” is deleted.
notice-test-send = Send a test
notice-test-there = The test reached “{ $name }”.
notice-test-fault = The test did not reach “{ $name }”. { $reason }
notice-status-new = Nothing has been sent yet. Send a test.
notice-status-ok = The last one got there on { $when }.
notice-status-fault = Did not get there on { $when }. { $reason }
notice-status-waiting = { $count ->
    [one] One notice waits.
   *[other] { $count } notices wait.
  }
notice-status-again = Next try: { $when }.
notice-status-given-up = { $count ->
    [one] One notice was given up.
   *[other] { $count } notices were given up.
  }
notice-fault-slow = { $host } did not answer within ten seconds. It is tried again.
notice-fault-name = There is no server named { $host }. Check the spelling of the address.
notice-fault-inner = { $host } leads to an inner address. Only public servers can be called, unless the admin allows private ones.
notice-fault-certificate = The certificate of { $host } is not valid, so nothing is sent there. Renew it.
notice-fault-unreachable = { $host } cannot be reached. It is tried again; check that the server runs and lets us in.
notice-fault-status = The server answered with status { $status } and not with 2xx. It is tried again; look at what your program says to it.
notice-fault-redirect = The server answered with a redirect (status { $status }), and redirects are not followed. Type the address that it leads to.
notice-fault-gone = The server said that it wants no more notices (status { $status }), so this was turned off. Turn it on again when that was a mistake.
notice-fault-token = Telegram does not accept the token. Ask @BotFather for a new one and type it here.
notice-fault-blocked = The bot may not write there: it was blocked, was taken out of the group, or nobody wrote to it first. Unblock it, write to it or add it again.
notice-fault-chat = Telegram knows no such chat. Write to your bot first, then check the number of the chat.
notice-fault-telegram = Telegram did not take it (status { $status }). It is tried again.
notice-fault-telegram-wait = Telegram asks us to wait { $seconds } seconds because too much was sent.
notice-fault-telegram-refused = Telegram does not take this message (status { $status }): { $description }
notice-test = This is a test from Jadwalstream: notices for “{ $name }” arrive here.
notice-starts-soon = “{ $title }” goes on air in { $time }: { $when }.
notice-started = “{ $title }” is on air since { $when }.
notice-until = It ends on { $when }.
notice-retrying = “{ $title }” has not been getting through to { $platform } for { $time }.
notice-trying = It is tried again until it gets through or somebody stops it.
notice-trying-until = It is tried again until it gets through, until { $when } at most.
notice-back = “{ $title }” is getting through to { $platform } again, after { $time }.
notice-ended = “{ $title }” has ended as planned, after { $time } on air.
notice-stopped = “{ $title }” was stopped, after { $time } on air.
notice-failed = “{ $title }” has failed: it could not be kept on air. { $when }
notice-missed = “{ $title }” did not go on air on { $when }.
notice-missed-several = “{ $title }” did not go on air { $count } times, the last time on { $when }.
notice-restarts = { $count ->
    [one] It had to be started again once.
   *[other] It had to be started again { $count } times.
  }
notice-disk-low = The server's disk is almost full: { $free } of { $total } are free. Delete what is no longer needed. Below { $floor } nothing more can be uploaded.
notice-reconnect = { $title } has to be connected again: YouTube does not accept its permission any more. Planned broadcasts cannot be made until then.
notice-broadcast = The broadcast “{ $title }”, planned for { $when }, is in trouble.
digest-title = Your streams, { $when }
digest-quiet = In the last 24 hours nothing was on air.
digest-runs = In the last 24 hours: { $time } on air. { $good ->
    [one] 1 stream ended well
   *[other] { $good } streams ended well
  }, { $failed } failed, { $missed } missed.
digest-on-air = On air now: { $titles }
digest-nothing-coming = Nothing is planned for the next 24 hours.
digest-coming = In the next 24 hours:
digest-item = · { $when }: { $title }
digest-more = · and { $count } more
digest-storage = Storage: { $used } of { $limit } used.
