//! Videos for programs.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{FieldProblem, List, ListQuery, RowFields, created, given, no_content, shown};
use crate::error::Result;
use crate::library::{Ask, Despite, Editor, Library, Order, Video, VideoChange, VideoFilter, VideoState};
use crate::media::{Code, Severity};
use crate::store::rows::Row;
use crate::text::Locale;
use crate::web::serve::{self, Shown};
use crate::web::upload::{Outcome, Upload};
use crate::web::{Access, IfMatch, Json, Page, Query, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/videos", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/api/v1/videos", access: Access::Write, handler: || web::to(upload) },
    Route { method: "GET", path: "/api/v1/videos/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "PATCH", path: "/api/v1/videos/{id}", access: Access::Write, handler: || web::to(change) },
    Route { method: "DELETE", path: "/api/v1/videos/{id}", access: Access::Write, handler: || web::to(delete) },
    Route { method: "GET", path: "/api/v1/videos/{id}/content", access: Access::Read, handler: || web::to(content) },
    Route {
        method: "GET",
        path: "/api/v1/videos/{id}/thumbnail",
        access: Access::Read,
        handler: || web::to(thumbnail),
    },
    Route { method: "POST", path: "/api/v1/videos/{id}/frame", access: Access::Write, handler: || web::to(take_frame) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, upload, show, change, delete, content, thumbnail, take_frame))]
pub struct Document;

/// A video.
#[derive(Serialize, ToSchema)]
#[schema(as = Video)]
pub struct VideoBody {
    #[serde(flatten)]
    row: RowFields,
    title: String,
    description: String,
    tags: Vec<String>,
    /// What the file was called.
    original_name: String,
    /// Bytes.
    size: u64,
    sha256: String,
    /// mp4, mov, matroska, webm, flv, mpeg_ts, avi.
    container: String,
    /// Seconds.
    duration: f64,
    width: u32,
    height: u32,
    /// Frames a second.
    frame_rate: f64,
    video_codec: String,
    audio_codec: Option<String>,
    /// Bits a second.
    bitrate: u64,
    /// Seconds between keyframes, at most.
    keyframe_interval: Option<f64>,
    verdict: VerdictBody,
    /// `ready`.
    state: &'static str,
    thumbnail_id: Option<Uuid>,
    /// An older video with the same bytes.
    duplicate_of: Option<Uuid>,
}

/// Whether a video can go on air as it is.
#[derive(Serialize, ToSchema)]
#[schema(as = Verdict)]
struct VerdictBody {
    ready: bool,
    findings: Vec<FindingBody>,
}

/// One thing that is not as platforms like it.
#[derive(Serialize, ToSchema)]
#[schema(as = Finding)]
struct FindingBody {
    #[schema(value_type = String)]
    code: Code,
    /// `blocks` or `warns`.
    #[schema(value_type = String)]
    severity: Severity,
    /// What it is, what it would cause and what to do.
    message: String,
}

impl VideoBody {
    /// A video as its owner sees it, in their language.
    pub fn new(row: &Row<Video>, locale: Locale) -> VideoBody {
        let video = &row.value;
        let facts = &video.facts;
        let findings = video.verdict.findings.iter().map(|finding| FindingBody {
            code: finding.code,
            severity: finding.severity,
            message: finding.message.in_locale(locale),
        });
        VideoBody {
            row: row.into(),
            title: video.title.clone(),
            description: video.description.clone(),
            tags: video.tags.clone(),
            original_name: video.original_name.clone(),
            size: facts.size,
            sha256: video.sha256.clone(),
            container: video.extension.as_str().to_owned(),
            duration: facts.duration,
            width: facts.video.width,
            height: facts.video.height,
            frame_rate: facts.video.frame_rate,
            video_codec: facts.video.codec.clone(),
            audio_codec: facts.audio.as_ref().map(|audio| audio.codec.clone()),
            bitrate: facts.bitrate,
            keyframe_interval: facts.video.keyframe_interval,
            verdict: VerdictBody { ready: video.verdict.ready, findings: findings.collect() },
            state: match video.state {
                VideoState::Ready => "ready",
                VideoState::Leaving => "leaving",
                VideoState::Deleting => "deleting",
            },
            thumbnail_id: video.thumbnail_id,
            duplicate_of: video.duplicate_of,
        }
    }
}

