//! What ffprobe says about a video, as facts.

use serde::{Deserialize, Serialize};

use super::rhythm::{Packet, Rhythm, Walk, packets};
use super::{Container, Tools, input, words};
use crate::error::{Error, Result};
use crate::objects::LocalFile;
use crate::text::Message;

/// Longest side of a picture that is taken in, in pixels.
const LONGEST_SIDE: u32 = 8192;
/// Most pixels of a picture that is taken in.
const MOST_PIXELS: u64 = 50_000_000;
/// The beginning is read for this long to find keyframes and uneven frames, in seconds.
const BEGINNING: f64 = 60.0;
/// So much is read once more further in, in seconds.
const SAMPLE: f64 = 20.0;
/// A header that claims to be longer than this is not believed, in seconds.
const BELIEVED: f64 = 48.0 * 3600.0;
/// No video is longer than this, in seconds.
const LONGEST: f64 = 31.0 * 24.0 * 3600.0;
/// A file is read through at least this fast, in bytes per second.
const SLOWEST_READ: u64 = 50_000_000;

/// What is known of a stored video. Times in seconds, sizes in bytes, rates in bits per second.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Facts {
    /// The container that was sniffed and that every later call forces.
    pub container: Container,
    /// Size of the file.
    pub size: u64,
    /// Length of the longest stream.
    pub duration: f64,
    /// Of everything together: what the uplink has to carry. The average, or the picture's where it was read if that
    /// is more.
    pub bitrate: u64,
    /// The first moving picture.
    pub video: VideoFacts,
    /// The first sound, if there is any.
    pub audio: Option<AudioFacts>,
}

/// The picture of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct VideoFacts {
    /// Number of the stream in the file (`-map 0:<index>`).
    pub index: u32,
    /// ffmpeg's name of the codec.
    pub codec: String,
    /// The codec's profile, as ffmpeg spells it.
    pub profile: Option<String>,
    /// ffmpeg's name of the pixel format.
    pub pixel_format: Option<String>,
    /// Bits of a sample.
    pub bit_depth: u8,
    /// Pixels across.
    pub width: u32,
    /// Pixels down.
    pub height: u32,
    /// Frames per second on average.
    pub frame_rate: f64,
    /// Whether frames come evenly; unknown if the file has no times to tell by.
    pub constant_frame_rate: Option<bool>,
    /// The longest wait for a keyframe that was seen; longer ones may lie where nobody looked.
    pub keyframe_interval: Option<f64>,
    /// Whether frames are stored in another order than they are shown in.
    pub reordered: bool,
    /// Whether every frame says when it is shown; AVI cannot.
    pub complete_times: bool,
    /// Whether a frame is two fields.
    pub interlaced: bool,
    /// How far players turn the picture before they show it, in degrees.
    pub rotation: i32,
    /// Length of this stream.
    pub duration: Option<f64>,
    /// Time of the first frame.
    pub start_time: f64,
    /// Unit of its times, as a fraction.
    pub time_base: String,
    /// Hash of the codec's set-up data.
    pub extradata: Option<String>,
}

/// The sound of a video.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct AudioFacts {
    /// Number of the stream in the file (`-map 0:<index>`).
    pub index: u32,
    /// ffmpeg's name of the codec.
    pub codec: String,
    /// The codec's profile, as ffmpeg spells it.
    pub profile: Option<String>,
    /// Samples per second.
    pub sample_rate: u32,
    /// How many channels.
    pub channels: u32,
    /// Length of this stream.
    pub duration: Option<f64>,
    /// Time of the first sample.
    pub start_time: f64,
    /// Unit of its times, as a fraction.
    pub time_base: String,
    /// Hash of the codec's set-up data.
    pub extradata: Option<String>,
}

