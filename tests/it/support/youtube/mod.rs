//! A stand-in for the YouTube Data API that is as strict as the real one's documents: what the real API would refuse is
//! refused with the documented error. Source: developers.google.com/youtube/v3 (reference, live reference, error pages,
//! quota costs, resumable uploads).

mod broadcasts;
mod streams;
mod uploads;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::{Duration, Instant};

use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};

use super::listener::{Heard, Listener, Reply};

pub use broadcasts::Life;

/// What a call is refused with.
pub struct Refusal(pub u16, pub &'static str, pub String);

pub type Outcome = Result<(u16, Value), Refusal>;

pub fn refuse<T>(status: u16, reason: &'static str, text: impl Into<String>) -> Result<T, Refusal> {
    Err(Refusal(status, reason, text.into()))
}

/// A fault that a test wants.
pub struct Wanted {
    /// Call that it is for.
    pub call: &'static str,
    pub how: How,
    /// So many times.
    pub times: usize,
}

#[derive(Clone)]
pub enum How {
    /// Refused, nothing is done.
    Refuse(u16, &'static str),
    /// Done, and the connection is cut before the answer.
    DoneAndCut,
    /// Done, and answered so much later.
    DoneLate(Duration),
    /// Nothing is done, and the connection is cut.
    Cut,
    /// Nothing is done, and this is said all the same.
    Say(Value),
    /// Nothing is done, and so much is said to be there.
    There(Option<String>),
}

#[derive(Default)]
pub struct World {
    /// Bearer token → account.
    pub tokens: BTreeMap<String, String>,
    /// Every token that begins so belongs to this account.
    pub prefix: Option<(String, String)>,
    /// What every channel is called; by its account where none is said.
    pub channel_title: Option<String>,
    /// Grants cannot be given back just now.
    pub no_revoking: bool,
    pub broadcasts: BTreeMap<String, broadcasts::Broadcast>,
    pub streams: BTreeMap<String, streams::Stream>,
    pub videos: BTreeMap<String, uploads::Video>,
    pub uploads: BTreeMap<String, uploads::Session>,
    /// Playlist → videos.
    pub playlists: BTreeMap<String, Vec<String>>,
    /// Account → reason why it cannot go live.
    pub not_live: BTreeMap<String, &'static str>,
    pub wanted: Vec<Wanted>,
    /// What was called, in order, with the status of the answer.
    pub calls: Vec<(&'static str, u16)>,
    pub units: u64,
    pub limit: u64,
    /// So long after its making a broadcast does not stand in lists.
    pub lag: Duration,
    pub counter: u64,
    /// Of these accounts no bytes of uploads are read, and nothing is said.
    pub deaf_to: Vec<String>,
    /// So many parts were left unread.
    pub unread: usize,
}

type Ingest = dyn Fn(&str) -> bool + Send + Sync;

/// The stand-in. It ends when this is dropped.
pub struct Youtube {
    listener: Listener,
    world: Arc<Mutex<World>>,
}

/// A request, taken apart.
pub struct Asked<'h> {
    pub account: String,
    pub query: BTreeMap<String, String>,
    pub heard: &'h Heard,
}

impl Asked<'_> {
    pub fn get(&self, name: &str) -> Option<&str> {
        self.query.get(name).map(String::as_str)
    }

    /// A parameter that has to be there.
    pub fn need(&self, name: &'static str, reason: &'static str) -> Result<&str, Refusal> {
        self.get(name).filter(|value| !value.is_empty()).map_or_else(|| refuse(400, reason, name), Ok)
    }

    /// `part`, and no other parameters than those that the method knows.
    pub fn parts(&self, known: &[&str], others: &[&str]) -> Result<Vec<String>, Refusal> {
        let parts: Vec<String> =
            self.need("part", "missingRequiredParameter")?.split(',').map(|part| part.trim().to_owned()).collect();
        if let Some(part) = parts.iter().find(|part| !known.contains(&part.as_str())) {
            return refuse(400, "unknownPart", part.clone());
        }
        self.only(&[others, &["part"]].concat())?;
        Ok(parts)
    }

    pub fn only(&self, known: &[&str]) -> Result<(), Refusal> {
        match self.query.keys().find(|name| !known.contains(&name.as_str())) {
            Some(name) => refuse(400, "badRequest", format!("Unknown name \"{name}\"")),
            None => Ok(()),
        }
    }

    /// Exactly one of these.
    pub fn filter<'f>(&self, filters: &[&'f str]) -> Result<&'f str, Refusal> {
        let given: Vec<&str> = filters.iter().copied().filter(|name| self.query.contains_key(*name)).collect();
        match given.as_slice() {
            [one] => Ok(one),
            [] => refuse(400, "missingRequiredParameter", "No filter selected."),
            _ => refuse(400, "incompatibleParameters", format!("Incompatible parameters: {}", given.join(", "))),
        }
    }

    /// The body as JSON, with no other fields than these (`a.b` within `a`).
    pub fn body(&self, parts: &[String], known: &[&str]) -> Result<Value, Refusal> {
        let kind = header(self.heard, "content-type").unwrap_or_default();
        if kind.split(';').next() != Some("application/json") {
            return refuse(400, "parseError", "This API does not support parsing form-encoded input.");
        }
        let Ok(body @ Value::Object(_)) = serde_json::from_slice::<Value>(&self.heard.body) else {
            return refuse(400, "parseError", "Parse Error");
        };
        for (part, fields) in body.as_object().unwrap() {
            if matches!(part.as_str(), "id" | "kind" | "etag") {
                continue;
            }
            let Some(fields) = fields.as_object() else { return refuse(400, "badRequest", part.clone()) };
            if !parts.contains(part) {
                return refuse(400, "unexpectedPart", part.clone());
            }
            for name in fields.keys() {
                if !known.contains(&format!("{part}.{name}").as_str()) {
                    return refuse(400, "badRequest", format!("Unknown name \"{part}.{name}\""));
                }
            }
        }
        Ok(body)
    }
}

