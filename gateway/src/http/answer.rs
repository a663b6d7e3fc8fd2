//! Building answers: JSON, errors, and the raw answer to requests that cannot be read as HTTP/1.1.

use bytes::Bytes;
use http::{HeaderMap, HeaderValue, Method, Response, StatusCode, header};
use model::Timestamp;
use serde::Serialize;

use crate::http::date;
use crate::http::header::security_headers;
use crate::http::peer::Listener;
use crate::http::request_id::{REQUEST_ID, new_request_id};
use crate::http::response_body::Body;

/// The type of JSON answers.
const JSON: HeaderValue = HeaderValue::from_static("application/json; charset=utf-8");

/// An answer without a body.
pub(crate) fn status(status: StatusCode) -> Response<Body> {
    let mut response = Response::new(Body::empty());
    *response.status_mut() = status;
    response
}

/// A JSON answer.
pub(crate) fn json(status: StatusCode, value: &impl Serialize) -> Response<Body> {
    // Only a map whose keys are not text could fail.
    let text = serde_json::to_vec(value).unwrap_or_default();
    let mut response = Response::new(Body::full(text));
    *response.status_mut() = status;
    response.headers_mut().insert(header::CONTENT_TYPE, JSON);
    response
}

/// An answer with one error in the envelope that registries and Harbor share.
pub(crate) fn envelope(status: StatusCode, code: &str, message: &str) -> Response<Body> {
    json(status, &errors(code, message))
}

fn errors(code: &str, message: &str) -> serde_json::Value {
    serde_json::json!({ "errors": [{ "code": code, "message": message }] })
}

/// The whole answer to a request that cannot be read as HTTP/1.1, or for which there is no memory; the connection is
/// closed after it.
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

/// Whether answers to a method have a body.
pub(crate) fn wants_body(method: &Method) -> bool {
    method != Method::HEAD
}

/// The answer to a HEAD: the headers of a GET, including its length.
pub(crate) fn without_body(response: Response<Body>) -> Response<Body> {
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
