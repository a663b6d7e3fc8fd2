//! One repository.

use axum::Json;
use axum::extract::State;
use db::repository;
use policy::{Action, Resource};

use crate::App;
use crate::caller::By;
use crate::error::Rendered;
use crate::param::RepositoryRef;
use crate::project::permitted;
use crate::repository::View;

/// `GET /projects/{project_name}/repositories/{repository_name}`
pub(crate) async fn get(State(app): App, named: RepositoryRef, By(caller): By) -> Rendered<View> {
    let (resource, action) = (Resource::Repository, Action::Read);
    permitted(&app.db, &caller, &named.project, resource, action).await?;
    let name = named.name()?;
    let found = repository::by_name(&mut app.db.reader().await?, &name).await?;
    Ok(Json(found.ok_or_else(|| named.missing())?.into()))
}
