//! Live streams: what is made, started, watched and stopped, by pages and by the API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::support::clip::clip;
use crate::support::events::Events;
use crate::support::nginx::Platform;
use crate::support::server::{Client, PASSWORD, Server};

/// A server that may send to this machine.
pub async fn server() -> Server {
    Server::start_with(&[("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true")], &["--no-demo"]).await
}

/// Uploads a clip of some seconds; its id.
pub async fn video(api: &Client, seconds: u32) -> String {
    let file = clip(seconds, 50, true, "320x180");
    let answer = api.upload("/api/v1/videos", &[("title", "Rain")], &[("rain.mp4", &file)]).await.expect(201);
    answer.json()["items"][0]["id"].as_str().unwrap().to_owned()
}

/// A stream of one video to a custom target; its id.
pub async fn stream(api: &Client, title: &str, video: &str, url: &str, key: &str) -> String {
    let body = json!({"title": title, "videos": [video], "loop": true,
                      "targets": [{"platform": "custom", "url": url, "key": key}]});
    let made = api.post("/api/v1/streams", &body).await.expect(201);
    assert!(!made.text().contains(key), "the key comes back: {}", made.text());
    made.json()["id"].as_str().unwrap().to_owned()
}

const URL: &str = "rtmp://127.0.0.1/live";

#[tokio::test]
async fn a_stream_is_made_found_changed_and_deleted() {
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = video(&al, 4).await;
    let body = json!({"title": " Rain on tin ", "videos": [video, video], "order": "shuffled", "loop": false,
                      "targets": [{"platform": "custom", "url": URL, "key": "abcd-efgh-ijkl-mnop"},
                                  {"platform": "youtube", "key": "yyyy-yyyy-yyyy-yyyy"}]});
    let made = al.post("/api/v1/streams", &body).await.expect(201);
    let location = made.header("location").to_owned();
    let stream = made.json();
    assert_eq!(location, format!("/api/v1/streams/{}", stream["id"].as_str().unwrap()));
    assert_eq!(stream["title"], "Rain on tin");
    assert_eq!((&stream["order"], &stream["loop"]), (&json!("shuffled"), &json!(false)));
    assert_eq!((&stream["owner"], &stream["created_by"]), (&json!("al"), &json!("al")));
    assert_eq!(stream["targets"][0]["url"], URL);
    assert_eq!(stream["targets"][0]["key_masked"], "****mnop");
    assert_eq!(stream["targets"][0].get("key"), None);
    assert_eq!(stream["targets"][1]["url"], Value::Null);
    assert_eq!(stream["state"]["name"], "idle");
    assert_eq!(made.header("etag"), format!("\"{}\"", stream["version"]));

    let listed = al.get("/api/v1/streams?q=TIN&sort=-title&limit=1").await.expect(200).json();
    assert_eq!((&listed["total"], &listed["next"]), (&json!(1), &Value::Null));
    assert_eq!(listed["items"][0]["id"], stream["id"]);
    assert_eq!(al.get("/api/v1/streams?q=snow").await.json()["total"], 0);
    assert_eq!(al.get("/api/v1/streams?state=idle").await.json()["total"], 1);
    assert_eq!(al.get("/api/v1/streams?on_air=true").await.json()["total"], 0);
    for bad in ["limit=0", "limit=201", "sort=key", "cursor=%F0", "state=asleep", "on_air=perhaps"] {
        al.get(&format!("/api/v1/streams?{bad}")).await.expect(400);
    }

    let changed = al.patch(&location, &json!({"title": "Rain, again"})).await.expect(200).json();
    assert_eq!((&changed["title"], &changed["order"]), (&json!("Rain, again"), &json!("shuffled")));
    assert_eq!(changed["targets"], stream["targets"]);
    let stale = al.request(reqwest::Method::PATCH, &location).header("if-match", made.header("etag"));
    al.send(stale.json(&json!({"title": "Too late"}))).await.expect(412);
    let fresh = al.get(&location).await.expect(200);
    let right = al.request(reqwest::Method::PATCH, &location).header("if-match", fresh.header("etag"));
    al.send(right.json(&json!({"loop": true}))).await.expect(200);

    for injected in
        [json!({"owner": "bo"}), json!({"id": stream["id"]}), json!({"state": "live"}), json!({"version": 1})]
    {
        al.patch(&location, &injected).await.expect(400);
    }
    al.delete(&location).await.expect(204);
    al.get(&location).await.expect(404);
    assert_eq!(al.get("/api/v1/streams").await.json()["total"], 0);
}

