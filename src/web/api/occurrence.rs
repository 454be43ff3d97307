//! One instant of a schedule, for programs.

use serde::Serialize;
use utoipa::ToSchema;

use super::Moment;
use crate::schedule::{Occurrence, Shift};

/// One instant of a schedule.
#[derive(Serialize, ToSchema)]
#[schema(as = Occurrence)]
pub(super) struct OccurrenceBody {
    at: Moment,
    ends_at: Option<Moment>,
    /// The local time that the rule names: which occurrence. Its address is `/api/v1/schedules/{id}/occurrences/{of}`.
    of: String,
    /// The local time that it is planned for.
    local: String,
    time_zone: String,
    /// `gap`: that local time does not exist on that day, and it happens later. `fold`: it exists twice, and it happens
    /// the first time.
    shift: Option<&'static str>,
    /// It was changed by hand.
    changed: bool,
}

impl OccurrenceBody {
    /// Of a schedule in this zone.
    pub(super) fn new(occurrence: &Occurrence, time_zone: &str) -> OccurrenceBody {
        OccurrenceBody {
            at: occurrence.start.into(),
            ends_at: occurrence.stop.map(Moment::from),
            of: occurrence.of.to_string(),
            local: occurrence.civil.to_string(),
            time_zone: time_zone.to_owned(),
            shift: occurrence.shift.map(Shift::code),
            changed: occurrence.changed,
        }
    }
}
