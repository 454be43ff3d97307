//! Live logins: browser sessions behind a cookie, and the token families of the API. Only hashes are stored.

use std::net::IpAddr;
use std::ops::ControlFlow;
use std::time::Duration;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::scope::UserName;
use super::token::{random_token, token_hash};
use super::user::{User, user_key};
use super::{Accounts, Identity};
use crate::audit;
use crate::error::{Error, Result};
use crate::store::rows::{Reader, Writer};
use crate::store::{Change, Space};
use crate::text::Message;

mod family;

pub use family::TokenPair;

/// A session that is not used ends after 12 hours, any session after 30 days.
const IDLE: Duration = Duration::from_secs(12 * 3600);
const ABSOLUTE: Duration = Duration::from_secs(30 * 24 * 3600);
/// Reading a page writes nothing, but for the time of last use, this often.
const TOUCH: Duration = Duration::from_secs(300);
/// Used-up refresh tokens that are kept: those of a day in which each access token is used to its end.
const SPENT: usize = 96;
/// A user who logs in without end loses the oldest login, not the disk.
const PER_USER: usize = 50;

/// What kind of login.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
enum Kind {
    Browser,
    Api,
}

/// A live login as stored: under `session/<user>/<id>`, found through `token/<hash>`.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Session {
    id: Uuid,
    kind: Kind,
    /// Hash of the cookie, or of the newest refresh token.
    token: String,
    created_at: Timestamp,
    last_seen: Timestamp,
    address: Option<IpAddr>,
    agent: String,
    /// When its user last typed the password; never in the demo account.
    #[serde(default)]
    proved_at: Option<Timestamp>,
}

/// Where a token leads. A used-up refresh token stays until its family ends, so that a second use is noticed.
#[derive(Serialize, Deserialize)]
struct Pointer {
    user: UserName,
    session: Uuid,
}

/// What is known of a client that wants to log in.
#[derive(Debug, Clone, Default)]
pub struct Caller {
    /// Where it calls from; `None` on the home's own socket.
    pub address: Option<IpAddr>,
    /// What it calls itself.
    pub agent: String,
    /// What [`Accounts::device`] once gave it, if it shows that.
    pub device: Option<String>,
}

/// A live login, for the list of one's own.
#[derive(Debug, Clone, Serialize)]
pub struct SessionInfo {
    /// Names it in "end this one".
    pub id: Uuid,
    /// True for logins of the API.
    pub api: bool,
    /// When it began.
    pub created_at: Timestamp,
    /// When it was last used, to five minutes.
    pub last_seen: Timestamp,
    /// Where from.
    pub address: Option<IpAddr>,
    /// The browser or program, as it called itself.
    pub agent: String,
    /// The one that asks.
    pub current: bool,
}

/// A login whose user has typed the password once more.
pub struct Confirmed {
    /// Fresh from now on.
    pub identity: Identity,
    /// What the browser shows from now on; nothing for the API.
    pub token: Option<String>,
}

fn session_key(user: &UserName, id: Uuid) -> String {
    format!("session/{user}/{id}")
}

fn token_key(hash: &str) -> String {
    format!("token/{hash}")
}

fn is_over(session: &Session, now: Timestamp) -> bool {
    now >= session.last_seen + IDLE || now >= session.created_at + ABSOLUTE
}

fn of_user(rows: &Reader<'_>, user: &UserName) -> Result<Vec<Session>> {
    let mut sessions = Vec::new();
    rows.values::<Session>(&format!("session/{user}/"), |_, session| {
        sessions.push(session);
        ControlFlow::Continue(())
    })?;
    Ok(sessions)
}

fn end(rows: &mut Writer<'_>, user: &UserName, session: &Session) -> Result<()> {
    rows.delete_value(&session_key(user, session.id));
    rows.delete_value(&token_key(&session.token));
    // Used-up refresh tokens of the family.
    let mut spent = Vec::new();
    rows.view().values::<String>(&format!("spent/{}/", session.id), |key, hash| {
        spent.push((key.to_owned(), hash));
        ControlFlow::Continue(())
    })?;
    for (key, hash) in spent {
        rows.delete_value(&key);
        rows.delete_value(&token_key(&hash));
    }
    Ok(())
}

