use uuid::Uuid;

use super::super::rows::BroadcastFacts;
use super::*;

fn time(text: &str) -> Timestamp {
    text.parse().unwrap()
}

fn reader(locale: Locale, zone: &str) -> Reader {
    let zone = TimeZone::get(zone).unwrap();
    let pages = Some(Url::parse("https://live.example.com/").unwrap());
    Reader { locale, zone, pages, now: time("2025-11-04T11:50:00Z") }
}

fn about(kind: Kind, change: impl FnOnce(&mut StreamFacts)) -> Notice {
    let mut facts = StreamFacts {
        stream_id: Uuid::from_u128(7),
        title: "Rain <b>".into(),
        run_id: Some(Uuid::from_u128(8)),
        occurrence_at: Some(time("2025-11-04T12:00:00Z")),
        count: 1,
        ..StreamFacts::default()
    };
    change(&mut facts);
    let at = time("2025-11-04T14:05:00Z");
    let facts = Facts::Stream(Box::new(facts));
    Notice { id: Uuid::from_u128(9), destination: Uuid::nil(), kind, facts, at, expires_at: at }
}

fn ran(facts: &mut StreamFacts) {
    facts.started_at = facts.occurrence_at;
    facts.ended_at = Some(time("2025-11-04T14:05:00Z"));
    facts.restarts = 2;
}

#[test]
fn every_kind_is_told_in_both_languages_and_in_the_reader_s_zone() {
    let stream = "https://live.example.com/streams/00000000-0000-0000-0000-000000000007";
    let run = "https://live.example.com/history/00000000-0000-0000-0000-000000000008";
    let due = |_: &mut StreamFacts| {};
    let trouble = |facts: &mut StreamFacts| {
        facts.trouble_since = Some(time("2025-11-04T14:03:30Z"));
        facts.platform = Some("youtube".into());
        facts.reason = Some(Message::new("live-reason-dropped").with("host", "a.example"));
    };
    for (notice, english, indonesian, link) in [
        (
            about(Kind::StartsSoon, due),
            "“Rain <b>” goes on air in 10 min: 4 Nov 2025, 19:00 WIB.",
            "“Rain <b>” mengudara 10 mnt lagi: 4 Nov 2025 19.00 WIB.",
            stream,
        ),
        (
            about(Kind::Started, |facts| {
                facts.started_at = facts.occurrence_at;
                facts.stop_at = Some(time("2025-11-04T14:00:00Z"));
            }),
            "“Rain <b>” is on air since 4 Nov 2025, 19:00 WIB.\nIt ends on 4 Nov 2025, 21:00 WIB.",
            "“Rain <b>” mengudara sejak 4 Nov 2025 19.00 WIB.\nBerakhir pada 4 Nov 2025 21.00 WIB.",
            stream,
        ),
        (
            about(Kind::Retrying, trouble),
            "“Rain <b>” has not been getting through to YouTube for 1 min 30 s.\na.example closed the connection.\n\
             It is tried again until it gets through or somebody stops it.",
            "Sudah 1 mnt 30 dtk “Rain <b>” tidak sampai ke YouTube.\na.example memutus sambungan.\n\
             Dicoba terus sampai tersambung atau dihentikan.",
            stream,
        ),
        (
            about(Kind::Back, |facts| facts.trouble_since = Some(time("2025-11-04T13:00:00Z"))),
            "“Rain <b>” is getting through to its own address again, after 1 h 5 min.",
            "“Rain <b>” kembali sampai ke alamat sendiri setelah 1 jam 5 mnt.",
            stream,
        ),
        (
            about(Kind::Ended, |facts| {
                ran(facts);
                facts.outcome = Some("completed".into());
            }),
            "“Rain <b>” has ended as planned, after 2 h 5 min on air.\nIt had to be started again 2 times.",
            "“Rain <b>” berakhir sesuai rencana setelah mengudara 2 jam 5 mnt.\nHarus dimulai ulang 2 kali.",
            run,
        ),
        (
            about(Kind::Ended, |facts| {
                ran(facts);
                (facts.outcome, facts.restarts) = (Some("stopped".into()), 0);
            }),
            "“Rain <b>” was stopped, after 2 h 5 min on air.",
            "“Rain <b>” dihentikan setelah mengudara 2 jam 5 mnt.",
            run,
        ),
        (
            about(Kind::Failed, |facts| {
                ran(facts);
                facts.restarts = 0;
                facts.reason = Some(Message::new("live-reason-gone").with("number", 1));
            }),
            "“Rain <b>” has failed: it could not be kept on air. 4 Nov 2025, 21:05 WIB\n\
             The file of video number 1 is gone. Choose another video.",
            "“Rain <b>” gagal: siaran tidak bisa dipertahankan. 4 Nov 2025 21.05 WIB\n\
             Berkas video nomor 1 sudah tidak ada. Pilih video lain.",
            run,
        ),
        (
            about(Kind::Missed, due),
            "“Rain <b>” did not go on air on 4 Nov 2025, 19:00 WIB.",
            "“Rain <b>” tidak mengudara pada 4 Nov 2025 19.00 WIB.",
            run,
        ),
        (
            about(Kind::Missed, |facts| facts.count = 3),
            "“Rain <b>” did not go on air 3 times, the last time on 4 Nov 2025, 19:00 WIB.",
            "“Rain <b>” 3 kali tidak mengudara, terakhir pada 4 Nov 2025 19.00 WIB.",
            run,
        ),
    ] {
        let told = |locale| text(&notice, &reader(locale, "Asia/Jakarta"));
        assert_eq!(told(Locale::En), format!("{english}\n{link}"), "{:?}", notice.kind);
        assert_eq!(told(Locale::Id), format!("{indonesian}\n{link}"), "{:?}", notice.kind);
    }
    let elsewhere = text(&about(Kind::StartsSoon, due), &reader(Locale::En, "Europe/Berlin"));
    assert!(elsewhere.contains("4 Nov 2025, 13:00 CET"), "{elsewhere}");
}

