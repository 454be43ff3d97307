//! What goes wrong: at the platform, with ffmpeg, with files, on the disk.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use jadwalstream::error::Error;
use jadwalstream::live::keeper::files::{End, State};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use serde_json::json;

use super::{KEY, NAME, Run, assert_no_secret, is_there, item, outcome_within, reason, sending, status_within};
use crate::support::clip::{clip, made};
use crate::support::nginx::Platform;
use crate::support::scratch;

#[tokio::test]
async fn a_platform_that_is_gone_for_three_seconds_gets_the_stream_back_at_once() {
    let mut platform = Platform::start();
    let mut run = Run::to(&platform);
    let keeper = run.start().await;
    sending(&keeper).await;
    tokio::time::sleep(Duration::from_secs(2)).await;
    platform.kill_sink();
    let lost = status_within(&keeper, 5.0, |status| status.state == State::Retrying).await.expect("noticed");
    assert!(lost.reason.is_some());
    tokio::time::sleep(Duration::from_secs(3)).await;
    let down = keeper.read_status().unwrap();
    assert_eq!(down.state, State::Retrying);
    assert_eq!(down.reason.unwrap().id, "live-reason-unreachable");
    assert!(platform.revive());
    assert!(platform.arrival(NAME, Duration::from_secs(5)).await.is_some(), "back within 5 s");
    let back = sending(&keeper).await;
    assert!(back.restarts >= 1 && back.reason.is_none() && back.bytes > lost.bytes);
    // The knocking keeps the number of ffmpegs small.
    assert!(back.attempts <= 5, "{} attempts", back.attempts);
}

#[tokio::test]
async fn a_platform_that_stalls_is_noticed_and_left() {
    let platform = Platform::start();
    // Enough bytes to fill the socket's buffers well before the patience is over.
    let mut run = Run::new(&platform.rtmp_url("live"), KEY, vec![item(&heavy(), 4.0, true)]);
    let keeper = run.start().await;
    sending(&keeper).await;
    platform.freeze();
    let stalled = status_within(&keeper, 25.0, |status| status.state == State::Retrying).await.expect("noticed");
    assert_eq!(stalled.reason.unwrap().id, "live-reason-stalled");
    assert!(stalled.ffmpeg_pid.is_none(), "the ffmpeg that hung is gone");
    platform.thaw();
    sending(&keeper).await;
    assert!(platform.arrival(NAME, Duration::from_secs(5)).await.is_some());
}

fn heavy() -> PathBuf {
    made("heavy.mp4", |command| {
        command.args(["-f", "lavfi", "-i", "nullsrc=size=640x360:rate=25:duration=4,geq=random(1)*255:128:128"]);
        command.args(["-f", "lavfi", "-i", "sine=duration=4", "-c:a", "aac", "-ac", "2", "-c:v", "libx264"]);
        command.args(["-preset", "ultrafast", "-pix_fmt", "yuv420p", "-g", "25", "-b:v", "30M"]);
    })
}

#[tokio::test]
async fn a_refused_key_ends_the_run_after_a_few_attempts() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    run.plan["destination"]["url"] = json!(platform.rtmp_url("closed"));
    let keeper = run.start().await;
    let outcome = outcome_within(&keeper, 20.0).await;
    assert_eq!((outcome.outcome, reason(&outcome).as_str()), (End::Failed, "live-failed-refused"));
    assert_eq!(outcome.attempts, 3);
    let said = outcome.reason.unwrap().to_string();
    assert!(said.contains("key may be wrong") && !said.contains(NAME), "{said}");
}

