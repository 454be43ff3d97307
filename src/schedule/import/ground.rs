//! What a library has that rows of a file may mean.

use std::collections::HashMap;
use std::ops::ControlFlow;

use uuid::Uuid;

use super::text::target_label;
use crate::error::Result;
use crate::library::{Library, Thumbnail, Video, VideoState, names};
use crate::live::kept_key::KeptKey;
use crate::live::{LiveStream, Target};
use crate::schedule::Schedule;
use crate::store::rows::{Reader, Row};

/// Things by what files may call them.
#[derive(Default)]
pub(in crate::schedule) struct Named {
    by_name: HashMap<String, Vec<Uuid>>,
    places: HashMap<Uuid, usize>,
    /// In order of their making: what they are called.
    pub(in crate::schedule) titles: Vec<(Uuid, String)>,
}

/// A name as it is compared: composed, small, without a folder.
pub(in crate::schedule) fn plain(name: &str) -> String {
    names::composed(name.trim()).to_lowercase()
}

impl Named {
    fn add(&mut self, id: Uuid, title: &str, others: &[&str]) {
        self.places.insert(id, self.titles.len());
        self.titles.push((id, title.to_owned()));
        for name in others.iter().copied().chain([title]).filter(|name| !name.is_empty()) {
            let ids = self.by_name.entry(plain(name)).or_default();
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
    }

    /// What a name may mean: an id, also as the name of a file; else a file name or a title.
    pub(in crate::schedule) fn find(&self, name: &str) -> Vec<Uuid> {
        let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
        let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
        for text in [name.trim(), stem] {
            if let Ok(id) = Uuid::parse_str(text)
                && self.places.contains_key(&id)
            {
                return vec![id];
            }
        }
        let found = self.by_name.get(&plain(name)).or_else(|| self.by_name.get(&plain(file)));
        found.cloned().unwrap_or_default()
    }

    pub(in crate::schedule) fn title(&self, id: Uuid) -> Option<&str> {
        self.titles.get(*self.places.get(&id)?).map(|(_, title)| title.as_str())
    }
}

/// A place that a stream of the library goes to.
pub(in crate::schedule) struct KnownKey {
    /// Equal for equal places.
    pub(in crate::schedule) lock: String,
    pub(in crate::schedule) target: Target,
    pub(in crate::schedule) label: String,
    /// Streams that go there.
    pub(in crate::schedule) streams: Vec<Uuid>,
    /// Their targets there.
    pub(in crate::schedule) targets: Vec<Uuid>,
    /// What a kept key is called, by people and by its platform.
    pub(in crate::schedule) names: Vec<String>,
}

/// A library as an import finds it.
pub(in crate::schedule) struct Ground {
    pub(in crate::schedule) videos: Named,
    pub(in crate::schedule) thumbnails: Named,
    pub(in crate::schedule) streams: HashMap<Uuid, Row<LiveStream>>,
    pub(in crate::schedule) stream_names: Named,
    pub(in crate::schedule) schedules: HashMap<Uuid, Row<Schedule>>,
    pub(in crate::schedule) keys: Vec<KnownKey>,
}

impl Ground {
    pub(in crate::schedule) fn read(library: &Library, rows: &Reader<'_>) -> Result<Ground> {
        let mut ground = Ground {
            videos: Named::default(),
            thumbnails: Named::default(),
            streams: HashMap::new(),
            stream_names: Named::default(),
            schedules: HashMap::new(),
            keys: Vec::new(),
        };
        rows.each::<Video>(false, |row| {
            if row.value.state == VideoState::Ready {
                ground.videos.add(row.id(), &row.value.title, &[&row.value.original_name]);
            }
            ControlFlow::Continue(())
        })?;
        rows.each::<Thumbnail>(false, |row| {
            ground.thumbnails.add(row.id(), &row.value.title, &[]);
            ControlFlow::Continue(())
        })?;
        let mut streams = Vec::new();
        rows.each::<LiveStream>(false, |row| {
            streams.push(row);
            ControlFlow::Continue(())
        })?;
        let vault = library.foundation().vault();
        for row in streams {
            ground.stream_names.add(row.id(), &row.value.title, &[]);
            for target in &row.value.targets {
                let lock = target.key_name(vault, library.tenant())?;
                match ground.keys.iter_mut().find(|key| key.lock == lock) {
                    Some(key) => {
                        key.streams.push(row.id());
                        key.targets.push(target.id);
                    }
                    None => ground.keys.push(KnownKey {
                        lock,
                        label: target_label(target),
                        target: target.clone(),
                        streams: vec![row.id()],
                        targets: vec![target.id],
                        names: Vec::new(),
                    }),
                }
            }
            ground.streams.insert(row.id(), row);
        }
        let mut kept = Vec::new();
        rows.each::<KeptKey>(false, |row| {
            kept.push(row);
            ControlFlow::Continue(())
        })?;
        for row in kept {
            let target = row.value.as_target(row.id());
            let lock = target.key_name(vault, library.tenant())?;
            let names = [Some(row.value.title.clone()), row.value.platform_id.clone()].into_iter().flatten();
            match ground.keys.iter_mut().find(|key| key.lock == lock) {
                Some(key) => {
                    key.names.extend(names);
                    key.target.key_id = Some(row.id());
                }
                None => ground.keys.push(KnownKey {
                    lock,
                    label: target_label(&target),
                    target,
                    streams: Vec::new(),
                    targets: vec![row.id()],
                    names: names.collect(),
                }),
            }
        }
        rows.each::<Schedule>(false, |row| {
            ground.schedules.insert(row.id(), row);
            ControlFlow::Continue(())
        })?;
        Ok(ground)
    }

    /// A key as a question shows it: with the streams that go there.
    pub(in crate::schedule) fn key_title(&self, key: &KnownKey) -> String {
        let streams = key.streams.iter().filter_map(|id| self.stream_names.title(*id));
        let titles: Vec<&str> = key.names.first().map(String::as_str).into_iter().chain(streams).take(3).collect();
        format!("{} · {}", key.label, titles.join(", "))
    }

    /// The places that a name means: a target's id, the label of a target, what a kept key is called, the title of a
    /// stream (all its places).
    pub(in crate::schedule) fn keys_of(&self, name: &str, own: Option<Uuid>) -> Vec<Vec<usize>> {
        let wanted = plain(name);
        let id = Uuid::parse_str(name.trim()).ok();
        let place = |test: &dyn Fn(&KnownKey) -> bool| -> Vec<usize> {
            self.keys.iter().enumerate().filter(|(_, key)| test(key)).map(|(place, _)| place).collect()
        };
        let by_id = place(&|key| id.is_some_and(|id| key.targets.contains(&id)));
        if !by_id.is_empty() {
            return vec![by_id];
        }
        let labelled = place(&|key| plain(&key.label) == wanted);
        // Two keys may end with the same letters: the stream's own is meant.
        if let Some(own) = own
            && let Some(mine) = labelled.iter().copied().find(|place| self.keys[*place].streams.contains(&own))
        {
            return vec![vec![mine]];
        }
        let named = place(&|key| key.names.iter().any(|name| plain(name) == wanted));
        for found in [labelled, named] {
            if !found.is_empty() {
                return found.into_iter().map(|place| vec![place]).collect();
            }
        }
        let mut found: Vec<Vec<usize>> = Vec::new();
        for stream in self.stream_names.find(name) {
            let places = place(&|key| key.streams.contains(&stream));
            if !places.is_empty() && !found.contains(&places) {
                found.push(places);
            }
        }
        found
    }
}
