//! One ffmpeg from its start to its end: drained, watched, and ended by the ladder when it is time.

use std::io;
use std::os::unix::process::ExitStatusExt as _;
use std::path::{Path, PathBuf};
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use jiff::Timestamp;
use nix::sys::signal::{Signal, killpg};
use nix::sys::stat::Mode;
use nix::unistd::{Pid, mkfifo};
use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::net::unix::pipe;
use tokio::time::{Instant, sleep_until};

use super::Session;
use super::connection::Connection;
use super::files::{State, Status};
use super::orders::{Order, left, until};
use super::plan::Item;
use super::playlist::Step;
use super::policy::{Fault, Symptoms};
use crate::live::launch;
use crate::live::pidfd::ProcessHandle;
use crate::live::progress::{Lines, Movement, Parser, Report, Watchdog};

/// After the end of ffmpeg, whatever still holds its pipes gets this long.
const DRAIN: Duration = Duration::from_millis(500);

/// Why an attempt is over.
#[derive(Debug)]
pub(crate) enum Ending {
    /// ffmpeg played all it had to.
    Finished,
    /// We ended it, as ordered.
    Ordered(Order),
    /// Something went wrong.
    Fault(Fault),
}

/// What came of an attempt.
#[derive(Debug)]
pub(crate) struct Ran {
    pub(crate) ending: Ending,
    /// Seconds of stream time that were sent.
    pub(crate) out_time: f64,
    /// From the first bytes to the end.
    pub(crate) sending: Duration,
    /// From the start to the end.
    pub(crate) took: Duration,
}

/// Holds an ffmpeg that was made ahead until its instant.
///
/// Its reports go to a named pipe, which it opens before it looks at its input or at the network; opening one for
/// writing ends only when somebody reads. So everything that makes ffmpeg slow to start, the loading of its many
/// libraries above all, is done when the instant comes. Until then it has no signal handlers and ends at the first
/// SIGTERM.
pub(crate) struct Gate {
    path: PathBuf,
    at: Timestamp,
}

impl Gate {
    /// A closed one.
    ///
    /// # Errors
    /// Where the file system has no named pipes, or no room.
    pub(crate) fn new(path: PathBuf, at: Timestamp) -> io::Result<Gate> {
        match std::fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        mkfifo(&path, Mode::S_IRUSR | Mode::S_IWUSR)?;
        Ok(Gate { path, at })
    }

    /// What `-progress` is told.
    pub(crate) fn url(&self) -> String {
        format!("file:{}", self.path.display())
    }
}

/// Where reports come from.
enum Reports {
    /// Nowhere yet, or not any more.
    None,
    /// ffmpeg's standard output.
    Stdout(tokio::process::ChildStdout),
    /// The gate, open; ours for writing too, because without a writer it would read as ended before ffmpeg is there.
    Opened(pipe::Receiver, PathBuf),
    /// The gate, once ffmpeg has written to it.
    Entered(pipe::Receiver),
}

impl Reports {
    fn open(gate: &Gate) -> io::Result<Reports> {
        let opened = pipe::OpenOptions::new().read_write(true).open_receiver(&gate.path)?;
        Ok(Reports::Opened(opened, gate.path.clone()))
    }

    /// Zero at the end, and when nothing can be read any more.
    async fn read(&mut self, buffer: &mut [u8]) -> usize {
        match self {
            Reports::None => std::future::pending().await,
            Reports::Stdout(pipe) => read(pipe, buffer).await,
            Reports::Entered(pipe) => read(pipe, buffer).await,
            Reports::Opened(pipe, path) => {
                let count = read(pipe, buffer).await;
                if let Ok(entered) = pipe::OpenOptions::new().open_receiver(Path::new(path)) {
                    *self = Reports::Entered(entered);
                }
                count
            }
        }
    }
}

/// SIGTERM, later SIGTERM, later SIGKILL (LIVE 14): stuck in a send, ffmpeg is deaf to the first.
struct Ladder {
    why: Ending,
    rung: u8,
    next: Instant,
}

