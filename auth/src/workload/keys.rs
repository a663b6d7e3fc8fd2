//! The public keys of issuers: given with a rule, or read from the issuer (OpenID Connect Discovery 1.0) and cached.
//!
//! What was read is fresh for ten minutes, and is then read again in the background; after twenty, whoever needs it waits for
//! that. While the issuer is down, the last reading goes on for a day. A token with a key that is not known, or a signature
//! that is not of the known ones, has the keys read at once, but no issuer is asked more than once in ten seconds, whatever
//! tokens come; with different authorities, by several rules, five times. One request at a time reads the keys of an issuer,
//! and only those wait for it that cannot go on without.

mod discovery;
mod set;

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Issuer;
use moka::sync::Cache;
use outgoing::Guard;
use parking_lot::Mutex;
use tokio::sync::Semaphore;
use tokio::time::timeout;

pub(super) use set::KeySet;

use super::subject_token::SubjectToken;

/// How long a reading is fresh.
const FRESH: Duration = Duration::from_secs(600);
/// How long a reading is used without waiting for the next.
const STALE: Duration = Duration::from_secs(1_200);
/// How long a reading stays valid while the issuer is down.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Minimum time between two requests to an issuer.
const INTERVAL: Duration = Duration::from_secs(10);
/// How often one issuer is asked in this time, for rules with different authorities.
const MOST_ASKED: u32 = 5;
/// Readings at a time of issuers that were read before, and of others: some that do not answer do not keep those out that
/// do.
const MOST_READINGS: (usize, usize) = (16, 64);
/// How long a reading waits for others.
const PATIENCE: Duration = Duration::from_secs(8);
/// Maximum issuers whose keys are cached.
const MOST_ISSUERS: u64 = 1_000;

/// Where the keys of a rule come from.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum KeySource {
    /// From the rule itself, as a JWK set.
    Given(String),
    /// From the issuer, whose certificate is checked by these authorities, in PEM, or by those of the system.
    Discovered { issuer: Issuer, ca: Option<String> },
}

impl KeySource {
    pub(super) fn new(issuer: &Issuer, jwks: Option<String>, ca: Option<String>) -> Self {
        match jwks {
            Some(jwks) => Self::Given(jwks),
            None => Self::Discovered {
                issuer: issuer.clone(),
                ca,
            },
        }
    }
}

/// Why a token's signature is not accepted, for system administrators.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unverified {
    /// The issuer's keys cannot be read.
    #[error("the issuer's keys cannot be read: {0}")]
    Unreadable(String),
    /// They are known, and the signature is of none of them.
    #[error("{0}")]
    Wrong(String),
}

impl Unverified {
    /// The same for administrators of projects. They name issuers, and learn nothing of the network that these lead into.
    pub(super) fn for_project(&self) -> String {
        match self {
            Self::Unreadable(_) => {
                "the issuer's keys cannot be read; the server's log says why".to_owned()
            }
            Self::Wrong(reason) => reason.clone(),
        }
    }
}

impl From<String> for Unverified {
    fn from(reason: String) -> Self {
        Self::Wrong(reason)
    }
}

/// The keys of issuers.
pub(super) struct Keys {
    guard: Arc<Guard>,
    issuers: Cache<KeySource, Arc<Remote>>,
    /// By issuer, since when it was asked how often.
    asked: Cache<Issuer, Arc<Mutex<Asked>>>,
    readings: Arc<Readings>,
}

/// Who may read keys at the same time.
struct Readings {
    of_known: Semaphore,
    of_others: Semaphore,
}

/// How often an issuer was asked since a time.
struct Asked {
    since: Instant,
    times: u32,
}

impl Asked {
    /// Counts another time; false if there were too many.
    fn take(&mut self, now: Instant) -> bool {
        if now.duration_since(self.since) >= INTERVAL {
            *self = Self {
                since: now,
                times: 0,
            };
        }
        self.times += 1;
        self.times <= MOST_ASKED
    }
}

impl Keys {
    pub(super) fn new(guard: Arc<Guard>) -> Self {
        Self {
            guard,
            issuers: Cache::new(MOST_ISSUERS),
            asked: Cache::builder()
                .max_capacity(MOST_ISSUERS)
                .time_to_idle(INTERVAL)
                .build(),
            readings: Arc::new(Readings {
                of_known: Semaphore::new(MOST_READINGS.0),
                of_others: Semaphore::new(MOST_READINGS.1),
            }),
        }
    }

