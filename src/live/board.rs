//! What is on air right now, in memory: the engine writes it, pages read their own tenant's part of it.
//!
//! Nothing here is a promise: a start begins with an empty board and the engine fills it.

use std::collections::HashMap;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::{Duration, Instant};

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use uuid::Uuid;

use super::target::Platform;
use crate::auth::{Scope, Tenant, Throttle};
use crate::text::Message;

/// How a stream is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StateName {
    /// Nothing is planned.
    Idle,
    /// Off air; the next occurrence is known, or its run waits for its second.
    Scheduled,
    /// Its second has come; nothing was sent yet.
    Starting,
    /// Bytes advance.
    Sending,
    /// Bytes advance, and the platform says that it shows them.
    Live,
    /// Something went wrong; it is tried again.
    Retrying,
    /// Told to stop.
    Stopping,
    /// Over, as planned or as told.
    Ended,
    /// The last run could not be kept on air.
    Failed,
}

impl StateName {
    /// The word of the API.
    pub fn code(self) -> &'static str {
        match self {
            StateName::Idle => "idle",
            StateName::Scheduled => "scheduled",
            StateName::Starting => "starting",
            StateName::Sending => "sending",
            StateName::Live => "live",
            StateName::Retrying => "retrying",
            StateName::Stopping => "stopping",
            StateName::Ended => "ended",
            StateName::Failed => "failed",
        }
    }

    /// An encoder is wanted or running.
    pub fn is_on_air(self) -> bool {
        matches!(
            self,
            StateName::Starting | StateName::Sending | StateName::Live | StateName::Retrying | StateName::Stopping
        )
    }
}

/// How many streams of a tenant want to be seen, by whether they are.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OnAirCount {
    /// On air, or at the edges of it.
    pub on_air: usize,
    /// Those that something went wrong with and that are tried again.
    pub retrying: usize,
}

/// State of a stream, as pages and the API show it.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct State {
    /// What is.
    pub name: StateName,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why, where there is something to say.
    pub reason: Option<Message>,
    /// The run that is on air, or the last one.
    pub run_id: Option<Uuid>,
    /// When that run went on air.
    pub started_at: Option<Timestamp>,
    /// When it will end.
    pub stop_at: Option<Timestamp>,
    /// When the next occurrence is due.
    pub next_at: Option<Timestamp>,
    /// Starts of ffmpeg after something went wrong, over all targets.
    pub restarts: u32,
    /// Bits a second, over all targets.
    pub bitrate: u64,
    /// Seconds of stream time sent: of the target that is furthest.
    pub out_time: f64,
    /// Bytes sent to all targets.
    pub bytes: u64,
    /// Each target.
    pub targets: Vec<TargetState>,
    /// Bitrate over time, oldest first: Unix time in milliseconds, bits a second over all targets.
    pub samples: Vec<(i64, u64)>,
}

impl State {
    /// A state with nothing to tell but its name.
    pub fn of(name: StateName) -> State {
        State {
            name,
            since: None,
            reason: None,
            run_id: None,
            started_at: None,
            stop_at: None,
            next_at: None,
            restarts: 0,
            bitrate: 0,
            out_time: 0.0,
            bytes: 0,
            targets: Vec::new(),
            samples: Vec::new(),
        }
    }
}

/// State of one target of a stream that is on air.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct TargetState {
    /// The target.
    pub id: Uuid,
    /// Whose ingest.
    pub platform: Platform,
    /// What is.
    pub name: StateName,
    /// Since when.
    pub since: Option<Timestamp>,
    /// Why.
    pub reason: Option<Message>,
    /// Starts after something went wrong.
    pub restarts: u32,
    /// All starts.
    pub attempts: u32,
    /// Bits a second.
    pub bitrate: u64,
    /// Seconds of stream time sent.
    pub out_time: f64,
    /// Bytes sent.
    pub bytes: u64,
    /// Place in the playlist of what plays.
    pub item: usize,
    /// What the platform says of it, where it is a connected channel's.
    pub platform_word: Option<PlatformWord>,
}

