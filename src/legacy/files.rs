//! Every file of an old home, by what is said of it: found by the names that rows give, and told once.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use uuid::Uuid;

use super::report::What;
use super::source::{Entry, Nature, Stamp, shown};
use super::survey::{FOLDERS, PEOPLE};
use crate::auth::Tenant;
use crate::text::Message;

/// A file of the old home.
pub(super) struct Slot {
    /// What it is.
    pub nature: Nature,
    /// How it was when it was looked at.
    pub stamp: Stamp,
    /// Told by a row already: which one.
    pub told: Option<String>,
}

/// The files of an old home, by path.
pub(super) struct Files {
    slots: BTreeMap<PathBuf, Slot>,
    /// Paths whose names another system composes in another way (NFD and NFC), by the composed form.
    composed: HashMap<String, Vec<PathBuf>>,
    /// What came with an earlier move and is not there any more, by library and composed path.
    gone: HashMap<(Tenant, What, String), Vec<(PathBuf, Uuid)>>,
}

/// A file as a row names it, and what it became where it went with an earlier move.
pub(super) type Named = (PathBuf, Option<Uuid>);

/// Letters in one form, whatever wrote them.
fn composed(text: &str) -> String {
    icu_normalizer::ComposingNormalizerBorrowed::new_nfc().normalize(text).into_owned()
}

impl Files {
    pub fn new(entries: Vec<Entry>) -> Files {
        let (mut slots, mut by_form) = (BTreeMap::new(), HashMap::<String, Vec<PathBuf>>::new());
        for Entry { path, nature, stamp } in entries {
            if let Some(text) = path.to_str().filter(|text| !text.is_ascii()) {
                by_form.entry(composed(text)).or_default().push(path.clone());
            }
            slots.insert(path, Slot { nature, stamp, told: None });
        }
        Files { slots, composed: by_form, gone: HashMap::new() }
    }

    pub fn get(&self, path: &Path) -> Option<&Slot> {
        self.slots.get(path)
    }

    /// Marks a file as told by a row; the row that told it before, if one did.
    pub fn tell(&mut self, path: &Path, by: impl Into<String>) -> Option<String> {
        let slot = self.slots.get_mut(path)?;
        match &slot.told {
            Some(before) => Some(before.clone()),
            None => {
                slot.told = Some(by.into());
                None
            }
        }
    }

    /// The files that nothing has told yet.
    pub fn untold(&self) -> impl Iterator<Item = (&PathBuf, &Slot)> {
        self.slots.iter().filter(|(_, slot)| slot.told.is_none())
    }

    pub fn iter(&self) -> impl Iterator<Item = (&PathBuf, &Slot)> {
        self.slots.iter()
    }

    fn known(&self, path: PathBuf) -> Option<PathBuf> {
        if self.slots.contains_key(&path) {
            return Some(path);
        }
        match self.composed.get(&composed(path.to_str()?)).map(Vec::as_slice) {
            Some([only]) => Some(only.clone()),
            _ => None,
        }
    }

    /// Remembers what came into a library and from where, for rows that name what is not there any more.
    pub fn remember(&mut self, tenant: &Tenant, came: Vec<(What, PathBuf, Uuid)>) {
        for (what, path, id) in came.into_iter().filter(|(_, path, _)| !self.slots.contains_key(path)) {
            let Some(form) = path.to_str().map(composed) else { continue };
            self.gone.entry((tenant.clone(), what, form)).or_default().push((path, id));
        }
    }

    fn gone(&self, what: What, tenant: &Tenant, path: &Path) -> Option<Named> {
        let found = self.gone.get(&(tenant.clone(), what, composed(path.to_str()?)))?;
        let one = found.iter().find(|(known, _)| known == path);
        let (path, id) = one.or(found.first().filter(|_| found.len() == 1))?;
        Some((path.clone(), Some(*id)))
    }

