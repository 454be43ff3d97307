//! The Data API, typed: every call is counted before it is made, carries its channel's token, and comes back as a
//! resource or a [`Fault`]. Neither tokens nor keys stand in what is told or logged.
//!
//! Source: Google, "YouTube Data API Reference" and "YouTube Live Streaming API Reference" (developers.google.com/youtube/v3).

use std::collections::{HashMap, HashSet};
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use jiff::Timestamp;
use parking_lot::Mutex;
use reqwest::{Method, RequestBuilder, Response, StatusCode, header};
use secrecy::ExposeSecret as _;
use serde::Serialize;
use serde::de::DeserializeOwned;
use url::Url;
use uuid::Uuid;

use super::fault::{Fault, Sort};
use super::model::{
    Broadcast, Page, PlaylistItem, PlaylistItemSnippet, ResourceId, Stream, StreamDetails, StreamSnippet, Video,
};
use super::quota::{Need, Quota};
use super::units::Call;
use crate::auth::Tenant;
use crate::clock::Clock;
use crate::library::Editor;
use crate::oauth::{AccessToken, Grants, TokenFault};

/// From the first byte of a request to the last of its answer.
const LIMIT: Duration = Duration::from_secs(30);
/// Bytes of an answer that are read.
const MOST: usize = 4 << 20;
/// Rows of a page: the most that the API gives.
const PAGE: &str = "50";
/// Pages of one list.
const MOST_PAGES: usize = 40;
/// A broadcast, as far as we read it.
const BROADCAST_PARTS: &str = "id,snippet,status,contentDetails";

/// Channels of which the last answer about their streams is remembered.
const MOST_SEEN: usize = 1_000;

/// An answer with its etag: while the platform's is the same, it is not sent again.
#[derive(Clone)]
struct Seen {
    asked: String,
    etag: String,
    body: Vec<u8>,
}

/// The client of one home. Cheap to clone.
#[derive(Clone)]
pub struct Api {
    http: reqwest::Client,
    base: Url,
    grants: Grants,
    quota: Quota,
    clock: Clock,
    /// What was last said of the streams of a channel.
    seen: Arc<Mutex<HashMap<(Tenant, Uuid), Seen>>>,
}

/// Which broadcasts are listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which {
    /// Those that have not begun.
    Upcoming,
    /// Those that are shown.
    Active,
}

/// What a broadcast can be moved to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Move {
    /// It is shown.
    Live,
    /// It is over.
    Complete,
}

/// The body of a request.
enum Body<'b> {
    None,
    Json(serde_json::Value),
    Bytes(&'b Bytes, &'static str),
}

/// One account that calls are made for.
pub struct Account<'a> {
    api: &'a Api,
    editor: &'a Editor,
    /// Its connection.
    pub channel: Uuid,
    need: Need,
}

impl Api {
    /// `base` is where `/youtube/v3` and `/upload/youtube/v3` lie.
    pub fn new(http: reqwest::Client, base: Url, grants: Grants, quota: Quota, clock: Clock) -> Api {
        Api { http, base, grants, quota, clock, seen: Arc::default() }
    }

    /// The counter of units.
    pub fn quota(&self) -> &Quota {
        &self.quota
    }

    /// The grants that calls are made with.
    pub(super) fn grants(&self) -> &Grants {
        &self.grants
    }

    /// Calls for a channel of a library.
    pub fn account<'a>(&'a self, editor: &'a Editor, channel: Uuid, need: Need) -> Account<'a> {
        Account { api: self, editor, channel, need }
    }

    pub(super) fn address(&self, path: &str) -> Url {
        let mut url = self.base.clone();
        url.set_path(&format!("{}/{path}", self.base.path().trim_end_matches('/')));
        url
    }
}

