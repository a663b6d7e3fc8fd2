//! A cache of recently verified credentials, so that a client that sends them again costs no slow hash. Failures are
//! not cached: see `throttle`.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use model::{PrincipalId, Timestamp};
use moka::sync::Cache;

use crate::sender::Place;

const LARGEST: u64 = 10_000;
const LIFETIME: Duration = Duration::from_secs(60);

/// A bounded cache of verified names and passwords; it stores only a hash under a key that exists only in this process.
pub(crate) struct VerifiedCredentials {
    key: hmac::Key,
    entries: Cache<[u8; 32], Verified>,
}

/// The principal of verified credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Verified {
    /// The principal's id.
    pub(crate) principal: PrincipalId,
    /// The principal's generation when its password was verified; once that has changed, the entry is void.
    pub(crate) generation: i64,
    /// What was verified.
    pub(crate) by: Proof,
}

/// The kind of credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Proof {
    /// A password, or a robot's secret.
    Password,
    /// The secret before a robot's present one, which works until then.
    PreviousSecret(Timestamp),
    /// A CLI secret, which is valid only at [`Place::Tools`].
    CliSecret,
}

impl Verified {
    /// True if these credentials are valid there.
    pub(crate) fn counts_at(&self, place: Place) -> bool {
        match self.by {
            Proof::Password | Proof::PreviousSecret(_) => true,
            Proof::CliSecret => place == Place::Tools,
        }
    }
}

impl VerifiedCredentials {
    /// An empty cache of at most 10,000 credentials, each for 60 seconds.
    ///
    /// # Panics
    ///
    /// When the system gives no random bytes.
    pub(crate) fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &aws_lc_rs::rand::SystemRandom::new());
        let entries = Cache::builder()
            .max_capacity(LARGEST)
            .time_to_live(LIFETIME)
            .build();
        Self {
            key: key.expect("the system gives random bytes"),
            entries,
        }
    }

    /// The principal of these credentials, if they were verified within the last minute.
    ///
    /// The caller compares the generation with the present one: the password may have changed since.
    pub(crate) fn get(&self, name: &str, password: &str) -> Option<Verified> {
        self.entries.get(&self.key(name, password))
    }

    /// Caches these credentials as those of `verified`, as read before the password was checked.
    pub(crate) fn put(&self, name: &str, password: &str, verified: Verified) {
        self.entries.insert(self.key(name, password), verified);
    }

    /// The cache key of these credentials; only this process can compute it.
    pub(crate) fn key(&self, name: &str, password: &str) -> [u8; 32] {
        let mut hash = hmac::Context::with_key(&self.key);
        // the length distinguishes `ab` + `c` from `a` + `bc`
        hash.update(&name.len().to_le_bytes());
        hash.update(name.as_bytes());
        hash.update(password.as_bytes());
        hash.sign()
            .as_ref()
            .try_into()
            .expect("HMAC-SHA256 is 32 bytes")
    }
}

impl Default for VerifiedCredentials {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for VerifiedCredentials {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("VerifiedCredentials")
            .field("entries", &self.entries.entry_count())
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const ALICE: Verified = Verified {
        principal: PrincipalId(7),
        generation: 1,
        by: Proof::Password,
    };

    #[test]
    fn only_the_very_credentials_are_known() {
        let known = VerifiedCredentials::new();
        known.put("alice", "secret", ALICE);
        assert_eq!(known.get("alice", "secret"), Some(ALICE));
        for (name, password) in [
            ("alice", "Secret"),
            ("bob", "secret"),
            ("alic", "esecret"),
            ("", ""),
        ] {
            assert_eq!(known.get(name, password), None);
        }
    }

    #[test]
    fn the_memory_is_bounded() {
        let known = VerifiedCredentials::new();
        for number in 0..LARGEST + 1_000 {
            known.put(&number.to_string(), "secret", ALICE);
        }
        known.entries.run_pending_tasks();
        assert!(known.entries.entry_count() <= LARGEST);
    }
}
