//! Deletes untagged manifests in projects that keep them for a limited time. Scanning takes at most a tenth of the
//! time, however many there are.

use std::sync::Arc;
use std::time::{Duration, Instant};

use db::Db;
use db::broken::Broken;
use db::job_log::Level;
use db::untagged::{self, Untagged};
use model::{Clock, ManifestId, ProjectId, RepositoryId, RepositoryName, Timestamp};
use registry::Registry;

use crate::engine::{Context, Job, Outcome, Retry, Standing};
use crate::failures::causes;
use crate::{Error, Result};

/// Rows to read at a time.
const PAGE: i64 = 500;

/// Deletes untagged manifests.
#[derive(Clone)]
pub(crate) struct UntaggedCleaning {
    /// The database.
    pub(crate) db: Db,
    /// The registry.
    pub(crate) registry: Arc<Registry>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Job for UntaggedCleaning {
    const KIND: &'static str = "untagged";
    const RETRY: Retry = Retry {
        first: Self::EVERY,
        ..Retry::STANDING
    };
    type Payload = ();

    async fn run(&self, (): (), context: &mut Context) -> Outcome {
        match self.clean().await {
            Ok(0) => Outcome::Done(None),
            Ok(deleted) => {
                let deleted = format!("{deleted} untagged manifests deleted");
                context.log(Level::Info, &*deleted);
                Outcome::Done(Some(deleted))
            }
            Err(error) => Outcome::Failed(error),
        }
    }
}

impl Standing for UntaggedCleaning {
    const EVERY: Duration = Duration::from_secs(5);

    async fn is_wanted(&self) -> Result<bool> {
        let is_paused = crate::gc::control(&self.db).await?.paused;
        Ok(!is_paused && !self.policies().await?.is_empty())
    }
}

impl UntaggedCleaning {
    /// Scans all projects with a policy; returns the number of deleted manifests.
    ///
    /// # Errors
    /// When the database fails; the rest is scanned next time. If rows were skipped, after all others were scanned.
    pub(crate) async fn clean(&self) -> Result<u64> {
        let mut seen = Seen::default();
        for (project, secs) in self.policies().await? {
            let keep = Duration::from_secs(secs.unsigned_abs());
            self.look_through(project, keep, &mut seen).await?;
        }
        seen.end()
    }

    /// Deletes untagged manifests in all projects, whatever their policies, except those pushed within `window`: they
    /// may be about to be tagged. Returns the number of deleted manifests.
    ///
    /// # Errors
    /// As [`UntaggedCleaning::clean`].
    pub(crate) async fn clean_everywhere(&self, window: Duration) -> Result<u64> {
        let projects = untagged::projects(&mut self.db.reader().await?).await?;
        let mut seen = Seen {
            window,
            ..Seen::default()
        };
        // The first round records what is untagged, and the second one deletes what still is.
        for _ in 0..2 {
            for project in &projects {
                self.look_through(*project, Duration::ZERO, &mut seen)
                    .await?;
            }
        }
        seen.end()
    }

    async fn policies(&self) -> Result<Vec<(ProjectId, i64)>> {
        let mut tx = self.db.reader().await?;
        Ok(untagged::policies(&mut tx).await?)
    }

    async fn look_through(
        &self,
        project: ProjectId,
        keep: Duration,
        seen: &mut Seen,
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
            seen.rows(&page.broken);
            rest(begun).await;
            for (id, name) in &page.found {
                self.look_into(project, (*id, name), keep, seen).await?;
            }
        }
    }

    async fn look_into(
        &self,
        project: ProjectId,
        repository: (RepositoryId, &RepositoryName),
        keep: Duration,
        seen: &mut Seen,
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
            seen.rows(&page.broken);
            self.note(&page.found).await?;
            let due = Timestamp(self.clock.now().0 - keep.as_micros() as i64);
            for manifest in &page.found {
                let recent = self.clock.now().minus(seen.window);
                let is_recent = !seen.window.is_zero() && manifest.pushed_at > recent;
                if is_recent || manifest.since.is_none_or(|since| since > due) {
                    continue;
                }
                let (registry, digest) = (&self.registry, &manifest.digest);
                let deleted = registry.delete_untagged(project, repository, manifest, due);
                match deleted.await.map_err(Error::from) {
                    Ok(true) => {
                        tracing::info!(repository = %repository.1, %digest, "deleted an untagged manifest");
                        seen.deleted += 1;
                    }
                    Ok(false) => {}
                    Err(error) if is_about_a_row(&error) => {
                        seen.one(format!("{}@{digest}: {}", repository.1, causes(&error)));
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

/// Manifests deleted and rows skipped so far.
#[derive(Default)]
struct Seen {
    /// Manifests that were pushed within this time stay.
    window: Duration,
    deleted: u64,
    count: u64,
    first: Option<String>,
}

impl Seen {
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

    /// The number of deleted manifests. Fails if rows were skipped, so that the job's failure names one.
    fn end(self) -> Result<u64> {
        let Some(first) = self.first else {
            return Ok(self.deleted);
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
