use jiff::civil::date;
use proptest::prelude::*;
use uuid::Uuid;

use super::*;
use crate::schedule::{Exception, StopTime};

fn schedule(start: &str, zone: &str, rule: Option<&str>) -> Schedule {
    Schedule {
        stream_id: Uuid::nil(),
        starts_at: start.parse().unwrap(),
        time_zone: zone.into(),
        rule: rule.map(|rule| normal(rule).unwrap()),
        times: Vec::new(),
        skip_dates: Vec::new(),
        exceptions: Vec::new(),
        until: Until::Open,
        grace: 900,
        paused: false,
        broadcast: crate::schedule::Broadcast::default(),
    }
}

fn starts(schedule: &Schedule, after: &str, count: usize) -> Vec<String> {
    let after: Timestamp = after.parse().unwrap();
    occurrences(schedule, after).take(count).map(|one| one.start.to_string()).collect()
}

#[test]
fn clock_changes_follow_the_written_rules() {
    for (start, zone, rule, after, expected) in [
        // 02:30 does not exist on 8 March in New York: once, at 03:30 EDT.
        (
            "2026-03-07T02:30",
            "America/New_York",
            "FREQ=DAILY",
            "2026-03-01T00:00Z",
            vec!["2026-03-07T07:30:00Z", "2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z"],
        ),
        // 01:30 exists twice on 1 November: the first time.
        (
            "2026-10-31T01:30",
            "America/New_York",
            "FREQ=DAILY",
            "2026-10-01T00:00Z",
            vec!["2026-10-31T05:30:00Z", "2026-11-01T05:30:00Z", "2026-11-02T06:30:00Z"],
        ),
        (
            "2026-03-28T01:30",
            "Europe/London",
            "FREQ=DAILY",
            "2026-03-01T00:00Z",
            vec!["2026-03-28T01:30:00Z", "2026-03-29T01:30:00Z", "2026-03-30T00:30:00Z"],
        ),
        (
            "2026-10-24T01:30",
            "Europe/London",
            "FREQ=DAILY",
            "2026-10-01T00:00Z",
            vec!["2026-10-24T00:30:00Z", "2026-10-25T00:30:00Z", "2026-10-26T01:30:00Z"],
        ),
        // Half an hour on Lord Howe: 02:15 becomes 02:45.
        (
            "2026-10-03T02:15",
            "Australia/Lord_Howe",
            "FREQ=DAILY",
            "2026-10-01T00:00Z",
            vec!["2026-10-02T15:45:00Z", "2026-10-03T15:45:00Z", "2026-10-04T15:15:00Z"],
        ),
        (
            "2025-11-04T19:00",
            "Asia/Jakarta",
            "FREQ=DAILY",
            "2025-11-04T12:00Z",
            vec!["2025-11-05T12:00:00Z", "2025-11-06T12:00:00Z"],
        ),
        // Two times of day around a gap keep their order: 02:45 (moved to 03:45) after 03:15.
        (
            "2026-03-08T02:45",
            "America/New_York",
            "FREQ=DAILY;BYHOUR=2,3;BYMINUTE=15,45",
            "2026-03-08T00:00Z",
            vec!["2026-03-08T07:15:00Z", "2026-03-08T07:45:00Z", "2026-03-09T06:15:00Z"],
        ),
        // Samoa left out a whole day.
        (
            "2011-12-29T12:00",
            "Pacific/Apia",
            "FREQ=DAILY",
            "2011-12-01T00:00Z",
            vec!["2011-12-29T22:00:00Z", "2011-12-30T22:00:00Z", "2011-12-31T22:00:00Z"],
        ),
    ] {
        assert_eq!(
            starts(&schedule(start, zone, Some(rule)), after, expected.len()),
            expected,
            "{start} {zone} {rule}"
        );
    }
}

