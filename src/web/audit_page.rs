//! The record as a page: one's own in the settings, any of them for operators.

use std::collections::HashMap;

use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use super::{Page, Server, words};
use crate::audit::{Filter, Outcome};
use crate::auth::Identity;
use crate::error::Result;
use crate::tenancy::AuditPage;

/// Entries a page.
pub(super) const ROWS: usize = 50;

/// Which part of the record.
#[derive(Deserialize, Default)]
pub(super) struct AuditQuery {
    #[serde(default)]
    pub q: String,
    pub outcome: Option<String>,
    pub cursor: Option<String>,
    /// For operators.
    pub tenant: Option<String>,
}

impl AuditQuery {
    /// What is looked for.
    pub fn filter(&self) -> Filter {
        let outcome = match self.outcome.as_deref() {
            Some("done") => Some(Outcome::Done),
            Some("refused") => Some(Outcome::Refused),
            _ => None,
        };
        Filter { search: self.q.trim().chars().take(200).collect(), outcome }
    }

    /// Where the page begins.
    pub fn cursor(&self) -> Option<&str> {
        self.cursor.as_deref().filter(|cursor| !cursor.is_empty())
    }
}

/// A page of one's own record.
pub(super) async fn own(server: &Server, me: &Identity, query: &AuditQuery) -> Result<AuditPage> {
    let mut page = server.tenancy.own_audit(me.scope(), query.cursor(), ROWS, query.filter()).await?;
    hide_addresses(me, &mut page);
    Ok(page)
}

/// Strangers share the demo account: none learns of another's address.
pub(super) fn hide_addresses(me: &Identity, page: &mut AuditPage) {
    if me.write_scope().is_err() {
        page.items.iter_mut().for_each(|told| told.entry.address = None);
    }
}

/// An object as it was recorded, `<id> <title>` for most, as its title and its id: people know things by their titles.
fn titled(object: &str) -> (&str, Option<&str>) {
    match object.split_once(' ') {
        Some((id, title)) if Uuid::parse_str(id).is_ok() && !title.is_empty() => (title, Some(id)),
        _ => (object, None),
    }
}

/// An act in words. What was refused at the door is known by its route, which has none.
fn act(page: &Page, action: &str) -> String {
    let id = format!("act-{}", action.replace('.', "-"));
    let told = page.locale().text(&id, &HashMap::new());
    if told == id { action.to_owned() } else { told }
}

/// What the template shows.
pub(super) fn context(page: &Page, scope: &str, address: &str, query: &AuditQuery, found: AuditPage) -> Value {
    let outcome = query.outcome.as_deref().filter(|outcome| matches!(*outcome, "done" | "refused")).unwrap_or("all");
    let tenant = query.tenant.as_deref().unwrap_or_default();
    let next = found.next.map(|cursor| {
        let pairs = [("q", query.q.as_str()), ("outcome", outcome), ("tenant", tenant), ("cursor", &cursor)];
        let given = pairs.into_iter().filter(|(_, value)| !value.is_empty());
        format!("{address}?{}", url::form_urlencoded::Serializer::new(String::new()).extend_pairs(given).finish())
    });
    let items: Vec<Value> = found
        .items
        .into_iter()
        .map(|told| {
            let (object, id) = titled(&told.entry.object);
            json!({
                "at": page.moment(told.entry.at),
                "actor": words::actor(page, &told.entry.actor),
                "tenant": told.tenant,
                "words": act(page, &told.entry.action),
                "action": told.entry.action,
                "object": object,
                "id": id,
                "outcome": told.entry.outcome,
                "address": told.entry.address,
            })
        })
        .collect();
    json!({
        "scope": scope,
        "list": {
            "q": query.q,
            "outcome": outcome,
            "tenant": tenant,
            "total": found.total,
            "prev": null,
            "next": next,
            "items": items,
        },
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_with_a_title_is_told_by_it() {
        let id = Uuid::now_v7().to_string();
        assert_eq!(titled(&format!("{id} Lo-fi beats")), ("Lo-fi beats", Some(id.as_str())));
        assert_eq!(titled(&id), (id.as_str(), None));
        assert_eq!(titled("al: user to admin"), ("al: user to admin", None));
    }
}
