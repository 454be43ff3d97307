//! A workbook becomes streams and schedules: judged row by row, asked about where it can be read two ways, and taken in
//! as one commit.
//!
//! [`Library::plan_import`] judges the rows against the library as it is and changes nothing; [`Editor::import`] judges
//! them again inside the write and puts all chosen rows into one batch, or none.

mod ask;
mod clash;
pub mod drafts;
pub(super) mod ground;
mod judge;
mod places;
mod text;
mod when;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::Arc;

use jiff::civil::DateTime;
use uuid::Uuid;

pub use ask::{Answer, Ask, Choice, Question};
pub(crate) use text::{exceptions_text, target_label};

use super::sheet::{Column, DayOrder, HeaderSet, Mapping, Problem, Reading, SheetRow, Table, read_rows};
use super::{Passed, Schedule};
use crate::audit;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::stream::{CheckedTarget, check_targets};
use crate::live::{Platform, TargetInput};
use crate::store::rows::{Reader, Writer};
use crate::text::Message;
use crate::vault::Sealing;
use ground::Ground;
use judge::{Judge, StreamWrite, Write};

/// Rows of one import: more than a library may have schedules are of no use.
pub const MOST_ROWS: usize = 2000;
/// Different addresses of servers in one import: each is looked up.
const MOST_ADDRESSES: usize = 50;

/// How a table is to be read and taken in.
#[derive(Debug, Clone, Default)]
pub struct ImportChoices {
    /// Which table of the file, from 0.
    pub table: usize,
    /// What columns hold that were not recognised, or were wrongly: by place; `None` leaves a column out.
    pub columns: BTreeMap<usize, Option<Column>>,
    /// Day or month first where dates can be read both ways.
    pub day_order: Option<DayOrder>,
    /// Zone of rows that name none.
    pub time_zone: String,
    /// What was answered to questions.
    pub answers: Vec<Answer>,
}

/// What would become of a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// A new schedule.
    New,
    /// A schedule, or its stream, is changed.
    Change,
    /// It is there already, as it is.
    Same,
    /// A question has to be answered first.
    Ask,
    /// A cell makes no sense.
    Bad,
    /// It belongs to somebody else.
    Foreign,
    /// It is over.
    Over,
}

impl Fate {
    /// All, in the order of a summary.
    pub const ALL: [Fate; 7] = [Fate::New, Fate::Change, Fate::Same, Fate::Ask, Fate::Bad, Fate::Foreign, Fate::Over];

    /// The word used in pages and the API.
    pub fn code(self) -> &'static str {
        match self {
            Fate::New => "new",
            Fate::Change => "change",
            Fate::Same => "same",
            Fate::Ask => "ask",
            Fate::Bad => "bad",
            Fate::Foreign => "foreign",
            Fate::Over => "over",
        }
    }

    /// It can be taken in.
    pub fn is_good(self) -> bool {
        matches!(self, Fate::New | Fate::Change)
    }
}

/// A column by which something known would change.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Which.
    pub column: Column,
    /// What it says now, as an export would.
    pub from: String,
    /// What it would say.
    pub to: String,
}

/// What is said of a row.
#[derive(Debug, Clone, PartialEq)]
pub struct Verdict {
    /// The line, as Excel counts.
    pub row: u32,
    /// Its title.
    pub title: String,
    /// Its start and zone, where they are known.
    pub starts_at: Option<(DateTime, String)>,
    /// What would become of it.
    pub fate: Fate,
    /// It makes a stream too.
    pub makes_stream: bool,
    /// What makes no sense; for other fates what should be known.
    pub problems: Vec<Problem>,
    /// By what a known schedule or its stream would change.
    pub changes: Vec<Change>,
    /// Questions that wait, by kind and what the row says.
    pub asks: Vec<(Question, String)>,
}

impl Verdict {
    fn new(row: &SheetRow) -> Verdict {
        Verdict {
            row: row.number,
            title: row.title.clone().unwrap_or_default(),
            starts_at: None,
            fate: Fate::Bad,
            makes_stream: false,
            problems: Vec::new(),
            changes: Vec::new(),
            asks: Vec::new(),
        }
    }
}

