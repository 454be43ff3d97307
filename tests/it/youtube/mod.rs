//! Channels of YouTube over the whole program: keys, broadcasts and the platform's word, against a stand-in that is as
//! strict as the real one's documents, with a real nginx where streams come in.

mod air;
mod keys;
mod part;
mod secrets;
mod trouble;
mod upload_ways;
mod uploads;

use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::{Timestamp, ToSpan as _};
use serde_json::{Value, json};

use crate::streams::video;
use crate::support::nginx::Platform;
use crate::support::server::{Client, PASSWORD, Server};
use crate::support::youtube::{How, Life, Youtube};
pub use secrets::secrets_stand_nowhere;

/// A key that stands nowhere but in requests.
pub const KEY: &str = "sentinel-key-abcd-efgh-ijkl";

/// A stand-in whose streams are what arrives at nginx.
pub fn youtube_at(platform: &Arc<Platform>) -> Youtube {
    let ingest = platform.clone();
    Youtube::with_ingest(move |key| ingest.publisher(key).is_some_and(|one| one.video_codec.is_some()))
}

/// The variables that lead a server to the stand-in.
pub fn variables(youtube: &Youtube) -> Vec<(String, String)> {
    let base = youtube.base();
    [
        ("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true".to_owned()),
        ("JADWAL_PUBLIC_URL", "http://localhost:8080".to_owned()),
        ("JADWAL_OAUTH_GOOGLE_CLIENT_ID", "123456-abc.apps.googleusercontent.com".to_owned()),
        ("JADWAL_OAUTH_GOOGLE_CLIENT_SECRET", "sentinel-client-secret".to_owned()),
        ("JADWAL_OAUTH_GOOGLE_AUTHORIZE_URL", format!("{base}/authorize")),
        ("JADWAL_OAUTH_GOOGLE_TOKEN_URL", format!("{base}/token")),
        ("JADWAL_OAUTH_GOOGLE_REVOKE_URL", format!("{base}/revoke")),
        ("JADWAL_OAUTH_GOOGLE_API_URL", base.clone()),
    ]
    .map(|(name, value)| (name.to_owned(), value))
    .to_vec()
}

/// A server that knows the stand-in, with further variables.
pub async fn server_with(youtube: &Youtube, more: &[(&str, &str)]) -> Server {
    let own = variables(youtube);
    let mut all: Vec<(&str, &str)> = own.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    all.extend(more);
    Server::start_with(&all, &["--no-demo"]).await
}

/// Connects the channel of an account; its id.
pub async fn connect(api: &Client, account: &str) -> String {
    let asked = api.post("/api/v1/channels/connect", &json!({})).await.expect(200).json();
    let url = url::Url::parse(asked["authorize_url"].as_str().unwrap()).unwrap();
    let state = url.query_pairs().find(|(name, _)| name == "state").unwrap().1.into_owned();
    let body = json!({"state": state, "code": format!("code-of-{account}")});
    let made = api.post("/api/v1/oauth/google/finish", &body).await.expect(201).json();
    made["id"].as_str().unwrap().to_owned()
}

/// Fetches the keys of a channel; the id of the one of this title.
pub async fn key_of(api: &Client, channel: &str, title: &str) -> String {
    api.post(&format!("/api/v1/channels/{channel}/keys/fetch"), &json!({})).await.expect(200);
    let keys = api.get("/api/v1/stream-keys").await.expect(200).json();
    let keys = keys["items"].as_array().unwrap();
    keys.iter().find(|key| key["title"] == title).unwrap()["id"].as_str().unwrap().to_owned()
}

