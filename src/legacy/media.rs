//! Videos and pictures: a row's file comes in by the gate, once, with its title and the name it had when it first came.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::fs::File;
use std::os::unix::fs::FileExt as _;
use std::path::{Path, PathBuf};

use futures_util::StreamExt as _;
use uuid::Uuid;

use super::files::{self, Named};
use super::journal::{self, Mark, OldBytes};
use super::known::KnownVideo;
use super::records::MediaRecord;
use super::report::{Fate, Item, What};
use super::source::{Stamp, shown};
use super::{Ground, Owner, Walk, failure};
use crate::auth::Tenant;
use crate::error::{Error, Result};
use crate::library::stored::StoredObject;
use crate::library::{OldFile, Thumbnail, Video, VideoState};
use crate::media;
use crate::oauth::{self, Connection};
use crate::store::blocking;
use crate::store::rows::Writer;
use crate::text::Message;

/// What is here of the old home's files, by library and path; no id in a plan.
pub(super) type Taken = HashMap<(Tenant, PathBuf), Option<Uuid>>;

/// A row with a file that can be opened.
pub(super) struct Task {
    pub record: MediaRecord,
    pub path: PathBuf,
    pub stamp: Stamp,
    pub owner: Owner,
    /// Of a video: the picture that is shown for it.
    pub thumbnail: Option<Uuid>,
    /// What is to be known of it beside.
    pub note: Option<Message>,
}

/// A row whose file went with an earlier move.
pub(super) struct Gone {
    record: MediaRecord,
    path: PathBuf,
    id: Uuid,
    owner: Owner,
}

/// A row of a video, as rows of workbooks may mean it.
fn known_as(record: &MediaRecord, path: &Path, picture: Option<PathBuf>) -> KnownVideo {
    let file_name = path.file_name().and_then(|name| name.to_str()).map(str::to_owned);
    let names = [record.title.clone(), record.original_name.clone(), file_name];
    let names = names.into_iter().flatten().collect();
    KnownVideo { path: path.to_owned(), id: None, names, picture }
}

/// What a row comes to before its file is opened.
enum Meant {
    Take(PathBuf, Stamp, Owner),
    Gone(PathBuf, Uuid, Owner, Box<Item>),
    Told(Box<Item>),
}

/// What became of it.
struct Done {
    fate: Fate,
    reason: Option<Message>,
    id: Option<Uuid>,
}

impl Done {
    fn skipped(reason: Message) -> Done {
        Done { fate: Fate::Skipped, reason: Some(reason), id: None }
    }
}

/// How many files are looked at at once.
fn at_once() -> usize {
    std::thread::available_parallelism().map_or(1, |count| count.get().min(4))
}

impl Walk {
    /// Pictures first, because videos show them.
    pub(super) async fn media(&mut self) -> Result<(Taken, Taken)> {
        let mut pictures = Vec::new();
        for database in self.databases("thumbnail_database.json") {
            pictures.extend(self.read(&database, MediaRecord::read).await?);
        }
        let mut videos = Vec::new();
        for database in self.databases("video_database.json") {
            videos.extend(self.read(&database, MediaRecord::read).await?);
        }
        self.give_owners(&mut pictures, &videos);
        let (tasks, _) = self.tasks(What::Thumbnail, pictures).await?;
        let mut taken = self.take(What::Thumbnail, tasks).await?;
        let named = self.pictures_of(&videos, &taken).await?;
        taken.extend(self.take(What::Thumbnail, named).await?);
        let (mut tasks, gone) = self.tasks(What::Video, videos).await?;
        let mut known = Vec::new();
        for Gone { record, path, id, owner } in gone {
            let picture = self.picture_of(&record, &owner).and_then(Result::ok).map(|(path, _)| path);
            self.videos.put(&owner.tenant, KnownVideo { id: Some(id), ..known_as(&record, &path, picture) });
        }
        for task in &mut tasks {
            let picture = self.picture_of(&task.record, &task.owner);
            let path = picture.as_ref().and_then(|found| found.as_ref().ok()).map(|(path, _)| path.clone());
            known.push((task.owner.tenant.clone(), known_as(&task.record, &task.path, path)));
            let (Some(picture), Some(name)) = (picture, task.record.thumbnail.as_deref()) else { continue };
            let about = |id| Message::new(id).with("name", shown(Path::new(name)));
            let found = match picture {
                Err(_) => Err(about("migrate-picture-missing")),
                Ok((_, Some(id))) => Ok(Some(id)),
                Ok((path, None)) => match taken.get(&(task.owner.tenant.clone(), path)) {
                    Some(id) => Ok(*id),
                    None if !self.ground.wants(What::Thumbnail) => Err(about("migrate-picture-not-asked")),
                    None => Err(about("migrate-picture-not-taken")),
                },
            };
            match found {
                Ok(None) => {}
                Ok(Some(id)) if self.ground.is_here(What::Thumbnail, &task.owner, id).await? => {
                    task.thumbnail = Some(id)
                }
                Ok(Some(_)) => task.note = Some(about("migrate-picture-not-taken")),
                Err(note) => task.note = Some(note),
            }
        }
        let videos = self.take(What::Video, tasks).await?;
        for (tenant, mut video) in known {
            if let Some(id) = videos.get(&(tenant.clone(), video.path.clone())) {
                video.id = *id;
                self.videos.put(&tenant, video);
            }
        }
        Ok((taken, videos))
    }

