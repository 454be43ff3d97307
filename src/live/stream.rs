//! What to put on air: a live stream's row, what people want of it, and the checks of what they type.

use std::collections::HashSet;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::overlay::Overlay;
use super::run::RunOutcome;
use super::target::{AddressFault, Platform, Scheme, StreamKey, TargetUrl, check_address, check_literal};
use crate::auth::Tenant;
use crate::error::{Error, FieldError, Result};
use crate::library::names::is_hidden;
use crate::schedule::Broadcast;
use crate::store::rows::{Header, Index, Record};
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Sealing, Secretive, Vault};

pub use super::keeper::plan::Order as PlayOrder;

/// Streams of one tenant: rows take room too, which no quota counts.
pub const MOST_STREAMS: u64 = 1000;
/// Videos in one playlist.
pub const MOST_VIDEOS: usize = 500;
/// Targets of one stream.
pub const MOST_TARGETS: usize = 4;
/// Letters in a title.
pub const LONGEST_TITLE: usize = 200;

/// What to put on air, as its owner set it up. What people *want* of it right now is its [`Order`], kept beside it so
/// that starting and stopping is no change of the stream.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LiveStream {
    /// What it is called.
    pub title: String,
    /// Playlist: ids of videos, each at most once or as often as chosen.
    pub videos: Vec<Uuid>,
    /// As listed, or mixed anew for every pass.
    pub order: PlayOrder,
    /// Begin again when the playlist is through.
    #[serde(rename = "loop")]
    pub repeat: bool,
    /// What is laid over the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
    /// Where it goes, 1 to 4 places.
    pub targets: Vec<Target>,
    /// What a platform is told of its broadcasts.
    #[serde(default, skip_serializing_if = "Broadcast::is_empty")]
    pub broadcast: Broadcast,
}

impl Record for LiveStream {
    const KIND: &'static str = "stream";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        vec![Index::text("title", &self.title)]
    }
}

/// A place that a stream goes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Target {
    /// What the sealed key is bound to.
    pub id: Uuid,
    /// Whose ingest.
    pub platform: Platform,
    /// As typed; `None` where it is the platform's own address.
    pub url: Option<TargetUrl>,
    /// The key, sealed for this target.
    pub key: Option<Sealed>,
    /// What lists may show of the key.
    pub key_masked: Option<String>,
    /// The kept key that it is, where it was chosen from those.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key_id: Option<Uuid>,
}

impl Target {
    /// Bytes travel by RTMP, which knows few codecs.
    pub(super) fn is_rtmp(&self) -> bool {
        self.address().is_ok_and(|address| address.scheme() != Scheme::Srt)
    }

    /// Where it really goes, without the key.
    ///
    /// # Errors
    /// Field `url`, where the platform has no address of its own and none was typed.
    pub fn address(&self) -> Result<TargetUrl> {
        match &self.url {
            Some(url) => Ok(url.clone()),
            None => self.platform.url(None),
        }
    }

    /// Opens the key. Only the keeper's plan and the check for double use may see it.
    pub(super) fn open_key(&self, vault: &Vault, tenant: &Tenant) -> Result<Option<StreamKey>> {
        use secrecy::ExposeSecret as _;
        let Some(sealed) = &self.key else { return Ok(None) };
        let text = vault.open_sealed(Some(tenant), Purpose::StreamKey, self.id, sealed)?;
        StreamKey::parse(text.expose_secret()).map(Some)
    }

    /// The same place for another stream: its key is sealed anew, as a seal is bound to one target.
    pub(crate) fn for_another(&self, vault: &Vault, sealing: &Sealing, tenant: &Tenant) -> Result<Target> {
        let id = Uuid::now_v7();
        let key = match self.open_key(vault, tenant)? {
            Some(key) => {
                let secret = secrecy::SecretString::from(key.expose());
                Some(sealing.seal(Some(tenant), Purpose::StreamKey, id, &secret)?)
            }
            None => None,
        };
        Ok(Target { id, key, ..self.clone() })
    }

