//! The OpenAPI 3.1 document: the paths of every resource, completed with what holds for all of them.

use std::collections::HashMap;
use std::sync::LazyLock;

use actix_web::http::Method;
use actix_web::{HttpRequest, HttpResponse, web};
use utoipa::openapi::path::{Operation, ParameterIn, PathItem};
use utoipa::openapi::security::{Http, HttpAuthScheme, SecurityRequirement, SecurityScheme};
use utoipa::openapi::{Content, OpenApi, Ref, RefOr, ResponseBuilder};
use utoipa::{OpenApi as _, PartialSchema as _, ToSchema as _};

use super::{FieldProblem, Problem};
use crate::error::Result;
use crate::web::failure::PROOF_REQUIRED;
use crate::web::{Access, Page, Route, routes};

/// This file's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/openapi.json", access: Access::Public, handler: || web::to(show) },
    Route { method: "GET", path: "/api/docs", access: Access::Public, handler: || web::to(browse) },
];

/// The documented paths, a list a resource: each file of this folder has a `Document` that names its handlers.
pub const DOCUMENTS: &[fn() -> OpenApi] = &[
    Document::openapi,
    super::audit::Document::openapi,
    super::auth::Document::openapi,
    crate::web::health::Document::openapi,
    crate::web::metrics::Document::openapi,
    super::usage::Document::openapi,
    super::users::Document::openapi,
    super::verify::Document::openapi,
    super::streams::Document::openapi,
    super::stream_keys::Document::openapi,
    super::broadcasts::Document::openapi,
    super::youtube_uploads::Document::openapi,
    super::overlay::Document::openapi,
    super::schedules::Document::openapi,
    super::imports::Document::openapi,
    super::feed::Document::openapi,
    super::calendar::Document::openapi,
    super::channels::Document::openapi,
    super::keys::Document::openapi,
    super::runs::Document::openapi,
    super::jobs::Document::openapi,
    super::migrations::Document::openapi,
    super::notices::Document::openapi,
    super::status::Document::openapi,
    super::thumbnails::Document::openapi,
    super::videos::Document::openapi,
];

#[derive(utoipa::OpenApi)]
#[openapi(
    info(
        title = "Jadwalstream",
        description = "Keeps prerecorded video on air. Times are RFC 3339 in UTC, ids UUIDv7, sizes bytes, lengths \
                       seconds. A foreign or made-up id is a 404 with one and the same body; unknown fields and unknown parameters are a 400."
    ),
    paths(show)
)]
struct Document;

/// This document
#[utoipa::path(get, path = "/api/v1/openapi.json", tag = "meta", responses((status = 200, content_type = "application/json")))]
async fn show() -> HttpResponse {
    HttpResponse::Ok().json(openapi())
}

/// A page that shows the document and tries it out.
async fn browse(page: Page) -> Result<HttpResponse> {
    page.render("", "api_docs.html", serde_json::json!({})).await
}

/// The whole document.
pub fn openapi() -> OpenApi {
    let mut document = Document::openapi();
    for part in &DOCUMENTS[1..] {
        document.merge(part());
    }
    let components = document.components.get_or_insert_default();
    components.schemas.insert(Problem::name().into_owned(), Problem::schema());
    components.schemas.insert(FieldProblem::name().into_owned(), FieldProblem::schema());
    let bearer = SecurityScheme::Http(Http::builder().scheme(HttpAuthScheme::Bearer).bearer_format("JWT").build());
    components.security_schemes.insert("bearer".to_owned(), RefOr::T(bearer));
    let body = Content::builder().schema(Some(Ref::from_schema_name(Problem::name()))).build();
    let problem = ResponseBuilder::new()
        .description("An error; `detail` says what happened and what to do next")
        .content("application/problem+json", body.clone())
        .build();
    let told = format!("Not an admin; or, with the type `{PROOF_REQUIRED}`, one who has to `POST /auth/confirm` first");
    let unproved = ResponseBuilder::new().description(told).content("application/problem+json", body).build();
    for (path, item) in &mut document.paths.paths {
        let operations = [
            ("GET", &mut item.get),
            ("POST", &mut item.post),
            ("PUT", &mut item.put),
            ("PATCH", &mut item.patch),
            ("DELETE", &mut item.delete),
        ];
        for (method, operation) in operations {
            let Some(operation) = operation else { continue };
            operation.responses.responses.insert("default".to_owned(), RefOr::T(problem.clone()));
            let route = routes().find(|route| route.path == path && route.method == method);
            let access = route.map(|route| route.access);
            if access == Some(Access::FreshOperator) {
                operation.responses.responses.insert("403".to_owned(), RefOr::T(unproved.clone()));
            }
            if access != Some(Access::Public) {
                operation.security = Some(vec![SecurityRequirement::new::<_, [&str; 0], &str>("bearer", [])]);
            }
        }
    }
    document
}

