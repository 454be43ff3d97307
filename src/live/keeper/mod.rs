//! The keeper: `jadwalstream keep RUN_DIR`, the process that keeps one target of one run on air.
//!
//! It outlives the server: a session of its own, no pipe to the server after the start, everything it knows on disk in
//! `RUN_DIR/<n>/` ([`files`]). It supervises one ffmpeg at a time, so logs are redacted before they reach the disk, exit
//! codes are never lost, and the stop time is kept with the server down.
//!
//! Two locks stand for two promises. `RUN_DIR/<n>/lock` is held by this process: one keeper for a target. The lock of
//! the stream key is held by this process *and by ffmpeg*, which inherits it: the kernel itself sees to it that no two
//! encoders share a key, across runs, tenants and crashes.
//!
//! A fencing number closes the last gap: a keeper that was slow to start finds a newer one's name, or the run's
//! outcome, and goes.

pub mod files;
pub mod plan;

mod attempt;
mod connection;
mod door;
mod feed;
pub(crate) mod log;
mod orders;
mod playlist;
mod policy;

use std::ffi::OsString;
use std::fs::{File, TryLockError};
use std::io::{self, Read, Write};
use std::net::IpAddr;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use nix::fcntl::{FcntlArg, FdFlag, fcntl};
use nix::sys::resource::{Resource, setrlimit};
use nix::sys::stat::{Mode, umask};
use serde::{Deserialize, Serialize};
use tokio::signal::unix::{Signal, SignalKind, signal};

use self::attempt::{Ending, Gate, Ran};
use self::connection::Ends;
use self::files::{End, Identity, Outcome, State, Status, TargetFolder, open_lock};
use self::log::Log;
use self::orders::{Order, Orders, left, until};
use self::plan::Plan;
use self::playlist::{Playlist, Step};
use self::policy::{Fault, Next, Policy};
use crate::error::Error;
use crate::live::ffmpeg::{self, Output};
use crate::live::target::Scheme;
use crate::text::Message;

/// The hidden subcommand.
pub const SUBCOMMAND: &str = "keep";

/// Exit code of a keeper that is not needed: the target has one, the key is in use, the run is over (EX_TEMPFAIL).
pub const BUSY: u8 = 75;

/// Before the start time, ffmpeg is started this early; it goes on at the instant itself.
const LEAD: Duration = Duration::from_secs(2);
/// Up to so much earlier where the plan came early, as it does when many are due at once: making a thousand processes
/// in one moment would take longer than the moment.
const SPREAD_MS: u32 = 10_000;

/// A key that is still in use at the start time may become free within this.
const LATE: Duration = Duration::from_secs(5);

/// How long a full disk may keep us from writing down the outcome.
const LAST_WORD: Duration = Duration::from_secs(300);

/// The keeper's one line to the server.
#[derive(Debug, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Reply {
    /// It holds its locks and has written down who it is.
    Ready(Identity),
    /// It goes, because of others.
    Busy(Message),
    /// It goes, because something does not work.
    Broken(Message),
}

/// Entry point of `jadwalstream keep RUN_DIR`; the plan comes on standard input.
pub fn main(mut arguments: impl Iterator<Item = OsString>) -> ExitCode {
    let Some(run_dir) = arguments.next().and_then(|dir| std::path::absolute(dir).ok()) else {
        return ExitCode::from(2);
    };
    // Fails only for a group leader, which then has its own session or was started by hand.
    let _ = nix::unistd::setsid();
    umask(Mode::from_bits_truncate(0o077));
    // The key is in our memory and in ffmpeg's.
    let _ = setrlimit(Resource::RLIMIT_CORE, 0, 0);
    let _ = std::env::set_current_dir("/");

    let runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        // Only names are resolved there.
        .max_blocking_threads(1)
        .thread_keep_alive(Duration::from_secs(1))
        .build();
    let Ok(runtime) = runtime else { return ExitCode::FAILURE };
    runtime.block_on(async {
        match Session::begin(&run_dir).await {
            Ok(session) => {
                session.serve().await;
                ExitCode::SUCCESS
            }
            Err(reply) => {
                say(&reply);
                ExitCode::from(if matches!(reply, Reply::Busy(_)) { BUSY } else { 1 })
            }
        }
    })
}

