//! What a transaction changes that caches hold.

use model::{Digest, PrincipalId, ProjectId, ProjectName, RepositoryName, Tag};

/// Something cached that a transaction changed.
#[derive(Clone, Debug)]
pub(crate) enum Touch {
    /// A project appeared, changed or went.
    Project(ProjectName),
    /// A principal's name, rights or generation changed.
    Principal(PrincipalId),
    /// A principal's role in a project changed.
    Member(PrincipalId, ProjectId),
    /// Roles of a group changed, and so those of whoever is in it.
    Bindings,
    /// A tag moved or went.
    Tag(RepositoryName, Tag),
    /// A manifest went or came.
    Manifest(RepositoryName, Digest),
    /// A blob's link to a repository went or came.
    Blob(RepositoryName, Digest),
    /// Jobs were added, or are due earlier.
    Jobs,
    /// Too much to tell, or another process wrote.
    Everything,
}
