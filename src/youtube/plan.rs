//! Which broadcasts there have to be: one for each occurrence that is near and for each run that is on, on every target
//! that is a key of a channel. Rows are made, changed and marked as not wanted here; what the platform is told of it is
//! another step.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use uuid::Uuid;

use super::event::{Event, Over, Phase, Settings, Texts, Wanted, marker};
use crate::auth::Actor;
use crate::error::Result;
use crate::library::Library;
use crate::live::kept_key::KeptKey;
use crate::live::{LiveStream, Platform, Run, open_runs};
use crate::oauth::{Connection, State};
use crate::schedule::broadcast::{Filling, USUAL, fill, tags_length};
use crate::schedule::recurrence::occurrences;
use crate::schedule::{
    Broadcast, Occurrence, Passed, Schedule, occurrence_key, occurrence_name, occurrence_number, occurrence_of,
};
use crate::store::rows::{Reader, Row, Writer};

/// Broadcasts that one schedule has made ahead.
const MOST_AHEAD: usize = 50;
/// A run that is to come is written down at most so long after its instant.
const LATE: Duration = Duration::from_secs(60);

/// What a look at a library finds.
#[derive(Debug, Default)]
pub(super) struct Planned {
    /// Broadcasts that are not over.
    pub(super) open: Vec<Uuid>,
    /// When another one is to be made.
    pub(super) next: Option<Timestamp>,
    /// There is a stream that goes to a channel.
    pub(super) any: bool,
}

/// A target that is a key of a channel.
struct Seat {
    target: Uuid,
    channel: Uuid,
    platform_stream: String,
}

/// Whether a channel is connected, and not on its way out.
fn is_here(rows: &Reader<'_>, channel: Uuid) -> Result<bool> {
    Ok(rows.get::<Connection>(channel)?.is_some_and(|row| row.value.state != State::Leaving))
}

fn seats(rows: &Reader<'_>, stream: &LiveStream) -> Result<Vec<Seat>> {
    let mut seats = Vec::new();
    for target in stream.targets.iter().filter(|target| target.platform == Platform::Youtube) {
        let Some(key) = target.key_id else { continue };
        let Some(kept) = rows.get::<KeptKey>(key)?.map(|row| row.value) else { continue };
        let (Some(channel), Some(platform_stream)) = (kept.channel_id, kept.platform_id) else { continue };
        if is_here(rows, channel)? {
            seats.push(Seat { target: target.id, channel, platform_stream });
        }
    }
    Ok(seats)
}

fn cut(text: &str, most: usize) -> String {
    let mut end = text.len().min(most);
    while !text.is_char_boundary(end) {
        end -= 1;
    }
    text[..end].to_owned()
}

/// A text as YouTube takes it.
fn plain(text: &str) -> String {
    text.replace(['<', '>'], " ").trim().to_owned()
}

/// One instant that a broadcast is for.
struct Moment {
    start: Timestamp,
    stop: Option<Timestamp>,
    civil: DateTime,
    number: usize,
}

impl Moment {
    fn of(schedule: &Schedule, one: &Occurrence) -> Moment {
        let number = occurrence_number(schedule, one.of);
        Moment { start: one.start, stop: one.stop, civil: one.civil, number }
    }
}

fn wanted(stream: &LiveStream, schedule: Option<&Schedule>, moment: &Moment) -> Wanted {
    let broadcast = schedule.map_or(stream.broadcast.clone(), |schedule| schedule.broadcast.or(&stream.broadcast));
    let mut with = Filling { title: String::new(), at: moment.civil, number: moment.number };
    // Rows of workbooks put fields into the stream's own title.
    with.title = fill(&stream.title, &with);
    let title = plain(&fill(broadcast.title.as_deref().unwrap_or("{title}"), &with));
    let title: String = title.chars().take(Broadcast::LONGEST_TITLE).collect();
    let description = plain(&fill(broadcast.description.as_deref().unwrap_or_default(), &with));
    let mut tags = broadcast.tags.unwrap_or_default();
    while tags_length(&tags) > Broadcast::LONGEST_TAGS {
        tags.pop();
    }
    Wanted {
        settings: Settings {
            starts_at: moment.start,
            stops_at: moment.stop,
            privacy: broadcast.privacy.unwrap_or(USUAL.privacy),
            made_for_kids: broadcast.made_for_kids.unwrap_or(USUAL.made_for_kids),
            auto_start: broadcast.auto_start.unwrap_or(USUAL.auto_start),
            auto_stop: broadcast.auto_stop.unwrap_or(USUAL.auto_stop),
            latency: broadcast.latency.unwrap_or(USUAL.latency),
            dvr: broadcast.dvr.unwrap_or(USUAL.dvr),
        },
        texts: Texts {
            title: if title.is_empty() { "Live".to_owned() } else { title },
            description: cut(&description, Broadcast::LONGEST_DESCRIPTION),
            tags,
            category: broadcast.category,
        },
        thumbnail: broadcast.thumbnail_id,
        playlist: broadcast.playlist,
        roll_over: broadcast.roll_over.unwrap_or(USUAL.roll_over),
    }
}

