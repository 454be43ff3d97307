//! Who has accounts, and what is asked of each. A further provider is an entry here, its settings, and what its answer
//! to "whose account is this" looks like ([`super::account`]).

use serde::{Deserialize, Serialize};
use url::Url;

use super::Service;
use crate::config::{Config, OauthProvider};
use crate::error::{Error, Result};
use crate::text::Message;

/// Who has the accounts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Provider {
    /// Google.
    Google,
}

/// A provider's addresses.
#[derive(Debug, Clone)]
pub struct Ends {
    /// Where people grant.
    pub authorize: Url,
    /// Where tokens come from.
    pub token: Url,
    /// Where grants are given back.
    pub revoke: Url,
    /// Where its services are.
    pub api: Url,
}

/// Where people come back to, below the box's own address.
const CALLBACK: &str = "callback";

impl Provider {
    /// All of them.
    pub const ALL: [Provider; 1] = [Provider::Google];

    /// The word in addresses and settings.
    pub fn code(self) -> &'static str {
        match self {
            Provider::Google => "google",
        }
    }

    /// Reads [`Provider::code`].
    pub fn parse(code: &str) -> Option<Provider> {
        Provider::ALL.into_iter().find(|provider| provider.code() == code)
    }

    /// What people call it.
    pub fn name(self) -> &'static str {
        match self {
            Provider::Google => "Google",
        }
    }

    pub(super) fn settings(self, config: &Config) -> &OauthProvider {
        match self {
            Provider::Google => &config.oauth.google,
        }
    }

    /// Its addresses as the provider documents them.
    fn documented(self) -> [&'static str; 4] {
        match self {
            Provider::Google => [
                "https://accounts.google.com/o/oauth2/v2/auth",
                "https://oauth2.googleapis.com/token",
                "https://oauth2.googleapis.com/revoke",
                "https://www.googleapis.com",
            ],
        }
    }

    /// Its addresses: those of the settings, else its own.
    ///
    /// # Errors
    /// [`Error::Internal`] never happens: the documented addresses parse.
    pub fn ends(self, config: &Config) -> Result<Ends> {
        let settings = self.settings(config);
        let own = self.documented();
        let end = |set: &Option<Url>, own: &str| match set {
            Some(url) => Ok(url.clone()),
            None => Url::parse(own).map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("provider"))),
        };
        Ok(Ends {
            authorize: end(&settings.authorize_url, own[0])?,
            token: end(&settings.token_url, own[1])?,
            revoke: end(&settings.revoke_url, own[2])?,
            api: end(&settings.api_url, own[3])?,
        })
    }

    /// What is put into the address where people grant, besides what the standard asks for.
    pub(super) fn parameters(self) -> &'static [(&'static str, &'static str)] {
        match self {
            // Without the two Google gives no refresh token; who has several channels is asked which one.
            Provider::Google => &[("access_type", "offline"), ("prompt", "consent select_account")],
        }
    }

    /// Where people take a grant back by themselves.
    pub fn permissions_page(self) -> &'static str {
        match self {
            Provider::Google => "https://myaccount.google.com/permissions",
        }
    }

    /// The address to register at the provider, which people come back to. It follows from the settings alone: what a
    /// request says of its host is never believed.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the settings name no public address.
    pub fn redirect(self, config: &Config) -> Result<Url> {
        let public = config.public_url.as_ref();
        let public = public.ok_or_else(|| Error::Conflict(Message::new("oauth-no-public-url")))?;
        let path = format!("/oauth/{}/{CALLBACK}", self.code());
        public.join(&path).map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("redirect address")))
    }

    /// Reads a client id.
    ///
    /// # Errors
    /// Field `client_id`, saying what is expected.
    pub(super) fn parse_client_id(self, text: &str) -> Result<String> {
        let text = text.trim();
        let is_plain = text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'.' | b'_'));
        let is_one = match self {
            Provider::Google => text.strip_suffix(".apps.googleusercontent.com").is_some_and(|name| !name.is_empty()),
        };
        if is_plain && is_one && text.len() <= 200 {
            Ok(text.to_owned())
        } else {
            Err(Error::field("client_id", Message::new("oauth-client-id-form")))
        }
    }
}

impl Service {
    /// Who has its accounts.
    pub fn provider(self) -> Provider {
        match self {
            Service::Youtube => Provider::Google,
        }
    }

    /// What people are asked to grant. All of it is needed.
    pub fn scopes(self) -> &'static [&'static str] {
        match self {
            // Live streams, uploads, thumbnails and playlists of the channel.
            Service::Youtube => &["https://www.googleapis.com/auth/youtube"],
        }
    }

    /// The word in the API.
    pub fn code(self) -> &'static str {
        match self {
            Service::Youtube => "youtube",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_way_back_follows_from_the_settings_alone() {
        let mut config = Config::default();
        assert_eq!(Provider::Google.redirect(&config).unwrap_err().status(), 409);
        for public in ["https://jadwal.example", "https://jadwal.example/", "http://127.0.0.1:8080"] {
            config.public_url = Some(public.parse().unwrap());
            let way = Provider::Google.redirect(&config).unwrap();
            assert_eq!(way.as_str(), format!("{}/oauth/google/callback", public.trim_end_matches('/')));
        }
    }

    #[test]
    fn the_documented_addresses_stand_where_the_settings_are_silent() {
        let mut config = Config::default();
        let ends = Provider::Google.ends(&config).unwrap();
        assert_eq!(ends.token.as_str(), "https://oauth2.googleapis.com/token");
        config.oauth.google.token_url = Some("http://127.0.0.1:9/token".parse().unwrap());
        let ends = Provider::Google.ends(&config).unwrap();
        assert_eq!((ends.token.port(), ends.api.host_str()), (Some(9), Some("www.googleapis.com")));
    }

    #[test]
    fn client_ids_are_read_as_the_console_shows_them() {
        let parse = |text: &str| Provider::Google.parse_client_id(text);
        let good = "1234567890-abc123.apps.googleusercontent.com";
        assert_eq!(parse(&format!(" {good}\n")).unwrap(), good);
        for bad in ["", "abc", ".apps.googleusercontent.com", "a b.apps.googleusercontent.com", "GOCSPX-secret"] {
            assert_eq!(parse(bad).unwrap_err().status(), 422, "{bad}");
        }
    }
}
