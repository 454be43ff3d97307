//! The rows of users and tenants, in the platform's space.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::scope::{Role, Tenant, UserName};
use crate::text::Locale;

/// A person who logs in.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct User {
    /// UUIDv7. Names are what everything else refers to.
    pub id: Uuid,
    /// Login name; never changes.
    pub name: UserName,
    /// What they may do.
    pub role: Role,
    /// Whose library they use.
    pub tenant: Tenant,
    /// bcrypt, or an older form until the first login.
    pub password_hash: String,
    /// May not log in; live sessions end at once.
    pub disabled: bool,
    /// Is being removed with everything; never comes back.
    #[serde(default)]
    pub deleting: bool,
    /// Raised when the password changes or the user is disabled: access tokens of an older epoch are void.
    pub epoch: u64,
    /// IANA zone of the pages; the box's where absent.
    pub time_zone: Option<String>,
    /// Language of the pages.
    pub locale: Option<Locale>,
    /// Light, dark, or as the device says.
    pub theme: Option<Theme>,
    /// Who made it.
    pub created_by: String,
    /// When.
    pub created_at: Timestamp,
    /// When it was last changed.
    pub updated_at: Timestamp,
    /// Rises with every change; the ETag of the API.
    pub version: u64,
    /// When they last logged in.
    pub last_login: Option<Timestamp>,
}

impl User {
    /// Whether logins begin and go on.
    pub fn may_log_in(&self) -> bool {
        !self.disabled && !self.deleting
    }

    /// To be called with every change but that of `last_login`.
    pub(super) fn changed(&mut self, now: Timestamp) {
        self.version += 1;
        self.updated_at = now;
    }
}

/// Light or dark.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Theme {
    /// Dark on light.
    Light,
    /// Light on dark.
    Dark,
}

impl Theme {
    /// `light` or `dark`.
    pub fn code(self) -> &'static str {
        match self {
            Theme::Light => "light",
            Theme::Dark => "dark",
        }
    }

    /// Reads [`Theme::code`].
    pub fn parse(code: &str) -> Option<Theme> {
        match code {
            "light" => Some(Theme::Light),
            "dark" => Some(Theme::Dark),
            _ => None,
        }
    }
}

pub(super) fn user_key(name: &UserName) -> String {
    format!("user/{name}")
}
