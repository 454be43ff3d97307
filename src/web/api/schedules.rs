//! Schedules for programs: when a stream goes on air.

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use jiff::civil::{Date, DateTime, Time};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::broadcast::BroadcastBody;
use super::occurrence::OccurrenceBody;
use super::runs::RunBody;
use super::streams::Nothing;
use super::{List, ListQuery, Moment, RowFields, created, given, no_content, place, shown};
use crate::error::{Error, FieldError, Result};
use crate::library::{Editor, Library};
use crate::live::RunOutcome;
use crate::schedule::{
    Becomes, Exception, ScheduleChange, ScheduleFilter, ScheduleInput, ScheduleQuery, ScheduleSort, ScheduleView,
    StopTime, Until,
};
use crate::text::Message;
use crate::web::extract::MaybeJson;
use crate::web::{Access, IfMatch, Json, Page, Query, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/schedules", access: Access::Read, handler: || web::to(list) },
    Route { method: "POST", path: "/api/v1/schedules", access: Access::Write, handler: || web::to(create) },
    Route { method: "GET", path: "/api/v1/schedules/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "PATCH", path: "/api/v1/schedules/{id}", access: Access::Write, handler: || web::to(change) },
    Route { method: "DELETE", path: "/api/v1/schedules/{id}", access: Access::Write, handler: || web::to(delete) },
    Route {
        method: "POST",
        path: "/api/v1/schedules/{id}/run-now",
        access: Access::Write,
        handler: || web::to(run_now),
    },
    Route {
        method: "GET",
        path: "/api/v1/schedules/{id}/occurrences",
        access: Access::Read,
        handler: || web::to(occurrences),
    },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, create, show, change, delete, run_now, occurrences))]
pub struct Document;

/// When a stream goes on air.
#[derive(Serialize, ToSchema)]
#[schema(as = Schedule)]
pub(super) struct ScheduleBody {
    #[serde(flatten)]
    row: RowFields,
    stream_id: Uuid,
    /// What that stream is called.
    stream_title: String,
    /// The first local time, in `time_zone`.
    #[schema(examples("2026-03-01T19:00:00"))]
    starts_at: String,
    /// IANA zone.
    time_zone: String,
    /// RFC 5545 rule; null for once.
    rule: Option<String>,
    /// Further local times of each day.
    #[schema(examples(json!(["12:00:00", "18:30:00"])))]
    times: Vec<String>,
    /// Local dates that are left out.
    skip_dates: Vec<String>,
    /// Occurrences that were changed by hand; change them by `/occurrences/{of}`.
    exceptions: Vec<ExceptionBody>,
    /// Seconds on air; null where it ends at a time, or has no end.
    duration: Option<u64>,
    /// Local time of day, or local date and time, of the end.
    stop_at: Option<String>,
    /// How late an occurrence may still start, in seconds.
    grace: u32,
    paused: bool,
    /// What YouTube is told of its broadcasts; null: as the stream says.
    broadcast: BroadcastBody,
    /// The next occurrence; null while it is paused.
    next_at: Option<Moment>,
    /// The run of the last occurrence.
    last_run: Option<LastRunBody>,
}

/// An occurrence that is not as the rule says.
#[derive(Serialize, ToSchema)]
#[schema(as = ScheduleException)]
struct ExceptionBody {
    /// The local time that the rule names: which occurrence.
    of: String,
    /// The local time that it is at instead; null where it is cancelled.
    starts_at: Option<String>,
    /// Its length in seconds; null: as the schedule says.
    duration: Option<u64>,
    cancelled: bool,
}

impl From<&Exception> for ExceptionBody {
    fn from(exception: &Exception) -> ExceptionBody {
        let (starts_at, duration) = match exception.becomes {
            Becomes::Cancelled => (None, None),
            Becomes::Changed { starts_at, duration } => (Some(starts_at.to_string()), duration),
        };
        ExceptionBody { of: exception.of.to_string(), cancelled: starts_at.is_none(), starts_at, duration }
    }
}

/// How the last occurrence went.
#[derive(Serialize, ToSchema)]
#[schema(as = LastRun)]
struct LastRunBody {
    id: Uuid,
    /// Null while it is on.
    outcome: Option<&'static str>,
}