#[tokio::test]
async fn lists_come_in_pages_that_neither_skip_nor_repeat() {
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = video(&al, 4).await;
    for number in 0..7 {
        stream(&al, &format!("Stream {number}"), &video, URL, &format!("key-{number}")).await;
    }
    for sort in ["created_at", "-title"] {
        let (mut seen, mut cursor) = (vec![], String::new());
        loop {
            let page = al.get(&format!("/api/v1/streams?sort={sort}&limit=3&cursor={cursor}")).await.expect(200).json();
            assert_eq!(page["total"], 7);
            seen.extend(
                page["items"].as_array().unwrap().iter().map(|item| item["title"].as_str().unwrap().to_owned()),
            );
            match page["next"].as_str() {
                Some(next) => cursor = next.to_owned(),
                None => break,
            }
        }
        let mut expected: Vec<String> = (0..7).map(|number| format!("Stream {number}")).collect();
        if sort.starts_with('-') {
            expected.reverse();
        }
        assert_eq!(seen, expected, "{sort}");
    }
}

#[tokio::test]
async fn what_makes_no_sense_is_said_field_by_field() {
    let server = Server::start().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let video = video(&al, 4).await;
    let fields = |answer: Value| -> Vec<String> {
        let errors = answer["errors"].as_array().unwrap().iter();
        errors.map(|error| error["field"].as_str().unwrap().to_owned()).collect()
    };
    let bad = json!({"title": "", "videos": [], "targets": []});
    let refused = al.post("/api/v1/streams", &bad).await.expect(422).json();
    assert_eq!(fields(refused), ["title", "videos", "targets"]);
    let with = |target: Value| json!({"title": "x", "videos": [video], "targets": [target]});
    for (target, field) in [
        (json!({"platform": "custom", "key": "k"}), "targets.0.url"),
        (json!({"platform": "custom", "url": "rtmp://203.0.114.9/live?auth=secret", "key": "k"}), "targets.0.url"),
        (json!({"platform": "custom", "url": "rtmp://203.0.114.9/live%3Fauth=secret", "key": "k"}), "targets.0.url"),
        (json!({"platform": "custom", "url": "rtmp://203.0.114.9/live;secret", "key": "k"}), "targets.0.url"),
        (json!({"platform": "custom", "url": "http://example.com/live", "key": "k"}), "targets.0.url"),
        // Inner addresses are closed unless the admin opens them.
        (json!({"platform": "custom", "url": "rtmp://127.0.0.1/live", "key": "k"}), "targets.0.url"),
        (json!({"platform": "custom", "url": "rtmp://169.254.169.254/live", "key": "k"}), "targets.0.url"),
        (json!({"platform": "youtube"}), "targets.0.key"),
        (json!({"platform": "youtube", "key": "with spaces"}), "targets.0.key"),
    ] {
        let refused = al.post("/api/v1/streams", &with(target.clone())).await.expect(422).json();
        assert_eq!(fields(refused), [field], "{target}");
    }
    al.post("/api/v1/streams", &with(json!({"platform": "mars", "key": "k"}))).await.expect(400);
    let made_up = json!({"title": "x", "videos": ["0199f0a2-7c1e-7a00-8000-000000000001"],
                         "targets": [{"platform": "youtube", "key": "k"}]});
    assert_eq!(fields(al.post("/api/v1/streams", &made_up).await.expect(422).json()), ["videos"]);
    assert_eq!(al.get("/api/v1/streams").await.json()["total"], 0);
}

