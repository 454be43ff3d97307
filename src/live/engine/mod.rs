//! The engine: sees to it that every run that is on has its supervisor, and knows what is on air over all tenants.
//!
//! It is woken by notices of commits and takes no other input. It begins with the tenants that are marked as active;
//! runs that the marks missed come from the planner's look through all libraries.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::keys;
use super::run::{Run, open_runs};
use super::start::{self, ACTIVE};
use super::supervisor::Supervisor;
use crate::auth::{SystemLicence, Tenant};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::Editor;
use crate::store::rows::Reader;
use crate::store::{Change, Space, SpaceStore};
use crate::supervise::Tasks;

mod operator;

/// The history of a tenant is looked through after so many of its runs, and once a day.
const TIDY_AFTER: u32 = 100;
/// Libraries that are read at once.
const AT_ONCE: usize = 16;

struct Watched {
    tenant: Tenant,
    wake: Arc<Notify>,
    planned_stop: Option<Timestamp>,
}

struct Shared {
    foundation: Foundation,
    licence: Arc<SystemLicence>,
    tasks: Tasks,
    runs: Mutex<HashMap<Uuid, Watched>>,
    /// Runs that ended since their tenant's history was looked through.
    ended: Mutex<HashMap<Tenant, u32>>,
    /// A supervisor is gone.
    left: Notify,
    check: Notify,
}

/// The engine. Cheap to clone.
#[derive(Clone)]
pub struct Engine {
    shared: Arc<Shared>,
}

/// Takes a supervisor's place off the list, however it ended.
struct Place {
    engine: Engine,
    run: Uuid,
}

impl Drop for Place {
    fn drop(&mut self) {
        self.engine.shared.runs.lock().remove(&self.run);
        self.engine.shared.left.notify_waiters();
    }
}

impl Engine {
    /// An engine for one home; it does nothing until [`Engine::work`].
    pub fn new(foundation: &Foundation, licence: Arc<SystemLicence>, tasks: &Tasks) -> Engine {
        Engine {
            shared: Arc::new(Shared {
                foundation: foundation.clone(),
                licence,
                tasks: tasks.clone(),
                runs: Mutex::default(),
                ended: Mutex::default(),
                left: Notify::new(),
                check: Notify::new(),
            }),
        }
    }

    fn editor(&self, tenant: &Tenant) -> Editor {
        Editor::open(&self.shared.foundation, &self.shared.licence.scope(tenant, "engine"))
    }

    fn platform(&self) -> SpaceStore {
        #[allow(clippy::disallowed_methods, reason = "marks are over all tenants")]
        self.shared.foundation.store().platform()
    }

    /// Follows what is wanted until the end. Streams go on after that.
    pub async fn work(self, end: CancellationToken) {
        let mut changes = self.shared.foundation.store().watch();
        self.look_at_marked().await;
        loop {
            let change = tokio::select! {
                () = end.cancelled() => return,
                change = changes.recv() => change,
            };
            match change {
                Ok(Change { space: Space::Tenant(tenant), keys }) => self.see(&tenant, &keys),
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => {
                    self.shared.runs.lock().values().for_each(|watched| watched.wake.notify_one());
                    self.look_at_marked().await;
                }
                Err(broadcast::error::RecvError::Closed) => return,
            }
        }
    }

    fn see(&self, tenant: &Tenant, keys: &[Vec<u8>]) {
        let run_of = |key: &Vec<u8>| Uuid::from_slice(key.strip_prefix(b"row/run/")?).ok();
        for run in keys.iter().filter_map(run_of) {
            self.ensure(tenant, run);
        }
        if keys.iter().any(|key| key.starts_with(super::stream::ORDERS.as_bytes())) {
            self.wake(tenant);
        }
    }

    fn wake(&self, tenant: &Tenant) {
        let runs = self.shared.runs.lock();
        runs.values().filter(|watched| watched.tenant == *tenant).for_each(|watched| watched.wake.notify_one());
    }

