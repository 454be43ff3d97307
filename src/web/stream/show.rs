//! The page of one stream, which updates by itself: state, graph, picture, log, start, stop and another end.

use std::collections::HashMap;

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::form::order_code;
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::library::{Editor, Library, Video};
use crate::live::{End, Fit, RunQuery, State, StateName, StreamView};
use crate::schedule::ScheduleQuery;
use crate::store::paged::Place;
use crate::store::rows::Row;
use crate::text::Message;
use crate::web::live_events::answer;
use crate::web::schedule::local;
use crate::web::youtube::broadcast_cards;
use crate::web::{Form, Page, history, words};
use crate::youtube::{Of, publishes};

/// Lines of the log on the page.
const LINES: usize = 40;
/// Runs on the page.
const RUNS: usize = 10;

/// What makes buttons or cards others than they were.
pub(crate) fn shape(parts: &[(Uuid, &State)]) -> String {
    let told: Vec<_> = parts
        .iter()
        .map(|(id, state)| {
            let targets: Vec<_> = state.targets.iter().map(|target| target.name).collect();
            json!([id, state.name, state.run_id, state.stop_at, state.next_at, targets, has_frame(state)])
        })
        .collect();
    blake3::hash(Value::from(told).to_string().as_bytes()).to_hex()[..16].to_owned()
}

/// Whether there is a picture of what viewers see.
pub(crate) fn has_frame(state: &State) -> bool {
    state.name.is_on_air() && state.out_time > 0.0
}

/// The states of the page's targets, in the order of the stream: on air as they are, else as the stream is.
fn targets(page: &Page, view: &StreamView, now: Timestamp) -> Vec<Value> {
    let state = &view.state;
    let off = if state.name == StateName::Scheduled { StateName::Scheduled } else { StateName::Idle };
    let stored = view.row.value.targets.iter().map(|target| {
        let shown = state.targets.iter().find(|shown| shown.id == target.id);
        let words = match shown {
            Some(shown) => words::target(page, shown, now),
            None => page.text(&Message::new("words-idle")),
        };
        json!({
            "platform": target.platform.code(),
            "url": target.url.as_ref().map(ToString::to_string),
            "key_masked": target.key_masked,
            "state": shown.map_or(off, |shown| shown.name).code(),
            "words": words,
            "health": shown.and_then(|shown| shown.platform_word.as_ref()).map(|word| {
                word.health.iter().map(|word| page.text(word)).collect::<Vec<_>>().join(" ")
            }),
        })
    });
    stored.collect()
}

fn video(page: &Page, id: Uuid, known: &HashMap<Uuid, Row<Video>>, fit: &Fit) -> Option<Value> {
    let video = &known.get(&id)?.value;
    Some(json!({
        "id": id,
        "title": video.title,
        "duration": video.facts.duration,
        "ready": video.verdict.ready,
        "has_thumbnail": video.thumbnail_id.is_some(),
        "differs": differs(page, fit.reasons(id)),
    }))
}

/// What makes a video unlike the others of its playlist; nothing where it is like them.
pub(super) fn differs(page: &Page, reasons: &[Message]) -> Option<String> {
    let told: Vec<String> = reasons.iter().map(|reason| page.text(reason)).collect();
    let told = (!told.is_empty()).then(|| told.join(", "))?;
    Some(page.text(&Message::new("stream-differs").with("reasons", told)))
}

/// Everything that the page shows.
pub(super) async fn context(page: &Page, library: &Library, view: &StreamView) -> Result<Value> {
    let now = library.foundation().clock().now();
    let (id, stream, state) = (view.row.id(), &view.row.value, &view.state);
    let known = library.videos_by_id(stream.videos.clone()).await?;
    let fit = library.playlist_fit(&stream.videos).await?;
    let videos: Vec<Value> = stream.videos.iter().filter_map(|id| video(page, *id, &known, &fit)).collect();
    let length: f64 = stream.videos.iter().filter_map(|id| known.get(id)).map(|row| row.value.facts.duration).sum();
    let runs = library.runs(RunQuery { stream: Some(id), limit: RUNS, ..RunQuery::default() }).await?;
    let place = Place { limit: 50, ..Place::default() };
    let schedules = library.schedules(ScheduleQuery { stream: Some(id), place, ..ScheduleQuery::default() }).await?;
    let told = runs.items.iter().map(|row| {
        let mut told = history::context(page, row, now);
        // The page is about this one stream.
        told.as_object_mut().map(|told| told.remove("stream"));
        told
    });
    let runs: Vec<Value> = told.collect();
    let schedules: Vec<Value> = schedules
        .items
        .iter()
        .map(|schedule| {
            json!({
                "id": schedule.row.id(),
                "words": words::schedule(page, &schedule.row.value),
                // A single time stands in the words.
                "next": schedule.next.filter(|_| schedule.row.value.rule.is_some()).map(|next| page.moment(next.start)),
                "paused": schedule.row.value.paused,
            })
        })
        .collect();
    let publishes = publishes(stream, None, &library.channel_keys().await?);
    let broadcasts = broadcast_cards(page, library, Of::Stream(id), 3).await?;
    let samples = match state.run_id {
        Some(run) if state.samples.is_empty() => library.run_samples(run).await.unwrap_or_default(),
        _ => state.samples.clone(),
    };
    let ends = state.stop_at.filter(|_| state.name.is_on_air());
    Ok(json!({
        "shape": shape(&[(id, state)]),
        "stream": {
            "id": id,
            "title": stream.title,
            "order": order_code(stream.order),
            "loop": stream.repeat,
            "on_air": state.name.is_on_air(),
            "has_frame": has_frame(state),
            "length": length,
            "publishes": publishes,
            "together": fit.is_together(),
            "overlay": stream.overlay.as_ref().map(|overlay| overlay.profile.code()),
            "state": {
                "name": state.name.code(),
                "words": words::state(page, state, now),
                // Being connected anew does not make it another run.
                "since": state.started_at.or(state.since).map(|at| page.moment(at)),
                "reason": state.reason.as_ref().map(|reason| page.text(reason)),
            },
            "ends_local": ends.map(|at| local(page.zone().to_datetime(at))),
            "ends": ends.map(|at| page.moment(at)),
            "next_at": state.next_at.map(|at| page.moment(at)),
            "videos": videos,
            "targets": targets(page, view, now),
        },
        "points": history::points(&samples),
        "log": history::log_lines(page, library.stream_log(id, LINES).await?),
        "runs": runs,
        "schedules": schedules,
        "broadcasts": broadcasts,
        "form": {},
        "errors": {},
    }))
}

