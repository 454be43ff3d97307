//! What was on air: the list of runs, and one run with its log.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::imports;
use super::pager::{ROWS, neighbours, place};
use super::words::seconds_between;
use super::youtube::broadcast_card;
use super::{Access, Page, Query, Route, format};
use crate::error::Result;
use crate::library::Library;
use crate::live::{Run, RunFilter, RunOutcome, RunQuery, RunSort};
use crate::store::rows::Row;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/history", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/history/export", access: Access::Read, handler: || web::to(imports::export_runs) },
    Route { method: "GET", path: "/history/{id}", access: Access::Read, handler: || web::to(show) },
];

/// Lines of the log of one run.
const LINES: usize = 200;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    outcome: String,
    #[serde(default)]
    stream: String,
    #[serde(default)]
    sort: String,
    cursor: Option<String>,
    before: Option<String>,
}

async fn list(page: Page, library: Library, asked: Query<Asked>) -> Result<HttpResponse> {
    let Asked { outcome, stream, sort, cursor, before } = asked.0;
    let filter = match outcome.as_str() {
        "running" => Some(RunFilter::On),
        other => RunOutcome::parse(other).map(RunFilter::Ended),
    };
    let chosen = Uuid::parse_str(&stream).ok();
    let (order, rising) = match sort.as_str() {
        "oldest" => (RunSort::At, true),
        "longest" => (RunSort::Length, false),
        _ => (RunSort::At, false),
    };
    let at = place(cursor.as_deref(), before.as_deref(), !rising);
    let query =
        RunQuery { filter, stream: chosen, sort: order, rising, after: at.cursor, before: at.before, limit: ROWS };
    let runs = library.runs(query).await?;
    let now = library.foundation().clock().now();
    let values = [("outcome", outcome.as_str()), ("stream", stream.as_str()), ("sort", sort.as_str())];
    let (prev, next) = neighbours("/history", &values, &runs);
    let items: Vec<Value> = runs.items.iter().map(|row| context(&page, row, now)).collect();
    let context = json!({
        "list": {
            "outcome": filter.map_or("all", |_| outcome.as_str()),
            "stream": chosen.map(|id| id.to_string()).unwrap_or_default(),
            "sort": match (order, rising) {
                (RunSort::Length, _) => "longest",
                (RunSort::At, true) => "oldest",
                (RunSort::At, false) => "newest",
            },
            "total": runs.total,
            "prev": prev,
            "next": next,
            "items": items,
        },
        "stream_options": stream_options(&library).await?,
    });
    page.render("history", "history/list.html", context).await
}

/// Streams to choose from.
pub(super) async fn stream_options(library: &Library) -> Result<Vec<Value>> {
    let titles = library.stream_titles().await?.into_iter();
    Ok(titles.map(|(id, title)| json!({"id": id, "title": title})).collect())
}

/// The word for how a run went, or that it goes on.
pub(super) fn outcome(run: &Run) -> &'static str {
    run.outcome.map_or("running", RunOutcome::code)
}

/// Seconds on air; until `now` while it is.
fn length(run: &Run, now: Timestamp) -> Option<f64> {
    Some(seconds_between(run.started_at?, run.ended_at.unwrap_or(now)).round())
}

/// What changes of a run while it is on air, in words: see `history.table`.
pub(super) fn figures(page: &Page, row: &Row<Run>, now: Timestamp) -> [(&'static str, String); 3] {
    let (run, locale) = (&row.value, page.locale());
    let length = length(run, now).filter(|length| *length > 0.0);
    [
        ("length", length.map_or_else(|| "–".to_owned(), |length| format::duration(locale, length))),
        ("restarts", format::number(locale, f64::from(run.restarts))),
        ("bytes", format::bytes(locale, run.bytes as f64)),
    ]
}

/// A run as the pages tell it.
pub(super) fn context(page: &Page, row: &Row<Run>, now: Timestamp) -> Value {
    let run = &row.value;
    json!({
        "id": row.id(),
        "stream": { "id": run.stream_id, "title": run.stream_title },
        "started": page.moment(run.at(&row.header)),
        "ended": run.ended_at.map(|at| page.moment(at)),
        "length": length(run, now),
        "outcome": outcome(run),
        "reason": run.reason.as_ref().map(|reason| page.text(reason)),
        "restarts": run.restarts,
        "bytes": run.bytes,
    })
}

/// Lines of a log with their times in the reader's zone; they are written in UTC.
pub(super) fn log_lines(page: &Page, lines: Vec<String>) -> Vec<String> {
    let told = |line: String| match line.split_once(' ') {
        Some((at, rest)) => match at.parse::<Timestamp>() {
            Ok(at) => format!("{} {rest}", at.to_zoned(page.zone().clone()).strftime("%Y-%m-%d %H:%M:%S")),
            Err(_) => line,
        },
        None => line,
    };
    lines.into_iter().map(told).collect()
}

/// Points of a bitrate graph: Unix seconds, bits a second.
pub(super) fn points(samples: &[(i64, u64)]) -> Vec<(i64, u64)> {
    samples.iter().map(|(at, bits)| (at.div_euclid(1000), *bits)).collect()
}

async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.run(*id).await?;
    let log = log_lines(&page, library.run_log(*id, LINES).await?);
    let samples = library.run_samples(*id).await?;
    let stream = library.stream(row.value.stream_id).await.ok();
    let now = library.foundation().clock().now();
    let targets = row.value.targets.iter().enumerate().map(|(number, target)| {
        let end = target.end.as_ref();
        json!({
            "number": number + 1,
            "platform": target.platform.code(),
            "started": end.map(|end| page.moment(end.started_at)),
            "length": end.map(|end| seconds_between(end.started_at, end.ended_at).round()),
            "attempts": end.map(|end| end.attempts),
            "bytes": end.map(|end| end.bytes),
            // One without an end of its own ended with its run.
            "outcome": end.map(|end| end.outcome).or(row.value.outcome).map_or("running", |outcome| outcome.code()),
            "reason": end.and_then(|end| end.reason.as_ref()).map(|reason| page.text(reason)),
        })
    });
    let targets: Vec<Value> = targets.collect();
    let mut run = context(&page, &row, now);
    run["occurrence_at"] = json!(row.value.occurrence_at.map(|at| page.moment(at)));
    run["schedule_id"] = json!(row.value.schedule_id);
    run["stream"]["is_there"] = json!(stream.is_some());
    run["targets"] = json!(targets);
    let broadcasts = library.broadcasts_of_run(*id).await?;
    let broadcasts: Vec<Value> = broadcasts.iter().map(|row| broadcast_card(&page, row)).collect();
    let context = json!({ "run": run, "log": log, "points": points(&samples), "broadcasts": broadcasts });
    page.render("history", "history/show.html", context).await
}
