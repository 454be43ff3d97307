//! The only file that names redb: one database file a space, opened on demand, at most [`OPEN_LIMIT`] at a time.
#![allow(clippy::disallowed_types, reason = "this is the room that owns redb")]

use std::collections::HashMap;
use std::fs;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use parking_lot::{Condvar, Mutex};
use redb::{Database, ReadOnlyTable, ReadableDatabase, ReadableTable, TableDefinition};
use tokio::sync::broadcast;

use super::{Assert, Batch, Change, Commit, Port, Range, Snapshot, Space, Versioned, Visit};
use crate::auth::Tenant;
use crate::error::{Error, Result};

/// Rows: key → commit number (8 bytes, big endian) and value.
const ROWS: TableDefinition<&[u8], &[u8]> = TableDefinition::new("rows");
/// Numbers about the file itself.
const META: TableDefinition<&str, u64> = TableDefinition::new("meta");
const SCHEMA: &str = "schema";
const SEQUENCE: &str = "sequence";

/// Tenant files open at once.
const OPEN_LIMIT: usize = 64;
/// redb's own default of 1 GiB for each file would be the whole box.
const PLATFORM_CACHE: usize = 8 << 20;
const TENANT_CACHE: usize = 4 << 20;
/// How long a caller waits for a place among the open files.
const OPEN_WAIT: Duration = Duration::from_secs(30);
/// The same for a file that has to be opened anew, because the disk failed.
const MEND_WAIT: Duration = Duration::from_secs(5);
/// Between two looks.
const TICK: Duration = Duration::from_millis(20);

/// Changes a file from one schema number to the next.
pub(super) type Upgrade = fn(&Database) -> Result<()>;
/// `UPGRADES[n]` makes schema `n + 2` out of `n + 1`; the current number follows from its length.
const UPGRADES: &[Upgrade] = &[];

type Handle = Arc<Opened>;

/// An open file.
struct Opened {
    database: Database,
    /// The disk failed: redb refuses every call from then on, until the file is opened anew.
    broken: AtomicBool,
    /// It failed because it is full.
    full: AtomicBool,
}

impl Opened {
    fn new(database: Database) -> Handle {
        Arc::new(Opened { database, broken: AtomicBool::new(false), full: AtomicBool::new(false) })
    }

    fn is_broken(&self) -> bool {
        self.broken.load(Ordering::Acquire)
    }

    /// What a call of redb gave; remembers where the disk failed.
    fn tried<T>(&self, doing: &'static str, done: std::result::Result<T, impl Into<redb::Error>>) -> Result<T> {
        done.map_err(|cause| {
            let cause = cause.into();
            let is_broken = matches!(cause, redb::Error::Io(_) | redb::Error::PreviousIo);
            let was_full = matches!(cause, redb::Error::PreviousIo) && self.full.load(Ordering::Acquire);
            let error = if was_full { disk_full() } else { failed(doing)(cause) };
            if is_broken {
                self.full.fetch_or(matches!(error, Error::OverQuota(_)), Ordering::AcqRel);
                self.broken.store(true, Ordering::Release);
            }
            error
        })
    }
}

struct Open {
    handle: Handle,
    used: Instant,
}

/// redb files below one data folder.
pub(super) struct RedbPort {
    data: PathBuf,
    /// Nothing where it could not be opened anew yet.
    platform: Mutex<Option<Handle>>,
    tenants: Mutex<HashMap<Space, Open>>,
    freed: Condvar,
    platform_freed: Condvar,
    upgrades: &'static [Upgrade],
    changes: broadcast::Sender<Change>,
}

fn disk_full() -> Error {
    std::io::Error::from(std::io::ErrorKind::StorageFull).into()
}

fn failed(doing: &'static str) -> impl Fn(redb::Error) -> Error {
    move |cause| match cause {
        redb::Error::Io(cause) => match Error::from(cause) {
            Error::Internal(cause) => Error::Internal(cause.context(doing)),
            full => full,
        },
        cause => Error::Internal(anyhow::Error::new(cause).context(doing)),
    }
}

macro_rules! redb_try {
    ($doing:literal, $call:expr) => {
        $call.map_err(|cause| failed($doing)(cause.into()))?
    };
}

impl RedbPort {
    pub fn open(data: PathBuf) -> Result<Self> {
        Self::open_with(data, UPGRADES)
    }

