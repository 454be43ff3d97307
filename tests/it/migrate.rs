//! Moving in: an old home becomes libraries, whatever is in it and whenever it is cut off.

use std::collections::{BTreeMap, BTreeSet};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use crate::support::old_home::{OLD_ADMIN, OLD_BUDI, OLD_SITI, OldHome, SECRET_GRANT, SECRET_KEY, people, video};
use crate::support::scratch;
use crate::support::server::{ADMIN, Ran, Server};

fn command(home: &Path, arguments: &[&str]) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_jadwalstream"));
    for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("JADWAL_")) {
        command.env_remove(name);
    }
    command.arg("migrate").args(arguments).arg("--home").arg(home).stdin(Stdio::null());
    command
}

/// Runs `migrate` beside no server.
fn run(home: &Path, arguments: &[&str]) -> Ran {
    let output = command(home, arguments).output().unwrap();
    Ran {
        code: output.status.code().unwrap_or(-1),
        out: String::from_utf8(output.stdout).unwrap(),
        err: String::from_utf8_lossy(&output.stderr).into_owned(),
    }
}

fn from<'a>(old: &'a OldHome, more: &[&'a str]) -> Vec<&'a str> {
    [&["--from", old.text(), "--json"], more].concat()
}

fn items(report: &Value) -> &Vec<Value> {
    report["items"].as_array().unwrap()
}

/// What is told of a row or a file: kind, fate and the reason's code.
fn told<'r>(report: &'r Value, which: impl Fn(&Value) -> bool) -> Vec<(&'r str, &'r str, &'r str)> {
    let text = |value: &'r Value| value.as_str().unwrap_or_default();
    let found = items(report).iter().filter(|item| which(item));
    found.map(|item| (text(&item["kind"]), text(&item["fate"]), text(&item["reason"]["code"]))).collect()
}

fn of_file<'r>(report: &'r Value, file: &str) -> Vec<(&'r str, &'r str, &'r str)> {
    told(report, |item| item["file"] == file)
}

fn of_row<'r>(report: &'r Value, database: &str, row: &str) -> Vec<(&'r str, &'r str, &'r str)> {
    told(report, |item| item["database"] == database && item["row"] == row)
}

fn count(report: &Value, fate: &str) -> u64 {
    report["all"][fate].as_u64().unwrap()
}

/// How many rows of each kind every library of a home has, and how many files lie in it.
async fn holdings(home: &Path) -> BTreeMap<String, u64> {
    use jadwalstream::auth::SystemLicence;
    use jadwalstream::clock::Clock;
    use jadwalstream::store::{Range, Store};
    let store = Store::open_redb(home.join("data"), Clock::system()).unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test looks at what is stored")]
    let licence = SystemLicence::new();
    let mut held = BTreeMap::new();
    for tenant in store.tenants(&licence).await.unwrap() {
        let rows = store.tenant(&licence.scope(&tenant, "test"));
        let kinds = [
            "video",
            "thumbnail",
            "object",
            "collection",
            "stream",
            "schedule",
            "run",
            "stream_key",
            "channel",
            "destination",
        ];
        for kind in kinds {
            let prefix = format!("row/{kind}/");
            let count = rows.read(move |rows| {
                let mut count = 0;
                rows.scan(Range::prefix(prefix.as_bytes()), |_, _| {
                    count += 1;
                    std::ops::ControlFlow::Continue(())
                })?;
                Ok(count)
            });
            held.insert(format!("{tenant} {kind}"), count.await.unwrap());
        }
    }
    for entry in walkdir::WalkDir::new(home) {
        let entry = entry.unwrap();
        let folder = entry.path().strip_prefix(home).unwrap().components().next();
        if entry.file_type().is_file()
            && let Some(folder) = folder.map(|folder| folder.as_os_str().to_string_lossy().into_owned())
            && folder != "data"
        {
            *held.entry(format!("files in {folder}")).or_default() += 1;
        }
    }
    held
}

