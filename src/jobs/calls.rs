//! What people do with jobs: order one, look, cancel.

use std::ops::ControlFlow;

use uuid::Uuid;

use super::{Job, JobState, MOST_OPEN, MOST_OVER, Optimise, Work};
use crate::audit;
use crate::error::{Error, Result};
use crate::library::{Editor, Library, Video, need_video_to_change};
use crate::media::{Facts, Profile};
use crate::objects::intake::check_disk;
use crate::store::paged::{Paged, Place};
use crate::store::rows::{Reader, Row, Writer};
use crate::text::{Locale, Message};

/// Which jobs.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum JobFilter {
    /// All.
    #[default]
    All,
    /// Those that wait or run.
    Open,
    /// Those in this state.
    Is(JobState),
}

/// What is asked of the list of jobs, which stands in the order they were made.
#[derive(Debug, Clone, Default)]
pub struct JobQuery {
    /// Which.
    pub filter: JobFilter,
    /// Only those about this video.
    pub video: Option<Uuid>,
    /// Which page.
    pub place: Place,
}

/// A job, with what belongs to it.
#[derive(Debug, Clone)]
pub struct JobShown {
    /// The job.
    pub row: Row<Job>,
    /// While it waits: how many of the library's own come before it.
    pub ahead: Option<usize>,
    /// Title of its video; `None` once that is deleted.
    pub title: Option<String>,
}

impl JobShown {
    fn of(rows: &Reader<'_>, row: Row<Job>) -> Result<JobShown> {
        let title = rows.get::<Video>(row.value.work.video_id())?.map(|video| video.value.title);
        Ok(JobShown { ahead: ahead(rows, &row)?, title, row })
    }
}

/// What optimising a video would take.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Cost {
    /// How large the picture may be.
    pub profile: Profile,
    /// Bytes of the optimised video, about.
    pub bytes: u64,
    /// Bytes that have to be free meanwhile.
    pub needed: u64,
    /// Seconds of work, about.
    pub seconds: f64,
}

/// Parts and whole lie side by side before the parts go.
pub(super) fn needed(profile: Profile, facts: &Facts) -> u64 {
    profile.bytes(facts).saturating_mul(2)
}

/// The newest job about a video.
pub fn newest_of_video(rows: &Reader<'_>, video: Uuid) -> Result<Option<Row<Job>>> {
    match rows.ids_at::<Job>("video", video.as_bytes())?.last() {
        Some(id) => rows.get::<Job>(*id),
        None => Ok(None),
    }
}

/// The jobs that wait or run, oldest first.
pub(super) fn open_jobs(rows: &Reader<'_>) -> Result<Vec<Uuid>> {
    rows.ids_at::<Job>("open", b"")
}

/// How many jobs of the library come before one that waits: they are done in the order they were made.
fn ahead(rows: &Reader<'_>, job: &Row<Job>) -> Result<Option<usize>> {
    if job.value.state != JobState::Queued {
        return Ok(None);
    }
    let mut count = 0;
    for id in open_jobs(rows)?.into_iter().take_while(|id| *id != job.id()) {
        let other = rows.get::<Job>(id)?;
        count += usize::from(other.is_some_and(|row| row.value.state == JobState::Queued));
    }
    Ok(Some(count))
}

/// Whether a job waits or runs.
pub(crate) fn is_open(rows: &Reader<'_>, job: Uuid) -> Result<bool> {
    Ok(rows.get::<Job>(job)?.is_some_and(|row| row.value.state.is_open()))
}

/// Cancels what waits or runs for a video that goes.
pub(crate) fn cancel_about(rows: &mut Writer<'_>, video: Uuid) -> Result<()> {
    let Some(found) = newest_of_video(rows.view(), video)? else { return Ok(()) };
    if let Some(old) = rows.get::<Job>(found.id())?.filter(|row| row.value.state.is_open()) {
        let reason = Some(Message::new("job-video-gone"));
        let job = Job { state: JobState::Cancelled, reason, ended_at: Some(rows.now()), ..old.value.clone() };
        rows.update(&old, job)?;
    }
    Ok(())
}

/// Seconds of work for a second of video: as it was with the newest of this library, else as on a small box.
fn pace(rows: &Reader<'_>, profile: Profile) -> Result<f64> {
    let mut found = None;
    rows.each::<Job>(true, |row| {
        let job = row.value;
        let Work::Optimise(optimise) = &job.work;
        if let (JobState::Done, 1, Some(start), Some(end)) = (job.state, job.attempts, job.started_at, job.ended_at)
            && optimise.profile == profile
            && optimise.duration > 1.0
        {
            found = Some(end.duration_since(start).as_secs_f64() / optimise.duration);
            return ControlFlow::Break(());
        }
        ControlFlow::Continue(())
    })?;
    Ok(found.unwrap_or_else(|| profile.usual_pace()))
}

