//! A bad line to a real platform: packets are lost, and for a while all of them. The stream comes back by itself, kept
//! by the same keeper, and is nowhere twice. With the patience that people get, not that of other tests.

use std::path::Path;
use std::time::{Duration, Instant};

use jadwalstream::live::keeper::files::{State, Status};
use jadwalstream::live::keeper::plan::Plan;
use jadwalstream::live::process::Keeper;
use serde_json::json;

use crate::support::clip::made;
use crate::support::network::{self, Line};
use crate::support::nginx::Platform;
use crate::support::scratch;

const KEY: &str = "the-key-on-a-bad-line";

/// Longest time from the end of a cut until bytes arrive again. No figure: `scripts/bench live` has that.
const BACK: Duration = Duration::from_secs(15);

/// 2.5 Mbit/s, as people send.
fn video() -> std::path::PathBuf {
    made("line.mp4", |command| {
        command.args(["-f", "lavfi", "-i", "nullsrc=size=640x360:rate=25:duration=8,geq=random(1)*255:128:128"]);
        command.args(["-f", "lavfi", "-i", "sine=duration=8", "-c:a", "aac", "-ac", "2", "-c:v", "libx264"]);
        command.args(["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "50", "-b:v", "2500k"]);
        command.args(["-maxrate", "2500k", "-bufsize", "2500k"]);
    })
}

struct Scene {
    platform: Platform,
    line: Line,
    keeper: Keeper,
    _home: tempfile::TempDir,
}

impl Drop for Scene {
    fn drop(&mut self) {
        if std::thread::panicking() {
            eprintln!("{:#?}", self.keeper.read_status().map(|status| Status { samples: vec![], ..status }));
            eprintln!("{}", self.keeper.read_log_tail(60).join("\n"));
        }
        let _ = self.keeper.kill();
    }
}

impl Scene {
    async fn start() -> Scene {
        network::up();
        let (platform, home) = (Platform::start(), scratch("line"));
        let plan = json!({
            "run_id": "run-1", "target": 0, "fence": 1, "ffmpeg": "/usr/bin/ffmpeg", "together": false, "loop": true,
            "items": [{"url": format!("file:{}", video().display()), "demuxer": "mov,mp4,m4a,3gp,3g2,mj2",
                       "duration": 8.0, "has_audio": true}],
            "destination": {"url": platform.rtmp_url("live"), "key": KEY, "allow_private": true},
            "key_lock": home.path().join("key.lock"),
        });
        let plan: Plan = serde_json::from_value(plan).unwrap();
        let program = Path::new(env!("CARGO_BIN_EXE_jadwalstream"));
        let keeper = Keeper::start(program, &plan, &home.path().join("run")).await.unwrap();
        let line = Line::to(platform.rtmp_port);
        let scene = Scene { platform, line, keeper, _home: home };
        scene.platform.arrival(KEY, Duration::from_secs(15)).await.expect("it arrives");
        scene
    }

    fn status(&self) -> Status {
        self.keeper.read_status().unwrap()
    }

    fn arrived(&self) -> u64 {
        self.platform.publisher(KEY).map_or(0, |publisher| publisher.bytes_in)
    }

    /// Bytes arrive, and more and more of them; how long that took.
    async fn moves_within(&self, patience: Duration) -> Duration {
        let begun = Instant::now();
        let mut least = self.arrived();
        loop {
            tokio::time::sleep(Duration::from_millis(100)).await;
            let publishers = self.platform.publishers();
            assert!(publishers.len() <= 1, "doubled: {publishers:?}");
            let now = self.arrived();
            // A second of it. What begins anew counts from nothing.
            if now >= least + 300_000 {
                return begun.elapsed();
            }
            least = least.min(now);
            assert!(begun.elapsed() < patience, "nothing arrives after {:?}", begun.elapsed());
        }
    }

    /// Loses some packets, then for so long all, then some; the states that were shown meanwhile.
    async fn cut(&self, length: Duration) -> (Duration, Vec<State>) {
        let before = self.keeper.identity().clone();
        self.line.lose(2);
        self.moves_within(BACK).await;
        tokio::time::sleep(Duration::from_secs(5)).await;
        let (begun, mut shown) = (Instant::now(), vec![]);
        self.line.lose(100);
        while begun.elapsed() < length {
            let state = self.status().state;
            if shown.last() != Some(&state) {
                shown.push(state);
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        self.line.lose(2);
        let back = self.moves_within(BACK).await;
        eprintln!("after a cut of {length:?}: moving again after {back:?}; shown {shown:?}");
        let sending = Instant::now();
        while self.status().state != State::Sending {
            assert!(sending.elapsed() < BACK, "it is not said that it sends");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        tokio::time::sleep(Duration::from_secs(3)).await;
        self.moves_within(BACK).await;
        assert!(self.keeper.is_alive());
        assert_eq!(self.keeper.folder().identity().as_ref(), Some(&before), "the same keeper");
        (back, shown)
    }
}

#[tokio::test]
async fn a_cut_of_five_seconds_is_not_even_a_new_connection() {
    if !network::is_inside("line::a_cut_of_five_seconds_is_not_even_a_new_connection") {
        return;
    }
    let scene = Scene::start().await;
    let (_, shown) = scene.cut(Duration::from_secs(5)).await;
    let status = scene.status();
    assert_eq!((status.attempts, status.restarts, shown), (1, 0, vec![State::Sending]));
    assert!(scene.platform.connections().is_empty(), "the connection held");
}

#[tokio::test]
async fn after_a_cut_of_half_a_minute_it_is_back_by_itself() {
    if !network::is_inside("line::after_a_cut_of_half_a_minute_it_is_back_by_itself") {
        return;
    }
    let scene = Scene::start().await;
    let (_, shown) = scene.cut(Duration::from_secs(30)).await;
    let status = scene.status();
    assert!(shown.contains(&State::Retrying), "{shown:?}");
    assert!(status.restarts >= 1 && status.attempts <= status.restarts + 1, "{status:?}");
}

#[tokio::test]
async fn after_a_cut_of_five_minutes_it_is_back_by_itself() {
    if !network::is_inside("line::after_a_cut_of_five_minutes_it_is_back_by_itself") {
        return;
    }
    let scene = Scene::start().await;
    let (_, shown) = scene.cut(Duration::from_secs(300)).await;
    let status = scene.status();
    assert!(shown.contains(&State::Retrying), "{shown:?}");
    assert!(status.restarts >= 1 && status.attempts <= status.restarts + 1, "{status:?}");
    // It knocked instead of starting one ffmpeg after the other.
    assert!(status.attempts <= 15, "{} attempts", status.attempts);
}
