//! Append-only, hash-chained record of every change and every refusal. An entry rides in the batch of its change.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use crate::auth::Actor;
use crate::error::Result;
use crate::store::Range;
use crate::store::rows::{Cursor, Page, Reader, Writer};

const HEAD: &str = "audit-head";
const ENTRIES: &str = "audit/";

/// How an act ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
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
    let cut = |text: &str| text.chars().filter(|letter| !letter.is_control()).take(TEXT_LIMIT).collect::<String>();
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

/// A page of entries, newest first, whose actor, action or object contains `search`.
pub fn page(reader: &Reader<'_>, after: Option<&Cursor>, limit: usize, search: &str) -> Result<Page<Entry>> {
    let search = search.to_lowercase();
    let mut items: Vec<Entry> = Vec::new();
    let mut more = false;
    let after = after.and_then(|cursor| String::from_utf8(cursor.as_bytes().to_vec()).ok());
    let range = Range { prefix: ENTRIES.as_bytes(), after: after.as_deref().map(str::as_bytes), reverse: true };
    let mut failed = None;
    reader.scan(range, |_, value| match serde_json::from_slice::<Entry>(value) {
        Err(cause) => {
            failed = Some(cause);
            ControlFlow::Break(())
        }
        Ok(entry) => {
            let text = format!("{} {} {}", entry.actor, entry.action, entry.object).to_lowercase();
            if !text.contains(&search) {
                return ControlFlow::Continue(());
            }
            if items.len() == limit {
                more = true;
                return ControlFlow::Break(());
            }
            items.push(entry);
            ControlFlow::Continue(())
        }
    })?;
    if let Some(cause) = failed {
        return Err(cause.into());
    }
    let next = items.last().filter(|_| more).map(|entry| Cursor::from_bytes(key(entry.number).into_bytes()));
    Ok(Page { items, next })
}

/// Number of entries.
pub fn count(reader: &Reader<'_>) -> Result<u64> {
    Ok(reader.value::<Head>(HEAD)?.map_or(0, |head| head.number))
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

/// An act that was refused, on its way into the record.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Whose record it belongs to; the platform's where nobody is logged in.
    pub tenant: Option<crate::auth::Tenant>,
    /// A user's name, or what was typed as one.
    pub actor: String,
    /// Where from.
    pub address: Option<String>,
    /// What was tried.
    pub action: String,
    /// On what.
    pub object: String,
}

/// Takes refusals from request handlers without making them wait for the disk. A flood is cut, not queued without
/// end: what does not fit is counted.
#[derive(Clone)]
pub struct Refusals {
    queue: tokio::sync::mpsc::Sender<Refusal>,
}

impl Refusals {
    /// A sink, and the end that [`write_refusals`] drains.
    pub fn new() -> (Refusals, tokio::sync::mpsc::Receiver<Refusal>) {
        let (queue, drain) = tokio::sync::mpsc::channel(1024);
        (Refusals { queue }, drain)
    }

    /// Notes a refusal.
    pub fn note(&self, refusal: Refusal) {
        if self.queue.try_send(refusal).is_err() {
            tracing::warn!("refusals come faster than they can be recorded; some are only counted here");
        }
    }
}

/// Writes refusals that came in together as one batch a space.
pub async fn write_refusals(store: crate::store::SpaceStore, refusals: Vec<Refusal>) {
    let written = store
        .write(move |rows| {
            for refusal in &refusals {
                let Refusal { actor, address, action, object, .. } = refusal.clone();
                record_refusal(rows, &actor, address, &action, object)?;
            }
            Ok(())
        })
        .await;
    if let Err(cause) = written {
        tracing::error!(%cause, "refusals could not be recorded");
    }
}
