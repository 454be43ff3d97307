//! One attempt to serve one occurrence, or one "start now": written down before any process is started, and the
//! history afterwards.

use std::collections::{BTreeSet, HashSet};
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::board::Load;
use super::keeper::files;
use super::overlay::Overlay;
use super::stream::{LiveStream, PlayOrder};
use super::target::{Platform, TargetUrl};
use crate::error::Result;
use crate::store::Range;
use crate::store::rows::{Cursor, Header, Index, Reader, Record, Row, index_prefix};
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Secretive};

/// How a run ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunOutcome {
    /// The stop time came, or the playlist was through.
    Completed,
    /// Somebody stopped it.
    Stopped,
    /// It could not be kept on air.
    Failed,
    /// It was not even tried.
    Missed,
}

impl RunOutcome {
    /// All of them.
    pub const ALL: [RunOutcome; 4] =
        [RunOutcome::Completed, RunOutcome::Stopped, RunOutcome::Failed, RunOutcome::Missed];

    /// The word used in forms and the API.
    pub fn code(self) -> &'static str {
        match self {
            RunOutcome::Completed => "completed",
            RunOutcome::Stopped => "stopped",
            RunOutcome::Failed => "failed",
            RunOutcome::Missed => "missed",
        }
    }

    /// Reads [`RunOutcome::code`].
    pub fn parse(code: &str) -> Option<RunOutcome> {
        RunOutcome::ALL.into_iter().find(|outcome| outcome.code() == code)
    }

    fn byte(outcome: Option<RunOutcome>) -> u8 {
        match outcome {
            None => b'o',
            Some(RunOutcome::Completed) => b'c',
            Some(RunOutcome::Stopped) => b's',
            Some(RunOutcome::Failed) => b'f',
            Some(RunOutcome::Missed) => b'm',
        }
    }
}

impl From<files::End> for RunOutcome {
    fn from(end: files::End) -> RunOutcome {
        match end {
            files::End::Completed => RunOutcome::Completed,
            files::End::Stopped => RunOutcome::Stopped,
            files::End::Failed => RunOutcome::Failed,
        }
    }
}

/// One attempt to be on air.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Run {
    /// The stream it serves.
    pub stream_id: Uuid,
    /// What that was called then.
    pub stream_title: String,
    /// The schedule that asked for it.
    pub schedule_id: Option<Uuid>,
    /// The occurrence of that schedule; `None` for "run now".
    pub occurrence_at: Option<Timestamp>,
    /// What the schedule calls that occurrence, whenever it is.
    #[serde(default)]
    pub occurrence_name: Option<String>,
    /// When it went, or was to go, on air; `None` where it was missed.
    pub started_at: Option<Timestamp>,
    /// When it has to end.
    pub planned_stop: Option<Timestamp>,
    /// When it was over; the same as `started_at` where it was missed.
    pub ended_at: Option<Timestamp>,
    /// How it ended; `None` while it is on.
    pub outcome: Option<RunOutcome>,
    /// Why, where there is something to say.
    pub reason: Option<Message>,
    /// Who, or which task, started it.
    pub started_by: String,
    /// The playlist as it was then. While the run is on, these bytes are kept ([`pinned`]).
    pub videos: Vec<Uuid>,
    /// As it was then.
    pub order: PlayOrder,
    /// As it was then.
    #[serde(rename = "loop")]
    pub repeat: bool,
    /// What is laid over the picture.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub overlay: Option<Overlay>,
    /// Of the videos, or of what they are encoded to, the highest, in bits per second, for admission.
    pub bitrate: u64,
    /// What one encoder of it takes: see [`Load`].
    #[serde(default)]
    pub cpu: u64,
    /// Likewise.
    #[serde(default)]
    pub extra_mib: u64,
    /// Starts of ffmpeg after something went wrong.
    pub restarts: u32,
    /// All starts of ffmpeg.
    pub attempts: u32,
    /// Bytes sent to all targets.
    pub bytes: u64,
    /// The places it goes to.
    pub targets: Vec<RunTarget>,
}

/// One place that a run goes to.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RunTarget {
    /// The stream's target.
    pub id: Uuid,
    /// Whose ingest.
    pub platform: Platform,
    /// Where to, without the key.
    pub url: TargetUrl,
    /// The key, sealed for the target; gone when the run is over.
    pub key: Option<Sealed>,
    /// What may be shown of the key.
    pub key_masked: Option<String>,
    /// Number of the newest keeper that was started for it, from 1; on record before the keeper is started.
    pub fence: u64,
    /// That keeper, once it stands.
    pub keeper: Option<KeeperNote>,
    /// How it ended.
    pub end: Option<TargetEnd>,
}

