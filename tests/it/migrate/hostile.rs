//! An old home that somebody made to do harm, or that changes while it is read (THREATS 5, 16, 17, 22).

use std::os::unix::fs::symlink;
use std::path::Path;

use serde_json::{Value, json};

use super::{count, from, holdings, items, of_file, of_row, run, told};
use crate::support::old_home::{OLD_ADMIN, OLD_SITI, OldHome, mapping, people};
use crate::support::scratch;
use crate::support::server::{ADMIN, PASSWORD, Server};

fn row(file: &str, more: &Value) -> Value {
    let mut row = json!({"title": file, "filename": file});
    row.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
    row
}

/// Two people who each have a folder of their own.
fn of_two() -> OldHome {
    let old = OldHome::empty();
    let mut users = people();
    users.as_object_mut().unwrap().remove("demo");
    old.database("users.json", &users);
    for name in ["videos/siti/private.mp4", "videos/budi/own.mp4"] {
        old.video(name);
    }
    old.picture("thumbnails/siti/private.png");
    old.database("tokens/siti/channel_utama.json", &json!({"refresh_token": "SENTINEL-of-siti"}));
    old
}

#[tokio::test]
async fn what_stands_in_one_person_s_folder_takes_nothing_from_others_and_gives_them_nothing() {
    let (old, home) = (of_two(), scratch("foreign"));
    old.database(
        "data/budi/video_database.json",
        &json!([
            row("siti/private.mp4", &json!({})),
            row("own.mp4", &json!({"owner": "siti"})),
            row("own.mp4", &json!({"thumbnail": "siti/private.png"})),
        ]),
    );
    let live = |owner: &str| {
        json!({"id": owner, "title": "x", "start_date": "2031-01-04T19:30", "rtmp_server": "youtube", "owner": owner,
               "stream_key": format!("key-of-{owner}-0000"), "video_file": "own.mp4", "status": "scheduled"})
    };
    old.database("data/budi/live_streams.json", &json!([live("siti"), live("budi")]));
    let mut keys = mapping();
    keys["siti/channel_utama.json"] = keys["channel_utama.json"].take();
    keys.as_object_mut().unwrap().remove("channel_utama.json");
    old.database("data/budi/stream_mapping.json", &keys);
    old.database("data/siti/video_database.json", &json!([row("private.mp4", &json!({}))]));
    let evil =
        json!({"evil": {"username": "evil", "password_hash": people()["siti"]["password_hash"], "role": "admin"}});
    old.database("data/budi/users.json", &evil);
    for arguments in [&[][..], &["--apply"]] {
        let report = run(home.path(), &from(&old, arguments)).json();
        let of = |row: &str| of_row(&report, "data/budi/video_database.json", row);
        assert_eq!(of("1"), [("video", "skipped", "migrate-file-foreign")]);
        assert_eq!(of("2"), [("video", "skipped", "migrate-owner-foreign")]);
        assert_eq!(of_row(&report, "data/siti/video_database.json", "1"), [("video", "imported", "")]);
        let owner = items(&report).iter().find(|item| item["file"] == "videos/siti/private.mp4").unwrap();
        assert_eq!(owner["owner"], "siti");
        assert_eq!(
            of_row(&report, "data/budi/live_streams.json", "1"),
            [("stream", "skipped", "migrate-owner-foreign")]
        );
        let keys = told(&report, |item| item["kind"] == "stream_key");
        assert_eq!(keys, [("stream_key", "skipped", "migrate-owner-foreign"); 2]);
        assert_eq!(of_file(&report, "data/budi/users.json"), [("database", "skipped", "migrate-users-of-person")]);
        assert!(told(&report, |item| item["owner"] == "evil").is_empty());
        assert_eq!(
            told(&report, |item| item["file"] == "thumbnails/siti/private.png"),
            [("thumbnail", "skipped", "migrate-nobody-names-it")]
        );
    }
    let held = holdings(home.path()).await;
    assert_eq!((held["siti video"], held["siti stream_key"], held["siti stream"]), (1, 0, 0));
    assert!(!held.contains_key("evil video"));
}

#[tokio::test]
async fn nobody_becomes_an_admin_unseen() {
    let (old, home) = (OldHome::empty(), scratch("admins"));
    let mut users = people();
    users["kepala"] = json!({"username": "kepala", "password_hash": users["siti"]["password_hash"], "role": "admin"});
    old.database("users.json", &users);
    let report = run(home.path(), &from(&old, &[])).json();
    assert_eq!(of_row(&report, "users.json", "kepala"), [("user", "imported", "migrate-user-admin")]);
    assert_eq!(of_row(&report, "users.json", "siti"), [("user", "imported", "")]);
}

