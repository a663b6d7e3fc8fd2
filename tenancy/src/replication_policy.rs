//! Policies of replication. A policy's schedule exists while it is enabled.

use db::execution::{self, Execution, STATUS, Vendor};
use db::list::{Page, Selection, Test};
use db::replication::policy::{self as policies, Policy};
use db::replication::state::{self, Of};
use db::schedule::{self, NewSchedule};
use db::{Db, Tx, registry};
use model::replication::{PolicyContent, ScheduledRun, TriggerKind};
use model::{Event, Operation, Origin, ReplicationPolicyId, ResourceType, Subject, Timestamp};
use policy::{SystemPermit, system, to};

use crate::{Error, Result};

/// Policies that there are at most.
pub const MOST: i64 = 1_000;

/// Makes a policy.
///
/// # Errors
/// [`Error::PolicyExists`], [`Error::RegistryUnknown`], [`Error::TooManyPolicies`].
pub async fn create(
    db: &Db,
    permit: &SystemPermit<(system::ReplicationPolicy, to::Create)>,
    content: PolicyContent,
    now: Timestamp,
) -> Result<ReplicationPolicyId> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            if policies::count(tx, None).await? >= MOST {
                return Err(Error::TooManyPolicies(MOST));
            }
            check_registry(tx, &content).await?;
            let made = policies::create(tx, &content, now).await;
            let id = made.map_err(|error| exists(error, &content.name))?;
            set_schedule(tx, id, &content, now).await?;
            let event = event((now, origin), Operation::Create, &content.name);
            tx.record(&event.with_detail(described(&content))).await?;
            Ok(id)
        })
    })
    .await
}

/// Replaces what a policy says. Runs that have begun go on as they began, unless the policy is disabled, which stops them:
/// while there are any, its registry, direction and names stay as they are. With another of these, what it noted is
/// forgotten.
///
/// # Errors
/// [`Error::PolicyUnknown`], [`Error::PolicyExists`], [`Error::RegistryUnknown`], [`Error::PolicyRuns`].
pub async fn change(
    db: &Db,
    permit: &SystemPermit<(system::ReplicationPolicy, to::Update)>,
    id: ReplicationPolicyId,
    content: PolicyContent,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let before = hold(tx, id).await?.content()?;
            check_registry(tx, &content).await?;
            if before.enabled && !content.enabled {
                stop_runs(tx, id, now).await?;
            }
            if leads_elsewhere(&before, &content) {
                if is_running(tx, id).await? {
                    return Err(Error::PolicyRuns(id));
                }
                state::forget_all(tx, Of::Policy(id)).await?;
            }
            if follows(&content) && !follows(&before) {
                policies::follow_from_now(tx, id).await?;
            }
            let changed = policies::update(tx, id, &content, now).await;
            changed.map_err(|error| exists(error, &content.name))?;
            set_schedule(tx, id, &content, now).await?;
            let event = event((now, origin), Operation::Update, &content.name);
            Ok(tx.record(&event.with_detail(described(&content))).await?)
        })
    })
    .await
}

