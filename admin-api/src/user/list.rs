//! Lists of accounts: all fields for system administrators, only names for other signed-in callers.

use axum::extract::State;
use axum::response::Response;
use db::account::{self, Account, Scope};
use db::list::{Selection, Test};
use model::AccountId;
use serde::Serialize;

use crate::caller::{By, permit_signed_in, permit_system};
use crate::listing::Listing;
use crate::user::User;
use crate::{App, Error};

/// `GET /users`: all except the built-in administrator.
pub(crate) async fn list(
    State(app): App,
    By(caller): By,
    mut listing: Listing,
) -> Result<Response, Error> {
    let selection = select(&mut listing)?;
    permit_system(&caller)?;
    let mut reader = app.db.reader().await?;
    let (accounts, total) = account::list(&mut reader, Scope::Made, &selection).await?;
    let users: Vec<User> = accounts.into_iter().map(User::from).collect();
    Ok(listing.answer(&users, total))
}

/// The parameters `username` and `email` match substrings; `q` takes precedence.
fn select(listing: &mut Listing) -> Result<Selection, Error> {
    let mut selection = listing.select(&account::FIELDS)?;
    for field in [account::NAME, account::EMAIL] {
        let part = listing.params.text(field.name)?.map(str::to_owned);
        selection = selection.or(field, part.map(Test::Contains));
    }
    Ok(selection)
}

/// An account in the search for signed-in callers.
#[derive(Serialize)]
struct Found {
    user_id: AccountId,
    username: String,
}

/// `GET /users/search`: shortest names first.
pub(crate) async fn search(
    State(app): App,
    By(caller): By,
    listing: Listing,
) -> Result<Response, Error> {
    let text = listing.params.required("username")?;
    permit_signed_in(&caller)?;
    let mut reader = app.db.reader().await?;
    let (found, total) = account::search(&mut reader, text, listing.rows()).await?;
    let render = |account: Account| Found {
        user_id: account.id,
        username: account.name,
    };
    let found: Vec<Found> = found.into_iter().map(render).collect();
    Ok(listing.answer(&found, total))
}
