//! The `Date` of an answer (RFC 9110, section 6.6.1).

use std::cell::RefCell;
use std::time::{Duration, UNIX_EPOCH};

use http::HeaderValue;
use model::Timestamp;

thread_local! {
    /// The second that was last written, and its text: most answers fall into the same second.
    static LAST: RefCell<(i64, HeaderValue)> = const { RefCell::new((i64::MIN, HeaderValue::from_static(""))) };
}

/// A time as the header's value.
pub(crate) fn header_value(at: Timestamp) -> HeaderValue {
    LAST.with_borrow_mut(|(second, text)| {
        if *second != at.seconds() {
            *second = at.seconds();
            *text = written(at.seconds());
        }
        text.clone()
    })
}

fn written(second: i64) -> HeaderValue {
    let since = Duration::from_secs(u64::try_from(second).unwrap_or(0));
    let text = httpdate::fmt_http_date(UNIX_EPOCH + since);
    HeaderValue::from_str(&text).unwrap_or_else(|_| HeaderValue::from_static(""))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_date_has_the_form_of_the_specification() {
        let at = |second: i64| header_value(Timestamp(second * 1_000_000));
        assert_eq!(at(784_111_777), "Sun, 06 Nov 1994 08:49:37 GMT");
        assert_eq!(at(784_111_778), "Sun, 06 Nov 1994 08:49:38 GMT");
    }
}
