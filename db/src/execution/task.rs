//! Tasks: the parts of an [execution](super), such as a repository each. A change of a task changes its
//! execution in the same transaction.
//!
//! **Taking.** A job takes one task after the other of its execution ([`take_next`]), or the one that it was made for
//! ([`take`]). Whoever takes the job over takes the task over, which begins anew: so what a task does is written in steps
//! that do no harm when they are repeated. A task that has ended is never taken, and its end is never changed.

use model::{ExecutionId, JobId, TaskId, Timestamp};

use super::status::{Status, cut, derive, open};
use super::{hold, newest_first};
use crate::error::Result;
use crate::list::{self, Conditions, Field, Kind, Selection, Source};
use crate::sql::{Reader, Tx, json_list, row};

row! {
    columns task_columns;
    /// A task.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Task of task {
        /// Its id.
        pub id: TaskId = t.id,
        /// Its execution.
        pub execution: ExecutionId = t.execution_id,
        /// What it works on.
        pub subject: String = t.subject,
        /// The job that works, or worked, on it.
        pub job: Option<JobId> = t.job_id,
        /// How far it is.
        pub status: Status = t.status,
        /// Why, in words; may be empty.
        pub status_message: String = t.status_message,
        /// How often it was begun.
        pub run_count: i64 = t.run_count,
        /// What else there is to say about it, as a JSON object.
        pub attrs: String = t.attrs,
        /// When it was added.
        pub created_at: Timestamp = t.created_at,
        /// When it was begun last.
        pub started_at: Option<Timestamp> = t.started_at,
        /// When it changed last.
        pub updated_at: Timestamp = t.updated_at,
        /// When it ended.
        pub ended_at: Option<Timestamp> = t.ended_at,
    }
}

/// A task to be added.
#[derive(Clone, Debug)]
pub struct New {
    /// What it works on.
    pub subject: String,
    /// The job that is made for it, if one is.
    pub job: Option<JobId>,
    /// What else there is to say about it, as a JSON object.
    pub attrs: String,
}

/// Adds tasks to a running execution, but for those that it has: one statement. Returns how many were added.
///
/// # Errors
/// When a statement fails.
pub async fn add(tx: &mut Tx, execution: ExecutionId, new: &[New], now: Timestamp) -> Result<u64> {
    let is_open = hold(tx, execution)
        .await?
        .is_some_and(|held| !held.status.is_final());
    if new.is_empty() || !is_open {
        return Ok(0);
    }
    let rows = new.iter();
    let rows: Vec<(&str, Option<i64>, &str)> = rows
        .map(|new| (&*new.subject, new.job.map(|id| id.0), &*new.attrs))
        .collect();
    tx.query_either(
        "insert into task (execution_id, subject, job_id, status, status_message, run_count, attrs, created_at, updated_at)
         select $1, value ->> 0, value ->> 1, case when value ->> 1 is null then 'Pending' else 'Scheduled' end, '', 0,
             value ->> 2, $3, $3
         from json_each($2) where true order by key on conflict (execution_id, subject) do nothing",
        "insert into task (execution_id, subject, job_id, status, status_message, run_count, attrs, created_at, updated_at)
         select $1, value ->> 0, cast(value ->> 1 as bigint), case when value ->> 1 is null then 'Pending' else 'Scheduled' end, '', 0,
             value ->> 2, $3, $3
         from json_array_elements(cast($2 as json)) with ordinality as l (value, position) order by position
         on conflict (execution_id, subject) do nothing",
    )
    .bind(execution)
    .bind(json_list(rows))
    .bind(now)
    .execute()
    .await
}

/// Takes the next task of an execution for a job: the one that it has, as after a take-over, before those that wait.
/// `None` where none is left.
///
/// # Errors
/// When a statement fails.
pub async fn take_next(
    tx: &mut Tx,
    execution: ExecutionId,
    job: JobId,
    now: Timestamp,
) -> Result<Option<Task>> {
    hold(tx, execution).await?;
    let row = tx
        .query(
            "select id from task where execution_id = $1 and (status = 'Pending' or status = 'Running' and job_id = $2)
             order by status desc, id limit 1",
        )
        .bind(execution)
        .bind(job)
        .optional()
        .await?;
    match row {
        Some(row) => begin(tx, row.get("task", "id")?, job, now).await,
        None => Ok(None),
    }
}

/// Takes a task for the job that was made for it; `None` where it has ended.
///
/// # Errors
/// When a statement fails.
pub async fn take(
    tx: &mut Tx,
    (execution, task): (ExecutionId, TaskId),
    job: JobId,
    now: Timestamp,
) -> Result<Option<Task>> {
    hold(tx, execution).await?;
    begin(tx, task, job, now).await
}

async fn begin(tx: &mut Tx, task: TaskId, job: JobId, now: Timestamp) -> Result<Option<Task>> {
    tx.query(concat!(
        "update task set status = 'Running', job_id = $2, run_count = run_count + 1, started_at = $3, updated_at = $3
         where id = $1 and ",
        open!()
    ))
    .bind(task)
    .bind(job)
    .bind(now)
    .execute()
    .await?;
    let row = tx
        .query(concat!(
            "select ",
            task_columns!(),
            " from task t where t.id = $1 and t.status = 'Running'"
        ))
        .bind(task)
        .optional()
        .await?;
    row.as_ref().map(Task::read).transpose()
}

