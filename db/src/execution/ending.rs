//! How executions end: with the last of their tasks, by who runs them, by somebody who stops them, or with a job that
//! failed or was cancelled.

use model::{ExecutionId, JobId, Timestamp};

use super::status::{Status, cut, derive, open};
use super::{Execution, hold, ids, task};
use crate::error::Result;
use crate::sql::{Row, Tx, json_list};

/// All tasks of a held execution are there: from now on it ends with the last of them, which may have ended already.
/// Without any it stays as it is, for [`end`].
///
/// # Errors
/// When a statement fails.
pub async fn planned(tx: &mut Tx, id: ExecutionId, now: Timestamp) -> Result<()> {
    tx.query("update execution set planned = 1 where id = $1 and status = 'Running'")
        .bind(id)
        .execute()
        .await?;
    derive(tx, id, now).await
}

/// Ends a running execution that has no open task, as who runs it says. Returns false where it has ended, or has one.
///
/// # Errors
/// When the statement fails.
pub async fn end(
    tx: &mut Tx,
    id: ExecutionId,
    (status, message): (Status, &str),
    now: Timestamp,
) -> Result<bool> {
    let ended = tx
        .query(concat!(
            "update execution set status = $2, status_message = $3, planned = 1, ended_at = $4
             where id = $1 and status = 'Running'
             and not exists (select 1 from task where execution_id = $1 and ",
            open!(),
            ")"
        ))
        .bind(id)
        .bind(status)
        .bind(cut(message))
        .bind(now)
        .execute()
        .await?;
    Ok(ended == 1)
}

/// Ends a held execution and its open tasks with an error.
///
/// # Errors
/// When a statement fails.
pub async fn fail(tx: &mut Tx, id: ExecutionId, message: &str, now: Timestamp) -> Result<()> {
    task::end_open(tx, id, (Status::Error, message), now).await?;
    end(tx, id, (Status::Error, message), now).await?;
    Ok(())
}

/// Stops an execution: its jobs are cancelled, its open tasks and the execution itself end at once. What a job does in
/// this moment it may still complete; it is told with the next renewal of its lease. Returns the execution as it was;
/// `None` where there is no such one. One that has ended stays as it is.
///
/// # Errors
/// When a statement fails.
pub async fn stop(tx: &mut Tx, id: ExecutionId, now: Timestamp) -> Result<Option<Execution>> {
    // Jobs first: theirs are the first locks, see `execution`.
    cancel_jobs(tx, id, now).await?;
    let Some(held) = hold(tx, id).await? else {
        return Ok(None);
    };
    if held.status.is_final() {
        return Ok(Some(held));
    }
    tx.query("update execution set stop_at = $2, planned = 1 where id = $1")
        .bind(id)
        .bind(now)
        .execute()
        .await?;
    task::end_open(tx, id, (Status::Stopped, ""), now).await?;
    derive(tx, id, now).await?;
    end(tx, id, (Status::Stopped, ""), now).await?;
    Ok(Some(held))
}

/// Cancels the jobs of a running execution, and of its open tasks.
async fn cancel_jobs(tx: &mut Tx, id: ExecutionId, now: Timestamp) -> Result<()> {
    let rows = tx
        .query(concat!(
            "select job_id from execution where id = $1 and status = 'Running' and job_id is not null
             union select job_id from task where execution_id = $1 and job_id is not null and ",
            open!()
        ))
        .bind(id)
        .all()
        .await?;
    let job = |row: &Row| row.get::<i64>("task", "job_id");
    let jobs: Vec<i64> = rows.iter().map(job).collect::<Result<_>>()?;
    if jobs.is_empty() {
        return Ok(());
    }
    tx.query_either(
        "update job set finished_at = case when state = 'queued' then $2 else finished_at end,
             cancel_at = case when state = 'running' then coalesce(cancel_at, $2) end,
             state = case when state = 'queued' then 'cancelled' else state end
         where id in (select value from json_each($1)) and state in ('queued', 'running') and standing = 0",
        "update job set finished_at = case when state = 'queued' then $2 else finished_at end,
             cancel_at = case when state = 'running' then coalesce(cancel_at, $2) end,
             state = case when state = 'queued' then 'cancelled' else state end
         where id in (select id from job where state in ('queued', 'running') and standing = 0
             and id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             order by id for no key update)",
    )
    .bind(json_list(jobs))
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Ends what ended jobs leave open: their tasks, or their executions with all tasks. So nothing waits for ever for a job
/// that failed, was cancelled, or forgot it.
///
/// # Errors
/// When a statement fails.
pub(crate) async fn jobs_ended(
    tx: &mut Tx,
    jobs: &[JobId],
    (status, message): (Status, &str),
    now: Timestamp,
) -> Result<()> {
    if jobs.is_empty() {
        return Ok(());
    }
    let jobs = json_list(jobs.iter().map(|id| id.0));
    let whole = tx
        .query_either(
            "select id from execution
             where job_id in (select value from json_each($1)) and job_id is not null and status = 'Running' order by id",
            "select id from execution
             where job_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             and job_id is not null and status = 'Running' order by id",
        )
        .bind(&*jobs)
        .all()
        .await?;
    for id in ids(&whole)? {
        if hold(tx, id)
            .await?
            .is_some_and(|held| !held.status.is_final())
        {
            task::end_open(tx, id, (status, message), now).await?;
            end(tx, id, (status, message), now).await?;
        }
    }
    let parts = tx
        .query_either(
            concat!(
                "select distinct execution_id as id from task
                 where job_id in (select value from json_each($1)) and ",
                open!(),
                " order by execution_id"
            ),
            concat!(
                "select distinct execution_id as id from task
                 where job_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) and ",
                open!(),
                " order by execution_id"
            ),
        )
        .bind(&*jobs)
        .all()
        .await?;
    for id in ids(&parts)? {
        hold(tx, id).await?;
        task::end_open_of(tx, (id, &jobs), (status, message), now).await?;
        derive(tx, id, now).await?;
    }
    Ok(())
}
