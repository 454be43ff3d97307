//! The files of one target of one run, which keeper and server share: who keeps it, how it goes, how it ended.
//!
//! Folders are 0700 and files 0600. Every file is replaced as a whole, so a reader never sees half of one.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};

use crate::text::Message;

/// Nothing that is written here is longer.
const LONGEST: u64 = 64 * 1024;

/// Tells a replaced file from the one before.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Stamp {
    inode: u64,
    changed: (i64, i64),
}

impl Stamp {
    fn of(file: &fs::Metadata) -> Stamp {
        Stamp { inode: file.ino(), changed: (file.mtime(), file.mtime_nsec()) }
    }
}

/// `RUN_DIR/<n>`: the folder of one target of one run.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TargetFolder {
    path: PathBuf,
}

impl TargetFolder {
    /// The folder of target number `target` of the run that lies in `run_dir`.
    pub fn new(run_dir: &Path, target: u16) -> Self {
        TargetFolder { path: run_dir.join(target.to_string()) }
    }

    /// Makes it, and the run's folder, if they are not there.
    pub fn create(&self) -> io::Result<()> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.path)
    }

    pub(crate) fn lock(&self) -> PathBuf {
        self.path.join("lock")
    }

    pub(crate) fn log(&self) -> PathBuf {
        self.path.join("log")
    }

    pub(crate) fn older_log(&self) -> PathBuf {
        self.path.join("log.1")
    }

    pub(crate) fn gate(&self) -> PathBuf {
        self.path.join("gate")
    }

    pub(crate) fn list(&self) -> PathBuf {
        self.path.join("list.ffconcat")
    }

    /// Who keeps, or kept, this target.
    pub fn identity(&self) -> Option<Identity> {
        read(&self.path.join("keeper.json"))
    }

    pub(crate) fn write_identity(&self, identity: &Identity) -> io::Result<()> {
        write(&self.path, "keeper.json", identity, true)
    }

    /// How it goes, as of [`Status::updated_at`].
    pub fn status(&self) -> Option<Status> {
        read(&self.path.join("status.json"))
    }

    /// How it goes, unless that is what was `seen` before; most looks find nothing new.
    pub(crate) fn newer_status(&self, seen: &mut Option<Stamp>) -> Option<Status> {
        let stamp = fs::metadata(self.path.join("status.json")).ok().map(|file| Stamp::of(&file));
        if stamp.is_some() && stamp == *seen {
            return None;
        }
        let status = self.status()?;
        *seen = stamp;
        Some(status)
    }

    /// Not synced: after a power cut it does not matter how it went.
    pub(crate) fn write_status(&self, status: &Status) -> io::Result<()> {
        write(&self.path, "status.json", status, false)
    }

    /// How it ended.
    pub fn outcome(&self) -> Option<Outcome> {
        read(&self.path.join("outcome.json"))
    }

    pub(crate) fn write_outcome(&self, outcome: &Outcome) -> io::Result<()> {
        write(&self.path, "outcome.json", outcome, true)
    }

    pub(crate) fn remove_outcome(&self) -> io::Result<()> {
        match fs::remove_file(self.path.join("outcome.json")) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            other => other,
        }
    }

    /// When a keeper has to end, where that is not what its plan said.
    pub(crate) fn stop_time(&self) -> Option<StopTime> {
        read(&self.path.join("stop.json"))
    }

    pub(crate) fn write_stop_time(&self, told: &StopTime) -> io::Result<()> {
        write(&self.path, "stop.json", told, true)
    }

    /// Where ffmpeg finds what it is to write into the picture.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Writes a text that ffmpeg draws.
    pub(crate) fn write_words(&self, name: &str, text: &str) -> io::Result<()> {
        replace(&self.path, name, text.as_bytes(), false)
    }

    pub(crate) fn write_list(&self, text: &str) -> io::Result<()> {
        replace(&self.path, "list.ffconcat", text.as_bytes(), false)
    }

    /// The newest `count` lines of the log, oldest first.
    pub fn log_tail(&self, count: usize) -> Vec<String> {
        let mut text = Vec::new();
        for path in [self.older_log(), self.log()] {
            if let Ok(file) = File::open(path) {
                // A read error ends the tail early; the log is no promise.
                let _ = file.take(2 * super::log::FULL).read_to_end(&mut text);
            }
        }
        let text = String::from_utf8_lossy(&text);
        let mut lines: Vec<String> = text.lines().rev().take(count).map(str::to_owned).collect();
        lines.reverse();
        lines
    }
}

