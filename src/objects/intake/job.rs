//! What a job of ours made comes in by the same gate, but where it lies: nothing is copied.

use std::io::Read as _;

use sha2::{Digest as _, Sha256};

use super::writer::GATHER;
use super::{Arrival, Arrived, check_disk};
use crate::auth::WriteScope;
use crate::error::Result;
use crate::foundation::Foundation;
use crate::objects::{JobFile, JobFolder};
use crate::store::blocking;
use crate::tenancy::Reservation;

impl Arrival {
    /// For a job that writes files itself, over hours: room for all it will write, and none of the places that requests
    /// share.
    ///
    /// # Errors
    /// [`Error::OverQuota`](crate::error::Error::OverQuota) if the quota or the disk has no room.
    pub async fn of_job(foundation: &Foundation, proof: &WriteScope, bytes: u64) -> Result<Arrival> {
        check_disk(foundation, bytes)?;
        let mut arrival = Arrival {
            foundation: foundation.clone(),
            proof: proof.clone(),
            ledger: foundation.ledger(proof),
            room: Reservation::empty(),
            spent: 0,
            announced: Some(bytes),
            place: None,
            ended: false,
        };
        arrival.ledger.extend(&mut arrival.room, bytes).await?;
        Ok(arrival)
    }

    /// Takes in a whole file of a job's folder. `judge` sees its first bytes.
    ///
    /// # Errors
    /// Those of `judge`; [`Error::OverQuota`](crate::error::Error::OverQuota) without room. Nothing is left of the file
    /// then.
    pub async fn adopt<K: Send + 'static>(
        &mut self,
        folder: &JobFolder,
        file: JobFile,
        judge: impl Fn(&[u8]) -> Result<K> + Send + 'static,
    ) -> Result<Arrived<K>> {
        let (folder, proof, intake) = (folder.clone(), self.proof.clone(), self.foundation.intake().clone());
        let arrived = blocking(move || {
            // Removed with this value, should anything fail.
            let (incoming, mut file) = folder.hand_over(&proof, file)?;
            let (mut hash, mut piece) = (Sha256::new(), vec![0; GATHER]);
            let mut length = file.read(&mut piece)?;
            let (kind, mut size) = (judge(&piece[..length])?, 0);
            while length > 0 {
                hash.update(&piece[..length]);
                size += length as u64;
                length = file.read(&mut piece)?;
            }
            let sha256 = hex::encode(hash.finalize());
            Ok(Arrived { incoming: Some(incoming), file: Some(file), intake, kind, size, sha256 })
        })
        .await?;
        self.make_room(arrived.size).await?;
        Ok(arrived)
    }
}
