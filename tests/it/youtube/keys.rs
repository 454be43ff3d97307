//! Stream keys of channels: fetched, made, shown, deleted, and as a file of the old form.

use serde_json::{Value, json};

use super::{KEY, broadcasts_until, connect, in_seconds, key_of, schedule, server_with, stream_to};
use crate::streams::video;
use crate::support::server::PASSWORD;
use crate::support::youtube::{How, Youtube};
#[tokio::test]
async fn keys_are_fetched_page_by_page_made_shown_after_the_password_and_deleted() {
    let youtube = Youtube::start();
    for number in 0..61 {
        let title = format!("Key {number}");
        youtube.world().put_stream("al", &title, &format!("{KEY}-{number}"), "rtmp://a.rtmp.youtube.com/live2");
    }
    youtube.world().put_stream("bo", "Bo's", "sentinel-key-of-bo", "rtmp://a.rtmp.youtube.com/live2");
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let fetch = format!("/api/v1/channels/{channel}/keys/fetch");
    assert_eq!(al.post(&fetch, &json!({})).await.expect(200).json(), json!({"added": 61, "changed": 0, "gone": 0}));
    assert_eq!(al.post(&fetch, &json!({})).await.expect(200).json(), json!({"added": 0, "changed": 0, "gone": 0}));
    let listed = al.get(&format!("/api/v1/stream-keys?channel_id={channel}")).await.expect(200);
    assert!(!listed.text().contains(KEY), "a key is shown");
    assert_eq!(listed.json()["total"], 61);

    let made = al.post(&format!("/api/v1/channels/{channel}/keys"), &json!({"title": "For rain"})).await.expect(201);
    let id = made.json()["id"].as_str().unwrap().to_owned();
    assert!(!made.text().contains("sentinel-key"));
    for wrong in ["", "a <b>", &"x".repeat(129)] {
        al.post(&format!("/api/v1/channels/{channel}/keys"), &json!({"title": wrong})).await.expect(422);
    }
    let reveal = format!("/api/v1/stream-keys/{id}/reveal");
    al.post(&reveal, &json!({"password": "another one"})).await.expect(422);
    let shown = al.post(&reveal, &json!({"password": PASSWORD})).await.expect(200);
    assert!(shown.json()["key"].as_str().unwrap().ends_with("sentinel-key"), "{}", shown.text());
    assert_eq!(shown.header("cache-control"), "no-store");
    assert!(al.get("/api/v1/audit").await.expect(200).text().contains("stream-key.reveal"));

    // What a stream goes to stays.
    let stream = stream_to(&al, "Rain", &id, json!({})).await;
    al.delete(&format!("/api/v1/stream-keys/{id}")).await.expect(409);
    al.delete(&format!("/api/v1/streams/{stream}")).await;
    al.delete(&format!("/api/v1/stream-keys/{id}")).await.expect(204);
    assert_eq!(youtube.world().streams.len(), 62);
    youtube.world().streams.retain(|_, stream| stream.title != "Key 7");
    assert_eq!(al.post(&fetch, &json!({})).await.expect(200).json()["gone"], 1);

    let mapping = al.post("/api/v1/stream-keys/export", &json!({"password": PASSWORD})).await.expect(200).json();
    let of_file = mapping.as_object().unwrap().values().next().unwrap().as_object().unwrap();
    assert_eq!(of_file.len(), 60);
    assert!(of_file.values().all(|one| one["cdn"]["ingestionInfo"]["streamName"].as_str().unwrap().starts_with(KEY)));
    // Somebody else takes it in.
    server.user("cy").await;
    let cy = server.api("cy", PASSWORD).await;
    let taken = cy.post("/api/v1/stream-keys/import", &mapping).await.expect(200).json();
    assert_eq!((&taken["added"], &taken["changed"]), (&json!(60), &json!(0)));
    assert_eq!(cy.post("/api/v1/stream-keys/import", &mapping).await.expect(200).json()["added"], 0);
    for wrong in [json!([]), json!({"x.json": []}), json!({"x.json": {"a": {"title": "no key"}}})] {
        cy.post("/api/v1/stream-keys/import", &wrong).await.expect(422);
    }
    let quota = al.get(&format!("/api/v1/channels/{channel}/quota")).await.expect(200).json();
    assert_eq!(quota["used"].as_u64().unwrap(), youtube.world().units, "we count what the platform counts");
}

