//! Reading and writing header fields.

use http::{HeaderMap, HeaderValue, Uri, header};

use crate::http::peer::Listener;

/// Maximum number of header fields in a request. Each takes more memory than its bytes, and over HTTP/2 it may arrive
/// as a single byte.
pub(crate) const MOST_FIELDS: usize = 100;

/// The size of a request's target and header fields, in bytes. A connection's buffer limits them too, but it is larger,
/// since bodies are read through it.
pub(crate) fn header_size(uri: &Uri, headers: &HeaderMap) -> usize {
    let target = uri.path_and_query().map_or(0, |path| path.as_str().len());
    let fields = headers.iter();
    target
        + fields
            .map(|(name, value)| name.as_str().len() + value.len())
            .sum::<usize>()
}

/// The `Authorization` header as text; two of them, or one that is not text, are malformed.
pub(crate) fn authorization(headers: &HeaderMap) -> Result<Option<&str>, auth::Error> {
    let mut values = headers.get_all(header::AUTHORIZATION).iter();
    match (values.next(), values.next()) {
        (None, _) => Ok(None),
        (Some(value), None) => value.to_str().map(Some).map_err(|_| auth::Error::Malformed),
        (Some(_), Some(_)) => Err(auth::Error::Malformed),
    }
}

/// Whether `If-None-Match` names this tag, so that the client has the content already.
pub(crate) fn has_etag(headers: &HeaderMap, etag: &str) -> bool {
    let header = headers.get(header::IF_NONE_MATCH);
    let Some(header) = header.and_then(|value| value.to_str().ok()) else {
        return false;
    };
    let same = |tag: &str| {
        let tag = tag.trim();
        let tag = tag.strip_prefix("W/").unwrap_or(tag);
        tag == "*" || tag.trim_matches('"') == etag
    };
    header.split(',').any(same)
}

/// A text as a header's value; empty if it cannot be one.
pub(crate) fn text(value: impl AsRef<str>) -> HeaderValue {
    HeaderValue::from_str(value.as_ref()).unwrap_or_else(|_| HeaderValue::from_static(""))
}

/// Headers for browsers in every answer. The one that requires HTTPS counts only over HTTPS (RFC 6797, section 7.2).
pub(crate) fn security_headers(headers: &mut HeaderMap, listener: Listener) {
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
    // Pages of the web UI have a longer one.
    headers
        .entry(header::CONTENT_SECURITY_POLICY)
        .or_insert(HeaderValue::from_static("frame-ancestors 'none'"));
}
