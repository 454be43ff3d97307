//! Clients: what grants are given to at a provider. The box may have one for everybody (in the settings); a tenant may
//! bring its own, whose secret is sealed.

use jiff::Timestamp;
use secrecy::{ExposeSecret as _, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Grants;
use super::provider::Provider;
use super::secrets::{Client, Secrets};
use crate::audit;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::store::rows::Reader;
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Vault};

/// A client that a tenant brought, under `oauth-client/<provider>`.
#[derive(Clone, Serialize, Deserialize)]
struct Brought {
    /// What the secret is sealed for.
    id: Uuid,
    client_id: String,
    secret: Sealed,
    at: Timestamp,
    by: String,
}

fn key(provider: Provider) -> String {
    format!("oauth-client/{}", provider.code())
}

/// What may be shown of a client that a tenant brought.
#[derive(Debug, Clone, PartialEq)]
pub struct OwnClient {
    /// Its id, which is no secret.
    pub client_id: String,
    /// When it was typed.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
}

/// A client as somebody typed it.
pub struct NewClient {
    /// As the provider's console shows it.
    pub client_id: String,
    /// Likewise; `None` keeps the one that is there for the same id.
    pub secret: Option<SecretString>,
}

/// Whose client is used.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
#[schema(as = OauthClientOwner)]
pub enum Whose {
    /// The tenant's own.
    Own,
    /// The one of the settings.
    Box,
}

/// The client that the next connection is made with.
#[derive(Debug, Clone, PartialEq)]
pub struct Usable {
    /// Its id.
    pub client_id: String,
    /// Whose it is.
    pub whose: Whose,
}

impl Brought {
    fn open(&self, vault: &Vault, library: &Library) -> Result<Client> {
        let secret = vault.open_sealed(Some(library.tenant()), Purpose::ClientSecret, self.id, &self.secret)?;
        Ok(Client { id: self.client_id.clone(), secret })
    }
}

fn brought(rows: &Reader<'_>, provider: Provider) -> Result<Option<Brought>> {
    rows.value(&key(provider))
}

fn parse_secret(secret: &SecretString) -> Result<SecretString> {
    let text = secret.expose_secret().trim();
    if text.is_empty() || text.len() > 200 || !text.bytes().all(|byte| byte.is_ascii_graphic()) {
        return Err(Error::field("client_secret", Message::new("oauth-client-secret-form")));
    }
    Ok(SecretString::from(text))
}

impl Library {
    /// The client that the tenant brought.
    pub async fn own_client(&self, provider: Provider) -> Result<Option<OwnClient>> {
        let brought = self.rows().read(move |rows| brought(rows, provider)).await?;
        Ok(brought.map(|brought| OwnClient { client_id: brought.client_id, at: brought.at, by: brought.by }))
    }

    /// The client that the next connection is made with; none where neither the tenant nor the settings have one.
    pub async fn usable_client(&self, provider: Provider) -> Result<Option<Usable>> {
        if let Some(own) = self.own_client(provider).await? {
            return Ok(Some(Usable { client_id: own.client_id, whose: Whose::Own }));
        }
        let of_box = provider.settings(self.foundation().config()).client_id.clone();
        Ok(of_box.map(|client_id| Usable { client_id, whose: Whose::Box }))
    }

    /// Whether the secret of the client that the tenant brought opens.
    pub(crate) async fn own_client_opens(&self, provider: Provider) -> Result<()> {
        let brought = self.rows().read(move |rows| brought(rows, provider)).await?;
        brought.map_or(Ok(()), |brought| brought.open(self.foundation().vault(), self).map(drop))
    }
}

impl Editor {
    /// Takes a client of the tenant's own, for connections that are made from now on. Those made with another one go
    /// on with that.
    ///
    /// # Errors
    /// Fields `client_id` and `client_secret`.
    pub async fn bring_client(&self, provider: Provider, new: NewClient) -> Result<OwnClient> {
        let (client_id, secret) =
            match (provider.parse_client_id(&new.client_id), new.secret.as_ref().map(parse_secret).transpose()) {
                (Ok(client_id), Ok(secret)) => (client_id, secret),
                (Err(Error::Invalid(mut fields)), Err(Error::Invalid(others))) => {
                    fields.extend(others);
                    return Err(Error::Invalid(fields));
                }
                (Err(error), _) | (_, Err(error)) => return Err(error),
            };
        let (sealing, id) = (self.foundation().vault().sealing(), Uuid::now_v7());
        let (tenant, actor) = (self.tenant().clone(), self.actor().clone());
        self.rows()
            .write(move |rows| {
                let old = rows.value::<Brought>(&key(provider))?;
                let (id, sealed) = match (&secret, old.filter(|old| old.client_id == client_id)) {
                    (Some(secret), _) => (id, sealing.seal(Some(&tenant), Purpose::ClientSecret, id, secret)?),
                    (None, Some(old)) => (old.id, old.secret),
                    (None, None) => {
                        return Err(Error::field("client_secret", Message::new("oauth-client-secret-form")));
                    }
                };
                let (at, by) = (rows.now(), actor.name().to_owned());
                let brought = Brought { id, client_id: client_id.clone(), secret: sealed, at, by: by.clone() };
                rows.put_value(&key(provider), &brought)?;
                audit::record(rows, &actor, "channel.bring-client", client_id.as_str())?;
                Ok(OwnClient { client_id: client_id.clone(), at, by })
            })
            .await
    }

    /// Forgets the tenant's own client; fine if there is none. Connections that were made with it keep what they need.
    pub async fn forget_client(&self, provider: Provider) -> Result<()> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let Some(old) = rows.value::<Brought>(&key(provider))? else { return Ok(()) };
                rows.delete_value(&key(provider));
                audit::record(rows, &actor, "channel.forget-client", old.client_id)
            })
            .await
    }
}

impl Grants {
    /// The client with an id: the tenant's own, or that of the settings.
    pub(super) async fn client(&self, library: &Library, provider: Provider, id: &str) -> Result<Option<Client>> {
        let own = library.rows().read(move |rows| brought(rows, provider)).await?;
        if let Some(own) = own.filter(|own| own.client_id == id) {
            return own.open(self.shared.foundation.vault(), library).map(Some);
        }
        let settings = provider.settings(self.shared.foundation.config());
        let of_box = settings.client_id.as_deref().zip(settings.client_secret.as_ref());
        let of_box = of_box.filter(|(known, _)| *known == id);
        Ok(of_box.map(|(id, secret)| Client { id: id.to_owned(), secret: secret.clone() }))
    }

    /// The client that a grant was given to. Its secret may have changed since: what is typed, or in the settings, holds
    /// before what was sealed with the grant.
    pub(super) async fn client_of(
        &self,
        library: &Library,
        provider: Provider,
        secrets: &Secrets,
    ) -> Result<Option<Client>> {
        let Some(kept) = &secrets.client else { return Ok(None) };
        Ok(Some(self.client(library, provider, &kept.id).await?.unwrap_or_else(|| kept.clone())))
    }
}
