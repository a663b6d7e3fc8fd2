//! Labels travel with what has them, between registries that know labels: those that the destination does not have on the
//! artifact are put there, and none is taken off.

use std::collections::HashSet;

use model::{Digest, Reference};

use super::copy::Copying;
use super::error::Copied;
use super::site::Site;

/// Labels of an artifact that are put on its copy in one run.
const MOST: usize = 100;

impl Copying<'_> {
    /// Puts the labels of an artifact on its copy. What the account may not do there is said, and the copy counts.
    pub(super) async fn labels(&self, digest: &Digest) -> Copied<()> {
        let (source, target) = (&self.route.source, &self.route.target);
        let both_know = source.has_labels() && target.has_labels();
        if !both_know || self.unlabelled.contains(digest) {
            return Ok(());
        }
        let labels = source.labels(&self.from, digest).await?;
        if labels.is_empty() {
            return Ok(());
        }
        let there = target.labels(&self.to, digest).await?;
        let there: HashSet<&str> = there.iter().map(|label| label.name.as_str()).collect();
        let missing = labels.iter().filter(|it| !there.contains(&*it.name));
        for label in missing.take(MOST) {
            self.refuse_stopped().await?;
            if let Err(error) = target.put_label((&self.to, digest), label).await {
                if error.is_transient() {
                    return Err(error);
                }
                self.journal.warn(format!(
                    "{} {digest} does not get the label {}: {error}",
                    self.to, label.name
                ));
                continue;
            }
            self.journal.info(format!(
                "{} {digest} gets the label {}",
                self.to, label.name
            ));
        }
        Ok(())
    }

    /// The tags of an artifact here: what happened to it, such as that it got a label, is about them.
    pub(super) async fn tags_of(&self, digest: &Digest) -> Copied<Vec<Reference>> {
        let Site::Here(here) = &self.route.source else {
            return Ok(Vec::new());
        };
        let tags = here.tags_of(&super::site::own(&self.from)?, digest).await?;
        Ok(tags.into_iter().map(Reference::Tag).collect())
    }
}
