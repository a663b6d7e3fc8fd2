//! Labels on artifacts: those of their project, and those of the installation.

use axum::extract::State;
use model::LabelId;
use policy::{on, to};

use super::{LabelRef, LabelRequest};
use crate::allowed::Allowed;
use crate::json::Unread;
use crate::param::ProjectByName;
use crate::param::content::ArtifactRef;
use crate::{App, Error};

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
    let (artifact, now) = (artifact.names()?, app.clock.now());
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
    let (artifact, now) = (artifact.names()?, app.clock.now());
    Ok(tenancy::label::detach(&app.db, &permit, artifact, id, now).await?)
}
