//! One run: makes its keepers match what is wanted, from the rows and from what is found in the world; a start of the
//! server, a crash and "start now" take the same path.
//!
//! Rows are read when they have changed and written when something passes from one state to another, never on a tick.

mod end;
mod plan;
mod shown;

use std::path::PathBuf;
use std::time::Duration;

use futures_util::future::join_all;
use jiff::Timestamp;
use tokio::sync::Notify;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::engine::Engine;
use super::keeper::files::{self, Status};
use super::keys::{KEY_PATIENCE, LEASE};
use super::process::{Found, Keeper, OWN_PROGRAM};
use super::run::{KeeperNote, Run, RunOutcome, RunTarget, TargetEnd};
use super::stream::Order;
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::text::Message;

pub(super) use shown::sum_samples;

/// Between two looks at the keepers' files; where all is well, keepers report every five seconds only.
const LOOK: Duration = Duration::from_millis(500);
const QUIET_LOOK: Duration = Duration::from_millis(1500);
/// Failures to start a keeper at all, in a row, that end the target.
const MOST_REFUSALS: u32 = 10;

/// One target of the run, and its keeper if there is one.
#[derive(Default)]
struct Seat {
    keeper: Option<Keeper>,
    status: Option<Status>,
    /// The file that it stood in.
    seen: Option<files::Stamp>,
    told: Option<Instant>,
    asked: Option<Instant>,
    /// The stop time that its keeper was told, and when that was.
    stop_time: Option<(Option<Timestamp>, Instant)>,
    /// Not before then.
    again: Option<Instant>,
    /// Why it is not on air yet, or not any more.
    trouble: Option<Message>,
    /// Keepers lost, and starts that failed, since the last good stretch.
    setbacks: u32,
    /// When it was last told to make another connection.
    anew: Option<Instant>,
    lease: Option<Instant>,
}

/// What a look at a seat found out.
enum Step {
    Nothing,
    /// The row is another one now.
    Written,
    Ended(TargetEnd),
}

/// What is wanted of a run.
struct View {
    run: Run,
    on: bool,
}

pub(super) struct Supervisor {
    engine: Engine,
    editor: Editor,
    run_id: Uuid,
    folder: PathBuf,
}

impl Supervisor {
    pub(super) fn new(engine: Engine, editor: Editor, run_id: Uuid) -> Result<Supervisor> {
        let folder = editor.bucket().run_folder(run_id)?;
        Ok(Supervisor { engine, editor, run_id, folder })
    }

    async fn view(&self) -> Result<View> {
        let id = self.run_id;
        self.editor
            .rows()
            .read(move |rows| {
                let run = rows.need::<Run>(id)?.value;
                let order: Order = rows.value(&Order::key(run.stream_id))?.unwrap_or_default();
                let on = order.on && order.run == Some(id);
                Ok(View { run, on })
            })
            .await
    }

    /// Until the run is over, its row is gone, or the server ends.
    pub(super) async fn watch_over(self, wake: &Notify, end: CancellationToken) {
        let mut seats: Vec<Seat> = Vec::new();
        let mut stream = None;
        loop {
            match self.turn(&mut stream, &mut seats, wake, &end).await {
                Ok(true) => {}
                Ok(false) => return,
                Err(Error::NotFound) => return self.end_without_row(stream, &seats),
                Err(cause) => {
                    tracing::error!(run = %self.run_id, %cause, "a run could not be looked after; it is tried again");
                    tokio::select! {
                        () = end.cancelled() => return,
                        () = tokio::time::sleep(Duration::from_secs(2)) => {}
                    }
                }
            }
        }
    }

    /// The row is gone: the tenant was deleted. Nothing of theirs may go on.
    fn end_without_row(&self, stream: Option<Uuid>, seats: &[Seat]) {
        let board = self.editor.foundation().board();
        board.unbook(self.run_id);
        if let Some(stream) = stream {
            board.take_down(self.editor.tenant(), stream, self.run_id);
        }
        for keeper in seats.iter().filter_map(|seat| seat.keeper.as_ref()) {
            if let Err(cause) = keeper.kill() {
                tracing::error!(run = %self.run_id, %cause, "a keeper without a run could not be ended");
            }
        }
    }

