//! How many bytes a project may be allowed to hold.

/// The largest limit: 1 PiB.
const LARGEST_LIMIT: i64 = 1 << 50;
/// No limit.
pub(crate) const UNLIMITED: i64 = -1;

/// A limit that may be set.
///
/// # Errors
/// Why it may not.
pub fn check_quota(limit: i64) -> Result<i64, String> {
    match limit {
        UNLIMITED | 1..=LARGEST_LIMIT => Ok(limit),
        ..1 => Err(format!(
            "invalid non-positive value for quota limit, value={limit}"
        )),
        _ => Err(format!(
            "1024TB is the maximum limitation for quota limit, value={limit}"
        )),
    }
}
