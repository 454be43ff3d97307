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
use crate::jobs;
use crate::store::blocking;
use crate::store::rows::{Reader, Row, Writer};
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

/// Whether a run that is on air plays these bytes.
fn is_pinned(rows: &Reader<'_>, video: &Row<Video>) -> Result<bool> {
    Ok(uses::pinned(rows, video.id())? || uses::any_on_air(rows, &video.value.held_by)?)
}

/// What a deletion is meant to take a video from; streams that have it on their list lose it in any case.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Despite {
    /// Streams with schedules that have an occurrence to come.
    pub schedules: bool,
    /// Runs that are on air: the video is gone for everybody at once, its bytes when they end.
    pub runs: bool,
}

/// What became of many videos that were to be deleted.
#[derive(Debug, Default, PartialEq, Eq)]
pub struct Deleted {
    /// Number of those that are gone.
    pub count: usize,
    /// Titles of those that are wanted and stay.
    pub kept: Vec<String>,
}

/// Refuses to delete what is wanted, and says by which streams.
fn refuse_if_wanted(rows: &Reader<'_>, id: Uuid, despite: Despite) -> Result<()> {
    let uses = uses::used_by(rows, id)?;
    let refuse = |text: &'static str, is_wanting: fn(&Use) -> bool| {
        let wanting: Vec<&str> = uses.iter().filter(|used| is_wanting(used)).map(|used| used.title.as_str()).collect();
        if wanting.is_empty() {
            return Ok(());
        }
        let message = Message::new(text).with("count", wanting.len());
        Err(Error::Conflict(message.with("streams", wanting.join(", "))))
    };
    if !despite.runs {
        refuse("library-video-on-air", |used| used.on_air)?;
    }
    if !despite.schedules {
        refuse("library-video-scheduled", |used| used.schedules > 0)?;
    }
    Ok(())
}

impl Editor {
    /// Deletes a video.
    ///
    /// # Errors
    /// [`Error::Conflict`] names the streams that want it; [`Error::NotFound`]; [`Error::Stale`].
    pub async fn delete_video(&self, id: Uuid, expected: Option<u64>, despite: Despite) -> Result<()> {
        let actor = self.actor().clone();
        let (state, frame) = self
            .rows()
            .write(move |rows| {
                let old = need_video_to_change(rows, id, expected)?;
                refuse_if_wanted(rows.view(), id, despite)?;
                let state = if is_pinned(rows.view(), &old)? { VideoState::Leaving } else { VideoState::Deleting };
                let frame = old.value.frame_id;
                let frame = frame.map(|frame| drop_frame(rows, frame, id)).transpose()?.flatten();
                // Read again: without its frame, its index rows are others.
                let old = need_video_to_change(rows, id, None)?;
                jobs::cancel_about(rows, id)?;
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

    /// Deletes those of the videos that nothing wants; those that are not there are passed over.
    pub async fn delete_videos(&self, ids: Vec<Uuid>) -> Result<Deleted> {
        let mut deleted = Deleted::default();
        for id in ids {
            match self.delete_video(id, None, Despite::default()).await {
                Ok(()) => deleted.count += 1,
                Err(Error::NotFound) => {}
                Err(Error::Conflict(_)) => deleted.kept.push(self.video(id).await?.value.title),
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
                    if row.value.state == VideoState::Deleting || !is_pinned(rows, &row)? {
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

    pub(super) async fn finish_video(&self, id: Uuid) -> Result<()> {
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

/// The frame that was made of a video goes with it, unless another video or a stream shows it; its id, if it goes.
fn drop_frame(rows: &mut Writer<'_>, frame: Uuid, video: Uuid) -> Result<Option<Uuid>> {
    let Some(row) = rows.get::<Thumbnail>(frame)?.filter(|row| row.value.automatic && !row.value.going) else {
        return Ok(None);
    };
    let shown = rows.view().ids_at::<Video>("thumbnail", frame.as_bytes())?;
    let is_logo = !uses::shown_by(rows.view(), frame)?.is_empty();
    if is_logo || shown.iter().any(|other| *other != video) {
        rows.update(&row, Thumbnail { automatic: false, ..row.value.clone() })?;
        return Ok(None);
    }
    forget_thumbnail(rows, &row)?;
    Ok(Some(frame))
}
