//! The mapping of errors to statuses and codes of the registry API (distribution specification, "Error Codes"; Harbor's
//! if its scripts rely on them).

use std::time::Duration;

use http::{HeaderValue, Response, StatusCode, header};
use jobs::failures::causes;
use model::reference::InvalidReference;
use policy::Presented;
use registry::{BodyError, Error};
use serde_json::{Value, json};
use tenancy::password::{BUSY_RETRY, PasswordError};
use tenancy::setting::READ_ONLY;

use crate::client_certificate::NotCaller;
use crate::http::answer::{envelope, json as json_answer};
use crate::http::query::TooManyParameters;
use crate::http::response_body::Body;
use crate::route::BadRoute;

/// An error answer.
#[derive(Debug)]
pub(crate) enum OciError {
    /// No such path.
    Route(BadRoute),
    /// A part of the request other than the path is wrong.
    Request {
        status: StatusCode,
        code: &'static str,
        message: String,
    },
    /// The caller is not allowed to.
    Refused {
        challenge: Challenge,
        repository: Option<String>,
        action: &'static str,
    },
    /// A token exchange asks for something that is not supported (RFC 8693): the code, and why.
    Grant(&'static str, &'static str),
    /// Writing is not allowed now.
    ReadOnly,
    /// The caller could not be determined.
    Identity(auth::Error, Challenge),
    /// The client's certificate is accepted no longer.
    Certificate(certs::Refused, Challenge),
    /// The registry failed.
    Registry(Error),
}

/// What the caller needs to sign in (RFC 6750, section 3).
#[derive(Clone, Debug)]
pub(crate) struct Challenge {
    pub(crate) host: String,
    pub(crate) scope: Option<String>,
    pub(crate) error: Option<&'static str>,
}

impl Challenge {
    fn header(&self) -> HeaderValue {
        let mut text = format!(
            r#"Bearer realm="https://{}/service/token",service="{}""#,
            self.host,
            auth::token::AUDIENCE
        );
        if let Some(scope) = &self.scope {
            text += &format!(r#",scope="{scope}""#);
        }
        if let Some(error) = self.error {
            text += &format!(r#",error="{error}""#);
        }
        HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static("Bearer"))
    }

    /// The challenge to a refused caller: it has `error` only if a token was presented.
    pub(crate) fn refused(mut self, presented: Presented) -> Self {
        self.error = (presented == Presented::Token).then_some("insufficient_scope");
        self
    }
}

impl From<Error> for OciError {
    fn from(error: Error) -> Self {
        Self::Registry(error)
    }
}

impl From<BodyError> for OciError {
    fn from(error: BodyError) -> Self {
        Self::Registry(error.into())
    }
}

impl From<db::Error> for OciError {
    fn from(error: db::Error) -> Self {
        Self::Registry(error.into())
    }
}

impl From<TooManyParameters> for OciError {
    fn from(error: TooManyParameters) -> Self {
        Self::bad("UNSUPPORTED", error.to_string())
    }
}

impl OciError {
    /// A malformed part of the request.
    pub(crate) fn bad(code: &'static str, message: impl Into<String>) -> Self {
        Self::Request {
            status: StatusCode::BAD_REQUEST,
            code,
            message: message.into(),
        }
    }

    /// A request with a client certificate has no caller.
    pub(crate) fn without_caller(not: NotCaller, challenge: &Challenge) -> Self {
        match not {
            NotCaller::Refused(refused) => Self::Certificate(refused, challenge.clone()),
            NotCaller::Unknown(error) => Self::Identity(error, challenge.clone()),
        }
    }

