//! Puts notices into the batch of what causes them.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::rows::{BroadcastFacts, Destination, Facts, Kind, NOTICES, Notice, StreamFacts};
use crate::error::Result;
use crate::live::{Run, RunOutcome};
use crate::oauth::Connection;
use crate::store::Range;
use crate::store::rows::{Reader, Writer};
use crate::youtube::event::Event;
use crate::youtube::fault;

/// Notices of one tenant that wait; beyond that the oldest give way.
const MOST: usize = 500;
/// No notice is tried longer than this.
const GIVE_UP: Duration = Duration::from_secs(24 * 3600);
/// What was, or was not, on air a moment ago is of no interest later.
const MOMENT: Duration = Duration::from_secs(2 * 3600);
const HALF_DAY: Duration = Duration::from_secs(12 * 3600);
/// The same trouble of a stream's broadcasts is told once within this.
const SAME_TROUBLE: Duration = HALF_DAY;

impl Kind {
    /// How long a notice is worth telling.
    fn lasts(self) -> Duration {
        match self {
            Kind::StartsSoon | Kind::Started | Kind::Retrying | Kind::Back => MOMENT,
            Kind::Digest | Kind::DiskLow => HALF_DAY,
            Kind::Ended | Kind::Failed | Kind::Missed | Kind::Reconnect | Kind::Broadcast => GIVE_UP,
        }
    }
}

/// A run is over: its destinations are told how, in the batch that says so.
pub(crate) fn run_ended(rows: &mut Writer<'_>, id: Uuid, run: &Run) -> Result<()> {
    let kind = match run.outcome {
        Some(RunOutcome::Completed | RunOutcome::Stopped) => Kind::Ended,
        Some(RunOutcome::Failed) => Kind::Failed,
        Some(RunOutcome::Missed) => Kind::Missed,
        None => return Ok(()),
    };
    for destination in wanting(rows.view(), kind)? {
        put(rows, destination, kind, Facts::Stream(Box::new(of_run(id, run))))?;
    }
    Ok(())
}

/// An occurrence was missed. Those of one schedule that nobody was told of yet become one notice.
pub(crate) fn run_missed(rows: &mut Writer<'_>, id: Uuid, run: &Run) -> Result<()> {
    let Some(schedule) = run.schedule_id else { return run_ended(rows, id, run) };
    for destination in wanting(rows.view(), Kind::Missed)? {
        let pointer = missed_key(destination, schedule);
        let waiting = match rows.value::<Uuid>(&pointer)? {
            Some(waiting) => rows.value::<Notice>(&Notice::key(waiting))?,
            None => None,
        };
        let mut facts = of_run(id, run);
        if let Some(mut notice) = waiting {
            if let Facts::Stream(before) = &notice.facts {
                facts.count = before.count + 1;
            }
            notice.at = rows.now();
            notice.expires_at = notice.at + Kind::Missed.lasts();
            notice.facts = Facts::Stream(Box::new(facts));
            rows.put_value(&Notice::key(notice.id), &notice)?;
            continue;
        }
        let notice = put(rows, destination, Kind::Missed, Facts::Stream(Box::new(facts)))?;
        rows.put_value(&pointer, &notice)?;
    }
    Ok(())
}

/// A connection has to be made again: whoever wants to know is told, in the batch that says so.
pub(crate) fn connection_lost(rows: &mut Writer<'_>, id: Uuid, connection: &Connection) -> Result<()> {
    for destination in wanting(rows.view(), Kind::Reconnect)? {
        let facts = Facts::Channel { id, title: connection.title.clone(), reason: connection.fault.clone() };
        put(rows, destination, Kind::Reconnect, facts)?;
    }
    Ok(())
}

/// Something stands in a broadcast's way that somebody should know of: it is told in the batch that says so, once for
/// all broadcasts of its stream, or of its channel, that it holds up.
pub(crate) fn broadcast_in_trouble(rows: &mut Writer<'_>, id: Uuid, event: &Event) -> Result<()> {
    let trouble = event.trouble.as_ref().map_or("", |trouble| &trouble.id);
    let whose = if fault::is_of_channel(trouble) { event.channel_id } else { event.stream_id };
    let (what, until) = (format!("broadcast/{whose}/{trouble}"), rows.now() + SAME_TROUBLE);
    for destination in wanting(rows.view(), Kind::Broadcast)? {
        let facts = BroadcastFacts {
            id,
            stream_id: event.stream_id,
            channel_id: event.channel_id,
            title: event.wanted.texts.title.clone(),
            starts_at: event.wanted.settings.starts_at,
            reason: event.trouble.clone(),
            link: event.link(),
        };
        put_once(rows, destination, &what, until, (Kind::Broadcast, Facts::Broadcast(Box::new(facts))))?;
    }
    Ok(())
}

