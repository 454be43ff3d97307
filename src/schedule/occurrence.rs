//! One occurrence, it and those after it, or all: moved, lengthened, cancelled, put back.
//!
//! What has begun stays as it is: an occurrence is known by the local time that the rule names, so none that has a run
//! gets a second one by being moved. Only the end of one that is on air may change, and its run follows.

use std::time::Duration;

use jiff::civil::{DateTime, Time};
use jiff::{Timestamp, ToSpan as _};
use uuid::Uuid;

use super::calls::{JUST_NOW, ScheduleView, delete, passed, refuse_many, stream_of};
use super::conflicts::{refuse_clash, refuse_conflicts};
use super::on_air::run_on_air;
use super::recurrence::{Occurrence, instant, names, number_before, one, uncut};
use super::rule::Rule;
use super::{
    Becomes, MOST_DURATION, MOST_EXCEPTIONS, Passed, Reach, Schedule, ScheduleInput, StopTime, Until, occurrence_key,
    occurrence_name,
};
use crate::audit;
use crate::auth::Actor;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::store::rows::{Row, Writer};
use crate::text::Message;

/// Exceptions are forgotten so long after their time.
const FORGET: Duration = Duration::from_secs(3 * 24 * 3600);

/// What is to be changed of an occurrence; `None` leaves it.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct OccurrenceChange {
    /// The local time that it starts at; `Some(None)`: as the rule says.
    pub starts_at: Option<Option<DateTime>>,
    /// Its length in seconds; `Some(None)`: as the schedule says.
    pub duration: Option<Option<u64>>,
    /// Whether it is left out.
    pub cancelled: Option<bool>,
}

/// One occurrence with its schedule.
#[derive(Debug, Clone)]
pub struct OccurrenceView {
    /// The schedule.
    pub schedule: ScheduleView,
    /// The local time that the rule names.
    pub of: DateTime,
    /// What it is; `None` where it is cancelled or left out.
    pub occurrence: Option<Occurrence>,
    /// It has begun or is over, and stays as it is.
    pub over: bool,
    /// It is on air: of that which stays, its length may change.
    pub on_air: bool,
}

/// Takes over to a schedule the texts of the old one, and what was changed by hand while it was `old`: as far as the new rule names the same local
/// times, or those that the old ones were moved to with the first one.
pub(super) fn carry(old: &Schedule, new: &mut Schedule) {
    new.broadcast.clone_from(&old.broadcast);
    let same = (old.starts_at, &old.rule, &old.times) == (new.starts_at, &new.rule, &new.times);
    let by = new.starts_at.duration_since(old.starts_at);
    for exception in &old.exceptions {
        let moved = exception.of.checked_add(by).unwrap_or(exception.of);
        let named = [exception.of, moved].into_iter().find(|of| same || names(new, *of));
        if let Some(of) = named.filter(|of| new.skip_dates.binary_search(&of.date()).is_err()) {
            new.set_exception(of, Some(exception.becomes));
        }
    }
}

/// What cannot be changed by one of its occurrences, and where it can.
fn by_form_only() -> Error {
    Error::field("reach", Message::new("occurrence-by-form"))
}

/// A local time by the minute or second, of sensible years.
fn sound(starts_at: DateTime) -> Result<DateTime> {
    let whole = starts_at.with().subsec_nanosecond(0).build().unwrap_or(starts_at);
    let known = (1970..=2200).contains(&whole.year());
    if known { Ok(whole) } else { Err(Error::field("starts_at", Message::new("schedule-start-far"))) }
}

impl OccurrenceChange {
    fn check(self) -> Result<OccurrenceChange> {
        let starts_at = match self.starts_at {
            Some(Some(at)) => Some(Some(sound(at)?)),
            other => other,
        };
        if let Some(Some(seconds)) = self.duration
            && !(1..=MOST_DURATION).contains(&seconds)
        {
            return Err(Error::field("duration", Message::new("schedule-duration-range")));
        }
        Ok(OccurrenceChange { starts_at, ..self })
    }
}

