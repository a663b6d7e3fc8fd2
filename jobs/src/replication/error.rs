//! Why something was not copied.

use model::InvalidLabel;
use model::replication::{InvalidFilter, InvalidMapping};

/// Why something was not copied: what is wrong, where, and what to do about it.
#[derive(Debug, thiserror::Error)]
pub enum CopyError {
    /// The other registry.
    #[error(transparent)]
    Remote(#[from] remote::Error),
    /// This registry.
    #[error("this registry refuses it: {0}")]
    Registry(#[source] registry::Error),
    /// A project of this registry.
    #[error("a project of this registry cannot be made or used: {0}")]
    Tenancy(#[source] tenancy::Error),
    /// The database of this registry.
    #[error("the database did not serve the copy")]
    Database(#[from] db::Error),
    /// What is stored here about the policy cannot be read.
    #[error("what is stored about the policy cannot be read: {0}")]
    Stored(String),
    /// The source does not have what it lists.
    #[error("the source does not have {0}, though something there names it")]
    Missing(String),
    /// The source's manifest cannot be stored.
    #[error("the manifest {0} cannot be copied: {1}")]
    Manifest(String, String),
    /// The other registry takes nothing of what there is.
    #[error(
        "nothing is copied: of {0} artifacts there is none whose kind the other registry takes; the log says what it answers"
    )]
    AllSkipped(u64),
    /// What lists, or is attached to, one another does not end.
    #[error(
        "the manifest {0} is more than {1} lists or attachments deep: so many are not followed, and nothing that leads to it is copied"
    )]
    TooDeep(String, usize),
    /// The source has more repositories than are looked at.
    #[error("the source has more than {0} repositories: narrow the policy's name filter")]
    TooMany(usize),
    /// A name has no place at the destination.
    #[error(transparent)]
    Mapping(#[from] InvalidMapping),
    /// A version is of the future.
    #[error(
        "the version of {0} is {1} s ahead of the clock here: set the clocks of both sites right"
    )]
    Ahead(String, u64),
    /// A label cannot be made here.
    #[error("the label {0:?} cannot be made: {1}")]
    Label(String, #[source] InvalidLabel),
    /// The policy's filters cannot be read.
    #[error("the policy's filters cannot be read: {0}")]
    Filter(#[from] InvalidFilter),
    /// The policy or its registry is gone.
    #[error("the policy or its registry was deleted")]
    Gone,
    /// The execution was stopped.
    #[error("the execution was stopped")]
    Stopped,
}

/// Result of copying.
pub(crate) type Copied<T> = std::result::Result<T, CopyError>;

impl From<registry::Error> for CopyError {
    fn from(error: registry::Error) -> Self {
        match error {
            registry::Error::Database(error) => Self::Database(error),
            other => Self::Registry(other),
        }
    }
}

impl From<tenancy::Error> for CopyError {
    fn from(error: tenancy::Error) -> Self {
        match error {
            tenancy::Error::Database(error) => Self::Database(error),
            other => Self::Tenancy(other),
        }
    }
}

impl CopyError {
    /// Whether the same may succeed in a while.
    pub(crate) fn is_transient(&self) -> bool {
        match self {
            Self::Remote(error) => error.is_transient(),
            Self::Database(_) | Self::Missing(_) | Self::Stored(_) => true,
            Self::Registry(error) => matches!(
                error,
                registry::Error::Busy
                    | registry::Error::TakenOver
                    | registry::Error::Interrupted(..)
                    | registry::Error::Storage(_)
            ),
            _ => false,
        }
    }

    /// Whether the other registry takes no artifacts of this kind.
    pub(crate) fn is_refused_kind(&self) -> bool {
        matches!(self, Self::Remote(remote::Error::Kind { .. }))
    }

    /// Whether other artifacts would fail for the same reason.
    pub(crate) fn is_general(&self) -> bool {
        use remote::Error as E;
        match self {
            Self::Remote(error) => matches!(
                error,
                E::Url(_)
                    | E::Unreachable(..)
                    | E::Certificate(..)
                    | E::Authority(_)
                    | E::Inwards(_)
                    | E::Credentials(_)
                    | E::Full { .. }
                    | E::NoAnswer { .. }
                    | E::Throttled { .. }
                    | E::Stored(_)
                    | E::Database(_)
            ),
            Self::Registry(error) => matches!(error, registry::Error::QuotaExceeded(_)),
            Self::Tenancy(_) | Self::Database(_) | Self::Stored(_) | Self::Gone | Self::Stopped => {
                true
            }
            Self::Missing(_)
            | Self::Manifest(..)
            | Self::AllSkipped(_)
            | Self::TooDeep(..)
            | Self::TooMany(_)
            | Self::Mapping(_)
            | Self::Ahead(..)
            | Self::Label(..)
            | Self::Filter(_) => false,
        }
    }
}
