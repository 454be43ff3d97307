//! Sees what no row says: the first bytes of a run, a target that is not served and is served again, an occurrence
//! that comes near, the hour of a digest, a disk that fills up. What was told is noted in the batch of the notice, so
//! that another start neither forgets nor repeats it.

use std::collections::{BTreeMap, BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Notices;
use super::desk::LONGEST_LEAD;
use super::outbox::{TOLD, Told, of_run, put, put_once, wanting};
use super::rows::{Destination, Facts, Kind, StreamFacts};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::live::board::{Glance, GlanceTarget, StateName};
use crate::live::{LiveStream, Run, sample};
use crate::schedule::Schedule;
use crate::schedule::agenda::Due;
use crate::store::rows::{Reader, Row, Writer};
use crate::store::{Change, Space};

/// The board is looked at so often, the agenda, digests and the disk so often, and old notes so often.
const LOOK: Duration = Duration::from_secs(1);
const LOOK_AHEAD: Duration = Duration::from_secs(5);
const LOOK_AROUND: Duration = Duration::from_secs(20);
const SWEEP: Duration = Duration::from_secs(3600);
/// A target that has not been served for so long is told.
const TROUBLE: Duration = Duration::from_secs(60);
/// One that is served for so long is back.
const STEADY: Duration = Duration::from_secs(10);
/// Of one target one trouble is told within this.
const QUIET: Duration = Duration::from_secs(1800);
/// "Started" is told no later than this after the start.
const FRESH: Duration = Duration::from_secs(1800);
/// "Starts soon" is not told in the last moment.
const TOO_SOON: Duration = Duration::from_secs(5);

/// What was told of a run, in the library, until it is over.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
struct RunTold {
    started: bool,
    /// By target.
    outages: BTreeMap<Uuid, Outage>,
}

/// A target's trouble that was told.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
struct Outage {
    since: Timestamp,
    told_at: Timestamp,
    /// It is not yet told that it is over.
    open: bool,
}

const RUNS: &str = "told-run/";

impl RunTold {
    fn key(run: Uuid) -> String {
        format!("{RUNS}{run}")
    }
}

/// What is to be told of a run.
#[derive(Debug, Clone, PartialEq)]
enum Edge {
    /// The first bytes went out; told where that is still news.
    Started { news: bool },
    /// A target has not been served since then.
    Trouble { target: Uuid, since: Timestamp },
    /// It is served again since then.
    Back { target: Uuid, at: Timestamp },
}

fn edges(told: &RunTold, glance: &Glance, now: Timestamp) -> Vec<Edge> {
    let mut edges = Vec::new();
    if glance.name == StateName::Stopping {
        return edges;
    }
    let begin = glance.started_at.unwrap_or(now);
    let is_served = |target: &GlanceTarget| matches!(target.name, StateName::Sending | StateName::Live);
    if !told.started && now >= begin && glance.targets.iter().any(is_served) {
        edges.push(Edge::Started { news: now < begin + FRESH });
    }
    for target in &glance.targets {
        let since = target.since.unwrap_or(begin).max(begin);
        let outage = told.outages.get(&target.id);
        match target.name {
            StateName::Starting | StateName::Retrying
                if now >= since + TROUBLE
                    && outage.is_none_or(|outage| !outage.open && now >= outage.told_at + QUIET) =>
            {
                edges.push(Edge::Trouble { target: target.id, since });
            }
            StateName::Sending | StateName::Live
                if now >= since + STEADY && outage.is_some_and(|outage| outage.open) =>
            {
                edges.push(Edge::Back { target: target.id, at: since });
            }
            _ => {}
        }
    }
    edges
}

impl RunTold {
    fn note(&mut self, edge: &Edge, now: Timestamp) {
        match edge {
            Edge::Started { .. } => self.started = true,
            Edge::Trouble { target, since } => {
                self.outages.insert(*target, Outage { since: *since, told_at: now, open: true });
            }
            Edge::Back { target, .. } => {
                if let Some(outage) = self.outages.get_mut(target) {
                    outage.open = false;
                }
            }
        }
    }
}

/// Writes what is to be told of a run; what was told of it by now, or nothing if it is over.
fn tell_run(rows: &mut Writer<'_>, glance: &Glance) -> Result<Option<RunTold>> {
    let (now, key) = (rows.now(), RunTold::key(glance.run_id));
    let Some(run) = rows.view().get::<Run>(glance.run_id)?.filter(|run| run.value.is_open()) else {
        return Ok(None);
    };
    let mut told: RunTold = rows.value(&key)?.unwrap_or_default();
    let new = edges(&told, glance, now);
    for edge in &new {
        let target = |id: Uuid| glance.targets.iter().find(|target| target.id == id);
        let outage = |id: Uuid| told.outages.get(&id).copied();
        let mut facts = of_run(run.id(), &run.value);
        let kind = match edge {
            Edge::Started { news: false } => None,
            Edge::Started { news: true } => Some(Kind::Started),
            Edge::Trouble { target: id, since } => {
                facts.trouble_since = Some(*since);
                facts.platform = target(*id).map(|target| target.platform.code().to_owned());
                facts.reason = target(*id).and_then(|target| target.reason.clone());
                Some(Kind::Retrying)
            }
            Edge::Back { target: id, .. } => {
                facts.trouble_since = outage(*id).map(|outage| outage.since);
                facts.platform = target(*id).map(|target| target.platform.code().to_owned());
                Some(Kind::Back)
            }
        };
        if let Some(kind) = kind {
            for destination in wanting(rows.view(), kind)? {
                put(rows, destination, kind, Facts::Stream(Box::new(facts.clone())))?;
            }
        }
        told.note(edge, now);
    }
    if !new.is_empty() {
        rows.put_value(&key, &told)?;
    }
    Ok(Some(told))
}

/// A destination, as far as the watcher must know it without opening a library.
#[derive(Debug, Clone)]
pub(super) struct Watched {
    pub(super) row: Row<Destination>,
}

impl Watched {
    fn wants(&self, kind: Kind) -> bool {
        self.row.value.enabled && self.row.value.kinds.contains(&kind)
    }
}

/// What is known between two looks. All of it can be lost.
#[derive(Default)]
pub(super) struct Known {
    pub(super) tenants: HashMap<Tenant, Vec<Watched>>,
    runs: HashMap<Uuid, RunTold>,
    soon: HashSet<(Uuid, Uuid, Timestamp)>,
    /// The last day whose digest needs no more thought, by destination.
    pub(super) digests: HashMap<Uuid, jiff::civil::Date>,
}

impl Known {
    /// The destinations that want a kind.
    pub(super) fn wanting(&self, kind: Kind) -> Vec<(Tenant, Row<Destination>)> {
        let all = self.tenants.iter().flat_map(|(tenant, all)| all.iter().map(move |watched| (tenant, watched)));
        let wanting = all.filter(|(_, watched)| watched.wants(kind));
        wanting.map(|(tenant, watched)| (tenant.clone(), watched.row.clone())).collect()
    }
}

impl Notices {
    /// Watches until the end.
    pub async fn watch(self, end: CancellationToken) {
        let mut changes = self.shared.foundation.store().watch();
        let mut known = Known::default();
        let mut look_at = self.marked().await;
        let mut ticks = tokio::time::interval(LOOK);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut last = [None::<Instant>; 3];
        let mut due = |which: usize, period: Duration| {
            let is_due = last[which].is_none_or(|last: Instant| last.elapsed() >= period);
            if is_due {
                last[which] = Some(Instant::now());
            }
            is_due
        };
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                change = changes.recv() => match change {
                    Ok(change) => look_at.extend(destinations_changed(&change)),
                    Err(broadcast::error::RecvError::Lagged(_)) => look_at.extend(self.marked().await),
                    Err(broadcast::error::RecvError::Closed) => return,
                },
                _ = ticks.tick() => {
                    self.learn(&mut known, std::mem::take(&mut look_at)).await;
                    self.look_at_board(&mut known).await;
                    if due(0, LOOK_AHEAD) {
                        self.look_ahead(&mut known).await;
                    }
                    if due(1, LOOK_AROUND) {
                        self.digests(&mut known).await;
                        self.disk(&known).await;
                    }
                    if due(2, SWEEP) {
                        self.forget(&mut known).await;
                    }
                }
            }
        }
    }

    /// Reads the destinations of tenants again.
    async fn learn(&self, known: &mut Known, tenants: BTreeSet<Tenant>) {
        for tenant in tenants {
            let read = |rows: &Reader<'_>| {
                let mut all = Vec::new();
                rows.each::<Destination>(false, |row| {
                    all.push(Watched { row });
                    ControlFlow::Continue(())
                })?;
                Ok(all)
            };
            match self.editor(&tenant).rows().read(read).await {
                Ok(all) if !all.is_empty() => drop(known.tenants.insert(tenant, all)),
                Ok(_) | Err(Error::NotFound) => drop(known.tenants.remove(&tenant)),
                Err(cause) => tracing::error!(%tenant, %cause, "destinations of notices could not be read"),
            }
        }
    }

    async fn look_at_board(&self, known: &mut Known) {
        let now = self.shared.foundation.clock().now();
        let glances = self.shared.foundation.board().glances(|tenant| known.tenants.contains_key(tenant));
        let on_air: HashSet<Uuid> = glances.iter().map(|glance| glance.run_id).collect();
        known.runs.retain(|run, _| on_air.contains(run));
        for glance in glances {
            let told = known.runs.get(&glance.run_id);
            if told.is_some_and(|told| edges(told, &glance, now).is_empty()) {
                continue;
            }
            let (run, tenant) = (glance.run_id, glance.tenant.clone());
            match self.editor(&tenant).rows().write(move |rows| tell_run(rows, &glance)).await {
                Ok(Some(told)) => drop(known.runs.insert(run, told)),
                Ok(None) | Err(Error::NotFound) => {}
                Err(cause) => {
                    tracing::error!(%run, %cause, "what became of a run could not be told; it is tried again")
                }
            }
        }
    }

    /// Tells what goes on air soon.
    async fn look_ahead(&self, known: &mut Known) {
        let now = self.shared.foundation.clock().now();
        known.soon.retain(|(_, _, at)| *at > now);
        let mut leads: HashMap<Tenant, Vec<(Uuid, Duration)>> = HashMap::new();
        for (tenant, row) in known.wanting(Kind::StartsSoon) {
            let lead = Duration::from_secs(u64::from(row.value.lead_minutes) * 60);
            leads.entry(tenant).or_default().push((row.id(), lead));
        }
        let Some(longest) = leads.values().flatten().map(|(_, lead)| *lead).max() else { return };
        let longest = longest.min(Duration::from_secs(u64::from(LONGEST_LEAD) * 60));
        for due in self.shared.agenda.due(now + longest) {
            let Some(destinations) = leads.get(&due.tenant) else { continue };
            if due.at < now + TOO_SOON {
                continue;
            }
            let place = |id: Uuid| (id, due.schedule_id, due.at);
            let near =
                destinations.iter().filter(|(id, lead)| due.at <= now + *lead && !known.soon.contains(&place(*id)));
            let near: Vec<Uuid> = near.map(|(id, _)| *id).collect();
            if near.is_empty() {
                continue;
            }
            let places: Vec<_> = near.iter().map(|id| place(*id)).collect();
            let whole = due.clone();
            match self.editor(&due.tenant).rows().write(move |rows| tell_soon(rows, &whole, &near)).await {
                Ok(()) | Err(Error::NotFound) => known.soon.extend(places),
                Err(cause) => tracing::error!(tenant = %due.tenant, %cause, "what starts soon could not be told"),
            }
        }
    }

    /// Forgets what was told long ago.
    async fn forget(&self, known: &mut Known) {
        let tenants: Vec<Tenant> = known.tenants.keys().cloned().collect();
        known.digests.retain(|id, _| known.tenants.values().flatten().any(|watched| watched.row.id() == *id));
        for tenant in tenants {
            if let Err(cause) = self.editor(&tenant).rows().write(forget_old).await {
                tracing::warn!(%tenant, %cause, "old notes about notices could not be removed; they are later");
            }
        }
    }
}

