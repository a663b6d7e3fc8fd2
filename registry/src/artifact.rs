//! Artifacts as administrators see them: deleting one with its tags. Reading configs, copying and additions are below.

mod addition;
mod attrs;
mod copy;

use db::blob::Place;
use db::{manifest, repository, tag};
use model::{Event, Operation, ProjectId, Reference, RepositoryId, RepositoryName, Subject};
use policy::{ProjectPermit, on, to};
use tracing::instrument;

pub use self::addition::Added;
pub use self::copy::Source;
use crate::immutability::Immutability;
use crate::{Error, Registry, Result};

impl Registry {
    /// Deletes the manifest that a reference names, with its tags and its accessories.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::ManifestInUse`] for a child of an index; [`Error::Immutable`] where a
    /// rule keeps one of its tags.
    #[instrument(name = "registry.artifact.delete", level = "debug", skip_all, fields(repo.name = %name))]
    pub async fn delete_artifact(
        &self,
        permit: &ProjectPermit<on::Artifact, to::Delete>,
        name: &RepositoryName,
        reference: &Reference,
    ) -> Result<()> {
        let (project, name, reference) = (permit.project().id, name.clone(), reference.clone());
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
                rules.refuse_manifest(tx, &name, held.id).await?;
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

/// The repository of a project, and the manifest that a reference names in it, held until the transaction ends.
pub(crate) async fn hold(
    tx: &mut db::Tx,
    (project, name): (ProjectId, &RepositoryName),
    reference: &Reference,
) -> Result<(RepositoryId, manifest::HeldManifest)> {
    let unknown = || Error::manifest_unknown(name, reference);
    let id = repository::published_in(tx, project, name).await?;
    let id = id.ok_or_else(unknown)?;
    let digest = match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(tag) => tag::target(tx, id, tag).await?,
    };
    let held = match digest {
        Some(digest) => manifest::hold(tx, id, &digest).await?,
        None => None,
    };
    Ok((id, held.ok_or_else(unknown)?))
}
