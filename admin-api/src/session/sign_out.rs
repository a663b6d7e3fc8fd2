//! Signing out with a browser.

use auth::session::Renewal;
use axum::Extension;
use axum::extract::State;
use http::HeaderMap;

use crate::allowed::Everyone;
use crate::caller::unidentified;
use crate::csrf::SessionChange;
use crate::{App, ClientAddress, Error, cookie};

/// Ends the browser's session, if it has one.
#[utoipa::path(
    get, path = "/c/log_out", operation_id = "logOut", tag = "session",
    responses((status = 200, description = "Signed out."))
)]
pub(crate) async fn sign_out(
    _: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
) -> Result<Extension<SessionChange>, Error> {
    // Whoever else the request names, it is this browser's session that ends.
    let key = cookie::only(&headers, cookie::SESSION).and_then(|key| key.parse().ok());
    if let Some(key) = key {
        let caller = app.identity.by_session(&key, address, Renewal::Leave).await;
        let caller = caller.map_err(unidentified)?;
        if let Some(id) = caller.session() {
            let ended = app.identity.end_session(&caller, id).await;
            ended.map_err(unidentified)?;
        }
    }
    Ok(Extension(SessionChange::Ended))
}
