//! The form of a schedule: what is typed, what the domain takes, and back again with what is wrong beside the field.

use jiff::civil::{Date, DateTime, Time, Weekday};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use crate::error::{Error, FieldError, Result};
use crate::schedule::rule::{Last, On, Repeat, WORKDAYS, letters, weekday};
use crate::schedule::{GRACE, Schedule, ScheduleChange, ScheduleInput, StopTime, Until};
use crate::text::Message;

/// The button that only shows what would come.
pub(super) const PREVIEW: &str = "preview";

/// As the browser sends it. Everything is optional to the reader, so that what is missing is said beside its field.
#[derive(Serialize, Deserialize, Default, Clone, Debug, PartialEq)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScheduleForm {
    pub stream_id: String,
    pub starts_at: String,
    time_zone: String,
    repeat: String,
    every: String,
    days: Vec<String>,
    month_by: String,
    month_day: String,
    month_nth: String,
    month_weekday: String,
    times: Vec<String>,
    last: String,
    until: String,
    count: String,
    skip_dates: Vec<String>,
    end: String,
    duration: String,
    stop_at: String,
    /// The day of that time, where it is not the first one after the start.
    stop_on: Option<String>,
    grace: String,
    /// Which button: `preview` only shows what would come.
    #[serde(skip_serializing)]
    pub act: String,
    /// The schedule that is being changed; only previews say it.
    #[serde(skip_serializing)]
    pub id: Option<Uuid>,
}

/// The next thing to complain about.
struct Complaints(Vec<FieldError>);

impl Complaints {
    fn or<T>(&mut self, value: Option<T>, field: &str, id: &'static str) -> Option<T> {
        if value.is_none() {
            self.0.push(FieldError { field: field.to_owned(), message: Message::new(id) });
        }
        value
    }
}

fn typed(text: &str) -> Option<&str> {
    Some(text.trim()).filter(|text| !text.is_empty())
}

/// Minutes, perhaps with a fraction, in seconds.
fn minutes(text: &str, least: f64) -> Option<u64> {
    let seconds = (text.trim().parse::<f64>().ok()? * 60.0).round();
    (least..=1e9).contains(&seconds).then_some(seconds as u64)
}

impl ScheduleForm {
    /// The schedule that is typed; `old` is what stands there now, for what the form cannot say.
    ///
    /// # Errors
    /// Complaints under the names of the form's fields.
    pub fn parse(&self, old: Option<&Schedule>) -> Result<ScheduleInput> {
        let mut complaints = Complaints(Vec::new());
        let stream_id = complaints.or(Uuid::parse_str(&self.stream_id).ok(), "stream_id", "schedule-choose-stream");
        let starts_at: Option<DateTime> = self.starts_at.trim().parse().ok();
        let starts_at = complaints.or(starts_at, "starts_at", "date-and-time-expected");
        let time_zone = complaints.or(typed(&self.time_zone), "time_zone", "schedule-zone-unknown");
        let rule = self.rule(old, &mut complaints);
        let times: Option<Vec<Time>> =
            self.times.iter().filter_map(|text| typed(text)).map(|text| text.parse().ok()).collect();
        let times = complaints.or(times, "times", "time-expected");
        let skips: Option<Vec<Date>> =
            self.skip_dates.iter().filter_map(|text| typed(text)).map(|text| text.parse().ok()).collect();
        let skip_dates = complaints.or(skips, "skip_dates", "date-expected");
        let (mut duration, mut stop_at) = (None, None);
        match self.end.as_str() {
            "" | "none" => {}
            "duration" => duration = complaints.or(minutes(&self.duration, 1.0), "duration", "minutes-expected"),
            "stop_at" => {
                let stop = StopTime::parse(&self.stop_at).ok();
                stop_at = complaints.or(stop, "stop_at", "time-expected");
                match (self.stop_on.as_deref(), stop_at, old.map(|old| old.until)) {
                    (Some(day), Some(StopTime::Daily(time)), _) if typed(day).is_some() => {
                        let day: Option<Date> = complaints.or(day.trim().parse().ok(), "stop_on", "date-expected");
                        stop_at = day.map(|day| StopTime::Exact(day.to_datetime(time)));
                    }
                    // A form without the field leaves the day as it is.
                    (None, Some(StopTime::Daily(time)), Some(Until::Stop(kept @ StopTime::Exact(at))))
                        if time == at.time() =>
                    {
                        stop_at = Some(kept);
                    }
                    _ => {}
                }
            }
            _ => {
                complaints.or(None::<()>, "end", "choice-unknown");
            }
        }
        let grace = match typed(&self.grace) {
            Some(text) => complaints.or(
                minutes(text, 0.0).and_then(|seconds| u32::try_from(seconds).ok()),
                "grace",
                "grace-expected",
            ),
            None => None,
        };
        match (stream_id, starts_at, time_zone) {
            (Some(stream_id), Some(starts_at), Some(time_zone)) if complaints.0.is_empty() => Ok(ScheduleInput {
                stream_id,
                starts_at,
                time_zone: time_zone.to_owned(),
                rule,
                times: times.unwrap_or_default(),
                skip_dates: skip_dates.unwrap_or_default(),
                duration,
                stop_at,
                grace: Some(grace.unwrap_or(GRACE)),
                paused: old.is_some_and(|old| old.paused),
            }),
            _ => Err(Error::Invalid(complaints.0)),
        }
    }

