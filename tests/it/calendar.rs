//! The calendar, and single occurrences: moved, lengthened, cancelled, by pages and by the API.

use serde_json::{Value, json};

use crate::streams::{server, stream, video};
use crate::support::server::{Client, PASSWORD, Server};

const URL: &str = "rtmp://127.0.0.1/live";

async fn planned(api: &Client, key: &str, body: &Value) -> String {
    let stream = stream(api, "Rain", &video(api, 4).await, URL, key).await;
    let mut body = body.clone();
    body["stream_id"] = json!(stream);
    api.post("/api/v1/schedules", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned()
}

fn daily() -> Value {
    json!({"starts_at": "2099-03-01T19:00", "time_zone": "Asia/Jakarta", "rule": "FREQ=DAILY", "duration": 7200})
}

const MARCH: &str = "/api/v1/calendar?from=2099-03-01T00:00:00%2B07:00&to=2099-03-08T00:00:00%2B07:00";

/// State and local time of what the calendar shows.
async fn shown(api: &Client, path: &str) -> Vec<String> {
    let calendar = api.get(path).await.expect(200).json();
    assert_eq!(calendar["more"], false);
    let told = |item: &Value| format!("{} {}", item["state"].as_str().unwrap(), item["local"].as_str().unwrap_or("-"));
    calendar["items"].as_array().unwrap().iter().map(told).collect()
}

#[tokio::test]
async fn one_occurrence_those_after_it_or_all_are_changed_by_the_api() {
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let id = planned(&al, "key-one", &daily()).await;
    let path = format!("/api/v1/schedules/{id}/occurrences");
    let one = al.get(&format!("{path}/2099-03-02T19:00:00")).await.expect(200);
    assert_eq!((&one.json()["of"], &one.json()["changed"]), (&json!("2099-03-02T19:00:00"), &json!(false)));

    // This one, an hour later; told in another zone it is the same instant.
    let later = json!({"starts_at": "2099-03-02T13:00", "time_zone": "UTC", "duration": 600});
    let changed = al.patch(&format!("{path}/2099-03-02T19:00:00"), &later).await.expect(200).json();
    let exception = &changed["exceptions"][0];
    assert_eq!(
        (&exception["of"], &exception["starts_at"]),
        (&json!("2099-03-02T19:00:00"), &json!("2099-03-02T20:00:00"))
    );
    assert_eq!((&exception["duration"], &exception["cancelled"]), (&json!(600), &json!(false)));
    al.patch(&format!("{path}/2099-03-03T19:00:00"), &json!({"cancelled": true})).await.expect(200);
    al.get(&format!("{path}/2099-03-03T19:00:00")).await.expect(404);
    assert_eq!(
        shown(&al, MARCH).await,
        [
            "planned 2099-03-01T19:00:00",
            "planned 2099-03-02T20:00:00",
            "cancelled 2099-03-03T19:00:00",
            "planned 2099-03-04T19:00:00",
            "planned 2099-03-05T19:00:00",
            "planned 2099-03-06T19:00:00",
            "planned 2099-03-07T19:00:00",
        ]
    );
    let items = al.get(MARCH).await.json()["items"].clone();
    assert_eq!((&items[1]["changed"], &items[1]["ends_at"]), (&json!(true), &json!("2099-03-02T13:10:00Z")));
    assert_eq!((&items[0]["schedule_id"], &items[0]["platforms"]), (&json!(id), &json!(["custom"])));

    // Those after it: another schedule carries on.
    let following = json!({"starts_at": "2099-03-05T08:00", "reach": "following"});
    let tail = al.patch(&format!("{path}/2099-03-05T19:00:00"), &following).await.expect(200).json();
    assert_ne!(tail["id"], json!(id));
    assert_eq!((&tail["starts_at"], &tail["duration"]), (&json!("2099-03-05T08:00:00"), &json!(7200)));
    let head = al.get(&format!("/api/v1/schedules/{id}")).await.json();
    assert_eq!(head["rule"], "FREQ=DAILY;UNTIL=20990304");
    al.get(&format!("{path}/2099-03-05T19:00:00")).await.expect(404);
    assert_eq!(
        shown(&al, MARCH).await[4..],
        ["planned 2099-03-05T08:00:00", "planned 2099-03-06T08:00:00", "planned 2099-03-07T08:00:00"]
    );

    // Put back, all, and gone.
    al.patch(&format!("{path}/2099-03-03T19:00:00"), &json!({"cancelled": false})).await.expect(200);
    let asked = json!({"starts_at": null, "duration": null});
    let whole = al.patch(&format!("{path}/2099-03-02T19:00:00"), &asked).await.expect(200).json();
    assert_eq!(whole["exceptions"], json!([]));
    let all = json!({"starts_at": "2099-03-02T18:00", "reach": "all"});
    let whole = al.patch(&format!("{path}/2099-03-02T19:00:00"), &all).await.expect(200).json();
    assert_eq!((&whole["id"], &whole["starts_at"]), (&json!(id), &json!("2099-03-01T18:00:00")));
    let gone = json!({"cancelled": true, "reach": "all"});
    al.patch(&format!("{path}/2099-03-02T18:00:00"), &gone).await.expect(204);
    al.get(&format!("/api/v1/schedules/{id}")).await.expect(404);
}

#[tokio::test]
async fn what_makes_no_sense_of_an_occurrence_is_said() {
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let id = planned(&al, "key-one", &daily()).await;
    let path = format!("/api/v1/schedules/{id}/occurrences/2099-03-02T19:00:00");
    for (body, field) in [
        (json!({"reach": "some"}), "reach"),
        (json!({"starts_at": "2099-03-02T19:00Z"}), "starts_at"),
        (json!({"starts_at": "2001-03-02T19:00"}), "starts_at"),
        (json!({"starts_at": "2099-03-02T19:00", "time_zone": "Mars/Base"}), "time_zone"),
        (json!({"duration": 0}), "duration"),
        (json!({"duration": 100_000, "reach": "all"}), "duration"),
    ] {
        let refused = al.patch(&path, &body).await.expect(422).json();
        assert_eq!(refused["errors"][0]["field"], field, "{body}: {refused}");
    }
    al.patch(&path, &json!({"owner": "bo"})).await.expect(400);
    for of in ["2099-03-02T19:30:00", "2099-03-02", "tomorrow", "9999-12-31T19:00:00", "%00"] {
        al.get(&path.replace("2099-03-02T19:00:00", of)).await.expect(404);
        al.patch(&path.replace("2099-03-02T19:00:00", of), &json!({"cancelled": true})).await.expect(404);
    }
    // Onto its neighbour, and onto another schedule of the same key.
    al.patch(&path, &json!({"starts_at": "2099-03-03T18:00"})).await.expect(409);
    let other = json!({"starts_at": "2099-03-02T09:00", "time_zone": "Asia/Jakarta", "duration": 3600});
    planned(&al, "key-one", &other).await;
    let refused = al.patch(&path, &json!({"starts_at": "2099-03-02T08:00"})).await.expect(409).text();
    assert!(refused.contains("Rain"), "{refused}");
    let stale = al.request(reqwest::Method::PATCH, &path).header("if-match", "\"1\"");
    al.send(stale.json(&json!({"cancelled": true}))).await.expect(412);
    for asked in [
        "from=2099-03-01T00:00:00Z&to=2099-03-01T00:00:00Z",
        "from=2099-03-01T00:00:00Z&to=2099-12-01T00:00:00Z",
        "from=2099-03-01&to=2099-03-02",
        "from=2099-03-01T00:00:00Z",
        "",
    ] {
        al.get(&format!("/api/v1/calendar?{asked}")).await.expect(400);
    }
}

#[tokio::test]
async fn the_page_lists_the_days_of_the_reader_s_zone_and_its_entries_say_the_same() {
    let server = server().await;
    server.user("al").await;
    let (al, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    // In Jakarta it is the morning after.
    let late =
        json!({"starts_at": "2099-03-01T19:00", "time_zone": "Europe/London", "rule": "FREQ=WEEKLY", "duration": 5400});
    let id = planned(&al, "key-one", &late).await;
    for (view, days, first) in
        [("day", 1, "2 Mar 2099"), ("week", 1, "2 Mar 2099"), ("month", 5, "1 Mar 2099"), ("list", 5, "1 Mar 2099")]
    {
        let shown = page.get(&format!("/schedules/calendar?view={view}&date=2099-03-02")).await.expect(200).text();
        assert_eq!(shown.matches("row-item").count(), days, "{view}: {shown}");
        assert!(shown.contains("02:00–03:30") && shown.contains(first), "{view}: {shown}");
        assert!(shown.contains(&format!("/schedules/{id}/occurrences/2099-03-01T19:00:00")), "{shown}");
    }
    let none = page.get("/schedules/calendar?view=day&date=2099-03-01").await.expect(200).text();
    assert!(none.contains("Nothing on these days"), "{none}");
    page.get("/schedules/calendar?view=sideways&date=never").await.expect(200);
    page.get("/schedules/calendar?view=day&date=9999-12-31").await.expect(400);

    let week = page.get("/schedules/calendar/entries?from=2099-03-01&to=2099-03-08").await.expect(200).json();
    let entry = &week["entries"][0];
    assert_eq!((&entry["start"], &entry["end"]), (&json!("2099-03-02T02:00:00"), &json!("2099-03-02T03:30:00")));
    assert_eq!(
        (&entry["state"], &entry["editable"], &entry["repeats"]),
        (&json!("planned"), &json!(true), &json!(true))
    );
    assert_eq!((&entry["seconds"], &entry["hue"], &entry["trouble"]), (&json!(5400), &json!(0), &Value::Null));
    for asked in ["", "from=2099-03-08&to=2099-03-01", "from=2099-03-01&to=2099-12-01", "from=soon&to=later"] {
        page.get(&format!("/schedules/calendar/entries?{asked}")).await.expect(400);
    }
}

#[tokio::test]
async fn an_occurrence_is_moved_cancelled_and_put_back_by_its_form() {
    let server = server().await;
    server.user("al").await;
    let (al, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let id = planned(&al, "key-one", &daily()).await;
    let path = format!("/schedules/{id}/occurrences/2099-03-02T19:00:00");
    let api = format!("/api/v1{path}");
    let shown = page.get(&path).await.expect(200).text();
    assert!(shown.contains("value=\"2099-03-02T19:00\"") && shown.contains("value=\"120\""), "{shown}");

    for (typed, field, kept) in [
        ([("starts_at", "noonish"), ("duration", "120"), ("reach", "this")], "starts_at", "value=\"120\""),
        ([("starts_at", "2099-03-02T20:30"), ("duration", "long"), ("reach", "all")], "duration", "2099-03-02T20:30"),
        ([("starts_at", "2099-03-02T20:30"), ("duration", "120"), ("reach", "some")], "reach", "2099-03-02T20:30"),
    ] {
        let refused = page.form(&path, &typed).await.expect(422).text();
        assert!(refused.contains(&format!("f-{field}-note")) && refused.contains(kept), "{field}: {refused}");
    }
    let onto = [("starts_at", "2099-03-03T18:30"), ("duration", "120"), ("reach", "this"), ("act", "save")];
    let refused = page.form(&path, &onto).await.expect(409).text();
    assert!(refused.contains("flash-bad") && refused.contains("2099-03-03T18:30"), "{refused}");

    let later = [("starts_at", "2099-03-02T20:30"), ("duration", "90.5"), ("reach", "this"), ("act", "save")];
    let done = page.form(&path, &later).await.expect(303);
    assert!(done.header("location").starts_with("/schedules/calendar"));
    let one = al.get(&api).await.expect(200).json();
    assert_eq!((&one["local"], &one["ends_at"]), (&json!("2099-03-02T20:30:00"), &json!("2099-03-02T15:00:30Z")));
    let edit = page.get(&format!("/schedules/{id}/edit")).await.expect(200).text();
    assert!(edit.contains("2 Mar 2099, 20:30"), "the schedule tells what was changed by hand: {edit}");
    page.form(&path, &[("reach", "this"), ("act", "cancel")]).await.expect(303);
    al.get(&api).await.expect(404);
    assert!(page.get(&path).await.expect(200).text().contains("Cancelled"));
    page.form(&path, &[("reach", "this"), ("act", "restore")]).await.expect(303);
    let one = al.get(&api).await.expect(200).json();
    assert_eq!((&one["local"], &one["changed"]), (&json!("2099-03-02T19:00:00"), &json!(false)));

    // A foreign one, one that is not there and one that is no time are all the same.
    server.user("bo").await;
    let bo = server.login("bo", PASSWORD).await;
    for path in [path.clone(), path.replace("T19:00:00", "T19:30:00"), path.replace("2099-03-02T19:00:00", "soon")] {
        bo.get(&path).await.expect(404);
        bo.form(&path, &[("reach", "all"), ("act", "cancel")]).await.expect(404);
    }
    page.get(&path).await.expect(200);
}

#[tokio::test]
async fn what_the_box_would_refuse_is_seen_before_its_time() {
    let environment = [("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true"), ("JADWAL_LIVE_MEMORY_MIB", "60")];
    let server = Server::start_with(&environment, &["--no-demo"]).await;
    server.user("al").await;
    let (al, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    planned(&al, "key-one", &daily()).await;
    let beside = json!({"starts_at": "2099-03-02T20:00", "time_zone": "Asia/Jakarta", "duration": 3600});
    let id = planned(&al, "key-two", &beside).await;
    let why = "At the same time as “Rain”: together 120 MiB, more memory than this server gives to streams";
    let month = page.get("/schedules/calendar?date=2099-03-02").await.expect(200).text();
    assert_eq!(month.matches(why).count(), 1, "{month}");
    assert!(month.contains("Will not go on air as planned"), "{month}");
    let one = page.get(&format!("/schedules/{id}/occurrences/2099-03-02T20:00:00")).await.expect(200).text();
    assert!(one.contains(why), "{one}");
    let edit = page.get(&format!("/schedules/{id}/edit")).await.expect(200).text();
    assert!(edit.contains(why), "{edit}");
    let asked = "/schedules/calendar/entries?from=2099-03-02&to=2099-03-03";
    let entries = page.get(asked).await.expect(200).json()["entries"].clone();
    assert_eq!((&entries[0]["trouble"], entries[1]["trouble"].as_str().is_some()), (&Value::Null, true), "{entries}");
}

#[tokio::test]
async fn the_demo_account_sees_the_calendar_and_changes_nothing() {
    let server = Server::start_with(&[], &[]).await;
    let mut demo = server.stranger();
    demo.form("/login/demo", &[]).await.expect(303);
    demo.read_csrf().await;
    let shown = demo.get("/schedules/calendar").await.expect(200).text();
    assert!(shown.contains("data-editable=\"no\""), "{shown}");
    let of = format!("{}/occurrences/2099-03-02T19:00:00", uuid::Uuid::nil());
    demo.form(&format!("/schedules/{of}"), &[("act", "cancel")]).await.expect(403);
    demo.patch(&format!("/api/v1/schedules/{of}"), &json!({"cancelled": true})).await.expect(403);
}
