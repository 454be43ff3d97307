//! The form of a schedule: what is typed, what the domain takes, and back again with what is wrong beside the field.

use jiff::civil::{Date, DateTime};
use serde::Deserialize;
use serde_json::{Value, json};
use uuid::Uuid;

use crate::error::{Error, FieldError, Result};
use crate::schedule::{Schedule, ScheduleChange, ScheduleInput, StopTime, Until};
use crate::store::rows::Row;
use crate::text::Message;
use crate::web::words::Repeat;

/// As the browser sends it. Everything is optional to the reader, so that what is missing is said beside its field.
#[derive(Deserialize, Default, Clone)]
#[serde(deny_unknown_fields, default)]
pub(super) struct ScheduleForm {
    pub stream_id: String,
    pub starts_at: String,
    time_zone: String,
    repeat: String,
    until: String,
    end: String,
    duration: String,
    stop_at: String,
    /// The schedule that is being changed; only previews say it.
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

impl ScheduleForm {
    /// The schedule that is typed; `old` is what stands there now, for what the form cannot say.
    ///
    /// # Errors
    /// Complaints under the names of the form's fields.
    pub fn parse(&self, old: Option<&Schedule>) -> Result<ScheduleInput> {
        let mut complaints = Complaints(Vec::new());
        let typed = |text: &str| Some(text.trim().to_owned()).filter(|text| !text.is_empty());
        let stream_id = complaints.or(Uuid::parse_str(&self.stream_id).ok(), "stream_id", "schedule-choose-stream");
        let starts_at: Option<DateTime> = self.starts_at.trim().parse().ok();
        let starts_at = complaints.or(starts_at, "starts_at", "date-and-time-expected");
        let time_zone = complaints.or(typed(&self.time_zone), "time_zone", "schedule-zone-unknown");
        let repeat = if self.repeat.is_empty() { Some(Repeat::Once) } else { Repeat::parse(&self.repeat) };
        let repeat = complaints.or(repeat, "repeat", "choice-unknown").unwrap_or(Repeat::Once);
        let last_day = match typed(&self.until) {
            Some(day) if repeat != Repeat::Once => {
                let day: Option<Date> = day.parse().ok();
                complaints.or(day, "until", "date-expected")
            }
            _ => None,
        };
        let (mut duration, mut stop_at) = (None, None);
        match self.end.as_str() {
            "" | "none" => {}
            "duration" => {
                let seconds = self.duration.trim().parse().ok().and_then(|minutes: f64| {
                    let seconds = (minutes * 60.0).round();
                    (1.0..=1e9).contains(&seconds).then_some(seconds as u64)
                });
                duration = complaints.or(seconds, "duration", "minutes-expected");
            }
            "stop_at" => {
                let stop = StopTime::parse(&self.stop_at).ok();
                stop_at = complaints.or(stop, "stop_at", "time-expected");
                // The form shows the time of a stop with a date; as long as nobody touches it, the date stays.
                if let Some(Until::Stop(kept @ StopTime::Exact(at))) = old.map(|old| old.until)
                    && stop_at == Some(StopTime::Daily(at.time()))
                {
                    stop_at = Some(kept);
                }
            }
            _ => {
                complaints.or(None::<()>, "end", "choice-unknown");
            }
        }
        let rule = match (repeat, old) {
            (Repeat::Custom, Some(old)) => old.rule.clone(),
            (repeat, _) => repeat.rule(last_day),
        };
        match (stream_id, starts_at, time_zone) {
            (Some(stream_id), Some(starts_at), Some(time_zone)) if complaints.0.is_empty() => Ok(ScheduleInput {
                stream_id,
                starts_at,
                time_zone,
                rule,
                times: old.map(|old| old.times.clone()).unwrap_or_default(),
                skip_dates: old.map(|old| old.skip_dates.clone()).unwrap_or_default(),
                duration,
                stop_at,
                grace: old.map(|old| old.grace),
                paused: old.is_some_and(|old| old.paused),
            }),
            _ => Err(Error::Invalid(complaints.0)),
        }
    }

    /// [`ScheduleForm::parse`] for people who have not chosen a stream yet.
    pub fn parse_for_preview(&self, old: Option<&Schedule>) -> Result<ScheduleInput> {
        let chosen = Uuid::parse_str(&self.stream_id).is_ok();
        let nobody = || Uuid::nil().to_string();
        let form = ScheduleForm { stream_id: if chosen { self.stream_id.clone() } else { nobody() }, ..self.clone() };
        form.parse(old)
    }

