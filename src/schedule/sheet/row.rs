//! A line of a table as a typed row.

use jiff::Timestamp;
use jiff::civil::{Date, DateTime, Time};
use uuid::Uuid;

use super::moment::{DayOrder, Moment, day_order_of, read_moment, zone_of};
use super::value::{self, Privacy, Read, Repeat};
use super::{Cell, Column, Line, Mapping, Reading, Table, column_letters};
use crate::schedule::StopTime;
use crate::text::Message;

/// A cell that makes no sense: which, what is wrong, what is expected.
#[derive(Debug, Clone, PartialEq)]
pub struct Problem {
    /// The line, as Excel counts.
    pub row: u32,
    /// Letters of the column; empty where the table has none for it.
    pub letters: String,
    /// Head of the column as the file has it, or our name of the missing one.
    pub head: String,
    /// What column that is.
    pub column: Option<Column>,
    /// What is wrong and what is expected.
    pub message: Message,
}

/// A line as it was typed, without looking anything up. `None` and empty lists: the table has no such column, or the
/// cell is empty ([`SheetRow::has`] tells the two apart); a cell that makes no sense is a [`Problem`] and `None`.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct SheetRow {
    /// The line, as Excel counts.
    pub number: u32,
    /// Columns that the table has.
    pub columns: Vec<Column>,
    /// What makes no sense.
    pub problems: Vec<Problem>,
    /// See [`Column::Id`].
    pub id: Option<Uuid>,
    /// See [`Column::StreamId`].
    pub stream_id: Option<Uuid>,
    /// See [`Column::Title`].
    pub title: Option<String>,
    /// See [`Column::Description`].
    pub description: Option<String>,
    /// The local time of the start; where [`SheetRow::starts_exact`] is given, to be computed from it.
    pub starts_at: Option<DateTime>,
    /// The start as an instant, where the cell had an offset and the row names no zone to make it local in.
    pub starts_exact: Option<Timestamp>,
    /// IANA zone, of its column or of the cell of the start.
    pub time_zone: Option<String>,
    /// See [`Column::Rule`]; not yet checked.
    pub rule: Option<String>,
    /// See [`Column::Repeat`].
    pub repeat: Option<Repeat>,
    /// See [`Column::Times`].
    pub times: Vec<Time>,
    /// See [`Column::SkipDates`].
    pub skip_dates: Vec<Date>,
    /// See [`Column::Exceptions`], as written.
    pub exceptions: Option<String>,
    /// Seconds.
    pub duration: Option<u64>,
    /// See [`Column::StopAt`].
    pub stop_at: Option<StopTime>,
    /// Seconds; 0 is a value of its own.
    pub grace: Option<u32>,
    /// See [`Column::Paused`].
    pub paused: Option<bool>,
    /// Videos by file name, title or id; a legacy path keeps its folder (`videos/x.mp4`).
    pub videos: Vec<String>,
    /// `true`: shuffled.
    pub shuffled: Option<bool>,
    /// See [`Column::Loop`].
    pub repeat_playlist: Option<bool>,
    /// See [`Column::Thumbnail`]; a legacy path keeps its folder (`thumbnails/x.jpg`).
    pub thumbnail: Option<String>,
    /// See [`Column::Privacy`].
    pub privacy: Option<Privacy>,
    /// See [`Column::AutoStart`].
    pub auto_start: Option<bool>,
    /// See [`Column::AutoStop`].
    pub auto_stop: Option<bool>,
    /// See [`Column::MadeForKids`].
    pub made_for_kids: Option<bool>,
    /// See [`Column::TokenFile`].
    pub token_file: Option<String>,
    /// See [`Column::UseExistingKey`].
    pub use_existing_key: Option<bool>,
    /// See [`Column::KeyName`].
    pub key_name: Option<String>,
    /// See [`Column::KeyId`].
    pub key_id: Option<String>,
    /// See [`Column::Platform`], as written, small.
    pub platform: Option<String>,
    /// See [`Column::Url`].
    pub url: Option<String>,
    /// The stream key itself.
    pub key: Option<Secret>,
    /// See [`Column::Success`].
    pub success: Option<bool>,
    /// See [`Column::PlatformStreamId`].
    pub platform_stream_id: Option<String>,
    /// See [`Column::BroadcastLink`].
    pub broadcast_link: Option<String>,
    /// See [`Column::Owner`].
    pub owner: Option<String>,
    /// See [`Column::CreatedBy`].
    pub created_by: Option<String>,
    /// See [`Column::CreatedAt`], as written.
    pub created_at: Option<String>,
    /// See [`Column::UpdatedAt`], as written.
    pub updated_at: Option<String>,
}

