//! Stored bytes and where they lie. A [`Bucket`] is rooted at one tenant: no call takes a tenant or a path.

mod file;
mod folder;
pub mod intake;
mod job;
mod key;
mod sealed;

use std::fs::{self, File};
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use uuid::Uuid;
use walkdir::WalkDir;

pub use file::LocalFile;
use folder::{Folder, open_file};
pub use job::{JobFile, JobFolder};
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
/// The locks of stream keys, below `data`; no tenant's name begins with a dot.
const KEY_LOCKS: &str = ".keys";
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
        let folder = Path::new("data").join(KEY_LOCKS);
        Folder::make(&self.home, &folder)?;
        Ok(self.home.path.join(folder).join(name))
    }

    /// Every entry of the folders that hold one folder for each tenant: its name, and its path relative to the home.
    pub fn folders(&self) -> Result<Vec<(String, PathBuf)>> {
        let mut found = Vec::new();
        for root in ROOTS {
            for entry in fs::read_dir(self.home.path.join(root))? {
                let entry = entry?;
                let name = entry.file_name().to_string_lossy().into_owned();
                // Beside the tenants' folders, `data` holds what is the platform's.
                let is_ours = root == "data" && (name == KEY_LOCKS || !entry.file_type()?.is_dir());
                if name != ".gitkeep" && !is_ours {
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
    bucket: Bucket,
    kept: bool,
}

impl Incoming {
    /// The id that the object will have.
    pub fn id(&self) -> Uuid {
        self.id
    }

    fn file_name(&self) -> String {
        format!("{}.part", self.id)
    }

    /// For ffprobe, before the file has its place.
    pub fn local(&self) -> LocalFile {
        self.bucket.local_file(self.bucket.work("uploads").join(self.file_name()))
    }
}

impl Drop for Incoming {
    fn drop(&mut self) {
        let remove = || self.bucket.open_work("uploads")?.remove(&self.file_name());
        if !self.kept
            && let Err(cause) = remove()
        {
            tracing::warn!(%cause, "an unfinished upload could not be removed; the next start removes it");
        }
    }
}

impl Bucket {
    fn absolute(&self, relative: PathBuf) -> PathBuf {
        self.home.path.join(relative)
    }

    /// Relative to the home, as all paths that are not handed out.
    fn work(&self, folder: &str) -> PathBuf {
        ["data", self.tenant.as_str(), folder].iter().collect()
    }

    fn open_work(&self, folder: &str) -> Result<Folder> {
        Folder::open(&self.home, &self.work(folder))
    }

    fn local_file(&self, path: PathBuf) -> LocalFile {
        LocalFile::new(self.home.clone(), self.tenant.clone(), path)
    }

    /// Makes the tenant's folders; fine if they are there.
    ///
    /// # Errors
    /// [`Error::Conflict`] where a link stands in place of one, as with everything that writes or removes here.
    pub fn create(&self, _proof: &WriteScope) -> Result<()> {
        let media = ObjectKind::ALL.iter().map(|kind| kind.folder(&self.tenant));
        let tokens = ["tokens", self.tenant.as_str()].iter().collect();
        let mut folders = media.chain([tokens]).chain(WORK.iter().map(|folder| self.work(folder)));
        folders.try_for_each(|folder| Folder::make(&self.home, &folder).map(drop))
    }

    /// Removes everything of the tenant from the disk. The caller has ended its streams and closed its rows.
    pub fn remove_everything(&self, _proof: &WriteScope) -> Result<()> {
        // A link in place of a folder is removed, not followed.
        ROOTS.iter().try_for_each(|root| Folder::open(&self.home, Path::new(root))?.remove_folder(self.tenant.as_str()))
    }

    /// A new file for arriving bytes, on the filesystem of its final place.
    pub fn receive(&self, _proof: &WriteScope) -> Result<(Incoming, File)> {
        let folder = self.open_work("uploads")?;
        // Unkept from here on; what was not made is not removed either.
        let incoming = Incoming { id: Uuid::now_v7(), bucket: self.clone(), kept: false };
        let file = folder.create(&incoming.file_name())?;
        Ok((incoming, file))
    }

    /// Gives arrived bytes, which the caller has synced, their name, durably. The row comes after.
    pub fn keep(&self, mut incoming: Incoming, kind: ObjectKind, extension: Extension) -> Result<ObjectKey> {
        let key = ObjectKey { kind, id: incoming.id, extension };
        let (from, to) = (self.open_work("uploads")?, Folder::open(&self.home, &kind.folder(&self.tenant))?);
        from.rename(&incoming.file_name(), &to, &key.file_name())?;
        incoming.kept = true;
        to.sync()?;
        Ok(key)
    }

    /// Opens an object for reading. Links are not followed, and a file with a second name is refused.
    ///
    /// # Errors
    /// [`Error::NotFound`] where the bytes are gone; [`Error::Conflict`] where something else stands in their place.
    pub fn open(&self, key: &ObjectKey) -> Result<File> {
        open_file(&self.home, &key.path(&self.tenant))
    }

    /// The object as a file that ffmpeg may be run on.
    ///
    /// # Errors
    /// As [`Bucket::open`].
    pub fn local(&self, key: &ObjectKey) -> Result<LocalFile> {
        self.open(key)?;
        Ok(self.local_file(key.path(&self.tenant)))
    }

    /// Removes an object's bytes; fine if they are gone.
    pub fn delete(&self, key: &ObjectKey) -> Result<()> {
        let folder = match Folder::open(&self.home, &key.kind.folder(&self.tenant)) {
            Err(Error::NotFound) => return Ok(()),
            folder => folder?,
        };
        if folder.remove(&key.file_name())? { folder.sync() } else { Ok(()) }
    }

    /// Whether anything is arriving, or was when the server ended. Quick.
    pub fn has_arrivals(&self) -> bool {
        let looked = self.open_work("uploads").map(|folder| fs::read_dir(folder.path()));
        looked.is_ok_and(|entries| entries.is_ok_and(|mut entries| entries.next().is_some()))
    }

    /// Removes what arrived in part before this start and was never finished; how many files.
    pub fn sweep(&self, _proof: &WriteScope, live: impl Fn(Uuid) -> bool) -> Result<usize> {
        let folder = match self.open_work("uploads") {
            Err(Error::NotFound) => return Ok(0),
            folder => folder?,
        };
        let mut swept = 0;
        for name in folder.names()? {
            let Some(name) = name.to_str() else { continue };
            let id = name.strip_suffix(".part").and_then(|id| Uuid::parse_str(id).ok());
            if id.is_some_and(|id| !live(id)) && folder.remove(name)? {
                swept += 1;
            }
        }
        Ok(swept)
    }

    /// Every file in the tenant's media folders.
    pub fn list(&self) -> Result<Listing> {
        let (mut objects, mut strange) = (Vec::new(), Vec::new());
        for kind in ObjectKind::ALL {
            let path = kind.folder(&self.tenant);
            let folder = match Folder::open(&self.home, &path) {
                Err(Error::NotFound) => continue,
                Err(Error::Conflict(_)) => {
                    strange.push(path);
                    continue;
                }
                folder => folder?,
            };
            for entry in WalkDir::new(folder.path()).min_depth(1).max_depth(1).follow_links(false) {
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
                    None => strange.push(path.join(entry.file_name())),
                }
            }
        }
        Ok(Listing { objects, strange })
    }

    /// A folder of the tenant's for the processes of one run; made 0700.
    pub fn run_folder(&self, run: Uuid) -> Result<PathBuf> {
        let folder = self.work("runs").join(run.to_string());
        Folder::make(&self.home, &folder)?;
        Ok(self.absolute(folder))
    }

    /// The folder of a run, if it is (still) there.
    pub fn kept_run_folder(&self, run: Uuid) -> Result<Option<PathBuf>> {
        let folder = self.work("runs").join(run.to_string());
        match Folder::open(&self.home, &folder) {
            Ok(_) => Ok(Some(self.absolute(folder))),
            Err(Error::NotFound | Error::Conflict(_)) => Ok(None),
            Err(cause) => Err(cause),
        }
    }

    /// Removes the folder of a run that is over; fine if it is gone.
    pub fn remove_run_folder(&self, run: Uuid) -> Result<()> {
        match self.open_work("runs") {
            Err(Error::NotFound) => Ok(()),
            runs => runs?.remove_folder(&run.to_string()),
        }
    }

    /// The runs that have a folder.
    pub fn run_folders(&self) -> Result<Vec<Uuid>> {
        let names = match self.open_work("runs") {
            Err(Error::NotFound) => return Ok(Vec::new()),
            runs => runs?.names()?,
        };
        Ok(names.iter().filter_map(|name| Uuid::parse_str(name.to_str()?).ok()).collect())
    }

    /// A folder for work in progress, for ffmpeg to write into; the caller removes what it made.
    pub fn temp_folder(&self) -> Result<PathBuf> {
        let folder = self.work("temp");
        Folder::open(&self.home, &folder)?;
        Ok(self.absolute(folder))
    }
}

#[cfg(test)]
pub(super) mod tests {
    use std::io::Write as _;
    use std::os::unix::fs::symlink;

    use super::*;
    use crate::auth::SystemLicence;

    pub fn bucket(home: &Path) -> (Bucket, WriteScope) {
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
        symlink(&secret, home.path().join(soft.path(&al))).unwrap();
        fs::hard_link(&secret, home.path().join(hard.path(&al))).unwrap();
        assert_eq!(bucket.open(&soft).unwrap_err().status(), 409);
        assert_eq!(bucket.local(&hard).unwrap_err().status(), 409);
        let strange = bucket.list().unwrap().strange;
        assert_eq!(strange, vec![soft.path(&al)]);
    }

    #[test]
    fn nothing_is_written_renamed_or_removed_behind_a_link() {
        let (home, elsewhere) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (bucket, proof) = bucket(home.path());
        let (incoming, _file) = bucket.receive(&proof).unwrap();
        let (waiting, _file) = bucket.receive(&proof).unwrap();
        let key = bucket.keep(incoming, ObjectKind::Video, Extension::Mp4).unwrap();
        // Each of the tenant's folders is replaced by a link to one that looks the same.
        for folder in ["videos/al", "photos/al", "thumbnails/al", "tokens/al", "data/al"] {
            let (own, other) = (home.path().join(folder), elsewhere.path().join(folder));
            fs::create_dir_all(other.parent().unwrap()).unwrap();
            fs::rename(&own, &other).unwrap();
            symlink(&other, &own).unwrap();
        }
        let before = everything(elsewhere.path());
        let run = Uuid::now_v7();
        let refusals = [
            bucket.receive(&proof).err(),
            bucket.keep(waiting, ObjectKind::Video, Extension::Mp4).err(),
            bucket.open(&key).err(),
            bucket.delete(&key).err(),
            bucket.create(&proof).err(),
            bucket.sweep(&proof, |_| false).err(),
            bucket.run_folder(run).err(),
            bucket.remove_run_folder(run).err(),
            bucket.run_folders().err(),
            bucket.temp_folder().err(),
            bucket.job_folder(&proof, run).err(),
            bucket.remove_job_folder(&proof, run).err(),
            bucket.job_folders().err(),
        ];
        for (number, refusal) in refusals.into_iter().enumerate() {
            assert_eq!(refusal.unwrap_or_else(|| panic!("{number} passed")).status(), 409, "{number}");
        }
        assert!(!bucket.has_arrivals());
        assert_eq!(bucket.kept_run_folder(run).unwrap(), None);
        assert!(bucket.list().unwrap().strange.contains(&PathBuf::from("videos/al")));
        assert_eq!(everything(elsewhere.path()), before);
        bucket.remove_everything(&proof).unwrap();
        assert_eq!(everything(elsewhere.path()), before, "the links are removed, not what they lead to");
        assert!(fs::symlink_metadata(home.path().join("videos/al")).is_err());
    }

    fn everything(folder: &Path) -> Vec<PathBuf> {
        WalkDir::new(folder).sort_by_file_name().into_iter().map(|entry| entry.unwrap().into_path()).collect()
    }
}
