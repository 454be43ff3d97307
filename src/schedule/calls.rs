//! What people do with schedules.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::conflicts::{LOOK_AHEAD, LOOK_AT, dealt_with, longest, refuse_conflicts};
use super::forecast::{Slot, Streams, troubles};
use super::occurrence::carry;
use super::on_air::end_with;
use super::recurrence::{Occurrence, occurrences, stop_of};
use super::{Broadcast, Passed, Schedule, ScheduleChange, ScheduleInput, Until, Waiting};
use crate::audit;
use crate::auth::Actor;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::start::Start;
use crate::live::{LiveStream, Run, RunOutcome};
use crate::store::paged::{Paged, Place};
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;

/// A time of this minute is not yet past: forms know no seconds.
pub(super) const JUST_NOW: Duration = Duration::from_secs(60);
/// Schedules of one tenant: rows take room too, which no quota counts.
pub(super) const MOST_SCHEDULES: usize = 2000;

/// A schedule with what is coming of it.
#[derive(Debug, Clone)]
pub struct ScheduleView {
    /// The row.
    pub row: Row<Schedule>,
    /// What its stream is called.
    pub stream_title: String,
    /// The next occurrence; none while it is paused.
    pub next: Option<Occurrence>,
    /// Occurrences up to this instant have begun, or never will.
    pub through: Timestamp,
    /// The run of the last occurrence and how it ended (`None` while it is on).
    pub last: Option<(Uuid, Option<RunOutcome>)>,
    /// What the box has too little of for the next occurrence, whose time has come.
    pub waiting: Option<Message>,
}

/// Order of the schedules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScheduleSort {
    /// By next occurrence; those without one last.
    #[default]
    Next,
    /// By the stream's title.
    Title,
    /// By creation.
    Created,
}

/// Which schedules.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum ScheduleFilter {
    /// All.
    #[default]
    All,
    /// Those with an occurrence to come.
    Coming,
    /// Those that are paused.
    Paused,
    /// Those that are not.
    Active,
    /// Those that are over.
    Past,
}

/// What is asked of the list of schedules.
#[derive(Debug, Clone, Default)]
pub struct ScheduleQuery {
    /// Part of the stream's title.
    pub search: String,
    /// Only those of this stream.
    pub stream: Option<Uuid>,
    /// Order.
    pub sort: ScheduleSort,
    /// Which.
    pub filter: ScheduleFilter,
    /// Which page.
    pub place: Place,
}

/// What would come of a schedule.
#[derive(Debug, Clone, Default)]
pub struct Preview {
    /// The next occurrences.
    pub items: Vec<PreviewItem>,
    /// There are more.
    pub more: bool,
}

/// One occurrence to come.
#[derive(Debug, Clone)]
pub struct PreviewItem {
    /// The occurrence.
    pub occurrence: Occurrence,
    /// What it clashes with.
    pub conflict: Option<Message>,
}

/// The next occurrence that is not dealt with, as of `now`.
pub(crate) fn next_of(rows: &Reader<'_>, row: &Row<Schedule>, now: Timestamp) -> Result<Option<Occurrence>> {
    if row.value.paused {
        return Ok(None);
    }
    let passed: Option<Passed> = rows.value(&Passed::key(row.id()))?;
    // What is a little late is still to come, until the planner says otherwise.
    let grace = now - Duration::from_secs(u64::from(row.value.grace));
    let after = passed.map_or(row.header.created_at, |passed| passed.through).max(grace);
    Ok(occurrences(&row.value, after).next())
}

/// What an occurrence waits for whose time has come.
pub(super) fn waiting_for(rows: &Reader<'_>, schedule: Uuid, occurrence: Timestamp) -> Result<Option<Message>> {
    let waiting: Option<Waiting> = rows.value(&Waiting::key(schedule))?;
    Ok(waiting.filter(|waiting| waiting.occurrence_at == occurrence).map(|waiting| waiting.reason))
}

