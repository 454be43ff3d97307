//! Connecting an account: a person goes to the provider with a state, comes back with a code, and the code becomes
//! tokens. The state is good once, for ten minutes, for the login it was made in; of it a hash is kept.

use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use super::account::{Account, put_picture};
use super::connection::{Connection, State, all};
use super::exchange::{Fault, Given, told};
use super::keeper::mark;
use super::provider::Provider;
use super::refresh::after;
use super::secrets::{Client, Secrets};
use super::{AccessToken, Grants, Service, sealed};
use crate::audit;
use crate::auth::{Identity, random_token, token_hash};
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;
use crate::vault::{Purpose, Sealed};

/// A state is good for so long.
const LASTS: Duration = Duration::from_secs(600);
/// States of one user that wait; the oldest gives way.
const MOST_WAITING: usize = 10;
/// Connections of one tenant.
const MOST: usize = 50;
/// Longest state and code that are looked at.
const LONGEST: usize = 4096;

const WAITING: &str = "oauth-state/";
/// Ids under which tokens may lie that no row names yet.
pub(super) const ARRIVING: &str = "oauth-arriving/";

/// Somebody who went to a provider, under [`WAITING`] and the hash of the state.
#[derive(Clone, Serialize, Deserialize)]
struct Waiting {
    /// What the verifier is sealed for.
    id: Uuid,
    user: Uuid,
    session: Uuid,
    provider: Provider,
    service: Service,
    client_id: String,
    verifier: Sealed,
    /// The connection that is connected again.
    connection: Option<Uuid>,
    expires_at: Timestamp,
}

/// Where a person is to go.
#[derive(Debug, Clone)]
pub struct Asked {
    /// At the provider.
    pub url: Url,
    /// Until when they must be back.
    pub expires_at: Timestamp,
}

/// What a person comes back with.
#[derive(Debug, Default)]
pub struct Returned {
    /// What they went with.
    pub state: String,
    /// What the provider gave them.
    pub code: Option<String>,
    /// Why it gave nothing.
    pub error: Option<String>,
    /// In its own words.
    pub error_description: Option<String>,
    /// Who it says it is.
    pub iss: Option<String>,
}

fn waiting(rows: &Reader<'_>) -> Result<Vec<(String, Waiting)>> {
    let mut found = Vec::new();
    rows.values::<Waiting>(WAITING, |key, waiting| {
        found.push((key.to_owned(), waiting));
        ControlFlow::Continue(())
    })?;
    found.sort_by_key(|(_, waiting)| waiting.expires_at);
    Ok(found)
}

fn key(state: &str) -> String {
    format!("{WAITING}{}", token_hash(state))
}

/// Replayed, late, another login's or made up: which of them is nobody's business.
fn unknown_state() -> Error {
    Error::Conflict(Message::new("oauth-state-unknown"))
}

/// Uses a state up. Whoever shows another login's gets nothing, and takes nothing from whom it belongs to.
fn take(rows: &mut Writer<'_>, state: &str, me: (Uuid, Uuid), provider: Provider) -> Result<Option<Waiting>> {
    let (key, now) = (key(state), rows.now());
    let Some(waiting) = rows.value::<Waiting>(&key)? else { return Ok(None) };
    if (waiting.user, waiting.session) != me || waiting.provider != provider {
        return Ok(None);
    }
    rows.delete_value(&key);
    Ok(Some(waiting).filter(|waiting| now < waiting.expires_at))
}

/// Why a provider sent somebody back without a code.
fn refusal(provider: Provider, error: &str, description: Option<&str>) -> Error {
    let provider = provider.name();
    Error::Conflict(match error {
        "access_denied" => Message::new("oauth-denied").with("provider", provider),
        "temporarily_unavailable" | "server_error" => Message::new("oauth-away").with("provider", provider),
        other => {
            let (code, words) = (told(other), told(description.unwrap_or_default()));
            let said = if words.is_empty() { code } else { format!("{code}: {words}") };
            Message::new("oauth-fault-refused").with("provider", provider).with("said", said)
        }
    })
}

fn is_from(iss: &str, authorize: &Url) -> bool {
    Url::parse(iss).is_ok_and(|iss| iss.origin() == authorize.origin())
}