    pub(super) fn open_with(data: PathBuf, upgrades: &'static [Upgrade]) -> Result<Self> {
        fs::create_dir_all(&data)?;
        let platform = open_file(&data.join("platform.redb"), PLATFORM_CACHE, true, upgrades)?;
        Ok(RedbPort {
            data,
            platform: Mutex::new(Some(platform)),
            tenants: Mutex::default(),
            freed: Condvar::new(),
            platform_freed: Condvar::new(),
            upgrades,
            changes: broadcast::channel(1024).0,
        })
    }

    fn path(&self, space: &Space) -> PathBuf {
        match space {
            Space::Platform => self.data.join("platform.redb"),
            Space::Tenant(tenant) => self.data.join(tenant.as_str()).join("library.redb"),
        }
    }

    fn handle(&self, space: &Space, create: bool) -> Result<Handle> {
        if *space == Space::Platform {
            return self.platform_handle();
        }
        let deadline = Instant::now() + OPEN_WAIT;
        let mended = Instant::now() + MEND_WAIT;
        let mut tenants = self.tenants.lock();
        loop {
            match tenants.get_mut(space) {
                Some(open) if !open.handle.is_broken() => {
                    open.used = Instant::now();
                    return Ok(open.handle.clone());
                }
                Some(open) if Arc::strong_count(&open.handle) > 1 => {
                    if Instant::now() >= mended {
                        return open.handle.tried("open anew", Err(redb::Error::PreviousIo));
                    }
                    self.freed.wait_for(&mut tenants, TICK);
                    continue;
                }
                Some(_) => drop(tenants.remove(space)),
                None => {}
            }
            if tenants.len() < OPEN_LIMIT {
                break;
            }
            // A handle that only this map holds is idle; the one idle for longest goes.
            let idle = tenants
                .iter()
                .filter(|(_, open)| Arc::strong_count(&open.handle) == 1)
                .min_by_key(|(_, open)| open.used)
                .map(|(space, _)| space.clone());
            if let Some(idle) = idle {
                tenants.remove(&idle);
                break;
            }
            if self.freed.wait_until(&mut tenants, deadline.min(Instant::now() + TICK)).timed_out()
                && Instant::now() >= deadline
            {
                return Err(Error::Internal(anyhow::anyhow!("all {OPEN_LIMIT} library files are in use")));
            }
        }
        if behind_link(&self.path(space)) {
            return Err(Error::Conflict(crate::text::Message::new("objects-not-ours")));
        }
        // Opened under the lock: redb refuses to open one file twice, and an open takes about a millisecond.
        let handle = open_file(&self.path(space), TENANT_CACHE, create, self.upgrades)?;
        tenants.insert(space.clone(), Open { handle: handle.clone(), used: Instant::now() });
        Ok(handle)
    }

    fn platform_handle(&self) -> Result<Handle> {
        let mended = Instant::now() + MEND_WAIT;
        let mut platform = self.platform.lock();
        loop {
            match platform.as_ref() {
                Some(open) if !open.is_broken() => return Ok(open.clone()),
                // Whoever still uses it ends first: redb refuses to open one file twice.
                Some(open) if Arc::strong_count(open) > 1 => {
                    if Instant::now() >= mended {
                        return open.tried("open anew", Err(redb::Error::PreviousIo));
                    }
                    self.platform_freed.wait_for(&mut platform, TICK);
                }
                _ => break,
            }
        }
        *platform = None;
        let open = open_file(&self.path(&Space::Platform), PLATFORM_CACHE, false, self.upgrades)?;
        Ok(platform.insert(open).clone())
    }

    #[cfg(test)]
    pub(super) fn open_files(&self) -> usize {
        self.tenants.lock().len()
    }
}

/// Whether a tenant's library, or the folder that it lies in, was replaced by a link: nobody's rows are behind it.
fn behind_link(path: &Path) -> bool {
    let is_link = |path: &Path| fs::symlink_metadata(path).is_ok_and(|found| found.is_symlink());
    is_link(path) || path.parent().is_some_and(is_link)
}

