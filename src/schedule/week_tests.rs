//! A week lived through in a minute: five hundred schedules with edits, faults and killed servers, against a simple
//! model of what should have been on air.
//!
//! The model knows days and times of day and nothing of rules, rows or planners. Time is the tests' own; the planner
//! is woken when it would wake. Processes are not part of it: runs end when their stop time comes, or by a fault.
//!
//! Longer than other files, because model, world and events only make sense side by side.

use std::collections::{BTreeMap, BTreeSet};

use jiff::civil::{Date, DateTime, Time, Weekday};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, ToSpan as _};

use super::*;
use crate::schedule::{OccurrenceChange, Reach};

/// A Thursday; Europe's clocks go back on the Sunday. Half a minute past, because schedules are by the minute.
const BEGIN: &str = "2026-10-22T00:00:30Z";
const DAYS: i64 = 7;
const TENANTS: usize = 10;
const EACH: usize = 50;
const EDITS: usize = 250;
const FAULTS: usize = 120;
const KILLS: usize = 60;
const ZONES: [&str; 4] = ["Asia/Jakarta", "Europe/London", "UTC", "America/New_York"];

/// On which days a schedule is.
#[derive(Debug, Clone)]
enum Days {
    Once,
    Daily,
    On(Vec<Weekday>),
    EveryOther,
}

/// A schedule as the model knows it.
#[derive(Debug, Clone)]
struct Plan {
    tenant: usize,
    id: Uuid,
    first: Date,
    times: Vec<Time>,
    days: Days,
    zone: &'static str,
    minutes: i64,
    grace: u32,
    skips: BTreeSet<Date>,
    /// Cancelled, or at another time.
    changed: BTreeMap<DateTime, Option<DateTime>>,
    paused: bool,
    gone: bool,
}

#[derive(Debug, Clone, Copy)]
struct Slot {
    of: DateTime,
    start: Timestamp,
    stop: Timestamp,
}

impl Plan {
    /// Every slot of the days around the week.
    fn slots(&self) -> Vec<Slot> {
        let zone = TimeZone::get(self.zone).unwrap();
        let mut slots = Vec::new();
        for day in 0..DAYS + 8 {
            let date = self.first + day.days();
            let is_on = match &self.days {
                Days::Once => day == 0,
                Days::Daily => true,
                Days::On(days) => days.contains(&date.weekday()),
                Days::EveryOther => day % 2 == 0,
            };
            if !is_on || self.skips.contains(&date) || self.paused || self.gone {
                continue;
            }
            for time in &self.times {
                let of = date.to_datetime(*time);
                let Some(at) = self.changed.get(&of).copied().unwrap_or(Some(of)) else { continue };
                let start = zone.to_ambiguous_timestamp(at).compatible().unwrap();
                slots.push(Slot { of, start, stop: start + SignedDuration::from_mins(self.minutes) });
            }
        }
        slots.sort_by_key(|slot| slot.start);
        slots
    }

    fn between(&self, after: Timestamp, through: Timestamp) -> Vec<Slot> {
        self.slots().into_iter().filter(|slot| slot.start > after && slot.start <= through).collect()
    }

    /// What a change at an instant had better not meet: an occurrence on air, or one of this very minute.
    fn is_touchy(&self, at: Timestamp) -> bool {
        let around = SignedDuration::from_secs(100);
        self.slots().iter().any(|slot| slot.start < at + around && slot.stop > at - around)
    }

    fn rule(&self) -> Option<String> {
        Some(match &self.days {
            Days::Once => return None,
            Days::Daily => "FREQ=DAILY".into(),
            Days::EveryOther => "FREQ=DAILY;INTERVAL=2".into(),
            Days::On(days) => {
                let names = days
                    .iter()
                    .map(|day| ["MO", "TU", "WE", "TH", "FR", "SA", "SU"][day.to_monday_zero_offset() as usize]);
                format!("FREQ=WEEKLY;BYDAY={}", names.collect::<Vec<_>>().join(","))
            }
        })
    }
}

/// On air from and to; `None` where it was missed.
type Aired = Option<(Timestamp, Timestamp)>;
/// By schedule and planned instant.
type Record = BTreeMap<(Uuid, Timestamp), Aired>;

