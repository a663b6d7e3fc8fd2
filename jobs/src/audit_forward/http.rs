//! Lines of JSON by HTTP: a POST for each batch.

use std::sync::Arc;

use bytes::Bytes;
use http::header::{AUTHORIZATION, CONTENT_TYPE, USER_AGENT};
use http::{HeaderValue, Request};
use outgoing::HttpClient;
use tenancy::setting::Values;

use super::line::Line;
use super::{Collector, Forwarding, PATIENCE};
use crate::failures::causes;

/// Bytes of an answer's body, which is not read.
const LARGEST_ANSWER: usize = 0;

/// Sends lines; they are taken if the answer is 2xx.
pub(super) async fn send(
    forwarding: &Forwarding,
    values: &Arc<Values>,
    lines: &[Line],
) -> Result<(), String> {
    let mut body = Vec::new();
    for line in lines {
        body.extend_from_slice(line.text.as_bytes());
        body.push(b'\n');
    }
    let mut request = Request::post(&values.audit_log_forward_url)
        .header(CONTENT_TYPE, "application/x-ndjson")
        .header(USER_AGENT, concat!("gantry/", env!("CARGO_PKG_VERSION")));
    let authorization = values.audit_log_forward_authorization.expose();
    if !authorization.is_empty() {
        let mut value = HeaderValue::from_str(authorization).map_err(|_| {
            "audit_log_forward_authorization is not a valid header value".to_owned()
        })?;
        value.set_sensitive(true);
        request = request.header(AUTHORIZATION, value);
    }
    let request = request
        .body(Bytes::from(body))
        .map_err(|_| "audit_log_forward_url is not a valid URL".to_owned())?;
    let (guard, tls) = (forwarding.guard.clone(), forwarding.tls(values).await?);
    let client = HttpClient::new(guard, tls, PATIENCE, LARGEST_ANSWER);
    let answer = client.send_for_head(request, forwarding.trust(Collector::Http));
    let status = answer.await.map_err(|error| causes(&error))?.status;
    match status.is_success() {
        true => Ok(()),
        false => Err(format!(
            "the collector answers with status {}",
            status.as_u16()
        )),
    }
}
