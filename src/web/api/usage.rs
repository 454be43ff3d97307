//! What a tenant uses, by kind.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::shown;
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::library::Library;
use crate::tenancy::{Account, Kind, Plan};
use crate::web::{Access, Operator, Route, Server};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/usage", access: Access::Read, handler: || web::to(own) },
    Route { method: "GET", path: "/api/v1/usage/{tenant}", access: Access::Operator, handler: || web::to(of) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(own, of))]
pub struct Document;

/// What a tenant uses.
#[derive(Serialize, ToSchema)]
struct Usage {
    tenant: String,
    plan: Plan,
    storage: Storage,
    /// Files of all kinds.
    files: u64,
}

/// Bytes.
#[derive(Serialize, ToSchema)]
struct Storage {
    limit: u64,
    used: u64,
    /// Set aside for what is arriving.
    reserved: u64,
    by_kind: ByKind,
}

/// Bytes of each kind.
#[derive(Serialize, ToSchema)]
struct ByKind {
    uploads: u64,
    generated: u64,
    photos: u64,
    thumbnails: u64,
    embeddings: u64,
    temp: u64,
}

impl Usage {
    fn of(tenant: &Tenant, account: &Account) -> Usage {
        let bytes = |kind| account.usage.of(kind).bytes;
        let by_kind = ByKind {
            uploads: bytes(Kind::Uploads),
            generated: bytes(Kind::Generated),
            photos: bytes(Kind::Photos),
            thumbnails: bytes(Kind::Thumbnails),
            embeddings: bytes(Kind::Embeddings),
            temp: bytes(Kind::Temp),
        };
        let (limit, used, reserved) = (account.limit, account.usage.used(), account.usage.reserved);
        Usage {
            tenant: tenant.to_string(),
            plan: account.usage.plan,
            storage: Storage { limit, used, reserved, by_kind },
            files: account.usage.files(),
        }
    }
}

/// What one's own library uses
#[utoipa::path(get, path = "/api/v1/usage", tag = "usage", responses((status = 200, body = Usage)))]
async fn own(server: web::Data<Server>, library: Library) -> Result<HttpResponse> {
    let account = server.tenancy.own_account(library.scope()).await?;
    Ok(shown(&Usage::of(library.tenant(), &account), None))
}

/// What a tenant uses
#[utoipa::path(get, path = "/api/v1/usage/{tenant}", tag = "usage", params(("tenant" = String, Path)), responses(
    (status = 200, body = Usage),
    (status = 404, description = "There is no such tenant"),
))]
async fn of(server: web::Data<Server>, operator: Operator, tenant: web::Path<String>) -> Result<HttpResponse> {
    let tenant = Tenant::parse(&tenant).map_err(|_| Error::NotFound)?;
    let account = server.tenancy.account(&operator.0, &tenant).await?;
    Ok(shown(&Usage::of(&tenant, &account), None))
}
