//! Signing out: also at the provider, and by the provider.

use auth::Sender;
use auth::session::{Renewal, SessionKey};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::CACHE_CONTROL;
use serde::Deserialize;
use utoipa::ToSchema;

use super::redirect;
use crate::allowed::Everyone;
use crate::caller::unidentified;
use crate::csrf::SessionChange;
use crate::form::UnreadForm;
use crate::{App, ClientAddress, Error, cookie};

/// Ends the browser's session, and sends it to the provider to sign out there too if the setting `oidc_logout` is on
/// and the session began there; otherwise to the sign-in page.
#[utoipa::path(
    get, path = "/c/oidc/logout", operation_id = "oidcLogout", tag = "session",
    responses(
        (status = 302, description = "Signed out here."),
        (status = 412, description = "No provider is configured."),
    )
)]
pub(crate) async fn logout(
    _: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
) -> Result<Response, Error> {
    let oidc = app.identity.oidc();
    oidc.provider()?;
    let key: Option<SessionKey> =
        cookie::only(&headers, cookie::SESSION).and_then(|key| key.parse().ok());
    let mut location = "/account/sign-in".to_owned();
    if let Some(key) = key {
        let caller = app
            .identity
            .by_session(&key, Sender::of(address, &headers), Renewal::Leave)
            .await;
        let caller = caller.map_err(unidentified)?;
        if let Some(id) = caller.session() {
            let id_token = oidc.id_token(&caller, &key.hash()).await?;
            // First: whoever closes the page while the provider is asked is signed out all the same.
            let ended = app.identity.end_session(&caller, id).await;
            ended.map_err(unidentified)?;
            if let Some(id_token) = id_token {
                location = oidc.after_sign_out(&id_token).await;
            }
        }
    }
    let change = Extension(SessionChange::Ended);
    Ok((change, redirect(&location)).into_response())
}

/// The form of a back-channel logout.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct BackChannel {
    logout_token: String,
}

/// Accepts a logout token of the provider (OpenID Connect Back-Channel Logout), once, and ends the sessions that it
/// names.
#[utoipa::path(
    post, path = "/api/ext/v1/oidc/backchannel_logout", operation_id = "oidcBackChannelLogout", tag = "session",
    request_body(content = BackChannel, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "The sessions have ended."),
        (status = 400, description = "The token is not the provider's, or was used."),
        (status = 412, description = "No provider is configured."),
        (status = 503, description = "The provider's keys cannot be read."),
    )
)]
pub(crate) async fn back_channel(
    everyone: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
    form: UnreadForm<BackChannel>,
) -> Result<impl IntoResponse, Error> {
    let form = form.read(&everyone).await?;
    let by = app
        .identity
        .anonymous(Sender::of(address, &headers))
        .origin();
    let oidc = app.identity.oidc();
    oidc.end_by_provider(&form.logout_token, by).await?;
    Ok([(CACHE_CONTROL, "no-store")])
}
