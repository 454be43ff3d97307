//! What the cage does with programs, without its walls: those are tested on the built program.

use std::time::Instant;

use super::*;

/// The tests' own program cannot start itself as a cage, so it decodes on the spot.
pub(super) fn decode(mut job: Job<'_>) -> Result<Output, Failure> {
    let (mut bytes, mut stdout) = (Vec::new(), Vec::new());
    io::Read::read_to_end(&mut job.input.take().unwrap(), &mut bytes)?;
    let longest = job.arguments.first().map(|longest| longest.to_str().unwrap().parse().unwrap());
    crate::media::decode::answer(bytes, longest, &mut stdout)?;
    Ok(Output { stdout, stderr: String::new() })
}

pub(super) fn read_sheet(mut job: Job<'_>) -> Result<Output, Failure> {
    let (mut bytes, mut stdout) = (Vec::new(), Vec::new());
    io::Read::read_to_end(&mut job.input.take().unwrap(), &mut bytes)?;
    crate::schedule::sheet::answer(bytes, &crate::schedule::sheet::Limits::default(), &mut stdout)?;
    Ok(Output { stdout, stderr: String::new() })
}

fn shell(script: &str) -> Job<'static> {
    Job {
        program: Program::File(Path::new("/bin/sh")),
        arguments: vec!["-c".into(), script.into()],
        cage: Cage::default(),
        input: None,
        timeout: Duration::from_secs(10),
        output_limit: 1024,
    }
}

#[test]
fn a_cage_reads_back_what_it_wrote() {
    let cage = Cage {
        read: vec!["/a b".into(), "/-- c".into()],
        write: vec!["/d".into()],
        memory_mib: 7,
        cpu_seconds: 8,
        file_mib: 9,
        nice: 19,
        parent: Some(10),
    };
    let line = cage.arguments().into_iter().chain(["--", "ffprobe", "--read", "/x"].map(OsString::from));
    let (parsed, program, arguments) = Cage::parse(line).unwrap();
    assert_eq!(parsed, cage);
    assert_eq!(program, "ffprobe");
    assert_eq!(arguments, ["--read", "/x"]);
}

#[test]
fn a_cage_refuses_what_it_does_not_know() {
    for line in
        [vec!["--"], vec!["--read"], vec!["--allow", "x", "--", "true"], vec!["--memory-mib", "many", "--", "true"]]
    {
        assert!(Cage::parse(line.iter().map(OsString::from)).is_err(), "{line:?}");
    }
}

#[tokio::test]
async fn output_and_errors_come_back() {
    let output = run(&Launcher::None, shell("echo out; echo err >&2; env")).await.unwrap();
    let stdout = String::from_utf8(output.stdout).unwrap();
    assert!(stdout.starts_with("out\n"), "{stdout}");
    assert!(!stdout.contains("CARGO"), "{stdout}");
    assert_eq!(output.stderr, "err\n");
    let failure = run(&Launcher::None, shell("echo no >&2; exit 3")).await.unwrap_err();
    assert!(matches!(failure, Failure::Failed { code: 3, ref stderr } if stderr == "no\n"), "{failure}");
    let failure = Failure::Failed { code: 1, stderr: "a\n\n  2026 ERROR forged\r\n\u{1b}[2Jb".into() };
    assert_eq!(failure.to_string(), "exit code 1: a | 2026 ERROR forged | \u{fffd}[2Jb");
}

#[tokio::test]
async fn a_hanging_program_is_killed_with_its_children() {
    let folder = tempfile::tempdir().unwrap();
    let pids = folder.path().join("pids");
    let mut job = shell(&format!("sleep 300 & echo $! > {0}; echo $$ >> {0}; wait", pids.display()));
    job.timeout = Duration::from_millis(400);
    let before = Instant::now();
    let failure = run(&Launcher::None, job).await.unwrap_err();
    assert!(matches!(failure, Failure::TimedOut(_)), "{failure}");
    assert!(before.elapsed() < Duration::from_secs(3));
    for pid in std::fs::read_to_string(&pids).unwrap().lines() {
        // Killed is not yet dead on a busy machine, and a grandchild may stay a zombie for as long as init likes.
        loop {
            let state = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
            if state.is_empty() || state.rsplit(')').next().is_some_and(|rest| rest.starts_with(" Z")) {
                break;
            }
            assert!(before.elapsed() < Duration::from_secs(10), "{state}");
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
    }
}

#[tokio::test]
async fn a_talkative_program_is_ended() {
    let failure = run(&Launcher::None, shell("while :; do echo yes; done")).await.unwrap_err();
    assert!(matches!(failure, Failure::TooMuchOutput), "{failure}");
    let output = run(&Launcher::None, shell("head -c 1000000 /dev/zero >&2; echo done")).await.unwrap();
    assert_eq!(output.stdout, b"done\n");
    assert!(output.stderr.len() <= 16 * 1024);
}

#[tokio::test]
async fn every_line_is_told_as_it_comes() {
    let mut told = Vec::new();
    let script = "echo one; printf '\\377\\n'; head -c 9000 /dev/zero | tr '\\0' x; echo; echo two; printf three";
    let output = run_telling(&Launcher::None, shell(script), &mut |line| told.push(line.to_owned())).await.unwrap();
    assert_eq!(told, ["one", "\u{fffd}", "two", "three"]);
    assert!(output.stdout.is_empty());
}

#[tokio::test]
async fn a_missing_program_is_told_apart_from_a_bad_file() {
    let job = Job { program: Program::File(Path::new("/nowhere/ffprobe")), ..shell("") };
    let failure = run(&Launcher::None, job).await.unwrap_err();
    assert!(matches!(failure, Failure::NotStarted(_)), "{failure}");
}
