//! A project's repositories.

use axum::extract::State;
use axum::response::Response;
use db::list::{Direction, Field};
use db::repository;
use policy::{Action, Resource};

use crate::caller::By;
use crate::listing::Listing;
use crate::param::ProjectByName;
use crate::project::permitted;
use crate::repository::View;
use crate::{App, Error};

const NEWEST_FIRST: (Field, Direction) = (repository::CREATED, Direction::Down);

/// `GET /projects/{project_name}/repositories`: newest first by default.
pub(crate) async fn list(
    State(app): App,
    ProjectByName(named): ProjectByName,
    By(caller): By,
    mut listing: Listing,
) -> Result<Response, Error> {
    let (permit, _) =
        permitted(&app.db, &caller, &named, Resource::Repository, Action::List).await?;
    let mut selection = listing.select(&repository::FIELDS)?;
    selection.order = selection.order.or(Some(NEWEST_FIRST));
    let mut reader = app.db.reader().await?;
    let (found, total) = repository::list(&mut reader, permit.project().id, &selection).await?;
    let views: Vec<View> = found.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}
