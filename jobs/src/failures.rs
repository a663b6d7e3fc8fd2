//! Failures of repeated work: the first is logged, further ones are counted.

use std::time::{Duration, Instant};

/// How often a continuing failure is logged again.
const REPEAT: Duration = Duration::from_secs(60);
/// Number of different causes that are logged in that time; more say nothing new.
const MOST_CAUSES: usize = 8;

/// Consecutive failures of one task.
#[derive(Debug, Default)]
pub struct Failures(Option<Run>);

#[derive(Debug)]
struct Run {
    since: Instant,
    count: u32,
    /// Each cause with the time of its last report.
    reported: Vec<(String, Instant)>,
}

/// A failure to log.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Report {
    /// Failures in a row, this one included.
    pub failures: u32,
    /// Seconds since the first of them.
    pub seconds: u64,
}

impl Failures {
    /// Records a failure, and returns a report if it should be logged: each cause once a minute, also where several
    /// alternate.
    pub fn failed(&mut self, cause: &str, now: Instant) -> Option<Report> {
        let run = self.0.get_or_insert_with(|| Run {
            since: now,
            count: 0,
            reported: Vec::new(),
        });
        run.count += 1;
        run.reported
            .retain(|(_, reported)| now.duration_since(*reported) < REPEAT);
        let is_known = run.reported.iter().any(|(reported, _)| reported == cause);
        if is_known || run.reported.len() == MOST_CAUSES {
            return None;
        }
        run.reported.push((cause.to_owned(), now));
        Some(run.report(now))
    }

    /// Records a success; reports the end of a series of failures.
    pub fn succeeded(&mut self, now: Instant) -> Option<Report> {
        self.0.take().map(|run| run.report(now))
    }
}

impl Run {
    fn report(&self, now: Instant) -> Report {
        Report {
            failures: self.count,
            seconds: now.duration_since(self.since).as_secs(),
        }
    }
}

/// An error with its causes, on one line. A cause that an error already includes in its own text, as library errors do,
/// is not repeated.
pub fn causes(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.ends_with(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failure_is_reported_once_and_then_once_a_minute() {
        let begin = Instant::now();
        let at = |seconds| begin + Duration::from_secs(seconds);
        let mut failures = Failures::default();
        assert_eq!(failures.succeeded(at(0)), None);
        let reported: Vec<u64> = (0..=130)
            .step_by(5)
            .filter(|second| failures.failed("refused", at(*second)).is_some())
            .collect();
        assert_eq!(reported, [0, 60, 120]);
        let report = failures.succeeded(at(131)).unwrap();
        assert_eq!((report.failures, report.seconds), (27, 131));
        assert_eq!(failures.succeeded(at(132)), None);
    }

    #[derive(Debug, thiserror::Error)]
    #[error("cannot open the database")]
    struct Outer(#[source] Repeating);

    #[derive(Debug, thiserror::Error)]
    #[error("wrong configuration: {0}")]
    struct Repeating(#[source] std::io::Error);

    #[test]
    fn a_cause_is_said_once() {
        let error = Outer(Repeating(std::io::Error::other("no such host")));
        assert_eq!(
            causes(&error),
            "cannot open the database: wrong configuration: no such host"
        );
    }

    #[test]
    fn another_cause_is_reported_at_once() {
        let now = Instant::now();
        let mut failures = Failures::default();
        assert!(failures.failed("refused", now).is_some());
        assert!(failures.failed("refused", now).is_none());
        assert_eq!(failures.failed("no route", now).unwrap().failures, 3);
    }

    #[test]
    fn causes_that_alternate_are_reported_once_each() {
        let now = Instant::now();
        let mut failures = Failures::default();
        let reported: Vec<&str> = (0..20)
            .map(|look| ["refused", "timed out", "reset"][look % 3])
            .filter(|cause| failures.failed(cause, now).is_some())
            .collect();
        assert_eq!(reported, ["refused", "timed out", "reset"]);
    }

    #[test]
    fn causes_without_end_are_not_all_reported() {
        let now = Instant::now();
        let mut failures = Failures::default();
        let reported = (0..100)
            .filter(|port| failures.failed(&format!("port {port}"), now).is_some())
            .count();
        assert_eq!(reported, MOST_CAUSES);
    }
}