impl Secretive for Run {
    fn secrets(&self, _: Uuid) -> Vec<(Purpose, Uuid, &Sealed)> {
        let sealed = self.targets.iter().filter_map(|target| Some((target.id, target.key.as_ref()?)));
        sealed.map(|(id, key)| (Purpose::StreamKey, id, key)).collect()
    }
}

/// A process, for the record; the keeper's own file is what counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeeperNote {
    /// Process id.
    pub pid: i32,
    /// Clock ticks from boot to its start.
    pub start_time: u64,
}

/// How one target's part of a run ended.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct TargetEnd {
    /// Completed, stopped or failed.
    pub outcome: RunOutcome,
    /// Why, for failed.
    pub reason: Option<Message>,
    /// When it began.
    pub started_at: Timestamp,
    /// When its ffmpeg was gone.
    pub ended_at: Timestamp,
    /// Starts of ffmpeg after something went wrong.
    pub restarts: u32,
    /// All starts of ffmpeg.
    pub attempts: u32,
    /// Bytes sent.
    pub bytes: u64,
}

impl From<files::Outcome> for TargetEnd {
    fn from(outcome: files::Outcome) -> TargetEnd {
        TargetEnd {
            outcome: outcome.outcome.into(),
            reason: outcome.reason,
            started_at: outcome.started_at,
            ended_at: outcome.ended_at,
            restarts: outcome.restarts,
            attempts: outcome.attempts,
            bytes: outcome.bytes,
        }
    }
}

impl Run {
    /// On air, or about to be.
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    /// What so many encoders of it take.
    pub(crate) fn load(&self, encoders: u64) -> Load {
        let each = Load { encoders: 1, bitrate: self.bitrate, cpu: self.cpu, extra_mib: self.extra_mib };
        each.times(encoders)
    }

    /// Seconds from start to end; `None` while it is on or where it was missed.
    pub fn length(&self) -> Option<u64> {
        let (start, end) = (self.started_at?, self.ended_at?);
        Some(u64::try_from(end.duration_since(start).as_secs()).unwrap_or(0))
    }

    /// When it went on air, or when it should have.
    pub fn at(&self, header: &Header) -> Timestamp {
        self.started_at.or(self.occurrence_at).unwrap_or(header.created_at)
    }

    /// How the run as a whole ended, once every target has: stopped if somebody stopped it, completed if one place was
    /// served to the end, else failed.
    pub(super) fn verdict(&self) -> Option<(RunOutcome, Option<Message>)> {
        let ends: Vec<&TargetEnd> = self.targets.iter().map(|target| target.end.as_ref()).collect::<Option<_>>()?;
        for outcome in [RunOutcome::Stopped, RunOutcome::Completed] {
            if ends.iter().any(|end| end.outcome == outcome) {
                return Some((outcome, None));
            }
        }
        let reason = ends.iter().find_map(|end| end.reason.clone());
        Some((RunOutcome::Failed, reason))
    }

    /// Where a run stands in the order of an index.
    pub(super) fn cursor(index: &str, run: &Row<Run>) -> Cursor {
        let mut key = index_prefix::<Run>(index);
        let found = run.value.indexes(&run.header).into_iter().find(|row| row.name == index);
        key.extend(found.map(|row| row.key).unwrap_or_default());
        key.extend_from_slice(run.id().as_bytes());
        Cursor::from_bytes(key)
    }

    /// Adds up what its targets did.
    pub(super) fn total(&mut self) {
        let ends = self.targets.iter().filter_map(|target| target.end.as_ref());
        (self.restarts, self.attempts, self.bytes) = ends.fold((0, 0, 0), |(restarts, attempts, bytes), end| {
            (restarts + end.restarts, attempts + end.attempts, bytes + end.bytes)
        });
    }
}

impl Record for Run {
    const KIND: &'static str = "run";

    fn indexes(&self, header: &Header) -> Vec<Index> {
        let mut beside = vec![RunOutcome::byte(self.outcome)];
        beside.extend_from_slice(self.stream_id.as_bytes());
        let at = u64::try_from(self.at(header).as_millisecond()).unwrap_or(0);
        let mut indexes = vec![
            Index::number("at", at).with(beside.clone()),
            Index::number("length", self.length().unwrap_or(0)).with(beside),
        ];
        if self.is_open() {
            indexes.push(Index { name: "open", key: Vec::new(), value: Vec::new() });
        }
        indexes
    }
}

/// Order of the history.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum RunSort {
    /// By the time on air.
    #[default]
    At,
    /// By length.
    Length,
}

impl RunSort {
    pub(super) fn index(self) -> &'static str {
        match self {
            RunSort::At => "at",
            RunSort::Length => "length",
        }
    }
}

/// Which runs.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RunFilter {
    /// Those on air.
    On,
    /// Those that ended so.
    Ended(RunOutcome),
}

