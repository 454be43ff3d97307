//! Giving a grant back: at the provider first, then here. What is to go is on record before anything is said, so that a
//! crash ends as it would have without one.

use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use uuid::Uuid;

use super::connection::{Connection, State, all, picture_key};
use super::exchange::Fault;
use super::refresh::after;
use super::{Grants, sealed};
use crate::audit;
use crate::auth::WriteScope;
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::store::rows::Row;
use crate::text::Message;

/// Waits between the tries to give a grant back. After the last one it is erased here all the same.
const WAITS: [Duration; 4] =
    [Duration::from_secs(60), Duration::from_secs(300), Duration::from_secs(1800), Duration::from_secs(7200)];
/// For giving back everything of a tenant that goes.
const PATIENCE: Duration = Duration::from_secs(20);

/// What came of giving a grant back.
#[derive(Debug, Clone, PartialEq)]
pub enum Left {
    /// It is erased here: given back, or after the last try to.
    Gone,
    /// The provider could not be told; it is tried again, and then erased here all the same.
    Later {
        /// When.
        at: Timestamp,
        /// Why it could not.
        why: Message,
    },
}

/// Who has a grant given back that is on its way out already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum By {
    /// The first try, or one whose time has come: the next one comes later, and after the last one it is erased.
    Itself,
    /// A person who does not want to wait: that takes none of the tries away.
    Hand,
}

impl Grants {
    /// Says that a connection is to go: a moment is left to end with its token what hangs on it, then
    /// [`Grants::disconnect`] gives the grant back, or the keeper does where this server is cut off.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn set_out(&self, editor: &Editor, id: Uuid) -> Result<()> {
        let actor = editor.actor().clone();
        editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Connection>(id, None)?;
                if row.value.state == State::Leaving {
                    return Ok(());
                }
                let mut connection = row.value.clone();
                connection.state = State::Leaving;
                (connection.fault, connection.failures) = (None, 0);
                // The first try is made here; that of the keeper comes where this one is cut off.
                connection.next_try = Some(after(rows.now(), WAITS[0]));
                audit::record(rows, &actor, "channel.disconnect", format!("{id} {}", connection.title))?;
                rows.update(&row, connection).map(drop)
            })
            .await
    }

    /// Gives back a grant that has [set out](Grants::set_out) and erases it here. What hangs on it is ended first by
    /// whoever calls this.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub(crate) async fn disconnect(&self, editor: &Editor, id: Uuid, by: By) -> Result<Left> {
        let (this, editor) = (self.clone(), editor.clone());
        self.to_the_end("disconnecting", async move { this.leave(&editor, id, by).await }).await?
    }

    /// A later try, or the first one of a start: what hangs on the connection and could not be ended so far is ended
    /// before, as long as there is a token for that.
    pub(super) async fn leave_again(&self, editor: &Editor, id: Uuid) -> Result<()> {
        let now = self.shared.foundation.clock().now();
        let row = editor.rows().read(move |rows| rows.need::<Connection>(id)).await?;
        let usable = row.value.expires_at.is_some_and(|end| end > now);
        match crate::youtube::wind_up(editor, id, usable, &self.ending()).await? {
            Some(_) => self.leave(editor, id, By::Itself).await.map(drop),
            // The next start goes on.
            None => Ok(()),
        }
    }

    /// One try to give back what is on its way out.
    async fn leave(&self, editor: &Editor, id: Uuid, by: By) -> Result<Left> {
        let _turn = self.shared.foundation.connection_turns().wait(&id).await;
        let row = match editor.rows().read(move |rows| rows.get::<Connection>(id)).await? {
            Some(row) if row.value.state == State::Leaving => row,
            // Somebody else was quicker.
            _ => return Ok(Left::Gone),
        };
        let told = self.revoke(editor, &row).await;
        let why = match told {
            Ok(()) => {
                self.erase(editor, &row, true).await?;
                return Ok(Left::Gone);
            }
            Err(why) => why,
        };
        let tries = row.value.failures as usize;
        if by == By::Hand {
            let at = row.value.next_try.unwrap_or(Timestamp::MIN).max(self.shared.foundation.clock().now());
            return Ok(Left::Later { at, why });
        }
        let Some(wait) = WAITS.get(tries) else {
            tracing::warn!(connection = %id, %why, "a grant could not be given back; it is erased here");
            self.erase(editor, &row, false).await?;
            return Ok(Left::Gone);
        };
        let at = after(self.shared.foundation.clock().now(), *wait);
        let reason = why.clone();
        self.note(editor, id, move |connection| {
            connection.fault = Some(reason.clone());
            (connection.next_try, connection.failures) = (Some(at), tries as u32 + 1);
        })
        .await?;
        Ok(Left::Later { at, why })
    }

    /// Tells the provider.
    async fn revoke(&self, editor: &Editor, row: &Row<Connection>) -> Result<(), Message> {
        let provider = row.value.service.provider();
        let secrets = match self.secrets(editor, row.id()).await {
            // What is gone cannot be given back.
            Err(Error::NotFound) => return Ok(()),
            secrets => secrets.map_err(|cause| cause.message())?,
        };
        let Some(token) = secrets.refresh.or(secrets.access.map(|access| access.token)) else { return Ok(()) };
        let broken = |error: Error| error.message();
        match self.exchange(provider).map_err(broken)?.revoke(&token).await {
            Ok(()) | Err(Fault::Grant) => Ok(()),
            Err(Fault::Away(why) | Fault::Refused(why)) => Err(why),
            Err(Fault::Client) => Err(Message::new("oauth-away").with("provider", provider.name())),
        }
    }

    /// Erases a connection: its secrets, then its row, so that no file is left that nothing names.
    async fn erase(&self, editor: &Editor, row: &Row<Connection>, is_given_back: bool) -> Result<()> {
        let (id, actor) = (row.id(), editor.actor().clone());
        self.shared.unwritten.lock().remove(&id);
        sealed::erase(editor, id).await?;
        editor
            .rows()
            .write(move |rows| {
                let Some(row) = rows.get::<Connection>(id)? else { return Ok(()) };
                let title = format!("{id} {}", row.value.title);
                match is_given_back {
                    true => audit::record(rows, &actor, "channel.erase", title)?,
                    false => audit::record(rows, &actor, "channel.erase-unrevoked", title)?,
                }
                rows.delete_value(&picture_key(id));
                crate::youtube::forget(rows, id)?;
                rows.delete(&row);
                Ok(())
            })
            .await
    }

    /// Gives back everything of a tenant that goes, as far as the providers answer now; its files go by themselves.
    pub async fn end_tenant(&self, scope: &WriteScope) -> Result<()> {
        let editor = Editor::open(&self.shared.foundation, scope);
        let connections = match editor.rows().read(all).await {
            Err(Error::NotFound) => return Ok(()),
            connections => connections?,
        };
        let work = connections.iter().map(|row| async {
            let _turn = self.shared.foundation.connection_turns().wait(&row.id()).await;
            (row.id(), self.revoke(&editor, row).await)
        });
        let mut work: FuturesUnordered<_> = work.collect();
        let all = async {
            while let Some((id, told)) = work.next().await {
                if let Err(why) = told {
                    tracing::warn!(connection = %id, %why, "a grant of a tenant that goes could not be given back");
                }
            }
        };
        if tokio::time::timeout(PATIENCE, all).await.is_err() {
            tracing::warn!("grants of a tenant that goes could not be given back in time");
        }
        Ok(())
    }
}
