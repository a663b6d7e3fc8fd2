//! Icons of artifacts by their type. They are named by the digests of their bytes.

use std::sync::LazyLock;

use axum::Json;
use axum::extract::FromRequestParts;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use http::request::Parts;
use model::{AccessoryKind, Algorithm, Digest};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::Error;
use crate::allowed::Everyone;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::param::path_param;

/// A picture, 50 by 50 points.
struct Picture {
    digest: String,
    png: &'static [u8],
}

macro_rules! pictures {
    ($($name:ident = $file:literal;)*) => {$(
        static $name: LazyLock<Picture> = LazyLock::new(|| {
            let png = include_bytes!(concat!("icon/", $file));
            Picture { digest: Digest::of(Algorithm::Sha256, png).to_string(), png }
        });
    )*

        fn all() -> Vec<&'static Picture> {
            vec![$(&*$name),*]
        }
    };
}

pictures! {
    IMAGE = "image.png";
    CHART = "chart.png";
    MODEL = "model.png";
    WASM = "wasm.png";
    ACCESSORY = "accessory.png";
    OTHER = "other.png";
}

/// The icon of artifacts of a type.
pub(crate) fn of_artifact(kind: &str) -> &'static str {
    let picture = match kind {
        model::artifact::IMAGE => &IMAGE,
        model::artifact::CHART => &CHART,
        model::artifact::MODEL_KIND => &MODEL,
        "WASM" => &WASM,
        "SBOM" => &ACCESSORY,
        _ => &OTHER,
    };
    &picture.digest
}

/// The icon of accessories of a kind; as in Harbor, unknown kinds have none.
pub(crate) fn of_accessory(kind: &str) -> &'static str {
    if kind == AccessoryKind::Other.name() {
        return "";
    }
    &ACCESSORY.digest
}

/// An icon.
#[derive(Serialize, ToSchema)]
pub(crate) struct Icon {
    /// Base64.
    content: String,
    #[serde(rename = "content-type")]
    content_type: &'static str,
}

/// The digest of an icon, in a path.
pub(crate) struct Named(String);

impl Input for Named {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("digest", Type::String, "The icon's digest.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for Named {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        path_param(parts, state, "digest").await.map(Self)
    }
}

/// Returns an icon that artifacts name.
#[utoipa::path(
    get, path = "/api/v2.0/icons/{digest}", operation_id = "getIcon", tag = "icon",
    responses((status = 200, description = "The icon.", body = Icon))
)]
pub(crate) async fn get(_: Everyone, Named(digest): Named) -> Rendered<Icon> {
    let found = all().into_iter().find(|picture| picture.digest == digest);
    let picture = found.ok_or_else(|| Error::NotFound(format!("the icon {digest} not found")))?;
    Ok(Json(Icon {
        content: STANDARD.encode(picture.png),
        content_type: "image/png",
    }))
}