/// What is asked of the history.
#[derive(Debug, Clone, Default)]
pub struct RunQuery {
    /// Only these.
    pub filter: Option<RunFilter>,
    /// Only runs of this stream.
    pub stream: Option<Uuid>,
    /// Order.
    pub sort: RunSort,
    /// Smallest first; otherwise the newest or longest first.
    pub rising: bool,
    /// Where the page starts…
    pub after: Option<Cursor>,
    /// …or ends.
    pub before: bool,
    /// Runs a page.
    pub limit: usize,
}

impl RunQuery {
    /// Whether an index row fits, by what is kept beside its key.
    pub(super) fn keeps(&self, beside: &[u8]) -> bool {
        let Some((byte, stream)) = beside.split_first() else { return false };
        let wanted = match self.filter {
            None => true,
            Some(RunFilter::On) => *byte == RunOutcome::byte(None),
            Some(RunFilter::Ended(outcome)) => *byte == RunOutcome::byte(Some(outcome)),
        };
        wanted && self.stream.is_none_or(|id| id.as_bytes() == stream)
    }
}

/// So long before a stretch of time the shorter runs that reach into it are looked for, in seconds.
const REACH_BACK: u64 = 2 * 24 * 3600;

/// The runs that were on air, or missed, between two instants, at most so many, by time.
pub(crate) fn runs_between(rows: &Reader<'_>, from: Timestamp, to: Timestamp, most: usize) -> Result<Vec<Row<Run>>> {
    let number = |at: Timestamp| u64::try_from(at.as_millisecond()).unwrap_or(0).to_be_bytes();
    let key = |index: &str, number: u64| [index_prefix::<Run>(index), number.to_be_bytes().to_vec()].concat();
    let mut ids = BTreeSet::new();
    let mut gather = |index: &str, first: u64, end: Option<[u8; 8]>| -> Result<()> {
        let (prefix, first) = (index_prefix::<Run>(index), key(index, first));
        let mut taken = 0;
        rows.scan(Range { prefix: &prefix, after: Some(&first), reverse: false }, |key, _| {
            let Some((number, id)) = key[prefix.len()..].split_at_checked(8) else { return ControlFlow::Continue(()) };
            if taken >= most || end.is_some_and(|end| number >= &end[..]) {
                return ControlFlow::Break(());
            }
            taken += 1;
            ids.extend(Uuid::from_slice(id));
            ControlFlow::Continue(())
        })
    };
    let before = from.checked_sub(Duration::from_secs(REACH_BACK)).unwrap_or(from);
    gather("at", u64::from_be_bytes(number(before)), Some(number(to)))?;
    gather("length", REACH_BACK, None)?;
    ids.extend(rows.ids_at::<Run>("open", &[])?);
    let mut found = Vec::new();
    for id in ids {
        found.extend(rows.get::<Run>(id)?);
    }
    let end = |run: &Row<Run>| run.value.ended_at.unwrap_or(Timestamp::MAX).max(run.value.at(&run.header));
    found.retain(|run| run.value.at(&run.header) < to && end(run) >= from);
    found.sort_by_key(|run| (run.value.at(&run.header), run.id()));
    Ok(found)
}

/// The runs that are on air, or about to be.
pub fn open_runs(rows: &Reader<'_>) -> Result<Vec<Row<Run>>> {
    let mut open = Vec::new();
    for id in rows.ids_at::<Run>("open", &[])? {
        open.extend(rows.get::<Run>(id)?.filter(|run| run.value.is_open()));
    }
    Ok(open)
}

/// The streams whose playlists hold a video.
pub fn streams_playing(rows: &Reader<'_>, video: Uuid) -> Result<Vec<Row<LiveStream>>> {
    let mut found = Vec::new();
    rows.each::<LiveStream>(false, |row| {
        if row.value.videos.contains(&video) {
            found.push(row);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// The streams that lay a picture of the gallery over theirs.
pub fn streams_showing(rows: &Reader<'_>, thumbnail: Uuid) -> Result<Vec<Row<LiveStream>>> {
    let mut found = Vec::new();
    rows.each::<LiveStream>(false, |row| {
        let logo = row.value.overlay.as_ref().and_then(|overlay| overlay.logo.as_ref());
        if logo.is_some_and(|logo| logo.thumbnail == thumbnail) {
            found.push(row);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Every video in the playlist of a stream.
pub fn played_videos(rows: &Reader<'_>) -> Result<HashSet<Uuid>> {
    let mut played = HashSet::new();
    rows.each::<LiveStream>(false, |row| {
        played.extend(row.value.videos);
        ControlFlow::Continue(())
    })?;
    Ok(played)
}

/// Whether a run that is on air plays this video, so that its bytes must stay.
pub fn pinned(rows: &Reader<'_>, video: Uuid) -> Result<bool> {
    Ok(open_runs(rows)?.iter().any(|run| run.value.videos.contains(&video)))
}
