//! Runs for programs: what was on air, how it went and why it ended.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{List, ListQuery, Moment, RowFields, shown};
use crate::error::{Error, Result};
use crate::library::Library;
use crate::live::{Run, RunFilter, RunOutcome, RunQuery, RunSort, RunTarget};
use crate::store::rows::Row;
use crate::text::{Locale, Message};
use crate::web::{Access, Page, Query, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/runs", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/api/v1/runs/{id}", access: Access::Read, handler: || web::to(show) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, show))]
pub struct Document;

/// One attempt to be on air.
#[derive(Serialize, ToSchema)]
#[schema(as = Run)]
pub(super) struct RunBody {
    #[serde(flatten)]
    row: RowFields,
    stream_id: Uuid,
    /// What the stream was called then.
    stream_title: String,
    /// The schedule that asked for it.
    schedule_id: Option<Uuid>,
    /// The occurrence of that schedule; null for "run now".
    occurrence_at: Option<Moment>,
    /// Null where it was missed.
    started_at: Option<Moment>,
    /// When it has to end.
    stop_at: Option<Moment>,
    /// Null while it is on.
    ended_at: Option<Moment>,
    /// `completed`, `stopped`, `failed` or `missed`; null while it is on.
    outcome: Option<&'static str>,
    /// Why, where there is something to say.
    reason: Option<String>,
    /// Who, or which task, started it.
    started_by: String,
    /// Starts of ffmpeg after something went wrong.
    restarts: u32,
    /// Bytes sent to all targets.
    bytes: u64,
    /// All starts of ffmpeg.
    attempts: u32,
    targets: Vec<RunTargetBody>,
}

/// One place that a run went to.
#[derive(Serialize, ToSchema)]
#[schema(as = RunTarget)]
struct RunTargetBody {
    id: Uuid,
    platform: &'static str,
    /// Without the key.
    url: String,
    key_masked: Option<String>,
    /// Null while it is on.
    outcome: Option<&'static str>,
    reason: Option<String>,
    restarts: Option<u32>,
    attempts: Option<u32>,
    bytes: Option<u64>,
}

impl RunTargetBody {
    fn of(target: &RunTarget, locale: Locale) -> RunTargetBody {
        let end = target.end.as_ref();
        RunTargetBody {
            id: target.id,
            platform: target.platform.code(),
            url: target.url.to_string(),
            key_masked: target.key_masked.clone(),
            outcome: end.map(|end| end.outcome.code()),
            reason: end.and_then(|end| end.reason.as_ref()).map(|reason| reason.in_locale(locale)),
            restarts: end.map(|end| end.restarts),
            attempts: end.map(|end| end.attempts),
            bytes: end.map(|end| end.bytes),
        }
    }
}

impl RunBody {
    pub(super) fn of(row: &Row<Run>, locale: Locale) -> RunBody {
        let run = &row.value;
        RunBody {
            row: RowFields::from(row),
            stream_id: run.stream_id,
            stream_title: run.stream_title.clone(),
            schedule_id: run.schedule_id,
            occurrence_at: run.occurrence_at.map(Moment::from),
            started_at: run.started_at.map(Moment::from),
            stop_at: run.planned_stop.map(Moment::from),
            ended_at: run.ended_at.map(Moment::from),
            outcome: run.outcome.map(RunOutcome::code),
            reason: run.reason.as_ref().map(|reason| reason.in_locale(locale)),
            started_by: run.started_by.clone(),
            restarts: run.restarts,
            bytes: run.bytes,
            attempts: run.attempts,
            targets: run.targets.iter().map(|target| RunTargetBody::of(target, locale)).collect(),
        }
    }
}

/// The page of runs that a list query asks for: the newest first, unless it says otherwise.
pub(super) fn query(asked: &ListQuery) -> Result<RunQuery> {
    let (order, turned) = asked.order(&["started_at", "length"])?;
    let sort = if order == "length" { RunSort::Length } else { RunSort::At };
    let rising = asked.sort.is_some() && !turned;
    Ok(RunQuery { sort, rising, after: asked.after()?, limit: asked.limit, ..RunQuery::default() })
}

/// Which runs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only runs of this stream.
    stream_id: Option<Uuid>,
    /// Only those that ended so: `completed`, `stopped`, `failed` or `missed`; `running`: those that have not.
    outcome: Option<String>,
}

/// List runs, newest first
///
/// Orders: `started_at`, `length`; without one the newest come first.
#[utoipa::path(get, path = "/api/v1/runs", tag = "runs", params(ListQuery, Filter), responses(
    (status = 200, body = List<RunBody>),
))]
async fn list(page: Page, library: Library, asked: ListQuery, filter: Query<Filter>) -> Result<HttpResponse> {
    let wanted = match filter.0.outcome.as_deref() {
        None | Some("") => None,
        Some("running") => Some(RunFilter::On),
        Some(other) => {
            let cause = "outcome: one of completed, stopped, failed, missed, running is expected";
            let unknown = || Error::Malformed(Message::new("error-query").with("cause", cause));
            Some(RunFilter::Ended(RunOutcome::parse(other).ok_or_else(unknown)?))
        }
    };
    let runs = library.runs(RunQuery { filter: wanted, stream: filter.0.stream_id, ..query(&asked)? }).await?;
    Ok(shown(&List::of_paged(runs, |row| RunBody::of(&row, page.locale())), None))
}

/// One run
#[utoipa::path(get, path = "/api/v1/runs/{id}", tag = "runs", params(("id" = Uuid, Path)), responses(
    (status = 200, body = RunBody), (status = 404),
))]
async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let row = library.run(*id).await?;
    Ok(shown(&RunBody::of(&row, page.locale()), Some(row.version)))
}
