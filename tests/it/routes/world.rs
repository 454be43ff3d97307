//! A library with a row of each kind, and how every route is asked for in it.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use super::cases::*;
use super::sound;
use crate::streams::{stream, video};
use crate::support::clip::clip;
use crate::support::provider::Provider;
use crate::support::server::{Answer, Client, PASSWORD, Server};
use crate::support::youtube::Youtube;

pub struct World {
    pub server: Server,
    /// Where its channel was connected.
    pub _provider: Provider,
    /// Where that channel's keys and broadcasts are.
    pub _youtube: Youtube,
    /// Everything of `al`, by kind.
    pub ids: BTreeMap<&'static str, String>,
    pub routes: Vec<(String, String, String)>,
}

/// A stream that was on air once, planned for later, of an uploaded video: a library with a row of each kind.
pub async fn world() -> World {
    let provider = Provider::start();
    let at_provider = provider.settings();
    let settings = [("JADWAL_LIVE_ALLOW_PRIVATE_TARGETS", "true"), ("JADWAL_TRUSTED_PROXIES", "127.0.0.1")];
    let at_provider = at_provider.iter().map(|(name, value)| (name.as_str(), value.as_str()));
    let youtube = Youtube::start();
    youtube.accept_all("", "al");
    youtube.world().put_stream("al", "Used", "sentinel-used-key", "rtmp://a.rtmp.youtube.com/live2");
    let base = youtube.base();
    // Too few units for an upload, which so waits.
    let more = [("JADWAL_YOUTUBE_DAILY_UNITS", "1500"), ("JADWAL_OAUTH_GOOGLE_API_URL", base.as_str())];
    let settings: Vec<_> = settings.into_iter().chain(at_provider).chain(more).collect();
    let server = Server::start_with(&settings, &["--no-demo"]).await;
    server.user("al").await;
    server.user("bo").await;
    server.user_with("look", json!({"role": "demo", "tenant": "al"})).await;
    let al = server.api("al", PASSWORD).await;
    let id = |answer: Answer| answer.expect(201).json()["id"].as_str().unwrap().to_owned();
    let video = video(&al, 2).await;
    let thumbnail = file(&al, al.request(Method::POST, "/api/v1/thumbnails"), false, false).await.expect(201).json();
    let thumbnail = thumbnail["items"][0]["id"].as_str().unwrap().to_owned();
    // Nobody listens there: the run fails, and is stopped.
    let nowhere = format!("rtmp://127.0.0.1:{}/live", crate::support::free_port());
    let stream = stream(&al, "Rain", &video, &nowhere, "abcd-efgh").await;
    let planned = SCHEDULE_JSON.replace("STREAM", &stream);
    let schedule = id(al.post("/api/v1/schedules", &serde_json::from_str(&planned).unwrap()).await);
    al.post(&format!("/api/v1/streams/{stream}/start"), &json!({})).await.expect(202);
    let mut runs = Value::Null;
    for wanted in ["started", "ended"] {
        for round in 0.. {
            runs = al.get("/api/v1/runs").await.expect(200).json()["items"].clone();
            if !runs[0].is_null() && (wanted == "started" || !runs[0]["outcome"].is_null()) {
                break;
            }
            assert!(round < 200, "not {wanted}: {runs}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
        if wanted == "started" {
            al.post(&format!("/api/v1/streams/{stream}/stop"), &json!({})).await;
        }
    }
    let wanted = json!({"profile": "720p30"});
    let job = al.post(&format!("/api/v1/videos/{video}/optimise"), &wanted).await.expect(202).json();
    let job = job["id"].as_str().unwrap().to_owned();
    crate::jobs::ended(&al, &job).await;
    let run = runs[0]["id"].as_str().unwrap().to_owned();
    let sessions = al.get("/api/v1/auth/sessions").await.json();
    let session = sessions["items"][0]["id"].as_str().unwrap().to_owned();
    let destination = id(al.post("/api/v1/notices/destinations", &serde_json::from_str(NOTICE_JSON).unwrap()).await);
    let table = al.request(Method::POST, "/api/v1/schedules/imports").body(TABLE);
    let import = id(al.send(table).await);
    let feed = al.post("/api/v1/feed", &json!({})).await.expect(201).json();
    let feed = feed["url"].as_str().unwrap().rsplit_once('/').unwrap().1.trim_end_matches(".ics").to_owned();
    let asked = al.post("/api/v1/channels/connect", &json!({})).await.expect(200).json();
    let back = provider.allow(asked["authorize_url"].as_str().unwrap()).await;
    let channel = id(al.post("/api/v1/oauth/google/finish", &back).await);
    let used = crate::youtube::key_of(&al, &channel, "Used").await;
    // Of a video of its own: the other one is deleted.
    let shown = crate::streams::video(&al, 3).await;
    let body =
        json!({"title": "On a channel", "videos": [shown], "targets": [{"platform": "youtube", "key_id": used}]});
    let aired = id(al.post("/api/v1/streams", &body).await);
    crate::youtube::schedule(&al, &aired, &crate::youtube::in_seconds(3600), 60).await;
    let told = |found: &[Value]| found.len() == 1 && found[0]["stage"] == "ready";
    let airing = crate::youtube::broadcasts_until(&al, "it is made", told).await;
    let airing = airing[0]["id"].as_str().unwrap().to_owned();
    let key = id(al.post(&format!("/api/v1/channels/{channel}/keys"), &json!({"title": "Spare"})).await);
    let body = json!({"channel_id": channel, "items": [{"video_id": video}]});
    let upload = al.post("/api/v1/youtube-uploads", &body).await.expect(201).json();
    let upload = upload["items"][0]["id"].as_str().unwrap().to_owned();
    let ids = BTreeMap::from([
        ("KEY", key),
        ("AIRING", airing),
        ("UPLOAD", upload),
        ("CHANNEL", channel),
        ("IMPORT", import),
        ("FEED", feed),
        ("VIDEO", video),
        ("THUMBNAIL", thumbnail),
        ("STREAM", stream),
        ("SCHEDULE", schedule),
        ("RUN", run),
        ("JOB", job),
        ("SESSION", session),
        ("DESTINATION", destination),
    ]);
    let text = |route: &Value, field: &str| route[field].as_str().unwrap().to_owned();
    let listed = server.cli(&["routes", "--json"]).await.json();
    let routes = listed.as_array().unwrap().iter();
    let routes = routes.map(|route| (text(route, "method"), text(route, "path"), text(route, "access"))).collect();
    World { server, _provider: provider, _youtube: youtube, ids, routes }
}

/// Sends a file that is taken: a small picture or a short video.
pub async fn file(client: &Client, request: reqwest::RequestBuilder, is_video: bool, is_page: bool) -> Answer {
    let (name, bytes) = if is_video {
        ("clip.mp4", std::fs::read(clip(2, 50, true, "320x180")).unwrap())
    } else {
        let mut png = Cursor::new(Vec::new());
        image::RgbImage::new(32, 18).write_to(&mut png, image::ImageFormat::Png).unwrap();
        ("picture.png", png.into_inner())
    };
    // Pages find the form's token in its first field, the API in a header.
    let form = if is_page { Form::new().text("csrf", client.csrf.clone()) } else { Form::new() };
    client.send(request.multipart(form.part("file", Part::bytes(bytes).file_name(name)))).await
}

impl World {
    pub fn case(&self, method: &str, path: &str) -> Case {
        *CASES
            .iter()
            .find(|case| case.0 == method && case.1 == path)
            .unwrap_or_else(|| panic!("{method} {path} has no case: add one, so that the walk tries it"))
    }

    /// A path with its parameter: al's own, or one that was made up.
    pub fn path(&self, case: &Case, made_up: bool) -> String {
        let id = |name: &str| {
            if made_up { "01900000-0000-7000-8000-000000000000".to_owned() } else { self.ids[name].clone() }
        };
        let (name, value) = match case.2 {
            None if case.1.ends_with("/entries") => return format!("{}?from=2031-01-01&to=2031-02-01", case.1),
            None if case.1.ends_with("v1/calendar") => return format!("{}?{JANUARY}", case.1),
            None if case.1.ends_with("uploads/sheet") => {
                return format!("{}?channel_id={}", case.1, self.ids["CHANNEL"]);
            }
            None => return case.1.to_owned(),
            Asset => return "/static/x/app.css".to_owned(),
            Import => ("{id}", id("IMPORT")),
            Feed => ("{token}", id("FEED")),
            Video => ("{id}", id("VIDEO")),
            Thumbnail => ("{id}", id("THUMBNAIL")),
            Stream => ("{id}", id("STREAM")),
            Schedule => ("{id}", id("SCHEDULE")),
            Occurrence => ("{id}/occurrences/{of}", format!("{}/occurrences/{AT}", id("SCHEDULE"))),
            Run => ("{id}", id("RUN")),
            Job => ("{id}", id("JOB")),
            Session => ("{id}", id("SESSION")),
            Destination => ("{id}", id("DESTINATION")),
            Channel => ("{id}", id("CHANNEL")),
            StreamKey => ("{id}", id("KEY")),
            Airing => ("{id}", id("AIRING")),
            Sending => ("{id}", id("UPLOAD")),
            Google => ("{provider}", "google".to_owned()),
            User => ("{name}", if made_up { "nobody" } else { "al" }.to_owned()),
            Tenant => ("{tenant}", if made_up { "nobody" } else { "al" }.to_owned()),
        };
        let path = case.1.replace(name, &value);
        assert!(!path.contains('{'), "{path}");
        path
    }

    pub fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, id) in &self.ids {
            text = text.replace(name, id);
        }
        text
    }

    /// Tries a route with its own body and whatever proof the client has. A GET of a file is asked for with a format.
    pub async fn ask(&self, client: &Client, case: &Case, path: &str, headers: &[(&str, &str)]) -> Answer {
        let method: Method = case.0.parse().unwrap();
        let path =
            if case.0 == "GET" && path.ends_with("/export") { format!("{path}?format=csv") } else { path.to_owned() };
        let mut request = client.request(method, &path);
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        let is_api = path.starts_with("/api/");
        if is_api && case.0 != "GET" && client.token.is_none() && !client.csrf.is_empty() {
            request = request.header("x-csrf-token", &client.csrf);
        }
        let answer = match case.3 {
            Nothing if case.0 == "GET" || is_api => self.send(client, request).await,
            Nothing => self.send(client, request.form(&[("csrf", &client.csrf)])).await,
            Fields(fields) => {
                let body = format!("csrf={}&{}", client.csrf, self.filled(fields));
                let request = request.header("content-type", "application/x-www-form-urlencoded").body(body);
                self.send(client, request).await
            }
            Json(body) => {
                let request = request.header("content-type", "application/json").body(self.filled(body));
                self.send(client, request).await
            }
            Table if is_api => self.send(client, request.body(TABLE)).await,
            Table => {
                let form = Form::new().text("csrf", client.csrf.clone());
                let part = Part::bytes(TABLE.as_bytes()).file_name("plan.csv");
                self.send(client, request.multipart(form.part("file", part))).await
            }
            File => file(client, request, path.ends_with("/videos"), !is_api).await,
        };
        sound(&answer, &format!("{} {path}", case.0));
        answer
    }

    /// Like [`Client::send`], but events are not waited for: they do not end.
    pub async fn send(&self, client: &Client, request: reqwest::RequestBuilder) -> Answer {
        let (http, request) = request.build_split();
        let request = request.unwrap();
        if !request.url().path().ends_with("/events") {
            return client.send(reqwest::RequestBuilder::from_parts(http, request)).await;
        }
        let response = http.execute(request).await.unwrap();
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body: Vec::new() }
    }

    /// All that `al` has, as the API tells it.
    pub async fn data(&self, al: &Client) -> Value {
        let mut data = serde_json::Map::new();
        for list in [
            "videos",
            "thumbnails",
            "streams",
            "schedules",
            "runs",
            "jobs",
            "usage",
            "auth/me",
            "notices/destinations",
            "channels",
            "channels/client",
            "stream-keys",
            "youtube-uploads",
        ] {
            data.insert(list.to_owned(), al.get(&format!("/api/v1/{list}")).await.expect(200).json());
        }
        data.into()
    }

    /// Until the stream that was stopped is off air: one that is being taken off is not deleted.
    pub async fn off_air(&self, al: &Client) {
        let path = format!("/api/v1/streams/{}", self.ids["STREAM"]);
        // A schedule may have put it on air again.
        al.form(&format!("/streams/{}/stop", self.ids["STREAM"]), &[]).await;
        for _ in 0..200 {
            let answer = al.get(&path).await;
            // What was told to stop may be shown as sending for a moment.
            let off =
                |state: &Value| ["idle", "scheduled", "ended", "failed"].iter().any(|name| state["name"] == *name);
            if answer.status == 404 || off(&answer.json()["state"]) {
                return;
            }
            tokio::time::sleep(std::time::Duration::from_millis(100)).await;
        }
        panic!("it does not end");
    }

    /// Number of entries in al's record that are no refusals.
    pub async fn acts(&self, al: &Client) -> Value {
        al.get("/api/v1/audit?outcome=done&limit=1").await.expect(200).json()["total"].clone()
    }
}