#[tokio::test]
async fn a_foreign_stream_is_not_found_by_any_way() {
    let server = server().await;
    server.user("al").await;
    server.user("bo").await;
    let al = server.api("al", PASSWORD).await;
    let id = stream(&al, "Mine", &video(&al, 4).await, URL, "al-secret-key").await;
    let (bo, bos_page) = (server.api("bo", PASSWORD).await, server.login("bo", PASSWORD).await);
    let made_up = "0199f0a2-7c1e-7a00-8000-00000000abcd";
    for path in ["", "/runs", "/log", "/events"] {
        let foreign = bo.get(&format!("/api/v1/streams/{id}{path}")).await.expect(404);
        let nobodys = bo.get(&format!("/api/v1/streams/{made_up}{path}")).await.expect(404);
        assert_eq!(foreign.body, nobodys.body, "{path}");
    }
    for path in ["", "/edit", "/events", "/frame.jpg"] {
        let foreign = bos_page.get(&format!("/streams/{id}{path}")).await.expect(404).text();
        let nobodys = bos_page.get(&format!("/streams/{made_up}{path}")).await.expect(404).text();
        assert_eq!(foreign.replace(&id, made_up), nobodys, "{path}");
    }
    bo.patch(&format!("/api/v1/streams/{id}"), &json!({"title": "Bo's"})).await.expect(404);
    bo.post(&format!("/api/v1/streams/{id}/start"), &json!({})).await.expect(404);
    bo.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await.expect(404);
    bo.delete(&format!("/api/v1/streams/{id}")).await.expect(404);
    for path in ["", "/start", "/stop", "/delete"] {
        bos_page.form(&format!("/streams/{id}{path}"), &[]).await.expect(404);
    }
    assert_eq!(bo.get("/api/v1/streams").await.json()["total"], 0);
    assert_eq!(al.get(&format!("/api/v1/streams/{id}")).await.json()["title"], "Mine");
    // A foreign video cannot be put on air either.
    let theirs = video(&al, 4).await;
    let body = json!({"title": "x", "videos": [theirs], "targets": [{"platform": "youtube", "key": "k"}]});
    assert_eq!(bo.post("/api/v1/streams", &body).await.expect(422).json()["errors"][0]["field"], "videos");
}

#[tokio::test]
async fn the_form_keeps_what_was_typed_but_never_shows_a_key() {
    let server = server().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let video = video(&api, 4).await;
    assert!(page.get("/streams/new").await.expect(200).text().contains(&video));

    let typed = [
        ("title", "Rain & <thunder>"),
        ("videos", ""),
        ("order", "shuffled"),
        ("target2_platform", "custom"),
        ("target2_url", "http://not.a.target/"),
        ("target2_key", "a-key-that-was-typed"),
    ];
    let refused = page.form("/streams", &typed).await.expect(422).text();
    assert!(refused.contains("Rain &amp; &lt;thunder&gt;"), "{refused}");
    assert!(refused.contains("http://not.a.target/"));
    assert!(refused.contains("f-videos-note") && refused.contains("f-target2_url-note"), "{refused}");
    assert!(!refused.contains("a-key-that-was-typed"));
    let key =
        refused.split("id=\"f-target2_key\"").nth(1).expect("the field of the key").split("</div>").next().unwrap();
    assert!(key.contains("aria-invalid") && key.contains("Type the key again"), "a dropped key is said: {key}");
    assert_eq!(refused.matches("Type the key again").count(), 1, "only where one was typed");

    let good = [
        ("title", "Rain"),
        ("videos", video.as_str()),
        ("videos", ""),
        ("loop", "on"),
        ("target1_platform", "custom"),
        ("target1_url", URL),
        ("target1_key", "one-long-stream-key-1"),
        ("target2_platform", "custom"),
        ("target2_url", URL),
        ("target2_key", "two-long-stream-key-2"),
    ];
    let made = page.form("/streams", &good).await.expect(303);
    let path = made.header("location").to_owned();
    for shown in [page.get(&path).await, page.get(&format!("{path}/edit")).await, page.get("/streams").await] {
        let shown = shown.expect(200).text();
        assert!(!shown.contains("long-stream-key"), "{shown}");
    }
    // The first target is taken out: the second one's key stays with the second one.
    let less = [
        ("title", "Rain"),
        ("videos", video.as_str()),
        ("loop", "on"),
        ("target1_platform", ""),
        ("target2_platform", "custom"),
        ("target2_url", URL),
        ("target2_key", ""),
    ];
    page.form(&path, &less).await.expect(303);
    let stream = api.get(&format!("/api/v1{path}")).await.expect(200).json();
    assert_eq!(stream["targets"].as_array().unwrap().len(), 1);
    assert_eq!(stream["targets"][0]["key_masked"], "****ey-2");
    // A new address needs its key again: a key is only sent where its owner sent it.
    let moved = [
        ("title", "Rain"),
        ("videos", video.as_str()),
        ("target1_platform", "custom"),
        ("target1_url", "rtmp://elsewhere.example.com/live"),
        ("target1_key", ""),
    ];
    let refused = page.form(&path, &moved).await.expect(422).text();
    assert!(refused.contains("f-target1_key-note"), "{refused}");
    let unknown = page.form(&path, &[("title", "x"), ("owner", "bo")]).await.expect(400);
    assert_eq!(unknown.status, 400);
}

