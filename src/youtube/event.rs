//! A broadcast on a channel for one occurrence: what is wanted of it, what the platform was told, and how far it is.

use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::model::{
    Broadcast as Resource, BroadcastDetails, BroadcastSnippet, BroadcastStatus, MonitorStream, Video, VideoSnippet,
};
use crate::schedule::Latency;
use crate::schedule::broadcast::USUAL;
use crate::schedule::sheet::Privacy;
use crate::store::rows::{Header, Index, Record};
use crate::text::Message;

/// What is wanted of a broadcast, with nothing left open.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Wanted {
    /// Settings of the broadcast.
    pub settings: Settings,
    /// Texts of its video.
    pub texts: Texts,
    /// Its picture.
    pub thumbnail: Option<Uuid>,
    /// Playlist that it belongs to.
    pub playlist: Option<String>,
    /// A new one follows before the platform stops recording.
    pub roll_over: bool,
}

/// Settings of a broadcast.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Settings {
    /// When it begins.
    pub starts_at: Timestamp,
    /// When it ends.
    pub stops_at: Option<Timestamp>,
    /// Who may see it.
    pub privacy: Privacy,
    /// It is made for children.
    pub made_for_kids: bool,
    /// The platform shows it as soon as bytes come.
    pub auto_start: bool,
    /// The platform ends it when no more come.
    pub auto_stop: bool,
    /// How far viewers are behind.
    pub latency: Latency,
    /// Viewers may go back.
    pub dvr: bool,
}

/// Texts of a broadcast's video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Texts {
    /// Title.
    pub title: String,
    /// Description.
    pub description: String,
    /// Tags.
    pub tags: Vec<String>,
    /// Number of the category.
    pub category: Option<u16>,
}

/// How a broadcast ended for us.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Over {
    /// It was shown and is complete.
    Complete,
    /// It was taken away before it was shown, or never made.
    Removed,
    /// Somebody deleted it on the platform.
    Gone,
}

impl Over {
    /// The word of the API.
    pub fn code(self) -> &'static str {
        match self {
            Over::Complete => "complete",
            Over::Removed => "removed",
            Over::Gone => "gone",
        }
    }
}

/// A broadcast of a channel. The row is there before the platform is asked for anything.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Event {
    /// Our stream.
    pub stream_id: Uuid,
    /// Its target.
    pub target_id: Uuid,
    /// The connection of the channel.
    pub channel_id: Uuid,
    /// The platform's id of the stream key.
    pub platform_stream: String,
    /// The schedule and, of it, the local time that its rule names; none for one that was started by hand.
    pub schedule: Option<(Uuid, DateTime)>,
    /// What that occurrence is called.
    pub occurrence: Option<String>,
    /// The run, where it was started by hand.
    pub run_id: Option<Uuid>,
    /// Which one of the occurrence, from 1: further ones follow before the platform stops recording.
    pub part: u32,
    /// What is wanted.
    pub wanted: Wanted,
    /// It is not wanted any more.
    pub unwanted: bool,
    /// Stands in the description until its id is known, so that it is found again.
    pub marker: String,
    /// When the platform was first asked to make it, and how often since.
    pub asked: Option<(Timestamp, u32)>,
    /// The platform's id.
    pub broadcast: Option<String>,
    /// Settings that the platform was told.
    pub told_settings: Option<Settings>,
    /// Texts that it was told.
    pub told_texts: Option<Texts>,
    /// Picture that it was given.
    pub told_thumbnail: Option<Uuid>,
    /// Playlist that it was put into.
    pub told_playlist: Option<String>,
    /// The key is bound to it.
    pub bound: bool,
    /// The platform was told to show it.
    pub moved_at: Option<Timestamp>,
    /// The platform shows it since.
    pub live_at: Option<Timestamp>,
    /// When it was over, and how.
    pub over: Option<(Timestamp, Over)>,
    /// Units are kept for it on the day of this instant.
    pub kept: Option<Timestamp>,
    /// Project of those units.
    pub project: Option<String>,
    /// Tries in vain since the last one that went well.
    pub tries: u32,
    /// Nothing is tried before then.
    pub not_before: Option<Timestamp>,
    /// Nothing of what is told beside it (texts, picture, playlist) is tried before then.
    pub aside_until: Option<Timestamp>,
    /// Why, in words.
    pub trouble: Option<Message>,
    /// What was last to be done with it: with another one, what stood in the way is tried at once.
    #[serde(default)]
    pub phase: Phase,
}

