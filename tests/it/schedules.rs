//! Schedules: when a stream goes on air, by pages and by the API.

use std::time::Duration;

use serde_json::{Value, json};

use crate::html;
use crate::streams::{server, stream, video};
use crate::support::nginx::Platform;
use crate::support::server::{Answer, Client, PASSWORD};

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

/// What a browser would send of the form that a page shows, if nobody touched it.
fn untouched(page: &str) -> Vec<(String, String)> {
    let page = html::parse(page).unwrap();
    let form = page.iter().position(|element| element.get("id") == Some("schedule")).expect("the form is there");
    let mut sent = Vec::new();
    for (at, element) in page.iter().enumerate().filter(|(_, element)| element.within(form, &page)) {
        let Some(name) = element.get("name").filter(|name| *name != "csrf") else { continue };
        let value = element.get("value").unwrap_or("on");
        match (element.tag.as_str(), element.get("type")) {
            ("input", Some("radio" | "checkbox")) if element.get("checked").is_none() => {}
            ("input", _) => sent.push((name.to_owned(), value.to_owned())),
            ("select", _) => {
                let options: Vec<_> = page.iter().filter(|it| it.tag == "option" && it.within(at, &page)).collect();
                let chosen = options.iter().find(|option| option.get("selected").is_some()).or(options.first());
                sent.push((name.to_owned(), chosen.unwrap().get("value").unwrap().to_owned()));
            }
            _ => {}
        }
    }
    sent
}

async fn sent(page: &Client, path: &str, fields: &[(String, String)]) -> Answer {
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    page.form(path, &fields).await
}

/// What a schedule says, without what every change of it changes.
async fn said(api: &Client, id: &str) -> Value {
    let mut schedule = api.get(&format!("/api/v1/schedules/{id}")).await.expect(200).json();
    for name in ["version", "updated_at", "updated_by"] {
        schedule.as_object_mut().unwrap().remove(name);
    }
    schedule
}

#[tokio::test]
async fn every_kind_of_rule_is_chosen_in_the_form_and_nothing_is_lost_by_saving_it_again() {
    let server = server().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let stream = new_stream(&api, "key-one").await;
    let path = format!("/schedules/new?stream={stream}&at=2099-03-03T19:00");
    let fresh = untouched(&page.get(&path).await.expect(200).text());
    // 3 March 2099 is a Tuesday.
    for (chosen, expected) in [
        ("repeat=once", json!({"rule": null, "duration": 3600, "grace": 900})),
        ("repeat=daily&every=2&last=count&count=10", json!({"rule": "FREQ=DAILY;INTERVAL=2;COUNT=10"})),
        (
            "repeat=weekdays&last=until&until=2099-12-31",
            json!({"rule": "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20991231"}),
        ),
        ("repeat=weekly&every=2&days=TU&days=SA", json!({"rule": "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU,SA"})),
        ("repeat=monthly&month_by=day&month_day=last", json!({"rule": "FREQ=MONTHLY;BYMONTHDAY=-1"})),
        ("repeat=monthly&month_by=day&month_day=3", json!({"rule": "FREQ=MONTHLY;BYMONTHDAY=3"})),
        ("repeat=monthly&month_by=weekday&month_nth=1&month_weekday=TU", json!({"rule": "FREQ=MONTHLY;BYDAY=1TU"})),
        ("repeat=yearly&every=4", json!({"rule": "FREQ=YEARLY;INTERVAL=4"})),
        (
            "repeat=daily&times=07:30&times=12:00&skip_dates=2099-03-05&skip_dates=2099-12-25&grace=5",
            json!({"times": ["07:30:00", "12:00:00"], "skip_dates": ["2099-03-05", "2099-12-25"], "grace": 300}),
        ),
        ("repeat=daily&end=stop_at&stop_at=01:30", json!({"stop_at": "01:30:00", "duration": null})),
        ("repeat=once&end=stop_at&stop_at=21:00&stop_on=2099-03-07", json!({"stop_at": "2099-03-07T21:00:00"})),
        ("repeat=once&end=none", json!({"stop_at": null, "duration": null})),
    ] {
        let mut typed = fresh.clone();
        let chosen: Vec<(&str, &str)> = chosen.split('&').map(|field| field.split_once('=').unwrap()).collect();
        typed.retain(|(name, _)| chosen.iter().all(|(other, _)| other != name));
        typed.extend(chosen.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())));
        sent(&page, "/schedules", &typed).await.expect(303);
        let id = api.get("/api/v1/schedules").await.json()["items"][0]["id"].as_str().unwrap().to_owned();
        let made = said(&api, &id).await;
        for (name, value) in expected.as_object().unwrap() {
            assert_eq!(&made[name], value, "{chosen:?}: {made}");
        }
        let edit = page.get(&format!("/schedules/{id}/edit")).await.expect(200).text();
        sent(&page, &format!("/schedules/{id}"), &untouched(&edit)).await.expect(303);
        assert_eq!(said(&api, &id).await, made, "{chosen:?}");
        page.form(&format!("/schedules/{id}/delete"), &[]).await.expect(303);
    }
}

