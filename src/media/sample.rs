//! The demo's clips and pictures, drawn by ffmpeg on the spot so that nothing has to be shipped.

use std::path::{Path, PathBuf};
use std::time::Duration;

use super::cage::{self, Cage, Failure, Job, Program};
use super::{Container, Picture, Tools, picture, words};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::text::Message;

/// A small library to look at.
#[derive(Debug, Clone)]
pub struct Sample {
    /// Short videos; the last one has keyframes too far apart, so that its verdict has something to say.
    pub clips: Vec<SampleClip>,
    /// Pictures in the shape of a thumbnail.
    pub pictures: Vec<SamplePicture>,
}

/// One video, lying in the folder that the caller named.
#[derive(Debug, Clone)]
pub struct SampleClip {
    /// Where it lies.
    pub path: PathBuf,
    /// What it is.
    pub container: Container,
    /// What it is called.
    pub title: Message,
}

/// One picture.
#[derive(Debug, Clone)]
pub struct SamplePicture {
    /// The picture.
    pub picture: Picture,
    /// What it is called.
    pub title: Message,
}

struct Recipe {
    file: &'static str,
    title: &'static str,
    /// A lavfi source.
    picture: &'static str,
    sound: &'static str,
    seconds: u32,
    /// Frames from one keyframe to the next, at 30 a second.
    keyframes: u32,
}

const CLIPS: [Recipe; 3] = [
    Recipe {
        file: "sample-1.mp4",
        title: "media-sample-dawn",
        picture: "gradients=s=640x360:r=30:n=4:c0=0x0f2027:c1=0x2c7744:c2=0xf2994a:c3=0x5b247a:\
                  x0=80:y0=40:x1=560:y1=320:seed=7:speed=0.02",
        sound: "sine=f=220:b=4:r=44100,volume=0.2",
        seconds: 12,
        keyframes: 60,
    },
    Recipe {
        file: "sample-2.mp4",
        title: "media-sample-sea",
        picture: "gradients=s=640x360:r=30:n=4:c0=0x1b2a6b:c1=0x1f9ac0:c2=0xf6d365:c3=0xfda085:\
                  x0=320:y0=180:x1=640:y1=360:seed=3:speed=0.03:type=spiral",
        sound: "sine=f=330:r=44100,volume=0.2,tremolo=f=0.5:d=0.6",
        seconds: 12,
        keyframes: 60,
    },
    Recipe {
        file: "sample-3.mp4",
        title: "media-sample-test-picture",
        picture: PLAIN,
        sound: "sine=f=440:b=2:r=44100,volume=0.2",
        seconds: 16,
        keyframes: 240,
    },
];

/// A source that every ffmpeg has; the gradients came with 4.4 and 5.0.
const PLAIN: &str = "testsrc2=s=640x360:r=30";

const PICTURES: [(&str, &str); 2] = [
    (
        "media-sample-evening",
        "gradients=s=1280x720:n=5:c0=0x0b132b:c1=0x1c2541:c2=0x5bc0be:c3=0xf9c784:c4=0xfc7a57:\
         x0=0:y0=0:x1=1279:y1=719:seed=5",
    ),
    (
        "media-sample-forest",
        "gradients=s=1280x720:n=4:c0=0x0b3d2e:c1=0x3a7d44:c2=0xd8e2a8:c3=0x9dc08b:\
         x0=0:y0=719:x1=1279:y1=0:seed=9",
    ),
];

impl Tools {
    /// Makes the demo's videos for `tenant` in `folder`, which must exist, and its pictures. The same ffmpeg makes the same bytes.
    ///
    /// # Errors
    /// [`Error::Upstream`] if ffmpeg is missing or cannot encode H.264.
    pub async fn sample_clips(&self, tenant: &Tenant, folder: &Path) -> Result<Sample> {
        let folder = std::path::absolute(folder)?;
        let [first, second, third] = &CLIPS;
        let (first, second, third) = tokio::try_join!(
            self.sample_clip(tenant, &folder, first),
            self.sample_clip(tenant, &folder, second),
            self.sample_clip(tenant, &folder, third)
        )?;
        let mut pictures = Vec::new();
        for (title, source) in PICTURES {
            pictures.push(SamplePicture {
                picture: self.sample_picture(tenant, source).await?,
                title: Message::new(title),
            });
        }
        Ok(Sample { clips: vec![first, second, third], pictures })
    }

