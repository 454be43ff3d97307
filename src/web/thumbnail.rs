//! The thumbnail gallery.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::json;
use uuid::Uuid;

use super::failure::wants_json;
use super::format::Moment;
use super::serve::{self, Shown};
use super::upload::Upload;
use super::video::{Nothing, UploadBox, Wanted, created, told};
use super::{Access, Form, Page, Query, Route, api};
use crate::error::{Error, Result};
use crate::library::{Editor, Library, Thumbnail, ThumbnailFilter, page_of_thumbnails, used_by};
use crate::media::picture::MOST_BYTES;
use crate::tenancy;
use crate::text::Message;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/thumbnails", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/thumbnails", access: Access::Write, handler: || web::to(upload) },
    Route { method: "POST", path: "/thumbnails/{id}", access: Access::Write, handler: || web::to(rename) },
    Route { method: "POST", path: "/thumbnails/{id}/delete", access: Access::Write, handler: || web::to(delete) },
    Route { method: "GET", path: "/thumbnails/{id}/content", access: Access::Read, handler: || web::to(content) },
];

#[derive(Serialize)]
struct Card {
    id: Uuid,
    title: String,
    size: u64,
    width: u32,
    height: u32,
    created: Moment,
    used_by: u64,
    version: String,
}

/// The gallery's context.
async fn context(page: &Page, library: &Library, wanted: &Wanted, errors: Vec<String>) -> Result<serde_json::Value> {
    let ask = wanted.ask();
    let (mut found, more, usage) = library
        .rows()
        .read(move |rows| {
            let found = page_of_thumbnails(rows, &ask, ThumbnailFilter::Gallery)?;
            let more =
                found.items.iter().map(|(id, _)| Ok((used_by(rows, *id)?, rows.need::<Thumbnail>(*id)?.version)));
            let more: Vec<(u64, u64)> = more.collect::<Result<_>>()?;
            Ok((found, more, tenancy::usage(rows)?))
        })
        .await?;
    let cards = std::mem::take(&mut found.items).into_iter().zip(more);
    let items: Vec<Card> = cards
        .map(|((id, card), (used_by, version))| Card {
            id,
            title: card.title,
            size: card.size,
            width: card.width,
            height: card.height,
            created: page.moment(created(id)),
            used_by,
            version: version.to_string(),
        })
        .collect();
    Ok(json!({
        "list": wanted.frame("/thumbnails", &found, items),
        "upload": UploadBox::new(library, &usage, MOST_BYTES as u64, errors)?,
        "errors": {},
        "renamed": null,
    }))
}

async fn list(page: Page, library: Library, wanted: Query<Wanted>) -> Result<HttpResponse> {
    let context = context(&page, &library, &wanted.0.settled(), Vec::new()).await?;
    page.render("thumbnails", "thumbnail/list.html", context).await
}

async fn upload(page: Page, editor: Editor, request: HttpRequest, form: Upload) -> Result<HttpResponse> {
    let outcome = form.take_thumbnails(&editor).await;
    if wants_json(&request) {
        return api::thumbnails::uploaded(page.locale(), outcome?);
    }
    let (errors, status) = match outcome {
        Ok(outcome) => {
            let (message, errors, status) = told(&page, &outcome, |thumbnail: &Thumbnail| &thumbnail.title);
            if errors.is_empty() {
                return Ok(page.see_other(outcome.back.as_deref().unwrap_or("/thumbnails"), "ok", Some(message)));
            }
            (errors, status)
        }
        Err(cause @ (Error::Invalid(_) | Error::OverQuota(_) | Error::TooLarge(_) | Error::TooMany { .. })) => {
            (page.complaints(&cause), cause.status())
        }
        Err(cause) => return Err(cause),
    };
    let context = context(&page, &editor, &Wanted::default().settled(), errors).await?;
    page.render_status(status, "thumbnails", "thumbnail/list.html", context).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Title {
    title: String,
}

async fn rename(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Title>) -> Result<HttpResponse> {
    match editor.rename_thumbnail(*id, form.row_version(), &form.value.title).await {
        Ok(_) => {
            let back = form.back.as_deref().unwrap_or("/thumbnails");
            Ok(page.see_other(back, "ok", Some(Message::new("library-saved"))))
        }
        Err(error) => {
            // The list as it was, so that the form is on it.
            let asked = form.back.as_deref().and_then(|back| back.split_once('?'));
            let wanted =
                asked.and_then(|(_, query)| serde_html_form::from_str::<Wanted>(query).ok()).unwrap_or_default();
            let mut context = context(&page, &editor, &wanted.settled(), Vec::new()).await?;
            let version = editor.thumbnail(*id).await?.version;
            context["form"] = json!({"version": version.to_string()});
            context["renamed"] = json!(*id);
            page.refuse("thumbnails", "thumbnail/list.html", context, &form.typed, error).await
        }
    }
}

async fn delete(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Nothing>) -> Result<HttpResponse> {
    if let Err(refused) = editor.delete_thumbnail(*id, None).await {
        return page.back_with(form.back.as_deref(), refused);
    }
    let back = form.back.as_deref().unwrap_or("/thumbnails");
    Ok(page.see_other(back, "ok", Some(Message::new("library-thumbnail-deleted"))))
}

async fn content(library: Library, id: web::Path<Uuid>, request: HttpRequest) -> Result<HttpResponse> {
    serve::object(&request, library.open_thumbnail(*id).await?, Shown::Inline)
}