fn of_stream(rows: &Reader<'_>, stream: Uuid) -> Result<Vec<Row<Schedule>>> {
    let mut found = Vec::new();
    for id in rows.ids_at::<Schedule>("stream", stream.as_bytes())? {
        found.extend(rows.get::<Schedule>(id)?);
    }
    Ok(found)
}

/// When a stream goes on air next by any of its schedules.
pub(crate) fn next_of_stream(rows: &Reader<'_>, stream: Uuid, now: Timestamp) -> Result<Option<Timestamp>> {
    let mut next: Option<Timestamp> = None;
    for row in of_stream(rows, stream)? {
        let start = next_of(rows, &row, now)?.map(|occurrence| occurrence.start);
        next = [next, start].into_iter().flatten().min();
    }
    Ok(next)
}

/// How many schedules of a stream have an occurrence to come.
pub fn coming_of_stream(rows: &Reader<'_>, stream: Uuid) -> Result<u64> {
    let mut count = 0;
    for row in of_stream(rows, stream)? {
        let passed: Option<Passed> = rows.value(&Passed::key(row.id()))?;
        let after = passed.map_or(row.header.created_at, |passed| passed.through);
        count += u64::from(!row.value.paused && occurrences(&row.value, after).next().is_some());
    }
    Ok(count)
}

/// Takes the schedules of a stream away; how many.
pub(crate) fn delete_of_stream(rows: &mut Writer<'_>, actor: &Actor, stream: Uuid) -> Result<usize> {
    let gone = of_stream(rows.view(), stream)?;
    for row in &gone {
        delete(rows, actor, row)?;
    }
    Ok(gone.len())
}

pub(super) fn delete(rows: &mut Writer<'_>, actor: &Actor, row: &Row<Schedule>) -> Result<()> {
    let stream = rows.view().get::<LiveStream>(row.value.stream_id)?;
    let object = stream.map_or(row.id().to_string(), |stream| format!("{} {}", row.id(), stream.value.title));
    audit::record(rows, actor, "schedule.delete", object)?;
    rows.delete_value(&Passed::key(row.id()));
    rows.delete_value(&Waiting::key(row.id()));
    rows.delete(row);
    Ok(())
}

pub(super) fn view(rows: &Reader<'_>, row: Row<Schedule>, now: Timestamp) -> Result<ScheduleView> {
    let stream = rows.get::<LiveStream>(row.value.stream_id)?;
    let passed: Option<Passed> = rows.value(&Passed::key(row.id()))?;
    let through = passed.as_ref().map_or(row.header.created_at, |passed| passed.through);
    let last = match passed.and_then(|passed| passed.last_run) {
        Some(id) => rows.get::<Run>(id)?.map(|run| (id, run.value.outcome)),
        None => None,
    };
    let next = next_of(rows, &row, now)?;
    let waiting = next.map(|next| waiting_for(rows, row.id(), next.start)).transpose()?.flatten();
    Ok(ScheduleView {
        stream_title: stream.map(|stream| stream.value.title).unwrap_or_default(),
        next,
        through,
        last,
        waiting,
        row,
    })
}

