//! The words for how far a command is, from counts and time alone.

use std::collections::VecDeque;
use std::time::Duration;

use jobs::maintenance::progress::Counts;

/// The rate is that of this time, since it may change: blobs that are copied already take less.
const WINDOW: Duration = Duration::from_secs(30);

/// How fast the work is.
#[derive(Default)]
pub(super) struct Pace {
    unit: &'static str,
    /// When something was looked at, and how much was done then; oldest first.
    seen: VecDeque<(Duration, u64)>,
}

/// What is done, and how much there is to do if that is known: bytes if their sum is known, otherwise items. More may
/// be done than there was at the beginning, as after pushes.
pub(super) fn measured(counts: &Counts) -> (u64, Option<u64>) {
    let (done, all) = match counts.all_bytes {
        Some(all) => (counts.bytes, Some(all)),
        None => (counts.items, counts.all_items),
    };
    (done, all.map(|all| all.max(done)))
}

impl Pace {
    /// Describes counts that were read so long after the beginning, with the rate and the time that is left.
    pub(super) fn describe(&mut self, counts: &Counts, at: Duration) -> String {
        let (done, all) = measured(counts);
        let rate = self.rate(counts.unit, done, at);
        let mut text = match counts.all_items {
            Some(all) => format!("{} of {}", counts.items, all.max(counts.items)),
            None => counts.items.to_string(),
        };
        text += &format!(" {}", counts.unit);
        if let (Some(_), Some(all)) = (counts.all_bytes, all) {
            text += &format!(", {} of {}", bytes(done), bytes(all));
        }
        if rate <= 0.0 {
            return text;
        }
        text += &match counts.all_bytes {
            Some(_) => format!(", {}/s", bytes(rate as u64)),
            None => format!(", {}/s", number(rate)),
        };
        if let Some(all) = all {
            let left = (all - done) as f64 / rate;
            text += &format!(", {} left", span(left as u64));
        }
        text
    }

    /// How much was done per second lately.
    fn rate(&mut self, unit: &'static str, done: u64, at: Duration) -> f64 {
        if unit != self.unit {
            // Another stage, which began after the last look.
            let since = self.seen.back().map_or(Duration::ZERO, |(at, _)| *at);
            self.unit = unit;
            self.seen = VecDeque::from([(since, 0)]);
        }
        let is_old = |(seen, _): &(Duration, u64)| at.saturating_sub(*seen) > WINDOW;
        while self.seen.len() > 1 && self.seen.front().is_some_and(is_old) {
            self.seen.pop_front();
        }
        let (since, before) = self.seen.front().copied().unwrap_or_default();
        self.seen.push_back((at, done));
        let passed = at.saturating_sub(since).as_secs_f64();
        if passed > 0.0 {
            done.saturating_sub(before) as f64 / passed
        } else {
            0.0
        }
    }
}

const UNITS: [(&str, u64); 4] = [
    ("TiB", 1 << 40),
    ("GiB", 1 << 30),
    ("MiB", 1 << 20),
    ("KiB", 1 << 10),
];

fn bytes(count: u64) -> String {
    match UNITS.iter().find(|(_, size)| count >= *size) {
        Some((name, size)) => format!("{:.1} {name}", count as f64 / *size as f64),
        None => format!("{count} B"),
    }
}

/// With a decimal where it matters.
fn number(value: f64) -> String {
    if value < 10.0 {
        format!("{value:.1}")
    } else {
        format!("{value:.0}")
    }
}

fn span(seconds: u64) -> String {
    let (minutes, hours) = (seconds / 60, seconds / 3_600);
    match (hours, minutes) {
        (0, 0) => format!("{seconds} s"),
        (0, _) => format!("{minutes} min"),
        (1..24, _) => format!("{hours} h {} min", minutes % 60),
        _ => format!("{} d {} h", hours / 24, hours % 24),
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const MIB: u64 = 1 << 20;

    fn blobs(items: u64, bytes: u64) -> Counts {
        Counts {
            unit: "blobs",
            items,
            all_items: Some(300),
            bytes,
            all_bytes: Some(3_000 * MIB),
        }
    }

    fn at(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn bytes_have_a_rate_and_a_time_that_is_left() {
        let mut pace = Pace::default();
        assert_eq!(
            pace.describe(&blobs(10, 100 * MIB), at(10)),
            "10 of 300 blobs, 100.0 MiB of 2.9 GiB, 10.0 MiB/s, 4 min left"
        );
    }

    #[test]
    fn items_count_where_nobody_reads_bytes() {
        let counts = Counts {
            all_bytes: None,
            ..blobs(20, 0)
        };
        let text = Pace::default().describe(&counts, at(10));
        assert_eq!(text, "20 of 300 blobs, 2.0/s, 2 min left");
    }

    #[test]
    fn without_a_sum_there_is_no_time_left() {
        let counts = Counts {
            unit: "rows",
            items: 12_000,
            ..Counts::default()
        };
        let text = Pace::default().describe(&counts, at(10));
        assert_eq!(text, "12000 rows, 1200/s");
    }

    #[test]
    fn nothing_done_has_no_rate() {
        let text = Pace::default().describe(&blobs(0, 0), at(10));
        assert_eq!(text, "0 of 300 blobs, 0 B of 2.9 GiB");
    }

    #[test]
    fn the_rate_is_that_of_late() {
        let mut pace = Pace::default();
        pace.describe(&blobs(100, 1_000 * MIB), at(10));
        for seconds in [20, 30, 40] {
            pace.describe(&blobs(100, (990 + seconds) * MIB), at(seconds));
        }
        let text = pace.describe(&blobs(100, 1_040 * MIB), at(50));
        assert!(text.contains(", 1.0 MiB/s, 32 min left"), "{text}");
    }

    #[test]
    fn another_stage_has_a_rate_of_its_own() {
        let mut pace = Pace::default();
        pace.describe(&blobs(300, 3_000 * MIB), at(10));
        let listed = Counts {
            unit: "objects listed",
            items: 50,
            ..Counts::default()
        };
        assert_eq!(pace.describe(&listed, at(20)), "50 objects listed, 5.0/s");
    }

    #[test]
    fn more_than_was_expected_is_the_end() {
        let text = Pace::default().describe(&blobs(310, 3_100 * MIB), at(10));
        assert!(text.starts_with("310 of 310 blobs, "), "{text}");
        assert!(text.ends_with(", 0 s left"), "{text}");
    }

    #[test]
    fn spans_are_short() {
        let spans = [59, 60, 3_599, 3_600, 86_399, 90_000].map(span);
        let expected = [
            "59 s",
            "1 min",
            "59 min",
            "1 h 0 min",
            "23 h 59 min",
            "1 d 1 h",
        ];
        assert_eq!(spans, expected);
    }

    proptest! {
        #[test]
        fn any_counts_can_be_described(
            (items, bytes) in any::<(u64, u64)>(),
            (all_items, all_bytes) in any::<(Option<u64>, Option<u64>)>(),
            seconds in any::<u64>()
        ) {
            let counts = Counts {
                unit: "blobs",
                items,
                all_items,
                bytes,
                all_bytes,
            };
            let mut pace = Pace::default();
            for _ in 0..2 {
                let text = pace.describe(&counts, at(seconds));
                prop_assert!(!text.contains(char::is_control), "{}", text);
            }
        }
    }
}
