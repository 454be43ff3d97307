//! Moving in: the flat home of the old single-user program becomes a library, or several.
//!
//! A plan and the real thing are one walk over the same rows; only what it ends in differs. The old home is read by way of
//! open folders ([`source`]), so that nothing in it leads out. Every file and row is told with what becomes of it
//! ([`report`]). What comes in is marked in the batch of its row ([`journal`]): a run that is killed goes on where it was,
//! one that was finished does nothing, and [`rollback`] takes back what the marks name.

mod albums;
mod channels;
mod database;
mod files;
mod history;
mod journal;
mod known;
mod media;
pub mod moves;
mod notices;
mod owners;
mod records;
pub mod report;
mod rollback;
mod source;
mod streams;
mod survey;
mod users;
mod workbook;

pub(crate) use journal::came_from;

use std::collections::{BTreeSet, HashMap};
use std::ffi::OsStr;
use std::path::PathBuf;
use std::sync::Arc;

use serde_json::Value;
use tokio::sync::{Mutex, mpsc};

use crate::auth::{Accounts, FreshOperatorScope, Tenant, UserName};
use crate::error::{Error, FieldError, Result};
use crate::foundation::Foundation;
use crate::objects::intake::disk_room;
use crate::store::blocking;
use crate::tenancy::Tenancy;
use crate::text::Message;

use database::Ending;
use files::Files;
use known::{KnownKey, KnownVideo, Shelf};
use moves::Desk;
use owners::Owner;
use records::Place;
use report::{Event, Item, Summary, Teller, What};
use source::{Nature, Source, shown};
use survey::{Database, UNNEEDED, survey};

/// The zone of the old program's times.
pub const TIME_ZONE: &str = "Asia/Jakarta";

/// What is asked for.
#[derive(Debug, Clone)]
pub struct Request {
    /// The old home.
    pub from: PathBuf,
    /// Where it must lie when it is opened, whatever it was when it was asked for; anywhere where absent.
    pub within: Option<PathBuf>,
    /// Whose becomes what names nobody.
    pub owner: UserName,
    /// Do it; otherwise it is only told.
    pub apply: bool,
    /// Remove a file of the old home once its bytes are in the library.
    pub remove_sources: bool,
    /// Only these kinds; all where empty.
    pub only: BTreeSet<What>,
    /// IANA zone of the old program's times.
    pub time_zone: String,
}

/// Brings old homes into the libraries of a box. One at a time.
#[derive(Clone)]
pub struct MovingIn {
    foundation: Foundation,
    accounts: Accounts,
    tenancy: Tenancy,
    turn: Arc<Mutex<()>>,
    desk: Arc<Desk>,
}

impl MovingIn {
    /// For one server.
    pub fn new(foundation: &Foundation, accounts: &Accounts, tenancy: &Tenancy) -> MovingIn {
        MovingIn {
            foundation: foundation.clone(),
            accounts: accounts.clone(),
            tenancy: tenancy.clone(),
            turn: Arc::default(),
            desk: Arc::new(Desk::new()),
        }
    }

    fn begin(&self) -> Result<tokio::sync::OwnedMutexGuard<()>> {
        self.turn.clone().try_lock_owned().map_err(|_| Error::Conflict(Message::new("migrate-busy")))
    }

