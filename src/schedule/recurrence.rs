//! Which instants a schedule means (pure).
//!
//! Rules are evaluated on a calendar without a zone (the rrule crate is wrong at clock changes), then every local time
//! is mapped to the zone. The rules at clock changes, written down: a local time that does not exist happens once,
//! later by as much as the clock jumped (02:30 becomes 03:30); one that exists twice happens the first time. Where the
//! clocks change, order and number hold: instants rise strictly, and two local times that fall on one instant are one.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use jiff::civil::{Date, DateTime};
use jiff::tz::{AmbiguousOffset, TimeZone};
use jiff::{Span, Timestamp, ToSpan as _};
use rrule::RRuleSet;

use super::{Schedule, StopTime, Until};
use crate::text::Message;

/// What a change of the clocks does to an occurrence.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Shift {
    /// Its local time does not exist on that day: it happens later.
    Gap,
    /// Its local time exists twice: it happens the first time.
    Fold,
}

/// One instant of a schedule.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub struct Occurrence {
    /// When it starts.
    pub start: Timestamp,
    /// When it ends.
    pub stop: Option<Timestamp>,
    /// The local time that the rule names.
    pub civil: DateTime,
    /// What the clocks do to it.
    pub shift: Option<Shift>,
}

/// Properties of a rule that are understood.
const KNOWN: [&str; 12] = [
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "WKST",
    "BYMONTH",
    "BYMONTHDAY",
    "BYDAY",
    "BYSETPOS",
    "BYHOUR",
    "BYMINUTE",
    "BYYEARDAY",
];
/// Longest text of a rule.
const LONGEST: usize = 300;

/// A rule in its one spelling: upper case, without `RRULE:`.
///
/// # Errors
/// What is wrong with it. Whether it ever matches is seen only with its schedule: [`sensible`].
pub fn normal(rule: &str) -> Result<String, Message> {
    let rule = rule.trim().to_ascii_uppercase();
    let rule = rule.strip_prefix("RRULE:").unwrap_or(&rule).trim_end_matches(';');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | ';' | ',' | '-' | '+');
    if rule.len() > LONGEST || !rule.chars().all(plain) {
        return Err(Message::new("schedule-rule-unreadable"));
    }
    let mut names = Vec::new();
    for part in rule.split(';') {
        let (name, value) = part.split_once('=').ok_or_else(|| Message::new("schedule-rule-unreadable"))?;
        if !KNOWN.contains(&name) || value.is_empty() || names.contains(&name) {
            return Err(Message::new("schedule-rule-part").with("part", part));
        }
        if name == "FREQ" && !["DAILY", "WEEKLY", "MONTHLY", "YEARLY"].contains(&value) {
            return Err(Message::new("schedule-rule-frequency"));
        }
        if matches!(name, "INTERVAL" | "COUNT") && !value.parse::<u16>().is_ok_and(|count| count > 0) {
            return Err(Message::new("schedule-rule-part").with("part", part));
        }
        names.push(name);
    }
    if !names.contains(&"FREQ") || (names.contains(&"COUNT") && names.contains(&"UNTIL")) {
        return Err(Message::new("schedule-rule-unreadable"));
    }
    Ok(rule.to_owned())
}