/// The schedule with one occurrence changed; `now` is what it is today, where it is not cancelled.
pub(super) fn with_this(
    schedule: &Schedule,
    of: DateTime,
    now: Option<&Occurrence>,
    change: OccurrenceChange,
) -> Schedule {
    let mut changed = schedule.clone();
    let (before_at, before_length) = match schedule.exception(of).map(|exception| exception.becomes) {
        Some(Becomes::Changed { starts_at, duration }) => (starts_at, duration),
        _ => (of, None),
    };
    let cancelled =
        change.cancelled.unwrap_or(now.is_none() && change.starts_at.is_none() && change.duration.is_none());
    if cancelled {
        changed.set_exception(of, Some(Becomes::Cancelled));
        return changed;
    }
    let starts_at = match change.starts_at {
        Some(at) => at.unwrap_or(of),
        None => before_at,
    };
    let mut duration = change.duration.unwrap_or(before_length);
    // One that ends at a time of day keeps its length when it begins at another time.
    if starts_at != before_at
        && duration.is_none()
        && change.duration.is_none()
        && starts_at != of
        && matches!(schedule.until, Until::Stop(_))
    {
        let length = now.and_then(|now| Some(now.stop?.duration_since(now.start).as_secs()));
        duration = length.and_then(|seconds| u64::try_from(seconds).ok());
    }
    let becomes = (starts_at != of || duration.is_some()).then_some(Becomes::Changed { starts_at, duration });
    changed.set_exception(of, becomes);
    changed
}

/// All times of a schedule's days, in order.
fn times_of_day(schedule: &Schedule) -> Vec<Time> {
    let mut times = schedule.times.clone();
    times.push(schedule.starts_at.time());
    times.sort_unstable();
    times
}

/// The rule and the times of day where `of` is at `to` instead.
fn moved(schedule: &Schedule, of: DateTime, to: DateTime) -> Option<(Option<Rule>, Vec<Time>)> {
    let rule = schedule.rule.as_deref().map(Rule::read);
    let rule = match rule {
        Some(rule) if of.date() != to.date() => Some(rule.moved(of.date(), to.date())?),
        other => other,
    };
    let mut times = times_of_day(schedule);
    if of.time() != to.time() {
        if rule.as_ref().is_some_and(Rule::names_times) {
            return None;
        }
        let place = times.iter().position(|time| *time == of.time())?;
        if times.contains(&to.time()) {
            return None;
        }
        times[place] = to.time();
        times.sort_unstable();
    }
    Some((rule, times))
}

/// When occurrences end that begin at other times than before: the first one at `first` now.
fn until_of(
    schedule: &Schedule,
    first: DateTime,
    (of, to): (DateTime, DateTime),
    duration: Option<Option<u64>>,
) -> Until {
    if let Some(Some(seconds)) = duration {
        return Until::Duration(seconds);
    }
    match schedule.until {
        Until::Stop(StopTime::Daily(time)) => Until::Stop(StopTime::Daily(time.wrapping_add(to.duration_since(of)))),
        Until::Stop(StopTime::Exact(at)) => {
            let at = first.checked_add(at.duration_since(schedule.starts_at)).unwrap_or(at);
            Until::Stop(StopTime::Exact(at))
        }
        other => other,
    }
}

/// The schedule with another beginning and rule, and no end yet.
fn endless(schedule: &Schedule, starts_at: DateTime, rule: Option<Rule>, times: Vec<Time>) -> Result<Schedule> {
    ScheduleInput {
        starts_at,
        rule: rule.map(|rule| rule.to_string()),
        times: times.into_iter().filter(|time| *time != starts_at.time()).collect(),
        duration: None,
        stop_at: None,
        ..ScheduleInput::from(schedule)
    }
    .check()
}

