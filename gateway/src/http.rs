//! A request from its first header to its last byte: id, address, route, answer, metrics, access log.

pub(crate) mod access_log;
pub(crate) mod request_body;
pub(crate) mod response_body;

use std::convert::Infallible;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::extract::MatchedPath;
use db::audit::NewEntry;
use http::header::{HeaderName, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use hyper::body::Incoming;
use policy::Caller;
use serde::Serialize;
use tower::ServiceExt as _;
use tracing::{Instrument as _, field};

use crate::app::App;
use crate::http::access_log::Finish;
use crate::http::request_body::RequestBody;
use crate::http::response_body::Body;
use crate::route::{self, RouteName};
use crate::telemetry::continue_trace;
use crate::wire::WireState;
use crate::{health, oci, token};

/// The name of the header that carries a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request id that is taken over from a client.
const LONGEST_REQUEST_ID: usize = 128;

/// What a listener serves.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listener {
    /// The registry, its REST API and its token service.
    Public,
    /// Metrics and health.
    Metrics,
    /// A redirect to HTTPS.
    Redirect,
}

/// A connection, as far as its requests need to know it.
#[derive(Clone, Debug)]
pub(crate) struct Peer {
    /// What is going on on the connection.
    pub(crate) wire: Arc<WireState>,
    /// Where it comes from, a PROXY header considered.
    pub(crate) address: IpAddr,
    /// Whether that is a balancer whose X-Forwarded-For is believed.
    pub(crate) trusted: bool,
    /// What it reached.
    pub(crate) listener: Listener,
}

/// Answers a request. Never fails: what goes wrong is an answer.
pub(crate) async fn serve(
    app: Arc<App>,
    peer: Arc<Peer>,
    request: Request<Incoming>,
) -> Result<Response<Body>, Infallible> {
    let began = Instant::now();
    let id = request_id(request.headers());
    let address = client_address(&app, &peer, request.headers());
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
        url.path = uri.path(),
        client.address = %address,
        request.id = ?id,
    );
    if !span.is_disabled() {
        span.record("otel.name", span_name(&method, uri.path()));
        continue_trace(&span, request.headers());
    }
    let request =
        request.map(|body| RequestBody::new(body, app.drain.clone(), app.config.limits.idle_secs));
    let (name, mut response) =
        if header_size(&uri, request.headers()) > app.config.limits.header_bytes {
            (RouteName::Other, large_header(&app))
        } else if has_one_host(version, request.headers()) {
            answer(&app, &peer, address, request)
                .instrument(span.clone())
                .await
        } else {
            (RouteName::Other, bad_host())
        };
    span.record("http.route", name.as_str());
    span.record("http.response.status_code", response.status().as_u16());
    if !wants_body(&method) {
        // HTTP/1.1 leaves a body out by itself, HTTP/2 would send it.
        response = without_body(response);
    }
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, id.clone());
    security_headers(headers, &peer);
    let finish = Finish {
        began,
        method,
        uri,
        version,
        route: name,
        status: response.status(),
        address,
        id,
        app,
        _served: served,
        _span: span,
    };
    Ok(response.map(|body| body.finishing(finish)))
}

async fn answer(
    app: &Arc<App>,
    peer: &Peer,
    address: IpAddr,
    request: Request<RequestBody>,
) -> (RouteName, Response<Body>) {
    match peer.listener {
        Listener::Metrics => Box::pin(health::answer(app, request.uri().path())).await,
        Listener::Redirect => (RouteName::Redirect, redirect(app, &request)),
        Listener::Public if !app.rate.allows(address) => (RouteName::Other, too_many_requests()),
        Listener::Public => public(app, address, request).await,
    }
}

async fn public(
    app: &Arc<App>,
    address: IpAddr,
    request: Request<RequestBody>,
) -> (RouteName, Response<Body>) {
    let path = request.uri().path();
    if path.starts_with("/v2") {
        let decoded = decode(path);
        let (name, route) = route::parse(request.method(), &decoded);
        return (name, oci::answer(app, address, route, request).await);
    }
    let name = RouteName::of(path);
    let response = match name {
        RouteName::Token => Box::pin(token::answer(app, address, request)).await,
        RouteName::Jwks => token::jwks(app),
        RouteName::Health => Box::pin(health::answer(app, path)).await.1,
        RouteName::Api => Box::pin(admin(app, address, request)).await,
        _ => not_found(path),
    };
    (name, response)
}

/// The name of a request's span, which must be there before spans within it are.
fn span_name(method: &Method, path: &str) -> String {
    let name = if path.starts_with("/v2") {
        route::parse(method, &decode(path)).0
    } else {
        RouteName::of(path)
    };
    let verb = method.as_str().to_ascii_lowercase();
    format!("http.{}.{verb}", name.noun())
}

/// The answer to a HEAD: the headers of a GET, its length included.
fn without_body(response: Response<Body>) -> Response<Body> {
    let (mut parts, body) = response.into_parts();
    if let Some(length) = http_body::Body::size_hint(&body)
        .exact()
        .filter(|length| *length > 0)
    {
        parts
            .headers
            .entry(header::CONTENT_LENGTH)
            .or_insert_with(|| length.into());
    }
    Response::from_parts(parts, Body::empty())
}

/// Hands a request to the REST API.
async fn admin(app: &Arc<App>, address: IpAddr, request: Request<RequestBody>) -> Response<Body> {
    let mut request = request.map(axum::body::Body::new);
    request
        .extensions_mut()
        .insert(admin_api::ClientAddress(address));
    match app.admin.clone().oneshot(request).await {
        Ok(response) => {
            note_refusal(app, &response);
            response.map(Body::boxed)
        }
        Err(never) => match never {},
    }
}