    /// Names the stream key (and so the place on the platform) without giving it away: equal for equal places.
    pub(crate) fn key_name(&self, vault: &Vault, tenant: &Tenant) -> Result<String> {
        Ok(super::target::lock_name(&self.address()?, self.open_key(vault, tenant)?.as_ref()))
    }
}

impl Secretive for LiveStream {
    fn secrets(&self, _: Uuid) -> Vec<(Purpose, Uuid, &Sealed)> {
        let sealed = self.targets.iter().filter_map(|target| Some((target.id, target.key.as_ref()?)));
        sealed.map(|(id, key)| (Purpose::StreamKey, id, key)).collect()
    }
}

/// What people, or a schedule on their behalf, want of a stream. The engine makes the world match.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// It should be on air.
    pub on: bool,
    /// End exactly then.
    pub stop_at: Option<Timestamp>,
    /// When this was ordered.
    pub since: Option<Timestamp>,
    /// Who ordered it.
    pub by: String,
    /// The run that serves it.
    pub run: Option<Uuid>,
    /// How the last run that ended went.
    pub last: Option<LastRun>,
}

impl Order {
    /// Its key in a tenant's library.
    pub(crate) fn key(stream: Uuid) -> String {
        format!("{ORDERS}{stream}")
    }
}

/// Prefix of all orders.
pub(crate) const ORDERS: &str = "order/";

/// What a stream remembers of its last run.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct LastRun {
    /// Which.
    pub run_id: Uuid,
    /// How it ended.
    pub outcome: RunOutcome,
    /// Why, for failed and missed.
    pub reason: Option<Message>,
    /// When it ended, or when it was missed.
    pub at: Timestamp,
}

/// When a stream that is started now, or is on air, ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum End {
    /// When somebody stops it, or, without a loop, when the playlist is through.
    Open,
    /// This many seconds from now.
    After(u64),
    /// Then.
    At(Timestamp),
}

impl End {
    /// Longest time ahead, in seconds.
    const MOST: u64 = 366 * 24 * 3600;

    /// The field that says so.
    pub(super) fn field(self) -> &'static str {
        match self {
            End::After(_) => "stop_after",
            End::At(_) | End::Open => "stop_at",
        }
    }

    /// The instant, counted from `now`.
    ///
    /// # Errors
    /// Field `stop_after` or `stop_at`: in the past, or more than a year ahead.
    pub fn instant(self, now: Timestamp) -> Result<Option<Timestamp>> {
        let far = |field| Error::field(field, Message::new("live-stop-far"));
        match self {
            End::Open => Ok(None),
            End::After(0) => Err(Error::field("stop_after", Message::new("live-stop-past"))),
            End::After(seconds) if seconds > End::MOST => Err(far("stop_after")),
            End::After(seconds) => {
                let at = now.checked_add(std::time::Duration::from_secs(seconds)).map_err(|_| far("stop_after"))?;
                Ok(Some(at))
            }
            End::At(at) if at <= now => Err(Error::field("stop_at", Message::new("live-stop-past"))),
            End::At(at) if at.duration_since(now).as_secs() > End::MOST as i64 => Err(far("stop_at")),
            End::At(at) => Ok(Some(at)),
        }
    }
}

/// A target as it is typed.
#[derive(Debug, Clone)]
pub struct TargetInput {
    /// Of a target that the stream has already; otherwise the one in the same place is taken for it.
    pub id: Option<Uuid>,
    /// Whose ingest.
    pub platform: Platform,
    /// Address; needed for custom and tiktok.
    pub url: Option<String>,
    /// Key; absent or empty keeps the one that is there, as long as platform and address stay.
    pub key: Option<String>,
    /// One of the kept keys, which says address and key.
    pub key_id: Option<Uuid>,
}

