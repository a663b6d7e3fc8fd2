//! One repository.

use axum::Json;
use axum::extract::State;
use db::repository;
use policy::{on, to};

use crate::App;
use crate::caller::By;
use crate::error::Rendered;
use crate::param::RepositoryRef;
use crate::project::permitted;
use crate::repository::View;

/// `GET /projects/{project_name}/repositories/{repository_name}`
pub(crate) async fn get(State(app): App, named: RepositoryRef, By(caller): By) -> Rendered<View> {
    permitted::<on::Repository, to::Read>(&app.db, &caller, &named.project).await?;
    let name = named.name()?;
    let found = repository::by_name(&mut app.db.reader().await?, &name).await?;
    Ok(Json(found.ok_or_else(|| named.missing())?.into()))
}
