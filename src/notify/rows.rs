//! What is kept: where people want to be told, what waits to be told, and how the telling went.

use std::collections::BTreeSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::UserName;
use crate::store::rows::{Header, Index, Record};
use crate::text::{Locale, Message};
use crate::vault::{Purpose, Sealed, Secretive};

/// What a notice is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NoticeKind)]
pub enum Kind {
    /// An occurrence is so many minutes away.
    StartsSoon,
    /// The first bytes of a run have gone out.
    Started,
    /// A target has not been served for a minute.
    Retrying,
    /// It is served again.
    Back,
    /// A run is over, as planned or as told.
    Ended,
    /// A run could not be kept on air.
    Failed,
    /// An occurrence was not even tried.
    Missed,
    /// A channel has to be connected again.
    Reconnect,
    /// A broadcast will not be there as planned, or somebody has to do something about it.
    Broadcast,
    /// The box's disk is almost full; for operators.
    DiskLow,
    /// What was and what comes, once a day.
    Digest,
}

impl Kind {
    /// All of them, in the order of the form.
    pub const ALL: [Kind; 11] = [
        Kind::StartsSoon,
        Kind::Started,
        Kind::Retrying,
        Kind::Back,
        Kind::Ended,
        Kind::Failed,
        Kind::Missed,
        Kind::Reconnect,
        Kind::Broadcast,
        Kind::Digest,
        Kind::DiskLow,
    ];

    /// The word used in forms and the API.
    pub fn code(self) -> &'static str {
        match self {
            Kind::StartsSoon => "starts_soon",
            Kind::Started => "started",
            Kind::Retrying => "retrying",
            Kind::Back => "back",
            Kind::Ended => "ended",
            Kind::Failed => "failed",
            Kind::Missed => "missed",
            Kind::Reconnect => "reconnect",
            Kind::Broadcast => "broadcast",
            Kind::DiskLow => "disk_low",
            Kind::Digest => "digest",
        }
    }

    /// Reads [`Kind::code`].
    pub fn parse(code: &str) -> Option<Kind> {
        Kind::ALL.into_iter().find(|kind| kind.code() == code)
    }

    /// `type` of a webhook's body; never changes.
    pub fn event(self) -> &'static str {
        match self {
            Kind::StartsSoon => "stream.starts_soon",
            Kind::Started => "stream.started",
            Kind::Retrying => "stream.retrying",
            Kind::Back => "stream.back",
            Kind::Ended => "stream.ended",
            Kind::Failed => "stream.failed",
            Kind::Missed => "stream.missed",
            Kind::Reconnect => "channel.reconnect",
            Kind::Broadcast => "broadcast.trouble",
            Kind::DiskLow => "disk.low",
            Kind::Digest => "digest.daily",
        }
    }

    /// Only operators are told.
    pub fn is_for_operators(self) -> bool {
        self == Kind::DiskLow
    }

    /// Name of the index of the destinations that want it.
    pub(super) fn index(self) -> &'static str {
        match self {
            Kind::StartsSoon => "wants-starts-soon",
            Kind::Started => "wants-started",
            Kind::Retrying => "wants-retrying",
            Kind::Back => "wants-back",
            Kind::Ended => "wants-ended",
            Kind::Failed => "wants-failed",
            Kind::Missed => "wants-missed",
            Kind::Reconnect => "wants-reconnect",
            Kind::Broadcast => "wants-broadcast",
            Kind::DiskLow => "wants-disk-low",
            Kind::Digest => "wants-digest",
        }
    }
}

/// By which way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = NoticeVia)]
pub enum Via {
    /// A bot of the user's own writes into a chat.
    Telegram,
    /// A signed POST to an address.
    Webhook,
}

impl Via {
    /// `telegram` or `webhook`.
    pub fn code(self) -> &'static str {
        match self {
            Via::Telegram => "telegram",
            Via::Webhook => "webhook",
        }
    }
}

/// A place where one user wants to be told.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Destination {
    /// Whose.
    pub user: UserName,
    /// The same; a name may come again, an id does not.
    pub user_id: Uuid,
    /// What the user calls it.
    pub name: String,
    /// Nothing is sent while it is off.
    pub enabled: bool,
    /// What is told there.
    pub kinds: BTreeSet<Kind>,
    /// So long before an occurrence "starts soon" is told.
    pub lead_minutes: u16,
    /// Hour of the daily digest, in the user's zone.
    pub digest_hour: i8,
    /// Language where the user has chosen none: that of the page where it was made.
    pub locale: Locale,
    /// How to get there.
    pub way: Way,
}

/// How to get to a destination.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "via", rename_all = "snake_case")]
pub enum Way {
    /// By the Bot API.
    Telegram {
        /// The bot's token, sealed for the destination.
        token: Sealed,
        /// The bot's number, which is the part of the token that is no secret.
        bot: String,
        /// Number of the chat, or `@channel`.
        chat: String,
    },
    /// By a POST.
    Webhook {
        /// Where to.
        url: String,
        /// What it is signed with, sealed for the destination.
        secret: Sealed,
        /// The secret before the last change, which signs beside the new one for a while.
        previous: Option<(Sealed, Timestamp)>,
    },
}

impl Way {
    /// Which of the two.
    pub fn via(&self) -> Via {
        match self {
            Way::Telegram { .. } => Via::Telegram,
            Way::Webhook { .. } => Via::Webhook,
        }
    }

