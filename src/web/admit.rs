//! Decides who is asking, before anything of a request's body is believed: rate limit, origin, identity, access, form
//! token.

use std::net::IpAddr;
use std::rc::Rc;

use actix_web::body::BoxBody;
use actix_web::dev::{Service, ServiceRequest, ServiceResponse, Transform, forward_ready};
use actix_web::http::{Method, header};
use actix_web::{HttpMessage as _, HttpRequest, web};
use futures_util::future::{LocalBoxFuture, Ready, ready};
use secrecy::ExposeSecret as _;
use subtle::ConstantTimeEq as _;

use super::extract::{Address, Console, FormBytes};
use super::{Access, Server};
use crate::audit::Refusal;
use crate::auth::{Identity, network};
use crate::error::{Error, Result};
use crate::text::Message;

/// Largest form without files.
const FORM_LIMIT: usize = 256 << 10;

/// Middleware of one resource: knows the access of each of its methods.
pub(super) struct Admit {
    access: Rc<[(Method, Access)]>,
}

impl Admit {
    pub fn new(access: Vec<(Method, Access)>) -> Admit {
        Admit { access: access.into() }
    }
}

impl<S> Transform<S, ServiceRequest> for Admit
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = actix_web::Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type InitError = ();
    type Transform = Door<S>;
    type Future = Ready<std::result::Result<Self::Transform, Self::InitError>>;

    fn new_transform(&self, inner: S) -> Self::Future {
        ready(Ok(Door { inner: Rc::new(inner), access: self.access.clone() }))
    }
}

pub(super) struct Door<S> {
    inner: Rc<S>,
    access: Rc<[(Method, Access)]>,
}

impl<S> Service<ServiceRequest> for Door<S>
where
    S: Service<ServiceRequest, Response = ServiceResponse<BoxBody>, Error = actix_web::Error> + 'static,
{
    type Response = ServiceResponse<BoxBody>;
    type Error = actix_web::Error;
    type Future = LocalBoxFuture<'static, std::result::Result<Self::Response, Self::Error>>;

    forward_ready!(inner);

    fn call(&self, mut request: ServiceRequest) -> Self::Future {
        let inner = self.inner.clone();
        let access = self.access.iter().find(|(method, _)| method == request.method()).map(|(_, access)| *access);
        Box::pin(async move {
            if let Err(error) = admit(access, &mut request).await {
                note(request.request(), &error);
                return Ok(request.error_response(error));
            }
            let response = inner.call(request).await?;
            if let Some(error) = response.response().error().and_then(|cause| cause.as_error::<Error>()) {
                note(response.request(), error);
            }
            Ok(response)
        })
    }
}

/// Records what was refused to somebody: their rights, a form that was not ours, room.
fn note(request: &HttpRequest, error: &Error) {
    if !matches!(error, Error::Forbidden(_) | Error::OverQuota(_)) {
        return;
    }
    let Some(server) = request.app_data::<web::Data<Server>>() else { return };
    let extensions = request.extensions();
    let identity = extensions.get::<Identity>();
    let address = extensions.get::<Address>().and_then(|address| address.0);
    server.refusals.note(Refusal {
        tenant: identity.map(|identity| identity.scope().tenant().clone()),
        actor: identity.map_or_else(|| "?".to_owned(), |identity| identity.user.name.to_string()),
        address: address.map(|address| address.to_string()),
        action: format!("{} {}", request.method(), request.match_pattern().unwrap_or_default()),
        object: request.path().to_owned(),
    });
}

/// The address that a request came from; `X-Forwarded-For` counts only from a trusted proxy.
fn address_of(request: &ServiceRequest, trusted: &[IpAddr]) -> Option<IpAddr> {
    let peer = request.peer_addr()?.ip().to_canonical();
    if !trusted.contains(&peer) {
        return Some(peer);
    }
    // The last hop that is not ours was written by a proxy of ours.
    let forwarded = request.headers().get_all("x-forwarded-for").filter_map(|value| value.to_str().ok());
    let hops: Vec<&str> = forwarded.flat_map(|value| value.split(',')).map(str::trim).collect();
    let foreign = hops.iter().rev().filter_map(|hop| hop.parse::<IpAddr>().ok()).find(|hop| !trusted.contains(hop));
    Some(foreign.map_or(peer, |hop| hop.to_canonical()))
}

/// Whether a program on this machine asks for itself: no proxy, which would come from here too, speaks for another.
fn is_of_this_box(request: &ServiceRequest, address: Option<IpAddr>) -> bool {
    let forwarded = ["x-forwarded-for", "x-forwarded-proto", "x-forwarded-host", "forwarded", "x-real-ip", "via"];
    address.is_some_and(|address| address.is_loopback())
        && forwarded.iter().all(|name| !request.headers().contains_key(*name))
}

/// Whether whoever asks for figures of the box may see them without being logged in: with the token of the settings or,
/// where there is none, from this machine.
fn may_measure(request: &ServiceRequest, server: &Server, address: Option<IpAddr>) -> bool {
    let Some(token) = &server.foundation.config().metrics_token else { return is_of_this_box(request, address) };
    let shown = request.headers().get(header::AUTHORIZATION).and_then(|shown| shown.to_str().ok());
    let shown = shown.and_then(|shown| shown.split_once(' ')).map_or("", |(_, token)| token.trim());
    bool::from(token.expose_secret().as_bytes().ct_eq(shown.as_bytes()))
}

