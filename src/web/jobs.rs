//! Background jobs: the part of a video's page that optimises it, and the list of all. Both update by themselves.

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::Timestamp;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::jobs::profile;
use super::live_events::answer;
use super::pager::{address, neighbours, place};
use super::video::{Nothing, refused_beside};
use super::words::seconds_between;
use super::{Access, Form, Page, Query, Route, format, words};
use crate::auth::Identity;
use crate::error::Result;
use crate::jobs::{Cost, Job, JobFilter, JobQuery, JobShown, JobState, Work};
use crate::library::{Editor, Library, Video};
use crate::media::Profile;
use crate::store::paged::{Paged, Place};
use crate::store::rows::Row;
use crate::text::Message;

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/videos/{id}/optimise", access: Access::Write, handler: || web::to(optimise) },
    Route { method: "GET", path: "/videos/{id}/events", access: Access::Read, handler: || web::to(events) },
    Route { method: "GET", path: "/jobs", access: Access::Read, handler: || web::to(list) },
    Route { method: "GET", path: "/jobs/events", access: Access::Read, handler: || web::to(list_events) },
    Route { method: "POST", path: "/jobs/{id}/cancel", access: Access::Write, handler: || web::to(cancel) },
];

/// From here on, a job's own speed tells best how long it will take.
const TELLING: f64 = 0.05;

/// A video, the newest job about it, and what optimising it takes.
struct Seen {
    now: Timestamp,
    job: Option<JobShown>,
    costs: Vec<Cost>,
    is_ready: bool,
}

impl Seen {
    async fn look(library: &Library, video: &Row<Video>) -> Result<Seen> {
        Ok(Seen {
            now: library.foundation().clock().now(),
            job: library.job_of_video(video.id()).await?,
            costs: library.optimise_costs(video.value.facts.clone()).await?,
            is_ready: video.value.verdict.ready,
        })
    }

    /// Changes whenever the buttons would be others.
    fn shape(&self) -> String {
        let (id, state) = self.job.as_ref().map_or((Uuid::nil(), "none"), |job| (job.row.id(), stage(&job.row.value)));
        format!("{}-{state}-{}", id.simple(), self.is_ready)
    }

    fn words(&self, page: &Page, job: &JobShown) -> String {
        let Work::Optimise(optimise) = &job.row.value.work;
        let cost = self.costs.iter().find(|cost| cost.profile == optimise.profile);
        told(page, job, self.now, cost.map(|cost| cost.seconds))
    }
}

/// What the buttons beside a job depend on.
fn stage(job: &Job) -> &'static str {
    if job.state.is_open() { "open" } else { job.state.code() }
}

/// What a job that waits or runs does, with the seconds that it would take in all, where they are known.
fn told(page: &Page, shown: &JobShown, now: Timestamp, whole: Option<f64>) -> String {
    let job = &shown.row.value;
    if job.state == JobState::Queued {
        return page.text(&Message::new("job-words-queued").with("ahead", shown.ahead.unwrap_or_default()));
    }
    let left = match job.started_at {
        Some(start) if job.attempts == 1 && job.progress > TELLING => {
            Some(seconds_between(start, now) * (1.0 - job.progress) / job.progress)
        }
        _ => whole.map(|whole| whole * (1.0 - job.progress)),
    };
    page.text(&match left {
        Some(left) => Message::new("job-words-running")
            .with("percent", percent(job))
            .with("left", format::duration(page.locale(), left.max(1.0))),
        None => Message::new("job-words-percent").with("percent", percent(job)),
    })
}

fn percent(job: &Job) -> f64 {
    (job.progress * 100.0).floor()
}

