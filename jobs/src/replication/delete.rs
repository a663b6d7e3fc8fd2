//! Deleting at the destination what was deleted at the source: only what the policy has copied there, and only while it is
//! there as it was copied.

use std::collections::HashSet;

use db::replication::state::{self, Copied as State};
use model::{Digest, Reference};

use super::copy::Copying;
use super::error::Copied;

/// Rows of a page.
const PAGE: i64 = 500;

impl Copying<'_> {
    /// Something was deleted at the source.
    pub(super) async fn deleted(&self, reference: &Reference) -> Copied<()> {
        let works = self.journal.works();
        let mut reader = works.db.reader().await?;
        let from = self.from.as_str();
        let copied = match reference {
            Reference::Digest(digest) => {
                state::of_digest(&mut reader, self.route.id, (from, digest)).await?
            }
            Reference::Tag(tag) => {
                state::find(&mut reader, self.route.id, (from, tag.as_str())).await?
            }
        };
        drop(reader);
        for copied in &copied {
            self.delete_if_gone(copied).await?;
        }
        if let Reference::Digest(digest) = reference {
            let places: HashSet<&str> = copied.iter().map(|it| it.repository.as_str()).collect();
            for repository in places {
                self.delete_manifest_if_gone(repository, digest).await?;
            }
        }
        Ok(())
    }

    /// Looks whether all that was copied from the repository is still at the source.
    pub(super) async fn sweep(&self, present: &HashSet<String>) -> Copied<()> {
        let works = self.journal.works().clone();
        let mut after = String::new();
        loop {
            let mut reader = works.db.reader().await?;
            let page = (self.from.as_str(), after.as_str());
            let copied = state::of_source(&mut reader, self.route.id, page, PAGE).await?;
            drop(reader);
            let Some(last) = copied.last() else {
                return Ok(());
            };
            after = last.reference.clone();
            for copied in &copied {
                if !present.contains(&copied.reference) {
                    self.delete_if_gone(copied).await?;
                }
            }
        }
    }

    async fn delete_if_gone(&self, copied: &State) -> Copied<()> {
        let Ok(reference) = copied.reference.parse::<Reference>() else {
            return Ok(());
        };
        let source = self.route.source.digest_of(&self.from, &reference).await?;
        if source.is_some() {
            return Ok(());
        }
        let (target, to) = (&self.route.target, copied.repository.as_str());
        let there = target.digest_of(to, &reference).await?;
        match there {
            Some(there) if there != copied.digest => {
                self.journal.warn(format!(
                    "{to} {reference} is kept: it is not what was copied there any more"
                ));
            }
            Some(_) if self.is_dry_run() => {
                self.journal.count(|counts| counts.deleted += 1);
                self.journal
                    .info(format!("dry run: {to} {reference} would be deleted"));
                return Ok(());
            }
            Some(_) => {
                target.delete(to, &reference).await?;
                self.journal.count(|counts| counts.deleted += 1);
                self.journal.info(format!(
                    "{to} {reference} is deleted, as it was at {}",
                    self.route.source.name()
                ));
            }
            None => {}
        }
        if !self.is_dry_run() {
            self.journal.forget(to, &copied.reference);
        }
        Ok(())
    }

    /// The artifact itself, once the source does not have it any more.
    async fn delete_manifest_if_gone(&self, to: &str, digest: &Digest) -> Copied<()> {
        let by_digest = Reference::Digest(*digest);
        let source = self.route.source.digest_of(&self.from, &by_digest).await?;
        if source.is_some() || self.is_dry_run() {
            return Ok(());
        }
        if self.route.target.delete(to, &by_digest).await? {
            self.journal.info(format!(
                "{to} {digest} is deleted, as it was at {}",
                self.route.source.name()
            ));
        }
        Ok(())
    }
}
