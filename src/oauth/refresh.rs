//! Access tokens that are good: kept ones, or new ones for a refresh token, once for all who ask.
//!
//! A provider may give another refresh token with each access token and take the old one no more. The new one is on
//! disk before anybody gets to use what came with it. Between the provider's answer and that moment a crash leaves the
//! old one, which is shown again: most providers take it for a while; one that does not has a person connect again.

use std::time::Duration;

use jiff::{SignedDuration, Timestamp};
use secrecy::ExposeSecret as _;
use uuid::Uuid;

use super::connection::{Connection, State};
use super::exchange::{Fault, Given};
use super::secrets::{Client, Secrets};
use super::token::{AccessToken, TokenFault};
use super::{Grants, sealed};
use crate::audit;
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::notify;
use crate::store::rows::Row;
use crate::text::Message;

/// Tokens are renewed so long before they end.
pub(super) const AHEAD: Duration = Duration::from_secs(15 * 60);
/// A token that ends sooner than this is not given out.
const LEAST: Duration = Duration::from_secs(60);
/// The first wait after a renewal that failed, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(30);
const LONGEST_WAIT: Duration = Duration::from_secs(15 * 60);
/// What only a person can put right is tried again so often.
const FOR_A_PERSON: Duration = Duration::from_secs(3600);
/// Tries to write a new token down before it is kept in memory for later.
const WRITES: u32 = 5;

/// Why a connection whose file is not its own has to be made again.
const FOREIGN: &str = "oauth-fault-foreign";

/// How sure a token has to be.
#[derive(Clone)]
enum Need {
    /// Good for a little while.
    Good,
    /// Good for [`AHEAD`].
    Fresh,
    /// Another one than this, which was refused.
    Other(AccessToken),
    /// One that was renewed since then, whatever is there: a person asks.
    New(Timestamp),
}

pub(super) fn after(now: Timestamp, wait: Duration) -> Timestamp {
    now.checked_add(SignedDuration::try_from(wait).unwrap_or_default()).unwrap_or(now)
}

/// How long to wait after so many failures in a row.
pub(super) fn wait_after(failures: u32) -> Duration {
    FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(10)).min(LONGEST_WAIT)
}

impl Need {
    /// The kept token, where it does.
    fn met_by(&self, secrets: &Secrets, connection: &Connection, now: Timestamp) -> Option<AccessToken> {
        let access = secrets.access.as_ref()?;
        let client = secrets.client.as_ref()?;
        let least = connection.ahead(if matches!(self, Need::Fresh) { AHEAD } else { LEAST });
        let is_enough = access.expires_at > after(now, least);
        let is_other = match self {
            Need::Good | Need::Fresh => true,
            Need::Other(refused) => access.token.expose_secret() != refused.secret.expose_secret(),
            Need::New(since) => connection.refreshed_at.is_some_and(|at| at >= *since),
        };
        let is_usable = match connection.state {
            State::Active | State::RefreshFailed => true,
            // What is left to be said with it is said before it is given back, also where giving back did not go well;
            // nothing is renewed for that.
            State::Leaving => matches!(self, Need::Good),
            State::Reconnect => false,
        };
        (is_enough && is_other && is_usable)
            .then(|| AccessToken { secret: access.token.clone(), client_id: client.id.clone() })
    }
}

/// Whether the row knows of the token that lies sealed. After a crash between the two it does not.
fn is_told(secrets: &Secrets, connection: &Connection) -> bool {
    secrets.access.as_ref().map(|access| access.expires_at) == connection.expires_at
}

/// Whether the state of a connection lets a renewal be tried.
fn may_try(connection: &Connection, need: &Need, now: Timestamp) -> Result<(), TokenFault> {
    let why = || connection.fault.clone().unwrap_or_else(|| Message::new("oauth-state-refresh_failed"));
    match connection.state {
        State::Active => Ok(()),
        State::RefreshFailed => match connection.next_try.filter(|at| *at > now) {
            Some(at) if !matches!(need, Need::New(_)) => Err(TokenFault::Later { at, why: why() }),
            _ => Ok(()),
        },
        // What lay on the disk may have been put right; a person who asks finds out.
        State::Reconnect if matches!(need, Need::New(_)) && why().id == FOREIGN => Ok(()),
        State::Reconnect => Err(TokenFault::Reconnect(why())),
        State::Leaving => Err(TokenFault::Gone),
    }
}

impl Grants {
    /// An access token of a connection that is good for at least a minute; it is renewed first where it is about to end,
    /// once for all who ask.
    ///
    /// # Errors
    /// See [`TokenFault`].
    pub async fn access_token(&self, editor: &Editor, connection: Uuid) -> Result<AccessToken, TokenFault> {
        self.token(editor, connection, Need::Good).await
    }

    /// Another access token, where the service refused `refused` before its time; renewed unless somebody did already.
    ///
    /// # Errors
    /// See [`TokenFault`].
    pub async fn after_refusal(
        &self,
        editor: &Editor,
        connection: Uuid,
        refused: &AccessToken,
    ) -> Result<AccessToken, TokenFault> {
        self.token(editor, connection, Need::Other(refused.clone())).await
    }

