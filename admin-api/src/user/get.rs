//! One user.

use axum::Json;
use axum::extract::State;
use policy::{SignedIn, UserPermit};

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::user::{User, find};
use crate::{App, Error};

/// Returns a user.
#[utoipa::path(
    get, path = "/api/v2.0/users/{user_id}", operation_id = "getUser", tag = "user",
    responses((status = 200, description = "The user.", body = User))
)]
pub(crate) async fn get(Granted(permit): Granted<UserPermit>, State(app): App) -> Rendered<User> {
    Ok(Json(find(&app.db, permit.user()).await?.into()))
}

/// Returns the caller's own user; 412 for a robot.
#[utoipa::path(
    get, path = "/api/v2.0/users/current", operation_id = "getCurrentUserInfo", tag = "user",
    responses((status = 200, description = "The user.", body = User))
)]
pub(crate) async fn current(Granted(permit): Granted<SignedIn>, State(app): App) -> Rendered<User> {
    let own = permit.caller().user();
    let own = own.ok_or_else(|| Error::Precondition("the caller is not a user".to_owned()))?;
    Ok(Json(find(&app.db, own).await?.into()))
}
