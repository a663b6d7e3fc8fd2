//! How a workload was admitted: the rules that its token matched. What they permit is in its [own
//! rights](crate::OwnRights).

use model::{PrincipalId, Timestamp};

use crate::Role;

/// The roles that a rule may give. Project admin is not one of them: what a workload creates would outlive its token.
pub const ROLES: [Role; 4] = [
    Role::Maintainer,
    Role::Developer,
    Role::Guest,
    Role::LimitedGuest,
];

/// A rule that a token matched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct WorkloadRule {
    /// The rule's id among principals.
    pub principal: PrincipalId,
    /// Its generation at that time: once it has changed, the rule no longer admits this workload.
    pub generation: i64,
}

/// The admission of a workload.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Workload {
    /// The rules that its token matched, oldest first.
    pub rules: Vec<WorkloadRule>,
    /// Maximum lifetime of a registry token in seconds.
    pub token_secs: u32,
    /// When its own token expires, and with it everything obtained with it.
    pub expires_at: Timestamp,
}
