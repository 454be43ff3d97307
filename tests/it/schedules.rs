//! Schedules: when a stream goes on air, by pages and by the API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::streams::{server, stream, video};
use crate::support::nginx::Platform;
use crate::support::server::{Client, PASSWORD};

const URL: &str = "rtmp://127.0.0.1/live";

async fn new_stream(api: &Client, key: &str) -> String {
    stream(api, "Rain", &video(api, 4).await, URL, key).await
}

#[tokio::test]
async fn a_schedule_is_made_found_changed_paused_and_deleted() {
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let stream = new_stream(&al, "key-one").await;
    let body = json!({"stream_id": stream, "starts_at": "2099-03-01T19:00", "time_zone": "Asia/Jakarta",
                      "rule": "FREQ=DAILY", "duration": 7200});
    let made = al.post("/api/v1/schedules", &body).await.expect(201);
    let schedule = made.json();
    let path = format!("/api/v1/schedules/{}", schedule["id"].as_str().unwrap());
    assert_eq!(made.header("location"), path);
    assert_eq!(schedule["starts_at"], "2099-03-01T19:00:00");
    assert_eq!((&schedule["time_zone"], &schedule["rule"]), (&json!("Asia/Jakarta"), &json!("FREQ=DAILY")));
    assert_eq!((&schedule["duration"], &schedule["stop_at"]), (&json!(7200), &Value::Null));
    assert_eq!((&schedule["grace"], &schedule["paused"]), (&json!(900), &json!(false)));
    assert_eq!(schedule["next_at"], "2099-03-01T12:00:00Z");

    let coming = al.get(&format!("{path}/occurrences?count=2")).await.expect(200).json();
    assert_eq!(coming["items"][1]["at"], "2099-03-02T12:00:00Z");
    assert_eq!(coming["items"][1]["ends_at"], "2099-03-02T14:00:00Z");
    al.get(&format!("{path}/occurrences?count=0")).await.expect(400);

    let paused = al.patch(&path, &json!({"paused": true})).await.expect(200).json();
    assert_eq!((&paused["paused"], &paused["next_at"]), (&json!(true), &Value::Null));
    let stale = al.request(reqwest::Method::PATCH, &path).header("if-match", made.header("etag"));
    al.send(stale.json(&json!({"paused": false}))).await.expect(412);
    let changed = al.patch(&path, &json!({"paused": false, "stop_at": "01:30", "rule": null})).await.expect(200).json();
    assert_eq!((&changed["duration"], &changed["stop_at"]), (&Value::Null, &json!("01:30:00")));
    assert_eq!((&changed["rule"], &changed["next_at"]), (&Value::Null, &json!("2099-03-01T12:00:00Z")));
    assert_eq!(al.get("/api/v1/schedules?q=rain&sort=next_at").await.json()["total"], 1);
    assert_eq!(al.get(&format!("/api/v1/schedules?stream_id={stream}&paused=false")).await.json()["total"], 1);
    assert_eq!(al.get(&format!("/api/v1/streams/{stream}")).await.json()["state"]["name"], "scheduled");

    server.user("bo").await;
    let bo = server.api("bo", PASSWORD).await;
    let made_up = bo.get("/api/v1/schedules/0199f0a2-7c1e-7a00-8000-00000000abcd").await.expect(404);
    assert_eq!(bo.get(&path).await.expect(404).body, made_up.body);
    bo.get(&format!("{path}/occurrences")).await.expect(404);
    bo.patch(&path, &json!({"paused": true})).await.expect(404);
    bo.post(&format!("{path}/run-now"), &json!({})).await.expect(404);
    bo.delete(&path).await.expect(404);
    let foreign = json!({"stream_id": stream, "starts_at": "2099-03-01T19:00"});
    assert_eq!(bo.post("/api/v1/schedules", &foreign).await.expect(422).json()["errors"][0]["field"], "stream_id");
    assert_eq!(bo.get("/api/v1/schedules").await.json()["total"], 0);

    al.delete(&path).await.expect(204);
    al.get(&path).await.expect(404);
}

