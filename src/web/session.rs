//! Logging in and out with a browser, and choosing language and theme.

use actix_web::cookie::{Cookie, SameSite, time::Duration};
use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use serde::Deserialize;
use serde_json::json;

use super::extract::{Address, Form, Query, own_path};
use super::{Access, Page, Route, Server};
use crate::audit::Refusal;
use crate::auth::{Caller, Identity, Preferences, Theme};
use crate::error::{Error, Result};
use crate::text::{Locale, Message};

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/login", access: Access::Public, handler: || web::to(show) },
    Route { method: "POST", path: "/login", access: Access::Public, handler: || web::to(log_in) },
    Route { method: "POST", path: "/login/demo", access: Access::Public, handler: || web::to(log_in_demo) },
    Route { method: "POST", path: "/logout", access: Access::Read, handler: || web::to(log_out) },
    Route { method: "POST", path: "/preferences", access: Access::Public, handler: || web::to(prefer) },
];

/// With https the browser itself holds the cookie to this host and path.
pub(super) fn cookie_name(server: &Server) -> &'static str {
    if server.foundation.config().is_https() { "__Host-session" } else { "session" }
}

/// Outlives the session: a browser in which somebody has logged in before.
fn device_name(server: &Server) -> &'static str {
    if server.foundation.config().is_https() { "__Host-device" } else { "device" }
}

/// To the login page, and back to where one was after it.
pub(super) fn to_login(request: &HttpRequest) -> HttpResponse {
    let wanted = match request.path() {
        // A provider's code and our state stand in this address; they are good for the ended session only.
        path if path.starts_with("/oauth/") => "/channels",
        _ => request.uri().path_and_query().map_or("/", |path| path.as_str()),
    };
    let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
    let target = if wanted == "/" { "/login".to_owned() } else { format!("/login?{next}") };
    HttpResponse::SeeOther().insert_header((header::LOCATION, target)).finish()
}

#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

async fn context(page: &Page, next: Option<&str>) -> Result<serde_json::Value> {
    let demo = page.server().accounts.demo_open().await?;
    Ok(json!({ "next": next.unwrap_or("/"), "demo": demo, "form": {}, "errors": {} }))
}

async fn show(page: Page, query: Query<Next>) -> Result<HttpResponse> {
    let next = query.0.next.as_deref().and_then(own_path);
    if page.identity().is_some() {
        return Ok(page.see_other(next.as_deref().unwrap_or("/"), "ok", None));
    }
    let context = context(&page, next.as_deref()).await?;
    page.render("", "login.html", context).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Login {
    username: String,
    password: String,
    next: Option<String>,
}

/// What a request tells of the client that sends it.
pub(super) fn caller(server: &Server, request: &HttpRequest, address: Address) -> Caller {
    let agent = request.headers().get(header::USER_AGENT).and_then(|agent| agent.to_str().ok());
    let device = request.cookie(device_name(server)).map(|cookie| cookie.value().to_owned());
    Caller { address: address.0, agent: agent.unwrap_or_default().to_owned(), device }
}

fn own_cookie(server: &Server, name: &'static str, value: &str, age: Option<Duration>) -> Cookie<'static> {
    let cookie = Cookie::build(name, value.to_owned())
        .path("/")
        .http_only(true)
        .secure(server.foundation.config().is_https())
        .same_site(SameSite::Lax);
    match age {
        Some(age) => cookie.max_age(age).finish(),
        None => cookie.finish(),
    }
}

async fn log_in(page: Page, form: Form<Login>, request: HttpRequest, address: Address) -> Result<HttpResponse> {
    let Login { username, password, next } = form.value;
    let next = next.as_deref().and_then(own_path);
    let server = page.server().clone();
    let caller = caller(&server, &request, address);
    let shown = caller.device.clone();
    match server.accounts.log_in(username.trim(), password, caller).await {
        Ok((token, me)) => {
            let mut response = page.see_other(next.as_deref().unwrap_or("/"), "ok", None);
            hand_over(&mut response, &server, &token)?;
            remember_device(&mut response, &server, &me, shown.as_deref())?;
            Ok(response)
        }
        Err(error) => {
            server.refusals.note(Refusal::of_login(&username, address.0, "session.begin"));
            let context = context(&page, next.as_deref()).await?;
            page.refuse("", "login.html", context, &form.typed, error).await
        }
    }
}

/// Gives a client that just logged in what it is known by at its next login.
pub(super) fn remember_device(
    response: &mut HttpResponse,
    server: &Server,
    me: &Identity,
    shown: Option<&str>,
) -> Result<()> {
    let device = server.accounts.device(me, shown)?;
    add_cookie(response, &own_cookie(server, device_name(server), &device, Some(Duration::days(365))))
}

/// Gives a browser the token of its session.
pub(super) fn hand_over(response: &mut HttpResponse, server: &Server, token: &str) -> Result<()> {
    add_cookie(response, &session_cookie(server, token, Some(Duration::days(30))))
}

fn session_cookie(server: &Server, token: &str, age: Option<Duration>) -> Cookie<'static> {
    own_cookie(server, cookie_name(server), token, age)
}

/// Logs into the demo account without a password: it can change nothing.
async fn log_in_demo(page: Page, request: HttpRequest, address: Address) -> Result<HttpResponse> {
    let server = page.server().clone();
    let (token, _) = server.accounts.log_in_demo(caller(&server, &request, address)).await?;
    let mut response = page.see_other("/", "ok", None);
    add_cookie(&mut response, &session_cookie(&server, &token, None))?;
    Ok(response)
}

fn add_cookie(response: &mut HttpResponse, cookie: &Cookie<'_>) -> Result<()> {
    response.add_cookie(cookie).map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("cookie")))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn log_out(page: Page, me: Identity, _form: Form<Nothing>) -> Result<HttpResponse> {
    let server = page.server().clone();
    server.accounts.end_session(&me, me.session).await?;
    let mut response = page.see_other("/login", "ok", Some(Message::new("logged-out")));
    add_cookie(&mut response, &session_cookie(&server, "", Some(Duration::ZERO)))?;
    Ok(response)
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Preference {
    theme: Option<String>,
    locale: Option<String>,
}

/// Kept in a cookie for everybody, so that the login page and a demo user have it too, and with the user.
async fn prefer(page: Page, form: Form<Preference>) -> Result<HttpResponse> {
    let mut response = page.see_other(form.back.as_deref().unwrap_or("/"), "ok", None);
    let mut preferences = Preferences::default();
    if let Some(theme) = &form.value.theme {
        let theme = Theme::parse(theme);
        preferences.theme = Some(theme);
        add_cookie(&mut response, &page.preference("theme", theme.map_or("auto", Theme::code), Duration::days(365)))?;
    }
    if let Some(locale) = &form.value.locale {
        let locale = Locale::parse(locale).ok_or_else(|| Error::field("locale", Message::new("locale-unknown")))?;
        preferences.locale = Some(locale);
        add_cookie(&mut response, &page.preference("locale", locale.code(), Duration::days(365)))?;
    }
    if let Some(me) = page.identity().filter(|me| me.write_scope().is_ok()) {
        page.server().accounts.prefer(me, preferences, None).await?;
    }
    Ok(response)
}
