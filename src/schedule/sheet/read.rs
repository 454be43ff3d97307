//! Bytes of a file as tables.

use std::collections::BTreeSet;
use std::io::Cursor;

use calamine::{CellErrorType, Data, DataRef, Ods, Reader as _, Xls, Xlsx};

use super::moment::of_serial;
use super::{Cell, Limits, Line, Table, csv, gate, xls};
use crate::error::{Error, Result};
use crate::text::Message;

/// Lines at the top among which the heads are looked for.
const HEADS_WITHIN: usize = 20;

/// The tables of an xlsx, xls, ods or CSV file; what it is shows by its bytes. Blocks for up to a second.
///
/// # Errors
/// [`Error::TooLarge`] for what is over the limits, or made to be; [`Error::WrongKind`] for what is none of these files
/// or is broken; [`Error::Invalid`], field `file`, where no table has heads.
pub fn read(bytes: &[u8], limits: &Limits) -> Result<Vec<Table>> {
    if bytes.len() > limits.bytes {
        return Err(Error::TooLarge(Message::new("sheet-file-size").with("most", limits.bytes >> 20)));
    }
    let mut budget = Budget { limits, cells: 0, text: 0 };
    let tables = if bytes.starts_with(b"PK") {
        match gate::pass(bytes, limits)? {
            gate::Kind::Xlsx(since_1904) => guarded(|| xlsx(bytes, since_1904, &mut budget))?,
            gate::Kind::Ods => guarded(|| ods(bytes, &mut budget))?,
        }
    } else if bytes.starts_with(&[0xD0, 0xCF, 0x11, 0xE0]) {
        let passed = xls::pass(bytes, limits)?;
        guarded(|| old_excel(&passed, &mut budget))?
    } else {
        csv::read(bytes, &mut budget)?
    };
    let tables: Vec<Table> = tables.into_iter().filter_map(|sheet| sheet.table()).collect();
    if tables.is_empty() {
        return Err(Error::field("file", Message::new("sheet-file-empty")));
    }
    Ok(tables)
}

/// Reads with a crate that may panic on what it did not expect: such a file is a broken one.
fn guarded<T>(work: impl FnOnce() -> Result<T>) -> Result<T> {
    let done = std::panic::catch_unwind(std::panic::AssertUnwindSafe(work));
    done.unwrap_or_else(|_| Err(broken_by("the reader gave up")))
}

/// What may still be read.
pub(super) struct Budget<'a> {
    pub(super) limits: &'a Limits,
    cells: usize,
    text: usize,
}

impl Budget<'_> {
    /// Takes room for so many cells and so many bytes of text.
    fn take(&mut self, cells: usize, text: usize) -> Result<()> {
        self.cells += cells;
        self.text += text;
        if self.cells > self.limits.cells {
            return Err(Error::TooLarge(Message::new("sheet-file-cells").with("most", self.limits.cells)));
        }
        if self.text > self.limits.text {
            return Err(Error::TooLarge(Message::new("sheet-file-text").with("most", self.limits.text >> 20)));
        }
        Ok(())
    }
}

/// Cells of a sheet that are not empty, by line and in order.
pub(super) struct Sheet {
    pub(super) name: String,
    pub(super) lines: Vec<Line>,
}

impl Sheet {
    pub(super) fn new(name: &str) -> Sheet {
        Sheet { name: name.to_owned(), lines: Vec::new() }
    }

