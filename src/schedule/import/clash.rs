//! Stretches on air of a library and of the rows before, by the place that they go to: no two may fall onto each other.

use std::collections::HashMap;
use std::time::Duration;

use jiff::Timestamp;
use uuid::Uuid;

use super::super::conflicts::{LOOK_AHEAD, LOOK_AT, Window, longest, overlap, window};
use super::super::recurrence::occurrences;
use super::super::{Schedule, calls::JUST_NOW};
use crate::text::Message;

/// So many stretches of a schedule are computed once; what lies beyond is computed for each row.
const HELD: usize = 800;

struct Held {
    title: String,
    schedule: Schedule,
    windows: Vec<Window>,
    /// The windows are all there are before this.
    until: Timestamp,
}

/// What is on air when, and where.
pub(super) struct Clashes {
    now: Timestamp,
    held: HashMap<Uuid, Held>,
    places: HashMap<String, Vec<Uuid>>,
}

impl Clashes {
    pub(super) fn new(now: Timestamp) -> Clashes {
        Clashes { now: now - JUST_NOW, held: HashMap::new(), places: HashMap::new() }
    }

    /// Books a schedule on places; what it had before is given back.
    pub(super) fn book(&mut self, id: Uuid, title: &str, schedule: &Schedule, places: &[String]) {
        self.free(id);
        if schedule.paused {
            return;
        }
        let coming = occurrences(schedule, self.now - longest(schedule)).take(HELD);
        let windows: Vec<Window> = coming.map(|one| window(&one)).collect();
        let until = if windows.len() < HELD { Timestamp::MAX } else { windows.last().map_or(self.now, |last| last.0) };
        self.held.insert(id, Held { title: title.to_owned(), schedule: schedule.clone(), windows, until });
        for place in places {
            self.places.entry(place.clone()).or_default().push(id);
        }
    }

    fn free(&mut self, id: Uuid) {
        if self.held.remove(&id).is_some() {
            self.places.values_mut().for_each(|ids| ids.retain(|known| *known != id));
        }
    }

    /// What a schedule falls onto on its places.
    pub(super) fn find(&self, id: Uuid, schedule: &Schedule, places: &[String]) -> Option<Message> {
        if schedule.paused {
            return None;
        }
        let mut coming = occurrences(schedule, self.now).take(LOOK_AT).peekable();
        let until = coming.peek()?.start + LOOK_AHEAD;
        let own: Vec<_> = coming.take_while(|one| one.start < until).collect();
        let (first, last) = (own.first()?.start, own.last().map(|one| window(one).1)?);
        let mut others: Vec<Uuid> =
            places.iter().filter_map(|place| self.places.get(place)).flatten().copied().collect();
        others.sort_unstable();
        others.dedup();
        for other in others.into_iter().filter(|other| *other != id) {
            let Some(held) = self.held.get(&other) else { continue };
            let computed: Vec<Window>;
            let windows = if last < held.until {
                &held.windows
            } else {
                let from = first.checked_sub(longest(&held.schedule)).unwrap_or(first);
                let near =
                    occurrences(&held.schedule, from).take_while(|one| one.start < last + Duration::from_secs(1));
                computed = near.take(LOOK_AT * 2).map(|one| window(&one)).collect();
                &computed
            };
            let hit = own.iter().find(|one| windows.iter().any(|other| overlap(window(one), *other)));
            if let Some(one) = hit {
                let at = one.civil.strftime("%Y-%m-%d %H:%M").to_string();
                let message = Message::new("schedule-conflict").with("title", held.title.as_str()).with("at", at);
                return Some(message.with("zone", schedule.time_zone.as_str()));
            }
        }
        None
    }
}
