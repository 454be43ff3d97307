//! A record as a workbook or as CSV. Cells are text and nothing else: what looks like a formula does nothing.

use std::ops::ControlFlow;

use rust_xlsxwriter::{Format as CellFormat, Workbook, XlsxError};

use super::{Entry, Filter, Outcome, newest_first};
use crate::error::{Error, Result};
use crate::store::rows::Reader;

/// The newest so many entries are given out.
const MOST: usize = 100_000;

const HEADS: [&str; 9] = ["number", "at", "actor", "address", "action", "object", "outcome", "hash", "previous"];

/// A kind of file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Format {
    /// Excel workbook.
    Xlsx,
    /// Comma separated, every field quoted.
    Csv,
}

impl Format {
    /// Reads `xlsx` or `csv`.
    pub fn parse(code: &str) -> Option<Format> {
        match code {
            "xlsx" => Some(Format::Xlsx),
            "csv" => Some(Format::Csv),
            _ => None,
        }
    }

    /// Extension of the file.
    pub fn extension(self) -> &'static str {
        match self {
            Format::Xlsx => "xlsx",
            Format::Csv => "csv",
        }
    }

    /// What it is served as.
    pub fn content_type(self) -> &'static str {
        match self {
            Format::Xlsx => "application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",
            Format::Csv => "text/csv; charset=utf-8",
        }
    }
}

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

/// Whether a spreadsheet could take a text for more than text.
fn is_active(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'])
}

/// The entries of a record, newest first, as a file.
pub fn export(reader: &Reader<'_>, format: Format) -> Result<Vec<u8>> {
    match format {
        Format::Csv => csv(reader),
        Format::Xlsx => xlsx(reader).map_err(|cause| Error::Internal(cause.context("audit workbook"))),
    }
}

fn each(reader: &Reader<'_>, mut visit: impl FnMut([String; 9]) -> ControlFlow<()>) -> Result<()> {
    let mut given = 0;
    newest_first(reader, None, &Filter::default(), |entry| {
        given += 1;
        if given > MOST { ControlFlow::Break(()) } else { visit(cells(entry)) }
    })
}

fn csv(reader: &Reader<'_>) -> Result<Vec<u8>> {
    let line = |cells: &[&str]| {
        let quoted: Vec<String> = cells
            .iter()
            .map(|text| {
                let guard = if is_active(text) { "'" } else { "" };
                format!("\"{guard}{}\"", text.replace('"', "\"\""))
            })
            .collect();
        quoted.join(",") + "\r\n"
    };
    // The mark tells Excel that this is UTF-8.
    let mut text = format!("\u{feff}{}", line(&HEADS));
    each(reader, |cells| {
        text += &line(&cells.each_ref().map(String::as_str));
        ControlFlow::Continue(())
    })?;
    Ok(text.into_bytes())
}

fn xlsx(reader: &Reader<'_>) -> anyhow::Result<Vec<u8>> {
    let mut workbook = Workbook::new();
    let sheet = workbook.add_worksheet_with_low_memory()?;
    sheet.set_name("audit")?;
    let (plain, inert) = (CellFormat::new(), CellFormat::new().set_quote_prefix());
    for (column, head) in HEADS.iter().enumerate() {
        sheet.write_string(0, column as u16, *head)?;
    }
    let (mut row, mut failed) = (0, None::<XlsxError>);
    each(reader, |cells| {
        row += 1;
        for (column, text) in cells.iter().enumerate() {
            let format = if is_active(text) { &inert } else { &plain };
            if let Err(cause) = sheet.write_string_with_format(row, column as u16, text, format) {
                failed = Some(cause);
                return ControlFlow::Break(());
            }
        }
        ControlFlow::Continue(())
    })
    .map_err(|cause| anyhow::anyhow!("{cause}"))?;
    match failed {
        Some(cause) => Err(cause.into()),
        None => Ok(workbook.save_to_buffer()?),
    }
}