/// Names the notice that a further missed occurrence joins.
fn missed_key(destination: Uuid, schedule: Uuid) -> String {
    format!("notice-missed/{destination}/{schedule}")
}

/// The destinations that want a kind.
pub(super) fn wanting(rows: &Reader<'_>, kind: Kind) -> Result<Vec<Uuid>> {
    rows.ids_at::<Destination>(kind.index(), &[])
}

/// Puts one notice into the batch; its id.
pub(super) fn put(rows: &mut Writer<'_>, destination: Uuid, kind: Kind, facts: Facts) -> Result<Uuid> {
    make_room(rows)?;
    let (id, now) = (Uuid::now_v7(), rows.now());
    let expires_at = match &facts {
        Facts::Stream(facts) if kind == Kind::StartsSoon => facts.occurrence_at.unwrap_or(now),
        _ => now + kind.lasts(),
    };
    rows.put_value(&Notice::key(id), &Notice { id, destination, kind, facts, at: now, expires_at })?;
    Ok(id)
}

fn make_room(rows: &mut Writer<'_>) -> Result<()> {
    let mut keys = Vec::new();
    rows.view().scan(Range::prefix(NOTICES.as_bytes()), |key, _| {
        keys.extend(std::str::from_utf8(key).ok().map(str::to_owned));
        ControlFlow::Continue(())
    })?;
    for key in keys.iter().take((keys.len() + 1).saturating_sub(MOST)) {
        rows.delete_value(key);
    }
    Ok(())
}

/// What a run tells of itself.
pub(super) fn of_run(id: Uuid, run: &Run) -> StreamFacts {
    StreamFacts {
        stream_id: run.stream_id,
        title: run.stream_title.clone(),
        run_id: Some(id),
        schedule_id: run.schedule_id,
        occurrence_at: run.occurrence_at,
        started_at: run.started_at,
        stop_at: run.planned_stop,
        ended_at: run.ended_at,
        outcome: run.outcome.map(|outcome| outcome.code().to_owned()),
        reason: run.reason.clone(),
        restarts: run.restarts,
        bytes: run.bytes,
        count: 1,
        ..StreamFacts::default()
    }
}

/// That something was told, until nobody could tell it again anyway.
#[derive(Serialize, Deserialize)]
pub(super) struct Told {
    pub(super) until: Timestamp,
}

pub(super) const TOLD: &str = "told/";

/// Puts a notice into the batch unless `what` was told to the destination before; whether it did. `until` is when
/// that can be forgotten.
pub(super) fn put_once(
    rows: &mut Writer<'_>,
    destination: Uuid,
    what: &str,
    until: Timestamp,
    (kind, facts): (Kind, Facts),
) -> Result<bool> {
    let key = format!("{TOLD}{destination}/{what}");
    if rows.value::<Told>(&key)?.is_some() {
        return Ok(false);
    }
    rows.put_value(&key, &Told { until })?;
    put(rows, destination, kind, facts)?;
    Ok(true)
}

/// A missed occurrence that comes now is told by a notice of its own: this one is on its way, or gone.
pub(super) fn close_missed(rows: &mut Writer<'_>, notice: &Notice) {
    if let (Kind::Missed, Facts::Stream(facts)) = (notice.kind, &notice.facts)
        && let Some(schedule) = facts.schedule_id
    {
        rows.delete_value(&missed_key(notice.destination, schedule));
    }
}

/// Takes everything of a destination that waits, and what was noted for it, out of the library.
pub(super) fn clear(rows: &mut Writer<'_>, destination: Uuid) -> Result<()> {
    for notice in waiting(rows.view())?.iter().filter(|notice| notice.destination == destination) {
        rows.delete_value(&Notice::key(notice.id));
    }
    let mut keys = Vec::new();
    for prefix in [format!("{TOLD}{destination}/"), format!("notice-missed/{destination}/")] {
        rows.view().scan(Range::prefix(prefix.as_bytes()), |key, _| {
            keys.extend(std::str::from_utf8(key).ok().map(str::to_owned));
            ControlFlow::Continue(())
        })?;
    }
    keys.iter().for_each(|key| rows.delete_value(key));
    Ok(())
}

/// What waits, oldest first.
pub(super) fn waiting(rows: &Reader<'_>) -> Result<Vec<Notice>> {
    let mut waiting = Vec::new();
    rows.values::<Notice>(NOTICES, |_, notice| {
        waiting.push(notice);
        ControlFlow::Continue(())
    })?;
    Ok(waiting)
}
