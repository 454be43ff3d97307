//! The one gate for bytes from outside: form uploads, imports, pictures made from videos.
//!
//! Room is reserved before bytes are written and topped up as they come, so that a tenant never holds more than its
//! limit, not for an instant. A file lies under `uploads/` until its row is written; whatever ends an arrival early
//! (an error, a client that goes away, a request that is dropped) removes the file first and gives the room back
//! after. A crash leaves the reservation as the record of what the next start has to clear.

mod copy;
mod job;
mod pace;
mod spool;
mod writer;

use std::collections::HashMap;
use std::fs::File;
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::Stream;
use parking_lot::Mutex;
use sha2::{Digest as _, Sha256};
use tokio::sync::mpsc::{UnboundedReceiver, UnboundedSender, unbounded_channel};
use tokio_util::sync::CancellationToken;

use pace::{PATIENCE, Pace};
pub use spool::Spool;
use writer::{GATHER, GATHER_ALL, GATHER_LEAST, Writer};

use super::{Bucket, Incoming};
use crate::auth::{Tenant, WriteScope};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::store::blocking;
use crate::tenancy::{Ledger, Reservation};
use crate::text::Message;

/// Arrivals at the same time, of all tenants.
const ARRIVALS: usize = 1000;
/// A request's own words around its files: boundaries, headers, small fields. Reserving that much less than was
/// announced keeps the last bytes of a quota usable; what is missing is topped up to the byte.
const SLACK: u64 = 4 << 10;
/// Where the length is not announced, room is taken in steps that grow with the file, from this to [`STEP_MOST`].
const STEP: u64 = 8 << 20;
const STEP_MOST: u64 = 64 << 20;
/// A step that still fits where a whole one does not.
const STEP_SMALL: u64 = 1 << 20;
/// With less room than this, no picture is made of a video while other files are arriving: they come first.
const SCARCE: u64 = 256 << 20;

/// Counts arrivals and clears up after those that end early. One for a server.
#[derive(Clone)]
pub struct Intake {
    shared: Arc<Shared>,
}

struct Shared {
    present: Mutex<HashMap<Tenant, usize>>,
    scraps: UnboundedSender<Scraps>,
    /// Taken by [`Intake::tidy`].
    bin: tokio::sync::Mutex<UnboundedReceiver<Scraps>>,
}

/// What an arrival that ended early leaves: the file goes first, then its place and its room.
#[derive(Default)]
struct Scraps {
    file: Option<Incoming>,
    room: Option<(Ledger, Reservation)>,
    place: Option<Place>,
}

impl Scraps {
    async fn clear(self) {
        let Scraps { file, room, place } = self;
        if let Some(file) = file {
            // Removing gigabytes takes a while.
            let _ = tokio::task::spawn_blocking(move || drop(file)).await;
        }
        drop(place);
        if let Some((ledger, reservation)) = room
            && let Err(cause) = ledger.release(reservation).await
        {
            tracing::error!(%cause, "room could not be given back; the next start does it");
        }
    }
}

impl Default for Intake {
    fn default() -> Self {
        let (scraps, bin) = unbounded_channel();
        Intake { shared: Arc::new(Shared { present: Mutex::default(), scraps, bin: bin.into() }) }
    }
}

impl Intake {
    /// Clears up until `end`, and what is there then.
    pub async fn tidy(&self, end: CancellationToken) {
        let mut bin = self.shared.bin.lock().await;
        loop {
            tokio::select! {
                Some(scraps) = bin.recv() => scraps.clear().await,
                () = end.cancelled() => break,
            }
        }
        while let Ok(scraps) = bin.try_recv() {
            scraps.clear().await;
        }
    }

    fn enter(&self, tenant: &Tenant, most: usize) -> Result<Place> {
        let mut present = self.shared.present.lock();
        if present.values().sum::<usize>() >= ARRIVALS || present.get(tenant).is_some_and(|count| *count >= most) {
            return Err(Error::TooMany { retry_after: Duration::from_secs(5) });
        }
        *present.entry(tenant.clone()).or_default() += 1;
        Ok(Place { intake: self.clone(), tenant: tenant.clone() })
    }

