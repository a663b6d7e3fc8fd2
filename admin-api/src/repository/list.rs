//! A project's repositories.

use axum::extract::State;
use axum::response::Response;
use db::repository::{self, Filter, Order};
use policy::{Action, Resource};

use crate::caller::By;
use crate::listing::Listing;
use crate::param::ProjectByName;
use crate::project::permitted;
use crate::repository::View;
use crate::{App, Error};

/// What a list can be sorted by.
const ORDERS: &[(&str, Order, Order)] = &[
    ("name", Order::Name, Order::NameDescending),
    ("creation_time", Order::Created, Order::CreatedDescending),
    ("update_time", Order::Updated, Order::UpdatedDescending),
];

/// `GET /projects/{project_name}/repositories`: those that were made last come first.
pub(crate) async fn list(
    State(app): App,
    ProjectByName(named): ProjectByName,
    By(caller): By,
    mut listing: Listing,
) -> Result<Response, Error> {
    let (permit, _) =
        permitted(&app.db, &caller, &named, Resource::Repository, Action::List).await?;
    let name = listing.query.text("name")?;
    let filter = Filter {
        name_contains: name.contains,
        name: name.is,
        names: name.any_of,
    };
    let order = match listing.params.get("sort") {
        None => Order::CreatedDescending,
        Some(_) => listing.query.order(ORDERS),
    };
    let mut tx = app.db.reader().await?;
    let project = permit.project().id;
    let (found, total) = repository::list(&mut tx, project, &filter, order, listing.rows()).await?;
    let views: Vec<View> = found.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}
