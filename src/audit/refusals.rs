//! Refusals on their way into the records. Whoever asks never waits for the disk, and a flood is told in numbers: it
//! fills neither the memory nor the record.

use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use jiff::Timestamp;
use tokio::sync::mpsc::{Receiver, Sender, channel};
use tokio_util::sync::CancellationToken;

use super::record_refusal;
use crate::auth::{Tenant, UserName};
use crate::error::Error;
use crate::store::SpaceStore;

/// Waiting to be written; what comes beyond is only counted.
const WAITING: usize = 1024;
/// Written to one record within [`PERIOD`]; the rest is told as a number.
const PER_PERIOD: u64 = 100;
const PERIOD: Duration = Duration::from_secs(60);
/// A flood is gathered, so that it costs a few commits a second and not one each.
const GATHER: Duration = Duration::from_millis(200);

/// An act that was refused.
#[derive(Debug, Clone)]
pub struct Refusal {
    /// Whose record it belongs to; the platform's where nobody is logged in.
    pub tenant: Option<Tenant>,
    /// A user's name.
    pub actor: String,
    /// Where from.
    pub address: Option<String>,
    /// What was tried.
    pub action: String,
    /// On what.
    pub object: String,
}

impl Refusal {
    /// A login that failed. What was typed is kept only if it can be a name: people type passwords there.
    pub fn of_login(typed: &str, address: Option<std::net::IpAddr>, action: &str) -> Refusal {
        Refusal {
            tenant: None,
            actor: UserName::parse(typed).map_or_else(|_| "?".to_owned(), |name| name.to_string()),
            address: address.map(|address| address.to_string()),
            action: action.to_owned(),
            object: String::new(),
        }
    }
}

/// Takes refusals from request handlers.
#[derive(Clone)]
pub struct Refusals {
    queue: Sender<Refusal>,
    lost: Arc<AtomicU64>,
}

/// What becomes of one record's refusals in the present period.
#[derive(Default)]
struct Budget {
    since: Timestamp,
    written: u64,
    over: u64,
}

/// Writes what [`Refusals`] took.
pub struct RefusalWriter {
    queue: Receiver<Refusal>,
    lost: Arc<AtomicU64>,
    budgets: HashMap<Option<Tenant>, Budget>,
}

impl Refusals {
    /// A sink, and the end that writes.
    pub fn new() -> (Refusals, RefusalWriter) {
        let (sender, queue) = channel(WAITING);
        let lost = Arc::<AtomicU64>::default();
        (Refusals { queue: sender, lost: lost.clone() }, RefusalWriter { queue, lost, budgets: HashMap::new() })
    }

    /// Notes a refusal.
    pub fn note(&self, refusal: Refusal) {
        if self.queue.try_send(refusal).is_err() {
            self.lost.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl RefusalWriter {
    /// Writes until `end`; what was noted before it is still written. `record` finds the record of a tenant.
    pub async fn run(mut self, end: CancellationToken, record: impl Fn(Option<&Tenant>) -> SpaceStore) {
        let mut batch = Vec::new();
        loop {
            let last = tokio::select! {
                count = self.queue.recv_many(&mut batch, WAITING) => count == 0,
                () = end.cancelled() => true,
                // So that the number of a flood is told also when nothing follows it.
                () = tokio::time::sleep(PERIOD) => false,
            };
            if !last {
                tokio::time::sleep(GATHER).await;
            }
            while let Ok(more) = self.queue.try_recv() {
                batch.push(more);
            }
            self.write(std::mem::take(&mut batch), last, &record).await;
            if last {
                return;
            }
        }
    }

    async fn write(&mut self, batch: Vec<Refusal>, last: bool, record: &impl Fn(Option<&Tenant>) -> SpaceStore) {
        let lost = self.lost.swap(0, Ordering::Relaxed);
        if lost > 0 {
            self.budgets.entry(None).or_default().over += lost;
        }
        let mut by_record = BTreeMap::<Option<Tenant>, Vec<Refusal>>::new();
        for refusal in batch {
            let budget = self.budgets.entry(refusal.tenant.clone()).or_default();
            if budget.written < PER_PERIOD {
                budget.written += 1;
                by_record.entry(refusal.tenant.clone()).or_default().push(refusal);
            } else {
                budget.over += 1;
            }
        }
        let now = Timestamp::now();
        for (tenant, budget) in &mut self.budgets {
            if budget.since == Timestamp::default() {
                budget.since = now;
            }
            let is_over = now.duration_since(budget.since).unsigned_abs() >= PERIOD;
            if (is_over || last) && budget.over > 0 {
                by_record.entry(tenant.clone()).or_default().push(Refusal {
                    tenant: tenant.clone(),
                    actor: "?".to_owned(),
                    address: None,
                    action: "refusals.more".to_owned(),
                    object: budget.over.to_string(),
                });
            }
            if is_over {
                *budget = Budget { since: now, ..Budget::default() };
            }
        }
        self.budgets.retain(|_, budget| budget.written > 0 || budget.over > 0);
        for (tenant, refusals) in by_record {
            let written = record(tenant.as_ref())
                .write(move |rows| {
                    for refusal in &refusals {
                        let Refusal { actor, address, action, object, .. } = refusal.clone();
                        record_refusal(rows, &actor, address, &action, object)?;
                    }
                    Ok(())
                })
                .await;
            match written {
                // A tenant that was removed meanwhile has no record any more.
                Ok(()) | Err(Error::NotFound) => {}
                Err(cause) => tracing::error!(%cause, "refusals could not be recorded"),
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::audit::{Filter, count, page, verify};
    use crate::clock::Clock;
    use crate::store::Store;

    fn refusal(number: usize) -> Refusal {
        Refusal::of_login("al", None, &format!("session.begin-{number}"))
    }

    #[tokio::test]
    async fn a_flood_fills_no_record_and_its_size_is_told() {
        let home = tempfile::tempdir().unwrap();
        let store = Store::open_redb(home.path().to_owned(), Clock::system()).unwrap();
        #[allow(clippy::disallowed_methods, reason = "a test of the record itself")]
        let platform = store.platform();
        let (refusals, writer) = Refusals::new();
        for number in 0..5000 {
            refusals.note(refusal(number));
        }
        let end = CancellationToken::new();
        end.cancel();
        let record = platform.clone();
        writer.run(end, move |_| record.clone()).await;
        let (newest, written, broken) = platform
            .read(|rows| {
                let open = Filter::default();
                Ok((page(rows, None, 1, &open)?.0, count(rows, &open)?, verify(rows)?))
            })
            .await
            .unwrap();
        assert_eq!((written, broken), (PER_PERIOD + 1, None));
        assert_eq!((newest[0].action.as_str(), newest[0].object.as_str()), ("refusals.more", "4900"));
    }

    #[test]
    fn what_cannot_be_a_name_is_not_kept() {
        assert_eq!(Refusal::of_login("al", None, "x").actor, "al");
        assert_eq!(Refusal::of_login("My pass phrase!", None, "x").actor, "?");
    }
}
