//! The main job: a user's own video goes on air at the second, stays there whatever becomes of the server, and ends at
//! the second. On a real server, a real ffmpeg and a real RTMP platform.

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
async fn a_stream_outlives_a_killed_server_and_is_found_again_not_doubled() {
    let platform = Platform::start();
    let mut server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let key = "the-key-that-outlives-1";
    let id = stream(&al, "Rain", &video(&al, 4).await, &platform.rtmp_url("live"), key).await;
    let second = "the-key-that-is-stopped-2";
    let other = stream(&al, "Snow", &video(&al, 4).await, &platform.rtmp_url("live"), second).await;
    let stop = ahead(25);
    for id in [&id, &other] {
        let body = json!({"stop_at": stop.to_string()});
        al.post(&format!("/api/v1/streams/{id}/start"), &body).await.expect(202);
    }
    for key in [key, second] {
        platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    }
    let run = reaches(&al, &id, "sending").await["run_id"].clone();
    let before = (encoders(&server, key), processes(&["keep", server.home().to_str().unwrap()]));
    assert_eq!((before.0.len(), before.1.len()), (1, 2));
    server.kill9();
    let bytes = platform.publisher(key).unwrap().bytes_in;
    tokio::time::sleep(Duration::from_secs(2)).await;
    assert!(platform.publisher(key).unwrap().bytes_in > bytes, "it goes on without a server");
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    let again = reaches(&al, &id, "sending").await;
    assert_eq!((&again["run_id"], &again["restarts"]), (&run, &json!(0)));
    assert_eq!((encoders(&server, key), processes(&["keep", server.home().to_str().unwrap()])), before);
    // What was found again obeys.
    al.post(&format!("/api/v1/streams/{other}/stop"), &json!({})).await;
    assert!(platform.departure(second, Duration::from_secs(8)).await);
    reaches(&al, &other, "ended").await;
    // An orderly end lets streams go on too, and one that ends meanwhile ends on time.
    assert_eq!(server.stop().await, 0);
    assert_eq!(encoders(&server, key), before.0);
    until(stop - Duration::from_secs(1)).await;
    assert!(platform.publisher(key).is_some(), "not before the stop time");
    assert!(platform.departure(key, Duration::from_secs(5)).await);
    assert!(since(stop) < 1.0, "it ended {} s after the stop time", since(stop));
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    reaches(&al, &id, "ended").await;
    let runs = runs(&al).await;
    let outcomes: Vec<_> = runs.iter().map(|run| (run["stream_id"].clone(), run["outcome"].clone())).collect();
    assert_eq!(outcomes.len(), 2, "{runs:?}");
    assert!(
        outcomes.contains(&(json!(id), json!("completed"))) && outcomes.contains(&(json!(other), json!("stopped")))
    );
    assert_eq!(platform.connections().iter().filter(|line| line.starts_with("PUBLISH")).count(), 2);
}

#[tokio::test]
async fn a_killed_keeper_is_replaced_by_one_that_goes_on_counting() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let key = "the-key-that-comes-back";
    let id = stream(&al, "Rain", &video(&al, 4).await, &platform.rtmp_url("live"), key).await;
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    let first = reaches(&al, &id, "sending").await;
    let keeper = processes(&["keep", server.home().to_str().unwrap()]);
    assert_eq!(keeper.len(), 1);
    nix::sys::signal::kill(nix::unistd::Pid::from_raw(keeper[0]), nix::sys::signal::Signal::SIGKILL).unwrap();
    assert!(platform.departure(key, Duration::from_secs(5)).await, "its ffmpeg dies with it");
    platform.arrival(key, Duration::from_secs(10)).await.expect("it comes back");
    let again = reaches(&al, &id, "sending").await;
    assert_eq!((&again["run_id"], &again["restarts"]), (&first["run_id"], &json!(1)), "{again}");
    al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await;
    reaches(&al, &id, "ended").await;
    let runs = runs(&al).await;
    assert_eq!((runs.len(), &runs[0]["outcome"], &runs[0]["restarts"]), (1, &json!("stopped"), &json!(1)));
}

