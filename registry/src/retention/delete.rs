//! A step of a deletion: a few artifacts in one transaction, with the log of their task and what it counts.

use std::sync::Arc;

use db::blob::Place;
use db::execution::{task, task_log};
use db::immutability::Immutability;
use db::job_log::{Level, Line};
use db::manifest::{self, When};
use db::retention::candidate::{self, Artifact};
use db::{Tx, repository, retention};
use model::retention::RetentionCounts;
use model::{
    Event, ExecutionId, JobId, ManifestId, Operation, ProjectId, RepositoryName, RetentionId,
    Subject, SystemTask, TaskId,
};
use policy::Caller;
use tracing::instrument;

use super::table::{self, Fate};
use super::{Evaluated, Held, Rules, Verdict};
use crate::{Registry, Result};

/// Where a step belongs.
#[derive(Clone, Copy, Debug)]
pub struct Step {
    /// The execution.
    pub execution: ExecutionId,
    /// The task, which is about one repository.
    pub task: TaskId,
    /// The job that has the task.
    pub job: JobId,
    /// What the task did before.
    pub counts: RetentionCounts,
}

/// How a step went.
#[derive(Debug)]
pub enum Stepped {
    /// It was done.
    Done(Done),
    /// Something changed since: the repository is to be looked at again.
    Outdated,
    /// The task was stopped, or another job has it.
    Stopped,
}

/// What a step did.
#[derive(Debug)]
pub struct Done {
    /// What the task did so far.
    pub counts: RetentionCounts,
    /// Artifacts that stay after all.
    pub held: Vec<(ManifestId, Held)>,
    /// The repository from now on.
    pub evaluated: Evaluated,
}

impl Registry {
    /// How many artifacts a step deletes at most. On SQLite, all other writers wait for it.
    pub fn retention_at_once(&self) -> usize {
        if self.db.is_shared() { 30 } else { 10 }
    }

    /// Deletes artifacts of an evaluated repository that no rule keeps.
    ///
    /// # Errors
    /// When the database cannot be written.
    #[instrument(name = "registry.retention.delete", level = "debug", skip_all, fields(repo.name = %name))]
    pub async fn delete_by_retention(
        &self,
        (project, name): (ProjectId, &RepositoryName),
        (mut evaluated, going): (Evaluated, Vec<Verdict>),
        rules: &Rules,
        step: Step,
    ) -> Result<Stepped> {
        let deletion = Arc::new(Deletion {
            project,
            name: name.clone(),
            fingerprint: evaluated.fingerprint,
            repository: evaluated.repository,
            going,
            rules: rules.clone(),
            step,
            when: self.deleting_now(),
            rows: self.rows_at_once(),
        });
        let stepped = self.charging(project, move |taking, tx| {
            let deletion = deletion.clone();
            Box::pin(async move { deletion.run(tx, taking).await })
        });
        Ok(match stepped.await? {
            Ran::Outdated => Stepped::Outdated,
            Ran::Stopped => Stepped::Stopped,
            Ran::Done(counts, held, fingerprint) => {
                evaluated.fingerprint = fingerprint;
                Stepped::Done(Done {
                    counts,
                    held,
                    evaluated,
                })
            }
        })
    }
}

/// What one transaction does.
struct Deletion {
    project: ProjectId,
    name: RepositoryName,
    repository: model::RepositoryId,
    fingerprint: candidate::Fingerprint,
    going: Vec<Verdict>,
    rules: Rules,
    step: Step,
    when: When,
    rows: i64,
}

enum Ran {
    Done(
        RetentionCounts,
        Vec<(ManifestId, Held)>,
        candidate::Fingerprint,
    ),
    Outdated,
    Stopped,
}

/// What became of one artifact.
enum Went {
    Deleted(Artifact),
    Stays(Held),
}

impl Deletion {
    async fn run(&self, tx: &mut Tx, taking: db::quota::Taking) -> Result<Ran> {
        let Step { task, job, .. } = self.step;
        let policy = retention::get(tx, self.rules.policy).await?;
        let (true, Some(policy)) = (task::is_running(tx, task, job).await?, policy) else {
            return Ok(Ran::Stopped);
        };
        let found = repository::published_in(tx, self.project, &self.name).await?;
        let is_same = policy.updated_at == self.rules.version && found == Some(self.repository);
        if !is_same || candidate::fingerprint(tx, self.repository).await? != self.fingerprint {
            return Ok(Ran::Outdated);
        }
        let immutable = Immutability::of(tx, self.project).await?;
        let at = Place {
            project: self.project,
            repository: self.repository,
            name: &self.name,
            taking,
        };
        let (mut lines, mut held) = (Vec::new(), Vec::new());
        for verdict in &self.going {
            match self.delete_one(tx, (at, &immutable), verdict).await? {
                Went::Deleted(artifact) => {
                    let fate = Fate::Decided(verdict);
                    let text = table::line(&artifact, fate, &self.rules.all);
                    lines.push(Line::new(self.when.now, Level::Info, text));
                }
                Went::Stays(why) => held.push((verdict.id, why)),
            }
        }
        let mut counts = self.step.counts;
        counts.deleted += lines.len() as i64;
        self.note(tx, counts, &lines).await?;
        let fingerprint = candidate::fingerprint(tx, self.repository).await?;
        Ok(Ran::Done(counts, held, fingerprint))
    }

    async fn delete_one(
        &self,
        tx: &mut Tx,
        (at, immutable): (Place<'_>, &Immutability),
        verdict: &Verdict,
    ) -> Result<Went> {
        let held = manifest::hold(tx, at.repository, &verdict.digest).await?;
        let Some(held) = held.filter(|held| held.id == verdict.id) else {
            return Ok(Went::Stays(Held::Changed));
        };
        // Looked at once it is held: what came before is seen.
        let found = candidate::one(tx, held.id).await?;
        let found = found.filter(|artifact| artifact.stamp() == verdict.stamp);
        let Some(artifact) = found else {
            return Ok(Went::Stays(Held::Changed));
        };
        let mut tags = artifact.tags.iter();
        if let Some(tag) = tags.find(|tag| immutable.covers(at.name, tag)) {
            let tag = format!("{}:{tag}", at.name);
            return Ok(Went::Stays(Held::Immutable(tag)));
        }
        if let Some(parent) = manifest::parent(tx, held.id).await? {
            return Ok(Went::Stays(Held::Index(parent)));
        }
        manifest::delete(tx, at, held.id, self.when, self.rows).await?;
        tx.record(&self.event(&artifact)).await?;
        Ok(Went::Deleted(artifact))
    }

    fn event(&self, artifact: &Artifact) -> Event {
        let subject = Subject::Artifact {
            project: self.project,
            repository: self.name.clone(),
            tag: None,
            digest: artifact.digest,
        };
        let origin = Caller::system(SystemTask::Retention).origin();
        let event = Event::new(self.when.now, origin, Operation::Delete, subject);
        event.with_detail(deleted_by(self.step.execution, self.rules.policy))
    }

    /// Writes what was done where those look who may see it.
    async fn note(&self, tx: &mut Tx, counts: RetentionCounts, lines: &[Line]) -> Result<()> {
        task_log::append(tx, self.step.task, lines).await?;
        // Numbers alone are always JSON.
        let counts = serde_json::to_string(&counts).unwrap_or_default();
        Ok(task::set_attrs(tx, self.step.task, &counts, self.when.now).await?)
    }
}

/// The detail of what an execution deletes.
pub fn deleted_by(execution: ExecutionId, policy: RetentionId) -> String {
    format!("by execution {execution} of retention policy {policy}")
}
