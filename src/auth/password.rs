//! Passwords: bcrypt for what is set here, and two older forms that are only ever verified.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use hmac::Hmac;
use sha2::Sha256;
use subtle::ConstantTimeEq;
use tokio::sync::Semaphore;

use crate::error::{Error, Result};
use crate::store::blocking;
use crate::text::Message;

/// bcrypt reads no further; a longer password is refused, never cut.
const MAX_BYTES: usize = 72;
const MIN_CHARACTERS: usize = 8;
/// Two cores' worth of a box: more would starve the pages.
const WORKERS: usize = 2;
const WAITING: usize = 32;
/// A no is said after a multiple of this.
const STEP: Duration = Duration::from_millis(500);
/// About 0.25 s of a core for each try.
pub const COST: u32 = 12;
/// Hash, at [`COST`], of random bytes that were thrown away.
const NOBODYS: &str = "$2b$12$hrAEGB2pSEA61KXgJW2ywOfsvxAcA6oKyWNT2vAi/QGBLpYba4NKW";

/// Computes and checks hashes in a queue of its own, so that a flood of logins leaves the pages quick.
#[derive(Clone)]
pub struct Passwords {
    workers: Arc<Semaphore>,
    waiting: Arc<AtomicUsize>,
    cost: u32,
    /// Checked for users who do not exist, so that both answers take the same time.
    dummy: Arc<str>,
}

struct Waiting(Arc<AtomicUsize>);

impl Drop for Waiting {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

impl Passwords {
    /// `cost` is bcrypt's; the product uses [`COST`].
    ///
    /// # Errors
    /// Only where the system gives no randomness.
    pub fn new(cost: u32) -> Result<Passwords> {
        // At the product's own cost the hash stands ready: a start need not wait a quarter of a second for it.
        let dummy = if cost == COST { NOBODYS.to_owned() } else { hash_now("nobody has this password", cost)? };
        Ok(Passwords { workers: Arc::new(Semaphore::new(WORKERS)), waiting: Arc::default(), cost, dummy: dummy.into() })
    }

    async fn queued<T: Send + 'static>(&self, work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
        let place = Waiting(self.waiting.clone());
        if self.waiting.fetch_add(1, Ordering::SeqCst) >= WORKERS + WAITING {
            return Err(Error::TooMany { retry_after: Duration::from_secs(10) });
        }
        let permit = self.workers.clone().acquire_owned().await;
        let permit = permit.map_err(|cause| Error::Internal(anyhow::Error::new(cause)))?;
        blocking(move || {
            let _held = (permit, place);
            work()
        })
        .await
    }

    /// The hash of a new password.
    ///
    /// # Errors
    /// [`Error::Invalid`] on the field `password` if it is too short or over 72 bytes.
    pub async fn hash(&self, password: String) -> Result<String> {
        acceptable(&password)?;
        let cost = self.cost;
        self.queued(move || hash_now(&password, cost)).await
    }

    /// Whether a password fits; `None` stands for a user who does not exist and takes as long. A hash of another
    /// program may take less or more than one of ours: a no comes at the full [`STEP`], so that nobody reads from the
    /// time who moved in.
    pub async fn verify(&self, password: String, hash: Option<String>) -> Result<bool> {
        let (dummy, begun, cost) = (self.dummy.to_string(), Instant::now(), self.cost);
        let fits = self
            .queued(move || {
                let Some(hash) = hash else {
                    verify_now(&password, &dummy);
                    return Ok(false);
                };
                let fits = verify_now(&password, &hash);
                if !fits && is_old(&hash, cost) {
                    verify_now(&password, &dummy);
                }
                Ok(fits)
            })
            .await?;
        if !fits {
            let steps = begun.elapsed().as_nanos().div_ceil(STEP.as_nanos());
            let until = STEP.saturating_mul(u32::try_from(steps).unwrap_or(u32::MAX));
            tokio::time::sleep(until.saturating_sub(begun.elapsed())).await;
        }
        Ok(fits)
    }

    /// Whether a hash that just fitted should be replaced by a fresh one.
    pub fn is_old(&self, hash: &str) -> bool {
        is_old(hash, self.cost)
    }
}

fn is_old(hash: &str, cost: u32) -> bool {
    hash.parse::<bcrypt::HashParts>().map_or(true, |parts| parts.get_cost() < cost)
}

