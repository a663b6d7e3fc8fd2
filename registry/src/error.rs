//! What can go wrong with a push, a pull or a delete. The gateway maps each to a status and a code.

use db::quota::OverLimit;
use model::manifest::InvalidManifest;
use model::{Digest, Reference, RepositoryName};

use crate::BodyError;
use crate::size::WrongSize;

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// Why the registry did not do what was asked.
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
    /// No such upload session, or it is over.
    #[error("blob upload unknown to registry")]
    UploadUnknown,
    /// Another request went on with the session.
    #[error("another request went on with this upload")]
    TakenOver,
    /// A chunk that does not begin where the session stands.
    #[error("the chunk must begin at offset {expected}")]
    ChunkOutOfOrder {
        /// Id of the session.
        session: String,
        /// Where the session stands.
        expected: u64,
    },
    /// A body that is not as long as was said.
    #[error("the body has {actual} bytes, Content-Range says {stated}")]
    SizeMismatch {
        /// What the header says.
        stated: u64,
        /// What came.
        actual: u64,
    },
    /// The content has another digest.
    #[error("provided digest did not match uploaded content")]
    DigestMismatch {
        /// What was said.
        stated: Digest,
        /// What the bytes have.
        actual: Digest,
    },
    /// The manifest cannot be stored.
    #[error(transparent)]
    ManifestInvalid(InvalidManifest),
    /// The manifest refers to what the repository does not have.
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
    /// The project may not hold that much.
    #[error("{}", over_limit(.0))]
    QuotaExceeded(OverLimit),
    /// The request's body did not come whole.
    #[error("the request's body did not come whole")]
    Body(#[from] BodyError),
    /// Too many bodies at once.
    #[error("too many uploads and downloads at once: try again")]
    Busy,
    /// Pulls cannot be recorded any more.
    #[error("pulls cannot be recorded: try again")]
    CannotRecord,
    /// The store does not have the bytes of a blob any more, or not all of them.
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
    /// Work off the async threads did not end: it panicked, or the process ends.
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

    pub(crate) fn manifest_unknown(repository: &RepositoryName, reference: &Reference) -> Self {
        Self::ManifestUnknown(match reference {
            Reference::Tag(tag) => format!("{repository}:{tag}"),
            Reference::Digest(digest) => format!("{repository}@{digest}"),
        })
    }
}

fn sentence(wrong: &[WrongSize]) -> String {
    let wrong: Vec<String> = wrong.iter().map(ToString::to_string).collect();
    wrong.join("; ")
}

/// In the words that Harbor's clients know.
fn over_limit(over: &OverLimit) -> String {
    format!(
        "adding {} of storage resource, which when updated to current usage of {} will exceed the configured upper limit of {}.",
        units(over.adding),
        units(over.used),
        units(over.limit)
    )
}

/// Bytes in the largest unit that leaves a whole part, with one decimal.
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
