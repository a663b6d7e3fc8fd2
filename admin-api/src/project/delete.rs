//! Deleting projects, which must be empty.

use axum::Json;
use axum::extract::State;
use db::project;
use policy::{Action, Resource};
use serde::Serialize;

use crate::caller::By;
use crate::error::Rendered;
use crate::param::ProjectRef;
use crate::project::permitted;
use crate::{App, Error};

/// Why a project is not deleted.
pub(crate) const NOT_EMPTY: &str = "the project contains repositories, can not be deleted";

/// The response of `GET …/_deletable`: one of the two.
#[derive(Serialize)]
pub(crate) struct Deletable {
    #[serde(skip_serializing_if = "Option::is_none")]
    deletable: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    message: Option<&'static str>,
}

/// `GET /projects/{project_name_or_id}/_deletable`
pub(crate) async fn deletable(
    State(app): App,
    named: ProjectRef,
    By(caller): By,
) -> Rendered<Deletable> {
    let (_, project) =
        permitted(&app.db, &caller, &named, Resource::Project, Action::Delete).await?;
    let mut tx = app.db.reader().await?;
    let empty = !project::holds_artifacts(&mut tx, project.id).await?;
    Ok(Json(Deletable {
        deletable: empty.then_some(true),
        message: (!empty).then_some(NOT_EMPTY),
    }))
}

/// `DELETE /projects/{project_name_or_id}`: the name becomes free.
pub(crate) async fn delete(
    State(app): App,
    named: ProjectRef,
    By(caller): By,
) -> Result<(), Error> {
    let (permit, _) =
        permitted(&app.db, &caller, &named, Resource::Project, Action::Delete).await?;
    Ok(tenancy::project::delete(&app.db, &permit, app.clock.now()).await?)
}