/// A stream to be made.
#[derive(Debug, Clone)]
pub struct NewStream {
    /// 1 to 200 letters.
    pub title: String,
    /// 1 to 500 videos of the library.
    pub videos: Vec<Uuid>,
    /// As listed, or mixed.
    pub order: PlayOrder,
    /// Begin again at the end.
    pub repeat: bool,
    /// Laid over the picture.
    pub overlay: Option<Overlay>,
    /// 1 to 4.
    pub targets: Vec<TargetInput>,
    /// What a platform is told of its broadcasts.
    pub broadcast: Broadcast,
}

/// What is to be changed of a stream; `None` leaves it.
#[derive(Debug, Clone, Default)]
pub struct StreamChange {
    /// See [`NewStream`].
    pub title: Option<String>,
    /// See [`NewStream`].
    pub videos: Option<Vec<Uuid>>,
    /// See [`NewStream`].
    pub order: Option<PlayOrder>,
    /// See [`NewStream`].
    pub repeat: Option<bool>,
    /// See [`NewStream`]; `Some(None)` takes it away.
    pub overlay: Option<Option<Overlay>>,
    /// See [`NewStream`].
    pub targets: Option<Vec<TargetInput>>,
    /// See [`NewStream`].
    pub broadcast: Option<Broadcast>,
}

/// A title without blanks around it.
pub(crate) fn check_title(title: &str, errors: &mut Vec<FieldError>) -> String {
    let title = title.trim();
    if title.is_empty() || title.chars().count() > LONGEST_TITLE || title.chars().any(is_hidden) {
        let message = Message::new("live-title-length").with("most", LONGEST_TITLE);
        errors.push(FieldError { field: "title".into(), message });
    }
    title.to_owned()
}

/// How many videos are chosen; whether they exist is looked up by the caller.
pub(crate) fn check_playlist(videos: &[Uuid], errors: &mut Vec<FieldError>) {
    let id = match videos.len() {
        0 => "live-videos-none",
        1..=MOST_VIDEOS => return,
        _ => "live-videos-many",
    };
    errors.push(FieldError { field: "videos".into(), message: Message::new(id).with("most", MOST_VIDEOS) });
}

/// A typed target that is right, with its key still in the clear.
pub(crate) struct CheckedTarget {
    kept: Option<Target>,
    platform: Platform,
    url: Option<TargetUrl>,
    key: Option<StreamKey>,
    key_id: Option<Uuid>,
}

impl CheckedTarget {
    /// The target as it is stored, its key sealed.
    pub(crate) fn seal(&self, sealing: &Sealing, tenant: &Tenant) -> Result<Target> {
        let id = self.kept.as_ref().map_or_else(Uuid::now_v7, |kept| kept.id);
        let (key, key_masked) = match (&self.key, &self.kept) {
            (Some(key), _) => {
                let secret = secrecy::SecretString::from(key.expose());
                (Some(sealing.seal(Some(tenant), Purpose::StreamKey, id, &secret)?), Some(key.masked()))
            }
            (None, Some(kept)) => (kept.key.clone(), kept.key_masked.clone()),
            (None, None) => (None, None),
        };
        Ok(Target { id, platform: self.platform, url: self.url.clone(), key, key_masked, key_id: self.key_id })
    }
}

/// Checks typed targets, each complaint under `targets.<n>.<field>`, n from 0. `old` are those that the stream has.
pub(crate) async fn check_targets(
    inputs: &[TargetInput],
    old: &[Target],
    allow_private: bool,
    errors: &mut Vec<FieldError>,
) -> Vec<CheckedTarget> {
    if inputs.is_empty() || inputs.len() > MOST_TARGETS {
        let id = if inputs.is_empty() { "live-targets-none" } else { "live-targets-many" };
        errors.push(FieldError { field: "targets".into(), message: Message::new(id).with("most", MOST_TARGETS) });
        return Vec::new();
    }
    let mut checked = Vec::with_capacity(inputs.len());
    let mut taken = HashSet::new();
    for (number, input) in inputs.iter().enumerate() {
        let kept = match input.id {
            Some(id) => old.iter().find(|target| target.id == id),
            None => old.get(number),
        };
        let kept = kept.filter(|target| target.platform == input.platform && !taken.contains(&target.id)).cloned();
        taken.extend(kept.as_ref().map(|target| target.id));
        match check_target(input, kept, allow_private).await {
            Ok(target) => checked.push(target),
            Err(Error::Invalid(fields)) => errors.extend(fields.into_iter().map(|complaint| FieldError {
                field: format!("targets.{number}.{}", complaint.field),
                message: complaint.message,
            })),
            Err(other) => errors.push(FieldError { field: format!("targets.{number}"), message: other.message() }),
        }
    }
    checked
}

