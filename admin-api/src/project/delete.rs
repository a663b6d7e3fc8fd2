//! Deleting projects, which must be empty.

use axum::Json;
use axum::extract::State;
use db::project;
use policy::{on, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Allowed;
use crate::error::Rendered;
use crate::{App, Error};

/// Why a project cannot be deleted.
pub(crate) const NOT_EMPTY: &str = "the project contains repositories, can not be deleted";

/// The response of `GET …/_deletable`: one of the two.
#[derive(Serialize, ToSchema)]
pub(crate) struct Deletable {
    #[serde(skip_serializing_if = "Option::is_none")]
    deletable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

/// Says whether the project can be deleted.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/_deletable", operation_id = "getProjectDeletable", tag = "project",
    responses((status = 200, description = "Whether, and why not.", body = Deletable))
)]
pub(crate) async fn deletable(
    Allowed {
        permit, project, ..
    }: Allowed<on::Project, to::Delete>,
    State(app): App,
) -> Rendered<Deletable> {
    let deletion = app.settings.current().project_deletion_restriction;
    tenancy::project::check_deletion(&permit, deletion)?;
    let mut tx = app.db.reader().await?;
    let empty = !project::holds_artifacts(&mut tx, project.id).await?;
    Ok(Json(Deletable {
        deletable: empty.then_some(true),
        message: (!empty).then_some(NOT_EMPTY),
    }))
}

/// Deletes a project: its name becomes free. 412 while there are repositories.
#[utoipa::path(
    delete, path = "/api/v2.0/projects/{project_name_or_id}", operation_id = "deleteProject", tag = "project",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    Allowed { permit, .. }: Allowed<on::Project, to::Delete>,
    State(app): App,
) -> Result<(), Error> {
    let deletion = app.settings.current().project_deletion_restriction;
    Ok(tenancy::project::delete(&app.db, &permit, deletion, app.clock.now()).await?)
}
