//! A file that a bucket handed out: the only thing that ffmpeg and ffprobe are ever run on.

use std::ffi::OsString;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::Home;
use super::folder::open_file;
use crate::auth::Tenant;
use crate::error::Result;

/// A regular file inside one tenant's folders. Only `objects` can make one, so holding it proves that the path was
/// built from typed parts and that the file is the tenant's own.
#[derive(Clone)]
pub struct LocalFile {
    home: Arc<Home>,
    tenant: Tenant,
    /// Relative to the home.
    relative: PathBuf,
    path: PathBuf,
}

impl std::fmt::Debug for LocalFile {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.path.fmt(formatter)
    }
}

impl LocalFile {
    /// `relative` to the home.
    pub(in crate::objects) fn new(home: Arc<Home>, tenant: Tenant, relative: PathBuf) -> Self {
        LocalFile { path: home.path.join(&relative), home, tenant, relative }
    }

    /// For tests of the rooms that run ffmpeg.
    #[cfg(test)]
    pub(crate) fn for_test(path: PathBuf) -> Self {
        let home = Home { path: "/".into(), folder: File::open("/").unwrap().into() };
        let relative = path.strip_prefix("/").unwrap().to_owned();
        LocalFile::new(Arc::new(home), Tenant::parse("al").unwrap(), relative)
    }

    /// Whose it is.
    pub(crate) fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Opens it for reading; links are not followed.
    ///
    /// # Errors
    /// [`Error::NotFound`](crate::error::Error::NotFound) where it is gone,
    /// [`Error::Conflict`](crate::error::Error::Conflict) where something else stands in its place.
    pub(crate) fn open(&self) -> Result<File> {
        open_file(&self.home, &self.relative)
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