#[tokio::test]
async fn a_rule_that_no_choice_says_is_shown_and_kept_until_another_one_is_chosen() {
    let server = server().await;
    server.user("al").await;
    let (api, page) = (server.api("al", PASSWORD).await, server.login("al", PASSWORD).await);
    let stream = new_stream(&api, "key-one").await;
    let rule = "FREQ=MONTHLY;BYMONTHDAY=1,15;BYHOUR=9,21;UNTIL=20991231T235959";
    let body = json!({"stream_id": stream, "starts_at": "2099-03-01T09:00", "time_zone": "Asia/Jakarta", "rule": rule,
        "duration": 61, "grace": 20, "skip_dates": ["2099-04-15"], "paused": true});
    let id = api.post("/api/v1/schedules", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned();
    let of = format!("/api/v1/schedules/{id}/occurrences/2099-05-01T09:00:00");
    api.patch(&of, &json!({"starts_at": "2099-05-01T10:00:30", "duration": 90})).await.expect(200);
    let made = said(&api, &id).await;
    let path = format!("/schedules/{id}");
    let edit = page.get(&format!("{path}/edit")).await.expect(200).text();
    assert!(edit.contains(rule) && edit.contains("1 May 2099, 10:00"), "{edit}");
    let fields = untouched(&edit);
    assert!(fields.contains(&("repeat".into(), "custom".into())), "{fields:?}");
    sent(&page, &path, &fields).await.expect(303);
    assert_eq!(said(&api, &id).await, made);

    // What was typed is kept on an error, with the complaint beside its field, and the rule can still be kept.
    let mut wrong = untouched(&page.get(&format!("{path}/edit")).await.text());
    for (name, value) in &mut wrong {
        match name.as_str() {
            "starts_at" => *value = "2099-03-01T09:15".into(),
            "grace" => *value = "2000".into(),
            _ => {}
        }
    }
    let refused = sent(&page, &path, &wrong).await.expect(422).text();
    assert!(refused.contains("f-grace-note") && refused.contains(rule), "{refused}");
    let again = untouched(&refused);
    for kept in
        [("starts_at", "2099-03-01T09:15"), ("grace", "2000"), ("repeat", "custom"), ("skip_dates", "2099-04-15")]
    {
        assert!(again.contains(&(kept.0.into(), kept.1.into())), "{kept:?}: {again:?}");
    }
    assert_eq!(said(&api, &id).await, made);

    let mut chosen = again;
    for (name, value) in &mut chosen {
        match name.as_str() {
            "repeat" => *value = "weekly".into(),
            "grace" => *value = "10".into(),
            _ => {}
        }
    }
    sent(&page, &path, &chosen).await.expect(303);
    let changed = said(&api, &id).await;
    assert_eq!((&changed["rule"], &changed["paused"]), (&json!("FREQ=WEEKLY"), &json!(true)));
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
