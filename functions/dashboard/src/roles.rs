//! Roles of callers, and their permissions.

use serde::{Deserialize, Serialize};

/// Role of a caller of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessRole {
    /// Sees everything except phone numbers.
    Viewer,
    /// Also sees phone numbers; for support.
    Agent,
    /// Also redrives and discards dead letters, if the function may.
    Operator,
}

impl AccessRole {
    /// The word in variables and cookies.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Viewer => "viewer",
            Self::Agent => "agent",
            Self::Operator => "operator",
        }
    }

    /// All of them.
    pub const ALL: [Self; 3] = [Self::Viewer, Self::Agent, Self::Operator];
}

/// Permissions of a role.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct Permissions {
    /// See phone numbers, also in ids and texts.
    pub(crate) see_numbers: bool,
    /// Send dead letters back to the retry queue.
    pub(crate) redrive: bool,
    /// Delete dead letters.
    pub(crate) discard: bool,
}

/// The permissions of a role. `queues`: whether the function may change the queues.
pub(crate) fn permissions(role: AccessRole, queues: bool) -> Permissions {
    let operates = role == AccessRole::Operator && queues;
    Permissions {
        see_numbers: role != AccessRole::Viewer,
        redrive: operates,
        discard: operates,
    }
}
