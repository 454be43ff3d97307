//! Files of an old home come in by the same gate. Where the file system shares blocks (reflink) nothing is copied; else
//! the bytes are. Never a hard link: whoever may still write to the old file would change the object, and an object has
//! one name.

use std::fs::File;
use std::io::{Read as _, Seek as _, SeekFrom, Write as _};
use std::os::unix::fs::{FileExt as _, MetadataExt as _};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use sha2::{Digest as _, Sha256};

use super::writer::GATHER;
use super::{Arrival, Arrived, check_disk};
use crate::error::{Error, Result};
use crate::store::blocking;
use crate::text::Message;

/// Set when nobody waits for the copy any more.
struct Gone(Arc<AtomicBool>);

impl Drop for Gone {
    fn drop(&mut self) {
        self.0.store(true, Ordering::Relaxed);
    }
}

fn changing() -> Error {
    Error::Conflict(Message::new("migrate-file-changes"))
}

/// How a file is, to notice that somebody writes to it.
fn stamp(file: &File) -> Result<(u64, i64, i64)> {
    let found = file.metadata()?;
    Ok((found.len(), found.mtime(), found.mtime_nsec()))
}

impl Arrival {
    /// Takes in a whole file that is open for reading. `judge` sees its first `head` bytes before anything is written.
    /// What was written is read again and held against what was read; the BLAKE3 hash of both comes back.
    ///
    /// # Errors
    /// Those of `judge`; [`Error::TooLarge`] over `limit`; [`Error::OverQuota`] without room; [`Error::Conflict`] for a
    /// file that somebody writes to meanwhile. Nothing is left of it then.
    pub async fn copy<K: Send + 'static>(
        &mut self,
        source: File,
        limit: u64,
        head: usize,
        judge: impl Fn(&[u8]) -> Result<K> + Send + 'static,
    ) -> Result<(Arrived<K>, blake3::Hash)> {
        let before = stamp(&source)?;
        let size = before.0;
        if size > limit {
            return Err(Error::TooLarge(Message::new("library-file-too-large").with("mib", limit >> 20)));
        }
        check_disk(&self.foundation, size.saturating_sub(self.room.bytes))?;
        self.make_room(size).await?;
        let (bucket, proof, intake) = (self.bucket(), self.proof.clone(), self.foundation.intake().clone());
        let stop = Arc::new(AtomicBool::new(false));
        let _gone = Gone(stop.clone());
        blocking(move || {
            let mut source = source;
            let mut first = vec![0; head.min(usize::try_from(size).unwrap_or(head))];
            source.read_exact_at(&mut first, 0).map_err(|_| changing())?;
            let kind = judge(&first)?;
            let (incoming, mut file) = bucket.receive(&proof)?;
            let shared = rustix::fs::ioctl_ficlone(&file, &source).is_ok();
            let mut read = blake3::Hasher::new();
            let mut piece = vec![0; GATHER];
            loop {
                let length = source.read(&mut piece)?;
                if length == 0 {
                    break;
                }
                if stop.load(Ordering::Relaxed) {
                    return Err(Error::Internal(anyhow::anyhow!("nobody waits for this file")));
                }
                read.update(&piece[..length]);
                if !shared {
                    file.write_all(&piece[..length])?;
                }
            }
            file.sync_all()?;
            file.seek(SeekFrom::Start(0))?;
            let (mut written, mut sha256, mut found) = (blake3::Hasher::new(), Sha256::new(), 0);
            loop {
                let length = file.read(&mut piece)?;
                if length == 0 || stop.load(Ordering::Relaxed) {
                    break;
                }
                written.update(&piece[..length]);
                sha256.update(&piece[..length]);
                found += length as u64;
            }
            let hash = read.finalize();
            if hash != written.finalize() || found != size || stamp(&source)? != before {
                return Err(changing());
            }
            let sha256 = hex::encode(sha256.finalize());
            Ok((Arrived { incoming: Some(incoming), file: None, intake, kind, size, sha256 }, hash))
        })
        .await
    }
}
