use std::path::Path;

use secrecy::SecretString;

use super::*;
use crate::clock::Clock;
use crate::config::Config;
use crate::library::{Video, VideoState};
use crate::live::{Order, PlayOrder, Run, RunOutcome, Target, run};
use crate::objects::Objects;
use crate::schedule::{Planned, ScheduleChange, ScheduleInput};
use crate::store::Store;
use crate::store::rows::Row;
use crate::supervise::Tasks;
use crate::vault::{Purpose, Vault};

#[path = "occurrence_tests.rs"]
mod occurrence;
#[path = "week_tests.rs"]
mod week;

/// Everything that is due or changed is dealt with.
async fn settle(planner: &Planner) {
    let mut rounds = Rounds::new(planner.clone());
    loop {
        rounds.begin();
        if !rounds.step().await {
            return;
        }
    }
}

/// A home with one tenant, a stream and a clock that stands still.
struct Home {
    _folder: tempfile::TempDir,
    clock: Clock,
    planner: Planner,
    editor: Editor,
    stream: Uuid,
}

const TEN: &str = "2026-01-05T10:00:00Z";

fn video() -> Video {
    serde_json::from_value(serde_json::json!({
        "title": "clip", "description": "", "tags": [], "original_name": "clip.mp4", "extension": "mp4",
        "sha256": "", "thumbnail_id": null, "frame_id": null, "state": "ready", "duplicate_of": null,
        "verdict": {"ready": true, "findings": []},
        "facts": {
            "container": "mp4", "size": 1, "duration": 10.0, "bitrate": 2_500_000, "audio": null,
            "video": {
                "index": 0, "codec": "h264", "profile": null, "pixel_format": null, "bit_depth": 8, "width": 1280,
                "height": 720, "frame_rate": 30.0, "constant_frame_rate": true, "keyframe_interval": 2.0,
                "interlaced": false, "rotation": 0, "duration": 10.0, "start_time": 0.0, "time_base": "1/15360",
                "extradata": null, "reordered": false, "complete_times": true,
            },
        },
    }))
    .unwrap()
}

fn planner(folder: &Path, clock: &Clock, memory_mib: u64) -> Planner {
    planner_with(folder, clock, |config| config.live.memory_mib = Some(memory_mib))
}

fn planner_with(folder: &Path, clock: &Clock, set: impl FnOnce(&mut Config)) -> Planner {
    let mut config = Config { home: folder.to_owned(), ..Config::default() };
    set(&mut config);
    let objects = Objects::open(folder).unwrap();
    let vault = Vault::open(&config.data().join("master.key"), true).unwrap();
    let store = Store::open_redb(config.data(), clock.clone()).unwrap();
    let foundation = Foundation::new(config, store, objects, vault, Uuid::now_v7());
    #[allow(clippy::disallowed_methods, reason = "a test is its own program")]
    let licence = Arc::new(SystemLicence::new());
    let engine = Engine::new(&foundation, licence.clone(), &Tasks::new());
    Planner::new(&foundation, licence, &engine)
}

async fn home(memory_mib: u64) -> Home {
    let folder = tempfile::tempdir().unwrap();
    let clock = Clock::held_at(TEN.parse().unwrap());
    let planner = planner(folder.path(), &clock, memory_mib);
    let tenant = Tenant::parse("al").unwrap();
    let editor = Editor::open(&planner.foundation, &planner.licence.scope(&tenant, "test"));
    editor.rows().create().await.unwrap();
    let stream = add_stream(&editor, "News", "the-key-1").await;
    Home { _folder: folder, clock, planner, editor, stream }
}

