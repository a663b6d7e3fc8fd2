//! A request from its first header to its last byte: ID, address, route, answer, metrics, access log.

mod redirect;
mod rest;

use model::Principal;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Instant;

use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, Version, header};
use policy::Caller;
use registry::memory::PATIENCE;
use storage::budget::Holder;
use tracing::{Instrument as _, field};

use crate::access_log::shortened;
use crate::app::App;
use crate::http::answer::{envelope, wants_body, without_body};
use crate::http::date;
use crate::http::finish::Finish;
use crate::http::header::{MOST_FIELDS, header_size, security_headers};
use crate::http::host::has_one_host;
use crate::http::peer::{Listener, Peer};
use crate::http::request_body::RequestBody;
use crate::http::request_id::{REQUEST_ID, request_id};
use crate::http::response_body::Body;
use crate::oci_error::OciError;
use crate::route::{self, RouteName, span_name};
use crate::telemetry::continue_trace;
use crate::{challenge, health, oci, token, ui};

/// Answers a request. Never fails: errors are answers too.
pub(crate) async fn serve(
    app: Arc<App>,
    peer: Arc<Peer>,
    request: Request<RequestBody>,
) -> Response<Body> {
    let began = Instant::now();
    let id = request_id(request.headers());
    let address = peer.client(&app, request.headers());
    let (method, uri) = (request.method().clone(), request.uri().clone());
    let version = request.version();
    let served = peer.wire.serving();
    let span = tracing::debug_span!(
        "http.request",
        otel.name = field::Empty,
        otel.kind = "server",
        http.request.method = %method,
        http.route = field::Empty,
        http.response.status_code = field::Empty,
        url.path = shortened(uri.path()),
        client.address = %address,
        request.id = ?id,
    );
    if !span.is_disabled() {
        span.record("otel.name", span_name(&method, uri.path()));
        continue_trace(&span, request.headers());
    }
    // From here on a request that its client cancels is logged: dropping this future drops it.
    let mut finish = Finish {
        began,
        method,
        uri,
        version,
        route: RouteName::Other,
        template: None,
        status: None,
        address,
        principal: None,
        statements: 0,
        id,
        app: app.clone(),
        _served: served,
        span,
    };
    let (name, mut response) = if is_large(&app, &finish.uri, request.headers()) {
        drop(request);
        (RouteName::Other, large_header(&app))
    } else if has_one_host(version, request.headers()) {
        answer(&app, &peer, address, request)
            .instrument(finish.span.clone())
            .await
    } else {
        drop(request);
        (RouteName::Other, bad_host())
    };
    finish.route = name;
    if !wants_body(&finish.method) {
        // The HTTP/1.1 library leaves the body out, the HTTP/2 one would send it.
        response = without_body(response);
    }
    let bytes = response.body().memory(version);
    if bytes > 0 {
        response = match peer.free.place(bytes) {
            Some(place) => response.map(|body| body.holding(place)),
            None => Box::pin(with_memory(&app, address, bytes, response)).await,
        };
    }
    // It is complete, and holds its own memory.
    response.extensions_mut().remove::<admin_api::HeldRoom>();
    finish.template = response.extensions().get().cloned();
    let statements = response.extensions().get::<admin_api::Statements>();
    finish.statements = statements.map_or(0, |statements| statements.0);
    finish.answered(response.status());
    finish.principal = response.extensions().get().and_then(principal_name);
    let closes = version < Version::HTTP_2 && peer.wire.ends_with(response.status());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, finish.id.clone());
    security_headers(headers, peer.listener);
    if closes {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if version == Version::HTTP_2 {
        // For HTTP/1.1 the library does this.
        headers.insert(header::DATE, date::header_value(app.clock.now()));
    }
    response.map(|body| body.finishing(finish))
}

/// An answer that uses memory until it is read, with its reserved memory.
async fn with_memory(
    app: &App,
    address: IpAddr,
    bytes: usize,
    response: Response<Body>,
) -> Response<Body> {
    let memory = app.registry.memory().bulk();
    match memory.take(Holder::at(address), bytes, PATIENCE).await {
        Ok(place) => response.map(|body| body.holding(place)),
        Err(_) => OciError::Registry(registry::Error::Busy).response(),
    }
}

