//! Makes and removes tenants with their users. Each begins with a row of intent in the platform's space, so that what
//! a crash cuts off is finished, or cleaned away, by the next start.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use futures_util::future::BoxFuture;
use serde::{Deserialize, Serialize};
use tokio::sync::{Mutex, oneshot};

use super::{Plan, Usage, change_limit, usage};
use crate::audit;
use crate::auth::{
    Accounts, FreshOperatorScope, NewPassword, NewUser, OperatorScope, Role, Scope, SystemLicence, Tenant, User,
};
use crate::auth::{UserChange, UserName, WriteScope, members};
use crate::error::{Error, Result};
use crate::foundation::Foundation;
use crate::library::Editor;
use crate::store::rows::Reader;
use crate::store::{Range, SpaceStore, blocking};
use crate::supervise::Tasks;
use crate::text::Message;

/// What tenants that come and go have at work: streams and jobs.
pub trait Streams: Send + Sync {
    /// Ends every stream and job of a tenant and everything that could begin one; resolves when no process of theirs is left.
    fn end(&self, tenant: WriteScope) -> BoxFuture<'static, Result<()>>;
    /// Takes every stream of a tenant off air, and resolves when they are; what is planned stays planned.
    fn stop(&self, tenant: WriteScope) -> BoxFuture<'static, Result<()>>;
    /// How many streams of a tenant are to be on air.
    fn on_air(&self, tenant: Scope) -> BoxFuture<'static, Result<usize>>;
}

/// A tenant as the platform knows it, under `tenant/<name>`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(super) enum State {
    /// Space and folders are being made; nothing is in them yet.
    Making,
    /// Has a library.
    Live,
    /// Is being removed, with what it had when that began.
    Ending(Option<Removed>),
}

/// What went with a user.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removed {
    /// Files of the library; 0 where others still use it.
    pub files: u64,
    /// Their bytes.
    pub bytes: u64,
}

/// A user to be made, with what their library may use.
#[derive(Debug, Clone)]
pub struct NewMember {
    /// Login name.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// An existing tenant to join; one of the user's own name is made where absent.
    pub tenant: Option<Tenant>,
    /// How they prove who they are.
    pub password: NewPassword,
    /// Of the new tenant: the usual one of the role where absent. With a tenant that is joined, it changes that one's.
    pub plan: Option<Plan>,
    /// Bytes; the plan's where absent.
    pub storage_limit: Option<u64>,
}

/// What an operator may change of a user and their tenant.
#[derive(Debug, Clone, Default)]
pub struct MemberChange {
    /// Of the user.
    pub user: UserChange,
    /// Of the tenant.
    pub plan: Option<Plan>,
    /// Bytes of the tenant; `Some(None)` returns to the plan's.
    pub storage_limit: Option<Option<u64>>,
    /// Also takes the tenant's streams off air; only for a user who is locked out by this change.
    pub stop_streams: bool,
    /// The plan and the limit that the change was made from, where that is known.
    pub was: Option<(Plan, Option<u64>)>,
}

/// A tenant's ledger with the limit that holds for it.
#[derive(Debug, Clone, PartialEq)]
pub struct Account {
    /// The ledger.
    pub usage: Usage,
    /// Bytes.
    pub limit: u64,
}

impl Account {
    /// Used and reserved part of the limit, 0 to 100.
    pub fn percent(&self) -> f64 {
        ((self.usage.used() + self.usage.reserved) as f64 * 100.0 / self.limit.max(1) as f64).min(100.0).round()
    }
}

/// The tenants of the box.
#[derive(Clone)]
pub struct Tenancy {
    pub(super) foundation: Foundation,
    accounts: Accounts,
    tasks: Tasks,
    streams: Arc<dyn Streams>,
    /// One tenant is made or removed at a time, so that nobody joins one that goes.
    turn: Arc<Mutex<()>>,
}

const DEMO_DECIDED: &str = "demo-decided";

fn state_key(tenant: &Tenant) -> String {
    format!("tenant/{tenant}")
}

/// Whether a tenant is being removed: nothing of theirs may begin any more. `rows` are the platform's.
pub(crate) fn is_ending(rows: &Reader<'_>, tenant: &Tenant) -> Result<bool> {
    Ok(matches!(rows.value(&state_key(tenant))?, Some(State::Ending(_))))
}

impl Tenancy {
    /// `streams` is the live engine; removals go on in `tasks` when whoever asked for them has gone.
    pub fn new(foundation: &Foundation, accounts: &Accounts, tasks: &Tasks, streams: Arc<dyn Streams>) -> Tenancy {
        Tenancy {
            foundation: foundation.clone(),
            accounts: accounts.clone(),
            tasks: tasks.clone(),
            streams,
            turn: Arc::default(),
        }
    }

