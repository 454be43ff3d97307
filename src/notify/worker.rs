//! Brings what waits to where it is wanted, at least once each, in order for each destination.
//!
//! A destination is claimed for a short while before anything is sent, and each notice is taken out in the batch that
//! notes how it went; whoever is killed in between leaves a claim that runs out. A destination that fails holds up
//! nobody but itself.

use std::collections::{BTreeSet, HashMap, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Notices;
use super::desk::remove;
use super::outbox::{clear, close_missed, waiting};
use super::rows::{Delivery, Destination, Fault, MARKS, NOTICES, Notice, Way};
use super::ways::{Letter, Sent, Then, wait};
use super::words::Reader as Reading;
use crate::auth::{Role, Tenant, User};
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::store::rows::{Reader, Row, Writer};
use crate::store::{Change, Space};

/// A claim lasts so long, and is renewed with every notice: more than a request, and a second one to a
/// chat that has moved, can take.
const LEASE: Duration = Duration::from_secs(30);
/// Destinations that are told at once, and of them of one tenant.
const AT_ONCE: usize = 16;
const AT_ONCE_OF_TENANT: usize = 4;
/// Notices for one claim.
const AT_A_TIME: usize = 20;
/// After trouble with the store.
const TROUBLE: Duration = Duration::from_secs(5);
/// What is under way when the server ends has so long.
const LAST: Duration = Duration::from_secs(3);

type Place = (Tenant, Uuid);

/// What waits, by destination, and when it may be tried.
#[derive(Default)]
struct Queue {
    due: HashMap<Place, Timestamp>,
    busy: HashSet<Place>,
    look_at: BTreeSet<Tenant>,
}

impl Queue {
    /// Whoever is due now and has a place.
    fn take(&mut self, now: Timestamp) -> Vec<Place> {
        let mut due: Vec<(Timestamp, Place)> = self.due.iter().map(|(place, at)| (*at, place.clone())).collect();
        due.retain(|(at, place)| *at <= now && !self.busy.contains(place));
        due.sort();
        let mut taken = Vec::new();
        for (_, place) in due {
            let of_tenant = self.busy.iter().filter(|(tenant, _)| *tenant == place.0).count();
            if self.busy.len() >= AT_ONCE {
                break;
            }
            if of_tenant < AT_ONCE_OF_TENANT {
                self.due.remove(&place);
                self.busy.insert(place.clone());
                taken.push(place);
            }
        }
        taken
    }

    /// How long there is nothing to do.
    fn rest(&self, now: Timestamp) -> Duration {
        let free = self.due.iter().filter(|(place, _)| !self.busy.contains(*place));
        let next = free.map(|(_, at)| Duration::try_from(at.duration_since(now)).unwrap_or(Duration::ZERO)).min();
        // Whoever has no place waits for one.
        next.unwrap_or(Duration::from_secs(3600)).max(Duration::from_millis(20))
    }
}

impl Notices {
    /// Delivers until the end.
    pub async fn deliver(self, end: CancellationToken) {
        let mut changes = self.shared.foundation.store().watch();
        let mut queue = Queue { look_at: self.marked().await, ..Queue::default() };
        let mut under_way: FuturesUnordered<BoxFuture<'static, (Place, bool)>> = FuturesUnordered::new();
        loop {
            let now = self.shared.foundation.clock().now();
            for place in queue.take(now) {
                let notices = self.clone();
                under_way.push(Box::pin(async move {
                    let done = notices.tell(&place).await;
                    if let Err(cause) = &done {
                        tracing::error!(tenant = %place.0, %cause, "notices could not be sent; it is tried again");
                    }
                    (place, done.is_ok())
                }));
            }
            tokio::select! {
                () = end.cancelled() => break,
                change = changes.recv() => match change {
                    Ok(change) => queue.look_at.extend(touched(&change)),
                    Err(broadcast::error::RecvError::Lagged(_)) => queue.look_at.extend(self.marked().await),
                    Err(broadcast::error::RecvError::Closed) => break,
                },
                Some((place, done)) = under_way.next() => {
                    queue.busy.remove(&place);
                    if done {
                        queue.look_at.insert(place.0);
                    } else {
                        queue.due.insert(place, now + TROUBLE);
                    }
                }
                () = std::future::ready(()), if !queue.look_at.is_empty() => {
                    if let Some(tenant) = queue.look_at.pop_first() {
                        self.look(&tenant, &mut queue).await;
                    }
                }
                () = tokio::time::sleep(queue.rest(now)), if queue.look_at.is_empty() => {}
            }
        }
        let rest = async { while under_way.next().await.is_some() {} };
        // What is cut off is sent again by the next start.
        let _ = tokio::time::timeout(LAST, rest).await;
    }

    /// The tenants that have destinations.
    pub(super) async fn marked(&self) -> BTreeSet<Tenant> {
        let read = |rows: &Reader<'_>| {
            let mut marked = BTreeSet::new();
            rows.values::<bool>(MARKS, |key, _| {
                marked.extend(key.strip_prefix(MARKS).and_then(|name| Tenant::parse(name).ok()));
                ControlFlow::Continue(())
            })?;
            Ok(marked)
        };
        self.platform().read(read).await.unwrap_or_else(|cause| {
            tracing::error!(%cause, "the marks of who wants notices could not be read; changes bring them back");
            BTreeSet::new()
        })
    }

    /// Finds what waits in a library.
    async fn look(&self, tenant: &Tenant, queue: &mut Queue) {
        let read = |rows: &Reader<'_>| {
            let mut found = HashMap::new();
            for notice in waiting(rows)? {
                if let std::collections::hash_map::Entry::Vacant(place) = found.entry(notice.destination) {
                    let delivery: Delivery = rows.value(&Delivery::key(notice.destination))?.unwrap_or_default();
                    place.insert(delivery.free_at());
                }
            }
            Ok(found)
        };
        queue.due.retain(|(whose, _), _| whose != tenant);
        match self.editor(tenant).rows().read(read).await {
            Ok(found) => {
                queue.due.extend(found.into_iter().map(|(destination, at)| ((tenant.clone(), destination), at)));
            }
            // The tenant was deleted.
            Err(Error::NotFound) => self.unmark(tenant).await,
            Err(cause) => tracing::error!(%tenant, %cause, "what waits to be told could not be read"),
        }
    }

    async fn unmark(&self, tenant: &Tenant) {
        let key = format!("{MARKS}{tenant}");
        let unmark = move |rows: &mut Writer<'_>| {
            if rows.value::<bool>(&key)?.is_some() {
                rows.delete_value(&key);
            }
            Ok(())
        };
        if let Err(cause) = self.platform().write(unmark).await {
            tracing::warn!(%tenant, %cause, "a mark of a tenant that is gone stays until the next start");
        }
    }

    /// Tells one destination what waits for it.
    async fn tell(&self, (tenant, id): &Place) -> Result<()> {
        let editor = self.editor(tenant);
        let id = *id;
        let found = match editor.rows().read(move |rows| rows.get::<Destination>(id)).await {
            Err(Error::NotFound) => return Ok(()),
            found => found?,
        };
        let user = match found {
            Some(row) => self.shared.accounts.find(&self.shared.licence, row.value.user).await?,
            None => None,
        };
        let me = self.shared.foundation.boot();
        let whose = user.clone();
        let claimed = editor.rows().write(move |rows| claim(rows, id, whose.as_ref(), me)).await?;
        let Some((mut row, notices)) = claimed else { return Ok(()) };
        let reading = self.reading(&row.value, user.as_ref());
        let mut left = notices.len();
        for notice in notices {
            left -= 1;
            let letter = Letter::of(&notice, &reading);
            let mut sent = self.send(tenant, id, &row.value.way, &letter).await?;
            if let Sent::Moved(chat) = sent {
                row = self.follow(&editor, id, chat).await?;
                sent = self.send(tenant, id, &row.value.way, &letter).await?;
            }
            if !self.note(&editor, &row, notice, sent, left == 0).await? {
                return Ok(());
            }
        }
        Ok(())
    }

    fn reading(&self, destination: &Destination, user: Option<&User>) -> Reading {
        let config = self.shared.foundation.config();
        let zone = user.and_then(|user| user.time_zone.as_deref()).unwrap_or(&config.time_zone);
        Reading {
            locale: user.and_then(|user| user.locale).unwrap_or(destination.locale),
            zone: TimeZone::get(zone).unwrap_or(TimeZone::UTC),
            pages: config.public_url.clone(),
            now: self.shared.foundation.clock().now(),
        }
    }

    /// Notes that a chat has another number.
    async fn follow(&self, editor: &Editor, id: Uuid, moved: String) -> Result<Row<Destination>> {
        editor
            .rows()
            .write(move |rows| {
                let Some(found) = rows.get::<Destination>(id)? else { return Ok(()) };
                let mut changed = found.value.clone();
                if let Way::Telegram { chat, .. } = &mut changed.way {
                    chat.clone_from(&moved);
                }
                rows.update(&found, changed).map(drop)
            })
            .await?;
        editor.rows().read(move |rows| rows.need::<Destination>(id)).await
    }

    /// Notes how it went; whether there is more to do under this claim.
    async fn note(
        &self,
        editor: &Editor,
        row: &Row<Destination>,
        notice: Notice,
        sent: Sent,
        last: bool,
    ) -> Result<bool> {
        let (id, version, me) = (row.id(), row.version, self.shared.foundation.boot());
        let random = random();
        editor
            .rows()
            .write(move |rows| {
                let (now, key) = (rows.now(), Delivery::key(id));
                let Some(row) = rows.get::<Destination>(id)? else {
                    // Deleted meanwhile, with everything that waited.
                    rows.delete_value(&Notice::key(notice.id));
                    return Ok(false);
                };
                let before: Delivery = rows.value(&key)?.unwrap_or_default();
                let claim = Some((me, now + LEASE)).filter(|_| !last);
                let mut after = Delivery { claim, ..before };
                let mut more = !last;
                match &sent {
                    Sent::There => {
                        rows.delete_value(&Notice::key(notice.id));
                        after = Delivery { last_ok: Some(now), claim, ..Delivery::default() };
                    }
                    // It was changed while this was under way: what went wrong is no word on how it is now.
                    Sent::Moved(_) | Sent::Not(..) if row.version != version => {
                        (after.claim, more) = (None, false);
                    }
                    Sent::Moved(_) => {
                        after.failures = after.failures.saturating_add(1);
                        after.hold_until = Some(now + wait(after.failures, Then::Again, random));
                        (after.claim, more) = (None, false);
                    }
                    Sent::Not(message, then) => {
                        after.fault = Some(Fault { at: now, message: message.clone() });
                        match then {
                            Then::GiveUp => {
                                rows.delete_value(&Notice::key(notice.id));
                                after.given_up = after.given_up.saturating_add(1);
                            }
                            Then::Off => {
                                clear(rows, id)?;
                                let changed = Destination { enabled: false, ..row.value.clone() };
                                rows.update(&row, changed)?;
                                (after.claim, more) = (None, false);
                            }
                            Then::Again | Then::Later(_) => {
                                after.failures = after.failures.saturating_add(1);
                                after.hold_until = Some(now + wait(after.failures, *then, random));
                                (after.claim, more) = (None, false);
                            }
                        }
                    }
                }
                rows.put_value(&key, &after)?;
                Ok(more)
            })
            .await
    }
}

