//! The page of videos on their way to channels.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::keys::Nothing;
use crate::error::{Error, FieldError, Result};
use crate::library::{Ask, Editor, Library, VideoFilter};
use crate::schedule::sheet::{Limits, Privacy};
use crate::text::Message;
use crate::web::upload::Upload as Sent;
use crate::web::{Form, Page};
use crate::youtube::upload::{NewUpload, UploadTexts, read_sheet};

const TEMPLATE: &str = "youtube/uploads.html";
/// Uploads, and videos to choose from, that the page shows.
const SHOWN: usize = 100;
const PLACE: &str = "/youtube-uploads";

async fn context(page: &Page, library: &Library) -> Result<Value> {
    let channels = library.channels().await?;
    let uploads = library.youtube_uploads(SHOWN).await?;
    let videos = library.video_cards(Ask { limit: SHOWN, ..Ask::default() }, VideoFilter::All).await?;
    let uploads = uploads.iter().map(|row| {
        let upload = &row.value;
        let channel = channels.iter().find(|channel| channel.id() == upload.channel_id);
        json!({
            "id": row.id(),
            "title": upload.texts.title,
            "channel": channel.map(|channel| channel.value.title.clone()),
            "state": upload.state.code(),
            "open": upload.state.is_open(),
            "percent": upload.sent.saturating_mul(100) / upload.total.max(1),
            "sent": upload.sent,
            "total": upload.total,
            "link": upload.link(),
            "publish_at": upload.texts.publish_at.map(|at| page.moment(at)),
            "trouble": upload.trouble.as_ref().map(|trouble| page.text(trouble)),
            "next_try": upload.not_before.filter(|_| upload.state.is_open()).map(|at| page.moment(at)),
        })
    });
    let videos = videos.items.into_iter().map(|(id, card)| json!({"id": id, "title": card.title}));
    let channels = channels.iter().map(|row| json!({"id": row.id(), "title": row.value.title}));
    Ok(json!({
        "uploads": uploads.collect::<Vec<_>>(),
        "videos": videos.collect::<Vec<_>>(),
        "channels": channels.collect::<Vec<_>>(),
        "form": {},
        "errors": {},
    }))
}

pub(super) async fn list(page: Page, library: Library) -> Result<HttpResponse> {
    let context = context(&page, &library).await?;
    page.render("channels", TEMPLATE, context).await
}

/// As the browser sends it.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SelectionForm {
    channel_id: String,
    videos: Vec<String>,
    privacy: String,
}

fn parse(form: &SelectionForm) -> Result<(Uuid, Vec<NewUpload>)> {
    let channel = Uuid::parse_str(&form.channel_id);
    let channel = channel.map_err(|_| Error::field("channel_id", Message::new("youtube-channel-unknown")))?;
    let privacy = Privacy::ALL.into_iter().find(|privacy| privacy.code() == form.privacy);
    if privacy.is_none() && !form.privacy.is_empty() {
        return Err(Error::field("privacy", Message::new("choice-unknown")));
    }
    let ids: Option<Vec<Uuid>> = form.videos.iter().map(|id| Uuid::parse_str(id).ok()).collect();
    let ids = ids.ok_or_else(|| Error::field("videos", Message::new("live-video-unknown")))?;
    let texts = UploadTexts { privacy, ..UploadTexts::default() };
    let items = ids.into_iter().map(|video_id| NewUpload { video_id, texts: texts.clone() });
    Ok((channel, items.collect()))
}

/// The domain speaks of `line.3.video` and `items.0.title`; people count rows, `lines` being their numbers in a workbook.
fn in_words(page: &Page, error: Error, lines: &[u32]) -> Error {
    let Error::Invalid(fields) = error else { return error };
    let place = |field: &str| -> Option<String> {
        let (kind, rest) = field.split_once('.')?;
        let (number, column) = rest.split_once('.')?;
        let number: u32 = number.parse().ok()?;
        let (id, number) = match (kind, lines.get(number as usize)) {
            ("line", _) => ("youtube-uploads-row", number),
            ("items", Some(line)) => ("youtube-uploads-row", *line),
            ("items", None) => ("youtube-uploads-item", number + 1),
            _ => return None,
        };
        let column = column.strip_suffix("_id").unwrap_or(column).replace('_', " ");
        Some(page.text(&Message::new(id).with("row", number).with("column", column)))
    };
    let named = |one: FieldError| FieldError { field: place(&one.field).unwrap_or(one.field), ..one };
    Error::Invalid(fields.into_iter().map(named).collect())
}

async fn answer(page: Page, library: &Library, queued: Result<Vec<Uuid>>, lines: &[u32]) -> Result<HttpResponse> {
    let queued = queued.map_err(|refused| in_words(&page, refused, lines));
    match queued {
        Ok(ids) => {
            Ok(page.see_other(PLACE, "ok", Some(Message::new("youtube-uploads-queued").with("count", ids.len()))))
        }
        Err(refused @ (Error::Conflict(_) | Error::OverQuota(_))) => page.back_with(Some(PLACE), refused),
        Err(refused @ (Error::Invalid(_) | Error::TooLarge(_) | Error::WrongKind(_))) => {
            let context = context(&page, library).await?;
            page.refuse_filled("channels", TEMPLATE, context, refused).await
        }
        Err(other) => Err(other),
    }
}

pub(super) async fn queue(page: Page, editor: Editor, form: Form<SelectionForm>) -> Result<HttpResponse> {
    let queued = match parse(&form.value) {
        Ok((channel, items)) => page.server().youtube.queue_uploads(&editor, channel, items).await,
        Err(refused) => Err(refused),
    };
    answer(page, &editor, queued, &[]).await
}

pub(super) async fn sheet(page: Page, editor: Editor, id: web::Path<Uuid>, form: Sent) -> Result<HttpResponse> {
    editor.channel(*id).await?;
    let mut lines = Vec::new();
    let queued = async {
        let Some((_, file)) = form.take_one(&editor, Limits::default().bytes).await? else {
            return Err(Error::field("file", Message::new("files-none-chosen")));
        };
        let rows = read_sheet(&editor, file, page.zone()).await?;
        lines.extend(rows.iter().map(|row| row.number));
        let items = rows.into_iter().map(|row| row.upload).collect();
        page.server().youtube.queue_uploads(&editor, *id, items).await
    };
    let queued = queued.await;
    answer(page, &editor, queued, &lines).await
}

pub(super) async fn retry(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    _form: Form<Nothing>,
) -> Result<HttpResponse> {
    match page.server().youtube.retry_upload(&editor, *id).await {
        Ok(()) => Ok(page.see_other(PLACE, "ok", Some(Message::new("broadcast-retried")))),
        Err(refused @ Error::Conflict(_)) => page.back_with(Some(PLACE), refused),
        Err(other) => Err(other),
    }
}

pub(super) async fn cancel(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    _form: Form<Nothing>,
) -> Result<HttpResponse> {
    match page.server().youtube.cancel_upload(&editor, *id).await {
        Ok(()) => Ok(page.see_other(PLACE, "ok", Some(Message::new("youtube-upload-cancelled")))),
        Err(refused @ Error::Conflict(_)) => page.back_with(Some(PLACE), refused),
        Err(other) => Err(other),
    }
}