/// What is known about the running ffmpeg.
struct Watch {
    begun: Instant,
    watchdog: Watchdog,
    symptoms: Symptoms,
    sending_since: Option<Instant>,
    /// Sent by earlier attempts.
    bytes_before: u64,
    out_time_before: f64,
    out_time: f64,
    /// When and what was the last report, for the bitrate; none before the first bytes, because nobody knows how much
    /// of the time before them was connecting, and how much of them waited for that.
    last: Option<(Instant, u64)>,
}

#[expect(clippy::disallowed_types, reason = "live/ starts ffmpeg, on files a Bucket handed out")]
type Program = tokio::process::Command;

/// Runs ffmpeg with `arguments`, which sends to `port`; behind a `gate` it begins when that opens.
pub(crate) async fn run(
    session: &mut Session,
    arguments: Vec<String>,
    step: &Step,
    (mut gate, port): (Option<Gate>, u16),
) -> Ran {
    let begun = Instant::now();
    session.status.attempts += 1;
    let mut program = Program::new("/proc/self/exe");
    let mut readable = Vec::new();
    if let Some(painting) = &session.plan.painting {
        readable.push(session.folder.path().to_owned());
        readable.extend(session.plan.items.iter().map(Item::path));
        readable.extend(painting.logo.as_ref().map(|logo| PathBuf::from(logo.path())));
        readable.extend(gate.as_ref().map(|gate| gate.path.clone()));
        program.current_dir(session.folder.path());
        // Its clock shows the time of this zone.
        program.envs(painting.clock.as_ref().map(|(zone, _)| ("TZ", zone)));
    }
    let spawned = program
        .arg0("jadwalstream")
        .arg(launch::SUBCOMMAND)
        .arg(std::process::id().to_string())
        .arg(readable.len().to_string())
        .args(&readable)
        .arg(&session.plan.ffmpeg)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn();
    let over = |ending| Ran { ending, out_time: 0.0, sending: Duration::ZERO, took: begun.elapsed() };
    let mut child = match spawned {
        Ok(child) => child,
        Err(error) => return over(Ending::Fault(Fault::Crashed(error.to_string()))),
    };
    let (Some(pid), Some(stdout), Some(mut stderr)) = (child.id(), child.stdout.take(), child.stderr.take()) else {
        return over(Ending::Fault(Fault::Crashed("spawn".into())));
    };
    let group = Pid::from_raw(pid as i32);
    let exit = match ProcessHandle::open(pid as i32).and_then(|handle| handle.map(ProcessHandle::watch).transpose()) {
        Ok(Some(exit)) => exit,
        // A child that is not reaped is there; only a machine short of descriptors comes here.
        Ok(None) => return over(Ending::Fault(Fault::Crashed("lost".into()))),
        Err(error) => return over(Ending::Fault(Fault::Crashed(error.to_string()))),
    };
    session.status.ffmpeg_pid = Some(pid);
    session.publish();

    let timing = session.plan.timing.clone();
    let stall = Duration::from_millis(timing.stall_ms);
    // Time spent waiting for its instant is not standing still.
    let begun = begun + gate.as_ref().and_then(|gate| left(gate.at)).unwrap_or_default();
    let mut watch = Watch {
        begun,
        watchdog: Watchdog::new(stall, Duration::from_millis(timing.behind_ms)),
        symptoms: Symptoms::default(),
        sending_since: None,
        bytes_before: session.status.bytes,
        out_time_before: session.status.out_time,
        out_time: 0.0,
        last: None,
    };
    let (mut reports, mut report_lines, mut log_lines) = (Parser::default(), Lines::default(), Lines::default());
    let mut incoming = if gate.is_some() { Reports::None } else { Reports::Stdout(stdout) };
    let mut out_buffer = [0u8; 2048];
    let mut err_buffer = [0u8; 8192];
    let (mut out_open, mut err_open) = (true, true);
    let mut status: Option<ExitStatus> = None;
    let mut ladder: Option<Ladder> = None;
    let mut drain_until = Instant::now();
    let (mut connection, mut looked) = (None, false);

    while status.is_none() || (out_open || err_open) && Instant::now() < drain_until {
        let alarm = match (&status, &ladder) {
            (Some(_), _) => drain_until,
            (None, Some(ladder)) => ladder.next,
            (None, None) => watch.begun + watch.watchdog.deadline(),
        };
        let opening = async {
            match &gate {
                Some(gate) => until(gate.at).await,
                None => std::future::pending().await,
            }
        };
        let ordered = matches!(ladder, Some(Ladder { why: Ending::Ordered(_), .. }));
        tokio::select! {
            biased;
            order = session.orders.due(), if status.is_none() && !ordered => {
                session.log.note(if order == Order::Stop { "told to stop" } else { "stop time" });
                session.enter(State::Stopping, None);
                let rung = ladder.map_or(0, |ladder| ladder.rung);
                ladder = Some(Ladder { why: Ending::Ordered(order), rung, next: Instant::now() });
            }
            () = opening, if status.is_none() && ladder.is_none() => {
                match gate.take().map(|gate| Reports::open(&gate)) {
                    Some(Ok(opened)) => incoming = opened,
                    Some(Err(error)) => {
                        let why = Ending::Fault(Fault::Crashed(error.to_string()));
                        ladder = Some(Ladder { why, rung: 0, next: Instant::now() });
                    }
                    None => {}
                }
            }
            _ = exit.wait(), if status.is_none() => {
                // The leader is not reaped yet, so the group's number is still its own: whatever a wrapper script
                // left behind goes with it.
                let _ = killpg(group, Signal::SIGKILL);
                status = child.wait().await.ok().or(Some(ExitStatus::default()));
                drain_until = Instant::now() + DRAIN;
                out_open = matches!(incoming, Reports::Stdout(_) | Reports::Entered(_));
            }
            // Before the pipes: a flood of words must not hide that it is time.
            () = sleep_until(alarm), if status.is_none() => match &mut ladder {
                Some(ladder) => ladder.climb(session, group),
                None => {
                    session.log.note(&format!("nothing moved for {} s", stall.as_secs_f64()));
                    ladder = Some(Ladder { why: Ending::Fault(Fault::Stalled), rung: 0, next: Instant::now() });
                }
            },
            () = sleep_until(alarm), if status.is_some() => {}
            _ = session.anew.recv(), if status.is_none() && ladder.is_none() && watch.sending_since.is_some() => {
                session.log.note("the platform says that nothing arrives");
                ladder = Some(Ladder { why: Ending::Fault(Fault::Unheard), rung: 0, next: Instant::now() });
            }
            count = incoming.read(&mut out_buffer), if out_open => {
                out_open = count > 0;
                let mut found = Vec::new();
                report_lines.feed(&out_buffer[..count], |line| found.extend(reports.line(line)));
                for report in found {
                    if let Some(fault) = watch.take(session, &report, step, ladder.is_some())
                        && ladder.is_none() && status.is_none()
                    {
                        ladder = Some(Ladder { why: Ending::Fault(fault), rung: 0, next: Instant::now() });
                    }
                }
                if watch.sending_since.is_some() && !looked {
                    looked = true;
                    connection = Connection::of(pid, port);
                    if let Some(connection) = &connection {
                        connection.give_up_after(Duration::from_millis(timing.rw_timeout_ms));
                    }
                }
            }
            count = read(&mut stderr, &mut err_buffer), if err_open => {
                err_open = count > 0;
                log_lines.feed(&err_buffer[..count], |line| watch.heard(session, line));
            }
        }
    }
    log_lines.flush(|line| watch.heard(session, line));
    let status = status.unwrap_or_default();
    let ordered = matches!(ladder, Some(Ladder { why: Ending::Ordered(_), .. }));
    session.log.note(&format!("ffmpeg {pid} {}", how_it_ended(status, ordered)));
    session.status.ffmpeg_pid = None;
    session.status.bitrate = 0;
    session.status.speed = None;
    let ending = match ladder {
        Some(ladder) => ladder.why,
        None => watch.ending(status, step),
    };
    // Dropped, it is closed as usual.
    session.left = connection.filter(|_| matches!(ending, Ending::Fault(_))).map(Connection::break_off);
    Ran {
        ending,
        out_time: watch.out_time,
        sending: watch.sending_since.map(|since| since.elapsed()).unwrap_or_default(),
        took: begun.elapsed(),
    }
}

