//! Changing mail address, name and comment of a user.

use axum::extract::State;
use policy::UserPermit;
use serde::Deserialize;
use tenancy::user;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// The body of `PUT /users/{user_id}`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct Profile {
    email: Option<String>,
    realname: Option<String>,
    comment: Option<String>,
}

impl BodyOf for Profile {
    const NAME: &'static str = "profile";
}

/// Sets mail address, name and comment. A mail address that another user has is 409 for a system administrator only.
#[utoipa::path(
    put, path = "/api/v2.0/users/{user_id}", operation_id = "updateUserProfile", tag = "user",
    request_body = Profile,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    Granted(permit): Granted<UserPermit>,
    State(app): App,
    body: Unread<Profile>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let profile = model::Profile::new(
        body.email.unwrap_or_default(),
        body.realname.unwrap_or_default(),
        body.comment.unwrap_or_default(),
    )?;
    Ok(user::update_profile(&app.db, &permit, profile, app.clock.now()).await?)
}
