//! Cached things that a transaction changes.

use model::{Digest, PrincipalId, ProjectId, ProjectName, RepositoryName, Tag};

/// Something cached that a transaction changed.
#[derive(Clone, Debug)]
pub(crate) enum Touch {
    /// A project was created, changed or deleted.
    Project(ProjectName),
    /// A principal's name, rights or generation changed.
    Principal(PrincipalId),
    /// A principal's role in a project changed.
    Member(PrincipalId, ProjectId),
    /// Roles of a group changed, and with them those of its members.
    Bindings,
    /// A tag was moved or deleted.
    Tag(RepositoryName, Tag),
    /// A manifest was created or deleted.
    Manifest(RepositoryName, Digest),
    /// A blob's link to a repository was created or removed.
    Blob(RepositoryName, Digest),
    /// Jobs were added, or are due earlier.
    Jobs,
    /// Too much to list, or another process wrote.
    Everything,
}
