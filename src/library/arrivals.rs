//! How a video comes into the library: through the gate, looked at, judged, and written down with its bytes, its room
//! and its picture as one.

use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio_util::io::ReaderStream;
use uuid::Uuid;

use super::Editor;
use super::names;
use super::thumbnails::{NewThumbnail, Thumbnail};
use super::videos::{Video, VideoState};
use crate::audit;
use crate::error::{Error, Result};
use crate::media::{self, Container, Facts};
use crate::objects::intake::{Arrival, Arrived};
use crate::objects::{Bucket, Extension, Incoming, LocalFile, ObjectKey, ObjectKind};
use crate::store::blocking;
use crate::store::rows::{Row, Writer};
use crate::tenancy::{Kind, Ledger};
use crate::text::Message;

/// Widest picture that is made of every video, in pixels: enough for a wall of them.
const FRAME_WIDTH: u32 = 640;
/// It is taken a tenth into the video, but not beyond this second.
const FRAME_AT_MOST: f64 = 10.0;

/// An arrived file on its way to its final place. A batch that runs again finds it there.
pub(super) struct Keeping<K> {
    arrived: Arrived<K>,
    key: ObjectKey,
    kept: bool,
}

impl<K> Keeping<K> {
    pub fn new(arrived: Arrived<K>, kind: ObjectKind, extension: impl FnOnce(&K) -> Extension) -> Result<Self> {
        let extension = extension(&arrived.kind);
        let key = ObjectKey { kind, id: arrived.incoming()?.id(), extension };
        Ok(Keeping { arrived, key, kept: false })
    }

    /// Where it will lie.
    pub fn key(&self) -> ObjectKey {
        self.key
    }

    /// Gives it its final name. Called inside the batch of its row: from there on nobody can be dropped between the two,
    /// and a crash leaves the reservation as the mark of a file to be removed.
    pub fn keep(&mut self, bucket: &Bucket) -> Result<ObjectKey> {
        if !self.kept {
            let incoming: Incoming = self.arrived.take()?;
            bucket.keep(incoming, self.key.kind, self.key.extension)?;
            self.kept = true;
        }
        Ok(self.key)
    }
}

/// A video that is here whole and was found good; its row is not yet written.
pub struct NewVideo {
    pub(super) arrived: Keeping<Container>,
    pub(super) size: u64,
    pub(super) sha256: String,
    pub(super) facts: Facts,
    pub(super) original_name: String,
    pub(super) picture: Option<NewThumbnail>,
}

impl NewVideo {
    /// What its file was called.
    pub fn original_name(&self) -> &str {
        &self.original_name
    }

    /// What ffprobe found.
    pub fn facts(&self) -> &Facts {
        &self.facts
    }
}

pub(super) fn extension(container: Container) -> Extension {
    match container {
        Container::Mp4 => Extension::Mp4,
        Container::Mov => Extension::Mov,
        Container::Matroska => Extension::Mkv,
        Container::Webm => Extension::Webm,
        Container::Flv => Extension::Flv,
        Container::MpegTs => Extension::Ts,
        Container::Avi => Extension::Avi,
    }
}

pub(super) fn judge(head: &[u8]) -> Result<Container> {
    media::sniff(head).ok_or_else(|| Error::WrongKind(Message::new("library-no-video")))
}

impl Editor {
    /// Takes in a video's bytes: written, hashed, known by its first bytes, probed, synced. It is kept with
    /// [`Editor::keep_video`]; dropped, nothing is left of it.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for what is no video that can be used, [`Error::TooLarge`], [`Error::OverQuota`].
    pub async fn receive_video<S>(&self, arrival: &mut Arrival, stream: &mut S, file_name: &str) -> Result<NewVideo>
    where
        S: Stream<Item = Result<Bytes>> + Unpin,
    {
        let limit = self.foundation().config().limits.upload_mib << 20;
        let arrived = arrival.receive(stream, limit, media::sniff::HEAD, judge).await?;
        self.look_at(arrival, arrived, file_name, true).await
    }

    /// Probes what arrived; `wants_picture`: one is made of it.
    pub(super) async fn look_at(
        &self,
        arrival: &mut Arrival,
        mut arrived: Arrived<Container>,
        file_name: &str,
        wants_picture: bool,
    ) -> Result<NewVideo> {
        let (local, container, size) = (arrived.incoming()?.local(), arrived.kind, arrived.size);
        let sha256 = arrived.sha256.clone();
        // The disk works while the file, which is still in memory, is looked at.
        let (facts, ()) = tokio::try_join!(self.foundation().tools().probe(&local, container), arrived.sync())?;
        let original_name = names::file_name(file_name);
        let picture = match wants_picture {
            true => self.first_picture(arrival, &local, &facts, size).await,
            false => None,
        };
        let arrived = Keeping::new(arrived, ObjectKind::Video, |container| extension(*container))?;
        Ok(NewVideo { arrived, size, sha256, facts, original_name, picture })
    }

    /// A picture for lists. A video without one is still a video, so whatever goes wrong is only noted.
    async fn first_picture(
        &self,
        arrival: &mut Arrival,
        file: &LocalFile,
        facts: &Facts,
        size: u64,
    ) -> Option<NewThumbnail> {
        let made = async {
            if arrival.is_scarce().await? {
                return Ok(None);
            }
            let at = (facts.duration / 10.0).min(FRAME_AT_MOST);
            let tools = self.foundation().tools();
            let picture = tools.small_frame(file, facts.container, at, FRAME_WIDTH).await?;
            let mut new = NewThumbnail::store(arrival, picture, String::new(), None, size).await?;
            new.row.automatic = true;
            Ok::<_, Error>(Some(new))
        };
        made.await.unwrap_or_else(|cause| {
            tracing::info!(%cause, "no picture was made of a video");
            None
        })
    }

