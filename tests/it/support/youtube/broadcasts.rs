//! Broadcasts of the stand-in: what is checked of them and how they move on.

use std::time::{Duration, Instant};

use jiff::Timestamp;
use serde_json::{Value, json};

use super::{Asked, Ingest, Outcome, Refusal, World, now, paged, refuse};

/// How far a broadcast is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Life {
    Created,
    Ready,
    Testing,
    LiveStarting,
    Live,
    Complete,
}

impl Life {
    fn word(self) -> &'static str {
        match self {
            Life::Created => "created",
            Life::Ready => "ready",
            Life::Testing => "testing",
            Life::LiveStarting => "liveStarting",
            Life::Live => "live",
            Life::Complete => "complete",
        }
    }
}

#[derive(Debug, Clone)]
pub struct Broadcast {
    pub account: String,
    pub snippet: Value,
    pub status: Value,
    pub details: Value,
    pub bound: Option<String>,
    pub life: Life,
    pub since: Instant,
    pub made: Instant,
    pub live_at: Option<Timestamp>,
    pub tags: Vec<String>,
    pub category: Option<String>,
    /// Size and kind of its picture.
    pub picture: Option<(usize, String)>,
    /// Its stream has been inactive since.
    pub silent_since: Option<Instant>,
}

impl Broadcast {
    pub fn title(&self) -> &str {
        self.snippet["title"].as_str().unwrap_or_default()
    }

    pub fn description(&self) -> &str {
        self.snippet["description"].as_str().unwrap_or_default()
    }

    pub fn starts_at(&self) -> Timestamp {
        self.snippet["scheduledStartTime"].as_str().unwrap().parse().unwrap()
    }
}

const PARTS: &[&str] = &["id", "snippet", "status", "contentDetails"];
const FIELDS: &[&str] = &[
    "snippet.title",
    "snippet.description",
    "snippet.scheduledStartTime",
    "snippet.scheduledEndTime",
    "status.privacyStatus",
    "status.selfDeclaredMadeForKids",
    "contentDetails.monitorStream",
    "contentDetails.enableAutoStart",
    "contentDetails.enableAutoStop",
    "contentDetails.enableClosedCaptions",
    "contentDetails.enableDvr",
    "contentDetails.enableEmbed",
    "contentDetails.recordFromStart",
    "contentDetails.latencyPreference",
];

pub fn check_title(title: Option<&str>) -> Result<(), Refusal> {
    match title {
        None | Some("") => refuse(400, "titleRequired", "title"),
        Some(title) if title.chars().count() > 100 || title.contains(['<', '>']) => {
            refuse(400, "invalidTitle", "title")
        }
        Some(_) => Ok(()),
    }
}

pub fn check_description(description: Option<&str>) -> Result<(), Refusal> {
    let description = description.unwrap_or_default();
    if description.len() > 5000 || description.contains(['<', '>']) {
        return refuse(400, "invalidDescription", "description");
    }
    Ok(())
}

fn check(body: &Value, new: bool) -> Result<(), Refusal> {
    check_title(body["snippet"]["title"].as_str())?;
    check_description(body["snippet"]["description"].as_str())?;
    let time = |name: &str| body["snippet"][name].as_str().map(|text| text.parse::<Timestamp>().ok());
    match time("scheduledStartTime") {
        None => return refuse(400, "scheduledStartTimeRequired", "scheduledStartTime"),
        // One that was in the future when it was made may be in the past when it is changed.
        Some(Some(at)) if !new || at > now() - Duration::from_secs(1) => {
            if at > now() + Duration::from_secs(365 * 24 * 3600) {
                return refuse(400, "invalidScheduledStartTime", "too far");
            }
            if let Some(end) = time("scheduledEndTime")
                && end.is_none_or(|end| end <= at)
            {
                return refuse(400, "invalidScheduledEndTime", "scheduledEndTime");
            }
        }
        Some(_) => return refuse(400, "invalidScheduledStartTime", "in the past"),
    }
    match body["status"]["privacyStatus"].as_str() {
        Some("public" | "unlisted" | "private") => {}
        None => return refuse(400, "privacyStatusRequired", "privacyStatus"),
        Some(_) => return refuse(400, "invalidPrivacyStatus", "privacyStatus"),
    }
    let details = &body["contentDetails"];
    match details["latencyPreference"].as_str() {
        None | Some("normal" | "low" | "ultraLow") => {}
        Some(_) => return refuse(400, "invalidLatencyPreferences", "latencyPreference"),
    }
    if !new {
        if !details["monitorStream"]["enableMonitorStream"].is_boolean() {
            return refuse(400, "enableMonitorStreamRequired", "enableMonitorStream");
        }
        if !details["monitorStream"]["broadcastStreamDelayMs"].is_u64() {
            return refuse(400, "broadcastStreamDelayMsRequired", "broadcastStreamDelayMs");
        }
    }
    Ok(())
}

fn merge(into: &mut Value, from: &Value) {
    for (name, value) in from.as_object().into_iter().flatten() {
        into[name] = value.clone();
    }
}