/// A text that is not printed.
#[derive(Clone, PartialEq, Eq)]
pub struct Secret(String);

impl Secret {
    /// The text itself.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl Drop for Secret {
    fn drop(&mut self) {
        zeroize::Zeroize::zeroize(&mut self.0);
    }
}

impl std::fmt::Debug for Secret {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        formatter.write_str("****")
    }
}

impl SheetRow {
    /// The table has this column.
    pub fn has(&self, column: Column) -> bool {
        self.columns.contains(&column)
    }

    /// No cell made no sense.
    pub fn is_good(&self) -> bool {
        self.problems.is_empty()
    }
}

/// The rows of a table, in order.
pub fn read_rows(table: &Table, mapping: &Mapping, reading: &Reading) -> Vec<SheetRow> {
    let dates = mapping.place(Column::StartsAt);
    let order = reading.day_order.or_else(|| {
        let place = dates?;
        day_order_of(table.lines.iter().map(|line| line.cell(place)))
    });
    let columns: Vec<Column> = (0..table.heads.len()).filter_map(|place| mapping.column(place)).collect();
    let read = |line| Reader { table, mapping, line, order, problems: Vec::new() }.row(&columns);
    table.lines.iter().map(read).collect()
}

struct Reader<'a> {
    table: &'a Table,
    mapping: &'a Mapping,
    line: &'a Line,
    order: Option<DayOrder>,
    problems: Vec<Problem>,
}

