//! A home as people have it: all of it comes, or what is asked for.

use std::collections::BTreeSet;
use std::os::unix::fs::symlink;

use serde_json::{Value, json};
use sha2::{Digest as _, Sha256};

use super::{count, from, hashes, holdings, is_whole, of_file, of_row, run};
use crate::support::old_home::{OLD_ADMIN, OLD_BUDI, OLD_SITI, OldHome, SECRET_GRANT, SECRET_KEY, video};
use crate::support::scratch;
use crate::support::server::{ADMIN, Server};

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
    for run in &runs {
        let run = admin.get(&format!("/api/v1/runs/{}", run["id"].as_str().unwrap())).await.expect(200).json();
        let outcomes = run["targets"].as_array().unwrap().iter().map(|target| target["outcome"].as_str());
        assert!(outcomes.clone().all(|outcome| outcome == Some("completed")), "{run}");
    }
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

#[tokio::test]
async fn what_cannot_be_begun_says_why_and_what_finds_nothing_fails() {
    let (home, nothing) = (scratch("refused"), scratch("nothing"));
    let old = OldHome::tidy();
    for (arguments, code, word) in [
        (vec!["--from", "/does/not/exist"], 1, "cannot be read"),
        (vec!["--from", nothing.path().to_str().unwrap()], 1, "nothing of the old program"),
        (vec!["--from", old.text(), "--time-zone", "Mars/Base"], 1, "time_zone"),
        (vec!["--from", old.text(), "--owner", "Admin"], 1, "owner"),
        (vec!["--from", old.text(), "--owner", "tidakada"], 1, "no user called tidakada"),
        (vec!["--from", old.text(), "--owner", "budi", "--only", "videos"], 1, "no user called budi"),
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
async fn only_what_is_asked_for_comes() {
    let (old, home) = (OldHome::tidy(), scratch("only"));
    let ran = run(home.path(), &from(&old, &["--apply", "--only", "users,thumbnails"]));
    // All of it came; what would hinder the rest does not matter this time.
    assert_eq!(ran.code, 0, "{ran:?}");
    assert_eq!(of_row(&ran.json(), "live_stream_data.xlsx", "3"), [("schedule", "unneeded", "migrate-not-asked")]);
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
    let kept = [("user", "present", "migrate-user-kept")];
    assert_eq!(of_row(&ran.json(), "users.json", "admin"), kept, "an admin who logged in keeps their password");
    let again = server.cli(&["migrate", "--from", old.text(), "--json"]).await.json();
    assert_eq!(of_row(&again, "users.json", "budi"), [("user", "present", "")], "they have their old one");
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
    // Where no old home is named, they are looked for where they were: what is nowhere else stays.
    let aside = old.path().with_extension("aside");
    std::fs::rename(old.path(), &aside).unwrap();
    let back = server.cli(&["migrate", "--rollback", "--json"]).await;
    std::fs::rename(&aside, old.path()).unwrap();
    assert_eq!((back.code, count(&back.json(), "skipped")), (3, 7), "{back:?}");
    let back = server.cli(&["migrate", "--from", old.text(), "--rollback", "--json"]).await;
    assert_eq!(back.code, 0, "{back:?}");
    assert_eq!(server.cli(&["verify", "--deep"]).await.code, 0);
    server.stop().await;
    let held = holdings(server.home()).await;
    assert_eq!((held["admin video"], held["admin object"], held["admin collection"]), (0, 0, 0));
}
