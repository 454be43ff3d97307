//! When streams go on air: a local time in a zone, maybe a rule, and a length or a stop time.
//!
//! Occurrences are computed from the row ([`recurrence`], pure) and never stored; what has been dealt with is a
//! watermark and one key an occurrence. [`planner`] turns what is due into runs, [`agenda`] keeps the due index.

pub mod agenda;
pub(crate) mod broadcast;
mod calendar;
mod calls;
mod conflicts;
mod due;
mod export;
mod feed;
mod forecast;
pub mod import;
mod input;
mod intended;
mod occurrence;
mod on_air;
pub mod planner;
mod reach;
pub mod recurrence;
mod rounds;
pub mod rule;
pub mod sheet;

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use broadcast::{Broadcast, Latency};
pub use calendar::{Calendar, CalendarEntry, Planned};
pub use calls::coming_of_stream;
pub use calls::{Preview, PreviewItem, ScheduleFilter, ScheduleQuery, ScheduleSort, ScheduleView};
pub(crate) use calls::{delete_of_stream, next_of_stream};
pub use input::{ScheduleChange, ScheduleInput};
pub(crate) use intended::Intended;
pub use occurrence::{OccurrenceChange, OccurrenceView};
pub use reach::Reach;
pub use recurrence::{Occurrence, Shift};

use crate::error::{Error, Result};
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
/// Further times of one day.
const MOST_TIMES: usize = 47;
/// Occurrences of one schedule that are changed by hand and still to come.
const MOST_EXCEPTIONS: usize = 500;

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
    /// Further local times of each day, in order, without that of `starts_at`.
    #[serde(default)]
    pub times: Vec<Time>,
    /// Local dates that are left out, in order.
    pub skip_dates: Vec<Date>,
    /// Occurrences that were changed by hand, by the local time that the rule names for them.
    #[serde(default)]
    pub exceptions: Vec<Exception>,
    /// When it ends.
    pub until: Until,
    /// How late an occurrence may still start, in seconds.
    pub grace: u32,
    /// Nothing starts while it is paused; what falls into that time is left out.
    pub paused: bool,
    /// What the platform is to be told of its broadcasts.
    #[serde(default, skip_serializing_if = "Broadcast::is_empty")]
    pub broadcast: Broadcast,
}

impl Record for Schedule {
    const KIND: &'static str = "schedule";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        vec![Index { name: "stream", key: self.stream_id.as_bytes().to_vec(), value: Vec::new() }]
    }
}

impl Schedule {
    /// What was changed of the occurrence of a local time.
    pub fn exception(&self, of: DateTime) -> Option<&Exception> {
        let place = self.exceptions.binary_search_by_key(&of, |exception| exception.of).ok()?;
        self.exceptions.get(place)
    }

    /// Puts an exception in its place, or takes it away.
    fn set_exception(&mut self, of: DateTime, becomes: Option<Becomes>) {
        self.exceptions.retain(|exception| exception.of != of);
        self.exceptions.extend(becomes.map(|becomes| Exception { of, becomes }));
        self.exceptions.sort_unstable_by_key(|exception| exception.of);
    }
}

/// One occurrence that is not as the rule says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exception {
    /// Which: the local time that the rule names (the `RECURRENCE-ID` of RFC 5545).
    pub of: DateTime,
    /// What it is instead.
    pub becomes: Becomes,
}

/// What becomes of an [`Exception`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Becomes {
    /// It is left out.
    Cancelled,
    /// It is on air at another time, or for another length.
    Changed {
        /// The local time.
        starts_at: DateTime,
        /// Length in seconds; as the schedule says where absent.
        duration: Option<u64>,
    },
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

/// An occurrence whose time has come and for which the box has no room yet; it is tried again within its grace.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    /// When it was to begin.
    pub(crate) occurrence_at: Timestamp,
    /// What there is too little of.
    pub(crate) reason: Message,
}

impl Waiting {
    pub(crate) fn key(schedule: Uuid) -> String {
        format!("waiting/{schedule}")
    }
}

/// The name of an occurrence: what the rule calls it, not when it is. So it stays the same one when it is moved, and
/// when the rules of its zone change under it.
pub(crate) fn occurrence_name(schedule: &Schedule, of: DateTime) -> String {
    format!("{of}[{}]", schedule.time_zone)
}

/// The key that makes the run of an occurrence the only one.
pub(crate) fn occurrence_key(schedule: Uuid, name: &str) -> String {
    format!("occurrence/{schedule}/{name}")
}

/// One occurrence as it is planned now, by the local time that the rule names; `None` where there is none.
pub(crate) fn occurrence_of(schedule: &Schedule, of: DateTime) -> Option<Occurrence> {
    recurrence::one(schedule, of)
}

/// Which one of its schedule an occurrence is, from 1.
pub(crate) fn occurrence_number(schedule: &Schedule, of: DateTime) -> usize {
    recurrence::number_before(schedule, of) + 1
}
