//! Which executions are kept: the newest of each policy, and all that are running.

use model::{ExecutionId, Timestamp};

use super::status::open;
use super::{Vendor, ids};
use crate::error::Result;
use crate::sql::{Reader, Tx, json_list};

/// Executions that are kept of each policy.
const KEPT: i64 = 50;

/// A policy was deleted: its executions are not shown any more, and pruned. They must have ended.
///
/// # Errors
/// When the statement fails.
pub async fn forget(tx: &mut Tx, (vendor, vendor_id): (Vendor, i64), now: Timestamp) -> Result<()> {
    tx.query(
        "update execution set forgotten_at = $3
         where vendor_type = $1 and vendor_id = $2 and forgotten_at is null",
    )
    .bind(vendor)
    .bind(vendor_id)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Removes a part of what is not kept: at most `limit` log lines, tasks and executions each, in this order, so that no
/// row takes many others with it. Returns how many rows it were; 0 when nothing is left.
///
/// # Errors
/// When a statement fails.
pub async fn prune(tx: &mut Tx, limit: i64) -> Result<u64> {
    let rows = tx
        .query(concat!(
            "select id from (
                 select id from execution where forgotten_at is not null and not ",
            open!(),
            " union all select id from (
                 select id, status, row_number() over (partition by vendor_type, vendor_id order by started_at desc, id desc) as place
                 from execution where forgotten_at is null) ranked where place > $1 and not ",
            open!(),
            ") old order by id limit $2"
        ))
        .bind(KEPT)
        .bind(limit)
        .all()
        .await?;
    let old: Vec<ExecutionId> = ids(&rows)?;
    if old.is_empty() {
        return Ok(0);
    }
    let old = json_list(old.iter().map(|id| id.0));
    let lines = tx
        .query_either(
            "delete from task_log where id in (select l.id from task t join task_log l on l.task_id = t.id
                 where t.execution_id in (select value from json_each($1)) limit $2)",
            "delete from task_log where id in (select l.id from task t join task_log l on l.task_id = t.id
                 where t.execution_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) limit $2)",
        )
        .bind(&*old)
        .bind(limit)
        .execute()
        .await?;
    if lines > 0 {
        return Ok(lines);
    }
    let tasks = tx
        .query_either(
            "delete from task where id in (select id from task
                 where execution_id in (select value from json_each($1)) limit $2)",
            "delete from task where id in (select id from task
                 where execution_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) limit $2)",
        )
        .bind(&*old)
        .bind(limit)
        .execute()
        .await?;
    if tasks > 0 {
        return Ok(tasks);
    }
    tx.query_either(
        "delete from execution where id in (select value from json_each($1))",
        "delete from execution where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
    )
    .bind(&*old)
    .execute()
    .await
}

/// Executions of a policy that have ended, beyond the newest that are kept; at most `limit`.
///
/// # Errors
/// When the statement fails.
pub async fn surplus(
    reader: &mut Reader,
    (vendor, vendor_id): (Vendor, i64),
    limit: i64,
) -> Result<Vec<ExecutionId>> {
    let rows = reader
        .query(
            "select id from execution where vendor_type = $1 and vendor_id = $2 and forgotten_at is null
             and status <> 'Running' order by started_at desc, id desc limit $4 offset $3",
        )
        .bind(vendor)
        .bind(vendor_id)
        .bind(KEPT)
        .bind(limit)
        .all()
        .await?;
    ids(&rows)
}

/// Removes executions that have ended, with their tasks and logs, which must be short.
///
/// # Errors
/// When a statement fails.
pub async fn remove(tx: &mut Tx, executions: &[ExecutionId]) -> Result<()> {
    let executions = json_list(executions.iter().map(|id| id.0));
    // Tasks and logs go with them.
    tx.query_either(
        "delete from execution where id in (select value from json_each($1))",
        "delete from execution where id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))",
    )
    .bind(executions)
    .execute()
    .await?;
    Ok(())
}
