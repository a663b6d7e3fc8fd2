//! Deletes manifests that have been untagged for longer than their project keeps them.

use db::blob::Place;
use db::manifest;
use db::untagged::{self, Untagged};
use model::{Operation, ProjectId, RepositoryId, RepositoryName, Subject, SystemTask, Timestamp};
use policy::Caller;

use crate::{Registry, Result};

impl Registry {
    /// Deletes a manifest and its referrers if it has been untagged since `due` and still is. Returns true if it did.
    /// If it or a referrer has an immutable tag, it is kept.
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
        let going = (repository, manifest.id);
        if self.immutable_of((project, name), going).await?.is_some() {
            return Ok(false);
        }
        let (name, going) = (name.clone(), manifest.id);
        let (when, rows) = (self.deleting_now(), self.rows_at_once());
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
        let deleted = self.charging(project, move |taking, tx| {
            let (name, event) = (name.clone(), event.clone());
            Box::pin(async move {
                if !untagged::hold(tx, going, due).await? {
                    return Ok(false);
                }
                let at = Place {
                    project,
                    repository,
                    name: &name,
                    taking,
                };
                manifest::delete(tx, at, going, when, rows).await?;
                tx.record(&event).await?;
                Ok(true)
            })
        });
        deleted.await
    }
}