/// Opens a lock file, which is made if it is not there. Closed on exec.
pub(crate) fn open_lock(path: &Path) -> io::Result<File> {
    OpenOptions::new().create(true).truncate(false).write(true).mode(0o600).open(path)
}

/// A process that cannot be mistaken for another one, after a restart of the machine either.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Identity {
    /// The run it serves.
    pub run_id: String,
    /// The target within the run.
    pub target: u16,
    /// Of several keepers for one target, the newest has the highest.
    pub fence: u64,
    /// Process id.
    pub pid: i32,
    /// Field 22 of `/proc/<pid>/stat`: clock ticks from boot to its start.
    pub start_time: u64,
    /// The boot that both belong to.
    pub boot_id: String,
}

impl Identity {
    pub(crate) fn of_self(run_id: &str, target: u16, fence: u64) -> io::Result<Identity> {
        let pid = std::process::id() as i32;
        let start_time = start_time(pid).ok_or_else(|| io::Error::other("cannot read /proc/self/stat"))?;
        Ok(Identity { run_id: run_id.to_owned(), target, fence, pid, start_time, boot_id: boot_id()? })
    }

    /// This very process runs right now; one that has ended and waits to be reaped does not.
    pub fn is_running(&self) -> bool {
        boot_id().is_ok_and(|boot_id| boot_id == self.boot_id) && start_time(self.pid) == Some(self.start_time)
    }
}

/// Start time of a process that is there and not a zombie.
pub(crate) fn start_time(pid: i32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    // The name in parentheses may hold anything.
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace();
    if matches!(fields.next()?, "Z" | "X" | "x") {
        return None;
    }
    fields.nth(18)?.parse().ok()
}

fn boot_id() -> io::Result<String> {
    Ok(fs::read_to_string("/proc/sys/kernel/random/boot_id")?.trim().to_owned())
}

/// Another stop time for a keeper that runs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct StopTime {
    /// The keeper that is told; a later one has it in its plan.
    pub(crate) fence: u64,
    /// `None`: until somebody stops it.
    pub(crate) stop_at: Option<Timestamp>,
}

/// State of one target.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Waiting for its time, or ffmpeg has not sent anything yet.
    Starting,
    /// Bytes or stream time advance.
    Sending,
    /// Something went wrong; it will be tried again.
    Retrying,
    /// Told to stop, ffmpeg is being ended.
    Stopping,
    /// Over, as planned or as told.
    Ended,
    /// Over, because it cannot work.
    Failed,
}

/// How it goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// What is.
    pub state: State,
    /// Since when.
    pub since: Timestamp,
    /// Why, where there is something to say.
    pub reason: Option<Message>,
    /// Starts of ffmpeg after something went wrong.
    pub restarts: u32,
    /// All starts of ffmpeg.
    pub attempts: u32,
    /// Bits a second over the last interval.
    pub bitrate: u64,
    /// Seconds of stream time sent, over all attempts.
    pub out_time: f64,
    /// Bytes sent, over all attempts.
    pub bytes: u64,
    /// Against real time; 1 is right.
    pub speed: Option<f32>,
    /// The ffmpeg that runs now.
    pub ffmpeg_pid: Option<u32>,
    /// Place in the plan of the item that plays, as far as it is known.
    pub item: usize,
    /// When the first keeper of this target began.
    pub started_at: Timestamp,
    /// When it has to end, as far as the keeper knows.
    #[serde(default)]
    pub stop_at: Option<Timestamp>,
    /// When this was written.
    pub updated_at: Timestamp,
    /// The last [`Status::SAMPLES`] bitrates: Unix time in milliseconds, bits a second.
    pub samples: Vec<(i64, u64)>,
}

impl Status {
    /// Length of the bitrate graph.
    pub const SAMPLES: usize = 120;

    pub(crate) fn starting(now: Timestamp) -> Status {
        Status {
            state: State::Starting,
            since: now,
            reason: None,
            restarts: 0,
            attempts: 0,
            bitrate: 0,
            out_time: 0.0,
            bytes: 0,
            speed: None,
            ffmpeg_pid: None,
            item: 0,
            started_at: now,
            stop_at: None,
            updated_at: now,
            samples: Vec::new(),
        }
    }
}

/// How a target's part of a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// The stop time came, or the items were through.
    Completed,
    /// Somebody stopped it.
    Stopped,
    /// It cannot work; the reason says why.
    Failed,
}

