//! What came from where: a mark in the library that it came into, written in the batch of its row. So a kill at any
//! moment leaves both or neither, and a run that begins again knows exactly what is there.

use std::ops::ControlFlow;
use std::os::unix::ffi::{OsStrExt as _, OsStringExt as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::report::What;
use super::source::Stamp;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::store::rows::{Reader, Writer};
use crate::text::Message;

const MARKS: &str = "moved-in/mark/";
const PATHS: &str = "moved-in/path/";
const HOMES: &str = "moved-in/home/";

/// Where something of a library came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Mark {
    /// What it became.
    pub what: What,
    /// Which row.
    pub id: Uuid,
    /// Names the old home.
    pub home: String,
    /// Its row or file there, for people.
    pub from: String,
    /// Its file there.
    pub file: Option<OldBytes>,
    /// When; the row is unchanged while its own time of change is the same.
    pub at: Timestamp,
}

/// The file that bytes came from.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct OldBytes {
    /// Its path in the old home, in hex: names need not be text.
    path: String,
    /// How it was.
    pub stamp: Stamp,
    /// BLAKE3 of its bytes, in hex.
    pub hash: String,
}

impl OldBytes {
    pub fn new(path: &Path, stamp: Stamp, hash: blake3::Hash) -> OldBytes {
        OldBytes { path: hex::encode(path.as_os_str().as_bytes()), stamp, hash: hash.to_hex().to_string() }
    }

    pub fn path(&self) -> std::path::PathBuf {
        std::ffi::OsString::from_vec(hex::decode(&self.path).unwrap_or_default()).into()
    }
}

/// Names something of an old home: equal for equal things, whichever folder the home lies in.
pub(super) fn identity(what: What, parts: &[&[u8]]) -> String {
    let mut hasher = blake3::Hasher::new_derive_key("jadwalstream 2026 moved in");
    hasher.update(what.code().as_bytes());
    for part in parts {
        hasher.update(&(part.len() as u64).to_le_bytes()).update(part);
    }
    hasher.finalize().to_hex()[..40].to_owned()
}

/// Names an old home by its place on this machine.
pub(super) fn home_name(path: &Path) -> String {
    blake3::hash(path.as_os_str().as_bytes()).to_hex()[..16].to_owned()
}

fn path_key(what: What, path: &Path) -> String {
    format!("{PATHS}{}", identity(what, &[path.as_os_str().as_bytes()]))
}

impl Mark {
    /// The database and the row that it came from, where it came from one.
    pub fn row(&self) -> Option<(String, String)> {
        super::survey::DATABASES.iter().find_map(|name| {
            let end = self.from.find(name)? + name.len();
            let row = self.from.get(end..)?.strip_prefix(' ')?;
            Some((self.from.get(..end)?.to_owned(), row.to_owned()))
        })
    }

    /// Writes it, in the batch of the row.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is there: a run that was stopped wrote its last row when the next one had begun.
    pub fn write(&self, rows: &mut Writer<'_>, identity: &str) -> Result<()> {
        let key = format!("{MARKS}{identity}");
        if rows.value::<Mark>(&key)?.is_some() {
            return Err(Error::Conflict(Message::new("migrate-came-meanwhile")));
        }
        if let Some(file) = &self.file {
            let path = path_key(self.what, &file.path());
            let mut known: Vec<String> = rows.value(&path)?.unwrap_or_default();
            if !known.iter().any(|known| known == identity) {
                known.push(identity.to_owned());
            }
            rows.put_value(&path, &known)?;
        }
        rows.put_value(&key, self)
    }

    /// Forgets it.
    pub fn forget(&self, rows: &mut Writer<'_>, identity: &str) -> Result<()> {
        if let Some(file) = &self.file {
            let key = path_key(self.what, &file.path());
            let mut known: Vec<String> = rows.value(&key)?.unwrap_or_default();
            known.retain(|known| known != identity);
            if known.is_empty() {
                rows.delete_value(&key);
            } else {
                rows.put_value(&key, &known)?;
            }
        }
        rows.delete_value(&format!("{MARKS}{identity}"));
        Ok(())
    }
}

