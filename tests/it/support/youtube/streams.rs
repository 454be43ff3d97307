//! Streams of the stand-in: keys, and whether bytes come in.

use serde_json::{Value, json};

use super::broadcasts::Life;
use super::{Asked, Ingest, Outcome, World, paged, refuse};

#[derive(Debug, Clone)]
pub struct Stream {
    pub account: String,
    pub title: String,
    pub key: String,
    pub address: String,
    pub reusable: bool,
    /// Bytes came in once.
    pub seen: bool,
    /// What the platform complains of while bytes come in: type and severity.
    pub issues: Vec<(String, String)>,
}

const PARTS: &[&str] = &["id", "snippet", "cdn", "status", "contentDetails"];

impl World {
    /// A stream that is there already; its id.
    pub fn put_stream(&mut self, account: &str, title: &str, key: &str, address: &str) -> String {
        let id = self.fresh("st-");
        let stream = Stream {
            account: account.into(),
            title: title.into(),
            key: key.into(),
            address: address.into(),
            reusable: true,
            seen: false,
            issues: Vec::new(),
        };
        self.streams.insert(id.clone(), stream);
        id
    }

    fn shown_stream(&self, id: &str, parts: &[String], active: bool) -> Value {
        let stream = &self.streams[id];
        let mut shown = json!({"kind": "youtube#liveStream", "id": id});
        for part in parts {
            match part.as_str() {
                "snippet" => shown["snippet"] = json!({"title": stream.title, "isDefaultStream": false}),
                "cdn" => {
                    let info = json!({"streamName": stream.key, "ingestionAddress": stream.address,
                        "backupIngestionAddress": format!("{}?backup=1", stream.address)});
                    shown["cdn"] = json!({"ingestionType": "rtmp", "resolution": "variable", "frameRate": "variable",
                        "ingestionInfo": info});
                }
                "status" => {
                    let word = match (active, stream.seen) {
                        (true, _) => "active",
                        (false, true) => "inactive",
                        (false, false) => "ready",
                    };
                    let issues: Vec<Value> = stream.issues.iter().map(|(kind, severity)| {
                        json!({"type": kind, "severity": severity, "reason": kind, "description": "in their words"})
                    }).collect();
                    let health = match (active, issues.is_empty()) {
                        (false, _) => json!({"status": "noData"}),
                        (true, true) => json!({"status": "good", "lastUpdateTimeSeconds": "1"}),
                        (true, false) => json!({"status": "bad", "configurationIssues": issues}),
                    };
                    shown["status"] = json!({"streamStatus": word, "healthStatus": health});
                }
                "contentDetails" => shown["contentDetails"] = json!({"isReusable": stream.reusable}),
                _ => {}
            }
        }
        shown
    }

    pub fn list_streams(&mut self, asked: &Asked<'_>, ingest: &Ingest) -> Outcome {
        let parts = asked.parts(PARTS, &["id", "mine", "maxResults", "pageToken"])?;
        let filter = asked.filter(&["id", "mine"])?;
        self.may_live(&asked.account)?;
        let wanted = asked.get(filter).unwrap_or_default().to_owned();
        let own: Vec<String> = self
            .streams
            .iter()
            .filter(|(id, stream)| {
                stream.account == asked.account && (filter == "mine" || wanted.split(',').any(|one| one == id.as_str()))
            })
            .map(|(id, _)| id.clone())
            .collect();
        let mut items = Vec::new();
        for id in own {
            let active = ingest(&self.streams[&id].key);
            if active {
                self.streams.get_mut(&id).unwrap().seen = true;
            }
            items.push(self.shown_stream(&id, &parts, active));
        }
        paged(asked, "youtube#liveStreamListResponse", items)
    }

    pub fn insert_stream(&mut self, asked: &Asked<'_>) -> Outcome {
        let parts = asked.parts(PARTS, &[])?;
        let known = [
            "snippet.title",
            "snippet.description",
            "cdn.ingestionType",
            "cdn.resolution",
            "cdn.frameRate",
            "contentDetails.isReusable",
        ];
        let body = asked.body(&parts, &known)?;
        self.may_live(&asked.account)?;
        match body["snippet"]["title"].as_str() {
            None | Some("") => return refuse(400, "titleRequired", "title"),
            Some(title) if title.chars().count() > 128 => return refuse(400, "invalidTitle", "title"),
            Some(_) => {}
        }
        for (field, missing, wrong, words) in [
            ("ingestionType", "ingestionTypeRequired", "invalidIngestionType", &["dash", "hls", "rtmp", "webrtc"][..]),
            (
                "resolution",
                "resolutionRequired",
                "invalidResolution",
                &["240p", "360p", "480p", "720p", "1080p", "1440p", "2160p", "variable"][..],
            ),
            ("frameRate", "frameRateRequired", "invalidFrameRate", &["30fps", "60fps", "variable"][..]),
        ] {
            match body["cdn"][field].as_str() {
                None => return refuse(400, missing, field),
                Some(word) if !words.contains(&word) => return refuse(400, wrong, field),
                Some(_) => {}
            }
        }
        let title = body["snippet"]["title"].as_str().unwrap().to_owned();
        let number = self.counter;
        let address = "rtmp://a.rtmp.youtube.com/live2";
        let id = self.put_stream(&asked.account, &title, &format!("made-{number:04}-sentinel-key"), address);
        self.streams.get_mut(&id).unwrap().reusable = body["contentDetails"]["isReusable"] != false;
        Ok((200, self.shown_stream(&id, &parts, false)))
    }

    pub fn delete_stream(&mut self, asked: &Asked<'_>) -> Outcome {
        asked.only(&["id"])?;
        let id = asked.need("id", "idRequired")?.to_owned();
        if self.streams.get(&id).is_none_or(|stream| stream.account != asked.account) {
            return refuse(404, "liveStreamNotFound", "Stream not found");
        }
        let used = self.broadcasts.values().any(|one| one.bound.as_ref() == Some(&id) && one.life != Life::Complete);
        if used {
            return refuse(403, "liveStreamDeletionNotAllowed", "bound");
        }
        self.streams.remove(&id);
        Ok((204, Value::Null))
    }
}
