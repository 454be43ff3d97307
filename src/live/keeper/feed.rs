//! What one ffmpeg is fed with, and the files that this takes.

use std::io;
use std::path::Path;

use super::Session;
use super::playlist::Step;
use crate::live::ffmpeg::{self, Feed, Source};
use crate::live::paint::{self, Painting};

impl Session {
    pub(super) fn feed(&self, step: &Step) -> io::Result<Feed> {
        let items: Vec<_> = step.items.iter().map(|item| &self.plan.items[*item]).collect();
        let source = match items.as_slice() {
            [only] => Source::File { url: only.url().to_owned(), demuxer: only.demuxer().to_owned() },
            several => {
                let list = several.iter().map(|item| (item.url(), item.demuxer(), item.duration()));
                self.folder.write_list(&ffmpeg::list(list))?;
                let url = format!("file:{}", self.folder.list().display());
                let demuxers = several.iter().map(|item| item.demuxer().to_owned()).collect();
                Source::List { url, demuxers }
            }
        };
        let painting = match &self.plan.painting {
            Some(painting) => Some(self.lay_out(painting)?),
            None => None,
        };
        let silent = items.iter().all(|item| !item.has_audio());
        Ok(Feed { source, silent, seek: step.seek, repeat: step.repeat, painting })
    }

    /// Puts the words that are drawn beside the process. A logo that is gone is no reason to go off air.
    fn lay_out(&self, painting: &Painting) -> io::Result<Painting> {
        let mut painting = painting.clone();
        painting.logo = painting.logo.filter(|logo| Path::new(logo.path()).is_file());
        if let Some((text, _)) = &painting.caption {
            self.folder.write_words(paint::CAPTION, text)?;
        }
        if painting.clock.is_some() {
            self.folder.write_words(paint::CLOCK, paint::CLOCK_TEXT)?;
        }
        Ok(painting)
    }
}