#[tokio::test]
async fn started_twice_at_once_is_one_run_and_one_key_is_sent_once() {
    let platform = Platform::start();
    let server = server().await;
    for name in ["al", "bo"] {
        server.user(name).await;
    }
    let (al, bo) = (server.api("al", PASSWORD).await, server.api("bo", PASSWORD).await);
    let key = "a-key-that-two-people-have";
    let id = stream(&al, "Rain", &video(&al, 4).await, &platform.rtmp_url("live"), key).await;
    let start = format!("/api/v1/streams/{id}/start");
    let body = json!({});
    let answers = futures_util::future::join_all((0..8).map(|_| al.post(&start, &body))).await;
    let mut statuses: Vec<u16> = answers.iter().map(|answer| answer.status).collect();
    statuses.sort_unstable();
    assert_eq!(statuses, [202, 409, 409, 409, 409, 409, 409, 409]);
    platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    // The neighbour typed the same key: refused at once with a plain reason, without a word on whose it is.
    let theirs = stream(&bo, "Mine", &video(&bo, 4).await, &platform.rtmp_url("live"), key).await;
    let start = format!("/api/v1/streams/{theirs}/start");
    let refused = bo.post(&start, &json!({})).await.expect(409).json();
    let reason = refused["detail"].as_str().unwrap();
    assert!(reason.contains("already sending from this server") && !reason.contains("Rain"), "{reason}");
    let page = server.login("bo", PASSWORD).await;
    let refused = page.form(&format!("/streams/{theirs}/start"), &[("end", "none")]).await.expect(409).text();
    assert!(refused.contains("already sending from this server"), "{refused}");
    // The owner, too, by another stream of theirs.
    let twin = stream(&al, "Twin", &video(&al, 4).await, &platform.rtmp_url("live"), key).await;
    let refused = al.post(&format!("/api/v1/streams/{twin}/start"), &json!({})).await.expect(409).json();
    assert!(refused["detail"].as_str().unwrap().contains("“Rain”"), "one's own is named: {refused}");
    assert_eq!(encoders(&server, key).len(), 1);
    assert_eq!((runs(&bo).await.len(), state(&bo, &theirs).await["name"].clone()), (0, json!("idle")));
    // A schedule's start is written down with the reason.
    plan(&bo, &theirs, ahead(2), 30).await;
    let failed = reaches(&bo, &theirs, "failed").await;
    assert!(failed["reason"].as_str().unwrap().contains("already sending from this server"), "{failed}");
    // When the first is off air, the second gets the key.
    al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await;
    reaches(&al, &id, "ended").await;
    bo.post(&format!("/api/v1/streams/{theirs}/start"), &json!({})).await.expect(202);
    reaches(&bo, &theirs, "sending").await;
    assert_eq!(platform.connections().len(), 1);
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
async fn a_deleted_user_is_off_air_and_leaves_nothing() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let key = "the-key-of-who-is-deleted";
    let id = stream(&al, "Rain", &video(&al, 4).await, &platform.rtmp_url("live"), key).await;
    plan(&al, &id, ahead(3600), 60).await;
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    let deleted = server.cli(&["user", "delete", "al", "--yes"]).await;
    assert_eq!(deleted.code, 0, "{deleted:?}");
    assert_eq!(platform.publishers(), []);
    assert!(encoders(&server, key).is_empty());
    assert!(!server.home().join("data/al").exists() && !server.home().join("videos/al").exists());
    let status = server.api("admin", crate::support::server::ADMIN).await.get("/api/v1/status").await.json();
    assert_eq!(
        (status["on_air"].as_array().map(Vec::len), status["next"].as_array().map(Vec::len)),
        (Some(0), Some(0))
    );
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

#[tokio::test]
async fn who_is_disabled_stays_on_air_unless_told_and_starts_nothing_new() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    server.user_with("bo", json!({"tenant": "al"})).await;
    let (al, admin) = (server.api("al", PASSWORD).await, server.api("admin", crate::support::server::ADMIN).await);
    let clip = video(&al, 4).await;
    let (on, planned) = ("the-key-that-stays-on", "the-key-that-is-planned");
    let goes_on = stream(&al, "Goes on", &clip, &platform.rtmp_url("live"), on).await;
    let waits = stream(&al, "Waits", &clip, &platform.rtmp_url("live"), planned).await;
    let start = format!("/api/v1/streams/{goes_on}/start");
    al.post(&start, &json!({})).await.expect(202);
    platform.arrival(on, Duration::from_secs(10)).await.expect("it arrives");

    // While somebody else may log in, what is planned goes on.
    let disabled = admin.patch("/api/v1/users/al", &json!({"disabled": true})).await.expect(200).json();
    assert_eq!(disabled["on_air"], 1, "{disabled}");
    let bo = server.api("bo", PASSWORD).await;
    plan(&bo, &waits, ahead(5), 3).await;
    platform.arrival(planned, Duration::from_secs(15)).await.expect("the other user's schedules go on");
    reaches(&bo, &waits, "ended").await;

    // With everybody locked out it does not, and the page says what stays on air.
    let at = ahead(7);
    plan(&bo, &waits, at, 30).await;
    let page = server.login("admin", crate::support::server::ADMIN).await;
    assert!(page.get("/admin/users/bo").await.expect(200).text().contains("name=\"stop_streams\""));
    let form = [("role", "user"), ("plan", "premium"), ("quota", ""), ("disabled", "on")];
    page.form("/admin/users/bo", &form).await.expect(303);
    let told = page.get("/admin/users/bo").await.expect(200).text();
    assert!(told.contains("One stream of this library stays on air."), "{told}");
    until(at + Duration::from_secs(2)).await;
    assert!(platform.publisher(on).is_some() && platform.publisher(planned).is_none());
    admin.patch("/api/v1/users/bo", &json!({"disabled": false})).await.expect(200);
    let bo = server.api("bo", PASSWORD).await;
    let missed = &runs(&bo).await[0];
    assert_eq!((&missed["stream_id"], &missed["outcome"]), (&json!(waits), &json!("missed")), "{missed}");
    assert!(missed["reason"].as_str().unwrap().contains("disabled"), "{missed}");

    // Told so, it ends: by the API, by the page, by the command line.
    admin.patch("/api/v1/users/bo", &json!({"stop_streams": true})).await.expect(422);
    let both = json!({"disabled": true, "stop_streams": true});
    assert_eq!(admin.patch("/api/v1/users/bo", &both).await.expect(200).json()["on_air"], 0);
    assert_eq!(platform.publishers(), []);
    for way in ["page", "command"] {
        admin.patch("/api/v1/users/bo", &json!({"disabled": false})).await.expect(200);
        server.api("bo", PASSWORD).await.post(&start, &json!({})).await.expect(202);
        platform.arrival(on, Duration::from_secs(10)).await.expect("it arrives");
        if way == "page" {
            let stopping = [form.as_slice(), &[("stop_streams", "on")]].concat();
            page.form("/admin/users/bo", &stopping).await.expect(303);
        } else {
            let first = server.cli(&["user", "disable", "bo"]).await;
            let said = "bo is locked out; 1 stream stays on air (--stop-streams takes them off)\n";
            assert_eq!((first.code, first.out.as_str()), (0, said), "{first:?}");
            assert!(platform.publisher(on).is_some());
            assert_eq!(server.cli(&["user", "disable", "bo", "--stop-streams"]).await.code, 0);
        }
        assert_eq!(platform.publishers(), [], "{way}");
    }
}