#[test]
fn rules_of_the_calendar() {
    for (start, rule, expected) in [
        ("2026-01-31T10:00", "FREQ=MONTHLY", vec!["2026-01-31", "2026-03-31", "2026-05-31"]),
        ("2026-01-31T10:00", "FREQ=MONTHLY;BYMONTHDAY=-1", vec!["2026-01-31", "2026-02-28", "2026-03-31"]),
        ("2024-02-29T10:00", "FREQ=YEARLY", vec!["2024-02-29", "2028-02-29", "2032-02-29"]),
        // No leap year is made of 2100.
        ("2096-02-29T10:00", "FREQ=YEARLY", vec!["2096-02-29", "2104-02-29", "2108-02-29"]),
        ("2027-12-31T10:00", "FREQ=MONTHLY;BYMONTHDAY=29", vec!["2028-01-29", "2028-02-29", "2028-03-29"]),
        ("2026-12-01T10:00", "FREQ=MONTHLY;BYMONTHDAY=29", vec!["2026-12-29", "2027-01-29", "2027-03-29"]),
        ("2026-01-01T10:00", "FREQ=MONTHLY;BYMONTHDAY=30,-1", vec!["2026-01-30", "2026-01-31", "2026-02-28"]),
        ("2026-01-01T10:00", "FREQ=MONTHLY;BYDAY=-1FR", vec!["2026-01-30", "2026-02-27", "2026-03-27"]),
        ("2026-01-01T10:00", "FREQ=MONTHLY;BYDAY=5SU", vec!["2026-03-29", "2026-05-31", "2026-08-30"]),
        ("2026-01-05T10:00", "FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU", vec!["2026-01-05", "2026-01-11", "2026-01-19"]),
        ("2026-01-02T10:00", "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR", vec!["2026-01-02", "2026-01-05", "2026-01-06"]),
        ("2026-01-05T10:00", "FREQ=WEEKLY;INTERVAL=3", vec!["2026-01-05", "2026-01-26", "2026-02-16"]),
        ("2026-01-01T10:00", "FREQ=MONTHLY;BYDAY=2TU", vec!["2026-01-13", "2026-02-10", "2026-03-10"]),
        ("2026-01-01T10:00", "FREQ=DAILY;COUNT=2", vec!["2026-01-01", "2026-01-02"]),
        ("2026-01-01T10:00", "FREQ=DAILY;UNTIL=20260103", vec!["2026-01-01", "2026-01-02", "2026-01-03"]),
        ("2026-01-01T10:00", "FREQ=DAILY;UNTIL=20260102T100000", vec!["2026-01-01", "2026-01-02"]),
        // An instant: 10:00 in Jakarta is 03:00 UTC.
        ("2026-01-01T10:00", "FREQ=DAILY;UNTIL=20260102T030000Z", vec!["2026-01-01", "2026-01-02"]),
        ("2026-01-01T10:00", "FREQ=DAILY;UNTIL=20260102T025959Z", vec!["2026-01-01"]),
        ("2026-01-01T10:00", "rrule:freq=daily;interval=2;", vec!["2026-01-01", "2026-01-03", "2026-01-05"]),
    ] {
        let schedule = schedule(start, "Asia/Jakarta", Some(rule));
        sensible(&schedule).unwrap();
        let dates: Vec<String> =
            occurrences(&schedule, Timestamp::MIN).take(3).map(|one| one.civil.date().to_string()).collect();
        assert_eq!(dates, expected, "{rule}");
    }
}

