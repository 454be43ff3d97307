//! Streams outlive what happens to the server and their keepers.

use std::time::Duration;

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{ahead, encoders, plan, processes, reaches, runs, since, state, until};
use crate::streams::{server, stream, video};
use crate::support::nginx::Platform;
use crate::support::server::PASSWORD;

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
