//! Dates and times as people and programs write them: `2027-01-04T04:30`, `04/01/2027 20.00`, `Senin, 4 Januari 2027
//! pukul 20.00 WIB`, `jam 20.00`, `Jan 4, 2027 8:30 PM`, Excel dates and serials.

use calamine::{ExcelDateTime, ExcelDateTimeType};
use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use jiff::tz::TimeZone;

use super::Cell;
use crate::text::Message;

/// What stands first in a date like `03/04/2027`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum DayOrder {
    /// 3 April.
    DayFirst,
    /// 4 March.
    MonthFirst,
}

impl DayOrder {
    /// The word used in forms and the API.
    pub fn code(self) -> &'static str {
        match self {
            DayOrder::DayFirst => "day_first",
            DayOrder::MonthFirst => "month_first",
        }
    }

    /// Reads [`DayOrder::code`].
    pub fn parse(code: &str) -> Option<DayOrder> {
        [DayOrder::DayFirst, DayOrder::MonthFirst].into_iter().find(|order| order.code() == code)
    }
}

/// When something is, as far as a cell says it.
#[derive(Debug, Clone, PartialEq)]
pub enum Moment {
    /// A date without a time.
    Day(Date),
    /// A time without a date, with the zone where it is named.
    Clock(Time, Option<String>),
    /// Both, with the zone where it is named (`WIB`, `Asia/Jakarta`).
    Local(DateTime, Option<String>),
    /// An instant: with an offset from UTC.
    Exact(Timestamp),
}

const MONTHS: [&[&str]; 12] = [
    &["januari", "january", "jan"],
    &["februari", "february", "pebruari", "feb", "peb"],
    &["maret", "march", "mar", "mrt"],
    &["april", "apr"],
    &["mei", "may"],
    &["juni", "june", "jun"],
    &["juli", "july", "jul"],
    &["agustus", "august", "agu", "agt", "aug", "ags"],
    &["september", "sept", "sep"],
    &["oktober", "october", "okt", "oct"],
    &["november", "nopember", "nov", "nop"],
    &["desember", "december", "des", "dec"],
];

/// Words of dates that say nothing new.
const FILLERS: [&str; 26] = [
    "jam",
    "pukul",
    "pkl",
    "at",
    "tgl",
    "tanggal",
    "hari",
    "senin",
    "selasa",
    "rabu",
    "kamis",
    "jumat",
    "jum'at",
    "sabtu",
    "minggu",
    "ahad",
    "monday",
    "tuesday",
    "wednesday",
    "thursday",
    "friday",
    "saturday",
    "sunday",
    "mon",
    "the",
    "of",
];

/// The zone that a short name means.
pub(super) fn zone_of(name: &str) -> Option<String> {
    let known = match name.trim().to_ascii_lowercase().as_str() {
        "wib" => "Asia/Jakarta",
        "wita" => "Asia/Makassar",
        "wit" => "Asia/Jayapura",
        "utc" | "gmt" => "UTC",
        _ => {
            let zone = crate::clock::zone(name.trim())?;
            return zone.iana_name().filter(|name| !name.is_empty()).map(str::to_owned);
        }
    };
    Some(known.to_owned())
}

/// Reads a time of day: `20:00`, `20.00`, `jam 8 malam`, `8:30 PM`.
pub(super) fn read_time(text: &str) -> Option<Time> {
    match spelled(text, None).ok()? {
        Moment::Clock(time, None) => Some(time),
        _ => None,
    }
}

/// Numbers that are days (from 1927 to 2447) and nothing else.
const SERIALS: std::ops::Range<f64> = 10_000.0..200_000.0;

/// What a cell says about when.
///
/// # Errors
/// What is wrong and what is expected; `sheet-moment-order` where day and month can be taken either way and
/// `order` is not given.
pub fn read_moment(cell: &Cell, order: Option<DayOrder>) -> Result<Moment, Message> {
    let wrong = || Message::new("sheet-moment-form").with("found", super::value::shown(cell));
    match cell {
        Cell::Moment(at) => Ok(Moment::Local(*at, None)),
        Cell::Number(serial, since_1904) if SERIALS.contains(serial) => {
            of_serial(*serial, *since_1904).map(|at| Moment::Local(at, None)).ok_or_else(wrong)
        }
        Cell::Number(part, _) if (0.0..1.0).contains(part) => {
            super::value::time(cell).map(|time| Moment::Clock(time, None))
        }
        Cell::Span(_) => super::value::time(cell).map(|time| Moment::Clock(time, None)),
        Cell::Text(text) => match spelled(text, order) {
            Ok(moment) => Ok(moment),
            Err(true) => Err(Message::new("sheet-moment-order").with("found", super::value::shown(cell))),
            // A date that lost its format on the way into a text file.
            Err(false) => {
                let serial = text.trim().replace(',', ".").parse().ok().filter(|serial| SERIALS.contains(serial));
                let at = serial.and_then(|serial| of_serial(serial, false));
                at.map(|at| Moment::Local(at, None)).ok_or_else(wrong)
            }
        },
        _ => Err(wrong()),
    }
}

