//! Schedules as files: upload, mapping and preview, done; template, export and the calendar's address.

use std::collections::BTreeSet;

use actix_web::{HttpRequest, HttpResponse, web};
use jiff::civil::DateTime;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::auth::Identity;
use crate::error::{Error, Result};
use crate::format::Moment;
use crate::library::{Editor, Library};
use crate::schedule::import::drafts::{Draft, Outcome};
use crate::schedule::import::{Answer, Choice, Fate, ImportChoices, ImportPlan, Question, Verdict};
use crate::schedule::sheet::{Column, DayOrder, Limits, column_letters};
use crate::text::Message;
use crate::web::api::imports;
use crate::web::upload::Upload;
use crate::web::{Access, Form, Page, Route, Server, feed};

/// More choices than this are searched by typing.
const MOST_CHOICES: usize = 30;

/// This file's part of the surface.
pub(super) const ROUTES: &[Route] = &[
    Route { method: "GET", path: "/schedules/files", access: Access::Read, handler: || web::to(show) },
    Route { method: "POST", path: "/schedules/files", access: Access::Write, handler: || web::to(upload) },
    // Below the page on which they stand, so that this is where one is afterwards.
    Route { method: "POST", path: "/schedules/files/feed", access: Access::Write, handler: || web::to(make_feed) },
    Route {
        method: "POST",
        path: "/schedules/files/feed/revoke",
        access: Access::Write,
        handler: || web::to(revoke_feed),
    },
    Route { method: "GET", path: "/schedules/files/{id}", access: Access::Write, handler: || web::to(preview) },
    Route { method: "POST", path: "/schedules/files/{id}", access: Access::Write, handler: || web::to(act) },
    Route { method: "GET", path: "/schedules/export", access: Access::Read, handler: || web::to(imports::export) },
    Route { method: "GET", path: "/schedules/template", access: Access::Read, handler: || web::to(imports::template) },
];

/// The page; `error` is why a file was refused, `url` the address that was just made.
async fn page_of(
    page: Page,
    server: &Server,
    me: &Identity,
    error: Option<String>,
    url: Option<String>,
) -> Result<HttpResponse> {
    let made_at = server.accounts.feed_made_at(me).await?;
    let context = json!({
        "error": error,
        "most_mib": Limits::default().bytes >> 20,
        "feed": { "made": made_at.map(|at| page.moment(at)), "url": url },
    });
    page.render("schedule", "schedule/files.html", context).await
}

async fn show(page: Page, server: web::Data<Server>, me: Identity, _library: Library) -> Result<HttpResponse> {
    page_of(page, &server, &me, None, None).await
}

async fn upload(
    page: Page,
    server: web::Data<Server>,
    me: Identity,
    editor: Editor,
    form: Upload,
) -> Result<HttpResponse> {
    let started = match form.take_one(&editor, Limits::default().bytes).await {
        Ok(Some((name, file))) => editor.start_import(&name, file, page.zone_name()).await,
        Ok(None) => Err(Error::field("file", Message::new("files-none-chosen"))),
        Err(refused) => Err(refused),
    };
    match started {
        Ok(draft) => Ok(page.see_other(&format!("/schedules/files/{}", draft.id), "ok", None)),
        Err(refused @ (Error::TooLarge(_) | Error::WrongKind(_) | Error::OverQuota(_) | Error::Invalid(_))) => {
            let message = match &refused {
                Error::Invalid(fields) => fields.first().map(|field| field.message.clone()),
                _ => None,
            };
            let told = page.text(&message.unwrap_or_else(|| refused.message()));
            let mut answer = page_of(page, &server, &me, Some(told), None).await?;
            if let Ok(status) = actix_web::http::StatusCode::from_u16(refused.status()) {
                *answer.status_mut() = status;
            }
            Ok(answer)
        }
        Err(other) => Err(other),
    }
}

fn column_label(page: &Page, column: Column) -> String {
    let id = format!("column-{}", column.name().replace('_', "-"));
    page.text(&Message { id: id.into(), arguments: Vec::new() })
}

/// A local start as pages tell times.
fn start(page: &Page, at: DateTime, zone: &str) -> String {
    let zoned = crate::clock::zone(zone).and_then(|zone| at.to_zoned(zone).ok());
    zoned.map_or_else(
        || format!("{} {zone}", at.strftime("%Y-%m-%d %H:%M")),
        |at| Moment::new(at.timestamp(), at.time_zone(), page.locale()).text,
    )
}

