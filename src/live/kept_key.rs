//! Stream keys that a tenant keeps for more than one stream: sealed, with the name that the platform's page shows.

use std::ops::ControlFlow;

use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::stream::{Target, TargetInput};
use super::target::{Platform, StreamKey, TargetUrl};
use crate::audit;
use crate::auth::Tenant;
use crate::error::{FieldError, Result};
use crate::library::{Editor, Library};
use crate::store::rows::{Header, Index, Record, Row, Writer};
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Sealing, Secretive};

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
    /// The account of the channel that it belonged to, once that is disconnected: connected again, it gets it back.
    #[serde(default)]
    pub account: Option<String>,
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

impl KeptKey {
    /// The key as a place that streams can go to.
    pub(crate) fn as_target(&self, id: Uuid) -> Target {
        Target {
            id,
            platform: self.platform,
            url: self.url.clone(),
            key: Some(self.key.clone()),
            key_masked: Some(self.key_masked.clone()),
            key_id: Some(id),
        }
    }

    /// The key itself. Secret.
    pub(crate) fn open(&self, id: Uuid, library: &Library) -> Result<StreamKey> {
        let vault = library.foundation().vault();
        let text = vault.open_sealed(Some(library.tenant()), Purpose::StreamKey, id, &self.key)?;
        StreamKey::parse(text.expose_secret())
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

impl NewKey {
    /// As it stands in its row.
    pub(crate) fn sealed(&self, sealing: &Sealing, tenant: &Tenant, id: Uuid) -> Result<KeptKey> {
        let secret = SecretString::from(self.key.expose());
        Ok(KeptKey {
            title: self.title.clone(),
            platform: Platform::Youtube,
            url: self.url.clone(),
            key: sealing.seal(Some(tenant), Purpose::StreamKey, id, &secret)?,
            key_masked: self.key.masked(),
            channel_id: self.channel_id,
            platform_id: self.platform_id.clone(),
            account: None,
        })
    }
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
    /// Targets with their kept keys: what was chosen gets its address and key, and a key that was typed is known again.
    pub(super) async fn with_kept_keys(
        &self,
        inputs: &[TargetInput],
        errors: &mut Vec<FieldError>,
    ) -> Result<Vec<TargetInput>> {
        let typed = |input: &TargetInput| input.key.as_deref().is_some_and(|key| !key.trim().is_empty());
        let mut inputs = inputs.to_vec();
        if !inputs.iter().any(|input| input.key_id.is_some() || typed(input)) {
            return Ok(inputs);
        }
        let kept = self.kept_keys().await?;
        for (number, input) in inputs.iter_mut().enumerate() {
            if let Some(id) = input.key_id {
                let Some(row) = kept.iter().find(|row| row.id() == id) else {
                    let message = Message::new("live-kept-key-unknown");
                    errors.push(FieldError { field: format!("targets.{number}.key_id"), message });
                    continue;
                };
                // Whichever of the two was meant, the other one would be lost without a word.
                if input.platform != row.value.platform || typed(input) {
                    let message = Message::new("live-kept-key-and-typed");
                    errors.push(FieldError { field: format!("targets.{number}.key_id"), message });
                    continue;
                }
                input.url = row.value.url.as_ref().map(ToString::to_string);
                input.key = Some(row.value.open(id, self)?.expose().to_owned());
            } else if typed(input) && input.platform == Platform::Youtube {
                for row in &kept {
                    let same =
                        row.value.open(row.id(), self)?.expose() == input.key.as_deref().unwrap_or_default().trim();
                    let own = input.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
                    let there = match own {
                        None => row.value.url.is_none(),
                        Some(own) => row.value.as_target(row.id()).address().is_ok_and(|url| url.to_string() == own),
                    };
                    if same && there {
                        input.key_id = Some(row.id());
                    }
                }
            }
        }
        Ok(inputs)
    }

    /// Keeps a key of YouTube, with what `with` writes in the same batch; its id.
    pub(crate) async fn keep_key(
        &self,
        new: NewKey,
        mut with: impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + 'static,
    ) -> Result<Uuid> {
        let (id, sealing) = (Uuid::now_v7(), self.foundation().vault().sealing());
        let kept = new.sealed(&sealing, self.tenant(), id)?;
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
