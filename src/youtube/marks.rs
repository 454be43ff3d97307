//! Marks of tenants that have something to be seen to: the first to be looked at after a start. One is set before the
//! rows it stands for are written, so that a crash leaves a mark too many and never one too few.

use std::ops::ControlFlow;

use crate::auth::Tenant;
use crate::error::Result;
use crate::foundation::Foundation;
use crate::store::SpaceStore;
use crate::store::rows::{Reader, Writer};

/// Marks of one kind. Cheap to clone.
#[derive(Clone)]
pub(super) struct Marks {
    platform: SpaceStore,
    prefix: &'static str,
}

impl Marks {
    pub fn new(foundation: &Foundation, prefix: &'static str) -> Marks {
        #[allow(clippy::disallowed_methods, reason = "marks are over all tenants")]
        let platform = foundation.store().platform();
        Marks { platform, prefix }
    }

    /// Everyone who is marked.
    pub async fn all(&self) -> Result<Vec<Tenant>> {
        let prefix = self.prefix;
        let read = move |rows: &Reader<'_>| {
            let mut marked = Vec::new();
            rows.values::<bool>(prefix, |key, _| {
                marked.extend(key.strip_prefix(prefix).and_then(|name| Tenant::parse(name).ok()));
                ControlFlow::Continue(())
            })?;
            Ok(marked)
        };
        self.platform.read(read).await
    }

    /// Sets a mark, or takes it away.
    pub async fn set(&self, tenant: &Tenant, wanted: bool) -> Result<()> {
        let key = format!("{}{tenant}", self.prefix);
        let there = {
            let key = key.clone();
            self.platform.read(move |rows| Ok(rows.value::<bool>(&key)?.is_some())).await?
        };
        if there == wanted {
            return Ok(());
        }
        let write = move |rows: &mut Writer<'_>| {
            if wanted {
                return rows.put_value(&key, &true);
            }
            rows.delete_value(&key);
            Ok(())
        };
        self.platform.write(write).await
    }
}
