//! Which instants a schedule means (pure).
//!
//! Rules are evaluated on a calendar without a zone (the rrule crate is wrong at clock changes), then every local time
//! is mapped to the zone. The rules at clock changes, written down: a local time that does not exist happens once,
//! later by as much as the clock jumped (02:30 becomes 03:30); one that exists twice happens the first time. Where the
//! clocks change, order and number hold: instants rise strictly, and two local times that fall on one instant are one.
//!
//! An occurrence is known by the local time that the rule names, whatever becomes of it: one that was moved or
//! lengthened by hand is still that occurrence.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan as _};
use rrule::RRuleSet;

pub use super::rule::normal;
use super::rule::{Rule, weekday};
use super::{Becomes, Schedule, StopTime, Until};
use crate::text::Message;

/// What a change of the clocks does to an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// Its local time does not exist on that day: it happens later.
    Gap,
    /// Its local time exists twice: it happens the first time.
    Fold,
}

impl Shift {
    /// The word of the API.
    pub fn code(self) -> &'static str {
        match self {
            Shift::Gap => "gap",
            Shift::Fold => "fold",
        }
    }
}

/// One instant of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub stop: Option<Timestamp>,
    /// The local time that it is planned for.
    pub civil: DateTime,
    /// The local time that the rule names: which occurrence it is.
    pub of: DateTime,
    /// What the clocks do to it.
    pub shift: Option<Shift>,
    /// It was changed by hand.
    pub changed: bool,
}

/// Occurrences of one day, of a rule that counts, and of those that a rule is judged by.
const MOST_A_DAY: usize = 48;
const MOST_COUNTED: usize = 1000;
const LOOKED_AT: usize = 200;
/// What is counted, or has to be walked, begins no earlier: a walk from 1970 keeps others waiting.
const FIRST_YEAR: i16 = 2015;

/// Whether a schedule can be looked through at little cost, whatever its rule says.
fn bounded(schedule: &Schedule) -> Result<(), (&'static str, Message)> {
    let Some(rule) = schedule.rule.as_deref().map(Rule::read) else { return Ok(()) };
    if schedule.starts_at.year() < FIRST_YEAR {
        return Err(("starts_at", Message::new("schedule-start-old").with("year", FIRST_YEAR.to_string())));
    }
    if rule.count().is_some_and(|count| count > MOST_COUNTED) {
        return Err(("rule", Message::new("schedule-rule-count").with("most", MOST_COUNTED)));
    }
    let named = |part: &str| rule.get(part).map_or(1, |list| list.split(',').count());
    if named("BYHOUR").saturating_mul(named("BYMINUTE")).saturating_mul(named("BYSECOND")) > MOST_A_DAY {
        return Err(("rule", Message::new("schedule-rule-dense").with("most", MOST_A_DAY)));
    }
    Ok(())
}

/// Whether a schedule with a rule has occurrences, no two within a minute, and none that lasts far into the next.
///
/// # Errors
/// The field that is wrong, and what is wrong with it.
pub fn sensible(schedule: &Schedule) -> Result<(), (&'static str, Message)> {
    let zone = zone(schedule).ok_or_else(|| ("time_zone", Message::new("schedule-zone-unknown")))?;
    let field = if schedule.rule.is_some() { "rule" } else { "times" };
    bounded(schedule)?;
    let Some(times) = named(schedule, &zone, None) else {
        return Err((field, Message::new("schedule-rule-unreadable")));
    };
    let first: Vec<DateTime> = times.take(LOOKED_AT).collect();
    let closest = first.windows(2).map(|pair| pair[1].duration_since(pair[0]).as_secs()).min();
    let day = |times: &[DateTime]| times[times.len() - 1].duration_since(times[0]).as_hours() < 24;
    if closest.is_some_and(|seconds| seconds < 60) || first.windows(MOST_A_DAY + 1).any(day) {
        return Err((field, Message::new("schedule-rule-dense").with("most", MOST_A_DAY)));
    }
    // A rule that never matches takes long to say so: it is asked once.
    let first = first.last().and_then(|_| occurrences(schedule, Timestamp::MIN).next());
    let Some(first) = first else {
        return Err((field, Message::new("schedule-rule-never")));
    };
    // Where the clocks change, a day has an hour less: what meets the next one by so little is cut there.
    let length = match schedule.until {
        Until::Duration(seconds) => i64::try_from(seconds).unwrap_or(i64::MAX),
        _ => {
            stop(schedule, &zone, first.civil, first.start).map_or(0, |stop| stop.duration_since(first.start).as_secs())
        }
    };
    if closest.is_some_and(|seconds| length > seconds + 3600) {
        let field = if matches!(schedule.until, Until::Duration(_)) { "duration" } else { "stop_at" };
        return Err((field, Message::new("schedule-rule-overlaps")));
    }
    Ok(())
}

