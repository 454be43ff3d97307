//! Destinations of notices for programs: where a user wants to be told, what, and how the telling goes.

use std::collections::BTreeSet;

use actix_web::{HttpResponse, web};
use secrecy::ExposeSecret as _;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::streams::Nothing;
use super::{List, ListQuery, Moment, RowFields, created, no_content, place, shown};
use crate::error::{Error, FieldError, Result};
use crate::notify::{Change, Desk, DeskEditor, Kind, Made, NewDestination, NewWay, Via, View, Way};
use crate::store::paged::Paged;
use crate::text::{Locale, Message};
use crate::web::extract::MaybeJson;
use crate::web::{Access, IfMatch, Json, Page, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/notices/destinations", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/api/v1/notices/destinations", access: Access::Write, handler: || web::to(create) },
    Route { method: "GET", path: "/api/v1/notices/destinations/{id}", access: Access::Read, handler: || web::to(show) },
    Route {
        method: "PATCH",
        path: "/api/v1/notices/destinations/{id}",
        access: Access::Write,
        handler: || web::to(change),
    },
    Route {
        method: "DELETE",
        path: "/api/v1/notices/destinations/{id}",
        access: Access::Write,
        handler: || web::to(delete),
    },
    Route {
        method: "POST",
        path: "/api/v1/notices/destinations/{id}/test",
        access: Access::Write,
        handler: || web::to(test),
    },
    Route {
        method: "POST",
        path: "/api/v1/notices/destinations/{id}/rotate-secret",
        access: Access::Write,
        handler: || web::to(rotate),
    },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, change, delete, test, rotate))]
pub struct Document;

/// Where a user wants to be told.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeDestination)]
struct DestinationBody {
    #[serde(flatten)]
    row: RowFields,
    name: String,
    via: Via,
    /// Nothing is sent while it is off.
    enabled: bool,
    kinds: BTreeSet<Kind>,
    /// So many minutes before an occurrence `starts_soon` is told.
    lead_minutes: u16,
    /// Hour of the daily digest, in the user's zone.
    digest_hour: i8,
    /// Telegram: number of the chat, or `@channel`.
    #[serde(skip_serializing_if = "Option::is_none")]
    chat_id: Option<String>,
    /// Telegram: the bot's number; the token itself is never shown.
    #[serde(skip_serializing_if = "Option::is_none")]
    token_masked: Option<String>,
    /// Webhook: where to.
    #[serde(skip_serializing_if = "Option::is_none")]
    url: Option<String>,
    /// Webhook: until when the secret before the last change signs too.
    #[serde(skip_serializing_if = "Option::is_none")]
    previous_secret_until: Option<Moment>,
    delivery: DeliveryBody,
}

/// How telling a destination goes.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeDelivery)]
struct DeliveryBody {
    /// Notices that wait.
    waiting: usize,
    /// The last one that got there.
    last_delivered_at: Option<Moment>,
    /// What went wrong since; null where nothing did.
    fault: Option<FaultBody>,
    /// Notices given up since the last one that got there.
    given_up: u32,
}

/// Why a notice did not get there.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeFault)]
struct FaultBody {
    at: Moment,
    /// What happened and what to do.
    message: String,
    /// When it is tried again, where something waits.
    next_try_at: Option<Moment>,
}

impl DestinationBody {
    fn of(view: &View, locale: Locale) -> DestinationBody {
        let (destination, delivery) = (&view.row.value, &view.delivery);
        let mut body = DestinationBody {
            row: RowFields::from(&view.row),
            name: destination.name.clone(),
            via: destination.way.via(),
            enabled: destination.enabled,
            kinds: destination.kinds.clone(),
            lead_minutes: destination.lead_minutes,
            digest_hour: destination.digest_hour,
            chat_id: None,
            token_masked: destination.way.token_masked(),
            url: None,
            previous_secret_until: None,
            delivery: DeliveryBody {
                waiting: view.waiting,
                last_delivered_at: delivery.last_ok.map(Moment::from),
                fault: delivery.fault.as_ref().map(|fault| FaultBody {
                    at: fault.at.into(),
                    message: fault.message.in_locale(locale),
                    next_try_at: delivery.hold_until.filter(|_| view.waiting > 0).map(Moment::from),
                }),
                given_up: delivery.given_up,
            },
        };
        match &destination.way {
            Way::Telegram { chat, .. } => body.chat_id = Some(chat.clone()),
            Way::Webhook { url, previous, .. } => {
                body.url = Some(url.clone());
                body.previous_secret_until = previous.as_ref().map(|(_, until)| Moment::from(*until));
            }
        }
        body
    }
}