    /// The picture that a row of a video names, if it names one.
    fn picture_of(&self, record: &MediaRecord, owner: &Owner) -> Option<Result<Named, Message>> {
        let name = record.thumbnail.as_deref()?;
        Some(self.files.named(What::Thumbnail, &owner.tenant, record.owner.as_deref(), name))
    }

    /// A picture that says nobody's name belongs to whoever's videos show it, where that is one person.
    fn give_owners(&self, pictures: &mut [MediaRecord], videos: &[MediaRecord]) {
        let mut shown_by: BTreeMap<&str, HashSet<Option<&str>>> = BTreeMap::new();
        for video in videos {
            if let Some(name) = video.thumbnail.as_deref() {
                let name = name.strip_prefix("thumbnails/").unwrap_or(name);
                shown_by.entry(name).or_default().insert(video.owner.as_deref());
            }
        }
        for picture in pictures.iter_mut().filter(|picture| picture.owner.is_none()) {
            let owners = picture.file_name.as_deref().and_then(|name| shown_by.get(name));
            if let Some(owners) = owners.filter(|owners| owners.len() == 1) {
                picture.owner = owners.iter().next().copied().flatten().map(str::to_owned);
            }
        }
    }

    /// Pictures that only videos name.
    async fn pictures_of(&mut self, videos: &[MediaRecord], taken: &Taken) -> Result<Vec<Task>> {
        let mut tasks = Vec::new();
        let mut seen = HashSet::new();
        for video in videos {
            let Some(name) = video.thumbnail.as_deref() else { continue };
            let Ok(owner) = self.owner(video.owner.as_deref(), video.person.as_deref()).await? else { continue };
            let named = self.files.named(What::Thumbnail, &owner.tenant, video.owner.as_deref(), name);
            let Some((path, None)) = named.ok().filter(|(path, _)| !video.is_foreign(path)) else { continue };
            let key = (owner.tenant.clone(), path.clone());
            let usable =
                self.files.get(&path).filter(|slot| slot.told.is_none() && files::refusal(slot.nature).is_none());
            let Some(stamp) = usable.map(|slot| slot.stamp).filter(|_| !taken.contains_key(&key)) else { continue };
            if !seen.insert(key) {
                continue;
            }
            let row = format!("{} {}", video.place.database, video.place.row);
            self.files.tell(&path, row);
            self.teller.expect(1, 0).await?;
            let record = MediaRecord { original_name: None, ..video.clone() };
            tasks.push(Task { record, path, stamp, owner, thumbnail: None, note: None });
        }
        Ok(tasks)
    }

    /// The rows whose files can be opened, and those whose files went with an earlier move; all others are told.
    async fn tasks(&mut self, what: What, records: Vec<MediaRecord>) -> Result<(Vec<Task>, Vec<Gone>)> {
        let (mut tasks, mut gone) = (Vec::with_capacity(records.len()), Vec::new());
        for record in records {
            match self.task(what, &record).await? {
                Meant::Take(path, stamp, owner) => {
                    tasks.push(Task { record, path, stamp, owner, thumbnail: None, note: None });
                }
                Meant::Gone(path, id, owner, item) => {
                    gone.push(Gone { record, path, id, owner });
                    self.teller.tell(*item).await?;
                }
                Meant::Told(item) => self.teller.tell(*item).await?,
            }
        }
        Ok((tasks, gone))
    }

