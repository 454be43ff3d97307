//! What of the planned will not go on air, and why, seen before its time: two on one stream key, more at once than the
//! box can carry in memory, uplink and processor, nothing left to play.
//!
//! Only what the tenant itself has on air and planned is counted: from the rest one could compute what others send.
//! Whether there is room beside them is found out when the time comes.

use std::collections::hash_map::Entry;
use std::collections::{HashMap, HashSet};

use jiff::Timestamp;
use uuid::Uuid;

use super::conflicts::key_names;
use crate::error::Result;
use crate::library::{Library, Video, VideoState};
use crate::live::admission::{Capacity, Lack, Weight};
use crate::live::{LiveStream, Load, Platform, Run, open_runs};
use crate::store::rows::{Reader, Row};
use crate::text::Message;

/// A stretch of time that a stream is to be on air, or is.
#[derive(Debug, Clone, Copy)]
pub(super) struct Slot {
    pub(super) stream: Uuid,
    pub(super) schedule: Option<Uuid>,
    pub(super) start: Timestamp,
    /// `None` where nobody knows.
    pub(super) stop: Option<Timestamp>,
}

/// What is known of a stream beside its slots.
pub(super) struct Known {
    pub(super) title: String,
    pub(super) platforms: Vec<Platform>,
    keys: HashSet<String>,
    /// `None` where there is nothing left to play.
    load: Option<Load>,
}

/// The tenant's streams, each looked up once.
pub(super) struct Streams<'a> {
    library: &'a Library,
    rows: &'a Reader<'a>,
    known: HashMap<Uuid, Option<Known>>,
    weights: HashMap<Uuid, Option<Weight>>,
}

