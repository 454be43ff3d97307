//! The gate before a zipped workbook is read: what is made to explode is refused while it is still packed.
//!
//! Looked at are the list of parts (how many, how large they say they are, how tightly packed, lying over each other)
//! and then every part as a stream that is thrown away: how large it really is, no piece of markup larger than any cell,
//! no DTD, no link out, and no table that a reader would blow up (repeated rows and columns of ods, the count of shared
//! strings of xlsx, for which room is made before one is read).

use std::cell::Cell as Counter;
use std::io::{BufReader, Cursor, Read};
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use super::Limits;
use super::read::broken;
use crate::error::{Error, Result};
use crate::text::Message;

/// What a zip turned out to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// Office Open XML; its days count from 1904.
    Xlsx(bool),
    /// OpenDocument.
    Ods,
}

/// A part smaller than this may be packed as tightly as it likes.
const SMALL: u64 = 1 << 20;
/// One piece of markup or text, in bytes: a cell holds 32,767 letters.
const LONGEST_PIECE: u64 = 1 << 20;

fn too_large(id: &'static str) -> Error {
    Error::TooLarge(Message::new(id))
}

/// Lets a zipped workbook pass.
///
/// # Errors
/// [`Error::TooLarge`] for a bomb, a DTD and links out; [`Error::WrongKind`] for what is no workbook.
pub(super) fn pass(bytes: &[u8], limits: &Limits) -> Result<Kind> {
    // Counted before the list is read into memory.
    if count(bytes, b"PK\x01\x02") > limits.entries {
        return Err(too_large("sheet-bomb-entries"));
    }
    let mut zip = ZipArchive::new(Cursor::new(bytes)).map_err(|_| broken())?;
    if zip.len() > limits.entries {
        return Err(too_large("sheet-bomb-entries"));
    }
    let mut total = 0_u64;
    let mut names = Vec::with_capacity(zip.len());
    for place in 0..zip.len() {
        let part = zip.by_index_raw(place).map_err(|_| broken())?;
        let (packed, unpacked) = (part.compressed_size(), part.size());
        total = total.saturating_add(unpacked);
        if total > limits.unpacked || (unpacked > SMALL && unpacked / packed.max(1) > limits.ratio) {
            return Err(too_large("sheet-bomb-unpacked"));
        }
        if part.encrypted() {
            return Err(Error::WrongKind(Message::new("sheet-file-password")));
        }
        names.push(part.name().map_err(|_| broken())?.replace('\\', "/").to_lowercase());
    }
    if zip.has_overlapping_entries().map_err(|_| broken())? {
        return Err(too_large("sheet-bomb-unpacked"));
    }
    let has = |name: &str| names.iter().any(|known| known == name);
    let is_ods = has("content.xml") && has("mimetype");
    if !is_ods && !has("[content_types].xml") {
        return Err(broken());
    }
    if names.iter().any(|name| name.starts_with("xl/externallinks/") || name == "xl/connections.xml") {
        return Err(too_large("sheet-bomb-links"));
    }
    let mut left = limits.unpacked;
    let mut look = Look { limits, since_1904: false, ods: Ods::default() };
    for place in 0..zip.len() {
        let part = zip.by_index(place).map_err(|_| broken())?;
        let said = part.size();
        let read = Rc::new(Counter::new(0_u64));
        // One byte more than it says: a part that goes on is no honest one.
        let metered =
            Metered { inner: part.take(said.saturating_add(1)), read: Rc::clone(&read), since: Rc::default() };
        look.part(metered)?;
        if read.get() > said || read.get() > left {
            return Err(too_large("sheet-bomb-unpacked"));
        }
        left -= read.get();
    }
    Ok(if is_ods { Kind::Ods } else { Kind::Xlsx(look.since_1904) })
}

fn count(bytes: &[u8], mark: &[u8; 4]) -> usize {
    bytes.windows(4).filter(|window| window == mark).count()
}

