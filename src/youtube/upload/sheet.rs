//! A workbook of videos to upload: a line each, with the columns video, title, description, tags, publish time, privacy,
//! thumbnail.

use std::collections::HashMap;

use jiff::tz::TimeZone;
use uuid::Uuid;

use super::{MOST_OPEN, NewUpload, UploadTexts};
use crate::error::{Error, FieldError, Result};
use crate::library::{Library, Thumbnail, Video, VideoState, names};
use crate::objects::intake::Spool;
use crate::schedule::broadcast::CATEGORIES;
use crate::schedule::sheet::{Moment, Privacy, Table, read_caged, read_moment};
use crate::store::blocking;
use crate::text::{Locale, Message};

/// Heads of the columns, in English and Indonesian.
pub const SHEET_HEADS: [(&str, &[&str]); 9] = [
    ("video", &["video", "file", "filename", "video_file", "videofile", "berkas"]),
    ("title", &["title", "judul"]),
    ("description", &["description", "deskripsi"]),
    ("tags", &["tags", "tag"]),
    ("publish_at", &["publish_at", "publish time", "publish_time", "publishat", "publishtime", "waktu terbit"]),
    ("privacy", &["privacy", "privacystatus", "privacy_status", "privasi"]),
    ("thumbnail", &["thumbnail", "thumbnail_file", "thumbnailfile", "gambar mini", "gambar"]),
    ("category", &["category", "kategori"]),
    ("playlist", &["playlist", "daftar putar"]),
];
/// The video of the template's example: a line with it means nothing.
pub(super) const EXAMPLE: &str = "contoh-example.mp4";

/// A line of a workbook that means an upload.
#[derive(Debug, Clone)]
pub struct SheetRow {
    /// Its number as Excel counts.
    pub number: u32,
    /// The upload.
    pub upload: NewUpload,
}

fn place_of(table: &Table, column: usize) -> Option<usize> {
    let names = SHEET_HEADS[column].1;
    table.heads.iter().position(|head| names.contains(&head.trim().to_lowercase().as_str()))
}

/// A category by YouTube's number, or as our own list calls it.
fn category(text: &str) -> Option<u16> {
    let called = |number: &u16| {
        let id = format!("youtube-category-{number}");
        [Locale::En, Locale::Id]
            .iter()
            .any(|locale| locale.text(&id, &HashMap::new()).to_lowercase() == text.to_lowercase())
    };
    text.parse().ok().or_else(|| CATEGORIES.into_iter().find(called))
}

struct Known {
    videos: Vec<(Uuid, String, String)>,
    thumbnails: Vec<(Uuid, String)>,
}

fn plain(name: &str) -> String {
    let file = name.rsplit(['/', '\\']).next().unwrap_or(name);
    names::composed(file.trim()).to_lowercase()
}

impl Known {
    async fn of(library: &Library) -> Result<Known> {
        library
            .rows()
            .read(|rows| {
                let mut known = Known { videos: Vec::new(), thumbnails: Vec::new() };
                rows.each::<Video>(false, |row| {
                    if row.value.state == VideoState::Ready {
                        known.videos.push((row.id(), plain(&row.value.title), plain(&row.value.original_name)));
                    }
                    std::ops::ControlFlow::Continue(())
                })?;
                rows.each::<Thumbnail>(false, |row| {
                    if !row.value.going {
                        known.thumbnails.push((row.id(), plain(&row.value.title)));
                    }
                    std::ops::ControlFlow::Continue(())
                })?;
                Ok(known)
            })
            .await
    }

    /// The one video that a name means; the newest where several are called so.
    fn video(&self, name: &str) -> Option<Uuid> {
        let wanted = plain(name);
        let id = Uuid::parse_str(name.trim()).ok();
        let stem = wanted.rsplit_once('.').map_or(wanted.as_str(), |(stem, _)| stem);
        let of = |test: &dyn Fn(&(Uuid, String, String)) -> bool| {
            self.videos.iter().rev().find(|one| test(one)).map(|one| one.0)
        };
        of(&|one| Some(one.0) == id)
            .or_else(|| of(&|one| one.2 == wanted))
            .or_else(|| of(&|one| one.1 == wanted || one.1 == stem))
    }

