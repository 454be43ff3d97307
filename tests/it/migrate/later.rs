//! What comes later finds what came before: rows that are mended after a move, kinds that are asked for one after the
//! other, and the folders that each person had.

use serde_json::{Value, json};

use super::{count, from, holdings, items, of_file, of_row, run, told};
use crate::support::old_home::{OldHome, SECRET_KEY, people};
use crate::support::scratch;
use crate::support::server::Server;

const CAME: [(&str, &str, &str); 2] = [("stream", "imported", ""), ("schedule", "imported", "")];

fn row(report: &Value, kind: &str, title: &str) -> Value {
    let found = items(report).iter().find(|item| item["kind"] == kind && item["title"] == title);
    found.unwrap_or_else(|| panic!("no {kind} {title}: {report}")).clone()
}

/// A row of `live_streams.json`.
fn live(id: &str, video: &str, start: &str, key: &str) -> Value {
    json!({"id": id, "title": id, "start_date": start, "rtmp_server": "youtube", "stream_key": key,
        "video_file": video, "duration": "60", "repeat_daily": false, "status": "scheduled"})
}

#[tokio::test]
async fn a_row_that_is_mended_after_a_move_comes_with_the_video_that_went_before() {
    let (old, home) = (OldHome::tidy(), scratch("mended"));
    let database = "live_streams.json";
    old.video("videos/cafe\u{301}.mp4");
    let mut videos: Value =
        serde_json::from_slice(&std::fs::read(old.path().join("video_database.json")).unwrap()).unwrap();
    videos.as_array_mut().unwrap().push(json!({"title": "Kafe", "filename": "cafe\u{301}.mp4"}));
    old.database("video_database.json", &videos);
    let rows = |first: &str, second: &str| {
        json!([live("a", "two.mp4", first, SECRET_KEY), live("b", "caf\u{e9}.mp4", second, "other-key-000000")])
    };
    old.database(database, &rows("kemarin", "besok"));
    let ran = run(home.path(), &from(&old, &["--apply", "--move"])).json();
    for number in ["1", "2"] {
        assert_eq!(of_row(&ran, database, number), [("stream", "skipped", "migrate-time-unreadable")]);
    }
    assert!(!old.path().join("videos/two.mp4").exists());
    old.database(database, &rows("2031-01-04T19:30", "2031-01-05T19:30"));
    for arguments in [&[][..], &["--apply", "--move"]] {
        let ran = run(home.path(), &from(&old, arguments)).json();
        for number in ["1", "2"] {
            assert_eq!(of_row(&ran, database, number), CAME, "row {number} of {arguments:?}");
        }
        assert_eq!(of_file(&ran, "videos/two.mp4"), [("video", "present", "")]);
    }
    let mut server = Server::start_in(home, &[], &["--no-demo"]).await;
    let admin = server.api("admin", crate::support::old_home::OLD_ADMIN).await;
    let list = |path: &'static str| {
        let admin = admin.clone();
        async move { admin.get(path).await.expect(200).json()["items"].as_array().unwrap().clone() }
    };
    let video = list("/api/v1/videos").await.into_iter().find(|video| video["title"] == "Lo-fi hujan 24 jam").unwrap();
    let stream = list("/api/v1/streams").await.into_iter().find(|stream| stream["title"] == "a").unwrap();
    assert_eq!(stream["videos"][0], video["id"], "{stream}");
    // What was deleted here since is not promised.
    let kafe = list("/api/v1/videos").await.into_iter().find(|video| video["title"] == "Loop malam").unwrap();
    admin.delete(&format!("/api/v1/videos/{}", kafe["id"].as_str().unwrap())).await.expect(204);
    old.database(database, &json!([live("c", "live-loop.mp4", "2031-01-06T19:30", "third-key-000000")]));
    let ran = server.cli(&["migrate", "--from", old.text(), "--json"]).await.json();
    assert_eq!(of_row(&ran, database, "1"), [("stream", "skipped", "migrate-video-deleted")]);
    server.stop().await;
}

#[tokio::test]
async fn kinds_that_are_asked_for_one_after_the_other_come_as_if_all_had_been() {
    let (old, home) = (OldHome::tidy(), scratch("in-turn"));
    let first = run(home.path(), &from(&old, &["--apply", "--move", "--only", "users,videos"])).json();
    let of_picture = of_row(&first, "video_database.json", "1");
    assert_eq!(of_picture, [("video", "imported", "migrate-picture-not-asked")], "it is there");
    assert_eq!(row(&first, "user", "budi")["becomes"], "role user, plan premium");
    for arguments in [&[][..], &["--apply", "--move"]] {
        let rest = run(home.path(), &from(&old, arguments)).json();
        assert_eq!(of_row(&rest, "live_streams.json", "1"), CAME, "{arguments:?}");
        let schedule = ("schedule", "imported", "migrate-video-proposed");
        let told = of_row(&rest, "live_stream_data.xlsx", "2");
        assert_eq!(told, [CAME[0], schedule], "found by its picture: {arguments:?}");
    }
    let held = holdings(home.path()).await;
    assert_eq!((held["admin video"], held["admin stream"], held["admin schedule"]), (3, 2, 2));
    assert_eq!((held["admin channel"], held["admin stream_key"], held["admin run"]), (1, 2, 2));
}

