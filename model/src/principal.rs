//! Who acts. What they may do is decided in `policy`; how they prove who they are is `auth`'s affair.

use std::sync::Arc;

use crate::AccountId;

/// Who acts. Robots and workloads join with what they sign in with.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Principal {
    /// Whoever is not signed in.
    #[default]
    Anonymous,
    /// Whoever gave this name and did not prove that it is theirs: a failed login.
    Claimed(Arc<str>),
    /// A local account.
    User {
        /// Its id.
        id: AccountId,
        /// Its name.
        name: Arc<str>,
    },
    /// Gantry itself, at one of its own tasks.
    System(SystemTask),
    /// Whoever runs commands on the machine.
    CommandLine,
}

/// What Gantry does without being asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SystemTask {
    /// Makes what an empty installation needs.
    FirstStart,
    /// Removes what nothing refers to.
    GarbageCollection,
}

impl Principal {
    /// The name in logs and in the history.
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Claimed(name) | Self::User { name, .. } => name,
            Self::System(SystemTask::FirstStart) => "first start",
            Self::System(SystemTask::GarbageCollection) => "garbage collection",
            Self::CommandLine => "command line",
        }
    }

    /// The local account, where it is one.
    pub const fn account(&self) -> Option<AccountId> {
        match self {
            Self::User { id, .. } => Some(*id),
            Self::Anonymous | Self::Claimed(_) | Self::System(_) | Self::CommandLine => None,
        }
    }
}
