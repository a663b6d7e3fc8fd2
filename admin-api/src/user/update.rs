//! Changing mail address, name and comment of an account.

use axum::extract::State;
use db::account;
use serde::Deserialize;

use crate::caller::{By, permit_account};
use crate::json::{BodyOf, Unread};
use crate::param::UserRef;
use crate::user::{find_in, note, profile, refuse_taken_email};
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
    let email = body.email.unwrap_or_default();
    let realname = body.realname.unwrap_or_default();
    let comment = body.comment.unwrap_or_default();
    profile::check_profile(&email, &realname, &comment)?;
    let now = app.clock.now();
    app.db
        .write(move |tx| {
            Box::pin(async move {
                let account = find_in(tx, permit.account()).await?;
                let name = account.name;
                if permit.caller().bindings.sysadmin {
                    refuse_taken_email(tx, (&name, &email), Some(account.id)).await?;
                }
                account::set_profile(tx, account.id, (&email, &realname, &comment), now).await?;
                note(tx, permit.caller(), "update", &name, "profile", now).await
            })
        })
        .await
}
