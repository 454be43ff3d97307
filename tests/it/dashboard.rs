//! The first page, its events, and the box at a glance for operators.

use std::collections::BTreeSet;
use std::time::Duration;

use serde_json::json;

use crate::streams::{server, stream, video};
use crate::support::events::Events;
use crate::support::free_port;
use crate::support::nginx::Platform;
use crate::support::server::{ADMIN, PASSWORD, Server};

#[tokio::test]
async fn a_new_user_is_told_the_first_steps_and_an_operator_how_the_box_is() {
    let server = Server::start().await;
    server.user("al").await;
    let page = server.login("al", PASSWORD).await;
    let html = page.get("/").await.expect(200).text();
    assert!(html.contains("step-list") && html.contains("data-events=\"/events\""), "{html}");
    let mut events = Events::open(&page, "/events").await;
    let first = events.next(Duration::from_secs(2)).await.expect("a first event at once");
    assert!(html.contains(&format!("data-shape=\"{}\"", first["shape"].as_str().unwrap())), "{first}");
    assert_eq!(first["on_air"], 0);
    let admin = server.login("admin", ADMIN).await;
    let html = admin.get("/").await.expect(200).text();
    for key in ["disk", "memory", "cpu", "uplink"] {
        assert!(html.contains(&format!("box/{key}/words")), "{key}");
    }
    let mut events = Events::open(&admin, "/events").await;
    let first = events.next(Duration::from_secs(2)).await.expect("a first event at once");
    assert!(first["value"]["box/memory"].as_f64().unwrap() > 0.0, "{first}");
    assert!(["ok", "warn", "bad"].contains(&first["level"]["box/disk"].as_str().unwrap()));
    let lost = page.get("/nothing/here").await.expect(404).text();
    assert!(lost.contains("/logout"), "a page that is not there is still a page of theirs");
}

#[tokio::test]
async fn nobody_but_operators_learns_from_the_dashboard_what_others_send() {
    let platform = Platform::start();
    let server = server().await;
    for name in ["al", "bo"] {
        server.user(name).await;
    }
    let al = server.api("al", PASSWORD).await;
    let id = stream(&al, "Rain", &video(&al, 4).await, &platform.rtmp_url("live"), "a-key-nobody-sees").await;
    let (sender, other) = (server.login("al", PASSWORD).await, server.login("bo", PASSWORD).await);
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    let mut events = Events::open(&sender, "/events").await;
    let own = events.until(Duration::from_secs(20), |event| {
        event["text"]["box/sending/words"].as_str().is_some_and(|words| !words.starts_with("0 "))
    });
    own.await;
    let html = other.get("/").await.expect(200).text();
    let told = Events::open(&other, "/events").await.next(Duration::from_secs(2)).await.unwrap();
    assert_eq!(told["text"]["box/sending/words"], "0 kbit/s", "{told}");
    let keys: BTreeSet<&str> = told["text"].as_object().unwrap().keys().map(String::as_str).collect();
    let known = BTreeSet::from(["box/sending/words", "box/server/words", "on-air-count", "storage"]);
    assert_eq!(keys, known, "{told}");
    assert_eq!((&told["value"], &told["level"]), (&json!({"storage": 0.0}), &json!({"storage": "ok"})), "{told}");
    for key in ["box/disk", "box/memory", "box/cpu", "box/uplink"] {
        assert!(!html.contains(key), "{key}");
    }
    other.get("/api/v1/metrics").await.expect(403);
    al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await.expect(202);
}