/// A destination and, this once, what its webhooks are signed with.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeDestinationMade)]
struct MadeBody {
    #[serde(flatten)]
    destination: DestinationBody,
    /// Webhook: `whsec_` and a key in base64, as the Standard Webhooks specification has it. Not shown again.
    #[serde(skip_serializing_if = "Option::is_none")]
    secret: Option<String>,
}

impl MadeBody {
    fn of(made: &Made, locale: Locale) -> MadeBody {
        let secret = made.secret.as_ref().map(|secret| secret.expose_secret().to_owned());
        MadeBody { destination: DestinationBody::of(&made.view, locale), secret }
    }
}

/// A destination to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewNoticeDestination)]
struct DestinationFields {
    /// `Telegram` or `Webhook` where absent, in the user's language.
    #[serde(default)]
    name: String,
    via: Via,
    /// Everything that the user may be told where absent.
    kinds: Option<BTreeSet<Kind>>,
    /// 1 to 1440; 10 where absent.
    lead_minutes: Option<u16>,
    /// 0 to 23; 7 where absent.
    digest_hour: Option<i8>,
    /// Telegram: the bot's token, as @BotFather gives it out.
    token: Option<String>,
    /// Telegram: number of the chat, or `@channel`.
    chat_id: Option<String>,
    /// Webhook: where to.
    url: Option<String>,
}

/// What is to be changed; absent: unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NoticeDestinationChange)]
struct DestinationPatch {
    name: Option<String>,
    enabled: Option<bool>,
    kinds: Option<BTreeSet<Kind>>,
    lead_minutes: Option<u16>,
    digest_hour: Option<i8>,
    token: Option<String>,
    chat_id: Option<String>,
    url: Option<String>,
}

/// What came of a test.
#[derive(Serialize, ToSchema)]
#[schema(as = NoticeTest)]
struct TestBody {
    delivered: bool,
    /// What happened and what to do; null where it got there.
    message: Option<String>,
}

fn way(fields: &DestinationFields) -> Result<NewWay> {
    let given = [
        ("token", fields.token.is_some(), Via::Telegram),
        ("chat_id", fields.chat_id.is_some(), Via::Telegram),
        ("url", fields.url.is_some(), Via::Webhook),
    ];
    let strange = given.into_iter().filter(|(_, is_given, via)| *is_given && *via != fields.via);
    let errors =
        strange.map(|(field, ..)| FieldError { field: field.into(), message: Message::new("notice-field-other") });
    let errors: Vec<FieldError> = errors.collect();
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    let text = |given: &Option<String>| given.clone().unwrap_or_default();
    Ok(match fields.via {
        Via::Telegram => NewWay::Telegram { token: text(&fields.token), chat: text(&fields.chat_id) },
        Via::Webhook => NewWay::Webhook { url: text(&fields.url) },
    })
}

/// List one's own destinations
///
/// Orders: `created_at`.
#[utoipa::path(get, path = "/api/v1/notices/destinations", tag = "notices", params(ListQuery), responses(
    (status = 200, body = List<DestinationBody>),
))]
async fn list(page: Page, desk: Desk, asked: ListQuery) -> Result<HttpResponse> {
    let (_, turned) = asked.order(&["created_at"])?;
    let search = asked.q.to_lowercase();
    let found = desk.destinations().await?.into_iter();
    let found = found.filter(|view| view.row.value.name.to_lowercase().contains(&search));
    let all = found.map(|view| (view.row.id().as_bytes().to_vec(), view)).collect();
    let paged = Paged::of(all, &place(&asked, turned)?);
    Ok(shown(&List::of_paged(paged, |view| DestinationBody::of(&view, page.locale())), None))
}