/// What would become of a table.
#[derive(Debug, Clone)]
pub struct ImportPlan {
    /// Name of the table, and of all tables of the file.
    pub tables: Vec<String>,
    /// Heads of the table, with what they hold.
    pub heads: Vec<(String, Option<Column>)>,
    /// Whose heads these are.
    pub header_set: HeaderSet,
    /// Every row, in order.
    pub rows: Vec<Verdict>,
    /// What has to be answered, or was.
    pub asks: Vec<Ask>,
    /// Dates wait for the order of day and month.
    pub asks_day_order: bool,
}

impl ImportPlan {
    /// Columns that the table has none for, and that its rows miss.
    pub fn missing(&self) -> BTreeSet<Column> {
        let problems = self.rows.iter().flat_map(|row| &row.problems);
        let missing = problems.filter(|problem| problem.letters.is_empty()).filter_map(|problem| problem.column);
        missing.filter(|column| matches!(column, Column::Title | Column::StartsAt | Column::Videos)).collect()
    }

    /// How many rows have a fate.
    pub fn count(&self, fate: Fate) -> usize {
        self.rows.iter().filter(|row| row.fate == fate).count()
    }
}

/// What an import did.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Imported {
    /// Schedules that were made.
    pub created: usize,
    /// Schedules or streams that were changed.
    pub changed: usize,
    /// Streams that were made.
    pub streams: usize,
    /// Rows that were there already.
    pub same: usize,
    /// Rows that were not taken.
    pub skipped: usize,
}

/// One import takes the rows of a table.
///
/// # Errors
/// [`Error::TooLarge`] for more than [`MOST_ROWS`].
fn fits(table: &Table) -> Result<()> {
    if table.lines.len() > MOST_ROWS {
        let message = Message::new("import-many-rows").with("found", table.lines.len());
        return Err(Error::TooLarge(message.with("most", MOST_ROWS)));
    }
    Ok(())
}

/// Rows of a table that are read, with the keys that stand in them checked.
struct Prepared {
    table: Table,
    tables: Vec<String>,
    mapping: Mapping,
    rows: Vec<SheetRow>,
    keys: HashMap<u32, Result<CheckedTarget, Vec<crate::error::FieldError>>>,
    choices: ImportChoices,
    names: Vec<String>,
    sealing: Sealing,
}

impl Library {
    async fn prepare(&self, tables: &[Table], choices: &ImportChoices, user: &str) -> Result<Prepared> {
        let table =
            tables.get(choices.table).ok_or_else(|| Error::field("table", Message::new("import-table-unknown")))?;
        fits(table)?;
        if crate::clock::zone(&choices.time_zone).is_none() {
            return Err(Error::field("time_zone", Message::new("schedule-zone-unknown")));
        }
        let mut mapping = Mapping::recognise(&table.heads);
        for (place, column) in &choices.columns {
            mapping.set(*place, *column);
        }
        let rows = read_rows(table, &mapping, &Reading { day_order: choices.day_order });
        let allow_private = self.foundation().config().live.allow_private_targets;
        let mut keys = HashMap::new();
        // Addresses that were looked up: a name server is asked once, not for each row.
        let mut looked_up: HashMap<String, Vec<crate::error::FieldError>> = HashMap::new();
        for row in rows.iter().filter(|row| row.key.is_some() || row.url.is_some()) {
            let platform = match row.platform.as_deref() {
                Some(name) => Platform::parse(name),
                None if row.url.is_some() => Some(Platform::Custom),
                None => Some(Platform::Youtube),
            };
            let Some(platform) = platform else {
                let message = Message::new("import-platform-unknown");
                keys.insert(row.number, Err(vec![crate::error::FieldError { field: "platform".into(), message }]));
                continue;
            };
            let place = format!("{} {}", platform.code(), row.url.as_deref().unwrap_or_default().trim());
            let known = looked_up.get(&place);
            if let Some(wrong) = known.filter(|wrong| !wrong.is_empty()) {
                keys.insert(row.number, Err(wrong.clone()));
                continue;
            }
            if known.is_none() && row.url.is_some() && looked_up.len() >= MOST_ADDRESSES {
                let message = Message::new("import-addresses-many").with("most", MOST_ADDRESSES);
                keys.insert(row.number, Err(vec![crate::error::FieldError { field: "url".into(), message }]));
                continue;
            }
            let key = row.key.as_ref().map(|key| key.expose().to_owned());
            let input = TargetInput { id: None, platform, url: row.url.clone(), key, key_id: None };
            let mut errors = Vec::new();
            let checked = check_targets(&[input], &[], allow_private || known.is_some(), &mut errors).await.pop();
            let is_of_address = |error: &crate::error::FieldError| error.field.ends_with("url");
            if checked.is_some() || errors.iter().any(is_of_address) {
                looked_up.insert(place, errors.clone());
            }
            keys.insert(row.number, checked.ok_or(errors));
        }
        Ok(Prepared {
            table: table.clone(),
            tables: tables.iter().map(|table| table.name.clone()).collect(),
            mapping,
            rows,
            keys,
            choices: choices.clone(),
            names: vec![user.to_lowercase(), self.tenant().to_string().to_lowercase()],
            sealing: self.foundation().vault().sealing(),
        })
    }