/// What is to be done with a broadcast.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It is made, or taken away.
    #[default]
    Ahead,
    /// Its run is on air.
    OnAir,
    /// Its run is over, and viewers may see it yet.
    Ending,
}

impl Record for Event {
    const KIND: &'static str = "youtube_event";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        let of = |name, id: &Uuid| Index { name, key: id.as_bytes().to_vec(), value: Vec::new() };
        let mut indexes = vec![of("stream", &self.stream_id)];
        indexes.extend(self.schedule.as_ref().map(|(id, _)| of("schedule", id)));
        indexes.extend(self.run_id.as_ref().map(|id| of("run", id)));
        let mut mark = |name| indexes.push(Index { name, key: Vec::new(), value: Vec::new() });
        if self.over.is_none() {
            mark("open");
        } else if self.kept.is_some() {
            // Its units are to be given back.
            mark("kept");
        }
        indexes
    }
}

/// How far a broadcast is, in a word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Stage {
    /// It is to be made.
    Planned,
    /// It is there, and not everything is told yet.
    Preparing,
    /// Everything is as wanted; its time has not come.
    Ready,
    /// The platform was told to show it.
    Starting,
    /// The platform shows it.
    Live,
    /// It is to be taken away, or ended.
    Ending,
    /// See [`Over`].
    Over(Over),
}

impl Stage {
    /// The word of the API.
    pub fn code(self) -> &'static str {
        match self {
            Stage::Planned => "planned",
            Stage::Preparing => "preparing",
            Stage::Ready => "ready",
            Stage::Starting => "starting",
            Stage::Live => "live",
            Stage::Ending => "ending",
            Stage::Over(over) => over.code(),
        }
    }
}

/// What is tried again within this is nobody's business yet.
const SOON: Duration = Duration::from_secs(120);

impl Event {
    /// Viewers may see it.
    pub(super) fn is_seen(&self) -> bool {
        self.moved_at.is_some() || self.live_at.is_some()
    }

    /// Whether something stands in its way that does not go away by itself in a moment.
    pub(super) fn is_held_up(&self, now: Timestamp) -> bool {
        let next = self.not_before.max(self.aside_until);
        !self.unwanted && self.over.is_none() && self.trouble.is_some() && next.is_some_and(|next| next > now + SOON)
    }

    /// The key that makes it the only one of its occurrence on a channel.
    pub(super) fn key(&self) -> String {
        let of = match (&self.schedule, &self.occurrence, self.run_id) {
            (Some((schedule, _)), Some(name), _) => format!("{schedule}/{name}"),
            (_, _, run) => format!("run/{}", run.unwrap_or_default()),
        };
        format!("youtube-event/{of}/{}/{}/{}", self.target_id, self.channel_id, self.part)
    }

    /// How far it is.
    pub fn stage(&self) -> Stage {
        match (self.over, &self.broadcast) {
            (Some((_, over)), _) => Stage::Over(over),
            _ if self.unwanted => Stage::Ending,
            (_, None) => Stage::Planned,
            _ if self.live_at.is_some() => Stage::Live,
            _ if self.moved_at.is_some() => Stage::Starting,
            _ if self.is_told() => Stage::Ready,
            _ => Stage::Preparing,
        }
    }

    /// Its place among others, the first first: on air, to come by its time, over the newest first.
    pub(super) fn place(&self) -> (u8, i64) {
        let begun = self.is_seen();
        match self.over {
            Some((at, _)) => (2, -at.as_millisecond()),
            None if begun => (0, self.wanted.settings.starts_at.as_millisecond()),
            None => (1, self.wanted.settings.starts_at.as_millisecond()),
        }
    }