    /// Renews the token of a connection now, also where what failed would be tried again later only.
    ///
    /// # Errors
    /// See [`TokenFault`].
    pub async fn check(&self, editor: &Editor, connection: Uuid) -> Result<AccessToken, TokenFault> {
        let now = self.shared.foundation.clock().now();
        self.token(editor, connection, Need::New(now)).await
    }

    /// Renews the token of a connection where it ends soon.
    pub(super) async fn freshen(&self, editor: &Editor, connection: Uuid) -> Result<AccessToken, TokenFault> {
        self.token(editor, connection, Need::Fresh).await
    }

    async fn token(&self, editor: &Editor, id: Uuid, need: Need) -> Result<AccessToken, TokenFault> {
        let now = self.shared.foundation.clock().now();
        let row = editor.rows().read(move |rows| rows.need::<Connection>(id)).await?;
        // Most of the time nobody has to wait for anybody.
        if let Ok(secrets) = sealed::open(editor, id).await
            && is_told(&secrets, &row.value)
            && let Some(token) = need.met_by(&secrets, &row.value, now)
        {
            return Ok(token);
        }
        may_try(&row.value, &need, now)?;
        let (this, editor) = (self.clone(), editor.clone());
        self.to_the_end("token renewal", async move { this.renewed(&editor, id, need).await }).await?
    }

    /// The secrets of a connection: those that the disk did not take, else those on disk.
    pub(super) async fn secrets(&self, editor: &Editor, id: Uuid) -> Result<Secrets> {
        let unwritten = self.shared.unwritten.lock().get(&id).cloned();
        match unwritten {
            Some(secrets) => Ok(secrets),
            None => sealed::open(editor, id).await,
        }
    }

    async fn renewed(&self, editor: &Editor, id: Uuid, need: Need) -> Result<AccessToken, TokenFault> {
        let foundation = &self.shared.foundation;
        let _turn = foundation.connection_turns().wait(&id).await;
        // Looked at again: somebody else had the turn before.
        let now = foundation.clock().now();
        let row = editor.rows().read(move |rows| rows.need::<Connection>(id)).await?;
        may_try(&row.value, &need, now)?;
        if let Err(cause) = self.write_down(editor, id).await {
            return Err(self.unwritten(editor, &row, cause).await?);
        }
        let secrets = match sealed::open_own(editor, id).await {
            // The row is there and its file is not: nothing can be done but to grant again.
            Err(Error::NotFound) => {
                let why = Message::new("oauth-fault-lost");
                return Err(self.lost(editor, &row, why).await?);
            }
            opened => match opened? {
                Ok(secrets) => secrets,
                Err(cause) => {
                    tracing::warn!(connection = %id, %cause, "what is kept of a connection is not its own; it has to be connected again");
                    return Err(self.lost(editor, &row, Message::new(FOREIGN)).await?);
                }
            },
        };
        let row = if is_told(&secrets, &row.value) { row } else { self.tell(editor, id, &secrets).await? };
        if let Some(token) = need.met_by(&secrets, &row.value, now) {
            return Ok(token);
        }
        let provider = row.value.service.provider();
        let Some(refresh) = secrets.refresh.clone() else {
            let why = Message::new("oauth-fault-no-refresh").with("provider", provider.name());
            return Err(self.lost(editor, &row, why).await?);
        };
        let Some(client) = self.client_of(editor, provider, &secrets).await? else {
            let why = Message::new("oauth-fault-no-client").with("provider", provider.name());
            return Err(self.lost(editor, &row, why).await?);
        };
        let was_cut_off = row.value.refreshing.is_some();
        let row = self.note(editor, id, move |connection| connection.refreshing = Some(now)).await?;
        match self.exchange(provider)?.refresh(&client, &refresh, now).await {
            Ok(given) => self.take(editor, &row, client, secrets, given).await,
            Err(Fault::Grant) => {
                let id = if was_cut_off { "oauth-fault-cut-off" } else { "oauth-fault-grant" };
                let why = Message::new(id).with("provider", provider.name());
                Err(self.lost(editor, &row, why).await?)
            }
            Err(Fault::Client) => {
                let why = Message::new("oauth-fault-client").with("provider", provider.name());
                Err(self.failed(editor, &row, why.with("client", client.id), Some(FOR_A_PERSON), false).await?)
            }
            // The provider may have given something that we did not get.
            Err(Fault::Away(why)) => Err(self.failed(editor, &row, why, None, true).await?),
            Err(Fault::Refused(why)) => Err(self.failed(editor, &row, why, None, false).await?),
        }
    }

    /// Writes down what a provider gave, then says so.
    async fn take(
        &self,
        editor: &Editor,
        row: &Row<Connection>,
        client: Client,
        before: Secrets,
        given: Given,
    ) -> Result<AccessToken, TokenFault> {
        let id = row.id();
        let token = AccessToken { secret: given.access.token.clone(), client_id: client.id.clone() };
        let refresh = given.refresh.or(before.refresh);
        let secrets = Secrets { client: Some(client), access: Some(given.access), refresh };
        self.shared.unwritten.lock().insert(id, secrets.clone());
        if let Err(cause) = self.write_down(editor, id).await {
            return Err(self.unwritten(editor, row, cause).await?);
        }
        let row = self.tell(editor, id, &secrets).await?;
        if row.value.state == State::Leaving {
            return Err(TokenFault::Gone);
        }
        if row.value.account.is_none() {
            self.learn_account(editor, id, &token).await;
        }
        Ok(token)
    }

