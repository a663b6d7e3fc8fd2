//! Requests to the server, over guarded connections.

use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::Request;
use http::header::RETRY_AFTER;
use http_body_util::{BodyExt as _, Full};
use instant_acme::{BodyWrapper, BytesResponse, Error, HttpClient as Acme};
use outgoing::{Guard, HttpClient, Trust, Verification, client_config};

/// Time limit of a request.
const PATIENCE: Duration = Duration::from_secs(30);
/// Maximum bytes of an answer.
const LARGEST: usize = 1 << 20;
/// Characters of an answer that a message repeats.
const QUOTED: usize = 200;
/// The longest wait that is believed: servers count by the week.
const LONGEST: Duration = Duration::from_secs(7 * 86_400);

/// Sends requests.
pub(super) struct Client(HttpClient);

impl Client {
    /// A client that trusts these authorities, or those of the system.
    pub(super) fn new(guard: Arc<Guard>, authorities: Option<&str>) -> outgoing::Result<Self> {
        let verification = authorities.map_or(Verification::System, Verification::Authorities);
        let tls = client_config(verification, None)?;
        Ok(Self(HttpClient::new(guard, tls, PATIENCE, LARGEST)))
    }
}

impl Acme for Client {
    fn request(
        &self,
        request: Request<BodyWrapper<Bytes>>,
    ) -> Pin<Box<dyn Future<Output = Result<BytesResponse, Error>> + Send>> {
        let client = self.0.clone();
        Box::pin(async move {
            let (parts, body) = request.into_parts();
            let Ok(body) = body.collect().await;
            let request = Request::from_parts(parts, body.to_bytes());
            // The settings file names the server.
            let answer = client.send(request, Trust::Trusted).await;
            let answer = answer.map_err(|error| Error::Other(Box::new(error)))?;
            let (status, retry_after) = (answer.status().as_u16(), wait(answer.headers()));
            // Also of a proxy in front, whose body is nothing that ACME knows.
            if status == 429 || (status == 503 && retry_after.is_some()) {
                let body = String::from_utf8_lossy(answer.body());
                return Err(Error::Other(Box::new(Limited {
                    status,
                    retry_after,
                    body: body
                        .chars()
                        .filter(|letter| !letter.is_control())
                        .take(QUOTED)
                        .collect(),
                })));
            }
            Ok(BytesResponse::from(answer.map(Full::new)))
        })
    }
}

/// The seconds of a `Retry-After` (RFC 9110, section 10.2.3).
fn wait(headers: &http::HeaderMap) -> Option<Duration> {
    let value = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    let seconds = value.parse().ok();
    let wait = seconds.map(Duration::from_secs);
    wait.map(|wait| wait.min(LONGEST))
}

/// The server, or something in front of it, wants us to wait.
#[derive(Debug, thiserror::Error)]
#[error("the server answers with status {status}: {body}")]
pub(super) struct Limited {
    pub(super) status: u16,
    pub(super) retry_after: Option<Duration>,
    pub(super) body: String,
}
