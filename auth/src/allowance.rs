//! Limits for requests that need no account: registering, asking for mails, trying links. Counted by network, including
//! the wider IPv6 networks of one customer, and by process, so that N replicas allow N times as much.

use std::sync::Arc;
use std::time::Duration;

use model::{Network, Timestamp};
use moka::sync::Cache;
use parking_lot::Mutex;

/// Maximum networks to count per allowance.
const LARGEST: u64 = 100_000;

/// Allowances for requests that need no account.
#[derive(Debug)]
pub struct Allowances {
    /// Registering.
    pub register: Allowance,
    /// Asking for mails with links.
    pub mail: Allowance,
    /// Trying links.
    pub link: Allowance,
    /// Asking whether a name or an address is taken.
    pub name: Allowance,
    /// Coming back from the OIDC provider, each of which it is asked about.
    pub callback: Allowance,
    /// Tokens of workloads that are refused, as far as the history has them.
    pub(crate) refused_workload: Allowance,
}

impl Default for Allowances {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            register: Allowance::new(20, 60 * MINUTE),
            mail: Allowance::new(10, 15 * MINUTE),
            link: Allowance::new(30, 5 * MINUTE),
            name: Allowance::new(60, 5 * MINUTE),
            callback: Allowance::new(600, 5 * MINUTE),
            refused_workload: Allowance::new(100, 5 * MINUTE),
        }
    }
}

/// A number of times in a span of time, replenished evenly.
#[derive(Debug)]
pub struct Allowance {
    most: u32,
    within: Duration,
    /// By network, when it will be fully replenished.
    used: Cache<(u32, Network), Arc<Mutex<Timestamp>>>,
}

impl Allowance {
    fn new(most: u32, within: Duration) -> Self {
        Self {
            most,
            within,
            used: Cache::builder()
                .max_capacity(LARGEST)
                .time_to_idle(within)
                .build(),
        }
    }

    /// Uses it once.
    ///
    /// # Errors
    /// The delay before a retry.
    pub fn take(&self, network: Network, now: Timestamp) -> Result<(), Duration> {
        let levels = network.levels().into_iter();
        // All are locked in one order, from the smallest network to the widest.
        let used: Vec<_> = levels
            .map(|(level, times)| (self.used.get_with(level, Arc::default), times))
            .collect();
        let mut held: Vec<_> = used
            .iter()
            .map(|(used, times)| (used.lock(), times))
            .collect();
        let latest = now.plus(self.within);
        let mut wait = Duration::ZERO;
        let mut taken = Vec::with_capacity(held.len());
        for (back, times) in &held {
            // Only a fast clock can have set a later time.
            let begins = if **back > latest {
                now
            } else {
                now.max(**back)
            };
            let after = begins.plus(self.within / (self.most * **times));
            wait = wait.max(after.since(latest));
            taken.push(after);
        }
        if !wait.is_zero() {
            return Err(wait.max(Duration::from_secs(1)));
        }
        for ((back, _), after) in held.iter_mut().zip(taken) {
            **back = after;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use std::net::IpAddr;

    use super::*;

    fn network(text: &str) -> Network {
        Network::of(text.parse::<IpAddr>().unwrap())
    }

    #[test]
    fn what_is_used_up_comes_back_evenly() {
        let allowance = Allowance::new(3, Duration::from_secs(30));
        let (here, there) = (network("10.0.0.1"), network("10.0.0.2"));
        let now = Timestamp(1_000_000_000);
        for _ in 0..3 {
            allowance.take(here, now).unwrap();
        }
        let wait = allowance.take(here, now).unwrap_err();
        assert_eq!(wait, Duration::from_secs(10));
        allowance.take(there, now).unwrap();
        let later = now.plus(wait);
        allowance.take(here, later).unwrap();
        allowance.take(here, later).unwrap_err();
    }

    #[test]
    fn one_customer_with_many_networks_has_bounds_for_all_of_them() {
        let now = Timestamp(1_000_000_000);
        // A /56 may do twice as much as a /64, and a /48 four times as much.
        for (step, most) in [(1, 6), (0x100, 12)] {
            let allowance = Allowance::new(3, Duration::from_secs(30));
            let taken = (0..100_u32).filter(|number| {
                let here = network(&format!("2001:db8:0:{:x}::1", number * step));
                allowance.take(here, now).is_ok()
            });
            assert_eq!(taken.count(), most, "{step}");
            allowance.take(network("2001:db8:1::1"), now).unwrap();
        }
    }
}