    fn thumbnail(&self, name: &str) -> Option<Uuid> {
        let wanted = plain(name);
        let id = Uuid::parse_str(name.trim()).ok();
        let stem = wanted.rsplit_once('.').map_or(wanted.as_str(), |(stem, _)| stem);
        let found = self.thumbnails.iter().rev().find(|one| Some(one.0) == id || one.1 == wanted || one.1 == stem);
        found.map(|one| one.0)
    }
}

/// Reads a workbook or CSV file; times without a zone are in `zone`.
///
/// # Errors
/// [`Error::Invalid`] with fields `line.<number>.<column>`, as of the first hundred lines that make no sense; what the
/// reader says of files that are none.
pub async fn read_sheet(library: &Library, file: Spool, zone: &TimeZone) -> Result<Vec<SheetRow>> {
    // Reading takes memory: few at once.
    let place = library.foundation().looks().place(library.tenant()).await?;
    let file = blocking(move || file.open()).await?;
    let tables = read_caged(library.foundation().tools(), file).await?;
    drop(place);
    let table = tables.iter().find(|table| place_of(table, 0).is_some());
    let Some(table) = table else {
        return Err(Error::field("file", Message::new("youtube-sheet-heads")));
    };
    // Each line is looked for among all videos.
    if table.lines.len() > MOST_OPEN {
        return Err(Error::field("file", Message::new("youtube-uploads-count").with("most", MOST_OPEN)));
    }
    let known = Known::of(library).await?;
    let mut rows = Vec::new();
    let mut errors: Vec<FieldError> = Vec::new();
    for line in &table.lines {
        let cell = |column: usize| place_of(table, column).map(|place| line.cell(place));
        let text = |column: usize| cell(column).map(|cell| cell.text()).filter(|text| !text.is_empty());
        let mut complain = |column: usize, message: Message| {
            errors.push(FieldError { field: format!("line.{}.{}", line.number, SHEET_HEADS[column].0), message });
        };
        let Some(name) = text(0).filter(|name| name != EXAMPLE) else { continue };
        let Some(video_id) = known.video(&name) else {
            complain(0, Message::new("youtube-sheet-video").with("name", name));
            continue;
        };
        let publish_at = match cell(4).filter(|cell| !cell.is_empty()) {
            None => None,
            Some(cell) => match read_moment(cell, None) {
                Ok(Moment::Local(at, named)) => {
                    let named = named.as_deref().and_then(crate::clock::zone);
                    let at = named.as_ref().unwrap_or(zone).to_ambiguous_timestamp(at).compatible().ok();
                    if at.is_none() {
                        complain(4, Message::new("date-and-time-expected"));
                    }
                    at
                }
                Ok(Moment::Exact(at)) => Some(at),
                Ok(_) => {
                    complain(4, Message::new("date-and-time-expected"));
                    None
                }
                Err(message) => {
                    complain(4, message);
                    None
                }
            },
        };
        let privacy = match text(5) {
            None => None,
            Some(word) => {
                let found = Privacy::read(&word);
                if found.is_none() {
                    complain(5, Message::new("choice-unknown"));
                }
                found
            }
        };
        let thumbnail_id = match text(6) {
            None => None,
            Some(name) => {
                let found = known.thumbnail(&name);
                if found.is_none() {
                    complain(6, Message::new("library-thumbnail-unknown"));
                }
                found
            }
        };
        let category = match text(7) {
            None => None,
            Some(number) => {
                let found = category(&number);
                if found.is_none() {
                    complain(7, Message::new("choice-unknown"));
                }
                found
            }
        };
        let tags = text(3).map(|tags| tags.split(',').map(|tag| tag.trim().to_owned()).collect());
        let texts = UploadTexts {
            title: text(1),
            description: text(2),
            tags,
            category,
            privacy,
            publish_at,
            made_for_kids: None,
            thumbnail_id,
            playlist: text(8),
        };
        rows.push(SheetRow { number: line.number, upload: NewUpload { video_id, texts } });
    }
    errors.truncate(100);
    if !errors.is_empty() {
        return Err(Error::Invalid(errors));
    }
    if rows.is_empty() {
        return Err(Error::field("file", Message::new("youtube-sheet-empty")));
    }
    Ok(rows)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_category_is_a_number_or_a_word_of_our_own_list() {
        let words = ["10", "Music", "musik", "Travel & events", "Nirlaba & aktivisme", "opera"];
        assert_eq!(words.map(category), [Some(10), Some(10), Some(10), Some(19), Some(29), None]);
    }
}
