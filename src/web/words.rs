//! What streams and schedules do, told in one sentence.

use jiff::civil::{Time, Weekday};
use jiff::{Timestamp, civil};
use serde_json::{Value, json};

use super::Page;
use super::format;
use crate::error::{Error, Result};
use crate::host::Level;
use crate::library::Library;
use crate::live::{State, StateName, TargetState};
use crate::schedule::recurrence::Shift;
use crate::schedule::rule::{Last, On, Repeat, WORKDAYS};
use crate::schedule::{Schedule, StopTime, Until};
use crate::text::{Locale, Message};

/// Seconds from one time to a later one.
pub(super) fn seconds_between(from: Timestamp, to: Timestamp) -> f64 {
    to.duration_since(from).as_secs_f64().max(0.0)
}

/// `Sending, 2.5 Mbit/s, up 3 d 4 h, 1 restart`.
pub(super) fn state(page: &Page, state: &State, now: Timestamp) -> String {
    let sending = |id| {
        // The first figure comes with the second report.
        let id = if state.bitrate == 0 { "words-measuring" } else { id };
        let up = state.started_at.or(state.since).map_or(0.0, |since| seconds_between(since, now));
        Message::new(id)
            .with("bitrate", format::bitrate(page.locale(), state.bitrate as f64))
            .with("uptime", format::duration(page.locale(), up))
            .with("restarts", state.restarts)
    };
    let dated = |id, at: Option<Timestamp>| match at {
        Some(at) => Message::new(id).with("when", page.moment(at).text),
        None => Message::new("words-idle"),
    };
    page.text(&match state.name {
        StateName::Idle => Message::new("words-idle"),
        StateName::Scheduled => dated("words-scheduled", state.next_at),
        StateName::Starting => Message::new("words-starting"),
        StateName::Sending => sending("words-sending"),
        StateName::Live => sending("words-live"),
        StateName::Retrying => Message::new("words-retrying"),
        StateName::Stopping => Message::new("words-stopping"),
        StateName::Ended => dated("words-ended", state.since),
        StateName::Failed => dated("words-failed", state.since),
    })
}

/// What one target of a stream on air does; why, where something is wrong.
pub(super) fn target(page: &Page, target: &TargetState, now: Timestamp) -> String {
    if let Some(reason) = &target.reason {
        return page.text(reason);
    }
    let sending = matches!(target.name, StateName::Sending | StateName::Live);
    page.text(&match target.name {
        _ if sending && target.bitrate == 0 => Message::new("words-measuring"),
        _ if sending => Message::new("words-target-sending")
            .with("bitrate", format::bitrate(page.locale(), target.bitrate as f64))
            .with("uptime", format::duration(page.locale(), target.since.map_or(0.0, |at| seconds_between(at, now))))
            .with("restarts", target.restarts),
        StateName::Starting => Message::new("words-starting"),
        StateName::Retrying => Message::new("words-retrying"),
        StateName::Stopping => Message::new("words-stopping"),
        _ => Message::new("words-idle"),
    })
}

/// What every event tells the frame around the page: streams on air, storage.
pub(super) async fn frame_event(page: &Page, library: &Library) -> Result<Value> {
    let gauge = page.gauge(library).await?;
    let size = |bytes: u64| format::bytes(page.locale(), bytes as f64);
    let storage = Message::new("storage-used").with("used", size(gauge.used)).with("limit", size(gauge.limit));
    let count = library.foundation().board().on_air_count(library.scope());
    let on_air = Message::new("on-air-count").with("count", count.on_air).with("retrying", count.retrying);
    Ok(json!({
        "on_air": count.on_air,
        "retrying": count.retrying,
        "text": { "on-air-count": page.text(&on_air), "storage": page.text(&storage) },
        "value": { "storage": gauge.percent },
        "level": { "storage": Level::of(gauge.percent) },
    }))
}

/// Who did something, as people say it: background work has no name that a person knows.
pub(super) fn actor(page: &Page, name: &str) -> String {
    match name.strip_prefix("system:") {
        Some("samples") => page.text(&Message::new("actor-sample")),
        Some(_) => page.text(&Message::new("actor-server")),
        None => name.to_owned(),
    }
}

/// `in 2 h 10 min`; far ahead only days count.
pub(super) fn within(page: &Page, at: Timestamp, now: Timestamp) -> String {
    const DAY: f64 = 86_400.0;
    if at < now {
        return page.text(&Message::new("schedule-due"));
    }
    let seconds = seconds_between(now, at).max(1.0);
    let seconds = if seconds > 3.0 * DAY { (seconds / DAY).floor() * DAY } else { seconds };
    page.text(&Message::new("schedule-within").with("time", format::duration(page.locale(), seconds)))
}

/// `19:00`, as people of the language write it.
fn time_of_day(locale: Locale, time: Time) -> String {
    let sign = if locale == Locale::Id { '.' } else { ':' };
    match time.second() {
        0 => format!("{:02}{sign}{:02}", time.hour(), time.minute()),
        second => format!("{:02}{sign}{:02}{sign}{second:02}", time.hour(), time.minute()),
    }
}

/// What a weekday is called.
pub(super) fn day(day: Weekday) -> Message {
    Message::new(match day {
        Weekday::Monday => "day-monday",
        Weekday::Tuesday => "day-tuesday",
        Weekday::Wednesday => "day-wednesday",
        Weekday::Thursday => "day-thursday",
        Weekday::Friday => "day-friday",
        Weekday::Saturday => "day-saturday",
        Weekday::Sunday => "day-sunday",
    })
}

