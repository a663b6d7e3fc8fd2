//! The public keys of issuers: given with a rule, or read from the issuer (OpenID Connect Discovery 1.0) and cached.
//!
//! Keys are fresh for ten minutes, and are then read again in the background. While the issuer is down, the last
//! reading stays valid for a day. A token with an unknown key causes a reading at once, but no issuer is asked more
//! than once in ten seconds, whatever tokens arrive. One request at a time reads the keys of an issuer, and only
//! requests that need the result wait for it.

mod discovery;
mod set;

use std::sync::Arc;
use std::time::{Duration, Instant};

use model::Issuer;
use moka::sync::Cache;
use outgoing::Guard;
use parking_lot::Mutex;

pub(super) use set::KeySet;

use super::subject_token::SubjectToken;

/// How long a reading is fresh.
const FRESH: Duration = Duration::from_secs(600);
/// How long a reading stays valid while the issuer is down.
const LONGEST: Duration = Duration::from_secs(86_400);
/// Minimum time between two requests to an issuer.
const INTERVAL: Duration = Duration::from_secs(10);
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

/// The keys of issuers.
pub(super) struct Keys {
    guard: Arc<Guard>,
    issuers: Cache<KeySource, Arc<Remote>>,
}

impl Keys {
    pub(super) fn new(guard: Arc<Guard>) -> Self {
        Self {
            guard,
            issuers: Cache::new(MOST_ISSUERS),
        }
    }

    /// Checks a token's signature.
    ///
    /// # Errors
    /// Why it is refused, for administrators.
    pub(super) async fn verify(
        &self,
        source: &KeySource,
        token: &SubjectToken,
    ) -> Result<(), String> {
        match source {
            KeySource::Given(jwks) => KeySet::parse(jwks.as_bytes())?.verify(token),
            KeySource::Discovered { issuer, ca } => {
                let made = || Arc::new(Remote::new(issuer.clone(), ca.clone(), self.guard.clone()));
                let remote = self.issuers.get_with_by_ref(source, made);
                let keys = remote.keys(token.key_id()).await?;
                keys.verify(token)
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
}

#[derive(Default)]
struct State {
    keys: Option<(Arc<KeySet>, Instant)>,
    /// When it was last asked, and why that failed.
    asked: Option<Instant>,
    failure: Option<String>,
}

impl State {
    /// The last reading, and whether it is fresh.
    fn reading(&self, now: Instant) -> Option<(Arc<KeySet>, bool)> {
        let (keys, read) = self.keys.as_ref()?;
        let age = now.duration_since(*read);
        (age < LONGEST).then(|| (keys.clone(), age < FRESH))
    }

    fn may_ask(&self, now: Instant) -> bool {
        let since = |asked| now.duration_since(asked);
        self.asked.is_none_or(|asked| since(asked) >= INTERVAL)
    }
}

impl Remote {
    fn new(issuer: Issuer, ca: Option<String>, guard: Arc<Guard>) -> Self {
        Self {
            issuer,
            ca,
            guard,
            state: Mutex::default(),
            asking: tokio::sync::Mutex::default(),
        }
    }

    /// Keys including the named one, if the issuer has it.
    async fn keys(self: &Arc<Self>, key: Option<&str>) -> Result<Arc<KeySet>, String> {
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
            (None, Some(failure)) => Err(failure.clone()),
            (None, None) => Err("the issuer's keys are not known".to_owned()),
        }
    }

    /// The last reading, if it has the key. If it is no longer fresh, the keys are read again in the background.
    fn known(self: &Arc<Self>, key: Option<&str>) -> Option<Arc<KeySet>> {
        let (reading, may_ask) = {
            let (state, now) = (self.state.lock(), Instant::now());
            (state.reading(now), state.may_ask(now))
        };
        let (keys, is_fresh) = reading.filter(|(keys, _)| keys.has(key))?;
        if !is_fresh && may_ask {
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

    /// Asks the issuer, even if no request waits for it any more.
    async fn ask(&self) {
        self.state.lock().asked = Some(Instant::now());
        let read = discovery::read(&self.issuer, self.ca.as_deref(), &self.guard).await;
        let mut state = self.state.lock();
        match read {
            Ok(keys) => {
                state.keys = Some((Arc::new(keys), Instant::now()));
                state.failure = None;
            }
            Err(failure) => {
                let issuer = self.issuer.as_str();
                tracing::warn!(issuer, failure, "an issuer's keys cannot be read");
                state.failure = Some(format!("the issuer's keys cannot be read: {failure}"));
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
    fn a_reading_is_fresh_for_ten_minutes_and_goes_on_for_a_day() {
        let read = Instant::now();
        let keys = Arc::new(KeySet::parse(KEYS.as_bytes()).unwrap());
        let state = State {
            keys: Some((keys, read)),
            ..State::default()
        };
        let is_fresh = |after| state.reading(read + seconds(after)).map(|(_, fresh)| fresh);
        assert_eq!(is_fresh(0), Some(true));
        assert_eq!(is_fresh(599), Some(true));
        assert_eq!(is_fresh(600), Some(false));
        assert_eq!(is_fresh(86_399), Some(false));
        assert_eq!(is_fresh(86_400), None);
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
