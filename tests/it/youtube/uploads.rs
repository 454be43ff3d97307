//! Videos on their way to a channel.

use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{connect, secrets_stand_nowhere, server_with};
use crate::streams::video;
use crate::support::server::{Client, PASSWORD, Server};
use crate::support::youtube::{How, World, Youtube};

pub async fn uploads_until(api: &Client, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = api.get("/api/v1/youtube-uploads").await.expect(200).json()["items"].as_array().unwrap().clone();
        if wanted(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: {found:#?}");
        tokio::time::sleep(Duration::from_millis(150)).await;
    }
}

#[tokio::test]
async fn videos_of_a_workbook_are_uploaded_whole_whatever_is_cut_and_killed() {
    let youtube = Youtube::start();
    youtube.world().playlists.insert("PLrain".into(), Vec::new());
    let mut server = server_with(&youtube, &[("JADWAL_YOUTUBE_UPLOAD_PART_KIB", "256")]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    // Several parts.
    let file = crate::support::clip::clip(14, 50, true, "1920x1080");
    let bytes = std::fs::read(&file).unwrap();
    let sent = al.upload("/api/v1/videos", &[("title", "Rain on tin")], &[("rain.mp4", &file)]).await.expect(201);
    let video = sent.json()["items"][0]["id"].as_str().unwrap().to_owned();
    let csv = "video,title,description,tags,publish time,privacy,thumbnail,playlist\n\
               rain.mp4,Rain,\"Two, lines\",\"rain, tin roof\",2031-01-01 08:00,,,PLrain\n";
    let wrong = "video,title\nsnow.mp4,Snow\n";
    let place = format!("/api/v1/youtube-uploads/sheet?channel_id={channel}");
    let send = |text: &'static str| al.send(al.request(reqwest::Method::POST, &place).body(text));
    let refused = send(wrong).await.expect(422);
    assert_eq!(refused.json()["errors"][0]["field"], "line.2.video");
    youtube.want("videos.insert", How::Refuse(500, "backendError"), 1);
    youtube.want("videos.upload", How::DoneAndCut, 1);
    youtube.want("videos.upload", How::Refuse(503, "backendError"), 1);
    // The session is known no more: another one begins from the start.
    youtube.want("videos.upload", How::Refuse(404, "notFound"), 1);
    let queued = send(csv).await.expect(201).json();
    assert_eq!((&queued["total"], &queued["items"][0]["publish_at"]), (&json!(1), &json!("2031-01-01T01:00:00Z")));
    send(csv).await.expect(409);
    for round in 0..6_u64 {
        tokio::time::sleep(Duration::from_millis(30 + 170 * round)).await;
        server.kill9();
        server.restart().await;
    }
    let al = server.api("al", PASSWORD).await;
    let id = queued["items"][0]["id"].as_str().unwrap();
    al.post(&format!("/api/v1/youtube-uploads/{id}/retry"), &json!({})).await;
    let found = uploads_until(&al, "it is there", |found| found[0]["state"] == "done").await;
    assert_eq!((&found[0]["sent"], &found[0]["video_id"]), (&json!(bytes.len()), &json!(video)));
    {
        let world = youtube.world();
        assert_eq!(world.videos.len(), 1, "{:?}", world.calls);
        let (youtube_id, there) = world.videos.iter().next().unwrap();
        assert!(there.bytes == bytes, "other bytes arrived");
        assert_eq!((&there.snippet["title"], &there.snippet["tags"]), (&json!("Rain"), &json!(["rain", "tin roof"])));
        assert_eq!(
            (&there.status["privacyStatus"], &there.status["publishAt"]),
            (&json!("private"), &json!("2031-01-01T01:00:00Z"))
        );
        assert_eq!(world.playlists["PLrain"], std::slice::from_ref(youtube_id));
        assert_eq!(found[0]["link"], format!("https://www.youtube.com/watch?v={youtube_id}"));
    }
    secrets_stand_nowhere(&server, "al").await;
}

#[tokio::test]
async fn uploads_wait_for_units_and_can_be_let_be() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[("JADWAL_YOUTUBE_DAILY_UNITS", "1000")]).await;
    server.user("al").await;
    server.user("bo").await;
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let channel = connect(&al, "al").await;
    let video = video(&al, 2).await;
    let body = json!({"channel_id": channel, "items": [{"video_id": video}]});
    bo.post("/api/v1/youtube-uploads", &body).await.expect(422);
    for wrong in [
        json!({"video_id": video, "title": "x".repeat(101)}),
        json!({"video_id": video, "publish_at": "2020-01-01T00:00:00Z"}),
        json!({"video_id": video, "publish_at": "2031-01-01T00:00:00Z", "privacy": "unlisted"}),
        json!({"video_id": channel}),
    ] {
        al.post("/api/v1/youtube-uploads", &json!({"channel_id": channel, "items": [wrong]})).await.expect(422);
    }
    let queued = al.post("/api/v1/youtube-uploads", &body).await.expect(201).json();
    let id = queued["items"][0]["id"].as_str().unwrap().to_owned();
    let found = uploads_until(&al, "it waits", |found| !found[0]["trouble"].is_null()).await;
    assert_eq!(found[0]["state"], "waiting");
    assert!(found[0]["trouble"].as_str().unwrap().contains("units"), "{found:?}");
    assert_eq!(youtube.done("videos.insert"), 0);
    bo.delete(&format!("/api/v1/youtube-uploads/{id}")).await.expect(404);
    al.delete(&format!("/api/v1/youtube-uploads/{id}")).await.expect(204);
    al.delete(&format!("/api/v1/youtube-uploads/{id}")).await.expect(409);
    assert_eq!(al.get(&format!("/api/v1/youtube-uploads/{id}")).await.json()["state"], "cancelled");
}