/// Remembers where an old home lies that marks will name.
pub(super) async fn remember_home(editor: &Editor, home: &str, path: &Path) -> Result<()> {
    let (key, path) = (format!("{HOMES}{home}"), hex::encode(path.as_os_str().as_bytes()));
    if editor
        .rows()
        .read({
            let key = key.clone();
            move |rows| rows.value::<String>(&key)
        })
        .await?
        .is_some()
    {
        return Ok(());
    }
    editor.rows().write(move |rows| rows.put_value(&key, &path)).await
}

/// Where the old homes lie that marks of a library name.
pub(super) async fn homes(library: &Library) -> Result<Vec<(String, PathBuf)>> {
    let look = |rows: &Reader<'_>| {
        let mut found = Vec::new();
        rows.values::<String>(HOMES, |key, path| {
            let path = std::ffi::OsString::from_vec(hex::decode(path).unwrap_or_default());
            found.push((key.trim_start_matches(HOMES).to_owned(), path.into()));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    };
    absent(library.rows().read(look).await)
}

/// The mark of a thing.
pub(super) fn mark(rows: &Reader<'_>, identity: &str) -> Result<Option<Mark>> {
    rows.value(&format!("{MARKS}{identity}"))
}

/// The mark of a thing, for a library that may not be there yet.
pub(super) async fn find(library: Option<&Library>, identity: String) -> Result<Option<Mark>> {
    let Some(library) = library else { return Ok(None) };
    absent(library.rows().read(move |rows| mark(rows, &identity)).await)
}

/// The marks of what came from a path before.
pub(super) async fn of_path(library: Option<&Library>, what: What, path: &Path) -> Result<Vec<Mark>> {
    let Some(library) = library else { return Ok(Vec::new()) };
    let key = path_key(what, path);
    let look = move |rows: &Reader<'_>| {
        let mut found = Vec::new();
        for identity in rows.value::<Vec<String>>(&key)?.unwrap_or_default() {
            found.extend(mark(rows, &identity)?);
        }
        Ok(found)
    };
    absent(library.rows().read(look).await)
}

/// Rows of a library that came from a file of an old home, by what its records call the file.
///
/// # Errors
/// Those of the store.
pub(crate) fn came_from(rows: &Reader<'_>, what: What, person: &str, name: &str) -> Result<Vec<Uuid>> {
    let Ok(places) = super::files::places(super::files::folder_for(what), Some(person), name) else {
        return Ok(Vec::new());
    };
    let mut found = Vec::new();
    for path in places {
        for identity in rows.value::<Vec<String>>(&path_key(what, &path))?.unwrap_or_default() {
            found.extend(mark(rows, &identity)?.map(|mark| mark.id));
        }
        if !found.is_empty() {
            break;
        }
    }
    Ok(found)
}

/// What came from files: what it is, the old path, and the row. Where several old homes had one of that path, that of
/// `home` is meant.
pub(super) async fn files(library: Option<&Library>, home: &str) -> Result<Vec<(What, PathBuf, Uuid)>> {
    let Some(library) = library else { return Ok(Vec::new()) };
    let home = home.to_owned();
    let look = move |rows: &Reader<'_>| {
        let mut known = Vec::new();
        rows.values::<Vec<String>>(PATHS, |_, identities| {
            known.push(identities);
            ControlFlow::Continue(())
        })?;
        let mut found = Vec::new();
        for identities in known {
            let marks = identities.iter().map(|identity| mark(rows, identity)).collect::<Result<Vec<_>>>()?;
            let mut marks: Vec<Mark> = marks.into_iter().flatten().collect();
            // The newest of this home, else the newest.
            marks.sort_by_key(|mark| (mark.home == home, mark.at));
            if let Some(Mark { what, id, file: Some(file), .. }) = marks.pop() {
                found.push((what, file.path(), id));
            }
        }
        Ok(found)
    };
    absent(library.rows().read(look).await)
}

/// Every mark of a library, with its identity.
pub(super) async fn all(library: &Library) -> Result<Vec<(String, Mark)>> {
    let look = |rows: &Reader<'_>| {
        let mut found = Vec::new();
        rows.values::<Mark>(MARKS, |key, mark| {
            found.push((key.trim_start_matches(MARKS).to_owned(), mark));
            ControlFlow::Continue(())
        })?;
        Ok(found)
    };
    absent(library.rows().read(look).await)
}

fn absent<T: Default>(read: Result<T>) -> Result<T> {
    match read {
        Err(Error::NotFound) => Ok(T::default()),
        read => read,
    }
}