#[tokio::test]
async fn ctrl_c_at_the_terminal_ends_the_streams_too() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let key = "the-key-that-ends-with-it";
    let id = stream(&al, "Rain", &video(&al, 4).await, &platform.rtmp_url("live"), key).await;
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    let pid = nix::unistd::Pid::from_raw(server.pid() as i32);
    nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGINT).unwrap();
    assert!(platform.departure(key, Duration::from_secs(10)).await);
    assert!(encoders(&server, key).is_empty());
}

#[tokio::test]
async fn an_occurrence_that_was_slept_through_is_made_up_for_or_told() {
    let platform = Platform::start();
    let mut server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let clip = video(&al, 4).await;
    let (late, over) = ("the-key-that-is-late", "the-key-that-is-over");
    let kept = stream(&al, "Late", &clip, &platform.rtmp_url("live"), late).await;
    let missed = stream(&al, "Over", &clip, &platform.rtmp_url("live"), over).await;
    let at = ahead(7);
    plan(&al, &kept, at, 20).await;
    plan(&al, &missed, at, 2).await;
    server.kill9();
    until(at + Duration::from_secs(4)).await;
    assert_eq!(platform.publishers(), []);
    server.restart().await;
    let ready = Timestamp::now();
    platform.arrival(late, Duration::from_secs(10)).await.expect("it is made up for");
    assert!(since(ready) < 3.0, "{} s after the start", since(ready));
    let al = server.api("al", PASSWORD).await;
    let told = reaches(&al, &missed, "failed").await;
    assert!(told["reason"].as_str().unwrap().contains("not running"), "{told}");
    let stop = at + Duration::from_secs(20);
    until(stop - Duration::from_millis(1000)).await;
    assert!(platform.publisher(late).is_some());
    assert!(platform.departure(late, Duration::from_secs(5)).await);
    assert!(since(stop) < 1.0, "it ended {} s after the stop time", since(stop));
    let runs = runs(&al).await;
    assert_eq!(runs.len(), 2, "{runs:?}");
    let missed = runs.iter().find(|run| run["stream_id"] == json!(missed)).unwrap();
    assert_eq!((&missed["outcome"], &missed["started_at"]), (&json!("missed"), &Value::Null));
}

