//! The demo's small library, so that the pages have something to show: made by ffmpeg, taken in by the same gate as
//! everything else.

use crate::error::Result;
use crate::store::blocking;
use crate::store::rows::{Row, Writer};
use crate::text::{Locale, Message};

use super::videos::Video;
use super::{Ask, Editor, ThumbnailFilter, VideoFilter};

const WANTED: &str = "sample-wanted";

impl Editor {
    /// Notes that this library is to have samples. They take seconds to make, so a later [`Editor::make_samples`] does
    /// it, after as many starts as it takes.
    pub async fn want_samples(&self) -> Result<()> {
        self.want_samples_with(|_| Ok(())).await
    }

    /// As [`Editor::want_samples`], with what `with` writes in the same batch.
    pub(crate) async fn want_samples_with(
        &self,
        mut with: impl FnMut(&mut Writer<'_>) -> Result<()> + Send + 'static,
    ) -> Result<()> {
        self.rows()
            .write(move |rows| {
                with(rows)?;
                rows.put_value(WANTED, &true)
            })
            .await
    }

    /// Makes the samples, if this library is to have any; they are given back, so that a stream can be made of them.
    ///
    /// # Errors
    /// [`crate::error::Error::Upstream`] if ffmpeg cannot make them.
    pub async fn make_samples(&self) -> Result<Vec<Row<Video>>> {
        if self.rows().read(|rows| rows.value::<bool>(WANTED)).await?.is_none() {
            return Ok(Vec::new());
        }
        // A start that was cut off may have made some.
        let all = Ask { limit: 100, ..Ask::default() };
        let there = self.videos(all.clone(), VideoFilter::All).await?;
        let mut videos: Vec<Row<Video>> = there.items.into_iter().map(|(_, row)| row).collect();
        let pictures = self.thumbnail_cards(all, ThumbnailFilter::Gallery).await?;
        let title = |message: &Message| message.in_locale(Locale::En);
        let sample = self.foundation().tools().sample_clips(self.tenant(), &self.bucket().temp_folder()?).await?;
        for clip in &sample.clips {
            let title = title(&clip.title);
            if !videos.iter().any(|row| row.value.title == title) {
                videos.push(self.take_file(&clip.path, &title).await?);
            }
        }
        for picture in sample.pictures {
            let title = title(&picture.title);
            if !pictures.items.iter().any(|(_, (card, _))| card.title == title) {
                self.keep_picture(picture.picture, &title).await?;
            }
        }
        let paths: Vec<_> = sample.clips.into_iter().map(|clip| clip.path).collect();
        blocking(move || Ok(paths.iter().try_for_each(std::fs::remove_file)?)).await?;
        self.rows()
            .write(|rows| {
                rows.delete_value(WANTED);
                Ok(())
            })
            .await?;
        Ok(videos)
    }
}
