//! The throttle on password guessing. Failures are counted per account and network, per network over all accounts (and
//! per wider IPv6 network), and per account. The first three refuse; the last one only delays, so that nobody can lock
//! an account's owner out. From a network where the account signed in lately, only its own failures there count.
//!
//! It decides and counts; the caller waits and answers (429 with Retry-After).

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::Arc;
use std::time::Duration;

use aws_lc_rs::digest::{Context, SHA256};
use model::Network;
use moka::sync::Cache;
use parking_lot::Mutex;
use time::OffsetDateTime;

/// Maximum accounts, networks and pairs of them to count.
const LARGEST: u64 = 100_000;

/// How long an unused counter is kept; by then it has decayed to zero.
const IDLE: Duration = Duration::from_secs(20 * 60);

/// How long a network stays known to an account after a successful login.
const LATELY: Duration = Duration::from_secs(24 * 60 * 60);

/// The window within which a rule tolerates its limit of failures.
const WINDOW_MS: i64 = 5 * 60 * 1000;

/// The longest refusal.
const LONGEST_REFUSAL_MS: i64 = 300 * 1000;

/// The limit of failures per window for each rule.
const PAIR_LIMIT: i64 = 5;
const NETWORK_LIMIT: i64 = 30;
const ACCOUNT_LIMIT: i64 = 5;

/// Prefix of an account that stands for a person, see [`LoginThrottle::person`].
const PERSON: char = '\0';

/// How far a counter may exceed its limit: 2⁹ s is more than the longest refusal.
const MOST_BEYOND: i64 = 9;

/// The delay at an account's limit, and the maximum to which it doubles.
const FIRST_DELAY: Duration = Duration::from_millis(100);
const LONGEST_DELAY: Duration = Duration::from_secs(2);

/// Maximum pairs whose outcomes wait to be shared. Further ones stay unshared.
const MOST_OUTCOMES: usize = 1_000;

/// Maximum failures in one outcome of another process: the throttle lets no more through.
const MOST_FAILURES: u32 = 120;

/// The decision on a password attempt.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verdict {
    /// Allowed, after waiting for `delay` (zero to two seconds).
    Allow {
        /// How long to wait first.
        delay: Duration,
    },
    /// Refused: answer without checking the password.
    Refuse {
        /// When to retry: whole seconds, at least one.
        retry_after: Duration,
    },
}

/// Counters of failed logins, bounded in number. Processes share theirs through [`LoginThrottle::take_outcomes`] and
/// [`LoginThrottle::apply`].
#[derive(Debug)]
pub struct LoginThrottle {
    pairs: Counts,
    /// Networks of all widths.
    networks: Cache<(u32, Network), Arc<Mutex<Count>>>,
    accounts: Counts,
    /// Pairs that signed in lately.
    known: Cache<[u8; 32], ()>,
    /// Unshared outcomes, by pair.
    outcomes: Mutex<HashMap<[u8; 32], Outcome>>,
}

/// Outcomes of logins to an account from a network.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// The network.
    pub network: Network,
    /// The account: a hash of its name.
    pub account: [u8; 32],
    /// The time of the last login, in milliseconds since 1970.
    pub at_ms: i64,
    /// Number of failures; 0 if the last login succeeded.
    pub failures: u32,
    /// Whether the account stands for a person, whose failures are also counted under the name that was used.
    pub of_person: bool,
}

impl Outcome {
    fn pair(&self) -> Pair {
        Pair {
            network: self.network,
            account: self.account,
            of_person: self.of_person,
        }
    }
}

impl LoginThrottle {
    /// A throttle without any counts.
    pub fn new() -> Self {
        Self {
            pairs: counts(),
            networks: counts(),
            accounts: counts(),
            known: Cache::builder()
                .max_capacity(LARGEST)
                .time_to_live(LATELY)
                .build(),
            outcomes: Mutex::default(),
        }
    }

    /// Decides whether a password for `account` from `address` may be tried at `now`.
    ///
    /// This changes nothing: a refusal does not count as a failure.
    pub fn check(&self, account: &str, address: IpAddr, now: OffsetDateTime) -> Verdict {
        let (now, pair) = (millis(now), Pair::new(account, address));
        let known = self.known.contains_key(&pair.hash());
        let refusal = refusal(self.pairs.get(&pair.hash()), now);
        let refusal = if known {
            refusal
        } else {
            refusal.max(self.networks_refuse(pair.network, now))
        };
        if refusal > 0 {
            let seconds = u64::try_from(refusal).unwrap_or_default().div_ceil(1000);
            return Verdict::Refuse {
                retry_after: Duration::from_secs(seconds),
            };
        }
        let failures = self
            .accounts
            .get(&pair.account)
            .filter(|_| !known)
            .map(|count| count.lock().failures(now, ACCOUNT_LIMIT));
        Verdict::Allow {
            delay: failures.map_or(Duration::ZERO, delay),
        }
    }

