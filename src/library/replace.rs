//! A video is given other bytes: what was made of it takes its place under its own id, so that streams go on meaning it.
//! The bytes it had go on as a video of their own, which people see if they want to keep it; else it only waits until
//! nobody has it on air.

use uuid::Uuid;

use super::Editor;
use super::arrivals::{Keeping, NewVideo, extension, judge};
use super::uses;
use super::videos::{Video, VideoState, need_video_to_change};
use crate::audit;
use crate::error::{Error, Result};
use crate::media;
use crate::objects::intake::Arrival;
use crate::objects::{JobFile, JobFolder, ObjectKind};
use crate::store::rows::{Row, Writer};
use crate::tenancy::{Kind, Ledger};
use crate::text::Message;

/// What becomes of the bytes that a video had.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Original {
    /// They go, as soon as nobody has them on air.
    Goes,
    /// They stay as a video of their own, with this title.
    Stays(String),
}

impl Editor {
    /// Takes in a video that a job made, by the same gate as one from outside.
    ///
    /// # Errors
    /// As [`Editor::receive_video`].
    pub async fn receive_made(
        &self,
        arrival: &mut Arrival,
        folder: &JobFolder,
        file: JobFile,
        name: &str,
    ) -> Result<NewVideo> {
        let mut arrived = arrival.adopt(folder, file, judge).await?;
        let (local, container, size) = (arrived.incoming()?.local(), arrived.kind, arrived.size);
        let sha256 = arrived.sha256.clone();
        let facts = self.foundation().tools().probe(&local, container).await?;
        arrived.sync().await?;
        let arrived = Keeping::new(arrived, ObjectKind::Video, |container| extension(*container))?;
        Ok(NewVideo { arrived, size, sha256, facts, original_name: name.to_owned(), picture: None })
    }

