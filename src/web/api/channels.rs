//! Channels for programs: which are connected and how they are doing, connecting and disconnecting them.

use actix_web::{HttpResponse, web};
use secrecy::SecretString;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use super::streams::Nothing;
use super::{List, ListQuery, Moment, RowFields, created, no_content, place, shown};
use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::oauth::{Asked, Connection, Left, NewClient, Provider, Returned, Service, State, Whose};
use crate::store::paged::Paged;
use crate::store::rows::Row;
use crate::text::Locale;
use crate::web::extract::MaybeJson;
use crate::web::{Access, Json, Page, Route};
use crate::youtube::event::Event;

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/channels", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/api/v1/channels/connect", access: Access::Write, handler: || web::to(connect) },
    Route { method: "GET", path: "/api/v1/channels/client", access: Access::Read, handler: || web::to(client) },
    Route { method: "PUT", path: "/api/v1/channels/client", access: Access::Write, handler: || web::to(bring) },
    Route { method: "DELETE", path: "/api/v1/channels/client", access: Access::Write, handler: || web::to(forget) },
    Route { method: "GET", path: "/api/v1/channels/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "DELETE", path: "/api/v1/channels/{id}", access: Access::Write, handler: || web::to(disconnect) },
    Route { method: "GET", path: "/api/v1/channels/{id}/picture", access: Access::Read, handler: || web::to(picture) },
    Route {
        method: "POST",
        path: "/api/v1/channels/{id}/reconnect",
        access: Access::Write,
        handler: || web::to(reconnect),
    },
    Route { method: "POST", path: "/api/v1/channels/{id}/check", access: Access::Write, handler: || web::to(check) },
    Route {
        method: "POST",
        path: "/api/v1/oauth/{provider}/finish",
        access: Access::Write,
        handler: || web::to(finish),
    },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, connect, client, bring, forget, show, disconnect, picture, reconnect, check, finish))]
pub struct Document;

/// A connected account. Its tokens are never shown.
#[derive(Serialize, ToSchema)]
#[schema(as = Channel)]
struct ChannelBody {
    #[serde(flatten)]
    row: RowFields,
    title: String,
    service: Service,
    /// What the service calls the account, `UC…` for YouTube; null until it was asked.
    account: Option<String>,
    /// The service's short name of it.
    handle: Option<String>,
    /// Whether `…/picture` shows one.
    picture: bool,
    /// What its file was called in the old program.
    original_name: Option<String>,
    /// The client that it was granted to.
    client_id: Option<String>,
    state: State,
    /// Why it is not `active`, and what to do.
    reason: Option<String>,
    /// When a person last granted it; null where it came from an old home.
    granted_at: Option<Moment>,
    /// When its token was last renewed.
    refreshed_at: Option<Moment>,
    /// When its token ends; it is renewed before.
    expires_at: Option<Moment>,
    /// When what failed is tried again.
    next_try_at: Option<Moment>,
}

impl ChannelBody {
    fn of(row: &Row<Connection>, locale: Locale) -> ChannelBody {
        let connection = &row.value;
        let moment = |at: Option<jiff::Timestamp>| at.map(Moment::from);
        ChannelBody {
            row: RowFields::from(row),
            title: connection.title.clone(),
            service: connection.service,
            account: connection.account.clone(),
            handle: connection.handle.clone(),
            picture: connection.picture,
            original_name: Some(connection.original_name.clone()).filter(|name| !name.is_empty()),
            client_id: connection.client_id.clone(),
            state: connection.state,
            reason: connection.fault.as_ref().map(|fault| fault.in_locale(locale)),
            granted_at: moment(connection.granted_at),
            refreshed_at: moment(connection.refreshed_at),
            expires_at: moment(connection.expires_at),
            next_try_at: moment(connection.next_try),
        }
    }
}

/// What YouTube still has of a channel that was disconnected.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelRemains)]
struct PartedBody {
    /// Broadcasts that could not be ended or deleted: do so in YouTube Studio.
    remaining: Vec<RemainingBody>,
}

/// A broadcast that nobody here can end any more.
#[derive(Serialize, ToSchema)]
#[schema(as = RemainingBroadcast)]
struct RemainingBody {
    id: Uuid,
    title: String,
    /// Where viewers find it; null where nobody knows.
    link: Option<String>,
}

impl PartedBody {
    fn of(remaining: &[Row<Event>]) -> PartedBody {
        let body = |row: &Row<Event>| RemainingBody {
            id: row.id(),
            title: row.value.wanted.texts.title.clone(),
            link: row.value.link(),
        };
        PartedBody { remaining: remaining.iter().map(body).collect() }
    }
}

