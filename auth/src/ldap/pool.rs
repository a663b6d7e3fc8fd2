//! Open connections for reuse. There are few, and few requests may wait for one: a slow directory delays only those who
//! ask it.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use parking_lot::Mutex;
use tokio::sync::{Semaphore, SemaphorePermit};

use super::connection::{Connection, IDLE};
use super::error::{Error, Result};

/// Maximum connections.
const CONNECTIONS: usize = 8;
/// Maximum requests that wait for one.
const QUEUE: usize = 64;

/// Open connections.
pub(super) struct Pool {
    places: Semaphore,
    waiting: AtomicUsize,
    idle: Mutex<Vec<(Connection, Instant)>>,
}

/// The right to use one connection.
pub(super) struct Place<'p> {
    pool: &'p Pool,
    _permit: SemaphorePermit<'p>,
}

impl Pool {
    pub(super) fn new() -> Self {
        Self {
            places: Semaphore::new(CONNECTIONS),
            waiting: AtomicUsize::new(0),
            idle: Mutex::default(),
        }
    }

    /// Waits for a place.
    ///
    /// # Errors
    /// [`Error::Busy`] if too many wait, or it takes too long.
    pub(super) async fn place(&self, within: Duration) -> Result<Place<'_>> {
        let _waiting = Waiting::begin(&self.waiting)?;
        let permit = tokio::time::timeout(within, self.places.acquire()).await;
        match permit {
            Ok(Ok(permit)) => Ok(Place {
                pool: self,
                _permit: permit,
            }),
            // The semaphore is never closed.
            Ok(Err(_)) | Err(_) => Err(Error::Busy),
        }
    }
}

impl Place<'_> {
    /// A connection that was used before, if there is one.
    pub(super) fn idle(&self) -> Option<Connection> {
        let mut idle = self.pool.idle.lock();
        idle.retain(|(kept, since)| since.elapsed() < IDLE && kept.is_usable());
        idle.pop().map(|(connection, _)| connection)
    }

    /// Keeps a connection for reuse, if it is usable.
    pub(super) fn give_back(&self, connection: Connection) {
        if connection.is_usable() {
            self.pool.idle.lock().push((connection, Instant::now()));
        }
    }

    /// Closes all idle connections: one of them was found dead or silent.
    pub(super) fn clear(&self) {
        let dead = std::mem::take(&mut *self.pool.idle.lock());
        drop(dead);
    }
}

/// Counts waiting requests, even if they give up.
struct Waiting<'c>(&'c AtomicUsize);

impl<'c> Waiting<'c> {
    fn begin(count: &'c AtomicUsize) -> Result<Self> {
        let waiting = Self(count);
        match count.fetch_add(1, Ordering::Relaxed) < QUEUE + CONNECTIONS {
            true => Ok(waiting),
            false => Err(Error::Busy),
        }
    }
}

impl Drop for Waiting<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_bounded_number_waits_for_a_bounded_time() {
        let pool = Pool::new();
        let mut held = Vec::new();
        for _ in 0..CONNECTIONS {
            held.push(pool.place(Duration::ZERO).await.unwrap());
        }
        let late = pool.place(Duration::from_millis(1)).await;
        assert!(matches!(late, Err(Error::Busy)));
        assert_eq!(pool.waiting.load(Ordering::Relaxed), 0);
        held.pop();
        pool.place(Duration::from_secs(1)).await.unwrap();
    }
}
