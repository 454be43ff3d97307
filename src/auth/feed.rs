//! The secret address of a user's calendar: a token that reads one library and nothing else. Only its hash is stored.

use std::net::IpAddr;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::scope::UserName;
use super::token::{random_token, token_hash};
use super::user::{User, user_key};
use super::{Accounts, Identity, Scope, scope};
use crate::audit;
use crate::error::{Error, Result};

/// A user's address, under `feed/<user>`.
#[derive(Serialize, Deserialize)]
struct Feed {
    hash: String,
    made_at: Timestamp,
}

/// Where a token leads. The user's id, so that a later user of the same name is another one.
#[derive(Serialize, Deserialize)]
struct Pointer {
    user: UserName,
    id: Uuid,
}

fn feed_key(user: &UserName) -> String {
    format!("feed/{user}")
}

fn pointer_key(hash: &str) -> String {
    format!("feed-token/{hash}")
}

impl Accounts {
    /// Makes the address of one's own calendar; an older one is void from then on. The token, which is shown only now.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a demo user: strangers share that account.
    pub async fn make_feed(&self, me: &Identity) -> Result<String> {
        let actor = me.write_scope()?.actor().clone();
        let token = random_token()?;
        let (hash, name, id) = (token_hash(&token), me.user.name.clone(), me.user.id);
        self.platform
            .write(move |rows| {
                if let Some(old) = rows.value::<Feed>(&feed_key(&name))? {
                    rows.delete_value(&pointer_key(&old.hash));
                }
                rows.put_value(&feed_key(&name), &Feed { hash: hash.clone(), made_at: rows.now() })?;
                rows.put_value(&pointer_key(&hash), &Pointer { user: name.clone(), id })?;
                audit::record(rows, &actor, "feed.make", name.as_str())
            })
            .await?;
        Ok(token)
    }

    /// Makes the address of one's own calendar void; nothing where there is none.
    ///
    /// # Errors
    /// As [`Accounts::make_feed`].
    pub async fn revoke_feed(&self, me: &Identity) -> Result<()> {
        let (actor, name) = (me.write_scope()?.actor().clone(), me.user.name.clone());
        self.platform
            .write(move |rows| {
                let Some(old) = rows.value::<Feed>(&feed_key(&name))? else { return Ok(()) };
                rows.delete_value(&pointer_key(&old.hash));
                rows.delete_value(&feed_key(&name));
                audit::record(rows, &actor, "feed.revoke", name.as_str())
            })
            .await
    }

    /// When the address of one's own calendar was made; `None` without one.
    pub async fn feed_made_at(&self, me: &Identity) -> Result<Option<Timestamp>> {
        let key = feed_key(&me.user.name);
        Ok(self.platform.read(move |rows| rows.value::<Feed>(&key)).await?.map(|feed| feed.made_at))
    }

    /// The library that a calendar's token may read.
    ///
    /// # Errors
    /// [`Error::NotFound`] for one that is void, made up, or of a user who may not log in.
    pub async fn by_feed(&self, token: &str, address: Option<IpAddr>) -> Result<Scope> {
        let key = pointer_key(&token_hash(token));
        let found = self
            .platform
            .read(move |rows| {
                let Some(pointer) = rows.value::<Pointer>(&key)? else { return Ok(None) };
                Ok(rows.value::<User>(&user_key(&pointer.user))?.filter(|user| user.id == pointer.id))
            })
            .await?;
        let user = found.filter(User::may_log_in).ok_or(Error::NotFound)?;
        Ok(scope::prove(&user.name, &user.tenant, user.role, address, false).scope)
    }
}
