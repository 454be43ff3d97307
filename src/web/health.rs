//! Whether the server answers, and whether it can do its work: for proxies, monitors and systemd.

use actix_web::{HttpResponse, web};

use super::{Access, Route, Server};

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/healthz", access: Access::Public, handler: || web::to(alive) },
    Route { method: "GET", path: "/readyz", access: Access::Public, handler: || web::to(ready) },
    Route { method: "GET", path: "/api/v1/healthz", access: Access::Public, handler: || web::to(alive) },
    Route { method: "GET", path: "/api/v1/readyz", access: Access::Public, handler: || web::to(ready) },
];

/// This room's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(alive, ready))]
pub struct Document;

/// Alive: the server answers
#[utoipa::path(get, path = "/api/v1/healthz", tag = "health", responses((status = 200, content_type = "text/plain", body = String)))]
async fn alive() -> HttpResponse {
    HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ok\n")
}

/// Ready: rows can be read
#[utoipa::path(get, path = "/api/v1/readyz", tag = "health", responses(
    (status = 200, content_type = "text/plain", body = String),
    (status = 503, content_type = "text/plain", body = String, description = "Not ready; the log says why"),
))]
async fn ready(server: web::Data<Server>) -> HttpResponse {
    match server.accounts.has_admin().await {
        Ok(true) => HttpResponse::Ok().content_type("text/plain; charset=utf-8").body("ready\n"),
        outcome => {
            tracing::error!(?outcome, "not ready: users cannot be read");
            HttpResponse::ServiceUnavailable().content_type("text/plain; charset=utf-8").body("not ready\n")
        }
    }
}
