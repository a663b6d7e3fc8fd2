//! Deleting at the destination what was deleted at the source: only what the policy has copied there, and only while it is
//! there as it was copied. What fails does not keep the others.

use std::collections::HashSet;

use db::replication::state::{self, Copied as State};
use model::{Digest, Reference};

use super::copy::Copying;
use super::error::Copied;
use super::failures::Failures;

/// Rows of a page.
const PAGE: i64 = 500;

impl Copying<'_> {
    /// Something was deleted at the source.
    pub(super) async fn deleted(&self, reference: &Reference) -> Copied<()> {
        let copied = self.copied_as(reference).await?;
        let mut failures = Failures::default();
        for copied in &copied {
            let done = self.delete_if_gone(copied).await;
            self.after_deletion(&mut failures, &copied.reference, done)?;
        }
        if let Reference::Digest(digest) = reference {
            let places: HashSet<&str> = copied.iter().map(|it| it.repository.as_str()).collect();
            for repository in places {
                let done = self.delete_manifest_if_gone(repository, digest).await;
                self.after_deletion(&mut failures, &digest.to_string(), done)?;
            }
        }
        failures.end()
    }

    /// What was copied of a reference, or of an artifact.
    async fn copied_as(&self, reference: &Reference) -> Copied<Vec<State>> {
        let mut reader = self.journal.works().db.reader().await?;
        let (id, from) = (self.route.id, self.from.as_str());
        Ok(match reference {
            Reference::Digest(digest) => state::of_digest(&mut reader, id, (from, digest)).await?,
            Reference::Tag(tag) => state::find(&mut reader, id, (from, tag.as_str())).await?,
        })
    }

    /// Looks whether all that was copied from the repository is still at the source.
    pub(super) async fn sweep(&self, present: &HashSet<String>) -> Copied<()> {
        let works = self.journal.works().clone();
        let (mut after, mut failures) = (String::new(), Failures::default());
        loop {
            let mut reader = works.db.reader().await?;
            let page = (self.from.as_str(), after.as_str());
            let mut copied = state::of_source(&mut reader, self.route.id, page, PAGE).await?;
            drop(reader);
            let Some(last) = copied.last() else {
                return failures.end();
            };
            after = last.reference.clone();
            copied.retain(|copied| !present.contains(&copied.reference));
            if copied.is_empty() {
                continue;
            }
            if !self.route.source.can_be_believed().await? {
                self.journal.warn(format!(
                    "nothing is deleted: {} lists no repository at all; if that is as it should be, delete the copies by hand",
                    self.route.source.name()
                ));
                return failures.end();
            }
            for copied in &copied {
                let done = self.delete_if_gone(copied).await;
                self.after_deletion(&mut failures, &copied.reference, done)?;
            }
        }
    }

    fn after_deletion(
        &self,
        failures: &mut Failures,
        reference: &str,
        done: Copied<()>,
    ) -> Copied<()> {
        let to = &self.to;
        failures.take(self.journal, done, || {
            format!("{to} {reference} was not deleted")
        })
    }

    async fn delete_if_gone(&self, copied: &State) -> Copied<()> {
        let Ok(reference) = copied.reference.parse::<Reference>() else {
            return Ok(());
        };
        // Where tags have versions, these decide.
        if self.versions.is_some() && matches!(reference, Reference::Tag(_)) {
            return Ok(());
        }
        if !self.route.source.is_gone(&self.from, &reference).await? {
            return Ok(());
        }
        let (target, to) = (&self.route.target, copied.repository.as_str());
        let there = target.digest_of(to, &reference).await?;
        let is_ours = there.as_ref().is_none_or(|there| *there == copied.digest);
        if !is_ours {
            self.journal.warn(format!(
                "{to} {reference} is kept: it is not what was copied there any more"
            ));
        } else if there.is_some() && !self.delete(to, &reference).await? {
            return Ok(());
        }
        if !self.is_dry_run() {
            self.journal.forget(to, &copied.reference);
        }
        Ok(())
    }

    /// Deletes what a reference names, which is there; false where it is kept. An artifact that a tag names there is: whoever
    /// set the tag wants it, and it would go with the artifact.
    async fn delete(&self, to: &str, reference: &Reference) -> Copied<bool> {
        let target = &self.route.target;
        if let Reference::Digest(digest) = reference
            && target.has_tags(to, digest).await?
        {
            self.journal
                .info(format!("{to} {digest} is kept: it has a tag there"));
            return Ok(false);
        }
        if self.is_dry_run() {
            self.journal
                .info(format!("dry run: {to} {reference} would be deleted"));
        } else {
            self.refuse_stopped().await?;
            target.delete(to, reference).await?;
            self.journal.info(format!(
                "{to} {reference} is deleted, as it was at {}",
                self.route.source.name()
            ));
        }
        self.journal.count(|counts| counts.deleted += 1);
        Ok(true)
    }

    /// The artifact itself, once the source does not have it any more.
    async fn delete_manifest_if_gone(&self, to: &str, digest: &Digest) -> Copied<()> {
        let by_digest = Reference::Digest(*digest);
        let (source, target) = (&self.route.source, &self.route.target);
        let is_wanted = !self.is_dry_run()
            && source.is_gone(&self.from, &by_digest).await?
            && target.digest_of(to, &by_digest).await?.is_some();
        if is_wanted {
            self.delete(to, &by_digest).await?;
        }
        Ok(())
    }
}