/// Keeps a used-up refresh token, so that a second use is noticed; of each family the newest only.
fn remember_spent(rows: &mut Writer<'_>, family: Uuid, hash: &str) -> Result<()> {
    let mut spent = Vec::new();
    rows.view().values::<String>(&format!("spent/{family}/"), |key, hash| {
        spent.push((key.to_owned(), hash));
        ControlFlow::Continue(())
    })?;
    for (key, hash) in spent.iter().take((spent.len() + 1).saturating_sub(SPENT)) {
        rows.delete_value(key);
        rows.delete_value(&token_key(hash));
    }
    // In order of use.
    rows.put_value(&format!("spent/{family}/{}", Uuid::now_v7()), &hash)
}

/// When a user last used a login that still lives.
pub(super) fn last_seen(rows: &Reader<'_>, user: &UserName) -> Result<Option<Timestamp>> {
    Ok(of_user(rows, user)?.into_iter().map(|session| session.last_seen).max())
}

/// Ends every login of a user but `keep`.
pub(super) fn end_all(rows: &mut Writer<'_>, user: &UserName, keep: Option<Uuid>) -> Result<()> {
    for session in of_user(rows.view(), user)? {
        if Some(session.id) != keep {
            end(rows, user, &session)?;
        }
    }
    Ok(())
}

/// # Errors
/// [`Error::LoginFailed`] where the user was disabled, removed or given another password since they were `checked`.
fn begin(
    rows: &mut Writer<'_>,
    checked: &User,
    kind: Kind,
    token: &str,
    address: Option<IpAddr>,
    agent: &str,
    proved: bool,
) -> Result<Uuid> {
    let (now, user) = (rows.now(), &checked.name);
    let current = rows.value::<User>(&user_key(user))?.filter(User::may_log_in);
    let current = current.filter(|current| current.id == checked.id && current.epoch == checked.epoch);
    let current = current.ok_or(Error::LoginFailed)?;
    rows.put_value(&user_key(user), &User { last_login: Some(now), ..current })?;
    let mut old = of_user(rows.view(), user)?;
    old.sort_by_key(|session| session.last_seen);
    let surplus = old.len().saturating_sub(PER_USER - 1);
    for (place, session) in old.iter().enumerate() {
        if place < surplus || is_over(session, now) {
            end(rows, user, session)?;
        }
    }
    let session = Session {
        id: Uuid::now_v7(),
        kind,
        token: token_hash(token),
        created_at: now,
        last_seen: now,
        address,
        agent: agent.chars().filter(|letter| !letter.is_control()).take(200).collect(),
        proved_at: proved.then_some(now),
    };
    rows.put_value(&token_key(&session.token), &Pointer { user: user.clone(), session: session.id })?;
    rows.put_value(&session_key(user, session.id), &session)?;
    Ok(session.id)
}

fn find(rows: &Reader<'_>, hash: &str, now: Timestamp) -> Result<Option<(User, Session)>> {
    let Some(pointer) = rows.value::<Pointer>(&token_key(hash))? else { return Ok(None) };
    let Some(session) = rows.value::<Session>(&session_key(&pointer.user, pointer.session))? else { return Ok(None) };
    let user = rows.value::<User>(&user_key(&pointer.user))?.filter(User::may_log_in);
    Ok(user.filter(|_| !is_over(&session, now)).map(|user| (user, session)))
}

impl Accounts {
    /// Logs a browser in: a session with a token never seen before, whatever cookie was shown.
    ///
    /// # Errors
    /// [`Error::LoginFailed`] for a wrong name or password (never which), [`Error::TooMany`] after many tries.
    pub async fn log_in(&self, name: &str, password: String, caller: Caller) -> Result<(String, Identity)> {
        let user = self.check_password(name, password, &caller).await?;
        self.begin_browser(user, caller, true).await
    }

    /// What a client that is logged in may show at its next login: tries of strangers to guess the password then do not
    /// keep its user out. `shown` is what it came with.
    pub fn device(&self, me: &Identity, shown: Option<&str>) -> Result<String> {
        self.guessing.device(me.user.id, shown)
    }

