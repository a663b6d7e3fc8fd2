//! Versions of tags: when and where each was last set or deleted. Between installations that copy from one another, the
//! later version wins everywhere, whichever of them compares.

use crate::{Digest, InstallationId, Timestamp};

/// What a tag is, and since when: what it names, or that it was deleted.
///
/// States are ordered by time, then by origin; what is still the same is ordered somehow, but everywhere the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct TagState {
    /// What it names; `None` where it was deleted.
    pub digest: Option<Digest>,
    /// When that happened, by the clock of the origin.
    pub at: Timestamp,
    /// Where it happened.
    pub origin: InstallationId,
}

impl TagState {
    /// Whether this one replaces another one.
    pub fn is_later_than(&self, other: &Self) -> bool {
        let order = |it: &Self| (it.at, it.origin, it.digest);
        order(self) > order(other)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::Algorithm;

    fn state(at: i64, origin: u8, of: Option<u8>) -> TagState {
        TagState {
            digest: of.map(|byte| Digest::of(Algorithm::Sha256, &[byte])),
            at: Timestamp(at),
            origin: InstallationId::new([origin; 16]),
        }
    }

    proptest! {
        #[test]
        fn of_two_different_states_exactly_one_is_later(
            (one, other) in ((0..3_i64, 0..3_u8, proptest::option::of(0..3_u8)),
                (0..3_i64, 0..3_u8, proptest::option::of(0..3_u8)))
        ) {
            let (one, other) = (state(one.0, one.1, one.2), state(other.0, other.1, other.2));
            let later = (one.is_later_than(&other), other.is_later_than(&one));
            prop_assert_eq!(later.0 != later.1, one != other);
        }
    }

    #[test]
    fn time_counts_before_the_origin() {
        assert!(state(2, 0, None).is_later_than(&state(1, 9, Some(1))));
        assert!(state(1, 9, None).is_later_than(&state(1, 0, Some(1))));
    }
}
