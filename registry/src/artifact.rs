//! Artifacts as administrators see them: deleting one with its tags. Reading configs, copying and additions are below.

mod addition;
pub(crate) mod attrs;
mod copy;

use db::blob::Place;
use db::immutability::Immutability;
use db::manifest;
use model::{Event, Operation, Reference, RepositoryName, Subject};
use policy::{ProjectPermit, on, to};
use tracing::instrument;

pub use self::addition::Added;
pub use self::copy::Source;
use crate::immutability::refuse_manifest;
use crate::named::hold;
use crate::{Error, Registry, Result};

impl Registry {
    /// Deletes the manifest that a reference names, with its tags and its accessories.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::ManifestInUse`] for a child of an index; [`Error::Immutable`] where a
    /// rule keeps one of its tags, or one of an accessory that would go with it.
    #[instrument(name = "registry.artifact.delete", level = "debug", skip_all, fields(repo.name = %name))]
    pub async fn delete_artifact(
        &self,
        permit: &ProjectPermit<on::Artifact, to::Delete>,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<()> {
        let project = permit.project().id;
        self.refuse_immutable((project, name), reference).await?;
        let (name, reference) = (name.clone(), reference.clone());
        let (when, rows, origin) = (
            self.deleting_now(),
            self.rows_at_once(),
            permit.caller().origin(),
        );
        let deleted = self.charging(project, move |taking, tx| {
            let (name, reference, origin) = (name.clone(), reference.clone(), origin.clone());
            Box::pin(async move {
                let (id, held) = hold(tx, (project, &name), &reference).await?;
                let rules = Immutability::of(tx, project).await?;
                refuse_manifest(tx, (&rules, &name), held.id).await?;
                if let Some(parent) = manifest::parent(tx, held.id).await? {
                    let child = held.digest;
                    return Err(Error::ManifestInUse { child, parent });
                }
                let at = Place {
                    project,
                    repository: id,
                    name: &name,
                    taking,
                };
                manifest::delete(tx, at, held.id, when, rows).await?;
                let subject = Subject::Artifact {
                    project,
                    repository: name.clone(),
                    tag: None,
                    digest: held.digest,
                };
                let event = Event::new(when.now, origin, Operation::Delete, subject);
                Ok(tx.record(&event).await?)
            })
        });
        deleted.await
    }
}
