//! What people do with live streams and their history.

use jiff::Timestamp;
use uuid::Uuid;

use super::board::{State, StateName};
use super::keys;
use super::overlay::check_logo;
use super::run::{RunOutcome, open_runs};
use super::start::{self, Begun, Start};
use super::stream::{
    End, LiveStream, MOST_STREAMS, MOST_TARGETS, NewStream, Order, StreamChange, check_playlist, check_targets,
    check_title,
};
use crate::audit;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::schedule;
use crate::store::paged::{Paged, Place};
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;

/// A failed or missed run is the state of its stream for so long, in seconds.
const TROUBLE_SHOWN: i64 = 24 * 3600;

/// A stream with how it is.
#[derive(Debug, Clone)]
pub struct StreamView {
    /// The row.
    pub row: Row<LiveStream>,
    /// How it is.
    pub state: State,
}

/// Order of the streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamSort {
    /// By creation.
    #[default]
    Created,
    /// By title.
    Title,
    /// By next occurrence; those without one last.
    Next,
}

/// Which streams.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum StreamFilter {
    /// All.
    #[default]
    All,
    /// Those with an encoder wanted or running.
    OnAir,
    /// Those without.
    OffAir,
    /// Those with an occurrence to come.
    Planned,
    /// Those with nothing to come that are off air.
    Idle,
    /// Those whose last run failed, or that are in this state.
    Is(StateName),
}

/// What is asked of the list of streams.
#[derive(Debug, Clone, Default)]
pub struct StreamQuery {
    /// Part of the title.
    pub search: String,
    /// Order.
    pub sort: StreamSort,
    /// Which.
    pub filter: StreamFilter,
    /// Which page.
    pub place: Place,
}

impl StreamFilter {
    fn keeps(self, state: &State) -> bool {
        match self {
            StreamFilter::All => true,
            StreamFilter::OnAir => state.name.is_on_air(),
            StreamFilter::OffAir => !state.name.is_on_air(),
            StreamFilter::Planned => state.next_at.is_some(),
            StreamFilter::Idle => !state.name.is_on_air() && state.next_at.is_none(),
            StreamFilter::Is(name) => state.name == name,
        }
    }
}

impl Library {
    /// How a stream is, from its order, the board and what is planned.
    fn state_of(&self, rows: &Reader<'_>, stream: Uuid, now: Timestamp) -> Result<State> {
        let order: Order = rows.value(&Order::key(stream))?.unwrap_or_default();
        let next_at = schedule::next_of_stream(rows, stream, now)?;
        let mut state = match (self.foundation().board().state(self.scope(), stream), &order.last) {
            // Another end is wanted before the engine has shown it.
            (Some(shown), _) if order.run.is_some() && shown.run_id == order.run => {
                State { stop_at: order.stop_at, ..shown }
            }
            (Some(shown), _) => shown,
            (None, _) if order.on => State {
                since: order.since,
                run_id: order.run,
                stop_at: order.stop_at,
                ..State::of(StateName::Starting)
            },
            // Told to stop before the engine has shown it.
            (None, _) if order.run.is_some() => {
                State { since: order.since, run_id: order.run, ..State::of(StateName::Stopping) }
            }
            (None, Some(last)) => {
                let trouble = matches!(last.outcome, RunOutcome::Failed | RunOutcome::Missed);
                let name = if trouble && now.duration_since(last.at).as_secs() < TROUBLE_SHOWN {
                    StateName::Failed
                } else if next_at.is_some() {
                    StateName::Scheduled
                } else {
                    StateName::Ended
                };
                let reason = last.reason.clone().filter(|_| name == StateName::Failed);
                State { since: Some(last.at), run_id: Some(last.run_id), reason, ..State::of(name) }
            }
            (None, None) => State::of(if next_at.is_some() { StateName::Scheduled } else { StateName::Idle }),
        };
        // A run that waits for its second knows it best.
        if state.name != StateName::Scheduled || state.next_at.is_none() {
            state.next_at = next_at;
        }
        Ok(state)
    }

    /// A page of streams.
    pub async fn streams(&self, query: StreamQuery) -> Result<Paged<StreamView>> {
        let (library, now) = (self.clone(), self.foundation().clock().now());
        self.rows()
            .read(move |rows| {
                let words = query.search.to_lowercase();
                let mut all = Vec::new();
                let mut found = Vec::new();
                rows.each::<LiveStream>(false, |row| {
                    if words.split_whitespace().all(|word| row.value.title.to_lowercase().contains(word)) {
                        found.push(row);
                    }
                    std::ops::ControlFlow::Continue(())
                })?;
                for row in found {
                    let state = library.state_of(rows, row.id(), now)?;
                    if !query.filter.keeps(&state) {
                        continue;
                    }
                    let mut key = match query.sort {
                        StreamSort::Created => Vec::new(),
                        StreamSort::Title => row.value.title.to_lowercase().into_bytes(),
                        StreamSort::Next => {
                            let at = state.next_at.map_or(i64::MAX, Timestamp::as_millisecond);
                            at.to_be_bytes().to_vec()
                        }
                    };
                    key.push(0);
                    key.extend_from_slice(row.id().as_bytes());
                    all.push((key, StreamView { row, state }));
                }
                Ok(Paged::of(all, &query.place))
            })
            .await
    }

