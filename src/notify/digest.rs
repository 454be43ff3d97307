//! What is told by the clock and not by an event: the daily digest, and that the disk is almost full.

use std::collections::HashMap;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::Notices;
use super::outbox::put_once;
use super::rows::{Destination, DigestFacts, Facts, Kind};
use super::watch::Known;
use crate::auth::{Role, Tenant};
use crate::error::{Error, Result};
use crate::live::{LiveStream, Run, RunOutcome, open_runs, sample};
use crate::schedule::Schedule;
use crate::schedule::recurrence::occurrences;
use crate::store::rows::{Reader, Row, Writer};
use crate::tenancy::{self, Ledger};

const DAY: Duration = Duration::from_secs(24 * 3600);
/// A digest that could not be told at its hour is told this late, and no later.
const LATE: Duration = Duration::from_secs(6 * 3600);
/// What is listed of the day to come, and of what is on air.
const LISTED: usize = 10;
/// Occurrences of one schedule that are counted.
const COUNTED: usize = 50;
/// Of a full disk is told once in so long.
const AGAIN: i64 = 24 * 3600;
/// So much more than what is too little is enough again: not to tell of every megabyte that comes and goes.
const ENOUGH: f64 = 1.1;

/// Platform's note of since when the disk is too full.
const DISK: &str = "notice-disk-low";

/// The day whose digest is due: that of the last time when it was `hour` in the zone, if that is not long ago.
pub(super) fn due_day(now: Timestamp, zone: &TimeZone, hour: i8) -> Option<(Date, Timestamp)> {
    let today = zone.to_datetime(now).date();
    for day in [Some(today), today.yesterday().ok()].into_iter().flatten() {
        // An hour that the clocks leave out comes later on that day; one that comes twice is the first.
        let at = zone.to_ambiguous_timestamp(day.at(hour, 0, 0, 0)).compatible().ok()?;
        if at <= now {
            return (now < at + LATE).then_some((day, at));
        }
    }
    None
}

impl Notices {
    /// Tells every digest that is due.
    pub(super) async fn digests(&self, known: &mut Known) {
        let now = self.shared.foundation.clock().now();
        for (tenant, row) in known.wanting(Kind::Digest) {
            match self.digest(&tenant, &row, known.digests.get(&row.id()).copied(), now).await {
                Ok(Some(day)) => drop(known.digests.insert(row.id(), day)),
                Ok(None) | Err(Error::NotFound) => {}
                Err(cause) => tracing::error!(%tenant, %cause, "a digest could not be told; it is tried again"),
            }
        }
    }

    /// Tells a digest if it is due; the day that is dealt with.
    async fn digest(
        &self,
        tenant: &Tenant,
        row: &Row<Destination>,
        done: Option<Date>,
        now: Timestamp,
    ) -> Result<Option<Date>> {
        // The day after begins nowhere sooner than 14 hours ahead of UTC.
        if done.is_some_and(|day| TimeZone::UTC.to_datetime(now - Duration::from_secs(10 * 3600)).date() < day) {
            return Ok(None);
        }
        let user = self.shared.accounts.find(&self.shared.licence, row.value.user.clone()).await?;
        let Some(user) = user.filter(|user| user.id == row.value.user_id) else { return Ok(None) };
        let zone = user.time_zone.as_deref().unwrap_or(&self.shared.foundation.config().time_zone);
        let zone = TimeZone::get(zone).unwrap_or(TimeZone::UTC);
        let Some((day, at)) = due_day(now, &zone, row.value.digest_hour) else { return Ok(None) };
        if done.is_some_and(|done| done >= day) || row.header.created_at > at {
            return Ok(None);
        }
        let editor = self.editor(tenant);
        let ledger = self.shared.foundation.ledger(editor.scope());
        let id = row.id();
        editor
            .rows()
            .write(move |rows| {
                let facts = Facts::Digest(Box::new(of_day(rows.view(), &ledger, now)?));
                put_once(rows, id, &format!("digest/{day}"), now + 3 * DAY, (Kind::Digest, facts)).map(drop)
            })
            .await?;
        Ok(Some(day))
    }

    /// Tells operators that the disk is almost full.
    pub(super) async fn disk(&self, known: &Known) {
        if let Err(cause) = self.look_at_disk(known).await {
            tracing::error!(%cause, "the disk could not be looked at");
        }
    }