#[tokio::test]
async fn a_missing_file_a_broken_file_and_a_missing_ffmpeg_end_the_run_with_a_reason() {
    let platform = Platform::start();
    let home = scratch("broken");
    let broken = home.path().join("broken.mp4");
    std::fs::write(&broken, vec![7; 9000]).unwrap();
    let good = clip(4, 25, true, "320x180");
    for (item, ffmpeg, expected) in [
        (item(Path::new("/nonexistent/a.mp4"), 4.0, true), "/usr/bin/ffmpeg", "live-reason-gone"),
        (item(&broken, 4.0, true), "/usr/bin/ffmpeg", "live-reason-input"),
        (item(&good, 4.0, true), "/nonexistent/ffmpeg", "live-reason-no-ffmpeg"),
        (item(&good, 4.0, true), "/etc/passwd", "live-reason-no-ffmpeg"),
    ] {
        let mut run = Run::new(&platform.rtmp_url("live"), KEY, vec![item]);
        run.plan["ffmpeg"] = json!(ffmpeg);
        let keeper = run.start().await;
        let outcome = outcome_within(&keeper, 10.0).await;
        assert_eq!((outcome.outcome, reason(&outcome).as_str()), (End::Failed, expected));
        assert_eq!(keeper.read_status().unwrap().state, State::Failed);
    }
}

#[tokio::test]
async fn an_inner_address_is_not_sent_to_unless_the_admin_allows_it() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    run.plan["destination"]["allow_private"] = json!(false);
    let keeper = run.start().await;
    let outcome = outcome_within(&keeper, 10.0).await;
    assert_eq!(reason(&outcome), "live-failed-refused");
    assert!(outcome.reason.unwrap().to_string().contains("inner address"));
    assert_eq!((outcome.attempts, platform.connections().len()), (0, 0));
}

#[tokio::test]
async fn an_ffmpeg_that_ignores_signals_is_killed_by_the_ladder() {
    let platform = Platform::start();
    let script = "trap '' TERM INT\nn=0\nwhile :; do n=$((n+1)); \
        echo total_size=${n}000; echo out_time_us=${n}00000; echo progress=continue; sleep 0.1; done";
    let mut run = Run::to(&platform).stand_in(script);
    let keeper = run.start().await;
    let ffmpeg = sending(&keeper).await.ffmpeg_pid.unwrap();
    let begun = Instant::now();
    keeper.stop().unwrap();
    let stopping = status_within(&keeper, 1.0, |status| status.state == State::Stopping).await;
    assert!(stopping.is_some() && is_there(ffmpeg));
    let outcome = outcome_within(&keeper, 4.0).await;
    assert_eq!(outcome.outcome, End::Stopped);
    assert!(begun.elapsed() >= Duration::from_millis(1000), "both SIGTERMs had their time");
    assert!(!is_there(ffmpeg));
}

#[tokio::test]
async fn a_flood_of_words_is_drained_and_the_log_stays_small() {
    let platform = Platform::start();
    let script = "echo out_time_us=1000; echo total_size=1000; echo progress=continue\n\
        exec yes \"[error] rtmp://x/$KEY abcd-efgh-ijkl-mnop%3Ftoken%3Dt0p5ecret%2Fx and abcd-efgh-ij\" >&2";
    let mut run = Run::to(&platform).stand_in(script);
    let keeper = run.start().await;
    sending(&keeper).await;
    tokio::time::sleep(Duration::from_secs(3)).await;
    let folder = run.folder().join("0");
    let size = std::fs::metadata(folder.join("log")).unwrap().len();
    assert!(size < 40_000, "{size} bytes of log in three seconds");
    let tail = keeper.read_log_tail(200);
    assert!(tail.iter().any(|line| line.contains("**** and ****")), "{tail:?}");
    assert!(tail.iter().any(|line| line.ends_with("lines dropped")));
    // The watchdog is not deaf for all the noise.
    let stalled = status_within(&keeper, 5.0, |status| status.state == State::Retrying).await;
    assert_eq!(stalled.expect("noticed").reason.unwrap().id, "live-reason-stalled");
    assert_no_secret(&folder);
}

