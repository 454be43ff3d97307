//! What broadcasts of a stream or a schedule are told, as programs read and write it.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;
use uuid::Uuid;

use crate::schedule::sheet::Privacy;
use crate::schedule::{Broadcast, Latency};

/// Texts and settings of broadcasts on a connected channel. What is null is as the stream says, and what that leaves
/// open is as usual.
#[derive(Debug, Clone, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
#[schema(as = Broadcast)]
pub(super) struct BroadcastBody {
    /// At most 100 characters; the stream's title where null. `{title}`, `{date}`, `{time}`, `{day}`, `{month}`,
    /// `{year}` and `{number}` are filled in for each occurrence, here and in the description.
    title: Option<String>,
    /// At most 5,000 bytes.
    description: Option<String>,
    /// Together at most 500 characters.
    tags: Option<Vec<String>>,
    /// YouTube's number of a category.
    category: Option<u16>,
    /// `public`, `unlisted` or `private`.
    #[schema(value_type = Option<String>)]
    privacy: Option<Privacy>,
    made_for_kids: Option<bool>,
    auto_start: Option<bool>,
    auto_stop: Option<bool>,
    latency: Option<Latency>,
    /// Viewers may go back.
    dvr: Option<bool>,
    /// A new broadcast follows before YouTube stops recording this one, at 11 h 45 min.
    roll_over: Option<bool>,
    thumbnail_id: Option<Uuid>,
    /// Address or id of a playlist of the channel.
    playlist: Option<String>,
}

impl From<&Broadcast> for BroadcastBody {
    fn from(broadcast: &Broadcast) -> BroadcastBody {
        let Broadcast { title, description, tags, category, privacy, made_for_kids, auto_start, auto_stop, .. } =
            broadcast.clone();
        let Broadcast { latency, dvr, roll_over, thumbnail_id, playlist, .. } = broadcast.clone();
        BroadcastBody {
            title,
            description,
            tags,
            category,
            privacy,
            made_for_kids,
            auto_start,
            auto_stop,
            latency,
            dvr,
            roll_over,
            thumbnail_id,
            playlist,
        }
    }
}

impl From<BroadcastBody> for Broadcast {
    fn from(body: BroadcastBody) -> Broadcast {
        let BroadcastBody { title, description, tags, category, privacy, made_for_kids, auto_start, .. } = body.clone();
        let BroadcastBody { auto_stop, latency, dvr, roll_over, thumbnail_id, playlist, .. } = body;
        Broadcast {
            title,
            description,
            tags,
            category,
            privacy,
            made_for_kids,
            auto_start,
            auto_stop,
            latency,
            dvr,
            roll_over,
            thumbnail_id,
            playlist,
        }
    }
}