/// The hash of each user's password.
async fn hashes(home: &Path) -> BTreeMap<String, String> {
    use jadwalstream::auth::User;
    use jadwalstream::clock::Clock;
    use jadwalstream::store::Store;
    let store = Store::open_redb(home.join("data"), Clock::system()).unwrap();
    #[allow(clippy::disallowed_methods, reason = "a test looks at what is stored")]
    let platform = store.platform();
    let read = platform.read(|rows| {
        let mut found = BTreeMap::new();
        rows.values::<User>("user/", |_, user| {
            found.insert(user.name.to_string(), user.password_hash);
            std::ops::ControlFlow::Continue(())
        })?;
        Ok(found)
    });
    read.await.unwrap()
}

/// Every file and every row of the tidy home is named, each file once.
fn is_whole(old: &OldHome, report: &Value) {
    let named: Vec<&str> = items(report).iter().filter_map(|item| item["file"].as_str()).collect();
    let distinct: BTreeSet<&str> = named.iter().copied().collect();
    assert_eq!(named.len(), distinct.len(), "a file is told twice");
    for (path, bytes) in old.everything() {
        if !bytes.is_empty() {
            assert!(distinct.contains(path.to_str().unwrap()), "{} is not told", path.display());
        }
    }
    for (database, rows) in [
        ("users.json", &["admin", "budi", "siti", "demo"][..]),
        ("video_database.json", &["1", "2", "3"]),
        ("thumbnail_database.json", &["1", "2"]),
        ("live_streams.json", &["1", "2"]),
        ("live_stream_data.xlsx", &["2", "3", "4"]),
        ("stream_mapping.json", &["channel_utama.json / YtStreamId0001", "channel_utama.json / YtStreamId0002"]),
    ] {
        for row in rows {
            assert!(!of_row(report, database, row).is_empty(), "{database} {row} is not told");
        }
    }
}

#[tokio::test]
async fn a_plan_tells_every_row_and_file_and_changes_nothing() {
    let (old, home) = (OldHome::tidy(), scratch("plan"));
    let before = old.everything();
    let ran = run(home.path(), &from(&old, &[]));
    assert_eq!((ran.code, ran.err.as_str()), (3, ""), "{ran:?}");
    let report = ran.json();
    is_whole(&old, &report);
    assert_eq!(report["applied"], false);
    let bytes: u64 =
        ["one.mp4", "two.mp4", "live-loop.mp4"].iter().map(|name| video(&format!("videos/{name}")).len() as u64).sum();
    assert!(report["disk_needed"].as_u64().unwrap() >= bytes);
    assert_eq!(report["totals"]["video"]["imported"], 3);
    assert_eq!(report["totals"]["user"]["imported"], 4);
    assert_eq!(of_row(&report, "live_stream_data.xlsx", "3"), [("schedule", "skipped", "migrate-row-no-key")]);
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0, "not even a home was made");
    assert_eq!(old.everything(), before);
    assert!(!ran.out.contains(SECRET_KEY) && !ran.out.contains(SECRET_GRANT));
    let lines = run(home.path(), &["--from", old.text()]);
    assert!(lines.out.contains("to import video") && lines.out.contains("--apply"), "{lines:?}");
}