#[test]
fn rules_that_make_no_sense_are_refused() {
    for (rule, id) in [
        ("FREQ=HOURLY", "schedule-rule-frequency"),
        ("FREQ=SECONDLY;BYMONTH=2;BYMONTHDAY=30", "schedule-rule-frequency"),
        ("BYDAY=MO", "schedule-rule-unreadable"),
        ("FREQ=DAILY;COUNT=2;UNTIL=20260101", "schedule-rule-unreadable"),
        ("FREQ=DAILY;FREQ=WEEKLY", "schedule-rule-part"),
        ("FREQ=DAILY;INTERVAL=0", "schedule-rule-part"),
        ("FREQ=DAILY;COUNT=70000", "schedule-rule-part"),
        ("FREQ=DAILY;X=1", "schedule-rule-part"),
        ("FREQ=DAILY\nRRULE:FREQ=DAILY", "schedule-rule-unreadable"),
        ("", "schedule-rule-unreadable"),
        ("daily", "schedule-rule-unreadable"),
    ] {
        assert_eq!(normal(rule).unwrap_err().id, id, "{rule}");
    }
    let list = |to: u8| (0..to).map(|number| number.to_string()).collect::<Vec<_>>().join(",");
    let every_minute = format!("FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR,SA,SU;BYHOUR={};BYMINUTE={}", list(24), list(60));
    let every_second_of_some = format!("FREQ=YEARLY;BYMINUTE={}", list(60));
    for (rule, field, id) in [
        ("FREQ=YEARLY;BYMONTH=2;BYMONTHDAY=30", "rule", "schedule-rule-never"),
        ("FREQ=DAILY;UNTIL=20200101", "rule", "schedule-rule-never"),
        ("FREQ=WEEKLY;BYDAY=XX", "rule", "schedule-rule-unreadable"),
        ("FREQ=DAILY;BYMINUTE=0,1;BYHOUR=25", "rule", "schedule-rule-unreadable"),
        ("FREQ=MONTHLY;COUNT=1001", "rule", "schedule-rule-count"),
        (&every_minute, "rule", "schedule-rule-dense"),
        (&every_second_of_some, "rule", "schedule-rule-dense"),
    ] {
        let refused = sensible(&schedule("2026-01-01T10:00", "Asia/Jakarta", Some(rule))).unwrap_err();
        assert_eq!((refused.0, &*refused.1.id), (field, id), "{rule}");
    }
    let old = schedule("1970-01-01T10:00", "Asia/Jakarta", Some("FREQ=MONTHLY"));
    let refused = sensible(&old).unwrap_err();
    assert_eq!((refused.0, &*refused.1.id), ("starts_at", "schedule-start-old"));
    let mut many = schedule("2026-01-01T10:00", "Asia/Jakarta", Some("FREQ=DAILY"));
    many.times = (0..48).map(|half| Time::constant(half / 2, half % 2 * 30, 0, 0)).collect();
    sensible(&many).unwrap();
    let mut long = schedule("2026-01-01T10:00", "Asia/Jakarta", Some("FREQ=DAILY"));
    long.until = Until::Duration(26 * 3600);
    assert_eq!(sensible(&long).unwrap_err().0, "duration");
    long.until = Until::Duration(24 * 3600);
    sensible(&long).unwrap();
}

#[test]
fn ends_lie_after_their_starts() {
    let stop = |start: &str, zone: &str, until: Until| {
        let schedule = Schedule { until, ..schedule(start, zone, None) };
        let one = occurrences(&schedule, Timestamp::MIN).next().unwrap();
        one.stop.map(|stop| stop.duration_since(one.start).as_secs())
    };
    let daily = |text| Until::Stop(StopTime::parse(text).unwrap());
    assert_eq!(stop("2026-01-01T22:00", "Asia/Jakarta", Until::Open), None);
    assert_eq!(stop("2026-01-01T22:00", "Asia/Jakarta", Until::Duration(90)), Some(90));
    assert_eq!(stop("2026-01-01T22:00", "Asia/Jakarta", daily("23:30")), Some(5400));
    // Over midnight, and the whole day round.
    assert_eq!(stop("2026-01-01T22:00", "Asia/Jakarta", daily("01:00")), Some(3 * 3600));
    assert_eq!(stop("2026-01-01T22:00", "Asia/Jakarta", daily("22:00")), Some(24 * 3600));
    assert_eq!(stop("2026-01-01T22:00", "Asia/Jakarta", daily("2026-01-03T22:00")), Some(48 * 3600));
    // A length is a length; a stop time is the clock's. Over the night of the change in New York:
    assert_eq!(stop("2026-03-08T01:00", "America/New_York", Until::Duration(7200)), Some(7200));
    assert_eq!(stop("2026-03-08T01:00", "America/New_York", daily("04:00")), Some(2 * 3600));
    // 02:30 is moved to 03:30, past its own end at 03:00: it lasts as long as the local times are apart.
    assert_eq!(stop("2026-03-08T02:30", "America/New_York", daily("03:00")), Some(1800));
}

