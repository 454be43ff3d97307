//! Moves that an operator orders from a page: each goes on in the background, whoever looks, and the last one is looked up
//! again. A plan comes first; what is done then is what was planned.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use futures_util::future::LocalBoxFuture;
use jiff::Timestamp;
use parking_lot::Mutex;
use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::report::{Event, Fate, Item, Progress, Summary, What};
use super::{MovingIn, Request};
use crate::auth::{FreshOperatorScope, OperatorScope, UserName};
use crate::error::{Error, Result};
use crate::store::blocking;
use crate::text::Message;

/// Things that are to be known which a page shows; the report has all.
const REMARKS: usize = 200;
/// Things that come, or go, which a page shows.
const COMING: usize = 200;
/// How often what is under way is written down, for a server that is killed.
const KEPT_EVERY: Duration = Duration::from_secs(2);
/// Folders that are offered.
const FOLDERS: usize = 200;
/// Folders that are looked at for it.
const LOOKED_AT: usize = 5_000;
/// Events that wait to be written down.
const EVENTS: usize = 64;
const STATE: &str = "moving-in.json";

/// What is ordered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Act {
    /// Tell what moving in would do.
    Plan,
    /// Move in.
    Apply,
    /// Tell what taking back would do.
    PlanBack,
    /// Take back what came.
    TakeBack,
}

impl Act {
    /// The word used in forms and texts.
    pub fn code(self) -> &'static str {
        match self {
            Act::Plan => "plan",
            Act::Apply => "apply",
            Act::PlanBack => "plan-back",
            Act::TakeBack => "take-back",
        }
    }

    /// Whether it changes nothing.
    pub fn is_plan(self) -> bool {
        matches!(self, Act::Plan | Act::PlanBack)
    }
}

/// What a person asked for.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Order {
    /// The old home: an absolute path without links.
    pub from: PathBuf,
    /// The folder that it must lie in when it is opened.
    pub within: PathBuf,
    /// See [`Request::owner`].
    pub owner: UserName,
    /// See [`Request::only`].
    pub only: BTreeSet<What>,
    /// See [`Request::time_zone`].
    pub time_zone: String,
    /// See [`Request::remove_sources`].
    pub remove_sources: bool,
}

/// A move: under way, or the last one.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct Move {
    /// Names it, for whoever orders what was planned.
    pub id: Uuid,
    /// What is done.
    pub act: Act,
    /// As it was asked for.
    pub order: Order,
    /// Who asked.
    pub by: String,
    /// When.
    pub begun_at: Timestamp,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// How far it is.
    pub progress: Progress,
    /// What it came to so far.
    pub summary: Summary,
    /// The first of what is skipped, or to be known.
    pub remarks: Vec<Item>,
    /// How many there are.
    pub remarked: u64,
    /// The first of what comes, or goes.
    #[serde(default)]
    pub coming: Vec<Item>,
    /// Why it did not come to its end.
    pub failure: Option<Message>,
}

impl Move {
    /// Whether it is under way.
    pub fn is_open(&self) -> bool {
        self.ended_at.is_none()
    }

    /// Whether it may be followed by `act`: what is done was planned, and what was done can be taken back.
    pub fn allows(&self, act: Act) -> bool {
        let whole = !self.is_open() && self.failure.is_none();
        match act {
            Act::Plan => !self.is_open(),
            Act::Apply => whole && self.act == Act::Plan,
            Act::PlanBack => !self.is_open(),
            Act::TakeBack => whole && self.act == Act::PlanBack,
        }
    }

    /// Whether it did not come to its end, so that the same may be begun again.
    pub fn may_go_on(&self) -> bool {
        !self.is_open() && self.failure.is_some()
    }

    fn note(&mut self, event: &Event) {
        match event {
            Event::Progress(progress) => self.progress = *progress,
            Event::Item(item) => {
                self.summary.count(item);
                self.progress.done += 1;
                if matches!(item.fate, Fate::Imported | Fate::Removed) && self.coming.len() < COMING {
                    self.coming.push((**item).clone());
                }
                if item.fate != Fate::Skipped && (item.fate == Fate::Unneeded || item.reason.is_none()) {
                    return;
                }
                self.remarked += 1;
                if self.remarks.len() < REMARKS {
                    self.remarks.push((**item).clone());
                }
            }
        }
    }
}

