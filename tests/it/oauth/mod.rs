//! Channels are connected at a provider made by others, kept usable, and given back.

mod grants;
mod leaving;
mod renewal;

use std::path::Path;
use std::time::Duration;

use serde_json::{Value, json};

use crate::support::provider::Provider;
use crate::support::server::{Answer, Client, Server};

const SERVE: &[&str] = &["--no-demo"];

/// A server at a provider, with `al` and `bo`.
async fn world(provider: &Provider) -> Server {
    let settings = provider.settings();
    let settings: Vec<_> = settings.iter().map(|(name, value)| (name.as_str(), value.as_str())).collect();
    let server = Server::start_with(&settings, SERVE).await;
    server.user("al").await;
    server.user("bo").await;
    server
}

/// Where the API sends somebody.
async fn begin(client: &Client) -> String {
    let answer = client.post("/api/v1/channels/connect", &json!({})).await.expect(200).json();
    answer["authorize_url"].as_str().unwrap().to_owned()
}

async fn finish(client: &Client, back: &Value) -> Answer {
    client.post("/api/v1/oauth/google/finish", back).await
}

/// Connects the channel that the provider has.
async fn connect(client: &Client, provider: &Provider) -> Value {
    let back = provider.allow(&begin(client).await).await;
    finish(client, &back).await.expect(201).json()
}

async fn channel(client: &Client, id: &Value) -> Value {
    client.get(&format!("/api/v1/channels/{}", id.as_str().unwrap())).await.expect(200).json()
}

/// Waits until a channel is in a state.
async fn until(client: &Client, id: &Value, state: &str) -> Value {
    for _ in 0..600 {
        let found = channel(client, id).await;
        if found["state"] == state {
            return found;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("it does not become {state}: {}", channel(client, id).await)
}

/// Waits until an answer of the token end is held back.
async fn held(provider: &Provider) {
    for round in 0.. {
        if provider.control(json!({})).await["held"] == 1 {
            return;
        }
        assert!(round < 400, "nobody asks");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}

/// Waits until a server has read whatever so many connections sent.
async fn all_read(server: &Server, most: usize) {
    let port = url::Url::parse(&server.url("/")).unwrap().port().unwrap();
    for round in 0.. {
        let table = std::fs::read_to_string("/proc/net/tcp").unwrap();
        let read = table.lines().filter(|line| {
            let parts: Vec<&str> = line.split_whitespace().collect();
            // Own address, state "established", nothing queued to be read.
            parts[1].ends_with(&format!(":{port:04X}")) && parts[3] == "01" && parts[4].ends_with(":00000000")
        });
        if read.count() >= most {
            return;
        }
        assert!(round < 1200, "not all are read");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

async fn check(client: &Client, id: &Value) -> Answer {
    client.post(&format!("/api/v1/channels/{}/check", id.as_str().unwrap()), &json!({})).await
}

fn files(folder: &Path) -> Vec<std::path::PathBuf> {
    let all = walkdir::WalkDir::new(folder).into_iter().map(|entry| entry.unwrap().into_path());
    all.filter(|path| path.is_file()).collect()
}

/// No file below a folder holds one of the texts, in the clear or in base64.
fn nowhere(folder: &Path, texts: &[&str]) {
    for path in files(folder) {
        let bytes = std::fs::read(&path).unwrap();
        for text in texts {
            let found = bytes.windows(text.len()).any(|part| part == text.as_bytes());
            assert!(!found, "{} holds {text}", path.display());
        }
    }
}
