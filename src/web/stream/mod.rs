//! Streams: the list, the form, and (in [`show`]) the page of one of them.

mod form;
mod show;

use std::collections::{HashMap, HashSet};

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::pager::{neighbours, place};
use super::{Access, Form, Page, Query, Route, format, words};
use crate::error::Result;
use crate::library::{Ask, Editor, Library, VideoFilter, gallery};
use crate::live::admission::{Capacity, ENCODER_MIB, cores};
use crate::live::overlay::{Price, size};
use crate::live::{RunQuery, StateName, StreamFilter, StreamQuery, StreamSort, StreamView};
use crate::media::Profile;
use crate::schedule::ScheduleQuery;
use crate::store::paged::Place;
use crate::text::Message;
use crate::youtube::publishes;
use form::StreamForm;
pub(crate) use form::order_code;
pub(super) use show::{has_frame, shape};

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/streams", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/streams/new", access: Access::Read, handler: || web::to(new) },
    Route { method: "POST", path: "/streams", access: Access::Write, handler: || web::to(create) },
    Route { method: "GET", path: "/streams/{id}", access: Access::Read, handler: || web::to(show::show) },
    Route { method: "GET", path: "/streams/{id}/edit", access: Access::Read, handler: || web::to(edit) },
    Route { method: "POST", path: "/streams/{id}", access: Access::Write, handler: || web::to(change) },
    Route { method: "POST", path: "/streams/{id}/delete", access: Access::Write, handler: || web::to(delete) },
    Route { method: "POST", path: "/streams/{id}/start", access: Access::Write, handler: || web::to(show::start) },
    Route { method: "POST", path: "/streams/{id}/end", access: Access::Write, handler: || web::to(show::end) },
    Route { method: "POST", path: "/streams/{id}/stop", access: Access::Write, handler: || web::to(stop) },
    Route { method: "GET", path: "/streams/{id}/events", access: Access::Read, handler: || web::to(show::events) },
    Route { method: "GET", path: "/streams/{id}/frame.jpg", access: Access::Read, handler: || web::to(show::frame) },
];

/// Videos that the form offers.
const OFFERED: usize = 500;

#[derive(Deserialize)]
struct Asked {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    filter: String,
    cursor: Option<String>,
    before: Option<String>,
}

async fn list(page: Page, library: Library, asked: Query<Asked>) -> Result<HttpResponse> {
    let Asked { q, sort, filter, cursor, before } = asked.0;
    let (order, sort) = match sort.as_str() {
        "title" => (StreamSort::Title, "title"),
        "next" => (StreamSort::Next, "next"),
        _ => (StreamSort::Created, "newest"),
    };
    let (which, filter) = match filter.as_str() {
        "on-air" => (StreamFilter::OnAir, "on-air"),
        "planned" => (StreamFilter::Planned, "planned"),
        "idle" => (StreamFilter::Idle, "idle"),
        "failed" => (StreamFilter::Is(StateName::Failed), "failed"),
        _ => (StreamFilter::All, "all"),
    };
    let place = place(cursor.as_deref(), before.as_deref(), order == StreamSort::Created);
    let streams =
        library.streams(StreamQuery { search: q.trim().to_owned(), sort: order, filter: which, place }).await?;
    let (prev, next) = neighbours("/streams", &[("q", &q), ("sort", sort), ("filter", filter)], &streams);
    let now = library.foundation().clock().now();
    let ids: HashSet<Uuid> = streams.items.iter().flat_map(|view| view.row.value.videos.iter().copied()).collect();
    let known = library.videos_by_id(ids.into_iter().collect()).await?;
    let keys = library.channel_keys().await?;
    let items = streams.items.iter().map(|StreamView { row, state }| {
        let videos = || row.value.videos.iter().filter_map(|id| known.get(id));
        json!({
            "id": row.id(),
            "title": row.value.title,
            "state": { "name": state.name.code(), "words": words::state(&page, state, now) },
            "on_air": state.name.is_on_air(),
            "publishes": publishes(&row.value, None, &keys),
            "videos": row.value.videos.len(),
            "length": videos().map(|video| video.value.facts.duration).sum::<f64>(),
            "targets": row.value.targets.iter().map(|target| json!({"platform": target.platform.code()})).collect::<Vec<_>>(),
            "next_at": state.next_at.map(|at| page.moment(at)),
            "picture": videos().find(|video| video.value.thumbnail_id.is_some()).map(|video| video.id()),
        })
    });
    let items: Vec<Value> = items.collect();
    let list = json!({
        "q": q, "sort": sort, "filter": filter, "total": streams.total, "prev": prev, "next": next, "items": items,
    });
    page.render("streams", "stream/list.html", json!({ "list": list })).await
}

