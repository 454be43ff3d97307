//! What a keeper is told, once, on its standard input. It holds secrets: it is never an argument, an environment
//! variable or a file.

use std::path::PathBuf;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize, Serializer};

use crate::error::{Error, Result};
use crate::live::ffmpeg::{Pace, rtmp_names, srt_secrets};
use crate::live::paint::Painting;
use crate::live::target::{Scheme, StreamKey, TargetUrl};
use crate::objects::LocalFile;

/// Everything one keeper needs to serve one target of one run.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Plan {
    /// The run that this target belongs to.
    pub run_id: String,
    /// Number of the target within the run; names the folder.
    pub target: u16,
    /// Grows with every keeper that is started for the same run and target: a slower, older one finds itself
    /// replaced and goes.
    pub fence: u64,
    /// The program, absolute.
    pub ffmpeg: PathBuf,
    /// What is played; at least one.
    pub items: Vec<Item>,
    /// The items have equal codec parameters: one ffmpeg may play them all. Otherwise each gets its own.
    pub together: bool,
    /// As listed, or mixed.
    #[serde(default)]
    pub order: Order,
    /// For [`Order::Shuffled`].
    #[serde(default)]
    pub seed: u64,
    /// Begin again when the items are through.
    #[serde(default, rename = "loop")]
    pub repeat: bool,
    /// What is laid over the picture.
    #[serde(default)]
    pub painting: Option<Painting>,
    /// Where to.
    pub destination: Destination,
    /// Wait until then before the first ffmpeg starts; the past and nothing mean at once.
    #[serde(default)]
    pub start_at: Option<Timestamp>,
    /// End exactly then, unless the keeper is told another time later on.
    #[serde(default)]
    pub stop_at: Option<Timestamp>,
    /// Lock file of the stream key, absolute: see [`lock_name`](crate::live::target::lock_name).
    pub key_lock: PathBuf,
    /// Patience; the defaults are what was measured.
    #[serde(default)]
    pub timing: Timing,
}

/// One file of the playlist. Made only from a file that a bucket handed out; reading it back from JSON is for the
/// keeper, which has no buckets.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Item {
    url: String,
    demuxer: String,
    duration: f64,
    has_audio: bool,
}

impl Item {
    /// `duration` in seconds, 0 where it is not known; `demuxer` as ffprobe named it at the gate.
    ///
    /// # Errors
    /// The path is not UTF-8 or holds a line break: the home folder has such a name.
    pub fn new(file: &LocalFile, demuxer: &str, duration: f64, has_audio: bool) -> Result<Item> {
        let url = file.ffmpeg_url().into_string().map_err(|_| anyhow::anyhow!("path is not UTF-8"));
        let url = url.map_err(Error::internal("planning a live stream"))?;
        if url.contains(['\n', '\r']) {
            return Err(Error::internal("planning a live stream")(anyhow::anyhow!("path holds a line break")));
        }
        Ok(Item { url, demuxer: demuxer.to_owned(), duration, has_audio })
    }

    pub(crate) fn url(&self) -> &str {
        &self.url
    }

    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(self.url.strip_prefix("file:").unwrap_or(&self.url))
    }

    pub(crate) fn demuxer(&self) -> &str {
        &self.demuxer
    }

    pub(crate) fn duration(&self) -> f64 {
        if self.duration.is_finite() { self.duration.max(0.0) } else { 0.0 }
    }

    pub(crate) fn has_audio(&self) -> bool {
        self.has_audio
    }
}

/// Order of the items.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Order {
    /// As they stand.
    #[default]
    Listed,
    /// Mixed anew for every pass.
    Shuffled,
}

/// Where a stream goes.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Destination {
    /// The address.
    pub url: TargetUrl,
    /// The key, where there is one.
    #[serde(default, serialize_with = "expose", deserialize_with = "read_key")]
    pub key: Option<StreamKey>,
    /// Addresses on this machine and its network are allowed by the admin.
    #[serde(default)]
    pub allow_private: bool,
}

// The one place where a key is written out in the clear: into the pipe to the keeper.
fn expose<S: Serializer>(key: &Option<StreamKey>, serializer: S) -> Result<S::Ok, S::Error> {
    key.as_ref().map(StreamKey::expose).serialize(serializer)
}

fn read_key<'de, D: serde::Deserializer<'de>>(deserializer: D) -> Result<Option<StreamKey>, D::Error> {
    let key: Option<String> = Option::deserialize(deserializer)?;
    key.map(|key| StreamKey::parse(&key).map_err(|_| serde::de::Error::custom("not a stream key"))).transpose()
}

