//! The token service: `GET /service/token` for docker, `POST` for OAuth2 clients (RFC 6749, section 4.3) and for
//! workloads, which exchange their own token (RFC 8693), and the keys that verify its tokens.

use std::net::IpAddr;
use std::sync::Arc;

use auth::scope::{MOST_SCOPES, Scope, parse_scopes};
use auth::{Error, Place, Sender};
use db::Age;
use http::{HeaderValue, Method, Request, Response, StatusCode, header};
use policy::{Caller, Presented};
use serde_json::json;
use storage::budget::Holder;

use crate::app::App;
use crate::http::answer::{envelope, json as json_answer};
use crate::http::header::authorization;
use crate::http::host::host_of;
use crate::http::peer::Peer;
use crate::http::query;
use crate::http::request_body::{RequestBody, Short};
use crate::http::response_body::Body;
use crate::oci_error::{Challenge, OciError};

/// Maximum size of a form, in bytes.
const LARGEST_FORM: usize = 64 << 10;

/// The grant by which a workload exchanges its token (RFC 8693).
const TOKEN_EXCHANGE: &str = "urn:ietf:params:oauth:grant-type:token-exchange";
/// The type of issued tokens.
const ACCESS_TOKEN: &str = "urn:ietf:params:oauth:token-type:access_token";
const JWT: &str = "urn:ietf:params:oauth:token-type:jwt";
/// The accepted types of a workload's token.
const SUBJECT_TOKENS: [&str; 2] = [JWT, "urn:ietf:params:oauth:token-type:id_token"];

pub(crate) fn jwks(app: &App) -> Response<Body> {
    json_answer(StatusCode::OK, &app.identity.jwks())
}

pub(crate) async fn answer(
    app: &Arc<App>,
    (peer, address): (&Peer, IpAddr),
    request: Request<RequestBody>,
) -> Response<Body> {
    issue(app, (peer, address), request)
        .await
        .unwrap_or_else(OciError::response)
}

async fn issue(
    app: &App,
    (peer, address): (&Peer, IpAddr),
    request: Request<RequestBody>,
) -> Result<Response<Body>, OciError> {
    let (parts, body) = request.into_parts();
    let parameters = match parts.method {
        Method::GET | Method::HEAD => decode_parameters(parts.uri.query().unwrap_or_default()),
        Method::POST => {
            let form = body.collect(form(app, address)).await?;
            decode_parameters(&String::from_utf8_lossy(&form))
        }
        _ => return Err(OciError::Route(crate::route::BadRoute::Method("GET, POST"))),
    };
    let one = |name: &str| {
        parameters
            .iter()
            .find(|(key, _)| key == name)
            .map(|(_, value)| value.as_str())
    };
    let grant = one("grant_type").filter(|_| parts.method == Method::POST);
    let service = one("service").unwrap_or_default();
    // Clients that exchange tokens do not send docker's parameters.
    let is_left_out = service.is_empty() && grant == Some(TOKEN_EXCHANGE);
    if service != auth::token::AUDIENCE && !is_left_out {
        return Err(OciError::bad(
            "UNSUPPORTED",
            format!("Unable to handle service: {service}"),
        ));
    }
    let scopes = parameters
        .iter()
        .filter(|(key, _)| key == "scope")
        .map(|(_, value)| value.as_str());
    let scopes = parse_scopes(scopes);
    let challenge = Challenge {
        host: host_of(&parts.uri, &parts.headers),
        scope: None,
        error: None,
    };
    // A certificate gets no token, which would outlive its revocation: requests that come with it need none.
    if let Some(presented) = &peer.certificate {
        let checked = presented.check(app);
        checked.map_err(|refused| OciError::Certificate(refused, challenge.clone()))?;
    }
    let sender = Sender::of(address, &parts.headers).at(Place::Tools);
    let caller = match grant {
        Some(grant) => by_grant(app, sender, (grant, one)).await?,
        None => match authorization(&parts.headers) {
            Ok(header) => app.identity.caller(header, sender, Age::Now).await,
            Err(error) => Err(error),
        },
    };
    let caller = caller.map_err(|error| OciError::Identity(error, challenge.clone()))?;
    respond(app, &caller, (&scopes, grant), challenge).await
}

/// The limits of a form: it is read before the sender is known.
fn form(app: &App, address: IpAddr) -> Short<'_> {
    Short {
        limit: LARGEST_FORM,
        memory: app.registry.memory().short(),
        holder: Holder::at(address),
        time: app.config.limits.short_body_time(),
    }
}

