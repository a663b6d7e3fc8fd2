//! Single jobs: stopping them, and their logs.

use std::sync::Arc;

use axum::extract::{FromRequestParts, State};
use axum::response::{IntoResponse, Response};
use db::job;
use http::request::Parts;
use model::JobId;
use policy::{SystemPermit, system, to};
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use crate::allowed::Granted;
use crate::execution::{log_of, stop_job};
use crate::input::{Input, in_path};
use crate::param::text_param;
use crate::{AdminState, App, Error};

/// Maximum jobs that `all` stops.
const MOST: i64 = 1_000;

/// The job in a path, which may be `all`.
pub(crate) struct JobRef(String);

impl Input for JobRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path(
            "job_id",
            Type::String,
            "The job's ID, or `all` where that is allowed.",
        )]
    }
}

impl FromRequestParts<Arc<AdminState>> for JobRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        text_param(parts, app, "job_id").await.map(Self)
    }
}

/// Stops a job, or with `all` every running job except standing ones. 200 also if there is no such job (any more).
#[utoipa::path(
    put, path = "/api/v2.0/jobservice/jobs/{job_id}", operation_id = "stopRunningJob", tag = "jobservice",
    responses((status = 200, description = "It stops within seconds."))
)]
pub(crate) async fn stop(
    JobRef(named): JobRef,
    Granted(permit): Granted<SystemPermit<(system::JobMonitor, to::Stop)>>,
    State(app): App,
) -> Result<(), Error> {
    let ids: Vec<JobId> = match named.eq_ignore_ascii_case("all") {
        true => {
            let running = job::running(&mut app.db.reader().await?, MOST).await?;
            let single = running.into_iter().filter(|job| !job.standing);
            single.map(|job| job.id).collect()
        }
        false => named.parse().into_iter().collect(),
    };
    for id in ids {
        stop_job(&app, &permit, id).await?;
    }
    Ok(())
}

/// Returns the log of a job: its newest 1,000 lines.
#[utoipa::path(
    get, path = "/api/v2.0/jobservice/jobs/{job_id}/log", operation_id = "actionGetJobLog", tag = "jobservice",
    responses((status = 200, description = "The log.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn log(
    JobRef(named): JobRef,
    _: Granted<SystemPermit<(system::JobMonitor, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    let missing = || Error::NotFound(format!("job {named} not found"));
    let id: JobId = named.parse().map_err(|_| missing())?;
    let found = job::get(&mut app.db.reader().await?, id).await?;
    found.ok_or_else(missing)?;
    Ok(log_of(&app, id).await?.into_response())
}
