//! A provider of accounts: an OAuth server made by others, with what a channel is asked for beside it.

use std::io::{BufRead as _, BufReader};
use std::process::{Command, Stdio};

use serde_json::{Value, json};
use url::Url;

use super::{Ending, choose_tls, target_folder};

/// Ids of the clients it knows, and their secrets.
pub const BOX: (&str, &str) = ("1111-box.apps.googleusercontent.com", "GOCSPX-SENTINEL-box-secret");
pub const OWN: (&str, &str) = ("2222-own.apps.googleusercontent.com", "GOCSPX-SENTINEL-own-secret");
/// In every secret that it gives out or knows.
pub const SENTINELS: [&str; 3] = ["SENTINEL-access", "SENTINEL-refresh", "SENTINEL-box-secret"];
/// Where the tests' servers say they are.
pub const PUBLIC: &str = "http://jadwal.example";

/// A running provider.
pub struct Provider {
    base: String,
    http: reqwest::Client,
    _process: Ending,
}

impl Provider {
    /// Starts one.
    pub fn start() -> Provider {
        let folder = target_folder().join("test-oauth");
        let script = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/it/other_programs/oauth/server.mjs");
        let process = Command::new("node")
            .arg(script)
            .current_dir(&folder)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap_or_else(|cause| panic!("node: {cause}; scripts/test installs it"));
        let mut process = Ending(process);
        let mut port = String::new();
        BufReader::new(process.0.stdout.take().unwrap()).read_line(&mut port).unwrap();
        assert!(!port.is_empty(), "the provider does not start; scripts/test installs it into {}", folder.display());
        choose_tls();
        let builder = reqwest::Client::builder().tls_certs_only(std::iter::empty());
        let http = builder.redirect(reqwest::redirect::Policy::none()).build().unwrap();
        Provider { base: format!("http://127.0.0.1:{}", port.trim()), http, _process: process }
    }

    /// The settings of a server whose provider this is, with a client of the box.
    pub fn settings(&self) -> Vec<(String, String)> {
        let mut settings = self.ends();
        settings.push(("JADWAL_OAUTH_GOOGLE_CLIENT_ID".into(), BOX.0.into()));
        settings.push(("JADWAL_OAUTH_GOOGLE_CLIENT_SECRET".into(), BOX.1.into()));
        settings
    }

    /// The same without a client.
    pub fn ends(&self) -> Vec<(String, String)> {
        let end = |name: &str, path: &str| (format!("JADWAL_OAUTH_GOOGLE_{name}_URL"), format!("{}{path}", self.base));
        let mut ends =
            vec![end("AUTHORIZE", "/authorize"), end("TOKEN", "/token"), end("REVOKE", "/revoke"), end("API", "")];
        ends.push(("JADWAL_PUBLIC_URL".into(), PUBLIC.into()));
        ends
    }

    /// Changes how it behaves; what it did so far.
    pub async fn control(&self, changes: Value) -> Value {
        let answer = self.http.post(format!("{}/control", self.base)).json(&changes).send().await.unwrap();
        answer.json().await.unwrap()
    }

    /// How often it did something.
    pub async fn count(&self, what: &str) -> u64 {
        self.control(json!({})).await["done"][what].as_u64().unwrap()
    }

    /// Does what a person does who goes there: allows, and is sent back. What they come back with.
    pub async fn allow(&self, url: &str) -> Value {
        assert!(url.starts_with(&self.base), "leads elsewhere: {url}");
        let answer = self.http.get(url).send().await.unwrap();
        let location = answer.headers().get("location").map(|location| location.to_str().unwrap().to_owned());
        let location = location.unwrap_or_else(|| panic!("{url}: {}", answer.status()));
        assert!(location.starts_with(&format!("{PUBLIC}/oauth/google/callback?")), "{location}");
        let location = Url::parse(&location).unwrap();
        Value::Object(location.query_pairs().map(|(name, value)| (name.into_owned(), json!(value))).collect())
    }
}