    /// Reads what is wanted and looks at the world until something changes; false when all is over.
    async fn turn(
        &self,
        known: &mut Option<Uuid>,
        seats: &mut Vec<Seat>,
        wake: &Notify,
        end: &CancellationToken,
    ) -> Result<bool> {
        let view = self.view().await?;
        let board = self.editor.foundation().board();
        let stream = *known.insert(view.run.stream_id);
        if !view.run.is_open() {
            self.engine.over(&self.editor, self.run_id, &view.run).await;
            board.take_down(self.editor.tenant(), stream, self.run_id);
            return Ok(false);
        }
        self.engine.watched(&self.editor, self.run_id, &view.run).await?;
        seats.resize_with(view.run.targets.len(), Seat::default);
        loop {
            let looks = seats.iter_mut().enumerate().map(|(number, seat)| self.look(&view, number, seat));
            let (mut ended, mut written, mut failed) = (Vec::new(), false, None);
            for (number, step) in join_all(looks).await.into_iter().enumerate() {
                match step {
                    Ok(Step::Nothing) => {}
                    Ok(Step::Written) => written = true,
                    Ok(Step::Ended(end)) => ended.push((number, end)),
                    Err(cause) => failed = Some(cause),
                }
            }
            board.show(self.editor.tenant(), stream, &view.run.stream_title, self.state(&view, seats));
            if !ended.is_empty() {
                self.write_ends(ended, view.run.planned_stop).await?;
                return Ok(true);
            }
            if let Some(cause) = failed {
                return Err(cause);
            }
            if written {
                return Ok(true);
            }
            let now = self.editor.foundation().clock().now();
            let quiet = view.on && seats.iter().all(|seat| seat.is_quiet(now));
            tokio::select! {
                () = end.cancelled() => return Ok(false),
                () = wake.notified() => return Ok(true),
                () = tokio::time::sleep(if quiet { QUIET_LOOK } else { LOOK }) => {}
            }
        }
    }

    /// Makes one target match.
    async fn look(&self, view: &View, number: usize, seat: &mut Seat) -> Result<Step> {
        let target = &view.run.targets[number];
        if target.end.is_some() {
            return Ok(Step::Nothing);
        }
        let place = u16::try_from(number).unwrap_or(u16::MAX);
        if seat.keeper.is_none() {
            seat.keeper = Keeper::adopt(&self.folder, place);
        }
        let now = self.editor.foundation().clock().now();
        if let Some(keeper) = seat.keeper.clone() {
            if keeper.read_outcome().is_none() && keeper.is_alive() {
                if seat.status.is_none() {
                    seat.seen = None;
                }
                if let Some(status) = keeper.read_newer_status(&mut seat.seen) {
                    seat.status = Some(status);
                }
                if seat.status.as_ref().is_some_and(|status| is_well(status, now)) {
                    seat.setbacks = 0;
                }
                seat.trouble = None;
                if !view.on || self.is_overdue(view, seat, &keeper, now) {
                    self.tell_to_stop(seat, &keeper)?;
                } else {
                    self.connect_anew(target, seat, &keeper, now)?;
                }
                self.renew(view, target, place, seat).await;
                return Ok(Step::Nothing);
            }
            (seat.keeper, seat.stop_time) = (None, None);
        }
        if target.fence > 0 {
            match Keeper::settle(&self.folder, place, target.fence) {
                Ok(Found::Running(keeper)) => {
                    seat.keeper = Some(keeper);
                    return Ok(Step::Nothing);
                }
                Ok(Found::Over(outcome)) => {
                    let lost = outcome.reason.as_ref().is_some_and(|reason| reason.id == "live-reason-keeper-lost");
                    let time_left = view.run.planned_stop.is_none_or(|stop| stop > now);
                    let too_soon = outcome.came_too_soon(view.run.planned_stop, now);
                    let mut end = TargetEnd::from(outcome);
                    if lost && !view.on {
                        // Ended by force, on order.
                        (end.outcome, end.reason) = (RunOutcome::Stopped, None);
                    }
                    let goes_on = view.on && (lost && time_left || too_soon);
                    if !goes_on {
                        return Ok(Step::Ended(end));
                    }
                    if lost {
                        if seat.again.is_none() && seat.status.take().is_some() {
                            seat.setback(Message::new("live-reason-keeper-lost"));
                        }
                        seat.trouble.get_or_insert(Message::new("live-reason-keeper-lost"));
                    }
                }
                // One is just starting.
                Err(Error::Conflict(_)) => return Ok(Step::Nothing),
                Err(cause) => return Err(cause),
            }
        }
        if !view.on {
            return Ok(Step::Ended(self.never(view, RunOutcome::Stopped, None, now)));
        }
        if view.run.planned_stop.is_some_and(|stop| stop <= now) {
            let reason = seat.trouble.take().unwrap_or(Message::new("live-reason-time-over"));
            return Ok(Step::Ended(self.never(view, RunOutcome::Failed, Some(reason), now)));
        }
        if seat.again.is_some_and(|again| again > Instant::now()) {
            return Ok(Step::Nothing);
        }
        self.start(view, target, place, seat, now).await
    }

