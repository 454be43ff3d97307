//! Videos of the stand-in: texts, pictures, playlists, and the protocol of resumable uploads.

use jiff::Timestamp;
use serde_json::{Value, json};

use super::broadcasts::{check_description, check_title};
use super::{Asked, Outcome, Refusal, World, header, now, paged, refuse};

/// A video that came by upload.
#[derive(Debug, Clone)]
pub struct Video {
    pub account: String,
    pub snippet: Value,
    pub status: Value,
    pub bytes: Vec<u8>,
    pub picture: Option<(usize, String)>,
}

/// An upload that is under way.
#[derive(Debug, Clone)]
pub struct Session {
    pub account: String,
    pub total: usize,
    pub bytes: Vec<u8>,
    pub body: Value,
    /// What it became.
    pub video: Option<String>,
    /// It has ended; whoever comes again is told that there is none.
    pub gone: bool,
}

pub enum Progress {
    /// So many bytes are here.
    More(usize),
    Done(Value),
}

const STEP: usize = 256 * 1024;

fn check_texts(body: &Value) -> Result<(), Refusal> {
    check_title(body["snippet"]["title"].as_str())?;
    check_description(body["snippet"]["description"].as_str())?;
    let tags = body["snippet"]["tags"].as_array().cloned().unwrap_or_default();
    // A tag with a blank counts with two quotation marks.
    let length = tags.iter().filter_map(Value::as_str).map(|tag| tag.len() + 2 * usize::from(tag.contains(' ')));
    if length.sum::<usize>() + tags.len().saturating_sub(1) > 500 {
        return refuse(400, "invalidTags", "tags");
    }
    Ok(())
}

fn is_category(body: &Value) -> bool {
    body["snippet"]["categoryId"].as_str().is_some_and(|id| id.parse::<u32>().is_ok_and(|id| (1..=44).contains(&id)))
}

impl World {
    pub fn list_videos(&mut self, asked: &Asked<'_>) -> Outcome {
        let parts = asked.parts(&["id", "snippet", "status"], &["id", "maxResults"])?;
        asked.filter(&["id"])?;
        let mut items = Vec::new();
        for id in asked.get("id").unwrap_or_default().split(',') {
            let (snippet, status) = match (self.videos.get(id), self.broadcasts.get(id)) {
                (Some(video), _) => (video.snippet.clone(), video.status.clone()),
                (_, Some(broadcast)) => (broadcast.snippet.clone(), broadcast.status.clone()),
                _ => continue,
            };
            let mut item = json!({"kind": "youtube#video", "id": id});
            if parts.iter().any(|part| part == "snippet") {
                item["snippet"] = snippet;
            }
            if parts.iter().any(|part| part == "status") {
                item["status"] = status;
            }
            items.push(item);
        }
        paged(asked, "youtube#videoListResponse", items)
    }

    pub fn update_video(&mut self, asked: &Asked<'_>) -> Outcome {
        let parts = asked.parts(&["id", "snippet", "status"], &[])?;
        let known = [
            "snippet.title",
            "snippet.description",
            "snippet.tags",
            "snippet.categoryId",
            "status.privacyStatus",
            "status.publishAt",
            "status.selfDeclaredMadeForKids",
        ];
        let body = asked.body(&parts, &known)?;
        let Some(id) = body["id"].as_str().map(str::to_owned) else { return refuse(400, "videoNotFound", "id") };
        check_texts(&body)?;
        if !is_category(&body) {
            return refuse(400, "invalidCategoryId", "categoryId");
        }
        let text = |name: &str| body["snippet"][name].as_str().unwrap_or_default().to_owned();
        if let Some(broadcast) = self.broadcasts.get_mut(&id).filter(|one| one.account == asked.account) {
            broadcast.snippet["title"] = json!(text("title"));
            broadcast.snippet["description"] = json!(text("description"));
            let tags = body["snippet"]["tags"].as_array().cloned().unwrap_or_default();
            broadcast.tags = tags.iter().filter_map(|tag| tag.as_str().map(str::to_owned)).collect();
            broadcast.category = body["snippet"]["categoryId"].as_str().map(str::to_owned);
        } else if let Some(video) = self.videos.get_mut(&id).filter(|one| one.account == asked.account) {
            video.snippet = body["snippet"].clone();
        } else {
            return refuse(404, "videoNotFound", "Video not found");
        }
        Ok((200, json!({"kind": "youtube#video", "id": id, "snippet": body["snippet"]})))
    }