impl Ladder {
    fn climb(&mut self, session: &mut Session, group: Pid) {
        let timing = &session.plan.timing;
        let (signal, wait) = match self.rung {
            0 => (Signal::SIGTERM, timing.term_again_ms),
            1 => (Signal::SIGTERM, timing.kill_ms),
            // Again and again: a process in a stuck disk read dies when the disk comes back.
            _ => (Signal::SIGKILL, 1000),
        };
        if self.rung < 3 {
            let how = if signal == Signal::SIGKILL { "ending ffmpeg by force" } else { "asking ffmpeg to end" };
            session.log.note(&format!("{how} ({signal})"));
        }
        // Not reaped, so the number is still its own.
        let _ = killpg(group, signal);
        self.rung = self.rung.saturating_add(1);
        self.next = Instant::now() + Duration::from_millis(wait);
    }
}

impl Watch {
    /// Takes a report into the status; gives the fault it shows, if any.
    fn take(&mut self, session: &mut Session, report: &Report, step: &Step, ending: bool) -> Option<Fault> {
        let now = Instant::now();
        let movement = self.watchdog.see(now.saturating_duration_since(self.begun), report);
        let status = &mut session.status;
        if let Some(out_time_us) = report.out_time_us {
            self.out_time = self.out_time.max(out_time_us as f64 / 1e6);
            status.out_time = self.out_time_before + self.out_time;
        }
        if let Some(size) = report.total_size {
            match self.last {
                None => self.last = (size > 0).then_some((now, size)),
                Some((at, before)) => {
                    let interval = now.saturating_duration_since(at).as_secs_f64();
                    let bits = size.saturating_sub(before) as f64 * 8.0;
                    // The last report follows the one before at once and would show a peak that never was.
                    if interval >= 0.05 {
                        status.bitrate = (bits / interval) as u64;
                        if status.samples.len() >= Status::SAMPLES {
                            status.samples.remove(0);
                        }
                        status.samples.push((Timestamp::now().as_millisecond(), status.bitrate));
                        self.last = Some((now, size));
                    }
                }
            }
            status.bytes = self.bytes_before + size;
        }
        status.speed = report.speed;
        status.item = session.playlist.playing(step, self.out_time);
        if movement != Movement::Still && self.sending_since.is_none() {
            self.sending_since = Some(now);
        }
        if movement != Movement::Still && !ending && session.status.state != State::Sending {
            session.enter(State::Sending, None);
        } else {
            session.publish();
        }
        (movement == Movement::Behind).then_some(Fault::Behind)
    }

