//! The house profile: the one shape that every optimised video has, so that it goes on air by copy for ever, and after
//! any other of its size in one playlist. Pure: facts and choices in, ffmpeg's arguments out.

use std::ffi::OsString;

use serde::{Deserialize, Serialize};

use super::verdict::suitable;
use super::{Container, Facts, input, words};
use crate::objects::LocalFile;

/// Frames a second.
pub const RATE: u32 = 30;
/// Frames of a part: a minute, and a whole number of keyframe intervals.
pub const PART: u32 = 60 * RATE;
/// Frames from one keyframe to the next.
const KEYFRAMES: u32 = 2 * RATE;
/// Unit of the picture's times, as a fraction of a second.
const TICKS: u32 = 512 * RATE;
/// Samples of sound a second.
const SOUND_RATE: &str = "48000";
/// Bits of sound a second.
const SOUND_BITS: u64 = 128_000;
/// Seconds decoded before a part, so that the frame that lasts into it is seen.
const AHEAD: u32 = 2;

/// How large an optimised picture may be. It is never made larger than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
pub enum Profile {
    /// Within 1280×720, or 720×1280.
    #[serde(rename = "720p30")]
    Hd,
    /// Within 1920×1080, or 1080×1920.
    #[serde(rename = "1080p30")]
    FullHd,
}

/// Bits a second.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rates {
    /// On average.
    pub usual: u64,
    /// Never more, over a few seconds.
    pub most: u64,
}

impl Profile {
    /// Smallest first.
    pub const ALL: [Profile; 2] = [Profile::Hd, Profile::FullHd];

    /// `720p30` or `1080p30`.
    pub fn code(self) -> &'static str {
        match self {
            Profile::Hd => "720p30",
            Profile::FullHd => "1080p30",
        }
    }

    /// Reads [`Profile::code`].
    pub fn parse(code: &str) -> Option<Profile> {
        Profile::ALL.into_iter().find(|profile| profile.code() == code)
    }

    /// Short and long side at most, in pixels.
    fn sides(self) -> (u32, u32) {
        match self {
            Profile::Hd => (720, 1280),
            Profile::FullHd => (1080, 1920),
        }
    }

    /// Short side of the picture that comes out, where its pixels are square.
    fn short_side(self, facts: &Facts) -> u32 {
        let (short, long) = self.sides();
        let (one, other) = (facts.video.width.min(facts.video.height), facts.video.width.max(facts.video.height));
        let shrunk = f64::from(one) * (f64::from(long) / f64::from(other.max(1))).min(1.0);
        (shrunk as u32).min(short)
    }

    /// The bits that this size gets: the middle of what platforms ask for, within their limit.
    pub fn rates(self, facts: &Facts) -> Rates {
        let (low, high) = suitable(self.short_side(facts), f64::from(RATE));
        Rates { usual: u64::from(low + high) * 500, most: u64::from(high) * 1000 }
    }

    /// About as many bytes as the optimised video will have; it may be fewer.
    pub fn bytes(self, facts: &Facts) -> u64 {
        let bits = (self.rates(facts).usual + SOUND_BITS) as f64 * facts.duration;
        // The container's own words, and what the first seconds take beyond their share.
        (bits / 8.0 * 1.02) as u64 + (1 << 20)
    }

    /// Seconds of work for a second of video on a small box, until it is known better.
    pub fn usual_pace(self) -> f64 {
        match self {
            Profile::Hd => 0.3,
            Profile::FullHd => 0.7,
        }
    }

    /// The most bytes that so many seconds can have.
    pub fn most_bytes(self, facts: &Facts, seconds: f64) -> u64 {
        ((self.rates(facts).most + SOUND_BITS) as f64 * seconds / 8.0 * 1.5) as u64 + (64 << 20)
    }
}

/// A part of the picture, counted in frames of the house's rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stretch {
    /// Its first frame.
    pub first: u32,
    /// How many, if the video has them; all that follow where absent.
    pub frames: Option<u32>,
}

impl Stretch {
    /// All of it.
    pub const WHOLE: Stretch = Stretch { first: 0, frames: None };

    /// A part of [`PART`] frames; `number` from 0.
    pub fn part(number: u32) -> Stretch {
        Stretch { first: number.saturating_mul(PART), frames: Some(PART) }
    }
}

/// Whether a part of such a file can be found by its time, to the frame. In the others, times are only guessed at.
pub fn has_parts(container: Container) -> bool {
    matches!(container, Container::Mp4 | Container::Mov | Container::Matroska | Container::Webm)
}

/// Seconds that so many frames last.
pub fn seconds(frames: u32) -> f64 {
    f64::from(frames) / f64::from(RATE)
}

fn begin() -> Vec<OsString> {
    words(&["-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-nostats", "-progress", "pipe:1"])
}