fn destinations_changed(change: &Change) -> Option<Tenant> {
    let Space::Tenant(tenant) = &change.space else { return None };
    change.keys.iter().any(|key| key.starts_with(b"row/destination/")).then(|| tenant.clone())
}

fn tell_soon(rows: &mut Writer<'_>, due: &Due, destinations: &[Uuid]) -> Result<()> {
    let Some(schedule) = rows.view().get::<Schedule>(due.schedule_id)?.filter(|row| !row.value.paused) else {
        return Ok(());
    };
    let stream_id = schedule.value.stream_id;
    let Some(stream) = rows.view().get::<LiveStream>(stream_id)? else { return Ok(()) };
    if sample::is_shown_only(rows.view(), stream_id)? {
        return Ok(());
    }
    let facts = StreamFacts {
        stream_id,
        title: stream.value.title,
        schedule_id: Some(due.schedule_id),
        occurrence_at: Some(due.at),
        count: 1,
        ..StreamFacts::default()
    };
    let what = format!("soon/{}/{}", due.schedule_id, due.at.as_second());
    for destination in destinations {
        let facts = Facts::Stream(Box::new(facts.clone()));
        put_once(rows, *destination, &what, due.at, (Kind::StartsSoon, facts))?;
    }
    Ok(())
}

fn forget_old(rows: &mut Writer<'_>) -> Result<()> {
    let (now, mut old) = (rows.now(), Vec::new());
    rows.view().values::<Told>(TOLD, |key, told| {
        if told.until < now {
            old.push(key.to_owned());
        }
        ControlFlow::Continue(())
    })?;
    let mut runs = Vec::new();
    rows.view().values::<RunTold>(RUNS, |key, _| {
        runs.extend(key.strip_prefix(RUNS).and_then(|id| Uuid::parse_str(id).ok()));
        ControlFlow::Continue(())
    })?;
    for run in runs {
        if !rows.view().get::<Run>(run)?.is_some_and(|run| run.value.is_open()) {
            old.push(RunTold::key(run));
        }
    }
    old.iter().for_each(|key| rows.delete_value(key));
    Ok(())
}

#[cfg(test)]
#[path = "watch_tests.rs"]
mod tests;
