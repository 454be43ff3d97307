//! Logging in and out for programs: a short access token and a refresh token that is used up by its use.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::{List, Moment, no_content, shown};
use crate::audit::Refusal;
use crate::auth::{Identity, Preferences, Role, TokenPair};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::tenancy::{self, Plan};
use crate::text::Locale;
use crate::web::confirm::prove;
use crate::web::session::{caller, remember_device};
use crate::web::{Access, Address, Json, Page, Route, Server};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/api/v1/auth/login", access: Access::Public, handler: || web::to(log_in) },
    Route { method: "POST", path: "/api/v1/auth/refresh", access: Access::Public, handler: || web::to(refresh) },
    Route { method: "POST", path: "/api/v1/auth/confirm", access: Access::Operator, handler: || web::to(confirm) },
    Route { method: "POST", path: "/api/v1/auth/logout", access: Access::Read, handler: || web::to(log_out) },
    Route { method: "GET", path: "/api/v1/auth/me", access: Access::Read, handler: || web::to(me) },
    Route { method: "PATCH", path: "/api/v1/auth/me", access: Access::Write, handler: || web::to(change_me) },
    Route { method: "POST", path: "/api/v1/auth/password", access: Access::Write, handler: || web::to(password) },
    Route { method: "GET", path: "/api/v1/auth/sessions", access: Access::Read, handler: || web::to(sessions) },
    Route { method: "DELETE", path: "/api/v1/auth/sessions", access: Access::Write, handler: || web::to(end_all) },
    Route { method: "DELETE", path: "/api/v1/auth/sessions/{id}", access: Access::Write, handler: || web::to(end) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(log_in, refresh, confirm, log_out, me, change_me, password, sessions, end_all, end))]
pub struct Document;

/// Name and password.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Login {
    username: String,
    password: String,
}

/// What stands for a user from now on.
#[derive(Serialize, ToSchema)]
struct Tokens {
    /// Goes with each request: `Authorization: Bearer …`.
    access_token: String,
    /// `Bearer`.
    token_type: &'static str,
    /// Seconds until the access token runs out.
    expires_in: u64,
    /// Used once, for the next pair. A second use ends the login.
    refresh_token: String,
}

impl From<TokenPair> for Tokens {
    fn from(pair: TokenPair) -> Tokens {
        Tokens {
            access_token: pair.access,
            token_type: "Bearer",
            expires_in: pair.expires_in,
            refresh_token: pair.refresh,
        }
    }
}

/// Log in
///
/// The answer's cookie `device` is no login. A client that sends it with its next login is not kept out by strangers
/// who guess at the same name.
#[utoipa::path(post, path = "/api/v1/auth/login", tag = "auth", request_body = Login, responses(
    (status = 200, body = Tokens),
    (status = 401, description = "Name and password do not match"),
    (status = 429, description = "Too many tries; `Retry-After` says when to come again"),
))]
async fn log_in(
    server: web::Data<Server>,
    login: Json<Login>,
    request: HttpRequest,
    address: Address,
) -> Result<HttpResponse> {
    let Login { username, password } = login.0;
    let caller = caller(&server, &request, address);
    let device = caller.device.clone();
    match server.accounts.log_in_api(&username, password, caller).await {
        Ok((pair, me)) => {
            let mut response = shown(&Tokens::from(pair), None);
            remember_device(&mut response, &server, &me, device.as_deref())?;
            Ok(response)
        }
        Err(error) => {
            server.refusals.note(Refusal::of_login(&username, address.0, "token.begin"));
            Err(error)
        }
    }
}

/// The refresh token of the pair before.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Refresh {
    refresh_token: String,
}

/// Exchange a refresh token for the next pair
#[utoipa::path(post, path = "/api/v1/auth/refresh", tag = "auth", request_body = Refresh, responses(
    (status = 200, body = Tokens),
    (status = 401, description = "Unknown, used up or ended; a second use ends the whole login"),
))]
async fn refresh(server: web::Data<Server>, body: Json<Refresh>, address: Address) -> Result<HttpResponse> {
    let pair = server.accounts.refresh(&body.0.refresh_token, address.0).await?;
    Ok(shown(&Tokens::from(pair), None))
}

/// The password of whoever is logged in.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Confirm {
    password: String,
}

/// Prove the password again
///
/// An admin's acts ask for a password that was typed within the last 15 minutes (`limits.proof_seconds`). Logging in
/// counts, refreshing does not. Access and refresh token stay as they are.
#[utoipa::path(post, path = "/api/v1/auth/confirm", tag = "auth", request_body = Confirm, responses(
    (status = 204),
    (status = 422, description = "This is not the password"),
    (status = 429, description = "Too many tries; `Retry-After` says when to come again"),
))]
async fn confirm(request: HttpRequest, me: Identity, body: Json<Confirm>) -> Result<HttpResponse> {
    prove(&request, &me, body.0.password).await?;
    Ok(no_content())
}

