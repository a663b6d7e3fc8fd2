//! The stage of a notice, as its ID names it, and its severity.

/// For something that ends in this many days.
pub(super) fn before_end(days: i64) -> (&'static str, &'static str) {
    match days {
        ..0 => ("ended", "error"),
        0 => ("0d", "error"),
        1..=3 => ("3d", "warning"),
        _ => ("14d", "info"),
    }
}

/// For a quota of which this percentage is used.
pub(super) fn of_quota(percent: i64) -> (&'static str, &'static str) {
    match percent {
        ..100 => ("90", "warning"),
        _ => ("100", "error"),
    }
}

/// For a webhook's receiver that does not answer.
pub(super) const fn of_webhook(skipped: bool) -> (&'static str, &'static str) {
    match skipped {
        false => ("waits", "warning"),
        true => ("skipped", "error"),
    }
}

/// How much of a limit is used.
pub(super) fn percent(used: i64, limit: i64) -> i64 {
    match limit {
        ..=0 => 100,
        _ => i64::try_from(i128::from(used) * 100 / i128::from(limit)).unwrap_or(i64::MAX),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_stage_is_a_notice_of_its_own() {
        let stages = [14, 4, 3, 1, 0, -1].map(|days| before_end(days).0);
        assert_eq!(stages, ["14d", "14d", "3d", "3d", "0d", "ended"]);
        assert_eq!(
            [90, 99, 100, 250].map(|part| of_quota(part).0),
            ["90", "90", "100", "100"]
        );
    }

    #[test]
    fn percent_of_anything_is_a_number() {
        assert_eq!(percent(9, 10), 90);
        assert_eq!(percent(5, 0), 100);
        assert_eq!(percent(i64::MAX, 1), i64::MAX);
    }
}
