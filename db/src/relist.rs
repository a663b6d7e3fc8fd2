//! Changes of a transaction that affect which manifests are listed.

use std::collections::BTreeMap;

use model::{ManifestId, RepositoryId, Tag};

/// Repositories with such changes, in the order in which they are locked.
pub(crate) type Relists = BTreeMap<RepositoryId, Relist>;

/// Such changes in one repository.
#[derive(Debug, Default)]
pub(crate) struct Relist {
    /// Manifests to check.
    pub(crate) manifests: Vec<i64>,
    /// Tags that were moved: their previous targets are checked too.
    pub(crate) tags: Vec<String>,
    /// New listed manifests less removed ones.
    pub(crate) difference: i64,
    /// Whether the transaction has locked the repository's row.
    pub(crate) is_locked: bool,
}

impl Relist {
    /// Marks a manifest to be checked.
    pub(crate) fn manifest(&mut self, manifest: ManifestId) {
        self.manifests.push(manifest.0);
    }

    /// Marks the previous target of a tag to be checked.
    pub(crate) fn tag(&mut self, tag: &Tag) {
        self.tags.push(tag.as_str().to_owned());
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.manifests.is_empty() && self.tags.is_empty() && self.difference == 0
    }
}
