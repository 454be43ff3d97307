//! Occurrences changed by hand, and what the planner makes of them.

use jiff::civil::DateTime;

use super::*;
use crate::schedule::{Becomes, Calendar, OccurrenceChange, Passed, Planned, Reach, ScheduleView};

fn at(text: &str) -> DateTime {
    text.parse().unwrap()
}

fn to(text: &str) -> OccurrenceChange {
    OccurrenceChange { starts_at: Some(Some(at(text))), ..OccurrenceChange::default() }
}

fn lasting(seconds: u64) -> OccurrenceChange {
    OccurrenceChange { duration: Some(Some(seconds)), ..OccurrenceChange::default() }
}

fn cancelled(cancelled: bool) -> OccurrenceChange {
    OccurrenceChange { cancelled: Some(cancelled), ..OccurrenceChange::default() }
}

impl Home {
    async fn change(&self, id: Uuid, of: &str, reach: Reach, change: OccurrenceChange) -> Result<Option<ScheduleView>> {
        let changed = self.editor.change_occurrence((id, at(of)), None, reach, change).await?;
        for id in changed.iter().map(|view| view.row.id()).chain([id]) {
            self.look(id).await;
        }
        Ok(changed)
    }

    /// Local times and lengths of what comes of a schedule.
    async fn coming(&self, id: Uuid, count: usize) -> Vec<String> {
        let found = self.editor.occurrences(id, count).await.unwrap();
        let told = |one: &crate::schedule::Occurrence| {
            let minutes = one.stop.map_or(0, |stop| stop.duration_since(one.start).as_mins());
            format!("{} {minutes}", one.civil.strftime("%d %H:%M"))
        };
        found.iter().map(told).collect()
    }

    /// Passes so many minutes, minute by minute; what begins ends with its time.
    async fn live(&self, minutes: u64) {
        for _ in 0..minutes {
            self.pass(60).await;
            let now = self.clock.now();
            if self.open().await.is_some_and(|run| run.value.planned_stop.is_some_and(|stop| stop <= now)) {
                self.end_run().await;
            }
        }
    }

    /// When something was on air, or missed.
    async fn aired(&self) -> Vec<String> {
        let told = |(outcome, at, _): (Option<RunOutcome>, String, String)| match outcome {
            Some(RunOutcome::Missed) => format!("missed {at}"),
            _ => at,
        };
        self.runs().await.into_iter().map(told).collect()
    }

    async fn calendar(&self, from: &str, to: &str) -> Calendar {
        self.editor.calendar(from.parse().unwrap(), to.parse().unwrap()).await.unwrap()
    }
}

const DAILY: Option<&str> = Some("FREQ=DAILY");

#[tokio::test]
async fn an_occurrence_is_moved_lengthened_cancelled_and_put_back() {
    let home = home(10_000).await;
    let id = home.schedule("2026-01-05T12:00", DAILY, Some(3600)).await;
    home.change(id, "2026-01-06T12:00", Reach::This, to("2026-01-06T15:30")).await.unwrap();
    home.change(id, "2026-01-07T12:00", Reach::This, lasting(7200)).await.unwrap();
    home.change(id, "2026-01-08T12:00", Reach::This, cancelled(true)).await.unwrap();
    assert_eq!(home.coming(id, 4).await, ["05 12:00 60", "06 15:30 60", "07 12:00 120", "09 12:00 60"]);
    // What is typed of the rest leaves them as they are.
    let change = ScheduleChange { grace: Some(60), ..ScheduleChange::default() };
    home.editor.change_schedule(id, None, change).await.unwrap();
    // A second change is of the same occurrence; the first one stays.
    home.change(id, "2026-01-06T12:00", Reach::This, lasting(600)).await.unwrap();
    assert_eq!(home.coming(id, 2).await[1], "06 15:30 10");
    let back = OccurrenceChange { starts_at: Some(None), duration: Some(None), ..OccurrenceChange::default() };
    home.change(id, "2026-01-06T12:00", Reach::This, back).await.unwrap();
    home.change(id, "2026-01-07T12:00", Reach::This, back).await.unwrap();
    let view = home.change(id, "2026-01-08T12:00", Reach::This, cancelled(false)).await.unwrap().unwrap();
    assert!(view.row.value.exceptions.is_empty(), "{:?}", view.row.value.exceptions);
    assert_eq!(home.coming(id, 4).await, ["05 12:00 60", "06 12:00 60", "07 12:00 60", "08 12:00 60"]);
}

