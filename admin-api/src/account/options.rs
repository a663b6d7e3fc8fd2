//! What people without an account can do here, for the sign-in page.

use axum::Json;
use axum::extract::State;
use serde::Serialize;
use utoipa::ToSchema;

use crate::App;
use crate::allowed::Everyone;
use crate::error::Rendered;

/// What is possible before signing in.
#[derive(Serialize, ToSchema)]
pub(crate) struct AccountOptions {
    /// Whether people may register: `self_registration` is on, and no directory is configured.
    self_registration: bool,
    /// Whether a new account can sign in only once its address is verified.
    address_verified: bool,
    /// Whether a new password can be set by a mailed link: mail is set up, and a mail was sent with these settings.
    password_reset: bool,
}

/// Says what is possible before signing in.
#[utoipa::path(
    get, path = "/api/ext/v1/accounts/options", operation_id = "getAccountOptions", tag = "account",
    responses((status = 200, description = "What is possible.", body = AccountOptions))
)]
pub(crate) async fn options(_: Everyone, State(app): App) -> Rendered<AccountOptions> {
    let settings = app.settings.current();
    let sends_mail = settings.sends_mail();
    Ok(Json(AccountOptions {
        self_registration: settings.is_open(),
        address_verified: sends_mail,
        password_reset: sends_mail && jobs::mail::has_worked(&app.db, &app.settings).await?,
    }))
}
