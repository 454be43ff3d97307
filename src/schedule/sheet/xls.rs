//! The gate before an old Excel file (BIFF in a compound file): a few records can name a table of gigabytes.

use std::io::{Cursor, Read as _};

use super::Limits;
use super::read::broken;
use crate::error::{Error, Result};
use crate::text::Message;

/// Lets an old workbook pass; whether its days count from 1904 is told by [`counts_from_1904`].
///
/// # Errors
/// [`Error::TooLarge`] for tables and texts over the limits, [`Error::WrongKind`] for what cannot be read.
pub(super) fn pass(bytes: &[u8], limits: &Limits) -> Result<()> {
    let stream = stream(bytes)?;
    let mut strings: Vec<u32> = Vec::new();
    let (mut cells, mut spread, mut text) = (0_usize, 0_usize, 0_usize);
    let mut area: Option<Area> = None;
    let too_large = || Error::TooLarge(Message::new("sheet-bomb-cells"));
    let mut records = Records { left: &stream }.peekable();
    while let Some((kind, data)) = records.next() {
        match kind {
            0x00FC => {
                let mut parts = vec![data];
                while let Some((_, more)) = records.next_if(|(kind, _)| *kind == CONTINUE) {
                    parts.push(more);
                }
                strings = lengths(&parts);
            }
            // A sheet begins: what was of the last one is known.
            BEGIN => spread = spread.saturating_add(area.take().map_or(0, |area| area.size())),
            // The size that the sheet says; room is made for it.
            0x0200 => {
                // Excel 95 counts rows in words.
                let is_old = data.len() < 14;
                let (first, end, columns) = match is_old {
                    true => (u32::from(word(data, 0)), u32::from(word(data, 2)), (word(data, 4), word(data, 6))),
                    false => (long(data, 0), long(data, 4), (word(data, 8), word(data, 10))),
                };
                let columns = usize::from(columns.1.saturating_sub(columns.0));
                if (end.saturating_sub(first) as usize).saturating_mul(columns) > limits.cells {
                    return Err(too_large());
                }
            }
            // Cells: blank, number, label, error or flag, RK, formula, string of the table, several.
            0x0201 | 0x0203 | 0x0204 | 0x0205 | 0x027E | 0x0006 | 0x0206 | 0x0406 | 0x00FD | 0x00BD | 0x00BE
            | 0x00D6 => {
                let (row, column) = (word(data, 0), word(data, 2));
                let last =
                    if kind == 0x00BD || kind == 0x00BE { word(data, data.len().saturating_sub(2)) } else { column };
                area.get_or_insert_default().take(row, column.min(last), column.max(last));
                cells += 1 + usize::from(last.abs_diff(column));
                if kind == 0x00FD {
                    let length = strings.get(long(data, 6) as usize).copied().unwrap_or(0);
                    text = text.saturating_add(length as usize);
                }
            }
            _ => {}
        }
        let now = spread.saturating_add(area.as_ref().map_or(0, Area::size));
        if cells > limits.cells || now > limits.cells || text > limits.text {
            return Err(too_large());
        }
    }
    Ok(())
}

/// The days of the workbook count from 1904.
pub(super) fn counts_from_1904(bytes: &[u8]) -> bool {
    let Ok(stream) = stream(bytes) else { return false };
    Records { left: &stream }.any(|(kind, data)| kind == 0x0022 && word(data, 0) == 1)
}

const CONTINUE: u16 = 0x003C;
const BEGIN: u16 = 0x0809;

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