/// Everything of the form's page but what stands in the form; `chosen` are the videos that it names.
async fn context(page: &Page, library: &Library, view: Option<&StreamView>, chosen: &[Uuid]) -> Result<Value> {
    let cards = library.video_cards(Ask { limit: OFFERED, ..Ask::default() }, VideoFilter::All).await?;
    let mut options: Vec<Value> = Vec::new();
    let offered: HashSet<Uuid> = cards.items.iter().map(|(id, _)| *id).collect();
    let others: Vec<Uuid> = chosen.iter().copied().filter(|id| !offered.contains(id)).collect();
    for (id, row) in library.videos_by_id(others).await? {
        let video = row.value;
        let (duration, ready) = (video.facts.duration, video.verdict.ready);
        options.push(json!({"id": id, "title": video.title, "duration": duration, "ready": ready}));
    }
    for (id, card) in cards.items {
        options.push(json!({"id": id, "title": card.title, "duration": card.duration, "ready": card.ready}));
    }
    let mut form = json!({});
    let (mut stream, mut keys, mut used_by) = (Value::Null, Vec::new(), json!({"schedules": 0, "runs": 0}));
    if let Some(StreamView { row, state }) = view {
        let id = row.id();
        form["version"] = json!(row.version.to_string());
        stream = json!({"id": id, "title": row.value.title, "on_air": state.name.is_on_air()});
        keys = row.value.targets.iter().map(|target| target.key_masked.clone()).collect();
        let one = Place { limit: 1, ..Place::default() };
        let schedules = ScheduleQuery { stream: Some(id), place: one, ..ScheduleQuery::default() };
        let runs = RunQuery { stream: Some(id), limit: 1, ..RunQuery::default() };
        let (schedules, runs) = (library.schedules(schedules).await?.total, library.runs(runs).await?.total);
        used_by = json!({"schedules": schedules, "runs": runs});
    }
    let logo = view.and_then(|view| Some(view.row.value.overlay.as_ref()?.logo.as_ref()?.thumbnail));
    let pictures = library.rows().read(move |rows| gallery(rows, logo)).await?;
    let logos = pictures.into_iter().map(|(id, title)| json!({"id": id, "title": title}));
    let fit = library.playlist_fit(chosen).await?;
    let titles = library.videos_by_id(fit.odd.iter().map(|odd| odd.video).collect()).await?;
    let apart = fit.odd.iter().filter_map(|odd| {
        let title = &titles.get(&odd.video)?.value.title;
        Some(json!({"id": odd.video, "title": title, "differs": show::differs(page, &odd.reasons)}))
    });
    Ok(json!({
        "apart": apart.collect::<Vec<_>>(),
        "logos": logos.collect::<Vec<_>>(),
        "kept_keys": kept_keys(library).await?,
        "prices": prices(page, library),
        "stream": stream,
        "keys": keys,
        "video_options": options,
        "used_by": used_by,
        "form": form,
        "errors": {},
    }))
}

/// Keys to choose from.
async fn kept_keys(library: &Library) -> Result<Vec<Value>> {
    let channels: HashMap<Uuid, String> =
        library.channels().await?.into_iter().map(|row| (row.id(), row.value.title)).collect();
    let kept = library.kept_keys().await?.into_iter().map(|row| {
        let channel = row.value.channel_id.and_then(|id| channels.get(&id));
        let channel = channel.map(|title| format!("{title} · ")).unwrap_or_default();
        json!({"id": row.id(), "title": format!("{channel}{} {}", row.value.title, row.value.key_masked)})
    });
    Ok(kept.collect())
}

/// Says beside each key that was typed that it has to be typed again.
fn ask_for_keys(page: &Page, context: &mut Value, form: &StreamForm) {
    for key in form.typed_keys() {
        context["errors"][key] = json!(page.text(&Message::new("stream-target-key-again")));
    }
}

