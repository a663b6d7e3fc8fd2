//! Errors, and the only place that maps them to statuses, codes and Harbor's envelope.

use std::error::Error as _;
use std::time::Duration;

use axum::Json;
use axum::response::{IntoResponse, Response};
use http::header::{CONTENT_TYPE, RETRY_AFTER};
use http::{HeaderValue, StatusCode};
use model::InvalidWorkloadRule;
use model::immutable_rule::InvalidRule;
use model::label::InvalidLabel;
use model::retention::InvalidRules;
use model::user::{InvalidProfile, InvalidUserName};
use policy::Refusal;
use serde::Serialize;
use tenancy::InvalidSetting;
use tenancy::mailed_link::InvalidLinkToken;
use tenancy::password::{BUSY_RETRY, PasswordError, WeakPassword};
use tenancy::secret::SecretError;
use tenancy::setting::READ_ONLY;
use utoipa::ToSchema;

/// Why a project cannot be deleted.
pub(crate) const NOT_EMPTY: &str = "the project contains repositories, can not be deleted";

/// Why a request failed.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// A value breaks a rule of its resource.
    #[error("{0}")]
    BadRequest(String),
    /// A parameter or the body violates the schema.
    #[error("validation failure list:\n{0}")]
    Validation(String),
    /// The caller is not signed in.
    #[error("unauthorized")]
    NotSignedIn,
    /// The caller lacks permission; the text says which.
    #[error("{0}")]
    Forbidden(String),
    /// The caller may do this kind of thing, but not to that extent; the text says why.
    #[error("{0}")]
    Denied(String),
    /// Writing is switched off.
    #[error("{READ_ONLY}")]
    ReadOnly,
    /// There is no such resource.
    #[error("{0}")]
    NotFound(String),
    /// The path does not support the method.
    #[error("method {method} is not allowed, but [{allowed}] are")]
    MethodNotAllowed {
        /// The method of the request.
        method: String,
        /// The supported methods, separated by commas.
        allowed: String,
    },
    /// The name is taken.
    #[error("{0}")]
    Conflict(String),
    /// Something else must happen first.
    #[error("precondition failed: {0}")]
    Precondition(String),
    /// A rule makes a tag immutable.
    #[error("{0}")]
    Immutable(String),
    /// A job could not be started, stopped or read.
    #[error("the job engine did not serve the request")]
    Job(#[source] jobs::Error),
    /// Something else refers to it.
    #[error("{0}")]
    InUse(String),
    /// It existed once, but was deleted.
    #[error("{0}")]
    Gone(String),
    /// The directory or the provider did not answer; the text says why.
    #[error("{0}")]
    Directory(String),
    /// The store cannot be read.
    #[error("the content cannot be read now")]
    Content(#[source] registry::Error),
    /// The body is too large.
    #[error("the request body is larger than {0} bytes")]
    TooLarge(usize),
    /// The body did not arrive in time.
    #[error("the request body came too slowly")]
    TooSlow,
    /// Too many bodies at once.
    #[error("too many requests are on their way: try again")]
    Busy,
    /// Too many wrong passwords, or too many requests that need no account.
    #[error("too many attempts: try again in {} s", .retry_after.as_secs().max(1))]
    Throttled {
        /// When to try again.
        retry_after: Duration,
    },
    /// The database cannot be read or written.
    #[error("the database did not serve the request")]
    Database(#[source] db::Error),
    /// A list took too long.
    #[error("the list took too long and was stopped: ask for less of it, or narrow it with q")]
    Stopped(#[source] db::Error),
    /// A secret could not be sealed or opened.
    #[error("cannot seal or open a secret")]
    Secret(#[from] SecretError),
    /// A password could not be hashed or checked.
    #[error("cannot check or hash the password now")]
    Password(#[from] PasswordError),
    /// The file system of the data folder cannot be measured.
    #[error("cannot measure the data folder's file system")]
    Volume(#[source] std::io::Error),
    /// The gateway did not pass the client's address.
    #[error("the request carries no client address")]
    NoAddress,
    /// A task was cancelled, as happens when the process stops.
    #[error("the work was interrupted")]
    Interrupted(#[source] tokio::task::JoinError),
}

/// Seconds after which to retry a request that failed on the database.
const DATABASE_RETRY: &str = "5";

impl Error {
    fn status(&self) -> StatusCode {
        match self {
            Self::BadRequest(_) => StatusCode::BAD_REQUEST,
            Self::Validation(_) => StatusCode::UNPROCESSABLE_ENTITY,
            Self::NotSignedIn => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) | Self::ReadOnly | Self::Denied(_) => StatusCode::FORBIDDEN,
            Self::InUse(_) => StatusCode::PRECONDITION_FAILED,
            Self::Gone(_) => StatusCode::GONE,
            Self::Content(_) | Self::Directory(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::MethodNotAllowed { .. } => StatusCode::METHOD_NOT_ALLOWED,
            Self::Conflict(_) => StatusCode::CONFLICT,
            Self::Precondition(_) | Self::Immutable(_) => StatusCode::PRECONDITION_FAILED,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Busy | Self::Stopped(_) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Throttled { .. } => StatusCode::TOO_MANY_REQUESTS,
            Self::Database(error) => database_status(error),
            Self::Password(PasswordError::Busy) => StatusCode::SERVICE_UNAVAILABLE,
            Self::Secret(_)
            | Self::Job(_)
            | Self::Password(_)
            | Self::Volume(_)
            | Self::NoAddress
            | Self::Interrupted(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    fn code(&self, status: StatusCode) -> &'static str {
        match self {
            Self::ReadOnly | Self::Denied(_) => "DENIED",
            Self::InUse(_) => "VIOLATE_FOREIGN_KEY_CONSTRAINT",
            _ => code(status),
        }
    }

    /// Status, code and message of the response. Failures of the server itself are logged.
    pub(crate) fn told(&self) -> (StatusCode, &'static str, String) {
        let status = self.status();
        let message = match status {
            StatusCode::INTERNAL_SERVER_ERROR => "internal server error".to_owned(),
            _ => self.to_string(),
        };
        // Refusals come in floods: logging each would cause a flood of log lines.
        let is_refusal = matches!(
            self,
            Self::Busy | Self::Directory(_) | Self::Password(PasswordError::Busy)
        );
        if db::is_outage(self) {
            tracing::debug!(error = chain(self), "an API request failed");
        } else if matches!(self, Self::Stopped(_)) {
            tracing::warn!(error = chain(self), "an API request took too long");
        } else if status.is_server_error() && !is_refusal {
            tracing::error!(error = chain(self), "an API request failed");
        }
        (status, self.code(status), message)
    }

    fn retry_after(&self, status: StatusCode) -> Option<HeaderValue> {
        match self {
            Self::Throttled { retry_after } => Some(retry_after.as_secs().max(1).into()),
            Self::Password(PasswordError::Busy) => Some(BUSY_RETRY.as_secs().into()),
            Self::Busy => Some(HeaderValue::from_static("1")),
            _ if status == StatusCode::SERVICE_UNAVAILABLE => {
                Some(HeaderValue::from_static(DATABASE_RETRY))
            }
            _ => None,
        }
    }
}

fn database_status(error: &db::Error) -> StatusCode {
    match error {
        db::Error::Open(..)
        | db::Error::Unreachable(..)
        | db::Error::ReadOnly(..)
        | db::Error::Migrate(_)
        | db::Error::Outdated { .. }
        | db::Error::Statement(..)
        | db::Error::Stopped(..)
        | db::Error::Contended(_)
        | db::Error::Busy(_)
        | db::Error::Commit(_)
        | db::Error::Pooler(_)
        | db::Error::WriterGone => StatusCode::SERVICE_UNAVAILABLE,
        db::Error::ProjectGone
        | db::Error::OwnerGone
        | db::Error::UploadGone
        | db::Error::Duplicate(_)
        | db::Error::Corrupt { .. }
        | db::Error::PassedOver { .. }
        | db::Error::ChainBroken(_)
        | db::Error::Fenced
        | db::Error::Crowded => StatusCode::INTERNAL_SERVER_ERROR,
    }
}

fn code(status: StatusCode) -> &'static str {
    match status {
        StatusCode::BAD_REQUEST => "BAD_REQUEST",
        StatusCode::UNAUTHORIZED => "UNAUTHORIZED",
        StatusCode::FORBIDDEN => "FORBIDDEN",
        StatusCode::NOT_FOUND => "NOT_FOUND",
        StatusCode::METHOD_NOT_ALLOWED => "METHOD_NOT_ALLOWED",
        StatusCode::CONFLICT => "CONFLICT",
        StatusCode::GONE => "GONE",
        StatusCode::PRECONDITION_FAILED => "PRECONDITION",
        StatusCode::REQUEST_TIMEOUT => "REQUEST_TIMEOUT",
        StatusCode::PAYLOAD_TOO_LARGE => "REQUEST_ENTITY_TOO_LARGE",
        StatusCode::UNPROCESSABLE_ENTITY => "UNPROCESSABLE_ENTITY",
        StatusCode::TOO_MANY_REQUESTS => "TOO_MANY_REQUEST",
        StatusCode::SERVICE_UNAVAILABLE => "SERVICE_UNAVAILABLE",
        _ => "UNKNOWN",
    }
}

/// The body of a refusal.
#[derive(Serialize, ToSchema)]
pub(crate) struct Errors {
    errors: Vec<One>,
}

/// One error.
#[derive(Serialize, ToSchema)]
#[schema(as = Error)]
struct One {
    code: &'static str,
    message: String,
}

impl Errors {
    fn one(code: &'static str, message: String) -> Self {
        let errors = vec![One { code, message }];
        Self { errors }
    }

    /// The body, with the line break that Harbor writes.
    fn line(&self) -> String {
        // Only text, which can always be serialized.
        let json = serde_json::to_string(self).unwrap_or_default();
        format!("{json}\n")
    }
}

impl IntoResponse for Error {
    fn into_response(self) -> Response {
        let (status, code, message) = self.told();
        let mut response = (status, Errors::one(code, message).line()).into_response();
        let headers = response.headers_mut();
        headers.insert(
            CONTENT_TYPE,
            HeaderValue::from_static("application/json; charset=utf-8"),
        );
        if let Some(seconds) = self.retry_after(status) {
            headers.insert(RETRY_AFTER, seconds);
        }
        response
    }
}

/// An error and all its causes, on one line.
fn chain(error: &Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

impl From<db::Error> for Error {
    /// A deleted resource is not a database failure, and the error names it.
    fn from(error: db::Error) -> Self {
        match error {
            db::Error::ProjectGone | db::Error::UploadGone => Self::NotFound(error.to_string()),
            db::Error::Stopped(..) => Self::Stopped(error),
            other => Self::Database(other),
        }
    }
}

impl From<auth::ldap::Error> for Error {
    /// For administrators, who may see the causes.
    fn from(error: auth::ldap::Error) -> Self {
        use auth::ldap::Error as E;
        match error {
            E::NotConfigured => Self::Precondition(error.to_string()),
            E::Settings(_) => Self::BadRequest(error.to_string()),
            E::Unreachable(_)
            | E::Tls(_)
            | E::StrongAuth(_)
            | E::SearchRefused(_)
            | E::Cut(_)
            | E::NoBase(_)
            | E::Ambiguous
            | E::Timeout
            | E::Busy
            | E::RuleUnknown(_)
            | E::Refused(_)
            | E::Protocol(_) => Self::Directory(error.chain()),
        }
    }
}

impl From<auth::oidc::Error> for Error {
    /// For people who sign in, who do not see the causes.
    fn from(error: auth::oidc::Error) -> Self {
        use auth::oidc::Error as E;
        let text = error.to_string();
        match error {
            E::NotConfigured => Self::Precondition(text),
            E::Settings(_) | E::Refused(_) | E::Token(_) | E::State => Self::BadRequest(text),
            E::Unreachable(_) | E::Protocol(_) | E::Client(_) | E::Busy | E::Down => {
                Self::Directory(text)
            }
            E::Ended(_) => Self::Forbidden(text),
            E::Account(error) => error.into(),
            E::Database(error) => error.into(),
        }
    }
}

impl From<registry::Error> for Error {
    fn from(error: registry::Error) -> Self {
        use registry::Error as E;
        let text = error.to_string();
        match error {
            E::NameUnknown(_)
            | E::ManifestUnknown(_)
            | E::BlobUnknown(_)
            | E::TagUnknown { .. }
            | E::NeverTagged { .. }
            | E::AdditionUnknown(_)
            | E::UploadUnknown
            | E::ProjectGone => Self::NotFound(text),
            E::Immutable(_) => Self::Immutable(text),
            E::ManifestInUse { .. } | E::BlobInUse { .. } => Self::InUse(text),
            E::OtherTags { .. } => Self::Precondition(text),
            E::TagExists { .. } | E::TakenOver => Self::Conflict(text),
            E::DigestGone { .. } => Self::Gone(text),
            E::CopiesAccessory | E::QuotaExceeded(_) => Self::Denied(text),
            E::AdditionBroken(..) => Self::Validation(text),
            E::CopyTooLarge(..)
            | E::ManifestInvalid(_)
            | E::ManifestTooLarge
            | E::ReferencesMissing(_)
            | E::WrongSizes(_)
            | E::ChunkOutOfOrder { .. }
            | E::SizeMismatch { .. }
            | E::DigestMismatch { .. }
            | E::Body(_) => Self::BadRequest(text),
            E::Busy | E::CannotRecord => Self::Busy,
            E::Interrupted(_, error) => Self::Interrupted(error),
            E::Database(error) => error.into(),
            E::BlobDamaged(_) | E::BlobLost { .. } | E::BlobUnreadable { .. } | E::Storage(_) => {
                Self::Content(error)
            }
        }
    }
}

impl From<jobs::Error> for Error {
    fn from(error: jobs::Error) -> Self {
        match error {
            jobs::Error::Database(error) => error.into(),
            jobs::Error::Tenancy(error) => error.into(),
            jobs::Error::ExecutionUnknown(_) => Self::NotFound(error.to_string()),
            jobs::Error::NothingFailed(_) => Self::Precondition(error.to_string()),
            other => Self::Job(other),
        }
    }
}

impl From<tenancy::Error> for Error {
    fn from(error: tenancy::Error) -> Self {
        use tenancy::Error as E;
        let text = error.to_string();
        match error {
            E::ProjectExists(name) => {
                Self::Conflict(format!("The project named {name} already exists"))
            }
            E::ProjectDeletionRestricted => Self::Forbidden(text),
            E::ProjectNotRestorable(_) => Self::NotFound(text),
            E::ProjectHoldsArtifacts(_) => Self::Precondition(NOT_EMPTY.to_owned()),
            E::UserExists { name, email } => {
                Self::Conflict(format!("user {name} or email {email} already exists"))
            }
            E::UserUndeletable(id) => {
                Self::Forbidden(format!("User with ID {id} cannot be deleted"))
            }
            E::LastSysadmin { id, .. } => Self::Precondition(format!(
                "user {id} is the last system administrator: make another user one first"
            )),
            E::MemberExists(_) => {
                Self::Conflict("The project member specified already exist".to_owned())
            }
            E::UserExternal(_) => Self::Forbidden(text),
            E::NameTaken(_) => Self::Conflict(text),
            E::NoCliSecret(_) => Self::Precondition(text),
            E::SignInExpired | E::ExpectedInvalid(_) => Self::BadRequest(text),
            E::ExpectedExists(_)
            | E::TooManyExpected(_)
            | E::AlreadyLinked(_)
            | E::PersonTaken(_) => Self::Conflict(text),
            E::ExpectedUnknown(_) => Self::NotFound(text),
            E::NotLinked(_) | E::NoEmail(_) => Self::Precondition(text),
            E::NameInvalid(_) => Self::BadRequest(text),
            E::CallerVoid => Self::NotSignedIn,
            E::LinkVoid => Self::BadRequest(text),
            E::LinkNeedsPassword => Self::Precondition(text),
            E::MailsWait => Self::Throttled {
                retry_after: Duration::from_secs(60),
            },
            E::RobotTooStrong(_) | E::RobotOutlives(_) => Self::Denied(text),
            E::SettingExists(_)
            | E::LabelExists(_)
            | E::LabelAttached(_)
            | E::RuleExists
            | E::WorkloadRuleExists(_)
            | E::RobotExists(_)
            | E::RegistryExists(_)
            | E::PolicyExists(_)
            | E::WebhookExists(_)
            | E::GroupExists(_) => Self::Conflict(text),
            E::TooManyExecutions(_)
            | E::RegistryUsed(_)
            | E::PolicyDisabled(_)
            | E::TargetGone
            | E::PolicyRuns(_) => Self::Precondition(text),
            E::TooManyRules(_)
            | E::TooManyWorkloadRules(_)
            | E::TooManyRegistries(_)
            | E::TooManyPolicies(_)
            | E::TooManyWebhooks(_)
            | E::WebhookInvalid(..)
            | E::SecretMissing(_)
            | E::TooManyLabels(_)
            | E::RetentionExists { .. } => Self::BadRequest(text),
            E::ProjectGone
            | E::LabelUnknown(_)
            | E::LabelNotAttached { .. }
            | E::ArtifactUnknown(_)
            | E::RuleUnknown(_)
            | E::WorkloadRuleUnknown(_)
            | E::RetentionUnknown(_)
            | E::ExecutionUnknown(_)
            | E::RegistryUnknown(_)
            | E::PolicyUnknown(_)
            | E::WebhookUnknown(_)
            | E::DeliveryUnknown(_)
            | E::UserUnknown(_)
            | E::PrincipalUnknown(_)
            | E::RobotUnknown(_)
            | E::GroupUnknown(_)
            | E::MemberUnknown { .. } => Self::NotFound(text),
            E::CertificateInvalid(error) => Self::BadRequest(error.to_string()),
            E::CertificateName(_) => Self::BadRequest(text),
            E::CertificateUnknown(_) => Self::NotFound(text),
            E::NoAcme => Self::Precondition(text),
            E::Setting(invalid) => invalid.into(),
            E::Secret(error) => error.into(),
            E::Password(error) => error.into(),
            E::Database(error) => error.into(),
        }
    }
}

impl From<InvalidSetting> for Error {
    fn from(invalid: InvalidSetting) -> Self {
        let text = invalid.to_string();
        match invalid {
            InvalidSetting::WrongKind { .. } => Self::Validation(text),
            InvalidSetting::Fixed { .. } => Self::Forbidden(text),
            InvalidSetting::Unknown { .. }
            | InvalidSetting::BadValue { .. }
            | InvalidSetting::Unchangeable { .. } => Self::BadRequest(text),
        }
    }
}

impl From<InvalidUserName> for Error {
    fn from(invalid: InvalidUserName) -> Self {
        Self::BadRequest(invalid.to_string())
    }
}

impl From<InvalidProfile> for Error {
    fn from(invalid: InvalidProfile) -> Self {
        Self::BadRequest(invalid.to_string())
    }
}

impl From<Refusal> for Error {
    fn from(refusal: Refusal) -> Self {
        match refusal {
            Refusal::NotSignedIn => Self::NotSignedIn,
            Refusal::NotPermitted | Refusal::TokenTooNarrow => Self::Forbidden("forbidden".into()),
        }
    }
}

impl From<InvalidLabel> for Error {
    fn from(invalid: InvalidLabel) -> Self {
        Self::BadRequest(invalid.to_string())
    }
}

impl From<InvalidRules> for Error {
    fn from(invalid: InvalidRules) -> Self {
        let text = invalid.to_string();
        match invalid {
            InvalidRules::Field { .. } => Self::BadRequest(text),
            InvalidRules::Same(..) => Self::Conflict(text),
        }
    }
}

impl From<InvalidRule> for Error {
    fn from(invalid: InvalidRule) -> Self {
        Self::BadRequest(invalid.to_string())
    }
}

impl From<InvalidWorkloadRule> for Error {
    fn from(invalid: InvalidWorkloadRule) -> Self {
        Self::BadRequest(invalid.to_string())
    }
}

impl From<InvalidLinkToken> for Error {
    fn from(invalid: InvalidLinkToken) -> Self {
        Self::BadRequest(invalid.to_string())
    }
}

impl From<WeakPassword> for Error {
    fn from(weak: WeakPassword) -> Self {
        Self::BadRequest(weak.to_string())
    }
}

/// A JSON body, with the content type as Harbor writes it.
pub(crate) type Rendered<T> = Result<Json<T>, Error>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_full_queue_is_503_with_a_time_to_retry() {
        for (full, seconds) in [
            (Error::Password(PasswordError::Busy), "2"),
            (Error::Busy, "1"),
        ] {
            let response = full.into_response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(response.headers()[RETRY_AFTER], seconds);
        }
    }
}
