//! What people do with uploads.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{MOST_OPEN, MOST_OVER, Upload, UploadState};
use crate::audit;
use crate::error::{Error, FieldError, Result};
use crate::library::{Editor, Library, Thumbnail, Video, VideoState};
use crate::oauth::Connection;
use crate::schedule::Broadcast;
use crate::schedule::sheet::Privacy;
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;

/// What a video is called on its channel, and who may see it from when.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct UploadTexts {
    /// The video's own title where absent.
    pub title: Option<String>,
    /// Below it; nothing where absent.
    pub description: Option<String>,
    /// Words that it is found by.
    pub tags: Option<Vec<String>>,
    /// YouTube's number of its category.
    pub category: Option<u16>,
    /// Who may see it; its owner only where absent.
    pub privacy: Option<Privacy>,
    /// It becomes public then; until then only its owner sees it.
    pub publish_at: Option<Timestamp>,
    /// It is made for children.
    pub made_for_kids: Option<bool>,
    /// Its picture; the video's own where absent.
    pub thumbnail_id: Option<Uuid>,
    /// Playlist that it is put into.
    pub playlist: Option<String>,
}

/// A video to be uploaded.
#[derive(Debug, Clone)]
pub struct NewUpload {
    /// Which.
    pub video_id: Uuid,
    /// What it is called there.
    pub texts: UploadTexts,
}

impl UploadTexts {
    /// In order, with complaints under `prefix`.
    fn checked(&self, prefix: &str, now: Timestamp, errors: &mut Vec<FieldError>) -> UploadTexts {
        let broadcast = Broadcast {
            title: self.title.clone(),
            description: self.description.clone(),
            tags: self.tags.clone(),
            category: self.category,
            playlist: self.playlist.clone(),
            ..Broadcast::default()
        };
        let mut found = Vec::new();
        let broadcast = broadcast.checked(&mut found);
        errors.extend(found.into_iter().map(|one| {
            let field = one.field.strip_prefix("broadcast.").unwrap_or(&one.field).to_owned();
            FieldError { field: format!("{prefix}{field}"), message: one.message }
        }));
        if self.publish_at.is_some_and(|at| at <= now) {
            let message = Message::new("youtube-publish-past");
            errors.push(FieldError { field: format!("{prefix}publish_at"), message });
        }
        let privacy = match (self.publish_at, self.privacy) {
            // Its link alone would show it before its time, and then everybody would see it.
            (Some(_), Some(Privacy::Unlisted)) => {
                let message = Message::new("youtube-publish-private");
                errors.push(FieldError { field: format!("{prefix}privacy"), message });
                None
            }
            // YouTube's rule: what becomes public later is private until then.
            (Some(_), _) => Some(Privacy::Private),
            (None, privacy) => privacy,
        };
        UploadTexts {
            title: broadcast.title,
            description: broadcast.description,
            tags: broadcast.tags,
            category: broadcast.category,
            playlist: broadcast.playlist,
            privacy,
            ..self.clone()
        }
    }

    /// With the video's own title and picture where nothing is said. Its description and tags are notes of its owner's,
    /// which platforms do not see.
    fn or_of(&self, video: &Video) -> UploadTexts {
        let title = || {
            let title = video.title.replace(['<', '>'], " ");
            title.chars().take(Broadcast::LONGEST_TITLE).collect()
        };
        UploadTexts {
            title: Some(self.title.clone().unwrap_or_else(title)),
            thumbnail_id: self.thumbnail_id.or(video.thumbnail_id),
            ..self.clone()
        }
    }
}

fn open_of(rows: &Reader<'_>) -> Result<Vec<Row<Upload>>> {
    let mut open = Vec::new();
    for id in rows.ids_at::<Upload>("open", &[])? {
        open.extend(rows.get::<Upload>(id)?);
    }
    Ok(open)
}

/// Bounds the list of uploads that are over.
pub(super) fn forget_old(rows: &mut Writer<'_>) -> Result<()> {
    let over = rows.view().ids_at::<Upload>("over", &[])?;
    for id in over.iter().take(over.len().saturating_sub(MOST_OVER)) {
        if let Some(row) = rows.get::<Upload>(*id)? {
            rows.delete(&row);
        }
    }
    Ok(())
}

