//! Videos: what is known of each, how they are found, changed and shown. How they come in is [`super::arrivals`], how
//! they go is [`super::removal`].

use std::collections::{HashMap, HashSet};
use std::fs::File;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::listing::{self, Ask, Facets, Found, Listed};
use super::names::{self, Complaints};
use super::thumbnails::Thumbnail;
use super::{Editor, Library};
use crate::audit;
use crate::error::{Error, Result};
use crate::media::{Facts, Verdict};
use crate::objects::{Extension, LocalFile, ObjectKey, ObjectKind};
use crate::store::rows::{Header, Index, Reader, Record, Row, Writer};
use crate::tenancy::{self, Kind};
use crate::text::Message;

/// Where a video is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum VideoState {
    /// Can be used.
    Ready,
    /// Deleted for everybody, but a run on air still plays it: the bytes stay until that ends.
    Leaving,
    /// Deleted; its bytes are being removed.
    Deleting,
}

/// An uploaded video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Video {
    /// What people call it.
    pub title: String,
    /// Notes.
    pub description: String,
    /// Words to find it by.
    pub tags: Vec<String>,
    /// What the file was called; never a path.
    pub original_name: String,
    /// What its bytes are stored and served as.
    pub extension: Extension,
    /// Hash of the bytes, in hex.
    pub sha256: String,
    /// What ffprobe found.
    pub facts: Facts,
    /// What that means for streaming.
    pub verdict: Verdict,
    /// The picture that was chosen for it.
    pub thumbnail_id: Option<Uuid>,
    /// The picture that was made from it when it came in; shown again when the chosen one goes.
    pub frame_id: Option<Uuid>,
    /// Where it is in its life.
    pub state: VideoState,
    /// An older video with the same bytes.
    pub duplicate_of: Option<Uuid>,
    /// Names its bytes, where these are not the first it had.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bytes_id: Option<Uuid>,
    /// Runs that had these bytes on air under another video's id when that was given others.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub held_by: Vec<Uuid>,
}

/// What lists show of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoCard {
    /// What people call it.
    pub title: String,
    /// Seconds.
    pub duration: f64,
    /// Bytes.
    pub size: u64,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Whether its verdict is good.
    pub ready: bool,
    /// How many findings its verdict has.
    pub findings: usize,
    /// Its picture.
    pub thumbnail_id: Option<Uuid>,
}

const READY: u8 = 1;

impl Record for Video {
    const KIND: &'static str = "video";

    fn indexes(&self, _: &Header) -> Vec<Index> {
        let empty = |name, key: &[u8]| Index { name, key: key.to_vec(), value: Vec::new() };
        let mut rows = vec![empty("sha256", self.sha256.as_bytes())];
        for (name, other) in [("thumbnail", self.thumbnail_id), ("frame", self.frame_id), ("bytes", self.bytes_id)] {
            rows.extend(other.map(|id| empty(name, id.as_bytes())));
        }
        if self.state != VideoState::Ready {
            rows.push(empty("going", b""));
            return rows;
        }
        let card = VideoCard {
            title: self.title.clone(),
            duration: self.facts.duration,
            size: self.facts.size,
            width: self.facts.video.width,
            height: self.facts.video.height,
            ready: self.verdict.ready,
            findings: self.verdict.findings.len(),
            thumbnail_id: self.thumbnail_id,
        };
        let mut words = vec![self.original_name.as_str()];
        words.extend(self.tags.iter().map(String::as_str));
        let facets = Facets {
            flags: if self.verdict.ready { READY } else { 0 },
            size: self.facts.size,
            duration: (self.facts.duration * 1000.0) as u64,
            title: &self.title,
            words: &words,
        };
        rows.extend(listing::indexes(&facets, &card));
        rows
    }
}

impl Listed for Video {
    type Card = VideoCard;
}

impl Video {
    /// Where its bytes lie.
    pub fn key(&self, id: Uuid) -> ObjectKey {
        ObjectKey { kind: ObjectKind::Video, id: self.bytes_id.unwrap_or(id), extension: self.extension }
    }

