//! Starting a sign-in at the provider.

use auth::oidc::is_local_path;
use axum::extract::State;
use axum::response::Response;
use http::header::SET_COOKIE;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::redirect;
use crate::allowed::Everyone;
use crate::input::{Input, in_query};
use crate::param::Params;
use crate::{App, Error, cookie};

/// The path of this server to which a sign-in leads.
pub(crate) struct RedirectUrl(String);

impl Input for RedirectUrl {
    fn parameters() -> Vec<Parameter> {
        vec![in_query(
            "redirect_url",
            Type::String,
            "The path of this server to which the sign-in leads: `/harbor/projects`. Nothing else is taken.",
        )]
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for RedirectUrl {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Error> {
        let params = Params::parse(parts.uri.query().unwrap_or_default())?;
        match params.get("redirect_url") {
            None => Ok(Self("/".to_owned())),
            Some(path) if is_local_path(path) => Ok(Self(path.to_owned())),
            Some(_) => Err(Error::BadRequest(
                "redirect_url must be empty or a path of this server".to_owned(),
            )),
        }
    }
}

/// Sends the browser to the provider to sign in. It must come back to `/c/oidc/callback` within 10 minutes, with the
/// cookie that this sets.
#[utoipa::path(
    get, path = "/c/oidc/login", operation_id = "oidcLogin", tag = "session",
    responses(
        (status = 302, description = "To the provider."),
        (status = 412, description = "No provider is configured."),
        (status = 503, description = "The provider does not answer."),
    )
)]
pub(crate) async fn login(
    _: Everyone,
    RedirectUrl(path): RedirectUrl,
    State(app): App,
) -> Result<Response, Error> {
    let begun = app.identity.oidc().begin(&path).await?;
    let mut response = redirect(&begun.location);
    if let Some(cookie) = cookie::begin_sign_in(&begun.state, &begun.cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
