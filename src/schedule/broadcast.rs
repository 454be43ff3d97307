//! What a platform is to be told of a schedule's broadcasts.

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::sheet::Privacy;

/// Texts and settings of broadcasts; what is `None` is left to the platform.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(default)]
pub struct Broadcast {
    /// What viewers read below it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
    /// Who may see it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub privacy: Option<Privacy>,
    /// It is made for children.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub made_for_kids: Option<bool>,
    /// The platform shows it as soon as video comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_start: Option<bool>,
    /// The platform ends it when no more video comes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub auto_stop: Option<bool>,
    /// Its picture.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub thumbnail_id: Option<Uuid>,
}

impl Broadcast {
    /// Longest description that YouTube takes, in bytes.
    pub const LONGEST_DESCRIPTION: usize = 5000;

    /// Nothing is said.
    pub fn is_empty(&self) -> bool {
        *self == Broadcast::default()
    }
}