    fn networks_refuse(&self, network: Network, now: i64) -> i64 {
        let counted = levels(network).map(|(level, _)| refusal(self.networks.get(&level), now));
        counted.max().unwrap_or_default()
    }

    /// True if `account` signed in from `address` lately. Such attempts wait only for each other.
    pub fn is_known(&self, account: &str, address: IpAddr) -> bool {
        self.known.contains_key(&Pair::new(account, address).hash())
    }

    /// The queue key of attempts at `account` from `address`.
    pub fn pair(account: &str, address: IpAddr) -> [u8; 32] {
        Pair::new(account, address).hash()
    }

    /// The account that stands for a person, whatever name they sign in with. Its failures are counted in addition to
    /// those of the name that was used; the network counts only the latter. No name contains NUL.
    pub fn person(subject: &str) -> String {
        format!("{PERSON}{subject}")
    }

    /// Counts a wrong password for `account` from `address` at `now`.
    pub fn failed(&self, account: &str, address: IpAddr, now: OffsetDateTime) {
        let (now, pair) = (millis(now), Pair::new(account, address));
        self.count(&pair, now);
        self.record(&pair, now, |failures| failures.saturating_add(1));
    }

    /// Counts an attempt for the network of `address` only: it was refused, but only after it had cost work.
    pub fn failed_late(&self, address: IpAddr, now: OffsetDateTime) {
        self.count_networks(Network::of(address), millis(now));
    }

    fn count(&self, pair: &Pair, now: i64) {
        self.pairs.get_with(pair.hash(), Arc::default).lock().fail(
            now,
            PAIR_LIMIT,
            AtLimit::Refuse,
        );
        if !pair.of_person {
            self.count_networks(pair.network, now);
        }
        self.accounts
            .get_with(pair.account, Arc::default)
            .lock()
            .fail(now, ACCOUNT_LIMIT, AtLimit::Delay);
    }

    fn count_networks(&self, network: Network, now: i64) {
        for (level, limit) in levels(network) {
            self.networks
                .get_with(level, Arc::default)
                .lock()
                .fail(now, limit, AtLimit::Refuse);
        }
    }

    /// Clears the failures of `account` from `address` after a right password, and marks the pair as known.
    ///
    /// Those of the network over all accounts stay: owning one account must not allow more guesses at others.
    pub fn succeeded(&self, account: &str, address: IpAddr, now: OffsetDateTime) {
        let pair = Pair::new(account, address);
        let had_failures = self.pairs.remove(&pair.hash()).is_some();
        let was_known = self.known.contains_key(&pair.hash());
        self.known.insert(pair.hash(), ());
        if had_failures || !was_known {
            self.record(&pair, millis(now), |_| 0);
        }
    }

    fn record(&self, pair: &Pair, at_ms: i64, failures: impl FnOnce(u32) -> u32) {
        let mut outcomes = self.outcomes.lock();
        let key = pair.hash();
        if outcomes.len() >= MOST_OUTCOMES && !outcomes.contains_key(&key) {
            return;
        }
        let outcome = outcomes.entry(key).or_insert(Outcome {
            network: pair.network,
            account: pair.account,
            at_ms,
            failures: 0,
            of_person: pair.of_person,
        });
        outcome.at_ms = at_ms;
        outcome.failures = failures(outcome.failures);
    }

    /// This process's outcomes since the last call.
    pub fn take_outcomes(&self) -> Vec<Outcome> {
        std::mem::take(&mut *self.outcomes.lock())
            .into_values()
            .collect()
    }

    /// Applies an outcome of another process; call it once per outcome.
    pub fn apply(&self, outcome: &Outcome) {
        let pair = outcome.pair();
        if outcome.failures == 0 {
            self.pairs.invalidate(&pair.hash());
            self.known.insert(pair.hash(), ());
        }
        for _ in 0..outcome.failures.min(MOST_FAILURES) {
            self.count(&pair, outcome.at_ms);
        }
    }
}

impl Default for LoginThrottle {
    fn default() -> Self {
        Self::new()
    }
}

/// Names are hashed, so that long ones take no memory.
type Counts = Cache<[u8; 32], Arc<Mutex<Count>>>;