#[tokio::test]
async fn what_lies_in_the_folders_of_a_person_is_found_and_told() {
    let (old, home) = (OldHome::empty(), scratch("persons"));
    old.database("users.json", &people());
    old.video("data/siti/videos/siti.mp4");
    old.video("data/siti/videos/nobody.mp4");
    old.picture("users/siti/thumbnails/siti.png");
    old.write("data/siti/notes.txt", "x");
    let video = json!([{"title": "Siti", "filename": "siti.mp4", "thumbnail": "siti.png"}]);
    old.database("data/siti/video_database.json", &video);
    old.database("data/siti/live_streams.json", &json!([live("s", "siti.mp4", "nanti", "key-of-siti-0000")]));
    old.database("data/siti/tokens/siti.json", &json!({"refresh_token": "1//abc"}));
    for arguments in [&[][..], &["--apply", "--move"]] {
        let ran = run(home.path(), &from(&old, arguments)).json();
        assert_eq!(of_file(&ran, "data/siti/videos/siti.mp4"), [("video", "imported", "")], "{arguments:?}");
        assert_eq!(of_file(&ran, "users/siti/thumbnails/siti.png"), [("thumbnail", "imported", "")]);
        assert_eq!(of_file(&ran, "data/siti/tokens/siti.json"), [("channel", "imported", "")]);
        let nobodys = ("video", "skipped", "migrate-nobody-names-it");
        assert_eq!(of_file(&ran, "data/siti/videos/nobody.mp4"), [nobodys]);
        assert_eq!(of_file(&ran, "data/siti/notes.txt"), [("other", "unneeded", "migrate-not-data")]);
        assert!(items(&ran).iter().all(|item| item["file"] != "data/siti/videos/siti.mp4" || item["owner"] == "siti"));
    }
    let mended = json!([live("s", "siti.mp4", "2031-01-04T19:30", "key-of-siti-0000")]);
    old.database("data/siti/live_streams.json", &mended);
    let ran = run(home.path(), &from(&old, &["--apply", "--move"])).json();
    assert_eq!(of_row(&ran, "data/siti/live_streams.json", "1"), CAME);
    let held = holdings(home.path()).await;
    assert_eq!((held["siti video"], held["siti thumbnail"], held["siti channel"], held["siti schedule"]), (1, 1, 1, 1));
}

#[tokio::test]
async fn of_a_new_home_only_a_password_that_holds_is_told_and_what_is_taken_back_is_named() {
    let (old, home) = (OldHome::tidy(), scratch("password"));
    let ran = run(home.path(), &from(&old, &["--apply"]));
    assert!(!ran.err.contains("password"), "the old one holds: {ran:?}");
    let back = run(home.path(), &from(&old, &["--rollback"])).json();
    let admin = told(&back, |item| item["kind"] == "user" && item["owner"] == "admin");
    assert_eq!(admin, [("user", "removed", "migrate-password-back")]);
    let stream = row(&back, "stream", "Lo-fi hujan LIVE");
    assert_eq!((&stream["database"], &stream["row"]), (&json!("live_streams.json"), &json!("1")));
    row(&back, "schedule", "Lo-fi hujan LIVE");
    let files: Vec<&str> = items(&back).iter().filter_map(|item| item["file"].as_str()).collect();
    let places = ["videos/one.mp4", "videos/two.mp4", "videos/live-loop.mp4"]
        .map(|file| files.iter().position(|it| *it == file));
    assert!(places.is_sorted(), "as they stood there: {files:?}");
    let nothing = run(home.path(), &["--rollback"]);
    assert_eq!((nothing.code, count(&back, "skipped")), (1, 0));
    assert!(nothing.out.contains("nothing to take back"), "{nothing:?}");

    let (other, new) = (OldHome::empty(), scratch("no-people"));
    other.video("videos/other.mp4");
    let title = "x".repeat(3000);
    other.database("video_database.json", &json!([{"title": title, "filename": "other.mp4"}]));
    let ran = run(new.path(), &["--from", other.text(), "--apply"]);
    assert!(ran.err.contains("admin password: "), "{ran:?}");
    assert!(ran.out.lines().all(|line| line.chars().count() < 300), "{ran:?}");
}
