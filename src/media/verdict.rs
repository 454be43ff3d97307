//! What a video's facts mean for streaming by copy, in plain words.
//!
//! A video is ready if it can go on air as it is and the platform will have nothing to complain about that only a
//! new encoding can mend. Everything else is said, with what it would cause.

use serde::{Deserialize, Serialize};

use super::Facts;
use crate::text::Message;

/// Platforms complain above this many seconds between keyframes; the tenth allows for 29.97 frames a second.
const KEYFRAMES_AT_MOST: f64 = 4.1;
/// Platforms ask for this many.
const KEYFRAMES_WISHED: f64 = 2.1;
/// Sound may end this much before the picture, in seconds, before a loop has an audible hole.
const HOLE: f64 = 0.5;
/// Sample rates that platforms ask for.
const WISHED_RATES: [u32; 2] = [44_100, 48_000];
/// FLV carries MP3 at these rates only; ffmpeg stops at others.
const MP3_RATES: [u32; 4] = [48_000, 44_100, 22_050, 11_025];

/// Whether a video can go on air by copy, and everything there is to say about it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Verdict {
    /// No finding blocks.
    pub ready: bool,
    /// What was found, the worst first.
    pub findings: Vec<Finding>,
}

/// One thing that is not as platforms like it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Finding {
    /// Which, for programs.
    pub code: Code,
    /// How bad.
    pub severity: Severity,
    /// What it is, what it would cause and what to do, for people.
    pub message: Message,
}

/// How bad a finding is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Cannot go by copy, or the platform would complain: it needs a new encoding.
    Blocks,
    /// Works; worth knowing.
    Warns,
}

/// Every kind of finding.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Code {
    /// The picture is not H.264.
    VideoCodec,
    /// Colours that players cannot show.
    PixelFormat,
    /// Full-range colours.
    ColourRange,
    /// Keyframes too far apart.
    Keyframes,
    /// Frames are reordered and do not say when they are shown.
    MissingTimes,
    /// Frames come unevenly.
    VariableFrameRate,
    /// More frames a second than platforms take.
    FrameRate,
    /// A frame is two fields.
    Interlaced,
    /// Lies on its side without the turn that players apply.
    Rotated,
    /// Larger than platforms take.
    Resolution,
    /// More bits than the size needs.
    BitrateHigh,
    /// Fewer bits than the size needs.
    BitrateLow,
    /// No sound.
    Silent,
    /// Sound that RTMP cannot carry.
    AudioCodec,
    /// A sample rate that RTMP or the platforms do not take.
    AudioSampleRate,
    /// More than two channels.
    AudioChannels,
    /// Sound ends before the picture.
    AudioShort,
    /// Picture ends before the sound.
    AudioLong,
}

/// Bitrates that suit a size, in kbit/s.
struct Suitable {
    /// For sizes whose shorter side is at most this many pixels.
    side: u32,
    /// At 30 frames a second: from, to.
    slow: (u32, u32),
    /// At 60 frames a second: from, to.
    fast: (u32, u32),
}

/// As the large platforms publish them.
const SUITABLE: [Suitable; 8] = [
    Suitable { side: 240, slow: (300, 700), fast: (300, 1_000) },
    Suitable { side: 360, slow: (400, 1_000), fast: (400, 1_500) },
    Suitable { side: 480, slow: (500, 2_000), fast: (750, 3_000) },
    Suitable { side: 720, slow: (1_500, 4_000), fast: (2_250, 6_000) },
    Suitable { side: 1080, slow: (3_000, 6_000), fast: (4_500, 9_000) },
    Suitable { side: 1440, slow: (6_000, 13_000), fast: (9_000, 18_000) },
    Suitable { side: 2160, slow: (13_000, 34_000), fast: (20_000, 51_000) },
    Suitable { side: u32::MAX, slow: (20_000, 51_000), fast: (20_000, 51_000) },
];

impl Verdict {
    /// Whether RTMP has no place for what is in the file, so that no attempt to send it would ever get through.
    /// `painted`: the picture is encoded anew on the way.
    pub fn bars_rtmp(&self, painted: bool) -> bool {
        self.findings.iter().any(|finding| match finding.code {
            Code::VideoCodec | Code::MissingTimes => !painted,
            Code::AudioCodec => true,
            Code::AudioSampleRate => finding.severity == Severity::Blocks,
            _ => false,
        })
    }
}

/// Judges a video for streaming by copy.
pub fn verdict(facts: &Facts) -> Verdict {
    let mut findings = Vec::new();
    picture(facts, &mut findings);
    bitrate(facts, &mut findings);
    sound(facts, &mut findings);
    findings.sort_by_key(|finding| finding.severity);
    Verdict { ready: findings.iter().all(|finding| finding.severity != Severity::Blocks), findings }
}

