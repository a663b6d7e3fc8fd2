//! Removes dependent rows of deleted manifests, repositories and labels.

use std::sync::Arc;
use std::time::Duration;

use db::{Db, label, repository, tombstone};
use model::{ManifestId, RepositoryId};
use registry::Registry;

use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};

/// How long one round takes.
const SPELL: Duration = Duration::from_secs(3);

/// Purges deleted manifests, repositories and labels.
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
        purge(&self.registry).await.into()
    }
}

impl Standing for Purge {
    const EVERY: Duration = Duration::from_secs(1);

    async fn is_wanted(&self) -> Result<bool> {
        let mut reader = self.db.reader().await?;
        let manifests = tombstone::list(&mut reader, ManifestId(0), 1).await?;
        if manifests.last.is_some() {
            return Ok(true);
        }
        let repositories = repository::deleted(&mut reader, RepositoryId(0), 1).await?;
        Ok(repositories.last.is_some() || label::deleted(&mut reader).await?.is_some())
    }
}

/// Removes all of it, round by round.
pub(crate) async fn purge(registry: &Registry) -> Result<()> {
    while registry.purge(SPELL).await? {}
    Ok(())
}
