//! Runs policies of retention. One job does a whole execution, one repository after the other, each of which is a task.
//! Whoever takes the job over finds the execution by it, and goes on with the task that was being done: what was deleted
//! is gone and counted, and the rest is looked at anew. How a step keeps from deleting by an old view is argued in
//! `registry::retention`.

mod plan;
mod repository;
mod told;

use std::sync::Arc;
use std::time::Duration;

use db::Db;
use db::execution::task::{self, Ending, Task};
use db::execution::{self, Cause, Execution, Status, Vendor};
use db::job_log::Level;
use db::retention::{self, Policy};
use db::webhook::note;
use model::retention::{JOB, JOB_VERSION, RetentionJob, RetentionRun, compile};
use model::{Clock, JobId, Principal, RetentionId, RetentionTerms, SystemTask};
use registry::Registry;
use registry::retention::Rules;
use tenancy::setting::Settings;

use self::told::Told;
use crate::engine::{Context, Job, Outcome, Retry};
use crate::failures::causes;
use crate::{Error, Result};

/// Runs policies.
pub(crate) struct Retention {
    /// The database.
    pub(crate) db: Db,
    /// The registry.
    pub(crate) registry: Arc<Registry>,
    /// Settings that administrators change.
    pub(crate) settings: Arc<Settings>,
    /// The time.
    pub(crate) clock: Arc<dyn Clock>,
}

impl Job for Retention {
    const KIND: &'static str = JOB;
    const VERSION: i64 = JOB_VERSION;
    const LIMIT: i64 = 2;
    const RETRY: Retry = Retry {
        runs: 5,
        first: Duration::from_secs(10),
        longest: Duration::from_secs(300),
    };
    type Payload = RetentionJob;

    async fn run(&self, job: RetentionJob, context: &mut Context) -> Outcome {
        match self.execute(job.policy, context).await {
            Ok(0) => Outcome::Done(None),
            Ok(tasks) => Outcome::Done(Some(format!("{tasks} repositories"))),
            Err(error) => Outcome::Failed(error),
        }
    }
}

/// What a run works on.
struct Run {
    execution: Execution,
    policy: RetentionId,
    job: JobId,
    dry_run: bool,
}

impl Retention {
    /// Does an execution; returns the number of tasks that this run did.
    async fn execute(&self, policy: RetentionId, context: &mut Context) -> Result<u64> {
        let Some(run) = self.begin(policy, context.job()).await? else {
            return Ok(0);
        };
        if !run.execution.planned {
            self.plan(&run).await?;
        }
        let mut done = 0;
        while let Some(task) = self.take(&run).await? {
            context.progress(&*task.subject);
            self.work(&run, &task, context).await?;
            done += 1;
        }
        Ok(done)
    }

    /// The execution that the job does: one that somebody started, or else one of the schedule. `None` where it has
    /// ended, or the policy is gone.
    async fn begin(&self, policy: RetentionId, job: JobId) -> Result<Option<Run>> {
        let now = self.clock.now();
        let execution = self.db.write(move |tx| {
            Box::pin(async move {
                if let Some(found) = execution::of_job(tx, job).await? {
                    return Ok::<_, db::Error>(Some(found));
                }
                if retention::hold(tx, policy).await?.is_none() {
                    return Ok(None);
                }
                let new = scheduled(policy, job);
                let id = execution::create(tx, &new, now).await?;
                execution::get(tx, id).await
            })
        });
        let execution = execution.await?;
        let open = execution.filter(|execution| !execution.status.is_final());
        Ok(open.map(|execution| Run {
            dry_run: run_of(&execution).dry_run,
            execution,
            policy,
            job,
        }))
    }

    /// The rules as they are now; `None` where the policy is gone.
    async fn rules(&self, run: &Run) -> Result<Option<(Policy, Rules)>> {
        let policy = retention::get(&mut self.db.reader().await?, run.policy).await?;
        let Some(policy) = policy else {
            return Ok(None);
        };
        let corrupt = || db::Error::Corrupt {
            table: "retention_policy",
            column: "rules",
        };
        let terms: RetentionTerms = policy.rules.parse().map_err(|_| corrupt())?;
        let rules = Rules {
            policy: policy.id,
            version: policy.updated_at,
            all: compile(&terms.rules).map_err(|_| corrupt())?.into(),
            grace: terms.grace(),
            now: run.execution.started_at,
        };
        Ok(Some((policy, rules)))
    }

    async fn take(&self, run: &Run) -> Result<Option<Task>> {
        let (execution, job, now) = (run.execution.id, run.job, self.clock.now());
        let taken = self
            .db
            .write(move |tx| Box::pin(task::take_next(tx, execution, job, now)));
        Ok(taken.await?)
    }

    /// Does a task. What is wrong with its repository alone fails the task, and not those of others.
    async fn work(&self, run: &Run, task: &Task, context: &mut Context) -> Result<()> {
        let error = match self.retain(run, task).await {
            Err(error) if is_about_all(&error) => return Err(error),
            Err(error) => error,
            Ok(()) => return Ok(()),
        };
        let cause = causes(&error);
        context.log(Level::Warn, format!("{}: {cause}", task.subject));
        self.end(task, (Status::Error, &cause), None).await
    }

    async fn end(&self, task: &Task, ending: (Status, &str), attrs: Option<String>) -> Result<()> {
        self.end_telling(task, ending, attrs, None).await
    }

    /// Ends a task, and notes for webhooks what it did.
    async fn end_telling(
        &self,
        task: &Task,
        (status, message): (Status, &str),
        attrs: Option<String>,
        told: Option<Told>,
    ) -> Result<()> {
        let (named, message, now) = (
            (task.execution, task.id),
            message.to_owned(),
            self.clock.now(),
        );
        let ended = self.db.write(move |tx| {
            Box::pin(async move {
                let ending = Ending {
                    status,
                    message: &message,
                    attrs: attrs.as_deref(),
                };
                if task::end(tx, named, &ending, now).await?
                    && let Some(told) = told
                {
                    note::add(tx, &told.note(), now).await?;
                }
                Ok::<_, db::Error>(())
            })
        });
        ended.await?;
        Ok(())
    }
}

/// The execution of a schedule.
fn scheduled(policy: RetentionId, job: JobId) -> execution::New {
    let schedule = Principal::System(SystemTask::Retention);
    execution::New {
        vendor: Vendor::Retention,
        vendor_id: policy.0,
        cause: Cause::Schedule,
        attrs: "{}".to_owned(),
        operator: (None, schedule.name().to_owned()),
        job: Some(job),
    }
}

/// What was said of an execution when it was started.
fn run_of(execution: &Execution) -> RetentionRun {
    // Of one that cannot be understood, nothing is deleted.
    serde_json::from_str(&execution.attrs).unwrap_or(RetentionRun { dry_run: true })
}

/// True where other tasks would fail too, or the job was lost to another process.
fn is_about_all(error: &Error) -> bool {
    let first: &(dyn std::error::Error + 'static) = error;
    let mut causes = std::iter::successors(Some(first), |error| error.source());
    let is_fenced = |error: &(dyn std::error::Error + 'static)| {
        matches!(
            error.downcast_ref(),
            Some(db::Error::Fenced | db::Error::WriterGone)
        )
    };
    db::is_outage(error) || causes.any(is_fenced)
}