#[tokio::test]
async fn a_channel_that_is_connected_again_gets_its_keys_back_and_streams_go_on_with_them() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let stream = stream_to(&al, "Rain", &key, json!({})).await;
    al.delete(&format!("/api/v1/channels/{channel}")).await.expect(204);
    let again = connect(&al, "al").await;
    assert_ne!(again, channel);
    let keys = al.get("/api/v1/stream-keys").await.expect(200).json();
    assert_eq!((&keys["total"], &keys["items"][0]["id"]), (&json!(1), &json!(key)), "{keys}");
    assert_eq!(keys["items"][0]["channel_id"], again, "{keys}");
    let fetch = format!("/api/v1/channels/{again}/keys/fetch");
    assert_eq!(al.post(&fetch, &json!({})).await.expect(200).json(), json!({"added": 0, "changed": 0, "gone": 0}));
    schedule(&al, &stream, &in_seconds(3600), 60).await;
    broadcasts_until(&al, "it is ready", |found| found.iter().any(|one| one["stage"] == "ready")).await;
}

#[tokio::test]
async fn lists_that_lead_back_into_themselves_or_name_what_is_no_id_are_refused_and_twins_are_one() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let fetch = format!("/api/v1/channels/{channel}/keys/fetch");
    let one = |id: &str, key: &str| {
        json!({"id": id, "snippet": {"title": "Main"}, "cdn": {"ingestionInfo":
        {"streamName": key, "ingestionAddress": "rtmp://a.rtmp.youtube.com/live2"}}})
    };
    let page = json!({"items": [one("st-1", KEY)], "nextPageToken": "AGAIN"});
    youtube.want("liveStreams.list", How::Say(page), usize::MAX);
    al.post(&fetch, &json!({})).await.expect(502);
    assert_eq!(youtube.done("liveStreams.list"), 2);
    for id in ["", "../st", "a,b", &"x".repeat(129)] {
        youtube.world().wanted.clear();
        youtube.want("liveStreams.list", How::Say(json!({"items": [one(id, KEY)]})), 1);
        al.post(&fetch, &json!({})).await.expect(502);
    }
    assert_eq!(al.get("/api/v1/stream-keys").await.expect(200).json()["total"], 0);
    let twins = json!({"items": [one("st-1", KEY), one("st-1", "sentinel-key-of-its-twin"), one("st-1", KEY)]});
    for added in [1, 0] {
        youtube.want("liveStreams.list", How::Say(twins.clone()), 1);
        let fetched = al.post(&fetch, &json!({})).await.expect(200).json();
        assert_eq!(fetched, json!({"added": added, "changed": 0, "gone": 0}));
    }
    assert_eq!(al.get("/api/v1/stream-keys").await.expect(200).json()["total"], 1);
}

