//! What is on air ends at another time: told on the stream's page, by the API, in the calendar or by the schedule. The
//! stream itself notices nothing, and a server that is killed in between tells it after the next start.

use std::os::unix::fs::symlink;
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde_json::{Value, json};

use crate::live::{ahead, encoders, plan, reaches, runs, since, state, until};
use crate::streams::{server, stream, video};
use crate::support::nginx::Platform;
use crate::support::server::{Client, PASSWORD, Server};

fn stop_of(state: &Value) -> Option<Timestamp> {
    state["stop_at"].as_str().map(|at| at.parse().unwrap())
}

/// Waits until the keeper itself says that it ends then.
async fn held(home: &std::path::Path, stop: Option<Timestamp>) {
    let mut last = String::new();
    for _ in 0..100 {
        let found = walkdir::WalkDir::new(home.join("data/al/runs")).into_iter().flatten();
        for file in found.filter(|entry| entry.file_name() == "status.json") {
            last = std::fs::read_to_string(file.path()).unwrap_or_default();
            let status: Value = serde_json::from_str(&last).unwrap_or_default();
            if status["state"] == "sending" && stop_of(&status) == stop {
                return;
            }
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    panic!("the keeper does not hold {stop:?}: {last}");
}

/// It is on air until shortly before this second, by this encoder, and off shortly after.
async fn ends_at((server, platform, key): (&Server, &Platform, &str), stop: Timestamp, encoder: &[i32]) {
    until(stop - Duration::from_millis(800)).await;
    assert!(platform.publisher(key).is_some(), "not before its stop time");
    assert_eq!(encoders(server, key), encoder, "the same encoder to the end");
    assert!(platform.departure(key, Duration::from_secs(5)).await);
    assert!(since(stop) < 1.0, "it ended {} s after its stop time", since(stop));
}

async fn only_run(api: &Client) -> Value {
    let all = runs(api).await;
    assert_eq!(all.len(), 1, "{all:?}");
    all[0].clone()
}

#[tokio::test]
async fn the_end_is_put_off_brought_forward_and_taken_away_while_it_is_on_air() {
    let key = "the-key-with-another-end";
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let id = stream(&al, "Rain", &video(&al, 4).await, &platform.rtmp_url("live"), key).await;
    let end = format!("/api/v1/streams/{id}/end");
    al.post(&end, &json!({"stop_after": 60})).await.expect(409);
    let first = ahead(6);
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({"stop_at": first.to_string()})).await.expect(202);
    platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    let encoder = encoders(&server, key);
    for (body, status) in [
        (json!({}), 422),
        (json!({"stop_at": "2020-01-01T00:00:00Z"}), 422),
        (json!({"stop_after": 0}), 422),
        (json!({"stop_after": 60, "stop_at": "2099-01-01T00:00:00Z"}), 422),
        (json!({"until": 1}), 400),
    ] {
        al.post(&end, &body).await.expect(status);
    }
    // None at all.
    let view = al.post(&end, &json!({"stop_at": null})).await.expect(200).json();
    assert_eq!(view["state"]["run_id"], only_run(&al).await["id"]);
    assert_eq!(view["state"]["stop_at"], Value::Null, "the answer knows it");
    held(server.home(), None).await;
    until(first + Duration::from_secs(4)).await;
    assert_eq!((encoders(&server, key), platform.publisher(key).is_some()), (encoder.clone(), true));
    assert_eq!(state(&al, &id).await["stop_at"], Value::Null);
    // By the page: in so many minutes, and then at a second that it shows.
    let page = server.login("al", PASSWORD).await;
    let html = page.get(&format!("/streams/{id}")).await.expect(200).text();
    assert!(html.contains("name=\"end\" value=\"none\" checked"), "it ends by no plan: {html}");
    let path = format!("/streams/{id}/end");
    page.form(&path, &[("end", "after"), ("stop_after", "3")]).await.expect(303);
    let later = stop_of(&state(&al, &id).await).unwrap();
    assert!((170.0..181.0).contains(&-since(later)), "{later}");
    let refused = page.form(&path, &[("end", "after"), ("stop_after", "")]).await.expect(422).text();
    assert!(refused.contains("id=\"f-stop_after-note\""), "{refused}");
    // Brought forward.
    let last = ahead(7);
    let local = TimeZone::get("Asia/Jakarta").unwrap().to_datetime(last).to_string();
    page.form(&path, &[("end", "at"), ("stop_at", &local)]).await.expect(303);
    let html = page.get(&format!("/streams/{id}")).await.expect(200).text();
    assert!(html.contains(&format!("action=\"{path}\"")));
    assert!(html.contains(" now ends ") && !html.contains("now goes on until"), "{html}");
    // The form begins with the end as it is.
    let shown = html.split("id=\"f-stop_at\"").nth(1).unwrap().split('>').next().unwrap();
    assert!(shown.contains(&format!("value=\"{}", &local[..16])), "{shown}");
    assert!(html.contains("name=\"end\" value=\"at\" checked"), "{html}");
    held(server.home(), Some(last)).await;
    ends_at((&server, &platform, key), last, &encoder).await;
    reaches(&al, &id, "ended").await;
    let run = only_run(&al).await;
    assert_eq!((&run["outcome"], &run["restarts"], &run["attempts"]), (&json!("completed"), &json!(0), &json!(1)));
    al.post(&end, &json!({"stop_at": null})).await.expect(409);
    assert_eq!(platform.connections().len(), 1);
    let log = al.get(&format!("/api/v1/streams/{id}/log")).await.expect(200).text();
    assert!(log.contains("ended as ordered") && !log.contains("exit status"), "{log}");
    let told = al.get("/api/v1/audit?limit=50").await.expect(200).text();
    assert_eq!(told.matches("run.change-end").count(), 3, "{told}");
}

/// A server on whose home nothing can tell a keeper its stop time: as if it were killed before it could.
fn mute(home: &std::path::Path) -> Vec<std::path::PathBuf> {
    let found = walkdir::WalkDir::new(home.join("data/al/runs")).into_iter().flatten();
    let keepers: Vec<_> = found.filter(|entry| entry.file_name() == "keeper.json").collect();
    let blocked = keepers.iter().map(|entry| {
        let path = entry.path().with_file_name("stop.json.new");
        symlink("/dev/full", &path).unwrap();
        path
    });
    let blocked: Vec<_> = blocked.collect();
    assert!(!blocked.is_empty());
    blocked
}

#[tokio::test]
async fn a_server_that_is_killed_before_it_tells_the_new_end_tells_it_after_the_start() {
    let key = "the-key-that-is-told-late";
    let platform = Platform::start();
    let mut server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let clip = video(&al, 4).await;
    let id = stream(&al, "Rain", &clip, &platform.rtmp_url("live"), key).await;
    let end = format!("/api/v1/streams/{id}/end");
    let first = ahead(9);
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({"stop_at": first.to_string()})).await.expect(202);
    platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    reaches(&al, &id, "sending").await;
    let encoder = encoders(&server, key);
    // Put off.
    let blocked = mute(server.home());
    let later = ahead(40);
    al.post(&end, &json!({"stop_at": later.to_string()})).await.expect(200);
    server.kill9();
    blocked.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    server.restart().await;
    held(server.home(), Some(later)).await;
    until(first + Duration::from_secs(3)).await;
    assert_eq!(
        (encoders(&server, key), platform.publisher(key).is_some()),
        (encoder.clone(), true),
        "past its first end"
    );
    // Brought forward, to before the server is back: it ends at once then, as planned.
    let al = server.api("al", PASSWORD).await;
    let blocked = mute(server.home());
    let sooner = ahead(2);
    al.post(&end, &json!({"stop_at": sooner.to_string()})).await.expect(200);
    server.kill9();
    blocked.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    until(sooner + Duration::from_secs(2)).await;
    assert_eq!(encoders(&server, key), encoder, "nobody told it");
    server.restart().await;
    assert!(platform.departure(key, Duration::from_secs(5)).await);
    let al = server.api("al", PASSWORD).await;
    reaches(&al, &id, "ended").await;
    let run = only_run(&al).await;
    assert_eq!((&run["outcome"], &run["attempts"]), (&json!("completed"), &json!(1)), "{run}");

    // Put off, and the old end comes while there is no server: the run goes on when there is one again.
    let first = ahead(7);
    al.post(&format!("/api/v1/streams/{id}/start"), &json!({"stop_at": first.to_string()})).await.expect(202);
    platform.arrival(key, Duration::from_secs(10)).await.expect("it arrives");
    let run = reaches(&al, &id, "sending").await["run_id"].clone();
    let blocked = mute(server.home());
    let later = ahead(17);
    al.post(&end, &json!({"stop_at": later.to_string()})).await.expect(200);
    server.kill9();
    blocked.iter().for_each(|path| std::fs::remove_file(path).unwrap());
    until(first).await;
    assert!(platform.departure(key, Duration::from_secs(5)).await);
    server.restart().await;
    platform.arrival(key, Duration::from_secs(10)).await.expect("it goes on");
    let al = server.api("al", PASSWORD).await;
    assert_eq!(reaches(&al, &id, "sending").await["run_id"], run);
    ends_at((&server, &platform, key), later, &encoders(&server, key)).await;
    reaches(&al, &id, "ended").await;
    let all = runs(&al).await;
    assert_eq!((all.len(), &all[0]["outcome"], &all[0]["restarts"]), (2, &json!("completed"), &json!(1)), "{all:?}");
    assert!(encoders(&server, key).is_empty());
}

