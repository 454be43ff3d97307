//! The gate before an old Excel file (BIFF in a compound file): a few records can name a table of gigabytes, sheets may
//! begin within the records of others, and a compound file can be read in more than one way. What passes is written
//! anew, with nothing in it but the records that hold cells: the reader gets that, and never the file that came.

use std::collections::BTreeSet;
use std::io::{Cursor, Read as _, Write as _};

use super::Limits;
use super::read::broken;
use crate::error::{Error, Result};
use crate::text::Message;

/// An old workbook that was let pass.
#[derive(Debug)]
pub(super) struct Passed {
    /// A compound file with the records of cells, and what they need.
    pub(super) bytes: Vec<u8>,
    /// Its days count from 1904.
    pub(super) since_1904: bool,
}

const CONTINUE: u16 = 0x003C;
const BEGIN: u16 = 0x0809;
const END: u16 = 0x000A;
const SHEET: u16 = 0x0085;
const STRINGS: u16 = 0x00FC;
const PASSWORD: u16 = 0x002F;
const DATE_MODE: u16 = 0x0022;
const CODE_PAGE: u16 = 0x0042;
const FORMAT: u16 = 0x041E;
const STYLE: u16 = 0x00E0;
const FORMULA: u16 = 0x0006;
const FORMULA_TEXT: u16 = 0x0207;
const SHARED_TEXT: u16 = 0x00FD;
const NUMBERS: u16 = 0x00BD;

/// A formula that is the number 0, for the reader to be done with: formulas repeat names of sheets as often as they like.
const NO_FORMULA: [u8; 5] = [3, 0, 0x1E, 0, 0];

fn too_large() -> Error {
    Error::TooLarge(Message::new("sheet-bomb-cells"))
}

/// Lets an old workbook pass.
///
/// # Errors
/// [`Error::TooLarge`] for tables and texts over the limits, [`Error::WrongKind`] for what cannot be read.
pub(super) fn pass(bytes: &[u8], limits: &Limits) -> Result<Passed> {
    let stream = stream(bytes)?;
    let mut book = Book { limits, strings: Vec::new(), cells: 0, spread: 0, text: 0, walked: 0, clean: Vec::new() };
    let (sheets, since_1904) = book.globals(&stream)?;
    for (place, at) in sheets {
        let start = u32::try_from(book.clean.len()).map_err(|_| too_large())?;
        book.clean[place..place + 4].copy_from_slice(&start.to_le_bytes());
        book.sheet(stream.get(at..).ok_or_else(broken)?)?;
    }
    Ok(Passed { bytes: compound(&book.clean)?, since_1904 })
}

struct Book<'a> {
    limits: &'a Limits,
    /// Lengths of the shared strings.
    strings: Vec<u32>,
    /// Cells, cells as they spread out in rectangles, and bytes of text; of all sheets.
    cells: usize,
    spread: usize,
    text: usize,
    /// Bytes of records that were looked at.
    walked: usize,
    clean: Vec<u8>,
}

