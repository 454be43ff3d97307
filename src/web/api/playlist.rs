//! How the videos of a stream go together, for programs.

use serde::Serialize;
use utoipa::ToSchema;
use uuid::Uuid;

use super::streams::StreamBody;
use crate::error::Result;
use crate::library::Library;
use crate::live::{Fit, StreamView};
use crate::text::Locale;

/// How the videos of a stream go together.
#[derive(Serialize, ToSchema)]
#[schema(as = Playlist)]
pub(super) struct PlaylistBody {
    /// They are sent in one piece; otherwise each is sent by itself, with a moment between two.
    together: bool,
    /// The videos that are not like most of them.
    differing: Vec<DifferingBody>,
}

/// A video that is not like most of its playlist; optimising it mends that.
#[derive(Serialize, ToSchema)]
#[schema(as = DifferingVideo)]
struct DifferingBody {
    video_id: Uuid,
    /// What it has in place of what.
    reasons: Vec<String>,
}

impl PlaylistBody {
    pub fn of(fit: &Fit, locale: Locale) -> PlaylistBody {
        let differing = fit.odd.iter().map(|odd| DifferingBody {
            video_id: odd.video,
            reasons: odd.reasons.iter().map(|reason| reason.in_locale(locale)).collect(),
        });
        PlaylistBody { together: fit.is_together(), differing: differing.collect() }
    }
}

/// A stream with how its videos go together.
pub(super) async fn whole(library: &Library, view: &StreamView, locale: Locale) -> Result<StreamBody> {
    let fit = library.playlist_fit(&view.row.value.videos).await?;
    Ok(StreamBody::of(view, Some(&fit), locale))
}