/// The occurrences after an instant, in order; none where the zone or the rule is not known to this program.
pub fn occurrences(schedule: &Schedule, after: Timestamp) -> Occurrences<'_> {
    Occurrences { raw: uncut(schedule, after), ahead: None }
}

/// Like [`occurrences`], but each ends when it would if there were no next one.
pub(super) fn uncut(schedule: &Schedule, after: Timestamp) -> Raw<'_> {
    let known = zone(schedule);
    let zone = known.clone().unwrap_or(TimeZone::UTC);
    let mut held = BinaryHeap::new();
    let source: Times = match known.and_then(|zone| named(schedule, &zone, Some(after))) {
        Some(times) => {
            held.extend(schedule.exceptions.iter().filter_map(|one| changed(schedule, &zone, one)).map(Reverse));
            times
        }
        None => Box::new(std::iter::empty()),
    };
    Raw { schedule, zone, source, held, after, floor: None, over: false }
}

/// Whether the schedule's rule names a local time, left out or not.
pub(super) fn names(schedule: &Schedule, civil: DateTime) -> bool {
    let Some(zone) = zone(schedule).filter(|_| (1969..=2201).contains(&civil.year())) else { return false };
    let near = zone.to_ambiguous_timestamp(civil).compatible().unwrap_or(Timestamp::MIN);
    let Some(mut times) = named(schedule, &zone, Some(near)) else { return false };
    times.find(|time| *time >= civil) == Some(civil)
}

/// How many local times the schedule's rule names before one of them.
pub(super) fn number_before(schedule: &Schedule, civil: DateTime) -> usize {
    let times = zone(schedule).and_then(|zone| named(schedule, &zone, None));
    times.map_or(0, |times| times.take_while(|time| *time < civil).count())
}

/// How long one that starts at `start`, outside of any rule, would be on air; `None` without an end.
pub fn stop_of(schedule: &Schedule, start: Timestamp) -> Option<Timestamp> {
    let zone = zone(schedule)?;
    // Without its sub-seconds, as schedules are.
    stop(schedule, &zone, zone.to_datetime(start), start)
}

/// The instant of a local time of the schedule's zone.
pub(super) fn instant(schedule: &Schedule, civil: DateTime) -> Option<Timestamp> {
    zone(schedule)?.to_ambiguous_timestamp(civil).compatible().ok()
}

/// One occurrence, as it is planned; `None` where the rule does not name it or it is left out.
pub(super) fn one(schedule: &Schedule, of: DateTime) -> Option<Occurrence> {
    let zone = zone(schedule)?;
    if !names(schedule, of) || schedule.skip_dates.binary_search(&of.date()).is_ok() {
        return None;
    }
    match schedule.exception(of) {
        Some(exception) => changed(schedule, &zone, exception),
        None => planned(schedule, &zone, of).map(|(occurrence, _)| occurrence),
    }
}

fn zone(schedule: &Schedule) -> Option<TimeZone> {
    TimeZone::get(&schedule.time_zone).ok()
}

