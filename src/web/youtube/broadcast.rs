//! Pages of broadcasts: how they are, and what they are told.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};
use uuid::Uuid;

use super::keys::Nothing;
use crate::error::{Error, FieldError, Result};
use crate::library::{self, Editor, Library};
use crate::live::{LiveStream, StreamChange};
use crate::schedule::broadcast::CATEGORIES;
use crate::schedule::sheet::Privacy;
use crate::schedule::{Broadcast, Latency, ScheduleChange};
use crate::store::rows::Row;
use crate::text::Message;
use crate::web::{Form, Page, Query};
use crate::youtube::Of;
use crate::youtube::event::{Event, Over, Stage};

const LIST: &str = "youtube/broadcasts.html";
const FORM: &str = "youtube/broadcast.html";
/// Broadcasts that the page shows.
const SHOWN: usize = 100;

/// A broadcast as pages show it.
pub(in crate::web) fn card(page: &Page, row: &Row<Event>) -> Value {
    let event = &row.value;
    json!({
        "id": row.id(),
        "stream_id": event.stream_id,
        "stream": null,
        "title": event.wanted.texts.title,
        "starts": page.moment(event.wanted.settings.starts_at),
        "stage": event.stage().code(),
        "over": event.over.is_some(),
        // Where it was taken away, the link leads nowhere.
        "link": event.link().filter(|_| event.stage() != Stage::Over(Over::Removed)),
        "privacy": event.wanted.settings.privacy.code(),
        "trouble": event.trouble.as_ref().map(|trouble| page.text(trouble)),
        "next_try": event.not_before.or(event.aside_until).filter(|_| event.over.is_none()).map(|at| page.moment(at)),
    })
}

/// The first broadcasts of something, as pages show them.
pub(in crate::web) async fn cards_of(page: &Page, library: &Library, of: Of, most: usize) -> Result<Vec<Value>> {
    let found = library.broadcasts_in_order(of, most).await?;
    Ok(found.iter().map(|row| card(page, row)).collect())
}

#[derive(Deserialize)]
pub(super) struct Filter {
    stream: Option<Uuid>,
}

pub(super) async fn list(page: Page, library: Library, filter: Query<Filter>) -> Result<HttpResponse> {
    let of = filter.0.stream.map_or(Of::All, Of::Stream);
    let found = library.broadcasts_in_order(of, SHOWN).await?;
    let streams: BTreeSet<Uuid> = found.iter().map(|row| row.value.stream_id).collect();
    let rows = library.rows();
    let titles = rows.read(move |rows| {
        let title = |id: Uuid| Ok(rows.get::<LiveStream>(id)?.map(|row| (id, row.value.title)));
        streams.into_iter().filter_map(|id| title(id).transpose()).collect::<Result<BTreeMap<Uuid, String>>>()
    });
    let titles = titles.await?;
    let with_stream = |row: &Row<Event>| {
        let mut card = card(&page, row);
        card["stream"] = json!(titles.get(&row.value.stream_id));
        card
    };
    let cards: Vec<Value> = found.iter().map(with_stream).collect();
    let connected = !library.channels().await?.is_empty();
    page.render("channels", LIST, json!({"broadcasts": cards, "connected": connected})).await
}

pub(super) async fn retry(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    form: Form<Nothing>,
) -> Result<HttpResponse> {
    page.server().youtube.try_again(&editor, *id).await?;
    let path = form.back.as_deref().unwrap_or("/broadcasts");
    Ok(page.see_other(path, "ok", Some(Message::new("broadcast-retried"))))
}

/// As the browser sends it.
#[derive(Serialize, Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct BroadcastForm {
    title: String,
    description: String,
    tags: String,
    category: String,
    privacy: String,
    made_for_kids: String,
    auto_start: String,
    auto_stop: String,
    latency: String,
    dvr: String,
    roll_over: String,
    thumbnail_id: String,
    playlist: String,
}