/// What a platform says of a target.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct PlatformWord {
    /// It shows it.
    pub live: bool,
    /// What it says of it, in plain words, the worst first.
    pub health: Vec<Message>,
    /// When it said so.
    pub at: Timestamp,
    /// Nothing has arrived there since.
    #[serde(skip)]
    pub silent_since: Option<Timestamp>,
    /// It says nothing more: this holds as long as the run.
    #[serde(skip)]
    pub last: bool,
}

impl PlatformWord {
    /// So long a platform is taken at its word.
    const HOLDS: Duration = Duration::from_secs(150);

    fn holds(&self, now: Timestamp) -> bool {
        self.last || now < self.at + PlatformWord::HOLDS
    }
}

/// A stream that is on air, for operators: over all tenants, no more than is needed to run the box.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct OnAir {
    /// Whose.
    pub tenant: Tenant,
    /// Which stream.
    pub stream_id: Uuid,
    /// What it is called.
    pub title: String,
    /// Its state.
    pub state: StateName,
    /// Since when it is on air.
    pub since: Option<Timestamp>,
    /// Bits a second.
    pub bitrate: u64,
}

/// A run that is on air, as far as people are told of it without asking.
#[derive(Debug, Clone)]
pub(crate) struct Glance {
    pub(crate) tenant: Tenant,
    pub(crate) run_id: Uuid,
    pub(crate) name: StateName,
    pub(crate) started_at: Option<Timestamp>,
    pub(crate) targets: Vec<GlanceTarget>,
}

/// One target of it.
#[derive(Debug, Clone)]
pub(crate) struct GlanceTarget {
    pub(crate) id: Uuid,
    pub(crate) platform: Platform,
    pub(crate) name: StateName,
    pub(crate) since: Option<Timestamp>,
    pub(crate) reason: Option<Message>,
}

/// What a run takes of the box.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Load {
    /// Encoders.
    pub encoders: u64,
    /// Bits per second.
    pub bitrate: u64,
    /// Thousandths of a processor core, for pictures that are encoded again.
    pub cpu: u64,
    /// Memory besides what each encoder takes, in MiB.
    pub extra_mib: u64,
}

impl Load {
    /// So many times.
    pub(crate) fn times(self, count: u64) -> Load {
        Load {
            encoders: self.encoders * count,
            bitrate: self.bitrate * count,
            cpu: self.cpu * count,
            extra_mib: self.extra_mib * count,
        }
    }

    /// Both together.
    pub(crate) fn and(self, other: Load) -> Load {
        Load {
            encoders: self.encoders + other.encoders,
            bitrate: self.bitrate + other.bitrate,
            cpu: self.cpu + other.cpu,
            extra_mib: self.extra_mib + other.extra_mib,
        }
    }
}

struct Entry {
    title: String,
    state: State,
}

#[derive(Default)]
struct Places {
    states: HashMap<(Tenant, Uuid), Entry>,
    /// What each run takes, from before its row is written until it is over.
    loads: HashMap<Uuid, Load>,
    /// What platforms say, by run and target.
    words: HashMap<(Uuid, Uuid), PlatformWord>,
}

/// A picture and when it was taken; locked while a new one is made.
pub(super) type FrameCell = Arc<tokio::sync::Mutex<Option<(Instant, Bytes)>>>;

/// A stream may be started so often at once, and then as often a minute: every start writes rows that no quota counts.
const STARTS: NonZeroU32 = NonZeroU32::MIN.saturating_add(9);

struct Shared {
    starts: Throttle,
    places: Mutex<Places>,
    frames: Mutex<HashMap<(Tenant, Uuid), FrameCell>>,
    changes: broadcast::Sender<(Tenant, Uuid)>,
}

/// The board. Cheap to clone.
#[derive(Clone)]
pub struct Board {
    shared: Arc<Shared>,
}