/// A serial of Excel as a local time, to the second.
pub(super) fn of_serial(serial: f64, since_1904: bool) -> Option<DateTime> {
    let at = ExcelDateTime::new(serial, ExcelDateTimeType::DateTime, since_1904).as_datetime()?.and_utc();
    let at = Timestamp::new(at.timestamp(), i32::try_from(at.timestamp_subsec_nanos()).ok()?).ok()?;
    Some(at.round(jiff::Unit::Second).ok()?.to_zoned(TimeZone::UTC).datetime())
}

/// The order that dates among these cells have where they can be read only one way; none where they differ.
pub fn day_order_of<'a>(cells: impl Iterator<Item = &'a Cell>) -> Option<DayOrder> {
    let mut found = None;
    for cell in cells {
        let Cell::Text(text) = cell else { continue };
        let read = |order| spelled(text, Some(order)).ok();
        let order = match (spelled(text, None), read(DayOrder::DayFirst), read(DayOrder::MonthFirst)) {
            // Both orders are dates, or the order says nothing.
            (Err(true), ..) | (_, None, None) => continue,
            (_, day, month) if day == month => continue,
            (_, Some(_), None) => DayOrder::DayFirst,
            (_, None, Some(_)) => DayOrder::MonthFirst,
            _ => continue,
        };
        match found {
            None => found = Some(order),
            Some(other) if other != order => return None,
            Some(_) => {}
        }
    }
    found
}

/// Reads a text; `Err(true)` where only the order of day and month is missing.
fn spelled(text: &str, order: Option<DayOrder>) -> Result<Moment, bool> {
    let text = text.trim();
    if text.len() > 80 {
        return Err(false);
    }
    if let Some(moment) = iso(text) {
        return Ok(moment);
    }
    let lower = text.to_lowercase().replace(',', " ");
    let mut words: Vec<&str> = lower.split_whitespace().collect();
    let mut zone = None;
    if words.len() > 1
        && let Some(last) = text.split_whitespace().last()
        && last.chars().all(|letter| letter.is_alphabetic() || matches!(letter, '/' | '_' | '-'))
        && let Some(found) = zone_of(last)
    {
        zone = Some(found);
        words.pop();
    }
    let mut half = None;
    let mut clock = None;
    let mut rest = Vec::new();
    for word in words {
        match word.trim_end_matches('.') {
            "am" | "a.m" | "pagi" | "subuh" => half = Some(0),
            "pm" | "p.m" | "malam" | "sore" => half = Some(12),
            "siang" => half = Some(6),
            word if FILLERS.contains(&word) => {}
            _ => rest.push(word),
        }
    }
    // The time is the last part that looks like one.
    if let Some(last) = rest.last()
        && let Some((found, half_of_word)) = clock_of(last, rest.len() > 1 || half.is_some() || rest.len() == 1)
        && !(rest.len() == 1 && looks_like_date(last))
    {
        clock = Some(found);
        half = half.or(half_of_word);
        rest.pop();
    } else if rest.len() > 1
        && let Some(first) = rest.first()
        && let Some((found, half_of_word)) = clock_of(first, true)
        && first.contains(':')
    {
        clock = Some(found);
        half = half.or(half_of_word);
        rest.remove(0);
    }
    let clock = match (clock, half) {
        (Some((hour, minute, second)), half) => {
            let hour = match half {
                None => hour,
                // 12 o'clock at night and at noon; "13 siang" is 13.
                Some(0) if hour == 12 => 0,
                Some(12) if hour < 12 => hour + 12,
                // 1, 2, 3 o'clock in the early afternoon; 10, 11, 12 as they are.
                Some(6) if hour < 6 => hour + 12,
                Some(_) => hour,
            };
            Some(Time::new(hour, minute, second, 0).map_err(|_| false)?)
        }
        (None, Some(_)) => return Err(false),
        (None, None) => None,
    };
    let date = if rest.is_empty() { None } else { Some(date_of(&rest.join(" "), order)?) };
    match (date, clock) {
        (Some(date), Some(clock)) => Ok(Moment::Local(date.to_datetime(clock), zone)),
        (Some(date), None) if zone.is_none() => Ok(Moment::Day(date)),
        (None, Some(clock)) => Ok(Moment::Clock(clock, zone)),
        _ => Err(false),
    }
}