    /// What goes out and does not arrive for long, by the platform's own word, goes out over another connection.
    fn connect_anew(&self, target: &RunTarget, seat: &mut Seat, keeper: &Keeper, now: Timestamp) -> Result<()> {
        let foundation = self.editor.foundation();
        let patience = Duration::from_secs(u64::from(foundation.config().youtube.silent_seconds));
        let long_ago = |since: Timestamp| since + patience <= now;
        let sending = seat.status.as_ref().filter(|status| status.state == files::State::Sending);
        let told_lately = seat.anew.is_some_and(|told| told.elapsed() < patience);
        let silent_since = foundation.board().word(self.run_id, target.id, now).and_then(|word| word.silent_since);
        if !told_lately && sending.is_some_and(|status| long_ago(status.since)) && silent_since.is_some_and(long_ago) {
            tracing::warn!(run = %self.run_id, "the platform says that nothing arrives: another connection is made");
            keeper.connect_anew()?;
            seat.anew = Some(Instant::now());
        }
        Ok(())
    }

    /// Starts a keeper, or notes why not.
    async fn start(
        &self,
        view: &View,
        target: &RunTarget,
        place: u16,
        seat: &mut Seat,
        now: Timestamp,
    ) -> Result<Step> {
        let cause = match self.try_start(view, target, place, seat, now).await {
            Ok(step) => return Ok(step),
            // Deleted meanwhile.
            Err(Error::NotFound) => return Err(Error::NotFound),
            Err(cause) => cause,
        };
        tracing::error!(run = %self.run_id, %cause, "a keeper could not be started");
        seat.setback(cause.message());
        let hopeless = seat.setbacks >= MOST_REFUSALS && !matches!(cause, Error::OverQuota(_));
        if target.keeper.is_none() && hopeless {
            return Ok(Step::Ended(self.never(view, RunOutcome::Failed, Some(cause.message()), now)));
        }
        Ok(Step::Written)
    }

    async fn try_start(
        &self,
        view: &View,
        target: &RunTarget,
        place: u16,
        seat: &mut Seat,
        now: Timestamp,
    ) -> Result<Step> {
        let plan = match self.plan(view, target, place).await {
            Ok(plan) => plan,
            Err(Error::Conflict(reason)) => {
                return Ok(Step::Ended(self.never(view, RunOutcome::Failed, Some(reason), now)));
            }
            Err(cause) => return Err(cause),
        };
        let name = plan.key_lock.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        if !self.engine.claim_key(&name, self.run_id, place, plan.start_at.unwrap_or(now)).await? {
            return Ok(self.key_is_busy(view, target, seat, now));
        }
        seat.lease = Some(Instant::now());
        let fence = plan.fence;
        self.change(place, move |target| target.fence = target.fence.max(fence)).await?;
        match Keeper::start(std::path::Path::new(OWN_PROGRAM), &plan, &self.folder).await {
            Ok(keeper) => {
                let note = KeeperNote { pid: keeper.identity().pid, start_time: keeper.identity().start_time };
                seat.keeper = Some(keeper);
                seat.stop_time = Some((plan.stop_at, Instant::now()));
                seat.again = None;
                self.change(place, move |target| target.keeper = Some(note)).await?;
            }
            Err(Error::Conflict(reason)) if reason.id == "live-key-busy" => {
                return Ok(match self.key_is_busy(view, target, seat, now) {
                    Step::Nothing => Step::Written,
                    step => step,
                });
            }
            // Somebody else's keeper of this run: the next look finds it.
            Err(Error::Conflict(_)) => {}
            Err(cause) => return Err(cause),
        }
        Ok(Step::Written)
    }