async fn check_target(input: &TargetInput, kept: Option<Target>, allow_private: bool) -> Result<CheckedTarget> {
    let (target, typed) = formed(input, kept)?;
    if let Some(address) = typed {
        let look = check_address(&address, allow_private);
        // A name that is not known now may be known at air time; the keeper says so then.
        if let Ok(Err(fault @ AddressFault::Inner(_))) = tokio::time::timeout(LOOK, look).await {
            return Err(fault.into());
        }
    }
    Ok(target)
}

/// A target of a stream that somebody intends to make, checked without asking a name server: what its key is known by, as
/// [`Target::key_name`], and the name that would have to be looked up.
///
/// # Errors
/// As making the stream, except for what a name leads to.
pub(crate) fn intended_target(input: &TargetInput, allow_private: bool) -> Result<(String, Option<String>)> {
    let (target, typed) = formed(input, None)?;
    let name = match typed {
        Some(address) => match check_literal(address.host(), address.port(), allow_private) {
            Some(judged) => judged.map(|_| None)?,
            None => Some(address.host().to_owned()),
        },
        None => None,
    };
    let address = match target.url {
        Some(address) => address,
        None => target.platform.url(None)?,
    };
    Ok((super::target::lock_name(&address, target.key.as_ref()), name))
}

/// A typed target by its form, and its address where somebody chose it.
fn formed(input: &TargetInput, kept: Option<Target>) -> Result<(CheckedTarget, Option<TargetUrl>)> {
    let platform = input.platform;
    let typed_url = input.url.as_deref().map(str::trim).filter(|url| !url.is_empty());
    let mut address = platform.url(typed_url)?;
    let mut key = match input.key.as_deref().map(str::trim).filter(|key| !key.is_empty()) {
        Some(key) => Some(StreamKey::parse(key)?),
        None => None,
    };
    let own = platform.default_url().and_then(|own| TargetUrl::parse(own).ok());
    if key.is_none() {
        let sealed = kept.as_ref().filter(|kept| kept.key.is_some());
        if sealed.is_some_and(|kept| kept.address().is_ok_and(|before| before == address)) {
            // The key stays.
        } else if let Some((place, name)) = address.split_stream_name() {
            // The last part of a full address is the key, and is kept as one.
            key = Some(StreamKey::parse(&name)?);
            address = place;
        } else if sealed.is_some() {
            // A key is only ever sent where its owner sent it: another address needs the key again (THREATS 21).
            return Err(Error::field("key", Message::new("live-key-again")));
        } else {
            address.check_key(platform, None)?;
        }
    }
    let before = kept.as_ref().and_then(|kept| kept.address().ok());
    if address.has_parameters() && before.as_ref() != Some(&address) {
        return Err(Error::field("url", Message::new("live-url-query")));
    }
    let url = (own.as_ref() != Some(&address)).then_some(address);
    // A key that was typed is no kept one; one that stays is what it was.
    let key_id = match (&key, input.key_id) {
        (Some(_), chosen) => chosen,
        (None, _) => kept.as_ref().and_then(|kept| kept.key_id),
    };
    let typed = url.clone().filter(|_| typed_url.is_some());
    Ok((CheckedTarget { kept, platform, url, key, key_id }, typed))
}

/// Saving a form does not wait longer than this for a name server.
const LOOK: std::time::Duration = std::time::Duration::from_secs(2);
