//! Grants of YouTube accounts (`tokens/*.json`) and the keys of their streams (`stream_mapping.json`). Both are secrets:
//! they are sealed on their way in, and no message repeats them.

use std::io::Read as _;
use std::path::{Path, PathBuf};

use secrecy::SecretString;
use serde_json::Value;
use uuid::Uuid;
use zeroize::Zeroizing;

use super::files;
use super::journal::{self, Mark, OldBytes};
use super::known::KnownKey;
use super::records::{Place, field};
use super::report::{Fate, Item, What};
use super::source::{Stamp, shown};
use super::{Ground, Owner, Walk, failure};
use crate::auth::Tenant;
use crate::error::Result;
use crate::library::names;
use crate::live::kept_key::NewKey;
use crate::live::target::{Platform, StreamKey, TargetUrl};
use crate::oauth::Connection;
use crate::store::blocking;
use crate::text::Message;

/// Largest file of a grant, in bytes.
const MOST: u64 = 64 << 10;

/// Where the row of a grant that is on its way stands, so that a run that was killed uses the same id again.
fn intent(identity: &str) -> String {
    format!("{INTENTS}{identity}")
}

pub(super) const INTENTS: &str = "moved-in/intent/";

/// A key of `stream_mapping.json`.
struct KeyRecord {
    place: Place,
    /// The file of the channel's grant.
    token: String,
    platform_id: String,
    title: Option<String>,
    key: Option<String>,
    address: Option<String>,
}

impl KeyRecord {
    /// As rows of workbooks may mean it.
    fn known(&self) -> Option<KnownKey> {
        let url = self.address.as_deref().map(TargetUrl::parse).transpose().ok()?;
        Some(KnownKey {
            title: self.title.clone().unwrap_or_default(),
            platform_id: self.platform_id.clone(),
            key: StreamKey::parse(self.key.as_deref()?).ok()?,
            url: foreign(url),
        })
    }
}

/// An address, where it is another one than YouTube's own.
fn foreign(url: Option<TargetUrl>) -> Option<TargetUrl> {
    let own = Platform::Youtube.default_url().and_then(|own| TargetUrl::parse(own).ok());
    url.filter(|url| own.as_ref() != Some(url))
}

fn keys_of(place: &Place, record: &Value) -> Option<Vec<KeyRecord>> {
    let streams = record.as_object()?;
    let read = |(id, stream): (&String, &Value)| {
        let ingest = stream.get("cdn").and_then(|cdn| cdn.get("ingestionInfo"));
        let of = |name| ingest.and_then(|ingest| field(ingest, name));
        KeyRecord {
            place: Place { database: place.database.clone(), row: format!("{} / {id}", place.row) },
            token: place.row.clone(),
            platform_id: id.clone(),
            title: field(stream, "title"),
            key: of("streamName"),
            address: of("ingestionAddress"),
        }
    };
    Some(streams.iter().map(read).collect())
}

impl Walk {
    pub(super) async fn channels(&mut self) -> Result<()> {
        let grants: Vec<(PathBuf, Stamp)> = self
            .files
            .untold()
            .filter(|(path, slot)| files::folder_of(path) == Some("tokens") && files::refusal(slot.nature).is_none())
            .filter(|(path, _)| path.extension().is_some_and(|extension| extension == "json"))
            .map(|(path, slot)| (path.clone(), slot.stamp))
            .collect();
        for (path, stamp) in grants {
            let name = shown(&path);
            self.files.tell(&path, name.as_str());
            let item = Item::new(What::Channel).file(name);
            let person = files::person_of(&path).map(str::to_owned);
            let item = match self.owner(person.as_deref(), None).await? {
                Err(reason) => item.skipped(reason),
                Ok(owner) => {
                    let item = item.owner(&owner.tenant).title(title_of(&path));
                    self.ground.channel(&owner, &path, stamp, item).await?
                }
            };
            self.teller.passed(stamp.size).await?;
            self.teller.tell(item).await?;
        }
        Ok(())
    }