#[tokio::test]
async fn a_stream_goes_on_air_is_watched_and_comes_off() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let key = "the-stream-key-of-al-1234";
    let id = stream(&api, "Rain", &video(&api, 4).await, &platform.rtmp_url("live"), key).await;
    let path = format!("/api/v1/streams/{id}");
    page.get(&format!("/streams/{id}/frame.jpg")).await.expect(404);

    let mut told = Events::open(&api, &format!("{path}/events")).await;
    assert_eq!(told.next(Duration::from_secs(2)).await.expect("a first event at once")["name"], "idle");
    let mut shown = Events::open(&page, &format!("/streams/{id}/events")).await;
    let first = shown.next(Duration::from_secs(2)).await.expect("a first event at once");
    assert!(first["shape"].is_string() && first["text"]["words"].is_string(), "{first}");

    let started = api.post(&format!("{path}/start"), &json!({"stop_after": 600})).await.expect(202).json();
    assert!(started["state"]["run_id"].is_string(), "{started}");
    api.post(&format!("{path}/start"), &json!({})).await.expect(409);
    page.form(&format!("/streams/{id}/start"), &[("end", "none")]).await.expect(409);
    api.delete(&path).await.expect(409);
    assert!(platform.arrival(key, Duration::from_secs(15)).await.is_some());
    let sending =
        told.until(Duration::from_secs(20), |state| state["name"] == "sending" && state["bitrate"] != 0).await;
    assert_eq!(sending["run_id"], started["state"]["run_id"]);
    let event =
        shown.until(Duration::from_secs(20), |event| event["text"]["words"].as_str().unwrap().contains("bit/s")).await;
    assert!(event["shape"] != first["shape"] && event["on_air"] == 1, "{event}");
    // The history's row of what is on air grows while one looks.
    let row = |figure: &str| format!("run/{}/{figure}", started["state"]["run_id"].as_str().unwrap());
    let sent = event["text"][row("bytes")].as_str().unwrap().to_owned();
    shown.until(Duration::from_secs(20), |event| event["text"][row("bytes")] != json!(sent)).await;
    assert!(event["text"][row("length")].is_string() && event["text"][row("restarts")] == "0", "{event}");
    assert!(page.get(&format!("/streams/{id}")).await.text().contains(&format!("data-live=\"{}\"", row("bytes"))));

    let html = page.get(&format!("/streams/{id}")).await.expect(200).text();
    assert!(html.contains("state-sending") && html.contains("/stop"), "{html}");
    let mut picture = page.get(&format!("/streams/{id}/frame.jpg")).await;
    for _ in 0..20 {
        if picture.status == 200 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(500)).await;
        picture = page.get(&format!("/streams/{id}/frame.jpg")).await;
    }
    let picture = picture.expect(200);
    assert_eq!((picture.header("content-type"), picture.header("cache-control")), ("image/jpeg", "no-store"));
    assert!(picture.body.starts_with(&[0xff, 0xd8]));
    let log = api.get(&format!("{path}/log?lines=1000")).await.expect(200).json();
    assert!(!log["lines"].as_array().unwrap().is_empty());
    for text in [log.to_string(), html, server.log(), api.get(&path).await.text(), event.to_string()] {
        assert!(!text.contains(key), "the key is told: {text}");
    }
    assert_eq!(api.get("/api/v1/streams?on_air=true").await.json()["total"], 1);
    let running = api.get("/api/v1/runs?outcome=running").await.expect(200).json();
    assert_eq!((&running["total"], &running["items"][0]["outcome"]), (&json!(1), &Value::Null));

    page.form(&format!("/streams/{id}/stop"), &[("back", "/streams?q=ra")]).await.expect(303);
    assert!(platform.departure(key, Duration::from_secs(15)).await);
    told.until(Duration::from_secs(20), |state| state["name"] == "ended").await;
    let runs = api.get(&format!("{path}/runs")).await.expect(200).json();
    let run = &runs["items"][0];
    assert_eq!((&runs["total"], &run["outcome"]), (&json!(1), &json!("stopped")));
    assert!(run["bytes"].as_u64().unwrap() > 10_000, "{run}");
    let one = api.get(&format!("/api/v1/runs/{}", run["id"].as_str().unwrap())).await.expect(200).json();
    assert_eq!(one["stream_id"], json!(id));
    let html = page.get(&format!("/history/{}", run["id"].as_str().unwrap())).await.expect(200).text();
    assert!(html.contains("Rain") && !html.contains(key));
    assert_eq!(page.get("/history?outcome=failed").await.expect(200).text().matches("row-link").count(), 0);
    assert_eq!(page.get("/history?outcome=stopped").await.expect(200).text().matches("row-link").count(), 1);

    server.user("bo").await;
    let bo = server.api("bo", PASSWORD).await;
    bo.get(&format!("/api/v1/runs/{}", run["id"].as_str().unwrap())).await.expect(404);
    assert_eq!(bo.get("/api/v1/runs").await.json()["total"], 0);

    api.delete(&path).await.expect(204);
    assert_eq!(told.next(Duration::from_secs(10)).await, None, "what is gone has nothing more to tell");
    assert_eq!(api.get("/api/v1/runs").await.json()["total"], 1, "the history stays");
    page.get(&format!("/history/{}", run["id"].as_str().unwrap())).await.expect(200);
}

