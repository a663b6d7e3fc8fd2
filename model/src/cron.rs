//! Recurring times: six fields, as in Harbor's schedules, in UTC.

use std::fmt;
use std::str::FromStr;

use chrono::{DateTime, Utc};
use croner::parser::{CronParser, Seconds, Year};

use crate::Timestamp;

/// A cron expression of exactly six fields: second, minute, hour, day of the month, month, day of the week (0 is
/// Sunday). Fields take ranges, lists, steps and names; there are no words such as `@daily`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cron {
    text: String,
    parsed: croner::Cron,
}

/// The text is not a [`Cron`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("a schedule has six fields: second, minute, hour, day of month, month, day of week")]
pub struct InvalidCron;

impl Cron {
    /// The first moment after `at`; `None` if there is none.
    pub fn next_after(&self, at: Timestamp) -> Option<Timestamp> {
        let at = DateTime::<Utc>::from_timestamp_micros(at.0)?;
        let next = self.parsed.find_next_occurrence(&at, false).ok()?;
        Some(Timestamp(next.timestamp_micros()))
    }

    /// The moments after `at`, as many of `count` as there are.
    pub fn following(&self, at: Timestamp, count: usize) -> Vec<Timestamp> {
        let next = |at: &Timestamp| self.next_after(*at);
        std::iter::successors(self.next_after(at), next)
            .take(count)
            .collect()
    }
}

impl FromStr for Cron {
    type Err = InvalidCron;

    fn from_str(text: &str) -> Result<Self, InvalidCron> {
        let parser = CronParser::builder()
            .seconds(Seconds::Required)
            .year(Year::Disallowed)
            // Harbor accepts `5/10`.
            .sloppy_ranges(true)
            .build();
        if text.split_ascii_whitespace().count() != FIELDS {
            return Err(InvalidCron);
        }
        let parsed = parser.parse(text).map_err(|_| InvalidCron)?;
        let text = text.to_owned();
        Ok(Self { text, parsed })
    }
}

/// How many fields an expression has.
const FIELDS: usize = 6;

impl fmt::Display for Cron {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    fn next(text: &str) -> Option<String> {
        let at = Timestamp::from(datetime!(2026-11-29 04:17:00.5 UTC));
        let next = text.parse::<Cron>().unwrap().next_after(at)?;
        Some(next.to_string())
    }

    #[test]
    fn harbors_schedules_mean_what_they_mean_there() {
        for (text, at) in [
            ("0 0 * * * *", "2026-11-29T05:00:00.000Z"),
            ("0 0 0 * * *", "2026-11-30T00:00:00.000Z"),
            // 2026-11-29 is a Sunday.
            ("0 0 0 * * 0", "2026-12-06T00:00:00.000Z"),
            ("0 0 0 * * SUN", "2026-12-06T00:00:00.000Z"),
            ("0 5/10 * * * *", "2026-11-29T04:25:00.000Z"),
            ("0 0 2-4,8 1 JAN *", "2027-01-01T02:00:00.000Z"),
            // If both days are given, either is enough.
            ("0 0 0 1 * MON", "2026-11-30T00:00:00.000Z"),
        ] {
            assert_eq!(next(text).as_deref(), Some(at), "{text}");
        }
        assert_eq!(next("0 0 0 31 2 *"), None, "never");
    }

    #[test]
    fn the_following_moments_rise() {
        let daily: Cron = "0 30 2 * * *".parse().unwrap();
        let at = Timestamp::from(datetime!(2026-12-30 02:30:00 UTC));
        let moments = daily.following(at, 3).iter().map(Timestamp::to_string);
        let expected = [
            "2026-12-31T02:30:00.000Z",
            "2027-01-01T02:30:00.000Z",
            "2027-01-02T02:30:00.000Z",
        ];
        assert_eq!(moments.collect::<Vec<_>>(), expected);
        let never: Cron = "0 0 0 31 2 *".parse().unwrap();
        assert_eq!(never.following(at, 3), []);
    }

    #[test]
    fn only_six_fields_are_a_schedule() {
        for text in [
            "",
            "@daily",
            "0 0 * * *",
            "0 0 0 * * * 2027",
            "0 0 0 0 0 0",
            "x 0 0 * * *",
        ] {
            assert_eq!(text.parse::<Cron>(), Err(InvalidCron), "{text:?}");
        }
    }

    proptest! {
        #[test]
        fn a_valid_schedule_prints_back_unchanged(
            second in 0..60, minute in 0..60, hour in 0..24, step in 1..12, day in 0..7,
        ) {
            let text = format!("{second} {minute} {hour}/{step} * 1-6 {day}");
            prop_assert_eq!(text.parse::<Cron>().unwrap().to_string(), text);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC*", fields in "[0-9*/,?LW#A-Z-]{1,3}( [0-9*/,?LW#A-Z-]{1,3}){5}") {
            for text in [text, fields] {
                if let Ok(cron) = text.parse::<Cron>() {
                    cron.next_after(Timestamp(0));
                }
            }
        }
    }
}