/// What every picture goes through: even frames from time 0, whole fields, square pixels, within the profile's sides.
fn filters(profile: Profile, facts: &Facts, skipped: u32) -> String {
    let (short, long) = profile.sides();
    let fields = if facts.video.interlaced { "yadif=deint=interlaced," } else { "" };
    // Turned upright by ffmpeg before it comes here. Pixels may be wider than high (sar).
    let wide = "gte(iw*sar,ih)";
    let (across, down) = (format!("if({wide},{long},{short})"), format!("if({wide},{short},{long})"));
    let shrink = format!("min(1,min({across}/(iw*sar),{down}/ih))");
    let skip = if skipped > 0 { format!("trim=start_frame={skipped},setpts=PTS-STARTPTS,") } else { String::new() };
    format!(
        "{fields}fps={RATE}:start_time=0,{skip}scale=w='max(2,2*trunc(iw*sar*{shrink}/2))':\
         h='max(2,2*trunc(ih*{shrink}/2))':out_range=tv,setsar=1"
    )
}

/// Encodes a stretch of the picture into `to`.
pub(super) fn picture(
    file: &LocalFile,
    facts: &Facts,
    profile: Profile,
    stretch: Stretch,
    threads: usize,
    to: &LocalFile,
) -> Vec<OsString> {
    let threads = threads.to_string();
    let mut arguments = begin();
    arguments.extend(words(&["-stats_period", "1", "-threads", &threads, "-filter_threads", "1"]));
    let ahead = stretch.first.min(AHEAD * RATE);
    if stretch.first > ahead {
        arguments.extend(words(&["-ss", &format!("{:.6}", seconds(stretch.first - ahead))]));
    }
    let skipped = if stretch.first > ahead { ahead } else { stretch.first };
    arguments.extend(input(file, facts.container));
    let map = format!("0:{}", facts.video.index);
    arguments.extend(words(&["-map", &map, "-an", "-sn", "-dn", "-vf", &filters(profile, facts, skipped)]));
    if let Some(frames) = stretch.frames {
        arguments.extend(words(&["-frames:v", &frames.to_string()]));
    }
    let rates = profile.rates(facts);
    let (keyframes, ticks) = (KEYFRAMES.to_string(), TICKS.to_string());
    // veryfast: at these rates a slower preset is hardly seen, and a small box would be busy for days.
    arguments.extend(words(&["-c:v", "libx264", "-preset", "veryfast", "-profile:v", "high", "-pix_fmt", "yuv420p"]));
    arguments.extend(words(&["-g", &keyframes, "-keyint_min", &keyframes, "-sc_threshold", "0", "-flags", "+cgop"]));
    arguments.extend(words(&["-b:v", &rates.usual.to_string(), "-maxrate", &rates.most.to_string()]));
    arguments.extend(words(&["-bufsize", &(2 * rates.most).to_string(), "-threads", &threads]));
    arguments.extend(words(&["-map_metadata", "-1", "-map_chapters", "-1"]));
    arguments.extend(words(&["-video_track_timescale", &ticks, "-f", "mp4"]));
    arguments.push(to.ffmpeg_url());
    arguments
}

/// Encodes the sound, made exactly as long as the picture, into `to`; silence where there is none.
pub(super) fn sound(file: &LocalFile, facts: &Facts, frames: u32, to: &LocalFile) -> Vec<OsString> {
    let mut arguments = begin();
    arguments.extend(words(&["-stats_period", "1", "-threads", "1"]));
    match &facts.audio {
        Some(audio) => {
            arguments.extend(input(file, facts.container));
            let filter = format!("aresample={SOUND_RATE}:async=1:first_pts=0,apad");
            arguments.extend(words(&["-map", &format!("0:{}", audio.index), "-af", &filter]));
        }
        None => {
            let silence = format!("anullsrc=r={SOUND_RATE}:cl=stereo");
            arguments.extend(words(&["-f", "lavfi", "-i", &silence, "-map", "0:a:0"]));
        }
    }
    arguments.extend(words(&["-vn", "-sn", "-dn", "-t", &format!("{:.6}", seconds(frames))]));
    arguments.extend(words(&["-c:a", "aac", "-profile:a", "aac_low", "-b:a", &SOUND_BITS.to_string()]));
    arguments.extend(words(&["-ar", SOUND_RATE, "-ac", "2", "-map_metadata", "-1", "-map_chapters", "-1"]));
    arguments.extend(words(&["-f", "mp4"]));
    arguments.push(to.ffmpeg_url());
    arguments
}

/// Joins the parts named in `list`, and the sound, by copy.
pub(super) fn join(list: &LocalFile, sound: &LocalFile, to: &LocalFile) -> Vec<OsString> {
    let mut arguments = begin();
    arguments.extend(words(&["-stats_period", "1", "-protocol_whitelist", "file"]));
    arguments.extend(words(&["-f", "concat", "-format_whitelist", "concat,mov", "-safe", "1", "-i"]));
    arguments.push(list.ffmpeg_url());
    arguments.extend(input(sound, Container::Mp4));
    arguments.extend(words(&["-map", "0:v:0", "-map", "1:a:0", "-c", "copy", "-map_metadata", "-1"]));
    arguments.extend(words(&["-video_track_timescale", &TICKS.to_string(), "-movflags", "+faststart", "-f", "mp4"]));
    arguments.push(to.ffmpeg_url());
    arguments
}

