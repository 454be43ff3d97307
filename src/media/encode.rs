//! Videos brought into the house profile ([`house`]): hours of work behind everything else on the box, in a cage like
//! any other look into a stranger's file. The caller gives out the turns.

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cage::{self, Cage, Failure, Job, Listener, Program};
use super::house::{self, Evenness, Profile, Stretch};
use super::{Facts, Tools};
use crate::error::{Error, Result};
use crate::objects::LocalFile;
use crate::text::Message;

/// Behind everything else.
const NICE: i32 = 19;
/// Address space of an encoder, in MiB: a 4K picture of 10 bits takes about half.
const MEMORY_MIB: u64 = 2048;
/// Processor seconds for each second of video; below it a box could not be of use.
const EFFORT: u64 = 60;
/// Processor seconds for a short stretch.
const LEAST_EFFORT: u64 = 600;
/// Whoever stands behind everything else waits: so much longer by the clock.
const PATIENCE: u64 = 24;

/// Told how far a step is, in frames of the house's rate.
pub type Told<'t> = &'t mut (dyn FnMut(u32) + Send);

/// One step of an encoding.
struct Step<'s> {
    program: &'s Path,
    arguments: Vec<OsString>,
    /// To be read, beside the folder that is written in.
    read: Vec<PathBuf>,
    /// Lies in the folder that may be written in.
    to: &'s LocalFile,
    /// Of video.
    seconds: f64,
    most_bytes: u64,
}

impl Tools {
    /// Encodes a stretch of a video's picture into `to`; how many frames it had. None is not written down at all.
    ///
    /// # Errors
    /// [`Error::WrongKind`] if the video cannot be decoded, or takes more than the cage allows; [`Error::OverQuota`] if
    /// the disk is full.
    pub async fn encode_picture(
        &self,
        file: &LocalFile,
        facts: &Facts,
        profile: Profile,
        stretch: Stretch,
        to: &LocalFile,
        told: Told<'_>,
    ) -> Result<u32> {
        let seconds = stretch.frames.map_or(facts.duration, house::seconds);
        let step = Step {
            program: &self.ffmpeg,
            arguments: house::picture(file, facts, profile, stretch, threads(), to),
            read: vec![file.path().to_owned()],
            to,
            seconds,
            most_bytes: profile.most_bytes(facts, seconds),
        };
        let mut frames = 0;
        let mut hear = |line: &str| {
            if let Some(count) = line.strip_prefix("frame=").and_then(|count| count.trim().parse().ok()) {
                frames = count;
                told(frames);
            }
        };
        self.step(step, &mut hear).await?;
        Ok(frames)
    }

    /// Encodes a video's sound, or silence, as long as so many frames of picture, into `to`.
    ///
    /// # Errors
    /// As [`Tools::encode_picture`].
    pub async fn encode_sound(
        &self,
        file: &LocalFile,
        facts: &Facts,
        frames: u32,
        to: &LocalFile,
        told: Told<'_>,
    ) -> Result<()> {
        let seconds = house::seconds(frames);
        let step = Step {
            program: &self.ffmpeg,
            arguments: house::sound(file, facts, frames, to),
            read: vec![file.path().to_owned()],
            to,
            seconds,
            most_bytes: Profile::Hd.most_bytes(facts, seconds),
        };
        let mut hear = |line: &str| {
            let time = line.strip_prefix("out_time_us=").and_then(|time| time.trim().parse::<f64>().ok());
            if let Some(time) = time.filter(|time| *time > 0.0) {
                told((time / 1e6 * f64::from(house::RATE)) as u32);
            }
        };
        self.step(step, &mut hear).await
    }

    /// Joins the parts named in `list` and the sound, all in one folder, into `to` by copy; whether the picture is now
    /// `frames` frames, evenly one after the other.
    ///
    /// # Errors
    /// As [`Tools::encode_picture`].
    pub async fn join_parts(
        &self,
        list: &LocalFile,
        sound: &LocalFile,
        frames: u32,
        most_bytes: u64,
        to: &LocalFile,
    ) -> Result<bool> {
        let seconds = house::seconds(frames);
        let arguments = house::join(list, sound, to);
        let step = Step { program: &self.ffmpeg, arguments, read: Vec::new(), to, seconds, most_bytes };
        self.step(step, &mut |_| ()).await?;
        let step =
            Step { program: &self.ffprobe, arguments: house::packets(to), read: Vec::new(), to, seconds, most_bytes };
        let mut evenness = Evenness::default();
        self.step(step, &mut |line| evenness.see(line)).await?;
        Ok(evenness.is_whole(frames))
    }

