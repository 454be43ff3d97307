//! The demo's streams, schedules and history, so that the pages have something to show. Nothing of it is ever sent.

use std::time::Duration;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use secrecy::SecretString;
use uuid::Uuid;

use super::run::{Run, RunOutcome, RunTarget, TargetEnd};
use super::stream::{LastRun, LiveStream, Order, PlayOrder, Target};
use super::target::{Platform, StreamKey};
use crate::auth::{Actor, Tenant};
use crate::error::Result;
use crate::library::{Editor, Video};
use crate::schedule::{Broadcast, GRACE, Passed, Schedule, Until};
use crate::store::rows::{Reader, Row, Writer};
use crate::text::{Locale, Message};
use crate::vault::Purpose;

/// The streams that are only for show: their occurrences pass without a run.
const SHOWN: &str = "sample-streams";

/// Whether a stream is only for show.
pub(crate) fn is_shown_only(rows: &Reader<'_>, stream: Uuid) -> Result<bool> {
    Ok(rows.value::<Vec<Uuid>>(SHOWN)?.is_some_and(|shown| shown.contains(&stream)))
}

/// A stream of the sample: its title, platforms, first hour of the day and length in hours.
const STREAMS: [(&str, &[Platform], i8, u64); 2] = [
    ("live-sample-morning", &[Platform::Youtube], 6, 3),
    ("live-sample-evening", &[Platform::Youtube, Platform::Facebook], 19, 2),
];

/// Days ago, seconds short of the full length, how it went, times it was begun anew.
const HISTORY: [(i64, u64, RunOutcome, u32); 5] = [
    (5, 0, RunOutcome::Completed, 0),
    (4, 0, RunOutcome::Completed, 2),
    (3, 3400, RunOutcome::Stopped, 0),
    (2, 0, RunOutcome::Missed, 0),
    (1, 0, RunOutcome::Completed, 0),
];

impl Editor {
    /// Makes sample streams of these videos, with schedules and a past; only where there is no stream yet.
    ///
    /// # Errors
    /// Whatever the store says.
    pub async fn make_sample_streams(&self, videos: &[Row<Video>]) -> Result<()> {
        let videos: Vec<(Uuid, u64)> = videos
            .iter()
            .filter(|row| row.value.verdict.ready)
            .map(|row| (row.id(), row.value.facts.bitrate))
            .collect();
        if videos.is_empty() {
            return Ok(());
        }
        let (tenant, actor, sealing) =
            (self.tenant().clone(), self.actor().clone(), self.foundation().vault().sealing());
        let zone_name = self.foundation().config().time_zone.clone();
        self.rows()
            .write(move |rows| {
                if rows.value::<Vec<Uuid>>(SHOWN)?.is_some() {
                    return Ok(());
                }
                let zone = TimeZone::get(&zone_name).unwrap_or(TimeZone::UTC);
                let today = zone.to_datetime(rows.now()).date();
                let mut shown = Vec::new();
                for (title, platforms, hour, hours) in STREAMS {
                    let target = |platform: &Platform| {
                        let id = Uuid::now_v7();
                        let key = StreamKey::parse("this-is-no-real-key")?;
                        let secret = SecretString::from(key.expose());
                        let sealed = sealing.seal(Some(&tenant), Purpose::StreamKey, id, &secret)?;
                        let masked = Some(key.masked());
                        Ok(Target {
                            id,
                            platform: *platform,
                            url: None,
                            key: Some(sealed),
                            key_masked: masked,
                            key_id: None,
                        })
                    };
                    let stream = LiveStream {
                        title: Message::new(title).in_locale(Locale::En),
                        videos: videos.iter().map(|(id, _)| *id).collect(),
                        order: PlayOrder::Listed,
                        repeat: true,
                        overlay: None,
                        targets: platforms.iter().map(target).collect::<Result<_>>()?,
                        broadcast: Default::default(),
                    };
                    let row = rows.insert(&tenant, &actor, stream)?;
                    let schedule = Schedule {
                        stream_id: row.id(),
                        starts_at: today.at(hour, 0, 0, 0),
                        time_zone: zone_name.clone(),
                        rule: Some("FREQ=DAILY".into()),
                        times: Vec::new(),
                        skip_dates: Vec::new(),
                        exceptions: Vec::new(),
                        until: Until::Duration(hours * 3600),
                        grace: GRACE,
                        paused: false,
                        broadcast: Broadcast::default(),
                    };
                    let schedule = rows.insert(&tenant, &actor, schedule)?;
                    let rate = videos.iter().map(|(_, rate)| *rate).max().unwrap_or(0);
                    let last = past(rows, &tenant, &actor, &row, &schedule, &zone, rate)?;
                    rows.put_value(&Passed::key(schedule.id()), &Passed { through: rows.now(), last_run: last })?;
                    shown.push(row.id());
                }
                rows.put_value(SHOWN, &shown)
            })
            .await
    }
}