    /// The answer.
    pub(crate) fn response(self) -> Response<Body> {
        match self {
            Self::Route(bad) => route(&bad),
            Self::Request {
                status,
                code,
                message,
            } => envelope(status, code, &message),
            Self::Refused {
                challenge,
                repository,
                action,
            } => refused(&challenge, repository.as_deref(), action),
            Self::Grant(code, message) => grant_refused(code, message),
            Self::ReadOnly => envelope(StatusCode::FORBIDDEN, "DENIED", READ_ONLY),
            Self::Identity(error, challenge) => identity(&error, challenge),
            Self::Certificate(refused, challenge) => unauthorized(&refused, &challenge),
            Self::Registry(error) => registry(&error),
        }
    }
}

fn route(bad: &BadRoute) -> Response<Body> {
    match bad {
        BadRoute::Unknown => envelope(
            StatusCode::NOT_FOUND,
            "NOT_FOUND",
            "no such path in the registry API",
        ),
        BadRoute::Name(error) => {
            envelope(StatusCode::BAD_REQUEST, "NAME_INVALID", &error.to_string())
        }
        BadRoute::NoProject(name) => {
            let message = format!(
                "no repository {name}: a name starts with its project, HOST/PROJECT/{name}, such as HOST/library/{name}"
            );
            envelope(StatusCode::NOT_FOUND, "NAME_UNKNOWN", &message)
        }
        BadRoute::PushWithoutProject(name) => {
            let message = format!(
                "push to a project: HOST/PROJECT/{name} instead of HOST/{name}, such as HOST/library/{name}"
            );
            envelope(StatusCode::FORBIDDEN, "DENIED", &message)
        }
        BadRoute::Reference(error) => {
            let code = match error {
                InvalidReference::Digest(_) => "DIGEST_INVALID",
                InvalidReference::Tag(_) => "TAG_INVALID",
            };
            envelope(StatusCode::BAD_REQUEST, code, &error.to_string())
        }
        BadRoute::Digest(message) => envelope(StatusCode::BAD_REQUEST, "DIGEST_INVALID", message),
        BadRoute::Method(allowed) => {
            let message = format!("allowed here: {allowed}");
            let mut response = envelope(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED", &message);
            response
                .headers_mut()
                .insert(header::ALLOW, HeaderValue::from_static(allowed));
            response
        }
    }
}

/// The same for a hidden repository and one that does not exist.
fn refused(challenge: &Challenge, repository: Option<&str>, action: &str) -> Response<Body> {
    let message = match repository {
        Some(name) => {
            let text = format!("unauthorized to access repository: {name}, action: {action}");
            format!("{text}: {text}")
        }
        None => format!("unauthorized to {action}: sign in with `docker login`"),
    };
    let mut response = envelope(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", &message);
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge.header());
    response
}

/// When to try again if the directory or the provider could not be asked.
const DIRECTORY_RETRY: Duration = Duration::from_secs(5);

fn identity(error: &auth::Error, mut challenge: Challenge) -> Response<Body> {
    use auth::Error as E;
    match error {
        E::NotAdmitted(tenancy::Error::Database(_)) => {
            log(error);
            unavailable("cannot find out who is calling")
        }
        E::Provider(error) if error.is_outage() => later(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            &error.to_string(),
            DIRECTORY_RETRY,
        ),
        E::Directory(_) => later(
            StatusCode::SERVICE_UNAVAILABLE,
            "UNAVAILABLE",
            &error.to_string(),
            DIRECTORY_RETRY,
        ),
        E::Malformed
        | E::WrongCredentials
        | E::Unverified
        | E::RobotDisabled
        | E::RobotExpired
        | E::NotAdmitted(_)
        | E::Provider(_)
        | E::Ended(_) => unauthorized(error, &challenge),
        E::SubjectToken => grant_refused("invalid_request", &error.to_string()),
        E::Token(_) | E::Void => {
            challenge.error = Some("invalid_token");
            let message = match std::error::Error::source(error) {
                Some(cause) => format!("{error}: {cause}"),
                None => error.to_string(),
            };
            let mut response = envelope(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", &message);
            response
                .headers_mut()
                .insert(header::WWW_AUTHENTICATE, challenge.header());
            response
        }
        E::Throttled { retry_after } => {
            let message = error.to_string();
            later(
                StatusCode::TOO_MANY_REQUESTS,
                "TOOMANYREQUESTS",
                &message,
                *retry_after,
            )
        }
        E::Password(PasswordError::Busy) => later(
            StatusCode::SERVICE_UNAVAILABLE,
            "TOOMANYREQUESTS",
            &PasswordError::Busy.to_string(),
            BUSY_RETRY,
        ),
        E::Database(_) | E::Password(_) | E::Issue(_) => {
            log(error);
            unavailable("cannot find out who is calling")
        }
    }
}

/// Other credentials are needed.
fn unauthorized(error: &dyn std::error::Error, challenge: &Challenge) -> Response<Body> {
    let mut response = envelope(StatusCode::UNAUTHORIZED, "UNAUTHORIZED", &error.to_string());
    response
        .headers_mut()
        .insert(header::WWW_AUTHENTICATE, challenge.header());
    response
}

/// A refused token exchange, in the form for OAuth2 clients (RFC 6749, section 5.2) and in the form for registry
/// clients.
fn grant_refused(code: &str, message: &str) -> Response<Body> {
    let body = json!({
        "error": code,
        "error_description": message,
        "errors": [{ "code": "UNAUTHORIZED", "message": message }],
    });
    let mut response = json_answer(StatusCode::BAD_REQUEST, &body);
    let headers = response.headers_mut();
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}

fn registry(error: &Error) -> Response<Body> {
    let message = error.to_string();
    let one = |status, code| envelope(status, code, &message);
    match error {
        Error::NameUnknown(_) | Error::ProjectGone => one(StatusCode::NOT_FOUND, "NAME_UNKNOWN"),
        Error::ManifestUnknown(_) => one(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN"),
        Error::BlobUnknown(digest) => detailed(
            StatusCode::NOT_FOUND,
            "BLOB_UNKNOWN",
            &message,
            digest.to_string().into(),
        ),
        Error::UploadUnknown => one(StatusCode::NOT_FOUND, "BLOB_UPLOAD_UNKNOWN"),
        Error::TakenOver => one(StatusCode::CONFLICT, "BLOB_UPLOAD_INVALID"),
        Error::ChunkOutOfOrder { .. } => {
            one(StatusCode::RANGE_NOT_SATISFIABLE, "BLOB_UPLOAD_INVALID")
        }
        Error::SizeMismatch { .. } => one(StatusCode::BAD_REQUEST, "SIZE_INVALID"),
        Error::DigestMismatch { stated, actual } => {
            let detail = json!({ "stated": stated.to_string(), "actual": actual.to_string() });
            detailed(StatusCode::BAD_REQUEST, "DIGEST_INVALID", &message, detail)
        }
        Error::ManifestInvalid(_) => one(StatusCode::BAD_REQUEST, "MANIFEST_INVALID"),
        Error::ReferencesMissing(missing) => {
            let errors: Vec<Value> = missing
                .iter()
                .map(|digest| {
                    json!({
                        "code": "MANIFEST_BLOB_UNKNOWN",
                        "message": "blob unknown to registry",
                        "detail": digest.to_string(),
                    })
                })
                .collect();
            json_answer(StatusCode::BAD_REQUEST, &json!({ "errors": errors }))
        }
        Error::WrongSizes(wrong) => {
            let errors = wrong.iter().map(|wrong| {
                json!({
                    "code": "MANIFEST_INVALID",
                    "message": wrong.to_string(),
                    "detail": {
                        "field": wrong.field.to_string(),
                        "digest": wrong.digest.to_string(),
                        "stated": wrong.stated,
                        "actual": wrong.actual,
                    },
                })
            });
            let errors: Vec<Value> = errors.collect();
            json_answer(StatusCode::BAD_REQUEST, &json!({ "errors": errors }))
        }
        Error::ManifestTooLarge => one(StatusCode::PAYLOAD_TOO_LARGE, "MANIFEST_INVALID"),
        Error::BlobInUse { .. } => one(StatusCode::METHOD_NOT_ALLOWED, "UNSUPPORTED"),
        Error::ManifestInUse { .. } => one(
            StatusCode::PRECONDITION_FAILED,
            "VIOLATE_FOREIGN_KEY_CONSTRAINT",
        ),
        Error::Immutable(_) | Error::OtherTags { .. } => {
            one(StatusCode::PRECONDITION_FAILED, "PRECONDITION")
        }
        Error::TagExists { .. } => one(StatusCode::CONFLICT, "TAG_INVALID"),
        Error::TagUnknown { .. } | Error::NeverTagged { .. } | Error::AdditionUnknown(_) => {
            one(StatusCode::NOT_FOUND, "MANIFEST_UNKNOWN")
        }
        Error::DigestGone { .. } => one(StatusCode::GONE, "MANIFEST_UNKNOWN"),
        Error::CopyTooLarge(..) | Error::AdditionBroken(..) => {
            one(StatusCode::BAD_REQUEST, "UNSUPPORTED")
        }
        Error::Body(body) => body_error(body),
        Error::QuotaExceeded(_) | Error::CopiesAccessory => one(StatusCode::FORBIDDEN, "DENIED"),
        Error::Busy | Error::CannotRecord => later(
            StatusCode::SERVICE_UNAVAILABLE,
            "TOOMANYREQUESTS",
            &message,
            Duration::from_secs(1),
        ),
        Error::Storage(storage::Error::Full(_)) => {
            log(error);
            unavailable("the registry's disk is full: nothing was lost, try again later")
        }
        Error::Storage(storage::Error::TooLarge(_, most)) => {
            let message = format!("a blob has at most {} GiB here", most >> 30);
            envelope(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", &message)
        }
        Error::BlobDamaged(_)
        | Error::BlobLost { .. }
        | Error::BlobUnreadable { .. }
        | Error::Interrupted(..)
        | Error::Database(_)
        | Error::Storage(_) => {
            log(error);
            unavailable(&message)
        }
    }
}

fn body_error(error: &BodyError) -> Response<Body> {
    let message = format!("the request's body did not come whole: {error}");
    match error {
        BodyError::Cut => envelope(StatusCode::BAD_REQUEST, "BLOB_UPLOAD_INVALID", &message),
        BodyError::TooSlow { .. } | BodyError::Late(_) => {
            envelope(StatusCode::REQUEST_TIMEOUT, "BLOB_UPLOAD_INVALID", &message)
        }
        BodyError::Busy => registry(&Error::Busy),
        BodyError::Unsure => unavailable(&error.to_string()),
        BodyError::Refused | BodyError::ReadOnly => {
            envelope(StatusCode::FORBIDDEN, "DENIED", &error.to_string())
        }
        BodyError::TooLarge(_) => envelope(StatusCode::PAYLOAD_TOO_LARGE, "SIZE_INVALID", &message),
    }
}

fn detailed(status: StatusCode, code: &str, message: &str, detail: Value) -> Response<Body> {
    let body = json!({ "errors": [{ "code": code, "message": message, "detail": detail }] });
    json_answer(status, &body)
}

fn unavailable(message: &str) -> Response<Body> {
    later(
        StatusCode::SERVICE_UNAVAILABLE,
        "UNAVAILABLE",
        message,
        Duration::from_secs(5),
    )
}

fn later(status: StatusCode, code: &str, message: &str, after: Duration) -> Response<Body> {
    let mut response = envelope(status, code, message);
    response.headers_mut().insert(
        header::RETRY_AFTER,
        HeaderValue::from(after.as_secs().max(1)),
    );
    response
}

/// Logs the whole cause chain once. A lost database is reported by the health watch, not by each request.
fn log(error: &(dyn std::error::Error + 'static)) {
    let text = causes(error);
    if db::is_outage(error) {
        tracing::debug!("{text}");
    } else {
        tracing::error!("{text}");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn retry_after(response: &Response<Body>) -> &str {
        response.headers()[header::RETRY_AFTER].to_str().unwrap()
    }

    #[test]
    fn a_full_queue_is_503_with_a_time_to_retry() {
        let challenge = Challenge {
            host: "registry.example".to_owned(),
            scope: None,
            error: None,
        };
        let logins = auth::Error::Password(PasswordError::Busy);
        for (full, seconds) in [
            (OciError::Identity(logins, challenge), "2"),
            (OciError::Registry(Error::Busy), "1"),
            (OciError::Registry(Error::CannotRecord), "1"),
        ] {
            let response = full.response();
            assert_eq!(response.status(), StatusCode::SERVICE_UNAVAILABLE);
            assert_eq!(retry_after(&response), seconds);
            assert!(!response.headers().contains_key(header::WWW_AUTHENTICATE));
        }
    }

    #[test]
    fn a_blob_that_no_bucket_takes_is_not_to_be_sent_again() {
        let error = storage::Error::TooLarge("1/a".to_owned(), 273 << 30);
        let response = OciError::Registry(error.into()).response();
        assert_eq!(response.status(), StatusCode::PAYLOAD_TOO_LARGE);
        assert!(!response.headers().contains_key(header::RETRY_AFTER));
    }
}
