//! Where a job works: a folder of its own below the tenant's `temp`, in which ffmpeg may write. What lies there under its
//! final name is whole and on the disk, so that a job goes on from it after a crash.

use std::fs::File;
use std::io::Write as _;
use std::path::PathBuf;

use uuid::Uuid;

use super::folder::{Folder, open_file};
use super::{Bucket, Incoming, LocalFile};
use crate::auth::WriteScope;
use crate::error::{Error, Result};

/// What lies in a job's folder.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum JobFile {
    /// A part of the picture; numbered from 0.
    Part(u32),
    /// The sound.
    Sound,
    /// The names of the parts, in order.
    List,
    /// The result.
    Whole,
}

impl JobFile {
    /// Its name; no part of it ever comes from outside.
    pub fn name(self) -> String {
        match self {
            JobFile::Part(number) => format!("part-{number:05}.mp4"),
            JobFile::Sound => "sound.mp4".to_owned(),
            JobFile::List => "parts.txt".to_owned(),
            JobFile::Whole => "whole.mp4".to_owned(),
        }
    }

    /// Its name while it is being written.
    fn fresh_name(self) -> String {
        format!("fresh-{}", self.name())
    }
}

/// The folder of one job.
#[derive(Clone)]
pub struct JobFolder {
    bucket: Bucket,
    job: Uuid,
}

impl JobFolder {
    fn relative(&self) -> PathBuf {
        self.bucket.work("temp").join(self.job.to_string())
    }

    fn open(&self) -> Result<Folder> {
        Folder::open(&self.bucket.home, &self.relative())
    }

    /// Where a file is written, before [`JobFolder::finish`] gives it its name.
    pub fn fresh(&self, file: JobFile) -> LocalFile {
        self.bucket.local_file(self.relative().join(file.fresh_name()))
    }

    /// Gives a written file its name, durably.
    ///
    /// # Errors
    /// [`Error::NotFound`] where nothing was written.
    pub fn finish(&self, file: JobFile) -> Result<()> {
        let folder = self.open()?;
        self.fresh(file).open()?.sync_all()?;
        folder.remove(&file.name())?;
        folder.rename(&file.fresh_name(), &folder, &file.name())?;
        folder.sync()
    }

    /// A file that is whole.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none; [`Error::Conflict`] where something else lies in its place.
    pub fn file(&self, file: JobFile) -> Result<LocalFile> {
        let local = self.bucket.local_file(self.relative().join(file.name()));
        local.open()?;
        Ok(local)
    }

    /// Writes a small file of our own.
    pub fn write(&self, file: JobFile, bytes: &[u8]) -> Result<()> {
        let folder = self.open()?;
        folder.remove(&file.fresh_name())?;
        folder.create(&file.fresh_name())?.write_all(bytes)?;
        self.finish(file)
    }

    /// Removes a file, whole or not; fine if it is gone.
    pub fn remove(&self, file: JobFile) -> Result<()> {
        let folder = self.open()?;
        folder.remove(&file.name())?;
        folder.remove(&file.fresh_name()).map(drop)
    }

    /// Moves a whole file to what is arriving, to be looked at and kept like everything else that comes in.
    ///
    /// # Errors
    /// As [`JobFolder::file`].
    pub fn hand_over(&self, _proof: &WriteScope, file: JobFile) -> Result<(Incoming, File)> {
        self.file(file)?;
        let (from, to) = (self.open()?, self.bucket.open_work("uploads")?);
        let incoming = Incoming { id: Uuid::now_v7(), bucket: self.bucket.clone(), kept: false };
        from.rename(&file.name(), &to, &incoming.file_name())?;
        let path = self.bucket.work("uploads").join(incoming.file_name());
        let file = open_file(&self.bucket.home, &path)?;
        Ok((incoming, file))
    }
}

impl Bucket {
    /// A folder for the work of one job; made 0700.
    pub fn job_folder(&self, _proof: &WriteScope, job: Uuid) -> Result<JobFolder> {
        let folder = JobFolder { bucket: self.clone(), job };
        Folder::make(&self.home, &folder.relative())?;
        Ok(folder)
    }

    /// Removes the folder of a job that is over; fine if it is gone.
    pub fn remove_job_folder(&self, _proof: &WriteScope, job: Uuid) -> Result<()> {
        match self.open_work("temp") {
            Err(Error::NotFound) => Ok(()),
            temp => temp?.remove_folder(&job.to_string()),
        }
    }

    /// The jobs that have a folder.
    pub fn job_folders(&self) -> Result<Vec<Uuid>> {
        let names = match self.open_work("temp") {
            Err(Error::NotFound) => return Ok(Vec::new()),
            temp => temp?.names()?,
        };
        Ok(names.iter().filter_map(|name| Uuid::parse_str(name.to_str()?).ok()).collect())
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::bucket;
    use super::*;

    #[test]
    fn only_what_is_whole_has_its_name() {
        let home = tempfile::tempdir().unwrap();
        let (bucket, proof) = bucket(home.path());
        let job = Uuid::now_v7();
        let folder = bucket.job_folder(&proof, job).unwrap();
        let (part, list) = (JobFile::Part(3), JobFile::List);
        std::fs::write(folder.fresh(part).path(), "half").unwrap();
        assert_eq!(folder.file(part).unwrap_err().status(), 404);
        std::fs::write(folder.fresh(part).path(), "whole").unwrap();
        folder.finish(part).unwrap();
        assert_eq!(std::fs::read(folder.file(part).unwrap().path()).unwrap(), b"whole");
        folder.write(list, b"one").unwrap();
        folder.write(list, b"two").unwrap();
        assert_eq!(std::fs::read(folder.file(list).unwrap().path()).unwrap(), b"two");
        folder.remove(list).unwrap();
        assert_eq!(folder.file(list).unwrap_err().status(), 404);
        let again = bucket.job_folder(&proof, job).unwrap();
        let (incoming, _) = again.hand_over(&proof, part).unwrap();
        assert_eq!(std::fs::read(incoming.local().path()).unwrap(), b"whole");
        assert_eq!(bucket.job_folders().unwrap(), [job]);
        bucket.remove_job_folder(&proof, job).unwrap();
        bucket.remove_job_folder(&proof, job).unwrap();
        assert!(bucket.job_folders().unwrap().is_empty());
    }

    #[test]
    fn a_link_in_place_of_a_file_is_not_followed() {
        let home = tempfile::tempdir().unwrap();
        let (bucket, proof) = bucket(home.path());
        let folder = bucket.job_folder(&proof, Uuid::now_v7()).unwrap();
        let secret = home.path().join("secret");
        std::fs::write(&secret, "secret").unwrap();
        std::os::unix::fs::symlink(&secret, folder.fresh(JobFile::Whole).path()).unwrap();
        assert_eq!(folder.finish(JobFile::Whole).unwrap_err().status(), 409);
        assert_eq!(folder.hand_over(&proof, JobFile::Whole).err().unwrap().status(), 404);
    }
}
