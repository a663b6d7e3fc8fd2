//! Signing in with a browser.

use auth::Sender;
use auth::session::SessionKey;
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::Age;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use utoipa::ToSchema;

use crate::allowed::Everyone;
use crate::caller::unidentified;
use crate::csrf::SessionChange;
use crate::form::UnreadForm;
use crate::{App, ClientAddress, Error, cookie};

/// The form of `POST /c/login`.
#[derive(Default, Deserialize, ToSchema)]
#[serde(default)]
pub(crate) struct SignIn {
    principal: String,
    password: String,
}

/// Gives a browser the CSRF token that signing in needs.
#[utoipa::path(
    get, path = "/c/login", operation_id = "prepareLogin", tag = "session",
    responses((status = 200, description = "The token is in `X-Harbor-CSRF-Token`."))
)]
pub(crate) async fn prepare(_: Everyone) {}

/// Signs a browser in, always with a new session. The answer sets the cookie `sid`.
#[utoipa::path(
    post, path = "/c/login", operation_id = "login", tag = "session",
    request_body(content = SignIn, content_type = "application/x-www-form-urlencoded"),
    responses(
        (status = 200, description = "Signed in."),
        (status = 401, description = "Wrong name or password."),
        (status = 412, description = "The password is right, and the mail address is not verified yet."),
    )
)]
pub(crate) async fn sign_in(
    everyone: Everyone,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
    form: UnreadForm<SignIn>,
) -> Result<Response, Error> {
    let form = form.read(&everyone).await?;
    let credentials = (&*form.principal, &*form.password);
    let sender = Sender::of(address, &headers);
    let signed_in = app
        .identity
        .by_password(credentials, sender, Age::Now)
        .await;
    let caller = match signed_in {
        Ok(caller) => caller,
        Err(auth::Error::WrongCredentials) => return Ok(StatusCode::UNAUTHORIZED.into_response()),
        Err(error @ auth::Error::Unverified) => return Err(Error::Precondition(error.to_string())),
        Err(other) => return Err(unidentified(other)),
    };
    let had: Option<SessionKey> =
        cookie::only(&headers, cookie::SESSION).and_then(|key| key.parse().ok());
    let begun = app
        .identity
        .begin_session(&caller, had.as_ref(), sender)
        .await;
    let change = SessionChange::Begun(begun.map_err(unidentified)?);
    Ok((Extension(caller), Extension(change)).into_response())
}
