//! Whether a name or a mail address is taken.

use axum::extract::State;
use axum::{Extension, Json};
use db::user;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::account::allow;
use crate::allowed::Everyone;
use crate::caller::By;
use crate::error::Rendered;
use crate::form::UnreadForm;
use crate::{App, ClientAddress, Error};

/// The form of `POST /c/userExists`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct UserExists {
    /// `username` or `email`.
    target: String,
    value: String,
}

/// Says whether a user name or a mail address is taken: to system administrators, and while people may register to
/// everyone, 60 times in five minutes per network.
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
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    State(app): App,
    form: UnreadForm<UserExists>,
) -> Rendered<bool> {
    if !caller.is_sysadmin() {
        if !app.settings.current().is_open() {
            return Err(Error::Precondition("self-registration is off".to_owned()));
        }
        allow(&app.identity.allowances().name, address, app.clock.now())?;
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