#[test]
fn a_digest_and_a_full_disk_are_told_in_figures() {
    let facts = DigestFacts {
        completed: 2,
        stopped: 1,
        failed: 1,
        missed: 0,
        on_air_seconds: 7200,
        restarts: 1,
        on_air: vec!["Rain".into(), "Snow".into()],
        coming: vec![(time("2025-11-04T12:00:00Z"), "Rain".into())],
        more: 4,
        storage_used: 1 << 30,
        storage_limit: 5 << 30,
    };
    let at = time("2025-11-04T11:50:00Z");
    let of = |kind, facts| Notice { id: Uuid::nil(), destination: Uuid::nil(), kind, facts, at, expires_at: at };
    let digest = of(Kind::Digest, Facts::Digest(Box::new(facts)));
    let quiet = of(Kind::Digest, Facts::Digest(Box::default()));
    let disk = of(Kind::DiskLow, Facts::Disk { free: 1 << 30, total: 100 << 30, floor: 512 << 20 });
    let told = |notice: &Notice, locale| {
        let reader = Reader { pages: None, ..reader(locale, "Asia/Jakarta") };
        text(notice, &reader)
    };
    assert_eq!(
        told(&digest, Locale::En),
        "Your streams, 4 Nov 2025, 18:50 WIB\n\
         In the last 24 hours: 2 h on air. 3 streams ended well, 1 failed, 0 missed.\n\
         It had to be started again once.\n\
         On air now: Rain, Snow\n\
         In the next 24 hours:\n\
         · 4 Nov 2025, 19:00 WIB: Rain\n\
         · and 4 more\n\
         Storage: 1 GiB of 5 GiB used."
    );
    assert!(told(&digest, Locale::Id).contains("mengudara 2 jam. 3 siaran selesai dengan baik, 1 gagal, 0 terlewat."));
    assert!(told(&quiet, Locale::En).contains("nothing was on air.\nNothing is planned"));
    assert!(told(&quiet, Locale::Id).contains("tidak ada yang mengudara.\nTidak ada jadwal"));
    assert!(told(&disk, Locale::En).contains("1 GiB of 100 GiB are free"), "{}", told(&disk, Locale::En));
    assert!(told(&disk, Locale::Id).contains("tersisa 1 GiB dari 100 GiB"));
}

