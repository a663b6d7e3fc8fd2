//! Deleting accounts.

use axum::extract::State;
use tenancy::account;

use crate::caller::{By, permit_system};
use crate::param::UserRef;
use crate::{App, Error};

/// `DELETE /users/{user_id}`: not oneself, not the built-in administrator, and not the last system administrator.
pub(crate) async fn delete(
    State(app): App,
    UserRef(id): UserRef,
    By(caller): By,
) -> Result<(), Error> {
    let permit = permit_system(&caller)?;
    Ok(account::delete(&app.db, &permit, id, app.clock.now()).await?)
}
