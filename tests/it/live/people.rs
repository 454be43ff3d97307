//! Streams of users that go, of the demo, and as commands see them.

use std::time::Duration;

use serde_json::{Value, json};

use super::{ahead, encoders, plan, reaches, runs, state, until};
use crate::streams::{server, stream, video};
use crate::support::nginx::Platform;
use crate::support::server::{PASSWORD, Server};

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
