//! What an old home held comes into the library by the same gate as everything else, with a mark of where it came from in
//! the batch of its row.

use std::fs::File;

use uuid::Uuid;

use super::arrivals::judge as judge_video;
use super::thumbnails::{LONGEST_SIDE, NewThumbnail, Thumbnail, judge as judge_picture};
use super::videos::Video;
use super::{Editor, names};
use crate::error::Result;
use crate::media;
use crate::media::picture::MOST_BYTES;
use crate::objects::intake::Arrival;
use crate::store::rows::{Row, Writer};

/// Room beside a video for the picture that is made of it, in bytes; what is missing is topped up.
const PICTURE: u64 = 256 << 10;

/// A file of an old home.
pub(crate) struct OldFile {
    /// Open for reading.
    pub file: File,
    /// What it was called when it came there.
    pub name: String,
    /// What people call it.
    pub title: String,
}

/// A title, cut where it is too long, or the file's name where there is none.
pub(super) fn title(given: &str, file_name: &str) -> String {
    Some(names::line(given, names::TITLE))
        .filter(|title| !title.is_empty())
        .unwrap_or_else(|| names::title_of(file_name))
}

impl Editor {
    /// Takes in a video; `thumbnail` is shown for it, or a picture that is made of it. `mark` sees the new id and the hash
    /// of the bytes, inside the batch of the row.
    ///
    /// # Errors
    /// As [`Editor::receive_video`].
    pub(crate) async fn take_old_video(
        &self,
        old: OldFile,
        thumbnail: Option<Uuid>,
        mut mark: impl FnMut(&mut Writer<'_>, Uuid, blake3::Hash) -> Result<()> + Send + 'static,
    ) -> Result<Row<Video>> {
        let limit = self.foundation().config().limits.upload_mib << 20;
        let size = old.file.metadata()?.len();
        let mut arrival = Arrival::of_job(self.foundation(), self.proof(), size).await?;
        let (arrived, hash) = arrival.copy(old.file, limit, media::sniff::HEAD, judge_video).await?;
        let new = self.look_at(&mut arrival, arrived, &old.name, thumbnail.is_none()).await?;
        let title = title(&old.title, new.original_name());
        let mark = move |rows: &mut Writer<'_>, id| mark(rows, id, hash);
        let row = self.keep_video_with(&mut arrival, new, Some(&title), true, thumbnail, mark).await?;
        arrival.end().await?;
        Ok(row)
    }

    /// Takes in a picture of the gallery, written anew as every picture. `mark` as in [`Editor::take_old_video`]; the hash
    /// is that of the old file.
    ///
    /// # Errors
    /// As [`Editor::take_picture`].
    pub(crate) async fn take_old_picture(
        &self,
        old: OldFile,
        mut mark: impl FnMut(&mut Writer<'_>, Uuid, blake3::Hash) -> Result<()> + Send + 'static,
    ) -> Result<Row<Thumbnail>> {
        let size = old.file.metadata()?.len().min(MOST_BYTES as u64);
        let mut arrival = Arrival::of_job(self.foundation(), self.proof(), size + PICTURE.min(size)).await?;
        let (arrived, hash) = arrival.copy(old.file, MOST_BYTES as u64, media::sniff::HEAD, judge_picture).await?;
        let local = arrived.incoming()?.local();
        let picture = self.foundation().tools().fitted_picture(&local, LONGEST_SIDE).await?;
        arrived.remove().await?;
        let title = title(&old.title, &names::file_name(&old.name));
        let new = NewThumbnail::store(&mut arrival, picture, title, None, 0).await?;
        let row = self.keep_thumbnail_with(&mut arrival, new, None, move |rows, id| mark(rows, id, hash)).await?;
        arrival.end().await?;
        Ok(row)
    }
}
