//! Choosing a name for a new account.

use auth::Sender;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::SET_COOKIE;
use model::UserName;
use serde::Deserialize;
use utoipa::ToSchema;

use crate::allowed::Everyone;
use crate::caller::unidentified;
use crate::csrf::SessionChange;
use crate::json::{BodyOf, Unread};
use crate::{App, ClientAddress, Error, cookie};

/// The body of `POST /c/oidc/onboard`.
#[derive(Default, Deserialize, ToSchema)]
pub(crate) struct Onboarding {
    username: Option<String>,
}

impl BodyOf for Onboarding {
    const NAME: &'static str = "onboarding";
}

/// Makes an account with a free name for a person who has just signed in at the provider and has none, and begins a
/// session. Must be called within 10 minutes, with the cookie that the callback set; after a refusal another name can
/// be tried.
#[utoipa::path(
    post, path = "/c/oidc/onboard", operation_id = "oidcOnboard", tag = "session",
    request_body = Onboarding,
    responses(
        (status = 200, description = "Signed in."),
        (status = 400, description = "The name is none, or the sign-in has expired."),
        (status = 409, description = "The name belongs to another account."),
        (status = 412, description = "No provider is configured."),
    )
)]
pub(crate) async fn onboard(
    everyone: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
    body: Unread<Onboarding>,
) -> Result<Response, Error> {
    let (_, body) = body.read(&app, everyone).await?;
    let oidc = app.identity.oidc();
    oidc.provider()?;
    let ticket = cookie::only(&headers, cookie::ONBOARDING).ok_or(auth::oidc::Error::State)?;
    let name: UserName = body.username.unwrap_or_default().parse()?;
    let sender = Sender::of(address, &headers);
    let by = app.identity.anonymous(sender).origin();
    let signed_in = oidc.onboard(ticket, &name, by).await?;
    let had = cookie::only(&headers, cookie::SESSION).and_then(|key| key.parse().ok());
    let begun = app
        .identity
        .begin_session_of_provider(signed_in, had.as_ref(), sender)
        .await;
    let (caller, key) = begun.map_err(unidentified)?;
    let change = Extension(SessionChange::Begun(key));
    let mut response = (Extension(caller), change).into_response();
    if let Some(cookie) = cookie::end(cookie::ONBOARDING) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
