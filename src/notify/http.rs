//! Requests to addresses that people typed: judged, pinned to what was judged, bounded in time and size, never
//! redirected. What is said of a failure never repeats the address, which may hold a secret.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use reqwest::header::HeaderMap;
use reqwest::redirect::Policy;
use rustls::ClientConfig;
use rustls_platform_verifier::BuilderVerifierExt as _;
use url::{Host, Url};

use crate::error::{Error, Result};
use crate::live::target::{AddressFault, check_host};
use crate::text::Message;

/// From looking up the name to the last byte of the answer.
pub(super) const LIMIT: Duration = Duration::from_secs(10);

/// Makes requests. Cheap to clone.
#[derive(Clone)]
pub(super) struct Http {
    /// The authorities of the box's own store; none are trusted where it has no store.
    tls: ClientConfig,
    allow_private: bool,
}

/// What came back.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Vec<u8>,
}

/// Whose address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A user's: inner addresses only where the settings allow them.
    Theirs,
    /// The operator's own setting.
    Ours,
}

fn authorities() -> Result<ClientConfig, rustls::Error> {
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let with = || ClientConfig::builder_with_provider(provider.clone()).with_safe_default_protocol_versions();
    match with()?.with_platform_verifier() {
        Ok(verified) => Ok(verified.with_no_client_auth()),
        Err(cause) => {
            tracing::warn!(%cause, "no certificate authorities are installed: notices reach no https address");
            Ok(with()?.with_root_certificates(rustls::RootCertStore::empty()).with_no_client_auth())
        }
    }
}

impl Http {
    /// `allow_private`: users may name inner addresses.
    ///
    /// # Errors
    /// [`Error::Internal`] where TLS cannot be set up at all.
    pub(super) fn new(allow_private: bool) -> Result<Http> {
        let tls = authorities().map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("TLS")))?;
        Ok(Http { tls, allow_private })
    }

    /// Posts JSON; of the answer's body at most `most` bytes are read.
    ///
    /// # Errors
    /// What to tell a person, where no answer came.
    pub(super) async fn post(
        &self,
        url: &Url,
        whose: Whose,
        headers: HeaderMap,
        body: Vec<u8>,
        most: usize,
    ) -> Result<Answer, Message> {
        let host = host_of(url);
        let asked = tokio::time::timeout(LIMIT, self.ask(url, whose, headers, body, most));
        asked.await.unwrap_or_else(|_| Err(Message::new("notice-fault-slow").with("host", host)))
    }

    async fn ask(
        &self,
        url: &Url,
        whose: Whose,
        headers: HeaderMap,
        body: Vec<u8>,
        most: usize,
    ) -> Result<Answer, Message> {
        let host = host_of(url);
        let told = |id| Message::new(id).with("host", host.clone());
        let port = url.port_or_known_default().unwrap_or(443);
        let allow_private = whose == Whose::Ours || self.allow_private;
        let checked = check_host(&host, port, allow_private).await.map_err(|fault| match fault {
            AddressFault::Unknown(_) => told("notice-fault-name"),
            AddressFault::Inner(_) => told("notice-fault-inner"),
        })?;
        let mut client = reqwest::Client::builder()
            .tls_backend_preconfigured(self.tls.clone())
            .redirect(Policy::none())
            .referer(false)
            .no_proxy()
            .pool_max_idle_per_host(0)
            .user_agent(concat!("Jadwalstream/", env!("CARGO_PKG_VERSION")));
        if let Some(Host::Domain(name)) = url.host() {
            // What was judged is what is called: a name that answers otherwise a moment later changes nothing.
            client = client.resolve_to_addrs(name, &checked.addresses);
        }
        let blame = |error: reqwest::Error| {
            let id = if is_certificate(&error) { "notice-fault-certificate" } else { "notice-fault-unreachable" };
            tracing::debug!(cause = %error.without_url(), host, "a notice got no answer");
            told(id)
        };
        let request = client.build().map_err(blame)?.post(url.clone()).headers(headers).body(body);
        let mut response = request.send().await.map_err(blame)?;
        let mut answer =
            Answer { status: response.status().as_u16(), headers: response.headers().clone(), body: Vec::new() };
        while answer.body.len() < most {
            let Some(chunk) = response.chunk().await.map_err(blame)? else { break };
            let room = most - answer.body.len();
            answer.body.extend_from_slice(&chunk[..chunk.len().min(room)]);
        }
        Ok(answer)
    }
}

/// The host without brackets.
fn host_of(url: &Url) -> String {
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

/// Reads the address of a webhook.
///
/// # Errors
/// Field `url`, saying what is wrong.
pub(super) fn parse_address(text: &str) -> Result<Url> {
    let refused = |id| Error::field("url", Message::new(id));
    let text = text.trim();
    if text.is_empty() {
        return Err(refused("notice-url-missing"));
    }
    let url = Url::parse(text).map_err(|_| refused("notice-url-form"))?;
    if text.len() > 1024 || !matches!(url.scheme(), "http" | "https") || url.host_str().is_none_or(str::is_empty) {
        return Err(refused("notice-url-form"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(refused("notice-url-userinfo"));
    }
    match url.port_or_known_default() {
        // Low ports belong to other services.
        Some(80 | 443 | 1024..) => Ok(url),
        _ => Err(refused("notice-url-port")),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn addresses_are_http_without_a_password_on_a_port_for_it() {
        for good in
            ["https://example.com", "http://example.com:8080/a?b=c", " https://[2001:db8::1]/x ", "https://a.b:443"]
        {
            assert!(parse_address(good).is_ok(), "{good}");
        }
        for (bad, id) in [
            ("", "notice-url-missing"),
            ("example.com/hook", "notice-url-form"),
            ("ftp://example.com", "notice-url-form"),
            ("file:///etc/passwd", "notice-url-form"),
            ("https://", "notice-url-form"),
            ("https://al:secret@example.com/", "notice-url-userinfo"),
            ("http://example.com:22/", "notice-url-port"),
            ("http://example.com:6/", "notice-url-port"),
        ] {
            let Err(Error::Invalid(fields)) = parse_address(bad) else { panic!("{bad}") };
            assert_eq!((fields[0].field.as_str(), fields[0].message.id.as_ref()), ("url", id), "{bad}");
        }
    }

    #[tokio::test]
    async fn inner_addresses_are_refused_however_they_are_spelled() {
        let http = Http::new(false).unwrap();
        for url in [
            "http://127.0.0.1:9000/",
            "http://127.1:9000/",
            "http://0x7f000001:9000/",
            "http://2130706433:9000/",
            "http://localhost:9000/",
            "http://[::1]:9000/",
            "http://[::ffff:127.0.0.1]:9000/",
            "http://169.254.169.254/latest/meta-data/",
            "http://10.0.0.1/",
        ] {
            let url = parse_address(url).unwrap();
            let refused = http.post(&url, Whose::Theirs, HeaderMap::new(), Vec::new(), 0).await.err().unwrap();
            assert_eq!(refused.id, "notice-fault-inner", "{url}");
        }
        // Where inner addresses are allowed, metadata services still are not.
        let open = Http::new(true).unwrap();
        let url = parse_address("http://169.254.169.254/").unwrap();
        let refused = open.post(&url, Whose::Theirs, HeaderMap::new(), Vec::new(), 0).await.err().unwrap();
        assert_eq!(refused.id, "notice-fault-inner");
    }
}
