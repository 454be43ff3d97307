//! How many connections one address may hold, and for how long without asking for anything: whoever opens them without
//! end, or begins requests that never end, takes no others' places.

use std::any::Any;
use std::collections::HashMap;
use std::net::{IpAddr, SocketAddr};
use std::os::fd::{AsRawFd as _, RawFd};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll};
use std::time::{Duration, Instant};

use actix_web::body::{BodySize, BoxBody, MessageBody};
use actix_web::dev::Extensions;
use actix_web::rt::net::TcpStream;
use actix_web::web::Bytes;
use nix::sys::socket::{Shutdown, SockaddrStorage, getpeername, shutdown};
use parking_lot::Mutex;

use super::present::{Guest, Present};
use crate::auth::network;
use crate::config::Config;

/// A connection on which nobody asks is kept for so long.
pub(crate) const KEEP_ALIVE: Duration = Duration::from_secs(75);
/// The HTTP server closes it then, unless something has come that may become a request. It times only the first head of
/// a connection; the others are given so much longer.
const PATIENCE: Duration = Duration::from_secs(10);

/// The open connections.
#[derive(Clone)]
pub struct Connections {
    present: Present<String>,
    lines: Arc<Mutex<HashMap<SocketAddr, Arc<Line>>>>,
    most: usize,
    proxies: Vec<IpAddr>,
}

struct Line {
    socket: RawFd,
    state: Mutex<Use>,
}

struct Use {
    /// Requests that are being answered.
    requests: usize,
    /// When the last of them was.
    since: Instant,
}

/// A connection; lies with it for as long as it is open.
pub(super) struct Open {
    line: Arc<Line>,
    peer: SocketAddr,
    lines: Arc<Mutex<HashMap<SocketAddr, Arc<Line>>>>,
    _guest: Option<Guest<String>>,
}

impl Drop for Open {
    fn drop(&mut self) {
        let mut lines = self.lines.lock();
        if lines.get(&self.peer).is_some_and(|line| Arc::ptr_eq(line, &self.line)) {
            lines.remove(&self.peer);
        }
    }
}

impl Connections {
    /// No address gets more than half of `all` places.
    pub fn new(config: &Config, all: usize) -> Connections {
        let most = config.limits.connections_per_address.get().min((all / 2).max(1));
        let proxies = config.trusted_proxies.clone();
        Connections { present: Present::default(), lines: Arc::default(), most, proxies }
    }

    /// To be told of every new connection; one too many is closed at once.
    pub fn opened(&self, connection: &dyn Any, extensions: &mut Extensions) {
        let Some(stream) = connection.downcast_ref::<TcpStream>() else { return };
        let (Ok(peer), socket) = (stream.peer_addr(), stream.as_raw_fd()) else { return };
        let address = peer.ip().to_canonical();
        // A proxy brings the connections of all its visitors; one on this machine comes from here.
        let here = [IpAddr::from([127, 0, 0, 1]), IpAddr::from([0, 0, 0, 0, 0, 0, 0, 1])];
        let guest = if here.contains(&address) || self.proxies.contains(&address) {
            None
        } else {
            let guest = self.present.enter(vec![(network(address), self.most)]);
            if guest.is_none() {
                // The server then reads its end, and gives the place back.
                let _ = shutdown(socket, Shutdown::Both);
                return;
            }
            guest
        };
        let line = Arc::new(Line { socket, state: Mutex::new(Use { requests: 0, since: Instant::now() }) });
        self.lines.lock().insert(peer, line.clone());
        extensions.insert(Open { line, peer, lines: self.lines.clone(), _guest: guest });
    }

    /// Closes connections on which nobody has asked for anything for too long.
    pub fn sweep(&self) {
        for (peer, line) in self.lines.lock().iter() {
            let idle = {
                let state = line.state.lock();
                state.requests == 0 && state.since.elapsed() > KEEP_ALIVE + PATIENCE
            };
            // The number may be another file's by now if the connection is just being closed; its other end is told by
            // the system.
            if idle && getpeername::<SockaddrStorage>(line.socket).is_ok_and(|found| is_same(&found, peer)) {
                let _ = shutdown(line.socket, Shutdown::Both);
            }
        }
    }
}

fn is_same(found: &SockaddrStorage, peer: &SocketAddr) -> bool {
    let found: Option<SocketAddr> = match (found.as_sockaddr_in(), found.as_sockaddr_in6()) {
        (Some(four), _) => Some(std::net::SocketAddrV4::from(*four).into()),
        (_, Some(six)) => Some(std::net::SocketAddrV6::from(*six).into()),
        _ => None,
    };
    found == Some(*peer)
}

impl Open {
    /// To be held while a request is answered.
    pub fn begin(&self) -> Busy {
        self.line.state.lock().requests += 1;
        Busy { line: self.line.clone() }
    }
}

/// A request that is being answered.
pub(super) struct Busy {
    line: Arc<Line>,
}

impl Drop for Busy {
    fn drop(&mut self) {
        let mut state = self.line.state.lock();
        state.requests -= 1;
        state.since = Instant::now();
    }
}

impl Busy {
    /// Goes on until a body is sent that is not ready yet.
    pub fn with(self, body: BoxBody) -> BoxBody {
        match body.try_into_bytes() {
            Ok(bytes) => BoxBody::new(bytes),
            Err(body) => BoxBody::new(Sending { body, _busy: self }),
        }
    }
}

struct Sending {
    body: BoxBody,
    _busy: Busy,
}

impl MessageBody for Sending {
    type Error = Box<dyn std::error::Error>;

    fn size(&self) -> BodySize {
        self.body.size()
    }

    fn poll_next(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<Option<Result<Bytes, Self::Error>>> {
        Pin::new(&mut self.body).poll_next(context)
    }
}
