//! The page of videos on their way to channels.

use std::collections::{BTreeSet, HashMap};

use actix_web::{HttpResponse, web};
use jiff::Timestamp;
use jiff::civil::DateTime;
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::keys::Nothing;
use crate::error::{Error, FieldError, Result};
use crate::library::{self, Ask, Editor, Library, VideoFilter};
use crate::oauth::Connection;
use crate::schedule::sheet::{Limits, Privacy};
use crate::store::rows::Row;
use crate::text::Message;
use crate::web::schedule::zones;
use crate::web::upload::Upload as Sent;
use crate::web::{Form, Page, Query};
use crate::youtube::upload::{MOST_OPEN, MOST_OVER, NewUpload, Upload, UploadState, UploadTexts, read_sheet};

const TEMPLATE: &str = "youtube/uploads.html";
/// Uploads, and videos to choose from, that the page shows.
const SHOWN: usize = 100;
const PLACE: &str = "/youtube-uploads";

/// An upload as pages show it.
fn card(page: &Page, channels: &[Row<Connection>], row: &Row<Upload>) -> Value {
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
        "ended": upload.ended_at.map(|at| page.moment(at)),
    })
}

/// What a video's own page tells of YouTube: whether it can go there, and its uploads.
pub(in crate::web) async fn of_video(page: &Page, library: &Library, video: Uuid) -> Result<Value> {
    let channels = library.channels().await?;
    let uploads = library.youtube_uploads_of(video, 20).await?;
    let uploads: Vec<Value> = uploads.iter().map(|row| card(page, &channels, row)).collect();
    Ok(json!({"connected": !channels.is_empty(), "uploads": uploads}))
}

/// Everything of the page; `chosen` are the videos that are chosen already.
async fn context(page: &Page, library: &Library, chosen: &[Uuid]) -> Result<Value> {
    let channels = library.channels().await?;
    let uploads = library.youtube_uploads(MOST_OPEN + MOST_OVER).await?;
    let title = |id: Uuid| channels.iter().find(|row| row.id() == id).map(|row| row.value.title.as_str());
    let mut there: HashMap<Uuid, BTreeSet<&str>> = HashMap::new();
    for upload in uploads.iter().map(|row| &row.value).filter(|upload| upload.state == UploadState::Done) {
        there.entry(upload.video_id).or_default().extend(title(upload.channel_id));
    }
    let newest = library.video_cards(Ask { limit: SHOWN, ..Ask::default() }, VideoFilter::All).await?;
    let others: Vec<Uuid> =
        chosen.iter().copied().filter(|id| newest.items.iter().all(|(known, _)| known != id)).take(MOST_OPEN).collect();
    let others = library.videos_by_id(others.into_iter().collect()).await?;
    let pictures = library.rows().read(|rows| library::gallery(rows, [])).await?;
    let option = |id: Uuid, title: &str, duration: f64, picture: Option<Uuid>| json!({"id": id, "title": title, "duration": duration, "picture": picture, "there": there.get(&id)});
    let others = others.iter().map(|(id, row)| {
        let video = &row.value;
        option(*id, &video.title, video.facts.duration, video.thumbnail_id)
    });
    // What was chosen stands in sight.
    let (first, rest): (Vec<_>, Vec<_>) = newest.items.iter().partition(|(id, _)| chosen.contains(id));
    let newest =
        first.into_iter().chain(rest).map(|(id, card)| option(*id, &card.title, card.duration, card.thumbnail_id));
    let videos: Vec<Value> = others.chain(newest).collect();
    Ok(json!({
        "uploads": uploads.iter().take(SHOWN).map(|row| card(page, &channels, row)).collect::<Vec<_>>(),
        "videos": videos,
        "channels": channels.iter().map(|row| json!({"id": row.id(), "title": row.value.title})).collect::<Vec<_>>(),
        "pictures": pictures.into_iter().map(|(id, title)| json!({"id": id, "title": title})).collect::<Vec<_>>(),
        "zones": zones(page),
        "price": page.server().youtube.prices().0,
        "complaints": [],
        "form": {"videos": chosen, "time_zone": page.zone_name()},
        "errors": {},
    }))
}

