//! What was on air, as a file.

use std::ops::ControlFlow;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::run::{Run, RunOutcome};
use crate::error::Result;
use crate::library::Library;
use crate::store::rows::{Reader, Row};
use crate::tabular::{Field, Format, Tabular};
use crate::text::Locale;

/// The newest so many runs are given out.
const MOST: usize = 50_000;

const HEADS: [&str; 18] = [
    "stream",
    "occurrence_at",
    "started_at",
    "ended_at",
    "time_zone",
    "outcome",
    "reason",
    "restarts",
    "attempts",
    "bytes",
    "started_by",
    "owner",
    "created_by",
    "created_at",
    "updated_at",
    "stream_id",
    "schedule_id",
    "id",
];

fn cells(row: &Row<Run>, locale: Locale, zone: &TimeZone) -> [Field; 18] {
    let (run, header) = (&row.value, &row.header);
    let text = Field::Text;
    let at = |at: Option<Timestamp>| at.map_or(text(String::new()), |at| Field::Instant(at, zone.clone()));
    let id = |id: Option<Uuid>| text(id.map(|id| id.to_string()).unwrap_or_default());
    [
        text(run.stream_title.clone()),
        at(run.occurrence_at),
        at(run.started_at),
        at(run.ended_at),
        text(zone.iana_name().unwrap_or_default().to_owned()),
        text(run.outcome.map_or("running", RunOutcome::code).to_owned()),
        text(run.reason.as_ref().map(|reason| reason.in_locale(locale)).unwrap_or_default()),
        Field::Number(u64::from(run.restarts)),
        Field::Number(u64::from(run.attempts)),
        Field::Number(run.bytes),
        text(run.started_by.clone()),
        text(header.owner.clone()),
        text(header.created_by.clone()),
        at(Some(header.created_at)),
        at(Some(header.updated_at)),
        id(Some(run.stream_id)),
        id(run.schedule_id),
        id(Some(row.id())),
    ]
}

impl Library {
    /// All runs as a file, newest first; reasons in the reader's language, times of a workbook in their zone.
    pub async fn export_runs(&self, format: Format, locale: Locale, zone: TimeZone) -> Result<Vec<u8>> {
        let write = move |rows: &Reader<'_>| {
            let mut table = Tabular::new(format, "history", &HEADS)?;
            let (mut given, mut written) = (0, Ok(()));
            rows.each::<Run>(true, |row| {
                given += 1;
                written = table.fields(&cells(&row, locale, &zone));
                if written.is_ok() && given < MOST { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            written?;
            table.finish()
        };
        self.rows().read(write).await
    }
}