    /// Writes a received video down: its row, what it spends and the audit as one, its bytes in their place. With `last`
    /// what is left of the arrival's room is given back in the same batch.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `title`, [`Error::OverQuota`] where there are too many files. Nothing is left of it then.
    pub async fn keep_video(
        &self,
        arrival: &mut Arrival,
        new: NewVideo,
        title: Option<&str>,
        last: bool,
    ) -> Result<Row<Video>> {
        self.keep_video_with(arrival, new, title, last, None, |_, _| Ok(())).await
    }

    /// As [`Editor::keep_video`], with a `thumbnail` of the gallery shown for it and what `with` writes in the same batch.
    pub(super) async fn keep_video_with(
        &self,
        arrival: &mut Arrival,
        new: NewVideo,
        title: Option<&str>,
        last: bool,
        thumbnail: Option<Uuid>,
        mut with: impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + 'static,
    ) -> Result<Row<Video>> {
        let NewVideo { mut arrived, size, sha256, facts, original_name, mut picture } = new;
        let title = match title {
            Some(title) => names::title(title)?,
            None => names::title_of(&original_name),
        };
        let video_key = arrived.key();
        let id = video_key.id;
        if let Some(picture) = &mut picture {
            picture.row.title.clone_from(&title);
            picture.row.video_id = Some(id);
        }
        let mut keys = vec![video_key];
        keys.extend(picture.as_ref().map(|picture| picture.arrived.key()));
        let verdict = media::verdict(&facts);
        let video = Video {
            title,
            description: String::new(),
            tags: Vec::new(),
            original_name,
            extension: video_key.extension,
            sha256,
            facts,
            verdict,
            thumbnail_id: None,
            frame_id: None,
            state: VideoState::Ready,
            duplicate_of: None,
            bytes_id: None,
            held_by: Vec::new(),
        };
        let (this, room) = (self.clone(), arrival.room());
        let kept = self
            .rows()
            .write(move |rows| {
                let ledger = this.foundation().ledger(this.scope());
                ledger.check_files(rows)?;
                let mut video = video.clone();
                let same = rows.view().ids_at::<Video>("sha256", video.sha256.as_bytes())?;
                video.duplicate_of = same.first().copied();
                arrived.keep(&this.bucket())?;
                Ledger::settle(rows, &room, Kind::Uploads, size)?;
                let mut spent = size;
                if let Some(picture) = &mut picture
                    && ledger.check_files(rows).is_ok()
                {
                    let key = picture.keep(&this, rows, &room)?;
                    spent += picture.row.size;
                    (video.frame_id, video.thumbnail_id) = (Some(key.id), Some(key.id));
                }
                if let Some(chosen) = thumbnail
                    && rows.get::<Thumbnail>(chosen)?.is_some_and(|row| !row.value.going)
                {
                    video.thumbnail_id = Some(chosen);
                }
                with(rows, id)?;
                audit::record(rows, this.actor(), "video.upload", format!("{id} {}", video.title))?;
                rows.insert_with_id(id, this.tenant(), this.actor(), video)?;
                if last {
                    Ledger::give_back(rows, &room)?;
                }
                Ok(spent)
            })
            .await;
        let spent = self.or_unkept(kept, &keys).await?;
        arrival.spent(spent);
        if last {
            arrival.closed();
        }
        self.video(id).await
    }

    /// After a batch that kept bytes: where it failed, the bytes go too.
    pub(super) async fn or_unkept<T: Send + 'static>(&self, kept: Result<T>, keys: &[ObjectKey]) -> Result<T> {
        if kept.is_err() {
            let (bucket, keys) = (self.bucket(), keys.to_vec());
            blocking(move || keys.iter().try_for_each(|key| bucket.delete(key))).await?;
        }
        kept
    }

    /// Takes in a file that this program made in the tenant's own temp folder ([`Bucket::temp_folder`]), the same way as
    /// one from outside.
    ///
    /// # Errors
    /// As [`Editor::receive_video`]; [`Error::NotFound`] for a path elsewhere.
    pub async fn take_file(&self, path: &Path, title: &str) -> Result<Row<Video>> {
        let name = match (path.parent(), path.file_name()) {
            (Some(folder), Some(name)) if folder == self.bucket().temp_folder()? => name.to_string_lossy().into_owned(),
            _ => return Err(Error::NotFound),
        };
        let path = path.to_owned();
        let (file, length) = blocking(move || {
            let mut options = std::fs::OpenOptions::new();
            let file = options.read(true).custom_flags(nix::libc::O_NOFOLLOW).open(path)?;
            let length = file.metadata()?.len();
            Ok((file, length))
        })
        .await?;
        let mut arrival = Arrival::begin(self.foundation(), self.proof(), Some(length)).await?;
        let stream = ReaderStream::with_capacity(tokio::fs::File::from_std(file), 256 << 10);
        let mut stream = stream.map(|chunk| chunk.map_err(Error::from));
        let new = self.receive_video(&mut arrival, &mut stream, &name).await?;
        let row = self.keep_video(&mut arrival, new, Some(title), true).await?;
        arrival.end().await?;
        Ok(row)
    }
}
