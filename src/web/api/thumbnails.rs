//! Thumbnails for programs.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::videos::{Uploaded, ask};
use super::{List, ListQuery, RowFields, created, no_content, shown};
use crate::error::Result;
use crate::library::{Editor, Library, Thumbnail, ThumbnailFilter};
use crate::store::rows::{Cursor, Row};
use crate::text::Locale;
use crate::web::serve::{self, Shown};
use crate::web::upload::{Outcome, Upload};
use crate::web::{Access, IfMatch, Json, Page, Query, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/thumbnails", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/api/v1/thumbnails", access: Access::Write, handler: || web::to(upload) },
    Route { method: "GET", path: "/api/v1/thumbnails/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "PATCH", path: "/api/v1/thumbnails/{id}", access: Access::Write, handler: || web::to(change) },
    Route { method: "DELETE", path: "/api/v1/thumbnails/{id}", access: Access::Write, handler: || web::to(delete) },
    Route {
        method: "GET",
        path: "/api/v1/thumbnails/{id}/content",
        access: Access::Read,
        handler: || web::to(content),
    },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, upload, show, change, delete, content))]
pub struct Document;

/// A thumbnail.
#[derive(Serialize, ToSchema)]
#[schema(as = Thumbnail)]
pub struct ThumbnailBody {
    #[serde(flatten)]
    row: RowFields,
    title: String,
    /// Bytes.
    size: u64,
    width: u32,
    height: u32,
    sha256: String,
    /// The video that it was taken from.
    video_id: Option<Uuid>,
    /// Made when that video came in, and goes with it.
    automatic: bool,
}

impl From<&Row<Thumbnail>> for ThumbnailBody {
    fn from(row: &Row<Thumbnail>) -> ThumbnailBody {
        let thumbnail = &row.value;
        ThumbnailBody {
            row: row.into(),
            title: thumbnail.title.clone(),
            size: thumbnail.size,
            width: thumbnail.width,
            height: thumbnail.height,
            sha256: thumbnail.sha256.clone(),
            video_id: thumbnail.video_id,
            automatic: thumbnail.automatic,
        }
    }
}

/// 201 with what was taken in.
pub(in crate::web) fn uploaded(locale: Locale, outcome: Outcome<Thumbnail>) -> Result<HttpResponse> {
    let location = outcome.taken.first().map_or_else(String::new, |row| format!("/api/v1/thumbnails/{}", row.id()));
    let body = Uploaded::of(outcome, locale, |row| ThumbnailBody::from(row))?;
    Ok(created(&location, &body, None))
}

/// Filters of the list.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filters {
    /// `false` leaves out those that were made by themselves.
    #[param(required = false)]
    automatic: Option<bool>,
}

/// All thumbnails
///
/// Orders: newest (as it is without one), oldest, created_at, title, size, largest.
#[utoipa::path(get, path = "/api/v1/thumbnails", tag = "thumbnails", params(ListQuery, Filters), responses(
    (status = 200, body = List<ThumbnailBody>),
))]
async fn list(library: Library, query: ListQuery, filters: Query<Filters>) -> Result<HttpResponse> {
    let filter = match filters.0.automatic {
        Some(false) => ThumbnailFilter::Gallery,
        _ => ThumbnailFilter::All,
    };
    let found = library.thumbnails(ask(&query, false)?, filter).await?;
    let list = List {
        next: found.next.as_ref().map(Cursor::encode),
        total: found.total,
        items: found.items.iter().map(|(_, row)| ThumbnailBody::from(row)).collect(),
    };
    Ok(shown(&list, None))
}

/// A form with pictures.
#[derive(ToSchema)]
#[allow(dead_code, reason = "it only describes the form")]
struct ThumbnailForm {
    /// As often as there are files: JPEG, PNG or WebP.
    #[schema(value_type = Vec<String>, format = Binary)]
    file: Vec<Vec<u8>>,
    /// Their title; the names of the files where absent.
    title: Option<String>,
}

/// Upload thumbnails
///
/// Pictures are written anew, at most 1280 pixels wide and high. Each file has an outcome of its own, as with videos.
#[utoipa::path(post, path = "/api/v1/thumbnails", tag = "thumbnails",
    request_body(content = ThumbnailForm, content_type = "multipart/form-data"), responses(
    (status = 201, body = Uploaded<ThumbnailBody>, headers(("Location" = String, description = "The first one"))),
    (status = 413, description = "Larger than a picture may be"),
    (status = 415, description = "No picture that is taken here"),
    (status = 507, description = "No room"),
))]
async fn upload(page: Page, editor: Editor, form: Upload) -> Result<HttpResponse> {
    uploaded(page.locale(), form.take_thumbnails(&editor).await?)
}

/// One thumbnail
#[utoipa::path(get, path = "/api/v1/thumbnails/{id}", tag = "thumbnails", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ThumbnailBody, headers(("ETag" = String))),
))]
async fn show(library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.thumbnail(*id).await?;
    Ok(shown(&ThumbnailBody::from(&row), Some(row.version)))
}

/// What is to be changed.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ThumbnailChange)]
struct ChangeBody {
    title: Option<String>,
}

/// Rename a thumbnail
#[utoipa::path(patch, path = "/api/v1/thumbnails/{id}", tag = "thumbnails", params(("id" = Uuid, Path)),
    request_body = ChangeBody, responses(
    (status = 200, body = ThumbnailBody, headers(("ETag" = String))),
    (status = 412, description = "`If-Match` names another version"),
))]
async fn change(
    editor: Editor,
    id: web::Path<Uuid>,
    expected: IfMatch,
    body: Json<ChangeBody>,
) -> Result<HttpResponse> {
    let row = match &body.0.title {
        Some(title) => editor.rename_thumbnail(*id, expected.0, title).await?,
        None => editor.thumbnail(*id).await?,
    };
    Ok(shown(&ThumbnailBody::from(&row), Some(row.version)))
}

/// Delete a thumbnail
///
/// Videos that show it show the frame made from them again.
#[utoipa::path(delete, path = "/api/v1/thumbnails/{id}", tag = "thumbnails", params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 409, description = "Streams have it as their logo; `detail` names them"),
))]
async fn delete(editor: Editor, id: web::Path<Uuid>, expected: IfMatch) -> Result<HttpResponse> {
    editor.delete_thumbnail(*id, expected.0).await?;
    Ok(no_content())
}

/// A thumbnail's bytes
#[utoipa::path(get, path = "/api/v1/thumbnails/{id}/content", tag = "thumbnails", params(("id" = Uuid, Path)), responses(
    (status = 200, content_type = "image/*"),
))]
async fn content(library: Library, id: web::Path<Uuid>, request: HttpRequest) -> Result<HttpResponse> {
    serve::object(&request, library.open_thumbnail(*id).await?, Shown::Inline)
}
