//! Streams for programs: what to put on air, start, stop and another end, and how it goes.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::broadcast::BroadcastBody;
use super::overlay::OverlayBody;
use super::playlist::{PlaylistBody, whole};
use super::runs::RunBody;
use super::stream_state::StateBody;
use super::{List, ListQuery, RowFields, created, given, no_content, place, shown};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::{
    End, Fit, NewStream, Overlay, Platform, PlayOrder, RunQuery, StateName, StreamChange, StreamFilter, StreamQuery,
    StreamSort, StreamView, TargetInput,
};
use crate::text::{Locale, Message};
use crate::web::extract::MaybeJson;
use crate::web::live_events::answer;
use crate::web::stream::order_code;
use crate::web::{Access, IfMatch, Json, Page, Query, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/streams", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/api/v1/streams", access: Access::Write, handler: || web::to(create) },
    Route { method: "GET", path: "/api/v1/streams/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "PATCH", path: "/api/v1/streams/{id}", access: Access::Write, handler: || web::to(change) },
    Route { method: "DELETE", path: "/api/v1/streams/{id}", access: Access::Write, handler: || web::to(delete) },
    Route { method: "POST", path: "/api/v1/streams/{id}/start", access: Access::Write, handler: || web::to(start) },
    Route { method: "POST", path: "/api/v1/streams/{id}/end", access: Access::Write, handler: || web::to(end) },
    Route { method: "POST", path: "/api/v1/streams/{id}/stop", access: Access::Write, handler: || web::to(stop) },
    Route { method: "GET", path: "/api/v1/streams/{id}/runs", access: Access::Read, handler: || web::to(runs) },
    Route { method: "GET", path: "/api/v1/streams/{id}/log", access: Access::Read, handler: || web::to(log) },
    Route { method: "GET", path: "/api/v1/streams/{id}/events", access: Access::Read, handler: || web::to(events) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, change, delete, start, end, stop, runs, log, events))]
pub struct Document;

/// What to put on air.
#[derive(Serialize, ToSchema)]
#[schema(as = Stream)]
pub(super) struct StreamBody {
    #[serde(flatten)]
    row: RowFields,
    title: String,
    /// Playlist.
    videos: Vec<Uuid>,
    /// `listed` or `shuffled`.
    order: &'static str,
    /// Begin again when the playlist is through.
    r#loop: bool,
    /// What is laid over the picture.
    overlay: Option<OverlayBody>,
    targets: Vec<TargetBody>,
    /// What YouTube is told, where a target is a key of a connected channel.
    broadcast: BroadcastBody,
    /// Null in lists.
    playlist: Option<PlaylistBody>,
    state: StateBody,
}

/// A place that a stream goes to.
#[derive(Serialize, ToSchema)]
#[schema(as = Target)]
struct TargetBody {
    id: Uuid,
    /// `youtube`, `facebook`, `twitch`, `tiktok`, `instagram` or `custom`.
    platform: &'static str,
    /// Null where it is the platform's own address.
    url: Option<String>,
    /// The end of a long key; the key itself is never shown.
    key_masked: Option<String>,
    /// The kept key that it is; see `/stream-keys`.
    key_id: Option<Uuid>,
}

impl StreamBody {
    /// `fit` is told of one stream at a time: it takes a look at every video.
    pub(super) fn of(view: &StreamView, fit: Option<&Fit>, locale: Locale) -> StreamBody {
        let stream = &view.row.value;
        let targets = stream.targets.iter().map(|target| TargetBody {
            id: target.id,
            platform: target.platform.code(),
            url: target.url.as_ref().map(ToString::to_string),
            key_masked: target.key_masked.clone(),
            key_id: target.key_id,
        });
        StreamBody {
            row: RowFields::from(&view.row),
            title: stream.title.clone(),
            videos: stream.videos.clone(),
            order: order_code(stream.order),
            r#loop: stream.repeat,
            overlay: stream.overlay.as_ref().map(OverlayBody::from),
            targets: targets.collect(),
            broadcast: BroadcastBody::from(&stream.broadcast),
            playlist: fit.map(|fit| PlaylistBody::of(fit, locale)),
            state: StateBody::of(&view.state, locale),
        }
    }
}

