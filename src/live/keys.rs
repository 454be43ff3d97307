//! Who sends to which stream key, over all tenants: a lease a key, in the platform's space. It tells others early; the
//! last word is the lock that a keeper and its ffmpeg hold.

use std::ops::ControlFlow;
use std::time::Duration;

use uuid::Uuid;

use super::stream::{LiveStream, Order};
use crate::error::Result;
use crate::foundation::Foundation;
use crate::library::Library;
use crate::store::rows::Reader;
use crate::store::{Lease, SpaceStore};
use crate::text::Message;

/// A lease on a key lasts so long, and is renewed when half of it is over.
pub(super) const LEASE: Duration = Duration::from_secs(600);
/// From a start until its supervisor has taken over.
const STARTING: Duration = Duration::from_secs(30);
/// A key that is still in use may become free within this, after the time on air has come.
pub(super) const KEY_PATIENCE: Duration = Duration::from_secs(5);
const KEYS: &str = "lease/key/";

fn platform(foundation: &Foundation) -> SpaceStore {
    #[allow(clippy::disallowed_methods, reason = "key leases are over all tenants")]
    foundation.store().platform()
}

fn run_of(holder: &str) -> Option<Uuid> {
    Uuid::parse_str(holder.split('/').next()?).ok()
}

/// Takes, or goes on holding, a key for a target of a run; or whose it is, where that is known.
pub(super) async fn claim(
    foundation: &Foundation,
    name: &str,
    run: Uuid,
    place: u16,
    ttl: Duration,
) -> Result<Result<(), Option<Uuid>>> {
    let platform = platform(foundation);
    if platform.claim(format!("key/{name}"), format!("{run}/{place}"), ttl).await?.is_some() {
        return Ok(Ok(()));
    }
    let key = format!("{KEYS}{name}");
    let other = platform.read(move |rows| rows.value::<Lease>(&key)).await?;
    Ok(Err(other.and_then(|lease| run_of(&lease.holder)).filter(|other| *other != run)))
}

/// Takes the keys of a stream that somebody starts now; or says that another stream sends to one of them, by its title
/// only where it is one of the same library. Keys of runs that are just ending are left to the supervisor, which waits
/// for them.
pub(super) async fn claim_to_begin(library: &Library, stream: Uuid, run: Uuid) -> Result<Option<Message>> {
    let foundation = library.foundation();
    let (vault, tenant) = (foundation.vault().clone(), library.tenant().clone());
    let look = move |rows: &Reader<'_>| {
        let row = rows.need::<LiveStream>(stream)?;
        let names = row.value.targets.iter().map(|target| target.key_name(&vault, &tenant));
        let names = names.collect::<Result<Vec<String>>>()?;
        let (mut ending, mut own) = (Vec::new(), Vec::new());
        for run in super::open_runs(rows)? {
            let order: Order = rows.value(&Order::key(run.value.stream_id))?.unwrap_or_default();
            if !order.on || order.run != Some(run.id()) || run.value.stream_id == stream {
                ending.push(run.id());
            }
            own.push((run.id(), run.value.stream_title));
        }
        Ok((names, ending, own))
    };
    let (names, ending, own) = library.rows().read(look).await?;
    let soon = foundation.clock().now() + KEY_PATIENCE;
    for (place, name) in names.iter().enumerate() {
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        let Err(other) = claim(foundation, name, run, place, STARTING).await? else { continue };
        let waits = other.is_none_or(|other| ending.contains(&other) || foundation.board().ends_by(other, soon));
        if !waits {
            let title = own.into_iter().find(|(run, _)| Some(*run) == other).map(|(_, title)| title);
            return Ok(Some(title.map_or(Message::new("live-key-busy"), |title| {
                Message::new("live-key-busy-own").with("title", title)
            })));
        }
    }
    Ok(None)
}

/// Gives back what a run with so many targets holds.
pub(super) async fn give_back(foundation: &Foundation, run: Uuid, places: usize) -> Result<()> {
    let holders: Vec<String> = (0..places).map(|place| format!("{run}/{place}")).collect();
    platform(foundation)
        .write(move |rows| {
            let long_ago = rows.now() - Duration::from_secs(24 * 3600);
            let mut held = Vec::new();
            rows.view().values::<Lease>(KEYS, |key, lease| {
                if holders.contains(&lease.holder) || lease.expires_at < long_ago {
                    held.push((key.to_owned(), lease));
                }
                ControlFlow::Continue(())
            })?;
            for (key, lease) in held {
                // Asserted, so that it is not taken from somebody else.
                if rows.value::<Lease>(&key)?.as_ref() != Some(&lease) {
                    continue;
                }
                if lease.expires_at < long_ago {
                    rows.delete_value(&key);
                } else {
                    // Kept for a while, so that fencing numbers go on.
                    let given = Lease { expires_at: rows.now(), ..lease };
                    rows.put_value(&key, &given)?;
                }
            }
            Ok(())
        })
        .await
}
