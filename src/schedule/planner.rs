//! Turns what is due into runs, each exactly once.
//!
//! The planner wakes for the next instant, for changes of schedules, and every second to look at the wall clock, which
//! may have been set. Shortly before an instant it earns its scope anew, reads the schedule again and writes the run
//! down; the engine does the rest. Nothing rests on the index alone: after a start every library is looked through,
//! slowly, and what the index missed is put right.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use futures_util::StreamExt as _;
use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Schedule;
use super::agenda::{Agenda, Due, Found};
use super::due::{Next, deal_with, first_due};
use crate::auth::{Scope, SystemLicence, Tenant, WriteScope, is_locked};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::{Editor, Library};
use crate::live::start;
use crate::live::{Engine, LiveStream};
use crate::store::rows::Reader;
use crate::store::{Change, Space};
use crate::tenancy;

/// So long before its instant a run is written down, so that its processes stand when it comes.
const LEAD: Duration = Duration::from_secs(4);
/// Longer where many are due at once: so much more for each of them, and so much at most.
const LEAD_EACH: Duration = Duration::from_millis(15);
const LEAD_MOST: Duration = Duration::from_secs(30);
/// The wall clock is looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// Tenants worked on at once.
const AT_ONCE: usize = 16;
/// After a start, libraries are looked through with this pause where there are many.
const PAUSE: Duration = Duration::from_millis(20);
const MANY: usize = 64;
const DAY: Duration = Duration::from_secs(24 * 3600);

/// The planner.
#[derive(Clone)]
pub struct Planner {
    foundation: Foundation,
    licence: Arc<SystemLicence>,
    engine: Engine,
    agenda: Agenda,
    /// Occurrences that wait for something else than their time.
    waiting: Arc<Mutex<BTreeMap<(Tenant, Uuid), Timestamp>>>,
}

impl Planner {
    /// A planner for one home.
    pub fn new(foundation: &Foundation, licence: Arc<SystemLicence>, engine: &Engine) -> Planner {
        #[allow(clippy::disallowed_methods, reason = "the due index is over all tenants")]
        let platform = foundation.store().platform();
        let agenda = Agenda::new(platform);
        Planner { foundation: foundation.clone(), licence, engine: engine.clone(), agenda, waiting: Arc::default() }
    }

    /// What is due, over all tenants.
    pub fn agenda(&self) -> &Agenda {
        &self.agenda
    }

    fn editor(&self, tenant: &Tenant) -> Editor {
        Editor::open(&self.foundation, &self.licence.scope(tenant, "planner"))
    }

    /// Reads what earlier starts wrote down.
    pub async fn load(&self) -> Result<()> {
        self.agenda.load().await
    }

    /// Plans until the end.
    pub async fn work(self, end: CancellationToken) {
        let mut changes = self.foundation.store().watch();
        if let Err(cause) = self.load().await {
            tracing::error!(%cause, "the due index cannot be read; it is made anew from the libraries");
        }
        loop {
            self.fire().await;
            let now = self.foundation.clock().now();
            let wake = [self.agenda.first().map(|at| at - self.lead(now)), self.waiting.lock().values().min().copied()];
            let sleep = wake
                .into_iter()
                .flatten()
                .map(|at| Duration::try_from(at.duration_since(now)))
                .min_by_key(|left| *left.as_ref().unwrap_or(&Duration::ZERO));
            // What could not be done now is not tried in a circle.
            let sleep =
                sleep.map_or(LOOK, |left| left.unwrap_or(Duration::ZERO)).clamp(Duration::from_millis(20), LOOK);
            tokio::select! {
                () = end.cancelled() => return,
                () = tokio::time::sleep(sleep) => {}
                change = changes.recv() => self.take_in(change, &mut changes).await,
            }
        }
    }

    /// Looks at the schedules that changes name, gathered.
    async fn take_in(
        &self,
        first: Result<Change, broadcast::error::RecvError>,
        changes: &mut broadcast::Receiver<Change>,
    ) {
        let mut touched: BTreeMap<Tenant, BTreeSet<Uuid>> = BTreeMap::new();
        let mut lost = false;
        let mut next = Some(first);
        while let Some(change) = next {
            match change {
                Ok(Change { space: Space::Tenant(tenant), keys }) => {
                    let ids = keys.iter().filter_map(|key| Uuid::from_slice(key.strip_prefix(b"row/schedule/")?).ok());
                    let ids: Vec<Uuid> = ids.collect();
                    if !ids.is_empty() {
                        touched.entry(tenant).or_default().extend(ids);
                    }
                }
                Ok(_) => {}
                Err(broadcast::error::RecvError::Lagged(_)) => lost = true,
                Err(broadcast::error::RecvError::Closed) => return,
            }
            next = match changes.try_recv() {
                Ok(change) => Some(Ok(change)),
                Err(broadcast::error::TryRecvError::Lagged(count)) => {
                    Some(Err(broadcast::error::RecvError::Lagged(count)))
                }
                Err(_) => None,
            };
        }
        if lost {
            tracing::warn!("changes came faster than they could be planned; every library is looked through");
            self.engine.check_soon();
        }
        let looked = futures_util::stream::iter(touched)
            .map(|(tenant, ids)| async move {
                let found = self.look(&tenant, ids.into_iter().collect()).await;
                found.unwrap_or_else(|cause| {
                    tracing::error!(%tenant, %cause, "schedules could not be read");
                    Vec::new()
                })
            })
            .buffer_unordered(AT_ONCE)
            .concat()
            .await;
        self.set(looked).await;
    }