/// Why occurrences of a schedule that is being typed will not go on air, beside all others; `own` is the one that is
/// being changed.
fn troubles_of(
    library: &Library,
    rows: &Reader<'_>,
    own: Option<Uuid>,
    schedule: &Schedule,
    shown: &[Occurrence],
) -> Result<Vec<Option<Message>>> {
    let (Some(first), Some(last)) = (shown.first(), shown.last()) else { return Ok(Vec::new()) };
    let to = last.start.min(first.start + LOOK_AHEAD);
    let mut slots: Vec<(Option<usize>, Slot)> = Vec::new();
    let slot = |stream, schedule, one: &Occurrence| Slot { stream, schedule, start: one.start, stop: one.stop };
    slots.extend(shown.iter().enumerate().map(|(place, one)| (Some(place), slot(schedule.stream_id, own, one))));
    let mut rest = Vec::new();
    rows.each::<Schedule>(false, |row| {
        if Some(row.id()) != own && !row.value.paused {
            rest.push(row);
        }
        ControlFlow::Continue(())
    })?;
    for row in rest {
        // What has begun is told by its run.
        let after = dealt_with(rows, &row)?.max(first.start - longest(&row.value));
        let others = occurrences(&row.value, after).take(LOOK_AT).take_while(|one| one.start <= to);
        slots.extend(others.map(|one| (None, slot(row.value.stream_id, Some(row.id()), &one))));
    }
    // At one time, what stands already comes first: it is not in the way of itself.
    slots.sort_by_key(|(place, slot)| (slot.start, place.is_some()));
    let ordered: Vec<Slot> = slots.iter().map(|(_, slot)| *slot).collect();
    let found = troubles(&ordered, &mut Streams::new(library, rows))?;
    let mut own: Vec<(usize, Option<Message>)> =
        slots.iter().zip(found).filter_map(|((place, _), trouble)| Some(((*place)?, trouble))).collect();
    own.sort_by_key(|(place, _)| *place);
    Ok(own.into_iter().map(|(_, trouble)| trouble).collect())
}

impl Library {
    /// A page of schedules.
    pub async fn schedules(&self, query: ScheduleQuery) -> Result<Paged<ScheduleView>> {
        let now = self.foundation().clock().now();
        self.rows()
            .read(move |rows| {
                let words = query.search.to_lowercase();
                let found = match query.stream {
                    Some(stream) => of_stream(rows, stream)?,
                    None => {
                        let mut found = Vec::new();
                        rows.each::<Schedule>(false, |row| {
                            found.push(row);
                            ControlFlow::Continue(())
                        })?;
                        found
                    }
                };
                let mut all = Vec::new();
                for row in found {
                    let view = view(rows, row, now)?;
                    let title = view.stream_title.to_lowercase();
                    let kept = match query.filter {
                        ScheduleFilter::All => true,
                        ScheduleFilter::Coming => view.next.is_some(),
                        ScheduleFilter::Paused => view.row.value.paused,
                        ScheduleFilter::Active => !view.row.value.paused,
                        ScheduleFilter::Past => view.next.is_none() && !view.row.value.paused,
                    };
                    if !kept || !words.split_whitespace().all(|word| title.contains(word)) {
                        continue;
                    }
                    let mut key = match query.sort {
                        ScheduleSort::Next => {
                            let at = view.next.map_or(i64::MAX, |next| next.start.as_millisecond().max(0));
                            at.to_be_bytes().to_vec()
                        }
                        ScheduleSort::Title => title.into_bytes(),
                        ScheduleSort::Created => Vec::new(),
                    };
                    key.push(0);
                    key.extend_from_slice(view.row.id().as_bytes());
                    all.push((key, view));
                }
                Ok(Paged::of(all, &query.place))
            })
            .await
    }

    /// One schedule.
    pub async fn schedule(&self, id: Uuid) -> Result<ScheduleView> {
        let now = self.foundation().clock().now();
        self.rows().read(move |rows| view(rows, rows.need::<Schedule>(id)?, now)).await
    }

    /// The next occurrences of a schedule, at most `count`, paused or not.
    pub async fn occurrences(&self, id: Uuid, count: usize) -> Result<Vec<Occurrence>> {
        let now = self.foundation().clock().now();
        let row = self.rows().read(move |rows| rows.need::<Schedule>(id)).await?;
        Ok(occurrences(&row.value, now).take(count).collect())
    }