/// Names of the query's parameters, by method and path.
static PARAMETERS: LazyLock<HashMap<(&str, String), Vec<String>>> = LazyLock::new(|| {
    let names = |operation: Operation| -> Vec<String> {
        let parameters = operation.parameters.into_iter().flatten().filter_map(|parameter| match parameter {
            RefOr::T(one) if matches!(one.parameter_in, ParameterIn::Query) => Some(one.name),
            _ => None,
        });
        parameters.collect()
    };
    let known = openapi().paths.paths.into_iter().flat_map(|(path, item)| {
        let PathItem { get, post, put, patch, delete, .. } = item;
        let operations = [("GET", get), ("POST", post), ("PUT", put), ("PATCH", patch), ("DELETE", delete)];
        operations.map(|(method, operation)| ((method, path.clone()), operation.map(names).unwrap_or_default()))
    });
    known.collect()
});

/// Holds the query of a request against what the document says of its route.
///
/// # Errors
/// [`Error::Malformed`] names the first parameter that is not known.
pub(in crate::web) fn check_query(request: &HttpRequest) -> Result<()> {
    let query = request.query_string();
    if query.is_empty() {
        return Ok(());
    }
    // HEAD is GET without the body.
    let method = if *request.method() == Method::HEAD { "GET" } else { request.method().as_str() };
    let Some(known) = PARAMETERS.get(&(method, request.match_pattern().unwrap_or_default())) else { return Ok(()) };
    let mut names = url::form_urlencoded::parse(query.as_bytes()).map(|(name, _)| name);
    match names.find(|name| !known.iter().any(|one| one == name)) {
        Some(name) => Err(super::bad_query(format!("there is no parameter `{name}`"))),
        None => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_two_resources_call_different_things_by_one_name() {
        let mut known = std::collections::HashMap::new();
        for part in DOCUMENTS {
            for (name, schema) in part().components.unwrap_or_default().schemas {
                let schema = serde_json::to_value(&schema).unwrap();
                let before = known.entry(name.clone()).or_insert_with(|| schema.clone());
                assert_eq!(*before, schema, "{name}: give one of them another name with #[schema(as = …)]");
            }
        }
    }

    /// The document and the surface, as `METHOD path`, parameters without their patterns.
    #[test]
    fn every_route_of_the_api_is_documented_and_nothing_else() {
        let document = serde_json::to_value(openapi()).unwrap();
        assert_eq!(document["openapi"], "3.1.0");
        let mut documented: Vec<String> = document["paths"]
            .as_object()
            .unwrap()
            .iter()
            .flat_map(|(path, item)| {
                let methods = item.as_object().unwrap().keys().filter(|key| !key.starts_with("param"));
                methods.map(move |method| format!("{} {path}", method.to_uppercase())).collect::<Vec<_>>()
            })
            .collect();
        let mut served: Vec<String> = routes()
            .filter(|route| route.path.starts_with("/api/v1/"))
            .map(|route| format!("{} {}", route.method, route.path))
            .collect();
        documented.sort();
        served.sort();
        assert_eq!(documented, served);
    }
}
