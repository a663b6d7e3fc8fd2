//! How much a project may hold.

/// Maximum bytes that a project may hold: up to 1 PiB, or no limit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StorageLimit(i64);

/// Why a number is not a limit. The messages are Harbor's.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum InvalidLimit {
    /// It is neither a number of bytes nor -1.
    #[error("invalid non-positive value for quota limit, value={0}")]
    NotPositive(i64),
    /// It is more than 1 PiB.
    #[error("1024TB is the maximum limitation for quota limit, value={0}")]
    TooLarge(i64),
}

/// 1 PiB.
const LARGEST: i64 = 1 << 50;

impl StorageLimit {
    /// No limit.
    pub const UNLIMITED: Self = Self(-1);

    /// The number of bytes; -1 for no limit.
    pub const fn bytes(self) -> i64 {
        self.0
    }
}

impl TryFrom<i64> for StorageLimit {
    type Error = InvalidLimit;

    /// The limit of a number of bytes, or none for -1.
    fn try_from(bytes: i64) -> Result<Self, InvalidLimit> {
        match bytes {
            -1 | 1..=LARGEST => Ok(Self(bytes)),
            ..1 => Err(InvalidLimit::NotPositive(bytes)),
            _ => Err(InvalidLimit::TooLarge(bytes)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_limit_is_a_number_of_bytes_up_to_1_pib_or_none() {
        let limit = |bytes: i64| StorageLimit::try_from(bytes).map(StorageLimit::bytes);
        for good in [-1, 1, LARGEST] {
            assert_eq!(limit(good), Ok(good));
        }
        for bad in [i64::MIN, -2, 0] {
            assert_eq!(limit(bad), Err(InvalidLimit::NotPositive(bad)));
        }
        assert_eq!(limit(LARGEST + 1), Err(InvalidLimit::TooLarge(LARGEST + 1)));
    }
}
