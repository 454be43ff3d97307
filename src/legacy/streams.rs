//! Rows of `live_streams.json`: what is to come becomes a stream with its schedule, what is over becomes history.

use jiff::Timestamp;
use jiff::civil::DateTime;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::history::Past;
use super::journal::{self, Mark};
use super::media::Taken;
use super::records::LiveRecord;
use super::report::{Fate, Item, What};
use super::{Ground, Owner, Walk, failure};
use crate::error::{Error, Result};
use crate::library::names;
use crate::live::stream::{MOST_STREAMS, intended_target};
use crate::live::target::{Platform, StreamKey};
use crate::live::{LiveStream, NewStream, PlayOrder, TargetInput};
use crate::schedule::{Broadcast, ScheduleInput};
use crate::store::rows::Writer;
use crate::text::Message;

/// A time of this many seconds ago is still one to come.
const JUST_NOW: i64 = 60;

/// What a row asks for, checked as far as a row can be.
pub(super) struct Wanted {
    pub title: String,
    pub videos: Vec<Uuid>,
    pub target: TargetInput,
    pub starts_at: DateTime,
    /// That of the whole home where absent.
    pub time_zone: Option<String>,
    pub rule: Option<String>,
    pub duration: Option<u64>,
    /// It waits until somebody has looked at it.
    pub paused: bool,
    pub broadcast: Broadcast,
}

/// Where a row came from, for its marks.
#[derive(Clone)]
pub(super) struct Origin {
    /// `live_streams.json 3`.
    pub from: String,
    /// What the row is known by again.
    pub parts: Vec<Vec<u8>>,
    /// What its stream is known by again, where several rows have one.
    pub stream: Option<Vec<Vec<u8>>>,
}

impl Origin {
    /// The same for the same row of the same owner, in few bytes: there may be a hundred thousand.
    pub fn short(&self, owner: &Owner) -> [u8; 16] {
        let hash = blake3::hash(format!("{} {}", owner.tenant, self.identity(What::Schedule)).as_bytes());
        *hash.as_bytes().first_chunk().unwrap_or(&[0; 16])
    }

    pub fn identity(&self, what: What) -> String {
        let of_stream = self.stream.as_ref().filter(|_| what == What::Stream);
        let parts: Vec<&[u8]> = of_stream.unwrap_or(&self.parts).iter().map(Vec::as_slice).collect();
        journal::identity(what, &parts)
    }
}

fn origin(record: &LiveRecord) -> Origin {
    let text = |text: &Option<String>| text.clone().unwrap_or_default().into_bytes();
    let parts = match &record.id {
        Some(id) => vec![b"id".to_vec(), id.clone().into_bytes()],
        None => vec![text(&record.title), text(&record.start), text(&record.video), text(&record.server)],
    };
    Origin { from: format!("{} {}", record.place.database, record.place.row), parts, stream: None }
}

impl Walk {
    pub(super) async fn live_streams(&mut self, videos: &Taken) -> Result<()> {
        let mut records = Vec::new();
        for database in self.databases("live_streams.json") {
            records.extend(self.read(&database, LiveRecord::read).await?);
        }
        let mut seen = std::collections::HashSet::new();
        let mut past = Vec::new();
        for record in records {
            let item = Item::new(What::Stream).row(record.place.database.as_str(), record.place.row.as_str());
            let item = item.title(record.title.as_deref().unwrap_or_default());
            let owner = match self.owner(record.owner.as_deref(), record.person.as_deref()).await? {
                Ok(owner) => owner,
                Err(reason) => {
                    self.teller.tell(item.skipped(reason)).await?;
                    continue;
                }
            };
            let item = item.owner(&owner.tenant);
            let origin = origin(&record);
            if !seen.insert(origin.short(&owner)) {
                self.teller.tell(item.skipped(Message::new("migrate-same-row"))).await?;
                continue;
            }
            let video = self.video_of(&record, &owner, videos);
            if record.status.as_deref() == Some("completed") {
                let item = Item { what: What::Run, ..item };
                match self.ground.past_row(&record) {
                    Ok(row) => {
                        let run = self.ground.past(row, video.ok().flatten(), &origin);
                        past.push(Past { owner, item, origin, run });
                    }
                    Err(reason) => self.teller.tell(item.skipped(reason)).await?,
                }
                self.history(&mut past, false).await?;
                continue;
            }
            let wanted = match video {
                Ok(video) => self.ground.wanted(&record, video),
                Err(reason) => Err(reason),
            };
            let told = match wanted {
                Ok(wanted) => Box::pin(self.ground.stream(&owner, &wanted, &origin, item)).await?,
                Err(reason) => match self.ground.came(&owner, &origin, &item).await? {
                    Some(told) => told,
                    None => vec![item.skipped(reason)],
                },
            };
            for item in told {
                self.teller.tell(item).await?;
            }
        }
        self.history(&mut past, true).await
    }