#[tokio::test]
async fn moving_an_occurrence_never_runs_it_twice() {
    let home = home(10_000).await;
    let id = home.schedule("2026-01-05T12:00", DAILY, Some(600)).await;
    // Before its time: it runs then, and not at its old time.
    home.change(id, "2026-01-05T12:00", Reach::This, to("2026-01-05T10:30")).await.unwrap();
    home.live(40).await;
    assert_eq!(home.aired().await, ["2026-01-05T10:30:00Z"]);
    // What has begun stays: it cannot be moved, lengthened, cancelled or put back.
    for change in [to("2026-01-05T18:00"), lasting(60), cancelled(true), OccurrenceChange::default()] {
        let refused = home.change(id, "2026-01-05T12:00", Reach::This, change).await.unwrap_err();
        assert_eq!((refused.status(), &*refused.message().id), (409, "occurrence-over"));
    }
    // All are moved to the evening: the one that ran does not run again, the next one runs in its evening.
    home.change(id, "2026-01-06T12:00", Reach::All, to("2026-01-06T18:00")).await.unwrap();
    home.live(12 * 60).await;
    assert_eq!(home.aired().await.len(), 1);
    home.live(24 * 60).await;
    assert_eq!(home.aired().await, ["2026-01-05T10:30:00Z", "2026-01-06T18:00:00Z"]);
    // A later one that is moved behind its successors runs in their midst, once.
    home.change(id, "2026-01-07T18:00", Reach::This, to("2026-01-09T12:00")).await.unwrap();
    home.live(4 * 24 * 60).await;
    assert_eq!(
        home.aired().await[2..],
        ["2026-01-08T18:00:00Z", "2026-01-09T12:00:00Z", "2026-01-09T18:00:00Z", "2026-01-10T18:00:00Z"]
    );
}

#[tokio::test]
async fn one_on_air_is_stretched_alone_and_never_into_the_next() {
    let home = home(10_000).await;
    let id = home.schedule("2026-01-05T12:00", DAILY, Some(3600)).await;
    home.live(121).await;
    let stop = async || home.open().await.unwrap().value.planned_stop.unwrap().to_string();
    assert_eq!(stop().await, "2026-01-05T13:00:00Z");
    home.change(id, "2026-01-05T12:00", Reach::This, lasting(7200)).await.unwrap();
    assert_eq!(stop().await, "2026-01-05T14:00:00Z");
    for (change, status) in
        [(lasting(25 * 3600), 409), (lasting(30), 422), (cancelled(true), 409), (to("2026-01-05T18:00"), 409)]
    {
        let refused = home.change(id, "2026-01-05T12:00", Reach::This, change).await.unwrap_err();
        assert_eq!(refused.status(), status, "{refused:?}");
    }
    for reach in [Reach::Following, Reach::All] {
        let refused = home.change(id, "2026-01-05T12:00", reach, lasting(600)).await.unwrap_err();
        assert_eq!(&*refused.message().id, "occurrence-on-air");
    }
    // Others follow the schedule, and so does this one again when it is put back.
    assert_eq!(home.coming(id, 2).await, ["06 12:00 60", "07 12:00 60"]);
    let back = OccurrenceChange { duration: Some(None), ..OccurrenceChange::default() };
    home.change(id, "2026-01-05T12:00", Reach::This, back).await.unwrap();
    assert_eq!(stop().await, "2026-01-05T13:00:00Z");
    let longer = ScheduleChange { duration: Some(Some(5400)), ..ScheduleChange::default() };
    home.editor.change_schedule(id, None, longer).await.unwrap();
    assert_eq!(stop().await, "2026-01-05T13:30:00Z");
    home.live(24 * 60).await;
    assert_eq!(home.aired().await, ["2026-01-05T12:00:00Z", "2026-01-06T12:00:00Z"]);
}

