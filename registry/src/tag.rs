//! Tags: pointing them at manifests, deleting and listing them.

use db::tag::history;
use db::{Tx, manifest, repository, tag};
use model::{
    Digest, ManifestId, Operation, PrincipalId, ProjectId, Reference, RepositoryId, RepositoryName,
    Subject, Tag, Timestamp,
};
use policy::{DeletePermit, ProjectPermit, PullPermit, on, to};

use crate::catalog::Names;
use crate::immutability::Immutability;
use crate::named::hold;
use crate::{Error, Registry, Result};

impl Registry {
    /// Tags of a repository after `last`.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] if there is no such repository.
    pub async fn tags(&self, permit: &PullPermit, last: Option<&str>, limit: i64) -> Result<Names> {
        let mut tx = self.db.for_lists().reader().await?;
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
        let what = subject(project, &name, &tag);
        let event = self.event(permit.caller(), Operation::Delete, what);
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

/// A tag of a repository.
fn subject(project: ProjectId, repository: &RepositoryName, tag: &Tag) -> Subject {
    Subject::Tag {
        project,
        repository: repository.clone(),
        tag: tag.clone(),
    }
}

impl Registry {
    /// Gives an artifact one more tag, which the repository must not have.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::TagExists`].
    pub async fn create_tag(
        &self,
        permit: &ProjectPermit<on::Tag, to::Create>,
        name: &RepositoryName,
        (reference, tag): (&Reference, &Tag),
    ) -> Result<()> {
        let (project, by, now) = (permit.project().id, permit.caller().id(), self.clock.now());
        let what = subject(project, name, tag);
        let event = self.event(permit.caller(), Operation::Create, what);
        let (name, reference, tag) = (name.clone(), reference.clone(), tag.clone());
        let created = self.charging(project, move |_, tx| {
            let (name, reference) = (name.clone(), reference.clone());
            let (tag, event) = (tag.clone(), event.clone());
            Box::pin(async move {
                let (repository, held) = hold(tx, (project, &name), &reference).await?;
                let to = (repository, &name);
                if !tag::create(tx, to, &tag, held, (by, now)).await? {
                    return Err(Error::TagExists { tag, repository });
                }
                repository::publish(tx, repository, now).await?;
                Ok(tx.record(&event).await?)
            })
        });
        created.await
    }

    /// Takes a tag away from an artifact, which stays.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::TagUnknown`] where the artifact does not have it.
    pub async fn remove_tag(
        &self,
        permit: &ProjectPermit<on::Tag, to::Delete>,
        name: &RepositoryName,
        (reference, tag): (&Reference, &Tag),
    ) -> Result<()> {
        let (project, now) = (permit.project().id, self.clock.now());
        let what = subject(project, name, tag);
        let event = self.event(permit.caller(), Operation::Delete, what);
        let (name, reference, tag) = (name.clone(), reference.clone(), tag.clone());
        let removed = self.charging(project, move |_, tx| {
            let (name, reference) = (name.clone(), reference.clone());
            let (tag, event) = (tag.clone(), event.clone());
            Box::pin(async move {
                let (repository, held) = hold(tx, (project, &name), &reference).await?;
                if tag::target(tx, repository, &tag).await? != Some(held.digest) {
                    let artifact = held.id;
                    return Err(Error::TagUnknown { tag, artifact });
                }
                Immutability::of(tx, project)
                    .await?
                    .refuse_tag(&name, &tag)?;
                tag::delete(tx, (repository, &name), &tag).await?;
                repository::publish(tx, repository, now).await?;
                Ok(tx.record(&event).await?)
            })
        });
        removed.await
    }

    /// Points a tag at a digest at which it once pointed.
    ///
    /// # Errors
    /// [`Error::NeverTagged`]; [`Error::DigestGone`] where the manifest is not there any more.
    pub async fn restore_tag(
        &self,
        permit: &ProjectPermit<on::Tag, to::Create>,
        name: &RepositoryName,
        (tag, digest): (&Tag, Digest),
    ) -> Result<()> {
        let (project, by, now) = (permit.project().id, permit.caller().id(), self.clock.now());
        let what = Subject::Artifact {
            project,
            repository: name.clone(),
            tag: Some(tag.clone()),
            digest,
        };
        let event = self.event(permit.caller(), Operation::Update, what);
        let event = event.with_detail("restored");
        let (name, tag) = (name.clone(), tag.clone());
        let restored = self.charging(project, move |_, tx| {
            let (name, tag, event) = (name.clone(), tag.clone(), event.clone());
            Box::pin(async move {
                let repository = repository::published_in(tx, project, &name).await?;
                let repository = repository.ok_or_else(|| Error::NameUnknown(name.clone()))?;
                if !history::has(tx, repository, &tag, &digest).await? {
                    return Err(Error::NeverTagged { tag, digest });
                }
                let Some(held) = manifest::hold(tx, repository, &digest).await? else {
                    return Err(Error::DigestGone { tag, digest });
                };
                if tag::target(tx, repository, &tag).await? == Some(digest) {
                    return Ok(());
                }
                let (to, tags) = ((repository, &name), std::slice::from_ref(&tag));
                let rules = Immutability::of(tx, project).await?;
                rules.movable(tx, to, tags, &digest).await?;
                tag::set(tx, to, &tag, held.id, by, now).await?;
                repository::publish(tx, repository, now).await?;
                Ok(tx.record(&event).await?)
            })
        });
        restored.await
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