    async fn begin_browser(&self, user: User, caller: Caller, proved: bool) -> Result<(String, Identity)> {
        let Caller { address, agent, .. } = caller;
        let token = random_token()?;
        let (kept, shown) = (token.clone(), user.clone());
        let id = self
            .platform
            .write(move |rows| {
                let id = begin(rows, &user, Kind::Browser, &kept, address, &agent, proved)?;
                let identity = Identity::of(user.clone(), id, address, false);
                audit::record(rows, identity.scope().actor(), "session.begin", user.name.as_str())?;
                Ok(id)
            })
            .await?;
        let (csrf, hash) = (self.form_tokens.of(id), token_hash(&token));
        Ok((token, Identity::of(shown, id, address, proved).with_cookie(csrf, hash)))
    }

    /// Logs a browser into the account `demo` without a password: its role can change nothing.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such account, or it is disabled, or is no demo account.
    pub async fn log_in_demo(&self, caller: Caller) -> Result<(String, Identity)> {
        if let Some(address) = caller.address {
            self.guessing.count(format!("demo {}", super::network(address)))?;
        }
        let user = self.demo_user().await?.ok_or(Error::NotFound)?;
        self.begin_browser(user, caller, false).await
    }

    async fn demo_user(&self) -> Result<Option<User>> {
        let name = UserName::parse("demo")?;
        let user = self.platform.read(move |rows| rows.value::<User>(&user_key(&name))).await?;
        Ok(user.filter(|user| user.may_log_in() && user.role == super::Role::Demo))
    }

    /// Whether the login page offers the demo account.
    pub async fn demo_open(&self) -> Result<bool> {
        Ok(self.demo_user().await?.is_some())
    }

    /// The user behind a session cookie.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] if it is unknown, ended, run out, or its user disabled.
    pub async fn by_session(&self, token: &str, address: Option<IpAddr>) -> Result<Identity> {
        let hash = token_hash(token);
        let now = self.now();
        let looked = hash.clone();
        let found = self.platform.read(move |rows| find(rows, &looked, now)).await?;
        let Some((user, session)) = found.filter(|(_, session)| session.kind == Kind::Browser) else {
            return Err(Error::LoginRequired);
        };
        if now >= session.last_seen + TOUCH {
            let key = session_key(&user.name, session.id);
            self.platform
                .write(move |rows| match rows.value::<Session>(&key)? {
                    Some(session) => rows.put_value(&key, &Session { last_seen: rows.now(), address, ..session }),
                    None => Ok(()),
                })
                .await?;
        }
        let fresh = self.is_fresh(&session, now);
        Ok(Identity::of(user, session.id, address, fresh).with_cookie(self.form_tokens.of(session.id), hash))
    }

    /// Whether the password was typed recently enough for an operator's acts.
    fn is_fresh(&self, session: &Session, now: Timestamp) -> bool {
        session.proved_at.is_some_and(|proved_at| now < proved_at + self.proof_lasts)
    }

    /// Proves the password of whoever is logged in once more; the login then counts as fresh. The tries are those of
    /// logging in. A browser gets another token: a copy of the old one that somebody took is worth nothing from then on.
    /// It follows from the old one, so that a form that is sent twice at once gets the same one twice, whichever answer
    /// the browser reads.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `password`, [`Error::TooMany`] after many tries.
    pub async fn confirm(&self, me: &Identity, password: String, caller: &Caller) -> Result<Confirmed> {
        let checked = match self.check_password(me.user.name.as_str(), password, caller).await {
            Err(Error::LoginFailed) => return Err(Error::field("password", Message::new("password-wrong"))),
            checked => checked?,
        };
        let (name, id, actor) = (me.user.name.clone(), me.session, me.scope().actor().clone());
        let shown = me.cookie.clone();
        let next = shown.as_deref().map(|shown| self.form_tokens.renewed(shown));
        let given = next.clone();
        let (user, renewed) = self
            .platform
            .write(move |rows| {
                let user = rows.value::<User>(&user_key(&name))?.filter(User::may_log_in);
                // Another person of that name, or another password, since it was checked.
                let user = user.filter(|user| user.id == checked.id && user.epoch == checked.epoch);
                let key = session_key(&name, id);
                let session = rows.value::<Session>(&key)?.filter(|session| !is_over(session, rows.now()));
                let (Some(user), Some(session)) = (user, session) else { return Err(Error::LoginRequired) };
                let mut session = Session { proved_at: Some(rows.now()), ..session };
                let mut renewed = None;
                if let (Some(shown), Some(given)) = (&shown, &given) {
                    let hash = token_hash(given);
                    if session.token == *shown {
                        rows.delete_value(&token_key(&session.token));
                        session.token.clone_from(&hash);
                        rows.put_value(&token_key(&hash), &Pointer { user: name.clone(), session: id })?;
                    }
                    renewed = (session.token == hash).then_some(hash);
                }
                rows.put_value(&key, &session)?;
                audit::record(rows, &actor, "session.confirm", name.as_str())?;
                Ok((user, renewed))
            })
            .await?;
        let identity = Identity::of(user, me.session, caller.address, true);
        let (identity, token) = match (renewed, me.cookie.clone()) {
            (Some(hash), _) => (identity.with_cookie(me.csrf.clone(), hash), next),
            (None, Some(shown)) => (identity.with_cookie(me.csrf.clone(), shown), None),
            (None, None) => (identity, None),
        };
        Ok(Confirmed { identity, token })
    }

