//! Moving in: an operator chooses an old home, sees what would become of everything in it, has it done, and may take it
//! back. It goes on while nobody looks.

use std::collections::BTreeSet;
use std::io::{BufRead as _, BufReader};
use std::path::Path;

use actix_web::http::header;
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse, web};
use futures_util::stream;
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::api::migrations::{ItemBody, SummaryBody, allowed};
use super::live_events::answer;
use super::video::Nothing;
use super::{Access, Form, FreshOperator, Operator, Page, Route, Server, words};
use crate::auth::{Identity, UserName};
use crate::error::{Error, FieldError, Result};
use crate::legacy::TIME_ZONE;
use crate::legacy::moves::{Act, Move, Order};
use crate::legacy::report::{Count, Fate, Item, Progress, What};
use crate::library::Library;
use crate::store::blocking;
use crate::text::{Locale, Message};

/// This room's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/admin/moving", access: Access::FreshOperator, handler: || web::to(show) },
    Route { method: "POST", path: "/admin/moving", access: Access::FreshOperator, handler: || web::to(plan) },
    Route { method: "POST", path: "/admin/moving/go", access: Access::FreshOperator, handler: || web::to(follow) },
    Route { method: "POST", path: "/admin/moving/stop", access: Access::FreshOperator, handler: || web::to(stop) },
    Route { method: "GET", path: "/admin/moving/report", access: Access::FreshOperator, handler: || web::to(report) },
    // Figures only, and for as long as it takes: no password is asked for in between.
    Route { method: "GET", path: "/admin/moving/progress", access: Access::Operator, handler: || web::to(progress) },
    Route { method: "GET", path: "/admin/moving/events", access: Access::Operator, handler: || web::to(events) },
];

const TEMPLATE: &str = "admin/moving.html";
const PAGE: &str = "/admin/moving";
const PROGRESS: &str = "/admin/moving/progress";
/// The word of the button that begins again what did not come to its end.
const GO_ON: &str = "go-on";
/// Lines of a report that are read at once.
const LINES: usize = 256;
/// A row takes time too: as much as so many bytes of a file.
const EACH: u64 = 64 << 10;

/// Kinds that may be chosen.
fn kinds() -> impl Iterator<Item = What> {
    What::ALL.into_iter().filter(|what| !matches!(what, What::Database | What::Other))
}

async fn show(page: Page, operator: FreshOperator, server: web::Data<Server>) -> Result<HttpResponse> {
    let last = server.moving_in.last(&operator.0).await?;
    if last.as_ref().is_some_and(Move::is_open) {
        return Ok(page.see_other(PROGRESS, "ok", None));
    }
    let context = context(&page, &operator, &server, last.as_ref()).await?;
    page.render("moving", TEMPLATE, context).await
}

async fn context(page: &Page, operator: &FreshOperator, server: &Server, last: Option<&Move>) -> Result<Value> {
    let (folders, unreadable) = match server.moving_in.folders(&operator.0).await {
        Ok(folders) => (folders, None),
        Err(Error::Conflict(reason)) => (Some(Vec::new()), Some(page.text(&reason))),
        Err(cause) => return Err(cause),
    };
    let root = server.foundation.config().migrate.from.as_deref();
    let folders = folders.map(|folders| {
        let none = folders.is_empty();
        let items = folders.into_iter().map(|folder| json!({"name": folder.name, "is_home": folder.is_home}));
        json!({"items": items.collect::<Vec<_>>(), "is_empty": none})
    });
    let kinds: Vec<_> = kinds().map(What::code).collect();
    let form = match last {
        Some(last) => json!({
            "from": relative(&last.order), "owner": last.order.owner, "time_zone": last.order.time_zone,
            "only": last.order.only.iter().map(|what| what.code()).collect::<Vec<_>>(),
            "remove_sources": last.order.remove_sources,
        }),
        None => json!({
            "from": "", "owner": page.identity().map(|me| me.user.name.to_string()), "time_zone": TIME_ZONE,
            "only": [], "remove_sources": false,
        }),
    };
    Ok(json!({
        "root": root.map(|root| root.display().to_string()),
        "unreadable": unreadable,
        "folders": folders,
        "kinds": kinds,
        "zones": crate::clock::zone_names(),
        "form": form,
        "errors": {},
        "last": last.map(|last| told(page, last)),
    }))
}