impl Library {
    /// Uploads, the newest first; at most so many.
    pub async fn youtube_uploads(&self, most: usize) -> Result<Vec<Row<Upload>>> {
        self.rows()
            .read(move |rows| {
                let mut found = Vec::new();
                rows.each::<Upload>(true, |row| {
                    found.push(row);
                    if found.len() < most { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
                })?;
                Ok(found)
            })
            .await
    }

    /// Uploads of a video, the newest first; at most so many.
    pub async fn youtube_uploads_of(&self, video: Uuid, most: usize) -> Result<Vec<Row<Upload>>> {
        self.rows()
            .read(move |rows| {
                let mut found = Vec::new();
                for id in rows.ids_at::<Upload>("video", video.as_bytes())?.into_iter().rev().take(most) {
                    found.extend(rows.get::<Upload>(id)?);
                }
                Ok(found)
            })
            .await
    }

    /// One upload.
    pub async fn youtube_upload(&self, id: Uuid) -> Result<Row<Upload>> {
        self.rows().read(move |rows| rows.need::<Upload>(id)).await
    }
}

impl Editor {
    /// Queues videos for a channel, in this order, all or none.
    ///
    /// # Errors
    /// [`Error::Invalid`] with fields `items.<n>.…` and `channel_id`; [`Error::Conflict`] where a video is on its way to
    /// that channel already; [`Error::OverQuota`] where too many wait.
    pub(in crate::youtube) async fn queue_uploads(&self, channel: Uuid, items: Vec<NewUpload>) -> Result<Vec<Uuid>> {
        let now = self.foundation().clock().now();
        let mut errors = Vec::new();
        if items.is_empty() || items.len() > MOST_OPEN {
            errors.push(FieldError {
                field: "items".into(),
                message: Message::new("youtube-uploads-count").with("most", MOST_OPEN),
            });
        }
        let items: Vec<NewUpload> = items
            .into_iter()
            .enumerate()
            .map(|(number, item)| NewUpload {
                texts: item.texts.checked(&format!("items.{number}."), now, &mut errors),
                ..item
            })
            .collect();
        let (tenant, actor) = (self.tenant().clone(), self.actor().clone());
        self.rows()
            .write(move |rows| {
                let mut errors = errors.clone();
                if rows.get::<Connection>(channel)?.is_none() {
                    errors.push(FieldError {
                        field: "channel_id".into(),
                        message: Message::new("youtube-channel-unknown"),
                    });
                }
                let open = open_of(rows.view())?;
                if open.len() + items.len() > MOST_OPEN {
                    return Err(Error::OverQuota(Message::new("youtube-uploads-open").with("most", MOST_OPEN)));
                }
                let mut ids = Vec::with_capacity(items.len());
                let mut taken: std::collections::HashSet<Uuid> =
                    open.iter().filter(|row| row.value.channel_id == channel).map(|row| row.value.video_id).collect();
                for (number, item) in items.iter().enumerate() {
                    let Some(video) =
                        rows.get::<Video>(item.video_id)?.filter(|row| row.value.state == VideoState::Ready)
                    else {
                        let message = Message::new("live-video-unknown");
                        errors.push(FieldError { field: format!("items.{number}.video_id"), message });
                        continue;
                    };
                    if let Some(id) = item.texts.thumbnail_id
                        && rows.get::<Thumbnail>(id)?.is_none_or(|row| row.value.going)
                    {
                        let message = Message::new("library-thumbnail-unknown");
                        errors.push(FieldError { field: format!("items.{number}.thumbnail_id"), message });
                    }
                    if !taken.insert(item.video_id) {
                        let title = video.value.title.clone();
                        return Err(Error::Conflict(Message::new("youtube-upload-twice").with("title", title)));
                    }
                    let texts = item.texts.or_of(&video.value);
                    let (title, pictured) = (texts.title.clone().unwrap_or_default(), texts.thumbnail_id.is_none());
                    let upload = Upload {
                        video_id: item.video_id,
                        channel_id: channel,
                        texts,
                        state: UploadState::Waiting,
                        total: video.value.facts.size,
                        sent: 0,
                        session: None,
                        sessions: 0,
                        reached: 0,
                        platform_id: None,
                        pictured,
                        listed: item.texts.playlist.is_none(),
                        tries: 0,
                        not_before: None,
                        trouble: None,
                        ended_at: None,
                        account: None,
                    };
                    let id = Uuid::now_v7();
                    audit::record(rows, &actor, "youtube-upload.create", format!("{id} {title}"))?;
                    rows.insert_with_id(id, &tenant, &actor, upload)?;
                    ids.push(id);
                }
                if !errors.is_empty() {
                    return Err(Error::Invalid(errors));
                }
                Ok(ids)
            })
            .await
    }

