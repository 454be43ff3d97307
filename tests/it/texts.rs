//! Every text exists in English and Indonesian, with the same arguments, and every id in use exists.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// Id → arguments of all texts of a language; panics where an id stands twice.
pub fn texts(language: &str) -> BTreeMap<String, BTreeSet<String>> {
    let mut texts = BTreeMap::new();
    for entry in fs::read_dir(root().join("templates/texts").join(language)).unwrap() {
        let path = entry.unwrap().path();
        let mut current: Option<String> = None;
        for line in fs::read_to_string(&path).unwrap().lines() {
            if let Some((id, _)) = line.split_once('=')
                && line.starts_with(|given: char| given.is_ascii_lowercase())
            {
                let id = id.trim().to_owned();
                let twice = texts.insert(id.clone(), BTreeSet::new()).is_some();
                assert!(!twice, "{} says {id} a second time", path.display());
                current = Some(id);
            }
            let Some(arguments) = current.as_ref().and_then(|id| texts.get_mut(id)) else { continue };
            for name in line.split('$').skip(1) {
                let end = name.find(|given: char| !given.is_ascii_alphanumeric() && given != '_' && given != '-');
                arguments.insert(name[..end.unwrap_or(name.len())].to_owned());
            }
        }
    }
    texts
}

#[test]
fn every_text_exists_in_both_languages_with_the_same_arguments() {
    let (english, indonesian) = (texts("en"), texts("id"));
    let only = |one: &BTreeMap<String, _>, other: &BTreeMap<String, _>| {
        one.keys().filter(|id| !other.contains_key(*id)).cloned().collect::<Vec<_>>()
    };
    assert_eq!(only(&english, &indonesian), Vec::<String>::new(), "not in Indonesian");
    assert_eq!(only(&indonesian, &english), Vec::<String>::new(), "not in English");
    for (id, arguments) in &english {
        assert_eq!(arguments, &indonesian[id], "arguments of {id}");
    }
}

/// Ids after each `start` in the files; `…-` stands for an id whose end is put on by the code.
fn used(folder: &Path, extension: &str, start: &str) -> BTreeSet<String> {
    let mut ids = BTreeSet::new();
    for entry in walkdir::WalkDir::new(folder).into_iter().filter_map(|entry| entry.ok()) {
        if entry.path().extension().is_none_or(|given| given != extension) {
            continue;
        }
        let text = fs::read_to_string(entry.path()).unwrap();
        // Tests inside the code may use ids that do not exist.
        let text = text.split("#[cfg(test)]").next().unwrap_or_default();
        ids.extend(text.split(start).skip(1).filter_map(|rest| {
            let rest = rest.trim_start().strip_prefix('"')?;
            Some(rest.split('"').next()?.to_owned())
        }));
    }
    ids
}

#[test]
fn every_text_in_use_exists() {
    let known = texts("en");
    let mut ids = used(&root().join("templates"), "html", "t(key=");
    ids.extend(used(&root().join("src"), "rs", "Message::new("));
    assert!(ids.len() > 300, "{}", ids.len());
    let missing: Vec<_> = ids
        .iter()
        .filter(|id| match id.strip_suffix('-') {
            Some(_) => !known.keys().any(|text| text.starts_with(id.as_str())),
            None => !known.contains_key(*id),
        })
        .collect();
    assert!(missing.is_empty(), "{missing:?}");
}

/// Acts on record are written `noun.verb`; the page of the record says them in words.
#[test]
fn every_act_on_record_has_its_words() {
    let known = texts("en");
    let mut acts = BTreeSet::new();
    for start in ["audit::record(", "audit::record_refusal("] {
        for entry in walkdir::WalkDir::new(root().join("src")).into_iter().filter_map(|entry| entry.ok()) {
            let Ok(text) = fs::read_to_string(entry.path()) else { continue };
            for call in text.split(start).skip(1) {
                let call = call.split(';').next().unwrap_or_default();
                let act = call.split('"').skip(1).step_by(2).find(|literal| literal.contains('.'));
                acts.extend(act.map(str::to_owned));
            }
        }
    }
    assert!(acts.len() > 30, "{acts:?}");
    let missing: Vec<_> =
        acts.iter().filter(|act| !known.contains_key(&format!("act-{}", act.replace('.', "-")))).collect();
    assert!(missing.is_empty(), "{missing:?}");
}