async fn add_stream(editor: &Editor, title: &'static str, key: &'static str) -> Uuid {
    let (tenant, actor, vault) = (editor.tenant().clone(), editor.actor().clone(), editor.foundation().vault().clone());
    editor
        .rows()
        .write(move |rows| {
            let video = rows.insert(&tenant, &actor, Video { state: VideoState::Ready, ..video() })?;
            let id = Uuid::now_v7();
            let key = vault.sealing().seal(Some(&tenant), Purpose::StreamKey, id, &SecretString::from(key))?;
            let target = Target {
                id,
                platform: crate::live::Platform::Youtube,
                url: None,
                key: Some(key),
                key_masked: None,
                key_id: None,
            };
            let stream = LiveStream {
                title: title.into(),
                videos: vec![video.id()],
                order: PlayOrder::Listed,
                repeat: true,
                overlay: None,
                targets: vec![target],
                broadcast: Default::default(),
            };
            Ok(rows.insert(&tenant, &actor, stream)?.id())
        })
        .await
        .unwrap()
}

impl Home {
    fn input(&self, start: &str, rule: Option<&str>, duration: Option<u64>) -> ScheduleInput {
        ScheduleInput {
            stream_id: self.stream,
            starts_at: start.parse().unwrap(),
            time_zone: "UTC".into(),
            rule: rule.map(str::to_owned),
            times: Vec::new(),
            skip_dates: Vec::new(),
            duration,
            stop_at: None,
            grace: None,
            paused: false,
        }
    }

    async fn schedule(&self, start: &str, rule: Option<&str>, duration: Option<u64>) -> Uuid {
        let made = self.editor.create_schedule(self.input(start, rule, duration)).await.unwrap();
        self.look(made.row.id()).await;
        made.row.id()
    }

    async fn look(&self, schedule: Uuid) {
        let found = self.planner.look(self.editor.tenant(), vec![schedule]).await.unwrap();
        self.planner.agenda.set(found).await.unwrap();
    }

    async fn pass(&self, seconds: u64) {
        self.clock.advance(Duration::from_secs(seconds));
        settle(&self.planner).await;
    }

    /// Outcome, time and reason of every run, by time on air.
    async fn runs(&self) -> Vec<(Option<RunOutcome>, String, String)> {
        let read = |rows: &Reader<'_>| {
            let mut runs = Vec::new();
            rows.each::<Run>(false, |row| {
                let at = row.value.at(&row.header).to_string();
                let reason = row.value.reason.map(|reason| reason.id.to_string()).unwrap_or_default();
                runs.push((row.value.outcome, at, reason));
                std::ops::ControlFlow::Continue(())
            })?;
            runs.sort_by(|a: &(_, String, _), b| a.1.cmp(&b.1));
            Ok(runs)
        };
        self.editor.rows().read(read).await.unwrap()
    }

    async fn open(&self) -> Option<Row<Run>> {
        self.editor.rows().read(|rows| Ok(run::open_runs(rows)?.pop())).await.unwrap()
    }

    /// As the engine does when the keepers have ended.
    async fn end_run(&self) {
        let run = self.open().await.expect("something is on");
        let now = self.clock.now();
        self.editor.foundation().board().unbook(run.id());
        self.editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Run>(run.id(), None)?;
                let ended = Run { ended_at: Some(now), outcome: Some(RunOutcome::Completed), ..row.value.clone() };
                rows.update(&row, ended)?;
                let key = Order::key(row.value.stream_id);
                let order: Order = rows.value(&key)?.unwrap_or_default();
                rows.put_value(&key, &Order { on: false, run: None, ..order })
            })
            .await
            .unwrap();
    }
}

#[tokio::test]
async fn an_occurrence_is_started_once_just_before_its_second() {
    let home = home(10_000).await;
    home.schedule("2026-01-05T10:10", None, Some(600)).await;
    home.pass(590).await;
    assert!(home.open().await.is_none(), "ten seconds are left");
    home.pass(7).await;
    let run = home.open().await.expect("it is written down before its second").value;
    assert_eq!(run.started_at.unwrap().to_string(), "2026-01-05T10:10:00Z");
    assert_eq!(run.planned_stop.unwrap().to_string(), "2026-01-05T10:20:00Z");
    // Again, after a crash that lost the index, and with a clock that jumped back: nothing more.
    home.planner.check(&CancellationToken::new()).await.unwrap();
    home.pass(3).await;
    home.clock.advance(Duration::ZERO);
    assert_eq!(home.runs().await.len(), 1);
    assert!(home.planner.agenda.first(|_| true).is_none(), "once is once");
}

