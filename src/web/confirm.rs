//! The password once more, before acts of an operator: a browser that was left open, or a stolen cookie, does not run
//! the box. A form that was sent too late waits, sealed, in the page that asks; with the password it is done.

use actix_web::body::BoxBody;
use actix_web::dev::ServiceRequest;
use actix_web::http::{Method, header};
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::json;

use super::extract::{Address, Form, FormBytes, Query, own_path, server};
use super::session::{caller, hand_over};
use super::{Access, Page, Route};
use crate::audit::Refusal;
use crate::auth::{Confirmed, Identity};
use crate::error::{Error, Result};
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Vault};

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/confirm", access: Access::Operator, handler: || web::to(show) },
    Route { method: "POST", path: "/confirm", access: Access::Operator, handler: || web::to(confirm) },
];

const TEMPLATE: &str = "confirm.html";

/// Proves the password of whoever asks once more; a wrong one goes on record.
pub(super) async fn prove(request: &HttpRequest, me: &Identity, password: String) -> Result<Identity> {
    let server = server(request)?;
    let address = request.extensions().get::<Address>().copied().unwrap_or(Address(None));
    match server.accounts.confirm(me, password, &caller(&server, request, address)).await {
        Ok(Confirmed { identity, token }) => {
            if let Some(token) = token {
                request.extensions_mut().insert(Renewed(token));
            }
            Ok(identity)
        }
        Err(error) => {
            server.refusals.note(Refusal::of_login(me.user.name.as_str(), address.0, "session.confirm"));
            Err(error)
        }
    }
}

/// What the browser shows from now on in place of its session cookie.
struct Renewed(String);

/// Hands the browser its new cookie, where its password was proved while its request was answered.
pub(super) fn renew(request: &HttpRequest, response: &mut HttpResponse<BoxBody>) -> Result<()> {
    let Some(Renewed(token)) = request.extensions_mut().remove::<Renewed>() else { return Ok(()) };
    hand_over(response, &*server(request)?, &token)
}

#[derive(Deserialize)]
struct Next {
    next: Option<String>,
}

async fn show(page: Page, query: Query<Next>) -> Result<HttpResponse> {
    let next = query.0.next.as_deref().and_then(own_path);
    let context = json!({"action": "/confirm", "held": null, "next": next.as_deref().unwrap_or("/"), "errors": {}});
    page.render("", TEMPLATE, context).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Confirm {
    password: String,
    next: Option<String>,
}

async fn confirm(page: Page, request: HttpRequest, me: Identity, form: Form<Confirm>) -> Result<HttpResponse> {
    let Confirm { password, next } = form.value;
    let next = next.as_deref().and_then(own_path).unwrap_or_else(|| "/".into());
    match prove(&request, &me, password).await {
        Ok(_) => Ok(page.see_other(&next, "ok", None)),
        Err(error) => {
            let context = json!({"action": "/confirm", "held": null, "next": next, "errors": {}});
            page.refuse_filled("", TEMPLATE, context, error).await
        }
    }
}

/// A form that waits for its sender's password. Set where the door refused it.
struct Waiting(web::Bytes);

/// Seals a form into the page that asks for the password: it may hold a password itself, which no page repeats. It
/// opens in the same login only, and for the act that it was sent for.
fn seal(vault: &Vault, me: &Identity, path: &str, form: &[u8]) -> Result<Sealed> {
    let form = std::str::from_utf8(form).map_err(|cause| malformed(cause.to_string()))?;
    let held = SecretString::from(format!("{path}\n{form}"));
    vault.sealing().seal(Some(&me.user.tenant), Purpose::HeldForm, me.session, &held)
}

fn open(vault: &Vault, me: &Identity, path: &str, sealed: String) -> Result<web::Bytes> {
    let sealed: Sealed = serde_json::from_value(sealed.into())?;
    let held = vault.open_sealed(Some(&me.user.tenant), Purpose::HeldForm, me.session, &sealed);
    // Somebody else's, another act's, or none of ours.
    let held = held.map_err(|_| malformed("held".to_owned()))?;
    let form = held.expose_secret().split_once('\n').filter(|(of, _)| *of == path);
    let (_, form) = form.ok_or_else(|| malformed("held".to_owned()))?;
    Ok(web::Bytes::copy_from_slice(form.as_bytes()))
}

fn malformed(cause: String) -> Error {
    Error::Malformed(Message::new("error-form").with("cause", cause))
}

/// The two fields of the page that asks for a form's sake.
fn answer(form: &[u8]) -> Option<(String, String)> {
    let field = |wanted: &str| {
        url::form_urlencoded::parse(form).find(|(name, _)| name == wanted).map(|(_, value)| value.into_owned())
    };
    Some((field("held")?, field("password").unwrap_or_default()))
}

/// The door of an operator's acts. Its form token was checked before.
///
/// # Errors
/// [`Error::ProofRequired`] where the password was typed too long ago; what [`prove`] says of one that comes now.
pub(super) async fn check(request: &mut ServiceRequest, me: &Identity) -> Result<()> {
    let form = request.extensions().get::<FormBytes>().map(|form| form.0.clone());
    let Some((held, password)) = form.as_deref().and_then(answer) else {
        let checked = me.fresh_operator().map(drop);
        if let (Err(_), Some(form)) = (&checked, form) {
            request.extensions_mut().insert(Waiting(form));
        }
        return checked;
    };
    let form = open(server(request.request())?.foundation.vault(), me, request.path(), held)?;
    match prove(request.request(), me, password).await {
        Ok(me) => {
            let mut extensions = request.extensions_mut();
            extensions.insert(me);
            extensions.insert(FormBytes(form));
            Ok(())
        }
        Err(error) => {
            request.extensions_mut().insert(Waiting(form));
            Err(error)
        }
    }
}

/// The page that asks for the password, where that is what stands in the way of `error`'s request.
pub(super) async fn ask(request: &HttpRequest, error: &Error) -> Option<HttpResponse> {
    let form = request.extensions_mut().remove::<Waiting>();
    let error = match (error, &form) {
        (Error::ProofRequired, _) => Error::ProofRequired,
        (Error::Invalid(fields), Some(_)) => Error::Invalid(fields.clone()),
        (Error::TooMany { retry_after }, Some(_)) => Error::TooMany { retry_after: *retry_after },
        _ => return None,
    };
    if matches!(*request.method(), Method::GET | Method::HEAD) {
        let wanted = request.uri().path_and_query().map_or("/", |path| path.as_str());
        let next = url::form_urlencoded::Serializer::new(String::new()).append_pair("next", wanted).finish();
        let target = format!("/confirm?{next}");
        return Some(HttpResponse::SeeOther().insert_header((header::LOCATION, target)).finish());
    }
    match page(request, form, error).await {
        Ok(page) => Some(page),
        Err(cause) => {
            tracing::warn!(%cause, "the page that asks for the password failed");
            None
        }
    }
}

async fn page(request: &HttpRequest, form: Option<Waiting>, error: Error) -> Result<HttpResponse> {
    let page = Page::of(request)?;
    let me = super::extract::identity(request)?;
    let held = form.map(|form| seal(page.server().foundation.vault(), &me, request.path(), &form.0)).transpose()?;
    let action = if held.is_some() { request.path() } else { "/confirm" };
    let context = json!({"action": action, "held": held, "next": page.path(), "errors": {}});
    page.refuse_filled("", TEMPLATE, context, error).await
}