/// Refuses what could not be used safely.
pub fn acceptable(password: &str) -> Result<()> {
    if password.len() > MAX_BYTES {
        return Err(Error::field("password", Message::new("password-too-long")));
    }
    if password.chars().count() < MIN_CHARACTERS || password.trim().is_empty() {
        return Err(Error::field("password", Message::new("password-too-short")));
    }
    if password.contains('\0') {
        return Err(Error::field("password", Message::new("password-nul")));
    }
    Ok(())
}

fn hash_now(password: &str, cost: u32) -> Result<String> {
    // The crate's "non truncating" form counts a closing NUL and so refuses 72; the length was checked before.
    bcrypt::hash(password, cost).map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("hash a password")))
}

fn verify_now(password: &str, hash: &str) -> bool {
    if hash.starts_with("$2") {
        return password.len() <= MAX_BYTES && bcrypt::verify(password, hash).unwrap_or(false);
    }
    werkzeug(password, hash).unwrap_or(false)
}

/// A hash that another program made, in one of the forms that are verified here. Prints as `****`.
#[derive(Clone, PartialEq, Eq)]
pub struct OldHash(String);

impl OldHash {
    /// Reads a hash of bcrypt or of werkzeug; nothing for any other form, or one that would take the box to verify.
    pub fn parse(text: &str) -> Option<OldHash> {
        let known = if text.starts_with("$2") {
            text.parse::<bcrypt::HashParts>().is_ok_and(|parts| parts.get_cost() <= MOST_COST)
        } else {
            Werkzeug::parse(text).is_some()
        };
        known.then(|| OldHash(text.to_owned()))
    }

    /// As it is stored.
    pub(super) fn as_str(&self) -> &str {
        &self.0
    }
}

impl std::fmt::Debug for OldHash {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("OldHash(****)")
    }
}

/// bcrypt's cost beyond which a login would take seconds.
const MOST_COST: u32 = 14;
/// scrypt's N times r: memory of 64 MiB, twice what werkzeug's own takes (32768:8:1).
const MOST_MEMORY: u32 = 1 << 19;
/// scrypt's N times r times p: a second of a core, about.
const MOST_WORK: u32 = 1 << 20;
/// Fewer rounds of PBKDF2, and shorter results, were never usual.
const LEAST_ROUNDS: u32 = 1000;
const LEAST_BYTES: usize = 16;

/// The forms `scrypt:N:r:p$salt$hex` and `pbkdf2:sha256[:rounds]$salt$hex`. Numbers from a file that somebody else
/// wrote are bounded, so that one login cannot take the box's memory or minutes of a core.
fn werkzeug(password: &str, hash: &str) -> Option<bool> {
    let hash = Werkzeug::parse(hash)?;
    let mut found = vec![0; hash.expected.len()];
    match hash.method {
        Method::Scrypt(parameters) => {
            scrypt::scrypt(password.as_bytes(), hash.salt.as_bytes(), &parameters, &mut found).ok()?;
        }
        Method::Pbkdf2(rounds) => {
            pbkdf2::pbkdf2::<Hmac<Sha256>>(password.as_bytes(), hash.salt.as_bytes(), rounds, &mut found).ok()?;
        }
    }
    Some(bool::from(found.ct_eq(&hash.expected)))
}

enum Method {
    Scrypt(scrypt::Params),
    Pbkdf2(u32),
}

struct Werkzeug<'h> {
    method: Method,
    salt: &'h str,
    expected: Vec<u8>,
}