    /// Gives a run its supervisor, or wakes the one that it has.
    fn ensure(&self, tenant: &Tenant, run: Uuid) {
        let wake = {
            let mut runs = self.shared.runs.lock();
            if let Some(watched) = runs.get(&run) {
                watched.wake.notify_one();
                return;
            }
            let wake = Arc::new(Notify::new());
            runs.insert(run, Watched { tenant: tenant.clone(), wake: wake.clone(), planned_stop: None });
            wake
        };
        let place = Place { engine: self.clone(), run };
        let (engine, editor) = (self.clone(), self.editor(tenant));
        self.shared.tasks.spawn("run", move |end| async move {
            let _place = place;
            match engine.supervisor(editor, run).await {
                Ok(Some(supervisor)) => supervisor.watch_over(&wake, end).await,
                Ok(None) => {}
                Err(cause) => tracing::error!(%run, %cause, "a run could not be looked after"),
            }
        });
    }

    /// A supervisor for a run that is on; most notices of runs are of those that are over.
    async fn supervisor(&self, editor: Editor, run: Uuid) -> Result<Option<Supervisor>> {
        let is_open = move |rows: &Reader<'_>| Ok(rows.get::<Run>(run)?.is_some_and(|run| run.value.is_open()));
        match editor.rows().read(is_open).await {
            Ok(true) => Supervisor::new(self.clone(), editor, run).map(Some),
            Ok(false) | Err(Error::NotFound) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    async fn look_at_marked(&self) {
        let tenants = match self.marked().await {
            Ok(tenants) => tenants,
            Err(cause) => {
                tracing::error!(%cause, "the marks of what is on air could not be read");
                self.check_soon();
                return;
            }
        };
        for tenant in tenants {
            if let Err(cause) = self.check_runs(&self.editor(&tenant)).await {
                tracing::error!(%tenant, %cause, "runs could not be read");
            }
        }
    }

    async fn marked(&self) -> Result<Vec<Tenant>> {
        let read = |rows: &Reader<'_>| {
            let mut marked = Vec::new();
            rows.values::<bool>(ACTIVE, |key, _| {
                marked.extend(key.strip_prefix(ACTIVE).and_then(|name| Tenant::parse(name).ok()));
                ControlFlow::Continue(())
            })?;
            Ok(marked)
        };
        self.platform().read(read).await
    }

    /// Sees to it that a tenant's runs have their supervisors; takes the mark away where there is none.
    async fn check_runs(&self, editor: &Editor) -> Result<()> {
        let ids = |rows: &Reader<'_>| Ok(open_runs(rows)?.iter().map(|run| run.id()).collect::<Vec<_>>());
        let open = match editor.rows().read(ids).await {
            Err(Error::NotFound) => Vec::new(),
            other => other?,
        };
        if open.is_empty() {
            let key = format!("{ACTIVE}{}", editor.tenant());
            return self
                .platform()
                .write(move |rows| {
                    if rows.value::<bool>(&key)?.is_some() {
                        rows.delete_value(&key);
                    }
                    Ok(())
                })
                .await;
        }
        open.into_iter().for_each(|run| self.ensure(editor.tenant(), run));
        Ok(())
    }

    /// A tenant's part of the look through all libraries: runs that are on, videos that wait to be removed, history
    /// that is too old.
    pub(crate) async fn check_tenant(&self, editor: &Editor) -> Result<()> {
        self.check_runs(editor).await?;
        match editor.forget_old_runs().await {
            // No library.
            Err(Error::NotFound) => Ok(()),
            other => other,
        }
    }

    /// Gives back what was booked for runs that have no row.
    pub(crate) async fn forget_unwritten(&self, editor: &Editor, booked: Vec<Uuid>) -> Result<()> {
        let not_on = move |rows: &Reader<'_>| {
            let mut gone = Vec::new();
            for run in booked {
                if !rows.get::<Run>(run)?.is_some_and(|run| run.value.is_open()) {
                    gone.push(run);
                }
            }
            Ok(gone)
        };
        let gone = editor.rows().read(not_on).await?;
        let board = self.shared.foundation.board();
        gone.into_iter().for_each(|run| board.unbook(run));
        Ok(())
    }

