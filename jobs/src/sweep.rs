//! Removes objects that no row names: what a crash left between writing bytes and committing them.

use db::{Error, blob, setting};
use storage::key;

use crate::{Jobs, Result};

/// Keys that are looked up at once.
const BATCH: usize = 500;
/// Hours after which an hour is closed: no upload without a row is still running in it.
const CLOSED_AFTER: i64 = 2;
/// The setting that holds the first hour that was not swept.
const MARK: &str = "sweep-mark";

impl Jobs {
    /// Sweeps the hours that were closed since the last time.
    ///
    /// # Errors
    /// When the store or the database fails; the rest is swept the next time.
    pub async fn sweep(&self) -> Result<()> {
        if !self.leads("sweep").await? {
            return Ok(());
        }
        let (mark, open) = (self.mark().await?, self.open_from());
        for hour in self.registry.store().hours().await? {
            if (mark..open).contains(&hour) {
                self.sweep_hour(hour, true).await?;
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

    /// Sweeps the open hours too, of what other processes than this one left. Only right where no
    /// other process writes into the store.
    pub(crate) async fn sweep_everything(&self) -> Result<()> {
        let (mark, open) = (self.mark().await?, self.open_from());
        for hour in self.registry.store().hours().await? {
            if hour >= mark {
                self.sweep_hour(hour, hour < open).await?;
            }
        }
        Ok(())
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
    fn open_from(&self) -> i64 {
        self.clock.now().hour() - CLOSED_AFTER
    }

    async fn sweep_hour(&self, hour: i64, closed: bool) -> Result<()> {
        let store = self.registry.store();
        let mut swept = 0;
        let keys = store.list(hour).await?;
        for keys in keys.chunks(BATCH) {
            let known = self.known(keys.to_vec()).await?;
            for key in keys {
                let running = !closed && key::is_of(key, self.registry.process());
                if !known.contains(key) && !running {
                    store.discard(key).await?;
                    swept += 1;
                }
            }
        }
        if closed {
            store.forget_hour(hour).await?;
        }
        if swept > 0 {
            tracing::info!(objects = swept, hour, "swept objects that no row names");
        }
        Ok(())
    }

    async fn known(&self, keys: Vec<String>) -> Result<std::collections::HashSet<String>, Error> {
        let mut tx = self.db.reader().await?;
        Ok(blob::known_keys(&mut tx, &keys)
            .await?
            .into_iter()
            .collect())
    }
}
