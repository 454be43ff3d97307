//! Background jobs for programs: order one, see how far it is, cancel it.

use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{List, ListQuery, Moment, RowFields, accepted, bad_query, place, shown};
use crate::error::{Error, Result};
use crate::jobs::{JobFilter, JobQuery, JobShown, JobState, Work};
use crate::library::{Editor, Library};
use crate::media::Profile;
use crate::text::{Locale, Message};
use crate::web::{Access, Json, Page, Query, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/api/v1/jobs", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/api/v1/jobs/{id}", access: Access::Read, handler: || web::to(show) },
    Route { method: "POST", path: "/api/v1/jobs/{id}/cancel", access: Access::Write, handler: || web::to(cancel) },
    Route {
        method: "POST",
        path: "/api/v1/videos/{id}/optimise",
        access: Access::Write,
        handler: || web::to(optimise),
    },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(list, show, cancel, optimise))]
pub struct Document;

/// Work that goes on while nobody waits for it.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(super) struct JobBody {
    #[serde(flatten)]
    row: RowFields,
    /// `optimise`.
    kind: &'static str,
    /// The video it is about.
    video_id: Uuid,
    /// `720p30` or `1080p30`.
    profile: &'static str,
    /// The bytes that the video has stay as a video of their own.
    keep_original: bool,
    /// `queued`, `running`, `done`, `failed` or `cancelled`.
    state: &'static str,
    /// While it waits: how many of your own jobs come before it.
    ahead: Option<usize>,
    /// From 0 to 1.
    progress: f64,
    /// Why, where there is something to say.
    reason: Option<String>,
    /// How often it was begun.
    attempts: u32,
    started_at: Option<Moment>,
    ended_at: Option<Moment>,
    /// The video that came of it: the same one, with other bytes.
    result_id: Option<Uuid>,
    /// The video that has the bytes from before, where they were to stay.
    original_id: Option<Uuid>,
}

impl JobBody {
    fn of(shown: &JobShown, locale: Locale) -> JobBody {
        let JobShown { row, ahead, .. } = shown;
        let job = &row.value;
        let Work::Optimise(optimise) = &job.work;
        JobBody {
            row: RowFields::from(row),
            kind: job.work.code(),
            video_id: optimise.video_id,
            profile: optimise.profile.code(),
            keep_original: optimise.keep_original,
            state: job.state.code(),
            ahead: *ahead,
            progress: (job.progress * 1000.0).round() / 1000.0,
            reason: job.reason.as_ref().map(|reason| reason.in_locale(locale)),
            attempts: job.attempts,
            started_at: job.started_at.map(Moment::from),
            ended_at: job.ended_at.map(Moment::from),
            result_id: job.result_id,
            original_id: job.original_id,
        }
    }
}

/// Which jobs.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct Filter {
    /// Only jobs about this video.
    video_id: Option<Uuid>,
    /// Only those in this state: `queued`, `running`, `done`, `failed` or `cancelled`; `open`: those that wait or run.
    state: Option<String>,
}

/// List jobs, newest first
///
/// Orders: `-created_at` (as it is without one) and `created_at`. The last 200 that are over are kept.
#[utoipa::path(get, path = "/api/v1/jobs", tag = "jobs", params(ListQuery, Filter), responses(
    (status = 200, body = List<JobBody>),
))]
async fn list(page: Page, library: Library, asked: ListQuery, filter: Query<Filter>) -> Result<HttpResponse> {
    let wanted = match filter.0.state.as_deref() {
        None | Some("") => JobFilter::All,
        Some("open") => JobFilter::Open,
        Some(code) => {
            let state = JobState::ALL.into_iter().find(|state| state.code() == code);
            let cause = "state: one of queued, running, done, failed, cancelled, open is expected";
            JobFilter::Is(state.ok_or_else(|| bad_query(cause))?)
        }
    };
    let (_, turned) = asked.order(&["created_at"])?;
    let place = place(&asked, asked.sort.is_none() || turned)?;
    let jobs = library.jobs(JobQuery { filter: wanted, video: filter.0.video_id, place }).await?;
    Ok(shown(&List::of_paged(jobs, |job| JobBody::of(&job, page.locale())), None))
}

/// One job
#[utoipa::path(get, path = "/api/v1/jobs/{id}", tag = "jobs", params(("id" = Uuid, Path)), responses(
    (status = 200, body = JobBody), (status = 404),
))]
async fn show(page: Page, library: Library, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let job = library.job(*id).await?;
    Ok(shown(&JobBody::of(&job, page.locale()), Some(job.row.version)))
}

/// Cancel a job
///
/// What it has done so far is thrown away.
#[utoipa::path(post, path = "/api/v1/jobs/{id}/cancel", tag = "jobs", params(("id" = Uuid, Path)), responses(
    (status = 200, body = JobBody), (status = 404), (status = 409, description = "It is over"),
))]
async fn cancel(page: Page, editor: Editor, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let job = editor.cancel_job(*id).await?;
    Ok(shown(&JobBody::of(&job, page.locale()), Some(job.row.version)))
}

/// How to optimise.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = Optimise)]
struct OptimiseBody {
    /// How large the picture may be: `720p30` or `1080p30`. It is never made larger.
    profile: String,
    /// Keep the bytes that the video has as a video of its own.
    #[serde(default)]
    keep_original: bool,
}

/// A profile by its name.
///
/// # Errors
/// [`Error::Invalid`] on the field `profile`.
pub(in crate::web) fn profile(code: &str) -> Result<Profile> {
    Profile::parse(code).ok_or_else(|| Error::field("profile", Message::new("job-profile-expected")))
}

/// Optimise a video
///
/// It is encoded once, so that it goes on air as it is: H.264 and AAC, 30 frames and 1/2 keyframe a second, upright, with
/// sound. The video keeps its id; runs that have it on air go on with the bytes from before.
#[utoipa::path(post, path = "/api/v1/videos/{id}/optimise", tag = "jobs", params(("id" = Uuid, Path)),
    request_body = OptimiseBody, responses(
    (status = 202, body = JobBody, headers(("Location" = String, description = "The job"))),
    (status = 404),
    (status = 409, description = "It is in a job already, or too many wait"),
    (status = 422, description = "No such profile"),
    (status = 507, description = "There would be no room for it"),
))]
async fn optimise(page: Page, editor: Editor, id: web::Path<Uuid>, body: Json<OptimiseBody>) -> Result<HttpResponse> {
    let OptimiseBody { profile: code, keep_original } = body.0;
    let job = editor.optimise_video(*id, profile(&code)?, keep_original, page.locale()).await?;
    let location = format!("/api/v1/jobs/{}", job.row.id());
    Ok(accepted(&location, &JobBody::of(&job, page.locale()), job.row.version))
}