    /// Puts a cell in its place, both from 0. Cells of a line come in any order, lines in rising order.
    pub(super) fn put(&mut self, row: u32, column: usize, cell: Cell, budget: &mut Budget<'_>) -> Result<()> {
        if cell.is_empty() {
            return Ok(());
        }
        let bytes = if let Cell::Text(text) | Cell::Fault(text) = &cell { text.len() } else { 0 };
        if column >= budget.limits.columns {
            return Err(Error::TooLarge(Message::new("sheet-file-columns").with("most", budget.limits.columns)));
        }
        let number = row.saturating_add(1);
        if self.lines.last().is_none_or(|line| line.number != number) {
            if self.lines.last().is_some_and(|line| line.number > number) {
                return Err(broken());
            }
            if self.lines.len() >= budget.limits.rows {
                return Err(Error::TooLarge(Message::new("sheet-file-rows").with("most", budget.limits.rows)));
            }
            self.lines.push(Line { number, cells: Vec::new() });
        }
        if let Some(line) = self.lines.last_mut() {
            // Empty cells to the left take room too.
            budget.take((column + 1).saturating_sub(line.cells.len()), bytes)?;
            if line.cells.len() <= column {
                line.cells.resize(column + 1, Cell::Empty);
            }
            line.cells[column] = cell;
        }
        Ok(())
    }

    /// The line of the heads is the first that has the most known heads among the first lines; without any, the first
    /// line with more than one cell.
    fn table(mut self) -> Option<Table> {
        let known = |line: &Line| {
            let columns: BTreeSet<_> =
                line.cells.iter().filter_map(|cell| super::Column::of_head(&cell.text())).collect();
            columns.len()
        };
        let top = &self.lines[..self.lines.len().min(HEADS_WITHIN)];
        let best = top.iter().map(known).max().filter(|best| *best > 0);
        let place = match best {
            Some(best) => top.iter().position(|line| known(line) == best)?,
            None => top.iter().position(|line| line.cells.iter().filter(|cell| !cell.is_empty()).count() > 1)?,
        };
        let below = self.lines.split_off(place + 1);
        let heads = self.lines.pop()?;
        Some(Table {
            name: self.name,
            head_line: heads.number,
            heads: heads.cells.iter().map(Cell::text).collect(),
            lines: below,
        })
    }
}

/// [`broken`], with its cause in the log.
pub(super) fn broken_by(cause: impl std::fmt::Display) -> Error {
    tracing::debug!(%cause, "a file of a table cannot be read");
    broken()
}

/// A file that cannot be read as what it begins like.
pub(super) fn broken() -> Error {
    Error::WrongKind(Message::new("sheet-file-broken"))
}

pub(super) fn text_cell(text: &str) -> Cell {
    if text.trim().is_empty() { Cell::Empty } else { Cell::Text(text.to_owned()) }
}

fn number(value: f64) -> Cell {
    if value.is_finite() { Cell::Number(value, false) } else { Cell::Fault(value.to_string()) }
}

fn fault(error: &CellErrorType) -> Cell {
    Cell::Fault(error.to_string())
}

/// A date below this serial is a time or a length (1900 and 1904 both begin with one).
const LENGTHS_BELOW: f64 = 400.0;

fn moment(serial: f64, is_length: bool, since_1904: bool) -> Cell {
    if is_length || (0.0..LENGTHS_BELOW).contains(&serial) {
        return Cell::Span((serial.max(0.0) * 86_400.0).round() as u64);
    }
    match of_serial(serial, since_1904) {
        Some(at) => Cell::Moment(at),
        None => number(serial),
    }
}

fn iso_moment(text: &str) -> Cell {
    let text = text.trim();
    let date = || text.parse::<jiff::civil::Date>().ok().map(|day| day.to_datetime(jiff::civil::Time::midnight()));
    match text.parse::<jiff::civil::DateTime>().ok().and_then(|at| at.round(jiff::Unit::Second).ok()).or_else(date) {
        Some(at) => Cell::Moment(at),
        None => text_cell(text),
    }
}

/// `PT20H00M00S` of a cell with a time or a length.
fn iso_length(text: &str) -> Cell {
    let span: Option<jiff::Span> = text.parse().ok();
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    match span.and_then(|span| span.total((jiff::Unit::Second, days)).ok()) {
        Some(seconds) if (0.0..1e9).contains(&seconds) => Cell::Span(seconds.round() as u64),
        _ => text_cell(text),
    }
}