fn blocks(code: Code, message: Message) -> Finding {
    Finding { code, severity: Severity::Blocks, message }
}

fn warns(code: Code, message: Message) -> Finding {
    Finding { code, severity: Severity::Warns, message }
}

/// One decimal is as much as a person wants to read.
fn tenths(number: f64) -> f64 {
    (number * 10.0).round() / 10.0
}

fn picture(facts: &Facts, findings: &mut Vec<Finding>) {
    let video = &facts.video;
    if video.codec != "h264" {
        let codec = video.codec.as_str();
        findings.push(blocks(Code::VideoCodec, Message::new("media-finding-video-codec").with("codec", codec)));
    }
    match video.pixel_format.as_deref() {
        Some("yuv420p") => {}
        Some("yuvj420p") => findings.push(warns(Code::ColourRange, Message::new("media-finding-colour-range"))),
        other => findings.push(blocks(
            Code::PixelFormat,
            Message::new("media-finding-pixel-format").with("format", other.unwrap_or("?")),
        )),
    }
    if let Some(interval) = video.keyframe_interval {
        let seconds = tenths(interval);
        if interval > KEYFRAMES_AT_MOST {
            let message = Message::new("media-finding-keyframes").with("seconds", seconds);
            findings.push(blocks(Code::Keyframes, message));
        } else if interval > KEYFRAMES_WISHED {
            let message = Message::new("media-finding-keyframes-wide").with("seconds", seconds);
            findings.push(warns(Code::Keyframes, message));
        }
    }
    if video.reordered && !video.complete_times {
        // Measured: ffmpeg's FLV writer stops at the first such frame.
        findings.push(blocks(Code::MissingTimes, Message::new("media-finding-missing-times")));
    }
    if video.rotation % 360 != 0 {
        let message = Message::new("media-finding-rotated").with("degrees", video.rotation.to_string());
        findings.push(blocks(Code::Rotated, message));
    }
    if video.constant_frame_rate == Some(false) {
        findings.push(warns(Code::VariableFrameRate, Message::new("media-finding-variable-frame-rate")));
    }
    if video.frame_rate > 60.5 {
        let message = Message::new("media-finding-frame-rate").with("rate", tenths(video.frame_rate));
        findings.push(warns(Code::FrameRate, message));
    }
    if video.interlaced {
        findings.push(warns(Code::Interlaced, Message::new("media-finding-interlaced")));
    }
    if video.width.max(video.height) > 3840 || video.width.min(video.height) > 2160 {
        let size = format!("{}×{}", video.width, video.height);
        findings.push(warns(Code::Resolution, Message::new("media-finding-resolution").with("size", size)));
    }
}

/// What platforms ask for, in kbit/s from and to, of a picture whose shorter side is `side` pixels.
pub(super) fn suitable(side: u32, frame_rate: f64) -> (u32, u32) {
    // The last one is for every size beyond.
    let row = SUITABLE.iter().find(|row| side <= row.side).unwrap_or(&SUITABLE[SUITABLE.len() - 1]);
    if frame_rate > 32.0 { row.fast } else { row.slow }
}

fn bitrate(facts: &Facts, findings: &mut Vec<Finding>) {
    let (low, high) = suitable(facts.video.width.min(facts.video.height), facts.video.frame_rate);
    let rate = facts.bitrate as f64 / 1000.0;
    // The tables are advice; only what is far off is worth a word.
    let (code, id) = if rate > f64::from(high) * 1.5 {
        (Code::BitrateHigh, "media-finding-bitrate-high")
    } else if rate < f64::from(low) * 0.5 {
        (Code::BitrateLow, "media-finding-bitrate-low")
    } else {
        return;
    };
    let message = Message::new(id)
        .with("mbit", tenths((rate / 1000.0).max(0.1)))
        .with("low", tenths(f64::from(low) / 1000.0))
        .with("high", tenths(f64::from(high) / 1000.0));
    findings.push(warns(code, message));
}

