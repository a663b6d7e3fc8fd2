//! Repositories of a project, and of all projects.

use axum::extract::State;
use axum::response::Response;
use db::list::{Direction, Field};
use db::repository::{self, Repository};
use policy::{on, to};

use crate::allowed::{Allowed, Everyone};
use crate::caller::By;
use crate::listing::Listing;
use crate::param::ProjectByName;
use crate::project::list::repository_viewer;
use crate::repository::View;
use crate::{App, Error};

const NEWEST_FIRST: (Field, Direction) = (repository::CREATED, Direction::Down);

/// Lists a project's repositories, newest first by default.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name}/repositories", operation_id = "listRepositories", tag = "repository",
    responses((status = 200, description = "A page of repositories.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Allowed { permit, .. }: Allowed<on::Repository, to::List, ProjectByName>,
    State(app): App,
) -> Result<Response, Error> {
    let mut selection = listing.select(&repository::FIELDS)?;
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let mut reader = app.db.reader().await?;
    let (found, total) = repository::list(&mut reader, permit.project().id, &selection).await?;
    let views = views(&mut listing, found)?;
    Ok(listing.answer(&views, total))
}

/// Lists the repositories of all projects that the caller may see, newest first by default.
#[utoipa::path(
    get, path = "/api/v2.0/repositories", operation_id = "listAllRepositories", tag = "repository",
    responses((status = 200, description = "A page of repositories.", body = Vec<View>))
)]
pub(crate) async fn list_all(
    _: Everyone,
    By(caller): By,
    mut listing: Listing,
    State(app): App,
) -> Result<Response, Error> {
    let mut selection = listing.select(&repository::FIELDS)?;
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let mut reader = app.db.reader().await?;
    let viewer = repository_viewer(&caller);
    let (found, total) = repository::find(&mut reader, viewer, &selection).await?;
    let views = views(&mut listing, found)?;
    Ok(listing.answer(&views, total))
}

/// Repositories in the API's form, if there is memory for their descriptions.
fn views(listing: &mut Listing, found: Vec<Repository>) -> Result<Vec<View>, Error> {
    let texts = found.iter().map(|repository| repository.description.len());
    listing.room.texts(texts.sum())?;
    Ok(found.into_iter().map(View::from).collect())
}