#[tokio::test]
async fn this_and_following_splits_the_schedule_and_leaves_the_past() {
    let home = home(10_000).await;
    let id = home.schedule("2026-01-05T12:00", Some("FREQ=DAILY;COUNT=6"), Some(3600)).await;
    home.live(24 * 60).await;
    home.change(id, "2026-01-07T12:00", Reach::This, lasting(60)).await.unwrap();
    home.change(id, "2026-01-09T12:00", Reach::This, cancelled(true)).await.unwrap();
    let tail = home.change(id, "2026-01-08T12:00", Reach::Following, to("2026-01-08T14:00")).await.unwrap().unwrap();
    assert_ne!(tail.row.id(), id);
    assert_eq!(home.coming(id, 9).await, ["06 12:00 60", "07 12:00 1"]);
    assert_eq!(home.coming(tail.row.id(), 9).await, ["08 14:00 60", "10 14:00 60"], "six in all");
    let head = home.editor.schedule(id).await.unwrap().row.value;
    assert_eq!(head.rule.as_deref(), Some("FREQ=DAILY;UNTIL=20260107"));
    home.live(7 * 24 * 60).await;
    assert_eq!(
        home.aired().await,
        [
            "2026-01-05T12:00:00Z",
            "2026-01-06T12:00:00Z",
            "2026-01-07T12:00:00Z",
            "2026-01-08T14:00:00Z",
            "2026-01-10T14:00:00Z"
        ]
    );
    let runs = home.calendar("2026-01-01T00:00Z", "2026-02-01T00:00Z").await.entries;
    assert!(runs.iter().take(3).all(|entry| entry.schedule_id == Some(id)), "history stays with the old one");

    // With several times a day the split lies between two of them.
    let other = add_stream(&home.editor, "Music", "the-key-2").await;
    let times = vec!["09:00".parse().unwrap(), "20:00".parse().unwrap()];
    let input = ScheduleInput { stream_id: other, times, ..home.input("2026-02-01T14:00", DAILY, Some(600)) };
    let id = home.editor.create_schedule(input).await.unwrap().row.id();
    let tail = home.change(id, "2026-02-03T14:00", Reach::Following, to("2026-02-03T21:00")).await.unwrap().unwrap();
    assert_eq!(
        home.coming(id, 9).await,
        ["01 14:00 10", "01 20:00 10", "02 09:00 10", "02 14:00 10", "02 20:00 10", "03 09:00 10"]
    );
    assert_eq!(
        home.coming(tail.row.id(), 5).await,
        ["03 20:00 10", "03 21:00 10", "04 09:00 10", "04 20:00 10", "04 21:00 10"]
    );
    // And where it is moved before one that belongs to the first part, that one is not twice.
    let third = home
        .change(tail.row.id(), "2026-02-05T20:00", Reach::Following, to("2026-02-05T08:00"))
        .await
        .unwrap()
        .unwrap();
    assert_eq!(home.coming(tail.row.id(), 9).await.last().unwrap(), "05 09:00 10");
    assert_eq!(home.coming(third.row.id(), 4).await, ["05 08:00 10", "05 21:00 10", "06 08:00 10", "06 09:00 10"]);
}

#[tokio::test]
async fn days_follow_where_a_rule_can_say_so() {
    for (start, rule, of, dragged, expected) in [
        ("2026-01-06T12:00", "FREQ=WEEKLY", "2026-01-13", "2026-01-14", Some(["07", "14"])),
        ("2026-01-06T12:00", "FREQ=WEEKLY;BYDAY=TU,FR", "2026-01-13", "2026-01-14", Some(["07", "09"])),
        ("2026-01-06T12:00", "FREQ=WEEKLY;BYDAY=TU,FR", "2026-01-09", "2026-01-10", Some(["06", "10"])),
        ("2026-01-06T12:00", "FREQ=MONTHLY;BYMONTHDAY=6", "2026-02-06", "2026-02-20", Some(["20", "20"])),
        ("2026-01-06T12:00", "FREQ=MONTHLY;BYDAY=1TU", "2026-02-03", "2026-02-05", Some(["05", "05"])),
        ("2026-01-06T12:00", "FREQ=MONTHLY;BYMONTHDAY=6,20", "2026-01-20", "2026-01-21", None),
        ("2026-01-06T12:00", "FREQ=WEEKLY;BYDAY=TU,WE", "2026-01-06", "2026-01-07", None),
    ] {
        let home = home(10_000).await;
        let id = home.schedule(start, Some(rule), Some(3600)).await;
        let moved = home.change(id, &format!("{of}T12:00"), Reach::All, to(&format!("{dragged}T12:00"))).await;
        match (moved, expected) {
            (Ok(_), Some(days)) => {
                let found: Vec<String> = home.coming(id, 2).await.iter().map(|one| one[..2].to_owned()).collect();
                assert_eq!(found, days, "{rule} {of} {dragged}");
            }
            (Err(refused), None) => assert_eq!(refused.status(), 422, "{rule}"),
            (other, _) => panic!("{rule}: {other:?}"),
        }
    }
}

