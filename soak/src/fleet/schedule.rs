//! What is done to the replicas, and when.

use std::fmt;
use std::time::Duration;

/// Minutes between two of a kind.
const RENEW: u32 = 5;
const HAND_OVER: u32 = 10;
const KILL: u32 = 15;

/// What is done; of one replica it has the number.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(super) enum Event {
    /// Both get new certificates.
    Renew,
    HandOver(usize),
    Kill(usize),
}

impl fmt::Display for Event {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Renew => f.write_str("renewal of the certificates"),
            Self::HandOver(number) => write!(f, "hand-over of replica {number}"),
            Self::Kill(number) => write!(f, "kill -9 of replica {number}"),
        }
    }
}

/// All of a run of so many minutes, each of this length, with the time since its beginning. Replicas take turns, the
/// other one first where they are killed.
pub(super) fn events(minutes: u32, minute: Duration) -> Vec<(Duration, Event)> {
    let mut events = Vec::new();
    for now in 1..minutes {
        let mut add = |event| events.push((minute * now, event));
        if now.is_multiple_of(RENEW) {
            add(Event::Renew);
        }
        if now.is_multiple_of(HAND_OVER) {
            add(Event::HandOver(turn(now / HAND_OVER + 1)));
        }
        if now.is_multiple_of(KILL) {
            add(Event::Kill(turn(now / KILL)));
        }
    }
    events
}

fn turn(number: u32) -> usize {
    usize::from(!number.is_multiple_of(2))
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Event, events};

    const MINUTE: Duration = Duration::from_secs(60);

    fn minutes_of(kind: fn(&Event) -> bool) -> Vec<u64> {
        let all = events(60, MINUTE);
        let some = all.iter().filter(|(_, event)| kind(event));
        some.map(|(at, _)| at.as_secs() / 60).collect()
    }

    #[test]
    fn an_hour_has_each_event_as_often_as_is_promised() {
        let renewals = minutes_of(|event| matches!(event, Event::Renew));
        assert_eq!(renewals, (1..12).map(|n| n * 5).collect::<Vec<_>>());
        let hand_overs = minutes_of(|event| matches!(event, Event::HandOver(_)));
        assert_eq!(hand_overs, [10, 20, 30, 40, 50]);
        let kills = minutes_of(|event| matches!(event, Event::Kill(_)));
        assert_eq!(kills, [15, 30, 45]);
    }

    #[test]
    fn replicas_take_turns() {
        let all = events(31, MINUTE).into_iter();
        let single = all.filter(|(_, event)| *event != Event::Renew);
        let single: Vec<Event> = single.map(|(_, event)| event).collect();
        let expected = [
            Event::HandOver(0),
            Event::Kill(1),
            Event::HandOver(1),
            Event::HandOver(0),
            Event::Kill(0),
        ];
        assert_eq!(single, expected);
    }

    #[test]
    fn shorter_minutes_are_the_same_in_less_time() {
        let (long, short) = (events(30, MINUTE), events(30, MINUTE / 24));
        assert_eq!(long.len(), short.len());
        for ((long, event), (short, same)) in long.into_iter().zip(short) {
            assert_eq!((long, event), (short * 24, same));
        }
    }
}
