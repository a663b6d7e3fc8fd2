//! The host that a request is meant for, and the host name that clients use for this server.

use http::{HeaderMap, Uri, Version, header};

use crate::app::App;

/// A request must name its host exactly once (RFC 9112, section 3.2).
pub(crate) fn has_one_host(version: Version, headers: &HeaderMap) -> bool {
    let mut hosts = headers.get_all(header::HOST).iter();
    match (hosts.next(), hosts.next()) {
        (Some(host), None) => host.to_str().is_ok_and(is_host),
        // In HTTP/2 it is the `:authority` of the URI.
        (None, _) => version != Version::HTTP_11,
        (Some(_), Some(_)) => false,
    }
}

/// The host and port of the external URL, or if there is none, those that the client used.
pub(crate) fn external_host(app: &App, uri: &Uri, headers: &HeaderMap) -> String {
    let host = app.external_host.clone();
    host.unwrap_or_else(|| host_of(uri, headers))
}

/// The host and port that the client used: clients accept only a token service there.
pub(crate) fn host_of(uri: &Uri, headers: &HeaderMap) -> String {
    let authority = uri.authority().map(|authority| authority.as_str());
    let host = authority.or_else(|| {
        headers
            .get(header::HOST)
            .and_then(|host| host.to_str().ok())
    });
    host.filter(|host| is_host(host))
        .unwrap_or("localhost")
        .to_owned()
}

/// Whether a text can be a host and port.
fn is_host(text: &str) -> bool {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b".-_:[]".contains(&b);
    !text.is_empty() && text.bytes().all(plain)
}
