//! A queue of login attempts per key: attempts with the same key run one at a time, in order of arrival. `identity`
//! chooses the key; `throttle` decides whether an attempt may run at all.

use std::collections::HashMap;
use std::sync::Arc;

use parking_lot::Mutex;
use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// Maximum attempts per key that wait or run.
const MOST_PER_KEY: usize = 1_024;

/// The key: a hash, so that long names take no memory.
pub(crate) type Key = [u8; 32];

/// Waiting and running attempts by key. A key without attempts takes no memory.
#[derive(Debug, Clone, Default)]
pub(crate) struct Attempts(Arc<Mutex<HashMap<Key, Queue>>>);

#[derive(Debug)]
struct Queue {
    runs: Arc<Semaphore>,
    present: usize,
}

/// A running attempt; dropping it lets the next one with its key start.
#[derive(Debug)]
pub(crate) struct Attempt {
    _runs: OwnedSemaphorePermit,
    _place: Place,
}

#[derive(Debug)]
struct Place {
    attempts: Attempts,
    key: Key,
}

impl Attempts {
    /// Waits until all earlier attempts with the same key have ended; `None` if there are already 1,024 of them.
    pub(crate) async fn begin(&self, key: Key) -> Option<Attempt> {
        let (runs, place) = self.enqueue(key)?;
        let runs = runs.acquire_owned().await;
        Some(Attempt {
            _runs: runs.expect("the semaphore is never closed"),
            _place: place,
        })
    }

    fn enqueue(&self, key: Key) -> Option<(Arc<Semaphore>, Place)> {
        let mut queues = self.0.lock();
        let queue = queues.entry(key).or_insert_with(|| Queue {
            runs: Arc::new(Semaphore::new(1)),
            present: 0,
        });
        if queue.present == MOST_PER_KEY {
            return None;
        }
        queue.present += 1;
        let place = Place {
            attempts: self.clone(),
            key,
        };
        Some((queue.runs.clone(), place))
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        let mut queues = self.attempts.0.lock();
        let Some(queue) = queues.get_mut(&self.key) else {
            return;
        };
        queue.present -= 1;
        if queue.present == 0 {
            queues.remove(&self.key);
        }
    }
}

#[cfg(test)]
mod tests {
    use futures_util::FutureExt as _;

    use super::*;

    const ONE: Key = [1; 32];
    const OTHER: Key = [2; 32];

    #[tokio::test]
    async fn attempts_with_one_key_run_one_after_the_other_and_others_beside_them() {
        let attempts = Attempts::default();
        let first = attempts.begin(ONE).await.unwrap();
        let mut second = Box::pin(attempts.begin(ONE));
        assert!(second.as_mut().now_or_never().is_none());
        assert!(attempts.begin(OTHER).now_or_never().is_some());
        drop(first);
        assert!(second.now_or_never().is_some());
    }

    #[tokio::test]
    async fn whoever_gives_up_makes_way_and_leaves_nothing() {
        let attempts = Attempts::default();
        let first = attempts.begin(ONE).await.unwrap();
        let mut second = Box::pin(attempts.begin(ONE));
        assert!(second.as_mut().now_or_never().is_none());
        let mut third = Box::pin(attempts.begin(ONE));
        assert!(third.as_mut().now_or_never().is_none());
        drop(second);
        drop(first);
        let third = third.now_or_never().unwrap();
        drop(third);
        assert!(attempts.0.lock().is_empty());
    }

    #[tokio::test]
    async fn only_so_many_wait() {
        let attempts = Attempts::default();
        let first = attempts.begin(ONE).await.unwrap();
        let mut waiting = Vec::new();
        for _ in 1..MOST_PER_KEY {
            let mut next = Box::pin(attempts.begin(ONE));
            assert!(next.as_mut().now_or_never().is_none());
            waiting.push(next);
        }
        assert!(attempts.begin(ONE).await.is_none());
        drop(waiting.pop());
        assert!(attempts.begin(ONE).now_or_never().is_none(), "it waits");
        drop(first);
    }
}