#[tokio::test]
async fn a_lost_index_is_made_anew_from_the_libraries() {
    let home = home(10_000).await;
    let made = home.editor.create_schedule(home.input("2026-01-05T10:10", None, Some(600))).await.unwrap();
    assert!(home.planner.agenda.first(|_| true).is_none(), "the notice was lost");
    home.planner.check(&CancellationToken::new()).await.unwrap();
    settle(&home.planner).await;
    assert!(home.planner.agenda.first(|_| true).is_some());
    // What another start reads from disk is the same.
    #[allow(clippy::disallowed_methods, reason = "the due index is over all tenants")]
    let again = Agenda::new(home.planner.foundation.store().platform());
    again.load().await.unwrap();
    assert_eq!(again.first(|_| true), home.planner.agenda.first(|_| true));
    home.editor.delete_schedule(made.row.id(), None).await.unwrap();
    home.planner.check(&CancellationToken::new()).await.unwrap();
    settle(&home.planner).await;
    assert!(home.planner.agenda.first(|_| true).is_none());
}

#[tokio::test]
async fn what_was_missed_is_started_late_or_written_down_with_its_reason() {
    for (asleep, expected) in [
        // Ten minutes late: on air for what is left.
        (1200, vec![(None, "2026-01-05T10:20:00Z", "")]),
        // Twenty minutes late: too late.
        (1800, vec![(Some(RunOutcome::Missed), "2026-01-05T10:10:00Z", "schedule-missed-late")]),
        // The hour is over.
        (5000, vec![(Some(RunOutcome::Missed), "2026-01-05T10:10:00Z", "schedule-missed-over")]),
    ] {
        let home = home(10_000).await;
        home.schedule("2026-01-05T10:10", None, Some(3600)).await;
        home.pass(asleep).await;
        let runs = home.runs().await;
        let runs: Vec<_> = runs.iter().map(|(outcome, at, reason)| (*outcome, at.as_str(), reason.as_str())).collect();
        assert_eq!(runs, expected, "{asleep}");
        if let Some(run) = home.open().await {
            assert_eq!(run.value.planned_stop.unwrap().to_string(), "2026-01-05T11:10:00Z");
        }
    }
}

#[tokio::test]
async fn three_days_down_are_told_one_by_one_and_the_fourth_starts() {
    let home = home(10_000).await;
    home.schedule("2026-01-05T12:00", Some("FREQ=DAILY"), Some(3600)).await;
    home.pass(3 * 86_400 + 2 * 3600 + 300).await;
    let outcomes: Vec<_> = home.runs().await.into_iter().map(|(outcome, ..)| outcome).collect();
    assert_eq!(outcomes, [Some(RunOutcome::Missed), Some(RunOutcome::Missed), Some(RunOutcome::Missed), None]);
    assert_eq!(home.planner.agenda.first(|_| true).unwrap().to_string(), "2026-01-09T12:00:00Z");
}

#[tokio::test]
async fn a_pause_leaves_out_and_a_change_repeats_nothing() {
    let home = home(10_000).await;
    let id = home.schedule("2026-01-05T10:10", Some("FREQ=DAILY"), Some(60)).await;
    home.editor.pause_schedule(id).await.unwrap();
    home.look(id).await;
    home.pass(86_400).await;
    assert!(home.runs().await.is_empty());
    home.editor.resume_schedule(id).await.unwrap();
    home.look(id).await;
    home.pass(600).await;
    assert_eq!(home.runs().await.len(), 1);
    home.end_run().await;
    let change = ScheduleChange { grace: Some(60), ..ScheduleChange::default() };
    home.editor.change_schedule(id, None, change).await.unwrap();
    home.look(id).await;
    home.pass(10).await;
    assert_eq!(home.runs().await.len(), 1);
}

