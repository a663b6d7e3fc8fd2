//! Costly results that need not be exact to the second: they are computed once for all requests within a time.

use std::time::Duration;

use db::project::Count;
use db::usage::{LargeBlob, LargeProject, Totals};
use model::Timestamp;
use tokio::sync::Mutex;

use crate::Error;

/// How long counts of projects and repositories are cached.
const COUNTS: Duration = Duration::from_secs(5);
/// How long the storage totals are cached.
const STORAGE: Duration = Duration::from_secs(60);

/// Costly results of this process.
#[derive(Debug)]
pub struct Heavy {
    /// Numbers of projects and repositories.
    pub(crate) counts: Recent<Counts>,
    /// Storage totals of the installation.
    pub(crate) storage: Recent<Storage>,
}

/// Numbers of projects and repositories, and their bytes.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counts {
    pub(crate) public: Count,
    pub(crate) private: Count,
    pub(crate) stored: i64,
}

/// Storage totals of the installation.
#[derive(Clone, Debug)]
pub(crate) struct Storage {
    pub(crate) totals: Totals,
    pub(crate) projects: Vec<LargeProject>,
    pub(crate) blobs: Vec<LargeBlob>,
}

impl Default for Heavy {
    fn default() -> Self {
        Self {
            counts: Recent::lasting(COUNTS),
            storage: Recent::lasting(STORAGE),
        }
    }
}

/// A value that is computed at most once in a given time.
#[derive(Debug)]
pub(crate) struct Recent<T> {
    lasting: Duration,
    known: Mutex<Option<(Timestamp, T)>>,
}

impl<T: Clone + Send> Recent<T> {
    fn lasting(lasting: Duration) -> Self {
        Self {
            lasting,
            known: Mutex::default(),
        }
    }

    /// The value, and when it was computed. Concurrent requests wait for the same one.
    pub(crate) async fn get(
        &self,
        now: Timestamp,
        compute: impl Future<Output = Result<T, Error>> + Send,
    ) -> Result<(Timestamp, T), Error> {
        let mut known = self.known.lock().await;
        if let Some((at, value)) = &*known
            && *at <= now
            && now < at.plus(self.lasting)
        {
            return Ok((*at, value.clone()));
        }
        let value = compute.await?;
        *known = Some((now, value.clone()));
        Ok((now, value))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_value_is_computed_again_after_a_while() {
        let recent = Recent::lasting(Duration::from_secs(5));
        let second = |number: i64| Timestamp(number * 1_000_000);
        let mut got = Vec::new();
        for number in [10, 14, 15, 3] {
            let value = recent.get(second(number), async { Ok(number) }).await;
            got.push(value.unwrap().1);
        }
        // A clock that was set back does not keep it for longer.
        assert_eq!(got, [10, 10, 15, 3]);
    }

    #[tokio::test]
    async fn what_fails_is_not_kept() {
        let recent = Recent::lasting(Duration::from_secs(5));
        let failed = recent.get(Timestamp(0), async { Err(Error::Busy) }).await;
        assert!(failed.is_err());
        let value = recent.get(Timestamp(0), async { Ok(7) }).await;
        assert_eq!(value.unwrap().1, 7);
    }
}
