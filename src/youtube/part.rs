//! Parting from a channel: what hangs on it is ended while its token is still good, then the grant is given back, and
//! what is left here is told so.

use std::collections::HashSet;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Youtube;
use super::event::{Event, Over};
use super::plan::{run_of, serves};
use super::upload::Upload;
use crate::auth::WriteScope;
use crate::error::{Error, Result};
use crate::library::{Editor, Library};
use crate::live::PlatformWord;
use crate::live::kept_key::KeptKey;
use crate::oauth::{By, Connection, Left, State};
use crate::store::rows::{Reader, Record, Row, Writer};
use crate::text::Message;

/// For ending broadcasts before the grant goes.
const PATIENCE: Duration = Duration::from_secs(15);
/// Between two looks at how far that is.
const LOOK: Duration = Duration::from_millis(100);
/// What did not go well is tried again after this, however long it would be put off else.
const AGAIN: Duration = Duration::from_secs(4);

/// What hangs on a channel.
#[derive(Debug, Default)]
pub struct Hanging {
    /// Broadcasts that viewers may see.
    pub on_air: Vec<Row<Event>>,
    /// Others that were made.
    pub planned: Vec<Row<Event>>,
}

/// What became of a channel that was disconnected.
#[derive(Debug)]
pub struct Parted {
    /// The grant.
    pub left: Left,
    /// Broadcasts that the platform still has: nobody could end or delete them.
    pub remaining: Vec<Row<Event>>,
}

/// Takes a channel off those that are being disconnected, however that ends.
struct Parting {
    all: Arc<Mutex<HashSet<Uuid>>>,
    channel: Uuid,
}

impl Drop for Parting {
    fn drop(&mut self) {
        self.all.lock().remove(&self.channel);
    }
}

fn open_of(rows: &Reader<'_>, channel: Uuid) -> Result<Vec<Row<Event>>> {
    let mut found = Vec::new();
    for id in rows.ids_at::<Event>("open", &[])? {
        found.extend(rows.get::<Event>(id)?.filter(|row| row.value.channel_id == channel && row.value.over.is_none()));
    }
    Ok(found)
}

impl Library {
    /// What a channel's end would end.
    pub async fn hanging_on(&self, channel: Uuid) -> Result<Hanging> {
        let open = self.rows().read(move |rows| open_of(rows, channel)).await?;
        let (on_air, mut planned): (Vec<_>, Vec<_>) = open.into_iter().partition(|row| row.value.is_seen());
        planned.retain(|row| row.value.broadcast.is_some());
        Ok(Hanging { on_air, planned })
    }
}

impl Youtube {
    /// Disconnects a channel: its broadcasts on air are completed and those made ahead deleted, as far as the platform
    /// does so within [`PATIENCE`]; then its grant is given back and erased here.
    ///
    /// # Errors
    /// [`Error::NotFound`]; [`Error::Conflict`] while that is under way already.
    pub async fn disconnect(&self, editor: &Editor, channel: Uuid) -> Result<Parted> {
        let grants = self.api().grants().clone();
        // First, so that a foreign id is answered like one that never was, whatever its owner does just now.
        let before = editor.rows().read(move |rows| rows.need::<Connection>(channel)).await?;
        let parting = self.begin_parting(channel)?;
        let usable = before.value.state != State::Reconnect;
        let by = if before.value.state == State::Leaving { By::Hand } else { By::Itself };
        // From here on the planner wants none of its broadcasts, whatever becomes of this server.
        grants.set_out(editor, channel).await?;
        let (this, editor) = (self.clone(), editor.clone());
        let work = async move {
            let _parting = parting;
            let before = editor.rows().read(move |rows| open_of(rows, channel)).await?;
            let grants = this.api().grants();
            let wound_up = wind_up(&editor, channel, usable, &grants.ending()).await?;
            let remaining = wound_up.ok_or_else(|| Error::Internal(anyhow::anyhow!("the server ends")))?;
            let left = grants.disconnect(&editor, channel, by).await?;
            this.say_so(&editor, before).await?;
            Ok(Parted { left, remaining })
        };
        grants.to_the_end("disconnecting", work).await?
    }

    /// Ends what the channels of a tenant that goes have on the platform, as far as it does so within [`PATIENCE`];
    /// their grants are given back after it.
    ///
    /// # Errors
    /// Where the rows cannot be read or written.
    pub async fn end_tenant(&self, scope: &WriteScope) -> Result<()> {
        let editor = Editor::open(&self.foundation, scope);
        let channels = match editor.channels().await {
            Err(Error::NotFound) => return Ok(()),
            channels => channels?,
        };
        let work = channels.iter().map(|row| async {
            let grants = self.api().grants();
            grants.set_out(&editor, row.id()).await?;
            let usable = row.value.state != State::Reconnect;
            let remaining = wind_up(&editor, row.id(), usable, &grants.ending()).await?;
            let remaining = remaining.ok_or_else(|| Error::Internal(anyhow::anyhow!("the server ends")))?;
            if !remaining.is_empty() {
                let count = remaining.len();
                tracing::warn!(channel = %row.id(), count, "broadcasts of a tenant that goes stay on the platform");
            }
            Ok(())
        });
        futures_util::future::join_all(work).await.into_iter().collect()
    }

    fn begin_parting(&self, channel: Uuid) -> Result<Parting> {
        if !self.partings.lock().insert(channel) {
            return Err(Error::Conflict(Message::new("channel-parting")));
        }
        Ok(Parting { all: self.partings.clone(), channel })
    }