fn sound(facts: &Facts, findings: &mut Vec<Finding>) {
    let Some(audio) = &facts.audio else {
        findings.push(warns(Code::Silent, Message::new("media-finding-silent")));
        return;
    };
    let rate = audio.sample_rate;
    match audio.codec.as_str() {
        "mp3" if !MP3_RATES.contains(&rate) => {
            let message = Message::new("media-finding-mp3-sample-rate").with("rate", rate.to_string());
            findings.push(blocks(Code::AudioSampleRate, message));
        }
        "aac" | "mp3" if !WISHED_RATES.contains(&rate) => {
            let message = Message::new("media-finding-audio-sample-rate").with("rate", rate.to_string());
            findings.push(warns(Code::AudioSampleRate, message));
        }
        "aac" | "mp3" => {}
        codec => {
            findings.push(blocks(Code::AudioCodec, Message::new("media-finding-audio-codec").with("codec", codec)));
        }
    }
    if audio.channels > 2 {
        let message = Message::new("media-finding-audio-channels").with("channels", audio.channels);
        findings.push(warns(Code::AudioChannels, message));
    }
    if let (Some(sound), Some(picture)) = (audio.duration, facts.video.duration) {
        let missing = picture - sound;
        if missing > HOLE {
            let message = Message::new("media-finding-audio-short").with("seconds", tenths(missing));
            findings.push(warns(Code::AudioShort, message));
        } else if -missing > HOLE {
            let message = Message::new("media-finding-audio-long").with("seconds", tenths(-missing));
            findings.push(warns(Code::AudioLong, message));
        }
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use rstest::rstest;

    use super::super::{AudioFacts, Container, VideoFacts, compatible};
    use super::*;
    use crate::text::Locale;

    pub fn good() -> Facts {
        Facts {
            container: Container::Mp4,
            size: 4_000_000,
            duration: 10.0,
            bitrate: 3_200_000,
            video: VideoFacts {
                index: 0,
                codec: "h264".into(),
                profile: Some("High".into()),
                pixel_format: Some("yuv420p".into()),
                bit_depth: 8,
                width: 1280,
                height: 720,
                frame_rate: 30.0,
                constant_frame_rate: Some(true),
                keyframe_interval: Some(2.0),
                reordered: true,
                complete_times: true,
                interlaced: false,
                rotation: 0,
                duration: Some(10.0),
                start_time: 0.0,
                time_base: "1/15360".into(),
                extradata: Some("SHA256:1".into()),
            },
            audio: Some(AudioFacts {
                index: 1,
                codec: "aac".into(),
                profile: Some("LC".into()),
                sample_rate: 48_000,
                channels: 2,
                duration: Some(10.0),
                start_time: 0.0,
                time_base: "1/48000".into(),
                extradata: Some("SHA256:2".into()),
            }),
        }
    }

    fn sound(facts: &mut Facts) -> &mut AudioFacts {
        facts.audio.as_mut().unwrap()
    }

    #[rstest]
    #[case::good(|_: &mut Facts| (), &[], true)]
    #[case::hevc(|f: &mut Facts| f.video.codec = "hevc".into(), &[Code::VideoCodec], false)]
    #[case::vp9_and_opus(|f: &mut Facts| { f.video.codec = "vp9".into(); sound(f).codec = "opus".into() }, &[Code::VideoCodec, Code::AudioCodec], false)]
    #[case::ten_bits(|f: &mut Facts| f.video.pixel_format = Some("yuv420p10le".into()), &[Code::PixelFormat], false)]
    #[case::full_range(|f: &mut Facts| f.video.pixel_format = Some("yuvj420p".into()), &[Code::ColourRange], true)]
    #[case::unknown_pixels(|f: &mut Facts| f.video.pixel_format = None, &[Code::PixelFormat], false)]
    #[case::two_seconds_at_29_97(|f: &mut Facts| f.video.keyframe_interval = Some(2.002), &[], true)]
    #[case::three_seconds(|f: &mut Facts| f.video.keyframe_interval = Some(3.0), &[Code::Keyframes], true)]
    #[case::four_seconds_at_29_97(|f: &mut Facts| f.video.keyframe_interval = Some(4.004), &[Code::Keyframes], true)]
    #[case::encoder_default(|f: &mut Facts| f.video.keyframe_interval = Some(8.333), &[Code::Keyframes], false)]
    #[case::unknown_keyframes(|f: &mut Facts| f.video.keyframe_interval = None, &[], true)]
    #[case::avi(|f: &mut Facts| f.video.complete_times = false, &[Code::MissingTimes], false)]
    #[case::plain_avi(|f: &mut Facts| (f.video.reordered, f.video.complete_times) = (false, false), &[], true)]
    #[case::uneven(|f: &mut Facts| f.video.constant_frame_rate = Some(false), &[Code::VariableFrameRate], true)]
    #[case::fast(|f: &mut Facts| f.video.frame_rate = 120.0, &[Code::FrameRate], true)]
    #[case::fields(|f: &mut Facts| f.video.interlaced = true, &[Code::Interlaced], true)]
    #[case::held_upright(|f: &mut Facts| f.video.rotation = 270, &[Code::Rotated], false)]
    #[case::eight_k(|f: &mut Facts| { (f.video.width, f.video.height) = (7680, 4320); f.bitrate = 50_000_000 }, &[Code::Resolution], true)]
    #[case::too_many_bits(|f: &mut Facts| f.bitrate = 25_000_000, &[Code::BitrateHigh], true)]
    #[case::too_few_bits(|f: &mut Facts| f.bitrate = 400_000, &[Code::BitrateLow], true)]
    #[case::upright_full_hd(|f: &mut Facts| { (f.video.width, f.video.height) = (1080, 1920); f.bitrate = 5_000_000 }, &[], true)]
    #[case::silent(|f: &mut Facts| f.audio = None, &[Code::Silent], true)]
    #[case::old_sound(|f: &mut Facts| sound(f).sample_rate = 32_000, &[Code::AudioSampleRate], true)]
    #[case::mp3(|f: &mut Facts| { sound(f).codec = "mp3".into(); sound(f).sample_rate = 44_100 }, &[], true)]
    #[case::mp3_at_48(|f: &mut Facts| sound(f).codec = "mp3".into(), &[], true)]
    #[case::mp3_at_32(|f: &mut Facts| { sound(f).codec = "mp3".into(); sound(f).sample_rate = 32_000 }, &[Code::AudioSampleRate], false)]
    #[case::mp3_at_22(|f: &mut Facts| { sound(f).codec = "mp3".into(); sound(f).sample_rate = 22_050 }, &[Code::AudioSampleRate], true)]
    #[case::surround(|f: &mut Facts| sound(f).channels = 6, &[Code::AudioChannels], true)]
    #[case::sound_ends_early(|f: &mut Facts| sound(f).duration = Some(7.0), &[Code::AudioShort], true)]
    #[case::sound_ends_late(|f: &mut Facts| sound(f).duration = Some(12.0), &[Code::AudioLong], true)]
    #[case::sound_of_unknown_length(|f: &mut Facts| sound(f).duration = None, &[], true)]
    fn a_verdict_says_what_is_wrong(#[case] change: fn(&mut Facts), #[case] codes: &[Code], #[case] ready: bool) {
        let mut facts = good();
        change(&mut facts);
        let verdict = verdict(&facts);
        assert_eq!(verdict.findings.iter().map(|finding| finding.code).collect::<Vec<_>>(), codes);
        assert_eq!(verdict.ready, ready);
        for finding in &verdict.findings {
            for locale in [Locale::En, Locale::Id] {
                let text = finding.message.in_locale(locale);
                assert!(text.contains(' ') && !text.contains('{'), "{text}");
            }
        }
    }

    #[test]
    fn what_blocks_comes_first() {
        let mut facts = good();
        facts.audio = None;
        facts.video.interlaced = true;
        facts.video.keyframe_interval = Some(8.0);
        let severities: Vec<Severity> = verdict(&facts).findings.iter().map(|finding| finding.severity).collect();
        assert_eq!(severities, [Severity::Blocks, Severity::Warns, Severity::Warns]);
    }

    #[test]
    fn a_finding_reads_well() {
        let mut facts = good();
        facts.video.keyframe_interval = Some(8.333);
        let text = verdict(&facts).findings[0].message.in_locale(Locale::En);
        assert!(text.contains("8.3 seconds"), "{text}");
    }

    #[test]
    fn a_verdict_survives_storing() {
        let mut facts = good();
        facts.video.keyframe_interval = Some(8.333);
        let verdict = verdict(&facts);
        let stored = serde_json::to_string(&verdict).unwrap();
        assert!(stored.contains(r#""code":"keyframes","severity":"blocks""#), "{stored}");
        assert_eq!(serde_json::from_str::<Verdict>(&stored).unwrap(), verdict);
        assert_eq!(serde_json::from_str::<Facts>(&serde_json::to_string(&facts).unwrap()).unwrap(), facts);
    }

    #[rstest]
    #[case::length(|f: &mut Facts| { f.duration = 99.0; f.bitrate = 1; f.size = 1 }, true)]
    #[case::keyframes(|f: &mut Facts| f.video.keyframe_interval = Some(4.0), true)]
    #[case::twin_container(|f: &mut Facts| f.container = Container::Mov, true)]
    #[case::container(|f: &mut Facts| f.container = Container::MpegTs, false)]
    #[case::size(|f: &mut Facts| f.video.width = 640, false)]
    #[case::frame_rate(|f: &mut Facts| f.video.frame_rate = 29.97, false)]
    #[case::time_base(|f: &mut Facts| f.video.time_base = "1/90000".into(), false)]
    #[case::set_up(|f: &mut Facts| f.video.extradata = Some("SHA256:9".into()), false)]
    #[case::profile(|f: &mut Facts| f.video.profile = Some("Main".into()), false)]
    #[case::silence(|f: &mut Facts| f.audio = None, false)]
    #[case::sound_rate(|f: &mut Facts| sound(f).sample_rate = 44_100, false)]
    #[case::channels(|f: &mut Facts| sound(f).channels = 1, false)]
    fn a_playlist_by_copy_needs_the_same_parameters(#[case] change: fn(&mut Facts), #[case] expected: bool) {
        let mut other = good();
        change(&mut other);
        assert_eq!(compatible(&good(), &other), expected);
        assert_eq!(compatible(&other, &good()), expected);
    }
}
