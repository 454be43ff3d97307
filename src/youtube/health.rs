//! The platform's complaints about a stream, in plain words.
//!
//! Source: Google, "LiveStreams" resource, `status.healthStatus.configurationIssues[].type`.

use super::model::{HealthStatus, StreamStatus};
use crate::text::Message;

/// The platform's words and ours: the several words of one trouble are one text.
const TABLE: &[(&str, &str)] = &[
    ("audioBitrateHigh", "youtube-health-audio-bitrate-high"),
    ("audioBitrateLow", "youtube-health-audio-bitrate-low"),
    ("audioBitrateMismatch", "youtube-health-two-senders"),
    ("audioCodec", "youtube-health-audio-codec"),
    ("audioCodecMismatch", "youtube-health-two-senders"),
    ("audioSampleRate", "youtube-health-audio-rate"),
    ("audioSampleRateMismatch", "youtube-health-two-senders"),
    ("audioStereoMismatch", "youtube-health-two-senders"),
    ("audioTooManyChannels", "youtube-health-audio-channels"),
    ("badContainer", "youtube-health-container"),
    ("bitrateHigh", "youtube-health-bitrate-high"),
    ("bitrateLow", "youtube-health-bitrate-low"),
    ("frameRateHigh", "youtube-health-frame-rate"),
    ("framerateMismatch", "youtube-health-two-senders"),
    ("gopMismatch", "youtube-health-two-senders"),
    ("gopSizeLong", "youtube-health-gop-long"),
    ("gopSizeOver", "youtube-health-gop-long"),
    ("gopSizeShort", "youtube-health-gop-short"),
    ("interlacedVideo", "youtube-health-interlaced"),
    ("multipleAudioStreams", "youtube-health-many-streams"),
    ("multipleVideoStreams", "youtube-health-many-streams"),
    ("noAudioStream", "youtube-health-no-audio"),
    ("noVideoStream", "youtube-health-no-video"),
    ("openGop", "youtube-health-open-gop"),
    ("resolutionMismatch", "youtube-health-two-senders"),
    ("videoBitrateMismatch", "youtube-health-two-senders"),
    ("videoCodec", "youtube-health-video-codec"),
    ("videoCodecMismatch", "youtube-health-two-senders"),
    ("videoIngestionFasterThanRealtime", "youtube-health-fast"),
    ("videoIngestionStarved", "youtube-health-starved"),
    ("videoInterlaceMismatch", "youtube-health-two-senders"),
    ("videoProfileMismatch", "youtube-health-two-senders"),
    ("videoResolutionSuboptimal", "youtube-health-resolution"),
    ("videoResolutionUnsupported", "youtube-health-resolution"),
];

fn weight(severity: &str) -> u8 {
    match severity {
        "error" => 0,
        "warning" => 1,
        _ => 2,
    }
}

fn of_health(health: &HealthStatus) -> Vec<Message> {
    let mut issues: Vec<_> = health.configuration_issues.iter().collect();
    issues.sort_by_key(|issue| weight(&issue.severity));
    let mut words: Vec<Message> = Vec::new();
    for issue in issues {
        let known = TABLE.iter().find(|(kind, _)| *kind == issue.kind).map(|(_, id)| Message::new(id));
        let is_word = |kind: &str| (1..=64).contains(&kind.len()) && kind.bytes().all(|b| b.is_ascii_alphanumeric());
        let word = known.or_else(|| {
            is_word(&issue.kind).then(|| Message::new("youtube-health-other").with("word", issue.kind.clone()))
        });
        words.extend(word.filter(|word| !words.contains(word)));
    }
    words
}

/// Likewise, in the first moments of sending: that nothing has arrived yet is no trouble then.
pub fn first_words(status: &StreamStatus) -> Vec<Message> {
    if status.is_active() { words(status) } else { vec![Message::new("youtube-health-waits")] }
}

/// What the platform says of a stream, the worst first; one word at least.
pub fn words(status: &StreamStatus) -> Vec<Message> {
    if !status.is_active() {
        return vec![Message::new("youtube-health-silent")];
    }
    let mut words = status.health_status.as_ref().map(of_health).unwrap_or_default();
    if words.is_empty() {
        let id = match status.health_status.as_ref().map(|health| health.status.as_str()) {
            Some("good") => "youtube-health-good",
            Some("ok") => "youtube-health-ok",
            Some("bad") => "youtube-health-bad",
            _ => "youtube-health-arrives",
        };
        words.push(Message::new(id));
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::text::Locale;
    use crate::youtube::model::Issue;

    fn status(state: &str, grade: &str, issues: &[(&str, &str)]) -> StreamStatus {
        let issues = issues.iter().map(|(kind, severity)| Issue { kind: (*kind).into(), severity: (*severity).into() });
        let health = HealthStatus { status: grade.into(), configuration_issues: issues.collect() };
        StreamStatus { stream_status: state.into(), health_status: Some(health) }
    }

    fn ids(status: &StreamStatus) -> Vec<String> {
        words(status).into_iter().map(|word| word.id.into_owned()).collect()
    }

    #[test]
    fn every_complaint_has_plain_words_in_both_languages() {
        for (kind, id) in TABLE {
            assert_eq!(ids(&status("active", "bad", &[(kind, "warning")])), [*id], "{kind}");
            for locale in [Locale::En, Locale::Id] {
                let told = Message::new(id).in_locale(locale);
                assert!(told != *id && !told.contains(kind), "{told}");
            }
        }
    }

    #[test]
    fn the_worst_comes_first_and_nothing_twice() {
        let found = ids(&status(
            "active",
            "bad",
            &[("bitrateLow", "info"), ("gopSizeLong", "warning"), ("gopSizeOver", "info"), ("noAudioStream", "error")],
        ));
        assert_eq!(found, ["youtube-health-no-audio", "youtube-health-gop-long", "youtube-health-bitrate-low"]);
        assert_eq!(ids(&status("active", "good", &[])), ["youtube-health-good"]);
        assert_eq!(ids(&status("inactive", "noData", &[])), ["youtube-health-silent"]);
        assert_eq!(ids(&status("active", "bad", &[("brandNew", "error")])), ["youtube-health-other"]);
        assert_eq!(ids(&status("active", "bad", &[("<b>", "error")])), ["youtube-health-bad"]);
    }
}
