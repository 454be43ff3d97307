//! Makes the world match the rows: whatever waits or runs in some library is at work here, in fair turns, and nothing
//! else is. Woken by changes; a start looks at every library once.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;
use std::time::Duration;

use parking_lot::Mutex;
use tokio::sync::Notify;
use tokio::sync::broadcast::error::RecvError;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::calls::open_jobs;
use super::optimise::Attempt;
use super::{Job, JobState, Work};
use crate::auth::{SystemLicence, Tenant, WriteScope};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::Editor;
use crate::media::turns::Turns;
use crate::store::rows::{Record as _, Row};
use crate::store::{Change, Space, blocking};
use crate::supervise::Tasks;
use crate::text::Message;

/// Between two libraries that a start looks at.
const PAUSE: Duration = Duration::from_millis(5);
/// Attempts in a row that finish nothing: after that, it is the job that brings the server down.
const MOST_FRUITLESS: u32 = 5;

/// The jobs of all tenants. Cheap to clone.
#[derive(Clone)]
pub struct Queue {
    shared: Arc<Shared>,
}

struct Shared {
    foundation: Foundation,
    licence: Arc<SystemLicence>,
    tasks: Tasks,
    turns: Turns,
    at_work: Mutex<HashMap<Uuid, AtWork>>,
    /// Told when a job has left.
    left: Notify,
}

/// A job that waits for its turn or is being done.
struct AtWork {
    tenant: Tenant,
    cancel: CancellationToken,
}

impl Queue {
    /// An empty queue; [`Queue::work`] fills it.
    pub fn new(foundation: &Foundation, licence: Arc<SystemLicence>, tasks: &Tasks) -> Queue {
        let turns = Turns::new(foundation.config().limits.jobs.get());
        let shared = Shared {
            foundation: foundation.clone(),
            licence,
            tasks: tasks.clone(),
            turns,
            at_work: Mutex::default(),
            left: Notify::new(),
        };
        Queue { shared: Arc::new(shared) }
    }

    /// Looks after all jobs until `end`.
    pub async fn work(self, end: CancellationToken) {
        let mut changes = self.shared.foundation.store().watch();
        let mut unseen = self.everybody().await;
        loop {
            tokio::select! {
                () = end.cancelled() => return,
                change = changes.recv() => match change {
                    Ok(Change { space: Space::Tenant(tenant), keys }) => {
                        if keys.iter().any(|key| is_job(key)) {
                            self.look(&tenant).await;
                        }
                    }
                    Ok(_) => {}
                    Err(RecvError::Lagged(_)) => unseen = self.everybody().await,
                    Err(RecvError::Closed) => return,
                },
                () = tokio::time::sleep(PAUSE), if !unseen.is_empty() => {
                    if let Some(tenant) = unseen.pop_front() {
                        self.look(&tenant).await;
                    }
                }
            }
        }
    }

    async fn everybody(&self) -> VecDeque<Tenant> {
        match self.shared.foundation.store().tenants(&self.shared.licence).await {
            Ok(tenants) => tenants.into(),
            Err(cause) => {
                tracing::error!(%cause, "the libraries' jobs could not be looked at; the next start does it");
                VecDeque::new()
            }
        }
    }

    fn editor(&self, tenant: &Tenant) -> Editor {
        Editor::open(&self.shared.foundation, &self.shared.licence.scope(tenant, "jobs"))
    }

    /// Begins what a library has open, and ends what it has not.
    async fn look(&self, tenant: &Tenant) {
        let known: Vec<Uuid> = {
            let at_work = self.shared.at_work.lock();
            at_work.iter().filter(|(_, job)| job.tenant == *tenant).map(|(id, _)| *id).collect()
        };
        let asked = known.clone();
        let rows = self.editor(tenant).rows();
        let read = rows.read(move |rows| {
            let is_unwanted = |id: &Uuid| -> Result<bool> {
                Ok(rows.get::<Job>(*id)?.is_none_or(|row| row.value.state == JobState::Cancelled))
            };
            let unwanted = asked.into_iter().filter_map(|id| match is_unwanted(&id) {
                Ok(unwanted) => unwanted.then_some(Ok(id)),
                Err(cause) => Some(Err(cause)),
            });
            Ok((open_jobs(rows)?, unwanted.collect::<Result<Vec<Uuid>>>()?))
        });
        // One that is done may still be clearing up: only what nobody wants any more is broken off.
        let (open, unwanted) = match read.await {
            Ok(found) => found,
            // Removed meanwhile.
            Err(Error::NotFound) => (Vec::new(), known),
            Err(cause) => {
                tracing::error!(%tenant, %cause, "a library's jobs could not be looked at; the next change tries again");
                return;
            }
        };
        let mut at_work = self.shared.at_work.lock();
        for id in unwanted {
            if let Some(job) = at_work.get(&id) {
                job.cancel.cancel();
            }
        }
        for id in open {
            at_work.entry(id).or_insert_with(|| {
                let (queue, tenant, cancel) = (self.clone(), tenant.clone(), CancellationToken::new());
                let job = AtWork { tenant: tenant.clone(), cancel: cancel.clone() };
                self.shared.tasks.spawn("job", move |end| async move {
                    queue.run(&tenant, id, cancel, end).await;
                    queue.shared.at_work.lock().remove(&id);
                    queue.shared.left.notify_waiters();
                });
                job
            });
        }
    }

