//! Changing mail address, name and comment of an account.

use axum::extract::State;
use db::account;
use serde::Deserialize;

use crate::caller::{By, permit_account};
use crate::json::{BodyOf, Parsed};
use crate::param::UserRef;
use crate::user::{find_in, note, profile, taken};
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

/// `PUT /users/{user_id}`
pub(crate) async fn update(
    State(app): App,
    UserRef(id): UserRef,
    By(caller): By,
    Parsed(body): Parsed<Profile>,
) -> Result<(), Error> {
    let permit = permit_account(&caller, id)?;
    let email = body.email.unwrap_or_default();
    let realname = body.realname.unwrap_or_default();
    let comment = body.comment.unwrap_or_default();
    profile::check_profile(&email, &realname, &comment)?;
    let now = app.clock.now();
    app.db
        .write(move |tx| {
            Box::pin(async move {
                let name = find_in(tx, id).await?.name;
                account::set_profile(tx, id, (&email, &realname, &comment), now)
                    .await
                    .map_err(|error| taken(&name, &email, error))?;
                note(tx, permit.caller(), "update", &name, "profile", now).await
            })
        })
        .await
}
