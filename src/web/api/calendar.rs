//! The calendar for programs: what lies between two instants, and single occurrences.

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::occurrence::OccurrenceBody;
use super::schedules::{ScheduleBody, starts_at};
use super::{Moment, bad_query, given, no_content, shown};
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::RunOutcome;
use crate::schedule::{CalendarEntry, OccurrenceChange, Planned, Reach, Shift};
use crate::text::Message;
use crate::web::words::in_zone;
use crate::web::{Access, IfMatch, Json, Page, Query, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/calendar", access: Access::Read, handler: || web::to(calendar) },
    Route {
        method: "GET",
        path: "/api/v1/schedules/{id}/occurrences/{of}",
        access: Access::Read,
        handler: || web::to(show),
    },
    Route {
        method: "PATCH",
        path: "/api/v1/schedules/{id}/occurrences/{of}",
        access: Access::Write,
        handler: || web::to(change),
    },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(calendar, show, change))]
pub struct Document;

/// From when to when.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Stretch {
    /// RFC 3339, with an offset.
    #[param(example = "2026-03-01T00:00:00Z")]
    from: String,
    /// At most 100 days later.
    #[param(example = "2026-04-01T00:00:00Z")]
    to: String,
}

/// What lies in a stretch of time.
#[derive(Serialize, ToSchema)]
#[schema(as = Calendar)]
struct CalendarBody {
    /// By time.
    items: Vec<EntryBody>,
    /// There is more than is shown: ask for less time.
    more: bool,
}

/// A stretch of time on air, or one that was missed or cancelled.
#[derive(Serialize, ToSchema)]
#[schema(as = CalendarEntry)]
struct EntryBody {
    /// `planned`, `paused` (its schedule), `cancelled`, `on_air`, `completed`, `stopped`, `failed` or `missed`.
    state: &'static str,
    stream_id: Uuid,
    title: String,
    platforms: Vec<&'static str>,
    at: Moment,
    /// Null where nobody knows.
    ends_at: Option<Moment>,
    /// Null where somebody started it.
    schedule_id: Option<Uuid>,
    /// Of what was on air, is, or was missed.
    run_id: Option<Uuid>,
    /// Which occurrence, of what is still to come: the local time that the rule names.
    of: Option<String>,
    /// The local time that it is planned for.
    local: Option<String>,
    /// The zone of these.
    time_zone: Option<String>,
    /// `gap` or `fold`, as in occurrences.
    shift: Option<&'static str>,
    /// It was changed by hand.
    changed: bool,
    /// Why it will not go on air as planned, or did not.
    reason: Option<String>,
}

/// The word for what an entry is.
pub(in crate::web) fn state(what: &Planned) -> &'static str {
    match what {
        Planned::Run { outcome, .. } => outcome.map_or("on_air", RunOutcome::code),
        Planned::Occurrence { cancelled: true, .. } => "cancelled",
        Planned::Occurrence { paused: true, .. } => "paused",
        Planned::Occurrence { .. } => "planned",
    }
}

impl EntryBody {
    fn new(entry: CalendarEntry, page: &Page) -> EntryBody {
        let mut body = EntryBody {
            state: state(&entry.what),
            stream_id: entry.stream_id,
            title: entry.title,
            platforms: entry.platforms.into_iter().map(|platform| platform.code()).collect(),
            at: entry.start.into(),
            ends_at: entry.stop.map(Moment::from),
            schedule_id: entry.schedule_id,
            run_id: None,
            of: None,
            local: None,
            time_zone: None,
            shift: None,
            changed: false,
            reason: None,
        };
        match entry.what {
            Planned::Run { id, reason, .. } => {
                body.run_id = Some(id);
                body.reason = reason.map(|reason| page.text(&reason));
            }
            Planned::Occurrence { of, civil, time_zone, shift, changed, trouble, .. } => {
                body.of = Some(of.to_string());
                body.local = Some(civil.to_string());
                body.time_zone = Some(time_zone);
                body.shift = shift.map(Shift::code);
                body.changed = changed;
                body.reason = trouble.map(|trouble| page.text(&trouble));
            }
        }
        body
    }
}

