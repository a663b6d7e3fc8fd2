//! Removes rows that belong to deleted manifests, repositories and labels, which can no longer be found. Each part is a
//! short transaction, followed by a pause that leaves most of the time to others. If the process dies, the next run
//! removes the remainder. What is removed, and why this is correct beside pushes, is explained in `db::tombstone`.

use std::collections::BTreeMap;
use std::error::Error as _;
use std::sync::Arc;
use std::time::{Duration, Instant};

use db::blob::Place;
use db::broken::Broken;
use db::manifest::When;
use db::quota::Taking;
use db::tombstone::{self, Deleted, Part};
use db::{Tx, label, repository};
use futures_util::future::BoxFuture;
use model::{ManifestId, RepositoryId};
use tracing::instrument;

use crate::{Registry, Result};

/// Deleted manifests to look up at a time.
const MANIFESTS: i64 = 200;
/// Deleted repositories to look up at a time.
const REPOSITORIES: i64 = 100;
/// The pause after a part, as a multiple of its duration.
const REST: u32 = 9;

impl Registry {
    /// Removes rows that belong to deleted manifests, repositories and labels, for about `spell`. Returns true if there
    /// may be more to remove. Rows that cannot be removed are skipped.
    ///
    /// # Errors
    /// When the database cannot be reached; when something was skipped, after everything else was removed.
    #[instrument(name = "registry.purge", level = "debug", skip_all)]
    pub async fn purge(&self, spell: Duration) -> Result<bool> {
        let mut passed = PassedOver::default();
        let manifests = self.purge_manifests(Instant::now() + spell, &mut passed);
        let more = manifests.await?;
        let repositories = self.purge_repositories(Instant::now() + spell, &mut passed);
        let more = repositories.await? | more;
        let labels = self.purge_in_parts(labels(), Instant::now() + spell);
        let more = labels.await? | more;
        if more { Ok(true) } else { passed.end() }
    }

    async fn purge_manifests(&self, end: Instant, passed: &mut PassedOver) -> Result<bool> {
        let (mut after, mut removed) = (ManifestId(0), false);
        loop {
            let mut tx = self.db.reader().await?;
            let page = tombstone::list(&mut tx, after, MANIFESTS).await?;
            drop(tx);
            passed.rows(&page.broken);
            let Some(last) = page.last else {
                return Ok(removed);
            };
            after = last;
            for deleted in by_repository(page.found) {
                removed |= self.purge_together(&deleted, end, passed).await?;
                if Instant::now() >= end {
                    return Ok(true);
                }
            }
        }
    }

    /// Removes deleted manifests of one repository together, or one by one if that fails.
    async fn purge_together(
        &self,
        deleted: &[Deleted],
        end: Instant,
        passed: &mut PassedOver,
    ) -> Result<bool> {
        let failed = match self.purge_in_parts(manifests(deleted), end).await {
            Err(error) => error,
            Ok(removed) => return Ok(removed),
        };
        if deleted.len() == 1 {
            passed.failed(failed)?;
            return Ok(false);
        }
        let mut removed = false;
        for one in deleted.chunks(1) {
            match self.purge_in_parts(manifests(one), end).await {
                Ok(some) => removed |= some,
                Err(error) => passed.failed(error)?,
            }
        }
        Ok(removed)
    }

    async fn purge_repositories(&self, end: Instant, passed: &mut PassedOver) -> Result<bool> {
        let mut after = RepositoryId(0);
        loop {
            let mut tx = self.db.reader().await?;
            let page = repository::deleted(&mut tx, after, REPOSITORIES).await?;
            drop(tx);
            passed.rows(&page.broken);
            let Some(last) = page.last else {
                return Ok(false);
            };
            after = last;
            for deleted in page.found {
                if let Err(error) = self.purge_in_parts(whole(deleted), end).await {
                    passed.failed(error)?;
                }
                if Instant::now() >= end {
                    return Ok(true);
                }
            }
        }
    }

    /// Runs a purge part by part until nothing is left or the time is over. Returns true if it did anything.
    async fn purge_in_parts(&self, purge: Purge, end: Instant) -> db::Result<bool> {
        let (rows, mut removed) = (self.rows_at_once(), false);
        loop {
            let now = self.db.now(&*self.clock).await?;
            let when = When {
                now,
                lease_until: now.plus(self.limits.grace),
            };
            let purge = purge.clone();
            let part = self.db.write(move |tx| {
                Box::pin(async move {
                    let begun = Instant::now();
                    Ok::<_, db::Error>((purge(tx, when, rows).await?, begun))
                })
            });
            // The time before it began is not counted.
            let (part, begun) = part.await?;
            removed |= part.rows > 0;
            if part.rows > 0 || part.left {
                tokio::time::sleep(begun.elapsed() * REST).await;
            }
            if !part.left || Instant::now() >= end {
                return Ok(removed);
            }
        }
    }
}

/// One part of a purge: a transaction, its moment, and how many rows it may remove.
type Purge =
    Arc<dyn for<'t> Fn(&'t mut Tx, When, i64) -> BoxFuture<'t, db::Result<Part>> + Send + Sync>;

/// Deleted manifests of one repository.
fn manifests(deleted: &[Deleted]) -> Purge {
    let deleted: Arc<[Deleted]> = deleted.into();
    Arc::new(move |tx, when, rows| {
        let deleted = deleted.clone();
        Box::pin(async move {
            let Some(first) = deleted.first() else {
                return Ok(Part::NOTHING);
            };
            let place = Place {
                project: first.project,
                repository: first.repository,
                name: &first.name,
                taking: Taking::Shared,
            };
            let ids: Vec<ManifestId> = deleted.iter().map(|deleted| deleted.id).collect();
            tombstone::purge(tx, place, &ids, when, rows).await
        })
    })
}

/// A deleted repository.
fn whole(deleted: repository::Deleted) -> Purge {
    Arc::new(move |tx, when, rows| {
        let deleted = deleted.clone();
        Box::pin(async move { repository::purge(tx, &deleted, when.lease_until, rows).await })
    })
}

/// Deleted labels.
fn labels() -> Purge {
    Arc::new(|tx, _, rows| Box::pin(label::purge(tx, rows)))
}

fn by_repository(deleted: Vec<Deleted>) -> Vec<Vec<Deleted>> {
    let mut groups: BTreeMap<i64, Vec<Deleted>> = BTreeMap::new();
    for one in deleted {
        groups.entry(one.repository.0).or_default().push(one);
    }
    groups.into_values().collect()
}

/// What could not be removed so far.
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

    /// Fails if everything else would fail too.
    fn failed(&mut self, error: db::Error) -> db::Result<()> {
        if db::is_outage(&error) || matches!(error, db::Error::WriterGone) {
            return Err(error);
        }
        // Another transaction used it: the next run removes it.
        if !error.is_collision() {
            let cause = error.source().map(|source| format!(": {source}"));
            self.one(format!("{error}{}", cause.unwrap_or_default()));
        }
        Ok(())
    }

    fn one(&mut self, what: String) {
        tracing::debug!(what, "passed over what cannot be removed");
        self.count += 1;
        self.first.get_or_insert(what);
    }

    /// Fails if something was skipped, so that the caller logs it once.
    fn end(self) -> Result<bool> {
        let Some(first) = self.first else {
            return Ok(false);
        };
        let count = self.count;
        Err(db::Error::PassedOver { count, first }.into())
    }
}