#[test]
fn one_that_meets_the_next_ends_there() {
    // A day of 23 hours, a length of 24.
    let mut daily = schedule("2026-03-07T12:00", "America/New_York", Some("FREQ=DAILY"));
    daily.until = Until::Duration(24 * 3600);
    let found: Vec<_> = occurrences(&daily, Timestamp::MIN).take(3).collect();
    assert_eq!(found[0].stop, Some(found[1].start));
    assert_eq!(found[1].stop, Some(found[2].start));
    assert_eq!(found[1].start.duration_since(found[0].start).as_secs(), 23 * 3600);
}

#[test]
fn skipped_dates_are_left_out_and_the_past_is_not_walked() {
    let mut daily = schedule("2000-01-01T10:00", "Asia/Jakarta", Some("FREQ=DAILY;INTERVAL=2"));
    daily.skip_dates = vec![date(2026, 1, 2)];
    assert_eq!(
        starts(&daily, "2025-12-31T00:00Z", 2),
        ["2025-12-31T03:00:00Z", "2026-01-04T03:00:00Z"],
        "every second day counts from the first"
    );
    let once = schedule("2026-01-01T10:00", "Asia/Jakarta", None);
    assert_eq!(starts(&once, "2026-01-01T02:59Z", 5), ["2026-01-01T03:00:00Z"]);
    assert!(starts(&once, "2026-01-01T03:00Z", 5).is_empty());
    let nowhere = Schedule { time_zone: "Mars/Base".into(), ..once };
    assert!(starts(&nowhere, "2025-01-01T00:00Z", 5).is_empty());
}

#[test]
fn the_short_way_for_daily_rules_finds_what_the_long_one_finds() {
    for (zone, start) in [
        ("America/New_York", "2026-01-05T02:30"),
        ("Pacific/Apia", "2011-01-05T23:30"),
        ("Asia/Jakarta", "2026-01-01T00:00"),
    ] {
        for every in [1, 2, 7] {
            let short = schedule(start, zone, Some(&format!("FREQ=DAILY;INTERVAL={every}")));
            let long = schedule(start, zone, Some(&format!("FREQ=DAILY;INTERVAL={every};WKST=MO")));
            let first = occurrences(&long, Timestamp::MIN).next().unwrap().start;
            for days in (0..500).step_by(13) {
                let after = first + std::time::Duration::from_secs(days * 86_400 + 3 * 3600);
                let take = |schedule: &Schedule| occurrences(schedule, after).take(3).collect::<Vec<_>>();
                assert_eq!(take(&short), take(&long), "{zone} {every} {after}");
            }
        }
    }
}

#[test]
fn several_times_a_day_are_counted_one_by_one_and_end_where_the_rule_ends() {
    let times = |texts: &[&str]| texts.iter().map(|text| text.parse().unwrap()).collect::<Vec<Time>>();
    let local = |schedule: &Schedule, count: usize| -> Vec<String> {
        occurrences(schedule, Timestamp::MIN)
            .take(count)
            .map(|one| one.civil.strftime("%d %H:%M").to_string())
            .collect()
    };
    for (rule, expected) in [
        // The first day begins with the first time; what lies before it is not made up for.
        (Some("FREQ=DAILY"), vec!["01 14:00", "01 20:30", "02 09:00", "02 14:00", "02 20:30", "03 09:00"]),
        (Some("FREQ=DAILY;COUNT=4"), vec!["01 14:00", "01 20:30", "02 09:00", "02 14:00"]),
        (Some("FREQ=DAILY;UNTIL=20260102"), vec!["01 14:00", "01 20:30", "02 09:00", "02 14:00", "02 20:30"]),
        (Some("FREQ=DAILY;UNTIL=20260102T130000"), vec!["01 14:00", "01 20:30", "02 09:00"]),
        (Some("FREQ=WEEKLY;BYDAY=TH,SA"), vec!["01 14:00", "01 20:30", "03 09:00", "03 14:00", "03 20:30", "08 09:00"]),
        (None, vec!["01 14:00", "01 20:30"]),
    ] {
        let mut schedule = schedule("2026-01-01T14:00", "Asia/Jakarta", rule);
        schedule.times = times(&["09:00", "20:30"]);
        sensible(&schedule).unwrap();
        assert_eq!(local(&schedule, 6), expected, "{rule:?}");
    }
    // Half an hour apart while each lasts three.
    let mut dense = schedule("2026-01-01T14:00", "Asia/Jakarta", Some("FREQ=DAILY"));
    dense.times = times(&["14:30"]);
    dense.until = Until::Duration(3 * 3600);
    assert_eq!(sensible(&dense).unwrap_err().0, "duration");
    dense.times = times(&["14:00:30"]);
    assert_eq!(sensible(&dense).unwrap_err().1.id, "schedule-rule-dense");
    // In a gap two of them are one instant: 02:30 becomes 03:30.
    let mut gap = schedule("2026-03-08T02:30", "America/New_York", Some("FREQ=DAILY"));
    gap.times = times(&["03:30"]);
    assert_eq!(
        starts(&gap, "2026-03-08T00:00Z", 3),
        ["2026-03-08T07:30:00Z", "2026-03-09T06:30:00Z", "2026-03-09T07:30:00Z"]
    );
}

