//! Whether a name or a mail address is taken.

use axum::Json;
use axum::extract::State;
use db::user;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::allowed::Everyone;
use crate::caller::By;
use crate::error::Rendered;
use crate::form::UnreadForm;
use crate::{App, Error};

/// The form of `POST /c/userExists`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct UserExists {
    /// `username` or `email`.
    target: String,
    value: String,
}

/// Says whether a user name or a mail address is taken. Only system administrators are told: nobody registers themselves.
#[utoipa::path(
    post, path = "/c/userExists", operation_id = "userExists", tag = "session",
    request_body(content = UserExists, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Whether it is taken.", body = bool),
        (status = 412, description = "The caller is not told."),
    )
)]
pub(crate) async fn user_exists(
    By(caller): By,
    everyone: Everyone,
    State(app): App,
    form: UnreadForm<UserExists>,
) -> Rendered<bool> {
    if !caller.is_sysadmin() {
        return Err(Error::Precondition("self-registration is off".to_owned()));
    }
    let form = form.read(&everyone).await?;
    let mut reader = app.db.reader().await?;
    let value = &*form.value;
    let taken = match &*form.target {
        "username" => user::by_name(&mut reader, value).await?.is_some(),
        "email" => user::is_email_taken(&mut reader, value, None).await?,
        _ => {
            let message = "target must be username or email";
            return Err(Error::BadRequest(message.to_owned()));
        }
    };
    Ok(Json(taken))
}