    /// The domain speaks of a rule where the form has a choice and a last day.
    pub fn beside_fields(&self, error: Error) -> Error {
        let Error::Invalid(fields) = error else { return error };
        let field = |name: String| match name.as_str() {
            "rule" if self.until.trim().is_empty() => "repeat".to_owned(),
            "rule" => "until".to_owned(),
            _ => name,
        };
        let fields = fields.into_iter();
        let fields = fields.map(|complaint| FieldError { field: field(complaint.field), message: complaint.message });
        Error::Invalid(fields.collect())
    }
}

/// Everything that the form shows, as a change; pausing is another act.
pub(super) fn change_of(input: ScheduleInput) -> ScheduleChange {
    ScheduleChange {
        stream_id: Some(input.stream_id),
        starts_at: Some(input.starts_at),
        time_zone: Some(input.time_zone),
        rule: Some(input.rule),
        times: None,
        skip_dates: None,
        duration: Some(input.duration),
        stop_at: Some(input.stop_at),
        grace: None,
        paused: None,
    }
}

/// A local time as browsers write it; seconds only where there are some.
fn local(at: DateTime) -> String {
    at.strftime(if at.second() == 0 { "%Y-%m-%dT%H:%M" } else { "%Y-%m-%dT%H:%M:%S" }).to_string()
}

/// The form of a schedule as it is stored.
pub(super) fn filled(row: &Row<Schedule>) -> Value {
    let mut form = shown(&row.value);
    form["version"] = json!(row.version.to_string());
    form
}

fn shown(schedule: &Schedule) -> Value {
    let (repeat, last_day) = Repeat::of(schedule);
    let (mut end, mut duration, mut stop_at) = ("none", String::new(), String::new());
    match schedule.until {
        Until::Open => {}
        Until::Duration(seconds) => {
            end = "duration";
            duration = (seconds as f64 / 60.0).to_string();
        }
        Until::Stop(stop) => {
            let time = match stop {
                StopTime::Exact(at) => at.time(),
                StopTime::Daily(time) => time,
            };
            end = "stop_at";
            stop_at = time.strftime(if time.second() == 0 { "%H:%M" } else { "%H:%M:%S" }).to_string();
        }
    }
    json!({
        "stream_id": schedule.stream_id,
        "starts_at": local(schedule.starts_at),
        "time_zone": schedule.time_zone,
        "repeat": repeat.code(),
        "until": last_day.map(|day| day.to_string()).unwrap_or_default(),
        "end": end,
        "duration": duration,
        "stop_at": stop_at,
    })
}

/// The form of a new schedule.
pub(super) fn empty(stream: Option<Uuid>, time_zone: &str) -> Value {
    json!({
        "stream_id": stream.map(|id| id.to_string()).unwrap_or_default(),
        "starts_at": "",
        "time_zone": time_zone,
        "repeat": "once",
        "until": "",
        "end": "duration",
        "duration": "60",
        "stop_at": "",
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(form: &str) -> ScheduleForm {
        serde_html_form::from_str(form).unwrap()
    }

    const STREAM: &str = "stream_id=0199f0a2-7c1e-7a00-8000-000000000001&time_zone=Asia/Jakarta";

    #[test]
    fn what_is_typed_is_what_is_meant_and_comes_back_the_same() {
        let form = read(&format!(
            "{STREAM}&starts_at=2025-11-04T19:00&repeat=weekdays&until=2025-12-31&end=duration&duration=90&stop_at=21:00"
        ));
        let input = form.parse(None).unwrap();
        assert_eq!(input.rule.as_deref(), Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR;UNTIL=20251231"));
        assert_eq!((input.duration, input.stop_at), (Some(5400), None));
        let schedule = input.check().unwrap();
        let form = shown(&schedule);
        assert_eq!(form["starts_at"], "2025-11-04T19:00");
        assert_eq!((&form["repeat"], &form["until"]), (&json!("weekdays"), &json!("2025-12-31")));
        assert_eq!((&form["end"], &form["duration"]), (&json!("duration"), &json!("90")));
        let form = read(&format!("{STREAM}&starts_at=2025-11-04T19:00&end=stop_at&stop_at=01:30&until=x"));
        let input = form.parse(None).unwrap();
        assert_eq!(input.rule, None);
        assert_eq!(shown(&input.check().unwrap())["stop_at"], "01:30");
    }

    #[test]
    fn what_the_form_cannot_say_stays_as_it_was() {
        let mut old = read(&format!("{STREAM}&starts_at=2025-11-04T19:00")).parse(None).unwrap().check().unwrap();
        old.rule = Some("FREQ=DAILY;INTERVAL=3".into());
        old.until = Until::Stop(StopTime::Exact("2025-11-06T21:00".parse().unwrap()));
        let form = read(&format!("{STREAM}&starts_at=2025-11-04T19:00&repeat=custom&end=stop_at&stop_at=21:00"));
        assert_eq!(form.parse(Some(&old)).unwrap().check().unwrap(), old);
        let form = read(&format!("{STREAM}&starts_at=2025-11-04T19:00&repeat=custom&end=stop_at&stop_at=22:00"));
        let changed = form.parse(Some(&old)).unwrap().check().unwrap();
        assert_eq!(changed.until, Until::Stop(StopTime::Daily("22:00".parse().unwrap())));
    }

    #[test]
    fn complaints_stand_beside_the_fields_of_the_form() {
        let Err(Error::Invalid(fields)) = read("repeat=sometimes&end=duration&duration=soon").parse(None).map(drop)
        else {
            panic!()
        };
        let names: Vec<_> = fields.iter().map(|complaint| complaint.field.as_str()).collect();
        assert_eq!(names, ["stream_id", "starts_at", "time_zone", "repeat", "duration"]);
        let refused = || Error::field("rule", Message::new("schedule-rule-past"));
        for (form, expected) in [("repeat=daily", "repeat"), ("repeat=daily&until=2020-01-01", "until")] {
            let Error::Invalid(fields) = read(form).beside_fields(refused()) else { panic!() };
            assert_eq!(fields[0].field, expected);
        }
    }
}
