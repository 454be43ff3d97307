//! Takes back what moving in brought: exactly what the marks name, and nothing that was changed, is used by something
//! made since, or is nowhere else any more.

use std::collections::{HashMap, HashSet};
use std::path::PathBuf;
use std::sync::Arc;

use tokio::sync::mpsc;
use uuid::Uuid;

use super::channels::INTENTS;
use super::journal::{self, Mark, OldBytes, home_name};
use super::report::{Event, Fate, Item, Summary, Teller, What};
use super::source::{Source, shown};
use super::{MovingIn, failure};
use crate::auth::{FreshOperatorScope, MovedIn, Role, Tenant, UserName};
use crate::error::{Error, Result};
use crate::library::stored::{Collection, StoredObject};
use crate::library::{Despite, Editor, Thumbnail, Video, used_by};
use crate::live::kept_key::KeptKey;
use crate::live::{LiveStream, Run};
use crate::notify::Destination;
use crate::oauth::Connection;
use crate::schedule::Schedule;
use crate::store::blocking;
use crate::store::rows::{Reader, Record, Row};
use crate::text::Message;

/// What uses others goes before these.
const ORDER: [What; 12] = [
    What::Schedule,
    What::Stream,
    What::Run,
    What::StreamKey,
    What::Channel,
    What::Notice,
    What::Collection,
    What::Photo,
    What::Generated,
    What::Video,
    What::Thumbnail,
    What::Sample,
];

/// Why something stays, or that it is gone.
type Outcome = Result<Result<(), Message>>;

impl MovingIn {
    /// Takes back what came from an old home, or from all of them where none is named, and tells `listener`. Without
    /// `apply` it is only told.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another one is under way or nobody listens any more.
    pub async fn roll_back(
        &self,
        operator: &FreshOperatorScope,
        from: Option<PathBuf>,
        apply: bool,
        listener: mpsc::Sender<Event>,
    ) -> Result<Summary> {
        let _turn = self.begin()?;
        let mut sources = HashMap::new();
        let mut home = None;
        if let Some(from) = from {
            let path = std::fs::canonicalize(&from).unwrap_or(from);
            let name = home_name(&path);
            sources.insert(name.clone(), opened(path).await);
            home = Some(name);
        }
        let mut back = Back {
            moving: self.clone(),
            operator: operator.clone(),
            home,
            sources,
            apply,
            going: HashSet::new(),
            gone: HashMap::new(),
            teller: Teller::new(listener),
        };
        for tenant in self.tenancy.all().await? {
            Box::pin(back.library(&tenant)).await?;
        }
        Box::pin(back.users()).await?;
        Ok(back.teller.summary)
    }
}

struct Back {
    moving: MovingIn,
    operator: FreshOperatorScope,
    /// Names the old home; all where absent.
    home: Option<String>,
    /// Old homes by their names, where they can be read.
    sources: HashMap<String, Option<Arc<Source>>>,
    /// Do it; otherwise it is only told.
    apply: bool,
    /// What a plan would have taken back by now.
    going: HashSet<Uuid>,
    /// How many rows of each library that is.
    gone: HashMap<Tenant, u64>,
    teller: Teller,
}

/// An old home that still lies where it was.
async fn opened(path: PathBuf) -> Option<Arc<Source>> {
    let source = blocking(move || Source::open(&path, None).map(|source| (source.path() == path, source))).await;
    source.ok().filter(|(is_same, _)| *is_same).map(|(_, source)| Arc::new(source))
}

fn changed() -> Message {
    Message::new("migrate-changed-since")
}

/// A row that is as it was made.
async fn unchanged<T: Record>(editor: &Editor, mark: &Mark) -> Result<Result<Option<Row<T>>, Message>> {
    let (id, at) = (mark.id, mark.at);
    let row = editor.rows().read(move |rows| rows.get::<T>(id)).await?;
    Ok(match row {
        Some(row) if row.header.updated_at != at => Err(changed()),
        row => Ok(row),
    })
}

/// What it is called here.
async fn title(editor: &Editor, mark: &Mark) -> Result<Option<String>> {
    let (what, id) = (mark.what, mark.id);
    let look = move |rows: &Reader<'_>| {
        Ok(match what {
            What::Schedule => match rows.get::<Schedule>(id)? {
                Some(row) => rows.get::<LiveStream>(row.value.stream_id)?.map(|row| row.value.title),
                None => None,
            },
            What::Stream => rows.get::<LiveStream>(id)?.map(|row| row.value.title),
            What::Run => rows.get::<Run>(id)?.map(|row| row.value.stream_title),
            What::StreamKey => rows.get::<KeptKey>(id)?.map(|row| row.value.title),
            What::Channel => rows.get::<Connection>(id)?.map(|row| row.value.title),
            What::Collection => rows.get::<Collection>(id)?.map(|row| row.value.title),
            What::Photo | What::Generated => rows.get::<StoredObject>(id)?.map(|row| row.value.title),
            What::Video => rows.get::<Video>(id)?.map(|row| row.value.title),
            What::Thumbnail => rows.get::<Thumbnail>(id)?.map(|row| row.value.title),
            _ => None,
        })
    };
    editor.rows().read(look).await
}

