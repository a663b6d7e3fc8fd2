//! Passwords of local accounts: the rules, and argon2id off the async threads, with bounded memory and queues. Random
//! secrets of robots need no slow hash: see [`crate::robot::secret`].

use std::collections::HashMap;
use std::fmt;
use std::sync::Arc;
use std::thread::available_parallelism;
use std::time::Duration;

use argon2::password_hash::{Ident, Output, ParamsString, PasswordHash, Salt, SaltString};
use argon2::{Algorithm, Argon2, Block, Params, Version};
use aws_lc_rs::constant_time::verify_slices_are_equal;
use model::Network;
use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};
use tokio::task::{JoinError, spawn_blocking};
use zeroize::Zeroizing;

/// KiB of memory that one hash takes; with the two below, [OWASP's first choice] for argon2id.
///
/// [OWASP's first choice]: https://cheatsheetseries.owasp.org/cheatsheets/Password_Storage_Cheat_Sheet.html
const MEMORY_KIB: u32 = 19 * 1024;
const PASSES: u32 = 2;
const LANES: u32 = 1;

/// Bytes of salt and of hash.
const SALT_LEN: usize = 16;
const HASH_LEN: usize = 32;

/// Maximum memory that a stored hash may require, in KiB: eight times ours.
const LARGEST_MEMORY_KIB: u32 = 8 * MEMORY_KIB;

/// Maximum hashes that wait or run: for callers who are signed in or were lately; for strangers; and for strangers from
/// one network.
const MOST_KNOWN: usize = 256;
const MOST_STRANGERS: usize = 256;
const MOST_OF_NETWORK: usize = 128;

/// When to retry after [`PasswordError::Busy`]: a full queue drains in a few seconds.
pub const BUSY_RETRY: Duration = Duration::from_secs(2);

/// The hash to verify if there is no account, so that the answer takes as long. No password hashes to zeros.
const NO_ACCOUNT: &str = "$argon2id$v=19$m=19456,t=2,p=1$Z2FudHJ5LW5vYWNjb3VudA\
                          $AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA";

/// Which rule a password breaks.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum WeakPassword {
    /// It has fewer than 8 or more than 128 characters.
    #[error("a password needs 8 to 128 characters")]
    Length,
    /// It has no lower-case letter.
    #[error("a password needs at least one lower-case letter")]
    NoLowerCase,
    /// It has no upper-case letter.
    #[error("a password needs at least one upper-case letter")]
    NoUpperCase,
    /// It has no digit.
    #[error("a password needs at least one digit")]
    NoDigit,
}

/// A password that keeps the rule: 8 to 128 characters with a lower-case letter, an upper-case letter and a digit. It
/// does not print, and is wiped when dropped.
#[derive(Clone)]
pub struct NewPassword(Zeroizing<String>);

impl NewPassword {
    /// The text, for those who hash or compare it.
    pub fn expose(&self) -> &str {
        &self.0
    }
}

impl TryFrom<String> for NewPassword {
    type Error = WeakPassword;

    /// The error is the first broken rule.
    fn try_from(text: String) -> Result<Self, WeakPassword> {
        let password = Zeroizing::new(text);
        // Counted no further than needed.
        let length = password.chars().take(129).count();
        if !(8..=128).contains(&length) {
            return Err(WeakPassword::Length);
        }
        let has = |kind: fn(char) -> bool| password.chars().any(kind);
        if !has(char::is_lowercase) {
            return Err(WeakPassword::NoLowerCase);
        }
        if !has(char::is_uppercase) {
            return Err(WeakPassword::NoUpperCase);
        }
        if !has(|letter| letter.is_ascii_digit()) {
            return Err(WeakPassword::NoDigit);
        }
        Ok(Self(password))
    }
}

impl fmt::Debug for NewPassword {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("***")
    }
}

