//! Labels on artifacts: those of their project, and those of the installation.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use http::request::Parts;
use model::{LabelId, Reference, RepositoryName};
use policy::{on, to};
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::{LabelRef, LabelRequest};
use crate::allowed::Allowed;
use crate::input::{Input, in_path};
use crate::json::Unread;
use crate::param::{ProjectByName, RepositoryRef, text_param};
use crate::{AdminState, App, Error};

/// The artifact in a path: by a tag or a digest.
pub(crate) struct ArtifactRef {
    repository: RepositoryRef,
    reference: String,
}

impl ArtifactRef {
    /// What it names.
    ///
    /// # Errors
    /// [`Error::NotFound`] if there can be no such artifact.
    fn named(&self) -> Result<(RepositoryName, Reference), Error> {
        let name = self.repository.name()?;
        let missing = || Error::NotFound(format!("artifact {name}:{} not found", self.reference));
        let reference = self.reference.parse().map_err(|_| missing())?;
        Ok((name, reference))
    }
}

impl Input for ArtifactRef {
    fn parameters() -> Vec<Parameter> {
        let mut all = RepositoryRef::parameters();
        let reference = "A tag or a digest.";
        all.push(in_path("reference", Type::String, reference));
        all
    }
}

impl FromRequestParts<Arc<AdminState>> for ArtifactRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        Ok(Self {
            repository: RepositoryRef::from_request_parts(parts, app).await?,
            reference: text_param(parts, app, "reference").await?,
        })
    }
}

/// Puts a label on an artifact.
#[utoipa::path(
    post, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/labels",
    operation_id = "addLabel", tag = "artifact",
    request_body = LabelRequest,
    responses((status = 200, description = "Added."))
)]
pub(crate) async fn add(
    artifact: ArtifactRef,
    Allowed { permit, .. }: Allowed<on::ArtifactLabel, to::Create, ProjectByName>,
    State(app): App,
    body: Unread<LabelRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let id = body
        .id
        .ok_or_else(|| Error::Validation("id in body is required: the label's ID".to_owned()))?;
    let (artifact, now) = (artifact.named()?, app.clock.now());
    Ok(tenancy::label::attach(&app.db, &permit, artifact, LabelId(id), now).await?)
}

/// Takes a label off an artifact.
#[utoipa::path(
    delete,
    path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/labels/{label_id}",
    operation_id = "removeLabel", tag = "artifact",
    responses((status = 200, description = "Removed."))
)]
pub(crate) async fn remove(
    artifact: ArtifactRef,
    LabelRef(id): LabelRef,
    Allowed { permit, .. }: Allowed<on::ArtifactLabel, to::Delete, ProjectByName>,
    State(app): App,
) -> Result<(), Error> {
    let (artifact, now) = (artifact.named()?, app.clock.now());
    Ok(tenancy::label::detach(&app.db, &permit, artifact, id, now).await?)
}