/// As the form names it.
fn relative(order: &Order) -> String {
    let within = std::fs::canonicalize(&order.within).unwrap_or_else(|_| order.within.clone());
    let inner = order.from.strip_prefix(&within).unwrap_or(&order.from).to_string_lossy().into_owned();
    if inner.is_empty() { ".".to_owned() } else { inner }
}

fn counted(name: &str, count: &Count) -> Value {
    json!({
        "kind": name, "imported": count.imported, "present": count.present, "skipped": count.skipped,
        "unneeded": count.unneeded, "removed": count.removed, "bytes": count.bytes,
    })
}

/// What a move came to.
fn told(page: &Page, last: &Move) -> Value {
    let totals: Vec<_> = last.summary.totals.iter().map(|(what, count)| counted(what.code(), count)).collect();
    let remarks: Vec<_> = last.remarks.iter().map(|item| remark(page, item)).collect();
    let coming: Vec<_> = last.coming.iter().map(|item| remark(page, item)).collect();
    let all = last.summary.all();
    json!({
        "id": last.id,
        "act": last.act.code(),
        "folder": relative(&last.order),
        "by": last.by,
        "begun": page.moment(last.begun_at),
        "ended": last.ended_at.map(|at| page.moment(at)),
        "failure": last.failure.as_ref().map(|reason| page.text(reason)),
        "removes_sources": last.order.remove_sources,
        "totals": totals,
        "all": counted("all", &all),
        "disk_needed": last.summary.disk_needed,
        "disk_free": last.summary.disk_free,
        "is_tight": last.act == Act::Plan && last.summary.disk_needed > last.summary.disk_free,
        "remarks": remarks,
        "remarked": last.remarked,
        "more": (all.imported + all.removed).saturating_sub(coming.len() as u64),
        "coming": coming,
        "may_go_on": last.may_go_on(),
        "may_apply": last.allows(Act::Apply) && all.imported + all.present > 0,
        "may_plan_back": last.allows(Act::PlanBack) && (last.act == Act::Apply || all.present > 0),
        "may_take_back": last.allows(Act::TakeBack) && all.removed > 0,
    })
}

