//! The keeper on real parts: nginx with RTMP as the platform, real ffmpeg, real signals; stand-ins only where a real
//! ffmpeg would have to misbehave. One long file: every test is a few lines over the same `Run`.

mod items;
mod trouble;

use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jadwalstream::error::Error;
use jadwalstream::live::keeper::files::{End, Outcome, State, Status};
use jadwalstream::live::keeper::plan::Plan;
use jadwalstream::live::process::{Found, Keeper};
use jiff::{SignedDuration, Timestamp};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::{Value, json};

use crate::support::clip::clip;
use crate::support::nginx::Platform;
use crate::support::scratch;

const KEY: &str = "abcd-efgh-ijkl-mnop?token=t0p5ecret/x";

/// As the platform sees it.
const NAME: &str = "abcd-efgh-ijkl-mnop";

fn program() -> &'static Path {
    Path::new(env!("CARGO_BIN_EXE_jadwalstream"))
}

/// One run's folder and the plan for its target; whatever still runs is ended when it is dropped.
struct Run {
    home: tempfile::TempDir,
    plan: Value,
    kept: Vec<Keeper>,
}

impl Run {
    fn new(url: &str, key: &str, items: Vec<Value>) -> Run {
        let home = scratch("keeper");
        let plan = json!({
            "run_id": "run-1", "target": 0, "fence": 1, "ffmpeg": "/usr/bin/ffmpeg",
            "items": items, "together": false, "loop": true,
            "destination": { "url": url, "key": key, "allow_private": true },
            "key_lock": home.path().join("key.lock"),
            "timing": {
                "stall_ms": 4000, "stats_period_ms": 300, "term_again_ms": 500, "kill_ms": 500,
                "delay_first_ms": 300, "knock_ms": 500, "proven_ms": 2000, "refusals": 3, "lock_wait_ms": 300,
            },
        });
        Run { home, plan, kept: vec![] }
    }

    fn to(platform: &Platform) -> Run {
        Run::new(&platform.rtmp_url("live"), KEY, vec![item(&clip(4, 25, true, "320x180"), 4.0, true)])
    }

    fn folder(&self) -> PathBuf {
        self.home.path().join("run")
    }

