//! What came is taken back, and what was moved away is not lost.

use std::collections::BTreeSet;

use serde_json::json;

use super::{count, from, holdings, of_file, of_row, run, told};
use crate::support::old_home::{OLD_ADMIN, OldHome};
use crate::support::scratch;
use crate::support::server::Server;

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
    let came = [("stream", "present", ""), ("schedule", "present", "")];
    assert_eq!(of_row(&again, "live_streams.json", "1"), came, "its video went with the move");
    let came = [came[0], ("schedule", "present", "migrate-video-proposed")];
    assert_eq!(of_row(&again, "live_stream_data.xlsx", "2"), came);
    let back = run(home.path(), &from(&old, &["--rollback"])).json();
    assert_eq!(of_file(&back, "videos/one.mp4"), [("video", "skipped", "migrate-source-gone")]);
    let after = holdings(home.path()).await;
    assert_eq!(after["admin video"], first["admin video"], "nothing is lost that is nowhere else");
}

#[tokio::test]
async fn all_that_ever_came_is_taken_back_where_no_old_home_is_named() {
    let (old, other, home) = (OldHome::tidy(), OldHome::empty(), scratch("all-back"));
    other.video("videos/other.mp4");
    other.database("video_database.json", &json!([{"title": "Other", "filename": "other.mp4", "owner": "siti"}]));
    for old in [&old, &other] {
        assert_ne!(run(home.path(), &from(old, &["--apply"])).code, 1);
    }
    assert_eq!(holdings(home.path()).await["siti video"], 1);
    let back = run(home.path(), &["--rollback", "--json"]);
    assert_eq!((back.code, count(&back.json(), "skipped")), (0, 0), "{back:?}");
    let left = holdings(home.path()).await;
    assert!(left.values().all(|count| *count == 0), "{left:?}");
}

#[tokio::test]
async fn what_came_stays_where_its_old_file_has_other_bytes_by_now() {
    let (old, home) = (OldHome::tidy(), scratch("other"));
    assert_eq!(run(home.path(), &from(&old, &["--apply"])).code, 3);
    let path = old.path().join("videos/one.mp4");
    let (mut bytes, times) = (std::fs::read(&path).unwrap(), std::fs::metadata(&path).unwrap().modified().unwrap());
    *bytes.last_mut().unwrap() ^= 1;
    std::fs::write(&path, &bytes).unwrap();
    std::fs::File::options().write(true).open(&path).unwrap().set_modified(times).unwrap();
    let back = run(home.path(), &from(&old, &["--rollback"])).json();
    assert_eq!(of_file(&back, "videos/one.mp4"), [("video", "skipped", "migrate-source-gone")]);
    assert_eq!(of_file(&back, "videos/two.mp4"), [("video", "removed", "")]);
    assert_eq!(holdings(home.path()).await["admin video"], 1);
}
