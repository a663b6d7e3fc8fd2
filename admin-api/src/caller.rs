//! The caller of a request. `auth` checks credentials; this module turns its refusals into this API's errors. What
//! callers may do is in `allowed`.

use std::sync::{Arc, OnceLock};

use auth::session::{Renewal, SessionKey};
use auth::{Place, Sender};
use axum::extract::{FromRequestParts, MatchedPath};
use db::Age;
use http::Method;
use http::header::AUTHORIZATION;
use http::request::Parts;
use policy::Caller;

use crate::input::Input;
use crate::{AdminState, ClientAddress, Error, cookie};

/// Where most operations are.
const BASE: &str = "/api/v2.0";

/// The caller of a request. As in Harbor, wrong credentials do not end a request: it continues as anonymous.
pub(crate) struct By(pub(crate) Caller);

impl FromRequestParts<Arc<AdminState>> for By {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let asked = parts.extensions.get::<Asked>();
        if let Some(caller) = asked.and_then(Asked::get) {
            return Ok(Self(caller));
        }
        let ClientAddress(address) = *parts.extensions.get().ok_or(Error::NoAddress)?;
        let sender = Sender::of(address, &parts.headers).at(place(parts));
        let caller = match (basic(parts), session(parts)) {
            (Some(header), _) => identify(app, header, sender).await?,
            // Whatever the token is, the request is not the session's: it needed no CSRF token.
            (None, _) if bearer(parts).is_some() => {
                by_id_token(app, bearer(parts).unwrap_or_default(), sender).await?
            }
            (None, Some(key)) => by_session(app, &key, (sender, renewal(parts))).await?,
            (None, None) => app.identity.anonymous(sender),
        };
        if let Some(asked) = asked {
            asked.set(&caller);
        }
        Ok(Self(caller))
    }
}

impl Input for By {}

/// The caller of a request, once it is known: for other extractors, and for the response.
#[derive(Clone, Default)]
pub(crate) struct Asked(Arc<OnceLock<Caller>>);

impl Asked {
    fn set(&self, caller: &Caller) {
        // It is asked for once only.
        let _ = self.0.set(caller.clone());
    }

    /// The caller, if the handler extracted it.
    pub(crate) fn get(&self) -> Option<Caller> {
        self.0.get().cloned()
    }
}

/// The `Authorization` header, if it holds a name and a password.
fn basic(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, _) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("basic").then_some(header)
}

/// The token in the `Authorization` header, which may be an ID token of the OIDC provider.
fn bearer(parts: &Parts) -> Option<&str> {
    let header = parts.headers.get(AUTHORIZATION)?.to_str().ok()?;
    let (scheme, token) = header.split_once(' ')?;
    scheme.eq_ignore_ascii_case("bearer").then(|| token.trim())
}

/// The caller of an ID token; a token of somebody else, such as a registry token, makes nobody of the caller.
async fn by_id_token(app: &AdminState, token: &str, sender: Sender<'_>) -> Result<Caller, Error> {
    use auth::oidc::Error as E;
    match app.identity.by_id_token(token, sender).await {
        Ok(Some(caller)) => Ok(caller),
        Ok(None)
        | Err(
            auth::Error::Void | auth::Error::Provider(E::Token(_) | E::Ended(_) | E::NotConfigured),
        ) => Ok(app.identity.anonymous(sender)),
        Err(other) => Err(unidentified(other)),
    }
}

/// The key of the browser's session.
fn session(parts: &Parts) -> Option<SessionKey> {
    cookie::only(&parts.headers, cookie::SESSION)?.parse().ok()
}

/// The operations for which tools may use a CLI secret, besides the registry's own, as in Harbor.
fn place(parts: &Parts) -> Place {
    let path = parts.extensions.get::<MatchedPath>();
    let path = path.map(MatchedPath::as_str).unwrap_or_default();
    let is_listed = match parts.method {
        Method::GET => {
            ["/api/version", "/systeminfo", "/projects", "/labels"]
                .iter()
                .any(|end| path == *end || path.strip_prefix(BASE) == Some(end))
                || path.ends_with("/repositories")
                || path.ends_with("/artifacts")
        }
        Method::POST => path.strip_prefix(BASE) == Some("/projects"),
        Method::DELETE => path.ends_with("/tags/{tag_name}"),
        _ => false,
    };
    match is_listed {
        true => Place::Tools,
        false => Place::Elsewhere,
    }
}

/// A page that polls does not keep its session alive.
fn renewal(parts: &Parts) -> Renewal {
    match parts.headers.contains_key("x-harbor-no-session-renewal") {
        true => Renewal::Leave,
        false => Renewal::Slide,
    }
}

async fn by_session(
    app: &AdminState,
    key: &SessionKey,
    (sender, renewal): (Sender<'_>, Renewal),
) -> Result<Caller, Error> {
    let caller = app.identity.by_session(key, sender, renewal).await;
    caller.map_err(unidentified)
}

async fn identify(app: &AdminState, header: &str, sender: Sender<'_>) -> Result<Caller, Error> {
    match app.identity.caller(Some(header), sender, Age::Now).await {
        Ok(caller) => Ok(caller),
        Err(
            auth::Error::Malformed
            | auth::Error::WrongCredentials
            | auth::Error::SubjectToken
            | auth::Error::Unverified
            | auth::Error::RobotDisabled
            | auth::Error::RobotExpired
            | auth::Error::Token(_)
            | auth::Error::Void,
        ) => Ok(app.identity.anonymous(sender)),
        Err(other) => Err(unidentified(other)),
    }
}

/// The error if the caller could not be identified.
pub(crate) fn unidentified(error: auth::Error) -> Error {
    match error {
        auth::Error::Throttled { retry_after } => Error::Throttled { retry_after },
        auth::Error::Database(error) => error.into(),
        auth::Error::Password(error) => Error::Password(error),
        auth::Error::Provider(error) => error.into(),
        // The causes are not shown to people who sign in.
        auth::Error::Directory(error) => Error::Directory(error.to_string()),
        auth::Error::NotAdmitted(tenancy::Error::Database(error)) => error.into(),
        auth::Error::NotAdmitted(_) | auth::Error::Ended(_) => Error::Forbidden(error.to_string()),
        auth::Error::Malformed
        | auth::Error::WrongCredentials
        | auth::Error::SubjectToken
        | auth::Error::Unverified
        | auth::Error::RobotDisabled
        | auth::Error::RobotExpired
        | auth::Error::Token(_)
        | auth::Error::Void
        // Nothing is issued here.
        | auth::Error::Issue(_) => Error::NotSignedIn,
    }
}