    /// A stand-in for ffmpeg.
    fn stand_in(mut self, script: &str) -> Run {
        let path = self.home.path().join("ffmpeg.sh");
        std::fs::write(&path, format!("#!/bin/sh\n{script}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).unwrap();
        self.plan["ffmpeg"] = json!(path);
        self
    }

    fn stop_in(&mut self, seconds: f64) -> Timestamp {
        let at = Timestamp::now() + SignedDuration::from_secs_f64(seconds);
        self.plan["stop_at"] = json!(at);
        at
    }

    async fn try_start(&mut self) -> Result<Keeper, Error> {
        let plan: Plan = serde_json::from_value(self.plan.clone()).unwrap();
        let keeper = Keeper::start(program(), &plan, &self.folder()).await?;
        self.kept.push(keeper.clone());
        Ok(keeper)
    }

    async fn start(&mut self) -> Keeper {
        self.try_start().await.unwrap()
    }
}

impl Drop for Run {
    fn drop(&mut self) {
        for keeper in &self.kept {
            if std::thread::panicking() {
                eprintln!("{:#?}", keeper.read_status().map(|status| Status { samples: vec![], ..status }));
                eprintln!("{}", keeper.read_log_tail(40).join("\n"));
            }
            let _ = keeper.kill();
        }
    }
}

fn item(path: &Path, duration: f64, has_audio: bool) -> Value {
    json!({
        "url": format!("file:{}", path.display()), "demuxer": "mov,mp4,m4a,3gp,3g2,mj2", "duration": duration,
        "has_audio": has_audio,
    })
}

async fn status_within(keeper: &Keeper, seconds: f64, wanted: impl Fn(&Status) -> bool) -> Option<Status> {
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    loop {
        let status = keeper.read_status();
        if status.as_ref().is_some_and(&wanted) {
            return status;
        }
        if Instant::now() > deadline {
            return None;
        }
        tokio::time::sleep(Duration::from_millis(20)).await;
    }
}

async fn sending(keeper: &Keeper) -> Status {
    status_within(keeper, 15.0, |status| status.state == State::Sending).await.expect("it sends")
}

async fn outcome_within(keeper: &Keeper, seconds: f64) -> Outcome {
    tokio::time::timeout(Duration::from_secs_f64(seconds), keeper.ended()).await.expect("it ends").unwrap();
    keeper.read_outcome().expect("it left an outcome")
}

fn reason(outcome: &Outcome) -> String {
    outcome.reason.as_ref().map(|reason| reason.id.to_string()).unwrap_or_default()
}

fn is_there(pid: u32) -> bool {
    // A zombie, waiting for its parent, no longer counts.
    std::fs::read_to_string(format!("/proc/{pid}/stat"))
        .is_ok_and(|stat| !stat.rsplit_once(')').unwrap().1.trim_start().starts_with(['Z', 'X']))
}

async fn gone_within(pid: u32, seconds: f64) -> bool {
    let deadline = Instant::now() + Duration::from_secs_f64(seconds);
    while is_there(pid) {
        if Instant::now() > deadline {
            return false;
        }
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    true
}

#[tokio::test]
async fn picture_and_sound_arrive_and_the_stop_time_is_kept_to_the_second() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    // By name: resolved, judged, and sent to the address that answers.
    run.plan["destination"]["url"] = json!(platform.rtmp_url("live").replace("127.0.0.1", "localhost"));
    let stop_at = run.stop_in(6.0);
    let keeper = run.start().await;
    let publisher = platform.arrival(NAME, Duration::from_secs(5)).await.expect("it arrives");
    assert_eq!((publisher.app.as_str(), publisher.size), ("live", Some((320, 180))));
    let status = sending(&keeper).await;
    assert!(status.ffmpeg_pid.is_some() && status.attempts == 1 && status.restarts == 0);
    let outcome = outcome_within(&keeper, 10.0).await;
    assert!(platform.departure(NAME, Duration::from_millis(300)).await);
    let late = outcome.ended_at.duration_since(stop_at).as_secs_f64();
    assert!((0.0..1.0).contains(&late), "{late} s late");
    assert_eq!((outcome.outcome, outcome.restarts, outcome.attempts), (End::Completed, 0, 1));
    assert!(outcome.bytes > 100_000 && outcome.out_time > 4.0, "{outcome:?}");
    let last = keeper.read_status().unwrap();
    assert_eq!((last.state, last.ffmpeg_pid), (State::Ended, None));
    assert!(last.samples.iter().any(|(_, bits)| (100_000..3_000_000).contains(bits)), "{:?}", last.samples);
}

#[tokio::test]
async fn the_graph_begins_with_a_rate_that_was_sent_not_with_the_time_of_connecting() {
    let report = "report() { printf 'total_size=%s\\nout_time_us=%s\\nprogress=continue\\n' $1 $2; }";
    // One connects for long and then has sent little, one has sent much at once; both go on with 1 Mbit/s.
    for (connecting, first) in [("1.5", 500), ("0.1", 500_000)] {
        let sizes = (0..6).map(|step| format!("report {} {}; sleep 0.5", first + step * 62_500, (step + 1) * 500_000));
        let script = format!("{report}\nsleep {connecting}\n{}\nsleep 9", sizes.collect::<Vec<_>>().join("\n"));
        let items = vec![item(Path::new("/dev/null"), 4.0, true)];
        let mut run = Run::new("rtmp://127.0.0.1:1935/live", KEY, items).stand_in(&script);
        let keeper = run.start().await;
        let status = status_within(&keeper, 15.0, |status| status.samples.len() >= 5).await.expect("it reports");
        let odd = status.samples.iter().find(|(_, bits)| !(200_000..4_000_000).contains(bits));
        assert!(odd.is_none(), "connecting for {connecting} s: {:?}", status.samples);
    }
}

#[tokio::test]
async fn sigterm_and_sigint_stop_it_by_hand() {
    let platform = Platform::start();
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut run = Run::to(&platform);
        let keeper = run.start().await;
        let ffmpeg = sending(&keeper).await.ffmpeg_pid.unwrap();
        match signal {
            Signal::SIGTERM => keeper.stop().unwrap(),
            signal => kill(Pid::from_raw(keeper.identity().pid), signal).unwrap(),
        }
        let outcome = outcome_within(&keeper, 3.0).await;
        assert_eq!(outcome.outcome, End::Stopped);
        assert!(!is_there(ffmpeg) && !keeper.is_alive());
        assert!(platform.departure(NAME, Duration::from_secs(1)).await);
        keeper.stop().unwrap();
    }
}

#[tokio::test]
async fn the_keeper_and_its_ffmpeg_live_and_die_together_and_leave_no_zombie() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    let keeper = run.start().await;
    let status = sending(&keeper).await;
    let adopted = Keeper::adopt(&run.folder(), 0).expect("another server finds it");
    assert_eq!(adopted.identity(), keeper.identity());
    assert!(matches!(Keeper::settle(&run.folder(), 0, 1).unwrap(), Found::Running(_)));
    // Its session is its own: a Ctrl-C to the server does not reach it.
    let session = nix::unistd::getsid(Some(Pid::from_raw(keeper.identity().pid))).unwrap();
    assert_eq!(session.as_raw(), keeper.identity().pid);

