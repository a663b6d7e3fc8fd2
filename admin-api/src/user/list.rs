//! Lists of accounts: all of them for sysadmins, names alone for everyone who is signed in.

use axum::extract::State;
use axum::response::Response;
use db::account::{self, Filter, Order};
use model::AccountId;
use serde::Serialize;

use crate::caller::{By, permit_signed_in, permit_system};
use crate::listing::Listing;
use crate::user::User;
use crate::{App, Error};

/// What a list can be sorted by.
const ORDERS: &[(&str, Order, Order)] = &[
    ("username", Order::Name, Order::NameDescending),
    ("creation_time", Order::Created, Order::CreatedDescending),
    ("update_time", Order::Updated, Order::UpdatedDescending),
    ("user_id", Order::Id, Order::IdDescending),
];

/// `GET /users`: all but the built-in administrator.
pub(crate) async fn list(
    State(app): App,
    By(caller): By,
    mut listing: Listing,
) -> Result<Response, Error> {
    let filter = filter(&mut listing)?;
    let order = listing.query.order(ORDERS);
    permit_system(&caller)?;
    let mut tx = app.db.reader().await?;
    let (accounts, total) = account::list(&mut tx, &filter, order, listing.rows()).await?;
    let users: Vec<User> = accounts.into_iter().map(User::from).collect();
    Ok(listing.answer(&users, total))
}

/// Parameters `username` and `email` hold parts of them; `q` takes precedence.
fn filter(listing: &mut Listing) -> Result<Filter, Error> {
    let name = listing.query.text("username")?;
    let email = listing.query.text("email")?;
    let given_name = listing.params.text("username")?.map(str::to_owned);
    let given_email = listing.params.text("email")?.map(str::to_owned);
    Ok(Filter {
        name_contains: name.contains.or(given_name),
        name: name.is,
        names: name.any_of,
        email_contains: email.contains.or(given_email),
        email: email.is,
        sysadmin: listing.query.flag("sysadmin_flag")?,
        created_within: listing.query.time("creation_time")?,
        with_builtin: false,
    })
}

/// An account as everyone who is signed in may find it.
#[derive(Serialize)]
struct Found {
    user_id: AccountId,
    username: String,
}

/// `GET /users/search`: the shortest names first.
pub(crate) async fn search(
    State(app): App,
    By(caller): By,
    listing: Listing,
) -> Result<Response, Error> {
    let text = listing.params.required("username")?;
    permit_signed_in(&caller)?;
    let mut tx = app.db.reader().await?;
    let (found, total) = account::search(&mut tx, text, listing.rows()).await?;
    let render = |(user_id, username)| Found { user_id, username };
    let found: Vec<Found> = found.into_iter().map(render).collect();
    Ok(listing.answer(&found, total))
}
