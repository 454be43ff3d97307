//! Plans: what a tenant may use unless its ledger names a limit of its own.

use serde::{Deserialize, Serialize};

use crate::auth::Role;

/// A plan by its word.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, utoipa::ToSchema)]
#[serde(rename_all = "lowercase")]
pub enum Plan {
    /// 1 GiB.
    Free,
    /// 100 GiB.
    #[default]
    Premium,
    /// 1,000 GiB.
    Enterprise,
}

impl Plan {
    /// All plans, smallest first.
    pub const ALL: [Plan; 3] = [Plan::Free, Plan::Premium, Plan::Enterprise];

    /// That of a new tenant where nobody says.
    pub fn usual(role: Role) -> Plan {
        match role {
            Role::Admin => Plan::Enterprise,
            Role::User | Role::Demo => Plan::Premium,
        }
    }

    /// Bytes of storage.
    pub fn storage(self) -> u64 {
        match self {
            Plan::Free => 1 << 30,
            Plan::Premium => 100 << 30,
            Plan::Enterprise => 1000 << 30,
        }
    }

    /// `free`, `premium` or `enterprise`.
    pub fn code(self) -> &'static str {
        match self {
            Plan::Free => "free",
            Plan::Premium => "premium",
            Plan::Enterprise => "enterprise",
        }
    }

    /// Reads [`Plan::code`].
    pub fn parse(code: &str) -> Option<Plan> {
        Plan::ALL.into_iter().find(|plan| plan.code() == code)
    }
}
