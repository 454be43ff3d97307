//! The cage around programs that work on a stranger's bytes, as the built program has it.

use std::io::{BufRead as _, BufReader};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};
use std::time::{Duration, Instant};

const PROGRAM: &str = env!("CARGO_BIN_EXE_jadwalstream");

/// Runs `caged OPTIONS -- COMMAND`.
fn caged(options: &[&str], command: &[&str]) -> Output {
    Command::new(PROGRAM).arg("caged").args(options).arg("--").args(command).env("SECRET", "s3cret").output().unwrap()
}

fn text(output: &Output) -> String {
    format!(
        "{:?} {}{}",
        output.status.code(),
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    )
}

/// Whether this kernel knows Landlock; without it some of the cage's walls are missing, and tests of them say nothing.
pub fn landlock() -> bool {
    let found = std::fs::read_to_string("/sys/kernel/security/lsm").is_ok_and(|list| list.contains("landlock"));
    // Where securityfs is not mounted, the proof is in the walls: /etc/hostname is readable to all but the caged.
    let walled = !caged(&[], &["cat", "/etc/passwd"]).status.success();
    assert!(walled || !found, "this kernel has Landlock, and the cage does not use it");
    if !walled {
        eprintln!("no Landlock here: this test says nothing");
    }
    walled
}

fn clip(folder: &Path, name: &str) -> PathBuf {
    let path = folder.join(name);
    let made = Command::new("ffmpeg")
        .args(["-v", "error", "-nostdin", "-f", "lavfi", "-i", "testsrc2=s=64x36:r=10", "-t", "1"])
        .args(["-c:v", "libx264", "-pix_fmt", "yuv420p"])
        .arg(&path)
        .status()
        .unwrap();
    assert!(made.success());
    path
}

