//! What the platform is told of one broadcast: one step at a time, each written down before and after.
//!
//! A broadcast is asked for only after its row says so; where nobody knows what became of that, it is looked for by its
//! marker before another one is asked for.

mod air;
mod tell;

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::api::{Account, Which};
use super::event::{Event, Over, Phase};
use super::fault::{Fault, Sort, own};
use super::plan::{run_of, serves};
use super::quota::Need;
use super::worker::Worker;
use crate::audit;
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::live::Run;
use crate::notify;
use crate::oauth::{Connection, State};
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;

pub(super) use tell::picture_of;

/// What was asked for and not answered is not asked for again before it had this long to show up in lists.
const SETTLE: Duration = Duration::from_secs(20);
/// Between two looks at a stream that is to be shown soon, or is not any time soon.
const LOOK_SOON: Duration = Duration::from_secs(3);
const LOOK_LATER: Duration = Duration::from_secs(15);
/// So long the platform has for what it does by itself.
const BY_ITSELF: Duration = Duration::from_secs(45);
/// What only a person can mend is tried again after so long, the nearer its time is the sooner: they may have mended it
/// elsewhere.
const MENDED: Duration = Duration::from_secs(30 * 60);
const MENDED_SOON: Duration = Duration::from_secs(120);
/// So often in a row something is tried in vain out of whatever units are left, where viewers may see it and where not;
/// no person begins the count anew.
const MOST_TRIES_SEEN: u32 = 20;
const MOST_TRIES_UNSEEN: u32 = 3;

/// A broadcast that is not there so long after its time is late.
const LATE: Duration = Duration::from_secs(60);

/// What became of a step.
pub(super) enum Did {
    /// Something changed: look again at once.
    Step,
    /// Nothing to do before then.
    Wait(Timestamp),
    /// Nothing to do until something changes.
    Rest,
}

/// What a step is decided by.
struct Facts {
    event: Event,
    run: Option<Row<Run>>,
    /// The run serves the target, and its second has come.
    on_air: bool,
    /// The next part of it is shown.
    followed: bool,
    has_next: bool,
    /// Its channel is on its way out.
    leaving: bool,
}

impl Facts {
    fn phase(&self) -> Phase {
        let serves = self.run.as_ref().is_some_and(|run| serves(run, &self.event));
        match self.event.is_seen() {
            true if !serves => Phase::Ending,
            _ if self.on_air => Phase::OnAir,
            _ => Phase::Ahead,
        }
    }

    /// When it goes, or went, on air: its run is written down a little before that.
    fn second(&self) -> Timestamp {
        let run = self.run.as_ref().filter(|run| serves(run, &self.event)).and_then(|run| run.value.started_at);
        run.unwrap_or(self.event.wanted.settings.starts_at)
    }

    /// Out of which units it is paid for. What viewers see goes on, and what is there can be ended, whatever else units
    /// are used for. Making one is bounded even while pictures go out, as each start by hand makes one; and so is what
    /// the platform refuses time and again.
    fn need(&self, id: Uuid) -> Need {
        let event = &self.event;
        let seen = self.on_air || event.is_seen();
        let most = if seen { MOST_TRIES_SEEN } else { MOST_TRIES_UNSEEN };
        match event.unwanted {
            true if event.tries >= most => Need::Kept(id),
            true if self.leaving => Need::Last(id),
            true => Need::OnAir(id),
            false if event.broadcast.is_some() && seen && event.tries < most => Need::OnAir(id),
            false => Need::Kept(id),
        }
    }
}

/// What is known of a broadcast on air beside its row.
#[derive(Default, Clone)]
pub(super) struct Watching {
    looks: u32,
    /// Looks in a row that found nothing arriving.
    silent: u32,
    next_look: Option<Timestamp>,
    active_since: Option<Timestamp>,
    was_active: bool,
    began: Option<Timestamp>,
}

