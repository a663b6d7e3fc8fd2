//! Keeps pages of other sites from acting with a browser's session: requests that change something need a token, which
//! only pages of this server can read. Requests below `/api` without a session cookie, or with an `Authorization` header,
//! are not of a session, and need none; but a browser also sends a remembered Basic password by itself, so those that it
//! says come from another site are refused. [`auth::csrf`] makes the tokens.

use auth::csrf::Csrf;
use auth::session::SessionKey;
use axum::extract::{Request, State};
use axum::middleware::Next;
use axum::response::{IntoResponse, Response};
use http::header::{AUTHORIZATION, HOST, ORIGIN, SET_COOKIE};
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};

use crate::{App, Error, cookie};

/// Carries the token, in requests and responses.
const TOKEN: HeaderName = HeaderName::from_static("x-harbor-csrf-token");

/// A change of the browser's session by a handler; in the extensions of its response.
#[derive(Clone, Debug)]
pub(crate) enum SessionChange {
    /// The session has this key from now on.
    Begun(SessionKey),
    /// The session has ended.
    Ended,
}

/// Refuses requests that need a token and have none. Every response to a browser carries a new token, so that it can
/// retry.
pub(crate) async fn guard(State(app): App, request: Request, next: Next) -> Response {
    if is_by_credentials(&request) {
        let own = app.settings.current().external_url.clone();
        let mut response = match is_of_other_site(&request, &own) {
            true => {
                Error::Forbidden("the request comes from another site".to_owned()).into_response()
            }
            false => next.run(request).await,
        };
        if response.status() == StatusCode::FORBIDDEN {
            // Clients of Harbor, such as Terraform's provider, take a refusal without a token for one that wants a token,
            // and hide its reason. Without a cookie it is good for nothing.
            let token = app.csrf.token(&Csrf::cookie(), None);
            add(
                response.headers_mut(),
                TOKEN,
                HeaderValue::try_from(token).ok(),
            );
        }
        return response;
    }
    let Some(browser) = Browser::of(&request) else {
        return next.run(request).await;
    };
    let checked = browser.check(&app.csrf, &request);
    let mut response = match checked {
        Ok(()) => next.run(request).await,
        Err(error) => error.into_response(),
    };
    browser.answer(&app.csrf, &mut response);
    response
}

/// Whether a request below `/api` has credentials of its own.
fn is_by_credentials(request: &Request) -> bool {
    let header = request.headers().get(AUTHORIZATION);
    let header = header.and_then(|header| header.to_str().ok());
    let scheme = header.and_then(|header| Some(header.split_once(' ')?.0));
    let is_known = |scheme: &str| {
        scheme.eq_ignore_ascii_case("basic") || scheme.eq_ignore_ascii_case("bearer")
    };
    scheme.is_some_and(is_known) && !request.uri().path().starts_with("/c/")
}

/// Whether a browser says that a page of another site makes a request that changes something. `own` is where people
/// reach this server.
fn is_of_other_site(request: &Request, own: &str) -> bool {
    if request.method().is_safe() {
        return false;
    }
    if let Some(site) = request.headers().get("sec-fetch-site") {
        return site == "cross-site" || site == "same-site";
    }
    // Browsers that do not say that say at least where the page is from.
    let Some(origin) = request.headers().get(ORIGIN) else {
        return false;
    };
    let origin = origin.to_str().unwrap_or_default();
    let host = request
        .headers()
        .get(HOST)
        .and_then(|host| host.to_str().ok());
    let host = host.or(request.uri().authority().map(http::uri::Authority::as_str));
    let at = origin.split_once("://").map(|(_, at)| at);
    let is_own =
        at.is_some() && at == host || origin == own.trim_end_matches('/') && !own.is_empty();
    !is_own
}

/// A client whose session, or whose attempt to get one, other sites could abuse.
struct Browser {
    cookie: Option<String>,
    session: Option<String>,
}

impl Browser {
    fn of(request: &Request) -> Option<Self> {
        let headers = request.headers();
        let guarded =
            cookie::is_sent(headers, cookie::SESSION) || request.uri().path().starts_with("/c/");
        guarded.then(|| Self {
            cookie: cookie::only(headers, cookie::CSRF).map(str::to_owned),
            session: cookie::only(headers, cookie::SESSION).map(str::to_owned),
        })
    }

    fn check(&self, csrf: &Csrf, request: &Request) -> Result<(), Error> {
        if request.method().is_safe() {
            return Ok(());
        }
        let refused = |message: &str| Error::Forbidden(message.to_owned());
        let token = request.headers().get(TOKEN);
        let (Some(token), Some(cookie)) = (token, &self.cookie) else {
            return Err(refused("CSRF token not found in request"));
        };
        let token = token.to_str().unwrap_or_default();
        if csrf.is_valid(token, cookie, self.session.as_deref()) {
            return Ok(());
        }
        Err(refused("CSRF token invalid"))
    }

    /// Adds a new token, and the cookies that changed.
    fn answer(self, csrf: &Csrf, response: &mut Response) {
        let change = response.extensions_mut().remove();
        let (session, changed) = match change {
            None => (self.session, None),
            Some(SessionChange::Ended) => (None, cookie::end_session()),
            Some(SessionChange::Begun(key)) => {
                let changed = cookie::begin_session(key.expose());
                (Some(key.expose().to_owned()), changed)
            }
        };
        let (value, new) = match self.cookie {
            Some(value) => (value, None),
            None => {
                let value = Csrf::cookie();
                let new = cookie::csrf(&value);
                (value, new)
            }
        };
        let headers = response.headers_mut();
        add(headers, SET_COOKIE, changed);
        add(headers, SET_COOKIE, new);
        let token = csrf.token(&value, session.as_deref());
        add(headers, TOKEN, HeaderValue::try_from(token).ok());
    }
}

fn add(headers: &mut HeaderMap, name: HeaderName, value: Option<HeaderValue>) {
    if let Some(value) = value {
        headers.append(name, value);
    }
}
