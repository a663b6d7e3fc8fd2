//! Starting, repeating and stopping executions.

use db::execution::{self, Cause, Status, Vendor, task};
use db::job::{self, Lane, NewJob, Priority};
use db::list::{Page, Selection, Test};
use db::replication::lag::Scope;
use db::replication::policy as policies;
use db::{Db, Reader, Tx};
use model::{
    Event, ExecutionId, Operation, Origin, ReplicationPolicyId, ResourceType, Subject, Timestamp,
};
use policy::{SystemPermit, system, to};
use tenancy::replication_policy::is_running;

use super::order::{Change, Order};
use super::run::ReplicationRun;
use crate::engine::Job as _;
use crate::{Error, Result};

/// What is said of a run that may not begin beside another one.
const SKIPPED: &str = "Execution skipped: active replication still in progress.";
/// Failed tasks that are repeated at most.
const MOST_REPEATED: i64 = 10_000;

/// What an execution is to be.
pub(super) struct Wanted {
    pub(super) policy: ReplicationPolicyId,
    pub(super) cause: Cause,
    pub(super) dry_run: bool,
    pub(super) only: Vec<String>,
    pub(super) changes: Vec<Change>,
    /// The execution whose failed tasks are repeated.
    pub(super) repeats: Option<ExecutionId>,
}

impl Wanted {
    pub(super) const fn of(policy: ReplicationPolicyId, cause: Cause) -> Self {
        Self {
            policy,
            cause,
            dry_run: false,
            only: Vec::new(),
            changes: Vec::new(),
            repeats: None,
        }
    }

    /// What else there is to say about the execution.
    fn attrs(&self, is_skipped: bool) -> String {
        let scope = match (self.dry_run || is_skipped, self.repeats) {
            (true, _) => Scope::Nothing,
            (_, Some(_)) => Scope::Repeated,
            _ if self.changes.is_empty() => Scope::Whole,
            _ => Scope::Changes,
        };
        let mut attrs = serde_json::json!({"dry_run": self.dry_run, "scope": scope.word()});
        if let Some(repeats) = self.repeats {
            attrs["repeats"] = repeats.0.into();
        }
        attrs.to_string()
    }
}

/// Starts a policy, or says what it would copy.
///
/// # Errors
/// [`tenancy::Error::PolicyUnknown`], [`tenancy::Error::PolicyDisabled`].
pub async fn start(
    db: &Db,
    permit: &SystemPermit<(system::Replication, to::Create)>,
    (policy, dry_run): (ReplicationPolicyId, bool),
    now: Timestamp,
) -> Result<ExecutionId> {
    let wanted = Wanted {
        dry_run,
        ..Wanted::of(policy, Cause::Manual)
    };
    let origin = permit.caller().origin();
    db.write(move |tx| Box::pin(async move { begin(tx, wanted, &origin, now).await }))
        .await
}

/// Repeats the tasks of an execution that failed, as a new execution.
///
/// # Errors
/// As [`start`]; [`Error::NothingFailed`].
pub async fn retry(
    db: &Db,
    permit: &SystemPermit<(system::Replication, to::Create)>,
    id: ExecutionId,
    now: Timestamp,
) -> Result<ExecutionId> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let failed = execution::get(tx, id).await?;
            let failed = failed.filter(|found| found.vendor == Vendor::Replication);
            let failed = failed.ok_or(Error::ExecutionUnknown(id))?;
            let ended = Status::Error.name().to_owned();
            let selection = Selection {
                page: Page {
                    offset: 0,
                    limit: Some(MOST_REPEATED),
                },
                ..Selection::all()
            };
            let selection = selection.with(task::STATUS, Test::Is(ended));
            let (tasks, _) = task::list(tx, id, &selection).await?;
            if tasks.is_empty() {
                return Err(Error::NothingFailed(id));
            }
            let wanted = Wanted {
                only: tasks.into_iter().map(|task| task.subject).collect(),
                repeats: Some(id),
                ..Wanted::of(ReplicationPolicyId(failed.vendor_id), Cause::Manual)
            };
            begin(tx, wanted, &origin, now).await
        })
    })
    .await
}

