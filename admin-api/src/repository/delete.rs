//! Deleting repositories with all their content.

use axum::extract::State;
use policy::{on, to};

use crate::allowed::Allowed;
use crate::param::{ProjectByName, RepositoryRef};
use crate::{App, Error};

/// Deletes a repository with all its tags and manifests.
#[utoipa::path(
    delete, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}", operation_id = "deleteRepository", tag = "repository",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    named: RepositoryRef,
    Allowed { permit, .. }: Allowed<on::Repository, to::Delete, ProjectByName>,
    State(app): App,
) -> Result<(), Error> {
    let (name, now) = (named.name()?, app.clock.now());
    let deleted = registry::repository::delete(&app.db, &permit, &name, now);
    if deleted.await? {
        Ok(())
    } else {
        Err(named.missing())
    }
}
