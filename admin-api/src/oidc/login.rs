//! Starting a sign-in at the provider.

use auth::oidc::is_local_path;
use axum::extract::State;
use axum::response::Response;
use http::Uri;
use http::header::{HOST, SET_COOKIE};
use http::uri::Authority;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::redirect;
use crate::allowed::Everyone;
use crate::input::{Input, in_query};
use crate::param::Params;
use crate::{App, Error, cookie};

/// Says that a browser was sent here from another name.
const SENT: &str = "from_other_host";

/// The path of this server to which a sign-in leads, and the name by which the browser knows the server.
pub(crate) struct RedirectUrl {
    path: String,
    host: Option<String>,
    was_sent: bool,
}

impl RedirectUrl {
    /// Where the sign-in is to begin instead: at the name to which the provider sends browsers back, since they have the
    /// cookie of a sign-in only at the name where it began. Nobody is sent there twice: what stands before the server may
    /// name it otherwise than browsers do.
    fn elsewhere(&self, external_url: &str) -> Option<String> {
        let external: Uri = external_url.parse().ok()?;
        let (own, asked) = (external.host()?, self.host.as_deref()?);
        if self.was_sent || own.eq_ignore_ascii_case(asked) {
            return None;
        }
        let path = utf8_percent_encode(&self.path, NON_ALPHANUMERIC);
        Some(format!(
            "{external_url}/c/oidc/login?redirect_url={path}&{SENT}=true"
        ))
    }
}

/// The name by which a request names the server, without a port.
fn host_of(parts: &http::request::Parts) -> Option<String> {
    let named = parts.headers.get(HOST).and_then(|host| host.to_str().ok());
    let named = named.and_then(|host| host.parse::<Authority>().ok());
    let authority = parts.uri.authority().or(named.as_ref());
    authority.map(|authority| authority.host().to_owned())
}

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
        let path = params.get("redirect_url").unwrap_or("/");
        if !is_local_path(path) {
            return Err(Error::BadRequest(
                "redirect_url must be empty or a path of this server".to_owned(),
            ));
        }
        Ok(Self {
            path: path.to_owned(),
            host: host_of(parts),
            was_sent: params.get(SENT).is_some(),
        })
    }
}

/// Sends the browser to the provider to sign in. It must come back to `/c/oidc/callback` within 10 minutes, with the
/// cookie that this sets; whoever asks at another host than that of `external_url` is sent there first.
#[utoipa::path(
    get, path = "/c/oidc/login", operation_id = "oidcLogin", tag = "session",
    responses(
        (status = 302, description = "To the provider, or to `external_url` first."),
        (status = 412, description = "No provider is configured."),
        (status = 503, description = "The provider does not answer."),
    )
)]
pub(crate) async fn login(
    _: Everyone,
    asked: RedirectUrl,
    State(app): App,
) -> Result<Response, Error> {
    let oidc = app.identity.oidc();
    let provider = oidc.provider()?;
    if let Some(there) = asked.elsewhere(&provider.config().external_url) {
        return Ok(redirect(&there));
    }
    let begun = oidc.begin(&asked.path).await?;
    let mut response = redirect(&begun.location);
    if let Some(cookie) = cookie::begin_sign_in(&begun.state, &begun.cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}