    pub(super) fn platform(&self) -> SpaceStore {
        #[allow(clippy::disallowed_methods, reason = "which tenants there are belongs to none of them")]
        self.foundation.store().platform()
    }

    pub(super) async fn state(&self, tenant: &Tenant) -> Result<Option<State>> {
        let key = state_key(tenant);
        self.platform().read(move |rows| rows.value(&key)).await
    }

    async fn set_state(&self, tenant: &Tenant, state: Option<State>) -> Result<()> {
        let key = state_key(tenant);
        self.platform()
            .write(move |rows| match &state {
                Some(state) => rows.put_value(&key, state),
                None => {
                    rows.delete_value(&key);
                    Ok(())
                }
            })
            .await
    }

    /// Every tenant that has a library, by name.
    pub async fn all(&self) -> Result<Vec<Tenant>> {
        let states = self.states().await?;
        Ok(states.into_iter().filter(|(_, state)| *state == State::Live).map(|(tenant, _)| tenant).collect())
    }

    pub(super) async fn states(&self) -> Result<Vec<(Tenant, State)>> {
        self.platform()
            .read(|rows| {
                let mut states = Vec::new();
                rows.values::<State>("tenant/", |key, state| {
                    if let Ok(tenant) = Tenant::parse(key.trim_start_matches("tenant/")) {
                        states.push((tenant, state));
                    }
                    ControlFlow::Continue(())
                })?;
                Ok(states)
            })
            .await
    }

    /// Whether the first start has made the demo account, or was told not to.
    pub async fn demo_decided(&self) -> Result<bool> {
        self.platform().read(|rows| Ok(rows.value(DEMO_DECIDED)?.unwrap_or(false))).await
    }

    /// The demo account is made once a home: who deletes it is not given it again.
    pub async fn decide_demo(&self) -> Result<()> {
        self.platform().write(|rows| rows.put_value(DEMO_DECIDED, &true)).await
    }

    /// Makes a user, and their tenant where it is theirs alone: space, folders, limit, then the user who may use it.
    ///
    /// # Errors
    /// [`Error::Conflict`] if the name is taken or the library of that name is somebody else's, [`Error::Invalid`] for
    /// an unusable password or a tenant that does not exist.
    pub async fn create(&self, operator: &FreshOperatorScope, new: NewMember) -> Result<User> {
        let _turn = self.turn.lock().await;
        self.accounts.check_new(&new.name, &new.password).await?;
        let own = new.name.own_tenant();
        let tenant = new.tenant.clone().unwrap_or_else(|| own.clone());
        let proof = operator.on_behalf(&tenant);
        let is_new = match self.state(&tenant).await? {
            Some(State::Live) if new.tenant.is_some() => false,
            Some(State::Live) => {
                return Err(Error::Conflict(Message::new("tenant-exists").with("name", tenant.as_str())));
            }
            Some(State::Ending(_)) => {
                return Err(Error::Conflict(Message::new("user-deleting").with("name", tenant.as_str())));
            }
            None if tenant != own => {
                return Err(Error::field("tenant", Message::new("tenant-unknown").with("name", tenant.as_str())));
            }
            // With the turn in hand, what is half made was left by a crash.
            Some(State::Making) => {
                self.clear(&proof).await?;
                true
            }
            None => true,
        };
        if !is_new {
            let user = self.accounts.create(operator, member(&new, &tenant), |_| Ok(())).await?;
            if new.plan.is_some() || new.storage_limit.is_some() {
                self.limit(&proof, new.plan, new.storage_limit.map(Some)).await?;
            }
            return Ok(user);
        }
        self.set_state(&tenant, Some(State::Making)).await?;
        let made = self.make(operator, &proof, &new).await;
        if made.is_err()
            && let Err(cause) = self.clear(&proof).await
        {
            tracing::warn!(%tenant, %cause, "a half made tenant stays until the next start");
        }
        made
    }

    async fn make(&self, operator: &FreshOperatorScope, proof: &WriteScope, new: &NewMember) -> Result<User> {
        let editor = Editor::open(&self.foundation, proof);
        editor.rows().create().await?;
        let (bucket, held) = (editor.bucket(), proof.clone());
        blocking(move || bucket.create(&held)).await?;
        let (plan, limit) = (new.plan.unwrap_or(Plan::usual(new.role)), new.storage_limit);
        editor.rows().write(move |rows| change_limit(rows, plan, limit)).await?;
        let key = state_key(proof.tenant());
        let live = move |rows: &mut crate::store::rows::Writer<'_>| rows.put_value(&key, &State::Live);
        self.accounts.create(operator, member(new, proof.tenant()), live).await
    }