    pub fn set_thumbnail(&mut self, asked: &Asked<'_>) -> Outcome {
        asked.only(&["videoId", "uploadType"])?;
        let id = asked.need("videoId", "missingRequiredParameter")?.to_owned();
        if asked.get("uploadType") != Some("media") {
            return refuse(400, "badRequest", "uploadType");
        }
        let kind = header(asked.heard, "content-type").unwrap_or_default().to_owned();
        let bytes = &asked.heard.body;
        if bytes.is_empty() {
            return refuse(400, "mediaBodyRequired", "body");
        }
        let is_picture = match kind.as_str() {
            "image/jpeg" => bytes.starts_with(&[0xff, 0xd8]),
            "image/png" => bytes.starts_with(b"\x89PNG"),
            _ => false,
        };
        if !is_picture || bytes.len() > 2 << 20 {
            return refuse(400, "invalidImage", kind);
        }
        let picture = Some((bytes.len(), kind));
        if let Some(broadcast) = self.broadcasts.get_mut(&id).filter(|one| one.account == asked.account) {
            broadcast.picture = picture;
        } else if let Some(video) = self.videos.get_mut(&id).filter(|one| one.account == asked.account) {
            video.picture = picture;
        } else {
            return refuse(404, "videoNotFound", "Video not found");
        }
        Ok((200, json!({"kind": "youtube#thumbnailSetResponse", "items": []})))
    }

    pub fn list_items(&mut self, asked: &Asked<'_>) -> Outcome {
        asked.parts(&["id", "snippet"], &["playlistId", "videoId", "maxResults", "pageToken"])?;
        let playlist = asked.need("playlistId", "missingRequiredParameter")?;
        let Some(videos) = self.playlists.get(playlist) else {
            return refuse(404, "playlistNotFound", "Playlist not found");
        };
        let found = videos.iter().filter(|video| asked.get("videoId").is_none_or(|wanted| wanted == video.as_str()));
        let items = found.map(|video| json!({"kind": "youtube#playlistItem", "id": format!("pi-{video}")})).collect();
        paged(asked, "youtube#playlistItemListResponse", items)
    }

    pub fn insert_item(&mut self, asked: &Asked<'_>) -> Outcome {
        let parts = asked.parts(&["snippet"], &[])?;
        let body = asked.body(&parts, &["snippet.playlistId", "snippet.resourceId", "snippet.position"])?;
        let resource = &body["snippet"]["resourceId"];
        if resource["kind"] != "youtube#video" {
            return refuse(400, "invalidResourceType", "resourceId");
        }
        let (Some(playlist), Some(video)) = (body["snippet"]["playlistId"].as_str(), resource["videoId"].as_str())
        else {
            return refuse(400, "playlistIdRequired", "playlistId");
        };
        if !self.videos.contains_key(video) && !self.broadcasts.contains_key(video) {
            return refuse(404, "videoNotFound", "Video not found");
        }
        let Some(videos) = self.playlists.get_mut(playlist) else {
            return refuse(404, "playlistNotFound", "Playlist not found");
        };
        videos.push(video.to_owned());
        Ok((200, json!({"kind": "youtube#playlistItem", "snippet": body["snippet"]})))
    }

