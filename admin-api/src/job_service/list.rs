//! All jobs of the engine, for user interfaces: Harbor's routes show them only by kind.

use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use axum::response::Response;
use db::job::{self, Job};
use db::job_log::{self, Line};
use db::list::Direction;
use http::request::Parts;
use jobs::engine::control;
use model::{JobId, Timestamp};
use policy::{SystemPermit, system, to};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::Granted;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::listing::Listing;
use crate::param::int_param;
use crate::{AdminState, App, Error};

/// A job.
#[derive(Serialize, ToSchema)]
#[schema(as = Job)]
pub(crate) struct View {
    attempts: i64,
    creation_time: String,
    due_time: String,
    end_time: Option<String>,
    #[schema(value_type = i64)]
    id: JobId,
    kind: String,
    last_error: Option<String>,
    progress: Option<String>,
    result: Option<String>,
    /// Whether it always exists: it is queued again after each run.
    standing: bool,
    start_time: Option<String>,
    status: String,
}

impl From<Job> for View {
    fn from(job: Job) -> Self {
        let time = |at: Option<Timestamp>| at.map(|at| at.to_string());
        Self {
            attempts: job.attempts,
            creation_time: job.created_at.to_string(),
            due_time: job.due_at.to_string(),
            end_time: time(job.finished_at),
            id: job.id,
            kind: job.kind,
            last_error: job.last_error,
            progress: job.progress,
            result: job.result,
            standing: job.standing,
            start_time: time(job.started_at),
            status: job.state.to_string(),
        }
    }
}

/// Lists all jobs, newest first.
#[utoipa::path(
    get, path = "/api/ext/v1/jobs", operation_id = "listJobs", tag = "jobservice",
    responses((status = 200, description = "A page of jobs.", body = Vec<View>))
)]
pub(crate) async fn list(
    mut listing: Listing,
    _: Granted<SystemPermit<(system::JobMonitor, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    let mut selection = listing.select(&job::FIELDS)?;
    selection.order = selection.order.or(Some((job::ID, Direction::Down)));
    let (found, total) = job::page(&mut app.db.reader().await?, &selection).await?;
    let views: Vec<View> = found.into_iter().map(View::from).collect();
    Ok(listing.answer(&views, total))
}

/// A job with the newest lines of its log.
#[derive(Serialize, ToSchema)]
#[schema(as = JobWithLog)]
pub(crate) struct WithLog {
    #[serde(flatten)]
    job: View,
    log: Vec<LineView>,
}

/// A line of a log.
#[derive(Serialize, ToSchema)]
#[schema(as = JobLogLine)]
struct LineView {
    level: &'static str,
    text: String,
    time: String,
}

impl From<Line> for LineView {
    fn from(line: Line) -> Self {
        Self {
            level: line.level.as_str(),
            text: line.text,
            time: line.at.to_string(),
        }
    }
}

/// The job in a path.
pub(crate) struct JobNumber(JobId);

impl Input for JobNumber {
    fn parameters() -> Vec<Parameter> {
        vec![in_path("job_id", Type::Integer, "The job's ID.")]
    }
}

impl FromRequestParts<Arc<AdminState>> for JobNumber {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        let id = int_param(parts, app, "job_id").await?;
        Ok(Self(JobId(id)))
    }
}

/// Returns a job with its log.
#[utoipa::path(
    get, path = "/api/ext/v1/jobs/{job_id}", operation_id = "getJob", tag = "jobservice",
    responses((status = 200, description = "The job.", body = WithLog))
)]
pub(crate) async fn get(
    JobNumber(id): JobNumber,
    _: Granted<SystemPermit<(system::JobMonitor, to::List)>>,
    State(app): App,
) -> Rendered<WithLog> {
    let found = find(&app, id).await?;
    let mut reader = app.db.reader().await?;
    let lines = job_log::list(&mut reader, id, job_log::LINES).await?;
    Ok(Json(WithLog {
        job: found.into(),
        log: lines.into_iter().map(LineView::from).collect(),
    }))
}

/// Stops a running job, or removes a waiting one. A standing job pauses for a few seconds. 412 if it has ended.
#[utoipa::path(
    post, path = "/api/ext/v1/jobs/{job_id}/stop", operation_id = "stopJob", tag = "jobservice",
    responses((status = 200, description = "It stops within seconds."))
)]
pub(crate) async fn stop(
    JobNumber(id): JobNumber,
    Granted(permit): Granted<SystemPermit<(system::JobMonitor, to::Stop)>>,
    State(app): App,
) -> Result<(), Error> {
    find(&app, id).await?;
    let stopped = control::cancel(&app.db, &permit, id, app.clock.now()).await;
    match stopped {
        Ok(_) => Ok(()),
        Err(error @ jobs::Error::NotCancelled(_)) => Err(Error::Precondition(error.to_string())),
        Err(other) => Err(other.into()),
    }
}

/// Makes a failed, cancelled or waiting job due now. 412 if it is running or done, or another like it is queued.
#[utoipa::path(
    post, path = "/api/ext/v1/jobs/{job_id}/retry", operation_id = "retryJob", tag = "jobservice",
    responses((status = 200, description = "It runs within seconds."))
)]
pub(crate) async fn retry(
    JobNumber(id): JobNumber,
    Granted(permit): Granted<SystemPermit>,
    State(app): App,
) -> Result<(), Error> {
    find(&app, id).await?;
    let retried = control::retry(&app.db, &permit, id, app.clock.now()).await;
    match retried {
        Err(error @ jobs::Error::NotRetried(_)) => Err(Error::Precondition(error.to_string())),
        retried => Ok(retried?),
    }
}

async fn find(app: &AdminState, id: JobId) -> Result<Job, Error> {
    let found = job::get(&mut app.db.reader().await?, id).await?;
    found.ok_or_else(|| Error::NotFound(format!("job {id} not found")))
}
