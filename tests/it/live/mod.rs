//! The main job: a user's own video goes on air at the second, stays there whatever becomes of the server, and ends at
//! the second. On a real server, a real ffmpeg and a real RTMP platform.

mod kills;
mod people;

use std::path::Path;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::streams::{server, stream, video};
use crate::support::clip::made;
use crate::support::nginx::Platform;
use crate::support::server::{Client, PASSWORD, Server};

/// The next whole second at least this far away.
pub fn ahead(seconds: i64) -> Timestamp {
    Timestamp::from_second(Timestamp::now().as_second() + seconds + 1).unwrap()
}

pub async fn until(at: Timestamp) {
    let left = at.duration_since(Timestamp::now());
    tokio::time::sleep(Duration::try_from(left).unwrap_or_default()).await;
}

/// Seconds since an instant; before it, negative.
pub fn since(at: Timestamp) -> f64 {
    Timestamp::now().duration_since(at).as_secs_f64()
}

/// Plans a stream once, in Jakarta's local time; the schedule's id.
pub async fn plan(api: &Client, stream: &str, at: Timestamp, seconds: u64) -> String {
    let local = TimeZone::get("Asia/Jakarta").unwrap().to_datetime(at);
    let body = json!({"stream_id": stream, "starts_at": local.to_string(), "time_zone": "Asia/Jakarta",
                      "duration": seconds});
    let made = api.post("/api/v1/schedules", &body).await.expect(201);
    made.json()["id"].as_str().unwrap().to_owned()
}

pub async fn runs(api: &Client) -> Vec<Value> {
    api.get("/api/v1/runs").await.expect(200).json()["items"].as_array().unwrap().clone()
}

pub async fn state(api: &Client, stream: &str) -> Value {
    api.get(&format!("/api/v1/streams/{stream}")).await.expect(200).json()["state"].clone()
}

/// Waits until a stream's state is this one.
pub async fn reaches(api: &Client, stream: &str, name: &str) -> Value {
    for _ in 0..150 {
        let state = state(api, stream).await;
        if state["name"] == name {
            return state;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    panic!("it does not become {name}: {}", state(api, stream).await);
}

/// Process ids whose command line holds all of these words.
pub fn processes(words: &[&str]) -> Vec<i32> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<i32>().ok()) else { continue };
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if words.iter().all(|word| line.contains(word)) {
            found.push(pid);
        }
    }
    found
}

/// The ffmpegs of a server's home that send a key; another run of the tests may send the same one elsewhere.
pub fn encoders(server: &Server, key: &str) -> Vec<i32> {
    processes(&["-rtmp_playpath", key, server.home().to_str().unwrap()])
}

/// Fails if a text stands in any file below a folder.
pub fn nowhere(folder: &Path, text: &str) {
    for entry in walkdir::WalkDir::new(folder).into_iter().flatten().filter(|entry| entry.file_type().is_file()) {
        let bytes = std::fs::read(entry.path()).unwrap_or_default();
        let found = bytes.windows(text.len()).any(|window| window == text.as_bytes());
        assert!(!found, "the key stands in {}", entry.path().display());
    }
}

