//! The old home as it lies on the disk, read by way of one open folder: no link is followed, no pipe is waited at, and
//! nothing outside is ever reached, whatever a name in it says (THREATS 5).

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::stat::Mode;
use nix::unistd::{UnlinkatFlags, unlinkat};
use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::Message;

/// Folders within folders that are looked into.
const DEPTH: usize = 8;
/// Entries of an old home; what has more is none.
const MOST: usize = 1_000_000;

/// An open old home.
pub(super) struct Source {
    folder: OwnedFd,
    path: PathBuf,
}

/// What an entry is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Nature {
    /// A plain file with one name.
    File,
    /// A plain file with further names: what they are, nobody here can tell.
    Shared,
    /// A symbolic link.
    Link,
    /// A folder that is not looked into: too deep, or not readable.
    Closed,
    /// A pipe, a socket or a device.
    Device,
}

/// What stands in a folder of the old home.
#[derive(Debug, Clone)]
pub(super) struct Entry {
    /// Relative to the old home.
    pub path: PathBuf,
    /// What it is.
    pub nature: Nature,
    /// How it was when it was looked at.
    pub stamp: Stamp,
}

/// What tells a file from what it was before, without reading it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Stamp {
    /// Bytes.
    pub size: u64,
    /// Last change, in nanoseconds since 1970.
    pub changed: i64,
}

impl Stamp {
    fn of(found: &fs::Metadata) -> Stamp {
        let changed = found.mtime().saturating_mul(1_000_000_000).saturating_add(found.mtime_nsec());
        Stamp { size: found.len(), changed }
    }
}

/// Lets so many entries pass.
///
/// # Errors
/// [`Error::TooLarge`] for more than any old home has.
pub(super) fn bounded(entries: usize) -> Result<()> {
    if entries > MOST {
        return Err(Error::TooLarge(Message::new("migrate-too-many-files").with("most", MOST)));
    }
    Ok(())
}

/// A path as people and reports are shown it: as it is where it is text, with `\x..` for what is not.
pub(super) fn shown(path: &Path) -> String {
    match path.to_str() {
        Some(text) if !text.chars().any(char::is_control) => text.to_owned(),
        _ => path.as_os_str().as_bytes().escape_ascii().to_string(),
    }
}

fn refused(path: &Path, cause: impl std::fmt::Display) -> Error {
    let message = Message::new("migrate-no-folder").with("folder", shown(path));
    Error::Conflict(message.with("cause", cause.to_string()))
}

impl Source {
    /// Opens an old home.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is no folder that can be read; [`Error::Invalid`] where it does not lie `within` the
    /// folder that it has to, whatever it was when that was checked before.
    pub fn open(path: &Path, within: Option<&Path>) -> Result<Source> {
        let path = fs::canonicalize(path).map_err(|cause| refused(path, cause))?;
        if let Some(within) = within
            && !fs::canonicalize(within).is_ok_and(|within| path.starts_with(within))
        {
            return Err(Error::field("from", Message::new("migrate-folder-not-allowed")));
        }
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC)
            // There was none in it when its place was checked; one that was put there since is not followed.
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
        let here = File::open("/")?;
        let folder = openat2(&here, &path, how).map_err(|cause| refused(&path, cause))?;
        Ok(Source { folder, path })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Whether it is the home of this program, a folder of it, or one in whose folders of people that home lies, by
    /// whatever way it is reached.
    ///
    /// # Errors
    /// Those of the system.
    pub fn is_of(&self, home: &Path) -> io::Result<bool> {
        let home = fs::canonicalize(home)?;
        let this = fs::metadata(format!("/proc/self/fd/{}/.", self.folder.as_raw_fd()))?;
        let is_this = |path: &Path| fs::metadata(path).is_ok_and(|at| (at.dev(), at.ino()) == (this.dev(), this.ino()));
        let own = ["data", "videos", "photos", "thumbnails", "tokens"].map(|name| home.join(name));
        let outer = home.ancestors().skip(1).find(|outer| is_this(outer));
        let first = outer.and_then(|outer| home.strip_prefix(outer).ok()?.iter().next()?.to_str());
        Ok(is_this(&home)
            || own.iter().any(|own| is_this(own) || self.path.starts_with(own))
            || first.is_some_and(super::survey::is_looked_into))
    }

    fn below(&self, path: &Path, flags: OFlag) -> io::Result<OwnedFd> {
        let resolve =
            ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH | ResolveFlag::RESOLVE_NO_MAGICLINKS;
        let how = OpenHow::new().flags(flags | OFlag::O_CLOEXEC).mode(Mode::empty()).resolve(resolve);
        let path = if path.as_os_str().is_empty() { Path::new(".") } else { path };
        openat2(&self.folder, path, how).map_err(io::Error::from)
    }

    /// Whether a folder is there.
    pub fn has_folder(&self, path: &Path) -> bool {
        self.folder(path).is_ok()
    }

    fn folder(&self, path: &Path) -> io::Result<OwnedFd> {
        self.below(path, OFlag::O_RDONLY | OFlag::O_DIRECTORY)
    }