pub fn header<'h>(heard: &'h Heard, name: &str) -> Option<&'h str> {
    heard.headers.iter().find(|(given, _)| given == name).map(|(_, value)| value.as_str())
}

/// A page of a list.
pub fn paged(asked: &Asked<'_>, kind: &str, items: Vec<Value>) -> Outcome {
    let most = match asked.get("maxResults").map(str::parse::<usize>) {
        None => 5,
        Some(Ok(most)) if most <= 50 => most,
        Some(_) => return refuse(400, "invalidParameter", "maxResults"),
    };
    let start = match asked.get("pageToken") {
        None => 0,
        Some(token) => match token.strip_prefix("PAGE-").and_then(|number| number.parse::<usize>().ok()) {
            Some(start) if start <= items.len() => start,
            _ => return refuse(400, "invalidPageToken", "pageToken"),
        },
    };
    let total = items.len();
    let shown: Vec<Value> = items.into_iter().skip(start).take(most).collect();
    let next = start + shown.len();
    let mut page = json!({"kind": kind, "etag": format!("\"{start}-{total}\""), "items": shown,
        "pageInfo": {"totalResults": total, "resultsPerPage": most}});
    if next < total {
        page["nextPageToken"] = json!(format!("PAGE-{next}"));
    }
    Ok((200, page))
}

fn cost(call: &str) -> u64 {
    match call {
        "videos.insert" => 1600,
        "videos.upload" | "none" => 0,
        call if call.ends_with(".list") => 1,
        _ => 50,
    }
}

