//! What policies sent, as executions and tasks in Harbor's form.

use std::collections::HashMap;

use ::policy::{on, to};
use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::execution::task::{self, Task};
use db::execution::{self as executions, Counts, Execution, Vendor, task_log};
use db::job_log::Line;
use model::{ExecutionId, TaskId, WebhookPolicyId};
use serde::Serialize;
use serde_json::Value;
use utoipa::ToSchema;

use super::{ExecutionRef, PolicyRef, TaskRef, find};
use crate::allowed::Allowed;
use crate::listing::Listing;
use crate::room::Room;
use crate::{AdminState, App, Error};

/// The kinds of executions that policies have.
const VENDORS: [Vendor; 2] = [Vendor::Webhook, Vendor::Slack];
/// Lines of a log that are shown.
const LINES: i64 = 500;

/// An execution as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Execution)]
pub(crate) struct View {
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    /// `event_type`, and the body as `payload`.
    #[schema(value_type = HashMap<String, Object>)]
    extra_attrs: Value,
    id: i64,
    metrics: Metrics,
    start_time: String,
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    status_message: String,
    trigger: &'static str,
    vendor_id: i64,
    vendor_type: &'static str,
}

/// How many tasks an execution has.
#[derive(Serialize, ToSchema)]
pub(crate) struct Metrics {
    #[serde(skip_serializing_if = "is_zero")]
    error_task_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    pending_task_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    running_task_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    scheduled_task_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    stopped_task_count: i64,
    #[serde(skip_serializing_if = "is_zero")]
    success_task_count: i64,
    task_count: i64,
}

const fn is_zero(count: &i64) -> bool {
    *count == 0
}

impl From<Counts> for Metrics {
    fn from(counts: Counts) -> Self {
        Self {
            error_task_count: counts.error,
            pending_task_count: counts.pending,
            running_task_count: counts.running,
            scheduled_task_count: counts.scheduled,
            stopped_task_count: counts.stopped,
            success_task_count: counts.success,
            task_count: counts.total(),
        }
    }
}

impl View {
    fn of(execution: Execution, counts: Counts) -> Self {
        Self {
            end_time: execution.ended_at.map(|at| at.to_string()),
            extra_attrs: serde_json::from_str(&execution.attrs).unwrap_or_default(),
            id: execution.id.0,
            metrics: counts.into(),
            start_time: execution.started_at.to_string(),
            status: execution.status.name(),
            status_message: execution.status_message,
            trigger: execution.cause.name(),
            vendor_id: execution.vendor_id,
            vendor_type: vendor(execution.vendor),
        }
    }
}

const fn vendor(vendor: Vendor) -> &'static str {
    match vendor {
        Vendor::Slack => "SLACK",
        Vendor::Retention | Vendor::Replication | Vendor::Webhook => "WEBHOOK",
    }
}

/// A task as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = Task)]
pub(crate) struct TaskView {
    creation_time: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    end_time: Option<String>,
    execution_id: i64,
    /// Where it was sent, the status of the last answer, and how long it took.
    #[schema(value_type = HashMap<String, Object>)]
    extra_attrs: Value,
    id: i64,
    run_count: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_time: Option<String>,
    status: &'static str,
    #[serde(skip_serializing_if = "String::is_empty")]
    status_message: String,
    update_time: String,
}

impl From<Task> for TaskView {
    fn from(task: Task) -> Self {
        Self {
            creation_time: task.created_at.to_string(),
            end_time: task.ended_at.map(|at| at.to_string()),
            execution_id: task.execution.0,
            extra_attrs: serde_json::from_str(&task.attrs).unwrap_or_default(),
            id: task.id.0,
            run_count: task.run_count,
            start_time: task.started_at.map(|at| at.to_string()),
            status: task.status.name(),
            status_message: task.status_message,
            update_time: task.updated_at.to_string(),
        }
    }
}

