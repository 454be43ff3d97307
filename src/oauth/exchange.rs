//! What is said to a provider: the address where people grant, a code for tokens, a refresh token for a new access
//! token, a grant given back. Answers are bounded, and nothing of them that may be secret is told.

use std::time::Duration;

use futures_util::future::BoxFuture;
use jiff::{SignedDuration, Timestamp};
use oauth2::basic::{BasicClient, BasicErrorResponse, BasicErrorResponseType, BasicTokenResponse};
use oauth2::{
    AuthType, AuthUrl, AuthorizationCode, ClientId, ClientSecret, CsrfToken, HttpRequest, HttpResponse,
    PkceCodeChallenge, PkceCodeVerifier, RedirectUrl, RefreshToken, RequestTokenError, Scope, TokenResponse as _,
    TokenUrl,
};
use reqwest::header::CONTENT_TYPE;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::Service;
use super::provider::{Ends, Provider};
use super::secrets::{Access, Client};
use crate::live::redact::redact;
use crate::outbound::{self, LIMIT, Outbound};
use crate::text::Message;

/// Largest answer that is read, in bytes.
const MOST_ANSWER: usize = 64 << 10;
/// Longest of what a provider says that is repeated, in characters.
const MOST_TOLD: usize = 200;
/// How long an access token lasts where the provider does not say, and at most.
const USUAL: Duration = Duration::from_secs(3600);
const LONGEST: Duration = Duration::from_secs(30 * 24 * 3600);

/// Speaks to one provider.
#[derive(Clone)]
pub(super) struct Exchange {
    pub(super) outbound: Outbound,
    pub(super) provider: Provider,
    pub(super) ends: Ends,
    pub(super) redirect: Option<Url>,
}

/// What a provider gave.
pub(super) struct Given {
    pub(super) access: Access,
    /// `None` where the one that was shown stays good, or there is none.
    pub(super) refresh: Option<SecretString>,
    /// What was granted; `None` where it is what was asked for.
    pub(super) scopes: Option<Vec<String>>,
}

/// Why a provider gave nothing.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Fault {
    /// It does not take this grant or code any more.
    Grant,
    /// It does not know the client, or not by this secret.
    Client,
    /// Nobody answered, or not now.
    Away(Message),
    /// Anything else that it said.
    Refused(Message),
}

/// Nobody answered, or with what says "later".
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
struct Unanswered(Message);

/// What a provider says, as it may be shown: one line, short. It is put into pages as text.
pub(super) fn told(text: &str) -> String {
    let turns = |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let plain = text.chars().map(|letter| if letter.is_whitespace() { ' ' } else { letter });
    plain.filter(|letter| !letter.is_control() && !turns(*letter)).take(MOST_TOLD).collect::<String>().trim().to_owned()
}

/// When a token of so many seconds ends.
fn end(now: Timestamp, lasts: Option<Duration>) -> Timestamp {
    let lasts = SignedDuration::try_from(lasts.unwrap_or(USUAL).min(LONGEST)).unwrap_or_default();
    now.checked_add(lasts).unwrap_or(now)
}

impl Exchange {
    /// The address where a person grants.
    pub(super) fn authorize(&self, service: Service, client_id: &str, state: &str, verifier: &SecretString) -> Url {
        let verifier = PkceCodeVerifier::new(verifier.expose_secret().to_owned());
        let challenge = PkceCodeChallenge::from_code_verifier_sha256(&verifier);
        let client = BasicClient::new(ClientId::new(client_id.to_owned()))
            .set_auth_uri(AuthUrl::from_url(self.ends.authorize.clone()));
        let state = CsrfToken::new(state.to_owned());
        let mut request = client.authorize_url(|| state).set_pkce_challenge(challenge);
        if let Some(redirect) = &self.redirect {
            request = request.set_redirect_uri(std::borrow::Cow::Owned(RedirectUrl::from_url(redirect.clone())));
        }
        for scope in service.scopes() {
            request = request.add_scope(Scope::new((*scope).to_owned()));
        }
        for (name, value) in self.provider.parameters() {
            request = request.add_extra_param(*name, *value);
        }
        request.url().0
    }

    /// Tokens for the code that a person came back with.
    pub(super) async fn redeem(
        &self,
        client: &Client,
        code: &SecretString,
        verifier: &SecretString,
        now: Timestamp,
    ) -> Result<Given, Fault> {
        let known = self.client(client);
        let mut request = known
            .exchange_code(AuthorizationCode::new(code.expose_secret().to_owned()))
            .set_pkce_verifier(PkceCodeVerifier::new(verifier.expose_secret().to_owned()));
        if let Some(redirect) = &self.redirect {
            request = request.set_redirect_uri(std::borrow::Cow::Owned(RedirectUrl::from_url(redirect.clone())));
        }
        let answer = request.request_async(&self.http()).await;
        answer.map(|tokens| given(&tokens, now)).map_err(|error| self.judge(error, &[&client.secret, code, verifier]))
    }

    /// A new access token.
    pub(super) async fn refresh(&self, client: &Client, shown: &SecretString, now: Timestamp) -> Result<Given, Fault> {
        let known = self.client(client);
        let refresh = RefreshToken::new(shown.expose_secret().to_owned());
        let answer = known.exchange_refresh_token(&refresh).request_async(&self.http()).await;
        answer.map(|tokens| given(&tokens, now)).map_err(|error| self.judge(error, &[&client.secret, shown]))
    }