    /// The file that a row names, in a folder such as `videos` or in one of one person.
    ///
    /// # Errors
    /// Why there is none: the name leads elsewhere, or nothing is there.
    pub fn find(&self, folder: &str, person: Option<&str>, name: &str) -> Result<PathBuf, Message> {
        let places = places(folder, person, name)?;
        let found = places.iter().find_map(|place| self.known(place.clone()));
        found.ok_or_else(|| missing(&places))
    }

    /// The video or picture that a row names, or what it became in a library when it went with an earlier move.
    ///
    /// # Errors
    /// As [`Files::find`].
    pub fn named(&self, what: What, tenant: &Tenant, person: Option<&str>, name: &str) -> Result<Named, Message> {
        let places = places(folder_for(what), person, name)?;
        let at = |place: &PathBuf| match self.known(place.clone()) {
            Some(path) => Some((path, None)),
            None => self.gone(what, tenant, place),
        };
        places.iter().find_map(at).ok_or_else(|| missing(&places))
    }
}

/// Where the old program kept files of a kind.
pub(super) fn folder_for(what: What) -> &'static str {
    match what {
        What::Video => "videos",
        What::Channel => "tokens",
        _ => "thumbnails",
    }
}

fn missing(places: &[PathBuf]) -> Message {
    let file = places.last().map(|place| shown(place)).unwrap_or_default();
    Message::new("migrate-file-missing").with("file", file)
}

/// Where what a row names may lie: in the folders of its person first, then in that of all.
///
/// # Errors
/// The name leads elsewhere.
pub(super) fn places(folder: &str, person: Option<&str>, name: &str) -> Result<Vec<PathBuf>, Message> {
    let leads_out = || Message::new("migrate-name-leads-out").with("name", shown(Path::new(name)));
    let path = inner(folder, name).ok_or_else(leads_out)?;
    let mut places = Vec::new();
    if let Some(person) = person.filter(|person| inner("", person).is_some_and(|inner| inner.iter().count() == 1)) {
        places.push(Path::new(folder).join(person).join(&path));
        places.extend(PEOPLE.map(|people| Path::new(people).join(person).join(folder).join(&path)));
    }
    if folder_of(&path) == Some(folder) {
        // Some rows name the whole way to it.
        places.push(path.clone());
    }
    places.push(Path::new(folder).join(&path));
    Ok(places)
}

/// Which folder of files it lies in: `videos/…`, or `data/<person>/videos/…`.
pub(super) fn folder_of(path: &Path) -> Option<&'static str> {
    let mut parts = path.iter().map(|part| part.to_str().unwrap_or_default());
    let first = parts.next()?;
    let folder = if PEOPLE.contains(&first) { parts.nth(1)? } else { first };
    FOLDERS.into_iter().find(|known| *known == folder)
}

/// A name as a path within a folder; nothing for one that leads out of it.
pub(super) fn inner(folder: &str, name: &str) -> Option<PathBuf> {
    if name.is_empty() || name.contains(['\0', '\\']) {
        return None;
    }
    let mut path = PathBuf::new();
    for component in Path::new(name).components() {
        match component {
            Component::Normal(part) => path.push(part),
            Component::CurDir => {}
            Component::ParentDir | Component::RootDir | Component::Prefix(_) => return None,
        }
    }
    // Some rows name the folder too.
    let within = path.strip_prefix(folder).map(Path::to_owned).unwrap_or(path);
    (!within.as_os_str().is_empty()).then_some(within)
}

/// Why something is not taken, for what it is.
pub(super) fn refusal(nature: Nature) -> Option<Message> {
    match nature {
        Nature::File => None,
        Nature::Shared => Some(Message::new("migrate-several-names")),
        Nature::Link => Some(Message::new("migrate-link")),
        Nature::Closed => Some(Message::new("migrate-closed")),
        Nature::Device => Some(Message::new("migrate-device")),
    }
}

/// The person whose folder a file lies in: `videos/<person>/x.mp4`, `data/<person>/videos/x.mp4`.
pub(super) fn person_of(path: &Path) -> Option<&str> {
    let mut parts = path.components().map(Component::as_os_str);
    let (_, person, _) = (parts.next()?, parts.next()?, parts.next()?);
    person.to_str()
}

