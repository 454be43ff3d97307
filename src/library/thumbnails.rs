//! Thumbnails: pictures that stand for a video. People upload them or take them from a video; one is made from every
//! video that comes in.

use bytes::Bytes;
use futures_util::Stream;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::arrivals::Keeping;
use super::listing::{self, Ask, Facets, Found, Listed};
use super::names;
use super::uses;
use super::videos::{Served, Video, need_video, need_video_to_change};
use super::{Editor, Library};
use crate::audit;
use crate::error::{Error, Result};
use crate::media::picture::MOST_BYTES;
use crate::media::{self, Picture, PictureKind};
use crate::objects::intake::Arrival;
use crate::objects::{Bucket, Extension, ObjectKey, ObjectKind};
use crate::store::blocking;
use crate::store::rows::{Header, Index, Reader, Record, Row, Writer};
use crate::tenancy::{self, Kind, Ledger, Reservation};
use crate::text::Message;

/// Largest side of a stored thumbnail, in pixels: what platforms show.
pub const LONGEST_SIDE: u32 = 1280;

/// A stored picture.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Thumbnail {
    /// What people call it.
    pub title: String,
    /// What its bytes are stored and served as.
    pub extension: Extension,
    /// Bytes.
    pub size: u64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Hash of the bytes, in hex.
    pub sha256: String,
    /// The video that it was taken from.
    pub video_id: Option<Uuid>,
    /// Made without being asked for when its video came in; goes with it.
    pub automatic: bool,
    /// Deleted; its bytes are being removed.
    pub going: bool,
}

pub(super) fn judge(head: &[u8]) -> Result<PictureKind> {
    media::sniff_picture(head).ok_or_else(|| Error::WrongKind(Message::new("media-no-such-picture")))
}

/// What lists show of a thumbnail.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ThumbnailCard {
    /// What people call it.
    pub title: String,
    /// Bytes.
    pub size: u64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
}

impl Record for Thumbnail {
    const KIND: &'static str = "thumbnail";

    fn indexes(&self, _: &Header) -> Vec<Index> {
        let empty = |name| Index { name, key: Vec::new(), value: Vec::new() };
        if self.going {
            return vec![empty("going")];
        }
        let card = ThumbnailCard { title: self.title.clone(), size: self.size, width: self.width, height: self.height };
        let facets = Facets { flags: 0, size: self.size, duration: 0, title: &self.title, words: &[] };
        let mut rows = listing::indexes(&facets, &card);
        if !self.automatic {
            // One is made of every video: the gallery would drown in them, and would be slow to show.
            rows.push(Index { name: "gallery", key: Vec::new(), value: listing::stored(&facets, &card) });
        }
        rows
    }
}

impl Listed for Thumbnail {
    type Card = ThumbnailCard;
}

impl Thumbnail {
    /// Where its bytes lie.
    pub fn key(&self, id: Uuid) -> ObjectKey {
        ObjectKey { kind: ObjectKind::Thumbnail, id, extension: self.extension }
    }
}

/// Which thumbnails of the library.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum ThumbnailFilter {
    /// Every one.
    All,
    /// Without those that were made by themselves.
    Gallery,
}

pub(super) fn extension(kind: PictureKind) -> Extension {
    match kind {
        PictureKind::Jpeg => Extension::Jpg,
        PictureKind::Png => Extension::Png,
        PictureKind::Webp => Extension::Webp,
    }
}

/// A thumbnail that people may use.
pub fn need_thumbnail(rows: &Reader<'_>, id: Uuid) -> Result<Row<Thumbnail>> {
    rows.need::<Thumbnail>(id).and_then(present)
}

fn present(row: Row<Thumbnail>) -> Result<Row<Thumbnail>> {
    if row.value.going { Err(Error::NotFound) } else { Ok(row) }
}

/// A thumbnail's bytes, to be served.
pub(super) fn open(rows: &Reader<'_>, bucket: &Bucket, id: Uuid) -> Result<Served> {
    let row = need_thumbnail(rows, id)?;
    let key = row.value.key(id);
    let name = format!("{}.{}", row.value.title, row.value.extension.as_str());
    Ok(Served { file: bucket.open(&key)?, key, name, sha256: row.value.sha256 })
}

/// A picture on its way into the library.
pub(super) struct NewThumbnail {
    /// Its bytes, synced.
    pub arrived: Keeping<Extension>,
    /// Its row.
    pub row: Thumbnail,
}

