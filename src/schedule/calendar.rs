//! A stretch of the calendar: what was on air, what is, and what is planned, with what will go wrong.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use uuid::Uuid;

use super::conflicts::longest;
use super::forecast::{Slot, Streams, troubles};
use super::recurrence::{Shift, instant, occurrences};
use super::{Becomes, OccurrenceView, Passed, Schedule};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::live::{Platform, RunOutcome, runs_between};
use crate::store::rows::{Reader, Row};
use crate::text::Message;

/// Longest stretch that is shown at once: a quarter, with the days around it that a month's page shows.
const MOST_DAYS: u64 = 100;
/// Entries that are shown at once; beyond it the latest are left out.
const MOST_ENTRIES: usize = 3000;

/// What lies in a stretch of time.
#[derive(Debug, Clone, Default)]
pub struct Calendar {
    /// By time.
    pub entries: Vec<CalendarEntry>,
    /// There is more than is shown.
    pub more: bool,
}

/// A stretch of time on air, or one that was missed or left out.
#[derive(Debug, Clone)]
pub struct CalendarEntry {
    /// What is on air.
    pub stream_id: Uuid,
    /// By which schedule; `None` where somebody started it.
    pub schedule_id: Option<Uuid>,
    /// What the stream is, or was, called.
    pub title: String,
    /// Where it goes.
    pub platforms: Vec<Platform>,
    /// When it begins.
    pub start: Timestamp,
    /// When it ends, or ended; `None` where nobody knows.
    pub stop: Option<Timestamp>,
    /// What there is to say about it.
    pub what: Planned,
}

/// What an entry of the calendar is.
#[derive(Debug, Clone)]
pub enum Planned {
    /// It was on air, is, or was missed.
    Run {
        /// The run.
        id: Uuid,
        /// How it ended; `None` while it is on.
        outcome: Option<RunOutcome>,
        /// Why, where there is something to say.
        reason: Option<Message>,
    },
    /// It is still to come.
    Occurrence {
        /// The local time that the rule names: which occurrence.
        of: DateTime,
        /// The local time that it is planned for.
        civil: DateTime,
        /// The zone of these.
        time_zone: String,
        /// What the clocks do to it.
        shift: Option<Shift>,
        /// It was changed by hand.
        changed: bool,
        /// It was cancelled by hand.
        cancelled: bool,
        /// Its schedule is paused: nothing will start.
        paused: bool,
        /// It is one of many.
        repeats: bool,
        /// Why it will not go on air as planned.
        trouble: Option<Message>,
    },
}

impl Library {
    /// What lies between two instants.
    ///
    /// # Errors
    /// [`Error::Malformed`] where they are turned round or too far apart.
    pub async fn calendar(&self, from: Timestamp, to: Timestamp) -> Result<Calendar> {
        let longest = Duration::from_secs(MOST_DAYS * 24 * 3600);
        if to <= from || from.checked_add(longest).is_ok_and(|end| to > end) {
            return Err(Error::Malformed(Message::new("calendar-range").with("days", MOST_DAYS)));
        }
        let (library, now) = (self.clone(), self.foundation().clock().now());
        self.rows().read(move |rows| look(&library, rows, (from, to), now)).await
    }

    /// Why an occurrence that is still to come will not go on air as planned.
    ///
    /// # Errors
    /// Those of the store.
    pub async fn outlook(&self, view: &OccurrenceView) -> Result<Option<Message>> {
        let Some(occurrence) = view.occurrence.filter(|_| !view.over) else { return Ok(None) };
        let from = occurrence.start;
        let longest = from + Duration::from_secs(MOST_DAYS * 24 * 3600);
        let to = occurrence.stop.unwrap_or(from).clamp(from + Duration::from_secs(1), longest);
        let id = view.schedule.row.id();
        let found = self.calendar(from, to).await?.entries.into_iter().find_map(|entry| match entry.what {
            Planned::Occurrence { of, trouble, .. } if entry.schedule_id == Some(id) && of == view.of => Some(trouble),
            _ => None,
        });
        Ok(found.flatten())
    }
}

