//! Where notices go by HTTP: the Bot API of the settings, and addresses that users typed.

use reqwest::Method;
use reqwest::header::HeaderMap;
use url::Url;

use crate::error::{Error, Result};
use crate::outbound::{Answer, Ask, Outbound};
use crate::text::Message;

/// Makes requests. Cheap to clone.
#[derive(Clone)]
pub(super) struct Http {
    outbound: Outbound,
    allow_private: bool,
}

/// Whose address it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Whose {
    /// A user's: inner addresses only where the settings allow them.
    Theirs,
    /// The operator's own setting.
    Ours,
}

impl Http {
    /// `allow_private`: users may name inner addresses.
    pub(super) fn new(outbound: Outbound, allow_private: bool) -> Http {
        Http { outbound, allow_private }
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
        let allow_private = whose == Whose::Ours || self.allow_private;
        self.outbound.ask(Ask { method: Method::POST, url, allow_private, headers, body, most }).await
    }
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
        let http = Http::new(Outbound::new().unwrap(), false);
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
        let open = Http::new(Outbound::new().unwrap(), true);
        let url = parse_address("http://169.254.169.254/").unwrap();
        let refused = open.post(&url, Whose::Theirs, HeaderMap::new(), Vec::new(), 0).await.err().unwrap();
        assert_eq!(refused.id, "notice-fault-inner");
    }
}