/// Files that were taken in, and those that were not.
#[derive(Serialize, ToSchema)]
#[schema(bound = "T: ToSchema")]
pub struct Uploaded<T> {
    /// In the order of the form.
    pub items: Vec<T>,
    /// Names of the files that were refused, and why.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub errors: Vec<FieldProblem>,
}

impl<T> Uploaded<T> {
    /// What became of a form's files.
    ///
    /// # Errors
    /// That of the first file where none was taken in.
    pub(in crate::web) fn of<R>(
        outcome: Outcome<R>,
        locale: Locale,
        body: impl FnMut(&Row<R>) -> T,
    ) -> Result<Uploaded<T>> {
        let Outcome { taken, mut refused, .. } = outcome;
        if taken.is_empty() && !refused.is_empty() {
            return Err(refused.swap_remove(0).1);
        }
        let errors = refused
            .into_iter()
            .map(|(field, cause)| FieldProblem { field, message: cause.message().in_locale(locale) })
            .collect();
        Ok(Uploaded { items: taken.iter().map(body).collect(), errors })
    }
}

/// 201 with what was taken in.
pub(in crate::web) fn uploaded(locale: Locale, outcome: Outcome<Video>) -> Result<HttpResponse> {
    let location = outcome.taken.first().map_or_else(String::new, |row| format!("/api/v1/videos/{}", row.id()));
    let body = Uploaded::of(outcome, locale, |row| VideoBody::new(row, locale))?;
    Ok(created(&location, &body, None))
}

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// `all`, `ready`, `trouble` or `unused`.
    #[param(required = false)]
    filter: Option<String>,
}

/// The orders that lists of objects know: their name, what it is by, whether it begins with the largest.
pub(super) fn order(query: &ListQuery, timed: bool) -> Result<(Order, bool)> {
    let names = ["newest", "oldest", "created_at", "title", "size", "largest", "duration", "longest"];
    let (name, turned) = query.order(&names[..if timed { 8 } else { 6 }])?;
    let (order, descending) = match name {
        "oldest" | "created_at" => (Order::Created, false),
        "title" => (Order::Title, false),
        "size" => (Order::Size, false),
        "largest" => (Order::Size, true),
        "duration" => (Order::Duration, false),
        "longest" => (Order::Duration, true),
        _ => (Order::Created, true),
    };
    Ok((order, descending != turned))
}

pub(super) fn ask(query: &ListQuery, timed: bool) -> Result<Ask> {
    let (order, descending) = order(query, timed)?;
    Ok(Ask { search: query.q.clone(), order, descending, limit: query.limit, cursor: query.after()?, before: false })
}

/// All videos
///
/// Orders: newest (as it is without one), oldest, created_at, title, size, largest, duration, longest.
#[utoipa::path(get, path = "/api/v1/videos", tag = "videos", params(ListQuery, Filters), responses(
    (status = 200, body = List<VideoBody>),
))]
async fn list(page: Page, library: Library, query: ListQuery, filters: Query<Filters>) -> Result<HttpResponse> {
    let filter = match filters.0.filter.as_deref() {
        None | Some("" | "all") => VideoFilter::All,
        Some("ready") => VideoFilter::Ready,
        Some("trouble") => VideoFilter::Trouble,
        Some("unused") => VideoFilter::Unused,
        Some(_) => return Err(super::bad_query("filter: one of all, ready, trouble, unused is expected")),
    };
    let found = library.videos(ask(&query, true)?, filter).await?;
    let list = List {
        next: found.next.as_ref().map(crate::store::rows::Cursor::encode),
        total: found.total,
        items: found.items.iter().map(|(_, row)| VideoBody::new(row, page.locale())).collect(),
    };
    Ok(shown(&list, None))
}

/// A form with files.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it only describes the form")]
struct VideoForm {
    /// As often as there are files.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Vec<u8>>,
    /// Their title; the names of the files where absent.
    title: Option<String>,
}

/// Upload videos
///
/// Each file has an outcome of its own: those that were refused stand in `errors`. Where all were, the answer is the
/// error of the first.
#[utoipa::path(post, path = "/api/v1/videos", tag = "videos",
    request_body(content = VideoForm, content_type = "multipart/form-data"), responses(
    (status = 201, body = Uploaded<VideoBody>, headers(("Location" = String, description = "The first one"))),
    (status = 413, description = "Larger than a file may be"),
    (status = 415, description = "No video that is taken here"),
    (status = 429, description = "Too many uploads at the same time"),
    (status = 507, description = "No room"),
))]
async fn upload(page: Page, editor: Editor, form: Upload) -> Result<HttpResponse> {
    uploaded(page.locale(), form.take_videos(&editor).await?)
}

