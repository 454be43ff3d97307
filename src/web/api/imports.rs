//! Schedules from workbooks and CSV files, and back: upload, answer, take; and the files that go out.

use std::collections::{BTreeMap, BTreeSet};

use actix_web::http::header;
use actix_web::{HttpResponse, web};
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};
use uuid::Uuid;

use super::{created, given, no_content, shown};
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::objects::intake::Spool;
use crate::schedule::import::drafts::Draft;
use crate::schedule::import::{Answer, Choice, Fate, ImportChoices, ImportPlan, Imported, Question, Verdict};
use crate::schedule::sheet::{Column, DayOrder, HeaderSet, Limits, Problem, column_letters, column_place};
use crate::tabular::Format;
use crate::text::{Locale, Message};
use crate::web::extract::{MaybeJson, chunks};
use crate::web::{Access, Json, Page, Query, Route};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[
    Route { method: "POST", path: "/api/v1/schedules/imports", access: Access::Write, handler: || web::to(upload) },
    Route { method: "GET", path: "/api/v1/schedules/imports/{id}", access: Access::Write, handler: || web::to(show) },
    Route {
        method: "PATCH",
        path: "/api/v1/schedules/imports/{id}",
        access: Access::Write,
        handler: || web::to(choose),
    },
    Route {
        method: "DELETE",
        path: "/api/v1/schedules/imports/{id}",
        access: Access::Write,
        handler: || web::to(forget),
    },
    Route {
        method: "POST",
        path: "/api/v1/schedules/imports/{id}/take",
        access: Access::Write,
        handler: || web::to(take),
    },
    Route { method: "GET", path: "/api/v1/schedules/export", access: Access::Read, handler: || web::to(export) },
    Route { method: "GET", path: "/api/v1/schedules/template", access: Access::Read, handler: || web::to(template) },
    Route { method: "GET", path: "/api/v1/runs/export", access: Access::Read, handler: || web::to(export_runs) },
];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(upload, show, choose, forget, take, export, template, export_runs))]
pub struct Document;

/// A file that waits to be taken in, with what would become of its rows.
#[derive(Serialize, ToSchema)]
#[schema(as = Import)]
struct ImportBody {
    id: Uuid,
    /// What the file is called.
    name: String,
    /// Which of the tables is read, from 0.
    table: usize,
    /// Names of the sheets that have heads.
    tables: Vec<String>,
    /// `legacy_a`, `legacy_b` or `own`.
    header_set: &'static str,
    /// Zone of rows that name none.
    time_zone: String,
    /// `day_first`, `month_first`, or null where dates say it themselves.
    day_order: Option<&'static str>,
    /// Dates can be read both ways: say which in `day_order`.
    asks_day_order: bool,
    columns: Vec<ColumnBody>,
    /// What has to be answered, or was.
    questions: Vec<QuestionBody>,
    /// Rows by verdict.
    counts: BTreeMap<&'static str, usize>,
    rows: Vec<VerdictBody>,
}

/// A column of the file.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportColumn)]
struct ColumnBody {
    #[schema(examples("C"))]
    letters: String,
    head: String,
    /// What it holds; null where that is not known, and it is left out.
    column: Option<&'static str>,
}

/// What rows leave open.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportQuestion)]
struct QuestionBody {
    /// `owner`, `video`, `key`, `stream` or `thumbnail`.
    question: &'static str,
    /// What the rows say; empty where they say nothing.
    found: String,
    /// Rows that wait for it.
    rows: usize,
    /// Rows wait for it; else they are taken without.
    needed: bool,
    options: Vec<OptionBody>,
    /// How many more may be answered, by their id, title or file name.
    more: usize,
    /// Id of the option that was answered.
    answer: Option<String>,
}

/// What may be answered.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportOption)]
struct OptionBody {
    /// For the question `owner`: `mine` or `leave`.
    id: String,
    title: String,
}

/// What would become of a row.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportRow)]
struct VerdictBody {
    /// The line, as Excel counts.
    row: u32,
    title: String,
    /// The local time of the start.
    starts_at: Option<String>,
    time_zone: Option<String>,
    /// `new`, `change`, `same`, `ask`, `bad`, `foreign` or `over`.
    verdict: &'static str,
    /// It makes a stream too.
    makes_stream: bool,
    /// Columns by which something known would change.
    changes: Vec<&'static str>,
    /// The same with what they say now, and would say.
    differences: Vec<DifferenceBody>,
    /// What is wrong; of rows that can be taken what should be known.
    problems: Vec<ProblemBody>,
}

