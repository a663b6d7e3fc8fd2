//! Passwords that a directory has confirmed, so that it need not be asked again at each request.
//!
//! A proof is fresh for `ldap_password_secs`. After that a use succeeds on the old proof while the directory is asked
//! again in the background, one check at a time: it revokes the proof, or renews it, or cannot be asked. In the last
//! case the proof is valid until `ldap_outage_secs` have passed. The database is asked at each use whether the account
//! may still sign in.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use model::Timestamp;
use moka::sync::Cache;
use parking_lot::Mutex;

use crate::verified::Verified;

const LARGEST: u64 = 10_000;
/// Maximum age of proofs: the maximum of `ldap_outage_secs`.
const LIFETIME: Duration = Duration::from_secs(86_400);
/// Maximum proofs to check again at a time.
const MOST_CHECKS: usize = 256;
/// Minimum time before a proof that could not be checked is checked again.
const PAUSE: Duration = Duration::from_secs(5);

/// The proofs. Only a hash of names and passwords is kept, under a key that exists only in this process.
pub(crate) struct Proofs {
    entries: Cache<[u8; 32], Proof>,
    checked: Mutex<HashSet<[u8; 32]>>,
}

/// When a password was right.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Proof {
    verified: Verified,
    at: Timestamp,
    /// When the last failed check was.
    failed_at: Option<Timestamp>,
    /// The directory that confirmed it.
    epoch: u64,
}

/// How long proofs are valid.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Terms {
    /// Without asking again.
    pub(crate) fresh: Duration,
    /// While the directory does not answer.
    pub(crate) outage: Duration,
    /// The present directory.
    pub(crate) epoch: u64,
}

/// What is known about a password.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Recall {
    /// Nothing.
    Unknown,
    /// It is right.
    Right(Verified),
    /// It was right, and the caller must check it again.
    CheckAgain(Verified),
}

impl Proofs {
    pub(crate) fn new() -> Self {
        Self {
            entries: Cache::builder()
                .max_capacity(LARGEST)
                .time_to_live(LIFETIME)
                .build(),
            checked: Mutex::default(),
        }
    }

    /// What is known about a password now.
    pub(crate) fn recall(&self, key: &[u8; 32], terms: Terms, now: Timestamp) -> Recall {
        let Some(proof) = self.entries.get(key) else {
            return Recall::Unknown;
        };
        // Set by a fast clock: its age is unknown.
        if proof.at > now {
            return Recall::Unknown;
        }
        let age = now.since(proof.at);
        if age <= terms.fresh && proof.epoch == terms.epoch {
            return Recall::Right(proof.verified);
        }
        if age > terms.outage.max(terms.fresh) || proof.epoch != terms.epoch {
            return Recall::Unknown;
        }
        let is_paused = proof
            .failed_at
            .is_some_and(|at| at <= now && now.since(at) < PAUSE);
        match !is_paused && self.begin(key) {
            true => Recall::CheckAgain(proof.verified),
            false => Recall::Right(proof.verified),
        }
    }

    /// True if it is not being checked already, and not too many are.
    fn begin(&self, key: &[u8; 32]) -> bool {
        let mut checked = self.checked.lock();
        checked.len() < MOST_CHECKS && checked.insert(*key)
    }

    fn end_check(&self, key: &[u8; 32]) {
        self.checked.lock().remove(key);
    }

    /// The directory has confirmed it.
    pub(crate) fn put(&self, key: [u8; 32], verified: Verified, (at, epoch): (Timestamp, u64)) {
        let proof = Proof {
            verified,
            at,
            failed_at: None,
            epoch,
        };
        self.entries.insert(key, proof);
    }

    /// The directory could not be asked.
    pub(crate) fn could_not_check(&self, key: &[u8; 32], now: Timestamp) {
        if let Some(proof) = self.entries.get(key) {
            let failed_at = Some(now);
            self.entries.insert(*key, Proof { failed_at, ..proof });
        }
    }