#[tokio::test]
async fn what_makes_no_sense_of_an_occurrence_is_refused() {
    let home = home(10_000).await;
    let id = home.schedule("2026-01-05T12:00", DAILY, Some(3600)).await;
    for (of, reach, change, status) in [
        ("2026-01-06T12:30", Reach::This, cancelled(true), 404),
        ("2026-01-06T12:00", Reach::This, to("2026-01-05T09:00"), 422),
        ("2026-01-06T12:00", Reach::This, to("2026-01-07T12:30"), 409),
        ("2026-01-06T12:00", Reach::This, lasting(25 * 3600), 409),
        ("2026-01-06T12:00", Reach::This, lasting(0), 422),
        ("2026-01-06T12:00", Reach::All, lasting(26 * 3600), 422),
        ("2026-01-06T12:00", Reach::Following, to("2026-01-05T12:30"), 409),
        ("9000-01-06T12:00", Reach::This, cancelled(true), 404),
    ] {
        let refused = home.change(id, of, reach, change).await.unwrap_err();
        assert_eq!(refused.status(), status, "{of} {reach:?} {change:?}: {refused:?}");
    }
    let stale =
        home.editor.change_occurrence((id, at("2026-01-06T12:00")), Some(1), Reach::This, cancelled(true)).await;
    assert_eq!(stale.unwrap_err().status(), 412);
    // Cancelling all that come is deleting; those after the first is ending.
    home.change(id, "2026-01-07T12:00", Reach::Following, cancelled(true)).await.unwrap();
    assert_eq!(home.coming(id, 9).await.len(), 2);
    assert!(home.change(id, "2026-01-05T12:00", Reach::All, cancelled(true)).await.unwrap().is_none());
    assert_eq!(home.editor.schedule(id).await.unwrap_err().status(), 404);
    assert!(home.planner.agenda.first(|_| true).is_none());
}

#[tokio::test]
async fn a_stop_time_moves_with_its_start() {
    let home = home(10_000).await;
    let input = ScheduleInput {
        stop_at: Some(crate::schedule::StopTime::parse("01:00").unwrap()),
        ..home.input("2026-01-05T22:00", DAILY, None)
    };
    let id = home.editor.create_schedule(input).await.unwrap().row.id();
    home.change(id, "2026-01-05T22:00", Reach::This, to("2026-01-05T13:00")).await.unwrap();
    assert_eq!(home.coming(id, 2).await, ["05 13:00 180", "06 22:00 180"]);
    home.change(id, "2026-01-06T22:00", Reach::All, to("2026-01-06T23:30")).await.unwrap();
    assert_eq!(home.coming(id, 2).await, ["05 13:00 180", "06 23:30 180"]);
}

#[tokio::test]
async fn a_change_of_the_zones_rules_runs_nothing_twice() {
    let home = home(10_000).await;
    let id = home.schedule("2026-01-05T10:10", DAILY, Some(600)).await;
    home.live(60).await;
    assert_eq!(home.aired().await.len(), 1);
    // As if another release of the zone data put the same local time an hour later: by the clock it is to come, by its
    // name it has been.
    let passed = Passed { through: "2026-01-05T10:00:00Z".parse().unwrap(), last_run: None };
    home.editor.rows().write(move |rows| rows.put_value(&Passed::key(id), &passed)).await.unwrap();
    home.look(id).await;
    home.live(10).await;
    assert_eq!(home.aired().await, ["2026-01-05T10:10:00Z"]);
    assert_eq!(home.planner.agenda.first(|_| true).unwrap().to_string(), "2026-01-06T10:10:00Z");
}

