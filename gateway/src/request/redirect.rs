//! The redirect to HTTPS.

use http::uri::Authority;
use http::{HeaderValue, Request, Response, StatusCode, header};

use crate::app::App;
use crate::http::request_body::RequestBody;
use crate::http::response_body::Body;

pub(super) fn answer(app: &App, request: &Request<RequestBody>) -> Response<Body> {
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
