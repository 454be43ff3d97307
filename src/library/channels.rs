//! Channels: grants of YouTube accounts. What stands here is what an old home brings; connecting a channel in this
//! program is not offered yet. The grant itself is no part of the row: it lies sealed among the tenant's tokens.

use std::ops::ControlFlow;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Editor, Library};
use crate::audit;
use crate::error::Result;
use crate::store::blocking;
use crate::store::rows::{Header, Index, Record, Row, Writer};
use crate::vault::{Purpose, Sealed};

/// A channel that a tenant has a grant for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Channel {
    /// What people call it.
    pub title: String,
    /// What its file was called; rows of the old program name it so.
    pub original_name: String,
}

impl Record for Channel {
    const KIND: &'static str = "channel";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        vec![Index::text("title", &self.title)]
    }
}

impl Library {
    /// All channels, in order of creation.
    pub async fn channels(&self) -> Result<Vec<Row<Channel>>> {
        self.rows()
            .read(|rows| {
                let mut found = Vec::new();
                rows.each::<Channel>(false, |row| {
                    found.push(row);
                    ControlFlow::Continue(())
                })?;
                Ok(found)
            })
            .await
    }

    /// The grant of a channel, opened. Secret.
    ///
    /// # Errors
    /// [`crate::error::Error::NotFound`] where there is no such channel.
    pub async fn channel_grant(&self, id: Uuid) -> Result<SecretString> {
        self.rows().read(move |rows| rows.need::<Channel>(id).map(drop)).await?;
        let (bucket, vault, tenant) = (self.bucket(), self.foundation().vault().clone(), self.tenant().clone());
        blocking(move || {
            let sealed: Sealed = serde_json::from_slice(&bucket.sealed(id)?)?;
            vault.open_sealed(Some(&tenant), Purpose::ChannelGrant, id, &sealed)
        })
        .await
    }
}

impl Editor {
    /// Seals a grant and writes its channel down, with what `with` writes in the same batch. The file comes before its
    /// row; done again with the same id, it replaces what was left of the time before.
    pub(crate) async fn take_grant(
        &self,
        id: Uuid,
        channel: Channel,
        grant: SecretString,
        mut with: impl FnMut(&mut Writer<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let sealed = self.foundation().vault().seal(Some(self.tenant()), Purpose::ChannelGrant, id, &grant)?;
        let (bucket, proof, bytes) = (self.bucket(), self.proof().clone(), serde_json::to_vec(&sealed)?);
        blocking(move || bucket.put_sealed(&proof, id, &bytes)).await?;
        // What is sealed opens again, or the old file is not given up.
        let again = {
            let (bucket, vault, tenant) = (self.bucket(), self.foundation().vault().clone(), self.tenant().clone());
            blocking(move || {
                let sealed: Sealed = serde_json::from_slice(&bucket.sealed(id)?)?;
                vault.open_sealed(Some(&tenant), Purpose::ChannelGrant, id, &sealed)
            })
            .await?
        };
        if again.expose_secret() != grant.expose_secret() {
            return Err(crate::error::Error::Internal(anyhow::anyhow!("a sealed grant does not open")));
        }
        let (tenant, actor) = (self.tenant().clone(), self.actor().clone());
        self.rows()
            .write(move |rows| {
                with(rows)?;
                audit::record(rows, &actor, "channel.create", format!("{id} {}", channel.title))?;
                rows.insert_with_id(id, &tenant, &actor, channel.clone()).map(drop)
            })
            .await
    }

    /// Forgets a channel and its grant, with what `with` writes in the same batch; fine if it is gone.
    pub(crate) async fn forget_channel(
        &self,
        id: Uuid,
        mut with: impl FnMut(&mut Writer<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        let (bucket, proof) = (self.bucket(), self.proof().clone());
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                with(rows)?;
                if let Some(row) = rows.get::<Channel>(id)? {
                    rows.delete(&row);
                    audit::record(rows, &actor, "channel.delete", format!("{id} {}", row.value.title))?;
                }
                Ok(())
            })
            .await?;
        blocking(move || bucket.remove_sealed(&proof, id)).await
    }
}