    /// The video that a row names; in a plan it has no id yet.
    fn video_of(&self, record: &LiveRecord, owner: &Owner, videos: &Taken) -> Result<Option<Uuid>, Message> {
        let name = record.video.as_deref().ok_or_else(|| Message::new("migrate-row-no-file"))?;
        let (path, came) = self.files.named(What::Video, &owner.tenant, record.owner.as_deref(), name)?;
        if came.is_some() {
            return Ok(came);
        }
        let unknown = || Message::new("migrate-video-not-here").with("file", super::shown(&path));
        videos.get(&(owner.tenant.clone(), path.clone())).copied().ok_or_else(unknown)
    }
}

impl Ground {
    fn wanted(&self, record: &LiveRecord, video: Option<Uuid>) -> Result<Wanted, Message> {
        let platform = record.platform()?;
        let title = names::line(record.title.as_deref().unwrap_or_default(), crate::live::stream::LONGEST_TITLE);
        if title.is_empty() {
            return Err(Message::new("migrate-row-no-title"));
        }
        if platform.default_url().is_none() && record.address.is_none() {
            return Err(Message::new("migrate-address-missing").with("platform", platform.code()));
        }
        let target = target(platform, record.address.as_deref(), record.key.as_deref()).map_err(failure)?;
        Ok(Wanted {
            title,
            videos: video.into_iter().collect(),
            target,
            starts_at: record.start()?,
            time_zone: None,
            paused: false,
            broadcast: Broadcast::default(),
            rule: record.daily.then(|| "FREQ=DAILY".to_owned()),
            duration: record.seconds()?,
        })
    }

    /// A stream and its schedule: what becomes of both.
    pub(super) async fn stream(
        &self,
        owner: &Owner,
        wanted: &Wanted,
        origin: &Origin,
        item: Item,
    ) -> Result<Vec<Item>> {
        let as_schedule = |item: &Item| Item { what: What::Schedule, id: None, reason: None, ..item.clone() };
        let present = journal::find(owner.library(), origin.identity(What::Stream)).await?;
        let (stream, id) = match present {
            // Rows may share one.
            None if owner.planned.lock().await.streams.contains(&origin.identity(What::Stream)) => {
                (item.clone().fate(Fate::Present), None)
            }
            Some(mark) => (Item { id: Some(mark.id), ..item.clone().fate(Fate::Present) }, Some(mark.id)),
            None if !self.wants(What::Stream) => {
                return Ok(vec![item.unneeded(Message::new("migrate-not-asked"))]);
            }
            None if self.is_any_gone(owner, wanted).await? => {
                return Ok(vec![item.skipped(Message::new("migrate-video-deleted"))]);
            }
            None => match self.make_stream(owner, wanted, origin).await? {
                Ok((id, reason)) => (Item { id, reason, ..item.clone() }, id),
                Err(reason) => return Ok(vec![item.skipped(reason)]),
            },
        };
        let schedule = as_schedule(&item);
        if let Some(mark) = journal::find(owner.library(), origin.identity(What::Schedule)).await? {
            let schedule = Item { id: Some(mark.id), ..schedule.fate(Fate::Present) };
            return Ok(vec![stream, schedule]);
        }
        if !self.wants(What::Schedule) {
            return Ok(vec![stream, schedule.unneeded(Message::new("migrate-not-asked"))]);
        }
        let schedule = match self.make_schedule(owner, wanted, id, origin).await? {
            Ok(id) => Item { id, ..schedule },
            Err(reason) => schedule.skipped(reason),
        };
        Ok(vec![stream, schedule])
    }

