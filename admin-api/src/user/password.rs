//! Changing passwords: one's own with the old one, those of others as a sysadmin.

use std::sync::Arc;

use auth::password::check_rule;
use axum::extract::State;
use db::account::{self, Account};
use policy::SystemPermit;
use serde::Deserialize;

use crate::caller::{By, permit_account};
use crate::json::{BodyOf, Parsed};
use crate::param::UserRef;
use crate::user::{find, find_in, note};
use crate::{AdminState, App, Error};

/// The body of `PUT /users/{user_id}/password`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Passwords {
    old_password: Option<String>,
    new_password: Option<String>,
}

impl BodyOf for Passwords {
    const NAME: &'static str = "password";
}

/// `PUT /users/{user_id}/password`: tokens that were issued before are void from now on.
pub(crate) async fn set(
    State(app): App,
    UserRef(id): UserRef,
    By(caller): By,
    Parsed(body): Parsed<Passwords>,
) -> Result<(), Error> {
    let permit = permit_account(&caller, id)?;
    let account = find(&app.db, id).await?;
    if caller.account() == Some(id) {
        let old = body.old_password.unwrap_or_default();
        check_old(&app, &account, &old).await?;
    }
    let new = body.new_password.unwrap_or_default();
    check_new(&app, &account, &new).await?;
    let hash = app.identity.hasher().hash(&new).await?;
    store(&app, permit, account, hash).await
}

async fn check_old(app: &AdminState, account: &Account, old: &str) -> Result<(), Error> {
    if is_password(app, account, old).await? {
        return Ok(());
    }
    Err(Error::Forbidden("Current password is incorrect".to_owned()))
}

async fn check_new(app: &AdminState, account: &Account, new: &str) -> Result<(), Error> {
    check_rule(new)?;
    if is_password(app, account, new).await? {
        return Err(Error::BadRequest(
            "New password is identical to old password".to_owned(),
        ));
    }
    Ok(())
}

async fn is_password(app: &AdminState, account: &Account, text: &str) -> Result<bool, Error> {
    let stored = account.password_hash.as_deref();
    Ok(app.identity.hasher().verify(text, stored).await?)
}

async fn store(
    app: &Arc<AdminState>,
    permit: SystemPermit,
    account: Account,
    hash: String,
) -> Result<(), Error> {
    let now = app.clock.now();
    app.db
        .write(move |tx| {
            Box::pin(async move {
                let name = find_in(tx, account.id).await?.name;
                account::set_password(tx, account.id, &hash, now).await?;
                note(tx, permit.caller(), "update", &name, "password", now).await
            })
        })
        .await
}
