//! The background task that sees to broadcasts: woken by changes and by the clock, it brings each library's broadcasts
//! to what is planned and tells the platform, one step at a time.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::api::Api;
use super::event::Event;
use super::marks::Marks;
use super::plan::{Planned, plan};
use super::step::Watching;
use crate::auth::{SystemLicence, Tenant};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::{Editor, Library};
use crate::oauth::{Connection, State};
use crate::store::rows::Reader;
use crate::store::turn::{Turn as KeyedTurn, Turns as KeyedTurns};
use crate::store::{Change, Space, SpaceStore};
use crate::tenancy;

/// The clock is looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// A library with channels is looked through so often, whatever was noticed.
const ROUND: Duration = Duration::from_secs(300);
/// After an error of ours a library is tried again.
const AGAIN: Duration = Duration::from_secs(15);
/// Broadcasts of one tenant, and tenants, that are seen to at once.
const AT_ONCE: usize = 6;
/// Likewise, of channels that are on their way out.
const PARTING_AT_ONCE: usize = 64;
const TENANTS_AT_ONCE: usize = 16;
/// After a start, libraries are looked through with this pause.
const PAUSE: Duration = Duration::from_millis(20);
/// Marks of tenants that have broadcasts to see to: the first to be looked at after a start.
const MARKS: &str = "youtube/";

struct Shared {
    foundation: Foundation,
    licence: Arc<SystemLicence>,
    api: Api,
    marks: Marks,
    watched: Mutex<HashMap<Uuid, Watching>>,
    /// One step at a time for each broadcast, and what cuts the one off that is under way.
    turns: Arc<KeyedTurns<Uuid>>,
    cuts: Mutex<HashMap<Uuid, CancellationToken>>,
    /// Tenants to look at at once.
    wanted: Mutex<BTreeSet<Tenant>>,
    /// Those of which a channel changed: it may be on its way out.
    channels: Mutex<BTreeSet<Tenant>>,
    woken: Notify,
}

/// Open broadcasts of channels that are on their way out, those that viewers may see first: nothing else holds them up.
fn parting(rows: &Reader<'_>) -> Result<Vec<Uuid>> {
    let (mut seen, mut others) = (Vec::new(), Vec::new());
    for id in rows.ids_at::<Event>("open", &[])? {
        let Some(event) = rows.get::<Event>(id)?.map(|row| row.value).filter(|event| event.unwanted) else { continue };
        let channel = rows.get::<Connection>(event.channel_id)?;
        if channel.is_some_and(|row| row.value.state == State::Leaving) {
            if event.is_seen() { &mut seen } else { &mut others }.push(id);
        }
    }
    seen.append(&mut others);
    Ok(seen)
}

/// A broadcast's turn; the next one has it when this is dropped.
pub(super) struct EventTurn {
    worker: Worker,
    event: Uuid,
    _turn: KeyedTurn<Uuid>,
}

impl Drop for EventTurn {
    fn drop(&mut self) {
        self.worker.shared.cuts.lock().remove(&self.event);
    }
}

/// The task, and what is known of it by others. Cheap to clone.
#[derive(Clone)]
pub struct Worker {
    shared: Arc<Shared>,
}

impl Worker {
    /// Nothing is done until [`Worker::work`].
    pub(super) fn new(foundation: &Foundation, licence: Arc<SystemLicence>, api: Api) -> Worker {
        Worker {
            shared: Arc::new(Shared {
                foundation: foundation.clone(),
                licence,
                api,
                marks: Marks::new(foundation, MARKS),
                watched: Mutex::default(),
                turns: Arc::default(),
                cuts: Mutex::default(),
                wanted: Mutex::default(),
                channels: Mutex::default(),
                woken: Notify::new(),
            }),
        }
    }

    pub(super) fn api(&self) -> &Api {
        &self.shared.api
    }

    pub(super) fn now(&self) -> Timestamp {
        self.shared.foundation.clock().now()
    }

    pub(super) fn watching(&self, event: Uuid) -> Watching {
        self.shared.watched.lock().get(&event).cloned().unwrap_or_default()
    }

    pub(super) fn watch_on(&self, event: Uuid, watching: Watching) {
        self.shared.watched.lock().insert(event, watching);
    }

    pub(super) fn unwatch(&self, event: Uuid) {
        self.shared.watched.lock().remove(&event);
    }

    pub(super) fn roll_after(&self) -> Duration {
        Duration::from_secs(60 * u64::from(self.shared.foundation.config().youtube.roll_over_minutes))
    }