impl<'a> Streams<'a> {
    pub(super) fn new(library: &'a Library, rows: &'a Reader<'a>) -> Streams<'a> {
        Streams { library, rows, known: HashMap::new(), weights: HashMap::new() }
    }

    /// `None` where the stream is gone.
    pub(super) fn get(&mut self, stream: Uuid) -> Result<Option<&Known>> {
        if let Entry::Vacant(place) = self.known.entry(stream) {
            let known = match self.rows.get::<LiveStream>(stream)? {
                Some(row) => Some(Known {
                    keys: key_names(self.library, &row.value)?,
                    load: load_of(self.rows, &row.value, &mut self.weights)?,
                    platforms: row.value.targets.iter().map(|target| target.platform).collect(),
                    title: row.value.title,
                }),
                None => None,
            };
            place.insert(known);
        }
        Ok(self.known.get(&stream).and_then(Option::as_ref))
    }

    fn seen(&self, stream: Uuid) -> Option<&Known> {
        self.known.get(&stream).and_then(Option::as_ref)
    }
}

/// What a stream will take of the box.
fn load_of(
    rows: &Reader<'_>,
    stream: &LiveStream,
    weights: &mut HashMap<Uuid, Option<Weight>>,
) -> Result<Option<Load>> {
    let mut heaviest: Option<Weight> = None;
    for video in &stream.videos {
        let weight = match weights.entry(*video) {
            Entry::Occupied(known) => *known.get(),
            Entry::Vacant(place) => {
                let found = rows.get::<Video>(*video)?.filter(|row| row.value.state == VideoState::Ready);
                *place.insert(found.map(|row| Weight::of(&row.value.facts)))
            }
        };
        if let Some(weight) = weight {
            heaviest = Some(heaviest.unwrap_or_default().most(weight));
        }
    }
    let encoders = stream.targets.len() as u64;
    Ok(heaviest.map(|weight| Load::of_one(stream.overlay.as_ref(), weight).times(encoders)))
}

/// What takes room of the box at some time.
struct Taken {
    of: Uuid,
    title: String,
    load: Load,
    until: Timestamp,
}

/// Titles that are named of those which are in the way.
const NAMED: usize = 3;

/// Why something does not go beside what is taken already, all of it the reader's own.
fn crowded(capacity: Capacity, taken: &[Taken], load: Load) -> Option<Message> {
    let booked = taken.iter().fold(Load::default(), |sum, other| sum.and(other.load));
    let what = capacity.lack(booked, load)?;
    if let Err(never) = capacity.admit(Load::default(), load) {
        return Some(never.message());
    }
    let others: Vec<&Taken> = taken.iter().filter(|other| what.of(other.load) > 0).collect();
    let mut titles: Vec<String> = others.iter().take(NAMED).map(|other| format!("“{}”", other.title)).collect();
    if others.len() > NAMED {
        titles.push("…".to_owned());
    }
    let message = match what {
        Lack::Memory => Message::new("schedule-crowded-memory"),
        Lack::Cpu => Message::new("schedule-crowded-cpu"),
        Lack::Uplink => Message::new("schedule-crowded-uplink"),
    };
    Some(message.with("titles", titles.join(", ")).with("needed", what.told(booked.and(load))))
}

/// Why each of the slots, which come in order of time, will not go on air as planned; `None` where it will. Beside
/// them counts what is on air now.
pub(super) fn troubles(slots: &[Slot], streams: &mut Streams<'_>) -> Result<Vec<Option<Message>>> {
    for slot in slots {
        streams.get(slot.stream)?;
    }
    let runs = open_runs(streams.rows)?;
    let mut troubles = clashes(slots, &runs, streams)?;
    let capacity = Capacity::of(streams.library.foundation().config());
    let on = runs.iter().map(|run| {
        let encoders = run.value.targets.len() as u64;
        Taken {
            of: run.value.stream_id,
            title: run.value.stream_title.clone(),
            load: run.value.load(encoders),
            until: run.value.planned_stop.unwrap_or(Timestamp::MAX),
        }
    });
    let mut taken: Vec<Taken> = on.collect();
    for (slot, trouble) in slots.iter().zip(&mut troubles) {
        taken.retain(|other| other.until > slot.start);
        let Some(known) = streams.seen(slot.stream) else { continue };
        let Some(load) = known.load else {
            *trouble = Some(Message::new("live-no-video-left"));
            continue;
        };
        if trouble.is_some() || taken.iter().any(|other| other.of == slot.stream) {
            continue;
        }
        *trouble = crowded(capacity, &taken, load);
        if trouble.is_none() {
            let until = slot.stop.unwrap_or(Timestamp::MAX);
            taken.push(Taken { of: slot.stream, title: known.title.clone(), load, until });
        }
    }
    Ok(troubles)
}

/// The slots that fall onto another one, or onto what is on air, on the same key.
fn clashes(slots: &[Slot], runs: &[Row<Run>], streams: &mut Streams<'_>) -> Result<Vec<Option<Message>>> {
    let mut found: Vec<Option<Message>> = vec![None; slots.len()];
    let mut told = |place: usize, title: &str, is_endless: bool| {
        let id = if is_endless { "schedule-clash-endless" } else { "schedule-clash" };
        found[place].get_or_insert_with(|| Message::new(id).with("title", title));
    };
    // On each key, what lasts longest of what began so far.
    let mut last: HashMap<&str, (Option<usize>, Slot, &str)> = HashMap::new();
    let on: Vec<Slot> = runs
        .iter()
        .map(|run| Slot {
            stream: run.value.stream_id,
            schedule: run.value.schedule_id,
            start: run.value.started_at.unwrap_or(run.header.created_at),
            stop: run.value.planned_stop,
        })
        .collect();
    for slot in &on {
        streams.get(slot.stream)?;
    }
    let end = |place: Option<usize>, slot: &Slot| match (slot.stop, place) {
        (Some(stop), _) => stop,
        // It is on, and nothing says that it will end.
        (None, None) => Timestamp::MAX,
        // Nobody knows; the start alone is compared.
        (None, Some(_)) => slot.start + std::time::Duration::from_secs(1),
    };
    let planned = slots.iter().enumerate().map(|(place, slot)| (Some(place), slot));
    for (place, slot) in on.iter().map(|slot| (None, slot)).chain(planned) {
        let Some(known) = streams.seen(slot.stream) else { continue };
        for key in &known.keys {
            let before = last.get(key.as_str()).copied();
            if let Some((other, earlier, title)) = before {
                // Of one schedule each ends where the next begins, and one without an end goes on.
                let own = slot.schedule.is_some() && slot.schedule == earlier.schedule;
                if end(other, &earlier) > slot.start && !own {
                    let is_endless = end(other, &earlier) == Timestamp::MAX;
                    place.into_iter().for_each(|place| told(place, title, is_endless));
                    other.into_iter().for_each(|other| told(other, &known.title, false));
                }
            }
            if before.is_none_or(|(other, earlier, _)| end(other, &earlier) <= end(place, slot)) {
                last.insert(key, (place, *slot, &known.title));
            }
        }
    }
    Ok(found)
}
