//! RFC 5545 rules as text (pure): the one spelling that is stored, its parts, what people can say of them without
//! writing one, and what a rule becomes when the days it names are moved.

use std::fmt;

use jiff::civil::{Date, DateTime, Weekday};

use crate::text::Message;

/// Properties of a rule that are understood.
const KNOWN: [&str; 12] = [
    "FREQ",
    "INTERVAL",
    "COUNT",
    "UNTIL",
    "WKST",
    "BYMONTH",
    "BYMONTHDAY",
    "BYDAY",
    "BYSETPOS",
    "BYHOUR",
    "BYMINUTE",
    "BYYEARDAY",
];
/// Those that name days.
const DAYS: [&str; 5] = ["BYMONTH", "BYMONTHDAY", "BYDAY", "BYSETPOS", "BYYEARDAY"];
/// Longest text of a rule.
const LONGEST: usize = 300;
/// Weekdays as rules spell them.
const WEEK: [(&str, Weekday); 7] = [
    ("MO", Weekday::Monday),
    ("TU", Weekday::Tuesday),
    ("WE", Weekday::Wednesday),
    ("TH", Weekday::Thursday),
    ("FR", Weekday::Friday),
    ("SA", Weekday::Saturday),
    ("SU", Weekday::Sunday),
];

/// A rule in its one spelling: upper case, without `RRULE:`.
///
/// # Errors
/// What is wrong with it. Whether it ever matches is seen only with its schedule: [`super::recurrence::sensible`].
pub fn normal(rule: &str) -> Result<String, Message> {
    let rule = rule.trim().to_ascii_uppercase();
    let rule = rule.strip_prefix("RRULE:").unwrap_or(&rule).trim_end_matches(';');
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '=' | ';' | ',' | '-' | '+');
    if rule.len() > LONGEST || !rule.chars().all(plain) {
        return Err(Message::new("schedule-rule-unreadable"));
    }
    let mut names = Vec::new();
    for part in rule.split(';') {
        let (name, value) = part.split_once('=').ok_or_else(|| Message::new("schedule-rule-unreadable"))?;
        if !KNOWN.contains(&name) || value.is_empty() || names.contains(&name) {
            return Err(Message::new("schedule-rule-part").with("part", part));
        }
        if name == "FREQ" && !["DAILY", "WEEKLY", "MONTHLY", "YEARLY"].contains(&value) {
            return Err(Message::new("schedule-rule-frequency"));
        }
        if matches!(name, "INTERVAL" | "COUNT") && !value.parse::<u16>().is_ok_and(|count| count > 0) {
            return Err(Message::new("schedule-rule-part").with("part", part));
        }
        names.push(name);
    }
    if !names.contains(&"FREQ") || (names.contains(&"COUNT") && names.contains(&"UNTIL")) {
        return Err(Message::new("schedule-rule-unreadable"));
    }
    Ok(rule.to_owned())
}

/// The two letters of a weekday.
pub fn letters(day: Weekday) -> &'static str {
    WEEK.iter().find(|(_, known)| *known == day).map_or("MO", |(letters, _)| letters)
}

/// The weekday of two letters.
pub fn weekday(letters: &str) -> Option<Weekday> {
    WEEK.iter().find(|(known, _)| *known == letters).map(|(_, day)| *day)
}

/// A rule in its parts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    parts: Vec<(String, String)>,
}

impl fmt::Display for Rule {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (number, (name, value)) in self.parts.iter().enumerate() {
            write!(formatter, "{}{name}={value}", if number > 0 { ";" } else { "" })?;
        }
        Ok(())
    }
}

impl Rule {
    /// The parts of a rule in the spelling of [`normal`].
    pub fn read(rule: &str) -> Rule {
        let parts = rule.split(';').filter_map(|part| part.split_once('='));
        Rule { parts: parts.map(|(name, value)| (name.to_owned(), value.to_owned())).collect() }
    }

    /// The value of a part.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.parts.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// `INTERVAL`, 1 where it is not there.
    pub fn interval(&self) -> u16 {
        self.get("INTERVAL").and_then(|every| every.parse().ok()).unwrap_or(1)
    }

    /// `COUNT`.
    pub fn count(&self) -> Option<usize> {
        self.get("COUNT").and_then(|count| count.parse().ok())
    }

    /// Names times of day itself.
    pub fn names_times(&self) -> bool {
        self.get("BYHOUR").is_some() || self.get("BYMINUTE").is_some()
    }

