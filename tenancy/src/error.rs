//! Why a change is not made: one variant for each thing that a caller can tell apart.

use model::{MemberId, PrincipalId, ProjectId, ProjectName, UserId};

use crate::password::PasswordError;
use crate::secret::SecretError;
use crate::setting::InvalidSetting;

/// Why a change is not made.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// Another project has the name.
    #[error("project {0} already exists")]
    ProjectExists(ProjectName),
    /// The project was deleted since the permit was given.
    #[error("the project does not exist any more")]
    ProjectGone,
    /// A project with artifacts is not deleted.
    #[error("project {0} holds artifacts")]
    ProjectHoldsArtifacts(ProjectName),
    /// Another user has the name or the mail address.
    #[error("another user has the name {name} or the mail address {email}")]
    UserExists {
        /// The name.
        name: String,
        /// The mail address.
        email: String,
    },
    /// There is no user with the id.
    #[error("user {0} not found")]
    UserUnknown(UserId),
    /// There is no principal with the id (any more).
    #[error("principal {0} not found")]
    PrincipalUnknown(PrincipalId),
    /// The built-in administrator, and whoever asks, is not deleted.
    #[error("user {0} cannot be deleted")]
    UserUndeletable(UserId),
    /// The last system administrator stays one.
    #[error("{name} is the last system administrator: make another user one first")]
    LastSysadmin {
        /// Its id.
        id: UserId,
        /// Its name.
        name: String,
    },
    /// Whoever it is is a member of the project already.
    #[error("{0} is a member of the project already")]
    MemberExists(String),
    /// The project has no such member.
    #[error("the project member is not found, project id {project}, member id {member}")]
    MemberUnknown {
        /// The project.
        project: ProjectId,
        /// The member.
        member: MemberId,
    },
    /// A setting is not changed.
    #[error(transparent)]
    Setting(#[from] InvalidSetting),
    /// A secret among the settings could not be sealed or opened.
    #[error(
        "cannot seal or open a secret among the settings: is the master key the one of this database?"
    )]
    Secret(#[from] SecretError),
    /// The password could not be hashed.
    #[error("cannot hash the password")]
    Password(#[from] PasswordError),
    /// The database could not be read or written.
    #[error("the database did not serve the change")]
    Database(#[source] db::Error),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;

impl From<db::Error> for Error {
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::ProjectGone => Self::ProjectGone,
            other => Self::Database(other),
        }
    }
}