/// The schedule with every occurrence moved and lengthened as this one is.
fn with_all(schedule: &Schedule, of: DateTime, change: OccurrenceChange) -> Result<Schedule> {
    let to = change.starts_at.flatten().unwrap_or(of);
    let (rule, times) = moved(schedule, of, to).ok_or_else(by_form_only)?;
    let first = schedule.starts_at;
    // The first day follows where the rule does not name its days, and where it is one of those that move.
    let days = to.date().duration_since(of.date()).as_hours() / 24;
    let follows = match schedule.rule.as_deref().map(Rule::read) {
        Some(rule) if rule.names_days() => rule.get("FREQ") != Some("WEEKLY") || first.weekday() == of.weekday(),
        _ => true,
    };
    let day = if follows { first.date().checked_add(days.days()).unwrap_or(first.date()) } else { first.date() };
    let time = if first.time() == of.time() { to.time() } else { first.time() };
    let mut all = endless(schedule, day.to_datetime(time), rule, times)?;
    all.until = until_of(schedule, all.starts_at, (of, to), change.duration);
    carry(schedule, &mut all);
    Ok(all)
}

/// The schedule up to an occurrence, and the one from there on. `of` is not its first.
fn split(schedule: &Schedule, of: DateTime, change: OccurrenceChange) -> Result<(Schedule, Schedule)> {
    let to = change.starts_at.flatten().unwrap_or(of);
    let (rule, times) = moved(schedule, of, to).ok_or_else(by_form_only)?;
    let earlier: Vec<Time> = times_of_day(schedule).into_iter().filter(|time| *time < of.time()).collect();

    let mut head = ended_before(schedule, of);
    head.exceptions.retain(|exception| exception.of < of);
    head.skip_dates.retain(|date| *date <= of.date());

    let shifted = |time: Time| if time == of.time() { to.time() } else { time };
    // On the first day the times before it belong to the schedule that ends there.
    let own = times_of_day(schedule).into_iter().filter(|time| *time >= of.time()).map(shifted);
    let first = own.min().unwrap_or(to.time());
    let rule = rule.map(|rule| match rule.count() {
        Some(count) => rule.with("COUNT", count.saturating_sub(number_before(schedule, of)).max(1).to_string()),
        None => rule,
    });
    let mut tail = endless(schedule, to.date().to_datetime(first), rule, times)?;
    tail.until = until_of(schedule, tail.starts_at, (of, to), change.duration);
    tail.skip_dates.retain(|date| *date >= of.date());
    // What was changed by hand follows by as much as the whole is moved.
    let by = to.duration_since(of);
    for exception in schedule.exceptions.iter().filter(|exception| exception.of > of) {
        let own = exception.of.checked_add(by).unwrap_or(exception.of);
        if let Some(of) = [exception.of, own].into_iter().find(|of| names(&tail, *of)) {
            tail.set_exception(of, Some(exception.becomes));
        }
    }
    for time in earlier {
        let twice = to.date().to_datetime(time);
        if to.date() == of.date() && names(&tail, twice) {
            tail.set_exception(twice, Some(Becomes::Cancelled));
        }
    }
    Ok((head, tail))
}

/// The schedule without an occurrence and those after it.
fn ended_before(schedule: &Schedule, of: DateTime) -> Schedule {
    let mut head = schedule.clone();
    let Some(rule) = schedule.rule.as_deref().map(Rule::read) else {
        head.times.retain(|time| schedule.starts_at.date().to_datetime(*time) < of);
        return head;
    };
    let rule = rule.without(&["COUNT", "UNTIL"]);
    let first_of_day = !rule.names_times() && times_of_day(schedule).first() == Some(&of.time());
    let last = match of.date().yesterday() {
        Ok(day) if first_of_day => day.strftime("%Y%m%d").to_string(),
        _ => {
            let before = of.checked_sub(1.second()).unwrap_or(of);
            before.strftime("%Y%m%dT%H%M%S").to_string()
        }
    };
    head.rule = Some(rule.with("UNTIL", last).to_string());
    head
}

/// Leaves out what the new schedule would do again: occurrences that have begun as the old one.
fn without_begun(old: &Schedule, new: &mut Schedule, (of, to): (DateTime, DateTime), through: Timestamp) {
    let by = to.duration_since(of);
    let span = Duration::try_from(by.abs()).unwrap_or_default() + 2 * FORGET;
    let begun: Vec<DateTime> =
        uncut(old, through - span).take_while(|one| one.start <= through).map(|one| one.of).collect();
    for of in begun {
        for again in [of.checked_add(by).ok(), Some(of)].into_iter().flatten() {
            if names(new, again) && instant(new, again).is_some_and(|at| at > through) {
                new.set_exception(again, Some(Becomes::Cancelled));
            }
        }
    }
}