/// The parameters of a request for a token, decoded. Scopes after the first [`MOST_SCOPES`] are left out.
fn decode_parameters(query: &str) -> Vec<(String, String)> {
    let mut scopes = 0;
    let wanted = query.split('&').filter(|pair| {
        scopes += usize::from(pair.starts_with("scope="));
        !pair.starts_with("scope=") || scopes <= MOST_SCOPES
    });
    query::decoded(wanted.take(query::MOST_PARAMETERS))
}

/// A token for a password or for a workload's token; never for a refresh token, which docker would store.
async fn by_grant<'a>(
    app: &App,
    sender: Sender<'_>,
    (grant, one): (&str, impl Fn(&str) -> Option<&'a str>),
) -> Result<Result<Caller, Error>, OciError> {
    match grant {
        TOKEN_EXCHANGE => {
            let token = subject_token(one)?;
            Ok(app.identity.by_subject_token(token, sender).await)
        }
        "password" => {
            let Some(pair) = one("username").zip(one("password")) else {
                return Err(OciError::bad(
                    "UNSUPPORTED",
                    "grant_type=password needs username and password",
                ));
            };
            Ok(app.identity.by_pair(pair, sender, Age::Now).await)
        }
        _ => Err(OciError::bad(
            "UNSUPPORTED",
            "unsupported_grant_type: use grant_type=password, or GET with Basic",
        )),
    }
}

/// The token to exchange (RFC 8693, section 2.1).
fn subject_token<'a>(one: impl Fn(&str) -> Option<&'a str>) -> Result<&'a str, OciError> {
    let refused = |why| OciError::Grant("invalid_request", why);
    let token = one("subject_token").filter(|token| !token.is_empty());
    let token = token.ok_or_else(|| refused("subject_token is missing"))?;
    if !one("subject_token_type").is_some_and(|kind| SUBJECT_TOKENS.contains(&kind)) {
        return Err(refused(
            "subject_token_type must be urn:ietf:params:oauth:token-type:jwt or :id_token",
        ));
    }
    if one("actor_token").is_some() {
        return Err(refused("actor_token is not supported"));
    }
    match one("requested_token_type") {
        None | Some(ACCESS_TOKEN | JWT) => Ok(token),
        Some(_) => Err(refused(
            "requested_token_type can only be urn:ietf:params:oauth:token-type:access_token",
        )),
    }
}

async fn respond(
    app: &App,
    caller: &Caller,
    (scopes, grant): (&[Scope], Option<&str>),
    challenge: Challenge,
) -> Result<Response<Body>, OciError> {
    if !caller.is_signed_in() && scopes.is_empty() {
        // This makes `docker login` without a user fail.
        let mut response = envelope(
            StatusCode::UNAUTHORIZED,
            "UNAUTHORIZED",
            "authentication required",
        );
        response.headers_mut().insert(
            header::WWW_AUTHENTICATE,
            HeaderValue::from_static("Basic realm=\"gantry\""),
        );
        return Ok(response);
    }
    if caller.presented == Presented::Token && caller.is_signed_in() {
        // A token must not be exchanged for a longer-lived one.
        return Err(OciError::Identity(Error::WrongCredentials, challenge));
    }
    let issued = app.identity.issue(caller, scopes).await;
    let issued = issued.map_err(|error| OciError::Identity(error, challenge))?;
    if caller.is_signed_in() {
        app.identity.record_login(caller);
    }
    let mut body = json!({
        "token": issued.token,
        "access_token": issued.token,
        "expires_in": issued.expires_in,
        "issued_at": issued.issued_at.to_string(),
    });
    if let Some(grant) = grant {
        // RFC 6749, section 5.1; Harbor's GET has none.
        body["scope"] = issued.scope.into();
        if grant == TOKEN_EXCHANGE {
            body["issued_token_type"] = ACCESS_TOKEN.into();
            body["token_type"] = "Bearer".into();
        }
    }
    let mut response = json_answer(StatusCode::OK, &body);
    response
        .headers_mut()
        .insert(header::CACHE_CONTROL, HeaderValue::from_static("no-store"));
    response.extensions_mut().insert(caller.clone());
    Ok(response)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_too_much_is_left_out() {
        let scopes = vec!["scope=registry:catalog:*"; 1_000].join("&");
        let found = decode_parameters(&format!("{scopes}&service=harbor-registry"));
        assert_eq!(found.len(), MOST_SCOPES + 1);
        assert_eq!(found.last().expect("there are some").0, "service");
        let others = vec!["client_id=docker"; 1_000].join("&");
        assert_eq!(decode_parameters(&others).len(), query::MOST_PARAMETERS);
    }
}
