//! Slows down guessing without letting strangers lock anybody out. A stranger is counted by address, by name and
//! neighbourhood and, with a larger budget, by name alone. A device on which the user has logged in before is counted
//! by itself, so that what strangers spend is none of its concern.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

use uuid::Uuid;

use super::throttle::{Throttle, network};
use super::token::random_token;
use crate::error::Result;

/// One try comes back this often.
const PERIOD: Duration = Duration::from_secs(60);
/// A name has so many times the budget of an address: those who guess from many places meet it, a few do not use it up.
const NAME: u32 = 10;

/// Counts tries to log in.
#[derive(Clone)]
pub(super) struct Guessing {
    tries: Throttle,
    names: Throttle,
    key: [u8; 32],
}

/// The addresses that one provider gives out together: the /24 of IPv4, the /48 of IPv6.
fn neighbourhood(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => {
            let [a, b, c, _] = address.octets();
            format!("{a}.{b}.{c}.0/24")
        }
        IpAddr::V6(address) => {
            let [a, b, c, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

impl Guessing {
    /// `burst` tries are free for an address, then one a minute. `secret` stays the same over restarts.
    pub fn new(burst: NonZeroU32, secret: &[u8; 32]) -> Guessing {
        let of_name = burst.saturating_mul(NonZeroU32::MIN.saturating_add(NAME - 1));
        Guessing {
            tries: Throttle::new(burst, PERIOD),
            names: Throttle::new(of_name, PERIOD / NAME),
            key: blake3::derive_key("jadwalstream known device", secret),
        }
    }

    /// Counts a try to log in as `name`, who is `user` if there is such a user.
    ///
    /// # Errors
    /// [`Error::TooMany`](crate::error::Error::TooMany), which says nothing of whether the user exists.
    pub fn count_login(
        &self,
        name: &str,
        user: Option<Uuid>,
        address: Option<IpAddr>,
        device: Option<&str>,
    ) -> Result<()> {
        if let Some(device) = device.filter(|device| self.knows(user.unwrap_or_default(), device)) {
            return self.count(format!("device {device}"));
        }
        let name: String = name.chars().take(64).collect::<String>().to_lowercase();
        // In this order: a stranger who is out of tries spends nothing of the name's.
        if let Some(address) = address {
            self.count(format!("address {}", network(address)))?;
            self.count(format!("name {} {name}", neighbourhood(address)))?;
        }
        self.names.count(name)
    }

    /// Counts a try of another kind.
    ///
    /// # Errors
    /// [`Error::TooMany`](crate::error::Error::TooMany).
    pub fn count(&self, key: String) -> Result<()> {
        self.tries.count(key)
    }

    /// What a device shows from now on to be known as one that `user` has logged in on; the same as before where it is
    /// known already. It is no login.
    pub fn device(&self, user: Uuid, shown: Option<&str>) -> Result<String> {
        if let Some(shown) = shown.filter(|shown| self.knows(user, shown)) {
            return Ok(shown.to_owned());
        }
        let nonce = &random_token()?[..32];
        Ok(format!("{nonce}.{}", self.sign(user, nonce).to_hex()))
    }

    fn knows(&self, user: Uuid, device: &str) -> bool {
        let Some((nonce, shown)) = device.split_once('.') else { return false };
        // Compared in constant time; only lower-case letters, so that one device has one name.
        blake3::Hash::from_hex(shown).is_ok_and(|hash| hash == self.sign(user, nonce))
            && !device.bytes().any(|byte| byte.is_ascii_uppercase())
    }

    fn sign(&self, user: Uuid, nonce: &str) -> blake3::Hash {
        blake3::Hasher::new_keyed(&self.key).update(user.as_bytes()).update(nonce.as_bytes()).finalize()
    }

    /// Forgets what is fresh again.
    pub fn sweep(&self) {
        self.tries.sweep();
        self.names.sweep();
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn guessing() -> Guessing {
        Guessing::new(NonZeroU32::new(3).unwrap(), &[7; 32])
    }

    /// How many of 100 tries are counted.
    fn tries(guessing: &Guessing, name: &str, address: &str, device: Option<&str>) -> usize {
        let (user, address) = (Some(Uuid::from_u128(1)), address.parse().ok());
        (0..100).filter(|_| guessing.count_login(name, user, address, device).is_ok()).count()
    }

    #[test]
    fn an_address_a_neighbourhood_and_a_name_have_budgets_of_their_own() {
        let guessing = guessing();
        let table = [
            ("al", "203.0.113.1", 3),
            // No more from the same address, whatever the name.
            ("bo", "203.0.113.1", 0),
            // The same name from next door; another name from there.
            ("AL", "203.0.113.2", 0),
            ("bo", "203.0.113.3", 3),
            ("al", "2001:db8:1:1::1", 3),
            ("al", "2001:db8:1:2::1", 0),
            ("al", "2001:db8:2:1::1", 3),
        ];
        for (name, address, expected) in table {
            assert_eq!(tries(&guessing, name, address, None), expected, "{name} from {address}");
        }
        let everywhere: usize = (0..100).map(|at| tries(&guessing, "al", &format!("198.51.{at}.1"), None)).sum();
        assert_eq!(everywhere, 30 - 9, "a name guessed from everywhere has its end too");
    }

    #[test]
    fn a_known_device_has_tries_of_its_own_and_is_known_for_one_user_only() {
        let guessing = guessing();
        let (al, bo) = (Uuid::from_u128(1), Uuid::from_u128(2));
        let device = guessing.device(al, None).unwrap();
        assert_eq!(guessing.device(al, Some(&device)).unwrap(), device);
        assert_ne!(guessing.device(bo, Some(&device)).unwrap(), device);
        while guessing.names.count("al".into()).is_ok() {}
        assert_eq!(tries(&guessing, "al", "203.0.113.1", None), 0);
        assert_eq!(tries(&guessing, "al", "203.0.113.1", Some(&device)), 3);
        let forged = [device.replace('.', ""), device.to_uppercase(), format!("{device}0"), ".".into(), String::new()];
        for forged in forged {
            assert!(!guessing.knows(al, &forged), "{forged}");
        }
        assert!(!guessing.knows(bo, &device) && !guessing.knows(Uuid::nil(), &device));
        assert!(!Guessing::new(NonZeroU32::MIN, &[8; 32]).knows(al, &device));
    }
}