#[test]
fn what_was_changed_by_hand_stands_in_its_place_and_keeps_its_name() {
    let mut daily = schedule("2026-01-01T19:00", "Asia/Jakarta", Some("FREQ=DAILY"));
    daily.until = Until::Duration(3600);
    let of = |day| date(2026, 1, day).at(19, 0, 0, 0);
    let at = |starts_at, duration| Becomes::Changed { starts_at, duration };
    let (late, early) = (date(2026, 1, 5).at(12, 0, 0, 0), date(2026, 1, 3).at(9, 0, 0, 0));
    daily.exceptions = vec![
        Exception { of: of(2), becomes: Becomes::Cancelled },
        Exception { of: of(3), becomes: at(late, None) },
        Exception { of: of(4), becomes: at(of(4), Some(60)) },
        Exception { of: of(6), becomes: at(early, Some(7200)) },
    ];
    let found: Vec<_> = occurrences(&daily, Timestamp::MIN).take(6).collect();
    let told: Vec<_> = found.iter().map(|one| (one.civil, one.of.day(), one.changed)).collect();
    assert_eq!(
        told,
        [(of(1), 1, false), (early, 6, true), (of(4), 4, true), (late, 3, true), (of(5), 5, false), (of(7), 7, false)]
    );
    let length = |one: &Occurrence| one.stop.unwrap().duration_since(one.start).as_secs();
    assert_eq!(found.iter().map(length).collect::<Vec<_>>(), [3600, 7200, 60, 3600, 3600, 3600]);
    // From any of them on it is the same.
    for (place, one) in found.iter().enumerate() {
        let rest: Vec<_> = occurrences(&daily, one.start).take(5 - place).collect();
        assert_eq!(rest, found[place + 1..], "{place}");
    }
    assert_eq!(one(&daily, of(2)), None);
    assert_eq!(one(&daily, of(6)).unwrap().civil, early);
    assert!(names(&daily, of(6)) && !names(&daily, early));
    daily.skip_dates = vec![date(2026, 1, 6)];
    assert!(occurrences(&daily, Timestamp::MIN).take(9).all(|one| one.of.day() != 6), "a skipped date is skipped");
}

#[test]
fn the_short_way_for_weeks_finds_what_the_long_one_finds() {
    for (rule, zone) in [
        ("FREQ=WEEKLY;BYDAY=MO,WE,SU", "Europe/London"),
        ("FREQ=WEEKLY", "America/New_York"),
        ("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,SU", "Asia/Jakarta"),
        ("FREQ=WEEKLY;INTERVAL=3;BYDAY=TU;WKST=SU", "Australia/Lord_Howe"),
        ("FREQ=DAILY;INTERVAL=5;BYMONTH=1,7", "Asia/Jakarta"),
    ] {
        let schedule = schedule("2020-01-01T02:15", zone, Some(rule));
        let text = format!("DTSTART:20200101T021500Z\nRRULE:{rule}");
        let long: Vec<DateTime> = times(&text.parse::<RRuleSet>().unwrap()).take(600).collect();
        let all: Vec<_> = occurrences(&schedule, Timestamp::MIN).take(600).collect();
        assert_eq!(all.iter().map(|one| one.civil).collect::<Vec<_>>(), long, "{rule}");
        for place in (0..500).step_by(37) {
            let after = all[place].start - std::time::Duration::from_secs(1);
            let found: Vec<_> = occurrences(&schedule, after).take(9).collect();
            assert_eq!(found, all[place..place + 9], "{rule} {place}");
        }
    }
}

