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
        StateName::Retrying => {
            let attempts = state.targets.iter().map(|target| target.attempts).max().unwrap_or(1);
            Message::new("words-retrying").with("attempt", attempts + 1)
        }
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
        StateName::Retrying => Message::new("words-retrying").with("attempt", target.attempts + 1),
        StateName::Stopping => Message::new("words-stopping"),
        _ => Message::new("words-idle"),
    })
}

/// How many of the reader's streams are on air.
fn on_air_count(page: &Page, library: &Library) -> String {
    let count = library.foundation().board().on_air_count(library.scope());
    page.text(&Message::new("on-air-count").with("count", count))
}

/// What every event tells the frame around the page: streams on air, storage.
pub(super) async fn frame_event(page: &Page, library: &Library) -> Result<Value> {
    let gauge = page.gauge(library).await?;
    let size = |bytes: u64| format::bytes(page.locale(), bytes as f64);
    let storage = Message::new("storage-used").with("used", size(gauge.used)).with("limit", size(gauge.limit));
    Ok(json!({
        "on_air": library.foundation().board().on_air_count(library.scope()),
        "text": { "on-air-count": on_air_count(page, library), "storage": page.text(&storage) },
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

fn day(day: Weekday) -> Message {
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

/// How often a schedule repeats, as far as the form knows it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Repeat {
    /// One time.
    Once,
    /// Every day.
    Daily,
    /// Monday to Friday.
    Weekdays,
    /// On the weekday of the first time.
    Weekly,
    /// A rule made through the API.
    Custom,
}

impl Repeat {
    pub fn code(self) -> &'static str {
        match self {
            Repeat::Once => "once",
            Repeat::Daily => "daily",
            Repeat::Weekdays => "weekdays",
            Repeat::Weekly => "weekly",
            Repeat::Custom => "custom",
        }
    }

    pub fn parse(code: &str) -> Option<Repeat> {
        let all = [Repeat::Once, Repeat::Daily, Repeat::Weekdays, Repeat::Weekly, Repeat::Custom];
        all.into_iter().find(|repeat| repeat.code() == code)
    }

    /// The rule that says so, up to and with a last day; `None` for once, and for a custom rule, which is its own.
    pub fn rule(self, last_day: Option<civil::Date>) -> Option<String> {
        let rule = match self {
            Repeat::Once | Repeat::Custom => return None,
            Repeat::Daily => "FREQ=DAILY",
            Repeat::Weekdays => "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR",
            Repeat::Weekly => "FREQ=WEEKLY",
        };
        Some(match last_day {
            None => rule.to_owned(),
            Some(day) => format!("{rule};UNTIL={}", day.strftime("%Y%m%d")),
        })
    }

    /// What a stored rule is to the form, and its last day.
    pub fn of(schedule: &Schedule) -> (Repeat, Option<civil::Date>) {
        let Some(rule) = &schedule.rule else { return (Repeat::Once, None) };
        let custom = (Repeat::Custom, None);
        let (mut frequency, mut days, mut last) = ("", Vec::new(), None);
        for part in rule.split(';') {
            match part.split_once('=') {
                Some(("FREQ", value)) => frequency = value,
                Some(("INTERVAL", "1")) => {}
                Some(("BYDAY", value)) => days = value.split(',').collect(),
                Some(("UNTIL", value)) if value.len() == 8 => match civil::Date::strptime("%Y%m%d", value) {
                    Ok(day) => last = Some(day),
                    Err(_) => return custom,
                },
                _ => return custom,
            }
        }
        days.sort_unstable();
        let own_day = match schedule.starts_at.weekday() {
            Weekday::Monday => "MO",
            Weekday::Tuesday => "TU",
            Weekday::Wednesday => "WE",
            Weekday::Thursday => "TH",
            Weekday::Friday => "FR",
            Weekday::Saturday => "SA",
            Weekday::Sunday => "SU",
        };
        match (frequency, days.as_slice()) {
            ("DAILY", []) => (Repeat::Daily, last),
            ("WEEKLY", ["FR", "MO", "TH", "TU", "WE"]) => (Repeat::Weekdays, last),
            ("WEEKLY", []) => (Repeat::Weekly, last),
            ("WEEKLY", [day]) if *day == own_day => (Repeat::Weekly, last),
            _ => custom,
        }
    }
}

/// `Daily at 19:00, for 2 h`: times of day are of the schedule's own zone.
pub(super) fn schedule(page: &Page, schedule: &Schedule) -> String {
    let locale = page.locale();
    let at = schedule.starts_at;
    let time = time_of_day(locale, at.time());
    let words = match Repeat::of(schedule).0 {
        Repeat::Once => {
            let zone = jiff::tz::TimeZone::get(&schedule.time_zone).unwrap_or(jiff::tz::TimeZone::UTC);
            let instant = zone.to_ambiguous_timestamp(at).compatible().ok();
            let when = instant.map_or_else(|| at.to_string(), |at| page.moment(at).text);
            Message::new("schedule-words-once").with("when", when)
        }
        Repeat::Daily => Message::new("schedule-words-daily").with("time", time),
        Repeat::Weekdays => Message::new("schedule-words-weekdays").with("time", time),
        Repeat::Weekly => Message::new("schedule-words-weekly").with("day", day(at.weekday())).with("time", time),
        Repeat::Custom => Message::new("schedule-words-custom").with("time", time),
    };
    page.text(&match schedule.until {
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
    })
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
        let found = jiff::tz::TimeZone::get(name).ok().filter(|_| !name.is_empty());
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

#[cfg(test)]
mod tests {
    use super::*;

    fn with(rule: Option<&str>) -> Schedule {
        Schedule {
            stream_id: uuid::Uuid::nil(),
            // A Tuesday.
            starts_at: civil::date(2025, 11, 4).at(19, 0, 0, 0),
            time_zone: "Asia/Jakarta".into(),
            rule: rule.map(str::to_owned),
            times: Vec::new(),
            skip_dates: Vec::new(),
            exceptions: Vec::new(),
            until: Until::Open,
            grace: 0,
            paused: false,
        }
    }

    #[test]
    fn what_the_form_says_comes_back_as_it_was_said() {
        let last = Some(civil::date(2025, 12, 31));
        for repeat in [Repeat::Once, Repeat::Daily, Repeat::Weekdays, Repeat::Weekly] {
            let rule = repeat.rule(None);
            assert_eq!(Repeat::of(&with(rule.as_deref())), (repeat, None));
            if repeat != Repeat::Once {
                assert_eq!(Repeat::of(&with(repeat.rule(last).as_deref())), (repeat, last));
            }
            assert_eq!(Repeat::parse(repeat.code()), Some(repeat));
        }
    }

    #[test]
    fn a_rule_that_the_form_cannot_say_stays_itself() {
        assert_eq!(Repeat::of(&with(Some("FREQ=WEEKLY;BYDAY=TU"))).0, Repeat::Weekly);
        for rule in
            ["FREQ=DAILY;INTERVAL=2", "FREQ=WEEKLY;BYDAY=MO", "FREQ=DAILY;COUNT=3", "FREQ=DAILY;UNTIL=20251231T000000Z"]
        {
            assert_eq!(Repeat::of(&with(Some(rule))), (Repeat::Custom, None), "{rule}");
        }
    }
}