impl Grants {
    /// Where a person goes to connect an account, or, with `connection`, to connect that one again.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the settings name no public address, no client is there, or there are enough
    /// connections; [`Error::NotFound`] for a connection that is not there.
    pub async fn ask(
        &self,
        editor: &Editor,
        me: &Identity,
        service: Service,
        connection: Option<Uuid>,
    ) -> Result<Asked> {
        let (provider, config) = (service.provider(), self.shared.foundation.config());
        provider.redirect(config)?;
        let client = editor.usable_client(provider).await?;
        let client_id = client.ok_or_else(|| Error::Conflict(Message::new("oauth-client-missing")))?.client_id;
        let (state, verifier) = (random_token()?, SecretString::from(random_token()?));
        let url = self.exchange(provider)?.authorize(service, &client_id, &state, &verifier);
        let (sealing, id) = (self.shared.foundation.vault().sealing(), Uuid::now_v7());
        let verifier = sealing.seal(Some(editor.tenant()), Purpose::GrantVerifier, id, &verifier)?;
        let (actor, user, session) = (editor.actor().clone(), me.user.id, me.session);
        let expires_at = editor
            .rows()
            .write(move |rows| {
                let now = rows.now();
                let title = match connection {
                    Some(id) => match rows.need::<Connection>(id, None)?.value {
                        gone if gone.state == State::Leaving || gone.service != service => return Err(Error::NotFound),
                        connection => format!("{id} {}", connection.title),
                    },
                    None if all(rows.view())?.len() >= MOST => {
                        return Err(Error::Conflict(Message::new("oauth-connections-many").with("most", MOST)));
                    }
                    None => service.code().to_owned(),
                };
                let (late, open): (Vec<_>, Vec<_>) =
                    waiting(rows.view())?.into_iter().partition(|(_, waiting)| waiting.expires_at <= now);
                let own: Vec<_> = open.iter().filter(|(_, waiting)| waiting.user == user).collect();
                let surplus = (own.len() + 1).saturating_sub(MOST_WAITING);
                for (key, _) in late.iter().chain(own.into_iter().take(surplus)) {
                    rows.delete_value(key);
                }
                let expires_at = after(now, LASTS);
                let (client_id, verifier) = (client_id.clone(), verifier.clone());
                let waiting =
                    Waiting { id, user, session, provider, service, client_id, verifier, connection, expires_at };
                rows.put_value(&key(&state), &waiting)?;
                audit::record(rows, &actor, "channel.ask", title)?;
                // What it sealed is written down with this batch.
                let _ = &sealing;
                Ok(expires_at)
            })
            .await?;
        Ok(Asked { url, expires_at })
    }

    /// Connects the account of a person who came back.
    ///
    /// # Errors
    /// [`Error::Conflict`] with what to do: a state that is not theirs or too old, a grant that was not given or lacks
    /// something, an account that cannot be used, or is another one than was to be connected again;
    /// [`Error::Upstream`] where the provider does not answer.
    pub async fn finish(
        &self,
        editor: &Editor,
        me: &Identity,
        provider: Provider,
        returned: Returned,
    ) -> Result<Row<Connection>> {
        let (state, login) = (returned.state.clone(), (me.user.id, me.session));
        if state.is_empty() || state.len() > LONGEST {
            return Err(unknown_state());
        }
        let fresh = Uuid::now_v7();
        let goes_on = returned.error.is_none();
        let rows = editor.rows();
        let taken = rows.write(move |rows| {
            let taken = take(rows, &state, login, provider)?;
            if taken.as_ref().is_some_and(|waiting| goes_on && waiting.connection.is_none()) {
                rows.put_value(&format!("{ARRIVING}{fresh}"), &rows.now())?;
            }
            Ok(taken)
        });
        let waiting = taken.await?.ok_or_else(unknown_state)?;
        if let Some(error) = returned.error {
            return Err(refusal(provider, &error, returned.error_description.as_deref()));
        }
        let (this, editor) = (self.clone(), editor.clone());
        self.to_the_end("connecting", async move {
            let done = this.connect(&editor, provider, waiting, returned, fresh).await;
            if done.is_err() {
                this.forget_arrival(&editor, fresh).await;
            }
            done
        })
        .await?
    }

