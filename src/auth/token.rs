//! Random secrets that stand for a person, and the signed access tokens of the API.

use hmac::{Hmac, KeyInit, Mac};
use jsonwebtoken::crypto::{CryptoProvider, JwtSigner, JwtVerifier, KeyUtils};
use jsonwebtoken::errors::ErrorKind;
use jsonwebtoken::{Algorithm, DecodingKey, EncodingKey, Header, Validation, signature};
use serde::{Deserialize, Serialize};
use sha2::Sha256;
use uuid::Uuid;

use crate::error::{Error, Result};

/// 256 random bits in hex.
pub fn random_token() -> Result<String> {
    let mut bytes = [0; 32];
    getrandom::fill(&mut bytes).map_err(|cause| Error::Internal(anyhow::anyhow!("randomness: {cause}")))?;
    Ok(hex::encode(bytes))
}

/// What is stored in place of a token.
pub fn token_hash(token: &str) -> String {
    blake3::hash(token.as_bytes()).to_hex().to_string()
}

/// Makes the form tokens of sessions, and what renews a session: derived, so that nothing is stored, and useless without the session. They stay when
/// the session's own token is renewed, so that a form in another tab can still be sent.
#[derive(Clone)]
pub struct FormTokens {
    key: [u8; 32],
}

impl FormTokens {
    /// `secret` stays the same over restarts.
    pub fn new(secret: &[u8; 32]) -> FormTokens {
        FormTokens { key: blake3::derive_key("jadwalstream form token", secret) }
    }

    /// What follows a session's token when that is renewed; only who knows our secret can tell.
    pub fn renewed(&self, hash: &str) -> String {
        let mut hasher = blake3::Hasher::new_keyed(&self.key);
        hasher.update(b"renewed session ").update(hash.as_bytes());
        hasher.finalize().to_hex().to_string()
    }

    /// The form token of a session.
    pub fn of(&self, session: Uuid) -> String {
        hex::encode(&blake3::keyed_hash(&self.key, session.as_bytes()).as_bytes()[..16])
    }
}

/// What an access token says.
#[derive(Debug, Serialize, Deserialize)]
pub struct Claims {
    /// User name.
    pub sub: String,
    /// The refresh family it belongs to; void once that is ended.
    pub family: Uuid,
    /// The user's epoch when it was made.
    pub epoch: u64,
    /// Seconds since 1970.
    pub iat: i64,
    /// Seconds since 1970.
    pub exp: i64,
}

struct Signing(Hmac<Sha256>);

impl signature::Signer<Vec<u8>> for Signing {
    fn try_sign(&self, message: &[u8]) -> std::result::Result<Vec<u8>, signature::Error> {
        let mut mac = self.0.clone();
        mac.update(message);
        Ok(mac.finalize().into_bytes().to_vec())
    }
}
impl JwtSigner for Signing {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}
impl signature::Verifier<Vec<u8>> for Signing {
    fn verify(&self, message: &[u8], signature: &Vec<u8>) -> std::result::Result<(), signature::Error> {
        let mut mac = self.0.clone();
        mac.update(message);
        mac.verify_slice(signature).map_err(|_| signature::Error::new())
    }
}
impl JwtVerifier for Signing {
    fn algorithm(&self) -> Algorithm {
        Algorithm::HS256
    }
}

fn mac(algorithm: &Algorithm, secret: &[u8]) -> jsonwebtoken::errors::Result<Signing> {
    if *algorithm != Algorithm::HS256 {
        return Err(ErrorKind::InvalidAlgorithm.into());
    }
    Hmac::new_from_slice(secret).map(Signing).map_err(|_| ErrorKind::InvalidKeyFormat.into())
}

/// HS256 and nothing else: the crate's own backends bring a C build or an advisory.
static PROVIDER: CryptoProvider = CryptoProvider {
    signer_factory: |algorithm, key| Ok(Box::new(mac(algorithm, key.as_bytes())?)),
    verifier_factory: |algorithm, key| Ok(Box::new(mac(algorithm, key.try_get_as_bytes()?)?)),
    key_utils: KeyUtils::new_unimplemented(),
};

/// Signs and checks access tokens.
#[derive(Clone)]
pub struct Signer {
    encoding: EncodingKey,
    decoding: DecodingKey,
}

impl Signer {
    /// A signer with a secret of its own.
    pub fn new(secret: &[u8; 32]) -> Signer {
        // A second call (tests build several apps in one process) finds the same provider in place.
        let _ = PROVIDER.install_default();
        Signer { encoding: EncodingKey::from_secret(secret), decoding: DecodingKey::from_secret(secret) }
    }

    /// An access token.
    pub fn sign(&self, claims: &Claims) -> Result<String> {
        jsonwebtoken::encode(&Header::new(Algorithm::HS256), claims, &self.encoding)
            .map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("sign an access token")))
    }

    /// The claims of a token that we signed and that has not run out at `now` (seconds since 1970).
    ///
    /// # Errors
    /// [`Error::LoginRequired`] for anything else.
    pub fn check(&self, token: &str, now: i64) -> Result<Claims> {
        let mut validation = Validation::new(Algorithm::HS256);
        // The clock is an argument here, so the end is checked below.
        validation.validate_exp = false;
        validation.required_spec_claims.clear();
        let data =
            jsonwebtoken::decode::<Claims>(token, &self.decoding, &validation).map_err(|_| Error::LoginRequired)?;
        if data.claims.exp <= now { Err(Error::LoginRequired) } else { Ok(data.claims) }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_forged_changed_or_late_token_is_no_login() {
        let signer = Signer::new(&[7; 32]);
        let claims = Claims { sub: "al".into(), family: Uuid::nil(), epoch: 1, iat: 0, exp: 100 };
        let token = signer.sign(&claims).unwrap();
        assert_eq!(signer.check(&token, 99).unwrap().sub, "al");
        assert!(signer.check(&token, 100).is_err());
        assert!(Signer::new(&[8; 32]).check(&token, 0).is_err());
        let mut parts: Vec<&str> = token.split('.').collect();
        let none = "eyJhbGciOiJub25lIiwidHlwIjoiSldUIn0";
        parts[0] = none;
        assert!(signer.check(&parts.join("."), 0).is_err());
        assert!(signer.check(&format!("{none}.{}.", parts[1]), 0).is_err());
    }
}
