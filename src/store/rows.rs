//! Typed rows over the port: JSON values, row headers, secondary index rows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::de::DeserializeOwned;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{Assert, Batch, Range, Snapshot};
use crate::auth::Actor;
use crate::error::{Error, Result};

/// What every row of a library carries and no request can set.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Header {
    /// UUIDv7: sorts by time of creation.
    pub id: Uuid,
    /// The tenant.
    pub owner: String,
    /// Who made it: a user's name, or `system:<task>`.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
}

/// A stored record with its header and version.
#[derive(Debug, Clone, PartialEq)]
pub struct Row<T> {
    /// Who, when, which.
    pub header: Header,
    /// Number of the commit that wrote it; the ETag of the API.
    pub version: u64,
    /// The record itself.
    pub value: T,
}

impl<T> Row<T> {
    /// The row's id.
    pub fn id(&self) -> Uuid {
        self.header.id
    }
}

#[derive(Serialize)]
struct Writing<'a, T> {
    header: &'a Header,
    value: &'a T,
}
#[derive(Deserialize)]
struct Reading<T> {
    header: Header,
    value: T,
}

/// An index row: `index/<kind>/<name>/<key>/<id>`. A kind has each of its indexes at most once a record.
pub struct Index {
    /// Name of the order.
    pub name: &'static str,
    /// Sorts bytewise; see [`Index::text`] and [`Index::number`].
    pub key: Vec<u8>,
    /// Kept beside it so that a scan need not open the row.
    pub value: Vec<u8>,
}

impl Index {
    /// Sorts text without regard to case, by its first 64 bytes.
    pub fn text(name: &'static str, text: &str) -> Index {
        let mut key: Vec<u8> =
            text.to_lowercase().into_bytes().into_iter().filter(|byte| *byte != 0).take(64).collect();
        // Ends the text, so that "a" sorts before "ab" whatever id follows.
        key.push(0);
        Index { name, key, value: Vec::new() }
    }

    /// Sorts numbers.
    pub fn number(name: &'static str, number: u64) -> Index {
        Index { name, key: number.to_be_bytes().to_vec(), value: Vec::new() }
    }

    /// Keeps a value beside the key.
    pub fn with(mut self, value: impl Into<Vec<u8>>) -> Index {
        self.value = value.into();
        self
    }
}

/// A kind of row that a library holds many of.
pub trait Record: Serialize + DeserializeOwned + Clone + Send + 'static {
    /// Names the kind in keys: lower case, no slash. Never changes.
    const KIND: &'static str;

    /// Orders besides that of creation. `header` is complete.
    fn indexes(&self, header: &Header) -> Vec<Index> {
        let _ = header;
        Vec::new()
    }
}

fn row_prefix<T: Record>() -> Vec<u8> {
    format!("row/{}/", T::KIND).into_bytes()
}

fn row_key<T: Record>(id: Uuid) -> Vec<u8> {
    let mut key = row_prefix::<T>();
    key.extend_from_slice(id.as_bytes());
    key
}

/// The prefix of all rows of an index.
pub fn index_prefix<T: Record>(name: &str) -> Vec<u8> {
    format!("index/{}/{name}/", T::KIND).into_bytes()
}

fn index_rows<T: Record>(header: &Header, value: &T) -> Vec<(Vec<u8>, Vec<u8>)> {
    let rows = value.indexes(header).into_iter();
    rows.map(|index| {
        let mut key = index_prefix::<T>(index.name);
        key.extend_from_slice(&index.key);
        key.extend_from_slice(header.id.as_bytes());
        (key, index.value)
    })
    .collect()
}

fn decode<T: Record>(version: u64, bytes: &[u8]) -> Result<Row<T>> {
    let Reading { header, value } = serde_json::from_slice(bytes)
        .map_err(|cause| Error::Internal(anyhow::Error::new(cause).context(format!("row of kind {}", T::KIND))))?;
    Ok(Row { header, version, value })
}

/// One page of a list: the keys visited and where to go on.
#[derive(Debug, Clone, PartialEq)]
pub struct Page<T> {
    /// The items, in order.
    pub items: Vec<T>,
    /// Where the next page starts; `None` at the end.
    pub next: Option<Cursor>,
}

/// A place in a list: opaque outside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cursor(Vec<u8>);

impl Cursor {
    pub(crate) fn from_bytes(bytes: Vec<u8>) -> Cursor {
        Cursor(bytes)
    }

