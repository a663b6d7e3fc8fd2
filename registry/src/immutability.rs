//! Refusing to delete what has immutable tags. The rules, and how they are asked where a tag is set, are in
//! [`db::immutability`] and [`db::tag`].
//!
//! Many tags are looked at page by page by a reader, before the transaction that deletes: a refusal then keeps nobody
//! from writing. Of a manifest, that transaction looks at its own tags once more, which is less work than setting them
//! was; a tag that came to a referrer since is kept by the deletion itself (`db::tombstone`). Of a repository it looks
//! at the newest tag alone, as [`Seen`] says.

use db::blob::Place;
use db::immutability::Immutability;
use db::tag::{self, Kept};
use db::{Db, Reader, Tx, manifest, repository, tombstone};
use model::{ManifestId, ProjectId, Reference, RepositoryId, RepositoryName, Tag, TagId};

use crate::named::find;
use crate::{Error, Registry, Result};

/// Tags that are looked at together.
const PAGE: i64 = 1_000;
/// Tags of referrers that are looked at before a manifest is deleted. Beyond these a referrer with an immutable tag is
/// kept without a word.
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

/// Refuses to delete a manifest if it, or a referrer that would go with it, has an immutable tag.
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
    /// Refuses to delete what a reference names in a repository of a project, before the transaction that does.
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
            // The transaction says what is missing.
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

/// All tags that a repository had at a moment when nobody wrote into its project, and by which rules none of them is
/// immutable. Where repository, rules and newest tag are the same at a later such moment, none is there that was not
/// looked at.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Seen {
    repository: RepositoryId,
    rules: Immutability,
    newest: TagId,
}

impl Seen {
    /// What has to be looked at now, in a transaction that holds the project alone; `None` where no tag of the repository
    /// can be immutable, or there is none of that name.
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

    /// Looks at the tags, but for those that were `seen`, and refuses to delete the repository if one is immutable.
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
    /// Why a tag of a repository stays where it is.
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