    /// Gives a grant back. One that the provider does not know any more is given back.
    pub(super) async fn revoke(&self, token: &SecretString) -> Result<(), Fault> {
        let body =
            url::form_urlencoded::Serializer::new(String::new()).append_pair("token", token.expose_secret()).finish();
        let url = &self.ends.revoke;
        let request = self.outbound.ours().post(url.clone()).timeout(LIMIT);
        let request = request.header(CONTENT_TYPE, "application/x-www-form-urlencoded").body(body);
        let away = |error| Fault::Away(outbound::blame(error, url));
        let response = request.send().await.map_err(away)?;
        let answer = outbound::read(response, MOST_ANSWER).await.map_err(away)?;
        match answer.status {
            200..=299 => Ok(()),
            429 | 500.. => Err(Fault::Away(self.later(answer.status))),
            status => {
                let said: serde_json::Value = serde_json::from_slice(&answer.body).unwrap_or_default();
                match said["error"].as_str() {
                    Some("invalid_token" | "invalid_grant") => Ok(()),
                    said => {
                        let said = redact(said.unwrap_or_default(), &[token.expose_secret()]);
                        Err(Fault::Refused(self.refused(&said, status)))
                    }
                }
            }
        }
    }

    fn client(
        &self,
        client: &Client,
    ) -> BasicClient<
        oauth2::EndpointNotSet,
        oauth2::EndpointNotSet,
        oauth2::EndpointNotSet,
        oauth2::EndpointNotSet,
        oauth2::EndpointSet,
    > {
        BasicClient::new(ClientId::new(client.id.clone()))
            .set_client_secret(ClientSecret::new(client.secret.expose_secret().to_owned()))
            .set_token_uri(TokenUrl::from_url(self.ends.token.clone()))
            .set_auth_type(AuthType::RequestBody)
    }

    fn http(&self) -> impl Fn(HttpRequest) -> BoxFuture<'static, Result<HttpResponse, Unanswered>> + Send + Sync {
        let this = self.clone();
        move |request| {
            let this = this.clone();
            Box::pin(async move { this.send(request).await })
        }
    }

    async fn send(&self, request: HttpRequest) -> Result<HttpResponse, Unanswered> {
        let url = &self.ends.token;
        let away = |error| Unanswered(outbound::blame(error, url));
        let mut request = reqwest::Request::try_from(request).map_err(away)?;
        *request.timeout_mut() = Some(LIMIT);
        let response = self.outbound.ours().execute(request).await.map_err(away)?;
        let answer = outbound::read(response, MOST_ANSWER).await.map_err(away)?;
        if matches!(answer.status, 429 | 500..) {
            return Err(Unanswered(self.later(answer.status)));
        }
        let mut response = HttpResponse::new(answer.body);
        *response.status_mut() =
            oauth2::http::StatusCode::from_u16(answer.status).map_err(|_| Unanswered(self.later(answer.status)))?;
        *response.headers_mut() = answer.headers;
        Ok(response)
    }

    fn later(&self, status: u16) -> Message {
        Message::new("oauth-fault-later").with("provider", self.provider.name()).with("status", status)
    }

    fn refused(&self, said: &str, status: u16) -> Message {
        let said = told(said);
        let said = if said.is_empty() { status.to_string() } else { said };
        Message::new("oauth-fault-refused").with("provider", self.provider.name()).with("said", said)
    }

    /// `sent`: what the provider may repeat, and nobody is to be told.
    fn judge(&self, error: RequestTokenError<Unanswered, BasicErrorResponse>, sent: &[&SecretString]) -> Fault {
        let sent: Vec<&str> = sent.iter().map(|secret| secret.expose_secret()).collect();
        match error {
            RequestTokenError::ServerResponse(said) => match said.error() {
                BasicErrorResponseType::InvalidGrant => Fault::Grant,
                BasicErrorResponseType::InvalidClient | BasicErrorResponseType::UnauthorizedClient => Fault::Client,
                other => {
                    let code = told(&redact(other.as_ref(), &sent));
                    let words = said.error_description().map(|words| told(&redact(words, &sent))).unwrap_or_default();
                    let said = if words.is_empty() { code } else { format!("{code}: {words}") };
                    Fault::Refused(self.refused(&said, 400))
                }
            },
            RequestTokenError::Request(unanswered) => Fault::Away(unanswered.0),
            // Its text may hold what was received.
            RequestTokenError::Parse(..) | RequestTokenError::Other(_) => {
                Fault::Refused(Message::new("oauth-fault-strange").with("provider", self.provider.name()))
            }
        }
    }
}

fn given(tokens: &BasicTokenResponse, now: Timestamp) -> Given {
    let refresh = tokens.refresh_token().map(|refresh| SecretString::from(refresh.secret().as_str()));
    Given {
        access: Access {
            token: SecretString::from(tokens.access_token().secret().as_str()),
            expires_at: end(now, tokens.expires_in()),
        },
        refresh: refresh.filter(|refresh| !refresh.expose_secret().is_empty()),
        scopes: tokens.scopes().map(|scopes| scopes.iter().map(|scope| scope.to_string()).collect()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_ends_when_its_provider_says_within_reason() {
        let now: Timestamp = "2030-01-01T00:00:00Z".parse().unwrap();
        for (lasts, seconds) in [
            (None, 3600),
            (Some(Duration::from_secs(10)), 10),
            (Some(Duration::ZERO), 0),
            (Some(Duration::from_secs(u64::MAX)), 30 * 24 * 3600),
        ] {
            assert_eq!(end(now, lasts).as_second() - now.as_second(), seconds, "{lasts:?}");
        }
    }

    #[test]
    fn what_a_provider_says_is_one_short_line() {
        assert_eq!(told(" a\r\nb\u{202e}c\0 "), "a  bc");
        assert_eq!(told(&"x".repeat(5000)).len(), MOST_TOLD);
    }
}