    /// What was said of streams that go on is not said any more.
    async fn say_so(&self, editor: &Editor, events: Vec<Row<Event>>) -> Result<()> {
        let (now, board) = (self.foundation.clock().now(), self.foundation.board());
        let read = move |rows: &Reader<'_>| {
            let mut found = Vec::new();
            for row in events {
                let run = run_of(rows, &row.value)?.filter(|run| serves(run, &row.value));
                found.extend(run.map(|run| (run.id(), row.value.target_id)));
            }
            Ok(found)
        };
        for (run, target) in editor.rows().read(read).await? {
            let health = vec![Message::new("youtube-health-disconnected")];
            board.say(run, target, PlatformWord { live: false, health, at: now, silent_since: None, last: true });
        }
        Ok(())
    }
}

/// Has everything of a channel that is on its way out ended or deleted; what is left of it after [`PATIENCE`], or
/// nothing where the server ends before: the grant must not go then.
/// Nothing is waited for where its token is not `usable` any more.
///
/// # Errors
/// Where the rows cannot be read or written.
pub async fn wind_up(
    editor: &Editor,
    channel: Uuid,
    usable: bool,
    ending: &CancellationToken,
) -> Result<Option<Vec<Row<Event>>>> {
    let hurry = move |rows: &mut Writer<'_>, is_first: bool| {
        let open = open_of(rows.view(), channel)?;
        for row in &open {
            let event = &row.value;
            // What nobody sees is tried again in its own time: each try costs units.
            if is_first || event.is_seen() {
                let tries = if event.unwanted { event.tries } else { 0 };
                let now = Event { unwanted: true, tries, not_before: None, aside_until: None, ..event.clone() };
                rows.update(row, now)?;
            }
        }
        // Its row is what the worker looks at, so that this wakes it; and the keeper leaves it alone meanwhile.
        let connection = rows.get::<Connection>(channel)?.filter(|row| row.value.state == State::Leaving);
        if let Some(row) = connection.filter(|_| !open.is_empty()) {
            let now = rows.now();
            let next_try = row.value.next_try.filter(|at| *at > now).or(Some(now + 4 * PATIENCE));
            rows.rewrite(&row, Connection { next_try, ..row.value.clone() })?;
        }
        Ok(())
    };
    let begin = Instant::now();
    let mut again = begin;
    loop {
        if Instant::now() >= again {
            let is_first = again == begin;
            editor.rows().write(move |rows| hurry(rows, is_first)).await?;
            again = Instant::now() + AGAIN;
        }
        let mut open = editor.rows().read(move |rows| open_of(rows, channel)).await?;
        if open.is_empty() || !usable || begin.elapsed() >= PATIENCE {
            open.retain(|row| row.value.broadcast.is_some() || row.value.asked.is_some());
            return Ok(Some(open));
        }
        tokio::select! {
            () = ending.cancelled() => return Ok(None),
            () = tokio::time::sleep(LOOK) => {}
        }
    }
}

/// A channel is disconnected: what hangs on it goes, in the same batch. Keys stay, as streams go to them, and remember
/// whose they were.
///
/// # Errors
/// Where the rows cannot be read.
pub fn forget(rows: &mut Writer<'_>, connection: Uuid) -> Result<()> {
    let now = rows.now();
    for row in open_of(rows.view(), connection)? {
        let there = row.value.broadcast.is_some() || row.value.asked.is_some();
        let id = if there { "youtube-fault-left-there" } else { "youtube-fault-disconnected" };
        rows.update(
            &row,
            Event { over: Some((now, Over::Gone)), trouble: Some(Message::new(id)), ..row.value.clone() },
        )?;
    }
    let account = rows.get::<Connection>(connection)?.and_then(|row| row.value.account);
    for row in all_where::<KeptKey>(rows, |key| key.channel_id == Some(connection))? {
        rows.update(&row, KeptKey { account: account.clone(), ..row.value.clone() })?;
    }
    for row in all_where::<Upload>(rows, |upload| upload.channel_id == connection)? {
        rows.update(&row, Upload { account: account.clone(), ..row.value.clone() })?;
    }
    Ok(())
}

/// An account is connected again: the keys and uploads that it had go back to it, and what waits is tried at once, in the
/// same batch.
///
/// # Errors
/// Where the rows cannot be read.
pub fn remember(rows: &mut Writer<'_>, connection: Uuid, account: &str) -> Result<()> {
    for row in all_where::<KeptKey>(rows, |key| key.account.as_deref() == Some(account))? {
        rows.update(&row, KeptKey { channel_id: Some(connection), account: None, ..row.value.clone() })?;
    }
    let is_theirs = |upload: &Upload| {
        upload.account.as_deref() == Some(account) || (upload.channel_id == connection && upload.state.is_open())
    };
    for row in all_where::<Upload>(rows, is_theirs)? {
        let mut upload = Upload { channel_id: connection, account: None, ..row.value.clone() };
        if upload.state.is_open() {
            (upload.tries, upload.not_before, upload.trouble) = (0, None, None);
        }
        rows.update(&row, upload)?;
    }
    for row in open_of(rows.view(), connection)? {
        rows.update(&row, Event { not_before: None, aside_until: None, ..row.value.clone() })?;
    }
    Ok(())
}

fn all_where<R: Record>(rows: &Writer<'_>, wanted: impl Fn(&R) -> bool) -> Result<Vec<Row<R>>> {
    let mut found = Vec::new();
    rows.view().each::<R>(false, |row| {
        if wanted(&row.value) {
            found.push(row);
        }
        ControlFlow::Continue(())
    })?;
    Ok(found)
}
