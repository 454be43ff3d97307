//! The server's side of a keeper: start it, find it again, ask it, stop it.
//!
//! A keeper is known by pid, start time and boot, never by name; signals go through a pidfd, so they reach exactly that
//! process or nobody (THREATS 34). Dropping a [`Keeper`] does nothing to the process.

use std::path::Path;
use std::process::Stdio;
use std::time::Duration;

use jiff::Timestamp;
use rustix::process::Signal;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};

use super::keeper::files::{End, Identity, Outcome, Stamp, Status, StopTime, TargetFolder, open_lock};
use super::keeper::plan::Plan;
use super::keeper::{Reply, SUBCOMMAND};
use super::pidfd::ProcessHandle;
use crate::error::{Error, Result};
use crate::text::Message;

/// The running program itself, also after an upgrade has replaced its file.
pub const OWN_PROGRAM: &str = "/proc/self/exe";

/// What a keeper and its ffmpeg may know of our environment. Settings may hold secrets.
const ENVIRONMENT: [&str; 6] = ["PATH", "HOME", "TMPDIR", "LD_LIBRARY_PATH", "SSL_CERT_FILE", "SSL_CERT_DIR"];

/// A keeper has this long, beyond its wait for locks, to say that it stands.
const ANSWER: Duration = Duration::from_secs(10);

#[expect(clippy::disallowed_types, reason = "live/ starts keepers: our own binary")]
type Program = tokio::process::Command;

/// A keeper that was started by this server or by an earlier one.
#[derive(Debug, Clone)]
pub struct Keeper {
    folder: TargetFolder,
    identity: Identity,
}

/// What is left of a target's part of a run.
#[derive(Debug)]
pub enum Found {
    /// Its keeper runs.
    Running(Keeper),
    /// It is over. From here on no keeper with this fencing number, or a lower one, can start.
    Over(Outcome),
}

impl Keeper {
    /// Starts a keeper for `plan`; `run_dir` is the run's folder, `program` our own binary ([`OWN_PROGRAM`]). When this
    /// returns, the keeper holds its locks and its name is on disk; it goes on without us.
    ///
    /// # Errors
    /// [`Error::Conflict`] when the stream key is in use, the target has a keeper already, or a newer keeper or the
    /// outcome is there. [`Error::OverQuota`] on a full disk. Whatever comes back, no ffmpeg is left running.
    pub async fn start(program: &Path, plan: &Plan, run_dir: &Path) -> Result<Keeper> {
        let run_dir = std::path::absolute(run_dir)?;
        let text = zeroize::Zeroizing::new(serde_json::to_vec(plan)?);
        let mut command = Program::new(program);
        command.arg0("jadwalstream").arg(SUBCOMMAND).arg(&run_dir).env_clear();
        command.envs(ENVIRONMENT.iter().filter_map(|name| Some((name, std::env::var_os(name)?))));
        // One heap is enough for a process that is mostly asleep.
        command.env("MALLOC_ARENA_MAX", "1").env("LC_ALL", "C");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        // Dropping the child later lets it live; the runtime reaps it when it ends.
        let mut child = command.spawn()?;
        let (Some(mut stdin), Some(stdout)) = (child.stdin.take(), child.stdout.take()) else {
            return Err(Error::internal("starting a keeper")(anyhow::anyhow!("no pipes")));
        };
        let patience = ANSWER + 2 * Duration::from_millis(plan.timing.lock_wait_ms);
        let mut line = String::new();
        let answer = async {
            // A keeper that has gone away says so by its answer, or by none.
            let _ = stdin.write_all(&text).await;
            drop(stdin);
            BufReader::new(stdout).read_line(&mut line).await
        };
        let answered = tokio::time::timeout(patience, answer).await;
        let reply = match answered {
            Ok(Ok(_)) => serde_json::from_str(&line).ok(),
            _ => None,
        };
        match reply {
            Some(Reply::Ready(identity)) => Ok(Keeper { folder: TargetFolder::new(&run_dir, plan.target), identity }),
            Some(Reply::Busy(message)) => {
                child.wait().await?;
                Err(Error::Conflict(message))
            }
            Some(Reply::Broken(message)) => {
                child.wait().await?;
                if message.id == "error-disk-full" {
                    return Err(Error::OverQuota(message));
                }
                Err(Error::internal("starting a keeper")(anyhow::anyhow!("{message}")))
            }
            None => {
                // Its ffmpeg, should it have one already, dies with it.
                let _ = child.kill().await;
                Err(Error::internal("starting a keeper")(anyhow::anyhow!("no answer")))
            }
        }
    }

    /// Finds a keeper that an earlier server has left running.
    pub fn adopt(run_dir: &Path, target: u16) -> Option<Keeper> {
        let folder = TargetFolder::new(&std::path::absolute(run_dir).ok()?, target);
        let identity = folder.identity().filter(Identity::is_running)?;
        Some(Keeper { folder, identity })
    }

