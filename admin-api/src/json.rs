//! Bodies of requests. What is absent or `null` is the same; unknown fields are ignored, as clients
//! of other versions send them.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::body::{Body, to_bytes};
use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use http_body_util::LengthLimitError;
use policy::{AccountPermit, CreateProjectPermit, ProjectPermit, SystemPermit};
use registry::BodyError;
use serde::de::DeserializeOwned;

use crate::Error;

/// Bytes of the largest body that is read.
pub const LARGEST_BODY: usize = 1 << 20;

/// What a body describes; Harbor's schema gives each kind a name for messages.
pub(crate) trait BodyOf: DeserializeOwned {
    /// The parameter's name in Harbor's schema: `project`, `userReq`, …
    const NAME: &'static str;
}

/// A body that nobody has read: what it takes to read it is spent on those alone who may do what it asks for.
pub(crate) struct Unread<T> {
    request: Request,
    kind: PhantomData<fn() -> T>,
}

/// What shows that its holder may do what a request asks for.
pub(crate) trait Permit: Sync {}

impl Permit for SystemPermit {}
impl Permit for AccountPermit {}
impl Permit for CreateProjectPermit {}
impl Permit for ProjectPermit {}

impl<T, S: Send + Sync> FromRequest<S> for Unread<T> {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            request,
            kind: PhantomData,
        })
    }
}

impl<T: BodyOf> Unread<T> {
    /// Reads and parses it for the holder of a permit.
    pub(crate) async fn read(self, _permit: &impl Permit) -> Result<T, Error> {
        let (parts, body) = self.request.into_parts();
        let bytes = read(&parts.headers, body).await?;
        if bytes.is_empty() {
            return Err(Error::Validation(format!(
                "{} in body is required",
                T::NAME
            )));
        }
        check_content_type(&parts.headers)?;
        parse(&bytes)
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
    if declared.is_some_and(|length| length > LARGEST_BODY) {
        return Err(Error::TooLarge(LARGEST_BODY));
    }
    let read = to_bytes(body, LARGEST_BODY).await;
    read.map_err(|error| unreadable(&error))
}

/// Why a body did not come whole: what the gateway found, which bounds what it reads as well.
fn unreadable(error: &axum::Error) -> Error {
    let mut cause: &(dyn std::error::Error + 'static) = error;
    loop {
        match cause.downcast_ref() {
            Some(BodyError::TooLarge(_)) => return Error::TooLarge(LARGEST_BODY),
            Some(BodyError::Busy) => return Error::Busy,
            Some(BodyError::TooSlow { .. } | BodyError::Late(_)) => return Error::TooSlow,
            Some(BodyError::Cut) => break,
            None if cause.is::<LengthLimitError>() => return Error::TooLarge(LARGEST_BODY),
            None => {}
        }
        match cause.source() {
            Some(inner) => cause = inner,
            None => break,
        }
    }
    Error::BadRequest("the request body could not be read".to_owned())
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