impl Library {
    /// What optimising a video would take, smallest first.
    pub async fn optimise_costs(&self, facts: Facts) -> Result<Vec<Cost>> {
        self.rows()
            .read(move |rows| {
                let costs = Profile::ALL.into_iter().map(|profile| {
                    let (bytes, needed) = (profile.bytes(&facts), needed(profile, &facts));
                    Ok(Cost { profile, bytes, needed, seconds: pace(rows, profile)? * facts.duration })
                });
                costs.collect()
            })
            .await
    }

    /// A page of jobs.
    pub async fn jobs(&self, query: JobQuery) -> Result<Paged<JobShown>> {
        let board = self.foundation().jobs().clone();
        self.rows()
            .read(move |rows| {
                let mut all = Vec::new();
                rows.each::<Job>(false, |mut row| {
                    let state = row.value.state;
                    let is_wanted = match query.filter {
                        JobFilter::All => true,
                        JobFilter::Open => state.is_open(),
                        JobFilter::Is(wanted) => state == wanted,
                    };
                    if is_wanted && query.video.is_none_or(|video| row.value.work.video_id() == video) {
                        board.put(&mut row);
                        all.push((row.id().as_bytes().to_vec(), row));
                    }
                    ControlFlow::Continue(())
                })?;
                Paged::of(all, &query.place).try_map(|row| JobShown::of(rows, row))
            })
            .await
    }

    /// One job.
    ///
    /// # Errors
    /// [`Error::NotFound`].
    pub async fn job(&self, id: Uuid) -> Result<JobShown> {
        let mut job = self.rows().read(move |rows| JobShown::of(rows, rows.need::<Job>(id)?)).await?;
        self.foundation().jobs().put(&mut job.row);
        Ok(job)
    }

    /// The newest job about a video.
    pub async fn job_of_video(&self, video: Uuid) -> Result<Option<JobShown>> {
        let read =
            move |rows: &Reader<'_>| newest_of_video(rows, video)?.map(|row| JobShown::of(rows, row)).transpose();
        let mut job = self.rows().read(read).await?;
        if let Some(job) = &mut job {
            self.foundation().jobs().put(&mut job.row);
        }
        Ok(job)
    }
}

/// Forgets the oldest that are over, so that rows do not grow without end.
fn forget_oldest(rows: &mut Writer<'_>) -> Result<()> {
    let mut over = Vec::new();
    rows.view().each::<Job>(false, |row| {
        if !row.value.state.is_open() {
            over.push(row);
        }
        ControlFlow::Continue(())
    })?;
    let many = (over.len() + 1).saturating_sub(MOST_OVER);
    over.iter().take(many).for_each(|row| rows.delete(row));
    Ok(())
}

impl Editor {
    /// Orders a video to be brought into the house profile; it keeps its id. `keep_original` keeps the bytes it has as a
    /// video of its own, titled in the reader's language.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::OverQuota`] if there would be no room for it now; [`Error::Conflict`] if the video
    /// is in a job already, or too many wait.
    pub async fn optimise_video(
        &self,
        id: Uuid,
        profile: Profile,
        keep_original: bool,
        locale: Locale,
    ) -> Result<JobShown> {
        let video = self.video(id).await?;
        let needed = needed(profile, &video.value.facts);
        self.foundation().ledger(self.scope()).check(needed).await?;
        check_disk(self.foundation(), needed)?;
        let (tenant, actor, job) = (self.tenant().clone(), self.actor().clone(), Uuid::now_v7());
        self.rows()
            .write(move |rows| {
                let video = need_video_to_change(rows, id, None)?;
                let open = open_jobs(rows.view())?;
                if open.len() >= MOST_OPEN {
                    return Err(Error::Conflict(Message::new("job-many").with("most", MOST_OPEN)));
                }
                if newest_of_video(rows.view(), id)?.is_some_and(|job| job.value.state.is_open()) {
                    return Err(Error::Conflict(Message::new("job-video-busy")));
                }
                forget_oldest(rows)?;
                let Video { title, facts, .. } = video.value;
                let duration = facts.duration;
                let work = Work::Optimise(Optimise { video_id: id, profile, keep_original, duration, locale });
                audit::record(rows, &actor, "video.optimise", format!("{id} {title}"))?;
                rows.insert_with_id(job, &tenant, &actor, Job::new(work)).map(drop)
            })
            .await?;
        self.job(job).await
    }

    /// Cancels a job; what it has done so far is thrown away.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] if it is over.
    pub async fn cancel_job(&self, id: Uuid) -> Result<JobShown> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let old = rows.need::<Job>(id, None)?;
                if !old.value.state.is_open() {
                    return Err(Error::Conflict(Message::new("job-over")));
                }
                let job = Job { state: JobState::Cancelled, ended_at: Some(rows.now()), ..old.value.clone() };
                let video = rows.get::<Video>(job.work.video_id())?;
                let title = video.map(|video| video.value.title).unwrap_or_default();
                audit::record(rows, &actor, "job.cancel", format!("{id} {title}"))?;
                rows.update(&old, job).map(drop)
            })
            .await?;
        self.job(id).await
    }
}