impl Werkzeug<'_> {
    fn parse(hash: &str) -> Option<Werkzeug<'_>> {
        let mut parts = hash.splitn(3, '$');
        let (method, salt, expected) = (parts.next()?, parts.next()?, hex::decode(parts.next()?).ok()?);
        if !(LEAST_BYTES..=128).contains(&expected.len()) {
            return None;
        }
        let mut method = method.split(':');
        let method = match method.next()? {
            "scrypt" => {
                let n: u32 = method.next().unwrap_or("32768").parse().ok()?;
                let r: u32 = method.next().unwrap_or("8").parse().ok()?;
                let p: u32 = method.next().unwrap_or("1").parse().ok()?;
                let memory = n.checked_mul(r)?;
                let work = memory.checked_mul(p)?;
                let usual = n >= 1 << 10 && r >= 1 && p >= 1 && memory <= MOST_MEMORY && work <= MOST_WORK;
                if !n.is_power_of_two() || !usual {
                    return None;
                }
                Method::Scrypt(scrypt::Params::new(n.ilog2() as u8, r, p).ok()?)
            }
            "pbkdf2" => {
                if method.next()? != "sha256" {
                    return None;
                }
                let rounds: u32 = method.next().unwrap_or("150000").parse().ok()?;
                if !(LEAST_ROUNDS..=2_000_000).contains(&rounds) {
                    return None;
                }
                Method::Pbkdf2(rounds)
            }
            _ => return None,
        };
        Some(Werkzeug { method, salt, expected })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_password_over_72_bytes_is_refused_and_never_cut() {
        let passwords = Passwords::new(4).unwrap();
        assert_eq!(passwords.hash("a".repeat(73)).await.unwrap_err().status(), 422);
        let hash = passwords.hash("a".repeat(72)).await.unwrap();
        assert!(passwords.verify("a".repeat(72), Some(hash.clone())).await.unwrap());
        assert!(!passwords.verify("a".repeat(73), Some(hash)).await.unwrap());
        assert!(!passwords.verify("nobody has this password".into(), None).await.unwrap());
    }

    // Made with werkzeug's and Python's own functions for the password "rahasia-123".
    #[test]
    fn the_two_older_forms_are_verified_and_count_as_old() {
        let pbkdf2 = "pbkdf2:sha256:1000$saltsalt$0a0d2f9e6f0a3b7d";
        assert!(!verify_now("rahasia-123", pbkdf2));
        let mut key = [0; 32];
        pbkdf2::pbkdf2::<Hmac<Sha256>>(b"rahasia-123", b"saltsalt", 1000, &mut key).unwrap();
        let good = format!("pbkdf2:sha256:1000$saltsalt${}", hex::encode(key));
        assert!(verify_now("rahasia-123", &good) && !verify_now("rahasia-124", &good));
        let mut key = [0; 64];
        let parameters = scrypt::Params::new(15, 8, 1).unwrap();
        scrypt::scrypt(b"rahasia-123", b"saltsalt", &parameters, &mut key).unwrap();
        let good = format!("scrypt:32768:8:1$saltsalt${}", hex::encode(key));
        assert!(verify_now("rahasia-123", &good) && !verify_now("rahasia-124", &good));
        assert!(Passwords::new(4).unwrap().is_old(&good));
    }

    #[test]
    fn an_old_hash_is_of_a_known_form_or_none() {
        let bcrypt = bcrypt::hash("p", 4).unwrap();
        let made = |method: &str| format!("{method}$s${}", "0a".repeat(32));
        assert!(OldHash::parse(&bcrypt).is_some());
        for good in ["scrypt", "scrypt:32768:8:1", "scrypt:65536:8:2", "pbkdf2:sha256:1000000", "pbkdf2:sha256"] {
            assert!(OldHash::parse(&made(good)).is_some(), "{good}");
        }
        for bad in ["", "x", "$2b$31$aKEvhD4TUMNuj0.YO1Se/.6fzaykvQ4nFsjUDoaJcVUq18y0j3DqS", "scrypt:32768:8:1$s$00"] {
            assert!(OldHash::parse(bad).is_none(), "{bad}");
        }
        let odd = ["md5", "scrypt:7:8:1", "scrypt:131072:16:4", "scrypt:65536:8:4", "scrypt:1024:4294967295:9"];
        for bad in odd.into_iter().chain(["pbkdf2:sha256:999", "pbkdf2:sha256:4000000", "pbkdf2:md5:1000"]) {
            assert!(OldHash::parse(&made(bad)).is_none(), "{bad}");
        }
    }

    #[test]
    fn the_hash_of_nobody_costs_what_the_others_cost() {
        assert_eq!(NOBODYS.parse::<bcrypt::HashParts>().unwrap().get_cost(), COST);
    }

    #[test]
    fn a_hash_that_would_take_the_box_is_not_computed() {
        for bad in
            ["scrypt:1073741824:8:1$s$00", "scrypt:32768:99999:1$s$00", "pbkdf2:sha256:4000000000$s$00", "x", "$$"]
        {
            assert!(!verify_now("p", bad), "{bad}");
        }
    }
}
