//! Optimising a video: its picture in parts of a minute, each of which is kept once it is whole; then its sound in one
//! piece; then all of it joined by copy, held against what it should be, and put in the video's place.

use uuid::Uuid;

use super::board::Shown;
use super::calls::needed;
use super::{Job, JobState, Kept, Optimise};
use crate::error::{Error, Result};
use crate::library::names::{TITLE, line};
use crate::library::{Editor, Original, Video, VideoState};
use crate::media::house::{PART, RATE, has_parts};
use crate::media::{self, Stretch};
use crate::objects::intake::{Arrival, check_disk};
use crate::objects::{JobFile, JobFolder, LocalFile};
use crate::store::blocking;
use crate::store::rows::Row;
use crate::text::Message;

/// How far a job is when the picture is through, and the sound.
const PICTURE: f64 = 0.9;
const SOUND: f64 = 0.97;
/// Frames that a picture may be shorter than its container says without being odd.
const SLACK: u32 = 2 * RATE;

/// One attempt.
pub(super) struct Attempt<'a> {
    pub editor: &'a Editor,
    pub job: Uuid,
    pub optimise: &'a Optimise,
    pub shown: &'a Shown,
}

/// What the steps work on.
struct Bench {
    video: Row<Video>,
    file: LocalFile,
    folder: JobFolder,
    arrival: Arrival,
}

/// The file is not what its container says.
fn odd() -> Error {
    Error::WrongKind(Message::new("job-odd-file"))
}

