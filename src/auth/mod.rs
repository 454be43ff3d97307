//! People, and the proofs of what they may do. Only this room turns a cookie, a token or the operator's console into
//! a [`Scope`].

mod feed;
mod guessing;
mod moved_in;
mod password;
mod people;
mod scope;
mod session;
mod throttle;
mod token;
mod user;

use std::net::IpAddr;
use std::num::NonZeroU32;
use std::time::Duration;

pub use password::{COST as PASSWORD_COST, OldHash, Passwords, acceptable as acceptable_password};
pub use people::{MovedIn, NewPassword, NewUser, People, UserChange, UserOrder};
pub(crate) use people::{is_locked, members};
pub use scope::{Actor, FreshOperatorScope, OperatorScope, Role, Scope, SystemLicence, Tenant, UserName, WriteScope};
pub use session::{Caller, Confirmed, SessionInfo, TokenPair};
pub use throttle::{Throttle, network};
pub use token::random_token;
pub(crate) use token::token_hash;
pub use user::{Theme, User};

use crate::audit;
use crate::error::{Error, Result};
use crate::store::rows::Writer;
use crate::store::{SpaceStore, Store};
use crate::text::{Locale, Message};
use guessing::Guessing;
use user::user_key;

/// A user who just showed a live session or token, with the proofs that follow from their role.
#[derive(Debug, Clone)]
pub struct Identity {
    /// The user as stored.
    pub user: User,
    /// Id of the session or refresh family that was shown; what "this session" means in the list.
    pub session: uuid::Uuid,
    /// Form token; empty for bearer tokens, which need none.
    pub csrf: String,
    /// Hash of the cookie that was shown; nothing for bearer tokens.
    cookie: Option<String>,
    proofs: scope::Proofs,
}

impl Identity {
    fn of(user: User, session: uuid::Uuid, address: Option<IpAddr>, fresh: bool) -> Identity {
        let proofs = scope::prove(&user.name, &user.tenant, user.role, address, fresh);
        Identity { user, session, csrf: String::new(), cookie: None, proofs }
    }

    fn with_cookie(self, csrf: String, hash: String) -> Identity {
        Identity { csrf, cookie: Some(hash), ..self }
    }

    /// May read the library of the user's tenant.
    pub fn scope(&self) -> &Scope {
        &self.proofs.scope
    }

    /// May change it.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for a demo user.
    pub fn write_scope(&self) -> Result<&WriteScope> {
        self.proofs.write.as_ref().ok_or_else(|| Error::Forbidden(Message::new("error-demo")))
    }

    /// May look at how the box is run.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody but admins.
    pub fn operator(&self) -> Result<&OperatorScope> {
        self.proofs.operator.as_ref().ok_or_else(|| Error::Forbidden(Message::new("error-admin-only")))
    }

    /// May run the box.
    ///
    /// # Errors
    /// [`Error::Forbidden`] for everybody but admins; [`Error::ProofRequired`] where an admin last typed the password
    /// too long ago.
    pub fn fresh_operator(&self) -> Result<&FreshOperatorScope> {
        self.operator()?;
        self.proofs.fresh_operator.as_ref().ok_or(Error::ProofRequired)
    }
}

/// What people may change of themselves.
#[derive(Debug, Clone, Default)]
pub struct Preferences {
    /// IANA zone.
    pub time_zone: Option<String>,
    /// Language.
    pub locale: Option<Locale>,
    /// `Some(None)`: as the device says.
    pub theme: Option<Option<Theme>>,
}

/// The users of the box, their sessions and tokens.
#[derive(Clone)]
pub struct Accounts {
    platform: SpaceStore,
    passwords: Passwords,
    guessing: Guessing,
    signer: token::Signer,
    form_tokens: token::FormTokens,
    proof_lasts: Duration,
}

impl Accounts {
    /// `signing_secret` signs access tokens; it stays the same over restarts. `login_burst` tries are free for an
    /// address, then one a minute. A password that was typed proves for `proof_lasts` that it is still its user who
    /// sits there.
    pub fn new(
        store: &Store,
        passwords: Passwords,
        signing_secret: &[u8; 32],
        login_burst: NonZeroU32,
        proof_lasts: Duration,
    ) -> Accounts {
        #[allow(clippy::disallowed_methods, reason = "accounts belong to no tenant")]
        let platform = store.platform();
        Accounts {
            platform,
            passwords,
            guessing: Guessing::new(login_burst, signing_secret),
            signer: token::Signer::new(signing_secret),
            form_tokens: token::FormTokens::new(signing_secret),
            proof_lasts,
        }
    }

