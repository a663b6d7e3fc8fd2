//! Artifacts as administrators see them: deleting one with its tags. Reading configs, copying and additions are in
//! submodules.

mod addition;
pub(crate) mod attrs;
mod copy;

use db::blob::Place;
use db::immutability::Immutability;
use db::{manifest, tag};
use model::event::with_tags;
use model::{Digest, Event, Operation, Reference, RepositoryName, Subject, Tag};
use policy::{ProjectPermit, on, to};
use tracing::instrument;

pub use self::addition::Added;
pub use self::copy::Source;
use crate::immutability::refuse_manifest;
use crate::named::hold;
use crate::{Error, Registry, Result, TOLD};

/// What happens to an artifact that has other tags besides the one that names it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum OtherTags {
    /// They are deleted with it.
    Go,
    /// They prevent the deletion.
    Keep,
}

impl Registry {
    /// Deletes the manifest that a reference names, with its tags, of which the first 100 are returned, and its accessories.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::ManifestInUse`] for a child of an index; [`Error::Immutable`] if a rule
    /// protects one of its tags, or one of an accessory that would be deleted with it; [`Error::OtherTags`] if it has
    /// other tags and these prevent the deletion.
    #[instrument(name = "registry.artifact.delete", level = "debug", skip_all, fields(repo.name = %name))]
    pub async fn delete_artifact(
        &self,
        permit: &ProjectPermit<on::Artifact, to::Delete>,
        name: &RepositoryName,
        reference: &Reference,
        others: OtherTags,
    ) -> Result<Vec<Tag>> {
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
                let tags = tag::of_manifest(tx, held.id, None, TOLD).await?;
                if others == OtherTags::Keep {
                    refuse_other_tags(&held.digest, &tags, &reference)?;
                }
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
                tx.record(&event.with_detail(with_tags(&tags))).await?;
                Ok(tags)
            })
        });
        deleted.await
    }
}

fn refuse_other_tags(artifact: &Digest, tags: &[Tag], named_by: &Reference) -> Result<()> {
    let is_other = |tag: &&Tag| !matches!(named_by, Reference::Tag(named) if named == *tag);
    let tags: Vec<Tag> = tags.iter().filter(is_other).cloned().collect();
    match tags.is_empty() {
        true => Ok(()),
        false => Err(Error::OtherTags {
            artifact: *artifact,
            tags,
        }),
    }
}
