//! Ending what is not sent any more: of policies and targets that are gone, of targets that were given up, and what has
//! waited for too long. A policy's row goes when nothing of it waits or is shown.

use model::{ExecutionId, TaskId, Timestamp};

use super::LONGEST;
use crate::error::Result;
use crate::execution::Status;
use crate::execution::status::derive;
use crate::sql::{Reader, Row, Tx, json_list};

/// Why something is not sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Reason {
    /// Its policy was deleted, or sends elsewhere.
    Gone,
    /// Its target has not answered for too long.
    Skipped,
    /// It has waited for too long.
    Old,
}

impl Reason {
    const fn ending(self) -> (Status, &'static str) {
        match self {
            Self::Gone => (
                Status::Stopped,
                "not sent: the policy was deleted, or sends elsewhere now",
            ),
            Self::Skipped => (
                Status::Error,
                "not sent: the receiver has not answered for 7 days",
            ),
            Self::Old => (Status::Error, "given up after 7 days"),
        }
    }
}

/// Something that is not sent any more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Stale {
    delivery: i64,
    execution: ExecutionId,
    task: TaskId,
    reason: Reason,
}

/// What is not sent any more, at most `limit` for each reason.
///
/// # Errors
/// When a statement fails.
pub async fn stale(reader: &mut Reader, now: Timestamp, limit: i64) -> Result<Vec<Stale>> {
    let gone = reader
        .query(
            "select d.id, d.execution_id, d.task_id from webhook_target t join webhook_delivery d on d.target_id = t.id
             where t.removed_at is not null
             union all
             select d.id, d.execution_id, d.task_id from webhook_policy w join webhook_target t on t.policy_id = w.id
             join webhook_delivery d on d.target_id = t.id where w.deleted_at is not null and t.removed_at is null
             limit $1",
        )
        .bind(limit)
        .all()
        .await?;
    let skipped = reader
        .query(
            "select d.id, d.execution_id, d.task_id from webhook_target t join webhook_delivery d on d.target_id = t.id
             where t.skipped_at is not null and t.removed_at is null
             and d.id < (select max(n.id) from webhook_delivery n where n.target_id = t.id) limit $1",
        )
        .bind(limit)
        .all()
        .await?;
    let old = reader
        .query(
            "select d.id, d.execution_id, d.task_id from webhook_delivery d where d.created_at < $1
             order by d.created_at limit $2",
        )
        .bind(now.minus(LONGEST))
        .bind(limit)
        .all()
        .await?;
    let mut stale = Vec::new();
    for (rows, reason) in [
        (gone, Reason::Gone),
        (skipped, Reason::Skipped),
        (old, Reason::Old),
    ] {
        let read = |row: &Row| {
            Ok(Stale {
                delivery: row.get("webhook_delivery", "id")?,
                execution: row.get("webhook_delivery", "execution_id")?,
                task: row.get("webhook_delivery", "task_id")?,
                reason,
            })
        };
        let read: Result<Vec<Stale>> = rows.iter().map(read).collect();
        stale.extend(read?);
    }
    Ok(stale)
}

/// Ends what is not sent any more.
///
/// # Errors
/// When a statement fails.
pub async fn end(tx: &mut Tx, stale: &[Stale], now: Timestamp) -> Result<()> {
    for one in stale {
        let gone = tx
            .query("delete from webhook_delivery where id = $1")
            .bind(one.delivery);
        if gone.execute().await? == 0 {
            continue;
        }
        let (status, message) = one.reason.ending();
        tx.query(
            "update task set status = $2, status_message = $3, updated_at = $4, ended_at = $4 where id = $1",
        )
        .bind(one.task)
        .bind(status)
        .bind(message)
        .bind(now)
        .execute()
        .await?;
        derive(tx, one.execution, now).await?;
    }
    Ok(())
}

/// Whether a policy or a target is gone that has a row.
///
/// # Errors
/// When the statement fails.
pub async fn is_any_gone(reader: &mut Reader) -> Result<bool> {
    let row = reader
        .query(
            "select id from webhook_policy where deleted_at is not null
             union all select id from webhook_target where removed_at is not null limit 1",
        )
        .optional()
        .await?;
    Ok(row.is_some())
}

/// Removes targets that are gone, and one deleted policy: first its executions are shown no more, at most `limit` of them,
/// then its row goes. Nothing of them may wait any more.
///
/// # Errors
/// When a statement fails.
pub async fn remove_gone(tx: &mut Tx, limit: i64, now: Timestamp) -> Result<()> {
    tx.query(
        "delete from webhook_target where removed_at is not null
         and not exists (select 1 from webhook_delivery d where d.target_id = webhook_target.id)",
    )
    .execute()
    .await?;
    let row = tx
        .query("select id from webhook_policy where deleted_at is not null order by id limit 1")
        .optional()
        .await?;
    let Some(row) = row else { return Ok(()) };
    let policy: i64 = row.get("webhook_policy", "id")?;
    let rows = tx
        .query(
            "select id from execution where vendor_type in ('WEBHOOK', 'SLACK') and vendor_id = $1
             and forgotten_at is null limit $2",
        )
        .bind(policy)
        .bind(limit)
        .all()
        .await?;
    let shown = crate::execution::ids(&rows)?;
    if shown.is_empty() {
        tx.query(
            "delete from webhook_policy where id = $1 and not exists (select 1 from webhook_target t
                 join webhook_delivery d on d.target_id = t.id where t.policy_id = webhook_policy.id)",
        )
        .bind(policy)
        .execute()
        .await?;
        return Ok(());
    }
    tx.query_either(
        "update execution set forgotten_at = $2 where id in (select value from json_each($1))",
        "update execution set forgotten_at = $2
         where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
    )
    .bind(json_list(shown.iter().map(|id| id.0)))
    .bind(now)
    .execute()
    .await?;
    Ok(())
}
