//! What becomes of every file and every row of an old home, told while it happens.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use tokio::sync::mpsc;
use utoipa::ToSchema;
use uuid::Uuid;

use crate::error::{Error, Result};
use crate::text::{Argument, Message};

/// What something of an old home is, or becomes.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MigrationKind)]
pub enum What {
    /// A person who logs in.
    User,
    /// A picture of the gallery.
    Thumbnail,
    /// A video.
    Video,
    /// A photo.
    Photo,
    /// A clip, montage or slideshow.
    Generated,
    /// A named set of objects.
    Collection,
    /// The grant of a channel.
    Channel,
    /// A key of a channel.
    StreamKey,
    /// What to put on air.
    Stream,
    /// When.
    Schedule,
    /// What was on air.
    Run,
    /// Where somebody is told.
    Notice,
    /// The demo's own videos.
    Sample,
    /// A file that holds rows.
    Database,
    /// Anything else.
    Other,
}

impl What {
    /// All of them, in the order of the totals.
    pub const ALL: [What; 15] = [
        What::User,
        What::Thumbnail,
        What::Video,
        What::Photo,
        What::Generated,
        What::Collection,
        What::Channel,
        What::StreamKey,
        What::Stream,
        What::Schedule,
        What::Run,
        What::Notice,
        What::Sample,
        What::Database,
        What::Other,
    ];

    /// The word used in reports and on the command line.
    pub fn code(self) -> &'static str {
        match self {
            What::User => "user",
            What::Thumbnail => "thumbnail",
            What::Video => "video",
            What::Photo => "photo",
            What::Generated => "generated",
            What::Collection => "collection",
            What::Channel => "channel",
            What::StreamKey => "stream_key",
            What::Stream => "stream",
            What::Schedule => "schedule",
            What::Run => "run",
            What::Notice => "notice",
            What::Sample => "sample",
            What::Database => "database",
            What::Other => "other",
        }
    }
}

/// What becomes of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize, ToSchema)]
#[serde(rename_all = "snake_case")]
#[schema(as = MigrationFate)]
pub enum Fate {
    /// It is in the library now; of a plan: it will be.
    Imported,
    /// An earlier run brought it.
    Present,
    /// It stays where it is; the reason says why.
    Skipped,
    /// There is nothing in it to take; the reason says why.
    Unneeded,
    /// It was taken back; of a plan: it will be.
    Removed,
}

impl Fate {
    /// The word used in reports.
    pub fn code(self) -> &'static str {
        match self {
            Fate::Imported => "imported",
            Fate::Present => "present",
            Fate::Skipped => "skipped",
            Fate::Unneeded => "unneeded",
            Fate::Removed => "removed",
        }
    }
}

/// One file, one row, or a row with its file.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Item {
    /// What it is.
    pub what: What,
    /// What becomes of it.
    pub fate: Fate,
    /// The file that holds its bytes, relative to the old home.
    pub file: Option<String>,
    /// The database that names it, and where in there: a number from 1, a key, or a row of a sheet.
    pub row: Option<(String, String)>,
    /// Whose it becomes.
    pub owner: Option<String>,
    /// What it is called.
    pub title: Option<String>,
    /// Why it is skipped, or what is to be known of it.
    pub reason: Option<Message>,
    /// What it became.
    pub id: Option<Uuid>,
    /// What kind of it that is, where there are several: of a user, role and plan.
    #[serde(default)]
    pub becomes: Option<Message>,
    /// Bytes that it takes.
    pub bytes: u64,
}

impl Item {
    /// Something that is taken in, unless more is said.
    pub fn new(what: What) -> Item {
        Item {
            what,
            fate: Fate::Imported,
            file: None,
            row: None,
            owner: None,
            title: None,
            reason: None,
            id: None,
            becomes: None,
            bytes: 0,
        }
    }

    /// A file of the old home.
    pub fn file(mut self, file: impl Into<String>) -> Item {
        self.file = Some(file.into());
        self
    }

    /// A row of a database.
    pub fn row(mut self, database: impl Into<String>, row: impl Into<String>) -> Item {
        self.row = Some((database.into(), row.into()));
        self
    }

    /// Whose.
    pub fn owner(mut self, owner: impl ToString) -> Item {
        self.owner = Some(owner.to_string());
        self
    }

    /// What it is called.
    pub fn title(mut self, title: impl Into<String>) -> Item {
        self.title = Some(title.into()).filter(|title| !title.is_empty());
        self
    }

    /// It becomes this.
    pub fn fate(mut self, fate: Fate) -> Item {
        self.fate = fate;
        self
    }

    /// It stays, and why.
    pub fn skipped(mut self, reason: Message) -> Item {
        (self.fate, self.reason) = (Fate::Skipped, Some(reason));
        self
    }

    /// There is nothing to take, and why.
    pub fn unneeded(mut self, reason: Message) -> Item {
        (self.fate, self.reason) = (Fate::Unneeded, Some(reason));
        self
    }
}

/// How many of a kind.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MigrationCount)]
pub struct Count {
    /// See [`Fate::Imported`].
    pub imported: u64,
    /// See [`Fate::Present`].
    pub present: u64,
    /// See [`Fate::Skipped`].
    pub skipped: u64,
    /// See [`Fate::Unneeded`].
    pub unneeded: u64,
    /// See [`Fate::Removed`].
    pub removed: u64,
    /// Bytes of those that are imported, or removed.
    pub bytes: u64,
}

