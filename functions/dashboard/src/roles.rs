//! Roles of callers, and what each may do.

use serde::{Deserialize, Serialize};

/// Role of a caller of the dashboard.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, schemars::JsonSchema)]
#[serde(rename_all = "lowercase")]
pub enum AccessRole {
    /// Sees everything but numbers of people.
    Viewer,
    /// Sees numbers too: support.
    Agent,
    /// Also looks after dead letters, where the function may.
    Operator,
}

impl AccessRole {
    /// The word of a variable or cookie.
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

/// What a role may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, schemars::JsonSchema)]
pub(crate) struct May {
    /// See numbers of people, in ids and texts too.
    pub(crate) see_numbers: bool,
    /// Send dead letters back to the retry queue.
    pub(crate) redrive: bool,
    /// Delete dead letters.
    pub(crate) discard: bool,
}

/// What a role may do where the function itself may touch the queues, or may not.
pub(crate) fn may(role: AccessRole, queues: bool) -> May {
    let operates = role == AccessRole::Operator && queues;
    May {
        see_numbers: role != AccessRole::Viewer,
        redrive: operates,
        discard: operates,
    }
}