/// What a signed-in caller was refused by the REST API is noted in the audit log.
fn note_refusal(app: &App, response: &Response<axum::body::Body>) {
    let caller = response.extensions().get::<Caller>();
    let Some(caller) = caller.filter(|caller| caller.account().is_some()) else {
        return;
    };
    if response.status() != StatusCode::FORBIDDEN {
        return;
    }
    let route = response.extensions().get::<MatchedPath>();
    app.audit.record(NewEntry {
        at: app.clock.now(),
        account: caller.account(),
        account_name: caller.name().to_owned(),
        address: caller.address.to_string(),
        operation: "refuse",
        resource_type: "api",
        resource: route.map_or("", MatchedPath::as_str).to_owned(),
        project: None,
        success: false,
        times: 1,
        detail: String::new(),
    });
}

/// Percent-encoding is undone once; names and digests allow no `%`, so that nothing hides in a second
/// layer.
fn decode(path: &str) -> std::borrow::Cow<'_, str> {
    percent_encoding::percent_decode_str(path).decode_utf8_lossy()
}

/// Bytes of a request's target and header fields. The buffer of a connection bounds them too, but it is
/// larger: bodies are read through it.
fn header_size(uri: &http::Uri, headers: &HeaderMap) -> usize {
    let target = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let fields = headers.iter();
    target
        + fields
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum::<usize>()
}

fn large_header(app: &App) -> Response<Body> {
    let limit = app.config.limits.header_bytes;
    envelope(
        StatusCode::REQUEST_HEADER_FIELDS_TOO_LARGE,
        "BAD_REQUEST",
        &format!("the request's header has more than {limit} bytes ([limits] header_bytes)"),
    )
}

/// A request names the host that it is meant for, once (RFC 9112, section 3.2).
fn has_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(is_host),
        // HTTP/2 has it in the `:authority` of the URI.
        (None, _) => version != Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// Whether a text can be a host and port.
pub(crate) fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    !text.is_empty() && text.bytes().all(plain)
}

fn bad_host() -> Response<Body> {
    envelope(
        StatusCode::BAD_REQUEST,
        "BAD_REQUEST",
        "the request must name its host in one Host header",
    )
}

fn request_id(headers: &HeaderMap) -> HeaderValue {
    let usable = |value: &&HeaderValue| {
        (1..=LONGEST_REQUEST_ID).contains(&value.len())
            && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    match headers.get(REQUEST_ID).filter(usable) {
        Some(value) => value.clone(),
        None => HeaderValue::from_str(&next_request_id())
            .unwrap_or_else(|_| HeaderValue::from_static("none")),
    }
}

/// Ids need to be different, not secret: the process's random part and a count.
fn next_request_id() -> String {
    static PROCESS: LazyLock<String> = LazyLock::new(auth::random_hex::<8>);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}{:016x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// The address that a request comes from: the last one in X-Forwarded-For that is no trusted balancer.
fn client_address(app: &App, peer: &Peer, headers: &HeaderMap) -> IpAddr {
    if !peer.trusted {
        return peer.address;
    }
    let forwarded = headers
        .get_all("x-forwarded-for")
        .iter()
        .filter_map(|value| value.to_str().ok());
    let mut hops: Vec<IpAddr> = forwarded
        .flat_map(|value| value.split(','))
        .filter_map(|hop| hop.trim().parse().ok())
        .collect();
    while let Some(hop) = hops.pop() {
        if !app.trusts(hop) {
            return hop;
        }
    }
    peer.address
}

fn security_headers(headers: &mut HeaderMap, peer: &Peer) {
    if peer.listener != Listener::Public {
        return;
    }
    headers.insert(
        header::STRICT_TRANSPORT_SECURITY,
        HeaderValue::from_static("max-age=31536000"),
    );
    headers.insert(
        header::X_CONTENT_TYPE_OPTIONS,
        HeaderValue::from_static("nosniff"),
    );
    headers.insert(header::X_FRAME_OPTIONS, HeaderValue::from_static("DENY"));
    headers.insert(
        header::CONTENT_SECURITY_POLICY,
        HeaderValue::from_static("frame-ancestors 'none'"),
    );
}

fn redirect(app: &App, request: &Request<RequestBody>) -> Response<Body> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    let host = authority.as_ref().map_or("localhost", Authority::host);
    let port = app.config.server.listen.port();
    let port = if port == 443 {
        String::new()
    } else {
        format!(":{port}")
    };
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let location = HeaderValue::from_str(&format!("https://{host}{port}{path}"));
    let mut response = Response::new(Body::empty());
    match location {
        Ok(location) => {
            *response.status_mut() = StatusCode::PERMANENT_REDIRECT;
            response.headers_mut().insert(header::LOCATION, location);
        }
        Err(_) => *response.status_mut() = StatusCode::BAD_REQUEST,
    }
    response
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

/// An answer with one error in the envelope that registries and Harbor share.
pub(crate) fn envelope(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    let body = serde_json::json!({ "errors": [{ "code": code, "message": message }] });
    json(status, &body)
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Only a map without text for keys could not be written.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(
        header::CONTENT_TYPE,
        HeaderValue::from_static("application/json; charset=utf-8"),
    );
    response
}

/// Whether a request's method asks for a body in return.
pub(crate) fn wants_body(method: &Method) -> bool {
    method != Method::HEAD
}

#[cfg(test)]
mod tests {
    use super::*;

    fn size_of_returned<A, B, C, R>(_: impl Fn(A, B, C) -> R) -> usize {
        size_of::<R>()
    }

    /// It is moved several times for each request: what a pull rarely needs is boxed, such as the 15 KB of a
    /// statement's.
    #[test]
    fn the_future_of_a_request_is_small() {
        let size = size_of_returned(serve);
        assert!(size <= 6_144, "{size} bytes");
    }
}