async fn answer_with(library: &Library, view: &StreamView, locale: Locale) -> Result<HttpResponse> {
    Ok(shown(&whole(library, view, locale).await?, Some(view.row.version)))
}

/// A target to be set.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewTarget)]
struct TargetFields {
    /// Of a target that the stream has already, so that its key is kept; the one in the same place where absent.
    id: Option<Uuid>,
    #[schema(value_type = String)]
    platform: Platform,
    /// `rtmp://`, `rtmps://` or `srt://`; absent: the platform's own address. Needed for custom and tiktok.
    url: Option<String>,
    /// The stream key; never shown again. Absent or empty: the one that is there stays, if platform and address do.
    key: Option<String>,
    /// One of `/stream-keys` instead of address and key.
    key_id: Option<Uuid>,
}

impl From<TargetFields> for TargetInput {
    fn from(typed: TargetFields) -> TargetInput {
        TargetInput { id: typed.id, platform: typed.platform, url: typed.url, key: typed.key, key_id: typed.key_id }
    }
}

/// A stream to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewStream)]
struct StreamFields {
    /// 1 to 200 characters.
    title: String,
    /// 1 to 500 videos of the library, each as often as it is to be played.
    videos: Vec<Uuid>,
    /// `listed` (default) or `shuffled`.
    #[serde(default)]
    #[schema(value_type = String)]
    order: PlayOrder,
    /// Begin again when the playlist is through; true where absent.
    #[serde(default = "yes")]
    r#loop: bool,
    /// Laid over the picture; see `/streams/overlay-prices` for what it costs.
    overlay: Option<OverlayBody>,
    /// 1 to 4.
    targets: Vec<TargetFields>,
    /// What YouTube is told of its broadcasts.
    #[serde(default)]
    broadcast: BroadcastBody,
}

fn yes() -> bool {
    true
}

/// What is to be changed; absent: unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = StreamChange)]
struct StreamPatch {
    title: Option<String>,
    videos: Option<Vec<Uuid>>,
    #[schema(value_type = Option<String>)]
    order: Option<PlayOrder>,
    r#loop: Option<bool>,
    /// Null takes it away.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<OverlayBody>)]
    overlay: Option<Option<OverlayBody>>,
    targets: Option<Vec<TargetFields>>,
    /// As a whole.
    broadcast: Option<BroadcastBody>,
}

/// When a stream that is started now ends; at most one of the two.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Start)]
struct StartFields {
    /// Seconds from now.
    stop_after: Option<u64>,
    /// Time.
    #[schema(value_type = Option<String>, format = DateTime)]
    stop_at: Option<String>,
}

impl StartFields {
    fn end(&self) -> Result<End> {
        match (&self.stop_after, &self.stop_at) {
            (None, None) => Ok(End::Open),
            (Some(seconds), None) => Ok(End::After(*seconds)),
            (None, Some(at)) => {
                let at = at.parse().map_err(|_| Error::field("stop_at", Message::new("api-time-expected")))?;
                Ok(End::At(at))
            }
            (Some(_), Some(_)) => Err(Error::field("stop_at", Message::new("schedule-two-ends"))),
        }
    }
}

/// Which streams.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those in this state.
    #[param(value_type = Option<String>)]
    state: Option<StateName>,
    /// Only those with (or without) an encoder wanted or running.
    on_air: Option<bool>,
}

/// List streams
///
/// Orders: `created_at`, `title`, `next_at`.
#[utoipa::path(get, path = "/api/v1/streams", tag = "streams", params(ListQuery, Filter), responses(
    (status = 200, body = List<StreamBody>),
))]
async fn list(page: Page, library: Library, asked: ListQuery, filter: Query<Filter>) -> Result<HttpResponse> {
    let (order, turned) = asked.order(&["created_at", "title", "next_at"])?;
    let sort = match order {
        "title" => StreamSort::Title,
        "next_at" => StreamSort::Next,
        _ => StreamSort::Created,
    };
    let filter = match filter.0 {
        Filter { state: Some(name), .. } => StreamFilter::Is(name),
        Filter { on_air: Some(true), .. } => StreamFilter::OnAir,
        Filter { on_air: Some(false), .. } => StreamFilter::OffAir,
        _ => StreamFilter::All,
    };
    let place = place(&asked, turned)?;
    let streams = library.streams(StreamQuery { search: asked.q, sort, filter, place }).await?;
    Ok(shown(&List::of_paged(streams, |view| StreamBody::of(&view, None, page.locale())), None))
}