/// What should have been.
struct Model {
    plans: Vec<Plan>,
    aired: Record,
    /// Up to here all is settled.
    through: Timestamp,
}

impl Model {
    /// The server was up all the time.
    fn pass(&mut self, to: Timestamp) {
        for plan in &self.plans {
            for slot in plan.between(self.through, to) {
                self.aired.insert((plan.id, slot.start), Some((slot.start, slot.stop)));
            }
        }
        self.through = to;
    }

    /// The server was down, and is back now: the newest of a schedule is begun late, if it is not too late.
    fn sleep(&mut self, to: Timestamp) {
        for plan in &self.plans {
            let due = plan.between(self.through, to);
            for (number, slot) in due.iter().enumerate() {
                let grace = SignedDuration::from_secs(i64::from(plan.grace));
                let begins = number + 1 == due.len() && slot.stop > to && to.duration_since(slot.start) <= grace;
                self.aired.insert((plan.id, slot.start), begins.then_some((to, slot.stop)));
            }
        }
        self.through = to;
    }

    fn on_air(&self, at: Timestamp) -> Vec<(Uuid, Timestamp)> {
        let is_on = |aired: &Aired| aired.is_some_and(|(from, to)| from < at && to > at);
        self.aired.iter().filter(|(_, aired)| is_on(aired)).map(|(key, _)| *key).collect()
    }
}

/// The server, as far as it is planned by.
struct World {
    folder: tempfile::TempDir,
    clock: Clock,
    planner: Planner,
    editors: Vec<Editor>,
    planned: broadcast::Receiver<Change>,
    seen: broadcast::Receiver<Change>,
    /// Runs that are on, by when they end.
    on: BTreeMap<(Timestamp, Uuid), usize>,
}

fn open(folder: &Path, clock: &Clock) -> (Planner, Vec<Editor>) {
    let planner = planner_with(folder, clock, |config| {
        config.live.memory_mib = Some(1 << 20);
        config.live.uplink_mbit = 1e6;
    });
    let tenants = (0..TENANTS).map(|number| Tenant::parse(&format!("tenant-{number}")).unwrap());
    let editors = tenants.map(|tenant| Editor::open(&planner.foundation, &planner.licence.scope(&tenant, "test")));
    let editors = editors.collect();
    (planner, editors)
}

impl World {
    async fn new() -> World {
        let folder = tempfile::tempdir().unwrap();
        let clock = Clock::held_at(BEGIN.parse().unwrap());
        let (planner, editors) = open(folder.path(), &clock);
        for editor in &editors {
            editor.rows().create().await.unwrap();
        }
        let store = planner.foundation.store();
        let (planned, seen) = (store.watch(), store.watch());
        World { folder, clock, planner, editors, planned, seen, on: BTreeMap::new() }
    }

    fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// Tells the planner what changed, as its own loop does.
    async fn tell(&mut self) {
        if let Ok(change) = self.planned.try_recv() {
            self.planner.gather(Ok(change), &mut self.planned);
            settle(&self.planner).await;
        }
    }

    /// Notes which runs are on.
    async fn look(&mut self) {
        let mut touched = BTreeSet::new();
        loop {
            match self.seen.try_recv() {
                Ok(Change { space: Space::Tenant(tenant), keys })
                    if keys.iter().any(|key| key.starts_with(b"row/run/")) =>
                {
                    touched.insert(self.editors.iter().position(|editor| *editor.tenant() == tenant).unwrap());
                }
                Ok(_) => {}
                Err(broadcast::error::TryRecvError::Lagged(_)) => touched.extend(0..TENANTS),
                Err(_) => break,
            }
        }
        for tenant in touched {
            let open = self.editors[tenant].rows().read(run::open_runs).await.unwrap();
            self.on.retain(|_, whose| *whose != tenant);
            self.on.extend(open.iter().map(|run| ((run.value.planned_stop.unwrap(), run.id()), tenant)));
        }
    }

