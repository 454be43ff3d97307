//! Resources of the API, as far as this program reads and writes them. What is absent is absent on the wire.

use jiff::Timestamp;
use serde::{Deserialize, Deserializer, Serialize};

use crate::live::target::StreamKey;

/// Whether a text can be an id of the platform's: it is kept, and stands in addresses.
pub fn is_id(text: &str) -> bool {
    (1..=128).contains(&text.len())
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'-' | b'_'))
}

/// Reads an id; an answer with anything else in its place cannot be read.
fn parse_id<'de, D: Deserializer<'de>>(from: D) -> Result<Option<String>, D::Error> {
    match Option::<String>::deserialize(from)? {
        Some(text) if !is_id(&text) => Err(serde::de::Error::custom("that is no id")),
        id => Ok(id),
    }
}

/// A page of a list.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Page<T> {
    /// What is on it.
    pub items: Vec<T>,
    /// Token of the next one.
    pub next_page_token: Option<String>,
    /// Names what it says: the same as long as nothing changed.
    pub etag: Option<String>,
}

impl<T> Default for Page<T> {
    fn default() -> Self {
        Page { items: Vec::new(), next_page_token: None, etag: None }
    }
}

/// `liveBroadcast`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Broadcast {
    /// Also the id of its video.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse_id")]
    pub id: Option<String>,
    /// Texts and times.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<BroadcastSnippet>,
    /// Who may see it, and how far it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<BroadcastStatus>,
    /// How it is shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_details: Option<BroadcastDetails>,
}

/// Its texts and times.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BroadcastSnippet {
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// When it is to begin.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_start_time: Option<Timestamp>,
    /// When it is to end.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub scheduled_end_time: Option<Timestamp>,
}

/// Who may see it, and how far it is.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BroadcastStatus {
    /// `public`, `unlisted` or `private`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_status: Option<String>,
    /// Set when it is made, and never after.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_declared_made_for_kids: Option<bool>,
    /// Only read.
    #[serde(skip_serializing)]
    pub life_cycle_status: Option<LifeCycle>,
}

/// How far a broadcast is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "camelCase")]
pub enum LifeCycle {
    /// Its settings are incomplete: no stream is bound.
    Created,
    /// Ready to begin.
    Ready,
    /// A preview is being begun.
    TestStarting,
    /// Only its owner sees it.
    Testing,
    /// It is about to be shown.
    LiveStarting,
    /// It is shown.
    Live,
    /// Over.
    Complete,
    /// Taken down.
    Revoked,
    /// A word that this program does not know.
    #[serde(other)]
    Other,
}

impl LifeCycle {
    /// It is over, whoever ended it.
    pub fn is_over(self) -> bool {
        matches!(self, LifeCycle::Complete | LifeCycle::Revoked)
    }
}

/// How it is shown.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct BroadcastDetails {
    /// Stream that is bound to it; only read.
    #[serde(skip_serializing, deserialize_with = "parse_id")]
    pub bound_stream_id: Option<String>,
    /// The preview.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub monitor_stream: Option<MonitorStream>,
    /// Shown as soon as bytes come.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_auto_start: Option<bool>,
    /// Ended about a minute after the last byte.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_auto_stop: Option<bool>,
    /// Viewers may go back.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_dvr: Option<bool>,
    /// Viewers may see it again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub record_from_start: Option<bool>,
    /// It may be shown on other sites.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub enable_embed: Option<bool>,
    /// `normal`, `low` or `ultraLow`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_preference: Option<String>,
}

/// The preview.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct MonitorStream {
    /// Where it is on, a broadcast has to be tested before it is shown.
    pub enable_monitor_stream: bool,
    /// Seconds.
    pub broadcast_stream_delay_ms: u32,
}

/// `liveStream`. Its `Debug` shows no key.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Stream {
    /// Id.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse_id")]
    pub id: Option<String>,
    /// Texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<StreamSnippet>,
    /// Where it comes in.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cdn: Option<Cdn>,
    /// How it is.
    #[serde(skip_serializing)]
    pub status: Option<StreamStatus>,
    /// Whether it can be used again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub content_details: Option<StreamDetails>,
}

/// Texts of a stream.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamSnippet {
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
}

