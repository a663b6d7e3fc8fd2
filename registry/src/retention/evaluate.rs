//! Looking at a repository: page by page, so that its tags are never all in memory.

use std::time::Duration;

use db::repository;
use db::retention::candidate::{self, Artifact};
use model::retention::{Candidate, RuleSet, kept};
use model::{ManifestId, ProjectId, RepositoryId, RepositoryName};
use tracing::instrument;

use super::{Evaluated, Rules, Verdict};
use crate::{Registry, Result};

/// Artifacts that are read at a time.
const PAGE: i64 = 500;
/// Artifacts of a repository that are looked at: about 50 MiB of memory.
pub const MOST: usize = 250_000;

/// What was seen of a repository.
#[derive(Debug)]
pub enum Look {
    /// There is none of that name.
    Gone,
    /// It has more artifacts than are looked at.
    TooLarge,
    /// It was looked at.
    At(Evaluated),
}

impl Registry {
    /// Looks at a repository of a project, whose name without the project decides which rules are about it.
    ///
    /// # Errors
    /// When the database cannot be read.
    #[instrument(name = "registry.retention.evaluate", level = "debug", skip_all, fields(repo.name = %name))]
    pub async fn evaluate_retention(
        &self,
        (project, name): (ProjectId, &RepositoryName),
        rules: &Rules,
    ) -> Result<Look> {
        let mut reader = self.db.reader().await?;
        let Some(repository) = repository::published_in(&mut reader, project, name).await? else {
            return Ok(Look::Gone);
        };
        // Before the first page: whatever changes from now on shows in it.
        let fingerprint = candidate::fingerprint(&mut reader, repository).await?;
        drop(reader);
        let about = rules.about(name);
        let (mut artifacts, mut candidates) = (Vec::new(), Vec::new());
        let mut after = ManifestId(0);
        loop {
            let page = self.retention_page(repository, after).await?;
            let Some(last) = page.last() else { break };
            after = last.id;
            for artifact in &page {
                let mut candidate = rules.candidate(artifact, about);
                let mut verdict = verdict(artifact, candidate.selected_by);
                verdict.is_recent = rules.is_recent(artifact);
                if rules.is_arriving(artifact, self.limits.grace) {
                    // It takes no place of those that a rule counts.
                    candidate.selected_by = RuleSet::default();
                    verdict.is_arriving = true;
                }
                artifacts.push(verdict);
                candidates.push(candidate);
            }
            if artifacts.len() > MOST {
                return Ok(Look::TooLarge);
            }
        }
        let kept = kept(&rules.all, &candidates, rules.now);
        for (artifact, kept_by) in artifacts.iter_mut().zip(kept) {
            artifact.kept_by = kept_by;
        }
        Ok(Look::At(Evaluated {
            repository,
            artifacts,
            fingerprint,
        }))
    }

    /// Artifacts of a repository after a row, with their tags: a page of those that rules are about.
    ///
    /// # Errors
    /// When the database cannot be read.
    pub async fn retention_page(
        &self,
        repository: RepositoryId,
        after: ManifestId,
    ) -> Result<Vec<Artifact>> {
        let mut reader = self.db.reader().await?;
        Ok(candidate::page(&mut reader, repository, after, PAGE).await?)
    }
}

/// What is known of an artifact before all were seen.
fn verdict(artifact: &Artifact, selected_by: RuleSet) -> Verdict {
    Verdict {
        id: artifact.id,
        digest: artifact.digest,
        kept_by: None,
        selected_by,
        is_arriving: false,
        is_recent: false,
        stamp: artifact.stamp(),
    }
}

impl Rules {
    /// The rules that are about a repository.
    pub fn about(&self, name: &RepositoryName) -> RuleSet {
        let name = name.as_str();
        let rest = name.split_once('/').map_or(name, |(_, rest)| rest);
        let rules = self.all.iter().enumerate();
        let about = rules.filter(|(_, rule)| rule.is_about(rest));
        about.fold(RuleSet::default(), |set, (place, _)| set.with(place))
    }

    fn is_arriving(&self, artifact: &Artifact, grace: Duration) -> bool {
        artifact.tags.is_empty() && artifact.pushed.plus(grace) > self.now
    }

    /// Pulls do not count: a scanner or a mirror that reads everything each night would end all retention.
    fn is_recent(&self, artifact: &Artifact) -> bool {
        !self.grace.is_zero() && artifact.pushed.plus(self.grace) > self.now
    }

    fn candidate(&self, artifact: &Artifact, about: RuleSet) -> Candidate {
        let tags: Vec<&str> = artifact.tags.iter().map(model::Tag::as_str).collect();
        let rules = self.all.iter().enumerate();
        let selecting = rules.filter(|(place, rule)| about.has(*place) && rule.selects(&tags));
        Candidate {
            pushed: artifact.pushed,
            pulled: artifact.pulled,
            selected_by: selecting.fold(RuleSet::default(), |set, (place, _)| set.with(place)),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use model::{Algorithm, Digest, RetentionId, Timestamp};

    use super::*;

    #[test]
    fn the_grace_counts_from_the_push_whatever_is_pulled() {
        let hour = Duration::from_secs(3_600);
        let now = Timestamp(0).plus(hour * 100);
        let rules = |grace| Rules {
            policy: RetentionId(1),
            version: now,
            all: Arc::default(),
            grace,
            now,
        };
        let pushed = |hours: u32| Artifact {
            id: ManifestId(1),
            digest: Digest::of(Algorithm::Sha256, b"pulled"),
            kind: "IMAGE".to_owned(),
            pushed: now.minus(hour * hours),
            pulled: Some(now),
            tags: Vec::new(),
        };
        assert!(rules(hour * 24).is_recent(&pushed(23)));
        assert!(
            !rules(hour * 24).is_recent(&pushed(25)),
            "a pull is no push"
        );
        assert!(!rules(Duration::ZERO).is_recent(&pushed(0)));
    }
}