/// What programs write: RFC 3339, ISO 8601, with a blank for the `T`.
fn iso(text: &str) -> Option<Moment> {
    if !text.starts_with(|letter: char| letter.is_ascii_digit()) || text.get(4..5) != Some("-") {
        return None;
    }
    if let Ok(at) = text.parse::<Timestamp>() {
        return Some(Moment::Exact(at));
    }
    if let Ok(at) = text.parse::<jiff::Zoned>() {
        return Some(Moment::Local(at.datetime(), at.time_zone().iana_name().map(str::to_owned)));
    }
    // A zone in brackets that is none: read without it, it would be another time.
    if text.contains('[') {
        return None;
    }
    if text.len() <= 10 {
        return text.parse().ok().map(Moment::Day);
    }
    let at: DateTime = text.parse().ok()?;
    Some(Moment::Local(at.round(jiff::Unit::Second).ok()?, None))
}

fn looks_like_date(word: &str) -> bool {
    word.split(['/', '-', '.']).count() == 3 && !word.contains(':') && word.len() > 8
}

type Clock = (i8, i8, i8);

/// `20:00`, `20.00`, `20.00.30`, `8pm`; a bare hour only where something else says that it is one.
fn clock_of(word: &str, bare: bool) -> Option<(Clock, Option<i8>)> {
    let (word, half) = match word {
        word if word.ends_with("pm") => (word.trim_end_matches("pm"), Some(12)),
        word if word.ends_with("am") => (word.trim_end_matches("am"), Some(0)),
        word => (word, None),
    };
    let mark = if word.contains(':') { ':' } else { '.' };
    let parts: Vec<&str> = word.split(mark).collect();
    let number = |place: usize, longest: usize| {
        let part = parts.get(place)?;
        let good = (1..=longest).contains(&part.len()) && part.chars().all(|letter| letter.is_ascii_digit());
        good.then(|| part.parse::<i8>().ok()).flatten()
    };
    let clock = match parts.len() {
        1 if bare || half.is_some() => (number(0, 2)?, 0, 0),
        2 => (number(0, 2)?, number(1, 2).filter(|_| parts[1].len() == 2)?, 0),
        3 => (number(0, 2)?, number(1, 2)?, number(2, 2).filter(|_| parts[2].len() == 2)?),
        _ => return None,
    };
    (clock.0 < 24 && clock.1 < 60 && clock.2 < 60).then_some((clock, half))
}

/// A date: three numbers, or a day and a year with the name of a month.
fn date_of(text: &str, order: Option<DayOrder>) -> Result<Date, bool> {
    let parts: Vec<&str> = text.split(['/', '-', '.', ' ']).filter(|part| !part.is_empty()).collect();
    let [one, two, three] = parts[..] else { return Err(false) };
    let number =
        |part: &str| part.trim_end_matches(|letter: char| letter.is_alphabetic()).parse::<i16>().map_err(|_| false);
    let month = |part: &str| {
        MONTHS.iter().position(|names| names.contains(&part)).and_then(|place| i8::try_from(place + 1).ok())
    };
    let make = |year: i16, month: i8, day: i16| {
        let year = if year < 100 { year + 2000 } else { year };
        let day = i8::try_from(day).map_err(|_| false)?;
        if !(1970..=2200).contains(&year) {
            return Err(false);
        }
        Date::new(year, month, day).map_err(|_| false)
    };
    if let Some(month) = month(two) {
        return make(number(three)?, month, number(one)?);
    }
    if let Some(month) = month(one) {
        return make(number(three)?, month, number(two)?);
    }
    let all_digits = parts.iter().all(|part| part.chars().all(|letter| letter.is_ascii_digit()));
    if !all_digits {
        return Err(false);
    }
    let small = |number: i16| i8::try_from(number).map_err(|_| false);
    let (one_is, two_is, three_is) = (number(one)?, number(two)?, number(three)?);
    if one.len() == 4 {
        return make(one_is, small(two_is)?, three_is);
    }
    let day_first = || make(three_is, small(two_is)?, one_is);
    let month_first = || make(three_is, small(one_is)?, two_is);
    match order {
        Some(DayOrder::DayFirst) => day_first(),
        Some(DayOrder::MonthFirst) => month_first(),
        None => match (day_first(), month_first()) {
            (Ok(day), Ok(month)) if day != month => Err(true),
            (Ok(date), _) | (_, Ok(date)) => Ok(date),
            _ => Err(false),
        },
    }
}

