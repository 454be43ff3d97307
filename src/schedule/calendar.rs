//! A stretch of the calendar: what was on air, what is, and what is planned, with what will go wrong.

use std::collections::{BinaryHeap, HashMap};
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use uuid::Uuid;

use super::calls::waiting_for;
use super::conflicts::longest;
use super::forecast::{Slot, Streams, troubles};
use super::recurrence::{Shift, instant, occurrences};
use super::{Becomes, Occurrence, OccurrenceView, Passed, Schedule};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::live::{LiveStream, Platform, RunOutcome, runs_between};
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
        let place = self.foundation().looks().place(self.tenant()).await?;
        let (library, now) = (self.clone(), self.foundation().clock().now());
        let look = move |rows: &Reader<'_>| {
            // Also where nobody waits for the answer any more.
            let _place = place;
            look(&library, rows, (from, to), now)
        };
        self.rows().read(look).await
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

    let mut earliest = Earliest::new(MOST_ENTRIES.saturating_sub(entries.len()));
    let mut briefs: Vec<Brief> = Vec::new();
    let mut stands: HashMap<Uuid, bool> = HashMap::new();
    let mut failed = None;
    rows.each::<Schedule>(false, |row| {
        let mut add = || -> Result<()> {
            let stream = row.value.stream_id;
            let is_there = match stands.get(&stream) {
                Some(known) => *known,
                None => rows.get::<LiveStream>(stream)?.is_some(),
            };
            stands.insert(stream, is_there);
            if !is_there {
                return Ok(());
            }
            let passed: Option<Passed> = rows.value(&Passed::key(row.id()))?;
            let mut through = passed.map_or(row.header.created_at, |passed| passed.through);
            if row.value.paused {
                // What falls into a pause is left out.
                through = through.max(now);
            }
            coming(&row, briefs.len(), through, (from, to), |item| earliest.offer(item));
            briefs.push(Brief::of(&row));
            Ok(())
        };
        match add() {
            Ok(()) => ControlFlow::Continue(()),
            Err(cause) => {
                failed = Some(cause);
                ControlFlow::Break(())
            }
        }
    })?;
    failed.map_or(Ok(()), Err)?;
    let more = earliest.more || entries.len() > MOST_ENTRIES;

    let planned = earliest.held.into_sorted_vec();
    let mut streams = Streams::new(library, rows);
    let planned = || planned.iter().filter_map(|item| Some((item, briefs.get(item.place)?)));
    let is_on = |item: &Item, brief: &Brief| !item.cancelled && !brief.paused;
    let slots: Vec<Slot> = planned()
        .filter(|(item, brief)| is_on(item, brief))
        .map(|(item, brief)| Slot {
            stream: brief.stream,
            schedule: Some(item.schedule),
            start: item.start,
            stop: item.stop,
        })
        .collect();
    let mut found = troubles(&slots, &mut streams)?.into_iter();
    for (item, brief) in planned() {
        let Some(stream) = streams.get(brief.stream)? else { continue };
        let trouble = if is_on(item, brief) { found.next().flatten() } else { None };
        let trouble = match item.start <= now {
            true => waiting_for(rows, item.schedule, item.start)?.or(trouble),
            false => trouble,
        };
        entries.push(CalendarEntry {
            stream_id: brief.stream,
            schedule_id: Some(item.schedule),
            title: stream.title.clone(),
            platforms: stream.platforms.clone(),
            start: item.start,
            stop: item.stop,
            what: Planned::Occurrence {
                of: item.of,
                civil: item.civil,
                time_zone: brief.time_zone.clone(),
                shift: item.shift,
                changed: item.changed,
                cancelled: item.cancelled,
                paused: brief.paused,
                repeats: brief.repeats,
                trouble,
            },
        });
    }
    entries.sort_by_key(|entry| entry.start);
    Ok(Calendar { entries, more })
}

/// What of a schedule is told with each of its entries.
struct Brief {
    stream: Uuid,
    time_zone: String,
    paused: bool,
    repeats: bool,
}

impl Brief {
    fn of(row: &Row<Schedule>) -> Brief {
        let schedule = &row.value;
        Brief {
            stream: schedule.stream_id,
            time_zone: schedule.time_zone.clone(),
            paused: schedule.paused,
            repeats: schedule.rule.is_some() || !schedule.times.is_empty(),
        }
    }
}

/// An occurrence that may become an entry, without any texts; in the order of entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
struct Item {
    start: Timestamp,
    schedule: Uuid,
    cancelled: bool,
    of: DateTime,
    stop: Option<Timestamp>,
    civil: DateTime,
    shift: Option<Shift>,
    changed: bool,
    /// Of its schedule's [`Brief`].
    place: usize,
}

/// The first of what is offered, in no more room than these take.
struct Earliest {
    room: usize,
    held: BinaryHeap<Item>,
    /// Something was left out.
    more: bool,
}

