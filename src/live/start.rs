//! How a run begins: one batch that writes it down before anything is started, the same for people and for schedules.

use std::collections::HashSet;

use jiff::Timestamp;
use uuid::Uuid;

use super::admission::{Capacity, Weight};
use super::board::Load;
use super::run::{Run, RunOutcome, RunTarget, open_runs};
use super::stream::{LastRun, LiveStream, Order};
use crate::audit;
use crate::auth::{Actor, Tenant};
use crate::error::{Error, FieldError, Result};
use crate::foundation::Foundation;
use crate::library::{Library, Video, VideoState};
use crate::notify;
use crate::schedule::occurrence_key;
use crate::store::SpaceStore;
use crate::store::rows::{Reader, Row, Writer};
use crate::tenancy;
use crate::text::Message;

/// Prefix of the platform's marks of tenants that may have something on air: the first to be looked at after a start.
pub(crate) const ACTIVE: &str = "active/";

/// Which occurrence of a schedule a run serves.
#[derive(Debug, Clone)]
pub(crate) struct Slot {
    /// When it is.
    pub(crate) at: Timestamp,
    /// See [`crate::schedule::occurrence_name`].
    pub(crate) name: String,
}

/// A run to be begun.
#[derive(Debug, Clone)]
pub(crate) struct Start {
    pub(crate) stream: Uuid,
    /// Its id, chosen before so that its load can be booked.
    pub(crate) run: Uuid,
    /// On air from then; not long ahead.
    pub(crate) start_at: Timestamp,
    pub(crate) stop_at: Option<Timestamp>,
    pub(crate) schedule: Option<Uuid>,
    pub(crate) occurrence: Option<Slot>,
}

impl Start {
    /// The key that makes this the only run of its occurrence.
    fn key(&self) -> Option<String> {
        let slot = self.occurrence.as_ref()?;
        self.schedule.map(|schedule| occurrence_key(schedule, &slot.name))
    }
}

/// What came of it.
pub(crate) enum Begun {
    /// It is in the batch.
    Run,
    /// The stream is on air by this run.
    Busy {
        run: Box<Row<Run>>,
        /// It is being ended.
        stopping: bool,
    },
    /// The box is full; there may be room later.
    NoRoom(Message),
    /// It cannot go on air now.
    Refused(Message),
}

fn platform(foundation: &Foundation) -> SpaceStore {
    #[allow(clippy::disallowed_methods, reason = "marks are over all tenants")]
    foundation.store().platform()
}

/// Marks a tenant as one that may have something on air. Before its run is written, so that a crash between the two
/// leaves a mark too many and never one too few.
///
/// # Errors
/// [`Error::NotFound`] for a tenant that is being removed.
pub(crate) async fn mark_to_begin(foundation: &Foundation, tenant: &Tenant) -> Result<()> {
    let whose = tenant.clone();
    if platform(foundation).read(move |rows| tenancy::is_ending(rows, &whose)).await? {
        return Err(Error::NotFound);
    }
    mark(foundation, tenant).await
}

/// Marks a tenant that has something on air.
pub(super) async fn mark(foundation: &Foundation, tenant: &Tenant) -> Result<()> {
    let key = format!("{ACTIVE}{tenant}");
    let platform = platform(foundation);
    let look = {
        let key = key.clone();
        move |rows: &Reader<'_>| Ok(rows.value::<bool>(&key)?.is_some())
    };
    if platform.read(look).await? {
        return Ok(());
    }
    platform.write(move |rows| rows.put_value(&key, &true)).await
}

/// Complains about videos that are not there. Those that the stream `had` already may be on their way out.
pub(super) fn check_videos(
    rows: &mut Writer<'_>,
    videos: &[Uuid],
    had: &[Uuid],
    errors: &mut Vec<FieldError>,
) -> Result<()> {
    let different: HashSet<Uuid> = videos.iter().copied().collect();
    for video in different {
        let found = rows.get::<Video>(video)?;
        let usable = found.is_some_and(|row| row.value.state == VideoState::Ready || had.contains(&video));
        if !usable {
            errors.push(FieldError { field: "videos".into(), message: Message::new("live-video-unknown") });
            break;
        }
    }
    Ok(())
}