    keeper.kill().unwrap();
    assert!(gone_within(status.ffmpeg_pid.unwrap(), 1.0).await, "ffmpeg dies with its keeper");
    assert!(platform.departure(NAME, Duration::from_secs(2)).await);
    tokio::time::timeout(Duration::from_secs(2), adopted.ended()).await.unwrap().unwrap();
    assert!(!keeper.is_alive() && Keeper::adopt(&run.folder(), 0).is_none() && keeper.read_outcome().is_none());
    let reaped = async {
        while Path::new(&format!("/proc/{}", keeper.identity().pid)).exists() {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    };
    tokio::time::timeout(Duration::from_secs(5), reaped).await.expect("the zombie is reaped");

    // The same run goes on under a new keeper, which counts on.
    run.plan["fence"] = json!(2);
    let second = run.start().await;
    let after = sending(&second).await;
    assert_eq!((after.restarts, after.attempts), (1, 2));
    assert!(after.bytes >= status.bytes && after.started_at == status.started_at);
    second.stop().unwrap();
    assert_eq!(outcome_within(&second, 3.0).await.outcome, End::Stopped);
}

#[tokio::test]
async fn a_run_that_was_settled_cannot_be_started_by_a_late_keeper() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    let Found::Over(outcome) = Keeper::settle(&run.folder(), 0, 1).unwrap() else { panic!() };
    assert_eq!((outcome.outcome, reason(&outcome).as_str()), (End::Failed, "live-reason-keeper-lost"));
    assert!(matches!(run.try_start().await, Err(Error::Conflict(message)) if message.id == "live-run-over"));
    run.plan["fence"] = json!(2);
    let keeper = run.start().await;
    assert!(keeper.read_outcome().is_none(), "the outcome of the older one is gone");
    sending(&keeper).await;
}

#[tokio::test]
async fn two_encoders_never_share_a_key() {
    let platform = Platform::start();
    let mut first = Run::to(&platform);
    let keeper = first.start().await;
    sending(&keeper).await;
    let mut second = Run::to(&platform);
    second.plan["key_lock"] = first.plan["key_lock"].clone();
    let begun = Instant::now();
    assert!(matches!(second.try_start().await, Err(Error::Conflict(message)) if message.id == "live-key-busy"));
    assert!(begun.elapsed() < Duration::from_secs(3));
    assert!(!second.folder().join("0/keeper.json").exists() && !second.folder().join("0/outcome.json").exists());
    // Nor does one target get two keepers.
    first.plan["fence"] = json!(2);
    assert!(matches!(first.try_start().await, Err(Error::Conflict(message)) if message.id == "live-keeper-running"));
    assert_eq!(platform.publishers().len(), 1);

    // By hand, as a shell sees it: exit code 75.
    let mut child = std::process::Command::new(program())
        .args(["keep"])
        .arg(second.folder())
        .stdin(std::process::Stdio::piped())
        .stdout(std::process::Stdio::null())
        .spawn()
        .unwrap();
    serde_json::to_writer(child.stdin.take().unwrap(), &second.plan).unwrap();
    assert_eq!(child.wait().unwrap().code(), Some(75));

    keeper.stop().unwrap();
    outcome_within(&keeper, 3.0).await;
    sending(&second.start().await).await;
}