fn row(page: &Page, verdict: &Verdict) -> Value {
    let problems = verdict.problems.iter().map(|problem| {
        let place = match problem.column.filter(|_| problem.letters.is_empty()) {
            Some(column) => column_label(page, column),
            None => format!("{} {}", problem.letters, problem.head),
        };
        json!({ "place": place.trim(), "text": page.text(&problem.message) })
    });
    let asks = verdict.asks.iter().map(|(question, found)| {
        let none = if found.is_empty() { "none-" } else { "" };
        let message = Message { id: format!("files-waits-{none}{}", question.code()).into(), arguments: Vec::new() };
        page.text(&message.with("found", found.as_str()))
    });
    let zone = verdict.starts_at.as_ref().map(|(_, zone)| zone.as_str()).unwrap_or_default();
    let changes = verdict.changes.iter().map(|change| {
        let told = |text: &str| match change.column {
            Column::StartsAt => text.parse().map_or_else(|_| text.to_owned(), |at| start(page, at, zone)),
            _ => text.lines().collect::<Vec<_>>().join("; ").chars().take(80).collect(),
        };
        json!({ "column": column_label(page, change.column), "from": told(&change.from), "to": told(&change.to) })
    });
    json!({
        "row": verdict.row,
        "title": verdict.title,
        "when": verdict.starts_at.as_ref().map(|(at, zone)| start(page, *at, zone)),
        "fate": verdict.fate.code(),
        "good": verdict.fate.is_good(),
        "makes_stream": verdict.makes_stream,
        "changes": changes.collect::<Vec<Value>>(),
        "problems": problems.collect::<Vec<Value>>(),
        "asks": asks.collect::<Vec<String>>(),
    })
}

async fn plan_page(
    page: Page,
    draft: &Draft,
    plan: &ImportPlan,
    error: Option<String>,
    chosen: Option<&BTreeSet<u32>>,
) -> Result<HttpResponse> {
    let columns = plan.heads.iter().enumerate().map(|(place, (head, column))| {
        json!({ "place": place, "letters": column_letters(place), "head": head, "column": column.map(Column::name).unwrap_or_default() })
    });
    let options = Column::all().map(|column| json!({ "name": column.name(), "label": column_label(&page, column) }));
    let asks = plan.asks.iter().enumerate().map(|(place, ask)| {
        let options = ask.options.iter();
        let options = options.map(|option| json!({ "id": option.code(), "title": option.title(page.locale()) }));
        json!({
            "place": place,
            "question": ask.question.code(),
            "found": ask.found,
            "rows": ask.rows,
            "needed": ask.needed,
            "answer": ask.answer.as_ref().map(Choice::code).unwrap_or_default(),
            "typed": (ask.more > 0 || ask.options.len() > MOST_CHOICES).then(|| {
                let chosen = ask.answer.as_ref().map(|choice| choice.title(page.locale()));
                json!({ "text": chosen.or_else(|| ask.refused.clone()), "of": ask.options.len() + ask.more })
            }),
            "refused": ask.refused,
            "options": options.collect::<Vec<_>>(),
        })
    });
    let rows = plan.rows.iter().map(|verdict| {
        let mut told = row(&page, verdict);
        told["chosen"] = json!(chosen.is_none_or(|chosen| chosen.contains(&verdict.row)));
        told
    });
    let counts = Fate::ALL.into_iter().map(|fate| (fate.code().to_owned(), json!(plan.count(fate))));
    let tables =
        plan.tables.iter().enumerate().map(|(place, name)| json!({ "place": place.to_string(), "name": name }));
    let context = json!({
        "error": error,
        "import": {
            "id": draft.id,
            "name": draft.name,
            "table": draft.choices.table.to_string(),
            "tables": tables.collect::<Vec<_>>(),
            "time_zone": draft.choices.time_zone,
            "day_order": draft.choices.day_order.map(DayOrder::code).unwrap_or_default(),
            "asks_day_order": plan.asks_day_order,
            "missing": plan.missing().into_iter().map(|column| column_label(&page, column)).collect::<Vec<_>>(),
            "columns": columns.collect::<Vec<_>>(),
            "unknown": plan.heads.iter().filter(|(head, column)| column.is_none() && !head.is_empty()).count(),
            "asks": asks.collect::<Vec<_>>(),
            "counts": counts.collect::<serde_json::Map<_, _>>(),
            "good": plan.rows.iter().filter(|row| row.fate.is_good()).count(),
            "rows": rows.collect::<Vec<_>>(),
        },
        "column_options": options.collect::<Vec<_>>(),
    });
    page.render("schedule", "schedule/import.html", context).await
}

/// What became of a file whose rows were taken in.
async fn outcome_page(page: Page, outcome: &Outcome) -> Result<HttpResponse> {
    let context = json!({
        "name": outcome.name,
        "done": {
            "created": outcome.done.created,
            "changed": outcome.done.changed,
            "same": outcome.done.same,
            "streams": outcome.done.streams,
        },
        "rows": outcome.left_out().map(|verdict| row(&page, verdict)).collect::<Vec<_>>(),
    });
    page.render("schedule", "schedule/imported.html", context).await
}

