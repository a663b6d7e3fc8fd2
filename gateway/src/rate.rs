//! Limits requests per second of an address, or of an IPv6 /64, if the operator sets a limit.

use std::net::IpAddr;
use std::sync::Arc;
use std::time::{Duration, Instant};

use moka::sync::Cache;
use parking_lot::Mutex;
use storage::budget::Source;

/// Maximum number of addresses tracked separately.
const ADDRESSES: u64 = 100_000;

/// A token bucket for each address, of the size of one second.
pub(crate) struct Rate {
    per_second: f64,
    buckets: Cache<Source, Arc<Mutex<Bucket>>>,
}

struct Bucket {
    left: f64,
    at: Instant,
}

impl Rate {
    pub(crate) fn new(per_second: u32) -> Self {
        let buckets = Cache::builder()
            .max_capacity(ADDRESSES)
            .time_to_idle(Duration::from_secs(60))
            .build();
        Self {
            per_second: f64::from(per_second),
            buckets,
        }
    }

    /// Whether another request of this address is allowed now.
    pub(crate) fn allows(&self, address: IpAddr) -> bool {
        if self.per_second == 0.0 {
            return true;
        }
        let now = Instant::now();
        let full = || {
            Arc::new(Mutex::new(Bucket {
                left: self.per_second,
                at: now,
            }))
        };
        let bucket = self.buckets.get_with(address.into(), full);
        let mut bucket = bucket.lock();
        let gained = now.duration_since(bucket.at).as_secs_f64() * self.per_second;
        bucket.left = (bucket.left + gained).min(self.per_second);
        bucket.at = now;
        if bucket.left < 1.0 {
            return false;
        }
        bucket.left -= 1.0;
        true
    }
}
