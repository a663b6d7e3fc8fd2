//! Passes of garbage collection, in addition to the continuous collection.

use axum::extract::State;
use axum::response::{IntoResponse, Response};
use http::Uri;
use jobs::gc_run::{GcRun, Parameters, Summary, WINDOW};
use policy::{SystemPermit, system, to};
use serde_json::{Map, Value, json};

use super::{ExecutionRef, History, Named, ScheduleRequest, Served, flag, schedule, wrong};
use crate::allowed::Granted;
use crate::error::Rendered;
use crate::json::Unread;
use crate::listing::Listing;
use crate::{App, Error};

/// Garbage collection.
pub(crate) enum Gc {}

impl Named for Gc {
    const NAME: &'static str = "gc_id";
}

impl Served for Gc {
    type Execution = GcRun;
    const JOB_NAME: &'static str = "GARBAGE_COLLECTION";
    const WHAT: &'static str = "garbage collection";
    const SHORT: &'static str = "gc";

    fn parameters(given: &Map<String, Value>) -> Result<Parameters, Error> {
        let workers = match given.get("workers") {
            None | Some(Value::Null) => 0,
            Some(value) => value
                .as_i64()
                .filter(|workers| (0..=10).contains(workers))
                .ok_or_else(|| wrong("workers", "a number from 1 to 10"))?,
        };
        // Tags are rows of the database; the store has nothing of them.
        flag(given, "delete_tag")?;
        Ok(Parameters {
            delete_untagged: flag(given, "delete_untagged")?,
            dry_run: flag(given, "dry_run")?,
            workers,
        })
    }

    fn run(parameters: &Parameters, result: Option<&str>) -> Value {
        let done: Summary = result
            .and_then(|json| serde_json::from_str(json).ok())
            .unwrap_or_default();
        json!({
            "delete_tag": false,
            "delete_untagged": parameters.delete_untagged,
            "dry_run": parameters.dry_run,
            "freed_space": done.freed_space,
            "purged_blobs": done.purged_blobs,
            "purged_manifests": done.purged_manifests,
            "time_window": WINDOW.as_secs() / 3_600,
            "workers": parameters.workers,
        })
    }

    fn scheduled(parameters: &Parameters) -> Value {
        json!({
            "delete_tag": false,
            "delete_untagged": parameters.delete_untagged,
            "workers": parameters.workers,
        })
    }
}

/// Lists passes of garbage collection, newest first. They are kept for a week after their end.
#[utoipa::path(
    get, path = "/api/v2.0/system/gc", operation_id = "getGCHistory", tag = "gc",
    responses((status = 200, description = "A page of executions.", body = Vec<History>))
)]
pub(crate) async fn list(
    listing: Listing,
    _: Granted<SystemPermit<(system::GarbageCollection, to::List)>>,
    State(app): App,
) -> Result<Response, Error> {
    super::list::<Gc>(&app, listing).await
}

/// Returns a pass of garbage collection.
#[utoipa::path(
    get, path = "/api/v2.0/system/gc/{gc_id}", operation_id = "getGC", tag = "gc",
    responses((status = 200, description = "The execution.", body = History))
)]
pub(crate) async fn get(
    execution: ExecutionRef<Gc>,
    _: Granted<SystemPermit<(system::GarbageCollection, to::Read)>>,
    State(app): App,
) -> Rendered<History> {
    let job = super::find::<Gc>(&app, execution.id).await?;
    Ok(axum::Json(History::of::<Gc>(&job)?))
}

/// Stops a pass of garbage collection; 200 also if it has ended.
#[utoipa::path(
    put, path = "/api/v2.0/system/gc/{gc_id}", operation_id = "stopGC", tag = "gc",
    responses((status = 200, description = "It stops within seconds."))
)]
pub(crate) async fn stop(
    execution: ExecutionRef<Gc>,
    Granted(permit): Granted<SystemPermit<(system::GarbageCollection, to::Stop)>>,
    State(app): App,
) -> Result<(), Error> {
    super::stop::<Gc>(&app, &permit, execution.id).await
}

/// Returns the log of a pass of garbage collection: its newest 1,000 lines.
#[utoipa::path(
    get, path = "/api/v2.0/system/gc/{gc_id}/log", operation_id = "getGCLog", tag = "gc",
    responses((status = 200, description = "The log.", body = String, content_type = "text/plain"))
)]
pub(crate) async fn log(
    execution: ExecutionRef<Gc>,
    _: Granted<SystemPermit<(system::GarbageCollection, to::Read)>>,
    State(app): App,
) -> Result<Response, Error> {
    let log = super::log::<Gc>(&app, execution.id).await?;
    Ok(log.into_response())
}

/// Returns the schedule of passes of garbage collection; an empty body if there is none.
#[utoipa::path(
    get, path = "/api/v2.0/system/gc/schedule", operation_id = "getGCSchedule", tag = "gc",
    responses((status = 200, description = "The schedule.", body = History))
)]
pub(crate) async fn scheduled(
    _: Granted<SystemPermit<(system::GarbageCollection, to::Read)>>,
    State(app): App,
) -> Result<Response, Error> {
    schedule::get::<Gc>(&app).await
}

/// Sets the schedule of passes of garbage collection, starts one now (`Manual`), or ends the schedule (`None`).
#[utoipa::path(
    post, path = "/api/v2.0/system/gc/schedule", operation_id = "createGCSchedule", tag = "gc",
    request_body = ScheduleRequest,
    responses((status = 201, description = "Set or started; `Location` leads to the execution, 0 for none."))
)]
pub(crate) async fn create(
    Granted(permit): Granted<SystemPermit<(system::GarbageCollection, to::Create)>>,
    State(app): App,
    uri: Uri,
    body: Unread<ScheduleRequest>,
) -> Result<Response, Error> {
    let (permit, body) = body.read(&app, permit).await?;
    schedule::create::<Gc>(&app, &permit, &uri, &body).await
}

/// Does the same as `POST`.
#[utoipa::path(
    put, path = "/api/v2.0/system/gc/schedule", operation_id = "updateGCSchedule", tag = "gc",
    request_body = ScheduleRequest,
    responses((status = 200, description = "Set or started."))
)]
pub(crate) async fn update(
    Granted(permit): Granted<SystemPermit<(system::GarbageCollection, to::Update)>>,
    State(app): App,
    body: Unread<ScheduleRequest>,
) -> Result<(), Error> {
    let (permit, body) = body.read(&app, permit).await?;
    schedule::update::<Gc>(&app, &permit, &body).await
}
