//! One occurrence: moved, lengthened, cancelled or put back; it alone, with those after it, or all.

use actix_web::{HttpResponse, web};
use jiff::civil::DateTime;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::form::local;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::schedule::{Becomes, Exception, OccurrenceChange, OccurrenceView, Reach, Schedule};
use crate::text::Message;
use crate::web::api::calendar::named;
use crate::web::youtube::broadcast_cards;
use crate::web::{Form, Page, words};
use crate::youtube::Of;

/// The address of an occurrence's page.
pub(super) fn address(schedule: Uuid, of: DateTime) -> String {
    format!("/schedules/{schedule}/occurrences/{of}")
}

/// An occurrence that was changed by hand, as the form of its schedule lists it.
pub(super) fn exception(page: &Page, schedule: &Schedule, exception: &Exception) -> Value {
    let when = |at: DateTime| words::local(page, at, &schedule.time_zone);
    json!({
        "of": exception.of.to_string(),
        "planned": when(exception.of),
        "now": match exception.becomes {
            Becomes::Changed { starts_at, .. } => Some(when(starts_at)),
            Becomes::Cancelled => None,
        },
    })
}

/// What the page says and its form holds.
async fn context(page: &Page, library: &Library, view: &OccurrenceView) -> Result<Value> {
    let trouble = library.outlook(view).await?;
    let schedule = &view.schedule.row.value;
    let repeats = schedule.rule.is_some() || !schedule.times.is_empty();
    let minutes = view.occurrence.and_then(|occurrence| {
        let stop = occurrence.stop?;
        Some((stop.duration_since(occurrence.start).as_secs() as f64 / 60.0).to_string())
    });
    Ok(json!({
        "occurrence": {
            "schedule_id": view.schedule.row.id(),
            "of": view.of.to_string(),
            "title": view.schedule.stream_title,
            "words": words::schedule(page, schedule),
            "planned": words::local(page, view.of, &schedule.time_zone),
            "at": view.occurrence.map(|occurrence| page.moment(occurrence.start)),
            "end": view.occurrence.and_then(|occurrence| occurrence.stop).map(|stop| page.moment(stop)),
            "time_zone": schedule.time_zone,
            "changed": schedule.exception(view.of).is_some(),
            "repeats": repeats,
            "over": view.over,
            "paused": schedule.paused,
            "trouble": trouble.map(|trouble| page.text(&trouble)),
        },
        "broadcasts": broadcast_cards(page, library, Of::Schedule(view.schedule.row.id(), Some(view.of)), 5).await?,
        "form": {
            "starts_at": local(view.occurrence.map_or(view.of, |occurrence| occurrence.civil)),
            "duration": minutes.unwrap_or_default(),
            "reach": Reach::This.code(),
        },
        "errors": {},
    }))
}

pub(super) async fn show(page: Page, library: Library, path: web::Path<(Uuid, String)>) -> Result<HttpResponse> {
    let (id, of) = path.into_inner();
    let view = library.occurrence(id, named(&of)?).await?;
    let context = context(&page, &library, &view).await?;
    page.render("schedule", "schedule/occurrence.html", context).await
}

#[derive(Deserialize, Default)]
#[serde(deny_unknown_fields, default)]
pub(super) struct OccurrenceForm {
    starts_at: String,
    duration: String,
    reach: String,
    /// `save`, `cancel` or `restore`.
    act: String,
}

impl OccurrenceForm {
    fn parse(&self, view: &OccurrenceView) -> Result<(Reach, OccurrenceChange)> {
        let reach = if self.reach.is_empty() { Some(Reach::This) } else { Reach::parse(&self.reach) };
        let reach = reach.ok_or_else(|| Error::field("reach", Message::new("choice-unknown")))?;
        let change = match self.act.as_str() {
            "cancel" => OccurrenceChange { cancelled: Some(true), ..OccurrenceChange::default() },
            "restore" => OccurrenceChange { starts_at: Some(None), duration: Some(None), cancelled: Some(false) },
            _ => self.typed(view)?,
        };
        Ok((reach, change))
    }

    /// Only what differs from what is shown was meant to change.
    fn typed(&self, view: &OccurrenceView) -> Result<OccurrenceChange> {
        let expected = |field, id| Error::field(field, Message::new(id));
        let civil: Option<DateTime> = self.starts_at.trim().parse().ok();
        let civil = civil.ok_or_else(|| expected("starts_at", "date-and-time-expected"))?;
        let shown = view.occurrence.map_or(view.of, |occurrence| occurrence.civil);
        let length = view.occurrence.and_then(|one| Some(one.stop?.duration_since(one.start).as_secs()));
        let length = length.and_then(|seconds| u64::try_from(seconds).ok());
        let duration = match self.duration.trim() {
            "" => None,
            text => {
                let seconds = text.parse::<f64>().ok().map(|minutes| (minutes * 60.0).round());
                let seconds = seconds.filter(|seconds| (1.0..=1e9).contains(seconds));
                Some(seconds.ok_or_else(|| expected("duration", "minutes-expected"))? as u64)
            }
        };
        Ok(OccurrenceChange {
            starts_at: (civil != shown).then_some(Some(civil)),
            duration: (duration != length).then_some(duration),
            cancelled: Some(false),
        })
    }
}

pub(super) async fn change(
    page: Page,
    editor: Editor,
    path: web::Path<(Uuid, String)>,
    form: Form<OccurrenceForm>,
) -> Result<HttpResponse> {
    let (id, of) = path.into_inner();
    let of = named(&of)?;
    let view = editor.occurrence(id, of).await?;
    let changed = match form.value.parse(&view) {
        Ok((reach, change)) => editor.change_occurrence((id, of), None, reach, change).await,
        Err(refused) => Err(refused),
    };
    match changed {
        Ok(_) => {
            let path = form.back.as_deref().unwrap_or("/schedules/calendar");
            let message = Message::new("occurrence-saved").with("title", view.schedule.stream_title);
            Ok(page.see_other(path, "ok", Some(message)))
        }
        Err(refused) => {
            let context = context(&page, &editor, &view).await?;
            page.refuse("schedule", "schedule/occurrence.html", context, &form.typed, refused).await
        }
    }
}
