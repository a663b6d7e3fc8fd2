//! A request from its first header to its last byte: id, address, route, answer, metrics, access log.

pub(crate) mod access_log;
mod date;
mod forwarded;
pub(crate) mod request_body;
pub(crate) mod response_body;

use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Instant;

use axum::extract::MatchedPath;
use bytes::Bytes;
use http::header::{HeaderName, HeaderValue};
use http::uri::Authority;
use http::{HeaderMap, Method, Request, Response, StatusCode, Version, header};
use model::{Event, Operation, Principal, Subject, Timestamp};
use policy::Caller;
use registry::memory::PATIENCE;
use serde::Serialize;
use storage::budget::Holder;
use tower::ServiceExt as _;
use tracing::{Instrument as _, field};

use crate::app::App;
use crate::http::access_log::Finish;
use crate::http::request_body::{RequestBody, Short};
use crate::http::response_body::{Body, Free};
use crate::oci_error::OciError;
use crate::route::{self, RouteName};
use crate::telemetry::continue_trace;
use crate::wire::WireState;
use crate::{health, oci, token};

/// The name of the header that carries a request's id.
const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// The type of JSON answers.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");
/// Header fields of a request: each takes memory beside its bytes, which HTTP/2 can make a single one.
pub(crate) const MOST_FIELDS: usize = 100;
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
    /// What its small answers may take.
    pub(crate) free: Free,
    /// Whether that is a balancer whose X-Forwarded-For is believed.
    pub(crate) trusted: bool,
    /// What it reached.
    pub(crate) listener: Listener,
}

impl Peer {
    /// The address that a request comes from.
    pub(crate) fn client(&self, app: &App, headers: &HeaderMap) -> IpAddr {
        if self.trusted {
            forwarded::client_address(self.address, headers, |address| app.trusts(address))
        } else {
            self.address
        }
    }
}

/// Answers a request. Never fails: what goes wrong is an answer.
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
        url.path = access_log::shortened(uri.path()),
        client.address = %address,
        request.id = ?id,
    );
    if !span.is_disabled() {
        span.record("otel.name", span_name(&method, uri.path()));
        continue_trace(&span, request.headers());
    }
    // From here on a request that its client gives up leaves a trace: what drops this future drops it.
    let mut finish = Finish {
        began,
        method,
        uri,
        version,
        route: RouteName::Other,
        status: None,
        address,
        account: None,
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
        // HTTP/1.1 leaves a body out by itself, HTTP/2 would send it.
        response = without_body(response);
    }
    let bytes = response.body().memory(version);
    if bytes > 0 {
        response = match peer.free.place(bytes) {
            Some(place) => response.map(|body| body.holding(place)),
            None => Box::pin(with_memory(&app, address, bytes, response)).await,
        };
    }
    finish.answered(response.status());
    finish.account = response.extensions().get().and_then(account_name);
    let closes = version < Version::HTTP_2 && peer.wire.ends_with(response.status());
    let headers = response.headers_mut();
    headers.insert(REQUEST_ID, finish.id.clone());
    security_headers(headers, peer.listener);
    if closes {
        headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    }
    if version == Version::HTTP_2 {
        // For HTTP/1.1 the library does it.
        headers.insert(header::DATE, date::header_value(app.clock.now()));
    }
    response.map(|body| body.finishing(finish))
}

/// An answer that takes memory until it is read, with a place for it.
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
    let path = route::normal(request.uri().path());
    if path.starts_with("/v2") {
        let (name, route) = route::parse(request.method(), &path);
        drop(path);
        return (name, oci::answer(app, address, route, request).await);
    }
    let name = RouteName::of(&path);
    let response = match name {
        RouteName::Token => {
            drop(path);
            Box::pin(token::answer(app, address, request)).await
        }
        RouteName::Jwks => token::jwks(app),
        RouteName::Health => Box::pin(health::answer(app, &path)).await.1,
        RouteName::Api => {
            drop(path);
            Box::pin(admin(app, address, request)).await
        }
        _ => not_found(&path),
    };
    (name, response)
}

/// The name of a request's span, which must be there before spans within it are.
fn span_name(method: &Method, path: &str) -> String {
    let verb = method.as_str().to_ascii_lowercase();
    format!("http.{}.{verb}", route_name(method, path).noun())
}

