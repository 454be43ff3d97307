//! What the planner works on: one future for each tenant, which no other tenant waits for.
//!
//! A tenant is worked on by one future at a time, and only these change its places in the due index. So what is found
//! here is never older than what stands there.

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::time::{Duration, Instant};

use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use futures_util::{FutureExt as _, StreamExt as _};
use uuid::Uuid;

use super::agenda::{Due, Found};
use super::planner::Planner;
use crate::auth::Tenant;

/// Tenants worked on at once.
const AT_ONCE: usize = 16;
/// Those worked on for longer than this are waiting for something, and are not counted.
const SLOW: Duration = Duration::from_secs(1);

enum Done {
    /// A tenant's schedules were dealt with.
    Tenant(Tenant, Vec<Found>),
    /// What was found of these stands in the index.
    Set(Vec<Tenant>),
}

/// The work under way.
pub(super) struct Rounds {
    planner: Planner,
    under_way: FuturesUnordered<BoxFuture<'static, Done>>,
    busy: HashMap<Tenant, Instant>,
    /// What was found and does not stand in the index yet, and whose work that ends.
    found: Vec<Found>,
    through: Vec<Tenant>,
    is_setting: bool,
}

impl Rounds {
    pub(super) fn new(planner: Planner) -> Rounds {
        Rounds {
            planner,
            under_way: FuturesUnordered::new(),
            busy: HashMap::new(),
            found: Vec::new(),
            through: Vec::new(),
            is_setting: false,
        }
    }

    /// Whether a tenant is worked on.
    pub(super) fn is_busy(&self, tenant: &Tenant) -> bool {
        self.busy.contains_key(tenant)
    }

    /// Begins what is due and what changed, as far as there are hands for it; what is due first comes first.
    pub(super) fn begin(&mut self) {
        let begun = Instant::now();
        let fresh = self.busy.values().filter(|since| begun.duration_since(**since) < SLOW).count();
        let mut hands = AT_ONCE.saturating_sub(fresh);
        if hands == 0 {
            return;
        }
        let (due, lead) = self.planner.due();
        let (mut order, mut by_tenant): (Vec<Tenant>, BTreeMap<Tenant, Vec<Due>>) = Default::default();
        for due in due {
            if !self.is_busy(&due.tenant) {
                let whose = by_tenant.entry(due.tenant.clone()).or_insert_with(|| {
                    order.push(due.tenant.clone());
                    Vec::new()
                });
                whose.push(due);
            }
        }
        let mut changed = self.planner.changed().lock();
        order
            .extend(changed.keys().filter(|tenant| !by_tenant.contains_key(*tenant) && !self.is_busy(tenant)).cloned());
        for tenant in order {
            if hands == 0 {
                return;
            }
            hands -= 1;
            let due = by_tenant.remove(&tenant).unwrap_or_default();
            let ids = changed.remove(&tenant).unwrap_or_default();
            self.busy.insert(tenant.clone(), begun);
            let planner = self.planner.clone();
            self.under_way.push(deal_with(planner, tenant, due, ids, lead).boxed());
        }
    }

    /// Waits until something under way is through, and takes in everything that is; false where nothing is under way.
    pub(super) async fn step(&mut self) -> bool {
        let Some(done) = self.under_way.next().await else { return false };
        self.take_in(done);
        while let Some(Some(done)) = self.under_way.next().now_or_never() {
            self.take_in(done);
        }
        if !self.is_setting && !self.through.is_empty() {
            let (found, through) = (std::mem::take(&mut self.found), std::mem::take(&mut self.through));
            let planner = self.planner.clone();
            self.is_setting = true;
            let set = async move {
                planner.set(found).await;
                Done::Set(through)
            };
            self.under_way.push(set.boxed());
        }
        true
    }

    fn take_in(&mut self, done: Done) {
        match done {
            Done::Tenant(tenant, found) => {
                self.found.extend(found);
                self.through.push(tenant);
            }
            Done::Set(tenants) => {
                self.is_setting = false;
                for tenant in tenants {
                    self.busy.remove(&tenant);
                }
            }
        }
    }
}

/// Puts on air what is due, and looks where what changed belongs.
async fn deal_with(planner: Planner, tenant: Tenant, due: Vec<Due>, mut ids: BTreeSet<Uuid>, lead: Duration) -> Done {
    let mut found = if due.is_empty() { Vec::new() } else { planner.fire_tenant(&tenant, due, lead).await };
    for found in &found {
        ids.remove(&found.schedule_id);
    }
    if !ids.is_empty() {
        match planner.look(&tenant, ids.into_iter().collect()).await {
            Ok(looked) => found.extend(looked),
            Err(cause) => tracing::error!(%tenant, %cause, "schedules could not be read"),
        }
    }
    Done::Tenant(tenant, found)
}
