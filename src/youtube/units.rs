//! What each call of the API costs, in units.
//!
//! Source: Google, "Quota Calculator" (developers.google.com/youtube/v3/determine_quota_cost), table "Quota costs"; the
//! methods of the Live Streaming API cost as the others of their kind (a list 1, a change 50). A request that is refused
//! costs at least 1; we count it in full, as the call was made before anybody knew. Where Google changes a price, the
//! setting `youtube.costs` says so without a new program.

use std::collections::BTreeMap;

/// A method of the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// `liveBroadcasts.list`
    BroadcastsList,
    /// `liveBroadcasts.insert`
    BroadcastsInsert,
    /// `liveBroadcasts.update`
    BroadcastsUpdate,
    /// `liveBroadcasts.bind`
    BroadcastsBind,
    /// `liveBroadcasts.transition`
    BroadcastsTransition,
    /// `liveBroadcasts.delete`
    BroadcastsDelete,
    /// `liveStreams.list`
    StreamsList,
    /// `liveStreams.insert`
    StreamsInsert,
    /// `liveStreams.delete`
    StreamsDelete,
    /// `videos.list`
    VideosList,
    /// `videos.update`
    VideosUpdate,
    /// `videos.insert`; the bytes that follow within its upload session cost nothing.
    VideosInsert,
    /// `thumbnails.set`
    ThumbnailsSet,
    /// `playlistItems.list`
    PlaylistItemsList,
    /// `playlistItems.insert`
    PlaylistItemsInsert,
    /// `channels.list`
    ChannelsList,
}

impl Call {
    /// Every method that this program calls.
    pub const ALL: [Call; 16] = [
        Call::BroadcastsList,
        Call::BroadcastsInsert,
        Call::BroadcastsUpdate,
        Call::BroadcastsBind,
        Call::BroadcastsTransition,
        Call::BroadcastsDelete,
        Call::StreamsList,
        Call::StreamsInsert,
        Call::StreamsDelete,
        Call::VideosList,
        Call::VideosUpdate,
        Call::VideosInsert,
        Call::ThumbnailsSet,
        Call::PlaylistItemsList,
        Call::PlaylistItemsInsert,
        Call::ChannelsList,
    ];

    /// As Google's table names it.
    pub fn name(self) -> &'static str {
        match self {
            Call::BroadcastsList => "liveBroadcasts.list",
            Call::BroadcastsInsert => "liveBroadcasts.insert",
            Call::BroadcastsUpdate => "liveBroadcasts.update",
            Call::BroadcastsBind => "liveBroadcasts.bind",
            Call::BroadcastsTransition => "liveBroadcasts.transition",
            Call::BroadcastsDelete => "liveBroadcasts.delete",
            Call::StreamsList => "liveStreams.list",
            Call::StreamsInsert => "liveStreams.insert",
            Call::StreamsDelete => "liveStreams.delete",
            Call::VideosList => "videos.list",
            Call::VideosUpdate => "videos.update",
            Call::VideosInsert => "videos.insert",
            Call::ThumbnailsSet => "thumbnails.set",
            Call::PlaylistItemsList => "playlistItems.list",
            Call::PlaylistItemsInsert => "playlistItems.insert",
            Call::ChannelsList => "channels.list",
        }
    }

    fn usual(self) -> u64 {
        match self {
            Call::BroadcastsList
            | Call::StreamsList
            | Call::VideosList
            | Call::PlaylistItemsList
            | Call::ChannelsList => 1,
            Call::VideosInsert => 1600,
            Call::BroadcastsInsert
            | Call::BroadcastsUpdate
            | Call::BroadcastsBind
            | Call::BroadcastsTransition
            | Call::BroadcastsDelete
            | Call::StreamsInsert
            | Call::StreamsDelete
            | Call::VideosUpdate
            | Call::ThumbnailsSet
            | Call::PlaylistItemsInsert => 50,
        }
    }
}

/// What every broadcast is made with.
pub const TO_MAKE: [Call; 3] = [Call::BroadcastsInsert, Call::BroadcastsBind, Call::VideosUpdate];
/// What it is moved on with; on air its stream is looked at each minute besides.
pub const TO_AIR: [Call; 2] = [Call::BroadcastsTransition; 2];

/// The table with the settings' own prices.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Costs(BTreeMap<Call, u64>);

impl Costs {
    /// Reads prices such as `videos.insert=100`.
    ///
    /// # Errors
    /// The one that cannot be read.
    pub fn parse(own: &[String]) -> Result<Costs, String> {
        let read = |text: &String| {
            let (name, units) = text.split_once('=')?;
            let call = Call::ALL.into_iter().find(|call| call.name() == name.trim())?;
            let units = units.trim().parse::<u32>().ok().filter(|units| *units > 0)?;
            Some((call, u64::from(units)))
        };
        let table = own.iter().map(|text| read(text).ok_or_else(|| text.clone()));
        table.collect::<Result<_, _>>().map(Costs)
    }

    /// Units of a call.
    pub fn of(&self, call: Call) -> u64 {
        self.0.get(&call).copied().unwrap_or_else(|| call.usual())
    }

    /// Units of several calls.
    pub fn sum(&self, calls: &[Call]) -> u64 {
        calls.iter().map(|call| self.of(*call)).sum()
    }

    /// Units of one upload, and of one broadcast before it is on air for long.
    pub fn prices(&self) -> (u64, u64) {
        (self.of(Call::VideosInsert), self.sum(&TO_MAKE) + self.sum(&TO_AIR))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_are_google_s_unless_the_settings_say_otherwise() {
        let usual = Costs::default();
        for (call, units) in [
            (Call::BroadcastsList, 1),
            (Call::BroadcastsInsert, 50),
            (Call::BroadcastsBind, 50),
            (Call::BroadcastsTransition, 50),
            (Call::StreamsList, 1),
            (Call::StreamsInsert, 50),
            (Call::ThumbnailsSet, 50),
            (Call::VideosInsert, 1600),
            (Call::ChannelsList, 1),
        ] {
            assert_eq!(usual.of(call), units, "{}", call.name());
        }
        let own = Costs::parse(&["videos.insert = 100".into()]).unwrap();
        assert_eq!((own.of(Call::VideosInsert), own.of(Call::VideosUpdate)), (100, 50));
        assert_eq!(own.sum(&[Call::VideosInsert, Call::VideosList]), 101);
        assert_eq!((usual.prices(), own.prices()), ((1600, 250), (100, 250)));
        for wrong in ["videos.insert", "videos.insert=0", "videos.inert=5", "videos.insert=-1", ""] {
            assert_eq!(Costs::parse(&[wrong.into()]), Err(wrong.to_owned()));
        }
    }
}
