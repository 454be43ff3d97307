//! The quota ledger of a tenant: `used + reserved ≤ limit` at every instant.
//!
//! Room is reserved before bytes arrive, in a row of its own, so that a crash leaves a record of what to give back.
//! A file's row, what it spends and what its reservation gives back are one batch.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::Plan;
use crate::error::{Error, Result};
use crate::store::SpaceStore;
use crate::store::rows::{Reader, Writer};
use crate::text::Message;

const KEY: &str = "ledger";

/// What storage is used for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// Videos that people uploaded.
    Uploads,
    /// Clips, montages, slideshows, loops.
    Generated,
    /// Photos.
    Photos,
    /// Thumbnails and video frames.
    Thumbnails,
    /// Search vectors.
    Embeddings,
    /// Work in progress.
    Temp,
}

impl Kind {
    /// All kinds, in the order they are shown.
    pub const ALL: [Kind; 6] =
        [Kind::Uploads, Kind::Generated, Kind::Photos, Kind::Thumbnails, Kind::Embeddings, Kind::Temp];

    /// The name in the API.
    pub fn code(self) -> &'static str {
        match self {
            Kind::Uploads => "uploads",
            Kind::Generated => "generated",
            Kind::Photos => "photos",
            Kind::Thumbnails => "thumbnails",
            Kind::Embeddings => "embeddings",
            Kind::Temp => "temp",
        }
    }
}

/// Bytes and files of one kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Spent {
    /// Bytes.
    pub bytes: u64,
    /// Files.
    pub files: u64,
}

/// The ledger's one row.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Usage {
    /// What the tenant may use.
    #[serde(default)]
    pub plan: Plan,
    /// Bytes the tenant may use; `None`: as the box's setting or the plan says.
    pub own_limit: Option<u64>,
    /// Bytes set aside for what is arriving.
    pub reserved: u64,
    spent: [Spent; Kind::ALL.len()],
}

impl Default for Usage {
    fn default() -> Self {
        Usage { plan: Plan::default(), own_limit: None, reserved: 0, spent: [Spent::default(); Kind::ALL.len()] }
    }
}

impl Usage {
    /// Bytes of all kinds.
    pub fn used(&self) -> u64 {
        self.spent.iter().map(|spent| spent.bytes).sum()
    }

    /// Files of all kinds.
    pub fn files(&self) -> u64 {
        self.spent.iter().map(|spent| spent.files).sum()
    }

    /// Bytes and files of one kind.
    pub fn of(&self, kind: Kind) -> Spent {
        self.spent[kind as usize]
    }

    fn of_mut(&mut self, kind: Kind) -> &mut Spent {
        &mut self.spent[kind as usize]
    }
}

/// A reservation as stored, under `reservation/<id>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Reserved {
    bytes: u64,
    /// The server's start that made it; one of an earlier start has no upload behind it any more.
    boot: Uuid,
    at: Timestamp,
}

fn reservation_key(id: Uuid) -> String {
    format!("reservation/{id}")
}

/// The ledger as it stands.
pub fn usage(rows: &Reader<'_>) -> Result<Usage> {
    Ok(rows.value(KEY)?.unwrap_or_default())
}