    /// Lets an upload be; what is on the platform already stays there.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is over.
    pub(in crate::youtube) async fn cancel_upload(&self, id: Uuid) -> Result<()> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let row = rows.need::<Upload>(id, None)?;
                if !row.value.state.is_open() {
                    return Err(Error::Conflict(Message::new("youtube-upload-over")));
                }
                let ended_at = Some(rows.now());
                let why = match (&row.value.platform_id, row.value.state) {
                    (Some(_), _) => "youtube-upload-cancelled-there",
                    // What is on its way just now cannot be called back.
                    (None, UploadState::Sending) => "youtube-upload-cancelled-sending",
                    (None, _) => "youtube-upload-cancelled-why",
                };
                let trouble = Some(Message::new(why));
                let gone =
                    Upload { state: UploadState::Cancelled, session: None, trouble, ended_at, ..row.value.clone() };
                audit::record(rows, &actor, "youtube-upload.cancel", format!("{id}"))?;
                rows.update(&row, gone).map(drop)
            })
            .await
    }

    /// Takes an upload that is over off the list; what is on the platform stays there, and the record keeps its link.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is not over.
    pub(in crate::youtube) async fn remove_upload(&self, id: Uuid) -> Result<()> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let row = rows.need::<Upload>(id, None)?;
                if row.value.state.is_open() {
                    return Err(Error::Conflict(Message::new("youtube-upload-not-over")));
                }
                audit::record(rows, &actor, "youtube-upload.remove", row.value.recorded(id))?;
                rows.delete(&row);
                Ok(())
            })
            .await
    }

    /// Tries an upload again that failed or waits.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is done or was cancelled, or its video is on its way there by another one;
    /// [`Error::OverQuota`] where too many wait.
    pub(in crate::youtube) async fn retry_upload(&self, id: Uuid) -> Result<()> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let row = rows.need::<Upload>(id, None)?;
                if matches!(row.value.state, UploadState::Done | UploadState::Cancelled) {
                    return Err(Error::Conflict(Message::new("youtube-upload-over")));
                }
                if row.value.state == UploadState::Failed {
                    let open = open_of(rows.view())?;
                    if open.len() >= MOST_OPEN {
                        return Err(Error::OverQuota(Message::new("youtube-uploads-open").with("most", MOST_OPEN)));
                    }
                    let (video, channel) = (row.value.video_id, row.value.channel_id);
                    if open.iter().any(|other| other.value.video_id == video && other.value.channel_id == channel) {
                        let title = row.value.texts.title.clone().unwrap_or_default();
                        return Err(Error::Conflict(Message::new("youtube-upload-twice").with("title", title)));
                    }
                }
                let state = match row.value.state {
                    UploadState::Failed if row.value.platform_id.is_some() => UploadState::Finishing,
                    UploadState::Failed => UploadState::Waiting,
                    other => other,
                };
                // Whoever tries again what had failed wants another session for it, too.
                let failed = row.value.state == UploadState::Failed;
                let again = Upload {
                    state,
                    sessions: if failed { 0 } else { row.value.sessions },
                    tries: 0,
                    not_before: None,
                    trouble: None,
                    ended_at: None,
                    ..row.value.clone()
                };
                audit::record(rows, &actor, "youtube-upload.retry", format!("{id}"))?;
                rows.update(&row, again).map(drop)
            })
            .await
    }
}
