//! Users and passwords that came from an old home: what is taken over, and how it is taken back.

use std::ops::ControlFlow;

use super::people::{MOVED_IN, moved_in_key};
use super::user::{User, user_key};
use super::{Accounts, FreshOperatorScope, MovedIn, OldHash, OperatorScope, UserName, need_user, session};
use crate::audit;
use crate::error::Result;
use crate::text::Message;

impl User {
    /// Nobody used the account or changed it since it was made.
    fn is_untouched(&self) -> bool {
        self.version == 1 && self.last_login.is_none() && self.may_log_in()
    }
}

impl Accounts {
    /// Whether [`Accounts::take_over_password`] would do it.
    pub(crate) async fn is_untouched(&self, _operator: &OperatorScope, name: UserName) -> Result<bool> {
        self.platform
            .read(move |rows| {
                let moved: Option<MovedIn> = rows.value(&moved_in_key(&name))?;
                let user = rows.value::<User>(&user_key(&name))?;
                Ok(moved.is_none() && user.is_some_and(|user| user.is_untouched()))
            })
            .await
    }

    /// Gives a user whom nobody ever logged in as the password that they had in the old home; whether it was done. This
    /// is for the admin of a new home, whose generated password nobody may have kept.
    pub(crate) async fn take_over_password(
        &self,
        operator: &FreshOperatorScope,
        name: UserName,
        hash: OldHash,
        home: String,
    ) -> Result<bool> {
        let actor = operator.actor().clone();
        self.platform
            .write(move |rows| {
                let mut user = need_user(rows, &name)?;
                let moved: Option<MovedIn> = rows.value(&moved_in_key(&name))?;
                if moved.is_some() || !user.is_untouched() {
                    return Ok(false);
                }
                let former = std::mem::replace(&mut user.password_hash, hash.as_str().to_owned());
                user.epoch += 1;
                user.changed(rows.now());
                let moved = MovedIn { home: home.clone(), former: Some(former), hash: hash.as_str().to_owned() };
                rows.put_value(&user_key(&name), &user)?;
                rows.put_value(&moved_in_key(&name), &moved)?;
                session::end_all(rows, &name, None)?;
                audit::record(rows, &actor, "user.set-password", name.as_str())?;
                Ok(true)
            })
            .await
    }

    /// Everybody who, or whose password, came from an old home.
    pub(crate) async fn moved_in(&self, _operator: &OperatorScope) -> Result<Vec<(UserName, MovedIn)>> {
        self.platform
            .read(|rows| {
                let mut found = Vec::new();
                rows.values::<MovedIn>(MOVED_IN, |key, moved| {
                    if let Ok(name) = UserName::parse(key.trim_start_matches(MOVED_IN)) {
                        found.push((name, moved));
                    }
                    ControlFlow::Continue(())
                })?;
                Ok(found)
            })
            .await
    }

    /// Why a user who came from an old home is not to be removed: they logged in, or somebody changed them.
    pub(crate) async fn changed_since(&self, _operator: &OperatorScope, name: UserName) -> Result<Option<Message>> {
        self.platform
            .read(move |rows| {
                let Some(user) = rows.value::<User>(&user_key(&name))? else { return Ok(None) };
                Ok((!user.is_untouched()).then(|| Message::new("migrate-user-in-use").with("name", name.as_str())))
            })
            .await
    }

    /// Whether [`Accounts::give_back_password`] would do it.
    pub(crate) async fn would_give_back(
        &self,
        operator: &OperatorScope,
        name: UserName,
        moved: &MovedIn,
    ) -> Result<bool> {
        let (user, _) = self.get(operator, name).await?;
        Ok(user.password_hash == moved.hash && user.last_login.is_none())
    }

    /// Puts back the password that a user had before the one of the old home; false where it was changed since.
    pub(crate) async fn give_back_password(&self, operator: &FreshOperatorScope, name: UserName) -> Result<bool> {
        let actor = operator.actor().clone();
        self.platform
            .write(move |rows| {
                let moved: Option<MovedIn> = rows.value(&moved_in_key(&name))?;
                let Some(MovedIn { former: Some(former), hash, .. }) = moved else { return Ok(false) };
                let mut user = need_user(rows, &name)?;
                // Renewed by a login, or another one: then it is theirs.
                if user.password_hash != hash || user.last_login.is_some() {
                    return Ok(false);
                }
                user.password_hash = former;
                user.epoch += 1;
                user.changed(rows.now());
                rows.put_value(&user_key(&name), &user)?;
                rows.delete_value(&moved_in_key(&name));
                session::end_all(rows, &name, None)?;
                audit::record(rows, &actor, "user.set-password", name.as_str())?;
                Ok(true)
            })
            .await
    }
}
