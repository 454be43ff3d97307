//! What goes wrong with the API, sorted by what can be done: try again, wait, tell a person.
//!
//! Source: Google, "YouTube Live Streaming API - Errors" and "YouTube Data API - Errors", and the error tables of the
//! methods that are called here. What a person is told is ours, never the platform's own text: that may repeat what was
//! sent.

use std::time::Duration;

use jiff::Timestamp;
use serde::Deserialize;

use crate::error::Error;
use crate::text::Message;

/// What can be done about a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Sort {
    /// It may well go away by itself: try again, at the soonest after so long.
    Again(Duration),
    /// It goes away at a known time.
    Wait(Timestamp),
    /// Only a person can do something.
    Tell,
}

/// A call that did not do what it should.
#[derive(Debug, Clone, PartialEq)]
pub struct Fault {
    /// What can be done.
    pub sort: Sort,
    /// The platform's word for it, such as `quotaExceeded`; our own ones begin with `our-`.
    pub reason: String,
    /// What a person is told.
    pub message: Message,
    /// Nobody knows whether the call did what it should: it was sent and no answer came.
    pub unsure: bool,
}

/// Our own words for what is no answer of the API.
pub mod own {
    /// No connection, or no answer in time.
    pub const UNREACHABLE: &str = "our-unreachable";
    /// An answer that is none of the API's.
    pub const ODD: &str = "our-odd";
    /// So much of the day's units is not left.
    pub const UNITS: &str = "our-units";
    /// There is no token now.
    pub const TOKEN: &str = "our-token";
    /// We failed ourselves.
    pub const OURS: &str = "our-own";
}

#[derive(Clone, Copy)]
enum Kind {
    /// Seconds.
    Again(u64),
    /// Until the units are given anew.
    Midnight,
    /// Seconds.
    Wait(u64),
    Tell,
}

