//! What a library has that rows of a file may mean.

use std::collections::HashMap;
use std::ops::ControlFlow;

use uuid::Uuid;

use super::text::target_label;
use crate::error::Result;
use crate::format::clock;
use crate::legacy;
use crate::legacy::report::What;
use crate::library::{Library, Thumbnail, Video, VideoState, names};
use crate::live::kept_key::KeptKey;
use crate::live::{LiveStream, Target};
use crate::oauth::Connection;
use crate::schedule::Schedule;
use crate::schedule::sheet::SheetRow;
use crate::store::rows::{Header, Reader, Row};

/// Things by what files may call them.
#[derive(Default)]
pub(in crate::schedule) struct Named {
    by_name: HashMap<String, Vec<Uuid>>,
    places: HashMap<Uuid, usize>,
    /// In order of their making: what they are called.
    pub(in crate::schedule) titles: Vec<(Uuid, String)>,
    /// By which those of one title are told apart.
    details: HashMap<Uuid, String>,
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

    /// What a name may mean: an id, also as the name of a file; else a file name or a title, also with the ending of a
    /// file.
    pub(in crate::schedule) fn find(&self, name: &str) -> Vec<Uuid> {
        let exact = self.find_exact(name);
        let (_, stem) = parts(name);
        if exact.is_empty() { self.by_name.get(&plain(stem)).cloned().unwrap_or_default() } else { exact }
    }

    fn find_exact(&self, name: &str) -> Vec<Uuid> {
        let (file, stem) = parts(name);
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

    /// The title with what tells it apart from others.
    pub(super) fn label(&self, id: Uuid) -> String {
        let title = self.title(id).unwrap_or_default();
        match self.details.get(&id) {
            Some(details) => format!("{title} · {details}"),
            None => title.to_owned(),
        }
    }

    /// A file of an old home is called by its path there, which may name nothing here.
    fn name_as_before(&mut self, rows: &Reader<'_>, what: What, name: &str, owner: &str) -> Result<()> {
        if !name.contains('/') && !self.find_exact(name).is_empty() {
            return Ok(());
        }
        let mut came = legacy::came_from(rows, what, owner, name)?;
        came.retain(|id| self.places.contains_key(id));
        if !came.is_empty() {
            self.by_name.insert(plain(name), came);
        }
        Ok(())
    }
}

/// The day on which something came, for telling it apart.
fn day(header: &Header) -> String {
    header.created_at.strftime("%Y-%m-%d %H:%M UTC").to_string()
}

/// The last part of a path, and the same without its ending.
fn parts(name: &str) -> (&str, &str) {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    (file, file.rsplit_once('.').map_or(file, |(stem, _)| stem))
}

/// A place that a stream of the library goes to, or a key that it keeps for streams.
pub(in crate::schedule) struct KnownKey {
    /// Equal for equal places.
    pub(in crate::schedule) lock: String,
    pub(in crate::schedule) target: Target,
    pub(in crate::schedule) label: String,
    /// What its key is called, where it is kept by itself: by people and by the platform.
    pub(in crate::schedule) names: Vec<String>,
    /// The same with its channel, as forms show it.
    pub(in crate::schedule) called: Option<String>,
    /// Streams that go there.
    pub(in crate::schedule) streams: Vec<Uuid>,
    /// Their targets there, and the kept key.
    pub(in crate::schedule) targets: Vec<Uuid>,
}

/// A library as an import finds it.
pub(in crate::schedule) struct Ground {
    pub(in crate::schedule) videos: Named,
    pub(in crate::schedule) thumbnails: Named,
    /// Thumbnails that somebody put in; others were made of videos.
    pub(super) gallery: Vec<Uuid>,
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
            gallery: Vec::new(),
            streams: HashMap::new(),
            stream_names: Named::default(),
            schedules: HashMap::new(),
            keys: Vec::new(),
        };
        rows.each::<Video>(false, |row| {
            if row.value.state == VideoState::Ready {
                ground.videos.add(row.id(), &row.value.title, &[&row.value.original_name]);
                let (length, name) = (clock(row.value.facts.duration), &row.value.original_name);
                let came = day(&row.header);
                ground.videos.details.insert(row.id(), format!("{length} · {name} · {came}"));
            }
            ControlFlow::Continue(())
        })?;
        rows.each::<Thumbnail>(false, |row| {
            ground.thumbnails.add(row.id(), &row.value.title, &[]);
            let (width, height, came) = (row.value.width, row.value.height, day(&row.header));
            ground.thumbnails.details.insert(row.id(), format!("{width} × {height} · {came}"));
            if !row.value.automatic {
                ground.gallery.push(row.id());
            }
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
                let key = ground.key(lock, target);
                key.streams.push(row.id());
                key.targets.push(target.id);
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
            let key = ground.key(target.key_name(vault, library.tenant())?, &target);
            key.names.extend([row.value.title.clone()].into_iter().chain(row.value.platform_id.clone()));
            if let Some(channel) = row.value.channel_id
                && let Some(channel) = rows.get::<Connection>(channel)?
            {
                let called = format!("{} · {}", channel.value.title, row.value.title);
                key.names.push(called.clone());
                key.called = Some(called);
            }
            key.target.key_id = Some(row.id());
            key.targets.push(row.id());
        }
        rows.each::<Schedule>(false, |row| {
            ground.schedules.insert(row.id(), row);
            ControlFlow::Continue(())
        })?;
        Ok(ground)
    }

    fn key(&mut self, lock: String, target: &Target) -> &mut KnownKey {
        let place = self.keys.iter().position(|key| key.lock == lock).unwrap_or(self.keys.len());
        if place == self.keys.len() {
            let (label, target) = (target_label(target), target.clone());
            let (names, streams, targets) = (Vec::new(), Vec::new(), Vec::new());
            self.keys.push(KnownKey { lock, label, target, names, called: None, streams, targets });
        }
        &mut self.keys[place]
    }

    /// Lets rows name files of an old home as that did.
    pub(super) fn name_as_before(&mut self, rows: &Reader<'_>, named: &[SheetRow], tenant: &str) -> Result<()> {
        for row in named {
            let owner = row.owner.as_deref().unwrap_or(tenant);
            for name in &row.videos {
                self.videos.name_as_before(rows, What::Video, name, owner)?;
            }
            if let Some(name) = &row.thumbnail {
                self.thumbnails.name_as_before(rows, What::Thumbnail, name, owner)?;
            }
        }
        Ok(())
    }

    /// A key as a question shows it: with its name and the streams that go there.
    pub(in crate::schedule) fn key_title(&self, key: &KnownKey) -> String {
        let titles: Vec<&str> = key.streams.iter().filter_map(|id| self.stream_names.title(*id)).take(3).collect();
        let name = key.called.as_ref().or(key.names.first()).cloned().unwrap_or_default();
        let parts = [name, key.label.clone(), titles.join(", ")];
        parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
    }

    /// The places that a name means: a target's id, the label of a target, the name of a kept key, the title of a stream
    /// (all its places).
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