fn word(choice: Option<bool>) -> String {
    choice.map_or(String::new(), |yes| if yes { "yes" } else { "no" }.to_owned())
}

impl BroadcastForm {
    fn filled(broadcast: &Broadcast) -> BroadcastForm {
        BroadcastForm {
            title: broadcast.title.clone().unwrap_or_default(),
            description: broadcast.description.clone().unwrap_or_default(),
            tags: broadcast.tags.as_ref().map(|tags| tags.join(", ")).unwrap_or_default(),
            category: broadcast.category.map(|number| number.to_string()).unwrap_or_default(),
            privacy: broadcast.privacy.map(|privacy| privacy.code().to_owned()).unwrap_or_default(),
            made_for_kids: word(broadcast.made_for_kids),
            auto_start: word(broadcast.auto_start),
            auto_stop: word(broadcast.auto_stop),
            latency: broadcast.latency.map(|latency| latency.code().to_owned()).unwrap_or_default(),
            dvr: word(broadcast.dvr),
            roll_over: word(broadcast.roll_over),
            thumbnail_id: broadcast.thumbnail_id.map(|id| id.to_string()).unwrap_or_default(),
            playlist: broadcast.playlist.clone().unwrap_or_default(),
        }
    }

    fn parse(&self) -> Result<Broadcast> {
        let mut errors = Vec::new();
        let mut choice = |field: &str, unknown: bool| {
            if unknown {
                errors.push(FieldError { field: field.to_owned(), message: Message::new("choice-unknown") });
            }
        };
        let mut flag = |field: &str, text: &str| match text {
            "yes" => Some(true),
            "no" => Some(false),
            other => {
                choice(field, !other.is_empty());
                None
            }
        };
        let made_for_kids = flag("made_for_kids", &self.made_for_kids);
        let auto_start = flag("auto_start", &self.auto_start);
        let auto_stop = flag("auto_stop", &self.auto_stop);
        let dvr = flag("dvr", &self.dvr);
        let roll_over = flag("roll_over", &self.roll_over);
        let category = self.category.parse().ok();
        choice("category", category.is_none() && !self.category.is_empty());
        let privacy = Privacy::ALL.into_iter().find(|privacy| privacy.code() == self.privacy);
        choice("privacy", privacy.is_none() && !self.privacy.is_empty());
        let latency = Latency::parse(&self.latency);
        choice("latency", latency.is_none() && !self.latency.is_empty());
        let thumbnail_id = Uuid::parse_str(&self.thumbnail_id).ok();
        choice("thumbnail_id", thumbnail_id.is_none() && !self.thumbnail_id.is_empty());
        if !errors.is_empty() {
            return Err(Error::Invalid(errors));
        }
        let tags: Vec<String> =
            self.tags.split(',').map(str::trim).filter(|tag| !tag.is_empty()).map(str::to_owned).collect();
        Ok(Broadcast {
            title: Some(self.title.clone()),
            description: Some(self.description.clone()),
            tags: Some(tags),
            category,
            privacy,
            made_for_kids,
            auto_start,
            auto_stop,
            latency,
            dvr,
            roll_over,
            thumbnail_id,
            playlist: Some(self.playlist.clone()),
        })
    }
}

/// The domain speaks of fields of a broadcast; the form has nothing else.
fn beside_fields(error: Error) -> Error {
    let Error::Invalid(fields) = error else { return error };
    let plain = |name: String| name.strip_prefix("broadcast.").map(str::to_owned).unwrap_or(name);
    Error::Invalid(fields.into_iter().map(|one| FieldError { field: plain(one.field), ..one }).collect())
}

/// Where the form belongs to.
struct Place {
    /// `/streams/…` or `/schedules/…/edit`.
    back: String,
    action: String,
    title: String,
    of_schedule: bool,
    seated: bool,
    /// What holds where nothing is chosen.
    usual: Broadcast,
}

