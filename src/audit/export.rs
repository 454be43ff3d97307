//! A record as a workbook or as CSV. Cells are text and nothing else: what looks like a formula does nothing.

use std::ops::ControlFlow;

use super::{Entry, Filter, Outcome, newest_first};
use crate::error::Result;
use crate::store::rows::Reader;
use crate::tabular::{Format, Tabular};

/// The newest so many entries are given out.
const MOST: usize = 100_000;

const HEADS: [&str; 9] = ["number", "at", "actor", "address", "action", "object", "outcome", "hash", "previous"];

fn cells(entry: Entry) -> [String; 9] {
    let outcome = match entry.outcome {
        Outcome::Done => "done",
        Outcome::Refused => "refused",
    };
    [
        entry.number.to_string(),
        entry.at.to_string(),
        entry.actor,
        entry.address.unwrap_or_default(),
        entry.action,
        entry.object,
        outcome.to_owned(),
        entry.hash,
        entry.previous,
    ]
}

/// The entries of a record, newest first, as a file.
pub fn export(reader: &Reader<'_>, format: Format) -> Result<Vec<u8>> {
    let mut table = Tabular::new(format, "audit", &HEADS)?;
    let (mut given, mut written) = (0, Ok(()));
    newest_first(reader, None, &Filter::default(), |entry| {
        given += 1;
        if given > MOST {
            return ControlFlow::Break(());
        }
        written = table.line(cells(entry).each_ref().map(String::as_str));
        if written.is_ok() { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    written?;
    table.finish()
}