    async fn end(&mut self, tenant: usize, id: Uuid, at: Timestamp, outcome: RunOutcome) {
        let editor = &self.editors[tenant];
        editor.foundation().board().unbook(id);
        let end = move |rows: &mut crate::store::rows::Writer<'_>| {
            let row = rows.need::<Run>(id, None)?;
            let ended = Run { ended_at: Some(at), outcome: Some(outcome), ..row.value.clone() };
            rows.update(&row, ended)?;
            let key = Order::key(row.value.stream_id);
            let order: Order = rows.value(&key)?.unwrap_or_default();
            rows.put_value(&key, &Order { on: false, run: None, ..order })
        };
        editor.rows().write(end).await.unwrap();
        self.on.retain(|(_, run), _| *run != id);
    }

    async fn end_what_is_over(&mut self) {
        while let Some((&(stop, id), &tenant)) = self.on.first_key_value().filter(|((stop, _), _)| *stop <= self.now())
        {
            self.end(tenant, id, stop, RunOutcome::Completed).await;
        }
    }

    /// Lives until an instant with the server up.
    async fn live(&mut self, to: Timestamp) {
        loop {
            self.end_what_is_over().await;
            settle(&self.planner).await;
            self.tell().await;
            self.look().await;
            let now = self.now();
            if now >= to {
                return;
            }
            let planned = self.planner.agenda.first(|_| true).map(|at| at - self.planner.lead(now));
            let waiting = self.planner.waiting.lock().values().min().copied();
            let over = self.on.first_key_value().map(|((stop, _), _)| *stop);
            let next = [planned, waiting, over].into_iter().flatten().min().unwrap_or(to);
            self.go(next.max(now + Duration::from_millis(20)).min(to));
        }
    }

    fn go(&self, to: Timestamp) {
        self.clock.advance(Duration::try_from(to.duration_since(self.now())).unwrap());
    }

    /// The server is killed and comes back at an instant; what it noted of the index may be lost.
    async fn kill(mut self, to: Timestamp, index_is_lost: bool) -> World {
        self.look().await;
        let World { folder, clock, planner, editors, planned, seen, on } = self;
        drop((planner, editors, planned, seen));
        clock.advance(Duration::try_from(to.duration_since(clock.now())).unwrap());
        let (planner, editors) = open(folder.path(), &clock);
        let store = planner.foundation.store();
        let (planned, seen) = (store.watch(), store.watch());
        if !index_is_lost {
            planner.load().await.unwrap();
        }
        let mut world = World { folder, clock, planner, editors, planned, seen, on };
        world.end_what_is_over().await;
        if index_is_lost {
            for editor in &world.editors {
                let ids = editor.rows().read(ids_of_schedules).await.unwrap();
                let found = world.planner.look(editor.tenant(), ids).await.unwrap();
                world.planner.set(found).await;
            }
        }
        world
    }

    /// What was on air, by the rows.
    async fn aired(&self) -> Record {
        let mut record = Record::new();
        for editor in &self.editors {
            let read = |rows: &Reader<'_>| {
                let mut runs = Vec::new();
                rows.each::<Run>(false, |row| {
                    runs.push(row.value);
                    std::ops::ControlFlow::Continue(())
                })?;
                Ok(runs)
            };
            for run in editor.rows().read(read).await.unwrap() {
                let aired = match run.outcome {
                    Some(RunOutcome::Missed) => None,
                    _ => Some((run.started_at.unwrap(), run.ended_at.or(run.planned_stop).unwrap())),
                };
                let twice = record.insert((run.schedule_id.unwrap(), run.occurrence_at.unwrap()), aired);
                assert!(twice.is_none(), "one occurrence, two runs");
            }
        }
        record
    }
}

