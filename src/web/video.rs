//! The video gallery and a video's own page.

use actix_web::{HttpRequest, HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::videos::VideoBody;
use super::failure::wants_json;
use super::format::Moment;
use super::serve::{self, Shown};
use super::upload::{Outcome, Upload};
use super::youtube::youtube_of_video;
use super::{Access, Form, Page, Query, Route, api, jobs, pager, words};
use crate::error::{Error, Result};
use crate::library::{
    Ask, Deleted, Despite, Editor, Found, Library, Order, Video, VideoCard, VideoChange, VideoFilter, uses,
};
use crate::library::{choices, need_video, page_of_videos};
use crate::objects::intake::disk_room;
use crate::store::rows::{Cursor, Row};
use crate::tenancy::{self, Usage};
use crate::text::Message;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/videos", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/videos", access: Access::Write, handler: || web::to(upload) },
    Route { method: "POST", path: "/videos/delete", access: Access::Write, handler: || web::to(delete_many) },
    Route { method: "GET", path: "/videos/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "POST", path: "/videos/{id}", access: Access::Write, handler: || web::to(change) },
    Route { method: "POST", path: "/videos/{id}/frame", access: Access::Write, handler: || web::to(take_frame) },
    Route { method: "POST", path: "/videos/{id}/thumbnail", access: Access::Write, handler: || web::to(choose) },
    Route { method: "POST", path: "/videos/{id}/delete", access: Access::Write, handler: || web::to(delete) },
    Route { method: "GET", path: "/videos/{id}/content", access: Access::Read, handler: || web::to(content) },
    Route { method: "GET", path: "/videos/{id}/download", access: Access::Read, handler: || web::to(download) },
    Route { method: "GET", path: "/videos/{id}/thumbnail", access: Access::Read, handler: || web::to(thumbnail) },
];

/// Cards a page.
pub(super) const PAGE: usize = 48;

/// What a gallery is asked with; whatever is not known is as if it were not there.
#[derive(Debug, Clone, Default, Deserialize)]
pub(super) struct Wanted {
    #[serde(default)]
    q: String,
    #[serde(default)]
    sort: String,
    #[serde(default)]
    filter: String,
    #[serde(default)]
    view: String,
    cursor: Option<String>,
    before: Option<String>,
}

const SORTS: [&str; 5] = ["newest", "oldest", "title", "longest", "largest"];

/// One of the words a list knows; the first one where none of them was given.
fn known(words: &[&'static str], given: &str) -> &'static str {
    words.iter().find(|word| **word == given).copied().unwrap_or(words[0])
}

impl Wanted {
    pub(super) fn settled(mut self) -> Wanted {
        self.q = self.q.trim().chars().take(200).collect();
        self.sort = known(&SORTS, &self.sort).to_owned();
        self.filter = known(&["all", "ready", "trouble", "unused"], &self.filter).to_owned();
        self.view = known(&["grid", "list"], &self.view).to_owned();
        self
    }

    pub(super) fn ask(&self) -> Ask {
        let (order, descending) = match self.sort.as_str() {
            "oldest" => (Order::Created, false),
            "title" => (Order::Title, false),
            "longest" => (Order::Duration, true),
            "largest" => (Order::Size, true),
            _ => (Order::Created, true),
        };
        let before = self.before.as_deref().and_then(Cursor::decode);
        let after = self.cursor.as_deref().and_then(Cursor::decode);
        Ask {
            search: self.q.clone(),
            order,
            descending,
            limit: PAGE,
            before: before.is_some(),
            cursor: before.or(after),
        }
    }

    fn filter(&self) -> VideoFilter {
        match self.filter.as_str() {
            "ready" => VideoFilter::Ready,
            "trouble" => VideoFilter::Trouble,
            "unused" => VideoFilter::Unused,
            _ => VideoFilter::All,
        }
    }

    /// The same list at another place.
    pub(super) fn address(&self, path: &str, parameter: &str, place: Option<&Cursor>) -> Option<String> {
        let kept = [("q", &self.q, ""), ("sort", &self.sort, "newest"), ("filter", &self.filter, "all")];
        let kept = kept.into_iter().chain([("view", &self.view, "grid")]);
        let mut values: Vec<(&str, &str)> =
            kept.filter(|(_, value, usual)| value != usual).map(|(name, value, _)| (name, value.as_str())).collect();
        let place = place?.encode();
        values.push((parameter, &place));
        Some(pager::address(path, &values))
    }

    /// What every list page is told about what it shows.
    pub(super) fn frame<'w, C, I>(&'w self, path: &str, found: &Found<C>, items: Vec<I>) -> Listing<'w, I> {
        Listing {
            q: &self.q,
            sort: &self.sort,
            filter: &self.filter,
            view: &self.view,
            total: found.total,
            prev: self.address(path, "before", found.previous.as_ref()),
            next: self.address(path, "cursor", found.next.as_ref()),
            items,
        }
    }
}