    /// Goes through an old home and tells `listener` what becomes of everything in it.
    ///
    /// # Errors
    /// [`Error::Conflict`] where it is no folder, holds nothing of the old program, another one is under way, or nobody
    /// listens any more; [`Error::Invalid`] for a zone that does not exist.
    pub async fn migrate(
        &self,
        operator: &FreshOperatorScope,
        request: Request,
        listener: mpsc::Sender<Event>,
    ) -> Result<Summary> {
        let _turn = self.begin()?;
        crate::clock::zone(&request.time_zone)
            .ok_or_else(|| Error::field("time_zone", Message::new("schedule-zone-unknown")))?;
        let (from, within) = (request.from.clone(), request.within.clone());
        let own = self.foundation.config().home.clone();
        let (source, found) = blocking(move || {
            let source = Source::open(&from, within.as_deref())?;
            if source.is_of(&own)? {
                return Err(Error::Conflict(Message::new("migrate-own-home")));
            }
            let found = survey(&source)?;
            Ok((source, found))
        })
        .await?;
        let home = journal::home_name(source.path());
        let teller = Teller::of(&request.only, listener);
        let mut walk = Walk {
            ground: Ground {
                moving: self.clone(),
                operator: operator.clone(),
                request,
                source: Arc::new(source),
                home,
            },
            teller,
            files: Files::new(found.entries),
            databases: found.databases,
            owners: HashMap::new(),
            coming: HashMap::new(),
            videos: Shelf::default(),
            keys: Shelf::default(),
            room: database::MOST_TOGETHER,
            runs: HashMap::new(),
        };
        walk.check_owner().await?;
        walk.all().await?;
        let mut summary = walk.teller.summary;
        summary.disk_free = disk_room(&self.foundation)?.unwrap_or(0);
        Ok(summary)
    }
}

/// What is told of something that could not be taken in. The rest goes on.
fn failure(cause: Error) -> Message {
    match cause {
        Error::Invalid(fields) => first(fields),
        Error::Internal(cause) => Message::new("migrate-failed").with("cause", format!("{cause:#}")),
        other => other.message(),
    }
}

/// What is wrong with the first field that is named.
fn first(fields: Vec<FieldError>) -> Message {
    fields.into_iter().next().map_or_else(|| Message::new("error-invalid"), |field| field.message)
}

/// What all steps share and none changes.
struct Ground {
    moving: MovingIn,
    operator: FreshOperatorScope,
    request: Request,
    source: Arc<Source>,
    /// Names the old home in marks.
    home: String,
}

impl Ground {
    fn applies(&self) -> bool {
        self.request.apply
    }

    fn wants(&self, what: What) -> bool {
        self.request.only.is_empty() || self.request.only.contains(&what)
    }
}

/// One walk over an old home.
struct Walk {
    ground: Ground,
    teller: Teller,
    files: Files,
    databases: Vec<Database>,
    /// Who was looked up before, by the name that rows give.
    owners: HashMap<String, Result<Owner, Message>>,
    /// Bytes that users whom a plan would make may use.
    coming: HashMap<UserName, u64>,
    /// What rows of workbooks may mean.
    videos: Shelf<KnownVideo>,
    keys: Shelf<KnownKey>,
    /// Bytes of databases that may yet be read.
    room: u64,
    /// How many runs a history has, with those that came.
    runs: HashMap<Tenant, u64>,
}

impl Walk {
    async fn all(&mut self) -> Result<()> {
        let count = self.files.iter().count() as u64;
        // Files that are all hole add up to more than there is.
        let bytes = self.files.iter().fold(0, |sum: u64, (_, slot)| sum.saturating_add(slot.stamp.size));
        self.teller.expect(count, bytes).await?;
        // Each on the heap: together they would take more of a thread's stack than it has.
        Box::pin(self.users()).await?;
        let (pictures, videos) = Box::pin(self.media()).await?;
        Box::pin(self.albums()).await?;
        Box::pin(self.channels()).await?;
        Box::pin(self.keys()).await?;
        Box::pin(self.live_streams(&videos)).await?;
        Box::pin(self.workbooks(&pictures)).await?;
        Box::pin(self.notices()).await?;
        Box::pin(self.rest()).await
    }

    /// The databases of a name.
    fn databases(&self, name: &str) -> Vec<Database> {
        let named = |database: &&Database| database.path.file_name() == Some(OsStr::new(name));
        self.databases.iter().filter(named).cloned().collect()
    }

