//! Broadcasts of connected channels for programs: where they are found, how far they are, what stands in the way.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::streams::Nothing;
use super::{List, Moment, RowFields, shown};
use crate::error::Result;
use crate::library::{Editor, Library};
use crate::store::rows::Row;
use crate::text::Locale;
use crate::web::extract::MaybeJson;
use crate::web::{Access, Page, Query, Route};
use crate::youtube::event::Event;

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/broadcasts", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/api/v1/broadcasts/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "POST", path: "/api/v1/broadcasts/{id}/retry", access: Access::Write, handler: || web::to(retry) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, show, retry))]
pub struct Document;

/// Broadcasts that a list gives at most.
const MOST: usize = 500;

/// A broadcast on a channel.
#[derive(Serialize, ToSchema)]
#[schema(as = PlatformBroadcast)]
struct EventBody {
    #[serde(flatten)]
    row: RowFields,
    stream_id: Uuid,
    target_id: Uuid,
    channel_id: Uuid,
    schedule_id: Option<Uuid>,
    /// Which occurrence, by the local time that its rule names.
    occurrence: Option<String>,
    /// Which one of the occurrence, from 1.
    part: u32,
    title: String,
    starts_at: Moment,
    /// `planned`, `preparing`, `ready`, `starting`, `live`, `ending`, `complete`, `removed` or `gone`.
    stage: &'static str,
    /// What YouTube calls it.
    broadcast_id: Option<String>,
    /// Where viewers find it.
    link: Option<String>,
    live_at: Option<Moment>,
    ended_at: Option<Moment>,
    /// What stands in the way, and what to do.
    trouble: Option<String>,
    /// Nothing is tried before then.
    next_try: Option<Moment>,
}

impl EventBody {
    fn of(row: &Row<Event>, locale: Locale) -> EventBody {
        let event = &row.value;
        EventBody {
            row: RowFields::from(row),
            stream_id: event.stream_id,
            target_id: event.target_id,
            channel_id: event.channel_id,
            schedule_id: event.schedule.map(|(id, _)| id),
            occurrence: event.schedule.map(|(_, of)| of.to_string()),
            part: event.part,
            title: event.wanted.texts.title.clone(),
            starts_at: event.wanted.settings.starts_at.into(),
            stage: event.stage().code(),
            broadcast_id: event.broadcast.clone(),
            link: event.link(),
            live_at: event.live_at.map(Moment::from),
            ended_at: event.over.map(|(at, _)| Moment::from(at)),
            trouble: event.trouble.as_ref().map(|trouble| trouble.in_locale(locale)),
            next_try: event.not_before.or(event.aside_until).map(Moment::from),
        }
    }
}

/// Which broadcasts.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of this stream.
    stream_id: Option<Uuid>,
}

/// List broadcasts
///
/// The newest 500, newest first.
#[utoipa::path(get, path = "/api/v1/broadcasts", tag = "broadcasts", params(Filter), responses(
    (status = 200, body = List<EventBody>),
))]
async fn list(page: Page, library: Library, filter: Query<Filter>) -> Result<HttpResponse> {
    let found = library.broadcasts(filter.0.stream_id, MOST).await?;
    let items: Vec<EventBody> = found.iter().map(|row| EventBody::of(row, page.locale())).collect();
    Ok(shown(&List { total: items.len() as u64, items, next: None }, None))
}

/// One broadcast
#[utoipa::path(get, path = "/api/v1/broadcasts/{id}", tag = "broadcasts", params(("id" = Uuid, Path)), responses(
    (status = 200, body = EventBody), (status = 404),
))]
async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.broadcast(*id).await?;
    Ok(shown(&EventBody::of(&row, page.locale()), Some(row.version)))
}

/// Try again now what waits
#[utoipa::path(post, path = "/api/v1/broadcasts/{id}/retry", tag = "broadcasts", params(("id" = Uuid, Path)), responses(
    (status = 200, body = EventBody), (status = 404),
))]
async fn retry(page: Page, editor: Editor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    page.server().youtube.try_again(&editor, *id).await?;
    let row = editor.broadcast(*id).await?;
    Ok(shown(&EventBody::of(&row, page.locale()), Some(row.version)))
}