/// Where a stream comes in.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Cdn {
    /// `rtmp`, `dash`, `hls`, `webrtc`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ingestion_type: Option<String>,
    /// `variable` or such as `1080p`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub resolution: Option<String>,
    /// `variable`, `30fps` or `60fps`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub frame_rate: Option<String>,
    /// Only read.
    #[serde(skip_serializing)]
    pub ingestion_info: Option<IngestionInfo>,
}

/// Address and key.
#[derive(Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct IngestionInfo {
    /// The key. Secret.
    stream_name: String,
    /// Where to.
    pub ingestion_address: String,
}

impl IngestionInfo {
    /// The key.
    ///
    /// # Errors
    /// Field `key`, where the platform gave none that can be used.
    pub fn key(&self) -> crate::error::Result<StreamKey> {
        StreamKey::parse(&self.stream_name)
    }
}

impl std::fmt::Debug for IngestionInfo {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(formatter, "IngestionInfo({}, ****)", self.ingestion_address)
    }
}

/// How a stream is.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamStatus {
    /// `active`, `created`, `error`, `inactive` or `ready`.
    pub stream_status: String,
    /// What the platform thinks of it.
    pub health_status: Option<HealthStatus>,
}

impl StreamStatus {
    /// Bytes arrive there.
    pub fn is_active(&self) -> bool {
        self.stream_status == "active"
    }
}

/// What the platform thinks of a stream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct HealthStatus {
    /// `good`, `ok`, `bad` or `noData`.
    pub status: String,
    /// What is wrong.
    pub configuration_issues: Vec<Issue>,
}

/// One thing that is wrong with a stream.
#[derive(Debug, Clone, Default, PartialEq, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Issue {
    /// Such as `gopSizeLong`.
    #[serde(rename = "type")]
    pub kind: String,
    /// `info`, `warning` or `error`.
    pub severity: String,
}

/// Whether a stream can be used again.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct StreamDetails {
    /// For more than one broadcast.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub is_reusable: Option<bool>,
}

/// `video`.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct Video {
    /// Id.
    #[serde(skip_serializing_if = "Option::is_none", deserialize_with = "parse_id")]
    pub id: Option<String>,
    /// Texts.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub snippet: Option<VideoSnippet>,
    /// Who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<VideoStatus>,
}

/// Texts of a video.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoSnippet {
    /// Title.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub title: Option<String>,
    /// Description.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Tags.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub tags: Option<Vec<String>>,
    /// Number of its category.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub category_id: Option<String>,
}

/// Who may see a video.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct VideoStatus {
    /// `public`, `unlisted` or `private`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy_status: Option<String>,
    /// When it becomes public; it is private until then.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub publish_at: Option<Timestamp>,
    /// It is made for children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub self_declared_made_for_kids: Option<bool>,
    /// `uploaded`, `processed`, `failed`, `rejected`, `deleted`; only read.
    #[serde(skip_serializing)]
    pub upload_status: Option<String>,
}

/// `playlistItem`.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlaylistItem {
    /// What and where.
    pub snippet: PlaylistItemSnippet,
}

/// What is in which playlist.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct PlaylistItemSnippet {
    /// The playlist.
    pub playlist_id: String,
    /// The video.
    pub resource_id: ResourceId,
}

/// Names a resource.
#[derive(Debug, Clone, Default, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", default)]
pub struct ResourceId {
    /// `youtube#video`.
    pub kind: String,
    /// Its id.
    pub video_id: String,
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn an_answer_whose_ids_are_no_ids_cannot_be_read() {
        let long = "x".repeat(129);
        for id in ["", "../x", "a b", "a&id=b", "sm\u{e5}", long.as_str()] {
            let answer = json!({"id": id, "contentDetails": {"boundStreamId": id}});
            assert!(serde_json::from_value::<Stream>(answer.clone()).is_err(), "{id}");
            assert!(serde_json::from_value::<Video>(answer.clone()).is_err(), "{id}");
            assert!(serde_json::from_value::<Broadcast>(answer).is_err(), "{id}");
            assert!(serde_json::from_value::<Broadcast>(json!({"contentDetails": {"boundStreamId": id}})).is_err());
        }
        let video: Video = serde_json::from_value(json!({"id": "dQw4w9WgXc_-"})).unwrap();
        assert_eq!(video.id.as_deref(), Some("dQw4w9WgXc_-"));
        let broadcast: Broadcast = serde_json::from_value(json!({"contentDetails": {"boundStreamId": null}})).unwrap();
        assert_eq!((broadcast.id, broadcast.content_details.unwrap().bound_stream_id), (None, None));
    }
}
