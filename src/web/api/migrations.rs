//! Moving in, for operators and the command line: what becomes of everything in an old home, told while it happens.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use actix_web::{HttpRequest, HttpResponse, web};
use bytes::{Bytes, BytesMut};
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::auth::UserName;
use crate::error::{Error, Result};
use crate::legacy::report::{Count, Event, Fate, Item, Progress, Summary, What};
use crate::legacy::{Request, TIME_ZONE};
use crate::text::{Locale, Message};
use crate::web::{Access, Console, FreshOperator, Json, Route, Server};

/// This resource's part of the surface.
pub const ROUTES: &[Route] = &[Route {
    method: "POST",
    path: "/api/v1/migrations",
    access: Access::FreshOperator,
    handler: || web::to(migrate),
}];

/// This resource's part of the OpenAPI document.
#[derive(utoipa::OpenApi)]
#[openapi(paths(migrate))]
pub struct Document;

/// Lines that are sent as one.
const LINES: usize = 256;

/// What is asked for.
#[derive(Deserialize, ToSchema)]
#[schema(as = Migration)]
#[serde(deny_unknown_fields)]
struct Asked {
    /// Folder of the old program: that of the setting `migrate.from`, or one below it. The home's own socket may name any.
    from: Option<String>,
    /// Whose becomes what names nobody.
    #[schema(default = "admin")]
    owner: Option<String>,
    /// Do it; otherwise it is only told.
    #[serde(default)]
    apply: bool,
    /// Remove a file of the old home once its bytes are in the library.
    #[serde(default, rename = "move")]
    remove_sources: bool,
    /// Only these kinds; all where empty.
    #[serde(default)]
    only: BTreeSet<What>,
    /// Take back what earlier runs brought, from this old home or from all.
    #[serde(default)]
    rollback: bool,
    /// IANA zone of the old program's times.
    #[schema(default = "Asia/Jakarta")]
    time_zone: Option<String>,
}

/// One file, one row, or a row with its file.
#[derive(Serialize, ToSchema)]
#[schema(as = MigrationItem)]
pub(in crate::web) struct ItemBody {
    kind: What,
    fate: Fate,
    /// The file that holds its bytes, relative to the old home.
    file: Option<String>,
    /// The database that names it.
    database: Option<String>,
    /// Where in there: a number from 1, a key, or a row of a sheet.
    row: Option<String>,
    owner: Option<String>,
    title: Option<String>,
    reason: Option<ReasonBody>,
    /// What it became.
    id: Option<Uuid>,
    /// Of a user who is made: role and plan, in words.
    becomes: Option<String>,
    bytes: u64,
}

/// Why something is skipped, or what is to be known of it.
#[derive(Serialize, ToSchema)]
#[schema(as = MigrationReason)]
struct ReasonBody {
    code: String,
    message: String,
}

impl ItemBody {
    /// An item, with its reason in a language.
    pub fn told(item: Item, locale: Locale) -> ItemBody {
        let (database, row) = item.row.unzip();
        ItemBody {
            kind: item.what,
            fate: item.fate,
            file: item.file,
            database,
            row,
            owner: item.owner,
            title: item.title,
            reason: item
                .reason
                .map(|reason| ReasonBody { message: reason.in_locale(locale), code: reason.id.into_owned() }),
            id: item.id,
            becomes: item.becomes.map(|becomes| becomes.in_locale(locale)),
            bytes: item.bytes,
        }
    }
}

/// What it all came to.
#[derive(Serialize, ToSchema)]
#[schema(as = MigrationSummary)]
pub(in crate::web) struct SummaryBody {
    /// Whether anything was to be done, or only told.
    applied: bool,
    /// By kind.
    totals: BTreeMap<&'static str, Count>,
    /// All kinds together.
    all: Count,
    /// Bytes that what is still to be taken in needs on the disk; of a plan.
    disk_needed: u64,
    /// Bytes that the disk has free for it.
    disk_free: u64,
}

impl SummaryBody {
    /// What it came to.
    pub fn of(summary: &Summary, applied: bool) -> SummaryBody {
        SummaryBody {
            applied,
            all: summary.all(),
            totals: summary.totals.iter().map(|(what, count)| (what.code(), *count)).collect(),
            disk_needed: summary.disk_needed,
            disk_free: summary.disk_free,
        }
    }
}

/// One line of the answer.
#[derive(Serialize, ToSchema)]
#[schema(as = MigrationLine)]
#[serde(rename_all = "snake_case")]
enum Line {
    /// Something is dealt with.
    Item(ItemBody),
    /// How far it is.
    Progress(Progress),
    /// The last line: what it all came to.
    Summary(SummaryBody),
    /// The last line where it could not go on.
    Error(String),
}

impl Line {
    fn write(&self, lines: &mut BytesMut) {
        // Plain data; there is nothing that could not be written.
        lines.extend_from_slice(&serde_json::to_vec(self).unwrap_or_default());
        lines.extend_from_slice(b"\n");
    }
}

