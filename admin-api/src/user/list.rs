//! Lists of users: all fields for system administrators, only names for other signed-in callers.

use axum::extract::State;
use axum::response::Response;
use db::list::{Selection, Test};
use db::user::{self, Scope};
use model::UserId;
use policy::{SignedIn, SystemPermit, system, to};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::listing::Listing;
use crate::param::{Named, Required};
use crate::user::User;
use crate::{App, Error};

/// Lists all users except the built-in administrator.
#[utoipa::path(
    get, path = "/api/v2.0/users", operation_id = "listUsers", tag = "user",
    params(
        ("username" = Option<String>, Query, description = "Part of the name."),
        ("email" = Option<String>, Query, description = "Part of the mail address."),
    ),
    responses((status = 200, description = "A page of users.", body = Vec<User>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    Granted(_): Granted<SystemPermit<(system::User, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    let selection = select(&mut listing)?;
    let mut reader = app.db.reader().await?;
    let (users, total) = user::list(&mut reader, Scope::Made, &selection).await?;
    let users: Vec<User> = users.into_iter().map(User::from).collect();
    Ok(listing.answer(&users, total))
}

/// The parameters `username` and `email` match substrings; `q` takes precedence.
fn select(listing: &mut Listing) -> Result<Selection, Error> {
    let mut selection = listing.select(&user::FIELDS)?;
    for field in [user::NAME, user::EMAIL] {
        let part = listing.params.text(field.name)?.map(str::to_owned);
        selection = selection.or(field, part.map(Test::Contains));
    }
    Ok(selection)
}

/// A user in the search for signed-in callers.
#[derive(Serialize, ToSchema)]
pub(crate) struct Found {
    #[schema(value_type = i64)]
    user_id: UserId,
    username: String,
}

/// `username`, in a search.
pub(crate) enum UserName {}

impl Named for UserName {
    const NAME: &'static str = "username";
    const DESCRIPTION: &'static str = "Part of the name.";
}

/// Finds users by a part of their name, shortest names first.
#[utoipa::path(
    get, path = "/api/v2.0/users/search", operation_id = "searchUsers", tag = "user",
    responses((status = 200, description = "A page of names.", body = Vec<Found>))
)]
pub(crate) async fn search(
    listing: Listing,
    part: Required<UserName>,
    Granted(_): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let mut reader = app.db.reader().await?;
    let (found, total) = user::search(&mut reader, &part.text, listing.rows()).await?;
    let render = |user: user::User| Found {
        user_id: user.id,
        username: user.name,
    };
    let found: Vec<Found> = found.into_iter().map(render).collect();
    Ok(listing.answer(&found, total))
}
