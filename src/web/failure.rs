//! The one place where an [`Error`] becomes a page, or problem+json under `/api/`; and where every answer gets its
//! security headers.

use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::{ServiceRequest, ServiceResponse};
use actix_web::http::{Method, StatusCode, header};
use actix_web::middleware::Next;
use actix_web::{HttpRequest, HttpResponse, HttpResponseBuilder, ResponseError, web};
use serde_json::json;
use uuid::Uuid;

use super::Server;
use super::connections::Open;
use super::page::Page;
use crate::error::Error;
use crate::text::{Locale, Message};

/// Scripts, styles and connections come from this server alone; pictures also from the page's own data.
const CONTENT_SECURITY_POLICY: &str = "default-src 'self'; img-src 'self' data: blob:; media-src 'self'; \
     object-src 'none'; base-uri 'none'; form-action 'self'; frame-ancestors 'none'";

/// The same for a page whose forms lead on to another site: browsers hold redirects of a form against it too.
pub(super) fn policy_leading_to(origin: &str) -> String {
    CONTENT_SECURITY_POLICY.replace("form-action 'self'", &format!("form-action 'self' {origin}"))
}

/// Type of the one problem whose status does not say it all: the password has to be proved again.
pub(super) const PROOF_REQUIRED: &str = "urn:jadwalstream:proof-required";

/// An answer that took longer is told in the log.
const SLOW: Duration = Duration::from_secs(2);
/// Letters of a part of a path that may be a secret.
const LONG: usize = 32;

impl ResponseError for Error {
    fn status_code(&self) -> StatusCode {
        StatusCode::from_u16(self.status()).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
    }

    // The body is written by `finish`, which knows the reader's language and whether a page or JSON is wanted.
    fn error_response(&self) -> HttpResponse {
        HttpResponse::new(self.status_code())
    }
}

/// For paths that are not in the surface.
pub(super) async fn nothing_here() -> Result<HttpResponse, Error> {
    Err(Error::NotFound)
}

/// For paths that are, by a method that they do not know.
pub(super) async fn wrong_method() -> Result<HttpResponse, Error> {
    Err(Error::WrongMethod)
}

/// Outermost: logs the cause, writes the body of errors, adds the headers.
pub async fn finish(
    request: ServiceRequest,
    next: Next<impl MessageBody + 'static>,
) -> Result<ServiceResponse<BoxBody>, actix_web::Error> {
    let started = Instant::now();
    let busy = request.conn_data::<Open>().map(Open::begin);
    let response = next.call(request).await?.map_into_boxed_body();
    let mut response = match response.response().error().map(kind_of) {
        None => response,
        Some(kind) => {
            let (request, response) = response.into_parts();
            let body = match (response.error().and_then(|cause| cause.as_error::<Error>()), kind) {
                (Some(error), _) => render(&request, error).await,
                (None, other) => render(&request, &other).await,
            };
            ServiceResponse::new(request, body)
        }
    };
    // Also beside an error: the cookie that was shown is worth nothing any more.
    let request = response.request().clone();
    if let Err(cause) = super::confirm::renew(&request, response.response_mut()) {
        tracing::error!(%cause, "a renewed session was not handed over");
    }
    count(&response, started.elapsed());
    tell(&response, started.elapsed());
    let headers = response.headers_mut();
    let mut add = |name, value| {
        if !headers.contains_key(&name) {
            headers.insert(name, header::HeaderValue::from_static(value));
        }
    };
    add(header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY);
    add(header::X_CONTENT_TYPE_OPTIONS, "nosniff");
    add(header::REFERRER_POLICY, "same-origin");
    add(header::X_FRAME_OPTIONS, "DENY");
    add(header::HeaderName::from_static("cross-origin-resource-policy"), "same-origin");
    add(header::HeaderName::from_static("cross-origin-opener-policy"), "same-origin");
    add(header::HeaderName::from_static("permissions-policy"), "camera=(), microphone=(), geolocation=()");
    add(header::CACHE_CONTROL, "no-store");
    Ok(match busy {
        Some(busy) => response.map_body(|_, body| busy.with(body)),
        None => response,
    })
}

fn count(response: &ServiceResponse<BoxBody>, took: Duration) {
    let request = response.request();
    let Some(server) = request.app_data::<web::Data<Server>>() else { return };
    let sent = match response.response().body().size() {
        BodySize::Sized(length) => length,
        BodySize::None | BodySize::Stream => 0,
    };
    let status = response.status().as_u16();
    server.metrics.count(status, took, sent);
    if status < 400 && is_upload(request) {
        let length =
            request.headers().get(header::CONTENT_LENGTH).and_then(|length| length.to_str().ok()?.parse().ok());
        server.metrics.count_upload(length.unwrap_or_default());
    }
}

/// Every request is there for those who want to see them; the usual log has those that somebody should look at.
fn tell(response: &ServiceResponse<BoxBody>, took: Duration) {
    let (request, status) = (response.request(), response.status());
    let (method, path, milliseconds) = (request.method(), open_path(request.path()), took.as_millis() as u64);
    if status.is_server_error() && status != StatusCode::INSUFFICIENT_STORAGE {
        tracing::warn!(%method, path = path.as_str(), status = status.as_u16(), milliseconds, "request failed");
    } else if took >= SLOW && !is_upload(request) {
        tracing::warn!(%method, path = path.as_str(), status = status.as_u16(), milliseconds, "slow request");
    } else {
        tracing::debug!(%method, path = path.as_str(), status = status.as_u16(), milliseconds, "request");
    }
}

