//! Tables as files: a workbook or CSV. Cells are text, numbers and times: what looks like a formula does nothing, and the
//! same text comes back when the file is read again.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use rust_xlsxwriter::{ExcelDateTime, Format as CellFormat, Workbook, Worksheet};

use crate::error::{Error, Result};

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

/// Longest text of a cell in Excel, in characters as UTF-16 counts them.
const LONGEST: usize = 32_767;

/// What stands in a cell: in a workbook as Excel counts with it, in CSV as text.
#[derive(Debug, Clone, PartialEq)]
pub enum Field {
    /// A text.
    Text(String),
    /// A number.
    Number(u64),
    /// A local time, which another cell may name the zone of.
    Local(DateTime),
    /// An instant: local in a workbook, UTC in CSV; to the second.
    Instant(Timestamp, TimeZone),
}

impl Field {
    fn text(&self) -> String {
        match self {
            Field::Text(text) => text.clone(),
            Field::Number(number) => number.to_string(),
            Field::Local(at) => at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
            Field::Instant(at, _) => at.strftime("%Y-%m-%dT%H:%M:%SZ").to_string(),
        }
    }

    fn local(&self) -> Option<DateTime> {
        match self {
            Field::Local(at) => Some(*at),
            Field::Instant(at, zone) => Some(at.to_zoned(zone.clone()).datetime()),
            _ => None,
        }
    }
}

/// A time as Excel counts it; it knows none before 1900.
fn excel(at: DateTime) -> Option<ExcelDateTime> {
    let part = |part: i8| u8::try_from(part).ok();
    let year = u16::try_from(at.year()).ok().filter(|year| *year > 1900)?;
    let day = ExcelDateTime::from_ymd(year, part(at.month())?, part(at.day())?).ok()?;
    day.and_hms(u16::from(part(at.hour())?), part(at.minute())?, f64::from(at.second())).ok()
}

/// Whether a spreadsheet could take a text for more than text.
pub fn is_active(text: &str) -> bool {
    text.starts_with(['=', '+', '-', '@', '\t', '\r', '\n', '\0', '＝', '＋', '－', '＠'])
}

/// Whether a CSV field gets a guard before it: what is active, and what would be taken for a guarded text.
fn needs_guard(text: &str) -> bool {
    is_active(text.trim_start_matches('\''))
}

/// The text of a CSV field without the guard that [`Tabular`] puts before what is active.
pub fn unguarded(field: &str) -> &str {
    field.strip_prefix('\'').filter(|rest| needs_guard(rest)).unwrap_or(field)
}

/// A table that is written line by line.
pub struct Tabular(Kind);

enum Kind {
    Csv(Box<csv::Writer<Vec<u8>>>),
    Xlsx(Box<Book>),
}

struct Book {
    workbook: Workbook,
    row: u32,
    plain: CellFormat,
    inert: CellFormat,
    number: CellFormat,
    time: CellFormat,
}

fn failed(cause: impl Into<anyhow::Error>) -> Error {
    Error::Internal(cause.into().context("writing a table"))
}

impl Tabular {
    /// A table with its heads; `name` is that of the sheet.
    pub fn new(format: Format, name: &str, heads: &[&str]) -> Result<Tabular> {
        let mut table = match format {
            Format::Csv => {
                // The mark tells Excel that this is UTF-8.
                let start = "\u{feff}".as_bytes().to_vec();
                let writer = csv::WriterBuilder::new()
                    .quote_style(csv::QuoteStyle::Always)
                    .terminator(csv::Terminator::CRLF)
                    .from_writer(start);
                Tabular(Kind::Csv(Box::new(writer)))
            }
            Format::Xlsx => {
                let mut workbook = Workbook::new();
                let sheet = workbook.add_worksheet_with_low_memory();
                sheet.map_err(failed)?.set_name(name).map_err(failed)?.set_freeze_panes(1, 0).map_err(failed)?;
                let (plain, inert) = (CellFormat::new(), CellFormat::new().set_quote_prefix());
                let number = CellFormat::new().set_num_format("0");
                let time = CellFormat::new().set_num_format("yyyy-mm-dd hh:mm:ss");
                Tabular(Kind::Xlsx(Box::new(Book { workbook, row: 0, plain, inert, number, time })))
            }
        };
        table.line(heads.iter().copied())?;
        Ok(table)
    }