    /// One stream.
    pub async fn stream(&self, id: Uuid) -> Result<StreamView> {
        let (library, now) = (self.clone(), self.foundation().clock().now());
        self.rows()
            .read(move |rows| {
                let row = rows.need::<LiveStream>(id)?;
                Ok(StreamView { row, state: library.state_of(rows, id, now)? })
            })
            .await
    }

    /// Id and title of every stream, by title, to choose from.
    pub async fn stream_titles(&self) -> Result<Vec<(Uuid, String)>> {
        let mut titles = self
            .rows()
            .read(|rows| {
                let mut titles = Vec::new();
                rows.each::<LiveStream>(false, |row| {
                    titles.push((row.id(), row.value.title));
                    std::ops::ControlFlow::Continue(())
                })?;
                Ok(titles)
            })
            .await?;
        titles.sort_by_cached_key(|(id, title)| (title.to_lowercase(), *id));
        Ok(titles)
    }

    /// How a stream is.
    pub async fn stream_state(&self, id: Uuid) -> Result<State> {
        Ok(self.stream(id).await?.state)
    }
}

impl Editor {
    /// Makes a stream.
    ///
    /// # Errors
    /// [`Error::Invalid`] with every field that makes no sense; a target's fields are `targets.<n>.url` and so on.
    /// [`Error::OverQuota`] where the tenant has [`MOST_STREAMS`].
    pub async fn create_stream(&self, new: NewStream) -> Result<StreamView> {
        self.create_stream_with(new, |_, _| Ok(())).await
    }

