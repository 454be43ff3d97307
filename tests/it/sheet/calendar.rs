//! The calendar that other programs read at a secret address.

use reqwest::Method;
use serde_json::{Value, json};

use super::{TARGET, al, other_program, take, upload};
use crate::streams::stream;
use crate::support::server::PASSWORD;

#[tokio::test]
async fn a_text_is_no_line_of_a_calendar() {
    let (server, al, video) = al().await;
    stream(&al, "Rain", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let ends = ["\r", "\r\n", "\n", "\u{2028}", "\u{2029}"].map(|end| format!("x{end}ATTACH:http://evil"));
    let file = format!("title,key,start,description\nRain,Rain,2031-01-04 10:00,\"{}\"\n", ends.join(" "));
    take(&al, &upload(&al, file).await).await;
    let made = al.post("/api/v1/feed", &json!({})).await.expect(201).json();
    let path = reqwest::Url::parse(made["url"].as_str().unwrap()).unwrap().path().to_owned();
    let text = server.stranger().get(&path).await.expect(200).text().replace("\r\n ", "");
    assert_eq!(text.matches("ATTACH").count(), 5, "{text}");
    let strange = |letter: char| matches!(letter, '\r' | '\n' | '\u{2028}' | '\u{2029}');
    assert!(text.split(strange).all(|line| !line.starts_with("ATTACH")), "{text}");
}

#[tokio::test]
async fn a_calendar_program_reads_what_is_planned_at_an_address_that_can_be_revoked() {
    let (server, al, video) = al().await;
    let stream = stream(&al, "Rain, on \"tin\"; and\\more", &video, TARGET, "aaaa-bbbb-cccc-dddd").await;
    let mut ids = Vec::new();
    for body in [
        json!({"stream_id": stream, "starts_at": "2031-01-06T04:30:00", "time_zone": "Asia/Jakarta", "rule": "FREQ=WEEKLY;BYDAY=MO,WE;UNTIL=20310331",
               "skip_dates": ["2031-01-08"], "duration": 1800}),
        json!({"stream_id": stream, "starts_at": "2031-06-01T22:00:00", "time_zone": "Europe/Berlin", "stop_at": "01:00"}),
        json!({"stream_id": stream, "starts_at": "2032-01-01T08:00:00", "time_zone": "Asia/Jakarta", "rule": "FREQ=DAILY;COUNT=4", "times": ["12:00"], "duration": 60}),
        json!({"stream_id": stream, "starts_at": "2033-01-01T08:00:00", "time_zone": "Asia/Jakarta", "duration": 60, "paused": true}),
    ] {
        ids.push(al.post("/api/v1/schedules", &body).await.expect(201).json()["id"].as_str().unwrap().to_owned());
    }
    let moved = format!("/api/v1/schedules/{}/occurrences/2031-01-13T04:30:00", ids[0]);
    al.patch(&moved, &json!({"starts_at": "2031-01-13T06:00:00"})).await.expect(200);
    assert_eq!(al.get("/api/v1/feed").await.expect(200).json(), json!({"made_at": null}));
    let made = al.post("/api/v1/feed", &json!({})).await.expect(201).json();
    let path = reqwest::Url::parse(made["url"].as_str().unwrap()).unwrap().path().to_owned();
    let stranger = server.stranger();
    let answer = stranger.get(&path).await.expect(200);
    assert_eq!(answer.header("content-type"), "text/calendar; charset=utf-8");
    assert!(answer.header("cache-control").starts_with("private"));
    let tag = answer.header("etag").to_owned();
    let again = stranger.send(stranger.request(Method::GET, &path).header("if-none-match", &tag)).await;
    assert_eq!(again.status, 304);
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("feed.ics");
    std::fs::write(&file, &answer.body).unwrap();
    let read: Value = serde_json::from_str(&other_program(&["calendar", file.to_str().unwrap()])).unwrap();
    let events = read["events"].as_array().unwrap();
    let of =
        |id: &str| events.iter().filter(|event| event["uid"].as_str().unwrap().starts_with(id)).collect::<Vec<_>>();
    let weekly = of(&ids[0]);
    assert_eq!(weekly.len(), 2, "{read}");
    assert_eq!(weekly[0]["summary"], "Rain, on \"tin\"; and\\more");
    assert_eq!((&weekly[0]["start"], &weekly[0]["seconds"]), (&json!("2031-01-06T04:30:00+07:00"), &json!(1800)));
    let rule = weekly[0]["rule"].as_str().unwrap();
    assert!(
        rule.contains("FREQ=WEEKLY") && rule.contains("BYDAY=MO,WE") && rule.contains("UNTIL=20310331T165959Z"),
        "{rule}"
    );
    assert_eq!(weekly[0]["exdates"], json!(["2031-01-08T04:30:00+07:00"]));
    assert_eq!(
        (&weekly[1]["of"], &weekly[1]["start"]),
        (&json!("2031-01-13T04:30:00+07:00"), &json!("2031-01-13T06:00:00+07:00"))
    );
    let night = of(&ids[1]);
    assert_eq!((&night[0]["start"], &night[0]["seconds"]), (&json!("2031-06-01T22:00:00+02:00"), &json!(3 * 3600)));
    assert_eq!(read["zones"], json!({"Asia/Jakarta": 25200.0, "Europe/Berlin": 7200.0}));
    let twice = of(&ids[2]);
    assert_eq!(twice.len(), 2);
    assert!(twice.iter().all(|event| event["rule"].as_str().unwrap().contains("UNTIL=20320102T050000Z")), "{read}");
    assert!(of(&ids[3]).is_empty());
    // A new address makes the old one void, and so does revoking.
    let second = al.post("/api/v1/feed", &json!({})).await.expect(201).json();
    let second = reqwest::Url::parse(second["url"].as_str().unwrap()).unwrap().path().to_owned();
    stranger.get(&path).await.expect(404);
    stranger.get(&second).await.expect(200);
    let token = second.trim_start_matches("/feeds/").trim_end_matches(".ics");
    assert!(!server.log().contains(token));
    al.delete("/api/v1/feed").await.expect(204);
    stranger.get(&second).await.expect(404);
    al.post("/api/v1/feed", &json!({})).await.expect(201);
    server.user_with("look", json!({"role": "demo", "tenant": "al"})).await;
    server.api("look", PASSWORD).await.post("/api/v1/feed", &json!({})).await.expect(403);
}