#[tokio::test]
async fn one_stretch_follows_the_other_without_a_miss() {
    let home = home(10_000).await;
    home.schedule("2026-01-05T10:10", Some("FREQ=DAILY"), Some(86_400)).await;
    home.pass(600).await;
    let first = home.open().await.unwrap();
    // The next one is due while the first is still on.
    home.pass(86_400 - 2).await;
    home.pass(2).await;
    assert_eq!(home.open().await.unwrap().id(), first.id());
    home.end_run().await;
    home.pass(1).await;
    let second = home.open().await.unwrap();
    assert_ne!(second.id(), first.id());
    assert_eq!(second.value.occurrence_at.unwrap().to_string(), "2026-01-06T10:10:00Z");
    assert_eq!(home.runs().await.len(), 2);
}

#[tokio::test]
async fn what_is_on_already_is_not_started_again() {
    let home = home(10_000).await;
    home.editor.start_stream(home.stream, crate::live::End::Open).await.unwrap();
    home.schedule("2026-01-05T10:10", None, Some(600)).await;
    home.pass(600).await;
    let runs = home.runs().await;
    assert_eq!(runs.len(), 2);
    assert_eq!(runs[1].2, "schedule-missed-busy");
    let refused = home.editor.start_stream(home.stream, crate::live::End::Open).await.unwrap_err();
    assert_eq!(refused.status(), 409);
    assert_eq!(home.editor.delete_stream(home.stream, None).await.unwrap_err().status(), 409);
}

#[tokio::test]
async fn a_box_without_room_says_why() {
    let home = home(60).await;
    let other = add_stream(&home.editor, "Music", "the-key-2").await;
    home.editor.start_stream(other, crate::live::End::Open).await.unwrap();
    let schedule = home.schedule("2026-01-05T10:10", None, Some(600)).await;
    home.pass(598).await;
    assert_eq!(home.runs().await.len(), 1, "there may be room when its second comes");
    home.pass(2).await;
    assert_eq!(home.runs().await.len(), 1, "it is tried again within its grace");
    let view = home.editor.schedule(schedule).await.unwrap();
    assert_eq!(view.waiting.map(|reason| reason.id.to_string()).as_deref(), Some("live-no-memory"));
    let (from, to) = (TEN.parse().unwrap(), "2026-01-05T11:00:00Z".parse().unwrap());
    let entries = home.editor.calendar(from, to).await.unwrap().entries;
    let trouble = entries.iter().find_map(|entry| match &entry.what {
        Planned::Occurrence { trouble, .. } => trouble.clone(),
        Planned::Run { .. } => None,
    });
    assert_eq!(trouble.map(|reason| reason.id.to_string()).as_deref(), Some("live-no-memory"));
    home.pass(5).await;
    assert!(home.planner.waiting.lock().values().all(|again| *again > home.clock.now()), "not in a circle");
    // It would have ended before another try.
    for _ in 0..60 {
        home.pass(10).await;
    }
    let runs = home.runs().await;
    assert_eq!((runs[1].0, runs[1].2.as_str()), (Some(RunOutcome::Missed), "live-no-memory"));
    assert_eq!(runs.len(), 2);
    assert!(home.editor.schedule(schedule).await.unwrap().waiting.is_none());
    let refused = home.editor.start_stream(home.stream, crate::live::End::Open).await.unwrap_err();
    assert!(refused.message().to_string().contains("60"), "{}", refused.message());
}