/// When what only a person can mend is tried again.
fn mended(now: Timestamp, starts_at: Timestamp) -> Timestamp {
    let away = Duration::try_from(now.duration_since(starts_at).abs()).unwrap_or(MENDED);
    now + (away / 2).clamp(MENDED_SOON, MENDED)
}

/// Whether a fault of a broadcast is told outside the pages: somebody has to do something, or it will be late.
fn is_news(event: &Event, fault: &Fault, next: Timestamp) -> bool {
    match fault.sort {
        _ if event.unwanted => false,
        // That its channel has to be connected again is told by itself.
        Sort::Tell => fault.reason != own::TOKEN,
        Sort::Again(_) | Sort::Wait(_) => event.live_at.is_none() && next > event.wanted.settings.starts_at + LATE,
    }
}

impl Worker {
    /// Takes all steps of a broadcast that can be taken now; when to look again.
    pub(super) async fn tend(&self, editor: &Editor, id: Uuid) -> Result<Option<Timestamp>> {
        let (_turn, cut) = self.turn(id).await;
        // A fault of ours must not make a circle of calls.
        for _ in 0..20 {
            let Some(facts) = self.facts(editor, id).await? else { return Ok(None) };
            let (now, event) = (self.now(), &facts.event);
            let phase = facts.phase();
            if phase != event.phase {
                self.change(editor, id, move |event| {
                    event.phase = phase;
                    if !event.unwanted {
                        (event.tries, event.not_before, event.aside_until) = (0, None, None);
                    }
                })
                .await?;
                continue;
            }
            if let Some(wait) = event.not_before.filter(|wait| *wait > now) {
                let second = facts.second();
                return Ok(Some(if second > now { second.min(wait) } else { wait }));
            }
            let account = self.api().account(editor, event.channel_id, facts.need(id));
            let can_be_cut = !event.unwanted;
            let step = Step { worker: self, editor, id, account, facts, now };
            let did = tokio::select! {
                did = step.act() => did,
                () = cut.cancelled(), if can_be_cut => return Ok(Some(now)),
            };
            match did {
                Ok(Did::Step) => {}
                Ok(Did::Wait(at)) => return Ok(Some(at)),
                Ok(Did::Rest) => return Ok(None),
                Err(fault) => {
                    let next = self.set_back(editor, id, &fault, false).await?;
                    return Ok(Some(next));
                }
            }
        }
        Ok(Some(self.now() + LOOK_LATER))
    }

    async fn facts(&self, editor: &Editor, id: Uuid) -> Result<Option<Facts>> {
        let now = self.now();
        let read = move |rows: &Reader<'_>| {
            let Some(event) = rows.get::<Event>(id)?.map(|row| row.value).filter(|event| event.over.is_none()) else {
                return Ok(None);
            };
            let run = run_of(rows, &event)?;
            let serving = run.as_ref().filter(|run| serves(run, &event));
            let on_air = serving.is_some_and(|run| run.value.started_at.is_some_and(|at| at <= now));
            let next = Event { part: event.part + 1, ..event.clone() }.key();
            let next = rows.value::<Uuid>(&next)?;
            let next_row = match next {
                Some(next) => rows.get::<Event>(next)?,
                None => None,
            };
            let followed = next_row.is_some_and(|row| row.value.live_at.is_some() || row.value.over.is_some());
            let channel = rows.get::<Connection>(event.channel_id)?;
            let leaving = channel.is_some_and(|row| row.value.state == State::Leaving);
            Ok(Some(Facts { event, run, on_air, followed, has_next: next.is_some(), leaving }))
        };
        match editor.rows().read(read).await {
            Err(Error::NotFound) => Ok(None),
            other => other,
        }
    }

    /// Writes down that something did not go well; when it is tried again. `aside`: it holds nothing else up.
    async fn set_back(&self, editor: &Editor, id: Uuid, fault: &Fault, aside: bool) -> Result<Timestamp> {
        let now = self.now();
        if fault.reason == own::OURS {
            return Ok(now + LOOK_LATER);
        }
        let fault = fault.clone();
        let set_back = move |rows: &mut Writer<'_>| {
            // How it ended is said already; nothing is tried again.
            let Some(row) = rows.get::<Event>(id)?.filter(|row| row.value.over.is_none()) else { return Ok(now) };
            let mut event = row.value.clone();
            let next = fault.next_try(now, event.tries).unwrap_or_else(|| mended(now, event.wanted.settings.starts_at));
            event.tries = event.tries.saturating_add(1);
            event.trouble = Some(fault.message.clone());
            *(if aside { &mut event.aside_until } else { &mut event.not_before }) = Some(next);
            if is_news(&event, &fault, next) {
                notify::broadcast_in_trouble(rows, id, &event)?;
            }
            rows.update(&row, event)?;
            Ok(next)
        };
        editor.rows().write(set_back).await
    }

    /// Changes a broadcast's row; what it is then.
    pub(super) async fn change(
        &self,
        editor: &Editor,
        id: Uuid,
        change: impl Fn(&mut Event) + Send + 'static,
    ) -> Result<Option<Event>> {
        editor
            .rows()
            .write(move |rows| {
                let Some(row) = rows.get::<Event>(id)? else { return Ok(None) };
                let mut event = row.value.clone();
                change(&mut event);
                if event != row.value {
                    rows.update(&row, event.clone())?;
                }
                Ok(Some(event))
            })
            .await
    }
}

