//! The first page: what is on air and is it well, what comes next, is the box well.
//!
//! The box's figures are all tenants' together: from them one could compute what others do, so only operators see
//! them. Everybody else is told what they send themselves, and in one word whether the box is busy.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Value, json};
use uuid::Uuid;

use super::live_events::answer;
use super::settings::usage;
use super::stream::{has_frame, shape};
use super::{Access, Page, Route, format, history, words};
use crate::auth::Identity;
use crate::error::Result;
use crate::host::{Figures, Level, Share};
use crate::library::{Library, count_videos};
use crate::live::{RunFilter, RunOutcome, RunQuery, State, StreamQuery, StreamView};
use crate::oauth::State as ConnectionState;
use crate::schedule::{ScheduleFilter, ScheduleQuery, ScheduleView};
use crate::store::paged::Place;
use crate::text::Message;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/", access: Access::Read, handler: || web::to(show) },
    Route { method: "GET", path: "/events", access: Access::Read, handler: || web::to(events) },
];

/// Streams on air that are shown.
const ON_AIR: usize = 50;
/// Occurrences that are shown.
const NEXT: usize = 5;
/// How long the occurrences that were read last are good for.
const FRESH: Duration = Duration::from_secs(5);
/// Runs in trouble that are shown, and for how long, in seconds.
const TROUBLE: usize = 5;
const TROUBLE_AGE: i64 = 24 * 3600;
/// Broadcasts in trouble that are named.
const MOST_HELD_UP: usize = 3;

/// What the page and its events are made of.
struct Seen {
    now: Timestamp,
    on_air: Vec<StreamView>,
    next: Vec<ScheduleView>,
    /// Bits a second that the reader's own streams send.
    sending: u64,
    figures: Figures,
}

/// A line about the box.
struct Line {
    key: &'static str,
    icon: &'static str,
    /// Of 100, where there is a gauge.
    percent: Option<f64>,
    level: Level,
    words: String,
}

/// The next occurrences as they were read last.
struct Read {
    at: Instant,
    /// What was on air then: a start uses an occurrence up.
    beside: Vec<Uuid>,
    next: Vec<ScheduleView>,
}

/// The next occurrences: what a page looks at all the time is not computed anew each time.
#[derive(Clone, Default)]
struct Coming {
    last: Arc<Mutex<Option<Read>>>,
}

impl Coming {
    async fn read(&self, library: &Library, on_air: &[StreamView]) -> Result<Vec<ScheduleView>> {
        let beside: Vec<Uuid> = on_air.iter().map(|view| view.row.id()).collect();
        if let Some(last) = self.last.lock().as_ref()
            && last.at.elapsed() < FRESH
            && last.beside == beside
        {
            return Ok(last.next.clone());
        }
        let place = Place { limit: NEXT, ..Place::default() };
        let coming = ScheduleQuery { filter: ScheduleFilter::Coming, place, ..ScheduleQuery::default() };
        let next = library.schedules(coming).await?.items;
        *self.last.lock() = Some(Read { at: Instant::now(), beside, next: next.clone() });
        Ok(next)
    }
}

async fn look(page: &Page, library: &Library, coming: &Coming) -> Result<Seen> {
    let board = library.foundation().board();
    let own = board.on_air(library.scope());
    let sending = own.iter().map(|(_, state)| state.bitrate).sum();
    let mut on_air = Vec::new();
    for (id, _) in own.into_iter().take(ON_AIR) {
        // One that ended a moment ago may be deleted by now.
        on_air.extend(library.stream(id).await.ok().filter(|view| view.state.name.is_on_air()));
    }
    on_air.sort_by_cached_key(|view| (view.row.value.title.to_lowercase(), view.row.id()));
    Ok(Seen {
        now: library.foundation().clock().now(),
        next: coming.read(library, &on_air).await?,
        on_air,
        sending,
        figures: page.server().host.figures(board.bitrate())?,
    })
}

