//! What a crash left in the middle is brought to its end, one way or the other, after the next start.

use std::time::Duration;

use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Editor;
use super::stored::StoredObject;
use super::thumbnails::Thumbnail;
use super::videos::Video;
use crate::auth::{SystemLicence, Tenant};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::jobs;
use crate::objects::{ObjectKey, ObjectKind};
use crate::store::blocking;
use crate::store::rows::{Reader, Record};
use crate::tenancy;

/// Between two libraries that there is no hurry about.
const PAUSE: Duration = Duration::from_millis(20);

/// What [`Editor::reconcile`] found left over from a start that was cut off.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Reconciled {
    /// Files that were still arriving.
    pub swept: usize,
    /// Reservations that nobody would have spent.
    pub reclaimed: usize,
    /// Deletions that were brought to their end.
    pub finished: usize,
    /// Files that were kept but whose rows were never written; nobody was told that they arrived.
    pub orphans: usize,
}

/// Looks after the libraries of a box once: first those where something was arriving, then slowly the others.
pub async fn reconcile_all(
    foundation: Foundation,
    licence: &SystemLicence,
    tenants: Vec<Tenant>,
    end: CancellationToken,
) {
    let editor = |tenant: &Tenant| Editor::open(&foundation, &licence.scope(tenant, "reconcile"));
    let buckets: Vec<_> = tenants.iter().map(|tenant| editor(tenant).bucket()).collect();
    let looked = blocking(move || Ok(buckets.iter().map(|bucket| bucket.has_arrivals()).collect::<Vec<bool>>())).await;
    let looked = looked.unwrap_or_default();
    let (urgent, others): (Vec<_>, Vec<_>) =
        tenants.iter().enumerate().partition(|(number, _)| looked.get(*number).copied().unwrap_or(true));
    for (pause, (_, tenant)) in urgent
        .into_iter()
        .map(|tenant| (Duration::ZERO, tenant))
        .chain(others.into_iter().map(|tenant| (PAUSE, tenant)))
    {
        tokio::select! {
            () = end.cancelled() => return,
            () = tokio::time::sleep(pause) => {}
        }
        match editor(tenant).reconcile().await {
            Ok(done) if done == Reconciled::default() => {}
            // Removed meanwhile.
            Err(Error::NotFound) => {}
            Ok(done) => tracing::info!(%tenant, ?done, "an earlier start was cut off; its leftovers are cleared"),
            Err(cause) => {
                tracing::error!(%tenant, %cause, "leftovers could not be cleared; the next start tries again")
            }
        }
    }
}

impl Editor {
    /// Clears what an earlier start of the server left in the middle. Arrivals of this start are not touched.
    pub async fn reconcile(&self) -> Result<Reconciled> {
        let (bucket, proof, boot) = (self.bucket(), self.proof().clone(), self.foundation().boot());
        // Ids rise within one start, so whatever is older than the start's own id is of an earlier one.
        let swept = blocking(move || bucket.sweep(&proof, |id| id > boot)).await?;
        let mut done = Reconciled { swept, ..Reconciled::default() };
        if self.rows().read(move |rows| tenancy::has_old_reservations(rows, boot)).await? {
            // A file that was kept without its row can only be here if its reservation is.
            done.orphans = self.remove_orphans(boot).await?;
            done.reclaimed = self.foundation().ledger(self.scope()).reclaim().await?;
        }
        self.remove_job_folders().await?;
        done.finished = self.free_leaving().await?;
        let going = self.rows().read(|rows| rows.ids_at::<Thumbnail>("going", b"")).await?;
        for id in &going {
            self.finish_thumbnail(*id).await?;
        }
        done.finished += going.len();
        Ok(done)
    }

    /// Removes the folders of jobs that are over.
    async fn remove_job_folders(&self) -> Result<()> {
        let bucket = self.bucket();
        let folders = blocking(move || bucket.job_folders()).await?;
        if folders.is_empty() {
            return Ok(());
        }
        let over = self
            .rows()
            .read(move |rows| {
                let mut over = Vec::new();
                for job in folders {
                    if !jobs::is_open(rows, job)? {
                        over.push(job);
                    }
                }
                Ok(over)
            })
            .await?;
        let (bucket, proof) = (self.bucket(), self.proof().clone());
        blocking(move || over.iter().try_for_each(|job| bucket.remove_job_folder(&proof, *job))).await
    }

