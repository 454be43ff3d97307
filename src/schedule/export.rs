//! All schedules of a library as a file that can be read in again and means the same.

use std::collections::HashMap;
use std::ops::ControlFlow;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::import::ground::{Ground, KnownKey, plain};
use super::import::{exceptions_text, target_label};
use super::sheet::{Column, Lists, template};
use super::{Schedule, Until};
use crate::clock;
use crate::error::Result;
use crate::library::Library;
use crate::live::{LiveStream, PlayOrder};
use crate::store::rows::{Reader, Row};
use crate::tabular::{Field, Format, Tabular};
use crate::text::Locale;

/// Columns of the file.
pub const COLUMNS: [Column; 27] = [
    Column::Title,
    Column::Videos,
    Column::KeyName,
    Column::StartsAt,
    Column::TimeZone,
    Column::Rule,
    Column::Times,
    Column::SkipDates,
    Column::Exceptions,
    Column::Duration,
    Column::StopAt,
    Column::Grace,
    Column::Paused,
    Column::Order,
    Column::Loop,
    Column::Description,
    Column::Privacy,
    Column::MadeForKids,
    Column::AutoStart,
    Column::AutoStop,
    Column::Thumbnail,
    Column::Owner,
    Column::CreatedBy,
    Column::CreatedAt,
    Column::UpdatedAt,
    Column::StreamId,
    Column::Id,
];

/// A length that is read as the same one.
fn length(seconds: u64) -> String {
    let (hours, minutes, rest) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
    format!("{hours}:{minutes:02}:{rest:02}")
}

fn flag(value: Option<bool>) -> &'static str {
    match value {
        Some(true) => "yes",
        Some(false) => "no",
        None => "",
    }
}

/// What a video or thumbnail is called, where that means it and nothing else; else its id.
fn called(named: &super::import::ground::Named, id: Uuid) -> String {
    match named.title(id) {
        Some(title)
            if named.find(title) == [id] && !title.contains(['\n', '\r', ';', '|']) && !plain(title).is_empty() =>
        {
            title.to_owned()
        }
        _ => id.to_string(),
    }
}

/// What a column says of a schedule and its stream, for people.
pub(super) fn text_of(
    column: Column,
    ground: &Ground,
    schedule: Option<&Schedule>,
    stream: Option<&LiveStream>,
) -> String {
    let (Some(schedule), Some(stream)) = (schedule, stream) else {
        return match stream {
            Some(stream) => of_stream(column, ground, stream).unwrap_or_default(),
            None => String::new(),
        };
    };
    match column {
        Column::StreamId => stream.title.clone(),
        column => of_stream(column, ground, stream).unwrap_or_else(|| of_schedule(column, ground, schedule)),
    }
}

fn targets(stream: &LiveStream) -> String {
    let labels: Vec<String> = stream.targets.iter().map(target_label).collect();
    let is_one = |label: &String| labels.iter().filter(|other| *other == label).count() == 1;
    let names = stream.targets.iter().zip(&labels);
    let names = names.map(|(target, label)| if is_one(label) { label.clone() } else { target.id.to_string() });
    names.collect::<Vec<_>>().join("\n")
}

fn cell(column: Column, ground: &Ground, row: &Row<Schedule>, stream: &LiveStream) -> Field {
    let header = &row.header;
    let zone = || clock::zone(&row.value.time_zone).unwrap_or(TimeZone::UTC);
    Field::Text(match column {
        Column::StartsAt => return Field::Local(row.value.starts_at),
        Column::CreatedAt => return Field::Instant(header.created_at, zone()),
        Column::UpdatedAt => return Field::Instant(header.updated_at, zone()),
        Column::Id => row.id().to_string(),
        Column::Owner => header.owner.clone(),
        Column::CreatedBy => header.created_by.clone(),
        column => of_stream(column, ground, stream).unwrap_or_else(|| of_schedule(column, ground, &row.value)),
    })
}

fn list(items: &mut dyn Iterator<Item = String>) -> String {
    items.collect::<Vec<_>>().join("\n")
}

/// What a column says of a stream; `None` where it is about the schedule.
fn of_stream(column: Column, ground: &Ground, stream: &LiveStream) -> Option<String> {
    Some(match column {
        Column::Title => stream.title.clone(),
        Column::Videos => list(&mut stream.videos.iter().map(|id| called(&ground.videos, *id))),
        Column::KeyName => targets(stream),
        Column::Order => match stream.order {
            PlayOrder::Listed => "listed".to_owned(),
            PlayOrder::Shuffled => "shuffled".to_owned(),
        },
        Column::Loop => flag(Some(stream.repeat)).to_owned(),
        _ => return None,
    })
}

