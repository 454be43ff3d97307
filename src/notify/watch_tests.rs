use super::*;
use crate::live::Platform;

const BEGIN: i64 = 1_762_257_600;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_second(BEGIN + seconds).unwrap()
}

/// A run that began at second 0, with targets in these states since then.
fn glance(targets: &[(StateName, i64)]) -> Glance {
    let targets = targets.iter().enumerate().map(|(number, (name, since))| GlanceTarget {
        id: Uuid::from_u128(number as u128),
        platform: Platform::Youtube,
        name: *name,
        since: Some(at(*since)),
        reason: None,
    });
    Glance {
        tenant: Tenant::parse("al").unwrap(),
        run_id: Uuid::from_u128(99),
        name: StateName::Sending,
        started_at: Some(at(0)),
        targets: targets.collect(),
    }
}

/// Looks, and notes what was told.
fn look(told: &mut RunTold, targets: &[(StateName, i64)], now: i64) -> Vec<Edge> {
    let found = edges(told, &glance(targets), at(now));
    found.iter().for_each(|edge| told.note(edge, at(now)));
    found
}

#[test]
fn a_start_is_told_once_when_bytes_go_out_and_while_it_is_news() {
    let mut told = RunTold::default();
    assert_eq!(look(&mut told, &[(StateName::Starting, -4)], -2), []);
    assert_eq!(look(&mut told, &[(StateName::Starting, -4)], 5), []);
    assert_eq!(look(&mut told, &[(StateName::Sending, 6)], 6), [Edge::Started { news: true }]);
    assert_eq!(look(&mut told, &[(StateName::Sending, 6)], 7), []);
    let mut late = RunTold::default();
    assert_eq!(look(&mut late, &[(StateName::Sending, 6)], 5000), [Edge::Started { news: false }]);
}

#[test]
fn trouble_is_told_after_a_minute_and_its_end_when_it_is_steady() {
    let first = Uuid::from_u128(0);
    let mut told = RunTold { started: true, ..RunTold::default() };
    assert_eq!(look(&mut told, &[(StateName::Retrying, 100)], 159), []);
    assert_eq!(look(&mut told, &[(StateName::Retrying, 100)], 160), [Edge::Trouble { target: first, since: at(100) }]);
    assert_eq!(look(&mut told, &[(StateName::Retrying, 100)], 500), []);
    assert_eq!(look(&mut told, &[(StateName::Sending, 505)], 514), []);
    assert_eq!(look(&mut told, &[(StateName::Sending, 505)], 515), [Edge::Back { target: first, at: at(505) }]);
    assert_eq!(look(&mut told, &[(StateName::Sending, 505)], 900), []);
    // A short one is not told at all.
    assert_eq!(look(&mut told, &[(StateName::Retrying, 3000)], 3030), []);
    assert_eq!(look(&mut told, &[(StateName::Sending, 3031)], 3050), []);
}

#[test]
fn a_target_that_goes_to_and_fro_is_told_once_in_half_an_hour() {
    let mut told = RunTold { started: true, ..RunTold::default() };
    let mut count = [0, 0];
    // Two minutes off, one minute on, for three hours; looked at every second.
    for now in 0..3 * 3600 {
        let round = now / 180 * 180;
        let target = if now - round < 120 { (StateName::Retrying, round) } else { (StateName::Sending, round + 120) };
        for edge in look(&mut told, &[target], now) {
            count[usize::from(matches!(edge, Edge::Back { .. }))] += 1;
        }
    }
    assert_eq!(count, [6, 6]);
}

#[test]
fn one_target_in_trouble_is_told_beside_one_that_is_well_and_after_a_restart_not_again() {
    let second = Uuid::from_u128(1);
    let mut told = RunTold { started: true, ..RunTold::default() };
    let both = [(StateName::Sending, 3), (StateName::Retrying, 10)];
    assert_eq!(look(&mut told, &both, 90), [Edge::Trouble { target: second, since: at(10) }]);
    // Read again, as a new start does.
    let mut again: RunTold = serde_json::from_slice(&serde_json::to_vec(&told).unwrap()).unwrap();
    assert_eq!(look(&mut again, &both, 95), []);
    assert_eq!(
        look(&mut again, &[(StateName::Sending, 3), (StateName::Sending, 200)], 210),
        [Edge::Back { target: second, at: at(200) }]
    );
}

#[test]
fn what_never_got_through_is_trouble_too_and_what_is_being_stopped_is_none() {
    let mut told = RunTold::default();
    assert_eq!(look(&mut told, &[(StateName::Starting, -20)], 59), []);
    assert_eq!(
        look(&mut told, &[(StateName::Starting, -20)], 60),
        [Edge::Trouble { target: Uuid::from_u128(0), since: at(0) }]
    );
    let mut stopping = glance(&[(StateName::Retrying, 0)]);
    stopping.name = StateName::Stopping;
    assert_eq!(edges(&RunTold::default(), &stopping, at(500)), []);
    // What has ended is told by its own batch.
    assert_eq!(look(&mut RunTold::default(), &[(StateName::Failed, 10), (StateName::Ended, 10)], 500), []);
}
