//! The server is killed with SIGKILL two hundred times, at random points of starting, running and stopping streams and
//! of planned ones, and also while it recovers: nothing is lost, nothing is doubled, no ffmpeg is without a run and no
//! run without its end.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use crate::live::{ahead, encoders, plan, processes, reaches, state};
use crate::streams::{server, stream, video};
use crate::support::nginx::Platform;
use crate::support::server::{Client, PASSWORD, Server};

/// Numbers that come again with the same seed (SplitMix64).
struct Chance(u64);

impl Chance {
    fn below(&mut self, most: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % most
    }

    async fn pause(&mut self, most_ms: u64) {
        tokio::time::sleep(Duration::from_millis(self.below(most_ms))).await;
    }
}

fn number(name: &str) -> Option<u64> {
    std::env::var(name).ok()?.parse().ok()
}

/// Every ffmpeg of the server's home, by the key that it sends.
fn all_encoders(server: &Server, keys: &[String]) -> BTreeMap<String, Vec<i32>> {
    keys.iter().map(|key| (key.clone(), encoders(server, key))).filter(|(_, found)| !found.is_empty()).collect()
}

async fn all_runs(api: &Client) -> Vec<Value> {
    let (mut runs, mut cursor) = (Vec::new(), String::new());
    loop {
        let page = api.get(&format!("/api/v1/runs?limit=100{cursor}")).await.expect(200).json();
        runs.extend(page["items"].as_array().unwrap().iter().cloned());
        match page["next"].as_str() {
            Some(next) => cursor = format!("&cursor={next}"),
            None => return runs,
        }
    }
}

/// Kills the server, now and then once more while it recovers; how many kills that were.
async fn kill(server: &mut Server, chance: &mut Chance) -> u64 {
    server.kill9();
    let mut kills = 1;
    for _ in 0..chance.below(3) {
        // Somewhere between its first step and being ready.
        server.start_only();
        chance.pause(700).await;
        server.kill9();
        kills += 1;
    }
    chance.pause(200).await;
    server.restart().await;
    kills
}