    async fn step(&self, step: Step<'_>, listener: Listener<'_>) -> Result<()> {
        let folder = step.to.path().parent().map(Path::to_owned);
        let effort = (step.seconds as u64).saturating_mul(EFFORT).max(LEAST_EFFORT);
        let job = Job {
            program: Program::File(step.program),
            arguments: step.arguments,
            cage: Cage {
                read: step.read,
                write: folder.into_iter().collect(),
                memory_mib: MEMORY_MIB,
                cpu_seconds: effort,
                file_mib: step.most_bytes.div_ceil(1 << 20),
                nice: NICE,
                ..Cage::default()
            },
            input: None,
            timeout: Duration::from_secs(effort.saturating_mul(PATIENCE)),
            output_limit: 0,
        };
        match cage::run_telling(&self.launcher, job, listener).await {
            Ok(_) => Ok(()),
            Err(Failure::Failed { stderr, .. }) if stderr.contains("No space left on device") => {
                Err(Error::OverQuota(Message::new("error-disk-full")))
            }
            Err(failure) => Err(self.blame(failure)),
        }
    }
}

/// Half of the box, at most four: live streams and uploads go on beside it.
fn threads() -> usize {
    std::thread::available_parallelism().map_or(1, usize::from).div_ceil(2).min(4)
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::super::{Container, Launcher, verdict};
    use super::*;

    fn made(path: &Path, arguments: &str) {
        let mut command = Command::new("ffmpeg");
        command.args(["-v", "error", "-nostdin", "-y"]).args(arguments.split_whitespace()).arg(path);
        assert!(command.status().unwrap().success());
    }

    /// Encodes in parts of a few frames, as a job does in parts of a minute.
    async fn optimised(source: &str, container: Container, frames: u32) -> (Facts, bool) {
        let folder = tempfile::tempdir().unwrap();
        let local = |name: &str| LocalFile::for_test(folder.path().join(name));
        let tools = Tools::new("ffmpeg", "ffprobe", Launcher::None);
        let from = local("source");
        made(from.path(), source);
        let facts = tools.probe(&from, container).await.unwrap();
        let (mut list, mut sum) = (String::new(), 0);
        for number in 0.. {
            let stretch = Stretch { first: number * frames, frames: Some(frames) };
            let to = local(&format!("part-{number}.mp4"));
            let mut told = 0;
            let hear: Told<'_> = &mut |count| told = count;
            let count = tools.encode_picture(&from, &facts, Profile::Hd, stretch, &to, hear).await.unwrap();
            assert_eq!(told, count);
            if count > 0 {
                list += &format!("file part-{number}.mp4\n");
            }
            sum += count;
            if count < frames {
                break;
            }
        }
        std::fs::write(local("list").path(), list).unwrap();
        tools.encode_sound(&from, &facts, sum, &local("sound"), &mut |_| ()).await.unwrap();
        let whole = local("whole");
        let is_even = tools.join_parts(&local("list"), &local("sound"), sum, 1 << 30, &whole).await.unwrap();
        (tools.probe(&whole, Container::Mp4).await.unwrap(), is_even)
    }

    #[tokio::test]
    async fn parts_of_an_odd_rate_join_to_one_even_picture() {
        let source = "-f lavfi -i testsrc2=s=640x360:r=24000/1001:d=11 -f lavfi -i sine=r=22050:d=7 \
                      -c:v libx264 -preset ultrafast -g 250 -c:a aac -f mp4";
        let (facts, is_even) = optimised(source, Container::Mp4, 120).await;
        assert!(is_even);
        let video = &facts.video;
        assert_eq!((video.frame_rate, video.constant_frame_rate), (30.0, Some(true)));
        assert_eq!((video.width, video.height, video.keyframe_interval), (640, 360, Some(2.0)));
        assert!((video.duration.unwrap() - 11.0).abs() < 0.05, "{video:?}");
        let sound = facts.audio.as_ref().unwrap();
        assert_eq!((sound.codec.as_str(), sound.sample_rate, sound.channels), ("aac", 48_000, 2));
        assert!((sound.duration.unwrap() - video.duration.unwrap()).abs() < 0.05, "{facts:?}");
        assert_eq!(verdict(&facts).findings, []);
    }

    #[tokio::test]
    async fn an_upright_silent_uneven_film_of_ten_bits_becomes_plain() {
        let source = "-f lavfi -i testsrc2=s=1080x1920:r=50:d=3 -vf select='lt(random(1)\\,0.4)' -vsync vfr \
                      -c:v libx264 -preset ultrafast -pix_fmt yuv420p10le -f matroska";
        let (facts, is_even) = optimised(source, Container::Matroska, 60).await;
        assert!(is_even);
        let video = &facts.video;
        assert_eq!((video.width, video.height, video.rotation), (720, 1280, 0));
        assert_eq!((video.pixel_format.as_deref(), video.constant_frame_rate), (Some("yuv420p"), Some(true)));
        assert!(facts.audio.is_some());
        assert!(verdict(&facts).ready, "{:?}", verdict(&facts));
    }
}