#[tokio::test]
async fn an_old_home_becomes_libraries_and_its_people_log_in_with_their_old_passwords() {
    let (old, home) = (OldHome::tidy(), scratch("moved"));
    let before = old.everything();
    let report_file = home.path().join("report.json");
    let ran = run(home.path(), &from(&old, &["--apply", "--report", report_file.to_str().unwrap()]));
    assert_eq!(ran.code, 3, "{ran:?}");
    let report = ran.json();
    is_whole(&old, &report);
    let kept: Value = serde_json::from_slice(&std::fs::read(&report_file).unwrap()).unwrap();
    assert_eq!(kept, report, "the file says what was printed");
    std::fs::remove_file(report_file).unwrap();
    assert_eq!(old.everything(), before, "the sources stay as they are");
    let first = holdings(home.path()).await;
    assert!(hashes(home.path()).await.values().all(|hash| !hash.starts_with("$2b$12$")), "old hashes are kept");

    let again = run(home.path(), &from(&old, &["--apply"]));
    assert_eq!(count(&again.json(), "imported"), 0, "{again:?}");
    assert_eq!(holdings(home.path()).await, first, "a finished run again does nothing");

    let mut server = Server::start_in(home, &[], &["--no-demo"]).await;
    for (name, password) in [("admin", OLD_ADMIN), ("budi", OLD_BUDI), ("siti", OLD_SITI)] {
        let wrong = json!({"username": name, "password": "something else"});
        server.stranger().post("/api/v1/auth/login", &wrong).await.expect(401);
        server.api(name, password).await;
        server.api(name, password).await;
    }
    let budi = server.api("budi", OLD_BUDI).await.get("/api/v1/auth/me").await.json();
    assert_eq!((budi["role"].as_str(), budi["plan"].as_str()), (Some("user"), Some("premium")));
    let admin = server.api("admin", OLD_ADMIN).await;
    let list = |path: &str| {
        let (admin, path) = (admin.clone(), path.to_owned());
        async move { admin.get(&path).await.expect(200).json()["items"].as_array().unwrap().clone() }
    };
    for (name, file, title, original) in [
        ("one.mp4", "videos/one.mp4", "Ngaji Subuh – Juz 1", "Ngaji Subuh.mp4"),
        ("two.mp4", "videos/two.mp4", "Lo-fi hujan 24 jam", "lofi (final) .mp4"),
        ("live-loop.mp4", "videos/live-loop.mp4", "Loop malam", "live-loop.mp4"),
    ] {
        let videos = list("/api/v1/videos").await;
        let found = videos.iter().find(|video| video["title"] == title).unwrap_or_else(|| panic!("no {name}"));
        let sha256 = hex::encode(Sha256::digest(video(file)));
        assert_eq!(
            (found["sha256"].as_str(), found["original_name"].as_str()),
            (Some(sha256.as_str()), Some(original))
        );
        assert!(found["thumbnail_id"].is_string(), "missing pictures are made");
        let content = admin.get(&format!("/api/v1/videos/{}/content", found["id"].as_str().unwrap())).await.expect(200);
        assert_eq!(content.body, video(file));
    }
    let streams = list("/api/v1/streams").await;
    let titles: BTreeSet<&str> = streams.iter().map(|stream| stream["title"].as_str().unwrap()).collect();
    assert_eq!(titles, BTreeSet::from(["Lo-fi hujan LIVE", "Ngaji Subuh Senin"]));
    let schedules = list("/api/v1/schedules").await;
    assert_eq!(schedules.len(), 2);
    for schedule in &schedules {
        assert_eq!(schedule["time_zone"], "Asia/Jakarta");
        let daily = schedule["starts_at"] == "2027-01-04T19:30:00";
        assert_eq!(schedule["rule"].as_str(), daily.then_some("FREQ=DAILY"));
        assert_eq!(schedule["duration"].as_u64(), daily.then_some(7200));
        assert_eq!(schedule["paused"], !daily, "what was proposed waits until somebody looked at it");
    }
    let runs = list("/api/v1/runs").await;
    let over: BTreeSet<&str> = runs.iter().map(|run| run["started_at"].as_str().unwrap()).collect();
    assert_eq!(over, BTreeSet::from(["2025-11-02T21:30:00Z", "2025-11-03T05:00:00Z"]));
    server.api("siti", OLD_SITI).await.get("/api/v1/videos").await.json()["items"].as_array().unwrap().is_empty();
    assert!(server.home().join("videos/demo").read_dir().unwrap().count() > 1, "the demo has its sample");
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
    server.stop().await;
    let renewed = hashes(server.home()).await;
    for name in ["admin", "budi", "siti"] {
        assert!(renewed[name].starts_with("$2b$12$"), "{name} is renewed");
    }
    for entry in walkdir::WalkDir::new(server.home()) {
        let entry = entry.unwrap();
        if entry.file_type().is_file() {
            let bytes = std::fs::read(entry.path()).unwrap();
            for secret in [SECRET_KEY, SECRET_GRANT] {
                let seen = bytes.windows(secret.len()).any(|window| window == secret.as_bytes());
                assert!(!seen, "{secret} lies open in {}", entry.path().display());
            }
        }
    }
}

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
        if applied {
            assert_eq!(of_row(&report, streams, "6")[0].1, "skipped", "no way to an inner address");
            assert_eq!(of_row(&report, streams, "10")[1].1, "skipped", "never two on a key");
        }
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
        let name = name.file_name().unwrap().to_string_lossy().into_owned();
        assert!(!["evil", "-y", "00:30", "caf", "xxx"].iter().any(|odd| name.contains(odd)), "{name}");
    }
}

