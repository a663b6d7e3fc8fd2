//! Deletes untagged manifests in projects that keep them for a limited time. Scanning takes at most a tenth of the
//! time, however many there are.

use std::time::{Duration, Instant};

use db::broken::Broken;
use db::untagged::{self, Untagged};
use model::{ManifestId, ProjectId, RepositoryId, RepositoryName, Timestamp};

use crate::failures::causes;
use crate::{Error, Jobs, Result};

/// Rows to read at a time.
const PAGE: i64 = 500;

impl Jobs {
    /// Scans all projects with a policy.
    ///
    /// # Errors
    /// When the database fails; the rest is scanned next time. If rows were skipped, after all others were scanned.
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
        let mut passed = PassedOver::default();
        for (project, secs) in policies {
            if !self.leads("untagged").await? {
                return Ok(());
            }
            let keep = Duration::from_secs(secs.unsigned_abs());
            self.look_through(project, keep, &mut passed).await?;
        }
        passed.end()
    }

    async fn look_through(
        &self,
        project: ProjectId,
        keep: Duration,
        passed: &mut PassedOver,
    ) -> Result<()> {
        let mut after = String::new();
        loop {
            let begun = Instant::now();
            let mut tx = self.db.reader().await?;
            let page = untagged::repositories(&mut tx, project, &after, PAGE).await?;
            drop(tx);
            let Some(last) = page.last else {
                return Ok(());
            };
            after = last;
            passed.rows(&page.broken);
            rest(begun).await;
            for (id, name) in &page.found {
                self.look_into(project, (*id, name), keep, passed).await?;
            }
        }
    }

    async fn look_into(
        &self,
        project: ProjectId,
        repository: (RepositoryId, &RepositoryName),
        keep: Duration,
        passed: &mut PassedOver,
    ) -> Result<()> {
        let mut after = Vec::new();
        loop {
            let begun = Instant::now();
            let mut tx = self.db.reader().await?;
            let page = untagged::list(&mut tx, repository.0, &after, PAGE).await?;
            drop(tx);
            rest(begun).await;
            let Some(last) = page.last else {
                return Ok(());
            };
            after = last;
            passed.rows(&page.broken);
            self.note(&page.found).await?;
            let due = Timestamp(self.clock.now().0 - keep.as_micros() as i64);
            for manifest in &page.found {
                if manifest.since.is_none_or(|since| since > due) {
                    continue;
                }
                let (registry, digest) = (&self.registry, &manifest.digest);
                let deleted = registry.delete_untagged(project, repository, manifest, due);
                match deleted.await.map_err(Error::from) {
                    Ok(true) => {
                        tracing::info!(repository = %repository.1, %digest, "deleted an untagged manifest");
                    }
                    Ok(false) => {}
                    Err(error) if is_about_a_row(&error) => {
                        passed.one(format!("{}@{digest}: {}", repository.1, causes(&error)));
                    }
                    Err(error) => return Err(error),
                }
            }
        }
    }

    /// Records which of these are seen untagged for the first time.
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

/// Rows skipped so far.
#[derive(Default)]
struct PassedOver {
    count: u64,
    first: Option<String>,
}

impl PassedOver {
    fn rows(&mut self, broken: &[Broken]) {
        for row in broken {
            self.one(row.to_string());
        }
    }

    fn one(&mut self, what: String) {
        tracing::debug!(what, "passed over what cannot be understood");
        self.count += 1;
        self.first.get_or_insert(what);
    }

    /// Fails if rows were skipped, so that the caller logs it once.
    fn end(self) -> Result<()> {
        let Some(first) = self.first else {
            return Ok(());
        };
        let count = self.count;
        Err(db::Error::PassedOver { count, first }.into())
    }
}

/// True for errors of a single manifest that may not affect others.
fn is_about_a_row(error: &Error) -> bool {
    matches!(
        error,
        Error::Registry(registry::Error::Database(db::Error::Corrupt { .. }))
    )
}

async fn rest(begun: Instant) {
    tokio::time::sleep(begun.elapsed() * 9).await;
}
