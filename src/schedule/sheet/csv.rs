//! Comma separated values, as spreadsheets of all languages save them: `,`, `;` or tab, with or without a mark of the
//! encoding.

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::Cell;
use super::read::{Budget, Sheet, broken, text_cell};
use crate::error::Result;

/// Lines that the delimiter is guessed from.
const LOOK_AT: usize = 20;

pub(super) fn read(bytes: &[u8], budget: &mut Budget<'_>) -> Result<Vec<Sheet>> {
    let text = decode(bytes)?;
    let (delimiter, body) = delimiter(&text);
    let mut reader =
        csv::ReaderBuilder::new().delimiter(delimiter).has_headers(false).flexible(true).from_reader(body.as_bytes());
    let mut sheet = Sheet::new("");
    // A line of `sep=;` counts as one.
    let before = text[..text.len() - body.len()].matches('\n').count();
    let mut record = csv::StringRecord::new();
    while reader.read_record(&mut record).map_err(|_| broken())? {
        // Excel counts records, not the lines that they take.
        let row = u32::try_from(sheet_row(&record, before)).unwrap_or(u32::MAX);
        for (column, field) in record.iter().enumerate() {
            sheet.put(row, column, cell(field), budget)?;
        }
    }
    Ok(vec![sheet])
}

/// The number of a record, from 0.
fn sheet_row(record: &csv::StringRecord, before: usize) -> u64 {
    record.position().map_or(0, csv::Position::record) + before as u64
}

/// A field as text; the guard before what looks like a formula is taken off.
fn cell(field: &str) -> Cell {
    text_cell(crate::tabular::unguarded(field))
}

/// The text in whatever encoding it is.
fn decode(bytes: &[u8]) -> Result<String> {
    let encoding = match Encoding::for_bom(bytes) {
        Some((encoding, _)) => encoding,
        None => match utf_16(bytes) {
            Some(encoding) => encoding,
            None => {
                let mut detector = chardetng::EncodingDetector::new(chardetng::Iso2022JpDetection::Deny);
                detector.feed(bytes, true);
                detector.guess(None, chardetng::Utf8Detection::Allow)
            }
        },
    };
    let (text, _, wrong) = encoding.decode(bytes);
    // Bytes that are no text at all: a picture, a video.
    let controls = text.chars().filter(|letter| letter.is_control() && !matches!(letter, '\n' | '\r' | '\t')).count();
    if wrong || controls > 0 {
        return Err(broken());
    }
    Ok(text.into_owned())
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
    let score = |mark: u8| {
        let mut reader =
            csv::ReaderBuilder::new().delimiter(mark).has_headers(false).flexible(true).from_reader(text.as_bytes());
        let lengths: Vec<usize> =
            reader.records().take(LOOK_AT).filter_map(Result::ok).map(|record| record.len()).collect();
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