#[test]
fn a_broadcast_in_trouble_is_told_with_what_to_do() {
    let at = time("2025-11-04T11:50:00Z");
    let facts = Facts::Broadcast(Box::new(BroadcastFacts {
        id: Uuid::from_u128(7),
        stream_id: Uuid::from_u128(8),
        channel_id: Uuid::from_u128(9),
        title: "Rain <b>".into(),
        starts_at: time("2025-11-04T12:00:00Z"),
        reason: Some(Message::new("youtube-fault-title")),
        link: None,
    }));
    let notice = Notice { id: Uuid::nil(), destination: Uuid::nil(), kind: Kind::Broadcast, facts, at, expires_at: at };
    for (locale, line) in [
        (Locale::En, "The broadcast “Rain <b>”, planned for 4 Nov 2025, 19:00 WIB, is in trouble."),
        (Locale::Id, "Acara YouTube “Rain <b>” yang dijadwalkan 4 Nov 2025 19.00 WIB bermasalah."),
    ] {
        let why = Message::new("youtube-fault-title").in_locale(locale);
        let told = text(&notice, &reader(locale, "Asia/Jakarta"));
        assert_eq!(told, format!("{line}\n{why}\nhttps://live.example.com/broadcasts"));
    }
    let body = body(&notice, &reader(Locale::En, "Asia/Jakarta"));
    assert_eq!(body["type"], "broadcast.trouble");
    let names: Vec<&String> = body["data"].as_object().unwrap().keys().collect();
    let known = ["text", "broadcast_id", "broadcast_title", "stream_id", "channel_id", "starts_at", "reason"];
    assert!(names.len() == known.len() && known.iter().all(|name| body["data"].get(name).is_some()), "{names:?}");
}

#[test]
fn a_webhook_s_names_do_not_change() {
    let notice = about(Kind::Failed, |facts| {
        ran(facts);
        facts.outcome = Some("failed".into());
        facts.reason = Some(Message::new("live-reason-gone").with("number", 1));
        facts.bytes = 5;
    });
    let body = body(&notice, &reader(Locale::En, "Asia/Jakarta"));
    assert_eq!(
        body,
        json!({
            "type": "stream.failed",
            "timestamp": "2025-11-04T14:05:00Z",
            "data": {
                "text": text(&notice, &reader(Locale::En, "Asia/Jakarta")),
                "stream_id": "00000000-0000-0000-0000-000000000007",
                "stream_title": "Rain <b>",
                "run_id": "00000000-0000-0000-0000-000000000008",
                "occurrence_at": "2025-11-04T12:00:00Z",
                "started_at": "2025-11-04T12:00:00Z",
                "ended_at": "2025-11-04T14:05:00Z",
                "outcome": "failed",
                "reason": "The file of video number 1 is gone. Choose another video.",
                "restarts": 2,
                "bytes": 5,
            },
        })
    );
    let types: Vec<&str> = Kind::ALL.into_iter().map(Kind::event).collect();
    assert_eq!(
        types,
        [
            "stream.starts_soon",
            "stream.started",
            "stream.retrying",
            "stream.back",
            "stream.ended",
            "stream.failed",
            "stream.missed",
            "channel.reconnect",
            "broadcast.trouble",
            "digest.daily",
            "disk.low"
        ]
    );
    for kind in Kind::ALL {
        assert_eq!(Kind::parse(kind.code()), Some(kind));
        assert_eq!(serde_json::to_value(kind).unwrap(), kind.code());
    }
}