    pub(super) async fn keys(&mut self) -> Result<()> {
        for database in self.databases("stream_mapping.json") {
            let person = database.person.clone();
            let read = self.read(&database, |place, _, record| keys_of(&place, record)).await?;
            let records: Vec<KeyRecord> = read.into_iter().flatten().collect();
            self.teller.expect(records.len() as u64, 0).await?;
            for record in records {
                let place = record.place.clone();
                let item = Item::new(What::StreamKey).row(place.database, place.row);
                let item = item.title(record.title.as_deref().unwrap_or(&record.platform_id));
                let token = self.token_of(&record, person.as_deref()).await?;
                let named = token.as_deref().and_then(files::person_of).map(str::to_owned);
                let item = match self.owner(named.as_deref(), person.as_deref()).await? {
                    Err(reason) => item.skipped(reason),
                    Ok(owner) => {
                        let item = item.owner(&owner.tenant);
                        if let Some(known) = record.known() {
                            self.keys.put(&owner.tenant, known);
                        }
                        self.ground.key(&owner, record, token.as_deref(), item).await?
                    }
                };
                self.teller.tell(item).await?;
            }
        }
        Ok(())
    }
}

impl Walk {
    /// The file of the grant that a key names, there or gone with an earlier move.
    async fn token_of(&mut self, record: &KeyRecord, person: Option<&str>) -> Result<Option<PathBuf>> {
        if let Ok(path) = self.files.find("tokens", person, &record.token) {
            return Ok(Some(path));
        }
        for path in files::places("tokens", person, &record.token).unwrap_or_default() {
            let named = files::person_of(&path).map(str::to_owned);
            if let Ok(owner) = self.owner(named.as_deref(), person).await? {
                let identity = channel_identity(&owner.tenant, &path);
                if journal::find(owner.library(), identity).await?.is_some() {
                    return Ok(Some(path));
                }
            }
        }
        Ok(None)
    }
}

fn title_of(path: &Path) -> String {
    names::title_of(&names::file_name(&path.file_name().unwrap_or_default().to_string_lossy()))
}

/// What channels are found by again.
fn channel_identity(tenant: &Tenant, path: &Path) -> String {
    use std::os::unix::ffi::OsStrExt as _;
    journal::identity(What::Channel, &[tenant.as_str().as_bytes(), path.as_os_str().as_bytes()])
}

