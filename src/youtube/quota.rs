//! Units of the API: counted by project and day, with what is kept for broadcasts that are planned.
//!
//! A call is counted on disk before it is made, so that a crash counts one too many and never one too few. What is
//! planned keeps its units; bulk work waits when what is left is kept.

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::fault::{Fault, quota_day};
use super::units::{Call, Costs};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::oauth::project_of;
use crate::store::SpaceStore;
use crate::text::Message;

/// Whose units, and how much they matter.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Need {
    /// For a broadcast: out of what is kept for it, and beyond out of what nobody keeps.
    Kept(Uuid),
    /// For one that is on air: out of whatever is left.
    OnAir(Uuid),
    /// For ending one before the grant of its channel goes: whatever is left, and whatever the platform said before.
    Last(Uuid),
    /// What a person asked for and can ask for again, and bulk work: only out of what nobody keeps.
    Free,
}

/// Days that are kept to look at.
const KEPT_DAYS: i32 = 8;

/// Units that are kept, and whose they are.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
struct Kept {
    units: u64,
    library: Tenant,
}

/// One day of one project.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
struct Day {
    used: u64,
    /// By call.
    calls: BTreeMap<String, u64>,
    /// What is kept, by what it is kept for.
    kept: BTreeMap<Uuid, Kept>,
    /// Units that each library used of the box's own project.
    by_library: BTreeMap<Tenant, u64>,
    /// The platform says that nothing is left, whatever we have counted.
    exhausted: bool,
}

impl Day {
    fn kept_for_others(&self, own: Option<Uuid>) -> u64 {
        self.kept.iter().filter(|(id, _)| Some(**id) != own).map(|(_, kept)| kept.units).sum()
    }

    fn kept_for(&self, own: Uuid) -> u64 {
        self.kept.get(&own).map_or(0, |kept| kept.units)
    }

    /// What a library used, and keeps for others than `own`.
    fn taken_by(&self, library: &Tenant, own: Option<Uuid>) -> u64 {
        let kept = self.kept.iter().filter(|(id, kept)| Some(**id) != own && kept.library == *library);
        self.by_library.get(library).copied().unwrap_or(0) + kept.map(|(_, kept)| kept.units).sum::<u64>()
    }
}

/// What is shown of a project's day.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Shown {
    /// Units that were used.
    pub used: u64,
    /// Units that are kept for what is planned.
    pub kept: u64,
    /// What is left of the library's share of the box's own project, and how much that is.
    pub share: Option<(u64, u64)>,
    /// Units of a day.
    pub limit: u64,
    /// The platform refuses everything until the reset.
    pub exhausted: bool,
    /// When units are given anew.
    pub reset_at: Timestamp,
    /// Units by call, the most first.
    pub calls: Vec<(String, u64)>,
}

/// The counter. Cheap to clone.
#[derive(Clone)]
pub struct Quota {
    platform: SpaceStore,
    costs: Costs,
    limit: u64,
    /// The box's own project, and what one library may take of its day: nobody uses it up for all others.
    shared: Option<(String, u64)>,
}

/// Why a call is not made.
enum Short {
    /// So much is left.
    Used(u64),
    /// So much is not kept for others.
    Kept(u64),
    /// So much is left of the library's share.
    Share(u64),
}

fn key(project: &str, day: Date) -> String {
    // A client id of the settings is short, one that a person typed may be anything.
    let name = blake3::hash(project.as_bytes()).to_hex();
    format!("youtube-units/{}/{day}", &name[..32])
}

impl Quota {
    /// Counts in the platform's own rows: units belong to a project, which several tenants may share.
    /// `shared` is the box's own project and what one library may take of its day.
    pub fn new(platform: SpaceStore, costs: Costs, limit: u64, shared: Option<(String, u64)>) -> Quota {
        Quota { platform, costs, limit, shared }
    }

    fn share(&self, project: &str) -> Option<u64> {
        self.shared.as_ref().filter(|(shared, _)| shared == project).map(|(_, share)| *share)
    }

    /// The counter of a home, as its settings say.
    ///
    /// # Errors
    /// Where the settings' prices cannot be read.
    pub fn of(foundation: &Foundation) -> Result<Quota> {
        let settings = &foundation.config().youtube;
        let odd = |text| Error::Malformed(Message::new("config-bad").with("cause", text));
        let costs = Costs::parse(&settings.costs).map_err(odd)?;
        #[allow(clippy::disallowed_methods, reason = "units belong to a project, which several tenants may share")]
        let platform = foundation.store().platform();
        let own = foundation.config().oauth.google.client_id.as_deref();
        let shared = own.map(|client| (project_of(client).to_owned(), settings.library_units));
        Ok(Quota::new(platform, costs, settings.daily_units, shared))
    }