#[tokio::test]
async fn an_occurrence_on_air_is_stretched_and_the_schedule_changes_its_end() {
    let key = "the-key-that-is-stretched";
    let platform = Platform::start();
    let server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let id = stream(&al, "Rain", &video(&al, 4).await, &platform.rtmp_url("live"), key).await;
    let at = ahead(3);
    let schedule = plan(&al, &id, at, 15).await;
    platform.arrival(key, Duration::from_secs(15)).await.expect("it arrives");
    let encoder = encoders(&server, key);
    until(at + Duration::from_secs(2)).await;
    let of = TimeZone::get("Asia/Jakarta").unwrap().to_datetime(at).to_string();
    let occurrence = format!("/api/v1/schedules/{schedule}/occurrences/{of}");
    // It is on air: only its own end may change, and not to before now.
    for (body, status) in [
        (json!({"starts_at": "2099-01-01T10:00"}), 409),
        (json!({"cancelled": true}), 409),
        (json!({"duration": 900, "reach": "all"}), 409),
        (json!({"duration": 1}), 422),
    ] {
        al.patch(&occurrence, &body).await.expect(status);
    }
    al.patch(&occurrence, &json!({"duration": 600, "starts_at": of})).await.expect(200);
    held(server.home(), Some(at + Duration::from_secs(600))).await;
    let shown = al.get(&occurrence).await.expect(200).json();
    assert_eq!(shown["ends_at"].as_str().unwrap().parse::<Timestamp>().unwrap(), at + Duration::from_secs(600));
    // By the schedule, which also may end it never.
    let path = format!("/api/v1/schedules/{schedule}");
    al.patch(&path, &json!({"duration": null})).await.expect(200);
    held(server.home(), None).await;
    // What would be over by now keeps its end.
    al.patch(&path, &json!({"duration": 1})).await.expect(200);
    al.patch(&path, &json!({"grace": 60})).await.expect(200);
    assert_eq!(state(&al, &id).await["stop_at"], Value::Null);
    let stop = ahead(5);
    let length = stop.duration_since(at).as_secs();
    al.patch(&path, &json!({"duration": length})).await.expect(200);
    held(server.home(), Some(stop)).await;
    ends_at((&server, &platform, key), stop, &encoder).await;
    reaches(&al, &id, "ended").await;
    let run = only_run(&al).await;
    assert_eq!((&run["outcome"], &run["restarts"], &run["attempts"]), (&json!("completed"), &json!(0), &json!(1)));
    // Over is over.
    al.patch(&occurrence, &json!({"duration": 900})).await.expect(409);
}
