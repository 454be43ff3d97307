//! Accounts elsewhere that people let this program use: how they are connected, kept usable and given back.
//!
//! A [`Connection`] is a row; its tokens lie sealed in a file of their own ([`sealed`]). Whatever writes that file holds
//! the connection's turn, and goes on when whoever asked has gone: a refresh token that a provider gave for another one
//! is written down before anything else happens, or the one before it is shown again.

mod account;
mod client;
mod connect;
mod connection;
mod exchange;
mod keeper;
mod leave;
mod moved_in;
mod provider;
mod refresh;
pub(crate) mod sealed;
mod secrets;
mod token;

use std::sync::Arc;

use tokio::sync::oneshot;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

pub use client::{NewClient, OwnClient, Usable, Whose};
pub use connect::{Asked, Returned};
pub use connection::{Connection, Service, State};
pub(crate) use leave::By;
pub use leave::Left;
pub use provider::{Ends, Provider};
pub use token::{AccessToken, TokenFault, project_of};

use crate::auth::{SystemLicence, Tenant};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::Editor;
use crate::outbound::Outbound;
use crate::supervise::Tasks;
use exchange::Exchange;

struct Shared {
    foundation: Foundation,
    licence: Arc<SystemLicence>,
    tasks: Tasks,
    outbound: Outbound,
    /// Tokens that a provider gave and the disk did not take.
    unwritten: parking_lot::Mutex<std::collections::HashMap<Uuid, secrets::Secrets>>,
}

/// Connects accounts, keeps them usable and gives them back. Cheap to clone.
#[derive(Clone)]
pub struct Grants {
    shared: Arc<Shared>,
}

impl Grants {
    /// Grants of one home; nothing is renewed by itself until [`Grants::keep`].
    pub fn new(foundation: &Foundation, licence: Arc<SystemLicence>, tasks: &Tasks, outbound: Outbound) -> Grants {
        let (foundation, tasks) = (foundation.clone(), tasks.clone());
        Grants { shared: Arc::new(Shared { foundation, licence, tasks, outbound, unwritten: Default::default() }) }
    }

    /// Makes requests to providers' addresses.
    pub fn outbound(&self) -> &Outbound {
        &self.shared.outbound
    }

    /// The library of a tenant, for what is done by itself.
    fn editor(&self, tenant: &Tenant) -> Editor {
        Editor::open(&self.shared.foundation, &self.shared.licence.scope(tenant, "connections"))
    }

    fn exchange(&self, provider: Provider) -> Result<Exchange> {
        let config = self.shared.foundation.config();
        // What needs no way back does without.
        let redirect = provider.redirect(config).ok();
        Ok(Exchange { outbound: self.shared.outbound.clone(), provider, ends: provider.ends(config)?, redirect })
    }

    /// Ends with the server: nothing more is given back then, as what hangs on a grant is not ended any more.
    pub(crate) fn ending(&self) -> CancellationToken {
        self.shared.tasks.ending()
    }

    /// Does something to its end, whoever waits for it: a browser that goes away half-way loses no token.
    pub(crate) async fn to_the_end<T: Send + 'static>(
        &self,
        name: &'static str,
        work: impl Future<Output = T> + Send + 'static,
    ) -> Result<T> {
        let (answer, wait) = oneshot::channel();
        self.shared.tasks.spawn(name, move |_| async move {
            // Nobody may be waiting any more.
            let _ = answer.send(work.await);
        });
        wait.await.map_err(|_| Error::Internal(anyhow::anyhow!("the server ends")))
    }
}