/// A stream of one video that goes to a kept key; its id.
pub async fn stream_to(api: &Client, title: &str, key: &str, broadcast: Value) -> String {
    let video = video(api, 4).await;
    let body = json!({"title": title, "videos": [video], "loop": true, "broadcast": broadcast,
                      "targets": [{"platform": "youtube", "key_id": key}]});
    api.post("/api/v1/streams", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned()
}

/// A local time so many seconds from now, as schedules take it, in UTC.
pub fn in_seconds(seconds: i64) -> String {
    let at = Timestamp::now().checked_add(seconds.seconds()).unwrap();
    at.to_zoned(jiff::tz::TimeZone::UTC).datetime().round(jiff::Unit::Second).unwrap().to_string()
}

/// Once a stream, for so many seconds; its id.
pub async fn schedule(api: &Client, stream: &str, starts_at: &str, seconds: u64) -> String {
    let body = json!({"stream_id": stream, "starts_at": starts_at, "time_zone": "UTC", "duration": seconds});
    api.post("/api/v1/schedules", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned()
}

/// Waits until the broadcasts of a library are as wanted.
pub async fn broadcasts_until(api: &Client, what: &str, wanted: impl Fn(&[Value]) -> bool) -> Vec<Value> {
    let deadline = Instant::now() + Duration::from_secs(90);
    loop {
        let found = api.get("/api/v1/broadcasts").await.expect(200).json()["items"].as_array().unwrap().clone();
        if wanted(&found) {
            return found;
        }
        assert!(Instant::now() < deadline, "{what}: {found:#?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

/// Waits until a stream is so; its state.
pub async fn state_until(api: &Client, stream: &str, wanted: &str) -> Value {
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let found = api.get(&format!("/api/v1/streams/{stream}")).await.expect(200).json();
        if found["state"]["name"] == wanted {
            return found["state"].clone();
        }
        assert!(Instant::now() < deadline, "{wanted}: {:#?}", found["state"]);
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
}

#[tokio::test]
async fn a_broadcast_is_made_ahead_told_everything_changed_and_deleted_with_its_schedule() {
    let youtube = Youtube::start();
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    youtube.world().playlists.insert("PLrain".into(), Vec::new());
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let folder = tempfile::tempdir().unwrap();
    let cover = folder.path().join("cover.png");
    image::RgbImage::new(1280, 720).save(&cover).unwrap();
    let cover = al.upload("/api/v1/thumbnails", &[("title", "Cover")], &[("cover.png", &cover)]).await.expect(201);
    let told = json!({"title": "{title} no. {number}", "description": "On {date}\nat {time}", "tags": ["rain", "tin roof"],
        "category": 10, "privacy": "unlisted", "made_for_kids": true, "latency": "low", "dvr": false,
        "playlist": "PLrain", "thumbnail_id": cover.json()["items"][0]["id"]});
    let stream = stream_to(&al, "Rain", &key, told).await;
    let starts_at = in_seconds(3600);
    let schedule = schedule(&al, &stream, &starts_at, 600).await;
    let ready = |found: &[Value]| found.len() == 1 && found[0]["stage"] == "ready";
    let found = broadcasts_until(&al, "it is ready", ready).await;
    let id = found[0]["broadcast_id"].as_str().unwrap().to_owned();
    assert_eq!(found[0]["link"], format!("https://www.youtube.com/watch?v={id}"));
    {
        let world = youtube.world();
        let made = &world.broadcasts[&id];
        assert_eq!((world.broadcasts.len(), made.life, made.title()), (1, Life::Ready, "Rain no. 1"));
        assert_eq!(made.description(), format!("On {}\nat {}", &starts_at[..10], &starts_at[11..16]));
        assert_eq!(made.tags, ["rain", "tin roof"]);
        assert_eq!(made.category.as_deref(), Some("10"));
        assert!(made.picture.as_ref().is_some_and(|(size, kind)| *size > 1000 && kind.starts_with("image/")));
        assert_eq!(
            (&made.status["privacyStatus"], &made.status["selfDeclaredMadeForKids"]),
            (&json!("unlisted"), &json!(true))
        );
        assert_eq!((&made.details["latencyPreference"], &made.details["enableDvr"]), (&json!("low"), &json!(false)));
        assert_eq!(made.details["monitorStream"]["enableMonitorStream"], false);
        assert_eq!(made.starts_at().to_string()[..19], starts_at[..19]);
        assert_eq!(world.playlists["PLrain"], std::slice::from_ref(&id));
    }
    assert_eq!(youtube.refused(), []);

    // Other texts and another time reach the same broadcast.
    let later = in_seconds(7200);
    let change = json!({"starts_at": later, "broadcast": {"title": "Storm", "privacy": "public"}});
    al.patch(&format!("/api/v1/schedules/{schedule}"), &change).await.expect(200);
    youtube
        .until("it is changed", Duration::from_secs(30), |world| {
            let Some(made) = world.broadcasts.get(&id) else { panic!("it is another one: {:?}", world.calls) };
            made.title() == "Storm"
                && made.status["privacyStatus"] == "public"
                && made.starts_at().to_string()[..19] == later[..19]
        })
        .await;
    assert_eq!(youtube.world().broadcasts.len(), 1);
    al.delete(&format!("/api/v1/schedules/{schedule}")).await.expect(204);
    youtube.until("it is deleted", Duration::from_secs(30), |world| world.broadcasts.is_empty()).await;
    broadcasts_until(&al, "and known to be", |found| found[0]["stage"] == "removed").await;
    assert_eq!(youtube.refused(), []);
    let quota = al.get(&format!("/api/v1/channels/{channel}/quota")).await.expect(200).json();
    assert_eq!(quota["used"].as_u64().unwrap(), youtube.world().units);
    assert_eq!(quota["kept"], 0, "what was kept is given back");
    for wrong in [
        json!({"title": "x".repeat(101)}),
        json!({"category": 3}),
        json!({"tags": ["x".repeat(501)]}),
        json!({"thumbnail_id": "01900000-0000-7000-8000-000000000000"}),
    ] {
        let refused = al.patch(&format!("/api/v1/streams/{stream}"), &json!({"broadcast": wrong})).await.expect(422);
        assert!(refused.json()["errors"][0]["field"].as_str().unwrap().starts_with("broadcast."));
    }
    al.patch(&format!("/api/v1/streams/{stream}"), &json!({"broadcast": {"colour": "red"}})).await.expect(400);
}

#[tokio::test]
async fn killed_anywhere_while_a_broadcast_is_made_there_is_exactly_one() {
    let youtube = Youtube::start();
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    let mut server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({})).await;
    // Answers are lost, and lists are late, too.
    youtube.world().lag = Duration::from_secs(3);
    youtube.want("liveBroadcasts.insert", How::DoneAndCut, 1);
    youtube.want("liveBroadcasts.bind", How::DoneAndCut, 1);
    let first = schedule(&al, &stream, &in_seconds(3600), 60).await;
    for round in 0..12_u64 {
        tokio::time::sleep(Duration::from_millis(15 + 37 * round)).await;
        server.kill9();
        server.restart().await;
    }
    let al = server.api("al", PASSWORD).await;
    let one = |found: &[Value]| found.len() == 1 && found[0]["stage"] == "ready";
    let found = broadcasts_until(&al, "it is made", one).await;
    {
        let world = youtube.world();
        assert_eq!(world.broadcasts.len(), 1, "{:?}", world.calls);
        assert!(world.broadcasts.contains_key(found[0]["broadcast_id"].as_str().unwrap()));
        assert!(world.broadcasts.values().all(|one| !one.description().contains('[')), "the marker stays");
    }
    // And the same for what is taken away.
    al.delete(&format!("/api/v1/schedules/{first}")).await.expect(204);
    for round in 0..4_u64 {
        tokio::time::sleep(Duration::from_millis(10 + 23 * round)).await;
        server.kill9();
        server.restart().await;
    }
    youtube.until("it is deleted", Duration::from_secs(60), |world| world.broadcasts.is_empty()).await;
}

#[tokio::test]
async fn where_units_run_out_what_is_planned_comes_first_and_people_are_told() {
    let youtube = Youtube::start();
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    // Enough for one broadcast with its time on air, and not for a key besides.
    let server = server_with(&youtube, &[("JADWAL_YOUTUBE_DAILY_UNITS", "300")]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({})).await;
    // Right away, so that it is the same day in California.
    schedule(&al, &stream, &in_seconds(120), 60).await;
    broadcasts_until(&al, "it is ready", |found| found.len() == 1 && found[0]["stage"] == "ready").await;
    let refused = al.post(&format!("/api/v1/channels/{channel}/keys"), &json!({"title": "More"})).await.expect(502);
    assert!(refused.text().contains("kept for planned broadcasts"), "{}", refused.text());
    let quota = al.get(&format!("/api/v1/channels/{channel}/quota")).await.expect(200).json();
    assert!(quota["kept"].as_u64().unwrap() >= 100 && quota["limit"] == 300, "{quota}");
    // The platform's own word counts more than ours.
    youtube.world().limit = 0;
    let refused = al.post(&format!("/api/v1/channels/{channel}/keys/fetch"), &json!({})).await.expect(502);
    assert!(refused.text().contains("used up"), "{}", refused.text());
    assert_eq!(al.get(&format!("/api/v1/channels/{channel}/quota")).await.expect(200).json()["exhausted"], true);
    let before = youtube.world().calls.len();
    al.post(&format!("/api/v1/channels/{channel}/keys/fetch"), &json!({})).await.expect(502);
    assert_eq!(youtube.world().calls.len(), before, "it is not asked again");
}

#[tokio::test]
async fn what_only_a_person_can_mend_is_told_in_words_and_tried_again_when_they_say_so() {
    let youtube = Youtube::start();
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    youtube.world().not_live.insert("al".into(), "liveStreamingNotEnabled");
    let stream = stream_to(&al, "Rain", &key, json!({})).await;
    schedule(&al, &stream, &in_seconds(3600), 60).await;
    let found = broadcasts_until(&al, "it is told", |found| found.len() == 1 && !found[0]["trouble"].is_null()).await;
    assert!(found[0]["trouble"].as_str().unwrap().contains("youtube.com/features"), "{found:?}");
    assert!(!found[0]["next_try"].is_null());
    let before = youtube.done("liveBroadcasts.insert");
    youtube.world().not_live.clear();
    let id = found[0]["id"].as_str().unwrap();
    al.post(&format!("/api/v1/broadcasts/{id}/retry"), &json!({})).await.expect(200);
    broadcasts_until(&al, "it is ready", |found| found[0]["stage"] == "ready" && found[0]["trouble"].is_null()).await;
    assert_eq!(youtube.done("liveBroadcasts.insert"), before + 1);
}

#[tokio::test]
async fn a_broadcast_is_made_on_the_channel_whose_key_is_chosen_and_made_anew_where_it_is_wanted_again() {
    let youtube = Youtube::start();
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    youtube.world().put_stream("night", "Night", "sentinel-key-of-night", "rtmp://a.rtmp.youtube.com/live2");
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let (day, night) = (connect(&al, "al").await, connect(&al, "night").await);
    let (main, other) = (key_of(&al, &day, "Main").await, key_of(&al, &night, "Night").await);
    let stream = stream_to(&al, "Rain", &main, json!({})).await;
    schedule(&al, &stream, &in_seconds(3600), 60).await;
    broadcasts_until(&al, "it is ready", |found| found.len() == 1 && found[0]["stage"] == "ready").await;
    for (key, account, made) in [(&other, "night", 2), (&main, "al", 3)] {
        let change = json!({"targets": [{"platform": "youtube", "key_id": key}]});
        al.patch(&format!("/api/v1/streams/{stream}"), &change).await.expect(200);
        let moved = |found: &[Value]| {
            found.len() == made
                && found[0]["stage"] == "ready"
                && found[1..].iter().all(|one| one["stage"] == "removed")
        };
        broadcasts_until(&al, "it is on the other channel", moved).await;
        let world = youtube.world();
        let accounts: Vec<&str> = world.broadcasts.values().map(|one| one.account.as_str()).collect();
        assert_eq!(accounts, [account], "{:?}", world.calls);
    }
    assert_eq!(youtube.refused(), []);
}
