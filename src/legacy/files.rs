//! Every file of an old home, by what is said of it: found by the names that rows give, and told once.

use std::collections::{BTreeMap, HashMap};
use std::ffi::OsStr;
use std::path::{Component, Path, PathBuf};

use super::source::{Entry, Nature, Stamp, shown};
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
}

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
        Files { slots, composed: by_form }
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

    /// The file that a row names, in a folder such as `videos` or in that of one person below it.
    ///
    /// # Errors
    /// Why there is none: the name leads elsewhere, or nothing is there.
    pub fn find(&self, folder: &str, person: Option<&str>, name: &str) -> Result<PathBuf, Message> {
        let path = inner(folder, name)
            .ok_or_else(|| Message::new("migrate-name-leads-out").with("name", shown(Path::new(name))))?;
        let folder = Path::new(folder);
        let own = person.filter(|person| inner("", person).is_some());
        let own = own.and_then(|person| self.known(folder.join(person).join(&path)));
        own.or_else(|| self.known(folder.join(&path)))
            .ok_or_else(|| Message::new("migrate-file-missing").with("file", shown(&folder.join(&path))))
    }
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

/// The person whose folder a file lies in: `videos/<person>/x.mp4`.
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
}
