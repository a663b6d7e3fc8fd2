//! Maps the SDK's errors to those of the store.

use std::io;

use aws_credential_types::provider::error::CredentialsError;
use aws_sdk_s3::config::http::HttpResponse;
use aws_sdk_s3::error::{ProvideErrorMetadata, SdkError};

use crate::{Cause, Error};

/// An error of a request about an object.
pub(super) fn failed<E>(action: &'static str, key: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let key = key.to_owned();
    if passes(&error) {
        return unavailable(action, key, error.into());
    }
    let status = status(&error);
    match error.code() {
        Some("NoSuchKey" | "NoSuchUpload" | "NotFound") => Error::Missing(key),
        Some("InvalidRange" | "InvalidPart" | "InvalidPartOrder") => Error::Truncated(key),
        // The answer to HEAD has no body, hence no code.
        None if status == Some(404) => Error::Missing(key),
        None if status == Some(416) => Error::Truncated(key),
        _ => Error::Failed {
            action,
            key,
            source: io::Error::other(error),
        },
    }
}

/// An error of a request about the bucket as a whole.
pub(super) fn of_bucket<E>(name: &str, error: SdkError<E, HttpResponse>) -> Error
where
    E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
{
    let lacks_credentials = lacks_credentials(&error);
    if passes(&error) && !lacks_credentials {
        return unavailable("list", name.to_owned(), error.into());
    }
    let reason = match (error.code(), status(&error)) {
        (Some("NoSuchBucket"), _) => "it does not exist: make it, or correct [storage.s3] bucket",
        (Some("InvalidAccessKeyId"), _) => {
            "the server does not know the access key: correct [storage.s3] access_key_id"
        }
        (Some("SignatureDoesNotMatch"), _) => {
            "the secret access key is wrong: correct [storage.s3] secret_access_key"
        }
        (Some("PermanentRedirect" | "AuthorizationHeaderMalformed"), _) | (_, Some(301)) => {
            "it is in another region, or behind another endpoint: correct [storage.s3] region or endpoint"
        }
        (Some("RequestTimeTooSkewed"), _) => {
            "this machine's clock and the server's differ: synchronise them"
        }
        (Some("AccessDenied"), _) | (_, Some(401 | 403)) => {
            "access is denied: correct [storage.s3] access_key_id, or let that key list, read, write and delete"
        }
        (_, Some(_)) => {
            "the server refuses to list it: is [storage.s3] endpoint that of an S3 server?"
        }
        (_, None) if lacks_credentials => {
            "no credentials could be had: set [storage.s3] access_key_id and secret_access_key"
        }
        (_, None) => "the request cannot be made: is [storage.s3] endpoint right?",
    };
    Error::Bucket {
        bucket: name.to_owned(),
        reason,
        source: error.into(),
    }
}

pub(super) fn unavailable(action: &'static str, key: String, source: Cause) -> Error {
    Error::Unavailable {
        action,
        key,
        source,
    }
}

/// True if a retry may succeed.
fn passes<E: ProvideErrorMetadata>(error: &SdkError<E, HttpResponse>) -> bool {
    match error {
        SdkError::TimeoutError(_) | SdkError::ResponseError(_) => true,
        SdkError::DispatchFailure(failure) => !failure.is_user(),
        SdkError::ServiceError(_) => {
            let busy = status(error).is_some_and(|status| status >= 500 || status == 429);
            busy || matches!(
                error.code(),
                Some("SlowDown" | "Throttling" | "RequestTimeout" | "TooManyRequests")
            )
        }
        _ => false,
    }
}

fn lacks_credentials(error: &(dyn std::error::Error + 'static)) -> bool {
    std::iter::successors(Some(error), |error| error.source())
        .any(|error| error.is::<CredentialsError>())
}

fn status<E>(error: &SdkError<E, HttpResponse>) -> Option<u16> {
    error
        .raw_response()
        .map(|response| response.status().as_u16())
}
