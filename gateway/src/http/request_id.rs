//! The ID of a request: the client's own, or a new one.

use std::sync::LazyLock;
use std::sync::atomic::{AtomicU64, Ordering};

use http::header::{HeaderMap, HeaderName, HeaderValue};

/// The header with a request's ID.
pub(crate) const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");
/// Longest request ID accepted from a client.
const LONGEST_REQUEST_ID: usize = 128;

/// The ID of a request with these headers.
pub(crate) fn request_id(headers: &HeaderMap) -> HeaderValue {
    let usable = |value: &&HeaderValue| {
        (1..=LONGEST_REQUEST_ID).contains(&value.len())
            && value.as_bytes().iter().all(u8::is_ascii_graphic)
    };
    match headers.get(REQUEST_ID).filter(usable) {
        Some(value) => value.clone(),
        None => new_request_id(),
    }
}

/// A new ID.
pub(crate) fn new_request_id() -> HeaderValue {
    HeaderValue::from_str(&next_request_id()).unwrap_or_else(|_| HeaderValue::from_static("none"))
}

/// IDs need to be different, not secret: the process's random part and a count.
fn next_request_id() -> String {
    static PROCESS: LazyLock<String> = LazyLock::new(auth::random_hex::<8>);
    static COUNT: AtomicU64 = AtomicU64::new(0);
    format!("{}{:016x}", *PROCESS, COUNT.fetch_add(1, Ordering::Relaxed))
}
