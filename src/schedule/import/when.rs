//! The schedule that a row means.

use std::collections::BTreeSet;

use jiff::civil::DateTime;
use uuid::Uuid;

use super::judge::{Case, Chosen, Judge};
use super::text::read_exceptions;
use super::{Fate, Question, Verdict};
use crate::error::Error;
use crate::schedule::recurrence::{names, occurrences};
use crate::schedule::sheet::Column;
use crate::schedule::{Broadcast, Schedule, ScheduleInput, calls::JUST_NOW};
use crate::text::Message;

impl Judge<'_> {
    /// The schedule of a row with its id, and whether it is new; `None` with a problem, a question, or a fate.
    pub(super) fn schedule(
        &mut self,
        case: &mut Case<'_>,
        verdict: &mut Verdict,
        chosen: Option<&Chosen>,
        zone: String,
        starts: Option<DateTime>,
    ) -> Option<(Uuid, Schedule, bool)> {
        let row = case.row;
        let stream = chosen.map_or(Uuid::nil(), |chosen| chosen.id);
        let rule = if row.has(Column::Rule) {
            row.rule.clone()
        } else {
            row.repeat.and_then(|repeat| repeat.rule().map(str::to_owned))
        };
        let mut known = row.id.and_then(|id| self.ground.schedules.get(&id)).cloned();
        if known.is_none()
            && let Some(starts) = starts
        {
            // The same row again, from a file without ids.
            let same = |schedule: &Schedule| {
                let rule = rule.as_deref().map(str::trim).filter(|rule| !rule.is_empty());
                let normal = rule.map(crate::schedule::rule::normal).and_then(Result::ok);
                (schedule.stream_id, schedule.starts_at, schedule.time_zone.as_str()) == (stream, starts, zone.as_str())
                    && schedule.rule == normal
            };
            if let Some((id, made)) = self.made.iter().find(|(_, schedule)| same(schedule)).cloned() {
                let first = self.taken.get(&id).copied().unwrap_or_default();
                self.problem(case, Column::StartsAt, Message::new("import-row-twice").with("row", u64::from(first)));
                return Some((id, made, false));
            }
            let mut twins: Vec<_> = self.ground.schedules.values().filter(|row| same(&row.value)).collect();
            twins.sort_unstable_by_key(|row| row.id());
            known = twins.into_iter().find(|row| !self.taken.contains_key(&row.id())).cloned();
        }
        let id = known
            .as_ref()
            .map(|known| known.id())
            .or(row.id.filter(|id| id.get_version_num() == 7))
            .unwrap_or_else(Uuid::now_v7);
        if let Some(first) = self.taken.get(&id) {
            let message = Message::new("import-row-twice").with("row", u64::from(*first));
            self.problem(case, Column::Id, message);
            return None;
        }
        let Some(starts_at) = starts.or(known.as_ref().map(|known| known.value.starts_at)) else {
            if !case.problems.iter().any(|problem| problem.column == Some(Column::StartsAt)) {
                self.problem(case, Column::StartsAt, Message::new("import-start-missing"));
            }
            return None;
        };
        let input = self.input(case, known.as_ref().map(|known| &known.value), (stream, starts_at, zone), rule);
        let mut schedule = match input.check() {
            Ok(schedule) => schedule,
            Err(Error::Invalid(fields)) => {
                for field in fields {
                    let column = match field.field.as_str() {
                        "time_zone" => Column::TimeZone,
                        "rule" if row.has(Column::Rule) => Column::Rule,
                        "rule" => Column::Repeat,
                        "times" => Column::Times,
                        "skip_dates" => Column::SkipDates,
                        "duration" => Column::Duration,
                        "stop_at" => Column::StopAt,
                        "grace" => Column::Grace,
                        _ => Column::StartsAt,
                    };
                    self.problem(case, column, field.message);
                }
                return None;
            }
            Err(other) => {
                self.problem(case, Column::StartsAt, other.message());
                return None;
            }
        };
        if let Some(known) = &known {
            crate::schedule::occurrence::carry(&known.value, &mut schedule);
        }
        if let Some(text) = row.exceptions.as_deref().or(row.has(Column::Exceptions).then_some("")) {
            self.exceptions(case, &mut schedule, text);
        }
        schedule.broadcast = self.broadcast(case, &schedule.broadcast);
        self.in_time(case, verdict, known.as_ref().map(|known| &known.value), &schedule)?;
        if let Some(known) = &known {
            case.changes.extend(differences(&known.value, &schedule));
        }
        let chosen = chosen?;
        let is_new = known.is_none();
        let differs = known.as_ref().is_none_or(|known| known.value != schedule) || chosen.is_changed;
        if differs && let Some(message) = self.clashes.find(id, &schedule, &chosen.places) {
            self.problem(case, Column::StartsAt, message);
            return None;
        }
        Some((id, schedule, is_new))
    }

    /// What is typed of a schedule: the row over what is there. An empty cell of a column takes away, but for the start,
    /// which stays.
    fn input(
        &self,
        case: &Case<'_>,
        known: Option<&Schedule>,
        (stream_id, starts_at, time_zone): (Uuid, DateTime, String),
        rule: Option<String>,
    ) -> ScheduleInput {
        let row = case.row;
        let mut input = known.map_or_else(
            || ScheduleInput {
                stream_id,
                starts_at,
                time_zone: time_zone.clone(),
                rule: None,
                times: Vec::new(),
                skip_dates: Vec::new(),
                duration: None,
                stop_at: None,
                grace: None,
                paused: false,
            },
            ScheduleInput::from,
        );
        (input.stream_id, input.starts_at, input.time_zone) = (stream_id, starts_at, time_zone);
        if row.has(Column::Rule) || row.has(Column::Repeat) {
            input.rule = rule;
        }
        if row.has(Column::Times) {
            input.times.clone_from(&row.times);
        }
        if row.has(Column::SkipDates) {
            input.skip_dates.clone_from(&row.skip_dates);
        }
        if row.has(Column::Duration) || row.has(Column::StopAt) {
            (input.duration, input.stop_at) = (row.duration, row.stop_at);
        }
        if row.has(Column::Grace) {
            input.grace = row.grace;
        }
        if row.has(Column::Paused) {
            input.paused = row.paused.unwrap_or(false);
        }
        input
    }

    fn exceptions(&self, case: &mut Case<'_>, schedule: &mut Schedule, text: &str) {
        match read_exceptions(text) {
            Ok(found) => {
                schedule.exceptions.clear();
                for exception in found {
                    if names(schedule, exception.of) {
                        schedule.set_exception(exception.of, Some(exception.becomes));
                    } else {
                        let message = Message::new("import-exception-unnamed").with("found", exception.of.to_string());
                        self.problem(case, Column::Exceptions, message);
                    }
                }
            }
            Err(message) => self.problem(case, Column::Exceptions, message),
        }
    }

    fn broadcast(&mut self, case: &mut Case<'_>, known: &Broadcast) -> Broadcast {
        let row = case.row;
        let mut broadcast = known.clone();
        if row.has(Column::Description) {
            if row.description.as_ref().is_some_and(|text| text.len() > Broadcast::LONGEST_DESCRIPTION) {
                let message = Message::new("import-description-long").with("most", Broadcast::LONGEST_DESCRIPTION);
                self.problem(case, Column::Description, message);
            }
            broadcast.description.clone_from(&row.description);
        }
        if row.has(Column::Privacy) {
            broadcast.privacy = row.privacy;
        }
        if row.has(Column::MadeForKids) {
            broadcast.made_for_kids = row.made_for_kids;
        }
        if row.has(Column::AutoStart) {
            broadcast.auto_start = row.auto_start;
        }
        if row.has(Column::AutoStop) {
            broadcast.auto_stop = row.auto_stop;
        }
        if row.has(Column::Thumbnail) {
            broadcast.thumbnail_id = match &row.thumbnail {
                None => None,
                Some(name) => match self.ground.thumbnails.find(name)[..] {
                    // A picture is no reason to leave a broadcast out.
                    [] => self.other_thumbnail(case, name).or(known.thumbnail_id),
                    [only] => Some(only),
                    ref many => self.choose(case, Question::Thumbnail, name, many, true),
                },
            };
        }
        broadcast
    }

    /// The thumbnail that was answered for one that is not there; else the row is told that it goes without.
    fn other_thumbnail(&mut self, case: &mut Case<'_>, name: &str) -> Option<Uuid> {
        let gallery = self.ground.gallery.clone();
        let chosen = match gallery[..] {
            [] => None,
            ref all => self.choose(case, Question::Thumbnail, name, all, false),
        };
        if chosen.is_none() {
            let message = Message::new("import-thumbnail-unknown").with("found", name);
            self.note(case, Column::Thumbnail, message);
        }
        chosen
    }

    /// What is new, or moved, lies ahead.
    fn in_time(
        &self,
        case: &mut Case<'_>,
        verdict: &mut Verdict,
        known: Option<&Schedule>,
        schedule: &Schedule,
    ) -> Option<()> {
        let moved =
            known.is_none_or(|known| (known.starts_at, &known.time_zone) != (schedule.starts_at, &schedule.time_zone));
        if !moved || occurrences(schedule, self.now - JUST_NOW).next().is_some() {
            return Some(());
        }
        let (column, id) = match schedule.rule {
            None => (Column::StartsAt, "schedule-start-past"),
            Some(_) => (Column::Rule, "schedule-rule-past"),
        };
        if known.is_none() {
            verdict.fate = Fate::Over;
            case.problems.clear();
            case.asks.clear();
        }
        self.problem(case, column, Message::new(id));
        None
    }
}