    /// What would come of a schedule, before it is saved; `own` is the one that is being changed.
    ///
    /// # Errors
    /// As [`Editor::create_schedule`], but conflicts are told with the occurrence.
    pub async fn preview(&self, input: ScheduleInput, own: Option<Uuid>, count: usize) -> Result<Preview> {
        let mut schedule = input.check()?;
        let (library, now) = (self.clone(), self.foundation().clock().now());
        self.rows()
            .read(move |rows| {
                if let Some(own) = own
                    && let Some(row) = rows.get::<Schedule>(own)?
                {
                    carry(&row.value, &mut schedule);
                }
                let mut coming = occurrences(&schedule, now - JUST_NOW);
                let shown: Vec<Occurrence> = coming.by_ref().take(count).collect();
                let more = coming.next().is_some();
                let troubles = troubles_of(&library, rows, own, &schedule, &shown)?;
                let items = shown.into_iter().zip(troubles);
                let items = items.map(|(occurrence, conflict)| PreviewItem { occurrence, conflict }).collect();
                Ok(Preview { items, more })
            })
            .await
    }
}

impl Editor {
    /// Makes a schedule.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that makes no sense, also `stream_id` for a stream that is not there and
    /// `starts_at` for a single time that has passed; [`Error::Conflict`] where another schedule has the same key on
    /// air at the same time.
    pub async fn create_schedule(&self, input: ScheduleInput) -> Result<ScheduleView> {
        self.create_schedule_told(input, Broadcast::default()).await
    }

    /// As [`Editor::create_schedule`], with what its broadcasts are told.
    ///
    /// # Errors
    /// Also of fields `broadcast.…`.
    pub async fn create_schedule_told(&self, input: ScheduleInput, broadcast: Broadcast) -> Result<ScheduleView> {
        self.create_schedule_with(input, broadcast, |_, _| Ok(())).await
    }

    /// As [`Editor::create_schedule`], with what its broadcasts are told and what `with` writes in the same batch.
    pub(crate) async fn create_schedule_with(
        &self,
        input: ScheduleInput,
        broadcast: Broadcast,
        mut with: impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + 'static,
    ) -> Result<ScheduleView> {
        let schedule = Schedule { broadcast: told(&broadcast)?, ..input.check()? };
        let (library, actor) = (Library::clone(self), self.actor().clone());
        let id = Uuid::now_v7();
        self.rows()
            .write(move |rows| {
                let through = rows.now() - JUST_NOW;
                need_thumbnail(rows, &schedule.broadcast, None)?;
                let stream = stream_of(rows, &schedule)?;
                refuse_past(&schedule, through)?;
                refuse_many(rows.view())?;
                refuse_conflicts(&library, rows.view(), None, &schedule, &stream, (through, None))?;
                rows.put_value(&Passed::key(id), &Passed { through, last_run: None })?;
                audit::record(rows, &actor, "schedule.create", format!("{id} {}", stream.value.title))?;
                with(rows, id)?;
                rows.insert_with_id(id, library.tenant(), &actor, schedule.clone()).map(drop)
            })
            .await?;
        self.schedule(id).await
    }

    /// Changes a schedule. What is on air by it goes on, and ends when the schedule now says so; one that would be over
    /// by that keeps its end.
    ///
    /// # Errors
    /// As [`Editor::create_schedule`]; [`Error::Stale`] where `expected` is not its version.
    pub async fn change_schedule(
        &self,
        id: Uuid,
        expected: Option<u64>,
        change: ScheduleChange,
    ) -> Result<ScheduleView> {
        let (library, actor) = (Library::clone(self), self.actor().clone());
        self.rows()
            .write(move |rows| {
                let row = rows.need::<Schedule>(id, expected)?;
                let mut schedule = change.clone().over(&row.value).check()?;
                carry(&row.value, &mut schedule);
                if let Some(broadcast) = &change.broadcast {
                    schedule.broadcast = told(broadcast)?;
                    need_thumbnail(rows, &schedule.broadcast, Some(&row.value.broadcast))?;
                }
                if schedule == row.value {
                    return Ok(());
                }
                let stream = stream_of(rows, &schedule)?;
                let mut passed = passed(rows, &row)?;
                let just_now = rows.now() - JUST_NOW;
                let moved = schedule.starts_at != row.value.starts_at || schedule.time_zone != row.value.time_zone;
                if moved {
                    refuse_past(&schedule, just_now)?;
                }
                // What was is over: a change makes nothing of the past due again.
                passed.through = passed.through.max(just_now);
                refuse_conflicts(&library, rows.view(), Some(id), &schedule, &stream, (passed.through, None))?;
                rows.put_value(&Passed::key(id), &passed)?;
                end_with(rows, &actor, id, &row.value, &schedule)?;
                audit::record(rows, &actor, "schedule.change", format!("{id} {}", stream.value.title))?;
                rows.update(&row, schedule).map(drop)
            })
            .await?;
        self.schedule(id).await
    }