#[tokio::test]
async fn an_ffmpeg_that_outlives_its_keeper_still_holds_the_key() {
    // A wrapper's child does not die with the keeper; the key stays locked all the same.
    let mut run = Run::new("rtmp://127.0.0.1:1935/live", KEY, vec![item(Path::new("/dev/null"), 0.0, true)])
        .stand_in("sleep 3 & wait");
    let keeper = run.start().await;
    status_within(&keeper, 3.0, |status| status.ffmpeg_pid.is_some()).await.unwrap();
    tokio::time::sleep(Duration::from_millis(300)).await;
    keeper.kill().unwrap();
    keeper.ended().await.unwrap();
    run.plan["fence"] = json!(2);
    assert!(matches!(run.try_start().await, Err(Error::Conflict(message)) if message.id == "live-key-busy"));
}

fn assert_no_secret(folder: &Path) {
    assert_eq!(std::fs::metadata(folder).unwrap().permissions().mode() & 0o777, 0o700);
    for entry in std::fs::read_dir(folder).unwrap().flatten() {
        let text = String::from_utf8_lossy(&std::fs::read(entry.path()).unwrap()).into_owned();
        for secret in [NAME, "abcd-efg", "t0p5ecret"] {
            assert!(!text.contains(secret), "{:?} holds {secret}: {text}", entry.path());
        }
        assert_eq!(entry.metadata().unwrap().permissions().mode() & 0o777, 0o600, "{:?}", entry.path());
    }
}

#[tokio::test]
async fn the_key_is_in_no_file_and_no_environment() {
    let mut platform = Platform::start();
    let clips = [clip(4, 25, true, "320x180"), clip(3, 25, true, "320x180")];
    let mut run =
        Run::new(&platform.rtmp_url("live"), KEY, vec![item(&clips[0], 4.0, true), item(&clips[1], 3.0, true)]);
    run.plan["together"] = json!(true);
    let keeper = run.start().await;
    sending(&keeper).await;
    let pid = keeper.identity().pid;
    for file in ["cmdline", "environ"] {
        let text = std::fs::read(format!("/proc/{pid}/{file}")).unwrap();
        assert!(!String::from_utf8_lossy(&text).contains("abcd-efg"), "{file} of the keeper");
    }
    platform.kill_sink();
    status_within(&keeper, 5.0, |status| status.state == State::Retrying).await.expect("noticed");
    platform.revive();
    sending(&keeper).await;
    assert_no_secret(&run.folder().join("0"));
    keeper.stop().unwrap();
    outcome_within(&keeper, 3.0).await;
    assert_no_secret(&run.folder().join("0"));
}

#[tokio::test]
async fn it_waits_for_its_time_and_begins_on_the_dot() {
    let platform = Platform::start();
    // One that encodes is kept off the disk, and gets through the gate all the same.
    let painting = json!({"width": 320, "height": 180, "bits": 500_000, "caption": ["Rain", "top"]});
    for painting in [Value::Null, painting] {
        let mut run = Run::to(&platform);
        run.plan["painting"] = painting;
        let start_at = Timestamp::now() + SignedDuration::from_secs(4);
        run.plan["start_at"] = json!(start_at);
        run.stop_in(8.0);
        let keeper = run.start().await;
        assert_eq!(keeper.read_status().unwrap().state, State::Starting);
        let waiting =
            status_within(&keeper, 3.0, |status| status.ffmpeg_pid.is_some()).await.expect("it is made early");
        assert!(Timestamp::now() < start_at && platform.publishers().is_empty());
        assert_eq!(waiting.state, State::Starting);
        platform.arrival(NAME, Duration::from_secs(8)).await.expect("it arrives");
        let late = Timestamp::now().duration_since(start_at).as_secs_f64();
        assert!((0.0..2.0).contains(&late), "{late} s late");
        let outcome = outcome_within(&keeper, 8.0).await;
        assert_eq!((outcome.outcome, outcome.attempts), (End::Completed, 1));
    }

    // Stopped before its time: nothing was sent.
    let mut early = Run::to(&platform);
    early.plan["start_at"] = json!(Timestamp::now() + SignedDuration::from_secs(60));
    let keeper = early.start().await;
    keeper.stop().unwrap();
    let outcome = outcome_within(&keeper, 2.0).await;
    assert_eq!((outcome.outcome, outcome.attempts), (End::Stopped, 0));
}