/// Deletes a policy with what it noted, and stops its runs: also where they hang, and nothing else would end them. What it
/// copied stays.
///
/// # Errors
/// [`Error::PolicyUnknown`].
pub async fn delete(
    db: &Db,
    permit: &SystemPermit<(system::ReplicationPolicy, to::Delete)>,
    id: ReplicationPolicyId,
    now: Timestamp,
) -> Result<()> {
    let origin = permit.caller().origin();
    db.write(move |tx| {
        Box::pin(async move {
            let gone = hold(tx, id).await?;
            stop_runs(tx, id, now).await?;
            policies::delete(tx, id).await?;
            schedule::remove(tx, ScheduledRun::JOB, &id.to_string()).await?;
            execution::forget(tx, (Vendor::Replication, id.0), now).await?;
            let event = event((now, origin), Operation::Delete, &gone.name);
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// Whether a run of a policy goes on.
///
/// # Errors
/// When the statement fails.
pub async fn is_running(tx: &mut Tx, id: ReplicationPolicyId) -> Result<bool> {
    let one = Selection {
        page: Page {
            offset: 0,
            limit: Some(1),
        },
        ..Selection::all()
    };
    Ok(!running(tx, id, one).await?.is_empty())
}

/// Runs of a policy that go on.
async fn running(
    tx: &mut Tx,
    id: ReplicationPolicyId,
    selection: Selection,
) -> Result<Vec<Execution>> {
    let running = selection.with(STATUS, Test::Is("Running".to_owned()));
    let (running, _) = execution::list(tx, (Vendor::Replication, id.0), &running).await?;
    Ok(running)
}

/// Stops all runs of a policy.
async fn stop_runs(tx: &mut Tx, id: ReplicationPolicyId, now: Timestamp) -> Result<()> {
    for run in running(tx, id, Selection::all()).await? {
        execution::stop(tx, run.id, now).await?;
    }
    Ok(())
}

/// A policy of which no run begins until the transaction ends: whoever stops those that go on stops all.
async fn hold(tx: &mut Tx, id: ReplicationPolicyId) -> Result<Policy> {
    let found = policies::hold(tx, id).await?;
    found.ok_or(Error::PolicyUnknown(id))
}

/// Whether a policy copies from or to other places than before.
fn leads_elsewhere(before: &PolicyContent, now: &PolicyContent) -> bool {
    let way = |it: &PolicyContent| (it.registry, it.direction, it.mapping.clone());
    way(before) != way(now)
}

/// Whether events start a policy.
fn follows(content: &PolicyContent) -> bool {
    content.enabled && content.trigger == TriggerKind::EventBased
}

async fn check_registry(tx: &mut Tx, content: &PolicyContent) -> Result<()> {
    let found = registry::get(tx, content.registry).await?;
    found
        .map(drop)
        .ok_or(Error::RegistryUnknown(content.registry))
}

async fn set_schedule(
    tx: &mut Tx,
    id: ReplicationPolicyId,
    content: &PolicyContent,
    now: Timestamp,
) -> Result<()> {
    let subject = id.to_string();
    schedule::remove(tx, ScheduledRun::JOB, &subject).await?;
    let cron = match (&content.cron, content.trigger, content.enabled) {
        (Some(cron), TriggerKind::Scheduled, true) => cron.clone(),
        // What events do not tell, such as a copy that somebody deleted, is mended hourly; not by all policies at once.
        (_, TriggerKind::EventBased, true) => {
            let hourly = format!("0 {} * * * *", id.0.rem_euclid(60));
            hourly.parse().expect("it has six fields")
        }
        _ => return Ok(()),
    };
    let payload = serde_json::to_string(&ScheduledRun { policy: id });
    let new = NewSchedule {
        subject,
        // A number, which is always JSON.
        payload: payload.unwrap_or_default(),
        ..NewSchedule::of_kind(ScheduledRun::JOB, ScheduledRun::VERSION, cron)
    };
    Ok(schedule::set(tx, &new, now).await?)
}

fn described(content: &PolicyContent) -> String {
    let (direction, registry) = (content.direction, content.registry);
    let trigger = content.trigger.name();
    let state = if content.enabled {
        "enabled"
    } else {
        "disabled"
    };
    format!("{direction:?} registry {registry}, {trigger}, {state}")
}

fn exists(error: db::Error, name: &str) -> Error {
    match error {
        db::Error::Duplicate(_) => Error::PolicyExists(name.to_owned()),
        other => other.into(),
    }
}

fn event((now, origin): (Timestamp, Origin), operation: Operation, name: &str) -> Event {
    let subject = Subject::Installation(ResourceType::ReplicationPolicy, name.to_owned());
    Event::new(now, origin, operation, subject)
}