/// Videos that are chosen beforehand.
#[derive(Deserialize)]
pub(super) struct Chosen {
    #[serde(default)]
    video: Vec<String>,
}

pub(super) async fn list(page: Page, library: Library, chosen: Query<Chosen>) -> Result<HttpResponse> {
    let chosen: Vec<Uuid> = chosen.0.video.iter().filter_map(|id| Uuid::parse_str(id).ok()).collect();
    let context = context(&page, &library, &chosen).await?;
    page.render("channels", TEMPLATE, context).await
}

/// A selection of the gallery.
#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Selection {
    #[serde(default)]
    id: Vec<Uuid>,
}

/// The form for what was chosen in the gallery.
pub(super) async fn choose(page: Page, _editor: Editor, form: Form<Selection>) -> Result<HttpResponse> {
    if form.value.id.is_empty() {
        let back = form.back.as_deref().unwrap_or("/videos");
        return Ok(page.see_other(back, "info", Some(Message::new("library-nothing-chosen"))));
    }
    let ids: Vec<String> = form.value.id.iter().take(MOST_OPEN).map(|id| format!("video={id}")).collect();
    Ok(page.see_other(&format!("{PLACE}?{}", ids.join("&")), "ok", None))
}

/// As the browser sends it.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct SelectionForm {
    channel_id: String,
    videos: Vec<String>,
    privacy: String,
    publish_at: String,
    time_zone: String,
    title: String,
    description: String,
    tags: String,
    thumbnail_id: String,
}

/// What was typed; nothing where that is blank.
fn typed(text: &str) -> Option<String> {
    Some(text.trim().to_owned()).filter(|text| !text.is_empty())
}

impl SelectionForm {
    fn chosen(&self) -> Vec<Uuid> {
        self.videos.iter().filter_map(|id| Uuid::parse_str(id).ok()).collect()
    }

    fn publish_at(&self, page: &Page) -> Result<Option<Timestamp>> {
        let Some(text) = typed(&self.publish_at) else { return Ok(None) };
        let odd = || Error::field("publish_at", Message::new("date-and-time-expected"));
        let at: DateTime = text.parse().map_err(|_| odd())?;
        let zone = match typed(&self.time_zone) {
            None => page.zone().clone(),
            Some(name) => {
                let unknown = || Error::field("time_zone", Message::new("schedule-zone-unknown"));
                crate::clock::zone(&name).ok_or_else(unknown)?
            }
        };
        zone.to_ambiguous_timestamp(at).compatible().map(Some).map_err(|_| odd())
    }

    fn parse(&self, page: &Page) -> Result<(Uuid, Vec<NewUpload>)> {
        let channel = Uuid::parse_str(&self.channel_id);
        let channel = channel.map_err(|_| Error::field("channel_id", Message::new("youtube-channel-unknown")))?;
        let privacy = Privacy::ALL.into_iter().find(|privacy| privacy.code() == self.privacy);
        if privacy.is_none() && !self.privacy.is_empty() {
            return Err(Error::field("privacy", Message::new("choice-unknown")));
        }
        let ids = self.chosen();
        if ids.len() != self.videos.len() {
            return Err(Error::field("videos", Message::new("live-video-unknown")));
        }
        if ids.is_empty() {
            return Err(Error::field("videos", Message::new("youtube-uploads-none-chosen")));
        }
        let thumbnail = match typed(&self.thumbnail_id).map(|id| Uuid::parse_str(&id)) {
            None => None,
            Some(Ok(id)) => Some(id),
            Some(Err(_)) => return Err(Error::field("thumbnail_id", Message::new("library-thumbnail-unknown"))),
        };
        let texts = UploadTexts {
            title: typed(&self.title),
            description: typed(&self.description),
            tags: typed(&self.tags).map(|tags| tags.split(',').map(str::to_owned).collect()),
            privacy,
            publish_at: self.publish_at(page)?,
            thumbnail_id: thumbnail,
            ..UploadTexts::default()
        };
        if ids.len() > 1 {
            let own = [
                ("title", texts.title.is_some()),
                ("description", texts.description.is_some()),
                ("tags", texts.tags.is_some()),
                ("thumbnail_id", texts.thumbnail_id.is_some()),
            ];
            if let Some((field, _)) = own.into_iter().find(|(_, is_there)| *is_there) {
                return Err(Error::field(field, Message::new("youtube-uploads-one-only")));
            }
        }
        let items = ids.into_iter().map(|video_id| NewUpload { video_id, texts: texts.clone() });
        Ok((channel, items.collect()))
    }
}