impl Tools {
    /// The facts of a video, found by ffprobe in its cage with the one demuxer that `container` names.
    ///
    /// # Errors
    /// [`Error::WrongKind`] if it is no video that can be used, with a text that says why; [`Error::Upstream`] if
    /// ffprobe does not start.
    pub async fn probe(&self, file: &LocalFile, container: Container) -> Result<Facts> {
        let _place = self.places.place(file.tenant()).await?;
        let size = tokio::fs::metadata(file.path()).await?.len();
        let report = self.report(file, container).await?;

        let picture = report.streams.iter().find(|stream| {
            stream.codec_type == "video" && stream.disposition.attached_pic == 0 && stream.codec_name.is_some()
        });
        let picture = picture.ok_or_else(|| Error::WrongKind(Message::new("media-no-picture")))?;
        let sound = report.streams.iter().find(|stream| stream.codec_type == "audio");
        let (width, height) = (picture.width, picture.height);
        if width == 0 || height == 0 {
            return Err(Error::WrongKind(Message::new("media-unreadable")));
        }
        if width > LONGEST_SIDE || height > LONGEST_SIDE || u64::from(width) * u64::from(height) > MOST_PIXELS {
            return Err(Error::WrongKind(
                Message::new("media-too-many-pixels")
                    .with("width", width.to_string())
                    .with("height", height.to_string()),
            ));
        }

        let frame_rate = picture.frame_rate().unwrap_or(0.0);
        let start_time = number(&picture.start_time).unwrap_or(0.0);
        let reading = Reading { file, container, stream: picture.index, frame_rate };
        let beginning = self.read_packets(&reading, None, BEGINNING).await?;
        let walk = Walk::of(&beginning);
        let claimed = positive(&report.format.duration);
        let duration = self.settled_duration(&reading, size, claimed, walk).await?;
        // What a stream claims is worth no more than what the whole does.
        let length = |stream: &Stream| {
            stream.length().map(|told| if Some(duration) == claimed { told } else { told.min(duration) })
        };
        let (rhythm, read) = self.rhythm(&reading, duration, &beginning, walk).await?;
        let average = size as f64 * 8.0 / duration;

        Ok(Facts {
            container,
            size,
            duration,
            bitrate: average.max(read.rate()) as u64,
            video: VideoFacts {
                index: picture.index,
                codec: picture.codec_name.clone().unwrap_or_default(),
                profile: known(&picture.profile),
                bit_depth: bit_depth(picture),
                pixel_format: known(&picture.pix_fmt),
                width,
                height,
                frame_rate,
                constant_frame_rate: rhythm.constant_frame_rate,
                keyframe_interval: rhythm.keyframe_interval,
                reordered: picture.has_b_frames > 0,
                complete_times: rhythm.complete_times,
                interlaced: matches!(picture.field_order.as_deref(), Some("tt" | "bb" | "tb" | "bt")),
                rotation: picture.rotation(),
                duration: length(picture),
                start_time,
                time_base: picture.time_base.clone(),
                extradata: picture.extradata_hash.clone(),
            },
            audio: sound.map(|sound| AudioFacts {
                index: sound.index,
                codec: sound.codec_name.clone().unwrap_or_else(|| "unknown".to_owned()),
                profile: known(&sound.profile),
                sample_rate: positive(&sound.sample_rate).unwrap_or(0.0) as u32,
                channels: sound.channels,
                duration: length(sound),
                start_time: number(&sound.start_time).unwrap_or(0.0),
                time_base: sound.time_base.clone(),
                extradata: sound.extradata_hash.clone(),
            }),
        })
    }

    async fn report(&self, file: &LocalFile, container: Container) -> Result<Report> {
        let mut arguments =
            words(&["-hide_banner", "-loglevel", "error", "-threads", "1", "-show_data_hash", "sha256"]);
        arguments.extend(words(&[
            "-show_entries",
            "format=duration:stream=index,codec_name,codec_type,profile,pix_fmt,width,height,r_frame_rate,\
             avg_frame_rate,field_order,has_b_frames,bits_per_raw_sample,start_time,time_base,duration,sample_rate,channels,\
             extradata_hash:stream_disposition=attached_pic:stream_tags=DURATION,rotate:stream_side_data=rotation",
            "-of",
            "json=c=1",
        ]));
        arguments.extend(input(file, container));
        let output = self.read_only(&self.ffprobe, file, arguments, 30).await?;
        serde_json::from_slice(&output.stdout).map_err(|cause| {
            tracing::warn!(%cause, "ffprobe's report is not as expected");
            Error::WrongKind(Message::new("media-unreadable"))
        })
    }

