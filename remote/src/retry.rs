//! When a request is repeated.

use std::time::Duration;

use http::header::{DATE, RETRY_AFTER};
use http::{HeaderMap, StatusCode};

/// How often a request is repeated, and after which waits.
#[derive(Clone, Copy, Debug)]
pub struct Patience {
    /// Attempts in all.
    pub attempts: u32,
    /// The wait before the second one; it doubles with each further one.
    pub first: Duration,
}

/// The longest wait that a registry may ask for.
const LONGEST: Duration = Duration::from_secs(60);

impl Patience {
    /// For copies, which nobody waits for: up to 15 s of waits, or as long as the registry asks for.
    pub const COPYING: Self = Self {
        attempts: 5,
        first: Duration::from_secs(1),
    };
    /// For whoever tries a registry out.
    pub const TRYING: Self = Self {
        attempts: 1,
        first: Duration::ZERO,
    };

    /// The wait after a number of attempts, unless it was the last one.
    pub(crate) fn wait(&self, attempts: u32, asked: Option<Duration>) -> Option<Duration> {
        let own = self.first.saturating_mul(1 << (attempts - 1).min(6));
        (attempts < self.attempts).then(|| asked.map_or(own, |asked| asked.max(own)).min(LONGEST))
    }
}

/// Whether the same request may succeed later.
pub(crate) fn is_passing(status: StatusCode) -> bool {
    matches!(status.as_u16(), 408 | 425 | 429 | 500 | 502 | 503 | 504)
}

/// How long a registry asks to wait: seconds, or a time.
pub(crate) fn asked(headers: &HeaderMap) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let at = httpdate::parse_http_date(text).ok()?;
    // By the clock of who names the time.
    let now = headers.get(DATE)?.to_str().ok()?;
    at.duration_since(httpdate::parse_http_date(now).ok()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_and_a_registry_may_ask_for_longer_ones() {
        let patience = Patience::COPYING;
        let wait = |attempts, asked| patience.wait(attempts, asked).map(|wait| wait.as_secs());
        assert_eq!(
            [1, 2, 3, 4, 5].map(|n| wait(n, None)),
            [Some(1), Some(2), Some(4), Some(8), None]
        );
        let asked = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(wait(1, asked(7)), Some(7));
        assert_eq!(wait(1, asked(1_000_000)), Some(60));
        assert_eq!(wait(4, asked(2)), Some(8));
        assert_eq!(Patience::TRYING.wait(1, asked(1)), None);
    }

    #[test]
    fn a_wait_is_read_in_seconds_and_as_a_time() {
        let read = |text: &str| {
            let mut headers = HeaderMap::new();
            headers.insert(RETRY_AFTER, text.parse().unwrap());
            headers.insert(DATE, "Wed, 21 Oct 2015 07:28:10 GMT".parse().unwrap());
            asked(&headers)
        };
        assert_eq!(read("7"), Some(Duration::from_secs(7)));
        assert_eq!(read("soon"), None);
        assert_eq!(read("Wed, 21 Oct 2015 07:28:00 GMT"), None);
        let later = read("Wed, 21 Oct 2015 07:28:30 GMT");
        assert_eq!(later, Some(Duration::from_secs(20)));
    }
}
