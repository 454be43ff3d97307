//! What is planned, for calendar programs: iCalendar (RFC 5545) with rules as rules and zones as zones.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::time::Duration;

use icalendar::{Calendar, Component as _, Event, Property};
use jiff::civil::{DateTime, Time};
use jiff::tz::{Offset, TimeZone};
use jiff::{Timestamp, ToSpan as _};

use super::recurrence::{Occurrence, occurrences, until};
use super::rule::Rule;
use super::{Becomes, Schedule, Until};
use crate::error::Result;
use crate::library::Library;
use crate::live::LiveStream;
use crate::store::rows::{Reader, Row};

/// Events of one calendar.
const MOST: usize = 5000;
/// What was over so long before is left out.
const PAST: Duration = Duration::from_secs(90 * 24 * 3600);
/// Clock changes are told so many years ahead.
const YEARS: i64 = 10;

fn local(at: DateTime) -> String {
    at.strftime("%Y%m%dT%H%M%S").to_string()
}

fn utc(at: Timestamp) -> String {
    at.strftime("%Y%m%dT%H%M%SZ").to_string()
}

/// A local time with its zone.
fn zoned(name: &str, at: DateTime, zone: &str) -> Property {
    Property::new(name, local(at)).add_parameter("TZID", zone).done()
}

/// A text whose lines end in one way: the crate escapes `\\n` alone, and programs take others for ends of lines too,
/// after which a text could go on as a property of its own.
fn lines(text: &str) -> String {
    let is_end = |letter: char| matches!(letter, '\r' | '\u{b}' | '\u{c}' | '\u{85}' | '\u{2028}' | '\u{2029}');
    let plain = text.replace("\r\n", "\n").replace(is_end, "\n");
    plain.replace(|letter: char| letter.is_control() && !matches!(letter, '\n' | '\t'), "")
}

/// The schedule as its rule alone says it.
fn bare(schedule: &Schedule) -> Schedule {
    Schedule { skip_dates: Vec::new(), exceptions: Vec::new(), paused: false, ..schedule.clone() }
}

/// Before every occurrence of a schedule.
fn beginning(schedule: &Schedule, zone: &TimeZone) -> Timestamp {
    let first = zone.to_ambiguous_timestamp(schedule.starts_at).compatible().unwrap_or(Timestamp::UNIX_EPOCH);
    first - Duration::from_secs(24 * 3600)
}

struct Writer<'a> {
    zone: TimeZone,
    row: &'a Row<Schedule>,
    title: &'a str,
    events: Vec<Event>,
}

impl Writer<'_> {
    fn event(&self, time: Option<Time>) -> Event {
        let (schedule, header) = (&self.row.value, &self.row.header);
        let part = time.map(|time| time.strftime("-%H%M%S").to_string()).unwrap_or_default();
        let mut event = Event::with_uid(&format!("{}{part}@jadwalstream", self.row.id()));
        event.append_property(Property::new("DTSTAMP", utc(header.updated_at)));
        event.append_property(Property::new("LAST-MODIFIED", utc(header.updated_at)));
        event.summary(&lines(self.title));
        if let Some(description) = &schedule.broadcast.description {
            event.description(&lines(description));
        }
        event
    }

    /// When an occurrence begins and ends.
    fn times(&self, event: &mut Event, civil: DateTime, duration: Option<u64>, one: Option<&Occurrence>) {
        let schedule = &self.row.value;
        event.append_property(zoned("DTSTART", civil, &schedule.time_zone));
        let seconds = duration.or(match schedule.until {
            Until::Duration(seconds) => Some(seconds),
            _ => None,
        });
        let end = one.and_then(|one| one.stop).map(|stop| self.zone.to_datetime(stop));
        if let Some(seconds) = seconds {
            event.append_property(Property::new("DURATION", format!("PT{seconds}S")));
        } else if let Some(end) = end.filter(|end| *end > civil) {
            event.append_property(zoned("DTEND", end, &schedule.time_zone));
        }
    }

    /// The events of one time of day of the schedule; all of them where it has no further times.
    fn write(&mut self, time: Option<Time>) {
        let schedule = &self.row.value;
        let bare = bare(schedule);
        let all = beginning(schedule, &self.zone);
        let is_own = |of: DateTime| time.is_none_or(|time| of.time() == time);
        let Some(first) = occurrences(&bare, all).take(2000).find(|one| is_own(one.of)) else { return };
        let mut event = self.event(time);
        self.times(&mut event, first.of, None, Some(&first));
        if let Some(rule) = &schedule.rule {
            event.append_property(Property::new("RRULE", self.rule(rule, &bare, all)));
        }
        for date in &schedule.skip_dates {
            // From before the day in any zone, as far as after it.
            let from = date.to_zoned(self.zone.clone()).map_or(all, |at| at.timestamp()) - Duration::from_secs(1);
            let left_out = occurrences(&bare, from).take_while(|one| one.of.date() <= *date);
            for one in left_out.filter(|one| one.of.date() == *date && is_own(one.of)).take(100) {
                event.append_multi_property(zoned("EXDATE", one.of, &schedule.time_zone));
            }
        }
        let mut changed = Vec::new();
        for exception in schedule.exceptions.iter().filter(|exception| is_own(exception.of)) {
            match exception.becomes {
                Becomes::Cancelled => {
                    event.append_multi_property(zoned("EXDATE", exception.of, &schedule.time_zone));
                }
                Becomes::Changed { starts_at, duration } => {
                    let mut other = self.event(time);
                    other.append_property(zoned("RECURRENCE-ID", exception.of, &schedule.time_zone));
                    let one = occurrences(schedule, all).take(2000).find(|one| one.of == exception.of);
                    self.times(&mut other, starts_at, duration, one.as_ref());
                    changed.push(other);
                }
            }
        }
        self.events.push(event);
        self.events.append(&mut changed);
    }

    /// The rule as calendars want it: its end as an instant, and not counted over several times of day.
    fn rule(&self, text: &str, bare: &Schedule, all: Timestamp) -> String {
        let rule = Rule::read(text);
        let instant = |at: DateTime| self.zone.to_ambiguous_timestamp(at).compatible().ok();
        let last = match (rule.get("UNTIL"), rule.count()) {
            (Some(value), _) => until(value, &self.zone).and_then(instant),
            (None, Some(count)) if !bare.times.is_empty() => {
                occurrences(bare, all).take(count).last().and_then(|one| instant(one.of))
            }
            _ => None,
        };
        match last {
            Some(last) => rule.without(&["UNTIL", "COUNT"]).with("UNTIL", utc(last)).to_string(),
            None => rule.to_string(),
        }
    }
}

