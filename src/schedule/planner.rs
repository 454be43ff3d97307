//! Turns what is due into runs, each exactly once.
//!
//! The planner wakes for the next instant, for changes of schedules, and every second to look at the wall clock, which
//! may have been set. Shortly before an instant it earns its scope anew, reads the schedule again and writes the run
//! down; the engine does the rest. Nothing rests on the index alone: after a start every library is looked through,
//! slowly, and what the index missed is put right.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use tokio::sync::{Notify, broadcast};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Schedule;
use super::agenda::{Agenda, Due, Found};
use super::due::{Next, deal_with, first_due};
use super::rounds::Rounds;
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
    /// Schedules that are to be looked at again, and the word that there are some.
    changed: Arc<Mutex<BTreeMap<Tenant, BTreeSet<Uuid>>>>,
    touched: Arc<Notify>,
}

impl Planner {
    /// A planner for one home.
    pub fn new(foundation: &Foundation, licence: Arc<SystemLicence>, engine: &Engine) -> Planner {
        #[allow(clippy::disallowed_methods, reason = "the due index is over all tenants")]
        let platform = foundation.store().platform();
        let agenda = Agenda::new(platform);
        Planner {
            foundation: foundation.clone(),
            licence,
            engine: engine.clone(),
            agenda,
            waiting: Arc::default(),
            changed: Arc::default(),
            touched: Arc::default(),
        }
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
        let mut rounds = Rounds::new(self.clone());
        loop {
            rounds.begin();
            let sleep = self.until_next(&rounds);
            tokio::select! {
                () = end.cancelled() => return,
                true = rounds.step() => {}
                () = tokio::time::sleep(sleep) => {}
                () = self.touched.notified() => {}
                change = changes.recv() => self.gather(change, &mut changes),
            }
        }
    }

    /// How long nothing is to be begun, as far as it is known.
    fn until_next(&self, rounds: &Rounds) -> Duration {
        let now = self.foundation.clock().now();
        let waiting = self.waiting.lock();
        let is_next =
            |due: &Due| !rounds.is_busy(&due.tenant) && !waiting.contains_key(&(due.tenant.clone(), due.schedule_id));
        let planned = self.agenda.first(is_next).map(|at| at - self.lead(now));
        let again = waiting.iter().filter(|((tenant, _), _)| !rounds.is_busy(tenant)).map(|(_, at)| *at).min();
        let next = [planned, again].into_iter().flatten().min();
        // What could not be done now is not tried in a circle.
        let left = next.map(|at| Duration::try_from(at.duration_since(now)).unwrap_or_default());
        left.unwrap_or(LOOK).clamp(Duration::from_millis(20), LOOK)
    }

    /// Notes the schedules that changes name.
    fn gather(&self, first: Result<Change, broadcast::error::RecvError>, changes: &mut broadcast::Receiver<Change>) {
        let mut lost = false;
        let mut next = Some(first);
        while let Some(change) = next {
            match change {
                Ok(Change { space: Space::Tenant(tenant), keys }) => {
                    let ids = keys.iter().filter_map(|key| Uuid::from_slice(key.strip_prefix(b"row/schedule/")?).ok());
                    self.touch(&tenant, ids);
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
    }

    /// Schedules are to be looked at again.
    fn touch(&self, tenant: &Tenant, ids: impl IntoIterator<Item = Uuid>) {
        let mut ids = ids.into_iter().peekable();
        if ids.peek().is_some() {
            self.changed.lock().entry(tenant.clone()).or_default().extend(ids);
            self.touched.notify_one();
        }
    }

    /// Schedules that are to be looked at again.
    pub(super) fn changed(&self) -> &Mutex<BTreeMap<Tenant, BTreeSet<Uuid>>> {
        &self.changed
    }

    /// Writes places into the due index.
    pub(super) async fn set(&self, found: Vec<Found>) {
        if let Err(cause) = self.agenda.set(found).await {
            tracing::error!(%cause, "the due index could not be written; the next start makes it anew");
        }
    }

    /// What is next of some schedules of a tenant.
    pub(super) async fn look(&self, tenant: &Tenant, ids: Vec<Uuid>) -> Result<Vec<Found>> {
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

    /// What is due now, in order, and how long before its instant it is written down.
    pub(super) fn due(&self) -> (Vec<Due>, Duration) {
        let now = self.foundation.clock().now();
        let lead = self.lead(now);
        let mut due = self.agenda.due(now + lead);
        let mut waiting = self.waiting.lock();
        if !waiting.is_empty() {
            let place = |due: &Due| (due.tenant.clone(), due.schedule_id);
            // What was moved or deleted meanwhile does not wait any more.
            let places: HashSet<(Tenant, Uuid)> = due.iter().map(place).collect();
            waiting.retain(|place, again| *again > now || places.contains(place));
            due.retain(|due| waiting.get(&place(due)).is_none_or(|again| *again <= now));
        }
        (due, lead)
    }

    /// Deals with what is due of a tenant.
    pub(super) async fn fire_tenant(&self, tenant: &Tenant, due: Vec<Due>, lead: Duration) -> Vec<Found> {
        let ids: Vec<Uuid> = due.iter().map(|due| due.schedule_id).collect();
        match self.fire(tenant, ids, lead).await {
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
                let again = self.foundation.clock().now() + LOOK;
                let mut waiting = self.waiting.lock();
                for due in due {
                    waiting.insert((due.tenant, due.schedule_id), again);
                }
                Vec::new()
            }
        }
    }

    async fn fire(&self, tenant: &Tenant, ids: Vec<Uuid>, lead: Duration) -> Result<Vec<Found>> {
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
        let mut ids: BTreeSet<Uuid> = match editor.rows().read(ids_of_schedules).await {
            Ok(ids) => ids.into_iter().collect(),
            // Has no library (yet, or any more).
            Err(Error::NotFound) => BTreeSet::new(),
            Err(cause) => return Err(cause),
        };
        ids.extend(self.agenda.of_tenant(tenant));
        self.touch(tenant, ids);
        self.engine.check_tenant(&editor).await
    }
}

fn ids_of_schedules(rows: &Reader<'_>) -> Result<Vec<Uuid>> {
    let mut ids = Vec::new();
    rows.each::<Schedule>(false, |row| {
        ids.push(row.id());
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(ids)
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