/// Puts a run, the stream's order and the key of the occurrence into the batch, and books the load. The caller gives
/// the load back if the batch is not committed.
///
/// # Errors
/// [`Error::NotFound`] where there is no such stream, [`Error::Conflict`] where the occurrence has a run already.
pub(crate) fn begin(rows: &mut Writer<'_>, library: &Library, actor: &Actor, start: &Start) -> Result<Begun> {
    let stream = rows.need::<LiveStream>(start.stream, None)?;
    let order: Order = rows.value(&Order::key(start.stream))?.unwrap_or_default();
    // By the order, which also tells of a run that this very batch begins; by the view, of one that is being ended.
    let mut other = match order.run.filter(|_| order.on) {
        Some(run) => rows.get::<Run>(run)?.filter(|run| run.value.is_open()),
        None => None,
    };
    if other.is_none() {
        other = open_runs(rows.view())?.into_iter().find(|run| run.value.stream_id == start.stream);
    }
    if let Some(other) = other {
        return Ok(Begun::Busy { run: Box::new(other), stopping: !order.on });
    }
    let key = start.key();
    if let Some(key) = &key
        && rows.value::<Uuid>(key)?.is_some()
    {
        return Err(Error::Conflict(Message::new("live-run-over")));
    }
    let by_rtmp = stream.value.targets.iter().any(|target| target.is_rtmp());
    let mut videos = Vec::with_capacity(stream.value.videos.len());
    let mut weight = Weight::default();
    let mut known = std::collections::HashMap::new();
    for id in &stream.value.videos {
        let rate = match known.get(id) {
            Some(rate) => *rate,
            None => {
                let found = rows.get::<Video>(*id)?.filter(|row| row.value.state == VideoState::Ready);
                if let Some(row) = &found
                    && by_rtmp
                    && row.value.verdict.bars_rtmp(stream.value.overlay.is_some())
                {
                    let title = row.value.title.clone();
                    return Ok(Begun::Refused(Message::new("live-video-unfit").with("title", title)));
                }
                *known.entry(*id).or_insert(found.map(|row| Weight::of(&row.value.facts)))
            }
        };
        if let Some(rate) = rate {
            videos.push(*id);
            weight = weight.most(rate);
        }
    }
    if videos.is_empty() {
        return Ok(Begun::Refused(Message::new("live-no-video-left")));
    }
    let encoders = stream.value.targets.len() as u64;
    let overlay = stream.value.overlay.clone();
    let each = Load::of_one(overlay.as_ref(), weight);
    let load = each.times(encoders);
    let capacity = Capacity::of(library.foundation().config());
    if let Err(refused) = library.foundation().board().book(start.run, load, |booked| capacity.admit(booked, load)) {
        // What an empty box has no room for will never find any.
        let never = capacity.admit(Load::default(), load);
        return Ok(never.map_or_else(|never| Begun::Refused(never.message()), |()| Begun::NoRoom(refused.message())));
    }
    let run = Run {
        stream_id: start.stream,
        stream_title: stream.value.title.clone(),
        schedule_id: start.schedule,
        occurrence_at: start.occurrence.as_ref().map(|slot| slot.at),
        occurrence_name: start.occurrence.as_ref().map(|slot| slot.name.clone()),
        started_at: Some(start.start_at),
        planned_stop: start.stop_at,
        ended_at: None,
        outcome: None,
        reason: None,
        started_by: actor.name().to_owned(),
        videos,
        order: stream.value.order,
        repeat: stream.value.repeat,
        bitrate: each.bitrate,
        cpu: each.cpu,
        extra_mib: each.extra_mib,
        overlay,
        restarts: 0,
        attempts: 0,
        bytes: 0,
        targets: run_targets(&stream.value)?,
    };
    rows.insert_with_id(start.run, library.tenant(), actor, run)?;
    if let Some(key) = &key {
        rows.put_value(key, &start.run)?;
    }
    let order = Order {
        on: true,
        stop_at: start.stop_at,
        since: Some(rows.now()),
        by: actor.name().to_owned(),
        run: Some(start.run),
        last: order.last,
    };
    rows.put_value(&Order::key(start.stream), &order)?;
    audit::record(rows, actor, "stream.start", format!("{} {}", start.stream, stream.value.title))?;
    Ok(Begun::Run)
}

fn run_targets(stream: &LiveStream) -> Result<Vec<RunTarget>> {
    let targets = stream.targets.iter().map(|target| {
        Ok(RunTarget {
            id: target.id,
            platform: target.platform,
            url: target.address()?,
            key: target.key.clone(),
            key_masked: target.key_masked.clone(),
            fence: 0,
            keeper: None,
            end: None,
        })
    });
    targets.collect()
}

/// Puts a run that was not even tried into the batch.
pub(crate) fn miss(
    rows: &mut Writer<'_>,
    tenant: &Tenant,
    actor: &Actor,
    start: &Start,
    reason: Message,
) -> Result<()> {
    let stream = rows.need::<LiveStream>(start.stream, None)?;
    let key = start.key();
    if let Some(key) = &key {
        if rows.value::<Uuid>(key)?.is_some() {
            return Ok(());
        }
        rows.put_value(key, &start.run)?;
    }
    let mut targets = run_targets(&stream.value)?;
    targets.iter_mut().for_each(|target| target.key = None);
    let run = Run {
        stream_id: start.stream,
        stream_title: stream.value.title.clone(),
        schedule_id: start.schedule,
        occurrence_at: start.occurrence.as_ref().map(|slot| slot.at),
        occurrence_name: start.occurrence.as_ref().map(|slot| slot.name.clone()),
        started_at: None,
        planned_stop: start.stop_at,
        ended_at: Some(rows.now()),
        outcome: Some(RunOutcome::Missed),
        reason: Some(reason.clone()),
        started_by: actor.name().to_owned(),
        videos: Vec::new(),
        order: stream.value.order,
        repeat: stream.value.repeat,
        overlay: stream.value.overlay.clone(),
        bitrate: 0,
        cpu: 0,
        extra_mib: 0,
        restarts: 0,
        attempts: 0,
        bytes: 0,
        targets,
    };
    notify::run_missed(rows, start.run, &run)?;
    rows.insert_with_id(start.run, tenant, actor, run)?;
    let mut order: Order = rows.value(&Order::key(start.stream))?.unwrap_or_default();
    if !order.on {
        let at = rows.now();
        order.last = Some(LastRun { run_id: start.run, outcome: RunOutcome::Missed, reason: Some(reason), at });
        rows.put_value(&Order::key(start.stream), &order)?;
    }
    audit::record(rows, actor, "stream.miss", format!("{} {}", start.stream, stream.value.title))
}