/// Why a password could not be hashed or verified; a wrong password is not an error.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum PasswordError {
    /// The stored hash is not one that this module made.
    #[error("a stored password hash does not parse")]
    Unreadable,
    /// The hash could not be computed.
    #[error("cannot hash the password")]
    Hash(#[source] argon2::Error),
    /// The system provided no random bytes for a salt.
    #[error("the system gave no random bytes")]
    Random,
    /// Too many passwords wait to be hashed: retry after [`BUSY_RETRY`].
    #[error("too many logins at a time: try again in {} s", BUSY_RETRY.as_secs())]
    Busy,
    /// The task was cancelled, as happens when the runtime stops.
    #[error("hashing the password was interrupted")]
    Interrupted(#[source] JoinError),
}

/// Who a password is hashed for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Applicant {
    /// A caller who is signed in, or was lately from the same network.
    Known,
    /// Anyone else, from this network.
    Stranger(Network),
}

/// Hashes and verifies passwords, a few at a time: each takes 19 MiB, and a core for about 20 ms.
///
/// Strangers get half of the cores and their own queues, so that no number of them delays known callers much.
#[derive(Debug, Clone)]
pub struct PasswordHasher {
    cores: Arc<Semaphore>,
    for_strangers: Arc<Semaphore>,
    waiting: Arc<Mutex<Waiting>>,
}

/// Number of waiting and running hashes.
#[derive(Debug, Default)]
struct Waiting {
    known: usize,
    strangers: HashMap<Network, usize>,
}

impl PasswordHasher {
    /// Hashes at most as many passwords concurrently as there are cores.
    pub fn new() -> Self {
        Self::with_cores(available_parallelism().map_or(1, |cores| cores.get()))
    }

    fn with_cores(cores: usize) -> Self {
        Self {
            cores: Arc::new(Semaphore::new(cores)),
            for_strangers: Arc::new(Semaphore::new(cores.div_ceil(2))),
            waiting: Arc::default(),
        }
    }

    /// Waits until a core is free for one hash.
    ///
    /// The throttle is consulted again between this and [`Slot::verify`]: if a thousand guesses arrived at once and
    /// were let through, the later ones then know the outcomes of the earlier ones.
    ///
    /// # Errors
    ///
    /// [`PasswordError::Busy`] at once if too many are waiting.
    pub async fn slot(&self, applicant: Applicant) -> Result<Slot, PasswordError> {
        let place = self.enqueue(applicant).ok_or(PasswordError::Busy)?;
        let for_strangers = match applicant {
            Applicant::Known => None,
            Applicant::Stranger(_) => Some(acquire(&self.for_strangers).await),
        };
        Ok(Slot {
            _core: acquire(&self.cores).await,
            _for_strangers: for_strangers,
            _place: place,
        })
    }

    fn enqueue(&self, applicant: Applicant) -> Option<Place> {
        let mut waiting = self.waiting.lock();
        match applicant {
            Applicant::Known => {
                if waiting.known == MOST_KNOWN {
                    return None;
                }
                waiting.known += 1;
            }
            Applicant::Stranger(network) => {
                if waiting.strangers.values().sum::<usize>() >= MOST_STRANGERS {
                    return None;
                }
                let count = waiting.strangers.entry(network).or_default();
                if *count == MOST_OF_NETWORK {
                    return None;
                }
                *count += 1;
            }
        }
        Some(Place {
            applicant,
            waiting: self.waiting.clone(),
        })
    }

    /// Hashes a new password for a known caller, in the form to store (PHC).
    ///
    /// # Errors
    ///
    /// [`PasswordError`].
    pub async fn hash(&self, password: &NewPassword) -> Result<String, PasswordError> {
        self.hash_for(Applicant::Known, password).await
    }

    /// As [`PasswordHasher::hash`], for any applicant.
    ///
    /// # Errors
    ///
    /// [`PasswordError`].
    pub async fn hash_for(
        &self,
        applicant: Applicant,
        password: &NewPassword,
    ) -> Result<String, PasswordError> {
        let password = password.clone();
        let slot = self.slot(applicant).await?;
        slot.run(move || hash(password.expose())).await
    }