/// Any schedule.
fn any_plan(random: &mut fastrand::Rng, tenant: usize) -> Plan {
    let weekdays = [
        Weekday::Monday,
        Weekday::Tuesday,
        Weekday::Wednesday,
        Weekday::Thursday,
        Weekday::Friday,
        Weekday::Saturday,
        Weekday::Sunday,
    ];
    let several = random.u8(0..4) == 0;
    let minute = random.i8(0..60);
    let times = if several {
        let hour = random.i8(3..8);
        [0, 5, 10]
            .into_iter()
            .take(random.usize(2..=3))
            .map(|later| Time::constant(hour + later, minute, 0, 0))
            .collect()
    } else {
        vec![Time::constant(random.i8(0..24), minute, 0, 0)]
    };
    let days = match random.u8(0..6) {
        0 => Days::Once,
        1 => Days::EveryOther,
        2 | 3 => Days::On(random.choose_multiple(weekdays, 3)),
        _ => Days::Daily,
    };
    let day: Date = BEGIN.parse::<Timestamp>().unwrap().to_zoned(TimeZone::UTC).date();
    let mut first = day + random.i64(1..4).days();
    // The first time is one that the rule names.
    while matches!(&days, Days::On(days) if !days.contains(&first.weekday())) {
        first = first.tomorrow().unwrap();
    }
    Plan {
        tenant,
        id: Uuid::nil(),
        first,
        times,
        days,
        zone: ZONES[random.usize(0..ZONES.len())],
        minutes: random.i64(1..=180),
        grace: [60, 900, 3600][random.usize(0..3)],
        skips: BTreeSet::new(),
        changed: BTreeMap::new(),
        paused: false,
        gone: false,
    }
}

/// Changes a schedule by what people do, in the program and in the model.
async fn edit(random: &mut fastrand::Rng, world: &World, plan: &mut Plan) -> &'static str {
    let (now, editor) = (world.now(), &world.editors[plan.tenant]);
    let coming: Vec<Slot> =
        plan.slots().into_iter().filter(|slot| slot.start > now + SignedDuration::from_hours(1)).collect();
    let any = coming.get(random.usize(0..coming.len().max(1))).copied();
    let (change, occurrence) = (ScheduleChange::default(), OccurrenceChange::default());
    match (random.u8(0..7), any) {
        (0, _) if random.bool() => {
            editor.delete_schedule(plan.id, None).await.unwrap();
            plan.gone = true;
            "delete"
        }
        (1, _) => {
            plan.paused = !plan.paused;
            if plan.is_touchy(now) {
                plan.paused = true;
                return "nothing";
            }
            editor
                .change_schedule(plan.id, None, ScheduleChange { paused: Some(plan.paused), ..change })
                .await
                .unwrap();
            "pause or resume"
        }
        (2, Some(slot)) => {
            let change = OccurrenceChange { cancelled: Some(true), ..occurrence };
            editor.change_occurrence((plan.id, slot.of), None, Reach::This, change).await.unwrap();
            plan.changed.insert(slot.of, None);
            // With its only occurrence a schedule goes.
            plan.gone = matches!(plan.days, Days::Once) && plan.times.len() == 1;
            "cancel one"
        }
        (3, Some(slot)) if !plan.changed.contains_key(&slot.of) => {
            let to = slot.of + 37.minutes();
            let change = OccurrenceChange { starts_at: Some(Some(to)), ..occurrence };
            editor.change_occurrence((plan.id, slot.of), None, Reach::This, change).await.unwrap();
            plan.changed.insert(slot.of, Some(to));
            "move one"
        }
        (4, Some(slot)) if plan.changed.is_empty() && !matches!(plan.days, Days::Once) => {
            plan.skips.insert(slot.of.date());
            let skips = plan.skips.iter().copied().collect();
            editor.change_schedule(plan.id, None, ScheduleChange { skip_dates: Some(skips), ..change }).await.unwrap();
            "skip a day"
        }
        (_, Some(_)) if plan.changed.is_empty() => {
            let before = plan.clone();
            let minute = random.i8(0..60);
            plan.minutes = random.i64(1..=180);
            plan.times = plan.times.iter().map(|time| Time::constant(time.hour(), minute, 0, 0)).collect();
            if plan.is_touchy(now) || (matches!(plan.days, Days::Once) && plan.slots()[0].start < now) {
                *plan = before;
                return "nothing";
            }
            let change = ScheduleChange {
                starts_at: Some(plan.first.to_datetime(plan.times[0])),
                times: Some(plan.times[1..].to_vec()),
                duration: Some(Some(plan.minutes as u64 * 60)),
                ..change
            };
            editor.change_schedule(plan.id, None, change).await.unwrap();
            "other times"
        }
        _ => "nothing",
    }
}

/// What happens beside the schedules.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Event {
    Edit,
    Fault,
    Kill { minutes: i64, index_is_lost: bool },
}

