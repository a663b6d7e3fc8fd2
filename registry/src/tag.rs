//! Tags: pointing them at manifests, deleting and listing them.

pub mod version;

use std::slice;

use db::blob::Place;
use db::immutability::Immutability;
use db::tag::{Deletion, Onto, history};
use db::{Tx, manifest, repository, tag};
use model::{Digest, Event, Operation, ProjectId, Reference, RepositoryName, Subject, Tag};
use policy::{DeletePermit, ProjectPermit, PullPermit, on, to};

use crate::catalog::Names;
use crate::immutability::refuse_tag;
use crate::memory::holder;
use crate::named::{find, hold};
use crate::{Error, Registry, Result};

impl Registry {
    /// Tags of a repository after `last`.
    ///
    /// # Errors
    /// [`Error::NameUnknown`] if there is no such repository.
    pub async fn tags(&self, permit: &PullPermit, last: Option<&str>, limit: i64) -> Result<Names> {
        let _turn = self.memory.turn(holder(permit.caller())).await?;
        let mut tx = self.db.for_lists().reader().await?;
        let (project, name) = (permit.project(), permit.repository());
        let tags = tag::list(&mut tx, (project, name), last, limit + 1).await?;
        // A repository with tags is visible.
        if tags.is_empty()
            && repository::published_in(&mut tx, project, name)
                .await?
                .is_none()
        {
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
                let id = repository::published_in(tx, project, &name).await?;
                let id = id.ok_or_else(|| Error::NameUnknown(name.clone()))?;
                refuse_tag(&Immutability::of(tx, project).await?, &name, &tag)?;
                let here = Deletion::Here(event.at);
                let gone = tag::delete(tx, (id, &name), &tag, here).await?;
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
        let project = permit.project().id;
        let what = subject(project, name, tag);
        let event = self.event(permit.caller(), Operation::Create, what);
        let (name, reference, tag) = (name.clone(), reference.clone(), tag.clone());
        let created = self.charging(project, move |taking, tx| {
            let (name, reference) = (name.clone(), reference.clone());
            let (tag, event) = (tag.clone(), event.clone());
            Box::pin(async move {
                let (repository, digest) = find(tx, (project, &name), &reference).await?;
                let at = Place {
                    project,
                    repository,
                    name: &name,
                    taking,
                };
                match point(tx, at, (&tag, &digest), Onto::Nothing, &event).await? {
                    true => Ok(()),
                    false => Err(Error::manifest_unknown(&name, &reference)),
                }
            })
        });
        created.await
    }

    /// Removes a tag from an artifact, which stays.
    ///
    /// # Errors
    /// [`Error::ManifestUnknown`]; [`Error::TagUnknown`] if the artifact does not have it.
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
                refuse_tag(&Immutability::of(tx, project).await?, &name, &tag)?;
                tag::delete(tx, (repository, &name), &tag, Deletion::Here(now)).await?;
                repository::publish(tx, repository, now).await?;
                Ok(tx.record(&event).await?)
            })
        });
        removed.await
    }

    /// Points a tag at a digest at which it once pointed.
    ///
    /// # Errors
    /// [`Error::NeverTagged`]; [`Error::DigestGone`] if the manifest was deleted.
    pub async fn restore_tag(
        &self,
        permit: &ProjectPermit<on::Repository, to::Push>,
        name: &RepositoryName,
        (tag, digest): (&Tag, Digest),
    ) -> Result<()> {
        let project = permit.project().id;
        let what = Subject::Artifact {
            project,
            repository: name.clone(),
            tag: Some(tag.clone()),
            digest,
        };
        let event = self.event(permit.caller(), Operation::Update, what);
        let event = event.with_detail("restored");
        let (name, tag) = (name.clone(), tag.clone());
        let restored = self.charging(project, move |taking, tx| {
            let (name, tag, event) = (name.clone(), tag.clone(), event.clone());
            Box::pin(async move {
                let repository = repository::published_in(tx, project, &name).await?;
                let repository = repository.ok_or_else(|| Error::NameUnknown(name.clone()))?;
                if !history::has(tx, repository, &tag, &digest).await? {
                    return Err(Error::NeverTagged { tag, digest });
                }
                if tag::target(tx, repository, &tag).await? == Some(digest) {
                    return Ok(());
                }
                let at = Place {
                    project,
                    repository,
                    name: &name,
                    taking,
                };
                match point(tx, at, (&tag, &digest), Onto::Anything, &event).await? {
                    true => Ok(()),
                    false => Err(Error::DigestGone { tag, digest }),
                }
            })
        });
        restored.await
    }
}

/// Points one tag at a manifest of the repository. Returns false if there is no such manifest.
async fn point(
    tx: &mut Tx,
    at: Place<'_>,
    (tag, digest): (&Tag, &Digest),
    onto: Onto,
    event: &Event,
) -> Result<bool> {
    let rules = Immutability::of(tx, at.project).await?;
    let claim = tag::claim(tx, (at, &rules), slice::from_ref(tag), digest, onto).await?;
    let claim = claim.map_err(|kept| Error::kept(at, kept))?;
    let Some(held) = manifest::hold(tx, at.repository, digest).await? else {
        return Ok(false);
    };
    let set = tag::set(tx, at, claim, held.id, event).await?;
    set.map_err(|kept| Error::kept(at, kept))?;
    repository::publish(tx, at.repository, event.at).await?;
    Ok(true)
}