impl Reader<'_> {
    fn problem(&mut self, column: Column, message: Message) {
        let place = self.mapping.place(column);
        self.problems.push(Problem {
            row: self.line.number,
            letters: place.map(column_letters).unwrap_or_default(),
            head: place.and_then(|place| self.table.heads.get(place)).cloned().unwrap_or_else(|| column.name().into()),
            column: Some(column),
            message,
        });
    }

    fn cell(&self, column: Column) -> Option<&Cell> {
        let cell = self.line.cell(self.mapping.place(column)?);
        // What pandas wrote for nothing.
        let nothing = matches!(cell, Cell::Text(text) if matches!(text.trim(), "nan" | "NaN" | "None" | "NaT"));
        (!cell.is_empty() && !nothing).then_some(cell)
    }

    fn take<T>(&mut self, column: Column, read: impl FnOnce(&Cell) -> Read<T>) -> Option<T> {
        match read(self.cell(column)?) {
            Ok(value) => Some(value),
            Err(message) => {
                self.problem(column, message);
                None
            }
        }
    }

    fn text(&mut self, column: Column) -> Option<String> {
        self.take(column, value::text).filter(|text| !text.is_empty())
    }

    fn flag(&mut self, column: Column) -> Option<bool> {
        self.take(column, value::flag)
    }

    fn id(&mut self, column: Column) -> Option<Uuid> {
        self.take(column, |cell| {
            let shown = value::shown(cell);
            Uuid::parse_str(&cell.text()).map_err(|_| Message::new("sheet-cell-id").with("found", shown))
        })
    }

    fn row(mut self, columns: &[Column]) -> SheetRow {
        let order = self.order;
        let mut row = SheetRow {
            number: self.line.number,
            columns: columns.to_vec(),
            id: self.id(Column::Id),
            stream_id: self.id(Column::StreamId),
            title: self.text(Column::Title),
            description: self.text(Column::Description),
            time_zone: self.take(Column::TimeZone, |cell| {
                let wrong = || Message::new("sheet-cell-zone").with("found", value::shown(cell));
                zone_of(&cell.text()).ok_or_else(wrong)
            }),
            rule: self.text(Column::Rule),
            repeat: self.take(Column::Repeat, value::repeat),
            times: self.take(Column::Times, |cell| each(cell, value::time)).unwrap_or_default(),
            skip_dates: self.take(Column::SkipDates, |cell| each(cell, |cell| day(cell, order))).unwrap_or_default(),
            exceptions: self.text(Column::Exceptions),
            duration: self.take(Column::Duration, value::length).flatten(),
            stop_at: self.take(Column::StopAt, |cell| stop_time(cell, order)),
            grace: self.take(Column::Grace, |cell| {
                let seconds = value::length(cell)?.unwrap_or(0);
                u32::try_from(seconds).map_err(|_| Message::new("schedule-grace-range"))
            }),
            paused: self.flag(Column::Paused),
            videos: self.take(Column::Videos, |cell| value::text(cell).map(|_| value::names(cell))).unwrap_or_default(),
            shuffled: self.take(Column::Order, |cell| match cell.text().to_lowercase().as_str() {
                "listed" | "urut" | "berurutan" | "sesuai daftar" => Ok(false),
                "shuffled" | "acak" | "diacak" => Ok(true),
                _ => Err(Message::new("sheet-cell-order").with("found", value::shown(cell))),
            }),
            repeat_playlist: self.flag(Column::Loop),
            thumbnail: self.text(Column::Thumbnail),
            privacy: self.take(Column::Privacy, value::privacy),
            auto_start: self.flag(Column::AutoStart),
            auto_stop: self.flag(Column::AutoStop),
            made_for_kids: self.flag(Column::MadeForKids),
            token_file: self.text(Column::TokenFile),
            use_existing_key: self.flag(Column::UseExistingKey),
            key_name: self.text(Column::KeyName),
            key_id: self.text(Column::KeyId),
            platform: self.text(Column::Platform).map(|name| name.to_lowercase()),
            url: self.text(Column::Url),
            key: self.text(Column::Key).map(Secret),
            success: self.flag(Column::Success),
            platform_stream_id: self.text(Column::PlatformStreamId),
            broadcast_link: self.text(Column::BroadcastLink),
            owner: self.text(Column::Owner),
            created_by: self.text(Column::CreatedBy),
            created_at: self.text(Column::CreatedAt),
            updated_at: self.text(Column::UpdatedAt),
            ..SheetRow::default()
        };
        self.start(&mut row);
        row.problems = self.problems;
        row
    }

    fn start(&mut self, row: &mut SheetRow) {
        let order = self.order;
        let time = self.take(Column::Time, |cell| match read_moment(cell, order)? {
            Moment::Clock(time, zone) => Ok((time, zone)),
            Moment::Local(at, zone) => Ok((at.time(), zone)),
            _ => Err(Message::new("sheet-cell-time").with("found", value::shown(cell))),
        });
        let Some(moment) = self.take(Column::StartsAt, |cell| read_moment(cell, order)) else {
            return;
        };
        // An Excel date without a time is midnight.
        let whole_day = self.cell(Column::StartsAt).is_some_and(|cell| !matches!(cell, Cell::Text(_)));
        let mut zone = None;
        match (moment, time) {
            (Moment::Day(day), Some((time, named))) => {
                row.starts_at = Some(day.to_datetime(time));
                zone = named;
            }
            (Moment::Local(at, named), Some((time, other))) if at.time() == Time::midnight() && whole_day => {
                row.starts_at = Some(at.date().to_datetime(time));
                zone = named.or(other);
            }
            (Moment::Local(at, named), _) => {
                row.starts_at = Some(at);
                zone = named;
            }
            (Moment::Exact(at), _) => match row.time_zone.as_deref().and_then(crate::clock::zone) {
                Some(zone) => row.starts_at = Some(at.to_zoned(zone).datetime()),
                None => row.starts_exact = Some(at),
            },
            (Moment::Day(_), None) => self.problem(Column::StartsAt, Message::new("sheet-moment-no-time")),
            (Moment::Clock(..), _) => self.problem(Column::StartsAt, Message::new("sheet-moment-no-date")),
        }
        if let Some(zone) = zone {
            match &row.time_zone {
                Some(other) if *other != zone => {
                    let message = Message::new("sheet-moment-zones").with("one", zone).with("other", other.as_str());
                    self.problem(Column::StartsAt, message);
                }
                _ => row.time_zone = Some(zone),
            }
        }
    }
}

/// Reads each of several values of one cell.
fn each<T>(cell: &Cell, read: impl Fn(&Cell) -> Read<T>) -> Read<Vec<T>> {
    let Cell::Text(text) = cell else { return Ok(vec![read(cell)?]) };
    let parts = text.split([';', ',', '\n', '|']).map(str::trim).filter(|part| !part.is_empty());
    parts.map(|part| read(&Cell::Text(part.to_owned()))).collect()
}

fn day(cell: &Cell, order: Option<DayOrder>) -> Read<Date> {
    match read_moment(cell, order)? {
        Moment::Day(day) => Ok(day),
        Moment::Local(at, None) => Ok(at.date()),
        _ => Err(Message::new("sheet-cell-day").with("found", value::shown(cell))),
    }
}

fn stop_time(cell: &Cell, order: Option<DayOrder>) -> Read<StopTime> {
    match read_moment(cell, order)? {
        Moment::Clock(time, None) => Ok(StopTime::Daily(time)),
        Moment::Local(at, None) => Ok(StopTime::Exact(at)),
        _ => Err(Message::new("sheet-cell-stop").with("found", value::shown(cell))),
    }
}