#[tokio::test]
async fn what_cannot_be_begun_says_why_and_what_finds_nothing_fails() {
    let (home, nothing) = (scratch("refused"), scratch("nothing"));
    let old = OldHome::tidy();
    for (arguments, code, word) in [
        (vec!["--from", "/does/not/exist"], 1, "cannot be read"),
        (vec!["--from", nothing.path().to_str().unwrap()], 1, "nothing of the old program"),
        (vec!["--from", old.text(), "--time-zone", "Mars/Base"], 1, "time_zone"),
        (vec!["--from", old.text(), "--owner", "Admin"], 1, "owner"),
        (vec!["--from", old.text(), "--move"], 2, "--apply"),
        (vec!["--from", old.text(), "--only", "wishes"], 2, "wishes"),
        (vec!["--apply"], 2, "--from"),
        (vec!["--rollback"], 1, "--home"),
    ] {
        let ran = run(home.path(), &arguments);
        assert_eq!(ran.code, code, "{arguments:?}: {ran:?}");
        assert!(ran.err.contains(word), "{arguments:?}: {ran:?}");
    }
    assert_eq!(std::fs::read_dir(home.path()).unwrap().count(), 0);
}

#[tokio::test]
async fn what_was_brought_is_taken_back_and_what_was_changed_since_stays() {
    let (old, home) = (OldHome::tidy(), scratch("back"));
    assert_eq!(run(home.path(), &from(&old, &["--apply"])).code, 3);
    let mut server = Server::start_in(home, &[], &["--no-demo"]).await;
    let admin = server.api("admin", OLD_ADMIN).await;
    let videos = admin.get("/api/v1/videos").await.json()["items"].clone();
    let loops = videos.as_array().unwrap().iter().find(|video| video["title"] == "Loop malam").unwrap();
    let address = format!("/api/v1/videos/{}", loops["id"].as_str().unwrap());
    admin.patch(&address, &json!({"title": "Mine now"})).await.expect(200);
    let before = old.everything();
    let ran = server.cli(&["migrate", "--from", old.text(), "--rollback", "--json"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    let report = ran.json();
    assert_eq!(of_file(&report, "videos/live-loop.mp4"), [("video", "skipped", "migrate-changed-since")]);
    assert_eq!(of_file(&report, "thumbnails/foto1.png"), [("thumbnail", "skipped", "migrate-picture-shown")]);
    let user = |name: &str| told(&report, |item| item["kind"] == "user" && item["owner"] == name);
    assert_eq!(user("admin"), [("user", "skipped", "migrate-user-in-use")]);
    assert_eq!(user("siti"), [("user", "removed", "")]);
    assert_eq!(old.everything(), before);
    let left = admin.get("/api/v1/videos").await.json()["items"].clone();
    assert_eq!(left.as_array().unwrap().len(), 1);
    assert_eq!(left[0]["title"], "Mine now");
    assert_eq!(admin.get("/api/v1/schedules").await.json()["total"], 0);
    assert_eq!(admin.get("/api/v1/streams").await.json()["total"], 0);
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
    // What was taken back comes again; what stayed is not doubled and keeps its new title.
    let again = server.cli(&["migrate", "--from", old.text(), "--apply", "--json"]).await;
    assert_eq!(of_file(&again.json(), "videos/live-loop.mp4"), [("video", "present", "")]);
    let titles = admin.get("/api/v1/videos").await.json()["items"].clone();
    let titles: BTreeSet<&str> =
        titles.as_array().unwrap().iter().map(|video| video["title"].as_str().unwrap()).collect();
    assert_eq!(titles, BTreeSet::from(["Mine now", "Ngaji Subuh – Juz 1", "Lo-fi hujan 24 jam"]));
    server.stop().await;
}

#[tokio::test]
async fn with_move_the_old_files_go_once_they_are_here_and_are_not_taken_back() {
    let (old, home) = (OldHome::tidy(), scratch("gone"));
    old.write("videos/words.mp4", "these are no video");
    let ran = run(home.path(), &from(&old, &["--apply", "--move"]));
    assert_eq!(ran.code, 3, "{ran:?}");
    let left: Vec<String> = old.everything().iter().map(|(path, _)| path.to_string_lossy().into_owned()).collect();
    for gone in ["videos/one.mp4", "thumbnails/b5f3a2de-1111-4c77-9a10-2f6f1a7e0a01.jpg", "tokens/channel_utama.json"] {
        assert!(!left.contains(&gone.to_owned()), "{gone}");
    }
    for stays in ["videos/words.mp4", "video_database.json", "users.json", "live_stream_data.xlsx"] {
        assert!(left.contains(&stays.to_owned()), "{stays}");
    }
    let first = holdings(home.path()).await;
    let again = run(home.path(), &from(&old, &["--apply", "--move"])).json();
    assert_eq!(count(&again, "imported"), 0, "{again}");
    assert_eq!(of_row(&again, "video_database.json", "1"), [("video", "present", "")]);
    let back = run(home.path(), &from(&old, &["--rollback"])).json();
    assert_eq!(of_file(&back, "videos/one.mp4"), [("video", "skipped", "migrate-source-gone")]);
    let after = holdings(home.path()).await;
    assert_eq!(after["admin video"], first["admin video"], "nothing is lost that is nowhere else");
}

#[tokio::test]
async fn only_what_is_asked_for_comes() {
    let (old, home) = (OldHome::tidy(), scratch("only"));
    let ran = run(home.path(), &from(&old, &["--apply", "--only", "users,thumbnails"]));
    assert_eq!(ran.code, 3, "{ran:?}");
    let held = holdings(home.path()).await;
    assert_eq!((held["admin thumbnail"], held["admin video"], held["admin channel"]), (2, 0, 0));
    let rest = run(home.path(), &from(&old, &["--apply"]));
    let held = holdings(home.path()).await;
    assert_eq!((held["admin video"], held["admin channel"], held["admin stream_key"]), (3, 1, 2), "{rest:?}");
}

#[tokio::test]
async fn beside_a_server_it_is_the_server_that_moves_and_the_api_reads_only_the_folder_of_the_settings() {
    let old = OldHome::tidy();
    let parent = old.path().parent().unwrap().to_str().unwrap();
    let server = Server::start_with(&[("JADWAL_MIGRATE_FROM", old.text())], &["--no-demo"]).await;
    let admin = server.api("admin", ADMIN).await;
    for outside in ["/etc", parent, "../", "videos/../.."] {
        admin.post("/api/v1/migrations", &json!({"from": outside})).await.expect(422);
    }
    admin.post("/api/v1/migrations", &json!({"from": old.text(), "wish": 1})).await.expect(400);
    admin.post("/api/v1/migrations", &json!({})).await.expect(422);
    let plan = admin.post("/api/v1/migrations", &json!({"from": old.text()})).await.expect(200);
    assert!(plan.text().lines().last().unwrap().contains("\"summary\""), "{}", plan.text());
    assert_eq!(admin.get("/api/v1/videos").await.json()["total"], 0);
    let ran = server.cli(&["migrate", "--from", old.text(), "--apply", "--json"]).await;
    assert_eq!(ran.code, 3, "{ran:?}");
    assert_eq!(admin.get("/api/v1/videos").await.json()["total"], 3);
    server.api("admin", ADMIN).await;
    let told = of_row(&ran.json(), "users.json", "admin").len();
    assert_eq!(told, 1, "an admin who logged in keeps their password");
}

#[tokio::test]
async fn shared_albums_become_collections_and_generated_media_each_file_once() {
    let (old, home) = (OldHome::empty(), scratch("albums"));
    for name in ["albums/Lebaran/videos/takbir.mp4", "albums/Lebaran/videos/pawai.mp4", "albums/Pagi/videos/a.mp4"] {
        old.video(name);
    }
    old.picture("albums/Lebaran/photos/keluarga.png");
    old.write("albums/Lebaran/photos/page.png", "<html>");
    old.write("albums/Lebaran/notes.txt", "x");
    for name in ["Generated-Montages/m.mp4", "Generated-Clips/c.mp4", "Generated-Slideshows/s.mp4"] {
        old.video(name);
    }
    symlink("/etc/passwd", old.path().join("albums/Lebaran/videos/link.mp4")).unwrap();
    let plan = run(home.path(), &from(&old, &[]));
    let ran = run(home.path(), &from(&old, &["--apply"]));
    assert_eq!((plan.code, ran.code), (3, 3), "{ran:?}");
    for report in [plan.json(), ran.json()] {
        assert_eq!(report["totals"]["video"]["imported"], 3);
        assert_eq!(report["totals"]["photo"]["imported"], 1);
        assert_eq!(report["totals"]["generated"]["imported"], 3);
        assert_eq!(report["totals"]["collection"]["imported"], 2);
        assert_eq!(of_file(&report, "albums/Lebaran/photos/page.png")[0].1, "skipped");
        assert_eq!(of_file(&report, "albums/Lebaran/videos/link.mp4"), [("other", "skipped", "migrate-link")]);
    }
    let held = holdings(home.path()).await;
    assert_eq!((held["admin video"], held["admin object"], held["admin collection"]), (3, 4, 2));
    assert!(home.path().join("videos/admin/generated/montages").read_dir().unwrap().count() == 1);
    assert!(home.path().join("photos/admin").read_dir().unwrap().count() == 1);
    let again = run(home.path(), &from(&old, &["--apply"]));
    assert_eq!(count(&again.json(), "imported"), 0, "{again:?}");
    let mut server = Server::start_in(home, &[], &["--no-demo"]).await;
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
    let back = server.cli(&["migrate", "--rollback", "--json"]).await;
    assert_eq!(back.code, 3, "the sources of all homes are not named, so files stay: {back:?}");
    let back = server.cli(&["migrate", "--from", old.text(), "--rollback", "--json"]).await;
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
    server.stop().await;
    let held = holdings(server.home()).await;
    assert_eq!((held["admin video"], held["admin object"], held["admin collection"]), (0, 0, 0));
}

/// Numbers that come again with the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % most
    }
}

