//! What operators do to users. Libraries are `tenancy`'s: it calls what changes who exists.

use std::ops::ControlFlow;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::password::OldHash;
use super::user::{User, user_key};
use super::{
    Accounts, Actor, FreshOperatorScope, OperatorScope, Role, SystemLicence, Tenant, UserName, acceptable_password,
    need_user, session,
};
use crate::audit;
use crate::error::{Error, Result};
use crate::store::rows::{Reader, Writer};
use crate::text::Message;

/// A user to be made.
#[derive(Debug, Clone)]
pub struct NewUser {
    /// Login name.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// Whose library they use.
    pub tenant: Tenant,
    /// How they prove who they are.
    pub password: NewPassword,
}

/// The password of a user to be made.
#[derive(Debug, Clone)]
pub enum NewPassword {
    /// In clear; hashed here.
    Clear(String),
    /// What another program kept of it. The first login renews it.
    Old(OldHash, MovedIn),
}

impl From<String> for NewPassword {
    fn from(password: String) -> Self {
        NewPassword::Clear(password)
    }
}

impl From<&str> for NewPassword {
    fn from(password: &str) -> Self {
        NewPassword::Clear(password.to_owned())
    }
}

/// That a user, or a password, came from an old home.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct MovedIn {
    /// Names the old home.
    pub home: String,
    /// What the hash was before, where only the password came.
    pub former: Option<String>,
    /// The hash that came.
    pub hash: String,
}

pub(super) fn moved_in_key(name: &UserName) -> String {
    format!("{MOVED_IN}{name}")
}

pub(super) const MOVED_IN: &str = "moved-in/";

/// What an operator may change of a user.
#[derive(Debug, Clone, Default)]
pub struct UserChange {
    /// A new role.
    pub role: Option<Role>,
    /// Locks out, or lets in again.
    pub disabled: Option<bool>,
    /// In clear; hashed here.
    pub password: Option<String>,
}

/// What a list of users is sorted by.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum UserOrder {
    /// Login name.
    Name,
    /// Time of creation.
    Created,
}

impl UserOrder {
    /// Sorts as text.
    fn key(self, user: &User) -> String {
        match self {
            UserOrder::Name => user.name.to_string(),
            UserOrder::Created => format!("{:020}/{}", user.created_at.as_millisecond().max(0), user.name),
        }
    }
}

/// A page of users.
#[derive(Debug, Clone, PartialEq)]
pub struct People {
    /// The users with the time each was last seen, in order.
    pub users: Vec<(User, Option<Timestamp>)>,
    /// Where the next page starts.
    pub next: Option<String>,
    /// Users that match, on all pages.
    pub total: u64,
}

