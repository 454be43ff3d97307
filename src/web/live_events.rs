//! Server-sent events: a page or program is told what changed, for as long as its login lives.

use std::convert::Infallible;
use std::net::IpAddr;
use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use actix_web::{HttpMessage as _, HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;
use uuid::Uuid;

use super::Server;
use super::extract::{Address, server};
use super::present::{Guest, Present};
use crate::auth::{Accounts, Identity, UserName, network};
use crate::error::{Error, Result};
use crate::live::Watch;
use crate::store::{Change, Space};

/// Open connections of one user; a browser with many tabs stays below it.
const PER_USER: usize = 20;
/// Strangers share the demo account: of one login, of one address, and of all together.
const PER_VISITOR: usize = 6;
const PER_NETWORK: usize = 24;
const VISITORS: usize = 240;
/// A proxy between us closes a connection on which nothing moves.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// How long something was on air, and how the box is, changes without a notice.
const LOOK: Duration = Duration::from_secs(2);
/// Commits that follow each other closely are told as one.
const GATHER: Duration = Duration::from_millis(250);

/// All open connections of the server.
#[derive(Clone, Default)]
pub struct LiveEvents {
    closing: CancellationToken,
    open: Present<Key>,
}

/// What open connections are counted by.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
enum Key {
    User(UserName),
    Login(Uuid),
    Network(String),
}

impl LiveEvents {
    /// Ends every connection, so that a stopping server need not wait for them.
    pub fn close(&self) {
        self.closing.cancel();
    }

    fn enter(&self, me: &Identity, address: Option<IpAddr>) -> Result<Guest<Key>> {
        let user = Key::User(me.user.name.clone());
        let keys = if me.write_scope().is_ok() {
            vec![(user, PER_USER)]
        } else {
            let login = (Key::Login(me.session), PER_VISITOR);
            let network = address.map(|address| (Key::Network(network(address)), PER_NETWORK));
            [Some((user, VISITORS)), Some(login), network].into_iter().flatten().collect()
        };
        self.open.enter(keys).ok_or(Error::TooMany { retry_after: Duration::from_secs(30) })
    }
}

/// Reads what is to be told: the event's data, as one line of JSON.
type Read = Box<dyn FnMut() -> LocalBoxFuture<'static, Result<String>>>;

struct Connection {
    server: actix_web::web::Data<Server>,
    me: Identity,
    changes: Receiver<Change>,
    on_air: Watch,
    read: Read,
    told: String,
    look_at: Instant,
    beat_at: Instant,
    _place: Guest<Key>,
}

/// What woke a connection.
enum Woken {
    /// Something of the reader's library, or of what is on air of it, changed.
    Library,
    /// Something about users or logins changed.
    Logins,
    /// Time to look at figures.
    Look,
    /// Time to show that we are still here.
    Beat,
    /// The server stops.
    End,
}

impl Connection {
    async fn woken(&mut self) -> Woken {
        let space = Space::Tenant(self.me.scope().tenant().clone());
        let closing = self.server.live_events.closing.clone();
        tokio::select! {
            () = closing.cancelled() => Woken::End,
            change = self.changes.recv() => match change {
                Ok(change) if change.space == space => Woken::Library,
                Ok(change) if Accounts::concerns(&change, &self.me) => Woken::Logins,
                Err(RecvError::Lagged(_)) => Woken::Logins,
                // A neighbour's change is no reason to look earlier than planned.
                Ok(_) => Woken::Look,
                Err(RecvError::Closed) => Woken::End,
            },
            _ = self.on_air.changed() => Woken::Library,
            () = sleep_until(self.look_at.min(self.beat_at)) => {
                if self.beat_at <= Instant::now() { Woken::Beat } else { Woken::Look }
            }
        }
    }

    /// Waits for the next thing to send; `None` ends the connection.
    async fn next(&mut self) -> Option<Bytes> {
        loop {
            match self.woken().await {
                Woken::End => return None,
                Woken::Library => self.look_at = self.look_at.min(Instant::now() + GATHER),
                Woken::Logins | Woken::Beat if !self.is_welcome().await => return None,
                Woken::Logins => {}
                Woken::Beat => {
                    self.beat_at = Instant::now() + HEARTBEAT;
                    return Some(Bytes::from_static(b": still here\n\n"));
                }
                Woken::Look if self.look_at > Instant::now() => {}
                Woken::Look => {
                    self.look_at = Instant::now() + LOOK;
                    // What is gone (a deleted stream) has nothing more to tell.
                    let told = (self.read)().await.ok()?;
                    if told != self.told {
                        self.beat_at = Instant::now() + HEARTBEAT;
                        self.told = told;
                        return Some(event(&self.told));
                    }
                }
            }
        }
    }

    async fn is_welcome(&self) -> bool {
        self.server.accounts.is_live(&self.me).await.unwrap_or(false)
    }
}

fn event(data: &str) -> Bytes {
    Bytes::from(format!("event: state\ndata: {data}\n\n"))
}

/// Answers with events: what `read` gives now, and again whenever it gives something else. Ends when the login ends,
/// its user is disabled, `read` fails, or the server stops.
///
/// # Errors
/// Whatever the first `read` returns, and [`Error::TooMany`] where the user has too many connections open.
pub(super) async fn answer<F>(
    request: &HttpRequest,
    me: Identity,
    mut read: impl FnMut() -> F + 'static,
) -> Result<HttpResponse>
where
    F: Future<Output = Result<String>> + 'static,
{
    let server = server(request)?;
    let mut response = HttpResponse::Ok();
    response.content_type("text/event-stream; charset=utf-8");
    // nginx in front of us would else gather events until its buffer is full.
    response.insert_header((header::HeaderName::from_static("x-accel-buffering"), "no"));
    if request.method() == Method::HEAD {
        read().await?;
        return Ok(response.finish());
    }
    let address = request.extensions().get::<Address>().and_then(|address| address.0);
    let place = server.live_events.enter(&me, address)?;
    // Watched before the first look, so that nothing falls between them.
    let changes = server.foundation.store().watch();
    let on_air = server.foundation.board().watch(me.scope());
    let told = read().await?;
    let first = Bytes::from([b"retry: 2000\n".as_slice(), &event(&told)].concat());
    let now = Instant::now();
    let connection = Connection {
        server,
        me,
        changes,
        on_air,
        read: Box::new(move || Box::pin(read())),
        told,
        look_at: now + LOOK,
        beat_at: now + HEARTBEAT,
        _place: place,
    };
    let events = stream::unfold((connection, Some(first)), |(mut connection, first)| async move {
        let bytes = match first {
            Some(first) => first,
            None => connection.next().await?,
        };
        Some((Ok::<_, Infallible>(bytes), (connection, None)))
    });
    Ok(response.streaming(events))
}
