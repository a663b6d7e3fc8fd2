//! Parameters that name content: artifacts, tags and additions.

use axum::extract::FromRequestParts;
use http::request::Parts;
use model::{Reference, RepositoryName, Tag};
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::{RepositoryRef, decode_escapes, path_param};
use crate::Error;
use crate::input::{Input, in_path};

/// The artifact in a path: its repository, and a tag or a digest.
pub(crate) struct ArtifactRef {
    /// The repository.
    pub(crate) repository: RepositoryRef,
    text: String,
}

impl ArtifactRef {
    /// The repository's whole name, and what names the artifact in it.
    ///
    /// # Errors
    /// [`Error::NotFound`] if no artifact can have that name.
    pub(crate) fn names(&self) -> Result<(RepositoryName, Reference), Error> {
        let repository = self.repository.name().map_err(|_| self.missing())?;
        let reference = self.text.parse().map_err(|_| self.missing())?;
        Ok((repository, reference))
    }

    /// The error for an artifact that does not exist.
    pub(crate) fn missing(&self) -> Error {
        let mark = if self.text.contains(':') { '@' } else { ':' };
        Error::NotFound(format!(
            "artifact {}{mark}{} not found",
            self.repository, self.text
        ))
    }
}

impl Input for ArtifactRef {
    fn parameters() -> Vec<Parameter> {
        let mut parameters = RepositoryRef::parameters();
        parameters.push(in_path(
            "reference",
            Type::String,
            "A tag of the artifact, or its digest.",
        ));
        parameters
    }
}

impl<S: Send + Sync> FromRequestParts<S> for ArtifactRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        let repository = RepositoryRef::from_request_parts(parts, state).await?;
        let text = path_param(parts, state, "reference").await?;
        let text = decode_escapes(&text).unwrap_or(text);
        Ok(Self { repository, text })
    }
}

/// The tag in a path.
pub(crate) struct TagRef(String);

impl TagRef {
    /// The tag.
    ///
    /// # Errors
    /// [`Error::NotFound`] if it is none.
    pub(crate) fn tag(&self) -> Result<Tag, Error> {
        self.0
            .parse()
            .map_err(|_| Error::NotFound(format!("tag {} not found", self.0)))
    }
}

impl Input for TagRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("tag_name", Type::String, "The tag.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TagRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        path_param(parts, state, "tag_name").await.map(Self)
    }
}

/// The addition in a path.
pub(crate) struct AdditionName(pub(crate) String);

impl Input for AdditionName {
    fn parameters() -> Vec<Parameter> {
        let names =
            "`build_history`, `values.yaml`, `readme.md`, `dependencies`, `license` or `files`.";
        vec![in_path("addition", Type::String, names)]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for AdditionName {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        path_param(parts, state, "addition").await.map(Self)
    }
}
