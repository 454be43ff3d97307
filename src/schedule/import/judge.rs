//! One row after the other: what it means in a library, and what would become of it.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::ask::{Ask, Asks, LEAVE, MINE};
use super::clash::Clashes;
use super::ground::{Ground, plain};
use super::{Change, Fate, Prepared, Question, Verdict};
use crate::error::Result;
use crate::library::{Library, names::is_hidden};
use crate::live::stream::{LONGEST_TITLE, MOST_VIDEOS};
use crate::live::{LiveStream, PlayOrder, Target};
use crate::schedule::export::text_of;
use crate::schedule::sheet::{Column, HeaderSet, Problem, SheetRow, column_letters};
use crate::schedule::{Broadcast, Schedule};
use crate::text::Message;

/// What is written for a row.
pub(super) struct Write {
    pub(super) id: Uuid,
    pub(super) title: String,
    pub(super) stream: Uuid,
    pub(super) stream_write: StreamWrite,
    /// `None`: only its stream changes.
    pub(super) schedule: Option<Schedule>,
}

pub(super) enum StreamWrite {
    Keep,
    New(LiveStream),
    Change(LiveStream),
}

/// Judges the rows of one table, in order.
pub(super) struct Judge<'a> {
    pub(super) library: &'a Library,
    pub(super) prepared: &'a Prepared,
    pub(super) ground: Ground,
    pub(super) now: Timestamp,
    pub(super) clashes: Clashes,
    /// Streams as the rows so far leave them, with the row that said so.
    pub(super) streams: HashMap<Uuid, (LiveStream, Option<u32>)>,
    /// Places of streams.
    places: HashMap<Uuid, Vec<String>>,
    /// Schedules that rows so far made or named.
    pub(super) taken: HashMap<Uuid, u32>,
    pub(super) made: Vec<(Uuid, Schedule)>,
    pub(super) answers: HashMap<(Question, String), String>,
    pub(super) asks: Asks,
}

/// A row while it is judged.
pub(super) struct Case<'r> {
    pub(super) row: &'r SheetRow,
    pub(super) problems: Vec<Problem>,
    /// What should be known of a row that can be taken.
    pub(super) notes: Vec<Problem>,
    pub(super) asks: Vec<(Question, String)>,
    pub(super) changes: BTreeSet<Column>,
}

/// The stream of a row.
pub(super) struct Chosen {
    pub(super) id: Uuid,
    value: LiveStream,
    is_new: bool,
    pub(super) is_changed: bool,
    pub(super) places: Vec<String>,
}

