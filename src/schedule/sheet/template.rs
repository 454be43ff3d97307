//! An empty workbook to fill in: drop-downs, a note on every column, an example, a head that stays in sight.

use rust_xlsxwriter::{
    Color, DataValidation, DataValidationErrorStyle, Format, Formula, Note, Workbook, Worksheet, XlsxError,
};

use super::{Column, Privacy};
use crate::error::{Error, Result};
use crate::tabular::write_text;
use crate::text::{Locale, Message};

/// What the drop-downs offer.
#[derive(Debug, Clone, Default)]
pub struct Lists {
    /// Names of videos.
    pub videos: Vec<String>,
    /// Names of streams and labels of keys.
    pub keys: Vec<String>,
    /// Names of thumbnails.
    pub thumbnails: Vec<String>,
    /// The user's own zone first.
    pub zones: Vec<String>,
}

/// Lines with drop-downs.
const LINES: u32 = 1000;

/// A column of an empty workbook.
pub struct Described {
    /// Its head.
    pub english: fn() -> &'static str,
    /// The same in Indonesian.
    pub indonesian: &'static str,
    /// Id of the text of its note.
    pub note: &'static str,
    /// What its drop-down offers.
    pub source: Option<Source>,
    /// What stands below the head.
    pub example: Example,
    /// In characters.
    pub width: f64,
}