    /// Counts a call that is made whatever is left.
    pub async fn note(&self, project: &str, call: Call, now: Timestamp) -> Result<()> {
        let (key, cost) = (key(project, quota_day(now).0), self.costs.of(call));
        self.platform
            .write(move |rows| {
                let mut day: Day = rows.value(&key)?.unwrap_or_default();
                day.used += cost;
                *day.calls.entry(call.name().to_owned()).or_default() += cost;
                rows.put_value(&key, &day)
            })
            .await
    }

    /// Forgets days that nobody asks about any more.
    pub async fn forget_old(&self, now: Timestamp) -> Result<()> {
        let (today, _) = quota_day(now);
        self.platform
            .write(move |rows| {
                let mut old = Vec::new();
                rows.view().values::<serde::de::IgnoredAny>("youtube-units/", |key, _| {
                    let day: Option<Date> = key.rsplit_once('/').and_then(|(_, day)| day.parse().ok());
                    if day.is_none_or(|day| today.since(day).is_ok_and(|age| age.get_days() > KEPT_DAYS)) {
                        old.push(key.to_owned());
                    }
                    std::ops::ControlFlow::Continue(())
                })?;
                old.iter().for_each(|key| rows.delete_value(key));
                Ok(())
            })
            .await
    }

    /// What calls cost.
    pub fn costs(&self) -> &Costs {
        &self.costs
    }

    /// Counts a call that is about to be made for a library.
    ///
    /// # Errors
    /// [`Fault`] until the reset, where so much is not left or is kept for others.
    pub async fn spend(
        &self,
        (project, library): (&str, &Tenant),
        call: Call,
        need: Need,
        now: Timestamp,
    ) -> Result<(), Fault> {
        let (day, reset) = quota_day(now);
        let (key, cost, limit, share) = (key(project, day), self.costs.of(call), self.limit, self.share(project));
        let library = library.clone();
        let spent = self.platform.write(move |rows| {
            let mut day: Day = rows.value(&key)?.unwrap_or_default();
            let (own, may_take_all) = match need {
                Need::Kept(id) => (Some(id), false),
                Need::OnAir(id) | Need::Last(id) => (Some(id), true),
                Need::Free => (None, false),
            };
            let left = limit.saturating_sub(day.used);
            if (day.exhausted || cost > left) && !matches!(need, Need::Last(_)) {
                return Ok(Err(Short::Used(if day.exhausted { 0 } else { left })));
            }
            if !may_take_all {
                // What is kept for this very broadcast is its own, whatever others keep.
                let mine = own.map_or(0, |own| day.kept_for(own));
                let room = left.saturating_sub(day.kept_for_others(own)).max(mine.min(left));
                if cost > room {
                    return Ok(Err(Short::Kept(room)));
                }
                let room = share.map(|share| share.saturating_sub(day.taken_by(&library, own)).max(mine));
                if let Some(room) = room.filter(|room| cost > *room) {
                    return Ok(Err(Short::Share(room)));
                }
            }
            day.used += cost;
            *day.calls.entry(call.name().to_owned()).or_default() += cost;
            if share.is_some() {
                *day.by_library.entry(library.clone()).or_default() += cost;
            }
            if let Some(own) = own
                && let Some(kept) = day.kept.get_mut(&own)
            {
                kept.units = kept.units.saturating_sub(cost);
                if kept.units == 0 {
                    day.kept.remove(&own);
                }
            }
            rows.put_value(&key, &day)?;
            Ok(Ok(()))
        });
        spent.await?.map_err(|short| {
            let (id, left) = match short {
                Short::Used(left) => ("youtube-fault-units", left),
                Short::Kept(left) => ("youtube-fault-units-kept", left),
                Short::Share(left) => ("youtube-fault-units-share", left),
            };
            Fault::no_units(id, left, reset)
        })
    }

