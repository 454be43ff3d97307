//! What lies in an old home: its databases, its files, and those of each person in it.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};

use super::files;
use super::source::{Entry, Source, bounded, shown};
use crate::error::{Error, Result};
use crate::text::Message;

/// Folders of the old home that hold files of people.
pub(super) const FOLDERS: [&str; 3] = ["videos", "thumbnails", "tokens"];
/// Folders that may hold one folder with databases for each person.
pub(super) const PEOPLE: [&str; 2] = ["data", "users"];

/// A database of the old home.
#[derive(Debug, Clone)]
pub(super) struct Database {
    /// Relative to the old home.
    pub path: PathBuf,
    /// The person in whose folder it lies.
    pub person: Option<String>,
}

/// What lies in an old home.
pub(super) struct Found {
    /// All of it.
    pub entries: Vec<Entry>,
    /// The databases, those of the whole home first.
    pub databases: Vec<Database>,
}

/// The files that the old program wrote, in its home or in that of one person.
pub(super) const DATABASES: [&str; 7] = [
    "users.json",
    "video_database.json",
    "thumbnail_database.json",
    "live_streams.json",
    "stream_mapping.json",
    "telegram_config.json",
    WORKBOOK,
];
/// That of broadcasts.
pub(super) const WORKBOOK: &str = "live_stream_data.xlsx";
/// What the old program kept and this one has no use for.
pub(super) const UNNEEDED: [&str; 2] = ["schedule_config.json", "stream_timers.json"];

/// Whether it is a database by its name, of the whole home or of one person.
fn is_database(path: &Path) -> bool {
    let parts: Vec<&str> = path.iter().filter_map(OsStr::to_str).collect();
    match parts.as_slice() {
        [name] => DATABASES.contains(name),
        [people, name] | [people, _, name] => PEOPLE.contains(people) && DATABASES.contains(name),
        _ => false,
    }
}

/// Looks through an old home without reading a file.
pub(super) fn survey(source: &Source) -> Result<Found> {
    let unreadable = |cause: std::io::Error| {
        let message = Message::new("migrate-no-folder").with("folder", shown(source.path()));
        Error::Conflict(message.with("cause", cause.to_string()))
    };
    let (folders, mut entries) = source.list(Path::new("")).map_err(unreadable)?;
    for folder in &folders {
        let name = folder.to_str().unwrap_or_default();
        if FOLDERS.contains(&name) || is_shared(name) {
            source.walk(folder, &mut entries)?;
        } else if PEOPLE.contains(&name) {
            let (people, files) = source.list(folder).map_err(unreadable)?;
            entries.extend(files);
            for person in people {
                source.walk(&person, &mut entries)?;
            }
        }
        bounded(entries.len())?;
    }
    bounded(entries.len().max(folders.len()))?;
    let mut databases: Vec<Database> = entries
        .iter()
        .filter(|entry| is_database(&entry.path))
        .map(|entry| {
            let person = files::person_of(&entry.path).map(str::to_owned);
            Database { path: entry.path.clone(), person }
        })
        .collect();
    // Those of the whole home first.
    databases.sort_by_key(|database| (database.person.is_some(), database.path.clone()));
    let is_ours = |folder: &str| FOLDERS.contains(&folder) || is_shared(folder);
    let first = |path: &Path| path.iter().next().and_then(OsStr::to_str).map(is_ours);
    let is_file = |path: &Path| first(path) == Some(true) || files::folder_of(path).is_some();
    let has_media = entries.iter().any(|entry| entry.path.iter().count() > 1 && is_file(&entry.path));
    if databases.is_empty() && !has_media {
        return Err(Error::Conflict(Message::new("migrate-nothing-there").with("folder", shown(source.path()))));
    }
    Ok(Found { entries, databases })
}

/// Folders of an old home whose files are looked at.
pub(super) fn is_looked_into(name: &str) -> bool {
    FOLDERS.contains(&name) || PEOPLE.contains(&name) || is_shared(name)
}

/// Folders of the old program that all people shared.
fn is_shared(name: &str) -> bool {
    name == "albums" || ["Generated-Montages", "Generated-Slideshows", "Generated-Clips"].contains(&name)
}
