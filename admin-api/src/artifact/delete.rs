//! Deleting artifacts.

use axum::extract::State;
use policy::{on, to};
use registry::artifact::OtherTags;

use crate::allowed::Allowed;
use crate::param::ProjectByName;
use crate::param::content::ArtifactRef;
use crate::{App, Error};

/// Deletes an artifact with all its tags and accessories, even if it is named by a tag.
#[utoipa::path(
    delete, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}",
    operation_id = "deleteArtifact", tag = "artifact",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    named: ArtifactRef,
    Allowed { permit, .. }: Allowed<on::Artifact, to::Delete, ProjectByName>,
    State(app): App,
) -> Result<(), Error> {
    let (repository, reference) = named.names()?;
    let registry = &app.registry;
    let deleted = registry.delete_artifact(&permit, &repository, &reference, OtherTags::Go);
    deleted.await?;
    Ok(())
}