    /// Names days itself; otherwise they follow from the first one.
    pub fn names_days(&self) -> bool {
        DAYS.iter().any(|name| self.get(name).is_some())
    }

    /// Without some of its parts.
    pub fn without(&self, names: &[&str]) -> Rule {
        Rule { parts: self.parts.iter().filter(|(name, _)| !names.contains(&name.as_str())).cloned().collect() }
    }

    /// With a part of this value.
    pub fn with(&self, name: &str, value: impl Into<String>) -> Rule {
        let value = value.into();
        let mut parts = self.parts.clone();
        match parts.iter_mut().find(|(known, _)| known == name) {
            Some(part) => part.1 = value,
            None => parts.push((name.to_owned(), value)),
        }
        Rule { parts }
    }

    /// The rule that names `to` where this one names `from`, and the other days as before; `None` where no rule like
    /// this one does. Days that follow from the first one stay unsaid.
    pub fn moved(&self, from: Date, to: Date) -> Option<Rule> {
        let named: Vec<&str> = DAYS.into_iter().filter(|name| self.get(name).is_some()).collect();
        let same_month = (from.year(), from.month()) == (to.year(), to.month());
        let monday = |date: Date| date.checked_sub(jiff::Span::new().days(date.weekday().to_monday_zero_offset())).ok();
        match (self.get("FREQ")?, named.as_slice()) {
            ("DAILY", []) => Some(self.clone()),
            ("WEEKLY", []) => Some(self.clone()),
            ("WEEKLY", ["BYDAY"]) => {
                if self.interval() > 1 && monday(from) != monday(to) {
                    return None;
                }
                let mut days: Vec<Weekday> = self.get("BYDAY")?.split(',').map(weekday).collect::<Option<_>>()?;
                if from.weekday() != to.weekday() {
                    let place = days.iter().position(|day| *day == from.weekday())?;
                    if days.contains(&to.weekday()) {
                        return None;
                    }
                    days[place] = to.weekday();
                    days.sort_by_key(|day| day.to_monday_zero_offset());
                }
                let days: Vec<&str> = days.into_iter().map(letters).collect();
                Some(self.with("BYDAY", days.join(",")))
            }
            ("MONTHLY", []) => same_month.then(|| self.clone()),
            ("MONTHLY", ["BYMONTHDAY"]) if same_month => {
                let day: i8 = self.get("BYMONTHDAY")?.parse().ok()?;
                (day == from.day()).then(|| self.with("BYMONTHDAY", to.day().to_string()))
            }
            ("MONTHLY", ["BYDAY"]) if same_month => {
                let (nth, day) = numbered(self.get("BYDAY")?)?;
                let last = to.day() > to.days_in_month() - 7;
                let number = if nth < 0 && last { -1 } else { (to.day() - 1) / 7 + 1 };
                let fits = day == from.weekday() && (nth > 0 || last) && number <= 4;
                fits.then(|| self.with("BYDAY", format!("{number}{}", letters(to.weekday()))))
            }
            ("YEARLY", []) => (from.year() == to.year()).then(|| self.clone()),
            _ => None,
        }
    }
}

/// `2TU` or `-1FR`.
fn numbered(day: &str) -> Option<(i8, Weekday)> {
    let (number, letters) = day.split_at_checked(day.len().checked_sub(2)?)?;
    let number = number.trim_start_matches('+').parse().ok().filter(|number| (-5..=5).contains(number))?;
    Some((number, weekday(letters)?))
}

/// A rule as people say it: what a form can make.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Repeat {
    /// Every day, week, month or year, or only every so many of them.
    pub every: u16,
    /// On which days.
    pub on: On,
    /// How long.
    pub last: Last,
}

/// The days of a [`Repeat`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum On {
    /// All of them.
    Days,
    /// Of the week, Monday first; that of the first time where none is named.
    Weekdays(Vec<Weekday>),
    /// Of the month: 1 to 31, or -1 for the last.
    MonthDay(i8),
    /// The first to fourth such weekday of the month, or -1 for the last.
    MonthWeekday(i8, Weekday),
    /// That of the first time, each year.
    Year,
}

/// How long a [`Repeat`] goes on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Last {
    /// Without an end.
    Never,
    /// Up to and with this day.
    Day(Date),
    /// So many times.
    After(u16),
}