#[tokio::test]
async fn keys_of_channels_of_one_title_and_of_none_go_out_in_a_file_and_come_back_as_they_were() {
    let youtube = Youtube::start();
    let put = |account: &str, title: &str, key: &str| {
        youtube.world().put_stream(account, title, key, "rtmp://a.rtmp.youtube.com/live2");
    };
    put("al", "Main", "sentinel-key-1");
    put("bo", "Main", "sentinel-key-2");
    youtube.world().channel_title = Some("One / title".into());
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    for account in ["al", "bo"] {
        let channel = connect(&al, account).await;
        al.post(&format!("/api/v1/channels/{channel}/keys/fetch"), &json!({})).await.expect(200);
    }
    let export = async || {
        let answer = al.post("/api/v1/stream-keys/export", &json!({"password": PASSWORD})).await.expect(200);
        answer.json()
    };
    let keys = |mapping: &Value| {
        let channels = mapping.as_object().unwrap().values();
        let mut keys: Vec<String> = channels
            .flat_map(|streams| streams.as_object().unwrap().values())
            .map(|stream| stream["cdn"]["ingestionInfo"]["streamName"].as_str().unwrap().to_owned())
            .collect();
        keys.sort();
        keys
    };
    let first = export().await;
    assert_eq!(keys(&first), ["sentinel-key-1", "sentinel-key-2"], "{first:#}");
    assert_eq!(first.as_object().unwrap().len(), 2);
    let taken = al.post("/api/v1/stream-keys/import", &first).await.expect(200).json();
    assert_eq!((&taken["added"], &taken["changed"]), (&json!(0), &json!(0)), "{taken}");
    assert_eq!(export().await, first);
    // Those of channels that are gone stand together, and remember whose they were.
    let channels = al.get("/api/v1/channels").await.expect(200).json();
    for channel in channels["items"].as_array().unwrap() {
        al.delete(&format!("/api/v1/channels/{}", channel["id"].as_str().unwrap())).await.expect(204);
    }
    let loose = export().await;
    assert_eq!((keys(&loose).len(), loose.as_object().unwrap().len()), (2, 1), "{loose:#}");
    let taken = al.post("/api/v1/stream-keys/import", &loose).await.expect(200).json();
    assert_eq!((&taken["added"], &taken["changed"]), (&json!(0), &json!(0)), "{taken}");
    assert_eq!(export().await, loose);
    let again = connect(&al, "bo").await;
    let back = al.get(&format!("/api/v1/stream-keys?channel_id={again}")).await.expect(200).json();
    assert_eq!(back["total"], 1, "{back:#}");
    // Elsewhere they are the same keys.
    server.user("bo").await;
    let bo = server.api("bo", PASSWORD).await;
    bo.post("/api/v1/stream-keys/import", &first).await.expect(200);
    let there = bo.post("/api/v1/stream-keys/export", &json!({"password": PASSWORD})).await.expect(200).json();
    assert_eq!(keys(&there), keys(&first));
}

#[tokio::test]
async fn a_mapping_s_names_are_told_without_what_hides_in_them() {
    let youtube = Youtube::start();
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let mapping = json!({"rain\u{1b}[31m\u{202e}nosj.json": {"id\u{0}\u{2066}": {"title": "x"}}});
    let told = al.post("/api/v1/stream-keys/import", &mapping).await.expect(422).json().to_string();
    assert!(told.contains("rain[31mnosj.json / id"), "{told}");
    let hidden =
        |letter: char| letter.is_control() || ('\u{202a}'..='\u{202e}').contains(&letter) || letter == '\u{2066}';
    assert!(!told.replace("\\u2066", "\u{2066}").contains(hidden), "{told}");
}

#[tokio::test]
async fn a_target_is_a_kept_key_or_a_typed_one_and_never_both() {
    let youtube = Youtube::start();
    youtube.world().put_stream("al", "Main", KEY, "rtmp://a.rtmp.youtube.com/live2");
    let server = server_with(&youtube, &[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let channel = connect(&al, "al").await;
    let key = key_of(&al, &channel, "Main").await;
    let video = video(&al, 4).await;
    for target in [
        json!({"platform": "facebook", "key": "typed-key-1234", "key_id": key}),
        json!({"platform": "facebook", "key_id": key}),
        json!({"platform": "youtube", "key": "typed-key-1234", "key_id": key}),
    ] {
        let body = json!({"title": "Rain", "videos": [video], "targets": [target]});
        let told = al.post("/api/v1/streams", &body).await.expect(422).json();
        assert!(told.to_string().contains("targets.0.key_id"), "{told}");
        assert!(told.to_string().contains("not both"), "{told}");
    }
    let pages = server.login("al", PASSWORD).await;
    let fields = [
        ("title", "Rain"),
        ("videos", video.as_str()),
        ("order", "listed"),
        ("target1_platform", "facebook"),
        ("target1_key", "typed-key-1234"),
        ("target1_key_id", key.as_str()),
    ];
    let page = pages.form("/streams", &fields).await.expect(422).text();
    assert!(page.contains("not both"), "{page}");
    let body = json!({"title": "Rain", "videos": [video], "targets": [{"platform": "youtube", "key_id": key}]});
    al.post("/api/v1/streams", &body).await.expect(201);
}
