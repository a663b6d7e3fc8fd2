//! One task: a repository.

use std::collections::{BTreeSet, HashSet};
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use db::execution::Status;
use db::execution::task::{self, Ending, Task};
use futures_util::{StreamExt as _, stream};
use model::replication::Filters;
use model::{Digest, JobId, Reference};
use serde::{Deserialize, Serialize};
use tokio::sync::Notify;

use super::copy::{Copying, Mode, Route};
use super::error::Copied;
use super::failures::Failures;
use super::here::PUBLIC;
use super::journal::Journal;
use super::list::Candidate;
use super::order::{Change, Order};
use super::told::{self, Did, Told};
use super::works::Works;

/// Artifacts that are copied side by side.
const ARTIFACTS: usize = 4;
/// How often a task is begun in all, and the wait before the second time, which triples.
const RUNS: i64 = 3;
const FIRST_WAIT: Duration = Duration::from_secs(5);

/// What there is to say about a task.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct TaskAttrs {
    /// `copy` or `deletion`.
    pub operation: String,
    /// The repository at the source.
    pub source: String,
    /// The repository at the destination.
    pub destination: String,
    /// References that it is about.
    pub items: usize,
    /// Whether everyone may pull from the source's project.
    pub public: bool,
    /// References that were copied.
    pub copied: u64,
    /// Those that were there already.
    pub present: u64,
    /// Those that point elsewhere at the destination, and were left.
    pub kept: u64,
    /// Those that were deleted at the destination.
    pub deleted: u64,
    /// Those that failed.
    pub failed: u64,
    /// Those whose kind the other registry does not take, and so of what they list and what is attached to them.
    pub skipped: u64,
    /// Bytes of blobs that were moved.
    pub bytes: u64,
}

impl TaskAttrs {
    fn did(&self) -> Did {
        Did {
            items: self.items,
            there: self.copied + self.present,
            failed: self.failed,
        }
    }

    /// What a task that succeeded says of what it skipped.
    fn left_out(&self) -> String {
        match self.skipped {
            0 => String::new(),
            skipped => format!(
                "{skipped} skipped, whose kind the other registry does not take: the log says which"
            ),
        }
    }
}

/// Runs a task to its end, for a job.
pub(super) struct Running<'a> {
    pub(super) works: &'a Works,
    pub(super) route: &'a Route,
    pub(super) filters: &'a Filters,
    pub(super) order: &'a Order,
    pub(super) job: JobId,
    /// Whether the last task failed for a reason that all others would fail for: they are tried once, until one succeeds.
    pub(super) is_down: AtomicBool,
}

