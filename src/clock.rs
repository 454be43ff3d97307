//! Time as an argument: the box's clock, or one that a test moves.

use std::sync::Arc;
use std::sync::atomic::{AtomicI64, Ordering};

use jiff::Timestamp;

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