    /// Whether a commit may have changed what [`Accounts::is_live`] says of an identity.
    pub fn concerns(change: &Change, me: &Identity) -> bool {
        let session = session_key(&me.user.name, me.session);
        let user = user_key(&me.user.name);
        change.space == Space::Platform
            && change.keys.iter().any(|key| key == session.as_bytes() || key == user.as_bytes())
    }

    /// Whether the login behind an identity still lives, for connections that stay open: it has not ended or run out,
    /// and its user is neither disabled nor another than they were.
    pub async fn is_live(&self, me: &Identity) -> Result<bool> {
        let (key, user, now) = (session_key(&me.user.name, me.session), user_key(&me.user.name), self.now());
        let (epoch, role, cookie) = (me.user.epoch, me.user.role, me.cookie.clone());
        self.platform
            .read(move |rows| {
                let session = rows.value::<Session>(&key)?;
                let user = rows.value::<User>(&user)?;
                // A cookie that was renewed opens nothing, and keeps nothing open.
                let current = |session: &Session| cookie.as_ref().is_none_or(|shown| *shown == session.token);
                Ok(session.is_some_and(|session| !is_over(&session, now) && current(&session))
                    && user.is_some_and(|user| user.may_log_in() && user.epoch == epoch && user.role == role))
            })
            .await
    }

    /// One's own live logins, newest use first.
    pub async fn sessions(&self, me: &Identity) -> Result<Vec<SessionInfo>> {
        let (name, current, now) = (me.user.name.clone(), me.session, self.now());
        let mut sessions = self.platform.read(move |rows| of_user(rows, &name)).await?;
        sessions.retain(|session| !is_over(session, now));
        sessions.sort_by_key(|session| std::cmp::Reverse(session.last_seen));
        let info = |session: Session| SessionInfo {
            id: session.id,
            api: session.kind == Kind::Api,
            created_at: session.created_at,
            last_seen: session.last_seen,
            address: session.address,
            agent: session.agent,
            current: session.id == current,
        };
        Ok(sessions.into_iter().map(info).collect())
    }

    /// Ends one of one's own logins.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is not one's own.
    pub async fn end_session(&self, me: &Identity, id: Uuid) -> Result<()> {
        let (name, actor) = (me.user.name.clone(), me.scope().actor().clone());
        self.platform
            .write(move |rows| {
                let session = rows.value::<Session>(&session_key(&name, id))?.ok_or(Error::NotFound)?;
                end(rows, &name, &session)?;
                audit::record(rows, &actor, "session.end", id.to_string())
            })
            .await
    }

    /// Logs out everywhere, here too.
    pub async fn end_every_session(&self, me: &Identity) -> Result<()> {
        let (name, actor) = (me.user.name.clone(), me.scope().actor().clone());
        self.platform
            .write(move |rows| {
                end_all(rows, &name, None)?;
                audit::record(rows, &actor, "session.end-all", name.as_str())
            })
            .await
    }

    fn now(&self) -> Timestamp {
        self.platform.clock().now()
    }
}

#[cfg(test)]
mod tests;