impl From<&ScheduleView> for ScheduleBody {
    fn from(view: &ScheduleView) -> ScheduleBody {
        let schedule = &view.row.value;
        let (duration, stop_at) = match schedule.until {
            Until::Open => (None, None),
            Until::Duration(seconds) => (Some(seconds), None),
            Until::Stop(stop) => (None, Some(stop.to_string())),
        };
        ScheduleBody {
            row: RowFields::from(&view.row),
            stream_id: schedule.stream_id,
            stream_title: view.stream_title.clone(),
            starts_at: schedule.starts_at.to_string(),
            time_zone: schedule.time_zone.clone(),
            rule: schedule.rule.clone(),
            times: schedule.times.iter().map(ToString::to_string).collect(),
            skip_dates: schedule.skip_dates.iter().map(ToString::to_string).collect(),
            exceptions: schedule.exceptions.iter().map(ExceptionBody::from).collect(),
            duration,
            stop_at,
            grace: schedule.grace,
            paused: schedule.paused,
            broadcast: BroadcastBody::from(&schedule.broadcast),
            next_at: view.next.map(|next| Moment::from(next.start)),
            last_run: view.last.map(|(id, outcome)| LastRunBody { id, outcome: outcome.map(RunOutcome::code) }),
        }
    }
}

/// A schedule to be made.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = NewSchedule)]
struct ScheduleFields {
    stream_id: Uuid,
    /// The first local time, without an offset: the zone stands beside it.
    #[schema(examples("2026-03-01T19:00:00"))]
    starts_at: String,
    /// IANA zone; the user's own where absent.
    time_zone: Option<String>,
    /// RFC 5545 rule; absent or null: once.
    rule: Option<String>,
    /// Further local times of each day, beside that of `starts_at`.
    #[serde(default)]
    times: Vec<String>,
    /// Local dates to leave out.
    #[serde(default)]
    skip_dates: Vec<String>,
    /// Seconds on air; not together with `stop_at`. Without both it goes on until it is stopped.
    duration: Option<u64>,
    /// Local time to end at: `21:00`, also of the next day, or `2026-03-02T21:00`.
    stop_at: Option<String>,
    /// How late an occurrence may still start, in seconds; 900 where absent.
    grace: Option<u32>,
    /// Start nothing yet.
    #[serde(default)]
    paused: bool,
    /// What YouTube is told of its broadcasts.
    #[serde(default)]
    broadcast: BroadcastBody,
}

/// What is to be changed; absent: unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ScheduleChange)]
struct SchedulePatch {
    stream_id: Option<Uuid>,
    starts_at: Option<String>,
    time_zone: Option<String>,
    /// Null: once.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    rule: Option<Option<String>>,
    times: Option<Vec<String>>,
    skip_dates: Option<Vec<String>>,
    /// Null takes the length away; a number replaces a stop time.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<u64>)]
    duration: Option<Option<u64>>,
    /// Null takes the stop time away; a time replaces a length.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    stop_at: Option<Option<String>>,
    grace: Option<u32>,
    /// Pauses, or resumes.
    paused: Option<bool>,
    /// As a whole.
    broadcast: Option<BroadcastBody>,
}

/// Collects what is wrong with several fields.
#[derive(Default)]
struct Complaints(Vec<FieldError>);

impl Complaints {
    fn keep<T>(&mut self, read: Result<T>) -> Option<T> {
        match read {
            Ok(value) => Some(value),
            Err(Error::Invalid(fields)) => {
                self.0.extend(fields);
                None
            }
            // Reading text has no other way to fail.
            Err(_) => None,
        }
    }

    fn over(self) -> Result<()> {
        if self.0.is_empty() { Ok(()) } else { Err(Error::Invalid(self.0)) }
    }
}

/// A local time says nothing about its zone: an offset beside a zone could only contradict it.
fn is_local(text: &str) -> bool {
    let time = match text.split_once(['T', 't', ' ']) {
        Some((_, time)) => time,
        None if text.contains(':') => text,
        None => return true,
    };
    !time.contains(['Z', 'z', '+', '-', '['])
}

pub(super) fn starts_at(text: &str) -> Result<DateTime> {
    let text = text.trim();
    if !is_local(text) {
        return Err(Error::field("starts_at", Message::new("schedule-offset").with("field", "starts_at")));
    }
    // A date alone would be read as midnight.
    let read = text.parse().ok().filter(|_| text.contains(':'));
    read.ok_or_else(|| Error::field("starts_at", Message::new("api-local-time-expected")))
}

fn stop_at(text: &str) -> Result<StopTime> {
    if !is_local(text.trim()) {
        return Err(Error::field("stop_at", Message::new("schedule-offset").with("field", "stop_at")));
    }
    StopTime::parse(text)
}

fn skip_dates(texts: &[String]) -> Result<Vec<Date>> {
    let read = texts.iter().map(|text| text.trim().parse().ok().filter(|_| text.trim().len() == 10));
    let read: Option<Vec<Date>> = read.collect();
    read.ok_or_else(|| Error::field("skip_dates", Message::new("api-dates-expected")))
}

