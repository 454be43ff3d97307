//! Stream keys of a channel: fetched, made and deleted at the platform, kept sealed here.

use std::collections::HashSet;

use secrecy::SecretString;
use uuid::Uuid;

use super::Youtube;
use super::fault::Fault;
use super::model::Stream;
use super::quota::Need;
use crate::audit;
use crate::error::{Error, Result};
use crate::library::Editor;
use crate::live::LiveStream;
use crate::live::kept_key::{KeptKey, NewKey};
use crate::live::stream::LONGEST_TITLE;
use crate::live::target::{Platform, StreamKey, TargetUrl};
use crate::oauth::Connection;
use crate::store::rows::{Reader, Row, Writer};
use crate::text::Message;

/// Longest name that the platform takes for a stream.
const LONGEST: usize = 128;
/// Keys of one tenant: rows take room too, which no quota counts.
pub const MOST_KEYS: usize = 1000;

/// What a fetch found.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Fetched {
    /// Keys that were not known.
    pub added: u64,
    /// Keys that are another, or called otherwise, than was known.
    pub changed: u64,
    /// Keys that are not on the channel any more; they stay here as long as streams use them.
    pub gone: u64,
}

/// A key as the platform has it.
pub(super) struct Found {
    pub(super) platform_id: String,
    pub(super) title: String,
    pub(super) key: StreamKey,
    pub(super) url: Option<TargetUrl>,
}

impl Found {
    fn of(stream: &Stream) -> Option<Found> {
        let info = stream.cdn.as_ref()?.ingestion_info.as_ref()?;
        let title = stream.snippet.as_ref().and_then(|snippet| snippet.title.clone()).unwrap_or_default();
        Some(Found {
            platform_id: stream.id.clone()?,
            title: named(&title),
            key: info.key().ok()?,
            url: foreign(&info.ingestion_address)?,
        })
    }
}

/// A name of the platform's as ours are.
pub(super) fn named(title: &str) -> String {
    let title: String = title.chars().filter(|c| !crate::library::names::is_hidden(*c)).take(LONGEST_TITLE).collect();
    let title = title.trim().to_owned();
    if title.is_empty() { "YouTube".to_owned() } else { title }
}

/// An address, where it is another one than YouTube's own; `None` for one that cannot be sent to.
pub(super) fn foreign(address: &str) -> Option<Option<TargetUrl>> {
    if address.is_empty() {
        return Some(None);
    }
    let url = TargetUrl::parse(address).ok()?;
    let own = Platform::Youtube.default_url().and_then(|own| TargetUrl::parse(own).ok());
    Some(Some(url).filter(|url| own.as_ref() != Some(url)))
}

/// Streams that go to a key.
pub fn users_of(rows: &Reader<'_>, key: Uuid) -> Result<Vec<(Uuid, String)>> {
    let mut found = Vec::new();
    rows.each::<LiveStream>(false, |row| {
        if row.value.targets.iter().any(|target| target.key_id == Some(key)) {
            found.push((row.id(), row.value.title));
        }
        std::ops::ControlFlow::Continue(())
    })?;
    Ok(found)
}

/// Brings what is kept of a channel to what was found, in one batch.
pub(super) async fn keep_all(
    editor: &Editor,
    channel: Option<Uuid>,
    found: Vec<Found>,
    complete: bool,
) -> Result<Fetched> {
    let library = crate::library::Library::clone(editor);
    let (actor, tenant, sealing) =
        (editor.actor().clone(), editor.tenant().clone(), library.foundation().vault().sealing());
    editor
        .rows()
        .write(move |rows| {
            if let Some(channel) = channel {
                rows.need::<Connection>(channel, None)?;
            }
            let mut kept = Vec::new();
            rows.view().each::<KeptKey>(false, |row| {
                kept.push(row);
                std::ops::ControlFlow::Continue(())
            })?;
            // Of a channel that is there no more, or of none.
            let mut loose = Vec::new();
            for row in &kept {
                let there = row.value.channel_id.map(|id| rows.get::<Connection>(id)).transpose()?.flatten();
                if there.is_none() {
                    loose.push(row.id());
                }
            }
            let mut fetched = Fetched::default();
            let mut room = MOST_KEYS.saturating_sub(kept.len());
            // What stands twice in a list is taken once.
            let mut taken = HashSet::new();
            for one in found.iter().filter(|one| taken.insert(one.platform_id.as_str())) {
                // A key that the platform has no name for is exported by our own.
                let named = |row: &Row<KeptKey>| row.id().to_string() == one.platform_id;
                let same =
                    |row: &&Row<KeptKey>| row.value.platform_id.as_deref() == Some(&one.platform_id) || named(row);
                let own = kept.iter().filter(same).find(|row| channel.is_some() && row.value.channel_id == channel);
                // Streams go to it by its id, so it goes back to its channel.
                match own.or_else(|| kept.iter().filter(same).find(|row| loose.contains(&row.id()))) {
                    None => {
                        if room == 0 {
                            return Err(Error::OverQuota(Message::new("youtube-keys-many").with("most", MOST_KEYS)));
                        }
                        room -= 1;
                        fetched.added += 1;
                        let new = NewKey {
                            title: one.title.clone(),
                            url: one.url.clone(),
                            key: one.key.clone(),
                            channel_id: channel,
                            platform_id: Some(one.platform_id.clone()),
                        };
                        let id = Uuid::now_v7();
                        let sealed = new.sealed(&sealing, &tenant, id)?;
                        audit::record(rows, &actor, "stream-key.create", format!("{id} {}", one.title))?;
                        rows.insert_with_id(id, &tenant, &actor, sealed)?;
                    }
                    Some(row) => {
                        let other = row.value.open(row.id(), &library)?.expose() != one.key.expose();
                        // A file that knows no channel does not take a key from the one that it remembers.
                        let of = channel.or(row.value.channel_id);
                        let renamed =
                            row.value.title != one.title || row.value.url != one.url || row.value.channel_id != of;
                        if other || renamed {
                            fetched.changed += 1;
                            let new = NewKey {
                                title: one.title.clone(),
                                url: one.url.clone(),
                                key: one.key.clone(),
                                channel_id: of,
                                platform_id: row.value.platform_id.clone(),
                            };
                            audit::record(rows, &actor, "stream-key.change", format!("{} {}", row.id(), one.title))?;
                            let account = row.value.account.clone().filter(|_| channel.is_none());
                            let sealed = new.sealed(&sealing, &tenant, row.id())?;
                            rows.update(row, KeptKey { account, ..sealed })?;
                        }
                    }
                }
            }
            if complete {
                for row in kept.iter().filter(|row| row.value.channel_id == channel) {
                    let there = found.iter().any(|one| row.value.platform_id.as_deref() == Some(&one.platform_id));
                    if !there {
                        fetched.gone += 1;
                        if users_of(rows.view(), row.id())?.is_empty() {
                            audit::record(
                                rows,
                                &actor,
                                "stream-key.delete",
                                format!("{} {}", row.id(), row.value.title),
                            )?;
                            rows.delete(row);
                        }
                    }
                }
            }
            Ok(fetched)
        })
        .await
}