    /// It is not right any more.
    pub(crate) fn forget(&self, key: &[u8; 32]) {
        self.entries.invalidate(key);
    }
}

/// A check after [`Recall::CheckAgain`]. It ends when this is dropped, even by a panic.
pub(crate) struct Check {
    proofs: Arc<Proofs>,
    key: [u8; 32],
}

impl Check {
    pub(crate) fn new(proofs: Arc<Proofs>, key: [u8; 32]) -> Self {
        Self { proofs, key }
    }
}

impl Drop for Check {
    fn drop(&mut self) {
        self.proofs.end_check(&self.key);
    }
}

#[cfg(test)]
mod tests {
    use model::PrincipalId;

    use super::*;
    use crate::verified;

    const ALICE: Verified = Verified {
        principal: PrincipalId(7),
        generation: 1,
        by: verified::Proof::Password,
    };
    const TERMS: Terms = Terms {
        fresh: Duration::from_secs(600),
        outage: Duration::from_secs(3_600),
        epoch: 1,
    };

    fn at(seconds: i64) -> Timestamp {
        Timestamp(seconds * 1_000_000)
    }

    #[test]
    fn a_proof_is_fresh_then_checked_once_at_a_time_and_ends() {
        let (proofs, key) = (Proofs::new(), [1; 32]);
        assert_eq!(proofs.recall(&key, TERMS, at(0)), Recall::Unknown);
        proofs.put(key, ALICE, (at(0), 1));
        assert_eq!(proofs.recall(&key, TERMS, at(600)), Recall::Right(ALICE));
        assert_eq!(
            proofs.recall(&key, TERMS, at(601)),
            Recall::CheckAgain(ALICE)
        );
        // Another use meanwhile.
        assert_eq!(proofs.recall(&key, TERMS, at(601)), Recall::Right(ALICE));
        // The directory is down.
        proofs.could_not_check(&key, at(602));
        proofs.end_check(&key);
        assert_eq!(proofs.recall(&key, TERMS, at(603)), Recall::Right(ALICE));
        assert_eq!(
            proofs.recall(&key, TERMS, at(610)),
            Recall::CheckAgain(ALICE)
        );
        proofs.end_check(&key);
        assert_eq!(proofs.recall(&key, TERMS, at(3_601)), Recall::Unknown);
        // The password was changed.
        proofs.put(key, ALICE, (at(4_000), 1));
        proofs.forget(&key);
        assert_eq!(proofs.recall(&key, TERMS, at(4_000)), Recall::Unknown);
    }

    #[test]
    fn a_clock_that_was_ahead_makes_no_proof_last_longer() {
        let (proofs, key) = (Proofs::new(), [1; 32]);
        proofs.put(key, ALICE, (at(86_400), 1));
        assert_eq!(proofs.recall(&key, TERMS, at(100)), Recall::Unknown);
        // Put back after the last check failed.
        proofs.put(key, ALICE, (at(100), 1));
        proofs.could_not_check(&key, at(86_400));
        assert_eq!(
            proofs.recall(&key, TERMS, at(800)),
            Recall::CheckAgain(ALICE)
        );
    }

    #[test]
    fn a_check_ends_however_its_task_does() {
        let proofs = Arc::new(Proofs::new());
        let key = [1; 32];
        proofs.put(key, ALICE, (at(0), 1));
        for _ in 0..2 {
            assert_eq!(
                proofs.recall(&key, TERMS, at(700)),
                Recall::CheckAgain(ALICE)
            );
            let check = Check::new(proofs.clone(), key);
            let panics = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
                let _check = check;
                panic!("at an answer");
            }));
            panics.unwrap_err();
        }
    }

    #[test]
    fn another_directory_proves_anew() {
        let (proofs, key) = (Proofs::new(), [1; 32]);
        proofs.put(key, ALICE, (at(0), 1));
        let other = Terms { epoch: 2, ..TERMS };
        assert_eq!(proofs.recall(&key, other, at(0)), Recall::Unknown);
    }
}
