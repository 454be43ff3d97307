//! Grants that are brought from an old home, and taken back there.

use secrecy::{ExposeSecret as _, SecretString};
use uuid::Uuid;

use super::connection::{Connection, picture_key};
use super::keeper::mark;
use super::sealed;
use crate::audit;
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::store::rows::Writer;

impl Editor {
    /// Seals a grant and writes its connection down, with what `with` writes in the same batch. The file comes
    /// before its row; done again with the same id, it replaces what was left of the time before.
    pub(crate) async fn take_grant(
        &self,
        id: Uuid,
        connection: Connection,
        grant: SecretString,
        mut with: impl FnMut(&mut Writer<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        sealed::write_text(self, id, &grant).await?;
        // What is sealed opens again, or the old file is not given up.
        if sealed::open_text(self, id).await?.expose_secret() != grant.expose_secret() {
            return Err(Error::Internal(anyhow::anyhow!("a sealed grant does not open")));
        }
        mark(self).await?;
        let (tenant, actor) = (self.tenant().clone(), self.actor().clone());
        self.rows()
            .write(move |rows| {
                with(rows)?;
                audit::record(rows, &actor, "channel.create", format!("{id} {}", connection.title))?;
                rows.insert_with_id(id, &tenant, &actor, connection.clone()).map(drop)
            })
            .await
    }

    /// Forgets a connection and its grant, with what `with` writes in the same batch; fine if it is gone. The
    /// provider is told nothing: the old program goes on with that grant.
    pub(crate) async fn forget_channel(
        &self,
        id: Uuid,
        mut with: impl FnMut(&mut Writer<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let _turn = self.foundation().connection_turns().wait(&id).await;
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                with(rows)?;
                if let Some(row) = rows.get::<Connection>(id)? {
                    rows.delete(&row);
                    rows.delete_value(&picture_key(id));
                    audit::record(rows, &actor, "channel.delete", format!("{id} {}", row.value.title))?;
                }
                Ok(())
            })
            .await?;
        sealed::erase(self, id).await
    }
}