fn offset(offset: Offset) -> String {
    let seconds = offset.seconds();
    let (sign, seconds) = (if seconds < 0 { '-' } else { '+' }, seconds.abs());
    let rest = if seconds % 60 == 0 { String::new() } else { format!("{:02}", seconds % 60) };
    format!("{sign}{:02}{:02}{rest}", seconds / 3600, seconds / 60 % 60)
}

/// A zone with its clock changes from `from` on. The crate that writes the events has no component for it.
fn zone_text(name: &str, zone: &TimeZone, from: Timestamp, to: Timestamp) -> String {
    let part = |kind: &str, start: DateTime, before: Offset, after: Offset, short: &str| {
        format!(
            "BEGIN:{kind}\r\nDTSTART:{}\r\nTZOFFSETFROM:{}\r\nTZOFFSETTO:{}\r\nTZNAME:{short}\r\nEND:{kind}\r\n",
            local(start),
            offset(before),
            offset(after)
        )
    };
    let info = zone.to_offset_info(from);
    let mut before = info.offset();
    let mut text = format!("BEGIN:VTIMEZONE\r\nTZID:{name}\r\n");
    text += &part(
        "STANDARD",
        Timestamp::UNIX_EPOCH.to_zoned(TimeZone::UTC).datetime(),
        before,
        before,
        info.abbreviation(),
    );
    for change in zone.following(from).take_while(|change| change.timestamp() < to).take(100) {
        let kind = if change.dst().is_dst() { "DAYLIGHT" } else { "STANDARD" };
        text += &part(kind, before.to_datetime(change.timestamp()), before, change.offset(), change.abbreviation());
        before = change.offset();
    }
    text + "END:VTIMEZONE\r\n"
}

fn write(rows: &Reader<'_>, name: &str, now: Timestamp) -> Result<String> {
    let mut schedules = Vec::new();
    rows.each::<Schedule>(true, |row| {
        schedules.push(row);
        ControlFlow::Continue(())
    })?;
    let mut calendar = Calendar::new();
    calendar.name(name);
    let mut zones: BTreeMap<String, (TimeZone, Timestamp)> = BTreeMap::new();
    let mut events = Vec::new();
    for row in &schedules {
        let schedule = &row.value;
        let Some(zone) = TimeZone::get(&schedule.time_zone).ok().filter(|_| !schedule.paused) else { continue };
        if occurrences(schedule, now - PAST).next().is_none() {
            continue;
        }
        let Some(stream) = rows.get::<LiveStream>(schedule.stream_id)? else { continue };
        let from = beginning(schedule, &zone);
        let known = zones.entry(schedule.time_zone.clone()).or_insert_with(|| (zone.clone(), from));
        known.1 = known.1.min(from);
        let mut writer = Writer { zone, row, title: &stream.value.title, events: Vec::new() };
        if schedule.times.is_empty() {
            writer.write(None);
        } else {
            let times = schedule.times.iter().copied().chain([schedule.starts_at.time()]);
            times.for_each(|time| writer.write(Some(time)));
        }
        if events.len() + writer.events.len() > MOST {
            break;
        }
        events.extend(writer.events.into_iter().map(|event| (from, event)));
    }
    // In the order in which they begin.
    events.sort_by_key(|(from, _)| *from);
    events.into_iter().for_each(|(_, event)| {
        calendar.push(event);
    });
    let to = now.to_zoned(TimeZone::UTC).checked_add(YEARS.years()).map_or(Timestamp::MAX, |at| at.timestamp());
    let zones: String = zones.iter().map(|(name, (zone, from))| zone_text(name, zone, *from, to)).collect();
    let text = calendar.to_string();
    // Zones stand before the events that name them.
    let place = text.find("BEGIN:VEVENT").or_else(|| text.find("END:VCALENDAR")).unwrap_or(text.len());
    Ok(format!("{}{zones}{}", &text[..place], &text[place..]))
}

impl Library {
    /// What is planned as an iCalendar file. The same while nothing changes.
    pub async fn calendar_feed(&self) -> Result<String> {
        // Looking through a calendar takes time: few at once.
        let place = self.foundation().looks().place(self.tenant()).await?;
        let name = format!("Jadwalstream · {}", self.tenant());
        let now = self.foundation().clock().now();
        let today = now.to_zoned(TimeZone::UTC).start_of_day().map_or(now, |day| day.timestamp());
        self.rows()
            .read(move |rows| {
                let _place = place;
                write(rows, &name, today)
            })
            .await
    }
}
