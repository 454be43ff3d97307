//! What a cell says, as a value.

use jiff::civil::Time;

use super::Cell;
use super::moment::read_time;
use crate::text::Message;

/// Who may see a broadcast.
#[derive(Debug, Clone, Copy, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Privacy {
    /// Everybody.
    Public,
    /// Whoever has the link.
    Unlisted,
    /// Its owner.
    Private,
}

impl Privacy {
    /// All, in the order of lists.
    pub const ALL: [Privacy; 3] = [Privacy::Public, Privacy::Unlisted, Privacy::Private];

    /// A word of a workbook, English or Indonesian.
    pub fn read(word: &str) -> Option<Privacy> {
        match word.to_lowercase().as_str() {
            "public" | "publik" | "umum" => Some(Privacy::Public),
            "unlisted" | "tidak publik" | "tidak tercantum" | "tidak terdaftar" => Some(Privacy::Unlisted),
            "private" | "pribadi" | "privat" => Some(Privacy::Private),
            _ => None,
        }
    }

    /// As YouTube and our files spell it.
    pub fn code(self) -> &'static str {
        match self {
            Privacy::Public => "public",
            Privacy::Unlisted => "unlisted",
            Privacy::Private => "private",
        }
    }
}

/// A word for how often.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Repeat {
    /// Once.
    Once,
    /// Every day.
    Daily,
    /// Monday to Friday.
    Weekdays,
    /// On the weekday of the start.
    Weekly,
}

impl Repeat {
    /// The rule that this means.
    pub fn rule(self) -> Option<&'static str> {
        match self {
            Repeat::Once => None,
            Repeat::Daily => Some("FREQ=DAILY"),
            Repeat::Weekdays => Some("FREQ=WEEKLY;BYDAY=MO,TU,WE,TH,FR"),
            Repeat::Weekly => Some("FREQ=WEEKLY"),
        }
    }
}

pub(super) type Read<T> = Result<T, Message>;

/// Longest text of a cell that a message repeats.
const SHOWN: usize = 60;

/// The text of a cell, short enough for a message.
pub(super) fn shown(cell: &Cell) -> String {
    let text = cell.text();
    let cut: String = text.chars().take(SHOWN).collect();
    if cut.len() < text.len() { format!("{cut}…") } else { cut }
}

fn wrong(id: &'static str, cell: &Cell) -> Message {
    Message::new(id).with("found", shown(cell))
}

/// `h:mm` or `h:mm:ss`.
pub(super) fn clock_text(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    if rest == 0 { format!("{hours}:{minutes:02}") } else { format!("{hours}:{minutes:02}:{rest:02}") }
}

/// A text; an error of the spreadsheet is none.
pub(super) fn text(cell: &Cell) -> Read<String> {
    match cell {
        Cell::Fault(_) => Err(wrong("sheet-cell-fault", cell)),
        _ => Ok(cell.text()),
    }
}

/// Yes or no.
pub(super) fn flag(cell: &Cell) -> Read<bool> {
    match cell {
        Cell::Flag(flag) => Ok(*flag),
        Cell::Number(number, _) if *number == 0.0 => Ok(false),
        Cell::Number(number, _) if *number == 1.0 => Ok(true),
        Cell::Text(text) => match text.trim().to_lowercase().as_str() {
            "true" | "yes" | "y" | "1" | "x" | "on" | "ya" | "iya" | "benar" | "aktif" | "✓" => Ok(true),
            "false" | "no" | "n" | "0" | "-" | "off" | "tidak" | "tdk" | "bukan" | "salah" | "none" | "nan" => {
                Ok(false)
            }
            _ => Err(wrong("sheet-cell-flag", cell)),
        },
        _ => Err(wrong("sheet-cell-flag", cell)),
    }
}

/// How often.
pub(super) fn repeat(cell: &Cell) -> Read<Repeat> {
    if let Cell::Text(text) = cell {
        match text.trim().to_lowercase().as_str() {
            "daily" | "every day" | "harian" | "setiap hari" | "tiap hari" => return Ok(Repeat::Daily),
            "weekdays" | "hari kerja" => return Ok(Repeat::Weekdays),
            "weekly" | "every week" | "mingguan" | "setiap minggu" | "tiap minggu" => return Ok(Repeat::Weekly),
            "once" | "sekali" => return Ok(Repeat::Once),
            _ => {}
        }
    }
    match flag(cell) {
        Ok(true) => Ok(Repeat::Daily),
        Ok(false) => Ok(Repeat::Once),
        Err(_) => Err(wrong("sheet-cell-repeat", cell)),
    }
}