pub(super) async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let view = library.stream(*id).await?;
    let context = context(&page, &library, &view).await?;
    page.render("streams", "stream/show.html", context).await
}

/// One event: see `static/own/live.js`.
async fn tell(page: Page, library: Library, id: Uuid) -> Result<String> {
    let view = library.stream(id).await?;
    let now = library.foundation().clock().now();
    let mut event = words::frame_event(&page, &library).await?;
    let text = &mut event["text"];
    text["words"] = json!(words::state(&page, &view.state, now));
    for (place, target) in targets(&page, &view, now).into_iter().enumerate() {
        text[format!("target/{place}/words")] = target["words"].clone();
        if !target["health"].is_null() {
            text[format!("target/{place}/health")] = target["health"].clone();
        }
    }
    if let Some(run) = view.state.run_id.filter(|_| view.state.name.is_on_air()) {
        for (field, words) in history::figures(&page, &library.run(run).await?, now) {
            text[format!("run/{run}/{field}")] = json!(words);
        }
    }
    event["shape"] = json!(shape(&[(id, &view.state)]));
    event["point"] = json!(history::points(&view.state.samples).last());
    event["log"] = json!(history::log_lines(&page, library.stream_log(id, LINES).await?));
    Ok(event.to_string())
}

pub(super) async fn events(
    request: HttpRequest,
    page: Page,
    me: Identity,
    library: Library,
    id: web::Path<Uuid>,
) -> Result<HttpResponse> {
    let id = id.into_inner();
    answer(&request, me, move || tell(page.clone(), library.clone(), id)).await
}

/// The picture that viewers see now.
pub(super) async fn frame(library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let picture = library.stream_frame(*id).await?;
    Ok(HttpResponse::Ok().content_type("image/jpeg").body(picture))
}

/// When to end: of a start, and of a change of what is on air.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct EndForm {
    end: String,
    stop_after: String,
    stop_at: String,
}

impl EndForm {
    fn parse(&self, page: &Page) -> Result<End> {
        match self.end.as_str() {
            "" | "none" => Ok(End::Open),
            "after" => {
                let minutes: u64 = self.stop_after.trim().parse().unwrap_or(0);
                let seconds = minutes.checked_mul(60).filter(|seconds| *seconds > 0);
                let seconds = seconds.ok_or_else(|| Error::field("stop_after", Message::new("minutes-expected")))?;
                Ok(End::After(seconds))
            }
            "at" => {
                let local: Option<DateTime> = self.stop_at.trim().parse().ok();
                let at = local.and_then(|local| page.zone().to_ambiguous_timestamp(local).compatible().ok());
                Ok(End::At(at.ok_or_else(|| Error::field("stop_at", Message::new("date-and-time-expected")))?))
            }
            _ => Err(Error::field("end", Message::new("choice-unknown"))),
        }
    }
}

pub(super) async fn start(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    form: Form<EndForm>,
) -> Result<HttpResponse> {
    let view = editor.stream(*id).await?;
    let started = match form.value.parse(&page) {
        Ok(end) => editor.start_stream(*id, end).await,
        Err(refused) => Err(refused),
    };
    match started {
        Ok(_) => {
            let path = form.back.unwrap_or_else(|| format!("/streams/{id}"));
            let message = Message::new("stream-started").with("title", view.row.value.title);
            Ok(page.see_other(&path, "ok", Some(message)))
        }
        Err(refused @ Error::Conflict(_)) if form.back.is_some() => page.back_with(form.back.as_deref(), refused),
        Err(refused) => {
            let context = context(&page, &editor, &view).await?;
            page.refuse("streams", "stream/show.html", context, &form.typed, refused).await
        }
    }
}

pub(super) async fn end(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<EndForm>) -> Result<HttpResponse> {
    let changed = match form.value.parse(&page) {
        Ok(end) => editor.change_end(*id, end).await,
        Err(refused) => Err(refused),
    };
    match changed {
        Ok(view) => {
            let path = form.back.unwrap_or_else(|| format!("/streams/{id}"));
            let message = match view.state.stop_at {
                Some(at) => Message::new("stream-end-changed").with("when", page.moment(at).text),
                None => Message::new("stream-end-changed-open"),
            };
            let message = message.with("title", view.row.value.title);
            Ok(page.see_other(&path, "ok", Some(message)))
        }
        Err(refused) => {
            let view = editor.stream(*id).await?;
            let context = context(&page, &editor, &view).await?;
            page.refuse("streams", "stream/show.html", context, &form.typed, refused).await
        }
    }
}