/// What a video's page shows of it: see the template.
pub(super) async fn context(page: &Page, library: &Library, video: &Row<Video>) -> Result<(String, Value)> {
    let seen = Seen::look(library, video).await?;
    let facts = &video.value.facts.video;
    // The larger one is a choice only where it would be larger.
    let is_large = facts.width.min(facts.height) > 720;
    let costs = seen.costs.iter().filter(|cost| is_large || cost.profile == Profile::Hd).map(|cost| {
        json!({
            "profile": cost.profile.code(),
            "bytes": cost.bytes,
            "needed": cost.needed,
            "seconds": cost.seconds.max(1.0),
        })
    });
    let costs: Vec<Value> = costs.collect();
    let job = seen.job.as_ref().map(|shown| {
        let job = &shown.row.value;
        json!({
            "id": shown.row.id(),
            "state": job.state.code(),
            "is_open": job.state.is_open(),
            "words": seen.words(page, shown),
            "percent": percent(job),
            "reason": job.reason.as_ref().map(|reason| page.text(reason)),
            "ended": job.ended_at.map(|at| page.moment(at)),
            "original_id": job.original_id,
        })
    });
    Ok((seen.shape(), json!({ "costs": costs, "job": job })))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Wish {
    #[serde(default)]
    profile: String,
    #[serde(default)]
    keep_original: String,
}

async fn optimise(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Wish>) -> Result<HttpResponse> {
    let keeps = !form.value.keep_original.is_empty();
    let ordered = match profile(&form.value.profile) {
        Ok(profile) => editor.optimise_video(*id, profile, keeps, page.locale()).await,
        Err(refused) => Err(refused),
    };
    refused_beside(page, &editor, *id, &form.typed, ordered, "job-ordered").await
}

async fn cancel(page: Page, editor: Editor, id: web::Path<Uuid>, form: Form<Nothing>) -> Result<HttpResponse> {
    let video = editor.job(*id).await?.row.value.work.video_id();
    let address = form.back.unwrap_or_else(|| format!("/videos/{video}"));
    match editor.cancel_job(*id).await {
        Ok(_) => Ok(page.see_other(&address, "ok", Some(Message::new("job-cancelled")))),
        Err(error) => page.back_with(Some(&address), error),
    }
}

/// One event: see `static/own/live.js`.
async fn tell(page: Page, library: Library, id: Uuid) -> Result<String> {
    let video = library.video(id).await?;
    let seen = Seen::look(&library, &video).await?;
    let mut event = words::frame_event(&page, &library).await?;
    if let Some(job) = seen.job.as_ref().filter(|job| job.row.value.state.is_open()) {
        event["text"]["job/words"] = json!(seen.words(&page, job));
        event["value"]["job/progress"] = json!(percent(&job.row.value));
    }
    event["shape"] = json!(seen.shape());
    Ok(event.to_string())
}

async fn events(
    request: HttpRequest,
    page: Page,
    me: Identity,
    library: Library,
    id: web::Path<Uuid>,
) -> Result<HttpResponse> {
    let id = id.into_inner();
    answer(&request, me, move || tell(page.clone(), library.clone(), id)).await
}

#[derive(Clone, Deserialize)]
struct Asked {
    #[serde(default)]
    state: String,
    cursor: Option<String>,
    before: Option<String>,
}

impl Asked {
    /// Whatever is not known is as if it were not there.
    fn filter(&self) -> JobFilter {
        match JobState::ALL.into_iter().find(|state| state.code() == self.state) {
            Some(state) => JobFilter::Is(state),
            None if self.state == "open" => JobFilter::Open,
            None => JobFilter::All,
        }
    }

    fn place(&self) -> Place {
        place(self.cursor.as_deref(), self.before.as_deref(), true)
    }

    async fn jobs(&self, library: &Library) -> Result<Paged<JobShown>> {
        library.jobs(JobQuery { filter: self.filter(), video: None, place: self.place() }).await
    }
}

/// Changes whenever a row would have other buttons, or there are others.
fn shape_of(jobs: &Paged<JobShown>) -> String {
    let rows = jobs.items.iter().map(|job| format!("-{}-{}", job.row.id().simple(), stage(&job.row.value)));
    [jobs.total.to_string()].into_iter().chain(rows).collect()
}

async fn list(page: Page, library: Library, asked: Query<Asked>) -> Result<HttpResponse> {
    let jobs = asked.0.jobs(&library).await?;
    let now = library.foundation().clock().now();
    let state = match asked.0.filter() {
        JobFilter::All => "",
        JobFilter::Open | JobFilter::Is(_) => asked.0.state.as_str(),
    };
    let (prev, next) = neighbours("/jobs", &[("state", state)], &jobs);
    let items = jobs.items.iter().map(|shown| {
        let job = &shown.row.value;
        let Work::Optimise(optimise) = &job.work;
        json!({
            "id": shown.row.id(),
            "video": { "id": optimise.video_id, "title": shown.title },
            "profile": optimise.profile.code(),
            "state": job.state.code(),
            "is_open": job.state.is_open(),
            "words": told(&page, shown, now, None),
            "percent": percent(job),
            "reason": job.reason.as_ref().map(|reason| page.text(reason)),
            "created": page.moment(shown.row.header.created_at),
            "ended": job.ended_at.map(|at| page.moment(at)),
        })
    });
    let items: Vec<Value> = items.collect();
    let events = address(
        "/jobs/events",
        &[
            ("state", state),
            ("cursor", asked.0.cursor.as_deref().unwrap_or_default()),
            ("before", asked.0.before.as_deref().unwrap_or_default()),
        ],
    );
    let context = json!({
        "list": {
            "state": if state.is_empty() { "all" } else { state },
            "total": jobs.total,
            "prev": prev,
            "next": next,
            "items": items,
        },
        "shape": shape_of(&jobs),
        "events": events,
    });
    page.render("videos", "job/list.html", context).await
}

/// One event of the list.
async fn tell_list(page: Page, library: Library, asked: Asked) -> Result<String> {
    let jobs = asked.jobs(&library).await?;
    let now = library.foundation().clock().now();
    let mut event = words::frame_event(&page, &library).await?;
    for shown in jobs.items.iter().filter(|job| job.row.value.state.is_open()) {
        let id = shown.row.id();
        event["text"][format!("job/{id}/words")] = json!(told(&page, shown, now, None));
        event["value"][format!("job/{id}/progress")] = json!(percent(&shown.row.value));
    }
    event["shape"] = json!(shape_of(&jobs));
    Ok(event.to_string())
}

async fn list_events(
    request: HttpRequest,
    page: Page,
    me: Identity,
    library: Library,
    asked: Query<Asked>,
) -> Result<HttpResponse> {
    answer(&request, me, move || tell_list(page.clone(), library.clone(), asked.0.clone())).await
}