impl Default for Board {
    fn default() -> Self {
        let (changes, _) = broadcast::channel(1024);
        let starts = Throttle::new(STARTS, Duration::from_secs(60) / STARTS.get());
        let shared = Shared { starts, places: Mutex::default(), frames: Mutex::default(), changes };
        Board { shared: Arc::new(shared) }
    }
}

/// Notices about one tenant's streams.
pub struct Watch {
    tenant: Tenant,
    changes: broadcast::Receiver<(Tenant, Uuid)>,
}

impl Watch {
    /// Resolves when the state of a stream of this tenant has changed: which, or `None` where it may be any.
    pub async fn changed(&mut self) -> Option<Uuid> {
        loop {
            match self.changes.recv().await {
                Ok((tenant, stream)) if tenant == self.tenant => return Some(stream),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => return None,
                Err(broadcast::error::RecvError::Closed) => std::future::pending().await,
            }
        }
    }
}

impl Board {
    /// State of a stream that is on air; `None` if it is not, or not known yet.
    pub fn state(&self, scope: &Scope, stream: Uuid) -> Option<State> {
        let places = self.shared.places.lock();
        places.states.get(&(scope.tenant().clone(), stream)).map(|entry| entry.state.clone())
    }

    /// Takes a platform's word for a target of a run.
    pub(crate) fn say(&self, run: Uuid, target: Uuid, mut word: PlatformWord) {
        let mut places = self.shared.places.lock();
        let before = places.words.get(&(run, target)).and_then(|word| word.silent_since);
        word.silent_since = word.silent_since.map(|since| before.map_or(since, |before| before.min(since)));
        places.words.insert((run, target), word);
    }

    /// What a platform says of a target of a run, as long as that holds.
    pub(super) fn word(&self, run: Uuid, target: Uuid, now: Timestamp) -> Option<PlatformWord> {
        self.shared.places.lock().words.get(&(run, target)).filter(|word| word.holds(now)).cloned()
    }

    /// How many streams of the tenant are on air, those apart that are tried again.
    pub fn on_air_count(&self, scope: &Scope) -> OnAirCount {
        let places = self.shared.places.lock();
        let own = places.states.iter().filter(|((tenant, _), _)| tenant == scope.tenant());
        let mut count = OnAirCount::default();
        for (_, entry) in own.filter(|(_, entry)| entry.state.name.is_on_air()) {
            match entry.state.name {
                StateName::Retrying => count.retrying += 1,
                _ => count.on_air += 1,
            }
        }
        count
    }

    /// The tenant's streams that are on air.
    pub fn on_air(&self, scope: &Scope) -> Vec<(Uuid, State)> {
        let places = self.shared.places.lock();
        let own = places.states.iter().filter(|((tenant, _), _)| tenant == scope.tenant());
        let on_air = own.filter(|(_, entry)| entry.state.name.is_on_air());
        on_air.map(|((_, stream), entry)| (*stream, entry.state.clone())).collect()
    }

    /// Notices about the tenant's streams.
    pub fn watch(&self, scope: &Scope) -> Watch {
        Watch { tenant: scope.tenant().clone(), changes: self.shared.changes.subscribe() }
    }

    /// What all tenants' streams send together, in bits per second.
    pub fn bitrate(&self) -> u64 {
        self.shared.places.lock().states.values().map(|entry| entry.state.bitrate).sum()
    }

    /// A glance at everything of the `wanted` tenants that is on air.
    pub(crate) fn glances(&self, wanted: impl Fn(&Tenant) -> bool) -> Vec<Glance> {
        let places = self.shared.places.lock();
        let entries = places.states.iter().filter(|((tenant, _), _)| wanted(tenant));
        let glances = entries.filter_map(|((tenant, _), Entry { state, .. })| {
            let targets = state.targets.iter().map(|target| GlanceTarget {
                id: target.id,
                platform: target.platform,
                name: target.name,
                since: target.since,
                reason: target.reason.clone(),
            });
            Some(Glance {
                tenant: tenant.clone(),
                run_id: state.run_id?,
                name: state.name,
                started_at: state.started_at,
                targets: targets.collect(),
            })
        });
        glances.collect()
    }