type Times = Box<dyn Iterator<Item = DateTime> + Send>;

/// The local times that a schedule names, in order, from some time before `after`; `None` where its rule is unreadable.
fn named(schedule: &Schedule, zone: &TimeZone, after: Option<Timestamp>) -> Option<Times> {
    let start = schedule.starts_at;
    let Some(rule) = &schedule.rule else {
        return Some(with_times(schedule, Box::new(std::iter::once(start))));
    };
    let rule = Rule::read(rule);
    let last = match rule.get("UNTIL") {
        Some(value) => Some(until(value, zone)?),
        None => None,
    };
    let count = rule.count();
    // What is counted has to be walked from its beginning.
    let near = after.filter(|_| count.is_none());
    let days = rule.without(&["UNTIL", "COUNT"]);
    let days = match plain(&days, start) {
        Some((every, on)) => plain_days(forward(start, i64::from(every), near, zone), every, on),
        None => {
            let every = i64::from(days.interval());
            let from = match days.get("FREQ") {
                Some("DAILY") => forward(start, every, near, zone),
                Some("WEEKLY") => forward(start, every * 7, near, zone),
                Some("MONTHLY") => forward_months(start, every, near, zone),
                Some("YEARLY") => forward_months(start, every * 12, near, zone),
                _ => start,
            };
            Box::new(times(&floating(from, &days)?))
        }
    };
    let mut found = with_times(schedule, days);
    if let Some(last) = last {
        found = Box::new(found.take_while(move |time| *time <= last));
    }
    if let Some(count) = count {
        found = Box::new(found.take(count));
    }
    Some(found)
}

/// Each day's further times of day beside that of the first.
fn with_times(schedule: &Schedule, days: Times) -> Times {
    if schedule.times.is_empty() {
        return days;
    }
    let start = schedule.starts_at;
    let mut times: Vec<Time> = schedule.times.clone();
    times.push(start.time());
    times.sort_unstable();
    times.dedup();
    let times =
        move |day: DateTime| -> Vec<DateTime> { times.iter().map(|time| day.date().to_datetime(*time)).collect() };
    Box::new(days.flat_map(times).filter(move |time| *time >= start))
}

/// Rules that need no walk: every so many days, or some days of every week.
fn plain(rule: &Rule, start: DateTime) -> Option<(u16, [bool; 7])> {
    let known = ["FREQ", "INTERVAL", "BYDAY", "WKST"];
    if !rule.without(&known).to_string().is_empty() {
        return None;
    }
    match (rule.get("FREQ")?, rule.get("BYDAY")) {
        ("DAILY", None) => Some((rule.interval(), [true; 7])),
        ("WEEKLY", days) if rule.interval() == 1 => {
            let mut on = [false; 7];
            let named = match days {
                None => vec![start.weekday()],
                Some(days) => days.split(',').map(weekday).collect::<Option<Vec<Weekday>>>()?,
            };
            named.into_iter().for_each(|day| on[day.to_monday_zero_offset() as usize] = true);
            Some((1, on))
        }
        _ => None,
    }
}

fn plain_days(first: DateTime, every: u16, on: [bool; 7]) -> Times {
    let days = std::iter::successors(Some(first), move |at| at.checked_add(i64::from(every).days()).ok());
    Box::new(days.filter(move |at| on[at.weekday().to_monday_zero_offset() as usize]))
}

/// The start, later by whole periods of so many days, but a few days before an instant: safe from clock changes, and
/// from moves that lie behind the instant.
fn forward(start: DateTime, period: i64, near: Option<Timestamp>, zone: &TimeZone) -> DateTime {
    let Some(near) = near else { return start };
    let days = zone.to_datetime(near.max(EARLIEST)).date().duration_since(start.date()).as_hours() / 24 - 2;
    let skipped = (days / period).max(0) * period;
    Span::new().try_days(skipped).ok().and_then(|span| start.checked_add(span).ok()).unwrap_or(start)
}

