//! Workload rules. Changing or deleting a rule voids the tokens that it gave before.

use db::Db;
use db::workload_rule::{self, Content};
use model::{
    Event, Operation, Origin, ProjectId, ResourceType, Subject, Timestamp, WorkloadRuleId,
};
use policy::{ProjectPermit, on, to};

use crate::{Error, Result};

/// Maximum rules of a project.
pub const MOST: i64 = 100;

/// Makes a rule, which takes effect at once.
///
/// # Errors
/// [`Error::WorkloadRuleExists`], [`Error::TooManyWorkloadRules`], [`Error::ProjectGone`].
pub async fn create(
    db: &Db,
    permit: &ProjectPermit<on::WorkloadRule, to::Create>,
    content: Content,
    now: Timestamp,
) -> Result<WorkloadRuleId> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            if workload_rule::count(tx, project).await? >= MOST {
                return Err(Error::TooManyWorkloadRules(MOST));
            }
            let made = workload_rule::create(tx, project, &content, now).await;
            let id = made.map_err(|error| exists(error, &content))?;
            let event = event((now, origin), Operation::Create, (project, &content.name));
            tx.record(&event.with_detail(described(&content))).await?;
            Ok(id)
        })
    })
    .await
}

/// Replaces the content of a rule.
///
/// # Errors
/// [`Error::WorkloadRuleUnknown`], [`Error::WorkloadRuleExists`], [`Error::ProjectGone`].
pub async fn change(
    db: &Db,
    permit: &ProjectPermit<on::WorkloadRule, to::Update>,
    id: WorkloadRuleId,
    content: Content,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let before = workload_rule::get(tx, project, id).await?;
            let before = before.ok_or(Error::WorkloadRuleUnknown(id))?;
            let changed = workload_rule::update(tx, &before, &content, now).await;
            changed.map_err(|error| exists(error, &content))?;
            let event = event((now, origin), Operation::Update, (project, &content.name));
            Ok(tx.record(&event.with_detail(described(&content))).await?)
        })
    })
    .await
}

/// Deletes a rule.
///
/// # Errors
/// [`Error::WorkloadRuleUnknown`], [`Error::ProjectGone`].
pub async fn delete(
    db: &Db,
    permit: &ProjectPermit<on::WorkloadRule, to::Delete>,
    id: WorkloadRuleId,
    now: Timestamp,
) -> Result<()> {
    let (project, origin) = (permit.project().id, permit.caller().origin());
    db.write_in(project, move |tx| {
        Box::pin(async move {
            let gone = workload_rule::get(tx, project, id).await?;
            let gone = gone.ok_or(Error::WorkloadRuleUnknown(id))?;
            workload_rule::delete(tx, &gone, now).await?;
            let event = event((now, origin), Operation::Delete, (project, &gone.name));
            Ok(tx.record(&event).await?)
        })
    })
    .await
}

/// The content of a rule, for the history.
fn described(content: &Content) -> String {
    let conditions = &content.conditions;
    let claims = conditions.claims.iter();
    let claims = claims.map(|(name, pattern)| format!(", {name} {pattern}"));
    format!(
        "{} to {} of {} for {}{}",
        content.role.name(),
        conditions.subject,
        conditions.issuer,
        conditions.audience,
        claims.collect::<String>()
    )
}

fn exists(error: db::Error, content: &Content) -> Error {
    match error {
        db::Error::Duplicate(_) => Error::WorkloadRuleExists(content.name.clone()),
        other => other.into(),
    }
}

fn event(
    (now, origin): (Timestamp, Origin),
    operation: Operation,
    (project, name): (ProjectId, &str),
) -> Event {
    let subject = Subject::Owned {
        project,
        kind: ResourceType::WorkloadRule,
        name: name.to_owned(),
    };
    Event::new(now, origin, operation, subject)
}
