//! Schedules: the list, the form with its preview, pause and run now; the calendar and single occurrences.

mod calendar;
mod files;
mod form;
mod occurrence;

use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::history::stream_options;
use super::pager::{neighbours, place};
use super::youtube::broadcast_cards;
use super::{Access, Form, Page, Query, Route, words};
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::RunOutcome;
use crate::schedule::rule::Repeat;
use crate::schedule::{ScheduleFilter, ScheduleInput, ScheduleQuery, ScheduleSort, ScheduleView};
use crate::text::Message;
use crate::youtube::{Of, publishes};
use form::ScheduleForm;
pub(in crate::web) use form::local;

/// What concerns files.
pub const FILES: &[Route] = files::ROUTES;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/schedules", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/schedules/new", access: Access::Read, handler: || web::to(new) },
    Route { method: "GET", path: "/schedules/preview", access: Access::Read, handler: || web::to(preview) },
    Route { method: "GET", path: "/schedules/calendar", access: Access::Read, handler: || web::to(calendar::show) },
    Route {
        method: "GET",
        path: "/schedules/calendar/entries",
        access: Access::Read,
        handler: || web::to(calendar::entries),
    },
    Route { method: "POST", path: "/schedules", access: Access::Write, handler: || web::to(create) },
    Route { method: "GET", path: "/schedules/{id}/edit", access: Access::Read, handler: || web::to(edit) },
    Route { method: "POST", path: "/schedules/{id}", access: Access::Write, handler: || web::to(change) },
    Route { method: "POST", path: "/schedules/{id}/pause", access: Access::Write, handler: || web::to(pause) },
    Route { method: "POST", path: "/schedules/{id}/resume", access: Access::Write, handler: || web::to(resume) },
    Route { method: "POST", path: "/schedules/{id}/run-now", access: Access::Write, handler: || web::to(run_now) },
    Route { method: "POST", path: "/schedules/{id}/delete", access: Access::Write, handler: || web::to(delete) },
    Route {
        method: "GET",
        path: "/schedules/{id}/occurrences/{of}",
        access: Access::Read,
        handler: || web::to(occurrence::show),
    },
    Route {
        method: "POST",
        path: "/schedules/{id}/occurrences/{of}",
        access: Access::Write,
        handler: || web::to(occurrence::change),
    },
];

/// Occurrences of the preview.
const SHOWN: usize = 5;

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
        "title" => (ScheduleSort::Title, "title"),
        "newest" => (ScheduleSort::Created, "newest"),
        _ => (ScheduleSort::Next, "next"),
    };
    let (which, filter) = match filter.as_str() {
        "coming" => (ScheduleFilter::Coming, "coming"),
        "paused" => (ScheduleFilter::Paused, "paused"),
        "past" => (ScheduleFilter::Past, "past"),
        _ => (ScheduleFilter::All, "all"),
    };
    let place = place(cursor.as_deref(), before.as_deref(), order == ScheduleSort::Created);
    let search = q.trim().to_owned();
    let schedules =
        library.schedules(ScheduleQuery { search, stream: None, sort: order, filter: which, place }).await?;
    let (prev, next) = neighbours("/schedules", &[("q", &q), ("sort", sort), ("filter", filter)], &schedules);
    let now = library.foundation().clock().now();
    let items = schedules.items.iter().map(|view| {
        let schedule = &view.row.value;
        let last = view
            .last
            .map(|(run, outcome)| json!({"run_id": run, "outcome": outcome.map_or("running", RunOutcome::code)}));
        json!({
            "id": view.row.id(),
            "stream": { "id": schedule.stream_id, "title": view.stream_title },
            "words": words::schedule(&page, schedule),
            "time_zone": schedule.time_zone,
            "next": view.next.map(|next| page.moment(next.start)),
            "within": view.next.map(|next| words::within(&page, next.start, now)),
            "paused": schedule.paused,
            "last": last,
            "waiting": view.waiting.as_ref().map(|reason| page.text(reason)),
        })
    });
    let items: Vec<Value> = items.collect();
    let list = json!({
        "q": q, "sort": sort, "filter": filter, "total": schedules.total, "prev": prev, "next": next, "items": items,
    });
    page.render("schedule", "schedule/list.html", json!({ "list": list })).await
}