    /// How many arrivals a tenant has under way.
    fn present(&self, tenant: &Tenant) -> usize {
        self.shared.present.lock().get(tenant).copied().unwrap_or_default()
    }

    /// How much one of the present arrivals may gather.
    fn gather(&self) -> usize {
        let present = self.shared.present.lock().values().sum::<usize>();
        (GATHER_ALL / present.max(1)).clamp(GATHER_LEAST, GATHER)
    }

    fn discard(&self, scraps: Scraps) {
        // Only a server that has ended no longer listens; then the file goes at once and the room at the next start.
        let _ = self.shared.scraps.send(scraps);
    }
}

/// One of the places that a tenant's arrivals may take at the same time.
struct Place {
    intake: Intake,
    tenant: Tenant,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut present = self.intake.shared.present.lock();
        if let Some(count) = present.get_mut(&self.tenant) {
            *count -= 1;
            if *count == 0 {
                present.remove(&self.tenant);
            }
        }
    }
}

/// Bytes that the disk takes before it is at its floor; `None` below that.
pub fn disk_room(foundation: &Foundation) -> Result<Option<u64>> {
    let (free, _) = foundation.objects().disk()?;
    Ok(free.checked_sub(foundation.config().limits.disk_floor_mib << 20))
}

/// One request, or one job, that brings files. Its room is one reservation, which each file that is kept spends from.
pub struct Arrival {
    foundation: Foundation,
    proof: WriteScope,
    ledger: Ledger,
    room: Reservation,
    /// Bytes that were spent out of the reservation.
    spent: u64,
    /// Length of the whole body, where it was said.
    announced: Option<u64>,
    place: Option<Place>,
    ended: bool,
}

/// A file that is here whole, but not yet synced and not yet kept.
pub struct Arrived<K> {
    incoming: Option<Incoming>,
    file: Option<File>,
    intake: Intake,
    /// What its first bytes were judged to be.
    pub kind: K,
    /// Length in bytes.
    pub size: u64,
    /// Hash of its bytes, in hex.
    pub sha256: String,
}

impl<K> Arrived<K> {
    /// Makes the bytes durable.
    pub async fn sync(&mut self) -> Result<()> {
        match self.file.take() {
            None => Ok(()),
            Some(file) => blocking(move || Ok(file.sync_all()?)).await,
        }
    }

    /// The file under its working name, for the rooms that look into it.
    ///
    /// # Errors
    /// [`Error::Internal`] after [`Arrived::take`].
    pub fn incoming(&self) -> Result<&Incoming> {
        self.incoming.as_ref().ok_or_else(|| Error::Internal(anyhow::anyhow!("the file was taken already")))
    }

    /// The same file, judged to be something else.
    ///
    /// # Errors
    /// [`Error::Internal`] after [`Arrived::take`].
    pub fn with_kind<L>(mut self, kind: L) -> Result<Arrived<L>> {
        let (incoming, file) = (Some(self.take()?), self.file.take());
        let (intake, sha256) = (self.intake.clone(), std::mem::take(&mut self.sha256));
        Ok(Arrived { incoming, file, intake, kind, size: self.size, sha256 })
    }

    /// Removes the file now, not some time later.
    pub async fn remove(mut self) -> Result<()> {
        let (incoming, file) = (self.incoming.take(), self.file.take());
        blocking(move || {
            drop((incoming, file));
            Ok(())
        })
        .await
    }

    /// Hands the file over to be kept. Whoever takes it inside the batch of its row need not fear to be dropped.
    ///
    /// # Errors
    /// [`Error::Internal`] the second time.
    pub fn take(&mut self) -> Result<Incoming> {
        self.incoming.take().ok_or_else(|| Error::Internal(anyhow::anyhow!("the file was taken already")))
    }
}

impl<K> Drop for Arrived<K> {
    fn drop(&mut self) {
        if self.incoming.is_some() {
            self.intake.discard(Scraps { file: self.incoming.take(), ..Scraps::default() });
        }
    }
}

