//! Removing tags from artifacts.

use axum::extract::State;
use policy::{on, to};

use crate::allowed::Allowed;
use crate::param::ProjectByName;
use crate::param::content::{ArtifactRef, TagRef};
use crate::{App, Error};

/// Removes a tag from an artifact, which stays.
#[utoipa::path(
    delete, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}/artifacts/{reference}/tags/{tag_name}",
    operation_id = "deleteTag", tag = "artifact",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    named: ArtifactRef,
    tag: TagRef,
    Allowed { permit, .. }: Allowed<on::Tag, to::Delete, ProjectByName>,
    State(app): App,
) -> Result<(), Error> {
    let ((repository, reference), tag) = (named.names()?, tag.tag()?);
    let removed = app
        .registry
        .remove_tag(&permit, &repository, (&reference, &tag));
    Ok(removed.await?)
}