    /// Has a tenant's broadcasts looked at at once.
    pub(super) fn wake(&self, tenant: &Tenant) {
        self.shared.wanted.lock().insert(tenant.clone());
        self.shared.woken.notify_one();
    }

    fn platform(&self) -> SpaceStore {
        #[allow(clippy::disallowed_methods, reason = "marks are over all tenants")]
        self.shared.foundation.store().platform()
    }

    /// Looks through all libraries once, slowly: what the marks missed is found, by `others` too.
    pub(super) async fn look_through(self, end: CancellationToken, others: impl Fn(&Tenant) + Send) {
        if let Err(cause) = self.shared.api.quota().forget_old(self.now()).await {
            tracing::warn!(%cause, "old counts of units could not be removed; the next start does it");
        }
        let tenants = match self.shared.foundation.store().tenants(&self.shared.licence).await {
            Ok(tenants) => tenants,
            Err(cause) => return tracing::error!(%cause, "the libraries could not be looked through for broadcasts"),
        };
        for tenant in tenants {
            if end.is_cancelled() {
                return;
            }
            self.wake(&tenant);
            others(&tenant);
            tokio::time::sleep(PAUSE).await;
        }
    }

    /// Sees to broadcasts until the end.
    pub(super) async fn work(self, end: CancellationToken) {
        let mut changes = self.shared.foundation.store().watch();
        match self.shared.marks.all().await {
            Ok(marked) => self.shared.wanted.lock().extend(marked),
            Err(cause) => tracing::error!(%cause, "the marks of broadcasts could not be read"),
        }
        let mut due: BTreeMap<Tenant, Timestamp> = BTreeMap::new();
        let mut at_work: BTreeSet<Tenant> = BTreeSet::new();
        let mut passes = FuturesUnordered::new();
        // Beside the passes: a call that hangs must not keep a channel's broadcasts on air until its grant is gone.
        let mut partings = FuturesUnordered::new();
        loop {
            let now = self.now();
            for tenant in std::mem::take(&mut *self.shared.wanted.lock()) {
                due.insert(tenant, Timestamp::MIN);
            }
            for tenant in std::mem::take(&mut *self.shared.channels.lock()) {
                let worker = self.clone();
                partings.push(async move { worker.part(&tenant).await });
            }
            let ready: Vec<Tenant> = due
                .iter()
                .filter(|(tenant, at)| **at <= now && !at_work.contains(tenant))
                .map(|(one, _)| one.clone())
                .collect();
            for tenant in ready.into_iter().take(TENANTS_AT_ONCE.saturating_sub(passes.len())) {
                due.remove(&tenant);
                at_work.insert(tenant.clone());
                let worker = self.clone();
                passes.push(async move {
                    let next = worker.pass(&tenant).await;
                    (tenant, next)
                });
            }
            let soonest = due.iter().filter(|(tenant, _)| !at_work.contains(tenant)).map(|(_, at)| *at).min();
            let left = soonest.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO));
            let full = passes.len() >= TENANTS_AT_ONCE;
            let sleep = left.filter(|_| !full).unwrap_or(LOOK).clamp(Duration::from_millis(20), LOOK);
            tokio::select! {
                () = end.cancelled() => return,
                Some((tenant, next)) = passes.next() => {
                    at_work.remove(&tenant);
                    if let Some(next) = next {
                        // What was noticed meanwhile comes first.
                        due.entry(tenant).or_insert(next);
                    }
                }
                Some(()) = partings.next() => {}
                () = self.shared.woken.notified() => {}
                change = changes.recv() => self.see(change, &due),
                () = tokio::time::sleep(sleep) => {}
            }
        }
    }

    fn see(&self, change: Result<Change, broadcast::error::RecvError>, known: &BTreeMap<Tenant, Timestamp>) {
        const CHANNEL: &[u8] = b"row/channel/";
        const ROWS: [&[u8]; 6] =
            [b"row/schedule/", b"row/stream/", b"row/run/", b"row/stream_key/", CHANNEL, b"occurrence/"];
        match change {
            Ok(Change { space: Space::Tenant(tenant), keys }) => {
                if keys.iter().any(|key| key.starts_with(CHANNEL)) {
                    self.shared.channels.lock().insert(tenant.clone());
                }
                if keys.iter().any(|key| ROWS.iter().any(|row| key.starts_with(row))) {
                    self.shared.wanted.lock().insert(tenant);
                }
            }
            Ok(_) | Err(broadcast::error::RecvError::Closed) => {}
            Err(broadcast::error::RecvError::Lagged(_)) => {
                self.shared.wanted.lock().extend(known.keys().cloned());
            }
        }
    }

    /// Everything of a tenant that can be done now; when to look again, if ever.
    async fn pass(&self, tenant: &Tenant) -> Option<Timestamp> {
        match self.try_pass(tenant).await {
            Ok(next) => next,
            // Being removed, or without a library.
            Err(Error::NotFound) => {
                if let Err(cause) = self.shared.marks.set(tenant, false).await {
                    tracing::warn!(%tenant, %cause, "the mark of a library that is gone could not be removed");
                }
                None
            }
            Err(cause) => {
                tracing::error!(%tenant, %cause, "broadcasts could not be seen to; it is tried again");
                Some(self.now() + AGAIN)
            }
        }
    }

    async fn try_pass(&self, tenant: &Tenant) -> Result<Option<Timestamp>> {
        let whose = tenant.clone();
        if self.platform().read(move |rows| tenancy::is_ending(rows, &whose)).await? {
            self.shared.marks.set(tenant, false).await?;
            return Ok(None);
        }
        let editor = self.editor(tenant);
        let planned = self.planned(&editor).await?;
        self.give_back(&editor).await?;
        let busy = planned.any || !planned.open.is_empty();
        self.shared.marks.set(tenant, busy).await?;
        if !busy {
            return Ok(None);
        }
        let next = self.tend_all(&editor, planned.open, AT_ONCE).await;
        let round = self.now() + ROUND;
        Ok(next.into_iter().chain(planned.next).chain([round]).min())
    }

    /// Ends and deletes at once what channels that are on their way out have.
    async fn part(&self, tenant: &Tenant) {
        let editor = self.editor(tenant);
        match editor.rows().read(parting).await {
            Ok(open) => {
                for id in &open {
                    if let Some(cut) = self.shared.cuts.lock().get(id) {
                        cut.cancel();
                    }
                }
                self.tend_all(&editor, open, PARTING_AT_ONCE).await;
            }
            Err(Error::NotFound) => {}
            Err(cause) => tracing::error!(%tenant, %cause, "broadcasts of channels that go could not be read"),
        }
    }

    /// The turn for a broadcast, and what says that it is cut off: its channel goes, so what is being told of it does
    /// not matter any more. What becomes of a call that is cut is found out as after a kill.
    pub(super) async fn turn(&self, event: Uuid) -> (EventTurn, CancellationToken) {
        let turn = self.shared.turns.wait(&event).await;
        let cut = CancellationToken::new();
        self.shared.cuts.lock().insert(event, cut.clone());
        (EventTurn { worker: self.clone(), event, _turn: turn }, cut)
    }

    fn editor(&self, tenant: &Tenant) -> Editor {
        Editor::open(&self.shared.foundation, &self.shared.licence.scope(tenant, "youtube"))
    }

    /// Sees to broadcasts of a tenant, so many at a time; when to look again, if ever.
    async fn tend_all(&self, editor: &Editor, open: Vec<Uuid>, at_once: usize) -> Option<Timestamp> {
        let looked = futures_util::stream::iter(open)
            .map(|id| async move {
                self.tend(editor, id).await.unwrap_or_else(|cause| {
                    tracing::error!(broadcast = %id, %cause, "a broadcast could not be seen to; it is tried again");
                    Some(self.now() + AGAIN)
                })
            })
            .buffer_unordered(at_once)
            .collect::<Vec<_>>()
            .await;
        looked.into_iter().flatten().min()
    }

    /// Gives back the units of broadcasts that are over.
    pub(super) async fn give_back(&self, editor: &Editor) -> Result<()> {
        let over = editor.rows().read(|rows| rows.ids_at::<Event>("kept", &[])).await?;
        for id in over {
            let event = editor.rows().read(move |rows| rows.need::<Event>(id)).await?.value;
            if let (Some(at), Some(project)) = (event.kept, &event.project) {
                for day in [self.now(), at] {
                    self.shared.api.quota().give_back((project, editor.tenant()), id, day).await?;
                }
            }
            self.change(editor, id, |event| event.kept = None).await?;
        }
        Ok(())
    }

    async fn planned(&self, editor: &Editor) -> Result<Planned> {
        let ahead = Duration::from_secs(3600 * u64::from(self.shared.foundation.config().youtube.hours_ahead));
        let (library, actor) = (Library::clone(editor), editor.actor().clone());
        editor.rows().write(move |rows| plan(rows, &library, &actor, ahead)).await
    }
}