/// As [`forward`], by whole periods of so many months. The day stays the same: a rule that names none means that of its
/// start.
fn forward_months(start: DateTime, period: i64, near: Option<Timestamp>, zone: &TimeZone) -> DateTime {
    let Some(near) = near else { return start };
    let at = zone.to_datetime(near.max(EARLIEST));
    let months = i64::from(at.year() - start.year()) * 12 + i64::from(at.month() - start.month()) - 2;
    let later =
        |periods: i64| Span::new().try_months(periods * period).ok().and_then(|span| start.checked_add(span).ok());
    // A leap day comes back after eight years at the latest.
    let candidates = (1..=(months / period).max(0)).rev().take(MOST_BACK);
    candidates.filter_map(later).find(|at| at.day() == start.day()).unwrap_or(start)
}

/// Periods that are gone back for one whose month has the day of the start.
const MOST_BACK: usize = 12;

/// Local times far from the ends of the calendar.
const EARLIEST: Timestamp = Timestamp::UNIX_EPOCH;

/// Local times of a rule set, on a calendar without a zone.
fn times(set: &RRuleSet) -> impl Iterator<Item = DateTime> + Send + use<> {
    set.into_iter().map_while(|at| civil_of(at.timestamp()))
}

fn civil_of(floating_second: i64) -> Option<DateTime> {
    let at = Timestamp::from_second(floating_second).ok()?;
    Some(TimeZone::UTC.to_datetime(at))
}

/// The rule on a calendar without a zone.
fn floating(start: DateTime, rule: &Rule) -> Option<RRuleSet> {
    let text = format!("DTSTART:{}\nRRULE:{rule}", start.strftime("%Y%m%dT%H%M%SZ"));
    // With the crate's own limit, a rule that never matches ends instead of walking for ever.
    text.parse::<RRuleSet>().ok().map(RRuleSet::limit)
}

/// The last local time of a rule; an instant as the local time in the zone.
pub(super) fn until(value: &str, zone: &TimeZone) -> Option<DateTime> {
    match value.strip_suffix('Z') {
        Some(utc) => {
            let at = DateTime::strptime("%Y%m%dT%H%M%S", utc).ok()?.to_zoned(TimeZone::UTC).ok()?;
            Some(zone.to_datetime(at.timestamp()))
        }
        None if value.len() == 8 => Some(Date::strptime("%Y%m%d", value).ok()?.at(23, 59, 59, 0)),
        None => DateTime::strptime("%Y%m%dT%H%M%S", value).ok(),
    }
}

/// See [`occurrences`].
pub struct Occurrences<'s> {
    raw: Raw<'s>,
    /// The one after the one that was given out: where it begins, the one before it ends.
    ahead: Option<Occurrence>,
}

impl Iterator for Occurrences<'_> {
    type Item = Occurrence;

    fn next(&mut self) -> Option<Occurrence> {
        let mut this = self.ahead.take().or_else(|| self.raw.next())?;
        if this.stop.is_some() {
            self.ahead = self.raw.next();
            this.stop = [this.stop, self.ahead.map(|next| next.start)].into_iter().flatten().min();
        }
        Some(this)
    }
}

/// See [`uncut`].
pub(super) struct Raw<'s> {
    schedule: &'s Schedule,
    zone: TimeZone,
    source: Times,
    /// What moves past later ones, by the clocks or by hand, waits here until nothing can come before it.
    held: BinaryHeap<Reverse<Occurrence>>,
    after: Timestamp,
    /// Nothing that is still to come lies before this.
    floor: Option<Timestamp>,
    over: bool,
}