#[tokio::test]
async fn what_found_no_room_begins_when_there_is_some() {
    let home = home(60).await;
    let other = add_stream(&home.editor, "Music", "the-key-2").await;
    home.editor.start_stream(other, crate::live::End::Open).await.unwrap();
    let schedule = home.schedule("2026-01-05T10:10", None, Some(600)).await;
    home.pass(600).await;
    home.pass(95).await;
    assert_eq!(home.runs().await.len(), 1);
    home.end_run().await;
    home.pass(10).await;
    let run = home.open().await.expect("there is room now");
    assert_eq!(run.value.stream_id, home.stream);
    assert_eq!(run.value.started_at, Some("2026-01-05T10:11:45Z".parse().unwrap()));
    assert_eq!(run.value.planned_stop, Some("2026-01-05T10:20:00Z".parse().unwrap()), "for what is left");
    assert!(home.editor.schedule(schedule).await.unwrap().waiting.is_none());
    home.pass(60).await;
    assert_eq!(home.runs().await.len(), 2);
}

#[tokio::test]
async fn a_start_of_the_server_does_not_forget_what_is_on() {
    let home = home(60).await;
    home.editor.start_stream(home.stream, crate::live::End::Open).await.unwrap();
    let stream_id = add_stream(&home.editor, "Music", "the-key-2").await;
    let input = ScheduleInput { stream_id, ..home.input("2026-01-05T10:10", None, Some(6000)) };
    let schedule = home.editor.create_schedule(input).await.unwrap().row.id();
    let Home { _folder: folder, clock, planner: before, editor, .. } = home;
    drop((before, editor));
    clock.advance(Duration::from_secs(600));
    let planner = planner(folder.path(), &clock, 60);
    planner.engine.book_what_is_on().await;
    let tenant = Tenant::parse("al").unwrap();
    let found = planner.look(&tenant, vec![schedule]).await.unwrap();
    planner.set(found).await;
    settle(&planner).await;
    let editor = Editor::open(&planner.foundation, &planner.licence.scope(&tenant, "test"));
    let open = editor.rows().read(run::open_runs).await.unwrap();
    assert_eq!(open.len(), 1, "there is room for one only");
    editor.start_stream(stream_id, crate::live::End::Open).await.unwrap_err();
}

#[tokio::test]
async fn what_was_stopped_by_hand_is_not_in_the_way_of_a_new_plan() {
    let home = home(10_000).await;
    home.schedule("2026-01-05T10:10", None, Some(3600)).await;
    home.pass(600).await;
    home.pass(60).await;
    let again = home.input("2026-01-05T10:20", None, Some(600));
    let refused = home.editor.create_schedule(again.clone()).await.unwrap_err();
    assert_eq!(refused.message().id, "schedule-conflict", "it is on air until 11:10");
    home.end_run().await;
    assert!(home.editor.preview(again.clone(), None, 5).await.unwrap().items[0].conflict.is_none());
    let schedule = home.editor.create_schedule(again).await.unwrap().row.id();
    home.look(schedule).await;
    home.pass(540).await;
    assert_eq!(home.open().await.expect("it begins").value.schedule_id, Some(schedule));
}

#[tokio::test]
async fn a_plan_that_finds_another_in_its_room_is_told_before_it_is_saved() {
    let home = home(60).await;
    home.schedule("2026-01-05T10:10", None, Some(600)).await;
    let stream_id = add_stream(&home.editor, "Music", "the-key-2").await;
    let other = ScheduleInput { stream_id, ..home.input("2026-01-05T10:10", None, Some(600)) };
    let conflict = home.editor.preview(other, None, 5).await.unwrap().items[0].conflict.clone();
    assert_eq!(conflict.map(|reason| reason.id.to_string()).as_deref(), Some("schedule-crowded-memory"));
}

