//! How a stream is, for programs: part of a stream, and what its events carry.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::Moment;
use crate::live::State;
use crate::text::{Locale, Message};

/// What a stream does.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamState)]
pub(super) struct StateBody {
    /// `idle`, `scheduled`, `starting`, `sending`, `live`, `retrying`, `stopping`, `ended` or `failed`.
    name: &'static str,
    since: Option<Moment>,
    /// Why, where there is something to say.
    reason: Option<String>,
    /// The run that is on air, or the last one.
    run_id: Option<Uuid>,
    /// Starts after something went wrong.
    restarts: u32,
    /// Bits a second, over all targets.
    bitrate: u64,
    /// Seconds of stream sent.
    out_time: f64,
    /// Bytes sent, over all targets.
    bytes: u64,
    started_at: Option<Moment>,
    /// When it will end.
    stop_at: Option<Moment>,
    /// When the next occurrence is due.
    next_at: Option<Moment>,
    targets: Vec<TargetStateBody>,
}

/// What one target of a stream on air does.
#[derive(Serialize, ToSchema)]
#[schema(as = TargetState)]
struct TargetStateBody {
    id: Uuid,
    platform: &'static str,
    name: &'static str,
    since: Option<Moment>,
    reason: Option<String>,
    restarts: u32,
    attempts: u32,
    bitrate: u64,
    out_time: f64,
    bytes: u64,
    /// What YouTube says of it, where it is a key of a connected channel; null while it says nothing.
    platform_word: Option<PlatformWordBody>,
}

/// What a platform says of a target.
#[derive(Serialize, ToSchema)]
#[schema(as = PlatformWord)]
struct PlatformWordBody {
    /// It shows it.
    live: bool,
    /// In plain words, the worst first.
    health: Vec<String>,
    at: Moment,
}

impl StateBody {
    /// In a reader's language.
    pub(super) fn of(state: &State, locale: Locale) -> StateBody {
        let told = |reason: &Option<Message>| reason.as_ref().map(|reason| reason.in_locale(locale));
        let targets = state.targets.iter().map(|target| TargetStateBody {
            id: target.id,
            platform: target.platform.code(),
            name: target.name.code(),
            since: target.since.map(Moment::from),
            reason: told(&target.reason),
            restarts: target.restarts,
            attempts: target.attempts,
            bitrate: target.bitrate,
            out_time: target.out_time,
            bytes: target.bytes,
            platform_word: target.platform_word.as_ref().map(|word| PlatformWordBody {
                live: word.live,
                health: word.health.iter().map(|word| word.in_locale(locale)).collect(),
                at: word.at.into(),
            }),
        });
        StateBody {
            name: state.name.code(),
            since: state.since.map(Moment::from),
            reason: told(&state.reason),
            run_id: state.run_id,
            restarts: state.restarts,
            bitrate: state.bitrate,
            out_time: state.out_time,
            bytes: state.bytes,
            started_at: state.started_at.map(Moment::from),
            stop_at: state.stop_at.map(Moment::from),
            next_at: state.next_at.map(Moment::from),
            targets: targets.collect(),
        }
    }
}