#[tokio::test]
async fn what_makes_no_sense_is_said_field_by_field() {
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let stream = new_stream(&al, "key-one").await;
    for (change, field) in [
        (json!({"starts_at": "2099-03-01T19:00:00Z"}), "starts_at"),
        (json!({"starts_at": "2099-03-01T19:00+07:00"}), "starts_at"),
        (json!({"starts_at": "tomorrow"}), "starts_at"),
        (json!({"starts_at": "2001-03-01T19:00"}), "starts_at"),
        (json!({"time_zone": "Mars/Base"}), "time_zone"),
        (json!({"rule": "FREQ=SECONDLY"}), "rule"),
        (json!({"rule": "every day"}), "rule"),
        (json!({"rule": "FREQ=DAILY;UNTIL=20200101"}), "rule"),
        (json!({"duration": 0}), "duration"),
        (json!({"duration": 60, "stop_at": "21:00"}), "stop_at"),
        (json!({"stop_at": "25:00"}), "stop_at"),
        (json!({"skip_dates": ["1 March"]}), "skip_dates"),
        (json!({"stream_id": "0199f0a2-7c1e-7a00-8000-00000000abcd"}), "stream_id"),
    ] {
        let mut body = json!({"stream_id": stream, "starts_at": "2099-03-01T19:00", "time_zone": "Asia/Jakarta"});
        for (name, value) in change.as_object().unwrap() {
            body[name] = value.clone();
        }
        let refused = al.post("/api/v1/schedules", &body).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{change}: {refused}");
    }
    let offset = json!({"stream_id": stream, "starts_at": "2099-03-01T19:00+07:00"});
    let told = al.post("/api/v1/schedules", &offset).await.json()["errors"][0]["message"].to_string();
    assert!(told.contains("without an offset") && told.contains("time_zone"), "{told}");
    let unknown = json!({"stream_id": stream, "starts_at": "2099-03-01T19:00", "owner": "bo"});
    al.post("/api/v1/schedules", &unknown).await.expect(400);
    assert_eq!(al.get("/api/v1/schedules").await.json()["total"], 0);
}

#[tokio::test]
async fn two_schedules_do_not_book_one_key_at_one_time() {
    let server = server().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let (one, two) = (new_stream(&api, "same-key").await, new_stream(&api, "same-key").await);
    let soon = jiff::Timestamp::now().to_zoned(jiff::tz::TimeZone::get("Asia/Jakarta").unwrap());
    let day = soon.checked_add(jiff::Span::new().days(2)).unwrap().strftime("%Y-%m-%d").to_string();
    let first = json!({"stream_id": one, "starts_at": format!("{day}T19:00"), "duration": 3600});
    api.post("/api/v1/schedules", &first).await.expect(201);
    let second = json!({"stream_id": two, "starts_at": format!("{day}T19:30"), "duration": 3600});
    api.post("/api/v1/schedules", &second).await.expect(409);
    let starts = format!("{day}T19:30");
    let typed = [("stream_id", two.as_str()), ("starts_at", starts.as_str()), ("time_zone", "Asia/Jakarta")];
    let refused = page.form("/schedules", &typed).await.expect(409).text();
    assert!(refused.contains(&format!("value=\"{starts}\"")), "the form keeps what was typed");
    assert!(refused.contains("Rain"), "and says with whom it clashes");
    let later = json!({"stream_id": two, "starts_at": format!("{day}T20:00"), "duration": 3600});
    api.post("/api/v1/schedules", &later).await.expect(201);
}

