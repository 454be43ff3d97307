//! Channels: which are connected, how they are doing, connecting and disconnecting them.

mod setup;

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::failure::policy_leading_to;
use super::page::Page;
use super::youtube::quota_card;
use super::{Access, Form, Query, Route};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::kept_key::KeptKey;
use crate::media::sniff_picture;
use crate::oauth::{Asked, Connection, Left, Provider, Returned, Service, State, Whose};
use crate::store::rows::Row;
use crate::text::Message;
use crate::youtube::event::Event;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/channels", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/channels", access: Access::Write, handler: || web::to(connect) },
    Route { method: "GET", path: "/channels/new", access: Access::Read, handler: || web::to(setup::show) },
    Route { method: "POST", path: "/channels/client", access: Access::Write, handler: || web::to(setup::bring) },
    Route {
        method: "POST",
        path: "/channels/client/delete",
        access: Access::Write,
        handler: || web::to(setup::forget),
    },
    Route { method: "GET", path: "/channels/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "GET", path: "/channels/{id}/picture", access: Access::Read, handler: || web::to(picture) },
    Route { method: "POST", path: "/channels/{id}/reconnect", access: Access::Write, handler: || web::to(reconnect) },
    Route { method: "POST", path: "/channels/{id}/check", access: Access::Write, handler: || web::to(check) },
    Route { method: "POST", path: "/channels/{id}/delete", access: Access::Write, handler: || web::to(disconnect) },
    Route { method: "GET", path: "/oauth/{provider}/callback", access: Access::Read, handler: || web::to(returned) },
    Route { method: "POST", path: "/oauth/{provider}/finish", access: Access::Write, handler: || web::to(finish) },
];

const LIST: &str = "channel/list.html";
const SHOW: &str = "channel/show.html";
const FINISH: &str = "channel/finish.html";

/// How a connection is doing: a level and a sentence.
fn status(page: &Page, connection: &Connection) -> (&'static str, String) {
    let moment = |at: jiff::Timestamp| page.moment(at).text;
    let mut words = Vec::new();
    let level = match connection.state {
        State::Active => {
            words.push(Message::new(if connection.refreshed_at.is_some() {
                "channel-well"
            } else {
                "channel-untried"
            }));
            "ok"
        }
        State::RefreshFailed => {
            words.extend(connection.fault.clone());
            words.extend(connection.next_try.map(|at| Message::new("channel-next-try").with("when", moment(at))));
            "warn"
        }
        State::Reconnect => {
            words.extend(connection.fault.clone());
            words.push(Message::new("channel-reconnect-text"));
            "bad"
        }
        State::Leaving => {
            words.push(Message::new("channel-leaving"));
            words.extend(connection.fault.clone());
            words.extend(connection.next_try.map(|at| Message::new("channel-next-try").with("when", moment(at))));
            "warn"
        }
    };
    let words: Vec<String> = words.iter().map(|message| page.text(message)).collect();
    (level, words.join(" "))
}

fn card(page: &Page, row: &Row<Connection>) -> Value {
    let connection = &row.value;
    let (level, words) = status(page, connection);
    let now = page.server().foundation.clock().now();
    let age = connection.refreshed_at.map(|at| now.duration_since(at).as_secs_f64().max(0.0));
    json!({
        "id": row.id(),
        "title": connection.title,
        "handle": connection.handle,
        "account": connection.account,
        "picture": connection.picture,
        "state": connection.state.code(),
        "level": level,
        "status": words,
        "token_age": age,
        "original_name": connection.original_name,
    })
}

/// With what is used of the day's units, and how many of its keys are kept.
async fn card_with_use(page: &Page, library: &Library, row: &Row<Connection>) -> Result<Value> {
    let mut card = card(page, row);
    card["quota"] = quota_card(page, library, row.value.client_id.as_deref()).await?;
    let own = |key: &Row<KeptKey>| key.value.channel_id == Some(row.id());
    card["keys"] = json!(library.kept_keys().await?.into_iter().filter(own).count());
    Ok(card)
}