/// The next occurrences as the template tells them.
async fn previewed(page: &Page, library: &Library, input: Result<ScheduleInput>, own: Option<Uuid>) -> Result<Value> {
    let found = match input {
        Ok(input) => library.preview(input, own, SHOWN).await,
        Err(refused) => Err(refused),
    };
    let preview = match found {
        Ok(preview) => preview,
        Err(Error::Invalid(fields)) => {
            let problem = fields.first().map(|complaint| page.text(&complaint.message));
            return Ok(json!({ "problem": problem, "items": [], "more": false }));
        }
        Err(other) => return Err(other),
    };
    let items = preview.items.into_iter().map(|item| {
        json!({
            "at": page.moment(item.occurrence.start),
            "end": item.occurrence.stop.map(|at| page.moment(at)),
            "note": item.occurrence.shift.map(|shift| words::shift(page, shift)),
            "conflict": item.conflict.map(|conflict| page.text(&conflict)),
        })
    });
    let items: Vec<Value> = items.collect();
    Ok(json!({ "problem": null, "items": items, "more": preview.more }))
}

/// A form as far as it is typed: a preview needs no stream, and nothing is wrong before a time was chosen.
async fn preview_of(page: &Page, library: &Library, form: &ScheduleForm, view: Option<&ScheduleView>) -> Result<Value> {
    if form.starts_at.trim().is_empty() {
        let problem = page.text(&Message::new("schedule-preview-first"));
        return Ok(json!({ "problem": problem, "items": [], "more": false }));
    }
    let input = form.parse_for_preview(view.map(|view| &view.row.value));
    previewed(page, library, input, view.map(|view| view.row.id())).await
}

async fn preview(page: Page, library: Library, form: Query<ScheduleForm>) -> Result<HttpResponse> {
    let view = match form.0.id {
        Some(id) => Some(library.schedule(id).await?),
        None => None,
    };
    let preview = preview_of(&page, &library, &form.0, view.as_ref()).await?;
    page.render("schedule", "schedule/preview.html", json!({ "preview": preview })).await
}

/// IANA names to choose from: those with a place, the reader's own first.
pub(in crate::web) fn zones(page: &Page) -> Vec<String> {
    let mut zones = crate::clock::zone_names();
    zones.retain(|name| name.contains('/') && !name.starts_with("Etc/") && name != page.zone_name());
    zones.sort_unstable();
    zones.insert(0, page.zone_name().to_owned());
    zones
}

/// Everything of the form's page but what stands in the form.
async fn context(page: &Page, library: &Library, view: Option<&ScheduleView>, preview: Value) -> Result<Value> {
    let schedule = view.map(|view| {
        json!({
            "id": view.row.id(),
            "title": view.stream_title,
            "paused": view.row.value.paused,
            "next": view.next.map(|next| page.moment(next.start)),
        })
    });
    let schedule_row = view.map(|view| &view.row.value);
    let rule = schedule_row
        .and_then(|schedule| schedule.rule.clone().filter(|rule| Repeat::of(rule, schedule.starts_at).is_none()));
    let exceptions: Vec<Value> = schedule_row
        .map(|schedule| schedule.exceptions.iter().map(|one| occurrence::exception(page, schedule, one)).collect())
        .unwrap_or_default();
    let public = match view {
        Some(view) => {
            let stream = library.stream(view.row.value.stream_id).await?;
            publishes(&stream.row.value, Some(&view.row.value), &library.channel_keys().await?)
        }
        None => false,
    };
    let broadcasts = match view {
        Some(view) => broadcast_cards(page, library, Of::Schedule(view.row.id(), None), 3).await?,
        None => Vec::new(),
    };
    Ok(json!({
        "schedule": schedule,
        "broadcasts": broadcasts,
        "publishes": public,
        "rule": rule.unwrap_or_default(),
        "exceptions": exceptions,
        "stream_options": stream_options(library).await?,
        "zones": zones(page),
        "preview": preview,
        "form": view.map_or_else(|| json!({}), |view| json!({"version": view.row.version.to_string()})),
        "errors": {},
    }))
}

#[derive(Deserialize)]
struct Chosen {
    #[serde(default)]
    stream: String,
    /// A local time of the reader's, pointed at in the calendar.
    #[serde(default)]
    at: String,
}

async fn new(page: Page, library: Library, chosen: Query<Chosen>) -> Result<HttpResponse> {
    let stream = Uuid::parse_str(&chosen.0.stream).ok();
    let mut form = ScheduleForm::empty(stream, page.zone_name(), chosen.0.at.parse().ok());
    let preview = preview_of(&page, &library, &form, None).await?;
    let mut context = context(&page, &library, None, preview).await?;
    // Where there is only one, there is nothing to choose.
    if let (None, Some([only])) = (stream, context["stream_options"].as_array().map(Vec::as_slice)) {
        form.stream_id = only["id"].as_str().unwrap_or_default().to_owned();
    }
    context["form"] = json!(form);
    page.render("schedule", "schedule/form.html", context).await
}