    /// True if `stored` is the hash of `password`, for a known caller; without a hash, false after the same time.
    ///
    /// # Errors
    ///
    /// [`PasswordError`]; a wrong password is `Ok(false)`.
    pub async fn verify(
        &self,
        password: &str,
        stored: Option<&str>,
    ) -> Result<bool, PasswordError> {
        let slot = self.slot(Applicant::Known).await?;
        slot.verify(password, stored, |right| right).await
    }
}

impl Default for PasswordHasher {
    fn default() -> Self {
        Self::new()
    }
}

async fn acquire(semaphore: &Arc<Semaphore>) -> OwnedSemaphorePermit {
    let permit = Arc::clone(semaphore).acquire_owned().await;
    permit.expect("the semaphore is never closed")
}

/// A place in a queue for hashing, released on drop.
#[derive(Debug)]
struct Place {
    applicant: Applicant,
    waiting: Arc<Mutex<Waiting>>,
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut waiting = self.waiting.lock();
        match self.applicant {
            Applicant::Known => waiting.known -= 1,
            Applicant::Stranger(network) => {
                let Some(count) = waiting.strangers.get_mut(&network) else {
                    return;
                };
                *count -= 1;
                if *count == 0 {
                    waiting.strangers.remove(&network);
                }
            }
        }
    }
}

/// The right to compute one hash now.
#[derive(Debug)]
pub struct Slot {
    _core: OwnedSemaphorePermit,
    _for_strangers: Option<OwnedSemaphorePermit>,
    _place: Place,
}

impl Slot {
    /// Calls `then` with whether `stored` is the hash of `password`, and returns its result; without a hash, false
    /// after the same time. `then` runs even if the caller no longer waits.
    ///
    /// # Errors
    ///
    /// [`PasswordError`]; a wrong password is not an error.
    pub async fn verify<T: Send + 'static>(
        self,
        password: &str,
        stored: Option<&str>,
        then: impl FnOnce(bool) -> T + Send + 'static,
    ) -> Result<T, PasswordError> {
        let password = Zeroizing::new(password.to_owned());
        let stored = stored.unwrap_or(NO_ACCOUNT).to_owned();
        self.run(move || verify(&password, &stored).map(then)).await
    }

    /// Runs `work` off the async threads, and keeps the slot until it ends even if nobody waits any more.
    async fn run<T: Send + 'static>(
        self,
        work: impl FnOnce() -> Result<T, PasswordError> + Send + 'static,
    ) -> Result<T, PasswordError> {
        let slot = self;
        let work = move || {
            let result = work();
            drop(slot);
            result
        };
        spawn_blocking(work)
            .await
            .map_err(PasswordError::Interrupted)?
    }
}

fn hash(password: &str) -> Result<String, PasswordError> {
    let mut salt = [0; SALT_LEN];
    aws_lc_rs::rand::fill(&mut salt).map_err(|_| PasswordError::Random)?;
    let params =
        Params::new(MEMORY_KIB, PASSES, LANES, Some(HASH_LEN)).map_err(PasswordError::Hash)?;
    let hash = compute(password, &salt, &params, HASH_LEN)?;

    let salt = SaltString::encode_b64(&salt).map_err(|_| PasswordError::Unreadable)?;
    let stored = PasswordHash {
        algorithm: Algorithm::Argon2id.ident(),
        version: Some(Version::V0x13.into()),
        params: ParamsString::try_from(&params).map_err(|_| PasswordError::Unreadable)?,
        salt: Some(salt.as_salt()),
        hash: Some(Output::new(&hash).map_err(|_| PasswordError::Unreadable)?),
    };
    Ok(stored.to_string())
}