#[tokio::test]
async fn the_demo_has_streams_and_a_past_to_show() {
    let server = Server::start_with(&[], &[]).await;
    let admin = server.api("admin", crate::support::server::ADMIN).await;
    let mut next = Value::Null;
    for _ in 0..300 {
        next = admin.get("/api/v1/status").await.expect(200).json()["next"].clone();
        if next.as_array().unwrap().len() == 2 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    let tenants: Vec<_> = next.as_array().unwrap().iter().map(|due| due["tenant"].as_str().unwrap()).collect();
    assert_eq!(tenants, ["demo", "demo"], "{next}");
    // What background work made is said in people's words.
    let demo = server.stranger();
    demo.form("/login/demo", &[]).await.expect(303);
    let videos = demo.get("/api/v1/videos").await.expect(200).json();
    let path = format!("/videos/{}", videos["items"][0]["id"].as_str().unwrap());
    for (language, word) in [("en", "· sample<"), ("id", "· contoh<")] {
        let page = demo.send(demo.request(reqwest::Method::GET, &path).header("accept-language", language)).await;
        let html = page.expect(200).text();
        assert!(html.contains(word) && !html.contains("system:"), "{html}");
    }
}

#[tokio::test]
async fn commands_see_and_end_streams_beside_no_server() {
    let platform = Platform::start();
    let mut server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let clip = video(&al, 4).await;
    let keys = ["the-key-without-a-server-1", "the-key-without-a-server-2"];
    let mut ids = Vec::new();
    for key in keys {
        let id = stream(&al, "Rain", &clip, &platform.rtmp_url("live"), key).await;
        al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
        platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
        ids.push(id);
    }
    plan(&al, &ids[0], ahead(7200), 60).await;
    for id in &ids {
        // The platform sees a key before its keeper has written down that it sends, and how fast.
        reaches(&al, id, "sending").await;
        while state(&al, id).await["bitrate"] == 0 {
            tokio::time::sleep(Duration::from_millis(200)).await;
        }
    }
    // What comes next over all tenants is written a moment after the schedule.
    let admin = server.api("admin", crate::support::server::ADMIN).await;
    for _ in 0..50 {
        if admin.get("/api/v1/status").await.expect(200).json()["next"].as_array().is_some_and(|next| next.len() == 1) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    server.kill9();
    let status = server.cli(&["status", "--json"]).await.json();
    assert_eq!(status["on_air"].as_array().unwrap().len(), 2, "{status}");
    assert!(status["on_air"].as_array().unwrap().iter().all(|stream| stream["state"] == "sending"), "{status}");
    assert_eq!(status["next"].as_array().unwrap().len(), 1, "{status}");
    assert!(status["on_air"].as_array().unwrap().iter().all(|stream| stream["bitrate"] != 0), "{status}");
    assert_ne!(status["uplink"]["used"], 0, "{status}");
    assert_eq!(status["time_zone"], "Asia/Jakarta");
    assert!(status["on_air"][0]["since"].as_str().unwrap().ends_with('Z'), "{status}");
    assert_eq!(platform.publishers().len(), 2, "looking ends nothing");
    let told = server.cli(&["status"]).await.out;
    let lines: Vec<&str> = told.lines().filter(|line| line.contains("Rain")).collect();
    assert_eq!(lines.len(), 3, "two on air, one to come: {told}");
    assert!(lines.iter().all(|line| line.contains(" WIB") && !line.contains('Z')), "{told}");
    assert!(lines[..2].iter().all(|line| line.contains("bit/s") && !line.contains(" 0 kbit/s")), "{told}");
    let many = server.cli(&["stop", "Rain"]).await;
    assert_eq!(many.code, 1, "{many:?}");
    assert!(ids.iter().all(|id| many.err.contains(&format!("{id}  al"))), "{many:?}");
    assert_eq!(platform.publishers().len(), 2, "which one is meant is not guessed");
    let stopped = server.cli(&["stop", &ids[0]]).await;
    assert_eq!(stopped.code, 0, "{stopped:?}");
    assert_eq!((platform.publisher(keys[0]), platform.publishers().len()), (None, 1));
    for idle in [&*ids[0], "rain"] {
        let unknown = server.cli(&["stop", idle]).await;
        assert!(unknown.code == 1 && unknown.err.contains("is on air"), "{unknown:?}");
    }
    let by_title = server.cli(&["stop", "Rain"]).await;
    assert_eq!((by_title.code, by_title.out.as_str()), (0, "taken off air: 1\n"), "{by_title:?}");
    assert_eq!(platform.publishers(), []);
    assert_eq!(server.cli(&["stop", "--all"]).await.code, 0);
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    for id in &ids {
        reaches(&al, id, if *id == ids[0] { "scheduled" } else { "ended" }).await;
    }
    assert!(encoders(&server, "the-key-without-a-server").is_empty());
}