/// One video on its way, in parts of 256 KiB: its server, its owner, and the upload.
async fn queued(youtube: &Youtube, file: &std::path::Path) -> (Server, Client, String) {
    let server = server_with(youtube, &[("JADWAL_YOUTUBE_UPLOAD_PART_KIB", "256")]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let sent = al.upload("/api/v1/videos", &[("title", "Rain")], &[("rain.mp4", file)]).await.expect(201);
    let body = json!({"channel_id": channel, "items": [{"video_id": sent.json()["items"][0]["id"]}]});
    let made = al.post("/api/v1/youtube-uploads", &body).await.expect(201).json();
    let upload = made["items"][0]["id"].as_str().unwrap().to_owned();
    (server, al, upload)
}

#[tokio::test]
async fn sessions_that_are_forgotten_again_and_again_cost_units_three_times_and_no_more() {
    let youtube = Youtube::start();
    youtube.want("videos.upload", How::Refuse(404, "notFound"), 1);
    youtube.want("videos.upload", How::Refuse(410, "gone"), usize::MAX);
    let file = crate::support::clip::clip(4, 50, true, "640x360");
    let (_server, al, upload) = queued(&youtube, &file).await;
    let retry = format!("/api/v1/youtube-uploads/{upload}/retry");
    let waits = |found: &[Value]| found[0]["state"] == "waiting" && !found[0]["trouble"].is_null();
    uploads_until(&al, "it waits before another session", waits).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(youtube.done("videos.insert"), 1);
    // Somebody does not want to wait: that is another session, and not another count.
    for sessions in 2..=3 {
        al.post(&retry, &json!({})).await.expect(200);
        let opened = |world: &World| world.calls.iter().filter(|call| **call == ("videos.insert", 200)).count();
        youtube.until("another session", Duration::from_secs(20), |world| opened(world) == sessions).await;
        if sessions == 2 {
            uploads_until(&al, "it waits again", waits).await;
        }
    }
    let failed = uploads_until(&al, "it is given up", |found| found[0]["state"] == "failed").await;
    assert!(failed[0]["trouble"].as_str().unwrap().contains("three times"), "{failed:?}");
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert_eq!(youtube.done("videos.insert"), 3);
    // Later the platform is well, and somebody tries again.
    youtube.world().wanted.clear();
    al.post(&retry, &json!({})).await.expect(200);
    // Three sessions took what the library may use of the day.
    let waits = |found: &[Value]| found[0]["state"] == "waiting" && !found[0]["trouble"].is_null();
    uploads_until(&al, "it waits for the units of another day", waits).await;
    assert_eq!(youtube.done("videos.insert"), 3);
}

#[tokio::test]
async fn a_platform_that_says_what_cannot_be_is_not_asked_without_a_rest() {
    let file = crate::support::clip::clip(14, 50, true, "1920x1080");
    let bytes = std::fs::read(&file).unwrap();
    let all = format!("bytes=0-{}", bytes.len() - 1);
    for (range, what) in [
        (Some(all), "all at once"),
        (Some(format!("bytes=0-{}", u64::MAX)), "it overflows"),
        (Some(format!("bytes=0-{}", bytes.len())), "beyond the end"),
        (Some("bytes=0-0".to_owned()), "a crumb"),
        (None, "nothing ever"),
    ] {
        let youtube = Youtube::start();
        youtube.want("videos.upload", How::There(range), usize::MAX);
        let (_server, al, upload) = queued(&youtube, &file).await;
        let tried = |found: &[Value]| found[0]["state"] == "sending" && !found[0]["trouble"].is_null();
        uploads_until(&al, what, tried).await;
        tokio::time::sleep(Duration::from_secs(4)).await;
        let puts = youtube.world().calls.iter().filter(|(call, _)| *call == "videos.upload").count();
        assert!(puts <= 2, "{what}: {puts} requests at once");
        // It is well again, and all of it arrives.
        youtube.world().wanted.clear();
        al.post(&format!("/api/v1/youtube-uploads/{upload}/retry"), &json!({})).await.expect(200);
        uploads_until(&al, what, |found| found[0]["state"] == "done").await;
        let world = youtube.world();
        assert_eq!(world.videos.len(), 1, "{what}");
        assert!(world.videos.values().all(|video| video.bytes == bytes), "{what}: other bytes arrived");
    }
}
