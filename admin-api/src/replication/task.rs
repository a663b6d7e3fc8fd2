//! Tasks of executions, and their logs.

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use db::execution::task::{self as tasks, Task};
use db::execution::task_log;
use http::request::Parts;
use jobs::replication::TaskAttrs;
use model::{TaskId, Timestamp};
use policy::{SystemPermit, system, to};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::execution::{ExecutionRef, find};
use super::words;
use crate::allowed::Granted;
use crate::input::{Input, in_path};
use crate::listing::Listing;
use crate::param::int_param;
use crate::registry::NEVER;
use crate::{App, Error};

/// A task as the API shows it: one repository.
#[derive(Serialize, ToSchema)]
pub(crate) struct ReplicationTask {
    /// Bytes of blobs that were moved.
    bytes: u64,
    /// References that were copied.
    copied: u64,
    /// References that were deleted at the destination.
    deleted: u64,
    dst_resource: String,
    end_time: String,
    execution_id: i64,
    id: i64,
    job_id: String,
    /// References that point elsewhere at the destination, and were left, as the policy does not override.
    kept: u64,
    operation: String,
    /// References that were there already.
    present: u64,
    resource_type: &'static str,
    src_resource: String,
    start_time: String,
    status: &'static str,
    /// Why it failed, and what to do about it.
    #[serde(skip_serializing_if = "String::is_empty")]
    status_text: String,
}

impl From<Task> for ReplicationTask {
    fn from(task: Task) -> Self {
        let attrs: TaskAttrs = serde_json::from_str(&task.attrs).unwrap_or_default();
        let resource = |name: &str| format!("{name} [{} item(s) in total]", attrs.items);
        let time = |at: Option<Timestamp>| at.map_or_else(|| NEVER.to_owned(), |at| at.to_string());
        Self {
            bytes: attrs.bytes,
            copied: attrs.copied,
            deleted: attrs.deleted,
            dst_resource: resource(&attrs.destination),
            end_time: time(task.ended_at),
            execution_id: task.execution.0,
            id: task.id.0,
            job_id: task.job.map(|job| job.to_string()).unwrap_or_default(),
            kept: attrs.kept,
            present: attrs.present,
            resource_type: "artifact",
            src_resource: resource(&attrs.source),
            start_time: time(task.started_at),
            status: words::of_task(task.status),
            status_text: task.status_message,
            operation: attrs.operation,
        }
    }
}

/// The task in a path.
pub(crate) struct TaskRef(TaskId);

impl Input for TaskRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("task_id", Type::Integer, "The task's ID.")]
    }
}

impl<S: Send + Sync> FromRequestParts<S> for TaskRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Error> {
        int_param(parts, state, "task_id")
            .await
            .map(|id| Self(TaskId(id)))
    }
}

/// Lists the tasks of an execution of replication, one for each repository.
#[utoipa::path(
    get, path = "/api/v2.0/replication/executions/{id}/tasks", operation_id = "listReplicationTasks", tag = "replication",
    params(
        ("status" = Option<String>, Query, description = "`Pending`, `InProgress`, `Succeed`, `Failed` or `Stopped`."),
        ("resource_type" = Option<String>, Query, description = "`artifact`, as all are."),
    ),
    responses((status = 200, description = "A page of tasks.", body = Vec<ReplicationTask>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    ExecutionRef(id): ExecutionRef,
    _: Granted<SystemPermit<(system::Replication, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    find(&app, id).await?;
    let status = listing.params.text("status")?;
    let status = status.map(|word| words::status_test(tasks::STATUS, word));
    let status = status.transpose()?;
    let kind = listing.params.text("resource_type")?;
    if kind.is_some_and(|kind| kind != "artifact") {
        return Ok(listing.answer::<ReplicationTask>(&[], 0));
    }
    let mut selection = listing.select(&tasks::FIELDS)?;
    selection.tests.extend(status);
    let mut reader = app.db.reader().await?;
    let (found, total) = tasks::list(&mut reader, id, &selection).await?;
    let views: Vec<ReplicationTask> = found.into_iter().map(Into::into).collect();
    Ok(listing.answer(&views, total))
}

/// Returns the log of a task: its newest 10,000 lines.
#[utoipa::path(
    get, path = "/api/v2.0/replication/executions/{id}/tasks/{task_id}/log", operation_id = "getReplicationLog", tag = "replication",
    responses((status = 200, description = "The log.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn log(
    ExecutionRef(id): ExecutionRef,
    TaskRef(task): TaskRef,
    _: Granted<SystemPermit<(system::Replication, to::Read)>>,
    State(app): App,
) -> Result<Response, Error> {
    find(&app, id).await?;
    let mut reader = app.db.reader().await?;
    let found = tasks::get(&mut reader, id, task).await?;
    found.ok_or_else(|| Error::NotFound(format!("replication task {task} not found")))?;
    let (lines, _) = task_log::page(&mut reader, task, (0, task_log::LINES)).await?;
    let lines = lines.iter().map(|line| {
        let level = line.level.as_str().to_uppercase();
        format!("{} [{level}] {}\n", line.at, line.text)
    });
    Ok(lines.collect::<String>().into_response())
}
