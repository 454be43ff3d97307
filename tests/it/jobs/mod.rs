//! Background jobs over the real surface: videos are optimised by real ffmpeg, in the cage, in fair turns.

mod trouble;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use crate::support::clip::{clip, made};
use crate::support::events::Events;
use crate::support::scratch;
use crate::support::server::{Client, PASSWORD, Server};

async fn uploaded(client: &Client, name: &str, path: &Path) -> Value {
    let answer = client.upload("/api/v1/videos", &[], &[(name, path)]).await.expect(201);
    answer.json()["items"][0].clone()
}

fn id(row: &Value) -> &str {
    row["id"].as_str().unwrap()
}

/// Orders a video to be optimised; the job's id.
async fn ordered(client: &Client, video: &Value, body: Value) -> String {
    let answer = client.post(&format!("/api/v1/videos/{}/optimise", id(video)), &body).await.expect(202);
    let job = answer.json();
    assert_eq!(answer.header("location"), format!("/api/v1/jobs/{}", id(&job)));
    id(&job).to_owned()
}

async fn until(client: &Client, job: &str, fits: impl Fn(&Value) -> bool) -> Value {
    let deadline = Instant::now() + Duration::from_secs(180);
    loop {
        let row = client.get(&format!("/api/v1/jobs/{job}")).await.expect(200).json();
        if fits(&row) {
            return row;
        }
        assert!(Instant::now() < deadline && row["state"] != "failed", "{row}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

/// Waits until a job is over, however it went.
pub async fn ended(client: &Client, job: &str) -> Value {
    until(client, job, |row| !row["ended_at"].is_null()).await
}

async fn done(client: &Client, job: &str) -> Value {
    let row = ended(client, job).await;
    assert_eq!((&row["state"], &row["progress"], &row["reason"]), (&json!("done"), &json!(1.0), &Value::Null), "{row}");
    row
}

async fn video(client: &Client, row: &Value) -> Value {
    client.get(&format!("/api/v1/videos/{}", id(row))).await.expect(200).json()
}

/// Files below a folder of the home.
fn files(server: &Server, folder: &str) -> Vec<PathBuf> {
    let walk = walkdir::WalkDir::new(server.home().join(folder)).into_iter().filter_map(Result::ok);
    walk.filter(|entry| entry.file_type().is_file()).map(|entry| entry.into_path()).collect()
}

/// The ledger says what lies on the disk, nothing is set aside, and nothing is left of the work.
async fn books_are_right(server: &Server, client: &Client, tenant: &str) {
    let deadline = Instant::now() + Duration::from_secs(10);
    loop {
        let said = client.get("/api/v1/usage").await.expect(200).json()["storage"].clone();
        let bytes: u64 =
            files(server, &format!("videos/{tenant}")).iter().map(|path| path.metadata().unwrap().len()).sum();
        let work = [files(server, &format!("data/{tenant}/temp")), files(server, &format!("data/{tenant}/uploads"))];
        if said["by_kind"]["uploads"] == bytes && said["reserved"] == 0 && work.concat().is_empty() {
            break;
        }
        assert!(Instant::now() < deadline, "{said}, {bytes} on disk, {work:?}");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    let found = server.cli(&["verify", "--deep"]).await;
    assert_eq!(found.code, 0, "{found:?}");
}

/// The encoders that work in this server's home.
fn encoders(server: &Server) -> Vec<i32> {
    let home = server.home().to_string_lossy().into_owned();
    let processes = std::fs::read_dir("/proc").unwrap().flatten();
    let pids = processes.filter_map(|entry| entry.file_name().to_str()?.parse::<i32>().ok());
    pids.filter(|pid| {
        let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line);
        line.contains(&home) && line.contains("libx264")
    })
    .collect()
}

async fn no_encoder(server: &Server) {
    let deadline = Instant::now() + Duration::from_secs(10);
    while !encoders(server).is_empty() {
        assert!(Instant::now() < deadline, "{:?} go on", encoders(server));
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

/// An ffmpeg whose encoders take `rate` seconds of video a second, or do something else instead.
fn program(encoder: &str) -> (tempfile::TempDir, String) {
    let folder = scratch("program");
    let path = folder.path().join("ffmpeg");
    let script = format!("#!/bin/sh\ncase \"$*\" in *libx264*) {encoder};; esac\nexec /usr/bin/ffmpeg \"$@\"\n");
    std::fs::write(&path, script).unwrap();
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
    let path = path.to_str().unwrap().to_owned();
    (folder, path)
}

fn slow(rate: u32) -> (tempfile::TempDir, String) {
    program(&format!("exec /usr/bin/ffmpeg -readrate {rate} \"$@\""))
}

#[tokio::test]
async fn an_optimised_video_is_ready_under_its_own_id() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    // Eight seconds between keyframes, and silent.
    let before = uploaded(&al, "Night rain.mp4", &clip(17, 200, false, "320x180")).await;
    assert_eq!(before["verdict"]["ready"], false);
    let address = format!("/api/v1/videos/{}/content", id(&before));
    let tag = al.get(&address).await.expect(200).header("etag").to_owned();
    let job = ordered(&al, &before, json!({"profile": "720p30"})).await;
    let row = done(&al, &job).await;
    assert_eq!((&row["kind"], &row["video_id"], &row["result_id"]), (&json!("optimise"), &before["id"], &before["id"]));
    assert_eq!((&row["attempts"], &row["original_id"], &row["created_by"]), (&json!(1), &Value::Null, &json!("al")));
    let after = video(&al, &before).await;
    assert_eq!((&after["title"], &after["created_at"]), (&before["title"], &before["created_at"]));
    assert_eq!((&after["verdict"]["ready"], &after["verdict"]["findings"]), (&json!(true), &json!([])), "{after}");
    assert_eq!((&after["frame_rate"], &after["keyframe_interval"]), (&json!(30.0), &json!(2.0)));
    assert_eq!((&after["width"], &after["height"], &after["audio_codec"]), (&json!(320), &json!(180), &json!("aac")));
    assert!((after["duration"].as_f64().unwrap() - 17.0).abs() < 0.1, "{after}");
    assert_eq!(after["thumbnail_id"], before["thumbnail_id"]);
    // A browser that kept the old bytes is given the new ones.
    let known = al.request(reqwest::Method::GET, &address).header("if-none-match", &tag);
    assert_eq!(al.send(known).await.expect(200).body.len() as u64, after["size"].as_u64().unwrap());
    assert_eq!(files(&server, "videos/al").len(), 1);
    books_are_right(&server, &al, "al").await;
    let list = al.get("/api/v1/videos").await.json();
    assert_eq!((&list["total"], &list["items"][0]["id"]), (&json!(1), &before["id"]));
    let acts = al.get("/api/v1/audit?limit=200").await.json().to_string();
    assert!(acts.contains("video.optimise") && acts.contains("video.replace"), "{acts}");

    al.post(&format!("/api/v1/jobs/{job}/cancel"), &json!({})).await.expect(409);
    let again = format!("/api/v1/videos/{}/optimise", id(&before));
    for (body, status) in [
        (json!({"profile": "4k"}), 422),
        (json!({"profile": "720p30", "owner": "bo"}), 400),
        (json!({}), 400),
        (json!({"profile": 7}), 400),
    ] {
        al.post(&again, &body).await.expect(status);
    }
    al.get("/api/v1/jobs?state=lost").await.expect(400);
    assert_eq!(al.get("/api/v1/jobs?state=done").await.json()["items"][0]["id"], job);
    assert_eq!(al.get("/api/v1/jobs?state=open").await.json()["total"], 0);
    // What was made of it goes with it.
    al.delete(&format!("/api/v1/videos/{}", id(&before))).await.expect(204);
    assert!(files(&server, "videos/al").is_empty());
    books_are_right(&server, &al, "al").await;
}

#[tokio::test]
async fn upright_turned_odd_and_unseekable_files_become_plain_ones() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let film = |name: &str, size: &str, rate: &str, more: &[&str]| {
        made(name, |command| {
            command.args(["-f", "lavfi", "-i", &format!("testsrc2=s={size}:r={rate}:d=5")]);
            command.args(["-f", "lavfi", "-i", "sine=r=22050:d=3", "-c:v", "libx264", "-preset", "ultrafast"]);
            command.args(["-pix_fmt", "yuv420p", "-c:a", "aac"]).args(more);
        })
    };
    let lying = film("lying.mp4", "640x360", "25", &[]);
    let turned = made("turned.mp4", |command| {
        command.arg("-i").arg(&lying).args(["-c", "copy", "-metadata:s:v", "rotate=90"]);
    });
    let cases = [
        (film("upright.mkv", "1080x1920", "24000/1001", &[]), "720p30", (720, 1280)),
        (turned, "1080p30", (360, 640)),
        (film("odd.ts", "322x182", "12.5", &["-g", "300"]), "1080p30", (322, 182)),
        (film("old.avi", "1920x1080", "60", &["-c:v", "mpeg4", "-c:a", "mp2"]), "720p30", (1280, 720)),
    ];
    for (path, profile, (width, height)) in cases {
        let before = uploaded(&al, path.file_name().unwrap().to_str().unwrap(), &path).await;
        let job = ordered(&al, &before, json!({"profile": profile})).await;
        done(&al, &job).await;
        let after = video(&al, &before).await;
        assert_eq!(after["verdict"]["ready"], true, "{after}");
        assert_eq!((&after["width"], &after["height"]), (&json!(width), &json!(height)), "{after}");
        assert_eq!((&after["frame_rate"], &after["container"]), (&json!(30.0), &json!("mp4")), "{after}");
        assert!((after["duration"].as_f64().unwrap() - 5.0).abs() < 0.2, "{after}");
        // Sound that ended early lasts as long as the picture.
        let codes = after["verdict"]["findings"].to_string();
        assert!(!codes.contains("audio") && !codes.contains("frame"), "{after}");
    }
    books_are_right(&server, &al, "al").await;
}

#[tokio::test]
async fn an_original_that_is_kept_is_a_video_of_its_own() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let path = clip(17, 200, false, "320x180");
    let before = uploaded(&al, "Night rain.mp4", &path).await;
    let job = ordered(&al, &before, json!({"profile": "1080p30", "keep_original": true})).await;
    let row = done(&al, &job).await;
    assert_eq!(video(&al, &before).await["verdict"]["ready"], true);
    let original = al.get(&format!("/api/v1/videos/{}", row["original_id"].as_str().unwrap())).await.expect(200).json();
    assert_eq!((&original["title"], &original["sha256"]), (&json!("Night rain (original)"), &before["sha256"]));
    let bytes = al.get(&format!("/api/v1/videos/{}/content", id(&original))).await.expect(200).body;
    assert_eq!(bytes, std::fs::read(&path).unwrap());
    assert_eq!(al.get("/api/v1/videos").await.json()["total"], 2);
    books_are_right(&server, &al, "al").await;
}

#[tokio::test]
async fn a_video_s_page_orders_shows_and_cancels_it() {
    let (_folder, ffmpeg) = slow(1);
    let server = Server::start_with(&[("JADWAL_FFMPEG", &ffmpeg)], &["--no-demo"]).await;
    server.user("al").await;
    server.user_with("look", json!({"role": "demo", "tenant": "al"})).await;
    let (api, al) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let video = uploaded(&api, "a.mp4", &clip(17, 200, false, "320x180")).await;
    let address = format!("/videos/{}", id(&video));
    let page = al.get(&address).await.expect(200).text();
    assert!(page.contains("720p30") && !page.contains("1080p30"), "no larger than it is: {page}");
    let refused = al.form(&format!("{address}/optimise"), &[("profile", "4k")]).await.expect(422).text();
    assert!(refused.contains("Choose 720p30"), "{refused}");
    let ordered = al.form(&format!("{address}/optimise"), &[("profile", "720p30")]).await.expect(303);
    assert_eq!(ordered.header("location"), address);
    al.form(&format!("{address}/optimise"), &[("profile", "720p30")]).await.expect(409);
    let mut events = Events::open(&al, &format!("{address}/events")).await;
    let percent = |event: &Value| event["value"]["job/progress"].as_f64().unwrap_or_default();
    let event = events.until(Duration::from_secs(60), |event| percent(event) > 0.0).await;
    let words = event["text"]["job/words"].as_str().unwrap();
    assert!(words.contains('%') && words.contains("left"), "{words}");
    // Whoever may only look sees it too.
    let look = server.login("look", PASSWORD).await;
    let page = look.get(&address).await.expect(200).text();
    assert!(page.contains("data-live-value=\"job/progress\""), "{page}");
    let job = api.get("/api/v1/jobs").await.json()["items"][0].clone();
    let cancel = format!("/jobs/{}/cancel", id(&job));
    look.form(&cancel, &[]).await.expect(403);
    look.form(&format!("{address}/optimise"), &[("profile", "720p30")]).await.expect(403);
    al.form(&cancel, &[]).await.expect(303);
    let over = events.until(Duration::from_secs(20), |other| other["shape"] != event["shape"]).await;
    assert!(over["text"]["job/words"].is_null(), "{over}");
    no_encoder(&server).await;
    let again = al.form(&cancel, &[]).await.expect(303);
    assert_eq!(again.header("location"), address);
    assert!(al.get(&address).await.text().contains("there is nothing to cancel"));
}

#[tokio::test]
async fn the_list_of_jobs_shows_what_waits_for_what_and_why_something_failed() {
    let (_folder, ffmpeg) = slow(1);
    let server = Server::start_with(&[("JADWAL_FFMPEG", &ffmpeg)], &["--no-demo"]).await;
    server.user("al").await;
    server.user("bo").await;
    let (api, al) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    assert!(al.get("/jobs").await.expect(200).text().contains("No jobs yet"));
    let path = clip(17, 200, false, "320x180");
    let mut jobs = Vec::new();
    for title in ["first", "second", "third", "fourth"] {
        let video = uploaded(&api, &format!("{title}.mp4"), &path).await;
        jobs.push(ordered(&api, &video, json!({"profile": "720p30"})).await);
    }
    until(&api, &jobs[0], |row| row["state"] == "running").await;
    let ahead = async |job: &str| api.get(&format!("/api/v1/jobs/{job}")).await.json()["ahead"].clone();
    assert_eq!((ahead(&jobs[0]).await, ahead(&jobs[1]).await), (Value::Null, json!(0)));
    assert_eq!((ahead(&jobs[2]).await, ahead(&jobs[3]).await), (json!(1), json!(2)));
    let page = al.get("/jobs").await.expect(200).text();
    for words in ["first", "Waits for its turn", "Waits; one of yours comes first", "Waits; 2 of yours come first"] {
        assert!(page.contains(words), "{words}: {page}");
    }
    let mut events = Events::open(&al, "/jobs/events").await;
    let key = format!("job/{}/progress", jobs[0]);
    let running = |event: &Value| event["value"][&key].as_f64().is_some_and(|percent| percent > 0.0);
    let event = events.until(Duration::from_secs(60), running).await;
    let back = al.form(&format!("/jobs/{}/cancel", jobs[2]), &[("back", "/jobs?state=open")]).await.expect(303);
    assert_eq!(back.header("location"), "/jobs?state=open");
    events.until(Duration::from_secs(20), |other| other["shape"] != event["shape"]).await;
    assert_eq!(ahead(&jobs[3]).await, 1, "what was cancelled is waited for no more");
    let only = al.get("/jobs?state=cancelled").await.expect(200).text();
    assert!(only.contains("third") && !only.contains("fourth"), "{only}");
    // What is deleted leaves its job behind, without its title.
    let video = api.get(&format!("/api/v1/jobs/{}", jobs[3])).await.json()["video_id"].clone();
    api.delete(&format!("/api/v1/videos/{}", video.as_str().unwrap())).await.expect(204);
    let only = al.get("/jobs?state=cancelled").await.expect(200).text();
    assert!(only.contains("A deleted video") && !only.contains("fourth"), "{only}");
    // Of another library nothing is seen, and a state that is none is all.
    let bo = server.login("bo", PASSWORD).await;
    assert!(bo.get("/jobs?state=whatever").await.expect(200).text().contains("No jobs yet"));
    for job in &jobs[..2] {
        al.form(&format!("/jobs/{job}/cancel"), &[]).await.expect(303);
    }
    no_encoder(&server).await;
}

#[tokio::test]
async fn tenants_take_turns() {
    let server = Server::start().await;
    server.user("al").await;
    server.user("bo").await;
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let path = clip(17, 200, false, "320x180");
    let body = json!({"profile": "720p30"});
    let mut als = Vec::new();
    for number in 0..4 {
        let video = uploaded(&al, &format!("{number}.mp4"), &path).await;
        als.push(video);
    }
    let bos = uploaded(&bo, "b.mp4", &path).await;
    let mut jobs = Vec::new();
    for video in &als {
        jobs.push(ordered(&al, video, body.clone()).await);
    }
    let bos = ordered(&bo, &bos, body).await;
    let ended_at = |row: Value| row["ended_at"].as_str().unwrap().to_owned();
    let mut ends = Vec::new();
    for job in &jobs {
        ends.push(ended_at(done(&al, job).await));
    }
    let bos = ended_at(done(&bo, &bos).await);
    assert!(ends.is_sorted(), "{ends:?}");
    assert!(bos < ends[3], "whoever brings one waits for one of the others', not for all: {bos} {ends:?}");
    books_are_right(&server, &al, "al").await;
}