impl Accounts {
    /// Makes a user, in one batch with what `with` writes. The tenant was made before, by `tenancy`.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the name is taken, [`Error::Invalid`] for an unusable password.
    pub(crate) async fn create(
        &self,
        operator: &FreshOperatorScope,
        new: NewUser,
        mut with: impl FnMut(&mut Writer<'_>) -> Result<()> + Send + 'static,
    ) -> Result<User> {
        let (hash, moved_in) = match &new.password {
            NewPassword::Clear(password) => (self.passwords.hash(password.clone()).await?, None),
            NewPassword::Old(hash, moved_in) => (hash.as_str().to_owned(), Some(moved_in.clone())),
        };
        let (actor, id) = (operator.actor().clone(), Uuid::now_v7());
        self.platform
            .write(move |rows| {
                if rows.value::<User>(&user_key(&new.name))?.is_some() {
                    return Err(name_taken(&new.name));
                }
                let user = User {
                    id,
                    name: new.name.clone(),
                    role: new.role,
                    tenant: new.tenant.clone(),
                    password_hash: hash.clone(),
                    disabled: false,
                    deleting: false,
                    epoch: 1,
                    time_zone: None,
                    locale: None,
                    theme: None,
                    created_by: actor.name().to_owned(),
                    created_at: rows.now(),
                    updated_at: rows.now(),
                    version: 1,
                    last_login: None,
                };
                rows.put_value(&user_key(&user.name), &user)?;
                if let Some(moved_in) = &moved_in {
                    rows.put_value(&moved_in_key(&user.name), moved_in)?;
                }
                audit::record(rows, &actor, "user.create", user.name.as_str())?;
                with(rows)?;
                Ok(user)
            })
            .await
    }

    /// Refuses what [`Accounts::create`] would refuse, before anything is made for it.
    pub(crate) async fn check_new(&self, name: &UserName, password: &NewPassword) -> Result<()> {
        if let NewPassword::Clear(password) = password {
            acceptable_password(password)?;
        }
        let name = name.clone();
        self.platform
            .read(move |rows| match rows.value::<User>(&user_key(&name))? {
                Some(_) => Err(name_taken(&name)),
                None => Ok(()),
            })
            .await
    }

    /// A user by name, and when they were last seen.
    pub async fn get(&self, _operator: &OperatorScope, name: UserName) -> Result<(User, Option<Timestamp>)> {
        self.platform
            .read(move |rows| {
                let user = rows.value::<User>(&user_key(&name))?.ok_or(Error::NotFound)?;
                let seen = seen(rows, &user)?;
                Ok((user, seen))
            })
            .await
    }

    /// A user, for background work on their behalf.
    pub(crate) async fn find(&self, _licence: &SystemLicence, name: UserName) -> Result<Option<User>> {
        self.platform.read(move |rows| rows.value::<User>(&user_key(&name))).await
    }

    /// Whether anybody who is an admin exists.
    pub(crate) async fn has_admin(&self) -> Result<bool> {
        self.platform
            .read(|rows| {
                let mut found = false;
                rows.values::<User>("user/", |_, user| {
                    found = user.role == Role::Admin;
                    if found { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
                })?;
                Ok(found)
            })
            .await
    }

    /// A page of the users whose name or tenant contains `search`; `after` is where the page before ended.
    pub async fn list(
        &self,
        _operator: &OperatorScope,
        search: String,
        (order, turned): (UserOrder, bool),
        after: Option<String>,
        limit: usize,
    ) -> Result<People> {
        self.platform
            .read(move |rows| {
                let search = search.to_lowercase();
                let mut found = std::collections::BTreeMap::new();
                rows.values::<User>("user/", |_, user| {
                    if user.name.as_str().contains(&search) || user.tenant.as_str().contains(&search) {
                        found.insert(order.key(&user), user);
                    }
                    ControlFlow::Continue(())
                })?;
                let total = found.len() as u64;
                let beyond = |key: &String| match &after {
                    None => true,
                    Some(after) if turned => key < after,
                    Some(after) => key > after,
                };
                let mut keys: Vec<&String> = found.keys().filter(|key| beyond(key)).collect();
                if turned {
                    keys.reverse();
                }
                let more = keys.len() > limit;
                keys.truncate(limit);
                let next = keys.last().filter(|_| more).map(|key| (*key).clone());
                let mut users = Vec::with_capacity(keys.len());
                for key in keys {
                    users.push((found[key].clone(), seen(rows, &found[key])?));
                }
                Ok(People { users, next, total })
            })
            .await
    }

    /// Who uses a tenant's library.
    pub async fn members(&self, _operator: &OperatorScope, tenant: Tenant) -> Result<Vec<UserName>> {
        self.platform.read(move |rows| members(rows, &tenant)).await
    }

    /// Users whose removal was begun and not finished.
    pub(crate) async fn removals(&self) -> Result<Vec<User>> {
        self.platform
            .read(|rows| {
                let mut found = Vec::new();
                rows.values::<User>("user/", |_, user| {
                    if user.deleting {
                        found.push(user);
                    }
                    ControlFlow::Continue(())
                })?;
                Ok(found)
            })
            .await
    }

    /// Changes role, lock or password. All sessions and tokens of the user end in the same commit; the last admin who
    /// can log in stays one.
    ///
    /// # Errors
    /// [`Error::Stale`] where `expected` names another version.
    pub async fn change(
        &self,
        operator: &FreshOperatorScope,
        name: UserName,
        change: UserChange,
        expected: Option<u64>,
    ) -> Result<User> {
        let hash = match change.password {
            Some(password) => Some(self.passwords.hash(password).await?),
            None => None,
        };
        let actor = operator.actor().clone();
        self.platform
            .write(move |rows| {
                let mut user = need_user(rows, &name)?;
                if expected.is_some_and(|expected| expected != user.version) {
                    return Err(Error::Stale);
                }
                if user.deleting {
                    return Err(Error::Conflict(Message::new("user-deleting").with("name", name.as_str())));
                }
                if change.role.is_some_and(|role| role != Role::Admin) || change.disabled == Some(true) {
                    keep_an_admin(rows.view(), &user)?;
                }
                let before = user.clone();
                user.role = change.role.unwrap_or(user.role);
                user.disabled = change.disabled.unwrap_or(user.disabled);
                if let Some(hash) = &hash {
                    user.password_hash.clone_from(hash);
                    audit::record(rows, &actor, "user.set-password", name.as_str())?;
                }
                if before == user {
                    return Ok(user);
                }
                match (before.disabled, user.disabled) {
                    (false, true) => audit::record(rows, &actor, "user.disable", name.as_str())?,
                    (true, false) => audit::record(rows, &actor, "user.enable", name.as_str())?,
                    _ => {}
                }
                if before.role != user.role {
                    let told = format!("{name}: {} to {}", before.role.code(), user.role.code());
                    audit::record(rows, &actor, "user.change-role", told)?;
                }
                user.epoch += 1;
                user.changed(rows.now());
                rows.put_value(&user_key(&name), &user)?;
                session::end_all(rows, &name, None)?;
                Ok(user)
            })
            .await
    }

    /// The first step of a removal: the user's logins end and none begins again. Their row stays until the end, so
    /// that a removal which is cut off goes on. Done again, it changes nothing.
    ///
    /// # Errors
    /// [`Error::Conflict`] for the last admin, and for oneself.
    pub(crate) async fn begin_removal(&self, operator: &FreshOperatorScope, name: UserName) -> Result<User> {
        let actor = operator.actor().clone();
        self.platform
            .write(move |rows| {
                let mut user = need_user(rows, &name)?;
                if user.deleting {
                    return Ok(user);
                }
                if actor.name() == name.as_str() {
                    return Err(Error::Conflict(Message::new("user-delete-yourself")));
                }
                keep_an_admin(rows.view(), &user)?;
                user.deleting = true;
                user.epoch += 1;
                user.changed(rows.now());
                rows.put_value(&user_key(&name), &user)?;
                session::end_all(rows, &name, None)?;
                audit::record(rows, &actor, "user.delete", name.as_str())?;
                Ok(user)
            })
            .await
    }

    /// The last step of a removal: the user's row, in one batch with what `with` writes. `told` goes into the audit.
    pub(crate) async fn finish_removal(
        &self,
        actor: Actor,
        name: UserName,
        told: String,
        mut with: impl FnMut(&mut Writer<'_>) + Send + 'static,
    ) -> Result<()> {
        self.platform
            .write(move |rows| {
                need_user(rows, &name)?;
                session::end_all(rows, &name, None)?;
                rows.delete_value(&user_key(&name));
                rows.delete_value(&moved_in_key(&name));
                with(rows);
                audit::record(rows, &actor, "user.erase", told.clone())
            })
            .await
    }
}

/// Who uses a tenant's library, those who are being removed too.
pub(crate) fn members(rows: &Reader<'_>, tenant: &Tenant) -> Result<Vec<UserName>> {
    let mut members = Vec::new();
    rows.values::<User>("user/", |_, user| {
        if user.tenant == *tenant {
            members.push(user.name);
        }
        ControlFlow::Continue(())
    })?;
    Ok(members)
}

/// Whether a tenant has users and every one of them is locked out: then nothing of theirs may begin.
pub(crate) fn is_locked(rows: &Reader<'_>, tenant: &Tenant) -> Result<bool> {
    // Nearly always there is a user of the same name, and no need to walk over all.
    let own = rows.value::<User>(&format!("user/{tenant}"))?;
    if own.is_some_and(|user| user.tenant == *tenant && user.may_log_in()) {
        return Ok(false);
    }
    let (mut has_users, mut locked) = (false, true);
    rows.values::<User>("user/", |_, user| {
        if user.tenant == *tenant {
            has_users = true;
            locked = !user.may_log_in();
        }
        if locked { ControlFlow::Continue(()) } else { ControlFlow::Break(()) }
    })?;
    Ok(has_users && locked)
}

fn seen(rows: &Reader<'_>, user: &User) -> Result<Option<Timestamp>> {
    Ok(session::last_seen(rows, &user.name)?.max(user.last_login))
}

fn name_taken(name: &UserName) -> Error {
    Error::Conflict(Message::new("user-exists").with("name", name.as_str()))
}

/// # Errors
/// [`Error::Conflict`] if nobody but `user` could run the box.
fn keep_an_admin(rows: &Reader<'_>, user: &User) -> Result<()> {
    let mut another = false;
    rows.values::<User>("user/", |_, other| {
        another |= other.role == Role::Admin && other.may_log_in() && other.name != user.name;
        if another { ControlFlow::Break(()) } else { ControlFlow::Continue(()) }
    })?;
    if another || user.role != Role::Admin || !user.may_log_in() {
        return Ok(());
    }
    Err(Error::Conflict(Message::new("user-last-admin")))
}
