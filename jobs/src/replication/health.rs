//! Whether other registries can be used, looked at every five minutes.

use std::time::Duration;

use db::registry as registries;
use futures_util::{StreamExt as _, TryStreamExt as _, stream};
use model::RegistryId;
use remote::{Patience, Remote, Target};

use super::works::Works;
use crate::Result;
use crate::engine::{Context, Job, Outcome, Retry, Standing};

/// How long a finding counts.
const COUNTS: Duration = Duration::from_secs(300);
/// How long one may take to answer.
const PATIENCE: Duration = Duration::from_secs(30);
/// Registries that are looked at in one run, and side by side.
const BATCH: i64 = 100;
const SIDE_BY_SIDE: usize = 4;

/// Looks at other registries.
pub(crate) struct RegistryHealth(pub(crate) Works);

impl Job for RegistryHealth {
    const KIND: &'static str = "registry_health";
    const RETRY: Retry = Retry::STANDING;
    type Payload = ();

    async fn run(&self, (): (), _: &mut Context) -> Outcome {
        self.look().await.into()
    }
}

impl Standing for RegistryHealth {
    const EVERY: Duration = Duration::from_secs(10);

    async fn is_wanted(&self) -> Result<bool> {
        Ok(!self.unchecked(1).await?.is_empty())
    }
}

/// Tries a registry out.
///
/// # Errors
/// What is wrong, and what to do about it.
pub async fn check(remote: &Remote) -> Result<(), remote::Error> {
    match tokio::time::timeout(PATIENCE, remote.ping()).await {
        Ok(done) => done,
        Err(_) => Err(remote::Error::Silent(
            remote.host().to_owned(),
            PATIENCE.as_secs(),
        )),
    }
}

impl RegistryHealth {
    async fn unchecked(&self, limit: i64) -> Result<Vec<RegistryId>> {
        let before = self.0.db.now(&*self.0.clock).await?.minus(COUNTS);
        let mut reader = self.0.db.reader().await?;
        Ok(registries::unchecked(&mut reader, before, limit).await?)
    }

    async fn look(&self) -> Result<()> {
        stream::iter(self.unchecked(BATCH).await?)
            .map(|id| self.look_at(id))
            .buffer_unordered(SIDE_BY_SIDE)
            .try_collect()
            .await
    }

    async fn look_at(&self, id: RegistryId) -> Result<()> {
        let mut reader = self.0.db.reader().await?;
        let Some(found) = registries::get(&mut reader, id).await? else {
            return Ok(());
        };
        drop(reader);
        let target = Target::of(&found, &self.0.master);
        let remote =
            target.and_then(|target| target.connect(self.0.guard.clone(), Patience::TRYING));
        let problem = match remote {
            Ok(remote) => check(&remote).await.err(),
            Err(error) => Some(error),
        };
        let now = self.0.db.now(&*self.0.clock).await?;
        let problem = problem.map(|error| error.to_string());
        Ok(tenancy::registry::checked(&self.0.db, id, problem, now).await?)
    }
}