/// An execution of a policy.
async fn find_execution(
    app: &AdminState,
    policy: WebhookPolicyId,
    id: ExecutionId,
) -> Result<Execution, Error> {
    let found = executions::get(&mut app.db.reader().await?, id).await?;
    let is_of = |one: &Execution| VENDORS.contains(&one.vendor) && one.vendor_id == policy.0;
    let found = found.filter(is_of);
    found.ok_or_else(|| Error::NotFound(format!("execution {id} not found")))
}

/// Lists executions of a policy of webhooks, the newest first: one for each event and address. 50 are kept, and all that
/// wait.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions", operation_id = "ListExecutionsOfWebhookPolicy", tag = "webhook",
    responses((status = 200, description = "A page of executions.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    PolicyRef(policy): PolicyRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Read>,
    State(app): App,
) -> Result<Response, Error> {
    find(&app, &permit, policy).await?;
    let selection = listing.select(&executions::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let of_policy = (VENDORS, policy.0);
    let (found, total) = executions::list_either(&mut reader, of_policy, &selection).await?;
    listing
        .room
        .texts(found.iter().map(|execution| execution.attrs.len()).sum())?;
    let ids: Vec<ExecutionId> = found.iter().map(|execution| execution.id).collect();
    let mut counts: HashMap<_, _> = executions::counts(&mut reader, &ids).await?;
    let views = found.into_iter().map(|execution| {
        let counts = counts.remove(&execution.id).unwrap_or_default();
        View::of(execution, counts)
    });
    let views: Vec<View> = views.collect();
    Ok(listing.answer(&views, total))
}

/// Lists the task of an execution of webhooks.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions/{execution_id}/tasks", operation_id = "ListTasksOfWebhookExecution", tag = "webhook",
    responses((status = 200, description = "A page of tasks.", body = Vec<TaskView>))
)]
pub(crate) async fn tasks(
    mut listing: Listing,
    PolicyRef(policy): PolicyRef,
    ExecutionRef(execution): ExecutionRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Read>,
    State(app): App,
) -> Result<Response, Error> {
    find(&app, &permit, policy).await?;
    find_execution(&app, policy, execution).await?;
    let selection = listing.select(&task::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let (tasks, total) = task::list(&mut reader, execution, &selection).await?;
    let views: Vec<TaskView> = tasks.into_iter().map(TaskView::from).collect();
    Ok(listing.answer(&views, total))
}

/// Returns the log of a task of webhooks: a line for each attempt.
#[utoipa::path(
    get, path = "/api/v2.0/projects/{project_name_or_id}/webhook/policies/{webhook_policy_id}/executions/{execution_id}/tasks/{task_id}/log", operation_id = "GetLogsOfWebhookTask", tag = "webhook",
    responses((status = 200, description = "The log: its first 500 lines.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn log(
    PolicyRef(policy): PolicyRef,
    ExecutionRef(execution): ExecutionRef,
    TaskRef(task): TaskRef,
    Allowed { permit, .. }: Allowed<on::Webhook, to::Read>,
    State(app): App,
) -> Result<Response, Error> {
    find(&app, &permit, policy).await?;
    find_execution(&app, policy, execution).await?;
    let found = task::get(&mut app.db.reader().await?, execution, task).await?;
    found.ok_or_else(|| Error::NotFound(format!("task {task} not found")))?;
    let mut room = Room::for_rows(&app, permit.caller(), 1).await?;
    let lines = lines(&app, task).await?;
    let text: String = lines.iter().map(line).collect();
    room.texts(text.len())?;
    Ok((room.held(), text).into_response())
}

/// The lines of a task's log.
pub(super) async fn lines(app: &AdminState, task: TaskId) -> Result<Vec<Line>, Error> {
    let mut reader = app.db.reader().await?;
    let (lines, _) = task_log::page(&mut reader, task, (0, LINES)).await?;
    Ok(lines)
}

fn line(line: &Line) -> String {
    let level = line.level.as_str().to_uppercase();
    format!("{} [{level}] {}\n", line.at, line.text)
}