impl NewThumbnail {
    /// Stores a picture's bytes. `beside` other bytes wait in the same arrival.
    pub async fn store(
        arrival: &mut Arrival,
        picture: Picture,
        title: String,
        video: Option<Uuid>,
        beside: u64,
    ) -> Result<Self> {
        let Picture { bytes, kind, width, height } = picture;
        let arrived = arrival.store(bytes, extension(kind), beside).await?;
        let row = Thumbnail {
            title,
            extension: arrived.kind,
            size: arrived.size,
            width,
            height,
            sha256: arrived.sha256.clone(),
            video_id: video,
            automatic: false,
            going: false,
        };
        Ok(NewThumbnail { arrived: Keeping::new(arrived, ObjectKind::Thumbnail, |kind| *kind)?, row })
    }

    /// Keeps the bytes and writes the row, in the batch that `rows` collects.
    pub fn keep(&mut self, editor: &Editor, rows: &mut Writer<'_>, room: &Reservation) -> Result<ObjectKey> {
        editor.foundation().ledger(editor.scope()).check_files(rows)?;
        let key = self.arrived.keep(&editor.bucket())?;
        Ledger::settle(rows, room, Kind::Thumbnails, self.row.size)?;
        rows.insert_with_id(key.id, editor.tenant(), editor.actor(), self.row.clone())?;
        Ok(key)
    }
}

/// A page of thumbnails as cards.
pub fn page_of_thumbnails(rows: &Reader<'_>, ask: &Ask, filter: ThumbnailFilter) -> Result<Found<ThumbnailCard>> {
    match filter {
        ThumbnailFilter::All => listing::page::<Thumbnail>(rows, "card", ask, None, |rows| {
            let stored = tenancy::usage(rows)?.of(Kind::Thumbnails).files;
            Ok(stored.saturating_sub(rows.count_by::<Thumbnail>("going", |_, _| true)?))
        }),
        ThumbnailFilter::Gallery => listing::page::<Thumbnail>(rows, "gallery", ask, None, |rows| {
            rows.count_by::<Thumbnail>("gallery", |_, _| true)
        }),
    }
}

/// How many videos show a thumbnail.
pub fn used_by(rows: &Reader<'_>, thumbnail: Uuid) -> Result<u64> {
    Ok(rows.ids_at::<Video>("thumbnail", thumbnail.as_bytes())?.len() as u64)
}

impl Library {
    /// A page of thumbnails as cards, each with the number of videos that show it.
    pub async fn thumbnail_cards(&self, ask: Ask, filter: ThumbnailFilter) -> Result<Found<(ThumbnailCard, u64)>> {
        self.rows()
            .read(move |rows| {
                let Found { items, next, previous, total } = page_of_thumbnails(rows, &ask, filter)?;
                let counted = items.into_iter().map(|(id, card)| Ok((id, (card, used_by(rows, id)?))));
                Ok(Found { items: counted.collect::<Result<_>>()?, next, previous, total })
            })
            .await
    }

    /// A page of whole thumbnails.
    pub async fn thumbnails(&self, ask: Ask, filter: ThumbnailFilter) -> Result<Found<Row<Thumbnail>>> {
        self.rows()
            .read(move |rows| {
                let Found { items, next, previous, total } = page_of_thumbnails(rows, &ask, filter)?;
                let mut whole = Vec::with_capacity(items.len());
                for (id, _) in items {
                    whole.extend(rows.get::<Thumbnail>(id)?.map(|row| (id, row)));
                }
                Ok(Found { items: whole, next, previous, total })
            })
            .await
    }

    /// One thumbnail.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none.
    pub async fn thumbnail(&self, id: Uuid) -> Result<Row<Thumbnail>> {
        self.rows().read(move |rows| need_thumbnail(rows, id)).await
    }

    /// A thumbnail's bytes, to be served.
    ///
    /// # Errors
    /// As [`Library::thumbnail`]; also if the bytes are gone.
    pub async fn open_thumbnail(&self, id: Uuid) -> Result<Served> {
        let bucket = self.bucket();
        self.rows().read(move |rows| open(rows, &bucket, id)).await
    }
}