/// A broadcast of which nothing has been done yet.
fn blank(id: Uuid, stream_id: Uuid, seat: &Seat, wanted: Wanted) -> Event {
    Event {
        stream_id,
        target_id: seat.target,
        channel_id: seat.channel,
        platform_stream: seat.platform_stream.clone(),
        schedule: None,
        occurrence: None,
        run_id: None,
        part: 1,
        wanted,
        unwanted: false,
        marker: marker(id),
        asked: None,
        broadcast: None,
        told_settings: None,
        told_texts: None,
        told_thumbnail: None,
        told_playlist: None,
        bound: false,
        moved_at: None,
        live_at: None,
        over: None,
        kept: None,
        project: None,
        tries: 0,
        not_before: None,
        aside_until: None,
        trouble: None,
        phase: Phase::Ahead,
    }
}

/// The broadcast that follows one before the platform stops recording.
pub(super) fn next_part(id: Uuid, before: &Event, now: Timestamp) -> Event {
    let seat =
        Seat { target: before.target_id, channel: before.channel_id, platform_stream: before.platform_stream.clone() };
    let mut wanted = before.wanted.clone();
    wanted.settings.starts_at = now;
    Event {
        schedule: before.schedule,
        occurrence: before.occurrence.clone(),
        run_id: before.run_id,
        part: before.part + 1,
        ..blank(id, before.stream_id, &seat, wanted)
    }
}

/// The run of a broadcast, if there is one yet.
pub(super) fn run_of(rows: &Reader<'_>, event: &Event) -> Result<Option<Row<Run>>> {
    let id = match (event.run_id, &event.schedule, &event.occurrence) {
        (Some(run), ..) => Some(run),
        (None, Some((schedule, _)), Some(name)) => rows.value::<Uuid>(&occurrence_key(*schedule, name))?,
        _ => None,
    };
    match id {
        Some(id) => rows.get::<Run>(id),
        None => Ok(None),
    }
}

/// Whether a run still serves the broadcast's target.
pub(super) fn serves(run: &Row<Run>, event: &Event) -> bool {
    let target = run.value.targets.iter().find(|target| target.id == event.target_id);
    run.value.is_open() && target.is_some_and(|target| target.end.is_none())
}

struct Plan<'p, 'w> {
    rows: &'p mut Writer<'w>,
    library: &'p Library,
    actor: &'p Actor,
    now: Timestamp,
    /// Broadcasts that are wanted.
    touched: HashSet<Uuid>,
}

impl Plan<'_, '_> {
    /// Makes a broadcast's row, or brings it to what is wanted now.
    fn ensure(&mut self, event: Event) -> Result<()> {
        let key = event.key();
        let known = match self.rows.value::<Uuid>(&key)? {
            Some(id) => self.rows.get::<Event>(id)?,
            None => None,
        };
        // One that was taken away, as nobody wanted it, is made anew where it is wanted again. What people deleted on
        // the platform stays deleted.
        let Some(row) = known.filter(|row| !matches!(row.value.over, Some((_, Over::Removed)))) else {
            let id = Uuid::now_v7();
            let event = Event { marker: marker(id), ..event };
            self.rows.put_value(&key, &id)?;
            self.rows.insert_with_id(id, self.library.tenant(), self.actor, event)?;
            self.touched.insert(id);
            return Ok(());
        };
        self.touched.insert(row.id());
        if row.value.over.is_some() {
            return Ok(());
        }
        let mut changed = row.value.clone();
        (changed.wanted, changed.unwanted) = (event.wanted, false);
        if changed.live_at.is_some() || changed.moved_at.is_some() {
            // What it is can be changed no more; what it is called can.
            changed.wanted.settings = row.value.wanted.settings.clone();
        }
        if changed.platform_stream != event.platform_stream {
            // Another key of the channel is chosen for the same target.
            (changed.platform_stream, changed.bound) = (event.platform_stream, changed.moved_at.is_some());
        }
        if changed != row.value {
            // What stood in the way may be gone.
            (changed.tries, changed.not_before, changed.aside_until) = (0, None, None);
            self.rows.update(&row, changed)?;
        }
        Ok(())
    }

