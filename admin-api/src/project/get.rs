//! A single project, and whether a name exists.

use axum::Json;
use axum::extract::State;
use db::project;
use policy::{SignedIn, on, to};

use crate::allowed::{Allowed, Granted, permitted};
use crate::caller::By;
use crate::error::Rendered;
use crate::param::{Named, ProjectRef, Required};
use crate::project::View;
use crate::project::create::check_name;
use crate::{App, Error};

/// Returns a project.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}", operation_id = "getProject", tag = "project",
    responses((status = 200, description = "The project.", body = View))
)]
pub(crate) async fn get(
    Allowed {
        permit, project, ..
    }: Allowed<on::Project, to::Read>,
    State(app): App,
) -> Rendered<View> {
    let settings = project::metadata(&mut app.db.reader().await?, project.id).await?;
    let roles = permit.standing().roles;
    Ok(Json(View::detailed(roles, &project, settings)))
}

/// `project_name`, in a query string.
pub(crate) enum ProjectName {}

impl Named for ProjectName {
    const NAME: &'static str = "project_name";
    const DESCRIPTION: &'static str = "The project's name.";
}

/// Says whether there is a project with that name that the caller may see: 200, else 404.
#[utoipa::path(
    head, path = "/api/v2.0/projects", operation_id = "headProject", tag = "project",
    responses((status = 200, description = "There is."), (status = 404, description = "There is none."))
)]
pub(crate) async fn head(
    By(caller): By,
    name: Required<ProjectName>,
    Granted(_): Granted<SignedIn>,
    State(app): App,
) -> Result<(), Error> {
    let named = ProjectRef::Name(check_name(&name.text)?);
    permitted::<on::Project, to::Read>(&app.db, &caller, &named)
        .await
        .map(|_| ())
        .map_err(|error| match error {
            Error::Forbidden(_) => Error::NotFound(format!("project {named} not found")),
            other => other,
        })
}
