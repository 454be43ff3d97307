//! The page of kept stream keys.

use actix_web::http::header;
use actix_web::{HttpRequest, HttpResponse, web};
use secrecy::ExposeSecret as _;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::kept_key::KeptKey;
use crate::oauth::project_of;
use crate::store::blocking;
use crate::text::Message;
use crate::web::confirm::prove;
use crate::web::upload::Upload;
use crate::web::{Form, Page};
use crate::youtube::keys::{Fetched, users_of};
use crate::youtube::mapping::MOST;

const TEMPLATE: &str = "youtube/keys.html";

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

/// How the day of a client's project stands; null while nobody knows the client.
pub(in crate::web) async fn quota_card(page: &Page, library: &Library, client: Option<&str>) -> Result<Value> {
    let Some(client) = client else { return Ok(Value::Null) };
    let units = page.server().youtube.units(project_of(client), library.tenant()).await?;
    let percent = (units.used + units.kept).saturating_mul(100) / units.limit.max(1);
    let (upload, broadcast) = page.server().youtube.prices();
    Ok(json!({
        "upload": upload, "broadcast": broadcast,
        "used": units.used, "kept": units.kept, "limit": units.limit, "exhausted": units.exhausted,
        "share": units.share.map(|(left, share)| json!({"left": left, "units": share})),
        "percent": percent.min(100), "reset_at": page.moment(units.reset_at),
    }))
}

async fn context(page: &Page, library: &Library) -> Result<Value> {
    let channels = library.channels().await?;
    let kept = library.kept_keys().await?;
    let ids: Vec<Uuid> = kept.iter().map(|row| row.id()).collect();
    let users = library
        .rows()
        .read(move |rows| ids.into_iter().map(|id| users_of(rows, id)).collect::<Result<Vec<_>>>())
        .await?;
    let card = |(row, users): (&crate::store::rows::Row<KeptKey>, &Vec<(Uuid, String)>)| {
        json!({
            "id": row.id(),
            "title": row.value.title,
            "masked": row.value.key_masked,
            "url": row.value.url.as_ref().map(ToString::to_string),
            "streams": users.iter().map(|(id, title)| json!({"id": id, "title": title})).collect::<Vec<_>>(),
        })
    };
    let of = |channel: Option<Uuid>| -> Vec<Value> {
        kept.iter().zip(&users).filter(|(row, _)| row.value.channel_id == channel).map(card).collect()
    };
    let mut groups = Vec::new();
    for row in &channels {
        let quota = quota_card(page, library, row.value.client_id.as_deref()).await?;
        groups.push(json!({"id": row.id(), "title": row.value.title, "keys": of(Some(row.id())), "quota": quota}));
    }
    let known: Vec<Uuid> = channels.iter().map(|row| row.id()).collect();
    let loose: Vec<Value> = kept
        .iter()
        .zip(&users)
        .filter(|(row, _)| row.value.channel_id.is_none_or(|id| !known.contains(&id)))
        .map(card)
        .collect();
    Ok(json!({"channels": groups, "loose": loose, "revealed": null, "asked": "", "form": {}, "errors": {}}))
}

pub(super) async fn list(page: Page, library: Library) -> Result<HttpResponse> {
    let context = context(&page, &library).await?;
    page.render("channels", TEMPLATE, context).await
}

fn told(fetched: Fetched) -> Message {
    Message::new("youtube-keys-fetched")
        .with("added", fetched.added)
        .with("changed", fetched.changed)
        .with("gone", fetched.gone)
}