#[cfg(test)]
mod tests {
    use jiff::civil::date;

    use super::*;

    fn told(text: &str) -> Option<Moment> {
        spelled(text, None).ok()
    }

    #[test]
    fn times_are_read_as_people_write_them() {
        let at = date(2027, 1, 4).at(20, 0, 0, 0);
        let wib = Some("Asia/Jakarta".to_owned());
        for text in [
            "2027-01-04T20:00",
            "2027-01-04 20:00:00",
            "4 Januari 2027 20.00",
            "4 Jan 2027 pukul 20:00",
            "Senin, 4 Januari 2027 jam 20.00",
            "Jan 4, 2027 8:00 PM",
            "January 4 2027 8pm",
            "2027/01/04 20:00",
        ] {
            assert_eq!(told(text), Some(Moment::Local(at, None)), "{text}");
        }
        assert_eq!(told("Senin, 4 Januari 2027 pukul 20.00 WIB"), Some(Moment::Local(at, wib.clone())));
        assert!(told("2027-01-04T20:00+07:00[Asia/Jakarta]").is_some());
        assert_eq!(told("2027-01-04T13:00Z"), Some(Moment::Exact("2027-01-04T13:00Z".parse().unwrap())));
        assert_eq!(told("13/01/2027 04.30"), Some(Moment::Local(date(2027, 1, 13).at(4, 30, 0, 0), None)));
        assert_eq!(told("01/13/2027"), Some(Moment::Day(date(2027, 1, 13))));
        assert!(told("04.01.2027").is_none());
        for (text, hour) in [
            ("jam 20.00", 20),
            ("20:00", 20),
            ("pukul 8 malam", 20),
            ("8 PM", 20),
            ("jam 4 subuh", 4),
            ("jam 1 siang", 13),
        ] {
            assert_eq!(told(text), Some(Moment::Clock(Time::constant(hour, 0, 0, 0), None)), "{text}");
        }
        for text in ["", "besok", "31/02/2027 10:00", "2027-02-30", "25:00", "20:61", "4 Januari", "Ngaji"] {
            assert_eq!(told(text), None, "{text}");
        }
    }

    #[test]
    fn a_date_that_can_be_read_two_ways_is_asked_about() {
        assert_eq!(spelled("03/04/2027 20:00", None), Err(true));
        let at = |month, day| Ok(Moment::Local(date(2027, month, day).at(20, 0, 0, 0), None));
        assert_eq!(spelled("03/04/2027 20:00", Some(DayOrder::DayFirst)), at(4, 3));
        assert_eq!(spelled("03/04/2027 20:00", Some(DayOrder::MonthFirst)), at(3, 4));
        assert!(spelled("03/03/2027 20:00", None).is_ok());
        let cells = |texts: &[&str]| texts.iter().map(|text| Cell::Text((*text).to_owned())).collect::<Vec<_>>();
        assert_eq!(day_order_of(cells(&["03/04/2027", "13/04/2027"]).iter()), Some(DayOrder::DayFirst));
        assert_eq!(day_order_of(cells(&["04/13/2027", "2027-01-01"]).iter()), Some(DayOrder::MonthFirst));
        assert_eq!(day_order_of(cells(&["04/13/2027", "13/04/2027"]).iter()), None);
    }

    #[test]
    fn serials_count_from_1900_and_from_1904() {
        assert_eq!(of_serial(45964.5, false), Some(date(2025, 11, 3).at(12, 0, 0, 0)));
        assert_eq!(of_serial(45964.5 - 1462.0, true), Some(date(2025, 11, 3).at(12, 0, 0, 0)));
        // In a text file, with the decimal sign of either language.
        for text in ["45964.5", "45964,5"] {
            let read = read_moment(&Cell::Text(text.into()), None);
            assert_eq!(read, Ok(Moment::Local(date(2025, 11, 3).at(12, 0, 0, 0), None)), "{text}");
        }
        assert!(read_moment(&Cell::Text("2027".into()), None).is_err());
    }
}