/// A folder that may be an old home.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Folder {
    /// Relative to the folder of the settings; `.` for that itself.
    pub name: String,
    /// Something of the old program lies in it.
    pub is_home: bool,
}

/// What is known of the last move, and the way to order one.
pub(super) struct Desk {
    last: Mutex<Option<Move>>,
    stop: Mutex<CancellationToken>,
    orders: mpsc::UnboundedSender<(FreshOperatorScope, Move)>,
    waiting: Mutex<Option<mpsc::UnboundedReceiver<(FreshOperatorScope, Move)>>>,
}

impl Desk {
    pub fn new() -> Desk {
        let (orders, waiting) = mpsc::unbounded_channel();
        Desk { last: Mutex::default(), stop: Mutex::default(), orders, waiting: Mutex::new(Some(waiting)) }
    }
}

impl MovingIn {
    fn data(&self) -> PathBuf {
        self.foundation.config().data()
    }

    fn items_of(&self, id: Uuid) -> PathBuf {
        self.data().join(format!("moving-in-{}.items", id.simple()))
    }

    /// The folders that the settings allow to choose from; nothing where they name none.
    ///
    /// # Errors
    /// [`Error::Conflict`] where that folder cannot be read.
    pub async fn folders(&self, _operator: &FreshOperatorScope) -> Result<Option<Vec<Folder>>> {
        let Some(root) = self.foundation.config().migrate.from.clone() else { return Ok(None) };
        blocking(move || {
            let source = super::source::Source::open(&root, None)?;
            let unreadable = |cause: std::io::Error| {
                let message = Message::new("migrate-no-folder").with("folder", super::shown(&root));
                Error::Conflict(message.with("cause", cause.to_string()))
            };
            // By names, because folders may be huge.
            let is_home = |path: &Path| {
                super::survey::FOLDERS.iter().any(|folder| source.has_folder(&path.join(folder)))
                    || super::survey::DATABASES.iter().any(|database| source.stamp(&path.join(database)).is_some())
            };
            let (folders, _) = source.list(Path::new("")).map_err(unreadable)?;
            let mut found = vec![Folder { name: ".".to_owned(), is_home: is_home(Path::new("")) }];
            let of_home = found.iter().any(|root| root.is_home);
            for folder in folders.into_iter().take(LOOKED_AT) {
                let name = folder.to_str().filter(|name| !(of_home && super::survey::is_looked_into(name)));
                let name = name.filter(|name| !name.starts_with('.') && !name.contains(char::is_control));
                if let Some(name) = name {
                    found.push(Folder { name: name.to_owned(), is_home: is_home(&folder) });
                }
            }
            // Those that look like one first.
            found.sort_by_key(|folder| !folder.is_home);
            found.truncate(FOLDERS);
            Ok(Some(found))
        })
        .await
    }

    /// The move that is under way, or the last one.
    ///
    /// # Errors
    /// Those of reading what was kept.
    pub async fn last(&self, _operator: &OperatorScope) -> Result<Option<Move>> {
        if let Some(last) = self.desk.last.lock().clone() {
            return Ok(Some(last));
        }
        let (path, now) = (self.data().join(STATE), self.foundation.clock().now());
        let kept = blocking(move || match fs::read(path) {
            Ok(bytes) => Ok(serde_json::from_slice::<Move>(&bytes).ok()),
            Err(cause) if cause.kind() == std::io::ErrorKind::NotFound => Ok(None),
            Err(cause) => Err(cause.into()),
        });
        let Some(mut kept) = kept.await? else { return Ok(None) };
        if kept.is_open() {
            // The server ended meanwhile.
            kept.ended_at = Some(now);
            kept.failure = Some(Message::new("migrate-cut-off"));
        }
        let mut last = self.desk.last.lock();
        Ok(Some(last.get_or_insert(kept).clone()))
    }