#[tokio::test]
async fn a_crash_of_ffmpeg_is_mended_within_three_seconds() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    run.plan["timing"]["delay_first_ms"] = json!(1000);
    let keeper = run.start().await;
    let ffmpeg = sending(&keeper).await.ffmpeg_pid.unwrap();
    tokio::time::sleep(Duration::from_millis(500)).await;
    kill(Pid::from_raw(ffmpeg as i32), Signal::SIGKILL).unwrap();
    let begun = Instant::now();
    let lost = status_within(&keeper, 1.0, |status| status.state == State::Retrying).await.expect("noticed");
    assert_eq!(lost.reason.unwrap().id, "live-reason-crashed");
    sending(&keeper).await;
    assert!(begun.elapsed() < Duration::from_secs(3), "{:?}", begun.elapsed());
}

#[tokio::test]
async fn an_ffmpeg_that_hangs_is_ended_by_force_and_another_goes_on() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    let keeper = run.start().await;
    let ffmpeg = sending(&keeper).await.ffmpeg_pid.unwrap();
    platform.arrival(NAME, Duration::from_secs(5)).await.expect("it arrives");
    // Stopped, it takes no SIGTERM.
    kill(Pid::from_raw(ffmpeg as i32), Signal::SIGSTOP).unwrap();
    let lost = status_within(&keeper, 10.0, |status| status.state == State::Retrying).await.expect("noticed");
    assert_eq!(lost.reason.unwrap().id, "live-reason-stalled");
    assert!(!is_there(ffmpeg), "one that hangs may wake up again");
    let back = sending(&keeper).await;
    assert!(back.ffmpeg_pid.is_some_and(|pid| pid != ffmpeg) && back.restarts == 1);
    assert!(platform.arrival(NAME, Duration::from_secs(5)).await.is_some());
    assert_eq!(platform.publishers().len(), 1);
}

#[tokio::test]
async fn a_wrapper_around_ffmpeg_is_ended_with_all_it_started() {
    let platform = Platform::start();
    let mut run = Run::to(&platform).stand_in("/usr/bin/ffmpeg \"$@\"; exit $?");
    let keeper = run.start().await;
    sending(&keeper).await;
    platform.arrival(NAME, Duration::from_secs(5)).await.expect("it arrives");
    keeper.stop().unwrap();
    assert_eq!(outcome_within(&keeper, 3.0).await.outcome, End::Stopped);
    assert!(platform.departure(NAME, Duration::from_secs(1)).await);
}

#[tokio::test]
async fn a_full_disk_does_not_take_a_stream_off_air() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    let folder = run.folder().join("0");
    std::fs::create_dir_all(&folder).unwrap();
    // Whatever is written to these finds the disk full.
    for name in ["log", "status.json.new"] {
        std::os::unix::fs::symlink("/dev/full", folder.join(name)).unwrap();
    }
    let keeper = run.start().await;
    platform.arrival(NAME, Duration::from_secs(5)).await.expect("it arrives");
    // Room again.
    std::fs::remove_file(folder.join("status.json.new")).unwrap();
    sending(&keeper).await;
    keeper.stop().unwrap();
    assert_eq!(outcome_within(&keeper, 3.0).await.outcome, End::Stopped);

    // Without a name on disk nothing is started at all.
    let mut full = Run::to(&platform);
    std::fs::create_dir_all(full.folder().join("0")).unwrap();
    std::os::unix::fs::symlink("/dev/full", full.folder().join("0/keeper.json.new")).unwrap();
    assert!(matches!(full.try_start().await, Err(Error::OverQuota(_))));
    assert!(platform.publishers().is_empty());
}

#[tokio::test]
async fn a_purged_run_does_not_come_back_to_disk() {
    let platform = Platform::start();
    let mut run = Run::to(&platform);
    let keeper = run.start().await;
    sending(&keeper).await;
    std::fs::remove_dir_all(run.folder()).unwrap();
    keeper.stop().unwrap();
    tokio::time::timeout(Duration::from_secs(3), keeper.ended()).await.expect("it ends").unwrap();
    assert!(!run.folder().exists());
}
