//! Files that were uploaded and wait for answers: in memory only, few, and not for long.

use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;
use parking_lot::Mutex;
use uuid::Uuid;

use super::ImportChoices;
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::schedule::sheet::{Cell, Table};

/// A draft is forgotten so long after it was last looked at.
const KEPT: Duration = Duration::from_secs(3600);
/// Drafts of one tenant; the oldest gives way.
const OF_TENANT: usize = 4;
/// Bytes of all drafts; the oldest give way.
const BYTES: usize = 64 << 20;

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

struct Kept {
    tenant: Tenant,
    user: String,
    bytes: usize,
    seen: Timestamp,
    draft: Draft,
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
    lines.map(|line| 64 + line.cells.iter().map(cell).sum::<usize>()).sum()
}

impl Drafts {
    /// Keeps a file for a user. What is heavier than all drafts together may be is refused.
    pub fn keep(&self, tenant: &Tenant, user: &str, now: Timestamp, draft: Draft) -> Result<()> {
        let bytes = weight(&draft.tables);
        if bytes > BYTES / 2 {
            return Err(Error::TooLarge(crate::text::Message::new("import-draft-large")));
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
            kept.remove(0);
        }
        kept.push(Kept { tenant: tenant.clone(), user: user.to_owned(), bytes, seen: now, draft });
        Ok(())
    }

    /// A user's own draft.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that is forgotten, or somebody else's.
    pub fn find(&self, tenant: &Tenant, user: &str, now: Timestamp, id: Uuid) -> Result<Draft> {
        let mut kept = self.kept.lock();
        let found = kept.iter_mut().find(|kept| kept.draft.id == id && kept.tenant == *tenant && kept.user == user);
        let found = found.filter(|kept| now.duration_since(kept.seen).unsigned_abs() < KEPT).ok_or(Error::NotFound)?;
        found.seen = now;
        Ok(found.draft.clone())
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