    /// Forgets throttled names and addresses that are fresh again.
    pub fn sweep(&self) {
        self.guessing.sweep();
    }

    /// Checks name and password. A user who does not exist costs the same time, and answers the same.
    async fn check_password(&self, name: &str, password: String, caller: &Caller) -> Result<User> {
        let user = match UserName::parse(name) {
            Ok(name) => self.platform.read(move |rows| rows.value::<User>(&user_key(&name))).await?,
            Err(_) => None,
        };
        let id = user.as_ref().map(|user| user.id);
        self.guessing.count_login(name, id, caller.address, caller.device.as_deref())?;
        let hash = user.as_ref().map(|user| user.password_hash.clone());
        let good = self.passwords.verify(password.clone(), hash).await?;
        let Some(user) = user.filter(|user| good && user.may_log_in()) else {
            return Err(Error::LoginFailed);
        };
        if self.passwords.is_old(&user.password_hash)
            && let Ok(hash) = self.passwords.hash(password).await
        {
            let (name, old) = (user.name.clone(), user.password_hash.clone());
            self.platform
                .write(move |rows| match rows.value::<User>(&user_key(&name))? {
                    Some(mut user) if user.password_hash == old => {
                        user.password_hash.clone_from(&hash);
                        user.updated_at = rows.now();
                        rows.put_value(&user_key(&name), &user)
                    }
                    _ => Ok(()),
                })
                .await?;
        }
        Ok(user)
    }

    /// Changes one's own password after showing the old one; every other session and all tokens end.
    ///
    /// # Errors
    /// [`Error::Invalid`] on `current_password` or `password`; [`Error::Forbidden`] for demo users.
    pub async fn change_password(&self, me: &Identity, current: String, new: String) -> Result<()> {
        me.write_scope()?;
        acceptable_password(&new)?;
        self.guessing.count(format!("password of {}", me.user.name))?;
        if !self.passwords.verify(current, Some(me.user.password_hash.clone())).await? {
            return Err(Error::field("current_password", Message::new("password-wrong")));
        }
        let hash = self.passwords.hash(new).await?;
        let (name, keep, actor) = (me.user.name.clone(), me.session, me.scope().actor().clone());
        self.platform
            .write(move |rows| {
                let mut user = need_user(rows, &name)?;
                user.password_hash.clone_from(&hash);
                user.epoch += 1;
                user.changed(rows.now());
                rows.put_value(&user_key(&name), &user)?;
                session::end_all(rows, &name, Some(keep))?;
                audit::record(rows, &actor, "user.change-password", name.as_str())
            })
            .await
    }

    /// Changes one's own language, zone or theme. A demo user's are not kept.
    ///
    /// # Errors
    /// [`Error::Stale`] where `expected` names another version of the user.
    pub async fn prefer(&self, me: &Identity, preferences: Preferences, expected: Option<u64>) -> Result<()> {
        me.write_scope()?;
        let name = me.user.name.clone();
        if let Some(zone) = &preferences.time_zone
            && crate::clock::zone(zone).is_none()
        {
            return Err(Error::field("time_zone", Message::new("time-zone-unknown")));
        }
        self.platform
            .write(move |rows| {
                let mut user = need_user(rows, &name)?;
                if expected.is_some_and(|expected| expected != user.version) {
                    return Err(Error::Stale);
                }
                if let Some(zone) = &preferences.time_zone {
                    user.time_zone = Some(zone.clone());
                }
                user.locale = preferences.locale.or(user.locale);
                user.theme = preferences.theme.unwrap_or(user.theme);
                user.changed(rows.now());
                rows.put_value(&user_key(&name), &user)
            })
            .await
    }
}

fn need_user(rows: &mut Writer<'_>, name: &UserName) -> Result<User> {
    rows.value::<User>(&user_key(name))?.ok_or(Error::NotFound)
}