    fn schedule(
        &mut self,
        stream: &Row<LiveStream>,
        seats: &[Seat],
        row: &Row<Schedule>,
        until: Timestamp,
    ) -> Result<Option<Timestamp>> {
        let passed: Option<Passed> = self.rows.view().value(&Passed::key(row.id()))?;
        let through = passed.map_or(row.header.created_at, |passed| passed.through);
        let mut next = None;
        let mut fresh: Vec<Event> = Vec::new();
        let coming: Vec<Occurrence> = occurrences(&row.value, through).take(MOST_AHEAD).collect();
        for one in coming {
            if one.start > until {
                next = Some(one.start);
                break;
            }
            let wanted = wanted(&stream.value, Some(&row.value), &Moment::of(&row.value, &one));
            for seat in seats {
                let event = Event {
                    schedule: Some((row.id(), one.of)),
                    occurrence: Some(occurrence_name(&row.value, one.of)),
                    ..blank(Uuid::nil(), stream.id(), seat, wanted.clone())
                };
                let known = match self.rows.value::<Uuid>(&event.key())? {
                    Some(id) => self.rows.get::<Event>(id)?,
                    None => None,
                };
                match known.map(|row| row.value.over) {
                    // Something that is paused keeps what is made, and nothing is made for it.
                    None | Some(Some((_, Over::Removed))) if row.value.paused => {}
                    None => fresh.push(event),
                    Some(_) => self.ensure(event)?,
                }
            }
        }
        self.follow(row, &mut fresh)?;
        for event in fresh {
            self.ensure(event)?;
        }
        Ok(next)
    }

    /// Broadcasts whose occurrence is called otherwise since the schedule was changed go with it: people may have their
    /// links. What is taken over is not `fresh` any more.
    fn follow(&mut self, row: &Row<Schedule>, fresh: &mut Vec<Event>) -> Result<()> {
        if fresh.is_empty() {
            return Ok(());
        }
        let mut orphans = Vec::new();
        for id in self.rows.view().ids_at::<Event>("schedule", row.id().as_bytes())? {
            let Some(found) = self.rows.view().get::<Event>(id)? else { continue };
            let event = &found.value;
            let begun = event.moved_at.is_some() || event.live_at.is_some() || event.over.is_some();
            let still = match event.schedule {
                Some((_, of)) => occurrence_of(&row.value, of).is_some_and(|one| one.start > self.now),
                None => true,
            };
            if !begun && !still && run_of(self.rows.view(), event)?.is_none() {
                orphans.push(found);
            }
        }
        orphans.sort_by_key(|found| found.value.wanted.settings.starts_at);
        for found in orphans {
            let old = &found.value;
            let near = |event: &Event| {
                let (then, now) = (old.wanted.settings.starts_at, event.wanted.settings.starts_at);
                row.value.rule.is_none() || now.duration_since(then).as_secs().abs() <= 24 * 3600
            };
            let same = |event: &Event| (event.target_id, event.channel_id) == (old.target_id, old.channel_id);
            let Some(place) = fresh.iter().position(|event| same(event) && near(event)) else { continue };
            let event = fresh.remove(place);
            self.rows.delete_value(&old.key());
            self.rows.put_value(&event.key(), &found.id())?;
            let changed = Event {
                schedule: event.schedule,
                occurrence: event.occurrence,
                wanted: event.wanted,
                unwanted: false,
                tries: 0,
                not_before: None,
                aside_until: None,
                ..old.clone()
            };
            let Some(row) = self.rows.get::<Event>(found.id())? else { continue };
            self.rows.update(&row, changed)?;
            self.touched.insert(found.id());
        }
        Ok(())
    }

