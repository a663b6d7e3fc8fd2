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

use db::{Error, blob, setting};
use tokio_util::sync::CancellationToken;

use crate::upkeep::Upkeep;
use crate::{Jobs, Result, stores};

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
        let (mark, open) = (self.mark().await?, self.open_from().await?);
        stores::verify(&self.db, &self.stores).await?;
        for hour in self.registry.store().hours().await? {
            if (mark..open).contains(&hour) {
                let keys = self.registry.store().list(hour).await?;
                self.sweep_keys(&keys, hour).await?;
                self.registry.store().forget_hour(hour).await?;
            }
        }
        if mark < open {
            let mark = self.db.write(move |tx| {
                Box::pin(async move { setting::put(tx, MARK, &open.to_be_bytes()).await })
            });
            mark.await?;
        }
        Ok(())
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

    /// The first hour that was not swept.
    async fn mark(&self) -> Result<i64> {
        let mut tx = self.db.reader().await?;
        let mark = setting::get(&mut tx, MARK).await?;
        Ok(mark
            .and_then(|mark| mark.try_into().ok())
            .map_or(i64::MIN, i64::from_be_bytes))
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
                if !known.contains(key) && !self.registry.is_writing(key) {
                    self.registry.store().discard(key).await?;
                    swept += 1;
                }
            }
        }
        if swept > 0 {
            tracing::info!(objects = swept, hour, "swept objects that no row names");
        }
        Ok(())
    }

    async fn known(&self, keys: Vec<String>) -> Result<HashSet<String>, Error> {
        let mut tx = self.db.reader().await?;
        Ok(blob::known_keys(&mut tx, &keys)
            .await?
            .into_iter()
            .collect())
    }
}
