//! A notice on its way: what is sent, and what came of it.

use std::time::Duration;

use serde_json::{Value, json};
use uuid::Uuid;

use super::rows::{Notice, Way};
use super::words::{self, Reader};
use super::{Notices, telegram, webhook};
use crate::auth::Tenant;
use crate::error::Result;
use crate::text::Message;

/// First wait after a failure, and the longest.
const FIRST_WAIT: Duration = Duration::from_secs(2);
const LONGEST_WAIT: Duration = Duration::from_secs(3600);
/// Wait where only a person can help.
pub(super) const FOR_A_PERSON: Duration = Duration::from_secs(600);

/// What is sent.
pub(super) struct Letter {
    /// The same at every try.
    pub(super) id: Uuid,
    pub(super) text: String,
    pub(super) body: Value,
}

impl Letter {
    /// A notice as its reader gets it.
    pub(super) fn of(notice: &Notice, reader: &Reader) -> Letter {
        Letter { id: notice.id, text: words::text(notice, reader), body: words::body(notice, reader) }
    }

    /// What the test button sends.
    pub(super) fn test(name: &str, reader: &Reader) -> Letter {
        let text = Message::new("notice-test").with("name", name).in_locale(reader.locale);
        let body = json!({"type": "notice.test", "timestamp": words::stamp(reader.now), "data": {"text": text}});
        Letter { id: Uuid::now_v7(), text, body }
    }
}

/// What came of a try.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Sent {
    /// It got there.
    There,
    /// The chat has another number now.
    Moved(String),
    /// It did not, and what to do next.
    Not(Message, Then),
}

/// What to do after a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Then {
    /// Again, after a wait that grows.
    Again,
    /// Again, not before so long.
    Later(Duration),
    /// This notice never gets there; the next one may.
    GiveUp,
    /// The other side wants nothing more.
    Off,
}

/// How long to wait after so many failures in a row; `random` is 0 to 1.
pub(super) fn wait(failures: u32, then: Then, random: f64) -> Duration {
    let doubled = FIRST_WAIT.saturating_mul(1 << failures.saturating_sub(1).min(20));
    let jittered = doubled.min(LONGEST_WAIT).mul_f64(0.8 + 0.4 * random.clamp(0.0, 1.0));
    match then {
        Then::Later(least) => jittered.max(least),
        Then::Again | Then::GiveUp | Then::Off => jittered,
    }
}

impl Notices {
    /// Tries once.
    pub(super) async fn send(&self, tenant: &Tenant, destination: Uuid, way: &Way, letter: &Letter) -> Result<Sent> {
        let foundation = &self.shared.foundation;
        match way {
            Way::Telegram { token, chat, .. } => {
                let token = telegram::open(foundation.vault(), tenant, destination, token)?;
                let base = foundation.config().notices.telegram_base();
                Ok(telegram::send(&self.shared.http, base, &token, chat, &letter.text).await)
            }
            Way::Webhook { url, secret, previous } => {
                let now = foundation.clock().now();
                let old = previous.as_ref().filter(|(_, until)| *until > now).map(|(secret, _)| secret);
                let mut secrets = Vec::new();
                for sealed in [Some(secret), old].into_iter().flatten() {
                    secrets.push(webhook::open(foundation.vault(), tenant, destination, sealed)?);
                }
                Ok(webhook::send(&self.shared.http, url, &secrets, letter, now).await)
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_grow_to_an_hour_and_are_never_the_same_for_all() {
        let seconds = |failures, random| wait(failures, Then::Again, random).as_secs_f64();
        assert_eq!((seconds(1, 0.5), seconds(2, 0.5), seconds(5, 0.5)), (2.0, 4.0, 32.0));
        assert_eq!((seconds(1, 0.0), seconds(1, 1.0)), (1.6, 2.4));
        assert_eq!((seconds(12, 0.5), seconds(4_000_000_000, 0.5)), (3600.0, 3600.0));
        assert_eq!(wait(1, Then::Later(Duration::from_secs(40)), 0.5), Duration::from_secs(40));
        assert_eq!(wait(10, Then::Later(Duration::from_secs(40)), 0.5), Duration::from_secs(1024));
    }
}
