//! Processes that run jobs, which Harbor calls pools, and their jobs. A process without running jobs is not known to
//! others, so the answer has the process that answers, and those that are running jobs.

use std::collections::BTreeMap;
use std::sync::Arc;

use axum::Json;
use axum::extract::{FromRequestParts, State};
use db::job::{self, Job, SERVER};
use http::request::Parts;
use jobs::engine::WORKERS;
use model::Timestamp;
use policy::{SystemPermit, system, to};
use serde::Serialize;
use utoipa::ToSchema;
use utoipa::openapi::Type;
use utoipa::openapi::path::Parameter;

use super::vendor_type;
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::input::{Input, in_path};
use crate::param::text_param;
use crate::{AdminState, App, Error};

/// Maximum running jobs to read.
const MOST: i64 = 1_000;

/// A process.
#[derive(Serialize, ToSchema)]
#[schema(as = WorkerPool)]
pub(crate) struct Pool {
    /// Maximum jobs that it runs at a time.
    concurrency: usize,
    heartbeat_at: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    pid: Option<u32>,
    start_at: String,
    worker_pool_id: String,
}

/// A place for a job in a process.
#[derive(Serialize, ToSchema)]
#[schema(as = Worker)]
pub(crate) struct Worker {
    #[serde(skip_serializing_if = "Option::is_none")]
    check_in: Option<String>,
    id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_id: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    job_name: Option<String>,
    pool_id: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    start_at: Option<String>,
}

/// Running jobs by process, including the process that answers.
async fn running(app: &AdminState) -> Result<BTreeMap<String, Vec<Job>>, Error> {
    let jobs = job::running(&mut app.db.reader().await?, MOST).await?;
    let mut pools = BTreeMap::from([(app.process.id.clone(), Vec::new())]);
    for job in jobs {
        let holder = job.holder.as_deref().unwrap_or_default();
        if let Some(process) = holder.strip_prefix(SERVER) {
            pools.entry(process.to_owned()).or_default().push(job);
        }
    }
    Ok(pools)
}

/// Lists the processes that run jobs.
#[utoipa::path(
    get, path = "/api/v2.0/jobservice/pools", operation_id = "getWorkerPools", tag = "jobservice",
    responses((status = 200, description = "The processes.", body = Vec<Pool>))
)]
pub(crate) async fn pools(
    _: Granted<SystemPermit<(system::JobMonitor, to::List)>>,
    State(app): App,
) -> Rendered<Vec<Pool>> {
    let now = app.clock.now();
    let pools = running(&app).await?.into_iter().map(|(id, jobs)| {
        let is_own = id == app.process.id;
        let first = jobs.iter().filter_map(|job| job.started_at).min();
        let start: Timestamp = match is_own {
            true => app.process.started,
            false => first.unwrap_or(now),
        };
        Pool {
            concurrency: WORKERS,
            heartbeat_at: now.to_string(),
            pid: is_own.then(std::process::id),
            start_at: start.to_string(),
            worker_pool_id: id,
        }
    });
    Ok(Json(pools.collect()))
}

/// The process in a path, or `all`.
pub(crate) struct PoolRef(String);

impl Input for PoolRef {
    fn parameters() -> Vec<Parameter> {
        vec![in_path(
            "pool_id",
            Type::String,
            "The process's ID, or `all`.",
        )]
    }
}

impl FromRequestParts<Arc<AdminState>> for PoolRef {
    type Rejection = Error;

    async fn from_request_parts(parts: &mut Parts, app: &Arc<AdminState>) -> Result<Self, Error> {
        text_param(parts, app, "pool_id").await.map(Self)
    }
}

/// Lists the workers of a process, or of all, with their jobs.
#[utoipa::path(
    get, path = "/api/v2.0/jobservice/pools/{pool_id}/workers", operation_id = "getWorkers", tag = "jobservice",
    responses((status = 200, description = "The places.", body = Vec<Worker>))
)]
pub(crate) async fn workers(
    PoolRef(named): PoolRef,
    _: Granted<SystemPermit<(system::JobMonitor, to::List)>>,
    State(app): App,
) -> Rendered<Vec<Worker>> {
    let pools = running(&app).await?;
    let is_all = named.eq_ignore_ascii_case("all");
    if !is_all && !pools.contains_key(&named) {
        return Err(Error::NotFound(format!("worker pool {named} not found")));
    }
    let pools = pools.into_iter().filter(|(id, _)| is_all || *id == named);
    let workers = pools.flat_map(|(pool, jobs)| {
        let places = jobs.len().max(WORKERS);
        let mut jobs = jobs.into_iter();
        (0..places).map(move |number| Worker::new(&pool, number, jobs.next()))
    });
    Ok(Json(workers.collect()))
}

impl Worker {
    fn new(pool: &str, number: usize, job: Option<Job>) -> Self {
        let id = format!("{pool}-{number}");
        let job_id = job.as_ref().map(|job| job.id.to_string());
        let job_name = job.as_ref().map(|job| vendor_type(&job.kind));
        let start_at = job.as_ref().and_then(|job| job.started_at);
        Self {
            check_in: job.and_then(|job| job.progress),
            id,
            job_id,
            job_name,
            pool_id: pool.to_owned(),
            start_at: start_at.map(|at| at.to_string()),
        }
    }
}
