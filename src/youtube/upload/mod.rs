//! Videos of the library on their way to a channel.
//!
//! A row stands for each one before anything is sent. The bytes go in one upload session, whose address is kept sealed:
//! after a cut, a restart or kill -9 the platform is asked how much it has, and the rest follows.

mod calls;
mod gain;
mod pace;
mod send;
mod sheet;
mod template;
mod wire;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

pub use calls::{NewUpload, UploadTexts};
pub(super) use send::Uploader;
pub use sheet::{SHEET_HEADS, SheetRow, read_sheet};

use crate::schedule::sheet::Privacy;
use crate::store::rows::{Header, Index, Record};
use crate::text::Message;
use crate::vault::{Purpose, Sealed, Secretive};

/// Uploads of one tenant that wait or run.
pub const MOST_OPEN: usize = 500;
/// Uploads of one tenant that are over and still shown; beyond, the oldest go.
pub const MOST_OVER: usize = 1000;

/// Where an upload is in its life.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum UploadState {
    /// Waits for its turn, for units or for the next try.
    Waiting,
    /// Bytes are on their way.
    Sending,
    /// The video is there; its picture and playlist follow.
    Finishing,
    /// Everything is there.
    Done,
    /// It could not be done.
    Failed,
    /// Somebody did not want it any more.
    Cancelled,
}

impl UploadState {
    /// The word of the API.
    pub fn code(self) -> &'static str {
        match self {
            UploadState::Waiting => "waiting",
            UploadState::Sending => "sending",
            UploadState::Finishing => "finishing",
            UploadState::Done => "done",
            UploadState::Failed => "failed",
            UploadState::Cancelled => "cancelled",
        }
    }

    /// Something is still to be done.
    pub fn is_open(self) -> bool {
        matches!(self, UploadState::Waiting | UploadState::Sending | UploadState::Finishing)
    }
}

/// A video on its way to a channel.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Upload {
    /// The video.
    pub video_id: Uuid,
    /// The connection of the channel.
    pub channel_id: Uuid,
    /// What it is called there, and so on.
    pub texts: UploadTexts,
    /// Where it is.
    pub state: UploadState,
    /// Bytes of the video.
    pub total: u64,
    /// Bytes that the platform has.
    pub sent: u64,
    /// Address of the upload session. Secret: whoever has it may send.
    pub session: Option<Sealed>,
    /// Upload sessions that were opened for it; each one costs units.
    #[serde(default)]
    pub sessions: u32,
    /// The most that this session has got on to.
    #[serde(default)]
    pub reached: u64,
    /// The platform's id of the video.
    pub platform_id: Option<String>,
    /// The picture is set, or given up.
    pub pictured: bool,
    /// It is in its playlist, or that is given up.
    pub listed: bool,
    /// Tries in vain in a row.
    pub tries: u32,
    /// Nothing is tried before then.
    pub not_before: Option<Timestamp>,
    /// What stands in the way, or went wrong.
    pub trouble: Option<Message>,
    /// When it was over.
    pub ended_at: Option<Timestamp>,
    /// Whose channel it was, where that is not connected any more.
    #[serde(default)]
    pub account: Option<String>,
}

impl Upload {
    /// Where viewers find it.
    pub fn link(&self) -> Option<String> {
        self.platform_id.as_ref().map(|id| format!("https://www.youtube.com/watch?v={id}"))
    }

    /// What the record of acts keeps of it.
    fn recorded(&self, id: Uuid) -> String {
        let words = [Some(id.to_string()), Some(self.state.code().to_owned()), self.link()];
        words.into_iter().flatten().collect::<Vec<_>>().join(" ")
    }
}

/// How what was not said is.
fn usual(privacy: Option<Privacy>) -> Privacy {
    // What was not asked for is not shown to the world.
    privacy.unwrap_or(Privacy::Private)
}

impl Record for Upload {
    const KIND: &'static str = "youtube_upload";
    fn indexes(&self, _: &Header) -> Vec<Index> {
        let mut indexes = vec![Index { name: "video", key: self.video_id.as_bytes().to_vec(), value: Vec::new() }];
        let name = if self.state.is_open() { "open" } else { "over" };
        indexes.push(Index { name, key: Vec::new(), value: Vec::new() });
        indexes
    }
}

impl Secretive for Upload {
    fn secrets(&self, id: Uuid) -> Vec<(Purpose, Uuid, &Sealed)> {
        self.session.iter().map(|session| (Purpose::UploadSession, id, session)).collect()
    }
}