    /// Orders a move; it goes on whether or not anybody looks.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another one is under way; [`Error::Invalid`] for a zone that does not exist.
    pub async fn begin_move(&self, operator: &FreshOperatorScope, act: Act, order: Order) -> Result<Uuid> {
        crate::clock::zone(&order.time_zone)
            .ok_or_else(|| Error::field("time_zone", Message::new("schedule-zone-unknown")))?;
        let before = self.last(operator).await?;
        let new = Move {
            id: Uuid::now_v7(),
            act,
            order,
            by: operator.actor().name().to_owned(),
            begun_at: self.foundation.clock().now(),
            ended_at: None,
            progress: Progress::default(),
            summary: Summary::default(),
            remarks: Vec::new(),
            remarked: 0,
            coming: Vec::new(),
            failure: None,
        };
        let id = new.id;
        {
            let mut last = self.desk.last.lock();
            if last.as_ref().is_some_and(Move::is_open) {
                return Err(Error::Conflict(Message::new("migrate-busy")));
            }
            *last = Some(new.clone());
            *self.desk.stop.lock() = CancellationToken::new();
        }
        // Written down before it begins: a server that ends right now says so at its next start.
        let (moving, written) = (self.clone(), new.clone());
        if let Err(cause) = blocking(move || moving.keep(&written)).await {
            if let Some(last) = self.desk.last.lock().as_mut() {
                last.ended_at = Some(new.begun_at);
                last.failure = Some(cause.message());
            }
            return Err(cause);
        }
        if let Some(before) = before {
            let old = self.items_of(before.id);
            let removed = blocking(move || match fs::remove_file(old) {
                Err(cause) if cause.kind() != std::io::ErrorKind::NotFound => Err(cause.into()),
                _ => Ok(()),
            });
            if let Err(cause) = removed.await {
                tracing::warn!(%cause, "the items of an earlier move could not be removed");
            }
        }
        let sent = self.desk.orders.send((operator.clone(), new));
        sent.map_err(|_| Error::Conflict(Message::new("migrate-nobody-listens")))?;
        Ok(id)
    }

    /// Begins the last move again, which did not come to its end: it goes on where it was.
    ///
    /// # Errors
    /// As [`MovingIn::follow`].
    pub async fn go_on(&self, operator: &FreshOperatorScope, id: Uuid) -> Result<Uuid> {
        let last = self.last(operator).await?.filter(|last| last.id == id && last.may_go_on());
        self.begin_again(operator, last.map(|last| (last.act, last.order))).await
    }

    async fn begin_again(&self, operator: &FreshOperatorScope, order: Option<(Act, Order)>) -> Result<Uuid> {
        // A folder that the settings allowed once is read no more.
        let allowed = self.foundation.config().migrate.from.as_ref();
        let order = order.filter(|(_, order)| allowed == Some(&order.within));
        let (act, order) = order.ok_or_else(|| Error::Conflict(Message::new("migrate-not-planned")))?;
        self.begin_move(operator, act, order).await
    }

    /// Orders what follows from the last move: what was planned, or taking back.
    ///
    /// # Errors
    /// [`Error::Conflict`] where the last move is another one by now, or `act` does not follow from it.
    pub async fn follow(&self, operator: &FreshOperatorScope, id: Uuid, act: Act) -> Result<Uuid> {
        let last = self.last(operator).await?.filter(|last| last.id == id && last.allows(act));
        self.begin_again(operator, last.map(|last| (act, last.order))).await
    }

    /// Ends the move that is under way, if one is. What came stays, and the next run goes on from there.
    pub fn stop_move(&self, _operator: &FreshOperatorScope) {
        self.desk.stop.lock().cancel();
    }

    /// The items of the last move, as lines of JSON, each an [`Item`].
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is none that is over.
    pub async fn items(&self, operator: &FreshOperatorScope) -> Result<(Move, File)> {
        let last = self.last(operator).await?.filter(|last| !last.is_open()).ok_or(Error::NotFound)?;
        let path = self.items_of(last.id);
        let file = blocking(move || File::open(path).map_err(|_| Error::NotFound)).await?;
        Ok((last, file))
    }

