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

use super::agenda::{Agenda, Due, Found};
use super::calls::{next_of, passed};
use super::recurrence::{Occurrence, occurrences};
use super::{Passed, Schedule, occurrence_key};
use crate::auth::{Actor, SystemLicence, Tenant, WriteScope};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::{Editor, Library};
use crate::live::sample;
use crate::live::start::{self, Begun, Start};
use crate::live::{Engine, LiveStream, Run};
use crate::store::rows::{Reader, Row, Writer};
use crate::store::{Change, Space};
use crate::tenancy;
use crate::text::Message;

/// So long before its instant a run is written down, so that its processes stand when it comes.
const LEAD: Duration = Duration::from_secs(4);
/// So long an occurrence waits for a run before it that ends at that very instant.
const HANDOVER: Duration = Duration::from_secs(15);
/// The wall clock is looked at so often.
const LOOK: Duration = Duration::from_secs(1);
/// Tenants worked on at once.
const AT_ONCE: usize = 16;
/// Occurrences of one schedule that are dealt with at once, and of them so many as missed with a row of their own.
const MOST: usize = 2000;
const MOST_MISSED: usize = 60;
/// After a start, libraries are looked through with this pause where there are many.
const PAUSE: Duration = Duration::from_millis(5);
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

/// What is left to do for a schedule.
enum Next {
    At(Option<Timestamp>),
    /// Look again then, at the same occurrence.
    Again(Timestamp, Timestamp),
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
            let wake = [self.agenda.first().map(|at| at - LEAD), self.waiting.lock().values().min().copied()];
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

