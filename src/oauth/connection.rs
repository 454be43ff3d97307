//! Rows of connections: an account of somebody else's service that a tenant let this program use. Secrets are no part
//! of a row; they lie sealed among the tenant's tokens.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::library::Library;
use crate::store::rows::{Header, Index, Reader, Record, Row};
use crate::text::Message;

/// What a connection is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Service {
    /// A YouTube channel.
    #[default]
    Youtube,
}

/// How a connection is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = ConnectionState)]
pub enum State {
    /// Its tokens work, or nothing is known against them.
    #[default]
    Active,
    /// The last renewal did not get through; it is tried again.
    RefreshFailed,
    /// The service takes its grant no more: a person has to connect again.
    Reconnect,
    /// It is being disconnected.
    Leaving,
}

impl State {
    /// The word used in pages and the API.
    pub fn code(self) -> &'static str {
        match self {
            State::Active => "active",
            State::RefreshFailed => "refresh_failed",
            State::Reconnect => "reconnect",
            State::Leaving => "leaving",
        }
    }
}

/// An account that a tenant has a grant for.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Connection {
    /// What people call it: the service's word, or the name of its old file.
    pub title: String,
    /// What its file was called in the old program; empty where it was connected here.
    #[serde(default)]
    pub original_name: String,
    /// What it is for.
    #[serde(default)]
    pub service: Service,
    /// What the service calls the account; `None` until it was asked.
    #[serde(default)]
    pub account: Option<String>,
    /// The service's short name of it, such as `@rain`.
    #[serde(default)]
    pub handle: Option<String>,
    /// Whether a picture of it is kept.
    #[serde(default)]
    pub picture: bool,
    /// The client that the grant was given to.
    #[serde(default)]
    pub client_id: Option<String>,
    /// How it is doing.
    #[serde(default)]
    pub state: State,
    /// Why it is not doing well.
    #[serde(default)]
    pub fault: Option<Message>,
    /// When a person last granted it; `None` where it was brought from an old home.
    #[serde(default)]
    pub granted_at: Option<Timestamp>,
    /// When its token was last renewed.
    #[serde(default)]
    pub refreshed_at: Option<Timestamp>,
    /// When its token ends.
    #[serde(default)]
    pub expires_at: Option<Timestamp>,
    /// When what failed is tried again.
    #[serde(default)]
    pub next_try: Option<Timestamp>,
    /// How often in a row it failed.
    #[serde(default)]
    pub failures: u32,
    /// A renewal was asked for and its answer is not on record: the provider may have counted it.
    #[serde(default)]
    pub refreshing: Option<Timestamp>,
}

impl Record for Connection {
    // The name from before there were connections of other kinds.
    const KIND: &'static str = "channel";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        vec![Index::text("title", &self.title)]
    }
}

/// Bytes of the picture of a connection, under `channel-picture/<id>`.
#[derive(Serialize, Deserialize)]
pub(super) struct Picture {
    /// JPEG or PNG, in base64.
    pub(super) bytes: String,
}

pub(super) fn picture_key(id: Uuid) -> String {
    format!("channel-picture/{id}")
}

/// All connections, in order of creation.
pub(super) fn all(rows: &Reader<'_>) -> Result<Vec<Row<Connection>>> {
    let mut found = Vec::new();
    rows.each::<Connection>(false, |row| {
        found.push(row);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

impl Library {
    /// All YouTube channels, in order of creation.
    pub async fn channels(&self) -> Result<Vec<Row<Connection>>> {
        let mut found = self.rows().read(all).await?;
        found.retain(|row| row.value.service == Service::Youtube);
        Ok(found)
    }

    /// A YouTube channel.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn channel(&self, id: Uuid) -> Result<Row<Connection>> {
        let row = self.rows().read(move |rows| rows.need::<Connection>(id)).await?;
        if row.value.service == Service::Youtube { Ok(row) } else { Err(Error::NotFound) }
    }

    /// The picture of a connection: JPEG or PNG.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none.
    pub async fn connection_picture(&self, id: Uuid) -> Result<Vec<u8>> {
        use base64::Engine as _;
        let rows = self.rows();
        let picture = rows.read(move |rows| {
            rows.need::<Connection>(id)?;
            rows.value::<Picture>(&picture_key(id))?.ok_or(Error::NotFound)
        });
        let picture = picture.await?;
        let bytes = base64::engine::general_purpose::STANDARD.decode(picture.bytes);
        bytes.map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("picture of a connection")))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn rows_from_before_connections_are_read() {
        let old: Connection = serde_json::from_str(r#"{"title":"Rain","original_name":"rain.json"}"#).unwrap();
        assert_eq!((old.title.as_str(), old.original_name.as_str()), ("Rain", "rain.json"));
        assert_eq!((old.service, old.state, old.account), (Service::Youtube, State::Active, None));
    }
}
