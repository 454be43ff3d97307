//! The secret address of one's calendar, for programs.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::{Moment, created, no_content, shown};
use crate::auth::Identity;
use crate::error::Result;
use crate::web::extract::MaybeJson;
use crate::web::{Access, Route, Server, feed};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/feed", access: Access::Write, handler: || web::to(show) },
    Route { method: "POST", path: "/api/v1/feed", access: Access::Write, handler: || web::to(make) },
    Route { method: "DELETE", path: "/api/v1/feed", access: Access::Write, handler: || web::to(revoke) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(show, make, revoke))]
pub struct Document;

/// One's calendar for other programs.
#[derive(Serialize, ToSchema)]
#[schema(as = Feed)]
struct FeedBody {
    /// When its address was made; null without one.
    made_at: Option<Moment>,
    /// The address; only in the answer that made it.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
}

/// Whether one's calendar has an address
#[utoipa::path(get, path = "/api/v1/feed", tag = "schedules", responses((status = 200, body = FeedBody)))]
async fn show(server: web::Data<Server>, me: Identity) -> Result<HttpResponse> {
    let made_at = server.accounts.feed_made_at(&me).await?.map(Moment::from);
    Ok(shown(&FeedBody { made_at, url: None }, None))
}

/// Make the secret address of one's calendar (iCalendar); an older one is void from then on
#[utoipa::path(post, path = "/api/v1/feed", tag = "schedules", responses(
    (status = 201, body = FeedBody, headers(("Location", description = "The address"))),
))]
async fn make(
    server: web::Data<Server>,
    me: Identity,
    request: HttpRequest,
    _body: MaybeJson<super::streams::Nothing>,
) -> Result<HttpResponse> {
    let token = server.accounts.make_feed(&me).await?;
    let url = feed::address(&server, &request, &token);
    let made_at = server.accounts.feed_made_at(&me).await?.map(Moment::from);
    Ok(created(&url, &FeedBody { made_at, url: Some(url.clone()) }, None))
}

/// Make the address of one's calendar void
#[utoipa::path(delete, path = "/api/v1/feed", tag = "schedules", responses((status = 204)))]
async fn revoke(server: web::Data<Server>, me: Identity) -> Result<HttpResponse> {
    server.accounts.revoke_feed(&me).await?;
    Ok(no_content())
}