impl Book<'_> {
    fn keep(&mut self, kind: u16, data: &[u8]) {
        // The data of a record came with a length of 16 bits; those made here are shorter.
        let length = u16::try_from(data.len()).unwrap_or(u16::MAX);
        self.clean.extend(kind.to_le_bytes());
        self.clean.extend(length.to_le_bytes());
        self.clean.extend(&data[..usize::from(length)]);
    }

    /// Keeps what concerns all sheets. Where in `clean` the address of each sheet belongs, and the address that it had.
    fn globals(&mut self, stream: &[u8]) -> Result<(Vec<(usize, usize)>, bool)> {
        let mut sheets = Vec::new();
        let (mut known, mut since_1904) = (BTreeSet::new(), false);
        let mut records = Records { left: stream }.peekable();
        while let Some((kind, data)) = records.next() {
            match kind {
                END => break,
                PASSWORD => return Err(Error::WrongKind(Message::new("sheet-file-password"))),
                STRINGS => {
                    let mut parts = vec![data];
                    self.keep(kind, data);
                    while let Some((_, more)) = records.next_if(|(kind, _)| *kind == CONTINUE) {
                        self.keep(CONTINUE, more);
                        parts.push(more);
                    }
                    self.strings = lengths(&parts);
                    if self.strings.len() > self.limits.cells {
                        return Err(too_large());
                    }
                }
                SHEET if data.len() >= 8 => {
                    let at = long(data, 0) as usize;
                    // Each sheet has records of its own.
                    if !known.insert(at) || known.len() > self.limits.sheets {
                        return Err(too_large());
                    }
                    sheets.push((self.clean.len() + 4, at));
                    self.keep(kind, data);
                }
                DATE_MODE | CODE_PAGE if data.len() >= 2 => {
                    since_1904 |= kind == DATE_MODE && word(data, 0) == 1;
                    self.keep(kind, data);
                }
                BEGIN | STYLE if data.len() >= 4 => self.keep(kind, data),
                FORMAT if data.len() >= 4 => self.keep(kind, data),
                _ => {}
            }
        }
        self.keep(END, &[]);
        Ok((sheets, since_1904))
    }

    /// Keeps the cells of a sheet, as far as its end.
    fn sheet(&mut self, stream: &[u8]) -> Result<()> {
        let mut area = Area::default();
        // Charts lie within sheets, with cells that are not theirs.
        let mut depth = 0_usize;
        let mut has_formula = false;
        let most = self.limits.bytes * 4;
        let before = self.spread;
        for (kind, data) in (Records { left: stream }) {
            self.walked += data.len() + 4;
            if self.walked > most {
                return Err(too_large());
            }
            match kind {
                BEGIN => {
                    depth += 1;
                    if depth == 1 && data.len() >= 4 {
                        self.keep(kind, data);
                    }
                }
                END if depth <= 1 => break,
                END => depth -= 1,
                _ if depth > 1 => {}
                NUMBERS => {
                    let (first, last) = (word(data, 2), word(data, data.len().saturating_sub(2)));
                    let count = usize::from(last.saturating_sub(first)) + 1;
                    if last < first || data.len() != 6 + 6 * count {
                        return Err(broken());
                    }
                    area.take(word(data, 0), first, last);
                    self.cells += count;
                    self.keep(kind, data);
                }
                // A text belongs to the formula before it; without one it would be a cell of the first line.
                FORMULA_TEXT if !has_formula => {}
                // Number, label with and without looks, flag or error, RK, string of the table, formula and its text.
                0x0203 | 0x0204 | 0x00D6 | 0x0205 | 0x027E | SHARED_TEXT | FORMULA | FORMULA_TEXT => {
                    if kind != FORMULA_TEXT {
                        area.take(word(data, 0), word(data, 2), word(data, 2));
                    }
                    has_formula |= kind == FORMULA;
                    self.cells += 1;
                    self.text = self.text.saturating_add(match kind {
                        SHARED_TEXT => self.strings.get(long(data, 6) as usize).copied().unwrap_or(0) as usize,
                        0x0204 | 0x00D6 | FORMULA_TEXT => data.len() * 3,
                        _ => 0,
                    });
                    match (kind, data.get(..20)) {
                        (FORMULA, None) => return Err(broken()),
                        (FORMULA, Some(value)) => self.keep(kind, &[value, &NO_FORMULA].concat()),
                        _ => self.keep(kind, data),
                    }
                }
                _ => {}
            }
            self.spread = before.saturating_add(area.size());
            if self.cells > self.limits.cells || self.spread > self.limits.cells || self.text > self.limits.text {
                return Err(too_large());
            }
            if usize::from(area.columns.1) >= self.limits.columns {
                return Err(Error::TooLarge(Message::new("sheet-file-columns").with("most", self.limits.columns)));
            }
        }
        self.keep(END, &[]);
        Ok(())
    }
}

/// The stream of the records.
fn stream(bytes: &[u8]) -> Result<Vec<u8>> {
    let mut file = cfb::CompoundFile::open(Cursor::new(bytes)).map_err(|_| broken())?;
    if file.exists("/EncryptedPackage") {
        return Err(Error::WrongKind(Message::new("sheet-file-password")));
    }
    let name = ["/Workbook", "/Book"].into_iter().find(|name| file.is_stream(name)).ok_or_else(broken)?;
    let mut stream = Vec::new();
    let opened = file.open_stream(name).map_err(|_| broken())?;
    opened.take(bytes.len() as u64).read_to_end(&mut stream).map_err(|_| broken())?;
    Ok(stream)
}

