//! One account.

use axum::Json;
use axum::extract::State;

use crate::App;
use crate::caller::{By, permit_account, permit_signed_in};
use crate::error::Rendered;
use crate::param::UserRef;
use crate::user::{User, find};

/// `GET /users/{user_id}`
pub(crate) async fn get(State(app): App, UserRef(id): UserRef, By(caller): By) -> Rendered<User> {
    let permit = permit_account(&caller, id)?;
    Ok(Json(find(&app.db, permit.account()).await?.into()))
}

/// `GET /users/current`
pub(crate) async fn current(State(app): App, By(caller): By) -> Rendered<User> {
    let permit = permit_signed_in(&caller)?;
    Ok(Json(find(&app.db, permit.account()).await?.into()))
}
