//! How often somebody may do what anybody may: register, ask for mails, try links. Counted by network and process, so that
//! N replicas allow N times as much.

use std::sync::Arc;
use std::time::Duration;

use model::{Network, Timestamp};
use moka::sync::Cache;
use parking_lot::Mutex;

/// Networks that are counted at once, of one allowance.
const LARGEST: u64 = 20_000;

/// Allowances for what anybody may do.
#[derive(Debug)]
pub struct Allowances {
    /// Making accounts for oneself.
    pub register: Allowance,
    /// Asking for mails with links.
    pub mail: Allowance,
    /// Trying links.
    pub link: Allowance,
    /// Asking whether a name or an address is taken.
    pub name: Allowance,
}

impl Default for Allowances {
    fn default() -> Self {
        const MINUTE: Duration = Duration::from_secs(60);
        Self {
            register: Allowance::new(20, 60 * MINUTE),
            mail: Allowance::new(10, 15 * MINUTE),
            link: Allowance::new(30, 5 * MINUTE),
            name: Allowance::new(60, 5 * MINUTE),
        }
    }
}

/// So many times in so long a time, and evenly from then on.
#[derive(Debug)]
pub struct Allowance {
    most: u32,
    within: Duration,
    /// By network, when what was used will all have come back.
    used: Cache<Network, Arc<Mutex<Timestamp>>>,
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
    /// When to try again.
    pub fn take(&self, network: Network, now: Timestamp) -> Result<(), Duration> {
        let used = self.used.get_with(network, Arc::default);
        let mut back = used.lock();
        let latest = now.plus(self.within);
        // Later than that only by a clock that was ahead.
        let begins = if *back > latest { now } else { now.max(*back) };
        let after = begins.plus(self.within / self.most);
        if after > latest {
            return Err(after.since(latest).max(Duration::from_secs(1)));
        }
        *back = after;
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
}