#[tokio::test]
async fn another_stop_time_is_followed_without_a_new_ffmpeg_whatever_it_is_doing() {
    let mut platform = Platform::start();
    let mut run = Run::to(&platform);
    let first = run.stop_in(4.0);
    let keeper = run.start().await;
    let ffmpeg = sending(&keeper).await.ffmpeg_pid;
    assert_eq!(keeper.read_status().unwrap().stop_at, Some(first));
    // Put off, then taken away.
    keeper.change_stop_time(Some(first + SignedDuration::from_secs(60))).unwrap();
    status_within(&keeper, 3.0, |status| status.stop_at > Some(first)).await.expect("it says so");
    keeper.change_stop_time(None).unwrap();
    let later = status_within(&keeper, 6.0, |status| status.stop_at.is_none() && status.updated_at > first).await;
    assert_eq!((later.expect("past its first end").ffmpeg_pid, keeper.is_alive()), (ffmpeg, true));
    // What is meant for another keeper, or cannot be read, changes nothing.
    let told = run.folder().join("0/stop.json");
    for text in [format!(r#"{{"fence":2,"stop_at":"{first}"}}"#), "{".into()] {
        std::fs::write(&told, text).unwrap();
        kill(Pid::from_raw(keeper.identity().pid), Signal::SIGHUP).unwrap();
    }
    tokio::time::sleep(Duration::from_millis(500)).await;
    assert_eq!(keeper.read_status().unwrap().ffmpeg_pid, ffmpeg);
    // Brought forward while there is nobody to send to.
    platform.kill_sink();
    status_within(&keeper, 5.0, |status| status.state == State::Retrying).await.expect("noticed");
    let stop_at = Timestamp::now() + SignedDuration::from_secs(2);
    keeper.change_stop_time(Some(stop_at)).unwrap();
    let outcome = outcome_within(&keeper, 6.0).await;
    assert_eq!((outcome.outcome, outcome.stop_at), (End::Completed, Some(stop_at)));
    let late = outcome.ended_at.duration_since(stop_at).as_secs_f64();
    assert!((0.0..1.0).contains(&late), "{late} s late");
}

#[tokio::test]
async fn srt_arrives_with_its_stream_id() {
    let home = scratch("srt");
    let port = std::net::UdpSocket::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let arrived = home.path().join("arrived.ts");
    let sink = std::process::Command::new("ffmpeg")
        .args(["-v", "error", "-f", "mpegts", "-i"])
        .arg(format!("srt://127.0.0.1:{port}?mode=listener&passphrase=0123456789abc"))
        .args(["-map", "0", "-c", "copy", "-f", "mpegts", "-flush_packets", "1"])
        .arg(&arrived)
        .stdin(std::process::Stdio::null())
        .spawn()
        .unwrap();
    let _sink = super::support::Ending(sink);
    tokio::time::sleep(Duration::from_millis(500)).await;
    let mut run = Run::new(
        &format!("srt://127.0.0.1:{port}?latency=120000"),
        "streamid=#!::r=live/abc,m=publish&passphrase=0123456789abc",
        vec![item(&clip(4, 25, true, "320x180"), 4.0, true)],
    );
    let keeper = run.start().await;
    sending(&keeper).await;
    let deadline = Instant::now() + Duration::from_secs(15);
    while std::fs::metadata(&arrived).map_or(0, |metadata| metadata.len()) < 50_000 {
        assert!(Instant::now() < deadline, "nothing arrives");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    keeper.stop().unwrap();
    assert_eq!(outcome_within(&keeper, 5.0).await.outcome, End::Stopped);
}
