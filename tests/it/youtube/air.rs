//! Broadcasts on air, with a real nginx where streams come in.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use serde_json::{Value, json};

use super::{
    KEY, broadcasts_until, connect, in_seconds, key_of, schedule, secrets_stand_nowhere, server_with, state_until,
    stream_to, youtube_at,
};
use crate::support::nginx::Platform;
use crate::support::server::PASSWORD;
use crate::support::youtube::{How, Life, Youtube};

#[tokio::test]
async fn a_scheduled_stream_is_live_by_the_platform_s_word_and_complete_at_its_end() {
    let platform = Arc::new(Platform::start());
    let youtube = youtube_at(&platform);
    youtube.world().put_stream("al", "Main", KEY, &platform.rtmp_url("live"));
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({})).await;
    schedule(&al, &stream, &in_seconds(20), 25).await;
    broadcasts_until(&al, "it is ready", |found| found.len() == 1 && found[0]["stage"] == "ready").await;
    youtube.world().streams.values_mut().for_each(|one| {
        one.issues = vec![("gopSizeLong".into(), "warning".into()), ("noAudioStream".into(), "error".into())];
    });
    state_until(&al, &stream, "sending").await;
    let state = state_until(&al, &stream, "live").await;
    let word = &state["targets"][0]["platform_word"];
    assert_eq!(word["live"], true);
    let told: Vec<&str> = word["health"].as_array().unwrap().iter().map(|word| word.as_str().unwrap()).collect();
    assert!(told[0].contains("no sound") && told[1].contains("every 2 seconds"), "{told:?}");
    {
        let world = youtube.world();
        let shown: Vec<_> = world.broadcasts.values().collect();
        assert!(shown.len() == 1 && shown[0].live_at.is_some(), "{shown:?}");
        // What did not change since it was asked last is not sent again.
        assert!(world.calls.contains(&("liveStreams.list", 304)), "{:?}", world.calls);
    }
    let found = broadcasts_until(&al, "it is complete", |found| found[0]["stage"] == "complete").await;
    assert_eq!((found.len(), found[0]["trouble"].is_null()), (1, true));
    assert!(youtube.world().broadcasts.values().all(|one| one.life == Life::Complete));
    assert_eq!(youtube.refused(), []);
    secrets_stand_nowhere(&server, "al").await;
}

#[tokio::test]
async fn a_stream_that_is_started_by_hand_has_its_broadcast_at_once_and_goes_out_whatever_the_platform_does() {
    let platform = Arc::new(Platform::start());
    let youtube = youtube_at(&platform);
    youtube.world().put_stream("al", "Main", KEY, &platform.rtmp_url("live"));
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({"auto_start": true})).await;
    youtube.want("liveBroadcasts.insert", How::Refuse(503, "backendError"), 1);
    al.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
    assert!(platform.arrival(KEY, Duration::from_secs(30)).await.is_some(), "it waits for the platform");
    state_until(&al, &stream, "live").await;
    assert_eq!(youtube.done("liveBroadcasts.transition"), 0, "it starts by itself");
    al.post(&format!("/api/v1/streams/{stream}/stop"), &json!({})).await;
    broadcasts_until(&al, "it is complete", |found| found.len() == 1 && found[0]["stage"] == "complete").await;
    assert_eq!(youtube.world().broadcasts.len(), 1);
}

#[tokio::test]
async fn starting_again_and_again_by_hand_takes_no_more_than_the_library_s_share() {
    let platform = Arc::new(Platform::start());
    let youtube = youtube_at(&platform);
    youtube.world().put_stream("al", "Main", KEY, &platform.rtmp_url("live"));
    let server = server_with(&youtube, &[("JADWAL_YOUTUBE_LIBRARY_UNITS", "400")]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({})).await;
    let mut refused = false;
    for round in 1..=4 {
        al.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
        assert!(platform.arrival(KEY, Duration::from_secs(30)).await.is_some(), "pictures go out all the same");
        let made = |found: &[Value]| {
            found.len() == round && found.iter().any(|one| one["stage"] == "live" || !one["trouble"].is_null())
        };
        let found = broadcasts_until(&al, "it is live, or why it is not is told", made).await;
        refused |= found.iter().any(|one| one["trouble"].as_str().is_some_and(|told| told.contains("left")));
        al.post(&format!("/api/v1/streams/{stream}/stop"), &json!({})).await.expect(202);
        assert!(platform.departure(KEY, Duration::from_secs(30)).await);
        let over =
            |found: &[Value]| found.iter().all(|one| matches!(one["stage"].as_str(), Some("complete" | "removed")));
        broadcasts_until(&al, "what was made is ended, units or not", over).await;
    }
    assert!(refused, "each start made a broadcast");
    let world = youtube.world();
    assert!(world.broadcasts.values().all(|one| one.life == Life::Complete), "{:?}", world.broadcasts);
    assert!(world.broadcasts.len() <= 3, "{} were made", world.broadcasts.len());
}