/// Make a stream
#[utoipa::path(post, path = "/api/v1/streams", tag = "streams", request_body = StreamFields, responses(
    (status = 201, body = StreamBody, headers(("Location", description = "Address of the stream"))),
    (status = 422, description = "A field makes no sense; a target's fields are `targets.<n>.url` and so on"),
))]
async fn create(page: Page, editor: Editor, body: Json<StreamFields>) -> Result<HttpResponse> {
    let StreamFields { title, videos, order, r#loop, overlay, targets, broadcast } = body.0;
    let targets = targets.into_iter().map(TargetInput::from).collect();
    let overlay = overlay.map(Overlay::from);
    let (repeat, broadcast) = (r#loop, broadcast.into());
    let view = editor.create_stream(NewStream { title, videos, order, repeat, overlay, targets, broadcast }).await?;
    let location = format!("/api/v1/streams/{}", view.row.id());
    Ok(created(&location, &whole(&editor, &view, page.locale()).await?, Some(view.row.version)))
}

/// One stream
#[utoipa::path(get, path = "/api/v1/streams/{id}", tag = "streams", params(("id" = Uuid, Path)), responses(
    (status = 200, body = StreamBody), (status = 404),
))]
async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    answer_with(&library, &library.stream(*id).await?, page.locale()).await
}

/// Change a stream
///
/// What is on air goes on as it began.
#[utoipa::path(patch, path = "/api/v1/streams/{id}", tag = "streams", params(("id" = Uuid, Path)),
    request_body = StreamPatch, responses(
    (status = 200, body = StreamBody), (status = 404), (status = 412, description = "`If-Match` names an older version"),
    (status = 422),
))]
async fn change(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    expected: IfMatch,
    body: Json<StreamPatch>,
) -> Result<HttpResponse> {
    let StreamPatch { title, videos, order, r#loop, overlay, targets, broadcast } = body.0;
    let targets = targets.map(|targets| targets.into_iter().map(TargetInput::from).collect());
    let overlay = overlay.map(|overlay| overlay.map(Overlay::from));
    let (repeat, broadcast) = (r#loop, broadcast.map(Into::into));
    let change = StreamChange { title, videos, order, repeat, overlay, targets, broadcast };
    let view = editor.change_stream(*id, expected.0, change).await?;
    answer_with(&editor, &view, page.locale()).await
}

/// Delete a stream with its schedules
///
/// Its history stays.
#[utoipa::path(delete, path = "/api/v1/streams/{id}", tag = "streams", params(("id" = Uuid, Path)), responses(
    (status = 204), (status = 404), (status = 409, description = "It is on air: stop it first"), (status = 412),
))]
async fn delete(editor: Editor, id: web::Path<Uuid>, expected: IfMatch) -> Result<HttpResponse> {
    editor.delete_stream(*id, expected.0).await?;
    Ok(no_content())
}

/// Put a stream on air now
///
/// Without a body it goes on until it is stopped. The answer comes before the first byte is sent: see `state`.
#[utoipa::path(post, path = "/api/v1/streams/{id}/start", tag = "streams", params(("id" = Uuid, Path)),
    request_body = Option<StartFields>, responses(
    (status = 202, body = StreamBody), (status = 404),
    (status = 409, description = "On air already, or the box cannot carry it"),
    (status = 422, description = "The end has passed"),
))]
async fn start(page: Page, editor: Editor, id: web::Path<Uuid>, body: MaybeJson<StartFields>) -> Result<HttpResponse> {
    // A stream that is not there is that before anything is said about the body.
    editor.stream(*id).await?;
    editor.start_stream(*id, body.0.end()?).await?;
    let view = editor.stream(*id).await?;
    Ok(HttpResponse::Accepted().json(whole(&editor, &view, page.locale()).await?))
}

/// Another end for what is on air; exactly one of the two.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewEnd)]
struct EndFields {
    /// Seconds from now.
    stop_after: Option<u64>,
    /// Time; null: until it is stopped.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>, format = DateTime)]
    stop_at: Option<Option<String>>,
}