/// Writes the history of a sample stream; the id of the newest run.
fn past(
    rows: &mut Writer<'_>,
    tenant: &Tenant,
    actor: &Actor,
    stream: &Row<LiveStream>,
    schedule: &Row<Schedule>,
    zone: &TimeZone,
    rate: u64,
) -> Result<Option<Uuid>> {
    let Until::Duration(length) = schedule.value.until else { return Ok(None) };
    let mut last = None;
    for (days, short, outcome, restarts) in HISTORY {
        let local = schedule.value.starts_at.checked_sub(jiff::Span::new().days(days));
        let Some(at) = local.ok().and_then(|local| zone.to_ambiguous_timestamp(local).compatible().ok()) else {
            continue;
        };
        let on_air = length.saturating_sub(short);
        let run = ended(stream, schedule.id(), (at, on_air), outcome, restarts, rate)?;
        let row = rows.insert(tenant, actor, run)?;
        let ended_at = row.value.ended_at.unwrap_or(at);
        last = Some(LastRun { run_id: row.id(), outcome, reason: row.value.reason.clone(), at: ended_at });
    }
    let id = last.as_ref().map(|last| last.run_id);
    rows.put_value(&Order::key(stream.id()), &Order { last, ..Order::default() })?;
    Ok(id)
}

fn ended(
    stream: &Row<LiveStream>,
    schedule: Uuid,
    (at, on_air): (Timestamp, u64),
    outcome: RunOutcome,
    restarts: u32,
    rate: u64,
) -> Result<Run> {
    let missed = outcome == RunOutcome::Missed;
    let ended_at = if missed { at } else { at + Duration::from_secs(on_air) };
    let bytes = if missed { 0 } else { rate / 8 * on_air };
    let targets = stream.value.targets.iter().map(|target| {
        let end = (!missed).then_some(TargetEnd {
            outcome,
            reason: None,
            started_at: at,
            ended_at,
            restarts,
            attempts: restarts + 1,
            bytes,
        });
        Ok(RunTarget {
            id: target.id,
            platform: target.platform,
            url: target.address()?,
            key: None,
            key_masked: target.key_masked.clone(),
            fence: u64::from(!missed),
            keeper: None,
            end,
        })
    });
    let mut run = Run {
        stream_id: stream.id(),
        stream_title: stream.value.title.clone(),
        schedule_id: Some(schedule),
        occurrence_at: Some(at),
        occurrence_name: None,
        started_at: (!missed).then_some(at),
        planned_stop: Some(at + Duration::from_secs(on_air)),
        ended_at: Some(ended_at),
        outcome: Some(outcome),
        reason: missed.then(|| Message::new("schedule-missed-over").with("minutes", 150)),
        started_by: "system:planner".into(),
        videos: stream.value.videos.clone(),
        order: stream.value.order,
        repeat: stream.value.repeat,
        overlay: None,
        bitrate: rate,
        cpu: 0,
        extra_mib: 0,
        restarts: 0,
        attempts: 0,
        bytes: 0,
        targets: targets.collect::<Result<_>>()?,
    };
    run.total();
    Ok(run)
}
