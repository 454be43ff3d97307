//! What is typed of a schedule, and the schedule that it means.

use jiff::civil::{Date, DateTime, Time};
use uuid::Uuid;

use super::rule::Rule;
use super::{
    Broadcast, GRACE, MOST_DURATION, MOST_GRACE, MOST_SKIPS, MOST_TIMES, Schedule, StopTime, Until, recurrence, rule,
};
use crate::error::{Error, FieldError, Result};
use crate::text::Message;

/// A schedule as it is typed; also what a preview is asked for.
#[derive(Debug, Clone)]
pub struct ScheduleInput {
    /// What goes on air.
    pub stream_id: Uuid,
    /// The first local time.
    pub starts_at: DateTime,
    /// IANA zone.
    pub time_zone: String,
    /// RFC 5545 rule.
    pub rule: Option<String>,
    /// Further local times of each day.
    pub times: Vec<Time>,
    /// Local dates to leave out.
    pub skip_dates: Vec<Date>,
    /// Length in seconds; not together with `stop_at`.
    pub duration: Option<u64>,
    /// Local time to end at.
    pub stop_at: Option<StopTime>,
    /// [`GRACE`] where absent.
    pub grace: Option<u32>,
    /// Start nothing yet.
    pub paused: bool,
}

/// What is to be changed of a schedule; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct ScheduleChange {
    /// See [`ScheduleInput`].
    pub stream_id: Option<Uuid>,
    /// See [`ScheduleInput`].
    pub starts_at: Option<DateTime>,
    /// See [`ScheduleInput`].
    pub time_zone: Option<String>,
    /// `Some(None)`: once.
    pub rule: Option<Option<String>>,
    /// See [`ScheduleInput`].
    pub times: Option<Vec<Time>>,
    /// See [`ScheduleInput`].
    pub skip_dates: Option<Vec<Date>>,
    /// `Some(None)` takes the length away; a new one replaces a stop time.
    pub duration: Option<Option<u64>>,
    /// `Some(None)` takes the stop time away; a new one replaces a length.
    pub stop_at: Option<Option<StopTime>>,
    /// See [`ScheduleInput`].
    pub grace: Option<u32>,
    /// See [`ScheduleInput`].
    pub paused: Option<bool>,
    /// What its broadcasts are told.
    pub broadcast: Option<Broadcast>,
}

impl ScheduleChange {
    /// The old schedule with this change, as if it had been typed anew.
    pub(super) fn over(self, old: &Schedule) -> ScheduleInput {
        let (old_duration, old_stop) = match old.until {
            Until::Open => (None, None),
            Until::Duration(seconds) => (Some(seconds), None),
            Until::Stop(at) => (None, Some(at)),
        };
        let duration = self.duration.unwrap_or(old_duration.filter(|_| !matches!(self.stop_at, Some(Some(_)))));
        let stop_at = self.stop_at.unwrap_or(old_stop.filter(|_| !matches!(self.duration, Some(Some(_)))));
        ScheduleInput {
            stream_id: self.stream_id.unwrap_or(old.stream_id),
            starts_at: self.starts_at.unwrap_or(old.starts_at),
            time_zone: self.time_zone.unwrap_or_else(|| old.time_zone.clone()),
            rule: self.rule.unwrap_or_else(|| old.rule.clone()),
            times: self.times.unwrap_or_else(|| old.times.clone()),
            skip_dates: self.skip_dates.unwrap_or_else(|| old.skip_dates.clone()),
            duration,
            stop_at,
            grace: Some(self.grace.unwrap_or(old.grace)),
            paused: self.paused.unwrap_or(old.paused),
        }
    }
}

impl From<&Schedule> for ScheduleInput {
    fn from(schedule: &Schedule) -> ScheduleInput {
        ScheduleChange::default().over(schedule)
    }
}

impl ScheduleInput {
    /// The schedule that this means, without exceptions and texts of the broadcast. Whether the stream exists is looked up by the caller.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that makes no sense: an unknown zone, a rule that cannot be read, is finer
    /// than daily, repeats within a minute or never matches, an end before the start.
    pub fn check(&self) -> Result<Schedule> {
        let mut errors = Vec::new();
        let mut complain = |field: &str, message: Message| errors.push(FieldError { field: field.into(), message });
        let zone = self.time_zone.trim();
        if crate::clock::zone(zone).is_none() {
            complain("time_zone", Message::new("schedule-zone-unknown"));
        }
        let years = 1970..=2200;
        if !years.contains(&i32::from(self.starts_at.year())) {
            complain("starts_at", Message::new("schedule-start-far"));
        }
        let until = match (self.duration, self.stop_at) {
            (Some(_), Some(_)) => {
                complain("stop_at", Message::new("schedule-two-ends"));
                Until::Open
            }
            (Some(seconds), None) => {
                if !(1..=MOST_DURATION).contains(&seconds) {
                    complain("duration", Message::new("schedule-duration-range"));
                }
                Until::Duration(seconds)
            }
            (None, Some(stop)) => {
                if let StopTime::Exact(at) = stop {
                    let days = (at.date() - self.starts_at.date()).get_days();
                    if at <= self.starts_at {
                        complain("stop_at", Message::new("schedule-stop-before"));
                    } else if days > 366 || i32::from(at.year()) > 2201 {
                        complain("stop_at", Message::new("schedule-duration-range"));
                    }
                }
                Until::Stop(stop)
            }
            (None, None) => Until::Open,
        };
        let grace = self.grace.unwrap_or(GRACE);
        if grace > MOST_GRACE {
            complain("grace", Message::new("schedule-grace-range"));
        }
        if self.skip_dates.len() > MOST_SKIPS {
            complain("skip_dates", Message::new("schedule-skips-many").with("most", MOST_SKIPS));
        }
        let typed = self.rule.as_deref().map(str::trim).filter(|rule| !rule.is_empty());
        let rule = match typed.map(rule::normal).transpose() {
            Ok(rule) => rule,
            Err(message) => {
                complain("rule", message);
                None
            }
        };
        let mut skip_dates = self.skip_dates.clone();
        skip_dates.sort_unstable();
        skip_dates.dedup();
        let whole = |at: DateTime| at.with().subsec_nanosecond(0).build().unwrap_or(at);
        let starts_at = whole(self.starts_at);
        let times = self.times.iter().map(|time| whole(starts_at.date().to_datetime(*time)).time());
        let mut times: Vec<Time> = times.filter(|time| *time != starts_at.time()).collect();
        times.sort_unstable();
        times.dedup();
        if times.len() > MOST_TIMES {
            complain("times", Message::new("schedule-times-many").with("most", MOST_TIMES));
        }
        if !times.is_empty() && rule.as_deref().is_some_and(|rule| Rule::read(rule).names_times()) {
            complain("times", Message::new("schedule-times-twice"));
        }
        let schedule = Schedule {
            stream_id: self.stream_id,
            starts_at,
            time_zone: zone.to_owned(),
            rule,
            times,
            skip_dates,
            exceptions: Vec::new(),
            until,
            grace,
            paused: self.paused,
            broadcast: Broadcast::default(),
        };
        if errors.is_empty()
            && (schedule.rule.is_some() || !schedule.times.is_empty())
            && let Err((field, message)) = recurrence::sensible(&schedule)
        {
            errors.push(FieldError { field: field.into(), message });
        }
        if errors.is_empty() { Ok(schedule) } else { Err(Error::Invalid(errors)) }
    }
}
