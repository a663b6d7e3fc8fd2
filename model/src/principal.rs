//! Who acts. `policy` decides what they may do; `auth` checks who they are.

use std::sync::Arc;

use crate::{PrincipalId, RobotId, UserId};

/// Who acts. Any kind with an id can hold roles; each kind also has an id of its own, which clients see.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub enum Principal {
    /// A caller who is not signed in.
    #[default]
    Anonymous,
    /// A caller who gave this name without proof that it is theirs: a failed login.
    Claimed(Arc<str>),
    /// A person.
    User {
        /// Its id among principals.
        id: PrincipalId,
        /// Its id among users.
        user: UserId,
        /// The name to sign in with.
        name: Arc<str>,
    },
    /// A program that signs in by itself, with rights of its own.
    Robot {
        /// Its id among principals.
        id: PrincipalId,
        /// Its id among robots.
        robot: RobotId,
        /// The name to sign in with.
        name: Arc<str>,
    },
    /// A CI job or a pod, which signs in with a token of its own issuer.
    Workload {
        /// The id, among principals, of the rule that admitted it.
        id: PrincipalId,
        /// Subject and issuer of its token.
        name: Arc<str>,
    },
    /// Gantry itself, at one of its own tasks.
    System(SystemTask),
    /// A person who runs commands on the machine.
    CommandLine,
}

/// Tasks that Gantry does by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum SystemTask {
    /// Creates what an empty installation needs.
    FirstStart,
    /// Removes unreferenced content.
    GarbageCollection,
    /// Removes old entries of the audit log.
    AuditPurge,
    /// Removes accounts whose address was not verified.
    Registration,
    /// Updates people and groups from a directory.
    Directory,
    /// Removes artifacts that no rule of their project keeps.
    Retention,
    /// Copies artifacts from and to other registries.
    Replication,
    /// Sends events of the registry to endpoints.
    RegistryNotification,
    /// Sends what happens in projects to servers that their administrators name.
    Webhooks,
    /// Tells of robots that expire.
    RobotExpiry,
    /// Obtains the server certificate.
    Acme,
}

impl Principal {
    /// The name in logs and in the history.
    pub fn name(&self) -> &str {
        match self {
            Self::Anonymous => "anonymous",
            Self::Claimed(name)
            | Self::User { name, .. }
            | Self::Robot { name, .. }
            | Self::Workload { name, .. } => name,
            Self::System(SystemTask::FirstStart) => "first start",
            Self::System(SystemTask::GarbageCollection) => "garbage collection",
            Self::System(SystemTask::AuditPurge) => "audit purge",
            Self::System(SystemTask::Registration) => "registration",
            Self::System(SystemTask::Directory) => "directory",
            Self::System(SystemTask::Retention) => "tag retention",
            Self::System(SystemTask::Replication) => "replication",
            Self::System(SystemTask::RegistryNotification) => "registry notification",
            Self::System(SystemTask::Webhooks) => "webhooks",
            Self::System(SystemTask::RobotExpiry) => "robot expiry",
            Self::System(SystemTask::Acme) => "ACME",
            Self::CommandLine => "command line",
        }
    }

    /// The id, for principals that can sign in.
    pub const fn id(&self) -> Option<PrincipalId> {
        match self {
            Self::User { id, .. } | Self::Robot { id, .. } | Self::Workload { id, .. } => Some(*id),
            Self::Anonymous | Self::Claimed(_) | Self::System(_) | Self::CommandLine => None,
        }
    }

    /// The user, if it is one.
    pub const fn user(&self) -> Option<UserId> {
        match self {
            Self::User { user, .. } => Some(*user),
            Self::Anonymous
            | Self::Claimed(_)
            | Self::Robot { .. }
            | Self::Workload { .. }
            | Self::System(_)
            | Self::CommandLine => None,
        }
    }
}
