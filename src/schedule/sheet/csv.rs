//! Comma separated values, as spreadsheets of all languages save them: `,`, `;` or tab, with or without a mark of the
//! encoding.

use std::borrow::Cow;

use csv_core::ReadFieldResult;
use encoding_rs::{CoderResult, Encoding, UTF_16BE, UTF_16LE};

use super::read::{Budget, Sheet, broken, text_cell};
use super::{Cell, Limits};
use crate::error::{Error, Result};
use crate::text::Message;

/// Lines that the delimiter is guessed from.
const LOOK_AT: usize = 20;
/// Bytes that encoding and delimiter are guessed from.
const LOOK_INTO: usize = 64 << 10;

pub(super) fn read(bytes: &[u8], budget: &mut Budget<'_>) -> Result<Vec<Sheet>> {
    let text = decode(bytes, budget.limits)?;
    let (delimiter, body) = delimiter(&text);
    let mut sheet = Sheet::new("");
    // A line of `sep=;` counts as one.
    let mut row = u32::from(body.len() < text.len());
    // Field by field: a line of millions of fields is never held.
    let mut reader = csv_core::ReaderBuilder::new().delimiter(delimiter).build();
    let (mut left, mut column) = (body.as_bytes(), 0);
    let (mut field, mut piece) = (Vec::new(), [0_u8; 4096]);
    loop {
        let (result, taken, given) = reader.read_field(left, &mut piece);
        left = &left[taken..];
        field.extend_from_slice(&piece[..given]);
        match result {
            // What follows says that nothing does.
            ReadFieldResult::InputEmpty | ReadFieldResult::OutputFull => {}
            ReadFieldResult::Field { record_end } => {
                let text = std::str::from_utf8(&field).map_err(|_| broken())?;
                sheet.put(row, column, cell(text), budget)?;
                field.clear();
                // Excel counts records, not the lines that they take.
                (row, column) = if record_end { (row.saturating_add(1), 0) } else { (row, column + 1) };
            }
            ReadFieldResult::End => return Ok(vec![sheet]),
        }
    }
}

/// A field as text; the guard before what looks like a formula is taken off.
fn cell(field: &str) -> Cell {
    text_cell(crate::tabular::unguarded(field))
}

/// The text in whatever encoding it is.
fn decode<'b>(bytes: &'b [u8], limits: &Limits) -> Result<Cow<'b, str>> {
    let text = match (Encoding::for_bom(bytes), std::str::from_utf8(bytes)) {
        (None, Ok(text)) if utf_16(bytes).is_none() => Cow::Borrowed(text),
        (None, _) => Cow::Owned(converted(utf_16(bytes).unwrap_or_else(|| guessed(bytes)), bytes, limits)?),
        (Some((encoding, length)), _) => Cow::Owned(converted(encoding, &bytes[length..], limits)?),
    };
    // Bytes that are no text at all: a picture, a video.
    match text.chars().any(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')) {
        true => Err(broken()),
        false => Ok(text),
    }
}

/// Text of an encoding, as far as there may be text.
fn converted(encoding: &'static Encoding, bytes: &[u8], limits: &Limits) -> Result<String> {
    let mut decoder = encoding.new_decoder_without_bom_handling();
    let (mut text, mut left) = (String::new(), bytes);
    loop {
        text.reserve(LOOK_INTO);
        let (result, taken, wrong) = decoder.decode_to_string(left, &mut text, true);
        left = &left[taken..];
        if wrong {
            return Err(broken());
        }
        if text.len() > limits.text {
            return Err(Error::TooLarge(Message::new("sheet-file-text").with("most", limits.text >> 20)));
        }
        if result == CoderResult::InputEmpty {
            return Ok(text);
        }
    }
}

