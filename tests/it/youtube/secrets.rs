//! Tokens, keys and secrets of the tests hold `sentinel-`: it stands nowhere but in requests to the platform.

use std::collections::BTreeMap;

use crate::support::server::{ADMIN, PASSWORD, Server};

/// What would show that one got out.
const SENTINEL: &str = "sentinel-";

/// Parts of a path that name rows, and lists that give an id for each.
const LISTS: [(&str, &str); 10] = [
    ("channels", "/api/v1/channels"),
    ("streams", "/api/v1/streams"),
    ("schedules", "/api/v1/schedules"),
    ("history", "/api/v1/runs"),
    ("runs", "/api/v1/runs"),
    ("videos", "/api/v1/videos"),
    ("thumbnails", "/api/v1/thumbnails"),
    ("broadcasts", "/api/v1/broadcasts"),
    ("stream-keys", "/api/v1/stream-keys"),
    ("youtube-uploads", "/api/v1/youtube-uploads"),
];

fn told(place: &str, bytes: &[u8]) {
    if let Some(at) = bytes.windows(SENTINEL.len()).position(|window| window == SENTINEL.as_bytes()) {
        panic!("{place} holds {}", String::from_utf8_lossy(&bytes[at..(at + 40).min(bytes.len())]));
    }
}

/// Tokens, keys and secrets stand in no file of the home but sealed, in nothing that was printed, and in nothing that
/// can be read of a library over pages, API, exports and metrics.
pub async fn secrets_stand_nowhere(server: &Server, name: &str) {
    for entry in walkdir::WalkDir::new(server.home()).into_iter().filter_map(Result::ok) {
        if entry.file_type().is_file() {
            told(&entry.path().display().to_string(), &std::fs::read(entry.path()).unwrap_or_default());
        }
    }
    told("what was printed", server.printed().as_bytes());
    told("the log", server.log().as_bytes());

    let (api, page) = (server.api(name, PASSWORD).await, server.login(name, PASSWORD).await);
    let mut ids: BTreeMap<&str, String> = BTreeMap::new();
    for (part, list) in LISTS {
        let found = api.get(list).await.expect(200).json();
        ids.extend(found["items"][0]["id"].as_str().map(|id| (part, id.to_owned())));
    }
    let routes: serde_json::Value = serde_json::from_str(&server.cli(&["routes", "--json"]).await.out).unwrap();
    let mut walked = 0;
    for route in routes.as_array().unwrap() {
        let path = route["path"].as_str().unwrap();
        // Streams of events do not end.
        if route["method"] != "GET" || path.ends_with("/events") {
            continue;
        }
        let mut parts: Vec<&str> = path.split('/').collect();
        if let Some(place) = parts.iter().position(|part| *part == "{id}") {
            let Some(id) = ids.get(parts[place - 1]) else { continue };
            parts[place] = id;
        }
        let path = parts.join("/");
        if path.contains('{') {
            continue;
        }
        let path = if path.ends_with("/export") { format!("{path}?format=csv") } else { path };
        let answer = if path.starts_with("/api/") { api.get(&path).await } else { page.get(&path).await };
        told(&path, &answer.body);
        told(&path, format!("{:?}", answer.headers).as_bytes());
        walked += 1;
    }
    assert!(walked > 60, "only {walked} routes were walked");
    let metrics = server.api("admin", ADMIN).await.get("/api/v1/metrics").await.expect(200);
    told("metrics", &metrics.body);
}
