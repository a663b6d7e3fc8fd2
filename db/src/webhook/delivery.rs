//! Deliveries: what waits to be sent, and the executions that it is shown as: one with one task for each delivery.

use std::collections::HashMap;

use model::{
    ExecutionId, PrincipalId, ProjectId, TaskId, Timestamp, WebhookKind, WebhookPolicyId,
    WebhookTargetId,
};

use crate::error::Result;
use crate::execution::status::{cut, derive};
use crate::execution::{Cause, STATUS, Status, Vendor, task_log};
use crate::job_log::Line;
use crate::list::{self, Conditions, Direction, Field, Kind, Selection, Source};
use crate::sql::{Reader, Row, Tx, json_list, row};

row! {
    columns delivery_columns;
    /// Something that waits to be sent.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Delivery of webhook_delivery {
        /// Its id.
        pub id: i64 = d.id,
        /// Where it is sent.
        pub target: WebhookTargetId = d.target_id,
        /// What it is shown as.
        pub execution: ExecutionId = d.execution_id,
        /// The only task of that.
        pub task: TaskId = d.task_id,
        /// Those with the same one are sent one after the other.
        pub subject: String = d.subject,
        /// How often it was sent.
        pub attempts: i64 = d.attempts,
        /// When it is sent next.
        pub due_at: Timestamp = d.due_at,
        /// When it was added.
        pub created_at: Timestamp = d.created_at,
    }
}

/// The kind of executions for a kind of targets.
pub const fn vendor(kind: WebhookKind) -> Vendor {
    match kind {
        WebhookKind::Http => Vendor::Webhook,
        WebhookKind::Slack => Vendor::Slack,
    }
}

/// A delivery to be added.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct New {
    /// Where it is sent.
    pub target: WebhookTargetId,
    /// What that is.
    pub kind: WebhookKind,
    /// Whose target it is.
    pub policy: WebhookPolicyId,
    /// What started it.
    pub cause: Cause,
    /// Who did what it tells of, by row and name.
    pub operator: (Option<PrincipalId>, String),
    /// Those with the same one are sent one after the other.
    pub subject: String,
    /// What is sent, and its type of event, as a JSON object.
    pub attrs: String,
    /// What else there is to say about it, as a JSON object.
    pub task_attrs: String,
}

/// Adds a delivery, due at once.
///
/// # Errors
/// When a statement fails.
pub async fn add(tx: &mut Tx, new: &New, now: Timestamp) -> Result<ExecutionId> {
    let row = tx
        .query(
            "insert into execution (vendor_type, vendor_id, cause, status, status_message, attrs, principal_id, operator,
                 planned, started_at)
             values ($1, $2, $3, 'Running', '', $4, $5, $6, 1, $7) returning id",
        )
        .bind(vendor(new.kind))
        .bind(new.policy)
        .bind(new.cause)
        .bind(&*new.attrs)
        .bind(new.operator.0)
        .bind(&*new.operator.1)
        .bind(now)
        .one()
        .await?;
    let execution: ExecutionId = row.get("execution", "id")?;
    let row = tx
        .query(
            "insert into task (execution_id, subject, status, status_message, run_count, attrs, created_at, updated_at)
             values ($1, $2, 'Pending', '', 0, $3, $4, $4) returning id",
        )
        .bind(execution)
        .bind(&*new.subject)
        .bind(&*new.task_attrs)
        .bind(now)
        .one()
        .await?;
    let task: TaskId = row.get("task", "id")?;
    tx.query(
        "insert into webhook_delivery (target_id, execution_id, task_id, subject, attempts, due_at, created_at)
         values ($1, $2, $3, $4, 0, $5, $5)",
    )
    .bind(new.target)
    .bind(execution)
    .bind(task)
    .bind(&*new.subject)
    .bind(now)
    .execute()
    .await?;
    Ok(execution)
}

/// Deliveries to a target that are due, at most `limit`: of each subject the first one that has not ended.
///
/// # Errors
/// When the statement fails.
pub async fn due(
    reader: &mut Reader,
    target: WebhookTargetId,
    now: Timestamp,
    limit: i64,
) -> Result<Vec<Delivery>> {
    let rows = reader
        .query(concat!(
            "select ",
            delivery_columns!(),
            " from webhook_delivery d where d.target_id = $1 and d.due_at <= $2
             and not exists (select 1 from webhook_delivery e
                 where e.target_id = d.target_id and e.subject = d.subject and e.id < d.id)
             order by d.id limit $3"
        ))
        .bind(target)
        .bind(now)
        .bind(limit)
        .all()
        .await?;
    rows.iter().map(Delivery::read).collect()
}