/// A list as its page shows it.
#[derive(Serialize)]
pub(super) struct Listing<'w, I> {
    q: &'w str,
    sort: &'w str,
    filter: &'w str,
    view: &'w str,
    total: u64,
    prev: Option<String>,
    next: Option<String>,
    items: Vec<I>,
}

/// What the box for uploads is told.
#[derive(Serialize)]
pub(super) struct UploadBox {
    limit: u64,
    /// The quota would allow more than the disk has.
    by_disk: bool,
    max_file: u64,
    errors: Vec<String>,
}

impl UploadBox {
    /// `usage` is the ledger as it stands; files of at most `max_file` bytes are taken.
    pub fn new(library: &Library, usage: &Usage, max_file: u64, errors: Vec<String>) -> Result<UploadBox> {
        let limit = library.foundation().ledger(library.scope()).limit(usage);
        let left = limit.saturating_sub(usage.used() + usage.reserved);
        let room = disk_room(library.foundation())?.unwrap_or(0);
        Ok(UploadBox { limit: left.min(room), by_disk: room < left, max_file, errors })
    }
}

/// The context of the gallery.
#[derive(Serialize)]
struct Gallery<'w> {
    list: Listing<'w, Card>,
    /// There is a channel to upload to.
    connected: bool,
    upload: UploadBox,
}

#[derive(Serialize)]
struct Card {
    id: Uuid,
    title: String,
    duration: f64,
    size: u64,
    width: u32,
    height: u32,
    ready: bool,
    findings: usize,
    thumbnail_id: Option<Uuid>,
    /// Only the list view shows it.
    created: Option<Moment>,
    owner: Option<String>,
}

/// When a row was made: its id says so.
pub(super) fn created(id: Uuid) -> jiff::Timestamp {
    let time = id.get_timestamp().map(|time| time.to_unix());
    let time = time.and_then(|(seconds, nanos)| jiff::Timestamp::new(seconds as i64, nanos as i32).ok());
    time.unwrap_or(jiff::Timestamp::UNIX_EPOCH)
}

async fn gallery(
    page: Page,
    library: &Library,
    wanted: Wanted,
    errors: Vec<String>,
    status: u16,
) -> Result<HttpResponse> {
    let wanted = wanted.settled();
    let (ask, filter) = (wanted.ask(), wanted.filter());
    let (mut found, usage) =
        library.rows().read(move |rows| Ok((page_of_videos(rows, &ask, filter)?, tenancy::usage(rows)?))).await?;
    let is_list = wanted.view == "list";
    let owner = (is_list && page.is_operator()).then(|| library.tenant().to_string());
    let items: Vec<Card> = std::mem::take(&mut found.items)
        .into_iter()
        .map(|(id, card)| {
            let VideoCard { title, duration, size, width, height, ready, findings, thumbnail_id } = card;
            let created = is_list.then(|| page.moment(created(id)));
            let owner = owner.clone();
            Card { id, title, duration, size, width, height, ready, findings, thumbnail_id, created, owner }
        })
        .collect();
    let max_file = library.foundation().config().limits.upload_mib << 20;
    let upload = UploadBox::new(library, &usage, max_file, errors)?;
    let connected = !library.channels().await?.is_empty();
    let context = Gallery { connected, list: wanted.frame("/videos", &found, items), upload };
    page.render_status(status, "videos", "video/list.html", context).await
}

async fn list(page: Page, library: Library, wanted: Query<Wanted>) -> Result<HttpResponse> {
    gallery(page, &library, wanted.0, Vec::new(), 200).await
}