/// Columns in which two schedules differ.
fn differences(old: &Schedule, new: &Schedule) -> BTreeSet<Column> {
    let (one, other) = (&old.broadcast, &new.broadcast);
    let length = |schedule: &Schedule| match schedule.until {
        crate::schedule::Until::Stop(_) => Column::StopAt,
        _ => Column::Duration,
    };
    [
        (Column::StreamId, old.stream_id != new.stream_id),
        (Column::StartsAt, old.starts_at != new.starts_at),
        (Column::TimeZone, old.time_zone != new.time_zone),
        (Column::Rule, old.rule != new.rule),
        (Column::Times, old.times != new.times),
        (Column::SkipDates, old.skip_dates != new.skip_dates),
        (Column::Exceptions, old.exceptions != new.exceptions),
        (length(new), old.until != new.until),
        (Column::Grace, old.grace != new.grace),
        (Column::Paused, old.paused != new.paused),
        (Column::Description, one.description != other.description),
        (Column::Privacy, one.privacy != other.privacy),
        (Column::MadeForKids, one.made_for_kids != other.made_for_kids),
        (Column::AutoStart, one.auto_start != other.auto_start),
        (Column::AutoStop, one.auto_stop != other.auto_stop),
        (Column::Thumbnail, one.thumbnail_id != other.thumbnail_id),
    ]
    .into_iter()
    .filter(|(_, differs)| *differs)
    .map(|(column, _)| column)
    .collect()
}
