//! Reads server-sent events as a browser does.

use std::time::Duration;

use reqwest::Method;
use serde_json::Value;

use super::server::Client;

/// An open connection that events come by.
pub struct Events {
    response: reqwest::Response,
    read: String,
}

impl Events {
    /// Connects; the answer must be 200.
    pub async fn open(client: &Client, path: &str) -> Events {
        let response = client.request(Method::GET, path).send().await.unwrap();
        assert_eq!(response.status().as_u16(), 200);
        let kind = response.headers()["content-type"].to_str().unwrap();
        assert!(kind.starts_with("text/event-stream"), "{kind}");
        assert_eq!(response.headers()["cache-control"], "no-store");
        Events { response, read: String::new() }
    }

    /// The data of the next event; `None` if the connection ended, or nothing came within `patience`.
    pub async fn next(&mut self, patience: Duration) -> Option<Value> {
        tokio::time::timeout(patience, async {
            loop {
                while let Some((block, rest)) = self.read.split_once("\n\n") {
                    let data = block.lines().find_map(|line| line.strip_prefix("data: ")).map(str::to_owned);
                    self.read = rest.to_owned();
                    if let Some(data) = data {
                        return Some(serde_json::from_str(&data).unwrap());
                    }
                }
                let chunk = self.response.chunk().await.ok().flatten()?;
                self.read += std::str::from_utf8(&chunk).unwrap();
            }
        })
        .await
        .ok()
        .flatten()
    }

    /// The first event that `fits`.
    pub async fn until(&mut self, patience: Duration, fits: impl Fn(&Value) -> bool) -> Value {
        let deadline = tokio::time::Instant::now() + patience;
        let mut last = Value::Null;
        while let Some(event) = self.next(deadline.saturating_duration_since(tokio::time::Instant::now())).await {
            if fits(&event) {
                return event;
            }
            last = event;
        }
        panic!("no event fits; the last one was {last}");
    }

    /// Whether the server ends the connection within `patience`.
    pub async fn ends(&mut self, patience: Duration) -> bool {
        let rest = async { while let Ok(Some(_)) = self.response.chunk().await {} };
        tokio::time::timeout(patience, rest).await.is_ok()
    }
}
