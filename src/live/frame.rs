//! The picture that is being sent right now: taken from the video's file at the place that the encoder has reached,
//! which costs next to nothing and says the truth about a stream that is sent by copy.

use std::time::Instant;

use bytes::Bytes;
use uuid::Uuid;

use super::board::{FRAME_AGE, State};
use super::run::Run;
use crate::error::{Error, Result};
use crate::library::{Library, Video};

impl Library {
    /// The picture of a stream that is on air, as a JPEG of a few seconds ago at most.
    ///
    /// # Errors
    /// [`Error::NotFound`] while it sends nothing.
    pub async fn stream_frame(&self, id: Uuid) -> Result<Bytes> {
        let board = self.foundation().board();
        let state = board.state(self.scope(), id).filter(|state| state.bytes > 0).ok_or(Error::NotFound)?;
        let cell = board.frame(self.scope(), id);
        // Whoever asks while one is made gets that one.
        let mut kept = cell.lock().await;
        if let Some((taken, bytes)) = kept.as_ref()
            && taken.elapsed() < FRAME_AGE
        {
            return Ok(bytes.clone());
        }
        let bytes = self.take_frame(&state).await?;
        *kept = Some((Instant::now(), bytes.clone()));
        Ok(bytes)
    }

    async fn take_frame(&self, state: &State) -> Result<Bytes> {
        let run = state.run_id.ok_or(Error::NotFound)?;
        let furthest = state.targets.iter().max_by(|a, b| a.out_time.total_cmp(&b.out_time)).ok_or(Error::NotFound)?;
        let (item, out_time) = (furthest.item, furthest.out_time);
        let (video, at) = self
            .rows()
            .read(move |rows| {
                let run = rows.need::<Run>(run)?.value;
                let mut lengths = Vec::with_capacity(run.videos.len());
                for video in &run.videos {
                    lengths.push(rows.get::<Video>(*video)?.map_or(0.0, |row| row.value.facts.duration));
                }
                let video = *run.videos.get(item).ok_or(Error::NotFound)?;
                Ok((video, position(&lengths, item, out_time)))
            })
            .await?;
        let (row, file) = self.video_file(video).await?;
        let picture = self.foundation().tools().frame(&file, row.value.facts.container, at).await?;
        Ok(picture.bytes)
    }
}

/// How far into item number `item` a stream is that has sent `out_time` seconds; lists repeat.
fn position(lengths: &[f64], item: usize, out_time: f64) -> f64 {
    let round: f64 = lengths.iter().sum();
    let length = lengths.get(item).copied().unwrap_or(0.0);
    if round <= 0.0 || length <= 0.0 {
        return 0.0;
    }
    let before: f64 = lengths[..item].iter().sum();
    // A mixed list, or one that was begun again after a break, is elsewhere: any place of the item is as good.
    let at = (out_time % round) - before;
    let at = if (0.0..length).contains(&at) { at } else { out_time % length };
    // The very end has no frame any more.
    at.min((length - 0.5).max(0.0))
}

#[cfg(test)]
mod tests {
    use super::position;

    #[test]
    fn the_place_in_an_item_follows_from_what_was_sent() {
        assert_eq!(position(&[10.0], 0, 23.0), 3.0);
        assert_eq!(position(&[10.0, 20.0], 1, 45.0), 5.0);
        assert_eq!(position(&[10.0, 20.0], 0, 45.0), 5.0);
        assert_eq!(position(&[10.0], 0, 9.9), 9.5);
        assert_eq!(position(&[], 0, 5.0), 0.0);
        assert_eq!(position(&[0.0], 0, 5.0), 0.0);
    }
}
