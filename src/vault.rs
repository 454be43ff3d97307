//! Seals secrets at rest. A sealed text opens only for the tenant, kind and id it was sealed for, and only with the
//! key ring of this home: a ciphertext that is moved to another row does not open.

use std::collections::BTreeMap;
use std::fs;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD as BASE64;
use chacha20poly1305::aead::{Aead, Generate, KeyInit, Payload};
use chacha20poly1305::{XChaCha20Poly1305, XNonce};
use parking_lot::RwLock;
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

impl Sealed {
    /// Letters of nonce and tag in base64: no sealed text has fewer after its key's id.
    pub(crate) const SHORTEST: usize = 54;

    /// The key that it was sealed with.
    pub fn key_id(&self) -> &str {
        self.0.split_once('.').map_or("", |(id, _)| id)
    }

    /// As it stands in a row.
    pub(crate) fn as_str(&self) -> &str {
        &self.0
    }

    /// A text of a row that looks like a sealed secret; only opening it tells.
    pub(crate) fn looks(text: &str) -> Option<Sealed> {
        let (id, rest) = text.split_once('.')?;
        let is_id = id.strip_prefix('k').is_some_and(|number| number.parse::<u32>().is_ok());
        let is_rest = rest.len() >= Sealed::SHORTEST
            && rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/'));
        (is_id && is_rest).then(|| Sealed(text.to_owned()))
    }
}

impl std::fmt::Debug for Sealed {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("Sealed(****)")
    }
}