/// Whose notices changed.
fn touched(change: &Change) -> Option<Tenant> {
    let Space::Tenant(tenant) = &change.space else { return None };
    let ours = |key: &Vec<u8>| {
        key.starts_with(NOTICES.as_bytes()) || key.starts_with(b"delivery/") || key.starts_with(b"row/destination/")
    };
    change.keys.iter().any(ours).then(|| tenant.clone())
}

/// 0 to 1.
fn random() -> f64 {
    let mut bytes = [0; 4];
    // Without randomness everybody waits equally long.
    let _ = getrandom::fill(&mut bytes);
    f64::from(u32::from_be_bytes(bytes)) / f64::from(u32::MAX)
}

/// Takes a destination for a while, with what waits for it; nothing where nothing is to be sent now.
fn claim(
    rows: &mut Writer<'_>,
    id: Uuid,
    user: Option<&User>,
    me: Uuid,
) -> Result<Option<(Row<Destination>, Vec<Notice>)>> {
    let now = rows.now();
    let mut own = waiting(rows.view())?;
    own.retain(|notice| notice.destination == id);
    let Some(row) = rows.get::<Destination>(id)? else {
        own.iter().for_each(|notice| rows.delete_value(&Notice::key(notice.id)));
        return Ok(None);
    };
    let Some(user) = user.filter(|user| user.id == row.value.user_id && !user.deleting) else {
        remove(rows, &row)?;
        return Ok(None);
    };
    let key = Delivery::key(id);
    let before: Delivery = rows.value(&key)?.unwrap_or_default();
    let is_held = before.hold_until.is_some_and(|until| until > now);
    if is_held || before.claim.is_some_and(|(holder, until)| holder != me && until > now) {
        return Ok(None);
    }
    let mut after = before.clone();
    // A notice is for who may log in; the demo's destinations could be changed by nobody.
    let told = row.value.enabled && user.may_log_in() && user.role != Role::Demo;
    own.retain(|notice| {
        let is_theirs = !notice.kind.is_for_operators() || user.role == Role::Admin;
        let is_late = notice.expires_at <= now;
        let keep = told && is_theirs && !is_late;
        if !keep {
            rows.delete_value(&Notice::key(notice.id));
            close_missed(rows, notice);
        }
        if told && is_theirs && is_late && before.failures > 0 {
            after.given_up = after.given_up.saturating_add(1);
        }
        keep
    });
    own.truncate(AT_A_TIME);
    own.iter().for_each(|notice| close_missed(rows, notice));
    after.claim = (!own.is_empty()).then_some((me, now + LEASE));
    if after != before {
        rows.put_value(&key, &after)?;
    }
    Ok((!own.is_empty()).then_some((row, own)))
}

#[cfg(test)]
#[path = "worker_tests.rs"]
mod tests;
