//! Seals secrets at rest. A sealed text opens only for the tenant, kind and id it was sealed for, and only with the
//! key ring of this home: a ciphertext that is moved to another row does not open.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::Path;
use std::sync::Arc;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use secrecy::{ExposeSecret, SecretString};
use serde::{Deserialize, Serialize};
use uuid::Uuid;
use zeroize::Zeroizing;

use crate::auth::Tenant;
use crate::error::{Error, Result};

/// A secret as it stands in a row: `<key id>.<nonce and ciphertext in base64>`.
#[derive(Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Sealed(String);

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealed(****)")
    }
}

/// What a secret is for; part of what it is bound to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Purpose {
    /// The key of a target of a live stream.
    StreamKey,
    /// The secret that signs access tokens.
    TokenSigning,
    /// The token of a bot that brings notices.
    TelegramToken,
    /// The secret that signs the notices of a webhook.
    WebhookSecret,
    /// The grant of a channel.
    ChannelGrant,
    /// A form that waits for its sender's password.
    HeldForm,
}

impl Purpose {
    fn code(self) -> &'static str {
        match self {
            Purpose::StreamKey => "stream-key",
            Purpose::TokenSigning => "token-signing",
            Purpose::TelegramToken => "telegram-token",
            Purpose::WebhookSecret => "webhook-secret",
            Purpose::ChannelGrant => "channel-grant",
            Purpose::HeldForm => "held-form",
        }
    }
}

struct Ring {
    current: String,
    keys: BTreeMap<String, Zeroizing<[u8; 32]>>,
}

/// The key ring of a home: `data/master.key`, one `<key id>:<hex>` a line, the last one current.
#[derive(Clone)]
pub struct Vault {
    ring: Arc<Ring>,
}

fn bad(text: &'static str) -> Error {
    Error::Internal(anyhow::anyhow!(text))
}

impl Vault {
    /// Opens the key ring, or makes it where the home is new.
    ///
    /// # Errors
    /// A home that has data but no key is refused: a new key would leave every sealed secret lost without a word.
    pub fn open(path: &Path, home_is_new: bool) -> Result<Vault> {
        let text = match fs::read_to_string(path) {
            Ok(text) => Zeroizing::new(text),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && home_is_new => create(path)?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => {
                return Err(Error::Conflict(
                    crate::text::Message::new("vault-key-missing").with("path", path.display().to_string()),
                ));
            }
            Err(cause) => return Err(cause.into()),
        };
        let mode = fs::metadata(path)?.permissions().mode();
        if mode & 0o077 != 0 {
            fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
            tracing::warn!(path = %path.display(), "the master key was readable by others; its mode is 0600 now");
        }
        let mut keys = BTreeMap::new();
        let mut current = None;
        for line in text.lines().map(str::trim).filter(|line| !line.is_empty()) {
            let (id, key) = line.split_once(':').ok_or_else(|| bad("the master key file cannot be read"))?;
            let mut bytes = Zeroizing::new([0; 32]);
            hex::decode_to_slice(key, bytes.as_mut_slice()).map_err(|_| bad("the master key file cannot be read"))?;
            keys.insert(id.to_owned(), bytes);
            current = Some(id.to_owned());
        }
        let current = current.ok_or_else(|| bad("the master key file is empty"))?;
        Ok(Vault { ring: Arc::new(Ring { current, keys }) })
    }

    fn cipher(&self, key_id: &str) -> Result<XChaCha20Poly1305> {
        let key = self.ring.keys.get(key_id).ok_or_else(|| bad("a secret was sealed with a key that is not here"))?;
        XChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_| bad("a master key has the wrong length"))
    }

    /// Seals a secret for one place.
    pub fn seal(&self, tenant: Option<&Tenant>, purpose: Purpose, id: Uuid, secret: &SecretString) -> Result<Sealed> {
        let nonce = XNonce::generate();
        let bound = bound_to(&self.ring.current, tenant, purpose, id);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: bound.as_bytes() };
        let sealed = self.cipher(&self.ring.current)?.encrypt(&nonce, payload).map_err(|_| bad("sealing failed"))?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(Sealed(format!("{}.{}", self.ring.current, BASE64.encode(bytes))))
    }

    /// Opens what was sealed for exactly this place.
    pub fn open_sealed(
        &self,
        tenant: Option<&Tenant>,
        purpose: Purpose,
        id: Uuid,
        sealed: &Sealed,
    ) -> Result<SecretString> {
        let (key_id, text) = sealed.0.split_once('.').ok_or_else(|| bad("a sealed secret is malformed"))?;
        let bytes = BASE64.decode(text).map_err(|_| bad("a sealed secret is malformed"))?;
        let (nonce, sealed) = bytes.split_first_chunk::<24>().ok_or_else(|| bad("a sealed secret is malformed"))?;
        let bound = bound_to(key_id, tenant, purpose, id);
        let payload = Payload { msg: sealed, aad: bound.as_bytes() };
        let nonce = XNonce::from(*nonce);
        let opened = Zeroizing::new(
            self.cipher(key_id)?
                .decrypt(&nonce, payload)
                .map_err(|_| bad("a sealed secret does not open: it was changed or belongs elsewhere"))?,
        );
        let text = std::str::from_utf8(&opened).map_err(|_| bad("a sealed secret is not text"))?;
        Ok(SecretString::from(text))
    }
}

fn bound_to(key_id: &str, tenant: Option<&Tenant>, purpose: Purpose, id: Uuid) -> String {
    format!("1|{key_id}|{}|{}|{id}", tenant.map_or("", Tenant::as_str), purpose.code())
}

fn create(path: &Path) -> Result<Zeroizing<String>> {
    let mut key = Zeroizing::new([0_u8; 32]);
    getrandom::fill(key.as_mut_slice()).map_err(|_| bad("the system gives no randomness"))?;
    let text = Zeroizing::new(format!("k1:{}\n", Zeroizing::new(hex::encode(key.as_slice())).as_str()));
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_opens_only_where_it_was_sealed() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("master.key");
        let vault = Vault::open(&path, true).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let (al, bo) = (Tenant::parse("al").unwrap(), Tenant::parse("bo").unwrap());
        let (one, two) = (Uuid::now_v7(), Uuid::now_v7());
        let sealed = vault.seal(Some(&al), Purpose::StreamKey, one, &SecretString::from("abcd-1234")).unwrap();
        let again = Vault::open(&path, false).unwrap();
        let opened = again.open_sealed(Some(&al), Purpose::StreamKey, one, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "abcd-1234");
        assert!(again.open_sealed(Some(&bo), Purpose::StreamKey, one, &sealed).is_err());
        assert!(again.open_sealed(Some(&al), Purpose::StreamKey, two, &sealed).is_err());
        assert!(again.open_sealed(Some(&al), Purpose::TokenSigning, one, &sealed).is_err());
        assert!(!format!("{sealed:?}").contains(&sealed.0));
    }

    #[test]
    fn a_home_whose_key_is_gone_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let refused = Vault::open(&home.path().join("master.key"), false).err().unwrap();
        assert_eq!(refused.status(), 409);
    }
}
