//! Policies of retention: one for a project. What their rules look at is in [`candidate`].

pub mod candidate;

use model::{ExecutionId, ProjectId, RetentionId, Timestamp, retention};

use crate::error::Result;
use crate::execution::{self, Vendor};
use crate::schedule;
use crate::sql::{Reader, Row, Tx, row};

row! {
    columns policy_columns;
    /// A policy.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Policy of retention_policy {
        /// Its id.
        pub id: RetentionId = p.id,
        /// Its project.
        pub project: ProjectId = p.project_id,
        /// What it says of artifacts, as `model::RetentionTerms` prints it.
        pub rules: String = p.rules,
        /// When it runs; empty where only somebody starts it.
        pub cron: String = p.cron,
        /// When it was changed last.
        pub updated_at: Timestamp = p.updated_at,
    }
}

/// One policy.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, id: RetentionId) -> Result<Option<Policy>> {
    let row = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from retention_policy p where p.id = $1"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// The policy of a project.
///
/// # Errors
/// When the statement fails.
pub async fn of_project(reader: &mut Reader, project: ProjectId) -> Result<Option<Policy>> {
    let row = reader
        .query(concat!(
            "select ",
            policy_columns!(),
            " from retention_policy p where p.project_id = $1"
        ))
        .bind(project)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// A policy, which nobody else changes, runs or deletes until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, id: RetentionId) -> Result<Option<Policy>> {
    let row = tx
        .query_either(
            concat!(
                "select ",
                policy_columns!(),
                " from retention_policy p where p.id = $1"
            ),
            concat!(
                "select ",
                policy_columns!(),
                " from retention_policy p where p.id = $1 for update"
            ),
        )
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Policy::read).transpose()
}

/// Makes a policy.
///
/// # Errors
/// [`crate::Error::Duplicate`] where the project has one.
pub async fn create(
    tx: &mut Tx,
    project: ProjectId,
    (rules, cron): (&str, &str),
    now: Timestamp,
) -> Result<RetentionId> {
    let row = tx
        .query(
            "insert into retention_policy (project_id, rules, cron, created_at, updated_at)
             values ($1, $2, $3, $4, $4) returning id",
        )
        .bind(project)
        .bind(rules)
        .bind(cron)
        .bind(now)
        .one()
        .await?;
    row.get("retention_policy", "id")
}

/// Changes a held policy. What runs by its rules from before notices that, and goes by the new ones.
///
/// # Errors
/// When the statement fails.
pub async fn update(
    tx: &mut Tx,
    id: RetentionId,
    (rules, cron): (&str, &str),
    now: Timestamp,
) -> Result<()> {
    tx.query(
        "update retention_policy set rules = $2, cron = $3,
             updated_at = case when updated_at < $4 then $4 else updated_at + 1 end
         where id = $1",
    )
    .bind(id)
    .bind(rules)
    .bind(cron)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Deletes a held policy with its schedule. What runs is stopped, and its executions are shown no more.
///
/// # Errors
/// When a statement fails.
pub async fn delete(tx: &mut Tx, id: RetentionId, now: Timestamp) -> Result<()> {
    let of_policy = (Vendor::Retention, id.0);
    for running in running(tx, id).await? {
        execution::stop(tx, running, now).await?;
    }
    execution::forget(tx, of_policy, now).await?;
    schedule::remove(tx, retention::JOB, &id.to_string()).await?;
    tx.query("delete from retention_policy where id = $1")
        .bind(id)
        .execute()
        .await?;
    Ok(())
}

/// Deletes the policy of a project, if it has one.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn delete_of_project(
    tx: &mut Tx,
    project: ProjectId,
    now: Timestamp,
) -> Result<()> {
    match of_project(tx, project).await? {
        Some(policy) => delete(tx, policy.id, now).await,
        None => Ok(()),
    }
}

/// Executions of a policy that have not ended.
///
/// # Errors
/// When the statement fails.
pub async fn running(reader: &mut Reader, id: RetentionId) -> Result<Vec<ExecutionId>> {
    let rows = reader
        .query(
            "select id from execution where vendor_type = $1 and vendor_id = $2 and forgotten_at is null
             and status = 'Running' order by id",
        )
        .bind(Vendor::Retention)
        .bind(id)
        .all()
        .await?;
    let id = |row: &Row| row.get("execution", "id");
    rows.iter().map(id).collect()
}