    async fn look_at_disk(&self, known: &Known) -> Result<()> {
        let config = self.shared.foundation.config();
        let (free, total) = self.shared.foundation.objects().disk()?;
        let little = config.notices.disk_low_mib << 20;
        let since = self.platform().read(|rows| rows.value::<Timestamp>(DISK)).await?;
        let now = self.shared.foundation.clock().now();
        let since = match since {
            None if free >= little => return Ok(()),
            None => {
                self.platform().write(move |rows| rows.put_value(DISK, &now)).await?;
                now
            }
            Some(_) if free as f64 >= little as f64 * ENOUGH => {
                return self
                    .platform()
                    .write(|rows| {
                        rows.delete_value(DISK);
                        Ok(())
                    })
                    .await;
            }
            Some(since) => since,
        };
        let what = format!("disk/{}/{}", since.as_second(), now.duration_since(since).as_secs() / AGAIN);
        let floor = config.limits.disk_floor_mib << 20;
        for (tenant, row) in known.wanting(Kind::DiskLow) {
            let user = self.shared.accounts.find(&self.shared.licence, row.value.user.clone()).await?;
            if !user.is_some_and(|user| user.id == row.value.user_id && user.role == Role::Admin) {
                continue;
            }
            let (id, what) = (row.id(), what.clone());
            let facts = (Kind::DiskLow, Facts::Disk { free, total, floor });
            let told = move |rows: &mut Writer<'_>| put_once(rows, id, &what, now + 3 * DAY, facts.clone()).map(drop);
            match self.editor(&tenant).rows().write(told).await {
                Ok(()) | Err(Error::NotFound) => {}
                Err(cause) => return Err(cause),
            }
        }
        Ok(())
    }
}

/// The day behind, and the day ahead.
fn of_day(rows: &Reader<'_>, ledger: &Ledger, now: Timestamp) -> Result<DigestFacts> {
    let (from, to) = (now - DAY, now + DAY);
    let mut facts = DigestFacts::default();
    rows.each::<Run>(true, |row| {
        let run = &row.value;
        let ended = run.ended_at.unwrap_or(now);
        if ended < from {
            return ControlFlow::Continue(());
        }
        if let Some(start) = run.started_at {
            let seconds = ended.min(now).duration_since(start.max(from)).as_secs();
            facts.on_air_seconds += u64::try_from(seconds).unwrap_or(0);
        }
        let count = match run.outcome {
            None => return ControlFlow::Continue(()),
            Some(RunOutcome::Completed) => &mut facts.completed,
            Some(RunOutcome::Stopped) => &mut facts.stopped,
            Some(RunOutcome::Failed) => &mut facts.failed,
            Some(RunOutcome::Missed) => &mut facts.missed,
        };
        *count += 1;
        facts.restarts += run.restarts;
        ControlFlow::Continue(())
    })?;
    facts.on_air = open_runs(rows)?.into_iter().map(|run| run.value.stream_title).take(LISTED).collect();
    let mut titles: HashMap<Uuid, Option<String>> = HashMap::new();
    let mut schedules = Vec::new();
    rows.each::<Schedule>(false, |row| {
        schedules.push(row.value);
        ControlFlow::Continue(())
    })?;
    let mut coming = Vec::new();
    for schedule in schedules.iter().filter(|schedule| !schedule.paused) {
        let id = schedule.stream_id;
        if let std::collections::hash_map::Entry::Vacant(place) = titles.entry(id) {
            let shown_only = sample::is_shown_only(rows, id)?;
            place.insert(rows.get::<LiveStream>(id)?.filter(|_| !shown_only).map(|row| row.value.title));
        }
        let Some(Some(title)) = titles.get(&id) else { continue };
        let next = occurrences(schedule, now).take(COUNTED).take_while(|one| one.start < to);
        coming.extend(next.map(|one| (one.start, title.clone())));
    }
    coming.sort();
    facts.more = u32::try_from(coming.len().saturating_sub(LISTED)).unwrap_or(u32::MAX);
    coming.truncate(LISTED);
    facts.coming = coming;
    let usage = tenancy::usage(rows)?;
    (facts.storage_used, facts.storage_limit) = (usage.used(), ledger.limit(&usage));
    Ok(facts)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_digest_is_due_at_its_hour_where_its_reader_lives() {
        let due = |now: &str, zone: &str, hour| {
            due_day(now.parse().unwrap(), &TimeZone::get(zone).unwrap(), hour).map(|(day, at)| format!("{day} {at}"))
        };
        let jakarta = "Asia/Jakarta";
        // 07:00 in Jakarta is midnight in UTC.
        assert_eq!(due("2025-11-03T23:59:59Z", jakarta, 7), None);
        assert_eq!(due("2025-11-04T00:00:00Z", jakarta, 7).unwrap(), "2025-11-04 2025-11-04T00:00:00Z");
        assert_eq!(due("2025-11-04T05:59:59Z", jakarta, 7).unwrap(), "2025-11-04 2025-11-04T00:00:00Z");
        assert_eq!(due("2025-11-04T06:00:00Z", jakarta, 7), None, "too late to be of use");
        // An hour before midnight is told after it too.
        assert_eq!(due("2025-11-04T18:00:00Z", jakarta, 23).unwrap(), "2025-11-04 2025-11-04T16:00:00Z");
        // The clocks of New York leave 02:00 out on 9 March, and have 01:00 twice on 2 November.
        let new_york = "America/New_York";
        assert_eq!(due("2025-03-09T06:59:59Z", new_york, 2), None);
        assert_eq!(due("2025-03-09T07:00:00Z", new_york, 2).unwrap(), "2025-03-09 2025-03-09T07:00:00Z");
        assert_eq!(due("2025-11-02T05:00:00Z", new_york, 1).unwrap(), "2025-11-02 2025-11-02T05:00:00Z");
        assert_eq!(due("2025-11-02T06:30:00Z", new_york, 1).unwrap(), "2025-11-02 2025-11-02T05:00:00Z");
    }
}
