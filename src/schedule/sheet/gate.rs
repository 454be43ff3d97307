//! The gate before a zipped workbook is read: what is made to explode is refused while it is still packed.
//!
//! Looked at are the list of parts (how many, how large they say they are, how tightly packed, lying over each other)
//! and then every part as a stream that is thrown away: how large it really is, no piece of markup larger than any cell,
//! no DTD, no link out, and no table that a reader would blow up: repeated rows and columns of ods ([`spread`]), the
//! count of shared strings of xlsx, for which room is made before one is read, looks that each copy a long name, sheets
//! that are one and the same. A gate is broken by what it does not see and the reader does: a part that is called like
//! XML and does not begin so is refused, and so is an attribute that stands there twice.

mod spread;

use std::borrow::Cow;
use std::cell::Cell as Counter;
use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader, Cursor, Read};
use std::rc::Rc;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};
use zip::ZipArchive;

use spread::Ods;

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
/// Looks, names, links and the like that a workbook may have of a kind that a reader keeps.
const MOST_KEPT: usize = 100_000;
/// Bytes that all looks of cells may take in memory.
const LOOKS: usize = 32 << 20;
/// Bytes of one look without the names in it, about.
const LOOK: usize = 512;

/// Bytes of one shared string without its letters, about.
const STRING: usize = 24;

/// The list of parts of an OpenDocument file.
const MANIFEST: &str = "meta-inf/manifest.xml";

fn too_large(id: &'static str) -> Error {
    Error::TooLarge(Message::new(id))
}

fn password() -> Error {
    Error::WrongKind(Message::new("sheet-file-password"))
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
            return Err(password());
        }
        names.push(part.name().map_err(|_| broken())?.replace('\\', "/").to_lowercase());
    }
    if zip.has_overlapping_entries().map_err(|_| broken())? {
        return Err(too_large("sheet-bomb-unpacked"));
    }
    let has = |name: &str| names.iter().any(|known| known == name);
    // LibreOffice packs the whole file into one part that is encrypted; others do so part by part, see `element`.
    if has("encrypted-package") {
        return Err(password());
    }
    let is_ods = has("content.xml") && has("mimetype");
    if !is_ods && !has("[content_types].xml") {
        return Err(broken());
    }
    if names.iter().any(|name| name.starts_with("xl/externallinks/") || name == "xl/connections.xml") {
        return Err(too_large("sheet-bomb-links"));
    }
    let mut left = limits.unpacked;
    let mut look = Look::new(limits);
    // What is encrypted looks broken; the list of the parts says which it is.
    let mut order: Vec<usize> = (0..names.len()).collect();
    order.sort_by_key(|place| names[*place] != MANIFEST);
    for place in order {
        let name = &names[place];
        let part = zip.by_index(place).map_err(|_| broken())?;
        let said = part.size();
        let read = Rc::new(Counter::new(0_u64));
        // One byte more than it says: a part that goes on is no honest one.
        let metered =
            Metered { inner: part.take(said.saturating_add(1)), read: Rc::clone(&read), since: Rc::default() };
        look.part(name, metered)?;
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
    /// Shared strings; other things that a reader keeps; the bytes of both.
    strings: usize,
    kept: usize,
    text: usize,
    /// Text is one that a reader keeps.
    keeps_text: bool,
    /// The longest name in a look so far, and the bytes of all looks.
    longest: usize,
    looks: usize,
    sheets: usize,
    /// Parts of sheets, and what sheets call them.
    parts: BTreeSet<String>,
    ids: BTreeSet<String>,
}