#[tokio::test]
async fn a_user_whom_an_operator_made_keeps_the_password_that_they_were_given() {
    let (old, server) = (OldHome::empty(), Server::start_with(&[], &["--no-demo"]).await);
    old.database("users.json", &people());
    server.user("siti").await;
    let report = server.cli(&["migrate", "--from", old.text(), "--apply", "--json"]).await.json();
    assert_eq!(of_row(&report, "users.json", "siti"), [("user", "present", "migrate-user-kept")]);
    let login = json!({"username": "siti", "password": OLD_SITI});
    server.stranger().post("/api/v1/auth/login", &login).await.expect(401);
    server.api("siti", PASSWORD).await;
}

#[tokio::test]
async fn databases_that_are_bombs_are_told_and_take_no_memory() {
    let (old, home) = (OldHome::empty(), scratch("bombs"));
    old.video("videos/good.mp4");
    let empty = format!("[{}{{}}]", "{},".repeat(400_000));
    old.write("thumbnail_database.json", &empty);
    let nested = format!("[{},[{}0]]", row("good.mp4", &json!({})), "0,".repeat(8 << 20));
    old.write("video_database.json", &nested);
    old.write("live_streams.json", format!("[{}", "[".repeat(1 << 20)));
    old.write("telegram_config.json", format!("{{\"{}\":1}}", "k".repeat(4 << 20)));
    let mut command = std::process::Command::new("prlimit");
    command.args(["--data=700000000", env!("CARGO_BIN_EXE_jadwalstream"), "migrate", "--home"]).arg(home.path());
    let output = command.args(from(&old, &[])).output().unwrap();
    let report: Value = serde_json::from_slice(&output.stdout).unwrap_or_else(|_| panic!("{output:?}"));
    assert_eq!(of_file(&report, "thumbnail_database.json"), [("database", "skipped", "migrate-database-many")]);
    assert_eq!(of_file(&report, "video_database.json"), [("database", "skipped", "migrate-row-large")]);
    assert_eq!(of_file(&report, "live_streams.json"), [("database", "skipped", "migrate-database-torn")]);
    assert_eq!(of_file(&report, "telegram_config.json"), [("database", "skipped", "migrate-row-large")]);
    assert_eq!(of_row(&report, "video_database.json", "1"), [("video", "imported", "")], "what stands before it comes");
}

#[tokio::test]
async fn a_workbook_that_is_a_bomb_is_told_and_the_rest_goes_on() {
    let (old, home) = (OldHome::tidy(), scratch("sheet-bomb"));
    let mut bomb = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    let options = zip::write::SimpleFileOptions::default();
    bomb.start_file("xl/worksheets/sheet1.xml", options).unwrap();
    for _ in 0..256 {
        std::io::Write::write_all(&mut bomb, &vec![b' '; 1 << 20]).unwrap();
    }
    old.write("live_stream_data.xlsx", bomb.finish().unwrap().into_inner());
    let ran = run(home.path(), &from(&old, &["--apply"]));
    assert_eq!(ran.code, 3, "{ran:?}");
    let report = ran.json();
    assert_eq!(of_file(&report, "live_stream_data.xlsx")[0].1, "skipped");
    assert_eq!(report["totals"]["video"]["imported"], 3);
}

#[tokio::test]
async fn files_that_are_all_hole_overflow_nothing_and_are_not_copied() {
    let (old, home) = (OldHome::empty(), scratch("holes"));
    let video = crate::support::old_home::video("hole");
    let names = ["a.mp4", "b.mp4", "c.mp4"];
    for name in names {
        old.write(Path::new("videos").join(name), &video);
        let file = std::fs::File::options().write(true).open(old.path().join("videos").join(name)).unwrap();
        // As large as the file system lets one be.
        let most = (30..63).rev().find(|bits| file.set_len(1_u64 << bits).is_ok());
        assert!(most.is_some());
    }
    let rows: Vec<Value> = names.iter().map(|name| row(name, &json!({}))).collect();
    old.database("video_database.json", &json!(rows));
    for arguments in [&[][..], &["--apply"]] {
        let ran = run(home.path(), &from(&old, arguments));
        let report = ran.json();
        for row in ["1", "2", "3"] {
            assert_eq!(of_row(&report, "video_database.json", row)[0].1, "skipped", "{report}");
        }
    }
    assert!(!home.path().join("videos/admin").exists() || count_files(&home.path().join("videos/admin")) == 0);
}

