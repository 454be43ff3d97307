//! What was on air, as a file.

use std::ops::ControlFlow;

use jiff::Timestamp;
use uuid::Uuid;

use super::run::{Run, RunOutcome};
use crate::error::Result;
use crate::library::Library;
use crate::store::rows::{Reader, Row};
use crate::tabular::{Format, Tabular};
use crate::text::Locale;

/// The newest so many runs are given out.
const MOST: usize = 50_000;

const HEADS: [&str; 17] = [
    "stream",
    "occurrence_at",
    "started_at",
    "ended_at",
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

fn cells(row: &Row<Run>, locale: Locale) -> [String; 17] {
    let (run, header) = (&row.value, &row.header);
    let at = |at: Option<Timestamp>| at.map(|at| at.to_string()).unwrap_or_default();
    let id = |id: Option<Uuid>| id.map(|id| id.to_string()).unwrap_or_default();
    [
        run.stream_title.clone(),
        at(run.occurrence_at),
        at(run.started_at),
        at(run.ended_at),
        run.outcome.map_or("running", RunOutcome::code).to_owned(),
        run.reason.as_ref().map(|reason| reason.in_locale(locale)).unwrap_or_default(),
        run.restarts.to_string(),
        run.attempts.to_string(),
        run.bytes.to_string(),
        run.started_by.clone(),
        header.owner.clone(),
        header.created_by.clone(),
        header.created_at.to_string(),
        header.updated_at.to_string(),
        run.stream_id.to_string(),
        id(run.schedule_id),
        row.id().to_string(),
    ]
}

impl Library {
    /// All runs as a file, newest first; reasons in the reader's language.
    pub async fn export_runs(&self, format: Format, locale: Locale) -> Result<Vec<u8>> {
        let write = move |rows: &Reader<'_>| {
            let mut table = Tabular::new(format, "history", &HEADS)?;
            let (mut given, mut written) = (0, Ok(()));
            rows.each::<Run>(true, |row| {
                given += 1;
                written = table.line(cells(&row, locale).each_ref().map(String::as_str));
                if written.is_ok() && given < MOST { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
            })?;
            written?;
            table.finish()
        };
        self.rows().read(write).await
    }
}