fn verify(password: &str, stored: &str) -> Result<bool, PasswordError> {
    let (params, salt, expected) = parse(stored).ok_or(PasswordError::Unreadable)?;
    let computed = compute(password, &salt, &params, expected.len())?;
    Ok(verify_slices_are_equal(&computed, expected.as_bytes()).is_ok())
}

/// Parameters, salt and hash of a stored argon2id hash, if its cost is acceptable.
fn parse(stored: &str) -> Option<(Params, Vec<u8>, Output)> {
    let stored = PasswordHash::new(stored).ok()?;
    let ours = stored.algorithm == Ident::from(Algorithm::Argon2id)
        && stored.version == Some(Version::V0x13.into());
    let params = Params::try_from(&stored).ok()?;
    let mut salt = [0; Salt::MAX_LENGTH];
    let salt = stored.salt?.decode_b64(&mut salt).ok()?.to_vec();
    let fits = params.m_cost() <= LARGEST_MEMORY_KIB;
    (ours && fits).then_some((params, salt, stored.hash?))
}

fn compute(
    password: &str,
    salt: &[u8],
    params: &Params,
    length: usize,
) -> Result<Zeroizing<Vec<u8>>, PasswordError> {
    /// glibc always serves requests above 32 MiB by mmap and so returns them to the system when freed; requests of 19
    /// MiB it soon keeps, per thread. Untouched memory costs only address space.
    const ALWAYS_MAPPED: usize = 33 << 10;
    let blocks = params.block_count();
    let mut memory = Vec::with_capacity(blocks.max(ALWAYS_MAPPED));
    memory.resize(blocks, Block::new());
    let mut out = Zeroizing::new(vec![0; length]);
    Argon2::new(Algorithm::Argon2id, Version::V0x13, params.clone())
        .hash_password_into_with_memory(password.as_bytes(), salt, &mut out, &mut memory)
        .map_err(PasswordError::Hash)?;
    Ok(out)
}

#[cfg(test)]
mod tests {
    use argon2::PasswordVerifier as _;
    use futures_util::FutureExt as _;
    use proptest::prelude::*;

    use super::*;

    #[tokio::test]
    async fn a_password_verifies_against_its_own_hash_alone() {
        let hasher = PasswordHasher::new();
        let password = NewPassword::try_from("Correct horse 1".to_owned()).unwrap();
        let stored = hasher.hash(&password).await.unwrap();
        assert!(
            stored.starts_with("$argon2id$v=19$m=19456,t=2,p=1$"),
            "{stored}"
        );
        assert!(
            hasher
                .verify("Correct horse 1", Some(&stored))
                .await
                .unwrap()
        );
        assert!(
            !hasher
                .verify("Correct horse 2", Some(&stored))
                .await
                .unwrap()
        );
        assert!(!hasher.verify("", Some(&stored)).await.unwrap());
        // the library's own verifier agrees
        let parsed = PasswordHash::new(&stored).unwrap();
        assert!(
            Argon2::default()
                .verify_password(b"Correct horse 1", &parsed)
                .is_ok()
        );
    }

    #[tokio::test]
    async fn without_an_account_every_password_is_wrong() {
        assert!(
            !PasswordHasher::new()
                .verify("Correct horse 1", None)
                .await
                .unwrap()
        );
    }

    #[test]
    fn without_an_account_the_work_is_the_same() {
        let (params, salt, hash) = parse(NO_ACCOUNT).unwrap();
        let (m, t, p) = (params.m_cost(), params.t_cost(), params.p_cost());
        assert_eq!((m, t, p), (MEMORY_KIB, PASSES, LANES));
        assert_eq!((salt.len(), hash.len()), (SALT_LEN, HASH_LEN));
    }

    #[tokio::test]
    async fn a_hash_of_another_kind_is_unreadable_and_not_wrong() {
        let hasher = PasswordHasher::new();
        let huge = NO_ACCOUNT.replace("m=19456", "m=4000000");
        let older = NO_ACCOUNT.replace("argon2id", "argon2i");
        for stored in ["", "secret", &huge, &older] {
            let result = hasher.verify("any", Some(stored)).await;
            assert!(matches!(result, Err(PasswordError::Unreadable)), "{stored}");
        }
    }