async fn forget(editor: &Editor, identity: &str, mark: &Mark) -> Result<()> {
    let (identity, mark) = (identity.to_owned(), mark.clone());
    editor.rows().write(move |rows| mark.forget(rows, &identity)).await
}

/// Deletes a row that nothing else hangs on.
async fn delete<T: Record>(editor: &Editor, mark: &Mark) -> Outcome {
    let row = match unchanged::<T>(editor, mark).await? {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(Ok(())),
        Err(reason) => return Ok(Err(reason)),
    };
    let actor = editor.actor().clone();
    editor
        .rows()
        .write(move |rows| {
            let Some(now) = rows.get::<T>(row.id())?.filter(|now| now.version == row.version) else { return Ok(()) };
            rows.delete(&now);
            crate::audit::record(rows, &actor, "migrate.take-back", format!("{} {}", T::KIND, row.id()))
        })
        .await?;
    Ok(Ok(()))
}

/// What a domain call says: gone is as good as taken back, what it refuses is a reason.
fn said<T>(done: Result<T>) -> Outcome {
    match done {
        Ok(_) | Err(Error::NotFound) => Ok(Ok(())),
        Err(Error::Stale) => Ok(Err(changed())),
        Err(cause @ Error::Internal(_)) => Err(cause),
        Err(cause) => Ok(Err(failure(cause))),
    }
}

impl Back {
    fn is_meant(&self, home: &str) -> bool {
        self.home.as_deref().is_none_or(|meant| meant == home)
    }

    async fn library(&mut self, tenant: &Tenant) -> Result<()> {
        let editor = Editor::open(&self.moving.foundation, &self.operator.on_behalf(tenant));
        let mut marks = journal::all(&editor).await?;
        marks.retain(|(_, mark)| self.is_meant(&mark.home));
        // As they stood in the old home.
        marks.sort_by_cached_key(|(_, mark)| {
            let (database, row) = mark.row().unwrap_or_else(|| (mark.from.clone(), String::new()));
            (database, row.parse::<u64>().unwrap_or(u64::MAX), row)
        });
        for (home, path) in journal::homes(&editor).await? {
            if self.is_meant(&home) && !self.sources.contains_key(&home) {
                self.sources.insert(home, opened(path).await);
            }
        }
        self.teller.expect(marks.len() as u64, 0).await?;
        for what in ORDER {
            for (identity, mark) in marks.iter().filter(|(_, mark)| mark.what == what) {
                let title = title(&editor, mark).await?.unwrap_or_else(|| mark.from.clone());
                let mut item = Item { id: Some(mark.id), ..Item::new(what) }.owner(tenant).title(title);
                item.row = mark.row();
                let item = match mark.file.as_ref().map(OldBytes::path) {
                    Some(path) => item.file(shown(&path)),
                    None => item,
                };
                let item = match Box::pin(self.take_back(&editor, mark)).await? {
                    Ok(()) => {
                        match self.apply {
                            true => forget(&editor, identity, mark).await?,
                            false => {
                                self.going.insert(mark.id);
                                *self.gone.entry(tenant.clone()).or_default() += 1;
                            }
                        }
                        item.fate(Fate::Removed)
                    }
                    Err(reason) => item.skipped(reason),
                };
                self.teller.tell(item).await?;
            }
        }
        if self.apply { self.intents(&editor).await } else { Ok(()) }
    }