/// Reasons that the platform gives, what can be done, and what a person is told.
const TABLE: &[(&str, Kind, &str)] = &[
    // Passing.
    ("backendError", Kind::Again(5), "youtube-fault-passing"),
    ("internalError", Kind::Again(5), "youtube-fault-passing"),
    ("serviceUnavailable", Kind::Again(15), "youtube-fault-passing"),
    ("SERVICE_UNAVAILABLE", Kind::Again(15), "youtube-fault-passing"),
    ("processingFailure", Kind::Again(15), "youtube-fault-passing"),
    ("errorExecutingTransition", Kind::Again(10), "youtube-fault-passing"),
    ("errorStreamInactive", Kind::Again(10), "youtube-fault-stream-inactive"),
    ("rateLimitExceeded", Kind::Again(30), "youtube-fault-busy"),
    ("RATE_LIMIT_EXCEEDED", Kind::Again(30), "youtube-fault-busy"),
    ("userRateLimitExceeded", Kind::Again(30), "youtube-fault-busy"),
    ("userRequestsExceedRateLimit", Kind::Again(60), "youtube-fault-busy"),
    // At a known time.
    ("quotaExceeded", Kind::Midnight, "youtube-fault-quota"),
    ("dailyLimitExceeded", Kind::Midnight, "youtube-fault-quota"),
    ("userBroadcastsExceedLimit", Kind::Wait(3600), "youtube-fault-broadcasts-many"),
    ("uploadLimitExceeded", Kind::Wait(6 * 3600), "youtube-fault-uploads-many"),
    ("uploadRateLimitExceeded", Kind::Wait(3600), "youtube-fault-thumbnails-many"),
    // A person.
    ("liveStreamingNotEnabled", Kind::Tell, "youtube-fault-not-enabled"),
    ("insufficientLivePermissions", Kind::Tell, "youtube-fault-live-permissions"),
    ("livePermissionBlocked", Kind::Tell, "youtube-fault-live-blocked"),
    ("insufficientPermissions", Kind::Tell, "youtube-fault-scope"),
    ("ACCESS_TOKEN_SCOPE_INSUFFICIENT", Kind::Tell, "youtube-fault-scope"),
    ("accessNotConfigured", Kind::Tell, "youtube-fault-api-off"),
    ("SERVICE_DISABLED", Kind::Tell, "youtube-fault-api-off"),
    ("authError", Kind::Tell, "youtube-fault-login"),
    ("authorizationRequired", Kind::Tell, "youtube-fault-login"),
    ("required", Kind::Tell, "youtube-fault-incomplete"),
    ("youtubeSignupRequired", Kind::Tell, "youtube-fault-no-channel"),
    ("channelClosed", Kind::Tell, "youtube-fault-channel-closed"),
    ("channelSuspended", Kind::Tell, "youtube-fault-channel-suspended"),
    ("accountClosed", Kind::Tell, "youtube-fault-channel-closed"),
    ("accountSuspended", Kind::Tell, "youtube-fault-channel-suspended"),
    ("forbidden", Kind::Tell, "youtube-fault-forbidden"),
    ("invalidScheduledStartTime", Kind::Tell, "youtube-fault-start-time"),
    ("scheduledStartTimeRequired", Kind::Tell, "youtube-fault-start-time"),
    ("invalidScheduledEndTime", Kind::Tell, "youtube-fault-end-time"),
    ("invalidTitle", Kind::Tell, "youtube-fault-title"),
    ("titleRequired", Kind::Tell, "youtube-fault-title"),
    ("invalidDescription", Kind::Tell, "youtube-fault-description"),
    ("invalidTags", Kind::Tell, "youtube-fault-tags"),
    ("invalidCategoryId", Kind::Tell, "youtube-fault-category"),
    ("invalidPrivacyStatus", Kind::Tell, "youtube-fault-privacy"),
    ("privacyStatusRequired", Kind::Tell, "youtube-fault-privacy"),
    ("invalidLatencyPreferences", Kind::Tell, "youtube-fault-latency"),
    ("invalidAutoStart", Kind::Tell, "youtube-fault-auto-start"),
    ("invalidAutoStop", Kind::Tell, "youtube-fault-auto-stop"),
    ("invalidPublishAt", Kind::Tell, "youtube-fault-publish-at"),
    ("invalidVideoMetadata", Kind::Tell, "youtube-fault-metadata"),
    ("invalidImage", Kind::Tell, "youtube-fault-image"),
    ("mediaBodyRequired", Kind::Tell, "youtube-fault-image"),
    ("videoNotFound", Kind::Tell, "youtube-fault-video-gone"),
    ("playlistNotFound", Kind::Tell, "youtube-fault-playlist-gone"),
    ("playlistItemsNotAccessible", Kind::Tell, "youtube-fault-playlist-gone"),
    ("playlistContainsMaximumNumberOfVideos", Kind::Tell, "youtube-fault-playlist-full"),
    ("liveStreamNotFound", Kind::Tell, "youtube-fault-key-gone"),
    ("liveBroadcastNotFound", Kind::Tell, "youtube-fault-broadcast-gone"),
    ("liveBroadcastBindingNotAllowed", Kind::Tell, "youtube-fault-binding"),
    ("liveBroadcastDeletionNotAllowed", Kind::Tell, "youtube-fault-deletion"),
    ("liveStreamDeletionNotAllowed", Kind::Tell, "youtube-fault-key-in-use"),
    ("liveStreamModificationNotAllowed", Kind::Tell, "youtube-fault-key-in-use"),
    ("invalidTransition", Kind::Tell, "youtube-fault-transition"),
    ("redundantTransition", Kind::Tell, "youtube-fault-redundant"),
    ("enableMonitorStreamModificationNotAllowed", Kind::Tell, "youtube-fault-settings-fixed"),
    ("dvrModificationNotAllowed", Kind::Tell, "youtube-fault-settings-fixed"),
    ("recordingModificationNotAllowed", Kind::Tell, "youtube-fault-settings-fixed"),
    ("latencyPreferenceModificationNotAllowed", Kind::Tell, "youtube-fault-settings-fixed"),
    ("madeForKidsModificationNotAllowed", Kind::Tell, "youtube-fault-settings-fixed"),
];

/// Texts of what stands in the way of everything on a channel, whatever is to be done there.
const OF_CHANNEL: &[&str] = &[
    "youtube-fault-quota",
    "youtube-fault-units",
    "youtube-fault-units-kept",
    "youtube-fault-units-share",
    "youtube-fault-broadcasts-many",
    "youtube-fault-not-enabled",
    "youtube-fault-live-permissions",
    "youtube-fault-live-blocked",
    "youtube-fault-scope",
    "youtube-fault-api-off",
    "youtube-fault-login",
    "youtube-fault-no-channel",
    "youtube-fault-channel-closed",
    "youtube-fault-channel-suspended",
    "youtube-fault-forbidden",
    "youtube-fault-unreachable",
    "youtube-fault-passing",
    "youtube-fault-busy",
];

/// Whether the text of this id tells of a whole channel, and not of one of its broadcasts.
pub fn is_of_channel(id: &str) -> bool {
    OF_CHANNEL.contains(&id)
}

/// Google gives units anew at midnight there.
const PACIFIC: &str = "America/Los_Angeles";

/// The day that a call is counted on, and when the next one begins.
pub fn quota_day(now: Timestamp) -> (jiff::civil::Date, Timestamp) {
    let zone = crate::clock::zone(PACIFIC).unwrap_or(jiff::tz::TimeZone::UTC);
    let here = now.to_zoned(zone);
    let next = here.tomorrow().and_then(|day| day.start_of_day()).map(|start| start.timestamp());
    // Out of jiff's years only.
    (here.date(), next.unwrap_or(Timestamp::MAX))
}

