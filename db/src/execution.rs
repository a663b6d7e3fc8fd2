//! Executions: runs of a policy, such as one of retention or replication. What one has to do are [tasks](task); how
//! it ends is in [`ending`].
//!
//! **Locks.** Whoever changes an execution or its tasks holds the execution's row first ([`hold`]), so that two tasks
//! that end at the same time see one another, and the later one ends the execution. The order is: job, execution, task.
//! A job's transactions hold the job already ([`crate::fence`]).
//!
//! **Planning.** Tasks are added in parts, each of which may be repeated after a crash: an execution has one task for a
//! subject. Until it is [`planned`], it does not end with its tasks.

pub mod ending;
mod prune;
pub(crate) mod status;
pub mod task;
pub mod task_log;

use std::collections::HashMap;

use model::{ExecutionId, JobId, PrincipalId, Timestamp};

pub use self::ending::{end, fail, planned, stop};
pub use self::prune::{forget, prune, remove, surplus};
pub use self::status::{MESSAGE_BYTES, Status};

use crate::error::{Error, Result};
use crate::list::{self, Conditions, Direction, Field, Kind, Selection, Source};
use crate::sql::{Reader, Row, Tx, json_list, row, stored_names};

/// What kind of policy is run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Vendor {
    /// Retention of a project's artifacts.
    Retention,
    /// Replication to or from another registry.
    Replication,
    /// Something sent to a server.
    Webhook,
    /// Something sent to Slack.
    Slack,
}

stored_names! {
    Vendor {
        Retention = "RETENTION",
        Replication = "REPLICATION",
        Webhook = "WEBHOOK",
        Slack = "SLACK",
    }
}

/// What started an execution.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cause {
    /// Somebody.
    Manual,
    /// A schedule.
    Schedule,
    /// An event.
    Event,
}

impl Cause {
    /// Harbor's name.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Manual => "MANUAL",
            Self::Schedule => "SCHEDULE",
            Self::Event => "EVENT",
        }
    }
}

stored_names! {
    Cause {
        Manual = "MANUAL",
        Schedule = "SCHEDULE",
        Event = "EVENT",
    }
}

row! {
    columns execution_columns;
    /// An execution.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Execution of execution {
        /// Its id.
        pub id: ExecutionId = e.id,
        /// What kind its policy is of.
        pub vendor: Vendor = e.vendor_type,
        /// The policy's id among those of its kind.
        pub vendor_id: i64 = e.vendor_id,
        /// What started it.
        pub cause: Cause = e.cause,
        /// How far it is.
        pub status: Status = e.status,
        /// Why, in words; may be empty.
        pub status_message: String = e.status_message,
        /// What else there is to say about it, as a JSON object.
        pub attrs: String = e.attrs,
        /// Who started it; empty for a schedule or an event.
        pub operator: String = e.operator,
        /// The job that does all of it; `None` where its tasks have jobs of their own.
        pub job: Option<JobId> = e.job_id,
        /// Whether all its tasks are there.
        pub planned: bool = e.planned,
        /// When it was asked to stop.
        pub stop_at: Option<Timestamp> = e.stop_at,
        /// When it began.
        pub started_at: Timestamp = e.started_at,
        /// When it ended.
        pub ended_at: Option<Timestamp> = e.ended_at,
    }
}

/// An execution to be created.
#[derive(Clone, Debug)]
pub struct New {
    /// What kind its policy is of.
    pub vendor: Vendor,
    /// The policy's id among those of its kind.
    pub vendor_id: i64,
    /// What started it.
    pub cause: Cause,
    /// What else there is to say about it, as a JSON object.
    pub attrs: String,
    /// Who started it, by row and name.
    pub operator: (Option<PrincipalId>, String),
    /// The job that does all of it; `None` where its tasks have jobs of their own.
    pub job: Option<JobId>,
}

/// Creates an execution, which is running, and whose tasks are still to be added.
///
/// # Errors
/// When the statement fails.
pub async fn create(tx: &mut Tx, new: &New, now: Timestamp) -> Result<ExecutionId> {
    let row = tx
        .query(
            "insert into execution (vendor_type, vendor_id, cause, status, status_message, attrs, principal_id, operator,
                 job_id, planned, started_at)
             values ($1, $2, $3, 'Running', '', $4, $5, $6, $7, 0, $8) returning id",
        )
        .bind(new.vendor)
        .bind(new.vendor_id)
        .bind(new.cause)
        .bind(&*new.attrs)
        .bind(new.operator.0)
        .bind(&*new.operator.1)
        .bind(new.job)
        .bind(now)
        .one()
        .await?;
    row.get("execution", "id")
}

/// Says which job does all of an execution that was created in this transaction, as the job's input names the execution.
///
/// # Errors
/// When the statement fails.
pub async fn set_job(tx: &mut Tx, id: ExecutionId, job: JobId) -> Result<()> {
    tx.query("update execution set job_id = $2 where id = $1")
        .bind(id)
        .bind(job)
        .execute()
        .await?;
    Ok(())
}

/// One execution.
///
/// # Errors
/// When the statement fails.
pub async fn get(reader: &mut Reader, id: ExecutionId) -> Result<Option<Execution>> {
    let row = reader
        .query(concat!(
            "select ",
            execution_columns!(),
            " from execution e where e.id = $1 and e.forgotten_at is null"
        ))
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Execution::read).transpose()
}

/// The execution that a job does.
///
/// # Errors
/// When the statement fails.
pub async fn of_job(reader: &mut Reader, job: JobId) -> Result<Option<Execution>> {
    let row = reader
        .query(concat!(
            "select ",
            execution_columns!(),
            " from execution e where e.job_id = $1"
        ))
        .bind(job)
        .optional()
        .await?;
    row.as_ref().map(Execution::read).transpose()
}