    /// Says for good what became of a target's part of a run: still kept, or over. When its keeper was lost without a
    /// word (killed, power cut), the end is written down here, and `fence` keeps a keeper that was only slow from
    /// starting after all. Not before `fence` is on record as the run's newest.
    ///
    /// # Errors
    /// [`Error::Conflict`] while a keeper is just starting: ask again.
    pub fn settle(run_dir: &Path, target: u16, fence: u64) -> Result<Found> {
        let run_dir = std::path::absolute(run_dir)?;
        let folder = TargetFolder::new(&run_dir, target);
        folder.create()?;
        let lock = open_lock(&folder.lock())?;
        match lock.try_lock() {
            Ok(()) => {}
            Err(std::fs::TryLockError::Error(error)) => return Err(error.into()),
            Err(std::fs::TryLockError::WouldBlock) => {
                return match Keeper::adopt(&run_dir, target) {
                    Some(keeper) => Ok(Found::Running(keeper)),
                    None => Err(Error::Conflict(Message::new("live-keeper-running"))),
                };
            }
        }
        if let Some(outcome) = folder.outcome().filter(|outcome| outcome.fence >= fence) {
            return Ok(Found::Over(outcome));
        }
        let status = folder.status().unwrap_or_else(|| Status::starting(Timestamp::now()));
        let outcome = Outcome {
            outcome: End::Failed,
            reason: Some(Message::new("live-reason-keeper-lost")),
            bytes: status.bytes,
            out_time: status.out_time,
            restarts: status.restarts,
            attempts: status.attempts,
            started_at: status.started_at,
            ended_at: status.updated_at,
            stop_at: None,
            fence,
        };
        folder.write_outcome(&outcome)?;
        Ok(Found::Over(outcome))
    }

    /// Who it is.
    pub fn identity(&self) -> &Identity {
        &self.identity
    }

    /// Its files.
    pub fn folder(&self) -> &TargetFolder {
        &self.folder
    }

    /// It runs right now.
    pub fn is_alive(&self) -> bool {
        self.identity.is_running()
    }

    /// How it goes.
    pub fn read_status(&self) -> Option<Status> {
        self.folder.status()
    }

    /// How it goes, unless that is what was `seen` before.
    pub(super) fn read_newer_status(&self, seen: &mut Option<Stamp>) -> Option<Status> {
        self.folder.newer_status(seen)
    }

    /// How it ended, once it has.
    pub fn read_outcome(&self) -> Option<Outcome> {
        self.folder.outcome().filter(|outcome| outcome.fence >= self.identity.fence)
    }

    /// The newest lines of its log, oldest first.
    pub fn read_log_tail(&self, count: usize) -> Vec<String> {
        self.folder.log_tail(count)
    }

    /// Tells it to end the stream; it does so by its ladder and writes the outcome. Nothing happens if it is gone.
    pub fn stop(&self) -> Result<()> {
        self.signal(Signal::TERM)
    }

    /// Whether it is known to hold this stop time, by its own word and by the last that it was told.
    pub(super) fn holds_stop_time(&self, status: &Status, stop_at: Option<Timestamp>) -> bool {
        let told = self.folder.stop_time().filter(|told| told.fence == self.identity.fence);
        status.stop_at == stop_at && told.is_none_or(|told| told.stop_at == stop_at)
    }

    /// Tells it another stop time, or that there is none; what it sends goes on undisturbed. Nothing happens if it is
    /// gone.
    pub fn change_stop_time(&self, stop_at: Option<Timestamp>) -> Result<()> {
        self.folder.write_stop_time(&StopTime { fence: self.identity.fence, stop_at })?;
        self.signal(Signal::HUP)
    }

    /// Has it break its connection off and make another one: the platform says that nothing arrives.
    pub(super) fn connect_anew(&self) -> Result<()> {
        self.signal(Signal::USR1)
    }

    /// Ends it at once, and with it its ffmpeg, without an outcome: only for a keeper that does not react to
    /// [`Keeper::stop`].
    pub fn kill(&self) -> Result<()> {
        self.signal(Signal::KILL)
    }

    /// Resolves when it is gone.
    pub async fn ended(&self) -> Result<()> {
        if let Some(handle) = self.handle()? {
            handle.watch()?.wait().await?;
        }
        Ok(())
    }

    fn signal(&self, signal: Signal) -> Result<()> {
        if let Some(handle) = self.handle()? {
            handle.signal(signal)?;
        }
        Ok(())
    }

    /// A handle to exactly this process; nothing if it is gone.
    fn handle(&self) -> Result<Option<ProcessHandle>> {
        let handle = ProcessHandle::open(self.identity.pid)?;
        // Looked at after the handle was made: what it names now is what it names for ever.
        Ok(handle.filter(|_| self.identity.is_running()))
    }
}
