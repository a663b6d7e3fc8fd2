//! Availability and version of the API.

use axum::Json;
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Everyone;

/// Answers `Pong`.
#[utoipa::path(
    get, path = "/api/v2.0/ping", operation_id = "getPing", tag = "ping",
    responses((status = 200, description = "`Pong`.", body = String))
)]
pub(crate) async fn ping(_: Everyone) -> ([(http::HeaderName, &'static str); 1], &'static str) {
    ([(http::header::CONTENT_TYPE, "text/plain")], "Pong")
}

/// The answer of `GET /api/version`.
#[derive(Serialize, ToSchema)]
pub(crate) struct Version {
    version: &'static str,
}

/// Returns the version of the API, from which clients derive its path.
#[utoipa::path(
    get, path = "/api/version", operation_id = "getVersion", tag = "ping",
    responses((status = 200, description = "The version.", body = Version))
)]
pub(crate) async fn version(_: Everyone) -> Json<Version> {
    Json(Version { version: "v2.0" })
}
