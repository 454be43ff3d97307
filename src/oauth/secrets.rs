//! What lies sealed of a connection: tokens, and the client that they were given to. The form in which Google's own
//! library keeps a grant, as old homes bring it, is read too.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use zeroize::Zeroizing;

use crate::error::{Error, Result};

/// A client of a provider: what a grant is given to.
#[derive(Debug, Clone)]
pub(super) struct Client {
    pub(super) id: String,
    pub(super) secret: SecretString,
}

/// An access token, and when it ends.
#[derive(Debug, Clone)]
pub(super) struct Access {
    pub(super) token: SecretString,
    pub(super) expires_at: Timestamp,
}

/// Everything of a connection that is secret.
#[derive(Debug, Clone)]
pub(super) struct Secrets {
    /// `None` where an old home says nothing of it.
    pub(super) client: Option<Client>,
    pub(super) access: Option<Access>,
    pub(super) refresh: Option<SecretString>,
}

/// Our own form.
#[derive(Deserialize)]
struct Kept {
    client_id: String,
    client_secret: SecretString,
    access_token: Option<SecretString>,
    expires_at: Option<Timestamp>,
    refresh_token: Option<SecretString>,
}

/// What Google's library writes: an "authorized user".
#[derive(Deserialize)]
struct Authorized {
    #[serde(default)]
    client_id: Option<String>,
    #[serde(default)]
    client_secret: Option<SecretString>,
    #[serde(default)]
    token: Option<SecretString>,
    #[serde(default)]
    refresh_token: Option<SecretString>,
    #[serde(default)]
    expiry: Option<String>,
}

fn given(secret: Option<SecretString>) -> Option<SecretString> {
    secret.filter(|secret| !secret.expose_secret().trim().is_empty())
}

/// Times of old grants: UTC, which some of their writers forget to say.
fn moment(text: &str) -> Option<Timestamp> {
    let text = text.trim();
    text.parse().ok().or_else(|| format!("{text}Z").parse().ok())
}

impl Secrets {
    /// Reads what was sealed.
    ///
    /// # Errors
    /// [`Error::Internal`] where it is neither form; the text is not told.
    pub(super) fn read(text: &SecretString) -> Result<Secrets> {
        // What serde says of a text may repeat it.
        let strange = |_| Error::Internal(anyhow::anyhow!("a sealed grant cannot be read"));
        #[derive(Deserialize)]
        struct Form {
            #[serde(default)]
            form: u8,
        }
        let text = text.expose_secret();
        if serde_json::from_str::<Form>(text).map_err(strange)?.form == 1 {
            let kept: Kept = serde_json::from_str(text).map_err(strange)?;
            let access = kept.access_token.zip(kept.expires_at);
            return Ok(Secrets {
                client: Some(Client { id: kept.client_id, secret: kept.client_secret }),
                access: access.map(|(token, expires_at)| Access { token, expires_at }),
                refresh: kept.refresh_token,
            });
        }
        let old: Authorized = serde_json::from_str(text).map_err(strange)?;
        let id = old.client_id.filter(|id| !id.trim().is_empty());
        let expires_at = old.expiry.as_deref().and_then(moment);
        let access = given(old.token).zip(expires_at);
        Ok(Secrets {
            client: id.zip(given(old.client_secret)).map(|(id, secret)| Client { id, secret }),
            access: access.map(|(token, expires_at)| Access { token, expires_at }),
            refresh: given(old.refresh_token),
        })
    }

