//! What would be on air on one stream key at one time.

use std::collections::HashSet;
use std::collections::hash_map::{Entry, HashMap};
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::recurrence::{Occurrence, occurrences, uncut};
use super::{Becomes, Passed, Schedule, StopTime, Until};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::live::{LiveStream, open_runs};
use crate::store::rows::{Reader, Row};
use crate::text::Message;

const HOUR: Duration = Duration::from_secs(3600);
/// So far ahead of the first occurrence conflicts are looked for, and at so many occurrences of each schedule.
pub(super) const LOOK_AHEAD: Duration = Duration::from_secs(60 * 24 * 3600);
pub(super) const LOOK_AT: usize = 200;

/// A stretch of time on air: from, to.
pub(super) type Window = (Timestamp, Timestamp);

pub(super) fn window(occurrence: &Occurrence) -> Window {
    // Without an end nobody knows; the start alone is compared.
    (occurrence.start, occurrence.stop.unwrap_or(occurrence.start + Duration::from_secs(1)))
}

pub(super) fn overlap(one: Window, other: Window) -> bool {
    one.0 < other.1 && other.0 < one.1
}

/// How long before an instant an occurrence of the schedule may have begun that is still on then.
pub(super) fn longest(schedule: &Schedule) -> Duration {
    let usual = match schedule.until {
        Until::Open => 0,
        Until::Duration(seconds) => seconds,
        Until::Stop(StopTime::Daily(_)) => 24 * 3600,
        Until::Stop(StopTime::Exact(at)) => {
            u64::try_from(at.duration_since(schedule.starts_at).as_secs()).unwrap_or(0) + 24 * 3600
        }
    };
    let changed = schedule.exceptions.iter().filter_map(|exception| match exception.becomes {
        Becomes::Changed { duration, .. } => duration,
        Becomes::Cancelled => None,
    });
    // The clocks may be put back meanwhile.
    Duration::from_secs(changed.max().unwrap_or(0).max(usual)) + HOUR
}

/// Names of the keys, and so of the places, that a stream goes to: equal for equal places.
pub(super) fn key_names(library: &Library, stream: &LiveStream) -> Result<HashSet<String>> {
    let vault = library.foundation().vault();
    stream.targets.iter().map(|target| target.key_name(vault, library.tenant())).collect()
}

/// The stretches that other schedules of the tenant have booked on the keys of `stream` around `from` and later, with
/// the title of theirs.
pub(super) fn booked(
    library: &Library,
    rows: &Reader<'_>,
    own: Option<Uuid>,
    stream: &Row<LiveStream>,
    from: Timestamp,
) -> Result<Vec<(Window, String)>> {
    booked_on(library, rows, own, (Some(stream.id()), &key_names(library, &stream.value)?), from)
}

/// As [`booked`], for keys of a stream that may not be made yet.
pub(super) fn booked_on(
    library: &Library,
    rows: &Reader<'_>,
    own: Option<Uuid>,
    (stream, keys): (Option<Uuid>, &HashSet<String>),
    from: Timestamp,
) -> Result<Vec<(Window, String)>> {
    let mut shares: HashMap<Uuid, Option<Row<LiveStream>>> = HashMap::new();
    let mut others = Vec::new();
    rows.each::<Schedule>(false, |row| {
        if Some(row.id()) != own && !row.value.paused {
            others.push(row);
        }
        ControlFlow::Continue(())
    })?;
    let runs = open_runs(rows)?;
    let mut taken = Vec::new();
    for other in others {
        let id = other.value.stream_id;
        if let Entry::Vacant(place) = shares.entry(id) {
            let found = rows.get::<LiveStream>(id)?;
            let shared = match &found {
                Some(row) => Some(id) == stream || !key_names(library, &row.value)?.is_disjoint(keys),
                None => false,
            };
            place.insert(found.filter(|_| shared));
        }
        let Some(Some(theirs)) = shares.get(&id) else { continue };
        let title = || theirs.value.title.clone();
        let through = dealt_with(rows, &other)?;
        let coming = windows(&other.value, from).filter(|(start, _)| *start > through);
        taken.extend(coming.map(|window| (window, title())));
        // What has begun counts for as long as it is on, and no longer than it will be.
        let on = runs.iter().filter(|run| run.value.schedule_id == Some(other.id()));
        taken.extend(on.map(|run| {
            let start = run.value.started_at.unwrap_or(run.header.created_at);
            ((start, run.value.planned_stop.unwrap_or(start + Duration::from_secs(1))), title())
        }));
    }
    taken.sort_by_key(|(window, _)| *window);
    Ok(taken)
}