/// Whether reservations of earlier starts of the server are left.
pub fn has_old_reservations(rows: &Reader<'_>, boot: Uuid) -> Result<bool> {
    let mut found = false;
    rows.values::<Reserved>("reservation/", |_, reserved| {
        found = reserved.boot != boot;
        if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    Ok(found)
}

/// Books bytes and files (negative: given back) in the batch of the row they belong to.
pub fn spend(rows: &mut Writer<'_>, kind: Kind, bytes: i64, files: i64) -> Result<()> {
    let mut ledger: Usage = rows.value(KEY)?.unwrap_or_default();
    let spent = ledger.of_mut(kind);
    let (before, after) = (*spent, (spent.bytes.checked_add_signed(bytes), spent.files.checked_add_signed(files)));
    let (Some(bytes), Some(files)) = after else {
        return Err(Error::Internal(anyhow::anyhow!(
            "the ledger of {} would fall below zero from {before:?}",
            kind.code()
        )));
    };
    *spent = Spent { bytes, files };
    rows.put_value(KEY, &ledger)
}

/// Sets the tenant's plan, and its own limit; `None` returns to the plan's. Never takes anything away: a tenant above a new
/// limit keeps what it has and can add nothing.
pub fn change_limit(rows: &mut Writer<'_>, plan: Plan, limit: Option<u64>) -> Result<()> {
    let mut ledger: Usage = rows.value(KEY)?.unwrap_or_default();
    ledger.plan = plan;
    ledger.own_limit = limit;
    rows.put_value(KEY, &ledger)
}

/// Room that was set aside and must be spent or given back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Reservation {
    id: Uuid,
    /// Bytes still set aside.
    pub bytes: u64,
}

impl Reservation {
    /// A name for room that is about to be taken with [`Ledger::extend`]. Whoever holds it can give the room back even
    /// if they are dropped before they learn that they got it.
    pub fn empty() -> Reservation {
        Reservation { id: Uuid::now_v7(), bytes: 0 }
    }
}

/// Reserves and settles room in one tenant's library.
#[derive(Clone)]
pub struct Ledger {
    rows: SpaceStore,
    boot: Uuid,
    box_limit: Option<u64>,
    files_limit: u64,
}

impl Ledger {
    /// `boot` names this start of the server; limits are the box's settings, in bytes and files. `box_limit` stands in
    /// for that of every plan.
    pub fn new(rows: SpaceStore, boot: Uuid, box_limit: Option<u64>, files_limit: u64) -> Ledger {
        Ledger { rows, boot, box_limit, files_limit }
    }

    /// The limit that holds for a ledger, in bytes.
    pub fn limit(&self, usage: &Usage) -> u64 {
        usage.own_limit.or(self.box_limit).unwrap_or(usage.plan.storage())
    }

    /// Sets `bytes` aside.
    ///
    /// # Errors
    /// [`Error::OverQuota`] that says what is left.
    pub async fn reserve(&self, bytes: u64) -> Result<Reservation> {
        let mut reservation = Reservation::empty();
        self.extend(&mut reservation, bytes).await?;
        Ok(reservation)
    }

    fn set_aside(&self, ledger: &mut Usage, bytes: u64) -> Result<()> {
        let limit = self.limit(ledger);
        let taken = ledger.used().saturating_add(ledger.reserved);
        if taken.checked_add(bytes).is_none_or(|taken| taken > limit) {
            let left = limit.saturating_sub(taken);
            return Err(Error::OverQuota(
                Message::new("quota-full").with("left", left >> 20).with("limit", limit >> 20),
            ));
        }
        self.files_left(ledger)?;
        ledger.reserved += bytes;
        Ok(())
    }

    /// Adds to a reservation, making its row if it is the first time.
    ///
    /// # Errors
    /// [`Error::OverQuota`]; what was reserved before stays.
    pub async fn extend(&self, reservation: &mut Reservation, more: u64) -> Result<()> {
        let (this, id) = (self.clone(), reservation.id);
        self.rows
            .write(move |rows| {
                let mut ledger: Usage = rows.value(KEY)?.unwrap_or_default();
                this.set_aside(&mut ledger, more)?;
                rows.put_value(KEY, &ledger)?;
                let old = rows.value(&reservation_key(id))?;
                let old = old.unwrap_or_else(|| Reserved { bytes: 0, boot: this.boot, at: rows.now() });
                rows.put_value(&reservation_key(id), &Reserved { bytes: old.bytes + more, ..old })
            })
            .await?;
        reservation.bytes += more;
        Ok(())
    }

    /// Turns part of a reservation into a stored file, in the batch of the file's row.
    pub fn settle(rows: &mut Writer<'_>, reservation: &Reservation, kind: Kind, bytes: u64) -> Result<()> {
        let mut ledger: Usage = rows.value(KEY)?.unwrap_or_default();
        let key = reservation_key(reservation.id);
        let old: Reserved = rows.value(&key)?.ok_or(Error::NotFound)?;
        let rest = old.bytes.checked_sub(bytes).ok_or_else(|| {
            Error::Internal(anyhow::anyhow!("a file of {bytes} bytes is larger than its reservation of {}", old.bytes))
        })?;
        ledger.reserved = ledger.reserved.saturating_sub(bytes);
        let spent = ledger.of_mut(kind);
        spent.bytes += bytes;
        spent.files += 1;
        rows.put_value(KEY, &ledger)?;
        rows.put_value(&key, &Reserved { bytes: rest, ..old })
    }

    /// Gives back what is left of a reservation, in the batch of its last file.
    pub fn give_back(rows: &mut Writer<'_>, reservation: &Reservation) -> Result<()> {
        give_back(rows, &[reservation_key(reservation.id)])
    }

    /// Refuses one more file where the tenant has as many as it may.
    pub fn check_files(&self, rows: &mut Writer<'_>) -> Result<()> {
        let ledger: Usage = rows.value(KEY)?.unwrap_or_default();
        self.files_left(&ledger)
    }

    /// Whether so many bytes could be set aside now; nothing is.
    ///
    /// # Errors
    /// As [`Ledger::reserve`].
    pub async fn check(&self, bytes: u64) -> Result<()> {
        let mut usage = self.rows.read(usage).await?;
        self.set_aside(&mut usage, bytes)
    }

    fn files_left(&self, ledger: &Usage) -> Result<()> {
        if ledger.files() >= self.files_limit {
            return Err(Error::OverQuota(Message::new("quota-files").with("limit", self.files_limit)));
        }
        Ok(())
    }

    /// Bytes that are neither used nor reserved.
    pub async fn left(&self) -> Result<u64> {
        let usage = self.rows.read(usage).await?;
        Ok(self.limit(&usage).saturating_sub(usage.used().saturating_add(usage.reserved)))
    }

    /// Gives back what is left of a reservation; fine if it is gone already.
    pub async fn release(&self, reservation: Reservation) -> Result<()> {
        self.rows.write(move |rows| give_back(rows, &[reservation_key(reservation.id)])).await
    }

    /// Gives back reservations of earlier starts of the server; their number.
    pub async fn reclaim(&self) -> Result<usize> {
        let boot = self.boot;
        self.rows
            .write(move |rows| {
                let mut old = Vec::new();
                rows.view().values::<Reserved>("reservation/", |key, reserved| {
                    if reserved.boot != boot {
                        old.push(key.to_owned());
                    }
                    ControlFlow::Continue(())
                })?;
                if !old.is_empty() {
                    give_back(rows, &old)?;
                }
                Ok(old.len())
            })
            .await
    }
}

fn give_back(rows: &mut Writer<'_>, keys: &[String]) -> Result<()> {
    let mut ledger: Usage = rows.value(KEY)?.unwrap_or_default();
    for key in keys {
        if let Some(reserved) = rows.value::<Reserved>(key)? {
            ledger.reserved = ledger.reserved.saturating_sub(reserved.bytes);
            rows.delete_value(key);
        }
    }
    rows.put_value(KEY, &ledger)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::auth::{SystemLicence, Tenant};
    use crate::clock::Clock;
    use crate::store::Store;

    async fn ledger(home: &std::path::Path, boot: Uuid) -> Ledger {
        let store = Store::open_redb(home.to_owned(), Clock::system()).unwrap();
        #[allow(clippy::disallowed_methods, reason = "a test of the room itself")]
        let scope = SystemLicence::new().scope(&Tenant::parse("al").unwrap(), "test");
        let rows = store.tenant(&scope);
        rows.create().await.unwrap();
        Ledger::new(rows, boot, Some(100), 1000)
    }

    #[tokio::test(flavor = "multi_thread")]
    async fn many_at_once_never_take_more_than_the_limit() {
        let home = tempfile::tempdir().unwrap();
        let ledger = ledger(home.path(), Uuid::now_v7()).await;
        let tries = (0..50).map(|_| {
            let ledger = ledger.clone();
            async move { ledger.reserve(10).await.is_ok() }
        });
        let passed = futures_util::future::join_all(tries).await.into_iter().filter(|passed| *passed).count();
        assert_eq!(passed, 10);
        assert_eq!(ledger.rows.read(usage).await.unwrap().reserved, 100);
    }

    #[tokio::test]
    async fn what_a_crash_left_reserved_is_given_back_by_the_next_start() {
        let home = tempfile::tempdir().unwrap();
        let before = ledger(home.path(), Uuid::now_v7()).await;
        let kept = before.reserve(30).await.unwrap();
        before.rows.write(move |rows| Ledger::settle(rows, &kept, Kind::Uploads, 20)).await.unwrap();
        assert_eq!(before.reclaim().await.unwrap(), 0, "reservations of this start are live");
        drop(before);
        let after = ledger(home.path(), Uuid::now_v7()).await;
        assert_eq!(after.reclaim().await.unwrap(), 1);
        let usage = after.rows.read(usage).await.unwrap();
        assert_eq!((usage.used(), usage.reserved, usage.files()), (20, 0, 1));
    }
}