/// The body of an error, as far as it is read.
#[derive(Deserialize)]
struct Body {
    error: Inner,
}
#[derive(Deserialize)]
#[serde(untagged)]
enum Inner {
    Of(Told),
    /// As OAuth ends say it.
    #[allow(dead_code, reason = "only that it is there")]
    Word(String),
}
#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    errors: Vec<One>,
    #[serde(default)]
    details: Vec<Detail>,
}
#[derive(Deserialize)]
struct One {
    #[serde(default)]
    reason: String,
}
#[derive(Deserialize)]
struct Detail {
    #[serde(default)]
    reason: String,
}

fn is_word(reason: &str) -> bool {
    (1..=64).contains(&reason.len()) && reason.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_')
}

impl Fault {
    fn new(sort: Sort, reason: &str, message: Message) -> Fault {
        Fault { sort, reason: reason.to_owned(), message, unsure: false }
    }

    /// What an answer that is no success says. `retry_after` is that of its header.
    pub fn of_answer(status: u16, body: &[u8], retry_after: Option<Duration>, now: Timestamp) -> Fault {
        let told = match serde_json::from_slice::<Body>(body) {
            Ok(Body { error: Inner::Of(told) }) => Some(told),
            _ => None,
        };
        let mut reasons: Vec<String> = Vec::new();
        if let Some(told) = told {
            // Details are the more exact ones where both are given.
            reasons.extend(told.details.into_iter().map(|detail| detail.reason));
            reasons.extend(told.errors.into_iter().map(|error| error.reason));
        }
        reasons.retain(|reason| is_word(reason));
        let known = reasons.iter().find_map(|reason| TABLE.iter().find(|(name, ..)| name == reason));
        let mut fault = match known {
            Some((reason, kind, message)) => {
                let sort = match kind {
                    Kind::Again(seconds) => Sort::Again(Duration::from_secs(*seconds)),
                    Kind::Wait(seconds) => Sort::Wait(now + Duration::from_secs(*seconds)),
                    Kind::Midnight => Sort::Wait(quota_day(now).1),
                    Kind::Tell => Sort::Tell,
                };
                Fault::new(sort, reason, Message::new(message))
            }
            None => {
                let reason = reasons.first().map_or(own::ODD, String::as_str);
                match status {
                    429 => Fault::new(Sort::Again(Duration::from_secs(30)), reason, Message::new("youtube-fault-busy")),
                    500.. => {
                        Fault::new(Sort::Again(Duration::from_secs(15)), reason, Message::new("youtube-fault-passing"))
                    }
                    401 => Fault::new(Sort::Tell, "authError", Message::new("youtube-fault-login")),
                    _ => {
                        let message = Message::new("youtube-fault-other").with("reason", reason.to_owned());
                        Fault::new(Sort::Tell, reason, message.with("status", status))
                    }
                }
            }
        };
        if let (Sort::Again(least), Some(asked)) = (fault.sort, retry_after) {
            fault.sort = Sort::Again(least.max(asked.min(Duration::from_secs(3600))));
        }
        // A server that broke down may have done its work first.
        fault.unsure = status >= 500;
        fault
    }

    /// No answer came; `sent` where it may have been heard all the same.
    pub fn unreachable(sent: bool) -> Fault {
        let sort = Sort::Again(Duration::from_secs(15));
        let fault = Fault::new(sort, own::UNREACHABLE, Message::new("youtube-fault-unreachable"));
        Fault { unsure: sent, ..fault }
    }

    /// An answer that cannot be read; the call has done its work.
    pub fn odd() -> Fault {
        let sort = Sort::Again(Duration::from_secs(60));
        Fault { unsure: true, ..Fault::new(sort, own::ODD, Message::new("youtube-fault-odd")) }
    }

    /// So much of the day's units is not left, or not for this; `id` is that of the text that says so.
    pub fn no_units(id: &'static str, left: u64, until: Timestamp) -> Fault {
        Fault::new(Sort::Wait(until), own::UNITS, Message::new(id).with("left", left))
    }

    /// There is no token before then, or only a person can bring one.
    pub fn no_token(sort: Sort, message: Message) -> Fault {
        Fault::new(sort, own::TOKEN, message)
    }

    /// When it makes sense to try again, after `tries` in vain; `None` where only a person can help.
    pub fn next_try(&self, now: Timestamp, tries: u32) -> Option<Timestamp> {
        match self.sort {
            Sort::Wait(at) => Some(at.max(now)),
            Sort::Again(least) => {
                let grown = least.saturating_mul(1 << tries.min(7)).min(Duration::from_secs(600)).max(least);
                Some(now + grown)
            }
            Sort::Tell => None,
        }
    }