/// The path of a request as it may stand in a log. That of a calendar is a secret, however it is spelled: what is long
/// and no id stays out.
fn open_path(path: &str) -> String {
    let open = |part: &str| part.len() < LONG || (part.len() == 36 && Uuid::parse_str(part).is_ok());
    let parts: Vec<&str> = path.split('/').map(|part| if open(part) { part } else { "…" }).collect();
    parts.join("/")
}

/// How long an upload takes is the client's doing.
fn is_upload(request: &HttpRequest) -> bool {
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok());
    kind.is_some_and(|kind| kind.starts_with("multipart/form-data"))
}

/// What an error of actix itself (a broken body, a path that does not parse) means here.
fn kind_of(cause: &actix_web::Error) -> Error {
    match cause.as_response_error().status_code() {
        StatusCode::NOT_FOUND => Error::NotFound,
        StatusCode::METHOD_NOT_ALLOWED => Error::WrongMethod,
        StatusCode::PAYLOAD_TOO_LARGE => Error::TooLarge(Message::new("error-body-limit").with("limit", 256_u32)),
        StatusCode::UNSUPPORTED_MEDIA_TYPE => Error::WrongKind(Message::new("error-form-kind")),
        status if status.is_client_error() => {
            Error::Malformed(Message::new("error-body").with("cause", cause.to_string()))
        }
        _ => Error::Internal(anyhow::anyhow!("{cause}")),
    }
}

/// The language of an answer to a program.
fn api_locale(request: &HttpRequest) -> Locale {
    let header = request.headers().get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
    header.and_then(Locale::negotiate).unwrap_or_default()
}

pub(super) fn wants_json(request: &HttpRequest) -> bool {
    let accept = request.headers().get(header::ACCEPT).and_then(|value| value.to_str().ok()).unwrap_or_default();
    request.path().starts_with("/api/") || request.path() == "/metrics" || accept.starts_with("application/json")
}

async fn render(request: &HttpRequest, error: &Error) -> HttpResponse {
    if let Error::Internal(cause) = error {
        tracing::error!(path = open_path(request.path()).as_str(), cause = format!("{cause:#}"), "internal error");
    }
    let mut response = HttpResponse::build(error.status_code());
    if let Error::TooMany { retry_after } = error {
        response.insert_header((header::RETRY_AFTER, retry_after.as_secs().max(1)));
    }
    if wants_json(request) {
        let locale = Page::of(request).map_or_else(|_| api_locale(request), |page| page.locale());
        return problem(response, error, locale);
    }
    let is_get = matches!(*request.method(), Method::GET | Method::HEAD);
    let is_page = request.headers().get(header::ACCEPT).is_none_or(|accept| {
        accept.to_str().is_ok_and(|accept| accept.contains("text/html") || accept.contains("*/*"))
    });
    if matches!(error, Error::LoginRequired) && is_get && is_page && request.path() != "/login" {
        return super::session::to_login(request);
    }
    if let Some(asked) = super::confirm::ask(request, error).await {
        return asked;
    }
    match Page::of(request) {
        Ok(page) => page.error(response, error).await,
        Err(_) => response.content_type("text/plain; charset=utf-8").body(error.message().to_string()),
    }
}

/// An error as `application/problem+json`.
pub(super) fn problem(mut response: HttpResponseBuilder, error: &Error, locale: Locale) -> HttpResponse {
    let status = error.status_code();
    if matches!(error, Error::LoginRequired) {
        response.insert_header((header::WWW_AUTHENTICATE, "Bearer"));
    }
    let fields = match error {
        Error::Invalid(fields) => fields.as_slice(),
        _ => &[],
    };
    let errors: Vec<_> = fields
        .iter()
        .map(|complaint| json!({"field": complaint.field, "message": complaint.message.in_locale(locale)}))
        .collect();
    let body = json!({
        "type": if matches!(error, Error::ProofRequired) { PROOF_REQUIRED } else { "about:blank" },
        "title": status.canonical_reason().unwrap_or("Error"),
        "status": status.as_u16(),
        "detail": error.message().in_locale(locale),
        "errors": errors,
    });
    response.content_type("application/problem+json").body(body.to_string())
}

#[cfg(test)]
mod tests {
    use super::open_path;

    #[test]
    fn no_log_has_the_address_of_a_calendar() {
        let secret = "1000025b1b8f4a0e9d3c6a4d5e6f708192a3b4c5";
        for path in [format!("/feeds/{secret}.ics"), format!("/%66eeds/{secret}.ics"), format!("//feeds/./{secret}")] {
            assert!(!open_path(&path).contains("1000025b"), "{path}");
        }
        let usual = "/api/v1/videos/01a1ff5c-301d-7d10-8a1c-2f0d3c4b5a69/file";
        assert_eq!(open_path(usual), usual);
    }
}