#[tokio::test]
async fn the_third_step_is_done_by_a_schedule_or_a_start() {
    let server = server().await;
    server.user("al").await;
    let (al, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let url = format!("rtmp://127.0.0.1:{}/live", free_port());
    let id = stream(&al, "Rain", &video(&al, 4).await, &url, "nobody-is-there").await;
    assert!(page.get("/").await.text().contains("step-list"));
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(202);
    assert!(!page.get("/").await.text().contains("step-list"), "all three are done");
    al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await.expect(202);
}

#[tokio::test]
async fn a_stream_that_is_tried_again_is_not_said_to_be_on_air() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let (al, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let video = video(&al, 4).await;
    let nobody = format!("rtmp://127.0.0.1:{}/live", free_port());
    let well = stream(&al, "Rain", &video, &platform.rtmp_url("live"), "a-key-that-is-heard").await;
    let ill = stream(&al, "Wind", &video, &nobody, "a-key-for-nobody").await;
    let mut events = Events::open(&page, "/events").await;
    let count = |event: &serde_json::Value| event["text"]["on-air-count"].as_str().unwrap_or_default().to_owned();
    al.post(&format!("/api/v1/streams/{ill}/start"), &json!({})).await.expect(202);
    let told = events.until(Duration::from_secs(20), |event| count(event) == "1 retrying").await;
    assert_eq!((&told["on_air"], &told["retrying"]), (&json!(0), &json!(1)), "{told}");
    al.post(&format!("/api/v1/streams/{well}/start"), &json!({})).await.expect(202);
    events.until(Duration::from_secs(20), |event| count(event) == "1 on air, 1 retrying").await;
    let html = page.get("/videos").await.expect(200).text();
    assert!(html.contains("onair-on") || html.contains("onair-retrying"), "{html}");
    for id in [well, ill] {
        al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await.expect(202);
    }
}

#[tokio::test]
async fn events_end_with_the_login() {
    let server = Server::start().await;
    server.user("al").await;
    let page = server.login("al", PASSWORD).await;
    let mut events = Events::open(&page, "/events").await;
    page.form("/logout", &[]).await.expect(303);
    assert!(events.ends(Duration::from_secs(2)).await, "a logout ends them");

    let page = server.login("al", PASSWORD).await;
    let mut events = Events::open(&page, "/events").await;
    let admin = server.api("admin", ADMIN).await;
    admin.patch("/api/v1/users/al", &json!({"disabled": true})).await.expect(200);
    assert!(events.ends(Duration::from_secs(1)).await, "a disabled user is out within a second");
    server.stranger().get("/api/v1/streams/0199f0a2-7c1e-7a00-8000-00000000abcd/events").await.expect(401);
}

#[tokio::test]
async fn a_user_has_so_many_connections_and_a_stopping_server_waits_for_none() {
    let mut server = Server::start().await;
    let page = server.login("admin", ADMIN).await;
    let mut open = vec![];
    for _ in 0..20 {
        open.push(Events::open(&page, "/events").await);
    }
    let refused = page.get("/events").await.expect(429);
    assert!(!refused.header("retry-after").is_empty());
    page.get("/").await.expect(200);
    let began = std::time::Instant::now();
    assert_eq!(server.stop().await, 0);
    assert!(began.elapsed() < Duration::from_secs(4), "{:?}", began.elapsed());
}

#[tokio::test]
async fn operators_see_the_box_and_others_do_not() {
    let server = Server::start().await;
    server.user("al").await;
    let (al, admin) = (server.api("al", PASSWORD).await, server.api("admin", ADMIN).await);
    al.get("/api/v1/status").await.expect(403);
    al.post("/api/v1/stop", &json!({"all": true})).await.expect(403);
    let id = stream(&al, "Rain", &video(&al, 4).await, "rtmp://live.example.com/app", "als-secret").await;
    let body = json!({"stream_id": id, "starts_at": "2099-03-01T19:00", "time_zone": "Asia/Jakarta"});
    al.post("/api/v1/schedules", &body).await.expect(201);
    let mut status = admin.get("/api/v1/status").await.expect(200).json();
    // What comes next is a projection, written a moment after the library.
    for _ in 0..40 {
        if status["next"].as_array().is_some_and(|next| !next.is_empty()) {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        status = admin.get("/api/v1/status").await.expect(200).json();
    }
    assert_eq!((&status["next"][0]["tenant"], &status["next"][0]["title"]), (&json!("al"), &json!("Rain")), "{status}");
    assert_eq!(status["on_air"], json!([]));
    assert!(status["disk"]["total"].as_u64().unwrap() > status["disk"]["used"].as_u64().unwrap());
    assert_eq!(status["uplink"], json!({"used": 0, "total": 100_000_000}));
    assert!(!status.to_string().contains("als-secret"));
    admin.post("/api/v1/stop", &json!({"stream": id})).await.expect(404);
    admin.post("/api/v1/stop", &json!({})).await.expect(422);
    admin.post("/api/v1/stop", &json!({"everything": true})).await.expect(400);
    assert_eq!(admin.post("/api/v1/stop", &json!({"all": true})).await.expect(200).json(), json!({"stopped": 0}));
}

#[tokio::test]
async fn a_demo_user_opens_every_form_and_can_do_nothing() {
    let server = Server::start_with(&[], &[]).await;
    let mut demo = server.stranger();
    demo.form("/login/demo", &[]).await.expect(303);
    demo.read_csrf().await;
    for path in ["/", "/streams", "/streams/new", "/schedules", "/schedules/new", "/history"] {
        let html = demo.get(path).await.expect(200).text();
        assert!(html.contains("demo-note"), "{path}");
    }
    let id = "0199f0a2-7c1e-7a00-8000-00000000abcd";
    for path in ["/streams", "/schedules"] {
        demo.form(path, &[]).await.expect(403);
        demo.form(&format!("{path}/{id}"), &[]).await.expect(403);
        demo.form(&format!("{path}/{id}/delete"), &[]).await.expect(403);
        demo.post(&format!("/api/v1{path}"), &json!({})).await.expect(403);
        demo.patch(&format!("/api/v1{path}/{id}"), &json!({})).await.expect(403);
        demo.delete(&format!("/api/v1{path}/{id}")).await.expect(403);
    }
    for path in ["streams/{id}/start", "streams/{id}/stop", "schedules/{id}/pause", "schedules/{id}/run-now"] {
        demo.form(&format!("/{}", path.replace("{id}", id)), &[]).await.expect(403);
    }
    demo.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(403);
    let mut events = Events::open(&demo, "/events").await;
    assert!(events.next(Duration::from_secs(2)).await.is_some());
}