    /// As [`Editor::create_stream`], with what `with` writes in the same batch.
    pub(crate) async fn create_stream_with(
        &self,
        new: NewStream,
        mut with: impl FnMut(&mut Writer<'_>, Uuid) -> Result<()> + Send + 'static,
    ) -> Result<StreamView> {
        let mut errors = Vec::new();
        let title = check_title(&new.title, &mut errors);
        check_playlist(&new.videos, &mut errors);
        let overlay = self.checked_overlay(new.overlay.as_ref(), None, &mut errors).await;
        let allow_private = self.foundation().config().live.allow_private_targets;
        let broadcast = new.broadcast.checked(&mut errors);
        let inputs = self.with_kept_keys(&new.targets, &mut errors).await?;
        let targets = check_targets(&inputs, &[], allow_private, &mut errors).await;
        let (tenant, actor) = (self.tenant().clone(), self.actor().clone());
        let sealing = self.foundation().vault().sealing();
        let id = Uuid::now_v7();
        self.rows()
            .write(move |rows| {
                let mut errors = errors.clone();
                start::check_videos(rows, &new.videos, &[], &mut errors)?;
                check_logo(rows, overlay.as_ref(), &mut errors)?;
                broadcast.check_thumbnail(rows, None, &mut errors)?;
                if !errors.is_empty() {
                    return Err(Error::Invalid(errors));
                }
                if rows.view().count_by::<LiveStream>("title", |_, _| true)? >= MOST_STREAMS {
                    return Err(Error::OverQuota(Message::new("live-streams-many").with("most", MOST_STREAMS)));
                }
                let stream = LiveStream {
                    title: title.clone(),
                    videos: new.videos.clone(),
                    order: new.order,
                    repeat: new.repeat,
                    overlay: overlay.clone(),
                    targets: targets.iter().map(|target| target.seal(&sealing, &tenant)).collect::<Result<_>>()?,
                    broadcast: broadcast.clone(),
                };
                audit::record(rows, &actor, "stream.create", format!("{id} {title}"))?;
                with(rows, id)?;
                rows.insert_with_id(id, &tenant, &actor, stream).map(drop)
            })
            .await?;
        self.stream(id).await
    }

    /// Changes a stream; what is on air goes on as it began.
    ///
    /// # Errors
    /// As [`Editor::create_stream`]; [`Error::Stale`] where `expected` is not its version.
    pub async fn change_stream(&self, id: Uuid, expected: Option<u64>, change: StreamChange) -> Result<StreamView> {
        let mut errors = Vec::new();
        let title = change.title.as_deref().map(|title| check_title(title, &mut errors));
        if let Some(videos) = &change.videos {
            check_playlist(videos, &mut errors);
        }
        let before = self.rows().read(move |rows| rows.need::<LiveStream>(id)).await?.value;
        let overlay = match &change.overlay {
            Some(wanted) => Some(self.checked_overlay(wanted.as_ref(), before.overlay.as_ref(), &mut errors).await),
            None => None,
        };
        let old = before.targets;
        let allow_private = self.foundation().config().live.allow_private_targets;
        let targets = match &change.targets {
            Some(inputs) => {
                let inputs = self.with_kept_keys(inputs, &mut errors).await?;
                Some(check_targets(&inputs, &old, allow_private, &mut errors).await)
            }
            None => None,
        };
        let broadcast = change.broadcast.as_ref().map(|broadcast| broadcast.checked(&mut errors));
        let (tenant, actor) = (self.tenant().clone(), self.actor().clone());
        let sealing = self.foundation().vault().sealing();
        self.rows()
            .write(move |rows| {
                let row = rows.need::<LiveStream>(id, expected)?;
                let mut errors = errors.clone();
                let mut stream = row.value.clone();
                if let Some(videos) = &change.videos {
                    start::check_videos(rows, videos, &stream.videos, &mut errors)?;
                    stream.videos = videos.clone();
                }
                if let Some(overlay) = &overlay {
                    check_logo(rows, overlay.as_ref(), &mut errors)?;
                    stream.overlay.clone_from(overlay);
                }
                if let Some(broadcast) = &broadcast {
                    broadcast.check_thumbnail(rows, Some(&stream.broadcast), &mut errors)?;
                    stream.broadcast.clone_from(broadcast);
                }
                if !errors.is_empty() {
                    return Err(Error::Invalid(errors));
                }
                if let Some(targets) = &targets {
                    if stream.targets != old {
                        // Keys are kept by what was there when the form was checked.
                        return Err(Error::Stale);
                    }
                    stream.targets =
                        targets.iter().map(|target| target.seal(&sealing, &tenant)).collect::<Result<_>>()?;
                }
                stream.title = title.clone().unwrap_or(stream.title);
                stream.order = change.order.unwrap_or(stream.order);
                stream.repeat = change.repeat.unwrap_or(stream.repeat);
                if stream == row.value {
                    return Ok(());
                }
                audit::record(rows, &actor, "stream.change", format!("{id} {}", stream.title))?;
                rows.update(&row, stream).map(drop)
            })
            .await?;
        self.stream(id).await
    }

    /// Deletes a stream with its schedules; its history stays. How many schedules went with it.
    ///
    /// # Errors
    /// [`Error::Conflict`] while it is on air: stop it first.
    pub async fn delete_stream(&self, id: Uuid, expected: Option<u64>) -> Result<usize> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let row = rows.need::<LiveStream>(id, expected)?;
                let order: Order = rows.value(&Order::key(id))?.unwrap_or_default();
                if order.on || open_runs(rows.view())?.iter().any(|run| run.value.stream_id == id) {
                    return Err(Error::Conflict(Message::new("live-stop-first").with("title", row.value.title)));
                }
                let gone = schedule::delete_of_stream(rows, &actor, id)?;
                rows.delete_value(&Order::key(id));
                rows.delete(&row);
                audit::record(rows, &actor, "stream.delete", format!("{id} {}", row.value.title))?;
                Ok(gone)
            })
            .await
    }

    /// Puts a stream on air now. The run.
    ///
    /// # Errors
    /// [`Error::Conflict`] if it is on air already, has no video left, sends to a key that is in use, or the box cannot
    /// carry it; [`Error::Invalid`] for an end that has passed; [`Error::TooMany`] where it is started again and again.
    pub async fn start_stream(&self, id: Uuid, end: End) -> Result<Uuid> {
        let now = self.foundation().clock().now();
        let stop_at = end.instant(now)?;
        self.begin_run(Start {
            stream: id,
            run: Uuid::now_v7(),
            start_at: now,
            stop_at,
            schedule: None,
            occurrence: None,
        })
        .await
    }

    /// Starts a run because somebody asked for it.
    pub(crate) async fn begin_run(&self, begin: Start) -> Result<Uuid> {
        self.foundation().board().count_start(begin.stream)?;
        start::mark_to_begin(self.foundation(), self.tenant()).await?;
        let (library, actor, run) = (Library::clone(self), self.actor().clone(), begin.run);
        let taken = keys::claim_to_begin(self, begin.stream, run).await?;
        let begun = self
            .rows()
            .write(move |rows| match start::begin(rows, &library, &actor, &begin)? {
                // Not before it is known that the stream is off air itself and has something to send.
                Begun::Run => taken.clone().map_or(Ok(run), |taken| Err(Error::Conflict(taken))),
                Begun::Busy { stopping: false, .. } => Err(Error::Conflict(Message::new("live-already-on"))),
                Begun::Busy { stopping: true, .. } => Err(Error::Conflict(Message::new("live-still-stopping"))),
                Begun::NoRoom(reason) | Begun::Refused(reason) => Err(Error::Conflict(reason)),
            })
            .await;
        if begun.is_err() {
            self.foundation().board().unbook(run);
            keys::give_back(self.foundation(), run, MOST_TARGETS).await?;
        }
        begun
    }

    /// Takes a stream off air; fine if it is off.
    pub async fn stop_stream(&self, id: Uuid) -> Result<()> {
        let actor = self.actor().clone();
        self.rows()
            .write(move |rows| {
                let row = rows.need::<LiveStream>(id, None)?;
                let order: Order = rows.value(&Order::key(id))?.unwrap_or_default();
                if !order.on {
                    return Ok(());
                }
                audit::record(rows, &actor, "stream.stop", format!("{id} {}", row.value.title))?;
                let order = Order { on: false, since: Some(rows.now()), by: actor.name().to_owned(), ..order };
                rows.put_value(&Order::key(id), &order)
            })
            .await
    }
}
