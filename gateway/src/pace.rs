//! The minimum speed at which the other side must send or receive a body. It is an average: a fast client may pause for
//! a while, and time during which the server itself is busy does not count.

use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::time::{Instant, Sleep};

/// How slow the other side may be.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Least {
    /// How long it may be idle.
    pub(crate) patience: Duration,
    /// Bytes that compensate for a second of waiting; with 0, any byte compensates for all waiting.
    pub(crate) bytes_per_second: u64,
}

/// The time that the other side has left: waiting reduces it, bytes add to it, up to the initial patience.
pub(crate) struct Pace {
    least: Least,
    left: Duration,
    waiting_since: Option<Instant>,
    /// Created at the first wait, and moved only if it would fire too late.
    timer: Option<Pin<Box<Sleep>>>,
}

impl Pace {
    pub(crate) fn new(least: Least) -> Self {
        Self {
            least,
            left: least.patience,
            waiting_since: None,
            timer: None,
        }
    }

    /// Waits for the other side: ready when its time is up.
    pub(crate) fn poll_late(&mut self, cx: &mut Context<'_>) -> Poll<()> {
        let since = *self.waiting_since.get_or_insert_with(Instant::now);
        let deadline = since + self.left;
        let timer = self
            .timer
            .get_or_insert_with(|| Box::pin(tokio::time::sleep_until(deadline)));
        if timer.deadline() > deadline {
            timer.as_mut().reset(deadline);
        }
        loop {
            ready!(timer.as_mut().poll(cx));
            if Instant::now() >= deadline {
                return Poll::Ready(());
            }
            // It was set for an earlier wait.
            timer.as_mut().reset(deadline);
        }
    }

    /// The other side moved bytes; the wait is over.
    pub(crate) fn moved(&mut self, bytes: u64) {
        let waited = self.waiting_since.take().map(|since| since.elapsed());
        self.left = self
            .least
            .left_after(self.left, waited.unwrap_or_default(), bytes);
    }
}

impl Least {
    /// What remains of `left` after a wait that ended with these bytes.
    fn left_after(self, left: Duration, waited: Duration, bytes: u64) -> Duration {
        left.saturating_sub(waited)
            .saturating_add(self.worth(bytes))
            .min(self.patience)
    }

    fn worth(self, bytes: u64) -> Duration {
        match (bytes, self.bytes_per_second) {
            (0, _) => Duration::ZERO,
            (_, 0) => self.patience,
            (bytes, rate) => Duration::from_millis(bytes.saturating_mul(1_000) / rate),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);
    const LEAST: Least = Least {
        patience: Duration::from_secs(60),
        bytes_per_second: 1_000,
    };

    #[test]
    fn a_byte_now_and_then_does_not_help() {
        let left = LEAST.left_after(LEAST.patience, 59 * SECOND, 1);
        assert!(left < 2 * SECOND, "{left:?}");
    }

    #[test]
    fn a_slow_line_at_the_least_speed_may_take_for_ever() {
        let mut left = LEAST.patience;
        for _ in 0..1_000 {
            left = LEAST.left_after(left, 50 * SECOND, 50_000);
            assert_eq!(left, LEAST.patience);
        }
    }

    #[test]
    fn speed_is_not_saved_up_beyond_the_patience() {
        let left = LEAST.left_after(SECOND, Duration::ZERO, u64::MAX);
        assert_eq!(left, LEAST.patience);
    }

    #[test]
    fn without_a_least_speed_any_byte_makes_up_for_all() {
        let least = Least {
            bytes_per_second: 0,
            ..LEAST
        };
        assert_eq!(least.left_after(SECOND, SECOND, 1), LEAST.patience);
        assert_eq!(least.left_after(2 * SECOND, SECOND, 0), SECOND);
    }
}