/// What the page of a form says of its files: back with a message where all went well, else the list with what did not.
pub(super) fn told<T>(page: &Page, outcome: &Outcome<T>, title: impl Fn(&T) -> &str) -> (Message, Vec<String>, u16) {
    let first = outcome.taken.first().map(|row| title(&row.value).to_owned()).unwrap_or_default();
    let message = Message::new("library-uploaded").with("count", outcome.taken.len()).with("title", first);
    let errors = outcome.refused.iter().map(|(name, cause)| {
        let reason = match cause {
            Error::Invalid(fields) => fields.first().map_or_else(|| cause.message(), |field| field.message.clone()),
            _ => cause.message(),
        };
        // What broke the form off has no file's name.
        match name.as_str() {
            "" => page.text(&reason),
            name => page.text(&Message::new("library-not-uploaded").with("name", name).with("reason", reason)),
        }
    });
    let status = match outcome.refused.first() {
        Some((_, cause)) if outcome.taken.is_empty() => cause.status(),
        _ => 200,
    };
    (message, errors.collect(), status)
}

async fn upload(page: Page, editor: Editor, request: HttpRequest, form: Upload) -> Result<HttpResponse> {
    let outcome = form.take_videos(&editor).await;
    if wants_json(&request) {
        return api::videos::uploaded(page.locale(), outcome?);
    }
    match outcome {
        Ok(outcome) => {
            let (mut message, errors, status) = told(&page, &outcome, |video: &Video| &video.title);
            if errors.is_empty() {
                if let [row] = outcome.taken.as_slice()
                    && let Some(twin) = row.value.duplicate_of
                    && let Ok(twin) = editor.video(twin).await
                {
                    let (title, same) = (row.value.title.as_str(), twin.value.title);
                    message = Message::new("library-uploaded-same").with("title", title).with("same", same);
                }
                return Ok(page.see_other(outcome.back.as_deref().unwrap_or("/videos"), "ok", Some(message)));
            }
            gallery(page, &editor, Wanted::default(), errors, status).await
        }
        Err(cause @ (Error::Invalid(_) | Error::OverQuota(_) | Error::TooLarge(_) | Error::TooMany { .. })) => {
            let text = page.complaints(&cause);
            gallery(page, &editor, Wanted::default(), text, cause.status()).await
        }
        Err(cause) => Err(cause),
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Chosen {
    #[serde(default)]
    id: Vec<Uuid>,
}

async fn delete_many(page: Page, editor: Editor, form: Form<Chosen>) -> Result<HttpResponse> {
    let Deleted { count, kept } = editor.delete_videos(form.value.id).await?;
    let back = form.back.as_deref().unwrap_or("/videos");
    let (kind, told) = match (count, kept.len()) {
        (0, 0) => ("info", Message::new("library-nothing-chosen")),
        (_, 0) => ("ok", Message::new("library-deleted").with("count", count)),
        (_, others) => {
            let named = listed(kept.iter().map(String::as_str));
            let told = Message::new("library-deleted-some").with("count", count).with("kept", others);
            ("warn", told.with("titles", named))
        }
    };
    Ok(page.see_other(back, kind, Some(told)))
}

/// Titles in a sentence; of many only the first ones.
fn listed<'t>(titles: impl ExactSizeIterator<Item = &'t str>) -> String {
    const MOST: usize = 5;
    let more = if titles.len() > MOST { ", …" } else { "" };
    let titles: Vec<String> = titles.take(MOST).map(|title| format!("“{title}”")).collect();
    format!("{}{more}", titles.join(", "))
}

/// The context of a video's own page.
async fn context(page: &Page, library: &Library, id: Uuid) -> Result<(Row<Video>, Value)> {
    let (row, choices, used_by) = library
        .rows()
        .read(move |rows| Ok((need_video(rows, id)?, choices(rows, id)?, uses::used_by(rows, id)?)))
        .await?;
    let body = VideoBody::new(&row, page.locale());
    let mut video = serde_json::to_value(&body)?;
    let audio = row.value.facts.audio.as_ref();
    for (name, value) in [
        ("audio_rate", json!(audio.map(|audio| audio.sample_rate))),
        ("audio_channels", json!(audio.map(|audio| audio.channels))),
        ("has_thumbnail", json!(row.value.thumbnail_id.is_some())),
        ("created", json!(page.moment(row.header.created_at))),
        ("created_by", json!(words::actor(page, &row.header.created_by))),
        ("updated", json!(page.moment(row.header.updated_at))),
    ] {
        video[name] = value;
    }
    let thumbnails: Vec<Value> = choices.iter().map(|(id, title)| json!({"id": id, "title": title})).collect();
    let loss = json!({
        "titles": listed(used_by.iter().map(|used| used.title.as_str())),
        "schedules": used_by.iter().map(|used| used.schedules).sum::<u64>(),
        "on_air": used_by.iter().any(|used| used.on_air),
    });
    let used_by: Vec<Value> = used_by
        .iter()
        .map(|used| {
            json!({
                "id": used.stream_id,
                "title": used.title,
                "on_air": used.on_air,
                "schedules": used.schedules,
            })
        })
        .collect();
    let form = json!({
        "version": row.version.to_string(),
        "title": row.value.title,
        "description": row.value.description,
        "tags": row.value.tags.join(", "),
    });
    let youtube = youtube_of_video(page, library, id).await?;
    let (shape, optimise) = jobs::context(page, library, &row).await?;
    let context = json!({ "video": video, "form": form, "errors": {}, "thumbnails": thumbnails, "used_by": used_by,
                          "loss": loss, "shape": shape, "optimise": optimise, "youtube": youtube });
    Ok((row, context))
}

async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let (_, context) = context(&page, &library, *id).await?;
    page.render("videos", "video/show.html", context).await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Edit {
    title: String,
    description: String,
    tags: String,
}

async fn change(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Edit>) -> Result<HttpResponse> {
    let expected = form.row_version();
    let Edit { title, description, tags } = form.value;
    let change = VideoChange {
        title: Some(title),
        description: Some(description),
        tags: Some(tags.split(',').map(str::to_owned).collect()),
        thumbnail_id: None,
    };
    match editor.change_video(*id, expected, change).await {
        Ok(_) => Ok(page.see_other(&format!("/videos/{id}"), "ok", Some(Message::new("library-saved")))),
        Err(error) => {
            let (_, context) = context(&page, &editor, *id).await?;
            page.refuse("videos", "video/show.html", context, &form.typed, error).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct At {
    seconds: String,
}

async fn take_frame(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<At>) -> Result<HttpResponse> {
    let seconds = form.value.seconds.trim().replace(',', ".").parse::<f64>().ok().filter(|time| time.is_finite());
    let taken = match seconds {
        Some(seconds) => editor.take_frame(*id, seconds).await,
        None => Err(Error::field("seconds", Message::new("library-seconds-expected"))),
    };
    refused_beside(page, &editor, *id, &form.typed, taken, "library-frame-taken").await
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Choice {
    thumbnail_id: Uuid,
}

async fn choose(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Choice>) -> Result<HttpResponse> {
    let change = VideoChange { thumbnail_id: Some(Some(form.value.thumbnail_id)), ..VideoChange::default() };
    let chosen = editor.change_video(*id, None, change).await;
    refused_beside(page, &editor, *id, &form.typed, chosen, "library-thumbnail-chosen").await
}

/// Back to the video's page after one of its small forms; the large one keeps what is stored.
pub(super) async fn refused_beside<T>(
    page: Page,
    editor: &Editor,
    id: Uuid,
    typed: &[(String, String)],
    done: Result<T>,
    text: &'static str,
) -> Result<HttpResponse> {
    match done {
        Ok(_) => Ok(page.see_other(&format!("/videos/{id}"), "ok", Some(Message::new(text)))),
        Err(error) => {
            let (row, context) = context(&page, editor, id).await?;
            let video = row.value;
            let kept = [("title", video.title), ("description", video.description), ("tags", video.tags.join(", "))];
            let kept = kept.map(|(name, value)| (name.to_owned(), value));
            let typed = [&kept, typed].concat();
            page.refuse("videos", "video/show.html", context, &typed, error).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct Nothing {}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Delete {
    /// That coming occurrences will miss it was read.
    force: Option<String>,
}

async fn delete(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Delete>) -> Result<HttpResponse> {
    let despite = Despite { schedules: form.value.force.is_some(), runs: false };
    match editor.delete_video(*id, None, despite).await {
        Ok(()) => Ok(page.see_other("/videos", "ok", Some(Message::new("library-deleted").with("count", 1)))),
        Err(error) => refused_beside(page, &editor, *id, &[], Err::<(), _>(error), "").await,
    }
}

async fn content(library: Library, id: web::Path<Uuid>, request: HttpRequest) -> Result<HttpResponse> {
    serve::object(&request, library.open_video(*id).await?, Shown::Changing)
}

async fn download(library: Library, id: web::Path<Uuid>, request: HttpRequest) -> Result<HttpResponse> {
    serve::object(&request, library.open_video(*id).await?, Shown::Download)
}

async fn thumbnail(library: Library, id: web::Path<Uuid>, request: HttpRequest) -> Result<HttpResponse> {
    serve::object(&request, library.open_video_thumbnail(*id).await?, Shown::Changing)
}
