//! When failed jobs are retried.

use std::time::Duration;

/// How often a job is retried, and after which delays.
#[derive(Clone, Copy, Debug)]
pub struct Retry {
    /// Maximum number of runs. Runs that crash their process count.
    pub runs: i64,
    /// The delay after the first failure; it doubles with each further one.
    pub first: Duration,
    /// The longest delay.
    pub longest: Duration,
}

impl Retry {
    /// For standing jobs: without limit, and about once a minute at least.
    pub const STANDING: Self = Self {
        runs: i64::MAX,
        first: Duration::from_secs(1),
        longest: Duration::from_secs(60),
    };

    /// The delay after a number of failed runs; `chance`, between 0 and 1, makes it up to a quarter shorter or longer,
    /// so that jobs that failed together are not retried together.
    pub(super) fn wait(&self, runs: i64, chance: f64) -> Duration {
        let doublings = runs.clamp(1, 30) as u32 - 1;
        let wait = self.first.saturating_mul(2_u32.saturating_pow(doublings));
        wait.min(self.longest).mul_f64(0.75 + chance / 2.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_longest() {
        let waits = [1, 2, 3, 7, i64::MAX].map(|runs| Retry::STANDING.wait(runs, 0.5).as_secs());
        assert_eq!(waits, [1, 2, 4, 60, 60]);
        let millis = |chance| Retry::STANDING.wait(2, chance).as_millis();
        assert_eq!((millis(0.0), millis(1.0)), (1_500, 2_500));
    }
}
