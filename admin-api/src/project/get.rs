//! A single project, and whether a name exists.

use axum::Json;
use axum::extract::State;
use db::project;
use policy::{Action, Resource};

use crate::caller::{By, permit_signed_in};
use crate::error::Rendered;
use crate::param::{Params, ProjectRef};
use crate::project::create::check_name;
use crate::project::{View, permitted};
use crate::{App, Error};

/// `GET /projects/{project_name_or_id}`
pub(crate) async fn get(State(app): App, named: ProjectRef, By(caller): By) -> Rendered<View> {
    let (permit, project) =
        permitted(&app.db, &caller, &named, Resource::Project, Action::Read).await?;
    let id = permit.project().id;
    let settings = project::metadata(&mut app.db.reader().await?, id).await?;
    Ok(Json(View::detailed(&caller, &project, settings)))
}

/// `HEAD /projects?project_name=`: 200 for a project that the caller may see, else 404.
pub(crate) async fn head(State(app): App, By(caller): By, params: Params) -> Result<(), Error> {
    let text = params.required("project_name")?;
    permit_signed_in(&caller)?;
    let named = ProjectRef::Name(check_name(text)?);
    permitted(&app.db, &caller, &named, Resource::Project, Action::Read)
        .await
        .map(|_| ())
        .map_err(|error| match error {
            Error::Forbidden(_) => Error::NotFound(format!("project {named} not found")),
            other => other,
        })
}