/// An execution, which nobody else changes until the transaction ends.
///
/// # Errors
/// When the statement fails.
pub async fn hold(tx: &mut Tx, id: ExecutionId) -> Result<Option<Execution>> {
    let row = tx
        .query_either(
            concat!(
                "select ",
                execution_columns!(),
                " from execution e where e.id = $1"
            ),
            concat!(
                "select ",
                execution_columns!(),
                " from execution e where e.id = $1 for no key update"
            ),
        )
        .bind(id)
        .optional()
        .await?;
    row.as_ref().map(Execution::read).transpose()
}

/// When it began.
pub const STARTED: Field = Field::new("start_time", Kind::Time, "e.started_at");

/// What lists can be narrowed and sorted by.
pub const FIELDS: [Field; 6] = [
    Field::new("id", Kind::Int, "e.id").unique(),
    STATUS,
    CAUSE,
    STARTED,
    Field::new("end_time", Kind::Time, "e.ended_at").optional(),
    Field::new("operator", Kind::Text, "e.operator"),
];

/// How far it is.
pub const STATUS: Field = Field::new("status", Kind::Text, "e.status");
/// What started it.
pub const CAUSE: Field = Field::new("trigger", Kind::Text, "e.cause");

const SOURCE: Source = Source {
    name: "execution.list",
    columns: execution_columns!(),
    from: "execution e",
    id: "e.id",
    order: STARTED,
};

/// Executions of a policy, the newest first unless another order is asked for, and how many there are in all.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    (vendor, vendor_id): (Vendor, i64),
    selection: &Selection,
) -> Result<(Vec<Execution>, i64)> {
    let of_policy = Conditions::default()
        .and_value("e.vendor_type = $", vendor)
        .and_value("e.vendor_id = $", vendor_id)
        .and("e.forgotten_at is null");
    let selection = newest_first(selection, STARTED);
    list::list(reader, &SOURCE, of_policy, &selection, Execution::read).await
}

/// Executions of a policy that has them of two kinds, as [`list`].
///
/// # Errors
/// When a statement fails.
pub async fn list_either(
    reader: &mut Reader,
    ([one, other], vendor_id): ([Vendor; 2], i64),
    selection: &Selection,
) -> Result<(Vec<Execution>, i64)> {
    let of_policy = Conditions::default()
        .and_values("e.vendor_type in ($, $)", [one.into(), other.into()])
        .and_value("e.vendor_id = $", vendor_id)
        .and("e.forgotten_at is null");
    let selection = newest_first(selection, STARTED);
    list::list(reader, &SOURCE, of_policy, &selection, Execution::read).await
}

/// Executions of all policies of a kind, as [`list`].
///
/// # Errors
/// When a statement fails.
pub async fn list_all(
    reader: &mut Reader,
    vendor: Vendor,
    selection: &Selection,
) -> Result<(Vec<Execution>, i64)> {
    let of_kind = Conditions::default()
        .and_value("e.vendor_type = $", vendor)
        .and("e.forgotten_at is null");
    let selection = newest_first(selection, STARTED);
    list::list(reader, &SOURCE, of_kind, &selection, Execution::read).await
}

/// A selection with this order, unless it has one.
pub(crate) fn newest_first(selection: &Selection, field: Field) -> Selection {
    let mut selection = selection.clone();
    selection.order.get_or_insert((field, Direction::Down));
    selection
}

/// How many tasks an execution has, by status.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Waiting ones.
    pub pending: i64,
    /// Those whose job waits.
    pub scheduled: i64,
    /// Those being done.
    pub running: i64,
    /// Those that succeeded.
    pub success: i64,
    /// Those that failed.
    pub error: i64,
    /// Those that were stopped.
    pub stopped: i64,
}

impl Counts {
    /// All of them.
    pub const fn total(&self) -> i64 {
        self.pending + self.scheduled + self.running + self.success + self.error + self.stopped
    }

    fn add(&mut self, status: Status, tasks: i64) {
        *match status {
            Status::Pending => &mut self.pending,
            Status::Scheduled => &mut self.scheduled,
            Status::Running => &mut self.running,
            Status::Success => &mut self.success,
            Status::Error => &mut self.error,
            Status::Stopped => &mut self.stopped,
        } += tasks;
    }
}

/// Counts the tasks of executions: one statement. Those without tasks are left out.
///
/// # Errors
/// When the statement fails.
pub async fn counts(
    reader: &mut Reader,
    ids: &[ExecutionId],
) -> Result<HashMap<ExecutionId, Counts>> {
    let rows = reader
        .query_either(
            "select execution_id, status, count(*) as tasks from task
             where execution_id in (select value from json_each($1)) group by execution_id, status",
            "select execution_id, status, count(*) as tasks from task
             where execution_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint)))
             group by execution_id, status",
        )
        .bind(json_list(ids.iter().map(|id| id.0)))
        .all()
        .await?;
    let mut counts: HashMap<ExecutionId, Counts> = HashMap::new();
    for row in &rows {
        let of = counts.entry(row.get("task", "execution_id")?).or_default();
        of.add(row.get("task", "status")?, row.get("task", "tasks")?);
    }
    Ok(counts)
}

/// Reads a column of ids.
pub(crate) fn ids(rows: &[Row]) -> Result<Vec<ExecutionId>> {
    let id = |row: &Row| row.get("execution", "id");
    rows.iter().map(id).collect::<Result<_, Error>>()
}