    /// Reads a database and tells how that went; `record` makes of a row what is kept of it.
    async fn read<T: Send + 'static>(
        &mut self,
        database: &Database,
        record: impl Fn(Place, Option<&str>, &Value) -> Option<T> + Send + 'static,
    ) -> Result<Vec<T>> {
        let name = shown(&database.path);
        let item = Item::new(What::Database).file(name.as_str());
        self.files.tell(&database.path, name.as_str());
        let Some(slot) = self.files.get(&database.path) else { return Ok(Vec::new()) };
        if let Some(reason) = files::refusal(slot.nature) {
            self.teller.tell(item.skipped(reason)).await?;
            return Ok(Vec::new());
        }
        let (source, path, person) = (self.ground.source.clone(), database.path.clone(), database.person.clone());
        let shown_name = name.clone();
        let most = self.room.min(database::MOST_BYTES);
        self.room = self.room.saturating_sub(slot.stamp.size.min(most));
        let read = blocking(move || {
            let (mut kept, mut odd) = (Vec::new(), Vec::new());
            let read = source.open_file(&path, None).and_then(|file| {
                database::read(file, most, |row, value| {
                    let place = Place { database: shown_name.clone(), row: row.clone() };
                    match record(place, person.as_deref(), &value) {
                        Some(record) => kept.push(record),
                        None => odd.push(row),
                    }
                })
            });
            Ok((kept, odd, read.map_err(|cause| cause.to_string())))
        });
        let (kept, odd, read) = read.await?;
        let count = kept.len() + odd.len();
        self.teller.expect(count as u64, 0).await?;
        for row in odd {
            let item = Item::new(What::Database).row(name.as_str(), row);
            self.teller.tell(item.skipped(Message::new("migrate-row-strange"))).await?;
        }
        let told = match read {
            Ok(Ending::Whole(0)) => item.unneeded(Message::new("migrate-database-empty")),
            Ok(Ending::Whole(_)) => item.unneeded(Message::new("migrate-database-read").with("count", count)),
            Ok(Ending::Torn { line, column }) => {
                let message = Message::new("migrate-database-torn").with("line", line).with("column", column);
                item.skipped(message.with("count", count))
            }
            Ok(Ending::TooLarge) if most < database::MOST_BYTES => {
                let mib = database::MOST_TOGETHER >> 20;
                item.skipped(Message::new("migrate-databases-large").with("mib", mib))
            }
            Ok(Ending::TooLarge) => {
                item.skipped(Message::new("migrate-database-large").with("mib", database::MOST_BYTES >> 20))
            }
            Ok(Ending::TooMany) => {
                let most = database::MOST_RECORDS;
                item.skipped(Message::new("migrate-database-many").with("most", most).with("count", count))
            }
            Ok(Ending::LargeRecord { row }) => {
                let message =
                    Message::new("migrate-row-large").with("row", row).with("mib", database::MOST_RECORD >> 20);
                item.skipped(message.with("count", count))
            }
            Ok(Ending::Strange) => item.skipped(Message::new("migrate-database-strange")),
            Err(cause) => item.skipped(Message::new("migrate-unreadable").with("cause", cause)),
        };
        self.teller.tell(told).await?;
        Ok(kept)
    }

    /// What no row named.
    async fn rest(&mut self) -> Result<()> {
        let left: Vec<(PathBuf, Nature)> =
            self.files.untold().map(|(path, slot)| (path.clone(), slot.nature)).collect();
        for (path, nature) in left {
            let name = path.file_name().and_then(OsStr::to_str).unwrap_or_default();
            let folder = files::folder_of(&path);
            let what = match folder {
                Some("videos") => What::Video,
                Some("thumbnails") => What::Thumbnail,
                Some(_) => What::Channel,
                None => What::Other,
            };
            let item = Item::new(what).file(shown(&path));
            let item = if let Some(reason) = files::refusal(nature) {
                item.skipped(reason)
            } else if matches!(name, ".gitkeep" | ".DS_Store" | "Thumbs.db" | "desktop.ini") {
                item.unneeded(Message::new("migrate-not-data"))
            } else if UNNEEDED.contains(&name) && folder.is_none() {
                item.unneeded(Message::new("migrate-no-use"))
            } else if folder.is_some() {
                item.skipped(Message::new("migrate-nobody-names-it"))
            } else if files::is_media(&path) {
                item.skipped(Message::new("migrate-odd-place"))
            } else {
                item.unneeded(Message::new("migrate-not-data"))
            };
            self.teller.tell(item).await?;
        }
        Ok(())
    }
}
