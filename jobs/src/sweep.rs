//! Removes objects without a row, which a crash leaves between writing bytes and committing them.
//!
//! It is safe beside pushes for these reasons. A live object without a row is younger than its hour's end plus the time
//! that a write without a row may take, far less than [`CLOSED_AFTER`]; hours come from the database's clock, which all
//! processes share. Objects that this process itself is writing are never swept, even if the clock is wrong. When a
//! process starts alone, the keys of the open hours are listed before it serves and before another one can take over,
//! so that they include no object of a later process. Rows are looked up after the listing, so an object that got a row
//! meanwhile is spared. Before each sweep the store's identity is compared with the database: if another folder was
//! mounted there, no row names its objects.

use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

use db::garbage::{self, Garbage};
use db::{Db, blob, installation};
use model::Clock;
use registry::Registry;
use tokio_util::sync::CancellationToken;

use crate::engine::{Context, Held, Job, Manner, Outcome, Queue, Retry, Standing};
use crate::failures::causes;
use crate::stores::{self, Stores};
use crate::{Error, Result};

/// Keys to look up at a time.
const BATCH: usize = 500;
/// Hours after which an hour is closed: no upload that started in it can still be running without a row.
const CLOSED_AFTER: i64 = 2;
/// How long the sweep at the start waits for another sweep.
const PATIENCE: Duration = Duration::from_secs(600);
/// The name in the database of the first unswept hour.
const MARK: &str = "sweep-mark";

/// Hours with the keys found in each.
pub type Leftovers = Vec<(i64, Vec<String>)>;

/// Sweeps objects without a row.
#[derive(Clone)]
pub struct Sweep {
    /// The database.
    pub db: Db,
    /// The registry whose store is swept.
    pub registry: Arc<Registry>,
    /// The stores of the registry, one by one.
    pub stores: Stores,
    /// The time.
    pub clock: Arc<dyn Clock>,
}

impl Job for Sweep {
    const KIND: &'static str = "sweep";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.sweep_closed().await.into()
    }
}

impl Standing for Sweep {
    const EVERY: Duration = Duration::from_secs(600);

    async fn is_wanted(&self) -> Result<bool> {
        Ok(self.mark().await? != Some(self.open_from().await?))
    }
}

impl Sweep {
    async fn sweep_closed(&self) -> Result<()> {
        let (stored, open) = (self.mark().await?, self.open_from().await?);
        let begin = first_to_sweep(stored, open);
        stores::verify(&self.db, &self.stores).await?;
        let mut next = open;
        for hour in self.registry.store().hours().await? {
            if !(begin..open).contains(&hour) {
                continue;
            }
            match self.sweep_hour(hour).await {
                // Only for this hour.
                Err(Error::Storage(error)) if !is_outage(&error) => {
                    let cause = causes(&error);
                    tracing::warn!(hour, cause, "an hour cannot be swept now");
                    next = next.min(hour);
                }
                swept => swept?,
            }
        }
        if stored != Some(next) {
            let mark = self.db.write(move |tx| {
                Box::pin(async move { installation::put(tx, MARK, &next.to_be_bytes()).await })
            });
            mark.await?;
        }
        Ok(())
    }

    async fn sweep_hour(&self, hour: i64) -> Result<()> {
        let keys = self.registry.store().list(hour).await?;
        self.sweep_keys(&keys, hour).await?;
        Ok(self.registry.store().forget_hour(hour).await?)
    }

    /// Keys of the open hours; closed ones are swept anyway. Those without a row are leftovers of an earlier process
    /// only if no other process could write to the store before this returned.
    ///
    /// # Errors
    /// When the store or the database cannot be read.
    pub(crate) async fn leftovers(&self) -> Result<Leftovers> {
        let open = self.open_from().await?;
        let store = self.registry.store();
        let mut leftovers = Vec::new();
        for hour in store.hours().await? {
            if hour >= open {
                leftovers.push((hour, store.list(hour).await?));
            }
        }
        Ok(leftovers)
    }