/// What it all came to.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MigrationSummary)]
pub struct Summary {
    /// By kind.
    pub totals: BTreeMap<What, Count>,
    /// Bytes that what is still to be taken in needs on the disk; of a plan.
    pub disk_needed: u64,
    /// Bytes that the disk has free for it.
    pub disk_free: u64,
}

impl Summary {
    /// All kinds together.
    pub fn all(&self) -> Count {
        self.totals.values().fold(Count::default(), |all, one| Count {
            imported: all.imported + one.imported,
            present: all.present + one.present,
            skipped: all.skipped + one.skipped,
            unneeded: all.unneeded + one.unneeded,
            removed: all.removed + one.removed,
            bytes: all.bytes.saturating_add(one.bytes),
        })
    }

    /// Counts one more.
    pub fn count(&mut self, item: &Item) {
        let count = self.totals.entry(item.what).or_default();
        match item.fate {
            Fate::Imported => count.imported += 1,
            Fate::Present => count.present += 1,
            Fate::Skipped => count.skipped += 1,
            Fate::Unneeded => count.unneeded += 1,
            Fate::Removed => count.removed += 1,
        }
        if matches!(item.fate, Fate::Imported | Fate::Removed) {
            count.bytes = count.bytes.saturating_add(item.bytes);
        }
    }
}

/// How far it is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
#[schema(as = MigrationProgress)]
pub struct Progress {
    /// Files and rows that are dealt with.
    pub done: u64,
    /// Files and rows in all, as far as is known.
    pub of: u64,
    /// Bytes that are dealt with.
    pub bytes: u64,
    /// Bytes in all.
    pub of_bytes: u64,
}

/// What is told while it happens.
#[derive(Debug, Clone)]
pub enum Event {
    /// Something is dealt with.
    Item(Box<Item>),
    /// How far it is.
    Progress(Progress),
}

/// Characters of what a row calls itself that a report repeats.
const LONGEST: usize = 120;

/// What a row calls itself, as it is shown: of one line and not of megabytes, whatever somebody wrote into it.
fn plain(text: &str) -> String {
    let mut letters = text.chars().map(|letter| if letter.is_control() { '\u{fffd}' } else { letter });
    let mut shown: String = letters.by_ref().take(LONGEST).collect();
    if letters.next().is_some() {
        shown.push('…');
    }
    shown
}

/// The same of what a reason repeats.
fn plain_words(reason: &mut Message) {
    for (_, argument) in &mut reason.arguments {
        match argument {
            Argument::Number(_) => {}
            Argument::Word(word) => *word = plain(word),
            Argument::Nested(message) => plain_words(message),
        }
    }
}

/// Tells it, and counts.
pub(super) struct Teller {
    listener: mpsc::Sender<Event>,
    /// Kinds that were asked for; all where empty.
    only: BTreeSet<What>,
    progress: Progress,
    /// What it all comes to.
    pub summary: Summary,
}

impl Teller {
    pub fn new(listener: mpsc::Sender<Event>) -> Teller {
        Teller { listener, only: BTreeSet::new(), progress: Progress::default(), summary: Summary::default() }
    }

    /// One for a run that takes some kinds only.
    pub fn of(only: &BTreeSet<What>, listener: mpsc::Sender<Event>) -> Teller {
        Teller { only: only.clone(), ..Teller::new(listener) }
    }

    /// Whether something of a kind was asked for. A row of a stream may become any of three.
    fn is_asked_for(&self, what: What) -> bool {
        let row = [What::Stream, What::Schedule, What::Run];
        match what {
            What::Database | What::Other => true,
            _ if row.contains(&what) => row.iter().any(|what| self.only.contains(what)),
            what => self.only.contains(&what),
        }
    }

    async fn send(&self, event: Event) -> Result<()> {
        // Whoever asked is gone; what is done is done, and the next run goes on.
        let gone = |_| Error::Conflict(Message::new("migrate-nobody-listens"));
        self.listener.send(event).await.map_err(gone)
    }

    /// So much more is to be done.
    pub async fn expect(&mut self, count: u64, bytes: u64) -> Result<()> {
        self.progress.of += count;
        self.progress.of_bytes = self.progress.of_bytes.saturating_add(bytes);
        self.send(Event::Progress(self.progress)).await
    }

    /// Tells what became of one file or row.
    pub async fn tell(&mut self, mut item: Item) -> Result<()> {
        // What would have hindered it does not matter this time.
        if item.fate == Fate::Skipped && !self.only.is_empty() && !self.is_asked_for(item.what) {
            item = item.unneeded(Message::new("migrate-not-asked"));
        }
        for text in
            [item.title.as_mut(), item.owner.as_mut(), item.row.as_mut().map(|(_, row)| row)].into_iter().flatten()
        {
            *text = plain(text);
        }
        if let Some(reason) = &mut item.reason {
            plain_words(reason);
        }
        self.summary.count(&item);
        self.progress.done += 1;
        self.progress.of = self.progress.of.max(self.progress.done);
        self.send(Event::Item(Box::new(item))).await
    }

    /// So many bytes are dealt with.
    pub async fn passed(&mut self, bytes: u64) -> Result<()> {
        self.progress.bytes = self.progress.bytes.saturating_add(bytes);
        self.progress.of_bytes = self.progress.of_bytes.max(self.progress.bytes);
        self.send(Event::Progress(self.progress)).await
    }
}