/// What a column says now, and would say, as an export writes it.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportDifference)]
struct DifferenceBody {
    column: &'static str,
    from: String,
    to: String,
}

/// A cell that makes no sense.
#[derive(Serialize, ToSchema)]
#[schema(as = ImportProblem)]
struct ProblemBody {
    row: u32,
    /// Letters of the column; empty where the file has none.
    letters: String,
    /// Its head in the file, or our name of the column that is missing.
    head: String,
    message: String,
}

/// What was taken in.
#[derive(Serialize, ToSchema)]
#[schema(as = Imported)]
struct ImportedBody {
    /// Schedules that were made.
    created: usize,
    /// Schedules or their streams that were changed.
    changed: usize,
    /// Streams that were made.
    streams: usize,
    /// Rows that were there already.
    same: usize,
    /// Rows that were not taken.
    skipped: usize,
}

impl From<Imported> for ImportedBody {
    fn from(done: Imported) -> ImportedBody {
        let Imported { created, changed, streams, same, skipped } = done;
        ImportedBody { created, changed, streams, same, skipped }
    }
}

impl ProblemBody {
    fn new(problem: &Problem, locale: Locale) -> ProblemBody {
        ProblemBody {
            row: problem.row,
            letters: problem.letters.clone(),
            head: problem.head.clone(),
            message: problem.message.in_locale(locale),
        }
    }
}

impl VerdictBody {
    fn new(verdict: &Verdict, locale: Locale) -> VerdictBody {
        VerdictBody {
            row: verdict.row,
            title: verdict.title.clone(),
            starts_at: verdict.starts_at.as_ref().map(|(at, _)| at.to_string()),
            time_zone: verdict.starts_at.as_ref().map(|(_, zone)| zone.clone()),
            verdict: verdict.fate.code(),
            makes_stream: verdict.makes_stream,
            changes: verdict.changes.iter().map(|change| change.column.name()).collect(),
            differences: verdict
                .changes
                .iter()
                .map(|change| DifferenceBody {
                    column: change.column.name(),
                    from: change.from.clone(),
                    to: change.to.clone(),
                })
                .collect(),
            problems: verdict.problems.iter().map(|problem| ProblemBody::new(problem, locale)).collect(),
        }
    }
}

impl ImportBody {
    fn new(draft: &Draft, plan: &ImportPlan, locale: Locale) -> ImportBody {
        let columns = plan.heads.iter().enumerate().map(|(place, (head, column))| ColumnBody {
            letters: column_letters(place),
            head: head.clone(),
            column: column.map(Column::name),
        });
        let questions = plan.asks.iter().map(|ask| QuestionBody {
            question: ask.question.code(),
            found: ask.found.clone(),
            rows: ask.rows,
            needed: ask.needed,
            options: ask
                .options
                .iter()
                .map(|option| OptionBody { id: option.code(), title: option.title(locale) })
                .collect(),
            more: ask.more,
            answer: ask.answer.as_ref().map(Choice::code),
        });
        ImportBody {
            id: draft.id,
            name: draft.name.clone(),
            table: draft.choices.table,
            tables: plan.tables.clone(),
            header_set: match plan.header_set {
                HeaderSet::LegacyA => "legacy_a",
                HeaderSet::LegacyB => "legacy_b",
                HeaderSet::Own => "own",
            },
            time_zone: draft.choices.time_zone.clone(),
            day_order: draft.choices.day_order.map(DayOrder::code),
            asks_day_order: plan.asks_day_order,
            columns: columns.collect(),
            questions: questions.collect(),
            counts: Fate::ALL.into_iter().map(|fate| (fate.code(), plan.count(fate))).collect(),
            rows: plan.rows.iter().map(|verdict| VerdictBody::new(verdict, locale)).collect(),
        }
    }
}

/// What the file is called.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
struct NameQuery {
    /// What the file is called.
    #[serde(default)]
    #[param(required = false)]
    name: String,
}

