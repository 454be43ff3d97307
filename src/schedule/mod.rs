//! When streams go on air: a local time in a zone, maybe a rule, and a length or a stop time.
//!
//! Occurrences are computed from the row ([`recurrence`], pure) and never stored; what has been dealt with is a
//! watermark and one key an occurrence. [`planner`] turns what is due into runs, [`agenda`] keeps the due index.

pub mod agenda;
mod calls;
mod due;
pub mod planner;
pub mod recurrence;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use calls::coming_of_stream;
pub use calls::{Preview, PreviewItem, ScheduleFilter, ScheduleQuery, ScheduleSort, ScheduleView};
pub(crate) use calls::{delete_of_stream, next_of_stream};
pub use recurrence::{Occurrence, Shift};

use crate::error::{Error, FieldError, Result};
use crate::store::rows::{Header, Index, Record};
use crate::text::Message;

/// Grace where none is given: a missed occurrence still starts this late, in seconds.
pub const GRACE: u32 = 900;
/// Longest grace: a day.
const MOST_GRACE: u32 = 24 * 3600;
/// Longest stretch on air: a year, in seconds.
const MOST_DURATION: u64 = 366 * 24 * 3600;
/// Skipped dates of one schedule.
const MOST_SKIPS: usize = 1000;

/// When a stream goes on air.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Schedule {
    /// What goes on air.
    pub stream_id: Uuid,
    /// The first local time, to the second.
    pub starts_at: DateTime,
    /// IANA zone of that time.
    pub time_zone: String,
    /// RFC 5545 rule without the name of the property; `None` for once.
    pub rule: Option<String>,
    /// Local dates that are left out.
    pub skip_dates: Vec<Date>,
    /// When it ends.
    pub until: Until,
    /// How late an occurrence may still start, in seconds.
    pub grace: u32,
    /// Nothing starts while it is paused; what falls into that time is left out.
    pub paused: bool,
}

impl Record for Schedule {
    const KIND: &'static str = "schedule";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        vec![Index { name: "stream", key: self.stream_id.as_bytes().to_vec(), value: Vec::new() }]
    }
}

/// When an occurrence ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Until {
    /// When somebody stops it, or the playlist is through.
    Open,
    /// After so many seconds.
    Duration(u64),
    /// At a local time: a time of day means the next such time after the start, over midnight if need be; a date and
    /// time is that of the first occurrence, and later ones end as many days after their start.
    Stop(StopTime),
}

/// A local time to end at.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(untagged)]
pub enum StopTime {
    /// With its date.
    Exact(DateTime),
    /// Of the day.
    Daily(Time),
}

impl StopTime {
    /// Reads `21:00`, `21:00:30` or `2025-11-04T21:00`.
    ///
    /// # Errors
    /// Field `stop_at`.
    pub fn parse(text: &str) -> Result<StopTime> {
        let text = text.trim();
        let read = if text.contains(['T', ' ', 't']) {
            text.parse().ok().map(StopTime::Exact)
        } else {
            text.parse().ok().map(StopTime::Daily)
        };
        // A whole date alone would be read as midnight.
        read.filter(|_| text.contains(':')).ok_or_else(|| Error::field("stop_at", Message::new("schedule-stop-form")))
    }
}

impl std::fmt::Display for StopTime {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            StopTime::Exact(at) => at.fmt(formatter),
            StopTime::Daily(at) => at.fmt(formatter),
        }
    }
}

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
    pub skip_dates: Option<Vec<Date>>,
    /// `Some(None)` takes the length away; a new one replaces a stop time.
    pub duration: Option<Option<u64>>,
    /// `Some(None)` takes the stop time away; a new one replaces a length.
    pub stop_at: Option<Option<StopTime>>,
    /// See [`ScheduleInput`].
    pub grace: Option<u32>,
    /// See [`ScheduleInput`].
    pub paused: Option<bool>,
}

impl ScheduleChange {
    /// The old schedule with this change, as if it had been typed anew.
    fn over(self, old: &Schedule) -> ScheduleInput {
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
    /// The schedule that this means. Whether the stream exists is looked up by the caller.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that makes no sense: an unknown zone, a rule that cannot be read, is finer
    /// than daily, repeats within a minute or never matches, an end before the start.
    pub fn check(&self) -> Result<Schedule> {
        let mut errors = Vec::new();
        let mut complain = |field: &str, message: Message| errors.push(FieldError { field: field.into(), message });
        let zone = self.time_zone.trim();
        if jiff::tz::TimeZone::get(zone).is_err() || zone.is_empty() {
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
        let rule = self.rule.as_deref().map(str::trim).filter(|rule| !rule.is_empty());
        let rule = match rule.map(recurrence::normal).transpose() {
            Ok(rule) => rule,
            Err(message) => {
                complain("rule", message);
                None
            }
        };
        let mut skip_dates = self.skip_dates.clone();
        skip_dates.sort_unstable();
        skip_dates.dedup();
        let starts_at = self.starts_at.with().subsec_nanosecond(0).build().unwrap_or(self.starts_at);
        let schedule = Schedule {
            stream_id: self.stream_id,
            starts_at,
            time_zone: zone.to_owned(),
            rule,
            skip_dates,
            until,
            grace,
            paused: self.paused,
        };
        if errors.is_empty()
            && schedule.rule.is_some()
            && let Err((field, message)) = recurrence::sensible(&schedule)
        {
            errors.push(FieldError { field: field.into(), message });
        }
        if errors.is_empty() { Ok(schedule) } else { Err(Error::Invalid(errors)) }
    }
}

/// What has been dealt with of a schedule: everything up to an instant. Kept beside the row, so that an occurrence is
/// no change of the schedule.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Passed {
    /// Occurrences up to and with this instant are started, missed or left out.
    pub(crate) through: Timestamp,
    /// The run of the newest one.
    pub(crate) last_run: Option<Uuid>,
}

impl Passed {
    pub(crate) fn key(schedule: Uuid) -> String {
        format!("passed/{schedule}")
    }
}

/// The key that makes the run of an occurrence the only one.
pub(crate) fn occurrence_key(schedule: Uuid, at: Timestamp) -> String {
    format!("{OCCURRENCES}{schedule}/{}", at.as_second())
}

const OCCURRENCES: &str = "occurrence/";
