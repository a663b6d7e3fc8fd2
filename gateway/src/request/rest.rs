//! Passes requests to the REST API, and records refused ones.

use model::{Event, Operation, Subject};
use std::net::IpAddr;
use std::sync::Arc;

use admin_api::PartlyRefused;
use axum::extract::MatchedPath;
use http::header::CACHE_CONTROL;
use http::{HeaderValue, Request, Response, StatusCode};
use policy::Caller;
use storage::budget::Holder;
use tower::ServiceExt as _;

use crate::app::App;
use crate::http::request_body::{RequestBody, Short};
use crate::http::response_body::Body;

/// Hands a request to the REST API.
pub(super) async fn answer(
    app: &Arc<App>,
    address: IpAddr,
    request: Request<RequestBody>,
) -> Response<Body> {
    // Forms may come from anyone.
    let path = request.uri().path().trim_start_matches('/');
    let limit = match path.starts_with("api") {
        true => admin_api::LARGEST_BODY,
        false => admin_api::LARGEST_FORM,
    };
    let mut request = request.map(|body| short_body(app, address, limit, body));
    request
        .extensions_mut()
        .insert(admin_api::ClientAddress(address));
    match app.admin.clone().oneshot(request).await {
        Ok(response) => {
            record_refusal(app, &response);
            let mut response = response.map(Body::boxed);
            // Answers about people and permissions must not be cached.
            let headers = response.headers_mut();
            headers
                .entry(CACHE_CONTROL)
                .or_insert(HeaderValue::from_static("no-store"));
            response
        }
        Err(never) => match never {},
    }
}

/// A body that is read completely, within its limits, when its first bytes are needed.
fn short_body(
    app: &Arc<App>,
    address: IpAddr,
    limit: usize,
    body: RequestBody,
) -> axum::body::Body {
    let app = app.clone();
    let read = async move {
        let short = Short {
            limit,
            memory: app.registry.memory().short(),
            holder: Holder::at(address),
            time: app.config.limits.short_body_time(),
        };
        body.collect(short).await
    };
    axum::body::Body::from_stream(futures_util::stream::once(read))
}

/// Records in the audit log, by route, what the REST API refused to a signed-in caller.
fn record_refusal(app: &App, response: &Response<axum::body::Body>) {
    let caller = response.extensions().get::<Caller>();
    let Some(caller) = caller.filter(|caller| caller.is_signed_in()) else {
        return;
    };
    let is_partly = response.extensions().get::<PartlyRefused>().is_some();
    if response.status() != StatusCode::FORBIDDEN && !is_partly {
        return;
    }
    let route = response.extensions().get::<MatchedPath>();
    let route = route.map_or("", MatchedPath::as_str);
    let (now, subject) = (app.clock.now(), Subject::Route(route.to_owned()));
    let event = Event::new(now, caller.origin(), Operation::Refuse, subject).refused();
    app.audit.record_refusal(route, event);
}
