//! CLI secrets.

use axum::extract::State;
use policy::UserPermit;
use serde::Deserialize;
use tenancy::password::NewPassword;
use utoipa::ToSchema;

use crate::allowed::Granted;
use crate::json::{BodyOf, Unread};
use crate::{App, Error};

/// The body of `PUT /users/{user_id}/cli_secret`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct OIDCCliSecretReq {
    secret: Option<String>,
}

impl BodyOf for OIDCCliSecretReq {
    const NAME: &'static str = "secret";
}

/// Gives a user of the OIDC provider the CLI secret in the body, or a random one, which `GET /users/current` shows.
/// Registry tokens obtained with the old one are void.
#[utoipa::path(
    put, path = "/api/v2.0/users/{user_id}/cli_secret", operation_id = "setCliSecret", tag = "user",
    request_body = OIDCCliSecretReq,
    responses(
        (status = 200, description = "Changed."),
        (status = 412, description = "The user does not sign in by OIDC, or no provider is configured."),
    )
)]
pub(crate) async fn set(
    Granted(permit): Granted<UserPermit>,
    State(app): App,
    body: Unread<OIDCCliSecretReq>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    let oidc = app.identity.oidc();
    if !oidc.is_configured() {
        return Err(auth::oidc::Error::NotConfigured.into());
    }
    let given = body.secret.filter(|secret| !secret.is_empty());
    let secret = given.map(NewPassword::try_from).transpose()?;
    let now = app.clock.now();
    Ok(oidc.accounts().set_cli_secret(&permit, secret, now).await?)
}