    /// Keeps units of the day of `at` for a broadcast: so many altogether, less where so much is not left. True where
    /// all of them are kept.
    pub async fn keep(
        &self,
        (project, library): (&str, &Tenant),
        broadcast: Uuid,
        units: u64,
        at: Timestamp,
    ) -> Result<bool> {
        let (key, limit, share) = (key(project, quota_day(at).0), self.limit, self.share(project));
        let library = library.clone();
        self.platform
            .write(move |rows| {
                let mut day: Day = rows.value(&key)?.unwrap_or_default();
                let free = limit.saturating_sub(day.used).saturating_sub(day.kept_for_others(Some(broadcast)));
                let own = share.map(|share| share.saturating_sub(day.taken_by(&library, Some(broadcast))));
                let kept = units.min(free).min(own.unwrap_or(u64::MAX));
                if day.kept_for(broadcast) != kept {
                    if kept == 0 {
                        day.kept.remove(&broadcast);
                    } else {
                        day.kept.insert(broadcast, Kept { units: kept, library: library.clone() });
                    }
                    rows.put_value(&key, &day)?;
                }
                Ok(kept == units)
            })
            .await
    }

    /// Gives back what is kept for a broadcast on the day of `at`.
    pub async fn give_back(&self, whose: (&str, &Tenant), broadcast: Uuid, at: Timestamp) -> Result<()> {
        self.keep(whose, broadcast, 0, at).await.map(drop)
    }

    /// The platform says that nothing is left today.
    pub async fn exhausted(&self, project: &str, now: Timestamp) -> Result<()> {
        let key = key(project, quota_day(now).0);
        self.platform
            .write(move |rows| {
                let mut day: Day = rows.value(&key)?.unwrap_or_default();
                day.exhausted = true;
                rows.put_value(&key, &day)
            })
            .await
    }

    /// A person wants the platform to be asked again, though it said that nothing is left today.
    pub async fn ask_again(&self, project: &str, now: Timestamp) -> Result<()> {
        let key = key(project, quota_day(now).0);
        self.platform
            .write(move |rows| {
                let Some(mut day) = rows.value::<Day>(&key)?.filter(|day| day.exhausted) else { return Ok(()) };
                day.exhausted = false;
                rows.put_value(&key, &day)
            })
            .await
    }