/// Fields of the form that a complaint can stand at.
const FIELDS: [&str; 9] =
    ["channel_id", "videos", "privacy", "publish_at", "time_zone", "title", "description", "tags", "thumbnail_id"];

/// All videos of the form are told the same: what is wrong with that stands at its field, once.
fn beside_fields(error: Error) -> Error {
    let Error::Invalid(fields) = error else { return error };
    let mut placed: Vec<FieldError> = Vec::new();
    for one in fields {
        let name = one.field.strip_prefix("items.").and_then(|rest| rest.split_once('.')).map(|(_, name)| name);
        let field = match name.filter(|name| FIELDS.contains(name)) {
            Some(name) => name.to_owned(),
            None => one.field,
        };
        if placed.iter().all(|known| known.field != field) {
            placed.push(FieldError { field, ..one });
        }
    }
    Error::Invalid(placed)
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

/// What was typed, and the videos that were chosen.
type Typed<'f> = (&'f [(String, String)], Vec<Uuid>);

/// `lines` are the numbers of a workbook's rows.
async fn answer(
    page: Page,
    library: &Library,
    queued: Result<Vec<Uuid>>,
    form: Option<Typed<'_>>,
    lines: &[u32],
) -> Result<HttpResponse> {
    let queued = queued.map_err(|refused| in_words(&page, refused, lines));
    match queued {
        Ok(ids) => {
            Ok(page.see_other(PLACE, "ok", Some(Message::new("youtube-uploads-queued").with("count", ids.len()))))
        }
        Err(refused @ (Error::Conflict(_) | Error::OverQuota(_))) => page.back_with(Some(PLACE), refused),
        Err(refused @ (Error::Invalid(_) | Error::TooLarge(_) | Error::WrongKind(_))) => {
            let chosen = form.as_ref().map(|(_, chosen)| chosen.as_slice()).unwrap_or_default();
            let mut context = context(&page, library, chosen).await?;
            if let Error::Invalid(fields) = &refused {
                let loose = fields.iter().filter(|one| !FIELDS.contains(&one.field.as_str()));
                let loose = loose.map(|one| json!({"place": one.field, "text": page.text(&one.message)}));
                context["complaints"] = loose.collect();
            }
            match form {
                Some((typed, _)) => page.refuse("channels", TEMPLATE, context, typed, refused).await,
                None => page.refuse_filled("channels", TEMPLATE, context, refused).await,
            }
        }
        Err(other) => Err(other),
    }
}

pub(super) async fn queue(page: Page, editor: Editor, form: Form<SelectionForm>) -> Result<HttpResponse> {
    let queued = match form.value.parse(&page) {
        Ok((channel, items)) => page.server().youtube.queue_uploads(&editor, channel, items).await,
        Err(refused) => Err(refused),
    };
    let chosen = form.value.chosen();
    answer(page, &editor, queued.map_err(beside_fields), Some((&form.typed, chosen)), &[]).await
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
    answer(page, &editor, queued, None, &lines).await
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

pub(super) async fn remove(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    form: Form<Nothing>,
) -> Result<HttpResponse> {
    let place = form.back.as_deref().unwrap_or(PLACE);
    match page.server().youtube.remove_upload(&editor, *id).await {
        Ok(()) => Ok(page.see_other(place, "ok", Some(Message::new("youtube-upload-removed")))),
        Err(refused @ Error::Conflict(_)) => page.back_with(Some(place), refused),
        Err(other) => Err(other),
    }
}