/// Whether a task is being done by a job, looked at in the transaction of a step: a task that was stopped, or that
/// another job has, does nothing more.
///
/// # Errors
/// When the statement fails.
pub async fn is_running(reader: &mut Reader, task: TaskId, job: JobId) -> Result<bool> {
    let row = reader
        .query("select id from task where id = $1 and job_id = $2 and status = 'Running'")
        .bind(task)
        .bind(job)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// Says what else there is to say about an open task.
///
/// # Errors
/// When the statement fails.
pub async fn set_attrs(tx: &mut Tx, task: TaskId, attrs: &str, now: Timestamp) -> Result<()> {
    tx.query(concat!(
        "update task set attrs = $2, updated_at = $3 where id = $1 and ",
        open!()
    ))
    .bind(task)
    .bind(attrs)
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// How a task ended.
#[derive(Clone, Debug)]
pub struct Ending<'a> {
    /// A final status.
    pub status: Status,
    /// Why, in words; may be empty.
    pub message: &'a str,
    /// What else there is to say about it, as a JSON object; `None` for what was said before.
    pub attrs: Option<&'a str>,
}

/// Ends a task, and its execution where it was the last one. Returns false if it has ended before.
///
/// # Errors
/// When a statement fails.
pub async fn end(
    tx: &mut Tx,
    (execution, task): (ExecutionId, TaskId),
    ending: &Ending<'_>,
    now: Timestamp,
) -> Result<bool> {
    hold(tx, execution).await?;
    let ended = tx
        .query(concat!(
            "update task set status = $2, status_message = $3, attrs = coalesce($4, attrs), updated_at = $5, ended_at = $5
             where id = $1 and ",
            open!()
        ))
        .bind(task)
        .bind(ending.status)
        .bind(cut(ending.message))
        .bind(ending.attrs)
        .bind(now)
        .execute()
        .await?;
    derive(tx, execution, now).await?;
    Ok(ended == 1)
}

/// Ends all open tasks of a held execution.
pub(crate) async fn end_open(
    tx: &mut Tx,
    execution: ExecutionId,
    (status, message): (Status, &str),
    now: Timestamp,
) -> Result<()> {
    tx.query(concat!(
        "update task set status = $2, status_message = $3, updated_at = $4, ended_at = $4
         where execution_id = $1 and ",
        open!()
    ))
    .bind(execution)
    .bind(status)
    .bind(cut(message))
    .bind(now)
    .execute()
    .await?;
    Ok(())
}

/// Ends the open tasks of a held execution that some jobs, a JSON array of ids, have.
pub(crate) async fn end_open_of(
    tx: &mut Tx,
    (execution, jobs): (ExecutionId, &str),
    (status, message): (Status, &str),
    now: Timestamp,
) -> Result<()> {
    tx.query_either(
        concat!(
            "update task set status = $2, status_message = $3, updated_at = $4, ended_at = $4
             where execution_id = $1 and job_id in (select value from json_each($5)) and ",
            open!()
        ),
        concat!(
            "update task set status = $2, status_message = $3, updated_at = $4, ended_at = $4
             where execution_id = $1
             and job_id = any (array(select cast(json_array_elements_text(cast($5 as json)) as bigint))) and ",
            open!()
        ),
    )
    .bind(execution)
    .bind(status)
    .bind(cut(message))
    .bind(now)
    .bind(jobs)
    .execute()
    .await?;
    Ok(())
}

/// Id.
pub const ID: Field = Field::new("id", Kind::Int, "t.id").unique();

/// What lists can be narrowed and sorted by.
pub const FIELDS: [Field; 5] = [
    ID,
    STATUS,
    Field::new("start_time", Kind::Time, "t.started_at").optional(),
    Field::new("end_time", Kind::Time, "t.ended_at").optional(),
    SUBJECT,
];

/// How far it is.
pub const STATUS: Field = Field::new("status", Kind::Text, "t.status");
/// What it works on.
pub const SUBJECT: Field = Field::new("subject", Kind::Text, "t.subject");

const SOURCE: Source = Source {
    name: "task.list",
    columns: task_columns!(),
    from: "task t",
    id: "t.id",
    order: ID,
};

/// Tasks of an execution, the newest first unless another order is asked for, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    execution: ExecutionId,
    selection: &Selection,
) -> Result<(Vec<Task>, i64)> {
    let of_execution = Conditions::default().and_value("t.execution_id = $", execution);
    let selection = newest_first(selection, ID);
    list::list(reader, &SOURCE, of_execution, &selection, Task::read).await
}

/// A task of an execution.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, execution: ExecutionId, id: TaskId) -> Result<Option<Task>> {
    let row = reader
        .query(concat!(
            "select ",
            task_columns!(),
            " from task t where t.execution_id = $1 and t.id = $2"
        ))
        .bind(execution)
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Task::read).transpose()
}