impl Look<'_> {
    fn new(limits: &Limits) -> Look<'_> {
        Look {
            limits,
            since_1904: false,
            ods: Ods::default(),
            strings: 0,
            kept: 0,
            text: 0,
            keeps_text: false,
            longest: 0,
            looks: 0,
            sheets: 0,
            parts: BTreeSet::new(),
            ids: BTreeSet::new(),
        }
    }

    fn part<R: Read>(&mut self, name: &str, part: Metered<R>) -> Result<()> {
        self.ods.part();
        self.keeps_text = false;
        let since = Rc::clone(&part.since);
        let mut part = BufReader::new(part);
        let is_empty = part.fill_buf().map_err(|_| broken())?.is_empty();
        if !begins_like_xml(&mut part)? {
            if is_xml(name) && !is_empty {
                return Err(broken());
            }
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
            Event::End(element) => {
                self.keeps_text &= !matches!(element.local_name().as_ref(), "si" | "definedName");
                self.ods.end(element.name().0, self.limits)?;
            }
            Event::Text(text) => self.read_text(text.len())?,
            Event::CData(text) => self.read_text(text.len())?,
            // One letter of UTF-8.
            Event::GeneralRef(_) => self.read_text(4)?,
            _ => {}
        }
        Ok(())
    }

    fn read_text(&mut self, bytes: usize) -> Result<()> {
        self.ods.text(bytes);
        self.keep(0, if self.keeps_text { bytes } else { 0 })
    }

    /// Counts what a reader keeps.
    fn keep(&mut self, things: usize, bytes: usize) -> Result<()> {
        self.kept += things;
        self.text = self.text.saturating_add(bytes);
        if self.kept > MOST_KEPT || self.text > self.limits.text {
            return Err(too_large("sheet-bomb-cells"));
        }
        Ok(())
    }

    fn element(&mut self, element: &BytesStart<'_>, is_empty: bool) -> Result<()> {
        match element.local_name().as_ref() {
            "Relationship" => self.relationship(element)?,
            "sst" => {
                for count in values(element, "uniqueCount")? {
                    if count.trim().parse::<u64>().map_err(|_| broken())? > self.limits.cells as u64 {
                        return Err(too_large("sheet-bomb-cells"));
                    }
                }
            }
            "si" => {
                self.strings += 1;
                self.keeps_text = !is_empty;
                if self.strings > self.limits.cells {
                    return Err(too_large("sheet-bomb-cells"));
                }
                self.keep(0, STRING)?;
            }
            "workbookPr" => {
                self.since_1904 |= values(element, "date1904")?.iter().any(|flag| flag == "1" || flag == "true");
            }
            "sheet" => {
                self.sheets += 1;
                let is_known = values(element, "id")?.pop().is_some_and(|id| !self.ids.insert(id.into_owned()));
                if self.sheets > self.limits.sheets || is_known {
                    return Err(too_large("sheet-bomb-cells"));
                }
                self.keep(1, element.len())?;
            }
            "definedName" => {
                self.keeps_text = !is_empty;
                self.keep(1, element.len())?;
            }
            "numFmt" | "name" => {
                self.longest = self.longest.max(element.len());
                self.keep(1, element.len())?;
            }
            "xf" => {
                self.looks = self.looks.saturating_add(LOOK + self.longest);
                if self.looks > LOOKS {
                    return Err(too_large("sheet-bomb-cells"));
                }
            }
            "font" | "fill" | "border" | "style" | "named-range" | "named-expression" => self.keep(1, element.len())?,
            "encryption-data" => return Err(password()),
            "table-source" | "cell-range-source" => return Err(too_large("sheet-bomb-links")),
            _ => {}
        }
        self.ods.start(element, self.limits)?;
        if is_empty {
            self.ods.end(element.name().0, self.limits)?;
        }
        Ok(())
    }

    fn relationship(&mut self, element: &BytesStart<'_>) -> Result<()> {
        let kinds = values(element, "Type")?;
        let is_kind = |name: &str| kinds.iter().any(|kind| kind.rsplit('/').next() == Some(name));
        let is_out = values(element, "TargetMode")?.iter().any(|mode| mode.eq_ignore_ascii_case("external"));
        if (is_out && !is_kind("hyperlink")) || is_kind("externalLink") {
            return Err(too_large("sheet-bomb-links"));
        }
        if is_kind("worksheet") || is_kind("officeDocument") {
            for target in values(element, "Target")? {
                let target = target.replace('\\', "/").to_lowercase();
                // Anything else could be looked at as a picture and read as a sheet.
                if !is_xml(&target) {
                    return Err(broken());
                }
                let mut ends: Vec<&str> = target.rsplit('/').filter(|part| !part.is_empty()).take(2).collect();
                ends.reverse();
                if is_kind("worksheet") && !self.parts.insert(ends.join("/")) {
                    return Err(too_large("sheet-bomb-cells"));
                }
            }
        }
        self.keep(1, element.len())
    }
}

/// Called like XML.
fn is_xml(name: &str) -> bool {
    [".xml", ".rels"].iter().any(|end| name.ends_with(end))
}

fn begins_like_xml<R: Read>(part: &mut BufReader<R>) -> Result<bool> {
    let start = part.fill_buf().map_err(|_| broken())?;
    let start = start.strip_prefix(b"\xEF\xBB\xBF").unwrap_or(start);
    Ok(start.iter().find(|byte| !byte.is_ascii_whitespace()) == Some(&b'<'))
}

/// What attributes say whose name is this one, in any namespace: readers differ in which of them they take.
fn values<'a>(element: &'a BytesStart<'_>, name: &str) -> Result<Vec<Cow<'a, str>>> {
    let mut found = Vec::new();
    for attribute in element.attributes() {
        let attribute = attribute.map_err(|_| broken())?;
        if attribute.key.local_name().as_ref() == name {
            found.push(match attribute.value.contains('&') {
                true => Cow::Owned(quick_xml::escape::unescape(&attribute.value).map_err(|_| broken())?.into_owned()),
                false => attribute.value,
            });
        }
    }
    Ok(found)
}