/// Stops an execution; one that has ended stays as it is.
///
/// # Errors
/// [`Error::ExecutionUnknown`].
pub async fn stop(
    db: &Db,
    permit: &SystemPermit<(system::Replication, to::Create)>,
    id: ExecutionId,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let found = execution::get(tx, id).await?;
            if found.is_none_or(|found| found.vendor != Vendor::Replication) {
                return Err(Error::ExecutionUnknown(id));
            }
            let before = execution::stop(tx, id, now).await?;
            if before.is_some_and(|before| !before.status.is_final()) {
                let event = event((now, origin), Operation::Update, id);
                tx.record(&event.with_detail("stopped")).await?;
            }
            Ok(())
        })
    })
    .await
}

/// Makes an execution and the job that runs it.
pub(super) async fn begin(
    tx: &mut Tx,
    wanted: Wanted,
    origin: &Origin,
    now: Timestamp,
) -> Result<ExecutionId> {
    let id = wanted.policy;
    // Held first: whoever disables it meanwhile waits, and then finds this execution to stop.
    let policy = policies::hold(tx, id).await?;
    let policy = policy.ok_or(tenancy::Error::PolicyUnknown(id))?;
    if !policy.enabled && !wanted.dry_run {
        return Err(tenancy::Error::PolicyDisabled(id).into());
    }
    let is_skipped = policy.content()?.single_active && is_running(tx, id).await?;
    let operator = match wanted.cause {
        Cause::Manual => (origin.principal.id(), origin.principal.name().to_owned()),
        Cause::Schedule | Cause::Event => (None, String::new()),
    };
    let attrs = wanted.attrs(is_skipped);
    let new = execution::New {
        vendor: Vendor::Replication,
        vendor_id: id.0,
        cause: wanted.cause,
        attrs,
        operator,
        job: None,
    };
    let execution = execution::create(tx, &new, now).await?;
    let event = event((now, origin.clone()), Operation::Create, execution);
    let detail = format!("policy {} ({})", policy.name, wanted.cause.name());
    tx.record(&event.with_detail(detail)).await?;
    if is_skipped {
        execution::end(tx, execution, (Status::Error, SKIPPED), now).await?;
        return Ok(execution);
    }
    let order = Order {
        execution,
        policy: id,
        dry_run: wanted.dry_run,
        only: wanted.only,
        changes: wanted.changes,
    };
    let payload = serde_json::to_string(&order).map_err(Error::Payload)?;
    let job = NewJob {
        kind: ReplicationRun::KIND.to_owned(),
        payload_version: ReplicationRun::VERSION,
        payload,
        dedup_key: None,
        lane: Some(Lane {
            group: policy.registry.to_string(),
            member: id.to_string(),
        }),
        priority: Priority::Normal,
        due_at: now,
    };
    if let Some(job) = job::add(tx, &job, now).await? {
        execution::set_job(tx, execution, job).await?;
    }
    Ok(execution)
}

/// How many executions of a policy that something started go on.
pub(super) async fn running_by(
    reader: &mut Reader,
    policy: ReplicationPolicyId,
    cause: Cause,
) -> Result<i64> {
    let one = Selection {
        page: Page {
            offset: 0,
            limit: Some(1),
        },
        ..Selection::all()
    };
    let running = one
        .with(execution::STATUS, Test::Is("Running".to_owned()))
        .with(execution::CAUSE, Test::Is(cause.name().to_owned()));
    let (_, total) = execution::list(reader, (Vendor::Replication, policy.0), &running).await?;
    Ok(total)
}

fn event((now, origin): (Timestamp, Origin), operation: Operation, id: ExecutionId) -> Event {
    let subject = Subject::Installation(ResourceType::Replication, id.to_string());
    Event::new(now, origin, operation, subject)
}