    pub(crate) fn as_bytes(&self) -> &[u8] {
        &self.0
    }

    /// A cursor as it stands in an address.
    pub fn encode(&self) -> String {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(&self.0)
    }

    /// Reads what [`Cursor::encode`] wrote. A made-up one can only name a place inside the list it is used on.
    pub fn decode(text: &str) -> Option<Cursor> {
        use base64::Engine as _;
        base64::engine::general_purpose::URL_SAFE_NO_PAD.decode(text).ok().map(Cursor)
    }
}

/// Reads typed rows from one consistent view.
pub struct Reader<'s> {
    snapshot: &'s dyn Snapshot,
}

impl<'s> Reader<'s> {
    pub(super) fn new(snapshot: &'s dyn Snapshot) -> Self {
        Reader { snapshot }
    }

    /// A row by id.
    pub fn get<T: Record>(&self, id: Uuid) -> Result<Option<Row<T>>> {
        match self.snapshot.get(&row_key::<T>(id))? {
            None => Ok(None),
            Some(stored) => decode(stored.version, &stored.value).map(Some),
        }
    }

    /// A row by id.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none.
    pub fn need<T: Record>(&self, id: Uuid) -> Result<Row<T>> {
        self.get(id)?.ok_or(Error::NotFound)
    }

    /// A single value under a fixed key.
    pub fn value<T: DeserializeOwned>(&self, key: &str) -> Result<Option<T>> {
        match self.snapshot.get(key.as_bytes())? {
            None => Ok(None),
            Some(stored) => Ok(Some(serde_json::from_slice(&stored.value)?)),
        }
    }