/// Make a destination
///
/// The answer holds the signing secret of a webhook; it is not shown again.
#[utoipa::path(post, path = "/api/v1/notices/destinations", tag = "notices", request_body = DestinationFields, responses(
    (status = 201, body = MadeBody, headers(("Location", description = "Address of the destination"))),
    (status = 409, description = "There are enough"), (status = 422),
))]
async fn create(page: Page, desk: DeskEditor, body: Json<DestinationFields>) -> Result<HttpResponse> {
    let fields = body.0;
    let new = NewDestination {
        way: way(&fields)?,
        name: fields.name,
        kinds: fields.kinds,
        lead_minutes: fields.lead_minutes,
        digest_hour: fields.digest_hour,
        locale: page.locale(),
    };
    let made = desk.create(new).await?;
    let location = format!("/api/v1/notices/destinations/{}", made.view.row.id());
    Ok(created(&location, &MadeBody::of(&made, page.locale()), Some(made.view.row.version)))
}

/// One destination
#[utoipa::path(get, path = "/api/v1/notices/destinations/{id}", tag = "notices", params(("id" = Uuid, Path)), responses(
    (status = 200, body = DestinationBody), (status = 404),
))]
async fn show(page: Page, desk: Desk, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let view = desk.destination(*id).await?;
    Ok(shown(&DestinationBody::of(&view, page.locale()), Some(view.row.version)))
}

/// Change a destination, or turn it off or on
///
/// What waits for it is tried at once.
#[utoipa::path(patch, path = "/api/v1/notices/destinations/{id}", tag = "notices", params(("id" = Uuid, Path)),
    request_body = DestinationPatch, responses(
    (status = 200, body = DestinationBody), (status = 404),
    (status = 412, description = "`If-Match` names an older version"), (status = 422),
))]
async fn change(
    page: Page,
    desk: DeskEditor,
    id: web::Path<Uuid>,
    expected: IfMatch,
    body: Json<DestinationPatch>,
) -> Result<HttpResponse> {
    let patch = body.0;
    let change = Change {
        name: patch.name,
        enabled: patch.enabled,
        kinds: patch.kinds,
        lead_minutes: patch.lead_minutes,
        digest_hour: patch.digest_hour,
        token: patch.token,
        chat: patch.chat_id,
        url: patch.url,
    };
    let view = desk.change(*id, expected.0, change).await?;
    Ok(shown(&DestinationBody::of(&view, page.locale()), Some(view.row.version)))
}

/// Delete a destination with what waits for it
#[utoipa::path(delete, path = "/api/v1/notices/destinations/{id}", tag = "notices", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404), (status = 412),
))]
async fn delete(desk: DeskEditor, id: web::Path<Uuid>, expected: IfMatch) -> Result<HttpResponse> {
    desk.delete(*id, expected.0).await?;
    Ok(no_content())
}

/// Send a test and say what came of it
#[utoipa::path(post, path = "/api/v1/notices/destinations/{id}/test", tag = "notices", params(("id" = Uuid, Path)),
    responses((status = 200, body = TestBody), (status = 404), (status = 429),
))]
async fn test(page: Page, desk: DeskEditor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    let outcome = page.server().notices.test(&desk, *id, page.locale(), page.zone().clone()).await?;
    let message = outcome.map(|message| page.text(&message));
    Ok(shown(&TestBody { delivered: message.is_none(), message }, None))
}

/// Give a webhook another signing secret
///
/// The old one signs beside the new one for a day, so that the other side can change over.
#[utoipa::path(post, path = "/api/v1/notices/destinations/{id}/rotate-secret", tag = "notices",
    params(("id" = Uuid, Path)), responses(
    (status = 200, body = MadeBody), (status = 404), (status = 409, description = "No webhook"),
))]
async fn rotate(page: Page, desk: DeskEditor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    let made = desk.rotate(*id).await?;
    Ok(shown(&MadeBody::of(&made, page.locale()), Some(made.view.row.version)))
}