    /// Whether a video that came was deleted here since.
    async fn is_any_gone(&self, owner: &Owner, wanted: &Wanted) -> Result<bool> {
        for video in &wanted.videos {
            if !self.is_here(What::Video, owner, *video).await? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// What came of a row before, whatever hinders it by now: its video may have gone with a move.
    pub(super) async fn came(&self, owner: &Owner, origin: &Origin, item: &Item) -> Result<Option<Vec<Item>>> {
        let mut told = Vec::new();
        for what in [What::Stream, What::Schedule] {
            if let Some(mark) = journal::find(owner.library(), origin.identity(what)).await? {
                told.push(Item { what, id: Some(mark.id), ..item.clone().fate(Fate::Present) });
            }
        }
        Ok((!told.is_empty()).then_some(told))
    }

    async fn make_stream(
        &self,
        owner: &Owner,
        wanted: &Wanted,
        origin: &Origin,
    ) -> Result<Result<(Option<Uuid>, Option<Message>), Message>> {
        let (true, Some(editor)) = (self.applies(), &owner.editor) else {
            let planned = self.plan_stream(owner, wanted, origin).await;
            return told(planned).map(|told| told.map(|note| (None, note)));
        };
        let new = NewStream {
            title: wanted.title.clone(),
            videos: wanted.videos.clone(),
            order: PlayOrder::Listed,
            // The old program began a video again and again until its time was over.
            repeat: true,
            overlay: None,
            targets: vec![wanted.target.clone()],
            // Started by hand, too, it is shown to nobody else than the old row says.
            broadcast: Broadcast {
                privacy: wanted.broadcast.privacy,
                made_for_kids: wanted.broadcast.made_for_kids,
                ..Broadcast::default()
            },
        };
        let made = Box::pin(editor.create_stream_with(new, self.mark(What::Stream, origin))).await;
        told(made.map(|view| (Some(view.row.id()), None)))
    }

    /// What making a stream would say, and what is to be known of it beside.
    async fn plan_stream(&self, owner: &Owner, wanted: &Wanted, origin: &Origin) -> Result<Option<Message>> {
        let (_, name) = self.target_of(wanted)?;
        let mut planned = owner.planned.lock().await;
        let there = match (planned.there, owner.library()) {
            (Some(there), _) => there,
            (None, Some(library)) => {
                match library.rows().read(|rows| rows.count_by::<LiveStream>("title", |_, _| true)).await {
                    Err(Error::NotFound) => 0,
                    there => there?,
                }
            }
            (None, None) => 0,
        };
        planned.there = Some(there);
        if there + planned.streams.len() as u64 >= MOST_STREAMS {
            return Err(Error::OverQuota(Message::new("live-streams-many").with("most", MOST_STREAMS)));
        }
        planned.streams.insert(origin.identity(What::Stream));
        Ok(name.map(|name| Message::new("migrate-host-later").with("host", name)))
    }

    /// What the key is known by that a stream would be sent to, and the name that would have to be looked up for it.
    fn target_of(&self, wanted: &Wanted) -> Result<(String, Option<String>)> {
        intended_target(&wanted.target, self.moving.foundation.config().live.allow_private_targets)
    }

    async fn make_schedule(
        &self,
        owner: &Owner,
        wanted: &Wanted,
        stream: Option<Uuid>,
        origin: &Origin,
    ) -> Result<Result<Option<Uuid>, Message>> {
        let zone = wanted.time_zone.as_ref().unwrap_or(&self.request.time_zone);
        let now = self.moving.foundation.clock().now();
        if wanted.rule.is_none() && instant(zone, wanted.starts_at).is_none_or(|at| is_over(now, at)) {
            return Ok(Err(Message::new("migrate-time-over")));
        }
        let input = ScheduleInput {
            stream_id: stream.unwrap_or_default(),
            starts_at: wanted.starts_at,
            time_zone: zone.clone(),
            rule: wanted.rule.clone(),
            times: Vec::new(),
            skip_dates: Vec::new(),
            duration: wanted.duration,
            stop_at: None,
            grace: None,
            paused: wanted.paused,
        };
        let (true, Some(editor)) = (self.applies(), &owner.editor) else {
            let (key, _) = match self.target_of(wanted) {
                Ok(target) => target,
                Err(cause) => return told(Err(cause)),
            };
            let goes = (wanted.title.as_str(), std::iter::once(key).collect());
            let mut planned = owner.planned.lock().await;
            let planned = planned.schedules.add(&self.moving.foundation, owner.library(), goes, &input).await;
            return told(planned.map(|()| None));
        };
        let made =
            Box::pin(editor.create_schedule_with(input, wanted.broadcast.clone(), self.mark(What::Schedule, origin)))
                .await;
        told(made.map(|view| Some(view.row.id())))
    }

    /// What writes the mark of a row, in the batch that makes what it becomes.
    pub(super) fn mark(
        &self,
        what: What,
        origin: &Origin,
    ) -> impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + use<> {
        let (home, from, identity) = (self.home.clone(), origin.from.clone(), origin.identity(what));
        move |rows, id| {
            let mark = Mark { what, id, home: home.clone(), from: from.clone(), file: None, at: rows.now() };
            mark.write(rows, &identity)
        }
    }
}

/// What was refused is told, what failed ends the walk.
fn told<T>(made: Result<T>) -> Result<Result<T, Message>> {
    match made {
        Ok(made) => Ok(Ok(made)),
        Err(cause @ Error::Internal(_)) => Err(cause),
        Err(cause) => Ok(Err(failure(cause))),
    }
}

/// Whether a single time is none to come any more.
pub(super) fn is_over(now: Timestamp, at: Timestamp) -> bool {
    at.as_second() < now.as_second() - JUST_NOW
}

/// The instant of a local time in the old program's zone.
pub(super) fn instant(zone: &str, local: DateTime) -> Option<Timestamp> {
    let zone = TimeZone::get(zone).ok()?;
    zone.to_ambiguous_timestamp(local).compatible().ok()
}

/// A target as a row names it: checked here, so that a plan says what the real thing will.
pub(super) fn target(platform: Platform, address: Option<&str>, key: Option<&str>) -> Result<TargetInput> {
    // Only a server of one's own, and platforms without an address of their own, are sent where the row says.
    let typed = address.filter(|_| platform.default_url().is_none());
    let url = platform.url(typed)?;
    let key = key.map(StreamKey::parse).transpose()?;
    if url.split_stream_name().is_none() || key.is_some() {
        url.check_key(platform, key.as_ref())?;
    }
    let (url, key) = (typed.map(str::to_owned), key.map(|key| key.expose().to_owned()));
    Ok(TargetInput { id: None, platform, url, key, key_id: None })
}