    /// What may be shown of a bot's token: the bot's number.
    pub fn token_masked(&self) -> Option<String> {
        match self {
            Way::Telegram { bot, .. } => Some(format!("{bot}:****")),
            Way::Webhook { .. } => None,
        }
    }
}

impl Secretive for Destination {
    fn secrets(&self, id: Uuid) -> Vec<(Purpose, Uuid, &Sealed)> {
        match &self.way {
            Way::Telegram { token, .. } => vec![(Purpose::TelegramToken, id, token)],
            Way::Webhook { secret, previous, .. } => {
                let all = std::iter::once(secret).chain(previous.iter().map(|(secret, _)| secret));
                all.map(|secret| (Purpose::WebhookSecret, id, secret)).collect()
            }
        }
    }
}

/// Without the address: its path may be a secret of the service behind it.
impl std::fmt::Debug for Way {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "Way({}/****)", self.via().code())
    }
}

impl Record for Destination {
    const KIND: &'static str = "destination";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        let mut indexes = vec![Index { name: "user", key: self.user_id.as_bytes().to_vec(), value: Vec::new() }];
        if self.enabled {
            let wants = self.kinds.iter().map(|kind| Index { name: kind.index(), key: Vec::new(), value: Vec::new() });
            indexes.extend(wants);
        }
        indexes
    }
}

/// What waits to be told, under [`Notice::key`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct Notice {
    /// UUIDv7; `webhook-id` of every try.
    pub(super) id: Uuid,
    pub(super) destination: Uuid,
    pub(super) kind: Kind,
    pub(super) facts: Facts,
    /// When it happened.
    pub(super) at: Timestamp,
    /// After that it helps no one.
    pub(super) expires_at: Timestamp,
}

pub(super) const NOTICES: &str = "notice/";

impl Notice {
    /// Sorts by time.
    pub(super) fn key(id: Uuid) -> String {
        format!("{NOTICES}{id}")
    }
}

/// What happened, in figures; put into words when it is sent.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "of", rename_all = "snake_case")]
pub(super) enum Facts {
    Stream(Box<StreamFacts>),
    Channel { id: Uuid, title: String, reason: Option<Message> },
    Broadcast(Box<BroadcastFacts>),
    Disk { free: u64, total: u64, floor: u64 },
    Digest(Box<DigestFacts>),
}

/// About one stream.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct StreamFacts {
    pub(super) stream_id: Uuid,
    pub(super) title: String,
    pub(super) run_id: Option<Uuid>,
    pub(super) schedule_id: Option<Uuid>,
    /// When it was, or is, to go on air.
    pub(super) occurrence_at: Option<Timestamp>,
    pub(super) started_at: Option<Timestamp>,
    pub(super) stop_at: Option<Timestamp>,
    pub(super) ended_at: Option<Timestamp>,
    pub(super) outcome: Option<String>,
    pub(super) reason: Option<Message>,
    /// The target that is in trouble, or out of it: whose ingest, and since when.
    pub(super) platform: Option<String>,
    pub(super) trouble_since: Option<Timestamp>,
    pub(super) restarts: u32,
    pub(super) bytes: u64,
    /// Occurrences that are told as one.
    pub(super) count: u32,
}

/// About one broadcast of a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub(super) struct BroadcastFacts {
    pub(super) id: Uuid,
    pub(super) stream_id: Uuid,
    pub(super) channel_id: Uuid,
    pub(super) title: String,
    /// When it is to begin.
    pub(super) starts_at: Timestamp,
    /// What stands in the way, and what to do.
    pub(super) reason: Option<Message>,
    /// Where viewers find it, once it was made.
    pub(super) link: Option<String>,
}

/// A day.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub(super) struct DigestFacts {
    /// Runs that ended within the last day, by how.
    pub(super) completed: u32,
    pub(super) stopped: u32,
    pub(super) failed: u32,
    pub(super) missed: u32,
    /// Seconds on air within the last day, over all streams.
    pub(super) on_air_seconds: u64,
    pub(super) restarts: u32,
    /// What is on air now.
    pub(super) on_air: Vec<String>,
    /// What comes within the next day, the first few.
    pub(super) coming: Vec<(Timestamp, String)>,
    /// How many more come.
    pub(super) more: u32,
    pub(super) storage_used: u64,
    pub(super) storage_limit: u64,
}

/// How telling a destination goes; beside its row, so that a delivery is no change of the destination.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Delivery {
    /// Tries in a row that failed.
    pub failures: u32,
    /// Nothing is tried before then.
    pub hold_until: Option<Timestamp>,
    /// Who is at it, and until when nobody else is.
    pub claim: Option<(Uuid, Timestamp)>,
    /// The last one that got there.
    pub last_ok: Option<Timestamp>,
    /// What went wrong last; gone with the next one that gets there.
    pub fault: Option<Fault>,
    /// Notices given up since the last one that got there.
    pub given_up: u32,
}

impl Delivery {
    /// Its key in a tenant's library.
    pub(super) fn key(destination: Uuid) -> String {
        format!("delivery/{destination}")
    }

    /// Free to be tried from then on.
    pub(super) fn free_at(&self) -> Timestamp {
        let claimed = self.claim.map(|(_, until)| until);
        self.hold_until.into_iter().chain(claimed).max().unwrap_or(Timestamp::MIN)
    }
}

/// Why a notice did not get there.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Fault {
    /// When.
    pub at: Timestamp,
    /// What happened and what to do.
    pub message: Message,
}

/// Platform's marks of tenants that have destinations: the only ones that are watched.
pub(super) const MARKS: &str = "notices/";
