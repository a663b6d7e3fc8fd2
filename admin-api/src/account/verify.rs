//! Verifying the mail address of an account that somebody made for themselves.

use axum::Extension;
use axum::extract::State;
use serde::Deserialize;
use tenancy::mailed_link::{self, LinkToken};
use utoipa::ToSchema;

use crate::account::allow;
use crate::allowed::Everyone;
use crate::json::{BodyOf, Unread};
use crate::{App, ClientAddress, Error};

/// The body of `POST /users/verify`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct Verify {
    /// What follows `#` in the link.
    token: Option<String>,
}

impl BodyOf for Verify {
    const NAME: &'static str = "verify";
}

/// Verifies the mail address of a new account by the link that was mailed to it: from then on the account signs in. The link
/// works once, for 24 hours; then the account is removed. 400 for a link that does not work any more.
#[utoipa::path(
    post, path = "/api/ext/v1/users/verify", operation_id = "verifyUser", tag = "account",
    request_body = Verify,
    responses((status = 200, description = "Verified."))
)]
pub(crate) async fn verify(
    everyone: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    State(app): App,
    body: Unread<Verify>,
) -> Result<(), Error> {
    let (_, body) = body.read(&app, everyone).await?;
    let now = app.clock.now();
    allow(&app.identity.allowances().link, address, now)?;
    let token: LinkToken = body.token.unwrap_or_default().parse()?;
    Ok(mailed_link::verify(&app.db, &token, address, now).await?)
}