/// The server may be gone: then nobody listens.
fn say(reply: &Reply) {
    if let Ok(mut line) = serde_json::to_vec(reply) {
        line.push(b'\n');
        let mut stdout = io::stdout();
        let _ = stdout.write_all(&line).and_then(|()| stdout.flush());
    }
}

fn broken(error: io::Error) -> Reply {
    Reply::Broken(Error::from(error).message())
}

/// Holds a lock file by `flock`. Never unlocked by hand, only closed: an unlock would also take it from the ffmpeg
/// that inherited it.
struct Lock {
    _file: File,
}

impl Lock {
    /// Nothing if somebody else holds it.
    fn take(path: &Path, inherited: bool) -> io::Result<Option<Lock>> {
        let file = open_lock(path)?;
        match file.try_lock() {
            Ok(()) => {}
            Err(TryLockError::WouldBlock) => return Ok(None),
            Err(TryLockError::Error(error)) => return Err(error),
        }
        if inherited {
            fcntl(&file, FcntlArg::F_SETFD(FdFlag::empty()))?;
        }
        Ok(Some(Lock { _file: file }))
    }

    async fn take_within(path: &Path, inherited: bool, patience: Duration) -> io::Result<Option<Lock>> {
        let begun = Instant::now();
        loop {
            match Lock::take(path, inherited)? {
                None if begun.elapsed() < patience => tokio::time::sleep(Duration::from_millis(50)).await,
                other => return Ok(other),
            }
        }
    }
}

/// How a session ends.
type Verdict = (End, Option<Message>);

/// One keeper at work.
struct Session {
    plan: Plan,
    folder: TargetFolder,
    log: Log,
    status: Status,
    orders: Orders,
    /// The server was told that nothing arrives: another connection is made.
    anew: Signal,
    playlist: Playlist,
    policy: Policy,
    /// The address that worked last.
    preferred: Option<IpAddr>,
    /// Of the connection that was broken off last.
    left: Option<Ends>,
    _lock: Lock,
    key: Option<Lock>,
}

impl Session {
    async fn begin(run_dir: &Path) -> Result<Session, Reply> {
        let mut text = zeroize::Zeroizing::new(Vec::new());
        io::stdin().lock().read_to_end(&mut text).map_err(broken)?;
        let plan: Plan = serde_json::from_slice(&text)
            .ok()
            .filter(|plan: &Plan| !plan.items.is_empty())
            .ok_or_else(|| Reply::Broken(Message::new("live-plan-unreadable")))?;
        drop(text);
        let folder = TargetFolder::new(run_dir, plan.target);
        folder.create().map_err(broken)?;
        let orders = Orders::listen(folder.clone(), plan.fence, plan.stop_at).map_err(broken)?;

        let patience = Duration::from_millis(plan.timing.lock_wait_ms);
        let anew = signal(SignalKind::user_defined1()).map_err(broken)?;
        let lock = Lock::take_within(&folder.lock(), false, patience)
            .await
            .map_err(broken)?
            .ok_or_else(|| Reply::Busy(Message::new("live-keeper-running")))?;
        let before = folder.outcome();
        let newest = folder.identity().map(|identity| identity.fence).max(before.as_ref().map(|o| o.fence));
        if newest.is_some_and(|newest| newest >= plan.fence) {
            return Err(Reply::Busy(Message::new("live-run-over")));
        }
        let key = if plan.start_at.and_then(left).is_some() {
            None
        } else {
            let key = Lock::take_within(&plan.key_lock, true, patience).await.map_err(broken)?;
            Some(key.ok_or_else(|| Reply::Busy(Message::new("live-key-busy")))?)
        };
        let identity = Identity::of_self(&plan.run_id, plan.target, plan.fence).map_err(broken)?;
        folder.write_identity(&identity).map_err(broken)?;
        folder.remove_outcome().map_err(broken)?;

        let now = Timestamp::now();
        let mut status = Status::starting(now);
        // A keeper after another one goes on counting.
        if let Some(old) = folder.status() {
            status.restarts = old.restarts + u32::from(old.attempts > 0);
            status.attempts = old.attempts;
            status.bytes = old.bytes;
            status.out_time = old.out_time;
            status.started_at = old.started_at;
            status.samples = old.samples;
        }
        let mut session = Session {
            log: Log::open(&folder, plan.destination.secrets()),
            playlist: Playlist::new(&plan),
            policy: Policy::new(plan.timing.clone(), status.out_time * 1000.0 >= plan.timing.proven_ms as f64),
            plan,
            folder,
            status,
            orders,
            anew,
            preferred: None,
            left: None,
            _lock: lock,
            key,
        };
        session.publish();
        say(&Reply::Ready(identity));
        Ok(session)
    }