fn times(texts: &[String]) -> Result<Vec<Time>> {
    let read = texts.iter().map(|text| text.trim().parse().ok().filter(|_| is_local(text) && text.contains(':')));
    let read: Option<Vec<Time>> = read.collect();
    read.ok_or_else(|| Error::field("times", Message::new("api-times-expected")))
}

impl ScheduleFields {
    fn parse(self, own_zone: &str) -> Result<ScheduleInput> {
        let mut complaints = Complaints::default();
        let starts = complaints.keep(starts_at(&self.starts_at));
        let stop = self.stop_at.as_deref().and_then(|text| complaints.keep(stop_at(text)));
        let times = complaints.keep(times(&self.times)).unwrap_or_default();
        let skips = complaints.keep(skip_dates(&self.skip_dates)).unwrap_or_default();
        complaints.over()?;
        Ok(ScheduleInput {
            stream_id: self.stream_id,
            starts_at: starts.unwrap_or_default(),
            time_zone: self.time_zone.unwrap_or_else(|| own_zone.to_owned()),
            rule: self.rule,
            times,
            skip_dates: skips,
            duration: self.duration,
            stop_at: stop,
            grace: self.grace,
            paused: self.paused,
        })
    }
}

impl SchedulePatch {
    fn parse(self) -> Result<ScheduleChange> {
        let mut complaints = Complaints::default();
        let starts = self.starts_at.as_deref().and_then(|text| complaints.keep(starts_at(text)));
        let stop = self.stop_at.map(|stop| stop.as_deref().and_then(|text| complaints.keep(stop_at(text))));
        let times = self.times.as_deref().and_then(|texts| complaints.keep(times(texts)));
        let skips = self.skip_dates.as_deref().and_then(|dates| complaints.keep(skip_dates(dates)));
        complaints.over()?;
        Ok(ScheduleChange {
            stream_id: self.stream_id,
            starts_at: starts,
            time_zone: self.time_zone,
            rule: self.rule,
            times,
            skip_dates: skips,
            duration: self.duration,
            stop_at: stop,
            grace: self.grace,
            paused: self.paused,
            broadcast: self.broadcast.map(Into::into),
        })
    }
}

/// Which schedules.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only those of this stream.
    stream_id: Option<Uuid>,
    /// Only those that are paused (or not).
    paused: Option<bool>,
}

/// List schedules
///
/// Orders: `created_at`, `next_at`, `title` (of the stream).
#[utoipa::path(get, path = "/api/v1/schedules", tag = "schedules", params(ListQuery, Filter), responses(
    (status = 200, body = List<ScheduleBody>),
))]
async fn list(library: Library, asked: ListQuery, filter: Query<Filter>) -> Result<HttpResponse> {
    let (order, turned) = asked.order(&["created_at", "next_at", "title"])?;
    let sort = match order {
        "next_at" => ScheduleSort::Next,
        "title" => ScheduleSort::Title,
        _ => ScheduleSort::Created,
    };
    let which = match filter.0.paused {
        None => ScheduleFilter::All,
        Some(true) => ScheduleFilter::Paused,
        Some(false) => ScheduleFilter::Active,
    };
    let place = place(&asked, turned)?;
    let query = ScheduleQuery { search: asked.q, stream: filter.0.stream_id, sort, filter: which, place };
    let schedules = library.schedules(query).await?;
    Ok(shown(&List::of_paged(schedules, |view| ScheduleBody::from(&view)), None))
}

/// Make a schedule
#[utoipa::path(post, path = "/api/v1/schedules", tag = "schedules", request_body = ScheduleFields, responses(
    (status = 201, body = ScheduleBody, headers(("Location", description = "Address of the schedule"))),
    (status = 409, description = "Another schedule has the same stream key on air at the same time"),
    (status = 422, description = "A field makes no sense, such as a time with an offset or in the past"),
))]
async fn create(page: Page, editor: Editor, body: Json<ScheduleFields>) -> Result<HttpResponse> {
    let broadcast = body.0.broadcast.clone().into();
    let view = editor.create_schedule_told(body.0.parse(page.zone_name())?, broadcast).await?;
    let location = format!("/api/v1/schedules/{}", view.row.id());
    Ok(created(&location, &ScheduleBody::from(&view), Some(view.row.version)))
}

/// One schedule
#[utoipa::path(get, path = "/api/v1/schedules/{id}", tag = "schedules", params(("id" = Uuid, Path)), responses(
    (status = 200, body = ScheduleBody), (status = 404),
))]
async fn show(library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let view = library.schedule(*id).await?;
    Ok(shown(&ScheduleBody::from(&view), Some(view.row.version)))
}

