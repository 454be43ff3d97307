//! Files that were uploaded and wait for answers: in memory only, few, and not for long.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use super::{Fate, ImportChoices, ImportPlan, Imported, Verdict};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::library::{Editor, names};
use crate::objects::intake::Spool;
use crate::schedule::sheet::{Cell, HeaderSet, Mapping, Table, read_caged};
use crate::store::blocking;
use crate::text::Message;

/// A draft is forgotten so long after it was last looked at.
const KEPT: Duration = Duration::from_secs(3600);
/// Drafts of one tenant; the oldest gives way.
const OF_TENANT: usize = 4;
/// Bytes of all drafts; those of whoever has most give way.
const BYTES: usize = 64 << 20;

/// What a verdict takes in memory, about.
const VERDICT: usize = 1 << 10;

/// Zone of the old program's times.
const OLD_ZONE: &str = "Asia/Jakarta";

/// A file that waits for answers.
#[derive(Clone)]
pub struct Draft {
    /// Names it.
    pub id: Uuid,
    /// What the file is called.
    pub name: String,
    /// What stands in it.
    pub tables: Arc<Vec<Table>>,
    /// How it is to be read.
    pub choices: ImportChoices,
}

/// What became of a file whose rows were taken in.
#[derive(Debug)]
pub struct Outcome {
    /// What the file is called.
    pub name: String,
    /// What was said of each row.
    pub plan: ImportPlan,
    /// Rows that were taken.
    pub taken: BTreeSet<u32>,
    /// What was done.
    pub done: Imported,
}

impl Outcome {
    /// Rows that are not in the library now.
    pub fn left_out(&self) -> impl Iterator<Item = &Verdict> {
        self.plan.rows.iter().filter(|row| row.fate != Fate::Same && !self.taken.contains(&row.row))
    }
}

struct Kept {
    tenant: Tenant,
    user: String,
    bytes: usize,
    seen: Timestamp,
    draft: Draft,
    done: Option<Arc<Outcome>>,
}

/// All drafts of a server. A restart forgets them.
#[derive(Default)]
pub struct Drafts {
    kept: Mutex<Vec<Kept>>,
}

/// What a table takes in memory, about.
fn weight(tables: &[Table]) -> usize {
    let cell = |cell: &Cell| size_of::<Cell>() + if let Cell::Text(text) = cell { text.len() } else { 0 };
    let lines = tables.iter().flat_map(|table| &table.lines);
    let lines: usize = lines.map(|line| 64 + line.cells.iter().map(cell).sum::<usize>()).sum();
    let head = |head: &String| size_of::<String>() + head.len();
    let heads = tables.iter().map(|table| 128 + table.name.len() + table.heads.iter().map(head).sum::<usize>());
    lines + heads.sum::<usize>()
}

impl Drafts {
    /// Keeps a file for a user. What is heavier than all drafts together may be is refused.
    pub fn keep(&self, tenant: &Tenant, user: &str, now: Timestamp, draft: Draft) -> Result<()> {
        let bytes = weight(&draft.tables);
        if bytes > BYTES / 2 {
            return Err(Error::TooLarge(Message::new("import-draft-large")));
        }
        let mut kept = self.kept.lock();
        kept.retain(|old| now.duration_since(old.seen) < jiff::SignedDuration::try_from(KEPT).unwrap_or_default());
        let own = |old: &Kept| old.tenant == *tenant;
        while kept.iter().filter(|old| own(old)).count() >= OF_TENANT {
            if let Some(place) = kept.iter().position(own) {
                kept.remove(place);
            }
        }
        while kept.iter().map(|old| old.bytes).sum::<usize>() + bytes > BYTES {
            // The oldest of whoever has most: nobody's files drive out those of others who have less.
            let held = |of: &Tenant| {
                let held: usize = kept.iter().filter(|old| old.tenant == *of).map(|old| old.bytes).sum();
                if of == tenant { held + bytes } else { held }
            };
            let most = kept.iter().map(|old| held(&old.tenant)).max();
            let Some(place) = kept.iter().position(|old| Some(held(&old.tenant)) == most) else { break };
            kept.remove(place);
        }
        kept.push(Kept { tenant: tenant.clone(), user: user.to_owned(), bytes, seen: now, draft, done: None });
        Ok(())
    }

