//! Slows down guessing: a burst of tries, then one a minute, for an address and for a name.

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

use governor::clock::{Clock as _, DefaultClock};
use governor::{DefaultKeyedRateLimiter, Quota, RateLimiter};

use crate::error::{Error, Result};

/// Keyed limiters for logins.
#[derive(Clone)]
pub struct Throttle {
    tries: Arc<DefaultKeyedRateLimiter<String>>,
}

/// The part of an address that one person can hardly leave: all of IPv4, the /64 of IPv6.
pub fn network(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) => {
            let segments = address.segments();
            format!("{:x}:{:x}:{:x}:{:x}::/64", segments[0], segments[1], segments[2], segments[3])
        }
    }
}

impl Throttle {
    /// `burst` tries at once, then one every `period`.
    pub fn new(burst: NonZeroU32, period: Duration) -> Throttle {
        let quota = Quota::with_period(period).unwrap_or(Quota::per_minute(NonZeroU32::MIN)).allow_burst(burst);
        Throttle { tries: Arc::new(RateLimiter::keyed(quota)) }
    }

    /// Counts a try under a key.
    ///
    /// # Errors
    /// [`Error::TooMany`] with the time to wait.
    pub fn count(&self, key: String) -> Result<()> {
        self.tries.check_key(&key).map_err(|not_until| Error::TooMany {
            retry_after: not_until.wait_time_from(DefaultClock::default().now()) + Duration::from_secs(1),
        })
    }

    /// Forgets keys that are fresh again; called now and then so that the table does not grow.
    pub fn sweep(&self) {
        self.tries.retain_recent();
        self.tries.shrink_to_fit();
    }
}