/// One video
#[utoipa::path(get, path = "/api/v1/videos/{id}", tag = "videos", params(("id" = Uuid, Path)), responses(
    (status = 200, body = VideoBody, headers(("ETag" = String))),
))]
async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.video(*id).await?;
    Ok(shown(&VideoBody::new(&row, page.locale()), Some(row.version)))
}

/// What is to be changed; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = VideoChange)]
struct ChangeBody {
    title: Option<String>,
    description: Option<String>,
    tags: Option<Vec<String>>,
    /// A thumbnail of the library; null shows the frame made from the video again.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<Uuid>)]
    thumbnail_id: Option<Option<Uuid>>,
}

/// Change a video
#[utoipa::path(patch, path = "/api/v1/videos/{id}", tag = "videos", params(("id" = Uuid, Path)),
    request_body = ChangeBody, responses(
    (status = 200, body = VideoBody, headers(("ETag" = String))),
    (status = 412, description = "`If-Match` names another version"),
))]
async fn change(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    expected: IfMatch,
    body: Json<ChangeBody>,
) -> Result<HttpResponse> {
    let ChangeBody { title, description, tags, thumbnail_id } = body.0;
    let change = VideoChange { title, description, tags, thumbnail_id };
    let row = editor.change_video(*id, expected.0, change).await?;
    Ok(shown(&VideoBody::new(&row, page.locale()), Some(row.version)))
}

#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Force {
    /// Delete it although streams with coming schedules play it.
    #[serde(default)]
    #[param(required = false)]
    force: bool,
}

/// Delete a video
///
/// A run that plays it goes on to its end. Streams lose it; where one has a coming schedule, `force` is needed.
#[utoipa::path(delete, path = "/api/v1/videos/{id}", tag = "videos", params(("id" = Uuid, Path), Force), responses(
    (status = 204),
    (status = 409, description = "Streams with coming schedules play it; `detail` names them"),
))]
async fn delete(editor: Editor, id: web::Path<Uuid>, expected: IfMatch, force: Query<Force>) -> Result<HttpResponse> {
    // A run's bytes stay until it ends, so that only what is still to come needs a second word.
    let despite = Despite { schedules: force.0.force, runs: true };
    editor.delete_video(*id, expected.0, despite).await?;
    Ok(no_content())
}

/// A video's bytes
///
/// `Range` is honoured.
#[utoipa::path(get, path = "/api/v1/videos/{id}/content", tag = "videos", params(("id" = Uuid, Path)), responses(
    (status = 200, content_type = "video/*", description = "All of it"),
    (status = 206, content_type = "video/*", description = "The part asked for"),
    (status = 416, description = "There is no such part"),
))]
async fn content(library: Library, id: web::Path<Uuid>, request: HttpRequest) -> Result<HttpResponse> {
    serve::object(&request, library.open_video(*id).await?, Shown::Changing)
}

/// A video's picture
#[utoipa::path(get, path = "/api/v1/videos/{id}/thumbnail", tag = "videos", params(("id" = Uuid, Path)), responses(
    (status = 200, content_type = "image/*"),
    (status = 404, description = "It has none"),
))]
async fn thumbnail(library: Library, id: web::Path<Uuid>, request: HttpRequest) -> Result<HttpResponse> {
    serve::object(&request, library.open_video_thumbnail(*id).await?, Shown::Changing)
}

/// Where in the video.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Frame {
    /// From the beginning.
    seconds: f64,
}

/// Make a thumbnail of a frame
///
/// The video shows it from then on.
#[utoipa::path(post, path = "/api/v1/videos/{id}/frame", tag = "videos", params(("id" = Uuid, Path)),
    request_body = Frame, responses(
    (status = 201, body = super::thumbnails::ThumbnailBody, headers(("Location" = String), ("ETag" = String))),
))]
async fn take_frame(editor: Editor, id: web::Path<Uuid>, body: Json<Frame>) -> Result<HttpResponse> {
    let row = editor.take_frame(*id, body.0.seconds).await?;
    let location = format!("/api/v1/thumbnails/{}", row.id());
    Ok(created(&location, &super::thumbnails::ThumbnailBody::from(&row), Some(row.version)))
}