impl Youtube {
    /// Fetches all keys of a channel.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such channel; what the platform says, in words.
    pub async fn fetch_keys(&self, editor: &Editor, channel: Uuid) -> Result<Fetched> {
        editor.rows().read(move |rows| rows.need::<Connection>(channel).map(drop)).await?;
        let streams = self.api().account(editor, channel, Need::Free).streams().await?;
        let found: Vec<Found> = streams.iter().filter_map(Found::of).collect();
        keep_all(editor, Some(channel), found, true).await
    }

    /// Makes a key on a channel that can be used for more than one broadcast; its id.
    ///
    /// # Errors
    /// Field `title`; as [`Youtube::fetch_keys`].
    pub async fn create_key(&self, editor: &Editor, channel: Uuid, title: &str) -> Result<Uuid> {
        let title = title.trim().to_owned();
        let fits = (1..=LONGEST).contains(&title.chars().count())
            && !title.contains(['<', '>'])
            && !title.chars().any(crate::library::names::is_hidden);
        if !fits {
            return Err(Error::field("title", Message::new("youtube-key-title").with("most", LONGEST)));
        }
        editor.rows().read(move |rows| rows.need::<Connection>(channel).map(drop)).await?;
        if editor.kept_keys().await?.len() >= MOST_KEYS {
            return Err(Error::OverQuota(Message::new("youtube-keys-many").with("most", MOST_KEYS)));
        }
        let made = self.api().account(editor, channel, Need::Free).insert_stream(&title).await?;
        let found = Found::of(&made).ok_or_else(|| Error::from(Fault::odd()))?;
        let platform_id = found.platform_id.clone();
        keep_all(editor, Some(channel), vec![found], false).await?;
        let kept = editor.kept_keys().await?;
        let own = kept.into_iter().find(|row| {
            row.value.channel_id == Some(channel) && row.value.platform_id.as_deref() == Some(&platform_id)
        });
        own.map(|row| row.id()).ok_or(Error::NotFound)
    }

    /// Deletes a key, on its channel too.
    ///
    /// # Errors
    /// [`Error::Conflict`] where streams go to it, or the platform still uses it.
    pub async fn delete_key(&self, editor: &Editor, id: Uuid) -> Result<()> {
        let (row, users) = editor.rows().read(move |rows| Ok((rows.need::<KeptKey>(id)?, users_of(rows, id)?))).await?;
        if let Some((_, title)) = users.first() {
            let message = Message::new("youtube-key-used").with("title", title.clone());
            return Err(Error::Conflict(message.with("more", users.len() - 1)));
        }
        if let (Some(channel), Some(platform_id)) = (row.value.channel_id, &row.value.platform_id)
            && editor.rows().read(move |rows| rows.get::<Connection>(channel)).await?.is_some()
        {
            self.api().account(editor, channel, Need::Free).delete_stream(platform_id).await?;
        }
        let actor = editor.actor().clone();
        editor
            .rows()
            .write(move |rows: &mut Writer<'_>| {
                let row = rows.need::<KeptKey>(id, None)?;
                audit::record(rows, &actor, "stream-key.delete", format!("{id} {}", row.value.title))?;
                rows.delete(&row);
                Ok(())
            })
            .await
    }

    /// A key in the clear, for whoever proved their password a moment ago; on record.
    pub async fn reveal_key(&self, editor: &Editor, id: Uuid) -> Result<SecretString> {
        let row = editor.rows().read(move |rows| rows.need::<KeptKey>(id)).await?;
        let key = row.value.open(id, editor)?;
        let (actor, title) = (editor.actor().clone(), row.value.title);
        editor
            .rows()
            .write(move |rows| audit::record(rows, &actor, "stream-key.reveal", format!("{id} {title}")))
            .await?;
        Ok(SecretString::from(key.expose().to_owned()))
    }
}