/// A channel that is on its way out.
#[derive(Serialize, ToSchema)]
#[schema(as = LeavingChannel)]
struct LeavingBody {
    #[serde(flatten)]
    channel: ChannelBody,
    /// Broadcasts that YouTube still has; ending them is tried again with the grant, as long as its token is good.
    #[serde(flatten)]
    remains: PartedBody,
}

/// Where a person has to go.
#[derive(Serialize, ToSchema)]
#[schema(as = ChannelConnect)]
struct AskedBody {
    /// At the provider, for a browser. It leads back to `redirect_uri` with `state` and `code`, which the login that
    /// asked for it gives to `POST /oauth/{provider}/finish`.
    authorize_url: String,
    /// Until then.
    expires_at: Moment,
}

impl AskedBody {
    fn of(asked: &Asked) -> AskedBody {
        AskedBody { authorize_url: asked.url.to_string(), expires_at: asked.expires_at.into() }
    }
}

/// The client that channels are connected with.
#[derive(Serialize, ToSchema)]
#[schema(as = OauthClient)]
struct ClientBody {
    /// Null where neither the library nor the box has one.
    client_id: Option<String>,
    /// Whose it is.
    owner: Option<Whose>,
    /// To be registered with the client; null where the settings name no public address.
    redirect_uri: Option<String>,
    /// What people are asked to grant.
    scopes: Vec<&'static str>,
}

/// A client of one's own.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewOauthClient)]
struct ClientFields {
    /// As the provider's console shows it.
    client_id: String,
    /// Likewise; never shown again. Absent: that of the same id stays.
    client_secret: Option<String>,
}

/// What a provider sent somebody back with.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = OauthAnswer)]
struct AnswerFields {
    state: String,
    code: Option<String>,
    error: Option<String>,
    error_description: Option<String>,
    iss: Option<String>,
}

/// List the channels
///
/// Orders: `created_at`, `title`.
#[utoipa::path(get, path = "/api/v1/channels", tag = "channels", params(ListQuery), responses(
    (status = 200, body = List<ChannelBody>),
))]
async fn list(page: Page, library: Library, asked: ListQuery) -> Result<HttpResponse> {
    let (order, turned) = asked.order(&["created_at", "title"])?;
    let search = asked.q.to_lowercase();
    let found = library.channels().await?.into_iter();
    let found = found.filter(|row| row.value.title.to_lowercase().contains(&search));
    let key = |row: &Row<Connection>| match order {
        "title" => [row.value.title.to_lowercase().as_bytes(), &[0], row.id().as_bytes()].concat(),
        _ => row.id().as_bytes().to_vec(),
    };
    let all = found.map(|row| (key(&row), row)).collect();
    let paged = Paged::of(all, &place(&asked, turned)?);
    Ok(shown(&List::of_paged(paged, |row| ChannelBody::of(&row, page.locale())), None))
}

/// Begin to connect a channel
#[utoipa::path(post, path = "/api/v1/channels/connect", tag = "channels", responses(
    (status = 200, body = AskedBody),
    (status = 409, description = "No client, no public address in the settings, or enough channels"),
))]
async fn connect(page: Page, me: Identity, editor: Editor, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    let asked = page.server().grants.ask(&editor, &me, Service::Youtube, None).await?;
    Ok(shown(&AskedBody::of(&asked), None))
}

/// Begin to connect a channel again
#[utoipa::path(post, path = "/api/v1/channels/{id}/reconnect", tag = "channels", params(("id" = Uuid, Path)),
    responses((status = 200, body = AskedBody), (status = 404), (status = 409),
))]
async fn reconnect(
    page: Page,
    me: Identity,
    editor: Editor,
    id: web::Path<Uuid>,
    _body: MaybeJson<Nothing>,
) -> Result<HttpResponse> {
    let asked = page.server().grants.ask(&editor, &me, Service::Youtube, Some(*id)).await?;
    Ok(shown(&AskedBody::of(&asked), None))
}

/// Finish connecting
///
/// By the login that began it, within ten minutes, once.
#[utoipa::path(post, path = "/api/v1/oauth/{provider}/finish", tag = "channels",
    params(("provider" = String, Path, description = "`google`")), request_body = AnswerFields, responses(
    (status = 201, body = ChannelBody, headers(("Location", description = "Address of the channel"))), (status = 404),
    (status = 409, description = "Not this login's, used or too old; or the provider, or the account, will not do"),
    (status = 502, description = "The provider does not answer"),
))]
async fn finish(
    page: Page,
    me: Identity,
    editor: Editor,
    from: web::Path<String>,
    body: Json<AnswerFields>,
) -> Result<HttpResponse> {
    let provider = Provider::parse(&from).ok_or(Error::NotFound)?;
    let AnswerFields { state, code, error, error_description, iss } = body.0;
    let returned = Returned { state, code, error, error_description, iss };
    let row = page.server().grants.finish(&editor, &me, provider, returned).await?;
    let location = format!("/api/v1/channels/{}", row.id());
    Ok(created(&location, &ChannelBody::of(&row, page.locale()), Some(row.version)))
}

