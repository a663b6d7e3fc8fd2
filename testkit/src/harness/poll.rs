//! Waiting for something to become true, with a deadline instead of a sleep.

use std::time::{Duration, Instant};

/// Asks `look` again and again until it finds something, and fails the test after `seconds`.
pub async fn eventually<T>(
    seconds: u64,
    what: &str,
    mut look: impl AsyncFnMut() -> Option<T>,
) -> T {
    let deadline = Instant::now() + Duration::from_secs(seconds);
    loop {
        if let Some(found) = look().await {
            return found;
        }
        assert!(Instant::now() < deadline, "not within {seconds} s: {what}");
        tokio::time::sleep(Duration::from_millis(25)).await;
    }
}