impl Editor {
    /// Takes in an uploaded picture: read within limits, written anew, kept.
    ///
    /// # Errors
    /// [`Error::WrongKind`] for what is no picture, [`Error::TooLarge`], [`Error::OverQuota`]. Nothing is left of it.
    pub async fn take_picture<S>(
        &self,
        arrival: &mut Arrival,
        stream: &mut S,
        file_name: &str,
        title: Option<&str>,
    ) -> Result<Row<Thumbnail>>
    where
        S: Stream<Item = Result<Bytes>> + Unpin,
    {
        let title = match title {
            Some(title) => names::title(title)?,
            None => names::title_of(&names::file_name(file_name)),
        };
        let arrived = arrival.receive(stream, MOST_BYTES as u64, media::sniff::HEAD, judge).await?;
        let local = arrived.incoming()?.local();
        let picture = self.foundation().tools().fitted_picture(&local, LONGEST_SIDE).await?;
        arrived.remove().await?;
        let new = NewThumbnail::store(arrival, picture, title, None, 0).await?;
        self.keep_thumbnail(arrival, new, None).await
    }

    /// Takes a picture that this program made itself into the gallery.
    ///
    /// # Errors
    /// [`Error::OverQuota`] without room.
    pub async fn keep_picture(&self, picture: Picture, title: &str) -> Result<Row<Thumbnail>> {
        let mut arrival = Arrival::begin(self.foundation(), self.proof(), Some(picture.bytes.len() as u64)).await?;
        let new = NewThumbnail::store(&mut arrival, picture, names::title(title)?, None, 0).await?;
        let row = self.keep_thumbnail(&mut arrival, new, None).await?;
        arrival.end().await?;
        Ok(row)
    }

    /// Makes a thumbnail of a video's picture at a second, and shows it for the video.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `seconds` where the video has no picture then.
    pub async fn take_frame(&self, video: Uuid, seconds: f64) -> Result<Row<Thumbnail>> {
        let (mut row, mut file) = self.video_file(video).await?;
        if !(0.0..=row.value.facts.duration).contains(&seconds) {
            return Err(no_frame());
        }
        let tools = self.foundation().tools();
        let mut taken = tools.frame(&file, row.value.facts.container, seconds).await;
        if taken.is_err() && matches!(file.open(), Err(Error::NotFound)) {
            // Its optimised form has taken its place just now.
            (row, file) = self.video_file(video).await?;
            taken = tools.frame(&file, row.value.facts.container, seconds).await;
        }
        let picture = taken.map_err(|error| if matches!(error, Error::Invalid(_)) { no_frame() } else { error })?;
        let mut arrival = Arrival::begin(self.foundation(), self.proof(), Some(picture.bytes.len() as u64)).await?;
        let new = NewThumbnail::store(&mut arrival, picture, row.value.title.clone(), Some(video), 0).await?;
        let thumbnail = self.keep_thumbnail(&mut arrival, new, Some(video)).await?;
        arrival.end().await?;
        Ok(thumbnail)
    }

    async fn keep_thumbnail(
        &self,
        arrival: &mut Arrival,
        new: NewThumbnail,
        shown_for: Option<Uuid>,
    ) -> Result<Row<Thumbnail>> {
        self.keep_thumbnail_with(arrival, new, shown_for, |_, _| Ok(())).await
    }

    /// Writes a picture's row, with what `with` writes in the same batch.
    pub(super) async fn keep_thumbnail_with(
        &self,
        arrival: &mut Arrival,
        mut new: NewThumbnail,
        shown_for: Option<Uuid>,
        mut with: impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + 'static,
    ) -> Result<Row<Thumbnail>> {
        let this = self.clone();
        let (room, size, key) = (arrival.room(), new.row.size, new.arrived.key());
        let kept = self
            .rows()
            .write(move |rows| {
                let key = new.keep(&this, rows, &room)?;
                let title = &new.row.title;
                audit::record(rows, this.actor(), "thumbnail.create", format!("{} {title}", key.id))?;
                with(rows, key.id)?;
                if let Some(video) = shown_for {
                    let old = need_video_to_change(rows, video, None)?;
                    let changed = Video { thumbnail_id: Some(key.id), ..old.value.clone() };
                    rows.update(&old, changed)?;
                }
                Ok(())
            })
            .await;
        self.or_unkept(kept, &[key]).await?;
        arrival.spent(size);
        self.thumbnail(key.id).await
    }

