//! The calendar: a page with a list of days that script turns into months, weeks and days to drag in, and the entries
//! that it asks for.

use std::collections::HashMap;

use actix_web::HttpResponse;
use jiff::civil::{Date, DateTime};
use jiff::{Span, Timestamp, ToSpan as _};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::occurrence::address;
use crate::error::{Error, Result};
use crate::library::Library;
use crate::schedule::{CalendarEntry, Planned};
use crate::text::Message;
use crate::web::api::calendar::state;
use crate::web::{Page, Query, format, words};

/// Entries of the list; whoever has more looks at less time.
const LISTED: usize = 300;
/// Colours that streams take turns in; see calendar.css.
const HUES: usize = 8;

#[derive(Deserialize)]
pub(super) struct Asked {
    #[serde(default)]
    view: String,
    #[serde(default)]
    date: String,
}

/// A stretch of days to look at.
struct Stretch {
    view: &'static str,
    /// In it.
    date: Date,
    first: Date,
    /// The day after the last one.
    end: Date,
}

impl Stretch {
    fn of(view: &str, date: Date) -> Stretch {
        let after = |date: Date, span: Span| date.checked_add(span).unwrap_or(date);
        let before = |date: Date, span: Span| date.checked_sub(span).unwrap_or(date);
        let (view, first) = match view {
            "week" => ("week", before(date, date.weekday().to_monday_zero_offset().days())),
            "day" => ("day", date),
            "list" => ("list", date.first_of_month()),
            _ => ("month", date.first_of_month()),
        };
        let end = match view {
            "week" => after(first, 7.days()),
            "day" => after(first, 1.day()),
            _ => after(first, 1.month()),
        };
        Stretch { view, date, first, end }
    }

    fn address(&self, date: Date) -> String {
        format!("/schedules/calendar?view={}&date={date}", self.view)
    }
}

/// The instant at which a day begins where the reader is.
fn start_of(page: &Page, day: Date) -> Result<Timestamp> {
    let start = page.zone().to_ambiguous_timestamp(day.to_datetime(jiff::civil::Time::midnight())).compatible();
    start.map_err(|_| Error::Malformed(Message::new("error-query").with("cause", "a date of our time is expected")))
}

pub(super) async fn show(page: Page, library: Library, asked: Query<Asked>) -> Result<HttpResponse> {
    let now = library.foundation().clock().now();
    let today = page.zone().to_datetime(now).date();
    let stretch = Stretch::of(&asked.0.view, asked.0.date.parse().unwrap_or(today));
    let found = library.calendar(start_of(&page, stretch.first)?, start_of(&page, stretch.end)?).await?;
    let hues = hues(&library).await?;
    let more = found.more || found.entries.len() > LISTED;
    let mut days: Vec<(Date, Vec<Value>)> = Vec::new();
    for found in found.entries.iter().take(LISTED) {
        let day = page.zone().to_datetime(found.start).date().max(stretch.first);
        let told = entry(&page, found, &hues, now);
        match days.last_mut() {
            Some((last, entries)) if *last == day => entries.push(told),
            _ => days.push((day, vec![told])),
        }
    }
    let days: Vec<Value> = days
        .into_iter()
        .map(|(day, entries)| {
            let weekday = page.text(&words::day(day.weekday()));
            json!({
                "date": day.to_string(),
                "text": format!("{weekday}, {}", format::date(page.locale(), day)),
                "today": day == today,
                "entries": entries,
            })
        })
        .collect();
    let last = stretch.end.yesterday().unwrap_or(stretch.first);
    let title = match stretch.view {
        "day" => format::date(page.locale(), stretch.first),
        _ => format!("{} – {}", format::date(page.locale(), stretch.first), format::date(page.locale(), last)),
    };
    // Where a shorter stretch opens: at today, else at the first day.
    let likely = if (stretch.first..stretch.end).contains(&today) { today } else { stretch.first };
    let views = ["month", "week", "day"]
        .map(|view| json!({ "name": view, "url": format!("/schedules/calendar?view={view}&date={likely}") }));
    let context = json!({
        "calendar": {
            "view": stretch.view,
            "date": stretch.date.to_string(),
            "title": title,
            "prev": stretch.address(stretch.first.yesterday().unwrap_or(stretch.first)),
            "today": stretch.address(today),
            "next": stretch.address(stretch.end),
            "views": views,
            "days": days,
            "more": more,
            // Where a day lies is a matter of the reader's zone, not of the browser's.
            "offset": now.to_zoned(page.zone().clone()).strftime("%:z").to_string(),
            "now": page.zone().to_datetime(now).strftime("%Y-%m-%dT%H:%M:%S").to_string(),
        },
    });
    page.render("schedule", "schedule/calendar.html", context).await
}