    fn judge_rows(
        &self,
        prepared: &Prepared,
        rows: &Reader<'_>,
        take: Option<&BTreeSet<u32>>,
    ) -> Result<(ImportPlan, Vec<Write>)> {
        let now = self.foundation().clock().now();
        let mut ground = Ground::read(self, rows)?;
        ground.name_as_before(rows, &prepared.rows, &self.tenant().to_string())?;
        let mut judge = Judge::new(self, prepared, ground, now);
        let mut verdicts = Vec::new();
        let mut writes = Vec::new();
        for row in &prepared.rows {
            let (verdict, write) = judge.row(row, take)?;
            let is_taken = take.is_none_or(|take| take.contains(&row.number));
            writes.extend(write.filter(|_| is_taken));
            verdicts.push(verdict);
        }
        let asks_day_order = prepared.choices.day_order.is_none()
            && verdicts.iter().flat_map(|row| &row.problems).any(|problem| problem.message.id == "sheet-moment-order");
        let heads = prepared.table.heads.iter().enumerate();
        let plan = ImportPlan {
            tables: prepared.tables.clone(),
            heads: heads.map(|(place, head)| (head.clone(), prepared.mapping.column(place))).collect(),
            header_set: prepared.mapping.header_set(),
            asks: judge.asks(),
            asks_day_order,
            rows: verdicts,
        };
        Ok((plan, writes))
    }

    /// What would become of the rows of a table. `user` is whose rows may be taken, besides the tenant's.
    ///
    /// # Errors
    /// Field `table` or `time_zone`; [`Error::TooLarge`] for more than [`MOST_ROWS`] rows.
    pub async fn plan_import(&self, tables: &[Table], choices: &ImportChoices, user: &str) -> Result<ImportPlan> {
        let prepared = self.prepare(tables, choices, user).await?;
        let library = self.clone();
        self.rows().read(move |rows| Ok(library.judge_rows(&prepared, rows, None)?.0)).await
    }
}

