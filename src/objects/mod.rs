//! Stored bytes and where they lie. A [`Bucket`] is rooted at one tenant: no call takes a tenant or a path.

mod file;
pub mod intake;
mod key;

use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use uuid::Uuid;
use walkdir::WalkDir;

pub use file::LocalFile;
pub use key::{Extension, ObjectKey, ObjectKind};

use crate::auth::{Scope, Tenant, WriteScope};
use crate::error::{Error, Result};
use crate::text::Message;

/// The tenants' folders of one home.
#[derive(Clone)]
pub struct Objects {
    home: Arc<Home>,
}

struct Home {
    path: PathBuf,
    /// Paths are resolved from here, so that a home that is moved or replaced while we run is noticed, not followed.
    folder: OwnedFd,
}

/// The folders that every home has.
const ROOTS: [&str; 5] = ["data", "videos", "photos", "thumbnails", "tokens"];
/// Work of one tenant, below `data/<tenant>/`.
const WORK: [&str; 4] = ["uploads", "temp", "embeddings", "runs"];

impl Objects {
    /// Opens a home, making the folders that are missing.
    ///
    /// # Errors
    /// [`Error::Conflict`] where `data/` and the media folders lie on different filesystems: a finished upload is
    /// renamed into place, never copied.
    pub fn open(home: &Path) -> Result<Objects> {
        for root in ROOTS {
            fs::DirBuilder::new().recursive(true).mode(0o750).create(home.join(root))?;
        }
        let device = fs::metadata(home.join("data"))?.dev();
        for root in ["videos", "photos", "thumbnails"] {
            if fs::metadata(home.join(root))?.dev() != device {
                return Err(Error::Conflict(Message::new("home-two-filesystems").with("folder", root)));
            }
        }
        let folder: OwnedFd = File::open(home)?.into();
        Ok(Objects { home: Arc::new(Home { path: home.to_owned(), folder }) })
    }

    /// The bytes of the scope's tenant.
    pub fn bucket(&self, scope: &Scope) -> Bucket {
        Bucket { home: self.home.clone(), tenant: scope.tenant().clone() }
    }

    /// The lock file of a stream key, over all tenants; `name` is the key's hash in hex.
    pub fn key_lock(&self, name: &str) -> Result<PathBuf> {
        if name.len() != 40 || !name.bytes().all(|byte| byte.is_ascii_hexdigit()) {
            return Err(Error::Internal(anyhow::anyhow!("no name of a stream key")));
        }
        // No tenant's name begins with a dot.
        let folder = self.home.path.join("data").join(".keys");
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(folder.join(name))
    }

    /// Every entry of the folders that hold one folder for each tenant: its name, and its path relative to the home.
    pub fn folders(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for root in ROOTS {
            for entry in fs::read_dir(self.home.path.join(root))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // Beside the tenants' folders, `data` holds files of the platform.
                if name != ".gitkeep" && (root != "data" || entry.file_type()?.is_dir()) {
                    found.push((name, Path::new(root).join(entry.file_name())));
                }
            }
        }
        Ok(found)
    }

    /// Free bytes of the disk that this program may use, and its size.
    pub fn disk(&self) -> Result<(u64, u64)> {
        let stat = nix::sys::statvfs::statvfs(&self.home.path).map_err(io::Error::from)?;
        let block = stat.fragment_size();
        Ok((stat.blocks_available() * block, stat.blocks() * block))
    }
}

/// The bytes of one tenant.
#[derive(Clone)]
pub struct Bucket {
    home: Arc<Home>,
    tenant: Tenant,
}

/// What lies in a tenant's media folders.
#[derive(Debug, Default)]
pub struct Listing {
    /// Files of our making, with their lengths in bytes.
    pub objects: Vec<(ObjectKey, u64)>,
    /// Files with other names, as paths relative to the home.
    pub strange: Vec<PathBuf>,
}

/// A file that is arriving; it has no row and no final name yet, and is removed when dropped.
pub struct Incoming {
    id: Uuid,
    tenant: Tenant,
    path: PathBuf,
    kept: bool,
}

impl Incoming {
    /// The id that the object will have.
    pub fn id(&self) -> Uuid {
        self.id
    }

    /// For ffprobe, before the file has its place.
    pub fn local(&self) -> LocalFile {
        LocalFile::new(self.tenant.clone(), self.path.clone())
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        if !self.kept
            && let Err(cause) = fs::remove_file(&self.path)
        {
            tracing::warn!(%cause, "an unfinished upload could not be removed; the next start removes it");
        }
    }
}

impl Bucket {
    fn absolute(&self, relative: PathBuf) -> PathBuf {
        self.home.path.join(relative)
    }

    fn work(&self, folder: &str) -> PathBuf {
        self.absolute(["data", self.tenant.as_str(), folder].iter().collect())
    }

