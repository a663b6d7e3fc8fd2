//! Signing out with a browser.

use axum::Extension;
use axum::extract::State;

use crate::allowed::Everyone;
use crate::caller::{By, unidentified};
use crate::csrf::SessionChange;
use crate::{App, Error};

/// Ends the browser's session, if it has one.
#[utoipa::path(
    get, path = "/c/log_out", operation_id = "logOut", tag = "session",
    responses((status = 200, description = "Signed out."))
)]
pub(crate) async fn sign_out(
    By(caller): By,
    _: Everyone,
    State(app): App,
) -> Result<Extension<SessionChange>, Error> {
    if let Some(id) = caller.session() {
        let ended = app.identity.end_session(&caller, id).await;
        ended.map_err(unidentified)?;
    }
    Ok(Extension(SessionChange::Ended))
}