    /// In our own form.
    ///
    /// # Errors
    /// [`Error::Internal`] where there is no client.
    pub(super) fn write(&self) -> Result<SecretString> {
        let client = self.client.as_ref();
        let client =
            client.ok_or_else(|| Error::Internal(anyhow::anyhow!("a grant without its client is not kept")))?;
        let open = |secret: &SecretString| Value::from(secret.expose_secret());
        let text = json!({
            "form": 1,
            "client_id": client.id,
            "client_secret": open(&client.secret),
            "access_token": self.access.as_ref().map(|access| open(&access.token)),
            "expires_at": self.access.as_ref().map(|access| access.expires_at),
            "refresh_token": self.refresh.as_ref().map(open),
        });
        let text = Zeroizing::new(text.to_string());
        Ok(SecretString::from(text.as_str()))
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn what_is_written_is_read_again() {
        let secrets = Secrets {
            client: Some(Client { id: "1-a".into(), secret: SecretString::from("s\"ecret") }),
            access: Some(Access {
                token: SecretString::from("at"),
                expires_at: "2030-01-01T00:00:00Z".parse().unwrap(),
            }),
            refresh: Some(SecretString::from("rt")),
        };
        let read = Secrets::read(&secrets.write().unwrap()).unwrap();
        let client = read.client.unwrap();
        assert_eq!((client.id.as_str(), client.secret.expose_secret()), ("1-a", "s\"ecret"));
        let access = read.access.unwrap();
        assert_eq!(
            (access.token.expose_secret(), access.expires_at.to_string()),
            ("at", "2030-01-01T00:00:00Z".into())
        );
        assert_eq!(read.refresh.unwrap().expose_secret(), "rt");
    }

    #[test]
    fn grants_of_the_old_program_are_read() {
        let whole = r#"{"token":"ya29.a","refresh_token":"1//r","token_uri":"https://evil.example/token",
            "client_id":"1-a.apps.googleusercontent.com","client_secret":"GOCSPX-x",
            "scopes":["https://www.googleapis.com/auth/youtube"],"expiry":"2025-11-04T10:00:00.123456Z"}"#;
        let read = Secrets::read(&SecretString::from(whole)).unwrap();
        assert_eq!(read.refresh.unwrap().expose_secret(), "1//r");
        assert_eq!(read.client.unwrap().id, "1-a.apps.googleusercontent.com");
        assert_eq!(read.access.unwrap().expires_at.as_second(), 1_762_250_400);
        for (text, has_refresh, has_access, has_client) in [
            (r#"{"token":"a"}"#, false, false, false),
            (r#"{"token":"a","expiry":"2025-11-04T10:00:00"}"#, false, true, false),
            (r#"{"token":"a","expiry":"soon"}"#, false, false, false),
            (r#"{"refresh_token":"r","client_id":"","client_secret":"x"}"#, true, false, false),
            (r#"{"refresh_token":" ","client_id":"1","client_secret":"x"}"#, false, false, true),
        ] {
            let read = Secrets::read(&SecretString::from(text)).unwrap();
            let found = (read.refresh.is_some(), read.access.is_some(), read.client.is_some());
            assert_eq!(found, (has_refresh, has_access, has_client), "{text}");
        }
    }

    proptest! {
        #[test]
        fn whatever_lies_there_is_read_or_refused(text in ".{0,200}", token in ".{1,60}") {
            // Neither panics, and a refusal says nothing of the text.
            for text in [text, json!({"token": token, "expiry": token, "refresh_token": token}).to_string()] {
                if let Err(cause) = Secrets::read(&SecretString::from(text)) {
                    prop_assert_eq!(cause.to_string(), "internal: a sealed grant cannot be read");
                }
            }
        }

        #[test]
        fn whatever_a_provider_gives_comes_back(id in ".{0,60}", secret in ".{0,60}", token in ".{0,60}") {
            let secrets = Secrets {
                client: Some(Client { id: id.clone(), secret: SecretString::from(secret.as_str()) }),
                access: None,
                refresh: Some(SecretString::from(token.as_str())),
            };
            let read = Secrets::read(&secrets.write().unwrap()).unwrap();
            let client = read.client.unwrap();
            prop_assert_eq!((client.id, client.secret.expose_secret()), (id, secret.as_str()));
            let refresh = read.refresh.unwrap();
            prop_assert_eq!(refresh.expose_secret(), token.as_str());
        }
    }

    #[test]
    fn what_cannot_be_read_is_not_repeated() {
        for text in [r#"{"refresh_token":{"sentinel":1}}"#, "sentinel", r#"{"form":1,"sentinel":2}"#] {
            let refused = Secrets::read(&SecretString::from(text)).unwrap_err();
            assert!(!format!("{refused:?} {refused}").contains("sentinel"), "{text}");
        }
    }
}