/// A form on another site must not act here. Programs that send neither header are no browsers and carry no cookies
/// that they were not given.
fn same_origin(request: &ServiceRequest, server: &Server) -> Result<()> {
    let refused = || Error::Forbidden(Message::new("error-foreign-form"));
    let value = |name: &str| request.headers().get(name).map(|value| value.to_str().unwrap_or("?"));
    if let Some(site) = value("sec-fetch-site")
        && !matches!(site, "same-origin" | "none")
    {
        return Err(refused());
    }
    let Some(origin) = value("origin") else { return Ok(()) };
    let public = server.foundation.config().public_url.as_ref().map(|url| url.origin().ascii_serialization());
    let host = value("host").unwrap_or_default();
    let own = origin.split_once("://").is_some_and(|(_, authority)| !host.is_empty() && authority == host);
    if own || public.as_deref() == Some(origin) { Ok(()) } else { Err(refused()) }
}

fn is_safe(method: &Method) -> bool {
    matches!(*method, Method::GET | Method::HEAD | Method::OPTIONS)
}

async fn admit(access: Option<Access>, request: &mut ServiceRequest) -> Result<()> {
    let Some(server) = request.app_data::<web::Data<Server>>().cloned() else {
        return Err(Error::Internal(anyhow::anyhow!("the app has no server data")));
    };
    let console = request.conn_data::<Console>().is_some();
    let address = address_of(request, &server.foundation.config().trusted_proxies);
    request.extensions_mut().insert(Address(address));
    if let Some(address) = address.filter(|_| !console) {
        server.requests.count(network(address))?;
    }
    let identity = identify(request, &server, address).await;
    // From here on pages and the record know who asks, also where that is refused. Handlers run after all checks.
    if let Ok((identity, _)) = &identity {
        request.extensions_mut().insert(identity.clone());
    }
    // Nothing is there that acts: it only has to be told, within the reader's own pages.
    let Some(access) = access else { return Ok(()) };
    if !is_safe(request.method()) {
        same_origin(request, &server)?;
    }
    let checked = match (access, &identity) {
        (Access::Public, _) => Ok(()),
        (Access::Operator | Access::FreshOperator | Access::OperatorOrBox, Err(_)) if console => Ok(()),
        (Access::OperatorOrBox, Err(_)) if may_measure(request, &server, address) => Ok(()),
        (_, Err(Error::LoginRequired)) => Err(Error::LoginRequired),
        (_, Err(_)) => return identity.map(drop),
        (Access::Read, Ok(_)) => Ok(()),
        (Access::Write, Ok((identity, _))) => identity.write_scope().map(drop),
        (Access::Operator | Access::FreshOperator | Access::OperatorOrBox, Ok((identity, _))) => {
            identity.operator().map(drop)
        }
    };
    checked?;
    if access != Access::Public {
        super::api::check_query(request.request())?;
    }
    let Ok((identity, by_cookie)) = identity else { return Ok(()) };
    if identity.write_scope().is_err()
        && let Some(address) = address
    {
        server.demo_requests.count(network(address))?;
    }
    if by_cookie && !is_safe(request.method()) {
        check_form_token(request, &identity).await?;
    }
    if access == Access::FreshOperator {
        super::confirm::check(request, &identity).await?;
    }
    // Every change is on record for good, and no quota counts the record. Running the box is not counted.
    let counts = matches!(access, Access::Read | Access::Write) && !is_safe(request.method());
    if counts && identity.write_scope().is_ok() {
        server.writes.count(identity.scope().tenant().to_string())?;
    }
    Ok(())
}

/// The user behind the bearer token or, where none is shown, behind the cookie; and whether it was the cookie.
async fn identify(request: &ServiceRequest, server: &Server, address: Option<IpAddr>) -> Result<(Identity, bool)> {
    if let Some(shown) = request.headers().get(header::AUTHORIZATION) {
        let token = shown.to_str().ok().and_then(|shown| shown.split_once(' '));
        let token = token.filter(|(scheme, _)| scheme.eq_ignore_ascii_case("bearer")).map(|(_, token)| token.trim());
        let token = token.ok_or(Error::LoginRequired)?;
        return Ok((server.accounts.by_access_token(token, address).await?, false));
    }
    let cookie = request.cookie(super::session::cookie_name(server)).ok_or(Error::LoginRequired)?;
    Ok((server.accounts.by_session(cookie.value(), address).await?, true))
}

/// The session's form token must come back in the header (scripts) or as the form's first field. Multipart forms are
/// checked where they are read, with [`check_token`].
async fn check_form_token(request: &mut ServiceRequest, identity: &Identity) -> Result<()> {
    if let Some(shown) = request.headers().get("x-csrf-token") {
        return check_token(identity, shown.to_str().unwrap_or_default());
    }
    let kind = request.headers().get(header::CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    if kind.starts_with("multipart/form-data") && !request.path().starts_with("/api/") {
        return Ok(());
    }
    let mut shown = String::new();
    if kind.starts_with("application/x-www-form-urlencoded") {
        let body = read_form(request).await?;
        shown = url::form_urlencoded::parse(&body)
            .find(|(name, _)| name == "csrf")
            .map(|(_, value)| value.into_owned())
            .unwrap_or_default();
        request.extensions_mut().insert(FormBytes(body));
    }
    check_token(identity, &shown)
}

/// Compares a shown form token with the session's.
pub(super) fn check_token(identity: &Identity, shown: &str) -> Result<()> {
    if bool::from(identity.csrf.as_bytes().ct_eq(shown.as_bytes())) {
        Ok(())
    } else {
        Err(Error::Forbidden(Message::new("error-form-token")))
    }
}

async fn read_form(request: &mut ServiceRequest) -> Result<web::Bytes> {
    let payload = request.take_payload();
    super::extract::read_body(payload, FORM_LIMIT).await
}
