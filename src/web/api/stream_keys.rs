//! Stream keys for programs: those that are kept, fetched from channels, made there, shown once.

use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::streams::Nothing;
use super::{List, Moment, RowFields, created, no_content, shown};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::kept_key::KeptKey;
use crate::store::rows::Row;
use crate::web::confirm::prove;
use crate::web::extract::MaybeJson;
use crate::web::{Access, Json, Page, Query, Route};
use crate::youtube::keys::Fetched;

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/stream-keys", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/api/v1/stream-keys/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "DELETE", path: "/api/v1/stream-keys/{id}", access: Access::Write, handler: || web::to(delete) },
    Route {
        method: "POST",
        path: "/api/v1/stream-keys/{id}/reveal",
        access: Access::Write,
        handler: || web::to(reveal),
    },
    Route { method: "POST", path: "/api/v1/stream-keys/import", access: Access::Write, handler: || web::to(import) },
    Route { method: "POST", path: "/api/v1/stream-keys/export", access: Access::Write, handler: || web::to(export) },
    Route { method: "POST", path: "/api/v1/channels/{id}/keys", access: Access::Write, handler: || web::to(create) },
    Route {
        method: "POST",
        path: "/api/v1/channels/{id}/keys/fetch",
        access: Access::Write,
        handler: || web::to(fetch),
    },
    Route { method: "GET", path: "/api/v1/channels/{id}/quota", access: Access::Read, handler: || web::to(quota) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, show, delete, reveal, import, export, create, fetch, quota))]
pub struct Document;

/// A kept stream key. The key itself is shown by `/reveal` only.
#[derive(Serialize, ToSchema)]
#[schema(as = StreamKey)]
struct KeyBody {
    #[serde(flatten)]
    row: RowFields,
    title: String,
    platform: &'static str,
    /// Null where it is the platform's own address.
    url: Option<String>,
    /// The end of a long key.
    key_masked: String,
    /// The channel that it belongs to.
    channel_id: Option<Uuid>,
    /// What the platform calls it.
    platform_id: Option<String>,
}

impl From<&Row<KeptKey>> for KeyBody {
    fn from(row: &Row<KeptKey>) -> KeyBody {
        KeyBody {
            row: RowFields::from(row),
            title: row.value.title.clone(),
            platform: row.value.platform.code(),
            url: row.value.url.as_ref().map(ToString::to_string),
            key_masked: row.value.key_masked.clone(),
            channel_id: row.value.channel_id,
            platform_id: row.value.platform_id.clone(),
        }
    }
}

/// What was found of keys.
#[derive(Serialize, ToSchema)]
#[schema(as = FetchedKeys)]
struct FetchedBody {
    /// Keys that were not known.
    added: u64,
    /// Keys that are another, or called otherwise.
    changed: u64,
    /// Keys that are not on the channel any more; those that streams go to stay.
    gone: u64,
}

impl From<Fetched> for FetchedBody {
    fn from(fetched: Fetched) -> FetchedBody {
        FetchedBody { added: fetched.added, changed: fetched.changed, gone: fetched.gone }
    }
}

/// Which keys.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of this channel.
    channel_id: Option<Uuid>,
}

/// List stream keys
#[utoipa::path(get, path = "/api/v1/stream-keys", tag = "stream keys", params(Filter), responses(
    (status = 200, body = List<KeyBody>),
))]
async fn list(library: Library, filter: Query<Filter>) -> Result<HttpResponse> {
    let mut kept = library.kept_keys().await?;
    kept.retain(|row| filter.0.channel_id.is_none_or(|id| row.value.channel_id == Some(id)));
    let items: Vec<KeyBody> = kept.iter().map(KeyBody::from).collect();
    Ok(shown(&List { total: items.len() as u64, items, next: None }, None))
}

async fn one(library: &Library, id: Uuid) -> Result<Row<KeptKey>> {
    library.rows().read(move |rows| rows.need::<KeptKey>(id)).await
}

/// One stream key
#[utoipa::path(get, path = "/api/v1/stream-keys/{id}", tag = "stream keys", params(("id" = Uuid, Path)), responses(
    (status = 200, body = KeyBody), (status = 404),
))]
async fn show(library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = one(&library, *id).await?;
    Ok(shown(&KeyBody::from(&row), Some(row.version)))
}

/// Delete a stream key
///
/// On its channel too.
#[utoipa::path(delete, path = "/api/v1/stream-keys/{id}", tag = "stream keys", params(("id" = Uuid, Path)), responses(
    (status = 204), (status = 404), (status = 409, description = "Streams go to it, or YouTube still uses it"),
    (status = 502, description = "YouTube does not answer"),
))]
async fn delete(page: Page, editor: Editor, id: web::Path<Uuid>) -> Result<HttpResponse> {
    page.server().youtube.delete_key(&editor, *id).await?;
    Ok(no_content())
}

/// The password of whoever asks.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Password)]
struct PasswordFields {
    password: String,
}

/// A key in the clear.
#[derive(Serialize, ToSchema)]
#[schema(as = RevealedKey)]
struct RevealedBody {
    key: String,
    /// Where it goes.
    url: String,
}

