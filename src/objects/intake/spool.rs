//! A small file from outside that is read as a whole, and waits on disk until it is its turn: however many arrive at
//! once, they take no memory.

use std::fs::File;
use std::io::{Read as _, Seek as _, Write as _};

use bytes::Bytes;
use futures_util::Stream;

use super::pace::{PATIENCE, Pace};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::objects::Bucket;
use crate::store::blocking;
use crate::text::Message;

/// Bytes that are gathered before they are written.
const GATHERED: usize = 64 << 10;

/// A file without a name: gone when it is dropped, or the program ends.
#[derive(Debug)]
pub struct Spool(File);

impl Spool {
    /// Writes down what comes, in the tenant's folder for work in progress.
    ///
    /// # Errors
    /// [`Error::TooLarge`] beyond `limit` bytes, [`Error::Malformed`] if the client brings nothing for a minute,
    /// [`Error::OverQuota`] where the disk has no room for so many bytes.
    pub async fn fill<S>(foundation: &Foundation, bucket: Bucket, stream: &mut S, limit: usize) -> Result<Spool>
    where
        S: Stream<Item = Result<Bytes>> + Unpin,
    {
        super::check_disk(foundation, limit as u64)?;
        let mut file = blocking(move || Ok(tempfile::tempfile_in(bucket.temp_folder()?)?)).await?;
        let (mut gathered, mut length) = (Vec::new(), 0_usize);
        let mut pace = Pace::begin(PATIENCE);
        while let Some(chunk) = pace.next(stream).await? {
            length = length.saturating_add(chunk.len());
            if length > limit {
                return Err(Error::TooLarge(Message::new("library-file-too-large").with("mib", limit >> 20)));
            }
            gathered.extend_from_slice(&chunk);
            if gathered.len() >= GATHERED {
                file = write(file, std::mem::take(&mut gathered)).await?;
            }
        }
        Ok(Spool(write(file, gathered).await?))
    }

    /// The whole file. Blocks.
    ///
    /// # Errors
    /// Only if the disk fails.
    pub fn read(self) -> Result<Vec<u8>> {
        let mut bytes = Vec::new();
        self.open()?.read_to_end(&mut bytes)?;
        Ok(bytes)
    }

    /// The file, from its beginning. Blocks.
    ///
    /// # Errors
    /// Only if the disk fails.
    pub fn open(mut self) -> Result<File> {
        self.0.rewind()?;
        Ok(self.0)
    }
}

async fn write(mut file: File, bytes: Vec<u8>) -> Result<File> {
    blocking(move || {
        file.write_all(&bytes)?;
        Ok(file)
    })
    .await
}
