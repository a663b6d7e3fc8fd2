//! Changing passwords: your own with the old one, those of others as a system administrator.

use auth::session::SessionKey;
use axum::Extension;
use axum::extract::State;
use policy::UserPermit;
use serde::Deserialize;
use tenancy::password::NewPassword;
use tenancy::user;
use utoipa::ToSchema;

use crate::account::check_current;
use crate::allowed::Granted;
use crate::csrf::SessionChange;
use crate::json::{BodyOf, Unread};
use crate::user::find;
use crate::{App, ClientAddress, Error};

/// The body of `PUT /users/{user_id}/password`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct Passwords {
    old_password: Option<String>,
    new_password: Option<String>,
}

impl BodyOf for Passwords {
    const NAME: &'static str = "password";
}

/// Sets a password: your own with the old one, that of another user as a system administrator. A wrong old password
/// counts as a failed login. Tokens issued before are revoked, and other sessions end.
#[utoipa::path(
    put, path = "/api/v2.0/users/{user_id}/password", operation_id = "updateUserPassword", tag = "user",
    request_body = Passwords,
    responses((status = 200, description = "Changed."))
)]
pub(crate) async fn set(
    Granted(permit): Granted<UserPermit>,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    State(app): App,
    body: Unread<Passwords>,
) -> Result<(Option<Extension<SessionChange>>, ()), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let new = NewPassword::try_from(body.new_password.unwrap_or_default())?;
    let user = find(&app.db, permit.user()).await?;
    let same = if permit.is_own() {
        let old = body.old_password.unwrap_or_default();
        check_current(&app, address, (&user.name, &old)).await?;
        old == new.expose()
    } else {
        let stored = user.password_hash.as_deref();
        app.identity.hasher().verify(new.expose(), stored).await?
    };
    if same {
        return Err(Error::BadRequest(
            "New password is identical to old password".to_owned(),
        ));
    }
    let (hasher, now) = (app.identity.hasher(), app.clock.now());
    // The session in which users change their own password continues, with a new key.
    let key = SessionKey::random();
    let change = (&new, Some(key.hash()));
    let goes_on = user::set_password(&app.db, hasher, &permit, change, now).await?;
    Ok((goes_on.then_some(Extension(SessionChange::Begun(key))), ()))
}