#[tokio::test]
async fn a_week_of_five_hundred_schedules_is_on_air_as_a_simple_model_says() {
    let seed = std::env::var("JADWAL_TEST_SEED").ok().and_then(|seed| seed.parse().ok());
    // Other weeks: JADWAL_TEST_SEED=$RANDOM.
    let seed: u64 = seed.unwrap_or(171_321_965_728_845);
    println!("JADWAL_TEST_SEED={seed}");
    let mut random = fastrand::Rng::with_seed(seed);
    let mut world = World::new().await;
    let begin = world.now();
    let mut plans = Vec::new();
    for number in 0..TENANTS * EACH {
        let mut plan = any_plan(&mut random, number % TENANTS);
        let editor = &world.editors[plan.tenant];
        let key: &'static str = Box::leak(format!("key-{number}").into_boxed_str());
        let stream_id = add_stream(editor, "News", key).await;
        let input = ScheduleInput {
            stream_id,
            starts_at: plan.first.to_datetime(plan.times[0]),
            time_zone: plan.zone.into(),
            rule: plan.rule(),
            times: plan.times[1..].to_vec(),
            skip_dates: Vec::new(),
            duration: Some(plan.minutes as u64 * 60),
            stop_at: None,
            grace: Some(plan.grace),
            paused: false,
        };
        plan.id = editor.create_schedule(input).await.unwrap().row.id();
        plans.push(plan);
    }
    let mut model = Model { plans, aired: Record::new(), through: begin };

    // By the minute and a half, so that none of them falls into the seconds in which a run is written down.
    let mut events = BTreeSet::new();
    let mut any_time = |event| {
        let minute = random.i64(1..DAYS * 24 * 60);
        events.insert((begin + SignedDuration::from_mins(minute), event));
    };
    (0..EDITS).for_each(|_| any_time(Event::Edit));
    (0..FAULTS).for_each(|_| any_time(Event::Fault));
    for number in 0..KILLS as i64 {
        // One of them is a night.
        let minutes = if number == 0 { 9 * 60 } else { number % 45 };
        any_time(Event::Kill { minutes, index_is_lost: number % 4 == 3 });
    }
    let mut told: BTreeMap<&str, usize> = BTreeMap::new();
    for (at, event) in events {
        // It fell into a time with the server down.
        if at < world.now() {
            continue;
        }
        world.live(at).await;
        model.pass(at);
        let what = match event {
            Event::Edit => {
                let number = random.usize(0..model.plans.len());
                let plan = &mut model.plans[number];
                if plan.gone || plan.is_touchy(at) {
                    continue;
                }
                let what = edit(&mut random, &world, plan).await;
                world.tell().await;
                what
            }
            Event::Fault => {
                let on = model.on_air(at);
                let Some(key) = on.get(random.usize(0..on.len().max(1))) else { continue };
                let plan = model.plans.iter().find(|plan| plan.id == key.0).unwrap();
                let aired = model.aired.get_mut(key).unwrap();
                *aired = aired.map(|(from, _)| (from, at));
                let runs = world.editors[plan.tenant].rows().read(run::open_runs).await.unwrap();
                let run = runs.iter().find(|run| run.value.schedule_id == Some(key.0)).expect("it is on air");
                let outcome = if random.bool() { RunOutcome::Failed } else { RunOutcome::Stopped };
                world.end(plan.tenant, run.id(), at, outcome).await;
                "fault or stop"
            }
            Event::Kill { minutes, index_is_lost } => {
                let back = at + SignedDuration::from_mins(minutes);
                world = world.kill(back, index_is_lost).await;
                model.sleep(back);
                "kill"
            }
        };
        *told.entry(what).or_default() += 1;
    }
    let end = begin + SignedDuration::from_hours(DAYS * 24);
    world.live(end).await;
    model.pass(end);
    let found = world.aired().await;
    let aired = found.values().flatten().count();
    println!("{aired} on air, {} missed; {told:?}", found.len() - aired);
    let zones: BTreeMap<Uuid, &Plan> = model.plans.iter().map(|plan| (plan.id, plan)).collect();
    for key in found.keys().chain(model.aired.keys()) {
        let (is, should) = (found.get(key), model.aired.get(key));
        assert_eq!(is, should, "seed {seed}: {} of {:?}", key.1, zones[&key.0]);
    }
    assert!(aired > 1000 && found.len() > aired, "the week was a quiet one");
}