/// Whether a file is a video or a picture by its name.
pub(super) fn is_media(path: &Path) -> bool {
    let extension = path.extension().and_then(OsStr::to_str).map(str::to_ascii_lowercase);
    extension.is_some_and(|extension| {
        ["mp4", "mov", "mkv", "webm", "flv", "ts", "avi", "m4v", "jpg", "jpeg", "png", "webp"]
            .contains(&extension.as_str())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_stays_within_its_folder() {
        for (name, path) in [
            ("a.mp4", Some("a.mp4")),
            ("-y.mp4", Some("-y.mp4")),
            ("00:30-01:00.mp4", Some("00:30-01:00.mp4")),
            ("videos/a.mp4", Some("a.mp4")),
            ("./videos/al/a.mp4", Some("al/a.mp4")),
            ("../a.mp4", None),
            ("al/../../a.mp4", None),
            ("/etc/passwd", None),
            ("..\\a.mp4", None),
            ("a\0.mp4", None),
            ("videos", None),
            ("", None),
            (".", None),
        ] {
            assert_eq!(inner("videos", name).as_deref(), path.map(Path::new), "{name:?}");
        }
    }

    #[test]
    fn a_name_is_found_in_whatever_form_its_letters_are_written() {
        let stamp = Stamp { size: 1, changed: 1 };
        let entry = |path: &str| Entry { path: path.into(), nature: Nature::File, stamp };
        let files = Files::new(vec![entry("videos/cafe\u{301}.mp4"), entry("videos/al/x.mp4"), entry("videos/x.mp4")]);
        assert!(files.find("videos", None, "caf\u{e9}.mp4").is_ok());
        assert_eq!(files.find("videos", Some("al"), "x.mp4"), Ok("videos/al/x.mp4".into()));
        assert_eq!(files.find("videos", Some("bo"), "x.mp4"), Ok("videos/x.mp4".into()));
        assert_eq!(files.find("videos", Some("../al"), "x.mp4"), Ok("videos/x.mp4".into()));
        assert!(files.find("videos", None, "y.mp4").is_err());
    }

    #[test]
    fn a_file_is_looked_for_in_the_folders_of_its_person_too_and_where_it_went() {
        let stamp = Stamp { size: 1, changed: 1 };
        let entry = |path: &str| Entry { path: path.into(), nature: Nature::File, stamp };
        let mut files = Files::new(vec![entry("data/al/videos/x.mp4"), entry("videos/y.mp4"), entry("videos/x.mp4")]);
        assert_eq!(files.find("videos", Some("al"), "x.mp4"), Ok("data/al/videos/x.mp4".into()));
        assert_eq!(files.find("videos", None, "data/al/videos/x.mp4"), Ok("data/al/videos/x.mp4".into()));
        assert_eq!(files.find("videos", Some("bo"), "x.mp4"), Ok("videos/x.mp4".into()));
        let al = crate::auth::UserName::parse("al").unwrap().own_tenant();
        let id = Uuid::now_v7();
        let went = |path: &str| (What::Video, PathBuf::from(path), id);
        files.remember(&al, vec![went("videos/al/y.mp4"), went("videos/cafe\u{301}.mp4")]);
        // What went was theirs; the other one of the same name is not.
        assert_eq!(files.named(What::Video, &al, Some("al"), "y.mp4"), Ok(("videos/al/y.mp4".into(), Some(id))));
        assert_eq!(files.named(What::Video, &al, None, "y.mp4"), Ok(("videos/y.mp4".into(), None)));
        let composed = files.named(What::Video, &al, None, "caf\u{e9}.mp4").unwrap();
        assert_eq!(composed.1, Some(id));
        assert!(files.named(What::Thumbnail, &al, Some("al"), "y.mp4").is_err());
        assert_eq!(folder_of(Path::new("data/al/tokens/c.json")), Some("tokens"));
        assert_eq!(folder_of(Path::new("data/al/users.json")), None);
    }
}
