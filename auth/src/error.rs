//! Why credentials are refused, or cannot be checked.

use std::time::Duration;

use tenancy::password::PasswordError;

use crate::token::{TokenError, TokenKeyError};

/// Why a request's credentials were refused.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The `Authorization` header is neither Basic nor Bearer, or cannot be read.
    #[error("the Authorization header is not understood: use Basic or Bearer")]
    Malformed,
    /// No such name, or a wrong password.
    #[error("wrong user name or password")]
    WrongCredentials,
    /// The token is not valid.
    #[error("the token is refused")]
    Token(#[source] TokenError),
    /// The token of a workload is refused; only the history says why.
    #[error(
        "the subject token is refused: administrators find the reason in the audit log, and with `gantry workload test`"
    )]
    SubjectToken,
    /// The user or robot was deleted, disabled or has expired, or the password changed, since the token was issued.
    #[error("the token is void: sign in again")]
    Void,
    /// The password is right, but the account's mail address is not verified yet.
    #[error("verify your mail address first: open the link that was mailed to you")]
    Unverified,
    /// The secret is right, but the robot is disabled.
    #[error("the robot account is disabled")]
    RobotDisabled,
    /// The secret is right, but the robot has expired.
    #[error("the robot account has expired")]
    RobotExpired,
    /// The directory could not check the password.
    #[error(transparent)]
    Directory(#[from] crate::ldap::Error),
    /// The OIDC provider does not confirm the owner of a CLI secret, or cannot be asked.
    #[error(transparent)]
    Provider(crate::oidc::Error),
    /// The person in the directory cannot get an account here.
    #[error(transparent)]
    NotAdmitted(tenancy::Error),
    /// The password is right, but the directory does not permit the account to sign in.
    #[error("{0}")]
    Ended(&'static str),
    /// Too many wrong passwords, or too many requests that need no account.
    #[error("too many attempts: try again in {} s", .retry_after.as_secs())]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// The database cannot be read or written.
    #[error("cannot look the caller up")]
    Database(#[from] db::Error),
    /// The password could not be checked.
    #[error("cannot check the password")]
    Password(#[from] PasswordError),
    /// The token could not be made.
    #[error("cannot issue a token")]
    Issue(#[from] TokenKeyError),
}

/// Result of this crate.
pub type Result<T, E = Error> = std::result::Result<T, E>;