fn remark(page: &Page, item: &Item) -> Value {
    let row = item.row.as_ref().map(|(database, row)| json!({"database": database, "row": row}));
    json!({
        "kind": item.what.code(),
        "is_skipped": item.fate == Fate::Skipped,
        "file": item.file,
        "row": row,
        "owner": item.owner,
        "title": item.title,
        "becomes": item.becomes.as_ref().map(|becomes| page.text(becomes)),
        "reason": item.reason.as_ref().map(|reason| page.text(reason)),
    })
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Asked {
    #[serde(default)]
    from: String,
    #[serde(default)]
    owner: String,
    #[serde(default)]
    time_zone: String,
    #[serde(default)]
    only: Vec<String>,
    remove_sources: Option<String>,
}

impl Asked {
    fn read(&self, server: &Server) -> Result<Order> {
        let mut wrong: Vec<FieldError> = Vec::new();
        let mut complain = |error: Error| {
            if let Error::Invalid(fields) = error {
                wrong.extend(fields);
            }
        };
        let from = match self.from.trim() {
            "" => Err(Error::field("from", Message::new("migrate-folder-missing"))),
            from => allowed(server, Path::new(from)),
        };
        let from = from.map_err(&mut complain).ok();
        let owner = UserName::parse(self.owner.trim());
        let owner = owner.map_err(|_| complain(Error::field("owner", Message::new("name-expected")))).ok();
        let only: Option<BTreeSet<What>> =
            self.only.iter().map(|code| kinds().find(|what| what.code() == code)).collect();
        let only = only.ok_or_else(|| Error::Malformed(Message::new("error-form").with("cause", "only")))?;
        let within = server.foundation.config().migrate.from.clone();
        let (Some(from), Some(within), Some(owner)) = (from, within, owner) else { return Err(Error::Invalid(wrong)) };
        let time_zone = Some(self.time_zone.trim()).filter(|zone| !zone.is_empty()).unwrap_or(TIME_ZONE).to_owned();
        Ok(Order { from, within, owner, only, time_zone, remove_sources: self.remove_sources.is_some() })
    }
}

async fn plan(
    page: Page,
    operator: FreshOperator,
    server: web::Data<Server>,
    form: Form<Asked>,
) -> Result<HttpResponse> {
    let ordered = match form.value.read(&server) {
        Ok(order) => server.moving_in.begin_move(&operator.0, Act::Plan, order).await,
        Err(error) => Err(error),
    };
    match ordered {
        Ok(_) => Ok(page.see_other(PROGRESS, "ok", None)),
        Err(Error::Conflict(reason)) => Ok(page.see_other(PAGE, "bad", Some(reason))),
        Err(error @ Error::Malformed(_)) => Err(error),
        Err(error) => {
            let last = server.moving_in.last(&operator.0).await?;
            let mut context = context(&page, &operator, &server, last.as_ref()).await?;
            let Asked { from, owner, time_zone, only, remove_sources } = form.value;
            context["form"] = json!({
                "from": from, "owner": owner, "time_zone": time_zone, "only": only,
                "remove_sources": remove_sources.is_some(),
            });
            page.refuse_filled("moving", TEMPLATE, context, error).await
        }
    }
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Follow {
    id: Uuid,
    act: String,
}

async fn follow(
    page: Page,
    operator: FreshOperator,
    server: web::Data<Server>,
    form: Form<Follow>,
) -> Result<HttpResponse> {
    if form.value.act == GO_ON {
        return begun(&page, server.moving_in.go_on(&operator.0, form.value.id).await);
    }
    let act = [Act::Apply, Act::PlanBack, Act::TakeBack].into_iter().find(|act| act.code() == form.value.act);
    let act = act.ok_or_else(|| Error::Malformed(Message::new("error-form").with("cause", "act")))?;
    begun(&page, server.moving_in.follow(&operator.0, form.value.id, act).await)
}

fn begun(page: &Page, begun: Result<Uuid>) -> Result<HttpResponse> {
    match begun {
        Ok(_) => Ok(page.see_other(PROGRESS, "ok", None)),
        Err(Error::Conflict(reason)) => Ok(page.see_other(PAGE, "bad", Some(reason))),
        Err(error) => Err(error),
    }
}

async fn stop(
    page: Page,
    operator: FreshOperator,
    server: web::Data<Server>,
    _form: Form<Nothing>,
) -> Result<HttpResponse> {
    server.moving_in.stop_move(&operator.0);
    Ok(page.see_other(PROGRESS, "ok", None))
}

/// How far it is, of a hundred.
fn percent(progress: &Progress) -> f64 {
    let of = progress.of_bytes.saturating_add(progress.of.saturating_mul(EACH)) as f64;
    let done = progress.bytes.saturating_add(progress.done.saturating_mul(EACH)) as f64;
    if of > 0.0 { (done * 100.0 / of).floor().min(99.0) } else { 0.0 }
}

fn doing(page: &Page, last: &Move) -> String {
    let all = last.summary.all();
    let words = match last.act {
        Act::Plan => "moving-words-plan",
        Act::Apply => "moving-words-apply",
        Act::PlanBack => "moving-words-plan-back",
        Act::TakeBack => "moving-words-take-back",
    };
    let words = Message::new(words).with("done", last.progress.done).with("of", last.progress.of);
    page.text(&words.with("come", all.imported + all.removed).with("skipped", all.skipped))
}

fn shape(last: Option<&Move>) -> String {
    last.map_or_else(String::new, |last| format!("{}-{}", last.id.simple(), last.is_open()))
}

async fn progress(page: Page, operator: Operator, server: web::Data<Server>) -> Result<HttpResponse> {
    let last = server.moving_in.last(&operator.0).await?;
    let Some(last) = last.filter(Move::is_open) else { return Ok(page.see_other(PAGE, "ok", None)) };
    let context = json!({
        "act": last.act.code(),
        "is_plan": last.act.is_plan(),
        "folder": relative(&last.order),
        "by": last.by,
        "begun": page.moment(last.begun_at),
        "words": doing(&page, &last),
        "percent": percent(&last.progress),
        "shape": shape(Some(&last)),
    });
    page.render("moving", "admin/moving_progress.html", context).await
}

async fn tell(page: Page, library: Library, operator: crate::auth::OperatorScope) -> Result<String> {
    let last = page.server().moving_in.last(&operator).await?;
    let mut event = words::frame_event(&page, &library).await?;
    if let Some(last) = last.as_ref().filter(|last| last.is_open()) {
        event["text"]["moving/words"] = json!(doing(&page, last));
        event["value"]["moving/progress"] = json!(percent(&last.progress));
    }
    event["shape"] = json!(shape(last.as_ref()));
    Ok(event.to_string())
}

async fn events(
    request: HttpRequest,
    page: Page,
    me: Identity,
    library: Library,
    operator: Operator,
) -> Result<HttpResponse> {
    answer(&request, me, move || tell(page.clone(), library.clone(), operator.0.clone())).await
}

/// A report on its way out.
struct Report {
    lines: Option<BufReader<std::fs::File>>,
    last: Move,
    locale: Locale,
    is_first: bool,
}

impl Report {
    /// The next piece: many items or, at the end, what it all came to.
    fn next(mut self) -> Result<Option<(Bytes, Report)>> {
        let Some(mut lines) = self.lines.take() else { return Ok(None) };
        let mut text = String::new();
        if self.is_first {
            text = format!("{{\"from\":{},\"items\":[", json!(self.last.order.from.to_string_lossy()));
        }
        for _ in 0..LINES {
            let mut line = String::new();
            // A line without an end was being written when the server was killed.
            if lines.read_line(&mut line)? == 0 || !line.ends_with('\n') {
                let applied = !self.last.act.is_plan();
                let summary = serde_json::to_value(SummaryBody::of(&self.last.summary, applied))?;
                text += "\n]";
                for (name, value) in summary.as_object().into_iter().flatten() {
                    text += &format!(",\n\"{name}\":{value}");
                }
                if let Some(failure) = &self.last.failure {
                    text += &format!(",\n\"error\":{}", json!(failure.in_locale(self.locale)));
                }
                text += "}\n";
                return Ok(Some((text.into(), self)));
            }
            let item = ItemBody::told(serde_json::from_str(&line)?, self.locale);
            text += if std::mem::replace(&mut self.is_first, false) { "\n" } else { ",\n" };
            text += &serde_json::to_string(&item)?;
        }
        self.lines = Some(lines);
        Ok(Some((text.into(), self)))
    }
}

async fn report(page: Page, operator: FreshOperator, server: web::Data<Server>) -> Result<HttpResponse> {
    let (last, file) = server.moving_in.items(&operator.0).await?;
    let name = format!("attachment; filename=\"{}-{}.json\"", last.act.code(), last.id.simple());
    let report = Report { lines: Some(BufReader::new(file)), last, locale: page.locale(), is_first: true };
    let pieces = stream::try_unfold(report, |report| blocking(move || report.next()));
    Ok(HttpResponse::Ok()
        .content_type("application/json")
        .insert_header((header::CONTENT_DISPOSITION, name))
        .insert_header((header::CACHE_CONTROL, "no-store"))
        .streaming(Box::pin(pieces)))
}
