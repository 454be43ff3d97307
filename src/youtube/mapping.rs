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
use crate::library::Editor;
use crate::live::target::StreamKey;
use crate::text::Message;

/// Largest file, in bytes.
pub const MOST: usize = 2 << 20;

fn wrong(place: &str) -> Error {
    Error::field("file", Message::new("youtube-mapping-wrong").with("place", place.to_owned()))
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
        // One commit for each channel, however often the file names it, or its keys.
        let mut of: BTreeMap<Option<Uuid>, BTreeMap<String, Found>> = BTreeMap::new();
        for (token, found) in read(text)? {
            let stem = token.rsplit(['/', '\\']).next().unwrap_or(&token);
            let own = channels.iter().filter(|_| !stem.is_empty()).find(|row| {
                let title = row.value.title.as_str();
                row.value.original_name == stem || title == stem || format!("{title}.json") == stem
            });
            let of = of.entry(own.map(|row| row.id())).or_default();
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
        let channels: BTreeMap<Uuid, String> = editor
            .channels()
            .await?
            .into_iter()
            .map(|row| {
                let own = Some(row.value.original_name.clone()).filter(|name| !name.is_empty());
                (row.id(), own.unwrap_or_else(|| format!("{}.json", row.value.title)))
            })
            .collect();
        let mut mapping = json!({});
        for row in editor.kept_keys().await? {
            let own = row.value.channel_id.and_then(|id| channels.get(&id)).map_or("keys.json", String::as_str);
            let id = row.value.platform_id.clone().unwrap_or_else(|| row.id().to_string());
            let address = row.value.as_target(row.id()).address()?.to_string();
            let info = json!({"streamName": row.value.open(row.id(), editor)?.expose(), "ingestionAddress": address});
            mapping[own][id] = json!({"title": row.value.title, "cdn": {"ingestionInfo": info}});
        }
        let actor = editor.actor().clone();
        editor.rows().write(move |rows| audit::record(rows, &actor, "stream-key.export", String::new())).await?;
        Ok(Zeroizing::new(serde_json::to_string_pretty(&mapping)?))
    }
}