    /// The rule that the choices mean.
    fn rule(&self, old: Option<&Schedule>, complaints: &mut Complaints) -> Option<String> {
        let on = match self.repeat.as_str() {
            "" | "once" => return None,
            "custom" if old.is_some_and(|old| old.rule.is_some()) => return old.and_then(|old| old.rule.clone()),
            "daily" => On::Days,
            "weekdays" => On::Weekdays(WORKDAYS.to_vec()),
            "weekly" => {
                let days: Option<Vec<Weekday>> = self.days.iter().map(|day| weekday(day)).collect();
                let mut days = complaints.or(days, "days", "choice-unknown")?;
                days.sort_by_key(|day| day.to_monday_zero_offset());
                days.dedup();
                On::Weekdays(days)
            }
            "monthly" if self.month_by == "weekday" => {
                let number = number_or_last(&self.month_nth).filter(|number| *number <= 4);
                let number = complaints.or(number, "month_nth", "choice-unknown")?;
                On::MonthWeekday(
                    number,
                    complaints.or(weekday(&self.month_weekday), "month_weekday", "choice-unknown")?,
                )
            }
            "monthly" => {
                // Where no day is chosen it is that of the first time.
                let own = self.starts_at.trim().parse().ok().map(|at: DateTime| at.day());
                let chosen = if self.month_day.is_empty() { own } else { number_or_last(&self.month_day) };
                On::MonthDay(complaints.or(chosen, "month_day", "choice-unknown")?)
            }
            "yearly" => On::Year,
            _ => {
                complaints.or(None::<()>, "repeat", "choice-unknown");
                return None;
            }
        };
        let every = typed(&self.every).map_or(Some(1), |every| every.parse().ok().filter(|every| *every > 0));
        let every = complaints.or(every, "every", "number-expected")?;
        // Whoever typed an end and chose none meant it.
        let last = match self.last.as_str() {
            "" if typed(&self.until).is_some() => "until",
            "" if typed(&self.count).is_some() => "count",
            chosen => chosen,
        };
        let last = match last {
            "" | "never" => Last::Never,
            "until" => Last::Day(complaints.or(self.until.trim().parse().ok(), "until", "date-expected")?),
            "count" => {
                let count = self.count.trim().parse().ok().filter(|count| *count > 0);
                Last::After(complaints.or(count, "count", "number-expected")?)
            }
            _ => {
                complaints.or(None::<()>, "last", "choice-unknown");
                return None;
            }
        };
        Some(Repeat { every, on, last }.rule())
    }

    /// [`ScheduleForm::parse`] for people who have not chosen a stream yet.
    pub fn parse_for_preview(&self, old: Option<&Schedule>) -> Result<ScheduleInput> {
        let chosen = Uuid::parse_str(&self.stream_id).is_ok();
        let nobody = || Uuid::nil().to_string();
        let form = ScheduleForm { stream_id: if chosen { self.stream_id.clone() } else { nobody() }, ..self.clone() };
        form.parse(old)
    }