fn of_token(fault: TokenFault, now: Timestamp) -> Fault {
    match fault {
        TokenFault::Gone => Fault::no_token(Sort::Tell, crate::text::Message::new("youtube-fault-disconnected")),
        TokenFault::Reconnect(why) => Fault::no_token(Sort::Tell, why),
        TokenFault::Later { at, why } => Fault::no_token(Sort::Wait(at.max(now)), why),
        TokenFault::Broken(cause) => Fault::from(cause),
    }
}

/// What an answer says; at most [`MOST`] bytes of it are read.
async fn read(mut response: Response) -> Result<Vec<u8>, Fault> {
    let mut body = Vec::new();
    while let Some(chunk) = response.chunk().await.map_err(|cause| no_answer(&cause))? {
        body.extend_from_slice(&chunk);
        if body.len() > MOST {
            return Err(Fault::odd());
        }
    }
    Ok(body)
}

fn no_answer(cause: &reqwest::Error) -> Fault {
    tracing::debug!(timeout = cause.is_timeout(), connect = cause.is_connect(), "the platform did not answer");
    Fault::unreachable(!cause.is_connect() && !cause.is_builder())
}

fn retry_after(response: &Response) -> Option<Duration> {
    let text = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    text.trim().parse().ok().map(Duration::from_secs)
}