impl Destination {
    /// Everything that must not be seen in a line of text.
    pub fn secrets(&self) -> Vec<String> {
        let mut secrets = Vec::new();
        if let Some(key) = &self.key {
            secrets.push(key.expose().to_owned());
        }
        match self.url.scheme() {
            Scheme::Srt => {
                secrets.extend(srt_secrets(self.key.as_ref()).into_iter().map(|(_, value)| value.to_owned()))
            }
            Scheme::Rtmp | Scheme::Rtmps => {
                let (app, name) = rtmp_names(&self.url, self.key.as_ref());
                secrets.push(name.to_owned());
                // Without its query, which servers and ffmpeg may print alone.
                secrets.extend(name.split_once('?').map(|(name, _)| name.to_owned()));
                secrets.extend(app.split_once('?').map(|(_, query)| query.to_owned()));
            }
        }
        secrets.retain(|secret| !secret.is_empty());
        secrets
    }
}

/// Patience. Tests shorten it; nobody else needs to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct Timing {
    /// No movement for this long: ffmpeg is ended and started again.
    pub stall_ms: u64,
    /// This far behind the clock after a standstill: likewise.
    pub behind_ms: u64,
    /// ffmpeg's own limit for one stuck send.
    pub rw_timeout_ms: u64,
    /// Between two reports of ffmpeg.
    pub stats_period_ms: u64,
    /// From the first SIGTERM to the second.
    pub term_again_ms: u64,
    /// From the second SIGTERM to SIGKILL.
    pub kill_ms: u64,
    /// First delay before starting again.
    pub delay_first_ms: u64,
    /// Longest delay.
    pub delay_most_ms: u64,
    /// This long on air sets the delay back.
    pub good_ms: u64,
    /// This long on air proves that address, key and files are right.
    pub proven_ms: u64,
    /// While the far end cannot be reached: longest time between two knocks at its door, and patience for each.
    pub knock_ms: u64,
    /// Failures in a row, with nothing ever proven, that end the run.
    pub refusals: u32,
    /// How long to wait for the stream key to be free.
    pub lock_wait_ms: u64,
}

impl Default for Timing {
    fn default() -> Self {
        Timing {
            stall_ms: 25_000,
            behind_ms: 10_000,
            rw_timeout_ms: 15_000,
            // The first comes at once.
            stats_period_ms: 5_000,
            term_again_ms: 2_000,
            kill_ms: 3_000,
            delay_first_ms: 1_000,
            delay_most_ms: 60_000,
            good_ms: 60_000,
            proven_ms: 10_000,
            knock_ms: 3_000,
            refusals: 10,
            lock_wait_ms: 2_000,
        }
    }
}

impl Timing {
    pub(crate) fn pace(&self) -> Pace {
        Pace {
            rw_timeout: Duration::from_millis(self.rw_timeout_ms),
            stats_period: Duration::from_millis(self.stats_period_ms.max(100)),
        }
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    pub(crate) fn item(name: &str, duration: f64, has_audio: bool) -> Item {
        let file = LocalFile::for_test(PathBuf::from("/v").join(name));
        Item::new(&file, "mov,mp4", duration, has_audio).unwrap()
    }

    fn destination(url: &str, key: &str) -> Destination {
        let key = Some(StreamKey::parse(key).unwrap());
        Destination { url: TargetUrl::parse(url).unwrap(), key, allow_private: false }
    }

    #[test]
    fn a_destination_travels_by_json_and_hides_from_debug() {
        let destination = destination("rtmp://host/live", "secret-key-1");
        assert!(!format!("{destination:?}").contains("secret"));
        let json = serde_json::to_string(&destination).unwrap();
        let back: Destination = serde_json::from_str(&json).unwrap();
        assert_eq!(back.key.unwrap().expose(), "secret-key-1");
    }

    #[test]
    fn every_secret_part_is_known() {
        let parts = |url, key| destination(url, key).secrets();
        assert_eq!(parts("rtmp://h/app", "abc?x=1"), ["abc?x=1", "abc?x=1", "abc"]);
        assert_eq!(parts("rtmp://h/app?token=t1", "abc"), ["abc", "abc", "token=t1"]);
        assert_eq!(
            parts("srt://h:9000", "streamid=abc&passphrase=0123456789"),
            ["streamid=abc&passphrase=0123456789", "abc", "0123456789"]
        );
        let whole = Destination { key: None, ..destination("rtmp://h/app/name", "x") };
        assert_eq!(whole.secrets(), ["name"]);
    }

    #[test]
    fn a_path_with_a_line_break_is_no_item() {
        let file = LocalFile::for_test(PathBuf::from("/v/a\nfile x"));
        assert!(Item::new(&file, "mov", 1.0, true).is_err());
    }
}