#[tokio::test]
async fn the_form_shows_what_comes_and_says_what_is_wrong() {
    let server = server().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let stream = new_stream(&api, "key-one").await;
    let empty = page.get(&format!("/schedules/new?stream={stream}")).await.expect(200).text();
    assert!(empty.contains(&format!("<option value=\"{stream}\" selected>")), "{empty}");
    assert!(empty.contains("Asia/Jakarta"), "the zone of the settings is offered");

    let preview = page.get("/schedules/preview?starts_at=&time_zone=Asia/Jakarta").await.expect(200).text();
    assert!(preview.contains("Choose a date and a time"), "{preview}");
    // New York puts its clocks forward on 8 March 2099 and back on 1 November.
    let gap = "/schedules/preview?starts_at=2099-03-07T02:30&time_zone=America/New_York&repeat=daily&end=duration&duration=60";
    let preview = page.get(gap).await.expect(200).text();
    assert_eq!(preview.matches("<li>").count(), 5, "{preview}");
    assert!(preview.contains("put forward") && preview.contains("2099-03-08T14:30:00+07:00"), "{preview}");
    let fold = gap.replace("03-07T02:30", "10-31T01:30");
    let preview = page.get(&fold).await.expect(200).text();
    assert!(preview.contains("comes twice") && preview.contains("2099-11-01T12:30:00+07:00"), "{preview}");
    let wrong = page.get(&gap.replace("America/New_York", "Mars/Base")).await.expect(200).text();
    assert_eq!(wrong.matches("<li>").count(), 0, "{wrong}");

    let typed = [
        ("stream_id", stream.as_str()),
        ("starts_at", "2099-03-07T02:30"),
        ("time_zone", "Mars/Base"),
        ("repeat", "daily"),
        ("until", "2098-01-01"),
        ("end", "duration"),
        ("duration", "soon"),
        ("stop_at", ""),
    ];
    let refused = page.form("/schedules", &typed).await.expect(422).text();
    assert!(refused.contains("f-duration-note") && refused.contains("Mars/Base"), "{refused}");
    let mut better = typed;
    better[6].1 = "60";
    let refused = page.form("/schedules", &better).await.expect(422).text();
    assert!(refused.contains("f-time_zone-note"), "{refused}");
    better[2].1 = "America/New_York";
    let refused = page.form("/schedules", &better).await.expect(422).text();
    assert!(refused.contains("f-until-note"), "{refused}");
    better[4].1 = "2099-12-31";
    page.form("/schedules", &better).await.expect(303);
    let schedule = api.get("/api/v1/schedules").await.json()["items"][0].clone();
    assert_eq!(schedule["rule"], "FREQ=DAILY;UNTIL=20991231");
    assert_eq!(schedule["duration"], 3600);
    let id = schedule["id"].as_str().unwrap();
    let list = page.get("/schedules").await.expect(200).text();
    assert!(list.contains("Daily at 02:30, for 1 h") && list.contains("America/New_York"), "{list}");
    let edit = page.get(&format!("/schedules/{id}/edit")).await.expect(200).text();
    assert!(edit.contains("value=\"2099-03-07T02:30\"") && edit.contains("value=\"2099-12-31\""), "{edit}");

    page.form(&format!("/schedules/{id}/pause"), &[("back", "/schedules?q=ra")]).await.expect(303);
    assert_eq!(api.get(&format!("/api/v1/schedules/{id}")).await.json()["paused"], true);
    assert_eq!(page.get("/schedules?filter=paused").await.text().matches("row-item").count(), 1);
    page.form(&format!("/schedules/{id}/resume"), &[]).await.expect(303);
    page.form(&format!("/schedules/{id}/delete"), &[]).await.expect(303);
    assert_eq!(api.get("/api/v1/schedules").await.json()["total"], 0);
}

#[tokio::test]
async fn run_now_twice_is_one_run() {
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let stream = stream(&api, "Rain", &video(&api, 4).await, &platform.rtmp_url("live"), "run-now-key").await;
    let body = json!({"stream_id": stream, "starts_at": "2099-03-01T19:00", "duration": 600});
    let schedule = api.post("/api/v1/schedules", &body).await.expect(201).json();
    let id = schedule["id"].as_str().unwrap();
    let run = api.post(&format!("/api/v1/schedules/{id}/run-now"), &json!({})).await.expect(202);
    assert_eq!(run.json()["schedule_id"], json!(id));
    assert_eq!(run.json()["occurrence_at"], Value::Null);
    page.form(&format!("/schedules/{id}/run-now"), &[]).await.expect(409);
    // From a list one comes back to the list, which says why.
    let back = page.form(&format!("/schedules/{id}/run-now"), &[("back", "/schedules?q=rain")]).await.expect(303);
    assert_eq!(back.header("location"), "/schedules?q=rain");
    assert!(page.get("/schedules?q=rain").await.text().contains("flash-bad"));
    assert!(platform.arrival("run-now-key", Duration::from_secs(15)).await.is_some());
    assert_eq!(api.get("/api/v1/runs").await.json()["total"], 1);
    assert_eq!(api.get(run.header("location")).await.expect(200).json()["id"], run.json()["id"]);
    api.post(&format!("/api/v1/streams/{stream}/stop"), &json!({})).await.expect(202);
    assert!(platform.departure("run-now-key", Duration::from_secs(15)).await);
}