/// What an overlay costs for each target, in words.
fn prices(page: &Page, library: &Library) -> Value {
    let number = |cores: f64| page.locale().number(cores, 0, 1);
    let limit = number(cores(Capacity::of(library.foundation().config()).cpu));
    let items = Profile::ALL.map(|profile| {
        let (price, (width, height)) = (Price::of(profile), size(profile));
        let words = Message::new("stream-overlay-price")
            .with("size", format!("{width}×{height}"))
            .with("cores", number(cores(price.cpu)))
            .with("memory", price.memory_mib + ENCODER_MIB)
            .with("bitrate", format::bitrate(page.locale(), price.bitrate as f64));
        json!({"profile": profile.code(), "words": page.text(&words)})
    });
    json!({"items": items, "limit": page.text(&Message::new("stream-overlay-limit").with("cores", limit))})
}

#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    video: Vec<String>,
}

async fn new(page: Page, library: Library, chosen: Query<Chosen>) -> Result<HttpResponse> {
    let chosen: Vec<Uuid> = chosen.0.video.iter().filter_map(|id| Uuid::parse_str(id).ok()).collect();
    let mut context = context(&page, &library, None, &chosen).await?;
    // Where there is only one, there is nothing to choose.
    let chosen = match context["video_options"].as_array().map(Vec::as_slice) {
        Some([only]) if chosen.is_empty() => {
            only["id"].as_str().and_then(|id| Uuid::parse_str(id).ok()).into_iter().collect()
        }
        _ => chosen,
    };
    context["form"] = form::empty(&chosen);
    page.render("streams", "stream/form.html", context).await
}

async fn create(page: Page, editor: Editor, form: Form<StreamForm>) -> Result<HttpResponse> {
    let made = match form.value.parse(&[]) {
        Ok(new) => editor.create_stream(new).await.map_err(|refused| form.value.beside_fields(refused)),
        Err(refused) => Err(refused),
    };
    match made {
        Ok(view) => {
            let path = form.back.unwrap_or_else(|| format!("/streams/{}", view.row.id()));
            Ok(page.see_other(&path, "ok", Some(Message::new("stream-saved").with("title", view.row.value.title))))
        }
        Err(refused) => {
            let mut context = context(&page, &editor, None, &form.value.video_ids()).await?;
            ask_for_keys(&page, &mut context, &form.value);
            page.refuse("streams", "stream/form.html", context, &form.typed, refused).await
        }
    }
}

async fn edit(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let view = library.stream(*id).await?;
    let mut context = context(&page, &library, Some(&view), &view.row.value.videos).await?;
    context["form"] = form::filled(&view.row);
    page.render("streams", "stream/form.html", context).await
}

async fn change(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<StreamForm>) -> Result<HttpResponse> {
    let view = editor.stream(*id).await?;
    let made = match form.value.parse(&view.row.value.targets) {
        Ok(new) => {
            let changed = editor.change_stream(*id, form.row_version(), form::change_of(new)).await;
            changed.map_err(|refused| form.value.beside_fields(refused))
        }
        Err(refused) => Err(refused),
    };
    match made {
        Ok(view) => {
            let path = form.back.unwrap_or_else(|| format!("/streams/{id}"));
            Ok(page.see_other(&path, "ok", Some(Message::new("stream-saved").with("title", view.row.value.title))))
        }
        Err(refused) => {
            let view = editor.stream(*id).await?;
            let mut context = context(&page, &editor, Some(&view), &form.value.video_ids()).await?;
            ask_for_keys(&page, &mut context, &form.value);
            page.refuse("streams", "stream/form.html", context, &form.typed, refused).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn delete(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Nothing>) -> Result<HttpResponse> {
    let title = editor.stream(*id).await?.row.value.title;
    editor.delete_stream(*id, None).await?;
    let path = form.back.unwrap_or_else(|| "/streams".to_owned());
    Ok(page.see_other(&path, "ok", Some(Message::new("stream-deleted").with("title", title))))
}

async fn stop(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Nothing>) -> Result<HttpResponse> {
    let title = editor.stream(*id).await?.row.value.title;
    editor.stop_stream(*id).await?;
    let path = form.back.unwrap_or_else(|| format!("/streams/{id}"));
    Ok(page.see_other(&path, "ok", Some(Message::new("stream-stopping").with("title", title))))
}