impl World {
    pub fn may_live(&self, account: &str) -> Result<(), Refusal> {
        match self.not_live.get(account) {
            Some(reason) => refuse(403, reason, "live"),
            None => Ok(()),
        }
    }

    fn shown(&self, id: &str, parts: &[String]) -> Value {
        let broadcast = &self.broadcasts[id];
        let mut shown = json!({"kind": "youtube#liveBroadcast", "id": id});
        for part in parts {
            match part.as_str() {
                "snippet" => shown["snippet"] = broadcast.snippet.clone(),
                "status" => {
                    shown["status"] = broadcast.status.clone();
                    shown["status"]["lifeCycleStatus"] = json!(broadcast.life.word());
                }
                "contentDetails" => {
                    shown["contentDetails"] = broadcast.details.clone();
                    if let Some(bound) = &broadcast.bound {
                        shown["contentDetails"]["boundStreamId"] = json!(bound);
                    }
                }
                _ => {}
            }
        }
        shown
    }

    fn own(&mut self, asked: &Asked<'_>, id: &str) -> Result<&mut Broadcast, Refusal> {
        let found = self.broadcasts.get_mut(id).filter(|broadcast| broadcast.account == asked.account);
        found.ok_or_else(|| Refusal(404, "liveBroadcastNotFound", "Broadcast not found".into()))
    }

    pub fn list_broadcasts(&mut self, asked: &Asked<'_>) -> Outcome {
        let known = ["broadcastStatus", "broadcastType", "id", "mine", "maxResults", "pageToken"];
        let parts = asked.parts(PARTS, &known)?;
        let filter = asked.filter(&["broadcastStatus", "id", "mine"])?;
        if !matches!(asked.get("broadcastType"), None | Some("all" | "event" | "persistent")) {
            return refuse(400, "invalidParameter", "broadcastType");
        }
        self.may_live(&asked.account)?;
        let value = asked.get(filter).unwrap_or_default().to_owned();
        if filter == "broadcastStatus" && !matches!(value.as_str(), "active" | "all" | "completed" | "upcoming") {
            return refuse(400, "invalidParameter", "broadcastStatus");
        }
        let keeps = |id: &str, broadcast: &Broadcast| match filter {
            "id" => value.split(',').any(|wanted| wanted == id),
            "mine" => value == "true",
            _ => match value.as_str() {
                "upcoming" => matches!(broadcast.life, Life::Created | Life::Ready | Life::Testing),
                "active" => matches!(broadcast.life, Life::LiveStarting | Life::Live),
                "completed" => broadcast.life == Life::Complete,
                _ => true,
            },
        };
        let lag = self.lag;
        let found = self.broadcasts.iter().filter(|(id, broadcast)| {
            let listed = filter == "id" || broadcast.made.elapsed() >= lag;
            broadcast.account == asked.account && listed && keeps(id, broadcast)
        });
        let found: Vec<String> = found.map(|(id, _)| id.clone()).collect();
        let items = found.iter().map(|id| self.shown(id, &parts)).collect();
        paged(asked, "youtube#liveBroadcastListResponse", items)
    }

    pub fn insert_broadcast(&mut self, asked: &Asked<'_>) -> Outcome {
        let parts = asked.parts(PARTS, &[])?;
        let body = asked.body(&parts, FIELDS)?;
        self.may_live(&asked.account)?;
        check(&body, true)?;
        let id = self.fresh("bc-");
        let mut details = json!({"monitorStream": {"enableMonitorStream": true, "broadcastStreamDelayMs": 0},
            "enableAutoStart": false, "enableAutoStop": false, "enableDvr": true, "latencyPreference": "normal"});
        merge(&mut details, &body["contentDetails"]);
        let mut snippet = json!({"description": "", "publishedAt": now().to_string()});
        merge(&mut snippet, &body["snippet"]);
        let broadcast = Broadcast {
            account: asked.account.clone(),
            snippet,
            status: body["status"].clone(),
            details,
            bound: None,
            life: Life::Created,
            since: Instant::now(),
            made: Instant::now(),
            live_at: None,
            tags: Vec::new(),
            category: None,
            picture: None,
            silent_since: None,
        };
        self.broadcasts.insert(id.clone(), broadcast);
        Ok((200, self.shown(&id, &parts)))
    }

    pub fn update_broadcast(&mut self, asked: &Asked<'_>) -> Outcome {
        let parts = asked.parts(PARTS, &[])?;
        let body = asked.body(&parts, FIELDS)?;
        let Some(id) = body["id"].as_str().map(str::to_owned) else { return refuse(400, "idRequired", "id") };
        let broadcast = self.own(asked, &id)?;
        check(&body, false)?;
        let settled = !matches!(broadcast.life, Life::Created | Life::Ready);
        if settled && broadcast.details["enableDvr"] != body["contentDetails"]["enableDvr"] {
            return refuse(403, "dvrModificationNotAllowed", "enableDvr");
        }
        if settled && broadcast.details["monitorStream"] != body["contentDetails"]["monitorStream"] {
            return refuse(403, "enableMonitorStreamModificationNotAllowed", "monitorStream");
        }
        merge(&mut broadcast.snippet, &body["snippet"]);
        merge(&mut broadcast.status, &body["status"]);
        merge(&mut broadcast.details, &body["contentDetails"]);
        Ok((200, self.shown(&id, &parts)))
    }