/// The last word on one target of one run. Synced to disk before the keeper goes.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Outcome {
    /// Completed, stopped or failed.
    pub outcome: End,
    /// Why, for failed.
    pub reason: Option<Message>,
    /// Bytes sent.
    pub bytes: u64,
    /// Seconds of stream time sent.
    pub out_time: f64,
    /// Starts of ffmpeg after something went wrong.
    pub restarts: u32,
    /// All starts of ffmpeg.
    pub attempts: u32,
    /// When it began.
    pub started_at: Timestamp,
    /// When ffmpeg was gone.
    pub ended_at: Timestamp,
    /// When it had to end, as far as the keeper knew.
    #[serde(default)]
    pub stop_at: Option<Timestamp>,
    /// The keeper that ended; keepers with this number or a lower one no longer start.
    pub fence: u64,
}

impl Outcome {
    /// Its stop time came, and that is by now `planned` for later than `now`: it was put off too late to be told.
    pub(crate) fn came_too_soon(&self, planned: Option<Timestamp>, now: Timestamp) -> bool {
        let in_time = |stop_at: Timestamp| self.outcome == End::Completed && self.ended_at >= stop_at;
        self.stop_at.is_some_and(|held| in_time(held) && planned.is_none_or(|planned| planned > held && planned > now))
    }
}

fn read<T: DeserializeOwned>(path: &Path) -> Option<T> {
    let mut text = Vec::new();
    File::open(path).ok()?.take(LONGEST).read_to_end(&mut text).ok()?;
    serde_json::from_slice(&text).ok()
}

fn write<T: Serialize>(folder: &Path, name: &str, value: &T, sync: bool) -> io::Result<()> {
    replace(folder, name, &serde_json::to_vec(value)?, sync)
}

fn replace(folder: &Path, name: &str, bytes: &[u8], sync: bool) -> io::Result<()> {
    let fresh = folder.join(format!("{name}.new"));
    let mut file = OpenOptions::new().create(true).truncate(true).write(true).mode(0o600).open(&fresh)?;
    file.write_all(bytes)?;
    if sync {
        file.sync_all()?;
    }
    fs::rename(&fresh, folder.join(name))?;
    if sync {
        File::open(folder)?.sync_all()?;
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn an_identity_is_only_this_process() {
        let me = Identity::of_self("r", 0, 1).unwrap();
        assert!(me.is_running());
        assert!(!Identity { start_time: me.start_time + 1, ..me.clone() }.is_running());
        assert!(!Identity { boot_id: "another".into(), ..me.clone() }.is_running());
        assert!(!Identity { pid: i32::MAX, ..me }.is_running());
    }

    #[test]
    fn files_are_private_and_whole() {
        let home = tempfile::tempdir().unwrap();
        let folder = TargetFolder::new(&home.path().join("run"), 3);
        folder.create().unwrap();
        folder.create().unwrap();
        let mode = |path: &Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(&home.path().join("run")), 0o700);
        assert_eq!(mode(&home.path().join("run/3")), 0o700);
        let status = Status::starting(Timestamp::now());
        folder.write_status(&status).unwrap();
        assert_eq!(folder.status(), Some(status.clone()));
        let mut seen = None;
        assert_eq!(folder.newer_status(&mut seen), Some(status.clone()));
        assert_eq!(folder.newer_status(&mut seen), None);
        let later = Status { bytes: 7, ..status };
        folder.write_status(&later).unwrap();
        assert_eq!(folder.newer_status(&mut seen), Some(later));
        assert_eq!(mode(&home.path().join("run/3/status.json")), 0o600);
        fs::write(home.path().join("run/3/status.json"), b"{\"state\":").unwrap();
        assert_eq!(folder.status(), None);
        assert_eq!(folder.outcome(), None);
        folder.remove_outcome().unwrap();
    }

    #[test]
    fn the_tail_of_the_log_spans_both_files() {
        let home = tempfile::tempdir().unwrap();
        let folder = TargetFolder::new(home.path(), 0);
        folder.create().unwrap();
        assert!(folder.log_tail(5).is_empty());
        fs::write(folder.older_log(), "1\n2\n3\n").unwrap();
        fs::write(folder.log(), "4\n5\n").unwrap();
        assert_eq!(folder.log_tail(3), ["3", "4", "5"]);
        assert_eq!(folder.log_tail(9).len(), 5);
    }
}