    /// A user's own draft, as long as its rows are not taken in.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that is forgotten, or somebody else's.
    pub fn find(&self, tenant: &Tenant, user: &str, now: Timestamp, id: Uuid) -> Result<Draft> {
        let mut kept = self.kept.lock();
        let is_it = |kept: &&mut Kept| kept.draft.id == id && kept.tenant == *tenant && kept.user == user;
        let found = kept.iter_mut().find(is_it).filter(|kept| kept.done.is_none());
        let found = found.filter(|kept| now.duration_since(kept.seen).unsigned_abs() < KEPT).ok_or(Error::NotFound)?;
        found.seen = now;
        Ok(found.draft.clone())
    }

    /// What became of a user's own draft; `None` while its rows are not taken in, and when it is forgotten.
    pub fn outcome(&self, tenant: &Tenant, user: &str, now: Timestamp, id: Uuid) -> Option<Arc<Outcome>> {
        let kept = self.kept.lock();
        let found = kept.iter().find(|kept| kept.draft.id == id && kept.tenant == *tenant && kept.user == user);
        found.filter(|kept| now.duration_since(kept.seen).unsigned_abs() < KEPT)?.done.clone()
    }

    /// Keeps what became of a draft instead of its file.
    fn finish(&self, tenant: &Tenant, user: &str, id: Uuid, outcome: Outcome) {
        let mut kept = self.kept.lock();
        let is_it = |kept: &&mut Kept| kept.draft.id == id && kept.tenant == *tenant && kept.user == user;
        if let Some(found) = kept.iter_mut().find(is_it) {
            found.draft.tables = Arc::default();
            found.bytes = outcome.plan.rows.len() * VERDICT;
            found.done = Some(Arc::new(outcome));
        }
    }

    /// Remembers how a draft is to be read.
    ///
    /// # Errors
    /// As [`Drafts::find`].
    pub fn choose(&self, tenant: &Tenant, user: &str, id: Uuid, choices: ImportChoices) -> Result<()> {
        let mut kept = self.kept.lock();
        let found = kept.iter_mut().find(|kept| kept.draft.id == id && kept.tenant == *tenant && kept.user == user);
        found.ok_or(Error::NotFound)?.draft.choices = choices;
        Ok(())
    }

    /// Forgets a draft.
    pub fn forget(&self, tenant: &Tenant, user: &str, id: Uuid) {
        self.kept.lock().retain(|kept| kept.draft.id != id || kept.tenant != *tenant || kept.user != user);
    }
}

impl Editor {
    /// Reads a file and keeps it for its user, to be asked about and taken in. The table with the most known heads is
    /// chosen; rows without a zone are in `time_zone`, those of the old program in Jakarta's.
    ///
    /// # Errors
    /// As [`read_caged`]; [`Error::Invalid`], field `file`, where no line stands below the heads; [`Error::TooLarge`] for more than [`super::MOST_ROWS`] rows.
    pub async fn start_import(&self, name: &str, file: Spool, time_zone: &str) -> Result<Draft> {
        // Reading takes memory: few at once.
        let place = self.foundation().looks().place(self.tenant()).await?;
        let file = blocking(move || file.open()).await?;
        let tables = read_caged(self.foundation().tools(), file).await?;
        drop(place);
        if tables.iter().all(|table| table.lines.is_empty()) {
            return Err(Error::field("file", Message::new("sheet-file-heads")));
        }
        let mappings: Vec<Mapping> = tables.iter().map(|table| Mapping::recognise(&table.heads)).collect();
        let best = mappings.iter().map(Mapping::known).max().unwrap_or(0);
        let table = mappings.iter().position(|mapping| mapping.known() == best).unwrap_or(0);
        tables.get(table).map_or(Ok(()), super::fits)?;
        let is_old = mappings.get(table).is_some_and(|mapping| mapping.header_set() != HeaderSet::Own);
        let time_zone = if is_old { OLD_ZONE } else { time_zone }.to_owned();
        let draft = Draft {
            id: Uuid::now_v7(),
            name: names::line(name, 200),
            tables: Arc::new(tables),
            choices: ImportChoices { table, time_zone, ..ImportChoices::default() },
        };
        let now = self.foundation().clock().now();
        self.foundation().drafts().keep(self.tenant(), self.actor().name(), now, draft.clone())?;
        Ok(draft)
    }

