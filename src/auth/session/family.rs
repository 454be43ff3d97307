//! Logins of the API: families of tokens. An access token is signed and short; a refresh token is used once, for the next
//! pair.

use std::net::IpAddr;
use std::time::Duration;

use uuid::Uuid;

use super::{Caller, Kind, Pointer, Session, begin, end, is_over, remember_spent, session_key, token_key};
use crate::audit;
use crate::auth::scope::UserName;
use crate::auth::token::{Claims, random_token, token_hash};
use crate::auth::user::{User, user_key};
use crate::auth::{Accounts, Identity};
use crate::error::{Error, Result};

const ACCESS: Duration = Duration::from_secs(15 * 60);

/// What an API login gets.
#[derive(Debug, Clone)]
pub struct TokenPair {
    /// Shown with each request, for a quarter of an hour.
    pub access: String,
    /// Seconds until `access` runs out.
    pub expires_in: u64,
    /// Used once, for the next pair.
    pub refresh: String,
}

impl Accounts {
    /// Logs the API in.
    pub async fn log_in_api(&self, name: &str, password: String, caller: Caller) -> Result<(TokenPair, Identity)> {
        let user = self.check_password(name, password, &caller).await?;
        let Caller { address, agent, .. } = caller;
        let refresh = random_token()?;
        let (kept, shown) = (refresh.clone(), user.clone());
        let family = self
            .platform
            .write(move |rows| {
                let id = begin(rows, &user, Kind::Api, &kept, address, &agent, true)?;
                let identity = Identity::of(user.clone(), id, address, false);
                audit::record(rows, identity.scope().actor(), "token.begin", user.name.as_str())?;
                Ok(id)
            })
            .await?;
        let pair = self.pair(&shown, family, refresh)?;
        Ok((pair, Identity::of(shown, family, address, true)))
    }

    fn pair(&self, user: &User, family: Uuid, refresh: String) -> Result<TokenPair> {
        let iat = self.now().as_second();
        let claims =
            Claims { sub: user.name.to_string(), family, epoch: user.epoch, iat, exp: iat + ACCESS.as_secs() as i64 };
        Ok(TokenPair { access: self.signer.sign(&claims)?, expires_in: ACCESS.as_secs(), refresh })
    }

    /// A new pair for a refresh token, which is used up by it. One that is shown a second time was stolen or lost:
    /// its whole family ends.
    ///
    /// # Errors
    /// [`Error::LoginRequired`].
    pub async fn refresh(&self, token: &str, address: Option<IpAddr>) -> Result<TokenPair> {
        let hash = token_hash(token);
        let next = random_token()?;
        let given = next.clone();
        let renewed = self
            .platform
            .write(move |rows| {
                let Some(pointer) = rows.value::<Pointer>(&token_key(&hash))? else { return Ok(None) };
                let key = session_key(&pointer.user, pointer.session);
                let Some(session) = rows.value::<Session>(&key)? else { return Ok(None) };
                let user = rows.value::<User>(&user_key(&pointer.user))?;
                let now = rows.now();
                if session.kind != Kind::Api {
                    return Ok(None);
                }
                if session.token != hash {
                    end(rows, &pointer.user, &session)?;
                    let shown = address.map(|address| address.to_string());
                    audit::record_refusal(rows, pointer.user.as_str(), shown, "token.reuse", session.id.to_string())?;
                    return Ok(None);
                }
                let Some(user) = user.filter(|user| user.may_log_in() && !is_over(&session, now)) else {
                    end(rows, &pointer.user, &session)?;
                    return Ok(None);
                };
                remember_spent(rows, session.id, &hash)?;
                let session = Session { token: token_hash(&given), last_seen: now, address, ..session };
                rows.put_value(&token_key(&session.token), &Pointer { user: user.name.clone(), session: session.id })?;
                rows.put_value(&key, &session)?;
                Ok(Some((user, session.id)))
            })
            .await?;
        let (user, family) = renewed.ok_or(Error::LoginRequired)?;
        self.pair(&user, family, next)
    }

    /// The user behind an access token.
    ///
    /// # Errors
    /// [`Error::LoginRequired`] if it is not ours, run out, or its family or user has ended.
    pub async fn by_access_token(&self, token: &str, address: Option<IpAddr>) -> Result<Identity> {
        let now = self.now();
        let claims = self.signer.check(token, now.as_second())?;
        let name = UserName::parse(&claims.sub).map_err(|_| Error::LoginRequired)?;
        let family = claims.family;
        let found = self
            .platform
            .read(move |rows| {
                let session = rows.value::<Session>(&session_key(&name, family))?;
                Ok(rows.value::<User>(&user_key(&name))?.zip(session))
            })
            .await?;
        let (user, session) =
            found.filter(|(user, _)| user.may_log_in() && user.epoch == claims.epoch).ok_or(Error::LoginRequired)?;
        let fresh = self.is_fresh(&session, now);
        Ok(Identity::of(user, claims.family, address, fresh))
    }
}
