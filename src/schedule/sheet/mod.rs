//! Workbooks and CSV files, in and out. Everything here is pure: bytes in, typed rows or bytes out.
//!
//! In: [`read`] looks at the file ([`gate`]) and reads its [`Table`]s, for strangers' files in a cage ([`worker`]); [`Mapping::recognise`] says which column is what
//! (both header sets of the old program, our own, English or Indonesian, in any order); [`read_rows`] makes each line a
//! [`SheetRow`], with a [`Problem`] that names row and column for every cell that makes no sense. What the rows mean in
//! a library (which video, which key, new or known) is the importer's, in `schedule/import`.
//!
//! ```
//! use jadwalstream::schedule::sheet::{Limits, Mapping, Reading, read, read_rows};
//! let tables = read("judul;mulai\nSubuh;4 Januari 2027 pukul 04.30".as_bytes(), &Limits::default())?;
//! let mapping = Mapping::recognise(&tables[0].heads);
//! let rows = read_rows(&tables[0], &mapping, &Reading::default());
//! assert_eq!(rows[0].title.as_deref(), Some("Subuh"));
//! assert_eq!(rows[0].starts_at, Some(jiff::civil::date(2027, 1, 4).at(4, 30, 0, 0)));
//! # Ok::<(), jadwalstream::error::Error>(())
//! ```

mod csv;
mod gate;
mod header;
mod moment;
mod read;
mod row;
mod template;
mod value;
mod worker;
mod xls;

use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};

pub use header::{Column, HeaderSet, Mapping};
pub use moment::{DayOrder, Moment, day_order_of, read_moment};
pub use read::read;
pub use row::{Problem, SheetRow, read_rows};
pub use template::{Described, Example, Lists, Source, empty_workbook, template};
pub use value::{Privacy, Repeat};
#[cfg(test)]
pub(crate) use worker::answer;
pub(crate) use worker::{read_caged, work};

/// How much a file may hold. More is refused before it is read.
#[derive(Debug, Clone, Copy)]
pub struct Limits {
    /// Bytes of the file.
    pub bytes: usize,
    /// Parts of a zipped workbook.
    pub entries: usize,
    /// Sheets of a workbook.
    pub sheets: usize,
    /// Bytes of all parts, unpacked.
    pub unpacked: u64,
    /// Unpacked bytes to packed ones, of a part that counts.
    pub ratio: u64,
    /// Lines of a table.
    pub rows: usize,
    /// Columns of a table.
    pub columns: usize,
    /// Cells of all tables.
    pub cells: usize,
    /// Bytes of text of all cells.
    pub text: usize,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits {
            bytes: 8 << 20,
            entries: 200,
            sheets: 150,
            unpacked: 64 << 20,
            ratio: 100,
            rows: 50_000,
            columns: 200,
            cells: 600_000,
            text: 8 << 20,
        }
    }
}

/// A sheet of a workbook, or a CSV file: a line of heads and the lines below it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Table {
    /// What the sheet is called; empty for CSV.
    pub name: String,
    /// The line of the heads, as Excel counts (from 1).
    pub head_line: u32,
    /// The heads, by column; trimmed, maybe empty.
    pub heads: Vec<String>,
    /// What stands below, without empty lines.
    pub lines: Vec<Line>,
}

/// A line of a table.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Line {
    /// Its number as Excel counts (from 1).
    pub number: u32,
    /// Its cells, by column; there may be fewer than heads.
    pub cells: Vec<Cell>,
}

impl Line {
    /// The cell of a column.
    pub fn cell(&self, place: usize) -> &Cell {
        self.cells.get(place).unwrap_or(&Cell::Empty)
    }
}

/// What stands in a cell.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub enum Cell {
    /// Nothing, or only blanks.
    #[default]
    Empty,
    /// Text, trimmed at the end of lines as it was typed.
    Text(String),
    /// A number; for a plain serial, the workbook's days are counted from 1904 where `true`.
    Number(f64, bool),
    /// Yes or no.
    Flag(bool),
    /// A date, or a date and a time, to the second.
    Moment(DateTime),
    /// A time of day, or a length, in seconds.
    Span(u64),
    /// An error of the spreadsheet, like `#REF!`.
    Fault(String),
}

impl Cell {
    /// Nothing is there.
    pub fn is_empty(&self) -> bool {
        matches!(self, Cell::Empty)
    }

    /// The cell as text, trimmed; empty where nothing is there.
    pub fn text(&self) -> String {
        match self {
            Cell::Empty => String::new(),
            Cell::Text(text) | Cell::Fault(text) => text.trim().to_owned(),
            Cell::Number(number, _) => number.to_string(),
            Cell::Flag(flag) => flag.to_string(),
            Cell::Moment(at) => at.to_string(),
            Cell::Span(seconds) => value::clock_text(*seconds),
        }
    }
}

/// How cells are read that can be read in more than one way.
#[derive(Debug, Clone, Default)]
pub struct Reading {
    /// Day or month first in dates like `03/04/2027`. Where it is `None`, it is taken from other dates of the same
    /// table that can be read only one way ([`day_order_of`]); else such a date is a problem of its row.
    pub day_order: Option<DayOrder>,
}

/// The letters of a column, from 0: `A`, `B`, …, `AA`.
pub fn column_letters(mut place: usize) -> String {
    let mut letters = Vec::new();
    loop {
        letters.push(char::from(b'A' + u8::try_from(place % 26).unwrap_or(0)));
        if place < 26 {
            break;
        }
        place = place / 26 - 1;
    }
    letters.iter().rev().collect()
}

/// The place of a column, from 0, by its letters.
pub fn column_place(letters: &str) -> Option<usize> {
    if !(1..=3).contains(&letters.len()) {
        return None;
    }
    let letters = letters.bytes().map(|letter| letter.to_ascii_uppercase());
    letters
        .into_iter()
        .try_fold(0, |place: usize, letter| {
            letter.is_ascii_uppercase().then(|| place * 26 + usize::from(letter - b'A') + 1)
        })?
        .checked_sub(1)
}

#[cfg(test)]
mod attacks;
#[cfg(test)]
mod tests;
