//! Everything that reads the inside of a stranger's video or picture.
//!
//! A file is known by its first bytes ([`sniff`]), opened by ffprobe or ffmpeg with exactly that demuxer and inside a
//! [`cage`], and judged in plain words ([`verdict`](verdict::verdict)). Pictures are decoded in such a cage too and
//! written anew ([`picture`]); the bytes that came in are never the bytes that are served.

mod alike;
pub mod cage;
mod decode;
mod encode;
pub mod house;
mod letters;
pub mod picture;
mod probe;
mod rhythm;
pub mod sample;
pub mod sniff;
pub(crate) mod turns;
pub mod verdict;
pub(crate) mod walls;

use std::ffi::OsString;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::Duration;

use crate::error::{Error, Result};
use crate::objects::LocalFile;
use crate::text::Message;

pub use alike::{compatible, differences};
pub use cage::Launcher;
use cage::{Cage, Failure, Job, Output, Program};
pub use encode::Told;
pub use house::{Profile, Stretch};
pub use picture::Picture;
pub use probe::{AudioFacts, Facts, VideoFacts};
pub use sniff::{Container, PictureKind, sniff, sniff_picture};
use turns::Turns;
pub use verdict::{Code, Finding, Severity, Verdict, verdict};

/// The oldest ffmpeg that streaming by copy was measured on.
const OLDEST: (u32, u32) = (4, 2);
/// How many probes and frames run at once; live streams need the rest of the machine.
const AT_ONCE: usize = 2;
/// Widest frame that is taken out of a video, in pixels.
const FRAME_WIDTH: u32 = 1280;

/// The programs that work on videos, and how they are started.
#[derive(Debug, Clone)]
pub struct Tools {
    ffmpeg: PathBuf,
    ffprobe: PathBuf,
    launcher: Launcher,
    places: Turns,
    pictures: Turns,
    /// Set once letters were drawn.
    writes: Arc<OnceLock<()>>,
}

/// What [`Tools::check`] found.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versions {
    /// ffmpeg's version as it prints it.
    pub ffmpeg: String,
    /// ffprobe's version as it prints it.
    pub ffprobe: String,
}

impl Tools {
    /// What starts cages.
    pub(crate) fn launcher(&self) -> &Launcher {
        &self.launcher
    }

    /// Programs by path, or by a bare name that is looked for in the system's folders.
    pub fn new(ffmpeg: impl AsRef<Path>, ffprobe: impl AsRef<Path>, launcher: Launcher) -> Self {
        Tools {
            ffmpeg: settled(ffmpeg.as_ref()),
            ffprobe: settled(ffprobe.as_ref()),
            launcher,
            places: Turns::new(AT_ONCE),
            // A large picture takes a few hundred MiB.
            pictures: Turns::new(1),
            writes: Arc::default(),
        }
    }

    /// The ffmpeg program, for live streams.
    pub fn ffmpeg(&self) -> &Path {
        &self.ffmpeg
    }

    /// Whether both programs start and are new enough.
    ///
    /// # Errors
    /// [`Error::Upstream`] with a text that says which program and what to do.
    pub async fn check(&self) -> Result<Versions> {
        let ffmpeg = self.version(&self.ffmpeg).await?;
        let ffprobe = self.version(&self.ffprobe).await?;
        Ok(Versions { ffmpeg, ffprobe })
    }

    async fn version(&self, program: &Path) -> Result<String> {
        let name = program.display().to_string();
        let job = Job {
            program: Program::File(program),
            arguments: vec!["-version".into()],
            cage: Cage::default(),
            input: None,
            timeout: Duration::from_secs(20),
            output_limit: 64 * 1024,
        };
        let output = cage::run(&self.launcher, job).await.map_err(|failure| {
            tracing::warn!(program = name, %failure, "a program of ffmpeg does not start");
            Error::Upstream(Message::new("media-program-missing").with("program", name.clone()))
        })?;
        let text = String::from_utf8_lossy(&output.stdout);
        let version = text.split_whitespace().skip_while(|word| *word != "version").nth(1).unwrap_or("?").to_owned();
        match numbers(&version) {
            Some(found) if found < OLDEST => Err(Error::Upstream(
                Message::new("media-program-old")
                    .with("program", name)
                    .with("version", version)
                    .with("oldest", format!("{}.{}", OLDEST.0, OLDEST.1)),
            )),
            // A build from the development tree has no numbers; it is newer than any release we know.
            _ => Ok(version),
        }
    }

    /// One frame of a video, at most 1280 pixels wide, as a clean picture.
    ///
    /// # Errors
    /// [`Error::Invalid`] if there is no frame at that time, [`Error::WrongKind`] if the video cannot be decoded.
    pub async fn frame(&self, file: &LocalFile, container: Container, at_seconds: f64) -> Result<Picture> {
        self.small_frame(file, container, at_seconds, FRAME_WIDTH).await
    }