    /// Gives a video the bytes of `new`, if it still has those that were read (`sha256`). `also` writes more in the same
    /// batch; it is told the id of the original, where that stays. What is left of the arrival's room is given back.
    ///
    /// # Errors
    /// [`Error::NotFound`] if the video was deleted meanwhile, [`Error::Conflict`] if it has other bytes by now, and
    /// those of `also`. Nothing is left of the new bytes then.
    pub async fn replace_video(
        &self,
        arrival: &mut Arrival,
        id: Uuid,
        read: String,
        new: NewVideo,
        original: Original,
        also: impl Fn(&mut Writer<'_>, Option<Uuid>) -> Result<()> + Send + 'static,
    ) -> Result<Row<Video>> {
        let NewVideo { mut arrived, size, sha256, facts, .. } = new;
        let key = arrived.key();
        let (this, room, old_id) = (self.clone(), arrival.room(), Uuid::now_v7());
        let kept = self
            .rows()
            .write(move |rows| {
                let old = need_video_to_change(rows, id, None)?;
                if old.value.sha256 != read {
                    return Err(Error::Conflict(Message::new("library-video-changed")));
                }
                let playing = uses::runs_playing(rows.view(), id)?;
                let mut was = Video {
                    bytes_id: Some(old.value.key(id).id),
                    held_by: [old.value.held_by.clone(), playing].concat(),
                    // The frame that was made of it goes on showing the video.
                    frame_id: None,
                    ..old.value.clone()
                };
                let original_id = match &original {
                    Original::Stays(title) => {
                        this.foundation().ledger(this.scope()).check_files(rows)?;
                        was.title.clone_from(title);
                        Some(old_id)
                    }
                    Original::Goes => {
                        was.thumbnail_id = None;
                        let on_air = uses::any_on_air(rows.view(), &was.held_by)?;
                        was.state = if on_air { VideoState::Leaving } else { VideoState::Deleting };
                        None
                    }
                };
                // Whoever was told of an older one with the same bytes is told of the one that has them now.
                for twin in rows.view().ids_at::<Video>("sha256", read.as_bytes())? {
                    if let Some(twin) = rows.get::<Video>(twin)?.filter(|twin| twin.value.duplicate_of == Some(id)) {
                        rows.update(&twin, Video { duplicate_of: original_id, ..twin.value.clone() })?;
                    }
                }
                also(rows, original_id)?;
                arrived.keep(&this.bucket())?;
                Ledger::settle(rows, &room, Kind::Uploads, size)?;
                Ledger::give_back(rows, &room)?;
                let video = Video {
                    extension: key.extension,
                    sha256: sha256.clone(),
                    verdict: media::verdict(&facts),
                    facts: facts.clone(),
                    duplicate_of: None,
                    bytes_id: Some(key.id),
                    held_by: Vec::new(),
                    ..old.value.clone()
                };
                audit::record(rows, this.actor(), "video.replace", format!("{id} {}", video.title))?;
                rows.update(&old, video)?;
                rows.insert_with_id(old_id, this.tenant(), this.actor(), was.clone())?;
                Ok(was.state)
            })
            .await;
        let state = self.or_unkept(kept, &[key]).await?;
        arrival.spent(size);
        arrival.closed();
        if state == VideoState::Deleting {
            self.finish_video(old_id).await?;
        }
        self.video(id).await
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::Despite;
    use crate::library::testing::editor;
    use crate::tenancy;

    /// A video of a few bytes, which nothing probes.
    async fn made(arrival: &mut Arrival, bytes: &'static [u8]) -> NewVideo {
        let facts = crate::media::Facts { size: bytes.len() as u64, ..crate::media::verdict::tests::good() };
        let arrived = arrival.store(bytes::Bytes::from_static(bytes), facts.container, 0).await.unwrap();
        let (size, sha256) = (arrived.size, arrived.sha256.clone());
        let arrived = Keeping::new(arrived, ObjectKind::Video, |container| extension(*container)).unwrap();
        NewVideo { arrived, size, sha256, facts, original_name: "a.mp4".into(), picture: None }
    }

    async fn stored(editor: &Editor, bytes: &'static [u8]) -> Row<Video> {
        let mut arrival = Arrival::begin(editor.foundation(), editor.proof(), None).await.unwrap();
        let new = made(&mut arrival, bytes).await;
        editor.keep_video(&mut arrival, new, Some("Rain"), true).await.unwrap()
    }

    fn read(editor: &Editor, row: &Row<Video>) -> Vec<u8> {
        let mut bytes = Vec::new();
        std::io::Read::read_to_end(&mut editor.bucket().open(&row.value.key(row.id())).unwrap(), &mut bytes).unwrap();
        bytes
    }

    #[tokio::test]
    async fn new_bytes_take_the_place_of_the_old_ones() {
        let home = tempfile::tempdir().unwrap();
        let editor = editor(home.path()).await;
        let video = stored(&editor, b"original").await;
        for (round, bytes) in [b"better".as_slice(), b"better still"].into_iter().enumerate() {
            let before = editor.video(video.id()).await.unwrap();
            let mut arrival = Arrival::of_job(editor.foundation(), editor.proof(), 100).await.unwrap();
            let new = made(&mut arrival, bytes).await;
            let sha256 = before.value.sha256.clone();
            let row = editor.replace_video(&mut arrival, video.id(), sha256, new, Original::Goes, |_, original| {
                assert_eq!(original, None);
                Ok(())
            });
            let row = row.await.unwrap();
            assert_eq!((row.id(), row.value.title.as_str()), (video.id(), "Rain"), "{round}");
            assert_eq!(read(&editor, &row), bytes);
            drop(arrival);
            assert_eq!(editor.verify(true).await.unwrap(), []);
            let usage = editor.rows().read(tenancy::usage).await.unwrap();
            assert_eq!((usage.used(), usage.reserved, usage.files()), (bytes.len() as u64, 0, 1));
        }
        editor.delete_video(video.id(), None, Despite::default()).await.unwrap();
        assert_eq!(editor.bucket().list().unwrap().objects, []);
    }

    #[tokio::test]
    async fn an_original_that_stays_is_a_video_of_its_own() {
        let home = tempfile::tempdir().unwrap();
        let editor = editor(home.path()).await;
        let video = stored(&editor, b"original").await;
        let mut arrival = Arrival::of_job(editor.foundation(), editor.proof(), 100).await.unwrap();
        let new = made(&mut arrival, b"better").await;
        let (tell, told) = std::sync::mpsc::channel();
        let stays = Original::Stays("Rain (original)".into());
        let read_before = video.value.sha256.clone();
        let row = editor.replace_video(&mut arrival, video.id(), read_before, new, stays, move |_, original| {
            tell.send(original).unwrap();
            Ok(())
        });
        let row = row.await.unwrap();
        let original = editor.video(told.recv().unwrap().unwrap()).await.unwrap();
        assert_eq!(original.value.title, "Rain (original)");
        assert_eq!((read(&editor, &row), read(&editor, &original)), (b"better".to_vec(), b"original".to_vec()));
        assert_eq!(editor.verify(true).await.unwrap(), []);
        // Its bytes bear the other's id: that one may go without them.
        editor.delete_video(video.id(), None, Despite::default()).await.unwrap();
        assert_eq!(read(&editor, &original), b"original");
        assert_eq!(editor.verify(true).await.unwrap(), []);
    }

    #[tokio::test]
    async fn bytes_that_were_made_of_others_are_not_taken() {
        let home = tempfile::tempdir().unwrap();
        let editor = editor(home.path()).await;
        let video = stored(&editor, b"original").await;
        let mut arrival = Arrival::of_job(editor.foundation(), editor.proof(), 100).await.unwrap();
        let new = made(&mut arrival, b"better").await;
        let refused =
            editor.replace_video(&mut arrival, video.id(), "other".into(), new, Original::Goes, |_, _| Ok(()));
        assert_eq!(refused.await.unwrap_err().status(), 409);
        let new = made(&mut arrival, b"better").await;
        let read_before = video.value.sha256.clone();
        let refused =
            editor.replace_video(&mut arrival, video.id(), read_before, new, Original::Goes, |_, _| Err(Error::Stale));
        assert_eq!(refused.await.unwrap_err().status(), 412);
        arrival.end().await.unwrap();
        assert_eq!(read(&editor, &editor.video(video.id()).await.unwrap()), b"original");
        assert_eq!(editor.verify(true).await.unwrap(), []);
    }
}
