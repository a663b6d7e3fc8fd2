//! Policies of retention, one for a project: making, changing, deleting and running them. The job that runs them is in
//! `jobs`; it learns of a policy that changes, and is stopped with one that goes.

use db::execution::{self, Cause, Vendor};
use db::job::{self, NewJob, Priority};
use db::retention::{self, Policy};
use db::schedule::{self, NewSchedule};
use db::{Db, Tx, project};
use model::retention::{JOB, JOB_VERSION, RetentionJob, RetentionRun};
use model::{
    Cron, Event, ExecutionId, Operation, Origin, ProjectId, ResourceType, RetentionId,
    RetentionTerms, Subject, Timestamp,
};
use policy::{ProjectPermit, on, to};

use crate::{Error, Result};

/// Executions of a policy that may wait or run at a time.
pub const MOST_RUNNING: usize = 10;
/// The project's setting that names its policy, as in Harbor.
const SETTING: &str = "retention_id";

/// What a policy says.
#[derive(Clone, Debug)]
pub struct NewPolicy {
    /// What it says of artifacts; its rules must be such that compile.
    pub terms: RetentionTerms,
    /// Whether a policy that is changed keeps its grace, in place of that of `terms`.
    pub keeps_grace: bool,
    /// When it runs; `None` where only somebody starts it.
    pub cron: Option<Cron>,
}

impl NewPolicy {
    /// As it is stored.
    fn texts(&self) -> (String, String) {
        (
            self.terms.to_text(),
            self.cron.as_ref().map(Cron::to_string).unwrap_or_default(),
        )
    }
}

/// Makes the policy of a project that has none.
///
/// # Errors
/// [`Error::RetentionExists`], [`Error::ProjectGone`].
pub async fn create(
    db: &Db,
    permit: &ProjectPermit<on::TagRetention, to::Create>,
    new: NewPolicy,
    now: Timestamp,
) -> Result<RetentionId> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    // Of two who make one, the second finds it.
    db.write_alone_in(project, move |tx| {
        Box::pin(async move {
            if let Some(policy) = retention::of_project(tx, project).await? {
                let policy = policy.id;
                return Err(Error::RetentionExists { project, policy });
            }
            let (rules, cron) = new.texts();
            let id = retention::create(tx, project, (&rules, &cron), now).await?;
            project::set_metadata(tx, project, SETTING, &id.to_string()).await?;
            set_schedule(tx, id, new.cron, now).await?;
            let event = event(now, origin, Operation::Create, (project, id));
            tx.record(&event.with_detail(detail(&rules, &cron))).await?;
            Ok(id)
        })
    })
    .await
}

/// Changes a policy. What runs goes by the new rules from now on.
///
/// # Errors
/// [`Error::RetentionUnknown`], [`Error::ProjectGone`].
pub async fn change(
    db: &Db,
    permit: &ProjectPermit<on::TagRetention, to::Update>,
    id: RetentionId,
    new: NewPolicy,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let before = hold(tx, project, id).await?;
            let mut new = new;
            if new.keeps_grace {
                new.terms.grace_secs = terms(&before)?.grace_secs;
            }
            let (rules, cron) = new.texts();
            retention::update(tx, id, (&rules, &cron), now).await?;
            if before.cron != cron {
                set_schedule(tx, id, new.cron, now).await?;
            }
            let event = event(now, origin, Operation::Update, (project, id));
            Ok(tx.record(&event.with_detail(detail(&rules, &cron))).await?)
        })
    })
    .await
}

/// Deletes a policy with its schedule and history; what runs of it is stopped.
///
/// # Errors
/// [`Error::RetentionUnknown`], [`Error::ProjectGone`].
pub async fn delete(
    db: &Db,
    permit: &ProjectPermit<on::TagRetention, to::Delete>,
    id: RetentionId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            hold(tx, project, id).await?;
            retention::delete(tx, id, now).await?;
            project::remove_metadata(tx, project, SETTING).await?;
            let event = event(now, origin, Operation::Delete, (project, id));
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// Runs a policy now, or says what it would delete.
///
/// # Errors
/// [`Error::RetentionUnknown`], [`Error::TooManyExecutions`], [`Error::ProjectGone`].
pub async fn start(
    db: &Db,
    permit: &ProjectPermit<on::TagRetention, to::Update>,
    id: RetentionId,
    run: RetentionRun,
    now: Timestamp,
) -> Result<ExecutionId> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            hold(tx, project, id).await?;
            if retention::running(tx, id).await?.len() >= MOST_RUNNING {
                return Err(Error::TooManyExecutions(MOST_RUNNING));
            }
            let job = job::add(tx, &job_of(id, now), now).await?;
            let principal = &origin.principal;
            let new = execution::New {
                vendor: Vendor::Retention,
                vendor_id: id.0,
                cause: Cause::Manual,
                attrs: json(&run),
                operator: (principal.id(), principal.name().to_owned()),
                job,
            };
            let execution = execution::create(tx, &new, now).await?;
            let event = execution_event(now, origin, Operation::Create, (project, id, execution));
            let how = if run.dry_run { "dry run" } else { "" };
            tx.record(&event.with_detail(how)).await?;
            Ok(execution)
        })
    })
    .await
}