/// What the line of the example says.
pub enum Example {
    /// This.
    Text(&'static str),
    /// The first that there is.
    First(Source),
    /// Nothing.
    None,
}

/// What a drop-down offers.
#[derive(Clone, Copy, PartialEq)]
pub enum Source {
    /// [`Lists::videos`]
    Videos,
    /// [`Lists::keys`]
    Keys,
    /// [`Lists::thumbnails`]
    Thumbnails,
    /// [`Lists::zones`]
    Zones,
    /// Who may see it.
    Privacy,
    /// How often.
    Repeat,
    /// Yes and no.
    Flags,
}

/// The example is over, so that a file with it still in brings nothing in.
const COLUMNS: [Described; 12] = [
    Described {
        english: || Column::Title.name(),
        indonesian: "judul",
        note: "template-note-title",
        source: None,
        example: Example::Text("Contoh – Example"),
        width: 32.0,
    },
    Described {
        english: || Column::Videos.name(),
        indonesian: "video",
        note: "template-note-videos",
        source: Some(Source::Videos),
        example: Example::First(Source::Videos),
        width: 32.0,
    },
    Described {
        english: || Column::KeyName.name(),
        indonesian: "kunci",
        note: "template-note-key",
        source: Some(Source::Keys),
        example: Example::First(Source::Keys),
        width: 28.0,
    },
    Described {
        english: || Column::StartsAt.name(),
        indonesian: "mulai",
        note: "template-note-start",
        source: None,
        example: Example::Text("2024-01-06 20:00"),
        width: 20.0,
    },
    Described {
        english: || Column::TimeZone.name(),
        indonesian: "zona waktu",
        note: "template-note-zone",
        source: Some(Source::Zones),
        example: Example::First(Source::Zones),
        width: 20.0,
    },
    Described {
        english: || Column::Repeat.name(),
        indonesian: "ulangi",
        note: "template-note-repeat",
        source: Some(Source::Repeat),
        example: Example::Text("once"),
        width: 12.0,
    },
    Described {
        english: || Column::Duration.name(),
        indonesian: "durasi",
        note: "template-note-duration",
        source: None,
        example: Example::Text("2:00"),
        width: 12.0,
    },
    Described {
        english: || Column::StopAt.name(),
        indonesian: "selesai",
        note: "template-note-stop",
        source: None,
        example: Example::None,
        width: 12.0,
    },
    Described {
        english: || Column::Privacy.name(),
        indonesian: "privasi",
        note: "template-note-privacy",
        source: Some(Source::Privacy),
        example: Example::Text("public"),
        width: 12.0,
    },
    Described {
        english: || Column::Description.name(),
        indonesian: "deskripsi",
        note: "template-note-description",
        source: None,
        example: Example::None,
        width: 32.0,
    },
    Described {
        english: || Column::Thumbnail.name(),
        indonesian: "gambar mini",
        note: "template-note-thumbnail",
        source: Some(Source::Thumbnails),
        example: Example::First(Source::Thumbnails),
        width: 24.0,
    },
    Described {
        english: || Column::Paused.name(),
        indonesian: "dijeda",
        note: "template-note-paused",
        source: Some(Source::Flags),
        example: Example::Text("no"),
        width: 10.0,
    },
];

const SOURCES: [Source; 7] =
    [Source::Videos, Source::Keys, Source::Thumbnails, Source::Zones, Source::Privacy, Source::Repeat, Source::Flags];

impl Lists {
    fn of(&self, source: Source) -> Vec<&str> {
        match source {
            Source::Videos => self.videos.iter().map(String::as_str).collect(),
            Source::Keys => self.keys.iter().map(String::as_str).collect(),
            Source::Thumbnails => self.thumbnails.iter().map(String::as_str).collect(),
            Source::Zones => self.zones.iter().map(String::as_str).collect(),
            Source::Privacy => Privacy::ALL.into_iter().map(Privacy::code).collect(),
            Source::Repeat => vec!["once", "daily", "weekdays", "weekly"],
            Source::Flags => vec!["no", "yes"],
        }
    }
}

fn failed(cause: XlsxError) -> Error {
    Error::Internal(anyhow::Error::new(cause).context("writing the template"))
}

/// The workbook of schedules.
pub fn template(lists: &Lists, locale: Locale) -> Result<Vec<u8>> {
    empty_workbook("template-sheet", &COLUMNS, lists, locale)
}

/// A workbook of these columns to fill in; `name` is the id of the text that its sheet is called.
pub fn empty_workbook(name: &'static str, columns: &[Described], lists: &Lists, locale: Locale) -> Result<Vec<u8>> {
    let mut workbook = Workbook::new();
    let name = Message::new(name).in_locale(locale);
    let sheet = workbook.add_worksheet();
    sheet.set_name(name).map_err(failed)?;
    fill(sheet, columns, lists, locale)?;
    // A list in the cell's own rule may have 255 characters: a sheet that is not shown has as many as there are.
    let hidden = workbook.add_worksheet();
    hidden.set_name("lists").map_err(failed)?.set_hidden(true);
    for (place, source) in SOURCES.into_iter().enumerate() {
        let column = u16::try_from(place).unwrap_or(u16::MAX);
        for (row, text) in lists.of(source).into_iter().enumerate() {
            write_text(hidden, u32::try_from(row).unwrap_or(u32::MAX), column, text)?;
        }
    }
    workbook.save_to_buffer().map_err(failed)
}

fn fill(sheet: &mut Worksheet, columns: &[Described], lists: &Lists, locale: Locale) -> Result<()> {
    let head = Format::new().set_bold().set_background_color(Color::RGB(0x00DD_E7F5));
    let text = Format::new().set_num_format("@");
    sheet.set_freeze_panes(1, 0).map_err(failed)?;
    for (place, described) in columns.iter().enumerate() {
        let place = u16::try_from(place).unwrap_or(u16::MAX);
        let title = match locale {
            Locale::En => (described.english)(),
            Locale::Id => described.indonesian,
        };
        let note = Message::new(described.note).in_locale(locale);
        // Text, so that a spreadsheet makes no dates of its own order of what is typed.
        sheet.set_column_format(place, &text).map_err(failed)?;
        sheet.set_column_width(place, described.width).map_err(failed)?;
        sheet.write_string_with_format(0, place, title, &head).map_err(failed)?;
        sheet.insert_note(0, place, &Note::new(note).set_author("Jadwalstream")).map_err(failed)?;
        let example = match described.example {
            Example::Text(text) => text.to_owned(),
            Example::First(source) => lists.of(source).first().map(|text| (*text).to_owned()).unwrap_or_default(),
            Example::None => String::new(),
        };
        if !example.is_empty() {
            write_text(sheet, 1, place, &example)?;
        }
        let Some(source) = described.source else { continue };
        let (count, number) = (lists.of(source).len(), SOURCES.iter().position(|known| *known == source));
        if let (1.., Some(number)) = (count, number) {
            let letters = super::column_letters(number);
            let formula = Formula::new(format!("=lists!${letters}$1:${letters}${count}"));
            // Other names may be typed: several videos, a file name, a key of another stream.
            let rule =
                DataValidation::new().allow_list_formula(formula).set_error_style(DataValidationErrorStyle::Warning);
            sheet.add_data_validation(1, place, LINES, place, &rule).map_err(failed)?;
        }
    }
    Ok(())
}