/// Which method an address is.
fn method_of(heard: &Heard, path: &str) -> &'static str {
    match (heard.method.as_str(), path) {
        ("GET", "/youtube/v3/liveBroadcasts") => "liveBroadcasts.list",
        ("POST", "/youtube/v3/liveBroadcasts") => "liveBroadcasts.insert",
        ("PUT", "/youtube/v3/liveBroadcasts") => "liveBroadcasts.update",
        ("DELETE", "/youtube/v3/liveBroadcasts") => "liveBroadcasts.delete",
        ("POST", "/youtube/v3/liveBroadcasts/bind") => "liveBroadcasts.bind",
        ("POST", "/youtube/v3/liveBroadcasts/transition") => "liveBroadcasts.transition",
        ("GET", "/youtube/v3/liveStreams") => "liveStreams.list",
        ("POST", "/youtube/v3/liveStreams") => "liveStreams.insert",
        ("DELETE", "/youtube/v3/liveStreams") => "liveStreams.delete",
        ("GET", "/youtube/v3/videos") => "videos.list",
        ("PUT", "/youtube/v3/videos") => "videos.update",
        ("POST", "/upload/youtube/v3/videos") => "videos.insert",
        ("PUT", "/upload/youtube/v3/videos") => "videos.upload",
        ("POST", "/upload/youtube/v3/thumbnails/set") => "thumbnails.set",
        ("GET", "/youtube/v3/playlistItems") => "playlistItems.list",
        ("POST", "/youtube/v3/playlistItems") => "playlistItems.insert",
        ("GET", "/youtube/v3/channels") => "channels.list",
        _ => "none",
    }
}

fn domain(reason: &str) -> &'static str {
    match reason {
        "quotaExceeded" => "youtube.quota",
        "rateLimitExceeded" | "userRateLimitExceeded" | "accessNotConfigured" => "usageLimits",
        "authError" | "required" | "backendError" | "badRequest" | "parseError" => "global",
        reason if reason.starts_with("live") || reason.ends_with("Transition") => "youtube.liveBroadcast",
        _ => "youtube.parameter",
    }
}

fn error(status: u16, reason: &str, text: &str) -> Reply {
    // The real one may repeat what was sent; nobody is to see that.
    let text = format!("{text} (sentinel-in-an-error)");
    let body = json!({"error": {"code": status, "message": text,
        "errors": [{"message": text, "domain": domain(reason), "reason": reason}]}});
    Reply::Say(status, vec![("content-type", "application/json; charset=UTF-8".into())], body.to_string())
}

impl World {
    pub fn fresh(&mut self, prefix: &str) -> String {
        self.counter += 1;
        format!("{prefix}{:06}", self.counter)
    }