/// Whether something waits to be sent that is due.
///
/// # Errors
/// When the statement fails.
pub async fn is_any_due(reader: &mut Reader, now: Timestamp) -> Result<bool> {
    let row = reader
        .query(
            "select t.id from webhook_target t join webhook_policy w on w.id = t.policy_id
             where t.retry_at <= $1 and t.removed_at is null and w.enabled = 1 and w.deleted_at is null
             and exists (select 1 from webhook_delivery d where d.target_id = t.id and d.due_at <= $1
                 and not exists (select 1 from webhook_delivery e
                     where e.target_id = d.target_id and e.subject = d.subject and e.id < d.id)) limit 1",
        )
        .bind(now)
        .optional()
        .await?;
    Ok(row.is_some())
}

/// What is sent for a delivery.
///
/// # Errors
/// When the statement fails.
pub async fn attrs(reader: &mut Reader, execution: ExecutionId) -> Result<Option<String>> {
    let row = reader
        .query("select attrs from execution where id = $1")
        .bind(execution)
        .optional()
        .await?;
    row.map(|row| row.get("execution", "attrs")).transpose()
}

/// What comes after an attempt.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Next {
    /// Nothing: it ended.
    Ended(Status),
    /// Another one.
    Again(Timestamp),
}

/// An attempt to send something.
#[derive(Clone, Debug)]
pub struct Attempt<'a> {
    /// When it began.
    pub began: Timestamp,
    /// Why it failed, in words; empty for none.
    pub message: &'a str,
    /// What else there is to say about it, as a JSON object.
    pub attrs: &'a str,
    /// Its line in the log.
    pub line: Line,
}