    /// Grants that a run which was killed sealed and never wrote down.
    async fn intents(&self, editor: &Editor) -> Result<()> {
        let waiting = editor
            .rows()
            .read(|rows| {
                let mut found = Vec::new();
                rows.values::<Uuid>(INTENTS, |key, id| {
                    found.push((key.to_owned(), id));
                    std::ops::ControlFlow::Continue(())
                })?;
                Ok(found)
            })
            .await?;
        for (key, id) in waiting {
            let forget = move |rows: &mut crate::store::rows::Writer<'_>| {
                rows.delete_value(&key);
                Ok(())
            };
            editor.forget_channel(id, forget).await?;
        }
        Ok(())
    }

    async fn take_back(&self, editor: &Editor, mark: &Mark) -> Outcome {
        if let Some(file) = &mark.file
            && !self.is_there(&mark.home, file).await?
        {
            return Ok(Err(Message::new("migrate-source-gone")));
        }
        if !self.apply {
            return self.would(editor, mark).await;
        }
        match mark.what {
            What::Schedule => delete_schedule(editor, mark).await,
            What::Stream => delete_stream(editor, mark).await,
            What::Run => delete::<Run>(editor, mark).await,
            What::StreamKey => delete::<KeptKey>(editor, mark).await,
            What::Channel => match unchanged::<Connection>(editor, mark).await? {
                Ok(_) => said(editor.forget_channel(mark.id, |_| Ok(())).await),
                Err(reason) => Ok(Err(reason)),
            },
            What::Collection => delete::<Collection>(editor, mark).await,
            What::Photo | What::Generated => match unchanged::<StoredObject>(editor, mark).await? {
                Ok(Some(row)) => said(editor.delete_object(&row).await),
                Ok(None) => Ok(Ok(())),
                Err(reason) => Ok(Err(reason)),
            },
            What::Notice => delete::<Destination>(editor, mark).await,
            What::Video => delete_video(editor, mark).await,
            What::Thumbnail => delete_thumbnail(editor, mark).await,
            // Goes with its library, or stays with it.
            _ => Ok(Ok(())),
        }
    }

    /// What [`Back::take_back`] would say, after all that a plan has told before.
    async fn would(&self, editor: &Editor, mark: &Mark) -> Outcome {
        let id = mark.id;
        let stays = match mark.what {
            What::Schedule => unchanged::<Schedule>(editor, mark).await?.err(),
            What::Run => unchanged::<Run>(editor, mark).await?.err(),
            What::StreamKey => unchanged::<KeptKey>(editor, mark).await?.err(),
            What::Channel => unchanged::<Connection>(editor, mark).await?.err(),
            What::Collection => unchanged::<Collection>(editor, mark).await?.err(),
            What::Photo | What::Generated => unchanged::<StoredObject>(editor, mark).await?.err(),
            What::Notice => unchanged::<Destination>(editor, mark).await?.err(),
            What::Stream => match unchanged::<LiveStream>(editor, mark).await? {
                Err(reason) => Some(reason),
                Ok(_) => {
                    let planned = move |rows: &Reader<'_>| rows.ids_at::<Schedule>("stream", id.as_bytes());
                    let planned = editor.rows().read(planned).await?;
                    let stays = planned.iter().any(|schedule| !self.going.contains(schedule));
                    stays.then(|| Message::new("migrate-stream-planned"))
                }
            },
            What::Video => match unchanged::<Video>(editor, mark).await? {
                Err(reason) => Some(reason),
                Ok(_) => match editor.video_uses(id).await {
                    Err(Error::NotFound) => None,
                    uses => {
                        let uses = uses?.into_iter().filter(|used| !self.going.contains(&used.stream_id));
                        let titles: Vec<String> = uses.map(|used| used.title).collect();
                        let played = || Message::new("migrate-video-played").with("streams", titles.join(", "));
                        (!titles.is_empty()).then(played)
                    }
                },
            },
            What::Thumbnail => match unchanged::<Thumbnail>(editor, mark).await? {
                Err(reason) => Some(reason),
                Ok(_) => {
                    let shown = move |rows: &Reader<'_>| rows.ids_at::<Video>("thumbnail", id.as_bytes());
                    let shown = editor.rows().read(shown).await?;
                    let stays = shown.iter().any(|video| !self.going.contains(video));
                    stays.then(|| Message::new("migrate-picture-shown"))
                }
            },
            _ => None,
        };
        Ok(stays.map_or(Ok(()), Err))
    }

    /// Whether the bytes are still where they came from. What is only told may go by size and time; nothing is deleted
    /// before its old file was read.
    async fn is_there(&self, home: &str, file: &OldBytes) -> Result<bool> {
        let Some(source) = self.sources.get(home).cloned().flatten() else { return Ok(false) };
        let (file, looks) = (file.clone(), !self.apply);
        blocking(move || {
            let path = file.path();
            if looks && source.stamp(&path) == Some(file.stamp) {
                return Ok(true);
            }
            let Ok(open) = source.open_file(&path, None) else { return Ok(false) };
            if open.metadata()?.len() != file.stamp.size {
                return Ok(false);
            }
            let mut hasher = blake3::Hasher::new();
            let read = std::io::copy(&mut &open, &mut hasher);
            Ok(read.is_ok() && hasher.finalize().to_hex().as_str() == file.hash)
        })
        .await
    }

    async fn users(&mut self) -> Result<()> {
        let moved = self.moving.accounts.moved_in(&self.operator).await?;
        for (name, moved) in moved {
            if !self.is_meant(&moved.home) {
                continue;
            }
            let item = Item::new(What::User).owner(&name).title(name.as_str());
            let item = match self.user(&name, &moved).await? {
                Ok(()) => {
                    let mut item = item.fate(Fate::Removed);
                    // Who was here before stays.
                    let stays = moved.former.is_some();
                    item.reason = stays.then(|| Message::new("migrate-password-back").with("name", name.as_str()));
                    item
                }
                Err(reason) => item.skipped(reason),
            };
            self.teller.tell(item).await?;
        }
        Ok(())
    }

    async fn user(&self, name: &UserName, moved: &MovedIn) -> Outcome {
        let (accounts, tenancy) = (&self.moving.accounts, &self.moving.tenancy);
        let in_use = || Message::new("migrate-user-in-use").with("name", name.as_str());
        if moved.former.is_some() && !self.apply {
            let would = accounts.would_give_back(&self.operator, name.clone(), moved).await?;
            return Ok(if would { Ok(()) } else { Err(in_use()) });
        }
        if moved.former.is_some() {
            let given = accounts.give_back_password(&self.operator, name.clone()).await?;
            return Ok(if given { Ok(()) } else { Err(in_use()) });
        }
        if let Some(reason) = accounts.changed_since(&self.operator, name.clone()).await? {
            return Ok(Err(reason));
        }
        let (user, _) = accounts.get(&self.operator, name.clone()).await?;
        let kinds = [
            "video",
            "thumbnail",
            "stream",
            "schedule",
            "run",
            "stream_key",
            "channel",
            "destination",
            "object",
            "collection",
        ];
        let holdings = tenancy.holdings(&self.operator, &user.tenant, kinds).await?;
        // A demo's library holds its sample, which nobody can have changed.
        let gone = self.gone.get(&user.tenant).copied().unwrap_or_default();
        if user.role != Role::Demo && holdings.iter().sum::<u64>() > gone {
            return Ok(Err(Message::new("migrate-library-in-use").with("name", name.as_str())));
        }
        if !self.apply {
            return Ok(Ok(()));
        }
        said(tenancy.remove(&self.operator, name.clone()).await)
    }
}

