//! Whether everything on the box is what it says, for operators and the command line.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::shown;
use crate::error::Result;
use crate::library::verify::Fault;
use crate::web::{Access, Json, Operator, Route, Server};

/// This resource's part of the surface.
pub const ROUTES: &[Route] =
    &[Route { method: "POST", path: "/api/v1/verify", access: Access::Operator, handler: || web::to(verify) }];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(verify))]
pub struct Document;

/// How closely.
#[derive(Deserialize, ToSchema)]
#[schema(as = Verify)]
#[serde(deny_unknown_fields)]
struct Closely {
    /// Read every byte and compare its hash.
    #[serde(default)]
    deep: bool,
}

/// One thing that is wrong.
#[derive(Serialize, ToSchema)]
#[schema(as = VerifyFinding)]
struct FindingBody {
    /// Whose; null is nobody's.
    tenant: Option<String>,
    fault: Fault,
    /// With what: an id, a file, a kind of the ledger, a number of the record.
    object: String,
    detail: String,
}

/// What is wrong; nothing, most of the time.
#[derive(Serialize, ToSchema)]
struct Verified {
    findings: Vec<FindingBody>,
}

/// Hold rows against bytes, ledgers against the disk, records against their chains
#[utoipa::path(post, path = "/api/v1/verify", tag = "box", request_body = Closely, responses((status = 200, body = Verified)))]
async fn verify(server: web::Data<Server>, operator: Operator, body: Json<Closely>) -> Result<HttpResponse> {
    let found = server.tenancy.verify(&operator.0, body.0.deep).await?;
    let findings = found.into_iter().map(|found| FindingBody {
        tenant: found.tenant.map(|tenant| tenant.to_string()),
        fault: found.finding.fault,
        object: found.finding.object,
        detail: found.finding.detail,
    });
    Ok(shown(&Verified { findings: findings.collect() }, None))
}