    /// Like [`Tools::frame`], at most `widest` pixels wide.
    ///
    /// # Errors
    /// As [`Tools::frame`].
    pub async fn small_frame(
        &self,
        file: &LocalFile,
        container: Container,
        at_seconds: f64,
        widest: u32,
    ) -> Result<Picture> {
        let place = self.places.place(file.tenant()).await?;
        let mut arguments = words(&["-hide_banner", "-loglevel", "error", "-nostdin", "-y", "-threads", "1", "-ss"]);
        arguments.push(format!("{:.3}", at_seconds.clamp(0.0, 1e7)).into());
        arguments.extend(input(file, container));
        // One step for pixels that are not square and for the width, so that a lying shape makes no huge picture.
        let scale = format!("scale=w='max(2,min({widest},iw*sar))':h='max(2,ih*min(1,{widest}/(iw*sar)))',setsar=1");
        arguments.extend(words(&["-map", "0:V:0", "-frames:v", "1", "-vf", &scale, "-pix_fmt", "yuvj420p"]));
        arguments.extend(words(&["-c:v", "mjpeg", "-q:v", "2", "-threads", "1", "-f", "image2pipe", "pipe:1"]));
        let job = Job {
            program: Program::File(&self.ffmpeg),
            arguments,
            cage: Cage { read: vec![file.path().to_owned()], ..Cage::default() },
            input: None,
            timeout: Duration::from_secs(30),
            output_limit: picture::MOST_BYTES,
        };
        let output = cage::run(&self.launcher, job).await.map_err(|failure| self.blame(failure))?;
        if output.stdout.is_empty() {
            return Err(Error::field("at", Message::new("media-no-frame")));
        }
        drop(place);
        self.picture(file.tenant(), output.stdout).await
    }

    /// Runs a program on one file, with nothing else to read and nothing to write.
    async fn read_only(&self, program: &Path, file: &LocalFile, arguments: Vec<OsString>, time: u64) -> Result<Output> {
        let job = Job {
            program: Program::File(program),
            arguments,
            cage: Cage { read: vec![file.path().to_owned()], cpu_seconds: time, ..Cage::default() },
            input: None,
            timeout: Duration::from_secs(time),
            output_limit: 8 << 20,
        };
        cage::run(&self.launcher, job).await.map_err(|failure| self.blame(failure))
    }

    /// Whose fault a failure is: the machine's, or the file's.
    fn blame(&self, failure: Failure) -> Error {
        match failure {
            Failure::NotStarted(cause) => {
                tracing::error!(cause, "ffmpeg or its cage does not start");
                Error::Upstream(
                    Message::new("media-program-missing").with("program", self.ffmpeg.display().to_string()),
                )
            }
            Failure::Pipe(cause) => Error::Internal(cause.into()),
            Failure::TimedOut(_) | Failure::Signalled(_) | Failure::TooMuchOutput => {
                tracing::info!(%failure, "a file is more than the cage allows");
                Error::WrongKind(Message::new("media-too-demanding"))
            }
            Failure::Failed { .. } => {
                tracing::info!(%failure, "a file is not readable");
                Error::WrongKind(Message::new("media-unreadable"))
            }
        }
    }
}

/// Arguments that open `file` with one demuxer and nothing else.
fn input(file: &LocalFile, container: Container) -> Vec<OsString> {
    let demuxer = container.demuxer();
    let mut arguments = words(&["-f", demuxer, "-format_whitelist", demuxer, "-protocol_whitelist", "file"]);
    if demuxer == "mov" {
        // Off by default; a default is no promise.
        arguments.extend(words(&["-enable_drefs", "0", "-use_absolute_path", "0"]));
    }
    arguments.push("-i".into());
    arguments.push(file.ffmpeg_url());
    arguments
}

fn words(words: &[&str]) -> Vec<OsString> {
    words.iter().map(OsString::from).collect()
}

/// A path that means the same from any folder; a bare name stays one.
fn settled(program: &Path) -> PathBuf {
    if program.components().count() > 1 {
        std::path::absolute(program).unwrap_or_else(|_| program.to_owned())
    } else {
        program.to_owned()
    }
}

/// `5.1.9-0+deb12u1` and `n6.0` are releases; `N-109542-g…` is not.
fn numbers(version: &str) -> Option<(u32, u32)> {
    let mut parts = version.trim_start_matches('n').split(|sign: char| !sign.is_ascii_digit());
    let major = parts.next()?.parse().ok()?;
    let minor = parts.next().and_then(|part| part.parse().ok()).unwrap_or(0);
    Some((major, minor))
}

#[cfg(test)]
mod tests;