fn counts<K: std::hash::Hash + Eq + Send + Sync + 'static>() -> Cache<K, Arc<Mutex<Count>>> {
    Cache::builder()
        .max_capacity(LARGEST)
        .time_to_idle(IDLE)
        .build()
}

/// Remaining milliseconds of a counter's refusal.
fn refusal(count: Option<Arc<Mutex<Count>>>, now: i64) -> i64 {
    count.map_or(0, |count| count.lock().refusal(now))
}

/// A network and the wider ones around it, each with its limit.
fn levels(network: Network) -> impl Iterator<Item = ((u32, Network), i64)> {
    let levels = network.levels().into_iter();
    levels.map(|(level, times)| (level, NETWORK_LIMIT * i64::from(times)))
}

/// An account, and the network from which it is tried.
struct Pair {
    network: Network,
    account: [u8; 32],
    /// Whether the account stands for a person, see [`LoginThrottle::person`].
    of_person: bool,
}

impl Pair {
    fn new(account: &str, address: IpAddr) -> Self {
        Self {
            network: Network::of(address),
            account: hash(&[account.as_bytes()]),
            of_person: account.starts_with(PERSON),
        }
    }

    fn hash(&self) -> [u8; 32] {
        hash(&[self.network.bytes(), &self.account])
    }
}

fn hash(parts: &[&[u8]]) -> [u8; 32] {
    let mut hash = Context::new(&SHA256);
    for part in parts {
        hash.update(part);
    }
    hash.finish()
        .as_ref()
        .try_into()
        .expect("SHA-256 is 32 bytes")
}

fn millis(time: OffsetDateTime) -> i64 {
    i64::try_from(time.unix_timestamp_nanos() / 1_000_000).unwrap_or(i64::MAX)
}

