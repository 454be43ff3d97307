//! Bytes on their way to the disk, hashed as they go.

use std::fs::File;
use std::io::Write as _;
use std::os::fd::AsFd as _;
use std::sync::Arc;

use nix::fcntl::{PosixFadviseAdvice, posix_fadvise};
use sha2::{Digest as _, Sha256};
use tokio::task::JoinHandle;

use crate::error::{Error, Result};

/// Bytes that gather while the disk is busy; twice as many are in memory for one arrival…
pub(super) const GATHER: usize = 1 << 20;
/// …but of all arrivals together no more than about twice this.
pub(super) const GATHER_ALL: usize = 32 << 20;
/// Fewer are not worth a visit to the disk.
pub(super) const GATHER_LEAST: usize = 64 << 10;
/// The kernel is told to begin writing this often, so that the sync at the end finds little left.
const WRITE_BACK: u64 = 8 << 20;
/// The file, while it is being written.
struct Disk {
    file: File,
    written: u64,
    /// Up to here the kernel was told to begin writing.
    begun: u64,
}

impl Disk {
    fn write(mut self, bytes: &[u8]) -> Result<Disk> {
        self.file.write_all(bytes)?;
        self.written += bytes.len() as u64;
        if self.written - self.begun >= WRITE_BACK {
            let (from, length) = (self.begun.cast_signed(), (self.written - self.begun).cast_signed());
            self.begun = self.written;
            // "Not needed" makes the kernel write these pages now; still dirty, they are not dropped. Only advice.
            let _ = posix_fadvise(self.file.as_fd(), from, length, PosixFadviseAdvice::POSIX_FADV_DONTNEED);
        }
        Ok(self)
    }
}

/// A visit to the disk, and the same bytes being hashed meanwhile.
struct Work {
    writing: JoinHandle<Result<Disk>>,
    hashing: JoinHandle<Sha256>,
    bytes: Arc<Vec<u8>>,
}

impl Work {
    fn begin(disk: Disk, mut hash: Sha256, bytes: Vec<u8>) -> Work {
        let bytes = Arc::new(bytes);
        let (written, hashed) = (bytes.clone(), bytes.clone());
        let writing = tokio::task::spawn_blocking(move || disk.write(&written));
        let hashing = tokio::task::spawn_blocking(move || {
            hash.update(&*hashed);
            hash
        });
        Work { writing, hashing, bytes }
    }

    fn is_done(&self) -> bool {
        self.writing.is_finished() && self.hashing.is_finished()
    }

    async fn end(self) -> Result<(Disk, Sha256, Vec<u8>)> {
        let failed = |cause| Error::Internal(anyhow::Error::new(cause).context("writing"));
        let (disk, hash) = (self.writing.await.map_err(failed)??, self.hashing.await.map_err(failed)?);
        // Both have let go of the buffer; it is used again.
        let mut bytes = Arc::try_unwrap(self.bytes).unwrap_or_default();
        bytes.clear();
        Ok((disk, hash, bytes))
    }
}

/// Writes on the blocking pool, one visit at a time, while the next bytes gather. A slow client holds no thread.
pub(super) struct Writer {
    at_rest: Option<(Disk, Sha256)>,
    at_work: Option<Work>,
    gathered: Vec<u8>,
    spare: Vec<u8>,
    most: usize,
}

impl Writer {
    pub fn to(file: File, most: usize) -> Writer {
        let at_rest = Some((Disk { file, written: 0, begun: 0 }, Sha256::new()));
        Writer { at_rest, at_work: None, gathered: Vec::new(), spare: Vec::new(), most }
    }

    pub async fn push(&mut self, bytes: &[u8]) -> Result<()> {
        self.gathered.extend_from_slice(bytes);
        let idle = self.at_work.as_ref().is_none_or(Work::is_done);
        if self.gathered.len() >= self.most || (idle && self.gathered.len() >= GATHER_LEAST) {
            self.visit().await?;
        }
        Ok(())
    }

    /// Sends what was gathered to the disk, after what was sent before.
    async fn visit(&mut self) -> Result<()> {
        let (disk, hash) = self.rest().await?;
        let bytes = std::mem::replace(&mut self.gathered, std::mem::take(&mut self.spare));
        self.at_work = Some(Work::begin(disk, hash, bytes));
        Ok(())
    }

    /// Waits until the disk is at rest.
    async fn rest(&mut self) -> Result<(Disk, Sha256)> {
        if let Some(work) = self.at_work.take() {
            let (disk, hash, spare) = work.end().await?;
            self.spare = spare;
            return Ok((disk, hash));
        }
        self.at_rest.take().ok_or_else(|| Error::Internal(anyhow::anyhow!("the file failed before")))
    }

    /// Writes the rest; the file, not yet synced, and the hash of all bytes.
    pub async fn finish(mut self) -> Result<(File, String)> {
        self.visit().await?;
        let (disk, hash) = self.rest().await?;
        Ok((disk.file, hex::encode(hash.finalize())))
    }
}