    /// How a project's day stands, for a library.
    pub async fn shown(&self, project: &str, library: &Tenant, now: Timestamp) -> Result<Shown> {
        let (day, reset_at) = quota_day(now);
        let (key, limit, share) = (key(project, day), self.limit, self.share(project));
        let day: Day = self.platform.read(move |rows| Ok(rows.value(&key)?.unwrap_or_default())).await?;
        let share = share.map(|share| (share.saturating_sub(day.taken_by(library, None)), share));
        let mut calls: Vec<(String, u64)> = day.calls.into_iter().collect();
        calls.sort_by(|a, b| b.1.cmp(&a.1).then_with(|| a.0.cmp(&b.0)));
        let left = limit.saturating_sub(day.used);
        // What was used beyond its own took away from what others keep.
        let kept = day.kept.values().map(|kept| kept.units).sum::<u64>().min(left);
        let share = share.map(|(own, share)| (own.min(left), share));
        Ok(Shown { used: day.used, kept, share, limit, exhausted: day.exhausted, reset_at, calls })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::library::testing::editor;
    use crate::youtube::fault::{Sort, own};

    const NOW: &str = "2026-11-21T12:00:00Z";

    async fn quota(home: &std::path::Path, limit: u64) -> Quota {
        let editor = editor(home).await;
        #[allow(clippy::disallowed_methods, reason = "a test of the room itself")]
        let platform = editor.foundation().store().platform();
        Quota::new(platform, Costs::default(), limit, Some(("box".to_owned(), 120)))
    }

    fn al() -> Tenant {
        Tenant::parse("al").unwrap()
    }

    fn now() -> Timestamp {
        NOW.parse().unwrap()
    }

    #[tokio::test]
    async fn calls_are_counted_by_project_and_day() {
        let home = tempfile::tempdir().unwrap();
        let quota = quota(home.path(), 100).await;
        quota.spend(("one", &al()), Call::BroadcastsInsert, Need::Free, now()).await.unwrap();
        quota.spend(("one", &al()), Call::BroadcastsList, Need::Free, now()).await.unwrap();
        quota.spend(("two", &al()), Call::BroadcastsInsert, Need::Free, now()).await.unwrap();
        let shown = quota.shown("one", &al(), now()).await.unwrap();
        assert_eq!((shown.used, shown.kept, shown.limit), (51, 0, 100));
        assert_eq!(shown.calls[0], ("liveBroadcasts.insert".to_owned(), 50));
        let refused = quota.spend(("one", &al()), Call::BroadcastsInsert, Need::Free, now()).await.unwrap_err();
        assert_eq!(refused.sort, Sort::Wait("2026-11-22T08:00:00Z".parse().unwrap()));
        assert_eq!(refused.reason, own::UNITS);
        // The next day is another one.
        let tomorrow = "2026-11-22T08:00:00Z".parse().unwrap();
        quota.spend(("one", &al()), Call::BroadcastsInsert, Need::Free, tomorrow).await.unwrap();
        assert_eq!(quota.shown("one", &al(), tomorrow).await.unwrap().used, 50);
    }

    #[tokio::test]
    async fn what_is_planned_keeps_its_units_and_bulk_work_waits() {
        let home = tempfile::tempdir().unwrap();
        let quota = quota(home.path(), 200).await;
        let (mine, other) = (Uuid::now_v7(), Uuid::now_v7());
        assert!(quota.keep(("p", &al()), mine, 150, now()).await.unwrap());
        assert!(!quota.keep(("p", &al()), other, 100, now()).await.unwrap(), "only 50 are left");
        let refused = quota.spend(("p", &al()), Call::StreamsInsert, Need::Free, now()).await.unwrap_err();
        assert_eq!(refused.message.id, "youtube-fault-units-kept");
        for call in [Call::BroadcastsInsert, Call::BroadcastsBind, Call::BroadcastsTransition] {
            quota.spend(("p", &al()), call, Need::Kept(mine), now()).await.unwrap();
        }
        // Its own is used up; the rest is the other's, unless it is on air.
        let refused = quota.spend(("p", &al()), Call::BroadcastsTransition, Need::Kept(mine), now()).await.unwrap_err();
        assert_eq!(refused.message.id, "youtube-fault-units-kept");
        quota.spend(("p", &al()), Call::BroadcastsTransition, Need::OnAir(mine), now()).await.unwrap();
        let refused = quota.spend(("p", &al()), Call::StreamsList, Need::OnAir(other), now()).await.unwrap_err();
        assert_eq!(refused.message.id, "youtube-fault-units");
    }

    #[tokio::test]
    async fn what_is_kept_is_given_back_and_survives_a_restart() {
        let home = tempfile::tempdir().unwrap();
        let id = Uuid::now_v7();
        {
            let quota = quota(home.path(), 200).await;
            quota.keep(("p", &al()), id, 150, now()).await.unwrap();
            quota.spend(("p", &al()), Call::BroadcastsInsert, Need::Kept(id), now()).await.unwrap();
        }
        let quota = quota(home.path(), 200).await;
        let shown = quota.shown("p", &al(), now()).await.unwrap();
        assert_eq!((shown.used, shown.kept), (50, 100));
        quota.give_back(("p", &al()), id, now()).await.unwrap();
        quota.spend(("p", &al()), Call::StreamsInsert, Need::Free, now()).await.unwrap();
        quota.exhausted("p", now()).await.unwrap();
        let refused = quota.spend(("p", &al()), Call::StreamsList, Need::OnAir(id), now()).await.unwrap_err();
        assert_eq!(refused.message.id, "youtube-fault-units");
        assert!(quota.shown("p", &al(), now()).await.unwrap().exhausted);
        quota.ask_again("p", now()).await.unwrap();
        quota.spend(("p", &al()), Call::StreamsList, Need::OnAir(id), now()).await.unwrap();
    }

    #[tokio::test]
    async fn nobody_uses_up_the_box_s_own_project_for_all_others() {
        let home = tempfile::tempdir().unwrap();
        let quota = quota(home.path(), 1000).await;
        let (mine, bo) = (Uuid::now_v7(), Tenant::parse("bo").unwrap());
        assert!(quota.keep(("box", &al()), mine, 60, now()).await.unwrap());
        assert!(!quota.keep(("box", &al()), Uuid::now_v7(), 70, now()).await.unwrap(), "60 of its share are left");
        let refused = quota.spend(("box", &al()), Call::StreamsInsert, Need::Free, now()).await.unwrap_err();
        assert_eq!(refused.message.id, "youtube-fault-units-share");
        quota.spend(("box", &al()), Call::BroadcastsInsert, Need::Kept(mine), now()).await.unwrap();
        for _ in 0..2 {
            // What is on air goes on, and others have their own share.
            quota.spend(("box", &al()), Call::BroadcastsTransition, Need::OnAir(mine), now()).await.unwrap();
            quota.spend(("box", &bo), Call::StreamsInsert, Need::Free, now()).await.unwrap();
        }
        let shown = quota.shown("box", &al(), now()).await.unwrap();
        assert_eq!(shown.share, Some((0, 120)), "{shown:?}");
        // A project that people brought is their own.
        for _ in 0..4 {
            quota.spend(("own", &al()), Call::StreamsInsert, Need::Free, now()).await.unwrap();
        }
    }
}
