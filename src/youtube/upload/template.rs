//! An empty workbook for uploads, with the names of the library's own videos and thumbnails.

use super::sheet::EXAMPLE;
use crate::error::Result;
use crate::library::{Library, Thumbnail, Video, VideoState};
use crate::schedule::sheet::{Described, Example, Lists, Source, empty_workbook};
use crate::text::Locale;

const COLUMNS: [Described; 9] = [
    Described {
        english: || "video",
        indonesian: "video",
        note: "template-upload-video",
        source: Some(Source::Videos),
        example: Example::Text(EXAMPLE),
        width: 32.0,
    },
    Described {
        english: || "title",
        indonesian: "judul",
        note: "template-upload-title",
        source: None,
        example: Example::Text("Contoh – Example"),
        width: 32.0,
    },
    Described {
        english: || "description",
        indonesian: "deskripsi",
        note: "template-upload-description",
        source: None,
        example: Example::None,
        width: 32.0,
    },
    Described {
        english: || "tags",
        indonesian: "tag",
        note: "template-upload-tags",
        source: None,
        example: Example::Text("hujan, rain"),
        width: 24.0,
    },
    Described {
        english: || "publish time",
        indonesian: "waktu terbit",
        note: "template-upload-publish",
        source: None,
        example: Example::Text("2027-01-04 20:00"),
        width: 20.0,
    },
    Described {
        english: || "privacy",
        indonesian: "privasi",
        note: "template-upload-privacy",
        source: Some(Source::Privacy),
        example: Example::Text("public"),
        width: 12.0,
    },
    Described {
        english: || "thumbnail",
        indonesian: "gambar mini",
        note: "template-upload-thumbnail",
        source: Some(Source::Thumbnails),
        example: Example::First(Source::Thumbnails),
        width: 24.0,
    },
    Described {
        english: || "category",
        indonesian: "kategori",
        note: "template-upload-category",
        source: None,
        example: Example::None,
        width: 16.0,
    },
    Described {
        english: || "playlist",
        indonesian: "daftar putar",
        note: "template-upload-playlist",
        source: None,
        example: Example::None,
        width: 24.0,
    },
];

impl Library {
    /// An empty workbook for uploads; its example is passed over when it is read.
    pub async fn upload_template(&self, locale: Locale) -> Result<Vec<u8>> {
        let read = move |rows: &crate::store::rows::Reader<'_>| {
            let mut lists = Lists::default();
            rows.each::<Video>(true, |row| {
                if row.value.state == VideoState::Ready {
                    lists.videos.push(row.value.title);
                }
                std::ops::ControlFlow::Continue(())
            })?;
            rows.each::<Thumbnail>(true, |row| {
                if !row.value.going {
                    lists.thumbnails.push(row.value.title);
                }
                std::ops::ControlFlow::Continue(())
            })?;
            for names in [&mut lists.videos, &mut lists.thumbnails] {
                names.sort_by_key(|name| name.to_lowercase());
                names.dedup();
            }
            empty_workbook("template-upload-sheet", &COLUMNS, &lists, locale)
        };
        self.rows().read(read).await
    }
}