fn count_files(folder: &Path) -> usize {
    walkdir::WalkDir::new(folder).into_iter().filter(|entry| entry.as_ref().unwrap().file_type().is_file()).count()
}

#[tokio::test]
async fn an_old_file_goes_only_while_what_it_became_is_here_and_holds_its_bytes() {
    let (old, home) = (OldHome::tidy(), scratch("only-copy"));
    assert_eq!(run(home.path(), &from(&old, &["--apply"])).code, 3);
    let mut server = Server::start_in(home, &[], &["--no-demo"]).await;
    let admin = server.api("admin", OLD_ADMIN).await;
    let videos = admin.get("/api/v1/videos").await.json()["items"].clone();
    let loops = videos.as_array().unwrap().iter().find(|video| video["title"] == "Loop malam").unwrap();
    admin.delete(&format!("/api/v1/videos/{}", loops["id"].as_str().unwrap())).await.expect(204);
    // Other bytes of the same length, with the time of the ones that came.
    let path = old.path().join("videos/one.mp4");
    let (mut bytes, times) = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap().modified().unwrap());
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
    // The library's own bytes are not what came any more.
    let whole = std::fs::read(old.path().join("videos/two.mp4")).unwrap();
    let files = walkdir::WalkDir::new(server.home().join("videos/admin")).into_iter().map(Result::unwrap);
    let here = files
        .filter(|entry| entry.file_type().is_file())
        .find(|entry| std::fs::read(entry.path()).unwrap() == whole)
        .unwrap()
        .into_path();
    std::fs::write(&here, &whole[..whole.len() - 1]).unwrap();
    // A grant that does not open any more.
    let files = walkdir::WalkDir::new(server.home().join("tokens")).into_iter().map(Result::unwrap);
    let grants: Vec<_> = files.filter(|entry| entry.file_type().is_file()).map(|entry| entry.into_path()).collect();
    let sealed: Vec<_> = grants.iter().map(|grant| std::fs::read(grant).unwrap()).collect();
    assert!(!grants.is_empty());
    for grant in &grants {
        std::fs::write(grant, "\"k1.broken\"").unwrap();
    }
    let report = server.cli(&["migrate", "--from", old.text(), "--apply", "--move", "--json"]).await.json();
    assert_eq!(of_file(&report, "videos/two.mp4"), [("video", "present", "migrate-changed-here")]);
    let grant = "tokens/channel_utama.json";
    assert_eq!(of_file(&report, grant), [("channel", "present", "migrate-changed-here")]);
    for (grant, sealed) in grants.iter().zip(&sealed) {
        std::fs::write(grant, sealed).unwrap();
    }
    std::fs::remove_file(&here).unwrap();
    let report = server.cli(&["migrate", "--from", old.text(), "--apply", "--move", "--json"]).await.json();
    assert_eq!(of_file(&report, "videos/two.mp4"), [("video", "present", "migrate-changed-here")]);
    std::fs::write(&here, &whole).unwrap();
    let report = server.cli(&["migrate", "--from", old.text(), "--apply", "--move", "--json"]).await.json();
    let of = |file: &str| of_file(&report, file);
    assert_eq!(of("videos/live-loop.mp4"), [("video", "present", "migrate-gone-here")]);
    assert_eq!(of("videos/one.mp4"), [("video", "present", "migrate-other-bytes")]);
    assert_eq!(of("videos/two.mp4"), [("video", "present", "")]);
    assert_eq!(std::fs::read(&path).unwrap(), bytes);
    assert!(old.path().join("videos/live-loop.mp4").exists(), "nowhere else is it any more");
    assert!(!old.path().join("videos/two.mp4").exists());
    assert!(!old.path().join(grant).exists());
    assert_eq!(server.stop().await, 0);
}

#[tokio::test]
async fn what_a_row_calls_itself_moves_no_cursor_and_fills_no_report() {
    let (old, home) = (OldHome::empty(), scratch("escapes"));
    old.video("videos/a.mp4");
    let title = format!("\u{1b}]0;owned\u{7}{}", "x".repeat(100_000));
    old.database(
        "video_database.json",
        &json!([
            row("a.mp4", &json!({"title": title})),
            row("\u{1b}[2J.mp4", &json!({})),
            row(&"y".repeat(100_000), &json!({}))
        ]),
    );
    let ran = run(home.path(), &["--from", old.text()]);
    assert!(!ran.out.contains('\u{1b}') && !ran.out.contains('\u{7}'), "{:?}", ran.out);
    assert!(ran.out.len() < 4000, "{}", ran.out.len());
}

