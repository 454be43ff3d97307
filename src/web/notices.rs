//! Where one wants to be told, and what: destinations of notices.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use secrecy::{ExposeSecret as _, SecretString};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Access, Form, Page, Query, Route};
use crate::error::{Error, FieldError, Result};
use crate::notify::{Change, Desk, DeskEditor, Kind, NewDestination, NewWay, Via, View, Way};
use crate::text::Message;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/settings/notices", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/settings/notices", access: Access::Write, handler: || web::to(create) },
    Route { method: "GET", path: "/settings/notices/new", access: Access::Read, handler: || web::to(new) },
    Route { method: "GET", path: "/settings/notices/{id}", access: Access::Read, handler: || web::to(edit) },
    Route { method: "POST", path: "/settings/notices/{id}", access: Access::Write, handler: || web::to(change) },
    Route { method: "POST", path: "/settings/notices/{id}/delete", access: Access::Write, handler: || web::to(delete) },
    Route { method: "POST", path: "/settings/notices/{id}/test", access: Access::Write, handler: || web::to(test) },
    Route { method: "POST", path: "/settings/notices/{id}/rotate", access: Access::Write, handler: || web::to(rotate) },
];

const LIST: &str = "settings/notices.html";
const FORM: &str = "settings/notice.html";

/// How telling a destination goes, in words, and how well.
fn status(page: &Page, view: &View) -> (&'static str, String) {
    let delivery = &view.delivery;
    let mut words = Vec::new();
    let mut level = "ok";
    match (&delivery.fault, delivery.last_ok) {
        (Some(fault), _) => {
            level = "bad";
            let told = Message::new("notice-status-fault").with("when", page.moment(fault.at).text);
            words.push(page.text(&told.with("reason", fault.message.clone())));
        }
        (None, Some(at)) => {
            words.push(page.text(&Message::new("notice-status-ok").with("when", page.moment(at).text)));
        }
        (None, None) => words.push(page.text(&Message::new("notice-status-new"))),
    }
    if view.waiting > 0 && view.row.value.enabled {
        let message = Message::new("notice-status-waiting").with("count", view.waiting);
        words.push(page.text(&message));
        if let Some(at) = delivery.hold_until {
            words.push(page.text(&Message::new("notice-status-again").with("when", page.moment(at).text)));
        }
    }
    if delivery.given_up > 0 {
        words.push(page.text(&Message::new("notice-status-given-up").with("count", delivery.given_up)));
    }
    (level, words.join(" "))
}

fn place_of(way: &Way) -> String {
    match way {
        Way::Telegram { chat, .. } => chat.clone(),
        Way::Webhook { url, .. } => url.clone(),
    }
}

async fn list_context(page: &Page, desk: &Desk, secret: Option<(&View, &SecretString)>) -> Result<Value> {
    let destinations = desk.destinations().await?;
    let items = destinations.iter().map(|view| {
        let destination = &view.row.value;
        let (level, words) = status(page, view);
        json!({
            "id": view.row.id(),
            "name": destination.name,
            "via": destination.way.via().code(),
            "place": place_of(&destination.way),
            "enabled": destination.enabled,
            "kinds": destination.kinds.iter().map(|kind| kind.code()).collect::<Vec<_>>(),
            "level": level,
            "status": words,
        })
    });
    let items: Vec<Value> = items.collect();
    let secret = secret.map(|(view, secret)| json!({"name": view.row.value.name, "value": secret.expose_secret()}));
    Ok(json!({ "destinations": items, "secret": secret, "zone": page.zone_name() }))
}

async fn list(page: Page, desk: Desk) -> Result<HttpResponse> {
    let context = list_context(&page, &desk, None).await?;
    page.render("settings", LIST, context).await
}

/// The list with a secret that is shown this once; no redirect could carry it.
async fn with_secret(page: Page, desk: &Desk, view: &View, secret: &SecretString) -> Result<HttpResponse> {
    let context = list_context(&page, desk, Some((view, secret))).await?;
    page.render("settings", LIST, context).await
}