    async fn set(&self, found: Vec<Found>) {
        if let Err(cause) = self.agenda.set(found).await {
            tracing::error!(%cause, "the due index could not be written; the next start makes it anew");
        }
    }

    /// What is next of some schedules of a tenant.
    async fn look(&self, tenant: &Tenant, ids: Vec<Uuid>) -> Result<Vec<Found>> {
        let (editor, whose) = (self.editor(tenant), tenant.clone());
        let now = self.foundation.clock().now();
        let read = move |rows: &Reader<'_>| {
            let mut found = Vec::with_capacity(ids.len());
            for id in ids {
                let row = rows.get::<Schedule>(id)?;
                let next = match &row {
                    Some(row) => first_due(rows, row, now)?,
                    None => None,
                };
                let stream = match &row {
                    Some(row) => rows.get::<LiveStream>(row.value.stream_id)?,
                    None => None,
                };
                let title = stream.map(|stream| stream.value.title).unwrap_or_default();
                found.push(Found { tenant: whose.clone(), schedule_id: id, next, title });
            }
            Ok(found)
        };
        match editor.rows().read(read).await {
            // The tenant was deleted.
            Err(Error::NotFound) => Ok(Vec::new()),
            other => other,
        }
    }

    /// How long before its instant what is due now is written down.
    fn lead(&self, now: Timestamp) -> Duration {
        let soon = u32::try_from(self.agenda.due_count(now + LEAD_MOST)).unwrap_or(u32::MAX);
        LEAD.saturating_add(LEAD_EACH.saturating_mul(soon)).min(LEAD_MOST)
    }

    /// Deals with what is due.
    async fn fire(&self) {
        let now = self.foundation.clock().now();
        let lead = self.lead(now);
        let mut by_tenant: BTreeMap<Tenant, Vec<Due>> = BTreeMap::new();
        {
            let waiting = self.waiting.lock();
            for due in self.agenda.due(now + lead) {
                let wait = waiting.get(&(due.tenant.clone(), due.schedule_id));
                if wait.is_none_or(|again| *again <= now) {
                    by_tenant.entry(due.tenant.clone()).or_default().push(due);
                }
            }
        }
        if by_tenant.is_empty() {
            return;
        }
        let found = futures_util::stream::iter(by_tenant)
            .map(|(tenant, due)| async move {
                let ids: Vec<Uuid> = due.iter().map(|due| due.schedule_id).collect();
                match self.fire_tenant(&tenant, ids, lead).await {
                    Ok(found) => found,
                    Err(Error::NotFound) => {
                        let gone = |due: Due| Found {
                            tenant: due.tenant,
                            schedule_id: due.schedule_id,
                            next: None,
                            title: String::new(),
                        };
                        due.into_iter().map(gone).collect()
                    }
                    Err(cause) => {
                        tracing::error!(%tenant, %cause, "what is due could not be started; it is tried again");
                        let mut waiting = self.waiting.lock();
                        for due in due {
                            waiting.insert((due.tenant, due.schedule_id), now + LOOK);
                        }
                        Vec::new()
                    }
                }
            })
            .buffer_unordered(AT_ONCE)
            .concat()
            .await;
        self.set(found).await;
    }

    async fn fire_tenant(&self, tenant: &Tenant, ids: Vec<Uuid>, lead: Duration) -> Result<Vec<Found>> {
        start::mark_to_begin(&self.foundation, tenant).await?;
        #[allow(clippy::disallowed_methods, reason = "who may log in is the platform's")]
        let platform = self.foundation.store().platform();
        let whose = tenant.clone();
        let locked = platform.read(move |rows| is_locked(rows, &whose)).await?;
        let editor = self.editor(tenant);
        let (library, actor) = (Library::clone(&editor), editor.actor().clone());
        // Chosen before, so that what a failed commit booked can be given back.
        let booked: Arc<Mutex<HashSet<Uuid>>> = Arc::default();
        let (books, wanted) = (booked.clone(), ids.clone());
        let written = editor
            .rows()
            .write(move |rows| {
                let mut nexts = Vec::with_capacity(wanted.len());
                for id in &wanted {
                    let run = Uuid::now_v7();
                    books.lock().insert(run);
                    let next = deal_with(rows, &library, &actor, (*id, run), (lead, locked))?;
                    let title = match rows.view().get::<Schedule>(*id)? {
                        Some(row) => rows.view().get::<LiveStream>(row.value.stream_id)?.map(|row| row.value.title),
                        None => None,
                    };
                    nexts.push((*id, next, title.unwrap_or_default()));
                }
                Ok(nexts)
            })
            .await;
        let nexts = match written {
            Ok(nexts) => nexts,
            Err(cause) => {
                booked.lock().iter().for_each(|run| self.foundation.board().unbook(*run));
                return Err(cause);
            }
        };
        // What was booked for a try that had to be repeated is not in any row.
        let booked: Vec<Uuid> = booked.lock().drain().collect();
        self.engine.forget_unwritten(&editor, booked).await?;
        let mut waiting = self.waiting.lock();
        let found = nexts.into_iter().map(|(schedule_id, next, title)| {
            let place = (tenant.clone(), schedule_id);
            let next = match next {
                Next::At(at) => {
                    waiting.remove(&place);
                    at
                }
                Next::Again(at, again) => {
                    waiting.insert(place, again);
                    Some(at)
                }
            };
            Found { tenant: tenant.clone(), schedule_id, next, title }
        });
        Ok(found.collect())
    }

    /// Looks through every library after a start, once a day, and when notices of changes were lost; until the end.
    pub async fn keep_checking(self, end: CancellationToken) {
        loop {
            if let Err(cause) = self.check(&end).await {
                tracing::error!(%cause, "the libraries could not be looked through");
            }
            tokio::select! {
                () = end.cancelled() => return,
                () = self.engine.check_wanted() => {}
                () = tokio::time::sleep(DAY) => {}
            }
        }
    }

    /// Looks through every library, those changed last first: schedules against the index, runs that are on.
    async fn check(&self, end: &CancellationToken) -> Result<()> {
        let tenants = self.foundation.store().tenants(&self.licence).await?;
        let many = tenants.len() > MANY;
        for tenant in tenants {
            if end.is_cancelled() {
                return Ok(());
            }
            if let Err(cause) = self.check_tenant(&tenant).await {
                tracing::error!(%tenant, %cause, "a library could not be checked");
            }
            if many {
                tokio::time::sleep(PAUSE).await;
            }
        }
        Ok(())
    }

    /// Takes everything of a tenant off air and out of the index, before its library is deleted; that it is being
    /// deleted is on record, so nothing begins meanwhile.
    ///
    /// # Errors
    /// As [`Engine::end_tenant`].
    pub async fn end_tenant(&self, proof: &WriteScope) -> Result<()> {
        self.engine.end_tenant(proof).await?;
        self.forget(proof.tenant()).await
    }

    /// Takes everything of a tenant off air; what is planned stays planned.
    ///
    /// # Errors
    /// As [`Engine::end_tenant`].
    pub async fn stop_tenant(&self, proof: &WriteScope) -> Result<()> {
        self.engine.end_tenant(proof).await
    }

    /// How many streams of a tenant are to be on air.
    pub async fn on_air(&self, proof: &Scope) -> Result<usize> {
        self.engine.on_air_of(proof).await
    }

    async fn forget(&self, tenant: &Tenant) -> Result<()> {
        let gone = self.agenda.of_tenant(tenant).into_iter().map(|schedule_id| Found {
            tenant: tenant.clone(),
            schedule_id,
            next: None,
            title: String::new(),
        });
        self.agenda.set(gone.collect()).await
    }

    async fn check_tenant(&self, tenant: &Tenant) -> Result<()> {
        #[allow(clippy::disallowed_methods, reason = "which tenants are going belongs to none of them")]
        let platform = self.foundation.store().platform();
        let whose = tenant.clone();
        if platform.read(move |rows| tenancy::is_ending(rows, &whose)).await? {
            return self.forget(tenant).await;
        }
        let editor = self.editor(tenant);
        let read = |rows: &Reader<'_>| {
            let mut ids = Vec::new();
            rows.each::<Schedule>(false, |row| {
                ids.push(row.id());
                std::ops::ControlFlow::Continue(())
            })?;
            Ok(ids)
        };
        let mut ids: BTreeSet<Uuid> = match editor.rows().read(read).await {
            Ok(ids) => ids.into_iter().collect(),
            // Has no library (yet, or any more).
            Err(Error::NotFound) => BTreeSet::new(),
            Err(cause) => return Err(cause),
        };
        ids.extend(self.agenda.of_tenant(tenant));
        if !ids.is_empty() {
            let found = self.look(tenant, ids.into_iter().collect()).await?;
            self.set(found).await;
        }
        self.engine.check_tenant(&editor).await
    }
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