impl Library {
    /// One occurrence of a schedule, by the local time that the rule names.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the rule does not name it.
    pub async fn occurrence(&self, id: Uuid, of: DateTime) -> Result<OccurrenceView> {
        let schedule = self.schedule(id).await?;
        let value = &schedule.row.value;
        if !names(value, of) {
            return Err(Error::NotFound);
        }
        let occurrence = one(value, of);
        let at = occurrence.map(|occurrence| occurrence.start).or_else(|| instant(value, of));
        let over = at.is_none_or(|at| at <= schedule.through);
        let name = occurrence_name(value, of);
        let on_air = self.rows().read(move |rows| run_on_air(rows, id, &name)).await?.is_some();
        Ok(OccurrenceView { of, occurrence, over, on_air, schedule })
    }
}

impl Editor {
    /// Changes an occurrence, it and those after it, or all that have not begun. The schedule that it belongs to now;
    /// `None` where none is left.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the rule does not name it; [`Error::Conflict`] where it is over, where it is on air and
    /// something else than its own length is to change, or would be on air at the same time as another one on the same key; [`Error::Invalid`] with the field that makes no
    /// sense, `reach` where no rule says what was asked for; [`Error::Stale`] where `expected` is not the schedule's
    /// version.
    pub async fn change_occurrence(
        &self,
        (id, of): (Uuid, DateTime),
        expected: Option<u64>,
        reach: Reach,
        change: OccurrenceChange,
    ) -> Result<Option<ScheduleView>> {
        let change = change.check()?;
        let (library, actor) = (Library::clone(self), self.actor().clone());
        let tail = Uuid::now_v7();
        let left = self
            .rows()
            .write(move |rows| {
                let row = rows.need::<Schedule>(id, expected)?;
                let act = Act { library: &library, actor: &actor, row: &row, of };
                act.run(rows, reach, change, tail)
            })
            .await?;
        match left {
            Some(id) => self.schedule(id).await.map(Some),
            None => Ok(None),
        }
    }
}

/// A change of an occurrence within its batch.
pub(super) struct Act<'a> {
    pub(super) library: &'a Library,
    pub(super) actor: &'a Actor,
    pub(super) row: &'a Row<Schedule>,
    pub(super) of: DateTime,
}

