//! Changing mail address, name and comment of an account.

use axum::extract::State;
use serde::Deserialize;
use tenancy::account;

use crate::caller::{By, permit_account};
use crate::json::{BodyOf, Unread};
use crate::param::UserRef;
use crate::{App, Error};

/// The body of `PUT /users/{user_id}`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct Profile {
    email: Option<String>,
    realname: Option<String>,
    comment: Option<String>,
}

impl BodyOf for Profile {
    const NAME: &'static str = "profile";
}

/// `PUT /users/{user_id}`: two accounts can share a mail address only if one of them sets it itself.
pub(crate) async fn update(
    State(app): App,
    UserRef(id): UserRef,
    By(caller): By,
    body: Unread<Profile>,
) -> Result<(), Error> {
    let permit = permit_account(&caller, id)?;
    let body = body.read(&permit).await?;
    let profile = model::Profile::new(
        body.email.unwrap_or_default(),
        body.realname.unwrap_or_default(),
        body.comment.unwrap_or_default(),
    )?;
    Ok(account::update_profile(&app.db, &permit, profile, app.clock.now()).await?)
}
