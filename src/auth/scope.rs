//! Proof of who asks and whose data it is. Fields are private; only `auth` makes a proof, from a live session, a
//! token, the operator's console, or the one [`SystemLicence`].

use std::fmt;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::error::{Error, Result};
use crate::text::Message;

/// Names that would read as something else on some system, or in our own messages.
const RESERVED: &[&str] = &[
    "con", "prn", "aux", "nul", "com1", "com2", "com3", "com4", "com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2",
    "lpt3", "lpt4", "lpt5", "lpt6", "lpt7", "lpt8", "lpt9", "system", "platform", "console",
];

fn is_name(name: &str) -> bool {
    let bytes = name.as_bytes();
    (2..=32).contains(&bytes.len())
        && bytes.iter().all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'))
        && !matches!(bytes[0], b'_' | b'-')
        && !RESERVED.contains(&name)
}

macro_rules! name_type {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Parses `[a-z0-9][a-z0-9_-]{1,31}`. Names are parsed, never bent: `Admin` is refused, not lower-cased.
            ///
            /// # Errors
            /// [`Error::Invalid`] on the field `username`, saying what is expected.
            pub fn parse(name: &str) -> Result<Self> {
                if is_name(name) {
                    Ok($name(name.to_owned()))
                } else {
                    Err(Error::field("username", Message::new("name-expected")))
                }
            }

            /// The name as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
                formatter.write_str(&self.0)
            }
        }

        impl<'de> Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> std::result::Result<Self, D::Error> {
                let name = String::deserialize(deserializer)?;
                $name::parse(&name).map_err(|_| serde::de::Error::custom("not a name"))
            }
        }
    };
}

name_type! {
    /// Whose data it is: names a folder, a database and a keyspace.
    Tenant
}
name_type! {
    /// A person who logs in.
    UserName
}

impl UserName {
    /// The tenant of the same name, which every user has.
    pub fn own_tenant(&self) -> Tenant {
        Tenant(self.0.clone())
    }
}

/// What a user may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Role {
    /// Runs the box, and has a library like everybody.
    Admin,
    /// Has a library.
    User,
    /// Looks and cannot touch.
    Demo,
}

impl Role {
    /// `admin`, `user` or `demo`.
    pub fn code(self) -> &'static str {
        match self {
            Role::Admin => "admin",
            Role::User => "user",
            Role::Demo => "demo",
        }
    }

    /// Reads [`Role::code`].
    pub fn parse(code: &str) -> Option<Role> {
        [Role::Admin, Role::User, Role::Demo].into_iter().find(|role| role.code() == code)
    }
}

/// Who acts, for rows and the audit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Actor {
    name: String,
    address: Option<IpAddr>,
}

impl Actor {
    /// A user's name, `console`, or `system:<task>`.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Where the request came from; `None` for background work and the console.
    pub fn address(&self) -> Option<IpAddr> {
        self.address
    }
}

/// May read one tenant's library.
#[derive(Debug, Clone)]
pub struct Scope {
    tenant: Tenant,
    actor: Actor,
}

impl Scope {
    /// Whose data.
    pub fn tenant(&self) -> &Tenant {
        &self.tenant
    }

    /// Who asks.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }
}

/// May read and change one tenant's library. A demo session never becomes one.
#[derive(Debug, Clone)]
pub struct WriteScope(Scope);

impl std::ops::Deref for WriteScope {
    type Target = Scope;
    fn deref(&self) -> &Scope {
        &self.0
    }
}

/// May look at how the box is run: users, quotas, what is on air, all audit logs. Gives nobody's library.
#[derive(Debug, Clone)]
pub struct OperatorScope {
    actor: Actor,
}

/// May run the box: what an operator's acts ask for. Whoever has it proved the password a moment ago, or sits at the
/// console; a session that was left open never becomes one.
#[derive(Debug, Clone)]
pub struct FreshOperatorScope(OperatorScope);

impl std::ops::Deref for FreshOperatorScope {
    type Target = OperatorScope;
    fn deref(&self) -> &OperatorScope {
        &self.0
    }
}

