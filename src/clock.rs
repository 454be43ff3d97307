//! Time as an argument: the box's clock, or one that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;
use jiff::tz::TimeZone;

/// What a system's zone folder holds beside the zones of the IANA: they mean another place on another machine.
fn is_local(name: &str) -> bool {
    let folder = name.split('/').next().unwrap_or_default();
    let odd = ["localtime", "posixrules", "factory", "posix", "right"];
    odd.iter().any(|odd| folder.eq_ignore_ascii_case(odd))
}

/// The zone of an IANA name such as `Asia/Jakarta`.
pub fn zone(name: &str) -> Option<TimeZone> {
    let known = !name.is_empty() && name.len() <= 64 && !is_local(name);
    known.then(|| TimeZone::get(name).ok()).flatten()
}

/// Every IANA name, without order.
pub fn zone_names() -> Vec<String> {
    let names = jiff::tz::db().available().map(|name| name.as_str().to_owned());
    names.filter(|name| !is_local(name)).collect()
}

/// Tells the time.
#[derive(Clone, Debug, Default)]
pub struct Clock {
    /// Milliseconds since the epoch where a test holds the clock.
    held: Option<Arc<AtomicI64>>,
}

impl Clock {
    /// The box's own clock.
    pub fn system() -> Clock {
        Clock::default()
    }

    /// A clock that stands still until [`Clock::advance`].
    pub fn held_at(start: Timestamp) -> Clock {
        Clock { held: Some(Arc::new(AtomicI64::new(start.as_millisecond()))) }
    }

    /// The time now.
    pub fn now(&self) -> Timestamp {
        match &self.held {
            None => Timestamp::now(),
            Some(held) => Timestamp::from_millisecond(held.load(Ordering::SeqCst)).unwrap_or(Timestamp::MAX),
        }
    }

    /// Moves a held clock; does nothing to the box's own.
    pub fn advance(&self, by: std::time::Duration) {
        if let Some(held) = &self.held {
            held.fetch_add(by.as_millis() as i64, Ordering::SeqCst);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_the_names_of_the_iana_are_zones() {
        for name in ["Asia/Jakarta", "asia/jakarta", "UTC", "Etc/GMT+7", "Australia/Lord_Howe"] {
            assert!(zone(name).is_some(), "{name}");
        }
        for name in [
            "",
            "localtime",
            "posixrules",
            "Factory",
            "factory",
            "posix/Asia/Jakarta",
            "right/UTC",
            "Mars/Base",
            "../UTC",
        ] {
            assert!(zone(name).is_none(), "{name}");
        }
        let names = zone_names();
        assert!(names.iter().any(|name| name == "Asia/Jakarta"));
        assert!(names.iter().all(|name| zone(name).is_some()));
    }
}
