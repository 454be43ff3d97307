//! Patience with clients that are slow, and its end.

use std::time::Duration;

use bytes::Bytes;
use futures_util::{Stream, StreamExt as _};
use tokio::time::{Instant, timeout_at};

use crate::error::{Error, Result};
use crate::text::Message;

/// A client has this long to bring [`PACE`] bytes.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);
const PACE: u64 = 16 << 10;
/// Notices a client that brings (next to) nothing.
pub(super) struct Pace {
    patience: Duration,
    until: Instant,
    bytes: u64,
}

impl Pace {
    pub fn begin(patience: Duration) -> Pace {
        Pace { patience, until: Instant::now() + patience, bytes: 0 }
    }

    pub async fn next<S>(&mut self, stream: &mut S) -> Result<Option<Bytes>>
    where
        S: Stream<Item = Result<Bytes>> + Unpin,
    {
        let chunk = timeout_at(self.until, stream.next())
            .await
            .map_err(|_| Error::Malformed(Message::new("library-upload-idle")))?
            .transpose()?;
        self.bytes += chunk.as_ref().map_or(0, |chunk| chunk.len() as u64);
        if self.bytes >= PACE {
            *self = Pace::begin(self.patience);
        }
        Ok(chunk)
    }
}

#[cfg(test)]
mod tests {
    use futures_util::stream;

    use super::*;

    #[tokio::test]
    async fn whoever_brings_next_to_nothing_is_given_up() {
        let drip = stream::unfold((), |()| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(Bytes::from_static(b"x")), ()))
        });
        let mut drip = Box::pin(drip);
        let mut pace = Pace::begin(Duration::from_millis(200));
        let refused = loop {
            match pace.next(&mut drip).await {
                Ok(chunk) => assert_eq!(chunk.as_deref(), Some(&b"x"[..])),
                Err(refused) => break refused,
            }
        };
        assert_eq!(refused.status(), 400);
        let chunk = Bytes::from(vec![0; PACE as usize / 4]);
        let mut steady = Box::pin(stream::unfold(chunk, |chunk| async {
            tokio::time::sleep(Duration::from_millis(20)).await;
            Some((Ok(chunk.clone()), chunk))
        }));
        let mut pace = Pace::begin(Duration::from_millis(200));
        for _ in 0..20 {
            assert!(pace.next(&mut steady).await.unwrap().is_some());
        }
    }
}