/// Upload a workbook or CSV file of schedules
///
/// The body is the file itself: xlsx, xls, ods or CSV, at most 8 MiB. Nothing is changed yet; the answer has a verdict
/// for each row. The file waits for an hour.
#[utoipa::path(post, path = "/api/v1/schedules/imports", tag = "schedules", params(NameQuery),
    request_body(content = String, content_type = "application/octet-stream"), responses(
    (status = 201, body = ImportBody, headers(("Location", description = "Address of the import"))),
    (status = 413, description = "Too large, or made to become so"),
    (status = 415, description = "No workbook and no CSV file"),
    (status = 507, description = "The disk is full"),
))]
async fn upload(page: Page, editor: Editor, name: Query<NameQuery>, body: web::Payload) -> Result<HttpResponse> {
    let (mut chunks, most) = (chunks(body.into_inner()), Limits::default().bytes);
    let file = Spool::fill(editor.foundation(), editor.bucket(), &mut chunks, most).await?;
    let draft = editor.start_import(&name.0.name, file, page.zone_name()).await?;
    let (draft, plan) = editor.show_import(draft.id).await?;
    let location = format!("/api/v1/schedules/imports/{}", draft.id);
    Ok(created(&location, &ImportBody::new(&draft, &plan, page.locale()), None))
}

/// A file that waits, with what would become of its rows
#[utoipa::path(get, path = "/api/v1/schedules/imports/{id}", tag = "schedules", params(("id" = Uuid, Path)),
    responses((status = 200, body = ImportBody), (status = 404)))]
async fn show(page: Page, editor: Editor, id: web::Path<Uuid>) -> Result<HttpResponse> {
    let (draft, plan) = editor.show_import(*id).await?;
    Ok(shown(&ImportBody::new(&draft, &plan, page.locale()), None))
}

/// How a file is to be read; absent: unchanged.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImportChange)]
struct ImportPatch {
    /// Which of the tables, from 0; forgets columns and answers.
    table: Option<usize>,
    /// What columns hold, by their letters: `{"C": "videos", "D": null}`; any head that is known, in English or
    /// Indonesian, will do. Those that are not named stay.
    columns: Option<BTreeMap<String, Option<String>>>,
    /// `day_first` or `month_first`; null: as the dates say themselves.
    #[serde(default, deserialize_with = "given")]
    #[schema(value_type = Option<String>)]
    day_order: Option<Option<String>>,
    /// IANA zone of rows that name none.
    time_zone: Option<String>,
    /// All answers; those of before are forgotten.
    answers: Option<Vec<AnswerFields>>,
}

/// An answer, for all rows that ask the same.
#[derive(Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImportAnswer)]
struct AnswerFields {
    question: String,
    #[serde(default)]
    found: String,
    /// Id of an option; or its title, file name or name, where that means one of them.
    choice: String,
}

impl ImportPatch {
    fn over(self, mut choices: ImportChoices) -> Result<ImportChoices> {
        if let Some(table) = self.table.filter(|table| *table != choices.table) {
            choices = ImportChoices { table, time_zone: choices.time_zone, ..ImportChoices::default() };
        }
        for (letters, name) in self.columns.unwrap_or_default() {
            let unknown =
                || Error::field("columns", Message::new("import-letters-unknown").with("found", letters.clone()));
            let place = column_place(&letters).ok_or_else(unknown)?;
            let column = match name {
                None => None,
                Some(name) => Some(Column::parse(&name).or_else(|| Column::of_head(&name)).ok_or_else(|| {
                    let known = Column::all().map(Column::name).collect::<Vec<_>>().join(", ");
                    let message = Message::new("import-column-unknown").with("found", name).with("known", known);
                    Error::field("columns", message)
                })?),
            };
            choices.columns.insert(place, column);
        }
        if let Some(order) = self.day_order {
            choices.day_order = match order {
                None => None,
                Some(code) => {
                    let unknown = || Error::field("day_order", Message::new("import-day-order"));
                    Some(DayOrder::parse(&code).ok_or_else(unknown)?)
                }
            };
        }
        choices.time_zone = self.time_zone.unwrap_or(choices.time_zone);
        if let Some(answers) = self.answers {
            let read = answers.into_iter().map(|answer| {
                let unknown = || Error::field("answers", Message::new("import-question-unknown"));
                let question = Question::parse(&answer.question).ok_or_else(unknown)?;
                Ok(Answer { question, found: answer.found, choice: answer.choice })
            });
            choices.answers = read.collect::<Result<_>>()?;
        }
        Ok(choices)
    }
}