impl Act<'_> {
    fn run(&self, rows: &mut Writer<'_>, reach: Reach, change: OccurrenceChange, tail: Uuid) -> Result<Option<Uuid>> {
        let schedule = &self.row.value;
        if !names(schedule, self.of) || schedule.skip_dates.binary_search(&self.of.date()).is_ok() {
            return Err(Error::NotFound);
        }
        let now = one(schedule, self.of);
        let passed = passed(rows, self.row)?;
        let at = now.map(|now| now.start).or_else(|| instant(schedule, self.of));
        let name = occurrence_name(schedule, self.of);
        if at.is_none_or(|at| at <= passed.through)
            || rows.value::<Uuid>(&occurrence_key(self.row.id(), &name))?.is_some()
        {
            return self.on_air(rows, reach, now.as_ref(), change, passed.through);
        }
        // What was is over: a change makes nothing of the past due again.
        let through = passed.through.max(rows.now() - JUST_NOW);
        let single = schedule.rule.is_none() && schedule.times.is_empty();
        let first = number_before(schedule, self.of) == 0;
        match (reach, change.cancelled) {
            (Reach::All, Some(true)) => self.delete(rows),
            (Reach::Following | Reach::This, Some(true)) if single || (first && reach == Reach::Following) => {
                self.delete(rows)
            }
            (Reach::Following, Some(true)) => {
                let mut head = ended_before(schedule, self.of);
                head.exceptions.retain(|exception| exception.of < self.of);
                self.put(rows, head, through)
            }
            (Reach::This, _) if !single => self.this(rows, now.as_ref(), change, through),
            (Reach::Following, _) if !first => self.following(rows, change, through, tail),
            _ => self.all(rows, change, Passed { through, ..passed }),
        }
    }

    fn delete(&self, rows: &mut Writer<'_>) -> Result<Option<Uuid>> {
        delete(rows, self.actor, self.row)?;
        Ok(None)
    }

    pub(super) fn put(
        &self,
        rows: &mut Writer<'_>,
        mut schedule: Schedule,
        through: Timestamp,
    ) -> Result<Option<Uuid>> {
        let old = through - FORGET;
        let recent = |at: DateTime| instant(&self.row.value, at).is_none_or(|at| at > old);
        schedule.exceptions.retain(|exception| match exception.becomes {
            Becomes::Changed { starts_at, .. } => recent(exception.of) || recent(starts_at),
            Becomes::Cancelled => recent(exception.of),
        });
        if schedule.exceptions.len() > MOST_EXCEPTIONS {
            return Err(Error::OverQuota(Message::new("occurrence-many").with("most", MOST_EXCEPTIONS)));
        }
        if schedule != self.row.value {
            let object = format!("{} {}", self.row.id(), self.of);
            audit::record(rows, self.actor, "schedule.change-occurrence", object)?;
            rows.update(self.row, schedule)?;
        }
        Ok(Some(self.row.id()))
    }

    fn refuse_past(&self, schedule: &Schedule, to: DateTime, through: Timestamp) -> Result<()> {
        let at = instant(schedule, to);
        if at.is_some_and(|at| at > through) {
            return Ok(());
        }
        Err(Error::field("starts_at", Message::new("schedule-start-past")))
    }

    fn this(
        &self,
        rows: &mut Writer<'_>,
        now: Option<&Occurrence>,
        change: OccurrenceChange,
        through: Timestamp,
    ) -> Result<Option<Uuid>> {
        let changed = with_this(&self.row.value, self.of, now, change);
        if let Some(occurrence) = one(&changed, self.of) {
            self.refuse_past(&changed, occurrence.civil, through)?;
            let stream = stream_of(rows, &changed)?;
            refuse_clash(self.library, rows.view(), (self.row.id(), &changed), &stream, &occurrence)?;
        }
        self.put(rows, changed, through)
    }

    fn all(&self, rows: &mut Writer<'_>, change: OccurrenceChange, passed: Passed) -> Result<Option<Uuid>> {
        let old = &self.row.value;
        let to = change.starts_at.flatten().unwrap_or(self.of);
        let mut all = with_all(old, self.of, change)?;
        self.refuse_past(&all, to, passed.through)?;
        without_begun(old, &mut all, (self.of, to), passed.through);
        self.sensible(&all)?;
        let stream = stream_of(rows, &all)?;
        let own = Some(self.row.id());
        refuse_conflicts(self.library, rows.view(), own, &all, &stream, (passed.through, None))?;
        rows.put_value(&Passed::key(self.row.id()), &passed)?;
        self.put(rows, all, passed.through)
    }

    fn following(
        &self,
        rows: &mut Writer<'_>,
        change: OccurrenceChange,
        through: Timestamp,
        id: Uuid,
    ) -> Result<Option<Uuid>> {
        let (head, tail) = split(&self.row.value, self.of, change)?;
        let to = change.starts_at.flatten().unwrap_or(self.of);
        self.refuse_past(&tail, to, through)?;
        self.sensible(&tail)?;
        refuse_many(rows.view())?;
        let stream = stream_of(rows, &tail)?;
        let own = Some(self.row.id());
        refuse_conflicts(self.library, rows.view(), own, &tail, &stream, (through, Some(&head)))?;
        self.put(rows, head, through)?;
        rows.put_value(&Passed::key(id), &Passed { through, last_run: None })?;
        audit::record(rows, self.actor, "schedule.create", format!("{id} {}", stream.value.title))?;
        rows.insert_with_id(id, self.library.tenant(), self.actor, tail)?;
        Ok(Some(id))
    }

    /// A length that was stretched too far is told beside its field.
    fn sensible(&self, schedule: &Schedule) -> Result<()> {
        if schedule.rule.is_none() && schedule.times.is_empty() {
            return Ok(());
        }
        super::recurrence::sensible(schedule).map_err(|(field, message)| Error::field(field, message))
    }
}