/// Show a stream key
///
/// Asks for the password once more, and is on record.
#[utoipa::path(post, path = "/api/v1/stream-keys/{id}/reveal", tag = "stream keys", params(("id" = Uuid, Path)),
    request_body = PasswordFields, responses(
    (status = 200, body = RevealedBody), (status = 404), (status = 422, description = "The password is another one"),
))]
async fn reveal(
    request: HttpRequest,
    page: Page,
    me: Identity,
    editor: Editor,
    id: web::Path<Uuid>,
    body: Json<PasswordFields>,
) -> Result<HttpResponse> {
    let row = one(&editor, *id).await?;
    prove(&request, &me, body.0.password).await?;
    let key = page.server().youtube.reveal_key(&editor, *id).await?;
    let url = row.value.as_target(row.id()).address()?.to_string();
    let body = RevealedBody { key: key.expose_secret().to_owned(), url };
    Ok(HttpResponse::Ok().insert_header(("cache-control", "no-store")).json(body))
}

/// Take in a `stream_mapping.json`
///
/// `{token file → {stream id → {title, cdn {ingestionInfo {streamName, ingestionAddress}}}}}`.
#[utoipa::path(post, path = "/api/v1/stream-keys/import", tag = "stream keys",
    request_body = serde_json::Value, responses(
    (status = 200, body = FetchedBody), (status = 413), (status = 422, description = "A place in it makes no sense"),
))]
async fn import(page: Page, editor: Editor, body: Json<serde_json::Value>) -> Result<HttpResponse> {
    let text = zeroize::Zeroizing::new(serde_json::to_vec(&body.0)?);
    let fetched = page.server().youtube.import_mapping(&editor, &text).await?;
    Ok(shown(&FetchedBody::from(fetched), None))
}

/// All keys as a `stream_mapping.json`
///
/// In the clear: asks for the password once more, and is on record.
#[utoipa::path(post, path = "/api/v1/stream-keys/export", tag = "stream keys", request_body = PasswordFields, responses(
    (status = 200, body = serde_json::Value), (status = 422, description = "The password is another one"),
))]
async fn export(
    request: HttpRequest,
    page: Page,
    me: Identity,
    editor: Editor,
    body: Json<PasswordFields>,
) -> Result<HttpResponse> {
    prove(&request, &me, body.0.password).await?;
    let mapping = page.server().youtube.export_mapping(&editor).await?;
    Ok(HttpResponse::Ok()
        .insert_header(("cache-control", "no-store"))
        .content_type("application/json")
        .body(mapping.to_string()))
}

/// A key to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewStreamKey)]
struct KeyFields {
    /// 1 to 128 characters.
    title: String,
}

/// Make a stream key on a channel
#[utoipa::path(post, path = "/api/v1/channels/{id}/keys", tag = "stream keys", params(("id" = Uuid, Path)),
    request_body = KeyFields, responses(
    (status = 201, body = KeyBody, headers(("Location", description = "Address of the key"))), (status = 404),
    (status = 409, description = "YouTube refuses it, with what to do"), (status = 422),
    (status = 502, description = "YouTube does not answer, or asks to wait"),
))]
async fn create(page: Page, editor: Editor, id: web::Path<Uuid>, body: Json<KeyFields>) -> Result<HttpResponse> {
    let key = page.server().youtube.create_key(&editor, *id, &body.0.title).await?;
    let row = one(&editor, key).await?;
    Ok(created(&format!("/api/v1/stream-keys/{key}"), &KeyBody::from(&row), Some(row.version)))
}

/// Fetch all stream keys of a channel
#[utoipa::path(post, path = "/api/v1/channels/{id}/keys/fetch", tag = "stream keys", params(("id" = Uuid, Path)),
    responses((status = 200, body = FetchedBody), (status = 404), (status = 409), (status = 502)))]
async fn fetch(page: Page, editor: Editor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    Ok(shown(&FetchedBody::from(page.server().youtube.fetch_keys(&editor, *id).await?), None))
}

/// Units of the API that a channel's project has used today.
#[derive(Serialize, ToSchema)]
#[schema(as = Quota)]
struct QuotaBody {
    used: u64,
    /// Kept for planned broadcasts.
    kept: u64,
    /// Units of a day.
    limit: u64,
    /// YouTube refuses everything until the reset.
    exhausted: bool,
    reset_at: Moment,
    /// Units by call, the most first.
    calls: Vec<CallBody>,
}

/// Units of one kind of call.
#[derive(Serialize, ToSchema)]
#[schema(as = QuotaCall)]
struct CallBody {
    call: String,
    units: u64,
}

/// Units of the YouTube API
///
/// Counted by Google project and day; several channels may share a project.
#[utoipa::path(get, path = "/api/v1/channels/{id}/quota", tag = "channels", params(("id" = Uuid, Path)), responses(
    (status = 200, body = QuotaBody), (status = 404),
))]
async fn quota(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.channel(*id).await?;
    let project = row.value.client_id.as_deref().map(crate::oauth::project_of).ok_or(Error::NotFound)?;
    let units = page.server().youtube.units(project, library.tenant()).await?;
    let calls = units.calls.into_iter().map(|(call, units)| CallBody { call, units }).collect();
    let (used, kept, limit, exhausted) = (units.used, units.kept, units.limit, units.exhausted);
    Ok(shown(&QuotaBody { used, kept, limit, exhausted, reset_at: units.reset_at.into(), calls }, None))
}
