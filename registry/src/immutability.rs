//! Refusing to delete artifacts and repositories with immutable tags. The rules, and their check when a tag is set, are
//! in [`db::immutability`] and [`db::tag`].
//!
//! Tags are checked page by page on a reader, before the transaction that deletes, so that a refusal blocks no writer.
//! For a manifest, the transaction checks the manifest's own tags once more, which is less work than setting them was;
//! a referrer that got an immutable tag since is kept by the deletion itself (`db::tombstone`). For a repository it
//! checks only the newest tag, as [`Seen`] explains.

use db::blob::Place;
use db::immutability::Immutability;
use db::tag::{self, Kept};
use db::{Db, Reader, Tx, manifest, repository, tombstone};
use model::{ManifestId, ProjectId, Reference, RepositoryId, RepositoryName, Tag, TagId};

use crate::named::find;
use crate::{Error, Registry, Result};

/// Tags to check together.
const PAGE: i64 = 1_000;
/// Tags of referrers to check before a manifest is deleted. Beyond these, a referrer with an immutable tag is kept
/// silently.
const TAGS_OF_REFERRERS: i64 = 100_000;

/// Refuses to delete an immutable tag.
pub(crate) fn refuse_tag(rules: &Immutability, name: &RepositoryName, tag: &Tag) -> Result<()> {
    match rules.covers(name, tag) {
        true => Err(Error::immutable(name, tag)),
        false => Ok(()),
    }
}

/// Refuses to delete a manifest that has an immutable tag.
pub(crate) async fn refuse_manifest(
    reader: &mut Reader,
    (rules, name): (&Immutability, &RepositoryName),
    manifest: ManifestId,
) -> Result<()> {
    if rules.is_empty() {
        return Ok(());
    }
    let mut last: Option<Tag> = None;
    loop {
        let tags = tag::of_manifest(reader, manifest, last.as_ref(), PAGE).await?;
        refuse_any(rules, name, &tags)?;
        if (tags.len() as i64) < PAGE {
            return Ok(());
        }
        last = tags.last().cloned();
    }
}

/// Refuses to delete a manifest if it, or a referrer that would be deleted with it, has an immutable tag.
async fn refuse_with_referrers(
    reader: &mut Reader,
    (rules, name): (&Immutability, &RepositoryName),
    (repository, manifest): (RepositoryId, ManifestId),
) -> Result<()> {
    refuse_manifest(reader, (rules, name), manifest).await?;
    let going = (repository, manifest);
    let tags = tombstone::tags_that_go_with(reader, going, TAGS_OF_REFERRERS).await?;
    refuse_any(rules, name, &tags)
}

impl Registry {
    /// Refuses to delete what a reference names, before the transaction that would delete it.
    pub(crate) async fn refuse_immutable(
        &self,
        (project, name): (ProjectId, &RepositoryName),
        reference: &Reference,
    ) -> Result<()> {
        let mut reader = self.db().reader().await?;
        let rules = Immutability::of(&mut reader, project).await?;
        if rules.is_empty() {
            return Ok(());
        }
        let (repository, digest) = match find(&mut reader, (project, name), reference).await {
            // The transaction reports what is missing.
            Err(Error::ManifestUnknown(_)) => return Ok(()),
            found => found?,
        };
        let Some(id) = manifest::id(&mut reader, repository, &digest).await? else {
            return Ok(());
        };
        refuse_with_referrers(&mut reader, (&rules, name), (repository, id)).await
    }

    /// The immutable tag that keeps a manifest: one of its own, or of a referrer that would go with it.
    pub(crate) async fn immutable_of(
        &self,
        (project, name): (ProjectId, &RepositoryName),
        manifest: (RepositoryId, ManifestId),
    ) -> Result<Option<String>> {
        let mut reader = self.db().reader().await?;
        let rules = Immutability::of(&mut reader, project).await?;
        if rules.is_empty() {
            return Ok(None);
        }
        match refuse_with_referrers(&mut reader, (&rules, name), manifest).await {
            Err(Error::Immutable(tag)) => Ok(Some(tag)),
            refused => refused.map(|()| None),
        }
    }
}

fn refuse_any(rules: &Immutability, name: &RepositoryName, tags: &[Tag]) -> Result<()> {
    tags.iter().try_for_each(|tag| refuse_tag(rules, name, tag))
}

/// All tags that a repository had at a moment without writers in its project, and the rules by which none of them is
/// immutable. If repository, rules and newest tag are the same at a later such moment, every tag was checked.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    repository: RepositoryId,
    rules: Immutability,
    newest: TagId,
}

impl Seen {
    /// What has to be checked now, in a transaction with the project's exclusive lock; `None` if no tag of the
    /// repository can be immutable, or there is no such repository.
    pub(crate) async fn wanted(
        tx: &mut Tx,
        (project, name): (ProjectId, &RepositoryName),
    ) -> Result<Option<Self>> {
        let rules = Immutability::of(tx, project).await?;
        if rules.is_empty() {
            return Ok(None);
        }
        let Some(repository) = repository::published_in(tx, project, name).await? else {
            return Ok(None);
        };
        let newest = tag::newest(tx, repository).await?;
        Ok(Some(Self {
            repository,
            rules,
            newest,
        }))
    }

    /// Checks the tags except those already `seen`, and refuses to delete the repository if one is immutable.
    pub(crate) async fn look(
        &self,
        db: &Db,
        name: &RepositoryName,
        seen: Option<&Self>,
    ) -> Result<()> {
        let known =
            seen.filter(|seen| (seen.repository, &seen.rules) == (self.repository, &self.rules));
        let known = known.map_or(TagId(0), |seen| seen.newest);
        let mut last: Option<Tag> = None;
        loop {
            let mut reader = db.reader().await?;
            let tags = tag::newer(&mut reader, self.repository, known, last.as_ref(), PAGE);
            let tags = tags.await?;
            drop(reader);
            refuse_any(&self.rules, name, &tags)?;
            if (tags.len() as i64) < PAGE {
                return Ok(());
            }
            last = tags.last().cloned();
            tokio::task::yield_now().await;
        }
    }
}

impl Error {
    /// The error for a tag that a rule protects.
    pub(crate) fn kept(at: Place<'_>, kept: Kept) -> Self {
        match kept {
            Kept::Immutable(tag) => Self::immutable(at.name, &tag),
            Kept::Taken(tag) => {
                let repository = at.repository;
                Self::TagExists { tag, repository }
            }
        }
    }
}
