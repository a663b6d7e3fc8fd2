//! Signing in by an OIDC provider with a browser, and related routes.

pub(crate) mod callback;
pub(crate) mod cli_secret;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod onboard;
pub(crate) mod ping;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode};

/// Redirects a browser. The response is not cached.
fn redirect(location: &str) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    // A text that is not a valid header is not an address either.
    let location = HeaderValue::try_from(location);
    headers.insert(LOCATION, location.unwrap_or(HeaderValue::from_static("/")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
