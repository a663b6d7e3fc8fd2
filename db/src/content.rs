//! Types that the modules for content share: blobs, manifests, and where they are linked.

use bytes::Bytes;
use model::{BlobId, Digest, ManifestId, ProjectId, RepositoryId, RepositoryName, Timestamp};

use crate::quota::Taking;
use crate::sql::row;

row! {
    columns blob_columns;
    /// A blob that is live.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct StoredBlob of blob {
        /// Its id, which always names the same blob.
        pub id: BlobId = blob.id,
        /// Its digest.
        pub digest: Digest = blob.digest,
        /// Where its bytes are.
        pub key: String = blob.object_key,
        /// Their number.
        pub size: u64 = blob.size,
    }
}

/// A blob that a repository links.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LinkedBlob {
    /// The project of the repository.
    pub project: ProjectId,
    /// The blob.
    pub blob: StoredBlob,
    /// Until when the link is kept even if nothing refers to it.
    pub lease_until: Timestamp,
}

/// A manifest as it is pulled.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct StoredManifest {
    /// The project of its repository.
    pub project: ProjectId,
    /// Its digest.
    pub digest: Digest,
    /// Its media type.
    pub media_type: String,
    /// Its bytes, as they were pushed.
    pub payload: Bytes,
}

/// A manifest that a transaction has locked.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct HeldManifest {
    /// Its row.
    pub id: ManifestId,
    /// Its digest.
    pub digest: Digest,
}

/// Where a blob is linked: a repository, and the project that is charged.
#[derive(Clone, Copy, Debug)]
pub struct Place<'a> {
    /// The project.
    pub project: ProjectId,
    /// The repository.
    pub repository: RepositoryId,
    /// The repository's name.
    pub name: &'a RepositoryName,
    /// How quota is taken from the project.
    pub taking: Taking,
}
