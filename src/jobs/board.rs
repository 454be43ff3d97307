//! How far jobs are right now: changes by the second, so it is not written down.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use uuid::Uuid;

use super::{Job, JobState};
use crate::store::rows::Row;

/// How far running jobs are, 0 to 1. Cheap to clone; whoever asks has read the job's row first.
#[derive(Clone, Default)]
pub struct Board {
    progress: Arc<Mutex<HashMap<Uuid, f64>>>,
}

/// One job's place on the board; gone with this value.
pub(super) struct Shown {
    board: Board,
    job: Uuid,
}

impl Board {
    /// How far a running job is.
    fn progress(&self, job: Uuid) -> Option<f64> {
        self.progress.lock().get(&job).copied()
    }

    /// Puts it into a row that was just read.
    pub(super) fn put(&self, row: &mut Row<Job>) {
        if row.value.state == JobState::Running
            && let Some(progress) = self.progress(row.id())
        {
            row.value.progress = row.value.progress.max(progress);
        }
    }

    pub(super) fn show(&self, job: Uuid) -> Shown {
        Shown { board: self.clone(), job }
    }
}

impl Shown {
    /// Only ever forward, as people expect of a bar.
    pub fn set(&self, progress: f64) {
        let mut all = self.board.progress.lock();
        let shown = all.entry(self.job).or_default();
        *shown = shown.max(progress.clamp(0.0, 1.0));
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        self.board.progress.lock().remove(&self.job);
    }
}