/// Change, pause or resume a schedule
///
/// What is on air by it goes on, and ends when the schedule now says so; one that would be over by that keeps its end.
#[utoipa::path(patch, path = "/api/v1/schedules/{id}", tag = "schedules", params(("id" = Uuid, Path)),
    request_body = SchedulePatch, responses(
    (status = 200, body = ScheduleBody), (status = 404), (status = 409),
    (status = 412, description = "`If-Match` names an older version"), (status = 422),
))]
async fn change(
    editor: Editor,
    id: web::Path<Uuid>,
    expected: IfMatch,
    body: Json<SchedulePatch>,
) -> Result<HttpResponse> {
    editor.schedule(*id).await?;
    let view = editor.change_schedule(*id, expected.0, body.0.parse()?).await?;
    Ok(shown(&ScheduleBody::from(&view), Some(view.row.version)))
}

/// Delete a schedule
///
/// What is on air by it goes on; the history stays.
#[utoipa::path(delete, path = "/api/v1/schedules/{id}", tag = "schedules", params(("id" = Uuid, Path)), responses(
    (status = 204), (status = 404), (status = 412),
))]
async fn delete(editor: Editor, id: web::Path<Uuid>, expected: IfMatch) -> Result<HttpResponse> {
    editor.delete_schedule(*id, expected.0).await?;
    Ok(no_content())
}

/// Put the schedule's stream on air now, for as long as the schedule says
#[utoipa::path(post, path = "/api/v1/schedules/{id}/run-now", tag = "schedules", params(("id" = Uuid, Path)),
    responses(
    (status = 202, body = RunBody, headers(("Location", description = "Address of the run"))), (status = 404),
    (status = 409, description = "On air already, or the box cannot carry it"),
))]
async fn run_now(page: Page, editor: Editor, id: web::Path<Uuid>, _body: MaybeJson<Nothing>) -> Result<HttpResponse> {
    let run = editor.run_now(*id).await?;
    let row = editor.run(run).await?;
    let location = (header::LOCATION, format!("/api/v1/runs/{run}"));
    Ok(HttpResponse::Accepted().insert_header(location).json(RunBody::of(&row, page.locale())))
}

/// How many occurrences.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct CountQuery {
    /// 1 to 200; 5 where absent.
    #[param(minimum = 1, maximum = 200, default = 5)]
    count: Option<usize>,
}

/// Instants to come.
#[derive(Serialize, ToSchema)]
#[schema(as = Occurrences)]
struct OccurrencesBody {
    items: Vec<OccurrenceBody>,
}

/// The next occurrences of a schedule, paused or not
#[utoipa::path(get, path = "/api/v1/schedules/{id}/occurrences", tag = "schedules",
    params(("id" = Uuid, Path), CountQuery),
    responses((status = 200, body = OccurrencesBody), (status = 404),
))]
async fn occurrences(library: Library, id: web::Path<Uuid>, asked: Query<CountQuery>) -> Result<HttpResponse> {
    let count = asked.0.count.unwrap_or(5);
    if !(1..=200).contains(&count) {
        let cause = "count: 1 to 200 is expected";
        return Err(Error::Malformed(Message::new("error-query").with("cause", cause)));
    }
    let time_zone = library.schedule(*id).await?.row.value.time_zone;
    let found = library.occurrences(*id, count).await?;
    let items = found.iter().map(|occurrence| OccurrenceBody::new(occurrence, &time_zone));
    Ok(shown(&OccurrencesBody { items: items.collect() }, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_local_time_has_no_offset() {
        for good in ["2026-03-01T19:00", "2026-03-01 19:00:00", "2026-03-01T19:00:30"] {
            assert!(starts_at(good).is_ok(), "{good}");
        }
        for bad in ["2026-03-01T19:00Z", "2026-03-01T19:00:00+07:00", "2026-03-01T19:00-0300", "2026-03-01T19:00[UTC]"]
        {
            let Err(Error::Invalid(fields)) = starts_at(bad) else { panic!("{bad}") };
            assert_eq!(fields[0].message.id, "schedule-offset", "{bad}");
        }
        for bad in ["2026-03-01", "tomorrow", "", "2026-02-30T10:00"] {
            let Err(Error::Invalid(fields)) = starts_at(bad) else { panic!("{bad}") };
            assert_eq!(fields[0].message.id, "api-local-time-expected", "{bad}");
        }
        assert!(stop_at("21:00").is_ok() && stop_at("21:00Z").is_err());
    }
}
