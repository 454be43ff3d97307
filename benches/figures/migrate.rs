//! Moving in: 100,000 records and 10,000 files.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Figure;
use crate::support::clip::clip;

/// Videos of the old home, each with its row.
const FILES: usize = 10_000;
/// Rows of what is over.
const PAST: usize = 90_000;
/// Memory that it may take, in KiB.
const MOST: u64 = 200 << 10;

fn fill(old: &Path) {
    for folder in ["videos", "thumbnails", "tokens"] {
        fs::create_dir_all(old.join(folder)).unwrap();
    }
    let model = fs::read(clip(1, 25, true, "160x90")).unwrap();
    let videos = (0..FILES).map(|number| {
        let name = format!("video-{number:05}.mp4");
        // A box of free space makes each another file.
        let mut bytes = model.clone();
        bytes.extend_from_slice(&u32::try_from(8 + name.len()).unwrap().to_be_bytes());
        bytes.extend_from_slice(b"free");
        bytes.extend_from_slice(name.as_bytes());
        fs::write(old.join("videos").join(&name), bytes).unwrap();
        json!({"id": number.to_string(), "title": format!("Video nomor {number}"), "filename": name,
               "original_filename": format!("rekaman {number}.mp4"), "thumbnail": null, "source": "local"})
    });
    let videos: Vec<_> = videos.collect();
    fs::write(old.join("video_database.json"), serde_json::to_vec(&videos).unwrap()).unwrap();
    let past = (0..PAST).map(|number| {
        json!({"id": format!("l{number}"), "title": format!("Siaran nomor {number}"), "start_date": "2025-11-03T04:30",
               "rtmp_server": "youtube", "stream_key": format!("abcd-efgh-{number:08}"),
               "video_file": format!("video-{:05}.mp4", number % FILES), "duration": "60", "repeat_daily": false,
               "custom_rtmp": "", "status": "completed"})
    });
    let past: Vec<_> = past.collect();
    fs::write(old.join("live_streams.json"), serde_json::to_vec(&past).unwrap()).unwrap();
}

/// Runs it; seconds, the most memory that it took in KiB, and its exit code.
fn run(old: &Path, home: &Path, more: &[&str]) -> (f64, u64, i32) {
    let begun = Instant::now();
    let mut child = Command::new(env!("CARGO_BIN_EXE_jadwalstream"))
        .args(["migrate", "--from"])
        .arg(old)
        .arg("--home")
        .arg(home)
        .args(more)
        .env("JADWAL_LIMITS_RUNS_KEPT", "200000")
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let status = format!("/proc/{}/status", child.id());
    let mut most = 0;
    let code = loop {
        let text = fs::read_to_string(&status).unwrap_or_default();
        let peak = text.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|peak| peak.trim().trim_end_matches(" kB").parse().ok());
        most = most.max(peak.unwrap_or(0));
        match child.try_wait().unwrap() {
            Some(status) => break status.code().unwrap_or(-1),
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    (begun.elapsed().as_secs_f64(), most, code)
}

/// A plan, the real thing, and the same again.
pub fn migrate() -> Vec<Figure> {
    let folder = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).unwrap();
    let (old, home) = (folder.path().join("old"), folder.path().join("home"));
    fill(&old);
    fs::create_dir(&home).unwrap();
    let what = "100,000 records and 10,000 files";
    let mut figures = Vec::new();
    for (name, more) in [("planning", &[][..]), ("moving in", &["--apply"]), ("moving in again", &["--apply"])] {
        let (seconds, most, code) = run(&old, &home, more);
        assert_eq!(code, 0, "{name}");
        let measured = format!("{seconds:.1} s, {} MiB", most >> 10);
        figures.push(Figure::new(format!("{name}: {what}, memory"), measured, "≤ 200 MiB", most <= MOST));
    }
    figures
}
