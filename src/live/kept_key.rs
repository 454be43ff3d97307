//! Stream keys that a tenant keeps for more than one stream: sealed, with the name that the platform's page shows.

use std::ops::ControlFlow;

use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::target::{Platform, StreamKey, TargetUrl};
use crate::audit;
use crate::error::Result;
use crate::library::{Editor, Library};
use crate::store::rows::{Header, Index, Record, Row, Writer};
use crate::vault::{Purpose, Sealed, Secretive};

/// A key that is kept by itself, not within a stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct KeptKey {
    /// What people call it.
    pub title: String,
    /// Whose ingest.
    pub platform: Platform,
    /// Where to; `None` where it is the platform's own address.
    pub url: Option<TargetUrl>,
    /// The key, sealed for this row.
    pub key: Sealed,
    /// What lists may show of it.
    pub key_masked: String,
    /// The channel that it belongs to.
    pub channel_id: Option<Uuid>,
    /// What the platform calls it.
    pub platform_id: Option<String>,
}

impl Record for KeptKey {
    const KIND: &'static str = "stream_key";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        vec![Index::text("title", &self.title)]
    }
}

impl Secretive for KeptKey {
    fn secrets(&self, id: Uuid) -> Vec<(Purpose, Uuid, &Sealed)> {
        vec![(Purpose::StreamKey, id, &self.key)]
    }
}

/// A key to be kept.
pub struct NewKey {
    /// What people call it.
    pub title: String,
    /// Where to; the platform's own address where absent.
    pub url: Option<TargetUrl>,
    /// The key.
    pub key: StreamKey,
    /// The channel that it belongs to.
    pub channel_id: Option<Uuid>,
    /// What the platform calls it.
    pub platform_id: Option<String>,
}

impl Library {
    /// All keys that are kept, in order of creation.
    pub async fn kept_keys(&self) -> Result<Vec<Row<KeptKey>>> {
        self.rows()
            .read(|rows| {
                let mut found = Vec::new();
                rows.each::<KeptKey>(false, |row| {
                    found.push(row);
                    ControlFlow::Continue(())
                })?;
                Ok(found)
            })
            .await
    }
}

impl Editor {
    /// Keeps a key of YouTube, with what `with` writes in the same batch; its id.
    pub(crate) async fn keep_key(
        &self,
        new: NewKey,
        mut with: impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + 'static,
    ) -> Result<Uuid> {
        let (id, sealing) = (Uuid::now_v7(), self.foundation().vault().sealing());
        let secret = SecretString::from(new.key.expose());
        let kept = KeptKey {
            title: new.title,
            platform: Platform::Youtube,
            url: new.url,
            key: sealing.seal(Some(self.tenant()), Purpose::StreamKey, id, &secret)?,
            key_masked: new.key.masked(),
            channel_id: new.channel_id,
            platform_id: new.platform_id,
        };
        let (tenant, actor) = (self.tenant().clone(), self.actor().clone());
        self.rows()
            .write(move |rows| {
                with(rows, id)?;
                audit::record(rows, &actor, "stream-key.create", format!("{id} {}", kept.title))?;
                rows.insert_with_id(id, &tenant, &actor, kept.clone()).map(drop)
            })
            .await?;
        drop(sealing);
        Ok(id)
    }
}