    /// How long a video really is: what its header claims, if there are packets to show for it.
    async fn settled_duration(
        &self,
        reading: &Reading<'_>,
        size: u64,
        claimed: Option<f64>,
        beginning: Option<Walk>,
    ) -> Result<f64> {
        let (Some(claimed), Some(beginning)) = (claimed, beginning) else {
            return self.measured_duration(reading, size).await;
        };
        let mut end = beginning.end;
        if end <= beginning.start && reading.frame_rate > 0.0 {
            // A single frame.
            end += reading.frame_rate.recip();
        }
        if claimed > BEGINNING && claimed <= BELIEVED {
            let at = beginning.start + claimed - slack(claimed) / 2.0;
            match self.read_packets(reading, Some(at), SAMPLE).await {
                Ok(packets) => end = Walk::of(&packets).map_or(end, |walk| walk.end.max(end)),
                Err(Error::WrongKind(_)) => {}
                Err(error) => return Err(error),
            }
        }
        if claimed <= BELIEVED && agree(claimed, end - beginning.start) {
            return Ok(claimed);
        }
        // The sound may go on after the picture; only a look at everything tells.
        let measured = self.measured_duration(reading, size).await?;
        if agree(claimed, measured) {
            return Ok(claimed);
        }
        tracing::info!(claimed, measured, "a header does not tell the length of its file");
        Ok(measured)
    }

    /// Reads the whole file once, for those whose header does not tell the length (recordings cut short) or is not to
    /// be believed.
    async fn measured_duration(&self, reading: &Reading<'_>, size: u64) -> Result<f64> {
        let mut arguments = words(&["-hide_banner", "-loglevel", "error", "-nostdin"]);
        arguments.extend(input(reading.file, reading.container));
        let picture = format!("0:{}", reading.stream);
        arguments.extend(words(&["-map", &picture, "-map", "0:a:0?", "-c", "copy", "-progress", "pipe:1", "-nostats"]));
        arguments.extend(words(&["-stats_period", "60", "-f", "null", "-"]));
        let output = self.read_only(&self.ffmpeg, reading.file, arguments, 120 + size / SLOWEST_READ).await?;
        let text = String::from_utf8_lossy(&output.stdout);
        let last = text.lines().rev().find_map(|line| line.strip_prefix("out_time_us=")?.trim().parse::<i64>().ok());
        match last.map(|microseconds| microseconds as f64 / 1e6) {
            Some(seconds) if seconds > 0.0 && seconds <= LONGEST => Ok(seconds),
            _ => Err(Error::WrongKind(Message::new("media-no-length"))),
        }
    }

    /// Looks at the packets of the beginning and of a part further in.
    async fn rhythm(
        &self,
        reading: &Reading<'_>,
        duration: f64,
        beginning: &[Packet],
        walk: Option<Walk>,
    ) -> Result<(Rhythm, Walk)> {
        let rhythm = Rhythm::default().worst(Rhythm::of(beginning));
        let walk = walk.unwrap_or_default();
        if duration <= 2.0 * (BEGINNING + SAMPLE) {
            return Ok((rhythm, walk));
        }
        match self.read_packets(reading, Some(walk.start + duration * 0.6), SAMPLE).await {
            Ok(further) => {
                let both = Walk::of(&further).map_or(walk, |further| walk.and(further));
                Ok((rhythm.worst(Rhythm::of(&further)), both))
            }
            // A file that cannot be sought in was still readable from the start.
            Err(Error::WrongKind(_)) => Ok((rhythm, walk)),
            Err(error) => Err(error),
        }
    }

    /// The picture's packets from a time on (or from the beginning) for so many seconds, without decoding any.
    async fn read_packets(&self, reading: &Reading<'_>, at: Option<f64>, length: f64) -> Result<Vec<Packet>> {
        let interval = match at {
            None => format!("%+{length}"),
            Some(at) => format!("{at:.3}%+{length}"),
        };
        let mut arguments = words(&["-hide_banner", "-loglevel", "error", "-threads", "1", "-select_streams"]);
        arguments.push(reading.stream.to_string().into());
        arguments.extend(words(&["-read_intervals", &interval, "-show_entries"]));
        arguments.extend(words(&["packet=pts_time,dts_time,size,flags", "-of", "compact=p=0"]));
        arguments.extend(input(reading.file, reading.container));
        let output = self.read_only(&self.ffprobe, reading.file, arguments, 30).await?;
        Ok(packets(&String::from_utf8_lossy(&output.stdout), reading.frame_rate))
    }
}

