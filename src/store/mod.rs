//! The store port: the one way to rows, small enough that a second backend is a few hundred lines.
//!
//! A *space* is one isolated keyspace: the platform's, or one tenant's library. A backend offers snapshots, batches
//! with asserted versions, change notices and leases; typed rows, index rows and retries are built once above it, in
//! [`rows`]. Calls block, so everything above runs them on the blocking pool.

pub mod paged;
mod redb;
pub mod rows;
#[cfg(test)]
mod suite;

use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::Arc;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tokio::sync::broadcast;

use crate::auth::{Scope, Tenant};
use crate::clock::Clock;
use crate::error::{Error, Result};
use rows::{Reader, Writer};

/// One isolated keyspace.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum Space {
    /// Users, sessions, tokens, the due index: `data/platform.redb`.
    Platform,
    /// All rows of one tenant: `data/<tenant>/library.redb`.
    Tenant(Tenant),
}

/// A stored value and the number of the commit that wrote it; a key that is deleted and written again never gets an
/// old number back.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Versioned {
    /// Commit number, from 1, rising within a space.
    pub version: u64,
    /// The bytes as they were put.
    pub value: Vec<u8>,
}

/// What a commit demands of a key before anything is written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Assert {
    /// The key holds this version.
    Version(u64),
    /// The key is not there.
    Absent,
}

/// All or nothing.
#[derive(Debug, Clone, Default)]
pub struct Batch {
    /// Conditions; one that fails makes the whole batch [`Commit::Conflict`].
    pub asserts: Vec<(Vec<u8>, Assert)>,
    /// Keys to write.
    pub puts: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys to remove; an absent one is fine.
    pub deletes: Vec<Vec<u8>>,
}

/// How a commit ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Commit {
    /// Durable; the version that every put key now has.
    Done(u64),
    /// An assert failed and nothing was written.
    Conflict,
}

/// A page of keys.
#[derive(Debug, Clone, Copy)]
pub struct Range<'a> {
    /// Only keys that start so.
    pub prefix: &'a [u8],
    /// Only keys beyond this one, in the direction of travel.
    pub after: Option<&'a [u8]>,
    /// From the last key to the first.
    pub reverse: bool,
}

impl<'a> Range<'a> {
    /// Every key with a prefix, first to last.
    pub fn prefix(prefix: &'a [u8]) -> Self {
        Range { prefix, after: None, reverse: false }
    }
}

/// Called with each key and value of a range; breaks to stop.
pub type Visit<'v> = dyn FnMut(&[u8], u64, &[u8]) -> ControlFlow<()> + 'v;

/// A consistent view of one space that later commits do not change.
pub trait Snapshot {
    /// The value of a key.
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>>;
    /// Walks a range in key order.
    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<()>;
}

/// A lease on a name: held until it expires, is given back, or is renewed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// Who holds it.
    pub holder: String,
    /// When it is free again.
    pub expires_at: Timestamp,
    /// Rises with every change of holder; whoever shows a smaller one is out of date.
    pub fence: u64,
}

/// Some keys of a space changed.
#[derive(Debug, Clone)]
pub struct Change {
    /// Where.
    pub space: Space,
    /// Which keys were put or deleted.
    pub keys: Arc<Vec<Vec<u8>>>,
}