impl Attempt<'_> {
    /// Does the work, going on from what is `kept`. When it returns, the job's row says so.
    pub async fn work(&self, mut kept: Kept) -> Result<()> {
        let (video, file) = self.editor.video_file(self.optimise.video_id).await?;
        if video.value.state != VideoState::Ready {
            return Err(Error::NotFound);
        }
        let (bucket, proof, job) = (self.editor.bucket(), self.editor.proof().clone(), self.job);
        let folder = blocking(move || bucket.job_folder(&proof, job)).await?;
        let needed = needed(self.optimise.profile, &video.value.facts);
        let arrival = Arrival::of_job(self.editor.foundation(), self.editor.proof(), needed).await?;
        let mut bench = Bench { video, file, folder, arrival };
        kept.in_one |= !has_parts(bench.video.value.facts.container);
        loop {
            let is_whole = self.picture(&mut bench, &mut kept).await?;
            if is_whole && self.join(&bench, &kept).await? {
                return self.put_in_place(bench).await;
            }
            if kept.in_one {
                return Err(odd());
            }
            tracing::info!(job = %self.job, "a video cannot be entered in the middle; it is optimised in one piece");
            self.forget(&bench.folder, &mut kept).await?;
        }
    }

    /// Encodes the parts that are missing; whether they are all that the video should have.
    async fn picture(&self, bench: &mut Bench, kept: &mut Kept) -> Result<bool> {
        let facts = &bench.video.value.facts;
        let profile = self.optimise.profile;
        let expected = frames(facts.video.duration.unwrap_or(facts.duration)).max(1);
        // Beyond it lies nothing that a player would show, or a time that was made up.
        let most = frames(facts.duration).saturating_add(expected / 10).saturating_add(PART);
        self.check_kept(&bench.folder, kept).await?;
        let mut done: u32 = kept.parts.iter().sum();
        let mut is_through = kept.parts.last().is_some_and(|frames| kept.in_one || *frames < PART);
        while !is_through {
            let number = kept.parts.len() as u32;
            let stretch = if kept.in_one { Stretch { first: 0, frames: Some(most) } } else { Stretch::part(number) };
            check_disk(self.editor.foundation(), 0)?;
            let part = JobFile::Part(number);
            let to = bench.folder.fresh(part);
            let told = &mut |frames: u32| self.shown.set(f64::from(done + frames) / f64::from(expected) * PICTURE);
            let tools = self.editor.foundation().tools();
            let frames = tools.encode_picture(&bench.file, facts, profile, stretch, &to, told).await?;
            is_through = kept.in_one || frames < PART;
            done = done.saturating_add(frames);
            if done >= most {
                return Err(odd());
            }
            if frames > 0 {
                self.finish(&bench.folder, part).await?;
                kept.parts.push(frames);
                let bytes = self.check_kept(&bench.folder, kept).await?;
                // All of it lies there twice before it is joined.
                bench.arrival.make_room(2 * bytes).await?;
                self.save(kept, f64::from(done) / f64::from(expected) * PICTURE).await?;
            }
        }
        Ok(done > 0 && (kept.in_one || done.saturating_add(SLACK + expected / 50) >= expected))
    }

    /// Encodes the sound, if it is missing, and joins it with the picture; whether that came out even.
    async fn join(&self, bench: &Bench, kept: &Kept) -> Result<bool> {
        let facts = &bench.video.value.facts;
        let (tools, folder) = (self.editor.foundation().tools(), &bench.folder);
        let done: u32 = kept.parts.iter().sum();
        self.shown.set(PICTURE);
        let there = folder.clone();
        let sound = match blocking(move || Ok(there.file(JobFile::Sound).ok())).await? {
            Some(sound) => sound,
            None => {
                let to = folder.fresh(JobFile::Sound);
                let told = &mut |frames: u32| {
                    self.shown.set(PICTURE + (SOUND - PICTURE) * f64::from(frames) / f64::from(done));
                };
                tools.encode_sound(&bench.file, facts, done, &to, told).await?;
                self.finish(folder, JobFile::Sound).await?
            }
        };
        self.save(kept, SOUND).await?;
        self.shown.set(SOUND);
        let names = (0..kept.parts.len() as u32).map(|number| format!("file {}\n", JobFile::Part(number).name()));
        let (names, list) = (names.collect::<String>(), folder.clone());
        let list = blocking(move || {
            list.write(JobFile::List, names.as_bytes())?;
            list.file(JobFile::List)
        });
        check_disk(self.editor.foundation(), 0)?;
        let (whole, most) = (folder.fresh(JobFile::Whole), self.optimise.profile.most_bytes(facts, facts.duration));
        let is_even = tools.join_parts(&list.await?, &sound, done, most, &whole).await?;
        if is_even {
            self.finish(folder, JobFile::Whole).await?;
        }
        Ok(is_even)
    }

    async fn finish(&self, folder: &JobFolder, file: JobFile) -> Result<LocalFile> {
        let folder = folder.clone();
        blocking(move || {
            folder.finish(file)?;
            folder.file(file)
        })
        .await
    }

    /// Brings the result through the gate and puts it in the video's place; the job is done in the same batch.
    async fn put_in_place(&self, bench: Bench) -> Result<()> {
        let Bench { video, folder, mut arrival, .. } = bench;
        let name = &video.value.original_name;
        let new = self.editor.receive_made(&mut arrival, &folder, JobFile::Whole, name).await?;
        let verdict = media::verdict(new.facts());
        if !verdict.ready {
            return Err(Error::Internal(anyhow::anyhow!("an optimised video is not ready: {:?}", verdict.findings)));
        }
        let original = if self.optimise.keep_original {
            let title = Message::new("job-original-title").with("title", video.value.title.as_str());
            Original::Stays(line(&title.in_locale(self.optimise.locale), TITLE))
        } else {
            Original::Goes
        };
        let (job, id, sha256) = (self.job, video.id(), video.value.sha256.clone());
        self.editor
            .replace_video(&mut arrival, id, sha256, new, original, move |rows, original_id| {
                let old = rows.need::<Job>(job, None)?;
                if !old.value.state.is_open() {
                    return Err(Error::Conflict(Message::new("job-over")));
                }
                let job = Job {
                    state: JobState::Done,
                    progress: 1.0,
                    ended_at: Some(rows.now()),
                    result_id: Some(id),
                    original_id,
                    kept: Kept::default(),
                    ..old.value.clone()
                };
                rows.update(&old, job).map(drop)
            })
            .await
            .map(drop)
    }

    /// Counts on parts only if they lie there; how many bytes they have.
    async fn check_kept(&self, folder: &JobFolder, kept: &mut Kept) -> Result<u64> {
        let (folder, many) = (folder.clone(), kept.parts.len() as u32);
        let size = move |number| Some(folder.file(JobFile::Part(number)).ok()?.open().ok()?.metadata().ok()?.len());
        let sizes = blocking(move || Ok((0..many).map_while(size).collect::<Vec<u64>>())).await?;
        kept.parts.truncate(sizes.len());
        Ok(sizes.iter().sum())
    }

    /// Begins from zero, in one piece.
    async fn forget(&self, folder: &JobFolder, kept: &mut Kept) -> Result<()> {
        let (folder, many) = (folder.clone(), kept.parts.len() as u32);
        *kept = Kept { parts: Vec::new(), in_one: true };
        blocking(move || {
            (0..=many).try_for_each(|number| folder.remove(JobFile::Part(number)))?;
            [JobFile::Sound, JobFile::Whole].into_iter().try_for_each(|file| folder.remove(file))
        })
        .await?;
        self.save(kept, 0.0).await
    }

    /// Writes down what the next attempt can count on.
    async fn save(&self, kept: &Kept, progress: f64) -> Result<()> {
        let (id, kept) = (self.job, kept.clone());
        self.editor
            .rows()
            .write(move |rows| {
                let old = rows.need::<Job>(id, None)?;
                if !old.value.state.is_open() {
                    return Err(Error::Conflict(Message::new("job-over")));
                }
                let progress = old.value.progress.max(progress.min(1.0));
                rows.update(&old, Job { kept: kept.clone(), progress, fruitless: 0, ..old.value.clone() }).map(drop)
            })
            .await
    }
}

fn frames(seconds: f64) -> u32 {
    (seconds * f64::from(RATE)).ceil().clamp(0.0, f64::from(u32::MAX)) as u32
}