impl From<Event> for Line {
    fn from(event: Event) -> Line {
        match event {
            Event::Item(item) => Line::Item(ItemBody::told(*item, Locale::En)),
            Event::Progress(progress) => Line::Progress(progress),
        }
    }
}

/// A folder that may be read by page and API.
///
/// # Errors
/// [`Error::Invalid`] on `from` for any other.
pub(in crate::web) fn allowed(server: &Server, from: &Path) -> Result<PathBuf> {
    let refused = || Error::field("from", Message::new("migrate-folder-not-allowed"));
    let root = server.foundation.config().migrate.from.as_deref().ok_or_else(refused)?;
    let root = std::fs::canonicalize(root).map_err(|_| refused())?;
    let from = std::fs::canonicalize(root.join(from)).map_err(|_| refused())?;
    if from.starts_with(&root) { Ok(from) } else { Err(refused()) }
}

/// Move in: what the folder of the old program holds becomes libraries here
///
/// The answer is one JSON value a line, while it happens: items, progress, and the summary as the last. Whoever stops
/// reading stops it; asked again, it goes on where it was.
#[utoipa::path(post, path = "/api/v1/migrations", tag = "box", request_body = Asked, responses(
    (status = 200, body = Line, content_type = "application/x-ndjson", description = "One value a line"),
    (status = 409, description = "No folder of the old program, or another one is under way"),
    (status = 422, description = "A field makes no sense"),
))]
async fn migrate(
    request: HttpRequest,
    server: web::Data<Server>,
    operator: FreshOperator,
    body: Json<Asked>,
) -> Result<HttpResponse> {
    let asked = body.0;
    let by_console = request.conn_data::<Console>().is_some();
    let from = asked.from.as_deref().map(Path::new);
    let from = from.map(|from| if by_console { Ok(from.to_owned()) } else { allowed(&server, from) }).transpose()?;
    let (sender, mut events) = mpsc::channel(LINES);
    let (moving, operator, applied) = (server.moving_in.clone(), operator.0, asked.apply || asked.rollback);
    let mut work: LocalBoxFuture<'static, Result<Summary>> = if asked.rollback {
        Box::pin(async move { moving.roll_back(&operator, from, true, sender).await })
    } else {
        let from = from.ok_or_else(|| Error::field("from", Message::new("migrate-folder-missing")))?;
        let owner = UserName::parse(asked.owner.as_deref().unwrap_or("admin"));
        let owner = owner.map_err(|_| Error::field("owner", Message::new("name-expected")))?;
        let within = server.foundation.config().migrate.from.clone().filter(|_| !by_console);
        let request = Request {
            from,
            within,
            owner,
            apply: asked.apply,
            remove_sources: asked.remove_sources,
            only: asked.only,
            time_zone: asked.time_zone.unwrap_or_else(|| TIME_ZONE.to_owned()),
        };
        Box::pin(async move { moving.migrate(&operator, request, sender).await })
    };
    // What is refused before anything is told has a status of its own.
    let mut first = BytesMut::new();
    let work = tokio::select! {
        outcome = &mut work => {
            let summary = outcome?;
            while let Ok(event) = events.try_recv() {
                Line::from(event).write(&mut first);
            }
            last(Ok(summary), applied).write(&mut first);
            None
        }
        Some(event) = events.recv() => {
            Line::from(event).write(&mut first);
            Some(work)
        }
    };
    let telling = Telling { work, events, applied };
    let first = stream::once(std::future::ready(Ok::<Bytes, Error>(first.freeze())));
    let lines = futures_util::StreamExt::chain(first, stream::unfold(telling, Telling::next));
    Ok(HttpResponse::Ok()
        .content_type("application/x-ndjson")
        .insert_header((actix_web::http::header::CACHE_CONTROL, "no-store"))
        .streaming(Box::pin(lines)))
}

fn last(outcome: Result<Summary>, applied: bool) -> Line {
    match outcome {
        Ok(summary) => Line::Summary(SummaryBody::of(&summary, applied)),
        Err(cause) => {
            if let Error::Internal(cause) = &cause {
                tracing::error!(cause = format!("{cause:#}"), "moving in ended early");
            }
            Line::Error(cause.message().in_locale(Locale::En))
        }
    }
}

/// Work whose events are lines of an answer. It goes on while somebody reads them.
struct Telling {
    work: Option<LocalBoxFuture<'static, Result<Summary>>>,
    events: mpsc::Receiver<Event>,
    applied: bool,
}

impl Telling {
    async fn next(mut self) -> Option<(Result<Bytes>, Telling)> {
        let work = self.work.as_mut()?;
        let mut lines = BytesMut::new();
        tokio::select! {
            biased;
            Some(event) = self.events.recv() => Line::from(event).write(&mut lines),
            outcome = work => {
                while let Ok(event) = self.events.try_recv() {
                    Line::from(event).write(&mut lines);
                }
                last(outcome, self.applied).write(&mut lines);
                self.work = None;
                return Some((Ok(lines.freeze()), self));
            }
        }
        for _ in 0..LINES {
            let Ok(event) = self.events.try_recv() else { break };
            Line::from(event).write(&mut lines);
        }
        Some((Ok(lines.freeze()), self))
    }
}