/// A compound file with nothing but the stream of the records.
fn compound(records: &[u8]) -> Result<Vec<u8>> {
    let write = || -> std::io::Result<Vec<u8>> {
        let mut file = cfb::CompoundFile::create(Cursor::new(Vec::new()))?;
        let mut stream = file.create_stream("/Workbook")?;
        stream.write_all(records)?;
        stream.flush()?;
        drop(stream);
        Ok(file.into_inner().into_inner())
    };
    write().map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("writing a compound file")))
}

struct Records<'a> {
    left: &'a [u8],
}

impl<'a> Iterator for Records<'a> {
    type Item = (u16, &'a [u8]);

    fn next(&mut self) -> Option<(u16, &'a [u8])> {
        let (head, rest) = self.left.split_at_checked(4)?;
        let (data, rest) = rest.split_at_checked(usize::from(word(head, 2)))?;
        self.left = rest;
        Some((word(head, 0), data))
    }
}

fn word(data: &[u8], at: usize) -> u16 {
    data.get(at..at + 2).map_or(0, |two| u16::from_le_bytes([two[0], two[1]]))
}

fn long(data: &[u8], at: usize) -> u32 {
    u32::from(word(data, at)) | u32::from(word(data, at + 2)) << 16
}

/// The smallest rectangle around cells.
#[derive(Default)]
struct Area {
    rows: Option<(u16, u16)>,
    columns: (u16, u16),
}

impl Area {
    fn take(&mut self, row: u16, first: u16, last: u16) {
        match &mut self.rows {
            None => (self.rows, self.columns) = (Some((row, row)), (first, last)),
            Some(rows) => {
                *rows = (rows.0.min(row), rows.1.max(row));
                self.columns = (self.columns.0.min(first), self.columns.1.max(last));
            }
        }
    }

    fn size(&self) -> usize {
        let side = |(first, last): (u16, u16)| usize::from(last - first) + 1;
        self.rows.map_or(0, |rows| side(rows) * side(self.columns))
    }
}

/// The lengths of the shared strings, in bytes of UTF-8 at most, as far as they can be read.
fn lengths(parts: &[&[u8]]) -> Vec<u32> {
    let mut parts = parts.iter();
    let mut data = parts.next().and_then(|first| first.get(8..)).unwrap_or_default();
    let mut found = Vec::new();
    loop {
        while data.is_empty() {
            match parts.next() {
                Some(next) => data = next,
                None => return found,
            }
        }
        let Some(flags) = data.get(2).copied() else { return found };
        let letters = usize::from(word(data, 0));
        let (is_rich, is_extended) = (flags & 8 != 0, flags & 4 != 0);
        let mut after = 3;
        let runs = if is_rich { usize::from(word(data, after)) * 4 } else { 0 };
        after += if is_rich { 2 } else { 0 };
        let extension = if is_extended { long(data, after) as usize } else { 0 };
        after += if is_extended { 4 } else { 0 };
        data = data.get(after..).unwrap_or_default();
        found.push(u32::try_from(letters * 3).unwrap_or(u32::MAX));
        let (mut wide, mut left) = (flags & 1 != 0, letters);
        loop {
            let each = if wide { 2 } else { 1 };
            let here = left.min(data.len() / each);
            data = &data[here * each..];
            left -= here;
            if left == 0 {
                break;
            }
            // A string that goes on says anew how wide its letters are.
            let Some(next) = parts.next() else { return found };
            wide = next.first().is_some_and(|flags| flags & 1 != 0);
            data = next.get(1..).unwrap_or_default();
        }
        let mut skip = runs.saturating_add(extension);
        loop {
            let here = skip.min(data.len());
            data = &data[here..];
            skip -= here;
            if skip == 0 {
                break;
            }
            match parts.next() {
                Some(next) => data = next,
                None => return found,
            }
        }
    }
}