fn of_schedule(column: Column, ground: &Ground, schedule: &Schedule) -> String {
    match column {
        Column::StreamId => schedule.stream_id.to_string(),
        Column::StartsAt => schedule.starts_at.strftime("%Y-%m-%d %H:%M:%S").to_string(),
        Column::TimeZone => schedule.time_zone.clone(),
        Column::Rule => schedule.rule.clone().unwrap_or_default(),
        Column::Times => list(&mut schedule.times.iter().map(ToString::to_string)),
        Column::SkipDates => list(&mut schedule.skip_dates.iter().map(ToString::to_string)),
        Column::Exceptions => exceptions_text(&schedule.exceptions),
        Column::Duration => match schedule.until {
            Until::Duration(seconds) => length(seconds),
            _ => String::new(),
        },
        Column::StopAt => match schedule.until {
            Until::Stop(at) => at.to_string(),
            _ => String::new(),
        },
        Column::Grace => length(u64::from(schedule.grace)),
        Column::Paused => flag(Some(schedule.paused)).to_owned(),
        Column::Description => schedule.broadcast.description.clone().unwrap_or_default(),
        Column::Privacy => schedule.broadcast.privacy.map(|privacy| privacy.code().to_owned()).unwrap_or_default(),
        Column::MadeForKids => flag(schedule.broadcast.made_for_kids).to_owned(),
        Column::AutoStart => flag(schedule.broadcast.auto_start).to_owned(),
        Column::AutoStop => flag(schedule.broadcast.auto_stop).to_owned(),
        Column::Thumbnail => {
            let known = schedule.broadcast.thumbnail_id.filter(|id| ground.thumbnails.title(*id).is_some());
            known.map(|id| called(&ground.thumbnails, id)).unwrap_or_default()
        }
        _ => String::new(),
    }
}

fn schedules(rows: &Reader<'_>) -> Result<Vec<Row<Schedule>>> {
    let mut found = Vec::new();
    rows.each::<Schedule>(false, |row| {
        found.push(row);
        ControlFlow::Continue(())
    })?;
    Ok(found)
}

impl Library {
    /// All schedules with their streams as a file, oldest first. Stream keys stand in it as lists show them.
    pub async fn export_schedules(&self, format: Format) -> Result<Vec<u8>> {
        let library = self.clone();
        let write = move |rows: &Reader<'_>| {
            let ground = Ground::read(&library, rows)?;
            let heads = COLUMNS.map(Column::name);
            let mut table = Tabular::new(format, "schedules", &heads)?;
            let streams: HashMap<Uuid, &LiveStream> =
                ground.streams.iter().map(|(id, row)| (*id, &row.value)).collect();
            for row in schedules(rows)? {
                // One whose stream is just being deleted.
                let Some(stream) = streams.get(&row.value.stream_id) else { continue };
                let cells = COLUMNS.map(|column| cell(column, &ground, &row, stream));
                table.fields(&cells)?;
            }
            table.finish()
        };
        self.rows().read(write).await
    }

    /// An empty workbook with drop-downs of what the library has.
    pub async fn schedule_template(&self, zone: &str, locale: Locale) -> Result<Vec<u8>> {
        let (library, own) = (self.clone(), zone.to_owned());
        let write = move |rows: &Reader<'_>| {
            let ground = Ground::read(&library, rows)?;
            let all = |named: &super::import::ground::Named| {
                let mut names: Vec<String> = named.titles.iter().map(|(id, _)| called(named, *id)).collect();
                names.sort_by_key(|name| name.to_lowercase());
                names
            };
            let key = |key: &KnownKey| {
                let named = key
                    .called
                    .as_ref()
                    .or(key.names.first())
                    .filter(|name| matches!(&ground.keys_of(name, None)[..], [only] if only.len() == 1));
                named.unwrap_or(&key.label).clone()
            };
            let mut keys: Vec<String> = ground.keys.iter().map(key).collect();
            keys.sort_unstable();
            keys.dedup();
            let mut zones: Vec<String> =
                ["Asia/Jakarta", "Asia/Makassar", "Asia/Jayapura", "UTC"].map(str::to_owned).into();
            let others = jiff::tz::db().available().map(|name| name.to_string()).filter(|name| name.contains('/'));
            let mut others: Vec<String> = others.filter(|name| !name.starts_with("Etc/")).collect();
            others.sort_unstable();
            zones.extend(others);
            zones.insert(0, own.clone());
            let mut seen = std::collections::HashSet::new();
            zones.retain(|zone| seen.insert(zone.clone()));
            let lists = Lists { videos: all(&ground.videos), keys, thumbnails: all(&ground.thumbnails), zones };
            template(&lists, locale)
        };
        self.rows().read(write).await
    }
}
