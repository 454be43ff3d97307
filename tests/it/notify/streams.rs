//! What is told of real streams, and of the disk.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::{BotApi, TOKEN, make, server_with, verify};
use crate::streams::{stream, video};
use crate::support::listener::{Heard, Listener, Reply};
use crate::support::nginx::Platform;
use crate::support::server::{ADMIN, Client, PASSWORD};

/// A place that hears by both ways, and knows how often it was told what.
struct Both {
    bots: BotApi,
    hooks: Listener,
    secret: Mutex<String>,
}

impl Both {
    fn counts(&self) -> BTreeMap<String, usize> {
        let mut counts = BTreeMap::new();
        for heard in self.hooks.heard() {
            assert!(verify(&self.secret.lock(), &heard));
            *counts.entry(heard.json()["type"].as_str().unwrap().to_owned()).or_default() += 1;
        }
        counts
    }

    /// Waits until a type was heard so often.
    async fn hears(&self, event: &str, count: usize, patience: u64) -> Value {
        let deadline = std::time::Instant::now() + Duration::from_secs(patience);
        loop {
            let all: Vec<Value> = self.hooks.heard().iter().map(Heard::json).collect();
            let found: Vec<&Value> = all.iter().filter(|body| body["type"] == event).collect();
            if found.len() >= count {
                return found[count - 1].clone();
            }
            assert!(std::time::Instant::now() < deadline, "{event} is awaited: {:?} {all:?}", self.counts());
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// Until nothing waits to be sent.
async fn handed_over(api: &Client) {
    for _ in 0..200 {
        let all = api.get("/api/v1/notices/destinations").await.expect(200).json();
        if all["items"].as_array().unwrap().iter().all(|item| item["delivery"]["waiting"] == 0) {
            return;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("something waits to be sent");
}

#[tokio::test]
async fn a_real_stream_is_told_from_before_its_start_to_its_end_once_each_whoever_is_killed() {
    let mut platform = Platform::start();
    let both =
        Both { bots: BotApi::start(42), hooks: Listener::start(|_, _| Reply::status(200)), secret: Mutex::default() };
    let base = both.bots.listener.url("");
    let mut server = server_with(&[("JADWAL_NOTICES_TELEGRAM_URL", &base)]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    al.patch("/api/v1/auth/me", &json!({"locale": "id", "time_zone": "Asia/Jakarta"})).await.expect(204);
    let hook = make(&al, json!({"via": "webhook", "url": both.hooks.url("/")})).await;
    *both.secret.lock() = hook["secret"].as_str().unwrap().to_owned();
    make(&al, json!({"via": "telegram", "token": TOKEN, "chat_id": "42"})).await;
    let id = stream(&al, "Hujan", &video(&al, 4).await, &platform.rtmp_url("live"), "a-key-that-is-told").await;
    let at = Timestamp::from_second(Timestamp::now().as_second() + 20).unwrap();
    let local = TimeZone::get("Asia/Jakarta").unwrap().to_datetime(at);
    let plan = json!({"stream_id": id, "starts_at": local.to_string(), "time_zone": "Asia/Jakarta", "duration": 170});
    let schedule = al.post("/api/v1/schedules", &plan).await.expect(201).json()["id"].clone();
    let soon = both.hears("stream.starts_soon", 1, 12).await;
    assert_eq!((&soon["data"]["schedule_id"], &soon["data"]["stream_id"]), (&schedule, &json!(id)));
    assert_eq!(soon["data"]["occurrence_at"].as_str().unwrap().parse::<Timestamp>().unwrap(), at);
    assert!(Timestamp::now() < at, "soon is before");
    // What was handed over and not yet noted as such is said once more after a crash, rather than never.
    handed_over(&al).await;
    server.kill9();
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    let started = both.hears("stream.started", 1, 40).await;
    assert!(platform.publisher("a-key-that-is-told").is_some());
    assert_eq!(started["data"]["occurrence_at"], soon["data"]["occurrence_at"]);
    // Off for more than a minute, with the server killed after it was told.
    platform.kill_sink();
    let trouble = both.hears("stream.retrying", 1, 100).await;
    assert_eq!(trouble["data"]["platform"], "custom");
    assert!(trouble["data"]["reason"].as_str().unwrap().contains("127.0.0.1"), "{trouble}");
    // What was handed over and not yet noted as such is said once more after a crash, rather than never.
    handed_over(&al).await;
    server.kill9();
    server.restart().await;
    let al = server.api("al", PASSWORD).await;
    tokio::time::sleep(Duration::from_secs(4)).await;
    assert!(platform.revive());
    let back = both.hears("stream.back", 1, 100).await;
    assert_eq!(back["data"]["trouble_since"], trouble["data"]["trouble_since"]);
    // What was handed over and not yet noted as such is said once more after a crash, rather than never.
    handed_over(&al).await;
    server.kill9();
    server.restart().await;
    let ended = both.hears("stream.ended", 1, 200).await;
    assert_eq!(
        (&ended["data"]["outcome"], &ended["data"]["run_id"]),
        (&json!("completed"), &started["data"]["run_id"])
    );
    tokio::time::sleep(Duration::from_secs(4)).await;
    let each = ["stream.starts_soon", "stream.started", "stream.retrying", "stream.back", "stream.ended"];
    assert_eq!(both.counts(), each.map(|event| (event.to_owned(), 1)).into());
    let texts = both.bots.texts();
    let begins = [
        "“Hujan” mengudara ",
        "“Hujan” mengudara sejak",
        "Sudah 1 mnt",
        "“Hujan” kembali sampai ke",
        "“Hujan” berakhir",
    ];
    assert_eq!(texts.len(), begins.len(), "{texts:?}");
    for (text, begin) in texts.iter().zip(begins) {
        assert!(text.starts_with(begin), "{begin}: {texts:?}");
    }
    assert!(texts[0].contains("WIB"), "{texts:?}");
    drop(al);
}

#[tokio::test]
async fn what_fails_and_what_is_missed_is_told_with_its_reason() {
    let hooks = Listener::start(|_, _| Reply::status(200));
    let platform = Platform::start();
    let mut server = server_with(&[]).await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    make(&al, json!({"via": "webhook", "url": hooks.url("/"), "kinds": ["failed", "missed", "started", "ended"]}))
        .await;
    // The file of the second one is gone.
    let (clip, lost) = (video(&al, 4).await, video(&al, 5).await);
    std::fs::remove_file(server.home().join(format!("videos/al/{lost}.mp4"))).unwrap();
    let ids = [
        stream(&al, "First", &clip, &platform.rtmp_url("live"), "the-first-key").await,
        stream(&al, "Second", &lost, &platform.rtmp_url("live"), "the-second-key").await,
    ];
    al.post(&format!("/api/v1/streams/{}/start", ids[0]), &json!({})).await.expect(202);
    hooks.hears(1, Duration::from_secs(20)).await;
    al.post(&format!("/api/v1/streams/{}/start", ids[1]), &json!({})).await.expect(202);
    crate::live::reaches(&al, &ids[1], "failed").await;
    let heard = hooks.hears(2, Duration::from_secs(20)).await;
    assert_eq!(
        (&heard[0].json()["type"], &heard[0].json()["data"]["stream_title"]),
        (&json!("stream.started"), &json!("First"))
    );
    let failed = heard[1].json();
    assert_eq!((&failed["type"], &failed["data"]["stream_title"]), (&json!("stream.failed"), &json!("Second")));
    assert!(failed["data"]["reason"].as_str().unwrap().contains("is gone"), "{failed}");
    // Planned for while nobody is there; two in a row are one notice.
    let third = stream(&al, "Third", &clip, &platform.rtmp_url("live"), "another-key").await;
    let at = Timestamp::from_second(Timestamp::now().as_second() + 8).unwrap();
    let local = TimeZone::UTC.to_datetime(at);
    let plan =
        json!({"stream_id": third, "starts_at": local.to_string(), "time_zone": "UTC", "duration": 2, "grace": 0});
    al.post("/api/v1/schedules", &plan).await.expect(201);
    server.kill9();
    tokio::time::sleep(Duration::from_secs(12)).await;
    server.restart().await;
    let missed = hooks.hears(3, Duration::from_secs(30)).await[2].json();
    assert_eq!((&missed["type"], &missed["data"]["stream_title"]), (&json!("stream.missed"), &json!("Third")));
    assert_eq!((&missed["data"]["count"], missed["data"]["reason"].is_string()), (&json!(1), true), "{missed}");
    tokio::time::sleep(Duration::from_secs(3)).await;
    assert_eq!(hooks.heard().len(), 3);
}

#[tokio::test]
async fn operators_are_told_of_a_full_disk_once_a_day() {
    let count = Arc::new(AtomicUsize::new(0));
    let counted = count.clone();
    let hooks = Listener::start(move |_, _| {
        counted.fetch_add(1, Ordering::SeqCst);
        Reply::status(200)
    });
    // No disk has an exbibyte free.
    let mut server = server_with(&[("JADWAL_NOTICES_DISK_LOW_MIB", "1099511627776")]).await;
    server.user("al").await;
    let (admin, al) = (server.api("admin", ADMIN).await, server.api("al", PASSWORD).await);
    make(&al, json!({"via": "webhook", "url": hooks.url("/al")})).await;
    make(&admin, json!({"via": "webhook", "url": hooks.url("/admin"), "kinds": ["disk_low"]})).await;
    let told = hooks.hears(1, Duration::from_secs(60)).await.remove(0);
    assert_eq!((told.path.as_str(), &told.json()["type"]), ("/admin", &json!("disk.low")));
    assert!(told.json()["data"]["free_bytes"].is_u64() && told.json()["data"]["total_bytes"].is_u64());
    // Killed before it is noted as handed over, it would be said again, as notices are.
    tokio::time::sleep(Duration::from_secs(3)).await;
    server.kill9();
    server.restart().await;
    tokio::time::sleep(Duration::from_secs(30)).await;
    assert_eq!(count.load(Ordering::SeqCst), 1);
}
