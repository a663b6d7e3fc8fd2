//! The form of arguments: spans of time, sizes, points in time, roles. Anything else is wrong usage.

use model::{StorageLimit, Timestamp};
use policy::Role;
use time::format_description::well_known::Rfc3339;
use time::macros::format_description;
use time::{Date, OffsetDateTime, Time};

/// A hundred years, in seconds.
const LONGEST_SPAN: i64 = 100 * 365 * 86_400;

/// A role from its name.
pub(super) fn role(text: &str) -> Result<Role, String> {
    Role::from_name(text).ok_or_else(|| {
        let names = Role::ALL.map(Role::name).join(", ");
        format!("write one of {names}")
    })
}

/// A span of time in seconds: a number and `s`, `m`, `h` or `d`.
pub(super) fn span(text: &str) -> Result<i64, String> {
    let units = [("s", 1), ("m", 60), ("h", 3_600), ("d", 86_400)];
    number_with(text, &units)
        .filter(|span| *span <= LONGEST_SPAN)
        .ok_or_else(|| "write a number and s, m, h or d, such as 30d".to_owned())
}

/// A quota in bytes, or `none`.
pub(super) fn bytes_or_none(text: &str) -> Result<StorageLimit, String> {
    if text == "none" {
        return Ok(StorageLimit::UNLIMITED);
    }
    let units = [
        ("KiB", 1 << 10),
        ("MiB", 1 << 20),
        ("GiB", 1 << 30),
        ("TiB", 1 << 40),
        ("", 1),
    ];
    let bytes = number_with(text, &units)
        .ok_or_else(|| "write bytes, a number and KiB, MiB, GiB or TiB, or none".to_owned())?;
    StorageLimit::try_from(bytes).map_err(|invalid| invalid.to_string())
}

/// A number and the first of the units that the text ends with, multiplied.
fn number_with(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let (digits, factor) = units
        .iter()
        .find_map(|(unit, factor)| Some((text.strip_suffix(unit)?, *factor)))?;
    // No sign: `parse` would take a plus.
    let digits = Some(digits).filter(|digits| digits.starts_with(|c: char| c.is_ascii_digit()))?;
    digits.parse::<i64>().ok()?.checked_mul(factor)
}

/// A point in time: RFC 3339, or a date, meaning its midnight in UTC.
pub(super) fn time(text: &str) -> Result<Timestamp, String> {
    let day = format_description!("[year]-[month]-[day]");
    let day = Date::parse(text, day).map(|day| day.with_time(Time::MIDNIGHT).assume_utc());
    day.or_else(|_| OffsetDateTime::parse(text, &Rfc3339))
        .map(Timestamp::from)
        .map_err(|_| "write 2026-01-31 or 2026-01-31T12:00:00Z".to_owned())
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn spans_and_sizes_have_units() {
        assert_eq!(span("30d"), Ok(2_592_000));
        assert_eq!(span("5m"), Ok(300));
        for bad in [
            "",
            "d",
            "30",
            "-1d",
            "1w",
            "1.5h",
            "+1d",
            "36501d",
            "99999999999999999999d",
            "é",
        ] {
            assert!(span(bad).is_err(), "{bad}");
        }
        let limit = |text: &str| bytes_or_none(text).map(StorageLimit::bytes);
        assert_eq!(limit("10GiB"), Ok(10 << 30));
        assert_eq!(limit("10737418240"), Ok(10 << 30));
        assert_eq!(limit("none"), Ok(-1));
        for bad in ["", "GiB", "0", "-1", "1 GB", "2000TiB", "é"] {
            assert!(bytes_or_none(bad).is_err(), "{bad}");
        }
    }

    #[test]
    fn a_time_is_a_day_or_a_moment() {
        let midnight = time("2026-01-02").unwrap();
        assert_eq!(midnight.to_string(), "2026-01-02T00:00:00.000Z");
        let moment = time("2026-01-02T03:04:05.5+02:00").unwrap();
        assert_eq!(moment.to_string(), "2026-01-02T01:04:05.500Z");
        for bad in ["", "yesterday", "2026-13-01", "2026-01-02T03:04"] {
            assert!(time(bad).is_err(), "{bad}");
        }
    }

    proptest! {
        #[test]
        fn no_text_makes_the_parsers_panic(text in any::<String>()) {
            let _ = (span(&text), bytes_or_none(&text), time(&text), role(&text));
        }
    }
}