impl EndFields {
    fn end(self) -> Result<End> {
        match (self.stop_after, self.stop_at) {
            (None, None) => Err(Error::field("stop_at", Message::new("live-end-missing"))),
            (Some(_), Some(None)) => Err(Error::field("stop_at", Message::new("schedule-two-ends"))),
            (stop_after, stop_at) => StartFields { stop_after, stop_at: stop_at.flatten() }.end(),
        }
    }
}

/// Let what is on air end at another time
///
/// What is sent goes on undisturbed; of a planned stream this is the end of this time on air alone.
#[utoipa::path(post, path = "/api/v1/streams/{id}/end", tag = "streams", params(("id" = Uuid, Path)),
    request_body = EndFields, responses(
    (status = 200, body = StreamBody), (status = 404),
    (status = 409, description = "Off air, or being ended"), (status = 422, description = "The end has passed"),
))]
async fn end(page: Page, editor: Editor, id: web::Path<Uuid>, body: Json<EndFields>) -> Result<HttpResponse> {
    editor.stream(*id).await?;
    let view = editor.change_end(*id, body.0.end()?).await?;
    answer_with(&editor, &view, page.locale()).await
}

/// Take a stream off air
///
/// Fine if it is off. The answer comes before the last byte is sent: see `state`.
#[utoipa::path(post, path = "/api/v1/streams/{id}/stop", tag = "streams", params(("id" = Uuid, Path)), responses(
    (status = 202, body = StreamBody), (status = 404),
))]
async fn stop(page: Page, editor: Editor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    editor.stop_stream(*id).await?;
    let view = editor.stream(*id).await?;
    Ok(HttpResponse::Accepted().json(whole(&editor, &view, page.locale()).await?))
}

/// No fields.
#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// Runs of a stream, newest first
#[utoipa::path(get, path = "/api/v1/streams/{id}/runs", tag = "streams", params(("id" = Uuid, Path), ListQuery),
    responses((status = 200, body = List<RunBody>), (status = 404),
))]
async fn runs(page: Page, library: Library, id: web::Path<Uuid>, asked: ListQuery) -> Result<HttpResponse> {
    library.stream(*id).await?;
    let query = RunQuery { stream: Some(*id), ..super::runs::query(&asked)? };
    let runs = library.runs(query).await?;
    Ok(shown(&List::of_paged(runs, |row| RunBody::of(&row, page.locale())), None))
}

/// How much of a log.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct LogQuery {
    /// Lines, 1 to 1000; 100 where absent.
    #[param(minimum = 1, maximum = 1000, default = 100)]
    lines: Option<usize>,
}

/// The end of a log.
#[derive(Serialize, ToSchema)]
#[schema(as = Log)]
struct LogBody {
    /// Oldest first; stream keys are taken out.
    lines: Vec<String>,
}

/// The last lines of the log of a stream's newest run
#[utoipa::path(get, path = "/api/v1/streams/{id}/log", tag = "streams", params(("id" = Uuid, Path), LogQuery),
    responses((status = 200, body = LogBody), (status = 404),
))]
async fn log(library: Library, id: web::Path<Uuid>, asked: Query<LogQuery>) -> Result<HttpResponse> {
    let count = asked.0.lines.unwrap_or(100);
    if !(1..=1000).contains(&count) {
        let cause = "lines: 1 to 1000 is expected";
        return Err(Error::Malformed(Message::new("error-query").with("cause", cause)));
    }
    Ok(shown(&LogBody { lines: library.stream_log(*id, count).await? }, None))
}

/// How a stream goes, as server-sent events
///
/// An event `state` at once, and another whenever something changes; its data is the stream's `state`.
#[utoipa::path(get, path = "/api/v1/streams/{id}/events", tag = "streams", params(("id" = Uuid, Path)), responses(
    (status = 200, content_type = "text/event-stream", body = StateBody), (status = 404),
    (status = 429, description = "Too many connections of this user"),
))]
async fn events(
    request: HttpRequest,
    page: Page,
    me: Identity,
    library: Library,
    id: web::Path<Uuid>,
) -> Result<HttpResponse> {
    let (id, locale) = (id.into_inner(), page.locale());
    answer(&request, me, move || {
        let library = library.clone();
        async move {
            let state = library.stream(id).await?.state;
            Ok(serde_json::to_string(&StateBody::of(&state, locale))?)
        }
    })
    .await
}
