//! How a program is boxed in while it works on a stranger's bytes.
//!
//! The server starts itself once more as `jadwalstream caged … -- PROGRAM ARGS…`. That fresh, single-threaded process
//! gives up everything the program does not need (memory, processor time, files, network, privileges) and then turns
//! into the program by `exec`. So nothing has to run between `fork` and `exec` of the server, where hardly anything
//! is sound. Each layer is taken as far as the kernel goes: Landlock for files and TCP, a network namespace of its
//! own with nothing in it, limits everywhere.

use std::ffi::{OsStr, OsString};
use std::fs::File;
use std::io;
use std::os::unix::process::{CommandExt, ExitStatusExt};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus, Stdio};
use std::time::Duration;

use nix::sched::{CloneFlags, unshare};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tokio::io::{AsyncBufReadExt, AsyncRead, AsyncReadExt, BufReader};

use super::walls;

/// The hidden subcommand that [`enter`] serves.
pub const SUBCOMMAND: &str = "caged";

/// Exit codes of the cage itself, as `env` and `timeout` have them.
const CAGE_FAILED: u8 = 125;
const NOT_STARTED: u8 = 126;
const NOT_FOUND: u8 = 127;

/// Where programs are looked for; the server's own environment does not reach the cage.
const SEARCH: &str = "/usr/local/bin:/usr/bin:/bin";

/// What a boxed-in program may touch and use up.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cage {
    /// Files (or folders) that may be read.
    pub read: Vec<PathBuf>,
    /// Folders that may be written in.
    pub write: Vec<PathBuf>,
    /// Address space in MiB.
    pub memory_mib: u64,
    /// Processor time in seconds, all threads together.
    pub cpu_seconds: u64,
    /// Size of the largest file it may write, in MiB.
    pub file_mib: u64,
    /// How far it stands back behind other programs, 0 to 19.
    pub nice: i32,
    /// It ends with the process of this number, which started it. [`run`] fills it in.
    pub parent: Option<u32>,
}

impl Default for Cage {
    /// Nothing to read or write, 1 GiB, 30 s.
    fn default() -> Self {
        Cage {
            read: Vec::new(),
            write: Vec::new(),
            memory_mib: 1024,
            cpu_seconds: 30,
            file_mib: 0,
            nice: 10,
            parent: None,
        }
    }
}

/// What starts the cage.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Launcher {
    /// This very program through `/proc/self/exe`, which is right even after an upgrade replaced the file.
    #[default]
    Own,
    /// A `jadwalstream` binary elsewhere, for programs that only link the library.
    Program(PathBuf),
    /// No cage: the unit tests' own binary has no such subcommand.
    #[cfg(test)]
    None,
}

/// What runs in a cage.
#[derive(Debug, Clone, Copy)]
pub enum Program<'a> {
    /// An absolute path, or a name looked for in the system's folders.
    File(&'a Path),
    /// The decoder of pictures, which is part of this program: nothing is left for it to open.
    Decoder,
    /// The reader of workbooks, which is part of this program too.
    Sheets,
}

/// How a command line names [`Program::Decoder`] and [`Program::Sheets`].
const DECODER: &str = "@picture";
const SHEETS: &str = "@sheet";

/// One run of a boxed-in program.
#[derive(Debug)]
pub struct Job<'a> {
    /// The program.
    pub program: Program<'a>,
    /// Its arguments.
    pub arguments: Vec<OsString>,
    /// Its limits.
    pub cage: Cage,
    /// What it reads on standard input; nothing where absent.
    pub input: Option<File>,
    /// After this long by the clock it is killed with everything it started.
    pub timeout: Duration,
    /// More bytes on standard output than this end it.
    pub output_limit: usize,
}

/// What a program that ended well had to say.
#[derive(Debug)]
pub struct Output {
    /// Standard output, whole.
    pub stdout: Vec<u8>,
    /// The beginning of standard error.
    pub stderr: String,
}

