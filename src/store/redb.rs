//! The only file that names redb: one database file a space, opened on demand, at most [`OPEN_LIMIT`] at a time.
#![allow(clippy::disallowed_types, reason = "this is the room that owns redb")]

use std::collections::HashMap;
use std::fs;
use std::ops::{Bound, ControlFlow};
use std::path::{Path, PathBuf};
use std::sync::Arc;
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

/// Changes a file from one schema number to the next.
pub(super) type Upgrade = fn(&Database) -> Result<()>;
/// `UPGRADES[n]` makes schema `n + 2` out of `n + 1`; the current number follows from its length.
const UPGRADES: &[Upgrade] = &[];

type Handle = Arc<Database>;

struct Open {
    handle: Handle,
    used: Instant,
}

/// redb files below one data folder.
pub(super) struct RedbPort {
    data: PathBuf,
    platform: Handle,
    tenants: Mutex<HashMap<Space, Open>>,
    freed: Condvar,
    upgrades: &'static [Upgrade],
    changes: broadcast::Sender<Change>,
}

fn failed(doing: &'static str) -> impl Fn(redb::Error) -> Error {
    move |cause| {
        if let redb::Error::Io(io) = &cause
            && io.kind() == std::io::ErrorKind::StorageFull
        {
            return Error::OverQuota(crate::text::Message::new("error-disk-full"));
        }
        Error::Internal(anyhow::Error::new(cause).context(doing))
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
            platform,
            tenants: Mutex::default(),
            freed: Condvar::new(),
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
            return Ok(self.platform.clone());
        }
        let deadline = Instant::now() + OPEN_WAIT;
        let mut tenants = self.tenants.lock();
        loop {
            if let Some(open) = tenants.get_mut(space) {
                open.used = Instant::now();
                return Ok(open.handle.clone());
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
            if self.freed.wait_until(&mut tenants, deadline.min(Instant::now() + Duration::from_millis(20))).timed_out()
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
        return Ok(Arc::new(database));
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
        return Ok(Arc::new(database));
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
    Ok(Arc::new(database))
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
    _handle: Handle,
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
        match redb_try!("get", self.rows.get(key)) {
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
        let mut rows = redb_try!("scan", self.rows.range::<&[u8]>((lower, upper)));
        loop {
            let Some(entry) = (if range.reverse { rows.next_back() } else { rows.next() }) else { return Ok(()) };
            let (key, stored) = redb_try!("scan", entry);
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
            self.freed.wait_for(&mut tenants, Duration::from_millis(20));
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
        let transaction = redb_try!("begin read", handle.begin_read());
        let rows = redb_try!("open rows", transaction.open_table(ROWS));
        Ok(Box::new(RedbSnapshot { rows, _handle: handle }))
    }

    fn commit(&self, space: &Space, batch: &Batch) -> Result<Commit> {
        let handle = self.handle(space, false)?;
        let mut transaction = redb_try!("begin write", handle.begin_write());
        // Without it, a kill during a commit makes the next open walk the whole file.
        transaction.set_quick_repair(true);
        let version;
        {
            let mut rows = redb_try!("open rows", transaction.open_table(ROWS));
            for (key, assert) in &batch.asserts {
                let found = match redb_try!("assert", rows.get(key.as_slice())) {
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
            let mut meta = redb_try!("open meta", transaction.open_table(META));
            version = redb_try!("sequence", meta.get(SEQUENCE)).map_or(0, |number| number.value()) + 1;
            redb_try!("sequence", meta.insert(SEQUENCE, version));
            let mut stored = Vec::new();
            for (key, value) in &batch.puts {
                stored.clear();
                stored.extend_from_slice(&version.to_be_bytes());
                stored.extend_from_slice(value);
                redb_try!("put", rows.insert(key.as_slice(), stored.as_slice()));
            }
            for key in &batch.deletes {
                redb_try!("delete", rows.remove(key.as_slice()));
            }
        }
        redb_try!("commit", transaction.commit());
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
mod tests {
    use super::*;
    use crate::auth::Tenant;

    fn put(key: &str) -> Batch {
        Batch { puts: vec![(key.as_bytes().to_vec(), b"x".to_vec())], ..Batch::default() }
    }

    #[test]
    fn it_passes_the_suite_of_the_port() {
        let home = tempfile::tempdir().unwrap();
        super::super::suite::run(Arc::new(RedbPort::open(home.path().to_owned()).unwrap()));
    }

    #[test]
    fn no_more_than_64_libraries_are_open_however_many_are_used() {
        let home = tempfile::tempdir().unwrap();
        let port = RedbPort::open(home.path().to_owned()).unwrap();
        for number in 0..80 {
            let space = Space::Tenant(Tenant::parse(&format!("tenant-{number}")).unwrap());
            port.create(&space).unwrap();
            port.commit(&space, &put("a")).unwrap();
            assert!(port.open_files() <= OPEN_LIMIT);
        }
        let first = Space::Tenant(Tenant::parse("tenant-0").unwrap());
        assert!(port.get(&first, b"a").unwrap().is_some(), "an evicted file opens again");
    }

    #[test]
    fn a_library_behind_a_link_is_nobody_s() {
        let (home, other) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let space = Space::Tenant(Tenant::parse("al").unwrap());
        let elsewhere = RedbPort::open(other.path().to_owned()).unwrap();
        elsewhere.create(&space).unwrap();
        elsewhere.commit(&space, &put("a")).unwrap();
        drop(elsewhere);
        let own = home.path().join("al");
        std::os::unix::fs::symlink(other.path().join("al"), &own).unwrap();
        let port = RedbPort::open(home.path().to_owned()).unwrap();
        assert_eq!(port.get(&space, b"a").err().unwrap().status(), 409);
        assert_eq!(port.create(&space).err().unwrap().status(), 409);
        port.remove(&space).unwrap();
        assert!(other.path().join("al/library.redb").exists());
        fs::remove_file(&own).unwrap();
        fs::create_dir(&own).unwrap();
        std::os::unix::fs::symlink(other.path().join("al/library.redb"), own.join("library.redb")).unwrap();
        assert_eq!(port.get(&space, b"a").err().unwrap().status(), 409);
    }

    #[test]
    fn a_newer_file_is_refused_and_an_older_one_upgraded_after_a_copy() {
        let home = tempfile::tempdir().unwrap();
        static STEP: &[Upgrade] = &[|database| {
            let transaction = database.begin_write().map_err(|cause| failed("test")(cause.into()))?;
            redb_try!(
                "test",
                redb_try!("test", transaction.open_table(ROWS)).insert(b"new".as_slice(), b"00000000!".as_slice())
            );
            redb_try!("test", transaction.commit());
            Ok(())
        }];
        drop(RedbPort::open(home.path().to_owned()).unwrap());
        let upgraded = RedbPort::open_with(home.path().to_owned(), STEP).unwrap();
        assert!(upgraded.get(&Space::Platform, b"new").unwrap().is_some());
        assert!(home.path().join("platform.redb.schema-1").exists(), "the copy of the old file is kept");
        drop(upgraded);
        let refused = RedbPort::open(home.path().to_owned()).err().unwrap();
        assert_eq!(refused.status(), 409);
        assert!(refused.message().to_string().contains('2'), "{}", refused.message());
    }
}