    async fn task(&mut self, what: What, record: &MediaRecord) -> Result<Meant> {
        let item = described(what, record);
        let told = |item: Item| Ok(Meant::Told(item.into()));
        let Some(name) = record.file_name.as_deref() else {
            return told(item.skipped(Message::new("migrate-row-no-file")));
        };
        let owner = self.owner(record.owner.as_deref(), record.person.as_deref()).await?;
        let found = match &owner {
            Ok(owner) => self.files.named(what, &owner.tenant, record.owner.as_deref(), name),
            Err(_) => {
                let found = self.files.find(files::folder_for(what), record.owner.as_deref(), name);
                found.map(|path| (path, None))
            }
        };
        // Not told: whose it is may yet name it.
        if let Some((path, _)) = found.as_ref().ok().filter(|(path, _)| record.is_foreign(path)) {
            return told(item.skipped(Message::new("migrate-file-foreign").with("file", shown(path))));
        }
        // Told even where nobody gets it, so that it is not told a second time as nobody's.
        let row = || format!("{} {}", record.place.database, record.place.row);
        let before = found.as_ref().ok().and_then(|(path, _)| self.files.tell(path, row()));
        let item = match &found {
            Ok((path, _)) => item.file(shown(path)),
            Err(_) => item,
        };
        let owner = match owner {
            Ok(owner) => owner,
            Err(reason) => return told(item.skipped(reason)),
        };
        let item = item.owner(&owner.tenant);
        let path = match found {
            Ok((path, None)) => path,
            Ok((path, Some(id))) => {
                let item = Item { id: Some(id), ..item.fate(Fate::Present) };
                return Ok(Meant::Gone(path, id, owner, item.into()));
            }
            Err(reason) => return told(item.skipped(reason)),
        };
        if let Some(row) = before {
            return told(item.skipped(Message::new("migrate-same-file").with("row", row)));
        }
        let Some(slot) = self.files.get(&path) else {
            return told(item.skipped(Message::new("migrate-row-no-file")));
        };
        match files::refusal(slot.nature) {
            Some(reason) => told(item.skipped(reason)),
            None => Ok(Meant::Take(path, slot.stamp, owner)),
        }
    }

    /// Takes files in, a few at once, and tells them in order.
    pub(super) async fn take(&mut self, what: What, tasks: Vec<Task>) -> Result<Taken> {
        let mut taken = Taken::new();
        let (ground, teller) = (&self.ground, &mut self.teller);
        let works = tasks.into_iter().map(|task| async move {
            let done = Box::pin(ground.take(what, &task)).await;
            (task, done)
        });
        let mut works = futures_util::stream::iter(works).buffered(at_once());
        while let Some((task, done)) = works.next().await {
            let done = done?;
            let mut item =
                described(what, &task.record).file(shown(&task.path)).owner(&task.owner.tenant).fate(done.fate);
            (item.id, item.bytes) = (done.id, task.stamp.size);
            item.reason = done.reason.or(task.note.filter(|_| done.fate == Fate::Imported));
            if done.fate == Fate::Imported && !ground.applies() {
                teller.summary.disk_needed = teller.summary.disk_needed.saturating_add(task.stamp.size);
            }
            if matches!(done.fate, Fate::Imported | Fate::Present) {
                taken.insert((task.owner.tenant.clone(), task.path), done.id);
            }
            teller.passed(task.stamp.size).await?;
            teller.tell(item).await?;
        }
        Ok(taken)
    }
}

fn described(what: What, record: &MediaRecord) -> Item {
    let item = match record.place.database.as_str() {
        // Nothing names it but its folder.
        "" => Item::new(what),
        database => Item::new(what).row(database, record.place.row.as_str()),
    };
    let title = record.title.as_deref().or(record.original_name.as_deref());
    item.title(title.unwrap_or_default())
}

impl Ground {
    async fn open(&self, path: &Path, stamp: Stamp) -> Result<Result<File, Message>> {
        let (source, path) = (self.source.clone(), path.to_owned());
        blocking(move || {
            let opened = source.open_file(&path, Some(stamp));
            Ok(opened.map_err(|cause| match cause.kind() {
                std::io::ErrorKind::InvalidInput => Message::new("migrate-file-changes"),
                _ => Message::new("migrate-unreadable").with("cause", cause.to_string()),
            }))
        })
        .await
    }

