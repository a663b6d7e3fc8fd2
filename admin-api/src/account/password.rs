//! Setting a new password by a mailed link.

use auth::Sender;
use axum::Extension;
use axum::extract::State;
use http::{HeaderMap, StatusCode};
use model::is_email;
use serde::Deserialize;
use tenancy::mailed_link::LinkToken;
use tenancy::password::NewPassword;
use tenancy::{account_mail, mailed_link};
use utoipa::ToSchema;

use crate::account::{Language, allow};
use crate::allowed::Everyone;
use crate::json::{BodyOf, Unread};
use crate::{App, ClientAddress, Error};

/// The body of `POST /password/forgot`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct Forgot {
    /// The address of the account.
    email: Option<String>,
}

impl BodyOf for Forgot {
    const NAME: &'static str = "forgot";
}

/// Mails a link for setting a new password to an address, if an account has it: the answer is the same, and takes as
/// long, if none has. The link works once, for 30 minutes. In 15 minutes an account gets at most three, and a network
/// may ask ten times. 412 if mail is not set up.
#[utoipa::path(
    post, path = "/api/ext/v1/password/forgot", operation_id = "forgotPassword", tag = "account",
    request_body = Forgot,
    responses((status = 202, description = "A mail is sent if an account has the address."))
)]
pub(crate) async fn forgot(
    everyone: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    Language(language): Language,
    State(app): App,
    body: Unread<Forgot>,
) -> Result<StatusCode, Error> {
    let (_, body) = body.read(&app, everyone).await?;
    if !app.settings.current().sends_mail() {
        return Err(Error::Precondition(
            "no mails are sent here: a system administrator sets smtp_host, smtp_from and external_url".to_owned(),
        ));
    }
    let email = body.email.unwrap_or_default();
    if !is_email(&email) {
        return Err(Error::BadRequest(
            "email: this is no mail address".to_owned(),
        ));
    }
    let now = app.clock.now();
    allow(&app.identity.allowances().mail, address, now)?;
    account_mail::forgot_password(&app.db, (email, address, language), now).await?;
    Ok(StatusCode::ACCEPTED)
}

/// The body of `POST /password/reset`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct Reset {
    /// What follows `#` in the link.
    token: Option<String>,
    new_password: Option<String>,
}

impl BodyOf for Reset {
    const NAME: &'static str = "reset";
}

/// Sets a new password by a mailed link. All sessions of the account end, existing tokens are void, and its address is
/// verified. 400 for a link that no longer works.
#[utoipa::path(
    post, path = "/api/ext/v1/password/reset", operation_id = "resetPassword", tag = "account",
    request_body = Reset,
    responses((status = 200, description = "Set."))
)]
pub(crate) async fn reset(
    everyone: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
    body: Unread<Reset>,
) -> Result<(), Error> {
    let (_, body) = body.read(&app, everyone).await?;
    let now = app.clock.now();
    allow(&app.identity.allowances().link, address, now)?;
    let token: LinkToken = body.token.unwrap_or_default().parse()?;
    let password = NewPassword::try_from(body.new_password.unwrap_or_default())?;
    let (hasher, change) = (app.identity.hasher(), (&token, &password));
    let from = (address, app.identity.client(Sender::of(address, &headers)));
    Ok(mailed_link::reset_password(&app.db, hasher, change, from, now).await?)
}
