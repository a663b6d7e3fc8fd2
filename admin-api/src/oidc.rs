//! Signing in by an OIDC provider with a browser, and what belongs to it.

pub(crate) mod callback;
pub(crate) mod cli_secret;
pub(crate) mod login;
pub(crate) mod logout;
pub(crate) mod onboard;
pub(crate) mod ping;

use axum::response::{IntoResponse, Response};
use http::header::{CACHE_CONTROL, LOCATION};
use http::{HeaderValue, StatusCode};

/// Sends a browser elsewhere. What is said on the way is kept nowhere.
fn redirect(location: &str) -> Response {
    let mut response = StatusCode::FOUND.into_response();
    let headers = response.headers_mut();
    // What is no header is no address either.
    let location = HeaderValue::try_from(location);
    headers.insert(LOCATION, location.unwrap_or(HeaderValue::from_static("/")));
    headers.insert(CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response
}