async fn delete_schedule(editor: &Editor, mark: &Mark) -> Outcome {
    match unchanged::<Schedule>(editor, mark).await? {
        Ok(Some(row)) => said(editor.delete_schedule(mark.id, Some(row.version)).await),
        Ok(None) => Ok(Ok(())),
        Err(reason) => Ok(Err(reason)),
    }
}

async fn delete_stream(editor: &Editor, mark: &Mark) -> Outcome {
    let row = match unchanged::<LiveStream>(editor, mark).await? {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(Ok(())),
        Err(reason) => return Ok(Err(reason)),
    };
    let id = mark.id;
    let planned = editor.rows().read(move |rows| rows.ids_at::<Schedule>("stream", id.as_bytes())).await?;
    if !planned.is_empty() {
        return Ok(Err(Message::new("migrate-stream-planned")));
    }
    said(editor.delete_stream(id, Some(row.version)).await)
}

async fn delete_video(editor: &Editor, mark: &Mark) -> Outcome {
    let row = match unchanged::<Video>(editor, mark).await? {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(Ok(())),
        Err(reason) => return Ok(Err(reason)),
    };
    let uses = match editor.video_uses(mark.id).await {
        Err(Error::NotFound) => return Ok(Ok(())),
        uses => uses?,
    };
    if !uses.is_empty() {
        let titles: Vec<String> = uses.into_iter().map(|used| used.title).collect();
        return Ok(Err(Message::new("migrate-video-played").with("streams", titles.join(", "))));
    }
    said(editor.delete_video(mark.id, Some(row.version), Despite::default()).await)
}

async fn delete_thumbnail(editor: &Editor, mark: &Mark) -> Outcome {
    let row = match unchanged::<Thumbnail>(editor, mark).await? {
        Ok(Some(row)) => row,
        Ok(None) => return Ok(Ok(())),
        Err(reason) => return Ok(Err(reason)),
    };
    let id = mark.id;
    if editor.rows().read(move |rows| used_by(rows, id)).await? > 0 {
        return Ok(Err(Message::new("migrate-picture-shown")));
    }
    said(editor.delete_thumbnail(id, Some(row.version)).await)
}
