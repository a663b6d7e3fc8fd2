//! Deletes manifests that have been untagged for longer than their project keeps them.

use db::blob::Place;
use db::manifest::{self, Going, Way};
use db::untagged::{self, Untagged};
use model::{Operation, ProjectId, RepositoryId, RepositoryName, Subject, SystemTask, Timestamp};
use policy::Caller;

use crate::{Error, Registry, Result};

impl Registry {
    /// Deletes a manifest and its untagged referrers if it has been untagged since `due` and still is. Returns true if
    /// it did.
    ///
    /// # Errors
    /// When the database cannot be written.
    pub async fn delete_untagged(
        &self,
        project: ProjectId,
        (repository, name): (RepositoryId, &RepositoryName),
        manifest: &Untagged,
        due: Timestamp,
    ) -> Result<bool> {
        let name = name.clone();
        let going = Going {
            id: manifest.id,
            digest: manifest.digest,
        };
        let now = self.clock.now();
        let lease = now.plus(self.limits.grace);
        let rows = self.rows_at_once();
        let subject = Subject::Artifact {
            project,
            repository: name.clone(),
            tag: None,
            digest: manifest.digest,
        };
        let collector = Caller::system(SystemTask::GarbageCollection);
        let event = self
            .event(&collector, Operation::Delete, subject)
            .with_detail("untagged");
        let mut way = Way::default();
        loop {
            let before = self.db.writes_asked_for();
            let (begun, name, event) = (way, name.clone(), event.clone());
            let deleted = self.charging(project, move |taking, tx| {
                let (name, event, mut way) = (name.clone(), event.clone(), begun.clone());
                Box::pin(async move {
                    if !untagged::hold(tx, going.id, due).await? {
                        return Ok(Part::Kept);
                    }
                    let at = Place {
                        project,
                        repository,
                        name: &name,
                        taking,
                    };
                    if !manifest::delete(tx, at, going, &mut way, lease, rows).await? {
                        return Ok(Part::Rest(way));
                    }
                    tx.record(&event).await?;
                    Ok::<_, Error>(Part::Last)
                })
            });
            way = match deleted.await? {
                Part::Kept => return Ok(false),
                Part::Rest(way) => way,
                Part::Last => return Ok(true),
            };
            self.give_way(before).await;
        }
    }
}

/// The outcome of a transaction.
enum Part {
    /// Nothing deleted: the manifest has a tag again.
    Kept,
    /// Part of what depends on the manifest was deleted; continue from here.
    Rest(Way),
    /// The manifest itself was deleted.
    Last,
}