async fn context(page: &Page, library: &Library, place: &Place, broadcast: &Broadcast, stream: Uuid) -> Result<Value> {
    let chosen = broadcast.thumbnail_id;
    let pictures = library.rows().read(move |rows| library::gallery(rows, chosen)).await?;
    let category = |number: &u16| json!({"number": number.to_string(), "name": format!("youtube-category-{number}")});
    Ok(json!({
        "place": {"back": place.back, "action": place.action, "title": place.title,
                  "of_schedule": place.of_schedule, "seated": place.seated},
        "categories": CATEGORIES.iter().map(category).collect::<Vec<_>>(),
        "pictures": pictures.into_iter().map(|(id, title)| json!({"id": id, "title": title})).collect::<Vec<_>>(),
        "broadcasts": cards_of(page, library, Of::Stream(stream), 5).await?,
        "usual": BroadcastForm::filled(&place.usual),
        "form": BroadcastForm::filled(broadcast),
        "errors": {},
    }))
}

async fn stream_place(library: &Library, id: Uuid) -> Result<(Place, Broadcast)> {
    let view = library.stream(id).await?;
    let seated = view.row.value.targets.iter().any(|target| target.key_id.is_some());
    let (back, action) = (format!("/streams/{id}"), format!("/streams/{id}/broadcast"));
    let usual = Broadcast::default().or_usual();
    let place = Place { back, action, title: view.row.value.title, of_schedule: false, seated, usual };
    Ok((place, view.row.value.broadcast))
}

async fn schedule_place(library: &Library, id: Uuid) -> Result<(Place, Broadcast, Uuid)> {
    let view = library.schedule(id).await?;
    let stream = view.row.value.stream_id;
    let of = library.stream(stream).await?.row.value;
    let seated = of.targets.iter().any(|target| target.key_id.is_some());
    let usual = of.broadcast.or_usual();
    let (back, action) = (format!("/schedules/{id}/edit"), format!("/schedules/{id}/broadcast"));
    let place = Place { back, action, title: view.stream_title, of_schedule: true, seated, usual };
    Ok((place, view.row.value.broadcast, stream))
}

pub(super) async fn of_stream(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let (place, broadcast) = stream_place(&library, *id).await?;
    let context = context(&page, &library, &place, &broadcast, *id).await?;
    page.render("streams", FORM, context).await
}

pub(super) async fn of_schedule(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let (place, broadcast, stream) = schedule_place(&library, *id).await?;
    let context = context(&page, &library, &place, &broadcast, stream).await?;
    page.render("schedule", FORM, context).await
}

pub(super) async fn change_stream(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    form: Form<BroadcastForm>,
) -> Result<HttpResponse> {
    let (place, before) = stream_place(&editor, *id).await?;
    let changed = match form.value.parse() {
        Ok(broadcast) => {
            let change = StreamChange { broadcast: Some(broadcast), ..StreamChange::default() };
            editor.change_stream(*id, None, change).await.map(drop)
        }
        Err(refused) => Err(refused),
    };
    match changed {
        Ok(()) => Ok(page.see_other(&place.back, "ok", Some(Message::new("broadcast-saved")))),
        Err(refused) => {
            let context = context(&page, &editor, &place, &before, *id).await?;
            page.refuse("streams", FORM, context, &form.typed, beside_fields(refused)).await
        }
    }
}

pub(super) async fn change_schedule(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    form: Form<BroadcastForm>,
) -> Result<HttpResponse> {
    let (place, before, stream) = schedule_place(&editor, *id).await?;
    let changed = match form.value.parse() {
        Ok(broadcast) => {
            let change = ScheduleChange { broadcast: Some(broadcast), ..ScheduleChange::default() };
            editor.change_schedule(*id, None, change).await.map(drop)
        }
        Err(refused) => Err(refused),
    };
    match changed {
        Ok(()) => Ok(page.see_other(&place.back, "ok", Some(Message::new("broadcast-saved")))),
        Err(refused) => {
            let context = context(&page, &editor, &place, &before, stream).await?;
            page.refuse("schedule", FORM, context, &form.typed, beside_fields(refused)).await
        }
    }
}
