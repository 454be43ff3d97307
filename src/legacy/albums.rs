//! Folders that all people of the old program shared: `albums/{album}/{photos|videos}/…` become collections,
//! `Generated-Montages|Slideshows|Clips/…` generated media. No database names these files; each is taken once.

use std::collections::BTreeMap;
use std::path::{Component, Path, PathBuf};

use uuid::Uuid;

use super::journal;
use super::records::{MediaRecord, Place};
use super::report::{Fate, Item, What};
use super::source::shown;
use super::streams::Origin;
use super::{Walk, failure, files};
use crate::error::Result;
use crate::library::names;
use crate::library::stored::Collection;
use crate::objects::ObjectKind;
use crate::text::Message;

/// What a file of the shared folders is, and the album that it lies in.
fn meant(path: &Path) -> Option<(What, Option<String>)> {
    let parts: Vec<&str> = path.components().map(Component::as_os_str).filter_map(|part| part.to_str()).collect();
    match parts.as_slice() {
        ["albums", album, "videos", _, ..] => Some((What::Video, Some((*album).to_owned()))),
        ["albums", album, "photos", _, ..] => Some((What::Photo, Some((*album).to_owned()))),
        [folder, _, ..] if generated(folder).is_some() => Some((What::Generated, None)),
        _ => None,
    }
}

fn generated(folder: &str) -> Option<ObjectKind> {
    match folder {
        "Generated-Montages" => Some(ObjectKind::Montage),
        "Generated-Slideshows" => Some(ObjectKind::Slideshow),
        "Generated-Clips" => Some(ObjectKind::Clip),
        _ => None,
    }
}

/// What a file of the shared folders becomes.
pub(super) fn object_kind(path: &Path) -> ObjectKind {
    let folder = path.components().next().and_then(|part| part.as_os_str().to_str());
    folder.and_then(generated).unwrap_or(ObjectKind::Photo)
}

impl Walk {
    pub(super) async fn albums(&mut self) -> Result<()> {
        let mut found: BTreeMap<What, Vec<PathBuf>> = BTreeMap::new();
        for (path, slot) in self.files.untold() {
            if let Some((what, _)) =
                meant(path).filter(|_| files::refusal(slot.nature).is_none() && files::is_media(path))
            {
                found.entry(what).or_default().push(path.clone());
            }
        }
        let owner = match self.owner(None, None).await? {
            Ok(owner) => owner,
            // Told with what nobody named.
            Err(_) => return Ok(()),
        };
        let mut albums: BTreeMap<String, Vec<(PathBuf, Option<Uuid>)>> = BTreeMap::new();
        for (what, paths) in found {
            let mut tasks = Vec::with_capacity(paths.len());
            for path in paths {
                self.files.tell(&path, shown(&path));
                let Some(stamp) = self.files.get(&path).map(|slot| slot.stamp) else { continue };
                let record = MediaRecord {
                    place: Place { database: String::new(), row: String::new() },
                    owner: None,
                    person: None,
                    file_name: None,
                    original_name: None,
                    title: path.file_stem().map(|stem| stem.to_string_lossy().into_owned()),
                    thumbnail: None,
                };
                tasks.push(super::media::Task {
                    record,
                    path,
                    stamp,
                    owner: owner.clone(),
                    thumbnail: None,
                    note: None,
                });
            }
            for ((_, path), id) in self.take(what, tasks).await? {
                if let Some((_, Some(album))) = meant(&path) {
                    albums.entry(album).or_default().push((path, id));
                }
            }
        }
        for (album, mut members) in albums {
            members.sort();
            let item = Item::new(What::Collection).owner(&owner.tenant).title(album.as_str());
            let origin = Origin {
                from: format!("albums/{album}"),
                parts: vec![b"album".to_vec(), album.clone().into_bytes()],
                stream: None,
            };
            let present = journal::find(owner.library(), origin.identity(What::Collection)).await?;
            let item = match (present, owner.editor.as_ref().filter(|_| self.ground.applies())) {
                (Some(mark), _) => Item { id: Some(mark.id), ..item.fate(Fate::Present) },
                _ if !self.ground.wants(What::Collection) => item.unneeded(Message::new("migrate-not-asked")),
                (None, None) => item,
                (None, Some(editor)) => {
                    let title = names::line(&album, names::TITLE);
                    let items = members.into_iter().filter_map(|(_, id)| id).collect();
                    let mark = self.ground.mark(What::Collection, &origin);
                    match editor.make_collection(Collection { title, items }, mark).await {
                        Ok(id) => Item { id: Some(id), ..item },
                        Err(cause) => item.skipped(failure(cause)),
                    }
                }
            };
            self.teller.tell(item).await?;
        }
        Ok(())
    }
}