impl Ground {
    async fn channel(&self, owner: &Owner, path: &Path, stamp: Stamp, item: Item) -> Result<Item> {
        let identity = channel_identity(&owner.tenant, path);
        if let Some(mark) = journal::find(owner.library(), identity.clone()).await? {
            let mut item = item.fate(Fate::Present);
            item.id = Some(mark.id);
            // Another grant under the same name is not ours to choose.
            if mark.file.as_ref().is_some_and(|file| file.stamp == stamp) {
                item.reason = self.remove_source(What::Channel, owner, mark.id, path, stamp).await?;
            } else {
                item = item.skipped(Message::new("migrate-changed-there"));
            }
            return Ok(item);
        }
        if !self.wants(What::Channel) {
            return Ok(item.unneeded(Message::new("migrate-not-asked")));
        }
        let (source, from) = (self.source.clone(), path.to_owned());
        let read = blocking(move || {
            let read = source.open_file(&from, Some(stamp)).and_then(|file| {
                let mut bytes = Zeroizing::new(Vec::new());
                file.take(MOST + 1).read_to_end(&mut bytes)?;
                Ok(bytes)
            });
            Ok(read.map_err(|cause| cause.to_string()))
        });
        let bytes = match read.await? {
            Ok(bytes) => bytes,
            Err(cause) => return Ok(item.skipped(Message::new("migrate-unreadable").with("cause", cause))),
        };
        let grant = std::str::from_utf8(&bytes).ok().filter(|_| bytes.len() as u64 <= MOST);
        let is_grant = |text: &&str| {
            // What goes wrong is not told with the text that it went wrong on.
            let value: Option<Value> = serde_json::from_str(text).ok();
            value.is_some_and(|value| field(&value, "refresh_token").is_some() || field(&value, "token").is_some())
        };
        let Some(grant) = grant.filter(is_grant) else {
            return Ok(item.skipped(Message::new("migrate-no-grant")));
        };
        let (true, Some(editor)) = (self.applies(), &owner.editor) else { return Ok(item) };
        let (key, fresh) = (intent(&identity), Uuid::now_v7());
        let id = editor
            .rows()
            .write(move |rows| match rows.value::<Uuid>(&key)? {
                Some(id) => Ok(id),
                None => rows.put_value(&key, &fresh).map(|()| fresh),
            })
            .await?;
        let file_name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let original_name = names::file_name(&file_name);
        let channel = Connection { title: title_of(path), original_name, ..Connection::default() };
        let (home, from) = (self.home.clone(), shown(path));
        let file = OldBytes::new(path, stamp, blake3::hash(&bytes));
        let taken = editor.take_grant(id, channel, SecretString::from(grant), move |rows| {
            rows.delete_value(&intent(&identity));
            let file = Some(file.clone());
            let mark = Mark { what: What::Channel, id, home: home.clone(), from: from.clone(), file, at: rows.now() };
            mark.write(rows, &identity)
        });
        if let Err(cause) = taken.await {
            return Ok(item.skipped(failure(cause)));
        }
        let mut item = item;
        (item.id, item.bytes) = (Some(id), stamp.size);
        item.reason = self.remove_source(What::Channel, owner, id, path, stamp).await?;
        Ok(item)
    }

    async fn key(&self, owner: &Owner, record: KeyRecord, token: Option<&Path>, item: Item) -> Result<Item> {
        let parts = [record.token.as_bytes(), record.platform_id.as_bytes()];
        let identity = journal::identity(What::StreamKey, &parts);
        if let Some(mark) = journal::find(owner.library(), identity.clone()).await? {
            let mut item = item.fate(Fate::Present);
            item.id = Some(mark.id);
            return Ok(item);
        }
        if !self.wants(What::StreamKey) {
            return Ok(item.unneeded(Message::new("migrate-not-asked")));
        }
        let key = match StreamKey::parse(record.key.as_deref().unwrap_or_default()) {
            Ok(key) => key,
            Err(cause) => return Ok(item.skipped(failure(cause))),
        };
        let url = match record.address.as_deref().map(TargetUrl::parse).transpose() {
            Ok(url) => url,
            Err(cause) => return Ok(item.skipped(failure(cause))),
        };
        let url = foreign(url);
        let channel_id = match token {
            Some(path) => {
                let identity = channel_identity(&owner.tenant, path);
                journal::find(owner.library(), identity).await?.map(|mark| mark.id)
            }
            None => None,
        };
        let (true, Some(editor)) = (self.applies(), &owner.editor) else { return Ok(item) };
        let title = names::title(record.title.as_deref().unwrap_or_default());
        let title = title.unwrap_or_else(|_| names::line(&record.platform_id, names::TITLE));
        let new = NewKey { title, url, key, channel_id, platform_id: Some(record.platform_id) };
        let (home, from) = (self.home.clone(), format!("{} {}", record.place.database, record.place.row));
        let kept = editor.keep_key(new, move |rows, id| {
            let mark =
                Mark { what: What::StreamKey, id, home: home.clone(), from: from.clone(), file: None, at: rows.now() };
            mark.write(rows, &identity)
        });
        match kept.await {
            Ok(id) => Ok(Item { id: Some(id), ..item }),
            Err(cause) => Ok(item.skipped(failure(cause))),
        }
    }
}
