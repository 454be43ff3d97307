//! What is on air by a schedule ends at another time when its occurrence, or the schedule, is changed.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::calls::stream_of;
use super::conflicts::refuse_clash;
use super::occurrence::{Act, OccurrenceChange, with_this};
use super::reach::Reach;
use super::recurrence::{Occurrence, occurrences, one};
use super::{Schedule, Until, occurrence_key, occurrence_name};
use crate::auth::Actor;
use crate::error::{Error, Result};
use crate::live::{Run, open_runs, put_stop_time};
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;

/// The run of an occurrence, while it is on air.
pub(super) fn run_on_air(rows: &Reader<'_>, schedule: Uuid, name: &str) -> Result<Option<Row<Run>>> {
    match rows.value::<Uuid>(&occurrence_key(schedule, name))? {
        Some(run) => Ok(rows.get::<Run>(run)?.filter(|run| run.value.is_open())),
        None => Ok(None),
    }
}

/// Lets what is on air by a schedule end when that says so now, where it says another time than before.
pub(super) fn end_with(rows: &mut Writer<'_>, actor: &Actor, id: Uuid, old: &Schedule, new: &Schedule) -> Result<()> {
    for run in open_runs(rows.view())?.into_iter().filter(|run| run.value.schedule_id == Some(id)) {
        let (Some(at), Some(name)) = (run.value.occurrence_at, &run.value.occurrence_name) else { continue };
        let find = |schedule: &Schedule| {
            let mut then = occurrences(schedule, at - Duration::from_secs(1)).take_while(|one| one.start <= at);
            then.find(|one| occurrence_name(schedule, one.of) == *name)
        };
        let (Some(before), Some(after)) = (find(old), find(new)) else { continue };
        let over = after.stop.is_some_and(|stop| stop <= rows.now());
        if after.stop != before.stop && !over {
            put_stop_time(rows, actor, &run, after.stop)?;
        }
    }
    Ok(())
}

impl Act<'_> {
    /// One that has begun: it may be on air, and then end at another time.
    pub(super) fn on_air(
        &self,
        rows: &mut Writer<'_>,
        reach: Reach,
        now: Option<&Occurrence>,
        change: OccurrenceChange,
        through: Timestamp,
    ) -> Result<Option<Uuid>> {
        let over = || Error::Conflict(Message::new("occurrence-over"));
        let schedule = &self.row.value;
        let name = occurrence_name(schedule, self.of);
        let (Some(run), Some(now)) = (run_on_air(rows.view(), self.row.id(), &name)?, now) else { return Err(over()) };
        let stays = change.starts_at.is_none_or(|at| at.unwrap_or(self.of) == now.civil);
        if reach != Reach::This || !stays || change.cancelled == Some(true) {
            return Err(Error::Conflict(Message::new("occurrence-on-air")));
        }
        let Some(duration) = change.duration else { return Ok(Some(self.row.id())) };
        let changed = match duration {
            Some(seconds) if schedule.rule.is_none() && schedule.times.is_empty() => {
                Schedule { until: Until::Duration(seconds), ..schedule.clone() }
            }
            _ => with_this(schedule, self.of, Some(now), OccurrenceChange { starts_at: None, ..change }),
        };
        let longer = one(&changed, self.of).ok_or_else(over)?;
        if longer.stop.is_some_and(|stop| stop <= rows.now()) {
            return Err(Error::field("duration", Message::new("occurrence-end-past")));
        }
        let stream = stream_of(rows, &changed)?;
        refuse_clash(self.library, rows.view(), (self.row.id(), &changed), &stream, &longer)?;
        put_stop_time(rows, self.actor, &run, longer.stop)?;
        self.put(rows, changed, through)
    }
}
