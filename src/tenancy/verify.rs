//! Whether everything on the box is what it says: every library, the platform's record, and what lies beside them.

use super::Tenancy;
use crate::audit;
use crate::auth::{OperatorScope, Tenant};
use crate::error::{Error, Result};
use crate::keys;
use crate::library::Library;
use crate::library::verify::{Fault, Finding};
use crate::store::blocking;

/// One thing that is wrong, and whose it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// `None` is the platform's.
    pub tenant: Option<Tenant>,
    /// What.
    pub finding: Finding,
}

fn unreadable(object: &str, cause: &Error) -> Finding {
    Finding { fault: Fault::Unreadable, object: object.to_owned(), detail: format!("{cause:#}") }
}

impl Tenancy {
    /// Holds every library against its bytes, every record against its chain, and the folders against the tenants, and
    /// opens every secret; `deep` reads every byte. Goes on over what is broken.
    pub async fn verify(&self, operator: &OperatorScope, deep: bool) -> Result<Vec<Found>> {
        let mut found = Vec::new();
        for tenant in self.all().await? {
            let library = Library::open(&self.foundation, &operator.look_at(&tenant));
            let whole = async {
                let mut findings = library.verify(deep).await?;
                findings.extend(keys::check(&library).await?);
                Ok(findings)
            };
            let findings = match whole.await {
                Ok(findings) => findings,
                // Removed meanwhile.
                Err(Error::NotFound) if self.state(&tenant).await?.is_none() => Vec::new(),
                Err(cause) => vec![unreadable("library.redb", &cause)],
            };
            found.extend(findings.into_iter().map(|finding| Found { tenant: Some(tenant.clone()), finding }));
        }
        let broken = match self.platform().read(audit::verify).await {
            Ok(None) => None,
            Ok(Some(number)) => Some(Finding {
                fault: Fault::Audit,
                object: number.to_string(),
                detail: "does not fit the entries before it".to_owned(),
            }),
            Err(cause) => Some(unreadable("platform.redb", &cause)),
        };
        // Looked at before the names are read: who is made meanwhile has a name by then.
        let objects = self.foundation.objects().clone();
        let folders = blocking(move || objects.folders()).await?;
        let known: Vec<Tenant> = self.states().await?.into_iter().map(|(tenant, _)| tenant).collect();
        let strange = folders.into_iter().filter(|(name, _)| known.iter().all(|tenant| tenant.as_str() != name));
        let strange = strange.map(|(_, path)| Finding {
            fault: Fault::Unknown,
            object: path.display().to_string(),
            detail: "belongs to nobody".to_owned(),
        });
        found.extend(broken.into_iter().chain(strange).map(|finding| Found { tenant: None, finding }));
        Ok(found)
    }
}
