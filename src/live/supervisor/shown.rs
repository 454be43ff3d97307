//! What the board shows of a run.

use jiff::Timestamp;

use super::{Seat, Supervisor, View};
use crate::live::board::{State, StateName, TargetState};
use crate::live::keeper::files;
use crate::live::run::{RunOutcome, RunTarget};

impl Supervisor {
    /// What the board shows.
    pub(super) fn state(&self, view: &View, seats: &[Seat]) -> State {
        let now = self.editor.foundation().clock().now();
        let targets: Vec<TargetState> = view
            .run
            .targets
            .iter()
            .zip(seats)
            .map(|(target, seat)| self.told(target_state(view, target, seat, now), now))
            .collect();
        let first = [
            StateName::Stopping,
            StateName::Live,
            StateName::Sending,
            StateName::Retrying,
            StateName::Starting,
            StateName::Scheduled,
            StateName::Failed,
            StateName::Ended,
        ];
        let shown = first.into_iter().find(|name| targets.iter().any(|target| target.name == *name));
        let name = match shown {
            _ if !view.on => StateName::Stopping,
            // Over, and just being written down.
            Some(StateName::Failed | StateName::Ended) | None => StateName::Stopping,
            Some(name) => name,
        };
        let since = targets.iter().filter(|target| target.name == name).filter_map(|target| target.since).min();
        State {
            since: since.or(view.run.started_at),
            reason: targets.iter().find_map(|target| target.reason.clone()),
            run_id: Some(self.run_id),
            started_at: view.run.started_at,
            stop_at: view.run.planned_stop,
            next_at: view.run.started_at.filter(|_| name == StateName::Scheduled),
            restarts: targets.iter().map(|target| target.restarts).sum(),
            bitrate: targets.iter().map(|target| target.bitrate).sum(),
            out_time: targets.iter().map(|target| target.out_time).fold(0.0, f64::max),
            bytes: targets.iter().map(|target| target.bytes).sum(),
            samples: sum_samples(seats.iter().filter_map(|seat| Some(seat.status.as_ref()?.samples.as_slice()))),
            targets,
            ..State::of(name)
        }
    }
}

impl Supervisor {
    /// With the platform's word: what is sent is live where it says so.
    fn told(&self, state: TargetState, now: Timestamp) -> TargetState {
        let word = self.editor.foundation().board().word(self.run_id, state.id, now);
        let live = state.name == StateName::Sending && word.as_ref().is_some_and(|word| word.live);
        TargetState { name: if live { StateName::Live } else { state.name }, platform_word: word, ..state }
    }
}

fn target_state(view: &View, target: &RunTarget, seat: &Seat, now: Timestamp) -> TargetState {
    let mut state = TargetState {
        id: target.id,
        platform: target.platform,
        name: StateName::Starting,
        since: view.run.started_at,
        reason: seat.trouble.clone(),
        restarts: 0,
        attempts: 0,
        bitrate: 0,
        out_time: 0.0,
        bytes: 0,
        item: 0,
        platform_word: None,
    };
    if let Some(status) = &seat.status {
        state.name = match status.state {
            files::State::Starting => StateName::Starting,
            files::State::Sending => StateName::Sending,
            files::State::Retrying => StateName::Retrying,
            files::State::Stopping | files::State::Ended => StateName::Stopping,
            files::State::Failed => StateName::Failed,
        };
        state.since = Some(status.since);
        state.reason = status.reason.clone().or(state.reason);
        (state.restarts, state.attempts) = (status.restarts, status.attempts);
        (state.bitrate, state.out_time) = (status.bitrate, status.out_time);
        (state.bytes, state.item) = (status.bytes, status.item);
    }
    if seat.keeper.is_none() && target.keeper.is_some() {
        (state.name, state.bitrate) = (StateName::Retrying, 0);
    }
    // Everything is made ready some seconds ahead; nobody calls that on air.
    if state.name == StateName::Starting && view.run.started_at.is_some_and(|at| at > now) {
        state.name = StateName::Scheduled;
    }
    if let Some(end) = &target.end {
        state.name = if end.outcome == RunOutcome::Failed { StateName::Failed } else { StateName::Ended };
        (state.since, state.reason) = (Some(end.ended_at), end.reason.clone());
        (state.restarts, state.attempts, state.bytes) = (end.restarts, end.attempts, end.bytes);
        state.bitrate = 0;
    }
    state
}

/// Bitrates of several targets as one line: samples of the first, each with what the others last had by then.
pub(in crate::live) fn sum_samples<'s>(all: impl Iterator<Item = &'s [(i64, u64)]>) -> Vec<(i64, u64)> {
    let mut all: Vec<&[(i64, u64)]> = all.filter(|samples| !samples.is_empty()).collect();
    all.sort_by_key(|samples| std::cmp::Reverse(samples.len()));
    let Some((first, others)) = all.split_first() else { return Vec::new() };
    let at_least = 30_000;
    let sum = first.iter().map(|(at, rate)| {
        let more = others.iter().filter_map(|samples| {
            let known = samples.partition_point(|(when, _)| when <= at).checked_sub(1)?;
            samples.get(known).filter(|(when, _)| at - when < at_least).map(|(_, rate)| rate)
        });
        (*at, rate + more.sum::<u64>())
    });
    sum.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bitrates_of_several_targets_become_one_line() {
        let (one, two) = ([(1000, 10), (3000, 20), (5000, 30)], [(2000, 1), (3500, 2)]);
        let sum = sum_samples([two.as_slice(), one.as_slice(), &[]].into_iter());
        assert_eq!(sum, [(1000, 10), (3000, 21), (5000, 32)]);
        assert_eq!(sum_samples(std::iter::empty()), []);
    }
}