    /// Whether a file came before: by what it was when it was looked at then, or by its bytes.
    pub(super) async fn came_before(
        &self,
        what: What,
        owner: &Owner,
        path: &Path,
        stamp: Stamp,
    ) -> Result<Option<Mark>> {
        let marks = journal::of_path(owner.library(), what, path).await?;
        let of = |mark: &&Mark| mark.file.as_ref().is_some_and(|file| file.stamp == stamp);
        if let Some(mark) = marks.iter().find(of) {
            return Ok(Some(mark.clone()));
        }
        if !marks.iter().any(|mark| mark.file.as_ref().is_some_and(|file| file.stamp.size == stamp.size)) {
            return Ok(None);
        }
        let Ok(file) = self.open(path, stamp).await? else { return Ok(None) };
        let hash = blocking(move || {
            let mut hasher = blake3::Hasher::new();
            std::io::copy(&mut &file, &mut hasher)?;
            Ok(hasher.finalize().to_hex().to_string())
        })
        .await?;
        Ok(marks.into_iter().find(|mark| mark.file.as_ref().is_some_and(|file| file.hash == hash)))
    }

    async fn take(&self, what: What, task: &Task) -> Result<Done> {
        if let Some(mark) = self.came_before(what, &task.owner, &task.path, task.stamp).await? {
            let reason = self.remove_source(what, &task.owner, mark.id, &task.path, task.stamp).await?;
            return Ok(Done { fate: Fate::Present, reason, id: Some(mark.id) });
        }
        if !self.wants(what) {
            return Ok(Done { fate: Fate::Unneeded, reason: Some(Message::new("migrate-not-asked")), id: None });
        }
        let file = match self.open(&task.path, task.stamp).await? {
            Ok(file) => file,
            Err(reason) => return Ok(Done::skipped(reason)),
        };
        let (false, Some(editor)) = (!self.applies(), &task.owner.editor) else {
            return plan(what, &task.owner, file, task.stamp).await;
        };
        let name = task.path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let name = task.record.original_name.clone().unwrap_or(name);
        let title = task.record.title.clone().unwrap_or_default();
        let old = OldFile { file, name, title };
        let mark = self.mark_of(what, task);
        let taken = match what {
            What::Video => Box::pin(editor.take_old_video(old, task.thumbnail, mark)).await.map(|row| row.id()),
            What::Photo | What::Generated => {
                Box::pin(editor.take_old_object(old, super::albums::object_kind(&task.path), mark)).await
            }
            _ => Box::pin(editor.take_old_picture(old, mark)).await.map(|row| row.id()),
        };
        match taken {
            Ok(id) => {
                let reason = self.remove_source(what, &task.owner, id, &task.path, task.stamp).await?;
                Ok(Done { fate: Fate::Imported, reason, id: Some(id) })
            }
            Err(cause) => Ok(Done::skipped(failure(cause))),
        }
    }

    /// What writes the mark of a file, in the batch of its row.
    fn mark_of(
        &self,
        what: What,
        task: &Task,
    ) -> impl FnMut(&mut Writer<'_>, Uuid, blake3::Hash) -> Result<()> + Send + use<> {
        let (path, stamp, home) = (task.path.clone(), task.stamp, self.home.clone());
        let source = self.source.clone();
        let from = match task.record.place.database.as_str() {
            "" => shown(&task.path),
            database => format!("{database} {}", task.record.place.row),
        };
        move |rows, id, hash| {
            use std::os::unix::ffi::OsStrExt as _;
            // Written to while it was copied: what came is neither the old file nor the new one.
            if source.stamp(&path) != Some(stamp) {
                return Err(Error::Conflict(Message::new("migrate-file-changes")));
            }
            let identity = journal::identity(what, &[path.as_os_str().as_bytes(), hash.as_bytes()]);
            let file = Some(OldBytes::new(&path, stamp, hash));
            let mark = Mark { what, id, home: home.clone(), from: from.clone(), file, at: rows.now() };
            mark.write(rows, &identity)
        }
    }

    /// Whether a video or a picture that came is in the library still.
    pub(super) async fn is_here(&self, what: What, owner: &Owner, id: Uuid) -> Result<bool> {
        let Some(library) = owner.library() else { return Ok(false) };
        let rows = library.rows();
        let look = rows.read(move |rows| {
            Ok(match what {
                What::Video => rows.get::<Video>(id)?.is_some_and(|row| row.value.state == VideoState::Ready),
                What::Thumbnail => rows.get::<Thumbnail>(id)?.is_some_and(|row| !row.value.going),
                _ => false,
            })
        });
        look.await
    }