    fn stranger(number: u8) -> Applicant {
        Applicant::Stranger(Network::of([192, 0, 2, number].into()))
    }

    #[tokio::test]
    async fn no_more_hashes_run_than_there_are_cores() {
        let hasher = PasswordHasher::with_cores(1);
        let slot = hasher.slot(Applicant::Known).await.unwrap();
        assert_eq!(hasher.cores.available_permits(), 0);
        assert!(!slot.verify("any", None, |right| right).await.unwrap());
        assert_eq!(hasher.cores.available_permits(), 1);
    }

    #[tokio::test]
    async fn strangers_wait_in_bounded_queues_and_leave_a_core_to_known_callers() {
        let hasher = PasswordHasher::with_cores(2);
        let running = hasher.slot(stranger(0)).await.unwrap();
        let mut waiting = Vec::new();
        for network in 0..2 {
            let places = if network == 0 { 1 } else { 0 };
            for _ in places..MOST_OF_NETWORK {
                let mut next = Box::pin(hasher.slot(stranger(network)));
                assert!(next.as_mut().now_or_never().is_none());
                waiting.push(next);
            }
            let refused = hasher.slot(stranger(network)).await;
            assert!(matches!(refused, Err(PasswordError::Busy)), "{network}");
        }
        let refused = hasher.slot(stranger(9)).await;
        assert!(matches!(refused, Err(PasswordError::Busy)), "256 wait");
        let known = hasher.slot(Applicant::Known).now_or_never().unwrap();
        drop((running, known.unwrap(), waiting));
        assert!(hasher.waiting.lock().strangers.is_empty());
        assert_eq!(hasher.waiting.lock().known, 0);
    }

    #[tokio::test]
    async fn known_callers_wait_in_a_bounded_queue_too() {
        let hasher = PasswordHasher::with_cores(1);
        let running = hasher.slot(Applicant::Known).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 1..MOST_KNOWN {
            let mut next = Box::pin(hasher.slot(Applicant::Known));
            assert!(next.as_mut().now_or_never().is_none());
            waiting.push(next);
        }
        let refused = hasher.slot(Applicant::Known).await;
        assert!(matches!(refused, Err(PasswordError::Busy)));
        drop((running, waiting));
    }

    #[tokio::test]
    async fn the_outcome_is_known_even_if_nobody_waits_for_it() {
        let hasher = PasswordHasher::with_cores(1);
        let (sender, receiver) = std::sync::mpsc::channel();
        let slot = hasher.slot(stranger(1)).await.unwrap();
        let verify = slot.verify("any", None, move |right| sender.send(right));
        assert!(verify.now_or_never().is_none(), "it is given up at once");
        let right = tokio::task::spawn_blocking(move || receiver.recv()).await;
        assert_eq!(right.unwrap(), Ok(false));
    }

    #[test]
    fn the_rule_says_what_is_missing() {
        let lacks = |text: &str| NewPassword::try_from(text.to_owned()).err();
        assert_eq!(lacks("Abcdef1"), Some(WeakPassword::Length));
        assert_eq!(lacks(&"Aa1".repeat(43)), Some(WeakPassword::Length));
        assert_eq!(lacks("ABCDEFG1"), Some(WeakPassword::NoLowerCase));
        assert_eq!(lacks("abcdefg1"), Some(WeakPassword::NoUpperCase));
        assert_eq!(lacks("Abcdefgh"), Some(WeakPassword::NoDigit));
        assert_eq!(lacks("Harbor12345"), None);
        assert_eq!(lacks(&format!("Äö1{}", "ß".repeat(125))), None);
    }

    proptest! {
        #[test]
        fn no_stored_text_makes_parsing_panic(stored: String) {
            let _ = parse(&stored);
        }
    }
}