    pub fn delete_broadcast(&mut self, asked: &Asked<'_>) -> Outcome {
        asked.only(&["id"])?;
        let id = asked.need("id", "idRequired")?.to_owned();
        if matches!(self.own(asked, &id)?.life, Life::LiveStarting | Life::Live) {
            return refuse(403, "liveBroadcastDeletionNotAllowed", "it is live");
        }
        self.broadcasts.remove(&id);
        Ok((204, Value::Null))
    }

    pub fn bind(&mut self, asked: &Asked<'_>) -> Outcome {
        let parts = asked.parts(PARTS, &["id", "streamId"])?;
        let id = asked.need("id", "idRequired")?.to_owned();
        if !asked.heard.body.is_empty() {
            return refuse(400, "badRequest", "a body");
        }
        let stream = asked.get("streamId").map(str::to_owned);
        if let Some(stream) = &stream
            && self.streams.get(stream).is_none_or(|found| found.account != asked.account)
        {
            return refuse(404, "liveStreamNotFound", "Stream not found");
        }
        let broadcast = self.own(asked, &id)?;
        if !matches!(broadcast.life, Life::Created | Life::Ready) {
            return refuse(403, "liveBroadcastBindingNotAllowed", "status");
        }
        broadcast.life = if stream.is_some() { Life::Ready } else { Life::Created };
        broadcast.bound = stream;
        Ok((200, self.shown(&id, &parts)))
    }

    fn active(&self, broadcast: &Broadcast, ingest: &Ingest) -> bool {
        let stream = broadcast.bound.as_ref().and_then(|bound| self.streams.get(bound));
        stream.is_some_and(|stream| ingest(&stream.key))
    }

    pub fn transition(&mut self, asked: &Asked<'_>, ingest: &Ingest) -> Outcome {
        let parts = asked.parts(PARTS, &["id", "broadcastStatus"])?;
        let id = asked.need("id", "idRequired")?.to_owned();
        let to = asked.need("broadcastStatus", "statusRequired")?.to_owned();
        self.may_live(&asked.account)?;
        let broadcast = self.own(asked, &id)?.clone();
        let monitored = broadcast.details["monitorStream"]["enableMonitorStream"] == true;
        let next = match (to.as_str(), broadcast.life) {
            ("testing", Life::Testing) | ("live", Life::LiveStarting | Life::Live) | ("complete", Life::Complete) => {
                return refuse(403, "redundantTransition", "Redundant transition");
            }
            ("testing", Life::Ready) if monitored => Life::Testing,
            ("live", Life::Ready) if !monitored => Life::LiveStarting,
            ("live", Life::Testing) => Life::LiveStarting,
            ("complete", Life::Live | Life::Testing) => Life::Complete,
            ("testing" | "live" | "complete", _) => return refuse(403, "invalidTransition", "Invalid transition"),
            _ => return refuse(400, "invalidParameter", "broadcastStatus"),
        };
        if next != Life::Complete && !self.active(&broadcast, ingest) {
            return refuse(403, "errorStreamInactive", "Stream is inactive");
        }
        self.become_of(&id, next);
        Ok((200, self.shown(&id, &parts)))
    }

    fn become_of(&mut self, id: &str, life: Life) {
        let broadcast = self.broadcasts.get_mut(id).unwrap();
        (broadcast.life, broadcast.since) = (life, Instant::now());
        match life {
            Life::Live => {
                broadcast.live_at = Some(now());
                broadcast.snippet["actualStartTime"] = json!(now().to_string());
            }
            Life::Complete => broadcast.snippet["actualEndTime"] = json!(now().to_string()),
            _ => {}
        }
    }

    /// What happens by itself.
    pub fn tick(&mut self, ingest: &Ingest) {
        let ids: Vec<String> = self.broadcasts.keys().cloned().collect();
        for id in ids {
            let broadcast = self.broadcasts[&id].clone();
            if matches!(broadcast.life, Life::Created | Life::Complete) {
                continue;
            }
            let active = self.active(&broadcast, ingest);
            let monitored = broadcast.details["monitorStream"]["enableMonitorStream"] == true;
            match broadcast.life {
                Life::LiveStarting if broadcast.since.elapsed() > Duration::from_millis(300) => {
                    self.become_of(&id, Life::Live);
                }
                Life::Ready if active && !monitored && broadcast.details["enableAutoStart"] == true => {
                    self.become_of(&id, Life::LiveStarting);
                }
                _ => {}
            }
            let broadcast = self.broadcasts.get_mut(&id).unwrap();
            if active {
                broadcast.silent_since = None;
            } else {
                let silent = broadcast.silent_since.get_or_insert_with(Instant::now).elapsed();
                let stops = broadcast.details["enableAutoStop"] == true;
                if broadcast.life == Life::Live && stops && silent > Duration::from_secs(60) {
                    self.become_of(&id, Life::Complete);
                }
            }
        }
    }
}