async fn answer(
    app: &Arc<App>,
    peer: &Peer,
    address: IpAddr,
    request: Request<RequestBody>,
) -> (RouteName, Response<Body>) {
    match peer.listener {
        Listener::Metrics => Box::pin(health::answer(app, request.uri().path())).await,
        Listener::Redirect => match challenge::token(app, request.uri().path()) {
            // The database is asked for anybody.
            Some(_) if !app.rate.allows(address) => (RouteName::Redirect, too_many_requests()),
            Some(token) => (
                RouteName::Redirect,
                Box::pin(challenge::answer(app, token)).await,
            ),
            None => (RouteName::Redirect, redirect::answer(app, &request)),
        },
        Listener::Public if !app.rate.allows(address) => (RouteName::Other, too_many_requests()),
        Listener::Public => public(app, peer, address, request).await,
    }
}

async fn public(
    app: &Arc<App>,
    peer: &Peer,
    address: IpAddr,
    request: Request<RequestBody>,
) -> (RouteName, Response<Body>) {
    let path = route::normal(request.uri().path());
    if path.starts_with("/v2") {
        let (name, route) = route::parse(request.method(), &path);
        drop(path);
        return (
            name,
            oci::answer(app, (peer, address), route, request).await,
        );
    }
    if let Some(token) = challenge::token(app, &path) {
        return (
            RouteName::Other,
            Box::pin(challenge::answer(app, token)).await,
        );
    }
    let name = RouteName::of(&path);
    let response = match name {
        RouteName::Token => {
            drop(path);
            Box::pin(token::answer(app, (peer, address), request)).await
        }
        RouteName::Jwks => token::jwks(app),
        RouteName::Health => Box::pin(health::answer(app, &path)).await.1,
        RouteName::Api => {
            drop(path);
            Box::pin(rest::answer(app, address, request)).await
        }
        RouteName::Ui => ui::answer(&path, &request),
        _ => not_found(&path),
    };
    (name, response)
}

/// The name of a request's caller, for the access log.
fn principal_name(caller: &Caller) -> Option<Arc<str>> {
    match caller.principal() {
        Principal::User { name, .. }
        | Principal::Robot { name, .. }
        | Principal::Workload { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// Whether a request's header is over the limit. Over HTTP/1.1 the library counts the fields itself.
fn is_large(app: &App, uri: &http::Uri, headers: &HeaderMap) -> bool {
    headers.len() > MOST_FIELDS || header_size(uri, headers) > app.config.limits.header_bytes
}

fn large_header(app: &App) -> Response<Body> {
    let limit = app.config.limits.header_bytes;
    envelope(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "BAD_REQUEST",
        &format!(
            "the request's header has more than {limit} bytes ([limits] header_bytes) or {MOST_FIELDS} fields"
        ),
    )
}

fn bad_host() -> Response<Body> {
    envelope(
        StatusCode::BAD_REQUEST,
        "BAD_REQUEST",
        "the request must name its host in one Host header",
    )
}

fn not_found(path: &str) -> Response<Body> {
    envelope(
        StatusCode::NOT_FOUND,
        "NOT_FOUND",
        &format!("path {path} was not found"),
    )
}

fn too_many_requests() -> Response<Body> {
    let mut response = envelope(
        StatusCode::TOO_MANY_REQUESTS,
        "TOOMANYREQUESTS",
        "too many requests from this address: try again in a second",
    );
    response
        .headers_mut()
        .insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_returned<A, B, C, R>(_: impl Fn(A, B, C) -> R) -> usize {
        size_of::<R>()
    }

    /// It is moved several times per request, so parts that a pull rarely needs are boxed, such as the 15 KB of a
    /// statement's future.
    #[test]
    fn the_future_of_a_request_is_small() {
        let size = size_of_returned(serve);
        assert!(size <= 6_144, "{size} bytes");
    }
}