    async fn sample_clip(&self, tenant: &Tenant, folder: &Path, recipe: &Recipe) -> Result<SampleClip> {
        let path = folder.join(recipe.file);
        let _place = self.places.place(tenant).await?;
        if self.encode(folder, &path, recipe, recipe.picture).await.is_err() {
            self.encode(folder, &path, recipe, PLAIN).await.map_err(no_samples)?;
        }
        Ok(SampleClip { path, container: Container::Mp4, title: Message::new(recipe.title) })
    }

    async fn encode(&self, folder: &Path, path: &Path, recipe: &Recipe, source: &str) -> Result<(), Failure> {
        let (seconds, keyframes) = (recipe.seconds.to_string(), recipe.keyframes.to_string());
        let mut arguments = words(&["-hide_banner", "-loglevel", "error", "-nostdin", "-y"]);
        arguments.extend(words(&["-f", "lavfi", "-i", source, "-f", "lavfi", "-i", recipe.sound, "-t", &seconds]));
        arguments.extend(words(&["-map", "0:v", "-map", "1:a", "-c:v", "libx264", "-preset", "superfast"]));
        arguments.extend(words(&["-profile:v", "high", "-pix_fmt", "yuv420p", "-g", &keyframes]));
        arguments.extend(words(&["-keyint_min", &keyframes, "-sc_threshold", "0", "-flags:v", "+cgop+bitexact"]));
        arguments.extend(words(&["-b:v", "800k", "-maxrate", "800k", "-bufsize", "800k", "-threads", "1"]));
        arguments.extend(words(&["-c:a", "aac", "-b:a", "128k", "-ar", "44100", "-ac", "2", "-flags:a", "+bitexact"]));
        arguments.extend(words(&[
            "-map_metadata",
            "-1",
            "-fflags",
            "+bitexact",
            "-movflags",
            "+faststart",
            "-f",
            "mp4",
        ]));
        let mut url = std::ffi::OsString::from("file:");
        url.push(path);
        arguments.push(url);
        let job = Job {
            program: Program::File(&self.ffmpeg),
            arguments,
            cage: Cage { write: vec![folder.to_owned()], file_mib: 64, cpu_seconds: 60, ..Cage::default() },
            input: None,
            timeout: Duration::from_secs(60),
            output_limit: 64 * 1024,
        };
        cage::run(&self.launcher, job).await.map(drop)
    }

    async fn sample_picture(&self, tenant: &Tenant, source: &str) -> Result<Picture> {
        let drawn = match self.draw(source).await {
            Err(_) => self.draw(PLAIN).await,
            drawn => drawn,
        };
        self.picture(tenant, drawn.map_err(no_samples)?).await
    }

    async fn draw(&self, source: &str) -> Result<Vec<u8>, Failure> {
        let mut arguments = words(&["-hide_banner", "-loglevel", "error", "-nostdin", "-f", "lavfi", "-i", source]);
        arguments.extend(words(&["-frames:v", "1", "-c:v", "png", "-f", "image2pipe", "pipe:1"]));
        let job = Job {
            program: Program::File(&self.ffmpeg),
            arguments,
            cage: Cage::default(),
            input: None,
            timeout: Duration::from_secs(30),
            output_limit: picture::MOST_BYTES,
        };
        cage::run(&self.launcher, job).await.map(|output| output.stdout)
    }
}

fn no_samples(failure: Failure) -> Error {
    tracing::warn!(%failure, "the sample clips could not be made");
    Error::Upstream(Message::new("media-no-samples"))
}
