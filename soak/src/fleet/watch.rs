//! What all clients saw: how long requests took, and which of them failed. One thread listens while they run.

use std::collections::BTreeMap;
use std::fmt;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use testkit::balancer::Routes;
use testkit::meter::quantile;

use super::judge::{Failure, How};

/// What a request is for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub(super) enum Kind {
    Push,
    Pull,
    Delete,
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Push => "push",
            Self::Pull => "pull",
            Self::Delete => "delete",
        })
    }
}

pub(super) struct Watch {
    began: Instant,
    routes: Routes,
    over: AtomicBool,
    seen: Mutex<Seen>,
}

#[derive(Default)]
struct Seen {
    /// How long requests took that succeeded, since the beginning and since the last line.
    all: Times,
    lately: Times,
    /// When the last line was.
    told: Duration,
    failures: Vec<Failure>,
}

type Times = BTreeMap<Kind, Vec<Duration>>;

impl Watch {
    pub(super) fn new(routes: Routes) -> Self {
        Self {
            began: Instant::now(),
            routes,
            over: AtomicBool::new(false),
            seen: Mutex::default(),
        }
    }

    fn seen(&self) -> MutexGuard<'_, Seen> {
        self.seen.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The time since the beginning.
    pub(super) fn now(&self) -> Duration {
        self.began.elapsed()
    }

    /// Lets the clients come to their end.
    pub(super) fn end(&self) {
        self.over.store(true, Ordering::Relaxed);
    }

    pub(super) fn is_over(&self) -> bool {
        self.over.load(Ordering::Relaxed)
    }

    pub(super) fn done(&self, kind: Kind, began: Instant) {
        let took = began.elapsed();
        let mut seen = self.seen();
        seen.all.entry(kind).or_default().push(took);
        seen.lately.entry(kind).or_default().push(took);
    }

    /// Notes a failure on the last connection from this address, before there is another.
    pub(super) fn fail(&self, address: &str, how: How, what: String) {
        let failure = Failure {
            at: self.now(),
            replica: self.routes.last(address),
            how,
            what,
        };
        self.seen().failures.push(failure);
    }

    /// The failures since this was last asked.
    pub(super) fn take_failures(&self) -> Vec<Failure> {
        std::mem::take(&mut self.seen().failures)
    }

    /// A line on what succeeded since the last one.
    pub(super) fn lately(&self) -> String {
        let now = self.now();
        let mut seen = self.seen();
        let (times, told) = (std::mem::take(&mut seen.lately), seen.told);
        seen.told = now;
        drop(seen);
        row(times, now.saturating_sub(told))
    }

    /// The same since the beginning.
    pub(super) fn in_all(&self) -> String {
        let times = self.seen().all.clone();
        row(times, self.now())
    }
}

/// For each kind how many there were in a second of this time, and what 99 of 100 stayed below.
fn row(times: Times, span: Duration) -> String {
    let words = times.into_iter().map(|(kind, mut times)| {
        times.sort_unstable();
        let rate = times.len() as f64 / span.as_secs_f64();
        format!("{kind} {rate:.1}/s p99 {:.0} ms", quantile(&times, 0.99))
    });
    words.collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Kind, Times, row};

    #[test]
    fn a_row_has_the_rate_and_the_99th_of_100() {
        let times = (1..=200).rev().map(Duration::from_millis).collect();
        let times = Times::from([(Kind::Pull, times), (Kind::Push, vec![])]);
        let row = row(times, Duration::from_secs(10));
        assert_eq!(row, "push 0.0/s p99 0 ms, pull 20.0/s p99 199 ms");
    }
}
