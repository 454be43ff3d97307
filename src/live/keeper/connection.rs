//! ffmpeg's connection, held a second time, so that a line that goes dead leaves nothing behind at the far end.
//!
//! When packets are lost for half a minute, TCP's own pauses have grown beyond that: it would be silent for as long
//! again. And a far end that heard of no end takes the key for busy. So the kernel gives the connection up after the
//! patience of a send; it is broken off rather than closed; and the keeper knocks from the same port: to the far end
//! that is the old connection beginning anew, which it answers by looking after it, and finds it gone.
//!
//! Where any of this cannot be done, things go on as without it, only more slowly.

use std::fs;
use std::io;
use std::net::SocketAddr;
use std::os::fd::{OwnedFd, RawFd};
use std::time::Duration;

use rustix::net::sockopt::{set_socket_linger, set_tcp_user_timeout};
use rustix::net::{getpeername, getsockname};
use tokio::net::{TcpSocket, TcpStream};

use crate::live::pidfd::ProcessHandle;

/// Both ends of a connection.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Ends {
    local: SocketAddr,
    peer: SocketAddr,
}

/// A connection of another process.
#[derive(Debug)]
pub(super) struct Connection {
    socket: OwnedFd,
    ends: Ends,
}

impl Connection {
    /// The TCP connection of a child to a port; nothing where it has none, or may not be looked at.
    pub(super) fn of(pid: u32, port: u16) -> Option<Connection> {
        let process = ProcessHandle::open(i32::try_from(pid).ok()?).ok()??;
        for entry in fs::read_dir(format!("/proc/{pid}/fd")).ok()?.flatten() {
            let is_socket = fs::read_link(entry.path()).is_ok_and(|to| to.to_string_lossy().starts_with("socket:"));
            let Some(number) = entry.file_name().to_str().and_then(|name| name.parse::<RawFd>().ok()) else { continue };
            if !is_socket {
                continue;
            }
            let Ok(socket) = process.copy_of(number) else { continue };
            if let Some(ends) = ends(&socket).filter(|ends| ends.peer.port() == port) {
                return Some(Connection { socket, ends });
            }
        }
        None
    }

    /// Has the kernel give it up when what was sent is not answered for so long.
    pub(super) fn give_up_after(&self, patience: Duration) {
        let _ = set_tcp_user_timeout(&self.socket, u32::try_from(patience.as_millis()).unwrap_or(u32::MAX));
    }

    /// Breaks it off: what was not sent yet is thrown away, and the far end is told, if it can be. Its ends, which are
    /// free now. The process that it belongs to has ended.
    pub(super) fn break_off(self) -> Ends {
        let _ = set_socket_linger(&self.socket, Some(Duration::ZERO));
        self.ends
    }
}

fn ends(socket: &OwnedFd) -> Option<Ends> {
    let local = SocketAddr::try_from(getsockname(socket).ok()?).ok()?;
    let peer = SocketAddr::try_from(getpeername(socket).ok()??).ok()?;
    Some(Ends { local, peer })
}

impl Ends {
    /// Connects between the same ends again.
    pub(super) async fn knock(&self) -> io::Result<TcpStream> {
        let socket = if self.peer.is_ipv4() { TcpSocket::new_v4()? } else { TcpSocket::new_v6()? };
        socket.set_reuseaddr(true)?;
        socket.bind(self.local)?;
        socket.connect(self.peer).await
    }
}

#[cfg(test)]
mod tests {
    use tokio::io::AsyncReadExt;
    use tokio::net::TcpListener;

    use super::*;

    #[tokio::test]
    async fn what_is_broken_off_is_reset_and_its_port_knocks_again() {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let port = listener.local_addr().unwrap().port();
        let sent = TcpStream::connect(("127.0.0.1", port)).await.unwrap();
        let local = sent.local_addr().unwrap();
        let (mut taken, from) = listener.accept().await.unwrap();
        assert_eq!(from, local);
        assert!(Connection::of(std::process::id(), 1).is_none());
        // Of several sockets of this process that have to do with the port, the one that leads to it.
        let connection = Connection::of(std::process::id(), port).unwrap();
        assert_eq!(connection.ends, Ends { local, peer: listener.local_addr().unwrap() });
        connection.give_up_after(Duration::from_secs(15));
        drop(sent);
        let ends = connection.break_off();
        let error = taken.read(&mut [0; 8]).await.unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::ConnectionReset);
        let again = ends.knock().await.unwrap();
        assert_eq!(again.local_addr().unwrap(), local);
        assert_eq!(listener.accept().await.unwrap().1, local);
    }
}