/// Stops an execution; one that has ended stays as it is.
///
/// # Errors
/// [`Error::RetentionUnknown`], [`Error::ExecutionUnknown`], [`Error::ProjectGone`].
pub async fn stop(
    db: &Db,
    permit: &ProjectPermit<on::TagRetention, to::Update>,
    (id, execution): (RetentionId, ExecutionId),
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let unknown = || Error::ExecutionUnknown(execution);
            let found = execution::get(tx, execution).await?.ok_or_else(unknown)?;
            if (found.vendor, found.vendor_id) != (Vendor::Retention, id.0) {
                return Err(unknown());
            }
            let before = execution::stop(tx, execution, now).await?;
            if before.ok_or_else(unknown)?.status.is_final() {
                return Ok(());
            }
            let event = execution_event(now, origin, Operation::Update, (project, id, execution));
            Ok(tx.record(&event.with_detail("stopped")).await?)
        })
    })
    .await
}

/// A policy of the project, which nobody else changes meanwhile.
async fn hold(tx: &mut Tx, project: ProjectId, id: RetentionId) -> Result<Policy> {
    let policy = retention::hold(tx, id).await?;
    let policy = policy.filter(|policy| policy.project == project);
    policy.ok_or(Error::RetentionUnknown(id))
}

/// What a stored policy says of artifacts.
fn terms(policy: &Policy) -> Result<RetentionTerms> {
    let terms: Result<RetentionTerms, _> = policy.rules.parse();
    let corrupt = |_| db::Error::Corrupt {
        table: "retention_policy",
        column: "rules",
    };
    Ok(terms.map_err(corrupt)?)
}

async fn set_schedule(
    tx: &mut Tx,
    id: RetentionId,
    cron: Option<Cron>,
    now: Timestamp,
) -> Result<()> {
    // A next time that was computed for other times is not kept.
    schedule::remove(tx, JOB, &id.to_string()).await?;
    let Some(cron) = cron else { return Ok(()) };
    let new = NewSchedule {
        kind: JOB.to_owned(),
        subject: id.to_string(),
        payload_version: JOB_VERSION,
        payload: json(&RetentionJob { policy: id }),
        cron,
    };
    Ok(schedule::set(tx, &new, now).await?)
}

fn job_of(id: RetentionId, now: Timestamp) -> NewJob {
    NewJob {
        kind: JOB.to_owned(),
        payload_version: JOB_VERSION,
        payload: json(&RetentionJob { policy: id }),
        dedup_key: None,
        lane: None,
        priority: Priority::Normal,
        due_at: now,
    }
}

/// What is written down of something without texts of users in it.
fn json<T: serde::Serialize>(value: &T) -> String {
    // Numbers and flags alone are always JSON.
    serde_json::to_string(value).unwrap_or_default()
}

fn detail(rules: &str, cron: &str) -> String {
    match cron {
        "" => rules.to_owned(),
        cron => format!("{cron} {rules}"),
    }
}

fn event(
    now: Timestamp,
    origin: Origin,
    operation: Operation,
    (project, id): (ProjectId, RetentionId),
) -> Event {
    let subject = Subject::Owned {
        project,
        kind: ResourceType::TagRetention,
        name: id.to_string(),
    };
    Event::new(now, origin, operation, subject)
}

fn execution_event(
    now: Timestamp,
    origin: Origin,
    operation: Operation,
    (project, id, execution): (ProjectId, RetentionId, ExecutionId),
) -> Event {
    let subject = Subject::Owned {
        project,
        kind: ResourceType::TagRetention,
        name: format!("{id} execution {execution}"),
    };
    Event::new(now, origin, operation, subject)
}