/// Monday to Friday.
pub const WORKDAYS: [Weekday; 5] =
    [Weekday::Monday, Weekday::Tuesday, Weekday::Wednesday, Weekday::Thursday, Weekday::Friday];

impl Repeat {
    /// The rule that says so.
    pub fn rule(&self) -> String {
        let days = |days: &[Weekday]| days.iter().map(|day| letters(*day)).collect::<Vec<_>>().join(",");
        let mut rule = Rule { parts: Vec::new() };
        rule = match &self.on {
            On::Days => rule.with("FREQ", "DAILY"),
            On::Weekdays(_) => rule.with("FREQ", "WEEKLY"),
            On::MonthDay(_) | On::MonthWeekday(..) => rule.with("FREQ", "MONTHLY"),
            On::Year => rule.with("FREQ", "YEARLY"),
        };
        if self.every > 1 {
            rule = rule.with("INTERVAL", self.every.to_string());
        }
        rule = match &self.on {
            On::Weekdays(named) if !named.is_empty() => rule.with("BYDAY", days(named)),
            On::MonthDay(day) => rule.with("BYMONTHDAY", day.to_string()),
            On::MonthWeekday(number, day) => rule.with("BYDAY", format!("{number}{}", letters(*day))),
            _ => rule,
        };
        match self.last {
            Last::Never => rule,
            Last::Day(day) => rule.with("UNTIL", day.strftime("%Y%m%d").to_string()),
            Last::After(count) => rule.with("COUNT", count.to_string()),
        }
        .to_string()
    }

    /// What a stored rule says, for a first time; `None` where no form can say it.
    pub fn of(rule: &str, start: DateTime) -> Option<Repeat> {
        let rule = Rule::read(rule);
        let last = match (rule.get("UNTIL"), rule.get("COUNT")) {
            (Some(day), None) => Last::Day(date_of(day)?),
            (None, Some(count)) => Last::After(count.parse().ok()?),
            (None, None) => Last::Never,
            (Some(_), Some(_)) => return None,
        };
        // Where a week begins matters only where some are left out.
        if rule.names_times() || (rule.get("WKST").is_some_and(|first| first != "MO") && rule.interval() > 1) {
            return None;
        }
        let named: Vec<&str> = DAYS.into_iter().filter(|name| rule.get(name).is_some()).collect();
        let on = match (rule.get("FREQ")?, named.as_slice()) {
            ("DAILY", []) => On::Days,
            ("WEEKLY", []) => On::Weekdays(Vec::new()),
            ("WEEKLY", ["BYDAY"]) => {
                let mut days: Vec<Weekday> = rule.get("BYDAY")?.split(',').map(weekday).collect::<Option<_>>()?;
                days.sort_by_key(|day| day.to_monday_zero_offset());
                days.dedup();
                On::Weekdays(days)
            }
            ("MONTHLY", []) => On::MonthDay(start.day()),
            ("MONTHLY", ["BYMONTHDAY"]) => {
                let day: i8 = rule.get("BYMONTHDAY")?.parse().ok()?;
                On::MonthDay(Some(day).filter(|day| (1..=31).contains(day) || *day == -1)?)
            }
            ("MONTHLY", ["BYDAY"]) => {
                let (number, day) = numbered(rule.get("BYDAY")?)?;
                On::MonthWeekday(Some(number).filter(|number| (1..=4).contains(number) || *number == -1)?, day)
            }
            ("YEARLY", []) => On::Year,
            _ => return None,
        };
        Some(Repeat { every: rule.interval(), on, last })
    }
}