#[tokio::test]
async fn what_stays_on_air_for_long_is_followed_by_a_new_broadcast_without_a_gap_where_that_is_wished() {
    let platform = Arc::new(Platform::start());
    let youtube = youtube_at(&platform);
    youtube.world().put_stream("al", "Main", KEY, &platform.rtmp_url("live"));
    let server = server_with(&youtube, &[("JADWAL_YOUTUBE_ROLL_OVER_MINUTES", "1")]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({"roll_over": true, "title": "{title} no. {number}"})).await;
    al.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
    state_until(&al, &stream, "live").await;
    let connections = platform.connections().len();
    let followed = |found: &[Value]| found.len() == 2 && found[0]["stage"] == "live" && found[1]["stage"] == "complete";
    broadcasts_until(&al, "it is followed", followed).await;
    {
        let world = youtube.world();
        let lives: Vec<Life> = world.broadcasts.values().map(|one| one.life).collect();
        assert_eq!(lives, [Life::Complete, Life::Live]);
    }
    assert_eq!(platform.connections().len(), connections, "what is sent was not cut");
    state_until(&al, &stream, "live").await;
    al.post(&format!("/api/v1/streams/{stream}/stop"), &json!({})).await;
    let over = |found: &[Value]| found.iter().all(|one| one["stage"] == "complete");
    broadcasts_until(&al, "all are complete", over).await;
    assert_eq!(youtube.world().broadcasts.len(), 2);
    assert_eq!(youtube.refused(), []);
}

#[tokio::test]
async fn killed_while_it_is_moved_to_live_and_ended_it_is_one_broadcast_and_complete() {
    let platform = Arc::new(Platform::start());
    let youtube = youtube_at(&platform);
    youtube.world().put_stream("al", "Main", KEY, &platform.rtmp_url("live"));
    let mut server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({})).await;
    youtube.want("liveBroadcasts.insert", How::DoneAndCut, 1);
    youtube.want("liveBroadcasts.transition", How::DoneAndCut, 1);
    al.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
    assert!(platform.arrival(KEY, Duration::from_secs(30)).await.is_some());
    for round in 0..6_u64 {
        tokio::time::sleep(Duration::from_millis(400 + 310 * round)).await;
        server.kill9();
        server.restart().await;
    }
    let al = server.api("al", PASSWORD).await;
    state_until(&al, &stream, "live").await;
    youtube.want("liveBroadcasts.transition", How::DoneAndCut, 1);
    al.post(&format!("/api/v1/streams/{stream}/stop"), &json!({})).await;
    for round in 0..4_u64 {
        tokio::time::sleep(Duration::from_millis(60 + 170 * round)).await;
        server.kill9();
        server.restart().await;
    }
    let al = server.api("al", PASSWORD).await;
    broadcasts_until(&al, "it is complete", |found| found.len() == 1 && found[0]["stage"] == "complete").await;
    let world = youtube.world();
    let lives: Vec<Life> = world.broadcasts.values().map(|one| one.life).collect();
    assert_eq!(lives, [Life::Complete], "{:?}", world.calls);
}

#[tokio::test]
async fn what_goes_out_and_does_not_arrive_by_the_platform_s_word_goes_over_another_connection() {
    let platform = Arc::new(Platform::start());
    let (ingest, hears) = (platform.clone(), Arc::new(AtomicBool::new(false)));
    let told = hears.clone();
    let youtube = Youtube::with_ingest(move |key| told.load(Ordering::SeqCst) && ingest.publisher(key).is_some());
    youtube.world().put_stream("al", "Main", KEY, &platform.rtmp_url("live"));
    let server = server_with(&youtube, &[("JADWAL_YOUTUBE_SILENT_SECONDS", "8")]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({})).await;
    al.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
    assert!(platform.arrival(KEY, Duration::from_secs(30)).await.is_some());
    let state = state_until(&al, &stream, "sending").await;
    assert_eq!(state["targets"][0]["restarts"], 0);
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = al.get(&format!("/api/v1/streams/{stream}")).await.expect(200).json();
        let target = &found["state"]["targets"][0];
        assert_ne!(target["state"], "live", "the platform says nothing arrives");
        if target["restarts"] == 1 {
            break;
        }
        assert!(Instant::now() < deadline, "{target:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    hears.store(true, Ordering::SeqCst);
    let state = state_until(&al, &stream, "live").await;
    assert_eq!(state["targets"][0]["restarts"], 1, "{state:#?}");
}
