//! Writes the pulls, logins, refusals and uses of robots of the last second, and records the store's leftovers.

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use db::audit::recorder::Recorder;
use db::garbage::{self, Garbage};
use db::robot::usage::RobotUses;
use model::Clock;
use registry::Registry;

use crate::Result;
use crate::local::Local;

/// How long an interrupted write may take to release the counters.
const LET_GO: Duration = Duration::from_millis(200);

/// Logs what is lost with the process, and why it cannot be written.
pub async fn tell_unwritten(registry: &Registry, audit: &Recorder, cause: &str) {
    let counting = async { (registry.pulls().unwritten().await, audit.unwritten().await) };
    let Ok((pulls, entries)) = tokio::time::timeout(LET_GO, counting).await else {
        tracing::error!(cause, "the last pulls, logins and refusals are not written");
        return;
    };
    if pulls + entries > 0 {
        tracing::error!(
            pulls,
            entries,
            cause,
            "the last pulls, logins and refusals are not written"
        );
    } else {
        tracing::warn!(
            cause,
            "the process ends without its last work on the database"
        );
    }
}

/// Writes the records that this process collects in memory.
pub(crate) struct Flush {
    pub(crate) db: Db,
    pub(crate) registry: Arc<Registry>,
    pub(crate) audit: Arc<Recorder>,
    pub(crate) uses: Arc<RobotUses>,
    pub(crate) clock: Arc<dyn Clock>,
}

impl Local for Flush {
    const NAME: &'static str = "flush";
    const EVERY: Duration = Duration::from_secs(1);

    /// Writes the records waiting in memory. If the database cannot be written, they keep waiting.
    async fn run(&self) -> Result<()> {
        // Neither blocks the other.
        let pulls = self.registry.flush_pulls().await;
        let id = auth::random_hex::<8>();
        self.audit.flush(&self.db, &id, self.clock.now()).await?;
        self.uses.flush(&self.db).await?;
        self.give_up_leftovers().await?;
        Ok(pulls?)
    }
}

impl Flush {
    /// Writes all records waiting in memory when the process stops.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub(crate) async fn flush_last(&self) -> Result<()> {
        let pulls = self.registry.flush_pulls().await;
        let id = auth::random_hex::<8>();
        self.audit.flush_last(&self.db, &id).await?;
        self.uses.flush(&self.db).await?;
        self.give_up_leftovers().await?;
        Ok(pulls?)
    }

    /// Queues objects that this process's store could not remove for garbage collection.
    async fn give_up_leftovers(&self) -> Result<()> {
        let store = self.registry.store();
        let left = store.leftovers();
        if left.is_empty() {
            return Ok(());
        }
        let noted = self.note_garbage(&left).await;
        if noted.is_err() {
            store.return_leftovers(&left);
        }
        noted
    }

    async fn note_garbage(&self, keys: &[String]) -> Result<()> {
        let now = self.db.now(&*self.clock).await?;
        let garbage: Vec<Garbage> = keys.iter().cloned().map(Garbage::of_upload).collect();
        let added = self
            .db
            .write(move |tx| Box::pin(async move { garbage::add(tx, &garbage, now).await }));
        Ok(added.await?)
    }
}
