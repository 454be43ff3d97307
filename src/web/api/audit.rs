//! The record of every change and every refusal.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::{ListQuery, Moment, shown};
use crate::audit::{Filter, Format, Outcome, Told};
use crate::auth::{Identity, OperatorScope};
use crate::error::{Error, Result};
use crate::tenancy::{AuditPage, Whose};
use crate::text::Message;
use crate::web::{Access, Query, Route, Server, audit_page};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/audit", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/api/v1/audit/export", access: Access::Read, handler: || web::to(export) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, export))]
pub struct Document;

/// One line of the record.
#[derive(Serialize, ToSchema)]
struct AuditEntry {
    /// Counts within its record, without gaps.
    number: u64,
    at: Moment,
    /// User name, `console`, `system:<task>`, or `?` for what could not be a name.
    actor: String,
    /// Whose record; null is the platform's: users, logins, strangers.
    tenant: Option<String>,
    /// `<noun>.<verb>`, or method and route of what was refused.
    action: String,
    object: String,
    outcome: Outcome,
    /// Where the request came from.
    address: Option<String>,
    /// Hash of this entry and, through the one before, of all before it.
    hash: String,
}

impl From<Told> for AuditEntry {
    fn from(told: Told) -> AuditEntry {
        let Told { tenant, entry } = told;
        AuditEntry {
            number: entry.number,
            at: entry.at.into(),
            actor: entry.actor,
            tenant: tenant.map(|tenant| tenant.to_string()),
            action: entry.action,
            object: entry.object,
            outcome: entry.outcome,
            address: entry.address,
            hash: entry.hash,
        }
    }
}

/// A page of the record, newest first.
#[derive(Serialize, ToSchema)]
struct AuditList {
    items: Vec<AuditEntry>,
    next: Option<String>,
    /// Null for all records as one: counting would open every library.
    total: Option<u64>,
}

/// Which entries.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only what ended so.
    outcome: Option<Outcome>,
    /// For operators: a tenant's record, or `platform`; all of them as one where absent.
    tenant: Option<String>,
}

/// Whose record is asked for: `None` is one's own.
fn asked<'a>(me: &'a Identity, which: &Which) -> Result<Option<(&'a OperatorScope, Whose)>> {
    let own = me.scope().tenant().as_str();
    match (me.operator(), which.tenant.as_deref()) {
        (Ok(operator), tenant) => Ok(Some((operator, Whose::parse(tenant)?))),
        (Err(_), None | Some("")) => Ok(None),
        (Err(_), Some(tenant)) if tenant == own => Ok(None),
        (Err(refused), Some(_)) => Err(refused),
    }
}

/// Read the record: one's own, for operators any
#[utoipa::path(get, path = "/api/v1/audit", tag = "audit", params(ListQuery, Which), responses((status = 200, body = AuditList)))]
async fn list(server: web::Data<Server>, me: Identity, query: ListQuery, which: Query<Which>) -> Result<HttpResponse> {
    let filter = Filter { search: query.q, outcome: which.0.outcome };
    let cursor = query.cursor.as_deref();
    let page = match asked(&me, &which.0)? {
        Some((operator, whose)) => server.tenancy.audit(operator, &whose, cursor, query.limit, filter).await?,
        None => {
            let mut page = server.tenancy.own_audit(me.scope(), cursor, query.limit, filter).await?;
            audit_page::hide_addresses(&me, &mut page);
            page
        }
    };
    let AuditPage { items, next, total } = page;
    Ok(shown(&AuditList { items: items.into_iter().map(AuditEntry::from).collect(), next, total }, None))
}

/// As which file, and whose.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct ExportQuery {
    /// `xlsx` or `csv`.
    format: String,
    /// For operators: a tenant's record, or `platform`; one's own where absent.
    tenant: Option<String>,
}

/// The record as a file
#[utoipa::path(get, path = "/api/v1/audit/export", tag = "audit", params(ExportQuery), responses(
    (status = 200, description = "The newest 100,000 entries", content_type = "application/octet-stream"),
))]
async fn export(server: web::Data<Server>, me: Identity, query: Query<ExportQuery>) -> Result<HttpResponse> {
    file(&server, &me, &query.0).await
}

/// Answers with a record as a file.
///
/// # Errors
/// [`Error::Forbidden`] for demo users: strangers share that account, and the file names addresses.
pub(crate) async fn file(server: &Server, me: &Identity, query: &ExportQuery) -> Result<HttpResponse> {
    me.write_scope()?;
    let Some(format) = Format::parse(&query.format) else {
        return Err(Error::field("format", Message::new("audit-export-format")));
    };
    let which = Which { outcome: None, tenant: query.tenant.clone() };
    let (bytes, of) = match asked(me, &which)? {
        Some((operator, whose)) if query.tenant.is_some() => {
            let of = match &whose {
                Whose::Tenant(tenant) => tenant.to_string(),
                Whose::All | Whose::Platform => "platform".to_owned(),
            };
            (server.tenancy.export_audit(operator, &whose, format).await?, of)
        }
        _ => (server.tenancy.export_own_audit(me.scope(), format).await?, me.scope().tenant().to_string()),
    };
    let name = format!("attachment; filename=\"audit-{of}.{}\"", format.extension());
    Ok(HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(bytes))
}