    /// Does what is ordered, one at a time, until the server ends.
    pub async fn work(self, end: CancellationToken) {
        let Some(mut waiting) = self.desk.waiting.lock().take() else { return };
        loop {
            let (operator, order) = tokio::select! {
                () = end.cancelled() => return,
                order = waiting.recv() => match order {
                    Some(order) => order,
                    None => return,
                },
            };
            let stop = self.desk.stop.lock().clone();
            let (moving, end) = (self.clone(), end.clone());
            let runtime = tokio::runtime::Handle::current();
            // On a thread of its own: the walk's parts are not all to be sent between threads.
            let done = blocking(move || runtime.block_on(Box::pin(moving.run(&operator, order, stop, end))));
            if let Err(cause) = done.await {
                tracing::error!(%cause, "what became of a move could not be kept");
                if let Some(last) = self.desk.last.lock().as_mut() {
                    last.ended_at.get_or_insert(self.foundation.clock().now());
                    last.failure.get_or_insert(cause.message());
                }
            }
        }
    }

    async fn run(
        &self,
        operator: &FreshOperatorScope,
        order: Move,
        stop: CancellationToken,
        end: CancellationToken,
    ) -> Result<()> {
        let mut options = fs::OpenOptions::new();
        let file = options.write(true).create(true).truncate(true).mode(0o600).open(self.items_of(order.id))?;
        let mut items = BufWriter::new(file);
        let (sender, mut events) = mpsc::channel(EVENTS);
        let mut work = self.ordered(operator, &order, sender);
        let mut kept_at = Instant::now();
        let outcome = loop {
            tokio::select! {
                biased;
                () = stop.cancelled() => break Err(Error::Conflict(Message::new("migrate-stopped"))),
                () = end.cancelled() => break Err(Error::Conflict(Message::new("migrate-cut-off"))),
                Some(event) = events.recv() => {
                    self.note(&mut items, &event)?;
                    if kept_at.elapsed() > KEPT_EVERY {
                        kept_at = Instant::now();
                        items.flush()?;
                        let now = self.desk.last.lock().clone();
                        now.map_or(Ok(()), |now| self.keep(&now))?;
                    }
                }
                outcome = &mut work => break outcome,
            }
        };
        drop(work);
        while let Ok(event) = events.try_recv() {
            self.note(&mut items, &event)?;
        }
        items.flush()?;
        let ended = {
            let mut last = self.desk.last.lock();
            let Some(last) = last.as_mut() else { return Ok(()) };
            last.ended_at = Some(self.foundation.clock().now());
            match outcome {
                Ok(summary) => last.summary = summary,
                Err(cause) => {
                    if let Error::Internal(cause) = &cause {
                        tracing::error!(cause = format!("{cause:#}"), "moving in ended early");
                    }
                    last.failure = Some(match cause {
                        Error::Invalid(fields) => super::first(fields),
                        cause => cause.message(),
                    });
                }
            }
            last.clone()
        };
        self.keep(&ended)
    }

    /// The same calls that the API and the command line make.
    fn ordered<'a>(
        &'a self,
        operator: &'a FreshOperatorScope,
        order: &Move,
        sender: mpsc::Sender<Event>,
    ) -> LocalBoxFuture<'a, Result<Summary>> {
        let Order { from, within, owner, only, time_zone, remove_sources } = order.order.clone();
        match order.act {
            Act::Plan | Act::Apply => {
                let apply = order.act == Act::Apply;
                let within = Some(within);
                let request = Request { from, within, owner, apply, remove_sources, only, time_zone };
                Box::pin(self.migrate(operator, request, sender))
            }
            Act::PlanBack => Box::pin(self.roll_back(operator, Some(from), false, sender)),
            Act::TakeBack => Box::pin(self.roll_back(operator, Some(from), true, sender)),
        }
    }

    fn note(&self, items: &mut impl std::io::Write, event: &Event) -> Result<()> {
        if let Event::Item(item) = event {
            serde_json::to_writer(&mut *items, &**item)?;
            items.write_all(b"\n")?;
        }
        if let Some(last) = self.desk.last.lock().as_mut() {
            last.note(event);
        }
        Ok(())
    }

    /// Writes a move down, as a whole or not at all.
    fn keep(&self, order: &Move) -> Result<()> {
        let mut file = tempfile::NamedTempFile::new_in(self.data())?;
        serde_json::to_writer(&mut file, order)?;
        file.as_file().sync_all()?;
        file.persist(self.data().join(STATE)).map_err(|cause| Error::from(cause.error))?;
        Ok(())
    }
}
