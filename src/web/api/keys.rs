//! The master key, for operators and the command line.

use actix_web::{HttpResponse, web};
use serde::Serialize;
use utoipa::ToSchema;

use super::shown;
use super::streams::Nothing;
use crate::error::Result;
use crate::web::extract::MaybeJson;
use crate::web::{Access, FreshOperator, Route, Server};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/api/v1/keys/rotate",
    access: Access::FreshOperator,
    handler: || web::to(rotate),
}];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(rotate))]
pub struct Document;

/// What a rotation did.
#[derive(Serialize, ToSchema)]
#[schema(as = KeysRotated)]
struct RotatedBody {
    /// Id of the key that is current now.
    key: String,
    /// Secrets that were sealed anew.
    resealed: u64,
    /// Libraries that were gone through.
    libraries: u64,
    /// Places of secrets that no key opens.
    unopened: Vec<String>,
    /// Places that could not be gone through. The old key stays while there are any: rotate again.
    left: Vec<String>,
}

/// Rotate the master key
///
/// A new key seals from now on; everything that the old one sealed is sealed anew, and then the old one goes. What was
/// cut off is finished. Backups from before need the key from before.
#[utoipa::path(post, path = "/api/v1/keys/rotate", tag = "box", responses((status = 200, body = RotatedBody)))]
async fn rotate(server: web::Data<Server>, operator: FreshOperator, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    let rotated = server.keys.rotate(&operator.0).await?;
    let body = RotatedBody {
        key: rotated.key,
        resealed: rotated.resealed,
        libraries: rotated.libraries,
        unopened: rotated.unopened,
        left: rotated.left,
    };
    Ok(shown(&body, None))
}
