//! Reading an issuer's keys: its discovery document says where they are.

use std::error::Error as _;
use std::sync::Arc;
use std::time::Duration;

use model::Issuer;
use outgoing::{Guard, HttpClient, Trust, Verification, client_config};
use serde::Deserialize;
use tokio::time::timeout;

use super::set::KeySet;

/// How long both documents may take together.
const WITHIN: Duration = Duration::from_secs(8);
/// How long one exchange may take.
const EXCHANGE: Duration = Duration::from_secs(4);
/// Maximum bytes of a document.
const LARGEST: usize = 256 << 10;

/// The used part of a discovery document.
#[derive(Deserialize)]
struct Discovery {
    issuer: String,
    jwks_uri: String,
}

/// The keys that an issuer publishes.
///
/// # Errors
/// Why they cannot be read, for administrators.
pub(super) async fn read(
    issuer: &Issuer,
    ca: Option<&str>,
    guard: &Arc<Guard>,
) -> Result<KeySet, String> {
    let verification = ca.map_or(Verification::System, Verification::Authorities);
    let tls = client_config(verification, None).map_err(chain)?;
    let client = HttpClient::new(guard.clone(), tls, EXCHANGE, LARGEST);
    let read = timeout(WITHIN, documents(issuer, &client)).await;
    read.unwrap_or_else(|_| Err("the issuer did not answer in time".to_owned()))
}

async fn documents(issuer: &Issuer, client: &HttpClient) -> Result<KeySet, String> {
    let base = issuer.as_str().trim_end_matches('/');
    let url = format!("{base}/.well-known/openid-configuration");
    let document = client.document(&url, Trust::Guarded).await;
    let document = document.map_err(|error| format!("{url}: {}", chain(error)))?;
    let discovery: Discovery = serde_json::from_slice(&document)
        .map_err(|_| format!("{url} is no discovery document with issuer and jwks_uri"))?;
    if discovery.issuer != issuer.as_str() {
        return Err(format!("{url} is of another issuer"));
    }
    let url = &discovery.jwks_uri;
    let keys = client.document(url, Trust::Guarded).await;
    let keys = keys.map_err(|error| format!("jwks_uri: {}", chain(error)))?;
    KeySet::parse(&keys).map_err(|reason| format!("jwks_uri: {reason}"))
}

/// An error and all its causes.
fn chain(error: outgoing::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}