    /// Removes a file of the old home whose bytes are here, if that is asked for; what hindered it. What it became has to
    /// be here still, and its bytes have to be those that came: a look at size and time is not enough to delete by.
    pub(super) async fn remove_source(
        &self,
        what: What,
        owner: &Owner,
        id: Uuid,
        path: &Path,
        stamp: Stamp,
    ) -> Result<Option<Message>> {
        let (true, true, Some(editor)) = (self.applies(), self.request.remove_sources, &owner.editor) else {
            return Ok(None);
        };
        let rows = editor.rows();
        // Where it lies, and what its row says of its bytes.
        let here = rows.read(move |rows| {
            Ok(match what {
                What::Video => rows
                    .get::<Video>(id)?
                    .filter(|row| row.value.state == VideoState::Ready)
                    .map(|row| Some((row.value.key(id), row.value.sha256.clone()))),
                What::Thumbnail => rows
                    .get::<Thumbnail>(id)?
                    .filter(|row| !row.value.going)
                    .map(|row| Some((row.value.key(id), row.value.sha256.clone()))),
                What::Photo | What::Generated => {
                    rows.get::<StoredObject>(id)?.map(|row| Some((row.value.key(id), row.value.sha256.clone())))
                }
                What::Channel => rows.get::<Connection>(id)?.map(|_| None),
                _ => None,
            })
        });
        let Some(here) = here.await? else { return Ok(Some(Message::new("migrate-gone-here"))) };
        let marks = journal::of_path(owner.library(), what, path).await?;
        let came = marks.into_iter().find(|mark| mark.id == id).and_then(|mark| mark.file).map(|file| file.hash);
        // A grant is another one after it was renewed: it counts that it opens.
        if what == What::Channel && oauth::sealed::opens(editor, id).await.is_err() {
            return Ok(Some(Message::new("migrate-changed-here")));
        }
        if let Some((key, sha256)) = here {
            // Pictures are written anew as they come in; videos are the very bytes.
            let same = came.clone().filter(|_| matches!(what, What::Video | What::Generated));
            if !editor.is_whole(key, sha256, same).await? {
                return Ok(Some(Message::new("migrate-changed-here")));
            }
        }
        let (source, path) = (self.source.clone(), path.to_owned());
        blocking(move || {
            let same = source.open_file(&path, Some(stamp)).and_then(|file| {
                let mut hasher = blake3::Hasher::new();
                std::io::copy(&mut &file, &mut hasher)?;
                Ok(came.is_some_and(|came| came == hasher.finalize().to_hex().as_str()))
            });
            match same {
                Ok(true) => {}
                Ok(false) => return Ok(Some(Message::new("migrate-other-bytes"))),
                Err(cause) => return Ok(Some(Message::new("migrate-not-removed").with("cause", cause.to_string()))),
            }
            let removed = source.remove(&path, stamp);
            Ok(removed.err().map(|cause| Message::new("migrate-not-removed").with("cause", cause.to_string())))
        })
        .await
    }
}

/// What a plan can say of a file: whether it is of a kind that is taken, and whether there is room.
async fn plan(what: What, owner: &Owner, file: File, stamp: Stamp) -> Result<Done> {
    let head = blocking(move || {
        let mut head = vec![0; media::sniff::HEAD.min(usize::try_from(stamp.size).unwrap_or(media::sniff::HEAD))];
        Ok(file.read_exact_at(&mut head, 0).map(|()| head).map_err(|cause| cause.to_string()))
    })
    .await?;
    let head = match head {
        Ok(head) => head,
        Err(cause) => return Ok(Done::skipped(Message::new("migrate-unreadable").with("cause", cause))),
    };
    let refused = match what {
        What::Video | What::Generated => media::sniff(&head).is_none().then(|| Message::new("library-no-video")),
        _ => media::sniff_picture(&head).is_none().then(|| Message::new("media-no-such-picture")),
    };
    if let Some(reason) = refused {
        return Ok(Done::skipped(reason));
    }
    if !owner.book(stamp.size) {
        return Ok(Done::skipped(Message::new("migrate-no-room").with("tenant", owner.tenant.as_str())));
    }
    Ok(Done { fate: Fate::Imported, reason: None, id: None })
}