    fn heard(&mut self, session: &mut Session, line: &str) {
        self.symptoms.see(line);
        session.log.line(line);
    }

    /// Reads an end that we did not bring about.
    fn ending(&self, status: ExitStatus, step: &Step) -> Ending {
        let item = step.items.first().copied().unwrap_or_default();
        match status.code() {
            Some(0) if self.watchdog.moved() => Ending::Finished,
            Some(launch::NOT_FOUND | launch::NOT_RUNNABLE) => Ending::Fault(Fault::NoProgram),
            _ => Ending::Fault(self.symptoms.fault(self.watchdog.moved(), how_it_ended(status, false), item)),
        }
    }
}

/// An end as people say it: what ffmpeg returns when it is told to end is no fault of anybody's.
fn how_it_ended(status: ExitStatus, ordered: bool) -> String {
    match (status.code(), status.signal().and_then(|number| Signal::try_from(number).ok())) {
        _ if ordered => "ended as ordered".to_owned(),
        (Some(0), _) => "came to its end by itself".to_owned(),
        (Some(code), _) => format!("gave up with code {code}"),
        (None, Some(signal)) => format!("was killed ({signal})"),
        (None, None) => "was killed".to_owned(),
    }
}

/// Zero at the end, and when the pipe cannot be read any more.
async fn read(pipe: &mut (impl AsyncRead + Unpin), buffer: &mut [u8]) -> usize {
    pipe.read(buffer).await.unwrap_or(0)
}