#[derive(Deserialize)]
pub(super) struct Days {
    from: Date,
    /// The day after the last one.
    to: Date,
}

/// What lies in some days, for the script of the page: local times are those of the reader.
pub(super) async fn entries(page: Page, library: Library, asked: Query<Days>) -> Result<HttpResponse> {
    let now = library.foundation().clock().now();
    let found = library.calendar(start_of(&page, asked.0.from)?, start_of(&page, asked.0.to)?).await?;
    let hues = hues(&library).await?;
    let entries: Vec<Value> = found.entries.iter().map(|found| entry(&page, found, &hues, now)).collect();
    Ok(HttpResponse::Ok().json(json!({ "entries": entries, "more": found.more })))
}

/// The colour of each stream: they take turns in the order that they were made in, so that a new one changes none.
async fn hues(library: &Library) -> Result<HashMap<Uuid, usize>> {
    let mut streams: Vec<Uuid> = library.stream_titles().await?.into_iter().map(|(id, _)| id).collect();
    streams.sort_unstable();
    Ok(streams.into_iter().enumerate().map(|(place, id)| (id, place % HUES)).collect())
}

/// One entry, as the list and the script tell it.
fn entry(page: &Page, entry: &CalendarEntry, hues: &HashMap<Uuid, usize>, now: Timestamp) -> Value {
    let local = |at: Timestamp| -> DateTime { page.zone().to_datetime(at) };
    let text = |at: DateTime| at.strftime("%Y-%m-%dT%H:%M:%S").to_string();
    // What is on and has no end reaches to now.
    let state = state(&entry.what);
    let stop = if state == "on_air" { Some(entry.stop.unwrap_or(now)) } else { entry.stop };
    let in_trouble = matches!(&entry.what, Planned::Occurrence { trouble: Some(_), .. });
    let mut told = json!({
        "title": entry.title,
        "state": state,
        "stream_id": entry.stream_id,
        // One that is gone has what is left of its history.
        "hue": hues.get(&entry.stream_id).copied().unwrap_or_default(),
        "state_text": page.text(&Message::new(match state {
            "planned" if in_trouble => "calendar-trouble",
            "planned" => "calendar-planned",
            "paused" => "schedule-paused",
            "cancelled" => "calendar-cancelled",
            "on_air" => "outcome-running",
            "completed" => "outcome-completed",
            "stopped" => "outcome-stopped",
            "failed" => "outcome-failed",
            _ => "outcome-missed",
        })),
        "platform": entry.platforms.first().map(|platform| platform.code()),
        "start": text(local(entry.start)),
        "end": stop.map(|stop| text(local(stop))),
        "seconds": entry.stop.map(|stop| stop.duration_since(entry.start).as_secs()),
        "hours": words::hours(page, local(entry.start), entry.stop.map(local)),
        "when": page.moment(entry.start),
        "url": format!("/streams/{}", entry.stream_id),
        "schedule_id": entry.schedule_id,
        "of": null,
        "editable": false,
        "repeats": false,
        "changed": false,
        "note": null,
        "trouble": null,
    });
    match &entry.what {
        Planned::Run { id, reason, .. } => {
            told["url"] = json!(format!("/history/{id}"));
            told["trouble"] = json!(reason.as_ref().map(|reason| page.text(reason)));
        }
        Planned::Occurrence { of, shift, changed, cancelled, repeats, trouble, .. } => {
            if let Some(schedule) = entry.schedule_id {
                told["url"] = json!(address(schedule, *of));
            }
            told["of"] = json!(of.to_string());
            told["editable"] = json!(!cancelled);
            told["repeats"] = json!(repeats);
            told["changed"] = json!(changed);
            told["note"] = json!(shift.map(|shift| words::shift(page, shift)));
            told["trouble"] = json!(trouble.as_ref().map(|trouble| page.text(trouble)));
        }
    }
    told
}
