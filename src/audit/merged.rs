//! Several records read as one, newest first: the platform's and those of tenants.

use std::cmp::Reverse;
use std::ops::ControlFlow;

use jiff::Timestamp;

use super::{Entry, Filter, newest_first};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::store::SpaceStore;

/// One record among several.
pub struct Source {
    /// Whose; `None` is the platform's.
    pub tenant: Option<Tenant>,
    /// Where it lies.
    pub rows: SpaceStore,
    /// No entry of it is newer.
    pub changed_at: Timestamp,
}

/// An entry with the record it stands in.
#[derive(Debug, Clone, PartialEq)]
pub struct Told {
    /// Whose record; `None` is the platform's.
    pub tenant: Option<Tenant>,
    /// The entry.
    pub entry: Entry,
}

/// A place in the merged order: time, then whose record, then number, each from the largest on.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Place {
    at: Timestamp,
    tenant: String,
    number: u64,
}

impl Place {
    fn of(tenant: Option<&Tenant>, entry: &Entry) -> Place {
        Place { at: entry.at, tenant: tenant.map(Tenant::as_str).unwrap_or_default().to_owned(), number: entry.number }
    }

    /// As it stands in an address.
    pub fn encode(&self) -> String {
        format!("{}~{}~{}", self.at.as_nanosecond(), self.tenant, self.number)
    }

    /// Reads [`Place::encode`].
    pub fn decode(text: &str) -> Option<Place> {
        let mut parts = text.split('~');
        let at = Timestamp::from_nanosecond(parts.next()?.parse().ok()?).ok()?;
        let tenant = parts.next()?.to_owned();
        let number = parts.next()?.parse().ok()?;
        parts.next().is_none().then_some(Place { at, tenant, number })
    }
}

/// A page of several records, newest first, and where the next begins. Records are opened from the one changed last on,
/// and only while one of them could still hold something newer than what was found.
pub async fn merged(
    mut sources: Vec<Source>,
    after: Option<Place>,
    limit: usize,
    filter: &Filter,
) -> Result<(Vec<Told>, Option<Place>)> {
    sources.sort_by_key(|source| Reverse(source.changed_at));
    let mut found: Vec<(Place, Told)> = Vec::new();
    for source in sources {
        let enough = found.len() > limit && found[limit].0.at > source.changed_at;
        if enough {
            break;
        }
        let (filter, after, tenant) = (filter.clone(), after.clone(), source.tenant);
        let read = source.rows.read(move |rows| {
            let mut own = Vec::new();
            newest_first(rows, None, &filter, |entry| {
                let place = Place::of(tenant.as_ref(), &entry);
                if after.as_ref().is_none_or(|after| place < *after) {
                    own.push((place, Told { tenant: tenant.clone(), entry }));
                }
                // One more than a page, to know whether there is a next one.
                if own.len() > limit { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
            })?;
            Ok(own)
        });
        match read.await {
            Ok(own) => found.extend(own),
            // Removed meanwhile.
            Err(Error::NotFound) => {}
            Err(cause) => return Err(cause),
        }
        found.sort_by(|one, other| other.0.cmp(&one.0));
        found.truncate(limit + 1);
    }
    let more = found.len() > limit;
    found.truncate(limit);
    let next = found.last().filter(|_| more).map(|(place, _)| place.clone());
    Ok((found.into_iter().map(|(_, told)| told).collect(), next))
}
