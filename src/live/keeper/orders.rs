//! What may end a stream from outside: a signal, or the stop time by the wall clock.

use std::io;
use std::time::Duration;

use jiff::Timestamp;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::time::sleep;

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
    /// Taken so that it does not end us.
    _hangup: Signal,
    stop_at: Option<Timestamp>,
    stopped: bool,
}

impl Orders {
    pub(crate) fn listen(stop_at: Option<Timestamp>) -> io::Result<Orders> {
        Ok(Orders {
            term: signal(SignalKind::terminate())?,
            int: signal(SignalKind::interrupt())?,
            _hangup: signal(SignalKind::hangup())?,
            stop_at,
            stopped: false,
        })
    }

    /// Resolves when there is an order, and again at once when asked again. May be dropped at any await.
    pub(crate) async fn due(&mut self) -> Order {
        if self.stopped {
            return Order::Stop;
        }
        let stop_time = async {
            match self.stop_at {
                Some(at) => until(at).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            biased;
            _ = self.term.recv() => {}
            _ = self.int.recv() => {}
            () = stop_time => return Order::StopTime,
        }
        self.stopped = true;
        Order::Stop
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