/// Counts what is read, and stops where one piece is too long.
struct Metered<R> {
    inner: R,
    read: Rc<Counter<u64>>,
    /// Bytes since the last whole piece.
    since: Rc<Counter<u64>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        if self.since.get() > LONGEST_PIECE {
            return Err(std::io::Error::other(TooLong));
        }
        let count = self.inner.read(buffer)?;
        self.read.set(self.read.get() + count as u64);
        self.since.set(self.since.get() + count as u64);
        Ok(count)
    }
}

#[derive(Debug, thiserror::Error)]
#[error("one piece is too long")]
struct TooLong;

struct Look<'a> {
    limits: &'a Limits,
    since_1904: bool,
    ods: Ods,
}

impl Look<'_> {
    fn part<R: Read>(&mut self, part: Metered<R>) -> Result<()> {
        let since = Rc::clone(&part.since);
        let mut part = BufReader::new(part);
        if !begins_like_xml(&mut part)? {
            // A picture: only its size counts.
            let mut buffer = [0_u8; 8192];
            loop {
                since.set(0);
                match part.read(&mut buffer) {
                    Ok(0) => return Ok(()),
                    Ok(_) => {}
                    Err(_) => return Err(broken()),
                }
            }
        }
        let mut xml = Reader::from_reader(part);
        let config = xml.config_mut();
        config.check_end_names = false;
        config.allow_unmatched_ends = true;
        config.allow_dangling_amp = true;
        let mut buffer = Vec::new();
        loop {
            buffer.clear();
            since.set(0);
            match xml.read_event_into(&mut buffer) {
                Ok(Event::Eof) => return Ok(()),
                Ok(event) => self.event(&event)?,
                Err(quick_xml::Error::Io(cause)) if cause.get_ref().is_some_and(|cause| cause.is::<TooLong>()) => {
                    return Err(too_large("sheet-bomb-unpacked"));
                }
                Err(_) => return Err(broken()),
            }
        }
    }

    fn event(&mut self, event: &Event<'_>) -> Result<()> {
        match event {
            Event::DocType(_) => return Err(too_large("sheet-bomb-dtd")),
            Event::Start(element) => self.element(element, false)?,
            Event::Empty(element) => self.element(element, true)?,
            Event::End(element) => self.ods.end(element.name().0, self.limits)?,
            Event::Text(text) => self.ods.text(text.len()),
            Event::CData(text) => self.ods.text(text.len()),
            Event::GeneralRef(_) => self.ods.text(1),
            _ => {}
        }
        Ok(())
    }

    fn element(&mut self, element: &BytesStart<'_>, is_empty: bool) -> Result<()> {
        match element.local_name().as_ref() {
            "Relationship" => {
                let kind = attribute(element, "Type").unwrap_or_default();
                let is_out = attribute(element, "TargetMode").is_some_and(|mode| mode.eq_ignore_ascii_case("external"));
                if (is_out && !kind.ends_with("/hyperlink")) || kind.ends_with("/externalLink") {
                    return Err(too_large("sheet-bomb-links"));
                }
            }
            "sst" => {
                let strings: u64 = attribute(element, "uniqueCount")
                    .map_or(Ok(0), |count| count.trim().parse())
                    .map_err(|_| broken())?;
                if strings > self.limits.cells as u64 {
                    return Err(too_large("sheet-bomb-cells"));
                }
            }
            "workbookPr" => {
                self.since_1904 = attribute(element, "date1904").is_some_and(|flag| flag == "1" || flag == "true");
            }
            "table-source" | "cell-range-source" => return Err(too_large("sheet-bomb-links")),
            _ => {}
        }
        self.ods.start(element, self.limits)?;
        if is_empty {
            self.ods.end(element.name().0, self.limits)?;
        }
        Ok(())
    }
}

