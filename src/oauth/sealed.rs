//! Secrets of connections on disk: one sealed file each, replaced as a whole. Whoever writes one holds the connection's
//! turn, except for moving in, which writes under an id that nobody else knows yet.

use secrecy::SecretString;
use uuid::Uuid;

use super::connection::{Connection, all};
use super::secrets::Secrets;
use crate::error::Result;
use crate::library::{Editor, Library};
use crate::store::blocking;
use crate::store::rows::Row;
use crate::vault::{Purpose, Sealed};

/// Opens the secrets of a connection.
///
/// # Errors
/// [`crate::error::Error::NotFound`] where there are none.
pub(super) async fn open(library: &Library, id: Uuid) -> Result<Secrets> {
    Secrets::read(&open_text(library, id).await?)
}

/// Likewise; what lies there and is not the connection's own, or was changed, is told apart from a disk that fails.
pub(super) async fn open_own(library: &Library, id: Uuid) -> Result<Result<Secrets>> {
    let (bucket, vault, tenant) = (library.bucket(), library.foundation().vault().clone(), library.tenant().clone());
    blocking(move || {
        let bytes = bucket.sealed(id)?;
        let sealed: Sealed = match serde_json::from_slice(&bytes) {
            Ok(sealed) => sealed,
            Err(cause) => return Ok(Err(cause.into())),
        };
        let opened = vault.open_sealed(Some(&tenant), Purpose::ChannelGrant, id, &sealed);
        let read = opened.and_then(|text| Secrets::read(&text));
        // With a key that is not here nobody can tell whose it is: the operator has to bring the key back.
        if vault.has_key(sealed.key_id()) { Ok(read) } else { read.map(Ok) }
    })
    .await
}

pub(super) async fn open_text(library: &Library, id: Uuid) -> Result<SecretString> {
    let (bucket, vault, tenant) = (library.bucket(), library.foundation().vault().clone(), library.tenant().clone());
    blocking(move || {
        let sealed: Sealed = serde_json::from_slice(&bucket.sealed(id)?)?;
        vault.open_sealed(Some(&tenant), Purpose::ChannelGrant, id, &sealed)
    })
    .await
}

/// Writes the secrets of a connection, durably.
pub(super) async fn write(editor: &Editor, id: Uuid, secrets: &Secrets) -> Result<()> {
    write_text(editor, id, &secrets.write()?).await
}

/// Writes a grant as it came.
pub(super) async fn write_text(editor: &Editor, id: Uuid, grant: &SecretString) -> Result<()> {
    let sealing = editor.foundation().vault().sealing();
    let sealed = sealing.seal(Some(editor.tenant()), Purpose::ChannelGrant, id, grant)?;
    let (bucket, proof, bytes) = (editor.bucket(), editor.proof().clone(), serde_json::to_vec(&sealed)?);
    blocking(move || {
        bucket.put_sealed(&proof, id, &bytes)?;
        drop(sealing);
        Ok(())
    })
    .await
}

/// Removes the secrets of a connection; fine if they are gone.
pub(super) async fn erase(editor: &Editor, id: Uuid) -> Result<()> {
    let (bucket, proof) = (editor.bucket(), editor.proof().clone());
    blocking(move || bucket.remove_sealed(&proof, id)).await
}

/// Seals the secrets of a connection with the current key, where they are not; whether they were not.
///
/// # Errors
/// [`crate::error::Error::NotFound`] where there are none.
pub(crate) async fn renew(editor: &Editor, id: Uuid) -> Result<bool> {
    let (bucket, vault, tenant) = (editor.bucket(), editor.foundation().vault().clone(), editor.tenant().clone());
    let proof = editor.proof().clone();
    blocking(move || {
        let sealed: Sealed = serde_json::from_slice(&bucket.sealed(id)?)?;
        if !vault.old_keys().iter().any(|old| old == sealed.key_id()) {
            return Ok(false);
        }
        let secret = vault.open_sealed(Some(&tenant), Purpose::ChannelGrant, id, &sealed)?;
        let sealing = vault.sealing();
        let sealed = sealing.seal(Some(&tenant), Purpose::ChannelGrant, id, &secret)?;
        bucket.put_sealed(&proof, id, &serde_json::to_vec(&sealed)?)?;
        Ok(true)
    })
    .await
}

/// The files of a tenant's connections, and the connections.
pub(crate) async fn listed(library: &Library) -> Result<(Vec<String>, Vec<Row<Connection>>)> {
    let bucket = library.bucket();
    let names = blocking(move || bucket.sealed_names()).await?;
    Ok((names, library.rows().read(all).await?))
}

/// Whether the secrets of a connection are there and open.
pub(crate) async fn opens(library: &Library, id: Uuid) -> Result<()> {
    open(library, id).await.map(drop)
}