    async fn connect(
        &self,
        editor: &Editor,
        provider: Provider,
        waiting: Waiting,
        returned: Returned,
        fresh: Uuid,
    ) -> Result<Row<Connection>> {
        let refused = |id| Error::Conflict(Message::new(id).with("provider", provider.name()));
        let exchange = self.exchange(provider)?;
        if returned.iss.is_some_and(|iss| !is_from(&iss, &exchange.ends.authorize)) {
            return Err(refused("oauth-strange-issuer"));
        }
        let code = returned.code.filter(|code| !code.is_empty() && code.len() <= LONGEST);
        let code = SecretString::from(code.ok_or_else(|| refused("oauth-no-code"))?);
        let client = self.client(editor, provider, &waiting.client_id).await?;
        let client = client.ok_or_else(|| refused("oauth-client-changed"))?;
        let vault = self.shared.foundation.vault();
        let verifier =
            vault.open_sealed(Some(editor.tenant()), Purpose::GrantVerifier, waiting.id, &waiting.verifier)?;
        let now = self.shared.foundation.clock().now();
        let given = exchange.redeem(&client, &code, &verifier, now).await.map_err(|fault| match fault {
            Fault::Grant => refused("oauth-code-refused"),
            Fault::Client => {
                let message = Message::new("oauth-fault-client").with("provider", provider.name());
                Error::Conflict(message.with("client", client.id.as_str()))
            }
            Fault::Away(why) => Error::Upstream(why),
            Fault::Refused(why) => Error::Conflict(why),
        })?;
        let lacks = |given: &Given| {
            let scopes = given.scopes.as_ref();
            scopes.is_some_and(|granted| {
                !waiting.service.scopes().iter().all(|needed| granted.iter().any(|one| one == needed))
            })
        };
        if lacks(&given) {
            return Err(refused("oauth-scope-missing"));
        }
        if given.refresh.is_none() {
            let message = Message::new("oauth-no-refresh").with("provider", provider.name());
            return Err(Error::Conflict(message.with("page", provider.permissions_page())));
        }
        let token = AccessToken { secret: given.access.token.clone(), client_id: client.id.clone() };
        let account = self.account(waiting.service, &token).await?;
        let picture = self.picture(editor, provider, &account).await;
        self.write_grant(editor, &waiting, fresh, (client, given), (account, picture)).await
    }

    /// Writes a new grant down, under the connection that has the account already, or a new one.
    async fn write_grant(
        &self,
        editor: &Editor,
        waiting: &Waiting,
        fresh: Uuid,
        (client, given): (Client, Given),
        (account, picture): (Account, Option<String>),
    ) -> Result<Row<Connection>> {
        let service = waiting.service;
        let found = editor.rows().read(all).await?;
        let of_account = |row: &&Row<Connection>| {
            row.value.service == service && row.value.account.as_deref() == Some(account.id.as_str())
        };
        let target = match waiting.connection {
            Some(wanted) => {
                let row = found.iter().find(|row| row.id() == wanted).ok_or(Error::NotFound)?;
                // One from an old home may not know its account yet.
                if row.value.account.as_deref().is_some_and(|known| known != account.id) {
                    let message = Message::new("oauth-other-account").with("title", row.value.title.as_str());
                    return Err(Error::Conflict(message.with("found", account.title.as_str())));
                }
                Some(wanted)
            }
            None => found.iter().find(of_account).map(Row::id),
        };
        let (id, expires_at, client_id) = (target.unwrap_or(fresh), given.access.expires_at, client.id.clone());
        let _turn = self.shared.foundation.connection_turns().wait(&id).await;
        mark(editor).await?;
        if let Some(id) = target {
            // It may have gone while this waited: nothing is to lie where no row says so.
            let row = editor.rows().read(move |rows| rows.need::<Connection>(id)).await?;
            if row.value.state == State::Leaving {
                return Err(Error::Conflict(Message::new("oauth-leaving").with("title", row.value.title.as_str())));
            }
        }
        let secrets = Secrets { client: Some(client), access: Some(given.access), refresh: given.refresh };
        sealed::write(editor, id, &secrets).await?;
        // From here on the new tokens hold, whatever a provider gave before.
        self.shared.unwritten.lock().remove(&id);
        let (tenant, actor) = (editor.tenant().clone(), editor.actor().clone());
        editor
            .rows()
            .write(move |rows| {
                let now = rows.now();
                let old = match target {
                    Some(id) => Some(rows.need::<Connection>(id, None)?),
                    None => None,
                };
                let is_there = |row: &Row<Connection>| {
                    row.value.service == service && row.value.account.as_deref() == Some(account.id.as_str())
                };
                if old.is_none() && all(rows.view())?.iter().any(is_there) {
                    return Err(Error::Conflict(Message::new("error-busy")));
                }
                let mut connection = match &old {
                    Some(row) if row.value.state == State::Leaving => return Err(Error::NotFound),
                    Some(row) => row.value.clone(),
                    None => Connection { service, ..Connection::default() },
                };
                account.name(&mut connection, picture.as_ref());
                connection.client_id = Some(client_id.clone());
                connection.state = State::Active;
                (connection.granted_at, connection.refreshed_at) = (Some(now), Some(now));
                connection.expires_at = Some(expires_at);
                (connection.fault, connection.next_try, connection.refreshing) = (None, None, None);
                connection.failures = 0;
                put_picture(rows, id, picture.as_ref())?;
                rows.delete_value(&format!("{ARRIVING}{fresh}"));
                let act = if old.is_some() { "channel.reconnect" } else { "channel.connect" };
                audit::record(rows, &actor, act, format!("{id} {}", connection.title))?;
                crate::youtube::remember(rows, id, &account.id)?;
                match &old {
                    Some(row) => rows.update(row, connection),
                    None => rows.insert_with_id(id, &tenant, &actor, connection),
                }
            })
            .await?;
        editor.rows().read(move |rows| rows.need::<Connection>(id)).await
    }

