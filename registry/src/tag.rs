//! Tags: pointing them at manifests, deleting and listing them.

use db::{Tx, repository, tag};
use model::{
    ManifestId, Operation, PrincipalId, Reference, RepositoryId, RepositoryName, Subject, Tag,
    Timestamp,
};
use policy::{DeletePermit, PullPermit};

use crate::catalog::Names;
use crate::immutability::Immutability;
use crate::{Error, Registry, Result};

impl Registry {
    /// Tags of a repository after `last`.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] if there is no such repository.
    pub async fn tags(&self, permit: &PullPermit, last: Option<&str>, limit: i64) -> Result<Names> {
        let mut tx = self.db.reader().await?;
        let name = permit.repository();
        let tags = tag::list(&mut tx, name, last, limit + 1).await?;
        // A repository with tags is visible.
        if tags.is_empty() && repository::published(&mut tx, name).await?.is_none() {
            return Err(Error::NameUnknown(name.clone()));
        }
        Ok(Names::cut(tags, limit))
    }

    /// Deletes a tag; its manifest stays.
    pub(crate) async fn delete_tag(&self, permit: &DeletePermit, tag: &Tag) -> Result<()> {
        let (project, name, tag) = (permit.project(), permit.repository().clone(), tag.clone());
        let subject = Subject::Tag {
            project,
            repository: name.clone(),
            tag: tag.clone(),
        };
        let event = self.event(permit.caller(), Operation::Delete, subject);
        let deleted = self.charging(project, move |_, tx| {
            let (name, tag, event) = (name.clone(), tag.clone(), event.clone());
            Box::pin(async move {
                let id = repository::published(tx, &name).await?;
                let id = id.ok_or_else(|| Error::NameUnknown(name.clone()))?;
                Immutability::of(tx, project)
                    .await?
                    .refuse_tag(&name, &tag)?;
                let gone = tag::delete(tx, (id, &name), &tag).await?;
                gone.ok_or_else(|| Error::manifest_unknown(&name, &Reference::Tag(tag)))?;
                Ok(tx.record(&event).await?)
            })
        });
        deleted.await
    }
}

/// Points tags at a pushed manifest, in the transaction of the push.
pub(crate) async fn point_tags(
    tx: &mut Tx,
    repository: (RepositoryId, &RepositoryName),
    tags: &[Tag],
    (manifest, by, now): (ManifestId, Option<PrincipalId>, Timestamp),
) -> Result<()> {
    for tag in tags {
        tag::set(tx, repository, tag, manifest, by, now).await?;
    }
    Ok(())
}