    /// Keeps the target on air until it is over, and writes down how it ended.
    async fn serve(mut self) {
        let (outcome, reason) = match self.wait_for_start().await {
            Ok(()) => self.keep_on_air().await,
            Err(verdict) => verdict,
        };
        self.key = None;
        self.log.note(&format!("over: {outcome:?}"));
        self.enter(if outcome == End::Failed { State::Failed } else { State::Ended }, reason.clone());
        let outcome = Outcome {
            outcome,
            reason,
            bytes: self.status.bytes,
            out_time: self.status.out_time,
            restarts: self.status.restarts,
            attempts: self.status.attempts,
            started_at: self.status.started_at,
            ended_at: Timestamp::now(),
            stop_at: self.orders.stop_at(),
            fence: self.plan.fence,
        };
        let begun = Instant::now();
        while let Err(error) = self.folder.write_outcome(&outcome) {
            // The folder itself is gone: the run was purged, and nobody waits for a word.
            if error.kind() == io::ErrorKind::NotFound || begun.elapsed() > LAST_WORD {
                break;
            }
            tokio::time::sleep(Duration::from_secs(1)).await;
        }
    }

    /// Until shortly before the start time; then takes the key.
    async fn wait_for_start(&mut self) -> Result<(), Verdict> {
        let Some(start_at) = self.plan.start_at.filter(|_| self.key.is_none()) else { return Ok(()) };
        let early = LEAD + Duration::from_millis(u64::from(std::process::id().wrapping_mul(7919) % SPREAD_MS));
        self.orders.during(until(start_at - early)).await.map_err(verdict)?;
        let patience = left(start_at).unwrap_or_default() + LATE;
        let path = self.plan.key_lock.clone();
        match self.orders.during(Lock::take_within(&path, true, patience)).await.map_err(verdict)? {
            Ok(Some(key)) => self.key = Some(key),
            Ok(None) => return Err((End::Failed, Some(Message::new("live-key-busy")))),
            Err(error) => return Err((End::Failed, Some(Error::from(error).message()))),
        }
        Ok(())
    }

    async fn keep_on_air(&mut self) -> Verdict {
        let host = self.plan.destination.url.host().to_owned();
        loop {
            if let Some(order) = self.orders.pause(Duration::ZERO).await {
                return verdict(order);
            }
            let Some(step) = self.playlist.step() else { return (End::Completed, None) };
            let ran = match self.attempt(&step).await {
                Ok(ran) => ran,
                Err(order) => return verdict(order),
            };
            self.policy.was_on_air(ran.sending);
            let fault = match ran.ending {
                Ending::Ordered(order) => return verdict(order),
                // What repeats has no end of its own; some versions of ffmpeg call a closed connection one.
                Ending::Finished if step.repeat && !self.playlist.is_through(&step, ran.out_time) => Fault::Dropped,
                Ending::Finished => {
                    self.playlist.finished();
                    // Items so short that starting ffmpeg would be all we do.
                    let rest = Duration::from_secs(1).saturating_sub(ran.took);
                    if let Some(order) = self.orders.pause(rest).await {
                        return verdict(order);
                    }
                    continue;
                }
                Ending::Fault(fault) => fault,
            };
            if ran.out_time > 0.0 {
                self.playlist.broke_off(&step, ran.out_time);
            } else if matches!(fault, Fault::Input(_)) {
                self.playlist.begin_item_again();
            }
            if let Err(verdict) = self.after(fault, &host).await {
                return verdict;
            }
        }
    }