    /// The domain speaks of a rule where the form has choices and an end.
    pub fn beside_fields(&self, error: Error) -> Error {
        let Error::Invalid(fields) = error else { return error };
        let field = |name: String| match name.as_str() {
            "rule" if self.last == "count" => "count".to_owned(),
            "rule" if self.last == "never" || self.until.trim().is_empty() => "repeat".to_owned(),
            "rule" => "until".to_owned(),
            _ => name,
        };
        let fields = fields.into_iter();
        let fields = fields.map(|complaint| FieldError { field: field(complaint.field), message: complaint.message });
        Error::Invalid(fields.collect())
    }

    /// The form of a schedule as it is stored.
    pub fn filled(schedule: &Schedule) -> ScheduleForm {
        let start = schedule.starts_at;
        let mut form = ScheduleForm {
            stream_id: schedule.stream_id.to_string(),
            starts_at: local(start),
            time_zone: schedule.time_zone.clone(),
            repeat: "once".into(),
            end: "none".into(),
            times: schedule.times.iter().map(|time| time_of_day(*time)).collect(),
            skip_dates: schedule.skip_dates.iter().map(ToString::to_string).collect(),
            grace: (f64::from(schedule.grace) / 60.0).to_string(),
            ..ScheduleForm::choices(start)
        };
        match schedule.rule.as_deref().map(|rule| Repeat::of(rule, start)) {
            None => {}
            Some(None) => form.repeat = "custom".into(),
            Some(Some(repeat)) => form.say(&repeat, start),
        }
        match schedule.until {
            Until::Open => {}
            Until::Duration(seconds) => {
                form.end = "duration".into();
                form.duration = (seconds as f64 / 60.0).to_string();
            }
            Until::Stop(stop) => {
                form.end = "stop_at".into();
                let (day, time) = match stop {
                    StopTime::Exact(at) => (at.date().to_string(), at.time()),
                    StopTime::Daily(time) => (String::new(), time),
                };
                (form.stop_at, form.stop_on) = (time_of_day(time), Some(day));
            }
        }
        form
    }

    /// The form of a new schedule, perhaps at a time that was pointed at.
    pub fn empty(stream: Option<Uuid>, time_zone: &str, starts_at: Option<DateTime>) -> ScheduleForm {
        ScheduleForm {
            stream_id: stream.map(|id| id.to_string()).unwrap_or_default(),
            starts_at: starts_at.map(local).unwrap_or_default(),
            time_zone: time_zone.to_owned(),
            repeat: "once".into(),
            end: "duration".into(),
            duration: "60".into(),
            grace: (GRACE / 60).to_string(),
            ..ScheduleForm::choices(starts_at.unwrap_or_default())
        }
    }

    /// What the choices of rules begin with.
    fn choices(start: DateTime) -> ScheduleForm {
        ScheduleForm {
            every: "1".into(),
            month_by: "day".into(),
            month_day: if start == DateTime::default() { String::new() } else { start.day().to_string() },
            month_nth: ((start.day() - 1) / 7 + 1).min(4).to_string(),
            month_weekday: letters(start.weekday()).into(),
            last: "never".into(),
            ..ScheduleForm::default()
        }
    }

    fn say(&mut self, repeat: &Repeat, start: DateTime) {
        let number = |number: i8| if number < 0 { "last".to_owned() } else { number.to_string() };
        self.every = repeat.every.to_string();
        match &repeat.on {
            On::Days => self.repeat = "daily".into(),
            On::Weekdays(days) if days.as_slice() == WORKDAYS && repeat.every == 1 => self.repeat = "weekdays".into(),
            On::Weekdays(days) => {
                self.repeat = "weekly".into();
                let own = [start.weekday()];
                let days = if days.is_empty() { &own[..] } else { days };
                self.days = days.iter().map(|day| letters(*day).to_owned()).collect();
            }
            On::MonthDay(day) => {
                self.repeat = "monthly".into();
                self.month_day = number(*day);
            }
            On::MonthWeekday(nth, day) => {
                self.repeat = "monthly".into();
                self.month_by = "weekday".into();
                self.month_nth = number(*nth);
                self.month_weekday = letters(*day).into();
            }
            On::Year => self.repeat = "yearly".into(),
        }
        match repeat.last {
            Last::Never => {}
            Last::Day(day) => {
                self.last = "until".into();
                self.until = day.to_string();
            }
            Last::After(count) => {
                self.last = "count".into();
                self.count = count.to_string();
            }
        }
    }
}