/// The purposes with their codes: one list, so that none is missing where all are tried.
macro_rules! purposes {
    ($($(#[$doc:meta])* $purpose:ident => $code:literal,)*) => {
        /// What a secret is for; part of what it is bound to.
        #[derive(Debug, Clone, Copy, PartialEq, Eq)]
        pub enum Purpose {
            $($(#[$doc])* $purpose,)*
        }

        impl Purpose {
            /// All of them.
            pub const ALL: &[Purpose] = &[$(Purpose::$purpose,)*];

            fn code(self) -> &'static str {
                match self {
                    $(Purpose::$purpose => $code,)*
                }
            }
        }
    };
}

purposes! {
    /// The key of a target of a live stream.
    StreamKey => "stream-key",
    /// The secret that signs access tokens.
    TokenSigning => "token-signing",
    /// The token of a bot that brings notices.
    TelegramToken => "telegram-token",
    /// The secret that signs the notices of a webhook.
    WebhookSecret => "webhook-secret",
    /// The grant of a channel.
    ChannelGrant => "channel-grant",
    /// The secret of a client that a tenant brought.
    ClientSecret => "client-secret",
    /// What proves that whoever comes back from a provider is who went there.
    GrantVerifier => "grant-verifier",
    /// The address of a session that uploads a video.
    UploadSession => "upload-session",
    /// A form that waits for its sender's password.
    HeldForm => "held-form",
}

/// Rows that hold secrets: what each is sealed for.
pub(crate) trait Secretive {
    /// The secrets of the row with this id.
    fn secrets(&self, id: Uuid) -> Vec<(Purpose, Uuid, &Sealed)>;
}

struct Ring {
    current: String,
    keys: BTreeMap<String, Zeroizing<[u8; 32]>>,
}

/// The key ring of a home: `data/master.key`, one `<key id>:<hex>` a line, the last one current.
#[derive(Clone)]
pub struct Vault {
    path: Arc<PathBuf>,
    ring: Arc<RwLock<Arc<Ring>>>,
}

/// May seal secrets. Held from the seal until what is sealed is durable: a key goes only when nobody holds one of
/// these who may still write something down that it sealed.
#[derive(Clone)]
pub struct Sealing {
    ring: Arc<Ring>,
}

fn bad(text: &'static str) -> Error {
    Error::Internal(anyhow::anyhow!(text))
}

impl Ring {
    fn read(text: &str) -> Result<Ring> {
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
        Ok(Ring { current, keys })
    }

    /// The file's text: the current key last.
    fn text(&self) -> Zeroizing<String> {
        let old = self.keys.iter().filter(|(id, _)| **id != self.current);
        let all = old.chain(self.keys.get_key_value(&self.current));
        let mut text = Zeroizing::new(String::with_capacity(self.keys.len() * 96));
        for (id, key) in all {
            text.push_str(id);
            text.push(':');
            text.push_str(Zeroizing::new(hex::encode(key.as_slice())).as_str());
            text.push('\n');
        }
        text
    }

    fn with_new_key(&self) -> Result<Ring> {
        let number = |id: &String| id.strip_prefix('k').and_then(|number| number.parse::<u32>().ok());
        let next = self.keys.keys().filter_map(number).max().unwrap_or(0).saturating_add(1);
        let mut key = Zeroizing::new([0_u8; 32]);
        getrandom::fill(key.as_mut_slice()).map_err(|_| bad("the system gives no randomness"))?;
        let current = format!("k{next}");
        let mut keys = self.keys.clone();
        keys.insert(current.clone(), key);
        Ok(Ring { current, keys })
    }

    fn cipher(&self, key_id: &str) -> Result<XChaCha20Poly1305> {
        let key = self.keys.get(key_id).ok_or_else(|| bad("a secret was sealed with a key that is not here"))?;
        XChaCha20Poly1305::new_from_slice(key.as_slice()).map_err(|_| bad("a master key has the wrong length"))
    }
}

impl Sealing {
    /// Seals a secret for one place.
    pub fn seal(&self, tenant: Option<&Tenant>, purpose: Purpose, id: Uuid, secret: &SecretString) -> Result<Sealed> {
        let (nonce, ring) = (XNonce::generate(), &self.ring);
        let bound = bound_to(&ring.current, tenant, purpose, id);
        let payload = Payload { msg: secret.expose_secret().as_bytes(), aad: bound.as_bytes() };
        let sealed = ring.cipher(&ring.current)?.encrypt(&nonce, payload).map_err(|_| bad("sealing failed"))?;
        let bytes = [nonce.as_slice(), &sealed].concat();
        Ok(Sealed(format!("{}.{}", ring.current, BASE64.encode(bytes))))
    }
}

impl Vault {
    /// Opens the key ring, or makes it where the home is new.
    ///
    /// # Errors
    /// A home that has data but no key is refused: a new key would leave every sealed secret lost without a word.
    pub fn open(path: &Path, home_is_new: bool) -> Result<Vault> {
        let ring = match fs::read_to_string(path) {
            Ok(text) => Ring::read(&Zeroizing::new(text))?,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound && home_is_new => {
                let ring = Ring { current: String::new(), keys: BTreeMap::new() }.with_new_key()?;
                write(path, &ring)?;
                ring
            }
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
        Ok(Vault { path: Arc::new(path.to_owned()), ring: Arc::new(RwLock::new(Arc::new(ring))) })
    }

    /// The permission to seal, to be held until what is sealed is durable.
    pub fn sealing(&self) -> Sealing {
        Sealing { ring: self.ring.read().clone() }
    }

    /// Opens what was sealed for exactly this place.
    pub fn open_sealed(
        &self,
        tenant: Option<&Tenant>,
        purpose: Purpose,
        id: Uuid,
        sealed: &Sealed,
    ) -> Result<SecretString> {
        let ring = self.ring.read().clone();
        let (key_id, text) = sealed.0.split_once('.').ok_or_else(|| bad("a sealed secret is malformed"))?;
        let bytes = BASE64.decode(text).map_err(|_| bad("a sealed secret is malformed"))?;
        let (nonce, sealed) = bytes.split_first_chunk::<24>().ok_or_else(|| bad("a sealed secret is malformed"))?;
        let bound = bound_to(key_id, tenant, purpose, id);
        let payload = Payload { msg: sealed, aad: bound.as_bytes() };
        let nonce = XNonce::from(*nonce);
        let opened = Zeroizing::new(
            ring.cipher(key_id)?
                .decrypt(&nonce, payload)
                .map_err(|_| bad("a sealed secret does not open: it was changed or belongs elsewhere"))?,
        );
        let text = std::str::from_utf8(&opened).map_err(|_| bad("a sealed secret is not text"))?;
        Ok(SecretString::from(text))
    }

    /// Whether a key of this id is here.
    pub(crate) fn has_key(&self, id: &str) -> bool {
        self.ring.read().keys.contains_key(id)
    }

    /// The id of the key that seals.
    pub fn current_key(&self) -> String {
        self.ring.read().current.clone()
    }

    /// The ids of the keys that are not the current one: what was sealed with them is to be sealed anew.
    pub fn old_keys(&self) -> Vec<String> {
        let ring = self.ring.read();
        ring.keys.keys().filter(|id| **id != ring.current).cloned().collect()
    }

    /// Makes a new key the current one, durably, and waits until nobody holds a [`Sealing`] of the time before. The old
    /// keys stay and open what they sealed.
    pub async fn add_key(&self) -> Result<()> {
        let (this, old) = (self.clone(), self.ring.read().clone());
        crate::store::blocking(move || {
            let new = this.ring.read().with_new_key()?;
            write(&this.path, &new)?;
            *this.ring.write() = Arc::new(new);
            Ok(())
        })
        .await?;
        while Arc::strong_count(&old) > 1 {
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Removes every key but the current one, durably.
    pub async fn drop_old_keys(&self) -> Result<()> {
        let this = self.clone();
        crate::store::blocking(move || {
            let mut ring = this.ring.write();
            let keys = ring.keys.iter().filter(|(id, _)| **id == ring.current);
            let new =
                Ring { current: ring.current.clone(), keys: keys.map(|(id, key)| (id.clone(), key.clone())).collect() };
            write(&this.path, &new)?;
            *ring = Arc::new(new);
            Ok(())
        })
        .await
    }
}

fn bound_to(key_id: &str, tenant: Option<&Tenant>, purpose: Purpose, id: Uuid) -> String {
    format!("1|{key_id}|{}|{}|{id}", tenant.map_or("", Tenant::as_str), purpose.code())
}

/// Writes the ring as a whole: whoever looks, also after a power cut, finds the one before or this one.
fn write(path: &Path, ring: &Ring) -> Result<()> {
    let part = path.with_extension("key.part");
    match fs::remove_file(&part) {
        Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => return Err(cause.into()),
        _ => {}
    }
    let mut file = fs::OpenOptions::new().write(true).create_new(true).mode(0o600).open(&part)?;
    file.write_all(ring.text().as_bytes())?;
    file.sync_all()?;
    fs::rename(&part, path)?;
    if let Some(folder) = path.parent() {
        fs::File::open(folder)?.sync_all()?;
    }
    Ok(())
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
        let sealed =
            vault.sealing().seal(Some(&al), Purpose::StreamKey, one, &SecretString::from("abcd-1234")).unwrap();
        let again = Vault::open(&path, false).unwrap();
        let opened = again.open_sealed(Some(&al), Purpose::StreamKey, one, &sealed).unwrap();
        assert_eq!(opened.expose_secret(), "abcd-1234");
        assert!(again.open_sealed(Some(&bo), Purpose::StreamKey, one, &sealed).is_err());
        assert!(again.open_sealed(Some(&al), Purpose::StreamKey, two, &sealed).is_err());
        assert!(again.open_sealed(Some(&al), Purpose::TokenSigning, one, &sealed).is_err());
        assert!(!format!("{sealed:?}").contains(&sealed.0));
    }

    #[tokio::test]
    async fn a_new_key_seals_and_the_old_one_opens_until_it_is_dropped() {
        let home = tempfile::tempdir().unwrap();
        let path = home.path().join("master.key");
        let vault = Vault::open(&path, true).unwrap();
        let (al, id) = (Tenant::parse("al").unwrap(), Uuid::now_v7());
        let seal = |vault: &Vault, text: &str| {
            vault.sealing().seal(Some(&al), Purpose::StreamKey, id, &SecretString::from(text)).unwrap()
        };
        let open = |vault: &Vault, sealed: &Sealed| vault.open_sealed(Some(&al), Purpose::StreamKey, id, sealed);
        let old = seal(&vault, "old");
        assert_eq!((old.key_id(), vault.old_keys().len()), ("k1", 0));
        assert_eq!(Sealed::looks(old.as_str()), Some(old.clone()));
        vault.add_key().await.unwrap();
        let new = seal(&vault, "new");
        assert_eq!((new.key_id(), vault.old_keys()), ("k2", vec!["k1".to_owned()]));
        // Another start finds the same ring.
        for vault in [&vault, &Vault::open(&path, false).unwrap()] {
            assert_eq!(open(vault, &old).unwrap().expose_secret(), "old");
            assert_eq!(open(vault, &new).unwrap().expose_secret(), "new");
            assert_eq!(seal(vault, "more").key_id(), "k2");
        }
        vault.drop_old_keys().await.unwrap();
        assert!(open(&vault, &old).is_err());
        assert_eq!(open(&Vault::open(&path, false).unwrap(), &new).unwrap().expose_secret(), "new");
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        assert_eq!(fs::read_to_string(&path).unwrap().lines().count(), 1);
    }

    #[tokio::test]
    async fn a_new_key_waits_for_whoever_still_writes_down_what_the_old_one_sealed() {
        let home = tempfile::tempdir().unwrap();
        let vault = Vault::open(&home.path().join("master.key"), true).unwrap();
        let held = vault.sealing();
        let adding = vault.add_key();
        tokio::pin!(adding);
        tokio::select! {
            biased;
            _ = &mut adding => panic!("somebody may still write"),
            () = tokio::time::sleep(Duration::from_millis(100)) => {}
        }
        assert_eq!(vault.old_keys(), ["k1"], "others seal with the new key meanwhile");
        drop(held);
        adding.await.unwrap();
    }

    #[test]
    fn a_home_whose_key_is_gone_is_refused() {
        let home = tempfile::tempdir().unwrap();
        let refused = Vault::open(&home.path().join("master.key"), false).err().unwrap();
        assert_eq!(refused.status(), 409);
    }
}
