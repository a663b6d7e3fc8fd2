//! One repository.

use axum::Json;
use axum::extract::State;
use db::repository;
use policy::{on, to};

use crate::App;
use crate::allowed::Allowed;
use crate::error::Rendered;
use crate::param::{ProjectByName, RepositoryRef};
use crate::repository::View;

/// Returns a repository.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/repositories/{repository_name}", operation_id = "getRepository", tag = "repository",
    responses((status = 200, description = "The repository.", body = View))
)]
pub(crate) async fn get(
    named: RepositoryRef,
    Allowed { permit, .. }: Allowed<on::Repository, to::Read, ProjectByName>,
    State(app): App,
) -> Rendered<View> {
    let name = named.name()?;
    let mut reader = app.db.reader().await?;
    let found = repository::by_name(&mut reader, permit.project().id, &name).await?;
    Ok(Json(found.ok_or_else(|| named.missing())?.into()))
}