#[tokio::test]
async fn nobody_waits_for_another_s_library() {
    let home = home(10_000).await;
    home.schedule("2026-01-05T10:01", None, Some(600)).await;
    let other = Tenant::parse("bo").unwrap();
    let beside = Editor::open(&home.planner.foundation, &home.planner.licence.scope(&other, "test"));
    beside.rows().create().await.unwrap();
    let stream_id = add_stream(&beside, "Music", "the-key-2").await;
    beside.create_schedule(ScheduleInput { stream_id, ..home.input("2026-01-05T10:01", None, None) }).await.unwrap();
    let (begun, held) = std::sync::mpsc::channel();
    let (let_go, until) = std::sync::mpsc::channel::<()>();
    let editor = home.editor.clone();
    #[allow(clippy::disallowed_methods, reason = "a test is its own program")]
    let long = tokio::spawn(async move {
        let write = move |_: &mut crate::store::rows::Writer<'_>| {
            begun.send(()).ok();
            until.recv_timeout(Duration::from_secs(60)).ok();
            Ok(())
        };
        editor.rows().write(write).await
    });
    tokio::task::spawn_blocking(move || held.recv()).await.unwrap().unwrap();
    home.planner.touch(&other, beside.rows().read(ids_of_schedules).await.unwrap());
    let end = CancellationToken::new();
    #[allow(clippy::disallowed_methods, reason = "a test is its own program")]
    let planner = tokio::spawn(home.planner.clone().work(end.clone()));
    home.clock.advance(Duration::from_secs(58));
    let open = async || beside.rows().read(run::open_runs).await.unwrap().len();
    for _ in 0..200 {
        if open().await == 1 {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert_eq!((open().await, home.runs().await.len()), (1, 0), "one library is written to all the while");
    let_go.send(()).unwrap();
    long.await.unwrap().unwrap();
    for _ in 0..200 {
        if home.open().await.is_some() {
            break;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    assert!(home.open().await.is_some(), "and its own begins as soon as it can");
    end.cancel();
    planner.await.unwrap();
}

#[tokio::test]
async fn what_finds_no_room_within_its_grace_is_missed() {
    let home = home(60).await;
    let other = add_stream(&home.editor, "Music", "the-key-2").await;
    home.editor.start_stream(other, crate::live::End::Open).await.unwrap();
    let input = ScheduleInput { grace: Some(60), ..home.input("2026-01-05T10:10", None, Some(6000)) };
    let schedule = home.editor.create_schedule(input).await.unwrap().row.id();
    home.look(schedule).await;
    home.pass(600).await;
    home.pass(50).await;
    assert_eq!(home.runs().await.len(), 1);
    home.pass(10).await;
    let runs = home.runs().await;
    assert_eq!((runs[1].0, runs[1].2.as_str()), (Some(RunOutcome::Missed), "live-no-memory"));
}

#[tokio::test]
async fn two_schedules_on_one_key_at_one_time_are_refused() {
    let home = home(10_000).await;
    home.schedule("2026-01-05T10:10", Some("FREQ=DAILY"), Some(3600)).await;
    let clash = home.input("2026-01-09T10:30", None, Some(60));
    let shown = home.editor.preview(clash.clone(), None, 5).await.unwrap();
    assert!(shown.items[0].conflict.is_some());
    let refused = home.editor.create_schedule(clash).await.unwrap_err();
    assert_eq!((refused.status(), &*refused.message().id), (409, "schedule-conflict"));
    let beside = home.input("2026-01-09T11:10", None, Some(60));
    home.editor.create_schedule(beside).await.unwrap();
    let past = home.editor.create_schedule(home.input("2026-01-05T09:00", None, None)).await.unwrap_err();
    assert_eq!(past.status(), 422);
    // Another stream that sends to the same key is in the way too, one with another key is not.
    for (key, expected) in [("the-key-1", Some(409)), ("the-key-9", None)] {
        let stream_id = add_stream(&home.editor, "Other", key).await;
        let input = ScheduleInput { stream_id, ..home.input("2026-01-12T10:30", None, Some(60)) };
        let status = home.editor.create_schedule(input).await.err().map(|refused| refused.status());
        assert_eq!(status, expected, "{key}");
    }
}
