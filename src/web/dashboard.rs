//! The first page: what is on air and is it well, what comes next, is the box well.

use std::sync::Arc;
use std::time::{Duration, Instant};

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use parking_lot::Mutex;
use serde_json::{Map, Value, json};
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

/// What the page and its events are made of.
struct Seen {
    now: Timestamp,
    on_air: Vec<StreamView>,
    next: Vec<ScheduleView>,
    figures: Figures,
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
    let mut on_air = Vec::new();
    for (id, _) in board.on_air(library.scope()).into_iter().take(ON_AIR) {
        // One that ended a moment ago may be deleted by now.
        on_air.extend(library.stream(id).await.ok().filter(|view| view.state.name.is_on_air()));
    }
    on_air.sort_by_cached_key(|view| (view.row.value.title.to_lowercase(), view.row.id()));
    Ok(Seen {
        now: library.foundation().clock().now(),
        next: coming.read(library, &on_air).await?,
        on_air,
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

    /// The box's figures: key, share of 100, words.
    fn figures(&self, page: &Page) -> [(&'static str, f64, String); 4] {
        let locale = page.locale();
        let used = |share: Share| {
            let size = |bytes: u64| format::bytes(locale, bytes as f64);
            page.text(&Message::new("box-used").with("used", size(share.used)).with("total", size(share.total)))
        };
        let figures = &self.figures;
        let busy = Message::new("box-load").with("percent", figures.processor.round());
        let rate = |bits: u64| format::bitrate(locale, bits as f64);
        let (sending, limit) = (rate(figures.uplink.used), rate(figures.uplink.total));
        let sending = Message::new("box-sending").with("rate", sending).with("limit", limit);
        [
            ("disk", figures.disk.percent(), used(figures.disk)),
            ("memory", figures.memory.percent(), used(figures.memory)),
            ("cpu", figures.processor, page.text(&busy)),
            ("uplink", figures.uplink.percent(), page.text(&sending)),
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

/// Which first steps are done: a video, a stream, a schedule.
async fn steps(library: &Library) -> Result<Value> {
    let one = Place { limit: 1, ..Place::default() };
    let videos = library.rows().read(count_videos).await?;
    let streams = library.streams(StreamQuery { place: one.clone(), ..StreamQuery::default() }).await?.total;
    let schedules = library.schedules(ScheduleQuery { place: one, ..ScheduleQuery::default() }).await?.total;
    Ok(json!({ "video": videos > 0, "stream": streams > 0, "schedule": schedules > 0 }))
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
            "length": next.stop.map(|stop| words::seconds_between(next.start, stop)),
        }))
    });
    let next: Vec<Value> = next.collect();
    let mut figures = Map::new();
    for (key, percent, words) in seen.figures(&page) {
        let level = Level::of(percent);
        figures.insert(key.to_owned(), json!({ "percent": percent.round(), "level": level, "words": words }));
    }
    let context = json!({
        "shape": seen.shape(),
        "on_air": on_air,
        "trouble": trouble(&page, &library, seen.now).await?,
        "next": next,
        "box": figures,
        "usage": usage(&page.server().tenancy.own_account(library.scope()).await?),
        "steps": steps(&library).await?,
    });
    page.render("dashboard", "dashboard.html", context).await
}

/// One event: see `static/own/live.js`.
async fn tell(page: Page, library: Library, coming: Coming) -> Result<String> {
    let seen = look(&page, &library, &coming).await?;
    let (mut text, mut value, mut level) = (Map::new(), Map::new(), Map::new());
    for StreamView { row, state } in &seen.on_air {
        text.insert(format!("{}/words", row.id()), json!(words::state(&page, state, seen.now)));
    }
    for (key, percent, words) in seen.figures(&page) {
        text.insert(format!("box/{key}/words"), json!(words));
        value.insert(format!("box/{key}"), json!(percent.round()));
        level.insert(format!("box/{key}"), json!(Level::of(percent)));
    }
    text.insert("on-air-count".into(), json!(words::on_air_count(&page, &library)));
    let on_air = library.foundation().board().on_air_count(library.scope());
    let event = json!({ "shape": seen.shape(), "text": text, "value": value, "level": level, "on_air": on_air });
    Ok(event.to_string())
}

async fn events(request: HttpRequest, page: Page, me: Identity, library: Library) -> Result<HttpResponse> {
    let coming = Coming::default();
    answer(&request, me, move || tell(page.clone(), library.clone(), coming.clone())).await
}