/// The picture whose packets are read.
struct Reading<'a> {
    file: &'a LocalFile,
    container: Container,
    stream: u32,
    frame_rate: f64,
}

/// So far may the length that is claimed be from what is there, in seconds; little where little is claimed.
fn slack(claimed: f64) -> f64 {
    (claimed * 0.02).max(2.0).min((claimed * 0.1).max(0.1))
}

fn agree(claimed: f64, seen: f64) -> bool {
    (claimed - seen).abs() <= slack(claimed)
}

/// ffprobe's JSON; most numbers are text there, and "N/A" or absence both mean unknown.
#[derive(Debug, Deserialize)]
struct Report {
    #[serde(default)]
    streams: Vec<Stream>,
    #[serde(default)]
    format: Format,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Format {
    duration: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Stream {
    index: u32,
    codec_name: Option<String>,
    codec_type: String,
    profile: Option<String>,
    pix_fmt: Option<String>,
    width: u32,
    height: u32,
    r_frame_rate: String,
    avg_frame_rate: String,
    field_order: Option<String>,
    has_b_frames: u32,
    bits_per_raw_sample: Option<String>,
    start_time: Option<String>,
    time_base: String,
    duration: Option<String>,
    sample_rate: Option<String>,
    channels: u32,
    extradata_hash: Option<String>,
    disposition: Disposition,
    tags: Tags,
    side_data_list: Vec<SideData>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Disposition {
    attached_pic: u8,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Tags {
    #[serde(rename = "DURATION")]
    duration: Option<String>,
    rotate: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SideData {
    rotation: Option<f64>,
}

impl Stream {
    fn length(&self) -> Option<f64> {
        positive(&self.duration).or_else(|| self.tags.duration.as_deref().and_then(clock))
    }

    /// The average, unless the nominal rate is so near that the average was only a rough count.
    fn frame_rate(&self) -> Option<f64> {
        match (fraction(&self.avg_frame_rate), fraction(&self.r_frame_rate)) {
            (Some(average), Some(nominal)) if (nominal / average - 1.0).abs() < 0.02 => Some(nominal),
            (average, nominal) => average.or(nominal),
        }
    }

    fn rotation(&self) -> i32 {
        let told = self.side_data_list.iter().find_map(|data| data.rotation);
        let told = told.or_else(|| number(&self.tags.rotate)).unwrap_or(0.0);
        (told.clamp(-3600.0, 3600.0).round() as i32).rem_euclid(360)
    }
}

fn number(text: &Option<String>) -> Option<f64> {
    text.as_deref()?.parse::<f64>().ok().filter(|number| number.is_finite())
}

fn positive(text: &Option<String>) -> Option<f64> {
    number(text).filter(|number| *number > 0.0)
}

fn fraction(text: &str) -> Option<f64> {
    let (above, below) = text.split_once('/')?;
    let value = above.parse::<f64>().ok()? / below.parse::<f64>().ok()?;
    (value.is_finite() && value > 0.0).then_some((value * 1000.0).round() / 1000.0)
}

/// Matroska's `00:01:02.500000000`.
fn clock(text: &str) -> Option<f64> {
    let seconds = text.split(':').try_fold(0.0, |sum, part| Some(sum * 60.0 + part.trim().parse::<f64>().ok()?))?;
    (seconds.is_finite() && seconds > 0.0).then_some(seconds)
}

fn known(text: &Option<String>) -> Option<String> {
    text.clone().filter(|text| text != "unknown" && text != "N/A")
}

fn bit_depth(stream: &Stream) -> u8 {
    let told = stream.bits_per_raw_sample.as_deref().and_then(|bits| bits.parse().ok()).filter(|bits| *bits > 0);
    told.unwrap_or_else(|| match stream.pix_fmt.as_deref().unwrap_or_default() {
        format if format.contains("10") => 10,
        format if format.contains("12") => 12,
        format if format.contains("16") => 16,
        _ => 8,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn numbers_of_every_spelling_are_read() {
        assert_eq!(fraction("30000/1001"), Some(29.97));
        assert_eq!(fraction("0/0"), None);
        assert_eq!(clock("00:01:02.500000000"), Some(62.5));
        assert_eq!(clock("soon"), None);
        assert_eq!(number(&Some("N/A".into())), None);
    }
}
