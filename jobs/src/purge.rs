//! Removes the content of deleted repositories.

use std::sync::Arc;
use std::time::Duration;

use db::{Db, repository};
use model::RepositoryId;
use registry::Registry;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};

/// Purges deleted repositories.
pub(crate) struct Purge {
    /// The database.
    pub(crate) db: Db,
    /// The registry.
    pub(crate) registry: Arc<Registry>,
}

impl Job for Purge {
    const KIND: &'static str = "purge";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        let purged = self.registry.purge_repositories().await;
        purged.map_err(Into::into).into()
    }
}

impl Standing for Purge {
    const EVERY: Duration = Duration::from_secs(1);

    async fn is_wanted(&self) -> Result<bool> {
        let mut tx = self.db.reader().await?;
        let first = repository::deleted(&mut tx, RepositoryId(0), 1).await?;
        Ok(!first.is_empty())
    }
}
