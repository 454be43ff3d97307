//! Notices: what people are told outside the pages, by Telegram or by a webhook of their own.
//!
//! A notice is a row of the tenant's library, written in the batch of the change that causes it, or by the [`watch`]er
//! in one batch with the mark that says it was told; so a crash neither loses nor doubles it. The [`worker`] brings
//! each to its [`Destination`] at least once. What is told, and how it reads, is [`words`].

mod desk;
mod digest;
mod http;
mod outbox;
mod rows;
mod telegram;
mod trial;
mod watch;
mod ways;
mod webhook;
mod words;
mod worker;

use std::num::NonZeroU32;
use std::sync::Arc;
use std::time::Duration;

pub use desk::{Change, Desk, DeskEditor, Made, NewDestination, NewWay, View};
pub(crate) use outbox::{broadcast_in_trouble, connection_lost, run_ended, run_missed};
pub use rows::{Delivery, Destination, Fault, Kind, Via, Way};

use crate::auth::{Accounts, SystemLicence, Tenant, Throttle};
use crate::foundation::Foundation;
use crate::library::Editor;
use crate::outbound::Outbound;
use crate::schedule::agenda::Agenda;
use crate::store::SpaceStore;

/// Tries of the test button that are free for a user; then one every [`TEST_PERIOD`].
const FREE_TESTS: u32 = 10;
const TEST_PERIOD: Duration = Duration::from_secs(10);

struct Shared {
    foundation: Foundation,
    licence: Arc<SystemLicence>,
    accounts: Accounts,
    agenda: Agenda,
    http: http::Http,
    tests: Throttle,
}

/// Tells people. Cheap to clone.
#[derive(Clone)]
pub struct Notices {
    shared: Arc<Shared>,
}

impl Notices {
    /// Notices of one home; nothing is watched and nothing sent until [`Notices::watch`] and [`Notices::deliver`].
    pub fn new(
        foundation: &Foundation,
        licence: Arc<SystemLicence>,
        accounts: &Accounts,
        agenda: &Agenda,
        outbound: Outbound,
    ) -> Notices {
        let tests = Throttle::new(NonZeroU32::new(FREE_TESTS).unwrap_or(NonZeroU32::MIN), TEST_PERIOD);
        let http = http::Http::new(outbound, foundation.config().notices.allow_private_targets);
        let (foundation, accounts, agenda) = (foundation.clone(), accounts.clone(), agenda.clone());
        Notices { shared: Arc::new(Shared { foundation, licence, accounts, agenda, http, tests }) }
    }

    /// Forgets whose tests are free again.
    pub fn sweep(&self) {
        self.shared.tests.sweep();
    }

    fn editor(&self, tenant: &Tenant) -> Editor {
        Editor::open(&self.shared.foundation, &self.shared.licence.scope(tenant, "notices"))
    }

    fn platform(&self) -> SpaceStore {
        #[allow(clippy::disallowed_methods, reason = "which tenants want notices is over all of them")]
        self.shared.foundation.store().platform()
    }
}