/// Up to when the occurrences of a schedule have begun, or never will.
pub(super) fn dealt_with(rows: &Reader<'_>, row: &Row<Schedule>) -> Result<Timestamp> {
    let passed: Option<Passed> = rows.value(&Passed::key(row.id()))?;
    Ok(passed.map_or(row.header.created_at, |passed| passed.through))
}

/// The stretches of a schedule around `from` and later, as far as conflicts are looked for.
pub(super) fn windows(schedule: &Schedule, from: Timestamp) -> impl Iterator<Item = Window> {
    let until = from + LOOK_AHEAD;
    let coming = occurrences(schedule, from - longest(schedule)).take(LOOK_AT);
    coming.take_while(move |one| one.start < until).map(|one| window(&one))
}

pub(super) fn clash(window: Window, taken: &[(Window, String)]) -> Option<&str> {
    let found = taken.iter().take_while(|((from, _), _)| *from < window.1);
    found.into_iter().find(|(other, _)| overlap(window, *other)).map(|(_, title)| title.as_str())
}

/// Refuses a schedule whose stretches on air fall onto those of another one on the same key, or onto those of `beside`,
/// which is not in the library as it stands.
pub(super) fn refuse_conflicts(
    library: &Library,
    rows: &Reader<'_>,
    own: Option<Uuid>,
    schedule: &Schedule,
    stream: &Row<LiveStream>,
    (after, beside): (Timestamp, Option<&Schedule>),
) -> Result<()> {
    let Some(first) = occurrences(schedule, after).next().filter(|_| !schedule.paused) else { return Ok(()) };
    let mut taken = booked(library, rows, own, stream, first.start)?;
    if let Some(beside) = beside {
        taken.extend(windows(beside, first.start).map(|window| (window, stream.value.title.clone())));
        taken.sort_by_key(|(window, _)| *window);
    }
    refuse_taken(schedule, after, first.start, &taken)
}

/// Refuses a schedule whose first occurrence after `after` begins at `first`, where it falls onto what is taken.
pub(super) fn refuse_taken(
    schedule: &Schedule,
    after: Timestamp,
    first: Timestamp,
    taken: &[(Window, String)],
) -> Result<()> {
    let until = first + LOOK_AHEAD;
    for one in occurrences(schedule, after).take(LOOK_AT).take_while(|one| one.start < until) {
        if let Some(title) = clash(window(&one), taken) {
            return Err(refused(schedule, &one, title));
        }
    }
    Ok(())
}

/// Refuses one occurrence that was changed by hand and falls onto another one of the schedule, or of another schedule on
/// the same key.
pub(super) fn refuse_clash(
    library: &Library,
    rows: &Reader<'_>,
    (id, schedule): (Uuid, &Schedule),
    stream: &Row<LiveStream>,
    changed: &Occurrence,
) -> Result<()> {
    if schedule.paused {
        return Ok(());
    }
    let own = window(changed);
    let others = uncut(schedule, changed.start - longest(schedule)).take_while(|other| other.start < own.1);
    let mut others = others.filter(|other| other.of != changed.of);
    if others.any(|other| overlap(own, window(&other))) {
        return Err(refused(schedule, changed, &stream.value.title));
    }
    match clash(own, &booked(library, rows, Some(id), stream, changed.start)?) {
        Some(title) => Err(refused(schedule, changed, title)),
        None => Ok(()),
    }
}

fn refused(schedule: &Schedule, one: &Occurrence, title: &str) -> Error {
    Error::Conflict(
        Message::new("schedule-conflict")
            .with("title", title)
            .with("at", one.civil.strftime("%Y-%m-%d %H:%M").to_string())
            .with("zone", schedule.time_zone.as_str()),
    )
}