    /// Gives a thumbnail another title.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `title`; [`Error::Stale`] where `expected` is another version.
    pub async fn rename_thumbnail(&self, id: Uuid, expected: Option<u64>, title: &str) -> Result<Row<Thumbnail>> {
        let (title, actor) = (names::title(title)?, self.actor().clone());
        self.rows()
            .write(move |rows| {
                let old = rows.need::<Thumbnail>(id, expected).and_then(present)?;
                audit::record(rows, &actor, "thumbnail.change", format!("{id} {title}"))?;
                rows.update(&old, Thumbnail { title: title.clone(), ..old.value.clone() }).map(drop)
            })
            .await?;
        self.thumbnail(id).await
    }

    /// Deletes a thumbnail; videos that show it show the frame made from them again.
    ///
    /// # Errors
    /// [`Error::Conflict`] names the streams that have it as their logo; [`Error::NotFound`];
    /// [`Error::Stale`] where `expected` is another version.
    pub async fn delete_thumbnail(&self, id: Uuid, expected: Option<u64>) -> Result<()> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let old = rows.need::<Thumbnail>(id, expected).and_then(present)?;
                let shown = uses::shown_by(rows.view(), id)?;
                if !shown.is_empty() {
                    let message = Message::new("library-thumbnail-logo").with("streams", shown.join(", "));
                    return Err(Error::Conflict(message));
                }
                forget_thumbnail(rows, &old)?;
                audit::record(rows, &actor, "thumbnail.delete", format!("{id} {}", old.value.title))
            })
            .await?;
        self.finish_thumbnail(id).await
    }

    /// Removes the bytes of a thumbnail that is going, then its row.
    pub(super) async fn finish_thumbnail(&self, id: Uuid) -> Result<()> {
        let (bucket, rows) = (self.bucket(), self.rows());
        let Some(row) = rows.read(move |rows| rows.get::<Thumbnail>(id)).await? else { return Ok(()) };
        let key = row.value.key(id);
        blocking(move || bucket.delete(&key)).await?;
        rows.write(move |rows| {
            let Some(row) = rows.get::<Thumbnail>(id)? else { return Ok(()) };
            rows.delete(&row);
            tenancy::spend(rows, Kind::Thumbnails, -row.value.size.cast_signed(), -1)
        })
        .await
    }
}

fn no_frame() -> Error {
    Error::field("seconds", Message::new("media-no-frame"))
}

/// Writes down that a thumbnail goes, and takes it from the videos that show it.
pub(super) fn forget_thumbnail(rows: &mut Writer<'_>, old: &Row<Thumbnail>) -> Result<()> {
    let id = old.id();
    let mut users = rows.view().ids_at::<Video>("thumbnail", id.as_bytes())?;
    users.extend(rows.view().ids_at::<Video>("frame", id.as_bytes())?);
    users.dedup();
    for user in users {
        let Some(row) = rows.get::<Video>(user)? else { continue };
        let mut video = row.value.clone();
        video.frame_id = video.frame_id.filter(|frame| *frame != id);
        if video.thumbnail_id == Some(id) {
            video.thumbnail_id = video.frame_id;
        }
        if video != row.value {
            rows.update(&row, video)?;
        }
    }
    rows.update(old, Thumbnail { going: true, ..old.value.clone() }).map(drop)
}

/// The newest thumbnails of the gallery and the ones of a video, to choose from.
pub fn choices(rows: &Reader<'_>, video: Uuid) -> Result<Vec<(Uuid, String)>> {
    let row = need_video(rows, video)?;
    gallery(rows, [row.value.frame_id, row.value.thumbnail_id].into_iter().flatten())
}

/// The newest thumbnails of the gallery, and certain others where they are not among them, to choose from.
pub fn gallery(rows: &Reader<'_>, others: impl IntoIterator<Item = Uuid>) -> Result<Vec<(Uuid, String)>> {
    let page = page_of_thumbnails(rows, &Ask::default(), ThumbnailFilter::Gallery)?;
    let mut choices: Vec<(Uuid, String)> = page.items.into_iter().map(|(id, card)| (id, card.title)).collect();
    for own in others {
        if !choices.iter().any(|(id, _)| *id == own)
            && let Some(card) = listing::card::<Thumbnail>(rows, own)?
        {
            choices.insert(0, (own, card.title));
        }
    }
    Ok(choices)
}
