//! Tasks of executions, one for each repository, and their logs.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use db::execution::task::{self, Task};
use db::execution::task_log;
use db::job_log::Line;
use model::TaskId;
use model::retention::RetentionCounts;
use policy::{SignedIn, to};
use serde::Serialize;
use utoipa::ToSchema;

use super::{ExecutionRef, RetentionRef, TaskRef, find, find_execution, time};
use crate::allowed::Granted;
use crate::listing::Listing;
use crate::room::Room;
use crate::{AdminState, App, Error};

/// A task as the API shows it.
#[derive(Serialize, ToSchema)]
#[schema(as = RetentionExecutionTask)]
pub(crate) struct View {
    end_time: String,
    execution_id: i64,
    id: i64,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    repository: String,
    retained: i64,
    start_time: String,
    status: &'static str,
    status_code: i64,
    total: i64,
}

impl From<Task> for View {
    fn from(task: Task) -> Self {
        let counts: RetentionCounts = serde_json::from_str(&task.attrs).unwrap_or_default();
        Self {
            end_time: time(task.ended_at),
            execution_id: task.execution.0,
            id: task.id.0,
            job_id: task.job.map(|job| job.to_string()),
            repository: task.subject,
            retained: counts.retained,
            start_time: time(task.started_at),
            status: task.status.name(),
            status_code: task.status.code(),
            total: counts.total,
        }
    }
}

/// Lists tasks of an execution: one for each repository that a rule is about.
#[utoipa::path(
    get, path = "/api/v2.0/retentions/{id}/executions/{eid}/tasks", operation_id = "listRetentionTasks", tag = "retention",
    responses((status = 200, description = "A page of tasks.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    RetentionRef(id): RetentionRef,
    ExecutionRef(execution): ExecutionRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let (_, policy) = find::<to::List>(&app, permit.caller(), id).await?;
    find_execution(&app, &policy, execution).await?;
    let selection = listing.select(&task::FIELDS)?;
    let mut reader = app.db.reader().await?;
    let (tasks, total) = task::list(&mut reader, execution, &selection).await?;
    let views: Vec<View> = tasks.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}

/// Returns the log of a task: for each artifact what became of it, and the rule that keeps it or why it went.
#[utoipa::path(
    get, path = "/api/v2.0/retentions/{id}/executions/{eid}/tasks/{tid}", operation_id = "getRetentionTaskLog", tag = "retention",
    responses((status = 200, description = "The log: its newest 10,000 lines, at most 4 MiB.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn log(
    RetentionRef(id): RetentionRef,
    ExecutionRef(execution): ExecutionRef,
    TaskRef(task): TaskRef,
    Granted(permit): Granted<SignedIn>,
    State(app): App,
) -> Result<Response, Error> {
    let (_, policy) = find::<to::Read>(&app, permit.caller(), id).await?;
    find_execution(&app, &policy, execution).await?;
    let found = task::get(&mut app.db.reader().await?, execution, task).await?;
    found.ok_or_else(|| Error::NotFound(format!("task {task} not found")))?;
    let mut room = Room::for_rows(&app, permit.caller(), 1).await?;
    let text = text(&app, task, &mut room).await?;
    Ok((room.held(), text).into_response())
}

/// Lines that are read at a time.
const PAGE: i64 = 500;
/// Bytes of a log that are shown.
const MOST: usize = 4 << 20;

async fn text(app: &AdminState, task: TaskId, room: &mut Room) -> Result<String, Error> {
    let (mut text, mut after) = (String::new(), 0);
    loop {
        let mut reader = app.db.reader().await?;
        let (lines, last) = task_log::page(&mut reader, task, (after, PAGE)).await?;
        drop(reader);
        let shown: String = lines.iter().map(line).collect();
        if lines.is_empty() {
            return Ok(text);
        }
        if text.len() + shown.len() > MOST {
            text.push_str("the rest of the log is not shown\n");
            return Ok(text);
        }
        room.texts(shown.len())?;
        text.push_str(&shown);
        after = last;
    }
}

fn line(line: &Line) -> String {
    let level = line.level.as_str().to_uppercase();
    format!("{} [{level}] {}\n", line.at, line.text)
}
