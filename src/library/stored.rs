//! Photos and generated media (clips, montages, slideshows), and collections of objects, as an old home brings them. They
//! are kept, counted and verified like everything else; no page shows them yet.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::arrivals::{Keeping, extension as video_extension, judge as judge_video};
use super::from_old::{OldFile, title};
use super::thumbnails::{extension as picture_extension, judge as judge_picture};
use super::{Editor, names};
use crate::audit;
use crate::error::{Error, Result};
use crate::media::picture::MOST_BYTES;
use crate::media::{self, Facts};
use crate::objects::intake::Arrival;
use crate::objects::{Extension, ObjectKey, ObjectKind};
use crate::store::blocking;
use crate::store::rows::{Header, Index, Record, Row, Writer};
use crate::tenancy::{self, Ledger};

/// Longest side of a stored photo, in pixels.
const LONGEST_SIDE: u32 = 8192;

/// A photo, or media that was generated.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct StoredObject {
    /// Which of the kinds that have no row of their own.
    pub kind: ObjectKind,
    /// What people call it.
    pub title: String,
    /// What the file was called; never a path.
    pub original_name: String,
    /// What its bytes are stored as.
    pub extension: Extension,
    /// Bytes.
    pub size: u64,
    /// Hash of the bytes, in hex.
    pub sha256: String,
    /// What ffprobe found; nothing for a photo.
    pub facts: Option<Facts>,
}

impl Record for StoredObject {
    const KIND: &'static str = "object";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        vec![Index::text("title", &self.title)]
    }
}

impl StoredObject {
    /// Where its bytes lie.
    pub fn key(&self, id: Uuid) -> ObjectKey {
        ObjectKey { kind: self.kind, id, extension: self.extension }
    }
}

/// A named, ordered set of objects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Collection {
    /// What people call it.
    pub title: String,
    /// Ids of videos and of [`StoredObject`]s.
    pub items: Vec<Uuid>,
}

impl Record for Collection {
    const KIND: &'static str = "collection";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        vec![Index::text("title", &self.title)]
    }
}

impl Editor {
    /// Takes in a photo, written anew as every picture, or generated media. `mark` sees the new id and the hash of the old
    /// file, inside the batch of the row.
    ///
    /// # Errors
    /// As [`Editor::receive_video`].
    pub(crate) async fn take_old_object(
        &self,
        old: OldFile,
        kind: ObjectKind,
        mut mark: impl FnMut(&mut Writer<'_>, Uuid, blake3::Hash) -> Result<()> + Send + 'static,
    ) -> Result<Uuid> {
        let size = old.file.metadata()?.len();
        let mut arrival = Arrival::of_job(self.foundation(), self.proof(), size).await?;
        let tools = self.foundation().tools();
        let (arrived, size, sha256, facts, hash) = if kind == ObjectKind::Photo {
            let (arrived, hash) = arrival.copy(old.file, MOST_BYTES as u64, media::sniff::HEAD, judge_picture).await?;
            let picture = tools.fitted_picture(&arrived.incoming()?.local(), LONGEST_SIDE).await?;
            arrived.remove().await?;
            let arrived = arrival.store(picture.bytes, picture_extension(picture.kind), 0).await?;
            let (size, sha256) = (arrived.size, arrived.sha256.clone());
            (Keeping::new(arrived, kind, |found| *found)?, size, sha256, None, hash)
        } else {
            let limit = self.foundation().config().limits.upload_mib << 20;
            let (arrived, hash) = arrival.copy(old.file, limit, media::sniff::HEAD, judge_video).await?;
            let facts = tools.probe(&arrived.incoming()?.local(), arrived.kind).await?;
            let (container, size, sha256) = (arrived.kind, arrived.size, arrived.sha256.clone());
            let arrived = arrived.with_kind(video_extension(container))?;
            (Keeping::new(arrived, kind, |found| *found)?, size, sha256, Some(facts), hash)
        };
        let mut arrived = arrived;
        let key = arrived.key();
        let original_name = names::file_name(&old.name);
        let object = StoredObject {
            kind,
            title: title(&old.title, &original_name),
            original_name,
            extension: key.extension,
            size,
            sha256,
            facts,
        };
        let (this, room) = (self.clone(), arrival.room());
        let kept = self
            .rows()
            .write(move |rows| {
                this.foundation().ledger(this.scope()).check_files(rows)?;
                arrived.keep(&this.bucket())?;
                Ledger::settle(rows, &room, kind.spent_as(), size)?;
                mark(rows, key.id, hash)?;
                audit::record(rows, this.actor(), "object.create", format!("{} {}", key.id, object.title))?;
                rows.insert_with_id(key.id, this.tenant(), this.actor(), object.clone())?;
                Ledger::give_back(rows, &room)
            })
            .await;
        self.or_unkept(kept, &[key]).await?;
        arrival.spent(size);
        arrival.closed();
        arrival.end().await?;
        Ok(key.id)
    }

    /// Removes a photo or generated media: its bytes, then its row and what it spends as one. Cut off, it is done again.
    ///
    /// # Errors
    /// [`Error::Stale`] where it is not this version any more.
    pub(crate) async fn delete_object(&self, row: &Row<StoredObject>) -> Result<()> {
        let (bucket, key, id, version) = (self.bucket(), row.value.key(row.id()), row.id(), row.version);
        blocking(move || bucket.delete(&key)).await?;
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let old = match rows.need::<StoredObject>(id, Some(version)) {
                    Err(Error::NotFound) => return Ok(()),
                    old => old?,
                };
                rows.delete(&old);
                audit::record(rows, &actor, "object.delete", format!("{id} {}", old.value.title))?;
                tenancy::spend(rows, old.value.kind.spent_as(), -old.value.size.cast_signed(), -1)
            })
            .await
    }

    /// Makes a collection, with what `with` writes in the same batch; its id.
    pub(crate) async fn make_collection(
        &self,
        collection: Collection,
        mut with: impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + 'static,
    ) -> Result<Uuid> {
        let (tenant, actor, id) = (self.tenant().clone(), self.actor().clone(), Uuid::now_v7());
        self.rows()
            .write(move |rows| {
                with(rows, id)?;
                audit::record(rows, &actor, "collection.create", format!("{id} {}", collection.title))?;
                rows.insert_with_id(id, &tenant, &actor, collection.clone()).map(drop)
            })
            .await?;
        Ok(id)
    }
}