    /// Says in its row what lies sealed of a connection: that it works, and until when.
    async fn tell(&self, editor: &Editor, id: Uuid, secrets: &Secrets) -> Result<Row<Connection>> {
        let now = self.shared.foundation.clock().now();
        let client_id = secrets.client.as_ref().map(|client| client.id.clone());
        let expires_at = secrets.access.as_ref().map(|access| access.expires_at);
        self.note(editor, id, move |connection| {
            // What goes, goes: with what was given now.
            if connection.state == State::Leaving {
                return;
            }
            connection.state = State::Active;
            connection.client_id.clone_from(&client_id);
            connection.expires_at = expires_at;
            connection.refreshed_at = Some(now).filter(|now| expires_at > Some(*now));
            (connection.fault, connection.next_try, connection.refreshing) = (None, None, None);
            connection.failures = 0;
        })
        .await
    }

    /// A new token did not get to the disk. Nobody gets it: where it is lost, the one before is shown again.
    async fn unwritten(&self, editor: &Editor, row: &Row<Connection>, cause: Error) -> Result<TokenFault> {
        tracing::error!(connection = %row.id(), %cause, "a new token could not be written down; it is tried again");
        self.failed(editor, row, cause.message(), None, true).await
    }

    /// Brings the tokens of a connection to the disk that it did not take before. Its turn is held.
    ///
    /// # Errors
    /// What the disk says; the tokens stay in memory.
    async fn write_down(&self, editor: &Editor, id: Uuid) -> Result<()> {
        let Some(secrets) = self.shared.unwritten.lock().get(&id).cloned() else { return Ok(()) };
        for left in (0..WRITES).rev() {
            match sealed::write(editor, id, &secrets).await {
                Ok(()) => {
                    self.shared.unwritten.lock().remove(&id);
                    break;
                }
                Err(cause) if left == 0 => return Err(cause),
                Err(_) => tokio::time::sleep(Duration::from_millis(200)).await,
            }
        }
        Ok(())
    }

    /// Changes what is known of a connection.
    pub(super) async fn note(
        &self,
        editor: &Editor,
        id: Uuid,
        mut change: impl FnMut(&mut Connection) + Send + 'static,
    ) -> Result<Row<Connection>> {
        editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Connection>(id, None)?;
                let mut connection = row.value.clone();
                change(&mut connection);
                if connection == row.value {
                    return Ok(row);
                }
                rows.rewrite(&row, connection)
            })
            .await
    }

    /// A renewal did not get through, and is tried again. `unsure`: the provider may have counted it.
    async fn failed(
        &self,
        editor: &Editor,
        row: &Row<Connection>,
        why: Message,
        wait: Option<Duration>,
        unsure: bool,
    ) -> Result<TokenFault> {
        let now = self.shared.foundation.clock().now();
        let failures = row.value.failures.saturating_add(1);
        let at = after(now, wait.unwrap_or_else(|| wait_after(failures)));
        let told = why.clone();
        tracing::info!(connection = %row.id(), failures, %why, "a token could not be renewed");
        self.note(editor, row.id(), move |connection| {
            if connection.state == State::Leaving {
                return;
            }
            connection.state = State::RefreshFailed;
            connection.fault = Some(told.clone());
            (connection.next_try, connection.failures) = (Some(at), failures);
            if !unsure {
                connection.refreshing = None;
            }
        })
        .await?;
        Ok(TokenFault::Later { at, why })
    }

    /// The grant is good for nothing any more: a person has to connect again, and is told so. What is sealed stays.
    async fn lost(&self, editor: &Editor, row: &Row<Connection>, why: Message) -> Result<TokenFault> {
        let (id, actor, told) = (row.id(), editor.actor().clone(), why.clone());
        tracing::info!(connection = %id, %why, "a grant is good for nothing any more");
        editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Connection>(id, None)?;
                if matches!(row.value.state, State::Reconnect | State::Leaving) {
                    return Ok(());
                }
                let mut connection = row.value.clone();
                connection.state = State::Reconnect;
                connection.fault = Some(told.clone());
                (connection.next_try, connection.refreshing) = (None, None);
                audit::record(rows, &actor, "channel.lost", format!("{id} {}", connection.title))?;
                notify::connection_lost(rows, id, &connection)?;
                rows.rewrite(&row, connection).map(drop)
            })
            .await?;
        Ok(TokenFault::Reconnect(why))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_a_quarter_of_an_hour() {
        let waits = [1, 2, 3, 4, 5, 6, 7, 99].map(|failures| wait_after(failures).as_secs());
        assert_eq!(waits, [30, 60, 120, 240, 480, 900, 900, 900]);
    }
}
