//! Who plays a video: the streams that list it, and the runs that have it on air.

use std::collections::HashSet;

use uuid::Uuid;

use crate::error::Result;
use crate::store::rows::Reader;
use crate::{live, schedule};

/// A stream that plays a video.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Use {
    /// The stream.
    pub stream_id: Uuid,
    /// What it is called.
    pub title: String,
    /// Whether a run of it is on air.
    pub on_air: bool,
    /// Its schedules that have an occurrence to come.
    pub schedules: u64,
}

/// Whether a run that is on air plays this video, so that its bytes must stay.
pub fn pinned(rows: &Reader<'_>, video: Uuid) -> Result<bool> {
    live::pinned(rows, video)
}

/// The runs on air that play a video.
pub(super) fn runs_playing(rows: &Reader<'_>, video: Uuid) -> Result<Vec<Uuid>> {
    let playing = live::open_runs(rows)?.into_iter().filter(|run| run.value.videos.contains(&video));
    Ok(playing.map(|run| run.id()).collect())
}

/// Whether one of these runs is on air still.
pub(super) fn any_on_air(rows: &Reader<'_>, runs: &[Uuid]) -> Result<bool> {
    Ok(!runs.is_empty() && live::open_runs(rows)?.iter().any(|run| runs.contains(&run.id())))
}

/// The streams that play a video.
pub fn used_by(rows: &Reader<'_>, video: Uuid) -> Result<Vec<Use>> {
    let on_air: HashSet<Uuid> = live::open_runs(rows)?.into_iter().map(|run| run.value.stream_id).collect();
    let mut uses = Vec::new();
    for stream in live::streams_playing(rows, video)? {
        let stream_id = stream.id();
        let schedules = schedule::coming_of_stream(rows, stream_id)?;
        uses.push(Use { stream_id, title: stream.value.title, on_air: on_air.contains(&stream_id), schedules });
    }
    Ok(uses)
}

/// Titles of the streams that lay a thumbnail over their picture.
pub fn shown_by(rows: &Reader<'_>, thumbnail: Uuid) -> Result<Vec<String>> {
    Ok(live::streams_showing(rows, thumbnail)?.into_iter().map(|stream| stream.value.title).collect())
}

/// Every video that some stream plays.
pub fn used_videos(rows: &Reader<'_>) -> Result<HashSet<Uuid>> {
    live::played_videos(rows)
}