#[test]
fn the_short_way_for_months_finds_what_the_long_one_finds() {
    for (start, rule) in [
        ("2020-01-31T02:15", "FREQ=MONTHLY"),
        ("2020-01-30T02:15", "FREQ=MONTHLY;INTERVAL=3"),
        ("2020-02-29T02:15", "FREQ=MONTHLY;INTERVAL=12"),
        ("2020-02-29T02:15", "FREQ=YEARLY"),
        ("2020-02-29T02:15", "FREQ=YEARLY;INTERVAL=3"),
        ("2020-05-07T02:15", "FREQ=MONTHLY;BYDAY=1SU,-1FR"),
        ("2020-05-07T02:15", "FREQ=MONTHLY;INTERVAL=5;BYMONTHDAY=-1,7"),
        ("2020-05-07T02:15", "FREQ=MONTHLY;BYDAY=MO,TU,WE,TH,FR;BYSETPOS=-1"),
        ("2020-11-30T02:15", "FREQ=YEARLY;BYMONTH=2,11;BYDAY=-1MO"),
        ("2020-12-31T02:15", "FREQ=YEARLY;BYMONTH=3,12;BYMONTHDAY=-1,5"),
        ("2020-06-15T02:15", "FREQ=YEARLY;INTERVAL=2;BYYEARDAY=1,-1"),
    ] {
        let schedule = schedule(start, "Asia/Jakarta", Some(rule));
        let text = format!("DTSTART:{}00Z\nRRULE:{rule}", start.replace(['-', ':'], ""));
        let long: Vec<DateTime> = times(&text.parse::<RRuleSet>().unwrap()).take(60).collect();
        let all: Vec<_> = occurrences(&schedule, Timestamp::MIN).take(60).collect();
        assert_eq!(all.iter().map(|one| one.civil).collect::<Vec<_>>(), long, "{rule}");
        for place in 0..50.min(all.len() - 9) {
            let after = all[place].start - std::time::Duration::from_secs(1);
            let found: Vec<_> = occurrences(&schedule, after).take(9).collect();
            assert_eq!(found, all[place..place + 9], "{start} {rule} {place}");
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]
    #[test]
    fn instants_rise_and_none_comes_twice(
        zone in prop::sample::select(vec![
            "America/New_York", "Europe/London", "Australia/Lord_Howe", "Asia/Jakarta", "Pacific/Apia", "Africa/Casablanca",
        ]),
        rule in prop::sample::select(vec![
            "FREQ=DAILY", "FREQ=DAILY;INTERVAL=3", "FREQ=DAILY;BYHOUR=1,2,3;BYMINUTE=0,30", "FREQ=WEEKLY;BYDAY=SA,SU",
            "FREQ=MONTHLY;BYMONTHDAY=-1", "FREQ=MONTHLY;BYDAY=1SU", "FREQ=YEARLY", "FREQ=DAILY;COUNT=40",
        ]),
        day in 0i32..8000, hour in 0i8..24, minute in 0i8..60, ahead in 0i64..400, take in 1usize..40,
    ) {
        let start = date(2006, 1, 1).checked_add(day.days()).unwrap().at(hour, minute, 0, 0);
        let schedule = schedule(&start.to_string(), zone, Some(rule));
        let first = TimeZone::get(zone).unwrap().to_ambiguous_timestamp(start).compatible().unwrap();
        let after = first + std::time::Duration::from_secs(ahead as u64 * 86_400);
        let found: Vec<_> = occurrences(&schedule, after).take(take).collect();
        prop_assert!(found.iter().all(|one| one.start > after));
        prop_assert!(found.windows(2).all(|pair| pair[0].start < pair[1].start));
        // Whoever asks again from any of them goes on where they were.
        if let Some(middle) = found.get(found.len() / 2) {
            let rest: Vec<_> = occurrences(&schedule, middle.start).take(found.len() - found.len() / 2 - 1).collect();
            prop_assert_eq!(&rest[..], &found[found.len() / 2 + 1..]);
        }
    }
}