    /// Takes away what was made of a tenant that nobody could use yet.
    async fn clear(&self, proof: &WriteScope) -> Result<()> {
        let editor = Editor::open(&self.foundation, proof);
        editor.rows().remove().await?;
        let (bucket, held) = (editor.bucket(), proof.clone());
        blocking(move || bucket.remove_everything(&held)).await?;
        self.set_state(proof.tenant(), None).await
    }

    /// The ledger of a tenant.
    ///
    /// # Errors
    /// [`Error::NotFound`] where there is no such tenant.
    pub async fn account(&self, operator: &OperatorScope, tenant: &Tenant) -> Result<Account> {
        self.own_account(&operator.look_at(tenant)).await
    }

    /// The ledger of a scope's own tenant.
    pub async fn own_account(&self, scope: &Scope) -> Result<Account> {
        let usage = self.foundation.rows(scope).read(usage).await?;
        let limit = self.foundation.ledger(scope).limit(&usage);
        Ok(Account { usage, limit })
    }

    /// How many of a tenant's streams are to be on air.
    pub async fn on_air(&self, operator: &OperatorScope, tenant: &Tenant) -> Result<usize> {
        self.streams.on_air(operator.look_at(tenant)).await
    }

    /// How many rows of each kind a tenant has: what would be missed.
    pub async fn holdings<const N: usize>(
        &self,
        operator: &OperatorScope,
        tenant: &Tenant,
        kinds: [&'static str; N],
    ) -> Result<[u64; N]> {
        let rows = self.foundation.rows(&operator.look_at(tenant));
        let counted = rows.read(move |rows| {
            let mut counts = [0; N];
            for (count, kind) in counts.iter_mut().zip(kinds) {
                rows.scan(Range::prefix(format!("row/{kind}/").as_bytes()), |_, _| {
                    *count += 1;
                    ControlFlow::Continue(())
                })?;
            }
            Ok(counts)
        });
        match counted.await {
            // Just being removed.
            Err(Error::NotFound) => Ok([0; N]),
            counts => counts,
        }
    }

    async fn limit(&self, proof: &WriteScope, plan: Option<Plan>, limit: Option<Option<u64>>) -> Result<()> {
        let actor = proof.actor().clone();
        self.foundation
            .rows(proof)
            .write(move |rows| {
                let before = usage(rows.view())?;
                let (plan, limit) = (plan.unwrap_or(before.plan), limit.unwrap_or(before.own_limit));
                if (plan, limit) == (before.plan, before.own_limit) {
                    return Ok(());
                }
                change_limit(rows, plan, limit)?;
                let told = match limit {
                    Some(limit) => format!("{}, {limit} bytes", plan.code()),
                    None => plan.code().to_owned(),
                };
                audit::record(rows, &actor, "tenant.change-limit", told)
            })
            .await
    }

    /// Changes a user and what their tenant may use.
    ///
    /// # Errors
    /// As [`Accounts::change`]; [`Error::Invalid`] on `stop_streams` where it is asked for without `disabled`;
    /// [`Error::Stale`] also where plan and limit are others than they `was`.
    pub async fn change(
        &self,
        operator: &FreshOperatorScope,
        name: UserName,
        change: MemberChange,
        expected: Option<u64>,
    ) -> Result<User> {
        if change.stop_streams && change.user.disabled != Some(true) {
            return Err(Error::field("stop_streams", Message::new("user-stop-only-disabled")));
        }
        if change.was.is_some() {
            let (user, _) = self.accounts.get(operator, name.clone()).await?;
            let usage = self.account(operator, &user.tenant).await?.usage;
            if change.was != Some((usage.plan, usage.own_limit)) {
                return Err(Error::Stale);
            }
        }
        let user = self.accounts.change(operator, name, change.user, expected).await?;
        if change.plan.is_some() || change.storage_limit.is_some() {
            self.limit(&operator.on_behalf(&user.tenant), change.plan, change.storage_limit).await?;
        }
        if change.stop_streams {
            self.streams.stop(operator.on_behalf(&user.tenant)).await?;
        }
        Ok(user)
    }

    /// Removes a user, and the whole library where nobody else uses it: the login at once, then streams, rows and
    /// files, the user's row last. Goes on to its end when the caller is gone, and after a crash at the next start.
    ///
    /// # Errors
    /// [`Error::Conflict`] for the last admin and for oneself.
    pub async fn remove(&self, operator: &FreshOperatorScope, name: UserName) -> Result<Removed> {
        let user = self.accounts.begin_removal(operator, name).await?;
        let (this, proof) = (self.clone(), operator.on_behalf(&user.tenant));
        let (answer, wait) = oneshot::channel();
        self.tasks.spawn("user removal", move |_| async move {
            let outcome = this.finish_removal(proof, user).await;
            // Nobody may be waiting any more.
            let _ = answer.send(outcome);
        });
        wait.await.map_err(|_| Error::Internal(anyhow::anyhow!("the server ends; the next start goes on")))?
    }

    async fn finish_removal(&self, proof: WriteScope, user: User) -> Result<Removed> {
        let _turn = self.turn.lock().await;
        let tenant = &user.tenant;
        let (mut removed, mut alone) = (Removed::default(), false);
        if let Some(state) = self.state(tenant).await? {
            let of = tenant.clone();
            let members = self.platform().read(move |rows| members(rows, &of)).await?;
            alone = members.iter().all(|member| *member == user.name);
            if alone {
                removed = self.end(&proof, state).await?;
            }
        }
        let told = match alone {
            true => format!("{}: {} files, {} bytes", user.name, removed.files, removed.bytes),
            false => format!("{}: others still use the library {tenant}", user.name),
        };
        let key = state_key(tenant);
        let with = move |rows: &mut crate::store::rows::Writer<'_>| {
            if alone {
                rows.delete_value(&key);
            }
        };
        match self.accounts.finish_removal(proof.actor().clone(), user.name, told, with).await {
            // Two asked for the same; the other one was quicker.
            Err(Error::NotFound) => Ok(removed),
            outcome => outcome.map(|()| removed),
        }
    }

