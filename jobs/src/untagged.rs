//! Deletes manifests without a tag in projects that keep them only for a while. Looking takes a tenth of the
//! time at most, however many there are.

use std::time::{Duration, Instant};

use db::untagged::{self, Untagged};
use model::{ManifestId, ProjectId, RepositoryId, RepositoryName, Timestamp};

use crate::{Jobs, Result};

/// Rows that are read at once.
const PAGE: i64 = 500;

impl Jobs {
    /// Looks through all projects with a policy.
    ///
    /// # Errors
    /// When the database fails; the rest is looked at the next time.
    pub async fn delete_untagged(&self) -> Result<()> {
        if crate::gc::control(&self.db).await?.paused {
            return Ok(());
        }
        self.delete_untagged_now().await
    }

    /// As [`Jobs::delete_untagged`], paused or not.
    pub(crate) async fn delete_untagged_now(&self) -> Result<()> {
        let mut tx = self.db.reader().await?;
        let policies = untagged::policies(&mut tx).await?;
        drop(tx);
        for (project, secs) in policies {
            if !self.leads("untagged").await? {
                return Ok(());
            }
            self.look_through(project, Duration::from_secs(secs.unsigned_abs()))
                .await?;
        }
        Ok(())
    }

    async fn look_through(&self, project: ProjectId, keep: Duration) -> Result<()> {
        let mut after = String::new();
        loop {
            let begun = Instant::now();
            let mut tx = self.db.reader().await?;
            let page = untagged::repositories(&mut tx, project, &after, PAGE).await?;
            drop(tx);
            let Some((_, last)) = page.last() else {
                return Ok(());
            };
            last.as_str().clone_into(&mut after);
            rest(begun).await;
            for (id, name) in &page {
                self.look_into(project, (*id, name), keep).await?;
            }
        }
    }

    async fn look_into(
        &self,
        project: ProjectId,
        repository: (RepositoryId, &RepositoryName),
        keep: Duration,
    ) -> Result<()> {
        let mut after = String::new();
        loop {
            let begun = Instant::now();
            let mut tx = self.db.reader().await?;
            let page = untagged::list(&mut tx, repository.0, &after, PAGE).await?;
            drop(tx);
            rest(begun).await;
            let Some(last) = page.last() else {
                return Ok(());
            };
            after = last.digest.to_string();
            self.note(&page).await?;
            let due = Timestamp(self.clock.now().0 - keep.as_micros() as i64);
            for manifest in &page {
                if manifest.since.is_some_and(|since| since <= due)
                    && self
                        .registry
                        .delete_untagged(project, repository, manifest, due)
                        .await?
                {
                    tracing::info!(repository = %repository.1, digest = %manifest.digest, "deleted an untagged manifest");
                }
            }
        }
    }

    /// Notes which of these were not seen without a tag before.
    async fn note(&self, page: &[Untagged]) -> Result<()> {
        let new = page.iter().filter(|manifest| manifest.since.is_none());
        let new: Vec<ManifestId> = new.map(|manifest| manifest.id).collect();
        if new.is_empty() {
            return Ok(());
        }
        let now = self.clock.now();
        let noted = self
            .db
            .write(move |tx| Box::pin(async move { untagged::note(tx, &new, now).await }));
        Ok(noted.await?)
    }
}

async fn rest(begun: Instant) {
    tokio::time::sleep(begun.elapsed() * 9).await;
}