impl Iterator for Raw<'_> {
    type Item = Occurrence;

    fn next(&mut self) -> Option<Occurrence> {
        loop {
            if let Some(Reverse(first)) = self.held.peek()
                && (self.over || self.floor.is_some_and(|floor| first.start <= floor))
            {
                let first = *first;
                self.held.pop();
                if first.start > self.after {
                    self.after = first.start;
                    return Some(first);
                }
                continue;
            }
            if self.over {
                return None;
            }
            let Some(civil) = self.source.next() else {
                self.over = true;
                continue;
            };
            let left_out = self.schedule.skip_dates.binary_search(&civil.date()).is_ok();
            if left_out || self.schedule.exception(civil).is_some() {
                continue;
            }
            match planned(self.schedule, &self.zone, civil) {
                Some((occurrence, floor)) => {
                    self.floor = Some(floor);
                    self.held.push(Reverse(occurrence));
                }
                // Beyond the calendar.
                None => self.over = true,
            }
        }
    }
}

/// The occurrence of a local time as the rule means it, and an instant that no later local time lies before.
fn planned(schedule: &Schedule, zone: &TimeZone, civil: DateTime) -> Option<(Occurrence, Timestamp)> {
    let (start, floor, shift) = mapped(zone, civil)?;
    let stop = stop(schedule, zone, civil, start);
    Some((Occurrence { start, stop, civil, of: civil, shift, changed: false }, floor))
}

/// The occurrence that was changed by hand; `None` where it was left out.
fn changed(schedule: &Schedule, zone: &TimeZone, exception: &super::Exception) -> Option<Occurrence> {
    let Becomes::Changed { starts_at: civil, duration } = exception.becomes else { return None };
    if schedule.skip_dates.binary_search(&exception.of.date()).is_ok() {
        return None;
    }
    let (start, _, shift) = mapped(zone, civil)?;
    let stop = match duration {
        Some(seconds) => after_seconds(start, seconds),
        None => stop(schedule, zone, civil, start),
    };
    Some(Occurrence { start, stop, civil, of: exception.of, shift, changed: true })
}

/// When a local time is, the earlier instant where it is two, and what the clocks do to it.
fn mapped(zone: &TimeZone, civil: DateTime) -> Option<(Timestamp, Timestamp, Option<Shift>)> {
    let found = zone.to_ambiguous_timestamp(civil);
    let shift = match found.offset() {
        AmbiguousOffset::Unambiguous { .. } => None,
        AmbiguousOffset::Gap { .. } => Some(Shift::Gap),
        AmbiguousOffset::Fold { .. } => Some(Shift::Fold),
    };
    Some((found.compatible().ok()?, found.earlier().ok()?, shift))
}

fn after_seconds(start: Timestamp, seconds: u64) -> Option<Timestamp> {
    start.checked_add(i64::try_from(seconds).ok()?.seconds()).ok()
}

/// When an occurrence of the local time `civil` that starts at `start` ends.
fn stop(schedule: &Schedule, zone: &TimeZone, civil: DateTime, start: Timestamp) -> Option<Timestamp> {
    let local = match schedule.until {
        Until::Open => return None,
        Until::Duration(seconds) => return after_seconds(start, seconds),
        Until::Stop(StopTime::Exact(first)) => {
            let days = first.date().duration_since(schedule.starts_at.date()).as_hours() / 24;
            let local = civil.date().checked_add(days.days()).ok()?.to_datetime(first.time());
            // "Run now" at a later time of day.
            if local > civil { local } else { local.checked_add(1.day()).ok()? }
        }
        Until::Stop(StopTime::Daily(time)) => {
            let local = civil.date().to_datetime(time);
            if local > civil { local } else { local.checked_add(1.day()).ok()? }
        }
    };
    let stop = zone.to_ambiguous_timestamp(local).compatible().ok()?;
    if stop > start {
        return Some(stop);
    }
    // The clocks ate it: as long as the two local times are apart.
    start.checked_add(local.duration_since(civil)).ok()
}

#[cfg(test)]
#[path = "recurrence_tests.rs"]
mod tests;
