//! Availability and version of the API.

use axum::Json;
use serde::Serialize;

/// `GET /ping`
pub(crate) async fn ping() -> ([(http::HeaderName, &'static str); 1], &'static str) {
    ([(http::header::CONTENT_TYPE, "text/plain")], "Pong")
}

/// The answer of `GET /api/version`.
#[derive(Serialize)]
pub(crate) struct Version {
    version: &'static str,
}

/// `GET /api/version`: the version of the API, for clients that determine its path this way.
pub(crate) async fn version() -> Json<Version> {
    Json(Version { version: "v2.0" })
}