impl Arrival {
    /// Takes a place and reserves room for what was announced; `None` where nothing was.
    ///
    /// # Errors
    /// [`Error::TooMany`] if too much is arriving already, [`Error::OverQuota`] if the quota or the disk has no room.
    pub async fn begin(foundation: &Foundation, proof: &WriteScope, announced: Option<u64>) -> Result<Arrival> {
        let place = foundation.intake().enter(proof.tenant(), foundation.config().limits.uploads_per_tenant)?;
        let mut arrival = Arrival {
            foundation: foundation.clone(),
            proof: proof.clone(),
            ledger: foundation.ledger(proof),
            // The guard stands before the room is taken: a request may be dropped at any await.
            room: Reservation::empty(),
            spent: 0,
            announced,
            place: Some(place),
            ended: false,
        };
        let first = announced.unwrap_or_default().saturating_sub(SLACK);
        check_disk(foundation, first)?;
        arrival.ledger.extend(&mut arrival.room, first).await?;
        Ok(arrival)
    }

    /// What the reservation is called, to be spent from in the batch of a file's row.
    pub fn room(&self) -> Reservation {
        self.room
    }

    /// To be told after a batch that spent from the reservation.
    pub fn spent(&mut self, bytes: u64) {
        self.spent += bytes;
        self.room.bytes = self.room.bytes.saturating_sub(bytes);
    }

    /// To be told after a batch that gave back what was left.
    pub fn closed(&mut self) {
        self.ended = true;
    }

    /// Gives back what is left.
    pub async fn end(mut self) -> Result<()> {
        if !self.ended {
            // Until it is done, a drop would do it.
            self.ledger.release(self.room).await?;
            self.ended = true;
        }
        Ok(())
    }

    /// Whether room is short and other files of the tenant want it.
    pub async fn is_scarce(&self) -> Result<bool> {
        let ledger = self.ledger.clone();
        let intake = self.foundation.intake();
        Ok(intake.present(self.proof.tenant()) > 1 && ledger.left().await? < SCARCE)
    }

    /// Makes sure that the reservation covers a file of `size` bytes that is arriving.
    ///
    /// # Errors
    /// [`Error::OverQuota`] if not even the last missing byte is to be had.
    pub async fn make_room(&mut self, size: u64) -> Result<()> {
        let Some(need) = size.checked_sub(self.room.bytes).filter(|need| *need > 0) else { return Ok(()) };
        // Of an announced body only the last few bytes are missing; any more would be kept from another file.
        if self.announced.is_none() {
            let wish = (size / 4).clamp(STEP, STEP_MOST);
            for more in [wish, STEP_SMALL] {
                if more > need {
                    match self.ledger.extend(&mut self.room, more).await {
                        Err(Error::OverQuota(_)) => {}
                        done => return done,
                    }
                }
            }
        }
        self.ledger.extend(&mut self.room, need).await
    }

    fn bucket(&self) -> Bucket {
        self.foundation.bucket(&self.proof)
    }

    /// Writes a stream to a file of at most `limit` bytes. `judge` sees the first `head` bytes, or all of a shorter
    /// file, before much else has come.
    ///
    /// # Errors
    /// Those of `judge` and of the stream; [`Error::TooLarge`] over the limit, [`Error::OverQuota`] without room,
    /// [`Error::Malformed`] if the client brings nothing for a minute. Nothing is left of the file.
    pub async fn receive<K, S>(
        &mut self,
        stream: &mut S,
        limit: u64,
        head: usize,
        judge: impl Fn(&[u8]) -> Result<K>,
    ) -> Result<Arrived<K>>
    where
        S: Stream<Item = Result<Bytes>> + Unpin,
    {
        check_disk(&self.foundation, 0)?;
        let (bucket, proof) = (self.bucket(), self.proof.clone());
        let (incoming, file) = blocking(move || bucket.receive(&proof)).await?;
        let mut arrived = Arrived {
            incoming: Some(incoming),
            file: None,
            intake: self.foundation.intake().clone(),
            kind: None,
            size: 0,
            sha256: String::new(),
        };
        let mut writer = Writer::to(file, self.foundation.intake().gather());
        let mut first = Vec::new();
        let mut checked = 0;
        let mut pace = Pace::begin(PATIENCE);
        while let Some(chunk) = pace.next(stream).await? {
            arrived.size += chunk.len() as u64;
            if arrived.size > limit {
                return Err(Error::TooLarge(Message::new("library-file-too-large").with("mib", limit >> 20)));
            }
            if arrived.kind.is_none() {
                first.extend_from_slice(&chunk[..chunk.len().min(head - first.len())]);
                if first.len() == head {
                    arrived.kind = Some(judge(&first)?);
                }
            }
            if arrived.size - checked >= STEP {
                checked = arrived.size;
                check_disk(&self.foundation, 0)?;
            }
            self.make_room(arrived.size).await?;
            writer.push(&chunk).await?;
        }
        let kind = match arrived.kind.take() {
            Some(kind) => kind,
            None if arrived.size == 0 => return Err(Error::WrongKind(Message::new("library-file-empty"))),
            None => judge(&first)?,
        };
        let (file, sha256) = writer.finish().await?;
        Ok(Arrived {
            incoming: arrived.incoming.take(),
            file: Some(file),
            intake: arrived.intake.clone(),
            kind,
            size: arrived.size,
            sha256,
        })
    }