    fn remote(&self, source: &KeySource, issuer: &Issuer, ca: Option<&str>) -> Arc<Remote> {
        self.issuers.get_with_by_ref(source, || {
            Arc::new(Remote {
                issuer: issuer.clone(),
                ca: ca.map(str::to_owned),
                guard: self.guard.clone(),
                state: Mutex::default(),
                asking: tokio::sync::Mutex::default(),
                asked: self.asked.clone(),
                readings: self.readings.clone(),
            })
        })
    }

    /// Checks a token's signature.
    ///
    /// # Errors
    /// Why it is refused, for administrators.
    pub(super) async fn verify(
        &self,
        source: &KeySource,
        token: &SubjectToken,
    ) -> Result<(), Unverified> {
        match source {
            KeySource::Given(jwks) => Ok(KeySet::given(jwks.as_bytes())?.verify(token)?),
            KeySource::Discovered { issuer, ca } => {
                let remote = self.remote(source, issuer, ca.as_deref());
                let keys = remote.keys(token.key_id()).await?;
                let Err(reason) = keys.verify(token) else {
                    return Ok(());
                };
                // A new key may have no name, or that of the old one.
                match remote.newer(&keys).await {
                    Some(newer) => Ok(newer.verify(token)?),
                    None => Err(reason.into()),
                }
            }
        }
    }
}

/// An issuer from which keys are read.
struct Remote {
    issuer: Issuer,
    ca: Option<String>,
    guard: Arc<Guard>,
    state: Mutex<State>,
    /// Locked by the request that asks.
    asking: tokio::sync::Mutex<()>,
    asked: Cache<Issuer, Arc<Mutex<Asked>>>,
    readings: Arc<Readings>,
}

#[derive(Default)]
struct State {
    keys: Option<(Arc<KeySet>, Instant)>,
    /// When it was last asked, and why that failed.
    asked: Option<Instant>,
    failure: Option<String>,
}

impl State {
    /// The last reading, and its age.
    fn reading(&self, now: Instant) -> Option<(Arc<KeySet>, Duration)> {
        let (keys, read) = self.keys.as_ref()?;
        let age = now.duration_since(*read);
        (age < LONGEST).then(|| (keys.clone(), age))
    }

    fn may_ask(&self, now: Instant) -> bool {
        let since = |asked| now.duration_since(asked);
        self.asked.is_none_or(|asked| since(asked) >= INTERVAL)
    }
}

impl Remote {
    /// Keys including the named one, if the issuer has it.
    async fn keys(self: &Arc<Self>, key: Option<&str>) -> Result<Arc<KeySet>, Unverified> {
        if let Some(keys) = self.known(key) {
            return Ok(keys);
        }
        let _asking = self.asking.lock().await;
        // An earlier request may have read it.
        if let Some(keys) = self.known(key) {
            return Ok(keys);
        }
        if self.state.lock().may_ask(Instant::now()) {
            self.ask().await;
        }
        let state = self.state.lock();
        match (state.reading(Instant::now()), &state.failure) {
            (Some((keys, _)), _) => Ok(keys),
            (None, Some(failure)) => Err(Unverified::Unreadable(failure.clone())),
            (None, None) => Err(Unverified::Unreadable("it was not asked yet".to_owned())),
        }
    }

    /// Keys that were read after these, now if need be.
    async fn newer(&self, keys: &Arc<KeySet>) -> Option<Arc<KeySet>> {
        let _asking = self.asking.lock().await;
        let is_newest = |state: &State| {
            let known = state.keys.as_ref();
            known.is_some_and(|(known, _)| Arc::ptr_eq(known, keys))
        };
        let asks = {
            let state = self.state.lock();
            is_newest(&state) && state.may_ask(Instant::now())
        };
        if asks {
            self.ask().await;
        }
        let state = self.state.lock();
        let newer = state.reading(Instant::now()).filter(|_| !is_newest(&state));
        newer.map(|(newer, _)| newer)
    }

    /// The last reading, if it has the key and is not too old. One that is not fresh any more is made again in the background.
    fn known(self: &Arc<Self>, key: Option<&str>) -> Option<Arc<KeySet>> {
        let (reading, may_ask) = {
            let (state, now) = (self.state.lock(), Instant::now());
            (state.reading(now), state.may_ask(now))
        };
        let (keys, age) = reading.filter(|(keys, _)| keys.has(key))?;
        if age >= STALE && may_ask {
            return None;
        }
        if age >= FRESH && may_ask {
            let remote = self.clone();
            tokio::spawn(async move {
                if let Ok(_asking) = remote.asking.try_lock()
                    && remote.state.lock().may_ask(Instant::now())
                {
                    remote.ask().await;
                }
            });
        }
        Some(keys)
    }