    fn key_is_busy(&self, view: &View, target: &RunTarget, seat: &mut Seat, now: Timestamp) -> Step {
        let reason = Message::new("live-key-busy");
        let begin = view.run.started_at.unwrap_or(now);
        seat.lease = None;
        if target.keeper.is_none() && now > begin + KEY_PATIENCE {
            return Step::Ended(self.never(view, RunOutcome::Failed, Some(reason), now));
        }
        seat.again = Some(Instant::now() + if target.keeper.is_some() { KEY_PATIENCE } else { LOOK });
        seat.trouble = Some(reason);
        Step::Nothing
    }

    /// Goes on holding the key of a target that is on air.
    async fn renew(&self, view: &View, target: &RunTarget, place: u16, seat: &mut Seat) {
        if seat.lease.is_some_and(|lease| lease.elapsed() < LEASE / 2) {
            return;
        }
        let held = async {
            let name = self.key_name(target)?;
            self.engine.claim_key(&name, self.run_id, place, view.run.started_at.unwrap_or(Timestamp::MAX)).await
        };
        // The lock that the keeper holds is what counts; the lease tells others sooner.
        if let Err(cause) = held.await {
            tracing::warn!(run = %self.run_id, %cause, "the hold on a stream key could not be renewed");
        }
        seat.lease = Some(Instant::now());
    }

    /// Changes one target of the run's row.
    async fn change(&self, place: u16, change: impl Fn(&mut RunTarget) + Send + 'static) -> Result<()> {
        let id = self.run_id;
        self.editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Run>(id, None)?;
                let mut run = row.value.clone();
                if let Some(target) = run.targets.get_mut(usize::from(place)) {
                    change(target);
                }
                rows.update(&row, run).map(drop)
            })
            .await
    }
}

impl Seat {
    /// Sending for some time.
    fn is_quiet(&self, now: Timestamp) -> bool {
        let sending = self.status.as_ref().filter(|status| status.state == files::State::Sending);
        self.keeper.is_some() && sending.is_some_and(|status| now.duration_since(status.since).as_secs() >= 15)
    }

    /// Not at once again: 1 s, doubling to a minute.
    fn setback(&mut self, reason: Message) {
        let wait = Duration::from_secs(1 << self.setbacks.min(6)).min(Duration::from_secs(60));
        // The first keeper that is lost is replaced at once.
        let wait = if self.setbacks == 0 { Duration::ZERO } else { wait };
        self.setbacks += 1;
        self.again = Some(Instant::now() + wait);
        self.trouble = Some(reason);
    }
}

/// On air for a good minute.
fn is_well(status: &Status, now: Timestamp) -> bool {
    status.state == files::State::Sending && now.duration_since(status.since).as_secs() >= 60
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn setbacks_wait_longer_and_longer() {
        let mut seat = Seat::default();
        let mut waits = Vec::new();
        for _ in 0..9 {
            seat.setback(Message::new("live-reason-keeper-lost"));
            let wait = seat.again.unwrap().saturating_duration_since(Instant::now());
            waits.push(wait.as_secs_f64().round() as u64);
        }
        assert_eq!(waits, [0, 2, 4, 8, 16, 32, 60, 60, 60]);
    }
}