    /// Books everything that is on air. To be done before anything may begin after a start: the board is empty then, and
    /// the supervisors, which book too, come one by one.
    pub async fn book_what_is_on(&self) {
        let tenants = match self.marked().await {
            Ok(tenants) => tenants,
            Err(cause) => {
                tracing::error!(%cause, "the marks of what is on air could not be read");
                return;
            }
        };
        let book = |tenant: Tenant| async move {
            match self.editor(&tenant).rows().read(open_runs).await {
                Ok(runs) => runs.iter().for_each(|run| self.book(run.id(), &run.value)),
                Err(Error::NotFound) => {}
                Err(cause) => tracing::error!(%tenant, %cause, "what is on air could not be booked"),
            }
        };
        futures_util::stream::iter(tenants).for_each_concurrent(AT_ONCE, book).await;
    }

    /// What is on air is on air; only what comes is refused.
    fn book(&self, id: Uuid, run: &Run) {
        let encoders = run.targets.iter().filter(|target| target.end.is_none()).count() as u64;
        let booked: Result<(), std::convert::Infallible> =
            self.shared.foundation.board().book(id, run.load(encoders), |_| Ok(()));
        let _ = booked;
    }

    /// A supervisor looks after a run: it is marked and booked from here on.
    pub(super) async fn watched(&self, editor: &Editor, id: Uuid, run: &Run) -> Result<()> {
        start::mark(&self.shared.foundation, editor.tenant()).await?;
        self.book(id, run);
        if let Some(watched) = self.shared.runs.lock().get_mut(&id) {
            watched.planned_stop = run.planned_stop;
        }
        Ok(())
    }

    /// A run is over.
    pub(super) async fn over(&self, editor: &Editor, id: Uuid, run: &Run) {
        self.shared.foundation.board().unbook(id);
        let given_back = keys::give_back(&self.shared.foundation, id, run.targets.len()).await;
        let unmarked = self.check_runs(editor).await;
        for failed in [given_back, unmarked].into_iter().filter_map(Result::err) {
            tracing::warn!(run = %id, cause = %failed, "a run that is over could not be cleared away; it is later");
        }
        self.count_ended(editor);
    }

    /// Bounds the history of a tenant whose runs come fast.
    fn count_ended(&self, editor: &Editor) {
        let mut ended = self.shared.ended.lock();
        let count = ended.entry(editor.tenant().clone()).or_default();
        *count += 1;
        if *count < TIDY_AFTER {
            return;
        }
        ended.remove(editor.tenant());
        drop(ended);
        let editor = editor.clone();
        self.shared.tasks.spawn("history", move |_| async move {
            match editor.forget_old_runs().await {
                Ok(()) | Err(Error::NotFound) => {}
                Err(cause) => tracing::warn!(%cause, "old runs could not be removed; they are later"),
            }
        });
    }

    /// Takes, or goes on holding, a stream key for a target of a run. One that another run holds which ends before
    /// `start_at` is left to the keeper, which waits for it to the split second.
    pub(super) async fn claim_key(&self, name: &str, run: Uuid, place: u16, start_at: Timestamp) -> Result<bool> {
        let Err(other) = keys::claim(&self.shared.foundation, name, run, place, keys::LEASE).await? else {
            return Ok(true);
        };
        let runs = self.shared.runs.lock();
        let stops = other.and_then(|other| runs.get(&other)?.planned_stop);
        Ok(stops.is_some_and(|stop| stop <= start_at + Duration::from_secs(1)))
    }

    /// Has all libraries looked through soon.
    pub(crate) fn check_soon(&self) {
        self.shared.check.notify_one();
    }

    /// Resolves when that is wanted.
    pub(crate) async fn check_wanted(&self) {
        self.shared.check.notified().await;
    }
}