/// `20260301`.
fn date_of(day: &str) -> Option<Date> {
    Date::strptime("%Y%m%d", day).ok().filter(|_| day.len() == 8)
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    #[test]
    fn what_people_say_is_a_rule_and_comes_back_as_it_was_said() {
        let start = date(2026, 1, 6).at(19, 0, 0, 0);
        for (on, every, last, expected) in [
            (On::Days, 1, Last::Never, "FREQ=DAILY"),
            (On::Days, 3, Last::After(10), "FREQ=DAILY;INTERVAL=3;COUNT=10"),
            (On::Weekdays(WORKDAYS.to_vec()), 1, Last::Never, "FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
            (On::Weekdays(Vec::new()), 1, Last::Day(date(2026, 3, 1)), "FREQ=WEEKLY;UNTIL=20260301"),
            (On::Weekdays(vec![Weekday::Tuesday]), 2, Last::Never, "FREQ=WEEKLY;INTERVAL=2;BYDAY=TU"),
            (On::MonthDay(31), 1, Last::Never, "FREQ=MONTHLY;BYMONTHDAY=31"),
            (On::MonthDay(-1), 2, Last::Never, "FREQ=MONTHLY;INTERVAL=2;BYMONTHDAY=-1"),
            (On::MonthWeekday(2, Weekday::Tuesday), 1, Last::Never, "FREQ=MONTHLY;BYDAY=2TU"),
            (On::MonthWeekday(-1, Weekday::Friday), 1, Last::After(1), "FREQ=MONTHLY;BYDAY=-1FR;COUNT=1"),
            (On::Year, 1, Last::Never, "FREQ=YEARLY"),
        ] {
            let repeat = Repeat { every, on, last };
            assert_eq!(repeat.rule(), expected);
            assert_eq!(normal(expected).unwrap(), expected);
            assert_eq!(Repeat::of(expected, start), Some(repeat), "{expected}");
        }
        let monthly = Repeat { every: 1, on: On::MonthDay(6), last: Last::Never };
        assert_eq!(Repeat::of("FREQ=MONTHLY", start), Some(monthly));
        for custom in [
            "FREQ=DAILY;BYHOUR=9,12",
            "FREQ=MONTHLY;BYMONTHDAY=1,15",
            "FREQ=MONTHLY;BYDAY=5TU",
            "FREQ=WEEKLY;BYDAY=1MO",
            "FREQ=DAILY;UNTIL=20251231T000000Z",
            "FREQ=YEARLY;BYMONTH=2",
            "FREQ=WEEKLY;INTERVAL=2;WKST=SU",
        ] {
            assert_eq!(Repeat::of(custom, start), None, "{custom}");
        }
    }

    #[test]
    fn a_rule_follows_the_day_that_is_moved_or_says_that_it_cannot() {
        // 6 January 2026 is a Tuesday, the first of its month.
        let from = date(2026, 1, 6);
        for (rule, to, expected) in [
            ("FREQ=DAILY", date(2026, 1, 9), Some("FREQ=DAILY")),
            ("FREQ=WEEKLY", date(2026, 1, 7), Some("FREQ=WEEKLY")),
            ("FREQ=WEEKLY;BYDAY=TU,FR", date(2026, 1, 8), Some("FREQ=WEEKLY;BYDAY=TH,FR")),
            ("FREQ=WEEKLY;BYDAY=TU,FR", date(2026, 1, 9), None),
            ("FREQ=WEEKLY;BYDAY=TU,FR", date(2026, 1, 13), Some("FREQ=WEEKLY;BYDAY=TU,FR")),
            ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", date(2026, 1, 12), None),
            ("FREQ=WEEKLY;INTERVAL=2;BYDAY=TU", date(2026, 1, 5), Some("FREQ=WEEKLY;INTERVAL=2;BYDAY=MO")),
            ("FREQ=MONTHLY;BYMONTHDAY=6", date(2026, 1, 8), Some("FREQ=MONTHLY;BYMONTHDAY=8")),
            ("FREQ=MONTHLY;BYMONTHDAY=6", date(2026, 2, 8), None),
            ("FREQ=MONTHLY;BYMONTHDAY=6,20", date(2026, 1, 8), None),
            ("FREQ=MONTHLY;BYDAY=1TU", date(2026, 1, 15), Some("FREQ=MONTHLY;BYDAY=3TH")),
            ("FREQ=MONTHLY;BYDAY=1TU", date(2026, 1, 29), None),
            ("FREQ=YEARLY", date(2026, 2, 1), Some("FREQ=YEARLY")),
            ("FREQ=YEARLY;BYMONTH=1", date(2026, 1, 7), None),
            ("FREQ=DAILY;BYDAY=MO,TU", date(2026, 1, 7), None),
        ] {
            let moved = Rule::read(rule).moved(from, to).map(|rule| rule.to_string());
            assert_eq!(moved.as_deref(), expected, "{rule} to {to}");
        }
        let last = Rule::read("FREQ=MONTHLY;BYDAY=-1FR").moved(date(2026, 1, 30), date(2026, 1, 29));
        assert_eq!(last.unwrap().to_string(), "FREQ=MONTHLY;BYDAY=-1TH");
    }
}
