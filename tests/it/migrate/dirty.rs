//! A home with everything in it that real ones have: each thing is told, the rest goes on.

use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::{count, from, holdings, items, of_file, of_row, run};
use crate::support::old_home::{OldHome, people, video};
use crate::support::scratch;

/// A home with everything in it that real ones have.
fn dirty() -> OldHome {
    let old = OldHome::empty();
    let long = format!("{}.mp4", "x".repeat(251));
    for name in ["-y.mp4", "00:30-01:00.mp4", &long, "cafe\u{301}.mp4", "shared.mp4", "nobody.mp4", "budi/own.mp4"] {
        old.video(Path::new("videos").join(name));
    }
    let raw = old.path().join("videos").join(std::ffi::OsStr::from_bytes(b"\xff\xfe.mp4"));
    std::fs::write(raw, video("raw")).unwrap();
    let outside = old.path().join("outside.mp4");
    std::fs::write(&outside, video("outside")).unwrap();
    symlink(&outside, old.path().join("videos/link.mp4")).unwrap();
    symlink("/etc", old.path().join("videos/folder")).unwrap();
    std::fs::hard_link(&outside, old.path().join("videos/hard.mp4")).unwrap();
    nix::unistd::mkfifo(&old.path().join("videos/pipe.mp4"), nix::sys::stat::Mode::S_IRWXU).unwrap();
    old.write("videos/words.mp4", "these are no video");
    old.write("videos/empty.mp4", "");
    old.picture("thumbnails/good.png");
    old.write("thumbnails/page.png", "<html>");
    let mut users = people();
    users["Budi"] = json!({"username": "Budi", "password_hash": users["budi"]["password_hash"], "role": "user"});
    users["../evil"] = json!({"username": "../evil", "password_hash": users["budi"]["password_hash"], "role": "user"});
    users["plain"] = json!({"username": "plain", "password_hash": "in the clear", "role": "user"});
    users["king"] = json!({"username": "king", "password_hash": users["budi"]["password_hash"], "role": "king"});
    users["two"] = json!({"username": "three", "password_hash": users["budi"]["password_hash"], "role": "user"});
    users["odd"] = json!(7);
    old.database("users.json", &users);
    // An object keyed by id, of which the end is torn off.
    let row = |file: &str, more: Value| {
        let mut row = json!({"title": file, "filename": file});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    let rows = json!({
        "dash": row("-y.mp4", json!({})),
        "time": row("00:30-01:00.mp4", json!({"thumbnail": "good.png"})),
        "long": row(&long, json!({})),
        "composed": row("caf\u{e9}.mp4", json!({})),
        "first": row("shared.mp4", json!({})),
        "second": row("shared.mp4", json!({})),
        "missing": row("missing.mp4", json!({})),
        "up": row("../outside.mp4", json!({})),
        "root": row("/etc/passwd", json!({})),
        "link": row("link.mp4", json!({})),
        "through": row("folder/passwd", json!({})),
        "hard": row("hard.mp4", json!({})),
        "pipe": row("pipe.mp4", json!({})),
        "words": row("words.mp4", json!({})),
        "empty": row("empty.mp4", json!({})),
        "whose": row("own.mp4", json!({"owner": "budi"})),
        "stranger": row("nobody.mp4", json!({"owner": "Budi"})),
        "nothing": json!({"title": "no file"}),
        "text": "no object",
    });
    let text = rows.to_string();
    old.write("video_database.json", format!("{},\n\"torn\": {{\"title\": \"half", &text[..text.len() - 1]));
    old.database("thumbnail_database.json", &json!([row("page.png", json!({})), row("../../x.png", json!({}))]));
    let live = |id: &str, more: Value| {
        let mut row = json!({"id": id, "title": id, "start_date": "2031-01-04T19:30", "rtmp_server": "youtube",
            "stream_key": format!("key-of-{id}-0000000"), "video_file": "-y.mp4", "duration": "60", "repeat_daily": false,
            "status": "scheduled"});
        row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        row
    };
    old.database(
        "live_streams.json",
        &json!([
            live("good", json!({})),
            live("good", json!({})),
            live("past", json!({"start_date": "2020-01-01T00:00"})),
            live("when", json!({"start_date": "tomorrow"})),
            live("where", json!({"rtmp_server": "myspace"})),
            live("inner", json!({"rtmp_server": "custom", "custom_rtmp": "rtmp://127.0.0.1/live/"})),
            live("which", json!({"video_file": "missing.mp4"})),
            live("long", json!({"duration": "-1"})),
            live("key", json!({"stream_key": ""})),
            live("clash", json!({"stream_key": "key-of-good-0000000"})),
            live("name", json!({"rtmp_server": "custom", "custom_rtmp": "rtmp://live.nowhere.invalid/live/"})),
            live("tiktok", json!({"rtmp_server": "tiktok"})),
        ]),
    );
    old.write("stream_mapping.json", "[1, 2");
    old.write("tokens/broken.json", "{");
    old.write("tokens/notes.txt", "x");
    old.write("app.py", "print('old')");
    old.write("data/siti/video_database.json", json!([row("siti.mp4", json!({}))]).to_string());
    old.video("videos/siti/siti.mp4");
    old
}

#[tokio::test]
async fn whatever_is_wrong_in_an_old_home_is_told_by_file_and_row_and_the_rest_goes_on() {
    let (old, home) = (dirty(), scratch("dirty"));
    let before = std::fs::read("/etc/passwd").unwrap();
    let plan = run(home.path(), &from(&old, &[]));
    assert_eq!(plan.code, 3, "{plan:?}");
    let ran = run(home.path(), &from(&old, &["--apply"]));
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(count(&plan.json(), "imported"), count(&ran.json(), "imported"), "what was promised came");
    for (report, applied) in [(plan.json(), false), (ran.json(), true)] {
        let database = "video_database.json";
        for row in ["dash", "time", "long", "composed", "first", "whose"] {
            let video = ("video", "imported", "");
            assert!(of_row(&report, database, row).contains(&video), "{row}");
        }
        for (row, reason) in [
            ("second", "migrate-same-file"),
            ("missing", "migrate-file-missing"),
            ("up", "migrate-name-leads-out"),
            ("root", "migrate-name-leads-out"),
            ("link", "migrate-link"),
            ("through", "migrate-file-missing"),
            ("hard", "migrate-several-names"),
            ("pipe", "migrate-device"),
            ("words", "library-no-video"),
            ("empty", "library-no-video"),
            ("stranger", "migrate-owner-unknown"),
            ("nothing", "migrate-row-no-file"),
        ] {
            assert_eq!(of_row(&report, database, row), [("video", "skipped", reason)], "{row}");
        }
        // With its file, although nobody gets it.
        assert_eq!(of_file(&report, "videos/nobody.mp4"), [("video", "skipped", "migrate-owner-unknown")]);
        assert_eq!(of_row(&report, database, "text"), [("database", "skipped", "migrate-row-strange")]);
        assert_eq!(of_file(&report, database), [("database", "skipped", "migrate-database-torn")]);
        let torn = items(&report).iter().find(|item| item["file"] == database).unwrap();
        assert!(torn["reason"]["message"].as_str().unwrap().contains("line 2"), "{torn}");
        for (name, fate, reason) in [
            ("budi", "imported", ""),
            ("Budi", "skipped", "migrate-user-case"),
            ("../evil", "skipped", "migrate-user-name"),
            ("plain", "skipped", "migrate-user-hash"),
            ("king", "skipped", "migrate-user-role"),
            ("two", "skipped", "migrate-user-two-names"),
        ] {
            assert_eq!(of_row(&report, "users.json", name), [("user", fate, reason)], "{name}");
        }
        assert_eq!(of_row(&report, "users.json", "odd"), [("database", "skipped", "migrate-row-strange")]);
        let page = of_row(&report, "thumbnail_database.json", "1");
        assert_eq!((page[0].0, page[0].1), ("thumbnail", "skipped"));
        assert_eq!(
            of_row(&report, "thumbnail_database.json", "2"),
            [("thumbnail", "skipped", "migrate-name-leads-out")]
        );
        let streams = "live_streams.json";
        assert_eq!(of_row(&report, streams, "1"), [("stream", "imported", ""), ("schedule", "imported", "")]);
        assert_eq!(of_row(&report, streams, "2"), [("stream", "skipped", "migrate-same-row")]);
        assert_eq!(
            of_row(&report, streams, "3"),
            [("stream", "imported", ""), ("schedule", "skipped", "migrate-time-over")]
        );
        for (row, reason) in [
            ("4", "migrate-time-unreadable"),
            ("5", "migrate-platform-unknown"),
            ("7", "migrate-file-missing"),
            ("8", "migrate-length-unreadable"),
            ("9", "live-key-missing"),
        ] {
            assert_eq!(of_row(&report, streams, row), [("stream", "skipped", reason)], "{row}");
        }
        // What a plan promises comes.
        assert_eq!(of_row(&report, streams, "6"), [("stream", "skipped", "live-address-inner")]);
        let clashes = [("stream", "imported", ""), ("schedule", "skipped", "schedule-conflict")];
        assert_eq!(of_row(&report, streams, "10"), clashes, "never two on a key");
        let by_name = if applied { "" } else { "migrate-host-later" };
        assert_eq!(of_row(&report, streams, "11"), [("stream", "imported", by_name), ("schedule", "imported", "")]);
        assert_eq!(of_row(&report, streams, "12"), [("stream", "skipped", "migrate-address-missing")]);
        assert_eq!(of_file(&report, "stream_mapping.json"), [("database", "skipped", "migrate-database-torn")]);
        assert_eq!(of_file(&report, "tokens/broken.json"), [("channel", "skipped", "migrate-no-grant")]);
        assert_eq!(of_file(&report, "tokens/notes.txt"), [("channel", "skipped", "migrate-nobody-names-it")]);
        assert_eq!(of_file(&report, "videos/folder"), [("video", "skipped", "migrate-link")]);
        assert_eq!(of_file(&report, "videos/\\xff\\xfe.mp4"), [("video", "skipped", "migrate-nobody-names-it")]);
        assert_eq!(of_file(&report, "outside.mp4"), [("other", "skipped", "migrate-several-names")]);
        assert_eq!(of_file(&report, "app.py"), [("other", "unneeded", "migrate-not-data")]);
        assert_eq!(of_file(&report, "videos/siti/siti.mp4"), [("video", "imported", "")]);
        let owner = items(&report).iter().find(|item| item["file"] == "videos/siti/siti.mp4").unwrap();
        assert_eq!(owner["owner"], "siti");
        let shown = items(&report).iter().find(|item| item["file"] == "thumbnails/good.png").unwrap();
        assert_eq!(shown["fate"], "imported", "a picture that only a video names comes too");
    }
    assert_eq!(std::fs::read("/etc/passwd").unwrap(), before);
    let first = holdings(home.path()).await;
    let again = run(home.path(), &from(&old, &["--apply"]));
    assert_eq!((again.code, count(&again.json(), "imported")), (3, 0), "{again:?}");
    assert_eq!(holdings(home.path()).await, first);
    for name in walkdir::WalkDir::new(home.path()).into_iter().map(|entry| entry.unwrap().into_path()) {
        // A name that is made here is a number, in which anything may stand.
        if name.file_stem().and_then(|stem| uuid::Uuid::parse_str(stem.to_str()?).ok()).is_some() {
            continue;
        }
        let name = name.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!["evil", "-y", "00:30", "caf", "xxx"].iter().any(|odd| name.contains(odd)), "{name}");
    }
}
