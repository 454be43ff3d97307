//! What many streams cost, and how soon one is back: real ffmpeg into a real RTMP server.

use std::collections::HashMap;
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use serde_json::json;

use crate::Figure;
use crate::support::Ending;
use crate::support::nginx::Platform;
use crate::world::{Server, curl};

const STREAMS: usize = 50;
const ROUNDS: usize = 5;
const MEASURED: Duration = Duration::from_secs(60);
const CRASHES: usize = 40;
const CUT: Duration = Duration::from_secs(30);

/// 20 s of 720p at about 2.5 Mbit/s with sound, a keyframe every two seconds.
fn clip(folder: &Path) -> std::path::PathBuf {
    let path = folder.join("clip.mp4");
    let made = Command::new("ffmpeg")
        .args(["-nostdin", "-v", "error", "-f", "lavfi", "-i", "testsrc2=size=1280x720:rate=30"])
        .args(["-f", "lavfi", "-i", "sine=sample_rate=44100", "-t", "20", "-c:v", "libx264", "-preset", "veryfast"])
        .args([
            "-b:v",
            "2500k",
            "-minrate",
            "2500k",
            "-maxrate",
            "2500k",
            "-bufsize",
            "2500k",
            "-x264opts",
            "nal-hrd=cbr",
        ])
        .args(["-pix_fmt", "yuv420p", "-g", "60", "-sc_threshold", "0", "-c:a", "aac", "-movflags", "+faststart"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

/// The processes below one, and it itself; the keepers, which have left the family, are found by the home in their
/// arguments.
fn family(server: u32, home: &Path) -> Vec<u32> {
    let mut found = vec![server];
    let mut parents: HashMap<u32, u32> = HashMap::new();
    for entry in std::fs::read_dir("/proc").unwrap().flatten() {
        let Some(pid) = entry.file_name().to_str().and_then(|name| name.parse::<u32>().ok()) else { continue };
        let Ok(stat) = std::fs::read_to_string(entry.path().join("stat")) else { continue };
        let parent = stat.rsplit_once(')').and_then(|(_, rest)| rest.split_whitespace().nth(1)?.parse().ok());
        parents.insert(pid, parent.unwrap_or(0));
        let line = std::fs::read(entry.path().join("cmdline")).unwrap_or_default();
        let line = String::from_utf8_lossy(&line).replace('\0', " ");
        if line.contains(" keep ") && line.contains(&home.display().to_string()) {
            found.push(pid);
        }
    }
    let mut next = 0;
    while next < found.len() {
        let parent = found[next];
        next += 1;
        let children: Vec<u32> = parents.iter().filter(|(_, of)| **of == parent).map(|(pid, _)| *pid).collect();
        found.extend(children.into_iter().filter(|pid| !found.contains(pid)).collect::<Vec<_>>());
    }
    found
}

/// Seconds on a processor so far, over all threads.
fn cpu(pids: &[u32]) -> f64 {
    let mut nanoseconds = 0;
    for pid in pids {
        for task in std::fs::read_dir(format!("/proc/{pid}/task")).into_iter().flatten().flatten() {
            let text = std::fs::read_to_string(task.path().join("schedstat")).unwrap_or_default();
            nanoseconds += text.split_whitespace().next().and_then(|text| text.parse::<u64>().ok()).unwrap_or(0);
        }
    }
    nanoseconds as f64 / 1e9
}

struct Api<'s> {
    server: &'s Server,
    header: String,
}

impl Api<'_> {
    fn post(&self, path: &str, body: &serde_json::Value) -> serde_json::Value {
        let address = format!("{}/api/v1{path}", self.server.base);
        let body = body.to_string();
        let said =
            curl(&["-X", "POST", "-H", &self.header, "-H", "Content-Type: application/json", "-d", &body, &address]);
        serde_json::from_str(&said).unwrap_or_default()
    }
}

/// Waits until all of them send.
fn wait_for(sink: &Platform, prefix: &str) {
    let begun = Instant::now();
    loop {
        let sending = sink.publishers().iter().filter(|one| one.name.starts_with(prefix) && one.bytes_in > 0).count();
        if sending == STREAMS {
            return;
        }
        assert!(begun.elapsed() < Duration::from_secs(120), "{sending} of {STREAMS} send");
        std::thread::sleep(Duration::from_millis(200));
    }
}

fn is_ffmpeg(pid: u32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/comm")).is_ok_and(|name| name.trim() == "ffmpeg")
}

fn bare(clip: &Path, sink: &Platform, number: usize) -> Ending {
    let child: Child = Command::new("ffmpeg")
        .args(["-hide_banner", "-loglevel", "warning", "-nostats", "-re", "-stream_loop", "-1", "-i"])
        .arg(clip)
        .args(["-map", "0:v:0", "-map", "0:a:0", "-c", "copy", "-flvflags", "no_duration_filesize", "-f", "flv"])
        .arg(format!("{}/bare-{number}", sink.rtmp_url("live")))
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    Ending(child)
}

/// Names with the time their present connection began.
fn begun(sink: &Platform) -> HashMap<String, Instant> {
    let now = Instant::now();
    let publishers = sink.publishers().into_iter().filter(|one| one.video_codec.is_some());
    publishers.map(|one| (one.name, now - Duration::from_millis(one.time_ms))).collect()
}

/// Kills one ffmpeg after the other; seconds until each stream's next connection has picture.
fn crashes(home: &Path, server: u32, sink: &Platform) -> Vec<f64> {
    let mut seconds = Vec::new();
    for number in 0..CRASHES {
        let name = format!("ours-{}", number % STREAMS);
        let victim = family(server, home).into_iter().find(|pid| {
            let line = std::fs::read(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            line.starts_with(b"ffmpeg") && String::from_utf8_lossy(&line).split('\0').any(|word| word == name)
        });
        let victim = nix::unistd::Pid::from_raw(victim.expect("it is on air") as i32);
        nix::sys::signal::kill(victim, nix::sys::signal::Signal::SIGKILL).unwrap();
        let killed = Instant::now();
        loop {
            std::thread::sleep(Duration::from_millis(20));
            if begun(sink).get(&name).is_some_and(|begun| *begun > killed) {
                break;
            }
            assert!(killed.elapsed() < Duration::from_secs(60), "{name} does not come back");
        }
        seconds.push(killed.elapsed().as_secs_f64());
    }
    seconds
}

/// After a cut that has ended at `ended`: seconds until each stream has a new connection with picture.
fn back_after(sink: &Platform, since: Instant, ended: Instant) -> Vec<f64> {
    let mut back: HashMap<String, f64> = HashMap::new();
    while back.len() < STREAMS {
        assert!(ended.elapsed() < Duration::from_secs(180), "{} of {STREAMS} are back", back.len());
        for (name, begun) in begun(sink) {
            if name.starts_with("ours-") && begun > since {
                back.entry(name).or_insert(ended.elapsed().as_secs_f64());
            }
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    back.into_values().collect()
}

fn p95(mut seconds: Vec<f64>) -> f64 {
    seconds.sort_by(f64::total_cmp);
    seconds[(seconds.len() * 95).div_ceil(100) - 1]
}

/// Fifty streams beside fifty bare ffmpegs; crashes; cuts.
pub fn live() -> Vec<Figure> {
    let folder = tempfile::tempdir_in("target").unwrap();
    let home = std::fs::canonicalize(folder.path()).unwrap();
    let settings = "[live]\nallow_private_targets = true\nuplink_mbit = 10000\nmemory_mib = 100000\n";
    std::fs::write(home.join("jadwalstream.toml"), settings).unwrap();
    let mut sink = Platform::start();
    let clip = clip(&home);
    let server = Server::start(&home);
    let api = Api { header: format!("Authorization: Bearer {}", server.bearer()), server: &server };
    let form = format!("file=@{}", clip.display());
    let uploaded = curl(&["-H", &api.header, "-F", &form, &format!("{}/api/v1/videos", server.base)]);
    let uploaded: serde_json::Value = serde_json::from_str(&uploaded).unwrap();
    let video = &uploaded["items"][0]["id"];
    let mut streams = Vec::new();
    for number in 0..STREAMS {
        let target = json!({ "platform": "custom", "url": sink.rtmp_url("live"), "key": format!("ours-{number}") });
        let stream =
            json!({ "title": format!("Stream {number}"), "videos": [video], "loop": true, "targets": [target] });
        streams.push(api.post("/streams", &stream)["id"].as_str().unwrap().to_owned());
    }
    // In turns: those that begin together wake together ever after, and find the processor's caches warm.
    let mut bares: Vec<Ending> = Vec::with_capacity(STREAMS);
    for (number, stream) in streams.iter().enumerate() {
        api.post(&format!("/streams/{stream}/start"), &json!({}));
        bares.push(bare(&clip, &sink, number));
    }
    wait_for(&sink, "ours-");
    wait_for(&sink, "bare-");
    std::thread::sleep(Duration::from_secs(15));
    let ours = family(server.pid(), &home);
    let bare: Vec<u32> = bares.iter().map(|one| one.0.id()).collect();
    let own = [server.pid()];
    let senders: Vec<u32> = ours.iter().copied().filter(|pid| is_ffmpeg(*pid)).collect();
    let (mut ratios, mut spent) = (Vec::new(), [0.0; 4]);
    for _ in 0..ROUNDS {
        let read = || [&ours, &bare, &own.to_vec(), &senders].map(|pids| cpu(pids));
        let before = read();
        std::thread::sleep(MEASURED);
        let after = read();
        let round: [f64; 4] = std::array::from_fn(|place| after[place] - before[place]);
        ratios.push(round[0] / round[1]);
        (0..4).for_each(|place| spent[place] += round[place]);
    }
    let [all, bare, own, senders] = spent;
    let single: Vec<String> = ratios.iter().map(|ratio| format!("{ratio:.2}")).collect();
    ratios.sort_by(f64::total_cmp);
    let ratio = ratios[ROUNDS / 2];
    let memory = server.memory().1;
    drop(bares);
    let mut figures = vec![
        Figure::new(
            "50 copy streams: processor time of server, keepers and ffmpegs against 50 bare ffmpegs",
            format!(
                "{ratio:.2}× ({}; in all {all:.1} s, of them {senders:.1} s ffmpegs, {own:.1} s the server, {:.1} s keepers, against {bare:.1} s)",
                single.join(", "),
                all - senders - own,
            ),
            "≤ 1.05×",
            ratio <= 1.05,
        ),
        Figure::new(
            "50 copy streams: memory of the server, highest",
            format!("{:.1} MiB", memory as f64 / f64::from(1 << 20)),
            "≤ 60 MiB",
            memory <= 60 << 20,
        ),
    ];
    let crashed = p95(crashes(&home, server.pid(), &sink));
    let name = "back on air after a crash of ffmpeg, p95";
    figures.push(Figure::new(name, format!("{crashed:.1} s"), "≤ 3 s", crashed <= 3.0));
    let since = Instant::now();
    sink.freeze();
    std::thread::sleep(CUT);
    sink.thaw();
    // What was stuck may go on where it was: those that never left need no new connection.
    let frozen = p95(back_moving(&sink, since, Instant::now()));
    let name = "50 streams moving again after the peer stood still for 30 s, p95";
    figures.push(Figure::new(name, format!("{frozen:.1} s"), "≤ 5 s", frozen <= 5.0));
    std::thread::sleep(Duration::from_secs(90));
    let since = Instant::now();
    sink.kill_sink();
    std::thread::sleep(CUT);
    assert!(sink.revive());
    let refused = p95(back_after(&sink, since, Instant::now()));
    let name = "50 streams back on air after the peer was gone for 30 s, p95";
    figures.push(Figure::new(name, format!("{refused:.1} s"), "≤ 5 s", refused <= 5.0));
    for stream in &streams {
        api.post(&format!("/streams/{stream}/stop"), &json!({}));
    }
    let begun = Instant::now();
    while !server.on_air().is_empty() && begun.elapsed() < Duration::from_secs(60) {
        std::thread::sleep(Duration::from_millis(500));
    }
    figures
}

/// Like [`back_after`], for connections that may have lived through the cut: theirs is the moment at which bytes grow.
fn back_moving(sink: &Platform, since: Instant, ended: Instant) -> Vec<f64> {
    let mut bytes: HashMap<String, u64> = HashMap::new();
    let mut back: HashMap<String, f64> = HashMap::new();
    while back.len() < STREAMS {
        assert!(ended.elapsed() < Duration::from_secs(180), "{} of {STREAMS} move", back.len());
        for one in sink.publishers().into_iter().filter(|one| one.name.starts_with("ours-")) {
            let fresh = Instant::now() - Duration::from_millis(one.time_ms) > since && one.video_codec.is_some();
            let grown = bytes.get(&one.name).is_some_and(|before| one.bytes_in > *before + 300_000);
            if fresh || grown {
                back.entry(one.name.clone()).or_insert(ended.elapsed().as_secs_f64());
            }
            bytes.entry(one.name).or_insert(one.bytes_in);
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    back.into_values().collect()
}