    /// Whether some video has these bytes.
    pub(super) fn has_bytes(rows: &Reader<'_>, key: &ObjectKey) -> Result<bool> {
        let first = rows.get::<Video>(key.id)?.is_some_and(|row| row.value.key(key.id) == *key);
        Ok(first || !rows.ids_at::<Video>("bytes", key.id.as_bytes())?.is_empty())
    }

    /// The name that a download gets: its title with the extension that its bytes have.
    pub fn download_name(&self) -> String {
        format!("{}.{}", self.title, self.extension.as_str())
    }
}

/// Which videos of the library.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum VideoFilter {
    /// Every one.
    #[default]
    All,
    /// Those that can go on air as they are.
    Ready,
    /// Those that cannot, or not well.
    Trouble,
    /// Those that no stream plays.
    Unused,
}

/// What is to be changed of a video; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct VideoChange {
    /// 1 to 200 characters.
    pub title: Option<String>,
    /// Up to 5000 characters.
    pub description: Option<String>,
    /// Up to 30 tags.
    pub tags: Option<Vec<String>>,
    /// One of the gallery; `Some(None)` shows the frame made from it again.
    pub thumbnail_id: Option<Option<Uuid>>,
}

/// An object that is about to be served.
#[derive(Debug)]
pub struct Served {
    /// Its bytes.
    pub file: File,
    /// What it is stored and served as.
    pub key: ObjectKey,
    /// What a download is called.
    pub name: String,
    /// SHA-256 of the bytes, in hex.
    pub sha256: String,
}

/// A video that people may use: one that is going is as good as gone.
pub fn need_video(rows: &Reader<'_>, id: Uuid) -> Result<Row<Video>> {
    rows.need::<Video>(id).and_then(present)
}

/// [`need_video`] in a batch; `expected` is the version that is about to be changed.
pub fn need_video_to_change(rows: &mut Writer<'_>, id: Uuid, expected: Option<u64>) -> Result<Row<Video>> {
    rows.need::<Video>(id, expected).and_then(present)
}

fn present(row: Row<Video>) -> Result<Row<Video>> {
    if row.value.state == VideoState::Ready { Ok(row) } else { Err(Error::NotFound) }
}

/// How many videos people see.
pub fn count_videos(rows: &Reader<'_>) -> Result<u64> {
    let stored = tenancy::usage(rows)?.of(Kind::Uploads).files;
    Ok(stored.saturating_sub(rows.count_by::<Video>("going", |_, _| true)?))
}

/// A page of videos as cards.
pub fn page_of_videos(rows: &Reader<'_>, ask: &Ask, filter: VideoFilter) -> Result<Found<VideoCard>> {
    let used: HashSet<Uuid> = match filter {
        VideoFilter::Unused => super::uses::used_videos(rows)?,
        _ => HashSet::new(),
    };
    let keeps = |id: Uuid, flags: u8| match filter {
        VideoFilter::All => true,
        VideoFilter::Ready => flags & READY != 0,
        VideoFilter::Trouble => flags & READY == 0,
        VideoFilter::Unused => !used.contains(&id),
    };
    let filtered: Option<&dyn Fn(Uuid, u8) -> bool> = if filter == VideoFilter::All { None } else { Some(&keeps) };
    listing::page::<Video>(rows, "card", ask, filtered, count_videos)
}

impl Library {
    /// A page of videos as cards.
    pub async fn video_cards(&self, ask: Ask, filter: VideoFilter) -> Result<Found<VideoCard>> {
        self.rows().read(move |rows| page_of_videos(rows, &ask, filter)).await
    }

    /// A page of whole videos.
    pub async fn videos(&self, ask: Ask, filter: VideoFilter) -> Result<Found<Row<Video>>> {
        self.rows()
            .read(move |rows| {
                let Found { items, next, previous, total } = page_of_videos(rows, &ask, filter)?;
                let mut whole = Vec::with_capacity(items.len());
                for (id, _) in items {
                    whole.extend(rows.get::<Video>(id)?.map(|row| (id, row)));
                }
                Ok(Found { items: whole, next, previous, total })
            })
            .await
    }

