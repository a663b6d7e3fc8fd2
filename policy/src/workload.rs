//! What lets a workload in: the rules that its token met. What it may do by them are its
//! [own rights](crate::OwnRights).

use model::{PrincipalId, Timestamp};

use crate::Role;

/// The roles that a rule may give. A project's admin is none of them: what a workload makes would outlive its token.
pub const ROLES: [Role; 4] = [
    Role::Maintainer,
    Role::Developer,
    Role::Guest,
    Role::LimitedGuest,
];

/// A rule that a token met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkloadRule {
    /// The rule's id among principals.
    pub principal: PrincipalId,
    /// Its generation then: with another one it lets nobody in.
    pub generation: i64,
}

/// What a workload came with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The rules that its token met, the oldest first.
    pub rules: Vec<WorkloadRule>,
    /// Seconds for which a registry token is issued at most.
    pub token_secs: u32,
    /// When its own token ends, and with it everything that it got for it.
    pub expires_at: Timestamp,
}
