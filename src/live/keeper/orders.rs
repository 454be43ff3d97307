//! What may end a stream from outside: a signal, or the stop time by the wall clock.
//!
//! The stop time may be another one while the stream is on air: the server writes it beside the other files of the
//! target and sends SIGHUP. It is this process alone that holds it, so ffmpeg goes on undisturbed.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

use super::files::TargetFolder;

/// The wall clock may be set while we sleep: look at it at least this often.
const LOOK: Duration = Duration::from_secs(5);

/// Why it is time to go.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Order {
    /// Somebody stopped it.
    Stop,
    /// The stop time came.
    StopTime,
}

/// Listens.
pub(crate) struct Orders {
    term: Signal,
    int: Signal,
    hangup: Signal,
    folder: TargetFolder,
    fence: u64,
    stop_at: Option<Timestamp>,
    stopped: bool,
}

impl Orders {
    /// For the keeper with this fencing number, which lives in `folder`.
    pub(crate) fn listen(folder: TargetFolder, fence: u64, stop_at: Option<Timestamp>) -> io::Result<Orders> {
        Ok(Orders {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            hangup: signal(SignalKind::hangup())?,
            folder,
            fence,
            stop_at,
            stopped: false,
        })
    }

    /// When it has to end, as far as is known here.
    pub(crate) fn stop_at(&self) -> Option<Timestamp> {
        self.stop_at
    }

    /// Resolves when there is an order, and again at once when asked again. May be dropped at any await.
    pub(crate) async fn due(&mut self) -> Order {
        while !self.stopped {
            let stop_at = self.stop_at;
            let stop_time = async {
                match stop_at {
                    Some(at) => until(at).await,
                    None => std::future::pending().await,
                }
            };
            tokio::select! {
                biased;
                _ = self.term.recv() => self.stopped = true,
                _ = self.int.recv() => self.stopped = true,
                // Before the stop time: one that comes at that very instant still counts.
                _ = self.hangup.recv() => self.read_stop_time(),
                () = stop_time => return Order::StopTime,
            }
        }
        Order::Stop
    }

    /// What cannot be read changes nothing; the server sees by what we leave behind that it was not followed.
    fn read_stop_time(&mut self) {
        if let Some(told) = self.folder.stop_time().filter(|told| told.fence == self.fence) {
            self.stop_at = told.stop_at;
        }
    }

    /// Waits, unless an order comes first.
    pub(crate) async fn pause(&mut self, duration: Duration) -> Option<Order> {
        self.during(sleep(duration)).await.err()
    }

    /// Does `work`, unless an order comes first.
    pub(crate) async fn during<T>(&mut self, work: impl Future<Output = T>) -> Result<T, Order> {
        tokio::select! {
            biased;
            order = self.due() => Err(order),
            done = work => Ok(done),
        }
    }
}

/// Sleeps until an instant of the wall clock, also if the clock is set meanwhile.
pub(crate) async fn until(at: Timestamp) {
    while let Some(left) = left(at) {
        sleep(left.min(LOOK)).await;
    }
}

/// What is left until an instant; nothing when it is now or past.
pub(crate) fn left(at: Timestamp) -> Option<Duration> {
    Duration::try_from(at.duration_since(Timestamp::now())).ok().filter(|left| !left.is_zero())
}
