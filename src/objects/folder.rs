//! Folders of the home, reached step by step without following a link: what is made, renamed or removed in them lies
//! where it should, whatever somebody put in their place.

use std::fs::{self, File};
use std::io;
use std::os::fd::{AsRawFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use nix::fcntl::{OFlag, OpenHow, RenameFlags, ResolveFlag, openat2, renameat2};
use nix::sys::stat::{Mode, mkdirat};
use nix::unistd::{UnlinkatFlags, unlinkat};

use super::Home;
use crate::error::{Error, Result};
use crate::text::Message;

/// An open folder.
pub(super) struct Folder {
    folder: OwnedFd,
}

/// Opens below `folder` without following links.
fn open_below(folder: &OwnedFd, path: &Path, flags: OFlag, mode: Mode) -> Result<OwnedFd> {
    let how = OpenHow::new()
        .flags(flags | OFlag::O_CLOEXEC)
        .mode(mode)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH);
    openat2(folder, path, how).map_err(refusal)
}

/// What is not there, what is not as we made it, and everything else.
fn refusal(cause: nix::Error) -> Error {
    match cause {
        nix::Error::ENOENT => Error::NotFound,
        nix::Error::ELOOP | nix::Error::ENOTDIR | nix::Error::EXDEV => not_ours(),
        cause => io::Error::from(cause).into(),
    }
}

/// Somebody put a link, or something else that is not ours, into the home.
pub(super) fn not_ours() -> Error {
    Error::Conflict(Message::new("objects-not-ours"))
}

impl Folder {
    /// Opens a folder of the home.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, [`Error::Conflict`] where a link stands in the way.
    pub fn open(home: &Home, path: &Path) -> Result<Folder> {
        let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
        Ok(Folder { folder: open_below(&home.folder, path, flags, Mode::empty())? })
    }

    /// Like [`Folder::open`], with what is missing made 0700.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a link stands in the way.
    pub fn make(home: &Home, path: &Path) -> Result<Folder> {
        let mut folder = Folder::open(home, Path::new("."))?;
        for step in path.components() {
            let step: &Path = step.as_ref();
            match mkdirat(&folder.folder, step, Mode::S_IRWXU) {
                Ok(()) | Err(nix::Error::EEXIST) => {}
                Err(cause) => return Err(io::Error::from(cause).into()),
            }
            let flags = OFlag::O_RDONLY | OFlag::O_DIRECTORY;
            folder = Folder { folder: open_below(&folder.folder, step, flags, Mode::empty())? };
        }
        Ok(folder)
    }

    /// A path to it that no link can turn elsewhere, while it is open.
    pub fn path(&self) -> PathBuf {
        // The dot, because what walks this path takes it for a link otherwise.
        PathBuf::from(format!("/proc/self/fd/{}/.", self.folder.as_raw_fd()))
    }

    /// Makes a file that was not there.
    pub fn create(&self, name: &str) -> Result<File> {
        let flags = OFlag::O_RDWR | OFlag::O_CREAT | OFlag::O_EXCL;
        Ok(open_below(&self.folder, Path::new(name), flags, Mode::S_IRUSR | Mode::S_IWUSR)?.into())
    }

    /// Moves a file to another folder, never over one that is there.
    pub fn rename(&self, name: &str, to: &Folder, new: &str) -> Result<()> {
        let flags = RenameFlags::RENAME_NOREPLACE;
        Ok(renameat2(&self.folder, name, &to.folder, new, flags).map_err(io::Error::from)?)
    }

    /// Gives a file of it another name, in place of what has that name: whoever looks finds the one or the other.
    pub fn replace(&self, name: &str, new: &str) -> Result<()> {
        let flags = RenameFlags::empty();
        Ok(renameat2(&self.folder, name, &self.folder, new, flags).map_err(io::Error::from)?)
    }

    /// Removes a file, or a link in its place; whether it was there.
    pub fn remove(&self, name: &str) -> Result<bool> {
        match unlinkat(&self.folder, name, UnlinkatFlags::NoRemoveDir) {
            Ok(()) => Ok(true),
            Err(nix::Error::ENOENT) => Ok(false),
            Err(nix::Error::EISDIR) => Err(not_ours()),
            Err(cause) => Err(io::Error::from(cause).into()),
        }
    }

    /// Removes a folder with everything in it, or a link in its place; fine if it is gone.
    pub fn remove_folder(&self, name: &str) -> Result<()> {
        let path = self.path().join(name);
        let removed = match fs::symlink_metadata(&path) {
            // Follows no links on its way down.
            Ok(found) if found.is_dir() => fs::remove_dir_all(&path),
            Ok(_) => fs::remove_file(&path),
            Err(cause) => Err(cause),
        };
        match removed {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause.into()),
            _ => Ok(()),
        }
    }

    /// The names of what lies in it.
    pub fn names(&self) -> Result<Vec<std::ffi::OsString>> {
        Ok(fs::read_dir(self.path())?.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<_>>()?)
    }

    /// Makes what was named or removed in it durable.
    pub fn sync(&self) -> Result<()> {
        Ok(nix::unistd::fsync(&self.folder).map_err(io::Error::from)?)
    }
}

/// Opens a file of the home for reading.
///
/// # Errors
/// [`Error::NotFound`] where there is none; [`Error::Conflict`] where it, or a folder on the way, is a link, or where it
/// is not a plain file with one name.
pub(super) fn open_file(home: &Home, path: &Path) -> Result<File> {
    // A pipe in its place must not make us wait.
    let flags = OFlag::O_RDONLY | OFlag::O_NONBLOCK;
    let file: File = open_below(&home.folder, path, flags, Mode::empty())?.into();
    let found = file.metadata()?;
    if found.is_file() && found.nlink() == 1 { Ok(file) } else { Err(not_ours()) }
}