fn probe<'a>(url: &'a str, more: &[&'a str]) -> Vec<&'a str> {
    [&["ffprobe", "-v", "error", "-show_entries", "format=duration"], more, &[url]].concat()
}

#[test]
fn a_caged_ffprobe_reads_the_named_file_and_no_other() {
    let folder = tempfile::tempdir().unwrap();
    let (own, neighbour) = (clip(folder.path(), "own.mp4"), clip(folder.path(), "neighbour.mp4"));
    let (own, neighbour) = (own.to_str().unwrap(), neighbour.to_str().unwrap());
    let read = ["--read", own];
    let output = caged(&read, &probe(own, &[]));
    assert!(output.status.success() && text(&output).contains("duration=1.0"), "{}", text(&output));
    if !landlock() {
        return;
    }
    for (path, options) in [(neighbour, vec![]), ("/etc/passwd", vec!["-f", "mpegts"])] {
        let output = caged(&read, &probe(path, &options));
        assert!(!output.status.success() && text(&output).contains("Permission denied"), "{}", text(&output));
    }
    // A playlist in its own file, followed by an ffprobe that nobody told what to open.
    let list = folder.path().join("list.m3u8");
    std::fs::write(&list, format!("#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\n{neighbour}\n#EXT-X-ENDLIST\n"))
        .unwrap();
    let list = list.to_str().unwrap();
    let followed = probe(list, &["-allowed_extensions", "ALL"]);
    let outside = Command::new(followed[0]).args(&followed[1..]).output().unwrap();
    assert!(text(&outside).contains("duration=1.0"), "the trick works outside: {}", text(&outside));
    let inside = caged(&["--read", list], &followed);
    assert!(!text(&inside).contains("duration=1.0"), "{}", text(&inside));
}

#[test]
fn a_caged_program_writes_into_its_folder_only() {
    let folder = tempfile::tempdir().unwrap();
    let (inside, outside) = (folder.path().join("inside"), folder.path().join("outside"));
    std::fs::create_dir(&inside).unwrap();
    std::fs::create_dir(&outside).unwrap();
    let options = ["--write", inside.to_str().unwrap(), "--file-mib", "1"];
    let write = |path: &Path, bytes: &str| {
        caged(
            &options,
            &["dd", "if=/dev/zero", &format!("of={}", path.display()), "bs=1024", &format!("count={bytes}")],
        )
    };
    let output = write(&inside.join("small"), "10");
    assert!(output.status.success(), "{}", text(&output));
    assert!(!write(&inside.join("large"), "2048").status.success());
    if landlock() {
        assert!(!write(&outside.join("small"), "10").status.success());
        assert!(!outside.join("small").exists());
    }
}

#[test]
fn a_caged_program_has_no_network() {
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("tcp://{}", listener.local_addr().unwrap());
    let command = ["ffprobe", "-v", "error", "-f", "mpegts", "-timeout", "2000000", &url];
    let output = caged(&[], &command);
    assert!(!output.status.success());
    listener.set_nonblocking(true).unwrap();
    if landlock() {
        assert!(listener.accept().is_err(), "{}", text(&output));
    }
}

#[test]
fn the_servers_environment_does_not_reach_it() {
    let output = caged(&[], &["env"]);
    let text = text(&output);
    assert!(output.status.success() && text.contains("PATH=") && !text.contains("s3cret"), "{text}");
}

#[test]
fn it_is_limited_in_memory_time_and_rank() {
    let output =
        caged(&["--memory-mib", "300", "--cpu-seconds", "7"], &["sh", "-c", "ulimit -v; ulimit -t; ulimit -c; nice"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "307200\n7\n0\n10\n", "{}", text(&output));
    let output = caged(&["--read", "/proc"], &["grep", "NoNewPrivs", "/proc/self/status"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout), "NoNewPrivs:\t1\n", "{}", text(&output));

    let before = Instant::now();
    let output = caged(&["--cpu-seconds", "1"], &["sh", "-c", "while :; do :; done"]);
    assert!(!output.status.success() && before.elapsed() < Duration::from_secs(20), "{}", text(&output));
}

#[test]
fn a_cage_that_cannot_be_closed_starts_nothing() {
    for (options, command, code) in [
        (vec!["--allow-all", "yes"], vec!["true"], 125),
        (vec!["--memory-mib", "plenty"], vec!["true"], 125),
        (vec![], vec![], 125),
        (vec![], vec!["no-such-program-anywhere"], 127),
        (vec![], vec!["/etc/passwd"], 126),
    ] {
        let output = caged(&options, &command);
        assert_eq!(output.status.code(), Some(code), "{options:?} {command:?}: {}", text(&output));
    }
}

#[tokio::test]
async fn the_demos_clips_are_made_inside_the_cage() {
    use jadwalstream::media::{Launcher, Tools, sniff};

    let tools = Tools::new("ffmpeg", "ffprobe", Launcher::Program(PROGRAM.into()));
    tools.check().await.unwrap();
    let folder = tempfile::tempdir().unwrap();
    let before = Instant::now();
    let sample = tools.sample_clips(&jadwalstream::auth::Tenant::parse("al").unwrap(), folder.path()).await.unwrap();
    eprintln!("the demo took {:?}", before.elapsed());
    assert_eq!((sample.clips.len(), sample.pictures.len()), (3, 2));
    for clip in sample.clips {
        assert_eq!(sniff(&std::fs::read(&clip.path).unwrap()), Some(clip.container));
        assert_eq!(clip.path.parent(), Some(folder.path()));
    }
}

#[test]
fn a_caged_program_ends_with_the_server_that_started_it() {
    let script = format!("{PROGRAM} caged --parent $$ -- sleep 1000 & echo $!; wait");
    let mut server = Command::new("sh").args(["-c", &script]).stdout(Stdio::piped()).spawn().unwrap();
    let mut line = String::new();
    BufReader::new(server.stdout.take().unwrap()).read_line(&mut line).unwrap();
    let state = || {
        let stat = std::fs::read_to_string(format!("/proc/{}/stat", line.trim())).unwrap_or_default();
        stat.rsplit_once(") ").map(|(name, rest)| (name.contains("(sleep"), rest.starts_with('Z')))
    };
    let until = Instant::now() + Duration::from_secs(20);
    while state() != Some((true, false)) {
        assert!(Instant::now() < until, "{:?}", state());
        std::thread::sleep(Duration::from_millis(10));
    }
    server.kill().unwrap();
    server.wait().unwrap();
    while state().is_some_and(|(_, is_zombie)| !is_zombie) {
        assert!(Instant::now() < until, "it goes on without its server");
        std::thread::sleep(Duration::from_millis(10));
    }
    // One that comes too late to get the signal notices.
    let late = caged(&["--parent", "1"], &["sleep", "1000"]);
    assert!(text(&late).contains("the server has gone"), "{}", text(&late));
}
