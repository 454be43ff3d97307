//! The calendar of a user at its secret address, for programs that know no login.

use actix_web::http::header::{self, EntityTag, IfNoneMatch};
use actix_web::{HttpRequest, HttpResponse, web};

use super::{Access, Address, Route, Server};
use crate::error::Result;
use crate::library::Library;

/// This room's part of the surface.
pub const ROUTES: &[Route] =
    &[Route { method: "GET", path: "/feeds/{token}.ics", access: Access::Public, handler: || web::to(show) }];

/// The address of a token, as a person is shown it: under the public address, or the one that they used.
pub(super) fn address(server: &Server, request: &HttpRequest, token: &str) -> String {
    let own = || format!("{}://{}", request.connection_info().scheme(), request.connection_info().host());
    let public = server.foundation.config().public_url.as_ref().map(|url| url.origin().ascii_serialization());
    format!("{}/feeds/{token}.ics", public.unwrap_or_else(own))
}

async fn show(
    server: web::Data<Server>,
    address: Address,
    token: web::Path<String>,
    known: web::Header<IfNoneMatch>,
) -> Result<HttpResponse> {
    let scope = server.accounts.by_feed(&token, address.0).await?;
    let text = Library::open(&server.foundation, &scope).calendar_feed().await?;
    let tag = EntityTag::new_strong(blake3::hash(text.as_bytes()).to_hex()[..32].to_owned());
    let is_known = match &known.0 {
        IfNoneMatch::Any => true,
        IfNoneMatch::Items(tags) => tags.iter().any(|known| known.weak_eq(&tag)),
    };
    let mut answer = if is_known { HttpResponse::NotModified() } else { HttpResponse::Ok() };
    answer.insert_header(header::ETag(tag)).insert_header((header::CACHE_CONTROL, "private, max-age=300"));
    if is_known {
        return Ok(answer.finish());
    }
    Ok(answer.content_type("text/calendar; charset=utf-8").body(text))
}
