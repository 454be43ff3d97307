//! What is due when, over all tenants: `due/<instant>/<tenant>/<schedule>` in the platform's space, and all of it in
//! memory. A projection: written after the tenant's commit, safe to lose, checked against the libraries after a start.

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::auth::{OperatorScope, Tenant};
use crate::error::Result;
use crate::store::SpaceStore;

const DUE: &str = "due/";

/// The next occurrence of a schedule.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Due {
    /// When.
    pub at: Timestamp,
    /// Whose.
    pub tenant: Tenant,
    /// Which schedule.
    pub schedule_id: Uuid,
}

/// What is kept beside a due key.
#[derive(Serialize, Deserialize)]
struct Beside {
    title: String,
}

impl Due {
    /// Sorts by time: instants before 1970 do not come up.
    fn key(&self) -> String {
        format!("{DUE}{:016x}/{}/{}", self.at.as_millisecond().max(0), self.tenant, self.schedule_id)
    }

    fn parse(key: &str) -> Option<Due> {
        let mut parts = key.strip_prefix(DUE)?.split('/');
        let at = Timestamp::from_millisecond(i64::from_str_radix(parts.next()?, 16).ok()?).ok()?;
        let tenant = Tenant::parse(parts.next()?).ok()?;
        Some(Due { at, tenant, schedule_id: Uuid::parse_str(parts.next()?).ok()? })
    }
}

/// One schedule's place, as the planner finds it: none where nothing is to come.
#[derive(Debug, Clone)]
pub(super) struct Found {
    pub(super) tenant: Tenant,
    pub(super) schedule_id: Uuid,
    pub(super) next: Option<Timestamp>,
    /// What its stream is called.
    pub(super) title: String,
}

#[derive(Default)]
struct Known {
    order: BTreeSet<Due>,
    of: HashMap<(Tenant, Uuid), (Timestamp, String)>,
}

impl Known {
    fn put(&mut self, due: Due, title: String) {
        self.remove(&due.tenant, due.schedule_id);
        self.of.insert((due.tenant.clone(), due.schedule_id), (due.at, title));
        self.order.insert(due);
    }

    fn remove(&mut self, tenant: &Tenant, schedule_id: Uuid) -> Option<Due> {
        let (at, _) = self.of.remove(&(tenant.clone(), schedule_id))?;
        let due = Due { at, tenant: tenant.clone(), schedule_id };
        self.order.remove(&due);
        Some(due)
    }
}

/// The due index. Cheap to clone.
#[derive(Clone)]
pub struct Agenda {
    platform: SpaceStore,
    known: Arc<Mutex<Known>>,
}

impl Agenda {
    /// An empty agenda over the platform's rows.
    pub(super) fn new(platform: SpaceStore) -> Agenda {
        Agenda { platform, known: Arc::default() }
    }

    /// Reads what earlier starts wrote down.
    pub(super) async fn load(&self) -> Result<()> {
        let read = self
            .platform
            .read(|rows| {
                let mut read = Vec::new();
                rows.values::<Beside>(DUE, |key, beside| {
                    read.extend(Due::parse(key).map(|due| (due, beside.title)));
                    std::ops::ControlFlow::Continue(())
                })?;
                Ok(read)
            })
            .await?;
        let mut known = self.known.lock();
        for (due, title) in read {
            known.put(due, title);
        }
        Ok(())
    }

    /// Everything due until `until`, in order.
    pub(crate) fn due(&self, until: Timestamp) -> Vec<Due> {
        self.known.lock().order.iter().take_while(|due| due.at <= until).cloned().collect()
    }

    /// How many are due until `until`.
    pub(super) fn due_count(&self, until: Timestamp) -> usize {
        self.known.lock().order.iter().take_while(|due| due.at <= until).count()
    }

    /// When the next of those is due that are asked for.
    pub(super) fn first(&self, is_asked: impl Fn(&Due) -> bool) -> Option<Timestamp> {
        self.known.lock().order.iter().find(|due| is_asked(due)).map(|due| due.at)
    }

    /// Sets what was found, in memory at once and then on disk.
    pub(super) async fn set(&self, found: Vec<Found>) -> Result<()> {
        let (mut puts, mut deletes) = (Vec::new(), Vec::new());
        {
            let mut known = self.known.lock();
            for found in found {
                let key = (found.tenant.clone(), found.schedule_id);
                let before = known.of.get(&key);
                if before.map(|(at, title)| (*at, title.as_str())) == found.next.map(|at| (at, found.title.as_str())) {
                    continue;
                }
                deletes.extend(known.remove(&found.tenant, found.schedule_id).map(|due| due.key()));
                if let Some(at) = found.next {
                    let due = Due { at, tenant: found.tenant, schedule_id: found.schedule_id };
                    puts.push((due.key(), Beside { title: found.title.clone() }));
                    known.put(due, found.title);
                }
            }
        }
        if puts.is_empty() && deletes.is_empty() {
            return Ok(());
        }
        self.platform
            .write(move |rows| {
                for key in &deletes {
                    rows.delete_value(key);
                }
                for (key, beside) in &puts {
                    rows.put_value(key, beside)?;
                }
                Ok(())
            })
            .await
    }

    /// The tenant's schedules that have a place here.
    pub(super) fn of_tenant(&self, tenant: &Tenant) -> Vec<Uuid> {
        let known = self.known.lock();
        known.of.keys().filter(|(whose, _)| whose == tenant).map(|(_, schedule)| *schedule).collect()
    }

    /// What is due next over all tenants, with what it is called.
    pub fn coming(&self, _proof: &OperatorScope, count: usize) -> Vec<(Due, String)> {
        let known = self.known.lock();
        let title = |due: &Due| {
            let found = known.of.get(&(due.tenant.clone(), due.schedule_id));
            found.map(|(_, title)| title.clone()).unwrap_or_default()
        };
        known.order.iter().take(count).map(|due| (due.clone(), title(due))).collect()
    }
}