    /// The platform has no such thing (any more).
    pub fn is_gone(&self) -> bool {
        matches!(self.reason.as_str(), "liveBroadcastNotFound" | "liveStreamNotFound" | "videoNotFound" | "notFound")
    }
}

impl From<Error> for Fault {
    fn from(cause: Error) -> Fault {
        let message = cause.message();
        tracing::error!(%cause, "a call of the platform failed by our own fault");
        Fault::new(Sort::Again(Duration::from_secs(30)), own::OURS, message)
    }
}

impl From<Fault> for Error {
    fn from(fault: Fault) -> Error {
        match fault.sort {
            Sort::Tell if fault.is_gone() => Error::NotFound,
            Sort::Tell => Error::Conflict(fault.message),
            Sort::Again(_) | Sort::Wait(_) => Error::Upstream(fault.message),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn body(reason: &str) -> Vec<u8> {
        serde_json::json!({"error": {"code": 403, "message": "the key sentinel-1234 is no good",
            "errors": [{"message": "x", "domain": "youtube.liveBroadcast", "reason": reason}]}})
        .to_string()
        .into_bytes()
    }

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn every_known_reason_is_sorted_and_told_in_both_languages() {
        let now = at("2026-11-21T12:00:00Z");
        for (reason, kind, id) in TABLE {
            let fault = Fault::of_answer(403, &body(reason), None, now);
            assert_eq!((fault.reason.as_str(), fault.message.id.as_ref()), (*reason, *id));
            match kind {
                Kind::Again(_) => assert!(matches!(fault.sort, Sort::Again(_))),
                Kind::Midnight => assert_eq!(fault.sort, Sort::Wait(at("2026-11-22T08:00:00Z"))),
                Kind::Wait(_) => assert!(matches!(fault.sort, Sort::Wait(_))),
                Kind::Tell => assert_eq!(fault.sort, Sort::Tell),
            }
            for locale in [crate::text::Locale::En, crate::text::Locale::Id] {
                let told = fault.message.in_locale(locale);
                assert!(told != *id && !told.contains("sentinel"), "{told}");
            }
        }
    }

    #[test]
    fn what_is_not_known_is_sorted_by_its_status() {
        let now = at("2026-11-21T12:00:00Z");
        let of = |status, body: &[u8]| Fault::of_answer(status, body, None, now);
        assert!(matches!(of(503, b"<html>").sort, Sort::Again(_)) && of(503, b"").unsure);
        assert!(matches!(of(429, b"").sort, Sort::Again(_)));
        assert_eq!(of(400, b"{\"error\":\"nonsense\"}").sort, Sort::Tell);
        assert_eq!(of(401, b"").reason, "authError");
        let other = of(400, &body("brandNewReason"));
        assert_eq!((other.sort, other.message.id.as_ref()), (Sort::Tell, "youtube-fault-other"));
        let odd = of(400, &body("no word <b>at all</b>"));
        assert!(!odd.message.to_string().contains('<'));
        let slow = Fault::of_answer(503, b"", Some(Duration::from_secs(99)), now);
        assert_eq!(slow.sort, Sort::Again(Duration::from_secs(99)));
    }

    #[test]
    fn the_day_of_units_begins_at_midnight_in_california() {
        for (now, day, next) in [
            // Winter: eight hours; summer: seven.
            ("2026-11-21T07:59:59Z", "2026-11-20", "2026-11-21T08:00:00Z"),
            ("2026-11-21T08:00:00Z", "2026-11-21", "2026-11-22T08:00:00Z"),
            ("2026-07-01T06:59:59Z", "2026-06-30", "2026-07-01T07:00:00Z"),
            // The days on which the clocks change have 23 and 25 hours.
            ("2026-03-08T12:00:00Z", "2026-03-08", "2026-03-09T07:00:00Z"),
            ("2026-11-01T07:30:00Z", "2026-11-01", "2026-11-02T08:00:00Z"),
        ] {
            let (found, reset) = quota_day(at(now));
            assert_eq!((found.to_string().as_str(), reset), (day, at(next)), "{now}");
        }
    }

    #[test]
    fn it_is_tried_again_later_and_later() {
        let now = at("2026-11-21T12:00:00Z");
        let fault = Fault::unreachable(true);
        let waits: Vec<i64> =
            (0..8).map(|tries| fault.next_try(now, tries).unwrap().duration_since(now).as_secs()).collect();
        assert_eq!(waits, [15, 30, 60, 120, 240, 480, 600, 600]);
        assert_eq!(Fault::of_answer(403, &body("forbidden"), None, now).next_try(now, 0), None);
    }
}
