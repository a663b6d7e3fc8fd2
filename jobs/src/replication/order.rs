//! What an execution is to do.

use model::replication::{Direction, PolicyContent};
use model::{ExecutionId, ReplicationPolicyId};
use serde::{Deserialize, Serialize};

/// What an execution is to do, as its job has it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Order {
    /// The execution.
    pub execution: ExecutionId,
    /// Its policy.
    pub policy: ReplicationPolicyId,
    /// Whether nothing is copied, and only said what would be.
    #[serde(default)]
    pub dry_run: bool,
    /// The repositories that alone are looked at; all where there are none.
    #[serde(default)]
    pub only: Vec<String>,
    /// What happened, where events started it: nothing else is looked at.
    #[serde(default)]
    pub changes: Vec<Change>,
}

/// Something that happened to an artifact or a tag.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Change {
    /// The repository.
    pub repository: String,
    /// The tag, or else the digest; [`Change::WHOLE`] for the repository.
    pub reference: String,
    /// Whether it was deleted.
    pub deleted: bool,
}

impl Change {
    /// Stands for all of a repository.
    pub const WHOLE: &'static str = "*";
}

/// What the names at source and destination are, for a policy.
pub(crate) struct Ways<'a>(pub(crate) &'a PolicyContent);

impl Ways<'_> {
    /// Whether artifacts go out.
    pub(crate) fn is_push(&self) -> bool {
        self.0.direction == Direction::Push
    }
}
