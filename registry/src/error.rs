//! Errors of pushes, pulls and deletes. The gateway maps each to a status and a code.

use db::quota::OverLimit;
use model::manifest::InvalidManifest;
use model::{Digest, ManifestId, Reference, RepositoryId, RepositoryName, Tag};

use crate::BodyError;
use crate::size::WrongSize;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the registry refused or failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// No such repository.
    #[error("repository name not known to registry: {0}")]
    NameUnknown(RepositoryName),
    /// No such manifest in the repository.
    #[error("artifact {0} not found")]
    ManifestUnknown(String),
    /// No such blob in the repository.
    #[error("blob unknown to registry")]
    BlobUnknown(Digest),
    /// The stored bytes of a blob do not have its digest.
    #[error("the stored bytes of blob {0} are damaged: push it again")]
    BlobDamaged(Digest),
    /// No such upload session, or it has ended.
    #[error("blob upload unknown to registry")]
    UploadUnknown,
    /// Another request continued the session.
    #[error("another request went on with this upload")]
    TakenOver,
    /// A chunk that does not begin at the session's offset.
    #[error("the chunk must begin at offset {expected}")]
    ChunkOutOfOrder {
        /// Id of the session.
        session: String,
        /// The session's offset.
        expected: u64,
    },
    /// A body whose length does not match the header.
    #[error("the body has {actual} bytes, Content-Range says {stated}")]
    SizeMismatch {
        /// The length in the header.
        stated: u64,
        /// The received length.
        actual: u64,
    },
    /// The content has another digest.
    #[error("provided digest did not match uploaded content")]
    DigestMismatch {
        /// The stated digest.
        stated: Digest,
        /// The actual digest.
        actual: Digest,
    },
    /// The manifest cannot be stored.
    #[error(transparent)]
    ManifestInvalid(InvalidManifest),
    /// The manifest names blobs or manifests that the repository does not have.
    #[error("the manifest refers to {} that the repository does not have", .0.len())]
    ReferencesMissing(Vec<Digest>),
    /// The manifest states wrong sizes.
    #[error("{}", sentence(.0))]
    WrongSizes(Vec<WrongSize>),
    /// The manifest is larger than 4 MiB.
    #[error("a manifest has at most 4194304 bytes")]
    ManifestTooLarge,
    /// A manifest of the repository names the blob.
    #[error("blob {blob} is named by manifest {manifest}: delete that first")]
    BlobInUse {
        /// The blob.
        blob: Digest,
        /// The manifest.
        manifest: Digest,
    },
    /// An index of the repository lists the manifest.
    #[error("manifest {child} is listed by index {parent}: delete that first")]
    ManifestInUse {
        /// The manifest.
        child: Digest,
        /// The index.
        parent: Digest,
    },
    /// The artifact has other tags besides the one that names it.
    #[error("artifact {artifact} has the tags {}: use force to delete them with it", names(.tags))]
    OtherTags {
        /// The artifact.
        artifact: Digest,
        /// The other tags.
        tags: Vec<Tag>,
    },
    /// A rule of the project makes the tag immutable. The message is Harbor's.
    #[error("Failed to process request due to '{0}' configured as immutable.")]
    Immutable(String),
    /// The repository has the tag already.
    #[error("tag {tag} already exists under the repository {repository}")]
    TagExists {
        /// The tag.
        tag: Tag,
        /// The repository.
        repository: RepositoryId,
    },
    /// The artifact does not have the tag.
    #[error("tag {tag} attached to artifact {artifact} not found")]
    TagUnknown {
        /// The tag.
        tag: Tag,
        /// The artifact.
        artifact: ManifestId,
    },
    /// The tag never pointed at the digest.
    #[error("tag {tag} never pointed at {digest}")]
    NeverTagged {
        /// The tag.
        tag: Tag,
        /// The digest.
        digest: Digest,
    },
    /// The tag once pointed at the digest, which has been deleted.
    #[error("{digest}, at which tag {tag} once pointed, was deleted")]
    DigestGone {
        /// The tag.
        tag: Tag,
        /// The digest.
        digest: Digest,
    },
    /// An accessory can be copied only with its subject.
    #[error("accessories are copied with what they belong to, not by themselves")]
    CopiesAccessory,
    /// A copy would hold too much of something.
    #[error("the artifact has more than {1} {0}, too many for one copy")]
    CopyTooLarge(&'static str, i64),
    /// The artifact has no such addition.
    #[error("the artifact has no {0}")]
    AdditionUnknown(&'static str),
    /// An addition cannot be read from what was pushed.
    #[error("the {0} of the artifact cannot be read: {1}")]
    AdditionBroken(&'static str, String),
    /// The project's quota is exceeded.
    #[error("{}", over_limit(.0))]
    QuotaExceeded(OverLimit),
    /// The request's body was not received completely.
    #[error("the request's body did not come whole")]
    Body(#[from] BodyError),
    /// Too many bodies at once.
    #[error("too many uploads and downloads at once: try again")]
    Busy,
    /// Pulls cannot be recorded.
    #[error("pulls cannot be recorded: try again")]
    CannotRecord,
    /// The store lost some or all bytes of a blob.
    #[error(
        "the store lost bytes of blob {blob}, which repository {repository} links: run `gantry storage check`, then \
         push the blob again"
    )]
    BlobLost {
        /// The blob.
        blob: Digest,
        /// Where it was to be read.
        repository: RepositoryName,
        /// What the store said.
        #[source]
        source: storage::Error,
    },
    /// The bytes of a blob cannot be read now.
    #[error("cannot read blob {blob} of repository {repository}")]
    BlobUnreadable {
        /// The blob.
        blob: Digest,
        /// Where it was to be read.
        repository: RepositoryName,
        /// What the store said.
        #[source]
        source: storage::Error,
    },
    /// Work off the async threads did not finish: it panicked, or the process is stopping.
    #[error("interrupted: cannot {0}")]
    Interrupted(&'static str, #[source] tokio::task::JoinError),
    /// The project was deleted while the request ran.
    #[error("the project does not exist any more")]
    ProjectGone,
    /// The metadata cannot be read or written.
    #[error("the metadata cannot be reached")]
    Database(#[source] db::Error),
    /// The bytes cannot be read or written.
    #[error("the blob store cannot be used")]
    Storage(#[from] storage::Error),
}

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::ProjectGone => Self::ProjectGone,
            db::Error::UploadGone => Self::UploadUnknown,
            error => Self::Database(error),
        }
    }
}

impl Error {
    /// Why a blob cannot be read.
    pub(crate) fn of_blob(
        blob: Digest,
        repository: RepositoryName,
        source: storage::Error,
    ) -> Self {
        match source {
            storage::Error::Missing(_) | storage::Error::Truncated(_) => Self::BlobLost {
                blob,
                repository,
                source,
            },
            _ => Self::BlobUnreadable {
                blob,
                repository,
                source,
            },
        }
    }

    /// For a tag, in a repository named without its project, as in Harbor.
    pub(crate) fn immutable(repository: &RepositoryName, tag: &Tag) -> Self {
        let name = repository.as_str();
        let rest = name.split_once('/').map_or(name, |(_, rest)| rest);
        Self::Immutable(format!("{rest}:{tag}"))
    }

    pub(crate) fn manifest_unknown(repository: &RepositoryName, reference: &Reference) -> Self {
        Self::ManifestUnknown(match reference {
            Reference::Tag(tag) => format!("{repository}:{tag}"),
            Reference::Digest(digest) => format!("{repository}@{digest}"),
        })
    }
}

/// The first few tags.
fn names(tags: &[Tag]) -> String {
    const FEW: usize = 10;
    let few: Vec<&str> = tags.iter().take(FEW).map(Tag::as_str).collect();
    let few = few.join(", ");
    match tags.len().saturating_sub(FEW) {
        0 => few,
        more => format!("{few} and {more} more"),
    }
}

fn sentence(wrong: &[WrongSize]) -> String {
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    wrong.join("; ")
}

/// Harbor's message.
fn over_limit(over: &OverLimit) -> String {
    format!(
        "adding {} of storage resource, which when updated to current usage of {} will exceed the configured upper limit of {}.",
        units(over.adding),
        units(over.used),
        units(over.limit)
    )
}

/// Bytes in the largest unit in which the value is at least 1, with one decimal.
fn units(bytes: i64) -> String {
    const UNITS: [&str; 5] = ["KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut size = bytes as f64;
    let mut unit = "B";
    for larger in UNITS {
        if size.abs() < 1024.0 {
            break;
        }
        size /= 1024.0;
        unit = larger;
    }
    format!("{size:.1} {unit}")
}