impl Running<'_> {
    pub(super) async fn run(&self, waiting: &Task) -> Copied<()> {
        let at = (self.order.execution, waiting.id);
        let journal = Journal::new(self.works.clone(), self.order.policy, waiting.id);
        let mut wait = FIRST_WAIT;
        loop {
            let Some(taken) = self.take(waiting).await? else {
                return Ok(());
            };
            let mut attrs: TaskAttrs = serde_json::from_str(&taken.attrs).unwrap_or_default();
            let told = self.told(&taken, &attrs);
            let done = self.written(&journal, &attrs).await;
            let counts = journal.counts();
            attrs.copied = counts.copied;
            attrs.present = counts.present;
            attrs.kept = counts.kept;
            attrs.deleted = counts.deleted;
            attrs.failed = counts.failed;
            attrs.skipped = counts.skipped;
            attrs.bytes = counts.bytes;
            let (status, message) = match done {
                Ok(()) => {
                    self.is_down.store(false, Ordering::Relaxed);
                    let (copied, present, kept) = (attrs.copied, attrs.present, attrs.kept);
                    journal.info(format!(
                        "done: {copied} copied, {present} there already, {kept} kept, {} deleted, {} bytes moved",
                        attrs.deleted, attrs.bytes
                    ));
                    (Status::Success, attrs.left_out())
                }
                Err(error) => {
                    journal.error(error.to_string());
                    let is_last = taken.run_count >= RUNS || self.is_down.load(Ordering::Relaxed);
                    if is_last {
                        self.is_down.store(error.is_general(), Ordering::Relaxed);
                    }
                    if error.is_transient() && !is_last {
                        journal.warn(format!("tried again in {} s", wait.as_secs()));
                        journal.flush().await?;
                        tokio::time::sleep(wait).await;
                        wait *= 3;
                        journal.again();
                        continue;
                    }
                    (Status::Error, error.to_string())
                }
            };
            journal.flush().await?;
            return self.end(at, (status, message), attrs, told).await;
        }
    }

    /// What webhooks tell of a task, unless nothing is done.
    fn told(&self, task: &Task, attrs: &TaskAttrs) -> Option<Told> {
        let names = (&*attrs.source, &*attrs.destination);
        Told::of(self.route, task, names).filter(|_| !self.order.dry_run)
    }

    async fn take(&self, waiting: &Task) -> Copied<Option<Task>> {
        let (at, job) = ((self.order.execution, waiting.id), self.job);
        let now = self.works.now().await?;
        let attrs: TaskAttrs = serde_json::from_str(&waiting.attrs).unwrap_or_default();
        let told = self.told(waiting, &attrs);
        let taken = self.works.db.write(move |tx| {
            Box::pin(async move {
                let taken = task::take(tx, at, job, now).await?;
                let is_first = taken.as_ref().is_some_and(|task| task.run_count == 1);
                if let Some(told) = told.filter(|_| is_first) {
                    told::note(tx, told, (Status::Running, &attrs.did()), now).await?;
                }
                Ok::<_, db::Error>(taken)
            })
        });
        Ok(taken.await?)
    }

    async fn end(
        &self,
        at: (model::ExecutionId, model::TaskId),
        (status, message): (Status, String),
        counted: TaskAttrs,
        told: Option<Told>,
    ) -> Copied<()> {
        let attrs = serde_json::to_string(&counted).unwrap_or_default();
        let now = self.works.now().await?;
        let ended = self.works.db.write(move |tx| {
            Box::pin(async move {
                let ending = Ending {
                    status,
                    message: &message,
                    attrs: Some(&attrs),
                };
                if task::end(tx, at, &ending, now).await?
                    && let Some(told) = told
                {
                    told::note(tx, told, (status, &counted.did()), now).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        ended.await?;
        Ok(())
    }

    /// Works, and writes what is reported meanwhile.
    async fn written(&self, journal: &Journal, attrs: &TaskAttrs) -> Copied<()> {
        let over = Notify::new();
        let work = async {
            let done = self.work(journal, attrs).await;
            over.notify_one();
            done
        };
        let (mut work, mut writing) = (Box::pin(work), Box::pin(journal.keep_writing(&over)));
        // Both are polled until the end: each may wait for what the other one holds.
        tokio::select! {
            done = &mut work => {
                writing.await?;
                done
            }
            written = &mut writing => {
                written?;
                work.await
            }
        }
    }

    async fn work(&self, journal: &Journal, attrs: &TaskAttrs) -> Copied<()> {
        let (from, to) = (attrs.source.clone(), attrs.destination.clone());
        journal.info(format!(
            "{from} of {} goes to {to} of {}",
            self.route.source.name(),
            self.route.target.name()
        ));
        let names = (from.clone(), to.clone());
        let mode = match self.order.dry_run {
            true => Mode::DryRun {
                is_empty: Box::pin(self.route.target.lacks_project(&to)).await?,
            },
            false => Mode::Copy,
        };
        let mut copying = Copying::new((self.route, journal), names, mode);
        Box::pin(copying.compare_versions()).await?;
        if self.order.changes.is_empty() {
            return Box::pin(self.all(copying, attrs)).await;
        }
        let changes = self.order.changes.iter();
        let own = changes.filter(|change| change.repository == from);
        let (mut changed, mut gone) = (BTreeSet::new(), BTreeSet::new());
        let mut is_all_gone = false;
        for change in own {
            is_all_gone |= change.reference == Change::WHOLE;
            if let Ok(reference) = change.reference.parse::<Reference>() {
                match change.deleted {
                    true => gone.insert(reference.to_string()),
                    false => changed.insert(reference.to_string()),
                };
            }
        }
        let parsed = |texts: BTreeSet<String>| -> Vec<Reference> {
            texts.iter().filter_map(|text| text.parse().ok()).collect()
        };
        if !changed.is_empty() {
            self.prepare(&copying, attrs).await?;
            let mut changed = parsed(changed);
            let digests: Vec<Digest> = changed.iter().filter_map(digest_of).collect();
            for digest in digests {
                let tags = copying.tags_of(&digest).await?.into_iter();
                changed.extend(tags.filter(|tag| self.filters.tag(&tag.to_string())));
            }
            let mut seen = HashSet::new();
            changed.retain(|reference| seen.insert(reference.to_string()));
            Box::pin(self.changed(&copying, changed)).await?;
        }
        if self.route.policy.deletion {
            if let Some(versions) = &copying.versions
                && (is_all_gone || !gone.is_empty())
            {
                Box::pin(copying.versioned_deletions(versions, self.filters)).await?;
            }
            if is_all_gone {
                copying.sweep(&HashSet::new()).await?;
            }
            let mut failures = Failures::default();
            for reference in parsed(gone) {
                let done = copying.deleted(&reference).await;
                failures.take(copying.journal, done, || {
                    format!("the deletion of {from} {reference} was not followed")
                })?;
            }
            return failures.end();
        }
        Ok(())
    }

    async fn prepare(&self, copying: &Copying<'_>, attrs: &TaskAttrs) -> Copied<()> {
        if self.order.dry_run {
            return Ok(());
        }
        let to = attrs.destination.as_str();
        if !self.route.target.lacks_project(to).await? {
            return Ok(());
        }
        let mut metadata = self.route.source.metadata(&attrs.source).await?;
        let public = metadata.entry(PUBLIC.to_owned());
        public.or_insert_with(|| attrs.public.to_string());
        if self.route.target.make_project(to, &metadata).await? {
            copying.journal.info(format!(
                "the project of {to} is made at {}",
                self.route.target.name()
            ));
        }
        Ok(())
    }

    /// All of the repository that passes the filters.
    async fn all(&self, mut copying: Copying<'_>, attrs: &TaskAttrs) -> Copied<()> {
        let source = &self.route.source;
        let candidates = source.candidates(&attrs.source, self.filters).await?;
        let unlabelled = candidates.iter().filter(|it| !it.is_labelled);
        copying.unlabelled = unlabelled.filter_map(|it| it.digest).collect();
        let copying = &copying;
        let present: HashSet<String> = candidates
            .iter()
            .map(|candidate| candidate.reference.to_string())
            .collect();
        if !candidates.is_empty() {
            self.prepare(copying, attrs).await?;
        }
        let results = stream::iter(candidates).map(|candidate| async move {
            let done = Box::pin(one(copying, &candidate)).await;
            (candidate.reference, done)
        });
        collected(copying, results.buffer_unordered(ARTIFACTS)).await?;
        if !self.route.policy.deletion {
            return Ok(());
        }
        if let Some(versions) = &copying.versions {
            Box::pin(copying.versioned_deletions(versions, self.filters)).await?;
        }
        copying.sweep(&present).await
    }

    /// What happened to these references.
    async fn changed(&self, copying: &Copying<'_>, changed: Vec<Reference>) -> Copied<()> {
        let mut changed = changed;
        if self.filters.has_labels() {
            let source = &self.route.source;
            let labelled = source.candidates(&copying.from, self.filters).await?;
            let labelled: HashSet<String> = labelled
                .iter()
                .map(|candidate| candidate.reference.to_string())
                .collect();
            changed.retain(|reference| labelled.contains(&reference.to_string()));
        }
        let takes_untagged = self.filters.tag("");
        let results = stream::iter(changed).map(|reference| async move {
            let done = Box::pin(copying.change(&reference, takes_untagged)).await;
            (reference, done)
        });
        collected(copying, results.buffer_unordered(ARTIFACTS)).await
    }
}

fn digest_of(reference: &Reference) -> Option<Digest> {
    match reference {
        Reference::Digest(digest) => Some(*digest),
        Reference::Tag(_) => None,
    }
}

async fn one(copying: &Copying<'_>, candidate: &Candidate) -> Copied<()> {
    let reference = &candidate.reference;
    let digest = match candidate.digest {
        Some(digest) => Some(digest),
        None => {
            let source = &copying.route.source;
            source.digest_of(&copying.from, reference).await?
        }
    };
    match digest {
        Some(digest) => copying.reference(reference, &digest).await,
        // It is gone since the list was made.
        None => Ok(()),
    }
}

/// Takes results until all are there, or one says that all others would fail too. What failed is the error, after the
/// others were tried.
async fn collected(
    copying: &Copying<'_>,
    results: impl futures_util::Stream<Item = (Reference, Copied<()>)>,
) -> Copied<()> {
    tokio::pin!(results);
    let mut failures = Failures::default();
    while let Some((reference, done)) = results.next().await {
        if copying.journal.is_full() {
            copying.journal.flush().await?;
        }
        let from = &copying.from;
        failures.take(copying.journal, done, || {
            format!("{from} {reference} was not copied")
        })?;
    }
    failures.end()
}
