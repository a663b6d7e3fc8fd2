//! Bodies of requests. What is absent or `null` is the same; unknown fields are ignored, as clients
//! of other versions send them.

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::LengthLimitError;
use serde::de::DeserializeOwned;

use crate::Error;

/// Bytes of the largest body that is read.
const LARGEST: usize = 1 << 20;

/// What a body describes; Harbor's schema gives each kind a name for messages.
pub(crate) trait BodyOf: DeserializeOwned {
    /// The parameter's name in Harbor's schema: `project`, `userReq`, …
    const NAME: &'static str;
}

/// A parsed body.
pub(crate) struct Parsed<T>(pub(crate) T);

impl<T: BodyOf, S: Send + Sync> FromRequest<S> for Parsed<T> {
    type Rejection = Error;

    async fn from_request(request: Request, _: &S) -> Result<Self, Error> {
        let (parts, body) = request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        if bytes.is_empty() {
            return Err(Error::Validation(format!(
                "{} in body is required",
                T::NAME
            )));
        }
        check_content_type(&parts.headers)?;
        parse(&bytes).map(Self)
    }
}

fn parse<T: BodyOf>(bytes: &[u8]) -> Result<T, Error> {
    let failed = |why: &dyn std::fmt::Display| {
        let name = T::NAME;
        Error::Validation(format!(
            "parsing {name} body from \"\" failed, because {why}"
        ))
    };
    // To serde a list of values in the fields' order would be an object as well.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(failed(&"a list is not an object"));
    }
    serde_json::from_slice(bytes).map_err(|error| failed(&error))
}

async fn read(headers: &HeaderMap, body: Body) -> Result<axum::body::Bytes, Error> {
    let declared = headers
        .get(CONTENT_LENGTH)
        .and_then(|length| length.to_str().ok()?.parse::<usize>().ok());
    if declared.is_some_and(|length| length > LARGEST) {
        return Err(Error::TooLarge(LARGEST));
    }
    to_bytes(body, LARGEST).await.map_err(|error| {
        let mut cause: &dyn std::error::Error = &error;
        while let Some(inner) = cause.source() {
            cause = inner;
        }
        if cause.is::<LengthLimitError>() {
            return Error::TooLarge(LARGEST);
        }
        // It ended early, or the connection did.
        Error::BadRequest("the request body could not be read".to_owned())
    })
}

fn check_content_type(headers: &HeaderMap) -> Result<(), Error> {
    let Some(given) = headers.get(CONTENT_TYPE) else {
        return Ok(());
    };
    let given = given.to_str().unwrap_or_default();
    let kind = given.split(';').next().unwrap_or_default().trim();
    if kind.eq_ignore_ascii_case("application/json") {
        return Ok(());
    }
    Err(Error::Validation(format!(
        "unsupported media type {kind:?}, only [application/json] are allowed"
    )))
}
