//! Trouble with broadcasts is told outside the pages.

use std::time::Duration;

use serde_json::{Value, json};

use super::{KEY, broadcasts_until, connect, in_seconds, key_of, schedule, server_with, stream_to};
use crate::support::listener::{Heard, Listener, Reply};
use crate::support::server::PASSWORD;
use crate::support::youtube::{How, Youtube};

#[tokio::test]
async fn what_stands_in_a_broadcast_s_way_is_told_once_for_all_of_its_stream() {
    let youtube = Youtube::start();
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    let server = server_with(&youtube, &[("JADWAL_NOTICES_ALLOW_PRIVATE_TARGETS", "true")]).await;
    let hooks = Listener::start(|_, _| Reply::status(204));
    for user in ["al", "bo"] {
        server.user(user).await;
        let api = server.api(user, PASSWORD).await;
        let place =
            json!({"name": user, "via": "webhook", "url": hooks.url(&format!("/{user}")), "kinds": ["broadcast"]});
        api.post("/api/v1/notices/destinations", &place).await.expect(201);
    }
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let rain = stream_to(&al, "Rain", &key, json!({})).await;
    let snow = stream_to(&al, "Snow", &key, json!({})).await;
    // What goes away by itself in time is nobody's business.
    youtube.want("liveBroadcasts.insert", How::Refuse(503, "backendError"), 1);
    schedule(&al, &snow, &in_seconds(10_800), 60).await;
    broadcasts_until(&al, "the first one is there", |found| found.iter().any(|one| one["stage"] == "ready")).await;

    youtube.want("liveBroadcasts.insert", How::Refuse(403, "liveStreamingNotEnabled"), 1000);
    schedule(&al, &rain, &in_seconds(3600), 60).await;
    schedule(&al, &rain, &in_seconds(7200), 60).await;
    let both = |found: &[Value]| found.iter().filter(|one| !one["trouble"].is_null()).count() == 2;
    let found = broadcasts_until(&al, "both say so", both).await;
    let dashboard = server.login("al", PASSWORD).await.get("/").await.expect(200).text();
    assert!(dashboard.contains("youtube.com/features"), "what stands in the way stands on the dashboard: {dashboard}");
    let told = || -> Vec<Value> { hooks.heard().iter().map(Heard::json).collect() };
    let until = std::time::Instant::now() + Duration::from_secs(20);
    while told().is_empty() {
        assert!(std::time::Instant::now() < until, "nothing was told of {found:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    tokio::time::sleep(Duration::from_secs(3)).await;
    let all = told();
    assert_eq!(all.len(), 1, "{all:#?}");
    assert!(hooks.heard()[0].path == "/al" && all[0]["type"] == "broadcast.trouble", "{all:#?}");
    let data = &all[0]["data"];
    assert_eq!((&data["broadcast_title"], &data["stream_id"]), (&json!("Rain"), &json!(rain)), "{data}");
    assert_eq!(data["reason"], found.iter().find(|one| one["title"] == "Rain").unwrap()["trouble"], "{data}");
    assert!(data["text"].as_str().unwrap().contains("is in trouble") && !data.to_string().contains("sentinel"));
}