fn begins_like_xml<R: Read>(part: &mut BufReader<R>) -> Result<bool> {
    use std::io::BufRead as _;
    let start = part.fill_buf().map_err(|_| broken())?;
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    Ok(start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<'))
}

fn attribute<'a>(element: &'a BytesStart<'_>, name: &str) -> Option<std::borrow::Cow<'a, str>> {
    element
        .attributes()
        .flatten()
        .find(|attribute| attribute.key.local_name().as_ref() == name)
        .map(|found| found.value)
}

/// The cells of an OpenDocument table as a reader spreads them out.
#[derive(Default)]
struct Ods {
    /// Lines so far, with their repeats; up to the last that is not empty; columns of the widest.
    lines: usize,
    tall: usize,
    wide: usize,
    /// Cells and bytes of text of all tables.
    cells: usize,
    text: usize,
    /// Of this line and this cell.
    line_repeat: usize,
    column: usize,
    last_full: usize,
    cell: Option<Spread>,
}

struct Spread {
    repeat: usize,
    is_full: bool,
    text: usize,
}

impl Ods {
    fn start(&mut self, element: &BytesStart<'_>, limits: &Limits) -> Result<()> {
        match element.name().0 {
            "table:table" => (self.lines, self.tall, self.wide) = (0, 0, 0),
            "table:table-row" => {
                self.line_repeat = repeats(element, "number-rows-repeated")?;
                (self.column, self.last_full, self.cell) = (0, 0, None);
            }
            "table:table-cell" | "table:covered-table-cell" => {
                const LOOKS: [&str; 6] = [
                    "style-name",
                    "number-columns-repeated",
                    "number-columns-spanned",
                    "number-rows-spanned",
                    "content-validation-name",
                    "protect",
                ];
                let is_full =
                    element.attributes().flatten().any(|found| !LOOKS.contains(&found.key.local_name().as_ref()));
                let text: usize = element.attributes().flatten().map(|found| found.value.len()).sum();
                let text = if is_full { text } else { 0 };
                self.cell = Some(Spread { repeat: repeats(element, "number-columns-repeated")?, is_full, text });
            }
            // `<text:s text:c="…"/>` is so many blanks.
            "text:s" => self.text(repeats(element, "c")?),
            _ => self.text(0),
        }
        if self.cell.as_ref().is_some_and(|cell| cell.text > limits.text) {
            return Err(too_large("sheet-bomb-cells"));
        }
        Ok(())
    }

    fn text(&mut self, bytes: usize) {
        if let Some(cell) = &mut self.cell {
            cell.is_full = true;
            cell.text = cell.text.saturating_add(bytes);
        }
    }

    fn end(&mut self, name: &str, limits: &Limits) -> Result<()> {
        match name {
            "table:table-cell" | "table:covered-table-cell" => {
                let Some(cell) = self.cell.take() else { return Ok(()) };
                self.column = self.column.saturating_add(cell.repeat);
                if cell.is_full {
                    self.last_full = self.column;
                    let times = cell.repeat.saturating_mul(self.line_repeat.max(1));
                    self.text = self.text.saturating_add(cell.text.saturating_mul(times));
                }
            }
            "table:table-row" => {
                self.lines = self.lines.saturating_add(self.line_repeat);
                self.cells = self.cells.saturating_add(self.last_full);
                if self.last_full > 0 {
                    self.tall = self.lines;
                    self.wide = self.wide.max(self.last_full);
                }
            }
            "table:table" => self.cells = self.cells.saturating_add(self.tall.saturating_mul(self.wide)),
            _ => return Ok(()),
        }
        let spread = self.cells.saturating_add(self.tall.saturating_mul(self.wide));
        if spread > limits.cells || self.text > limits.text {
            return Err(too_large("sheet-bomb-cells"));
        }
        Ok(())
    }
}

fn repeats(element: &BytesStart<'_>, name: &str) -> Result<usize> {
    match attribute(element, name) {
        Some(count) => count.trim().parse().map_err(|_| broken()),
        None => Ok(1),
    }
}
