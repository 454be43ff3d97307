//! The JSON databases of the old program, record by record: lists, or objects keyed by id. A file that is torn gives what
//! stands before the tear, and where that is.

use std::cell::Cell;
use std::fs::File;
use std::io::{BufRead as _, BufReader, Read};
use std::rc::Rc;

use serde::de::{DeserializeSeed, Deserializer as _, MapAccess, SeqAccess, Visitor};
use serde_json::Value;

/// Largest database, in bytes.
pub(super) const MOST_BYTES: u64 = 128 << 20;
/// What the databases of an old home may have together, in bytes: their records stand in memory beside one another.
pub(super) const MOST_TOGETHER: u64 = 256 << 20;
/// Largest record, in bytes: as values it takes many times that much memory.
pub(super) const MOST_RECORD: usize = 2 << 20;
/// Records of one database: each of them, even an empty one, takes memory.
pub(super) const MOST_RECORDS: usize = 250_000;

/// How reading a database ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Ending {
    /// All of it was read; so many records.
    Whole(usize),
    /// From here on it cannot be read.
    Torn {
        /// Line, from 1.
        line: usize,
        /// Column, from 1.
        column: usize,
    },
    /// Larger than it may be.
    TooLarge,
    /// It has more than [`MOST_RECORDS`]; those were read.
    TooMany,
    /// A record is larger than [`MOST_RECORD`]; those before it were read.
    LargeRecord {
        /// Its number, from 1.
        row: usize,
    },
    /// It holds neither a list nor an object.
    Strange,
}

/// Where a record stands: its number in a list, from 1, or its key in an object.
pub(super) type RowName = String;

struct Each<'r> {
    record: &'r mut dyn FnMut(RowName, Value),
    count: usize,
    strange: bool,
    /// What the record that is read now may yet take.
    left: Rc<Cell<usize>>,
}

impl Each<'_> {
    /// Counts a record that was read; the next one has room again.
    fn read<E: serde::de::Error>(&mut self) -> Result<(), E> {
        self.left.set(MOST_RECORD);
        self.count += 1;
        if self.count > MOST_RECORDS { Err(E::custom("too many")) } else { Ok(()) }
    }
}

/// Reads no more than a record may take.
struct Metered<R> {
    inner: R,
    left: Rc<Cell<usize>>,
}

impl<R: Read> Read for Metered<R> {
    fn read(&mut self, buffer: &mut [u8]) -> std::io::Result<usize> {
        let left = self.left.get();
        if left == 0 {
            return Err(std::io::ErrorKind::FileTooLarge.into());
        }
        let most = buffer.len().min(left);
        let count = self.inner.read(&mut buffer[..most])?;
        self.left.set(left - count);
        Ok(count)
    }
}

impl<'de> Visitor<'de> for &mut Each<'_> {
    type Value = ();

    fn expecting(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("a list or an object")
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while let Some(value) = list.next_element::<Value>()? {
            self.read()?;
            (self.record)(self.count.to_string(), value);
        }
        Ok(())
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<(), A::Error> {
        while let Some((key, value)) = map.next_entry::<String, Value>()? {
            self.read()?;
            (self.record)(key, value);
        }
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        self.strange = true;
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        self.strange = true;
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        self.strange = true;
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        self.strange = true;
        Ok(())
    }

    fn visit_str<E>(self, _: &str) -> Result<(), E> {
        self.strange = true;
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

impl<'de> DeserializeSeed<'de> for &mut Each<'_> {
    type Value = ();
    fn deserialize<D: serde::Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

/// Reads a database of `most` bytes; `record` sees each record with its place, also those before a tear.
///
/// # Errors
/// Those of reading the file.
pub(super) fn read(file: File, most: u64, mut record: impl FnMut(RowName, Value)) -> std::io::Result<Ending> {
    if file.metadata()?.len() > most {
        return Ok(Ending::TooLarge);
    }
    // It may grow while it is read.
    let mut reader = BufReader::with_capacity(64 << 10, file.take(most));
    // Some editors begin a text with this mark.
    if reader.fill_buf()?.starts_with(b"\xef\xbb\xbf") {
        reader.consume(3);
    }
    if is_blank(&mut reader)? {
        return Ok(Ending::Whole(0));
    }
    let left = Rc::new(Cell::new(MOST_RECORD));
    let mut each = Each { record: &mut record, count: 0, strange: false, left: left.clone() };
    let mut json = serde_json::Deserializer::from_reader(Metered { inner: reader, left: left.clone() });
    match json.deserialize_any(&mut each).and_then(|()| json.end()) {
        Ok(()) if each.strange => Ok(Ending::Strange),
        Ok(()) => Ok(Ending::Whole(each.count)),
        Err(_) if each.count > MOST_RECORDS => Ok(Ending::TooMany),
        Err(cause) if cause.is_io() && left.get() == 0 => Ok(Ending::LargeRecord { row: each.count + 1 }),
        Err(cause) if cause.is_io() => Err(cause.into()),
        Err(cause) => Ok(Ending::Torn { line: cause.line(), column: cause.column() }),
    }
}

/// Whether nothing but blanks is left; these are passed over.
fn is_blank(reader: &mut impl std::io::BufRead) -> std::io::Result<bool> {
    loop {
        let buffer = reader.fill_buf()?;
        if buffer.is_empty() {
            return Ok(true);
        }
        if buffer.iter().any(|byte| !byte.is_ascii_whitespace()) {
            return Ok(false);
        }
        let length = buffer.len();
        reader.consume(length);
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;

    fn rows(text: &[u8]) -> (Vec<String>, Ending) {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(text).unwrap();
        let mut found = Vec::new();
        let ending =
            read(file.reopen().unwrap(), MOST_BYTES, |row, value| found.push(format!("{row}={value}"))).unwrap();
        (found, ending)
    }

    #[test]
    fn what_is_larger_than_there_is_room_for_is_not_read() {
        let mut file = tempfile::NamedTempFile::new().unwrap();
        file.write_all(b"[1,2]").unwrap();
        let mut seen = 0;
        assert_eq!(read(file.reopen().unwrap(), 4, |_, _| seen += 1).unwrap(), Ending::TooLarge);
        assert_eq!((seen, read(file.reopen().unwrap(), 5, |_, _| seen += 1).unwrap()), (0, Ending::Whole(2)));
    }

    #[test]
    fn lists_and_objects_are_read_and_a_torn_one_gives_what_stands_before_the_tear() {
        assert_eq!(rows(b"[1,2]"), (vec!["1=1".into(), "2=2".into()], Ending::Whole(2)));
        assert_eq!(rows(b"\xef\xbb\xbf{\"a\":{\"id\":1}}"), (vec!["a={\"id\":1}".into()], Ending::Whole(1)));
        assert_eq!(rows(b"{}"), (vec![], Ending::Whole(0)));
        assert_eq!(rows(b" \n"), (vec![], Ending::Whole(0)));
        assert_eq!(rows(b"null"), (vec![], Ending::Whole(0)));
        assert_eq!(rows(b"7"), (vec![], Ending::Strange));
        assert_eq!(rows(b"[1,\n{\"a\":"), (vec!["1=1".into()], Ending::Torn { line: 2, column: 5 }));
        assert_eq!(rows(b"[1] x").1, Ending::Torn { line: 1, column: 5 });
        assert!(matches!(rows(b"[1,\"\xff\"]").1, Ending::Torn { line: 1, .. }));
        assert!(matches!(rows("[".repeat(100_000).as_bytes()).1, Ending::Torn { .. }));
    }
}