    async fn remove_orphans(&self, boot: Uuid) -> Result<usize> {
        let bucket = self.bucket();
        let objects = blocking(move || bucket.list()).await?.objects;
        let orphans = self
            .rows()
            .read(move |rows| {
                let mut orphans = Vec::new();
                for (key, _) in objects {
                    if key.id < boot && !has_row(rows, &key)? {
                        orphans.push(key);
                    }
                }
                Ok(orphans)
            })
            .await?;
        let (count, bucket) = (orphans.len(), self.bucket());
        blocking(move || {
            orphans.iter().try_for_each(|key| {
                tracing::warn!(object = %key.id, "removed a file whose arrival was never finished");
                bucket.delete(key)
            })
        })
        .await?;
        Ok(count)
    }
}

/// Whether an object has its row.
pub(super) fn has_row(rows: &Reader<'_>, key: &ObjectKey) -> Result<bool> {
    fn there<T: Record>(rows: &Reader<'_>, id: Uuid) -> Result<bool> {
        Ok(rows.get::<T>(id)?.is_some())
    }
    match key.kind {
        ObjectKind::Video => Video::has_bytes(rows, key),
        ObjectKind::Thumbnail => there::<Thumbnail>(rows, key.id),
        ObjectKind::Photo | ObjectKind::Clip | ObjectKind::Montage | ObjectKind::Slideshow | ObjectKind::Loop => {
            there::<StoredObject>(rows, key.id)
        }
    }
}

#[cfg(test)]
mod tests {
    use bytes::Bytes;

    use super::*;
    use crate::library::testing::editor;
    use crate::library::thumbnails::forget_thumbnail;
    use crate::media::{Picture, PictureKind};
    use crate::objects::Extension;
    use crate::objects::intake::Arrival;

    #[tokio::test]
    async fn whatever_a_crash_cut_off_is_brought_to_its_end_and_nothing_else_is_touched() {
        let (home, after) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let picture = Picture { bytes: Bytes::from_static(b"picture"), kind: PictureKind::Jpeg, width: 1, height: 1 };
        let before = editor(home.path()).await;
        let kept = before.keep_picture(picture.clone(), "kept").await.unwrap().id();
        let going = before.keep_picture(picture, "going").await.unwrap().id();
        // Two were arriving: one still a part, the other with its final name but without its row.
        let mut arrival = Arrival::begin(before.foundation(), before.proof(), Some(1000)).await.unwrap();
        let _part = arrival.store(Bytes::from_static(b"part"), (), 0).await.unwrap();
        let mut orphan = arrival.store(Bytes::from_static(b"orphan"), (), 0).await.unwrap();
        before.bucket().keep(orphan.take().unwrap(), ObjectKind::Video, Extension::Mp4).unwrap();
        assert_eq!(before.reconcile().await.unwrap(), Reconciled::default(), "what this start does is left alone");
        // A deletion was written down.
        before
            .rows()
            .write(move |rows| {
                let row = rows.need::<Thumbnail>(going, None)?;
                forget_thumbnail(rows, &row)
            })
            .await
            .unwrap();
        // Then the power went: what lies on the disk is all there is.
        for entry in walkdir::WalkDir::new(home.path()).min_depth(1) {
            let entry = entry.unwrap();
            let to = after.path().join(entry.path().strip_prefix(home.path()).unwrap());
            if entry.file_type().is_dir() {
                std::fs::create_dir_all(to).unwrap();
            } else {
                std::fs::copy(entry.path(), to).unwrap();
            }
        }
        let editor = editor(after.path()).await;
        let arriving = Arrival::begin(editor.foundation(), editor.proof(), Some(0)).await.unwrap();
        let done = editor.reconcile().await.unwrap();
        assert_eq!(done, Reconciled { swept: 1, reclaimed: 1, finished: 1, orphans: 1 });
        arriving.end().await.unwrap();
        assert_eq!(editor.verify(true).await.unwrap(), []);
        let usage = editor.rows().read(tenancy::usage).await.unwrap();
        assert_eq!((usage.used(), usage.reserved, usage.files()), (7, 0, 1));
        assert_eq!(editor.thumbnail(kept).await.unwrap().value.title, "kept");
        assert_eq!(editor.reconcile().await.unwrap(), Reconciled::default());
    }
}
