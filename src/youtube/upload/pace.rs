//! Whether a part gets on: its body goes out in crumbs, and each one that the connection takes is noticed.

use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use futures_util::StreamExt as _;
use parking_lot::Mutex;
use reqwest::Body;
use tokio::time::Instant;

/// What is handed to the connection at once. One that takes less within the quiet time is as good as one that takes
/// nothing.
const CRUMB: usize = 64 << 10;

/// When the connection took something last.
#[derive(Clone)]
pub(super) struct Pace(Arc<Mutex<Instant>>);

impl Pace {
    pub fn new() -> Pace {
        Pace(Arc::new(Mutex::new(Instant::now())))
    }

    /// The bytes as a body whose getting on is noticed.
    pub fn body(&self, bytes: Bytes) -> Body {
        let pace = self.clone();
        Body::wrap_stream(futures_util::stream::iter(crumbs(bytes)).inspect(move |_| pace.step()))
    }

    fn step(&self) {
        *self.0.lock() = Instant::now();
    }

    /// Ends when nothing has been taken, and no answer has come, for so long.
    pub async fn lost(&self, quiet: Duration) {
        loop {
            let end = *self.0.lock() + quiet;
            if Instant::now() >= end {
                return;
            }
            tokio::time::sleep_until(end).await;
        }
    }
}

fn crumbs(mut bytes: Bytes) -> impl Iterator<Item = Result<Bytes, Infallible>> {
    std::iter::from_fn(move || (!bytes.is_empty()).then(|| Ok(bytes.split_to(CRUMB.min(bytes.len())))))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn crumbs_are_the_bytes() {
        let bytes = Bytes::from((0..200_000_u32).map(|n| n as u8).collect::<Vec<u8>>());
        let cut: Vec<Bytes> = crumbs(bytes.clone()).map(|crumb| crumb.unwrap_or_default()).collect();
        assert_eq!((cut.len(), cut.concat()), (4, bytes.to_vec()));
        assert_eq!(crumbs(Bytes::new()).count(), 0);
    }

    #[tokio::test]
    async fn only_what_has_been_quiet_for_so_long_is_lost() {
        use futures_util::FutureExt as _;
        let pace = Pace::new();
        pace.step();
        assert_eq!(pace.lost(Duration::from_secs(3600)).now_or_never(), None);
        assert_eq!(pace.lost(Duration::ZERO).now_or_never(), Some(()));
    }
}