    /// Starts nothing by a schedule until it is resumed.
    pub async fn pause_schedule(&self, id: Uuid) -> Result<ScheduleView> {
        self.change_schedule(id, None, ScheduleChange { paused: Some(true), ..ScheduleChange::default() }).await
    }

    /// Lets a paused schedule start its stream again; what fell into the pause is left out.
    pub async fn resume_schedule(&self, id: Uuid) -> Result<ScheduleView> {
        self.change_schedule(id, None, ScheduleChange { paused: Some(false), ..ScheduleChange::default() }).await
    }

    /// Takes a schedule away. What is on air by it goes on.
    pub async fn delete_schedule(&self, id: Uuid, expected: Option<u64>) -> Result<()> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let row = rows.need::<Schedule>(id, expected)?;
                delete(rows, &actor, &row)
            })
            .await
    }

    /// Puts the schedule's stream on air now, for as long as the schedule says. The run.
    ///
    /// # Errors
    /// As [`Editor::start_stream`].
    pub async fn run_now(&self, id: Uuid) -> Result<Uuid> {
        let row = self.rows().read(move |rows| rows.need::<Schedule>(id)).await?;
        let now = self.foundation().clock().now();
        let stop_at = match row.value.until {
            Until::Open => None,
            _ => stop_of(&row.value, now),
        };
        self.begin_run(Start {
            stream: row.value.stream_id,
            run: Uuid::now_v7(),
            start_at: now,
            stop_at,
            schedule: Some(id),
            occurrence: None,
        })
        .await
    }
}

/// What broadcasts are told, in order.
fn told(broadcast: &Broadcast) -> Result<Broadcast> {
    let mut errors = Vec::new();
    let broadcast = broadcast.checked(&mut errors);
    if errors.is_empty() { Ok(broadcast) } else { Err(Error::Invalid(errors)) }
}

fn need_thumbnail(rows: &mut Writer<'_>, broadcast: &Broadcast, before: Option<&Broadcast>) -> Result<()> {
    let mut errors = Vec::new();
    broadcast.check_thumbnail(rows, before, &mut errors)?;
    if errors.is_empty() { Ok(()) } else { Err(Error::Invalid(errors)) }
}

pub(super) fn stream_of(rows: &mut Writer<'_>, schedule: &Schedule) -> Result<Row<LiveStream>> {
    rows.get::<LiveStream>(schedule.stream_id)?
        .ok_or_else(|| Error::field("stream_id", Message::new("schedule-stream-unknown")))
}

pub(super) fn refuse_many(rows: &Reader<'_>) -> Result<()> {
    let mut count = 0;
    rows.each::<Schedule>(false, |_| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    if count >= MOST_SCHEDULES {
        return Err(Error::OverQuota(Message::new("schedule-many").with("most", MOST_SCHEDULES)));
    }
    Ok(())
}

pub(super) fn refuse_past(schedule: &Schedule, after: Timestamp) -> Result<()> {
    if occurrences(schedule, after).next().is_some() {
        return Ok(());
    }
    let (field, id) = match schedule.rule {
        None => ("starts_at", "schedule-start-past"),
        Some(_) => ("rule", "schedule-rule-past"),
    };
    Err(Error::field(field, Message::new(id)))
}

/// What has been dealt with of a schedule.
pub(super) fn passed(rows: &mut Writer<'_>, row: &Row<Schedule>) -> Result<Passed> {
    let known = rows.value(&Passed::key(row.id()))?;
    Ok(known.unwrap_or(Passed { through: row.header.created_at, last_run: None }))
}