    /// Writes bytes that are in memory already, and syncs them. `beside` other bytes are here that the reservation has
    /// to cover too.
    ///
    /// # Errors
    /// [`Error::OverQuota`] without room.
    pub async fn store<K>(&mut self, bytes: Bytes, kind: K, beside: u64) -> Result<Arrived<K>> {
        let size = bytes.len() as u64;
        self.make_room(beside + size).await?;
        let (bucket, proof) = (self.bucket(), self.proof.clone());
        let (incoming, sha256) = blocking(move || {
            let (incoming, mut file) = bucket.receive(&proof)?;
            file.write_all(&bytes)?;
            file.sync_all()?;
            Ok((incoming, hex::encode(Sha256::digest(&bytes))))
        })
        .await?;
        let intake = self.foundation.intake().clone();
        Ok(Arrived { incoming: Some(incoming), file: None, intake, kind, size, sha256 })
    }
}

impl Drop for Arrival {
    fn drop(&mut self) {
        let place = self.place.take();
        if !self.ended {
            let room = Some((self.ledger.clone(), self.room));
            self.foundation.intake().discard(Scraps { file: None, room, place });
        }
    }
}

/// Refuses what would bring the disk below its floor.
///
/// # Errors
/// [`Error::OverQuota`].
pub fn check_disk(foundation: &Foundation, more: u64) -> Result<()> {
    if disk_room(foundation)?.is_none_or(|room| room < more) {
        let floor = foundation.config().limits.disk_floor_mib;
        return Err(Error::OverQuota(match floor {
            0 => Message::new("error-disk-full"),
            floor => Message::new("library-disk-floor").with("floor", floor),
        }));
    }
    Ok(())
}

/// Reads the whole of a small file into memory.
///
/// # Errors
/// [`Error::TooLarge`] beyond `limit` bytes, [`Error::Malformed`] if the client brings nothing for a minute.
pub async fn read_small<S>(stream: &mut S, limit: usize) -> Result<Vec<u8>>
where
    S: Stream<Item = Result<Bytes>> + Unpin,
{
    let mut bytes = Vec::new();
    let mut pace = Pace::begin(PATIENCE);
    while let Some(chunk) = pace.next(stream).await? {
        if bytes.len() + chunk.len() > limit {
            return Err(Error::TooLarge(Message::new("library-file-too-large").with("mib", limit >> 20)));
        }
        bytes.extend_from_slice(&chunk);
    }
    Ok(bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_arrivals_share_the_memory_that_one_would_take() {
        let intake = Intake::default();
        assert_eq!(intake.gather(), GATHER);
        let al = Tenant::parse("al").unwrap();
        let places: Vec<Place> = (0..100).map(|_| intake.enter(&al, 100).unwrap()).collect();
        assert_eq!(intake.gather(), GATHER_ALL / 100);
        assert_eq!(intake.enter(&al, 100).err().unwrap().status(), 429);
        drop(places);
        assert_eq!((intake.present(&al), intake.shared.present.lock().len()), (0, 0));
    }
}