#[tokio::test]
async fn an_end_that_makes_no_sense_is_refused() {
    let server = server().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let id = stream(&api, "Rain", &video(&api, 4).await, URL, "some-key").await;
    let path = format!("/api/v1/streams/{id}/start");
    for (body, field) in [
        (json!({"stop_after": 0}), "stop_after"),
        (json!({"stop_at": "2001-01-01T00:00:00Z"}), "stop_at"),
        (json!({"stop_at": "tomorrow"}), "stop_at"),
        (json!({"stop_after": 5, "stop_at": "2099-01-01T00:00:00Z"}), "stop_at"),
    ] {
        assert_eq!(api.post(&path, &body).await.expect(422).json()["errors"][0]["field"], field, "{body}");
    }
    api.post(&path, &json!({"stop_after": "5"})).await.expect(400);
    api.post(&path, &json!({"until": 5})).await.expect(400);
    for (typed, note) in [
        ([("end", "after"), ("stop_after", "soon")], "f-stop_after-note"),
        ([("end", "at"), ("stop_at", "")], "f-stop_at-note"),
        ([("end", "at"), ("stop_at", "2001-01-01T10:00")], "f-stop_at-note"),
    ] {
        let refused = page.form(&format!("/streams/{id}/start"), &typed).await.expect(422).text();
        assert!(refused.contains(note), "{typed:?}");
    }
    assert_eq!(api.get("/api/v1/runs").await.json()["total"], 0);
}