/// Say how a file is to be read, and answer what its rows leave open
#[utoipa::path(patch, path = "/api/v1/schedules/imports/{id}", tag = "schedules", params(("id" = Uuid, Path)),
    request_body = ImportPatch, responses((status = 200, body = ImportBody), (status = 404), (status = 422)))]
async fn choose(page: Page, editor: Editor, id: web::Path<Uuid>, body: Json<ImportPatch>) -> Result<HttpResponse> {
    let choices = body.0.over(editor.import_draft(*id)?.choices)?;
    let (draft, plan) = editor.choose_import(*id, choices).await?;
    if let Some(refusal) = plan.asks.iter().find_map(|ask| ask.refusal(page.locale())) {
        return Err(Error::field("answers", refusal));
    }
    Ok(shown(&ImportBody::new(&draft, &plan, page.locale()), None))
}

/// Forget a file that waits
#[utoipa::path(delete, path = "/api/v1/schedules/imports/{id}", tag = "schedules", params(("id" = Uuid, Path)),
    responses((status = 204), (status = 404)))]
async fn forget(editor: Editor, id: web::Path<Uuid>) -> Result<HttpResponse> {
    editor.forget_import(*id)?;
    Ok(no_content())
}

/// Which rows are taken.
#[derive(Deserialize, Default, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = ImportTake)]
struct TakeFields {
    /// Numbers of rows; absent: all that are `new` or `change`.
    rows: Option<BTreeSet<u32>>,
}

/// Take rows in, all of them or none
#[utoipa::path(post, path = "/api/v1/schedules/imports/{id}/take", tag = "schedules", params(("id" = Uuid, Path)),
    request_body = TakeFields, responses(
    (status = 200, body = ImportedBody), (status = 404),
    (status = 422, description = "A row that was named cannot be taken"),
))]
async fn take(editor: Editor, id: web::Path<Uuid>, body: MaybeJson<TakeFields>) -> Result<HttpResponse> {
    let done = editor.finish_import(*id, body.0.rows).await?;
    Ok(shown(&ImportedBody::from(done), None))
}

/// As which file.
#[derive(Deserialize, IntoParams)]
#[into_params(parameter_in = Query)]
pub(crate) struct FormatQuery {
    /// `xlsx` or `csv`.
    format: String,
}

impl FormatQuery {
    /// The kind of file.
    ///
    /// # Errors
    /// Field `format`.
    pub(crate) fn parse(&self) -> Result<Format> {
        Format::parse(&self.format).ok_or_else(|| Error::field("format", Message::new("audit-export-format")))
    }
}

/// Answers with a file to keep.
pub(crate) fn file(bytes: Vec<u8>, name: &str, format: Format) -> HttpResponse {
    let name = format!("attachment; filename=\"{name}.{}\"", format.extension());
    HttpResponse::Ok()
        .content_type(format.content_type())
        .insert_header((header::CONTENT_DISPOSITION, name))
        .body(bytes)
}

/// All schedules as a file that can be imported again
#[utoipa::path(get, path = "/api/v1/schedules/export", tag = "schedules", params(FormatQuery), responses(
    (status = 200, description = "The file", content_type = "application/octet-stream"),
))]
pub(crate) async fn export(library: Library, asked: Query<FormatQuery>) -> Result<HttpResponse> {
    let format = asked.0.parse()?;
    Ok(file(library.export_schedules(format).await?, &format!("schedules-{}", library.tenant()), format))
}

/// An empty workbook to fill in: with drop-downs of the library's videos and keys, notes and an example
#[utoipa::path(get, path = "/api/v1/schedules/template", tag = "schedules", responses(
    (status = 200, description = "The workbook", content_type = "application/octet-stream"),
))]
pub(crate) async fn template(page: Page, library: Library) -> Result<HttpResponse> {
    let bytes = library.schedule_template(page.zone_name(), page.locale()).await?;
    Ok(file(bytes, "schedules-template", Format::Xlsx))
}

/// The newest 50,000 runs as a file
#[utoipa::path(get, path = "/api/v1/runs/export", tag = "runs", params(FormatQuery), responses(
    (status = 200, description = "The file", content_type = "application/octet-stream"),
))]
pub(crate) async fn export_runs(page: Page, library: Library, asked: Query<FormatQuery>) -> Result<HttpResponse> {
    let format = asked.0.parse()?;
    Ok(file(
        library.export_runs(format, page.locale(), page.zone().clone()).await?,
        &format!("history-{}", library.tenant()),
        format,
    ))
}
