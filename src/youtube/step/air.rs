//! A broadcast while its run is on air: moved to live, watched, followed by the next one, ended.

use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::{BY_ITSELF, Did, LOOK_LATER, LOOK_SOON, Step};
use crate::live::PlatformWord;
use crate::text::Message;
use crate::youtube::api::Move;
use crate::youtube::event::Over;
use crate::youtube::fault::{Fault, Sort};
use crate::youtube::health;
use crate::youtube::model::{LifeCycle, StreamStatus};
use crate::youtube::plan::next_part;

/// Between two looks at what is shown.
const LOOK_LIVE: Duration = Duration::from_secs(60);
/// So long after the first byte a platform that has not seen anything yet is no trouble.
const PATIENCE: Duration = Duration::from_secs(30);
/// Looks at the stream for each look at the broadcast.
const LOOKS: u32 = 10;
/// Looks in short turns at what does not arrive; later ones cost no more than those at what does.
const SILENT_LOOKS: u32 = 12;
/// What has not been seen for so long after the first byte is looked at in long turns.
const UNSEEN: Duration = Duration::from_secs(600);

impl Step<'_> {
    /// How the key's stream is, told to the board.
    pub(super) async fn state(&self, live: bool) -> Result<StreamStatus, Fault> {
        let event = &self.facts.event;
        let found = self.account.stream_states(std::slice::from_ref(&event.platform_stream)).await?;
        let found = found.into_iter().find(|stream| stream.id.as_deref() == Some(event.platform_stream.as_str()));
        let Some(status) = found.map(|stream| stream.status.unwrap_or_default()) else {
            let message = Message::new("youtube-fault-key-gone");
            return Err(Fault { sort: Sort::Tell, reason: "liveStreamNotFound".into(), message, unsure: false });
        };
        if let Some(run) = &self.facts.run {
            let silent_since = (!status.is_active()).then_some(self.now);
            let live = live && status.is_active();
            let early = run.value.started_at.is_some_and(|at| self.now < at + PATIENCE);
            let never = event.live_at.is_none() && !self.worker.watching(self.id).was_active;
            let health = if early && never { health::first_words(&status) } else { health::words(&status) };
            let word = PlatformWord { live, health, at: self.now, silent_since, last: false };
            self.editor.foundation().board().say(run.id(), event.target_id, word);
        }
        Ok(status)
    }

    pub(super) async fn life(&self, broadcast: &str) -> Result<Option<LifeCycle>, Fault> {
        let found = self.account.broadcast(broadcast).await?;
        Ok(found.map(|found| found.status.and_then(|status| status.life_cycle_status).unwrap_or(LifeCycle::Other)))
    }

    pub(super) async fn is_live(&self) -> Result<Did, Fault> {
        let now = self.now;
        if self.facts.event.part > 1 {
            // The one before is ended now.
            self.worker.wake(self.editor.tenant());
        }
        self.went(move |event| {
            event.moved_at.get_or_insert(now);
            event.live_at = Some(now);
        })
        .await
    }

    /// On air, and not shown yet.
    pub(super) async fn begin(&self, broadcast: &str) -> Result<Did, Fault> {
        let event = &self.facts.event;
        let mut watching = self.worker.watching(self.id);
        let began = *watching.began.get_or_insert(self.now);
        let soon = match self.now {
            now if now < began + 4 * BY_ITSELF => LOOK_SOON,
            now if now < began + UNSEEN => LOOK_LATER,
            _ => LOOK_LIVE,
        };
        let status = self.state(false).await?;
        if !status.is_active() {
            watching.active_since = None;
            self.worker.watch_on(self.id, watching);
            return Ok(Did::Wait(self.now + soon));
        }
        let active_since = *watching.active_since.get_or_insert(self.now);
        watching.was_active = true;
        self.worker.watch_on(self.id, watching);
        if event.moved_at.is_some() || event.wanted.settings.auto_start {
            match self.life(broadcast).await? {
                None => return self.gone().await,
                Some(LifeCycle::Live) => return self.is_live().await,
                Some(life) if life.is_over() => return self.over(Over::Complete).await,
                Some(LifeCycle::LiveStarting) => return Ok(Did::Wait(self.now + LOOK_SOON)),
                Some(_) if event.moved_at.is_some_and(|at| self.now < at + BY_ITSELF) => {
                    return Ok(Did::Wait(self.now + LOOK_SOON));
                }
                Some(_) if event.moved_at.is_none() && self.now < active_since + BY_ITSELF => {
                    return Ok(Did::Wait(self.now + LOOK_SOON));
                }
                Some(_) => {}
            }
        }
        let now = self.now;
        match self.account.transition(broadcast, Move::Live).await {
            Ok(moved) => {
                let life = moved.status.and_then(|status| status.life_cycle_status);
                if life == Some(LifeCycle::Live) {
                    return self.is_live().await;
                }
                self.went(move |event| event.moved_at = Some(now)).await?;
                Ok(Did::Wait(now + Duration::from_secs(1)))
            }
            Err(fault) if fault.reason == "redundantTransition" => {
                self.went(move |event| event.moved_at = Some(now)).await
            }
            Err(fault) if fault.is_gone() => self.gone().await,
            Err(fault) if fault.reason == "invalidTransition" => match self.life(broadcast).await? {
                None => self.gone().await,
                Some(life) if life.is_over() => self.over(Over::Complete).await,
                Some(LifeCycle::Live | LifeCycle::LiveStarting) => {
                    self.went(move |event| event.moved_at = Some(now)).await
                }
                Some(_) => Err(fault),
            },
            Err(fault) => Err(fault),
        }
    }

    /// Shown: how is it?
    pub(super) async fn watch(&self, broadcast: &str) -> Result<Did, Fault> {
        let event = &self.facts.event;
        let mut watching = self.worker.watching(self.id);
        let roll = event.live_at.filter(|_| event.wanted.roll_over).map(|at| at + self.worker.roll_after());
        let soonest = |next: Timestamp| roll.filter(|roll| *roll > self.now).map_or(next, |roll| roll.min(next));
        let rolls = !self.facts.has_next && roll.is_some_and(|roll| roll <= self.now);
        // Whatever else is looked at meanwhile: each look costs a unit.
        if let Some(next) = watching.next_look.filter(|next| *next > self.now && !rolls) {
            return Ok(Did::Wait(soonest(next)));
        }
        watching.looks += 1;
        let looks = watching.looks;
        self.worker.watch_on(self.id, watching.clone());
        let status = self.state(true).await?;
        if event.tries > 0 || event.not_before.is_some() {
            self.went(|_| {}).await?;
        }
        watching.silent = if status.is_active() { 0 } else { watching.silent.saturating_add(1) };
        // It may have been ended there.
        if looks.is_multiple_of(LOOKS) || (1..=SILENT_LOOKS).contains(&watching.silent) {
            match self.life(broadcast).await? {
                None => return self.gone().await,
                // Somebody ended it there; what is sent goes on being sent.
                Some(life) if life.is_over() => return self.over(Over::Complete).await,
                Some(_) => {}
            }
        }
        if rolls {
            return self.roll_over().await;
        }
        let short = (1..=SILENT_LOOKS).contains(&watching.silent);
        let next = self.now + if short { LOOK_LATER } else { LOOK_LIVE };
        watching.next_look = Some(next);
        self.worker.watch_on(self.id, watching);
        Ok(Did::Wait(soonest(next)))
    }

    /// The broadcast that follows this one, before the platform stops recording.
    pub(super) async fn roll_over(&self) -> Result<Did, Fault> {
        let id = Uuid::now_v7();
        let next = next_part(id, &self.facts.event, self.now);
        let (tenant, actor) = (self.editor.tenant().clone(), self.editor.actor().clone());
        self.editor
            .rows()
            .write(move |rows| {
                let key = next.key();
                if rows.value::<Uuid>(&key)?.is_some() {
                    return Ok(());
                }
                rows.put_value(&key, &id)?;
                rows.insert_with_id(id, &tenant, &actor, next.clone()).map(drop)
            })
            .await?;
        self.worker.wake(self.editor.tenant());
        Ok(Did::Wait(self.now + LOOK_SOON))
    }

    /// Off air: it is over for viewers too.
    pub(super) async fn end(&self, broadcast: &str) -> Result<Did, Fault> {
        match self.account.transition(broadcast, Move::Complete).await {
            Ok(_) => self.over(Over::Complete).await,
            Err(fault) if fault.reason == "redundantTransition" => self.over(Over::Complete).await,
            Err(fault) if fault.is_gone() => self.gone().await,
            Err(fault) if fault.reason == "invalidTransition" => match self.life(broadcast).await? {
                None => self.gone().await,
                Some(life) if life.is_over() => self.over(Over::Complete).await,
                // It was never shown.
                Some(LifeCycle::Created | LifeCycle::Ready) => {
                    self.account.delete_broadcast(broadcast).await?;
                    self.over(Over::Removed).await
                }
                Some(LifeCycle::LiveStarting | LifeCycle::TestStarting) => Ok(Did::Wait(self.now + LOOK_SOON)),
                Some(_) => Err(fault),
            },
            Err(fault) => Err(fault),
        }
    }
}