    /// Deals with what is due.
    async fn fire(&self) {
        let now = self.foundation.clock().now();
        let mut by_tenant: BTreeMap<Tenant, Vec<Due>> = BTreeMap::new();
        {
            let waiting = self.waiting.lock();
            for due in self.agenda.due(now + LEAD) {
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
                match self.fire_tenant(&tenant, ids).await {
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

    async fn fire_tenant(&self, tenant: &Tenant, ids: Vec<Uuid>) -> Result<Vec<Found>> {
        start::mark_to_begin(&self.foundation, tenant).await?;
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
                    let next = deal_with(rows, &library, &actor, *id, run)?;
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

/// The first occurrence that is not dealt with, however late.
fn first_due(rows: &Reader<'_>, row: &Row<Schedule>, now: Timestamp) -> Result<Option<Timestamp>> {
    if row.value.paused {
        return Ok(None);
    }
    let passed: Option<Passed> = rows.value(&Passed::key(row.id()))?;
    match passed {
        Some(passed) => Ok(occurrences(&row.value, passed.through).next().map(|one| one.start)),
        None => Ok(next_of(rows, row, now)?.map(|one| one.start)),
    }
}

/// Deals with everything of a schedule that is due: starts it, or writes down why not. `run` is the id of the run, if
/// there is to be one.
fn deal_with(rows: &mut Writer<'_>, library: &Library, actor: &Actor, id: Uuid, run: Uuid) -> Result<Next> {
    let Some(row) = rows.get::<Schedule>(id)? else { return Ok(Next::At(None)) };
    if row.value.paused || rows.get::<LiveStream>(row.value.stream_id)?.is_none() {
        return Ok(Next::At(None));
    }
    let now = rows.now();
    let before = passed(rows, &row)?;
    let mut after = before.clone();
    let mut due = Vec::new();
    let mut next = None;
    for occurrence in occurrences(&row.value, before.through).take(MOST) {
        if occurrence.start > now + LEAD {
            next = Some(occurrence.start);
            break;
        }
        due.push(occurrence);
    }
    if sample::is_shown_only(rows.view(), row.value.stream_id)? {
        if let Some(last) = due.last() {
            rows.put_value(&Passed::key(id), &Passed { through: last.start, ..after })?;
        }
        return Ok(Next::At(next));
    }
    // Of a long absence the newest are told one by one.
    let told = due.len().saturating_sub(MOST_MISSED);
    for (number, occurrence) in due.iter().enumerate() {
        let newest = number + 1 == due.len();
        // Only the newest may still be started: those before it are over or overtaken.
        let begin = Start {
            stream: row.value.stream_id,
            run: if newest { run } else { Uuid::now_v7() },
            start_at: occurrence.start.max(now),
            stop_at: occurrence.stop,
            schedule: Some(id),
            occurrence: Some(occurrence.start),
        };
        match verdict(&row, occurrence, newest, now) {
            Err(reason) if number >= told => {
                start::miss(rows, library.tenant(), actor, &begin, reason)?;
                after.last_run = Some(begin.run);
            }
            Err(_) => {}
            Ok(()) => match try_start(rows, library, actor, &begin, occurrence, now)? {
                Tried::Started => after.last_run = Some(run),
                Tried::Covered => {}
                Tried::Missed(reason) => {
                    start::miss(rows, library.tenant(), actor, &begin, reason)?;
                    after.last_run = Some(run);
                }
                Tried::Later(again) => {
                    if after != before {
                        rows.put_value(&Passed::key(id), &after)?;
                    }
                    return Ok(Next::Again(occurrence.start, again));
                }
            },
        }
        after.through = occurrence.start;
    }
    if after != before {
        rows.put_value(&Passed::key(id), &after)?;
    }
    Ok(Next::At(next))
}

/// Whether an occurrence may still be started.
fn verdict(row: &Row<Schedule>, occurrence: &Occurrence, newest: bool, now: Timestamp) -> Result<(), Message> {
    let late = u64::try_from(now.duration_since(occurrence.start).as_secs()).unwrap_or(0);
    if occurrence.stop.is_some_and(|stop| stop <= now) {
        return Err(Message::new("schedule-missed-over").with("minutes", late.div_ceil(60)));
    }
    if late > u64::from(row.value.grace) {
        let message = Message::new("schedule-missed-late").with("minutes", late.div_ceil(60));
        return Err(message.with("grace", u64::from(row.value.grace).div_ceil(60)));
    }
    if !newest {
        return Err(Message::new("schedule-missed-overtaken"));
    }
    Ok(())
}

enum Tried {
    Started,
    /// The schedule's own run without an end goes on.
    Covered,
    Missed(Message),
    /// Look again then.
    Later(Timestamp),
}

fn try_start(
    rows: &mut Writer<'_>,
    library: &Library,
    actor: &Actor,
    begin: &Start,
    occurrence: &Occurrence,
    now: Timestamp,
) -> Result<Tried> {
    if let Some(schedule) = begin.schedule
        && rows.value::<Uuid>(&occurrence_key(schedule, occurrence.start))?.is_some()
    {
        return Ok(Tried::Covered);
    }
    let soon = now + Duration::from_millis(250);
    match start::begin(rows, library, actor, begin)? {
        Begun::Run => Ok(Tried::Started),
        // What is in the way may be gone by then.
        Begun::Busy { .. } | Begun::Refused(_) if now < occurrence.start => {
            Ok(Tried::Later(soon.min(occurrence.start)))
        }
        Begun::Refused(reason) => Ok(Tried::Missed(reason)),
        Begun::Busy { run, stopping } => {
            let ending = stopping || is_handing_over(&run, occurrence);
            if ending && now < occurrence.start + HANDOVER {
                Ok(Tried::Later(soon))
            } else if run.value.schedule_id == begin.schedule && run.value.planned_stop.is_none() {
                Ok(Tried::Covered)
            } else {
                Ok(Tried::Missed(Message::new("schedule-missed-busy")))
            }
        }
    }
}

/// The run before ends when this occurrence begins.
fn is_handing_over(other: &Row<Run>, occurrence: &Occurrence) -> bool {
    other.value.planned_stop.is_some_and(|stop| stop <= occurrence.start + Duration::from_secs(1))
}

#[cfg(test)]
#[path = "planner_tests.rs"]
mod tests;
