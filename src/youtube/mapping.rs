//! `stream_mapping.json` of the old program: the keys of a user's channels, in and out.
//!
//! `{token file → {stream id → {title, cdn {ingestionInfo {streamName, ingestionAddress}}}}}`. It holds keys in the
//! clear: who takes one out proves their password, and it is on record.

use std::collections::BTreeMap;

use serde_json::{Value, json};
use uuid::Uuid;
use zeroize::Zeroizing;

use super::Youtube;
use super::keys::{Fetched, Found, MOST_KEYS, foreign, keep_all, named};
use crate::audit;
use crate::error::{Error, Result};
use crate::library::{Editor, names};
use crate::live::target::StreamKey;
use crate::oauth::Connection;
use crate::store::rows::Row;
use crate::text::Message;

/// Largest file, in bytes.
pub const MOST: usize = 2 << 20;

/// Of a place's name so much is told.
const LONGEST_PLACE: usize = 100;
/// Keys of no channel that is connected.
const LOOSE: &str = "keys.json";

fn wrong(place: &str) -> Error {
    Error::field("file", Message::new("youtube-mapping-wrong").with("place", names::line(place, LONGEST_PLACE)))
}

/// What each channel's part of a mapping is called: as in the old program, or by its title; what would be the same for
/// two also says whose it is.
fn file_names(channels: &[Row<Connection>]) -> BTreeMap<Uuid, String> {
    let plain = |row: &Row<Connection>| match row.value.original_name.as_str() {
        "" => format!("{}.json", row.value.title),
        own => own.to_owned(),
    };
    let mut count: BTreeMap<String, usize> = BTreeMap::from([(LOOSE.to_owned(), 1)]);
    channels.iter().for_each(|row| *count.entry(plain(row)).or_default() += 1);
    let name = |row: &Row<Connection>| {
        let plain = plain(row);
        match count.get(&plain) {
            Some(1) => plain,
            _ => format!("{}{}", plain.strip_suffix(".json").unwrap_or(&plain), suffix(row)),
        }
    };
    channels.iter().map(|row| (row.id(), name(row))).collect()
}

/// Says whose a part of a mapping is.
fn suffix(row: &Row<Connection>) -> String {
    format!(" [{}].json", row.value.account.clone().unwrap_or_else(|| row.id().to_string()))
}

/// Whose a part of a mapping is. Where two would do, it is nobody's.
fn owner(channels: &[Row<Connection>], names: &BTreeMap<Uuid, String>, token: &str) -> Option<Uuid> {
    // Titles may hold what parts folders.
    let whole = names.iter().find(|(_, name)| *name == token).map(|(id, _)| *id);
    let stem = token.rsplit(['/', '\\']).next().unwrap_or(token);
    if whole.is_some() || stem.is_empty() || stem == LOOSE {
        return whole;
    }
    let one = |takes: &dyn Fn(&Row<Connection>) -> bool| {
        let mut found = channels.iter().filter(|row| takes(row));
        found.next().filter(|_| found.next().is_none()).map(|row| row.id())
    };
    let titled = |row: &Row<Connection>| row.value.title == stem || format!("{}.json", row.value.title) == stem;
    one(&|row| stem.ends_with(&suffix(row)))
        .or_else(|| one(&|row| row.value.original_name == stem))
        .or_else(|| one(&titled))
}

fn read(text: &[u8]) -> Result<BTreeMap<String, Vec<Found>>> {
    // What goes wrong is not told with the text that it went wrong on.
    let root: Value =
        serde_json::from_slice(text).map_err(|_| Error::field("file", Message::new("youtube-mapping-form")))?;
    let root = root.as_object().ok_or_else(|| Error::field("file", Message::new("youtube-mapping-form")))?;
    let mut mapping: BTreeMap<String, Vec<Found>> = BTreeMap::new();
    for (token, streams) in root {
        let streams = streams.as_object().ok_or_else(|| wrong(token))?;
        let mut found = Vec::with_capacity(streams.len());
        for (id, stream) in streams {
            let place = || format!("{token} / {id}");
            let info = &stream["cdn"]["ingestionInfo"];
            let key = info["streamName"].as_str().and_then(|key| StreamKey::parse(key).ok());
            let url = foreign(info["ingestionAddress"].as_str().unwrap_or_default());
            let (Some(key), Some(url)) = (key, url) else { return Err(wrong(&place())) };
            let title = stream["title"].as_str().or_else(|| stream["snippet"]["title"].as_str());
            if id.is_empty() || id.len() > 128 {
                return Err(wrong(&place()));
            }
            found.push(Found { platform_id: id.clone(), title: named(title.unwrap_or(id)), key, url });
        }
        mapping.insert(token.clone(), found);
    }
    Ok(mapping)
}

impl Youtube {
    /// Takes in a mapping: keys of channels that are connected here go to them, by the name of the file that the old
    /// program had for it or by the channel's name; the others are kept by themselves.
    ///
    /// # Errors
    /// Field `file`, with the place that is wrong.
    pub async fn import_mapping(&self, editor: &Editor, text: &[u8]) -> Result<Fetched> {
        if text.len() > MOST {
            return Err(Error::TooLarge(Message::new("youtube-mapping-large")));
        }
        let channels = editor.channels().await?;
        let names = file_names(&channels);
        // One commit for each channel, however often the file names it, or its keys.
        let mut of: BTreeMap<Option<Uuid>, BTreeMap<String, Found>> = BTreeMap::new();
        for (token, found) in read(text)? {
            let of = of.entry(owner(&channels, &names, &token)).or_default();
            of.extend(found.into_iter().map(|found| (found.platform_id.clone(), found)));
        }
        if of.values().map(BTreeMap::len).sum::<usize>() > MOST_KEYS {
            return Err(Error::OverQuota(Message::new("youtube-keys-many").with("most", MOST_KEYS)));
        }
        let mut all = Fetched::default();
        for (channel, found) in of {
            let kept = keep_all(editor, channel, found.into_values().collect(), false).await?;
            all.added += kept.added;
            all.changed += kept.changed;
        }
        Ok(all)
    }

    /// All keys as a mapping, in the clear: for whoever proved their password a moment ago. On record.
    pub async fn export_mapping(&self, editor: &Editor) -> Result<Zeroizing<String>> {
        let names = file_names(&editor.channels().await?);
        let mut mapping = json!({});
        for row in editor.kept_keys().await? {
            let own = row.value.channel_id.and_then(|id| names.get(&id)).map_or(LOOSE, String::as_str);
            let id = row.value.platform_id.clone();
            // One of another channel that is gone may be called the same.
            let id = id.filter(|id| mapping[own].get(id).is_none()).unwrap_or_else(|| row.id().to_string());
            let address = row.value.as_target(row.id()).address()?.to_string();
            let info = json!({"streamName": row.value.open(row.id(), editor)?.expose(), "ingestionAddress": address});
            mapping[own][id] = json!({"title": row.value.title, "cdn": {"ingestionInfo": info}});
        }
        let actor = editor.actor().clone();
        editor.rows().write(move |rows| audit::record(rows, &actor, "stream-key.export", String::new())).await?;
        Ok(Zeroizing::new(serde_json::to_string_pretty(&mapping)?))
    }
}