impl OperatorScope {
    /// Who acts.
    pub fn actor(&self) -> &Actor {
        &self.actor
    }

    /// A tenant's ledger, record and counts, for what `tenancy` shows an operator.
    pub(crate) fn look_at(&self, tenant: &Tenant) -> Scope {
        Scope { tenant: tenant.clone(), actor: self.actor.clone() }
    }
}

impl FreshOperatorScope {
    /// A tenant's ledger, runs and folders, for the acts that an operator orders (quota, deletion with
    /// everything, moving in from an old home). The audit of that tenant names the operator.
    pub(crate) fn on_behalf(&self, tenant: &Tenant) -> WriteScope {
        WriteScope(self.look_at(tenant))
    }
}

/// The permission of background work. One is made, in `app.rs`.
#[derive(Debug)]
pub struct SystemLicence(());

impl SystemLicence {
    /// The one call is in `app.rs`; clippy refuses any other.
    #[allow(clippy::new_without_default, reason = "a licence is never made by default")]
    pub fn new() -> SystemLicence {
        SystemLicence(())
    }

    /// A scope for queued work on a tenant; `task` becomes the actor `system:<task>`.
    pub fn scope(&self, tenant: &Tenant, task: &'static str) -> WriteScope {
        WriteScope(Scope { tenant: tenant.clone(), actor: Actor { name: format!("system:{task}"), address: None } })
    }

    /// The operator at the command line: whoever may open the home's own socket or files.
    pub fn console(&self) -> FreshOperatorScope {
        FreshOperatorScope(OperatorScope { actor: Actor { name: "console".to_owned(), address: None } })
    }
}

/// The proofs of a user who just showed a live session or token.
#[derive(Debug, Clone)]
pub(super) struct Proofs {
    pub scope: Scope,
    pub write: Option<WriteScope>,
    pub operator: Option<OperatorScope>,
    pub fresh_operator: Option<FreshOperatorScope>,
}

/// Makes them. `fresh`: the password behind the session or token was proved a moment ago.
pub(super) fn prove(user: &UserName, tenant: &Tenant, role: Role, address: Option<IpAddr>, fresh: bool) -> Proofs {
    let actor = Actor { name: user.to_string(), address };
    let scope = Scope { tenant: tenant.clone(), actor: actor.clone() };
    let write = (role != Role::Demo).then(|| WriteScope(scope.clone()));
    let operator = (role == Role::Admin).then_some(OperatorScope { actor });
    let fresh_operator = operator.clone().filter(|_| fresh).map(FreshOperatorScope);
    Proofs { scope, write, operator, fresh_operator }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parsed_and_never_bent() {
        for good in ["al", "a1", "0x", "a-b_c", &"a".repeat(32)] {
            assert!(Tenant::parse(good).is_ok(), "{good}");
        }
        for bad in [
            "",
            "a",
            "Admin",
            "аdmin",
            "../admin",
            "a/b",
            ".",
            "..",
            "con",
            "a\0b",
            "%2e%2e",
            "-a",
            "_a",
            "a.b",
            "ａｄ",
            "a b",
            "a\\b",
            &"a".repeat(33),
            "platform",
            "system",
        ] {
            assert!(Tenant::parse(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_demo_user_is_never_given_the_right_to_write() {
        let name = UserName::parse("demo").unwrap();
        let of = |role, fresh| prove(&name, &name.own_tenant(), role, None, fresh);
        let demo = of(Role::Demo, true);
        assert!(demo.write.is_none() && demo.operator.is_none() && demo.fresh_operator.is_none());
        let user = of(Role::User, true);
        assert!(user.write.is_some() && user.operator.is_none() && user.fresh_operator.is_none());
    }

    #[test]
    fn an_admin_s_old_login_looks_and_does_not_act() {
        let name = UserName::parse("root").unwrap();
        let of = |fresh| prove(&name, &name.own_tenant(), Role::Admin, None, fresh);
        assert!(of(false).operator.is_some() && of(false).fresh_operator.is_none());
        assert!(of(true).fresh_operator.is_some());
    }
}
