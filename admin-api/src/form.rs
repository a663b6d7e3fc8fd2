//! Bodies of forms.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::extract::{FromRequest, Request};
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::{Map, Value};

use crate::Error;
use crate::allowed::Everyone;
use crate::body::{self, LARGEST_FORM};
use crate::input::Input;
use crate::param::Params;

/// An unread form, which only a handler that serves everyone can read.
pub(crate) struct UnreadForm<T> {
    request: Request,
    kind: PhantomData<fn() -> T>,
}

impl<T> Input for UnreadForm<T> {}

impl<T, S: Send + Sync> FromRequest<S> for UnreadForm<T> {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            request,
            kind: PhantomData,
        })
    }
}

impl<T: DeserializeOwned> UnreadForm<T> {
    /// Reads and parses it. All fields are text.
    pub(crate) async fn read(self, _: &Everyone) -> Result<T, Error> {
        let (parts, body) = self.request.into_parts();
        let kind = parts.headers.get(CONTENT_TYPE);
        let kind = kind.and_then(|kind| kind.to_str().ok()).unwrap_or_default();
        let kind = kind.split(';').next().unwrap_or_default().trim();
        if !kind.eq_ignore_ascii_case("application/x-www-form-urlencoded") {
            return Err(Error::BadRequest(
                "the body must be a form: application/x-www-form-urlencoded".to_owned(),
            ));
        }
        let bytes = body::read(&parts.headers, body, LARGEST_FORM).await?;
        let text = std::str::from_utf8(&bytes);
        let text = text.map_err(|_| Error::BadRequest("the form is not UTF-8".to_owned()))?;
        let fields = Params::parse(text)?.into_pairs();
        let fields = fields.map(|(name, value)| (name, Value::String(value)));
        let fields = Value::Object(fields.collect::<Map<_, _>>());
        serde_json::from_value(fields)
            .map_err(|error| Error::BadRequest(format!("the form is not understood: {error}")))
    }
}
