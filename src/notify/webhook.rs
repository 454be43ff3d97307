//! Webhooks, signed as the Standard Webhooks specification says: `webhook-id`, `webhook-timestamp` and
//! `webhook-signature`, which is HMAC-SHA-256 over `id.timestamp.body`.

use std::time::Duration;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use hmac::{Hmac, KeyInit, Mac};
use jiff::Timestamp;
use reqwest::header::{CONTENT_TYPE, HeaderMap, HeaderName, HeaderValue, RETRY_AFTER};
use secrecy::{ExposeSecret as _, SecretString};
use sha2::Sha256;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::http::{Http, Whose, parse_address};
use super::ways::{FOR_A_PERSON, Letter, Sent, Then};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Sealing, Vault};

const PREFIX: &str = "whsec_";
/// Longest wait that an answer may ask for.
const LONGEST_ASKED: u64 = 24 * 3600;

/// A new signing secret, as it is shown once: `whsec_` and 32 random bytes.
pub(super) fn new_secret() -> Result<SecretString> {
    let mut bytes = Zeroizing::new([0_u8; 32]);
    let random = getrandom::fill(bytes.as_mut_slice());
    random.map_err(|cause| Error::Internal(anyhow::anyhow!("randomness: {cause}")))?;
    Ok(SecretString::from(format!("{PREFIX}{}", BASE64.encode(bytes.as_slice()))))
}

/// Seals a secret for its destination.
pub(super) fn seal(sealing: &Sealing, tenant: &Tenant, destination: Uuid, secret: &SecretString) -> Result<Sealed> {
    sealing.seal(Some(tenant), Purpose::WebhookSecret, destination, secret)
}

/// Opens what [`seal`] sealed.
pub(super) fn open(vault: &Vault, tenant: &Tenant, destination: Uuid, secret: &Sealed) -> Result<SecretString> {
    vault.open_sealed(Some(tenant), Purpose::WebhookSecret, destination, secret)
}

fn sign(secret: &SecretString, id: &str, timestamp: i64, body: &[u8]) -> Option<String> {
    let key = Zeroizing::new(BASE64.decode(secret.expose_secret().strip_prefix(PREFIX)?).ok()?);
    let mut mac = Hmac::<Sha256>::new_from_slice(key.as_slice()).ok()?;
    mac.update(format!("{id}.{timestamp}.").as_bytes());
    mac.update(body);
    Some(format!("v1,{}", BASE64.encode(mac.finalize().into_bytes())))
}

/// Posts a letter, signed with each of the secrets.
pub(super) async fn send(http: &Http, url: &str, secrets: &[SecretString], letter: &Letter, now: Timestamp) -> Sent {
    let Ok(url) = parse_address(url) else {
        return Sent::Not(Message::new("notice-url-form"), Then::Later(FOR_A_PERSON));
    };
    let (id, timestamp, body) = (letter.id.to_string(), now.as_second(), letter.body.to_string().into_bytes());
    let signatures: Vec<String> = secrets.iter().filter_map(|secret| sign(secret, &id, timestamp, &body)).collect();
    let headers = [
        (CONTENT_TYPE, "application/json".to_owned()),
        (HeaderName::from_static("webhook-id"), id),
        (HeaderName::from_static("webhook-timestamp"), timestamp.to_string()),
        (HeaderName::from_static("webhook-signature"), signatures.join(" ")),
    ];
    let headers: HeaderMap =
        headers.into_iter().filter_map(|(name, value)| Some((name, HeaderValue::from_str(&value).ok()?))).collect();
    match http.post(&url, Whose::Theirs, headers, body, 0).await {
        Ok(answer) => judge(answer.status, &answer.headers),
        Err(message) if message.id == "notice-fault-inner" => Sent::Not(message, Then::Later(FOR_A_PERSON)),
        Err(message) => Sent::Not(message, Then::Again),
    }
}

fn judge(status: u16, headers: &HeaderMap) -> Sent {
    let told = |id| Message::new(id).with("status", status);
    match status {
        200..=299 => Sent::There,
        300..=399 => Sent::Not(told("notice-fault-redirect"), Then::Later(FOR_A_PERSON)),
        410 => Sent::Not(told("notice-fault-gone"), Then::Off),
        429 | 503 => {
            let asked = headers.get(RETRY_AFTER).and_then(|value| value.to_str().ok()?.trim().parse::<u64>().ok());
            let least = Duration::from_secs(asked.unwrap_or(0).min(LONGEST_ASKED));
            Sent::Not(told("notice-fault-status"), Then::Later(least))
        }
        _ => Sent::Not(told("notice-fault-status"), Then::Again),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_signature_is_the_one_of_the_specification() {
        let secret = SecretString::from("whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw");
        let signed = sign(&secret, "msg_p5jXN8AQM9LWM0D4loKWxJek", 1_614_265_330, br#"{"test": 2432232314}"#);
        assert_eq!(signed.as_deref(), Some("v1,g0hM9SsE+OTPJTGt/tmIKtSyZlE3uFJELVlNIOLJ1OE="));
    }

    #[test]
    fn a_new_secret_is_new_and_long_enough() {
        let (one, two) = (new_secret().unwrap(), new_secret().unwrap());
        assert_ne!(one.expose_secret(), two.expose_secret());
        let bytes = BASE64.decode(one.expose_secret().strip_prefix("whsec_").unwrap()).unwrap();
        assert_eq!(bytes.len(), 32);
    }

    #[test]
    fn every_status_has_its_consequence() {
        let waits = |seconds: &'static str| HeaderMap::from_iter([(RETRY_AFTER, HeaderValue::from_static(seconds))]);
        let told = |status, headers: &HeaderMap| match judge(status, headers) {
            Sent::Not(message, then) => Some((message.id.into_owned(), then)),
            _ => None,
        };
        let none = HeaderMap::new();
        for status in [200, 201, 204, 299] {
            assert_eq!(told(status, &none), None, "{status}");
        }
        let later = |seconds| Then::Later(Duration::from_secs(seconds));
        for (status, headers, id, then) in [
            (302, &none, "notice-fault-redirect", Then::Later(FOR_A_PERSON)),
            (404, &none, "notice-fault-status", Then::Again),
            (410, &none, "notice-fault-gone", Then::Off),
            (429, &waits("7"), "notice-fault-status", later(7)),
            (429, &waits("99999999"), "notice-fault-status", later(LONGEST_ASKED)),
            (429, &waits("soon"), "notice-fault-status", later(0)),
            (503, &none, "notice-fault-status", later(0)),
            (500, &none, "notice-fault-status", Then::Again),
        ] {
            assert_eq!(told(status, headers), Some((id.to_owned(), then)), "{status}");
        }
    }
}