    fn answer(&mut self, heard: &Heard, base: &str, ingest: &Ingest) -> Reply {
        let (path, query) = heard.path.split_once('?').unwrap_or((&heard.path, ""));
        let call = method_of(heard, path);
        let query: Vec<(String, String)> = url::form_urlencoded::parse(query.as_bytes()).into_owned().collect();
        let names = query.len();
        let query: BTreeMap<String, String> = query.into_iter().collect();
        let told = |world: &mut World, status| world.calls.push((call, status));
        if heard.method == "POST" && path == "/token" {
            return self.token(heard);
        }
        if heard.method == "GET" && path == "/picture.png" {
            let mut png = std::io::Cursor::new(Vec::new());
            image::RgbImage::new(88, 88).write_to(&mut png, image::ImageFormat::Png).unwrap();
            return Reply::Bytes("image/png", png.into_inner());
        }
        if heard.method == "POST" && path == "/revoke" {
            let status = if self.no_revoking { 503 } else { 200 };
            self.calls.push(("revoke", status));
            return Reply::status(status);
        }
        let account = self.account(heard);
        let Some(account) = account else {
            told(self, 401);
            return error(401, "authError", "Invalid Credentials");
        };
        if call == "none" {
            told(self, 404);
            return error(404, "notFound", "Not Found");
        }
        if names != query.len() {
            told(self, 400);
            return error(400, "badRequest", "a parameter stands twice");
        }
        if self.units + cost(call) > self.limit {
            told(self, 403);
            let text = "The request cannot be completed because you have exceeded your quota.";
            return error(403, "quotaExceeded", text);
        }
        self.units += cost(call);
        let (mut cut, mut late) = (false, None);
        if let Some(place) = self.wanted.iter().position(|wanted| wanted.call == call && wanted.times > 0) {
            self.wanted[place].times -= 1;
            match self.wanted[place].how.clone() {
                How::Refuse(status, reason) => {
                    told(self, status);
                    return error(status, reason, "as a test wants it");
                }
                How::Cut => {
                    told(self, 0);
                    return Reply::Cut;
                }
                How::DoneAndCut => cut = true,
                How::DoneLate(wait) => late = Some(wait),
                How::Say(body) => {
                    told(self, 200);
                    let json = ("content-type", "application/json; charset=UTF-8".to_owned());
                    return Reply::Say(200, vec![json], body.to_string());
                }
                How::There(range) => {
                    told(self, 308);
                    let headers = range.into_iter().map(|range| ("range", range)).collect();
                    return Reply::Say(308, headers, String::new());
                }
            }
        }
        self.tick(ingest);
        let asked = Asked { account, query, heard };
        let outcome = match call {
            "videos.insert" => match self.begin_upload(&asked) {
                Ok(id) => {
                    told(self, 200);
                    let place = format!("{base}/upload/youtube/v3/videos?uploadType=resumable&upload_id={id}");
                    return Reply::Say(200, vec![("location", place)], String::new());
                }
                Err(refusal) => Err(refusal),
            },
            "videos.upload" => match self.upload(&asked) {
                Ok(uploads::Progress::More(received)) => {
                    told(self, 308);
                    let range = (received > 0).then(|| ("range", format!("bytes=0-{}", received - 1)));
                    return if cut { Reply::Cut } else { Reply::Say(308, range.into_iter().collect(), String::new()) };
                }
                Ok(uploads::Progress::Done(video)) => Ok((201, video)),
                Err(refusal) => Err(refusal),
            },
            "liveBroadcasts.list" => self.list_broadcasts(&asked),
            "liveBroadcasts.insert" => self.insert_broadcast(&asked),
            "liveBroadcasts.update" => self.update_broadcast(&asked),
            "liveBroadcasts.delete" => self.delete_broadcast(&asked),
            "liveBroadcasts.bind" => self.bind(&asked),
            "liveBroadcasts.transition" => self.transition(&asked, ingest),
            "liveStreams.list" => self.list_streams(&asked, ingest),
            "liveStreams.insert" => self.insert_stream(&asked),
            "liveStreams.delete" => self.delete_stream(&asked),
            "videos.list" => self.list_videos(&asked),
            "videos.update" => self.update_video(&asked),
            "thumbnails.set" => self.set_thumbnail(&asked),
            "playlistItems.list" => self.list_items(&asked),
            "playlistItems.insert" => self.insert_item(&asked),
            _ => self.list_channels(&asked),
        };
        self.tick(ingest);
        let (status, reply) = match outcome {
            Ok((status, Value::Null)) => (status, Reply::status(status)),
            Ok((status, mut body)) => {
                let etag = format!("\"{}\"", &blake3::hash(body.to_string().as_bytes()).to_hex()[..12]);
                body["etag"] = json!(etag.clone());
                if heard.method == "GET" && header(heard, "if-none-match") == Some(etag.as_str()) {
                    (304, Reply::status(304))
                } else {
                    let headers = vec![("content-type", "application/json; charset=UTF-8".into()), ("etag", etag)];
                    (status, Reply::Say(status, headers, body.to_string()))
                }
            }
            Err(Refusal(status, reason, text)) => (status, error(status, reason, &text)),
        };
        told(self, status);
        match late {
            _ if cut => Reply::Cut,
            Some(wait) => Reply::Late(wait, Box::new(reply)),
            None => reply,
        }
    }

    /// Whose token a request has.
    fn account(&self, heard: &Heard) -> Option<String> {
        let token = header(heard, "authorization").and_then(|text| text.strip_prefix("Bearer "))?;
        let prefixed = self.prefix.as_ref().filter(|(prefix, _)| token.starts_with(prefix.as_str()));
        self.tokens.get(token).or(prefixed.map(|(_, account)| account)).cloned()
    }

    /// Whether the body of a request is read.
    fn reads(&mut self, heard: &Heard) -> bool {
        let is_part = heard.method == "PUT" && header(heard, "content-length").is_some_and(|length| length != "0");
        let deaf = is_part && self.account(heard).is_some_and(|account| self.deaf_to.contains(&account));
        self.unread += usize::from(deaf);
        !deaf
    }