    /// Adds a line.
    pub fn line<'t>(&mut self, cells: impl IntoIterator<Item = &'t str>) -> Result<()> {
        match &mut self.0 {
            Kind::Csv(writer) => {
                let guarded = cells.into_iter().map(|text| match needs_guard(text) {
                    true => std::borrow::Cow::Owned(format!("'{text}")),
                    false => std::borrow::Cow::Borrowed(text),
                });
                let fields: Vec<_> = guarded.collect();
                writer.write_record(fields.iter().map(|field| field.as_bytes())).map_err(failed)
            }
            Kind::Xlsx(book) => book.line(cells),
        }
    }

    /// Adds a line of more than texts.
    pub fn fields(&mut self, fields: &[Field]) -> Result<()> {
        match &mut self.0 {
            Kind::Csv(_) => {
                let texts: Vec<String> = fields.iter().map(Field::text).collect();
                self.line(texts.iter().map(String::as_str))
            }
            Kind::Xlsx(book) => book.fields(fields),
        }
    }

    /// The file.
    pub fn finish(self) -> Result<Vec<u8>> {
        match self.0 {
            Kind::Csv(writer) => writer.into_inner().map_err(|cause| failed(cause.into_error())),
            Kind::Xlsx(mut book) => book.workbook.save_to_buffer().map_err(failed),
        }
    }
}

impl Book {
    fn line<'t>(&mut self, cells: impl IntoIterator<Item = &'t str>) -> Result<()> {
        let sheet = self.workbook.worksheet_from_index(0).map_err(failed)?;
        for (column, text) in cells.into_iter().enumerate().filter(|(_, text)| !text.is_empty()) {
            let column = u16::try_from(column).map_err(failed)?;
            let format = if is_active(text) { &self.inert } else { &self.plain };
            sheet.write_string_with_format(self.row, column, fitting(text), format).map_err(failed)?;
        }
        self.row += 1;
        Ok(())
    }

    fn fields(&mut self, fields: &[Field]) -> Result<()> {
        let sheet = self.workbook.worksheet_from_index(0).map_err(failed)?;
        for (column, field) in fields.iter().enumerate() {
            let column = u16::try_from(column).map_err(failed)?;
            if let Field::Number(number) = field {
                // Larger ones than a double holds exactly are nobody's.
                sheet.write_number_with_format(self.row, column, *number as f64, &self.number).map_err(failed)?;
                continue;
            }
            if let Some(at) = field.local().and_then(excel) {
                sheet.write_datetime_with_format(self.row, column, &at, &self.time).map_err(failed)?;
                continue;
            }
            let text = field.text();
            if !text.is_empty() {
                let format = if is_active(&text) { &self.inert } else { &self.plain };
                sheet.write_string_with_format(self.row, column, fitting(&text), format).map_err(failed)?;
            }
        }
        self.row += 1;
        Ok(())
    }
}

/// Writes a text as text, however it begins.
pub fn write_text(sheet: &mut Worksheet, row: u32, column: u16, text: &str) -> Result<()> {
    let format = if is_active(text) { CellFormat::new().set_quote_prefix() } else { CellFormat::new() };
    sheet.write_string_with_format(row, column, fitting(text), &format).map_err(failed)?;
    Ok(())
}

/// As much of a text as a cell holds.
fn fitting(text: &str) -> &str {
    let mut left = LONGEST;
    let cut = text.char_indices().find(|(_, letter)| match left.checked_sub(letter.len_utf16()) {
        Some(rest) => {
            left = rest;
            false
        }
        None => true,
    });
    cut.map_or(text, |(place, _)| &text[..place])
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_guard_comes_off_as_it_was_put_on() {
        for text in ["=1+1", "'=1", "''-", "plain", "'tis", "-5", "\tx", "", "'", "＝x"] {
            let mut table = Tabular::new(Format::Csv, "t", &["a"]).unwrap();
            table.line([text]).unwrap();
            let bytes = table.finish().unwrap();
            let mut reader = csv::Reader::from_reader(&bytes[3..]);
            let field = reader.records().next().unwrap().unwrap()[0].to_owned();
            assert!(!is_active(&field), "{field}");
            assert_eq!(unguarded(&field), text);
        }
    }

    #[test]
    fn a_cell_holds_what_excel_holds() {
        assert_eq!(fitting("short"), "short");
        assert_eq!(fitting(&"ä".repeat(40_000)).chars().count(), LONGEST);
        assert_eq!(fitting(&"🎬".repeat(20_000)).chars().count(), LONGEST / 2);
    }
}
