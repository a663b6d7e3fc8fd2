//! Changing passwords: one's own with the old one, those of others as a system administrator.

use std::net::IpAddr;

use auth::identity;
use axum::Extension;
use axum::extract::State;
use db::Age;
use db::account::Account;
use serde::Deserialize;
use tenancy::account;
use tenancy::password::NewPassword;

use crate::caller::{By, permit_account, unidentified};
use crate::json::{BodyOf, Unread};
use crate::param::UserRef;
use crate::user::find;
use crate::{AdminState, App, ClientAddress, Error};

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

/// `PUT /users/{user_id}/password`: revokes all existing tokens.
pub(crate) async fn set(
    State(app): App,
    UserRef(id): UserRef,
    By(caller): By,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    body: Unread<Passwords>,
) -> Result<(), Error> {
    let permit = permit_account(&caller, id)?;
    let body = body.read(&permit).await?;
    let new = NewPassword::try_from(body.new_password.unwrap_or_default())?;
    let account = find(&app.db, permit.account()).await?;
    let same = if permit.is_own() {
        let old = body.old_password.unwrap_or_default();
        check_old(&app, address, &account, &old).await?;
        old == new.expose()
    } else {
        let stored = account.password_hash.as_deref();
        app.identity.hasher().verify(new.expose(), stored).await?
    };
    if same {
        return Err(Error::BadRequest(
            "New password is identical to old password".to_owned(),
        ));
    }
    let (hasher, now) = (app.identity.hasher(), app.clock.now());
    Ok(account::set_password(&app.db, hasher, &permit, &new, now).await?)
}

/// A wrong old password counts as a failed login, so that this route cannot be used to guess passwords.
async fn check_old(
    app: &AdminState,
    address: IpAddr,
    account: &Account,
    old: &str,
) -> Result<(), Error> {
    let credentials = (account.name.as_str(), old);
    match app
        .identity
        .by_password(credentials, address, Age::Now)
        .await
    {
        Ok(_) => Ok(()),
        Err(identity::Error::WrongCredentials) => {
            Err(Error::Forbidden("Current password is incorrect".to_owned()))
        }
        Err(other) => Err(unidentified(other)),
    }
}