/// A page from which forms lead to the provider's own.
fn leading_away(page: &Page, mut response: HttpResponse) -> Result<HttpResponse> {
    let ends = Service::Youtube.provider().ends(page.server().foundation.config())?;
    let policy = policy_leading_to(&ends.authorize.origin().ascii_serialization());
    let value = header::HeaderValue::from_str(&policy);
    let value = value.map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("content policy")))?;
    response.headers_mut().insert(header::CONTENT_SECURITY_POLICY, value);
    Ok(response)
}

async fn list(page: Page, library: Library) -> Result<HttpResponse> {
    let channels = library.channels().await?;
    let mut cards = Vec::with_capacity(channels.len());
    for row in &channels {
        cards.push(card_with_use(&page, &library, row).await?);
    }
    page.render("channels", LIST, json!({ "channels": cards })).await
}

async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.channel(*id).await?;
    let connection = &row.value;
    let own = library.own_client(connection.service.provider()).await?;
    let settings = &page.server().foundation.config().oauth.google;
    let whose = match connection.client_id.as_deref() {
        Some(id) if own.as_ref().is_some_and(|own| own.client_id == id) => Some(Whose::Own),
        Some(id) if settings.client_id.as_deref() == Some(id) => Some(Whose::Box),
        _ => None,
    };
    let can_connect = library.usable_client(connection.service.provider()).await?.is_some();
    let hanging = library.hanging_on(*id).await?;
    let context = json!({
        "channel": card_with_use(&page, &library, &row).await?,
        "granted_at": connection.granted_at.map(|at| page.moment(at)),
        "refreshed_at": connection.refreshed_at.map(|at| page.moment(at)),
        "expires_at": connection.expires_at.map(|at| page.moment(at)),
        "made_by": row.header.created_by,
        "made_at": page.moment(row.header.created_at),
        "client_id": connection.client_id,
        "client_of": whose.map(|whose| if whose == Whose::Own { "own" } else { "box" }),
        "permissions_page": connection.service.provider().permissions_page(),
        "can_connect": can_connect,
        "on_air": (!hanging.on_air.is_empty()).then(|| titles(&hanging.on_air)),
        "planned": hanging.planned.len(),
    });
    leading_away(&page.clone(), page.render("channels", SHOW, context).await?)
}

pub(super) async fn picture(library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let bytes = library.connection_picture(*id).await?;
    let kind = sniff_picture(&bytes).ok_or(Error::NotFound)?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CONTENT_TYPE, kind.content_type()))
        .insert_header((header::CACHE_CONTROL, "private, max-age=3600"))
        .insert_header((header::CONTENT_SECURITY_POLICY, "default-src 'none'; sandbox"))
        .body(bytes))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

/// On to the provider.
fn away(asked: &Asked) -> HttpResponse {
    HttpResponse::SeeOther().insert_header((header::LOCATION, asked.url.as_str())).finish()
}

async fn connect(page: Page, me: Identity, editor: Editor, _form: Form<Nothing>) -> Result<HttpResponse> {
    match page.server().grants.ask(&editor, &me, Service::Youtube, None).await {
        Ok(asked) => Ok(away(&asked)),
        Err(Error::Conflict(message)) => Ok(page.see_other("/channels/new", "bad", Some(message))),
        Err(error) => Err(error),
    }
}

async fn reconnect(
    page: Page,
    me: Identity,
    editor: Editor,
    id: web::Path<Uuid>,
    _form: Form<Nothing>,
) -> Result<HttpResponse> {
    match page.server().grants.ask(&editor, &me, Service::Youtube, Some(*id)).await {
        Ok(asked) => Ok(away(&asked)),
        Err(Error::Conflict(message)) => Ok(page.see_other("/channels/new", "bad", Some(message))),
        Err(error) => Err(error),
    }
}

