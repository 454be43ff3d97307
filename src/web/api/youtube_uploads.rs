//! Videos on their way to channels, for programs.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::imports::file;
use super::streams::Nothing;
use super::{List, Moment, RowFields, no_content, shown};
use crate::error::Result;
use crate::library::{Editor, Library};
use crate::objects::intake::Spool;
use crate::schedule::sheet::{Limits, Privacy};
use crate::store::rows::Row;
use crate::tabular::Format;
use crate::text::Locale;
use crate::web::extract::{MaybeJson, chunks};
use crate::web::{Access, Json, Page, Query, Route};
use crate::youtube::upload::{NewUpload, Upload, UploadTexts, read_sheet};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route {
        method: "GET",
        path: "/api/v1/youtube-uploads/template",
        access: Access::Read,
        handler: || web::to(template),
    },
    Route { method: "GET", path: "/api/v1/youtube-uploads", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/api/v1/youtube-uploads", access: Access::Write, handler: || web::to(create) },
    Route { method: "GET", path: "/api/v1/youtube-uploads/{id}", access: Access::Read, handler: || web::to(show) },
    Route {
        method: "DELETE",
        path: "/api/v1/youtube-uploads/{id}",
        access: Access::Write,
        handler: || web::to(cancel),
    },
    Route {
        method: "POST",
        path: "/api/v1/youtube-uploads/{id}/remove",
        access: Access::Write,
        handler: || web::to(remove),
    },
    Route {
        method: "POST",
        path: "/api/v1/youtube-uploads/{id}/retry",
        access: Access::Write,
        handler: || web::to(retry),
    },
    Route { method: "POST", path: "/api/v1/youtube-uploads/sheet", access: Access::Write, handler: || web::to(sheet) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, cancel, remove, retry, sheet, template))]
pub struct Document;

/// Uploads that a list gives at most.
const MOST: usize = 500;

/// A video on its way to a channel.
#[derive(Serialize, ToSchema)]
#[schema(as = YoutubeUpload)]
struct UploadBody {
    #[serde(flatten)]
    row: RowFields,
    video_id: Uuid,
    channel_id: Uuid,
    title: Option<String>,
    /// `public`, `unlisted` or `private`; null: private.
    privacy: Option<&'static str>,
    publish_at: Option<Moment>,
    /// `waiting`, `sending`, `finishing`, `done`, `failed` or `cancelled`.
    state: &'static str,
    /// Bytes of the video.
    total: u64,
    /// Bytes that YouTube has.
    sent: u64,
    /// What YouTube calls it.
    youtube_id: Option<String>,
    /// Where viewers find it.
    link: Option<String>,
    /// What stands in the way, or went wrong, and what to do.
    trouble: Option<String>,
    /// Nothing is tried before then.
    next_try: Option<Moment>,
    ended_at: Option<Moment>,
}

impl UploadBody {
    fn of(row: &Row<Upload>, locale: Locale) -> UploadBody {
        let upload = &row.value;
        UploadBody {
            row: RowFields::from(row),
            video_id: upload.video_id,
            channel_id: upload.channel_id,
            title: upload.texts.title.clone(),
            privacy: upload.texts.privacy.map(Privacy::code),
            publish_at: upload.texts.publish_at.map(Moment::from),
            state: upload.state.code(),
            total: upload.total,
            sent: upload.sent,
            youtube_id: upload.platform_id.clone(),
            link: upload.link(),
            trouble: upload.trouble.as_ref().map(|trouble| trouble.in_locale(locale)),
            next_try: upload.not_before.filter(|_| upload.state.is_open()).map(Moment::from),
            ended_at: upload.ended_at.map(Moment::from),
        }
    }
}

/// List uploads
///
/// The newest 500, newest first.
#[utoipa::path(get, path = "/api/v1/youtube-uploads", tag = "youtube uploads", responses(
    (status = 200, body = List<UploadBody>),
))]
async fn list(page: Page, library: Library) -> Result<HttpResponse> {
    let found = library.youtube_uploads(MOST).await?;
    let items: Vec<UploadBody> = found.iter().map(|row| UploadBody::of(row, page.locale())).collect();
    Ok(shown(&List { total: items.len() as u64, items, next: None }, None))
}

/// A video to be uploaded.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewYoutubeUpload)]
struct ItemFields {
    video_id: Uuid,
    /// At most 100 characters; the video's own title where absent.
    title: Option<String>,
    /// At most 5,000 bytes; none where absent: the video's own is for its owner.
    description: Option<String>,
    tags: Option<Vec<String>>,
    category: Option<u16>,
    /// `public`, `unlisted` or `private` (default).
    #[schema(value_type = Option<String>)]
    privacy: Option<Privacy>,
    /// It becomes public then, and is `private` until then, whether `privacy` says that or `public`; not together with
    /// `unlisted`.
    #[schema(value_type = Option<String>, format = DateTime)]
    publish_at: Option<jiff::Timestamp>,
    made_for_kids: Option<bool>,
    /// The video's own where absent.
    thumbnail_id: Option<Uuid>,
    /// Address or id of a playlist of the channel.
    playlist: Option<String>,
}