    /// The values whose keys start with `prefix`, first to last, until `visit` breaks.
    pub fn values<T: DeserializeOwned>(
        &self,
        prefix: &str,
        mut visit: impl FnMut(&str, T) -> ControlFlow<()>,
    ) -> Result<()> {
        let mut failed = None;
        self.snapshot.scan(Range::prefix(prefix.as_bytes()), &mut |key, _, value| match (
            std::str::from_utf8(key),
            serde_json::from_slice(value),
        ) {
            (Ok(key), Ok(value)) => visit(key, value),
            (_, Err(cause)) => {
                failed = Some(Error::from(cause));
                ControlFlow::Break(())
            }
            (Err(_), _) => ControlFlow::Continue(()),
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// Raw keys and values of a range.
    pub fn scan(&self, range: Range<'_>, mut visit: impl FnMut(&[u8], &[u8]) -> ControlFlow<()>) -> Result<()> {
        self.snapshot.scan(range, &mut |key, _, value| visit(key, value))
    }

    /// Rows in order of creation, until `visit` breaks.
    pub fn each<T: Record>(&self, reverse: bool, mut visit: impl FnMut(Row<T>) -> ControlFlow<()>) -> Result<()> {
        let prefix = row_prefix::<T>();
        let mut failed = None;
        self.snapshot.scan(Range { prefix: &prefix, after: None, reverse }, &mut |_, version, value| match decode(
            version, value,
        ) {
            Ok(row) => visit(row),
            Err(cause) => {
                failed = Some(cause);
                ControlFlow::Break(())
            }
        })?;
        failed.map_or(Ok(()), Err)
    }

    /// A page of rows in order of creation.
    pub fn page<T: Record>(&self, after: Option<&Cursor>, reverse: bool, limit: usize) -> Result<Page<Row<T>>> {
        let prefix = row_prefix::<T>();
        let mut rows = Vec::new();
        let mut last = None;
        let mut failed = None;
        let mut more = false;
        let after = after.map(|cursor| cursor.0.as_slice());
        self.snapshot.scan(Range { prefix: &prefix, after, reverse }, &mut |key, version, value| {
            if rows.len() == limit {
                more = true;
                return ControlFlow::Break(());
            }
            match decode(version, value) {
                Ok(row) => {
                    rows.push(row);
                    last = Some(Cursor(key.to_vec()));
                    ControlFlow::Continue(())
                }
                Err(cause) => {
                    failed = Some(cause);
                    ControlFlow::Break(())
                }
            }
        })?;
        match failed {
            Some(cause) => Err(cause),
            None => Ok(Page { items: rows, next: last.filter(|_| more) }),
        }
    }

    /// A page of rows in the order of an index; `keep` sees the key (without prefix and id) and the value kept beside
    /// it, before the row is opened.
    pub fn page_by<T: Record>(
        &self,
        index: &str,
        after: Option<&Cursor>,
        reverse: bool,
        limit: usize,
        mut keep: impl FnMut(&[u8], &[u8]) -> bool,
    ) -> Result<Page<Row<T>>> {
        let prefix = index_prefix::<T>(index);
        let mut ids = Vec::new();
        let mut last = None;
        let mut more = false;
        let after = after.map(|cursor| cursor.0.as_slice());
        self.snapshot.scan(Range { prefix: &prefix, after, reverse }, &mut |key, _, value| {
            let Some((id, order)) = key[prefix.len()..].split_last_chunk::<16>().map(|(order, id)| (id, order)) else {
                return ControlFlow::Continue(());
            };
            if !keep(order, value) {
                return ControlFlow::Continue(());
            }
            if ids.len() == limit {
                more = true;
                return ControlFlow::Break(());
            }
            ids.push(Uuid::from_bytes(*id));
            last = Some(Cursor(key.to_vec()));
            ControlFlow::Continue(())
        })?;
        let mut rows = Vec::with_capacity(ids.len());
        for id in ids {
            // Index rows ride in the batch of their row, so a missing one would be a fault of ours: skip, not fail.
            rows.extend(self.get(id)?);
        }
        Ok(Page { items: rows, next: last.filter(|_| more) })
    }

    /// The value kept beside one index row.
    pub fn index_value<T: Record>(&self, index: &str, key: &[u8], id: Uuid) -> Result<Option<Vec<u8>>> {
        let mut full = index_prefix::<T>(index);
        full.extend_from_slice(key);
        full.extend_from_slice(id.as_bytes());
        Ok(self.snapshot.get(&full)?.map(|stored| stored.value))
    }

    /// Counts the index rows that `keep` lets through.
    pub fn count_by<T: Record>(&self, index: &str, mut keep: impl FnMut(&[u8], &[u8]) -> bool) -> Result<u64> {
        let prefix = index_prefix::<T>(index);
        let mut count = 0;
        self.snapshot.scan(Range::prefix(&prefix), &mut |key, _, value| {
            let order = key[prefix.len()..].split_last_chunk::<16>().map_or(&[][..], |(order, _)| order);
            count += u64::from(keep(order, value));
            ControlFlow::Continue(())
        })?;
        Ok(count)
    }

    /// The ids under one exact index key, in order of creation.
    pub fn ids_at<T: Record>(&self, index: &str, key: &[u8]) -> Result<Vec<Uuid>> {
        let mut prefix = index_prefix::<T>(index);
        prefix.extend_from_slice(key);
        let mut ids = Vec::new();
        self.snapshot.scan(Range::prefix(&prefix), &mut |found, _, _| {
            if let Ok(id) = Uuid::from_slice(&found[prefix.len()..]) {
                ids.push(id);
            }
            ControlFlow::Continue(())
        })?;
        Ok(ids)
    }
}

/// Collects changes to one space into a batch. What it reads by key is asserted when the batch is applied.
pub struct Writer<'s> {
    reader: Reader<'s>,
    now: Timestamp,
    asserts: BTreeMap<Vec<u8>, Assert>,
    changes: BTreeMap<Vec<u8>, Option<Vec<u8>>>,
}

impl<'s> Writer<'s> {
    pub(super) fn new(reader: Reader<'s>, now: Timestamp) -> Self {
        Writer { reader, now, asserts: BTreeMap::new(), changes: BTreeMap::new() }
    }

    pub(super) fn into_batch(self) -> Batch {
        let mut batch = Batch { asserts: self.asserts.into_iter().collect(), ..Batch::default() };
        for (key, value) in self.changes {
            match value {
                Some(value) => batch.puts.push((key, value)),
                None => batch.deletes.push(key),
            }
        }
        batch
    }

    /// The moment this write happens, for rows and audit.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// The view as it was before this write; nothing read through it is asserted.
    pub fn view(&self) -> &Reader<'s> {
        &self.reader
    }

    fn read_key(&mut self, key: &[u8]) -> Result<Option<(u64, Vec<u8>)>> {
        if let Some(changed) = self.changes.get(key) {
            return Ok(changed.clone().map(|value| (0, value)));
        }
        let found = self.reader.snapshot.get(key)?;
        let assert = found.as_ref().map_or(Assert::Absent, |row| Assert::Version(row.version));
        self.asserts.insert(key.to_vec(), assert);
        Ok(found.map(|row| (row.version, row.value)))
    }

    /// A single value under a fixed key.
    pub fn value<T: DeserializeOwned>(&mut self, key: &str) -> Result<Option<T>> {
        match self.read_key(key.as_bytes())? {
            None => Ok(None),
            Some((_, bytes)) => Ok(Some(serde_json::from_slice(&bytes)?)),
        }
    }

    /// Writes a single value under a fixed key.
    pub fn put_value(&mut self, key: &str, value: &impl Serialize) -> Result<()> {
        self.changes.insert(key.as_bytes().to_vec(), Some(serde_json::to_vec(value)?));
        Ok(())
    }

    /// Removes a single value.
    pub fn delete_value(&mut self, key: &str) {
        self.changes.insert(key.as_bytes().to_vec(), None);
    }

    /// A row by id.
    pub fn get<T: Record>(&mut self, id: Uuid) -> Result<Option<Row<T>>> {
        match self.read_key(&row_key::<T>(id))? {
            None => Ok(None),
            Some((version, bytes)) => decode(version, &bytes).map(Some),
        }
    }

    /// A row by id.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none; [`Error::Stale`] where `expected` names another version.
    pub fn need<T: Record>(&mut self, id: Uuid, expected: Option<u64>) -> Result<Row<T>> {
        let row = self.get(id)?.ok_or(Error::NotFound)?;
        if expected.is_some_and(|expected| expected != row.version) {
            return Err(Error::Stale);
        }
        Ok(row)
    }

    /// A new row with a new id.
    pub fn insert<T: Record>(&mut self, tenant: &crate::auth::Tenant, actor: &Actor, value: T) -> Result<Row<T>> {
        self.insert_with_id(Uuid::now_v7(), tenant, actor, value)
    }

    /// A new row whose id was chosen before (its bytes lie under that id already).
    pub fn insert_with_id<T: Record>(
        &mut self,
        id: Uuid,
        tenant: &crate::auth::Tenant,
        actor: &Actor,
        value: T,
    ) -> Result<Row<T>> {
        let key = row_key::<T>(id);
        self.asserts.insert(key.clone(), Assert::Absent);
        let header = Header {
            id,
            owner: tenant.to_string(),
            created_by: actor.name().to_owned(),
            created_at: self.now,
            updated_at: self.now,
        };
        for (key, beside) in index_rows(&header, &value) {
            self.changes.insert(key, Some(beside));
        }
        self.changes.insert(key, Some(serde_json::to_vec(&Writing { header: &header, value: &value })?));
        Ok(Row { header, version: 0, value })
    }

    /// Writes a changed record under its old header.
    pub fn update<T: Record>(&mut self, old: &Row<T>, value: T) -> Result<Row<T>> {
        for (key, _) in index_rows(&old.header, &old.value) {
            self.changes.insert(key, None);
        }
        let header = Header { updated_at: self.now, ..old.header.clone() };
        for (key, beside) in index_rows(&header, &value) {
            self.changes.insert(key, Some(beside));
        }
        let bytes = serde_json::to_vec(&Writing { header: &header, value: &value })?;
        self.changes.insert(row_key::<T>(header.id), Some(bytes));
        Ok(Row { header, version: 0, value })
    }

    /// Writes a record that the program itself keeps up, such as a state that it saw: nobody changed it.
    pub fn rewrite<T: Record>(&mut self, old: &Row<T>, value: T) -> Result<Row<T>> {
        let now = std::mem::replace(&mut self.now, old.header.updated_at);
        let written = self.update(old, value);
        self.now = now;
        written
    }

    /// Changes the bytes under a key in place, to what `to` says, if anything; index rows stay as they are.
    pub fn change_bytes(&mut self, key: &[u8], to: impl FnOnce(&[u8]) -> Result<Option<Vec<u8>>>) -> Result<()> {
        let Some((_, old)) = self.read_key(key)? else { return Ok(()) };
        self.changes.extend(to(&old)?.map(|new| (key.to_vec(), Some(new))));
        Ok(())
    }

    /// Removes a row with its index rows.
    pub fn delete<T: Record>(&mut self, old: &Row<T>) {
        for (key, _) in index_rows(&old.header, &old.value) {
            self.changes.insert(key, None);
        }
        self.changes.insert(row_key::<T>(old.header.id), None);
    }
}
