//! How a video goes, so that a crash at any point leaves neither a row without bytes nor bytes without a row for long:
//! the intent is written down first, then the bytes are removed, then the row goes and its room comes back as one. A
//! video that is on air only leaves: its bytes stay until the run ends.

use uuid::Uuid;

use super::thumbnails::{Thumbnail, forget_thumbnail};
use super::uses::{self, Use};
use super::videos::{Video, VideoState, need_video, need_video_to_change};
use super::{Editor, Library};
use crate::audit;
use crate::error::{Error, Result};
use crate::store::blocking;
use crate::store::rows::{Reader, Writer};
use crate::tenancy::{self, Kind};
use crate::text::Message;

impl Library {
    /// The streams that play a video.
    pub async fn video_uses(&self, id: Uuid) -> Result<Vec<Use>> {
        self.rows()
            .read(move |rows| {
                need_video(rows, id)?;
                uses::used_by(rows, id)
            })
            .await
    }
}

/// Refuses to delete what a schedule will want, and says which.
fn refuse_if_scheduled(rows: &Reader<'_>, id: Uuid) -> Result<()> {
    let waiting: Vec<String> =
        uses::used_by(rows, id)?.into_iter().filter(|used| used.schedules > 0).map(|used| used.title).collect();
    if waiting.is_empty() {
        return Ok(());
    }
    let message = Message::new("library-video-scheduled").with("count", waiting.len());
    Err(Error::Conflict(message.with("streams", waiting.join(", "))))
}

impl Editor {
    /// Deletes a video. One that is on air is gone for everybody at once, and its bytes go when the run ends. `force`
    /// deletes it although a schedule will want it.
    ///
    /// # Errors
    /// [`Error::Conflict`] names the streams with coming schedules; [`Error::NotFound`]; [`Error::Stale`].
    pub async fn delete_video(&self, id: Uuid, expected: Option<u64>, force: bool) -> Result<()> {
        let actor = self.actor().clone();
        let (state, frame) = self
            .rows()
            .write(move |rows| {
                let old = need_video_to_change(rows, id, expected)?;
                if !force {
                    refuse_if_scheduled(rows.view(), id)?;
                }
                let state = if uses::pinned(rows.view(), id)? { VideoState::Leaving } else { VideoState::Deleting };
                let frame = old.value.frame_id;
                let frame = frame.map(|frame| drop_frame(rows, frame, id)).transpose()?.flatten();
                // Read again: without its frame, its index rows are others.
                let old = need_video_to_change(rows, id, None)?;
                audit::record(rows, &actor, "video.delete", format!("{id} {}", old.value.title))?;
                rows.update(&old, Video { state, ..old.value.clone() })?;
                Ok((state, frame))
            })
            .await?;
        if let Some(frame) = frame {
            self.finish_thumbnail(frame).await?;
        }
        if state == VideoState::Deleting {
            self.finish_video(id).await?;
        }
        Ok(())
    }

    /// Deletes videos, whatever wants them; those that are not there are passed over. Their number.
    pub async fn delete_videos(&self, ids: Vec<Uuid>) -> Result<usize> {
        let mut deleted = 0;
        for id in ids {
            match self.delete_video(id, None, true).await {
                Ok(()) => deleted += 1,
                Err(Error::NotFound) => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(deleted)
    }

    /// Removes what was waiting for a run to end; how many videos that were.
    pub async fn free_leaving(&self) -> Result<usize> {
        let due = self
            .rows()
            .read(|rows| {
                let mut due = Vec::new();
                for id in rows.ids_at::<Video>("going", b"")? {
                    let Some(row) = rows.get::<Video>(id)? else { continue };
                    if row.value.state == VideoState::Deleting || !uses::pinned(rows, id)? {
                        due.push(id);
                    }
                }
                Ok(due)
            })
            .await?;
        for id in &due {
            self.finish_video(*id).await?;
        }
        Ok(due.len())
    }

    async fn finish_video(&self, id: Uuid) -> Result<()> {
        // From here on it is not given to another run, and a crash goes on from here.
        let key = self
            .rows()
            .write(move |rows| {
                let Some(old) = rows.get::<Video>(id)? else { return Ok(None) };
                if old.value.state != VideoState::Deleting {
                    rows.update(&old, Video { state: VideoState::Deleting, ..old.value.clone() })?;
                }
                Ok(Some(old.value.key(id)))
            })
            .await?;
        let Some(key) = key else { return Ok(()) };
        let bucket = self.bucket();
        blocking(move || bucket.delete(&key)).await?;
        self.rows()
            .write(move |rows| {
                let Some(old) = rows.get::<Video>(id)? else { return Ok(()) };
                rows.delete(&old);
                tenancy::spend(rows, Kind::Uploads, -old.value.facts.size.cast_signed(), -1)
            })
            .await
    }
}

/// The frame that was made of a video goes with it, unless another video shows it; its id, if it goes.
fn drop_frame(rows: &mut Writer<'_>, frame: Uuid, video: Uuid) -> Result<Option<Uuid>> {
    let Some(row) = rows.get::<Thumbnail>(frame)?.filter(|row| row.value.automatic && !row.value.going) else {
        return Ok(None);
    };
    let shown = rows.view().ids_at::<Video>("thumbnail", frame.as_bytes())?;
    if shown.iter().any(|other| *other != video) {
        rows.update(&row, Thumbnail { automatic: false, ..row.value.clone() })?;
        return Ok(None);
    }
    forget_thumbnail(rows, &row)?;
    Ok(Some(frame))
}
