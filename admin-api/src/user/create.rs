//! Creating accounts.

use std::sync::Arc;

use auth::password::check_rule;
use axum::extract::State;
use axum::response::IntoResponse;
use db::account::{self, NewAccount};
use http::header::LOCATION;
use http::{StatusCode, Uri};
use policy::SystemPermit;
use serde::Deserialize;

use crate::caller::{By, permit_system};
use crate::json::{BodyOf, Unread};
use crate::user::{note, profile, refuse_taken_email, taken};
use crate::{AdminState, App, Error};

/// The body of `POST /users`.
#[derive(Default, Deserialize)]
#[serde(default)]
pub(crate) struct CreateUser {
    username: Option<String>,
    password: Option<String>,
    email: Option<String>,
    realname: Option<String>,
    comment: Option<String>,
}

impl BodyOf for CreateUser {
    const NAME: &'static str = "userReq";
}

/// `POST /users`
pub(crate) async fn create(
    State(app): App,
    By(caller): By,
    uri: Uri,
    body: Unread<CreateUser>,
) -> Result<impl IntoResponse, Error> {
    let permit = permit_system(&caller)?;
    let body = body.read(&permit).await?;
    check_lengths(&body)?;
    let new = check(&app, body).await?;
    let id = store(&app, permit, new).await?;
    let location = format!("{}/{id}", uri.path().trim_end_matches('/'));
    Ok((StatusCode::CREATED, [(LOCATION, location)]))
}

/// Validates the schema, before all other rules.
fn check_lengths(body: &CreateUser) -> Result<(), Error> {
    for (field, text) in [("username", &body.username), ("email", &body.email)] {
        if text.as_deref().unwrap_or_default().chars().count() > 255 {
            return Err(Error::Validation(format!(
                "validation failure list:\n{field} in body should be at most 255 chars long"
            )));
        }
    }
    Ok(())
}

async fn check(app: &AdminState, body: CreateUser) -> Result<NewAccount, Error> {
    let password = body.password.unwrap_or_default();
    let name = body.username.unwrap_or_default();
    let email = body.email.unwrap_or_default();
    let realname = body.realname.unwrap_or_default();
    let comment = body.comment.unwrap_or_default();
    check_rule(&password)?;
    profile::check_username(&name)?;
    profile::check_profile(&email, &realname, &comment)?;
    Ok(NewAccount {
        name,
        email: Some(email),
        realname,
        comment,
        password_hash: Some(app.identity.hasher().hash(&password).await?),
        sysadmin: false,
    })
}

async fn store(
    app: &Arc<AdminState>,
    permit: SystemPermit,
    new: NewAccount,
) -> Result<model::AccountId, Error> {
    let now = app.clock.now();
    app.db
        .write(move |tx| {
            Box::pin(async move {
                let email = new.email.as_deref().unwrap_or_default();
                refuse_taken_email(tx, (&new.name, email), None).await?;
                let id = account::create(tx, &new, now)
                    .await
                    .map_err(|error| match error {
                        db::Error::Duplicate(_) => taken(&new.name, email),
                        other => other.into(),
                    })?;
                note(tx, permit.caller(), "create", &new.name, "", now).await?;
                Ok(id)
            })
        })
        .await
}
