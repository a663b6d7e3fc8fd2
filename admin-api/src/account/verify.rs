//! Verifying the mail address of a newly registered account, or a new address of an account.

use auth::Sender;
use axum::Extension;
use axum::extract::State;
use http::HeaderMap;
use serde::Deserialize;
use tenancy::mailed_link::{self, LinkToken, Shown};
use utoipa::ToSchema;

use crate::account::{allow, check_current};
use crate::allowed::Everyone;
use crate::json::{BodyOf, Unread};
use crate::{App, ClientAddress, Error};

/// The body of `POST /users/verify`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct Verify {
    /// What follows `#` in the link.
    token: Option<String>,
    /// The password of the account, if it can sign in already.
    password: Option<String>,
}

impl BodyOf for Verify {
    const NAME: &'static str = "verify";
}

/// Verifies the mail address of an account by the link that was mailed to it. A new account can then sign in. For an
/// account with an earlier address, links for a new password then go to the new one, and its password is needed too:
/// 412 without it, and a wrong one counts as a failed login. The link works once, for 24 hours; after that a new
/// account is removed. 400 for a link that no longer works.
#[utoipa::path(
    post, path = "/api/ext/v1/users/verify", operation_id = "verifyUser", tag = "account",
    request_body = Verify,
    responses(
        (status = 200, description = "Verified."),
        (status = 412, description = "The password of the account is needed."),
    )
)]
pub(crate) async fn verify(
    everyone: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
    body: Unread<Verify>,
) -> Result<(), Error> {
    let (_, body) = body.read(&app, everyone).await?;
    let now = app.clock.now();
    allow(&app.identity.allowances().link, address, now)?;
    let token: LinkToken = body.token.unwrap_or_default().parse()?;
    let shown = match mailed_link::needs_password(&app.db, &token, now).await? {
        None => Shown::Link,
        Some(name) => {
            let password = body.password.filter(|password| !password.is_empty());
            let password = password.ok_or(tenancy::Error::LinkNeedsPassword)?;
            check_current(&app, address, (&name, &password)).await?;
            Shown::LinkAndPassword
        }
    };
    let client = app.identity.client(Sender::of(address, &headers));
    Ok(mailed_link::verify(&app.db, (&token, shown), client, now).await?)
}