/// What was on air, is, and is planned between two instants
///
/// What is planned carries the reason if it will not go on air: two on one stream key, or a box that is full then.
#[utoipa::path(get, path = "/api/v1/calendar", tag = "schedules", params(Stretch), responses(
    (status = 200, body = CalendarBody), (status = 400, description = "Turned round, or more than 100 days"),
))]
async fn calendar(page: Page, library: Library, asked: Query<Stretch>) -> Result<HttpResponse> {
    let read = |name: &str, text: &str| -> Result<Timestamp> {
        text.parse().map_err(|_| bad_query(format!("{name}: a time such as 2026-03-01T00:00:00Z is expected")))
    };
    let found = library.calendar(read("from", &asked.0.from)?, read("to", &asked.0.to)?).await?;
    let items = found.entries.into_iter().map(|entry| EntryBody::new(entry, &page)).collect();
    Ok(shown(&CalendarBody { items, more: found.more }, None))
}

/// What a path names, or nothing.
pub(in crate::web) fn named(text: &str) -> Result<DateTime> {
    text.parse().ok().filter(|_| text.contains(':')).ok_or(Error::NotFound)
}

/// One occurrence of a schedule
#[utoipa::path(get, path = "/api/v1/schedules/{id}/occurrences/{of}", tag = "schedules",
    params(("id" = Uuid, Path), ("of" = String, Path, description = "The local time that the rule names")),
    responses(
    (status = 200, body = OccurrenceBody), (status = 404, description = "The rule does not name it, or it is left out"),
))]
async fn show(library: Library, path: web::Path<(Uuid, String)>) -> Result<HttpResponse> {
    let (id, of) = path.into_inner();
    let view = library.occurrence(id, named(&of)?).await?;
    let row = &view.schedule.row;
    let occurrence = view.occurrence.ok_or(Error::NotFound)?;
    Ok(shown(&OccurrenceBody::new(&occurrence, &row.value.time_zone), Some(row.version)))
}

/// What is to be changed of an occurrence; absent: unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OccurrenceChange)]
struct OccurrencePatch {
    /// `this`, `following` (it and those after it: the schedule is split in two) or `all` that have not begun.
    #[serde(default)]
    #[schema(default = "this")]
    reach: Option<String>,
    /// Local time, without an offset; null: as the rule says.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    starts_at: Option<Option<String>>,
    /// IANA zone of that time; the schedule's where absent.
    time_zone: Option<String>,
    /// Seconds on air; null: as the schedule says.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    duration: Option<Option<u64>>,
    /// Leaves it out, or puts it back.
    cancelled: Option<bool>,
}

/// Move, lengthen, cancel or put back an occurrence, it and those after it, or all
///
/// What has begun stays as it is, and none is on air twice by being moved. Answers with the schedule that it belongs to
/// now: after a split that is the new one.
#[utoipa::path(patch, path = "/api/v1/schedules/{id}/occurrences/{of}", tag = "schedules",
    params(("id" = Uuid, Path), ("of" = String, Path, description = "The local time that the rule names")),
    request_body = OccurrencePatch, responses(
    (status = 200, body = ScheduleBody),
    (status = 204, description = "All were cancelled: the schedule is gone"),
    (status = 404, description = "The rule does not name it"),
    (status = 409, description = "It has begun or is over, or another one is on air then on the same stream key"),
    (status = 412, description = "`If-Match` names an older version of the schedule"), (status = 422),
))]
async fn change(
    editor: Editor,
    path: web::Path<(Uuid, String)>,
    expected: IfMatch,
    body: Json<OccurrencePatch>,
) -> Result<HttpResponse> {
    let (id, of) = path.into_inner();
    let of = named(&of)?;
    let view = editor.occurrence(id, of).await?;
    let body = body.0;
    let reach = body.reach.as_deref().map_or(Some(Reach::This), Reach::parse);
    let reach = reach.ok_or_else(|| Error::field("reach", Message::new("choice-unknown")))?;
    let own = &view.schedule.row.value.time_zone;
    let zone = body.time_zone.as_deref().unwrap_or(own);
    let starts_at = match body.starts_at {
        Some(Some(text)) => Some(Some(in_zone(starts_at(&text)?, zone, own)?)),
        Some(None) => Some(None),
        None => None,
    };
    let change = OccurrenceChange { starts_at, duration: body.duration, cancelled: body.cancelled };
    match editor.change_occurrence((id, of), expected.0, reach, change).await? {
        Some(view) => Ok(shown(&ScheduleBody::from(&view), Some(view.row.version))),
        None => Ok(no_content()),
    }
}
