//! Deleting projects, which must be empty.

use axum::Json;
use axum::extract::State;
use db::project::{self, Project};
use policy::{Action, Resource};
use serde::Serialize;

use crate::caller::By;
use crate::error::Rendered;
use crate::param::ProjectRef;
use crate::project::{note, permitted, still};
use crate::{App, Error};

const NOT_EMPTY: &str = "the project contains repositories, can not be deleted";

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
    let (permit, Project { id, .. }) =
        permitted(&app.db, &caller, &named, Resource::Project, Action::Delete).await?;
    let now = app.clock.now();
    app.db
        .write_alone_in(id, move |tx| {
            Box::pin(async move {
                let project = still(tx, id).await?;
                if !project::delete(tx, &project.facts(), now).await? {
                    return Err(Error::Precondition(NOT_EMPTY.to_owned()));
                }
                let named = (id, project.name.as_str());
                note(tx, permit.caller(), "delete", named, String::new(), now).await
            })
        })
        .await
}