    fn run(&mut self, run: &Row<Run>) -> Result<()> {
        let Some(stream) = self.rows.view().get::<LiveStream>(run.value.stream_id)? else { return Ok(()) };
        let seats = seats(self.rows.view(), &stream.value)?;
        for seat in &seats {
            let serving = run.value.targets.iter().any(|target| target.id == seat.target && target.end.is_none());
            if !serving {
                continue;
            }
            let start = run.value.started_at.unwrap_or(self.now);
            let stop = run.value.planned_stop;
            let schedule = match run.value.schedule_id {
                Some(id) => self.rows.view().get::<Schedule>(id)?,
                None => None,
            };
            let of: Option<DateTime> = match &run.value.occurrence_name {
                Some(name) => name.split_once('[').and_then(|(of, _)| of.parse().ok()),
                None => None,
            };
            let zone = match &schedule {
                Some(row) => row.value.time_zone.clone(),
                None => self.library.foundation().config().time_zone.clone(),
            };
            let zone = crate::clock::zone(&zone).unwrap_or(jiff::tz::TimeZone::UTC);
            let number = match (&schedule, of) {
                (Some(row), Some(of)) => occurrence_number(&row.value, of),
                _ => 1,
            };
            let moment = Moment { start, stop, civil: zone.to_datetime(start), number };
            let wanted = wanted(&stream.value, schedule.as_ref().map(|row| &row.value), &moment);
            let blank = blank(Uuid::nil(), stream.id(), seat, wanted);
            let event = match (run.value.schedule_id, of, &run.value.occurrence_name) {
                (Some(schedule), Some(of), Some(name)) => {
                    Event { schedule: Some((schedule, of)), occurrence: Some(name.clone()), ..blank }
                }
                _ => Event { run_id: Some(run.id()), ..blank },
            };
            // What was planned for it goes on as it was planned.
            match self.rows.value::<Uuid>(&event.key())? {
                Some(id) => drop(self.touched.insert(id)),
                None => self.ensure(event)?,
            }
        }
        Ok(())
    }

    /// A broadcast that nothing asks for: whether it goes.
    fn is_unwanted(&self, event: &Event) -> Result<bool> {
        if !is_here(self.rows.view(), event.channel_id)? {
            return Ok(true);
        }
        if event.moved_at.is_some() || event.live_at.is_some() {
            // It is ended, not taken away.
            return Ok(false);
        }
        if run_of(self.rows.view(), event)?.is_some_and(|run| serves(&run, event)) {
            return Ok(false);
        }
        let Some((schedule, of)) = event.schedule else { return Ok(true) };
        let Some(row) = self.rows.view().get::<Schedule>(schedule)? else { return Ok(true) };
        let Some(stream) = self.rows.view().get::<LiveStream>(row.value.stream_id)? else { return Ok(true) };
        let seated = row.value.stream_id == event.stream_id
            && seats(self.rows.view(), &stream.value)?
                .iter()
                .any(|seat| seat.target == event.target_id && seat.channel == event.channel_id);
        let coming = occurrence_of(&row.value, of).is_some_and(|one| {
            let passed = run_of(self.rows.view(), event).is_ok_and(|run| run.is_some());
            !passed && one.start + LATE > self.now
        });
        Ok(!(seated && coming))
    }
}

/// Brings the broadcasts of a library to what its schedules and runs ask for.
pub(super) fn plan(rows: &mut Writer<'_>, library: &Library, actor: &Actor, ahead: Duration) -> Result<Planned> {
    let now = rows.now();
    let mut streams = Vec::new();
    rows.view().each::<LiveStream>(false, |row| {
        streams.push(row);
        ControlFlow::Continue(())
    })?;
    let mut planned = Planned::default();
    let mut plan = Plan { rows, library, actor, now, touched: HashSet::new() };
    for stream in &streams {
        let seats = seats(plan.rows.view(), &stream.value)?;
        if seats.is_empty() {
            continue;
        }
        planned.any = true;
        for id in plan.rows.view().ids_at::<Schedule>("stream", stream.id().as_bytes())? {
            let Some(row) = plan.rows.view().get::<Schedule>(id)? else { continue };
            let next = plan.schedule(stream, &seats, &row, now + ahead)?.map(|start| start - ahead);
            planned.next = [planned.next, next].into_iter().flatten().min();
        }
    }
    if planned.any {
        for run in open_runs(plan.rows.view())? {
            plan.run(&run)?;
        }
    }
    for id in plan.rows.view().ids_at::<Event>("open", &[])? {
        planned.open.push(id);
        if plan.touched.contains(&id) {
            continue;
        }
        let Some(row) = plan.rows.get::<Event>(id)? else { continue };
        if !row.value.unwanted && row.value.over.is_none() && plan.is_unwanted(&row.value)? {
            let changed = Event { unwanted: true, tries: 0, not_before: None, aside_until: None, ..row.value.clone() };
            plan.rows.update(&row, changed)?;
        }
    }
    // Those that are new are in no index yet.
    planned.open.extend(plan.touched.iter().copied());
    planned.open.sort_unstable();
    planned.open.dedup();
    Ok(planned)
}