    /// One job from its turn to its end, or to that of the server: then the next start goes on with it.
    async fn run(&self, tenant: &Tenant, id: Uuid, cancel: CancellationToken, end: CancellationToken) {
        let editor = self.editor(tenant);
        let work = async {
            let _place = self.shared.turns.place(tenant).await?;
            self.attempt(&editor, id).await
        };
        let outcome = tokio::select! {
            biased;
            () = end.cancelled() => return forgive(&editor, id).await,
            () = cancel.cancelled() => Ok(()),
            outcome = work => outcome,
        };
        if let Err(cause) = outcome {
            self.fail(&editor, id, cause).await;
        }
        let (bucket, proof) = (editor.bucket(), editor.proof().clone());
        if let Err(cause) = blocking(move || bucket.remove_job_folder(&proof, id)).await {
            tracing::warn!(job = %id, %cause, "what a job left behind stays until the next start");
        }
    }

    async fn attempt(&self, editor: &Editor, id: Uuid) -> Result<()> {
        let Some(row) = begin(editor, id).await? else { return Ok(()) };
        // What an earlier start left may still have its room booked, the attempt before this one too.
        editor.reconcile().await?;
        let shown = self.shared.foundation.jobs().show(id);
        shown.set(row.value.progress);
        tracing::info!(tenant = %editor.tenant(), job = %id, attempt = row.value.attempts, "a job begins");
        match &row.value.work {
            Work::Optimise(optimise) => Attempt { editor, job: id, optimise, shown: &shown }.work(row.value.kept).await,
        }
    }

    async fn fail(&self, editor: &Editor, id: Uuid, cause: Error) {
        let reason = match &cause {
            Error::NotFound => Message::new("job-video-gone"),
            Error::Internal(_) => {
                tracing::error!(tenant = %editor.tenant(), job = %id, %cause, "a job failed");
                Message::new("job-failed-inside")
            }
            told => told.message(),
        };
        let rows = editor.rows();
        let written = rows.write(move |rows| {
            // Cancelled meanwhile, or gone with its library.
            let Some(old) = rows.get::<Job>(id)?.filter(|row| row.value.state.is_open()) else { return Ok(()) };
            let job = Job {
                state: JobState::Failed,
                reason: Some(reason.clone()),
                ended_at: Some(rows.now()),
                ..old.value.clone()
            };
            rows.update(&old, job).map(drop)
        });
        match written.await {
            Ok(()) | Err(Error::NotFound) => {}
            Err(cause) => {
                tracing::error!(job = %id, %cause, "a job's end could not be written; the next start tries again")
            }
        }
    }

    /// Ends everything that a tenant has at work, for good, and waits for it.
    pub async fn end_tenant(&self, tenant: &WriteScope) -> Result<()> {
        let editor = Editor::open(&self.shared.foundation, tenant);
        for id in editor.rows().read(open_jobs).await.or_else(gone)? {
            match editor.cancel_job(id).await {
                Ok(_) | Err(Error::NotFound | Error::Conflict(_)) => {}
                Err(cause) => return Err(cause),
            }
        }
        loop {
            let left = self.shared.left.notified();
            tokio::pin!(left);
            left.as_mut().enable();
            let mut is_quiet = true;
            for job in self.shared.at_work.lock().values().filter(|job| job.tenant == *tenant.tenant()) {
                job.cancel.cancel();
                is_quiet = false;
            }
            if is_quiet {
                return Ok(());
            }
            left.await;
        }
    }
}

fn gone(cause: Error) -> Result<Vec<Uuid>> {
    match cause {
        Error::NotFound => Ok(Vec::new()),
        cause => Err(cause),
    }
}

fn is_job(key: &[u8]) -> bool {
    key.strip_prefix(b"row/")
        .and_then(|rest| rest.strip_prefix(Job::KIND.as_bytes()))
        .is_some_and(|rest| rest.starts_with(b"/"))
}

/// An attempt that the server's own end breaks off was not in vain.
async fn forgive(editor: &Editor, id: Uuid) {
    let rows = editor.rows();
    let written = rows.write(move |rows| {
        let Some(old) = rows.get::<Job>(id)?.filter(|row| row.value.state == JobState::Running) else { return Ok(()) };
        rows.update(&old, Job { fruitless: old.value.fruitless.saturating_sub(1), ..old.value.clone() }).map(drop)
    });
    if let Err(cause) = written.await {
        tracing::warn!(job = %id, %cause, "a job that goes on at the next start is counted as one in vain");
    }
}

/// Writes an attempt down before anything of it is done; `None` for a job that is over.
async fn begin(editor: &Editor, id: Uuid) -> Result<Option<Row<Job>>> {
    let rows = editor.rows();
    let begun = rows.write(move |rows| {
        let Some(old) = rows.get::<Job>(id)?.filter(|row| row.value.state.is_open()) else { return Ok(None) };
        let job = Job {
            state: JobState::Running,
            attempts: old.value.attempts.saturating_add(1),
            fruitless: old.value.fruitless.saturating_add(1),
            started_at: old.value.started_at.or(Some(rows.now())),
            ..old.value.clone()
        };
        rows.update(&old, job).map(Some)
    });
    let Some(row) = begun.await? else { return Ok(None) };
    if row.value.fruitless > MOST_FRUITLESS {
        return Err(Error::Upstream(Message::new("job-fruitless").with("count", MOST_FRUITLESS)));
    }
    Ok(Some(row))
}