impl<'a> Judge<'a> {
    pub(super) fn new(library: &'a Library, prepared: &'a Prepared, ground: Ground, now: Timestamp) -> Judge<'a> {
        let mut clashes = Clashes::new(now);
        let mut places: HashMap<Uuid, Vec<String>> = HashMap::new();
        for key in &ground.keys {
            for stream in &key.streams {
                places.entry(*stream).or_default().push(key.lock.clone());
            }
        }
        for row in ground.schedules.values() {
            if let Some(stream) = ground.streams.get(&row.value.stream_id) {
                let places = places.get(&stream.id()).map(Vec::as_slice).unwrap_or_default();
                clashes.book(row.id(), &stream.value.title, &row.value, places);
            }
        }
        let streams = ground.streams.values().map(|row| (row.id(), (row.value.clone(), None))).collect();
        let answers = prepared.choices.answers.iter();
        let answers = answers.map(|answer| ((answer.question, plain(&answer.found)), answer.choice.clone())).collect();
        Judge {
            library,
            prepared,
            ground,
            now,
            clashes,
            streams,
            places,
            taken: HashMap::new(),
            made: Vec::new(),
            answers,
            asks: Asks::default(),
        }
    }

    /// Every question that rows asked.
    pub(super) fn asks(&mut self) -> Vec<Ask> {
        self.asks.take()
    }

    fn told(&self, case: &Case<'_>, column: Column, message: Message) -> Problem {
        let place = self.prepared.mapping.place(column);
        let head = place.and_then(|place| self.prepared.table.heads.get(place)).cloned();
        Problem {
            row: case.row.number,
            letters: place.map(column_letters).unwrap_or_default(),
            head: head.unwrap_or_else(|| column.name().to_owned()),
            column: Some(column),
            message,
        }
    }

    pub(super) fn problem(&self, case: &mut Case<'_>, column: Column, message: Message) {
        case.problems.push(self.told(case, column, message));
    }

    /// Says what should be known of a row, which may be taken all the same.
    pub(super) fn note(&self, case: &mut Case<'_>, column: Column, message: Message) {
        case.notes.push(self.told(case, column, message));
    }

    /// The verdict on a row, and what would be written. Rows that are not chosen are judged, and book nothing.
    pub(super) fn row(&mut self, row: &SheetRow, take: Option<&BTreeSet<u32>>) -> Result<(Verdict, Option<Write>)> {
        let mut case =
            Case { row, problems: row.problems.clone(), notes: Vec::new(), asks: Vec::new(), changes: BTreeSet::new() };
        let is_own = |owner: &&str| self.prepared.names.contains(&owner.trim().to_lowercase());
        let Some(owner) = row.owner.as_deref().filter(|owner| !is_own(owner)) else {
            return self.own_row(case, take);
        };
        if self.choose(&mut case, Question::Owner, owner, &[MINE, LEAVE], false) == Some(MINE) {
            // As a new one: what its owner has is not touched, and its ids are theirs.
            let row = SheetRow { id: None, stream_id: None, ..row.clone() };
            let problems =
                case.problems.iter().filter(|problem| !matches!(problem.column, Some(Column::Id | Column::StreamId)));
            let problems = problems.cloned().collect();
            return self.own_row(Case { row: &row, problems, ..case }, take);
        }
        let mut verdict = Verdict::new(row);
        let message = Message::new("import-row-foreign").with("owner", owner);
        (verdict.fate, verdict.problems) = (Fate::Foreign, vec![self.told(&case, Column::Owner, message)]);
        verdict.starts_at = row.starts_at.map(|at| {
            let zone = row.time_zone.as_ref().unwrap_or(&self.prepared.choices.time_zone);
            (at, zone.clone())
        });
        Ok((verdict, None))
    }

    fn own_row(&mut self, mut case: Case<'_>, take: Option<&BTreeSet<u32>>) -> Result<(Verdict, Option<Write>)> {
        let (mut verdict, write) = self.judged(&mut case, take)?;
        if !matches!(verdict.fate, Fate::Over | Fate::Same) {
            verdict.problems.append(&mut case.notes);
        }
        Ok((verdict, write))
    }

    fn judged(&mut self, case: &mut Case<'_>, take: Option<&BTreeSet<u32>>) -> Result<(Verdict, Option<Write>)> {
        let row = case.row;
        let is_taken = take.is_none_or(|take| take.contains(&row.number));
        let mut verdict = Verdict::new(row);
        let known = row.id.and_then(|id| self.ground.schedules.get(&id)).cloned();
        let zone = row.time_zone.clone().or_else(|| known.as_ref().map(|row| row.value.time_zone.clone()));
        let zone = zone.unwrap_or_else(|| self.prepared.choices.time_zone.clone());
        let exact = || Some(row.starts_exact?.to_zoned(TimeZone::get(&zone).ok()?).datetime());
        let starts = row.starts_at.or_else(exact);
        verdict.starts_at = starts.map(|at| (at, zone.clone()));
        if row.success == Some(true) && self.prepared.mapping.header_set() == HeaderSet::LegacyA && known.is_none() {
            self.problem(case, Column::Success, Message::new("import-row-done"));
            verdict.fate = Fate::Over;
            verdict.problems = case.problems.split_off(case.problems.len() - 1);
            return Ok((verdict, None));
        }
        let chosen = self.stream(case, known.as_ref().map(|row| row.value.stream_id))?;
        let planned = self.schedule(case, &mut verdict, chosen.as_ref(), zone, starts);
        if let Some(chosen) = &chosen {
            verdict.title.clone_from(&chosen.value.title);
        }
        verdict.asks = std::mem::take(&mut case.asks);
        verdict.problems = std::mem::take(&mut case.problems);
        if verdict.fate == Fate::Over {
            return Ok((verdict, None));
        }
        let (Some(chosen), Some((id, schedule, is_new))) = (chosen, planned) else {
            verdict.fate = if verdict.problems.is_empty() { Fate::Ask } else { Fate::Bad };
            return Ok((verdict, None));
        };
        if !verdict.problems.is_empty() || !verdict.asks.is_empty() {
            verdict.fate = if verdict.problems.is_empty() { Fate::Ask } else { Fate::Bad };
            return Ok((verdict, None));
        }
        verdict.makes_stream = chosen.is_new;
        // A stream that goes elsewhere takes its other schedules along.
        let moved = chosen.is_changed && self.places.get(&chosen.id).is_some_and(|places| *places != chosen.places);
        let others: Vec<(Uuid, Schedule)> = match moved {
            true => self.others(chosen.id, id),
            false => Vec::new(),
        };
        if let Some(message) =
            others.iter().find_map(|(other, schedule)| self.clashes.find(*other, schedule, &chosen.places))
        {
            self.problem(case, Column::KeyName, message);
            verdict.problems.append(&mut case.problems);
            return Ok((verdict, None));
        }
        let (is_same, schedule_changes) = match self.ground.schedules.get(&id) {
            Some(old) => (old.value == schedule && !chosen.is_changed, old.value != schedule),
            None => (!is_new, is_new),
        };
        verdict.fate = if is_same {
            Fate::Same
        } else if is_new {
            Fate::New
        } else {
            Fate::Change
        };
        if is_same {
            return Ok((verdict, None));
        }
        verdict.changes = self.changes(&case.changes, id, &schedule, &chosen);
        if is_taken {
            self.taken.insert(id, row.number);
            self.clashes.book(id, &chosen.value.title, &schedule, &chosen.places);
            for (other, schedule) in &others {
                self.clashes.book(*other, &chosen.value.title, schedule, &chosen.places);
            }
            if is_new {
                self.made.push((id, schedule.clone()));
            }
            if chosen.is_new || chosen.is_changed {
                self.streams.insert(chosen.id, (chosen.value.clone(), Some(row.number)));
                self.places.insert(chosen.id, chosen.places.clone());
            }
        }
        let stream_write = match (chosen.is_new, chosen.is_changed) {
            (true, _) => StreamWrite::New(chosen.value),
            (false, true) => StreamWrite::Change(chosen.value),
            (false, false) => self.written(chosen.id),
        };
        let title = verdict.title.clone();
        let schedule = schedule_changes.then_some(schedule);
        Ok((verdict, Some(Write { id, title, stream: chosen.id, stream_write, schedule })))
    }

    /// What of a known schedule or stream becomes what.
    fn changes(&self, columns: &BTreeSet<Column>, id: Uuid, schedule: &Schedule, chosen: &Chosen) -> Vec<Change> {
        let old = self.ground.schedules.get(&id).map(|row| &row.value);
        let stream = old.map_or(chosen.id, |old| old.stream_id);
        let stream = self.ground.streams.get(&stream).map(|row| &row.value);
        let change = |column: &Column| Change {
            column: *column,
            from: text_of(*column, &self.ground, old, stream),
            to: text_of(*column, &self.ground, Some(schedule), Some(&chosen.value)),
        };
        columns.iter().map(change).collect()
    }

    /// The other schedules of a stream, as the library has them or rows so far made them.
    fn others(&self, stream: Uuid, but: Uuid) -> Vec<(Uuid, Schedule)> {
        let known = self.ground.schedules.values().map(|row| (row.id(), &row.value));
        let made = self.made.iter().map(|(id, schedule)| (*id, schedule));
        let own = known.chain(made).filter(|(id, schedule)| schedule.stream_id == stream && *id != but);
        own.map(|(id, schedule)| (id, schedule.clone())).collect()
    }

    /// What rows before have put of a stream: the first of them writes it.
    fn written(&self, stream: Uuid) -> StreamWrite {
        match self.streams.get(&stream) {
            Some((value, Some(_))) if self.ground.streams.contains_key(&stream) => StreamWrite::Change(value.clone()),
            Some((value, Some(_))) => StreamWrite::New(value.clone()),
            _ => StreamWrite::Keep,
        }
    }

    fn videos(&mut self, case: &mut Case<'_>, stream: Option<Uuid>) -> Option<Vec<Uuid>> {
        let mut found = Vec::new();
        let row = case.row;
        if row.videos.len() > MOST_VIDEOS {
            self.problem(case, Column::Videos, Message::new("live-videos-many").with("most", MOST_VIDEOS));
            return None;
        }
        for name in &row.videos {
            let had = |id: &Uuid| {
                let stream = stream.and_then(|stream| self.streams.get(&stream));
                stream.is_some_and(|(stream, _)| stream.videos.contains(id))
            };
            match self.ground.videos.find(name)[..] {
                // One that its stream has, and that is gone or not ready, stays.
                [] if Uuid::parse_str(name).is_ok_and(|id| had(&id)) => found.extend(Uuid::parse_str(name)),
                [] => {
                    let message = Message::new("import-video-unknown").with("found", name.as_str());
                    self.problem(case, Column::Videos, message);
                }
                [only] => found.push(only),
                ref many => found.extend(self.choose(case, Question::Video, name, many, true)),
            }
        }
        (!found.is_empty() && found.len() == row.videos.len()).then_some(found)
    }

    /// The stream of a row: the one it names by id, one of its title that fits, or a new one.
    fn stream(&mut self, case: &mut Case<'_>, of_schedule: Option<Uuid>) -> Result<Option<Chosen>> {
        let row = case.row;
        let named = row.stream_id.or(of_schedule).filter(|id| self.streams.contains_key(id));
        let videos = self.videos(case, named);
        let targets = self.targets(case, named)?;
        if !case.asks.is_empty() || (videos.is_none() && !row.videos.is_empty()) {
            return Ok(None);
        }
        let title =
            row.title.clone().or_else(|| self.ground.videos.title(*videos.as_ref()?.first()?).map(str::to_owned));
        if let Some(title) = &title
            && (title.chars().count() > LONGEST_TITLE || title.chars().any(is_hidden))
        {
            self.problem(case, Column::Title, Message::new("live-title-length").with("most", LONGEST_TITLE));
            return Ok(None);
        }
        let base = match (named, &title) {
            (Some(id), _) => Some(id),
            (None, Some(title)) => match self.stream_of_title(case, title, videos.as_deref(), targets.as_ref())? {
                Found::One(id) => Some(id),
                Found::None => None,
                Found::Asked => return Ok(None),
            },
            (None, None) => {
                self.problem(case, Column::Title, Message::new("import-title-missing"));
                return Ok(None);
            }
        };
        match base {
            Some(id) => Ok(self.known_stream(case, id, title.filter(|_| named.is_some()), videos, targets)),
            None => {
                let title = title.unwrap_or_default();
                if row.title.is_none() && row.has(Column::Title) {
                    let message = Message::new("import-title-of-video").with("title", title.as_str());
                    self.note(case, Column::Title, message);
                }
                self.new_stream(case, title, videos, targets)
            }
        }
    }

    fn stream_of_title(
        &mut self,
        case: &mut Case<'_>,
        title: &str,
        videos: Option<&[Uuid]>,
        targets: Option<&(Vec<Target>, Vec<String>)>,
    ) -> Result<Found> {
        let wanted = plain(title);
        let mut fit: Vec<Uuid> = self
            .streams
            .iter()
            .filter(|(id, (stream, _))| {
                let same_places = |locks: &Vec<String>| {
                    let known: BTreeSet<&String> = self.places.get(*id).into_iter().flatten().collect();
                    locks.iter().collect::<BTreeSet<_>>() == known
                };
                plain(&stream.title) == wanted
                    && videos.is_none_or(|videos| videos == stream.videos)
                    && targets.is_none_or(|(_, locks)| same_places(locks))
            })
            .map(|(id, _)| *id)
            .collect();
        fit.sort_unstable();
        match fit[..] {
            [] => Ok(Found::None),
            [only] => Ok(Found::One(only)),
            // They differ in nothing that the row says.
            [first, ..] if videos.is_some() && targets.is_some() => Ok(Found::One(first)),
            _ => Ok(self.choose(case, Question::Stream, title, &fit, true).map_or(Found::Asked, Found::One)),
        }
    }

    fn known_stream(
        &mut self,
        case: &mut Case<'_>,
        id: Uuid,
        title: Option<String>,
        videos: Option<Vec<Uuid>>,
        targets: Option<(Vec<Target>, Vec<String>)>,
    ) -> Option<Chosen> {
        let (old, by) = self.streams.get(&id).cloned()?;
        let mut value = old.clone();
        let mut places = self.places.get(&id).cloned().unwrap_or_default();
        let title = title.map(|title| title.trim().to_owned());
        value.title = title.unwrap_or(value.title);
        value.videos = videos.unwrap_or(value.videos);
        value.order = case.row.shuffled.map_or(value.order, order);
        value.repeat = case.row.repeat_playlist.unwrap_or(value.repeat);
        if let Some((targets, locks)) = targets
            && locks.iter().collect::<BTreeSet<_>>() != places.iter().collect()
        {
            (value.targets, places) = (targets, locks);
        }
        let differs = [
            (Column::Title, old.title != value.title),
            (Column::Videos, old.videos != value.videos),
            (Column::Order, old.order != value.order),
            (Column::Loop, old.repeat != value.repeat),
            (Column::KeyName, old.targets != value.targets),
        ];
        let changed: Vec<Column> =
            differs.into_iter().filter(|(_, differs)| *differs).map(|(column, _)| column).collect();
        if let (Some(row), Some(column)) = (by, changed.first()) {
            let message = Message::new("import-stream-twice").with("row", u64::from(row));
            self.problem(case, *column, message);
            return None;
        }
        case.changes.extend(&changed);
        Some(Chosen { id, value, is_new: false, is_changed: !changed.is_empty(), places })
    }

    fn new_stream(
        &mut self,
        case: &mut Case<'_>,
        title: String,
        videos: Option<Vec<Uuid>>,
        targets: Option<(Vec<Target>, Vec<String>)>,
    ) -> Result<Option<Chosen>> {
        let videos = match videos {
            Some(videos) => Some(videos),
            None => self.video_of_title(case, &title),
        };
        let targets = match targets {
            Some(targets) => Some(targets),
            None if case.problems.iter().any(|problem| {
                matches!(problem.column, Some(Column::Key | Column::Url | Column::Platform | Column::KeyName))
            }) =>
            {
                None
            }
            None if self.ground.keys.is_empty() => {
                self.problem(case, Column::KeyName, Message::new("import-key-missing"));
                None
            }
            None => {
                let all: Vec<usize> = (0..self.ground.keys.len()).collect();
                match self.choose_key(case, "", &all) {
                    Some(place) => Some(self.take_places(&[place])?),
                    None => None,
                }
            }
        };
        let (Some(videos), Some((targets, places))) = (videos, targets) else { return Ok(None) };
        let row = case.row;
        let value = LiveStream {
            title: title.trim().to_owned(),
            videos,
            order: row.shuffled.map_or(PlayOrder::Listed, order),
            repeat: row.repeat_playlist.unwrap_or(true),
            overlay: None,
            targets,
            // Started by hand, too, it is shown to nobody else than the row says.
            broadcast: Broadcast { privacy: row.privacy, made_for_kids: row.made_for_kids, ..Broadcast::default() },
        };
        let id = row.stream_id.filter(|id| id.get_version_num() == 7).unwrap_or_else(Uuid::now_v7);
        Ok(Some(Chosen { id, value, is_new: true, is_changed: false, places }))
    }

    /// A row without a video: one of its title, or the one that is answered.
    fn video_of_title(&mut self, case: &mut Case<'_>, title: &str) -> Option<Vec<Uuid>> {
        if let [only] = self.ground.videos.find(title)[..] {
            return Some(vec![only]);
        }
        if self.ground.videos.titles.is_empty() {
            self.problem(case, Column::Videos, Message::new("import-video-missing"));
            return None;
        }
        let all: Vec<Uuid> = self.ground.videos.titles.iter().map(|(id, _)| *id).collect();
        self.choose(case, Question::Video, "", &all, true).map(|video| vec![video])
    }
}

enum Found {
    None,
    One(Uuid),
    Asked,
}

fn order(shuffled: bool) -> PlayOrder {
    if shuffled { PlayOrder::Shuffled } else { PlayOrder::Listed }
}