#[tokio::test]
async fn a_server_that_is_killed_two_hundred_times_loses_nothing_and_doubles_nothing() {
    // `JADWAL_TEST_SEED` repeats what a run before did, as far as the machine lets it.
    let seed = number("JADWAL_TEST_SEED").unwrap_or_else(|| Timestamp::now().as_nanosecond() as u64);
    let most = number("JADWAL_TEST_KILLS").unwrap_or(200);
    eprintln!("JADWAL_TEST_SEED={seed}");
    let mut chance = Chance(seed);
    let platform = Platform::start();
    let mut server = server().await;
    server.user("al").await;
    let al = server.api("al", PASSWORD).await;
    let clip = video(&al, 4).await;
    let key = |name: &str| format!("the-key-among-kills-{name}");
    let url = platform.rtmp_url("live");
    let steady = stream(&al, "Steady", &clip, &url, &key("steady")).await;
    al.post(&format!("/api/v1/streams/{steady}/start"), &json!({})).await.expect(202);
    let run = reaches(&al, &steady, "sending").await["run_id"].clone();
    let first = encoders(&server, &key("steady"));
    assert_eq!(first.len(), 1);
    // Two that come and go by hand, four that are planned, one after the other, again and again.
    let mut by_hand = Vec::new();
    for name in ["one", "two"] {
        by_hand.push((stream(&al, name, &clip, &url, &key(name)).await, key(name)));
    }
    let mut planned = Vec::new();
    for name in ["red", "green", "blue", "grey"] {
        planned.push((stream(&al, name, &clip, &url, &key(name)).await, key(name)));
    }
    let keys: Vec<String> = by_hand.iter().chain(&planned).map(|(_, key)| key.clone()).chain([key("steady")]).collect();
    let mut schedules: Vec<(String, Timestamp)> = Vec::new();
    let (mut kills, mut round, begun) = (0, 0, Instant::now());
    while kills < most {
        let al = api(&server, &al);
        if round % 4 == 0 {
            let (id, _) = &planned[(round / 4) % planned.len()];
            let busy =
                state(&al, id).await["name"].as_str().is_some_and(|name| !["ended", "idle", "failed"].contains(&name));
            if !busy {
                let at = ahead(1 + chance.below(4) as i64);
                schedules.push((plan(&al, id, at, 3 + chance.below(4)).await, at));
            }
        }
        let (id, _) = &by_hand[round % by_hand.len()];
        let path = match chance.below(2) {
            0 => format!("/api/v1/streams/{id}/start"),
            _ => format!("/api/v1/streams/{id}/stop"),
        };
        let body = json!({});
        // The kill falls somewhere between the order and what comes of it.
        let _ = tokio::time::timeout(Duration::from_millis(chance.below(120)), al.post(&path, &body)).await;
        chance.pause(900).await;
        kills += kill(&mut server, &mut chance).await;
        round += 1;
        let found = all_encoders(&server, &keys);
        assert_eq!(found[&key("steady")], first, "seed {seed}, kill {kills}: the same encoder goes on");
        assert!(found.values().all(|pids| pids.len() == 1), "seed {seed}, kill {kills}: doubled: {found:?}");
        let on_air: Vec<_> = platform.publishers().into_iter().map(|one| one.name).collect();
        assert!(on_air.iter().all(|name| keys.contains(name)), "seed {seed}: {on_air:?}");
        if round % 10 == 0 {
            no_encoder_without_a_run(&api(&server, &al), &server, &by_hand, &planned, seed).await;
        }
    }
    eprintln!("{kills} kills in {round} rounds, {} planned, {:.0} s", schedules.len(), begun.elapsed().as_secs_f64());

    // Whatever was ordered or planned last comes true; then everything is taken off air.
    let al = server.api("al", PASSWORD).await;
    assert_eq!(reaches(&al, &steady, "sending").await["run_id"], run);
    let last = schedules.iter().map(|(_, at)| *at).max().unwrap_or(Timestamp::now());
    crate::live::until(last + Duration::from_secs(12)).await;
    for (id, _) in by_hand.iter().chain([&(steady.clone(), key("steady"))]) {
        al.post(&format!("/api/v1/streams/{id}/stop"), &json!({})).await.expect(202);
    }
    let settled = Instant::now();
    while !(all_encoders(&server, &keys).is_empty() && platform.publishers().is_empty()) {
        let left = all_encoders(&server, &keys);
        assert!(settled.elapsed() < Duration::from_secs(30), "seed {seed}: still there: {left:?}");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    reaches(&al, &steady, "ended").await;
    let keepers = || processes(&["keep", server.home().to_str().unwrap()]);
    while !keepers().is_empty() {
        assert!(settled.elapsed() < Duration::from_secs(30), "seed {seed}: keepers stay");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
    let mut runs = all_runs(&al).await;
    while runs.iter().any(|run| run["outcome"].is_null()) {
        assert!(settled.elapsed() < Duration::from_secs(30), "seed {seed}: a run without its end: {runs:?}");
        tokio::time::sleep(Duration::from_millis(200)).await;
        runs = all_runs(&al).await;
    }
    // Each occurrence has exactly one run.
    for (schedule, at) in &schedules {
        let own: Vec<&Value> = runs.iter().filter(|run| run["schedule_id"] == json!(schedule)).collect();
        assert_eq!(own.len(), 1, "seed {seed}: the occurrence of {at}: {own:?}");
        let told = own[0]["occurrence_at"].as_str().unwrap().parse::<Timestamp>().unwrap();
        assert_eq!(told, *at, "seed {seed}: {own:?}");
        // So short that its time may be over before a server is there: then it was not even tried.
        let tried = own[0]["attempts"] != 0;
        let as_planned = own[0]["outcome"] == "completed" || own[0]["outcome"] == "missed";
        assert!(as_planned || (own[0]["outcome"] == "failed" && !tried), "seed {seed}: {own:?}");
    }
    // What the runs say was sent is what the platform saw: one connection for each start of ffmpeg that got through.
    let connections = platform.connections();
    for (id, key) in by_hand.iter().chain(&planned).chain([&(steady.clone(), key("steady"))]) {
        let own = runs.iter().filter(|run| run["stream_id"] == json!(id));
        let (mut attempts, mut sent) = (0, 0);
        for run in own {
            attempts += run["attempts"].as_u64().unwrap();
            sent += u64::from(run["bytes"].as_u64().unwrap() > 0);
        }
        let seen = connections.iter().filter(|line| line.starts_with(&format!("PUBLISH live {key} "))).count() as u64;
        assert!(sent <= seen && seen <= attempts, "seed {seed}: {key}: {sent} ≤ {seen} ≤ {attempts}");
        assert!(*id != steady || seen == 1, "seed {seed}: the steady one never left");
    }
}

/// The client of before at the server of now.
fn api(server: &Server, before: &Client) -> Client {
    let mut client = server.stranger();
    client.token.clone_from(&before.token);
    client
}

/// Once things have settled, what runs is what the open runs say.
async fn no_encoder_without_a_run(
    al: &Client,
    server: &Server,
    by_hand: &[(String, String)],
    planned: &[(String, String)],
    seed: u64,
) {
    let settled = Instant::now();
    loop {
        let open: Vec<String> = all_runs(al)
            .await
            .iter()
            .filter(|run| run["outcome"].is_null())
            .map(|run| run["stream_id"].as_str().unwrap().to_owned())
            .collect();
        let mut strays = by_hand.iter().chain(planned).filter(|(id, key)| {
            let found = encoders(server, key).len();
            found > 1 || (found == 1 && !open.contains(id))
        });
        let Some((_, stray)) = strays.next() else { return };
        assert!(settled.elapsed() < Duration::from_secs(15), "seed {seed}: {stray} is sent without a run");
        tokio::time::sleep(Duration::from_millis(100)).await;
    }
}