    /// Makes the tenant's folders; fine if they are there.
    pub fn create(&self, _proof: &WriteScope) -> Result<()> {
        let media = ObjectKind::ALL.iter().map(|kind| self.absolute(kind.folder(&self.tenant)));
        let tokens = self.absolute(["tokens", self.tenant.as_str()].iter().collect());
        for folder in media.chain([tokens]).chain(WORK.iter().map(|folder| self.work(folder))) {
            fs::DirBuilder::new().recursive(true).mode(0o700).create(folder)?;
        }
        Ok(())
    }

    /// Removes everything of the tenant from the disk. The caller has ended its streams and closed its rows.
    pub fn remove_everything(&self, _proof: &WriteScope) -> Result<()> {
        for root in ROOTS {
            let folder = self.absolute([root, self.tenant.as_str()].iter().collect());
            // A link in place of a folder is removed, not followed.
            match fs::symlink_metadata(&folder) {
                Ok(found) if found.is_dir() => fs::remove_dir_all(&folder)?,
                Ok(_) => fs::remove_file(&folder)?,
                Err(cause) if cause.kind() == io::ErrorKind::NotFound => {}
                Err(cause) => return Err(cause.into()),
            }
        }
        Ok(())
    }

    /// A new file for arriving bytes, on the filesystem of its final place.
    pub fn receive(&self, _proof: &WriteScope) -> Result<(Incoming, File)> {
        let id = Uuid::now_v7();
        let path = self.work("uploads").join(format!("{id}.part"));
        let file = OpenOptions::new()
            .write(true)
            .read(true)
            .create_new(true)
            .mode(0o600)
            .custom_flags(nix::libc::O_NOFOLLOW)
            .open(&path)?;
        Ok((Incoming { id, tenant: self.tenant.clone(), path, kept: false }, file))
    }

    /// Gives arrived bytes, which the caller has synced, their name, durably. The row comes after.
    pub fn keep(&self, mut incoming: Incoming, kind: ObjectKind, extension: Extension) -> Result<ObjectKey> {
        let key = ObjectKey { kind, id: incoming.id, extension };
        let path = self.absolute(key.path(&self.tenant));
        // Never over a file that is there.
        nix::fcntl::renameat2(
            nix::fcntl::AT_FDCWD,
            &incoming.path,
            nix::fcntl::AT_FDCWD,
            &path,
            nix::fcntl::RenameFlags::RENAME_NOREPLACE,
        )
        .map_err(io::Error::from)?;
        incoming.kept = true;
        sync_folder(&path)?;
        Ok(key)
    }