impl From<ItemFields> for NewUpload {
    fn from(item: ItemFields) -> NewUpload {
        let ItemFields { video_id, title, description, tags, category, privacy, publish_at, .. } = item;
        let ItemFields { made_for_kids, thumbnail_id, playlist, .. } = item;
        let texts = UploadTexts {
            title,
            description,
            tags,
            category,
            privacy,
            publish_at,
            made_for_kids,
            thumbnail_id,
            playlist,
        };
        NewUpload { video_id, texts }
    }
}

/// Videos to be uploaded, in this order.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewYoutubeUploads)]
struct QueueFields {
    channel_id: Uuid,
    /// 1 to 500.
    items: Vec<ItemFields>,
}

async fn queued(page: &Page, editor: &Editor, ids: Vec<Uuid>) -> Result<HttpResponse> {
    let mut items = Vec::with_capacity(ids.len());
    for id in ids {
        items.push(UploadBody::of(&editor.youtube_upload(id).await?, page.locale()));
    }
    Ok(HttpResponse::Created().json(List { total: items.len() as u64, items, next: None }))
}

/// Upload videos to YouTube
///
/// All are queued or none.
#[utoipa::path(post, path = "/api/v1/youtube-uploads", tag = "youtube uploads", request_body = QueueFields, responses(
    (status = 201, body = List<UploadBody>), (status = 409, description = "A video is on its way there already"),
    (status = 422, description = "A field makes no sense: `items.<n>.title` and so on"),
    (status = 507, description = "Too many wait"),
))]
async fn create(page: Page, editor: Editor, body: Json<QueueFields>) -> Result<HttpResponse> {
    let items = body.0.items.into_iter().map(NewUpload::from).collect();
    let ids = page.server().youtube.queue_uploads(&editor, body.0.channel_id, items).await?;
    queued(&page, &editor, ids).await
}

/// Which channel.
#[derive(Deserialize, utoipa::IntoParams)]
#[into_params(parameter_in = Query)]
struct To {
    /// Of a connected channel.
    channel_id: Uuid,
}

/// Upload the videos of a workbook
///
/// The body is an xlsx, xls, ods or CSV file with the columns `video`, `title`, `description`, `tags`, `publish time`,
/// `privacy`, `thumbnail`, `category`, `playlist`; only the first has to be there. All lines are queued or none.
#[utoipa::path(post, path = "/api/v1/youtube-uploads/sheet", tag = "youtube uploads", params(To),
    request_body(content = Vec<u8>, content_type = "application/octet-stream"), responses(
    (status = 201, body = List<UploadBody>), (status = 409), (status = 413), (status = 415),
    (status = 422, description = "`line.<number>.<column>` makes no sense"), (status = 507),
))]
async fn sheet(page: Page, editor: Editor, to: Query<To>, body: web::Payload) -> Result<HttpResponse> {
    let (mut chunks, most) = (chunks(body.into_inner()), Limits::default().bytes);
    let file = Spool::fill(editor.foundation(), editor.bucket(), &mut chunks, most).await?;
    let rows = read_sheet(&editor, file, page.zone()).await?;
    let items = rows.into_iter().map(|row| row.upload).collect();
    let ids = page.server().youtube.queue_uploads(&editor, to.0.channel_id, items).await?;
    queued(&page, &editor, ids).await
}

/// An empty workbook for uploads
///
/// With drop-downs of the library's own videos and thumbnails, notes and an example, which is passed over.
#[utoipa::path(get, path = "/api/v1/youtube-uploads/template", tag = "youtube uploads", responses(
    (status = 200, description = "The workbook", content_type = "application/octet-stream"),
))]
pub(crate) async fn template(page: Page, library: Library) -> Result<HttpResponse> {
    let bytes = library.upload_template(page.locale()).await?;
    Ok(file(bytes, "youtube-uploads-template", Format::Xlsx))
}

/// One upload
#[utoipa::path(get, path = "/api/v1/youtube-uploads/{id}", tag = "youtube uploads", params(("id" = Uuid, Path)),
    responses((status = 200, body = UploadBody), (status = 404)))]
async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.youtube_upload(*id).await?;
    Ok(shown(&UploadBody::of(&row, page.locale()), Some(row.version)))
}

/// Let an upload be
///
/// What is on YouTube already stays there.
#[utoipa::path(delete, path = "/api/v1/youtube-uploads/{id}", tag = "youtube uploads", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404), (status = 409, description = "It is over")))]
async fn cancel(page: Page, editor: Editor, id: web::Path<Uuid>) -> Result<HttpResponse> {
    page.server().youtube.cancel_upload(&editor, *id).await?;
    Ok(no_content())
}

/// Take an upload that is over off the list
///
/// What is on YouTube stays there.
#[utoipa::path(post, path = "/api/v1/youtube-uploads/{id}/remove", tag = "youtube uploads",
    params(("id" = Uuid, Path)), responses(
    (status = 204), (status = 404), (status = 409, description = "It is still under way")))]
async fn remove(page: Page, editor: Editor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    page.server().youtube.remove_upload(&editor, *id).await?;
    Ok(no_content())
}

/// Try an upload again now
#[utoipa::path(post, path = "/api/v1/youtube-uploads/{id}/retry", tag = "youtube uploads", params(("id" = Uuid, Path)),
    responses((status = 200, body = UploadBody), (status = 404), (status = 409)))]
async fn retry(page: Page, editor: Editor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    page.server().youtube.retry_upload(&editor, *id).await?;
    let row = editor.youtube_upload(*id).await?;
    Ok(shown(&UploadBody::of(&row, page.locale()), Some(row.version)))
}
