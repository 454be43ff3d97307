//! Background work: written down as a row of the tenant's library, done behind everything else on the box, in fair turns
//! between tenants.
//!
//! People write and cancel rows ([`calls`]); the [`queue`] makes the world match, woken by changes, and a start after a
//! crash takes the same path. What one kind of work does stands in a file of its own ([`optimise`]); all of it leaves
//! what it has finished in the job's folder, so that the next attempt goes on from there.

mod board;
mod calls;
mod optimise;
mod queue;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::media::Profile;
use crate::store::rows::{Header, Index, Record};
use crate::text::{Locale, Message};

pub use board::Board;
pub use calls::{Cost, JobFilter, JobQuery, JobShown, newest_of_video};
pub(crate) use calls::{cancel_about, is_open};
pub use queue::Queue;

/// Jobs of one tenant that wait or run.
pub const MOST_OPEN: usize = 100;
/// Jobs of one tenant that are over and still shown; beyond, the oldest go.
pub const MOST_OVER: usize = 200;

/// Where a job is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum JobState {
    /// Waits for its turn.
    Queued,
    /// Is being done; also while the server is down in the middle of it.
    Running,
    /// Came to its end.
    Done,
    /// Could not be done; the reason says why.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

impl JobState {
    /// All of them.
    pub const ALL: [JobState; 5] =
        [JobState::Queued, JobState::Running, JobState::Done, JobState::Failed, JobState::Cancelled];

    /// The word used on pages and in the API.
    pub fn code(self) -> &'static str {
        match self {
            JobState::Queued => "queued",
            JobState::Running => "running",
            JobState::Done => "done",
            JobState::Failed => "failed",
            JobState::Cancelled => "cancelled",
        }
    }

    /// Waits or runs.
    pub fn is_open(self) -> bool {
        matches!(self, JobState::Queued | JobState::Running)
    }
}

/// What is to be done.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub enum Work {
    /// Bring a video into the house profile.
    Optimise(Optimise),
}

impl Work {
    /// The word used on pages and in the API.
    pub fn code(&self) -> &'static str {
        match self {
            Work::Optimise(_) => "optimise",
        }
    }

    /// The video it is about.
    pub fn video_id(&self) -> Uuid {
        match self {
            Work::Optimise(optimise) => optimise.video_id,
        }
    }
}

/// A video is to be encoded once, so that it goes on air by copy for ever.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Optimise {
    /// Which.
    pub video_id: Uuid,
    /// How large.
    pub profile: Profile,
    /// Keep the bytes it has as a video of its own.
    pub keep_original: bool,
    /// Its length, in seconds.
    pub duration: f64,
    /// The language of whoever asked, for the original's title.
    pub locale: Locale,
}

/// What earlier attempts left in the job's folder.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
pub struct Kept {
    /// Frames of each part of the picture that is whole.
    pub parts: Vec<u32>,
    /// The picture is made in one part: its file cannot be entered in the middle.
    pub in_one: bool,
}

/// Work that goes on while nobody waits for it.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Job {
    /// What is to be done.
    pub work: Work,
    /// Where it is.
    pub state: JobState,
    /// How far it is, 0 to 1, as it was written down last.
    pub progress: f64,
    /// Why, for failed.
    pub reason: Option<Message>,
    /// How often it was begun.
    pub attempts: u32,
    /// How often in a row nothing was finished.
    pub fruitless: u32,
    /// When it was begun first.
    pub started_at: Option<Timestamp>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// The video that came of it.
    pub result_id: Option<Uuid>,
    /// The video that holds what was there before, where it was to be kept.
    pub original_id: Option<Uuid>,
    /// For the next attempt.
    pub kept: Kept,
}

impl Job {
    /// A job that waits for its turn.
    pub fn new(work: Work) -> Job {
        Job {
            work,
            state: JobState::Queued,
            progress: 0.0,
            reason: None,
            attempts: 0,
            fruitless: 0,
            started_at: None,
            ended_at: None,
            result_id: None,
            original_id: None,
            kept: Kept::default(),
        }
    }
}

impl Record for Job {
    const KIND: &'static str = "job";

    fn indexes(&self, _: &Header) -> Vec<Index> {
        let video = self.work.video_id().as_bytes().to_vec();
        let mut rows = vec![Index { name: "video", key: video, value: Vec::new() }];
        if self.state.is_open() {
            rows.push(Index { name: "open", key: Vec::new(), value: Vec::new() });
        }
        rows
    }
}