impl Account<'_> {
    /// The same account for another need.
    pub fn for_need(&self, need: Need) -> Account<'_> {
        Account { api: self.api, editor: self.editor, channel: self.channel, need }
    }

    fn now(&self) -> Timestamp {
        self.api.clock.now()
    }

    /// The project that its units are counted for.
    ///
    /// # Errors
    /// As every call: there may be no token.
    pub async fn project(&self) -> Result<String, Fault> {
        Ok(self.token().await?.project().to_owned())
    }

    pub(super) async fn token(&self) -> Result<AccessToken, Fault> {
        let token = self.api.grants.access_token(self.editor, self.channel).await;
        token.map_err(|fault| of_token(fault, self.now()))
    }

    /// Sends a request that is counted already; once more with another token, where the platform refuses this one.
    pub(super) async fn send(
        &self,
        token: &mut AccessToken,
        make: impl Fn(&reqwest::Client) -> RequestBuilder,
    ) -> Result<Response, Fault> {
        let mut again = true;
        loop {
            let request = make(&self.api.http).bearer_auth(token.secret().expose_secret());
            let response = request.send().await.map_err(|cause| no_answer(&cause))?;
            if response.status() != StatusCode::UNAUTHORIZED || !again {
                return Ok(response);
            }
            again = false;
            let other = self.api.grants.after_refusal(self.editor, self.channel, token).await;
            *token = other.map_err(|fault| of_token(fault, self.now()))?;
        }
    }

    /// A fault from an answer; where it says that the day's units are used up, that is written down.
    pub(super) async fn fault(&self, project: &str, response: Response) -> Fault {
        let (status, after) = (response.status().as_u16(), retry_after(&response));
        let body = read(response).await.unwrap_or_default();
        let fault = Fault::of_answer(status, &body, after, self.now());
        tracing::debug!(status, reason = %fault.reason, "the platform refused a call");
        if matches!(fault.reason.as_str(), "quotaExceeded" | "dailyLimitExceeded")
            && let Err(cause) = self.api.quota.exhausted(project, self.now()).await
        {
            tracing::warn!(%cause, "that a project's units are used up could not be written down");
        }
        fault
    }

    /// Counts a call and gives the token for it.
    pub(super) async fn begin(&self, call: Call) -> Result<AccessToken, Fault> {
        let token = self.token().await?;
        let whose = (token.project(), self.editor.tenant());
        self.api.quota.spend(whose, call, self.need, self.now()).await?;
        Ok(token)
    }

    /// The address of a path.
    pub(super) fn address(&self, path: &str) -> Url {
        self.api.address(path)
    }

    /// An answer as a resource.
    pub(super) async fn read_json<T: DeserializeOwned>(&self, response: Response) -> Result<T, Fault> {
        decoded(&read(response).await?)
    }

    /// Asks; nothing where what is there is still what this etag names.
    async fn ask(
        &self,
        call: Call,
        (method, path): (Method, &str),
        query: &[(&str, &str)],
        body: Body<'_>,
        etag: Option<&str>,
    ) -> Result<Option<Vec<u8>>, Fault> {
        let mut token = self.begin(call).await?;
        let url = self.api.address(path);
        let make = |http: &reqwest::Client| {
            let request = http.request(method.clone(), url.clone()).query(query).timeout(LIMIT);
            let request = match etag {
                Some(etag) => request.header(header::IF_NONE_MATCH, etag),
                None => request,
            };
            match &body {
                Body::None if method == Method::POST => request.header(header::CONTENT_LENGTH, 0),
                Body::None => request,
                Body::Json(value) => request.json(value),
                Body::Bytes(bytes, kind) => request.header(header::CONTENT_TYPE, *kind).body((*bytes).clone()),
            }
        };
        let response = self.send(&mut token, make).await?;
        if response.status() == StatusCode::NOT_MODIFIED && etag.is_some() {
            return Ok(None);
        }
        if !response.status().is_success() {
            return Err(self.fault(token.project(), response).await);
        }
        read(response).await.map(Some)
    }

    async fn call(
        &self,
        call: Call,
        path: (Method, &str),
        query: &[(&str, &str)],
        body: Body<'_>,
    ) -> Result<Vec<u8>, Fault> {
        self.ask(call, path, query, body, None).await?.ok_or_else(Fault::odd)
    }

    async fn get<T: DeserializeOwned>(&self, call: Call, path: &str, query: &[(&str, &str)]) -> Result<T, Fault> {
        decoded(&self.call(call, (Method::GET, path), query, Body::None).await?)
    }

    async fn put<T: DeserializeOwned>(
        &self,
        call: Call,
        (method, path): (Method, &str),
        query: &[(&str, &str)],
        body: &impl Serialize,
    ) -> Result<T, Fault> {
        let body = serde_json::to_value(body).map_err(|cause| Fault::from(crate::error::Error::from(cause)))?;
        decoded(&self.call(call, (method, path), query, Body::Json(body)).await?)
    }

    /// All pages of a list, until `enough`.
    async fn pages<T: DeserializeOwned>(
        &self,
        call: Call,
        path: &str,
        query: &[(&str, &str)],
        mut enough: impl FnMut(&[T]) -> bool,
    ) -> Result<Vec<T>, Fault> {
        let (mut all, mut next): (Vec<T>, Option<String>) = (Vec::new(), None);
        let mut seen = HashSet::new();
        for _ in 0..MOST_PAGES {
            let mut query = query.to_vec();
            query.push(("maxResults", PAGE));
            query.extend(next.as_deref().map(|token| ("pageToken", token)));
            let page: Page<T> = self.get(call, path, &query).await?;
            all.extend(page.items);
            next = page.next_page_token;
            if next.is_none() || enough(&all) {
                break;
            }
            // A list that leads back into itself has no end.
            if !seen.insert(next.clone()) {
                return Err(Fault::odd());
            }
        }
        Ok(all)
    }

    /// Makes a broadcast.
    pub async fn insert_broadcast(&self, broadcast: &Broadcast) -> Result<Broadcast, Fault> {
        let query = [("part", "id,snippet,status,contentDetails")];
        self.put(Call::BroadcastsInsert, (Method::POST, "youtube/v3/liveBroadcasts"), &query, broadcast).await
    }

    /// Changes a broadcast: all of the parts that are there.
    pub async fn update_broadcast(&self, broadcast: &Broadcast) -> Result<Broadcast, Fault> {
        let query = [("part", "id,snippet,status,contentDetails")];
        self.put(Call::BroadcastsUpdate, (Method::PUT, "youtube/v3/liveBroadcasts"), &query, broadcast).await
    }

    /// Binds a stream to a broadcast.
    pub async fn bind(&self, broadcast: &str, stream: &str) -> Result<Broadcast, Fault> {
        let query = [("id", broadcast), ("streamId", stream), ("part", "id,contentDetails")];
        let path = (Method::POST, "youtube/v3/liveBroadcasts/bind");
        decoded(&self.call(Call::BroadcastsBind, path, &query, Body::None).await?)
    }

    /// Moves a broadcast on.
    pub async fn transition(&self, broadcast: &str, to: Move) -> Result<Broadcast, Fault> {
        let to = match to {
            Move::Live => "live",
            Move::Complete => "complete",
        };
        let query = [("id", broadcast), ("broadcastStatus", to), ("part", "id,status")];
        let path = (Method::POST, "youtube/v3/liveBroadcasts/transition");
        decoded(&self.call(Call::BroadcastsTransition, path, &query, Body::None).await?)
    }

    /// Takes a broadcast away; fine where it is gone.
    pub async fn delete_broadcast(&self, broadcast: &str) -> Result<(), Fault> {
        let path = (Method::DELETE, "youtube/v3/liveBroadcasts");
        match self.call(Call::BroadcastsDelete, path, &[("id", broadcast)], Body::None).await {
            Err(fault) if fault.is_gone() => Ok(()),
            other => other.map(drop),
        }
    }

    /// A broadcast by its id.
    pub async fn broadcast(&self, id: &str) -> Result<Option<Broadcast>, Fault> {
        let query = [("part", BROADCAST_PARTS), ("id", id)];
        let page: Page<Broadcast> = self.get(Call::BroadcastsList, "youtube/v3/liveBroadcasts", &query).await?;
        Ok(page.items.into_iter().find(|found| found.id.as_deref() == Some(id)))
    }

    /// The first broadcast of a kind that `wanted` knows again.
    pub async fn find_broadcast(
        &self,
        which: Which,
        wanted: impl Fn(&Broadcast) -> bool,
    ) -> Result<Option<Broadcast>, Fault> {
        let status = match which {
            Which::Upcoming => "upcoming",
            Which::Active => "active",
        };
        let query = [("part", BROADCAST_PARTS), ("broadcastStatus", status), ("broadcastType", "all")];
        let path = "youtube/v3/liveBroadcasts";
        let found = self.pages(Call::BroadcastsList, path, &query, |all| all.iter().any(&wanted)).await?;
        Ok(found.into_iter().find(&wanted))
    }

    /// All streams of the channel.
    pub async fn streams(&self) -> Result<Vec<Stream>, Fault> {
        let query = [("part", "id,snippet,cdn,status,contentDetails"), ("mine", "true")];
        self.pages(Call::StreamsList, "youtube/v3/liveStreams", &query, |_| false).await
    }

    /// How some streams are, at most 50. This is asked each minute of what is on air: what did not change is not sent
    /// again (developers.google.com/youtube/v3/getting-started, "Using ETags").
    pub async fn stream_states(&self, ids: &[String]) -> Result<Vec<Stream>, Fault> {
        let asked = ids.join(",");
        let place = (self.editor.tenant().clone(), self.channel);
        let seen = self.api.seen.lock().get(&place).filter(|seen| seen.asked == asked).cloned();
        let query = [("part", "id,status"), ("id", asked.as_str()), ("maxResults", PAGE)];
        let path = (Method::GET, "youtube/v3/liveStreams");
        let etag = seen.as_ref().map(|seen| seen.etag.as_str());
        let new = self.ask(Call::StreamsList, path, &query, Body::None, etag).await?;
        let Some(body) = new.or_else(|| seen.map(|seen| seen.body)) else { return Err(Fault::odd()) };
        let page: Page<Stream> = decoded(&body)?;
        let mut remembered = self.api.seen.lock();
        if remembered.len() >= MOST_SEEN {
            remembered.clear();
        }
        match page.etag {
            // What is no header is not sent back.
            Some(etag) if header::HeaderValue::from_str(&etag).is_ok() => {
                remembered.insert(place, Seen { asked, etag, body });
            }
            _ => drop(remembered.remove(&place)),
        }
        Ok(page.items)
    }

    /// Makes a stream for RTMP of any size and rate that can be used for more than one broadcast.
    pub async fn insert_stream(&self, title: &str) -> Result<Stream, Fault> {
        let stream = Stream {
            snippet: Some(StreamSnippet { title: Some(title.to_owned()) }),
            cdn: Some(super::model::Cdn {
                ingestion_type: Some("rtmp".into()),
                resolution: Some("variable".into()),
                frame_rate: Some("variable".into()),
                ingestion_info: None,
            }),
            content_details: Some(StreamDetails { is_reusable: Some(true) }),
            ..Stream::default()
        };
        let query = [("part", "id,snippet,cdn,status,contentDetails")];
        self.put(Call::StreamsInsert, (Method::POST, "youtube/v3/liveStreams"), &query, &stream).await
    }

    /// Takes a stream away; fine where it is gone.
    pub async fn delete_stream(&self, id: &str) -> Result<(), Fault> {
        let path = (Method::DELETE, "youtube/v3/liveStreams");
        match self.call(Call::StreamsDelete, path, &[("id", id)], Body::None).await {
            Err(fault) if fault.is_gone() => Ok(()),
            other => other.map(drop),
        }
    }

    /// Changes the texts of a video: all of them are set.
    pub async fn update_video(&self, video: &Video) -> Result<Video, Fault> {
        let query = [("part", "id,snippet")];
        self.put(Call::VideosUpdate, (Method::PUT, "youtube/v3/videos"), &query, video).await
    }

    /// A video by its id.
    pub async fn video(&self, id: &str) -> Result<Option<Video>, Fault> {
        let query = [("part", "id,snippet,status"), ("id", id)];
        let page: Page<Video> = self.get(Call::VideosList, "youtube/v3/videos", &query).await?;
        Ok(page.items.into_iter().find(|found| found.id.as_deref() == Some(id)))
    }

    /// Sets the picture of a video.
    pub async fn set_thumbnail(&self, video: &str, picture: &Bytes, kind: &'static str) -> Result<(), Fault> {
        let path = (Method::POST, "upload/youtube/v3/thumbnails/set");
        let query = [("videoId", video), ("uploadType", "media")];
        self.call(Call::ThumbnailsSet, path, &query, Body::Bytes(picture, kind)).await.map(drop)
    }

    /// Puts a video into a playlist, unless it is there.
    pub async fn add_to_playlist(&self, playlist: &str, video: &str) -> Result<(), Fault> {
        let query = [("part", "id"), ("playlistId", playlist), ("videoId", video)];
        let path = "youtube/v3/playlistItems";
        let page: Page<serde_json::Value> = self.get(Call::PlaylistItemsList, path, &query).await?;
        if !page.items.is_empty() {
            return Ok(());
        }
        let resource_id = ResourceId { kind: "youtube#video".into(), video_id: video.to_owned() };
        let item = PlaylistItem { snippet: PlaylistItemSnippet { playlist_id: playlist.to_owned(), resource_id } };
        let query = [("part", "snippet")];
        let made: Result<serde_json::Value, Fault> =
            self.put(Call::PlaylistItemsInsert, (Method::POST, path), &query, &item).await;
        made.map(drop)
    }
}

fn decoded<T: DeserializeOwned>(body: &[u8]) -> Result<T, Fault> {
    // An empty list would be read as a resource without fields, and what is there would be taken for gone.
    if body.trim_ascii_start().first() != Some(&b'{') {
        return Err(Fault::odd());
    }
    serde_json::from_slice(body).map_err(|cause| {
        // Without the text that it went wrong on: a body may hold a key.
        tracing::warn!(line = cause.line(), column = cause.column(), "an answer of the platform cannot be read");
        Fault::odd()
    })
}
