//! Changing mail address, name and comment of a user.

use axum::Extension;
use axum::extract::State;
use policy::UserPermit;
use serde::Deserialize;
use tenancy::user;
use utoipa::ToSchema;

use crate::account::{Language, allow};
use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::user::find;
use crate::{App, ClientAddress, Error};

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

/// Sets mail address, name and comment. A mail address that another user has is 409 for a system administrator only. If
/// users change their own address, links for a new password still go to the previous one, until the link mailed to the
/// new one was opened.
#[utoipa::path(
    put, path = "/api/v2.0/users/{user_id}", operation_id = "updateUserProfile", tag = "user",
    request_body = Profile,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn update(
    Granted(permit): Granted<UserPermit>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Language(language): Language,
    State(app): App,
    body: Unread<Profile>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let profile = model::Profile::new(
        body.email.unwrap_or_default(),
        body.realname.unwrap_or_default(),
        body.comment.unwrap_or_default(),
    )?;
    let now = app.clock.now();
    let mails = app.settings.current().sends_mail().then_some(language);
    if mails.is_some() && permit.is_own() {
        // This sends a mail to an address that the caller chose.
        let user = find(&app.db, permit.user()).await?;
        if user.verified_email.as_deref() != Some(profile.email()) {
            allow(&app.identity.allowances().mail, address, now)?;
        }
    }
    Ok(user::update_profile(&app.db, &permit, (profile, mails), now).await?)
}