impl Earliest {
    fn new(room: usize) -> Earliest {
        Earliest { room, held: BinaryHeap::new(), more: false }
    }

    /// Breaks where neither this nor anything later is among the first.
    fn offer(&mut self, item: Item) -> ControlFlow<()> {
        if self.held.len() < self.room {
            self.held.push(item);
            return ControlFlow::Continue(());
        }
        self.more = true;
        match self.held.peek_mut() {
            Some(mut last) if item < *last => {
                *last = item;
                ControlFlow::Continue(())
            }
            _ => ControlFlow::Break(()),
        }
    }
}

/// What is to come of a schedule in a stretch of time, until `found` wants nothing later.
fn coming(
    row: &Row<Schedule>,
    place: usize,
    through: Timestamp,
    (from, to): (Timestamp, Timestamp),
    mut found: impl FnMut(Item) -> ControlFlow<()>,
) {
    let (schedule, id) = (&row.value, row.id());
    let after = from.checked_sub(longest(schedule)).unwrap_or(from).max(through);
    // They come in order of their starts, those that were moved too.
    let own = occurrences(schedule, after).take_while(|one| one.start < to);
    for one in own.take(MOST_ENTRIES) {
        let Occurrence { start, stop, civil, of, shift, changed } = one;
        if stop.unwrap_or(start) < from {
            continue;
        }
        if found(Item { start, schedule: id, cancelled: false, of, stop, civil, shift, changed, place }).is_break() {
            break;
        }
    }
    // These are in order of what the rule names.
    for exception in schedule.exceptions.iter().filter(|exception| exception.becomes == Becomes::Cancelled) {
        let of = exception.of;
        if let Some(start) = instant(schedule, of)
            && start > through
            && (from..to).contains(&start)
        {
            // Where the clocks change, a later one may still be among the first.
            let _ = found(Item {
                start,
                schedule: id,
                cancelled: true,
                of,
                stop: None,
                civil: of,
                shift: None,
                changed: false,
                place,
            });
        }
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::Time;

    use super::*;
    use crate::schedule::{Exception, GRACE, Until};
    use crate::store::rows::Header;

    const BEGIN: &str = "2026-01-05T00:00:00Z";

    /// Every half an hour of every day, but for two that were moved and two that were cancelled by hand.
    fn dense(number: u128) -> Row<Schedule> {
        let at = BEGIN.parse().unwrap();
        let by = "al".to_owned();
        let id = Uuid::from_u128(number);
        let of = |text: &str| text.parse::<DateTime>().unwrap();
        let moved = |to: &str| Becomes::Changed { starts_at: of(to), duration: None };
        let exceptions = [
            ("2026-01-05T01:00", moved("2026-01-13T00:10")),
            ("2026-01-05T02:00", Becomes::Cancelled),
            ("2026-01-12T02:00", Becomes::Cancelled),
            ("2026-01-13T03:00", moved("2026-01-05T00:10")),
        ];
        let schedule = Schedule {
            stream_id: id,
            starts_at: of("2026-01-05T00:00"),
            time_zone: "UTC".to_owned(),
            rule: Some("FREQ=DAILY".to_owned()),
            times: (1..48).map(|half| Time::constant(half / 2, half % 2 * 30, 0, 0)).collect(),
            skip_dates: Vec::new(),
            exceptions: exceptions.map(|(name, becomes)| Exception { of: of(name), becomes }).to_vec(),
            until: Until::Duration(600),
            grace: GRACE,
            paused: true,
            broadcast: crate::schedule::Broadcast::default(),
        };
        let header = Header { id, owner: by.clone(), created_by: by, created_at: at, updated_at: at };
        Row { header, version: 1, value: schedule }
    }

    #[test]
    fn only_the_first_of_many_dense_schedules_are_held_and_little_more_is_looked_at() {
        let begin: Timestamp = BEGIN.parse().unwrap();
        let end = begin + Duration::from_secs(10 * 24 * 3600);
        let rows: Vec<Row<Schedule>> = (1..=40).rev().map(dense).collect();
        let mut all = Vec::new();
        for (place, row) in rows.iter().enumerate() {
            coming(row, place, begin, (begin, end), |item| {
                all.push(item);
                ControlFlow::Continue(())
            });
        }
        all.sort_unstable();
        assert!(all.len() > 40 * 470, "{}", all.len());
        for room in [0, 1, 300, all.len(), all.len() + 1] {
            let (mut earliest, mut looked) = (Earliest::new(room), 0);
            for (place, row) in rows.iter().enumerate() {
                coming(row, place, begin, (begin, end), |item| {
                    looked += 1;
                    let flow = earliest.offer(item);
                    assert!(earliest.held.len() <= room);
                    flow
                });
            }
            assert_eq!(earliest.more, room < all.len());
            assert!(room > 300 || looked < 3_000, "{looked} for {room}");
            assert!(earliest.held.into_sorted_vec() == all[..room.min(all.len())], "{room}");
        }
    }
}
