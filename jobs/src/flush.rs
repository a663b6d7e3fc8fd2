//! Writes the pulls, logins and refusals of the last second, and records the store's leftovers.

use std::time::Duration;

use db::audit::recorder::Recorder;
use db::garbage::{self, Garbage};
use registry::Registry;

use crate::{Jobs, Result};

/// How long whoever was writing has to let go of what is counted.
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

impl Jobs {
    /// Writes the records waiting in memory.
    ///
    /// # Errors
    /// When the database cannot be written; the records keep waiting.
    pub async fn flush(&self) -> Result<()> {
        // Neither blocks the other.
        let pulls = self.registry.flush_pulls().await;
        let id = auth::random_hex::<8>();
        self.audit.flush(&self.db, &id, self.clock.now()).await?;
        self.give_up_leftovers().await?;
        Ok(pulls?)
    }

    /// Writes all records waiting in memory when the process stops.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn flush_last(&self) -> Result<()> {
        let pulls = self.registry.flush_pulls().await;
        let id = auth::random_hex::<8>();
        self.audit.flush_last(&self.db, &id).await?;
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
