//! Which failures of requests are excused: those on connections to a replica that is killed, and requests without an
//! answer on connections that a hand-over closes, which clients have sent once more.

use std::fmt;
use std::time::Duration;

/// How long after a replica has ended a client may learn of it.
const LATE: Duration = Duration::from_secs(2);
/// So many wrong failures are enough to understand them.
const ENOUGH: usize = 20;

/// How a request failed.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum How {
    /// Without an answer, on a connection that was kept from the request before. It was sent once more on a new one:
    /// HTTP/1.1 cannot tell a client in time that its connection closes.
    Unanswered,
    /// Without a whole answer.
    Cut,
    /// By an answer that is wrong.
    Answered,
}

/// A request that failed. Times are those since the beginning.
#[derive(Clone, Debug)]
pub(super) struct Failure {
    pub(super) at: Duration,
    /// Where its connection went, as far as that is known.
    pub(super) replica: Option<usize>,
    pub(super) how: How,
    pub(super) what: String,
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let replica = self.replica.map(|number| format!(" of replica {number}"));
        let replica = replica.unwrap_or_else(|| " of no known replica".to_owned());
        write!(f, "after {:.1?}, on a connection{replica}", self.at)?;
        write!(f, ", {:?}: {}", self.how, self.what)
    }
}

#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Cause {
    Kill,
    HandOver,
}

/// What ended the process of a replica.
#[derive(Clone, Copy, Debug)]
pub(super) struct End {
    pub(super) replica: usize,
    pub(super) cause: Cause,
    pub(super) from: Duration,
    pub(super) to: Duration,
}

impl End {
    fn excuses(&self, failure: &Failure) -> bool {
        let how = match self.cause {
            Cause::Kill => failure.how != How::Answered,
            Cause::HandOver => failure.how == How::Unanswered,
        };
        let when = self.from <= failure.at && failure.at <= self.to + LATE;
        how && when && failure.replica == Some(self.replica)
    }
}

/// Has all that ended, and counts what it excuses.
#[derive(Default)]
pub(super) struct Judge {
    ends: Vec<End>,
    killed: usize,
    handed_over: usize,
    wrong: Vec<String>,
}

impl Judge {
    pub(super) fn note(&mut self, end: End) {
        self.ends.push(end);
    }

    /// Judges a failure, when all that may excuse it is noted; the words for one that is wrong.
    pub(super) fn hear(&mut self, failure: &Failure) -> Option<String> {
        let excuse = self.ends.iter().find(|end| end.excuses(failure));
        match excuse.map(|end| end.cause) {
            Some(Cause::Kill) => self.killed += 1,
            Some(Cause::HandOver) => self.handed_over += 1,
            None => {
                let words = failure.to_string();
                self.wrong.push(words.clone());
                return Some(words);
            }
        }
        None
    }

    /// Whether there is no use in going on.
    pub(super) fn has_enough(&self) -> bool {
        self.wrong.len() >= ENOUGH
    }

    /// What was excused; an error where something was not.
    pub(super) fn sum(&self) -> Result<String, String> {
        match self.wrong.len() {
            0 => Ok(format!(
                "{} requests failed on connections to a killed replica, {} were sent once more after a hand-over",
                self.killed, self.handed_over
            )),
            count => Err(format!(
                "{count} requests failed without an excuse\n  failed: {}",
                self.wrong.join("\n  failed: ")
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Cause, End, Failure, How, Judge};

    fn end(cause: Cause) -> End {
        End {
            replica: 1,
            cause,
            from: Duration::from_secs(100),
            to: Duration::from_secs(101),
        }
    }

    /// Whether a failure after so many milliseconds is excused by the end of replica 1 from 100 s to 101 s.
    fn is_excused(cause: Cause, replica: Option<usize>, how: How, at: u64) -> bool {
        let mut judge = Judge::default();
        judge.note(end(cause));
        let failure = Failure {
            at: Duration::from_millis(at),
            replica,
            how,
            what: "GET /v2/: cut".to_owned(),
        };
        let wrong = judge.hear(&failure);
        assert_eq!(wrong.is_none(), judge.sum().is_ok());
        wrong.is_none()
    }

    #[test]
    fn a_kill_excuses_what_it_cut_and_no_answer() {
        for how in [How::Cut, How::Unanswered] {
            assert!(is_excused(Cause::Kill, Some(1), how, 100_500));
        }
        assert!(!is_excused(Cause::Kill, Some(1), How::Answered, 100_500));
    }

    #[test]
    fn a_kill_excuses_nothing_on_the_other_replica() {
        assert!(!is_excused(Cause::Kill, Some(0), How::Cut, 100_500));
        assert!(!is_excused(Cause::Kill, None, How::Cut, 100_500));
    }

    #[test]
    fn a_kill_excuses_nothing_before_it_or_long_after() {
        assert!(!is_excused(Cause::Kill, Some(1), How::Cut, 99_999));
        assert!(is_excused(Cause::Kill, Some(1), How::Cut, 103_000));
        assert!(!is_excused(Cause::Kill, Some(1), How::Cut, 103_001));
    }

    #[test]
    fn a_hand_over_excuses_only_what_was_sent_once_more() {
        let excused = |how| is_excused(Cause::HandOver, Some(1), how, 100_500);
        assert!(excused(How::Unanswered));
        assert!(!excused(How::Cut));
        assert!(!excused(How::Answered));
    }

    #[test]
    fn what_is_wrong_is_told_with_its_time_and_replica() {
        let failure = Failure {
            at: Duration::from_secs(7),
            replica: Some(0),
            how: How::Cut,
            what: "GET /v2/: cut".to_owned(),
        };
        let told = Judge::default().hear(&failure).unwrap();
        let expected = "after 7.0s, on a connection of replica 0, Cut: GET /v2/: cut";
        assert_eq!(told, expected);
    }
}
