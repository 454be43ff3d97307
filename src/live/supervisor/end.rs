//! How a run ends: its keepers are told when, and what they leave behind is written down.

use std::time::Duration;

use jiff::Timestamp;
use tokio::time::Instant;

use super::{Seat, Supervisor, View};
use crate::audit;
use crate::auth::Actor;
use crate::error::Result;
use crate::live::process::Keeper;
use crate::live::run::{Run, RunOutcome, TargetEnd};
use crate::live::stream::{LastRun, Order};
use crate::notify;
use crate::store::rows::{Row, Writer};
use crate::text::Message;

/// From "stop" to asking again, and to the end without more asking. A keeper's own ladder takes 5 s.
const ASK_AGAIN: Duration = Duration::from_secs(8);
const END_IT: Duration = Duration::from_secs(20);
/// A keeper that is there so long after the stop time is told.
const OVERDUE: Duration = Duration::from_secs(5);

impl Supervisor {
    /// The end of a target that never had a keeper.
    pub(super) fn never(&self, view: &View, outcome: RunOutcome, reason: Option<Message>, now: Timestamp) -> TargetEnd {
        let started_at = view.run.started_at.unwrap_or(now).min(now);
        TargetEnd { outcome, reason, started_at, ended_at: now, restarts: 0, attempts: 0, bytes: 0 }
    }

    /// Whether a keeper has missed its stop time; one that does not know it yet is told first.
    pub(super) fn is_overdue(&self, view: &View, seat: &mut Seat, keeper: &Keeper, now: Timestamp) -> bool {
        let planned = view.run.planned_stop;
        if seat.stop_time.is_none()
            && seat.status.as_ref().is_some_and(|status| keeper.holds_stop_time(status, planned))
        {
            seat.stop_time = Some((planned, Instant::now()));
        }
        if seat.stop_time.is_none_or(|(told, _)| told != planned) {
            match keeper.change_stop_time(planned) {
                Ok(()) => seat.stop_time = Some((planned, Instant::now())),
                // No room on the disk: the next look tries again, and when it is time it is stopped.
                Err(cause) => tracing::warn!(run = %self.run_id, %cause, "a keeper could not be told its stop time"),
            }
        }
        let knows = seat.stop_time.is_none_or(|(_, at)| at.elapsed() > OVERDUE);
        knows && planned.is_some_and(|stop| now > stop + OVERDUE)
    }

    pub(super) fn tell_to_stop(&self, seat: &mut Seat, keeper: &Keeper) -> Result<()> {
        let now = Instant::now();
        let told = *seat.told.get_or_insert(now);
        if now.duration_since(told) >= END_IT {
            tracing::warn!(run = %self.run_id, "a keeper did not end when told; it is ended by force");
            return keeper.kill();
        }
        if seat.asked.is_none_or(|asked| now.duration_since(asked) >= ASK_AGAIN) {
            seat.asked = Some(now);
            keeper.stop()?;
        }
        Ok(())
    }

    /// Writes down how targets ended, and with the last one the run; not if the stop time that was `seen` is another
    /// one meanwhile: then it may have to go on.
    pub(super) async fn write_ends(&self, ended: Vec<(usize, TargetEnd)>, seen: Option<Timestamp>) -> Result<()> {
        let (id, actor) = (self.run_id, self.editor.actor().clone());
        let over = self
            .editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Run>(id, None)?;
                let mut run = row.value.clone();
                if run.planned_stop != seen {
                    return Ok(false);
                }
                for (number, end) in &ended {
                    if let Some(target) = run.targets.get_mut(*number) {
                        target.end = Some(end.clone());
                    }
                }
                let over = close(rows, &row, &mut run, &actor)?;
                rows.update(&row, run)?;
                Ok(over)
            })
            .await?;
        tracing::debug!(run = %id, over, "targets ended");
        if over && let Err(cause) = self.editor.free_leaving().await {
            tracing::error!(run = %id, %cause, "a deleted video could not be removed; the next start does it");
        }
        Ok(())
    }
}

/// Ends the run in the batch if all its targets have ended; whether they have.
fn close(rows: &mut Writer<'_>, row: &Row<Run>, run: &mut Run, actor: &Actor) -> Result<bool> {
    let Some((outcome, reason)) = run.verdict() else { return Ok(false) };
    run.total();
    let ended_at = run.targets.iter().filter_map(|target| Some(target.end.as_ref()?.ended_at)).max();
    run.ended_at = Some(ended_at.unwrap_or(rows.now()).max(run.started_at.unwrap_or(Timestamp::MIN)));
    (run.outcome, run.reason) = (Some(outcome), reason.clone());
    // What is over needs no keys.
    run.targets.iter_mut().for_each(|target| target.key = None);
    let key = Order::key(run.stream_id);
    let mut order: Order = rows.value(&key)?.unwrap_or_default();
    if order.run == Some(row.id()) {
        let at = run.ended_at.unwrap_or(rows.now());
        order = Order {
            on: false,
            stop_at: None,
            run: None,
            last: Some(LastRun { run_id: row.id(), outcome, reason, at }),
            ..order
        };
        rows.put_value(&key, &order)?;
    }
    notify::run_ended(rows, row.id(), run)?;
    audit::record(rows, actor, "run.end", format!("{} {} {}", row.id(), outcome.code(), run.stream_title))?;
    Ok(true)
}
