//! Renews tokens before they end, and tries again what failed, for all tenants that have connections.

use std::collections::{BTreeMap, BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

use futures_util::StreamExt as _;
use futures_util::future::BoxFuture;
use futures_util::stream::FuturesUnordered;
use jiff::Timestamp;
use tokio::sync::broadcast;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::connect::ARRIVING;
use super::connection::{Connection, State, all};
use super::refresh::{AHEAD, after};
use super::{Grants, TokenFault};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::store::rows::Reader;
use crate::store::{Change, Space, SpaceStore};

/// Tenants that have, or had, connections; in the platform's space.
const MARKS: &str = "oauth-tenant/";
/// All tenants were looked at for connections from before there were marks.
const MARKED: &str = "oauth-marked";
/// Renewals at the same time.
const AT_ONCE: usize = 4;
/// What our own fault stopped is tried again after this.
const TROUBLE: Duration = Duration::from_secs(60);
/// A token is not renewed by itself more often than this, however short it lasts.
const LEAST_BETWEEN: Duration = Duration::from_secs(30);
/// For what is under way when the server ends.
const LAST: Duration = Duration::from_secs(5);

fn platform(editor: &Editor) -> SpaceStore {
    #[allow(clippy::disallowed_methods, reason = "which tenants have connections is over all of them")]
    editor.foundation().store().platform()
}

/// Marks the tenant as one that has connections. Before the row is written, so that a crash between the two leaves a
/// mark too many and never one too few.
pub(super) async fn mark(editor: &Editor) -> Result<()> {
    let key = format!("{MARKS}{}", editor.tenant());
    platform(editor)
        .write(move |rows| match rows.value::<bool>(&key)? {
            Some(_) => Ok(()),
            None => rows.put_value(&key, &true),
        })
        .await
}

impl Connection {
    /// So long before its end its token is renewed: for one that lasts short, half of that.
    pub(super) fn ahead(&self, longest: Duration) -> Duration {
        let lasts = self.refreshed_at.zip(self.expires_at).map(|(from, to)| to.duration_since(from));
        let half = lasts.and_then(|lasts| Duration::try_from(lasts / 2).ok());
        half.map_or(longest, |half| half.min(longest))
    }

    /// When something is to be done about it.
    fn due(&self) -> Option<Timestamp> {
        match self.state {
            State::Active => {
                let Some(end) = self.expires_at else { return Some(Timestamp::MIN) };
                let soonest = self.refreshed_at.map_or(Timestamp::MIN, |at| after(at, LEAST_BETWEEN));
                Some((end - self.ahead(AHEAD)).max(soonest))
            }
            State::RefreshFailed | State::Leaving => Some(self.next_try.unwrap_or(Timestamp::MIN)),
            State::Reconnect => None,
        }
    }
}

type Place = (Tenant, Uuid);

#[derive(Default)]
struct Queue {
    due: BTreeMap<Place, (Timestamp, State)>,
    busy: HashSet<Place>,
    look_at: BTreeSet<Tenant>,
    /// What our own fault stopped, whatever its row says.
    held: BTreeMap<Place, Timestamp>,
}

impl Queue {
    /// What is due, as far as there are places.
    fn take(&mut self, now: Timestamp) -> Vec<(Place, State)> {
        let free = AT_ONCE.saturating_sub(self.busy.len());
        let ripe = self.due.iter().filter(|(place, (at, _))| *at <= now && !self.busy.contains(*place));
        let taken: Vec<(Place, State)> = ripe.map(|(place, (_, state))| (place.clone(), *state)).take(free).collect();
        for (place, _) in &taken {
            self.due.remove(place);
            self.busy.insert(place.clone());
        }
        taken
    }

    /// Until something may be due.
    fn rest(&self, now: Timestamp) -> Duration {
        let longest = Duration::from_secs(3600);
        if self.busy.len() >= AT_ONCE {
            return longest;
        }
        let idle = self.due.iter().filter(|(place, _)| !self.busy.contains(*place));
        let next = idle.map(|(_, (at, _))| Duration::try_from(at.duration_since(now)).unwrap_or_default()).min();
        next.unwrap_or(longest).clamp(Duration::from_millis(20), longest)
    }
}

fn touched(change: &Change) -> Option<Tenant> {
    let Space::Tenant(tenant) = &change.space else { return None };
    change.keys.iter().any(|key| key.starts_with(b"row/channel/")).then(|| tenant.clone())
}

impl Grants {
    /// Keeps tokens good until the end.
    pub async fn keep(self, end: CancellationToken) {
        let foundation = self.shared.foundation.clone();
        let mut changes = foundation.store().watch();
        let mut tidied: HashSet<Tenant> = HashSet::new();
        let mut queue = Queue { look_at: self.marked().await, ..Queue::default() };
        let mut under_way: FuturesUnordered<BoxFuture<'static, (Place, bool)>> = FuturesUnordered::new();
        loop {
            let now = foundation.clock().now();
            for (place, state) in queue.take(now) {
                let grants = self.clone();
                under_way.push(Box::pin(async move {
                    let done = grants.look_after(&place, state).await;
                    if let Err(cause) = &done {
                        tracing::error!(tenant = %place.0, connection = %place.1, %cause, "a connection could not be looked after; it is tried again");
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
                    queue.held.retain(|_, until| *until > now);
                    if !done {
                        queue.held.insert(place.clone(), after(now, TROUBLE));
                    }
                    queue.look_at.insert(place.0);
                }
                () = std::future::ready(()), if !queue.look_at.is_empty() => {
                    if let Some(tenant) = queue.look_at.pop_first() {
                        if tidied.insert(tenant.clone()) {
                            self.tidy(&tenant).await;
                        }
                        self.look(&tenant, &mut queue).await;
                    }
                }
                () = tokio::time::sleep(queue.rest(now)), if queue.look_at.is_empty() => {}
            }
        }
        let rest = async { while under_way.next().await.is_some() {} };
        // What is cut off is done again by the next start.
        let _ = tokio::time::timeout(LAST, rest).await;
    }

    async fn look_after(&self, (tenant, id): &Place, state: State) -> Result<()> {
        let editor = self.editor(tenant);
        if state == State::Leaving {
            return match self.leave_again(&editor, *id).await {
                Ok(()) | Err(Error::NotFound) => Ok(()),
                Err(cause) => Err(cause),
            };
        }
        match self.freshen(&editor, *id).await {
            // Whatever came of it is on record.
            Ok(_) | Err(TokenFault::Gone | TokenFault::Reconnect(_) | TokenFault::Later { .. }) => Ok(()),
            Err(TokenFault::Broken(cause)) => Err(cause),
        }
    }

    /// Reads when the connections of a tenant are due.
    async fn look(&self, tenant: &Tenant, queue: &mut Queue) {
        queue.due.retain(|(whose, _), _| whose != tenant);
        match self.editor(tenant).rows().read(all).await {
            Ok(found) => {
                for row in found {
                    let (place, Some(at)) = ((tenant.clone(), row.id()), row.value.due()) else { continue };
                    let held = queue.held.get(&place).copied().unwrap_or(Timestamp::MIN);
                    queue.due.insert(place, (at.max(held), row.value.state));
                }
            }
            // The tenant was deleted.
            Err(Error::NotFound) => self.unmark(tenant).await,
            Err(cause) => tracing::error!(%tenant, %cause, "connections could not be read"),
        }
    }

    /// Takes away what a crash left of connections that came to nothing.
    async fn tidy(&self, tenant: &Tenant) {
        let (editor, boot) = (self.editor(tenant), self.shared.foundation.boot());
        let read = move |rows: &Reader<'_>| {
            let mut left = Vec::new();
            rows.values::<Timestamp>(ARRIVING, |key, _| {
                let id = key.strip_prefix(ARRIVING).and_then(|id| Uuid::parse_str(id).ok());
                // What this start makes is younger than it.
                left.extend(id.filter(|id| *id < boot));
                ControlFlow::Continue(())
            })?;
            Ok(left)
        };
        match editor.rows().read(read).await {
            Ok(left) => {
                for id in left {
                    self.forget_arrival(&editor, id).await;
                }
            }
            Err(Error::NotFound) => {}
            Err(cause) => tracing::error!(%tenant, %cause, "what a crash left of connections could not be read"),
        }
    }

    /// The tenants that have connections.
    async fn marked(&self) -> BTreeSet<Tenant> {
        self.find_marked().await.unwrap_or_else(|cause| {
            tracing::error!(%cause, "who has connections could not be read; changes bring it back");
            BTreeSet::new()
        })
    }

    async fn find_marked(&self) -> Result<BTreeSet<Tenant>> {
        let store = self.shared.foundation.store();
        #[allow(clippy::disallowed_methods, reason = "which tenants have connections is over all of them")]
        let platform = store.platform();
        if !platform.read(|rows| Ok(rows.value::<bool>(MARKED)?.unwrap_or(false))).await? {
            for tenant in store.tenants(&self.shared.licence).await? {
                let editor = self.editor(&tenant);
                match editor.rows().read(all).await {
                    Ok(found) if !found.is_empty() => mark(&editor).await?,
                    Ok(_) | Err(Error::NotFound) => {}
                    Err(cause) => return Err(cause),
                }
            }
            platform.write(|rows| rows.put_value(MARKED, &true)).await?;
        }
        let read = |rows: &Reader<'_>| {
            let mut marked = BTreeSet::new();
            rows.values::<bool>(MARKS, |key, _| {
                marked.extend(key.strip_prefix(MARKS).and_then(|name| Tenant::parse(name).ok()));
                ControlFlow::Continue(())
            })?;
            Ok(marked)
        };
        platform.read(read).await
    }

    async fn unmark(&self, tenant: &Tenant) {
        let key = format!("{MARKS}{tenant}");
        let platform = platform(&self.editor(tenant));
        let unmark = platform.write(move |rows| {
            if rows.value::<bool>(&key)?.is_some() {
                rows.delete_value(&key);
            }
            Ok(())
        });
        if let Err(cause) = unmark.await {
            tracing::warn!(%tenant, %cause, "a mark of a tenant that is gone stays until the next start");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        format!("2030-01-01T{text}Z").parse().unwrap()
    }

    #[test]
    fn tokens_are_renewed_a_quarter_of_an_hour_before_they_end_and_short_ones_half_way() {
        let connection = |from: &str, to: &str| Connection {
            refreshed_at: Some(at(from)),
            expires_at: Some(at(to)),
            ..Connection::default()
        };
        for (from, to, due) in [
            ("10:00:00", "11:00:00", "10:45:00"),
            ("10:00:00", "10:20:00", "10:10:00"),
            ("10:00:00", "10:00:10", "10:00:30"),
            ("10:00:00", "10:00:00", "10:00:30"),
        ] {
            assert_eq!(connection(from, to).due(), Some(at(due)), "{from} {to}");
        }
        assert_eq!(Connection::default().due(), Some(Timestamp::MIN), "one from an old home is looked at now");
    }

    #[test]
    fn what_waits_for_a_person_waits() {
        let in_state = |state| Connection { state, next_try: Some(at("12:00:00")), ..Connection::default() };
        assert_eq!(in_state(State::Reconnect).due(), None);
        assert_eq!(in_state(State::RefreshFailed).due(), Some(at("12:00:00")));
        assert_eq!(in_state(State::Leaving).due(), Some(at("12:00:00")));
    }

    #[test]
    fn a_connection_has_one_renewal_under_way_and_the_box_a_few() {
        let mut queue = Queue::default();
        let al = Tenant::parse("al").unwrap();
        for _ in 0..AT_ONCE + 2 {
            queue.due.insert((al.clone(), Uuid::now_v7()), (at("10:00:00"), State::Active));
        }
        queue.due.insert((al, Uuid::now_v7()), (at("11:00:00"), State::Active));
        assert!(queue.take(at("09:59:59")).is_empty());
        let taken = queue.take(at("10:00:00"));
        assert_eq!((taken.len(), queue.busy.len()), (AT_ONCE, AT_ONCE));
        assert!(queue.take(at("10:00:00")).is_empty());
        queue.due.insert(taken[0].0.clone(), (at("09:00:00"), State::Active));
        queue.busy.remove(&taken[1].0);
        let more = queue.take(at("10:00:00"));
        assert!(more.len() == 1 && more[0].0 != taken[0].0);
    }
}
