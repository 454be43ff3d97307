//! Named tasks that are told to end and then waited for. The only place that spawns.

use std::future::Future;
use std::time::Duration;

use tokio::runtime::Handle;
use tokio_util::sync::CancellationToken;
use tokio_util::task::TaskTracker;

/// The background tasks of one server.
#[derive(Clone, Default)]
pub struct Tasks {
    tracker: TaskTracker,
    end: CancellationToken,
    /// Where they run: what a request begins must not end with the thread that answered it.
    home: Option<Handle>,
}

impl Tasks {
    /// No tasks yet. All of them will run where this is called.
    pub fn new() -> Tasks {
        Tasks { home: Handle::try_current().ok(), ..Tasks::default() }
    }

    /// Runs `task` until it returns; it is given the token that tells it to end.
    #[allow(clippy::disallowed_methods, reason = "this is the room that spawns")]
    pub fn spawn<F>(&self, name: &'static str, task: impl FnOnce(CancellationToken) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let work = task(self.end.child_token());
        let work = async move {
            work.await;
            tracing::debug!(task = name, "ended");
        };
        match &self.home {
            Some(home) => self.tracker.spawn_on(work, home),
            None => self.tracker.spawn(work),
        };
    }

    /// Runs `beat` every `period` until the end.
    pub fn every<F>(&self, name: &'static str, period: Duration, mut beat: impl FnMut() -> F + Send + 'static)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        self.spawn(name, move |end| async move {
            let mut ticks = tokio::time::interval(period);
            ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
            loop {
                tokio::select! {
                    () = end.cancelled() => return,
                    _ = ticks.tick() => beat().await,
                }
            }
        });
    }

    /// Ends with the server.
    pub fn ending(&self) -> CancellationToken {
        self.end.clone()
    }

    /// Tells all tasks to end and waits for them, at most `patience`.
    pub async fn finish(&self, patience: Duration) {
        self.end.cancel();
        self.tracker.close();
        if tokio::time::timeout(patience, self.tracker.wait()).await.is_err() {
            tracing::warn!(left = self.tracker.len(), "background tasks did not end in time");
        }
    }
}
