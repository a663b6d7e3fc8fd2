//! The OpenAPI document of the declared routes.

use axum::Extension;
use axum::body::Bytes;
use axum::response::{IntoResponse, Response};
use http::header::CONTENT_TYPE;
use utoipa::openapi::{InfoBuilder, License, OpenApi};
use utoipa::{PartialSchema as _, ToSchema as _};

use crate::allowed::Everyone;
use crate::error::Errors;
use crate::input::Input;

/// The document, as sent.
#[derive(Clone)]
pub(crate) struct Document(Bytes);

impl Document {
    /// The document of the declarations, with the version of this installation.
    pub(crate) fn new(mut declared: OpenApi, version: &str) -> Self {
        let schemas = &mut declared.components.get_or_insert_default().schemas;
        let mut named = vec![(Errors::name().into_owned(), Errors::schema())];
        Errors::schemas(&mut named);
        schemas.extend(named);
        declared.info = InfoBuilder::new()
            .title("Gantry")
            .description(Some("The part of Harbor's API v2.0 that Gantry serves."))
            .version(version)
            .license(Some(License::new("Apache-2.0")))
            .build();
        let json = serde_json::to_vec(&declared);
        Self(json.unwrap_or_default().into())
    }
}

impl Input for Extension<Document> {}

/// Returns this API as an OpenAPI 3.1 document.
#[utoipa::path(
    get, path = "/api/openapi.json", operation_id = "getOpenApi", tag = "openapi",
    responses((status = 200, description = "The document.", content_type = "application/json"))
)]
pub(crate) async fn document(
    _: Everyone,
    Extension(Document(json)): Extension<Document>,
) -> Response {
    let headers = [(CONTENT_TYPE, "application/json; charset=utf-8")];
    (headers, json).into_response()
}