    /// Opens an object for reading. Links are not followed, and a file with a second name is refused.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the bytes are gone.
    pub fn open(&self, key: &ObjectKey) -> Result<File> {
        let how = OpenHow::new()
            .flags(OFlag::O_RDONLY | OFlag::O_CLOEXEC | OFlag::O_NONBLOCK)
            .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_BENEATH);
        let file: File = match openat2(&self.home.folder, &key.path(&self.tenant), how) {
            Ok(descriptor) => descriptor.into(),
            Err(nix::Error::ENOENT) => return Err(Error::NotFound),
            Err(cause) => return Err(io::Error::from(cause).into()),
        };
        let found = file.metadata()?;
        if !found.is_file() || found.nlink() != 1 {
            return Err(Error::Internal(anyhow::anyhow!("object {} is not a plain file with one name", key.id)));
        }
        Ok(file)
    }

    /// The object as a file that ffmpeg may be run on.
    ///
    /// # Errors
    /// As [`Bucket::open`].
    pub fn local(&self, key: &ObjectKey) -> Result<LocalFile> {
        self.open(key)?;
        Ok(LocalFile::new(self.tenant.clone(), self.absolute(key.path(&self.tenant))))
    }

    /// Removes an object's bytes; fine if they are gone. Their length.
    pub fn delete(&self, key: &ObjectKey) -> Result<()> {
        let path = self.absolute(key.path(&self.tenant));
        match fs::remove_file(&path) {
            Ok(()) => sync_folder(&path),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(()),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Whether anything is arriving, or was when the server ended. Quick.
    pub fn has_arrivals(&self) -> bool {
        fs::read_dir(self.work("uploads")).is_ok_and(|mut entries| entries.next().is_some())
    }

    /// Removes what arrived in part before this start and was never finished; how many files.
    pub fn sweep(&self, _proof: &WriteScope, live: impl Fn(Uuid) -> bool) -> Result<usize> {
        let mut swept = 0;
        let entries = match fs::read_dir(self.work("uploads")) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(0),
            Err(cause) => return Err(cause.into()),
        };
        for entry in entries {
            let entry = entry?;
            let name = entry.file_name();
            let id = name.to_str().and_then(|name| name.strip_suffix(".part")).and_then(|id| Uuid::parse_str(id).ok());
            if id.is_some_and(|id| !live(id)) {
                fs::remove_file(entry.path())?;
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Every file in the tenant's media folders.
    pub fn list(&self) -> Result<Listing> {
        let (mut objects, mut strange) = (Vec::new(), Vec::new());
        for kind in ObjectKind::ALL {
            let folder = self.absolute(kind.folder(&self.tenant));
            for entry in WalkDir::new(&folder).min_depth(1).max_depth(1).follow_links(false) {
                let entry = match entry {
                    Ok(entry) => entry,
                    Err(cause) if cause.io_error().is_some_and(|io| io.kind() == io::ErrorKind::NotFound) => continue,
                    Err(cause) => return Err(Error::Internal(anyhow::Error::new(cause))),
                };
                if kind == ObjectKind::Video && entry.file_type().is_dir() && entry.file_name() == "generated" {
                    continue;
                }
                let key = entry.file_name().to_str().and_then(|name| ObjectKey::from_file_name(kind, name));
                match key.filter(|_| entry.file_type().is_file()) {
                    Some(key) => {
                        let found = entry.metadata().map_err(|cause| Error::Internal(anyhow::Error::new(cause)))?;
                        objects.push((key, found.len()));
                    }
                    None => strange.push(entry.path().strip_prefix(&self.home.path).unwrap_or(entry.path()).to_owned()),
                }
            }
        }
        Ok(Listing { objects, strange })
    }

    /// A folder of the tenant's for the processes of one run; made 0700.
    pub fn run_folder(&self, run: Uuid) -> Result<PathBuf> {
        let folder = self.work("runs").join(run.to_string());
        fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder)?;
        Ok(folder)
    }

    /// The folder of a run, if it is (still) there.
    pub fn kept_run_folder(&self, run: Uuid) -> Result<Option<PathBuf>> {
        let folder = self.work("runs").join(run.to_string());
        match fs::symlink_metadata(&folder) {
            Ok(found) => Ok(found.is_dir().then_some(folder)),
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause.into()),
        }
    }

    /// Removes the folder of a run that is over; fine if it is gone.
    pub fn remove_run_folder(&self, run: Uuid) -> Result<()> {
        match fs::remove_dir_all(self.work("runs").join(run.to_string())) {
            Err(cause) if cause.kind() != io::ErrorKind::NotFound => Err(cause.into()),
            _ => Ok(()),
        }
    }

    /// The runs that have a folder.
    pub fn run_folders(&self) -> Result<Vec<Uuid>> {
        let entries = match fs::read_dir(self.work("runs")) {
            Ok(entries) => entries,
            Err(cause) if cause.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(cause) => return Err(cause.into()),
        };
        let names = entries.map(|entry| entry.map(|entry| entry.file_name())).collect::<io::Result<Vec<_>>>()?;
        Ok(names.iter().filter_map(|name| Uuid::parse_str(name.to_str()?).ok()).collect())
    }

    /// A folder for work in progress, for ffmpeg to write into; the caller removes what it made.
    pub fn temp_folder(&self) -> PathBuf {
        self.work("temp")
    }
}

fn sync_folder(path: &Path) -> Result<()> {
    match path.parent() {
        Some(folder) => Ok(File::open(folder)?.sync_all()?),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::*;
    use crate::auth::SystemLicence;

    fn bucket(home: &Path) -> (Bucket, WriteScope) {
        #[allow(clippy::disallowed_methods, reason = "a test of the room itself")]
        let proof = SystemLicence::new().scope(&Tenant::parse("al").unwrap(), "test");
        let bucket = Objects::open(home).unwrap().bucket(&proof);
        bucket.create(&proof).unwrap();
        (bucket, proof)
    }

    #[test]
    fn bytes_arrive_get_their_name_and_are_served() {
        let home = tempfile::tempdir().unwrap();
        let (bucket, proof) = bucket(home.path());
        let (incoming, mut file) = bucket.receive(&proof).unwrap();
        file.write_all(b"bytes").unwrap();
        let key = bucket.keep(incoming, ObjectKind::Video, Extension::Mp4).unwrap();
        assert_eq!(io::read_to_string(bucket.open(&key).unwrap()).unwrap(), "bytes");
        assert_eq!(bucket.list().unwrap().objects, vec![(key, 5)]);
        let (dropped, _) = bucket.receive(&proof).unwrap();
        drop(dropped);
        assert_eq!(bucket.sweep(&proof, |_| false).unwrap(), 0, "an upload that fails leaves nothing");
        bucket.delete(&key).unwrap();
        assert_eq!(bucket.open(&key).unwrap_err().status(), 404);
    }

    #[test]
    fn links_in_place_of_a_file_or_a_folder_are_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (bucket, _) = bucket(home.path());
        let secret = home.path().join("secret");
        fs::write(&secret, "secret").unwrap();
        let key = |id| ObjectKey { kind: ObjectKind::Video, id, extension: Extension::Mp4 };
        let (soft, hard) = (key(Uuid::now_v7()), key(Uuid::now_v7()));
        let al = Tenant::parse("al").unwrap();
        std::os::unix::fs::symlink(&secret, home.path().join(soft.path(&al))).unwrap();
        fs::hard_link(&secret, home.path().join(hard.path(&al))).unwrap();
        assert!(bucket.open(&soft).is_err());
        assert!(bucket.local(&hard).is_err());
        let strange = bucket.list().unwrap().strange;
        assert_eq!(strange, vec![soft.path(&al)]);
    }
}