    fn is_told(&self) -> bool {
        self.bound
            && self.told_settings.as_ref() == Some(&self.wanted.settings)
            && self.told_texts.as_ref() == Some(&self.wanted.texts)
            && self.wanted.thumbnail.is_none_or(|id| self.told_thumbnail == Some(id))
            && self.wanted.playlist.as_ref().is_none_or(|id| self.told_playlist.as_ref() == Some(id))
    }

    /// Where viewers find it.
    pub fn link(&self) -> Option<String> {
        self.broadcast.as_ref().map(|id| format!("https://www.youtube.com/watch?v={id}"))
    }

    /// A broadcast's description while its id is not known: as much of the text as there is room for, and the marker.
    fn marked(&self) -> String {
        let room = crate::schedule::Broadcast::LONGEST_DESCRIPTION - self.marker.len() - 2;
        let text = &self.wanted.texts.description;
        let mut end = text.len().min(room);
        while !text.is_char_boundary(end) {
            end -= 1;
        }
        format!("{}\n\n{}", &text[..end], self.marker)
    }

    /// Whether a broadcast of the platform is this one.
    pub(super) fn knows(&self, found: &Resource) -> bool {
        let text = found.snippet.as_ref().and_then(|snippet| snippet.description.as_deref());
        text.is_some_and(|text| text.contains(&self.marker))
    }

    /// The broadcast as it is made. The platform takes no start that has passed.
    pub(super) fn to_make(&self, now: Timestamp) -> Resource {
        let soon = now + std::time::Duration::from_secs(30);
        let mut made = self.resource(self.wanted.settings.starts_at.max(soon), self.marked());
        let kids = Some(self.wanted.settings.made_for_kids);
        made.status.get_or_insert_default().self_declared_made_for_kids = kids;
        made
    }

    /// The broadcast as it is changed.
    pub(super) fn to_change(&self, now: Timestamp) -> Resource {
        let soon = now + std::time::Duration::from_secs(30);
        let starts_at = self.wanted.settings.starts_at.max(soon);
        // Its texts would be taken away if they were left out.
        let made = self.resource(starts_at, self.wanted.texts.description.clone());
        Resource { id: self.broadcast.clone(), ..made }
    }

    fn resource(&self, starts_at: Timestamp, description: String) -> Resource {
        let settings = &self.wanted.settings;
        Resource {
            id: None,
            snippet: Some(BroadcastSnippet {
                title: Some(self.wanted.texts.title.clone()),
                description: Some(description),
                scheduled_start_time: Some(starts_at),
                scheduled_end_time: settings.stops_at.filter(|stop| *stop > starts_at),
            }),
            status: Some(BroadcastStatus {
                privacy_status: Some(settings.privacy.code().to_owned()),
                self_declared_made_for_kids: None,
                life_cycle_status: None,
            }),
            content_details: Some(BroadcastDetails {
                bound_stream_id: None,
                // With a preview it would have to be tested before it is shown.
                monitor_stream: Some(MonitorStream { enable_monitor_stream: false, broadcast_stream_delay_ms: 0 }),
                enable_auto_start: Some(settings.auto_start),
                enable_auto_stop: Some(settings.auto_stop),
                enable_dvr: Some(settings.dvr),
                record_from_start: Some(true),
                enable_embed: None,
                latency_preference: Some(
                    match settings.latency {
                        Latency::Normal => "normal",
                        Latency::Low => "low",
                        Latency::UltraLow => "ultraLow",
                    }
                    .to_owned(),
                ),
            }),
        }
    }

    /// Its video with the texts that are wanted.
    pub(super) fn to_tell(&self) -> Video {
        let texts = &self.wanted.texts;
        Video {
            id: self.broadcast.clone(),
            snippet: Some(VideoSnippet {
                title: Some(texts.title.clone()),
                description: Some(texts.description.clone()),
                tags: Some(texts.tags.clone()),
                category_id: Some(texts.category.unwrap_or(USUAL.category).to_string()),
            }),
            status: None,
        }
    }
}

/// A marker that nobody else has.
pub(super) fn marker(id: Uuid) -> String {
    format!("[{}]", id.simple())
}
