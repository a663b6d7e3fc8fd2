//! Removes objects that no row names: what a crash left between writing bytes and committing them.
//!
//! It is right beside pushes for these reasons. An object without a row is younger than its hour's end plus
//! the time that a row-less write may take, far less than [`CLOSED_AFTER`]; hours are told by the database's
//! clock, which all processes share. What this process itself writes is never swept, however the clock goes.
//! At the start of a process that is alone, the keys of the open hours are listed before it serves and before
//! another one can take over, so that nothing is among them that a later process makes. Rows are looked up
//! after the listing: what got a row meanwhile is spared. And before each sweep the store is compared with the
//! database: a folder may have been mounted over, and then no row names anything.

use std::collections::HashSet;
use std::time::Duration;

use db::garbage::{self, Garbage};
use db::{blob, setting};
use tokio_util::sync::CancellationToken;

use crate::failures::causes;
use crate::upkeep::Upkeep;
use crate::{Error, Jobs, Result, stores};

/// Keys that are looked up at once.
const BATCH: usize = 500;
/// Hours after which an hour is closed: no upload without a row is still running in it.
const CLOSED_AFTER: i64 = 2;
/// How long the sweep of what an earlier process left waits for another sweep.
const PATIENCE: Duration = Duration::from_secs(600);
/// The setting that holds the first hour that was not swept.
const MARK: &str = "sweep-mark";

/// Hours, and the keys that were found in each.
pub type Leftovers = Vec<(i64, Vec<String>)>;

impl Jobs {
    /// Sweeps the hours that were closed since the last time.
    ///
    /// # Errors
    /// When the store or the database fails; the rest is swept the next time.
    pub async fn sweep(&self) -> Result<()> {
        if !self.leads("sweep").await? {
            return Ok(());
        }
        self.alone(Duration::ZERO, async |jobs: &Self| {
            jobs.sweep_closed().await
        })
        .await
    }

    /// Does something while no move and no other sweep runs, and not at all while one does for longer than
    /// `patience`.
    async fn alone(
        &self,
        patience: Duration,
        work: impl AsyncFnOnce(&Self) -> Result<()>,
    ) -> Result<()> {
        match Upkeep::take(&self.db, &self.clock, patience).await? {
            None => Ok(()),
            Some(upkeep) => upkeep.run(work(self)).await,
        }
    }

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
                // Of this hour alone.
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
                Box::pin(async move { setting::put(tx, MARK, &next.to_be_bytes()).await })
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

    /// Keys of the open hours; closed ones are swept anyway. What no row names of them is an earlier process's
    /// only if no other one could write into the store before this returned.
    ///
    /// # Errors
    /// When the store or the database cannot be read.
    pub async fn leftovers(&self) -> Result<Leftovers> {
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

    /// Sweeps what an earlier process left, until this one ends.
    pub(crate) async fn sweep_leftovers(self, leftovers: Leftovers, cancel: CancellationToken) {
        if leftovers.is_empty() {
            return;
        }
        let sweep = self.alone(PATIENCE, async move |jobs: &Self| {
            stores::verify(&jobs.db, &jobs.stores).await?;
            for (hour, keys) in leftovers {
                jobs.sweep_keys(&keys, hour).await?;
            }
            Ok(())
        });
        tokio::select! {
            () = cancel.cancelled() => {}
            swept = sweep => if let Err(error) = swept {
                tracing::warn!(%error, "what an earlier process left could not be swept");
            }
        }
    }

    /// The first hour that was not swept, if any was.
    async fn mark(&self) -> Result<Option<i64>> {
        let mut tx = self.db.reader().await?;
        let mark = setting::get(&mut tx, MARK).await?;
        Ok(mark
            .and_then(|mark| mark.try_into().ok())
            .map(i64::from_be_bytes))
    }

    /// The first hour that is not closed.
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

    /// Leaves an object that cannot be deleted to the garbage collection, which tries again, ever less often.
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

/// Where a sweep begins. A mark beyond the open hours is of a clock that was wrong, and counts as none.
fn first_to_sweep(mark: Option<i64>, open: i64) -> i64 {
    mark.filter(|mark| *mark <= open).unwrap_or(i64::MIN)
}

/// Whether the same will succeed once the store is there again.
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
