//! Pictures from outside, as this program writes them anew. The decoding itself is done in the cage ([`super::decode`]),
//! one picture at a time over the whole box, tenants in turns.

use std::ffi::OsString;
use std::fs::File;
use std::io::{Seek as _, Write as _};
use std::time::Duration;

use bytes::Bytes;
use nix::sys::memfd::{MFdFlags, memfd_create};

use super::Tools;
use super::cage::{self, Cage, Failure, Job, Program};
use super::decode::Answer;
use super::sniff::{PictureKind, sniff_picture};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::objects::LocalFile;
use crate::store::blocking;
use crate::text::Message;

/// Largest picture file that is taken in, in bytes.
pub const MOST_BYTES: usize = 20 << 20;
/// Memory of one decoder, its program included: 50 million plain pixels with what is needed beside them.
const MEMORY_MIB: u64 = 384;
/// The longest answer line before the bytes.
const ANSWER: usize = 200;

/// A picture that this program wrote itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub bytes: Bytes,
    /// JPEG, or PNG if it has transparent parts.
    pub kind: PictureKind,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl std::fmt::Debug for Picture {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Picture { bytes, kind, width, height } = self;
        write!(formatter, "{kind:?} {width}x{height}, {} bytes", bytes.len())
    }
}

impl Tools {
    /// Takes in a JPEG, PNG or WebP file, made smaller where its longer side has more than `longest` pixels.
    ///
    /// # Errors
    /// [`Error::TooLarge`] over 20 MiB, 50 million pixels, or what these may take of memory; [`Error::WrongKind`] for
    /// everything that is no such picture.
    pub async fn fitted_picture(&self, file: &LocalFile, longest: u32) -> Result<Picture> {
        let (tenant, file) = (file.tenant().clone(), file.clone());
        let file = blocking(move || file.open()).await?;
        self.remade(&tenant, file, Some(longest)).await
    }

    /// Writes a picture anew that one of our own programs drew.
    ///
    /// # Errors
    /// As [`Tools::fitted_picture`].
    pub(super) async fn picture(&self, tenant: &Tenant, bytes: Vec<u8>) -> Result<Picture> {
        self.remade(tenant, in_memory(bytes).await?, None).await
    }

    /// Takes in a picture that a service sent, as [`Tools::fitted_picture`] does a file.
    ///
    /// # Errors
    /// As [`Tools::fitted_picture`].
    pub async fn received_picture(&self, tenant: &Tenant, bytes: Vec<u8>, longest: u32) -> Result<Picture> {
        self.remade(tenant, in_memory(bytes).await?, Some(longest)).await
    }

    async fn remade(&self, tenant: &Tenant, file: File, longest: Option<u32>) -> Result<Picture> {
        if file.metadata()?.len() > MOST_BYTES as u64 {
            return Err(Error::TooLarge(Message::new("media-picture-too-large").with("mib", MOST_BYTES >> 20)));
        }
        let _place = self.pictures.place(tenant).await?;
        let job = Job {
            program: Program::Decoder,
            arguments: longest.map(|longest| OsString::from(longest.to_string())).into_iter().collect(),
            cage: Cage { memory_mib: MEMORY_MIB, ..Cage::default() },
            input: Some(file),
            timeout: Duration::from_secs(60),
            output_limit: MOST_BYTES + ANSWER,
        };
        let output = cage::run(&self.launcher, job).await.map_err(|failure| match failure {
            Failure::NotStarted(_) | Failure::Pipe(_) => Error::Internal(anyhow::Error::new(failure)),
            // The decoder gave up on a broken picture.
            Failure::Failed { .. } => unreadable(&failure),
            Failure::TimedOut(_) | Failure::Signalled(_) | Failure::TooMuchOutput => {
                tracing::info!(%failure, "a picture is more than the cage allows");
                Error::TooLarge(Message::new("media-picture-too-demanding"))
            }
        })?;
        read(output.stdout)
    }
}

/// A file that has no place on disk.
async fn in_memory(bytes: Vec<u8>) -> Result<File> {
    blocking(move || {
        let mut file = File::from(memfd_create("picture", MFdFlags::MFD_CLOEXEC).map_err(std::io::Error::from)?);
        file.write_all(&bytes)?;
        file.rewind()?;
        Ok(file)
    })
    .await
}

fn unreadable(cause: &dyn std::fmt::Display) -> Error {
    tracing::info!(%cause, "a picture is not readable");
    Error::WrongKind(Message::new("media-picture-unreadable"))
}

/// What the decoder said. It has seen a stranger's bytes, so it is not believed without a look.
fn read(output: Vec<u8>) -> Result<Picture> {
    let odd = || Error::Internal(anyhow::anyhow!("the picture decoder made no sense"));
    let output = Bytes::from(output);
    let end = output.iter().take(ANSWER).position(|byte| *byte == b'\n').ok_or_else(odd)?;
    match serde_json::from_slice(&output[..end]).map_err(|_| odd())? {
        Answer::Picture { kind, width, height } => {
            let bytes = output.slice(end + 1..);
            if sniff_picture(&bytes) == Some(kind) { Ok(Picture { bytes, kind, width, height }) } else { Err(odd()) }
        }
        Answer::NoPicture => Err(Error::WrongKind(Message::new("media-no-such-picture"))),
        Answer::TooManyPixels => Err(Error::TooLarge(Message::new("media-picture-too-many-pixels"))),
        Answer::TooDeep => Err(Error::TooLarge(Message::new("media-picture-too-deep"))),
        Answer::Unreadable => Err(unreadable(&"the decoder says so")),
        Answer::Failed => Err(Error::Internal(anyhow::anyhow!("the picture decoder failed"))),
    }
}