    /// `videos.insert` as the documents' guide to resumable uploads has it; the id of the session.
    pub fn begin_upload(&mut self, asked: &Asked<'_>) -> Result<String, Refusal> {
        let parts = asked.parts(&["snippet", "status"], &["uploadType", "notifySubscribers"])?;
        if asked.get("uploadType") != Some("resumable") {
            return refuse(400, "badRequest", "uploadType");
        }
        let known = [
            "snippet.title",
            "snippet.description",
            "snippet.tags",
            "snippet.categoryId",
            "status.privacyStatus",
            "status.publishAt",
            "status.selfDeclaredMadeForKids",
        ];
        let body = asked.body(&parts, &known)?;
        let total = header(asked.heard, "x-upload-content-length").and_then(|text| text.parse().ok());
        let Some(total) = total.filter(|total: &usize| *total > 0) else {
            return refuse(400, "mediaBodyRequired", "X-Upload-Content-Length");
        };
        let kind = header(asked.heard, "x-upload-content-type").unwrap_or_default();
        if !kind.starts_with("video/") && kind != "application/octet-stream" {
            return refuse(400, "mediaBodyRequired", "X-Upload-Content-Type");
        }
        check_texts(&body)?;
        if !body["snippet"]["categoryId"].is_null() && !is_category(&body) {
            return refuse(400, "invalidCategoryId", "categoryId");
        }
        let privacy = body["status"]["privacyStatus"].as_str();
        if !matches!(privacy, Some("public" | "unlisted" | "private")) {
            return refuse(400, "invalidVideoMetadata", "privacyStatus");
        }
        if let Some(at) = body["status"]["publishAt"].as_str()
            && (privacy != Some("private") || at.parse::<Timestamp>().is_err())
        {
            return refuse(400, "invalidPublishAt", "publishAt");
        }
        let id = self.fresh("sentinel-upload-");
        let (account, bytes) = (asked.account.clone(), Vec::new());
        self.uploads.insert(id.clone(), Session { account, total, bytes, body, video: None, gone: false });
        Ok(id)
    }

    /// Bytes of a session, or the question how many are here.
    pub fn upload(&mut self, asked: &Asked<'_>) -> Result<Progress, Refusal> {
        asked.only(&["uploadType", "upload_id"])?;
        let id = asked.need("upload_id", "badRequest")?.to_owned();
        let Some(session) = self.uploads.get_mut(&id).filter(|one| one.account == asked.account && !one.gone) else {
            return refuse(404, "notFound", "Not Found");
        };
        let bytes = &asked.heard.body;
        let range = header(asked.heard, "content-range").unwrap_or_default();
        let Some(range) = range.strip_prefix("bytes ") else { return refuse(400, "badRequest", "Content-Range") };
        let Some((place, total)) = range.split_once('/') else { return refuse(400, "badRequest", "Content-Range") };
        if total.parse() != Ok(session.total) && total != "*" {
            return refuse(400, "badRequest", "another total");
        }
        if session.video.is_none() && place != "*" {
            let ends =
                place.split_once('-').and_then(|(a, b)| Some((a.parse::<usize>().ok()?, b.parse::<usize>().ok()?)));
            let Some((first, last)) = ends.filter(|(first, last)| last >= first && *last < session.total) else {
                return refuse(400, "badRequest", "Content-Range");
            };
            if last + 1 - first != bytes.len() {
                return refuse(400, "badRequest", "another length");
            }
            if first != session.bytes.len() {
                // The real one answers 308 with what it has, and takes nothing.
                return Ok(Progress::More(session.bytes.len()));
            }
            if last + 1 != session.total && !bytes.len().is_multiple_of(STEP) {
                return refuse(400, "badRequest", "not a multiple of 256 KiB");
            }
            session.bytes.extend_from_slice(bytes);
        } else if !bytes.is_empty() {
            return refuse(400, "badRequest", "bytes where none belong");
        }
        let session = session.clone();
        if session.bytes.len() < session.total {
            return Ok(Progress::More(session.bytes.len()));
        }
        let video = match session.video {
            Some(video) => video,
            None => {
                let video = self.fresh("vid-");
                let mut status = session.body["status"].clone();
                status["uploadStatus"] = json!("uploaded");
                let mut snippet = session.body["snippet"].clone();
                snippet["publishedAt"] = json!(now().to_string());
                let (account, bytes) = (session.account, session.bytes);
                self.videos.insert(video.clone(), Video { account, snippet, status, bytes, picture: None });
                self.uploads.get_mut(&id).unwrap().video = Some(video.clone());
                video
            }
        };
        let found = &self.videos[&video];
        let shown = json!({"kind": "youtube#video", "id": video, "snippet": found.snippet, "status": found.status});
        Ok(Progress::Done(shown))
    }
}