/// The encoding of a text that is not UTF-8, by what stands around its first letter that is not Latin.
fn guessed(bytes: &[u8]) -> &'static Encoding {
    let first = bytes.iter().position(|byte| !byte.is_ascii()).unwrap_or(0);
    let from = first.saturating_sub(LOOK_INTO / 8);
    let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
    detector.feed(&bytes[from..bytes.len().min(from + LOOK_INTO)], true);
    detector.guess(None, chardetng::Utf8Detection::Deny)
}

/// UTF-16 without its mark: every other byte of Latin text is 0.
fn utf_16(bytes: &[u8]) -> Option<&'static Encoding> {
    let start = &bytes[..bytes.len().min(512) & !1];
    let zeros = |place: usize| start.iter().skip(place).step_by(2).filter(|byte| **byte == 0).count();
    let half = start.len() / 2;
    match (zeros(0), zeros(1)) {
        (0, second) if second * 2 > half => Some(UTF_16LE),
        (first, 0) if first * 2 > half => Some(UTF_16BE),
        _ => None,
    }
}

/// The delimiter and the text after a line that names it (`sep=;`).
fn delimiter(text: &str) -> (u8, &str) {
    let first = text.lines().next().unwrap_or_default();
    if let Some(named) = first.trim().strip_prefix("sep=")
        && let [byte @ (b',' | b';' | b'\t' | b'|')] = named.as_bytes()
    {
        return (*byte, text.split_once('\n').map_or("", |(_, rest)| rest));
    }
    // The one by which the first lines fall into the most columns, as many in each.
    let top = &text[..text.floor_char_boundary(LOOK_INTO)];
    let score = |mark: u8| {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(mark).has_headers(false).flexible(true).from_reader(top.as_bytes());
        let (mut record, mut lengths) = (csv::StringRecord::new(), Vec::new());
        while lengths.len() < LOOK_AT && reader.read_record(&mut record).is_ok_and(|is_one| is_one) {
            lengths.push(record.len());
        }
        if top.len() < text.len() && lengths.len() > 1 && reader.is_done() {
            // It may be cut.
            lengths.pop();
        }
        let head = lengths.first().copied().unwrap_or(0);
        let same = lengths.iter().filter(|length| **length == head).count();
        if head < 2 { (0, 0) } else { (same * 100 / lengths.len().max(1), head) }
    };
    let best = [b',', b';', b'\t'].into_iter().rev().max_by_key(|mark| score(*mark)).unwrap_or(b',');
    (best, text)
}

#[cfg(test)]
mod tests {
    use super::super::{Limits, read};

    fn heads(bytes: &[u8]) -> Vec<String> {
        read(bytes, &Limits::default()).unwrap().remove(0).heads
    }

    #[test]
    fn every_delimiter_and_encoding_of_spreadsheets_is_read() {
        for mark in [",", ";", "\t"] {
            let text = format!("judul{mark}mulai\r\n\"Ngaji, {mark} \"\"Subuh\"\"\"{mark}2027-01-04 04:30\r\n");
            assert_eq!(heads(text.as_bytes()), ["judul", "mulai"], "{mark:?}");
            assert_eq!(heads(format!("\u{feff}{text}").as_bytes()), ["judul", "mulai"]);
            let little: Vec<u8> = text.encode_utf16().flat_map(u16::to_le_bytes).collect();
            assert_eq!(heads(&little), ["judul", "mulai"]);
            let marked: Vec<u8> = [0xFF, 0xFE].into_iter().chain(little).collect();
            assert_eq!(heads(&marked), ["judul", "mulai"]);
        }
        let table = read(b"title;start\nCaf\xe9 \x96 d\xe9j\xe0 vu;x\n", &Limits::default()).unwrap().remove(0);
        assert_eq!(table.lines[0].cell(0).text(), "Café – déjà vu");
        assert_eq!(heads(b"sep=;\ntitle;start, maybe\na;b\n"), ["title", "start, maybe"]);
    }

    #[test]
    fn a_picture_is_no_table() {
        assert!(read(b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR", &Limits::default()).is_err());
        assert!(read(b"", &Limits::default()).is_err());
    }
}
