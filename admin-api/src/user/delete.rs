//! Deleting accounts.

use axum::extract::State;
use db::account;
use model::AccountId;

use crate::caller::{By, permit_system};
use crate::param::UserRef;
use crate::user::{find_in, keep_a_sysadmin, note};
use crate::{App, Error};

/// `DELETE /users/{user_id}`: not oneself, not the built-in administrator, and not the last system administrator.
pub(crate) async fn delete(
    State(app): App,
    UserRef(id): UserRef,
    By(caller): By,
) -> Result<(), Error> {
    let permit = permit_system(&caller)?;
    if id == AccountId::ADMIN || caller.account() == Some(id) {
        return Err(Error::Forbidden(format!(
            "User with ID {id} cannot be deleted"
        )));
    }
    let now = app.clock.now();
    app.db
        .write(move |tx| {
            Box::pin(async move {
                let name = find_in(tx, id).await?.name;
                keep_a_sysadmin(tx, id).await?;
                account::delete(tx, id, now).await?;
                note(tx, permit.caller(), "delete", &name, "", now).await
            })
        })
        .await
}