/// Notes an attempt. Returns false if the delivery was cancelled meanwhile.
///
/// # Errors
/// When a statement fails.
pub async fn attempted(
    tx: &mut Tx,
    delivery: &Delivery,
    (attempt, next): (&Attempt<'_>, Next),
    now: Timestamp,
) -> Result<bool> {
    let noted = match next {
        Next::Ended(_) => tx
            .query("delete from webhook_delivery where id = $1")
            .bind(delivery.id),
        Next::Again(at) => tx
            .query("update webhook_delivery set attempts = attempts + 1, due_at = $2 where id = $1")
            .bind(delivery.id)
            .bind(at),
    };
    if noted.execute().await? == 0 {
        return Ok(false);
    }
    let (status, ended) = match next {
        Next::Ended(status) => (status, Some(now)),
        Next::Again(_) => (Status::Pending, None),
    };
    tx.query(
        "update task set status = $2, status_message = $3, run_count = run_count + 1, attrs = $4, started_at = $5,
             updated_at = $6, ended_at = $7
         where id = $1",
    )
    .bind(delivery.task)
    .bind(status)
    .bind(cut(attempt.message))
    .bind(attempt.attrs)
    .bind(attempt.began)
    .bind(now)
    .bind(ended)
    .execute()
    .await?;
    task_log::append(tx, delivery.task, std::slice::from_ref(&attempt.line)).await?;
    derive(tx, delivery.execution, now).await?;
    Ok(true)
}

/// Attempts after which a delivery is no longer hurried: it may be the one that its target fails on.
const HURRIED: i64 = 8;

/// Makes deliveries that were tried before due at once, as their target works again; except those tried more than
/// [`HURRIED`] times.
///
/// # Errors
/// When the statement fails.
pub async fn hurry(tx: &mut Tx, target: WebhookTargetId, now: Timestamp) -> Result<()> {
    tx.query(
        "update webhook_delivery set due_at = $2 where target_id = $1 and due_at > $2 and attempts <= $3",
    )
    .bind(target)
    .bind(now)
    .bind(HURRIED)
    .execute()
    .await?;
    Ok(())
}

/// How many deliveries wait for each of some targets.
///
/// # Errors
/// When the statement fails.
pub async fn waiting(
    reader: &mut Reader,
    targets: &[WebhookTargetId],
) -> Result<HashMap<WebhookTargetId, i64>> {
    let rows = reader
        .query_either(
            "select target_id, count(*) as waiting from webhook_delivery
             where target_id in (select value from json_each($1)) group by target_id",
            "select target_id, count(*) as waiting from webhook_delivery
             where target_id = any (array(select cast(json_array_elements_text(cast($1 as json)) as bigint))) group by target_id",
        )
        .bind(json_list(targets.iter().map(|id| id.0)))
        .all()
        .await?;
    let read = |row: &Row| {
        Ok((
            row.get("webhook_delivery", "target_id")?,
            row.get("webhook_delivery", "waiting")?,
        ))
    };
    rows.iter().map(read).collect()
}

/// Whether anything waits for a target.
///
/// # Errors
/// When the statement fails.
pub async fn is_waiting(reader: &mut Reader, target: WebhookTargetId) -> Result<bool> {
    let row = reader
        .query("select id from webhook_delivery where target_id = $1 limit 1")
        .bind(target)
        .optional()
        .await?;
    Ok(row.is_some())
}

row! {
    columns shown_columns;
    /// A delivery as it is shown, whether it waits or has ended.
    #[derive(Clone, Debug, PartialEq, Eq)]
    pub struct Shown of execution {
        /// The execution's id, by which it is named.
        pub id: ExecutionId = e.id,
        /// Whose it is.
        pub policy: WebhookPolicyId = e.vendor_id,
        /// What started it.
        pub cause: Cause = e.cause,
        /// How far it is.
        pub status: Status = e.status,
        /// Who did what it tells of.
        pub operator: String = e.operator,
        /// When it was added.
        pub started_at: Timestamp = e.started_at,
        /// When it ended.
        pub ended_at: Option<Timestamp> = e.ended_at,
    }
    computed {
        /// Its task.
        pub task: TaskId = "t.id",
        /// What it is about.
        pub subject: String = "t.subject",
        /// What else there is to say about it, as a JSON object.
        pub attrs: String = "t.attrs",
        /// Why the last attempt failed.
        pub message: String = "t.status_message",
        /// How often it was sent.
        pub attempts: i64 = "t.run_count",
        /// When it is sent next.
        pub due_at: Option<Timestamp> = "d.due_at",
    }
}

/// How far it is.
pub const STATUS_FIELD: Field = STATUS;
/// Its type of event, which its task's attributes contain.
pub const EVENT: Field = Field::new("event_type", Kind::Text, "t.attrs").unsorted();
/// When it was added.
pub const STARTED: Field = Field::new("start_time", Kind::Time, "e.started_at");

/// What lists can be narrowed and sorted by.
pub const FIELDS: [Field; 4] = [
    Field::new("id", Kind::Int, "e.id").unique(),
    STATUS,
    STARTED,
    Field::new("subject", Kind::Text, "t.subject"),
];

const SOURCE: Source = Source {
    name: "webhook.delivery.list",
    columns: shown_columns!(),
    from: "execution e join webhook_policy w on w.id = e.vendor_id join task t on t.execution_id = e.id
         left join webhook_delivery d on d.execution_id = e.id",
    id: "e.id",
    order: STARTED,
};

/// Deliveries of a project, the newest first unless another order is asked for, and how many there are in all; of one
/// policy, if one is named.
///
/// # Errors
/// When a statement fails.
pub async fn list(
    reader: &mut Reader,
    (project, policy): (ProjectId, Option<WebhookPolicyId>),
    selection: &Selection,
) -> Result<(Vec<Shown>, i64)> {
    let mut wanted = Conditions::default()
        .and("e.vendor_type in ('WEBHOOK', 'SLACK')")
        .and("e.forgotten_at is null")
        .and("w.deleted_at is null")
        .and_value("w.project_id = $", project);
    if let Some(policy) = policy {
        wanted = wanted.and_value("e.vendor_id = $", policy);
    }
    let mut selection = selection.clone();
    selection.order.get_or_insert((STARTED, Direction::Down));
    list::list(reader, &SOURCE, wanted, &selection, Shown::read).await
}

/// A delivery of a project, with what is sent.
///
/// # Errors
/// When a statement fails.
pub async fn get(
    reader: &mut Reader,
    project: ProjectId,
    id: ExecutionId,
) -> Result<Option<(Shown, String)>> {
    let row = reader
        .query(concat!(
            "select ",
            shown_columns!(),
            ", e.attrs as sent from execution e join webhook_policy w on w.id = e.vendor_id join task t on t.execution_id = e.id
             left join webhook_delivery d on d.execution_id = e.id
             where e.id = $1 and w.project_id = $2 and e.vendor_type in ('WEBHOOK', 'SLACK')
             and e.forgotten_at is null and w.deleted_at is null"
        ))
        .bind(id)
        .bind(project)
        .optional()
        .await?;
    row.map(|row| Ok((Shown::read(&row)?, row.get("execution", "sent")?)))
        .transpose()
}