/// The route of a request by what it asks for alone.
fn route_name(method: &Method, path: &str) -> RouteName {
    let path = route::normal(path);
    if path.starts_with("/v2") {
        route::parse(method, &path).0
    } else {
        RouteName::of(&path)
    }
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

/// The name of the account that a request was made with, for the access log.
fn account_name(caller: &Caller) -> Option<Arc<str>> {
    match caller.principal() {
        Principal::User { name, .. } => Some(name.clone()),
        _ => None,
    }
}

/// Hands a request to the REST API.
async fn admin(app: &Arc<App>, address: IpAddr, request: Request<RequestBody>) -> Response<Body> {
    let mut request = request.map(|body| short_body(app, address, body));
    request
        .extensions_mut()
        .insert(admin_api::ClientAddress(address));
    match app.admin.clone().oneshot(request).await {
        Ok(response) => {
            record_refusal(app, &response);
            response.map(Body::boxed)
        }
        Err(never) => match never {},
    }
}

/// A body that is read whole, within its bounds, when its first bytes are asked for.
fn short_body(app: &Arc<App>, address: IpAddr, body: RequestBody) -> axum::body::Body {
    let app = app.clone();
    let read = async move {
        let short = Short {
            limit: admin_api::LARGEST_BODY,
            memory: app.registry.memory().short(),
            holder: Holder::at(address),
            time: app.config.limits.short_body_time(),
        };
        body.collect(short).await
    };
    axum::body::Body::from_stream(futures_util::stream::once(read))
}

/// What a signed-in caller was refused by the REST API is recorded in the audit log, by route.
fn record_refusal(app: &App, response: &Response<axum::body::Body>) {
    let caller = response.extensions().get::<Caller>();
    let Some(caller) = caller.filter(|caller| caller.account().is_some()) else {
        return;
    };
    if response.status() != StatusCode::FORBIDDEN {
        return;
    }
    let route = response.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let (now, subject) = (app.clock.now(), Subject::Route(route.to_owned()));
    let event = Event::new(now, caller.origin(), Operation::Refuse, subject).refused();
    app.audit.record_refusal(route, event);
}

/// Whether a request's header is more than is taken. Over HTTP/1.1 the library counts the fields itself.
fn is_large(app: &App, uri: &http::Uri, headers: &HeaderMap) -> bool {
    headers.len() > MOST_FIELDS || header_size(uri, headers) > app.config.limits.header_bytes
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
        &format!(
            "the request's header has more than {limit} bytes ([limits] header_bytes) or {MOST_FIELDS} fields"
        ),
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
        None => new_request_id(),
    }
}

fn new_request_id() -> HeaderValue {
    HeaderValue::from_str(&next_request_id()).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// Ids need to be different, not secret: the process's random part and a count.
fn next_request_id() -> String {
    static PROCESS: LazyLock<String> = LazyLock::new(auth::random_hex::<8>);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}{:016x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed))
}

/// What every answer says to browsers. That HTTPS alone is to be used is believed only over HTTPS (RFC 6797,
/// section 7.2).
fn security_headers(headers: &mut HeaderMap, listener: Listener) {
    if listener == Listener::Public {
        headers.insert(
            header::STRICT_TRANSPORT_SECURITY,
            HeaderValue::from_static("max-age=31536000"),
        );
    }
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

/// The whole answer to a request that HTTP/1.1 cannot read, or has no memory for, after which the connection is closed.
pub(crate) fn unreadable(status: StatusCode, listener: Listener, now: Timestamp) -> Bytes {
    let mut headers = HeaderMap::new();
    let body = if status == StatusCode::SERVICE_UNAVAILABLE {
        headers.insert(header::RETRY_AFTER, HeaderValue::from_static("1"));
        errors("TOOMANYREQUESTS", "no memory for one more large header")
    } else {
        errors("BAD_REQUEST", "the request cannot be read as HTTP/1.1")
    };
    let body = body.to_string();
    headers.insert(header::CONTENT_TYPE, JSON);
    headers.insert(header::CONTENT_LENGTH, body.len().into());
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers.insert(header::DATE, date::header_value(now));
    headers.insert(REQUEST_ID, new_request_id());
    security_headers(&mut headers, listener);
    let mut text = format!("HTTP/1.1 {status}\r\n").into_bytes();
    for (name, value) in &headers {
        text.extend_from_slice(name.as_str().as_bytes());
        text.extend_from_slice(b": ");
        text.extend_from_slice(value.as_bytes());
        text.extend_from_slice(b"\r\n");
    }
    text.extend_from_slice(b"\r\n");
    text.extend_from_slice(body.as_bytes());
    text.into()
}

fn redirect(app: &App, request: &Request<RequestBody>) -> Response<Body> {
    let host = request
        .headers()
        .get(header::HOST)
        .and_then(|host| host.to_str().ok());
    let authority = host.and_then(|host| host.parse::<Authority>().ok());
    let asked = || {
        let host = authority.as_ref().map_or("localhost", Authority::host);
        match app.config.server.listen.port() {
            443 => host.to_owned(),
            port => format!("{host}:{port}"),
        }
    };
    let host = app.external_host.clone().unwrap_or_else(asked);
    let path = request
        .uri()
        .path_and_query()
        .map_or("/", |path| path.as_str());
    let location = HeaderValue::from_str(&format!("https://{host}{path}"));
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
    json(status, &errors(code, message))
}

fn errors(code: &str, message: &str) -> serde_json::Value {
    serde_json::json!({ "errors": [{ "code": code, "message": message }] })
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Only a map without text for keys could not be written.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
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