/// Whether a schedule with a rule has occurrences, no two within a minute, and none that lasts far into the next.
///
/// # Errors
/// The field that is wrong, and what is wrong with it.
pub fn sensible(schedule: &Schedule) -> Result<(), (&'static str, Message)> {
    let zone = zone(schedule).ok_or_else(|| ("time_zone", Message::new("schedule-zone-unknown")))?;
    let rule = schedule.rule.as_deref().unwrap_or_default();
    let Some(set) = floating(schedule.starts_at, rule, &zone) else {
        // A rule that ends before it begins is not unreadable.
        let endless: Vec<&str> = rule.split(';').filter(|part| !part.starts_with("UNTIL=")).collect();
        let readable = floating(schedule.starts_at, &endless.join(";"), &zone).is_some();
        let dated = rule.split(';').filter_map(|part| part.strip_prefix("UNTIL=")).all(|at| until(at, &zone).is_some());
        let id = if readable && dated { "schedule-rule-never" } else { "schedule-rule-unreadable" };
        return Err(("rule", Message::new(id)));
    };
    let mut before: Option<DateTime> = None;
    let mut closest: Option<i64> = None;
    for civil in times(&set).take(200) {
        if let Some(before) = before {
            let seconds = civil.duration_since(before).as_secs();
            closest = Some(closest.map_or(seconds, |closest| closest.min(seconds)));
        }
        before = Some(civil);
    }
    if closest.is_some_and(|seconds| seconds < 60) {
        return Err(("rule", Message::new("schedule-rule-dense")));
    }
    let Some(first) = occurrences(schedule, Timestamp::MIN).next().filter(|_| before.is_some()) else {
        return Err(("rule", Message::new("schedule-rule-never")));
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
    let zone = zone(schedule).unwrap_or(TimeZone::UTC);
    let source = match schedule.rule.as_deref() {
        _ if self::zone(schedule).is_none() => Source::Over,
        None => Source::Once(schedule.starts_at),
        Some(rule) => match plain_daily(rule) {
            Some(every) => Source::Daily { next: daily_from(schedule.starts_at, every, after, &zone), every },
            None => floating(schedule.starts_at, rule, &zone).map_or(Source::Over, |set| Source::Rule(Box::new(set))),
        },
    };
    let source = source.iterate();
    let raw = Raw { schedule, zone, source, held: BinaryHeap::new(), after, floor: None, over: false };
    Occurrences { raw, ahead: None }
}

/// How long one that starts at `start`, outside of any rule, would be on air; `None` without an end.
pub fn stop_of(schedule: &Schedule, start: Timestamp) -> Option<Timestamp> {
    let zone = zone(schedule)?;
    // Without its sub-seconds, as schedules are.
    stop(schedule, &zone, zone.to_datetime(start), start)
}

fn zone(schedule: &Schedule) -> Option<TimeZone> {
    TimeZone::get(&schedule.time_zone).ok()
}

/// `FREQ=DAILY` with nothing but an interval, by far the most common rule: its days can be counted instead of walked.
fn plain_daily(rule: &str) -> Option<i64> {
    let mut every = 1;
    let mut daily = false;
    for part in rule.split(';') {
        match part.split_once('=')? {
            ("FREQ", "DAILY") => daily = true,
            ("INTERVAL", count) => every = count.parse().ok().filter(|count| (1..=10_000).contains(count))?,
            _ => return None,
        }
    }
    daily.then_some(every)
}

/// The first daily time that may lie after an instant, two days early to be safe from clock changes.
fn daily_from(start: DateTime, every: i64, after: Timestamp, zone: &TimeZone) -> DateTime {
    let days = zone.to_datetime(after.max(EARLIEST)).date().duration_since(start.date()).as_hours() / 24 - 2;
    let skipped = (days / every).max(0) * every;
    Span::new().try_days(skipped).ok().and_then(|span| start.checked_add(span).ok()).unwrap_or(start)
}

/// Local times far from the ends of the calendar.
const EARLIEST: Timestamp = Timestamp::UNIX_EPOCH;

enum Source {
    Over,
    Once(DateTime),
    Daily { next: DateTime, every: i64 },
    Rule(Box<RRuleSet>),
}

impl Source {
    fn iterate(self) -> Box<dyn Iterator<Item = DateTime> + Send> {
        match self {
            Source::Over => Box::new(std::iter::empty()),
            Source::Once(at) => Box::new(std::iter::once(at)),
            Source::Daily { next, every } => {
                Box::new(std::iter::successors(Some(next), move |at| at.checked_add(every.days()).ok()))
            }
            Source::Rule(set) => Box::new(times(&set)),
        }
    }
}

/// Local times of a rule set, on a calendar without a zone.
fn times(set: &RRuleSet) -> impl Iterator<Item = DateTime> + Send + use<> {
    set.into_iter().map_while(|at| civil_of(at.timestamp()))
}

fn civil_of(floating_second: i64) -> Option<DateTime> {
    let at = Timestamp::from_second(floating_second).ok()?;
    Some(TimeZone::UTC.to_datetime(at))
}

/// The rule on a calendar without a zone; its `UNTIL`, where it is an instant, as the local time in the zone.
fn floating(start: DateTime, rule: &str, zone: &TimeZone) -> Option<RRuleSet> {
    let mut parts = Vec::new();
    for part in rule.split(';') {
        let (name, value) = part.split_once('=')?;
        if name == "UNTIL" {
            parts.push(format!("UNTIL={}", until(value, zone)?));
        } else {
            parts.push(format!("{name}={value}"));
        }
    }
    let text = format!("DTSTART:{}\nRRULE:{}", start.strftime("%Y%m%dT%H%M%SZ"), parts.join(";"));
    // With the crate's own limit, a rule that never matches ends instead of walking for ever.
    text.parse::<RRuleSet>().ok().map(RRuleSet::limit)
}

fn until(value: &str, zone: &TimeZone) -> Option<String> {
    let civil = match value.strip_suffix('Z') {
        Some(utc) => {
            let at = DateTime::strptime("%Y%m%dT%H%M%S", utc).ok()?.to_zoned(TimeZone::UTC).ok()?;
            zone.to_datetime(at.timestamp())
        }
        None if value.len() == 8 => Date::strptime("%Y%m%d", value).ok()?.at(23, 59, 59, 0),
        None => DateTime::strptime("%Y%m%dT%H%M%S", value).ok()?,
    };
    Some(civil.strftime("%Y%m%dT%H%M%SZ").to_string())
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

struct Raw<'s> {
    schedule: &'s Schedule,
    zone: TimeZone,
    source: Box<dyn Iterator<Item = DateTime> + Send>,
    /// Local times in a gap move past later ones: they wait here until nothing can come before them.
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
            if self.schedule.skip_dates.binary_search(&civil.date()).is_ok() {
                continue;
            }
            let found = self.zone.to_ambiguous_timestamp(civil);
            let shift = match found.offset() {
                AmbiguousOffset::Unambiguous { .. } => None,
                AmbiguousOffset::Gap { .. } => Some(Shift::Gap),
                AmbiguousOffset::Fold { .. } => Some(Shift::Fold),
            };
            let (Ok(floor), Ok(start)) = (found.earlier(), found.compatible()) else {
                // Beyond the calendar.
                self.over = true;
                continue;
            };
            self.floor = Some(floor);
            let stop = stop(self.schedule, &self.zone, civil, start);
            self.held.push(Reverse(Occurrence { start, stop, civil, shift }));
        }
    }
}

/// When an occurrence of the local time `civil` that starts at `start` ends.
fn stop(schedule: &Schedule, zone: &TimeZone, civil: DateTime, start: Timestamp) -> Option<Timestamp> {
    let local = match schedule.until {
        Until::Open => return None,
        Until::Duration(seconds) => return start.checked_add(i64::try_from(seconds).ok()?.seconds()).ok(),
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
