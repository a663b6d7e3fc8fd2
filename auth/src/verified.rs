//! A cache of recently verified credentials, so that a client that sends them again costs no slow hash. Failures are
//! not cached: see `throttle`.

use std::fmt;
use std::time::Duration;

use aws_lc_rs::hmac;
use moka::sync::Cache;

const LARGEST: u64 = 10_000;
const LIFETIME: Duration = Duration::from_secs(60);

/// A bounded cache of verified names and passwords; it stores only a hash under a key that exists only in this process.
pub struct VerifiedCredentials {
    key: hmac::Key,
    entries: Cache<[u8; 32], Verified>,
}

/// The account of verified credentials.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Verified {
    /// The account's id.
    pub account: i64,
    /// The account's generation when its password was verified; once that has changed, the entry is void.
    pub generation: i64,
}

impl VerifiedCredentials {
    /// An empty cache of at most 10,000 credentials, each for 60 seconds.
    ///
    /// # Panics
    ///
    /// When the system gives no random bytes.
    pub fn new() -> Self {
        let key = hmac::Key::generate(hmac::HMAC_SHA256, &aws_lc_rs::rand::SystemRandom::new());
        let entries = Cache::builder()
            .max_capacity(LARGEST)
            .time_to_live(LIFETIME)
            .support_invalidation_closures()
            .build();
        Self {
            key: key.expect("the system gives random bytes"),
            entries,
        }
    }

    /// The account of these credentials, if they were verified within the last minute.
    ///
    /// The caller compares the generation with the account's current one: a password that was verified while it was
    /// being changed may have been added after [`VerifiedCredentials::forget_account`].
    pub fn get(&self, name: &str, password: &str) -> Option<Verified> {
        self.entries.get(&self.key(name, password))
    }

    /// Caches these credentials as those of `verified`, as read before the password was checked.
    pub fn put(&self, name: &str, password: &str, verified: Verified) {
        self.entries.insert(self.key(name, password), verified);
    }

    /// Removes all credentials of an account, as when its password changes or it is deleted.
    pub fn forget_account(&self, account: i64) {
        self.entries
            .invalidate_entries_if(move |_, verified| verified.account == account)
            .expect("the cache is built with support for this");
    }

    /// The cache key of these credentials; only this process can compute it.
    pub fn key(&self, name: &str, password: &str) -> [u8; 32] {
        let mut hash = hmac::Context::with_key(&self.key);
        // the length keeps `ab` + `c` apart from `a` + `bc`
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
        account: 7,
        generation: 1,
    };
    const BOB: Verified = Verified {
        account: 8,
        generation: 1,
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
    fn a_forgotten_account_is_unknown_under_every_password_and_others_stay() {
        let known = VerifiedCredentials::new();
        known.put("alice", "secret", ALICE);
        known.put("alice@example", "secret", ALICE);
        known.put("bob", "secret", BOB);
        known.forget_account(ALICE.account);
        assert_eq!(known.get("alice", "secret"), None);
        assert_eq!(known.get("alice@example", "secret"), None);
        assert_eq!(known.get("bob", "secret"), Some(BOB));
    }

    #[test]
    fn a_forgotten_account_can_be_known_again() {
        let known = VerifiedCredentials::new();
        known.put("alice", "old", ALICE);
        known.forget_account(ALICE.account);
        let renewed = Verified {
            generation: 2,
            ..ALICE
        };
        known.put("alice", "new", renewed);
        assert_eq!(known.get("alice", "new"), Some(renewed));
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
