//! What a transaction changes that caches hold.

use model::{AccountId, Digest, ProjectName, RepositoryName, Tag};

/// Something cached that a transaction changed.
#[derive(Clone, Debug)]
pub(crate) enum Touch {
    /// A project appeared, changed or went.
    Project(ProjectName),
    /// What an account is bound to changed.
    Account(AccountId),
    /// A tag moved or went.
    Tag(RepositoryName, Tag),
    /// A manifest went or came.
    Manifest(RepositoryName, Digest),
    /// A blob's link to a repository went or came.
    Blob(RepositoryName, Digest),
    /// Too much to tell, or another process wrote.
    Everything,
}