/// One channel
#[utoipa::path(get, path = "/api/v1/channels/{id}", tag = "channels", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ChannelBody), (status = 404),
))]
async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.channel(*id).await?;
    Ok(shown(&ChannelBody::of(&row, page.locale()), Some(row.version)))
}

/// The picture of a channel
#[utoipa::path(get, path = "/api/v1/channels/{id}/picture", tag = "channels", params(("id" = Uuid, Path)), responses(
    (status = 200, content_type = "image/jpeg"), (status = 404),
))]
async fn picture(library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    crate::web::channel::picture(library, id).await
}

/// Renew the token of a channel now
#[utoipa::path(post, path = "/api/v1/channels/{id}/check", tag = "channels", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ChannelBody), (status = 404), (status = 409, description = "It has to be connected again"),
    (status = 502, description = "The provider does not answer"),
))]
async fn check(page: Page, editor: Editor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    page.server().grants.check(&editor, *id).await?;
    let row = editor.channel(*id).await?;
    Ok(shown(&ChannelBody::of(&row, page.locale()), Some(row.version)))
}

/// Disconnect a channel
///
/// Its grant is given back at the provider, then erased here. Where the provider does not answer it is tried again for
/// a few hours, then erased all the same. Before that its broadcasts on air are completed and those made ahead deleted,
/// which takes up to 15 seconds.
#[utoipa::path(delete, path = "/api/v1/channels/{id}", tag = "channels", params(("id" = Uuid, Path)), responses(
    (status = 200, body = PartedBody, description = "Disconnected, but YouTube still has broadcasts of it"),
    (status = 204), (status = 404), (status = 202, body = LeavingBody, description = "The provider does not answer; it is tried again"),
))]
async fn disconnect(page: Page, editor: Editor, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let parted = page.server().youtube.disconnect(&editor, *id).await?;
    if !parted.remaining.is_empty() && !matches!(parted.left, Left::Later { .. }) {
        return Ok(HttpResponse::Ok().json(PartedBody::of(&parted.remaining)));
    }
    match parted.left {
        Left::Gone => Ok(no_content()),
        Left::Later { .. } => match editor.channel(*id).await {
            Ok(row) => {
                let remains = PartedBody::of(&parted.remaining);
                Ok(HttpResponse::Accepted()
                    .json(LeavingBody { channel: ChannelBody::of(&row, page.locale()), remains }))
            }
            // Tried again just now, and done.
            Err(Error::NotFound) => Ok(no_content()),
            Err(error) => Err(error),
        },
    }
}

async fn client_body(page: &Page, library: &Library) -> Result<ClientBody> {
    let provider = Service::Youtube.provider();
    let usable = library.usable_client(provider).await?;
    let redirect = provider.redirect(page.server().foundation.config()).ok();
    Ok(ClientBody {
        client_id: usable.as_ref().map(|client| client.client_id.clone()),
        owner: usable.map(|client| client.whose),
        redirect_uri: redirect.map(String::from),
        scopes: Service::Youtube.scopes().to_vec(),
    })
}

/// The client that channels are connected with
#[utoipa::path(get, path = "/api/v1/channels/client", tag = "channels", responses((status = 200, body = ClientBody)))]
async fn client(page: Page, library: Library) -> Result<HttpResponse> {
    Ok(shown(&client_body(&page, &library).await?, None))
}

/// Bring a client of one's own
#[utoipa::path(put, path = "/api/v1/channels/client", tag = "channels", request_body = ClientFields, responses(
    (status = 200, body = ClientBody), (status = 422),
))]
async fn bring(page: Page, editor: Editor, body: Json<ClientFields>) -> Result<HttpResponse> {
    let ClientFields { client_id, client_secret } = body.0;
    let new = NewClient { client_id, secret: client_secret.map(SecretString::from) };
    editor.bring_client(Service::Youtube.provider(), new).await?;
    Ok(shown(&client_body(&page, &editor).await?, None))
}

/// Forget one's own client; channels that were connected with it go on
#[utoipa::path(delete, path = "/api/v1/channels/client", tag = "channels", responses((status = 204)))]
async fn forget(editor: Editor) -> Result<HttpResponse> {
    editor.forget_client(Service::Youtube.provider()).await?;
    Ok(no_content())
}
