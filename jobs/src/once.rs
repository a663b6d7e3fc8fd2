//! A single pass over everything that is due, outside the serving processes: `gantry gc run`.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use db::Db;
use model::Clock;
use registry::Registry;

use crate::engine::{Held, Job, Manner, Queue};
use crate::gc::{Gc, Progress, Settings};
use crate::purge;
use crate::untagged::UntaggedCleaning;
use crate::{Result, upload_expiry};

/// How long a pass waits for servers to stop collecting; longer than the lease of a process that crashed.
const PATIENCE: Duration = Duration::from_secs(20);

/// Everything that a pass needs.
pub struct Pass {
    /// The database.
    pub db: Db,
    /// The registry.
    pub registry: Arc<Registry>,
    /// The time.
    pub clock: Arc<dyn Clock>,
    /// Rate and hold time.
    pub gc: Settings,
    /// Counts of removed items.
    pub progress: Arc<Progress>,
    /// If set, untagged manifests of all projects are deleted, except those pushed within this time.
    pub untagged_everywhere: Option<Duration>,
}

impl Pass {
    /// Ends expired uploads, deletes untagged manifests that are due, removes dependent rows of deleted manifests and
    /// repositories, and collects garbage, whether collection is paused or not. Servers stop collecting meanwhile.
    /// Returns false if another command is collecting.
    ///
    /// # Errors
    /// When the database or the store fails; the rest is collected next time.
    pub async fn collect(&self) -> Result<bool> {
        let queue = Queue::of_command(self.db.clone(), self.clock.clone());
        let take = async |kind| Held::take(&queue, kind, PATIENCE, Manner::Asking).await;
        let Some(gc) = take(Gc::KIND).await? else {
            return Ok(false);
        };
        let Some(untagged) = take(UntaggedCleaning::KIND).await? else {
            gc.run(async { Ok(()) }).await?;
            return Ok(false);
        };
        upload_expiry::expire(&self.registry).await?;
        // Unreadable rows do not prevent the rest from being collected.
        let looked = untagged.run(self.clean()).await;
        // Whether or not another process is doing it too.
        let purged = purge::purge(&self.registry).await;
        gc.run(self.gc().collect_unbounded()).await?;
        looked.and(purged.map(Some)).map(|_| true)
    }

    async fn clean(&self) -> Result<u64> {
        let mut deleted = self.untagged().clean().await?;
        if let Some(window) = self.untagged_everywhere {
            deleted += self.untagged().clean_everywhere(window).await?;
        }
        self.progress.untagged.fetch_add(deleted, Ordering::Relaxed);
        Ok(deleted)
    }

    fn untagged(&self) -> UntaggedCleaning {
        UntaggedCleaning {
            db: self.db.clone(),
            registry: self.registry.clone(),
            clock: self.clock.clone(),
        }
    }

    fn gc(&self) -> Gc {
        Gc {
            db: self.db.clone(),
            registry: self.registry.clone(),
            clock: self.clock.clone(),
            settings: self.gc,
            progress: self.progress.clone(),
        }
    }
}
