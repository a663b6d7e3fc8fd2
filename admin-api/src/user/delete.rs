//! Deleting users.

use axum::extract::State;
use policy::{SystemPermit, system, to};
use tenancy::user;

use crate::allowed::Granted;
use crate::param::UserRef;
use crate::{App, Error};

/// Deletes a user, but not the caller, the built-in administrator or the last system administrator.
#[utoipa::path(
    delete, path = "/api/v2.0/users/{user_id}", operation_id = "deleteUser", tag = "user",
    responses((status = 200, description = "Deleted."))
)]
pub(crate) async fn delete(
    UserRef(id): UserRef,
    Granted(permit): Granted<SystemPermit<(system::User, to::Delete)>>,
    State(app): App,
) -> Result<(), Error> {
    Ok(user::delete(&app.db, &permit, id, app.clock.now()).await?)
}
