//! One row after the other: what it means in a library, and what would become of it.

use std::collections::{BTreeMap, BTreeSet, HashMap};

use jiff::Timestamp;
use jiff::tz::TimeZone;
use uuid::Uuid;

use super::clash::Clashes;
use super::ground::{Ground, plain};
use super::{Answer, Ask, Fate, MOST_OPTIONS, Prepared, Question, Verdict};
use crate::error::Result;
use crate::library::{Library, names::is_hidden};
use crate::live::stream::{LONGEST_TITLE, MOST_VIDEOS};
use crate::live::{LiveStream, PlayOrder, Target};
use crate::schedule::Schedule;
use crate::schedule::sheet::{Column, HeaderSet, Problem, SheetRow, column_letters};
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
    streams: HashMap<Uuid, (LiveStream, Option<u32>)>,
    /// Places of streams.
    places: HashMap<Uuid, Vec<String>>,
    /// Schedules that rows so far made or named.
    pub(super) taken: HashMap<Uuid, u32>,
    pub(super) made: Vec<(Uuid, Schedule)>,
    answers: HashMap<(Question, String), Uuid>,
    asks: BTreeMap<(Question, String), Ask>,
}

/// A row while it is judged.
pub(super) struct Case<'r> {
    pub(super) row: &'r SheetRow,
    pub(super) problems: Vec<Problem>,
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
        let answers = answers.map(|answer| ((answer.question, plain(&answer.found)), answer.choice)).collect();
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
            asks: BTreeMap::new(),
        }
    }

    /// Every question that rows asked.
    pub(super) fn asks(&mut self, answers: &[Answer]) -> Vec<Ask> {
        let mut asks: Vec<Ask> = std::mem::take(&mut self.asks).into_values().collect();
        for ask in &mut asks {
            let same = |answer: &&Answer| answer.question == ask.question && plain(&answer.found) == plain(&ask.found);
            ask.answer = answers.iter().find(same).map(|answer| answer.choice);
        }
        asks
    }

    pub(super) fn problem(&self, case: &mut Case<'_>, column: Column, message: Message) {
        let place = self.prepared.mapping.place(column);
        let head = place.and_then(|place| self.prepared.table.heads.get(place)).cloned();
        case.problems.push(Problem {
            row: case.row.number,
            letters: place.map(column_letters).unwrap_or_default(),
            head: head.unwrap_or_else(|| column.name().to_owned()),
            column: Some(column),
            message,
        });
    }

    /// Of several things that a cell may mean the one that was answered; else asks. Answers are remembered with the
    /// question, so that they can be changed.
    pub(super) fn choose(
        &mut self,
        case: &mut Case<'_>,
        question: Question,
        found: &str,
        options: Vec<(Uuid, String)>,
    ) -> Option<Uuid> {
        let key = (question, plain(found));
        let answer = self.answers.get(&key).copied().filter(|answer| options.iter().any(|(id, _)| id == answer));
        let ask = self.asks.entry(key).or_insert_with(|| Ask {
            question,
            found: found.trim().to_owned(),
            options: options.into_iter().take(MOST_OPTIONS).collect(),
            answer: None,
            rows: 0,
        });
        if answer.is_none() {
            ask.rows += 1;
            case.asks.push((question, found.trim().to_owned()));
        }
        answer
    }

    /// The verdict on a row, and what would be written. Rows that are not chosen are judged, and book nothing.
    pub(super) fn row(&mut self, row: &SheetRow, take: Option<&BTreeSet<u32>>) -> Result<(Verdict, Option<Write>)> {
        let mut case = Case { row, problems: row.problems.clone(), asks: Vec::new(), changes: BTreeSet::new() };
        let is_taken = take.is_none_or(|take| take.contains(&row.number));
        let mut verdict = Verdict {
            row: row.number,
            title: row.title.clone().unwrap_or_default(),
            starts_at: None,
            fate: Fate::Bad,
            makes_stream: false,
            problems: Vec::new(),
            changes: Vec::new(),
            asks: Vec::new(),
        };
        let known = row.id.and_then(|id| self.ground.schedules.get(&id)).cloned();
        let zone = row.time_zone.clone().or_else(|| known.as_ref().map(|row| row.value.time_zone.clone()));
        let zone = zone.unwrap_or_else(|| self.prepared.choices.time_zone.clone());
        let exact = || Some(row.starts_exact?.to_zoned(TimeZone::get(&zone).ok()?).datetime());
        let starts = row.starts_at.or_else(exact);
        verdict.starts_at = starts.map(|at| (at, zone.clone()));
        if let Some(owner) =
            row.owner.as_deref().filter(|owner| !self.prepared.names.contains(&owner.trim().to_lowercase()))
        {
            self.problem(&mut case, Column::Owner, Message::new("import-row-foreign").with("owner", owner));
            verdict.fate = Fate::Foreign;
            verdict.problems = case.problems.split_off(case.problems.len() - 1);
            return Ok((verdict, None));
        }
        if row.success == Some(true) && self.prepared.mapping.header_set() == HeaderSet::LegacyA && known.is_none() {
            self.problem(&mut case, Column::Success, Message::new("import-row-done"));
            verdict.fate = Fate::Over;
            verdict.problems = case.problems.split_off(case.problems.len() - 1);
            return Ok((verdict, None));
        }
        let chosen = self.stream(&mut case, known.as_ref().map(|row| row.value.stream_id))?;
        let planned = self.schedule(&mut case, &mut verdict, chosen.as_ref(), zone, starts);
        if let Some(chosen) = &chosen {
            verdict.title.clone_from(&chosen.value.title);
        }
        verdict.asks = std::mem::take(&mut case.asks);
        verdict.problems = std::mem::take(&mut case.problems);
        verdict.changes = std::mem::take(&mut case.changes).into_iter().collect();
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
            self.problem(&mut case, Column::KeyName, message);
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
                ref many => {
                    let options = self.titled(many);
                    found.extend(self.choose(case, Question::Video, name, options));
                }
            }
        }
        (!found.is_empty() && found.len() == row.videos.len()).then_some(found)
    }

    fn titled(&self, ids: &[Uuid]) -> Vec<(Uuid, String)> {
        ids.iter().map(|id| (*id, format!("{} · {id}", self.ground.videos.title(*id).unwrap_or_default()))).collect()
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
            None => self.new_stream(case, title.unwrap_or_default(), videos, targets),
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
            _ => {
                let options = fit.iter().map(|id| (*id, format!("{title} · {id}"))).collect();
                Ok(self.choose(case, Question::Stream, title, options).map_or(Found::Asked, Found::One))
            }
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
            broadcast: crate::schedule::Broadcast::default(),
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
        let all = self.ground.videos.titles.clone();
        self.choose(case, Question::Video, "", all).map(|video| vec![video])
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