struct Step<'a> {
    worker: &'a Worker,
    editor: &'a Editor,
    id: Uuid,
    account: Account<'a>,
    facts: Facts,
    now: Timestamp,
}

impl Step<'_> {
    async fn write(&self, change: impl Fn(&mut Event) + Send + 'static) -> Result<Did, Fault> {
        // How it ended is said already, by whoever was quicker.
        let open = move |event: &mut Event| {
            if event.over.is_none() {
                change(event);
            }
        };
        self.worker.change(self.editor, self.id, open).await?;
        Ok(Did::Step)
    }

    /// The account for what makes a broadcast what it is to be: bounded by the library's share, and by what is kept.
    pub(super) fn making(&self) -> Account<'_> {
        self.account.for_need(Need::Kept(self.id))
    }

    /// A step that went well: nothing stands in the way any more.
    async fn went(&self, change: impl Fn(&mut Event) + Send + 'static) -> Result<Did, Fault> {
        self.write(move |event| {
            change(event);
            (event.tries, event.not_before, event.trouble) = (0, None, None);
        })
        .await
    }

    async fn act(&self) -> Result<Did, Fault> {
        let event = &self.facts.event;
        if event.unwanted {
            return self.take_away().await;
        }
        let Some(broadcast) = event.broadcast.as_deref() else { return self.make().await };
        if !event.bound {
            self.making().bind(broadcast, &event.platform_stream).await?;
            return self.went(|event| event.bound = true).await;
        }
        let begun = event.is_seen();
        if self.facts.on_air && event.live_at.is_none() {
            let did = self.begin(broadcast).await?;
            return self.meanwhile(broadcast, did).await;
        }
        if begun && self.facts.run.as_ref().is_none_or(|run| !serves(run, event)) {
            return self.end(broadcast).await;
        }
        if begun && self.facts.followed {
            return self.end(broadcast).await;
        }
        if event.live_at.is_some() && self.facts.on_air {
            let did = self.watch(broadcast).await?;
            return self.meanwhile(broadcast, did).await;
        }
        let second = self.facts.second();
        let then = if second > self.now { Did::Wait(second) } else { Did::Rest };
        self.meanwhile(broadcast, then).await
    }

    async fn make(&self) -> Result<Did, Fault> {
        let event = &self.facts.event;
        if event.kept.is_none() {
            self.keep_units().await?;
        }
        let times = match event.asked {
            None => 1,
            Some((at, times)) => {
                if let Some(found) = self.look_for().await? {
                    return self.made(found, None).await;
                }
                if self.now < at + SETTLE {
                    return Ok(Did::Wait(at + SETTLE));
                }
                times + 1
            }
        };
        let now = self.now;
        self.write(move |event| event.asked = Some((now, times))).await?;
        match self.account.insert_broadcast(&event.to_make(now)).await {
            Ok(made) => match made.id {
                Some(id) => self.made(id, Some(event.wanted.settings.clone())).await,
                None => Err(Fault::odd()),
            },
            Err(fault) => {
                // A call that was not even made, or was refused, has made nothing: none is left to be looked for. One
                // that nobody answered may have.
                if !fault.unsure && times == 1 {
                    self.write(|event| event.asked = None).await?;
                }
                Err(fault)
            }
        }
    }

    async fn made(&self, id: String, told: Option<super::event::Settings>) -> Result<Did, Fault> {
        let (own, actor) = (self.id, self.editor.actor().clone());
        self.editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Event>(own, None)?;
                let mut event = row.value.clone();
                (event.broadcast, event.told_settings) = (Some(id.clone()), told.clone());
                (event.tries, event.not_before, event.trouble) = (0, None, None);
                if event.over.is_some() {
                    // Its channel went meanwhile.
                    event.trouble = Some(Message::new("youtube-fault-left-there"));
                }
                audit::record(rows, &actor, "broadcast.create", format!("{own} {id} {}", event.wanted.texts.title))?;
                rows.update(&row, event).map(drop)
            })
            .await?;
        Ok(Did::Step)
    }

    /// The broadcast that was asked for and not answered.
    async fn look_for(&self) -> Result<Option<String>, Fault> {
        for which in [Which::Upcoming, Which::Active] {
            if let Some(found) = self.account.find_broadcast(which, |found| self.facts.event.knows(found)).await? {
                return Ok(found.id);
            }
        }
        Ok(None)
    }

    async fn over(&self, how: Over) -> Result<Did, Fault> {
        let (id, now, actor) = (self.id, self.now, self.editor.actor().clone());
        self.editor
            .rows()
            .write(move |rows| {
                let row = rows.need::<Event>(id, None)?;
                let mut event = row.value.clone();
                if event.over.is_some() {
                    return Ok(());
                }
                event.over = Some((now, how));
                (event.tries, event.not_before, event.aside_until) = (0, None, None);
                if how != Over::Gone {
                    event.trouble = None;
                }
                if let Some(broadcast) = &event.broadcast {
                    let action = match how {
                        Over::Complete => "broadcast.complete",
                        Over::Removed => "broadcast.delete",
                        Over::Gone => "broadcast.gone",
                    };
                    audit::record(rows, &actor, action, format!("{id} {broadcast} {}", event.wanted.texts.title))?;
                }
                rows.update(&row, event).map(drop)
            })
            .await?;
        self.worker.unwatch(self.id);
        // The units that it kept and did not need.
        self.worker.give_back(self.editor).await?;
        Ok(Did::Rest)
    }

    /// Somebody deleted it on the platform.
    async fn gone(&self) -> Result<Did, Fault> {
        self.write(|event| event.trouble = Some(Message::new("youtube-fault-broadcast-gone"))).await?;
        self.over(Over::Gone).await
    }

    async fn take_away(&self) -> Result<Did, Fault> {
        let event = &self.facts.event;
        match (&event.broadcast, event.asked) {
            // Viewers may see it: its channel is being disconnected.
            (Some(broadcast), _) if self.facts.on_air || event.is_seen() => self.end(broadcast).await,
            (Some(broadcast), _) => match self.account.delete_broadcast(broadcast).await {
                Ok(()) => self.over(Over::Removed).await,
                Err(fault) if fault.reason == "liveBroadcastDeletionNotAllowed" => self.end(broadcast).await,
                Err(fault) => Err(fault),
            },
            (None, None) => self.over(Over::Removed).await,
            (None, Some((at, _))) => match self.look_for().await? {
                Some(found) => self.write(move |event| event.broadcast = Some(found.clone())).await,
                None if self.now < at + SETTLE => Ok(Did::Wait(at + SETTLE)),
                None => self.over(Over::Removed).await,
            },
        }
    }
}