async fn check(page: Page, editor: Editor, id: web::Path<Uuid>, _form: Form<Nothing>) -> Result<HttpResponse> {
    let checked = page.server().grants.check(&editor, *id).await.map_err(Error::from);
    let (kind, message) = match checked {
        Ok(_) => ("ok", Message::new("channel-checked")),
        Err(Error::Conflict(why) | Error::Upstream(why)) => ("bad", why),
        Err(error) => return Err(error),
    };
    Ok(page.see_other(&format!("/channels/{id}"), kind, Some(message)))
}

/// What broadcasts are called; of many, the first.
fn titles(events: &[Row<Event>]) -> String {
    const MOST: usize = 5;
    let titles: Vec<&str> = events.iter().take(MOST).map(|row| row.value.wanted.texts.title.as_str()).collect();
    let more = if events.len() > MOST { ", …" } else { "" };
    format!("{}{more}", titles.join(", "))
}

async fn disconnect(page: Page, editor: Editor, id: web::Path<Uuid>, _form: Form<Nothing>) -> Result<HttpResponse> {
    let title = editor.channel(*id).await?.value.title;
    let parted = page.server().youtube.disconnect(&editor, *id).await?;
    if !parted.remaining.is_empty() {
        let titles = titles(&parted.remaining);
        let id = match parted.left {
            // Its token is still good: what is left is tried again with it.
            Left::Later { .. } => "channel-going-remaining",
            Left::Gone => "channel-gone-remaining",
        };
        let message = Message::new(id).with("title", title).with("broadcasts", titles);
        return Ok(page.see_other("/channels", "bad", Some(message)));
    }
    let (kind, message) = match parted.left {
        Left::Gone => ("ok", Message::new("channel-gone")),
        Left::Later { why, .. } => ("warn", Message::new("channel-gone-later").with("why", why)),
    };
    Ok(page.see_other("/channels", kind, Some(message.with("title", title))))
}

/// What a provider sends somebody back with.
#[derive(Deserialize)]
struct Answer {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

fn provider(code: &str) -> Result<Provider> {
    Provider::parse(code).ok_or(Error::NotFound)
}

/// Coming back is a GET, which changes nothing here: the page that it shows sends on what came, by itself where scripts
/// run.
async fn returned(page: Page, from: web::Path<String>, answer: Query<Answer>) -> Result<HttpResponse> {
    let (provider, answer) = (provider(&from)?, answer.0);
    let fields = [
        ("state", Some(answer.state)),
        ("code", answer.code),
        ("error", answer.error),
        ("error_description", answer.error_description),
        ("iss", answer.iss),
    ];
    let fields = fields.into_iter().filter_map(|(name, value)| Some(json!({"name": name, "value": value?})));
    let fields: Vec<Value> = fields.collect();
    let context = json!({"provider": provider.code(), "name": provider.name(), "fields": fields});
    page.render("channels", FINISH, context).await
}

/// [`Answer`], sent on by the page.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Sent {
    #[serde(default)]
    state: String,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

async fn finish(
    page: Page,
    me: Identity,
    editor: Editor,
    from: web::Path<String>,
    form: Form<Sent>,
) -> Result<HttpResponse> {
    let provider = provider(&from)?;
    let Sent { state, code, error, error_description, iss } = form.value;
    let returned = Returned { state, code, error, error_description, iss };
    match page.server().grants.finish(&editor, &me, provider, returned).await {
        Ok(row) => {
            let message = Message::new("channel-connected").with("title", row.value.title.as_str());
            Ok(page.see_other(&format!("/channels/{}", row.id()), "ok", Some(message)))
        }
        Err(Error::Conflict(message) | Error::Upstream(message)) => {
            Ok(page.see_other("/channels/new", "bad", Some(message)))
        }
        Err(error) => Err(error),
    }
}
