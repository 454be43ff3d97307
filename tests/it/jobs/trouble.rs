//! Jobs that are cut, cancelled, or cannot be done.

use std::os::unix::fs::MetadataExt as _;
use std::time::{Duration, Instant};

use serde_json::json;

use super::{
    books_are_right, done, encoders, ended, files, id, no_encoder, ordered, program, slow, until, uploaded, video,
};
use crate::support::clip::clip;
use crate::support::server::{PASSWORD, Server};

#[tokio::test]
async fn a_job_goes_on_after_the_server_was_killed() {
    let (_folder, ffmpeg) = slow(25);
    let mut server = Server::start_with(&[("JADWAL_FFMPEG", &ffmpeg)], &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let before = uploaded(&al, "long.mp4", &clip(130, 200, true, "320x180")).await;
    let job = ordered(&al, &before, json!({"profile": "720p30"})).await;
    // A part of a minute is whole, and the next one is being made.
    until(&al, &job, |row| row["progress"].as_f64().unwrap() > 0.5).await;
    assert!(!encoders(&server).is_empty());
    let first = server.home().join(format!("data/al/temp/{job}/part-00000.mp4"));
    let made_first = first.metadata().unwrap();
    server.kill9();
    no_encoder(&server).await;
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    let row = until(&al, &job, |row| row["attempts"] == 2).await;
    assert!(row["progress"].as_f64().unwrap() > 0.4, "{row}");
    let kept = first.metadata().unwrap();
    assert_eq!((kept.ino(), kept.mtime_nsec()), (made_first.ino(), made_first.mtime_nsec()));
    // Neither does a restart do it any harm.
    assert_eq!(server.stop().await, 0);
    no_encoder(&server).await;
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    let row = done(&al, &job).await;
    assert_eq!(row["attempts"], 3);
    let after = video(&al, &before).await;
    assert_eq!((&after["verdict"]["ready"], &after["keyframe_interval"]), (&json!(true), &json!(2.0)), "{after}");
    assert!((after["duration"].as_f64().unwrap() - 130.0).abs() < 0.1, "{after}");
    let path = files(&server, "videos/al").remove(0);
    let counted = std::process::Command::new("ffprobe")
        .args(["-v", "error", "-select_streams", "v", "-count_packets", "-show_entries", "stream=nb_read_packets"])
        .args(["-of", "csv=p=0"])
        .arg(&path)
        .output()
        .unwrap();
    assert_eq!(String::from_utf8(counted.stdout).unwrap().trim(), "3900");
    books_are_right(&server, &al, "al").await;
}

#[tokio::test]
async fn a_cancelled_job_ends_at_once_and_leaves_everything_as_it_was() {
    let (_folder, ffmpeg) = slow(1);
    let server = Server::start_with(&[("JADWAL_FFMPEG", &ffmpeg)], &["--no-demo"]).await;
    server.user("al").await;
    server.user("bo").await;
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let path = clip(17, 200, false, "320x180");
    let (one, two) = (uploaded(&al, "one.mp4", &path).await, uploaded(&al, "two.mp4", &path).await);
    let body = json!({"profile": "720p30"});
    let first = ordered(&al, &one, body.clone()).await;
    al.post(&format!("/api/v1/videos/{}/optimise", id(&one)), &body).await.expect(409);
    let second = ordered(&al, &two, body.clone()).await;
    until(&al, &first, |row| row["progress"].as_f64().unwrap() > 0.0).await;
    let usage = al.get("/api/v1/usage").await.json()["storage"].clone();
    assert!(usage["reserved"].as_u64().unwrap() > 1 << 20, "{usage}");
    assert_eq!(al.get(&format!("/api/v1/jobs/{second}")).await.json()["state"], "queued", "one at a time");

    // A neighbour sees none of it.
    assert_eq!(bo.get("/api/v1/jobs").await.json()["total"], 0);
    let made_up = uuid::Uuid::now_v7();
    for path in [format!("/api/v1/jobs/{first}"), format!("/api/v1/jobs/{made_up}")] {
        bo.get(&path).await.expect(404);
        bo.post(&format!("{path}/cancel"), &json!({})).await.expect(404);
    }
    bo.post(&format!("/api/v1/videos/{}/optimise", id(&one)), &body).await.expect(404);

    for job in [&second, &first] {
        let row = al.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({})).await.expect(200).json();
        assert_eq!(row["state"], "cancelled");
    }
    no_encoder(&server).await;
    books_are_right(&server, &al, "al").await;
    assert_eq!(video(&al, &one).await["sha256"], one["sha256"]);
    assert_eq!(al.get(&format!("/api/v1/jobs/{second}")).await.json()["attempts"], 0);

    // So does the job of a video that is deleted.
    let third = ordered(&al, &one, body).await;
    until(&al, &third, |row| row["progress"].as_f64().unwrap() > 0.0).await;
    al.delete(&format!("/api/v1/videos/{}", id(&one))).await.expect(204);
    no_encoder(&server).await;
    assert_eq!(ended(&al, &third).await["state"], "cancelled");
    books_are_right(&server, &al, "al").await;
}

