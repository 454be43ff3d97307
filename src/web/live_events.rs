//! Server-sent events: a page or program is told what changed, for as long as its login lives.

use std::collections::HashMap;
use std::convert::Infallible;
use std::sync::Arc;
use std::time::Duration;

use actix_web::http::{Method, header};
use actix_web::web::Bytes;
use actix_web::{HttpRequest, HttpResponse};
use futures_util::future::LocalBoxFuture;
use futures_util::stream;
use parking_lot::Mutex;
use tokio::sync::broadcast::{Receiver, error::RecvError};
use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

use super::Server;
use super::extract::server;
use crate::auth::{Accounts, Identity, UserName};
use crate::error::{Error, Result};
use crate::live::Watch;
use crate::store::{Change, Space};

/// Open connections of one user; a browser with many tabs stays below it.
const PER_USER: usize = 20;
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
    open: Arc<Mutex<HashMap<UserName, usize>>>,
}

/// One open connection; given back when dropped.
struct Place {
    open: Arc<Mutex<HashMap<UserName, usize>>>,
    user: UserName,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut open = self.open.lock();
        if let Some(count) = open.get_mut(&self.user) {
            *count -= 1;
            if *count == 0 {
                open.remove(&self.user);
            }
        }
    }
}

impl LiveEvents {
    /// Ends every connection, so that a stopping server need not wait for them.
    pub fn close(&self) {
        self.closing.cancel();
    }

    fn enter(&self, user: &UserName) -> Result<Place> {
        let mut open = self.open.lock();
        let count = open.entry(user.clone()).or_default();
        if *count >= PER_USER {
            return Err(Error::TooMany { retry_after: Duration::from_secs(30) });
        }
        *count += 1;
        Ok(Place { open: self.open.clone(), user: user.clone() })
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
    _place: Place,
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
    let place = server.live_events.enter(&me.user.name)?;
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_user_has_so_many_connections_and_gets_their_places_back() {
        let events = LiveEvents::default();
        let (al, bo) = (UserName::parse("al").unwrap(), UserName::parse("bo").unwrap());
        let places: Vec<_> = (0..PER_USER).map(|_| events.enter(&al).unwrap()).collect();
        assert!(matches!(events.enter(&al), Err(Error::TooMany { .. })));
        assert!(events.enter(&bo).is_ok());
        drop(places);
        assert!(events.enter(&al).is_ok());
        assert!(events.open.lock().is_empty());
    }
}
