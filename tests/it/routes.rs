//! The walk over the whole surface: as a stranger, as a demo user, as somebody from another library, as a user on the
//! operator's ground. Every route stands in [`CASES`]; one that does not fails the walk.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::time::Duration;

use reqwest::Method;
use reqwest::multipart::{Form, Part};
use serde_json::{Value, json};

use crate::streams::{stream, video};
use crate::support::clip::clip;
use crate::support::provider::Provider;
use crate::support::server::{ADMIN, Answer, Client, PASSWORD, Server};
use crate::support::youtube::Youtube;

/// What stands for `{…}` in a path.
#[derive(Clone, Copy, PartialEq, Debug)]
enum Of {
    None,
    Video,
    Thumbnail,
    Stream,
    Schedule,
    Occurrence,
    Run,
    Job,
    Session,
    Destination,
    User,
    Tenant,
    Asset,
    Import,
    Feed,
    Channel,
    StreamKey,
    Airing,
    Sending,
    /// A provider of accounts, which is nobody's.
    Google,
}
use Of::*;

/// What is sent: good enough to be done if it were allowed.
#[derive(Clone, Copy, Debug)]
enum Body {
    Nothing,
    Fields(&'static str),
    Json(&'static str),
    File,
    Table,
}
use Body::*;

/// Method, path, what the parameter is, what is sent.
type Case = (&'static str, &'static str, Of, Body);

const SCHEDULE: &str = "stream_id=STREAM&starts_at=2031-01-01T19:00&time_zone=Asia/Jakarta&repeat=once&end=none";
const LATER: &str = "stream_id=STREAM&starts_at=2031-02-01T19:00&time_zone=Asia/Jakarta&repeat=once&end=none";
/// What a calendar is asked for.
const JANUARY: &str = "from=2031-01-01T00:00:00Z&to=2031-02-01T00:00:00Z";
/// What the occurrence of the schedule below is called.
const AT: &str = "2031-01-01T19:00:00";
const STREAM: &str = "title=Changed&videos=VIDEO&order=listed&target1_platform=youtube&target1_key=aaaa-bbbb-cccc-dddd";
const STREAM_JSON: &str =
    r#"{"title":"Changed","videos":["VIDEO"],"targets":[{"platform":"youtube","key":"aaaa-bbbb-cccc-dddd"}]}"#;
const SCHEDULE_JSON: &str = r#"{"stream_id":"STREAM","starts_at":"2031-01-01T19:00:00","duration":60}"#;
macro_rules! notice_fields {
    () => {
        "name=New&enabled=on&kind=&kind=failed&lead_minutes=10&digest_hour=7&url=https://127.0.0.1/hook"
    };
}
const NOTICE_JSON: &str = r#"{"via":"webhook","url":"https://127.0.0.1/hook","kinds":["failed"]}"#;
const LATER_JSON: &str = r#"{"stream_id":"STREAM","starts_at":"2031-03-01T19:00:00","duration":60}"#;
const CLIENT: &str = "client_id=2222-own.apps.googleusercontent.com&client_secret=GOCSPX-SENTINEL-own-secret";
const CLIENT_JSON: &str =
    r#"{"client_id":"2222-own.apps.googleusercontent.com","client_secret":"GOCSPX-SENTINEL-own-secret"}"#;
/// A file of schedules; its row names no video that is there.
const TABLE: &str = "title,start,video\nNew,2031-01-01 10:00,none\n";
const USER_FIELDS: &str = "username=new&password=a+few+words&role=user&plan=free&quota=";

/// The whole surface.
const CASES: &[Case] = &[
    ("GET", "/static/{hash}/{path:.*}", Asset, Nothing),
    ("GET", "/login", None, Nothing),
    ("POST", "/login", None, Fields("username=nobody&password=wrong+words")),
    ("POST", "/login/demo", None, Nothing),
    ("POST", "/logout", None, Nothing),
    ("GET", "/confirm", None, Nothing),
    ("POST", "/confirm", None, Fields("password=the+admin%27s+own+words&next=/admin/users")),
    ("POST", "/preferences", None, Fields("theme=dark")),
    ("GET", "/settings", None, Nothing),
    ("POST", "/settings/profile", None, Fields("time_zone=Europe/London&locale=id&theme=dark")),
    (
        "POST",
        "/settings/password",
        None,
        Fields("current_password=not+in+any+list&password=other+one&repeat=other+one"),
    ),
    ("POST", "/settings/sessions/end-all", None, Nothing),
    ("POST", "/settings/sessions/{id}/end", Session, Nothing),
    ("GET", "/settings/notices", None, Nothing),
    ("POST", "/settings/notices", None, Fields(concat!("via=webhook&", notice_fields!()))),
    ("GET", "/settings/notices/new", None, Nothing),
    ("GET", "/settings/notices/{id}", Destination, Nothing),
    ("POST", "/settings/notices/{id}", Destination, Fields(notice_fields!())),
    ("POST", "/settings/notices/{id}/test", Destination, Nothing),
    ("POST", "/settings/notices/{id}/rotate", Destination, Nothing),
    ("POST", "/settings/notices/{id}/delete", Destination, Nothing),
    ("GET", "/channels", None, Nothing),
    ("POST", "/channels", None, Nothing),
    ("GET", "/channels/new", None, Nothing),
    ("POST", "/channels/client", None, Fields(CLIENT)),
    ("POST", "/channels/client/delete", None, Nothing),
    ("GET", "/channels/{id}", Channel, Nothing),
    ("GET", "/channels/{id}/picture", Channel, Nothing),
    ("POST", "/channels/{id}/reconnect", Channel, Nothing),
    ("POST", "/channels/{id}/check", Channel, Nothing),
    ("POST", "/channels/{id}/delete", Channel, Nothing),
    ("POST", "/channels/{id}/keys", Channel, Fields("title=Another")),
    ("POST", "/channels/{id}/keys/fetch", Channel, Nothing),
    ("GET", "/stream-keys", None, Nothing),
    ("POST", "/stream-keys/import", None, Table),
    ("POST", "/stream-keys/export", None, Fields("password=not+in+any+list")),
    ("POST", "/stream-keys/{id}/reveal", StreamKey, Fields("password=not+in+any+list")),
    ("POST", "/stream-keys/{id}/delete", StreamKey, Nothing),
    ("GET", "/youtube-uploads", None, Nothing),
    ("POST", "/youtube-uploads", None, Fields("channel_id=CHANNEL&videos=VIDEO&privacy=private")),
    ("POST", "/channels/{id}/uploads", Channel, Table),
    ("POST", "/youtube-uploads/{id}/retry", Sending, Nothing),
    ("POST", "/youtube-uploads/{id}/delete", Sending, Nothing),
    ("POST", "/youtube-uploads/{id}/remove", Sending, Nothing),
    ("GET", "/youtube-uploads/template", None, Nothing),
    ("POST", "/youtube-uploads/choose", None, Fields("id=VIDEO")),
    ("GET", "/broadcasts", None, Nothing),
    ("POST", "/broadcasts/{id}/retry", Airing, Nothing),
    ("GET", "/streams/{id}/broadcast", Stream, Nothing),
    ("POST", "/streams/{id}/broadcast", Stream, Fields("title=Told&privacy=unlisted")),
    ("GET", "/schedules/{id}/broadcast", Schedule, Nothing),
    ("POST", "/schedules/{id}/broadcast", Schedule, Fields("title=Told&tags=a,b")),
    ("GET", "/oauth/{provider}/callback", Google, Nothing),
    ("POST", "/oauth/{provider}/finish", Google, Fields("state=x&code=y")),
    ("GET", "/settings/audit", None, Nothing),
    ("GET", "/settings/audit/export", None, Nothing),
    ("GET", "/admin/users", None, Nothing),
    ("POST", "/admin/users", None, Fields(USER_FIELDS)),
    ("GET", "/admin/users/new", None, Nothing),
    ("GET", "/admin/users/{name}", User, Nothing),
    ("POST", "/admin/users/{name}", User, Fields("role=admin&plan=enterprise&quota=1")),
    ("POST", "/admin/users/{name}/password", User, Fields("password=other+words")),
    ("POST", "/admin/users/{name}/delete", User, Fields("name=al")),
    ("GET", "/admin/moving", None, Nothing),
    ("POST", "/admin/moving", None, Fields("from=nowhere&owner=admin&time_zone=Asia/Jakarta")),
    ("POST", "/admin/moving/go", None, Fields("id=0199f0a2-7c1e-7a00-8000-000000000001&act=apply")),
    ("POST", "/admin/moving/stop", None, Fields("")),
    ("GET", "/admin/moving/report", None, Nothing),
    ("GET", "/admin/moving/progress", None, Nothing),
    ("GET", "/admin/moving/events", None, Nothing),
    ("GET", "/admin/audit", None, Nothing),
    ("GET", "/admin/audit/export", None, Nothing),
    ("GET", "/healthz", None, Nothing),
    ("GET", "/readyz", None, Nothing),
    ("GET", "/metrics", None, Nothing),
    ("GET", "/", None, Nothing),
    ("GET", "/events", None, Nothing),
    ("GET", "/videos", None, Nothing),
    ("POST", "/videos", None, File),
    ("GET", "/videos/{id}", Video, Nothing),
    ("POST", "/videos/{id}", Video, Fields("title=Changed&description=&tags=")),
    ("POST", "/videos/{id}/delete", Video, Nothing),
    ("POST", "/videos/delete", None, Fields("id=VIDEO")),
    ("POST", "/videos/{id}/frame", Video, Fields("seconds=1")),
    ("POST", "/videos/{id}/optimise", Video, Fields("profile=720p30")),
    ("GET", "/videos/{id}/events", Video, Nothing),
    ("GET", "/jobs", None, Nothing),
    ("GET", "/jobs/events", None, Nothing),
    ("POST", "/jobs/{id}/cancel", Job, Nothing),
    ("POST", "/videos/{id}/thumbnail", Video, Fields("thumbnail_id=THUMBNAIL")),
    ("GET", "/videos/{id}/content", Video, Nothing),
    ("GET", "/videos/{id}/download", Video, Nothing),
    ("GET", "/videos/{id}/thumbnail", Video, Nothing),
    ("GET", "/thumbnails", None, Nothing),
    ("POST", "/thumbnails", None, File),
    ("POST", "/thumbnails/{id}", Thumbnail, Fields("title=Changed")),
    ("POST", "/thumbnails/{id}/delete", Thumbnail, Nothing),
    ("GET", "/thumbnails/{id}/content", Thumbnail, Nothing),
    ("GET", "/streams", None, Nothing),
    ("GET", "/streams/new", None, Nothing),
    ("POST", "/streams", None, Fields(STREAM)),
    ("GET", "/streams/{id}", Stream, Nothing),
    ("POST", "/streams/{id}", Stream, Fields(STREAM)),
    ("GET", "/streams/{id}/edit", Stream, Nothing),
    ("GET", "/streams/{id}/events", Stream, Nothing),
    ("GET", "/streams/{id}/frame.jpg", Stream, Nothing),
    ("POST", "/streams/{id}/start", Stream, Nothing),
    ("POST", "/streams/{id}/end", Stream, Fields("end=after&stop_after=60")),
    ("POST", "/streams/{id}/stop", Stream, Nothing),
    ("POST", "/streams/{id}/delete", Stream, Nothing),
    ("GET", "/schedules", None, Nothing),
    ("GET", "/schedules/new", None, Nothing),
    ("GET", "/schedules/preview", None, Nothing),
    ("POST", "/schedules", None, Fields(LATER)),
    ("GET", "/schedules/{id}/edit", Schedule, Nothing),
    ("POST", "/schedules/{id}", Schedule, Fields(SCHEDULE)),
    ("POST", "/schedules/{id}/pause", Schedule, Nothing),
    ("POST", "/schedules/{id}/resume", Schedule, Nothing),
    ("POST", "/schedules/{id}/run-now", Schedule, Nothing),
    ("POST", "/schedules/{id}/delete", Schedule, Nothing),
    ("GET", "/schedules/calendar", None, Nothing),
    ("GET", "/schedules/calendar/entries", None, Nothing),
    ("GET", "/schedules/{id}/occurrences/{of}", Occurrence, Nothing),
    (
        "POST",
        "/schedules/{id}/occurrences/{of}",
        Occurrence,
        Fields("starts_at=2031-01-01T19:00&duration=3&reach=this&act=save"),
    ),
    ("GET", "/schedules/files", None, Nothing),
    ("POST", "/schedules/files", None, Table),
    ("GET", "/schedules/files/{id}", Import, Nothing),
    ("POST", "/schedules/files/{id}", Import, Fields("act=look&time_zone=Asia/Jakarta")),
    ("GET", "/schedules/export", None, Nothing),
    ("GET", "/schedules/template", None, Nothing),
    ("POST", "/schedules/files/feed", None, Nothing),
    ("POST", "/schedules/files/feed/revoke", None, Nothing),
    ("GET", "/feeds/{token}.ics", Feed, Nothing),
    ("GET", "/history", None, Nothing),
    ("GET", "/history/export", None, Nothing),
    ("GET", "/history/{id}", Run, Nothing),
    ("GET", "/api/docs", None, Nothing),
    ("GET", "/api/v1/openapi.json", None, Nothing),
    ("GET", "/api/v1/healthz", None, Nothing),
    ("GET", "/api/v1/readyz", None, Nothing),
    ("GET", "/api/v1/metrics", None, Nothing),
    ("GET", "/api/v1/audit", None, Nothing),
    ("GET", "/api/v1/audit/export", None, Nothing),
    ("POST", "/api/v1/auth/login", None, Json(r#"{"username":"nobody","password":"wrong words"}"#)),
    ("POST", "/api/v1/auth/refresh", None, Json(r#"{"refresh_token":"x"}"#)),
    ("POST", "/api/v1/auth/confirm", None, Json(r#"{"password":"the admin's own words"}"#)),
    ("POST", "/api/v1/auth/logout", None, Json("{}")),
    ("GET", "/api/v1/auth/me", None, Nothing),
    ("PATCH", "/api/v1/auth/me", None, Json(r#"{"time_zone":"Europe/London"}"#)),
    ("POST", "/api/v1/auth/password", None, Json(r#"{"current_password":"not in any list","password":"other one"}"#)),
    ("GET", "/api/v1/auth/sessions", None, Nothing),
    ("DELETE", "/api/v1/auth/sessions", None, Nothing),
    ("DELETE", "/api/v1/auth/sessions/{id}", Session, Nothing),
    ("GET", "/api/v1/usage", None, Nothing),
    ("GET", "/api/v1/usage/{tenant}", Tenant, Nothing),
    ("GET", "/api/v1/users", None, Nothing),
    ("POST", "/api/v1/users", None, Json(r#"{"username":"new","password":"a few words"}"#)),
    ("GET", "/api/v1/users/{name}", User, Nothing),
    ("PATCH", "/api/v1/users/{name}", User, Json(r#"{"role":"admin"}"#)),
    ("DELETE", "/api/v1/users/{name}", User, Nothing),
    ("GET", "/api/v1/status", None, Nothing),
    ("POST", "/api/v1/stop", None, Json(r#"{"all":true}"#)),
    ("POST", "/api/v1/verify", None, Json("{}")),
    ("POST", "/api/v1/migrations", None, Json(r#"{"from":"/nowhere"}"#)),
    ("GET", "/api/v1/videos", None, Nothing),
    ("POST", "/api/v1/videos", None, File),
    ("GET", "/api/v1/videos/{id}", Video, Nothing),
    ("PATCH", "/api/v1/videos/{id}", Video, Json(r#"{"title":"Changed"}"#)),
    ("DELETE", "/api/v1/videos/{id}", Video, Nothing),
    ("GET", "/api/v1/videos/{id}/content", Video, Nothing),
    ("GET", "/api/v1/videos/{id}/thumbnail", Video, Nothing),
    ("POST", "/api/v1/videos/{id}/frame", Video, Json(r#"{"seconds":1}"#)),
    ("GET", "/api/v1/thumbnails", None, Nothing),
    ("POST", "/api/v1/thumbnails", None, File),
    ("GET", "/api/v1/thumbnails/{id}", Thumbnail, Nothing),
    ("PATCH", "/api/v1/thumbnails/{id}", Thumbnail, Json(r#"{"title":"Changed"}"#)),
    ("DELETE", "/api/v1/thumbnails/{id}", Thumbnail, Nothing),
    ("GET", "/api/v1/thumbnails/{id}/content", Thumbnail, Nothing),
    ("GET", "/api/v1/streams", None, Nothing),
    ("POST", "/api/v1/streams", None, Json(STREAM_JSON)),
    ("GET", "/api/v1/streams/overlay-prices", None, Nothing),
    ("GET", "/api/v1/streams/{id}", Stream, Nothing),
    ("PATCH", "/api/v1/streams/{id}", Stream, Json(r#"{"title":"Changed"}"#)),
    ("DELETE", "/api/v1/streams/{id}", Stream, Nothing),
    ("POST", "/api/v1/streams/{id}/start", Stream, Json("{}")),
    ("POST", "/api/v1/streams/{id}/end", Stream, Json(r#"{"stop_after":60}"#)),
    ("POST", "/api/v1/streams/{id}/stop", Stream, Json("{}")),
    ("GET", "/api/v1/streams/{id}/runs", Stream, Nothing),
    ("GET", "/api/v1/streams/{id}/log", Stream, Nothing),
    ("GET", "/api/v1/streams/{id}/events", Stream, Nothing),
    ("GET", "/api/v1/schedules", None, Nothing),
    ("POST", "/api/v1/schedules", None, Json(LATER_JSON)),
    ("GET", "/api/v1/schedules/{id}", Schedule, Nothing),
    ("PATCH", "/api/v1/schedules/{id}", Schedule, Json(r#"{"paused":true}"#)),
    ("DELETE", "/api/v1/schedules/{id}", Schedule, Nothing),
    ("POST", "/api/v1/schedules/{id}/run-now", Schedule, Json("{}")),
    ("GET", "/api/v1/schedules/{id}/occurrences", Schedule, Nothing),
    ("POST", "/api/v1/schedules/imports", None, Table),
    ("GET", "/api/v1/schedules/imports/{id}", Import, Nothing),
    ("PATCH", "/api/v1/schedules/imports/{id}", Import, Json(r#"{"time_zone":"Asia/Jakarta"}"#)),
    ("DELETE", "/api/v1/schedules/imports/{id}", Import, Nothing),
    ("POST", "/api/v1/schedules/imports/{id}/take", Import, Json("{}")),
    ("GET", "/api/v1/schedules/export", None, Nothing),
    ("GET", "/api/v1/schedules/template", None, Nothing),
    ("GET", "/api/v1/runs/export", None, Nothing),
    ("GET", "/api/v1/feed", None, Nothing),
    ("POST", "/api/v1/feed", None, Json("{}")),
    ("DELETE", "/api/v1/feed", None, Nothing),
    ("GET", "/api/v1/jobs", None, Nothing),
    ("GET", "/api/v1/jobs/{id}", Job, Nothing),
    ("POST", "/api/v1/jobs/{id}/cancel", Job, Nothing),
    ("POST", "/api/v1/videos/{id}/optimise", Video, Json(r#"{"profile":"720p30"}"#)),
    ("GET", "/api/v1/schedules/{id}/occurrences/{of}", Occurrence, Nothing),
    ("PATCH", "/api/v1/schedules/{id}/occurrences/{of}", Occurrence, Json(r#"{"duration":120}"#)),
    ("GET", "/api/v1/calendar", None, Nothing),
    ("GET", "/api/v1/runs", None, Nothing),
    ("GET", "/api/v1/runs/{id}", Run, Nothing),
    ("GET", "/api/v1/notices/destinations", None, Nothing),
    ("POST", "/api/v1/notices/destinations", None, Json(NOTICE_JSON)),
    ("GET", "/api/v1/notices/destinations/{id}", Destination, Nothing),
    ("PATCH", "/api/v1/notices/destinations/{id}", Destination, Json(r#"{"name":"Changed"}"#)),
    ("DELETE", "/api/v1/notices/destinations/{id}", Destination, Nothing),
    ("POST", "/api/v1/notices/destinations/{id}/test", Destination, Json("{}")),
    ("POST", "/api/v1/notices/destinations/{id}/rotate-secret", Destination, Json("{}")),
    ("GET", "/api/v1/channels", None, Nothing),
    ("POST", "/api/v1/channels/connect", None, Json("{}")),
    ("GET", "/api/v1/channels/client", None, Nothing),
    ("PUT", "/api/v1/channels/client", None, Json(CLIENT_JSON)),
    ("DELETE", "/api/v1/channels/client", None, Nothing),
    ("GET", "/api/v1/channels/{id}", Channel, Nothing),
    ("DELETE", "/api/v1/channels/{id}", Channel, Nothing),
    ("GET", "/api/v1/channels/{id}/picture", Channel, Nothing),
    ("POST", "/api/v1/channels/{id}/reconnect", Channel, Json("{}")),
    ("POST", "/api/v1/channels/{id}/check", Channel, Json("{}")),
    ("POST", "/api/v1/channels/{id}/keys", Channel, Json(r#"{"title":"One more"}"#)),
    ("POST", "/api/v1/channels/{id}/keys/fetch", Channel, Json("{}")),
    ("GET", "/api/v1/channels/{id}/quota", Channel, Nothing),
    ("GET", "/api/v1/stream-keys", None, Nothing),
    ("GET", "/api/v1/stream-keys/{id}", StreamKey, Nothing),
    ("DELETE", "/api/v1/stream-keys/{id}", StreamKey, Nothing),
    ("POST", "/api/v1/stream-keys/{id}/reveal", StreamKey, Json(r#"{"password":"not in any list"}"#)),
    (
        "POST",
        "/api/v1/stream-keys/import",
        None,
        Json(
            r#"{"x.json":{"a1":{"title":"A","cdn":{"ingestionInfo":{"streamName":"aaaa-bbbb","ingestionAddress":""}}}}}"#,
        ),
    ),
    ("POST", "/api/v1/stream-keys/export", None, Json(r#"{"password":"not in any list"}"#)),
    ("GET", "/api/v1/broadcasts", None, Nothing),
    ("GET", "/api/v1/broadcasts/{id}", Airing, Nothing),
    ("POST", "/api/v1/broadcasts/{id}/retry", Airing, Json("{}")),
    ("GET", "/api/v1/youtube-uploads", None, Nothing),
    ("POST", "/api/v1/youtube-uploads", None, Json(r#"{"channel_id":"CHANNEL","items":[{"video_id":"VIDEO"}]}"#)),
    ("POST", "/api/v1/youtube-uploads/sheet", None, Table),
    ("GET", "/api/v1/youtube-uploads/template", None, Nothing),
    ("GET", "/api/v1/youtube-uploads/{id}", Sending, Nothing),
    ("DELETE", "/api/v1/youtube-uploads/{id}", Sending, Nothing),
    ("POST", "/api/v1/youtube-uploads/{id}/remove", Sending, Json("{}")),
    ("POST", "/api/v1/youtube-uploads/{id}/retry", Sending, Json("{}")),
    ("POST", "/api/v1/oauth/{provider}/finish", Google, Json(r#"{"state":"x","code":"y"}"#)),
    ("POST", "/api/v1/keys/rotate", None, Json("{}")),
];

/// Reads that have nothing to show for somebody who may read: what is not on air has no picture; strangers share the
/// demo account, so that its record, which names addresses, is not given out.
fn answer_to_a_reader(path: &str, role: &str) -> &'static [u16] {
    match path {
        "/streams/{id}/frame.jpg" => &[404],
        "/login" => &[200, 303],
        // Where one wants to be told is one's own, in a library that others use too.
        "/settings/notices/{id}" | "/api/v1/notices/destinations/{id}" if role == "demo" => &[404],
        "/settings/audit/export" | "/api/v1/audit/export" if role == "demo" => &[403],
        "/schedules/preview" => &[200, 422],
        _ => &[200],
    }
}

/// The same of an operator, on whose ground nobody moves in.
fn answer_to_an_operator(path: &str) -> u16 {
    match path {
        "/admin/moving/progress" => 303,
        "/admin/moving/report" => 404,
        _ => 200,
    }
}

struct World {
    server: Server,
    /// Where its channel was connected.
    _provider: Provider,
    /// Where that channel's keys and broadcasts are.
    _youtube: Youtube,
    /// Everything of `al`, by kind.
    ids: BTreeMap<&'static str, String>,
    routes: Vec<(String, String, String)>,
}

/// A stream that was on air once, planned for later, of an uploaded video: a library with a row of each kind.
async fn world() -> World {
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
async fn file(client: &Client, request: reqwest::RequestBuilder, is_video: bool, is_page: bool) -> Answer {
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
    fn case(&self, method: &str, path: &str) -> Case {
        *CASES
            .iter()
            .find(|case| case.0 == method && case.1 == path)
            .unwrap_or_else(|| panic!("{method} {path} has no case: add one, so that the walk tries it"))
    }

    /// A path with its parameter: al's own, or one that was made up.
    fn path(&self, case: &Case, made_up: bool) -> String {
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

    fn filled(&self, text: &str) -> String {
        let mut text = text.to_owned();
        for (name, id) in &self.ids {
            text = text.replace(name, id);
        }
        text
    }

    /// Tries a route with its own body and whatever proof the client has. A GET of a file is asked for with a format.
    async fn ask(&self, client: &Client, case: &Case, path: &str, headers: &[(&str, &str)]) -> Answer {
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
    async fn send(&self, client: &Client, request: reqwest::RequestBuilder) -> Answer {
        let (http, request) = request.build_split();
        let request = request.unwrap();
        if !request.url().path().ends_with("/events") {
            return client.send(reqwest::RequestBuilder::from_parts(http, request)).await;
        }
        let response = http.execute(request).await.unwrap();
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body: Vec::new() }
    }

    /// All that `al` has, as the API tells it.
    async fn data(&self, al: &Client) -> Value {
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
    async fn off_air(&self, al: &Client) {
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
    async fn acts(&self, al: &Client) -> Value {
        al.get("/api/v1/audit?outcome=done&limit=1").await.expect(200).json()["total"].clone()
    }
}

/// What an answer says, without the frame of the page.
fn told(answer: &Answer) -> String {
    let text = answer.text();
    text.split_once("<main").map_or(text.clone(), |(_, rest)| rest.split("</main>").next().unwrap().to_owned())
}

/// What holds for every answer.
fn sound(answer: &Answer, what: &str) {
    assert!(answer.status < 500, "{what}: {} {}", answer.status, told(answer));
    for (name, value) in [
        ("x-content-type-options", "nosniff"),
        ("x-frame-options", "DENY"),
        ("referrer-policy", "same-origin"),
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        assert_eq!(answer.header(name), value, "{what}: {name}");
    }
    let policy = answer.header("content-security-policy");
    assert!(!policy.is_empty() && !policy.contains("unsafe"), "{what}: {policy:?}");
    assert!(!answer.header("cache-control").is_empty(), "{what}: cache-control");
    assert!(answer.header("server").is_empty(), "{what}: says what it runs on");
}

#[tokio::test]
async fn a_stranger_gets_in_nowhere() {
    let world = world().await;
    let al = world.server.api("al", PASSWORD).await;
    let before = (world.data(&al).await, world.acts(&al).await);
    for (method, path, access) in &world.routes {
        let case = world.case(method, path);
        let stranger = world.server.stranger();
        let answer = world.ask(&stranger, &case, &world.path(&case, false), &[]).await;
        let what = format!("{method} {path}: {} {}", answer.status, told(&answer));
        match access.as_str() {
            "public" => assert!(!answer.header("location").contains("next="), "{what}"),
            // Programs on this machine may read the figures.
            _ if path.ends_with("/metrics") => assert_eq!(answer.status, 200, "{what}"),
            _ if method == "GET" && !path.starts_with("/api/") => {
                assert_eq!(answer.status, 303, "{what}");
                assert!(answer.header("location").starts_with("/login"), "{what}");
            }
            _ => assert_eq!(answer.status, 401, "{what}"),
        }
        if path.starts_with("/api/v1/") && answer.status >= 400 {
            assert_eq!(answer.header("content-type"), "application/problem+json", "{what}");
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
}

#[tokio::test]
async fn a_demo_user_sees_everything_and_changes_nothing() {
    let world = world().await;
    let (al, look) = (world.server.api("al", PASSWORD).await, world.server.login("look", PASSWORD).await);
    let by_token = world.server.api("look", PASSWORD).await;
    let before = (world.data(&al).await, world.acts(&al).await);
    for (method, path, access) in &world.routes {
        // What everybody may do to their own login is tried last.
        if access == "public" || path.ends_with("/logout") {
            continue;
        }
        let case = world.case(method, path);
        // Visitors of the demo are slowed down by address: two people, so that neither is.
        for (client, address) in [(&look, "198.51.100.1"), (&by_token, "203.0.113.1")] {
            let from = [("x-forwarded-for", address)];
            let answer = world.ask(client, &case, &world.path(&case, false), &from).await;
            let what = format!("{method} {path}: {} {}", answer.status, told(&answer));
            match access.as_str() {
                "read" => assert!(answer_to_a_reader(path, "demo").contains(&answer.status), "{what}"),
                _ => assert_eq!(answer.status, 403, "{what}"),
            }
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
    look.get("/settings").await.expect(200);
    by_token.get("/api/v1/auth/me").await.expect(200);
    look.form("/logout", &[]).await.expect(303);
}

#[tokio::test]
async fn what_is_another_s_is_not_there_and_looks_like_what_never_was() {
    let world = world().await;
    let al = world.server.api("al", PASSWORD).await;
    let (bo, by_token) = (world.server.login("bo", PASSWORD).await, world.server.api("bo", PASSWORD).await);
    let before = (world.data(&al).await, world.acts(&al).await);
    for (method, path, access) in &world.routes {
        let case = world.case(method, path);
        if matches!(case.2, None | Asset | Feed | Google) || access == "operator" {
            continue;
        }
        for client in [&bo, &by_token] {
            let (foreign, made_up) = (world.path(&case, false), world.path(&case, true));
            let one = world.ask(client, &case, &foreign, &[]).await;
            let other = world.ask(client, &case, &made_up, &[]).await;
            let what = format!("{method} {path}: {}", told(&one));
            assert_eq!((one.status, other.status), (404, 404), "{what}");
            // A page repeats the address that was asked for, or that of its form's page, and nothing else differs.
            let mut parts = foreign.split('/').zip(made_up.split('/'));
            let (own, none) = parts.find(|(own, none)| own != none).unwrap();
            assert_eq!(one.text().replace(own, "-"), other.text().replace(none, "-"), "{what}");
            assert_eq!(one.header("content-type"), other.header("content-type"), "{what}");
        }
    }
    // Ids in a body are no more there than those in an address.
    let body = |text: &str| serde_json::from_str::<Value>(&world.filled(text)).unwrap();
    for (path, body) in [("/api/v1/streams", body(STREAM_JSON)), ("/api/v1/schedules", body(SCHEDULE_JSON))] {
        let answer = by_token.post(path, &body).await;
        assert!([404, 422].contains(&answer.status), "{path}: {}", answer.text());
    }
    let answer = bo.form("/videos/delete", &[("id", world.ids["VIDEO"].as_str())]).await;
    assert!(answer.status < 500, "{}", answer.text());
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
}

/// The bodies of [`CASES`] are refused above for who sends them, and for nothing else.
#[tokio::test]
async fn what_is_refused_to_others_is_done_for_its_owner() {
    let world = world().await;
    let (admin, mut al) = (world.server.login("admin", ADMIN).await, world.server.login("al", PASSWORD).await);
    let ends = |path: &str| path.contains("delete") || path.contains("session") || path.contains("logout");
    let mut writes: Vec<_> = world.routes.iter().filter(|route| route.0 != "GET" && route.2 != "public").collect();
    writes.sort_by_key(|(method, path, access)| {
        (access == "operator", method == "DELETE" || ends(path), path.contains("password"))
    });
    for (method, path, access) in writes {
        let case = world.case(method, path);
        // Each is given what it needs anew: logins end, and what was deleted is gone.
        if access != "operator" && al.get("/api/v1/auth/me").await.status == 401 {
            let old = al.form("/login", &[("username", "al"), ("password", PASSWORD)]).await;
            al = world.server.login("al", if old.status == 303 { PASSWORD } else { "other one" }).await;
        }
        let client = if access == "operator" { &admin } else { &al };
        if matches!(case.2, Stream) && (path.contains("delete") || method == "DELETE") {
            world.off_air(&al).await;
        }
        let answer = world.ask(client, &case, &world.path(&case, false), &[]).await;
        let what = format!("{method} {path}: {} {}", answer.status, told(&answer));
        let gone = ends(path) || method == "DELETE";
        let clashes =
            path.contains("start") || path.contains("run-now") || path.contains("password") || access == "operator";
        // Twice optimised at once, and what is over cannot be cancelled.
        let clashes = clashes || path.contains("optimise") || path.contains("cancel");
        // What the page has just taken off air has no end that its twin could change.
        let clashes = clashes || path == "/api/v1/streams/{id}/end";
        // Nobody has just come back from the provider.
        let clashes = clashes || path.ends_with("/finish");
        // It is on its way already; the table of plans is no table of uploads, and no file of keys.
        let clashes = clashes || path.contains("uploads") || path == "/stream-keys/import";
        match answer.status {
            200..=204 | 303 => {}
            // Deleted by the page before its twin of the API, or the other way round.
            404 if gone => {}
            // Twice on air, twice the same password, twice the same name.
            409 | 422 if clashes => {}
            _ => panic!("{what}"),
        }
    }
}

#[tokio::test]
async fn the_operator_s_ground_is_closed_to_users() {
    let world = world().await;
    let (al, bo) = (world.server.api("al", PASSWORD).await, world.server.login("bo", PASSWORD).await);
    let by_token = world.server.api("bo", PASSWORD).await;
    let before = (world.data(&al).await, world.acts(&al).await);
    for (method, path, access) in world.routes.iter().filter(|route| route.2 == "operator") {
        let case = world.case(method, path);
        for client in [&bo, &by_token] {
            for made_up in [false, true] {
                let answer = world.ask(client, &case, &world.path(&case, made_up), &[]).await;
                assert_eq!(answer.status, 403, "{method} {path} ({access}): {}", answer.text());
            }
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
    let admin = world.server.api("admin", ADMIN).await;
    assert_eq!(admin.get("/api/v1/users").await.json()["total"], 4);
    assert_eq!(admin.get("/api/v1/users/al").await.json()["role"], "user");
}

#[tokio::test]
async fn reading_changes_nothing() {
    let world = world().await;
    let (admin, by_token) = (world.server.login("admin", ADMIN).await, world.server.api("admin", ADMIN).await);
    let al = world.server.login("al", PASSWORD).await;
    let platform = async || by_token.get("/api/v1/audit?tenant=platform&limit=1").await.json()["total"].clone();
    let users = async || by_token.get("/api/v1/users").await.json();
    let before = (world.data(&al).await, world.acts(&al).await, platform().await, users().await);
    for (method, path, access) in world.routes.iter().filter(|route| route.0 == "GET") {
        let case = world.case(method, path);
        let address = world.path(&case, false);
        if access == "operator" {
            let answer = world.ask(&admin, &case, &address, &[]).await;
            let what = format!("{path}: {} {}", answer.status, told(&answer));
            assert_eq!(answer.status, answer_to_an_operator(path), "{what}");
        } else {
            let answer = world.ask(&al, &case, &address, &[]).await;
            let what = format!("{path}: {} {}", answer.status, told(&answer));
            assert!(answer_to_a_reader(path, "user").contains(&answer.status), "{what}");
            // HEAD is the same without the body.
            let head = world.send(&al, al.request(Method::HEAD, &address)).await;
            sound(&head, &format!("HEAD {path}"));
            assert!(head.body.is_empty());
            if !path.ends_with("/export") {
                assert_eq!(head.status, answer.status, "HEAD {path}");
            }
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await, platform().await, users().await));
}

#[tokio::test]
async fn a_form_on_another_site_acts_nowhere_and_a_method_that_is_not_there_is_none() {
    let world = world().await;
    let (admin, by_token) = (world.server.login("admin", ADMIN).await, world.server.api("al", PASSWORD).await);
    let al = world.server.login("al", PASSWORD).await;
    let before = (world.data(&al).await, world.acts(&al).await);
    let mut methods = BTreeMap::<&str, Vec<&str>>::new();
    for (method, path, access) in &world.routes {
        methods.entry(path).or_default().push(method);
        if method == "GET" {
            continue;
        }
        let case = world.case(method, path);
        let address = world.path(&case, false);
        let client = if access == "operator" { &admin } else { &al };
        for (name, value) in [
            ("origin", "http://evil.example"),
            ("origin", "null"),
            ("sec-fetch-site", "cross-site"),
            ("sec-fetch-site", "same-site"),
        ] {
            let answer = world.ask(client, &case, &address, &[(name, value)]).await;
            assert_eq!(answer.status, 403, "{method} {path} with {name}: {value}: {}", answer.text());
        }
        let answer = world.ask(&by_token, &case, &address, &[("origin", "http://evil.example")]).await;
        assert_eq!(answer.status, 403, "{method} {path} by token: {}", answer.text());
    }
    for (path, known) in methods {
        let case = world.case(known[0], path);
        let address = world.path(&case, false);
        for method in ["GET", "POST", "PUT", "PATCH", "DELETE", "TRACE", "PROPFIND"] {
            if !known.contains(&method) {
                let answer = al.send(al.request(method.parse().unwrap(), &address)).await;
                sound(&answer, &format!("{method} {path}"));
                assert_eq!(answer.status, 405, "{method} {path}: {}", answer.text());
            }
        }
    }
    assert_eq!(before, (world.data(&al).await, world.acts(&al).await));
}

#[tokio::test]
async fn answers_to_nonsense_are_sound_too() {
    let server = Server::start().await;
    let admin = server.login("admin", ADMIN).await;
    for path in ["/nothing", "/videos/x", "/api/v1/nothing", "/static/x/nothing.js", "/..%2f..%2fetc/passwd", "/%00"] {
        let answer = admin.get(path).await;
        assert_eq!(answer.status, 404, "{path}");
        sound(&answer, path);
    }
    let large = admin.request(Method::POST, "/settings/profile").form(&[("time_zone", "x".repeat(300 << 10))]);
    let answer = admin.send(large).await.expect(413);
    sound(&answer, "a form of 300 KiB");
    let odd = admin.request(Method::POST, "/settings/profile").header("x-csrf-token", &admin.csrf).json(&json!({}));
    let answer = admin.send(odd).await.expect(415);
    sound(&answer, "JSON to a form");
}
