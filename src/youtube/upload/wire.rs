//! The protocol of resumable uploads.
//!
//! Source: Google, "Resumable Uploads" (developers.google.com/youtube/v3/guides/using_resumable_upload_protocol): a POST
//! opens a session whose address stands in `Location`; PUTs carry parts of a multiple of 256 KiB with `Content-Range`;
//! 308 says with `Range` how much is there; 200 or 201 bring the video; 404 says that there is no such session.

use std::time::Duration;

use bytes::Bytes;
use reqwest::header;
use secrecy::{ExposeSecret as _, SecretString};
use url::Url;

use super::pace::Pace;
use crate::youtube::api::Account;
use crate::youtube::fault::Fault;
use crate::youtube::model::Video;
use crate::youtube::units::Call;

/// A part has so long, however well it gets on.
const LIMIT: Duration = Duration::from_secs(600);

/// What the platform has of an upload.
pub(super) enum There {
    /// So many bytes.
    Bytes(u64),
    /// All, and this is the video.
    Video(String),
    /// It knows no such session.
    Nothing,
}

/// How many bytes a `Range` says to be there; none where it says anything else, or more than there are.
fn received(range: &str, total: u64) -> Option<u64> {
    let range = range.trim();
    let last = range.strip_prefix("bytes=").unwrap_or(range).strip_prefix("0-")?;
    last.parse::<u64>().ok()?.checked_add(1).filter(|there| *there <= total)
}

impl Account<'_> {
    /// Opens an upload session; its address.
    pub(super) async fn open_session(&self, video: &Video, total: u64, kind: &str) -> Result<SecretString, Fault> {
        let mut token = self.begin(Call::VideosInsert).await?;
        let url = self.address("upload/youtube/v3/videos");
        let query = [("uploadType", "resumable"), ("part", "snippet,status")];
        let make = |http: &reqwest::Client| {
            http.post(url.clone())
                .query(&query)
                .header("x-upload-content-length", total)
                .header("x-upload-content-type", kind)
                .json(video)
                .timeout(Duration::from_secs(60))
        };
        let response = self.send(&mut token, make).await?;
        if !response.status().is_success() {
            return Err(self.fault(token.project(), response).await);
        }
        let place = response.headers().get(header::LOCATION).and_then(|value| value.to_str().ok());
        // Bytes and token go to the platform only, whatever an answer says.
        let place = place.and_then(|text| Url::parse(text).ok()).filter(|place| place.origin() == url.origin());
        place.map(|place| SecretString::from(String::from(place))).ok_or_else(Fault::odd)
    }

    /// Sends a part that begins at `from`, or asks only what is there. Where nothing gets on for `quiet`, it is given up.
    pub(super) async fn put_part(
        &self,
        session: &SecretString,
        (from, total): (u64, u64),
        part: Option<Bytes>,
        quiet: Duration,
    ) -> Result<There, Fault> {
        // Within a session nothing costs units.
        let mut token = self.token().await?;
        let range = match &part {
            Some(part) => format!("bytes {from}-{}/{total}", from + part.len() as u64 - 1),
            None => format!("bytes */{total}"),
        };
        let pace = Pace::new();
        let make = |http: &reqwest::Client| {
            let request = http.put(session.expose_secret()).header(header::CONTENT_RANGE, &range).timeout(LIMIT);
            match &part {
                Some(part) => request.header(header::CONTENT_LENGTH, part.len()).body(pace.body(part.clone())),
                None => request.header(header::CONTENT_LENGTH, 0),
            }
        };
        let response = tokio::select! {
            response = self.send(&mut token, make) => response?,
            // It may have arrived all the same; the next try asks.
            () = pace.lost(quiet) => return Err(Fault::unreachable(true)),
        };
        match response.status().as_u16() {
            308 => {
                let there = match response.headers().get(header::RANGE) {
                    None => Some(0),
                    Some(range) => range.to_str().ok().and_then(|range| received(range, total)),
                };
                there.map(There::Bytes).ok_or_else(Fault::odd)
            }
            200 | 201 => {
                let video: Video = self.read_json(response).await?;
                video.id.map(There::Video).ok_or_else(Fault::odd)
            }
            404 | 410 => Ok(There::Nothing),
            _ => Err(self.fault(token.project(), response).await),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_range_is_read_to_the_end_of_the_file_and_no_further() {
        for (range, there) in [("bytes=0-0", 1), ("bytes=0-99", 100), ("0-41", 42)] {
            assert_eq!(received(range, 100), Some(there), "{range}");
        }
        for range in [
            "bytes=0-100",
            "bytes=0-18446744073709551615",
            "bytes=0-18446744073709551616",
            "bytes=1-9",
            "bytes=0--1",
            "bytes=0-9, 20-30",
            "bytes=-9",
            "",
            "x",
        ] {
            assert_eq!(received(range, 100), None, "{range}");
        }
        assert_eq!(received("bytes=0-18446744073709551615", u64::MAX), None);
    }
}
