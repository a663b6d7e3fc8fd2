//! Signing out with a browser.

use auth::Sender;
use auth::session::{Renewal, SessionKey};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use axum::{Extension, Json};
use http::{HeaderMap, StatusCode};
use serde::Serialize;
use utoipa::ToSchema;

use crate::allowed::Everyone;
use crate::caller::unidentified;
use crate::csrf::SessionChange;
use crate::{App, ClientAddress, Error, cookie};

/// Where to sign out instead.
#[derive(Serialize, ToSchema)]
struct Elsewhere {
    redirect_location: String,
}

/// Ends the browser's session, if it has one. For a session that began at the OIDC provider, the answer leads to
/// `/c/oidc/logout`, which ends it.
#[utoipa::path(
    get, path = "/c/log_out", operation_id = "logOut", tag = "session",
    responses(
        (status = 200, description = "Signed out."),
        (status = 403, description = "To be ended where the answer leads.", body = Elsewhere),
    )
)]
pub(crate) async fn sign_out(
    _: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
) -> Result<Response, Error> {
    // Whatever other credentials the request has, this browser's session ends.
    let key: Option<SessionKey> =
        cookie::only(&headers, cookie::SESSION).and_then(|key| key.parse().ok());
    if let Some(key) = key {
        let sender = Sender::of(address, &headers);
        let caller = app.identity.by_session(&key, sender, Renewal::Leave).await;
        let caller = caller.map_err(unidentified)?;
        let oidc = app.identity.oidc();
        if let Some(id) = caller.session() {
            if let Ok(provider) = oidc.provider()
                && oidc.is_session_of_provider(&key.hash()).await?
            {
                let url = &provider.config().external_url;
                let redirect_location = format!("{url}/c/oidc/logout");
                let body = Json(Elsewhere { redirect_location });
                return Ok((StatusCode::FORBIDDEN, body).into_response());
            }
            let ended = app.identity.end_session(&caller, id).await;
            ended.map_err(unidentified)?;
        }
    }
    Ok(Extension(SessionChange::Ended).into_response())
}