    /// One video.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none, or it is going.
    pub async fn video(&self, id: Uuid) -> Result<Row<Video>> {
        self.rows().read(move |rows| need_video(rows, id)).await
    }

    /// Videos by their ids; those that are not there, or going, are left out.
    pub async fn videos_by_id(&self, ids: Vec<Uuid>) -> Result<HashMap<Uuid, Row<Video>>> {
        self.rows()
            .read(move |rows| {
                let mut found = HashMap::new();
                for id in ids {
                    if !found.contains_key(&id)
                        && let Some(row) = rows.get::<Video>(id)?.filter(|row| row.value.state == VideoState::Ready)
                    {
                        found.insert(id, row);
                    }
                }
                Ok(found)
            })
            .await
    }

    /// A video's bytes, to be served.
    ///
    /// # Errors
    /// As [`Library::video`]; also if the bytes are gone.
    pub async fn open_video(&self, id: Uuid) -> Result<Served> {
        let bucket = self.bucket();
        self.rows()
            .read(move |rows| {
                let row = need_video(rows, id)?;
                let key = row.value.key(id);
                let (name, sha256) = (row.value.download_name(), row.value.sha256.clone());
                Ok(Served { file: bucket.open(&key)?, key, name, sha256 })
            })
            .await
    }

    /// A video with its bytes, for ffmpeg. One that is leaving still is there for the run that plays it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it was deleted, or its bytes are gone.
    pub async fn video_file(&self, id: Uuid) -> Result<(Row<Video>, LocalFile)> {
        let bucket = self.bucket();
        self.rows()
            .read(move |rows| {
                let row = rows.need::<Video>(id)?;
                if row.value.state == VideoState::Deleting {
                    return Err(Error::NotFound);
                }
                let file = bucket.local(&row.value.key(id))?;
                Ok((row, file))
            })
            .await
    }

    /// The picture of a video, to be served.
    ///
    /// # Errors
    /// [`Error::NotFound`] also if it has none.
    pub async fn open_video_thumbnail(&self, id: Uuid) -> Result<Served> {
        let bucket = self.bucket();
        self.rows()
            .read(move |rows| {
                let thumbnail = need_video(rows, id)?.value.thumbnail_id.ok_or(Error::NotFound)?;
                super::thumbnails::open(rows, &bucket, thumbnail)
            })
            .await
    }
}

impl Editor {
    /// Changes what people say about a video.
    ///
    /// # Errors
    /// [`Error::Invalid`] names every field that does not make sense; [`Error::Stale`] where `expected` is another
    /// version.
    pub async fn change_video(&self, id: Uuid, expected: Option<u64>, change: VideoChange) -> Result<Row<Video>> {
        let mut complaints = Complaints::default();
        let title = change.title.as_deref().map(names::title).transpose();
        let title = complaints.check(title)?.flatten();
        let description = change.description.as_deref().map(names::description).transpose();
        let description = complaints.check(description)?.flatten();
        let tags = change.tags.as_ref().map(|tags| names::tags(tags.iter().map(String::as_str))).transpose();
        let tags = complaints.check(tags)?.flatten();
        complaints.none()?;
        let (actor, picture) = (self.actor().clone(), change.thumbnail_id);
        self.rows()
            .write(move |rows| {
                let old = need_video_to_change(rows, id, expected)?;
                let mut video = old.value.clone();
                video.title = title.clone().unwrap_or(video.title);
                video.description = description.clone().unwrap_or(video.description);
                video.tags = tags.clone().unwrap_or(video.tags);
                if let Some(picture) = picture {
                    // Asserted, so that it is not deleted meanwhile.
                    let there = match picture {
                        Some(picture) => rows.get::<Thumbnail>(picture)?.is_some_and(|row| !row.value.going),
                        None => true,
                    };
                    if !there {
                        return Err(Error::field("thumbnail_id", Message::new("library-thumbnail-unknown")));
                    }
                    video.thumbnail_id = picture.or(video.frame_id);
                }
                if video == old.value {
                    return Ok(());
                }
                audit::record(rows, &actor, "video.change", format!("{id} {}", video.title))?;
                rows.update(&old, video).map(drop)
            })
            .await?;
        self.video(id).await
    }
}