/// End this login
#[utoipa::path(post, path = "/api/v1/auth/logout", tag = "auth", responses((status = 204)))]
async fn log_out(server: web::Data<Server>, me: Identity) -> Result<HttpResponse> {
    match server.accounts.end_session(&me, me.session).await {
        // Ended by somebody else a moment ago: what was asked for holds.
        Ok(()) | Err(Error::NotFound) => Ok(no_content()),
        Err(error) => Err(error),
    }
}

/// Who is logged in.
#[derive(Serialize, ToSchema)]
struct Me {
    username: String,
    tenant: String,
    role: Role,
    plan: Plan,
    /// IANA zone.
    time_zone: String,
    locale: Locale,
}

/// Who is logged in
#[utoipa::path(get, path = "/api/v1/auth/me", tag = "auth", responses((status = 200, body = Me)))]
async fn me(page: Page, me: Identity, library: Library) -> Result<HttpResponse> {
    let usage = library.rows().read(tenancy::usage).await?;
    let body = Me {
        username: me.user.name.to_string(),
        tenant: me.user.tenant.to_string(),
        role: me.user.role,
        plan: usage.plan,
        time_zone: page.zone_name().to_owned(),
        locale: page.locale(),
    };
    Ok(shown(&body, None))
}

/// What is to be changed; what is absent stays.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct ChangeMe {
    /// IANA zone.
    time_zone: Option<String>,
    locale: Option<Locale>,
}

/// Change one's own zone and language
#[utoipa::path(patch, path = "/api/v1/auth/me", tag = "auth", request_body = ChangeMe, responses(
    (status = 204),
    (status = 422, description = "There is no such zone"),
))]
async fn change_me(server: web::Data<Server>, me: Identity, body: Json<ChangeMe>) -> Result<HttpResponse> {
    let ChangeMe { time_zone, locale } = body.0;
    server.accounts.prefer(&me, Preferences { time_zone, locale, theme: None }, None).await?;
    Ok(no_content())
}

/// The old password and the new one.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct NewPassword {
    current_password: String,
    password: String,
}

/// Change one's own password; every other login ends, and this one's access token: use the refresh token next
#[utoipa::path(post, path = "/api/v1/auth/password", tag = "auth", request_body = NewPassword, responses(
    (status = 204),
    (status = 422, description = "The current password is another, or the new one cannot be used"),
))]
async fn password(server: web::Data<Server>, me: Identity, body: Json<NewPassword>) -> Result<HttpResponse> {
    server.accounts.change_password(&me, body.0.current_password, body.0.password).await?;
    Ok(no_content())
}

/// A live login of one's own.
#[derive(Serialize, ToSchema)]
struct Session {
    id: Uuid,
    /// True for programs, false for browsers.
    api: bool,
    created_at: Moment,
    /// To five minutes.
    last_seen: Moment,
    address: Option<String>,
    /// What the browser or program calls itself.
    agent: String,
    /// The one that asks.
    current: bool,
}

/// List one's own logins
#[utoipa::path(get, path = "/api/v1/auth/sessions", tag = "auth", responses((status = 200, body = List<Session>)))]
async fn sessions(server: web::Data<Server>, me: Identity) -> Result<HttpResponse> {
    // Strangers share the demo account: none learns of another's address.
    let is_demo = me.write_scope().is_err();
    let sessions = server.accounts.sessions(&me).await?.into_iter().filter(|session| session.current || !is_demo);
    let items: Vec<Session> = sessions
        .map(|session| Session {
            id: session.id,
            api: session.api,
            created_at: session.created_at.into(),
            last_seen: session.last_seen.into(),
            address: session.address.map(|address| address.to_string()),
            agent: session.agent,
            current: session.current,
        })
        .collect();
    let total = items.len() as u64;
    Ok(shown(&List { items, next: None, total }, None))
}

/// Log out everywhere, here too
#[utoipa::path(delete, path = "/api/v1/auth/sessions", tag = "auth", responses((status = 204)))]
async fn end_all(server: web::Data<Server>, me: Identity) -> Result<HttpResponse> {
    server.accounts.end_every_session(&me).await?;
    Ok(no_content())
}

/// End one of one's own logins
#[utoipa::path(delete, path = "/api/v1/auth/sessions/{id}", tag = "auth", params(("id" = Uuid, Path)), responses(
    (status = 204),
    (status = 404, description = "None of one's own"),
))]
async fn end(server: web::Data<Server>, me: Identity, id: web::Path<Uuid>) -> Result<HttpResponse> {
    server.accounts.end_session(&me, *id).await?;
    Ok(no_content())
}