    /// Sweeps the leftovers of an earlier process in place of the job, until this process stops.
    pub(crate) async fn sweep_leftovers(
        self,
        queue: Queue,
        leftovers: Leftovers,
        cancel: CancellationToken,
    ) {
        if leftovers.is_empty() {
            return;
        }
        let work = async {
            let held = Held::take(&queue, Self::KIND, PATIENCE, Manner::Waiting);
            let held = cancel.run_until_cancelled(held).await.transpose()?;
            let Some(held) = held.flatten() else {
                return Ok(());
            };
            let sweep = async {
                stores::verify(&self.db, &self.stores).await?;
                for (hour, keys) in leftovers {
                    self.sweep_keys(&keys, hour).await?;
                }
                Ok(())
            };
            let until_cancelled =
                async { cancel.run_until_cancelled(sweep).await.unwrap_or(Ok(())) };
            held.run(until_cancelled).await
        };
        if let Err(error) = work.await {
            tracing::warn!(%error, "what an earlier process left could not be swept");
        }
    }

    /// The first unswept hour, if any hour was swept.
    async fn mark(&self) -> Result<Option<i64>> {
        let mut tx = self.db.reader().await?;
        let mark = installation::get(&mut tx, MARK).await?;
        Ok(mark
            .and_then(|mark| mark.try_into().ok())
            .map(i64::from_be_bytes))
    }

    /// The first open hour.
    async fn open_from(&self) -> Result<i64> {
        Ok(self.db.now(&*self.clock).await?.hour() - CLOSED_AFTER)
    }

    async fn sweep_keys(&self, keys: &[String], hour: i64) -> Result<()> {
        let mut swept = 0;
        for keys in keys.chunks(BATCH) {
            let known = self.known(keys.to_vec()).await?;
            for key in keys {
                if known.contains(key) || self.registry.is_writing(key) {
                    continue;
                }
                match self.registry.store().discard(key).await {
                    Ok(()) => swept += 1,
                    Err(error) if is_outage(&error) => return Err(error.into()),
                    Err(error) => self.leave(key, &error).await?,
                }
            }
        }
        if swept > 0 {
            tracing::info!(objects = swept, hour, "swept objects that no row names");
        }
        Ok(())
    }

    /// Leaves an object that cannot be deleted to garbage collection, which retries less and less often.
    async fn leave(&self, key: &str, error: &storage::Error) -> Result<()> {
        let cause = causes(error);
        tracing::warn!(
            object.key = key,
            cause,
            "an object that no row names cannot be deleted now"
        );
        let (now, garbage) = (
            self.db.now(&*self.clock).await?,
            Garbage::of_upload(key.to_owned()),
        );
        let left = self
            .db
            .write(move |tx| Box::pin(async move { garbage::add(tx, &[garbage], now).await }));
        Ok(left.await?)
    }

    async fn known(&self, keys: Vec<String>) -> Result<HashSet<String>> {
        let mut tx = self.db.reader().await?;
        Ok(blob::known_keys(&mut tx, &keys)
            .await?
            .into_iter()
            .collect())
    }
}

/// Where a sweep begins. A mark beyond the open hours comes from a wrong clock, and is ignored.
fn first_to_sweep(mark: Option<i64>, open: i64) -> i64 {
    mark.filter(|mark| *mark <= open).unwrap_or(i64::MIN)
}

/// True if a retry will succeed once the store is back.
const fn is_outage(error: &storage::Error) -> bool {
    matches!(error, storage::Error::Unavailable { .. })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_in_the_future_counts_as_none() {
        assert_eq!(first_to_sweep(None, 100), i64::MIN);
        assert_eq!(first_to_sweep(Some(90), 100), 90);
        assert_eq!(first_to_sweep(Some(100), 100), 100);
        assert_eq!(first_to_sweep(Some(8_860), 100), i64::MIN);
    }
}
