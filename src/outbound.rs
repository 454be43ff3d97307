//! Requests to the world outside: to addresses that people typed, judged and pinned to what was judged, and to those of
//! the settings. Bounded in time and size, never redirected. What is said of a failure never repeats the address, which
//! may hold a secret.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::Method;
use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use url::{Host, Url};

use crate::error::{Error, Result};
use crate::live::target::{AddressFault, check_host};
use crate::text::Message;

/// From looking up the name to the last byte of the answer.
pub const LIMIT: Duration = Duration::from_secs(10);

/// Makes requests. Cheap to clone.
#[derive(Clone)]
pub struct Outbound {
    /// The authorities of the box's own store; none are trusted where it has no store.
    tls: ClientConfig,
    ours: reqwest::Client,
}

/// A request to an address that somebody else chose.
pub struct Ask<'a> {
    /// How.
    pub method: Method,
    /// Where to.
    pub url: &'a Url,
    /// Whether inner addresses may be called.
    pub allow_private: bool,
    /// Further headers.
    pub headers: HeaderMap,
    /// What is sent.
    pub body: Vec<u8>,
    /// Of the answer's body at most so many bytes are read.
    pub most: usize,
}

/// What came back.
pub struct Answer {
    /// HTTP status.
    pub status: u16,
    /// Headers.
    pub headers: HeaderMap,
    /// The body, or its beginning.
    pub body: Vec<u8>,
}

fn authorities() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let with = || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    match with()?.with_platform_verifier() {
        Ok(verified) => Ok(verified.with_no_client_auth()),
        Err(cause) => {
            tracing::warn!(%cause, "no certificate authorities are installed: nothing reaches an https address");
            Ok(with()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
        }
    }
}

fn builder(tls: &ClientConfig) -> reqwest::ClientBuilder {
    reqwest::Client::builder()
        .tls_backend_preconfigured(tls.clone())
        .redirect(Policy::none())
        .referer(false)
        .no_proxy()
        .user_agent(concat!("Jadwalstream/", env!("CARGO_PKG_VERSION")))
}

impl Outbound {
    /// Reads the box's authorities.
    ///
    /// # Errors
    /// [`Error::Internal`] where TLS cannot be set up at all.
    pub fn new() -> Result<Outbound> {
        let tls = authorities().map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("TLS")))?;
        let ours = builder(&tls).connect_timeout(LIMIT).build();
        let ours = ours.map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("HTTP client")))?;
        Ok(Outbound { tls, ours })
    }

    /// For addresses of the settings, which are called as they are. Each request sets its own time limit.
    pub fn ours(&self) -> &reqwest::Client {
        &self.ours
    }

    /// Asks an address that somebody else chose.
    ///
    /// # Errors
    /// What to tell a person, where no answer came.
    pub async fn ask(&self, ask: Ask<'_>) -> Result<Answer, Message> {
        let host = host_of(ask.url);
        let asked = tokio::time::timeout(LIMIT, self.ask_now(ask));
        asked.await.unwrap_or_else(|_| Err(Message::new("notice-fault-slow").with("host", host)))
    }

    async fn ask_now(&self, ask: Ask<'_>) -> Result<Answer, Message> {
        let Ask { method, url, allow_private, headers, body, most } = ask;
        let host = host_of(url);
        let told = |id| Message::new(id).with("host", host.clone());
        let port = url.port_or_known_default().unwrap_or(443);
        let checked = check_host(&host, port, allow_private).await.map_err(|fault| match fault {
            AddressFault::Unknown(_) => told("notice-fault-name"),
            AddressFault::Inner(_) => told("notice-fault-inner"),
        })?;
        let mut client = builder(&self.tls).pool_max_idle_per_host(0);
        if let Some(Host::Domain(name)) = url.host() {
            // What was judged is what is called: a name that answers otherwise a moment later changes nothing.
            client = client.resolve_to_addrs(name, &checked.addresses);
        }
        let blame = |error: reqwest::Error| blame(error, url);
        let client = client.build().map_err(blame)?;
        let request = client.request(method, url.clone()).headers(headers).body(body);
        read(request.send().await.map_err(blame)?, most).await.map_err(blame)
    }
}

/// Reads an answer, of its body at most so many bytes.
pub async fn read(mut response: reqwest::Response, most: usize) -> Result<Answer, reqwest::Error> {
    let mut answer =
        Answer { status: response.status().as_u16(), headers: response.headers().clone(), body: Vec::new() };
    while answer.body.len() < most {
        let Some(chunk) = response.chunk().await? else { break };
        let room = most - answer.body.len();
        answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
    }
    Ok(answer)
}

/// What to tell a person where no answer came: the host and what went wrong, nothing else of the address.
pub fn blame(error: reqwest::Error, url: &Url) -> Message {
    let host = host_of(url);
    let id = match () {
        () if is_certificate(&error) => "notice-fault-certificate",
        () if error.is_timeout() => "notice-fault-slow",
        () => "notice-fault-unreachable",
    };
    tracing::debug!(cause = %error.without_url(), host, "no answer came");
    Message::new(id).with("host", host)
}

/// The host without brackets.
pub fn host_of(url: &Url) -> String {
    match url.host() {
        Some(Host::Domain(name)) => name.to_owned(),
        Some(Host::Ipv4(address)) => IpAddr::V4(address).to_string(),
        Some(Host::Ipv6(address)) => IpAddr::V6(address).to_string(),
        None => String::new(),
    }
}

fn is_certificate(error: &reqwest::Error) -> bool {
    let mut cause = std::error::Error::source(error);
    while let Some(inner) = cause {
        let tls = inner.downcast_ref::<rustls::Error>();
        let within = inner.downcast_ref::<std::io::Error>().and_then(std::io::Error::get_ref);
        if tls.or(within.and_then(|inner| inner.downcast_ref())).is_some() {
            return true;
        }
        cause = inner.source();
    }
    false
}