    /// Ends a tenant: streams, then rows, then files.
    async fn end(&self, proof: &WriteScope, state: State) -> Result<Removed> {
        let tenant = proof.tenant();
        if !matches!(state, State::Ending(_)) {
            self.set_state(tenant, Some(State::Ending(None))).await?;
        }
        self.streams.end(proof.clone()).await?;
        let editor = Editor::open(&self.foundation, proof);
        let removed = match state {
            State::Ending(Some(removed)) => removed,
            _ => {
                let bucket = editor.bucket();
                let found = blocking(move || bucket.list()).await?;
                let files = (found.objects.len() + found.strange.len()) as u64;
                let removed = Removed { files, bytes: found.objects.iter().map(|(_, length)| length).sum() };
                // Kept, so that the numbers are still right when files are gone and the rest is not.
                self.set_state(tenant, Some(State::Ending(Some(removed)))).await?;
                removed
            }
        };
        editor.rows().remove().await?;
        for again in [true, true, false] {
            let (bucket, held) = (editor.bucket(), proof.clone());
            match blocking(move || bucket.remove_everything(&held)).await {
                Ok(()) => break,
                // An upload that was under way wrote once more while its folder went.
                Err(_) if again => tokio::time::sleep(Duration::from_millis(200)).await,
                Err(cause) => return Err(cause),
            }
        }
        Ok(removed)
    }

    /// Finishes what a crash cut off: tenants that were half made go, users that were being removed go to the end.
    pub async fn reconcile(&self, licence: &SystemLicence) -> Result<()> {
        for (tenant, state) in self.states().await? {
            let proof = licence.scope(&tenant, "tenancy");
            let of = tenant.clone();
            let unused = self.platform().read(move |rows| members(rows, &of)).await?.is_empty();
            let _turn = self.turn.lock().await;
            match state {
                // Looked at again with the turn in hand: somebody may be making it right now.
                State::Making if self.state(&tenant).await? == Some(State::Making) => {
                    tracing::info!(%tenant, "a half made tenant is removed");
                    self.clear(&proof).await?;
                }
                State::Ending(_) if unused => {
                    self.end(&proof, state).await?;
                    self.set_state(&tenant, None).await?;
                }
                _ => {}
            }
        }
        for user in self.accounts.removals().await? {
            tracing::info!(user = %user.name, "a removal that was cut off goes on");
            let proof = licence.scope(&user.tenant, "tenancy");
            self.finish_removal(proof, user).await?;
        }
        Ok(())
    }
}

fn member(new: &NewMember, tenant: &Tenant) -> NewUser {
    NewUser { name: new.name.clone(), role: new.role, tenant: tenant.clone(), password: new.password.clone() }
}

#[cfg(test)]
#[path = "tenants_tests.rs"]
mod tests;