fn of_data(data: &Data, since_1904: bool) -> Cell {
    match data {
        Data::Empty => Cell::Empty,
        Data::String(text) => text_cell(text),
        Data::Int(value) => Cell::Number(*value as f64, since_1904),
        Data::Float(value) => Cell::Number(*value, since_1904),
        Data::Bool(value) => Cell::Flag(*value),
        Data::DateTime(at) => moment(at.as_f64(), at.is_duration(), since_1904),
        Data::DateTimeIso(text) => iso_moment(text),
        Data::DurationIso(text) => iso_length(text),
        Data::Error(error) => fault(error),
    }
}

fn xlsx(bytes: &[u8], since_1904: bool, budget: &mut Budget<'_>) -> Result<Vec<Sheet>> {
    let mut workbook: Xlsx<_> = Xlsx::new(Cursor::new(bytes)).map_err(broken_by)?;
    let mut sheets = Vec::new();
    for name in seen(workbook.sheets_metadata()) {
        // A chart sheet has no cells.
        let Ok(mut cells) = workbook.worksheet_cells_reader(&name) else { continue };
        let mut sheet = Sheet::new(&name);
        while let Some(found) = cells.next_cell().map_err(broken_by)? {
            let (row, column) = found.get_position();
            let cell = match found.get_value() {
                DataRef::SharedString(text) => text_cell(text),
                DataRef::String(text) => text_cell(text),
                DataRef::Empty => Cell::Empty,
                DataRef::Int(value) => Cell::Number(*value as f64, since_1904),
                DataRef::Float(value) => Cell::Number(*value, since_1904),
                DataRef::Bool(value) => Cell::Flag(*value),
                DataRef::DateTime(at) => moment(at.as_f64(), at.is_duration(), since_1904),
                DataRef::DateTimeIso(text) => iso_moment(text),
                DataRef::DurationIso(text) => iso_length(text),
                DataRef::Error(error) => fault(error),
            };
            sheet.put(row, column as usize, cell, budget)?;
        }
        sheets.push(sheet);
    }
    Ok(sheets)
}

fn ods(bytes: &[u8], budget: &mut Budget<'_>) -> Result<Vec<Sheet>> {
    let mut workbook: Ods<_> = Ods::new(Cursor::new(bytes)).map_err(broken_by)?;
    ranges(&mut workbook, false, budget)
}

fn old_excel(passed: &xls::Passed, budget: &mut Budget<'_>) -> Result<Vec<Sheet>> {
    let mut workbook: Xls<_> = Xls::new(Cursor::new(passed.bytes.as_slice())).map_err(broken_by)?;
    ranges(&mut workbook, passed.since_1904, budget)
}

/// Sheets that people see, in the order in which they see them; each name once, because the reader goes by names.
fn seen(sheets: &[calamine::Sheet]) -> Vec<String> {
    let mut known = BTreeSet::new();
    let seen = sheets.iter().filter(|sheet| sheet.visible == calamine::SheetVisible::Visible);
    seen.filter(|sheet| known.insert(sheet.name.as_str())).map(|sheet| sheet.name.clone()).collect()
}

fn ranges<'b, R>(workbook: &mut R, since_1904: bool, budget: &mut Budget<'_>) -> Result<Vec<Sheet>>
where
    R: calamine::Reader<Cursor<&'b [u8]>>,
    R::Error: std::fmt::Display,
{
    let mut sheets = Vec::new();
    for name in seen(workbook.sheets_metadata()) {
        // A sheet that is a chart has no cells.
        let Ok(range) = workbook.worksheet_range(&name) else { continue };
        let mut sheet = Sheet::new(&name);
        let Some((first_row, first_column)) = range.start() else { continue };
        for (row, column, data) in range.used_cells() {
            let row = first_row.saturating_add(u32::try_from(row).unwrap_or(u32::MAX));
            sheet.put(row, first_column as usize + column, of_data(data, since_1904), budget)?;
        }
        sheets.push(sheet);
    }
    Ok(sheets)
}