    /// Waits until it makes sense to try again.
    async fn after(&mut self, fault: Fault, host: &str) -> Result<(), Verdict> {
        let reason = fault.message(host);
        self.log.note(&format!("{reason}"));
        let (delay, knock) = match self.policy.after(&fault, host, random()) {
            Next::Fail(reason) => return Err((End::Failed, Some(reason))),
            Next::Retry { delay, knock } => (delay, knock),
        };
        self.status.restarts += 1;
        self.enter(State::Retrying, Some(reason));
        if let Some(order) = self.orders.pause(delay).await {
            return Err(verdict(order));
        }
        if knock && self.plan.destination.url.scheme() != Scheme::Srt {
            self.knock().await.map_err(verdict)?;
        }
        Ok(())
    }

    /// One ffmpeg, with everything looked at anew: the files, the name's addresses, the time that is left.
    async fn attempt(&mut self, step: &Step) -> Result<Ran, Order> {
        let fault =
            |fault| Ran { ending: Ending::Fault(fault), out_time: 0.0, sending: Duration::ZERO, took: Duration::ZERO };
        for item in &step.items {
            if let Err(error) = std::fs::metadata(self.plan.items[*item].path())
                && error.kind() == io::ErrorKind::NotFound
            {
                return Ok(fault(Fault::Gone(*item)));
            }
        }
        let (address, private) = match self.address().await? {
            Ok(found) => found,
            Err(reason) => return Ok(fault(reason)),
        };
        let feed = match self.feed(step) {
            Ok(feed) => feed,
            Err(error) => return Ok(fault(Fault::Crashed(error.to_string()))),
        };
        let destination = &self.plan.destination;
        let authorities = if private { None } else { authorities() };
        let output = Output::new(&destination.url, destination.key.as_ref(), address, authorities);
        let gate = self.gate().await?;
        let reports = gate.as_ref().map_or("pipe:1".to_owned(), Gate::url);
        let arguments = ffmpeg::arguments(&feed, &output, self.plan.timing.pace(), &reports);
        self.log.note(&format!("starting ffmpeg to {}", address.ip()));
        Ok(attempt::run(self, arguments, step, (gate, address.port())).await)
    }

    /// For the first ffmpeg, if it is early. Where no gate can be made, the wait is here.
    async fn gate(&mut self) -> Result<Option<Gate>, Order> {
        let at = self.plan.start_at.filter(|at| self.status.attempts == 0 && left(*at).is_some());
        let Some(at) = at else { return Ok(None) };
        match Gate::new(self.folder.gate(), at) {
            Ok(gate) => Ok(Some(gate)),
            Err(error) => {
                self.log.note(&format!("ffmpeg cannot be made ahead: {error}"));
                self.orders.during(until(at)).await.map(|()| None)
            }
        }
    }

    fn enter(&mut self, state: State, reason: Option<Message>) {
        if self.status.state != state {
            self.status.state = state;
            self.status.since = Timestamp::now();
        }
        self.status.reason = reason;
        self.publish();
    }

    /// A disk that takes no more is no reason to go off air.
    fn publish(&mut self) {
        self.status.updated_at = Timestamp::now();
        self.status.stop_at = self.orders.stop_at();
        let _ = self.folder.write_status(&self.status);
    }
}

fn verdict(order: Order) -> Verdict {
    match order {
        Order::Stop => (End::Stopped, None),
        Order::StopTime => (End::Completed, None),
    }
}

/// The machine's list of certificate authorities.
fn authorities() -> Option<&'static str> {
    ["/etc/ssl/certs/ca-certificates.crt", "/etc/pki/tls/certs/ca-bundle.crt", "/etc/ssl/cert.pem"]
        .into_iter()
        .find(|path| PathBuf::from(path).is_file())
}

/// From 0 to 1; without entropy there is no jitter.
fn random() -> f64 {
    let mut bytes = [0u8; 4];
    match getrandom::fill(&mut bytes) {
        Ok(()) => f64::from(u32::from_ne_bytes(bytes)) / f64::from(u32::MAX),
        Err(_) => 0.5,
    }
}