pub(super) async fn fetch(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    _form: Form<Nothing>,
) -> Result<HttpResponse> {
    match page.server().youtube.fetch_keys(&editor, *id).await {
        Ok(fetched) => Ok(page.see_other("/stream-keys", "ok", Some(told(fetched)))),
        Err(refused @ (Error::Conflict(_) | Error::Upstream(_) | Error::OverQuota(_))) => {
            page.back_with(Some("/stream-keys"), refused)
        }
        Err(other) => Err(other),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct KeyForm {
    title: String,
}

pub(super) async fn create(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    form: Form<KeyForm>,
) -> Result<HttpResponse> {
    match page.server().youtube.create_key(&editor, *id, &form.value.title).await {
        Ok(_) => {
            let message = Message::new("youtube-key-made").with("title", form.value.title.trim().to_owned());
            Ok(page.see_other("/stream-keys", "ok", Some(message)))
        }
        Err(refused @ (Error::Conflict(_) | Error::Upstream(_) | Error::OverQuota(_))) => {
            page.back_with(Some("/stream-keys"), refused)
        }
        Err(refused @ Error::Invalid(_)) => {
            let context = context(&page, &editor).await?;
            page.refuse("channels", TEMPLATE, context, &form.typed, refused).await
        }
        Err(other) => Err(other),
    }
}

pub(super) async fn delete(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    _form: Form<Nothing>,
) -> Result<HttpResponse> {
    match page.server().youtube.delete_key(&editor, *id).await {
        Ok(()) => Ok(page.see_other("/stream-keys", "ok", Some(Message::new("youtube-key-deleted")))),
        Err(refused @ (Error::Conflict(_) | Error::Upstream(_))) => page.back_with(Some("/stream-keys"), refused),
        Err(other) => Err(other),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct PasswordForm {
    password: String,
}

pub(super) async fn reveal(
    request: HttpRequest,
    page: Page,
    me: Identity,
    editor: Editor,
    id: web::Path<Uuid>,
    form: Form<PasswordForm>,
) -> Result<HttpResponse> {
    let id = *id;
    let row = editor.rows().read(move |rows| rows.need::<KeptKey>(id)).await?;
    let mut context = context(&page, &editor).await?;
    match prove(&request, &me, form.value.password).await {
        Ok(_) => {
            let key = page.server().youtube.reveal_key(&editor, id).await?;
            let url = row.value.as_target(id).address()?.to_string();
            context["revealed"] = json!({"id": id, "title": row.value.title, "key": key.expose_secret(), "url": url});
            let mut response = page.render("channels", TEMPLATE, context).await?;
            response.headers_mut().insert(header::CACHE_CONTROL, header::HeaderValue::from_static("no-store"));
            Ok(response)
        }
        Err(refused) => {
            context["asked"] = json!(id);
            page.refuse_filled("channels", TEMPLATE, context, refused).await
        }
    }
}

pub(super) async fn import(page: Page, editor: Editor, form: Upload) -> Result<HttpResponse> {
    let taken = match form.take_one(&editor, MOST).await {
        Ok(Some((_, file))) => {
            let text = zeroize::Zeroizing::new(blocking(move || file.read()).await?);
            page.server().youtube.import_mapping(&editor, &text).await
        }
        Ok(None) => Err(Error::field("file", Message::new("files-none-chosen"))),
        Err(refused) => Err(refused),
    };
    match taken {
        Ok(fetched) => Ok(page.see_other("/stream-keys", "ok", Some(told(fetched)))),
        Err(refused @ (Error::Invalid(_) | Error::TooLarge(_) | Error::OverQuota(_))) => {
            let context = context(&page, &editor).await?;
            page.refuse_filled("channels", TEMPLATE, context, refused).await
        }
        Err(other) => Err(other),
    }
}

pub(super) async fn export(
    request: HttpRequest,
    page: Page,
    me: Identity,
    editor: Editor,
    form: Form<PasswordForm>,
) -> Result<HttpResponse> {
    if let Err(refused) = prove(&request, &me, form.value.password).await {
        let mut context = context(&page, &editor).await?;
        context["asked"] = json!("export");
        return page.refuse_filled("channels", TEMPLATE, context, refused).await;
    }
    let mapping = page.server().youtube.export_mapping(&editor).await?;
    Ok(HttpResponse::Ok()
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .insert_header((header::CONTENT_DISPOSITION, "attachment; filename=\"stream_mapping.json\""))
        .content_type("application/json")
        .body(mapping.to_string()))
}