/// `1` to `31`, or `last` as -1.
fn number_or_last(text: &str) -> Option<i8> {
    if text == "last" { Some(-1) } else { text.parse().ok().filter(|number| (1..=31).contains(number)) }
}

/// Everything that the form shows, as a change; pausing is another act.
pub(super) fn change_of(input: ScheduleInput) -> ScheduleChange {
    ScheduleChange {
        stream_id: Some(input.stream_id),
        starts_at: Some(input.starts_at),
        time_zone: Some(input.time_zone),
        rule: Some(input.rule),
        times: Some(input.times),
        skip_dates: Some(input.skip_dates),
        duration: Some(input.duration),
        stop_at: Some(input.stop_at),
        grace: input.grace,
        paused: None,
        broadcast: None,
    }
}

/// A local time as browsers write it; seconds only where there are some.
pub(in crate::web) fn local(at: DateTime) -> String {
    at.strftime(if at.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" }).to_string()
}

fn time_of_day(time: Time) -> String {
    time.strftime(if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> ScheduleForm {
        serde_html_form::from_str(form).unwrap()
    }

    // A Tuesday.
    const AT: &str = "stream_id=0199f0a2-7c1e-7a00-8000-000000000001&time_zone=Asia/Jakarta&starts_at=2025-11-04T19:00";

    #[test]
    fn every_rule_is_made_without_writing_one_and_comes_back_the_same() {
        for (typed, rule) in [
            ("repeat=once", None),
            ("", None),
            ("repeat=daily&every=1", Some("FREQ=DAILY")),
            ("repeat=daily&every=3&last=count&count=10&until=2026-01-01", Some("FREQ=DAILY;INTERVAL=3;COUNT=10")),
            ("repeat=weekdays&until=2025-12-31", Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20251231")),
            ("repeat=weekly", Some("FREQ=WEEKLY")),
            ("repeat=weekly&every=2&days=FR&days=MO&last=never&until=x", Some("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO,FR")),
            ("repeat=monthly", Some("FREQ=MONTHLY;BYMONTHDAY=4")),
            ("repeat=monthly&month_by=day&month_day=31", Some("FREQ=MONTHLY;BYMONTHDAY=31")),
            ("repeat=monthly&month_by=day&month_day=last", Some("FREQ=MONTHLY;BYMONTHDAY=-1")),
            ("repeat=monthly&month_by=weekday&month_nth=2&month_weekday=TU", Some("FREQ=MONTHLY;BYDAY=2TU")),
            ("repeat=monthly&month_by=weekday&month_nth=last&month_weekday=FR", Some("FREQ=MONTHLY;BYDAY=-1FR")),
            ("repeat=yearly&every=4", Some("FREQ=YEARLY;INTERVAL=4")),
        ] {
            let form = read(&format!("{AT}&{typed}"));
            let input = form.parse(None).unwrap();
            assert_eq!(input.rule.as_deref(), rule, "{typed}");
            let schedule = input.check().unwrap();
            let again = ScheduleForm::filled(&schedule).parse(Some(&schedule)).unwrap().check().unwrap();
            // A week's own day is said where it was not.
            let said = rule.map(|rule| if rule == "FREQ=WEEKLY" { "FREQ=WEEKLY;BYDAY=TU" } else { rule });
            assert_eq!(again, Schedule { rule: said.map(str::to_owned), ..schedule }, "{typed}");
        }
    }

    #[test]
    fn times_dates_lengths_and_grace_are_what_is_typed() {
        let more = "repeat=daily&times=12:00&times=&times=07:30&skip_dates=2025-12-25&skip_dates=&end=duration&duration=90\
                    &stop_at=21:00&grace=5";
        let input = read(&format!("{AT}&{more}")).parse(None).unwrap();
        assert_eq!((input.duration, input.stop_at, input.grace), (Some(5400), None, Some(300)));
        let schedule = input.check().unwrap();
        let form = ScheduleForm::filled(&schedule);
        assert_eq!(form.times, ["07:30", "12:00"]);
        assert_eq!((form.skip_dates.len(), form.grace.as_str(), form.duration.as_str()), (1, "5", "90"));
        assert_eq!(form.parse(Some(&schedule)).unwrap().check().unwrap(), schedule);
        let form = read(&format!("{AT}&end=stop_at&stop_at=01:30&until=x"));
        let schedule = form.parse(None).unwrap().check().unwrap();
        assert_eq!((schedule.rule.as_deref(), schedule.grace), (None, GRACE));
        assert_eq!(ScheduleForm::filled(&schedule).stop_at, "01:30");
    }

    #[test]
    fn what_the_form_cannot_say_stays_as_it_was() {
        let mut old = read(AT).parse(None).unwrap().check().unwrap();
        old.rule = Some("FREQ=MONTHLY;BYMONTHDAY=1,15".into());
        old.until = Until::Stop(StopTime::Exact("2025-11-06T21:00".parse().unwrap()));
        let form = read(&format!("{AT}&repeat=custom&end=stop_at&stop_at=21:00"));
        assert_eq!(form.parse(Some(&old)).unwrap().check().unwrap(), old);
        let form = read(&format!("{AT}&repeat=custom&end=stop_at&stop_at=22:00"));
        let changed = form.parse(Some(&old)).unwrap().check().unwrap();
        assert_eq!(changed.until, Until::Stop(StopTime::Daily("22:00".parse().unwrap())));
        assert!(read(&format!("{AT}&repeat=custom")).parse(None).is_err(), "there is none to keep");
        assert_eq!(ScheduleForm::filled(&old).parse(Some(&old)).unwrap().check().unwrap(), old);
        let form = read(&format!("{AT}&repeat=custom&end=stop_at&stop_at=21:00&stop_on="));
        let changed = form.parse(Some(&old)).unwrap().check().unwrap();
        assert_eq!(changed.until, Until::Stop(StopTime::Daily("21:00".parse().unwrap())), "the day was taken out");
        let form = read(&format!("{AT}&end=stop_at&stop_at=21:00&stop_on=2025-11-09"));
        let days = form.parse(None).unwrap().check().unwrap();
        assert_eq!(days.until, Until::Stop(StopTime::Exact("2025-11-09T21:00".parse().unwrap())));
    }

    #[test]
    fn complaints_stand_beside_the_fields_of_the_form() {
        let fields = |form: &str| -> Vec<String> {
            let Err(Error::Invalid(fields)) = read(form).parse(None) else { panic!("{form}") };
            fields.into_iter().map(|complaint| complaint.field).collect()
        };
        assert_eq!(
            fields("repeat=sometimes&end=duration&duration=soon"),
            ["stream_id", "starts_at", "time_zone", "repeat", "duration"]
        );
        for (typed, field) in [
            ("repeat=daily&every=0", "every"),
            ("repeat=daily&every=often", "every"),
            ("repeat=weekly&days=XX", "days"),
            ("repeat=monthly&month_day=32", "month_day"),
            ("repeat=monthly&month_by=weekday&month_nth=5&month_weekday=TU", "month_nth"),
            ("repeat=monthly&month_by=weekday&month_nth=1&month_weekday=", "month_weekday"),
            ("repeat=daily&last=until&until=soon", "until"),
            ("repeat=daily&last=count&count=0", "count"),
            ("repeat=daily&last=sometime", "last"),
            ("times=noon", "times"),
            ("skip_dates=christmas", "skip_dates"),
            ("grace=-1", "grace"),
            ("end=soon", "end"),
            ("end=stop_at&stop_at=21:00&stop_on=sunday", "stop_on"),
        ] {
            assert_eq!(fields(&format!("{AT}&{typed}")), [field], "{typed}");
        }
        let refused = || Error::field("rule", Message::new("schedule-rule-past"));
        for (form, expected) in [
            ("repeat=daily", "repeat"),
            ("repeat=daily&until=2020-01-01", "until"),
            ("repeat=daily&last=never&until=2020-01-01", "repeat"),
            ("repeat=daily&last=count&count=1", "count"),
        ] {
            let Error::Invalid(fields) = read(form).beside_fields(refused()) else { panic!() };
            assert_eq!(fields[0].field, expected);
        }
    }
}
