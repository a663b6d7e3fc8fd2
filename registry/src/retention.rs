//! Retention: what the rules of a policy say about a repository, and deleting what none of them keeps.
//!
//! **Nothing goes by an old view.** A repository is [looked at](Registry::evaluate_retention) by readers, page by page,
//! and a few of its artifacts at a time are [deleted](Registry::delete_by_retention), each such step a transaction. It
//! deletes only if the task that it belongs to is still running, the policy is the one that was evaluated, and no artifact
//! or tag of the repository came, went or moved since ([`Fingerprint`]); else the repository is looked at again. Of each
//! artifact it asks, once that is held, whether it was pushed or pulled since ([`Stamp`]). What changes later than that
//! waits for the artifact, and finds it gone, as after any deletion.
//!
//! **What else keeps an artifact**: a push within the policy's grace, an immutable tag, of its own or of a
//! referrer that would go with it, and an index that lists it. Referrers are not looked at: they stay with their subject
//! and go with it.

mod delete;
mod evaluate;
pub mod table;

use std::sync::Arc;
use std::time::Duration;

use db::manifest;
use db::retention::candidate::{Fingerprint, Stamp};
use model::retention::{CompiledRule, RuleSet};
use model::{Digest, ManifestId, ProjectId, RepositoryId, RepositoryName, RetentionId, Timestamp};

pub use self::delete::{Done, Step, Stepped, deleted_by};
pub use self::evaluate::{Look, MOST};

use crate::{Registry, Result};

/// The rules of a policy.
#[derive(Clone, Debug)]
pub struct Rules {
    /// The policy.
    pub policy: RetentionId,
    /// When it was changed last: by what it said before, nothing is deleted.
    pub version: Timestamp,
    /// All of them.
    pub all: Arc<[CompiledRule]>,
    /// How long after its last push no artifact goes.
    pub grace: Duration,
    /// By which moment days are counted.
    pub now: Timestamp,
}

/// A repository as it was looked at.
#[derive(Clone, Debug)]
pub struct Evaluated {
    /// The repository.
    pub repository: RepositoryId,
    /// Its artifacts, in the order of their rows.
    pub artifacts: Vec<Verdict>,
    pub(crate) fingerprint: Fingerprint,
}

impl Evaluated {
    /// What the rules say about an artifact; `None` for one that came since.
    pub fn verdict(&self, id: ManifestId) -> Option<&Verdict> {
        let at = self.artifacts.binary_search_by_key(&id, |one| one.id);
        at.ok().map(|at| &self.artifacts[at])
    }
}

/// What the rules say about an artifact.
#[derive(Clone, Copy, Debug)]
pub struct Verdict {
    /// The artifact.
    pub id: ManifestId,
    /// Its digest.
    pub digest: Digest,
    /// The place of the rule that keeps it, from 0; `None` if none does.
    pub kept_by: Option<usize>,
    /// The rules that select it.
    pub selected_by: RuleSet,
    /// Whether it has no tag and was pushed just now: an index that is being pushed may be about to list it.
    pub is_arriving: bool,
    /// Whether it was pushed within the policy's grace.
    pub is_recent: bool,
    pub(crate) stamp: Stamp,
}

impl Verdict {
    /// Whether nothing that was looked at keeps it.
    pub const fn goes(&self) -> bool {
        self.kept_by.is_none() && !self.is_arriving && !self.is_recent
    }
}

/// Why an artifact stays that no rule keeps.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Held {
    /// This tag is immutable.
    Immutable(String),
    /// This index lists it.
    Index(Digest),
    /// It was pushed, pulled or tagged meanwhile.
    Changed,
}

impl Registry {
    /// What keeps an artifact that no rule keeps, as far as it is seen before it is held.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn held_from_retention(
        &self,
        named: (ProjectId, &RepositoryName),
        (repository, artifact): (RepositoryId, ManifestId),
    ) -> Result<Option<Held>> {
        let going = (repository, artifact);
        if let Some(tag) = self.immutable_of(named, going).await? {
            return Ok(Some(Held::Immutable(tag)));
        }
        let parent = manifest::parent(&mut self.db.reader().await?, artifact).await?;
        Ok(parent.map(Held::Index))
    }
}