    /// Takes away what was left of a connection that came to nothing.
    pub(super) async fn forget_arrival(&self, editor: &Editor, id: Uuid) {
        let forget = async {
            if editor.rows().read(move |rows| rows.get::<Connection>(id)).await?.is_none() {
                sealed::erase(editor, id).await?;
            }
            let key = format!("{ARRIVING}{id}");
            let forget = move |rows: &mut Writer<'_>| {
                if rows.value::<Timestamp>(&key)?.is_some() {
                    rows.delete_value(&key);
                }
                Ok(())
            };
            editor.rows().write(forget).await
        };
        if let Err(cause) = forget.await {
            tracing::warn!(%cause, "what was left of a connection stays until the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whoever_says_to_be_the_provider_is_at_its_address() {
        let authorize: Url = "https://accounts.google.com/o/oauth2/v2/auth".parse().unwrap();
        for (iss, is_right) in [
            ("https://accounts.google.com", true),
            ("https://accounts.google.com/", true),
            ("https://accounts.google.com.evil.example", false),
            ("http://accounts.google.com", false),
            ("accounts.google.com", false),
            ("", false),
        ] {
            assert_eq!(is_from(iss, &authorize), is_right, "{iss}");
        }
    }

    #[tokio::test]
    async fn a_state_is_good_for_its_login_and_provider_for_ten_minutes() {
        use crate::auth::{SystemLicence, Tenant};
        use crate::vault::Vault;

        let home = tempfile::tempdir().unwrap();
        let clock = crate::clock::Clock::held_at("2030-01-01T10:00:00Z".parse().unwrap());
        let config = crate::config::Config { home: home.path().to_owned(), ..Default::default() };
        let objects = crate::objects::Objects::open(home.path()).unwrap();
        let vault = Vault::open(&config.data().join("master.key"), true).unwrap();
        let store = crate::store::Store::open_redb(config.data(), clock.clone()).unwrap();
        let foundation = crate::foundation::Foundation::new(config, store, objects, vault, Uuid::now_v7());
        let tenant = Tenant::parse("al").unwrap();
        #[allow(clippy::disallowed_methods, reason = "a test is its own program")]
        let scope = SystemLicence::new().scope(&tenant, "test");
        let editor = Editor::open(&foundation, &scope);
        editor.rows().create().await.unwrap();
        let (user, session, id) = (Uuid::now_v7(), Uuid::now_v7(), Uuid::now_v7());
        let secret = SecretString::from("verifier");
        let verifier = foundation.vault().sealing().seal(Some(&tenant), Purpose::GrantVerifier, id, &secret).unwrap();
        let waiting = Waiting {
            id,
            user,
            session,
            provider: Provider::Google,
            service: Service::Youtube,
            client_id: String::new(),
            verifier,
            connection: None,
            expires_at: after(clock.now(), LASTS),
        };
        let space = editor.rows();
        let asked = space.write(move |rows| {
            rows.put_value(&key("in time"), &waiting)?;
            rows.put_value(&key("late"), &waiting)
        });
        asked.await.unwrap();
        let shown = async |state: &'static str, user, session| {
            let taken = space.write(move |rows| take(rows, state, (user, session), Provider::Google));
            taken.await.unwrap().is_some()
        };
        clock.advance(Duration::from_secs(599));
        assert!(!shown("in time", Uuid::now_v7(), session).await && !shown("in time", user, Uuid::now_v7()).await);
        assert!(shown("in time", user, session).await && !shown("in time", user, session).await);
        clock.advance(Duration::from_secs(1));
        assert!(!shown("late", user, session).await && !shown("made up", user, session).await);
    }

    #[test]
    fn a_refusal_is_told_in_our_words_where_we_have_some() {
        let told = |error, words| refusal(Provider::Google, error, words).message();
        assert_eq!(told("access_denied", None).id, "oauth-denied");
        assert_eq!(told("server_error", Some("x")).id, "oauth-away");
        let other = told("admin_policy_enforced", Some("no\r\n<b>way</b>"));
        assert_eq!(other.id, "oauth-fault-refused");
        assert!(other.to_string().contains("admin_policy_enforced: no  <b>way</b>"), "{other}");
    }
}