/// Who may see it.
pub(super) fn privacy(cell: &Cell) -> Read<Privacy> {
    Privacy::read(&cell.text()).ok_or_else(|| wrong("sheet-cell-privacy", cell))
}

/// A length in seconds: minutes as a bare number, `1:30`, `1:30:00`, `2h 30m`, `90 menit`, `PT2H30M`; 0 is none.
pub(super) fn length(cell: &Cell) -> Read<Option<u64>> {
    let bad = || wrong("sheet-cell-length", cell);
    let of_minutes = |minutes: f64| {
        let seconds = (minutes * 60.0).round();
        if (0.0..=1e9).contains(&seconds) {
            Ok(Some(seconds as u64).filter(|seconds| *seconds > 0))
        } else {
            Err(bad())
        }
    };
    match cell {
        Cell::Span(seconds) => Ok(Some(*seconds).filter(|seconds| *seconds > 0)),
        Cell::Number(minutes, _) => of_minutes(*minutes),
        // A length of a day and more in a cell formatted as a time comes as a moment of January 1900.
        Cell::Text(text) => {
            let text = text.trim().to_lowercase();
            if let Ok(minutes) = text.replace(',', ".").parse::<f64>() {
                return of_minutes(minutes);
            }
            let parts: Vec<&str> = text.split(':').collect();
            if let 2..=3 = parts.len() {
                let mut seconds = 0;
                for (place, part) in parts.iter().enumerate() {
                    let number: u64 = part.trim().parse().map_err(|_| bad())?;
                    if place > 0 && number > 59 || number > 100_000 {
                        return Err(bad());
                    }
                    seconds += number * [3600, 60, 1][place];
                }
                return Ok(Some(seconds).filter(|seconds| *seconds > 0));
            }
            spelled_length(&text).ok_or_else(bad).map(|seconds| Some(seconds).filter(|seconds| *seconds > 0))
        }
        _ => Err(bad()),
    }
}

/// `2 jam 30 menit`, or what jiff reads: `2h 30m`, `90 mins`, `PT2H30M`.
fn spelled_length(text: &str) -> Option<u64> {
    let mut words = text.to_owned();
    for (word, unit) in
        [("jam", "h"), ("menit", "m"), ("mnt", "m"), ("detik", "s"), ("dtk", "s"), ("hari", "d"), ("minggu", "w")]
    {
        words = words.replace(word, unit);
    }
    let span: jiff::Span = words.parse().ok()?;
    let days = jiff::SpanRelativeTo::days_are_24_hours();
    let seconds = span.total((jiff::Unit::Second, days)).ok()?;
    (0.0..1e9).contains(&seconds).then_some(seconds.round() as u64)
}

/// A time of day.
pub(super) fn time(cell: &Cell) -> Read<Time> {
    let bad = || wrong("sheet-cell-time", cell);
    match cell {
        Cell::Span(seconds) if *seconds < 86_400 => {
            let seconds = i32::try_from(*seconds).map_err(|_| bad())?;
            let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
            Time::new(hour as i8, minute as i8, second as i8, 0).map_err(|_| bad())
        }
        Cell::Moment(at) => Ok(at.time()),
        Cell::Number(part, _) if (0.0..1.0).contains(part) => {
            time(&Cell::Span((part * 86_400.0).round() as u64 % 86_400))
        }
        Cell::Text(text) => read_time(text).ok_or_else(bad),
        _ => Err(bad()),
    }
}

/// Names that stand in one cell: one a line, or set apart by `;` or `|`.
pub(super) fn names(cell: &Cell) -> Vec<String> {
    let text = cell.text();
    let apart: &[char] = if text.contains('\n') { &['\n', '\r'] } else { &[';', '|'] };
    text.split(apart).map(str::trim).filter(|name| !name.is_empty()).map(str::to_owned).collect()
}