#[tokio::test]
async fn a_folder_of_this_program_is_no_old_home_by_whatever_name() {
    let mut server = Server::start_with(&[], &["--no-demo"]).await;
    let home = server.home().to_str().unwrap().to_owned();
    let outside = scratch("by-link");
    symlink(&home, outside.path().join("link")).unwrap();
    let link = outside.path().join("link").to_str().unwrap().to_owned();
    for folder in [home.clone(), link, format!("{home}/data"), format!("{home}/videos")] {
        let ran = server.cli(&["migrate", "--from", &folder, "--apply"]).await;
        assert_eq!(ran.code, 1, "{folder}: {ran:?}");
        assert!(ran.err.contains("folder of this program itself"), "{folder}: {ran:?}");
    }
    assert_eq!(server.stop().await, 0);
    // What looks like an old home, and has this home where it has its people's files.
    let old = OldHome::tidy();
    for folder in ["videos", "data"] {
        let inner = old.path().join(folder);
        let ran = run(&inner, &from(&old, &["--apply"]));
        assert_eq!(ran.code, 1, "{folder}: {ran:?}");
        assert!(ran.err.contains("folder of this program itself"), "{folder}: {ran:?}");
    }
    let beside = old.path().join("new-home");
    assert_eq!(run(&beside, &from(&old, &["--apply"])).code, 3);
}

#[tokio::test(flavor = "multi_thread")]
async fn a_folder_that_becomes_a_link_out_while_the_api_reads_it_leads_nowhere() {
    let (parent, other) = (scratch("allowed"), OldHome::tidy());
    let inner = parent.path().join("old");
    std::fs::create_dir_all(inner.join("videos")).unwrap();
    std::fs::write(inner.join("users.json"), "{}").unwrap();
    let server = Server::start_with(&[("JADWAL_MIGRATE_FROM", parent.path().to_str().unwrap())], &["--no-demo"]).await;
    let admin = server.api("admin", ADMIN).await;
    let swaps = std::sync::atomic::AtomicBool::new(true);
    std::thread::scope(|scope| {
        scope.spawn(|| {
            let (away, link) = (parent.path().join("away"), parent.path().join("link"));
            symlink(other.path(), &link).unwrap();
            while swaps.load(std::sync::atomic::Ordering::Relaxed) {
                std::fs::rename(&inner, &away).unwrap();
                std::fs::rename(&link, &inner).unwrap();
                std::fs::rename(&inner, &link).unwrap();
                std::fs::rename(&away, &inner).unwrap();
            }
        });
        tokio::task::block_in_place(|| {
            tokio::runtime::Handle::current().block_on(async {
                for _ in 0..200 {
                    let answer = admin.post("/api/v1/migrations", &json!({"from": "old"})).await;
                    assert!(!answer.text().contains("Ngaji"), "{}", answer.text());
                }
            });
        });
        swaps.store(false, std::sync::atomic::Ordering::Relaxed);
    });
}

#[tokio::test]
async fn a_file_that_is_written_to_while_it_comes_is_not_taken_half() {
    let (old, home) = (OldHome::empty(), scratch("written"));
    let name = "videos/grows.mp4";
    old.video(name);
    old.database("video_database.json", &json!([row("grows.mp4", &json!({}))]));
    let path = old.path().join(name);
    let writes = std::sync::atomic::AtomicBool::new(true);
    let report = std::thread::scope(|scope| {
        scope.spawn(|| {
            let bytes = std::fs::read(&path).unwrap();
            let file = std::fs::File::options().write(true).open(&path).unwrap();
            while writes.load(std::sync::atomic::Ordering::Relaxed) {
                std::os::unix::fs::FileExt::write_all_at(&file, &bytes[..64], 0).unwrap();
            }
        });
        let report = run(home.path(), &from(&old, &["--apply"])).json();
        writes.store(false, std::sync::atomic::Ordering::Relaxed);
        report
    });
    assert_eq!(of_row(&report, "video_database.json", "1"), [("video", "skipped", "migrate-file-changes")]);
    assert_eq!(count_files(&home.path().join("videos/admin")), 0);
    let again = run(home.path(), &from(&old, &["--apply"])).json();
    assert_eq!(count(&again, "imported"), 1, "{again}");
}