    /// A file that waits, with what would become of its rows.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that is forgotten, or somebody else's.
    pub async fn show_import(&self, id: Uuid) -> Result<(Draft, ImportPlan)> {
        let draft = self.import_draft(id)?;
        let plan = self.plan_import(&draft.tables, &draft.choices, self.actor().name()).await?;
        Ok((draft, plan))
    }

    /// The file that waits.
    ///
    /// # Errors
    /// As [`Editor::show_import`].
    pub fn import_draft(&self, id: Uuid) -> Result<Draft> {
        let now = self.foundation().clock().now();
        self.foundation().drafts().find(self.tenant(), self.actor().name(), now, id)
    }

    /// Says how a file that waits is to be read, and what would become of its rows then. What makes no sense is not
    /// remembered.
    ///
    /// # Errors
    /// As [`Editor::show_import`] and [`crate::library::Library::plan_import`].
    pub async fn choose_import(&self, id: Uuid, choices: ImportChoices) -> Result<(Draft, ImportPlan)> {
        let draft = Draft { choices, ..self.import_draft(id)? };
        let plan = self.plan_import(&draft.tables, &draft.choices, self.actor().name()).await?;
        self.foundation().drafts().choose(self.tenant(), self.actor().name(), id, draft.choices.clone())?;
        Ok((draft, plan))
    }

    /// What became of a file whose rows were taken in.
    pub fn import_outcome(&self, id: Uuid) -> Option<Arc<Outcome>> {
        let now = self.foundation().clock().now();
        self.foundation().drafts().outcome(self.tenant(), self.actor().name(), now, id)
    }

    /// Takes rows of a file that waits in ([`Editor::import`]), forgets the file and keeps what became of its rows.
    ///
    /// # Errors
    /// As [`Editor::show_import`] and [`Editor::import`].
    pub async fn finish_import(&self, id: Uuid, take: Option<BTreeSet<u32>>) -> Result<Imported> {
        let draft = self.import_draft(id)?;
        let (done, plan) = self.import(&draft.tables, &draft.choices, take.clone()).await?;
        let is_taken = |row: &&Verdict| row.fate.is_good() && take.as_ref().is_none_or(|take| take.contains(&row.row));
        let taken = plan.rows.iter().filter(is_taken).map(|row| row.row).collect();
        let outcome = Outcome { name: draft.name, plan, taken, done: done.clone() };
        self.foundation().drafts().finish(self.tenant(), self.actor().name(), id, outcome);
        Ok(done)
    }

    /// Forgets a file that waits.
    ///
    /// # Errors
    /// As [`Editor::show_import`].
    pub fn forget_import(&self, id: Uuid) -> Result<()> {
        self.import_draft(id)?;
        self.foundation().drafts().forget(self.tenant(), self.actor().name(), id);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::schedule::sheet::Line;

    fn draft(mib: usize) -> Draft {
        let line = Line { number: 2, cells: vec![Cell::Text("x".repeat(mib << 20))] };
        let table = Table { name: String::new(), head_line: 1, heads: Vec::new(), lines: vec![line] };
        let choices = ImportChoices::default();
        Draft { id: Uuid::now_v7(), name: String::new(), tables: Arc::new(vec![table]), choices }
    }

    #[test]
    fn nobody_s_files_drive_out_those_of_others_who_have_less() {
        let (drafts, now) = (Drafts::default(), Timestamp::UNIX_EPOCH);
        let [al, bo] = ["al", "bo"].map(|name| Tenant::parse(name).unwrap());
        let keep = |tenant: &Tenant, mib: usize| {
            let draft = draft(mib);
            drafts.keep(tenant, "x", now, draft.clone()).map(|()| draft.id)
        };
        let small = keep(&al, 4).unwrap();
        let large: Vec<Uuid> = (0..4).map(|_| keep(&bo, 25).unwrap()).collect();
        let is_there = |tenant: &Tenant, id: Uuid| drafts.find(tenant, "x", now, id).is_ok();
        assert!(is_there(&al, small));
        assert_eq!(large.iter().map(|id| is_there(&bo, *id)).collect::<Vec<_>>(), [false, false, true, true]);
        assert!(matches!(keep(&al, 40), Err(Error::TooLarge(_))));
    }
}
