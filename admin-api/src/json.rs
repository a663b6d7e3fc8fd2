//! Request bodies. Absent and `null` are the same; unknown fields are ignored, because clients of other versions send
//! them.

use std::convert::Infallible;
use std::marker::PhantomData;

use axum::body::Bytes;
use axum::extract::{FromRequest, Request};
use http::HeaderMap;
use http::header::CONTENT_TYPE;
use serde::de::DeserializeOwned;
use serde_json::Value;

use crate::allowed::Renew;
use crate::body::{self, LARGEST_BODY};
use crate::input::Input;
use crate::param::nul;
use crate::{AdminState, Error, read_only};

/// A type of body, with its name in Harbor's schema for messages.
pub(crate) trait BodyOf: DeserializeOwned {
    /// The parameter's name in Harbor's schema: `project`, `userReq`, …
    const NAME: &'static str;
}

/// An unread body: it is read only after the caller's permission was checked.
pub(crate) struct Unread<T> {
    request: Request,
    kind: PhantomData<fn() -> T>,
}

impl<T> Input for Unread<T> {}

impl<T, S: Send + Sync> FromRequest<S> for Unread<T> {
    type Rejection = Infallible;

    async fn from_request(request: Request, _: &S) -> Result<Self, Infallible> {
        Ok(Self {
            request,
            kind: PhantomData,
        })
    }
}

impl<T: BodyOf + Default> Unread<T> {
    /// As [`Self::read`], for a body that may be left out.
    pub(crate) async fn read_if_any<P: Renew>(
        self,
        app: &AdminState,
        permit: P,
    ) -> Result<(P, Option<T>), Error> {
        let (permit, bytes, headers) = self.read_bytes(app, permit).await?;
        if bytes.is_empty() {
            return Ok((permit, None));
        }
        check_content_type(&headers)?;
        Ok((permit, Some(parse(&bytes)?)))
    }
}

impl<T: BodyOf> Unread<T> {
    /// Reads and parses it, given a permit. How long that takes is up to the client: callers who have lost the permit
    /// by then are refused, and so are writes if they are no longer allowed.
    pub(crate) async fn read<P: Renew>(self, app: &AdminState, permit: P) -> Result<(P, T), Error> {
        let (permit, bytes, headers) = self.read_bytes(app, permit).await?;
        if bytes.is_empty() {
            return Err(Error::Validation(format!(
                "{} in body is required",
                T::NAME
            )));
        }
        check_content_type(&headers)?;
        Ok((permit, parse(&bytes)?))
    }

    async fn read_bytes<P: Renew>(
        self,
        app: &AdminState,
        permit: P,
    ) -> Result<(P, Bytes, HeaderMap), Error> {
        let (parts, body) = self.request.into_parts();
        let bytes = body::read(&parts.headers, body, LARGEST_BODY).await?;
        let permit = permit.renewed(app).await?;
        read_only::check(app, &parts.method, &parts.extensions)?;
        Ok((permit, bytes, parts.headers))
    }
}

fn parse<T: BodyOf>(bytes: &[u8]) -> Result<T, Error> {
    let failed = |why: &dyn std::fmt::Display| {
        let name = T::NAME;
        Error::Validation(format!(
            "parsing {name} body from \"\" failed, because {why}"
        ))
    };
    // Serde would also accept an array of values in field order as an object.
    if bytes.trim_ascii_start().first() == Some(&b'[') {
        return Err(failed(&"a list is not an object"));
    }
    let body = serde_json::from_slice(bytes).map_err(|error| failed(&error))?;
    match field_with_nul(bytes) {
        Some(field) => Err(nul(&field)),
        None => Ok(body),
    }
}

/// The field of a body that contains NUL, which databases cannot store. In JSON, NUL occurs only as an escape, so
/// bodies without one are not scanned again.
fn field_with_nul(bytes: &[u8]) -> Option<String> {
    const NUL: &[u8] = br"\u0000";
    if !bytes.windows(NUL.len()).any(|window| window == NUL) {
        return None;
    }
    // Values nested too deeply to check are refused as well.
    serde_json::from_slice(bytes)
        .map_or_else(|_| Some("the body".to_owned()), |body| path_to_nul(&body))
}

/// The path of a string with NUL in a value: `member_user.username`, or empty for the value itself.
fn path_to_nul(value: &Value) -> Option<String> {
    let found = |name: &str, value: &Value| {
        let rest = path_to_nul(value)?;
        let dot = if rest.is_empty() { "" } else { "." };
        Some(format!("{name}{dot}{rest}"))
    };
    match value {
        Value::String(text) => text.contains('\0').then(String::new),
        Value::Array(values) => {
            let mut values = values.iter().enumerate();
            values.find_map(|(at, value)| found(&at.to_string(), value))
        }
        Value::Object(fields) => fields.iter().find_map(|(name, value)| found(name, value)),
        Value::Null | Value::Bool(_) | Value::Number(_) => None,
    }
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_field_with_nul_is_named() {
        let field = |text: &str| field_with_nul(text.as_bytes());
        let nested = r#"{"role_id":1,"member_user":{"username":"a\u0000"}}"#;
        assert_eq!(field(nested).as_deref(), Some("member_user.username"));
        assert_eq!(field(r#"{"a":["x","\u0000"]}"#).as_deref(), Some("a.1"));
        // A backslash followed by other characters, not an escape.
        assert_eq!(field(r#"{"comment":"\\u0000"}"#), None);
        assert_eq!(field(r#"{"comment":"\u0001"}"#), None);
    }
}