#[tokio::test]
async fn a_move_that_is_killed_fifty_times_ends_as_one_that_was_not() {
    let seed = std::env::var("JADWAL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    let seed = seed.unwrap_or_else(|| jiff::Timestamp::now().as_nanosecond() as u64);
    eprintln!("JADWAL_TEST_SEED={seed}");
    let mut chance = Chance(seed);
    let old = OldHome::tidy();
    // The demo's sample takes longer to make than all the rest.
    let mut users = people();
    users.as_object_mut().unwrap().remove("demo");
    old.database("users.json", &users);
    let whole = scratch("whole");
    let begun = Instant::now();
    assert_eq!(run(whole.path(), &from(&old, &["--apply"])).code, 3);
    let takes = u64::try_from(begun.elapsed().as_millis()).unwrap();
    let expected = holdings(whole.path()).await;
    let mut kills = 0;
    while kills < 50 {
        let home = scratch("killed");
        // Each home is killed many times, each time somewhere else; then it is brought to its end.
        for _ in 0..12 {
            let mut child = command(home.path(), &from(&old, &["--apply"]));
            let mut child = child.stdout(Stdio::null()).stderr(Stdio::null()).spawn().unwrap();
            tokio::time::sleep(Duration::from_millis(20 + chance.below(takes / 2))).await;
            if child.try_wait().unwrap().is_none() {
                child.kill().unwrap();
                kills += 1;
            }
            child.wait().unwrap();
        }
        let last = run(home.path(), &from(&old, &["--apply"]));
        assert_eq!(last.code, 3, "{last:?}");
        let again = run(home.path(), &from(&old, &["--apply"]));
        assert_eq!(count(&again.json(), "imported"), 0, "{again:?}");
        // One start more clears what was cut off in between.
        let mut server = Server::start_in(home, &[], &["--no-demo"]).await;
        assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
        server.stop().await;
        std::fs::remove_file(server.home().join("server.log")).unwrap();
        assert_eq!(holdings(server.home()).await, expected, "after {kills} kills");
    }
}