async fn preview(page: Page, editor: Editor, id: web::Path<Uuid>) -> Result<HttpResponse> {
    if let Some(outcome) = editor.import_outcome(*id) {
        return outcome_page(page, &outcome).await;
    }
    let (draft, plan) = editor.show_import(*id).await?;
    plan_page(page, &draft, &plan, None, None).await
}

/// What the form says, over what was chosen before.
fn choices(fields: &[(String, String)], mut choices: ImportChoices) -> (ImportChoices, BTreeSet<u32>, bool) {
    let value = |name: &str| fields.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
    let number = |text: &str| text.parse::<usize>().ok();
    if let Some(table) = value("table").and_then(number).filter(|table| *table != choices.table) {
        choices = ImportChoices { table, time_zone: choices.time_zone, ..ImportChoices::default() };
    } else {
        for (name, column) in fields {
            if let Some(place) = name.strip_prefix("column_").and_then(number) {
                choices.columns.insert(place, Column::parse(column));
            }
        }
        choices.answers.clear();
        for (name, choice) in fields {
            let Some(place) = name.strip_prefix("choice_") else { continue };
            let question = value(&format!("question_{place}")).and_then(Question::parse);
            let found = value(&format!("found_{place}")).unwrap_or_default().to_owned();
            if let Some(question) = question.filter(|_| !choice.trim().is_empty()) {
                choices.answers.push(Answer { question, found, choice: choice.trim().to_owned() });
            }
        }
    }
    if let Some(order) = value("day_order") {
        choices.day_order = DayOrder::parse(order);
    }
    if let Some(zone) = value("time_zone") {
        choices.time_zone = zone.trim().to_owned();
    }
    let rows = fields.iter().filter(|(name, _)| name == "row").filter_map(|(_, row)| row.parse().ok()).collect();
    (choices, rows, value("act") == Some("take"))
}

async fn act(
    page: Page,
    editor: Editor,
    id: web::Path<Uuid>,
    form: Form<Vec<(String, String)>>,
) -> Result<HttpResponse> {
    if editor.import_outcome(*id).is_some() {
        return Ok(page.see_other(&format!("/schedules/files/{id}"), "ok", None));
    }
    let draft = editor.import_draft(*id)?;
    let (choices, rows, is_taken) = choices(&form.value, draft.choices.clone());
    let told = |page: &Page, fields: &[crate::error::FieldError]| fields.first().map(|field| page.text(&field.message));
    let (draft, plan) = match editor.choose_import(*id, choices).await {
        Ok(shown) => shown,
        Err(Error::Invalid(fields)) => {
            let (draft, plan) = editor.show_import(*id).await?;
            return {
                let told = told(&page, &fields);
                plan_page(page, &draft, &plan, told, None)
            }
            .await;
        }
        // Another sheet of the file, with too many rows.
        Err(Error::TooLarge(message)) => {
            let (draft, plan) = editor.show_import(*id).await?;
            let told = Some(page.text(&message));
            return plan_page(page, &draft, &plan, told, None).await;
        }
        Err(other) => return Err(other),
    };
    if !is_taken {
        return plan_page(page, &draft, &plan, None, None).await;
    }
    if rows.is_empty() {
        let error = page.text(&Message::new("files-no-row"));
        return plan_page(page, &draft, &plan, Some(error), Some(&rows)).await;
    }
    match editor.finish_import(*id, Some(rows.clone())).await {
        Ok(done) => {
            let message = Message::new("files-done")
                .with("created", done.created)
                .with("changed", done.changed)
                .with("skipped", done.skipped);
            Ok(page.see_other(&format!("/schedules/files/{id}"), "ok", Some(message)))
        }
        Err(Error::Invalid(fields)) => {
            {
                let told = told(&page, &fields);
                plan_page(page, &draft, &plan, told, Some(&rows))
            }
            .await
        }
        Err(other) => Err(other),
    }
}

async fn make_feed(
    page: Page,
    server: web::Data<Server>,
    me: Identity,
    _editor: Editor,
    request: HttpRequest,
    _form: Form<Vec<(String, String)>>,
) -> Result<HttpResponse> {
    let token = server.accounts.make_feed(&me).await?;
    let url = feed::address(&server, &request, &token);
    page_of(page, &server, &me, None, Some(url)).await
}

async fn revoke_feed(
    page: Page,
    server: web::Data<Server>,
    me: Identity,
    _editor: Editor,
    _form: Form<Vec<(String, String)>>,
) -> Result<HttpResponse> {
    server.accounts.revoke_feed(&me).await?;
    Ok(page.see_other("/schedules/files", "ok", Some(Message::new("files-feed-revoked"))))
}
