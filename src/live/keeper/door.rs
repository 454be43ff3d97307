//! The way to the far end: which address to send to, and whether anybody answers there.

use std::io::ErrorKind::{AddrInUse, AddrNotAvailable, ConnectionRefused};
use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::net::TcpStream;

use super::Session;
use super::orders::Order;
use super::policy::Fault;
use crate::live::target::{AddressFault, Scheme, check_address};

/// The far end answers, but not to where the old connection was: so often it is asked again first.
const DOUBTS: u32 = 3;

impl Session {
    /// An address to send to, judged now, and whether it is an inner one. Of several, one that answers.
    pub(super) async fn address(&mut self) -> Result<Result<(SocketAddr, bool), Fault>, Order> {
        let destination = &self.plan.destination;
        let check = check_address(&destination.url, destination.allow_private);
        let checked = match self.orders.during(check).await? {
            Ok(checked) => checked,
            Err(AddressFault::Unknown(_)) => return Ok(Err(Fault::Unreachable)),
            Err(inner) => return Ok(Err(Fault::Inner(inner.message()))),
        };
        if let Some(known) = checked.addresses.iter().find(|address| self.preferred == Some(address.ip())) {
            return Ok(Ok((*known, checked.private)));
        }
        if let [only] = checked.addresses.as_slice() {
            return Ok(Ok((*only, checked.private)));
        }
        if destination.url.scheme() == Scheme::Srt {
            // No door to knock at: another one at every attempt.
            let turn = self.status.attempts as usize % checked.addresses.len();
            return Ok(Ok((checked.addresses[turn], checked.private)));
        }
        let answering = first_answering(&checked.addresses, self.patience());
        let answering = self.orders.during(answering).await?;
        self.preferred = answering.map(|address| address.ip());
        Ok(answering.map(|address| (address, checked.private)).ok_or(Fault::Unreachable))
    }

    /// Knocks until the far end answers, also from where the connection was that was broken off.
    pub(super) async fn knock(&mut self) -> Result<(), Order> {
        let patience = self.patience();
        let mut pause = patience.min(Duration::from_secs(1));
        let mut left = self.left.take();
        let mut doubts = DOUBTS;
        loop {
            let begun = Instant::now();
            let destination = &self.plan.destination;
            let url = destination.url.clone();
            let allow_private = destination.allow_private;
            let look = async {
                // A name that leads inside is for the next attempt to report.
                let Ok(checked) = check_address(&url, allow_private).await.map_err(|fault| match fault {
                    AddressFault::Inner(_) => true,
                    AddressFault::Unknown(_) => false,
                }) else {
                    return None;
                };
                first_answering(&checked.addresses, patience).await
            };
            let again = async {
                match left {
                    Some(ends) => tokio::time::timeout(patience, ends.knock()).await.ok(),
                    None => None,
                }
            };
            let (again, answering) = self.orders.during(async { tokio::join!(again, look) }).await?;
            let cleared = matches!(again, Some(Ok(_)));
            if let Some(Err(error)) = &again
                && matches!(error.kind(), ConnectionRefused | AddrInUse | AddrNotAvailable)
            {
                // Nothing can stand there any more, or the port is somebody else's by now.
                left = None;
            }
            if let Some(address) = answering {
                doubts -= 1;
                if cleared || left.is_none() || doubts == 0 {
                    self.preferred = Some(address.ip());
                    return Ok(());
                }
            }
            // Who waited for an answer has waited.
            if let Some(order) = self.orders.pause(pause.saturating_sub(begun.elapsed())).await {
                return Err(order);
            }
            pause = (pause * 2).min(patience);
        }
    }

    fn patience(&self) -> Duration {
        Duration::from_millis(self.plan.timing.knock_ms.max(50))
    }
}

async fn first_answering(addresses: &[SocketAddr], patience: Duration) -> Option<SocketAddr> {
    for address in addresses {
        if let Ok(Ok(_)) = tokio::time::timeout(patience, TcpStream::connect(address)).await {
            return Some(*address);
        }
    }
    None
}