impl Editor {
    /// Takes rows of a table in, all of them in one commit; `None`: all that are good. What was done, and what was said
    /// of each row.
    ///
    /// # Errors
    /// As [`Library::plan_import`]; field `take` with the first row that was chosen and cannot be taken (the library may
    /// have changed since it was shown); [`Error::OverQuota`] for too many streams or schedules.
    pub async fn import(
        &self,
        tables: &[Table],
        choices: &ImportChoices,
        take: Option<BTreeSet<u32>>,
    ) -> Result<(Imported, ImportPlan)> {
        let prepared = Arc::new(self.prepare(tables, choices, self.actor().name()).await?);
        let (library, actor) = (Library::clone(self), self.actor().clone());
        self.rows()
            .write(move |rows| {
                let (plan, writes) = library.judge_rows(&prepared, rows.view(), take.as_ref())?;
                if let Some(take) = &take {
                    let known: BTreeMap<u32, &Verdict> = plan.rows.iter().map(|row| (row.row, row)).collect();
                    let cannot = take.iter().find(|row| {
                        known.get(row).is_none_or(|verdict| !verdict.fate.is_good() && verdict.fate != Fate::Same)
                    });
                    if let Some(row) = cannot {
                        let problem = known.get(row).and_then(|verdict| verdict.problems.first());
                        let message = Message::new("import-row-cannot").with("row", u64::from(*row));
                        let message = match problem {
                            Some(problem) => message.with("why", problem.message.clone()),
                            None => message.with("why", Message::new("import-row-changed")),
                        };
                        return Err(Error::field("take", message));
                    }
                }
                let mut done = Imported { same: plan.count(Fate::Same), ..Imported::default() };
                let mut streams = BTreeSet::new();
                for write in &writes {
                    put(rows, &library, &actor, write, &mut streams, &mut done)?;
                }
                done.skipped = plan.rows.len() - done.created - done.changed - done.same;
                limits(rows.view(), &done)?;
                if !writes.is_empty() {
                    let told = format!("{} new, {} changed", done.created, done.changed);
                    audit::record(rows, &actor, "schedule.import", told)?;
                }
                Ok((done, plan))
            })
            .await
    }
}

/// Puts one row into the batch.
fn put(
    rows: &mut Writer<'_>,
    library: &Library,
    actor: &crate::auth::Actor,
    write: &Write,
    streams: &mut BTreeSet<Uuid>,
    done: &mut Imported,
) -> Result<()> {
    let tenant = library.tenant();
    // Several rows may have one new or changed stream; the first one writes it.
    if !matches!(write.stream_write, StreamWrite::Keep) && streams.insert(write.stream) {
        match &write.stream_write {
            StreamWrite::Keep => {}
            StreamWrite::New(value) => {
                audit::record(rows, actor, "stream.create", format!("{} {}", write.stream, value.title))?;
                rows.insert_with_id(write.stream, tenant, actor, value.clone())?;
                done.streams += 1;
            }
            StreamWrite::Change(value) => {
                let row = rows.need::<crate::live::LiveStream>(write.stream, None)?;
                audit::record(rows, actor, "stream.change", format!("{} {}", write.stream, value.title))?;
                rows.update(&row, value.clone())?;
            }
        }
    }
    let just_now = rows.now() - super::calls::JUST_NOW;
    let Some(schedule) = &write.schedule else {
        done.changed += 1;
        return Ok(());
    };
    let told = format!("{} {}", write.id, write.title);
    match rows.get::<Schedule>(write.id)? {
        Some(row) => {
            let mut passed = super::calls::passed(rows, &row)?;
            passed.through = passed.through.max(just_now);
            rows.put_value(&Passed::key(write.id), &passed)?;
            super::on_air::end_with(rows, actor, write.id, &row.value, schedule)?;
            audit::record(rows, actor, "schedule.change", told)?;
            rows.update(&row, schedule.clone())?;
            done.changed += 1;
        }
        None => {
            rows.put_value(&Passed::key(write.id), &Passed { through: just_now, last_run: None })?;
            audit::record(rows, actor, "schedule.create", told)?;
            rows.insert_with_id(write.id, tenant, actor, schedule.clone())?;
            done.created += 1;
        }
    }
    Ok(())
}

fn limits(rows: &Reader<'_>, done: &Imported) -> Result<()> {
    let (most_schedules, most_streams) = (super::calls::MOST_SCHEDULES, crate::live::stream::MOST_STREAMS);
    let streams = rows.count_by::<crate::live::LiveStream>("title", |_, _| true)?;
    if done.streams > 0 && streams + done.streams as u64 > most_streams {
        return Err(Error::OverQuota(Message::new("live-streams-many").with("most", most_streams)));
    }
    let schedules = rows.count_by::<Schedule>("stream", |_, _| true)?;
    if done.created > 0 && schedules + done.created as u64 > most_schedules as u64 {
        return Err(Error::OverQuota(Message::new("schedule-many").with("most", most_schedules)));
    }
    Ok(())
}
