//! The calendar, and single occurrences: moved, lengthened, cancelled, by pages and by the API.

use serde_json::{Value, json};

use crate::streams::{server, stream, video};
use crate::support::server::{Client, PASSWORD};

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
