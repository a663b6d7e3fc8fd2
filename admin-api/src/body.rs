//! Reading bodies, within their limits. `json` and `form` parse them.

use axum::body::{Body, Bytes, to_bytes};
use http::HeaderMap;
use http::header::CONTENT_LENGTH;
use http_body_util::LengthLimitError;
use registry::BodyError;

use crate::Error;

/// Maximum size of a body, in bytes.
pub const LARGEST_BODY: usize = 1 << 20;

/// Maximum size of a form, which anyone may send, in bytes.
pub const LARGEST_FORM: usize = 64 << 10;

/// Reads a body of at most `limit` bytes.
///
/// # Errors
/// [`Error::TooLarge`], and why else it did not arrive.
pub(crate) async fn read(headers: &HeaderMap, body: Body, limit: usize) -> Result<Bytes, Error> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > limit) {
        return Err(Error::TooLarge(limit));
    }
    let read = to_bytes(body, limit).await;
    read.map_err(|error| unreadable(&error, limit))
}

/// Why a body was not received completely, as reported by the gateway, which also limits it.
fn unreadable(error: &axum::Error, limit: usize) -> Error {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        match cause.downcast_ref() {
            Some(BodyError::TooLarge(_)) => return Error::TooLarge(limit),
            Some(BodyError::Busy) => return Error::Busy,
            Some(BodyError::TooSlow { .. } | BodyError::Late(_)) => return Error::TooSlow,
            // Permits are checked again here, see `Renew`.
            Some(BodyError::Cut | BodyError::Refused | BodyError::Unsure | BodyError::ReadOnly) => {
                break;
            }
            None if cause.is::<LengthLimitError>() => return Error::TooLarge(limit),
            None => {}
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    Error::BadRequest("the request body could not be read".to_owned())
}