/// What a backend offers. All calls block.
pub trait Port: Send + Sync + 'static {
    /// Makes an empty space; fine if it is there.
    fn create(&self, space: &Space) -> Result<()>;
    /// Removes a space and everything in it.
    fn remove(&self, space: &Space) -> Result<()>;
    /// A consistent view. [`Error::NotFound`] where the space was never made.
    fn snapshot(&self, space: &Space) -> Result<Box<dyn Snapshot>>;
    /// Applies a batch durably, or not at all.
    fn commit(&self, space: &Space, batch: &Batch) -> Result<Commit>;
    /// Every tenant that has a space, those written to last first.
    fn tenants(&self) -> Result<Vec<Tenant>>;
    /// Notices of every commit; a receiver that lags must treat everything as changed.
    fn watch(&self) -> broadcast::Receiver<Change>;

    /// The value of a key.
    fn get(&self, space: &Space, key: &[u8]) -> Result<Option<Versioned>> {
        self.snapshot(space)?.get(key)
    }

    /// No commit to a space is newer than this; now, where a backend cannot tell cheaply.
    fn changed_at(&self, _space: &Space) -> Result<Timestamp> {
        Ok(Timestamp::MAX)
    }

    /// Up to `limit` keys of a range with their values.
    fn range(&self, space: &Space, range: Range<'_>, limit: usize) -> Result<Vec<(Vec<u8>, Versioned)>> {
        let mut page = Vec::new();
        if limit == 0 {
            return Ok(page);
        }
        self.snapshot(space)?.scan(range, &mut |key, version, value| {
            page.push((key.to_vec(), Versioned { version, value: value.to_vec() }));
            if page.len() < limit { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
        })?;
        Ok(page)
    }

    /// Takes or renews the lease `name` for `holder` until `now + ttl`; `None` while somebody else holds it.
    fn claim(
        &self,
        space: &Space,
        name: &str,
        holder: &str,
        now: Timestamp,
        ttl: std::time::Duration,
    ) -> Result<Option<Lease>> {
        let key = [b"lease/".as_slice(), name.as_bytes()].concat();
        loop {
            let old = self.get(space, &key)?;
            let previous: Option<Lease> = old.as_ref().map(|row| serde_json::from_slice(&row.value)).transpose()?;
            if previous.as_ref().is_some_and(|lease| lease.holder != holder && lease.expires_at > now) {
                return Ok(None);
            }
            let fence = match &previous {
                Some(lease) if lease.holder == holder && lease.expires_at > now => lease.fence,
                Some(lease) => lease.fence + 1,
                None => 1,
            };
            let expires_at = now
                .checked_add(ttl)
                .map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("lease time")))?;
            let lease = Lease { holder: holder.to_owned(), expires_at, fence };
            let batch = Batch {
                asserts: vec![(key.clone(), old.map_or(Assert::Absent, |row| Assert::Version(row.version)))],
                puts: vec![(key.clone(), serde_json::to_vec(&lease)?)],
                deletes: Vec::new(),
            };
            if let Commit::Done(_) = self.commit(space, &batch)? {
                return Ok(Some(lease));
            }
        }
    }
}

/// How often a write is tried again after a conflict before the caller is told.
const CONFLICT_RETRIES: usize = 64;

/// The store as the rooms see it: typed reads and writes on the blocking pool.
#[derive(Clone)]
pub struct Store {
    port: Arc<dyn Port>,
    turns: Arc<turn::Turns<Space>>,
    clock: Clock,
}

impl Store {
    /// Opens the redb files below `data`, making `platform.redb` if it is not there.
    ///
    /// # Errors
    /// A data folder written by a newer program is refused with a message that says so.
    pub fn open_redb(data: PathBuf, clock: Clock) -> Result<Store> {
        Ok(Store::over(Arc::new(redb::RedbPort::open(data)?), clock))
    }

    /// A store over any backend.
    pub fn over(port: Arc<dyn Port>, clock: Clock) -> Store {
        Store { port, turns: Arc::default(), clock }
    }

    /// The clock that stamps rows.
    pub fn clock(&self) -> &Clock {
        &self.clock
    }

    /// The rows of the scope's tenant, and of nobody else.
    pub fn tenant(&self, scope: &Scope) -> SpaceStore {
        self.space(Space::Tenant(scope.tenant().clone()))
    }

    /// The rows that belong to no tenant. Only `auth`, `tenancy`, `audit` and the planner may ask (clippy holds the
    /// others off).
    pub fn platform(&self) -> SpaceStore {
        self.space(Space::Platform)
    }

    fn space(&self, space: Space) -> SpaceStore {
        SpaceStore { store: self.clone(), space }
    }

    /// Every tenant that has a library, for background work; those written to last first.
    pub async fn tenants(&self, _licence: &crate::auth::SystemLicence) -> Result<Vec<Tenant>> {
        let port = self.port.clone();
        blocking(move || port.tenants()).await
    }

    /// Notices of every commit.
    pub fn watch(&self) -> broadcast::Receiver<Change> {
        self.port.watch()
    }
}

/// One space of the store.
#[derive(Clone)]
pub struct SpaceStore {
    store: Store,
    space: Space,
}

