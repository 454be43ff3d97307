//! What becomes of an occurrence that is due: started, missed with its reason, or left for a moment.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::calls::{next_of, passed};
use super::recurrence::{Occurrence, occurrences};
use super::{Passed, Schedule, Waiting, occurrence_key, occurrence_name};
use crate::auth::Actor;
use crate::error::Result;
use crate::library::Library;
use crate::live::sample;
use crate::live::start::{self, Begun, Slot, Start};
use crate::live::{LiveStream, Run};
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;

/// So long an occurrence waits for a run before it that ends at that very instant.
const HANDOVER: Duration = Duration::from_secs(15);
/// A box that is full is asked again after so long.
const ROOM_AGAIN: Duration = Duration::from_secs(10);
/// Occurrences of one schedule that are dealt with at once, and of them so many as missed with a row of their own.
const MOST: usize = 2000;
const MOST_MISSED: usize = 60;

/// What is left to do for a schedule.
pub(super) enum Next {
    At(Option<Timestamp>),
    /// Look again then, at the same occurrence.
    Again(Timestamp, Timestamp),
}

/// The first occurrence that is not dealt with, however late.
pub(super) fn first_due(rows: &Reader<'_>, row: &Row<Schedule>, now: Timestamp) -> Result<Option<Timestamp>> {
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
/// there is to be one; what comes up within `lead` is begun already. Where the tenant is `locked`, nothing is started.
pub(super) fn deal_with(
    rows: &mut Writer<'_>,
    library: &Library,
    actor: &Actor,
    (id, run): (Uuid, Uuid),
    (lead, locked): (Duration, bool),
) -> Result<Next> {
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
        if occurrence.start > now + lead {
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
            occurrence: Some(Slot { at: occurrence.start, name: occurrence_name(&row.value, occurrence.of) }),
        };
        let verdict = match locked {
            true => Err(Message::new("schedule-missed-locked")),
            false => verdict(&row, occurrence, newest, now),
        };
        match verdict {
            Err(reason) if number >= told => {
                start::miss(rows, library.tenant(), actor, &begin, reason)?;
                after.last_run = Some(begin.run);
            }
            Err(_) => {}
            Ok(()) => match try_start(rows, library, actor, &begin, &row, occurrence, now)? {
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
                Tried::WithoutRoom(again, reason) => {
                    if after != before {
                        rows.put_value(&Passed::key(id), &after)?;
                    }
                    let waiting = Waiting { occurrence_at: occurrence.start, reason };
                    if rows.value::<Waiting>(&Waiting::key(id))?.as_ref() != Some(&waiting) {
                        rows.put_value(&Waiting::key(id), &waiting)?;
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
    if rows.value::<Waiting>(&Waiting::key(id))?.is_some() {
        rows.delete_value(&Waiting::key(id));
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
    /// The box is full; look again then.
    WithoutRoom(Timestamp, Message),
}

fn try_start(
    rows: &mut Writer<'_>,
    library: &Library,
    actor: &Actor,
    begin: &Start,
    schedule: &Row<Schedule>,
    occurrence: &Occurrence,
    now: Timestamp,
) -> Result<Tried> {
    if let (Some(schedule), Some(slot)) = (begin.schedule, &begin.occurrence)
        && rows.value::<Uuid>(&occurrence_key(schedule, &slot.name))?.is_some()
    {
        return Ok(Tried::Covered);
    }
    let soon = now + Duration::from_millis(250);
    match start::begin(rows, library, actor, begin)? {
        Begun::Run => Ok(Tried::Started),
        // What is in the way may be gone by then.
        Begun::Busy { .. } | Begun::NoRoom(_) | Begun::Refused(_) if now < occurrence.start => {
            Ok(Tried::Later(soon.min(occurrence.start)))
        }
        Begun::NoRoom(reason) => {
            let last = occurrence.start + Duration::from_secs(u64::from(schedule.value.grace));
            let again = (now + ROOM_AGAIN).min(last);
            match now < last && occurrence.stop.is_none_or(|stop| again < stop) {
                true => Ok(Tried::WithoutRoom(again, reason)),
                false => Ok(Tried::Missed(reason)),
            }
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
