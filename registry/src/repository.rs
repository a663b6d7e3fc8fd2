//! Deleting a repository with everything in it.
//!
//! A short transaction, with an exclusive lock on the project, gives the repository a tombstone and writes the audit
//! entry. From its commit on, nothing of the repository can be found, and its name is free. A push holds a shared lock
//! on the project: it either ends before, and its content is deleted too, or begins after, and creates a new
//! repository.
//!
//! [`Registry::purge_repositories`] removes the content afterwards, in transactions small enough for other writers to
//! run in between. Only that function changes the content of a deleted repository, apart from garbage collection, which
//! removes links when they are due. If the process dies, the next run removes the rest.

use std::time::Instant;

use db::Db;
use db::repository::{self, Deleted};
use model::{Event, Operation, RepositoryId, RepositoryName, Subject, Timestamp};
use policy::ProjectPermit;
use tracing::instrument;

use crate::{Registry, Result};

/// Tags, or manifests and their references, to remove per transaction.
const BATCH: i64 = 500;
/// Deleted repositories to look up at a time.
const REPOSITORIES: i64 = 100;

/// Deletes a repository. Returns false if there was none.
///
/// # Errors
/// When the project is gone or the database fails.
pub async fn delete(
    db: &Db,
    permit: &ProjectPermit,
    name: &RepositoryName,
    now: Timestamp,
) -> db::Result<bool> {
    let (project, name) = (permit.project().id, name.clone());
    let subject = Subject::Repository {
        project: Some(project),
        name: name.clone(),
    };
    let event = Event::new(now, permit.caller().origin(), Operation::Delete, subject);
    let deleted = db.write_alone_in(project, move |tx| {
        Box::pin(async move {
            let deleted = repository::delete(tx, project, &name, now).await?;
            if deleted {
                tx.record(&event).await?;
            }
            Ok(deleted)
        })
    });
    deleted.await
}

impl Registry {
    /// Removes the content of deleted repositories, and pauses after each transaction for as long as it took. One that
    /// cannot be removed is logged and left for the next run.
    ///
    /// # Errors
    /// When the database cannot be read.
    #[instrument(name = "registry.repository.purge", level = "debug", skip_all)]
    pub async fn purge_repositories(&self) -> Result<()> {
        let mut after = RepositoryId(0);
        loop {
            let mut tx = self.db.reader().await?;
            let deleted = repository::deleted(&mut tx, after, REPOSITORIES).await?;
            drop(tx);
            let Some(last) = deleted.last() else {
                return Ok(());
            };
            after = last.id;
            for repository in &deleted {
                if let Err(error) = self.purge(repository).await {
                    tracing::warn!(repo.name = %repository.name, %error, "a deleted repository cannot be removed yet");
                }
            }
        }
    }

    async fn purge(&self, repository: &Deleted) -> Result<()> {
        loop {
            let begun = Instant::now();
            let lease = self.db.now(&*self.clock).await?.plus(self.limits.grace);
            let part = repository.clone();
            let purged = self.db.write(move |tx| {
                Box::pin(async move { repository::purge(tx, &part, lease, BATCH).await })
            });
            if !purged.await? {
                return Ok(());
            }
            tokio::time::sleep(begun.elapsed()).await;
        }
    }
}
