//! The audit as people read it: one's own record, or for operators any of them, and all as one.

use super::Tenancy;
use crate::audit::{self, Filter, Format, Place, Source, Told};
use crate::auth::{OperatorScope, Scope, Tenant};
use crate::error::{Error, Result};
use crate::store::SpaceStore;
use crate::text::Message;

/// Whose record an operator reads.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Whose {
    /// The platform's and every tenant's, as one.
    All,
    /// What concerns no tenant: users, logins, strangers.
    Platform,
    /// One tenant's.
    Tenant(Tenant),
}

impl Whose {
    /// Reads a tenant's name, `platform`, or nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] for what can be nobody's name.
    pub fn parse(text: Option<&str>) -> Result<Whose> {
        match text.map(str::trim).filter(|text| !text.is_empty()) {
            None => Ok(Whose::All),
            // A name that no tenant can have.
            Some("platform") => Ok(Whose::Platform),
            Some(name) => Tenant::parse(name).map(Whose::Tenant).map_err(|_| Error::NotFound),
        }
    }
}

/// A page of the audit, newest first.
#[derive(Debug, Clone, PartialEq)]
pub struct AuditPage {
    /// The entries.
    pub items: Vec<Told>,
    /// Where the next page begins.
    pub next: Option<String>,
    /// How many pass; `None` where counting would open every library.
    pub total: Option<u64>,
}

fn bad_cursor() -> Error {
    Error::Malformed(Message::new("error-query").with("cause", "cursor: use `next` of the page before"))
}

async fn page(
    rows: SpaceStore,
    tenant: Option<Tenant>,
    cursor: Option<&str>,
    limit: usize,
    filter: Filter,
) -> Result<AuditPage> {
    let after = cursor.map(|cursor| cursor.parse::<u64>().map_err(|_| bad_cursor())).transpose()?;
    rows.read(move |rows| {
        let (entries, more) = audit::page(rows, after, limit, &filter)?;
        let next = entries.last().filter(|_| more).map(|entry| entry.number.to_string());
        let items = entries.into_iter().map(|entry| Told { tenant: tenant.clone(), entry }).collect();
        Ok(AuditPage { items, next, total: Some(audit::count(rows, &filter)?) })
    })
    .await
}

impl Tenancy {
    /// A page of the record of a scope's own tenant.
    pub async fn own_audit(
        &self,
        scope: &Scope,
        cursor: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<AuditPage> {
        page(self.foundation.rows(scope), Some(scope.tenant().clone()), cursor, limit, filter).await
    }

    /// The record of a scope's own tenant as a file.
    pub async fn export_own_audit(&self, scope: &Scope, format: Format) -> Result<Vec<u8>> {
        self.foundation.rows(scope).read(move |rows| audit::export(rows, format)).await
    }

    fn record(&self, operator: &OperatorScope, tenant: Option<&Tenant>) -> SpaceStore {
        match tenant {
            Some(tenant) => self.foundation.rows(&operator.look_at(tenant)),
            None => self.platform(),
        }
    }

    /// A page of the record that an operator chose.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such tenant.
    pub async fn audit(
        &self,
        operator: &OperatorScope,
        whose: &Whose,
        cursor: Option<&str>,
        limit: usize,
        filter: Filter,
    ) -> Result<AuditPage> {
        match whose {
            Whose::Platform => page(self.platform(), None, cursor, limit, filter).await,
            Whose::Tenant(tenant) => {
                page(self.record(operator, Some(tenant)), Some(tenant.clone()), cursor, limit, filter).await
            }
            Whose::All => {
                let after = cursor.map(|cursor| Place::decode(cursor).ok_or_else(bad_cursor)).transpose()?;
                let sources = self.sources(operator).await?;
                let (items, next) = audit::merged(sources, after, limit, &filter).await?;
                Ok(AuditPage { items, next: next.as_ref().map(Place::encode), total: None })
            }
        }
    }

    async fn sources(&self, operator: &OperatorScope) -> Result<Vec<Source>> {
        let tenants = self.all().await?.into_iter().map(Some);
        let mut sources = Vec::new();
        for tenant in tenants.chain([None]) {
            let rows = self.record(operator, tenant.as_ref());
            match rows.changed_at().await {
                Ok(changed_at) => sources.push(Source { tenant, rows, changed_at }),
                // Removed meanwhile.
                Err(Error::NotFound) => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(sources)
    }

    /// A tenant's record, or the platform's, as a file.
    ///
    /// # Errors
    /// [`Error::Invalid`] for all records at once: their chains are apart.
    pub async fn export_audit(&self, operator: &OperatorScope, whose: &Whose, format: Format) -> Result<Vec<u8>> {
        let rows = match whose {
            Whose::All => return Err(Error::field("tenant", Message::new("audit-export-one"))),
            Whose::Platform => self.record(operator, None),
            Whose::Tenant(tenant) => self.record(operator, Some(tenant)),
        };
        rows.read(move |rows| audit::export(rows, format)).await
    }
}