/// Opens one file and brings it to the current schema; an older file is copied beside itself first.
#[allow(clippy::disallowed_methods, reason = "this is the room that owns redb")]
fn open_file(path: &Path, cache: usize, create: bool, upgrades: &'static [Upgrade]) -> Result<Handle> {
    let current = upgrades.len() as u64 + 1;
    let fresh = !path.exists();
    if fresh && !create {
        return Err(Error::NotFound);
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    let mut builder = Database::builder();
    builder.set_cache_size(cache);
    // Small regions: a new library is a few dozen KiB on disk instead of megabytes.
    let database = redb_try!("open database", builder.create(path));
    if fresh {
        write_schema(&database, current)?;
        return Ok(Opened::new(database));
    }
    let found = read_schema(&database)?;
    // A crash between making the file and its first commit leaves a file without a number: it is as good as new.
    let found = match found {
        Some(found) => found,
        None => {
            write_schema(&database, current)?;
            current
        }
    };
    if found > current {
        return Err(Error::Conflict(
            crate::text::Message::new("error-newer-data").with("found", found).with("known", current),
        ));
    }
    if found == current {
        return Ok(Opened::new(database));
    }
    drop(database);
    let copy = path.with_extension(format!("redb.schema-{found}"));
    let unfinished = path.with_extension("redb.copying");
    if !copy.exists() {
        fs::copy(path, &unfinished)?;
        fs::File::open(&unfinished)?.sync_all()?;
        fs::rename(&unfinished, &copy)?;
    }
    let database = redb_try!("open database", builder.create(path));
    for step in found..current {
        upgrades[step as usize - 1](&database)?;
        write_schema(&database, step + 1)?;
        tracing::info!(file = %path.display(), from = step, to = step + 1, "upgraded");
    }
    Ok(Opened::new(database))
}

fn read_schema(database: &Database) -> Result<Option<u64>> {
    let transaction = redb_try!("read schema", database.begin_read());
    match transaction.open_table(META) {
        Ok(meta) => Ok(redb_try!("read schema", meta.get(SCHEMA)).map(|number| number.value())),
        Err(redb::TableError::TableDoesNotExist(_)) => Ok(None),
        Err(cause) => Err(failed("read schema")(cause.into())),
    }
}

fn write_schema(database: &Database, number: u64) -> Result<()> {
    let mut transaction = redb_try!("write schema", database.begin_write());
    transaction.set_quick_repair(true);
    {
        redb_try!("write schema", transaction.open_table(ROWS));
        let mut meta = redb_try!("write schema", transaction.open_table(META));
        redb_try!("write schema", meta.insert(SCHEMA, number));
    }
    redb_try!("write schema", transaction.commit());
    Ok(())
}

struct RedbSnapshot {
    rows: ReadOnlyTable<&'static [u8], &'static [u8]>,
    // Keeps the file among the open ones for as long as the view is used.
    handle: Handle,
}

fn split(stored: &[u8]) -> Result<(u64, &[u8])> {
    match stored.split_first_chunk::<8>() {
        Some((version, value)) => Ok((u64::from_be_bytes(*version), value)),
        None => Err(Error::Internal(anyhow::anyhow!("a stored row is shorter than its version"))),
    }
}

/// The first key that is beyond every key with this prefix.
fn beyond(prefix: &[u8]) -> Option<Vec<u8>> {
    let mut end = prefix.to_vec();
    while let Some(last) = end.pop() {
        if last < u8::MAX {
            end.push(last + 1);
            return Some(end);
        }
    }
    None
}

impl Snapshot for RedbSnapshot {
    fn get(&self, key: &[u8]) -> Result<Option<Versioned>> {
        match self.handle.tried("get", self.rows.get(key))? {
            None => Ok(None),
            Some(stored) => {
                let (version, value) = split(stored.value())?;
                Ok(Some(Versioned { version, value: value.to_vec() }))
            }
        }
    }

    fn scan(&self, range: Range<'_>, visit: &mut Visit<'_>) -> Result<()> {
        let end = beyond(range.prefix);
        let mut lower = Bound::Included(range.prefix);
        let mut upper = end.as_deref().map_or(Bound::Unbounded, Bound::Excluded);
        match range.after {
            // A cursor from outside may name any key; it can narrow the range, never leave it.
            Some(after) if range.reverse && end.as_deref().is_none_or(|end| after < end) => {
                upper = Bound::Excluded(after)
            }
            Some(after) if !range.reverse && after >= range.prefix => lower = Bound::Excluded(after),
            _ => {}
        }
        if let (Bound::Included(low) | Bound::Excluded(low), Bound::Excluded(high)) = (lower, upper)
            && low >= high
        {
            return Ok(());
        }
        let mut rows = self.handle.tried("scan", self.rows.range::<&[u8]>((lower, upper)))?;
        loop {
            let Some(entry) = (if range.reverse { rows.next_back() } else { rows.next() }) else { return Ok(()) };
            let (key, stored) = self.handle.tried("scan", entry)?;
            let (version, value) = split(stored.value())?;
            if let ControlFlow::Break(()) = visit(key.value(), version, value) {
                return Ok(());
            }
        }
    }
}

impl Port for RedbPort {
    fn create(&self, space: &Space) -> Result<()> {
        self.handle(space, true).map(drop)
    }

    fn remove(&self, space: &Space) -> Result<()> {
        let mut tenants = self.tenants.lock();
        let deadline = Instant::now() + OPEN_WAIT;
        while tenants.get(space).is_some_and(|open| Arc::strong_count(&open.handle) > 1) {
            if Instant::now() >= deadline {
                return Err(Error::Internal(anyhow::anyhow!("the library file is in use and cannot be removed")));
            }
            self.freed.wait_for(&mut tenants, TICK);
        }
        tenants.remove(space);
        if behind_link(&self.path(space)) {
            // The link goes with the tenant's folders.
            return Ok(());
        }
        match fs::remove_file(self.path(space)) {
            Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause.into()),
            _ => Ok(()),
        }
    }

    fn changed_at(&self, space: &Space) -> Result<jiff::Timestamp> {
        // Every commit writes the file, and so does opening it. The kernel's stamps lag by some milliseconds.
        let changed = match fs::metadata(self.path(space)).and_then(|file| file.modified()) {
            Ok(changed) => changed,
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => return Err(Error::NotFound),
            Err(cause) => return Err(cause.into()),
        };
        let changed = changed + std::time::Duration::from_secs(1);
        Ok(jiff::Timestamp::try_from(changed).unwrap_or(jiff::Timestamp::MAX))
    }

    fn snapshot(&self, space: &Space) -> Result<Box<dyn Snapshot>> {
        let handle = self.handle(space, false)?;
        let transaction = handle.tried("begin read", handle.database.begin_read())?;
        let rows = handle.tried("open rows", transaction.open_table(ROWS))?;
        Ok(Box::new(RedbSnapshot { rows, handle }))
    }

    fn commit(&self, space: &Space, batch: &Batch) -> Result<Commit> {
        let handle = self.handle(space, false)?;
        let mut transaction = handle.tried("begin write", handle.database.begin_write())?;
        // Without it, a kill during a commit makes the next open walk the whole file.
        transaction.set_quick_repair(true);
        let version;
        {
            let mut rows = handle.tried("open rows", transaction.open_table(ROWS))?;
            for (key, assert) in &batch.asserts {
                let found = match handle.tried("assert", rows.get(key.as_slice()))? {
                    None => None,
                    Some(stored) => Some(split(stored.value())?.0),
                };
                let holds = match assert {
                    Assert::Absent => found.is_none(),
                    Assert::Version(version) => found == Some(*version),
                };
                if !holds {
                    return Ok(Commit::Conflict);
                }
            }
            let mut meta = handle.tried("open meta", transaction.open_table(META))?;
            version = handle.tried("sequence", meta.get(SEQUENCE))?.map_or(0, |number| number.value()) + 1;
            handle.tried("sequence", meta.insert(SEQUENCE, version))?;
            let mut stored = Vec::new();
            for (key, value) in &batch.puts {
                stored.clear();
                stored.extend_from_slice(&version.to_be_bytes());
                stored.extend_from_slice(value);
                handle.tried("put", rows.insert(key.as_slice(), stored.as_slice()))?;
            }
            for key in &batch.deletes {
                handle.tried("delete", rows.remove(key.as_slice()))?;
            }
        }
        handle.tried("commit", transaction.commit())?;
        let keys = batch.puts.iter().map(|(key, _)| key.clone()).chain(batch.deletes.iter().cloned()).collect();
        // Nobody listening is fine.
        let _ = self.changes.send(Change { space: space.clone(), keys: Arc::new(keys) });
        Ok(Commit::Done(version))
    }

    fn tenants(&self) -> Result<Vec<Tenant>> {
        let mut found = Vec::new();
        for entry in fs::read_dir(&self.data)? {
            let entry = entry?;
            let Some(tenant) = entry.file_name().to_str().and_then(|name| Tenant::parse(name).ok()) else { continue };
            // Gone meanwhile, or not (yet) a library.
            let Ok(file) = fs::metadata(entry.path().join("library.redb")) else { continue };
            found.push((file.modified()?, tenant));
        }
        found.sort();
        Ok(found.into_iter().rev().map(|(_, tenant)| tenant).collect())
    }

    fn watch(&self) -> broadcast::Receiver<Change> {
        self.changes.subscribe()
    }
}

#[cfg(test)]
#[path = "redb_tests.rs"]
mod tests;