    /// Tokens for whoever asks in the form of the standard: `sentinel-access-…` of the account that the code names.
    fn token(&mut self, heard: &Heard) -> Reply {
        let fields: BTreeMap<String, String> = url::form_urlencoded::parse(&heard.body).into_owned().collect();
        let field = |name: &str| fields.get(name).map(String::as_str).unwrap_or_default();
        let account = match field("grant_type") {
            "authorization_code" => field("code").strip_prefix("code-of-").map(str::to_owned),
            "refresh_token" => field("refresh_token").strip_prefix("sentinel-refresh-").map(str::to_owned),
            _ => None,
        };
        let json = ("content-type", "application/json".to_owned());
        let Some(account) = account else {
            return Reply::Say(400, vec![json], json!({"error": "invalid_grant"}).to_string());
        };
        let token = self.fresh("sentinel-access-");
        self.tokens.insert(token.clone(), account.clone());
        let body = json!({"access_token": token, "expires_in": 3599, "token_type": "Bearer",
            "refresh_token": format!("sentinel-refresh-{account}"),
            "scope": "https://www.googleapis.com/auth/youtube"});
        Reply::Say(200, vec![json], body.to_string())
    }

    fn list_channels(&mut self, asked: &Asked<'_>) -> Outcome {
        asked.parts(&["id", "snippet"], &["mine", "maxResults"])?;
        asked.filter(&["mine"])?;
        let snippet = json!({"title": self.channel_title.clone().unwrap_or_else(|| format!("Channel of {}", asked.account)),
            "thumbnails": {"default": {"url": format!("http://{}/picture.png", header(asked.heard, "host").unwrap_or_default()), "width": 88, "height": 88}}});
        let channel = json!({"kind": "youtube#channel", "id": format!("UC{}", asked.account), "snippet": snippet});
        paged(asked, "youtube#channelListResponse", vec![channel])
    }
}

impl Youtube {
    /// With room for a day's units, where nothing ever comes in.
    pub fn start() -> Youtube {
        Youtube::with_ingest(|_| false)
    }

    /// Whose streams are as `ingest` says: whether bytes come in by a key.
    pub fn with_ingest(ingest: impl Fn(&str) -> bool + Send + Sync + 'static) -> Youtube {
        let world = Arc::new(Mutex::new(World { limit: 10_000, ..World::default() }));
        let known = world.clone();
        let listening = world.clone();
        let listener = Listener::choosy(
            0,
            move |heard| listening.lock().reads(heard),
            move |heard, _| {
                let base = format!("http://{}", header(heard, "host").unwrap_or_default());
                known.lock().answer(heard, &base, &ingest)
            },
        );
        Youtube { listener, world }
    }

    /// Where `/youtube/v3` lies.
    pub fn base(&self) -> String {
        self.listener.url("")
    }

    /// What it knows, to look at and to change.
    pub fn world(&self) -> parking_lot::MutexGuard<'_, World> {
        self.world.lock()
    }

    /// A token of an account is good from now on.
    pub fn accept(&self, token: &str, account: &str) {
        self.world().tokens.insert(token.to_owned(), account.to_owned());
    }

    /// Every token that begins so is good.
    pub fn accept_all(&self, prefix: &str, account: &str) {
        self.world().prefix = Some((prefix.to_owned(), account.to_owned()));
    }

    /// A fault for the next so many calls of a method.
    pub fn want(&self, call: &'static str, how: How, times: usize) {
        self.world().wanted.push(Wanted { call, how, times });
    }

    /// How often a method was called and did what it should.
    pub fn done(&self, call: &str) -> usize {
        self.world().calls.iter().filter(|(name, status)| *name == call && matches!(status, 200..300)).count()
    }

    /// Calls that were refused, but for those that a test wanted.
    pub fn refused(&self) -> Vec<(&'static str, u16)> {
        self.world().calls.iter().copied().filter(|(_, status)| *status >= 400).collect()
    }

    /// Everything that was heard, for looking for secrets in places where none belong.
    pub fn heard(&self) -> Vec<Heard> {
        self.listener.heard()
    }

    /// Waits until the world is as wanted; panics if that takes longer than `patience`.
    pub async fn until(&self, what: &str, patience: Duration, wanted: impl Fn(&World) -> bool) {
        let deadline = Instant::now() + patience;
        while !wanted(&self.world()) {
            assert!(Instant::now() < deadline, "{what}: {:?}", self.world().calls);
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
    }
}

pub fn now() -> Timestamp {
    Timestamp::now()
}