    /// Everything in a folder, not in those below it: folders, then all else, both by name.
    ///
    /// # Errors
    /// Those of the system, where it cannot be read.
    pub fn list(&self, path: &Path) -> io::Result<(Vec<PathBuf>, Vec<Entry>)> {
        let folder = self.folder(path)?;
        let (mut folders, mut entries) = (Vec::new(), Vec::new());
        // One more than is allowed is refused by whoever counts.
        for entry in fs::read_dir(format!("/proc/self/fd/{}/.", folder.as_raw_fd()))?.take(MOST + 1) {
            let entry = entry?;
            let (path, found) = (path.join(entry.file_name()), entry.metadata()?);
            let kind = found.file_type();
            let nature = if kind.is_dir() {
                folders.push(path);
                continue;
            } else if kind.is_symlink() {
                Nature::Link
            } else if !kind.is_file() || kind.is_fifo() {
                Nature::Device
            } else if found.nlink() > 1 {
                Nature::Shared
            } else {
                Nature::File
            };
            entries.push(Entry { path, nature, stamp: Stamp::of(&found) });
        }
        folders.sort_unstable();
        entries.sort_unstable_by(|one, other| one.path.cmp(&other.path));
        Ok((folders, entries))
    }

    /// Everything in a folder and in those below it, added to `found`.
    ///
    /// # Errors
    /// [`Error::TooLarge`] for more than any old home has.
    pub fn walk(&self, path: &Path, found: &mut Vec<Entry>) -> Result<()> {
        let closed =
            |path: &Path| Entry { path: path.to_owned(), nature: Nature::Closed, stamp: Stamp { size: 0, changed: 0 } };
        let mut waiting = vec![path.to_owned()];
        while let Some(path) = waiting.pop() {
            if path.components().count() > DEPTH {
                found.push(closed(&path));
                continue;
            }
            match self.list(&path) {
                Ok((folders, entries)) => {
                    found.extend(entries);
                    waiting.extend(folders.into_iter().rev());
                }
                Err(_) => found.push(closed(&path)),
            }
            bounded(found.len() + waiting.len())?;
        }
        Ok(())
    }

    /// Opens a plain file for reading; a pipe in its place is not waited at.
    ///
    /// # Errors
    /// Those of the system; `InvalidInput` for what is no plain file with one name, or is another one than was `seen`.
    pub fn open_file(&self, path: &Path, seen: Option<Stamp>) -> io::Result<File> {
        let file = File::from(self.below(path, OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_NOFOLLOW)?);
        let found = file.metadata()?;
        let same = seen.is_none_or(|seen| seen == Stamp::of(&found));
        if found.is_file() && found.nlink() == 1 && same {
            Ok(file)
        } else {
            Err(io::Error::from(io::ErrorKind::InvalidInput))
        }
    }

    /// How a file is now; nothing where it is gone or is no plain file any more.
    pub fn stamp(&self, path: &Path) -> Option<Stamp> {
        let file = self.open_file(path, None).ok()?;
        file.metadata().ok().map(|found| Stamp::of(&found))
    }

    /// Removes a file that is still as it was when it was taken in.
    ///
    /// # Errors
    /// Those of the system; `InvalidInput` where it is another one now.
    pub fn remove(&self, path: &Path, seen: Stamp) -> io::Result<()> {
        drop(self.open_file(path, Some(seen))?);
        let parent = self.folder(path.parent().unwrap_or(Path::new("")))?;
        let name = path.file_name().unwrap_or(OsStr::new(""));
        unlinkat(&parent, name, UnlinkatFlags::NoRemoveDir)?;
        Ok(nix::unistd::fsync(&parent)?)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::symlink;

    use super::*;

    #[test]
    fn nothing_leads_out_of_an_old_home() {
        let (home, outside) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        fs::write(outside.path().join("secret"), "secret").unwrap();
        fs::create_dir(home.path().join("videos")).unwrap();
        fs::write(home.path().join("videos/-y.mp4"), "bytes").unwrap();
        symlink(outside.path().join("secret"), home.path().join("videos/link.mp4")).unwrap();
        symlink(outside.path(), home.path().join("videos/folder")).unwrap();
        fs::hard_link(outside.path().join("secret"), home.path().join("videos/hard.mp4")).unwrap();
        nix::unistd::mkfifo(&home.path().join("videos/pipe.mp4"), Mode::S_IRWXU).unwrap();
        fs::write(home.path().join("videos").join(OsStr::from_bytes(b"\xff.mp4")), "x").unwrap();
        let source = Source::open(home.path(), None).unwrap();
        let mut found = Vec::new();
        source.walk(Path::new("videos"), &mut found).unwrap();
        let found: Vec<_> = found.iter().map(|entry| (shown(&entry.path), entry.nature)).collect();
        let expected = [
            ("videos/-y.mp4", Nature::File),
            ("videos/folder", Nature::Link),
            ("videos/hard.mp4", Nature::Shared),
            ("videos/link.mp4", Nature::Link),
            ("videos/pipe.mp4", Nature::Device),
            ("videos/\\xff.mp4", Nature::File),
        ];
        assert_eq!(found, expected.map(|(path, nature)| (path.to_owned(), nature)));
        for outside in
            ["videos/link.mp4", "videos/hard.mp4", "videos/pipe.mp4", "videos/folder/secret", "../x", "/etc/passwd"]
        {
            assert!(source.open_file(Path::new(outside), None).is_err(), "{outside}");
        }
        let own = Path::new("videos/-y.mp4");
        let stamp = source.stamp(own).unwrap();
        fs::write(home.path().join(own), "other bytes").unwrap();
        assert!(source.remove(own, stamp).is_err(), "it is another file now");
        source.remove(own, source.stamp(own).unwrap()).unwrap();
        assert!(!home.path().join(own).exists());
    }
}
