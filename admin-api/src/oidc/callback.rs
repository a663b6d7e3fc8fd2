//! The callback from the provider.

use auth::Sender;
use auth::oidc::{Callback, Outcome};
use axum::Extension;
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::HeaderMap;
use http::header::{ACCEPT, SET_COOKIE};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::redirect;
use crate::allowed::Everyone;
use crate::caller::unidentified;
use crate::csrf::SessionChange;
use crate::input::{Input, in_query};
use crate::param::Params;
use crate::{App, ClientAddress, Error, account, cookie};

/// The parameters of the provider's redirect.
pub(crate) struct Answer(Params);

impl Input for Answer {
    fn parameters() -> Vec<Parameter> {
        [
            ("state", "What belongs to the cookie of the sign-in."),
            ("code", "For which the provider gives tokens."),
            ("iss", "The provider's issuer (RFC 9207)."),
            ("error", "Why nobody is signed in."),
        ]
        .map(|(name, description)| in_query(name, Type::String, description))
        .into()
    }
}

impl<S: Send + Sync> axum::extract::FromRequestParts<S> for Answer {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut http::request::Parts, _: &S) -> Result<Self, Error> {
        Params::parse(parts.uri.query().unwrap_or_default()).map(Self)
    }
}

/// Signs in a browser that comes back from the provider, always with a new session, or sends it on to choose a name.
#[utoipa::path(
    get, path = "/c/oidc/callback", operation_id = "oidcCallback", tag = "session",
    responses(
        (status = 302, description = "To where the sign-in leads, or to the page for choosing a name."),
        (status = 400, description = "The sign-in is not this browser's, was used, took too long, or is refused by the provider."),
        (status = 403, description = "The account was changed or deleted meanwhile."),
        (status = 409, description = "The name belongs to another account."),
        (status = 412, description = "No provider is configured."),
        (status = 429, description = "The network came back too often. Retry-After says when to try again."),
        (status = 503, description = "The provider does not answer."),
    )
)]
pub(crate) async fn callback(
    _: Everyone,
    Answer(answer): Answer,
    Extension(ClientAddress(address)): Extension<ClientAddress>,
    headers: HeaderMap,
    State(app): App,
) -> Result<Response, Error> {
    let (now, sender) = (app.clock.now(), Sender::of(address, &headers));
    account::allow(&app.identity.allowances().callback, address, now)?;
    let cookie = cookie::sign_in(answer.get("state").unwrap_or_default());
    let callback = Callback {
        cookie: cookie::only(&headers, &cookie),
        state: answer.get("state"),
        code: answer.get("code"),
        issuer: answer.get("iss"),
        error: answer.get("error"),
    };
    let by = app.identity.anonymous(sender).origin();
    let outcome = match app.identity.oidc().finish(callback, by).await {
        Ok(outcome) => outcome,
        Err(error) => {
            app.identity.record_refused_sign_in(&error, sender);
            return refused(error, &headers);
        }
    };
    let mut response = match outcome {
        Outcome::SignedIn(signed_in, path) => {
            let had = cookie::only(&headers, cookie::SESSION).and_then(|key| key.parse().ok());
            let begun = app
                .identity
                .begin_session_of_provider(signed_in, had.as_ref(), sender)
                .await;
            let (caller, key) = begun.map_err(unidentified)?;
            let change = Extension(SessionChange::Begun(key));
            (Extension(caller), change, redirect(&path)).into_response()
        }
        Outcome::Unknown {
            ticket,
            suggestion,
            path,
        } => {
            let escaped = |text: &str| utf8_percent_encode(text, NON_ALPHANUMERIC).to_string();
            let mut response = redirect(&format!(
                "/oidc-onboard?username={}&redirect_url={}",
                escaped(&suggestion),
                escaped(&path)
            ));
            if let Some(cookie) = cookie::begin_onboarding(ticket.expose()) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
    };
    if let Some(cookie) = cookie::end(&cookie) {
        response.headers_mut().append(SET_COOKIE, cookie);
    }
    Ok(response)
}

/// The refusal of a sign-in: a browser, which shows a page instead of JSON, is sent to the page with a word that the
/// page knows.
fn refused(error: auth::oidc::Error, headers: &HeaderMap) -> Result<Response, Error> {
    use auth::oidc::Error as E;
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    if !accepted.is_some_and(|accept| accept.contains("text/html")) {
        return Err(error.into());
    }
    let cause = error.chain();
    tracing::info!(cause, "a sign-in by OIDC is refused");
    let word = match &error {
        E::State => "expired",
        E::Refused(_) => "refused",
        E::Account(tenancy::Error::NameTaken(_)) => "taken",
        E::Account(tenancy::Error::NameInvalid(_)) => "name",
        E::Unreachable(_) | E::Busy | E::Down | E::Database(_) => "down",
        E::NotConfigured
        | E::Settings(_)
        | E::Protocol(_)
        | E::Client(_)
        | E::Token(_)
        | E::Ended(_)
        | E::Account(_) => "broken",
    };
    Ok(redirect(&format!("/ui/login?oidc={word}")))
}
