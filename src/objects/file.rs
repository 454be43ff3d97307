//! A file that a bucket handed out: the only thing that ffmpeg and ffprobe are ever run on.

use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};

use crate::auth::Tenant;

/// A regular file inside one tenant's folders. Only `objects` can make one, so holding it proves that the path was
/// built from typed parts and that the file is the tenant's own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LocalFile {
    tenant: Tenant,
    path: PathBuf,
}

impl LocalFile {
    pub(in crate::objects) fn new(tenant: Tenant, path: PathBuf) -> Self {
        LocalFile { tenant, path }
    }

    /// For tests of the rooms that run ffmpeg.
    #[cfg(test)]
    pub(crate) fn for_test(path: PathBuf) -> Self {
        LocalFile { tenant: Tenant::parse("al").unwrap(), path }
    }

    /// Whose it is.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Opens it for reading; a link in its place is not followed.
    pub(crate) fn open(&self) -> io::Result<File> {
        OpenOptions::new().read(true).custom_flags(nix::libc::O_NOFOLLOW).open(&self.path)
    }

    /// Absolute path on this machine.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The argument that names this file to ffmpeg: the `file:` protocol is forced, whatever the name looks like.
    pub(crate) fn ffmpeg_url(&self) -> OsString {
        let mut url = OsString::from("file:");
        url.push(&self.path);
        url
    }
}