/// Everything of the form's page; what stands in the form is `form`.
fn form_context(page: &Page, desk: &Desk, via: Via, view: Option<&View>, form: Value) -> Value {
    let destination = view.map(|view| {
        let previous = match &view.row.value.way {
            Way::Webhook { previous, .. } => previous.as_ref().map(|(_, until)| *until),
            Way::Telegram { .. } => None,
        };
        let now = page.server().foundation.clock().now();
        json!({
            "id": view.row.id(),
            "name": view.row.value.name,
            "token_masked": view.row.value.way.token_masked(),
            "previous_until": previous.filter(|until| *until > now).map(|until| page.moment(until)),
            "waiting": view.waiting,
        })
    });
    json!({
        "destination": destination,
        "via": via.code(),
        "kinds": desk.kinds().map(Kind::code).collect::<Vec<_>>(),
        "zone": page.zone_name(),
        "form": form,
        "errors": {},
    })
}

#[derive(Deserialize)]
struct Asked {
    via: Option<Via>,
}

async fn new(page: Page, desk: Desk, asked: Query<Asked>) -> Result<HttpResponse> {
    let kinds: Vec<_> = desk.kinds().map(Kind::code).collect();
    let form = json!({"name": "", "enabled": true, "kind": kinds, "lead_minutes": 10, "digest_hour": 7});
    let context = form_context(&page, &desk, asked.0.via.unwrap_or(Via::Telegram), None, form);
    page.render("settings", FORM, context).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct DestinationForm {
    via: Option<Via>,
    #[serde(default)]
    name: String,
    enabled: Option<String>,
    #[serde(default)]
    kind: Vec<String>,
    #[serde(default)]
    lead_minutes: String,
    #[serde(default)]
    digest_hour: String,
    #[serde(default)]
    token: String,
    #[serde(default)]
    chat_id: String,
    #[serde(default)]
    url: String,
}

/// The form's fields that need reading.
struct Read {
    kinds: BTreeSet<Kind>,
    lead_minutes: u16,
    digest_hour: i8,
}

impl DestinationForm {
    fn read(&self) -> Result<Read> {
        let mut errors = Vec::new();
        let mut complain = |field: &str, message| errors.push(FieldError { field: field.into(), message });
        let kinds = self.kind.iter().filter(|kind| !kind.is_empty()).map(|kind| Kind::parse(kind));
        let kinds = kinds.collect::<Option<BTreeSet<Kind>>>();
        if kinds.is_none() {
            complain("kinds", Message::new("notice-kind-unknown"));
        }
        let lead = self.lead_minutes.trim().parse().ok();
        if lead.is_none() {
            complain("lead_minutes", Message::new("notice-lead-range").with("most", 1440));
        }
        let hour = self.digest_hour.trim().parse().ok();
        if hour.is_none() {
            complain("digest_hour", Message::new("notice-hour-range"));
        }
        match (kinds, lead, hour) {
            (Some(kinds), Some(lead_minutes), Some(digest_hour)) => Ok(Read { kinds, lead_minutes, digest_hour }),
            _ => Err(Error::Invalid(errors)),
        }
    }

    /// The form as it was typed, without the token.
    fn typed(&self) -> Value {
        json!({
            "name": self.name,
            "enabled": self.enabled.is_some(),
            "kind": self.kind,
            "lead_minutes": self.lead_minutes,
            "digest_hour": self.digest_hour,
            "chat_id": self.chat_id,
            "url": self.url,
        })
    }
}

async fn create(page: Page, desk: DeskEditor, form: Form<DestinationForm>) -> Result<HttpResponse> {
    let fields = &form.value;
    let via = fields.via.unwrap_or(Via::Telegram);
    let way = match via {
        Via::Telegram => NewWay::Telegram { token: fields.token.clone(), chat: fields.chat_id.clone() },
        Via::Webhook => NewWay::Webhook { url: fields.url.clone() },
    };
    let made = match fields.read() {
        Ok(read) => {
            let (kinds, lead_minutes, digest_hour) =
                (Some(read.kinds), Some(read.lead_minutes), Some(read.digest_hour));
            let (name, locale) = (fields.name.clone(), page.locale());
            desk.create(NewDestination { name, way, kinds, lead_minutes, digest_hour, locale }).await
        }
        Err(refused) => Err(refused),
    };
    match made {
        Ok(made) => match &made.secret {
            Some(secret) => with_secret(page, &desk, &made.view, secret).await,
            None => {
                let message = Message::new("notice-saved").with("name", made.view.row.value.name);
                Ok(page.see_other("/settings/notices", "ok", Some(message)))
            }
        },
        Err(refused) => {
            let context = form_context(&page, &desk, via, None, fields.typed());
            page.refuse_filled("settings", FORM, context, refused).await
        }
    }
}

async fn edit(page: Page, desk: Desk, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let view = desk.destination(*id).await?;
    let destination = &view.row.value;
    let (chat, url) = match &destination.way {
        Way::Telegram { chat, .. } => (chat.as_str(), ""),
        Way::Webhook { url, .. } => ("", url.as_str()),
    };
    let form = json!({
        "name": destination.name,
        "enabled": destination.enabled,
        "kind": destination.kinds.iter().map(|kind| kind.code()).collect::<Vec<_>>(),
        "lead_minutes": destination.lead_minutes,
        "digest_hour": destination.digest_hour,
        "chat_id": chat,
        "url": url,
    });
    let context = form_context(&page, &desk, destination.way.via(), Some(&view), form);
    page.render("settings", FORM, context).await
}

async fn change(
    page: Page,
    desk: DeskEditor,
    id: web::Path<Uuid>,
    form: Form<DestinationForm>,
) -> Result<HttpResponse> {
    let view = desk.destination(*id).await?;
    let via = view.row.value.way.via();
    let fields = &form.value;
    let changed = match fields.read() {
        Ok(read) => {
            let is_bot = via == Via::Telegram;
            let change = Change {
                name: Some(fields.name.clone()),
                enabled: Some(fields.enabled.is_some()),
                kinds: Some(read.kinds),
                lead_minutes: Some(read.lead_minutes),
                digest_hour: Some(read.digest_hour),
                // An empty field keeps the sealed one.
                token: (is_bot && !fields.token.trim().is_empty()).then(|| fields.token.clone()),
                chat: is_bot.then(|| fields.chat_id.clone()),
                url: (!is_bot).then(|| fields.url.clone()),
            };
            desk.change(*id, None, change).await
        }
        Err(refused) => Err(refused),
    };
    match changed {
        Ok(view) => {
            let message = Message::new("notice-saved").with("name", view.row.value.name);
            Ok(page.see_other("/settings/notices", "ok", Some(message)))
        }
        Err(refused) => {
            let context = form_context(&page, &desk, via, Some(&view), fields.typed());
            page.refuse_filled("settings", FORM, context, refused).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Nothing {}

async fn delete(page: Page, desk: DeskEditor, id: web::Path<Uuid>, _form: Form<Nothing>) -> Result<HttpResponse> {
    let name = desk.destination(*id).await?.row.value.name;
    desk.delete(*id, None).await?;
    let message = Message::new("notice-deleted").with("name", name);
    Ok(page.see_other("/settings/notices", "ok", Some(message)))
}

async fn test(page: Page, desk: DeskEditor, id: web::Path<Uuid>, _form: Form<Nothing>) -> Result<HttpResponse> {
    let name = desk.destination(*id).await?.row.value.name;
    let outcome = page.server().notices.test(&desk, *id, page.locale(), page.zone().clone()).await;
    let (kind, message) = match outcome {
        Ok(None) => ("ok", Message::new("notice-test-there").with("name", name)),
        Ok(Some(fault)) => ("bad", Message::new("notice-test-fault").with("name", name).with("reason", fault)),
        Err(error @ Error::TooMany { .. }) => ("bad", error.message()),
        Err(error) => return Err(error),
    };
    Ok(page.see_other("/settings/notices", kind, Some(message)))
}

async fn rotate(page: Page, desk: DeskEditor, id: web::Path<Uuid>, _form: Form<Nothing>) -> Result<HttpResponse> {
    let made = match desk.rotate(*id).await {
        Ok(made) => made,
        Err(error) => return page.back_with(Some("/settings/notices"), error),
    };
    match &made.secret {
        Some(secret) => with_secret(page, &desk, &made.view, secret).await,
        None => Ok(page.see_other("/settings/notices", "ok", None)),
    }
}