#[tokio::test]
async fn the_calendar_shows_what_was_what_is_and_what_will_go_wrong() {
    // Room for two encoders.
    let home = home(120).await;
    let id = home.schedule("2026-01-05T11:00", DAILY, Some(3600)).await;
    home.change(id, "2026-01-07T11:00", Reach::This, cancelled(true)).await.unwrap();
    let keys = ["the-key-2", "the-key-3", "the-key-4"];
    let mut others = Vec::new();
    for key in keys {
        let stream_id = add_stream(&home.editor, key, key).await;
        let input = ScheduleInput { stream_id, ..home.input("2026-01-06T11:30", None, Some(3600)) };
        others.push(home.editor.create_schedule(input).await.unwrap().row.id());
    }
    home.editor.pause_schedule(others[0]).await.unwrap();
    home.live(150).await;
    let shown = home.calendar("2026-01-05T00:00Z", "2026-01-09T00:00Z").await;
    let told: Vec<String> = shown
        .entries
        .iter()
        .map(|entry| {
            let what = match &entry.what {
                Planned::Run { outcome, .. } => outcome.map_or("on", RunOutcome::code),
                Planned::Occurrence { cancelled: true, .. } => "cancelled",
                Planned::Occurrence { paused: true, .. } => "paused",
                Planned::Occurrence { trouble: Some(trouble), .. } => &trouble.id,
                Planned::Occurrence { .. } => "planned",
            };
            format!("{} {what}", entry.start.strftime("%d %H:%M"))
        })
        .collect();
    assert_eq!(
        told,
        [
            "05 11:00 completed",
            "06 11:00 planned",
            "06 11:30 paused",
            "06 11:30 planned",
            "06 11:30 schedule-crowded-memory",
            "07 11:00 cancelled",
            "08 11:00 planned",
        ]
    );
    let Planned::Occurrence { of, .. } = shown.entries[1].what else { panic!() };
    assert_eq!(of, at("2026-01-06T11:00"));
    for (from, to) in [("2026-01-05T00:00Z", "2026-01-05T00:00Z"), ("2026-01-05T00:00Z", "2026-05-05T00:00Z")] {
        let refused = home.editor.calendar(from.parse().unwrap(), to.parse().unwrap()).await.unwrap_err();
        assert_eq!(refused.status(), 400);
    }
    // Two streams come to share a key after they were planned: both are told.
    let exception = home.editor.schedule(id).await.unwrap().row.value.exceptions[0];
    assert_eq!(exception.becomes, Becomes::Cancelled);
    let clashing = add_stream(&home.editor, "Twin", "the-key-1").await;
    home.editor
        .rows()
        .write({
            let id = others[1];
            move |rows| {
                let row = rows.need::<Schedule>(id, None)?;
                let value = Schedule { stream_id: clashing, ..row.value.clone() };
                rows.update(&row, value).map(drop)
            }
        })
        .await
        .unwrap();
    let shown = home.calendar("2026-01-06T00:00Z", "2026-01-07T00:00Z").await;
    let clashes = shown.entries.iter().filter(|entry| {
        matches!(&entry.what, Planned::Occurrence { trouble: Some(trouble), .. } if trouble.id == "schedule-clash")
    });
    assert_eq!(clashes.count(), 2);
}

#[tokio::test]
async fn a_calendar_with_more_than_is_shown_shows_the_first_of_all_schedules_and_says_so() {
    let home = home(120).await;
    for _ in 0..2 {
        let times = (1..48).map(|half| jiff::civil::Time::constant(half / 2, half % 2 * 30, 0, 0)).collect();
        let input = home.input("2026-01-06T00:00", DAILY, Some(600));
        home.editor.create_schedule(ScheduleInput { times, paused: true, ..input }).await.unwrap();
    }
    // 96 a day: 31 days and 24 more.
    let shown = home.calendar("2026-01-06T00:00Z", "2026-04-06T00:00Z").await;
    assert!(shown.more);
    assert_eq!(shown.entries.len(), 3000);
    assert_eq!(shown.entries[2999].start.to_string(), "2026-02-06T05:30:00Z");
    for two in shown.entries.chunks(2) {
        assert!(two[0].start == two[1].start && two[0].schedule_id < two[1].schedule_id);
    }
    let shown = home.calendar("2026-01-06T00:00Z", "2026-02-06T00:00Z").await;
    assert_eq!((shown.entries.len(), shown.more), (2976, false));
}