/// Why a run came to nothing.
#[derive(Debug, thiserror::Error)]
pub enum Failure {
    /// The program, or the cage around it, could not be started.
    #[error("cannot start: {0}")]
    NotStarted(String),
    /// It took longer than allowed.
    #[error("killed after {0:?}")]
    TimedOut(Duration),
    /// It was ended for using more than the cage allows, or crashed.
    #[error("ended by signal {0}")]
    Signalled(i32),
    /// It said more than the limit.
    #[error("too much output")]
    TooMuchOutput,
    /// It ended with a code other than 0.
    #[error("exit code {code}: {}", one_line(stderr))]
    Failed {
        /// The exit code.
        code: i32,
        /// The beginning of standard error.
        stderr: String,
    },
    /// A pipe to it broke.
    #[error(transparent)]
    Pipe(#[from] io::Error),
}

/// What a program said, for one line of the log: it repeats what it read in a stranger's file, which must neither begin
/// a line of its own nor steer a terminal.
fn one_line(said: &str) -> String {
    let lines: Vec<&str> = said.lines().map(str::trim).filter(|line| !line.is_empty()).collect();
    lines
        .join(" | ")
        .chars()
        .map(|letter| {
            if letter.is_control() || matches!(letter, '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
                '\u{fffd}'
            } else {
                letter
            }
        })
        .take(1000)
        .collect()
}

/// Takes each line that a program says.
pub type Listener<'l> = &'l mut (dyn FnMut(&str) + Send);

/// Of a longer line nothing is told.
const LONGEST_LINE: u64 = 4096;

/// Runs a program in its cage to the end.
///
/// # Errors
/// [`Failure`], where [`Failure::NotStarted`] is the machine's fault and the others most likely the file's.
pub async fn run(launcher: &Launcher, job: Job<'_>) -> Result<Output, Failure> {
    #[cfg(test)]
    match (launcher, job.program) {
        (Launcher::None, Program::Decoder) => return tests::decode(job),
        (Launcher::None, Program::Sheets) => return tests::read_sheet(job),
        _ => {}
    }
    run_heard(launcher, job, None).await
}

/// Like [`run`], with every line of standard output told as it comes and none kept.
///
/// # Errors
/// As [`run`].
pub async fn run_telling(launcher: &Launcher, job: Job<'_>, listener: Listener<'_>) -> Result<Output, Failure> {
    run_heard(launcher, job, Some(listener)).await
}

async fn run_heard(launcher: &Launcher, mut job: Job<'_>, listener: Option<Listener<'_>>) -> Result<Output, Failure> {
    job.cage.parent = Some(std::process::id());
    let mut command = command(launcher, &job);
    command.stdin(job.input.take().map_or_else(Stdio::null, Stdio::from)).stdout(Stdio::piped()).stderr(Stdio::piped());
    command.env_clear().current_dir("/").process_group(0).kill_on_drop(true);
    let mut child = command.spawn().map_err(|cause| Failure::NotStarted(cause.to_string()))?;
    // Declared after the child, so dropped before it: a cancelled run kills the group while its id is still ours.
    let mut group = Group(child.id().and_then(|id| i32::try_from(id).ok()).map(Pid::from_raw));
    let (Some(stdout), Some(stderr)) = (child.stdout.take(), child.stderr.take()) else {
        return Err(Failure::NotStarted("no pipes".to_owned()));
    };

    let work = async {
        let (stdout, stderr) = tokio::try_join!(
            async {
                match listener {
                    None => collect(stdout, job.output_limit, Beyond::Fail).await,
                    Some(listener) => tell(stdout, listener).await.map(|()| Vec::new()),
                }
            },
            collect(stderr, 16 * 1024, Beyond::Drop)
        )?;
        let status = child.wait().await?;
        Ok::<_, Failure>((stdout, String::from_utf8_lossy(&stderr).into_owned(), status))
    };
    let (stdout, stderr, status) = match tokio::time::timeout(job.timeout, work).await {
        Ok(Ok(done)) => {
            group.0 = None;
            done
        }
        ended => {
            drop(group);
            // Killed, so this is a matter of milliseconds; a process stuck in the kernel is left to the reaper.
            let _ = tokio::time::timeout(Duration::from_secs(2), child.wait()).await;
            return Err(match ended {
                Ok(Err(failure)) => failure,
                _ => Failure::TimedOut(job.timeout),
            });
        }
    };
    judge(status, stdout, stderr)
}

fn judge(status: ExitStatus, stdout: Vec<u8>, stderr: String) -> Result<Output, Failure> {
    if let Some(signal) = status.signal() {
        return Err(Failure::Signalled(signal));
    }
    match status.code().unwrap_or(-1) {
        0 => Ok(Output { stdout, stderr }),
        code if [CAGE_FAILED, NOT_STARTED, NOT_FOUND].map(i32::from).contains(&code) => {
            Err(Failure::NotStarted(one_line(&stderr)))
        }
        // 128 + n is how a shell in between reports a signal.
        code @ 129..=192 => Err(Failure::Signalled(code - 128)),
        code => Err(Failure::Failed { code, stderr }),
    }
}

#[expect(clippy::disallowed_types, reason = "this room starts programs, on files a Bucket handed out")]
fn command(launcher: &Launcher, job: &Job<'_>) -> tokio::process::Command {
    let program = match job.program {
        Program::File(path) => path,
        Program::Decoder => Path::new(DECODER),
        Program::Sheets => Path::new(SHEETS),
    };
    let launcher = match launcher {
        Launcher::Own => Path::new("/proc/self/exe"),
        Launcher::Program(path) => path,
        #[cfg(test)]
        Launcher::None => {
            let mut command = tokio::process::Command::new(program);
            command.args(&job.arguments).env("PATH", SEARCH);
            return command;
        }
    };
    let mut command = tokio::process::Command::new(launcher);
    command.arg(SUBCOMMAND).args(job.cage.arguments()).arg("--").arg(program).args(&job.arguments);
    command
}

/// A process group that dies with this value.
struct Group(Option<Pid>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0 {
            // Gone already is as good.
            let _ = killpg(group, Signal::SIGKILL);
        }
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Beyond {
    Fail,
    Drop,
}

/// Reads to the end, keeping at most `limit` bytes: a pipe that nobody drains would stop the program.
async fn collect(mut pipe: impl AsyncRead + Unpin, limit: usize, beyond: Beyond) -> Result<Vec<u8>, Failure> {
    let mut kept = Vec::new();
    let mut buffer = [0u8; 16 * 1024];
    loop {
        let count = pipe.read(&mut buffer).await?;
        if count == 0 {
            return Ok(kept);
        }
        let room = limit - kept.len();
        kept.extend_from_slice(&buffer[..count.min(room)]);
        if count > room && beyond == Beyond::Fail {
            return Err(Failure::TooMuchOutput);
        }
    }
}

/// Reads to the end, line by line.
async fn tell(pipe: impl AsyncRead + Unpin, listener: Listener<'_>) -> Result<(), Failure> {
    let mut pipe = BufReader::new(pipe);
    let (mut line, mut is_rest) = (Vec::new(), false);
    loop {
        line.clear();
        let count = (&mut pipe).take(LONGEST_LINE).read_until(b'\n', &mut line).await? as u64;
        if count == 0 {
            return Ok(());
        }
        let is_cut = count == LONGEST_LINE && line.last() != Some(&b'\n');
        if !is_rest && !is_cut {
            listener(String::from_utf8_lossy(&line).trim_end());
        }
        is_rest = is_cut;
    }
}

impl Cage {
    fn arguments(&self) -> Vec<OsString> {
        let mut arguments: Vec<OsString> = Vec::new();
        for (name, paths) in [("--read", &self.read), ("--write", &self.write)] {
            for path in paths {
                arguments.extend([name.into(), path.into()]);
            }
        }
        for (name, number) in
            [("--memory-mib", self.memory_mib), ("--cpu-seconds", self.cpu_seconds), ("--file-mib", self.file_mib)]
        {
            arguments.extend([name.into(), number.to_string().into()]);
        }
        arguments.extend(["--nice".into(), self.nice.to_string().into()]);
        if let Some(parent) = self.parent {
            arguments.extend(["--parent".into(), parent.to_string().into()]);
        }
        arguments
    }

    /// Splits `--read PATH… -- PROGRAM ARGS…` into the cage and the command line in it.
    fn parse(mut arguments: impl Iterator<Item = OsString>) -> Result<(Cage, OsString, Vec<OsString>), String> {
        let mut cage = Cage::default();
        loop {
            let name = arguments.next().ok_or("expected -- PROGRAM")?;
            if name == "--" {
                let program = arguments.next().ok_or("expected a program after --")?;
                return Ok((cage, program, arguments.collect()));
            }
            let value = arguments.next().ok_or_else(|| format!("{} needs a value", name.display()))?;
            fn number<T: std::str::FromStr>(name: &OsStr, value: &OsStr) -> Result<T, String> {
                let number = value.to_str().and_then(|text| text.parse().ok());
                number.ok_or_else(|| format!("{} needs a number", name.display()))
            }
            match name.to_str() {
                Some("--read") => cage.read.push(value.into()),
                Some("--write") => cage.write.push(value.into()),
                Some("--memory-mib") => cage.memory_mib = number(&name, &value)?,
                Some("--cpu-seconds") => cage.cpu_seconds = number(&name, &value)?,
                Some("--file-mib") => cage.file_mib = number(&name, &value)?,
                Some("--nice") => cage.nice = number(&name, &value)?,
                Some("--parent") => cage.parent = Some(number(&name, &value)?),
                _ => return Err(format!("unknown option {}", name.display())),
            }
        }
    }

    /// Gives up, for good and for the whole process, what the program does not need.
    fn close(&self, program: Option<&Path>) -> Result<(), String> {
        // Live streams come first, also when memory runs out. Failing to be humble is no reason to stop.
        let _ = rustix::process::nice(self.nice);
        let _ = std::fs::write("/proc/self/oom_score_adj", "500");
        limit(Resource::RLIMIT_CORE, 0)?;

        // Landlock knows TCP only; an own network namespace has nothing to talk to at all. Not every system lets us.
        let _ = unshare(CloneFlags::CLONE_NEWNET)
            .or_else(|_| unshare(CloneFlags::CLONE_NEWUSER | CloneFlags::CLONE_NEWNET));

        walls::close(program, &self.read, &self.write).map_err(|cause| format!("landlock: {cause}"))?;
        nix::sys::prctl::set_no_new_privs().map_err(|cause| format!("no_new_privs: {cause}"))?;

        // After the change of namespace, which would take it back; the signal stays over exec.
        if let Some(parent) = self.parent {
            nix::sys::prctl::set_pdeathsig(Signal::SIGKILL).map_err(|cause| format!("pdeathsig: {cause}"))?;
            // Had the server died before the line above, no signal would ever come.
            if u32::try_from(nix::unistd::getppid().as_raw()) != Ok(parent) {
                return Err("the server has gone".to_owned());
            }
        }

        limit(Resource::RLIMIT_NOFILE, 256)?;
        limit(Resource::RLIMIT_CPU, self.cpu_seconds)?;
        limit(Resource::RLIMIT_FSIZE, self.file_mib.saturating_mul(1 << 20))?;
        // Last, because this process itself may already be larger.
        limit(Resource::RLIMIT_AS, self.memory_mib.saturating_mul(1 << 20))
    }
}

fn limit(resource: Resource, most: u64) -> Result<(), String> {
    setrlimit(resource, most, most).map_err(|cause| format!("{resource:?}: {cause}"))
}

/// Where a program lies.
pub(super) fn find(program: &OsStr) -> Option<PathBuf> {
    let path = Path::new(program);
    if path.components().count() > 1 {
        return Some(path.to_owned());
    }
    SEARCH.split(':').map(|folder| Path::new(folder).join(path)).find(|candidate| candidate.is_file())
}

/// Serves `caged [--read PATH]… [--write PATH]… [--memory-mib N] [--cpu-seconds N] [--file-mib N] [--nice N] [--parent PID]
/// -- PROGRAM ARGS…`:
/// closes the cage around this process and becomes PROGRAM, or decodes a picture where that is `@picture`, or reads a
/// workbook where it is `@sheet`.
///
/// Call it first thing in `main`, while there is one thread.
pub fn enter(arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let (cage, program, arguments) = match Cage::parse(arguments) {
        Ok(parsed) => parsed,
        Err(complaint) => return refuse(CAGE_FAILED, &complaint),
    };
    if program == DECODER || program == SHEETS {
        return match cage.close(None) {
            Ok(()) if program == SHEETS => crate::schedule::sheet::work(),
            Ok(()) => super::decode::work(arguments.into_iter()),
            Err(complaint) => refuse(CAGE_FAILED, &complaint),
        };
    }
    let Some(path) = find(&program) else {
        return refuse(NOT_FOUND, &format!("{}: not found in {SEARCH}", program.display()));
    };
    if let Err(complaint) = cage.close(Some(&path)) {
        return refuse(CAGE_FAILED, &complaint);
    }
    let cause = std::process::Command::new(&path)
        .args(arguments)
        .env_clear()
        .env("PATH", SEARCH)
        .env("LC_ALL", "C.UTF-8")
        .exec();
    let code = if cause.kind() == io::ErrorKind::NotFound { NOT_FOUND } else { NOT_STARTED };
    refuse(code, &format!("{}: {cause}", path.display()))
}

fn refuse(code: u8, complaint: &str) -> ExitCode {
    eprintln!("{SUBCOMMAND}: {complaint}");
    ExitCode::from(code)
}

#[cfg(test)]
#[path = "cage_tests.rs"]
mod tests;
