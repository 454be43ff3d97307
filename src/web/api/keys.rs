//! The master key, for operators and the command line.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shown;
use crate::error::Result;
use crate::keys::Unopened;
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

/// How to rotate.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = KeysRotate)]
struct RotateBody {
    /// Drop the old key though texts carry its id that do not open. Whatever of them is a secret is lost.
    #[serde(default)]
    discard_unopened: bool,
}

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
    /// Places of texts that carry the old key's id and open for nothing that is known: whose, of what kind, which. The
    /// old key stays while there are any. Change or delete what is there, or rotate with `discard_unopened`.
    unopened: Vec<String>,
    /// Places that could not be gone through. The old key stays while there are any: rotate again.
    left: Vec<String>,
    /// Whether the old key is still there.
    old_key_kept: bool,
}

/// Rotate the master key
///
/// A new key seals from now on; everything that the old one sealed is sealed anew, and then the old one goes. What was
/// cut off is finished. It stays while anything carries its id that could not be sealed anew. Backups from before need the key from before.
#[utoipa::path(post, path = "/api/v1/keys/rotate", tag = "box", request_body = Option<RotateBody>,
    responses((status = 200, body = RotatedBody)))]
async fn rotate(
    server: web::Data<Server>,
    operator: FreshOperator,
    body: MaybeJson<RotateBody>,
) -> Result<HttpResponse> {
    let unopened = if body.0.discard_unopened { Unopened::Discard } else { Unopened::Keep };
    let rotated = server.keys.rotate(&operator.0, unopened).await?;
    let body = RotatedBody {
        key: rotated.key,
        resealed: rotated.resealed,
        libraries: rotated.libraries,
        unopened: rotated.unopened,
        left: rotated.left,
        old_key_kept: rotated.kept,
    };
    Ok(shown(&body, None))
}