/// Tells each packet of a joined picture: when it is decoded, and whether it begins an interval.
pub(super) fn packets(file: &LocalFile) -> Vec<OsString> {
    let mut arguments = words(&["-hide_banner", "-loglevel", "error", "-threads", "1", "-select_streams", "v:0"]);
    arguments.extend(words(&["-show_entries", "packet=dts,flags", "-of", "csv=p=0"]));
    arguments.extend(input(file, Container::Mp4));
    arguments
}

/// Watches the packets of a joined picture for gaps, doubles and keyframes in wrong places.
#[derive(Debug, Default)]
pub(super) struct Evenness {
    frames: u32,
    last: Option<i64>,
    is_uneven: bool,
}

impl Evenness {
    /// Takes one line of ffprobe's: `-1024,K_`.
    pub fn see(&mut self, line: &str) {
        let Some((time, flags)) = line.split_once(',').and_then(|(time, flags)| Some((time.parse().ok()?, flags)))
        else {
            self.is_uneven = true;
            return;
        };
        let follows = self.last.is_none_or(|last: i64| last.checked_add(i64::from(TICKS / RATE)) == Some(time));
        let begins = self.frames.is_multiple_of(KEYFRAMES);
        self.is_uneven |= !follows || begins != flags.starts_with('K');
        self.last = Some(time);
        self.frames += 1;
    }

    /// Whether it was exactly so many frames, one after the other.
    pub fn is_whole(&self, frames: u32) -> bool {
        !self.is_uneven && self.frames == frames
    }
}

#[cfg(test)]
mod tests {
    use rstest::rstest;

    use super::super::verdict::tests::good;
    use super::*;

    fn facts(width: u32, height: u32) -> Facts {
        let mut facts = good();
        (facts.video.width, facts.video.height) = (width, height);
        facts
    }

    #[rstest]
    #[case::wide(Profile::Hd, 1920, 1080, 2_750_000, 4_000_000)]
    #[case::wide_and_large(Profile::FullHd, 3840, 2160, 4_500_000, 6_000_000)]
    #[case::upright(Profile::Hd, 1080, 1920, 2_750_000, 4_000_000)]
    #[case::small(Profile::FullHd, 640, 360, 700_000, 1_000_000)]
    #[case::a_strip(Profile::Hd, 2560, 480, 500_000, 700_000)]
    fn bits_follow_the_size_that_comes_out(
        #[case] profile: Profile,
        #[case] width: u32,
        #[case] height: u32,
        #[case] usual: u64,
        #[case] most: u64,
    ) {
        assert_eq!(profile.rates(&facts(width, height)), Rates { usual, most });
    }

    #[test]
    fn an_hour_in_720p_is_about_1300_mb() {
        let facts = Facts { duration: 3600.0, ..facts(1280, 720) };
        let mib = Profile::Hd.bytes(&facts) >> 20;
        assert!((1200..1300).contains(&mib), "{mib}");
        assert!(Profile::Hd.most_bytes(&facts, 3600.0) > Profile::Hd.bytes(&facts));
    }

    #[test]
    fn a_profile_is_read_by_its_name() {
        for profile in Profile::ALL {
            assert_eq!(Profile::parse(profile.code()), Some(profile));
            assert_eq!(serde_json::to_value(profile).unwrap(), profile.code());
        }
        assert_eq!(Profile::parse("720p60"), None);
    }

    #[test]
    fn a_part_begins_a_little_earlier_and_drops_what_it_does_not_keep() {
        let file = LocalFile::for_test("/v/a.mp4".into());
        let line = |number: u32| {
            let arguments = picture(&file, &good(), Profile::Hd, Stretch::part(number), 1, &file);
            arguments.iter().map(|word| word.to_str().unwrap().to_owned()).collect::<Vec<_>>().join(" ")
        };
        assert!(!line(0).contains("-ss ") && !line(0).contains("trim="), "{}", line(0));
        assert!(line(2).contains("-ss 118.000000 ") && line(2).contains("trim=start_frame=60,"), "{}", line(2));
        assert!(line(2).contains("-frames:v 1800 "), "{}", line(2));
    }

    #[test]
    fn gaps_doubles_and_odd_keyframes_are_seen() {
        let judge = |change: fn(&mut Vec<(i64, bool)>)| {
            let mut packets: Vec<_> = (0..130).map(|frame| (frame * 512 - 1024, frame % 60 == 0)).collect();
            change(&mut packets);
            let mut evenness = Evenness::default();
            for (time, is_key) in packets {
                evenness.see(&format!("{time},{}", if is_key { "K_" } else { "__" }));
            }
            evenness.is_whole(130)
        };
        assert!(judge(|_| ()));
        assert!(!judge(|packets| packets.truncate(129)));
        assert!(!judge(|packets| packets[70].0 += 1));
        assert!(!judge(|packets| packets[70].1 = true));
        assert!(!judge(|packets| packets[60].1 = false));
        assert!(!judge(|packets| packets.push((packets[129].0, false))));
        let mut evenness = Evenness::default();
        evenness.see("N/A,K_");
        assert!(!evenness.is_whole(1));
    }
}