impl Seen {
    /// Changes whenever the cards would be other cards.
    fn shape(&self) -> String {
        let on_air: Vec<(Uuid, &State)> = self.on_air.iter().map(|view| (view.row.id(), &view.state)).collect();
        let next: Vec<_> = self.next.iter().map(|view| (view.row.id(), view.next.map(|next| next.start))).collect();
        let told = json!([shape(&on_air), next]).to_string();
        blake3::hash(told.as_bytes()).to_hex()[..16].to_owned()
    }

    /// What the reader may know of the box.
    fn lines(&self, page: &Page) -> Vec<Line> {
        let locale = page.locale();
        let rate = |bits: u64| format::bitrate(locale, bits as f64);
        let figures = &self.figures;
        if !page.is_operator() {
            // Not by the uplink, which is nothing but the streams of all.
            let busy = [figures.memory.percent(), figures.processor].map(Level::of) != [Level::Ok; 2];
            let (level, word) = if busy { (Level::Warn, "box-busy") } else { (Level::Ok, "box-well") };
            return vec![
                Line { key: "sending", icon: "broadcast", percent: None, level: Level::Ok, words: rate(self.sending) },
                Line { key: "server", icon: "server", percent: None, level, words: page.text(&Message::new(word)) },
            ];
        }
        let gauge = |(key, icon), percent: f64, words: &Message| Line {
            key,
            icon,
            percent: Some(percent.round()),
            level: Level::of(percent),
            words: page.text(words),
        };
        let used = |share: Share| {
            let size = |bytes: u64| format::bytes(locale, bytes as f64);
            Message::new("box-used").with("used", size(share.used)).with("total", size(share.total))
        };
        let busy = Message::new("box-load").with("percent", figures.processor.round());
        let (sending, limit) = (rate(figures.uplink.used), rate(figures.uplink.total));
        let sending = Message::new("box-of").with("rate", sending).with("limit", limit);
        vec![
            gauge(("disk", "database"), figures.disk.percent(), &used(figures.disk)),
            gauge(("memory", "server"), figures.memory.percent(), &used(figures.memory)),
            gauge(("cpu", "cpu"), figures.processor, &busy),
            gauge(("uplink", "network"), figures.uplink.percent(), &sending),
        ]
    }
}

/// Runs of the last day that failed or were missed, newest first.
async fn trouble(page: &Page, library: &Library, now: Timestamp) -> Result<Vec<Value>> {
    let mut found = Vec::new();
    for outcome in [RunOutcome::Failed, RunOutcome::Missed] {
        let query = RunQuery { filter: Some(RunFilter::Ended(outcome)), limit: TROUBLE, ..RunQuery::default() };
        found.extend(library.runs(query).await?.items);
    }
    found.retain(|row| now.duration_since(row.value.at(&row.header)).as_secs() < TROUBLE_AGE);
    found.sort_by_key(|row| std::cmp::Reverse(row.value.at(&row.header)));
    found.truncate(TROUBLE);
    let told = found.iter().map(|row| {
        let run = &row.value;
        json!({
            "stream_id": run.stream_id,
            "title": run.stream_title,
            "run_id": row.id(),
            "outcome": history::outcome(run),
            "reason": run.reason.as_ref().map(|reason| page.text(reason)).unwrap_or_default(),
            "at": page.moment(run.at(&row.header)),
        })
    });
    Ok(told.collect())
}

/// Which first steps are done: a video, a stream, and something that was or will be on air.
async fn steps(library: &Library) -> Result<Value> {
    let one = Place { limit: 1, ..Place::default() };
    let videos = library.rows().read(count_videos).await?;
    let streams = library.streams(StreamQuery { place: one.clone(), ..StreamQuery::default() }).await?.total;
    let schedules = library.schedules(ScheduleQuery { place: one, ..ScheduleQuery::default() }).await?.total;
    let aired = schedules > 0 || library.has_run().await?;
    Ok(json!({ "video": videos > 0, "stream": streams > 0, "aired": aired }))
}