/// The form as it is typed, with what would come: what the button for it does without script.
async fn look(
    page: Page,
    library: &Library,
    form: Form<ScheduleForm>,
    view: Option<&ScheduleView>,
) -> Result<HttpResponse> {
    let preview = preview_of(&page, library, &form.value, view).await?;
    let mut context = context(&page, library, view, preview).await?;
    context["form"] = json!(form.value);
    context["form"]["version"] = json!(form.row_version());
    page.render("schedule", "schedule/form.html", context).await
}

async fn create(page: Page, editor: Editor, form: Form<ScheduleForm>) -> Result<HttpResponse> {
    if form.value.act == form::PREVIEW {
        return look(page, &editor, form, None).await;
    }
    let made = match form.value.parse(None) {
        Ok(input) => editor.create_schedule(input).await.map_err(|refused| form.value.beside_fields(refused)),
        Err(refused) => Err(refused),
    };
    match made {
        Ok(view) => {
            let path = form.back.as_deref().unwrap_or("/schedules");
            Ok(page.see_other(path, "ok", Some(Message::new("schedule-saved").with("title", view.stream_title))))
        }
        Err(refused) => {
            let preview = preview_of(&page, &editor, &form.value, None).await?;
            let context = context(&page, &editor, None, preview).await?;
            page.refuse("schedule", "schedule/form.html", context, &form.typed, refused).await
        }
    }
}

async fn edit(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let view = library.schedule(*id).await?;
    let input = Ok(ScheduleInput::from(&view.row.value));
    let preview = previewed(&page, &library, input, Some(*id)).await?;
    let mut context = context(&page, &library, Some(&view), preview).await?;
    context["form"] = json!(ScheduleForm::filled(&view.row.value));
    context["form"]["version"] = json!(view.row.version);
    page.render("schedule", "schedule/form.html", context).await
}

async fn change(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<ScheduleForm>) -> Result<HttpResponse> {
    let view = editor.schedule(*id).await?;
    if form.value.act == form::PREVIEW {
        return look(page, &editor, form, Some(&view)).await;
    }
    let made = match form.value.parse(Some(&view.row.value)) {
        Ok(input) => {
            let changed = editor.change_schedule(*id, form.row_version(), form::change_of(input)).await;
            changed.map_err(|refused| form.value.beside_fields(refused))
        }
        Err(refused) => Err(refused),
    };
    match made {
        Ok(view) => {
            let path = form.back.as_deref().unwrap_or("/schedules");
            Ok(page.see_other(path, "ok", Some(Message::new("schedule-saved").with("title", view.stream_title))))
        }
        Err(refused) => {
            let view = editor.schedule(*id).await?;
            let preview = preview_of(&page, &editor, &form.value, Some(&view)).await?;
            let context = context(&page, &editor, Some(&view), preview).await?;
            page.refuse("schedule", "schedule/form.html", context, &form.typed, refused).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn pause(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Nothing>) -> Result<HttpResponse> {
    let view = editor.pause_schedule(*id).await?;
    let path = form.back.as_deref().unwrap_or("/schedules");
    Ok(page.see_other(path, "ok", Some(Message::new("schedule-now-paused").with("title", view.stream_title))))
}

async fn resume(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Nothing>) -> Result<HttpResponse> {
    let view = match editor.resume_schedule(*id).await {
        Ok(view) => view,
        Err(refused) => return page.back_with(form.back.as_deref(), refused),
    };
    let path = form.back.as_deref().unwrap_or("/schedules");
    Ok(page.see_other(path, "ok", Some(Message::new("schedule-now-resumed").with("title", view.stream_title))))
}

async fn run_now(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Nothing>) -> Result<HttpResponse> {
    let view = editor.schedule(*id).await?;
    if let Err(refused) = editor.run_now(*id).await {
        return page.back_with(form.back.as_deref(), refused);
    }
    let path = form.back.unwrap_or_else(|| format!("/streams/{}", view.row.value.stream_id));
    Ok(page.see_other(&path, "ok", Some(Message::new("stream-started").with("title", view.stream_title))))
}

async fn delete(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Nothing>) -> Result<HttpResponse> {
    let view = editor.schedule(*id).await?;
    editor.delete_schedule(*id, None).await?;
    let path = form.back.as_deref().unwrap_or("/schedules");
    Ok(page.see_other(path, "ok", Some(Message::new("schedule-deleted").with("title", view.stream_title))))
}