#[tokio::test]
async fn two_users_videos_of_one_name_go_on_air_at_the_second_and_end_at_the_second() {
    let platform = Platform::start();
    let server = server().await;
    let mut users = Vec::new();
    for (name, key) in [("al", "the-key-of-al-aaaa-bbbb"), ("bo", "the-key-of-bo-cccc-dddd")] {
        server.user(name).await;
        let api = server.api(name, PASSWORD).await;
        // Each uploads a `rain.mp4`.
        let id = stream(&api, &format!("Rain of {name}"), &video(&api, 4).await, &platform.rtmp_url("live"), key).await;
        users.push((api, id, key));
    }
    let (at, length) = (ahead(8), 12);
    for (api, id, _) in &users {
        let schedule = plan(api, id, at, length).await;
        let coming = api.get(&format!("/api/v1/schedules/{schedule}/occurrences?count=5")).await.expect(200).json();
        assert_eq!(coming["items"].as_array().map(Vec::len), Some(1), "{coming}");
        assert_eq!(state(api, id).await["name"], "scheduled");
    }
    assert!(since(at) < -1.0, "there is time before the planned second: {}", since(at));
    let early = Duration::try_from(at.duration_since(Timestamp::now())).unwrap() - Duration::from_millis(100);
    tokio::time::sleep(early).await;
    assert_eq!(platform.publishers(), [], "nothing before its second");
    for (_, _, key) in &users {
        let seen = platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
        assert!(since(at) < 2.0, "picture and sound came {} s after the planned second", since(at));
        assert_eq!((seen.video_codec.as_deref(), seen.audio_codec.as_deref()), (Some("H264"), Some("AAC")));
    }
    let mut bytes = [0, 0];
    while since(at) < length as f64 - 2.5 {
        tokio::time::sleep(Duration::from_secs(2)).await;
        for ((_, _, key), before) in users.iter().zip(&mut bytes) {
            let now = platform.publisher(key).expect("it stays on air").bytes_in;
            assert!(now > *before, "bytes grow: {before} then {now}");
            *before = now;
        }
    }
    for (api, id, key) in &users {
        assert_eq!(state(api, id).await["name"], "sending");
        let own = api.get("/api/v1/streams?on_air=true").await.json();
        assert_eq!(own["total"], 1, "nobody sees the other's: {own}");
        let log = api.get(&format!("/api/v1/streams/{id}/log")).await.expect(200).text();
        assert!(!log.contains(key), "{log}");
    }
    let stop = at + Duration::from_secs(length);
    until(stop - Duration::from_millis(1000)).await;
    assert_eq!(platform.publishers().len(), 2, "not before the stop time");
    for (_, _, key) in &users {
        assert!(platform.departure(key, Duration::from_secs(5)).await);
    }
    assert!(since(stop) < 1.0, "it ended {} s after the stop time", since(stop));
    for (api, id, key) in &users {
        reaches(api, id, "ended").await;
        let run = &runs(api).await[0];
        assert_eq!((&run["outcome"], &run["restarts"]), (&json!("completed"), &json!(0)), "{run}");
        assert!(run["bytes"].as_u64().unwrap() > 100_000, "{run}");
        assert_eq!(run["occurrence_at"].as_str().unwrap().parse::<Timestamp>().unwrap(), at);
        assert!(encoders(&server, key).is_empty());
        nowhere(server.home(), key);
    }
    assert_eq!(platform.connections().iter().filter(|line| line.starts_with("PUBLISH")).count(), 2);
}

#[tokio::test]
async fn what_rtmp_has_no_place_for_is_refused_and_not_tried_in_vain() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let old = made("old-codec.avi", |command| {
        command.args(["-f", "lavfi", "-i", "testsrc2=size=320x180:rate=25:duration=4", "-c:v", "mpeg4", "-g", "25"]);
    });
    let taken = al.upload("/api/v1/videos", &[("title", "Old")], &[("old.avi", &old)]).await.expect(201).json();
    let clip = taken["items"][0]["id"].as_str().unwrap().to_owned();
    let id = stream(&al, "Old", &clip, &platform.rtmp_url("live"), "a-key-for-nothing").await;
    let refused = al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(409).text();
    assert!(refused.contains("Optimise it on its page"), "{refused}");
    assert!(runs(&al).await.is_empty());
    // One that is planned says so in the history.
    let at = ahead(6);
    plan(&al, &id, at, 20).await;
    until(at + Duration::from_secs(2)).await;
    let missed = runs(&al).await;
    assert_eq!((missed.len(), &missed[0]["outcome"]), (1, &json!("missed")), "{missed:?}");
    assert!(missed[0]["reason"].to_string().contains("Optimise"), "{missed:?}");
    assert!(platform.connections().is_empty());
}

#[tokio::test]
async fn a_deleted_video_stays_on_air_and_its_room_comes_back_after() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let key = "the-key-of-the-deleted-one";
    let clip = video(&al, 4).await;
    let id = stream(&al, "Rain", &clip, &platform.rtmp_url("live"), key).await;
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    al.delete(&format!("/api/v1/videos/{clip}")).await.expect(204);
    al.get(&format!("/api/v1/videos/{clip}")).await.expect(404);
    let folder = server.home().join("videos/al");
    let files = || walkdir::WalkDir::new(&folder).into_iter().flatten().filter(|e| e.file_type().is_file()).count();
    assert_eq!(files(), 1, "the bytes stay while they are sent");
    // Past the clip's end, so that the loop begins again.
    tokio::time::sleep(Duration::from_secs(6)).await;
    let before = platform.publisher(key).expect("it goes on").bytes_in;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(platform.publisher(key).unwrap().bytes_in > before);
    al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await;
    reaches(&al, &id, "ended").await;
    for _ in 0..50 {
        if files() == 0 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    assert_eq!(files(), 0, "the bytes are freed after");
    let usage = al.get("/api/v1/usage").await.expect(200).json();
    assert_eq!(usage["storage"]["by_kind"]["uploads"], 0, "{usage}");
    // Nothing is left to play.
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(409);
}