impl SpaceStore {
    /// Reads from one consistent view.
    pub async fn read<T: Send + 'static>(
        &self,
        read: impl FnOnce(&Reader<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        blocking(move || {
            let snapshot = this.store.port.snapshot(&this.space)?;
            read(&Reader::new(snapshot.as_ref()))
        })
        .await
    }

    /// Reads and writes as one: everything that `write` read by key is unchanged when its batch is applied, else it
    /// runs again on a fresh view. Ranges are not asserted: what must be unique is a key.
    ///
    /// # Errors
    /// Whatever `write` returns (then nothing is written).
    pub async fn write<T: Send + 'static>(
        &self,
        mut write: impl FnMut(&mut Writer<'_>) -> Result<T> + Send + 'static,
    ) -> Result<T> {
        let this = self.clone();
        // One writer of a space at a time keeps conflicts, and so lost work, rare. Other nodes may still conflict.
        let turn = self.store.turns.wait(&self.space).await;
        blocking(move || {
            let _turn = turn;
            for _ in 0..CONFLICT_RETRIES {
                let snapshot = this.store.port.snapshot(&this.space)?;
                let mut writer = Writer::new(Reader::new(snapshot.as_ref()), this.store.clock.now());
                let outcome = write(&mut writer)?;
                let batch = writer.into_batch();
                if batch.puts.is_empty() && batch.deletes.is_empty() {
                    return Ok(outcome);
                }
                if let Commit::Done(_) = this.store.port.commit(&this.space, &batch)? {
                    return Ok(outcome);
                }
            }
            Err(Error::Conflict(crate::text::Message::new("error-busy")))
        })
        .await
    }

    /// See [`Port::claim`].
    pub async fn claim(&self, name: String, holder: String, ttl: std::time::Duration) -> Result<Option<Lease>> {
        let this = self.clone();
        blocking(move || this.store.port.claim(&this.space, &name, &holder, this.store.clock.now(), ttl)).await
    }

    /// The clock that stamps rows.
    pub fn clock(&self) -> &Clock {
        &self.store.clock
    }

    /// See [`Port::changed_at`].
    pub async fn changed_at(&self) -> Result<Timestamp> {
        let this = self.clone();
        blocking(move || this.store.port.changed_at(&this.space)).await
    }

    /// Makes the space; fine if it is there.
    pub async fn create(&self) -> Result<()> {
        let this = self.clone();
        blocking(move || this.store.port.create(&this.space)).await
    }

    /// Removes the space with everything in it.
    pub async fn remove(&self) -> Result<()> {
        let this = self.clone();
        blocking(move || this.store.port.remove(&this.space)).await
    }
}

/// Runs blocking work on the pool meant for it.
pub async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T> + Send + 'static) -> Result<T> {
    tokio::task::spawn_blocking(work)
        .await
        .map_err(|cause| Error::Internal(anyhow::Error::new(cause).context("blocking work")))?
}

pub(crate) mod turn {
    //! One at a time for each thing, and none that waits for another thing.

    use std::collections::HashMap;
    use std::hash::Hash;
    use std::sync::Arc;

    use parking_lot::Mutex;
    use tokio::sync::{Mutex as AsyncMutex, OwnedMutexGuard};

    pub(crate) struct Turns<K> {
        waiting: Mutex<HashMap<K, Arc<AsyncMutex<()>>>>,
    }

    impl<K> Default for Turns<K> {
        fn default() -> Self {
            Turns { waiting: Mutex::default() }
        }
    }

    pub(crate) struct Turn<K: Eq + Hash> {
        turns: Arc<Turns<K>>,
        key: K,
        guard: Option<OwnedMutexGuard<()>>,
    }

    impl<K: Clone + Eq + Hash> Turns<K> {
        pub(crate) async fn wait(self: &Arc<Self>, key: &K) -> Turn<K> {
            let lock = self.waiting.lock().entry(key.clone()).or_default().clone();
            let guard = lock.lock_owned().await;
            Turn { turns: self.clone(), key: key.clone(), guard: Some(guard) }
        }
    }

    impl<K: Eq + Hash> Drop for Turn<K> {
        fn drop(&mut self) {
            let mut waiting = self.turns.waiting.lock();
            self.guard = None;
            // The map's own handle is the last one: nobody waits, so the entry can go.
            if waiting.get(&self.key).is_some_and(|lock| Arc::strong_count(lock) == 1) {
                waiting.remove(&self.key);
            }
        }
    }
}