async fn show(page: Page, library: Library) -> Result<HttpResponse> {
    let seen = look(&page, &library, &Coming::default()).await?;
    let on_air = seen.on_air.iter().map(|StreamView { row, state }| {
        let targets = row.value.targets.iter().map(|target| {
            let shown = state.targets.iter().find(|shown| shown.id == target.id);
            json!({ "platform": target.platform.code(), "state": shown.map_or(state.name, |shown| shown.name).code() })
        });
        json!({
            "id": row.id(),
            "title": row.value.title,
            "state": {
                "name": state.name.code(),
                "words": words::state(&page, state, seen.now),
                "since": state.since.map(|at| page.moment(at)),
            },
            "ends": state.stop_at.map(|at| page.moment(at)),
            "has_frame": has_frame(state),
            "targets": targets.collect::<Vec<_>>(),
        })
    });
    let on_air: Vec<Value> = on_air.collect();
    let next = seen.next.iter().filter_map(|view| {
        let next = view.next?;
        Some(json!({
            "schedule_id": view.row.id(),
            "stream_id": view.row.value.stream_id,
            "title": view.stream_title,
            "at": page.moment(next.start),
            "within": words::within(&page, next.start, seen.now),
            "waiting": view.waiting.as_ref().map(|reason| page.text(reason)),
            "length": next.stop.map(|stop| words::seconds_between(next.start, stop)),
        }))
    });
    let next: Vec<Value> = next.collect();
    let lines = seen.lines(&page).into_iter().map(|line| {
        json!({
            "key": line.key,
            "icon": line.icon,
            "gauge": line.percent.is_some(),
            "percent": line.percent,
            "level": line.level,
            "words": line.words,
        })
    });
    let lines: Vec<Value> = lines.collect();
    let mut lost = library.channels().await?;
    lost.retain(|row| row.value.state == ConnectionState::Reconnect);
    // Of a channel that has to be connected again, that is all there is to say.
    let held_up = library.broadcasts_in_trouble(seen.now).await?.into_iter();
    let held_up = held_up.filter(|row| lost.iter().all(|channel| channel.id() != row.value.channel_id));
    let held_up = held_up.take(MOST_HELD_UP).map(|row| {
        let wanted = &row.value.wanted;
        json!({
            "title": wanted.texts.title,
            "at": page.moment(wanted.settings.starts_at),
            "reason": row.value.trouble.as_ref().map(|trouble| page.text(trouble)),
        })
    });
    let held_up: Vec<Value> = held_up.collect();
    let lost: Vec<Value> = lost.iter().map(|row| json!({"id": row.id(), "title": row.value.title})).collect();
    let context = json!({
        "shape": seen.shape(),
        "lost": lost,
        "held_up": held_up,
        "on_air": on_air,
        "trouble": trouble(&page, &library, seen.now).await?,
        "next": next,
        "box": lines,
        "usage": usage(&page.server().tenancy.own_account(library.scope()).await?),
        "steps": steps(&library).await?,
    });
    page.render("dashboard", "dashboard.html", context).await
}

/// One event: see `static/own/live.js`.
async fn tell(page: Page, library: Library, coming: Coming) -> Result<String> {
    let seen = look(&page, &library, &coming).await?;
    let mut event = words::frame_event(&page, &library).await?;
    for StreamView { row, state } in &seen.on_air {
        event["text"][format!("{}/words", row.id())] = json!(words::state(&page, state, seen.now));
    }
    for Line { key, percent, level, words, .. } in seen.lines(&page) {
        event["text"][format!("box/{key}/words")] = json!(words);
        if let Some(percent) = percent {
            event["value"][format!("box/{key}")] = json!(percent);
            event["level"][format!("box/{key}")] = json!(level);
        }
    }
    event["shape"] = json!(seen.shape());
    Ok(event.to_string())
}

async fn events(request: HttpRequest, page: Page, me: Identity, library: Library) -> Result<HttpResponse> {
    let coming = Coming::default();
    answer(&request, me, move || tell(page.clone(), library.clone(), coming.clone())).await
}