#[tokio::test]
async fn two_targets_are_served_and_one_that_is_gone_does_not_end_the_other() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let clip = video(&al, 4).await;
    let body = json!({"title": "Both", "videos": [clip], "loop": true, "targets": [
        {"platform": "custom", "url": platform.rtmp_url("live"), "key": "the-first-target-1"},
        {"platform": "custom", "url": platform.rtmp_url("live"), "key": "the-second-target-2"},
        {"platform": "custom", "url": "rtmp://127.0.0.1:1/live", "key": "nobody-is-there"},
    ]});
    // A port that is no port for streams is refused at once.
    al.post("/api/v1/streams", &body).await.expect(422);
    let mut body = body;
    body["targets"][2]["url"] = json!(format!("rtmp://127.0.0.1:{}/live", crate::support::free_port()));
    let id = al.post("/api/v1/streams", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    for key in ["the-first-target-1", "the-second-target-2"] {
        platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    }
    let state = reaches(&al, &id, "sending").await;
    let names: Vec<_> = state["targets"].as_array().unwrap().iter().map(|target| target["name"].clone()).collect();
    assert!(names[2] == "retrying" || names[2] == "starting", "{state}");
    al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await;
    reaches(&al, &id, "ended").await;
    assert_eq!(platform.publishers(), []);
    assert_eq!(runs(&al).await[0]["outcome"], "stopped");
}

#[tokio::test]
async fn a_small_box_takes_so_many_streams_and_says_why_not_one_more() {
    let settings = [("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true"), ("JADWAL_LIVE_MEMORY_MIB", "120")];
    let platform = Platform::start();
    let mut server = Server::start_with(&settings, &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let clip = video(&al, 4).await;
    let mut ids = Vec::new();
    for number in 0..3 {
        ids.push(stream(&al, "Rain", &clip, &platform.rtmp_url("live"), &format!("one-of-three-keys-{number}")).await);
    }
    for id in &ids[..2] {
        al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    }
    let refuse = async |al: &Client| {
        let refused = al.post(&format!("/api/v1/streams/{}/start", ids[2]), &json!({})).await.expect(409).json();
        let detail = refused["detail"].as_str().unwrap();
        assert!(detail.contains("60 MiB") && !detail.contains("120"), "what it needs, not what is in use: {detail}");
    };
    refuse(&al).await;
    // What is on air counts after a restart too.
    reaches(&al, &ids[0], "sending").await;
    server.kill9();
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    reaches(&al, &ids[0], "sending").await;
    refuse(&al).await;
    al.post(&format!("/api/v1/streams/{}/stop", ids[0]), &json!({})).await;
    reaches(&al, &ids[0], "ended").await;
    al.post(&format!("/api/v1/streams/{}/start", ids[2]), &json!({})).await.expect(202);
}

#[tokio::test]
async fn history_keeps_so_many_runs_and_a_stream_starts_so_often() {
    let settings = [("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true"), ("JADWAL_LIMITS_RUNS_KEPT", "3")];
    let mut server = Server::start_with(&settings, &["--no-demo"]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let clip = video(&al, 4).await;
    let url = format!("rtmp://127.0.0.1:{}/live", crate::support::free_port());
    let rare = stream(&al, "Rare", &clip, &url, "a-key-for-one-run").await;
    let id = stream(&al, "Often", &clip, &url, "a-key-for-many-runs").await;
    let run = async |id: &str| {
        al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
        al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await.expect(202);
        reaches(&al, id, "ended").await;
    };
    run(&rare).await;
    for _ in 0..4 {
        run(&id).await;
    }
    let all = runs(&al).await;
    assert_eq!(all.len(), 5);
    let refused = loop {
        let answer = al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await;
        match answer.status {
            202 | 409 => {}
            _ => break answer.expect(429),
        }
    };
    assert!(!refused.header("retry-after").is_empty());
    al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await.expect(202);
    reaches(&al, &id, "ended").await;
    assert_eq!(server.stop().await, 0);
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    let mut kept = runs(&al).await;
    for _ in 0..100 {
        if kept.len() == 4 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        kept = runs(&al).await;
    }
    // The newest, and what a stream did last: its page still tells.
    let streams: Vec<&Value> = kept.iter().map(|run| &run["stream_id"]).collect();
    assert_eq!(streams, [&json!(id), &json!(id), &json!(id), &json!(rare)], "{kept:?}");
    let page = server.login("al", PASSWORD).await;
    page.get(&format!("/streams/{rare}")).await.expect(200);
    let folders = std::fs::read_dir(server.home().join("data/al/runs")).unwrap().count();
    assert_eq!(folders, 4, "logs go with their runs");
}