/// `Monday, Thursday`.
fn days(page: &Page, days: &[Weekday]) -> String {
    let days: Vec<String> = days.iter().map(|each| page.text(&day(*each))).collect();
    days.join(", ")
}

/// `second`, of the weekdays of a month.
fn nth(number: i8) -> Message {
    Message::new(match number {
        1 => "nth-1",
        2 => "nth-2",
        3 => "nth-3",
        4 => "nth-4",
        _ => "nth-last",
    })
}

/// How often, at times of day that are told already.
fn repeat(page: &Page, repeat: &Repeat, start: civil::DateTime, time: &str) -> Message {
    let words = |id| Message::new(id).with("every", u64::from(repeat.every)).with("time", time);
    match &repeat.on {
        On::Days => words("schedule-words-daily"),
        On::Weekdays(named) if named.as_slice() == WORKDAYS && repeat.every == 1 => words("schedule-words-weekdays"),
        On::Weekdays(named) if named.is_empty() => words("schedule-words-weekly").with("day", day(start.weekday())),
        On::Weekdays(named) => words("schedule-words-weekly").with("day", days(page, named)),
        On::MonthDay(-1) => words("schedule-words-month-last"),
        On::MonthDay(day) => words("schedule-words-month-day").with("day", i64::from(*day)),
        On::MonthWeekday(number, each) => {
            words("schedule-words-month-weekday").with("nth", nth(*number)).with("day", day(*each))
        }
        On::Year => words("schedule-words-yearly").with("date", format::date(page.locale(), start.date())),
    }
}

/// `Daily at 19:00, for 2 h`: times of day are of the schedule's own zone.
pub(super) fn schedule(page: &Page, schedule: &Schedule) -> String {
    let locale = page.locale();
    let at = schedule.starts_at;
    let mut times = schedule.times.clone();
    times.push(at.time());
    times.sort_unstable();
    let times: Vec<String> = times.into_iter().map(|time| time_of_day(locale, time)).collect();
    let time = times.join(", ");
    let said = schedule.rule.as_deref().map(|rule| Repeat::of(rule, at));
    let words = match &said {
        None if schedule.times.is_empty() => {
            let zone = jiff::tz::TimeZone::get(&schedule.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
            let instant = zone.to_ambiguous_timestamp(at).compatible().ok();
            let when = instant.map_or_else(|| at.to_string(), |at| page.moment(at).text);
            Message::new("schedule-words-once").with("when", when)
        }
        None => {
            let when = format!("{}, {time}", format::date(locale, at.date()));
            Message::new("schedule-words-once").with("when", when)
        }
        Some(None) => Message::new("schedule-words-custom").with("time", time),
        Some(Some(said)) => repeat(page, said, at, &time),
    };
    let words = match schedule.until {
        Until::Open => words,
        Until::Duration(seconds) => Message::new("schedule-words-for")
            .with("words", words)
            .with("length", format::duration(locale, seconds as f64)),
        Until::Stop(stop) => {
            let time = match stop {
                StopTime::Exact(at) => at.time(),
                StopTime::Daily(time) => time,
            };
            Message::new("schedule-words-to").with("words", words).with("time", time_of_day(locale, time))
        }
    };
    page.text(&match said.flatten().map(|said| said.last) {
        Some(Last::Day(day)) => {
            Message::new("schedule-words-last").with("words", words).with("date", format::date(locale, day))
        }
        Some(Last::After(count)) => {
            Message::new("schedule-words-count").with("words", words).with("count", u64::from(count))
        }
        Some(Last::Never) | None => words,
    })
}

/// A local time of a zone: `4 Nov 2025, 19:00`, with the zone where it is not the reader's.
pub(super) fn local(page: &Page, at: civil::DateTime, zone: &str) -> String {
    let text = format!("{}, {}", format::date(page.locale(), at.date()), time_of_day(page.locale(), at.time()));
    if zone == page.zone_name() { text } else { format!("{text} ({zone})") }
}

/// `19:00–21:00`; the day of the end is told where it is another one.
pub(super) fn hours(page: &Page, from: civil::DateTime, to: Option<civil::DateTime>) -> String {
    let minute = |at: civil::DateTime| at.with().second(0).build().unwrap_or(at).time();
    let locale = page.locale();
    let start = time_of_day(locale, minute(from));
    match to {
        None => start,
        Some(to) if to.date() == from.date() => format!("{start}–{}", time_of_day(locale, minute(to))),
        Some(to) => format!("{start} – {}, {}", format::date(locale, to.date()), time_of_day(locale, minute(to))),
    }
}

/// A local time of one zone as the local time of another.
///
/// # Errors
/// Field `time_zone` for a zone that is not known, `starts_at` for a time beyond the calendar.
pub(super) fn in_zone(at: civil::DateTime, zone: &str, other: &str) -> Result<civil::DateTime> {
    if zone == other {
        return Ok(at);
    }
    let find = |name: &str| {
        let found = crate::clock::zone(name);
        found.ok_or_else(|| Error::field("time_zone", Message::new("schedule-zone-unknown")))
    };
    let instant = find(zone)?.to_ambiguous_timestamp(at).compatible();
    let instant = instant.map_err(|_| Error::field("starts_at", Message::new("schedule-start-far")))?;
    Ok(find(other)?.to_datetime(instant))
}

/// What a change of the clocks does to an occurrence.
pub(super) fn shift(page: &Page, shift: Shift) -> String {
    page.text(&Message::new(match shift {
        Shift::Gap => "schedule-shift-gap",
        Shift::Fold => "schedule-shift-fold",
    }))
}