#[tokio::test]
async fn without_room_it_is_not_begun() {
    let server = Server::start().await;
    server.user_with("al", json!({"storage_limit": 4 << 20})).await;
    let al = server.api("al", PASSWORD).await;
    let video = uploaded(&al, "a.mp4", &clip(17, 200, false, "320x180")).await;
    let before = al.get("/api/v1/usage").await.json();
    let refused = al.post(&format!("/api/v1/videos/{}/optimise", id(&video)), &json!({"profile": "720p30"})).await;
    let refused = refused.expect(507).json();
    assert!(refused["detail"].as_str().unwrap().contains("MiB"), "{refused}");
    assert_eq!(al.get("/api/v1/jobs").await.json()["total"], 0);
    assert_eq!(al.get("/api/v1/usage").await.json(), before);
}

#[tokio::test]
async fn a_file_that_cannot_be_read_says_so_and_stays() {
    let (_folder, ffmpeg) = program("echo broken >&2; exit 1");
    let server = Server::start_with(&[("JADWAL_FFMPEG", &ffmpeg)], &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let before = uploaded(&al, "a.mp4", &clip(17, 200, false, "320x180")).await;
    let body = json!({"profile": "720p30"});
    let job = ordered(&al, &before, body.clone()).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    let row = loop {
        let row = al.get(&format!("/api/v1/jobs/{job}")).await.json();
        if row["state"] == "failed" {
            break row;
        }
        assert!(Instant::now() < deadline, "{row}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    };
    assert!(row["reason"].as_str().unwrap().contains("cannot be read"), "{row}");
    assert_eq!(video(&al, &before).await["sha256"], before["sha256"]);
    books_are_right(&server, &al, "al").await;
    // It may be tried again.
    ordered(&al, &before, body).await;
}

#[tokio::test]
async fn what_is_on_air_goes_on_with_the_bytes_it_began_with() {
    let server = Server::start_with(&[("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true")], &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let path = clip(17, 200, false, "320x180");
    let before = uploaded(&al, "a.mp4", &path).await;
    let old = files(&server, "videos/al").remove(0);
    // Nobody listens there: the run goes on trying.
    let nowhere = format!("rtmp://127.0.0.1:{}/live", crate::support::free_port());
    let stream = crate::streams::stream(&al, "Rain", id(&before), &nowhere, "abcd-efgh").await;
    al.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
    let job = ordered(&al, &before, json!({"profile": "720p30"})).await;
    done(&al, &job).await;
    assert_eq!(video(&al, &before).await["verdict"]["ready"], true);
    assert_eq!(std::fs::read(&old).unwrap(), std::fs::read(&path).unwrap());
    assert_eq!(al.get("/api/v1/videos").await.json()["total"], 1);
    assert_eq!(al.get(&format!("/api/v1/streams/{stream}")).await.json()["videos"], json!([before["id"]]));
    al.post(&format!("/api/v1/streams/{stream}/stop"), &json!({})).await.expect(202);
    let deadline = Instant::now() + Duration::from_secs(60);
    while old.exists() {
        assert!(Instant::now() < deadline, "the bytes are kept although nobody has them on air");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    books_are_right(&server, &al, "al").await;
}

#[tokio::test]
async fn a_user_that_goes_leaves_no_job() {
    let (_folder, ffmpeg) = slow(1);
    let server = Server::start_with(&[("JADWAL_FFMPEG", &ffmpeg)], &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let before = uploaded(&al, "a.mp4", &clip(17, 200, false, "320x180")).await;
    let job = ordered(&al, &before, json!({"profile": "720p30"})).await;
    until(&al, &job, |row| row["progress"].as_f64().unwrap() > 0.0).await;
    let gone = server.cli(&["user", "delete", "al", "--yes"]).await;
    assert_eq!(gone.code, 0, "{gone:?}");
    no_encoder(&server).await;
    assert!(!server.home().join("data/al").exists() && !server.home().join("videos/al").exists());
}