    /// What is on air, over all tenants, the longest first.
    pub(super) fn all(&self) -> Vec<OnAir> {
        let places = self.shared.places.lock();
        let entries = places.states.iter().filter(|(_, entry)| entry.state.name.is_on_air());
        let mut all: Vec<OnAir> = entries
            .map(|((tenant, stream), entry)| OnAir {
                tenant: tenant.clone(),
                stream_id: *stream,
                title: entry.title.clone(),
                state: entry.state.name,
                since: entry.state.started_at,
                bitrate: entry.state.bitrate,
            })
            .collect();
        all.sort_by(|a, b| (a.since, &a.tenant, a.stream_id).cmp(&(b.since, &b.tenant, b.stream_id)));
        all
    }

    pub(super) fn show(&self, tenant: &Tenant, stream: Uuid, title: &str, state: State) {
        let key = (tenant.clone(), stream);
        let mut places = self.shared.places.lock();
        let changed = places.states.get(&key).is_none_or(|entry| entry.state != state);
        if changed {
            places.states.insert(key.clone(), Entry { title: title.to_owned(), state });
            drop(places);
            // Nobody may be listening.
            let _ = self.shared.changes.send(key);
        }
    }

    /// Takes a run down; the next one of the same stream may be up already.
    pub(super) fn take_down(&self, tenant: &Tenant, stream: Uuid, run: Uuid) {
        let key = (tenant.clone(), stream);
        let mut places = self.shared.places.lock();
        if places.states.get(&key).is_some_and(|entry| entry.state.run_id == Some(run)) {
            places.states.remove(&key);
            drop(places);
            self.shared.frames.lock().remove(&key);
            let _ = self.shared.changes.send(key);
        }
    }

    /// The place of a stream's current picture.
    pub(super) fn frame(&self, scope: &Scope, stream: Uuid) -> FrameCell {
        self.shared.frames.lock().entry((scope.tenant().clone(), stream)).or_default().clone()
    }

    /// Whether a run that is on air is being ended, or will have ended by then.
    pub(super) fn ends_by(&self, run: Uuid, by: Timestamp) -> bool {
        let places = self.shared.places.lock();
        let state = places.states.values().map(|entry| &entry.state).find(|state| state.run_id == Some(run));
        state.is_some_and(|state| state.name == StateName::Stopping || state.stop_at.is_some_and(|stop| stop <= by))
    }

    /// Counts a start by hand.
    ///
    /// # Errors
    /// [`Error::TooMany`](crate::error::Error::TooMany) where the stream is started again and again.
    pub(super) fn count_start(&self, stream: Uuid) -> crate::error::Result<()> {
        self.shared.starts.count(stream.to_string())
    }

    /// Forgets starts of long ago.
    pub fn sweep(&self) {
        self.shared.starts.sweep();
    }

    /// What all runs take together.
    pub(super) fn booked(&self) -> Load {
        let places = self.shared.places.lock();
        places.loads.values().fold(Load::default(), |sum, load| sum.and(*load))
    }

    /// Books a run's load if `fits` agrees to what is booked by other runs.
    pub(super) fn book<E>(&self, run: Uuid, load: Load, fits: impl FnOnce(Load) -> Result<(), E>) -> Result<(), E> {
        let mut places = self.shared.places.lock();
        let others = places.loads.iter().filter(|(id, _)| **id != run);
        let booked = others.fold(Load::default(), |sum, (_, load)| sum.and(*load));
        fits(booked)?;
        places.loads.insert(run, load);
        Ok(())
    }

    /// A run is over, or was never written down.
    pub(crate) fn unbook(&self, run: Uuid) {
        let mut places = self.shared.places.lock();
        places.loads.remove(&run);
        places.words.retain(|(of, _), _| *of != run);
    }
}

/// How long a picture of a stream is shown before a new one is taken.
pub(super) const FRAME_AGE: Duration = Duration::from_secs(4);
