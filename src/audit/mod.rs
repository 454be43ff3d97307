//! Append-only, hash-chained record of every change and every refusal. An entry rides in the batch of its change.

mod export;
mod merged;
mod refusals;

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::auth::Actor;
use crate::error::Result;
use crate::store::Range;
use crate::store::rows::{Reader, Writer};

pub use crate::tabular::Format;
pub use export::export;
pub use merged::{Place, Source, Told, merged};
pub use refusals::{Refusal, RefusalWriter, Refusals};

const HEAD: &str = "audit-head";
const ENTRIES: &str = "audit/";

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Outcome {
    /// It was done.
    Done,
    /// It was refused.
    Refused,
}

/// One line of the record.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Entry {
    /// From 1, without gaps.
    pub number: u64,
    /// When.
    pub at: Timestamp,
    /// User name, `console` or `system:<task>`.
    pub actor: String,
    /// Where the request came from.
    pub address: Option<String>,
    /// `<noun>.<verb>`, such as `video.delete`.
    pub action: String,
    /// The thing acted on: an id or a name, and a title where there is one. Never a secret.
    pub object: String,
    /// Done or refused.
    pub outcome: Outcome,
    /// Hash of this entry and, through `previous`, of all before it.
    pub hash: String,
    /// Hash of the entry before; empty for the first.
    pub previous: String,
}

impl Entry {
    fn digest(&self) -> String {
        // JSON arrays keep fields apart whatever they contain.
        let fields = serde_json::json!([
            self.previous,
            self.number,
            self.at.to_string(),
            self.actor,
            self.address,
            self.action,
            self.object,
            self.outcome,
        ]);
        blake3::hash(fields.to_string().as_bytes()).to_hex().to_string()
    }
}

#[derive(Serialize, Deserialize)]
struct Head {
    number: u64,
    hash: String,
}

fn key(number: u64) -> String {
    format!("{ENTRIES}{number:016x}")
}

/// Adds an entry to the batch of the change it records.
pub fn record(writer: &mut Writer<'_>, actor: &Actor, action: &str, object: impl Into<String>) -> Result<()> {
    append(
        writer,
        actor.name(),
        actor.address().map(|address| address.to_string()),
        action,
        object.into(),
        Outcome::Done,
    )
}

/// Adds an entry for an act that was refused; `actor` may be a name that nobody has.
pub fn record_refusal(
    writer: &mut Writer<'_>,
    actor: &str,
    address: Option<String>,
    action: &str,
    object: String,
) -> Result<()> {
    append(writer, actor, address, action, object, Outcome::Refused)
}

/// Longest text kept of a name or object that came from outside.
const TEXT_LIMIT: usize = 200;

/// Without what would move the cursor of a terminal, or turn the reading direction of a line.
fn cut(text: &str) -> String {
    let turns = |letter| matches!(letter, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    text.chars().filter(|letter| !letter.is_control() && !turns(*letter)).take(TEXT_LIMIT).collect()
}

fn append(
    writer: &mut Writer<'_>,
    actor: &str,
    address: Option<String>,
    action: &str,
    object: String,
    outcome: Outcome,
) -> Result<()> {
    let head: Option<Head> = writer.value(HEAD)?;
    let (number, previous) = head.map_or((1, String::new()), |head| (head.number + 1, head.hash));
    let mut entry = Entry {
        number,
        at: writer.now(),
        actor: cut(actor),
        address,
        action: action.to_owned(),
        object: cut(&object),
        outcome,
        hash: String::new(),
        previous,
    };
    entry.hash = entry.digest();
    writer.put_value(&key(number), &entry)?;
    writer.put_value(HEAD, &Head { number, hash: entry.hash })
}

/// Which entries of a record are shown.
#[derive(Debug, Clone, Default)]
pub struct Filter {
    /// Only entries whose actor, action, object or address contains this text.
    pub search: String,
    /// Only those that ended so.
    pub outcome: Option<Outcome>,
}

impl Filter {
    /// Whether every entry passes.
    pub fn is_open(&self) -> bool {
        self.search.is_empty() && self.outcome.is_none()
    }

    fn passes(&self, entry: &Entry, search: &str) -> bool {
        if self.outcome.is_some_and(|outcome| outcome != entry.outcome) {
            return false;
        }
        let address = entry.address.as_deref().unwrap_or_default();
        let text = format!("{} {} {} {address}", entry.actor, entry.action, entry.object);
        search.is_empty() || text.to_lowercase().contains(search)
    }
}

/// Entries from the newest on, until `visit` breaks. `after` is the number where the page before ended.
fn newest_first(
    reader: &Reader<'_>,
    after: Option<u64>,
    filter: &Filter,
    mut visit: impl FnMut(Entry) -> ControlFlow<()>,
) -> Result<()> {
    let search = filter.search.to_lowercase();
    let after = after.map(key);
    let range = Range { prefix: ENTRIES.as_bytes(), after: after.as_deref().map(str::as_bytes), reverse: true };
    let mut failed = None;
    reader.scan(range, |_, value| match serde_json::from_slice::<Entry>(value) {
        Err(cause) => {
            failed = Some(cause);
            ControlFlow::Break(())
        }
        Ok(entry) if filter.passes(&entry, &search) => visit(entry),
        Ok(_) => ControlFlow::Continue(()),
    })?;
    failed.map_or(Ok(()), |cause| Err(cause.into()))
}

/// A page of one record, newest first. `after` is the number where the page before ended.
pub fn page(reader: &Reader<'_>, after: Option<u64>, limit: usize, filter: &Filter) -> Result<(Vec<Entry>, bool)> {
    let (mut items, mut more) = (Vec::new(), false);
    newest_first(reader, after, filter, |entry| {
        more = items.len() == limit;
        if more {
            return ControlFlow::Break(());
        }
        items.push(entry);
        ControlFlow::Continue(())
    })?;
    Ok((items, more))
}

/// Number of entries that pass; of all of them without a walk.
pub fn count(reader: &Reader<'_>, filter: &Filter) -> Result<u64> {
    if filter.is_open() {
        return Ok(reader.value::<Head>(HEAD)?.map_or(0, |head| head.number));
    }
    let mut count = 0;
    newest_first(reader, None, filter, |_| {
        count += 1;
        ControlFlow::Continue(())
    })?;
    Ok(count)
}

/// Walks the whole chain; the number of the first entry that does not fit, if any.
pub fn verify(reader: &Reader<'_>) -> Result<Option<u64>> {
    let mut expected = 1;
    let mut previous = String::new();
    let mut broken = None;
    reader.scan(Range::prefix(ENTRIES.as_bytes()), |_, value| match serde_json::from_slice::<Entry>(value) {
        Ok(entry) if entry.number == expected && entry.previous == previous && entry.hash == entry.digest() => {
            previous = entry.hash;
            expected += 1;
            ControlFlow::Continue(())
        }
        _ => {
            broken = Some(expected);
            ControlFlow::Break(())
        }
    })?;
    if broken.is_some() {
        return Ok(broken);
    }
    // Entries cut off at the end leave the head pointing past them.
    match reader.value::<Head>(HEAD)? {
        Some(head) if head.number + 1 != expected || head.hash != previous => Ok(Some(expected)),
        None if expected != 1 => Ok(Some(1)),
        _ => Ok(None),
    }
}