fn look(library: &Library, rows: &Reader<'_>, (from, to): (Timestamp, Timestamp), now: Timestamp) -> Result<Calendar> {
    let runs = runs_between(rows, from, to, MOST_ENTRIES)?;
    let mut entries: Vec<CalendarEntry> = runs
        .into_iter()
        .map(|row| CalendarEntry {
            start: row.value.at(&row.header),
            // One that was missed lasted for no time; it stands where it should have been.
            stop: match row.value.outcome {
                Some(RunOutcome::Missed) | None => row.value.planned_stop,
                Some(_) => row.value.ended_at,
            },
            stream_id: row.value.stream_id,
            schedule_id: row.value.schedule_id,
            title: row.value.stream_title,
            platforms: row.value.targets.iter().map(|target| target.platform).collect(),
            what: Planned::Run { id: row.header.id, outcome: row.value.outcome, reason: row.value.reason },
        })
        .collect();

    let mut schedules = Vec::new();
    rows.each::<Schedule>(false, |row| {
        schedules.push(row);
        ControlFlow::Continue(())
    })?;
    let mut streams = Streams::new(library, rows);
    let mut planned: Vec<(CalendarEntry, Slot)> = Vec::new();
    for row in &schedules {
        let Some(stream) = streams.get(row.value.stream_id)? else { continue };
        let (title, platforms) = (stream.title.clone(), stream.platforms.clone());
        let passed: Option<Passed> = rows.value(&Passed::key(row.id()))?;
        let mut through = passed.map_or(row.header.created_at, |passed| passed.through);
        if row.value.paused {
            // What falls into a pause is left out.
            through = through.max(now);
        }
        coming(row, through, (from, to), |start, stop, what| {
            let slot = Slot { stream: row.value.stream_id, schedule: Some(row.id()), start, stop };
            let entry = CalendarEntry {
                stream_id: row.value.stream_id,
                schedule_id: Some(row.id()),
                title: title.clone(),
                platforms: platforms.clone(),
                start,
                stop,
                what,
            };
            planned.push((entry, slot));
        });
    }
    planned.sort_by_key(|(_, slot)| (slot.start, slot.schedule));
    let more = planned.len() + entries.len() > MOST_ENTRIES;
    planned.truncate(MOST_ENTRIES.saturating_sub(entries.len()));

    let is_on =
        |entry: &CalendarEntry| matches!(entry.what, Planned::Occurrence { paused: false, cancelled: false, .. });
    let slots: Vec<Slot> = planned.iter().filter(|(entry, _)| is_on(entry)).map(|(_, slot)| *slot).collect();
    let mut found = troubles(&slots, &mut streams)?.into_iter();
    for (mut entry, _) in planned {
        if is_on(&entry)
            && let Planned::Occurrence { trouble, .. } = &mut entry.what
        {
            *trouble = found.next().flatten();
        }
        entries.push(entry);
    }
    entries.sort_by_key(|entry| entry.start);
    Ok(Calendar { entries, more })
}

/// What is to come of a schedule in a stretch of time.
fn coming(
    row: &Row<Schedule>,
    through: Timestamp,
    (from, to): (Timestamp, Timestamp),
    mut found: impl FnMut(Timestamp, Option<Timestamp>, Planned),
) {
    let schedule = &row.value;
    let repeats = schedule.rule.is_some() || !schedule.times.is_empty();
    let what = |of, civil, shift, changed, cancelled| Planned::Occurrence {
        of,
        civil,
        time_zone: schedule.time_zone.clone(),
        shift,
        changed,
        cancelled,
        paused: schedule.paused,
        repeats,
        trouble: None,
    };
    let after = from.checked_sub(longest(schedule)).unwrap_or(from).max(through);
    let own = occurrences(schedule, after).take_while(|one| one.start < to);
    for one in own.take(MOST_ENTRIES) {
        if one.stop.unwrap_or(one.start) >= from {
            found(one.start, one.stop, what(one.of, one.civil, one.shift, one.changed, false));
        }
    }
    for exception in schedule.exceptions.iter().filter(|exception| exception.becomes == Becomes::Cancelled) {
        if let Some(at) = instant(schedule, exception.of)
            && at > through
            && (from..to).contains(&at)
        {
            found(at, None, what(exception.of, exception.of, None, false, true));
        }
    }
}