fn delay(failures: i64) -> Duration {
    match u32::try_from(failures - ACCOUNT_LIMIT) {
        Ok(beyond) => FIRST_DELAY
            .saturating_mul(1 << beyond.min(16))
            .min(LONGEST_DELAY),
        Err(_) => Duration::ZERO,
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum AtLimit {
    Refuse,
    Delay,
}

/// Failures as a leaky bucket: each costs the window divided by the limit, and each millisecond pays one back. So
/// `limit` failures within the window fill it, and occasional ones never do. Nothing is paid back during a refusal: a
/// client that fails again as soon as it is allowed to waits twice as long the next time.
#[derive(Debug, Default)]
struct Count {
    debt_ms: i64,
    /// The time of `debt_ms`; in the future while refused.
    since: i64,
}

impl Count {
    fn fail(&mut self, now: i64, limit: i64, at_limit: AtLimit) {
        let cost = WINDOW_MS / limit;
        let debt = self.debt(now) + cost;
        self.debt_ms = debt.min(cost * (limit + MOST_BEYOND));
        let refusal = match u32::try_from(self.failures_of(limit) - limit) {
            Ok(beyond) if at_limit == AtLimit::Refuse => {
                (1000 << beyond.min(16)).min(LONGEST_REFUSAL_MS)
            }
            _ => 0,
        };
        self.since = self
            .since
            .max(now)
            .min(now + LONGEST_REFUSAL_MS)
            .max(now + refusal);
    }

    /// Failures not yet paid back; the last one counts until it is.
    fn failures(&self, now: i64, limit: i64) -> i64 {
        Self {
            debt_ms: self.debt(now),
            since: now,
        }
        .failures_of(limit)
    }

    fn failures_of(&self, limit: i64) -> i64 {
        let cost = WINDOW_MS / limit;
        (self.debt_ms + cost - 1) / cost
    }

    fn debt(&self, now: i64) -> i64 {
        let paid = now.saturating_sub(self.since).max(0);
        self.debt_ms.saturating_sub(paid).max(0)
    }

    /// Remaining milliseconds of the refusal; at most the longest, even if the clock was set back.
    fn refusal(&self, now: i64) -> i64 {
        self.since.saturating_sub(now).clamp(0, LONGEST_REFUSAL_MS)
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use time::macros::datetime;

    use super::*;

    const NOW: OffsetDateTime = datetime!(2026-03-01 12:00 UTC);
    const FREE: Verdict = Verdict::Allow {
        delay: Duration::ZERO,
    };

    fn home() -> IpAddr {
        "192.0.2.1".parse().unwrap()
    }

    fn address(number: u32) -> IpAddr {
        IpAddr::V4((0x0a00_0000 + number).into())
    }

    fn secs(seconds: i64) -> OffsetDateTime {
        NOW + time::Duration::seconds(seconds)
    }

    fn refused(
        throttle: &LoginThrottle,
        account: &str,
        address: IpAddr,
        at: OffsetDateTime,
    ) -> u64 {
        match throttle.check(account, address, at) {
            Verdict::Refuse { retry_after } => retry_after.as_secs(),
            Verdict::Allow { .. } => 0,
        }
    }

    #[test]
    fn the_fifth_failure_is_refused_for_a_second_and_each_next_one_twice_as_long() {
        let (throttle, mut at) = (LoginThrottle::new(), 0);
        let mut refusals = Vec::new();
        for _ in 0..15 {
            throttle.failed("alice", home(), secs(at));
            let refusal = refused(&throttle, "alice", home(), secs(at));
            refusals.push(refusal);
            at += i64::try_from(refusal).unwrap();
        }
        assert_eq!(
            refusals,
            [0, 0, 0, 0, 1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300]
        );
    }

    #[test]
    fn four_failures_are_free() {
        let throttle = LoginThrottle::new();
        for at in 0..4 {
            throttle.failed("alice", home(), secs(at));
            assert_eq!(throttle.check("alice", home(), secs(at)), FREE);
        }
    }

    #[test]
    fn a_failure_every_minute_is_never_refused() {
        let throttle = LoginThrottle::new();
        for minute in 0..600 {
            throttle.failed("alice", home(), secs(minute * 60));
            assert_eq!(refused(&throttle, "alice", home(), secs(minute * 60)), 0);
        }
    }

    #[test]
    fn success_clears_the_pair() {
        let throttle = LoginThrottle::new();
        for _ in 0..7 {
            throttle.failed("alice", home(), NOW);
        }
        assert!(refused(&throttle, "alice", home(), NOW) > 0);
        throttle.succeeded("alice", home(), NOW);
        assert_eq!(refused(&throttle, "alice", home(), NOW), 0);
    }

    #[test]
    fn what_happens_in_one_process_counts_in_the_other() {
        let (here, there) = (LoginThrottle::new(), LoginThrottle::new());
        let share = || {
            let outcomes = here.take_outcomes();
            outcomes.iter().for_each(|outcome| there.apply(outcome));
        };
        for _ in 0..3 {
            here.failed("alice", home(), NOW);
        }
        share();
        for _ in 0..3 {
            there.failed("alice", home(), NOW);
        }
        assert_eq!(refused(&there, "alice", home(), NOW), 2);
        assert_eq!(refused(&there, "alice", address(1), NOW), 0);
        share();
        assert_eq!(refused(&there, "alice", home(), NOW), 2);
        here.succeeded("alice", home(), NOW);
        share();
        assert_eq!(refused(&there, "alice", home(), NOW), 0);
        assert!(there.is_known("alice", home()));
        here.succeeded("alice", home(), NOW);
        assert_eq!(here.take_outcomes(), []);
    }

    #[test]
    fn a_refusal_touches_neither_other_accounts_nor_other_addresses() {
        let throttle = LoginThrottle::new();
        for _ in 0..10 {
            throttle.failed("alice", home(), NOW);
        }
        assert_eq!(throttle.check("bob", home(), NOW), FREE);
        assert_eq!(refused(&throttle, "alice", address(1), NOW), 0);
    }

    #[test]
    fn guessing_at_many_accounts_from_one_address_is_refused() {
        let throttle = LoginThrottle::new();
        for number in 0..29 {
            throttle.failed(&number.to_string(), home(), NOW);
        }
        assert_eq!(throttle.check("bob", home(), NOW), FREE);
        throttle.failed("29", home(), NOW);
        assert_eq!(refused(&throttle, "bob", home(), NOW), 1);
        throttle.succeeded("mallory", home(), NOW);
        assert_eq!(refused(&throttle, "bob", home(), NOW), 1);
        assert_eq!(throttle.check("bob", address(1), NOW), FREE);
    }

    #[test]
    fn guessing_at_one_account_from_many_addresses_only_slows_it_down() {
        let throttle = LoginThrottle::new();
        let mut delays = Vec::new();
        for number in 0..1000 {
            throttle.failed("admin", address(number), NOW);
            match throttle.check("admin", home(), NOW) {
                Verdict::Allow { delay } => delays.push(delay.as_millis()),
                Verdict::Refuse { .. } => panic!("admin is locked out"),
            }
        }
        assert_eq!(
            delays[..11],
            [0, 0, 0, 0, 100, 200, 400, 800, 1600, 2000, 2000]
        );
        assert!(delays[11..].iter().all(|delay| *delay == 2000));
        // it decays by itself
        assert_eq!(throttle.check("admin", home(), secs(15 * 60)), FREE);
    }

    #[test]
    fn many_networks_of_one_customer_have_a_limit_of_their_own() {
        for (step, limit) in [(1_u64, 60), (0x100, 120)] {
            let throttle = LoginThrottle::new();
            let from = |number: u64| {
                let [a, b, c, d] = (number * step).to_be_bytes()[4..].try_into().unwrap();
                let bytes = [0x20, 1, 0xd, 0xb8, a, b, c, d, 0, 0, 0, 0, 0, 0, 0, 1];
                IpAddr::V6(bytes.into())
            };
            for number in 0..limit - 1 {
                throttle.failed(&number.to_string(), from(number), NOW);
            }
            assert_eq!(throttle.check("bob", from(limit), NOW), FREE, "{step}");
            throttle.failed("last", from(limit - 1), NOW);
            assert_eq!(refused(&throttle, "bob", from(limit), NOW), 1, "{step}");
            assert_eq!(throttle.check("bob", home(), NOW), FREE);
        }
    }

    #[test]
    fn a_person_is_guessed_at_under_all_names_together() {
        let (here, there) = (LoginThrottle::new(), LoginThrottle::new());
        let person = LoginThrottle::person("entryuuid:1");
        for number in 0..5 {
            here.failed(&format!("a{number}\\alice"), home(), NOW);
            here.failed(&person, home(), NOW);
        }
        let outcomes = here.take_outcomes();
        outcomes.iter().for_each(|outcome| there.apply(outcome));
        for throttle in [here, there] {
            assert_eq!(refused(&throttle, &person, home(), NOW), 1);
            assert_eq!(refused(&throttle, "ALICE", home(), NOW), 0);
            let elsewhere = throttle.check(&person, address(1), NOW);
            assert!(matches!(elsewhere, Verdict::Allow { delay } if !delay.is_zero()));
            // The network counts each guess once.
            for number in 0..24 {
                throttle.failed(&number.to_string(), home(), NOW);
            }
            assert_eq!(refused(&throttle, "bob", home(), NOW), 0);
            throttle.failed_late(home(), NOW);
            assert_eq!(refused(&throttle, "bob", home(), NOW), 1);
        }
    }

    #[test]
    fn where_an_account_signed_in_lately_nobody_else_slows_it_down() {
        let throttle = LoginThrottle::new();
        throttle.succeeded("admin", home(), NOW);
        for number in 0..1000 {
            throttle.failed("admin", address(number), NOW);
            throttle.failed(&number.to_string(), home(), NOW);
        }
        assert_eq!(throttle.check("admin", home(), NOW), FREE);
        assert!(refused(&throttle, "bob", home(), NOW) > 0);
        // Its own failures still count.
        for _ in 0..5 {
            throttle.failed("admin", home(), NOW);
        }
        assert_eq!(refused(&throttle, "admin", home(), NOW), 1);
    }

    #[test]
    fn what_is_refused_does_not_prolong_the_refusal() {
        let throttle = LoginThrottle::new();
        for _ in 0..8 {
            throttle.failed("alice", home(), NOW);
        }
        for _ in 0..100 {
            assert_eq!(refused(&throttle, "alice", home(), NOW), 8);
        }
        assert_eq!(refused(&throttle, "alice", home(), secs(8)), 0);
    }

    #[test]
    fn a_clock_set_back_refuses_for_five_minutes_at_most() {
        let throttle = LoginThrottle::new();
        for _ in 0..20 {
            throttle.failed("alice", home(), NOW);
        }
        assert_eq!(refused(&throttle, "alice", home(), secs(-86400)), 300);
        throttle.failed("alice", home(), secs(-86400));
        assert_eq!(refused(&throttle, "alice", home(), secs(-86400 + 300)), 0);
    }

    proptest! {
        #[test]
        fn no_refusal_is_longer_than_five_minutes_and_no_delay_than_two_seconds(
            events in prop::collection::vec((0_u32..3, 0_i64..400), 0..100)
        ) {
            let (throttle, mut at) = (LoginThrottle::new(), 0);
            for (number, pause) in events {
                at += pause;
                throttle.failed("alice", address(number), secs(at));
                match throttle.check("alice", address(number), secs(at)) {
                    Verdict::Allow { delay } => prop_assert!(delay <= LONGEST_DELAY),
                    Verdict::Refuse { retry_after } => {
                        prop_assert!((1..=300).contains(&retry_after.as_secs()));
                    }
                }
            }
        }
    }
}