    /// Counts that the issuer is asked, with whatever authorities; false if that was too often.
    fn may_be_asked(&self, now: Instant) -> bool {
        let asked = self.asked.get_with_by_ref(&self.issuer, || {
            Arc::new(Mutex::new(Asked {
                since: now,
                times: 0,
            }))
        });
        asked.lock().take(now)
    }

    /// Asks the issuer, even if no request waits for it any more.
    async fn ask(&self) {
        let is_known = self.state.lock().keys.is_some();
        let readings = match is_known {
            true => &self.readings.of_known,
            false => &self.readings.of_others,
        };
        let Ok(Ok(_reading)) = timeout(PATIENCE, readings.acquire()).await else {
            self.state.lock().failure = Some("too many issuers are being asked".to_owned());
            return;
        };
        let now = Instant::now();
        self.state.lock().asked = Some(now);
        let read = match self.may_be_asked(now) {
            true => discovery::read(&self.issuer, self.ca.as_deref(), &self.guard).await,
            false => Err("it was asked too often just now".to_owned()),
        };
        let mut state = self.state.lock();
        match read {
            Ok(keys) => {
                state.keys = Some((Arc::new(keys), Instant::now()));
                state.failure = None;
            }
            Err(failure) => {
                let issuer = self.issuer.as_str();
                tracing::warn!(issuer, failure, "an issuer's keys cannot be read");
                state.failure = Some(failure);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A public key of RFC 7517, appendix A.1.
    const KEYS: &str = r#"{"keys":[{"kty":"EC","crv":"P-256","kid":"1",
        "x":"MKBCTNIcKUSDii11ySs3526iDZ8AiTo7Tu6KPAqv7D4","y":"4Etl6SRW2YiLUrN5vfvVHuhp7x8PxltmWWlbbM4IFyM"}]}"#;

    fn seconds(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    #[test]
    fn a_reading_goes_on_for_a_day() {
        let read = Instant::now();
        let keys = Arc::new(KeySet::parse(KEYS.as_bytes()).unwrap());
        let state = State {
            keys: Some((keys, read)),
            ..State::default()
        };
        let age = |after| state.reading(read + seconds(after)).map(|(_, age)| age);
        for after in [0, 600, 86_399] {
            assert_eq!(age(after), Some(seconds(after)));
        }
        assert_eq!(age(86_400), None);
    }

    #[test]
    fn an_issuer_is_asked_five_times_in_ten_seconds_by_all_rules() {
        let now = Instant::now();
        let mut asked = Asked {
            since: now,
            times: 0,
        };
        let times = |asked: &mut Asked, now| (0..10).filter(|_| asked.take(now)).count();
        assert_eq!(times(&mut asked, now), 5);
        assert_eq!(times(&mut asked, now + seconds(9)), 0);
        assert_eq!(times(&mut asked, now + seconds(10)), 5);
    }

    #[test]
    fn a_given_set_is_small() {
        let key = &KEYS[KEYS.find('[').unwrap() + 1..KEYS.rfind(']').unwrap()];
        let set = |keys: usize| format!(r#"{{"keys":[{}]}}"#, vec![key; keys].join(","));
        KeySet::given(set(10).as_bytes()).unwrap();
        KeySet::given(set(11).as_bytes()).unwrap_err();
    }

    #[test]
    fn an_issuer_is_asked_once_in_ten_seconds() {
        let asked = Instant::now();
        assert!(State::default().may_ask(asked));
        let state = State {
            asked: Some(asked),
            ..State::default()
        };
        assert!(!state.may_ask(asked + Duration::from_millis(9_999)));
        assert!(state.may_ask(asked + seconds(10)));
    }

    #[test]
    fn a_set_has_public_keys_that_check_signatures() {
        let set = KeySet::parse(KEYS.as_bytes()).unwrap();
        assert!(set.has(Some("1")) && set.has(None) && !set.has(Some("2")));
        for wrong in [
            "",
            "[]",
            r#"{"keys":[]}"#,
            r#"{"keys":[{"kty":"oct","k":"c2VjcmV0"}]}"#,
            r#"{"keys":[{"kty":"RSA"}]}"#,
            &KEYS.replace("\"kid\"", "\"use\":\"enc\",\"kid\""),
            &KEYS.replace("\"kid\"", "\"d\":\"AAAA\",\"kid\""),
            &KEYS.replace("\"kid\"", "\"alg\":\"ES384\",\"kid\""),
            &KEYS.replace("P-256", "P-521"),
        ] {
            KeySet::parse(wrong.as_bytes()).expect_err(wrong);
        }
    }
}
